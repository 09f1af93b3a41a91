"""Feeds are parsed in worker processes: one that takes too long or too much memory costs one feed one failure."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from datetime import datetime
from types import TracebackType

from pebble import ProcessExpired, ProcessPool

from digest.errors import FetchError
from digest.parse import NotAFeed, ParsedFeed

MEMORY = 180_000_000  # bytes a worker may hold
TASKS = 500  # after which a worker is replaced, so that what feedparser leaks does not add up


class Parsers:
    """A few processes that parse; started with the first feed, since most runs find nothing new."""

    def __init__(self, *, workers: int, seconds: float) -> None:
        self._workers = workers
        self._seconds = seconds
        self._pool: ProcessPool | None = None

    def __enter__(self) -> Parsers:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()

    async def parse(self, body: bytes, *, url: str, content_type: str, now: datetime) -> ParsedFeed:
        """`parse.feed` in another process. Raises FetchError with the reason in words."""
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self._workers,
                max_tasks=TASKS,
                initializer=_begin,
                # Not fork: this process has threads and an event loop.
                context=multiprocessing.get_context("spawn"),
            )
        future = self._pool.schedule(_parse, args=(body, url, content_type, now), timeout=self._seconds)
        try:
            return await asyncio.wrap_future(future)
        except NotAFeed as error:
            raise FetchError(url, error.reason) from None
        except TimeoutError:
            raise FetchError(url, f"takes longer than {self._seconds:g} seconds to read") from None
        except MemoryError:
            raise FetchError(url, f"takes more than {MEMORY / 1e6:g} MB of memory to read") from None
        except ProcessExpired as error:
            raise FetchError(url, f"stopped the process that read it (exit {error.exitcode})") from None
        except Exception as error:  # a fault of ours, met by one feed: the others are collected all the same
            raise FetchError(url, f"cannot be read: {type(error).__name__}: {error}"[:500]) from error


def _begin() -> None:
    """What a worker does first: leave Ctrl-C to its parent, bound its memory, load what it needs."""
    import feedparser  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import resource

        # Since Linux 4.7 this counts private writable memory, unlike RLIMIT_AS with its address space.
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _parse(body: bytes, url: str, content_type: str, now: datetime) -> ParsedFeed:
    from digest import parse

    return parse.feed(body, url=url, content_type=content_type, now=now)
