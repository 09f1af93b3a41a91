"""Politeness per host: few connections at once, a pause between two requests, and away when told to stay away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from digest.collect.guard import is_this_machine


@dataclass
class _Host:
    seats: asyncio.Semaphore
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_start: float = 0.0
    users: int = 0


class Hosts:
    """Turns at hosts, for the length of a run. This machine itself is asked without ceremony."""

    def __init__(self, *, connections: int, gap_seconds: float) -> None:
        self._connections = connections
        self._gap = gap_seconds
        self._hosts: dict[str, _Host] = {}
        self._held: dict[str, datetime] = {}

    def hold(self, host: str, until: datetime) -> None:
        """Ask nothing of this host before `until`.

        Not so this machine: what answers here (RSS-Bridge, RSSHub) passes on what other hosts say of one feed.
        """
        if is_this_machine(host):
            return
        self._held[host] = max(until, self._held.get(host, until))

    def held_until(self, host: str) -> datetime | None:
        return self._held.get(host)

    def held(self) -> list[str]:
        return list(self._held)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block."""
        if is_this_machine(host):
            yield
            return
        loop = asyncio.get_running_loop()
        state = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self._connections)))
        state.users += 1
        try:
            async with state.seats:
                async with state.turn:
                    await asyncio.sleep(max(0.0, state.next_start - loop.time()))
                    state.next_start = loop.time() + self._gap
                yield
        finally:
            state.users -= 1
            if not state.users and state.next_start <= loop.time():
                self._hosts.pop(host, None)
