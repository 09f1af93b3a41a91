"""The database itself: opening, upgrading, transactions, and rehearsals that leave no trace."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from glob import escape as glob_escape
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.compiler import compiles
from sqlmodel import Session, create_engine

from digest import DISTRIBUTION
from digest.config import real_file
from digest.errors import CommitUnknown, ConfigError, NotFound, StorageError, TryAgain, Unavailable
from digest.store import locks, refused, sqlite_file
from digest.store.rehearsal import overlaid
from digest.store.tenure import Tenure
from digest.store.waking import defer_wakes
from digest.store.witness import Witness, moved

MIGRATIONS = Path(__file__).parent.parent / "migrations"
_UPGRADE_LOCK = 0x6469676573740001  # "digest", for pg_advisory_xact_lock
_TURN_LOCK = 0x6469676573740002  # held around it, while the database is backed up
_SOON = {"connect_timeout": 3, "tcp_user_timeout": 5000}  # s, ms; see libpq's "Parameter Key Words"
PATIENCE = 3600.0  # seconds for which another process is waited for that upgrades
_T = TypeVar("_T")


class Database:
    """One database, SQLite or PostgreSQL. `read()` and `write()` are the only ways to a session."""

    def __init__(
        self,
        engine: Engine,
        *,
        rehearsing: Connection | None = None,
        pinned: Connection | None = None,
        view: sqlite_file.View | None = None,
    ) -> None:
        self.engine = engine
        self.view = view  # of a SQLite file that is only looked at, since it cannot be written
        self._reading = engine.execution_options(sqlite_begin="DEFERRED")
        self.rehearsing = rehearsing
        self._pinned = pinned
        self.shared = True  # others may be at work on it
        self._tenure = Tenure()
        self.witness: Witness | None = None  # that is told what went out; see `store.witness`

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, or not at all.

        On SQLite it takes the one write lock at once (BEGIN IMMEDIATE): a transaction that reads first and
        then wants to write cannot wait for another writer, it fails.
        """
        self._must_be_writable()
        with self._tenure.counted(), self._session(self.engine) as session:
            if self.witness is not None:
                self.witness.attend(session)
            yield session
            looked = self.witness is not None and self.witness.number(session)
            connection = session.connection() if session.in_transaction() else None
            if connection is not None:
                self._tenure.waited(connection.info.pop(sqlite_file.WAITED, 0.0))
                session.flush()
                if session.info and self.rehearsing is None:  # a rehearsal wakes nobody, and locks no job of others
                    defer_wakes(session)
                if not looked:
                    _must_not_be_moved(connection)
            try:
                session.commit()
            except sa.exc.DBAPIError as error:
                if connection is not None:
                    connection.invalidate()  # SQLAlchemy sends no ROLLBACK after a COMMIT that failed
                if refused.undecided(error):
                    raise CommitUnknown(
                        f"{self.name} was lost during a COMMIT: {refused.first_line(error)}",
                        hint="whether it was stored, the next run sees",
                    ) from error
                raise
            if self.witness is not None:
                self.witness.keep(session)

    def _must_be_writable(self) -> None:
        if self.view is not None and self.rehearsing is None:
            raise self.view.why

    def require_writable(self) -> None:
        """StorageError where nothing can be written: a file that is only looked at is so until it is opened anew."""
        with self.write() as session:
            session.execute(sa.text("UPDATE installation SET tick = tick WHERE 1 = 0"))  # which a standby refuses, too

    def require_latest(self) -> None:
        """PutBack where this is a copy that is older than what was sent since: nothing may be composed or sent.

        ConfigError where it was moved elsewhere; StorageError where nothing can be written.
        """
        self._must_be_writable()
        with self.read() as session:
            if self.witness is not None:
                self.witness.require(session)
            must_be_here(session)

    @contextmanager
    def latest(self) -> Iterator[Session]:
        """`write`, for what lets letters go: PutBack where this is an older copy, whose letters may be out already."""
        self.require_latest()
        with self.write() as session:
            yield session

    def give_way(self) -> None:
        """Between two of many steps: let those have a turn who wait to write.

        SQLite has no queue for its one lock: who takes it again at once would keep a sender out for minutes. So it is
        left alone for a moment, as soon as these steps had it for as long as one of them may.
        """
        if self.engine.dialect.name == "sqlite" and self.rehearsing is None and self.shared:
            time.sleep(self._tenure.pause_due())

    @property
    def name(self) -> str:
        """For people: where it is, without who logs in."""
        url = self.engine.url
        if url.drivername.startswith("sqlite"):
            return f"the database {url.database}"
        return f"the database {refused.place(url)}"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; waits for no writer."""
        with self._session(self._reading) as session:
            yield session
            if self.view is not None:
                self.view.must_be_still()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        with self._told():
            if self.rehearsing is not None:
                with Session(
                    self.rehearsing, join_transaction_mode="create_savepoint", expire_on_commit=False
                ) as session:
                    yield session
            elif self._pinned is not None:
                # Said each time: what a connection was told once, it keeps.
                begin = engine.get_execution_options().get("sqlite_begin", "IMMEDIATE")
                self._pinned.execution_options(sqlite_begin=begin)
                with Session(self._pinned, expire_on_commit=False) as session:
                    yield session
            else:
                with Session(engine, expire_on_commit=False) as session:
                    yield session

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database refuses, as a sentence."""
        try:
            yield
        except (sa.exc.DBAPIError, OverflowError) as error:
            if self.view is not None:
                self.view.must_be_still()
            sentence = refused.too_large(error) or refused.in_words(error, self.engine.url)
            if sentence is None:
                raise
            raise sentence from error
        except sa.exc.TimeoutError as error:  # of the pool
            raise StorageError("the database is busy", hint="too many wait for it: try again in a minute") from error

    @contextmanager
    def pinned(self) -> Iterator[Database]:
        """This database on one connection of its own, on which temporary tables last from block to block."""
        if self.rehearsing is not None:
            yield self
            return
        with self._told(), _apart(self.engine) as connection:
            if _pooled(connection):
                raise ConfigError(
                    f"{self.name} is behind a pooler (PgBouncer), which does not keep what is laid beside its tables",
                    hint="for this command, name the server itself: DIGEST_DATABASE=postgresql://… digest …",
                )
            alone = Database(self.engine, pinned=connection, view=self.view)
            alone.witness, alone._tenure = self.witness, self._tenure
            yield alone

    @contextmanager
    def rehearse(self) -> Iterator[Database]:
        """A database that looks like this one and forgets all that is done to it; a sender at work is not held up.

        SQLite: a connection that only reads this one, see `store.rehearsal`. PostgreSQL: one connection whose
        transaction is rolled back.
        """
        if self.engine.dialect.name == "sqlite":
            with (
                self._told(),
                overlaid(self._path, serializer=sqlite_file.as_json) as (engine, connection),
            ):
                yield Database(engine, rehearsing=connection)
        else:
            with self._told(), self.engine.connect() as connection, connection.begin() as transaction:
                try:
                    yield Database(self.engine, rehearsing=connection)
                finally:
                    transaction.rollback()

    @property
    def _path(self) -> Path:
        return Path(self.engine.url.database or "").absolute()

    @contextmanager
    def copied(self) -> Iterator[Database]:
        """The same, for what goes through all of it: on SQLite a copy in a private temporary file."""
        if self.engine.dialect.name != "sqlite":
            with self.rehearse() as rehearsal:
                yield rehearsal
            return
        with tempfile.TemporaryDirectory(prefix="digest-rehearsal-") as folder:
            original, copy = self._path, Path(folder) / "digest.db"
            try:
                with (
                    sqlite_file.to_look(original) as address,
                    closing(sqlite3.connect(address, uri=True)) as source,
                    closing(sqlite3.connect(copy)) as target,
                ):
                    source.backup(target)
            except sqlite3.Error as error:
                raise StorageError(
                    f"the database {original} cannot be copied to {folder}, to try things out there: {error}",
                    hint="make room there, or name another folder in TMPDIR",
                ) from error
            private = Database(sqlite_file.engine_of(copy, synchronous="OFF"))
            private.shared = False
            try:
                yield private
            finally:
                private.close()

    def checkpoint(self) -> bool:
        """Write SQLite's WAL back into the file and empty it: what was erased is then in neither.

        False where a reader still holds the old pages. PostgreSQL keeps such things in its own way.
        """
        if self.engine.dialect.name != "sqlite":
            return True
        with self._told():
            connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, _pages, _written = cursor.fetchone() or (0, 0, 0)
            cursor.close()
        finally:
            connection.close()
        return not busy

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _apart(engine: Engine) -> Iterator[Connection]:
    """A connection that is closed at the end and not pooled, so its temporary tables and its transaction go with it.

    An interrupt (Ctrl-C, a cancelled task) lets SQLAlchemy invalidate it, and of one that is detached that is to forget
    it, open as it is: it would hold the lock of its transaction for as long as a traceback refers to it.
    """
    own: Any = None
    try:
        with engine.connect() as connection:
            connection.detach()
            own = connection.connection.dbapi_connection
            yield connection
    finally:
        if own is not None:
            with suppress(engine.dialect.loaded_dbapi.Error):  # closed already, or lost
                own.rollback()  # a cursor that was not read to its end would keep it open
            own.close()


def _pooled(connection: Connection) -> bool:
    """Is somebody between us and PostgreSQL? Then it answers as another process than the one that we connected to."""
    if connection.dialect.name != "postgresql":
        return False
    own = getattr(getattr(connection.connection.dbapi_connection, "info", None), "backend_pid", None)
    there = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    connection.rollback()
    return own is not None and own != there


def shared_now(session: Session, now: datetime) -> datetime:
    """The moment by the clock that all who work on this database share; `now` is what this machine takes it for.

    Leases go by it: of two machines half an hour apart, one would think that the other's are over. PostgreSQL's is its
    server's; a SQLite file is one machine's, whose clock is `now`.
    """
    return now + server_ahead(session, now) if session.get_bind().dialect.name == "postgresql" else now


def server_ahead(session: Session, now: datetime) -> timedelta:
    """How far PostgreSQL's clock is ahead of `now`, also in a transaction that began long ago."""
    says: datetime = session.connection().execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    return says - now


def insert_into(session: Session, table: Any) -> Any:
    """An INSERT that knows `on_conflict_…`, in the dialect of the session's database."""
    return insert_of(session.get_bind().dialect.name, table)


def insert_of(dialect: str, table: Any) -> Any:
    """The same by the dialect's name."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


class not_by_index(sa.sql.functions.FunctionElement[Any]):
    """A column that SQLite, which chooses by no sizes, is not to find rows by.

    PostgreSQL does choose by them, and would take a sum for what few rows have.
    """

    inherit_cache = True
    type = sa.Integer()


@compiles(not_by_index)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(not_by_index, "sqlite")
def _as_a_sum(element: Any, compiler: Any, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} + 0)"


def batched(values: Iterable[_T]) -> Iterator[list[_T]]:
    """As many at a time as one IN (…) takes: SQLite allows 32,766 variables, older builds 999."""
    rest = iter(values)
    while some := list(islice(rest, 500)):
        yield some


def count_rows(session: Session, table: str) -> None:
    """Let PostgreSQL look at a table that has just grown: it would plan for the few rows it knew of."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"ANALYZE {table}"))


def open_database(
    url: str, *, create: bool = False, upgrade: bool = True, before: Callable[[Database, str], None] | None = None
) -> Database:
    """Open the database at `url` (SQLAlchemy's form) and bring its tables up to date, unless it is only looked at.

    `before` is called before tables that are there are upgraded, with their revision: to back them up. Nobody else
    upgrades meanwhile.

    Raises NotFound where a SQLite file is missing and `create` is false, StorageError where it cannot be
    used: not a database, not ours to write, made by a newer release; ConfigError where it was moved elsewhere.
    """
    if url.startswith("sqlite"):
        path = real_file(Path(url.removeprefix("sqlite:///")))
        if not path.is_file():
            if not create:
                raise NotFound(f"there is no database at {path}", hint="`digest init` makes it; is `database` right?")
            sqlite_file.make_private(path)
        elif not create and path.stat().st_size == 0:
            raise NotFound(
                f"the database {path} is an empty file",
                hint="a new one: `digest init` makes its tables; one that had readers: put a backup in its place",
            )
        seen = None if create or sqlite_file.may_write(path) else sqlite_file.view(path)
        try:
            return _opened(Database(sqlite_file.engine_of(path, seen=seen), view=seen), upgrade, before)
        except StorageError as error:
            if seen is not None or not refused.bars_writing(error):
                raise
            seen = sqlite_file.view(path, error)
        return _opened(Database(sqlite_file.engine_of(path, seen=seen), view=seen), upgrade, before)
    return _opened(Database(_postgres(url)), upgrade, before)


def _opened(database: Database, upgrade: bool, before: Callable[[Database, str], None] | None) -> Database:
    try:
        if upgrade:
            _upgrade(database, before)
            with database.read() as session:
                must_be_here(session)
        elif database.engine.dialect.name == "sqlite":
            _must_be_readable(database)
    except BaseException:
        database.close()
        raise
    return database


def open_copy(url: str) -> Database:
    """A read replica on PostgreSQL: looked at only, and given up soon where it does not answer. See `store.replica`."""
    # Said with each transaction, and not to the session, which a pooler does not keep.
    return Database(_postgres(url, execution_options={"postgresql_readonly": True}, patience=_SOON))


def _postgres(url: str, *, patience: dict[str, Any] | None = None, **more: Any) -> Engine:
    """ConfigError where the URL, or what it needs, is not there."""
    try:
        there = sa.make_url(url)
        asked = _nameless(url) | {name: said for name, said in (patience or {}).items() if name not in there.query}
        return create_engine(url, pool_pre_ping=True, json_serializer=sqlite_file.as_json, connect_args=asked, **more)
    except ImportError:  # psycopg itself, or the libpq that it wants
        raise ConfigError(
            "PostgreSQL needs a package that is not installed beside digest",
            hint=f"{shlex.quote(sys.executable)} -m pip install '{DISTRIBUTION}[postgres]'",
        ) from None
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError):
        # What they say may hold a piece of the URL, and so of a password.
        raise ConfigError(
            "the database setting cannot be read", hint="a path (SQLite), or postgresql://user@host/name"
        ) from None


def _nameless(url: str) -> dict[str, Any]:
    """No prepared statements by name: they stay with a session, and a pooler gives each transaction any."""
    return {"prepare_threshold": None} if url.startswith("postgresql+psycopg:") else {}


@cache
def head() -> str:
    """The newest revision this release knows. Read from the names, so that Alembic need not be imported."""
    return max((p.name.partition("_")[0] for p in (MIGRATIONS / "versions").glob("[0-9]*.py")), default="0000")


def revision(connection: Connection) -> str | None:
    """The revision of the tables, or None in an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def judge_revision(found: str | None) -> None:
    """StorageError where tables are of a revision that this release does not know."""
    newest = head()
    if found is not None and found > newest and found.isdigit():
        raise StorageError(
            f"the database is of a newer digest (revision {found}, this release knows {newest})",
            hint="use that release again, or a backup made before it",
        )
    if found not in (None, newest) and not any((MIGRATIONS / "versions").glob(f"{glob_escape(found)}_*.py")):
        raise StorageError(
            f"the database is of no release of digest (revision {found[:40]})", hint="is `database` the right one?"
        )


def must_be_here(session: Session) -> None:
    """ConfigError where the database was moved elsewhere, Unavailable where it is a copy that is not done."""
    row = session.execute(sa.text("SELECT moved_to, copying FROM installation")).first()
    if row is not None and row.moved_to:
        raise moved(row.moved_to)
    if row is not None and row.copying:
        raise Unavailable(
            f"this database is to be a copy of {json.loads(row.copying)['from']}, and is not done",
            hint="digest db copy FROM TO, the same command again, goes on with it",
        )


def _must_not_be_moved(connection: Connection) -> None:
    """ConfigError where the database was moved while we were at work: what is written now would be lost.

    Asked last: who moves it waits for those who have written, or else they see here that it was.
    """
    to = connection.exec_driver_sql("SELECT moved_to FROM installation").scalar()
    if to:
        raise moved(to)


def alembic_settings(connection: Connection | None, **more: Any) -> Any:
    """What Alembic is told: to work on this connection, in the transaction that it is in."""
    from alembic.config import Config as Alembic

    settings = Alembic(**more)
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def _upgrade(database: Database, before: Callable[[Database, str], None] | None = None) -> None:
    """Bring the tables to `head()`, in one transaction; whoever else wants to do the same waits."""
    if _found(database) == head():
        return
    if database.view is not None:
        raise database.view.why
    with _turn(database):
        found = _found(database)
        if found == head():
            return  # another did it meanwhile
        if found is not None and before is not None:
            before(database, found)
        _migrate(database)


def outgrown(database: Database) -> StorageError | None:
    """What to say where the tables were upgraded meanwhile by a release that this one does not know."""
    with database.read() as session:
        found = revision(session.connection())
    try:
        judge_revision(found)
    except StorageError as error:
        return error
    return None


def _must_be_readable(database: Database) -> None:
    """StorageError where SQLite reads nothing since it cannot write; what else is wrong, whoever looks says."""
    try:
        with database.read() as session:
            session.connection().exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1")
    except StorageError as error:
        if refused.bars_writing(error):
            raise


def _found(database: Database) -> str | None:
    with database.read() as session:
        found = revision(session.connection())
    judge_revision(found)
    return found


def _migrate(database: Database) -> None:
    from alembic import command

    with without_foreign_keys(database) as upgraded, upgraded.write() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            locks.take_all(connection)
        try:
            command.upgrade(alembic_settings(connection), "head")
        except sa.exc.DBAPIError as error:
            raise refused.in_words(error, database.engine.url) or StorageError(
                f"{database.name} cannot be upgraded: {refused.first_line(error)}",
                hint="nothing was changed; go on with the release before, and tell the makers of digest",
            ) from error
        if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise StorageError(
                f"the upgrade to revision {head()} would leave rows that belong to nothing",
                hint="nothing was changed; go on with the release before, and tell the makers of digest",
            )


@contextmanager
def _turn(database: Database) -> Iterator[None]:
    """Be the only one that backs up and upgrades. TryAgain where somebody else does not come to an end."""
    if database.engine.dialect.name == "sqlite":
        path = Path(f"{database.engine.url.database}-upgrade")
        try:
            lock = _waited(lambda: _locked(path))
        except OSError as error:
            raise StorageError(
                f"{database.name} cannot be upgraded: {path}: {error.strerror}",
                hint="let the user who runs digest write the folder of the database",
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is ours
            os.close(lock)
        return
    # A transaction's lock, and not a session's: a pooler gives each transaction any session.
    with database._told(), database.engine.connect() as connection:
        # Which is idle while others work in theirs, for as long as that takes.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        asked = sa.text("SELECT pg_try_advisory_xact_lock(:key)")
        _waited(lambda: connection.execute(asked, {"key": _TURN_LOCK}).scalar() or None)
        try:
            yield
        finally:
            connection.invalidate()  # which ends the lock, whatever became of the connection


def _locked(path: Path) -> int | None:
    """The lock file, locked; None where another has it. One that was unlinked meanwhile is nobody's."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    os.close(file)
    return None


def _waited(take: Callable[[], _T | None]) -> _T:
    end = time.monotonic() + PATIENCE
    while (found := take()) is None:
        if time.monotonic() > end:
            raise TryAgain(
                "another process upgrades the database, and does not come to an end", hint="see what it does"
            )
        time.sleep(0.05)
    return found


@contextmanager
def without_foreign_keys(database: Database) -> Iterator[Database]:
    """On SQLite, a connection that does not act on foreign keys.

    SQLite alters a table by making it anew and dropping the old one, and a dropped table would take with it
    what refers to its rows. Only outside a transaction can this be said, so it is said to the connection.
    """
    if database.engine.dialect.name != "sqlite":
        yield database
        return
    with database.pinned() as alone:
        assert alone._pinned is not None
        alone._pinned.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        yield alone
