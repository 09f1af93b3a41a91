"""The newsletters of one pass, by the numbers of their rows: how each is sent, and which relays several have in common.

A relay is known by where it is and who logs in there. Two newsletters that name one share it: its connections, its
pace, its limits, its counts and its troubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Config, Imprint, Relay, Smtp
from digest.dataclass import dataclass
from digest.deliver.login import Server, name_of
from digest.errors import ConfigError
from digest.store import Database, edition_states, idle, relays

Key = tuple[str, str]
Number = int | None  # of a newsletter; None: what belongs to none


@dataclass(frozen=True)
class Papers:
    """All newsletters that there are, also those that have left the settings: these go by the common relays."""

    config: Config
    names: Mapping[int, str] = field(default_factory=dict)
    left_alone: frozenset[int] = frozenset()  # nothing of theirs is touched in this pass

    def name(self, number: Number) -> str:
        """ "" for what belongs to no newsletter."""
        return self.names.get(number, "") if number is not None else ""

    def imprint(self, number: Number) -> Imprint:
        return self.config.imprint(self.name(number))

    def smtp(self, number: Number) -> Smtp:
        return self.imprint(number).smtp

    @property
    def numbers(self) -> list[Number]:
        """Whose letters may go out in this pass."""
        return [None, *(number for number in self.names if number not in self.left_alone)]

    @property
    def lease(self) -> timedelta:
        """How long any of them may need for an attempt."""
        return max(self.smtp(number).lease for number in self.numbers)

    @property
    def late_after(self) -> dict[int, timedelta]:
        """Of those that have a limit of their own."""
        common = self.config.smtp.max_lateness
        found = {number: self.smtp(number).max_lateness for number in self.names}
        return {number: lateness for number, lateness in found.items() if lateness != common}

    @property
    def counts_hours(self) -> bool:
        return any(relay.per_hour or relay.per_day for number in self.numbers for relay in self.smtp(number).servers)


@dataclass(frozen=True)
class Joint:
    """A relay for all who name it: the smallest limits count, and the words of who names it first."""

    name: str  # for people, and for its counts
    settings: Relay
    server: Server


class Relays:
    """The relays of a pass by `key_of`, each once. Where one place is asked by several users, those after the first are
    told from it by their names, so that each has counts of its own.
    """

    def __init__(self) -> None:
        self.found: dict[Key, Joint] = {}
        self._first: dict[str, str] = {}

    def add(self, smtp: Smtp) -> None:
        """With the relays of these settings; ConfigError, and nothing is added, where they contradict the others."""
        found, first = dict(self.found), dict(self._first)
        for relay in smtp.servers:
            place, user = key = key_of(relay)
            name = place if first.setdefault(place, user) == user else f"{user or 'nobody'}@{place}"
            known = found.get(key)
            if known is None:
                found[key] = Joint(name, relay, Server.of(relay, smtp, label=name))
            elif known.settings is not relay:
                found[key] = Joint(known.name, _strictest(known.settings, relay), known.server)
        self.found, self._first = found, first


def key_of(relay: Relay) -> Key:
    """What makes a relay the same as another: where it is, and who logs in."""
    return name_of(relay), relay.server.user


def _strictest(one: Relay, other: Relay) -> Relay:
    there, here = one.server, other.server
    if (there.scheme, there.password, one.token_command) != (here.scheme, here.password, other.token_command):
        raise ConfigError(
            f"two newsletters name the mail server {name_of(one)} with one user and different passwords or encryption",
            hint="write the same in both, or leave it out of the newsletter's: it then has what [smtp] says",
        )
    limits: dict[str, object] = {"connections": min(one.connections, other.connections)}
    for limit in ("per_second", "per_hour", "per_day"):
        given = [value for relay in (one, other) if (value := getattr(relay, limit))]
        limits[limit] = min(given, default=0)
    return one.model_copy(update=limits)


def hold_late(session: Session, papers: Papers, *, now: datetime) -> list[tuple[str, int]]:
    """Hold the editions that are too late, each by what its newsletter calls so: (newsletter, number)."""
    common = papers.config.smtp.max_lateness
    return edition_states.hold_late(session, now=now, max_lateness=common, own=papers.late_after)


def open_and_hold(database: Database, papers: Papers, *, now: datetime) -> list[tuple[str, int]]:
    """Open the editions whose moment has come, and `hold_late`; where none may be, nobody's write is waited for."""
    late = now - min((papers.config.smtp.max_lateness, *papers.late_after.values()))
    forgotten = now - relays.HOURS_KEPT
    with database.read() as session:
        if not idle.opens(session, now=now, late=late, hours=forgotten):
            return []
    with database.write() as session:
        edition_states.open_held(session, now=now)
        relays.forget_hours(session, before=forgotten)
        return hold_late(session, papers, now=now)
