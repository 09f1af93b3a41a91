"""A PostgreSQL of our own, and empty databases in it: for the tests, and for benchmarks that ask for one."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa


class Missing(Exception):
    """Why there is no PostgreSQL."""


# For small databases that nobody misses; what is measured is measured with PostgreSQL's own settings.
THROWAWAY = {
    "autovacuum": "off",
    "full_page_writes": "off",
    "jit": "off",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
}


@contextmanager
def server() -> Iterator[str]:
    """The URL of a new server, without a database name, or of the one that DIGEST_TEST_POSTGRES names.

    Missing says why there is none.
    """
    with _named() or _own({}) as url:
        yield url
        _admin(url).dispose()


@contextmanager
def shared(lobby: Path) -> Iterator[str]:
    """The same, one for all processes that name the same folder: the first starts it, the last one stops it."""
    with _named() or _common(lobby) as url:
        yield url
        _admin(url).dispose()


def _named() -> AbstractContextManager[str] | None:
    url = os.environ.get("DIGEST_TEST_POSTGRES")
    return nullcontext(url.rstrip("/")) if url else None


@contextmanager
def _own(settings: Mapping[str, str]) -> Iterator[str]:
    folder = _start(settings)
    try:
        yield _url(folder)
    finally:
        _stop(folder)


@contextmanager
def _common(lobby: Path) -> Iterator[str]:
    lobby.mkdir(exist_ok=True)
    here, where = lobby / f"user-{os.getpid()}", lobby / "folder"
    with alone(lobby):
        if not any(lobby.glob("user-*")):
            where.write_text(str(_start(THROWAWAY)))
        here.touch()
    folder = Path(where.read_text())
    try:
        yield _url(folder)
    finally:
        with alone(lobby):
            here.unlink()
            if not any(lobby.glob("user-*")):
                _stop(folder)


@contextmanager
def alone(lobby: Path) -> Iterator[None]:
    """While no other process is alone there."""
    with (lobby / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(settings: Mapping[str, str]) -> Path:
    """The folder of a new server: its data, its log, its socket."""
    if importlib.util.find_spec("psycopg") is None:
        raise Missing("psycopg is not installed")
    if _programs() is None:
        raise Missing("no PostgreSQL on this machine")
    # Not below pytest's own folder: the path of a socket has room for 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="digest-postgres-"))
    try:
        if _user():
            shutil.chown(folder, _user())
        _run(folder, "initdb", "-U", "digest", "--auth=trust", "--no-sync", "-E", "UTF8")
    except (subprocess.CalledProcessError, LookupError, PermissionError) as error:
        shutil.rmtree(folder)
        raise Missing(f"PostgreSQL cannot be started here: {error}") from None
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=100"
    options += "".join(f" -c {name}={value}" for name, value in settings.items())
    _run(folder, "pg_ctl", "-l", folder / "log", "-w", "-o", options, "start")
    return folder


def _stop(folder: Path) -> None:
    _run(folder, "pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@contextmanager
def replicated() -> Iterator[tuple[str, Path, str, Path]]:
    """Two servers: one that is written to and a read replica that follows it. The URL and the folder of each."""
    with ExitStack() as ends:
        first = _start({"wal_level": "replica", "autovacuum": "off"})
        ends.callback(_stop, first)
        second = Path(tempfile.mkdtemp(prefix="digest-postgres-"))
        ends.callback(shutil.rmtree, second)
        if _user():
            shutil.chown(second, _user())
        _run(second, "pg_basebackup", "-h", first, "-U", "digest", "-R", "-c", "fast", "--no-sync")
        follow(second)
        ends.callback(leave_off, second)
        yield _url(first), first, _url(second), second


def follow(folder: Path) -> None:
    """Start a server that is there but not at work."""
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=100"
    _run(folder, "pg_ctl", "-l", folder / "log", "-w", "-o", options, "start")


def leave_off(folder: Path) -> None:
    """Stop a server as if the power had gone, and keep what it has."""
    if (folder / "data" / "postmaster.pid").exists():
        _run(folder, "pg_ctl", "-m", "immediate", "-w", "stop")


def _url(folder: Path) -> str:
    return f"postgresql+psycopg://digest@/?host={folder}"


def _run(folder: Path, program: str, *words: object) -> None:
    command = [str(word) for word in (f"{_programs()}/{program}", "-D", folder / "data", *words)]
    subprocess.run(command, check=True, user=_user(), cwd=folder, capture_output=True)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return "postgres" if os.geteuid() == 0 else None


@contextmanager
def fresh(server_url: str, what: str, *, template: str = "template0") -> Iterator[str]:
    """The URL of a new database with what `template` has in it; `what` makes its name one of its own."""
    server = sa.make_url(server_url)
    name = f"test_{abs(hash(what)):x}"
    with _admin(server_url).connect() as connection:
        # Copied as files: to log each page, as PostgreSQL would since 15, takes three times as long.
        by = "STRATEGY file_copy" if connection.dialect.server_version_info >= (15,) else ""
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template} {by}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with _admin(server_url).connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def emptied(url: str) -> None:
    """All rows gone but Alembic's and whose it is, all numbers from 1 again, and nobody else at work: as `fresh`.

    It costs a tenth of that. AssertionError where the tables themselves are not what they were.
    """
    with _cleaner(url).begin() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        tables = _tables(connection)
        assert tables == _kept.setdefault(url, tables), "a test that changes tables wants `postgres_url`"
        names = sorted({table for table, _ in tables} - {"alembic_version", "installation"})
        filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in names)
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # foreign keys wait for nobody
        for name in connection.execute(sa.text(filled)).scalars().all():
            connection.execute(sa.text(f'DELETE FROM "{name}"'))
        connection.execute(sa.text("UPDATE installation SET tick = 0, witnesses = '{}'"))
        connection.execute(sa.text("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"))


_kept: dict[str, list[tuple[str, str]]] = {}


def _tables(connection: sa.Connection) -> list[tuple[str, str]]:
    query = """SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        ORDER BY 1, 2"""
    return [(str(table), str(column)) for table, column in connection.execute(sa.text(query))]


@cache
def _cleaner(url: str) -> sa.Engine:
    return sa.create_engine(url)


@cache
def _admin(server_url: str) -> sa.Engine:
    """Kept, since to connect takes half as long as to copy a database; whoever uses it may start the server anew."""
    url = sa.make_url(server_url).set(database="postgres")
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)


def others_at_work(session: Any) -> int:
    """How many transactions others have open in this database; the server may not know yet that a client is dead."""
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {others} AND xact_start IS NOT NULL"
    found: int = session.execute(sa.text(query)).scalar_one()
    return found


def waiting_for_us(session: Any) -> bool:
    """Whether somebody waits for a lock in this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(session.execute(sa.text(query)).scalar_one())


def wait_until_somebody_waits(database: Any) -> None:
    """Until one transaction waits for what another has locked."""
    for _ in range(2000):
        with database.read() as session:
            if session.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waited")
