"""What runs inside a parsing process: little is imported here, since each process imports it anew."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection

from digest.parse.entries import NotAFeed, ParsedFeed
from digest.parse.feeds import feed

Task = tuple[bytes, str, str, datetime]  # the arguments of `parse.feed`


def serve(connection: Connection, memory_bytes: int) -> None:
    """Answer each task with what `parse.feed` gives or raises, until the other end hangs up.

    `None` comes first, when all is loaded. Ctrl-C is for the parent to hear; memory has an end.
    """
    from digest.parse import sax  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import resource

        # Since Linux 4.7 this counts private writable memory, unlike RLIMIT_AS with its address space.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(EOFError, OSError):  # the other end is gone, killed perhaps
        connection.send(None)
        while True:
            try:
                task: Task = connection.recv()
                connection.send(_answer(task))
            except MemoryError:
                connection.send(MemoryError())


def _answer(task: Task) -> ParsedFeed | Exception:
    body, url, content_type, now = task
    try:
        return feed(body, url=url, content_type=content_type, now=now)
    except NotAFeed as error:
        return error
    except MemoryError:
        return MemoryError()
    except Exception as error:  # a fault of ours, met by one feed: the others are read all the same
        return RuntimeError(f"{type(error).__name__}: {error}"[:500])
