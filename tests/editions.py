"""Whole editions to look at, from the bytes of feeds to the page that is rendered, all in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from conftest import MONDAY

from digest import edition, parse
from digest.config import from_values
from digest.demo.site import FEEDS, sample
from digest.models import Feed, NewsletterFeed
from digest.render import Page
from digest.store import feed_entries, newsletters, open_database

Told = tuple[str, str, str, bytes]  # address, title ("" is the feed's own), topic, bytes


def demo_feeds() -> Iterable[Told]:
    """The demo's feeds as they stand on MONDAY."""
    for name, title, topic in FEEDS:
        yield f"https://feeds.example/{name}", title, topic or "", sample(name, now=MONDAY).encode()


def real_feeds(corpus: Path, *, largest: int = 40_000) -> Iterable[Told]:
    """What real sites publish: the feeds of the corpus that are quick to read."""
    for path in sorted((corpus / "feeds").iterdir()):
        if path.suffix != ".tsv" and path.stat().st_size <= largest:
            yield f"https://real.example/{path.name}", "", "", path.read_bytes()


def page_of(folder: Path, told: Iterable[Told], **settings: object) -> Page:
    """The page of the next edition, with nobody subscribed yet. `settings` are those of the newsletter."""
    news = {
        "title": "The Distributed Daily",
        "from": "The Distributed Daily <daily@digest.example>",
        "postal_address": "The Distributed Daily, 1 Example Street, 10115 Berlin, Germany",
        "schedule": "weekdays 07:00 Europe/Berlin",
    }
    config = from_values(
        {
            "database": "digest.db",
            "base_url": "https://digest.example",
            "secret_key": "a key for tests, long enough",
            "curate": {"newest_of_new_feed": 12},
            "newsletters": {"daily": news | settings},
        },
        folder / "digest.toml",
        environment=False,
    )
    database = open_database(config.database_url, create=True)
    with contextlib.closing(database):
        newsletters.keep(database, config.newsletters, now=MONDAY)
        with database.write() as session:
            paper = newsletters.find(session, "daily")
            for url, title, topic, body in told:
                parsed = parse.feed(body, url=url, now=MONDAY)
                feed = Feed(url=url, title=title or parsed.title or url, added_at=MONDAY, next_at=MONDAY)
                session.add(feed)
                session.flush()
                session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic=topic, added_at=MONDAY))
                rows = [
                    vars(entry)
                    | {"categories": list(entry.categories), "enclosures": [asdict(e) for e in entry.enclosures]}
                    for entry in parsed.entries
                ]
                feed_entries.save_entries(session, feed.id, rows, now=MONDAY)
        with database.write() as session:
            edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
        with database.read() as session:
            draft = edition.preview(session, "daily", config, now=MONDAY)
    assert draft is not None
    return draft.page
