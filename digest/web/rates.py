"""How often somebody may ask: counted by the minute, in this process alone.

Two `digest serve` side by side let through twice as much: a count in the database would make a write of each read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

WINDOW = timedelta(minutes=1)
_MOST = 10_000  # that are counted at a time; beyond it all begin anew


@dataclass(frozen=True)
class Rate:
    """Where somebody stands: how many requests are left of how many, and after how many seconds there are more."""

    allowed: bool
    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit fields (draft-ietf-httpapi-ratelimit-headers), and Retry-After where nothing is left."""
        fields = {
            "RateLimit-Policy": f'"key";q={self.limit};w={int(WINDOW.total_seconds())}',
            "RateLimit": f'"key";r={self.left};t={self.seconds}',
        }
        return fields if self.allowed else fields | {"Retry-After": str(self.seconds)}


@dataclass
class Rates:
    """The requests of this minute, by whoever made them."""

    _windows: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def take(self, who: str, *, limit: int, now: datetime) -> Rate:
        began, count = self._windows.get(who, (now, 0))
        if not timedelta() <= now - began < WINDOW:
            began, count = now, 0
        if len(self._windows) >= _MOST:
            self._windows = {one: kept for one, kept in self._windows.items() if now - kept[0] < WINDOW}
            if len(self._windows) >= _MOST:
                self._windows.clear()
        self._windows[who] = (began, min(count + 1, limit))
        seconds = max(1, ceil((began + WINDOW - now).total_seconds()))
        return Rate(count < limit, limit, max(0, limit - count - 1), seconds)
