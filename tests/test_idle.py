"""A run with nothing to do waits for nobody's write; and what is over goes all the same."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import MONDAY
from mailing import owe
from people import enrol
from sqlmodel import SQLModel, select

from digest import line
from digest.models import Edition, EditionState, Feed, Newsletter, OutboxRow, RelayHour, Subscription, SubscriptionState
from digest.store import Database, clock, newsletters, outbox
from digest.store.api_tables import ApiAnswer, ApiKey
from digest.store.picture_tables import EntryPicture, PictureFile
from digest.store.signup_tables import SignupMail, SignupRefusal
from digest.store.story_tables import Entry
from digest.store.summary_tables import Summary

NEWS = {"title": "Daily", "from": "Daily <news@news.example>", "schedule": "daily 07:00 UTC"}


@pytest.fixture
def config(configure):
    return configure(newsletters={"daily": NEWS, "weekly": NEWS | {"schedule": "weekly mon 07:00 UTC"}})


def kept(database: Database, age: timedelta) -> None:
    """A row of all that is let go of one day, as old as that; somebody paused, and one who did not confirm."""
    at = MONDAY - age
    with database.write() as session:
        feed = Feed(url="https://site.example/f", title="f", added_at=at, next_at=MONDAY + timedelta(days=9))
        key = ApiKey(name="k", hash="h", created_at=at, prefix="p")
        session.add_all([feed, key])
        session.flush()
        entry = Entry(feed_id=feed.id, key="k", url="https://site.example/k", seen_at=at, content_hash="k")
        session.add(entry)
        session.flush()
        session.add_all(rows(at, key, entry))
        for name in ("ada", "bob", "cyd"):
            enrol(session, f"{name}@example.org", now=at)
        ada, bob, _cyd = session.exec(select(Subscription).order_by(Subscription.id)).all()
        ada.state, ada.paused_until = SubscriptionState.PAUSED, MONDAY + timedelta(days=900) - age * 1.5
        bob.state = SubscriptionState.PENDING
        notice = outbox.NewNotice("bob@example.org", "a@news.example", "confirm", "x")
        assert outbox.owe_notice(session, notice, key="c", subscription_id=bob.id, now=at)


def rows(at: datetime, key: ApiKey, entry: Entry) -> list[SQLModel]:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return [
        ApiAnswer(key_id=key.id, mark="m", fingerprint="f", at=at),
        PictureFile(name="p", size=1, used_at=at, data=b"x"),
        EntryPicture(entry_id=entry.id, next_at=at, asked_at=at),
        Summary(mark="m", made_at=at),
        SignupMail(address="a", network="n", at=at),
        SignupRefusal(day=day, number=1),
        RelayHour(relay="r:25", hour=at, letters=1),
    ]


def run(database: Database, config: Any, now: datetime) -> int:
    """The whole line at a moment; how many transactions for writing it began."""
    number = 0

    def counted(database: Database) -> Any:
        nonlocal number
        number += 1
        return write(database)

    write = Database.write
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Database, "write", counted)
        line.run(database, config, clock=lambda: now, rng=random.Random(1))
    return number


def test_a_run_with_nothing_to_do_waits_for_nobody_s_write(box, config):
    newsletters.keep(box, config.newsletters, now=MONDAY)
    with box.write() as session:
        clock.note_day(session, now=MONDAY)
    kept(box, timedelta(minutes=5))
    run(box, config, MONDAY)
    for minutes in (1, 2):
        later = run(box, config, MONDAY + timedelta(minutes=minutes))
    assert later == 0


@pytest.mark.parametrize("kind", [ApiAnswer, PictureFile, EntryPicture, Summary, SignupMail, SignupRefusal, RelayHour])
def test_what_is_over_is_let_go_of_by_itself(box, config, kind):
    newsletters.keep(box, config.newsletters, now=MONDAY)
    with box.write() as session:
        clock.note_day(session, now=MONDAY - timedelta(days=1))
    kept(box, timedelta(days=500))
    with box.write() as session:
        for row in [row for other in rows(MONDAY, ApiKey(), Entry()) for row in session.exec(select(type(other)))]:
            if isinstance(row, PictureFile) and kind is EntryPicture:
                row.used_at = MONDAY
            elif not isinstance(row, kind):
                session.delete(row)
        session.exec(select(Subscription).where(Subscription.state == "pending")).one().state = "unsubscribed"
    run(box, config, MONDAY)
    with box.read() as session:
        assert session.exec(select(kind)).all() == []


def test_a_pause_that_is_over_ends_before_who_is_due_is_asked(box, config):
    newsletters.keep(box, config.newsletters, now=MONDAY)
    kept(box, timedelta(days=700))
    with box.write() as session:
        paper = session.exec(select(Newsletter).where(Newsletter.name == "daily")).one()
        paper.slot_at = MONDAY - timedelta(days=9)
    run(box, config, MONDAY)
    with box.read() as session:
        assert session.exec(select(Subscription.state).order_by(Subscription.id)).first() == "active"


@pytest.mark.parametrize(
    ("state", "hours", "then"),
    [("held", -1, "open"), ("held", 1, "held"), ("open", -99, "held"), ("open", -1, "open")],
)
def test_an_edition_opens_at_its_moment_and_a_late_one_is_held(box, config, state, hours, then):
    newsletters.keep(box, config.newsletters, now=MONDAY)
    owe(box, config, "ada@example.org")
    at = MONDAY + timedelta(hours=hours)
    with box.write() as session:
        one = session.exec(select(Edition)).one()
        one.state, one.open_at, one.composed_at = EditionState(state), at, MONDAY - timedelta(hours=100)
        session.exec(select(OutboxRow)).one().due_at = at
    run(box, config, MONDAY)
    with box.read() as session:
        assert session.exec(select(Edition.state)).one() == then
