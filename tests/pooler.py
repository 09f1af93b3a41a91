"""A PgBouncer of our own, in transaction mode, before the PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
_CONFIG = """
[databases]
* = host={host} user=digest
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
server_reset_query_always = 0
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pooled(url: str, *, size: int = 4) -> Iterator[str]:
    """The URL of the same database by way of a pooler that has so many sessions for all."""
    there = sa.make_url(url)
    folder = Path(tempfile.mkdtemp(prefix="digest-pooler-"))
    config = folder / "pgbouncer.ini"
    config.write_text(_CONFIG.format(host=there.query["host"], folder=folder, size=size))
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        shutil.chown(config, user)
    process = subprocess.Popen([str(PROGRAM), "-q", str(config)], user=user, stderr=subprocess.DEVNULL)
    try:
        where = there.update_query_dict({"host": str(folder), "port": "6432"})
        text = where.render_as_string(hide_password=False)
        _until_it_answers(text, process)
        yield text
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"prepare_threshold": None})
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            assert process.poll() is None, "pgbouncer ended"
