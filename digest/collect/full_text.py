"""The pages of entries whose feeds give stubs: asked for politely, each once, and never at the cost of an edition."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, zip_longest
from typing import Any, TypeVar

from digest.collect.addresses import host_of, without_login
from digest.collect.fetch import Fetcher
from digest.collect.guard import Resolve, resolve
from digest.collect.hosts import Held, Hosts, exchange
from digest.collect.leases import Shared
from digest.collect.manner import Manner
from digest.collect.report import FullTextReport
from digest.collect.rules import Rules, end, passing
from digest.collect.workers import Parsers
from digest.config import Config
from digest.curate import urls
from digest.errors import DigestError, FetchError
from digest.means import fitting
from digest.parse import article
from digest.store import Database, full_texts, hosts
from digest.values import Stub

T = TypeVar("T")

MAX_BYTES = 3_000_000  # of a page
PAGE_SECONDS = 15  # that a server has for one
PARSE_SECONDS = 5
CONNECTIONS = 8
MAX_LINK = 1_000  # characters; an index of PostgreSQL takes no more than 2,700 bytes
LEASE = timedelta(minutes=10)  # beyond the seconds of a run
AGAIN = timedelta(hours=1)  # after which a page that was not had is tried again
ACCEPT = "text/html, application/xhtml+xml, */*;q=0.1"


async def read_full_texts(
    database: Database,
    config: Config,
    stubs: Sequence[Stub],
    *,
    clock: Callable[[], datetime],
    seconds: float,
    most: int,
    resolve: Resolve = resolve,
) -> FullTextReport:
    """Read the pages of these stubs, the first ones first but hosts in turn: `most` of them, for so many `seconds`.

    Each is claimed before, so that two runs ask once between them. What is not had is tried again twice at most, what
    is refused (by robots.txt, or since its text is not the entry's) never. Raises StorageError only.
    """
    report = FullTextReport(wanted=len(stubs))
    if not stubs or seconds <= 0 or most <= 0:
        return report
    if not article.available():
        report.missing = True
        return report
    loop = asyncio.get_running_loop()
    began = loop.time()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as storing:
        reader = _Reader(database, config, clock, storing, report, timedelta(seconds=seconds) + LEASE)
        await reader.run(_in_turn(stubs)[:most], seconds, resolve)
    report.seconds = loop.time() - began
    return report


def _in_turn(stubs: Iterable[Stub]) -> list[Stub]:
    """Stubs so that each host has its first before any has its second."""
    by_host: defaultdict[str, list[Stub]] = defaultdict(list)
    for stub in stubs:
        by_host[host_of(stub.url)].append(stub)
    return [stub for stub in chain.from_iterable(zip_longest(*by_host.values())) if stub is not None]


class _Reader:
    def __init__(
        self,
        database: Database,
        config: Config,
        clock: Callable[[], datetime],
        storing: ThreadPoolExecutor,
        report: FullTextReport,
        lease: timedelta,
    ) -> None:
        settings = config.collect
        bounds = {
            "max_bytes": min(settings.max_bytes, MAX_BYTES),
            "timeout_seconds": min(settings.timeout_seconds, PAGE_SECONDS),
        }
        self._config = config.model_copy(update={"collect": settings.model_copy(update=bounds)})
        self._database = database
        self._clock = clock
        self._storing = storing
        self._report = report
        self._lease = lease

    async def run(self, stubs: Sequence[Stub], seconds: float, resolve: Resolve) -> None:
        settings = self._config.collect
        most = min(settings.connections, CONNECTIONS)
        connections = fitting(most, each=2, beside=16 + 8 * settings.workers, what="reading pages")
        shared = Shared(self._database, self._storing)
        self._hosts = Hosts(settings, clock=self._clock, known=await self._store(self._known), shared=shared)
        seats = asyncio.Semaphore(connections)
        # Who waits for a slow host's turn keeps no seat from the pages of others.
        at_host = {host: asyncio.Semaphore(settings.host_connections) for host in {host_of(s.url) for s in stubs}}
        parse_seconds = min(settings.parse_seconds, PARSE_SECONDS)
        with Parsers(workers=settings.workers, seconds=parse_seconds) as self._parsers:
            async with Fetcher(
                self._config, self._hosts, resolve=resolve, connections=connections, accept=ACCEPT
            ) as self._fetcher:
                self._rules = Rules(self._database, self._fetcher, self._storing, self._clock)
                tasks = [asyncio.create_task(self._one(stub, at_host[host_of(stub.url)], seats)) for stub in stubs]
                try:
                    done, _late = await asyncio.wait(tasks, timeout=seconds)
                finally:
                    await end([*tasks, *self._rules.tasks])
        for task in done:
            task.result()  # trouble with the database is everybody's
        await self._store(self._remember)

    async def _store(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._storing, function, *args)

    def _known(self) -> list[hosts.Record]:
        with self._database.read() as session:
            return hosts.records(session, now=self._clock())

    def _remember(self) -> None:
        if servers := self._hosts.changed():
            with self._database.write() as session:
                hosts.keep(session, servers)

    # ------------------------------------------------------------ one page

    async def _one(self, stub: Stub, at_host: asyncio.Semaphore, seats: asyncio.Semaphore) -> None:
        async with AsyncExitStack() as seat:
            await seat.enter_async_context(at_host)
            try:
                await self._hosts.ready(host_of(stub.url))
            except Held:
                return  # another process asks there; it was not claimed, and is due as before
            await seat.enter_async_context(seats)
            mine, known = await self._store(self._claim, stub.entry_id)
            self._hosts.hear(known)
            if not mine:
                return  # another run has it
            self._report.asked += 1
            try:
                text, link = await self._read(stub)
            except Held as held:
                self._report.asked -= 1
                await self._store(self._release, stub.entry_id, held.until)
            except FetchError as error:
                await self._refused(stub, f"its page {error.reason}", passing=passing(error))
            except article.NotTaken as error:
                await self._refused(stub, f"its page {error.reason}", passing=False)
            except asyncio.CancelledError:
                if without_login(stub.url)[0] in self._fetcher.begun:
                    self._storing.submit(self._refuse, stub.entry_id, "its page was not there in time", True)
                else:  # its host had no turn for it: that is no try
                    self._storing.submit(self._release, stub.entry_id, self._clock())
                raise
            except DigestError:
                raise
            except Exception as error:  # a fault of ours, or of a library, met by one page
                await self._refused(stub, f"its page cannot be read ({type(error).__name__})", passing=False)
            else:
                await self._store(self._keep, stub.entry_id, text, link)
                self._report.taken += 1

    async def _read(self, stub: Stub) -> tuple[article.Article, str]:
        """The text of a page, and where it is if elsewhere than the entry said. Raises FetchError, NotTaken."""
        url, login = without_login(stub.url)
        manner = Manner(stub.feed_url, stub.headers, stub.proxy, stub.ca_file)
        headers, way = manner.to(url)
        async with AsyncExitStack() as hold:
            answer = await self._fetcher.fetch(
                url,
                now=self._clock(),
                hold=hold,
                headers=dict(headers) | login,
                way=way,
                allowed=partial(self._rules.allow, manner),
            )
            if urls.bare(urls.normalise(answer.url)) and not urls.bare(urls.normalise(url)):
                raise article.NotTaken("is another page: the front page of its site")
            page = article.Page(answer.body, answer.url, answer.content_type, stub.title, stub.said)
            found = await self._parsers.read(page)
        return found, _own_link(url, answer.url, found.canonical)

    async def _refused(self, stub: Stub, why: str, *, passing: bool) -> None:
        self._report.refused += 1
        await self._store(self._refuse, stub.entry_id, why, passing)

    # ------------------------------------------------------------ rows

    def _claim(self, entry_id: int) -> tuple[bool, list[hosts.Record]]:
        """Is it ours to read? And what others heard of servers meanwhile."""
        now = self._clock()
        with self._database.write() as session:
            mine = full_texts.claim(session, entry_id, lease=self._lease, now=now)
            return mine, exchange(session, self._hosts, now=now)

    def _release(self, entry_id: int, until: datetime) -> None:
        with self._database.write() as session:
            full_texts.release(session, entry_id, next_at=until)

    def _refuse(self, entry_id: int, why: str, passing: bool) -> None:
        with self._database.write() as session:
            full_texts.refuse(session, entry_id, why, next_at=self._clock() + AGAIN if passing else None)

    def _keep(self, entry_id: int, found: article.Article, link: str) -> None:
        with self._database.write() as session:
            full_texts.keep(session, entry_id, found, link=link)


def _own_link(asked: str, answered: str, canonical: str) -> str:
    """Where a page is by its redirects and its own word, normalised; "" where that is where its entry led.

    Its own word counts within its site: any page may call itself another's.
    """
    known, found = urls.normalise(asked), urls.normalise(answered)
    said = urls.normalise(canonical)
    if said and not urls.bare(said) and urls.site(said) == urls.site(found):
        found = said
    return "" if found == known or urls.bare(found) or len(found) > MAX_LINK else found
