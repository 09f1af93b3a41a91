"""Collecting over real HTTP on loopback, into a real database file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

import pytest
from sqlmodel import select

from digest import collect, parse, store
from digest.config import Config
from digest.models import Entry, Feed
from digest.store import Database

MONDAY = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def rss(*titles: str, title: str = "Ours", head: str = "", guids: bool = True) -> bytes:
    """A feed of one entry per title, an hour apart."""
    items = "".join(
        f"<item><title>{escape(t)}</title><link>https://example.org/{abs(hash(t))}</link>"
        + (f'<guid isPermaLink="false">{escape(t)}</guid>' if guids else "")
        + f"<pubDate>{format_datetime(MONDAY - timedelta(hours=n))}</pubDate>"
        f"<description>About {escape(t)}.</description></item>"
        for n, t in enumerate(titles)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>{title}</title>'
        f"<link>https://example.org/</link><description>d</description>{head}{items}</channel></rss>"
    ).encode()


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """A web server on loopback that answers as a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Reply | Callable[[Any], None]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path
                site.asked.append((path, {k.lower(): v for k, v in self.headers.items()}))
                reply = site.pages.get(path, Reply(status=404))
                if not isinstance(reply, Reply):
                    reply(self)
                    return
                tag = reply.headers.get("ETag")
                if tag and self.headers.get("If-None-Match") == tag:
                    reply = Reply(status=304, headers=reply.headers)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = store.open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True)
    store.keep_newsletters(database, ["daily"], now=MONDAY)
    yield database
    database.close()


def settings(**values: Any) -> Config:
    return Config.model_validate(
        {
            "secret_key": "0123456789abcdef",
            "collect": {"allow_private_addresses": True, "contact": "https://news.example/", **values},
            "newsletters": {
                "daily": {"title": "Daily", "from": "news@example.org", "topics": {"ai": {"title": "A.I."}}}
            },
        }
    )


def run(
    database: Database, config: Config | None = None, *, now: datetime = MONDAY, **options: Any
) -> collect.CollectReport:
    return asyncio.run(collect.run(database, config or settings(), clock=lambda: now, rng=Random(1), **options))


def add(database: Database, *urls: str) -> list[int]:
    return [collect.add_feed(database, url, newsletter="daily", now=MONDAY).feed_id for url in urls]


def feed(database: Database, number: int = 1) -> Feed:
    with database.read() as session:
        found = session.get(Feed, number)
        assert found is not None
        return found


def titles(database: Database) -> list[str]:
    with database.read() as session:
        return [entry.title for entry in session.exec(select(Entry).order_by(Entry.id))]  # type: ignore[arg-type]


def test_new_entries_are_stored_once_the_oldest_first(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("two", "one"))
    add(database, site.base + "/feed")
    assert run(database).new == 2
    site.pages["/feed"] = Reply(rss("three", "two", "one"))
    assert run(database, now=MONDAY + timedelta(days=1)).new == 1
    assert titles(database) == ["one", "two", "three"]


def test_an_unchanged_feed_is_asked_conditionally_and_never_parsed(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"), headers={"ETag": '"a"', "Last-Modified": "Mon, 02 Mar 2026 07:00:00 GMT"})
    add(database, site.base + "/feed")
    run(database)
    report = run(database, now=MONDAY + timedelta(days=1))
    assert (report.unchanged, report.new) == (1, 0)
    _, headers = site.asked[1]
    assert headers["if-none-match"] == '"a"'
    assert headers["if-modified-since"] == "Mon, 02 Mar 2026 07:00:00 GMT"
    assert headers["user-agent"].endswith("(+https://news.example/)")


def test_a_feed_that_is_not_due_is_left_alone_unless_forced(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    run(database)
    assert run(database, now=MONDAY + timedelta(minutes=1)).asked == 0
    assert run(database, now=MONDAY + timedelta(minutes=1), force=True).asked == 1


def test_a_bad_feed_costs_the_others_nothing(database: Database, site: Site) -> None:
    site.pages["/good"] = Reply(rss("one"))
    site.pages["/page"] = Reply(b"<!doctype html><html><body>parked</body></html>")
    add(database, site.base + "/missing", site.base + "/page", site.base + "/good")
    report = run(database)
    assert (report.new, report.failed) == (1, 2)
    assert {f.reason for f in report.failures} == {"answers 404 (not found)", parse.feeds.WEB_PAGE}
    assert feed(database, 1).failures == 1
    assert feed(database, 1).next_at > MONDAY


def test_adding_a_feed_twice_is_safe(database: Database) -> None:
    first = collect.add_feed(database, "https://example.org/feed", newsletter="daily", now=MONDAY)
    second = collect.add_feed(database, "https://example.org/feed", newsletter="daily", now=MONDAY, topic="ai")
    assert (first.created, second.created, second.read) == (True, False, False)
    with database.read() as session:
        [(_, readers)] = store.feeds(session)
    assert readers == (store.Reader("daily", "ai", ""),)


def test_a_folder_named_like_a_topic_gives_its_feeds_that_topic(database: Database) -> None:
    config = settings()
    outlines = [
        parse.Outline("https://a.example/feed", "A", folders=("Work", "AI")),
        parse.Outline("https://b.example/feed", "B", folders=("Work",)),
        parse.Outline("not an address", "C"),
    ]
    report = collect.import_feeds(database, outlines, name="daily", newsletter=config.newsletters["daily"], now=MONDAY)
    assert (report.created, report.read, report.topics) == (2, 2, {"ai": 1})
    assert report.bad == ["C: not an address"]
    again = collect.import_feeds(database, outlines, name="daily", newsletter=config.newsletters["daily"], now=MONDAY)
    assert (again.created, again.read, again.known) == (0, 0, 2)


def test_a_rehearsed_run_leaves_no_trace(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    with database.rehearse() as rehearsal:
        assert run(rehearsal).new == 1
    assert titles(database) == []
    assert feed(database).checked_at is None
