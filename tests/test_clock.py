"""Clocks: one that was wrong once, one that is wrong now, and two machines that do not agree."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, on_sqlite
from mailing import notice, owe, send, tallied
from people import enrol
from sqlmodel import Session, SQLModel, col, select
from starlette.testclient import TestClient

from digest import edition, sign, subscribe
from digest.config import Config
from digest.deliver.content import Contents
from digest.deliver.ledger import Batch, Ledger
from digest.deliver.papers import Papers
from digest.demo.site import FeedSite
from digest.models import (
    Edition,
    EditionState,
    Feed,
    Host,
    Newsletter,
    OutboxRow,
    OutboxState,
    RelayHour,
    Subscription,
    SubscriptionState,
    UtcTime,
    Variant,
)
from digest.store import (
    Database,
    clock,
    edition_states,
    feed_claims,
    feeds,
    healing,
    letters,
    newsletters,
    outbox,
    refusals,
    relays,
)
from digest.store import clock as room
from digest.store.alert_tables import AlertRow, AlertTelling
from digest.store.api_tables import ApiAnswer, ApiKey, Webhook, WebhookEvent
from digest.store.consent_tables import Consent
from digest.store.database import shared_now
from digest.store.feed_tables import FeedSeen, FullText, Robots, WebSub
from digest.store.import_tables import Arrival, ImportChange, ListImport
from digest.store.mail_tables import MailReport, MailSource
from digest.store.picture_tables import EntryPicture, PictureFile
from digest.store.run_tables import Run, RunDay
from digest.store.schema import tables as all_tables
from digest.store.signup_tables import SignupMail, SignupRefusal, SignupWait
from digest.store.story_tables import Admission, Decision, Entry, Story
from digest.store.summary_tables import Summary
from digest.subscribe import Evidence, signup
from digest.web import application

LEAP = timedelta(days=400)
DAILY = {"title": "Daily", "from": "Daily <news@news.example>", "schedule": "daily 07:00"}
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def heal(database: Database, config: Config, now: datetime) -> dict[str, int]:
    return dict(healing.heal(database, healing.Scene.of(config), now=now))


def set_all(database: Database, column: str, value: datetime | None) -> None:
    table, _, name = column.partition(".")
    with database.write() as session:
        session.execute(sa.update(all_tables().tables[table]).values({name: value}))


def ran(database: Database, *days: datetime) -> None:
    with database.write() as session:
        for day in days:
            room.note_day(session, now=day)


def one(database: Database, what: type) -> SQLModel:
    with database.read() as session:
        return session.exec(select(what)).one()


@pytest.fixture
def server(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of a PostgreSQL, which machines may differ from."""
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: clock() - now)
    return clock


# ---------------------------------------------------------------- whatever was stored

TIMES = sorted(
    str(column)
    for table in all_tables().tables.values()
    for column in table.columns
    if isinstance(column.type, UtcTime)
)


def fill(database: Database, config: Config) -> None:
    """A row in each table that knows a moment, all of them right."""
    owe(database, config, "ada@example.org", "bob@example.org")
    notice(database, "cyd@example.org")
    with database.write() as session:
        session.execute(sa.update(Edition).values(last_at=MONDAY))
        paper = newsletters.lock(session, "daily")
        paper.seq += 1
        feed = Feed(
            url="https://feeds.example/a",
            added_at=MONDAY,
            next_at=MONDAY,
            claimed_at=MONDAY,
            entry_at=MONDAY,
            checked_at=MONDAY,
            ok_at=MONDAY,
            failing_since=MONDAY,
        )
        session.add(feed)
        session.flush()
        feeds.read(session, paper.id, feed.id, topic="", folder="", now=MONDAY)
        entry = Entry(feed_id=feed.id, key="a", seen_at=MONDAY, published_at=MONDAY, updated_at=MONDAY)
        entry.changed_at = entry.withdrawn_at = MONDAY
        session.add(entry)
        session.flush()
        story = {"url": "https://feeds.example/1", "title": "One", "source": "A", "topic": "other"}
        row = story | {"id": 1, "newsletter_id": paper.id, "seq": 1, "entry_id": entry.id}
        session.add(Story(**row, published_at=MONDAY, admitted_at=MONDAY))
        session.add(FullText(entry_id=entry.id, next_at=MONDAY, asked_at=MONDAY))
        session.add(
            EntryPicture(entry_id=entry.id, next_at=MONDAY, asked_at=MONDAY, tried=[["https://a.example/p", ""]])
        )
        session.add(PictureFile(name="a" * 64, data=b"\xff\xd8\x00", size=3, used_at=MONDAY))
        session.add(Summary(mark="a" * 64, made_at=MONDAY, text="One."))
        session.add(Robots(origin="https://feeds.example", read_at=MONDAY))
        session.add(FeedSeen(newsletter_id=paper.id, feed_id=entry.feed_id, tool="another", until=MONDAY))
        session.flush()
        made = {"decision": Decision.STORY, "story_id": 1, "decided_at": MONDAY}
        session.add(Admission(newsletter_id=paper.id, entry_id=entry.id, **made))
        session.add(SignupMail(address="a", network="n", at=MONDAY))
        session.add(SignupRefusal(day=MONDAY, number=1))
        session.add(SignupWait(newsletter_id=paper.id, email="a", key="a", how="", ip="", network="n", at=MONDAY))
        run = ListImport(newsletter_id=paper.id, name="a.csv", at=MONDAY, undone_at=MONDAY)
        session.add(run)
        session.flush()
        session.add(ImportChange(key="a@example.org", import_id=run.id, what="e", paused_until=MONDAY))
        session.add(Arrival(newsletter_id=paper.id, tool="another", at=MONDAY, done_at=MONDAY, undone_at=MONDAY))
        session.add(Run(name="r", command="run", process="", began_at=MONDAY, ended_at=MONDAY))
        alert = dict.fromkeys(("since", "told_at", "last_at", "gone_at", "well_at"), MONDAY)
        session.add(AlertRow(key="disk", **alert))
        telling = dict.fromkeys(("made_at", "taken_until", "settled_at"), MONDAY)
        session.add(AlertTelling(name="disk-1", channel="mail", **telling))
        session.add(RelayHour(relay="mx:25", hour=MONDAY, letters=7))
        read = {"read_at": MONDAY, "said_at": MONDAY, "written_at": MONDAY, "undone_at": MONDAY, "done_at": MONDAY}
        session.add(MailReport(hash="h", source="s", kind="hard", act="none", **read))
        session.add(MailSource(name="s", read_at=MONDAY))
        session.add(Host(name="feeds.example", held_until=MONDAY, asked_at=MONDAY, said_at=MONDAY))
        times = {"created_at": MONDAY, "used_at": MONDAY, "expires_at": MONDAY, "revoked_at": MONDAY}
        session.add(ApiKey(id=1, name="shop", prefix="dgk_1", hash="", **times))
        times = dict.fromkeys(("created_at", "ok_at", "failing_since", "disabled_at"), MONDAY)
        session.add(Webhook(id=1, url="https://shop.example/", secret="", **times))
        session.flush()
        session.add(ApiAnswer(key_id=1, mark="a", fingerprint="b", at=MONDAY))
        times = {"created_at": MONDAY, "due_at": MONDAY, "settled_at": MONDAY}
        session.add(WebhookEvent(webhook_id=1, message="a", event="left", body="{}", **times))
        hub = {"hub": "https://hub.example/", "topic": feed.url, "token": "t", "secret": "s"}
        moments = dict.fromkeys(("due_at", "lease_until", "verified_at", "pinged_at"), MONDAY)
        session.add(WebSub(feed_id=feed.id, **hub, **moments))
        subscribe.suppress(session, "eve@example.org", reason="by hand", evidence=Evidence("test", MONDAY))
        enrol(
            session,
            "fay@example.org",
            newsletter="daily",
            how="test",
            secret="key of the test",
            known_topics=(),
            now=MONDAY,
        )
        subscribe.erase(session, "fay@example.org", secret="key of the test", now=MONDAY)
        subscription = session.exec(select(Subscription).limit(1)).one()
        subscription.state, subscription.paused_until = SubscriptionState.PAUSED, MONDAY + timedelta(weeks=2)
        subscription.arrived_at = MONDAY
        session.add(subscription)
        (edition_,) = session.exec(select(Edition)).all()
        edition_.slot_at, edition_.open_at = MONDAY, MONDAY
        session.add(edition_)
        settled, *_ = session.exec(select(OutboxRow).order_by(OutboxRow.id)).all()
        settled.state, settled.settled_at, settled.tried_at = OutboxState.SENT, MONDAY, MONDAY
        settled.dated_at = MONDAY
        session.add(settled)
        refusals.count(session, edition_.id, refusals.Refusals(sent=1))
        room.note_day(session, now=MONDAY)


def latest(database: Database, column: str) -> datetime | None:
    name, _, moment = column.partition(".")
    table = all_tables().tables[name]
    query = sa.select(sa.func.max(table.c[moment]))
    if column == "outbox.due_at":
        query = query.where(table.c.settled_at.is_(None))  # of the others nobody asks
    with database.read() as session:
        return session.execute(query).scalar()


def test_every_moment_that_is_stored_has_a_bound_or_is_only_shown(database, config):
    """Fails for a new column until somebody has said who believes it."""
    later = MONDAY + timedelta(minutes=5)
    kept = healing.SHOWN | {"subscription.paused_until"}  # a person's word, see below
    fill(database, config)
    assert heal(database, config, later) == {}
    for column in TIMES:
        before = latest(database, column)
        assert before is not None, f"no row of the test has a {column}"
        if column in kept:
            continue
        with database.write() as session:
            # As after another day, when all tables are looked through.
            session.execute(sa.delete(RunDay))
        set_all(database, column, later + LEAP)
        if column.startswith("story."):  # put there with a decision, which is no earlier
            set_all(database, "admission.decided_at", later + LEAP)
        assert sum(heal(database, config, later).values()) >= 1, f"{column} is believed whatever it says"
        healed = latest(database, column)
        assert healed is None or healed <= later + timedelta(days=1), column
        with database.read() as session:
            again = healing.ahead(session, healing.Scene.of(config), now=later)
        assert not again, f"{column} is not mended once and for all"


def test_what_rules_put_ahead_is_left_alone(database, configure):
    weekly = configure(newsletters={"daily": DAILY | {"schedule": "weekly mon 07:00"}})
    fill(database, weekly)
    soon = MONDAY + timedelta(hours=2)
    day = timedelta(days=1)
    ahead = {
        "feed.next_at": 13 * day,
        "newsletter.slot_at": 6 * day,
        "subscription.offered_at": 6 * day,
        "outbox.due_at": 6 * day,
        "subscription.paused_until": 3000 * day,
        "entry.published_at": LEAP,  # a publisher's word
    }
    for column, span in ahead.items():
        set_all(database, column, MONDAY + span)
    with database.write() as session:
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.notice_id).is_not(None)).values(due_at=MONDAY))
        held = session.exec(select(Edition)).one()
        held.state, held.open_at = EditionState.HELD, MONDAY + timedelta(hours=239)
        session.add(held)
    assert heal(database, weekly, soon) == {}
    for column, span in ahead.items():
        assert latest(database, column) == MONDAY + span, column


def test_healing_is_told_once_and_by_one_of_two(database, config):
    fill(database, config)
    set_all(database, "feed.next_at", MONDAY + LEAP)
    set_all(database, "newsletter.slot_at", MONDAY + LEAP)
    assert heal(database, config, MONDAY) == {"feeds": 1, "newsletters": 1}
    assert heal(database, config, MONDAY) == {}


# ---------------------------------------------------------------- letters and their leases


def letter(database: Database, **values: object) -> None:
    with database.write() as session:
        session.execute(sa.update(OutboxRow).values(**values))


def claim(database: Database, now: datetime, *, lease: timedelta = timedelta(minutes=30)) -> list[outbox.Claimed]:
    with database.write() as session:
        taken = outbox.claim(
            session,
            outbox.Wanted(session.exec(select(Edition.id)).first(), 10),
            now=now,
            lease=lease,
            hold_doubtful=False,
            lifetime=timedelta(days=2),
        )
        return list(taken.letters)


def mark(database: Database, letters: list[outbox.Claimed], now: datetime) -> dict[int, int]:
    with database.write() as session:
        return outbox.mark(session, letters, now=now, lease=timedelta(minutes=30))


def test_a_letter_owed_in_days_to_come_goes_out_now(database, config, inbox, clock):
    owe(database, config, "ada@example.org")
    letter(database, due_at=MONDAY + LEAP, created_at=MONDAY + LEAP)
    set_all(database, "edition.composed_at", MONDAY + LEAP)
    assert send(database, config, clock).sent == 0
    assert heal(database, config, MONDAY) == {"letters": 1, "editions": 1}
    assert send(database, config, clock).sent == 1


def test_a_readers_hour_stays_that_hour(database, config):
    owe(database, config, "ada@example.org")
    letter(database, due_at=MONDAY + LEAP + timedelta(hours=11), created_at=MONDAY + LEAP)
    heal(database, config, MONDAY)
    assert one(database, OutboxRow).due_at == MONDAY + timedelta(hours=11)


def test_what_a_sender_may_have_in_hand_stays_with_him_for_a_lease(database, config, clock):
    """He may be alive, and only his clock was put right: whoever took his letters would send them twice."""
    owe(database, config, "ada@example.org")
    claimed = claim(database, MONDAY, lease=timedelta(minutes=2))
    assert mark(database, claimed, MONDAY)
    letter(database, due_at=MONDAY + LEAP, tried_at=MONDAY + LEAP)
    now = clock.pass_(minutes=1)
    assert heal(database, config, now) == {"letters": 1}
    row = one(database, OutboxRow)
    assert (row.state, row.due_at, row.tried_at) == (OutboxState.SENDING, now + config.smtp.lease, now)
    assert heal(database, config, clock.pass_(minutes=10)) == {}
    with database.write() as session:
        settled = outbox.settle(session, [outbox.Outcome(row.id, 1, OutboxState.SENT, 250)], now=now)
    assert settled == {OutboxState.SENT: 1}


def test_a_letter_put_off_in_days_to_come_is_tried_again_and_lives_on(database, config):
    owe(database, config, "ada@example.org")
    letter(database, due_at=MONDAY + LEAP, tried_at=MONDAY + LEAP, attempts=1, code=451)
    heal(database, config, MONDAY)
    row = one(database, OutboxRow)
    assert (row.due_at, row.tried_at) == (MONDAY, MONDAY)


@on_sqlite
@pytest.mark.parametrize("ends", ["given back", "put off"])
def test_what_a_pass_leaves_whose_clock_leapt_a_month_ahead_is_due_now(database, config, clock, ends):
    """By its moment alone it could wait for its reader's own day, which may be so far ahead."""
    owe(database, config, "ada@example.org")
    heal(database, config, MONDAY)
    papers = Papers(config, {1: "daily"}, frozenset())
    ledger = Ledger(database, Contents(papers), papers, clock=clock)
    claimed = claim(database, MONDAY)
    batch = Batch(put_off=claimed)
    if ends == "given back":
        batch = Batch(unmarked=list(mark(database, claimed, MONDAY).items()))
    clock.pass_(days=30)
    ledger.commit(batch)
    assert one(database, OutboxRow).due_at >= MONDAY + timedelta(days=30)
    assert heal(database, config, MONDAY) == {"letters": 1}
    row = one(database, OutboxRow)
    assert (row.state, row.due_at, row.attempts) == (OutboxState.OWED, MONDAY, 0)


def test_a_letter_tried_before_it_was_written_has_its_life_before_it(database, config):
    """Else a clock that was a year behind at the first attempt would make the second one the last."""
    owe(database, config, "ada@example.org")
    letter(database, tried_at=MONDAY - timedelta(days=365), attempts=1, due_at=MONDAY - timedelta(days=365))
    assert heal(database, config, MONDAY + timedelta(minutes=9)) == {"letters": 1}
    assert one(database, OutboxRow).tried_at == MONDAY


# ---------------------------------------------------------------- editions, readers, limits


def test_the_date_of_letters_that_were_tried_stays_and_the_edition_is_not_late(database, config):
    owe(database, config, "ada@example.org", "bob@example.org")
    set_all(database, "edition.composed_at", MONDAY + LEAP)
    with database.write() as session:
        first = session.exec(select(OutboxRow).order_by(OutboxRow.id).limit(1)).one()
        first.attempts, first.tried_at = 1, MONDAY
        session.add(first)
    assert heal(database, config, MONDAY) == {"editions": 1}
    found = one(database, Edition)
    assert (found.composed_at, found.open_at) == (MONDAY + LEAP, MONDAY)
    assert heal(database, config, MONDAY) == {}


def test_a_held_edition_waits_as_long_as_its_editor_was_given(database, config):
    owe(database, config, "ada@example.org")
    with database.write() as session:
        held = session.exec(select(Edition)).one()
        held.state, held.composed_at, held.open_at = (
            EditionState.HELD,
            MONDAY + LEAP,
            MONDAY + LEAP + timedelta(hours=5),
        )
        session.add(held)
    heal(database, config, MONDAY)
    with database.write() as session:
        assert edition_states.open_held(session, now=MONDAY + timedelta(hours=4)) == []
        assert len(edition_states.open_held(session, now=MONDAY + timedelta(hours=5))) == 1


def test_a_pause_lasts_as_long_as_the_person_wanted(database, config):
    owe(database, config, "ada@example.org")
    for began in (MONDAY + LEAP, MONDAY - LEAP):
        with database.write() as session:
            row = session.exec(select(Subscription)).one()
            row.state, row.changed_at, row.paused_until = SubscriptionState.PAUSED, began, began + timedelta(weeks=3)
            session.add(row)
        assert heal(database, config, MONDAY) == {"pauses": 1}
        assert one(database, Subscription).paused_until == MONDAY + timedelta(weeks=3)
    with database.write() as session:
        row = session.exec(select(Subscription)).one()
        row.paused_until = MONDAY + timedelta(weeks=500)  # so they chose, by a clock that was right
        session.add(row)
    assert heal(database, config, MONDAY) == {}


def test_letters_that_a_relay_took_in_hours_to_come_count_in_this_one(database, config):
    with database.write() as session:
        for hour, letters in ((MONDAY, 5), (MONDAY + LEAP, 30), (MONDAY + LEAP + timedelta(hours=1), 7)):
            relays.add_letters(session, {"mx:25": letters}, now=hour)
    assert heal(database, config, MONDAY) == {"hours of relays": 2}
    with database.read() as session:
        assert relays.hours(session, now=MONDAY) == {"mx:25": {MONDAY: 42}}


def test_sign_ups_of_days_to_come_keep_nobody_out(database, config):
    late = MONDAY + LEAP
    with database.write() as session:
        signup.ask(
            session,
            "ada@example.org",
            newsletter="daily",
            config=config,
            evidence=Evidence("sign-up page", late, ip="192.0.2.1"),
            known_topics=(),
        )
        signup.answer_waiting(session, config=config, now=late)
        subscription = session.exec(select(Subscription)).one()
        link = sign.confirm_token(subscription.id, at=late, key=config.keys[0])
        asked = session.exec(select(OutboxRow)).one()
        asked.state, asked.settled_at, asked.attempts = OutboxState.SENT, late, 1
        session.add(asked)
    heal(database, config, MONDAY)
    with database.read() as session:
        assert signup.about(session, link, config=config, now=MONDAY).outcome == "expired"
    with database.write() as session:
        signup.ask(
            session,
            "ada@example.org",
            newsletter="daily",
            config=config,
            evidence=Evidence("sign-up page", MONDAY, ip="192.0.2.1"),
            known_topics=(),
        )
        signup.answer_waiting(session, config=config, now=MONDAY)
    assert tallied(database) == {"sent": 1, "owed": 1}
    with database.read() as session:
        assert session.exec(select(sa.func.count()).select_from(SignupMail)).one() == 2  # both count
    # And who never confirms is forgotten in a week, not in a year.
    with database.write() as session:
        assert signup.tidy(session, now=MONDAY + timedelta(days=8)) == 1


# ---------------------------------------------------------------- which clock is wrong


def verdict(database: Database, now: datetime) -> str:
    with database.read() as session:
        return clock.verdict(session, now=now)


@on_sqlite
def test_a_clock_is_doubted_for_more_than_one_word_against_it(database, config):
    assert verdict(database, MONDAY) == ""
    assert "digest was not made then" in verdict(database, MONDAY.replace(year=2000))
    ran(database, MONDAY + LEAP)
    assert verdict(database, MONDAY) == ""  # the only run there was: one word against another
    ran(database, MONDAY)
    assert verdict(database, MONDAY) == ""  # it leapt once, by 400 days
    assert verdict(database, MONDAY + timedelta(days=5)) == ""
    assert "all that is stored is of later days" in verdict(database, MONDAY - timedelta(days=30))
    ran(database, *(MONDAY + timedelta(days=n) for n in range(1, 30)))
    assert "on each of the two days after" in verdict(database, MONDAY)
    assert verdict(database, MONDAY + timedelta(days=29)) == ""
    assert verdict(database, MONDAY + timedelta(days=28)) == ""  # a day, as for a zone that is set wrong


@on_sqlite
def test_a_leap_of_some_days_is_found_by_the_days_of_runs(database, config):
    """What a rule could have put there after all, but digest ran on a day to come."""
    fill(database, config)
    leap = timedelta(days=5)
    for column in ("subscription.offered_at", "feed.checked_at", "outbox.due_at"):
        set_all(database, column, MONDAY + leap)
    ran(database, MONDAY + leap)
    assert set(heal(database, config, MONDAY)) == {"feeds", "letters", "subscriptions"}
    with database.read() as session:
        assert session.exec(select(RunDay.day)).all() == [MONDAY.replace(hour=0)]


@on_postgres
def test_the_databases_clock_is_a_second_witness(database, server):
    assert verdict(database, MONDAY + timedelta(minutes=50)) == ""
    assert "the clock of the database 2026-11-23 07:00" in verdict(database, MONDAY + timedelta(minutes=70))
    assert "the clock of the database" in verdict(database, MONDAY - timedelta(days=2))


def test_a_clock_that_was_behind_once_sends_nothing_twice_and_loses_nothing(database, config, inbox):
    """An edition of last year: whether it is news is for a person to say."""
    owe(database, config, "ada@example.org")
    behind = MONDAY - timedelta(days=200)
    letter(database, due_at=behind, created_at=behind)
    set_all(database, "edition.composed_at", behind)
    clock = Clock()
    heal(database, config, MONDAY)
    report = send(database, config, clock)
    assert (report.sent, report.late) == (0, [("daily", 1)])
    with database.write() as session:
        assert edition_states.set_state(session, one(database, Edition).id, EditionState.OPEN, "", opened_at=MONDAY)
    assert send(database, config, clock).sent == 1


# ---------------------------------------------------------------- two machines on one database

AHEAD = timedelta(minutes=31)


@on_postgres
def test_a_machine_31_minutes_ahead_takes_nothing_out_of_anothers_hands(database, config, server):
    owe(database, config, "ada@example.org")
    claimed = claim(database, MONDAY)
    assert claim(database, MONDAY + AHEAD) == []
    assert mark(database, claimed, MONDAY)
    assert claim(database, MONDAY + AHEAD) == []
    with database.write() as session:
        assert outbox.due_sources(session, now=MONDAY + AHEAD) == []
        assert letters.due_count(session, now=MONDAY + AHEAD) == {}
        assert letters.left(session, now=MONDAY + AHEAD).in_hand.letters == 1
        edition_states.set_state(session, one(database, Edition).id, EditionState.CANCELLED, "test")
    assert edition_states.drop_cancelled(database, now=MONDAY + AHEAD) == 0
    # Once the lease is over by the database's clock it is for everybody, also for who is 31 minutes behind.
    set_all(database, "edition.state", EditionState.OPEN)
    server.pass_(minutes=31)
    assert [found.in_doubt for found in claim(database, MONDAY)] == [True]


@on_postgres
def test_what_a_machine_that_is_ahead_gives_back_is_due_for_all(database, config, server):
    owe(database, config, "ada@example.org")
    there = MONDAY + AHEAD
    (taken,) = claim(database, there)
    numbers = mark(database, [taken], there)
    with database.write() as session:
        outbox.unmark(session, list(numbers.items()), now=there)
    (taken,) = claim(database, MONDAY)
    with database.write() as session:
        outbox.unclaim(session, [taken], due_at=there + timedelta(minutes=5), now=there)
    assert one(database, OutboxRow).due_at == MONDAY + timedelta(minutes=5)
    letter(database, due_at=MONDAY)
    (taken,) = claim(database, there)
    numbers = mark(database, [taken], there)
    put_off = outbox.Outcome(taken.id, numbers[taken.id], OutboxState.OWED, 451, due_at=there + timedelta(minutes=7))
    with database.write() as session:
        outbox.settle(session, [put_off], now=there)
    assert one(database, OutboxRow).due_at == MONDAY + timedelta(minutes=7)
    assert notice(database, "bob@example.org", now=there)
    with database.read() as session:
        assert letters.due_count(session, now=MONDAY, notices_only=True) == {None: 1}


@on_postgres
def test_two_machines_31_minutes_apart_do_not_ask_a_feed_at_once(database, server):
    with database.write() as session:
        session.add(Feed(url="https://feeds.example/a", host="feeds.example", added_at=MONDAY, next_at=MONDAY))

    def ask(now: datetime, **how: bool) -> int:
        with database.write() as session:
            lease = timedelta(minutes=12)
            return len(feed_claims.claim(session, now=now, limit=9, lease=lease, asked_before=now, **how))

    assert ask(MONDAY) == 1
    assert ask(MONDAY + AHEAD) == ask(MONDAY + AHEAD, regardless=True) == 0


@on_postgres
def test_the_shared_clock_is_the_servers_and_goes_on_within_a_transaction(database, monkeypatch):
    monkeypatch.undo()
    with database.write() as session:
        one_, other = shared_now(session, MONDAY), shared_now(session, MONDAY + LEAP)
    assert one_ < other < one_ + timedelta(hours=1)


# ---------------------------------------------------------------- as an operator meets it


@pytest.fixture(params=["sqlite", "postgres"])
def operator(request, digest, tmp_path, at):
    """Commands in a folder with a feed, a reader and a newsletter without a schedule, all since MONDAY."""
    url = request.getfixturevalue("upgraded_postgres_url") if request.param == "postgres" else "digest.db"

    def run(*words: object):
        return digest(*words, DIGEST_DATABASE=url)

    at(MONDAY)
    (tmp_path / "digest.toml").write_text(
        'secret_key = "a key for tests, long enough"\n[newsletters.daily]\n'
        'title = "Daily"\nfrom = "Daily <news@news.example>"\n[curate]\nnewest_of_new_feed = 1\n'
    )
    assert run("init").returncode == 0
    with FeedSite(MONDAY) as site:
        assert run("feed", "add", site.urls[0][0]).returncode == 0
        assert run("subscriber", "add", "ada@example.org").returncode == 0
        yield run


@pytest.mark.thin(4)
def test_one_run_400_days_ahead_silences_nothing(operator, at):
    at(MONDAY + timedelta(hours=1))
    assert "1 sent" in operator("run").stderr
    at(MONDAY + LEAP)
    done = operator("run")
    assert "digest ran last on 2026-11-23, by this machine's clock; is it right?" in done.stderr
    at(MONDAY + timedelta(hours=2))
    status = operator("status")
    assert (status.returncode, "further ahead than any rule puts it" in status.stderr) == (69, True)
    assert operator("clock").returncode == 69
    rehearsal = operator("run", "--dry-run", "--json")
    assert json.loads(rehearsal.stdout)["healed"]["feeds"] == 1
    done = operator("run", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["healed"] == {"feeds": 1, "newsletters": 1, "runs": 1}
    assert "put back (feeds: 1, newsletters: 1, runs: 1)" in done.stderr
    assert told["collect"]["asked"] == 1
    again = operator("run", "--json")
    assert json.loads(again.stdout)["healed"] == {} and "clock" not in again.stderr
    assert operator("status").returncode == operator("clock").returncode == 0
    assert len(json.loads(operator("outbox", "list", "--json").stdout)) == 1  # nothing went out again


@pytest.mark.parametrize("command", ["run", "deliver", "collect"])
@pytest.mark.parametrize("operator", ["sqlite"], indirect=True)
def test_a_clock_that_cannot_be_right_does_nothing(operator, at, command):
    at(MONDAY.replace(year=2000))
    for words in ((command,), ("status",)):
        done = operator(*words)
        assert (done.returncode, "this machine's clock says 2000-11-23" in done.stderr) == (69, True), done.stderr
    assert operator("clock", "--right").returncode == 69
    at(MONDAY)
    assert operator(command).returncode == 0


@pytest.mark.parametrize("operator", ["sqlite"], indirect=True)
def test_where_the_clock_of_many_days_was_wrong_a_person_says_so(operator, at):
    for day in range(3):
        at(MONDAY + LEAP + timedelta(days=day))
        assert operator("run").returncode == 0
    at(MONDAY + LEAP - timedelta(days=1))
    refused = operator("run")
    assert refused.returncode == 69 and "`digest clock --right`" in refused.stderr
    assert "digest ran on each of the two days after that" in json.loads(operator("clock", "--json").stdout)["trouble"]
    right = operator("clock", "--right", "--json")
    assert right.returncode == 0 and json.loads(right.stdout)["put_back"]["feeds"] == 1
    assert json.loads(operator("run", "--json").stdout)["collect"]["asked"] == 1


def test_a_machine_far_from_its_databases_clock_does_nothing(digest, upgraded_postgres_url, tmp_path, at, monkeypatch):
    def run(*words: object):
        return digest(*words, DIGEST_DATABASE=upgraded_postgres_url)

    assert run("init").returncode == 0
    at(MONDAY)
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta(hours=2))
    done = run("run")
    assert done.returncode == 69 and "and the clock of the database 2026-11-23 09:00" in done.stderr


@pytest.mark.parametrize("operator", ["sqlite"], indirect=True)
def test_one_leap_does_not_forget_who_has_not_confirmed(operator, at, tmp_path):
    at(MONDAY + timedelta(hours=1))
    operator("run")
    (tmp_path / "pending.csv").write_text("email,status\nbob@example.org,unconfirmed\n")
    assert operator("subscriber", "import", "pending.csv", "--ask").returncode == 0
    waiting = ("subscriber", "list", "--state", "pending", "--json")
    assert len(json.loads(operator(*waiting).stdout)) == 1
    at(MONDAY + LEAP)
    operator("run")
    assert len(json.loads(operator(*waiting).stdout)) == 1
    for day in (2, 9):
        at(MONDAY + timedelta(days=day))
        assert operator("run").returncode == 0
    assert json.loads(operator(*waiting).stdout) == []


@on_sqlite
def test_nobody_calls_it_ready_while_nothing_can_be_due(database, config, clock):
    client = TestClient(application(database, config, clock=clock))
    assert client.get("/ready").text == "ok\n"
    set_all(database, "newsletter.slot_at", MONDAY + LEAP)
    assert client.get("/ready").status_code == 503
    heal(database, config, MONDAY)
    assert client.get("/ready").status_code == 200
    clock.now = MONDAY.replace(year=2000)
    assert "digest was not made then" in client.get("/ready").text


# ---------------------------------------------------------------- an edition of its slot, and no story twice


def test_a_slot_that_was_had_by_a_wrong_clock_is_had_again_and_no_story_twice(database, configure):
    config = configure(newsletters={"daily": DAILY})

    def stories(*titles: str, at: datetime) -> None:
        with database.write() as session:
            paper = newsletters.lock(session, "daily")
            feed = session.exec(select(Feed)).first()
            if feed is None:
                feed = Feed(url="https://feeds.example/a", title="A", added_at=MONDAY, next_at=MONDAY)
                session.add(feed)
                session.flush()
            for title in titles:
                paper.seq += 1
                entry = Entry(feed_id=feed.id, key=title, seen_at=at)
                session.add(entry)
                session.flush()
                row = {"newsletter_id": paper.id, "seq": paper.seq, "entry_id": entry.id, "topic": "other"}
                reasons = {"topic": {}, "rank": {}, "told_by": []}
                session.add(
                    Story(
                        **row,
                        url=f"https://feeds.example/{title}",
                        title=title,
                        source="A",
                        published_at=at,
                        admitted_at=at,
                        reasons=reasons,
                    )
                )

    def compose(now: datetime) -> edition.Composed:
        return edition.take_turn(database, "daily", config, now=now)

    with database.write() as session:
        for email, hour in (("ada@example.org", None), ("bob@example.org", 18)):
            enrol(
                session,
                email,
                newsletter="daily",
                how="test",
                secret="key of the test",
                known_topics=(),
                hour=hour,
                now=MONDAY,
            )
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    stories("one", at=MONDAY)
    assert compose(tuesday).letters == 2
    stories("two", at=tuesday)
    ran(database, tuesday, tuesday + LEAP)
    assert compose(tuesday + LEAP).letters == 2
    stories("three", at=tuesday)
    assert set(heal(database, config, tuesday)) >= {"newsletters", "editions", "letters", "subscriptions"}
    assert compose(tuesday).number == 0  # the slot of today had its edition
    assert compose(wednesday).letters == 2
    with database.read() as session:
        assert session.exec(select(Variant.story_count).order_by(Variant.id)).all() == [1, 1, 1]
        assert session.exec(select(Newsletter.slot_at)).one() == wednesday
        assert session.exec(select(sa.func.max(Edition.slot_at))).one() == wednesday
        assert _hours(session) == {7, 18}
    # In 400 days there is a slot that a wrong clock had before.
    stories("four", at=wednesday)
    assert compose(tuesday + LEAP).letters == 2


def _hours(session: Session) -> set[int]:
    return {due_at.hour for due_at in session.exec(select(OutboxRow.due_at))}


def test_history_stays_as_it_was_written(database, config):
    fill(database, config)
    set_all(database, "consent.at", MONDAY + LEAP)
    heal(database, config, MONDAY)
    with database.read() as session:
        assert set(session.exec(select(Consent.at))) == {MONDAY + LEAP}
