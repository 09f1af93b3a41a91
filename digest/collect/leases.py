"""A host is asked by one process at a time: its lease is taken, kept while requests are on their way, and given back.

Who has it keeps the host's gap and connections by itself (`hosts.Hosts`), so nothing is written for each request: a
lease is taken for a stretch, those of many hosts in one statement, and every five seconds the ones in use are renewed
and the others given back. Where another process waits, the stretch ends with the requests that are on their way. A
lease begins when the database has turned to it, which may be a minute after it was asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from datetime import datetime
from math import ceil, inf
from typing import Protocol, TypeVar

from sqlmodel import Session

from digest.dataclass import dataclass
from digest.errors import DigestError
from digest.store import Database, host_leases, hosts

BEAT = 5.0  # seconds between two looks at what is leased
LOOK = 1.0  # seconds between two looks whether a host that another process has is free
LOOKS = 75  # after which it is left to a later run
BY_HAND = 30  # looks for somebody who sits and waits: one that was killed has it 20 seconds, a beat is 5
MOMENT = 0.1  # seconds between two times that hosts are asked for
SAFE = 10.0  # seconds that a lease must still last for a request to begin: longer than the gap that it may wait for
T = TypeVar("T")
_log = logging.getLogger("digest.collect")


class Elsewhere(Exception):
    """Another process asks that host, and does not come to an end."""


class Ledger(Protocol):
    """What `hosts.Hosts` knows."""

    def changed(self) -> list[hosts.Record]: ...
    def unkept(self, records: Iterable[hosts.Record]) -> None: ...
    def hear(self, records: Iterable[hosts.Record]) -> None: ...
    def gap_left(self, host: str) -> float: ...


@dataclass(frozen=True)
class Shared:
    """Where leases are. `storing` is the thread that asks the database, where there is one for that."""

    database: Database
    storing: Executor | None = None

    @property
    def others(self) -> bool:
        """May others ask meanwhile? What only tries things out tells nobody."""
        return self.database.shared and self.database.rehearsing is None


class Leases:
    """Those that one run or job has, for its length."""

    def __init__(
        self,
        shared: Shared,
        ledger: Ledger,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        by_hand: bool = False,
    ) -> None:
        self._shared = shared
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep
        self._by_hand = by_hand
        self._holder = host_leases.new_holder()
        self._until: dict[str, float] = {}  # by the loop, however clocks leap: what is ours, and until when
        self._used: dict[str, float] = {}  # when it was last
        self._going: Counter[str] = Counter()  # requests
        self._ending: set[str] = set()  # others wait
        self._later: dict[str, float] = {}  # before which one that we gave back to others is not asked for
        self._away: dict[str, float] = {}  # until when one is known to be elsewhere
        self._told: set[str] = set()  # whoever sits and waits, that it waits for these
        self._asked: dict[str, asyncio.Future[float | None]] = {}
        self._took = -inf  # when hosts were asked for last
        self._taking: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()  # what is given back is given back before it is asked for anew

    def away(self) -> list[str]:
        """Hosts that are known to be asked by another process."""
        now = self._time()
        return [host for host, until in list(self._away.items()) if until > now]

    async def have(self, host: str) -> float:
        """Wait until a host is ours; in how many seconds a request may begin, as far as others had it. Elsewhere."""
        self._loop = asyncio.get_running_loop()
        looks = min(LOOKS, BY_HAND) if self._by_hand else LOOKS
        for _ in range(looks):
            if self._ours(host):
                return 0.0
            if self._away.get(host, 0.0) > self._time():
                break
            if host not in self._ending and self._later.get(host, 0.0) <= self._time():
                wait = await asyncio.shield(self._ask(host))
                if wait is not None and self._ours(host):
                    return wait
                if wait is None:
                    self._tell(host, looks)
            # All who wait look at the same moments: it is one statement for them.
            await self._sleep(ceil(self._time() / LOOK + 0.5) * LOOK - self._time())
        else:
            self._away[host] = self._time() + looks * LOOK  # who came with us does not wait as long once more
        raise Elsewhere

    def _ours(self, host: str) -> bool:
        """For as long as a request needs that begins now."""
        return host not in self._ending and self._until.get(host, 0.0) - self._time() >= SAFE

    def _tell(self, host: str, looks: int) -> None:
        if self._by_hand and host not in self._told:
            self._told.add(host)
            words = "another process asks %s at the moment: waiting for it, %.0f seconds at most"
            _log.warning(words, host, looks * LOOK)

    def begin(self, host: str) -> None:
        """A request is under way, until `end`."""
        self._going[host] += 1

    def end(self, host: str) -> None:
        self._going[host] -= 1
        if host in self._until:
            self._used[host] = self._time()
        if not self._going[host]:
            del self._going[host]
            if host in self._ending:
                self._nudge.set()

    async def close(self) -> None:
        """Give all back, and store what was learnt: who has a host next hears it."""
        if self._keeping is None and not self._taking:
            return
        if self._keeping is not None:
            self._keeping.cancel()
        # What is being taken by now is waited for: its thread goes on, and it would be ours when we are gone.
        tasks = [*self._taking, *([self._keeping] if self._keeping is not None else [])]
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(DigestError):  # they lapse
            async with self._turn:
                await self._store(self._leave, self._gaps(self._until))
        self._until.clear()

    # ------------------------------------------------------------ taking

    def _ask(self, host: str) -> asyncio.Future[float | None]:
        if host not in self._asked:
            future = self._asked[host] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waited may be gone
            if len(self._asked) == 1:
                task = asyncio.get_running_loop().create_task(self._take())
                self._taking.add(task)
                task.add_done_callback(self._taking.discard)
        return self._asked[host]

    async def _take(self) -> None:
        """Ask for what is wanted by now, in one transaction: ten in a second at most, however many hosts there are."""
        await asyncio.sleep(max(0.0, self._took + MOMENT - self._time()))
        async with self._turn:
            asked, self._asked, self._took = self._asked, {}, self._time()
            try:
                began, taken, known = await self._store(self._taken, list(asked))
            except BaseException as error:
                for future in asked.values():
                    future.set_exception(error if isinstance(error, Exception) else Elsewhere())
                if not isinstance(error, Exception):
                    raise
                return
        self._ledger.hear(known)
        for host, future in asked.items():
            if host in taken:
                self._until[host], self._used[host] = began + host_leases.LEASE, self._time()
                self._away.pop(host, None)
            future.set_result(taken.get(host))
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def _taken(self, names: list[str]) -> tuple[float, dict[str, float], list[hosts.Record]]:
        """When their leases began, those of them that are ours now, and what their servers said to others."""
        with self._shared.database.write() as session:
            session.connection()  # others may have it for a minute
            began, now = self._time(), self._clock()
            taken = host_leases.take(session, names, self._holder, now=now)
            return began, taken, hosts.records(session, now=now, of=taken)

    # ------------------------------------------------------------ keeping

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._nudge.wait()
            self._nudge.clear()
            try:
                await self._beat()
            except DigestError as error:
                _log.debug("leases of hosts are not renewed: %s", error)

    async def _beat(self) -> None:
        """Renew what is in use, and give back what is not, or is wanted."""
        now = self._time()
        used = [host for host in self._until if self._going[host]]
        idle = [
            host
            for host in self._until
            if not self._going[host] and (host in self._ending or self._used[host] + BEAT <= now)
        ]
        if not used and not idle:
            return
        gaps = self._gaps(idle)
        for host in idle:
            del self._until[host], self._used[host]
            if host in self._ending:
                self._later[host] = now + 2 * LOOK  # who waits looks before we do
        self._ending.difference_update(idle)
        async with self._turn:
            began, kept = await self._store(self._renewed, used, gaps)
        for host in used:
            if host not in kept:  # lapsed, as we were held up: somebody else has it
                self._until.pop(host, None)
                self._ending.discard(host)
                continue
            self._until[host] = began + host_leases.LEASE
            if kept[host]:
                self._ending.add(host)
                if not self._going[host]:
                    self._nudge.set()

    def _renewed(self, used: list[str], gaps: dict[str, float]) -> tuple[float, dict[str, bool]]:
        with self._telling() as session:
            began = self._time()
            return began, host_leases.renew(session, used, self._holder, now=self._clock(), back=gaps)

    def _leave(self, gaps: dict[str, float]) -> None:
        with self._telling() as session:
            host_leases.leave(session, gaps, self._holder, now=self._clock())

    @contextmanager
    def _telling(self) -> Iterator[Session]:
        """A transaction in which what our servers said is stored, before others have them."""
        learnt: Sequence[hosts.Record] = self._ledger.changed()
        try:
            with self._shared.database.write() as session:
                session.connection()  # others may have it for a minute
                hosts.keep(session, learnt)
                yield session
        except BaseException:
            self._ledger.unkept(learnt)
            raise

    def _gaps(self, names: Iterable[str]) -> dict[str, float]:
        return {host: self._ledger.gap_left(host) for host in names}

    # ------------------------------------------------------------ the loop

    async def _store(self, function: Callable[..., T], *args: object) -> T:
        """To be called when it is its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._shared.storing, function, *args)

    def _time(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0  # other threads ask this, too
