"""A row of cells as a person, by the reading of a list's columns (`reading.decide`).

Where several columns speak of the state (a status, a date of leaving, a flag) the most restrictive wins, and a word
nobody knows makes nobody a subscriber.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from digest import taste
from digest.errors import BadInput
from digest.models import SubscriptionState, address_key
from digest.store.imports import stamp_of
from digest.subscribe import dates, fields
from digest.subscribe.address import MAX_NAME, display_name, erasure_mark, tags_of
from digest.subscribe.mailboxes import decoded, mailbox, name_only
from digest.subscribe.preferences import Preferences, checked
from digest.subscribe.reading import BESIDE, KEPT, Reading, Use, decide
from digest.subscribe.sheet import BELOW, REFUSED, Record
from digest.subscribe.survey import Survey
from digest.subscribe.terms import Terms
from digest.subscribe.titles import (
    ACTIVE,
    COMPLAINED,
    LEFT,
    NO,
    NOTHING,
    PAUSED,
    PENDING,
    STATES,
    TICKS,
    TITLES,
    heading,
    listed,
    reason,
    smells,
    word,
)
from digest.taste import Taste

MAX_CELL = 10_000  # characters of a cell that says something of a person
AHEAD = timedelta(days=1)  # clocks and zones of other services
SHOWN = 20  # cells named that say nothing
_RANK = {NOTHING: -1, ACTIVE: 0, PAUSED: 1, PENDING: 2, LEFT: 3}
REMEMBERED = 5_000  # ways to say a state, or choices, of one list
_Said = SubscriptionState | str | None
_Standing = tuple[str, str, datetime | None, datetime | None]
_UNSAID = Preferences()


class Person(NamedTuple):
    """A row as we read it.

    `state` is "" where all it says is `reason`: why the address gets no letters.
    """

    email: str
    key: str
    mark: str  # of an erasure, should they have been erased
    name: str
    state: str
    rank: int  # how much the state holds back: among rows for one person the highest counts
    preferences: Preferences
    tags: list[str]
    since: datetime | None
    changed_at: datetime | None
    paused_until: datetime | None
    ip: str
    consent: str
    reason: str
    status: str
    suppressed_at: datetime | None
    fields: dict[str, str]  # the operator's own, by title
    stamp: int  # of what a later change would change, see `stamp_of`

    def row(self) -> dict[str, object]:
        """The same in the columns of `imports.add_rows`."""
        columns = self._asdict()
        columns.update(_kept(columns.pop("preferences")))
        return columns


def _cells_of(indexes: Iterable[int]) -> Callable[[list[str]], Hashable]:
    """What stands in these columns of a row that has them all, as a key."""
    some = tuple(indexes)
    return itemgetter(*some) if some else lambda _cells: ""


class Columns:
    """Where in a row each field stands. `find` reads the titles, `person` reads a row.

    `header` is the file's own or, where it has none, one that `find` would understand.
    """

    def __init__(self, header: list[str], reading: Reading, terms: Terms, survey: Survey | None = None) -> None:
        self.header = header
        self.reading = reading
        self.unread = 0  # cells that ought to be dates and are none
        self.unread_first: list[str] = []
        self._terms = terms
        self._known_topics = frozenset(terms.known_topics)
        names = (*TITLES, "unsub_reason", "consent", "suppressed", "suppressed_at")
        self._at: dict[str, list[Use]] = {name: reading.at(name) for name in names}
        kept = sorted(self._at[KEPT], key=lambda use: use.index)[: fields.MOST]
        # Of several proofs of consent the best counts (`titles.proven`), and the others are kept as they are.
        dated = survey is not None and any(survey.dated(use.index) for use in self._at["confirmed"])
        kept += [*self._at["since"][0 if dated else 1 :], *self._at["ip"][1:]][: fields.MOST - len(kept)]
        self._kept = [(use, display_name(use.title[:MAX_NAME])[:60]) for use in kept]
        self._tasting = any(self._at[field] for field in taste.NAMES)
        self._choosing = self._tasting or any(self._at[field] for field in _CHOICES)
        self._saying = _cells_of(
            use.index for name in (*STATES, "unsub_reason", "suppressed") for use in self._at[name]
        )
        self._stood: dict[Hashable, _Standing] = {}
        self._telling = _cells_of(use.index for name in (*_CHOICES, *taste.NAMES) for use in self._at[name])
        self._chose: dict[Hashable, Preferences] = {}
        self._line = 0
        self._beside = any(use.why == BESIDE for use in self._at["name"])
        self._below = ""  # a heading, or a comment, that says that who stands below it is no reader
        self._sections = not terms.meaning and not any(self._at[field] for field in (*STATES, "suppressed"))
        self._refused = not terms.meaning and tuple(header[:2]) == REFUSED
        self._width = max((use.index for use in reading.uses), default=0) + 1
        self._survey = survey

    @classmethod
    def find(
        cls,
        header: list[str],
        first: list[str],
        mapping: Mapping[str, str],
        terms: Terms,
        survey: Survey | None = None,
        lead: tuple[str, ...] = (),
    ) -> Columns:
        """Match titles with fields, `mapping` first, see `reading.decide`, whose BadInput it raises."""
        if mapping:
            terms = replace(terms, mapping=mapping)
        reading = decide(header, first, terms, survey, lead)
        by_index = {use.index: use.field for use in reading.uses if use.field not in ("", KEPT)}
        return cls(header or [by_index.get(i, f"column {i + 1}") for i in range(len(first))], reading, terms, survey)

    def effects(self, use: Use) -> tuple[tuple[str, int, str], ...]:
        """What the values of a column that speaks of the state do, each with how often it stands there."""
        if self._survey is None or use.field not in STATES or use.index >= len(self._survey.columns):
            return ()
        seen, found = self._survey.columns[use.index], []
        for value, count in () if seen.many else seen.values.most_common():
            try:
                match use.field:
                    case "state":
                        meaning = self._state(value)
                    case "left_at":
                        meaning = LEFT if self._left_quietly(value, use) else None
                    case "blocked":
                        meaning = self._blocked(value, use)[0]
                    case _:
                        meaning = self._confirmed(value, use)
                found.append((value, count, str(meaning) if meaning else "says nothing"))
            except BadInput:
                found.append((value, count, "refused"))
        return tuple(found)

    def _left_quietly(self, value: str, use: Use) -> bool:
        unread, first = self.unread, list(self.unread_first)
        try:
            return self._left(value, use)[0] is not None
        finally:
            self.unread, self.unread_first = unread, first

    def person(self, record: Record) -> Person:
        """The person of a row; BadInput says what is wrong with it."""
        if record.above and self._sections:
            self._section(record.above)
        if record.problem:
            raise BadInput(record.problem)
        cells, self._line = record.cells, record.line
        if len(cells) > self._width:
            self._beyond(cells)
        elif len(cells) < self._width:
            cells = [*cells, *[""] * (self._width - len(cells))]
        email, called = mailbox(self._cell(cells, "email"))
        if self._below:
            raise BadInput(f"{BELOW} {self._below[:40]!r}: import that part by itself, with --as and what it is")
        if self._refused and len(cells) > 1 and cells[1].startswith(BELOW):
            raise BadInput(f"{cells[1]}; or empty its reason here, where it is a reader")
        state, why, left_at, stopped_at = self._standing_of(cells)
        name = self._name(cells) or called
        if self._beside and name:
            name_only(name)
        if "=?" in name:
            name = decoded(name)
        key = address_key(email)
        labels = self._cell(cells, "tags")
        shown, tags, kept = display_name(name), tags_of(_listing(labels)) if labels else [], self._fields(cells)
        return Person(
            email=email,
            key=key,
            mark=erasure_mark(key, self._terms.secret),
            name=shown,
            state=state,
            rank=_RANK[state],
            preferences=self._chosen(cells),
            tags=tags,
            since=(self._confirmed_at(cells) if self._at["confirmed"] else None) or self._time(cells, "since"),
            changed_at=(self._time(cells, "changed_at") if self._at["changed_at"] else None) or left_at,
            paused_until=self._time(cells, "paused_until", future=True) if state == PAUSED else None,
            ip=_ip(self._cell(cells, "ip")) if self._at["ip"] else "",
            consent=(display_name(self._cell(cells, "consent")) if self._at["consent"] else "") or self._terms.how,
            reason=why,
            status=display_name(self._cell(cells, "suppressed_status")) if self._at["suppressed_status"] else "",
            suppressed_at=(self._time(cells, "suppressed_at") if self._at["suppressed_at"] else None) or stopped_at,
            fields=kept,
            stamp=stamp_of(shown, tags, kept),
        )

    def _section(self, above: str) -> None:
        """Heed what comments and headings above a row say of all below."""
        for line in above.split("\n"):
            said = heading(line)
            if said is not None:
                self._below = "" if said else line

    def _beyond(self, cells: list[str]) -> None:
        """Refuse a row with more cells than there are columns where that may hide something, or shift it."""
        more = [cell for cell in cells[self._width :] if cell.strip()]
        if not more:
            return
        told = next((cell for cell in more if "@" in cell or smells(cell) or word(cell) in NO), "")
        if told or any(self._at[field] for field in STATES):
            shown = told or more[0]
            raise BadInput(f"the row has more cells than there are columns: {shown.strip()[:40]!r} stands beyond them")

    def _name(self, cells: list[str]) -> str:
        """A whole name; beside a first name, "Nom", "Name" or "Naam" says the last one in many languages."""
        name = self._cell(cells, "name")
        if not (self._at["first_name"] or self._at["last_name"]):
            return name
        first, last = self._cell(cells, "first_name"), self._cell(cells, "last_name")
        if not name:
            return f"{first} {last}"
        if last and not first:  # "Nome" beside "Cognome" says the first one
            return name if last.casefold() in name.casefold() else f"{name} {last}"
        whole = last or not first or first.casefold() in name.casefold()
        return name if whole else f"{first} {name}"

    def _chosen(self, cells: list[str]) -> Preferences:
        """The same as `_choices`, which people say in few ways."""
        if not self._choosing:
            return _UNSAID
        telling = self._telling(cells)
        found = self._chose.get(telling)
        if found is None:
            found = self._choices(cells)
            if len(self._chose) < REMEMBERED:
                self._chose[telling] = found
        return found

    def _choices(self, cells: list[str]) -> Preferences:
        found = _preferences(*(self._cell(cells, field) for field in _CHOICES), known_topics=self._known_topics)
        mine = tuple(self._cell(cells, field) for field in taste.NAMES) if self._tasting else ()
        return replace(found, **vars(_taste(mine, self._known_topics))) if any(mine) else found

    def _standing_of(self, cells: list[str]) -> _Standing:
        """The same as `_standing`, which few cells decide about, in few ways."""
        telling = self._saying(cells)
        found = self._stood.get(telling)
        if found is None:
            unread = self.unread
            found = self._standing(cells)
            if unread == self.unread and len(self._stood) < REMEMBERED:  # a row that is to be named is read each time
                self._stood[telling] = found
        return found

    def _raw(self, cells: list[str], use: Use) -> str:
        return cells[use.index][:MAX_CELL].strip() if use.index < len(cells) else ""

    def _cell(self, cells: list[str], field: str) -> str:
        """The first of a field's columns that says something."""
        for use in self._at[field]:
            if use.index >= len(cells) or not (cell := cells[use.index]):
                continue
            if len(cell) > MAX_CELL:
                raise BadInput(f"the {field.replace('_', ' ')} is longer than {MAX_CELL:,} characters")
            if not cell[0].isalnum() or len(cell) < 5:  # what says nothing is short, or begins with a sign
                if cell in _NULLS or not cell.strip("-–—# ") or (field in _WORDS_OF_OURS and dates.nothing(cell)
                                                                 and cell != "."):  # fmt: skip
                    continue
                return cell if self._terms.raw else from_text(cell)
            if field not in _WORDS_OF_OURS or not dates.nothing(cell):
                return cell
        return ""

    def _fields(self, cells: list[str]) -> dict[str, str]:
        """What the operator's own columns say; a column of JSON says several things."""
        kept: dict[str, str] = {}
        for use, title in self._kept:
            cell = self._raw(cells, use)
            if not cell or cell in _NULLS:
                continue
            cell = cell if self._terms.raw else from_text(cell)
            some = _object(cell)
            if some is None:
                kept[title] = cell[: fields.LONGEST]
            else:
                kept |= some
        return dict(list(kept.items())[: fields.MOST]) if len(kept) > fields.MOST else kept

    def _standing(self, cells: list[str]) -> _Standing:
        """The state, why the address gets no letters or "", and since when it is so and gets none.

        Of all that is said, what holds back the most.
        """
        everyone = self.reading.everyone
        said: list[_Said] = [] if everyone is None else [everyone]
        left_at = stopped_at = None
        said += [self._state(self._raw(cells, use)) for use in self._at["state"]]
        for use in self._at["left_at"]:
            meaning, at = self._left(self._raw(cells, use), use)
            said.append(meaning)
            left_at = left_at or at
        for use in self._at["blocked"]:
            meaning, at = self._blocked(self._raw(cells, use), use)
            said.append(meaning)
            stopped_at = stopped_at or at
        said += [self._confirmed(self._raw(cells, use), use) for use in self._at["confirmed"]]
        said += [COMPLAINED for use in self._at["unsub_reason"] if self._raw(cells, use).lower() == "abuse"]
        own_reason = display_name(self._cell(cells, "suppressed"))
        states = [s for s in said if isinstance(s, SubscriptionState)]
        theirs = [f"{s} ({self._terms.how})" for s in said if s is not None and not isinstance(s, SubscriptionState)]
        reasons = [own_reason, *theirs] if own_reason else theirs
        if not states and not reasons:
            if self._at["state"]:
                raise BadInput("the state is empty, so nothing says that they want it")
            states = [ACTIVE]
        state = max(states, key=lambda s: _RANK[s], default=NOTHING)
        if reasons and not own_reason and state != LEFT:
            state = NOTHING
        if state == PENDING and self._terms.confirmed:
            state = ACTIVE
        return str(state), reasons[0] if reasons else "", left_at, stopped_at

    def _state(self, cell: str) -> _Said:
        words = self.reading.words
        if word(cell) in words:
            return words[word(cell)]
        if not cell or dates.nothing(cell):
            return words.get("")
        said = [words.get(one) for one in listed(cell)]
        if not said or None in said:
            raise BadInput(f"the state {cell[:40]!r} is not one we know")
        # A list of channels, or of consents: mail among them is enough.
        return ACTIVE if ACTIVE in said else said[0]

    def _left(self, cell: str, use: Use) -> tuple[_Said, datetime | None]:
        """What a date of leaving says, or a flag; BadInput for what is neither."""
        if not cell or word(cell) in NO or dates.no_date(cell):
            return None, None
        if word(cell) in TICKS:
            return LEFT, None
        meaning = self.reading.words.get(word(cell))
        if meaning is not None:
            return (None, None) if meaning == ACTIVE else (meaning, None)
        if dates.read(cell, day_first=use.day_first) is None:
            raise BadInput(f"the column {use.title!r} says {cell[:40]!r}, which we do not understand")
        return LEFT, self._date(cell, use)

    def _blocked(self, cell: str, use: Use) -> tuple[_Said, datetime | None]:
        """Whether an address gets no letters, by a flag, a date or a word; BadInput for what is none of them."""
        if not cell or word(cell) in NO or dates.no_date(cell):
            return None, None
        if word(cell) in TICKS:
            return reason(use.title), None
        said = [self.reading.words.get(one) for one in listed(cell)]
        if said and None not in said:
            harsh = [s for s in said if s not in (ACTIVE, PENDING, PAUSED)]
            return (max(harsh, key=lambda s: s != LEFT), None) if harsh else (None, None)
        at = dates.read(cell, day_first=use.day_first)
        if at is None:
            raise BadInput(f"the column {use.title!r} says {cell[:40]!r}, which we do not understand")
        return reason(use.title), self._date(cell, use)

    def _confirmed(self, cell: str, use: Use) -> _Said:
        """Whether they have confirmed, by a flag, a date or a word; empty is no."""
        if not cell or dates.nothing(cell):
            return PENDING
        if word(cell) in TICKS:
            return self.reading.words.get(word(cell), ACTIVE)
        meaning = self.reading.words.get(word(cell))
        if meaning is not None:
            return PENDING if meaning == LEFT and word(cell) in NO else meaning
        if dates.no_date(cell):
            return PENDING
        if dates.read(cell, day_first=use.day_first) is None:
            raise BadInput(f"the column {use.title!r} says {cell[:40]!r}, which we do not understand")
        return ACTIVE

    def _confirmed_at(self, cells: list[str]) -> datetime | None:
        for use in self._at["confirmed"]:
            cell = self._raw(cells, use)
            if cell and not dates.no_date(cell) and dates.read(cell, day_first=use.day_first) is not None:
                return self._date(cell, use)
        return None

    def _time(self, cells: list[str], field: str, *, future: bool = False) -> datetime | None:
        """The first of a field's columns that holds a date; BadInput for one that is still to come."""
        for use in self._at[field]:
            cell = self._raw(cells, use)
            if cell and not dates.no_date(cell) and (at := self._date(cell, use, future=future)) is not None:
                return at
        return None

    def _date(self, cell: str, use: Use, *, future: bool = False) -> datetime | None:
        at = dates.read(cell, day_first=use.day_first)
        if at is None:
            self.unread += 1
            if len(self.unread_first) < SHOWN:
                self.unread_first.append(
                    f"line {self._line}: {cell[:40]!r} in {use.title!r} is no date, and says nothing"
                )
            return None
        if not future and at > self._terms.now:
            if at > self._terms.now + AHEAD:
                raise BadInput(f"the date {cell[:40]!r} in {use.title!r} is still to come")
            return self._terms.now
        return at


# What spreadsheets show where a formula came to nothing, in the languages of our readers.
_ERRORS = (
    "#N/A", "#NAME?", "#REF!", "#VALUE!", "#NULL!", "#NUM!", "#DIV/0!", "#SPILL!", "#CALC!", "#FIELD!", "#ERROR!",
    "#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#NOM?", "#VALEUR!", "#NOMBRE!", "#¿NOMBRE?", "#¡REF!", "#¡VALOR!",
    "#¡NUM!", "#¡DIV/0!", "#N/D", "#ND", "#NOME?", "#RIF!", "#VALORE!", "#VALOR!", "#NAAM?", "#VERW!", "#WAARDE!",
    "#GETAL!", "#N/B", "#NAZWA?", "#ADR!", "#ARG!", "#LICZBA!", "#ИМЯ?", "#ССЫЛКА!", "#ЗНАЧ!", "#Н/Д", "#ЧИСЛО!",
    "#ДЕЛ/0!",
)  # fmt: skip
_NULLS = frozenset(("NULL", "null", "\\N", "(null)", "<null>", "None", "N/A", "n/a", *_ERRORS))


def _object(cell: str) -> dict[str, str] | None:
    """The names and values of a cell of JSON, all of them text, or None where it is none."""
    if cell[:1] != "{" or cell[-1:] != "}":
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    kept = {}
    for name, value in found.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if value is not None and text.strip():
            kept[display_name(name[: fields.LONGEST_NAME])] = text[: fields.LONGEST]
    return kept


def _listing(cell: str) -> list[str]:
    """Several words in one cell: JSON, or CSV within the CSV."""
    text = " ".join(cell.split())
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return _once(words)
    if "," not in text and '"' not in text:
        return _once(re.split("[;|]", text))  # as spreadsheets of half of Europe have lists
    return _once(next(csv.reader([text], skipinitialspace=True), ()))


def _once(words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(word.strip() for word in words) if word]


_WORDS_OF_OURS = frozenset(("topics", "tags", "cadence", "hour", "zone", "language", "format", *taste.NAMES))
_CHOICES = ("topics", "cadence", "hour", "zone", "language", "format")
# A mail's format; other services' words for anything else are none of ours.
_FORMATS = {"text": True, "plain": True, "plaintext": True}


@lru_cache(maxsize=1_000)
def _preferences(
    topics: str, cadence: str, hour: str, zone: str, language: str, format_: str, *, known_topics: frozenset[str]
) -> Preferences:
    """What the cells of a row choose; BadInput where we cannot keep it.

    A zone without an hour, a language or a format that we do not know is another service's, and left out.
    """
    try:
        found = checked(Preferences(topics=tuple(_listing(topics))), known_topics)
    except BadInput as error:
        raise BadInput(f"{error}; {error.hint}") from None
    try:
        number = int(hour) if hour.strip() else None
        found = replace(found, cadence=checked(Preferences(cadence=cadence, hour=number), ()).cadence, hour=number)
    except (BadInput, ValueError):
        wrong = f"{cadence!r} is not a cadence" if not hour.strip() else f"{cadence!r} {hour!r} is no cadence and hour"
        raise BadInput(f"{wrong}; write 'daily', 'weekdays' or 'weekly mon', and 0 to 23") from None
    try:
        found = replace(found, zone=checked(Preferences(zone=zone.strip()), ()).zone)
    except BadInput:
        if number is not None:
            raise
    with suppress(BadInput):
        found = replace(found, language=checked(Preferences(language=language), ()).language)
    return replace(found, plain=_FORMATS.get(format_.strip().lower(), False))


@lru_cache(maxsize=1_000)
def _kept(chosen: Preferences) -> dict[str, object]:
    """Choices in the columns of `imports.add_rows`."""
    kept = {name: value for name, value in vars(chosen).items() if name not in taste.NAMES}
    return kept | {"taste": chosen.taste.stored, "taste_key": chosen.taste.key}


def _taste(cells: tuple[str, ...], known_topics: frozenset[str]) -> Taste:
    """What the cells of a row want and mute, in the order of `taste.NAMES`; BadInput where we cannot keep it."""
    most, *lists = cells
    number = most.strip()
    if number and not (number.isascii() and number.isdecimal() and len(number) < 5):
        raise BadInput(f"{most[:40]!r} is no number of stories; write 1 to {taste.MOST}")
    some = (tuple(_listing(cell)) for cell in lists)
    said = Taste(int(number) if number else None, *some)
    try:
        return checked(replace(_UNSAID, **vars(said)), known_topics).taste
    except BadInput as error:
        raise BadInput(f"{error}; {error.hint}".removesuffix("; ")) from None


def _ip(cell: str) -> str:
    if not cell:
        return ""
    try:
        return str(ipaddress.ip_address(cell.strip()))
    except ValueError:
        return ""


# A spreadsheet runs cells that begin so (OWASP, "CSV Injection"); full-width forms count in some languages.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def to_text(cell: str) -> str:
    """A cell that a spreadsheet shows and does not run: a quote before what would be a formula.

    What begins with such quotes and then a formula gets one more, so that `from_text` undoes it exactly.
    """
    return f"'{cell}" if _runs(cell) else cell


def from_text(cell: str) -> str:
    """A cell as it was before `to_text`."""
    return cell[1:] if cell[:1] == "'" and _runs(cell) else cell


def _runs(cell: str) -> bool:
    return cell.lstrip("'").startswith(_FORMULA)
