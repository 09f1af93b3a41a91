"""Feeds are parsed in worker processes: one that takes too long or too much memory costs one feed one failure."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from digest import spans
from digest.errors import FetchError
from digest.parse import NotAFeed, ParsedFeed
from digest.parse.article import Article, NotTaken, Page
from digest.parse.entries import Unread
from digest.parse.mailed import Posted
from digest.parse.outlines import Listed
from digest.parse.pictures import Made, NotPicture, Raw
from digest.parse.recipes import Recipe
from digest.parse.worker import Result, Task, Work, serve
from digest.values import Mailed

MEMORY = 170_000_000  # bytes a worker may hold
WAIT = 0.5  # seconds for which a document waits for a process before another is started
TASKS = 500  # after which a worker is replaced, so that what feedparser leaks does not add up
START_SECONDS = 60
# All seconds are of the processor, so that a busy machine harms no feed; by the clock so many times as long is waited.
PATIENCE = 6
# Of the seconds that a document may take: what one entry may; what one may when it is read apart; and how often a
# document may take them all when it is read entry by entry.
ENTRY_SHARE, PIECE_SHARE, MOST_TIMES = 0.25, 0.5, 3
Heard = Result | Exception
SETBACKS = 4  # entries that bring a process down, before the whole feed is given up


class Parsers:
    """A few processes that parse, each started when it is needed: most runs find nothing new, or little."""

    def __init__(self, *, workers: int, seconds: float) -> None:
        self._seconds = seconds
        self._seats = Seats(workers)
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="parse")

    def __enter__(self) -> Parsers:
        return self

    def __exit__(self, *_error: object) -> None:
        there = tuple(self._all)  # a thread may be starting another
        for one in there:
            one.hang_up()
        for one in there:
            one.kill()
        self._threads.shutdown()
        for one in self._all.difference(there):
            one.kill()

    async def parse(
        self, body: bytes, *, url: str, content_type: str, now: datetime, recipe: Recipe | None = None
    ) -> ParsedFeed:
        """`parse.feed` in another process. Raises FetchError with the reason in words.

        A document that brings a process down, or is not read in time, is read again entry by entry: those that do it
        are set aside, and the others are read. With more than `SETBACKS` of them the feed is given up.
        """
        task = Task(body, url, content_type, now, self._seconds * ENTRY_SHARE, recipe=recipe)
        async with self._seats:
            with spans.span("parse", bytes=len(body)):
                return await self._parsed(task)

    async def _parsed(self, task: Task) -> ParsedFeed:
        try:
            return _feed(await self._ask(task, self._seconds))
        except _Setback as first:
            reason = first.reason
        apart: dict[int, str] = {}
        while len(apart) <= SETBACKS:
            try:
                return _feed(await self._ask(replace(task, apart=apart), self._seconds * PIECE_SHARE))
            except _Setback as again:
                if again.at is None:
                    break
                apart[again.at] = f"it {again.reason}"
        raise FetchError(task.url, reason)

    async def read(self, page: Page) -> Article:
        """`article.read` in another process. Raises NotTaken; what a page is too much for is a reason as well."""
        async with self._seats:
            try:
                answer, _ = await self._heard(page, self._seconds)
            except _Setback as setback:
                raise NotTaken(setback.reason) from None
        if isinstance(answer, Article):
            return answer
        if isinstance(answer, NotTaken):
            raise answer
        if isinstance(answer, MemoryError):
            raise NotTaken(f"takes more than {MEMORY / 1e6:g} MB of memory to read")
        raise NotTaken(f"cannot be read ({str(answer).partition(':')[0][:60]})")

    async def picture(self, raw: Raw) -> Made:
        """`pictures.read` in another process. Raises NotPicture; what one is too much for is a reason as well."""
        async with self._seats:
            try:
                answer, _ = await self._heard(raw, self._seconds)
            except _Setback as setback:
                raise NotPicture(setback.reason) from None
        if isinstance(answer, Made):
            return answer
        if isinstance(answer, NotPicture):
            raise answer
        if isinstance(answer, MemoryError):
            raise NotPicture(f"takes more than {MEMORY / 1e6:g} MB of memory to read")
        raise NotPicture(f"cannot be read ({str(answer).partition(':')[0][:60]})")

    async def read_list(self, body: bytes, form: str, *, url: str, now: datetime) -> Listed:
        """`parse.lists.read` in another process. Raises FetchError with the reason in words."""
        task = Task(body, url, "", now, self._seconds * ENTRY_SHARE, as_list=form)
        async with self._seats:
            try:
                found = await self._ask(task, self._seconds)
            except _Setback as setback:
                raise FetchError(url, setback.reason) from None
        assert isinstance(found, Listed)
        return found

    async def mail(self, mail: Mailed) -> Posted:
        """`mailed.read` in another process. Raises NotAFeed where it is too much for one."""
        async with self._seats:
            try:
                answer, _ = await self._heard(mail, self._seconds)
            except _Setback as setback:
                raise NotAFeed(setback.reason) from None
        if isinstance(answer, Posted):
            return answer
        raise NotAFeed(f"cannot be read ({str(answer).partition(':')[0][:60]})")

    async def _ask(self, task: Task, seconds: float) -> ParsedFeed | Listed:
        """Raises _Setback where the document was too much for a process, FetchError where it is no feed."""
        answer, at = await self._heard(task, seconds)
        if isinstance(answer, ParsedFeed | Listed):
            return answer
        if isinstance(answer, MemoryError):
            raise _Setback(f"takes more than {MEMORY / 1e6:g} MB of memory to read", at)
        if isinstance(answer, NotAFeed) and not isinstance(answer, Unread):
            raise FetchError(task.url, answer.reason)
        raise _Setback(answer.reason if isinstance(answer, Unread) else f"cannot be read ({answer})", at)

    async def _heard(self, task: Work, seconds: float) -> tuple[Heard, int | None]:
        """What a process answers, and the entry it was at. Raises _Setback where the document was too much for it."""
        loop = asyncio.get_running_loop()
        one = self._idle.pop() if self._idle else await loop.run_in_executor(self._threads, self._another)
        try:
            answer = await loop.run_in_executor(self._threads, one.ask, task, seconds, MOST_TIMES * self._seconds)
        except TimeoutError:
            self._drop(one)
            raise _Setback(f"takes longer than {seconds:g} seconds to read", one.at) from None
        except (EOFError, OSError):
            code = self._drop(one)
            raise _Setback(f"stopped the process that read it (exit code {code})", one.at) from None
        except BaseException:
            self._drop(one)
            raise
        if one.tasks >= TASKS or isinstance(answer, MemoryError):
            self._drop(one)
        else:
            self._idle.append(one)
        return answer, one.at

    def _another(self) -> Worker:
        """Started by a thread: the loop would hear no server meanwhile, whose time goes on."""
        one = Worker()
        self._all.add(one)
        return one

    def _drop(self, one: Worker) -> int | None:
        self._all.discard(one)
        return one.kill()


class Seats:
    """Who is at work at once: one, and one more whenever somebody has waited for a while, up to so many.

    Another process takes as long to start as fifty feeds take to read, so a handful of them is read by one. What it has
    to read says little of how long that lasts, so it is by the wait that we know.
    """

    def __init__(self, most: int) -> None:
        self._left = most - 1  # that may be added
        self._free = asyncio.Semaphore(1)

    async def __aenter__(self) -> None:
        while self._left:
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT):
                    await self._free.acquire()
                return
            if self._left:  # another has waited as long, and was before us
                self._left -= 1
                self._free.release()
        await self._free.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._free.release()


def _feed(answer: ParsedFeed | Listed) -> ParsedFeed:
    assert isinstance(answer, ParsedFeed)
    return answer


class _Setback(Exception):
    """A document was too much for a process: all of it, or its entry number `at`."""

    def __init__(self, reason: str, at: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


class Worker:
    """One process and the pipe to it."""

    def __init__(self, memory: int = MEMORY) -> None:
        context = multiprocessing.get_context("spawn")  # not fork: this process has threads and an event loop
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, memory), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False
        self.tasks = 0
        self.at: int | None = None  # the entry that it is reading, where it says so

    def ask(self, task: Work, seconds: float, in_all: float) -> Heard:
        """Blocks until the answer; the process may work for `seconds` until each thing that is heard, and for `in_all`.

        Raises TimeoutError, and EOFError or OSError when the process is gone.
        """
        self.at = None
        if not self._ready:
            if not self._pipe.poll(START_SECONDS):
                raise TimeoutError
            self._pipe.recv()
            self._ready = True
        self.tasks += 1
        self._pipe.send((seconds, in_all, task))
        end = time.monotonic() + PATIENCE * in_all
        while True:
            if not self._pipe.poll(max(0.0, min(PATIENCE * seconds, end - time.monotonic()))):
                raise TimeoutError
            heard = self._hear()
            if not isinstance(heard, int):
                return heard
            self.at = heard

    def _hear(self) -> Heard | int:
        try:
            heard: Heard | int = self._pipe.recv()
        except EOFError:
            self._process.join(1)
            if self._process.exitcode == -signal.SIGPROF:
                raise TimeoutError from None
            raise
        return heard

    def hang_up(self) -> None:
        """Tell the process that nothing more comes; an idle one then ends by itself."""
        self._pipe.close()

    def kill(self) -> int | None:
        """End the process, and say how it ended where it had done so by itself."""
        self._process.join(0.1)
        code = self._process.exitcode
        self._process.kill()
        self._process.join()
        return code
