"""Rows as both databases have them alike: read from either, summed up, and written to the other.

Of each column there is one form: whole numbers, floats, booleans, text, JSON as the text it is, bytes, moments in UTC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from digest.errors import BadInput
from digest.store import schema
from digest.store.database import Database

_AT_A_TIME = 250  # rows read
_MOST_ROWS, _MOST_SIZE = 2_000, 4 << 20  # of one step: rows, and characters of text
_MODULUS = 1 << 128
_INT4 = 2**31
NUL, INSTEAD = "\0", "\N{REPLACEMENT CHARACTER}"
Row = tuple[Any, ...]


@dataclass
class Sum:
    """How many rows, and what they are, whatever their order."""

    rows: int = 0
    content: int = 0

    def add(self, row: Row) -> None:
        self.rows += 1
        said = repr(row).encode("utf-8", "surrogatepass")
        self.content = (self.content + int.from_bytes(blake2b(said, digest_size=16).digest())) % _MODULUS


class Flat:
    """Rows one by one, of which the rest can be had in lots again."""

    def __init__(self, lots: Iterator[list[Row]]) -> None:
        self._lots = lots
        self._lot: list[Row] = []
        self._at = 0

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> Row:
        while self._at == len(self._lot):
            self._lot, self._at = next(self._lots), 0
        self._at += 1
        return self._lot[self._at - 1]

    def rest(self) -> Iterator[list[Row]]:
        if self._at < len(self._lot):
            yield self._lot[self._at :]
        yield from self._lots


@dataclass
class Shape:
    """A table as it is copied."""

    table: sa.Table
    to: str  # the kind of database that it goes to: "sqlite" or "postgresql"
    kinds: tuple[str, ...]
    plain: bool  # text without NUL, since one of the two cannot hold it
    small: frozenset[int]  # columns that hold 32 bits on PostgreSQL
    mended: int = 0
    forms: tuple[Callable[[Any], Any], ...] = field(init=False)

    @classmethod
    def of(cls, table: sa.Table, *, to: str, both: bool) -> Shape:
        kinds = tuple(schema.kind(column.type) for column in table.columns)
        small = frozenset(
            at
            for at, column in enumerate(table.columns)
            if kinds[at] == "int" and not isinstance(column.type, sa.BigInteger) and to == "postgresql"
        )
        return cls(table, to, kinds, both or to == "postgresql", small)

    def __post_init__(self) -> None:
        forms = {"bool": _bool, "int": _int, "float": _float, "time": _time, "bytes": _bytes}
        self.forms = tuple(forms.get(kind, self._text) for kind in self.kinds)

    @property
    def name(self) -> str:
        return str(self.table.name)

    def form(self, row: Sequence[Any]) -> Row:
        """A row as both have it. BadInput names what has no such form."""
        try:
            return tuple([None if value is None else form(value) for value, form in zip(row, self.forms, strict=True)])
        except (ValueError, TypeError, OverflowError):
            raise self._misfit(row) from None

    def check(self, row: Row) -> None:
        """BadInput where the column of PostgreSQL is too small for a number."""
        for at in self.small:
            if row[at] is not None and not -_INT4 <= row[at] < _INT4:
                raise self._bad(row, at, f"{row[at]:,} is more than PostgreSQL's column holds")

    def _misfit(self, row: Sequence[Any]) -> BadInput:
        for at, (value, form) in enumerate(zip(row, self.forms, strict=True)):
            try:
                _ = None if value is None else form(value)
            except (ValueError, TypeError, OverflowError):
                return self._bad(row, at, f"{str(value)[:40]!r} is no {_WORDS[self.kinds[at]]}")
        raise AssertionError("a row that has a form has none")

    def _bad(self, row: Sequence[Any], at: int, why: str) -> BadInput:
        columns = list(self.table.columns)
        key = ", ".join(f"{c.name} {str(row[n])[:60]}" for n, c in enumerate(columns) if c.primary_key)
        return BadInput(
            f"{self.name} ({key}): {columns[at].name}: {why}", hint="put that row right, or remove it; then once more"
        )

    def _text(self, value: Any) -> str:
        text = value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else repr(value)
        if self.plain and NUL in text:
            self.mended += 1
            return text.replace(NUL, INSTEAD)
        return text


_WORDS = {"bool": "yes or no", "int": "whole number", "float": "number", "time": "moment", "bytes": "bytes"} | {
    "text": "text in UTF-8",
    "json": "text in UTF-8",
}


def _bool(value: Any) -> bool:
    if not isinstance(value, int):
        raise TypeError
    return bool(value)


def _int(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError
    return number


def _float(value: Any) -> float:
    number = float(value) + 0.0  # no negative zero, which SQLite forgets
    if number != number:
        raise ValueError  # which SQLite would take for NULL
    return number


def _time(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(memoryview(value))


# ---------------------------------------------------------------- reading


def read(database: Database, connection: Connection, shape: Shape) -> Iterator[list[Row]]:
    """All rows in the order of their keys, some at a time. What is read is not kept."""
    lot: list[Row] = []
    size = 0
    with database._told():
        result = connection.exec_driver_sql(_select(connection, shape), execution_options={"stream_results": True})
        try:
            for some in result.partitions(_AT_A_TIME):
                for raw in some:
                    row = shape.form(raw)
                    lot.append(row)
                    size += sum(len(value) for value in row if isinstance(value, str | bytes))
                    if len(lot) >= _MOST_ROWS or size >= _MOST_SIZE:
                        yield lot
                        lot, size = [], 0
        except (sa.exc.OperationalError, sa.exc.DataError) as error:
            if isinstance(error, sa.exc.DataError):  # of PostgreSQL, such as a moment at infinity
                raise BadInput(f"a row of {shape.name} cannot be read: {error.orig}", hint="put it right") from None
            if "decode to UTF-8" in str(error):
                raise BadInput(
                    f"the table {shape.name} has text that is not in UTF-8", hint="put that row right, or remove it"
                ) from None
            raise
        finally:
            result.close()
    if lot:
        yield lot


def _select(connection: Connection, shape: Shape) -> str:
    postgres = connection.dialect.name == "postgresql"
    quote = connection.dialect.identifier_preparer.quote
    names = [quote(column.name) for column in shape.table.columns]
    # JSON as it was written: to read it and write it anew is not always the same text.
    json = [postgres and kind == "json" for kind in shape.kinds]
    asked = [f"{name}::text" if is_json else name for name, is_json in zip(names, json, strict=True)]
    keys = [
        f'{name} COLLATE "C"' if postgres and shape.kinds[at] == "text" else name  # as SQLite orders it
        for at, (name, column) in enumerate(zip(names, shape.table.columns, strict=True))
        if column.primary_key
    ]
    return f"SELECT {', '.join(asked)} FROM {quote(shape.name)} ORDER BY {', '.join(keys)}"  # noqa: S608  (names of ours)


# ---------------------------------------------------------------- writing


def write(connection: Connection, shape: Shape, rows: list[Row]) -> None:
    """Add rows. BadInput names the table, and what its database says, where they do not fit."""
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in shape.table.columns)
    if shape.to == "sqlite":
        marks = ", ".join("?" * len(shape.kinds))
        statement = f"INSERT INTO {quote(shape.name)} ({names}) VALUES ({marks})"  # noqa: S608  (names of ours)
        times = [at for at, kind in enumerate(shape.kinds) if kind == "time"]
        try:
            connection.exec_driver_sql(statement, [_for_sqlite(row, times) for row in rows])
        except sa.exc.IntegrityError as error:
            raise _unfit(shape, str(error.orig)) from None
        return
    import psycopg

    for row in rows:
        shape.check(row)
    connection.exec_driver_sql("SELECT 1")  # that there is a transaction
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    try:
        with cursor.copy(f"COPY {quote(shape.name)} ({names}) FROM STDIN") as into:
            for row in rows:
                into.write_row(row)
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
        where = (error.diag.context or "").splitlines()
        raise _unfit(shape, " ".join([error.diag.message_primary or str(error), *where[:1]])) from None
    except psycopg.Error as error:  # as SQLAlchemy tells it, and `Database` puts it in words
        raise sa.exc.DBAPIError.instance("COPY", None, error, psycopg.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


def _for_sqlite(row: Row, times: list[int]) -> Row:
    """With moments as SQLAlchemy writes them there."""
    if not times:
        return row
    found = list(row)
    for at in times:
        if found[at] is not None:
            found[at] = f"{found[at]:%Y-%m-%d %H:%M:%S.%f}"
    return tuple(found)


def _unfit(shape: Shape, why: str) -> BadInput:
    return BadInput(
        f"rows of {shape.name} do not fit in there: {why[:300]}", hint="put them right or remove them, then once more"
    )


def sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
