"""Feeds are parsed in worker processes: one that takes too long or too much memory costs one feed one failure."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from digest.errors import FetchError
from digest.parse import NotAFeed, ParsedFeed, worker

MEMORY = 170_000_000  # bytes a worker may hold
TASKS = 500  # after which a worker is replaced, so that what feedparser leaks does not add up
START_SECONDS = 60


class Parsers:
    """A few processes that parse, each started when it is first needed: most runs find nothing new."""

    def __init__(self, *, workers: int, seconds: float) -> None:
        self._seconds = seconds
        self._seats = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="parse")

    def __enter__(self) -> Parsers:
        return self

    def __exit__(self, *_error: object) -> None:
        for one in self._all:
            one.hang_up()
        for one in self._all:
            one.kill()
        self._threads.shutdown()

    async def parse(self, body: bytes, *, url: str, content_type: str, now: datetime) -> ParsedFeed:
        """`parse.feed` in another process. Raises FetchError with the reason in words."""
        async with self._seats:
            one = self._idle.pop() if self._idle else _Worker()
            self._all.add(one)
            loop = asyncio.get_running_loop()
            try:
                answer = await loop.run_in_executor(
                    self._threads, one.ask, (body, url, content_type, now), self._seconds
                )
            except TimeoutError:
                self._drop(one)
                raise FetchError(url, f"takes longer than {self._seconds:g} seconds to read") from None
            except (EOFError, OSError):
                code = self._drop(one)
                raise FetchError(url, f"stopped the process that read it (exit code {code})") from None
            except BaseException:
                self._drop(one)
                raise
            if one.tasks >= TASKS or isinstance(answer, MemoryError):
                self._drop(one)
            else:
                self._idle.append(one)
        if isinstance(answer, ParsedFeed):
            return answer
        if isinstance(answer, MemoryError):
            raise FetchError(url, f"takes more than {MEMORY / 1e6:g} MB of memory to read")
        raise FetchError(url, answer.reason if isinstance(answer, NotAFeed) else f"cannot be read ({answer})")

    def _drop(self, one: _Worker) -> int | None:
        self._all.discard(one)
        return one.kill()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # not fork: this process has threads and an event loop
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=worker.serve, args=(theirs, MEMORY), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False
        self.tasks = 0

    def ask(self, task: worker.Task, seconds: float) -> ParsedFeed | Exception:
        """Blocks until the answer. Raises TimeoutError, and EOFError or OSError when the process is gone."""
        if not self._ready:
            if not self._pipe.poll(START_SECONDS):
                raise TimeoutError
            self._pipe.recv()
            self._ready = True
        self.tasks += 1
        self._pipe.send(task)
        if not self._pipe.poll(seconds):
            raise TimeoutError
        answer: ParsedFeed | Exception = self._pipe.recv()
        return answer

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
