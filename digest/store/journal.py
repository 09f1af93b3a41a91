"""The witness: a journal outside the database of what went out and who left, by which a database put back is known.

It is a folder of files, one for each month of the clock and in the order they were begun (`000001-2026-11.jsonl`),
with a record a line. Each record has the tick of the transaction it tells of (`t`) and the highest one so far (`top`).
Nothing here knows the database; see `store.witness`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from digest.dataclass import dataclass
from digest.errors import StorageError

Record = dict[str, Any]
BEGIN = "begin"  # the kind (`k`) of the first record of each file: whose journal it is
_NAME = re.compile(r"(\d{6,})-(\d{4}-\d{2})\.jsonl")
PATIENCE = 60.0  # seconds for which another process is waited for
_STEP = 64 << 10  # bytes read at a time from the end of a file
_TICK_NS = 3_000_000_000  # no file system's clock has longer ticks than two seconds
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


@dataclass(frozen=True)
class Written:
    """A value of a record that is JSON already: of ten thousand rows the text takes a tenth of what they do."""

    json: str


@dataclass(frozen=True)
class Top:
    """What the last record says: how far the witness has seen, and of which installation."""

    tick: int
    installation: str


class _Folder(NamedTuple):
    """A folder between two changes of what it has."""

    device: int
    number: int
    changed_ns: int


class _File(NamedTuple):
    """A file to which is only added, when it was so long."""

    number: int
    size: int

    @classmethod
    def of(cls, stat: os.stat_result) -> _File:
        return cls(stat.st_ino, stat.st_size)


class Journal:
    """Appends records and reads them again. Any number of processes may append at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._listed: tuple[_Folder, list[Path]] | None = None  # how the folder was when these were its files
        self._seen: tuple[_File, Top] | None = None  # a file, and what its end said

    def files(self) -> list[Path]:
        """The oldest first. Asked at each commit while letters go out: the folder is read where it has changed."""
        try:
            was = self.folder.stat()
            folder = _Folder(was.st_dev, was.st_ino, was.st_mtime_ns)
            if self._listed is not None and self._listed[0] == folder:
                return self._listed[1]
            names = [path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._trouble("read", error) from None
        files = [self.folder / name for name in sorted(names, key=lambda name: int(name.partition("-")[0]))]
        # Of two files made in one tick of the file system's clock, the folder's time would not tell the second.
        self._listed = (folder, files) if time.time_ns() - folder.changed_ns > _TICK_NS else None
        return files

    def top(self, files: Sequence[Path] | None = None) -> Top | None:
        """What the last whole record says; None where there is none. StorageError where it cannot be read."""
        for path in reversed(self.files() if files is None else files):
            try:
                if self._seen is not None and self._seen[0] == _File.of(path.stat()):
                    return self._seen[1]
                with path.open("rb") as file:
                    seen = _File.of(os.fstat(file.fileno()))
                    first = _parsed(file.readline())
                    last = next(_backwards(file, seen.size), None)
            except OSError as error:
                raise self._trouble("read", error) from None
            if last is not None and first is not None and first.get("k") == BEGIN:
                top = Top(int(last.get("top", 0)), str(first["installation"]))
                self._seen = (seen, top)
                return top
        return None

    def append(self, records: Sequence[Record], *, installation: str, at: datetime, sync: bool = True) -> None:
        """Add records, whole or not at all, and have them on the disk when it returns, unless `sync` is False.

        Raises StorageError where they cannot be written.
        """
        if not records:
            return
        try:
            with self._locked():
                self._append(records, installation, at, sync)
        except OSError as error:
            raise self._trouble("written", error) from None

    def _append(self, records: Sequence[Record], installation: str, at: datetime, sync: bool) -> None:
        files = self.files()  # nobody else adds one, while we have the lock
        moment, top = at.astimezone(UTC), self.top(files)
        month = f"{moment.year:04}-{moment.month:02}"
        highest = top.tick if top is not None and top.installation == installation else 0
        lines: list[Record] = list(records)
        new = top is None or not files or not files[-1].name.endswith(f"-{month}.jsonl")
        if new:
            number = int(files[-1].name.partition("-")[0]) + 1 if files else 1
            path = self.folder / f"{number:06}-{month}.jsonl"
            begun = {"k": BEGIN, "t": highest, "installation": installation, "at": at.isoformat(timespec="seconds")}
            lines.insert(0, begun)
        else:
            path = files[-1]
        texts = []
        for record in lines:
            highest = max(highest, int(record["t"]))
            texts.append(_line(record | {"top": highest}))
        file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            was = _File.of(os.fstat(file))
            torn = was.size > 0 and os.pread(file, 1, was.size - 1) != b"\n"
            content = (b"\n" if torn else b"") + "".join(texts).encode()
            try:
                _write(file, content)
                if sync:
                    _sync(file)
            except OSError:
                os.ftruncate(file, was.size)
                raise
        finally:
            os.close(file)
        if new:
            _sync_folder(self.folder)
        self._seen = (was._replace(size=was.size + len(content)), Top(highest, installation))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path, how = f"{self.folder}/lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        try:
            lock = os.open(path, how, 0o600)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            _sync_folder(self.folder.parent)
            lock = os.open(path, how, 0o600)
        try:
            self._take(lock)
            yield
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        """Wait for one's turn, which is a moment; but a process that was stopped meanwhile holds up nobody for ever."""
        for pause in (*(0.001,) * 100, *(0.01,) * 100, *(0.1,) * round(10 * PATIENCE)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(pause)
            else:
                return
        raise OSError(errno.EAGAIN, f"another process held it for {PATIENCE:g} seconds")

    def read(self, *, after: int = -1) -> Iterator[Record]:
        """Records of ticks after `after`, in the order they were written. What is torn is left out."""
        for path in self.files():
            try:
                with path.open("rb") as file:
                    for line in file:
                        record = _parsed(line)
                        if record is not None and record["t"] > after and record.get("k") != BEGIN:
                            yield record
            except OSError as error:
                raise self._trouble("read", error) from None

    def latest(self, kind: str) -> Iterator[Record]:
        """Records of a kind of the last two files, without reading the others."""
        sign = f'{{"k":"{kind}",'.encode()
        for path in self.files()[-2:]:
            try:
                with path.open("rb") as file:
                    for line in file:
                        if line.startswith(sign) and (record := _parsed(line)) is not None:
                            yield record
            except OSError as error:
                raise self._trouble("read", error) from None

    def forget(self, before: datetime) -> int:
        """Remove files that were ended before a moment, but never the last two; how many."""
        files = self.files()
        gone = 0
        for path, following in pairwise(files[:-1]):
            with following.open("rb") as file:
                first = _parsed(file.readline())
            if first is None or first.get("k") != BEGIN or datetime.fromisoformat(first["at"]) >= before:
                break
            path.unlink(missing_ok=True)
            gone += 1
        return gone

    def set_aside(self, name: str) -> Path:
        """Give the folder another name, so that a new journal can begin; the new name."""
        number = 1
        while (
            other := self.folder.with_name(f"{self.folder.name}.{name}{f'-{number}' if number > 1 else ''}")
        ).exists():
            number += 1
        try:
            self.folder.rename(other)
        except OSError as error:
            raise self._trouble("moved", error) from None
        self._seen = None
        return other

    def _trouble(self, what: str, error: OSError) -> StorageError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room; nothing is lost" if full else "see who owns it; `witness` in [keep] names another place"
        said = "the disk is full" if full else error.strerror or str(error)
        return StorageError(f"the witness {self.folder} cannot be {what}: {said}", hint=hint)


def _write(file: int, content: bytes) -> None:
    """One write where the system takes it whole, as it does but on a disk that fills up."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _line(record: Record) -> str:
    if not any(isinstance(value, Written) for value in record.values()):
        return compact(record) + "\n"
    values = ((compact(key), v.json if isinstance(v, Written) else compact(v)) for key, v in record.items())
    return "{" + ",".join(f"{key}:{value}" for key, value in values) + "}\n"


compact = json.JSONEncoder(separators=(",", ":")).encode  # made once: `json.dumps` would make one for each value


def _parsed(line: bytes) -> Record | None:
    """A whole record, or None of what a power failure left."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("t"), int) else None


def _backwards(file: Any, size: int) -> Iterator[Record]:
    """Whole records, the last one first. More of the file is read only as more are asked for."""
    begin, rest = size, b""
    while begin > 0:
        step = min(_STEP, begin)
        begin -= step
        file.seek(begin)
        lines = (file.read(step) + rest).splitlines(keepends=True)
        rest = lines.pop(0) if begin > 0 else b""
        for line in reversed(lines):
            if (record := _parsed(line)) is not None:
                yield record


def _sync_folder(folder: Path) -> None:
    """That a file was made is on the disk, too. Not all file systems can be asked for it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# ---------------------------------------------------------------- numbers as ranges


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as "1-90,+3,+40-7", each but the first told by how far it is from the one before it.

    Letters go out variant by variant, and of each in their order: so these are few characters a letter.
    """
    rest = sorted(set(numbers))
    gaps = [following - number for number, following in pairwise(rest)]
    if rest and 1 not in gaps:  # as nearly always: the readers of one variant are seldom each other's neighbours
        return ",+".join(map(str, (rest[0], *gaps)))
    parts: list[str] = []
    before, begin = 0, rest[0] if rest else 0
    for number, following in zip_longest(rest, rest[1:]):
        if following == number + 1:
            continue
        told = f"+{begin - before}" if parts else f"{begin}"
        if begin != number:
            told += f"-{number - begin if parts else number}"
        parts.append(told)
        before, begin = number, following
    return ",".join(parts)


def numbers_of(text: str) -> Iterator[int]:
    """What `ranges` wrote, or that of a release before, which told each number as it is."""
    last = 0
    for part in text.split(",") if text else ():
        first, _, end = part.partition("-")
        if first.startswith("+"):
            begin = last + int(first)
            last = begin + int(end or 0)
        else:
            begin = int(first)
            last = int(end or first)
        yield from range(begin, last + 1)
