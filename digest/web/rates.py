"""How often somebody may ask, by the minute: counted in this process, or for all `digest serve` together.

A count in the database would make a write of each read. So a process takes some of a minute's requests at a time (a
tenth, and less towards the end), and the first few (a twentieth) are answered before it asks for any: who asks seldom
is never written down. So all together let through what one may and a twentieth of it for each process besides, and
what one took and nobody asked it for, the others lack.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from digest.errors import DigestError
from digest.store import Database, rate_windows

WINDOW = timedelta(seconds=rate_windows.SECONDS)
FREE = 20  # a limit's part that each process lets through before it asks
CHUNKS = 10  # its part that is taken at a time, as long as there is four times as much
ALONE = timedelta(seconds=30)  # for which nobody is asked, when there was no answer: each counts for itself
FORGET = timedelta(minutes=10)  # between two looks for what is over
_MOST = 10_000  # that are counted at a time; beyond it all begin anew
_log = logging.getLogger("digest.web")


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
class _Minute:
    """One minute of one who asks."""

    began: datetime
    ends: datetime
    allowed: int  # requests, as far as it is known
    count: int = 0  # of them that were let through
    taken: int = 0  # from what all have together
    left: int = 0  # there, when it was last asked
    final: bool = False  # there is no more than `allowed`
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lasts(self, now: datetime) -> bool:
        return self.began <= now < self.ends


class Rates:
    """The requests of this minute, by whoever made them. For threads."""

    def __init__(self, database: Database | None = None) -> None:
        """With a PostgreSQL, `take_of_all` counts for all processes; a SQLite file has one `digest serve`."""
        shared = database is not None and database.engine.dialect.name == "postgresql"
        self._database = database if shared else None
        self._minutes: dict[str, _Minute] = {}
        self._lock = threading.Lock()
        self._alone_until: datetime | None = None
        self._forgot_at: datetime | None = None

    def take(self, who: str, *, limit: int, now: datetime) -> Rate:
        """Count a request in this process."""
        minute = self._minute(who, limit, now)
        with minute.lock:
            return _counted(minute, limit, now)

    def take_of_all(self, who: str, *, limit: int, now: datetime) -> Rate:
        """Count a request for all processes. It may ask the database, and waits for it half a second at most."""
        if self._database is None:
            return self.take(who, limit=limit, now=now)
        minute = self._minute(who, limit // FREE, now)
        with minute.lock:
            if minute.count >= minute.allowed and not minute.final:
                self._ask(self._database, minute, who, limit, now)
            return _counted(minute, limit, now)

    def _minute(self, who: str, allowed: int, now: datetime) -> _Minute:
        with self._lock:
            found = self._minutes.get(who)
            if found is not None and found.lasts(now):
                return found
            if len(self._minutes) >= _MOST:
                self._minutes = {one: kept for one, kept in self._minutes.items() if kept.lasts(now)}
                if len(self._minutes) >= _MOST:
                    self._minutes.clear()
            self._minutes[who] = made = _Minute(now, now + WINDOW, allowed)
            return made

    def _ask(self, database: Database, minute: _Minute, who: str, limit: int, now: datetime) -> None:
        """Take more of what all have together."""
        owed = minute.count - minute.taken  # let through before it was asked for

        def wish(left: int) -> int:
            return owed + max(1, min(limit // CHUNKS, (left - owed) // 4))

        if self._alone_until is not None and now < self._alone_until:
            minute.allowed, minute.final = limit, True
            return
        try:
            with database.write() as session:
                taken = rate_windows.take(session, who, limit=limit, wish=wish, now=now)
            if self._forgot_at is None or not timedelta() <= now - self._forgot_at < FORGET:
                self._forgot_at = now
                with database.write() as session:
                    rate_windows.forget(session, now=now)
        except DigestError as error:
            _log.warning("how often the API is asked is counted by this process alone for a while: %s", error)
            self._alone_until = now + ALONE
            minute.allowed, minute.final = limit, True
            return
        minute.taken += taken.requests
        minute.allowed, minute.left = minute.taken, taken.left
        minute.final = taken.requests <= owed  # there is no more in this minute
        minute.ends = now + timedelta(seconds=taken.seconds)


def _counted(minute: _Minute, limit: int, now: datetime) -> Rate:
    allowed = minute.count < minute.allowed
    minute.count += allowed
    most = limit if not minute.taken else minute.taken + minute.left
    seconds = max(1, ceil((minute.ends - now).total_seconds()))
    return Rate(allowed, limit, max(0, most - minute.count) if allowed else 0, seconds)
