"""What runs inside a parsing process: little is imported here, since each process imports it anew."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

from digest.dataclass import dataclass
from digest.errors import BadInput
from digest.parse import lists
from digest.parse.article import Article, NotTaken, Page
from digest.parse.article import read as read_page
from digest.parse.entries import NotAFeed, ParsedFeed, TooDear, Watch
from digest.parse.feeds import feed
from digest.parse.mailed import Posted
from digest.parse.mailed import read as read_mail
from digest.parse.meaning import Meant
from digest.parse.meaning import read as read_meaning
from digest.parse.outlines import Listed
from digest.parse.pictures import Made, Raw
from digest.parse.pictures import read as read_picture
from digest.parse.recipes import Recipe
from digest.values import Mailed


@dataclass(frozen=True)
class Task:
    """The arguments of `parse.feed`, and the seconds of work that one entry may take.

    With `apart` (the entries that brought a process down, with the reason; there may be none) each entry is read
    apart from the others, and announced before by its number.
    """

    body: bytes
    url: str
    content_type: str
    now: datetime
    entry_seconds: float
    apart: Mapping[int, str] | None = None
    recipe: Recipe | None = None
    as_list: str | None = None  # a list of feeds in this format ("": as it looks) is read, and no feed


Work = Task | Page | Mailed | Raw | Meant
Result = ParsedFeed | Listed | Article | Posted | Made | list[bytes]


def serve(connection: Connection, memory_bytes: int) -> None:
    """Answer each task with what reads it gives or raises: `parse.feed`, `article.read` for a page, `mailed.read`, ….

    The end is a hang-up.

    `None` comes first, when all is loaded. Ctrl-C is for the parent to hear; memory has an end, and so has work: with a
    task come the seconds of the processor until each thing that is said, and until the answer. The end of them is
    SIGPROF, which no code of ours has to be awake for.
    """
    from digest.parse import sax

    sax.quicken()  # it may have something to say while stderr is there
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library says when it gives up tells an operator nothing; the parent says which feed it was.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if sys.platform == "linux":
        import resource

        # Since Linux 4.7 this counts private writable memory, unlike RLIMIT_AS with its address space.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with suppress(EOFError, OSError):  # the other end is gone, killed perhaps
        connection.send(None)
        while True:
            try:
                task: Work
                seconds, in_all, task = connection.recv()
                with _working(connection, seconds, in_all) as say:
                    answer = _answer(task, say)
                connection.send(answer)
            except MemoryError:
                connection.send(MemoryError())


@contextmanager
def _working(connection: Connection, seconds: float, in_all: float) -> Iterator[Callable[[int], None]]:
    """What says where the work is; the process ends once it has worked for `seconds` since, or for `in_all`."""
    end = time.process_time() + in_all

    def bound() -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, max(0.001, min(seconds, end - time.process_time())))

    def say(at: int) -> None:
        connection.send(at)
        bound()

    bound()
    try:
        yield say
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(task: Work, at: Callable[[int], None]) -> Result | Exception:
    try:
        if isinstance(task, Raw):
            return read_picture(task)
        if isinstance(task, Meant):
            return read_meaning(task)
        if isinstance(task, Mailed):
            return read_mail(task)
        if isinstance(task, Page):
            return read_page(task)
        return _feed(task, at) if task.as_list is None else lists.read(task.body, task.as_list)
    except (NotAFeed, NotTaken) as error:
        return error
    except BadInput as error:
        return NotAFeed(f"cannot be read: {error}")
    except MemoryError:
        return MemoryError()
    except OSError:
        raise  # the other end is gone
    except Exception as error:  # a fault of ours, met by one feed: the others are read all the same
        return RuntimeError(f"{type(error).__name__}: {error}"[:500])


def _feed(task: Task, at: Callable[[int], None]) -> ParsedFeed:
    watch = Watch(lambda: _within(task.entry_seconds), apart=task.apart is not None, at=at, known=task.apart or {})
    return feed(task.body, url=task.url, content_type=task.content_type, now=task.now, watch=watch, recipe=task.recipe)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TooDear once the block has worked for so long: time of the processor, so that a busy machine harms nobody.

    It interrupts Python and its patterns. What is compiled otherwise goes on, until the parent ends the process.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise TooDear

    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
