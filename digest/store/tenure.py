"""How long one process has had SQLite's one lock, and when it must leave it alone for others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GAP_S = 0.11  # SQLite looks every tenth of a second whether the lock that it waits for is free
LONGEST_S = 0.125  # for which many short transactions may have it, one after the other
MET_S = 0.003  # a wait for it that says that another had it


class Tenure:
    """The transactions of one process that wrote, with no pause between them in which anybody else had a turn.

    Who waits for the lock cannot be seen: there is no queue for it. So a pause is due once they took `LONGEST_S`
    together, and not after each of them: of steps that last a moment each it would be most of the time. Where one had
    to wait itself, another may be at work in the same way, and the two would leave a third no pause that both make:
    then one is due after that step.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._held = 0.0  # seconds since the last pause
        self._ended = 0.0
        self._met = False  # another at work, since the last pause

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Around a transaction that writes, with its wait for the lock."""
        began = self._timer()
        if began - self._ended >= GAP_S:
            self._held, self._met = 0.0, False
        try:
            yield
        finally:
            self._ended = self._timer()
            self._held += self._ended - began

    def waited(self, seconds: float) -> None:
        """How long the transaction waited until it had the lock."""
        self._met = self._met or seconds >= MET_S

    def pause_due(self) -> float:
        """Seconds to leave the lock alone for now: 0.0 where that was not long, or others had their turn since."""
        if self._held < LONGEST_S and not self._met:
            return 0.0
        self._held, self._met = 0.0, False
        return max(0.0, GAP_S - (self._timer() - self._ended))
