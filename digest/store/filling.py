"""Many plain rows at once: PostgreSQL takes each row of an INSERT of many as a statement, and COPY as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session


def fill(session: Session, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns, whose values the driver takes as they are: no JSON, nothing packed."""
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        connection.execute(sa.insert(table), rows)
        return
    import psycopg

    names = list(rows[0])
    with connection.connection.driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        try:
            with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as into:
                for row in rows:
                    into.write_row([row[name] for name in names])
        except psycopg.Error as error:  # as SQLAlchemy tells it
            raise sa.exc.DBAPIError.instance("COPY", None, error, psycopg.Error, dialect=connection.dialect) from error
