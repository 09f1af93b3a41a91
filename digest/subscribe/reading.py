"""Which column of a list is what, and why: all of it decided before a row is taken, and nothing that smells left over.

A column that speaks of consent, of a state, of bounces or of blocking is understood, or it stops the import, or whoever
imports said that it is to be ignored. What the titles alone cannot tell, the values do (`survey`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from digest.errors import BadInput
from digest.models import SubscriptionState
from digest.subscribe import dates, presets, titles
from digest.subscribe.sheet import REFUSED, bare
from digest.subscribe.survey import Seen, Survey
from digest.subscribe.terms import MEANINGS, MeaningWanted, Terms
from digest.subscribe.titles import LEFT, STATES, TITLES, WORDS

BESIDE = "it stands beside the address"
KEPT = "fields"  # a column of the operator's own, or one that holds some as JSON
FEW = 30  # values: in a column of more, words are prose
_ADDRESS = re.compile(
    r"city|town|zip|postal|postcode|country|street|address1|province|ort$|plz|ville|ciudad|citta|miasto"
)
_POSTAL = "a part of a postal address, kept with each person"
_MAIL = re.compile(
    r"mail|メール|邮|郵|почт|пошт|м[еэ]ил|posta|correo|courriel|이메일|address|adress|sahkopost|ταχυδρ|בריד|דוא|אימייל|بريد|levelcim|ईमेल|อีเมล"
)
_DATES = ("since", "left_at", "changed_at", "blocked", "confirmed", "suppressed_at", "paused_until")


@dataclass(frozen=True)
class Use:
    """A column: what it is taken for ("" for nothing) and why."""

    index: int
    title: str
    field: str
    why: str = ""
    day_first: bool | None = None  # of its dates


@dataclass(frozen=True)
class Reading:
    """How a list is read."""

    uses: tuple[Use, ...]
    service: presets.Service | None = None
    everyone: SubscriptionState | str | None = None  # what is said of all
    words: Mapping[str, SubscriptionState | str | None] = field(default_factory=lambda: dict(WORDS))

    def at(self, name: str) -> list[Use]:
        return [use for use in self.uses if use.field == name]


def decide(
    header: list[str], first: list[str], terms: Terms, survey: Survey | None, lead: tuple[str, ...] = ()
) -> Reading:
    """Match columns with fields: what was said first, then the service's own titles, the usual ones, and the values.

    Without a header `first`, a row, shows where the address stands; `lead` are the lines before it all. Raises BadInput
    where no column holds addresses, where a column smells and is not understood, or a name says what no column does.
    """
    return _Decision(header, first, terms, survey, lead).reading()


class _Decision:
    def __init__(
        self, header: list[str], first: list[str], terms: Terms, survey: Survey | None, lead: tuple[str, ...]
    ) -> None:
        self.terms, self.survey, self.lead = terms, survey, lead
        self.header = header
        self.titles = [bare(cell) for cell in header]
        self.width = len(header or first)
        if survey is not None:  # columns beyond the titles, where most rows have them
            self.width += sum(2 * seen.filled > survey.rows for seen in survey.columns[self.width :])
        self.first = first
        self.uses: dict[int, Use] = {}
        self.service = presets.named(terms.service) if terms.service else presets.recognised(self.titles)
        self.words: dict[str, SubscriptionState | str | None] = {
            **WORDS,
            **(self.service.words if self.service else {}),
        }

    def reading(self) -> Reading:
        self._said()
        self._by_service()
        self._by_title()
        if not self.header:
            self._by_position()
        if not any(use.field == "email" for use in self.uses.values()):
            self._by_addresses()
        if not any(use.field == "email" for use in self.uses.values()):
            shown = ", ".join(repr(h) for h in self.header[:8] if h.isprintable()) or "none that can be read"
            raise BadInput(
                f"{self.terms.name} has no column of e-mail addresses; its columns are: {shown}",
                hint="say which it is with --map email=COLUMN (a title, or a number from 1)",
            )
        for index in range(self.width):
            self._rest(index)
        if self.survey is not None:
            for use in list(self.uses.values()):
                self.uses[use.index] = self._with_dates(self._checked(use))
        everyone = self._everyone()
        uses = sorted(self.uses.values(), key=lambda use: use.index)
        # Of several columns for one field the first that says something counts, in the order of our titles.
        uses.sort(key=self._rank)
        return Reading(tuple(uses), self.service, everyone, self.words)

    def _title(self, index: int) -> str:
        return self.header[index] if index < len(self.header) and self.header[index].strip() else f"column {index + 1}"

    def _rank(self, use: Use) -> int:
        title = self.titles[use.index] if use.index < len(self.titles) else ""
        if use.field in ("since", "ip"):  # where and when they confirmed is the better proof
            return titles.proven(title)
        names = TITLES.get(use.field, ())
        return names.index(title) if title in names else len(names)

    def _use(self, index: int, name: str, why: str = "") -> None:
        self.uses.setdefault(index, Use(index, self._title(index), name, why))

    def _seen(self, index: int) -> Seen | None:
        return self.survey.columns[index] if self.survey and index < len(self.survey.columns) else None

    def _said(self) -> None:
        for name, column in self.terms.mapping.items():
            if column:
                index = _column(f"--map {name}={column}", column, self.header, self.titles, width=self.width)
                self._use(index, name, "as --map says")
        for column in self.terms.ignore:
            index = _column(f"--ignore-column {column}", column, self.header, self.titles, width=self.width)
            self._use(index, "", "as --ignore-column says")

    def _by_service(self) -> None:
        if self.service is None:
            return
        why = f"as in {self.service.title}"
        for index, title in enumerate(self.titles):
            name = self.service.columns.get(title)
            if name is not None and not self._mapped_elsewhere(index, name):
                self._use(index, name, why)
            elif name is None and title in self.service.ignored:
                self._use(index, "", f"{self.service.ignored[title]}, {why}")

    def _by_title(self) -> None:
        if tuple(self.titles[:2]) == REFUSED:
            for index in range(2):
                self._use(index, "", "of a file of refused rows")
        for name, names in TITLES.items():
            for title in names:
                for index in [i for i, found in enumerate(self.titles) if found == title]:
                    if index in self.uses or self._mapped_elsewhere(index, name):
                        continue
                    if name == "email" and self.titles.index(title) != index:
                        self._use(index, "", "a second column of addresses")
                    else:
                        self._use(index, name)

    def _mapped_elsewhere(self, index: int, name: str) -> bool:
        """Whether --map put a field elsewhere, or left it out."""
        if name not in self.terms.mapping:
            return False
        said = self.terms.mapping[name]
        self._use(index, "", f"--map says where {name} is" if said else f"--map leaves {name} out")
        return True

    def _by_position(self) -> None:
        if "email" not in self.terms.mapping:
            at = [i for i, cell in enumerate(self.first) if "@" in cell][:1]
            for index in at:
                self._use(index, "email", "addresses stand in it")
            if at and self.width == 2 and "name" not in self.terms.mapping:
                seen = self._seen(1 - at[0])
                if seen is not None and (telling := self._telling(seen)):
                    raise self._stop(1 - at[0], seen, f"it has no title, and {telling} in it")
                self._use(1 - at[0], "name", BESIDE)

    def _by_addresses(self) -> None:
        """A column whose title has "mail" in it, in some language, and whose cells are addresses; else the only one."""
        if "email" in self.terms.mapping:
            return
        found: list[tuple[int, int]] = []
        for index in range(self.width):
            seen = self._seen(index)
            titled = self.width == 1 or _MAIL.search(titles.folded(self._title(index)))
            if index in self.uses or seen is None or not titled:
                continue
            if 2 * sum("@" in value for value in seen.said) > len(seen.said):
                found.append((len(seen.values), index))
        if not found:
            return
        most = max(count for count, _index in found)
        # In a column of few addresses they are somebody else's: a group's, a seller's.
        sure = [index for count, index in found if 2 * count > most]
        names = {re.sub(r"[\W\d_]", "", self._title(index).lower()) for index in sure}
        if len(names) > 1:
            shown = ", ".join(repr(self._title(index)) for index in sure[:4])
            raise BadInput(
                f"{self.terms.name} has several columns of addresses: {shown}",
                hint=f"say which is meant: --map email={self._title(sure[0])!r}",
            )
        self._use(sure[0], "email", "addresses stand in it")
        if titles.kind(self._title(sure[0])) in ("left_at", "blocked", titles.ASKED) and not self.terms.meaning:
            raise self._meaning_wanted(f"the addresses of {self.terms.name} stand under {self._title(sure[0])!r}")

    def _rest(self, index: int) -> None:
        """A column that nobody knows by its title: another word for something, the operator's own, or a stop."""
        if index in self.uses:
            return None
        seen, title = self._seen(index), self._title(index)
        smell = titles.kind(title) if self.header else ""
        if seen is not None and self._region(title, seen):
            return self._use(index, KEPT, _POSTAL)
        if smell == "other":
            return self._use(index, "", "of something else than mail")
        if seen is not None and not seen.said:
            return self._use(index, "", "nothing stands in it")
        if smell in ("state", "confirmed") and titles.aside(title) and not (seen is not None and _flags(seen)):
            smell = ""
        if smell:
            ends = smell in ("state", "confirmed") and titles.ends(title)
            found = self._understood(smell, seen) if seen is not None and not ends else ""
            if found:
                return self._use(index, found, f"by its title, and every value is understood{_once(seen)}")
            turned = "its title can say that somebody wants letters, or that they do not"
            plain = "its title speaks of consent, a state, bounces or blocking"
            raise self._stop(index, seen, turned if smell == titles.ASKED else plain)
        if seen is not None and not seen.many and len(seen.said) <= FEW:
            telling = [value for value in seen.said if titles.smells(value)]
            if telling:
                if self._understood("state", seen):
                    return self._use(index, "state", "its values are states")
                raise self._stop(index, seen, f"{telling[0]!r} stands in it")
        if seen is not None and (failed := next(filter(titles.failure, seen.said), "")):
            raise self._stop(index, seen, f"{failed[:40]!r} stands in it, as a server says that it takes no mail")
        if index >= len(self.header) or not self.header[index].strip() or not self.header[index].isprintable():
            if seen is not None and (told := self._telling(seen)):
                raise self._stop(index, seen, f"it has no title, and {told} in it")
            return self._use(index, "", "it has no title")
        if seen is not None and titles.of_letters(title) and self._answers(seen):
            raise self._stop(index, seen, "its title may speak of letters, and yes and no stand in it")
        if seen is not None and (found := self._proof(title, seen)):
            return self._use(index, found, "by its title, and by what stands in it")
        return self._use(index, KEPT, "kept with each person")

    def _telling(self, seen: Seen) -> str:
        """What stands in a column without a title that may say who gets letters, in words; else ""."""
        if seen.said and 2 * sum("@" in value[1:] for value in seen.said) > len(seen.said):
            return "more addresses stand"
        if seen.many:
            return ""
        if _yes_and_no(seen) or {*seen.said} == {"0", "1"}:
            return "yes and no stand"
        values = [] if len(seen.said) > FEW else [value for value in seen.said if titles.smells(value)]
        return f"{values[0]!r} stands" if values else ""

    def _answers(self, seen: Seen) -> bool:
        """Whether yes stands in a column, or no, or nothing, and it is not the same for all."""
        if seen.many or not seen.said or not all(titles.word(value) in titles.TICKS | titles.NO for value in seen.said):
            return False
        if all(value.isdecimal() for value in seen.said) and ({*seen.said} != {"0", "1"} or titles.counts(seen.title)):
            return False
        said = any(titles.word(value) in titles.NO for value in seen.said)
        return said or (self.survey is not None and sum(seen.said.values()) < self.survey.rows)

    def _proof(self, title: str, seen: Seen) -> str:
        """Whether a column tells when or from where somebody joined: "since", "ip" or ""."""
        found = titles.proof(title)
        if found == "since":
            return found if seen.dated is not None and seen.dated.dates and not seen.dated.others else ""
        some = list(seen.said)[:FEW]
        return found if found and some and all(map(_is_ip, some)) else ""

    def _understood(self, smell: str, seen: Seen | None) -> str:
        """The field of a column that smells, where we understand all that stands in it; else ""."""
        if seen is None or smell == titles.ASKED or (titles.counts(seen.title) and _numbers(seen)):
            return ""
        if not seen.many:
            values = list(seen.said)
            if smell == "state":
                if all(self._word(value) for value in values):
                    return smell
            elif all(self._flag(value) or self._word(value) for value in values):
                return smell
        dated = seen.dated
        if dated is not None and dated.dates and not dated.others:
            return self._dated(seen) if smell == "state" else smell
        return ""

    def _dated(self, seen: Seen) -> str:
        """What dates of consent are: since when, or who has given it at all, where some have none."""
        empty = not seen.many and sum(seen.said.values()) < (self.survey.rows if self.survey else 0)
        return "confirmed" if empty or (seen.many and self.survey and seen.filled < self.survey.rows) else "since"

    def _word(self, value: str) -> bool:
        words = titles.listed(value)
        return bool(words) and all(word in self.words for word in words)

    def _flag(self, value: str) -> bool:
        return titles.word(value) in titles.TICKS or titles.word(value) in titles.NO or dates.no_date(value)

    def _checked(self, use: Use) -> Use:
        """A column that is known by its title, once more by what stands in it."""
        seen = self._seen(use.index)
        if seen is not None and use.field == "tags" and use.why != "as --map says":
            for value in seen.said:
                if telling := [one for one in re.split(r"[,;|]", value) if titles.smells(one.strip(' "[]'))]:
                    raise self._stop(use.index, seen, f"{telling[0].strip()!r} stands in it", field="tags")
        if seen is None or use.field not in STATES:
            return use
        if use.field == "state" and not use.why and self._region(use.title, seen):
            return Use(use.index, use.title, KEPT, _POSTAL)
        if not seen.said:
            return use
        if use.field == "state":
            if any(self._word(value) for value in seen.said):
                return use
            if seen.dated is not None and seen.dated.dates and not seen.dated.others:
                return Use(use.index, use.title, self._dated(seen), "dates stand in it")
            if use.why == "as --map says" or seen.many:
                return use
        elif (
            any(self._flag(v) or self._word(v) for v in seen.said)
            or (seen.dated is not None and seen.dated.dates)
            or (use.field == "blocked" and use.why)
        ):
            return use
        raise self._stop(use.index, seen, "it speaks of who gets letters, and none of its values is one that we know")

    def _region(self, title: str, seen: Seen) -> bool:
        """Whether a column of states holds those of a country: some of their codes are words too (NE, ON, SI)."""
        if bare(title) not in ("state", "estado", "stato"):
            return False
        codes = bool(seen.said) and all(len(value) == 2 and value.isupper() for value in seen.said)
        words = sum(self._word(value) for value in seen.said)
        if any(_ADDRESS.search(titles.folded(one)) for one in self.titles):
            return words < len(seen.said) if codes else not words and not any(map(titles.smells, seen.said))
        return codes and words < len(seen.said) and not {"SI", "NO"} <= seen.said.keys()  # beside NS these are answers

    def _with_dates(self, use: Use) -> Use:
        seen = self._seen(use.index)
        if use.field not in _DATES or seen is None or seen.dated is None:
            return use
        day_first, told = seen.dated.order(self.terms.dates)
        if not told or (self.terms.dates and seen.dated.either is None and not seen.dated.day_first
                        and not seen.dated.month_first):  # fmt: skip
            return use
        return Use(use.index, use.title, use.field, "; ".join(filter(None, (use.why, told))), day_first)

    def _stop(self, index: int, seen: Seen | None, why: str, *, field: str = "") -> BadInput:
        values = ", ".join(repr(value) for value in list(seen.said)[:4]) if seen is not None else ""
        shown = f" (in it: {values})" if values else ""
        title = self._title(index)
        return BadInput(
            f"the column {title!r} of {self.terms.name} is not understood: {why}{shown}",
            hint="say whose export it is with --from SERVICE, or what the column is, as in "
            + (f"--map {field}={title!r} for what it is called, " if field else "")
            + f"--map state={title!r} (or left_at, blocked, confirmed), or leave it out on purpose: "
            f"--ignore-column {title!r}",
        )

    def _everyone(self) -> SubscriptionState | str | None:
        """What is said of all: by `--as`, or by titles that only lists of one kind have."""
        if self.terms.meaning:
            return MEANINGS[self.terms.meaning]
        if "state" not in self.terms.mapping:
            for title, meaning in (self.service.everyone if self.service else {}).items():
                if title in self.titles:
                    return meaning
            if "cleantime" in self.titles:
                return titles.BOUNCED
            if "unsubtime" in self.titles:
                return LEFT
        if any(use.field in (*STATES, "suppressed") for use in self.uses.values()):
            return None
        nobody = f"no column of {self.terms.name} says who gets letters"
        if titles.tells_otherwise(self.terms.name.rpartition(".")[0] or self.terms.name):
            raise self._meaning_wanted(f"{nobody}, and its name sounds as if nobody did")
        for use in self.uses.values():
            seen = self._seen(use.index)
            if use.field == KEPT and titles.tells_why(use.title) and seen is not None and seen.said:
                raise self._meaning_wanted(f"{nobody}, and {use.title!r} may be why they do not")
        if told := next((line for line in self.lead if titles.heading(line) is False), ""):
            raise self._meaning_wanted(f"{nobody}, and it begins with {told[:60]!r}")
        if not self.header and re.search(r"-all\.csv$", self.terms.name):  # Sendy's: with those who left, unmarked
            raise self._meaning_wanted(
                f"{nobody}, and in a list of that name those who left may stand among the others"
            )
        return None

    def _meaning_wanted(self, why: str) -> MeaningWanted:
        return MeaningWanted(
            why, hint="say what its people are: --as active, --as pending, --as unsubscribed or --as suppressed"
        )


def _yes_and_no(seen: Seen) -> bool:
    """Whether nothing else stands in a column, and no at least once."""
    words = {titles.word(value) for value in seen.said}
    return words <= titles.TICKS | titles.NO and any(word in titles.NO and not word.isdecimal() for word in words)


def _flags(seen: Seen) -> bool:
    """Whether yes or no stands in a column, in letters."""
    words = {titles.word(value) for value in seen.said}
    return any(word in titles.TICKS | titles.NO and not word.isdecimal() for word in words)


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value.strip())
    except ValueError:
        return False
    return True


def _numbers(seen: Seen) -> bool:
    return bool(seen.said) and all(value.isdecimal() for value in seen.said)


def _once(seen: Seen | None) -> str:
    return "" if seen is None or seen.many else f" ({', '.join(list(seen.said)[:4])})"


def _column(said: str, column: str, header: list[str], names: list[str], *, width: int) -> int:
    exact = [index for index, title in enumerate(header) if title.strip().lower() == column.strip().lower()]
    if exact:
        return exact[0]
    if bare(column) and bare(column) in names:
        return names.index(bare(column))
    number = column.removeprefix("column ")  # as one without a title is called
    if number.isdecimal() and 1 <= int(number) <= width:
        return int(number) - 1
    shown = ", ".join(repr(h) for h in header if h.isprintable()) or f"1 to {width}"
    raise BadInput(f"{said}: there is no such column", hint=f"there are: {shown}")
