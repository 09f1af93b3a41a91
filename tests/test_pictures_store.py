"""The rows of pictures, on both databases."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from conftest import MONDAY
from sqlmodel import select
from test_clock import fill

from digest.config import Smtp
from digest.store import Database, pictures, stories
from digest.store.picture_tables import EntryPicture, PictureFile
from digest.store.story_tables import Entry, Story

HOUR = timedelta(hours=1)
FOUND = pictures.Found(
    "https://a.example/p.jpg",
    '"v1"',
    "",
    "00ff00ff00ff00ff-15",
    1200,
    800,
    "#123456",
    "h" * 64,
    1040,
    693,
    "t" * 64,
    "s" * 64,
)
FILES = {name * 64: name.encode() * 9 for name in "hts"}


def test_a_picture_is_claimed_kept_found_again_and_forgotten(database: Database, config) -> None:
    fill(database, config)
    with database.write() as session:
        session.execute(sa.delete(EntryPicture))
        session.execute(sa.delete(PictureFile))
        [entry_id] = session.exec(select(Entry.id))
        [story_id] = session.exec(select(Story.id))
        session.execute(sa.update(Entry).values(withdrawn_at=None))

    def claim(at) -> bool:
        with database.write() as session:
            return pictures.claim(session, entry_id, lease=HOUR, now=at)

    with database.read() as session:
        [one] = pictures.candidates(session, [story_id], now=MONDAY)
    assert (one.entry_id, one.feed_url) == (entry_id, "https://feeds.example/a")
    assert [claim(MONDAY), claim(MONDAY + HOUR / 2)] == [True, False]
    with database.write() as session:
        pictures.refuse(session, entry_id, [("https://a.example/", "answers 503")], next_at=MONDAY)
    assert claim(MONDAY + HOUR)
    with database.write() as session:
        pictures.keep(session, entry_id, FOUND, [("https://a.example/x", "is an icon"), (FOUND.url, "")], FILES)
        pictures.keep(session, entry_id, FOUND, [("https://a.example/x", "is an icon"), (FOUND.url, "")], FILES)
    assert not claim(MONDAY + 9 * HOUR)
    with database.read() as session:
        assert pictures.candidates(session, [story_id], now=MONDAY + 9 * HOUR) == []
        assert pictures.known(session, FOUND.url, now=MONDAY + HOUR) == (FOUND, MONDAY + HOUR)
        told = [stories.told(session, session.get_one(Story, story_id))]
        shown = pictures.of_stories(session, told)[story_id]
        assert (shown.hero.width, shown.hero.height, shown.hero.bytes, shown.thumb.width) == (520, 346, 9, 96)
        assert pictures.data(session, ["t" * 64, "x" * 64]) == {"t" * 64: b"t" * 9}
        assert pictures.refused_of(session, one.feed_id) == {"https://a.example/x": "is an icon"}
        assert pictures.fate(session, entry_id).url == FOUND.url
    with database.write() as session:
        assert pictures.prune(session, now=MONDAY + timedelta(days=30), days=7, most=10**9, limit=9) == 3
    with database.read() as session:
        assert pictures.of_stories(session, told) == {}
        assert pictures.known(session, FOUND.url, now=MONDAY + HOUR) is None
    with database.write() as session:
        pictures.prune(session, now=MONDAY + timedelta(days=90), days=7, most=10**9, limit=9)
        assert session.exec(select(EntryPicture)).all() == []


def test_a_copy_stays_for_longer_than_a_letter_that_brings_it_along_may_be_tried() -> None:
    longest = next(bound.le for bound in Smtp.model_fields["lifetime_hours"].metadata if hasattr(bound, "le"))
    assert timedelta(hours=longest) < pictures.KEPT
