"""Is a database sound: whole, of this release, with the tables and numbers that it should have?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from digest.errors import Exit, UserError
from digest.store import schema
from digest.store.database import Database, head, judge_revision, revision


@dataclass(frozen=True)
class Flaw:
    """What is wrong, and what helps. `exit_code` 0: it is told of, and harms nothing."""

    what: str
    cure: str
    exit_code: int
    index: str = ""  # that is missing
    numbers_of: str = ""  # the table whose next number was given already
    state: bool = False  # it is not wrong, only not to be used


def flaws(database: Database) -> Iterator[Flaw]:
    """Everything that is wrong, the worst first. Nothing is changed."""
    try:
        with database.read() as session:
            connection = session.connection()
            if connection.dialect.name == "sqlite":
                for said in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars():
                    if said != "ok":
                        yield Flaw(f"it is damaged: {said}", "digest restore FILE (a backup)", Exit.IOERR)
            found = revision(connection)
            judge_revision(found)
    except UserError as error:
        yield Flaw(str(error), error.hint, error.exit_code)
        return
    if found is None:
        yield Flaw("it has no tables yet", "digest init", Exit.NOINPUT)
        return
    with database.read() as session:
        connection = session.connection()
        yield from _strays(connection)
        if found != head():
            what = f"it is of an older release: revision {found}, and this one wants {head()}"
            yield Flaw(what, "digest db upgrade", Exit.UNAVAILABLE)
            return
        yield from _moved(connection)
        yield from _drift(connection)
        yield from _numbers(connection)
        yield from _room(connection)


def _strays(connection: Connection) -> Iterator[Flaw]:
    """Rows that belong to nothing. PostgreSQL keeps that by itself, but for rules that were never proved."""
    if connection.dialect.name == "sqlite":
        strays: dict[tuple[str, str], int] = {}
        for table, _row, parent, _number in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            strays[table, parent] = strays.get((table, parent), 0) + 1
        for (table, parent), number in strays.items():
            what = f"{number:,} {'row' if number == 1 else 'rows'} of {table} belong to no {parent}"
            yield Flaw(what, "digest restore FILE (a backup), or delete them by hand", Exit.DATAERR)
        return
    query = "SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE NOT convalidated"
    for name, table in connection.exec_driver_sql(query):
        cure = f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
        yield Flaw(f"rows of {table} may belong to nothing: {name} was never proved", cure, Exit.DATAERR)


def _moved(connection: Connection) -> Iterator[Flaw]:
    rows = connection.exec_driver_sql("SELECT moved_to, copying FROM installation").all()
    if len(rows) != 1:
        what = "it does not say whose it is: `installation` has " + ("no row" if not rows else f"{len(rows)} rows")
        yield Flaw(what, "digest restore FILE (a backup)", Exit.DATAERR)
        return
    (to, copying) = rows[0]
    if to:
        yield Flaw(
            f"it was moved to {to}", "name that one as `database`, or: digest db unmove", Exit.CONFIG, state=True
        )
    if copying:
        yield Flaw(
            "it is a copy that is not done", "digest db copy FROM TO, the same again", Exit.UNAVAILABLE, state=True
        )


def _drift(connection: Connection) -> Iterator[Flaw]:
    for one in schema.drift(connection):
        if one.extra:
            yield Flaw(f"{one.what}: not of digest", "", Exit.OK)
        elif one.index:
            yield Flaw(one.what, "digest db check --mend", Exit.DATAERR, index=one.index)
        else:
            yield Flaw(one.what, "digest restore FILE (a backup)", Exit.DATAERR)


def _numbers(connection: Connection) -> Iterator[Flaw]:
    """Tables whose next number is in use: to be found in what was copied by hand."""
    for table in numbered():
        highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
        last = last_number(connection, table)
        if last is not None and last < highest:
            what = f"the next number of {table.name} is {last + 1:,}, and numbers up to {highest:,} are taken"
            yield Flaw(what, "digest db check --mend", Exit.DATAERR, numbers_of=table.name)


def _room(connection: Connection) -> Iterator[Flaw]:
    """Letters whose numbers come to an end: a table that was too large to be written anew by an upgrade."""
    if connection.dialect.name == "sqlite":
        return
    columns = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'outbox'::regclass AND attname = "
    last = last_number(connection, schema.tables().tables["outbox"]) or 0
    if connection.exec_driver_sql(f"{columns}'id'").scalar() == "integer" and last > _HALF:
        what = f"letters are numbered up to {2 * _HALF - 1:,}, and {last:,} is given; none can be owed beyond"
        yield Flaw(what, "the statements for it in `digest help scaling`, in a quiet hour", Exit.OK)


_HALF = 1 << 30  # of what 32 bits hold


def numbered() -> list[sa.Table]:
    """The tables whose rows are numbered by the database."""
    return [
        table
        for table in schema.tables().sorted_tables
        if list(table.primary_key.columns.keys()) == ["id"] and schema.kind(table.c.id.type) == "int"
    ]


def last_number(connection: Connection, table: sa.Table) -> int | None:
    """The last number that was given in a table, also of a row that is gone; None where its rows alone tell."""
    if connection.dialect.name == "sqlite":
        if not table.dialect_options["sqlite"]["autoincrement"]:
            return None
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.execute(query, {"name": table.name}).scalar() or 0)
    name = _sequence(connection, table)
    if name is None:
        return None
    last, used = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {name}").one()  # noqa: S608  (quoted by PostgreSQL)
    return int(last) if used else int(last) - 1


def set_last_number(connection: Connection, table: sa.Table, last: int) -> None:
    """Give only numbers beyond `last`."""
    if connection.dialect.name == "sqlite":
        if not table.dialect_options["sqlite"]["autoincrement"]:
            return
        values = {"name": table.name, "last": last}
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        if last:
            connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
        return
    name = _sequence(connection, table)
    if name is not None:
        query = sa.text("SELECT setval(CAST(:name AS regclass), :to, :used)")
        connection.execute(query, {"name": name, "to": max(last, 1), "used": last > 0})


def _sequence(connection: Connection, table: sa.Table) -> str | None:
    quoted = connection.dialect.identifier_preparer.quote(table.name)
    found: str | None = connection.execute(sa.select(sa.func.pg_get_serial_sequence(quoted, "id"))).scalar()
    return found


def mend(database: Database, flaw: Flaw) -> bool:
    """Put right what can be without a decision; False where that is nothing of ours."""
    if not (flaw.index or flaw.numbers_of):
        return False
    with database.write() as session:
        connection = session.connection()
        if flaw.index:
            schema.mend_index(connection, flaw.index)
        for table in numbered():
            if table.name == flaw.numbers_of:
                highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
                set_last_number(connection, table, highest)
    return True
