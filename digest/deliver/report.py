"""What a delivery pass tells: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from digest.store import Claim, Left


@dataclass
class Report:
    """What a delivery pass did, and what is left. `stopped` says why it ended early."""

    sent: int = 0
    refused: int = 0
    deferred: int = 0
    dropped: int = 0
    held: int = 0
    owed: int = 0  # what is left, due or not
    left: Left = field(default_factory=Left)  # the same, by what it waits for
    in_doubt: int = 0
    where: str = ""
    stopped: str = ""
    interrupted: bool = False  # it was asked to stop, and did
    refusals: list[str] = field(default_factory=list)  # the first few, in words
    late: list[tuple[str, int]] = field(default_factory=list)  # newsletter and number of editions held now
    paused: list[tuple[str, int, str]] = field(default_factory=list)  # newsletter, number, why they were paused now

    def claimed(self, claim: Claim) -> None:
        """Count what a claim settled, and whom it found in doubt."""
        self.dropped += claim.dropped
        self.held += claim.held
        self.in_doubt += claim.held + sum(letter.in_doubt for letter in claim.letters)


@dataclass
class Progress:
    """Told after each commit."""

    settled: int
    due: int
    finish: datetime | None = None  # a forecast: when all that is due will be out, over as many runs as it takes
