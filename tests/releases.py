"""Databases of past releases, as SQL that both engines can load: `python tests/releases.py 0003 0.1.0` writes one.

Each has the tables as the release made them, and some rows that are made up, in each of them. They are written when a
release is made, and stay as they are: whoever changes an old migration finds out here.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import postgres
import sqlalchemy as sa

from digest.store.database import MIGRATIONS, alembic_settings
from digest.store.schema import kind
from digest.store.upgrades import said_of

FOLDER = Path(__file__).parent / "data" / "releases"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
_PARTS = ("sqlite", "postgresql", "rows", "numbers")
# Words that the program knows; anything else may stand where text is.
_STATES = {
    ("feed", "state"): ("active", "retired"),
    ("edition", "state"): ("open", "paused"),
    ("subscription", "state"): ("active", "unsubscribed"),
    ("outbox", "state"): ("sent", "refused"),
    ("admission", "decision"): ("story", "held"),
    ("consent", "event"): ("subscribed", "unsubscribed"),
}


def invented(table: sa.Table, number: int) -> dict[str, Any]:
    """Row `number` of a table, whose foreign keys are the rows of that number."""
    row: dict[str, Any] = {}
    for column in table.columns:
        what, name = kind(column.type), column.name
        state = _STATES.get((table.name, name))
        if column.foreign_keys or (name == "id" and what == "int"):
            row[name] = number
        elif state:
            row[name] = state[(number - 1) % 2]
        else:
            row[name] = _values(what, f"{table.name}.{name}", number)
    if table.name == "outbox":
        row |= dict.fromkeys(("notice_id",) if number % 2 else ("edition_id", "variant_id"))
    if row.get("laying_out") and row["state"] == "open":
        row["laying_out"] = False
    if table.name == "installation":
        row |= {"id": "0b9f5c1e-7d0a-4a53-9f0e-4f7f3c2a1d00", "tick": 7, "witnesses": "{}"}
    return row


def _values(what: str, name: str, number: int) -> Any:
    text = f"{name} {number}: ünï 'quoted' \\ 100% 🙂"
    values = {
        "bool": number % 2 == 1,
        "int": number * 1000 + len(name),
        "float": number + 0.1,
        "time": START + timedelta(hours=number, microseconds=number),
        "bytes": text.encode() + bytes(range(256)) * (number % 2),
        "json": f'{{"b":  [1.0, true, null], "a": "{number} \\u00fc\\ud83d\\ude42"}}',
    }
    return values.get(what, text)


# ---------------------------------------------------------------- writing one


def dump(revision: str) -> str:
    """A database of a revision."""
    from alembic import command

    parts: dict[str, str] = {}
    with postgres.server() as server, postgres.fresh(server, "release") as url:
        engine = sa.create_engine(url)
        numbers = [path.name[:4] for path in sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))]
        said = said_of(engine, None, [number for number in numbers if number <= revision])
        lines = ";\n".join(said.values()).split(";\n")
        wanted = ("CREATE", "ALTER", "INSERT INTO alembic", "UPDATE alembic")
        parts["postgresql"] = "".join(f"{line.strip()};\n" for line in lines if line.strip().startswith(wanted))
        engine.dispose()
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/one.db")
        with engine.begin() as connection:
            command.upgrade(alembic_settings(connection), revision)
            made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY rowid"
            parts["sqlite"] = "".join(f"{sql};\n" for sql in connection.execute(sa.text(made)).scalars())
            parts["sqlite"] += f"INSERT INTO alembic_version VALUES ('{revision}');\n"
            tables = sa.MetaData()
            tables.reflect(connection)
        engine.dispose()
    parts["rows"] = "".join(_inserts(tables))
    parts["numbers"] = "".join(
        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), 2);\n"
        for table in tables.sorted_tables
        if "id" in table.columns and kind(table.columns["id"].type) == "int"
    )
    return "".join(f"-- {part}\n{parts[part].strip()}\n" for part in _PARTS)


def _inserts(tables: sa.MetaData) -> Iterator[str]:
    for table in tables.sorted_tables:
        if table.name == "installation":
            yield "DELETE FROM installation;\n"
        for number in (1, 2) if table.name not in ("installation", "alembic_version") else ():
            yield insert(table, invented(table, number))
        if table.name == "installation":
            yield insert(table, invented(table, 1))


def insert(table: sa.Table, row: dict[str, Any]) -> str:
    """A row as SQL that both engines understand, but for bytes."""
    names = ", ".join(f'"{name}"' for name in row)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(map(_literal, row.values()))});\n"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return repr(value).upper()
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S.%f}'"
    return "'" + str(value).replace("'", "''") + "'"


# ---------------------------------------------------------------- loading one


def load(name: str, url: str) -> None:
    """Make the database of a release at `url`, where there is none yet."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    found = re.split(r"^-- (\w+)\n", text, flags=re.MULTILINE)
    parts = dict(zip(found[1::2], found[2::2], strict=True))
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(f"BEGIN; {parts['sqlite']} {parts['rows']} COMMIT;")
        return
    rows = re.sub(r"X'([0-9a-f]*)'", r"'\\x\1'", parts["rows"])
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"SET timezone = 'UTC'; {parts['postgresql']}; {rows} {parts['numbers']}")
    engine.dispose()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{sys.argv[2]}.sql").write_text(dump(sys.argv[1]), encoding="utf-8")
