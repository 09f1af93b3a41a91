"""From a feed to an inbox, over real HTTP and SMTP on loopback, on both databases."""

from __future__ import annotations

import random
from email import message_from_bytes, policy

import pytest
from conftest import MONDAY, Clock, on_sqlite
from people import enrol

from digest import collect, curate, deliver, edition, line
from digest.config import Config
from digest.demo.site import FeedSite
from digest.store import Database, editions, newsletters


@pytest.fixture
def config(configure, inbox) -> Config:
    return configure(smtp={"url": inbox.url}, curate={"newest_of_new_feed": 12})


@pytest.fixture
def site():
    with FeedSite(MONDAY) as site:
        yield site


def add_feeds(database: Database, site: FeedSite) -> None:
    for url, title, topic in site.urls:
        collect.add_feed(database, url, newsletter="daily", title=title, topic=topic or "", now=MONDAY)


def join(database: Database, config: Config, email: str, *topics: str) -> None:
    with database.write() as session:
        enrol(
            session,
            email,
            newsletter="daily",
            topics=topics,
            known_topics=curate.headings({}),
            how="test",
            secret=config.secret_key.get_secret_value(),
            now=MONDAY,
        )


def run(database: Database, config: Config, clock: Clock) -> tuple[edition.Composed, deliver.Report]:
    """What `digest run` does, without its words."""
    outcome = line.run(database, config, clock=clock, rng=random.Random(1))
    assert outcome.deliver is not None
    return outcome.compose[0], outcome.deliver


def test_from_a_feed_to_each_inbox_once(database, config, site, inbox, clock):
    add_feeds(database, site)
    join(database, config, "ada@example.org")
    join(database, config, "grace@example.org", "security")
    composed, report = run(database, config, clock)
    assert (composed.number, composed.variants, composed.letters) == (1, 2, 2)
    assert (report.sent, report.owed) == (2, 0)
    mails = {m.recipient: message_from_bytes(m.content, policy=policy.default) for m in inbox.messages}
    everything, security = (
        mails[who].get_body(("plain",)).get_content() for who in ("ada@example.org", "grace@example.org")
    )
    assert "checkpoint" in everything and "checkpoint" not in security.lower().partition("security")[0]
    assert len(everything) > len(security)

    # Nothing new: nobody hears from us again.
    clock.pass_(hours=24)
    composed, report = run(database, config, clock)
    assert (composed.number, composed.letters, report.sent) == (0, 0, 0)
    assert len(inbox.messages) == 2


@on_sqlite
def test_a_subscriber_who_joins_later_gets_what_comes_later(database, config, site, inbox, clock):
    add_feeds(database, site)
    join(database, config, "ada@example.org")
    run(database, config, clock)
    join(database, config, "bob@example.org")
    clock.pass_(hours=24)
    composed, _ = run(database, config, clock)
    assert composed.letters == 0
    assert inbox.recipients == ["ada@example.org"]


@on_sqlite
def test_too_few_stories_wait_for_the_next_edition(database, configure, site, inbox, clock):
    settings = {"title": "Daily", "from": "Daily <news@news.example>"}
    patient = configure(
        smtp={"url": inbox.url},
        curate={"newest_of_new_feed": 1},
        newsletters={"daily": settings | {"min_stories": 25, "max_stories": 25}},
    )
    add_feeds(database, site)
    join(database, patient, "ada@example.org")
    composed, _ = run(database, patient, clock)
    assert composed.number == 0 and "they wait for the next edition" in composed.why
    eager = configure(smtp={"url": inbox.url}, newsletters={"daily": settings})
    composed, report = run(database, eager, clock)
    assert composed.stories > 1 and report.sent == 1


@on_sqlite
def test_an_edition_goes_out_once_in_its_slot_and_downtime_gives_one_not_many(database, configure, site, inbox, clock):
    settings = {"title": "Daily", "from": "Daily <news@news.example>", "schedule": "daily 07:00"}
    config = configure(smtp={"url": inbox.url}, newsletters={"daily": settings})
    add_feeds(database, site)
    join(database, config, "ada@example.org")
    clock.pass_(minutes=30)  # the newsletter began at 07:00: that slot is over
    assert "not due before 2026-11-24 07:00" in run(database, config, clock)[0].why
    clock.pass_(days=3)
    composed, report = run(database, config, clock)
    assert (composed.number, report.sent) == (1, 1)
    assert run(database, config, clock)[0].number == 0
    with database.read() as session:
        assert newsletters.find(session, "daily").slot_at == MONDAY.replace(day=26)


def test_a_dry_run_leaves_everything_as_it_was(database, config, site, inbox, clock):
    add_feeds(database, site)
    join(database, config, "ada@example.org")
    with database.rehearse() as rehearsal:
        rehearsed = line.all_but_sending(rehearsal, config, clock=clock)
        assert (rehearsed.compose[0].letters, rehearsed.deliver) == (1, None)
    with database.read() as session:
        assert editions.lines(session) == []
        assert newsletters.status(session, "daily").stories_waiting == 0
    assert run(database, config, clock)[1].sent == 1
