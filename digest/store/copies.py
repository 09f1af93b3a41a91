"""A database in another place, on either engine: the same installation, row by row, after which the old one is at rest.

All is read from one view of the source. The tables are gone through in an order in which a row follows what it refers
to; rows are added in the order of their keys, some thousands a transaction, each of which says in the copy how far it
is. So a copy that was stopped has of each table the first rows: they are read again beside the source, and it goes on
after them; a table that has changed since is begun anew. In the end both are summed up and compared.

Neither of the two can be used before that, and only one after it: `installation.copying` says of a database that it is
to be a copy, `installation.moved_to` that it was one that is elsewhere now.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Session

from digest.errors import BadInput, Exit, StorageError, TryAgain, Unavailable, UserError
from digest.store import copied_rows, letters, schema, soundness
from digest.store.copied_rows import Shape, Sum
from digest.store.database import Database, _turn, head, open_database, revision, without_foreign_keys
from digest.store.journal import Journal
from digest.store.witness import moved

_OWN = "installation"  # goes last
_LOCK_MS = 60_000  # how long is waited for those who write to a PostgreSQL database
Progress = Callable[[int, int, str], None]  # rows done, of how many, and the table


@dataclass(frozen=True)
class Ends:
    """From where to where: SQLAlchemy's URLs, and the witness of each, if any."""

    source: str
    target: str
    source_witness: Path | None
    target_witness: Path | None


@dataclass
class Copied:
    """What was done, for people."""

    source: str
    target: str
    tables: dict[str, int] = field(default_factory=dict)  # rows
    written: int = 0  # rows; the others were there
    mended: int = 0  # texts with a NUL, for which PostgreSQL has no room
    witness: str | None = None  # where it is now
    done_before: bool = False


@dataclass(frozen=True)
class _Whose:
    """The one row of `installation`."""

    id: str
    tick: int
    witnesses: str
    moved_to: str
    copying: str


def place(url: str) -> str:
    """A database by where it is, for people and to know it again: without user and password."""
    there = sa.make_url(url)
    if there.drivername.startswith("sqlite"):
        return f"sqlite:///{Path(there.database or '').absolute()}"
    host = there.host or there.query.get("host") or ""
    return f"postgresql://{host if isinstance(host, str) else ','.join(host)}:{there.port or 5432}/{there.database}"


def copy(ends: Ends, *, now: datetime, dry_run: bool = False, progress: Progress = lambda *_: None) -> Copied:
    """Copy all of a database into an empty one, or go on with that, and put the old one at rest.

    Raises UserError in words: a source that is not sound (its code), a target that is not empty (65), what the target
    has no room for (65), letters that are under way or a source that changed meanwhile (75: the same once more).
    """
    done = Copied(place(ends.source), place(ends.target))
    if done.source == done.target or _same_file(ends):
        raise UserError("a database cannot be copied onto itself", hint="name another file or database to copy to")
    with ExitStack() as open_:
        source = open_.enter_context(closing(open_database(ends.source, upgrade=False)))
        whose = _sound(source, done)
        target = _target(ends.target, whose, done, dry_run=dry_run)
        if target is not None:
            open_.enter_context(closing(target))
        work = _Work(source, target, whose, done, _Total(progress), now)
        if done.done_before:
            return done
        if target is None or dry_run:
            with work.view() as view:
                work.sum_up(source, view)
            return done
        open_.enter_context(_turn(target))
        with source.read() as session:
            _judge(target, _whose(session.connection()), done)  # another may have done it while we waited
        if done.done_before:
            return done
        with work.view() as view:
            work.add(view)
            work.compare()
            work.rest(view)
        # From here on nobody works with either; killed here, the same command does the rest.
        done.witness = _witness(ends, work, now)
        work.finish()
    return done


def moved_to(database: Database) -> str:
    """Where a database is now; "" where it was not moved."""
    with database.read() as session:
        look = sa.inspect(session.connection())
        known = look.has_table(_OWN) and any(one["name"] == "moved_to" for one in look.get_columns(_OWN))
        return str(session.execute(sa.text("SELECT moved_to FROM installation")).scalar() or "") if known else ""


def unmove(database: Database) -> None:
    """Let a database be used again that was moved elsewhere."""
    with database.write() as session:
        session.execute(sa.text("UPDATE installation SET moved_to = ''"))


# ---------------------------------------------------------------- may it be?


def _same_file(ends: Ends) -> bool:
    files = [sa.make_url(url) for url in (ends.source, ends.target)]
    if any(not url.drivername.startswith("sqlite") for url in files):
        return False
    one, other = (Path(url.database or "") for url in files)
    return one.exists() and other.exists() and one.samefile(other)


def _whose(connection: Connection) -> _Whose:
    text = "CAST(witnesses AS TEXT)" if connection.dialect.name == "postgresql" else "witnesses"
    query = f"SELECT id, tick, {text}, moved_to, copying FROM installation"  # noqa: S608  (ours)
    return _Whose(*connection.exec_driver_sql(query).one())


def _sound(source: Database, done: Copied) -> _Whose:
    """Whose a database is that may be copied."""
    for flaw in soundness.flaws(source):
        if flaw.exit_code and not flaw.state:
            error = UserError(f"{done.source} cannot be copied: {flaw.what}", hint=flaw.cure)
            error.exit_code = Exit(flaw.exit_code)
            raise error
    with source.read() as session:
        whose = _whose(session.connection())
    if whose.copying:
        raise Unavailable(
            f"{done.source} is to be a copy itself, and is not done", hint="first: digest db copy FROM IT"
        )
    if whose.moved_to not in ("", done.target):
        raise moved(whose.moved_to)
    return whose


def _target(url: str, whose: _Whose, done: Copied, *, dry_run: bool) -> Database | None:
    """A database with all tables and no rows, or a copy that was begun; None where a dry run would make one."""
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None
    if path is not None and (not path.exists() or path.stat().st_size == 0):
        return None if dry_run else open_database(url, create=True)
    target = open_database(url, upgrade=False)
    try:
        fresh = _judge(target, whose, done)
    except BaseException:
        target.close()
        raise
    if fresh:
        target.close()
        return None if dry_run else open_database(url)
    return target


def _judge(target: Database, whose: _Whose, done: Copied) -> bool:
    """BadInput where a database may not be the target; has it no tables yet?"""
    hint = "name a new file or database, or empty it; it is left as it is"
    with target.read() as session:
        connection = session.connection()
        found = revision(connection)
        names = set(filter(schema.is_of_models, sa.inspect(connection).get_table_names()))
        if found is None and not names:
            return True
        if found != head():
            raise BadInput(f"{done.target} is not empty", hint=hint)
        there = _whose(connection)
        begun = json.loads(there.copying) if there.copying else None
        if begun and begun["installation"] != whose.id:
            raise BadInput(f"{done.target} is a copy of {begun['from']} that was begun", hint=hint)
        done.done_before = not begun and there.id == whose.id and whose.moved_to == done.target
        if not begun and not done.done_before and _has_rows(connection, names - {_OWN}):
            raise BadInput(f"{done.target} is not empty", hint=hint)
    return False


def _has_rows(connection: Connection, names: set[str]) -> bool:
    one = sa.select(sa.literal(1)).limit(1)
    return any(connection.execute(one.select_from(sa.table(name))).first() for name in sorted(names))


# ---------------------------------------------------------------- the work


@dataclass
class _Total:
    tell: Progress
    all: int = 0
    done: int = 0

    def add(self, rows: int, table: str) -> None:
        self.done += rows
        self.tell(self.done, max(self.all, self.done), table)


@dataclass
class _View:
    """One view of the source, and what tells whether somebody wrote to it since."""

    connection: Connection
    mark: object
    still: Callable[[], object]  # the same mark, later


@dataclass
class _Work:
    source: Database
    target: Database | None
    whose: _Whose
    done: Copied
    total: _Total
    now: datetime
    sums: dict[str, Sum] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)  # the last number that was given, by table
    began: str = ""

    def __post_init__(self) -> None:
        kinds = {self.source.engine.dialect.name}
        kinds.add(self.target.engine.dialect.name if self.target else sa.make_url(self.done.target).get_backend_name())
        to = sa.make_url(self.done.target).get_backend_name()
        # What one of the two cannot hold is written otherwise, and counts as the same on both.
        tables = schema.tables().sorted_tables
        self.shapes = [Shape.of(table, to=to, both=len(kinds) > 1) for table in tables if table.name != _OWN]

    # -------------------------------------------------------- reading the source

    @contextmanager
    def view(self) -> Iterator[_View]:
        """All of the source as it is at one moment."""
        with (self._view_of_sqlite if _sqlite(self.source) else self._view_of_postgres)() as view:
            for table in soundness.numbered():
                highest = view.connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
                self.last[table.name] = max(highest, soundness.last_number(view.connection, table) or 0)
            count = sa.select(sa.func.count())
            rows = (view.connection.execute(count.select_from(shape.table)).scalar_one() for shape in self.shapes)
            self.total.all = sum(rows) * (1 if self.target is None else 2)
            yield view

    @contextmanager
    def _view_of_sqlite(self) -> Iterator[_View]:
        """A read transaction; a second connection is told of every commit beside it."""
        path = Path(str(self.source.engine.url.database)).absolute()
        with (
            closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as watch,
            self.source._reading.connect() as connection,
        ):

            def mark() -> object:
                return watch.execute("PRAGMA data_version").fetchone()[0]

            before = mark()
            self.whose = _whose(connection)  # from here on the view stands still
            yield _View(connection, before if mark() == before else None, mark)

    @contextmanager
    def _view_of_postgres(self) -> Iterator[_View]:
        """A snapshot; nothing was written since where the server still gives the same."""
        asked = sa.text("SELECT CAST(txid_current_snapshot() AS TEXT)")
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        engine = self.source.engine
        with engine.connect() as watch, engine.execution_options(**options).connect() as connection:

            def mark() -> object:
                return watch.execute(asked).scalar_one()

            seen = str(connection.execute(asked).scalar_one())  # lowest:highest:at work
            self.whose = _whose(connection)
            lowest, highest, *_ = seen.split(":")
            yield _View(connection, seen if lowest == highest else None, mark)

    def sum_up(self, database: Database, view: _View) -> None:
        for shape in self.shapes:
            self.sums[shape.name] = self._sum(database, view.connection, shape)
            self.done.tables[shape.name] = self.sums[shape.name].rows
        self.done.mended = sum(shape.mended for shape in self.shapes)

    def _sum(self, database: Database, connection: Connection, shape: Shape) -> Sum:
        found = Sum()
        for some in copied_rows.read(database, connection, shape):
            for row in some:
                found.add(row)
            self.total.add(len(some), shape.name)
        return found

    # -------------------------------------------------------- writing the copy

    def add(self, view: _View) -> None:
        """Every row that the target does not have yet."""
        assert self.target is not None
        with without_foreign_keys(self.target) as into:
            self._mark(into, "", 0)
            for shape in self.shapes:
                self.sums[shape.name] = self._table(view, into, shape)
                self.done.tables[shape.name] = self.sums[shape.name].rows
            self.done.mended = sum(shape.mended for shape in self.shapes)
            with into.write() as session:
                strays = session.connection().exec_driver_sql("PRAGMA foreign_key_check") if _sqlite(into) else None
                if strays is not None and strays.first():
                    raise StorageError(f"{self.done.target} has rows that belong to nothing", hint="take another file")
                for table in soundness.numbered():
                    soundness.set_last_number(session.connection(), table, self.last[table.name])

    def _table(self, view: _View, into: Database, shape: Shape) -> Sum:
        rows = copied_rows.read(self.source, view.connection, shape)
        found, rest = self._along(rows, shape)
        if rest is None:
            with into.write() as session:
                session.execute(sa.delete(shape.table))
                self._say(session, shape.name, 0)
            found, rest = Sum(), copied_rows.read(self.source, view.connection, shape)
        for some in rest:
            with into.write() as session:
                copied_rows.write(session.connection(), shape, some)
                for row in some:
                    found.add(row)
                self._say(session, shape.name, found.rows)
            self.done.written += len(some)
            self.total.add(len(some), shape.name)
        return found

    def _along(self, rows: Iterator[list[Any]], shape: Shape) -> tuple[Sum, Iterator[list[Any]] | None]:
        """Go along the rows that the target has; the sum of these and the rest, or None where they are others."""
        assert self.target is not None
        found, mine = Sum(), copied_rows.Flat(rows)
        with self.target._reading.connect() as connection:
            for some in copied_rows.read(self.target, connection, shape):
                for row in some:
                    if next(mine, None) != row:
                        return found, None
                    found.add(row)
                self.total.add(len(some), shape.name)
        return found, mine.rest()

    def _mark(self, into: Database, table: str, rows: int) -> None:
        with into.write() as session:
            self._say(session, table, rows)

    def _say(self, session: Session, table: str, rows: int) -> None:
        """How far the copy is, in the transaction that makes it so."""
        mark = {"from": self.done.source, "installation": self.whose.id, "table": table, "rows": rows}
        session.execute(sa.text("UPDATE installation SET copying = :mark"), {"mark": json.dumps(mark)})

    def compare(self) -> None:
        """StorageError where the copy is not the same, after all."""
        assert self.target is not None
        with self.target._reading.connect() as connection:
            for shape in self.shapes:
                there, wanted = self._sum(self.target, connection, shape), self.sums[shape.name]
                if there != wanted:
                    raise StorageError(
                        f"the copy of {shape.name} is not the same: {there.rows:,} of {wanted.rows:,} rows, or others",
                        hint="nothing was moved; empty the target and begin anew, and tell the makers of digest",
                    )

    # -------------------------------------------------------- and then

    def rest(self, view: _View) -> None:
        """Put the source at rest, if it is what was copied and nobody has a letter of it in hand."""
        sqlite = _sqlite(self.source)
        engine = (
            self.source.engine if sqlite else self.source.engine.execution_options(isolation_level="READ COMMITTED")
        )
        with self.source._told(), engine.connect() as connection, connection.begin():
            if sqlite:
                connection.exec_driver_sql(
                    "SELECT 1 FROM installation"
                )  # BEGIN IMMEDIATE: nobody else writes from here on
            else:
                names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in (_OWN, *self.sums))
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MS}")
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            changed = self._changed(connection) if view.mark is None or view.still() != view.mark else []
            if changed:
                raise TryAgain(
                    f"{self.done.source} changed while it was copied ({', '.join(changed[:5])}): nothing was moved",
                    hint="stop cron and `digest serve`; the same command takes what has changed",
                )
            with Session(connection, join_transaction_mode="rollback_only") as session:
                in_hand = letters.left(session, now=self.now).in_hand
            if in_hand.letters:
                raise TryAgain(
                    f"a sender has {in_hand.letters:,} letters of {self.done.source} in hand: nothing was moved",
                    hint="stop it, or wait for it; of one that died they are due again by "
                    f"{in_hand.until:%Y-%m-%d %H:%M} UTC. Then the same command once more",
                )
            if not self.whose.moved_to:
                say = sa.text("UPDATE installation SET moved_to = :to, tick = tick + 1")
                connection.execute(say, {"to": self.done.target})
            self.whose = _whose(connection)

    def _changed(self, connection: Connection) -> list[str]:
        """Tables that are not what they were, by reading all of them once more."""
        found = [] if _whose(connection) == self.whose else [_OWN]
        sums = ((shape.name, self._sum(self.source, connection, shape)) for shape in self.shapes)
        return [*found, *(name for name, there in sums if there != self.sums[name])]

    def finish(self) -> None:
        """The copy is the database from here on."""
        assert self.target is not None
        with self.target.write() as session:
            kind = "json" if not _sqlite(self.target) else "text"
            cast = "CAST(:witnesses AS json)" if kind == "json" else ":witnesses"
            say = f"UPDATE installation SET id = :id, tick = :tick, witnesses = {cast}, copying = '', moved_to = ''"  # noqa: S608
            own = {"id": self.whose.id, "tick": self.whose.tick, "witnesses": self.whose.witnesses}
            session.execute(sa.text(say), own)
            if kind == "json":
                session.execute(sa.text("ANALYZE"))
        self.target.checkpoint()


def _sqlite(database: Database) -> bool:
    return database.engine.dialect.name == "sqlite"


# ---------------------------------------------------------------- the witness


def _witness(ends: Ends, work: _Work, now: datetime) -> str | None:
    """Tell the witness that its database is elsewhere, and let it go along; where it is then."""
    here, there = ends.source_witness, ends.target_witness
    if here is None or there is None:
        return None
    journal = Journal(here)
    top = journal.top()
    if top is not None and top.installation != work.whose.id:
        return None  # of somebody else, which the next run sets aside
    if top is None or top.tick < work.whose.tick:
        # By this an old copy that is put back in the old place is known for what it is.
        journal.append([{"k": "moved", "t": work.whose.tick}], installation=work.whose.id, at=now)
    if here == there:
        return str(there)
    other, mine = Journal(there).top(), Journal(here).top()
    if other == mine:
        return str(there)
    if other is not None and mine is not None and other.installation == mine.installation and other.tick > mine.tick:
        raise StorageError(
            f"the witness {there} knows of more than {here}: letters of this installation went out from there since",
            hint=f"where that is not so, move {there} away; then the same command once more",
        )
    try:
        if there.exists() and any(there.iterdir()):
            Journal(there).set_aside("before-copy")
        _copy_folder(here, there)
    except OSError as error:
        raise StorageError(
            f"the witness {here} cannot be copied to {there}: {error.strerror or error}",
            hint="see to that; the same command does the rest",
        ) from None
    return str(there)


def _copy_folder(here: Path, there: Path) -> None:
    partial = there.with_name(f".{there.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    for path in Journal(here).files():
        shutil.copy2(path, partial / path.name)
        copied_rows.sync(partial / path.name)
    copied_rows.sync(partial)
    if there.exists():
        there.rmdir()
    partial.rename(there)
    copied_rows.sync(there.parent)
