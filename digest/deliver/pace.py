"""How fast: rates that a relay allows, and slowing down where a server asks for it. Pure; seconds come in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from digest.dataclass import dataclass

SLOWEST = 2.0  # seconds between two letters; a domain that wants still fewer has them put off
FIRST = 0.05  # seconds between two letters, where it is not known how fast it went
TOO_MANY = 1 / 3  # the share of answers "not now" that says we are too fast; some servers say it to a few all day
MEMORY = 0.03  # what one answer counts in that share
CLIMB = 0.02  # of the best rate, for each letter taken
STALE = 1.0  # seconds after which a leased turn is lost
CHUNK = 1.0  # seconds whose turns are leased at once


@dataclass(slots=True)
class Pace:
    """Additive increase, multiplicative decrease (as in RFC 5681), by the share of letters that are put off.

    A server that puts off some whatever we do is not too fast for; one that puts off most is. Each slower step
    halves the rate that went, and each letter taken brings back a fixed part of the best one.
    """

    interval: float = 0.0  # seconds between two letters; 0 where nothing holds them up
    next_at: float = 0.0
    in_flight: int = 0
    wary: bool = False  # the first answer counts in full: of few letters to one place, few are asked twice
    turns: Turns | None = None  # where others send there too, and all together keep the interval
    _busy: float = 0.0  # the share
    _gap: float = 0.0  # seconds between two answers, of late
    _heard_at: float | None = None
    _slowed_at: float = -math.inf
    _best: float = 0.0  # letters a second

    def ready(self, now: float, *, limit: int = 0) -> bool:
        if limit and self.in_flight >= limit:
            return False
        return now >= self.next_at if self.turns is None else self.turns.allows(now) > 0

    def begin(self, now: float) -> None:
        self.in_flight += 1
        if self.turns is not None:
            self.turns.take()
        self.next_at = now + self.interval

    def wants(self, now: float, letters: int) -> int:
        """How many more turns to lease where so many letters wait: of those of a second, what is not leased yet."""
        if not self.interval:
            return letters
        leased = self.turns.left(now) if self.turns is not None else 0
        return max(0, min(letters, math.ceil(CHUNK / self.interval)) - leased)

    def answered(self, now: float, *, busy: bool) -> None:
        """A letter was taken, or put off because of how many they are."""
        if self._heard_at is None:
            self._busy = float(busy and self.wary)
        else:
            self._busy += (busy - self._busy) * (0.2 if self.wary else MEMORY)
            gap = min(now - self._heard_at, SLOWEST)
            self._gap = self._gap + (gap - self._gap) * MEMORY if self._gap else gap
        self._heard_at = now
        if busy:
            # What was under way when the pace was last changed says nothing about the new one.
            if self._busy > TOO_MANY and now - self._slowed_at >= self.interval:
                self._slower(now)
        elif self.interval:
            self._quicker()

    def stored(self) -> dict[str, float]:
        """What a row keeps of it, for all who send there."""
        heard = {} if self._heard_at is None else {"heard_at": self._heard_at}
        slowed = {} if math.isinf(self._slowed_at) else {"slowed_at": self._slowed_at}
        return {"interval": self.interval, "busy": self._busy, "gap": self._gap, "best": self._best, **heard, **slowed}

    @classmethod
    def of_stored(cls, known: Mapping[str, float]) -> Pace:
        pace = cls(known.get("interval", 0.0), wary=True)
        pace._busy, pace._gap, pace._best = known.get("busy", 0.0), known.get("gap", 0.0), known.get("best", 0.0)
        pace._heard_at, pace._slowed_at = known.get("heard_at"), known.get("slowed_at", -math.inf)
        return pace

    def _slower(self, now: float) -> None:
        if not self.interval:
            self._best = 1 / max(self._gap, 1e-4) if self._gap else 1 / FIRST
        self.interval = min(2 * (self.interval or 1 / self._best), SLOWEST)
        self._slowed_at = now
        self.next_at = max(self.next_at, now + self.interval)

    def _quicker(self) -> None:
        rate = 1 / self.interval + CLIMB * self._best
        self.interval = 0.0 if rate >= self._best else 1 / rate


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

    def give_back(self) -> None:
        """A letter that was to begin did not."""
        self.tokens += 1


class Turns:
    """The same as `Bucket` for one of many that share a rate: it begins a letter at a moment that was leased for it.

    What was not begun within a second of its moment is lost: so no more go out at once than one second's worth.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate  # of all together
        self._leased: deque[list[float]] = deque()  # [the next moment, how many]

    def lease(self, at: float, letters: int) -> None:
        """So many more, one behind the other, from that moment on."""
        if letters > 0:
            self._leased.append([at, letters])

    def left(self, now: float) -> int:
        """How many are leased that are not lost."""
        self._drop(now)
        return int(sum(letters for _, letters in self._leased))

    def allows(self, now: float) -> int:
        if not self.rate:
            return 1_000_000
        self._drop(now)
        found = 0
        for at, letters in self._leased:
            if at <= now:
                found += min(int(letters), int((now - at) * self.rate + 1e-6) + 1)
        return found

    def take(self, letters: int = 1) -> None:
        while letters > 0 and self._leased:
            first = self._leased[0]
            taken = min(letters, int(first[1]))
            letters -= taken
            self._pass(first, taken)

    def give_back(self) -> None:
        """Its moment is over, and nobody else's: where turns are shared it is written down who has a letter."""

    def _drop(self, now: float) -> None:
        while self._leased and self._leased[0][0] < now - STALE:
            first = self._leased[0]
            self._pass(first, max(1, math.ceil((now - STALE - first[0]) * self.rate - 1e-6)))

    def _pass(self, first: list[float], letters: int) -> None:
        first[0] += letters / self.rate
        first[1] -= letters
        if first[1] <= 0:
            self._leased.popleft()


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
