"""All tables of a PostgreSQL at once, for an upgrade: who is at work in some of them waits for moments at most.

A statement takes its tables one by one. Would an upgrade do so, too, it has rewritten one for half a minute, wants the
next from somebody who waits for the first, and one of the two is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from digest.errors import TryAgain
from digest.store import schema

_WAIT_MS = 400  # then others go on; shorter than PostgreSQL takes to look for who waits for whom (1 s)
_PAUSE = 0.2  # seconds for these
PATIENCE = 3600.0  # seconds in all: a copy or a backup that reads them all has to end


def take_all(connection: Connection, *, timer: Callable[[], float] = time.monotonic) -> None:
    """Keep everybody else from all tables until the transaction ends. TryAgain where somebody reads for an hour."""
    there = set(sa.inspect(connection).get_table_names()) & {*schema.tables().tables}
    if not there:
        return
    names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in sorted(there))
    end = timer() + PATIENCE
    while not _taken(connection, names):
        if timer() > end:
            raise TryAgain("somebody else is at work in the tables, and does not come to an end", hint="see what it is")
        time.sleep(_PAUSE)


def _taken(connection: Connection, names: str) -> bool:
    try:
        with connection.begin_nested():  # which lets go of those that it got
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in ("55P03", "40P01"):  # not available; waited for each other
            raise
        return False
    return True
