"""Dates as people, spreadsheets and services write them: one order of day and month for a column.

A cell is read by its own shape. Only 03/04/2021 has two readings, and which it is is decided over the column: by a cell
that can be but one of them, by dots (which nobody writes month first), or by whoever imports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, lru_cache

from digest.errors import BadInput

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"

# What databases, spreadsheets and people write where there is nothing to say.
NOTHING = frozenset(
    ("null", "nil", "none", "nan", "nat", "n/a", "na", "#n/a", "n.a.", "-", "--", "---", "–", "—", ".", "..",
     "/", "?", "never", "undefined", "unknown", "unset", "(null)", "<null>", "\\n", "[]", "{}", "(none)",
     "(empty)", "empty", "blank", "not-set", "nie", "niemals", "jamais", "nunca", "mai", "nooit", "nigdy",
     "никогда", "aldrig", "asla", "hiç", "从不", "無", "无", "なし", "leer", "vide", "vacío", "vuoto", "leeg",
     "n.v.t.", "k.a.", "k.-a.", "n/d", "n.d.", "s/d", "brak-danych", "keine-angabe", "sin-fecha", "nicht-gesetzt",
     "brak", "нет-данных", "tom", "boş", "空", "keine", "aucun", "ninguno", "nessuno", "nenhum", "geen")
)  # fmt: skip
_ZEROS = re.compile(r"0[0\s:./TZ+-]*")
# What programs write for "no date": the first days of their calendars, and the last.
_EDGES = ((1, 1, 1), (1, 1, 2), (1899, 12, 30), (1899, 12, 31), (1900, 1, 1), (1601, 1, 1), (1753, 1, 1), (1970, 1, 1))

_TIME = (
    r"(?:[\sT,]+(?:at |um |à |a las )?(?P<h>\d{1,2})[:.h時时시](?:\s)?(?P<min>\d{2})"
    r"(?:[:.分분]\s?(?:(?P<s>\d{2})(?:[.,]\d{1,9}|秒|초)?)?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?\s*(?:Uhr)?(?P<zone>[A-Z]{1,5}|(?:GMT|UTC)?[+-]\d{2}:?\d{2}(?:\s\(?[A-Z]{1,5}\)?)?)?)?"
)
_DAY = r"(?:[^\W\d]{2,12}\.?,? )?"  # a weekday before it
_NUMBERS = re.compile(rf"(?P<a>\d{{1,2}})(?P<sep>[./-])\s?(?P<b>\d{{1,2}})(?P=sep)\s?(?P<y>\d{{4}}|\d{{2}}){_TIME}")
_YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})[./-](?P<m>\d{{1,2}})[./-](?P<d>\d{{1,2}}){_TIME}")
_EAST = re.compile(rf"(?P<y>\d{{4}})\s?[年년]\s?(?P<m>\d{{1,2}})\s?[月월]\s?(?P<d>\d{{1,2}})\s?[日일]?{_TIME}")
_DAY_NAME = re.compile(
    rf"{_DAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?[\s-](?:de |of )?(?P<name>[^\W\d]{{3,12}})\.?,?[\s-](?:de )?"
    rf"(?P<y>\d{{4}}|\d{{2}})(?: г\.?)?{_TIME}"
)
_NAME_DAY = re.compile(rf"{_DAY}(?P<name>[^\W\d]{{3,12}})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}}){_TIME}")
# As C and Unix's `date` write it, and as JavaScript does.
_YEAR_LAST = re.compile(
    rf"{_DAY}(?P<name>[^\W\d]{{3,12}}) {{1,2}}(?P<d>\d{{1,2}}) (?P<clock>\d{{1,2}}:\d{{2}}:\d{{2}}) "
    r"(?:[A-Z]{3,4} )?(?P<y>\d{4})"
)
_PLACE = re.compile(r" \([^()]{3,50}\)$")  # behind JavaScript's offset
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv", "tr", "cs", "uk", "da", "fi")
_ISO = re.compile(r"\d{4}-[01]\d-[0-3]\d(?:[ T][0-2]\d:[0-5]\d|$)")
_MOST = 80  # characters of a date
_EXCEL = datetime(1899, 12, 30, tzinfo=UTC)


def nothing(cell: str) -> bool:
    """Whether a cell says nothing: empty, NULL, -, n/a, never."""
    word = cell.strip().strip("\u00ad\u200b\u2060\ufeff")
    return not word or (len(word) <= 20 and word.casefold().replace(" ", "-") in NOTHING)


@lru_cache(maxsize=4_096)
def no_date(cell: str) -> bool:
    """Whether a cell says that there is no date: nothing, zeros, or the edge of some program's calendar."""
    word = cell.strip()
    if nothing(word) or _ZEROS.fullmatch(word[:40]):
        return True
    at = read(word, day_first=True)
    return at is not None and ((at.year, at.month, at.day) in _EDGES or at.year >= 9999)


@lru_cache(maxsize=4_096)
def read(cell: str, *, day_first: bool | None = None) -> datetime | None:
    """The moment that a cell names, in UTC where no zone is said; None for what is none, or has two readings."""
    word = cell.strip()
    if not word or len(word) > _MOST:
        return None
    try:
        return _utc(datetime.fromisoformat(word.removesuffix(" UTC").replace(" +", "+")))
    except (ValueError, OverflowError):
        pass
    try:
        if word.replace(".", "", 1).isdecimal():
            return _number(word)
        return _spelt(_PLACE.sub("", word) if word.endswith(")") else word, day_first)
    except (ValueError, OverflowError):
        return None


def two_ways(cell: str) -> tuple[int, int, str] | None:
    """The two numbers before the year, and what stands between them, where a date is written so."""
    found = _NUMBERS.fullmatch(cell.strip()[:_MOST])
    return (int(found["a"]), int(found["b"]), found["sep"]) if found else None


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _number(word: str) -> datetime | None:
    """Seconds or milliseconds since 1970, or days as spreadsheets count them."""
    value = float(word)
    if 20_000 <= value < 80_000:
        return _EXCEL + timedelta(days=value)
    if 1e8 <= value < 1e10:
        return datetime.fromtimestamp(value, UTC)
    if 1e11 <= value < 1e13:
        return datetime.fromtimestamp(value / 1_000, UTC)
    return None


def _spelt(word: str, day_first: bool | None) -> datetime | None:
    numbers = _NUMBERS.fullmatch(word)
    if numbers:
        a, b = int(numbers["a"]), int(numbers["b"])
        if day_first is None:
            day_first = True if a > 12 or a == b else False if b > 12 else None
        if day_first is None:
            return None
        day, month = (a, b) if day_first else (b, a)
        return _moment(numbers, _year(numbers["y"]), month, day)
    for shape in (_YEAR_FIRST, _EAST):
        if found := shape.fullmatch(word):
            return _moment(found, int(found["y"]), int(found["m"]), int(found["d"]))
    if found := _YEAR_LAST.fullmatch(word):
        word = f"{found['name']} {found['d']}, {found['y']} {found['clock']}"
    for shape in (_NAME_DAY, _DAY_NAME):
        found = shape.fullmatch(word)
        month = _months().get(found["name"].casefold(), 0) if found else 0
        if found and month:
            return _moment(found, _year(found["y"]), month, int(found["d"]))
    return None


def _year(digits: str) -> int:
    return int(digits) + (0 if len(digits) == 4 else 2000 if int(digits) < 70 else 1900)


def _moment(found: re.Match[str], year: int, month: int, day: int) -> datetime:
    hour, minute, second = (int(found[part] or 0) for part in ("h", "min", "s"))
    if found["half"]:
        hour = hour % 12 + (12 if found["half"][0] in "Pp" else 0)
    zone: timezone = UTC
    offset = re.search(r"([+-])(\d{2}):?(\d{2})", found["zone"] or "")
    if offset:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        zone = timezone(span if offset[1] == "+" else -span)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)


@cache
def _months() -> dict[str, int]:
    """Names of months, long and short, in the languages of our readers."""
    from babel.dates import get_month_names

    found: dict[str, int] = {"sept": 9}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    found.setdefault(name.casefold().rstrip("."), number)
    return found


@dataclass
class Column:
    """What is seen of a column's cells on the way through the file: `see` them all, then ask."""

    title: str
    dates: int = 0
    others: int = 0  # that are neither dates nor say nothing
    other: str = ""  # the first of them
    day_first: tuple[str, int] | None = None  # a cell that can be nothing else, and its row
    month_first: tuple[str, int] | None = None
    either: tuple[str, int] | None = None
    dotted: bool = True  # what could be either is written with dots
    _seen: set[str] = field(default_factory=set)

    def known(self, cell: str) -> bool:
        """Whether a cell need not be seen: it was, or it has but one reading, the usual one."""
        if _ISO.match(cell) and "1970" < cell[:4] < "2200":
            self.dates += 1
            return True
        return cell in self._seen

    def see(self, cell: str, row: int) -> None:
        if len(self._seen) < 50_000:
            self._seen.add(cell)
        if no_date(cell):
            return
        numbers = two_ways(cell)
        if numbers is None:
            if read(cell) is None:
                self.others += 1
                self.other = self.other or cell
            else:
                self.dates += 1
            return
        a, b, separator = numbers
        if (a > 12 and b > 12) or not (a and b) or a > 31 or b > 31:
            self.others += 1
            self.other = self.other or cell
            return
        self.dates += 1
        if a > 12:
            self.day_first = self.day_first or (cell, row)
        elif b > 12:
            self.month_first = self.month_first or (cell, row)
        elif a != b:
            self.either = self.either or (cell, row)
            self.dotted = self.dotted and separator == "."

    def order(self, chosen: str = "") -> tuple[bool | None, str]:
        """Whether days come first (None: no cell asks), and why in words; `chosen` is what somebody said.

        Raises Ambiguous where both are possible, BadInput where the column holds both.
        """
        if chosen:
            return chosen == DAY_FIRST, f"read as {_order(chosen == DAY_FIRST)}, as --dates says"
        if self.day_first and self.month_first:
            (one, at), (other, there) = self.day_first, self.month_first
            raise BadInput(
                f"the column {self.title!r} has dates of two kinds: {one} in row {at} is day/month, "
                f"{other} in row {there} month/day",
                hint=f"mend the file, or say which counts: --dates {DAY_FIRST} or --dates {MONTH_FIRST}",
            )
        if seen := self.day_first or self.month_first:
            return (
                self.day_first is not None,
                f"read as {_order(self.day_first is not None)}: {seen[0]} in row {seen[1]}",
            )
        if self.either is None:
            return None, ""
        if self.dotted:
            return True, f"read as day/month, as dots are: {self.either[0]} in row {self.either[1]}"
        raise Ambiguous(self.title, *self.either)


def _order(day_first: bool) -> str:
    return "day/month" if day_first else "month/day"


class Ambiguous(BadInput):
    """No cell of a column tells days from months."""

    def __init__(self, title: str, cell: str, row: int) -> None:
        self.title, self.cell, self.row = title, cell, row
        super().__init__(
            f"the dates in the column {title!r} can be read in two ways: {cell} in row {row}",
            hint=f"say which: --dates {DAY_FIRST} or --dates {MONTH_FIRST}",
        )
