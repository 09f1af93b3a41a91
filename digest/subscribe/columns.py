"""What the columns of other services' lists mean, and a row of cells as a person.

Where several columns speak of the state (a status, a date of leaving, a flag) the most restrictive wins, and a word
nobody knows makes nobody a subscriber.
"""

from __future__ import annotations

import csv
import ipaddress
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

from digest.errors import BadInput
from digest.models import SubscriptionState, address_key
from digest.subscribe.address import MAX_NAME, address, display_name, erasure_mark, tag
from digest.subscribe.preferences import Preferences, checked
from digest.subscribe.sheet import EMAIL_TITLES, Record, bare
from digest.values import Evidence

ACTIVE, PENDING = SubscriptionState.ACTIVE, SubscriptionState.PENDING
PAUSED, LEFT = SubscriptionState.PAUSED, SubscriptionState.UNSUBSCRIBED
MAX_CELL = 10_000  # characters of a cell that says something of a person
NOTHING = ""  # a row that only says that an address gets no letters

# Titles, in small letters and without anything but letters and digits.
TITLES: dict[str, tuple[str, ...]] = {
    "email": EMAIL_TITLES,
    "name": ("name", "fullname", "displayname", "subscribername"),
    "first_name": ("firstname", "fname", "givenname", "vorname", "prenom", "nombre"),
    "last_name": ("lastname", "lname", "surname", "familyname", "nachname", "apellido", "apellidos"),
    "state": ("state", "status", "subscriptionstatus", "subscriberstatus", "emailstatus", "subscribed",
              "subscribedtoemails", "optin"),
    "topics": ("topics",),
    "cadence": ("cadence",),
    "hour": ("hour",),
    "zone": ("zone", "timezone"),
    "language": ("language", "locale"),
    "format": ("format",),
    "tags": ("tags", "labels"),
    "since": ("subscribedat", "confirmtime", "optintime", "createdat", "creationdate", "startdate", "subscribedate"),
    "left_at": ("unsubscribedat", "unsubtime", "unsubscribedate", "optouttime", "deletedat"),
    "ip": ("confirmip", "optinip", "ipaddress", "ip"),
    "paused_until": ("pauseduntil",),
    "changed_at": ("changedat", "cleantime"),
    "consent": ("consent",),
    "suppressed": ("suppressed",),
    "suppressed_status": ("suppressedstatus",),
    "suppressed_at": ("suppressedat",),
}  # fmt: skip
MAPPABLE = tuple(TITLES)[: list(TITLES).index("ip") + 1]

_BOUNCED, _COMPLAINED, _BLOCKED = "bounced", "complained", "blocklisted"
# What a word says: a state, or why the address gets no letters at all.
WORDS: dict[str, SubscriptionState | str] = {
    **dict.fromkeys(("active", "subscribed", "enabled", "confirmed", "true", "yes", "1", "y", "on"), ACTIVE),
    **dict.fromkeys(("regular", "premium", "gifted", "trialed"), ACTIVE),
    **dict.fromkeys(("pending", "unconfirmed", "unactivated", "non-subscribed", "nonsubscribed"), PENDING),
    "paused": PAUSED,
    **dict.fromkeys(("unsubscribed", "unsubscribe", "unsub", "unsubbed", "left", "optout", "opted-out"), LEFT),
    **dict.fromkeys(("cancelled", "canceled", "disabled", "removed", "deleted", "archived", "inactive"), LEFT),
    **dict.fromkeys(("false", "no", "0", "n", "off"), LEFT),
    **dict.fromkeys(("bounced", "cleaned", "undeliverable", "unreachable", "hard-bounced", "invalid"), _BOUNCED),
    **dict.fromkeys(("complained", "complaint", "spam", "abuse", "junk"), _COMPLAINED),
    **dict.fromkeys(("blocklisted", "blacklisted", "blocked", "banned"), _BLOCKED),
}  # fmt: skip
_RANK = {NOTHING: -1, ACTIVE: 0, PAUSED: 0, PENDING: 1, LEFT: 2}


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

    def row(self) -> dict[str, object]:
        """The same in the columns of `imports.add_rows`."""
        columns = self._asdict()
        chosen = columns.pop("preferences")
        return columns | vars(chosen)


@dataclass(frozen=True)
class Terms:
    """On which terms a list is taken in."""

    name: str  # of the file
    now: datetime
    known_topics: Collection[str]
    secret: str  # the settings' key, see `erasure_mark`
    vouched_by: str  # who says that these people want it
    confirmed: bool = False  # whom the file calls unconfirmed has confirmed
    raw: bool = False  # no cell was quoted against spreadsheets

    @cached_property
    def how(self) -> str:
        return display_name(f"import {self.name[: MAX_NAME // 2]}")

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.how, self.now, vouched_by=self.vouched_by)


class Columns:
    """Where in a row each field stands. `find` reads the titles, `person` reads a row.

    `header` is the file's own or, where it has none, one that `find` would understand.
    """

    def __init__(self, header: list[str], at: dict[str, list[int]], terms: Terms) -> None:
        self._at = at
        self._terms = terms
        self._known_topics = frozenset(terms.known_topics)
        self.header = header
        self._everyone: SubscriptionState | str | None = None  # what the titles alone say
        self._words = WORDS
        self._flags: list[tuple[int, Callable[[str], SubscriptionState | str | None]]] = []

    @classmethod
    def find(
        cls,
        header: list[str],
        first: list[str],
        mapping: Mapping[str, str],
        terms: Terms,
    ) -> Columns:
        """Match titles with fields, `mapping` first (field → title or number from 1; "" leaves a field out).

        Without a header (`header` empty) `first`, a row, shows where the address stands.
        BadInput where no column holds addresses, or the mapping names what is not there.
        """
        titles = [bare(cell) for cell in header]
        at: dict[str, list[int]] = {}
        for field, names in TITLES.items():
            at[field] = [titles.index(n) for n in names if n in titles]
        if not header:
            at["email"] = [i for i, cell in enumerate(first) if "@" in cell][:1]
            at["name"] = [1 - i for i in at["email"] if len(first) == 2]
        for field, column in mapping.items():
            at[field] = [_column(field, column, header, titles, width=len(header or first))] if column else []
        if not at["email"]:
            shown = ", ".join(repr(h) for h in header[:8] if h.isprintable()) or "none that can be read"
            raise BadInput(
                f"{terms.name} has no column of e-mail addresses; its columns are: {shown}",
                hint="say which it is with --map email=COLUMN (a title, or a number from 1)",
            )
        field_at = {index: field for field, indexes in at.items() for index in indexes}
        self = cls(header or [field_at.get(i, f"column {i + 1}") for i in range(len(first))], at, terms)
        self._read_services(titles, at, mapping)
        return self

    def _read_services(self, titles: list[str], at: dict[str, list[int]], mapping: Mapping[str, str]) -> None:
        if "state" in mapping:
            return
        if {"type", "creationdate"} <= set(titles):  # Buttondown; elsewhere a type is a plan
            at["state"].append(titles.index("type"))
        if {"emailaddress", "state"} <= set(titles):  # Kit calls the unconfirmed inactive
            self._words = WORDS | {"inactive": PENDING}
        # Mailchimp's segments: no cell of theirs says so, only the titles do.
        if "cleantime" in titles:
            self._everyone = _BOUNCED
        elif "unsubtime" in titles:
            self._everyone = LEFT
        if "unsubreason" in titles:
            self._flags.append((titles.index("unsubreason"), lambda v: _COMPLAINED if v.lower() == "abuse" else None))
        if "emaildisabled" in titles:  # Substack
            self._flags.append((titles.index("emaildisabled"), lambda v: LEFT if v.lower() == "true" else ACTIVE))

    def person(self, record: Record) -> Person:
        """The person of a row; BadInput says what is wrong with it."""
        if record.problem:
            raise BadInput(record.problem)
        cells, now = record.cells, self._terms.now
        email, called = self._mailbox(self._cell(cells, "email"))
        state, reason = self._standing(cells)
        name = self._cell(cells, "name") or called
        if not name and (self._at["first_name"] or self._at["last_name"]):
            name = f"{self._cell(cells, 'first_name')} {self._cell(cells, 'last_name')}"
        key = address_key(email)
        left_at = self._time(cells, "left_at", now)
        return Person(
            email=email,
            key=key,
            mark=erasure_mark(key, self._terms.secret),
            name=display_name(name),
            state=state,
            rank=_RANK[state],
            preferences=_preferences(
                *(self._cell(cells, field) for field in _CHOICES), known_topics=self._known_topics
            ),
            tags=sorted({tag(t) for t in _listing(self._cell(cells, "tags"))} - {""}),
            since=self._time(cells, "since", now),
            changed_at=self._time(cells, "changed_at", now) or left_at,
            paused_until=self._time(cells, "paused_until", None) if state == PAUSED else None,
            ip=_ip(self._cell(cells, "ip")),
            consent=display_name(self._cell(cells, "consent")) or self._terms.how,
            reason=reason,
            status=display_name(self._cell(cells, "suppressed_status")),
            suppressed_at=self._time(cells, "suppressed_at", now),
        )

    def _cell(self, cells: list[str], field: str) -> str:
        """The first of a field's columns that has something in it."""
        for index in self._at[field]:
            if index < len(cells) and cells[index]:
                if len(cells[index]) > MAX_CELL:
                    raise BadInput(f"the {field.replace('_', ' ')} is longer than {MAX_CELL:,} characters")
                return cells[index] if self._terms.raw else from_text(cells[index])
        return ""

    def _mailbox(self, cell: str) -> tuple[str, str]:
        """The address, and the name of `Name <address>`."""
        name, opened, rest = cell.partition("<")
        inside, closed, after = rest.partition(">")
        if not (opened and closed) or after.strip() or ">" in name or "<" in inside:
            return address(cell), ""
        return address(inside), name.strip().strip('"')

    def _standing(self, cells: list[str]) -> tuple[str, str]:
        """The state, and why the address gets no letters or "": of all that is said, what holds back the most."""
        said: list[SubscriptionState | str] = [] if self._everyone is None else [self._everyone]
        for index in self._at["state"]:
            word = cells[index][:MAX_CELL].strip() if index < len(cells) else ""
            if word:
                meaning = self._words.get(word.lower().replace(" ", "-"))
                if meaning is None:
                    raise BadInput(f"the state {word[:40]!r} is not one we know")
                said.append(meaning)
        for index, meaning_of in self._flags:
            if index < len(cells) and cells[index].strip():
                meaning = meaning_of(cells[index].strip())
                said += [meaning] if meaning is not None else []
        if any(index < len(cells) and cells[index].strip() for index in self._at["left_at"]):
            said.append(LEFT)
        own_reason = display_name(self._cell(cells, "suppressed"))
        states = [s for s in said if isinstance(s, SubscriptionState)]
        theirs = [f"{s} ({self._terms.how})" for s in said if not isinstance(s, SubscriptionState)]
        reasons = [own_reason, *theirs] if own_reason else theirs
        if not said and not reasons:
            if self._at["state"]:
                raise BadInput("the state is empty, so nothing says that they want it")
            states = [ACTIVE]
        state = max(states, key=lambda s: _RANK[s], default=NOTHING)
        if reasons and not own_reason and state != LEFT:
            state = NOTHING
        if state == PENDING and self._terms.confirmed:
            state = ACTIVE
        return str(state), reasons[0] if reasons else ""

    def _time(self, cells: list[str], field: str, now: datetime | None) -> datetime | None:
        return moment(self._cell(cells, field), now=now)


def _column(field: str, column: str, header: list[str], titles: list[str], *, width: int) -> int:
    if bare(column) in titles:
        return titles.index(bare(column))
    if column.isdecimal() and 1 <= int(column) <= width:
        return int(column) - 1
    shown = ", ".join(repr(h) for h in header if h.isprintable()) or f"1 to {width}"
    raise BadInput(f"--map {field}={column}: there is no such column", hint=f"the columns are: {shown}")


@lru_cache(maxsize=1_000)  # a million people have a few hundred choices
def _listing(cell: str) -> frozenset[str]:
    """Several words in one cell: JSON, or CSV within the CSV."""
    text = " ".join(cell.split())
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return frozenset(word.strip() for word in words) - {""}
    return frozenset(word.strip() for word in next(csv.reader([text], skipinitialspace=True), ())) - {""}


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


def moment(cell: str, *, now: datetime | None) -> datetime | None:
    """A time as services write it, in UTC where no zone is given; None where it is none, or later than `now`."""
    if not cell:
        return None
    try:
        at = datetime.fromisoformat(cell.strip().removesuffix(" UTC").replace(" +", "+"))
    except ValueError:
        return None
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None
    return None if now is not None and at > now else at


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
