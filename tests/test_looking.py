"""What only reads works where nothing can be written: a file that is not ours, a folder, a full disk, a standby."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from mailing import owe

from digest.config import load
from digest.errors import StorageError, TryAgain
from digest.store import newsletters, open_database
from digest.store.backups import copy_sqlite
from digest.store.database import _turn
from digest.store.disk_space import Room

SETTINGS = """
secret_key = "sixteen characters at least"
base_url = "https://digest.example"
[smtp]
url = "smtp://127.0.0.1:9"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
"""
LOOKS = [
    "status", "status --json", "audit", "history", "metrics", "clock", "why ada@example.org", "preview --text",
    "feed list", "feed export", "newsletter list", "edition list", "edition show 1", "story list", "topic list",
    "outbox list", "outbox show 1", "key list", "webhook list", "alerts list", "mail list", "mail asks",
    "subscriber list", "subscriber show ada@example.org", "subscriber export", "import list", "bounce list",
    "db check", "config check", "doctor --offline", "export --all all.json",
]  # fmt: skip
FEW = ["status", "audit", "outbox list", "subscriber list", "preview --text", "db check"]


@pytest.fixture
def place(digest, tmp_path) -> Path:
    """A folder with settings and a database in which a letter is owed, and in which nobody is at work."""
    (tmp_path / "digest.toml").write_text(SETTINGS)
    (tmp_path / "digest.toml").chmod(0o600)
    assert digest("init").returncode == 0
    config = load(tmp_path / "digest.toml")
    with closing(open_database(config.database_url)) as database:
        newsletters.keep(database, config.newsletters, now=MONDAY)
        owe(database, config, "ada@example.org")
    assert not list(tmp_path.glob("digest.db-*"))
    return tmp_path


@contextmanager
def nothing_writable(folder: Path, *files: str) -> Iterator[None]:
    """The folder and these files are read-only, also for root, who does without what makes it root meanwhile."""
    for name in files:
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    try:
        with without_override():
            yield
    finally:
        folder.chmod(0o755)


@contextmanager
def without_override() -> Iterator[None]:
    """Without CAP_DAC_OVERRIDE and its like (capabilities(7)): modes of files count for us as for anybody."""
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, had = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, had) == 0
    less = (ctypes.c_uint32 * 6)(*had)
    less[0] &= ~0b1110  # of the effective ones: DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
    assert libc.capset(header, less) == 0
    try:
        yield
    finally:
        assert libc.capset(header, had) == 0


def seen(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def looked(digest, *, but: tuple[str, ...] = (), few: bool = False) -> dict[str, str]:
    """What each command says that only reads, or some of them."""
    said = {}
    for words in FEW if few else LOOKS:
        if words not in but:
            done = digest(*words.split())
            assert "cannot be" not in done.stderr and "Traceback" not in done.stderr, (words, done.stderr)
            assert done.returncode in (0, 65, 66, 69, 78) or words.startswith("doctor"), (words, done)
            said[words] = done.stdout
    return said


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.long)], ids=["some", "all"])
def test_all_that_only_reads_works_on_a_file_that_cannot_be_written_and_leaves_nothing(digest, place, few):
    before = seen(place)
    with nothing_writable(place, "digest.db"):
        said = looked(digest, but=("export --all all.json",), few=few)
    assert "ada@example.org" in said["subscriber list"] and "ada@example.org" in said["outbox list"]
    assert seen(place) == before


def test_whoever_only_looks_is_not_told_that_letters_cannot_be_kept(digest, place, monkeypatch):
    """As settings begin: without a mail server letters are kept in a folder beside them."""
    # Python asks for root's rights here, and not for those that root is left with.
    monkeypatch.setattr("digest.cli.files._unwritable", lambda folder: f"the folder {folder} cannot be written")
    (place / "digest.toml").write_text(SETTINGS.replace('[smtp]\nurl = "smtp://127.0.0.1:9"\n', ""))
    with nothing_writable(place, "digest.db"):
        for words in ("status", "preview --text"):
            done = digest(*words.split())
            assert "cannot be" not in done.stderr and done.returncode in (0, 66), (words, done)


def test_a_sandbox_that_answers_no_question_bars_nobody_from_writing(place, monkeypatch):
    access = os.access

    def refused(path: Path, mode: int, *, effective_ids: bool = False) -> bool:
        return not effective_ids and access(path, mode)

    monkeypatch.setattr(os, "access", refused)
    monkeypatch.setattr(os, "supports_effective_ids", {refused})
    with closing(open_database(f"sqlite:///{place}/digest.db")) as database:
        assert database.view is None


def linked(place: Path) -> Path:
    """A link to the database, in a folder of its own."""
    link = place / "etc" / "digest.db"
    link.parent.mkdir()
    link.symlink_to(place / "digest.db")
    return link


def test_a_link_to_the_database_is_written_through_wherever_it_lies(place):
    link = linked(place)
    with nothing_writable(link.parent), closing(open_database(f"sqlite:///{link}")) as database:
        assert database.view is None
        with database.write() as session:
            session.execute(sa.text("UPDATE subscriber SET name = 'Ada Lovelace'"))


def test_whoever_comes_by_a_link_shares_with_the_others_what_lies_beside_the_database(digest, place):
    """Locks above all: of two processes by two paths one would upgrade while the other does."""
    link = linked(place)
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as database:
        before = "UPDATE alembic_version SET version_num = '0042'; DROP TABLE host_lease; DROP TABLE rate_window"
        database.executescript(before)
    there = {"DIGEST_DATABASE": str(link)}
    assert "upgraded" in digest("status", **there).stderr and list((place / "digest.db.upgrades").iterdir())
    for words in ("run", "serve --unix-socket /dev/null/there", "audit", "backup one.tar", "restore one.tar --yes"):
        digest(*words.split(), **there)
    assert list((place / "digest.db.witness").iterdir()) and list(place.glob("digest.db.before-*"))
    with closing(open_database(f"sqlite:///{link}")) as database, _turn(database):
        assert Room(database).sure() and {path.name for path in place.iterdir()} > {
            "digest.db-upgrade",
            "digest.db-room",
        }
    assert list(link.parent.iterdir()) == [link] and link.is_symlink()


@pytest.mark.parametrize("both", [False, True])
def test_the_witness_that_a_release_before_kept_beside_a_link_is_heard_until_there_is_one_beside_the_file(place, both):
    config = load(place / "digest.toml")
    (link := linked(place)).with_name("digest.db.witness").mkdir()
    if both:
        (place / "digest.db.witness").mkdir()
    witness = config.model_copy(update={"database": str(link)}).witness(place / "digest.toml")
    assert witness == (place if both else link.parent) / "digest.db.witness"


def test_by_a_link_to_the_database_no_less_is_seen_than_in_its_own_place(place):
    left_by_a_crash(place, "digest.db-wal")
    link = linked(place)
    with nothing_writable(place, "digest.db"), pytest.raises(StorageError, match=r"digest\.db-wal") as caught:
        open_database(f"sqlite:///{link}")
    assert f"cp {place}/digest.db {place}/digest.db-wal " in (caught.value.hint or "")


def test_in_a_folder_that_is_not_ours_what_sqlite_keeps_beside_it_is_enough_to_write(place):
    left_by_a_crash(place, "digest.db-wal", "digest.db-shm")
    with nothing_writable(place), closing(open_database(f"sqlite:///{place}/digest.db")) as database:
        assert database.view is None
        with database.write() as session:
            session.execute(sa.text("UPDATE subscriber SET name = 'Ada King'"))


@pytest.mark.parametrize("files", [(), ("digest.db",)], ids=["folder", "folder and file"])
def test_while_somebody_is_at_work_what_they_wrote_last_is_seen(digest, place, files):
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as other:
        other.execute("UPDATE subscriber SET name = 'Ada Lovelace'")
        assert (place / "digest.db-wal").stat().st_size
        before = seen(place)
        with nothing_writable(place, *files):
            assert "Ada Lovelace" in digest("subscriber", "show", "ada@example.org").stdout
        assert seen(place).keys() == before.keys()


def left_by_a_crash(place: Path, *names: str) -> None:
    """The database with what is beside it as it is when its last writer was killed."""
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as other:
        other.execute("UPDATE subscriber SET name = 'Ada Lovelace'")
        kept = {name: (place / name).read_bytes() for name in ("digest.db", *names)}
    for name, data in kept.items():
        (place / name).write_bytes(data)


def test_of_a_writer_that_was_killed_its_last_words_are_read(digest, place):
    left_by_a_crash(place, "digest.db-wal", "digest.db-shm")
    with nothing_writable(place, "digest.db", "digest.db-wal", "digest.db-shm"):
        assert "Ada Lovelace" in digest("subscriber", "show", "ada@example.org").stdout


def test_what_cannot_be_seen_whole_is_not_shown_in_part(digest, place, tmp_path):
    left_by_a_crash(place, "digest.db-wal")
    with nothing_writable(place, "digest.db"):
        done = digest("subscriber", "show", "ada@example.org")
    assert done.returncode == 74 and done.stderr.count("\n") == 2 and "digest.db-wal" in done.stderr
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in ("digest.db", "digest.db-wal"):
        shutil.copy(place / name, aside / name)
    (aside / "digest.db").chmod(0o600)
    assert (
        "Ada Lovelace"
        in digest("subscriber", "show", "ada@example.org", DIGEST_DATABASE=str(aside / "digest.db")).stdout
    )


SERVE = "serve --unix-socket /dev/null/there"  # where nobody can listen
CHANGES = [
    *("subscriber add bob@example.org", "subscriber remove ada@example.org", "run", "deliver", "outbox retry 1"),
    SERVE,
]


@pytest.mark.parametrize("words", CHANGES)
def test_what_writes_says_in_one_sentence_that_it_cannot(digest, place, words):
    with nothing_writable(place, "digest.db"):
        done = digest(*words.split())
    assert done.returncode == 74 and "cannot be written" in done.stderr and done.stderr.count("\n") == 2
    with closing(sqlite3.connect(place / "digest.db")) as database:
        assert database.execute("SELECT count(*) FROM subscription WHERE state = 'active'").fetchall() == [(1,)]


def test_pages_are_not_served_from_where_nothing_can_be_written_though_the_clock_is_doubted(digest, place):
    """By a right clock the day is written down, which says it; by another nothing was, and each click was refused."""
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as database:
        database.execute(
            "INSERT INTO run_day (day) VALUES ('2126-01-01 00:00:00.000000'), ('2126-01-02 00:00:00.000000')"
        )
        database.execute("DELETE FROM run_day WHERE day < '2126'")
    assert "cannot listen" in digest(*SERVE.split()).stderr
    with nothing_writable(place, "digest.db"):
        done = digest(*SERVE.split())
    assert done.returncode == 74 and "cannot be written" in done.stderr and "cannot listen" not in done.stderr


def test_tables_of_a_release_before_are_not_upgraded_where_nothing_can_be_written(digest, place):
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '0042'")
    with nothing_writable(place, "digest.db"):
        done = digest("status")
    assert done.returncode == 74 and "cannot be written" in done.stderr
    assert not (place / "digest.db.upgrades").exists()


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may become larger than it is: as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.long)], ids=["some", "all"])
def test_a_full_disk_keeps_nobody_from_looking(digest, place, few):
    with full_disk():
        said = looked(digest, but=("export --all all.json", "doctor --offline", "config check"), few=few)
        done = digest("subscriber", "add", "bob@example.org")
    assert "ada@example.org" in said["subscriber list"]
    assert done.returncode == 74 and "disk" in done.stderr


def test_a_file_that_is_written_to_while_it_is_looked_at_is_not_believed(place):
    config = load(place / "digest.toml")
    with nothing_writable(place, "digest.db"):
        database = open_database(config.database_url)
    (place / "digest.db").chmod(0o600)

    def look() -> None:
        with database.read(), closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as other:
            other.execute("UPDATE subscriber SET name = 'Ada Lovelace'")

    with closing(database):
        with pytest.raises(TryAgain, match="was written to"):
            look()
        with pytest.raises(StorageError, match="cannot be written"), database.write():
            pass


def written(place: Path) -> None:
    """Somebody who may works in the database, and is done."""
    place.chmod(0o755)
    (place / "digest.db").chmod(0o600)
    with closing(sqlite3.connect(place / "digest.db", isolation_level=None)) as other:
        other.execute("UPDATE subscriber SET name = 'Ada Lovelace'")


def test_no_copy_is_made_of_a_file_that_is_written_to_meanwhile_unheard(place, tmp_path_factory):
    target = tmp_path_factory.mktemp("copy") / "digest.db"
    with nothing_writable(place, "digest.db"), pytest.raises(TryAgain, match="was written to"):
        copy_sqlite(place / "digest.db", target, progress=lambda *_: written(place))


def test_nothing_is_rehearsed_on_a_file_that_is_written_to_meanwhile_unheard(place):
    with (
        nothing_writable(place, "digest.db"),
        closing(open_database(f"sqlite:///{place}/digest.db")) as database,
        pytest.raises(TryAgain, match="was written to"),
        database.rehearse(),
    ):
        written(place)


@pytest.fixture
def standby(place, postgres_url, monkeypatch, digest) -> str:
    """The same on a PostgreSQL that takes no writes, as a standby."""
    monkeypatch.setenv("DIGEST_DATABASE", postgres_url.replace("+psycopg", ""))
    assert digest("init").returncode == 0
    config = load(place / "digest.toml")
    with closing(open_database(config.database_url)) as database:
        newsletters.keep(database, config.newsletters, now=MONDAY)
        owe(database, config, "ada@example.org")
    assert digest("status").returncode in (0, 78)
    engine = sa.create_engine(config.database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    engine.dispose()
    return str(name)


@pytest.mark.long
def test_all_that_only_reads_works_on_a_standby(digest, standby):
    said = looked(digest, but=("preview --text",))  # which locks rows as in earnest
    assert "ada@example.org" in said["subscriber list"] and "ada@example.org" in said["outbox list"]
    for words in ("subscriber add bob@example.org", SERVE):
        done = digest(*words.split())
        assert done.returncode == 74 and "cannot be written" in done.stderr and done.stderr.count("\n") == 2
