"""The pages of a database: rows that grow smaller leave some free, and free ones go back to the file system."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from digest.errors import StorageError
from digest.store.database import Database


def give_back(database: Database, pages: int) -> None:
    """Give so many of SQLite's free pages to the file system, as far as nobody writes meanwhile."""
    connection = database.engine.raw_connection()
    try:
        # A script, since it gives one back at each step of its statement, and `execute` takes one step.
        connection.cursor().executescript(f"PRAGMA incremental_vacuum({pages})")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise StorageError(f"the database {database.engine.url.database} cannot grow smaller: {error}") from error
    finally:
        connection.close()


def compact(database: Database) -> None:
    """Write the database anew without what is free in it: it takes as much room again, and everybody waits.

    A SQLite file can give pages back from then on.
    """
    if database.engine.dialect.name != "sqlite":
        with database._told(), database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (FULL, ANALYZE)")
        return
    connection_ = database.engine.raw_connection()
    try:
        cursor = connection_.cursor()
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        cursor.execute("VACUUM")
        cursor.close()
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"the database {database.engine.url.database} cannot be compacted: {error}",
            hint="it needs as much room again as it has, and that nobody writes to it meanwhile; nothing is lost",
        ) from error
    finally:
        connection_.close()
    database.checkpoint()


def rewrite(session: Session, table: Any, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    """Change rows of a table by their `id`, so that what they no longer fill is free.

    SQLite leaves a row that grows smaller where it was, alone on its page; taken out and put in again it lies beside
    others. Only where foreign keys are not acted on (`without_foreign_keys`), since what refers to the rows stays.
    """
    connection, columns = session.connection(), table.__table__.c
    mine = columns.id.in_(list(ids))
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite or connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
        session.execute(sa.update(table.__table__).where(mine).values(values))
        return
    moved = f"moved_{table.__tablename__}"
    names = ", ".join(f'"{column.name}"' for column in columns)
    # As they are stored, but for what changes.
    connection.exec_driver_sql(f"CREATE TEMP TABLE {moved} AS SELECT {names} FROM {table.__tablename__} WHERE 0")  # noqa: S608
    connection.execute(sa.text(f"INSERT INTO {moved} SELECT {names} FROM {table.__tablename__} WHERE id IN :ids")  # noqa: S608
                       .bindparams(sa.bindparam("ids", expanding=True)), {"ids": list(ids)})  # fmt: skip
    there = sa.table(moved, *(sa.column(name, columns[name].type) for name in values))
    connection.execute(sa.update(there).values(values))
    connection.execute(sa.delete(table.__table__).where(mine))
    connection.exec_driver_sql(f"INSERT INTO {table.__tablename__} ({names}) SELECT {names} FROM {moved}")  # noqa: S608
    connection.exec_driver_sql(f"DROP TABLE {moved}")
