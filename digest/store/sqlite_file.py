"""A SQLite file as it is opened: to work on, or where nothing can be written to look at, and nothing made beside it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlmodel import create_engine

from digest.column_types import read_json
from digest.dataclass import dataclass
from digest.errors import StorageError, TryAgain

BUSY_MS = 60_000  # how long a writer waits for another before it gives up
WAITED = "waited"  # seconds for the lock, in what a connection is told of itself


@dataclass(frozen=True)
class View:
    """How a file is looked at that is not to be written: SQLite's own words for it, and why nothing can be written."""

    path: Path
    query: str  # "mode=ro", or "immutable=1" where nobody has it open
    why: StorageError
    stamp: tuple[int, int]  # of the file, when it was opened

    def must_be_still(self) -> None:
        """TryAgain where somebody wrote to the file meanwhile, which SQLite does not notice of what cannot change."""
        if self.query == "immutable=1" and _stamp(self.path) != self.stamp:
            raise TryAgain(f"the database {self.path} was written to while it was looked at", hint="look again")


def _stamp(path: Path) -> tuple[int, int]:
    there = path.stat()
    return there.st_mtime_ns, there.st_size


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _beside(path: Path) -> tuple[Path, Path]:
    """What SQLite keeps beside a file, and not beside a link to it: the log, and the index of the log."""
    file = path.resolve()
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def may_write(path: Path) -> bool:
    """The file, and what SQLite keeps beside it: makes there, or finds there in a folder that is not ours."""
    # A sandbox that does not know the question (faccessat2, under an old Docker) says no to it, whatever is asked.
    ours = os.access in os.supports_effective_ids and os.access("/", os.F_OK, effective_ids=True)
    folder, beside = path.resolve().parent, _beside(path)
    file, makes, *finds = (os.access(one, os.W_OK, effective_ids=ours) for one in (path, folder, *beside))
    return file and (makes or all(finds))


def view(path: Path, why: StorageError | None = None) -> View:
    """How to look at a file that cannot be written, or where nothing can be made beside it: of a full disk, say.

    StorageError where what was changed last cannot be seen so.
    """
    # SQLite wants an index of the log (-shm) beside the log. It reads one that is there, of whoever is at work in the
    # file. Where neither is there, all of the database is in the file, and nobody is at work in it.
    log, index = _beside(path)
    if _size(log) and not _size(index):
        file = path.resolve() if path.is_symlink() else path
        raise StorageError(
            f"the database {path} cannot be written, and what was changed last is in {log.name}, which wants that",
            hint=f"look at a copy of both: cp {file} {log} FOLDER; DIGEST_DATABASE=FOLDER/{file.name} digest …",
        )
    unfit = StorageError(
        f"the database {path} cannot be written", hint="let the user who runs digest write the file and its folder"
    )
    return View(path, "mode=ro" if _size(index) else "immutable=1", why or unfit, _stamp(path))


@contextmanager
def to_look(path: Path) -> Iterator[str]:
    """An address by which SQLite opens a file that is only read. TryAgain at the end where that cannot be believed."""
    address = path.absolute().as_uri()
    if may_write(path) and _reads(f"{address}?mode=ro"):
        yield f"{address}?mode=ro"
        return
    seen = view(path)
    yield f"{address}?{seen.query}"
    seen.must_be_still()


def _reads(address: str) -> bool:
    """On a full disk SQLite gets nothing beside the file."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True)) as connection:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return True
    return False


def make_private(path: Path) -> None:
    """Create the file readable by its owner only; SQLite gives its WAL the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError(
            f"cannot make the database {path}: {error.strerror}", hint="choose a folder that you may write to"
        ) from None


def as_json(value: Any) -> str:
    """As `json.dumps`, quickly where there is nothing in it: of a million people most have neither tags nor fields."""
    return (
        json.dumps(value) if value or not isinstance(value, list | dict) else "[]" if isinstance(value, list) else "{}"
    )


def engine_of(path: Path, *, synchronous: str = "FULL", seen: View | None = None) -> Engine:
    """To work on the file, or to look at it as it is `seen`."""
    options: dict[str, Any] = {"timeout": BUSY_MS / 1000, "check_same_thread": False}
    place = f"sqlite:///{path}"
    if seen is not None:
        address = f"{path.absolute().as_uri()}?{seen.query}"
        there: dict[str, Any] = {"creator": lambda: sqlite3.connect(address, uri=True, **options)}
    else:
        there = {"connect_args": options}
    engine = create_engine(place, json_serializer=as_json, json_deserializer=read_json, **there)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, also before DDL
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if seen is None:
            cursor.execute("PRAGMA secure_delete = ON")
            cursor.execute(f"PRAGMA synchronous = {synchronous}")
            if path.is_file() and path.stat().st_size == 0:  # it is made now; others can give pages back once compacted
                cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        began = time.monotonic()
        connection.exec_driver_sql(f"BEGIN {mode}")
        connection.info[WAITED] = time.monotonic() - began

    return engine
