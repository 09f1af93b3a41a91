"""Backups: one archive with the database, the settings and what they name; and a backup in the database's place.

An archive is a tar: first `manifest.json`, which names all that follows with its SHA-256, then the database (a SQLite
file, or what `pg_dump` writes in its custom format), `digest.toml`, `newsletters/` and `files/`. What is made bears
another name until it is whole and on the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy.engine import make_url

from digest.errors import BadInput, NotFound, StorageError, Unavailable, UserError
from digest.store.sqlite_file import to_look

MANIFEST, SQLITE, DUMP = "manifest.json", "digest.db", "digest.dump"
NAMED = re.compile(r"digest-backup-\d{8}T\d{6}Z(-\d+)?\.tar(\.age)?")
_PARTIAL = re.compile(r"\.digest-backup-[0-9a-f]{16}\.partial")
_PAGES = 2_048  # copied at a time
_MOST_FILES, _MOST_BYTES = 5_000, 256 << 20  # beside the database: templates and keys, not somebody's home
_MOST_MANIFEST = 16 << 20
_AGE = b"age-encryption.org/v1"
Progress = Callable[[int, int], None]  # pages done, and of how many


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    made_at: str
    version: str  # of digest
    revision: str  # of the tables
    installation: str
    tick: int
    database: str  # the name of the database within it
    editions: Mapping[str, int]  # the last number of each newsletter
    files: Mapping[str, str]  # SHA-256 by name
    places: Mapping[str, str] = field(default_factory=dict)  # where files were, by name


@dataclass(frozen=True)
class Material:
    """What goes into a backup besides the database: files by the name they have in it."""

    files: Mapping[str, Path]
    version: str
    now: datetime


# ---------------------------------------------------------------- making one


def make(
    url: str, target: Path, material: Material, *, recipient: str = "", progress: Progress = lambda done, all_: None
) -> Manifest:
    """Write a backup of the database at `url` to `target`: whole or not at all, readable by its owner only.

    Raises UserError in words: no room, no way to write, a database that is damaged, a program that is missing.
    """
    with _working(target.parent) as folder:
        if url.startswith("sqlite"):
            database = folder / SQLITE
            copy_sqlite(Path(url.removeprefix("sqlite:///")), database, progress=progress)
            facts = facts_of(database)
        else:
            database = folder / DUMP
            facts = _pg_facts(url)
            _pg("pg_dump", url, ["--format=custom", "--no-owner", f"--file={database}"])
        files = {database.name: database, **material.files}
        try:
            hashes = {name: _hash(path) for name, path in files.items()}
        except OSError as error:
            raise StorageError(
                f"cannot read {error.filename}: {error.strerror}", hint="it was there a moment ago: try again"
            ) from None
        manifest = Manifest(
            made_at=material.now.astimezone(UTC).isoformat(timespec="seconds"),
            version=material.version,
            database=database.name,
            files=hashes,
            places={name: str(path) for name, path in material.files.items()},
            **facts,
        )
        whole = folder / "whole"
        try:
            _write(whole, manifest, files, recipient)
            whole.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(target, error) from None
    return manifest


@contextmanager
def _working(parent: Path) -> Iterator[Path]:
    """A folder of our own beside what is made; those of others that were killed are removed."""
    folder = parent / f".digest-backup-{secrets.token_hex(8)}.partial"
    try:
        for path in parent.iterdir():
            if _PARTIAL.fullmatch(path.name):
                _remove_dead(path)
        folder.mkdir(mode=0o700)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_dead(folder: Path) -> None:
    with contextlib.suppress(OSError):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def copy_sqlite(source: Path, target: Path, *, progress: Progress = lambda done, all_: None) -> None:
    """A consistent copy, also while others write: one view of it is held open, and they go on in the WAL.

    It is checked before it counts. Raises StorageError, and TryAgain: see `to_look`.
    """
    if not source.is_file():
        raise NotFound(f"there is no database at {source}", hint="is `database` in the settings right?")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            to_look(source) as address,
            closing(sqlite3.connect(address, uri=True, timeout=60)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.isolation_level = None
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on the view stands still
            original.backup(
                copy, pages=_PAGES, progress=lambda _status, left, all_: progress(all_ - left, all_), sleep=0
            )
            original.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode = DELETE")
        check_sqlite(target)
        _sync(target)
    except sqlite3.Error as error:
        raise StorageError(
            f"the database {source} cannot be copied to {target.parent}: {error}",
            hint="is there room, and is the database whole? `digest status` reads it",
        ) from None
    except OSError as error:
        raise _unwritable(target.parent, error) from None


def check_sqlite(path: Path) -> None:
    """StorageError where a SQLite file is damaged, or has rows that belong to nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            stray = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        said, stray = str(error), None
    if said != "ok" or stray is not None:
        what = f"rows of {stray[0]} belong to nothing" if said == "ok" and stray else str(said).splitlines()[0]
        raise StorageError(
            f"the copy of the database is damaged: {what}", hint="`sqlite3 FILE '.recover'` saves what can be read"
        )


def facts_of(path: Path) -> dict[str, Any]:
    """Revision, installation, tick and last editions of a SQLite file."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return _facts(lambda query: connection.execute(query).fetchall())


def _facts(ask: Callable[[str], Sequence[Any]]) -> dict[str, Any]:
    try:
        revision = ask("SELECT version_num FROM alembic_version")[0][0]
        newsletters = ask("SELECT name, edition_number FROM newsletter")
        installation = ask("SELECT id, tick FROM installation")[0] if revision >= "0022" else ("", 0)
    except (sqlite3.Error, IndexError):
        raise BadInput("what is to be the database is none of digest", hint="is `database` the right path?") from None
    editions = {row[0]: row[1] for row in newsletters}
    return {"revision": revision, "installation": installation[0], "tick": installation[1], "editions": editions}


def _pg_facts(url: str) -> dict[str, Any]:
    from digest.store.database import open_database

    database = open_database(url, upgrade=False)
    try:
        with database.read() as session:
            return _facts(lambda query: session.connection().exec_driver_sql(query).fetchall())
    finally:
        database.close()


def _write(whole: Path, manifest: Manifest, files: Mapping[str, Path], recipient: str) -> None:
    target = os.open(whole, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(target, "wb") as out:
        if recipient:
            with _age(["-r", recipient], out, "encrypt") as into:
                _pack(into, manifest, files)
        else:
            _pack(out, manifest, files)
        out.flush()
        os.fsync(out.fileno())


def _pack(out: IO[bytes], manifest: Manifest, files: Mapping[str, Path]) -> None:
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        said = json.dumps(vars(manifest), indent=1, sort_keys=True).encode() + b"\n"
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(said), 0o600
        tar.addfile(entry, io.BytesIO(said))
        for name, path in files.items():
            with path.open("rb") as content:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = os.fstat(content.fileno()).st_size, 0o600
                entry.mtime = int(os.fstat(content.fileno()).st_mtime)
                tar.addfile(entry, content)


@contextmanager
def _age(options: list[str], out: IO[bytes], verb: str) -> Iterator[IO[bytes]]:
    """What is written goes through age to `out`; Unavailable where there is none, BadInput for what it refuses."""
    try:
        process = subprocess.Popen(  # noqa: S603  (no shell, and options of ours)
            ["age", *options],  # noqa: S607  (wherever it is installed)
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise Unavailable("the program age is not installed", hint="apt-get install age") from None
    assert process.stdin is not None and process.stderr is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # what it has to say of it follows
            yield process.stdin
            process.stdin.close()
    except BaseException:
        process.kill()
        process.wait()
        raise
    said = process.stderr.read().decode(errors="replace")
    if process.wait() != 0:
        raise BadInput(f"age does not {verb} it: {_first(said)}", hint="a recipient is age1…, or an SSH public key")


def _first(said: str) -> str:
    return (said.strip().splitlines() or ["it says nothing"])[0].removeprefix("age: error: ")[:200]


def may_replace(path: Path) -> bool:
    """Is nothing there, or a former backup?"""
    if not path.exists():
        return True
    try:
        with path.open("rb") as file:
            head = file.read(max(len(_AGE), len(MANIFEST)))
    except OSError:
        return False
    return head.startswith((_AGE, MANIFEST.encode()))


def named(folder: Path, *, now: datetime, encrypted: bool) -> Path:
    """The name of a backup that is made now in a folder."""
    stem, end = f"digest-backup-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}", ".tar.age" if encrypted else ".tar"
    path, number = folder / f"{stem}{end}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{end}"
    return path


def forget(folder: Path, *, keep: int, last: Path) -> list[Path]:
    """Remove all but the newest backups, by their names, of those that `named` gave; never the `last` one made."""
    found = sorted((path for path in folder.iterdir() if NAMED.fullmatch(path.name)), key=lambda p: p.name)
    others = [path for path in found if path != last]
    gone = others[: max(0, len(found) - keep)]
    for path in gone:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error.strerror}", hint="the new backup is made") from None
    return gone


def material(settings: Path, sheets: Mapping[str, Path], named_files: Sequence[Path]) -> dict[str, Path]:
    """The files of an installation: settings, a file for each newsletter, and what these name (folders as a whole)."""
    found = {"digest.toml": settings}
    found |= {f"newsletters/{path.name}": path for path in sheets.values()}
    size = 0
    for number, path in enumerate(dict.fromkeys(path.absolute() for path in named_files), 1):
        inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in inside:
            if not one.is_file():
                continue  # which `digest config` tells of; a backup is made all the same
            size += one.stat().st_size
            found[f"files/{number}/{path.name}" + (f"/{one.relative_to(path)}" if path.is_dir() else "")] = one
        if len(found) > _MOST_FILES or size > _MOST_BYTES:
            raise UserError(
                f"{path} holds more than a backup takes beside the database",
                hint=f"at most {_MOST_FILES:,} files of {_MOST_BYTES >> 20} MB in all: name a smaller folder",
            )
    return found


# ---------------------------------------------------------------- reading one


@contextmanager
def opened(path: Path, *, identity: Path | None = None, beside: Path | None = None) -> Iterator[tuple[Manifest, Path]]:
    """A backup with its manifest, unpacked into a folder (in `beside`) that is removed at the end; all is verified.

    Raises NotFound, BadInput for what is no whole backup, Unavailable where age is missing.
    """
    if not path.is_file():
        raise NotFound(f"there is no backup {path}", hint="`digest backup FOLDER` makes one")
    place = beside or (path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir()))
    with _working(place) as folder:
        source = path
        try:
            with path.open("rb") as file:
                encrypted = file.read(len(_AGE)) == _AGE
            if encrypted:
                source = _decrypted(path, folder / "plain", identity)
            manifest = _unpack(source, folder)
            if encrypted:
                source.unlink()
        except tarfile.TarError as error:
            raise _broken(path, str(error)) from None
        except OSError as error:
            raise StorageError(f"cannot unpack {path} to {folder.parent}: {error.strerror or error}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise _broken(path, str(error)) from None
        if manifest.database == SQLITE:
            check_sqlite(folder / "in" / SQLITE)
        yield manifest, folder / "in"


def verify(path: Path) -> Manifest:
    """Read a backup that is not encrypted through: BadInput where something of it is not as it was written."""
    try:
        with tarfile.open(path, mode="r|") as tar:
            manifest = _manifest(tar)
            missing = dict(manifest.files)
            while (entry := tar.next()) is not None:
                content = tar.extractfile(entry)
                if content is None or hashlib.file_digest(content, "sha256").hexdigest() != missing.pop(entry.name, ""):  # type: ignore[arg-type]
                    raise ValueError(f"{entry.name} is not as it was written")
            if missing:
                raise ValueError(f"{next(iter(missing))} is missing")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None
    except (tarfile.TarError, ValueError, TypeError, KeyError) as error:
        raise _broken(path, str(error)) from None
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or first.size > _MOST_MANIFEST:
        raise ValueError("it has no manifest")
    said = tar.extractfile(first)
    assert said is not None
    return Manifest(**json.loads(said.read()))


def _broken(path: Path, why: str) -> BadInput:
    return BadInput(f"{path} is no whole backup of digest: {why[:200]}", hint="take another one; this one is of no use")


def _decrypted(path: Path, target: Path, identity: Path | None) -> Path:
    if identity is None:
        raise UserError(f"{path} is encrypted", hint="--identity FILE names the key of its recipient")
    with (
        os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out,
        path.open("rb") as source,
        _age(["-d", "-i", str(identity)], out, "decrypt") as into,
    ):
        shutil.copyfileobj(source, into, 1 << 20)
    return target


def _unpack(path: Path, folder: Path) -> Manifest:
    """All that the manifest names, and nothing else, each as it was."""
    root = folder / "in"
    root.mkdir(mode=0o700)
    with tarfile.open(path, mode="r|") as tar:
        manifest = _manifest(tar)
        missing = dict(manifest.files)
        while (entry := tar.next()) is not None:
            wanted = missing.pop(entry.name, None)
            content = tar.extractfile(entry) if entry.isreg() else None
            if wanted is None or content is None or ".." in Path(entry.name).parts or entry.name.startswith("/"):
                raise ValueError(f"it has {entry.name!r}, which its manifest does not")
            target = root / entry.name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
            if _hash(target) != wanted:
                raise ValueError(f"{entry.name} is not as it was written")
        if missing or manifest.database not in manifest.files:
            raise ValueError(f"{next(iter(missing), manifest.database)} is missing")
    return manifest


# ---------------------------------------------------------------- in the database's place


def place_sqlite(copy: Path, target: Path, *, now: datetime) -> Path | None:
    """Put a verified file in the place of a database, which is put aside: where to; None where there was none.

    Raises UserError where the database is in use.
    """
    aside, target = None, target.resolve()  # what a link leads to, and not the link
    try:
        staged = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
        shutil.copyfile(copy, staged)
        staged.chmod(0o600)
        _sync(staged)
        try:
            if target.exists():
                _must_be_idle(target)
                aside = _put_aside(target, now)
            else:
                for end in ("-wal", "-shm"):
                    target.with_name(target.name + end).unlink(missing_ok=True)
            staged.replace(target)
            _sync_folder(target.parent)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target.parent, error) from None
    return aside


def _must_be_idle(path: Path) -> None:
    """UserError where another process has a SQLite file open. Its WAL is written back into it, and gone."""
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if "locked" in str(error) or "busy" in str(error):
            raise in_use(path) from None
        # What is damaged is put aside as it is, with its WAL.


def in_use(path: object) -> UserError:
    return Unavailable(
        f"the database {path} is in use: a sender or `digest serve` is at work",
        hint="stop it (and cron) until this is done, then start it again",
    )


def _put_aside(path: Path, now: datetime) -> Path:
    stem, number = f"{path.name}.before-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}", 1
    aside = path.with_name(stem)
    while aside.exists():
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    for end in ("-wal", "-shm"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + end))
    try:
        aside.hardlink_to(path)  # so that there is a database at any moment
    except OSError:
        path.replace(aside)
    return aside


def place_postgres(dump: Path, url: str, aside: Path) -> Path:
    """Put what `pg_dump` wrote in the place of a PostgreSQL database, of which a dump is kept `aside`."""
    from digest.store.database import open_database

    _pg("pg_dump", url, ["--format=custom", "--no-owner", f"--file={aside}"])
    aside.chmod(0o600)
    database = open_database(url, upgrade=False)
    try:
        # Not as `Database.write` does it: at its end nothing is there to be asked any more.
        with database.engine.begin() as connection:
            asked = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if connection.exec_driver_sql(asked + " AND application_name <> 'pg_dump'").scalar():
                raise in_use(database.name)
            tables = connection.exec_driver_sql(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()"
            ).scalars()
            # In one transaction each; where the second fails, what is aside is the database.
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {', '.join(tables)} CASCADE")
    finally:
        database.close()
    try:
        _pg("pg_restore", url, ["--no-owner", "--single-transaction", "--exit-on-error", str(dump)])
    except UserError as error:
        _pg("pg_restore", url, ["--no-owner", "--single-transaction", "--exit-on-error", str(aside)])
        raise StorageError(f"{error}; the database is as it was") from None
    return aside


def _pg(program: str, url: str, options: list[str]) -> None:
    """A program of PostgreSQL; the password goes by the environment, which only its owner sees."""
    there = make_url(url)
    environ = {**os.environ, "PGDATABASE": there.database or "", "PGCONNECT_TIMEOUT": "30"}
    said = {"PGHOST": there.host, "PGPORT": there.port, "PGUSER": there.username, "PGPASSWORD": there.password}
    environ |= {name: str(value) for name, value in said.items() if value}
    names = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "host": "PGHOST", "port": "PGPORT"}
    environ |= {names[key]: str(value) for key, value in there.query.items() if key in names}
    options = [f"--dbname={there.database}", *options] if program == "pg_restore" else options
    try:
        done = subprocess.run(  # noqa: S603  (the same)
            [program, *options], env=environ, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise Unavailable(f"the program {program} is not installed", hint="apt-get install postgresql-client") from None
    if done.returncode != 0:
        said_ = _first(done.stderr.decode(errors="replace")).removeprefix(f"{program}: ")
        raise StorageError(f"{program} failed: {said_}", hint="is it of the server's version, and is there room?")


# ---------------------------------------------------------------- files


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        _sync(folder)


def _unwritable(place: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write to {place}: {error.strerror or error}", hint="make room, or choose a folder you may write to"
    )
