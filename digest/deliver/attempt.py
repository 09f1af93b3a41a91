"""A letter on its way out."""

from __future__ import annotations

from datetime import datetime

from digest.deliver.content import Filler
from digest.letter import Letter


class Attempt:
    """A letter marked as going out, known by its attempt number, ours until `until`."""

    __slots__ = ("bounces", "claimed", "filler", "letter", "number", "until")

    letter: Letter  # written by `write`

    def __init__(self, filler: Filler, number: int, until: datetime) -> None:
        self.filler = filler
        self.claimed = filler.claimed
        self.number = number
        self.until = until
        self.bounces = 0  # how often a busy server handed it back

    def write(self) -> None:
        """Called once it is marked, not before; ValueError where it cannot be written."""
        self.letter = self.filler.fill()
