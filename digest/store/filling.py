"""Many plain rows at once: PostgreSQL takes each row of an INSERT of many as a statement, and COPY as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session


def fill(session: Session, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns, whose values the driver takes as they are: no JSON, nothing packed."""
    if not rows:
        return
    connection = session.connection()
    names = list(rows[0])
    if connection.dialect.name != "postgresql":
        # Column by column: SQLAlchemy takes longer over each row than SQLite does.
        columns = [_bound(table.c[name], [row[name] for row in rows], connection.dialect) for name in names]
        insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        connection.exec_driver_sql(insert, list(zip(*columns, strict=True)))
        return
    import psycopg

    with connection.connection.driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        try:
            with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as into:
                for row in rows:
                    into.write_row([row[name] for name in names])
        except psycopg.Error as error:  # as SQLAlchemy tells it
            raise sa.exc.DBAPIError.instance("COPY", None, error, psycopg.Error, dialect=connection.dialect) from error


def _bound(column: sa.Column[Any], values: Sequence[Any], dialect: sa.Dialect) -> Iterable[Any]:
    """The values of a column as the driver takes them."""
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    return values if bind is None else map(bind, values)
