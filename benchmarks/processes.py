"""Processes that are measured: started so that they end with us, held to a part of a processor, and what they cost."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_C = ctypes.CDLL(None)


def start(command: list[Any], **more: Any) -> subprocess.Popen[Any]:
    """A process that ends with this one, however this one ends (PR_SET_PDEATHSIG)."""
    return subprocess.Popen(command, preexec_fn=lambda: _C.prctl(1, signal.SIGKILL), **more)


class Sink:
    """`sink.c` at work."""

    def __init__(self, folder: Path) -> None:
        program = folder / "sink"
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("sink.c")], check=True)
        self.file = folder / f"record-{time.monotonic_ns()}"
        self.process = start([program, self.file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self._counted = self._read = 0

    def count(self) -> int:
        """How many letters came; what was counted is not read again, since that takes time from who sends."""
        if self.file.exists():
            with self.file.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read += len(new)
            self._counted += new.count(b"\n")
        return self._counted

    def taken(self) -> list[tuple[float, str]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(float(at), to) for at, _, to in (line.partition(" ") for line in lines)]

    def end(self) -> float:
        """Microseconds of the processor for each letter."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate()
        number, seconds = said.split()
        return round(float(seconds) / max(1, int(number)) * 1e6, 1)


def _spent(number: int, *, children: bool = False) -> float:
    """Seconds of the processor that a process has had, and those of its children that ended (proc_pid_stat(5))."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11 : 15 if children else 13]) / os.sysconf("SC_CLK_TCK")


class Cost:
    """The processor's time of workers and of a PostgreSQL on this machine."""

    def __init__(self, workers: list[subprocess.Popen[bytes]], server: str) -> None:
        self._workers = [process.pid for process in workers]
        file = Path(str(sa.make_url(server).query.get("host", ""))) / "data" / "postmaster.pid"
        self._server = int(file.read_text().split()[0]) if file.is_file() else 0
        self._begun = self.now()

    def now(self) -> tuple[float, float]:
        if not self._server:
            return sum(map(_spent, self._workers)), 0.0
        backends = Path(f"/proc/{self._server}/task/{self._server}/children").read_text().split()
        theirs = _spent(self._server, children=True) + sum(_spent(int(number)) for number in backends)
        return sum(map(_spent, self._workers)), theirs

    def since(self, number: int) -> tuple[float, float]:
        """Microseconds for each of so many, of workers and of PostgreSQL."""
        pairs = zip(self.now(), self._begun, strict=True)
        worker, server = (round((after - before) / max(1, number) * 1e6) for after, before in pairs)
        return worker, server


class Share:
    """A control group (v1 or v2) for one process, with so much of a processor in each hundredth of a second.

    It goes before whatever else runs on this machine: its part is what it gets, however busy others are.
    """

    PERIOD = 10_000  # microseconds
    WEIGHT = (("cpu.shares", "65536"), ("cpu.weight", "6400"))  # of a group as all others: 1024, 100

    @staticmethod
    def root() -> Path | None:
        """Where groups are made; None where there is no such place, or it is not for us to write."""
        old, new = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
        if (old / "cpu.cfs_quota_us").exists():
            return old if os.access(old, os.W_OK) else None
        file = new / "cgroup.subtree_control"
        return new if file.exists() and "cpu" in file.read_text().split() and os.access(new, os.W_OK) else None

    def __init__(self, process: int, share: float) -> None:
        root = self.root()
        assert root is not None
        self.folder = root / f"digest-benchmark-{process}"
        self.folder.mkdir()
        quota = max(1000, round(share * self.PERIOD))
        if (self.folder / "cpu.max").exists():
            (self.folder / "cpu.max").write_text(f"{quota} {self.PERIOD}")
        else:
            (self.folder / "cpu.cfs_period_us").write_text(str(self.PERIOD))
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
        for name, weight in self.WEIGHT:
            if (self.folder / name).exists():
                (self.folder / name).write_text(weight)
        (self.folder / "cgroup.procs").write_text(str(process))

    def end(self) -> None:
        root = self.root()
        assert root is not None
        for process in (self.folder / "cgroup.procs").read_text().split():
            with suppress(OSError):  # it ended meanwhile
                (root / "cgroup.procs").write_text(process)
        self.folder.rmdir()


@contextmanager
def held(processes: list[subprocess.Popen[bytes]], share: float) -> Iterator[None]:
    """Each to so much of a processor; 0: to all of it."""
    groups = [Share(process.pid, share) for process in processes] if share else []
    try:
        yield
    finally:
        for group in groups:
            group.end()
