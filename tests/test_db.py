"""The database as a whole: copied to another place, upgraded, looked through."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dying
import postgres
import pytest
import releases
import sqlalchemy as sa
from conftest import MONDAY
from dying import killed
from typer.testing import CliRunner

from digest.cli import app
from digest.errors import BadInput, ConfigError, StorageError, TryAgain, Unavailable, UserError
from digest.store import backups, copied_rows, copies, newsletters, open_database, schema, soundness, upgrades, witness
from digest.store import database as store_database
from digest.store.copied_rows import Shape
from digest.store.database import Database, head
from digest.store.journal import Journal
from digest.store.witness import Witness

pytestmark = pytest.mark.usefixtures("really_upgraded")

ROWS = 3  # in each table


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path) -> str:
    """Where a database may be made, of each kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'digest.db'}"


@pytest.fixture
def ready_postgres(postgres_server, upgraded_postgres, request) -> Iterator[str]:
    """A PostgreSQL database with all tables and nothing in them."""
    with postgres.fresh(postgres_server, request.node.nodeid, template=upgraded_postgres) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def ready(request, tmp_path) -> str:
    """Such a database of each kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("ready_postgres"))
    return copy_of(request.getfixturevalue("upgraded_sqlite"), tmp_path / "ready.db")


def copy_of(path: Path, to: Path) -> str:
    shutil.copy(path, to)
    return f"sqlite:///{to}"


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def as_made(monkeypatch) -> None:
    """The tables are those of the migrations: to look through them costs more than most tests here."""
    monkeypatch.setattr(schema, "drift", lambda _connection: [])


@pytest.fixture
def full(tmp_path, upgraded_sqlite, as_made) -> str:
    """A SQLite database with rows in every table, of all sorts."""
    path = tmp_path / "full.db"
    shutil.copy(upgraded_sqlite, path)
    with closing(sqlite3.connect(path)) as connection:
        for table in schema.tables().sorted_tables:
            for number in range(1, ROWS + 1) if table.name != "installation" else ():
                row = releases.invented(table, number) | ODD.get((table.name, number), {})
                names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
                values = [f"{v:%Y-%m-%d %H:%M:%S.%f}" if hasattr(v, "hour") else v for v in row.values()]
                connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)
        connection.execute("UPDATE sqlite_sequence SET seq = 900 WHERE name = 'outbox'")  # of one that is gone
        connection.execute("UPDATE installation SET tick = 41")
        connection.commit()
    return f"sqlite:///{path}"


# What SQLite lets in, and what is at the ends of what columns hold.
ODD: dict[tuple[str, int], dict[str, Any]] = {
    ("tally", 1): {"total": 2**62},
    ("tally", 2): {"total": -(2**63)},
    ("feed", 1): {"gap_seconds": 2**31 - 1, "skip": "[]", "weight": 1e300, "evidence": "12", "headers": '{"a":1e2}'},
    ("feed", 2): {"weight": -0.0, "settle_minutes": 5e-324, "evidence": '{"\\u0000": 0.10}', "window": " [ ]"},
    ("feed", 3): {"added_at": "2026-11-22 06:00:00+00:00", "next_at": "9999-12-31 23:59:59.999999", "told": "\n\t\r"},
    ("variant", 1): {"html": "<p>as text, of an old release</p>", "text": b"x\x9c", "left_out": b""},
    ("entry", 2): {"content": "\\N \\. \ttab", "gist": b"\\x00", "title": "\ufeff\u2028\U0010ffff"},
}


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that is in a database, as both engines have it."""
    found = {}
    opened = open_database(url, upgrade=False)
    with opened.read() as session:
        for table in schema.tables().sorted_tables:
            shape = Shape.of(table, to="sqlite", both=False)
            found[table.name] = [row for lot in copied_rows.read(opened, session.connection(), shape) for row in lot]
    opened.close()
    del found["installation"]
    return found


def ends(source: str, target: str, tmp_path: Path) -> copies.Ends:
    return copies.Ends(source, target, tmp_path / "one.witness", tmp_path / "two.witness")


def copy(source: str, target: str, tmp_path: Path, **more: Any) -> copies.Copied:
    return copies.copy(ends(source, target, tmp_path), now=MONDAY, **more)


# ---------------------------------------------------------------- copies


def test_a_copy_to_postgresql_and_back_is_the_same_installation_row_by_row(full, postgres_url, tmp_path):
    back = f"sqlite:///{tmp_path / 'back.db'}"  # neither is there yet
    was = rows_of(full)
    dry = copy(full, postgres_url, tmp_path, dry_run=True)
    assert sum(dry.tables.values()) == sum(map(len, was.values())) == ROWS * len(was)
    assert not Journal(tmp_path / "one.witness").files(), "a rehearsal tells nobody"
    done = copy(full, postgres_url, tmp_path)
    assert done.tables == dry.tables and done.written == sum(dry.tables.values())
    assert rows_of(postgres_url) == was
    again = copies.copy(
        copies.Ends(postgres_url, back, tmp_path / "two.witness", tmp_path / "three.witness"), now=MONDAY
    )
    assert again.witness == str(tmp_path / "three.witness")
    assert rows_of(back) == was
    with closing(sqlite3.connect(file_of(full))) as one, closing(sqlite3.connect(file_of(back))) as other:
        for query in ("SELECT id, witnesses FROM installation", "SELECT name, seq FROM sqlite_sequence ORDER BY 1"):
            assert one.execute(query).fetchall() == other.execute(query).fetchall()
        # JSON is the text that it was, and no release reads what is compressed otherwise.
        for table, column in (("feed", "headers"), ("feed", "evidence"), ("feed", "window"), ("variant", "text")):
            query = f"SELECT {column} FROM {table} ORDER BY id"
            assert [str(v) for v in one.execute(query)] == [
                str(v).replace("'12'", "12") for v in other.execute(query)
            ], column
        assert other.execute("SELECT tick, moved_to, copying FROM installation").fetchone() == (43, "", "")
    opened = open_database(back)
    assert list(soundness.flaws(opened)) == []
    opened.witness = Witness(Journal(tmp_path / "three.witness"), clock=lambda: MONDAY)
    opened.require_latest()
    opened.close()
    opened = open_database(postgres_url, upgrade=False)
    with opened.read() as session:
        numbers = {table.name: soundness.last_number(session.connection(), table) for table in soundness.numbered()}
    opened.close()
    assert numbers["outbox"] == 900 and numbers["feed"] == ROWS


def test_what_postgresql_has_no_room_for_is_told_or_named(full, ready_postgres, tmp_path):
    postgres_url = ready_postgres
    with closing(sqlite3.connect(file_of(full))) as connection:
        connection.execute("UPDATE entry SET title = 'a' || char(0) || 'b' WHERE id = 2")
        connection.execute("UPDATE feed SET gap_seconds = 3000000000 WHERE id = 2")
        connection.commit()
        with pytest.raises(BadInput, match=r"^feed \(id 2\): gap_seconds: 3,000,000,000 is more"):
            copy(full, postgres_url, tmp_path)
        connection.execute("UPDATE feed SET gap_seconds = 'often' WHERE id = 2")
        connection.commit()
        with pytest.raises(BadInput, match=r"^feed \(id 2\): gap_seconds: 'often' is no whole number"):
            copy(full, postgres_url, tmp_path, dry_run=True)
        connection.execute("UPDATE feed SET gap_seconds = 0, headers = '{\"a\": NaN}' WHERE id = 2")
        connection.commit()
        with pytest.raises(BadInput, match=r"rows of feed do not fit in there: invalid input syntax for type json"):
            copy(full, postgres_url, tmp_path)
        connection.execute("UPDATE feed SET headers = '{}' WHERE id = 2")
        connection.commit()
    assert copy(full, postgres_url, tmp_path).mended == 1
    assert rows_of(postgres_url)["entry"][1][6] == "a\N{REPLACEMENT CHARACTER}b"


def test_a_copy_to_another_file_keeps_every_character(full, tmp_path):
    with closing(sqlite3.connect(file_of(full))) as connection:
        connection.execute("UPDATE entry SET title = 'a' || char(0) || 'b' WHERE id = 2")
        connection.commit()
    was = rows_of(full)
    target = tmp_path / "new" / "digest.db"
    assert copy(full, f"sqlite:///{target}", tmp_path).mended == 0
    assert rows_of(f"sqlite:///{target}") == was
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_a_copy_that_was_killed_goes_on_and_nothing_is_sent_from_half_of_it(full, ready, tmp_path):
    url = ready
    killed(dying.copying, full, url, tmp_path, MONDAY, "write", 50)
    with pytest.raises(Unavailable, match=r"to be a copy of sqlite:///.*full\.db, and is not done"):
        open_database(url)
    open_database(full).close()  # goes on as if nothing had been
    begun = rows_of(url)
    assert sum(map(len, begun.values())) == 49 and len(begun["feed"]) == ROWS
    with closing(sqlite3.connect(file_of(full))) as connection:  # and so it changes, also where it was copied
        connection.execute("UPDATE feed SET title = 'another' WHERE id = 2")
        connection.execute("DELETE FROM tally WHERE total = ?", (2**62,))
        connection.commit()
    now = rows_of(full)
    done = copy(full, url, tmp_path)
    assert rows_of(url) == now
    assert done.written < sum(map(len, now.values())), "what was there and is the same is not written again"


@pytest.mark.long
def test_a_copy_killed_between_the_two_leaves_none_to_send_from(full, ready, tmp_path):
    url, was = ready, rows_of(full)
    killed(dying.copying, full, url, tmp_path, MONDAY, "finish" if url.startswith("sqlite") else "_witness", 1)
    with pytest.raises(ConfigError, match="was moved to"):
        open_database(full)
    with pytest.raises(Unavailable, match="is not done"):
        open_database(url)
    done = copy(full, url, tmp_path)
    assert done.written == 0 and rows_of(url) == was
    assert copy(full, url, tmp_path).done_before
    opened = open_database(url)
    with opened.read() as session:
        assert session.execute(sa.text("SELECT tick FROM installation")).scalar() == 42
    opened.close()
    assert Journal(tmp_path / "two.witness").top() == Journal(tmp_path / "one.witness").top()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_source_that_changes_meanwhile_is_not_moved_and_the_same_command_takes_the_rest(
    kind, full, tmp_path, request
):
    target = copy_of(request.getfixturevalue("upgraded_sqlite"), tmp_path / "target.db")
    if kind == "postgres":
        url = request.getfixturevalue("ready_postgres")
        copy(full, url, tmp_path)
        full = url
    writing = []

    def somebody(done: int, of: int, table: str) -> None:
        if not writing:
            opened = open_database(full)
            writing.append(newsletters.keep(opened, ["new"], now=MONDAY))
            opened.close()

    with pytest.raises(TryAgain, match=r"changed while it was copied \(newsletter\): nothing was moved"):
        copy(full, target, tmp_path, progress=somebody)
    open_database(full).close()
    with pytest.raises(Unavailable):
        open_database(target)
    copy(full, target, tmp_path)
    assert len(rows_of(target)["newsletter"]) == ROWS + 1


def test_a_database_with_letters_under_way_is_not_moved(full, tmp_path):
    target = f"sqlite:///{tmp_path / 'target.db'}"
    with closing(sqlite3.connect(file_of(full))) as connection:
        say = (
            "UPDATE outbox SET state = 'sending', settled_at = NULL, due_at = '2026-11-23 07:10:00.000000' WHERE id = 1"
        )
        connection.execute(say)
        connection.commit()
    with pytest.raises(TryAgain, match=r"1 letters .* in hand"):
        copy(full, target, tmp_path)
    copies.copy(ends(full, target, tmp_path), now=MONDAY.replace(hour=8))  # its sender is dead by then


def test_of_two_that_copy_at_once_the_second_finds_it_done(full, tmp_path, upgraded_sqlite, monkeypatch):
    target = copy_of(upgraded_sqlite, tmp_path / "target.db")
    turn, first = copies._turn, []

    @contextmanager
    def behind_another(database: Database) -> Iterator[None]:
        if not first:
            first.append(True)
            copy(full, target, tmp_path)
            with closing(sqlite3.connect(file_of(target))) as connection:  # and it is at work already
                connection.execute("UPDATE feed SET title = 'of today' WHERE id = 1")
                connection.commit()
        with turn(database):
            yield

    monkeypatch.setattr(copies, "_turn", behind_another)
    assert copy(full, target, tmp_path).done_before
    assert "of today" in rows_of(target)["feed"][0]
    open_database(target).close()


def test_what_is_no_empty_target_or_no_sound_source_is_refused(full, tmp_path, upgraded_sqlite):
    def refused(kind: type[UserError], words: str, source: str = full, target: str = "") -> None:
        with pytest.raises(kind, match=words):
            copy(source, target or f"sqlite:///{tmp_path / 'no.db'}", tmp_path)

    other, link = tmp_path / "other.db", tmp_path / "link.db"
    link.symlink_to(file_of(full))
    refused(UserError, "onto itself", target=f"sqlite:///{link}")
    shutil.copy(file_of(full), other)
    refused(BadInput, r"other\.db is not empty", target=f"sqlite:///{other}")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE wares (name)")
    refused(BadInput, r"shop\.db is not empty", target=f"sqlite:///{tmp_path / 'shop.db'}")
    shutil.copy(upgraded_sqlite, tmp_path / "begun.db")
    with closing(sqlite3.connect(tmp_path / "begun.db")) as connection:
        connection.execute("""UPDATE installation SET copying = '{"from": "there", "installation": "1"}'""")
        connection.commit()
    refused(BadInput, "is a copy of there that was begun", target=f"sqlite:///{tmp_path / 'begun.db'}")
    refused(Unavailable, "is to be a copy itself", source=f"sqlite:///{tmp_path / 'begun.db'}")
    copy(f"sqlite:///{other}", copy_of(upgraded_sqlite, tmp_path / "there.db"), tmp_path)
    refused(ConfigError, r"was moved to sqlite:///.*there\.db", source=f"sqlite:///{other}")
    with closing(sqlite3.connect(file_of(full))) as connection:
        connection.execute("UPDATE entry SET feed_id = 77 WHERE id = 1")
        connection.commit()
    refused(UserError, "1 row of entry belong to no feed")
    assert not (tmp_path / "no.db").exists()


def test_the_witness_of_the_target_that_knows_of_more_is_not_put_aside(full, tmp_path, upgraded_sqlite):
    target = copy_of(upgraded_sqlite, tmp_path / "target.db")
    with closing(sqlite3.connect(file_of(full))) as connection:
        (installation,) = connection.execute("SELECT id FROM installation").fetchone()
    Journal(tmp_path / "two.witness").append([{"k": "known", "t": 99}], installation=installation, at=MONDAY)
    with pytest.raises(StorageError, match="knows of more than"):
        copy(full, target, tmp_path)
    shutil.rmtree(tmp_path / "two.witness")
    copy(full, target, tmp_path)


def test_a_sender_at_work_on_a_database_that_is_moved_stops(box, config, clock, tmp_path, upgraded_sqlite):
    box.witness = Witness(Journal(tmp_path / "one.witness"), clock=clock)
    box.require_latest()
    copy(config.database_url, copy_of(upgraded_sqlite, tmp_path / "target.db"), tmp_path)
    with pytest.raises(ConfigError, match="was moved to"), box.write() as session:
        witness.note_left(session, "unsubscribed", subscriptions="1")
    with pytest.raises(ConfigError, match="was moved to"):  # nor is anything else stored that would be lost
        newsletters.keep(box, ["another"], now=MONDAY)
    with pytest.raises(ConfigError, match="was moved to"):
        box.require_latest()


@pytest.mark.long
def test_by_the_command_an_installation_moves_and_the_old_place_is_at_rest(digest, tmp_path, at, as_made):
    at(MONDAY)
    digest("init")
    digest("subscriber", "add", "ada@example.org")
    digest("subscriber", "add", "bob@example.org")
    digest("backup", "old.tar")
    digest("subscriber", "remove", "bob@example.org")
    assert digest("db", "copy", "digest.db", "new.db", "--dry-run").returncode == 0
    assert not (tmp_path / "new.db").exists()
    done = digest("db", "copy", "digest.db", "new.db", "--json")
    assert done.returncode == 0 and f'"witness": "{tmp_path}/new.db.witness"' in done.stdout, done
    done = digest("run")
    assert done.returncode == 78 and f"moved to sqlite:///{tmp_path}/new.db" in done.stderr, done
    assert digest("doctor", "--offline", "--only", "database").returncode != 0
    # A copy of before, put back in the old place, does not send either.
    assert digest("restore", "old.tar", "--yes").returncode == 69
    (aside,) = tmp_path.glob("digest.db.before-*[0-9]Z")
    aside.replace(tmp_path / "digest.db")
    settings = (tmp_path / "digest.toml").read_text()
    (tmp_path / "digest.toml").write_text(settings.replace('"digest.db"', '"new.db"'))
    assert digest("status").returncode == 0
    assert "unsubscribed" in digest("subscriber", "show", "bob@example.org").stdout
    (tmp_path / "digest.toml").write_text(settings)
    assert digest("db", "unmove", "--yes").returncode == 0
    assert digest("status").returncode == 0


# ---------------------------------------------------------------- upgrades


def of_release(name: str, url: str) -> dict[str, list[dict[str, Any]]]:
    """Make a database of a release; all that is in it."""
    releases.load(name, url)
    return raw_rows(url)


def raw_rows(url: str) -> dict[str, list[dict[str, Any]]]:
    engine = sa.create_engine(url)
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for table in sorted(sa.inspect(connection).get_table_names()):
            wanted = schema.tables().tables.get(table)
            if wanted is None:
                continue
            shape = Shape.of(wanted, to="sqlite", both=False)
            forms = dict(zip(wanted.columns.keys(), shape.forms, strict=True))
            rows = connection.execute(sa.select(sa.text("*")).select_from(sa.text(f'"{table}"'))).mappings()
            found[table] = [
                {name: None if value is None else forms[name](value) for name, value in row.items()} for row in rows
            ]
            found[table].sort(key=repr)
    engine.dispose()
    return found


def survives(before: dict[str, list[dict[str, Any]]], url: str) -> None:
    """Every row, and every value of it, is what it was."""
    after = raw_rows(url)
    for name, rows in before.items():
        assert len(after[name]) == len(rows), name
        for old, new in zip(rows, after[name], strict=True):
            assert {key: new[key] for key in old} == old, name


def test_releases_has_the_one_that_is_out_and_the_last_one_before_this():
    assert {"0.1.0", "2026-11"} <= set(releases.NAMES)


@dataclass
class Old:
    """An installation whose database is of an older release."""

    digest: Callable[..., Any]
    folder: Path

    @property
    def revision(self) -> str:
        with closing(sqlite3.connect(self.folder / "digest.db")) as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])

    @property
    def backups(self) -> list[Path]:
        return sorted((self.folder / "digest.db.upgrades").glob("*.tar"))


@pytest.fixture(scope="module")
def begun_settings(begun_as_copies, tmp_path_factory) -> str:
    """What `digest init` writes."""
    folder = tmp_path_factory.mktemp("begun")
    done = CliRunner().invoke(app, ["-c", str(folder), "init"])
    assert done.exit_code == 0, done.output
    return (folder / "digest.toml").read_text()


@pytest.fixture
def old(digest, begun_settings, tmp_path, at) -> Old:
    at(MONDAY)
    (tmp_path / "digest.toml").write_text(begun_settings)
    releases.load("2026-11", f"sqlite:///{tmp_path / 'digest.db'}")
    return Old(digest, tmp_path)


def test_any_command_backs_the_database_up_before_it_upgrades_it(old, tmp_path):
    looked = old.digest("db", "upgrade", "--dry-run")
    assert looked.returncode == 0 and "Know a database that was copied elsewhere" in looked.stdout, looked
    assert old.digest("db", "check").returncode == 69 and old.revision == "0025"
    done = old.digest("subscriber", "list")
    assert done.returncode == 0 and old.revision == head()
    (path,) = old.backups
    assert f"digest restore {path}" in done.stderr
    with backups.opened(path) as (manifest, _folder):
        assert manifest.revision == "0025" and "digest.toml" in manifest.files
    assert "backup" not in old.digest("status").stderr
    old.digest("restore", path, "--yes")
    assert len(old.backups) == 2, "what was put back was upgraded, too, and backed up before"


@pytest.mark.long
def test_where_a_backup_cannot_be_made_nothing_is_upgraded(old, monkeypatch):
    monkeypatch.setattr(upgrades.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    for command in (("status",), ("db", "upgrade")):
        done = old.digest(*command)
        assert done.returncode == 74 and "--no-backup" in done.stderr and "more are needed" in done.stderr, done
        assert old.revision == "0025" and old.backups == []
    done = old.digest("db", "upgrade", "--no-backup", "--json")
    assert done.returncode == 0 and '"backup": null' in done.stdout and old.revision == head()
    assert old.digest("db", "upgrade").returncode == 0


def test_a_database_in_which_nothing_is_needs_no_backup_and_old_ones_go(old, tmp_path):
    folder = tmp_path / "elsewhere"
    text = (tmp_path / "digest.toml").read_text()
    (tmp_path / "digest.toml").write_text(f'{text}\n[keep]\nupgrade_folder = "elsewhere"\nupgrade_backups = 1\n')
    with closing(sqlite3.connect(tmp_path / "digest.db")) as connection:
        full = (tmp_path / "digest.db").read_bytes()
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if name not in ("alembic_version", "installation"):
                connection.execute(f"DELETE FROM {name}")
        connection.commit()
    assert old.digest("status").returncode in (0, 78) and not folder.exists()
    (tmp_path / "digest.db").write_bytes(full)
    folder.mkdir()
    (folder / "digest-backup-20201123T070000Z.tar").touch()
    (folder / "mine.tar").touch()
    assert old.digest("db", "upgrade").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["digest-backup-20261123T070000Z.tar", "mine.tar"]


@pytest.mark.long
def test_on_postgresql_pg_dump_makes_the_backup_or_is_asked_for(digest, postgres_url, tmp_path, at, monkeypatch):
    at(MONDAY)
    digest("init")
    text = (tmp_path / "digest.toml").read_text().replace('database = "digest.db"', "")
    (tmp_path / "digest.toml").write_text(f'database = "{postgres_url.replace("+psycopg", "")}"\n{text}')
    before = of_release("2026-11", postgres_url)
    looked = digest("db", "upgrade", "--dry-run")
    assert looked.returncode == 0 and "0027" in looked.stdout, looked
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        done = digest("status")
        assert done.returncode == 74 and "pg_dump is not installed" in done.stderr, done
    if not shutil.which("pg_dump"):
        pytest.skip("pg_dump is not installed")
    assert digest("db", "upgrade").returncode == 0
    (path,) = (tmp_path / "digest.toml.upgrades").iterdir()
    assert backups.verify(path).revision == "0025"
    survives(before, postgres_url)


@pytest.mark.parametrize("name", releases.NAMES)
def test_a_database_of_every_release_is_upgraded_and_keeps_all_that_is_in_it_after_a_kill_too(url, name):
    before = of_release(name, url)
    assert len(before) > 15 and all(before.values())
    killed(dying.upgrading, url, KILLED_AT.get(name, 2))
    assert raw_rows(url) == before, "it happens wholly or not at all"
    opened = open_database(url)
    assert list(soundness.flaws(opened)) == []
    opened.close()
    survives(before, url)


KILLED_AT = {"0.1.0": 30}  # statements; one that has as many is killed in the midst of them


def test_of_two_that_upgrade_at_once_one_does_and_the_other_waits(url):
    before = of_release("2026-11", url)
    made: list[str] = []
    errors: list[Exception] = []
    both = threading.Barrier(2)

    def back_up(_database: Database, found: str) -> None:
        made.append(found)

    def open_it() -> None:
        try:
            both.wait()
            open_database(url, before=back_up).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, errors) == (["0025"], [])
    survives(before, url)


def test_one_that_never_comes_to_an_end_is_not_waited_for_for_ever(url, monkeypatch):
    of_release("2026-11", url)
    monkeypatch.setattr(store_database, "PATIENCE", 0.0)
    opened = open_database(url, upgrade=False)
    with store_database._turn(opened), pytest.raises(TryAgain, match="another process upgrades"):
        open_database(url)
    opened.close()


@pytest.mark.parametrize(
    ("found", "words"), [("0999", "of a newer digest"), ("ae1027a6acf", "of no release of digest")]
)
def test_tables_that_this_release_does_not_know_are_left_alone(old, found, words, tmp_path):
    with closing(sqlite3.connect(tmp_path / "digest.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (found,))
        connection.commit()
    for command in (
        ("status",),
        ("db", "upgrade"),
        ("db", "check"),
        ("db", "unmove"),
        ("db", "copy", "digest.db", "b"),
    ):
        done = old.digest(*command)
        assert done.returncode == 74 and words in done.stdout + done.stderr, (command, done)
    assert old.revision == found and old.backups == []


def test_doctor_names_the_command_that_upgrades(old):
    done = old.digest("doctor", "--offline", "--only", "database")
    assert "digest db upgrade" in done.stdout and old.revision == "0025", done


# ---------------------------------------------------------------- looking through


# What is done to a database, what is said of it, and whether --mend mends it.
SPOILT = {
    "DROP INDEX ix_feed_host": ("the index ix_feed_host of feed is missing", True),
    "DROP INDEX ix_outbox_due; CREATE INDEX ix_outbox_due ON outbox (edition_id, due_at, variant_id, id)": (
        "the index ix_outbox_due of outbox has all rows, and should have some",
        True,
    ),
    "ALTER TABLE entry DROP COLUMN points": ("the column entry.points is missing", False),
    "DROP TABLE tally": ("the table tally is missing", False),
    "ALTER TABLE entry ADD COLUMN mine TEXT": ("the column entry.mine is there besides: not of digest", False),
    "CREATE TABLE mine (a INTEGER)": ("the table mine is there besides: not of digest", False),
    "DELETE FROM installation": ("it does not say whose it is: `installation` has no row", False),
}


def test_what_is_not_as_it_should_be_is_named_and_what_can_be_is_mended(ready):
    opened = open_database(ready)
    with opened.write() as session:
        for statements in SPOILT:
            for statement in statements.split(";"):
                session.connection().exec_driver_sql(statement)
    found = {flaw.what: flaw for flaw in soundness.flaws(opened)}
    assert found.keys() == {words for words, _ in SPOILT.values()}
    for words, mended in SPOILT.values():
        assert soundness.mend(opened, found[words]) is mended
        assert bool(found[words].exit_code) is not words.endswith("not of digest")
    left = {flaw.what for flaw in soundness.flaws(opened)}
    assert left == {words for words, mended in SPOILT.values() if not mended}
    opened.close()


def test_numbers_that_would_be_given_twice_are_named_and_mended(ready, as_made):
    opened = open_database(ready)
    with opened.write() as session:
        connection = session.connection()
        connection.execute(sa.insert(schema.tables().tables["mail_report"]), [releases.invented(_MAIL, 1) | NOBODYS])
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = 0")
    (flaw,) = soundness.flaws(opened)
    assert flaw.what == "the next number of mail_report is 1, and numbers up to 1 are taken"
    assert soundness.mend(opened, flaw) and list(soundness.flaws(opened)) == []
    opened.close()


def test_letters_whose_numbers_come_to_an_end_are_told_of(upgraded_postgres_url):
    """As in a database that was too large to be written anew by an upgrade."""
    opened = open_database(upgraded_postgres_url)
    with opened.write() as session:
        connection = session.connection()
        connection.exec_driver_sql("ALTER TABLE outbox ALTER COLUMN id TYPE integer")
        connection.exec_driver_sql("ALTER SEQUENCE outbox_id_seq AS integer")
    assert list(soundness.flaws(opened)) == []
    with opened.write() as session:
        soundness.set_last_number(session.connection(), schema.tables().tables["outbox"], 1_500_000_000)
    (flaw,) = soundness.flaws(opened)
    assert flaw.what.startswith("letters are numbered up to 2,147,483,647, and 1,500,000,000 is given")
    with opened.write() as session:
        for statement in re.findall(
            r"^ALTER .*;$", (Path(__file__).parent.parent / "docs" / "scaling.md").read_text(), re.M
        ):
            session.connection().exec_driver_sql(statement)
    assert list(soundness.flaws(opened)) == []
    opened.close()


_MAIL = schema.tables().tables["mail_report"]
NOBODYS = {**dict.fromkeys(("outbox_id", "edition_id", "subscriber_id", "subscription_id")), "before": None}


def test_damage_and_rows_that_belong_to_nothing_have_codes_of_their_own(digest, full, tmp_path, at):
    at(MONDAY)
    digest("init")
    path = tmp_path / "digest.db"
    shutil.copy(file_of(full), path)
    assert digest("db", "check").returncode == 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE entry SET feed_id = 77 WHERE id = 1")
        connection.execute("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'outbox'")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    done = digest("db", "check", "--mend", "--json")
    assert done.returncode == 65 and '"mended": ["the next number of outbox' in done.stdout, done
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\xff" * 4096 + content[len(content) // 2 + 4096 :])
    done = digest("db", "check")
    assert done.returncode == 74 and "damaged" in done.stdout + done.stderr, done
    path.write_text("Dear diary, " * 1000)
    done = digest("db", "check")
    assert done.returncode == 74 and "is not a database" in done.stdout + done.stderr, done
