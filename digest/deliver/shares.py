"""Which letters a pass takes in hand."""

from __future__ import annotations

from digest.dataclass import dataclass


@dataclass(frozen=True)
class Share:
    """Which of the letters that are due one pass takes in hand; the rest is anybody's."""

    most: int | None = None  # letters claimed; None: as many as there are
    notices_only: bool = False  # editions are left to others, and what becomes of late ones to who tells the operator
    newsletters: frozenset[str] | None = None  # letters of these only; None: of all
    gives_way: bool = False  # one connection of each relay is left to what somebody waits for, where it has several


ALL = Share()
NOTICES = Share(notices_only=True)
