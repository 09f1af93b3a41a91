"""What is held at a time, in bytes for each thing more: an archive fits into memory however long it is."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import on_sqlite

from digest import config as settings_file
from digest import edition
from digest.curate.stories import group
from digest.curate.tellings import Telling
from digest.models import Edition, Feed, NewsletterFeed
from digest.parse import gist
from digest.store import Database, newsletters, undecided
from digest.store import witness as witnesses
from digest.store.journal import Journal
from digest.store.story_tables import Entry

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MUTE = {"title": "quiet", "mute": True}
SETTINGS = settings_file.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>", "rules": [MUTE]})
CURATE = settings_file.Curate()
EVIDENCE = {"fetches": 9, "kept": {name: [40, 1] for name in ("guid", "link", "title", "date", "text")}, "entries": 20}


def peak(work: Callable[[], object]) -> int:
    """The most bytes that a piece of work holds at a time, beside what was there before, and without its garbage."""
    gc.collect()
    seldom = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        gc.set_threshold(*seldom)


@pytest.fixture
def bring(database: Database) -> Callable[[str, int, int], None]:
    """Store so many new feeds with so many entries each, of which the newest three are taken."""
    newsletters.keep(database, {"daily": SETTINGS}, now=NOW)
    text = gist.pack(gist.of("", "A text of some words."))

    def store(name: str, feeds: int, entries: int) -> None:
        with database.write() as session:
            paper = newsletters.find(session, "daily").id
            for n in range(feeds):
                url = f"https://{name.replace(' ', '-')}{n}.example/feed"
                feed = Feed(url=url, title=f"{name} {n}", added_at=NOW, next_at=NOW, evidence=EVIDENCE)
                session.add(feed)
                session.flush()
                session.add(NewsletterFeed(newsletter_id=paper, feed_id=feed.id, added_at=NOW))
                common: dict[str, Any] = {"feed_id": feed.id, "seen_at": NOW, "gist": text}
                rows = [
                    common
                    | {
                        "key": str(m),
                        "title": f"{name} entry {n} number {m} of a long archive",
                        "url": f"{url}/{m}",
                        "published_at": NOW - timedelta(hours=m),
                    }
                    for m in range(entries)
                ]
                session.execute(sa.insert(Entry), rows)
                undecided.begins(session, paper or 0, [feed.id or 0])

    return store


@pytest.mark.long
@on_sqlite
def test_what_is_held_of_an_archive_takes_its_number_and_no_more(
    database: Database, bring: Callable[[str, int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("digest.edition.admit"), "ENTRIES", 50)

    def admitted(name: str, feeds: int) -> int:
        """Of eight feeds of a hundred entries, three each are taken; of so many more, none."""
        bring(name, 8, 100)
        bring(f"quiet {name}", feeds, 100)
        done = []
        held = peak(lambda: done.append(edition.take_in(database, "daily", SETTINGS, CURATE, now=NOW)))
        found = done[0]
        assert (found.stories + found.joined, found.held, found.muted) == (24, 8 * 97, feeds * 100)
        return held

    admitted("warm", 4)  # statements, patterns and words are made once
    few, many = admitted("few", 4), admitted("many", 28)
    assert (many - few) / (24 * 100) < 150, (few, many)


@pytest.mark.long
@on_sqlite
def test_what_the_witness_is_told_of_an_edition_takes_little_more_than_its_text(
    database: Database, bring: Callable[[str, int, int], None], tmp_path: Path
) -> None:
    database.witness = witnesses.Witness(Journal(tmp_path / "witness"), clock=lambda: NOW)

    def noted(number: int, feeds: int) -> int:
        bring(f"of number {number}", feeds, 25)
        edition.take_in(database, "daily", SETTINGS, CURATE, now=NOW)

        def compose() -> None:
            with database.write() as session:
                paper = newsletters.lock(session, "daily")
                values = {"newsletter_id": paper.id, "number": number, "composed_at": NOW, "upto_seq": paper.seq}
                session.add(one := Edition(**values, title="Daily", sender="Daily <news@example.org>"))
                session.flush()
                witnesses.note_edition(session, one.id or 0)

        return peak(compose)

    noted(1, 1)
    few, many = noted(2, 20), noted(3, 40)  # rows are read by 500
    assert (many - few) / (20 * 25) < 300, (few, many)


@pytest.mark.long
def test_titles_that_are_compared_take_little_beside_themselves() -> None:
    chance = random.Random(1)

    def word() -> str:
        return "".join(chance.choice("bcdfglmnprstvz") + chance.choice("aeiou") for _ in range(4))

    def compared(number: int) -> int:
        told = [
            Telling(
                id=n,
                title=f"{word()} database index {word()} {word()}",
                links=(f"https://site{n}.example/{n}",),
                feed=n,
                when=NOW - timedelta(hours=chance.randrange(48)),
                text=" ".join(word() for _ in range(80)),
            )
            for n in range(number)
        ]
        group(told)  # what is kept of words from one grouping to the next has a bound, and leaps as it grows
        return peak(lambda: group(told))

    few, many = compared(150), compared(600)
    assert (many - few) / 450 < 3_500, (few, many)
