"""Templates of an operator's own are rendered in a process beside us: one that does not come to an end is ended.

A loop in a template cannot be interrupted from within (a signal reaches the main thread only, and no call into C), and
a process can, together with what it holds. It is started when it is first needed and then kept: a mail costs about a
millisecond more than at home. Our own templates have no need of it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from digest.errors import ConfigError

SECONDS = 5.0  # of the processor for one mail, so that a busy machine condemns nobody; ours take a hundredth of that
LONGEST = 60.0  # seconds by the clock, for what waits instead of working
MEMORY = 500_000_000  # bytes that the process may hold
START_SECONDS = 60
_PATIENCE = 60.0  # seconds for which templates that took too long are not tried again
_HINT = "nothing was sent; look for a loop in a loop, or a template that includes itself"

Folders = tuple[Path, ...]
Task = tuple[Folders, str, tuple[Any, ...], dict[str, Any]]  # and which method of their `Templates`


def ask(folders: Folders, method: str, *args: Any, **named: Any) -> Any:
    """What `Templates(*folders).<method>` gives, from the process beside us.

    ConfigError as there, and where it takes too long or too much memory.
    """
    global _worker
    task = (folders, method, args, named)
    place = (folders, method, str(getattr(args[0], "kind", "")))  # one kind of mail condemns no other
    with _turn:
        if time.monotonic() < _hopeless.get(place, 0.0):
            raise _too_long(folders)
        fresh = _worker is None
        worker = _worker = _worker or _Worker()
        try:
            try:
                kind, answer, hint = worker.ask(task, SECONDS)
            except (EOFError, OSError):
                if fresh:
                    raise
                # It may have ended for what others did before: somebody killed it, or its memory was spent.
                _drop(worker)
                worker = _worker = _Worker()
                kind, answer, hint = worker.ask(task, SECONDS)
        except TimeoutError:
            _hopeless[place] = time.monotonic() + _PATIENCE
            _drop(worker)
            raise _too_long(folders) from None
        except (EOFError, OSError):
            _drop(worker)
            raise ConfigError(f"{_whose(folders)} ended the process that rendered them", hint=_HINT) from None
        except BaseException:
            _drop(worker)  # it is still at work, and would answer the next with this
            raise
        if kind == "memory":
            _drop(worker)
            raise ConfigError(f"{_whose(folders)} take more than {MEMORY / 1e6:g} MB of memory", hint=_HINT)
    if kind == "told":
        raise ConfigError(answer, hint=hint)
    if kind == "mistake":
        raise RuntimeError(answer)
    return answer


def _whose(folders: Folders) -> str:
    return f"the templates in {' and '.join(map(str, folders))}" if folders else "the templates of the subject"


def _too_long(folders: Folders) -> ConfigError:
    return ConfigError(f"{_whose(folders)} take longer than {SECONDS:g} seconds for one mail", hint=_HINT)


class _Worker:
    """The process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # not fork: this process may have threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def ask(self, task: Task, seconds: float) -> tuple[str, Any, str]:
        """Blocks until the answer.

        Raises TimeoutError after `seconds` of the processor; EOFError or OSError when the process is gone.
        """
        if not self._ready:
            if not self._pipe.poll(START_SECONDS):
                raise TimeoutError
            self._pipe.recv()
            self._ready = True
        self._pipe.send((seconds, task))
        if not self._pipe.poll(LONGEST):
            raise TimeoutError
        try:
            answer: tuple[str, Any, str] = self._pipe.recv()
        except EOFError:
            self._process.join(1)
            if self._process.exitcode == -signal.SIGPROF:
                raise TimeoutError from None
            raise
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


_turn = threading.Lock()
_worker: _Worker | None = None
_hopeless: dict[tuple[Folders, str, str], float] = {}  # until when, on the monotonic clock


def _drop(worker: _Worker) -> None:
    global _worker
    _worker = None
    worker.end()


def serve(connection: Connection) -> None:
    """In the process: answer each task until the other end hangs up. What it says first is that all is loaded.

    A template that turns in circles meets its end by SIGPROF, which no code of ours has to be awake for.
    """
    from digest.render import templates  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to hear
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with suppress(EOFError, OSError):
        connection.send(None)
        while True:
            seconds, task = connection.recv()
            signal.setitimer(signal.ITIMER_PROF, seconds)
            answer = _answer(task)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send(answer)


def _answer(task: Task) -> tuple[str, Any, str]:
    from digest.render.templates import Templates

    folders, method, args, named = task
    try:
        return "done", getattr(Templates(*folders, at_home=True), method)(*args, **named), ""
    except ConfigError as error:
        return "told", str(error), error.hint
    except MemoryError:
        return "memory", "", ""
    except Exception:
        return "mistake", traceback.format_exc(), ""
