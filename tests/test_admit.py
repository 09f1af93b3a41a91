"""Admission on a real database: each entry is decided about once, an archive is not an edition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from digest import config, curate, edition, store
from digest.models import Admission, Decision, Entry, Feed, NewsletterFeed, Story

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SETTINGS = config.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"})
CURATE = config.Curate()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[store.Database]:
    database = store.open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True)
    store.keep_newsletters(database, ["daily"], now=NOW)
    yield database
    database.close()


class Desk:
    """Feeds and entries for one newsletter, and its admissions."""

    def __init__(self, database: store.Database) -> None:
        self.database = database
        self.settings = SETTINGS
        self.count = 0

    def feed(self, title: str, **reading: Any) -> int:
        with self.database.write() as session:
            feed = Feed(
                url=f"https://{title.lower().replace(' ', '-')}.example/feed", title=title, added_at=NOW, next_at=NOW
            )
            session.add(feed)
            session.flush()
            newsletter_id = store.newsletter(session, "daily").id
            session.add(NewsletterFeed(newsletter_id=newsletter_id, feed_id=feed.id, added_at=NOW, **reading))
            assert feed.id is not None
            return feed.id

    def entry(self, feed_id: int, title: str = "", **values: Any) -> int:
        self.count += 1
        values = {
            "published_at": NOW - timedelta(hours=1),
            "seen_at": NOW,
            "url": f"https://site{feed_id}.example/{self.count}",
        } | values
        with self.database.write() as session:
            entry = Entry(
                feed_id=feed_id, key=str(self.count), title=title or f"Something number {self.count}", **values
            )
            session.add(entry)
            session.flush()
            assert entry.id is not None
            return entry.id

    def admit(self, now: datetime = NOW) -> edition.Admitted:
        with self.database.write() as session:
            return edition.admit(session, "daily", self.settings, CURATE, now=now)

    def old_feed(self, title: str, **reading: Any) -> int:
        """A feed about which a decision was made before."""
        feed_id = self.feed(title, **reading)
        self.entry(feed_id, f"First light of {title}", published_at=NOW - timedelta(days=20))
        self.admit(NOW - timedelta(days=20))
        return feed_id

    def stories(self) -> list[Story]:
        with self.database.read() as session:
            return list(session.exec(select(Story).order_by(Story.seq)))

    def titles(self) -> list[str]:
        return [story.title for story in self.stories()]

    def admission(self, entry_id: int) -> Admission:
        with self.database.read() as session:
            return session.exec(select(Admission).where(Admission.entry_id == entry_id)).one()


@pytest.fixture
def desk(database: store.Database) -> Desk:
    return Desk(database)


def test_an_entry_is_decided_about_once(desk: Desk) -> None:
    desk.entry(desk.feed("Ada"), "Postgres 19 is out")
    assert desk.admit() == edition.Admitted(stories=1)
    assert desk.admit() == edition.Admitted()
    assert desk.titles() == ["Postgres 19 is out"]


def test_a_new_feed_brings_its_newest_few_and_the_rest_is_marked_seen(desk: Desk) -> None:
    feed = desk.feed("Archive")
    for age in range(40):
        desk.entry(feed, f"Day {age}", published_at=NOW - timedelta(days=age))
    assert desk.admit() == edition.Admitted(stories=3, held=37)
    assert desk.titles() == ["Day 2", "Day 1", "Day 0"]


@pytest.mark.parametrize(
    "date", [None, datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)]
)
def test_a_new_feed_without_usable_dates_brings_its_first_entries(desk: Desk, date: datetime | None) -> None:
    feed = desk.feed("Undated")
    for place in range(10):
        desk.entry(feed, f"Place {place}", published_at=date)
    desk.admit()
    assert desk.titles() == ["Place 0", "Place 1", "Place 2"]
    assert all(story.published_at == NOW for story in desk.stories())


def test_a_feed_that_floods_gives_its_newest_few(desk: Desk) -> None:
    feed = desk.old_feed("Loud")
    entries = [desk.entry(feed, f"Flood {n}", published_at=NOW - timedelta(minutes=n)) for n in range(30)]
    assert desk.admit() == edition.Admitted(stories=5, held=25)
    assert "30 entries at once" in desk.admission(entries[29]).reason


def test_an_old_entry_of_a_known_feed_is_a_story_all_the_same(desk: Desk) -> None:
    feed = desk.old_feed("Back-dater")
    entry = desk.entry(feed, "Written long ago", published_at=NOW - timedelta(days=900))
    assert desk.admit().stories == 1
    assert desk.admission(entry).decision == Decision.STORY


def test_stories_are_read_by_seq_and_name_who_else_tells_them(desk: Desk) -> None:
    one, two = desk.old_feed("Ada"), desk.old_feed("Bob")
    desk.entry(one, "Kafka 5 is out", url="https://kafka.example/5?utm_source=rss")
    desk.entry(two, "Kafka 5 is out", url="http://www.kafka.example/5/")
    assert desk.admit() == edition.Admitted(stories=1, joined=1)
    with desk.database.read() as session:
        newsletter = store.newsletter(session, "daily")
        assert newsletter.id is not None
        (story,) = store.stories_since(session, newsletter.id, since=newsletter.seq - 1, upto=newsletter.seq)
    assert [source.title for source in story.also] == ["Bob"]
    chosen = curate.pick([story], topics=frozenset(), limit=10, curate=CURATE, now=NOW)
    assert chosen.lead == story and chosen.more == 0
