"""The pictures of stories that may stand in the next edition: asked for politely, each once, and judged in a worker.

What a mail or a page shows is a copy of ours, so no publisher learns who reads. Bounds: so many in a run, so long, so
many bytes and pixels each; one at a time of each host, under the guard and the manners that feeds and pages have.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from digest.collect.addresses import host_of, without_login
from digest.collect.fetch import Fetcher
from digest.collect.guard import Resolve, resolve
from digest.collect.hosts import Held, Hosts, exchange
from digest.collect.leases import Shared
from digest.collect.manner import Manner
from digest.collect.report import PictureReport
from digest.collect.rules import Rules, end, passing
from digest.collect.workers import Parsers
from digest.config import Config
from digest.dataclass import dataclass
from digest.errors import DigestError, FetchError
from digest.means import fitting
from digest.parse.pictures import Made, NotPicture, Raw
from digest.store import Database, hosts, pictures
from digest.values import Pictured

T = TypeVar("T")

MAX_BYTES = 8_000_000  # of a picture
PICTURE_SECONDS = 20  # that a server has for one
BY_HAND_SECONDS = 40  # for one that an editor waits for, and the robots.txt before it
CONNECTIONS = 8
OF_ENTRY = 4  # that are asked for, until one will do over the column
LEASE = timedelta(minutes=10)  # beyond the seconds of a run
AGAIN = timedelta(hours=1)  # after which what was not had is tried again
ACCEPT = "image/jpeg, image/png, image/webp, image/gif;q=0.9, image/*;q=0.5"
OTHERS = "is the same in other entries of its feed: it is the site's"


async def read_pictures(
    database: Database,
    config: Config,
    wanted: Sequence[Pictured],
    *,
    clock: Callable[[], datetime],
    seconds: float,
    most: int,
    resolve: Resolve = resolve,
) -> PictureReport:
    """Find the pictures of these entries, by `most` requests and for so many `seconds`; the first ones first.

    Each entry is claimed before, so that two runs ask once between them. What is not had is tried again twice at most,
    what is no picture of a story's never. Raises StorageError only.
    """
    report = PictureReport(wanted=len(wanted))
    if not wanted or seconds <= 0 or most <= 0:
        return report
    loop = asyncio.get_running_loop()
    began = loop.time()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as storing:
        finder = _Finder(database, config, clock, storing, report, timedelta(seconds=seconds) + LEASE, most)
        await finder.run(wanted, seconds, resolve)
    report.seconds = loop.time() - began
    return report


async def read_picture(
    database: Database,
    config: Config,
    wanted: Pictured,
    *,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
) -> pictures.Found:
    """Ask for the first address of `wanted` since an editor wants it: under the same guard, manners and bounds.

    Its copies are stored; what is kept of the entry stays. Raises FetchError, NotPicture and StorageError.
    """
    url = wanted.urls[0]
    had: _Had | FetchError | NotPicture
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as storing:
        finder = _Finder(database, config, clock, storing, PictureReport(), LEASE, most=1)
        async with finder.asking(resolve, by_hand=True):
            try:
                async with asyncio.timeout(BY_HAND_SECONDS):
                    had = await finder.had(wanted, url)
            except TimeoutError:
                had = FetchError(url, f"was not there within {BY_HAND_SECONDS} seconds")
            except (FetchError, NotPicture) as error:
                had = error  # and what its host said meanwhile is kept
    if not isinstance(had, _Had):
        raise had
    return had.found


@dataclass(frozen=True)
class _Had:
    """A picture that was had: what it is, and the copies that are not stored yet."""

    found: pictures.Found
    files: Mapping[str, bytes] = field(default_factory=dict)


class _Enough(Exception):
    """No more requests in this run."""


@dataclass
class _Finder:
    database: Database
    config: Config
    clock: Callable[[], datetime]
    storing: ThreadPoolExecutor
    report: PictureReport
    lease: timedelta
    most: int
    _asked: dict[tuple[str, str], asyncio.Task[_Had]] = field(default_factory=dict)  # by address and whose manner
    _refused: dict[int, dict[str, str]] = field(default_factory=dict)  # by feed
    _at_host: defaultdict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(1))
    )

    async def run(self, wanted: Sequence[Pictured], seconds: float, resolve: Resolve) -> None:
        async with self.asking(resolve):
            tasks = [asyncio.create_task(self._one(one)) for one in wanted]
            try:
                done, _late = await asyncio.wait(tasks, timeout=seconds)
            finally:
                await end([*tasks, *self._asked.values()])
        for task in done:
            task.result()  # trouble with the database is everybody's

    @asynccontextmanager
    async def asking(self, resolve: Resolve, *, by_hand: bool = False) -> AsyncIterator[None]:
        """With connections, worker processes and what is known of hosts; what was learnt of these is kept."""
        settings = self.config.collect
        bounds = {
            "max_bytes": min(settings.max_bytes, MAX_BYTES),
            "timeout_seconds": min(settings.timeout_seconds, PICTURE_SECONDS),
        }
        config = self.config.model_copy(update={"collect": settings.model_copy(update=bounds)})
        most = min(settings.connections, CONNECTIONS)
        connections = fitting(most, each=2, beside=16 + 8 * settings.workers, what="reading pictures")
        known = await self._store(self._known_hosts)
        shared = Shared(self.database, self.storing)
        self._hosts = Hosts(config.collect, clock=self.clock, known=known, by_hand=by_hand, shared=shared)
        self._seats = asyncio.Semaphore(2 * connections)
        with Parsers(workers=settings.workers, seconds=settings.parse_seconds) as self._parsers:
            async with Fetcher(
                config, self._hosts, resolve=resolve, connections=connections, accept=ACCEPT
            ) as self._fetcher:
                self._rules = Rules(self.database, self._fetcher, self.storing, self.clock)
                try:
                    yield
                finally:
                    await end(self._rules.tasks)
        await self._store(self._remember)

    async def _store(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.storing, function, *args)

    # ------------------------------------------------------------ one entry

    async def _one(self, one: Pictured) -> None:
        try:
            await self._hosts.ready(host_of(one.urls[0]))
        except Held:
            return  # another process asks there; it was not claimed, and is due as before
        async with self._seats:
            mine, known = await self._store(self._claim, one)
            self._hosts.hear(known)
            if not mine:
                return  # another run has it
            tried: list[tuple[str, str]] = []
            best: _Had | None = None
            again, print_ = False, ""
            try:
                for url in self._worth(one, tried):
                    try:
                        had = await self._had(one, url)
                    except (Held, _Enough) as later:
                        until = later.until if isinstance(later, Held) else self.clock()
                        if best is None:
                            await self._store(self._release, one.entry_id, until)
                            return
                        break
                    except FetchError as error:
                        tried.append((url, error.reason))
                        again = again or passing(error)
                    except NotPicture as error:
                        tried.append((url, error.reason))
                    else:
                        if await self._store(self._repeats, one, had):
                            tried.append((url, OTHERS))
                            print_ = had.found.print
                        elif best is None or _better(had, best):
                            best = had
                        if best is not None and best.found.hero:
                            break
            except asyncio.CancelledError:
                if best is not None:
                    self.storing.submit(self._keep, one.entry_id, best, tried)
                elif any(without_login(url)[0] in self._fetcher.begun for url in one.urls):
                    late = [*tried, ("", "was not there in time")]
                    self.storing.submit(self._refuse, one.entry_id, late, True)
                else:  # its host had no turn for it: that is no try
                    self.storing.submit(self._release, one.entry_id, self.clock())
                raise
            if best is None:
                self.report.none += 1
                await self._store(self._refuse, one.entry_id, tried, again, print_)
            else:
                self.report.taken += 1
                await self._store(self._keep, one.entry_id, best, tried)

    def _worth(self, one: Pictured, tried: list[tuple[str, str]]) -> Sequence[str]:
        """The addresses to be asked for; those that were no pictures for other entries of the feed are told as such."""
        known = self._refused.get(one.feed_id, {})
        tried += [(url, known[url]) for url in one.urls if url in known]
        return [url for url in one.urls if url not in known][:OF_ENTRY]

    async def _had(self, one: Pictured, url: str) -> _Had:
        """Raises FetchError, of which Held is that its host is not asked now, NotPicture and _Enough."""
        key = (url, one.feed_url)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(one, url))
        # Shielded: one entry that is given up does not take the picture from another.
        return await asyncio.shield(self._asked[key])

    async def _ask(self, one: Pictured, url: str) -> _Had:
        known = await self._store(self._known, url)
        if known is not None and self.clock() - known[1] < pictures.FRESH:
            return _Had(known[0])
        manner = Manner(one.feed_url, one.headers, one.proxy, one.ca_file)
        bare, login = without_login(url)
        headers, way = manner.to(bare)
        validators = {"etag": known[0].etag, "last_modified": known[0].last_modified} if known else {}
        async with self._at_host[host_of(bare)]:
            if self.report.asked >= self.most:
                raise _Enough
            self.report.asked += 1
            async with AsyncExitStack() as hold:
                answer = await self._fetcher.fetch(
                    bare,
                    now=self.clock(),
                    hold=hold,
                    headers=dict(headers) | login,
                    way=way,
                    allowed=partial(self._rules.allow, manner),
                    **validators,
                )
                if answer.status == 304 and known is not None:
                    return _Had(known[0])
                try:
                    made = await self._parsers.picture(Raw(answer.body, answer.url))
                except DigestError:
                    raise
                except Exception as error:  # a fault of ours, or of a library, met by one picture
                    raise NotPicture(f"cannot be read ({type(error).__name__})") from None
        return _had(url, made, etag=answer.etag, last_modified=answer.last_modified)

    # ------------------------------------------------------------ rows

    def _known_hosts(self) -> list[hosts.Record]:
        with self.database.read() as session:
            return hosts.records(session, now=self.clock())

    def _remember(self) -> None:
        if servers := self._hosts.changed():
            with self.database.write() as session:
                hosts.keep(session, servers)

    def _claim(self, one: Pictured) -> tuple[bool, list[hosts.Record]]:
        """Is it ours to ask for? And what others heard of servers meanwhile."""
        now = self.clock()
        with self.database.write() as session:
            if one.feed_id not in self._refused:
                self._refused[one.feed_id] = pictures.refused_of(session, one.feed_id)
            mine = pictures.claim(session, one.entry_id, lease=self.lease, now=now)
            return mine, exchange(session, self._hosts, now=now)

    def _known(self, url: str) -> tuple[pictures.Found, datetime] | None:
        with self.database.read() as session:
            return pictures.known(session, url, now=self.clock())

    def _repeats(self, one: Pictured, had: _Had) -> bool:
        with self.database.read() as session:
            others = pictures.repeats(session, one.feed_id, one.entry_id, had.found.print)
        return others >= pictures.REPEATED - 1

    def _release(self, entry_id: int, until: datetime) -> None:
        with self.database.write() as session:
            pictures.release(session, entry_id, next_at=until)

    def _refuse(self, entry_id: int, tried: Sequence[tuple[str, str]], again: bool, print_: str = "") -> None:
        with self.database.write() as session:
            next_at = self.clock() + AGAIN if again else None
            pictures.refuse(session, entry_id, tried, next_at=next_at, print_=print_)

    async def had(self, one: Pictured, url: str) -> _Had:
        """One picture, its copies stored. Raises FetchError and NotPicture."""
        had = await self._ask(one, url)
        await self._store(self._keep_files, had)
        return had

    def _keep_files(self, had: _Had) -> None:
        with self.database.write() as session:
            pictures.keep_files(session, had.found, had.files, now=self.clock())

    def _keep(self, entry_id: int, had: _Had, tried: Sequence[tuple[str, str]]) -> None:
        with self.database.write() as session:
            pictures.keep(session, entry_id, had.found, [*tried, (had.found.url, "")], had.files)


def _had(url: str, made: Made, *, etag: str, last_modified: str) -> _Had:
    hero = made.hero
    found = pictures.Found(
        url=url,
        etag=etag,
        last_modified=last_modified,
        print=made.print,
        width=made.width,
        height=made.height,
        ground=made.ground,
        hero=hero.name if hero else "",
        hero_width=hero.width if hero else 0,
        hero_height=hero.height if hero else 0,
        thumb=made.thumb.name,
        small=made.small.name,
    )
    return _Had(found, {file.name: file.data for file in (made.thumb, made.small, hero) if file is not None})


def _better(one: _Had, other: _Had) -> bool:
    def size(had: _Had) -> tuple[bool, int]:
        return bool(had.found.hero), had.found.width * had.found.height

    return size(one) > size(other)
