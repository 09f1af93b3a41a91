"""What a run and each command cost follows from what is new, at any age: counted in statements and steps of SQLite."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aged
import pytest
import sqlalchemy as sa
from conftest import MONDAY

from digest import config
from digest.edition.compose import turns_of
from digest.models import Edition, Feed, NewsletterFeed, OutboxRow, OutboxState, Subscription, Variant
from digest.schedule import Turn
from digest.store import (
    edition_states,
    editions,
    entries,
    feeds,
    healing,
    letters,
    looking,
    newsletters,
    open_database,
    recipients,
    schema,
    stories,
    tallies,
    undecided,
    why,
)
from digest.store.story_tables import Admission, Decision, Entry

DAYS, TIMES = 2, 4
SIZE = aged.Size()
READER = "reader1@mail1.example.org"
LINK = "https://f1.example/1-0-0"
# What grows with the rows that a list shows has a bound for them.
COMMANDS = [
    "status",
    "audit",
    "history",
    "metrics",
    "clock",
    "doctor --offline",
    "story list --limit 3",
    "story list --waiting",
    "feed list",
    "feed list --health",
    "feed show 1",
    "edition list --limit 2",
    "edition show 1",
    "outbox list --limit 5",
    "outbox list --limit 5 --state refused",
    "outbox list --in-doubt",
    "outbox show 1",
    "subscriber list",
    "mail list",
    f"why {LINK}",
    f"why 1 --subscriber {READER}",
    "newsletter list",
    "alerts list",
    "run",
]
AHEAD = ["preview --check", "send-test you@example.org --dry-run", "run --dry-run"]
# Steps that each edition more may cost, where a command looks at all editions; a row costs about as many.
OF_AN_EDITION = 40
BIG = {"entry", "admission", "outbox", "variant"}
# Indexes of a few of all rows: these are what is to be gone through.
PARTIAL = {
    index.name
    for table in schema.tables().tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two installations with the same days behind them, one of them ten times as old."""
    young, old = (tmp_path_factory.mktemp(name) for name in ("young", "old"))
    settings = config.load(aged.settings(young))
    database = open_database(settings.database_url, create=True)
    aged.build(database, settings, SIZE, days=DAYS, until=datetime.now(UTC))
    database.checkpoint()
    database.close()
    for path in young.iterdir():
        shutil.copy(path, old)
    for folder, times in ((young, TIMES), (old, 10 * TIMES)):
        aged.age(folder / "digest.db", days=DAYS, times=times)
        aged.type_in(folder, "run")  # the first of a day looks through more, and puts down what it learnt
    return young, old


@pytest.fixture(scope="module")
def awaiting(houses: tuple[Path, Path]) -> tuple[Path, Path]:
    """The same, and one day's entries wait."""
    for folder in houses:
        database = open_database(f"sqlite:///{folder / 'digest.db'}")
        with database.write() as session:
            aged.bring(session, SIZE, day=1_000, at=datetime.now(UTC))
        database.close()
    return houses


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_costs_does_not_grow_with_the_years(houses, command):
    costs_the_same(houses, command)


@pytest.mark.parametrize("command", AHEAD)
def test_what_it_costs_to_look_ahead_does_not_grow_with_the_years(awaiting, command, monkeypatch):
    # What topics are learnt from is bounded, far above what is here.
    monkeypatch.setattr(entries.labelled, "__kwdefaults__", {"per_feed": 4, "limit": 20})
    costs_the_same(awaiting, command)


def test_who_is_due_is_found_without_the_letters_of_years(houses, tmp_path):
    # A day on: a slot is due, for readers who chose days and hours, and have had letters, or came back since.
    chosen = {"daily": 7, "weekdays": 9, "weekly mon": None, "weekly wed": 7, "monthly 1": None, "monthly last fri": 9}
    steps = []
    for number, folder in enumerate(houses):
        copy = tmp_path / f"{number}"
        shutil.copytree(folder, copy)
        with closing(sqlite3.connect(copy / "digest.db")) as changed:
            for place, (cadence, hour) in enumerate(chosen.items()):
                values = (cadence, hour, len(chosen), place)
                changed.execute("UPDATE subscription SET cadence = ?, hour = ? WHERE id % ? = ?", values)
            changed.execute("UPDATE subscription SET offered_at = NULL WHERE id > 6")
            changed.commit()
        settings = config.load(copy / "digest.toml")
        with aged.counted() as cost:
            database = open_database(settings.database_url)
            later = datetime.now(UTC) + timedelta(days=1)
            with database.read() as session:
                row = newsletters.find(session, "daily")
                turns = turns_of(session, row, settings.newsletters["daily"], now=later)
                assert len(turns) == len(chosen)
                with recipients.laid_out(session, row.id, turns):
                    groups = recipients.due_groups(session, row.id)
            database.close()
        assert groups
        steps.append(sum(steps for said, steps in cost.by.items() if "FROM subscription" in said))
    young, old = steps
    assert old <= 1.1 * young + 100, steps


def test_the_first_run_of_a_day_looks_through_no_table_that_grows(houses, tmp_path):
    shutil.copytree(houses[1], tmp_path, dirs_exist_ok=True)
    settings = config.load(tmp_path / "digest.toml")
    with aged.counted(explain=True) as cost:
        database = open_database(settings.database_url)
        healing.heal(database, healing.Scene.of(settings), now=datetime.now(UTC) + timedelta(days=1))
        database.close()
    assert any("FROM story" in said for said in cost.asked)
    assert not {scan for scan in cost.scans if scan.split()[1] in {*BIG, "story"} and not PARTIAL & set(scan.split())}


def costs_the_same(houses: tuple[Path, Path], command: str) -> None:
    costs = []
    for folder in houses:
        with aged.counted(explain=True) as cost:
            aged.type_in(folder, *command.split())
        costs.append(cost)
    young, old = costs
    assert young.statements > 3
    assert old.statements <= 1.2 * young.statements + 2, old.asked - young.asked
    assert not {scan for scan in old.scans if scan.split()[1] in BIG and not PARTIAL & set(scan.split())}
    if command.startswith("doctor"):
        return  # it reads the whole file, to see whether it is sound
    grown = {one: (young.by[one], steps) for one, steps in old.by.items() if steps > young.by[one] + 100}
    assert old.steps <= 1.1 * young.steps + OF_AN_EDITION * DAYS * 9 * TIMES, grown


def test_postgres_finds_what_is_asked_of_old_rows_by_an_index(upgraded_postgres_url, tmp_path):
    settings = config.load(aged.settings(tmp_path))
    database = open_database(upgraded_postgres_url, create=True)
    aged.build(database, settings, SIZE, days=1, until=MONDAY)
    asked: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_more: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    with database.read() as session:
        paper = newsletters.find(session, "daily").id
        list(entries.waiting(session, paper, settle=None, now=MONDAY))
        entries.labelled(session, paper)
        stories.told_lately(session, paper, since=MONDAY, links=[LINK], believed=MONDAY)
        edition_states.accounts(session)
        editions.letter_counts(session)
        editions.lines(session)
        feeds.held_counts(session)
        feeds.held_count(session, 1)
        letters.left_of_each(session, now=MONDAY)
        letters.lines(session, state=OutboxState.REFUSED)
        letters.lines(session, in_doubt=True)
        looking.stuck(session, now=MONDAY)
        why.entries_at(session, paper, LINK)
    sa.event.remove(database.engine, "before_cursor_execute", note)
    with database.read() as session:
        connection = session.connection()
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # few rows are here: all would be read through
        for statement, values in asked:
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values)]
            assert not [line for line in plan if any(f"Seq Scan on {table}" in line for table in BIG)], plan
    assert len(asked) > 15
    database.close()


# ---------------------------------------------------------------- what is kept apart stays true


@pytest.mark.parametrize("counted_by", ["this release", "the one before", "nobody"])
def test_who_had_a_letter_since_is_told_by_its_own_moment_however_old_its_edition(database, counted_by):
    """Of an edition that was held for long, or a letter owed again: what is remembered of editions bounds it."""
    chance = random.Random(1)
    paper, readers, hours = 1, range(1, 9), ("daily", 7, "")
    aged.begin(database, aged.Size(readers=len(readers)), at=MONDAY - timedelta(days=99))
    letters = []
    with database.write() as session:
        session.execute(sa.update(Subscription).values(cadence=hours[0], hour=hours[1], offered_at=None))
        for number in range(1, 11):
            made = {"composed_at": MONDAY - timedelta(days=60 - number), "title": "", "sender": "a@b.example"}
            session.add(Edition(id=number, newsletter_id=paper, number=number, upto_seq=0, **made))
            session.flush()
            counts = {"since_seq": 0, "story_count": 0, "more_count": 0}
            texts = {"key": "k", "subject": "", "html": "", "text": "", "marks": ""}
            session.add(Variant(id=number, edition_id=number, **texts, **counts))
            session.flush()
            for reader in chance.sample(readers, 3):
                due = MONDAY - timedelta(days=chance.choice([60 - number, 20, 3, 1]))
                state = chance.choice([OutboxState.SENT, OutboxState.SENT, OutboxState.REFUSED, OutboxState.DROPPED])
                tried = due if state is not OutboxState.DROPPED and chance.random() < 0.7 else None
                if tried:
                    due -= timedelta(days=30)
                about = {"due_at": due, "tried_at": tried, "settled_at": MONDAY, "created_at": made["composed_at"]}
                whose = {"subscriber_id": reader, "subscription_id": reader, "edition_id": number, "variant_id": number}
                session.add(OutboxRow(**whose, **about, state=state))
                if state is not OutboxState.DROPPED:
                    letters.append((reader, number, tried or due))
        session.flush()
        for _ in range(3):
            if counted_by != "nobody":
                tallies.count(session, now=MONDAY)
        assert (session.scalar(sa.select(sa.func.count(Edition.last_at))) == 10) is (counted_by != "nobody")
        if counted_by == "the one before":
            session.execute(sa.update(Edition).values(last_at=None))
    for back in (0, 1, 2, 5, 25, 55, 70):
        moment = MONDAY - timedelta(days=back)
        for but in (None, 10, 4):
            turn = Turn(MONDAY, MONDAY, day=moment)
            with database.read() as session:
                edition = session.get(Edition, but) if but else None
                with recipients.laid_out(session, paper, {hours: [turn]}):
                    due = sum(group.readers for group in recipients.due_groups(session, paper, edition=edition))
            had = {reader for reader, number, at in letters if at >= moment and number != but}
            assert due == len(readers) - len(had), (back, but)
    if counted_by == "the one before":
        with database.write() as session:
            tallies.count(session, now=MONDAY)
            assert session.scalar(sa.select(sa.func.count(Edition.last_at))) == 10


@pytest.fixture
def house(houses: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the young one, to be changed."""
    for path in houses[0].iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


def test_the_audit_tells_ended_editions_as_counted_and_in_full_finds_what_was_changed_since(house):
    with closing(sqlite3.connect(house / "digest.db")) as database:
        counted = dict(database.execute("SELECT number, json_extract(tally, '$.sent') FROM edition"))
        rows = (
            "SELECT e.number, count(*) FROM outbox AS o JOIN edition AS e ON e.id = o.edition_id WHERE o.state = 'sent'"
        )
        assert counted == dict(database.execute(f"{rows} GROUP BY e.number")) and None not in counted.values()
        before = aged.type_in(house, "audit")
        assert before == aged.type_in(house, "audit", "--full")
        database.execute("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)")
        database.commit()
    assert aged.type_in(house, "audit") == before
    assert aged.type_in(house, "audit", "--full") != before


def test_a_letter_that_is_owed_again_is_counted_where_it_is(house):
    database = open_database(f"sqlite:///{house / 'digest.db'}")
    now = datetime.now(UTC)
    with database.write() as session:
        letter = session.exec(sa.select(OutboxRow.id).where(OutboxRow.state == OutboxState.REFUSED)).scalars().first()
        before = editions.letter_counts(session)
        letters.owe_again(session, letter_ids=[letter], states=[OutboxState.REFUSED], now=now)
        assert editions.letter_counts(session) == before | {"refused": before["refused"] - 1, "owed": 1}
        tallies.count(session, now=now)
        assert editions.letter_counts(session)["owed"] == 1
    with database.write() as session:
        aged.send_all(session, now=now)
        tallies.count(session, now=now)
        assert None not in session.scalars(sa.select(Edition.tally)).all()
        assert editions.letter_counts(session) == before
    database.close()


def test_what_waits_is_what_nobody_decided_about_whatever_happened_before(database):
    """By the rows of `Undecided`, and as it is by definition: entries of the newsletter's feeds without a decision."""
    newsletters.keep(database, ["daily", "weekly"], now=MONDAY)
    with database.write() as session:
        paper, other = (newsletters.find(session, name).id for name in ("daily", "weekly"))
        for number in (1, 2):
            url = f"https://f{number}.example/feed"
            session.add(Feed(id=number, url=url, title=url, added_at=MONDAY, next_at=MONDAY))
        session.flush()

    def check(*expected: int) -> None:
        for newsletter, waits in zip((paper, other), expected, strict=True):
            found = {entry.id for entry in entries.waiting(session, newsletter, settle=None, now=MONDAY)}
            reads = sa.select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter)
            decided = sa.select(Admission.entry_id).where(Admission.newsletter_id == newsletter)
            query = sa.select(Entry.id).where(Entry.feed_id.in_(reads), Entry.id.not_in(decided))
            assert found == set(session.scalars(query)) and len(found) == waits

    def decide(newsletter: int, *ids: int) -> None:
        rows = [{"entry_id": id_, "decision": Decision.HELD, "decided_at": MONDAY} for id_ in ids]
        stories.add_admissions(
            session, [{"newsletter_id": newsletter, "reason": "", "link": "", **row} for row in rows]
        )

    with database.write() as session:
        feeds.read(session, paper, 1, topic="", folder="", now=MONDAY)
        aged.bring(session, aged.Size(feeds=2, entries=6), day=1, at=MONDAY)
        check(3, 0)
        feeds.add_readings(session, other, [{"feed_id": 1, "topic": "", "folder": "", "places": []}], now=MONDAY)
        feeds.read(session, other, 2, topic="", folder="", now=MONDAY)
        check(3, 6)
        first, second, third = (entry.id for entry in entries.waiting(session, paper, settle=None, now=MONDAY))
        decide(paper, first, second)
        decide(other, third)
        check(1, 5)
        feeds.stop_reading(session, 1, newsletter_id=paper)
        check(0, 5)
        aged.bring(session, aged.Size(feeds=2, entries=6), day=2, at=MONDAY)
        check(0, 11)
        feeds.read(session, paper, 1, topic="", folder="", now=MONDAY)
        check(4, 11)
        undecided.taken_back(session, Admission.entry_id == first)
        check(5, 11)
        feeds.hand_over(session, 1, 2, now=MONDAY)
        check(6, 6)
        session.add(Entry(feed_id=2, key="by hand", seen_at=MONDAY))
        session.flush()
        check(7, 7)
