"""Before the tables are upgraded: what would be done, and a backup of how they were."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from digest.dataclass import dataclass
from digest.errors import StorageError, UserError
from digest.store import schema
from digest.store.database import Database, alembic_settings, head, revision

if TYPE_CHECKING:
    from digest.store import backups

_MARGIN = 16 << 20  # bytes that must stay free
_NAME = r"(?:public\.)?\"?(\w+)\"?"
# What the statements of a migration do to rows that are there.
_DOES = (
    ("made anew", re.compile(rf"CREATE TABLE \"?_alembic_tmp_(\w+)|ALTER TABLE {_NAME} ALTER COLUMN \w+ TYPE ")),
    ("rows changed", re.compile(rf"UPDATE {_NAME} |DELETE FROM {_NAME} ")),  # noqa: S608  (it is read)
    ("read for an index", re.compile(rf"CREATE (?:UNIQUE )?INDEX \"?\w+\"? ON {_NAME} ")),
)


@dataclass(frozen=True)
class Step:
    """One migration that is still to be done."""

    revision: str
    what: str
    tables: tuple[tuple[str, str, int], ...]  # of those with rows: name, what is done to it, and how many rows it has


def pending(database: Database) -> list[Step]:
    """The migrations that a database lacks, tried on empty tables; nothing is changed."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(alembic_settings(None))
    with database.read() as session:
        connection = session.connection()
        found = revision(connection)
        rows = _rows(connection) if found else {}
    steps = [(one.revision, one.doc) for one in script.iterate_revisions("head", found or "base")][::-1]
    said = said_of(database.engine, found, [number for number, _ in steps])
    return [Step(number, what, tuple(_does(said[number], rows))) for number, what in steps]


def _rows(connection: Connection) -> dict[str, int]:
    names = filter(schema.is_of_models, sa.inspect(connection).get_table_names())
    count = sa.select(sa.func.count())
    return {name: connection.execute(count.select_from(sa.table(name))).scalar_one() for name in names}


def _does(sql: str, rows: dict[str, int]) -> Iterator[tuple[str, str, int]]:
    told: set[str] = set()
    for how, pattern in _DOES:
        for match in pattern.finditer(sql):
            name = next(filter(None, match.groups()))
            if rows.get(name) and name not in told:
                told.add(name)
                yield name, how, rows[name]


def said_of(engine: Engine, found: str | None, numbers: list[str]) -> dict[str, str]:
    """What migrations say to a database of this kind, on empty tables: of SQLite in memory, of PostgreSQL in a schema
    of their own that nobody gets to see.

    StorageError where a schema may not be made.
    """
    from alembic import command

    trial = sa.create_engine("sqlite://") if engine.dialect.name == "sqlite" else engine
    said: list[str] = []
    found_of: dict[str, str] = {}
    with trial.connect() as connection, connection.begin() as transaction:
        if trial is engine:
            name = f"digest_trial_{secrets.token_hex(8)}"
            try:
                connection.execute(sa.text(f"CREATE SCHEMA {name}"))
            except sa.exc.ProgrammingError:
                raise StorageError(
                    "the migrations cannot be tried: we may make no schema in this database",
                    hint="GRANT CREATE ON DATABASE … TO the user of the URL; digest db upgrade does not need it",
                ) from None
            connection.execute(sa.text(f"SET LOCAL search_path TO {name}"))
        sa.event.listen(connection, "before_cursor_execute", lambda _c, _cur, sql, *_: said.append(f"{sql} "))
        settings = alembic_settings(connection)
        if found:
            command.upgrade(settings, found)
        for number in numbers:
            said.clear()
            command.upgrade(settings, number)
            found_of[number] = ";\n".join(said)
        transaction.rollback()
    if trial is not engine:
        trial.dispose()
    return found_of


# ---------------------------------------------------------------- a backup before them


@dataclass
class Keeper:
    """Makes a backup of what an upgrade is to change; `made` is where it lies then. For `open_database(before=…)`."""

    folder: Path
    most: int  # of those that are kept
    material: Callable[[], backups.Material]
    progress: Callable[[], Any]
    made: Path | None = None
    found: str = ""  # the revision before the upgrade
    removed: list[Path] = field(default_factory=list)

    def __call__(self, database: Database, found: str) -> None:
        """StorageError where there can be none: then nothing is upgraded."""
        self.found = found
        with database.read() as session:
            if not self.most or is_empty(session.connection()):
                return
        try:
            self._make(database.engine)
        except UserError as error:
            raise StorageError(
                f"the database is not upgraded, since it cannot be backed up before: {error}",
                hint=f"{error.hint or 'see to that'}; without a backup: digest db upgrade --no-backup",
            ) from error

    def _make(self, engine: Engine) -> None:
        from digest.store import backups  # each command is ready to upgrade, and hardly any does

        with _folder(self.folder):
            lacking = _lacking(engine, self.folder)
        if lacking:
            raise StorageError(
                f"{self.folder} has not enough room, {lacking >> 20:,} MB more are needed",
                hint="make room, or name another place: upgrade_folder in [keep]",
            )
        material = self.material()
        path = backups.named(self.folder, now=material.now, encrypted=False)
        with self.progress() as progress:
            url = engine.url.render_as_string(hide_password=False)
            backups.make(url, path, material, progress=progress)
        backups.verify(path)
        self.made = path
        self.removed = backups.forget(self.folder, keep=self.most, last=path)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}",
            hint="let us write there, or name another place: upgrade_folder in [keep]",
        ) from None


def _lacking(engine: Engine, folder: Path) -> int:
    """Bytes that are missing on the disk: a copy is made, and then packed; and the tables may be made anew beside."""
    if engine.dialect.name != "sqlite":
        return 0  # what its server has says little of a dump; pg_dump will tell
    file = Path(str(engine.url.database))
    size = sum(one.stat().st_size for one in (file, file.with_name(f"{file.name}-wal")) if one.exists())
    here, there = file.absolute().parent.stat().st_dev, folder.stat().st_dev
    needed = (3 if here == there else 2) * size + _MARGIN
    return max(0, needed - shutil.disk_usage(folder).free)


def is_empty(connection: Connection) -> bool:
    """Has nothing happened in it yet? Newsletters are made of the settings."""
    names = set(filter(schema.is_of_models, sa.inspect(connection).get_table_names())) - {"installation", "newsletter"}
    one = sa.select(sa.literal(1)).limit(1)
    return not any(connection.execute(one.select_from(sa.table(name))).first() for name in sorted(names))


def words(keeper: Keeper | None, found: str) -> str:
    """What is said after an upgrade, and how one goes back."""
    said = f"the database was upgraded from revision {found} to {head()}"
    if keeper is None or keeper.made is None:
        return said
    back = f"digest restore {shlex.quote(str(keeper.made))}"
    return f"{said}; as it was before: {keeper.made}\n  the way back: install the release before, then {back}"
