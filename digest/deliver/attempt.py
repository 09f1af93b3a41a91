"""A letter on its way out: claimed and waiting for a relay, then marked and under way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from digest.dataclass import dataclass
from digest.deliver.content import Filler
from digest.letter import Letter
from digest.store import outbox

if TYPE_CHECKING:
    from digest.deliver.lanes import Lane


@dataclass(frozen=True, slots=True)
class Lease:
    """For how long letters are ours, from a moment before they were taken.

    By two clocks, and whichever says that more time has passed is right: the one stands still while a machine
    sleeps, the other may be set back. Neither is compared with another machine's.
    """

    at: float  # seconds of the event loop
    moment: datetime
    lasts: timedelta

    @property
    def end(self) -> datetime:
        """By the clock of the machine that took them."""
        return self.moment + self.lasts

    def left(self, at: float, moment: datetime) -> float:
        """Seconds; below zero where it is over."""
        by_loop, by_clock = at - self.at, (moment - self.moment).total_seconds()
        return self.lasts.total_seconds() - (by_loop if by_loop > by_clock else by_clock)


@dataclass(slots=True, eq=False)
class Waiting:
    """A claimed letter, until its relay has it."""

    filler: Filler
    lease: Lease
    domain: str  # of its recipient
    cleared: bool = False  # its domain's pace lets it go

    @property
    def claimed(self) -> outbox.Claimed:
        return self.filler.claimed


@dataclass(slots=True, eq=False)
class Attempt:
    """A letter marked as going out, known by its attempt number."""

    claimed: outbox.Claimed
    letter: Letter
    number: int
    lease: Lease
    lane: Lane
    shown: bool = False  # its body was put on the wire
    bounces: int = 0  # how often a busy server handed it back
    broke_off: bool = False  # a server ended the connection over it, once its reader was named
    beyond: tuple[str, ...] = ()  # relays that cannot carry it


def domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()
