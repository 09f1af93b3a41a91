"""A letter on its way out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digest.letter import Letter
from digest.store import Claimed


@dataclass(slots=True, eq=False)
class Attempt:
    """A letter marked as going out, known by its attempt number, ours until `until`."""

    claimed: Claimed
    letter: Letter
    number: int
    until: datetime
    bounces: int = 0  # how often a busy server handed it back
    beyond: tuple[str, ...] = ()  # relays that cannot carry it
