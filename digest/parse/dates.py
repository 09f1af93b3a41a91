"""Dates as feeds write them, in any of the forms that the guide lists. The clock comes in.

A date is taken apart into its time, its zone, its words and its numbers. Where that leaves several days (03/04/2026),
the weekday, the clock, what the feed does elsewhere and its language decide, in this order; else it is no date: a wrong
one puts a story into the wrong place, and one without is shown as of when it was seen.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from digest.dataclass import dataclass
from digest.parse import zones
from digest.parse.months import Names, idle, names

LONGEST = 150  # characters of a date; Thunderbird's longest with a comment has 70
AHEAD = timedelta(days=1)  # by which a publisher's clock may be before ours
EARLIEST = 1900
MOST = 500  # dates of a document that are asked for its habits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZEROS = (_EPOCH, datetime(1900, 1, 1, tzinfo=UTC))  # what programs write that have no date, on some clock of the world
_ANYWHERE = timedelta(hours=14)
_BUDDHIST = 543  # years between the Thai calendar's count and ours
_MINGUO = 1911  # 民國115年 is 2026
_REIWA = 2018  # 令和1年 is 2019

Order = str  # "dmy", "mdy", "ymd", or "" where the form leaves no doubt


@dataclass(frozen=True)
class Reading:
    """One way to read a date: on the clock of its place, which is `zone` where it says one."""

    local: datetime
    zone: tzinfo | None
    order: Order = ""

    def at(self, usual: tzinfo | None) -> datetime | None:
        """The moment, in UTC; None where the calendar ends before it."""
        try:
            return self.local.replace(tzinfo=self.zone or usual or UTC).astimezone(UTC)
        except (OverflowError, ValueError):
            return None


@dataclass(frozen=True)
class Habits:
    """What a feed does elsewhere: the zone it names most often, and whether the day stands before the month."""

    zone: tzinfo | None = None
    day_first: bool | None = None


@dataclass
class Dates:
    """The dates of one document. `elsewhere` gives all of them, and is asked only once one of them leaves a doubt."""

    now: datetime
    language: str = ""
    elsewhere: Callable[[], Iterable[str]] = tuple
    zoneless: int = 0  # dates read as UTC, for want of a better zone
    unread: list[str] = field(default_factory=list)
    _habits: Habits | None = None

    def read(self, text: object) -> datetime | None:
        """A date as it stands in the document (JSON may have a number), in UTC; None for what cannot be told."""
        if isinstance(text, bool) or not isinstance(text, str | int | float) or not (said := str(text).strip()):
            return None
        if not said.strip("0-:/ TZ"):
            return None  # a database's way to say that there is none
        found = _probable(readings(said, self.language), self.now)
        if len(found) > 1:
            found = _in_order(found, self.habits.day_first, self.language)
        usual = self.habits.zone if len(found) == 1 and found[0].zone is None else None
        moment = found[0].at(usual) if len(found) == 1 else None
        if moment is None:
            self.unread.append(said)
            return None
        if moment.year < EARLIEST or any(abs(moment - zero) <= _ANYWHERE for zero in _ZEROS):
            return None  # and a program's
        if found[0].zone is None and usual is None:
            self.zoneless += 1
        return moment

    @property
    def habits(self) -> Habits:
        if self._habits is None:
            self._habits = habits(self.elsewhere(), self.language, self.now)
        return self._habits

    def trouble(self) -> list[str]:
        """In words, what an operator should know of these dates."""
        told = []
        if self.zoneless:
            told.append(f"has dates without a time zone, read as UTC: {self.zoneless}")
        if self.unread:
            example = "".join(c if c.isprintable() else "?" for c in self.unread[0][:40])
            told.append(f'has dates that cannot be read: {len(self.unread)} ("{example}")')
        return told


def habits(texts: Iterable[str], language: str, now: datetime) -> Habits:
    """What the dates of a document have in common."""
    said = [_probable(readings(text, language), now) for text, _ in zip(texts, range(MOST), strict=False)]
    named = Counter(r.zone for found in said for r in found[:1] if r.zone is not None)
    orders = {found[0].order for found in said if len(found) == 1} & {"dmy", "mdy"}
    return Habits(
        zone=named.most_common(1)[0][0] if named else None,
        day_first=orders == {"dmy"} if len(orders) == 1 else _sorted_order(said),
    )


def _sorted_order(said: list[list[Reading]]) -> bool | None:
    """Whether the day is first, told by the order of the entries: they stand by age."""
    ways = {}
    for order in ("dmy", "mdy"):
        column = [r.local for found in said for r in found if r.order == order]
        pairs = list(pairwise(column))
        ways[order] = len(set(column)) > 2 and (all(a >= b for a, b in pairs) or all(a <= b for a, b in pairs))
    return ways["dmy"] if ways["dmy"] != ways["mdy"] else None


def _probable(found: list[Reading], now: datetime) -> list[Reading]:
    """Of several readings those that can have been by now."""
    if len(found) < 2:
        return found
    past = [r for r in found if (moment := r.at(None)) is not None and moment <= now + AHEAD]
    return past or found


# Where the month stands first in numbers: the United States and a few more. Of others nobody can say.
_SAID_FIRST = (
    "en-us en-ph en-pr en-bz en-gu en-as en-mh en-mp en-um en-vi es-pa es-pr fil ceb chr ee iu ks om or ti xh blo"
)
_MONTH_FIRST = frozenset(_SAID_FIRST.split())
_EITHER = frozenset({"en", "en-ca", "zh", "ja", "ko", "hu", "af", "sw"})


def _in_order(found: list[Reading], day_first: bool | None, language: str) -> list[Reading]:
    """The one reading in the order that the feed or its language writes, else as many as there were."""
    said = language.lower()
    # Of two-digit years the language says nothing: 10-11-12.
    if day_first is None and said and not {said, said.partition("-")[0] if said[:2] != "en" else said} & _EITHER:
        day_first = None if any(r.order == "ymd" for r in found) else said not in _MONTH_FIRST
    if day_first is None:
        return found
    return [r for r in found if r.order == ("dmy" if day_first else "mdy")] or found


# "M03 4, 2026", "3-р сар 4": a number that a word counts is no part of a date in numbers alone.
_COUNTED = re.compile(r"(?<!\d)\d{1,2}-?[^\W\d_]|[^\W\d_]-?\d{1,2}(?!\d)")
# "şen, 30 awg 2025": of two words around the day the second is the month, and the first a day of the week.
_DAY_OF_WEEK = re.compile(r"\A([^\W\d_]{2,30}+)[.,]*+ ?\d{1,2}\.? (?:de |of )?([^\W\d_]{2,30}+)\D*+\d{4}")


# ---------------------------------------------------------------- one date by itself


def readings(text: str, language: str = "") -> list[Reading]:
    """All days that a text may mean, without knowing more of its feed than its language; [] for no date at all."""
    if len(text) > LONGEST:
        return []
    return list(_readings(text, language))


@lru_cache(maxsize=256)
def _readings(text: str, language: str) -> tuple[Reading, ...]:
    if (match := _USUAL.fullmatch(text)) is not None:
        return _usual(match)
    plain = _plain(_WRAPPED.sub(r"\1", text))
    if (moment := _compact(plain)) is not None:
        return (moment,)
    zone, plain = _place(text, plain)
    try:
        clock, offset, before, after = _clock(plain)
        words, numbers, marks = _words_and_numbers(f"{before} {after}")
        numbers, clock = _bare_hour(numbers, clock, offset)
    except ValueError:
        return ()
    # A zone stands after the time, or at the end where there is none ("čet" is a Thursday, and CET is not).
    last = _words_and_numbers(after)[0] if clock is not None else [word for word in words[-1:] if len(word) > 1]
    said = [word for word in last if zones.is_name(word)]
    first = _first_of_two(before)
    meant = names((word for word in words if word not in said and word != first), language)
    if first:
        meant = replace(meant, weekdays=meant.weekdays | names([first], language).weekdays)
    if said and not meant.months and (other := names(words, language)).months:
        meant, said, last = other, [], []  # Welsh August is Awst, and no zone then
    days = _days(meant, numbers, marks, len(words) - len(said))
    if len(days) > 1 and all(days.values()) and _COUNTED.search(before):
        return ()
    if meant.weekdays and len(days) > 1:
        days = {day: order for day, order in days.items() if day.weekday() in meant.weekdays} or days
    zone = offset or zone or zones.named(said or last, language) or (zones.KOREA if _KOREAN.search(plain) else None)
    clock = clock or timedelta()
    found = []
    for day, order in days.items():
        try:
            found.append(Reading(datetime(day.year, day.month, day.day) + clock, zone, order))
        except (OverflowError, ValueError):
            continue
    return tuple(found)


def _first_of_two(before: str) -> str:
    match = _DAY_OF_WEEK.match(before)
    return match[1] if match is not None and not idle(match[2]) else ""


# What nine dates of ten look like, read a few times quicker.
_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2}, ?)?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|Z|([+-])(\d\d)(\d\d))"
    r"|(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|([+-])(\d\d):?(\d\d))"
)
_SHORT = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_ABBREVIATED = {name: n for n, name in enumerate(_SHORT.split(), 1)}


def _usual(match: re.Match[str]) -> tuple[Reading, ...]:
    if match[1]:
        day, month, year, *clock, sign, hours, minutes = match.groups()[:9]
        number = _ABBREVIATED.get(month, 0)
    else:
        year, month, day, *clock, sign, hours, minutes = match.groups()[9:]
        number = int(month)
    try:
        local = datetime(int(year), number, int(day)) + _seconds(*clock)
    except (ValueError, OverflowError):
        return ()
    return (Reading(local, zones.offset(sign, hours, minutes) if sign else UTC),)


_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*+\)")
_ACCENTS = re.compile("[\u0300-\u036f]")
_DASHES = str.maketrans({"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "،": ",", "、": ",", "：": ":", "ı": "i"})
_KOREAN = re.compile("[\uac00-\ud7af]")
_LOG = re.compile(r"(?<=/\d{4}):(?=\d\d:\d\d)")  # as web servers write it
_FILE = re.compile(r"(?<=\d)[t_](\d\d)-(\d\d)-(\d\d)(?!\d)")  # and as files are named
_KEYS = re.compile(r"\A(?:start|date|created|issued)=([^;]+).*", re.S)  # Dublin Core's periods


def _comment(match: re.Match[str]) -> str:
    """What is left of a comment: the zone, where it names one."""
    inside = match[0][1:-1].strip()
    return f" {inside} " if zones.is_name(inside.casefold()) else " "


def _plain(text: str) -> str:
    """In small letters without accents and comments (RFC 5322 §3.2.2), digits of every script as ASCII ones."""
    for _ in range(8):
        text, left = _COMMENT.subn(_comment, text)
        if not left:
            break
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text).translate(_DASHES)
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = _FILE.sub(r"t\1:\2:\3", _LOG.sub(" ", " ".join(text.casefold().split())))
    return _KEYS.sub(r"\1", text)


_COMPACT_TIME = r"(?:[t ]?(?P<h>\d\d):?(?P<i>\d\d)(?::?(?P<s>\d\d)(?:[.,]\d+)?)?)?\s*(?P<z>z|[+-]\d\d(?::?\d\d)?)?"
_FORMS = [
    re.compile(form + _COMPACT_TIME)
    for form in (
        r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
        r"(?P<y>\d{4})-?w(?P<w>\d\d)(?:-?(?P<wd>[1-7]))?",
        r"(?P<y>\d{4})-?(?P<o>\d{3})(?=\D|\Z)",
    )
] + [
    re.compile(form)
    for form in (
        r"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)",
        r"(?P<y>\d\d)(?P<o>\d{3})",
        r"-(?P<y>\d\d)-?(?P<m>\d\d)",
    )
]
_WRAPPED = re.compile(r"\A(?:@|/Date\()(\d{9,19})(?:[+-]\d{4})?(?:\)/)?\Z")  # as shells and .NET write them
_COUNT = re.compile(r"(\d{9,19})(?:\.\d{1,9})?")


def _compact(text: str) -> Reading | None:
    """Forms that are nothing but digits and the letters of ISO 8601: seconds since 1970 among them."""
    if text[:1] != "-" and not text[:1].isdigit():
        return None
    if (count := _COUNT.fullmatch(text)) and len(count[1]) not in (12, 14):
        # Seconds, milliseconds, micro- and nanoseconds are told by how many digits they have.
        unit = {9: 1, 10: 1, 13: 10**3, 16: 10**6, 19: 10**9}.get(len(count[1]))
        return None if unit is None else _reading(_EPOCH.replace(tzinfo=None), timedelta(seconds=int(count[1]) // unit))
    for form in _FORMS:
        if not (match := form.fullmatch(text)):
            continue
        part = {k: v for k, v in match.groupdict().items() if v is not None}
        try:
            day = _iso_day(part)
            clock, zone = _seconds(part.get("h", "0"), part.get("i", "0"), part.get("s", "0")), part.get("z", "")
        except (ValueError, KeyError):
            continue
        offset = UTC if zone == "z" else zones.offset(zone[:1], zone[1:3], zone[3:].lstrip(":")) if zone else None
        return Reading(datetime(day.year, day.month, day.day) + clock, offset)
    return None


def _reading(start: datetime, after: timedelta) -> Reading | None:
    try:
        return Reading(start + after, UTC)
    except OverflowError:
        return None


def _iso_day(part: Mapping[str, str]) -> date:
    year = _year(part["y"])
    if "w" in part:
        return date.fromisocalendar(year, int(part["w"]), int(part.get("wd", "1")))
    if "o" in part:
        day = date(year, 1, 1) + timedelta(days=int(part["o"]) - 1)
        if day.year != year:
            raise ValueError("there is no such day of the year")
        return day
    return date(year, int(part["m"]), int(part.get("d", "1")))


def _year(digits: str) -> int:
    """A year of four digits as it is, of two or three as RFC 5322 §4.3 reads them."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _seconds(hour: str, minute: str, second: str) -> timedelta:
    """A time of day; 24:00 is the day's end, and a leap second the next minute's first."""
    h, i, s = int(hour), int(minute or 0), int(float((second or "0").replace(",", ".")))
    if h > 24 or i > 59 or s > 60 or (h == 24 and (i or s)):
        raise ValueError("there is no such time")
    return timedelta(hours=h, minutes=i, seconds=s)


_TIME = re.compile(
    r"(?<![\d:.+-])(\d{1,2}) ?(?:[:h時时点點시]|h:) ?(\d{1,2}) ?"
    r"(?:(?:[:分분]|m(?![a-z]):?) ?(\d{1,2}(?:[.,]\d{1,9})?)? ?(?:[秒초]|s(?![a-z]))?(?::00\b)?)?"
    r"(?!:?\d)"
)
_DOTTED = re.compile(r"\b(?:kl|klo|um|ore|ora|godz|ob|u|v|в|à|a las) ?\.? ?(\d{1,2})\.(\d{2})(?:\.(\d{2}))?(?![.\d])")
_LAST_DOTTED = re.compile(r"(?<=\d{4})[ ,]+(\d{1,2})\.(\d{2})(?:\.(\d{2}))?(?=\Z| )")
_UHR = re.compile(r"(?<![\d:./-])(\d{1,2})(?:\.(\d\d))?() ?(?:(?:uhr|h)\b|[時时點点시](?! ?\d))")
_HOUR = re.compile(r"(?<![\d:./-])(\d{1,2}) ?()()(?=[ap]\.? ?m\b)")
_OFFSET = re.compile(
    r":?(?P<s>[+-])[+-]?(?P<h>\d\d?)(?::?(?P<m>\d\d))?(?::?\d\d)?(?![\d:])|(?<=[a-z ])(?P<n>\d\d)(?=\Z)|[+-](?=\D)"
)
_BEFORE_TAIL = r"(?:(?<=\d) (?=[+-]{1,2}\d\d:?\d\d)|\b(?:gmt|utc|ut) ?)"
_NOON = re.compile(
    r"(?<![a-z])([ap])\.? ?m\b\.?|(午前|上午|오전|凌晨|早上)|(午後|下午|오후|晚上)|(?<![α-ω])([πμ])\.? ?μ\b\.?"
)


def _clock(text: str) -> tuple[timedelta | None, tzinfo | None, str, str]:
    """The time of day, the offset, and the text before and after them. Raises ValueError for a time that is none."""
    times = list(_TIME.finditer(text))
    if len(times) == 2 and not any(int(n.replace(",", ".").split(".")[0]) for n in times[0].groups("0")):
        text = text[: times[0].start()] + " " + text[times[0].end() :].removeprefix(".0")  # a date's own midnight
        return _clock(text)
    if len(times) > 1:
        raise ValueError("has two times")
    forms = (_UHR, _DOTTED, _LAST_DOTTED, _HOUR)
    match = times[0] if times else next(filter(None, (form.search(text) for form in forms)), None)
    noon = _NOON.search(text)
    if match is None:
        offset, before = _offset(text, _BEFORE_TAIL, tail=True)
        return None, offset, before, ""
    hour, minute, second = match.groups("")
    if noon:
        hour = _of_twelve(int(hour), bool(noon[3]) or noon[1] == "p" or noon[4] == "μ", bool(noon[1]))
    after = text[match.end() :]
    if noon and noon.start() >= match.end():
        after = text[match.end() : noon.start()] + " " + text[noon.end() :]
    before = _NOON.sub(" ", text[: match.start()]) if noon else text[: match.start()]
    before = before.rstrip(" .,-").removesuffix("t")
    offset, after = _offset(after, r"(?:[ ,]*[a-z]{1,5})? ?", tail=False)
    if offset is None:
        offset, after = _offset(after, _BEFORE_TAIL, tail=True)
    return _seconds(hour, minute, second), offset, before, after


def _of_twelve(hour: int, late: bool, letters: bool) -> str:
    if hour > 12:
        return str(hour)  # "15:04 PM" is written too
    if hour == 0 and letters and late:
        return "12"
    return str(hour % 12 + 12 * late)


def _offset(text: str, before: str, *, tail: bool) -> tuple[tzinfo | None, str]:
    """The zone in numbers, and the text without it. One that is nowhere on earth counts as not said."""
    match = re.search(f"(?P<name>{before})(?:{_OFFSET.pattern})" + (r"\Z" if tail else ""), text)
    if match is None or (not tail and match.start() > 0 and text[: match.start()].strip(" .,")):
        return None, text
    if match["s"] is None and match["n"] is None:
        raise ValueError("has an offset without digits")
    rest = text[: match.start()] + " " + ("" if match["s"] else match["name"]) + " " + text[match.end() :]
    if match["s"] is None:
        return (UTC, rest) if match["n"] == "00" else (None, rest)
    hours, minutes = match["h"], match["m"] or ""
    if len(hours + minutes) == 3:  # -700
        hours, minutes = hours[:1], hours[1:] + minutes
    return zones.offset(match["s"], hours, minutes), rest


_PLACE = re.compile(r"\b[A-Za-z]{2,20}(?:/[A-Za-z_+-]{2,30}\d{0,2}){1,2}")


def _place(text: str, plain: str) -> tuple[tzinfo | None, str]:
    """A zone by its name in the tz database ("Europe/Brussels"), and the plain text without it."""
    match = _PLACE.search(text)
    if match is None:
        return None, plain
    try:
        return ZoneInfo(match[0]), plain.replace(match[0].casefold(), " ")
    except (KeyError, ValueError, OSError):
        return None, plain


_TOKEN = re.compile(r"\d+|[^\s\d,/:;+()\[\]\"-]+")
_MARKED = {"年": "y", "년": "y", "月": "m", "월": "m", "日": "d", "일": "d", "号": "d", "號": "d"}
_MARK_AFTER = re.compile(r"(?<!\d)(\d{1,4}) ?([年년月월日일号號])")
_NAMED_MONTH = re.compile(r"\b(?:thang|thg) ?(\d{1,2})")  # Vietnamese counts months
_VIETNAMESE_DAY = re.compile(r"\A(?:thu|th|t) ?[2-7]\b,?")  # and days of the week
_REIWA_YEAR = re.compile(r"(?:令和|r) ?(\d{1,2})(?= ?年|[./]\d)")


def _words_and_numbers(text: str) -> tuple[list[str], list[tuple[str, str]], dict[str, str]]:
    """The words, the numbers each with what stands after it, and the numbers that say what they are (年月日)."""
    text = _VIETNAMESE_DAY.sub("", text)
    text = _REIWA_YEAR.sub(lambda m: str(int(m[1]) + _REIWA), text)
    marks = {_MARKED[m[2]]: m[1] for m in _MARK_AFTER.finditer(text)}
    if month := _NAMED_MONTH.search(text):
        marks["m"] = month[1]
        text = text[: month.start()] + " " + text[month.end() :]
    words, numbers = [], []
    for match in _TOKEN.finditer(text):
        if match[0][0].isdigit():
            numbers.append((match[0], text[match.end() : match.end() + 1]))
        elif word := re.sub(r"[.'’׳`´]", "", match[0]):
            words.append(word)
    if len(numbers) > 4 or any(len(n) > 4 for n, _ in numbers):
        raise ValueError("has too many numbers")
    return words, numbers, marks


def _bare_hour(
    numbers: list[tuple[str, str]], clock: timedelta | None, offset: tzinfo | None
) -> tuple[list[tuple[str, str]], timedelta | None]:
    """ "02 Jan 2006 15 -0700": a last number before an offset is the hour."""
    if clock is None and offset is not None and len(numbers) == 3 and len(numbers[1][0]) == 4:
        return numbers[:2], _seconds(numbers[2][0], "0", "0")
    return numbers, clock


def _days(meant: Names, numbers: list[tuple[str, str]], marks: Mapping[str, str], words: int) -> dict[date, Order]:
    """The days that the numbers may mean, with the order in which they then stand."""
    found: dict[date, Order] = {}
    digits = [n for n, _ in numbers]

    def add(year: str, month: str | int, day: str, order: Order = "") -> None:
        y = _year(year)
        if 2400 < y < 2700:
            y -= _BUDDHIST
        try:
            found.setdefault(date(y, int(month), int(day)), order)
        except ValueError:
            pass

    if {"y", "m", "d"} <= marks.keys():
        year = marks["y"]
        add(str(int(year) + _MINGUO) if len(year) == 3 else year, marks["m"], marks["d"])
        return found
    months = [int(marks["m"])] if "m" in marks else list(meant.months)
    if marks.get("m") in digits and len(digits) == 3:
        digits.remove(marks["m"])
    if months and not (len(digits) == 3 and meant.weekdays):
        for month in months:
            match digits:
                case [a, b] if len(a) > 2 or int(a) > 31:
                    add(a, month, b)
                case [a, b]:
                    add(b, month, a)
                case [a] if len(a) == 4 and words == 1:
                    add(a, month, "1")
        return found
    match digits:
        case [a, b, c] if len(a) > 2:
            if len(c) < 3:
                add(a, b, c)
        case [a, b, c] if len(c) > 2 or int(c) > 31:
            add(c, b, a, "dmy" if int(a) != int(b) else "")
            if numbers[0][1] != "." or int(b) > 12:
                add(c, a, b, "mdy")
        case [a, b, c]:
            add(c, b, a, "dmy" if int(a) != int(b) else "")
            if numbers[0][1] != ".":
                add(c, a, b, "mdy")
                add(a, b, c, "ymd")
        case [a, b] if len(a) == 4 and len(b) < 3 and not words:
            add(a, b, "1")
        case [a, b] if len(b) == 4 and len(a) < 3 and not words:
            add(b, a, "1")
        case [a] if len(a) == 4 and not words:
            add(a, 1, "1")
    return found
