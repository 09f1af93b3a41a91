"""`digest backup` and `digest restore FILE`: whole or not there, and nothing is ever deleted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import MONDAY
from mailing import owe, readers, send

from digest.errors import StorageError, UserError
from digest.store import Database, backups, newsletters, open_database
from digest.store.journal import Journal
from digest.store.witness import Witness

MANY = int(os.environ.get("DIGEST_BACKUP_LETTERS", "800"))


def material(**files: Path) -> backups.Material:
    return backups.Material(files, "9.9", MONDAY)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def ready(digest, at):
    at(MONDAY)
    digest("init")
    digest("subscriber", "add", "ada@example.org")
    return digest


def test_a_backup_has_database_settings_and_what_they_name(ready, tmp_path, place):
    (tmp_path / "keys").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "base.html").write_text("<p>mine</p>")
    settings = (tmp_path / "digest.toml").read_text()
    (tmp_path / "digest.toml").write_text(f'templates = "mine"\n{settings}')
    done = ready("backup", place, "--json")
    assert done.returncode == 0, done
    (path,) = place.iterdir()
    said = json.loads(done.stdout)
    assert said["path"] == str(path) and path.name == "digest-backup-20261123T070000Z.tar"
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert names == ["manifest.json", "digest.db", "digest.toml", "files/1/mine/base.html"]
    assert "it is whole" in ready("backup", "check", path).stderr


def test_a_backup_replaces_a_backup_and_nothing_else(ready, tmp_path):
    assert ready("backup", "mine.tar").returncode == 0
    assert ready("backup", "mine.tar").returncode == 0
    before = (tmp_path / "digest.toml").read_bytes()
    for name in ("digest.toml", "digest.db"):
        done = ready("backup", name)
        assert done.returncode == 64 and "is no backup" in done.stderr
    assert (tmp_path / "digest.toml").read_bytes() == before
    done = ready("backup", "nowhere/mine.tar")
    assert done.returncode == 74 and "cannot write" in done.stderr


@pytest.mark.parametrize("words", [("new/kept",), ("new.d/",), ("new.d", "--keep", "2")], ids=" ".join)
def test_a_folder_that_is_not_there_yet_is_made(ready, tmp_path, words):
    """As a file of that name it would stand in the way of the next backup."""
    for _ in range(2):
        assert ready("backup", *words).returncode == 0
    made = list((tmp_path / words[0]).iterdir())
    assert len(made) == 2 and all(one.name.startswith("digest-backup-20261123T0700") for one in made)


def test_a_check_of_nothing_makes_nothing(ready, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = ready("backup", "check")
    assert (done.returncode, sorted(tmp_path.iterdir())) == (64, before) and "say which backup" in done.stderr


@pytest.mark.parametrize(("said", "why"), [("", "nobody is here to be asked"), ("n\n", "nothing was changed")])
def test_a_restore_that_nobody_agreed_to_says_that_nothing_was_done(ready, tmp_path, said, why):
    ready("backup", "mine.tar")
    before = (tmp_path / "digest.db").read_bytes()
    done = ready("restore", "mine.tar", stdin=said)
    assert done.returncode == 64 and why in done.stderr and "was done is stored" not in done.stderr
    assert (tmp_path / "digest.db").read_bytes() == before


def test_only_old_backups_of_ours_are_removed(ready, at, place):
    (place / "mine.txt").write_text("mine")
    (place / "digest-backup-old.tar").write_text("mine, too")
    for day in range(5):
        at(MONDAY + timedelta(days=day))
        assert ready("backup", place, "--keep", 2).returncode == 0
    assert sorted(path.name for path in place.iterdir()) == [
        "digest-backup-20261126T070000Z.tar",
        "digest-backup-20261127T070000Z.tar",
        "digest-backup-old.tar",
        "mine.txt",
    ]
    at(MONDAY - timedelta(days=99))  # by a clock that is wrong: what was just made stays
    assert ready("backup", place, "--keep", 1).returncode == 0
    assert (place / "digest-backup-20260816T070000Z.tar").exists()


def test_a_backup_that_is_not_whole_is_told_for_what_it_is(ready, tmp_path):
    ready("backup", "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"not a tar at all" * 99,
        "changed": whole[:6000] + bytes([whole[6000] ^ 1]) + whole[6001:],
        "no manifest": whole[1024 * (whole.index(b"digest.db\0") // 1024) :],
    }.items():
        (tmp_path / "bad.tar").write_bytes(content)
        for words in (("backup", "check", "bad.tar"), ("restore", "bad.tar", "--yes")):
            done = ready(*words)
            assert done.returncode == 65 and "is no whole backup" in done.stderr, (name, done)
    assert ready("backup", "check", "none.tar").returncode == 66
    assert not list(tmp_path.glob(".digest-backup*"))


@pytest.mark.skipif(not shutil.which("age"), reason="age is not installed")
def test_an_encrypted_backup_opens_with_its_key_alone(ready, tmp_path, place):
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    other = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "key").write_text(key)
    (tmp_path / "other").write_text(other)
    recipient = next(line.partition(": ")[2] for line in key.splitlines() if "public key" in line)
    assert ready("backup", place, "--to-age", recipient).returncode == 0
    (path,) = place.iterdir()
    assert path.name.endswith(".tar.age") and b"ada@example" not in path.read_bytes()
    assert "is encrypted" in ready("backup", "check", path).stderr
    assert ready("backup", "check", path, "--identity", "other").returncode == 65
    assert ready("backup", "check", path, "--identity", "key").returncode == 0
    done = ready("backup", place, "--to-age", "age1nonsense")
    assert done.returncode == 65 and "age does not encrypt it" in done.stderr
    assert [one.name for one in place.iterdir()] == [path.name]


def test_a_restore_puts_aside_what_was_there_and_says_what_it_is(ready, tmp_path):
    ready("backup", "one.tar")
    ready("subscriber", "add", "bob@example.org")
    before = sorted(tmp_path.iterdir())
    tried = ready("restore", "one.tar", "--dry-run")
    assert tried.returncode == 0 and sorted(tmp_path.iterdir()) == before
    done = ready("restore", "one.tar", "--yes")
    assert done.returncode == 0 and "nothing was sent since" in done.stderr
    assert "bob" not in ready("subscriber", "list").stdout
    aside = tmp_path / "digest.db.before-20261123T070000Z"
    assert str(aside.name) in done.stdout
    with sqlite3.connect(aside) as connection:
        assert connection.execute("SELECT count(*) FROM subscriber").fetchone() == (2,)
    connection.close()


def test_a_restore_in_place_of_a_damaged_or_missing_database(ready, tmp_path):
    ready("backup", "one.tar")
    path = tmp_path / "digest.db"
    path.write_bytes(b"what a dying disk leaves" * 999)
    (tmp_path / "digest.db-wal").write_bytes(b"stale")
    assert ready("restore", "one.tar", "--yes").returncode == 0
    assert "ada" in ready("subscriber", "list").stdout
    assert list(tmp_path.glob("digest.db.before-*"))
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to("elsewhere.db")
    assert ready("restore", "one.tar", "--yes").returncode == 0 and path.is_symlink()
    for one in tmp_path.glob("digest.db*"):
        if one.is_file():
            one.unlink()
    assert ready("restore", "one.tar", "--yes").returncode == 0
    assert "ada" in ready("subscriber", "list").stdout


def test_a_database_in_use_is_not_replaced(ready, tmp_path):
    ready("backup", "one.tar")
    database = open_database(f"sqlite:///{tmp_path / 'digest.db'}")
    with database.read() as session:
        assert newsletters.by_name(session)
        done = ready("restore", "one.tar", "--yes")
    assert done.returncode == 69 and "is in use" in done.stderr
    database.close()
    assert ready("restore", "one.tar", "--yes").returncode == 0


def test_all_of_a_backup_can_be_unpacked_elsewhere(ready, tmp_path):
    ready("backup", "one.tar")
    assert ready("restore", "one.tar", "--to", "there").returncode == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["digest.db", "digest.toml"]
    assert "ada" in ready("-c", "there/digest.toml", "subscriber", "list").stdout
    assert ready("restore", "one.tar", "--to", "there").returncode == 64


def test_a_backup_of_a_newer_release_or_of_something_else_is_refused(ready, tmp_path):
    with sqlite3.connect(tmp_path / "digest.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    backups.make(f"sqlite:///{tmp_path / 'digest.db'}", tmp_path / "newer.tar", material())
    done = ready("restore", "newer.tar", "--yes")
    assert done.returncode == 74 and "of a newer digest" in done.stderr
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(UserError, match="none of digest"):
        backups.make(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other.tar", material())
    assert not (tmp_path / "other.tar").exists()


def test_damage_is_found_in_the_copy_and_no_backup_is_left(box, tmp_path):
    owe(box, _config(box, tmp_path), *readers(60))
    box.close()
    path = tmp_path / "digest.db"
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 6] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(StorageError):
        backups.make(f"sqlite:///{path}", tmp_path / "one.tar", material())
    assert not list(tmp_path.glob("*one.tar*")) and not list(tmp_path.glob(".digest-backup*"))


def _config(_database: Database, folder: Path):
    from digest.config import from_values

    values = {
        "database": "digest.db",
        "secret_key": "a key for tests, long enough",
        "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}},
    }
    return from_values(values, folder / "digest.toml", environment=False)


def test_a_full_disk_leaves_no_backup(box, config, place, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_pack", full)
    with pytest.raises(StorageError, match="No space left"):
        backups.make(config.database_url, place / "one.tar", material())
    assert list(place.iterdir()) == []


def test_a_file_that_vanishes_meanwhile_is_named(box, config, place, tmp_path):
    with pytest.raises(StorageError, match=r"gone\.pem"):
        backups.make(config.database_url, place / "one.tar", material(**{"files/1/gone.pem": tmp_path / "gone.pem"}))
    assert list(place.iterdir()) == []


def test_a_backup_killed_half_way_is_cleared_by_the_next(box, config, place):
    code = (
        "import sys, time; from pathlib import Path; from datetime import datetime, UTC\n"
        "from digest.store import backups\n"
        "backups._pack = lambda *_: (print('packing', flush=True), time.sleep(600))\n"
        "backups.make(sys.argv[1], Path(sys.argv[2]), backups.Material({}, '1', datetime.now(UTC)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, config.database_url, str(place / "one.tar")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "packing\n"
    assert len(list(place.iterdir())) == 1 and not (place / "one.tar").exists()
    backups.make(config.database_url, place / "other.tar", material())  # while the first one is at work
    assert len(list(place.iterdir())) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    backups.make(config.database_url, place / "two.tar", material())
    assert sorted(path.name for path in place.iterdir()) == ["other.tar", "two.tar"]


def test_a_backup_while_letters_go_out_is_whole_and_put_back_sends_none_twice(box, configure, inbox, clock, place):
    config = configure(smtp={"url": inbox.url})
    box.witness = Witness(Journal(place / "witness"), clock=clock)
    owe(box, config, *readers(MANY))
    made: list[tuple[int, int]] = []

    def progress(told: object) -> None:
        done = getattr(told, "settled", 0)
        if len(made) < 3 and done > MANY * (len(made) + 1) // 4:
            path = place / f"{len(made)}.tar"
            backups.make(config.database_url, path, material())
            made.append((done, path.stat().st_size))

    report = send(box, config, clock, progress=progress)
    assert report.sent == MANY and len(made) == 3
    box.close()
    journal = box.witness.journal
    for number in range(3):
        with backups.opened(place / f"{number}.tar") as (manifest, folder):
            backups.place_sqlite(folder / "digest.db", Path(config.database), now=MONDAY)
        assert 0 < manifest.tick < journal.top().tick
        _go_on(config, clock, journal)
    assert inbox.recipients and len(inbox.recipients) == len(set(inbox.recipients)) == MANY


def _go_on(config, clock, journal: Journal) -> None:
    from digest.store import restores

    database = open_database(config.database_url)
    database.witness = Witness(journal, clock=clock)
    with pytest.raises(UserError, match="older than what was sent"):
        database.require_latest()
    with database.write() as session:
        standing = database.witness.standing(session)
        heard = restores.known([journal.read()], after=standing.tick)
        done = restores.accept(session, heard, standing, restores.Terms({}, clock()))
    assert done.papers[0].doubtful == 0
    database.require_latest()
    clock.pass_(hours=1)  # leases of the copy are over
    report = send(database, config, clock)
    assert report.sent == 0 and report.owed == 0
    database.close()


def test_a_postgres_database_is_backed_up_and_put_back(digest, upgraded_postgres_url, tmp_path, at):
    if not shutil.which("pg_dump"):
        pytest.skip("pg_dump is not installed")
    at(MONDAY)
    digest("init")
    text = (tmp_path / "digest.toml").read_text().replace('database = "digest.db"', "")
    (tmp_path / "digest.toml").write_text(f'database = "{upgraded_postgres_url.replace("+psycopg", "")}"\n{text}')
    assert digest("subscriber", "add", "ada@example.org").returncode == 0
    done = digest("backup", "one.tar")
    assert done.returncode == 0, done
    assert digest("backup", "check", "one.tar").returncode == 0
    digest("subscriber", "add", "bob@example.org")
    digest("subscriber", "remove", "ada@example.org")
    done = digest("restore", "one.tar", "--yes")
    assert done.returncode == 69 and "1 reader has left" in done.stderr, done
    listed = digest("subscriber", "list").stdout
    assert "ada" in listed and "bob" not in listed
    assert list(tmp_path.glob("digest.toml.before-*.dump"))
    assert digest("run").returncode == 69
    done = digest("restore", "accept", "--yes")
    assert done.returncode == 0, done
    assert "known from the witness" in digest("subscriber", "show", "ada@example.org").stdout
    with open_database(upgraded_postgres_url).read() as session:  # no number of theirs is given to anybody
        ids = "SELECT nextval(pg_get_serial_sequence('subscription', 'id'))"
        assert session.connection().exec_driver_sql(ids).scalar_one() > 1000


def test_other_machines_that_send_have_to_say_what_they_know(digest, upgraded_postgres_url, tmp_path, at):
    at(MONDAY)
    digest("init")
    text = (tmp_path / "digest.toml").read_text().replace('database = "digest.db"', "")
    text = f'database = "{upgraded_postgres_url.replace("+psycopg", "")}"\n{text}'
    for name in ("here", "there"):
        (tmp_path / f"{name}.toml").write_text(text)
    digest("-c", "here.toml", "subscriber", "add", "ada@example.org")
    digest("-c", "here.toml", "subscriber", "remove", "ada@example.org")
    digest("-c", "there.toml", "subscriber", "add", "ada@example.org", "--again")
    digest("-c", "here.toml", "subscriber", "remove", "ada@example.org")
    database = open_database(upgraded_postgres_url)
    with database.write() as session:  # as a copy of it that knows both machines
        session.connection().exec_driver_sql("UPDATE installation SET tick = 1")
    assert digest("-c", "here.toml", "run").returncode == digest("-c", "there.toml", "run").returncode == 69
    done = digest("-c", "here.toml", "restore", "accept", "--yes")
    assert done.returncode == 64 and "there.toml.witness" in done.stderr
    done = digest("-c", "here.toml", "restore", "accept", "--yes", "--witness", "there.toml.witness")
    assert done.returncode == 0, done
    assert "older" not in digest("-c", "there.toml", "deliver").stderr
    database.close()
