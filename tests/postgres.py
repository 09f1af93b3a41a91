"""A PostgreSQL of our own, and empty databases in it: for the tests, and for benchmarks that ask for one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa


class Missing(Exception):
    """Why there is no PostgreSQL."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a new server, without a database name, or of the one that DIGEST_TEST_POSTGRES names.

    Missing says why there is none.
    """
    if os.environ.get("DIGEST_TEST_POSTGRES"):
        yield os.environ["DIGEST_TEST_POSTGRES"].rstrip("/")
        return
    if importlib.util.find_spec("psycopg") is None:
        raise Missing("psycopg is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        raise Missing("no PostgreSQL on this machine")
    bin_ = Path(initdb).parent
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    # Not below pytest's own folder: the path of a socket has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="digest-postgres-") as name:
        folder = Path(name)

        def run(program: str, *words: object) -> None:
            command = [str(word) for word in (bin_ / program, "-D", folder / "data", *words)]
            subprocess.run(command, check=True, user=user, cwd=folder, capture_output=True)

        try:
            if user:
                shutil.chown(folder, user)
            run("initdb", "-U", "digest", "--auth=trust", "--no-sync", "-E", "UTF8")
        except (subprocess.CalledProcessError, LookupError, PermissionError) as error:
            raise Missing(f"PostgreSQL cannot be started here: {error}") from None
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=50"
        run("pg_ctl", "-l", folder / "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://digest@/?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


@contextmanager
def fresh(server_url: str, what: str, *, template: str = "template0") -> Iterator[str]:
    """The URL of a new database with what `template` has in it; `what` makes its name one of its own."""
    server = sa.make_url(server_url)
    name = f"test_{abs(hash(what)):x}"
    admin = sa.create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


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
