"""Rehearsals on SQLite: all comes out as in earnest, nothing is written, and nobody is held up."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import aged
import pytest
import sqlalchemy as sa
from conftest import MONDAY

from digest import config, edition
from digest.store import Database, open_database
from digest.store.rehearsal import GROWING
from digest.store.schema import tables as all_tables

SIZE = aged.Size()
MADE = ("newsletter", "story", "admission", "undecided", "edition", "variant_story", "outbox", "subscription", "feed")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """Of an installation with two days behind it, and entries that wait."""
    folder = tmp_path_factory.mktemp("house")
    found = config.load(aged.settings(folder))
    database = open_database(found.database_url, create=True)
    aged.build(database, found, SIZE, days=2, until=MONDAY)
    with database.write() as session:
        aged.bring(session, SIZE, day=2, at=MONDAY)
    database.checkpoint()
    database.close()
    return found


@pytest.fixture
def house(settings: config.Config, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "digest.db"
    path.write_bytes(Path(settings.database_url.removeprefix("sqlite:///")).read_bytes())
    database = open_database(f"sqlite:///{path}")
    yield database
    database.close()


def next_edition(database: Database, settings: config.Config) -> dict[str, list[tuple[object, ...]]]:
    """Make the edition of the next day; what is in the tables that this writes to."""
    now = MONDAY + timedelta(days=1)
    edition.take_in(database, "daily", settings.newsletters["daily"], settings.curate, now=now)
    edition.take_turn(database, "daily", settings, now=now)
    return rows(database, MADE) | {"variant": rows(database, ["variant"], but={"html", "text", "marks"})["variant"]}


def rows(database: Database, tables: object, but: set[str] = frozenset()) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as session:
        return {
            name: sorted(
                map(tuple, session.execute(sa.select(*(c for c in table.columns if c.name not in but))).all()), key=repr
            )
            for name, table in all_tables().tables.items()
            if name in tables
        }


def test_a_rehearsed_edition_is_the_one_that_is_made_then(house, settings):
    before = rows(house, MADE)
    with house.rehearse() as rehearsal:
        rehearsed = next_edition(rehearsal, settings)
    assert rows(house, MADE) == before
    assert len(rehearsed["story"]) > len(before["story"]) and len(rehearsed["outbox"]) > len(before["outbox"])
    assert rehearsed == next_edition(house, settings)


def test_a_rehearsal_writes_nothing_and_holds_up_nobody(house, settings):
    path = Path(house.engine.url.database or "")
    beside = sqlite3.connect(path, timeout=0, isolation_level=None)
    beside.execute("PRAGMA journal_mode = WAL")
    log = path.with_name("digest.db-wal")

    def state() -> tuple[object, ...]:
        files = [hashlib.sha256(file.read_bytes()).digest() if file.exists() else b"" for file in (path, log)]
        return (*files, *beside.execute("PRAGMA data_version").fetchone())

    before = state()
    with house.rehearse() as rehearsal:
        next_edition(rehearsal, settings)
        assert state() == before
        beside.execute("BEGIN IMMEDIATE")  # without patience: it would fail if it had to wait
        beside.execute("UPDATE newsletter SET note = 'written beside'")
        beside.execute("COMMIT")
        with rehearsal.read() as session:
            assert session.execute(sa.text("SELECT note FROM newsletter")).scalar() == ""
    with house.read() as session:
        assert session.execute(sa.text("SELECT note FROM newsletter")).scalar() == "written beside"
    beside.close()


# What the product says to tables that grow, in all its forms: on a copy of the database and on the rehearsed one it has
# to come to the same.
STATEMENTS = [
    "UPDATE entry SET title = title || ' again' WHERE id % 3 = 0",
    "UPDATE entry SET title = title || ' and again', points = 3 WHERE id IN (3, 4) RETURNING id, title",
    "DELETE FROM entry WHERE id IN (5, 6)",
    "INSERT INTO entry SELECT NULL, feed_id, key || '+', twin, url, original_url, title, author, summary, content, "
    "categories, language, image_url, enclosures, published_at, updated_at, seen_at, content_hash, gist, fault, guid, "
    "text_hash, changed_at, withdrawn_at, points FROM entry WHERE id < 4",
    "DELETE FROM entry WHERE id = (SELECT max(id) FROM entry)",
    "INSERT INTO admission (newsletter_id, entry_id, decision, reason, link, decided_at) "
    "SELECT 1, id, 'held', '', '', seen_at FROM entry WHERE true ON CONFLICT DO NOTHING RETURNING entry_id",
    "INSERT INTO admission (newsletter_id, entry_id, decision, reason, link, decided_at) "
    "SELECT 1, id, 'held', 'met', '', seen_at FROM entry WHERE true "
    "ON CONFLICT (newsletter_id, entry_id) DO UPDATE SET reason = admission.reason || '!'",
    "INSERT INTO admission (newsletter_id, entry_id, decision, reason, link, decided_at) "
    "VALUES (1, 1, 'held', '', '', '')",
    "UPDATE outbox SET state = 'owed', settled_at = NULL, attempts = attempts + 1 "
    "WHERE state = 'sent' RETURNING id, attempts",
    "UPDATE outbox SET code = new.code FROM (SELECT 1 AS letter, 421 AS code UNION SELECT 2, 250) AS new WHERE "
    "outbox.id = new.letter AND outbox.attempts = 2",
    "WITH due AS (SELECT id FROM outbox WHERE settled_at IS NULL ORDER BY id LIMIT 2) "
    "UPDATE outbox SET state = 'claimed' "
    "WHERE id IN (SELECT id FROM due) RETURNING id",
    "INSERT INTO outbox (edition_id, variant_id, subscriber_id, state, due_at, attempts, created_at, code, reply, "
    "in_doubt) SELECT edition_id, variant_id, subscriber_id, state, due_at, 0, created_at, 0, '', 0 FROM outbox "
    "WHERE id = 1 ON CONFLICT DO NOTHING",
    "DELETE FROM subscriber WHERE id IN (1, 2)",
    "DELETE FROM story WHERE seq > (SELECT max(upto_seq) FROM edition) OR id = 1",
    "DELETE FROM edition WHERE id = 1",
    "DELETE FROM feed WHERE id = 2",
    "UPDATE feed SET title = 'Another' WHERE id = 3",
]


def test_what_is_said_to_a_rehearsal_comes_to_the_same_as_in_earnest(house):
    with house.rehearse() as rehearsal, house.copied() as copy:
        for statement in STATEMENTS:
            told = [said(database, statement) for database in (rehearsal, copy)]
            assert told[0] == told[1], statement
            tables = [rows(database, all_tables().tables) for database in (rehearsal, copy)]
            differ = {name for name, found in tables[0].items() if found != tables[1][name]}
            assert not differ, statement


def said(database: Database, statement: str) -> tuple[object, ...]:
    """What a statement gives back: rows and their number, or that it is refused, and leaves nothing."""
    try:
        with database.write() as session:
            result = session.connection().exec_driver_sql(statement)
            found = sorted(map(tuple, result.fetchall())) if result.returns_rows else []
            return (found, None if result.returns_rows else result.rowcount)
    except sa.exc.IntegrityError:
        return ("refused",)


def test_the_tables_that_grow_are_tables(house):
    with house.read() as session:
        assert set(sa.inspect(session.connection()).get_table_names()) >= GROWING
