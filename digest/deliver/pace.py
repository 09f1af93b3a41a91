"""How fast: rates that a relay allows, and slowing down where a server asks for it. Pure; seconds come in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SLOWEST = 2.0  # seconds between two letters to one domain; beyond it they are better put off


@dataclass(slots=True)
class Pace:
    """Slows down at once where it is told to, and recovers a little with each success."""

    interval: float = 0.0  # seconds between two letters
    next_at: float = 0.0
    in_flight: int = 0

    def ready(self, now: float, *, limit: int = 0) -> bool:
        return now >= self.next_at and not (limit and self.in_flight >= limit)

    def begin(self, now: float) -> None:
        self.in_flight += 1
        self.next_at = now + self.interval

    def slow(self, now: float) -> None:
        self.interval = min(max(0.05, self.interval * 2), SLOWEST)
        self.next_at = max(self.next_at, now + self.interval)

    def ease(self) -> None:
        self.interval = self.interval * 0.9 if self.interval > 0.01 else 0.0


@dataclass(slots=True)
class Bucket:
    """A rate per second: at most a second's worth at once."""

    rate: float  # 0: no limit
    tokens: float = 1.0
    at: float = 0.0

    def allows(self, now: float) -> int:
        """How many letters may begin at this moment."""
        if not self.rate:
            return 1_000_000
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        return int(self.tokens)

    def take(self, letters: int = 1) -> None:
        self.tokens -= letters


@dataclass
class Quota:
    """Limits per hour and day, counted in hours that are stored; `open` letters are on their way."""

    per_hour: int
    per_day: int
    hours: Mapping[datetime, int] = field(default_factory=dict)

    def allows(self, now: datetime) -> int:
        """How many more letters fit, by a sliding count: the hour that is leaving counts by what is left of it."""
        if not (self.per_hour or self.per_day):
            return 1_000_000
        this = now.replace(minute=0, second=0, microsecond=0)
        share_left = 1 - (now - this) / timedelta(hours=1)
        room = 1_000_000.0
        if self.per_hour:
            before = self.hours.get(this - timedelta(hours=1), 0) * share_left
            room = self.per_hour - self.hours.get(this, 0) - before
        if self.per_day:
            recent = sum(letters for hour, letters in self.hours.items() if hour > this - timedelta(hours=24))
            leaving = self.hours.get(this - timedelta(hours=24), 0) * share_left
            room = min(room, self.per_day - recent - leaving)
        return max(0, int(room))

    @property
    def hourly(self) -> float:
        """How many letters it takes in an hour, in the long run."""
        return min(self.per_hour or math.inf, self.per_day / 24 or math.inf)


def finish(now: datetime, *, left: int, per_second: float, room: int, hourly: float) -> datetime | None:
    """When `left` letters will be out at this rate, where `room` of them may go now and the rest so many an hour."""
    if per_second <= 0:
        return None
    seconds = left / per_second
    if left > room:
        seconds = max(seconds, (left - room) / hourly * 3600)
    return now + timedelta(seconds=seconds)
