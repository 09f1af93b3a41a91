from __future__ import annotations

import importlib
import os
import pkgutil
import re
import runpy
import shutil
import sqlite3
import stat
import sys
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config as Alembic
from alembic.migration import MigrationContext
from alembic.operations import Operations
from conftest import MONDAY, on_sqlite
from sqlmodel import SQLModel, select

from digest import edition, store, subscribe
from digest.column_types import UtcTime
from digest.errors import DigestError, NotFound, StorageError, TryAgain
from digest.models import Edition, Feed, Newsletter, NewsletterFeed, OutboxRow, Subscriber, Subscription, Variant
from digest.store import database as store_database
from digest.store import (
    editions,
    feed_claims,
    feeds,
    filling,
    hosts,
    newsletters,
    outbox,
    people,
    refused,
)
from digest.store.database import head, open_database, revision
from digest.store.feed_claims import Among
from digest.store.schema import tables as all_tables

pytestmark = pytest.mark.usefixtures("really_upgraded")


def names(database) -> list[str]:
    with database.read() as session:
        return sorted(session.exec(select(Newsletter.name)))


def test_the_migrations_make_what_the_models_say(database):
    with database.read() as session:
        index_of_words = {"include_name": lambda name, kind, parents: not (name or "").startswith("archive_index")}
        context = MigrationContext.configure(session.connection(), opts=index_of_words)
        assert compare_metadata(context, all_tables()) == []
        assert revision(session.connection()) == head()


def test_a_file_of_tables_imports_those_that_its_own_refer_to():
    """Where these are not known no row is written: a process that imported less than this one would see it first."""
    tables = all_tables().tables.values()
    home = {mapper.local_table.name: mapper.class_.__module__ for mapper in SQLModel._sa_registry.mappers}
    for table in tables:
        source = Path(sys.modules[home[table.name]].__file__).read_text(encoding="utf-8")
        for key in table.foreign_keys:
            there = home[key.target_fullname.partition(".")[0]]
            known = there in ("digest.models", home[table.name])  # `digest.store` imports the former
            assert known or re.search(rf"^(?:import|from) {there}\b", source, re.MULTILINE), (table.name, there)


def test_every_revision_follows_the_one_before(database):
    versions = sorted((store_database.MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert [p.name[:4] for p in versions] == [f"{n:04}" for n in range(1, len(versions) + 1)]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path) -> str:
    """Where a database may be made, of each kind."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'digest.db'}"


def make_as_of(number: str, url: str, rows: str) -> None:
    """Make a database as the release that ended with revision `number` had it, with these rows."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        settings = Alembic()
        settings.set_main_option("script_location", str(store_database.MIGRATIONS))
        settings.attributes["connection"] = connection
        alembic.command.upgrade(settings, number)
        for statement in rows.split(";"):
            connection.execute(sa.text(statement), {"at": "2026-11-22 06:00:00+00:00"})
    engine.dispose()


def test_feeds_are_claimed_by_turns_and_what_hosts_said_is_kept(url):
    opened = open_database(url, create=True)
    with opened.write() as session:
        for name, asked in (("a", 2), ("b", None), ("c", 3), ("d", 1)):
            checked = MONDAY - timedelta(hours=9) + timedelta(hours=asked) if asked else None
            about = {"added_at": MONDAY, "next_at": MONDAY - timedelta(hours=1), "checked_at": checked}
            session.add(Feed(url=f"https://{name}.example/", host=f"{name}.example", answered_by="x.example", **about))
        for seconds in (30.0, 60.0):
            hosts.keep(session, [hosts.Record(name, MONDAY, seconds, said_at=MONDAY) for name in "ba"])
    due = {"now": MONDAY, "limit": 2, "lease": timedelta(minutes=9), "asked_before": MONDAY}
    with opened.write() as session:
        assert [(record.name, record.pace_seconds) for record in hosts.records(session, now=MONDAY)] == [
            ("a", 60.0),
            ("b", 60.0),
        ]
        hosts.forget(session, now=MONDAY + timedelta(days=2))
        assert hosts.records(session, now=MONDAY) == []
        assert feed_claims.claim(session, **due, among=Among(not_of=["x.example"])) == []
        feed_claims.hold_host(session, "x.example", until=MONDAY - timedelta(minutes=1))
        assert [feed.host[0] for feed in feed_claims.claim(session, **due, among=Among(not_those=[1]))] == [
            "b",
            "d",
        ]
        assert [feed.host[0] for feed in feed_claims.claim(session, **due, among=Among(not_of=["a.example"]))] == ["c"]
    opened.close()


# A table that nobody has imported is in no metadata, and what is compared with it would be right for the wrong reason.
for _module in pkgutil.iter_modules(store.__path__, "digest.store."):
    importlib.import_module(_module.name)

INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' "
    "AND indexname <> 'archive_index'",  # made by a migration, of no model
}


def schema(connection: sa.Connection) -> dict[str, object]:
    """All that a database says about its tables, in no order."""
    look, kind = sa.inspect(connection), connection.dialect.name
    found: dict[str, object] = {"indexes": sorted(connection.execute(sa.text(INDEXES[kind])).scalars())}
    for table in all_tables().tables:
        columns = sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(table))
        rules = [look.get_pk_constraint(table), *look.get_foreign_keys(table), *look.get_check_constraints(table)]
        rules += look.get_unique_constraints(table)
        found[table] = columns, sorted(str(sorted(rule.items(), key=str)) for rule in rules)
        if kind == "sqlite":
            made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = :t"), {"t": table}).scalar()
            found[f"{table} keeps its numbers"] = "AUTOINCREMENT" in str(made)
    return found


def test_migrations_leave_the_tables_that_the_models_make(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        all_tables().create_all(connection)
        wanted = schema(connection)
        all_tables().drop_all(connection)
    engine.dispose()
    make_as_of("0002", url, PREVIOUS)
    opened = open_database(url)
    with opened.read() as session:
        assert schema(session.connection()) == wanted
    opened.close()


def test_what_waits_and_what_has_ended_is_found_by_the_upgrade(url):
    entry = (
        "INSERT INTO entry (id, feed_id, key, twin, url, original_url, title, author, summary, content, categories, "
        "language, image_url, enclosures, seen_at, content_hash) "
        "VALUES ({0}, 1, 'k{0}', '', '', '', '', '', '', '', '[]', '', '', '[]', :at, '')"
    )
    rows = [
        PREVIOUS.rstrip(),
        "UPDATE outbox SET settled_at = :at",
        *(entry.format(number) for number in (90, 91)),
        "INSERT INTO admission (newsletter_id, entry_id, decision, reason, link, decided_at) "
        "VALUES (1, 90, 'held', '', '', :at)",
    ]
    make_as_of("0002", url, ";".join(rows))
    opened = open_database(url)
    with opened.read() as session:
        waits = session.execute(sa.text("SELECT newsletter_id, entry_id FROM undecided WHERE entry_id >= 90"))
        assert waits.all() == [(1, 91)]
        assert session.get(Feed, 1).entry_count >= 2
        assert session.get(Edition, 1).tally == {"sent": 1, "in_doubt": 0, "owed": 1}
    opened.close()


@pytest.mark.parametrize("state", ["owed", "sent"])
def test_what_was_tried_before_the_upgrade_and_may_go_out_again_keeps_the_date_that_it_had(url, state):
    tried = f"UPDATE outbox SET attempts = 1, state = '{state}'"
    make_as_of("0002", url, ";".join([PREVIOUS.rstrip(), tried]))
    opened = open_database(url)
    with opened.read() as session:
        moments = session.execute(sa.select(OutboxRow.dated_at, Edition.composed_at).join(Edition)).all()
        assert moments and all(at == (composed if state == "owed" else None) for at, composed in moments)
    opened.close()


def test_a_database_of_the_first_release_keeps_its_rows(url):
    make_as_of("0001", url, PREVIOUS)
    opened = open_database(url)
    with opened.read() as session:
        assert revision(session.connection()) == head()
        subscription = session.exec(select(Subscription)).one()
        assert (subscription.state, subscription.topics, subscription.read_until) == ("active", ["world"], 7)
        assert (subscription.cadence, subscription.hour, subscription.zone) == ("", None, "")
        assert not subscription.plain and subscription.offered_at is None
        feed = session.exec(select(Feed)).one()
        assert (feed.title, feed.published_title) == ("Quorum", "Quorum")
        assert session.exec(select(NewsletterFeed.places)).one() == []
        variant = session.exec(select(Variant)).one()
        assert (variant.subject, variant.html, variant.text) == ("Seven", "<p>sëven</p>", "x^seven")
        assert variant.left_out == [[9, "full"]]
        assert session.exec(select(OutboxRow.state)).one() == "sent"
    numbers = set()
    for _again in range(2):
        with opened.write() as session:
            person, paper = session.exec(select(Subscriber)).one(), newsletters.find(session, "daily")
            session.delete(people.subscription(session, person, paper))
            session.flush()
            numbers.add(people.subscribe(session, person, paper, consent="test", now=MONDAY).id)
    assert len(numbers) == 2, "links are signed for a subscription's number"
    opened.close()


PREVIOUS = """
INSERT INTO newsletter (id, name, seq, edition_number, slot_at, note) VALUES (1, 'daily', 7, 1, :at, '');
INSERT INTO feed (id, url, host, title, site_url, language, state, added_at, headers, former_urls, moved_to, etag,
  last_modified, body_hash, next_at, ttl_seconds, skip, gap_seconds, ok_at, failures, error, told)
  VALUES (1, 'https://q.example/', 'q.example', 'Quorum', '', '', 'active', :at, '{}', '[]', '', '', '', '', :at, 0,
  '[]', 0, :at, 0, '', '');
INSERT INTO newsletter_feed (newsletter_id, feed_id, topic, folder, added_at) VALUES (1, 1, '', '', :at);
INSERT INTO subscriber (id, email, key, name, tags, created_at)
  VALUES (1, 'Ada@example.org', 'ada@example.org', 'Ada', '["x"]', :at);
INSERT INTO subscription (id, subscriber_id, newsletter_id, state, topics, read_until, consent, created_at, changed_at)
  VALUES (1, 1, 1, 'active', '["world"]', 7, 'test', :at, :at);
INSERT INTO edition (id, newsletter_id, number, composed_at, upto_seq, note, state, state_reason, sender, reply_to)
  VALUES (1, 1, 1, :at, 7, '', 'open', '', 'news@news.example', '');
INSERT INTO variant
  (id, edition_id, key, since_seq, topics, subject, html, text, story_count, more_count, left_out, letters)
  VALUES (1, 1, 'k', 0, '["world"]', 'Seven', '<p>sëven</p>', 'x^seven', 7, 0, '[[9, "full"]]', 1);
INSERT INTO outbox
  (id, edition_id, variant_id, subscriber_id, subscription_id, state, due_at, attempts, created_at, code, reply,
  in_doubt)
  VALUES (1, 1, 1, 1, 1, 'sent', :at, 1, :at, 250, 'OK', false)
"""


def test_letters_of_the_previous_release_stay_as_they_are_and_keep_their_numbers(url):
    states = ("owed", "claimed", "sending", "refused", "dropped", "held")
    people = ", ".join(f"({n}, 'r{n}@e.org', 'r{n}@e.org', '', '[]', :at)" for n in range(2, 8))
    letters = ", ".join(
        f"({n}, 1, 1, {n}, '{state}', :at, {n}, :at, {n}, '', {n % 2 == 0})" for n, state in enumerate(states, start=2)
    )
    make_as_of(
        "0002",
        url,
        f"{PREVIOUS}; INSERT INTO subscriber (id, email, key, name, tags, created_at) VALUES {people};"
        "INSERT INTO outbox (id, edition_id, variant_id, subscriber_id, state, due_at, attempts, created_at, code, "
        f"reply, in_doubt) VALUES {letters};"
        "INSERT INTO notice (id, key, email, address, name, sender, subject, text, html, created_at) "
        "VALUES (1, 'k', 'r2@e.org', 'r2@e.org', '', 's', 's', 't', '', :at);"
        "INSERT INTO outbox (id, notice_id, state, due_at, attempts, created_at, code, reply, in_doubt) "
        "VALUES (40, 1, 'owed', :at, 0, :at, 0, '', false);"
        "INSERT INTO notice (id, key, email, address, name, sender, subject, text, html, subscription_id, created_at) "
        "VALUES (2, 'm', 'Ada@example.org', 'ada@example.org', '', 's', 's', 't', '', 1, :at);"
        "INSERT INTO outbox (id, notice_id, state, due_at, attempts, created_at, code, reply, in_doubt) "
        "VALUES (39, 2, 'owed', :at, 0, :at, 0, '', false)",
    )
    everything = sa.text("SELECT * FROM outbox ORDER BY id")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        before = connection.execute(everything).all()
    engine.dispose()
    opened = open_database(url)
    with opened.read() as session:
        after = session.connection().execute(everything).all()
        assert [row[: len(before[0])] for row in after] == before
        assert len(before) == 9
        assert [row.newsletter_id for row in after[-2:]] == [1, None], "a mail about a newsletter goes by its relays"
    with opened.write() as session:
        if opened.engine.dialect.name == "postgresql":  # which counts only those that it numbered itself
            session.connection().execute(sa.text("SELECT setval('outbox_id_seq', 40)"))
        subscribe.erase(session, "r2@e.org", secret="a key for tests, long enough", now=MONDAY)  # its notice goes
        notice = outbox.NewNotice(to="r3@e.org", sender="News <news@news.example>", subject="s", text="t")
        outbox.owe_notice(session, notice, key="l", now=MONDAY)
        session.flush()
        assert max(session.exec(select(OutboxRow.id)).all()) > 40, "what bounces to 40 is not about this letter"
        with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
            session.connection().execute(sa.update(OutboxRow).values(notice_id=None, edition_id=None))
    opened.close()


def test_two_may_open_a_new_database_at_once(tmp_path):
    url, errors = f"sqlite:///{tmp_path / 'digest.db'}", []

    def open_it() -> None:
        try:
            open_database(url, create=True).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_does_not_fit_is_not_half_stored(database):
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        session.add(Newsletter(name="weekly", slot_at=MONDAY))
        session.flush()
        session.add(Newsletter(name="daily", slot_at=MONDAY))
        session.flush()
    assert names(database) == ["daily"]


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02 06:00:00",
        "2026-03-02T06:00:00.000000",
        "2026-03-02 07:00:00+01:00",
        "2026-03-02T06:00:00Z",
        "2026-03-02 01:00:00-05:00",
        "2026-03-02 06",
        "2026-03-02",
    ],
)
@on_sqlite
def test_a_time_that_another_program_wrote_is_read(database, written):
    with database.write() as session:
        session.execute(sa.text("UPDATE newsletter SET slot_at = :written"), {"written": written})
    with database.read() as session:
        found = session.exec(select(Newsletter.slot_at)).first()
    hour = 6 if written[10:] else 0  # a day begins at its midnight
    assert (found, found.tzinfo) == (datetime(2026, 3, 2, hour, tzinfo=UTC), UTC)


def test_a_naive_time_does_not_get_in(database):
    naive = MONDAY.replace(tzinfo=None)
    with pytest.raises(sa.exc.StatementError, match="naive datetime"), database.write() as session:
        session.add(Newsletter(name="weekly", slot_at=naive))


def test_times_come_back_in_utc(database):
    with database.read() as session:
        assert newsletters.find(session, "daily").slot_at == MONDAY


def test_rows_filled_in_at_once_are_stored_as_their_columns_have_them(database):
    columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("at", UtcTime), sa.Column("name", sa.String)
    table = sa.Table("filled_in", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
    rows = [{"id": 1, "at": MONDAY, "name": "one"}, {"id": 2, "at": None, "name": "two"}]
    with database.read() as session:
        table.create(session.connection())
        filling.fill(session, table, rows)
        filling.fill(session, table, [])
        asked = sa.select(table).where(sa.or_(table.c.at == MONDAY, table.c.at.is_(None))).order_by(table.c.id)
        assert [dict(row) for row in session.connection().execute(asked).mappings()] == rows
        table.drop(session.connection())


def test_a_rehearsal_sees_everything_and_leaves_nothing(database):
    with database.rehearse() as rehearsal:
        newsletters.keep(rehearsal, ["daily", "weekly"], now=MONDAY)
        assert names(rehearsal) == ["daily", "weekly"]
        with pytest.raises(ZeroDivisionError), rehearsal.write() as session:
            session.add(Newsletter(name="yearly", slot_at=MONDAY))
            session.flush()
            _ = 1 / 0
        assert names(rehearsal) == ["daily", "weekly"]
    assert names(database) == ["daily"]


def test_a_path_may_have_any_characters(tmp_path):
    path = tmp_path / "100% #1 ä" / "digest.db"
    database = open_database(f"sqlite:///{path}", create=True)
    newsletters.keep(database, ["daily"], now=MONDAY)
    with database.rehearse() as copy:
        assert names(copy) == ["daily"]
    database.close()


def test_two_that_wait_for_each_other_are_told_to_try_again(postgres_url):
    database = open_database(postgres_url, create=True)
    newsletters.keep(database, ["one", "two"], now=MONDAY)
    both_hold_theirs = threading.Barrier(2)
    told: list[Exception] = []

    def lock(first, second):
        try:
            with database.write() as session:
                newsletters.lock(session, first)
                both_hold_theirs.wait()
                newsletters.lock(session, second)
        except DigestError as error:
            told.append(error)

    other = threading.Thread(target=lock, args=("two", "one"))
    other.start()
    lock("one", "two")
    other.join()
    database.close()
    (error,) = told
    assert isinstance(error, TryAgain) and "waited for each other" in str(error)


@pytest.mark.parametrize(("host", "kept"), [("one.example", {"Authorization": "secret"}), ("two.example", {})])
def test_a_feeds_secret_stays_with_the_host_it_was_given_to(database, host, kept):
    with database.write() as session:
        secret = {"Authorization": "secret"}
        feed = Feed(url="https://one.example/a", host="one.example", headers=secret, added_at=MONDAY, next_at=MONDAY)
        session.add(feed)
        session.flush()
        feeds.move(session, feed.id, url=f"https://{host}/b", host=host, now=MONDAY)
    with database.read() as session:
        moved = feeds.find(session, "https://one.example/a")
        assert (moved.url, moved.headers) == (f"https://{host}/b", kept)


@pytest.mark.parametrize("number", [2**40, 2**70])
def test_a_number_beyond_all_numbers_is_not_found(database, number):
    with suppress(NotFound), database.read() as session:
        assert editions.row(session, "daily", number) is None
    with pytest.raises(NotFound), database.read() as session:
        edition.find(session, "daily", number)


def test_only_the_owner_reads_the_database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True)
    newsletters.keep(opened, ["daily"], now=MONDAY)
    for path in tmp_path.glob("digest.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    opened.close()


def test_a_missing_database_is_not_made_by_accident(tmp_path):
    with pytest.raises(NotFound, match="there is no database"):
        open_database(f"sqlite:///{tmp_path / 'no.db'}")
    assert not (tmp_path / "no.db").exists()


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "digest.db"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StorageError, match="is not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("Dear diary")


def test_a_locked_database_is_told_in_words(tmp_path, monkeypatch):
    path = tmp_path / "digest.db"
    open_database(f"sqlite:///{path}", create=True).close()
    monkeypatch.setattr("digest.store.sqlite_file.BUSY_MS", 50)
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    opened = open_database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="locked by another program"), opened.write() as session:
        session.connection()
    other.close()
    opened.close()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
def test_a_full_disk_is_told_in_words_and_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=2m none {disk} 2>/dev/null") != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        opened = open_database(f"sqlite:///{disk / 'digest.db'}", create=True)
        newsletters.keep(opened, ["daily"], now=MONDAY)
        with pytest.raises(StorageError, match="disk is full"), opened.write() as session:
            for n in range(100):
                session.add(Newsletter(name=f"{n}" * 20_000, slot_at=MONDAY))
                session.flush()
        assert names(opened) == ["daily"]
        opened.close()
    finally:
        os.system(f"umount {disk}")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql+psycopg://ada:secret@db.example/news", "db.example:5432/news"),
        ("postgresql+psycopg://db.example:6000/news", "db.example:6000/news"),
        ("postgresql+psycopg://ada@/news?host=/run/postgresql&port=6000", "/run/postgresql:6000/news"),
        ("postgresql+psycopg:///news?host=a.example&host=b.example", "a.example,b.example:5432/news"),
        ("postgresql+psycopg:///news", "news"),
    ],
)
def test_where_a_database_is_can_be_read_however_its_url_says_it(url, where):
    assert refused.place(sa.make_url(url)) == where


def test_a_server_that_does_not_answer_is_told_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(StorageError, match="does not answer") as caught:
        open_database("postgresql+psycopg://digest:sesame@127.0.0.1:1/digest")
    assert "sesame" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("holding", ["a statement", "a cursor that is not read to its end"])
def test_an_interrupt_in_a_connection_of_its_own_leaves_no_lock_behind(database, holding):
    class Interrupt(BaseException):
        """As Ctrl-C, or a task that is cancelled."""

    def strike(*_: object) -> None:
        raise Interrupt

    def work() -> None:
        with database.pinned() as alone, alone.write() as session:
            rows = session.connection().exec_driver_sql("SELECT 1 UNION SELECT 2") if "cursor" in holding else None
            session.connection().exec_driver_sql("DELETE FROM feed")
            sa.event.listen(database.engine, "before_cursor_execute", strike)
            session.connection().exec_driver_sql("SELECT 3")
            assert rows

    with pytest.raises(Interrupt) as found:  # whose traceback refers to all that was open
        work()
    sa.event.remove(database.engine, "before_cursor_execute", strike)
    if database.engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(database.engine.url.database, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
    with database.write() as session:
        session.execute(sa.text("DELETE FROM feed"))
    assert found.tb


@on_sqlite
def test_a_connection_of_ones_own_takes_the_write_lock_before_it_reads(database):
    """Else what it has read is out of date when it writes, and SQLite refuses that at once, without waiting."""
    with database.pinned() as alone:
        with alone.read() as session:
            newsletters.find(session, "daily")
        with alone.write() as session:
            newsletters.find(session, "daily")  # nothing is written yet
            other = sqlite3.connect(database.engine.url.database, timeout=0)
            with closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")


@pytest.mark.long
@pytest.mark.parametrize(("most", "kind"), [(1 << 30, "bigint"), (-1, "integer")])
def test_an_upgrade_writes_no_large_table_anew_for_longer_numbers(postgres_url, most, kind):
    (path,) = (store_database.MIGRATIONS / "versions").glob("*_for_many_letters.py")
    module = runpy.run_path(str(path))
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        alembic.command.upgrade(store_database.alembic_settings(connection), module["down_revision"])
        module["upgrade"].__globals__["MOST"] = most
        with Operations.context(MigrationContext.configure(connection)):
            module["upgrade"]()
        look = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = '{}'::regclass AND attname = '{}'"
        columns = (("outbox", "id"), ("mail_report", "outbox_id"), ("letter_roll", "last_id"))
        assert {connection.exec_driver_sql(look.format(*one)).scalar() for one in columns} == {kind}
        said = connection.exec_driver_sql("SELECT reloptions FROM pg_class WHERE relname = 'outbox'").scalar()
        assert "autovacuum_vacuum_scale_factor=0.02" in said
    engine.dispose()
