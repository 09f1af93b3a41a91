"""Which letters a pass takes in hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Which of the letters that are due one pass takes in hand; the rest is anybody's."""

    most: int | None = None  # letters claimed; None: as many as there are
    notices_only: bool = False  # editions are left to others, and what becomes of late ones to who tells the operator
    newsletters: frozenset[str] | None = None  # letters of these only; None: of all
    parts: int = 1  # among so many passes at a time each relay's connections and rate are divided


ALL = Share()
NOTICES = Share(notices_only=True)
