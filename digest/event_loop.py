"""The event loop: uvloop where it is installed, which is quicker, else asyncio's own; and how Ctrl-C breaks it off."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from digest.dataclass import dataclass

T = TypeVar("T")

STOPPED = 130  # the exit code of who was stopped by Ctrl-C, as shells give it


def run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what `make` makes to its end, in a loop of its own. KeyboardInterrupt where it was broken off."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with _breakable() as this, asyncio.Runner(loop_factory=factory) as runner:
        try:
            done = runner.run(this.main(make))
        except asyncio.CancelledError:
            if not this.broken:
                raise
    if this.broken:
        raise KeyboardInterrupt
    return done


def break_off(_number: int = signal.SIGINT, _frame: object = None) -> None:
    """Stop at once: a handler of signals.

    While a loop runs nothing is raised here: the loop calls Python from C, where what a handler raises may be told with
    a traceback and be lost. Its task is cancelled instead, and `run` raises. Asked again before that has ended, the
    process ends where it is, which harms nothing that is stored.
    """
    if not _running:
        raise KeyboardInterrupt
    this = _running[-1]
    if this.broken:
        os._exit(STOPPED)
    this.broken = True
    this.cancel()


def runs() -> bool:
    """Whether the main thread is in a loop: then nobody need raise what `break_off` has asked for."""
    return bool(_running)


@dataclass
class _Running:
    """What the main thread has in a loop."""

    broken: bool = False
    cancel: Callable[[], object] = lambda: None

    async def main(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            with suppress(RuntimeError):  # the loop is closed: it has ended by itself
                loop.call_soon_threadsafe(task.cancel)

        self.cancel = cancel
        if self.broken:
            raise asyncio.CancelledError
        return await make()


_running: list[_Running] = []


@contextmanager
def _breakable() -> Iterator[_Running]:
    """In the main thread, which alone hears signals. Who handles Ctrl-C in a way of their own keeps that."""
    this = _Running()
    if threading.current_thread() is not threading.main_thread():
        yield this
        return
    mine = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    _running.append(this)
    try:
        if mine:
            signal.signal(signal.SIGINT, break_off)
        yield this
    finally:
        _running.pop()
        if mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)
