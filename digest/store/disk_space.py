"""Room on the disk, kept free while letters go out: what a server has taken must be written down, come what may."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from digest.store.database import Database

KEPT_FREE = 2 << 20  # bytes: several times what a commit of all letters under way takes
_FULL = (errno.ENOSPC, errno.EDQUOT)


def outlook(database: Database, *, days: int) -> tuple[int | None, float]:
    """Bytes that are free beside a SQLite file (None where nobody can say), and by how many it grew a day so far."""
    url = database.engine.url
    if not url.drivername.startswith("sqlite") or not url.database:
        return None, 0
    size, growth = size_of(database, days=days)
    if size is None:
        return None, 0
    try:
        return shutil.disk_usage(Path(url.database).absolute().parent).free, growth
    except OSError:
        return None, 0


def size_of(database: Database, *, days: int) -> tuple[int | None, float]:
    """Bytes of a database (None where nobody can say), and by how many it grew a day so far."""
    url = database.engine.url
    if not url.drivername.startswith("sqlite"):
        with database.read() as session:
            size = int(session.connection().exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    else:
        try:
            size = Path(url.database or "").stat().st_size
        except OSError:
            return None, 0
    return size, size / days if days >= 7 else 0


class Room:
    """A file beside a SQLite database, as large as what settling may need. On PostgreSQL its server sees to it."""

    def __init__(self, database: Database) -> None:
        url = database.engine.url
        self._path = Path(f"{url.database}-room") if url.drivername.startswith("sqlite") and url.database else None
        self._taken = False

    def sure(self) -> bool:
        """Is the room there? Asked before letters are marked; costs some microseconds where it is.

        Where a file of that size cannot be made for another reason than a full disk, the database itself will tell.
        """
        if self._path is None:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file, 0, KEPT_FREE)
                elif os.fstat(file).st_size < KEPT_FREE:
                    os.write(file, bytes(KEPT_FREE))
            finally:
                os.close(file)
        except OSError as error:
            return error.errno not in _FULL
        self._taken = True
        return True

    def release(self) -> bool:
        """Give the room to the database; False where nothing was kept."""
        if self._path is None or not self._taken:
            return False
        self._taken = False
        try:
            os.truncate(self._path, 0)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._path is not None:
            with suppress(OSError):  # gone already, or on ground that has become read-only
                self._path.unlink()
