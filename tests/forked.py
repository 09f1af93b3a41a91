"""Processes that need not import anything: they are forked from one that has imported everything and does nothing else.

Python starting anew takes longer than what most tests let a process do. Some do start `python -m digest`, in
`test_cli.py` above all, since only that shows that it can be started.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any


def context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    rooms = ["cli.run", "collect", "deliver", "edition", "parse.sax", "subscribe", "web"]
    found.set_forkserver_preload([*(f"digest.{room}" for room in rooms), "psycopg", "trafilatura", "uvicorn"])
    return found


class Command:
    """`digest` with these words, in a process that is looked at and waited for as a `subprocess.Popen[str]` is."""

    def __init__(
        self,
        *words: object,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        late: Path | None = None,
        first: Sequence[Callable[[], object]] = (),
    ) -> None:
        """While there is a file `late`, its clock is an hour ahead; `first` takes something away from it."""
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        environment = dict(os.environ if env is None else env)
        what = (list(map(str, words)), str(cwd), environment, DupFd(to_out), DupFd(to_err), late, first)
        self._process = context().Process(target=_run, args=what)
        self._process.start()
        os.close(to_out)
        os.close(to_err)
        self.stdout, self.stderr = (os.fdopen(fd, encoding="utf-8") for fd in (out, err))
        self.pid = self._process.pid

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.stdout.close()
        self.stderr.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("digest", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has said, when it has ended: no more than a pipe has room for."""
        self.wait(timeout)
        said = self.stdout.read(), self.stderr.read()
        self.__exit__()
        return said

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def onto(number: int, path: str) -> None:
    """What is written to this descriptor goes there."""
    os.dup2(os.open(path, os.O_WRONLY), number)


def unread(number: int) -> None:
    """What is written to this descriptor, nobody will read."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, number)


def speaking(encoding: str) -> None:
    """Standard output and errors as Python opens them where PYTHONIOENCODING says so."""
    sys.stdout.reconfigure(encoding=encoding, errors="strict")
    sys.stderr.reconfigure(encoding=encoding, errors="backslashreplace")


def _run(
    words: list[str],
    cwd: str,
    env: dict[str, str],
    out: Any,
    err: Any,
    late: Path | None,
    first: Sequence[Callable[[], object]],
) -> None:
    from digest.cli import main

    if late is not None:
        importlib.import_module("digest.cli.run").now = lambda: datetime.now(UTC) + timedelta(hours=late.exists())
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, told in ((1, out), (2, err)):
        os.dup2(told.detach(), number)
    # Opened anew, since those that came with the fork may stand in a file, where nothing of these is.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    for take in first:
        take()
    sys.argv = ["digest", *words]
    main()
