"""Recipients who share a mail server: how fast they take letters, and which of their letters wait at hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from datetime import datetime
from enum import Enum, auto

from digest.dataclass import dataclass
from digest.deliver.attempt import Waiting
from digest.deliver.pace import Pace, Turns

MOST_PARKED = 100  # letters to a domain that asked for patience that wait at hand; more are put off


class Turn(Enum):
    """May a letter go?"""

    NOW = auto()
    PARKED = auto()
    PUT_OFF = auto()  # too many wait already: it is owed again, some minutes later


@dataclass
class _Domain:
    pace: Pace = field(default_factory=lambda: Pace(wary=True))
    parked: deque[Waiting] = field(default_factory=deque)
    shunned: bool = False  # the others go first


class Domains:
    """Only those that asked for patience are kept, and with a `limit` of letters at a time all that are at work."""

    def __init__(self, *, limit: int, behind: str = "") -> None:
        """`behind` names the relays, for others who send by them."""
        self.behind = behind
        self.among = 1  # passes that divide `limit`
        self.shared = False  # is what servers say told to others?
        self.news: dict[str, list[int]] = {}  # answers since it was told last: [taken, busy], of those that are known
        self._most = limit
        self._known: dict[str, _Domain] = {}

    @property
    def limited(self) -> int:
        """How many letters to a domain may be under way in all, 0 without a limit."""
        return self._most

    @property
    def _limit(self) -> int:
        return max(1, self._most // self.among) if self._most else 0

    @property
    def idle(self) -> bool:
        """Has every letter its turn at once?"""
        return not (self._known or self._most)

    @property
    def parked(self) -> int:
        return sum(len(domain.parked) for domain in self._known.values())

    @property
    def crowd(self) -> int:
        """How many letters wait for others to their domain, which only `limit` holds up: they get their turn."""
        return sum(len(d.parked) for d in self._known.values() if not (d.pace.interval or d.shunned))

    def turn(self, waiting: Waiting, now: float) -> Turn:
        if waiting.cleared:
            return Turn.NOW
        domain = self._known.get(waiting.domain)
        if domain is None:
            if not self._limit:
                return Turn.NOW
            domain = self._known[waiting.domain] = _Domain()
        if not domain.parked and not domain.shunned and domain.pace.ready(now, limit=self._limit):
            domain.pace.begin(now)
            waiting.cleared = True
            return Turn.NOW
        if len(domain.parked) < MOST_PARKED or not (domain.pace.interval or domain.shunned):
            domain.parked.append(waiting)
            return Turn.PARKED
        return Turn.PUT_OFF

    def unpark(self, now: float, moment: datetime) -> Iterator[Waiting]:
        """Letters whose turn it is now, and those whose claim is over: these take no turn from others."""
        for domain in self._known.values():
            while domain.parked and domain.parked[0].lease.left(now, moment) <= 0:
                yield domain.parked.popleft()
            while domain.parked and not domain.shunned and domain.pace.ready(now, limit=self._limit):
                domain.pace.begin(now)
                waiting = domain.parked.popleft()
                waiting.cleared = True
                yield waiting

    def answered(self, name: str, now: float, *, busy: bool) -> bool:
        """A letter is done with, and its server put it off or took it; True where another's turn may have come."""
        domain = self._known.get(name)
        if domain is None:
            if not busy:
                return False
            domain = self._known[name] = _Domain()
            domain.pace.in_flight = 1
        domain.pace.in_flight = max(0, domain.pace.in_flight - 1)
        domain.pace.answered(now, busy=busy)
        if self.shared and (busy or domain.pace.interval):
            self.news.setdefault(name, [0, 0])[busy] += 1
        return self._settle(name)

    def wants(self, now: float) -> dict[str, int]:
        """Domains with a pace, and how many more letters to each could have a turn soon."""
        slow = {name: domain for name, domain in self._known.items() if domain.pace.interval}
        return {name: domain.pace.wants(now, len(domain.parked)) for name, domain in slow.items()}

    def told(self, name: str, interval: float, turns: Iterable[tuple[float, int]]) -> None:
        """By what all heard, letters to this domain go at an interval (0: as fast as they like), and we have turns."""
        if not interval:
            domain = self._known.get(name)
            if domain is not None:
                domain.pace.interval, domain.pace.turns, domain.pace.next_at = 0.0, None, 0.0
                self._settle(name)
            return
        pace = self._known.setdefault(name, _Domain()).pace
        pace.interval = interval
        if pace.turns is None:
            pace.turns = Turns(1 / interval)
        pace.turns.rate = 1 / interval
        for at, letters in turns:
            pace.turns.lease(at, letters)

    def freed(self, name: str) -> bool:
        """A letter that had its turn was not answered by its server; True where another's turn may have come."""
        domain = self._known.get(name)
        if domain is None:
            return False
        domain.pace.in_flight = max(0, domain.pace.in_flight - 1)
        return self._settle(name)

    def take(self, which: Callable[[Waiting], bool]) -> list[Waiting]:
        """What was parked of these, which then is not."""
        found: list[Waiting] = []
        for domain in self._known.values():
            mine = [waiting for waiting in domain.parked if which(waiting)]
            if mine:
                found += mine
                domain.parked = deque(waiting for waiting in domain.parked if waiting not in mine)
        return found

    def shun(self, name: str) -> None:
        """Let the others go first."""
        self._known.setdefault(name, _Domain()).shunned = True

    def shun_none(self) -> bool:
        """There are no others left: True where somebody had been shunned."""
        found = [domain for domain in self._known.values() if domain.shunned]
        for domain in found:
            domain.shunned = False
        return bool(found)

    def _settle(self, name: str) -> bool:
        domain = self._known[name]
        if domain.parked:
            return True
        if not (domain.pace.interval or domain.pace.in_flight or domain.shunned):
            del self._known[name]
        return False
