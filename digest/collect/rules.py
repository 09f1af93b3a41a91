"""What robots.txt lets be read in a run, asked for once of each origin; and what pages and pictures have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from digest.collect import robots
from digest.collect.addresses import host_of
from digest.collect.fetch import Fetcher
from digest.collect.hosts import Held
from digest.collect.manner import Manner
from digest.collect.wire import Way
from digest.errors import FetchError, Unreachable
from digest.store import Database, full_texts

_PASSING = (408, 425, 429)


class Rules:
    """What robots.txt says at each origin, as long as a run lasts. `storing` is the thread that asks the database."""

    def __init__(
        self, database: Database, fetcher: Fetcher, storing: ThreadPoolExecutor, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._storing = storing
        self._clock = clock
        self._known: dict[tuple[str, Way], asyncio.Task[str]] = {}  # by origin

    @property
    def tasks(self) -> Sequence[asyncio.Task[str]]:
        """To be ended with the run."""
        return list(self._known.values())

    async def allow(self, manner: Manner, url: str) -> None:
        """Raise FetchError where robots.txt does not let an address be read, or cannot be had (RFC 9309 §2.3.1)."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        _, way = manner.to(origin)  # who has it asked through a proxy has no other way there
        if (origin, way) not in self._known:
            self._known[origin, way] = asyncio.create_task(self._of(origin, way))
        # Shielded: one page that is given up does not take the rules from the others.
        if not robots.allows(await asyncio.shield(self._known[origin, way]), url):
            raise FetchError(url, f"is not for us: {host_of(url)}/robots.txt does not let it be read")

    async def _of(self, origin: str, way: Way) -> str:
        loop = asyncio.get_running_loop()
        known = await loop.run_in_executor(self._storing, self._stored, origin)
        if known is not None:
            return known
        try:
            async with AsyncExitStack() as hold:
                answer = await self._fetcher.fetch(f"{origin}/robots.txt", now=self._clock(), hold=hold, way=way)
                rules = robots.group(answer.body)
        except Held:
            raise
        except FetchError as error:
            if error.challenge:
                raise
            status = error.status or 0
            if not 400 <= status < 500 or status in _PASSING:
                raise Unreachable(origin, f"is not asked for: the robots.txt of its host {error.reason}") from None
            rules = robots.EVERYTHING
        await loop.run_in_executor(self._storing, self._keep, origin, rules)
        return rules

    def _stored(self, origin: str) -> str | None:
        with self._database.read() as session:
            return full_texts.robots(session, [origin], now=self._clock()).get(origin)

    def _keep(self, origin: str, rules: str) -> None:
        with self._database.write() as session:
            full_texts.keep_robots(session, origin, rules, now=self._clock())


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what goes on, and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def passing(error: FetchError) -> bool:
    """Whether what was not had may be had another time."""
    status = error.status or 0
    return isinstance(error, Unreachable) or status >= 500 or status in _PASSING
