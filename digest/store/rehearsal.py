"""A SQLite database that looks like another one and forgets what is done to it, without a copy of it.

The database is opened read-only, in one transaction that reads: whatever is done there, its file and its log stay as
they are, and writers go on beside. What is to be written goes to temporary tables of the same names, which SQLite finds
before those of the file: a table is laid over when it is first written to. One that does not grow with the years is
copied then. Of one that does, new and changed rows alone are kept, and a view puts them together with the rows of the
file that are neither changed nor gone; what is written to the view, triggers bring to its place. Numbers go on where
those of the file end, so that all comes out as it would in earnest.
"""

# ruff: noqa: S608  (the names are those of our own tables)
from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from digest.store import sqlite_file

# Tables whose rows become more with the years: none of them is copied.
GROWING = frozenset(
    [
        *(
            "admission",
            "consent",
            "entry",
            "entry_picture",
            "feed_seen",
            "full_text",
            "import_change",
            "letter_roll",
            "mail_report",
            "notice",
            "outbox",
            "picture_file",
            "pruned_mark",
        ),
        *("run", "story", "variant", "variant_story", "webhook_event", "witnessed_entry"),
    ]
)
_WRITES = re.compile(
    r'\b(INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+"?(\w+)"?', re.IGNORECASE
)


class _Cursor(sqlite3.Cursor):
    """Lets a table be laid over before it is written to, and counts the rows that triggers changed."""

    _changed: int | None = None

    def execute(self, statement: str, values: Any = (), /) -> _Cursor:
        return self._run(super().execute, statement, values)

    def executemany(self, statement: str, values: Any, /) -> _Cursor:
        return self._run(super().executemany, statement, values)

    def _run(self, run: Any, statement: str, values: Any) -> _Cursor:
        overlay: _Overlay = self.connection  # type: ignore[assignment]
        statement, view = overlay.laid(statement)
        before = overlay.touched[view]
        run(statement, values)
        self._changed = overlay.touched[view] - before if view else None
        return self

    @property
    def rowcount(self) -> int:
        return super().rowcount if self._changed is None else self._changed


class _Overlay(sqlite3.Connection):
    """A connection that writes beside the file that it reads."""

    def begin(self) -> None:
        self.touched = Counter[str]()  # rows that triggers changed, by their view
        self.isolation_level = None
        self.create_function("rehearsal_touched", 1, self._touch)
        plain = super().cursor()
        plain.execute("PRAGMA foreign_keys = OFF")  # tables refer to what is a view now; see `_cascade`
        self._tables: dict[str, str] = dict(
            plain.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        )

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def _touch(self, view: str) -> None:
        self.touched[view] += 1

    def laid(self, statement: str) -> tuple[str, str]:
        """The statement as it is to be run, with its table laid over; and the view whose triggers do what it says."""
        found = next((one for one in _WRITES.finditer(statement) if one[2] in self._tables), None)
        if found is None:
            return statement, ""
        verb, table = found[1].split()[0].upper(), found[2]
        plain = super().cursor()
        self._lay(plain, table)
        if verb == "DELETE":
            self._cascade(plain, table)
        if table not in GROWING:
            return statement, ""
        if verb == "INSERT":  # into the table itself: a view has neither numbers nor conflicts
            into = f'{found[1]} "new_{table}" AS "{table}"'
            return statement[: found.start()] + into + statement[found.end() :], ""
        return statement, table

    def _there(self, plain: sqlite3.Cursor, name: str) -> bool:
        """In SQLite's own list, which a savepoint that is rolled back puts back too."""
        return plain.execute("SELECT 1 FROM temp.sqlite_master WHERE name = ?", (name,)).fetchone() is not None

    def _lay(self, plain: sqlite3.Cursor, table: str) -> None:
        if self._there(plain, table):
            return
        if table in GROWING:
            self._lay_view(plain, table)
        else:
            _create(plain, table, table, self._tables[table])
            plain.execute(f'INSERT INTO temp."{table}" SELECT * FROM main."{table}"')
        _create_indexes(plain, table, f"new_{table}" if table in GROWING else table)
        _go_on(plain, table, f"new_{table}" if table in GROWING else table)

    def _lay_view(self, plain: sqlite3.Cursor, table: str) -> None:
        new, gone = f"new_{table}", f"gone_{table}"
        # AUTOINCREMENT alone lets numbers begin where we say.
        counted = re.sub(r"PRIMARY KEY \(id\)", "PRIMARY KEY (id AUTOINCREMENT)", self._tables[table])
        _create(plain, table, new, counted)
        info = plain.execute(f'PRAGMA main.table_info("{table}")').fetchall()
        columns = [f'"{row[1]}"' for row in info]
        key = [f'"{row[1]}"' for row in sorted(info, key=lambda row: row[5]) if row[5]]
        plain.execute(f'CREATE TEMP TABLE "{gone}" ({", ".join(key)}, PRIMARY KEY ({", ".join(key)})) WITHOUT ROWID')
        kept = f'NOT EXISTS (SELECT 1 FROM temp."{gone}" AS g WHERE {_same("g", "m", key)})'
        listed = ", ".join(columns)
        plain.execute(
            f'CREATE TEMP VIEW "{table}" AS SELECT {listed} FROM main."{table}" AS m WHERE {kept} '
            f'UNION ALL SELECT {listed} FROM temp."{new}"'
        )
        leave = (
            f'INSERT OR IGNORE INTO "{gone}" VALUES ({", ".join(f"OLD.{c}" for c in key)}); '
            f'DELETE FROM "{new}" WHERE {" AND ".join(f"{c} = OLD.{c}" for c in key)}; '
        )
        enter = f'INSERT INTO "{new}" ({listed}) VALUES ({", ".join(f"NEW.{c}" for c in columns)}); '
        for verb, then in (("UPDATE", leave + enter), ("DELETE", leave)):
            plain.execute(
                f'CREATE TEMP TRIGGER "{verb}_{table}" INSTEAD OF {verb} ON "{table}" '
                f"BEGIN {then}SELECT rehearsal_touched('{table}'); END"
            )
        # A row of the file that a new one would meet comes along first, so that the new one meets it.
        pulls = []
        for unique in _unique(plain, table, key):
            met = f"{_same('NEW', 'm', unique)} AND {kept}"
            pulls.append(f'INSERT INTO "{new}" ({listed}) SELECT {listed} FROM main."{table}" AS m WHERE {met}; ')
            pulls.append(
                f'INSERT OR IGNORE INTO "{gone}" SELECT {", ".join(key)} FROM main."{table}" AS m '
                f"WHERE {_same('NEW', 'm', unique)}; "
            )
        plain.execute(f'CREATE TEMP TRIGGER "INSERT_{table}" BEFORE INSERT ON "{new}" BEGIN {"".join(pulls)}END')

    def _cascade(self, plain: sqlite3.Cursor, table: str) -> None:
        """Let what refers to deleted rows go with them, as the foreign keys of the file have it."""
        if self._there(plain, f"cascade_{table}"):
            return
        steps = []
        for child in self._tables:
            for row in plain.execute(f'PRAGMA main.foreign_key_list("{child}")').fetchall():
                if row[2] == table and row[6] in ("CASCADE", "SET NULL"):
                    self._lay(plain, child)
                    if row[6] == "CASCADE" and child != table:
                        self._cascade(plain, child)
                    said = "DELETE FROM {0}" if row[6] == "CASCADE" else "UPDATE {0} SET {1} = NULL"
                    steps.append(f'{said.format(child, row[3])} WHERE "{row[3]}" = OLD."{row[4] or "id"}"; ')
        when = "INSTEAD OF" if table in GROWING else "AFTER"
        plain.execute(
            f'CREATE TEMP TRIGGER "cascade_{table}" {when} DELETE ON "{table}" BEGIN {"".join(steps)}SELECT 1; END'
        )


def _same(one: str, other: str, columns: Iterable[str]) -> str:
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in columns)


def _create(plain: sqlite3.Cursor, table: str, name: str, statement: str) -> None:
    plain.execute(re.sub(rf'^CREATE TABLE "?{table}"?', f'CREATE TEMP TABLE "{name}"', statement, count=1))


def _create_indexes(plain: sqlite3.Cursor, table: str, name: str) -> None:
    query = "SELECT name, sql FROM main.sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    for index, statement in plain.execute(query, (table,)).fetchall():
        own = re.sub(rf'INDEX "?{index}"? ON "?{table}"?', f'INDEX temp."{index}" ON "{name}"', statement, count=1)
        plain.execute(own)


def _go_on(plain: sqlite3.Cursor, table: str, name: str) -> None:
    """Number new rows after those of the file, also after those that are deleted there."""
    if not plain.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        return
    statement = plain.execute("SELECT sql FROM temp.sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    if "AUTOINCREMENT" not in statement:
        return
    last = plain.execute(f'SELECT coalesce(max(id), 0) FROM main."{table}"').fetchone()[0]
    if plain.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        said = plain.execute("SELECT max(seq) FROM main.sqlite_sequence WHERE name = ?", (table,)).fetchone()[0]
        last = max(last, said or 0)
    plain.execute("DELETE FROM temp.sqlite_sequence WHERE name = ?", (name,))
    plain.execute("INSERT INTO temp.sqlite_sequence VALUES (?, ?)", (name, last))


def _unique(plain: sqlite3.Cursor, table: str, key: Sequence[str]) -> Iterator[Sequence[str]]:
    """The columns of each constraint that lets a row be there once."""
    yield key
    for row in plain.execute(f'PRAGMA main.index_list("{table}")').fetchall():
        if row[2] and row[3] != "pk":
            yield [f'"{part[2]}"' for part in plain.execute(f'PRAGMA main.index_info("{row[1]}")').fetchall()]


@contextmanager
def overlaid(path: Path, *, serializer: Any) -> Iterator[tuple[Engine, Connection]]:
    """An engine, and its one connection in a transaction that is rolled back at the end: see above."""

    def connect() -> _Overlay:
        timeout = sqlite_file.BUSY_MS / 1000
        connection = sqlite3.connect(address, uri=True, timeout=timeout, check_same_thread=False, factory=_Overlay)
        connection.begin()
        return connection

    engine = create_engine(f"sqlite:///{path}", creator=connect, poolclass=StaticPool, json_serializer=serializer)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN DEFERRED")

    with sqlite_file.to_look(path) as address:
        try:
            with engine.connect() as connection, connection.begin() as transaction:
                connection.exec_driver_sql("SELECT 1 FROM sqlite_master").fetchall()  # from here on nothing changes
                try:
                    yield engine, connection
                finally:
                    transaction.rollback()
        finally:
            engine.dispose()
