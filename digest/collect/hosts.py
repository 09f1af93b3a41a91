"""Politeness per answering server, by host and by address: few connections at once, a pace, and away when told to.

What a server said stands in the database between runs (`hosts.Record`). The host that answered is the one that is
held, after redirects too; an address is held when two of its hosts ask for rest and none is served meanwhile: one may
be the machine of thousands of strangers. One process at a time has a host (`leases`), and keeps its manners here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.collect import rate_limits
from digest.collect.addresses import host_of
from digest.collect.guard import is_this_machine
from digest.collect.leases import LOOK, LOOKS, Elsewhere, Leases, Shared
from digest.config import Collect
from digest.dataclass import dataclass
from digest.errors import FetchError
from digest.store import hosts
from digest.store.host_leases import LEASE

SHORT = timedelta(seconds=3)  # a gap up to this is waited for, however many wait
PATIENCE = timedelta(seconds=LOOK * LOOKS)  # a turn that is further off is left to a later run
_LOOK = 0.1  # seconds between two looks at the clock while waiting
_NOTHING = timedelta(0)


class Held(FetchError):
    """A host is not asked before `until`: it said so, has had its requests for now, or is asked by another process."""

    def __init__(self, host: str, until: datetime, why: str = "") -> None:
        asked = why or f"which asked for rest until {until:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__("", f"is at {host}, {asked}")
        self.until = until


@dataclass
class _Server:
    """A host or an address while somebody is there: who may ask, and when the next one may."""

    seats: asyncio.Semaphore
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_start: float = 0.0  # by the loop
    users: int = 0
    waiting: int = 0  # of these, who has no turn yet


class Hosts:
    """Turns at hosts and addresses, for the length of a run. This machine itself is asked without ceremony.

    Long waits go by `clock`, and one that stands still is not waited for. `known` is what servers said before.
    `by_hand`: somebody waits for a page or two, which needs no pace; the usual gap and what servers say then hold.
    `shared`: the database by which other processes ask none of these hosts meanwhile. What servers said `before` a
    moment does not bind.
    """

    def __init__(
        self,
        settings: Collect,
        *,
        clock: Callable[[], datetime],
        known: Iterable[hosts.Record] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        by_hand: bool = False,
        shared: Shared | None = None,
        before: datetime | None = None,
    ) -> None:
        self._settings = settings
        self._by_hand = by_hand
        self._before = before
        self._leases = None
        if shared is not None and shared.others:
            self._leases = Leases(shared, self, clock=clock, sleep=sleep, by_hand=by_hand)
        self._clock = clock
        self._sleep = sleep
        self._servers: dict[str, _Server] = {}
        self._records: dict[str, hosts.Record] = {}
        self._changed: set[str] = set()
        self._served: dict[str, int] = {}  # answers since a host last asked us to wait
        self._refusals: dict[str, dict[str, datetime]] = {}  # by address: its hosts that asked for rest, and until when
        self.hear(known)

    # ------------------------------------------------------------ what is known

    def held_until(self, name: str) -> datetime | None:
        """Until when a host or an address is not asked, as far as it said."""
        record = self._records.get(name)
        return record.held_until if record is not None else None

    def held(self) -> list[str]:
        """Hosts that are not asked now, nor soon enough to be waited for."""
        soon = self._clock() + PATIENCE
        records = list(self._records.values())  # in one step: answers come in while another thread asks this
        away = self._leases.away() if self._leases is not None else []
        return [record.name for record in records if record.held_until and record.held_until > soon] + away

    def changed(self) -> list[hosts.Record]:
        """What is to be remembered since this was asked last."""
        names = set()
        while self._changed:  # one by one: answers come in while another thread asks this
            names.add(self._changed.pop())
        return [self._records[name] for name in sorted(names)]

    @contextmanager
    def learnt(self) -> Iterator[list[hosts.Record]]:
        """The same, to be stored meanwhile; what could not be is to be remembered still."""
        records = self.changed()
        try:
            yield records
        except BaseException:
            self.unkept(records)
            raise

    def unkept(self, records: Iterable[hosts.Record]) -> None:
        """What `changed` gave could not be stored."""
        self._changed.update(record.name for record in records)

    def hear(self, records: Iterable[hosts.Record]) -> None:
        """What others were told meanwhile, as it is stored: of two who heard something, who heard it last is right."""
        for theirs in records:
            if self._before is not None and (theirs.said_at is None or theirs.said_at < self._before):
                theirs = replace(theirs, held_until=None)
            ours = self._records.get(theirs.name, theirs)
            later = theirs.said_at is not None and (ours.said_at is None or theirs.said_at > ours.said_at)
            asked = max((one.asked_at for one in (ours, theirs) if one.asked_at is not None), default=None)
            self._records[theirs.name] = replace(theirs if later else ours, asked_at=asked)

    def headers(self, url: str) -> dict[str, str]:
        """What the settings want sent to the host of this address, and to no other; values may be secret."""
        said = self._settings.of_host(host_of(url)).headers if self._settings.hosts else {}
        return {name: value.get_secret_value() for name, value in said.items()}

    def pace(self, host: str) -> timedelta:
        """The time between two requests to a host: the longer of what is set and what was learnt."""
        record = self._records.get(host)
        pace = max(self._gap(host), timedelta(seconds=record.pace_seconds) if record is not None else _NOTHING)
        return min(pace, timedelta(seconds=self._settings.host_gap_seconds)) if self._by_hand else pace

    def rest(self, host: str) -> timedelta:
        """How long until a host may be asked, by what it said and by its pace where that is a slow one."""
        record, pace = self._records.get(host), self.pace(host)
        if record is None:
            return _NOTHING
        now, moments = self._clock(), [record.held_until]
        if record.asked_at is not None and pace > SHORT:
            moments.append(min(record.asked_at, now) + pace)
        return max([moment - now for moment in moments if moment is not None] + [_NOTHING])

    def _gap(self, host: str) -> timedelta:
        return timedelta(seconds=self._settings.of_host(host).gap_seconds or 0)

    # ------------------------------------------------------------ turns

    @asynccontextmanager
    async def turn(self, host: str, *, again: bool = False) -> AsyncIterator[None]:
        """Wait for a turn at a host, and have it for the length of the block. Raises Held.

        `again`: the host itself sent us on within one fetch, which is one turn, however many steps it has.
        """
        if is_this_machine(host):
            yield
            return
        connections = self._settings.of_host(host).connections or 1
        async with self._at(host, connections) as server:
            arrived, pace = self._clock(), self.pace(host)
            turn = self.rest(host) + server.waiting * pace
            if again:
                self.check(host)
            elif pace > SHORT and turn > PATIENCE:
                raise Held(host, arrived + turn)
            async with AsyncExitStack() as permits:
                server.waiting += 1
                try:
                    await server.seats.acquire()
                    permits.callback(server.seats.release)
                    if again:
                        await self._lease(host, server, permits)
                    else:
                        async with server.turn:
                            await self._wait(host, arrived)
                            await self._lease(host, server, permits)
                            await self._wait(host, arrived)  # what it told others
                            await self._keep_gap(host, server)
                finally:
                    server.waiting -= 1
                yield

    async def ready(self, host: str) -> None:
        """Wait until no other process has a host, before anything is taken that other hosts need. Raises Held."""
        if self._leases is not None and not is_this_machine(host):
            async with self._at(host, self._settings.of_host(host).connections or 1) as server:
                await self._lease(host, server)

    async def close(self) -> None:
        """Let other processes have the hosts, when no turn is left."""
        if self._leases is not None:
            await self._leases.close()

    async def _lease(self, host: str, server: _Server, permits: AsyncExitStack | None = None) -> None:
        if self._leases is None:
            return
        try:
            wait = await self._leases.have(host)
        except Elsewhere:
            until = self._clock() + timedelta(seconds=LEASE)
            raise Held(host, until, "which another process asks at the moment") from None
        if wait:
            server.next_start = max(server.next_start, asyncio.get_running_loop().time() + wait)
        if permits is not None:
            self._leases.begin(host)
            permits.callback(self._leases.end, host)

    def gap_left(self, host: str) -> float:
        """Seconds before the next request to a host may begin."""
        server = self._servers.get(host)
        return max(0.0, server.next_start - asyncio.get_running_loop().time()) if server is not None else 0.0

    @asynccontextmanager
    async def seat(self, host: str, address: str) -> AsyncIterator[None]:
        """One of the connections to the address of a host, for the length of the block. Raises Held.

        Who has it waits for no other host's turn, so that nobody waits in a circle.
        """
        if is_this_machine(host) or host == address:
            yield
            return
        async with self._at(address, self._settings.address_connections or self._settings.host_connections) as server:
            arrived = self._clock()
            async with server.seats:
                await self._wait(address, arrived)
                yield

    @asynccontextmanager
    async def _at(self, name: str, connections: int) -> AsyncIterator[_Server]:
        server = self._servers.setdefault(name, _Server(asyncio.Semaphore(connections)))
        server.users += 1
        try:
            yield server
        finally:
            server.users -= 1
            if not server.users and server.next_start <= asyncio.get_running_loop().time():
                self._servers.pop(name, None)

    async def _wait(self, name: str, arrived: datetime) -> None:
        """Until a host or address may be asked, if that is soon enough for who `arrived` then. Raises Held."""
        while rest := self.rest(name):
            now = self._clock()
            if now + rest > arrived + PATIENCE:
                raise Held(name, now + rest)
            await self._sleep(min(rest.total_seconds(), _LOOK))
            if self._clock() <= now:
                raise Held(name, now + rest)

    async def _keep_gap(self, host: str, server: _Server) -> None:
        loop, pace = asyncio.get_running_loop(), self.pace(host)
        if pace > SHORT:
            self._record(host, asked_at=self._clock())
            return
        await self._sleep(max(0.0, server.next_start - loop.time()))
        server.next_start = loop.time() + pace.total_seconds()

    def check(self, *names: str) -> None:
        """Raise Held where a host or address asked for rest while we waited for a connection."""
        now = self._clock()
        for name in names:
            until = self.held_until(name)
            if until is not None and until > now:
                raise Held(name, until)

    # ------------------------------------------------------------ what servers say

    def heard(self, host: str, address: str, status: int, headers: Mapping[str, str]) -> timedelta:
        """Learn from an answer; how long this host is to be left alone now.

        Not so of this machine: what answers here (RSS-Bridge, RSSHub) passes on what other hosts say of one feed.
        """
        if is_this_machine(host):
            return _NOTHING
        if status < 400:
            self._served[host] = self._served.get(host, 0) + 1
            self._refusals.pop(address, None)
            if self.held_until(address) is not None and address != host:
                self._record(address, held_until=None)
            if not any("rate" in name for name in headers):
                return _NOTHING
        now = self._clock()
        told = rate_limits.said(status, headers, now=now)
        pace = told.pace
        if status == 429:
            known = timedelta(seconds=self._records[host].pace_seconds) if host in self._records else _NOTHING
            pace = rate_limits.slower(known or None, told, served=self._served.pop(host, 0))
        hold = told.hold if status < 400 or status in (429, 503) else None
        if hold is not None or pace is not None:
            self._learn(host, status, hold, pace, now)
        if hold and status >= 400:
            self._bear_witness(host, address, status, now + hold)
        return self.rest(host)

    def _learn(self, host: str, status: int, hold: timedelta | None, pace: timedelta | None, now: datetime) -> None:
        words = f"answered {status}" if status >= 400 else "told its limits"
        change: dict[str, object] = {"said": words, "said_at": now}
        if hold is not None:
            change["held_until"] = now + hold
        if pace is not None:
            change |= {"pace_seconds": pace.total_seconds(), "asked_at": now}
        self._record(host, **change)

    def _bear_witness(self, host: str, address: str, status: int, until: datetime) -> None:
        """Two hosts of one address that ask for rest, and none that is served between: their machine does."""
        if host == address or not address:
            return
        witnesses = self._refusals.setdefault(address, {})
        witnesses[host] = until
        if len(witnesses) > 1:
            said = f"answered {status} for {len(witnesses)} hosts"
            self._record(address, held_until=min(witnesses.values()), said=said, said_at=self._clock())

    def _record(self, name: str, **change: object) -> None:
        record = self._records.get(name) or hosts.Record(name)
        self._records[name] = replace(record, **change)  # type: ignore[arg-type]
        self._changed.add(name)


def exchange(session: Session, ledger: Hosts, *, now: datetime) -> list[hosts.Record]:
    """Store what was learnt, and give back what is known by now, for `Hosts.hear` in the loop's own thread."""
    hosts.keep(session, ledger.changed())
    return hosts.records(session, now=now)
