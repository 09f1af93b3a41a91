"""What a delivery pass tells: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from digest.dataclass import dataclass
from digest.models import OutboxState
from digest.store import letters

if TYPE_CHECKING:
    from digest.deliver.ledger import Committed


@dataclass
class Done:
    """What a pass did with the letters of one newsletter, and what is the matter with it ("" where nothing is)."""

    sent: int = 0
    refused: int = 0
    deferred: int = 0
    held: int = 0
    left: int = 0  # still owed, due or not
    due: int = 0  # of these: due now
    trouble: str = ""  # why nothing more of it went out: of its relays, or of its settings

    def count(self, state: OutboxState, letters: int = 1) -> None:
        name = _COUNTED.get(state)
        if name is not None:
            setattr(self, name, getattr(self, name) + letters)


_COUNTED = {
    OutboxState.SENT: "sent",
    OutboxState.REFUSED: "refused",
    OutboxState.OWED: "deferred",
    OutboxState.HELD: "held",
}


@dataclass
class Report:
    """What a delivery pass did, and what is left. `stopped` says why it ended early."""

    sent: int = 0
    refused: int = 0
    deferred: int = 0
    dropped: int = 0
    held: int = 0
    put_off: int = 0  # not tried, since their domain's server asked for patience
    owed: int = 0  # what is left, due or not
    left: letters.Left = field(default_factory=letters.Left)  # the same, by what it waits for
    in_doubt: int = 0
    twice: int = 0  # letters that may come twice, since what became of them could not be written down
    where: str = ""
    stopped: str = ""
    interrupted: bool = False  # it was asked to stop, and did
    full: bool = False  # the disk
    refusals: list[str] = field(default_factory=list)  # the first few, in words
    late: list[tuple[str, int]] = field(default_factory=list)  # newsletter and number of editions held now
    paused: list[tuple[str, int, str]] = field(default_factory=list)  # newsletter, number, why they were paused now
    quarantined: list[tuple[str, int, int, str]] = field(default_factory=list)  # newsletter, number, letters, why
    unreached: list[tuple[str, int, int]] = field(default_factory=list)  # newsletter, number, letters: nobody has it
    tried: int = 0  # letters that are settled or put off by now
    newsletters: dict[str, Done] = field(default_factory=dict)  # by name; "": what belongs to none

    def of(self, newsletter: str) -> Done:
        done = self.newsletters.get(newsletter)
        if done is None:
            done = self.newsletters[newsletter] = Done()
        return done

    @property
    def sick(self) -> dict[str, str]:
        """Newsletters that somebody has to look after, and why."""
        return {name: done.trouble for name, done in self.newsletters.items() if done.trouble}

    def count(self, done: Committed) -> None:
        """What a commit settled."""
        self.sent += done.settled[OutboxState.SENT]
        self.refused += done.settled[OutboxState.REFUSED] - done.pardoned
        self.deferred += done.settled[OutboxState.OWED] + done.pardoned
        self.held += done.settled[OutboxState.HELD]
        self.paused += done.paused
        self.quarantined += done.quarantined
        self.late += done.late
        self.tried += done.settled.total()
        if done.claim is not None:
            claim = done.claim
            self.dropped += claim.dropped
            self.held += claim.held
            self.refused += claim.expired
            self.tried += claim.settled
            self.in_doubt += claim.doubtful + sum(letter.in_doubt for letter in claim.letters)


@dataclass
class Progress:
    """Told after each commit."""

    settled: int
    due: int
    finish: datetime | None = None  # a forecast: when all that is due will be out, over as many runs as it takes


@dataclass
class EventsTold:
    """What a pass over webhooks came to."""

    sent: int = 0
    failed: int = 0
    waiting: bool = False  # something is owed still
