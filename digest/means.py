"""What this process may use: open files, memory, threads. Asked before work begins, so that the work fits."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from digest.errors import Exit, UserError

LEAST_FILES = 40  # with which the smallest command that opens a database gets by
LEAST_MEMORY = 160_000_000  # bytes of address space, where there is a limit on it (ulimit -v)
_BELOW = 1 << 20  # what is called unlimited is some number, too


class OutOfMeans(UserError):
    """The system lets us have no more open files, memory or processes."""

    exit_code = Exit.OSERR


def files_left(wanted: int = 0) -> int:
    """How many more files this process may open; the limit is raised for `wanted` of them where we may do that."""
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return _BELOW
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = _open_files()
    most = _BELOW if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < used + wanted and soft < most:
        soft = min(most, used + wanted)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _BELOW if soft == resource.RLIM_INFINITY else max(0, soft - used)


def fitting(wanted: int, *, each: int, beside: int, what: str) -> int:
    """How many of `wanted` connections there are files for: `each` takes so many, all else `beside`.

    OutOfMeans, about `what`, where there are too few for even one.
    """
    left = files_left(wanted * each + beside)
    room = (left - beside) // each
    if room < 1:
        raise OutOfMeans(
            f"{what} needs {beside + each} more open files, and this process may have {left}",
            hint="raise the limit: ulimit -n 1024, or LimitNOFILE= of its systemd unit",
        )
    return min(wanted, room)


def ask() -> None:
    """Is there enough for any command at all? OutOfMeans where not."""
    left = files_left(LEAST_FILES)
    if left < LEAST_FILES:
        raise OutOfMeans(
            f"this process may open {left} more files, and digest needs {LEAST_FILES} at least",
            hint="raise the limit: ulimit -n 1024, or LimitNOFILE= of its systemd unit",
        )
    memory = _memory()
    if memory is not None and memory < LEAST_MEMORY:
        raise OutOfMeans(
            f"this process may have {memory / 1e6:.0f} MB more memory, and digest needs {LEAST_MEMORY / 1e6:.0f}",
            hint="raise the limit: ulimit -v unlimited, or LimitAS= of its systemd unit",
        )


def lacking(error: BaseException) -> OutOfMeans | None:
    """What an error means, if somewhere in it the system said that there is no more; None for other errors."""
    for one in _all(error):
        if isinstance(one, OutOfMeans):
            return one
        said = str(one).lower()
        if isinstance(one, OSError) and one.errno in (errno.EMFILE, errno.ENFILE):
            return OutOfMeans("no more files can be opened", hint="raise the limit: ulimit -n 1024")
        if isinstance(one, MemoryError) or "cannot allocate memory" in said or "failed to map segment" in said:
            return OutOfMeans("there is not enough memory", hint="raise the limit: ulimit -v, or free some")
        if isinstance(one, BlockingIOError) or (isinstance(one, RuntimeError) and "start new thread" in said):
            return OutOfMeans(
                "no more processes or threads can be started", hint="raise the limits: ulimit -u, ulimit -v"
            )
    return None


def _all(error: BaseException | None) -> Iterator[BaseException]:
    """The error, those in it and those that led to it."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        left += [one.__context__, one.__cause__]


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return sum(1 for _ in os.scandir(folder)) - 1
    return 16


def _memory() -> int | None:
    """Bytes of address space that are left, None where there is no limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    used = 0
    with suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return max(0, soft - used)
