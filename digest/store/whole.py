"""All that an installation knows, as JSON lines in one ZIP, and back into an empty database.

A kind is a table, a line is a row; the page moving.md tells the form. What belongs to this machine alone stays behind
(`STAYS`), and so do secrets unless they are asked for. Both ways go row by row: no more than some hundred rows are in
memory. What is read is verified before a row of it is stored, and stored in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from digest import models
from digest.column_types import UtcTime
from digest.errors import BadInput, NotFound, StorageError, UserError
from digest.store import lasting, schema
from digest.store.database import Database, head

FORMAT = 1
MANIFEST = "manifest.json"
STEP = 500  # rows in memory
# Tables that stay behind, and why.
STAYS = {
    "learned": "the same labels teach it anew",
    "archive_words": "the stories that went out are read anew",
    "story_word": "the stories that went out are read anew",
    "host": "how servers want to be asked is learnt anew",
    "summary": "a machine is asked anew",
    "robots": "it is read anew",
    "websub": "hubs are asked anew, with another address",
    "relay_hour": "a limit of this machine's relay",
    "relay_state": "what workers learnt of a relay in the last minutes",
    "relay_seat": "which of them has what of it now",
    "domain_state": "how fast receivers took letters in the last minutes",
    "worker": "which workers there are now",
    "host_lease": "which of them asks which host now",
    "rate_window": "how often keys of the API asked in this minute",
    "run_day": "days on which this machine ran",
    "run": "what this machine did",
    "tally": "sums for this machine's metrics",
    "pruning": "how far it has come with letting go",
    "alert": "judged anew",
    "alert_telling": "what is told of this machine",
    "api_answer": "kept for a day",
    "webhook_event": "what is on its way to a webhook",
    "signup_mail": "limits of the last hours",
    "signup_refusal": "limits of the last days",
    "installation": "whose database it is",
}
# What goes along only where secrets are asked for: tables, and columns of others with what stands there instead.
SECRET = {"api_key", "webhook"}
HIDDEN: Mapping[str, Mapping[str, Any]] = {"feed": {"headers": {}, "proxy": ""}}
UNDER_WAY = "it was under way when its database was exported"
_MOST_LINE = 256 << 20  # bytes of one row; a mail is far smaller
_MOST_MANIFEST = 4 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)  # what a damaged archive raises when read
_WAITS = ("owed", "claimed", "sending")


@dataclass(frozen=True)
class Kind:
    """What the manifest says of one file of rows."""

    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The first thing to read. `numbers` are the last ones given away, of tables that never give one twice."""

    format: int
    version: str  # of digest
    revision: str  # of its tables
    made_at: str
    secrets: bool
    key: str  # tells whether another installation has the same secret key
    kinds: dict[str, Kind]
    numbers: dict[str, int]
    hidden: dict[str, int] = field(default_factory=dict)  # rows whose secrets were left out, by kind


@dataclass(frozen=True)
class Beside:
    """What goes along besides the rows: the settings as `files` of the archive, and how the key is known."""

    version: str
    at: datetime
    key: str
    files: Mapping[str, bytes]


def key_mark(key: str) -> str:
    """By which it is known whether two installations sign alike; nothing can be signed with it."""
    return hashlib.blake2b(b"digest export", key=key.encode()[:64], digest_size=8).hexdigest()


def kinds(*, with_secrets: bool) -> list[sa.Table]:
    """The tables that go along, those that others refer to first."""
    left = STAYS.keys() | (set() if with_secrets else SECRET)
    return [table for table in schema.tables().sorted_tables if table.name not in left]


# ---------------------------------------------------------------- out


def export(
    database: Database,
    path: Path,
    beside: Beside,
    *,
    with_secrets: bool = False,
    progress: Callable[[str], None] = lambda kind: None,
) -> Manifest:
    """Write all to a new file, as of one moment; senders go on meanwhile. The file is whole, or not there."""
    if path.exists():
        raise UserError(f"{path} is there already", hint="choose another name; it is left as it is")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        try:
            handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as out:
                with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, _moment(database) as session:
                    manifest = _write(archive, session, beside, with_secrets, progress)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}", hint="make room, or choose a folder you may write to"
        ) from None
    return manifest


@contextmanager
def _moment(database: Database) -> Iterator[Session]:
    """One view of all tables, whatever is committed meanwhile: PostgreSQL gives each statement its own otherwise."""
    with database.read() as session:
        if database.engine.dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def _write(
    archive: zipfile.ZipFile, session: Session, beside: Beside, with_secrets: bool, progress: Callable[[str], None]
) -> Manifest:
    told: dict[str, Kind] = {}
    hidden: dict[str, int] = {}
    tables = kinds(with_secrets=with_secrets)
    for table in tables:
        progress(table.name)
        with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as out:
            told[table.name], left = _write_rows(out, session, table, {} if with_secrets else HIDDEN)
        if left:
            hidden[table.name] = left
    for name, content in beside.files.items():
        archive.writestr(name, content)
    made_at = beside.at.astimezone(UTC).isoformat(timespec="seconds")
    numbers = {table.name: _last_number(session, table) for table in tables if _never_twice(table)}
    manifest = Manifest(FORMAT, beside.version, head(), made_at, with_secrets, beside.key, told, numbers, hidden)
    archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")
    return manifest


def _write_rows(
    out: IO[bytes], session: Session, table: sa.Table, hidden: Mapping[str, Mapping[str, Any]]
) -> tuple[Kind, int]:
    names, instead = [column.name for column in table.columns], hidden.get(table.name, {})
    query = sa.select(table).order_by(*table.primary_key.columns)
    rows = size = left = 0
    digest = hashlib.sha256()
    for row in session.connection().execute(query, execution_options={"yield_per": STEP}):
        said = dict(zip(names, row, strict=True))
        left += any(said[name] != value for name, value in instead.items())
        line = (
            json.dumps({**said, **instead}, default=_plain, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        )
        out.write(line)
        digest.update(line)
        rows, size = rows + 1, size + len(line)
    return Kind(rows, size, digest.hexdigest()), left


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes | memoryview):
        return b64encode(bytes(value)).decode()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _never_twice(table: sa.Table) -> bool:
    """Whether a number of a row that is gone is never given to another."""
    return bool(table.dialect_options["sqlite"]["autoincrement"])


def _last_number(session: Session, table: sa.Table) -> int:
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.execute(query, {"name": table.name}).scalar() or 0
    place = connection.execute(_sequence(table)).scalar()
    last, called = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {place}").one()  # noqa: S608
    return last if called else 0


def _sequence(table: sa.Table) -> Any:
    return sa.select(sa.func.pg_get_serial_sequence(table.name, "id"))


# ---------------------------------------------------------------- in


@dataclass(frozen=True)
class Taken:
    """What came in, and how many letters that were under way are held now."""

    manifest: Manifest
    held: int


def take_in(
    database: Database,
    path: Path,
    *,
    now: datetime,
    progress: Callable[[str], None] = lambda kind: None,
) -> Taken:
    """Store all of an archive in a database that has nothing yet, or nothing of it.

    Raises BadInput for a file that is not as it was written, UserError where the database is not empty.
    """
    with ExitStack() as stack:
        with _told_as_broken(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            manifest = _verified(archive)
        session = stack.enter_context(database.write())
        tables = [table for table in kinds(with_secrets=True) if table.name in manifest.kinds]
        _must_be_empty(session)
        # Those that the settings gave a row; what refers to them yet goes with them.
        session.connection().execute(sa.delete(models.Newsletter))
        for table in tables:
            progress(table.name)
            _store_rows(session, table, archive, path)
        if "lasting_id" not in manifest.kinds:
            lasting.known_by_address(session)
        _go_on_counting(session, tables, manifest.numbers)
        held = _hold(session, now)
        session.connection().execute(sa.update(models.Edition).values(findable=False))
    return Taken(manifest, held)


@contextmanager
def _told_as_broken(path: Path) -> Iterator[None]:
    """What reading a strange file raises, as one sentence; what storing raises later is none of the file's."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="`digest export --all FILE` makes one") from None
    except (*_DAMAGED, ValueError, KeyError, TypeError) as error:
        why = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise _broken(path, str(why)) from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None


def _broken(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path} is no whole export of digest: {why[:200]}", hint="nothing was stored; export it again where it is from"
    )


def _verified(archive: zipfile.ZipFile) -> Manifest:
    with archive.open(MANIFEST) as file:
        said = json.loads(file.read(_MOST_MANIFEST))
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        found = said.get("format") if isinstance(said, dict) else said
        raise ValueError(f"its format is {str(found)[:20]!r}, and this digest knows {FORMAT}")
    told = {name: Kind(**kind) for name, kind in said.pop("kinds").items()}
    known = {table.name for table in kinds(with_secrets=True)}
    if strange := sorted(told.keys() - known):
        raise ValueError(f"it has {strange[0][:40]!r}, which this digest does not know: a newer one made it")
    if missing := sorted({"newsletter", "feed", "subscriber", "subscription", "outbox"} - told.keys()):
        raise ValueError(f"{missing[0]}.jsonl is missing")
    for name, kind in told.items():
        digest, rows, size = hashlib.sha256(), 0, 0
        with archive.open(f"{name}.jsonl") as file:
            while size <= kind.bytes and (some := file.read(1 << 20)):
                digest.update(some)
                size, rows = size + len(some), rows + some.count(b"\n")
        if (rows, size, digest.hexdigest()) != (kind.rows, kind.bytes, kind.sha256):
            raise ValueError(f"{name}.jsonl is not as it was written")
    return Manifest(kinds=told, **said)


def _must_be_empty(session: Session) -> None:
    for table in kinds(with_secrets=True):
        if table.name == "newsletter":
            row = sa.select(table.c.name).where((table.c.seq > 0) | (table.c.edition_number > 0))
        elif table.name == "lasting_id":
            continue  # written down by the first command
        else:
            row = sa.select(sa.literal(table.name)).select_from(table)
        if session.connection().execute(row.limit(1)).first() is not None:
            raise UserError(
                f"the database is not empty (there are rows of {table.name}), and all of another does not fit into it",
                hint="`digest init FOLDER` makes an empty one; give its settings with -c",
            )


def _store_rows(session: Session, table: sa.Table, archive: zipfile.ZipFile, path: Path) -> None:
    absent = _absent(table)
    some: list[dict[str, Any]] = []
    number = 0
    with archive.open(f"{table.name}.jsonl") as file:
        try:
            while line := file.readline(_MOST_LINE + 1):
                number += 1
                some.append(_row(table, line, absent))
                if len(some) == STEP:
                    session.connection().execute(sa.insert(table), some)
                    some = []
            if some:
                session.connection().execute(sa.insert(table), some)
        except (*_DAMAGED, ValueError, TypeError, LookupError, sa.exc.StatementError) as error:
            if isinstance(error, sa.exc.OperationalError):
                raise
            cause = error.orig if isinstance(error, sa.exc.StatementError) and error.orig else error
            why = f"{table.name}.jsonl, near line {number}: {' '.join(str(cause).split())}"
            raise _broken(path, why) from None


def _row(table: sa.Table, line: bytes, absent: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    if len(line) > _MOST_LINE:
        raise ValueError("a row is too large")
    said = json.loads(line.decode("utf-8", "surrogatepass"))
    if not isinstance(said, dict):
        raise ValueError("a row is no object")
    if strange := sorted(said.keys() - table.columns.keys()):
        raise ValueError(f"{strange[0][:40]!r} is unknown here: a newer digest made it")
    return {
        name: _value(column, said[name]) if name in said else absent[name]() for name, column in table.columns.items()
    }


def _absent(table: sa.Table) -> dict[str, Callable[[], Any]]:
    """What a column has that an older release did not know."""
    model = next(one for one in _models() if one.__table__ is table)  # type: ignore[attr-defined]
    return {name: partial(field.get_default, call_default_factory=True) for name, field in model.model_fields.items()}


def _models() -> Iterator[type[SQLModel]]:
    for mapper in SQLModel._sa_registry.mappers:
        yield mapper.class_


def _value(column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, UtcTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, sa.Enum) and column.type.enum_class is not None:
        return column.type.enum_class(value)
    if type(column.type) is sa.LargeBinary:
        return b64decode(value, validate=True)
    return value


def _go_on_counting(session: Session, tables: list[sa.Table], numbers: Mapping[str, int]) -> None:
    """See that no number is given twice: links and bounces in mail that went out name them."""
    connection = session.connection()
    for table in tables:
        if "id" not in table.columns or not isinstance(table.c.id.type, sa.Integer):
            continue
        last = max(
            connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0, int(numbers.get(table.name, 0))
        )
        if not last:
            continue
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.setval(connection.execute(_sequence(table)).scalar(), last)))
        elif _never_twice(table):
            name = {"name": table.name, "last": last}
            connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
            connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), name)


def _hold(session: Session, now: datetime) -> int:
    """Letters that were under way: perhaps they went out meanwhile where the archive is from, so a person decides."""
    box = models.OutboxRow.__table__  # type: ignore[attr-defined]
    waits = [models.OutboxState(state) for state in _WAITS]
    held = sa.update(box).where(box.c.state.in_(waits))
    done = session.connection().execute(
        held.values(state=models.OutboxState.HELD, settled_at=now, reply=UNDER_WAY, in_doubt=True)
    )
    return done.rowcount
