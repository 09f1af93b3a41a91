"""The steps of the line, each called as a job calls it: one newsletter, one batch of feeds, one share of the outbox."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from conftest import MONDAY
from mailing import owe, readers, sound, tallied
from mailserver import MailServer
from people import enrol
from sqlmodel import func, select

from digest import collect, line
from digest.deliver import Share
from digest.demo.site import FeedSite
from digest.edition import Composed
from digest.errors import Exit, WrongClock
from digest.models import Feed, Subscription, SubscriptionState
from digest.store import clock as stored_clock
from digest.store import editions, idle, letters, newsletters
from digest.store.story_tables import Admission, Entry

TWO = {
    "daily": {"title": "Daily", "from": "Daily <news@news.example>"},
    "weekly": {"title": "Weekly", "from": "Weekly <news@news.example>"},
}


@pytest.fixture
def server():
    with MailServer() as started:
        yield started


@pytest.fixture
def site():
    with FeedSite(MONDAY) as started:
        yield started


def read(database, site, *newsletters, number=9):
    """Have newsletters read so many sample feeds."""
    for url, title, topic in site.urls[:number]:
        for name in newsletters:
            collect.add_feed(database, url, newsletter=name, title=title, topic=topic or "", now=MONDAY)


def join(database, config, newsletter, *emails):
    with database.write() as session:
        for email in emails:
            enrol(session, email, newsletter=newsletter, secret=config.lasting_key)


def deliver(database, config, clock, **options):
    return line.deliver(database, config, clock=clock, rng=random.Random(1), **options)


def test_what_there_is_to_do_is_told_before_it_is_done(database, config, site):
    names = ["daily"]
    asked = (idle.feeds_by_mail, idle.signups, idle.unconfirmed, idle.hubs, idle.webhooks, idle.answers, idle.rare)
    with database.read() as session:
        assert not any(is_there(session) for is_there in asked)
        assert not idle.old_mails(session, before=MONDAY)
        assert not idle.chosen(session, names)
        assert not any(idle.in_use(session))
        assert not any(idle.waits(session, "daily"))
        assert not any(idle.waits(session, "nobody's"))
    read(database, site, "daily", number=1)
    join(database, config, "daily", "ada@example.org")
    with database.write() as session:
        feed = session.exec(select(Feed)).one()
        feed.full_text = True
        session.add(feed)
        session.add(Entry(feed_id=feed.id, key="k", url="https://example.org/k", seen_at=MONDAY, content_hash="k"))
        subscription = session.exec(select(Subscription)).one()
        subscription.topics, subscription.awaits_welcome = ["web"], True
        session.add(subscription)
    with database.read() as session:
        assert idle.waits(session, "daily") == idle.Waits(
            unconfirmed=False, entries=True, texts=True, stories=False, welcomes=True
        )
        assert idle.chosen(session, names)
    with database.write() as session:
        session.exec(select(Subscription)).one().state = SubscriptionState.PENDING
    with database.read() as session:
        assert idle.waits(session, "daily").unconfirmed
        assert idle.unconfirmed(session)


def count(database, model) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(model)).one()


# ---------------------------------------------------------------- one batch of feeds


def test_a_batch_of_feeds_leaves_the_others_to_the_next(database, config, site, clock):
    read(database, site, "daily")
    told = []
    batch = line.collect(database, config, clock=clock, most=4, tell=told.append)
    assert batch.asked == 4 and count(database, Entry) == batch.new > 0
    assert told[0] == line.Begins("collect") and told[-1] is batch
    assert {progress.due for progress in told[1:-1]} == {4}
    assert line.collect(database, config, clock=clock, most=4).asked == 4
    rest = line.collect(database, config, clock=clock, most=4)
    assert (rest.asked, line.collect(database, config, clock=clock).asked) == (1, 0)


def test_two_batches_at_once_ask_no_feed_twice(database, config, site, clock):
    read(database, site, "daily", number=6)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: line.collect(database, config, clock=clock, most=3).asked, range(2)))
    assert both == [3, 3]
    assert line.collect(database, config, clock=clock).asked == 0


# ---------------------------------------------------------------- one newsletter


def test_one_newsletter_is_admitted_and_composed_and_the_other_waits(box, configure, site, clock):
    config = configure(newsletters=TWO)
    newsletters.keep(box, config.newsletters, now=MONDAY)
    read(box, site, "daily", "weekly", number=2)
    join(box, config, "daily", "ada@example.org")
    join(box, config, "weekly", "bob@example.org")
    line.collect(box, config, clock=clock)
    told = []
    admitted = line.admit(box, config, "weekly", now=clock(), tell=told.append)
    made = line.compose(box, config, "weekly", now=clock(), tell=told.append)
    assert isinstance(made, Composed)
    assert (made.newsletter, made.number, made.letters) == ("weekly", 1, 1) and admitted.stories == made.stories
    assert told == [line.Taken("weekly", admitted), made]
    with box.read() as session:
        assert newsletters.find(session, "daily").seq == 0
        assert [letter.email for letter in letters.lines(session)] == ["bob@example.org"]
    line.admit(box, config, "daily", now=clock())
    assert count(box, Admission) == 2 * count(box, Entry)


def test_what_is_broken_is_told_and_composes_nothing(box, config, clock):
    told = []
    made = line.compose(box, config, "daily", now=clock(), broken="daily: no template", tell=told.append)
    assert told == [made] == [line.Unfit("daily", "daily: no template")]
    with box.read() as session:
        assert editions.lines(session) == []


# ---------------------------------------------------------------- one share of the outbox


@pytest.mark.parametrize(("canary", "connections"), [(0.0, 4), (0.2, 1)])
def test_a_share_of_the_letters_leaves_the_others_to_the_next(database, configure, server, clock, canary, connections):
    config = configure(smtp={"url": server.url, "connections": connections, "canary": canary})
    owe(database, config, *readers(10))
    told = []
    share = deliver(database, config, clock, share=Share(4), tell=told.append)
    assert (share.sent, share.left.due.letters, len(server.taken)) == (4, 6, 4)
    assert line.delivery_code(share) is Exit.TEMPFAIL
    assert told[0] == line.Begins("deliver") and told[-1] is share
    assert {progress.due for progress in told[1:-1]} == {4}
    assert deliver(database, config, clock, share=Share(0)).sent == 0
    rest = deliver(database, config, clock, share=Share(100))
    assert (rest.sent, line.delivery_code(rest)) == (6, Exit.OK)
    assert sorted(server.recipients) == sorted(readers(10)) and sound(database)


def test_two_shares_at_once_send_no_letter_twice(database, configure, server, clock):
    config = configure(smtp={"url": server.url, "connections": 2})
    owe(database, config, *readers(10))
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: deliver(database, config, clock, share=Share(5)).sent, range(2)))
    assert both == [5, 5] and sorted(server.recipients) == sorted(readers(10))
    assert tallied(database) == {"sent": 10}


def test_a_share_is_one_also_where_letters_are_kept_as_files(box, config, clock):
    owe(box, config, *readers(5))
    assert deliver(box, config, clock, share=Share(2)).sent == 2
    assert deliver(box, config, clock, share=Share(2)).sent == 2
    assert deliver(box, config, clock, share=Share(2)).sent == 1
    assert len(list((config.maildir / "new").iterdir())) == 5


def test_delivery_that_breaks_off_tells_what_was_done(box, configure, server, clock):
    config = configure(smtp={"url": server.url})
    owe(box, config, *readers(3))
    told = []

    def stop() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deliver(box, config, clock, stop=stop, tell=told.append)
    assert isinstance(told[-1], line.BrokeOff) and (told[-1].report.owed, told[-1].report.sent) == (3, 0)


# ---------------------------------------------------------------- before and after


def test_a_clock_that_cannot_be_right_stops_work_or_is_told(box, config, clock):
    told = []
    long_ago = stored_clock.MADE - timedelta(days=1)
    with pytest.raises(WrongClock, match="nothing is done"):
        line.heal(box, config, now=long_ago, tell=told.append)
    assert line.heal(box, config, now=long_ago, refuse=False, tell=told.append) == {}
    assert len(told) == 1 and told[0].trouble
    assert line.heal(box, config, now=clock(), tell=told.append) == {} and len(told) == 1


def test_the_whole_line_tells_each_step_in_its_order(box, configure, server, site, clock):
    config = configure(
        smtp={"url": server.url}, newsletters={name: two | {"images": "none"} for name, two in TWO.items()}
    )
    newsletters.keep(box, config.newsletters, now=MONDAY)
    read(box, site, "daily", "weekly", number=2)
    join(box, config, "daily", "ada@example.org")
    told = []
    done = line.run(
        box,
        config,
        clock=clock,
        rng=random.Random(1),
        broken={"weekly": "weekly: no template"},
        tell=lambda value: told.append(value) if not isinstance(value, collect.Progress) else None,
    )
    assert done.deliver is not None and done.deliver.sent == 1
    assert told[:6] == [
        line.Begins("collect"),
        done.collect,
        line.Taken("daily", done.curate["daily"]),
        done.compose[0],
        line.Taken("weekly", done.curate["weekly"]),
        line.Unfit("weekly", "weekly: no template"),
    ]
    assert told[6] == line.Begins("deliver") and told[-1] is done.deliver
    assert (done.unfit, done.exit_code) == (["weekly"], Exit.CONFIG)
