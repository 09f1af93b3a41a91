"""Collecting over real HTTP on loopback, into a real database file."""

from __future__ import annotations

import asyncio
import gzip
import json
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

import deadly
import h2.config
import h2.connection
import h2.events
import pytest
import trustme
from conftest import begun
from corpus import CORPUS
from sqlmodel import Session, select
from typer.testing import CliRunner, Result

from digest import collect, parse
from digest.cli import app
from digest.collect import addresses, fetch, rhythm, workers
from digest.collect.hosts import Hosts
from digest.collect.run import _Run
from digest.collect.workers import Parsers
from digest.config import Collect, Config
from digest.errors import CommitUnknown, FetchError, StorageError
from digest.models import Feed, FeedState
from digest.parse import worker
from digest.store import Database, feed_claims, feeds, newsletters
from digest.store.story_tables import Entry

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

    def __init__(self, secure: ssl.SSLContext | None = None) -> None:
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
        if secure is not None:
            self._server.socket = secure.wrap_socket(self._server.socket, server_side=True)
            self.base = f"https://feeds.example:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    @property
    def logins(self) -> list[str]:
        """What each request said of who asks."""
        return [headers.get("authorization", "") for _, headers in self.asked]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def database(tmp_path: Path, upgraded_sqlite: Path) -> Iterator[Database]:
    database = begun(tmp_path / "digest.db", ["daily"], now=MONDAY, upgraded=upgraded_sqlite)
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


async def at_home(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


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
    assert {f.reason for f in report.failures} == {"answers 404 (not found)", parse.WEB_PAGE}
    assert feed(database, 1).failures == 1
    assert feed(database, 1).next_at > MONDAY


def test_adding_a_feed_twice_is_safe(database: Database) -> None:
    first = collect.add_feed(database, "https://example.org/feed", newsletter="daily", now=MONDAY)
    second = collect.add_feed(database, "https://example.org/feed", newsletter="daily", now=MONDAY, topic="ai")
    assert (first.created, second.created, second.read) == (True, False, False)
    with database.read() as session:
        [(_, readers)] = feeds.listed(session)
    assert readers == (feeds.Reader("daily", "ai", ""),)


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


NESTED = """<opml version="1.0"><head><title>Mine</title></head><body>
  <outline text="Loose &amp; free" xmlUrl="https://loose.example/rss" description="What &quot;loose&quot; means"/>
  <outline text="Work/Play"><outline text="AI" title="AI">
    <outline title="Zürich, täglich" text="z" xmlUrl="https://z.example/feed?a=1&amp;b=2" htmlUrl="https://z.example/"
      category="reading,later"/></outline>
    <outline text="Twice" xmlUrl="https://twice.example/"/></outline>
  <outline text="Новости"><outline text="Twice" xmlUrl="https://twice.example/"/></outline>
</body></opml>"""


def imported(database: Database, outlines: list[parse.Outline], name: str = "daily") -> collect.ImportReport:
    return collect.import_feeds(database, outlines, name=name, newsletter=settings().newsletters["daily"], now=MONDAY)


def exported(database: Database, name: str = "daily") -> list[parse.Outline]:
    return parse.opml(collect.export_feeds(database, newsletter=name, title="Mine", now=MONDAY).encode())


def test_a_list_is_exported_as_it_was_imported(database: Database) -> None:
    outlines = parse.opml(NESTED.encode())
    assert len(outlines) == 4
    imported(database, outlines)
    assert exported(database) == outlines


def test_an_operators_own_title_stays_and_a_publishers_follows_the_publisher(database: Database, site: Site) -> None:
    site.pages["/a"], site.pages["/b"], site.pages["/c"] = (Reply(rss("one", title=name)) for name in "ABC")
    names = {"/a": "My own", "/b": "B", "/c": ""}
    imported(database, [parse.Outline(site.base + path, name) for path, name in names.items()])
    run(database)
    assert [feed(database, n).title for n in (1, 2, 3)] == ["My own", "B", "C"]
    for path in names:
        site.pages[path] = Reply(rss("two", title="Renamed"))
    run(database, now=MONDAY + timedelta(days=1))
    assert [feed(database, n).title for n in (1, 2, 3)] == ["My own", "Renamed", "Renamed"]
    assert exported(database)[0].title == "My own"


def test_a_rehearsed_run_leaves_no_trace(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    with database.rehearse() as rehearsal:
        assert run(rehearsal).new == 1
    assert titles(database) == []
    assert feed(database).checked_at is None


# ---------------------------------------------------------------- identity over time


def test_an_edited_entry_is_updated_and_is_no_new_one(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    run(database)
    site.pages["/feed"] = Reply(rss("one").replace(b"About one.", b"About one, corrected."))
    report = run(database, now=MONDAY + timedelta(days=1))
    assert (report.new, report.edited) == (0, 1)
    with database.read() as session:
        [entry] = session.exec(select(Entry))
    assert (entry.summary, entry.seen_at) == ("About one, corrected.", MONDAY)


def test_guids_that_change_at_each_fetch_give_no_new_entries(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("two", "one"))
    add(database, site.base + "/feed")
    run(database)
    for day in (1, 2):
        fresh = rss("two", "one").replace(b'"false">', b'"false">%d-' % day)
        site.pages["/feed"] = Reply(fresh)
        assert run(database, now=MONDAY + timedelta(days=day)).new == 0
    assert titles(database) == ["one", "two"]


def test_the_same_title_again_on_another_day_is_a_new_entry(database: Database, site: Site) -> None:
    def status(day: int) -> bytes:
        date = format_datetime(MONDAY + timedelta(days=day))
        item = (
            f"<item><title>All well</title><link>https://s.example/</link><guid>{day}</guid><pubDate>{date}</pubDate>"
        )
        return f"<rss version='2.0'><channel><title>S</title>{item}</item></channel></rss>".encode()

    add(database, site.base + "/feed")
    for day in range(3):
        site.pages["/feed"] = Reply(status(day))
        assert run(database, now=MONDAY + timedelta(days=day)).new == 1


def test_two_alike_in_one_feed_are_two(database: Database, site: Site) -> None:
    add(database, site.base + "/feed")
    item = "<item><title>All well</title><link>https://s.example/</link><guid>{}</guid><description>ok</description></item>"
    for day, guids in enumerate(("1", "21")):
        items = "".join(map(item.format, guids))
        site.pages["/feed"] = Reply(f"<rss version='2.0'><channel>{items}</channel></rss>".encode())
        assert run(database, now=MONDAY + timedelta(days=day)).new == 1


# ---------------------------------------------------------------- manners


def test_a_permanent_redirect_is_followed_for_good_after_two_runs(database: Database, site: Site) -> None:
    site.pages["/old"] = Reply(status=301, headers={"Location": "/new"})
    site.pages["/new"] = Reply(rss("one"))
    add(database, site.base + "/old")
    run(database)
    assert feed(database).url == site.base + "/old"
    report = run(database, now=MONDAY + timedelta(days=1))
    assert feed(database).url == site.base + "/new"
    assert feed(database).former_urls == [{"url": site.base + "/old", "until": "2026-03-03T07:00:00+00:00"}]
    assert [change.words for change in report.changes] == [f"moved to {site.base}/new"]
    run(database, now=MONDAY + timedelta(days=2))
    assert site.paths()[-1] == "/new"
    with database.read() as session:
        assert feeds.find(session, site.base + "/old").id == 1


def test_a_temporary_redirect_is_followed_and_forgotten(database: Database, site: Site) -> None:
    site.pages["/old"] = Reply(status=302, headers={"Location": "/new"})
    site.pages["/new"] = Reply(rss("one"))
    add(database, site.base + "/old")
    for day in range(3):
        run(database, now=MONDAY + timedelta(days=day))
    assert (feed(database).url, feed(database).moved_to) == (site.base + "/old", "")
    assert titles(database) == ["one"]


def test_two_feeds_that_move_to_one_address_become_one(database: Database, site: Site) -> None:
    for name in ("/a", "/b"):
        site.pages[name] = Reply(status=308, headers={"Location": "/new"})
    site.pages["/new"] = Reply(rss("one"))
    add(database, site.base + "/a", site.base + "/b")
    run(database)
    run(database, now=MONDAY + timedelta(days=1))
    with database.read() as session:
        states = {f.url: (f.state, len(readers)) for f, readers in feeds.listed(session)}
    assert sorted(states.values()) == [("active", 1), ("retired", 0)]
    assert states[site.base + "/new"] == ("active", 1)


def test_a_feed_that_falls_silent_is_told_once_and_when_it_speaks_again(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("four", "three", "two", "one"))
    add(database, site.base + "/feed")
    reports = [run(database, now=MONDAY + timedelta(days=day)) for day in (0, 9, 10)]
    site.pages["/feed"] = Reply(rss("five", "four", "three", "two", "one").replace(b"02 Mar 2026", b"13 Mar 2026"))
    reports.append(run(database, now=MONDAY + timedelta(days=12)))
    assert [[change.words for change in report.changes] for report in reports] == [
        [],
        ["is quiet since 2026-03-02, three times its usual gap"],
        [],
        ["has new entries again"],
    ]


def test_a_feed_that_is_gone_retires_and_is_told_once(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(status=410)
    add(database, site.base + "/feed")
    report = run(database)
    assert [(c.health, c.words) for c in report.changes] == [("retired", "is retired: answers 410 (gone for good)")]
    assert run(database, now=MONDAY + timedelta(days=30), force=True).asked == 0
    add(database, site.base + "/feed")
    assert run(database, now=MONDAY + timedelta(days=31)).asked == 1


def test_what_a_feed_leads_to_for_now_may_be_gone_and_the_feed_is_not(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(status=302, headers={"Location": "/old"})
    site.pages["/old"] = Reply(status=410)
    add(database, site.base + "/feed")
    assert [failure.reason for failure in run(database).failures] == ["answers 410 (gone for good)"]
    assert feed(database).state == FeedState.ACTIVE
    site.pages["/feed"] = Reply(status=301, headers={"Location": "/old"})
    run(database, now=MONDAY + timedelta(days=30))
    assert feed(database).state == FeedState.RETIRED


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("Mon, 02 Mar 2026 07:00:00 GMT", True),
        ("Tue, 03 Mar 2026 06:00:00 GMT", True),
        ("as it comes", True),
        ("Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("Mon, 02 Mar 2037 07:00:00 GMT", False),
        ("Wed, 04 Mar 2026 07:00:00 GMT", False),
    ],
)
def test_a_change_that_cannot_have_been_is_not_asked_about(
    database: Database, site: Site, said: str, *, sent: bool
) -> None:
    site.pages["/feed"] = Reply(rss("one"), headers={"Last-Modified": said})
    add(database, site.base + "/feed")
    for day in range(2):
        run(database, now=MONDAY + timedelta(days=day))
    assert site.asked[1][1].get("if-modified-since") == (said if sent else None)
    with database.write() as session:
        session.get_one(Feed, 1).last_modified = "Thu, 01 Jan 1970 00:00:00 GMT"
    run(database, now=MONDAY + timedelta(days=2))
    assert "if-modified-since" not in site.asked[2][1]


def test_of_a_document_that_is_cut_short_the_rest_is_asked_for_again(database: Database, site: Site) -> None:
    whole = rss("two", "one")
    items = [{"id": n, "title": n, "content_text": n} for n in ("b", "a")]
    other = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}).encode()
    for path, body in (("/feed", whole), ("/feed.json", other)):
        add(database, site.base + path)
        site.pages[path] = Reply(body[: body.rindex(b"title") - 5], headers={"ETag": '"a"', "Last-Modified": "x"})
    assert run(database).new >= 2
    for path, body in (("/feed", whole), ("/feed.json", other)):
        site.pages[path] = Reply(body, headers={"ETag": '"a"', "Last-Modified": "x"})
    run(database, now=MONDAY + timedelta(days=1))
    assert {"one", "two", "a", "b"} <= set(titles(database))
    assert (feed(database, 1).etag, feed(database, 2).etag) == ('"a"', '"a"')


def test_of_several_ways_to_go_on_the_first_is_taken_and_a_whole_part_is_the_whole(
    database: Database, site: Site
) -> None:
    def twice(handler: Any) -> None:
        handler.send_response(302)
        for target in ("/here", "/there"):
            handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    body = rss("one")
    site.pages |= {"/feed": twice, "/here": Reply(body, 206, {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"})}
    add(database, site.base + "/feed")
    assert (run(database).new, site.paths()) == (1, ["/feed", "/here"])
    site.pages["/here"] = Reply(body, 206, {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body) + 1}"})
    assert "a part of it" in run(database, now=MONDAY + timedelta(days=1)).failures[0].reason


def test_a_failing_feed_is_told_of_once_and_again_when_it_works(database: Database, site: Site) -> None:
    add(database, site.base + "/feed")
    reports = [run(database, now=MONDAY + timedelta(days=day)) for day in range(0, 50, 10)]
    told = [[change.health.value for change in report.changes] for report in reports]
    assert told == [[], [], ["failing"], [], []]
    assert feed(database).failing_since == MONDAY
    site.pages["/feed"] = Reply(rss("one"))
    changes = run(database, now=MONDAY + timedelta(days=60)).changes
    assert [(c.health.value, c.words) for c in changes] == [("ok", "works again")]
    assert (feed(database).failures, feed(database).failing_since, feed(database).error) == (0, None, "")


@pytest.mark.parametrize(
    ("status", "value"), [(429, "3600"), (503, format_datetime(MONDAY + timedelta(hours=1), usegmt=True))]
)
def test_a_server_that_asks_for_rest_gets_it_for_all_its_feeds(
    database: Database, site: Site, status: int, value: str
) -> None:
    site.pages["/limited"] = Reply(status=status, headers={"Retry-After": value})
    site.pages["/other"] = Reply(rss("one"))
    base = f"http://limited.example:{site.port}"
    first, second = add(database, base + "/limited", base + "/other")
    options: dict[str, Any] = {"config": settings(connections=1), "resolve": at_home}
    report = run(database, **options)
    assert (report.asked, report.failed) == (1, 1)
    assert site.paths() == ["/limited"]
    for number in (first, second):
        assert MONDAY + timedelta(hours=1) <= feed(database, number).next_at
    assert run(database, now=MONDAY + timedelta(minutes=50), **options).asked == 0
    assert run(database, now=MONDAY + timedelta(hours=3), **options).asked + 1 == len(site.asked)


def test_at_most_two_requests_at_once_to_one_host_and_others_do_not_wait(database: Database, site: Site) -> None:
    going, most, lock = 0, 0, threading.Lock()

    def count(handler: Any) -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        body = rss(handler.path)
        threading.Event().wait(0.05)
        with lock:
            going -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    for n in range(8):
        site.pages[f"/{n}"] = count
    add(database, *(f"http://busy.example:{site.port}/{n}" for n in range(8)))
    assert run(database, settings(host_gap_seconds=0), resolve=at_home).new == 8
    assert most == 2


def test_requests_to_one_host_are_spaced_and_other_hosts_do_not_wait() -> None:
    gap = 0.03
    starts: list[tuple[str, float]] = []

    async def scenario() -> None:
        hosts = Hosts(Collect(host_connections=2, host_gap_seconds=gap), clock=lambda: MONDAY)

        async def ask(host: str) -> None:
            async with hosts.turn(host):
                starts.append((host, asyncio.get_running_loop().time()))

        await asyncio.gather(*map(ask, ["busy.example"] * 4 + ["other.example", *["127.0.0.1"] * 3]))

    asyncio.run(scenario())
    busy = [at for host, at in starts if host == "busy.example"]
    assert all(later - earlier >= gap * 0.99 for earlier, later in pairwise(busy))
    # This machine is asked without ceremony, as often as wanted.
    assert sorted(host for host, _ in starts[:5]) == [*["127.0.0.1"] * 3, "busy.example", "other.example"]


def test_secrets_go_to_their_host_and_nowhere_else(database: Database, site: Site) -> None:
    elsewhere = Site()
    elsewhere.pages["/feed"] = Reply(rss("one"))
    site.pages["/private"] = Reply(status=302, headers={"Location": elsewhere.base + "/feed"})
    add(database, site.base.replace("http://", "http://ada:l%3Aace@") + "/private")
    run(database)
    elsewhere.close()
    assert site.asked[0][1]["authorization"] == "Basic YWRhOmw6YWNl"
    assert "authorization" not in elsewhere.asked[0][1]
    assert feed(database).url == site.base + "/private"


def test_a_secret_that_cannot_be_sent_is_not_told(database: Database, site: Site) -> None:
    add(database, site.base + "/feed")
    with database.write() as session:
        session.get_one(Feed, 1).headers = {"X-Key": "s3cret "}  # as an older release took it
    run(database)
    assert feed(database).error == "cannot be asked: a header that is set for it cannot be sent"


@pytest.fixture
def secure_site() -> Iterator[Site]:
    """The same over TLS, as feeds.example."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("feeds.example").configure_cert(context)
    with authority.cert_pem.tempfile() as trusted, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", trusted)
        site = Site(context)
        yield site
        site.close()


LOGIN = "Basic YWRhOmw6YWNl"


def with_login(url: str) -> str:
    return url.replace("://", "://ada:l%3Aace@")


@pytest.mark.parametrize("status", [301, 307])
def test_a_login_does_not_follow_a_redirect_to_another_port_nor_come_back_by_it(
    database: Database, site: Site, status: int
) -> None:
    elsewhere = Site()
    elsewhere.pages["/feed"] = Reply(status=status, headers={"Location": site.base + "/chosen"})
    site.pages["/private"] = Reply(status=status, headers={"Location": elsewhere.base + "/feed"})
    site.pages["/chosen"] = Reply(rss("one"))
    add(database, with_login(site.base) + "/private")
    for day in range(3):
        run(database, now=MONDAY + timedelta(days=day))
    elsewhere.close()
    assert LOGIN in site.logins and set(elsewhere.logins) == {""}
    assert next(login for path, login in zip(site.paths(), site.logins, strict=True) if path == "/chosen") == ""


@pytest.mark.thin(3)
@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize("around", [False, True], ids=["at once", "by a detour"])
def test_a_feed_over_tls_is_never_led_to_http_and_its_login_is_not_told_in_clear(
    database: Database, site: Site, secure_site: Site, status: int, around: bool
) -> None:
    plain = site.base.replace("127.0.0.1", "feeds.example")  # the same host, another scheme and port
    secure_site.pages["/detour"] = Reply(status=status, headers={"Location": plain + "/feed"})
    place = secure_site.base + "/detour" if around else plain + "/feed"
    secure_site.pages["/feed"] = Reply(status=status, headers={"Location": place})
    site.pages["/feed"] = Reply(rss("one"))
    add(database, with_login(secure_site.base) + "/feed")
    for day in range(3):
        run(database, now=MONDAY + timedelta(days=day), resolve=at_home)
    assert feed(database).url.startswith("https://") and feed(database).headers == {"Authorization": LOGIN}
    assert not feed(database).moved_to.startswith("http:")
    assert titles(database) == ["one"] and set(site.logins) == {""} and set(secure_site.logins) == {LOGIN}


def test_a_feed_that_moves_to_another_port_leaves_its_login_behind_and_says_so(database: Database, site: Site) -> None:
    elsewhere = Site()
    elsewhere.pages["/feed"] = Reply(rss("one"))
    site.pages["/feed"] = Reply(status=301, headers={"Location": elsewhere.base + "/feed"})
    add(database, with_login(site.base) + "/feed")
    said = [run(database, now=MONDAY + timedelta(days=day)).changes for day in range(3)]
    elsewhere.close()
    assert feed(database).url == elsewhere.base + "/feed" and feed(database).headers == {}
    assert "login stays behind" in said[1][0].words and set(elsewhere.logins) == {""}


def test_the_doctor_gives_no_login_to_another_port_and_leads_no_feed_to_http(
    database: Database, site: Site, secure_site: Site
) -> None:
    plain = site.base.replace("127.0.0.1", "feeds.example")
    secure_site.pages["/"] = page(alternate(plain + "/new"))
    site.pages["/new"] = Reply(rss("one"))
    add(database, with_login(secure_site.base) + "/lost")
    with database.write() as session:
        lost = session.get(Feed, 1)
        lost.failures, lost.failing_since, lost.error = 9, MONDAY, "answers 404"
        lost.site_url, lost.moved_to = plain + "/site", plain + "/new"
        session.add(lost)
    found = asyncio.run(collect.diagnose(database, settings(), clock=lambda: MONDAY, resolve=at_home))
    assert found == [] and set(site.logins) == {""}


@contextmanager
def http2_server(body: bytes, spoken: list[str]) -> Iterator[int]:
    """A TLS server on loopback that offers HTTP/2, gives `body` to each request and notes the version of each."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("feeds.example").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                stream = context.wrap_socket(plain, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            with stream:
                spoken.append(stream.selected_alpn_protocol() or "")
                connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
                connection.initiate_connection()
                stream.sendall(connection.data_to_send())
                while data := stream.recv(65536):
                    for event in connection.receive_data(data):
                        if isinstance(event, h2.events.RequestReceived):
                            connection.send_headers(event.stream_id, [(":status", "200"), ("etag", '"h2"')])
                            connection.send_data(event.stream_id, body, end_stream=True)
                    stream.sendall(connection.data_to_send())

    threading.Thread(target=serve, daemon=True).start()
    with authority.cert_pem.tempfile() as trusted, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", trusted)
        yield listener.getsockname()[1]
    listener.close()


def test_http2_is_spoken_where_it_is_offered_to_the_pinned_address(database: Database) -> None:
    spoken: list[str] = []
    with http2_server(rss("one"), spoken) as port:
        add(database, f"https://feeds.example:{port}/feed")
        report = run(database, resolve=at_home)
    assert (report.new, report.failures, spoken) == (1, [], ["h2"])
    assert feed(database).etag == '"h2"'


def test_a_certificate_for_another_host_is_refused_in_words(database: Database) -> None:
    with http2_server(rss("one"), []) as port:
        reason = fails(database, f"https://other.example:{port}/feed", resolve=at_home)
    assert reason.startswith("has a certificate for another name: ")


# ---------------------------------------------------------------- bounds


def fails(database: Database, url: str, *, config: Config | None = None, **options: Any) -> str:
    """The reason for which collecting `url` fails."""
    add(database, url)
    [failure] = run(database, config, **options).failures
    return failure.reason


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.1",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
    ],
)
def test_private_addresses_are_refused_in_every_spelling(database: Database, host: str) -> None:
    config = settings(allow_private_addresses=False)
    assert "private address" in fails(database, f"http://{host}:9/feed", config=config)


def test_a_redirect_to_a_private_address_is_not_followed(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
    assert "leads to a private address (169.254.169.254)" in fails(database, site.base + "/feed")


def test_a_name_is_resolved_once_and_the_checked_address_is_asked(database: Database, site: Site) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    site.pages["/feed"] = Reply(rss("one"))
    add(database, f"http://rebind.example:{site.port}/feed")
    assert run(database, resolve=rebinding).new == 1
    assert site.asked[0][1]["host"] == f"rebind.example:{site.port}"


def test_a_name_that_leads_to_a_private_address_is_refused(database: Database, site: Site) -> None:
    async def inward(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "::ffff:10.0.0.1"]

    reason = fails(
        database, f"http://evil.example:{site.port}/", config=settings(allow_private_addresses=False), resolve=inward
    )
    assert "leads to a private address (evil.example is 127.0.0.1, ::ffff:10.0.0.1)" in reason
    assert site.asked == []


def test_redirects_come_to_an_end(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(status=302, headers={"Location": "/feed"})
    assert fails(database, site.base + "/feed") == "redirects more than 5 times"
    assert len(site.asked) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "javascript:1", "http://[::1/"])
def test_a_redirect_leads_to_the_web_only(database: Database, site: Site, target: str) -> None:
    site.pages["/feed"] = Reply(status=302, headers={"Location": target})
    assert "is no web address" in fails(database, site.base + "/feed")


GZIP = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"x" * 20_001), "is larger than 0.02 MB"),
        (Reply(gzip.compress(b" " * 50_000_000, 1), headers=GZIP), "is larger than 0.02 MB"),
        (
            Reply(gzip.compress(b"<rss>" * 900)[:-20], headers={"Content-Encoding": "gzip"}),
            "ends in the middle of its gzip data",
        ),
        (Reply(b"\x1f\x8b\x08" + b"nonsense" * 9, headers={"Content-Encoding": "gzip"}), "sends damaged gzip data"),
        (
            Reply(b"?", headers={"Content-Encoding": "compress"}),
            "answers in an encoding that was not asked for (compress)",
        ),
        (Reply(b""), "is empty"),
        (Reply(status=304), "answers 304 (not modified) although we have nothing of it yet"),
        (Reply(status=500), "answers 500 (server error)"),
        (Reply(status=401), "answers 401 (login required)"),
    ],
)
def test_a_bad_answer_is_named(database: Database, site: Site, reply: Reply, reason: str) -> None:
    site.pages["/feed"] = reply
    assert fails(database, site.base + "/feed", config=settings(max_bytes=20_000)) == reason


@pytest.mark.parametrize("coding", ["gzip", "deflate", "none", "two members"])
def test_packed_bodies_are_unpacked(database: Database, site: Site, coding: str) -> None:
    body = rss("one")
    packings = {
        "gzip": (gzip.compress(body), "gzip"),
        "deflate": (zlib.compress(body)[2:-4], "deflate"),
        "none": (body, "gzip"),  # says so, and is not
        "two members": (gzip.compress(body[:99]) + gzip.compress(body[99:]), "x-gzip"),
    }
    site.pages["/feed"] = Reply(packings[coding][0], headers={"Content-Encoding": packings[coding][1]})
    add(database, site.base + "/feed")
    assert run(database).new == 1


def test_a_body_cut_short_is_not_taken_for_whole(database: Database, site: Site) -> None:
    def half(handler: Any) -> None:
        body = rss("one", "two")
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True

    site.pages["/feed"] = half
    assert fails(database, site.base + "/feed") == "ends before its announced end"


def test_a_server_that_drips_has_so_long_in_all(database: Database, site: Site) -> None:
    stop = threading.Event()

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    site.pages["/feed"] = drip
    try:
        assert (
            fails(database, site.base + "/feed", config=settings(timeout_seconds=0.5)) == "took longer than 0.5 seconds"
        )
    finally:
        stop.set()


# feedparser looks for an address in each author, and takes the square of its length: many that are short enough. The
# document type leaves the feed to it. It is many times what the fastest machine reads in the seconds given.
SLOW = (b"<author>" + b"a" * 990 + b"</author>") * 4_000 + b"<pubDate>"


def to_feedparser(body: bytes) -> bytes:
    return body.replace(b"<rss", b"<!DOCTYPE rss><rss", 1)


def test_an_entry_that_takes_too_long_to_read_costs_itself_only(database: Database, site: Site) -> None:
    slow = to_feedparser(rss("one", "slow", "two"))
    place = slow.index(b"<pubDate>", slow.index(b"slow"))
    site.pages["/slow"] = Reply(slow[:place] + SLOW + slow[place + len(b"<pubDate>") :])
    site.pages["/good"] = Reply(rss("good"))
    add(database, site.base + "/slow", site.base + "/good")
    report = run(database, settings(parse_seconds=2))
    assert report.failures == [] and report.set_aside == 1
    with database.read() as session:
        entries = session.exec(select(Entry).order_by(Entry.title)).all()
    assert [entry.title for entry in entries] == ["good", "one", "slow", "two"]
    # Who says so first, the process or its parent, is all the same.
    assert [entry.fault[:9] for entry in entries] == ["", "", "it takes ", ""]


@pytest.mark.long
def test_a_feed_that_takes_too_long_to_read_costs_itself_only(database: Database, site: Site) -> None:
    editors = SLOW.removesuffix(b"<pubDate>").replace(b"author>", b"managingEditor>")
    slow = to_feedparser(rss("slow")).replace(b"<item>", editors + b"<item>", 1)
    site.pages["/slow"], site.pages["/good"] = Reply(slow), Reply(rss("good"))
    add(database, site.base + "/slow", site.base + "/good")
    report = run(database, settings(parse_seconds=1))
    assert [f.reason for f in report.failures] == ["takes longer than 1 seconds to read"]
    assert titles(database) == ["good"]


def test_a_process_that_is_long_in_starting_keeps_no_server_from_being_heard(monkeypatch) -> None:
    heard, start = threading.Event(), workers.Worker

    def slow() -> workers.Worker:
        assert heard.wait(5), "the loop waits for it"
        return start()

    async def scenario() -> parse.ParsedFeed:
        with Parsers(workers=1, seconds=60) as parsers:
            asyncio.get_running_loop().call_later(0, heard.set)
            return await parsers.parse(rss("one"), url="https://x.example/", content_type="", now=MONDAY)

    monkeypatch.setattr(workers, "Worker", slow)
    assert len(asyncio.run(scenario()).entries) == 1


def test_a_process_that_is_started_while_all_are_ended_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, ending, ended = threading.Event(), threading.Event(), []

    class Started:
        def __init__(self) -> None:
            if begun:
                starting.set()
                assert ending.wait(5)
            begun.append(self)

        def hang_up(self) -> None: ...

        def kill(self) -> None:
            ending.set()
            if not ended:
                assert added.wait(5)
            ended.append(self)

    class Watched(Parsers):
        def _another(self) -> Any:
            one = super()._another()
            if starting.is_set():
                added.set()
            return one

    async def scenario() -> None:
        with parsers:
            parsers._another()
            asking = asyncio.create_task(parsers.parse(b"", url="http://e.example/", content_type="", now=MONDAY))
            assert await asyncio.to_thread(starting.wait, 5)
            asking.cancel()

    begun: list[Started] = []
    added = threading.Event()
    monkeypatch.setattr(workers, "Worker", Started)
    parsers = Watched(workers=1, seconds=10)
    asyncio.run(scenario())
    assert len(ended) == 2 and ended == begun


def test_a_machine_that_lets_a_process_wait_costs_no_feed_anything() -> None:
    process = workers.Worker()
    task = worker.Task(rss("one"), "https://x.example/", "", MONDAY, 1.0)
    assert len(process.ask(task, 60, 60).entries) == 1
    os.kill(process._process.pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (process._process.pid, signal.SIGCONT)).start()
    assert len(process.ask(task, 0.1, 0.1).entries) == 1, "it was stopped for longer, and worked for less"
    process.kill()


def test_a_worker_that_dies_costs_no_feed_anything() -> None:
    async def scenario() -> list[object]:
        found: list[object] = []
        with Parsers(workers=1, seconds=10) as parsers:
            for kill in (False, True, False):
                if kill:
                    multiprocessing.active_children()[0].kill()
                parsed = await parsers.parse(rss("one"), url="http://e.example/", content_type="", now=MONDAY)
                found.append([entry.title for entry in parsed.entries])
        return found

    assert asyncio.run(scenario()) == [["one"]] * 3


@pytest.mark.parametrize(("how_many", "left"), [(1, 2), (2, 0)])
def test_entries_that_stop_their_process_are_set_aside_up_to_some(
    monkeypatch: pytest.MonkeyPatch, how_many: int, left: int
) -> None:
    monkeypatch.setattr(workers, "serve", deadly.serve)
    monkeypatch.setattr(workers, "SETBACKS", 1)
    titles = ["good", *(f"deadly {n}" for n in range(how_many)), "better"]

    async def scenario() -> parse.ParsedFeed:
        with Parsers(workers=1, seconds=10) as parsers:
            return await parsers.parse(rss(*titles), url="http://e.example/", content_type="", now=MONDAY)

    if not left:
        with pytest.raises(FetchError, match="stopped the process that read it"):
            asyncio.run(scenario())
        return
    found = asyncio.run(scenario()).entries
    assert [entry.title for entry in found if not entry.fault] == ["good", "better"]
    assert [entry.fault for entry in found if entry.fault] == [
        "it stopped the process that read it (exit code 9)"
    ] * how_many


def test_a_worker_whose_parent_is_gone_before_it_is_ready_ends_silently(capfd: Any) -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    process = multiprocessing.get_context("spawn").Process(target=worker.serve, args=(theirs, 170_000_000))
    process.start()
    process.join()
    assert process.exitcode == 0 and capfd.readouterr().err == ""


# ---------------------------------------------------------------- runs beside runs


def test_two_runs_at_once_ask_each_feed_once(database: Database, site: Site) -> None:
    for n in range(12):
        site.pages[f"/{n}"] = Reply(rss(f"entry {n}"))
    add(database, *(f"{site.base}/{n}" for n in range(12)))

    async def both() -> list[collect.CollectReport]:
        one = collect.run(database, settings(connections=2), clock=lambda: MONDAY)
        two = collect.run(database, settings(connections=2), clock=lambda: MONDAY)
        return list(await asyncio.gather(one, two))

    reports = asyncio.run(both())
    assert sum(report.asked for report in reports) == 12
    assert sorted(site.paths()) == sorted(f"/{n}" for n in range(12))


def test_a_killed_run_delays_its_feeds_by_minutes(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    with database.write() as session:  # as far as a run got that was killed
        feed_claims.claim(session, now=MONDAY, limit=10, lease=timedelta(minutes=10), asked_before=MONDAY)
    assert run(database).asked == 0
    assert run(database, now=MONDAY + timedelta(minutes=11)).new == 1


def test_a_feed_removed_while_it_is_asked_is_no_trouble(database: Database, site: Site) -> None:
    def remove(handler: Any) -> None:
        collect.remove_feed(database, "1", newsletter=None)
        body = rss("one")
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.pages["/feed"] = remove
    site.pages["/good"] = Reply(rss("good"))
    add(database, site.base + "/feed", site.base + "/good")
    assert run(database).new == 1
    assert titles(database) == ["good"]


def test_what_an_operator_does_to_a_feed_while_it_is_asked_stands(database: Database, site: Site) -> None:
    def retire(handler: Any) -> None:
        with database.write() as session:
            feeds.find(session, "1").state = FeedState.RETIRED
        handler.send_response(404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    site.pages["/feed"] = retire
    add(database, site.base + "/feed")
    assert run(database).asked == 0
    assert (feed(database).state, feed(database).failures) == (FeedState.RETIRED, 0)


# ---------------------------------------------------------------- when to ask again


def ask_again(**values: Any) -> timedelta:
    return rhythm.next_at(MONDAY, settings().collect, rng=Random(1), **values) - MONDAY


def test_the_next_request_follows_server_publisher_and_rhythm_within_bounds() -> None:
    hour = timedelta(hours=1)
    assert timedelta(minutes=14) < ask_again(gap=timedelta(minutes=1)) < timedelta(minutes=16)
    assert ask_again(gap=timedelta(minutes=1), max_age=2 * hour) == 2 * hour
    assert ask_again(gap=timedelta(minutes=1), ttl=3 * hour) == 3 * hour
    assert 1.5 * hour < ask_again(gap=24 * hour) < 2.5 * hour
    assert ask_again(gap=timedelta(days=400)) == ask_again(ttl=timedelta(days=400)) == 6 * hour


def test_skipped_hours_and_days_are_left_out() -> None:
    moment = MONDAY + ask_again(skip=[f"h{h}" for h in range(24) if h != 20])
    assert (moment.hour, moment.minute) == (20, 0)
    assert (MONDAY + ask_again(skip=["d0"])).weekday() == 1


def test_with_an_interval_of_nothing_every_run_asks() -> None:
    assert rhythm.next_at(MONDAY, settings(interval_minutes=0).collect, rng=Random(1), ttl=timedelta(days=1)) == MONDAY


def test_failures_back_off_to_a_week_and_no_further() -> None:
    waits = [rhythm.backoff(MONDAY, n, rng=Random(n)) - MONDAY for n in range(1, 40)]
    assert timedelta(minutes=20) < waits[0] < timedelta(minutes=40)
    assert waits[4] > waits[0] * 8
    assert max(waits) == waits[-1] == timedelta(days=7)
    assert rhythm.backoff(MONDAY, 1, rng=Random(1), retry_after=timedelta(hours=9)) == MONDAY + timedelta(hours=9)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", timedelta(seconds=120)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", timedelta(hours=1)),
        ("Mon, 02 Mar 2020 08:00:00 GMT", timedelta(0)),
        ("999999999", timedelta(days=1)),
        ("Fri, 02 Mar 2096 08:00:00 GMT", timedelta(days=1)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_capped(value: str, expected: timedelta | None) -> None:
    assert fetch.retry_after(value, now=MONDAY) == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("max-age=300", 300), ("public, Max-Age = 60", 60), ("no-cache, max-age=9", None), ("", None)],
)
def test_max_age_is_read_where_it_may_be_used(value: str, seconds: int | None) -> None:
    assert fetch.max_age(value) == (None if seconds is None else timedelta(seconds=seconds))


def test_a_feed_is_quiet_after_three_of_its_usual_gaps() -> None:
    def health(days: int, gap: int) -> str:
        entry_at = MONDAY - timedelta(days=days)
        return collect.health(
            collect.Vitals(FeedState.ACTIVE, 0, MONDAY, entry_at, timedelta(days=gap)), now=MONDAY
        ).value

    assert [health(6, 1), health(8, 1), health(50, 20), health(70, 20)] == ["ok", "quiet", "ok", "quiet"]


# ---------------------------------------------------------------- finding and mending


def look(site: Site, path: str) -> collect.Found:
    return asyncio.run(collect.look(site.base + path, settings(), clock=lambda: MONDAY))


def page(*links: str) -> Reply:
    return Reply(f"<!doctype html><html><head>{''.join(links)}</head></html>".encode())


def alternate(href: str) -> str:
    return f'<link rel="alternate" type="application/rss+xml" href="{href}">'


def test_a_site_is_given_and_its_feed_is_found(site: Site) -> None:
    site.pages["/"] = page(alternate("/blog.xml"))
    site.pages["/blog.xml"] = Reply(rss("one"))
    found = look(site, "/")
    assert found.feed is not None
    assert (found.url, found.feed.title) == (site.base + "/blog.xml", "Ours")


def test_a_page_with_several_feeds_gives_the_choice(site: Site) -> None:
    site.pages["/"] = page(alternate("/a.xml"), alternate("/b.xml"))
    assert [c.url for c in look(site, "/").choices] == [site.base + "/a.xml", site.base + "/b.xml"]


def test_rss_and_atom_of_one_site_are_no_question_and_one_that_is_gone_leaves_the_other(site: Site) -> None:
    site.pages["/"] = page(alternate("/comments/feed/"), alternate("/feed/"), alternate("/feed/atom/"))
    site.pages["/feed/atom/"] = Reply(rss("one"))
    assert look(site, "/").url == site.base + "/feed/atom/"


def test_a_header_names_the_feed_of_a_page(site: Site) -> None:
    site.pages["/"] = Reply(page().body, headers={"Link": '<blog.xml>; rel="alternate"; type="application/rss+xml"'})
    site.pages["/blog.xml"] = Reply(rss("one"))
    assert look(site, "/").url == site.base + "/blog.xml"


def test_a_page_that_sends_its_visitors_on_is_followed_a_few_times_and_not_in_circles(site: Site) -> None:
    def onwards(to: str) -> Reply:
        return page(f'<meta http-equiv="refresh" content="0; url={to}">')

    site.pages |= {"/": onwards("/en/"), "/en/": page(alternate("/blog.xml")), "/blog.xml": Reply(rss("one"))}
    assert look(site, "/").url == site.base + "/blog.xml"
    site.pages |= {
        "/a": onwards("/b"),
        "/b": onwards("/a"),
        "/own": onwards("/feed.atom"),
        "/feed.atom": Reply(rss("x")),
    }
    assert look(site, "/own").url == site.base + "/feed.atom"
    with pytest.raises(FetchError, match="no feed was found there"):
        look(site, "/a")
    assert sum(path in ("/a", "/b") for path, _ in site.asked) <= 3


@pytest.mark.parametrize("redirects", [False, True])
def test_who_sends_visitors_away_gets_no_secret_and_chooses_no_path_for_one(site: Site, redirects: bool) -> None:
    other = Site()
    refresh = page(f'<meta http-equiv="refresh" content="0; url={other.base}/">')
    site.pages["/"] = Reply(status=302, headers={"Location": other.base + "/"}) if redirects else refresh
    other.pages["/"] = page(alternate(site.base + "/blog.xml"))
    site.pages["/blog.xml"] = Reply(rss("one"))
    asyncio.run(collect.look(site.base + "/", settings(), clock=lambda: MONDAY, headers={"X-Key": "s3cret"}))
    assert [("x-key" in headers) for _, headers in [*site.asked, *other.asked]] == [True, False, False]
    other.close()


def test_a_page_that_names_no_feed_is_tried_at_the_usual_places(site: Site) -> None:
    site.pages["/blog/"] = page()
    site.pages["/atom.xml"] = Reply(rss("one"))
    assert look(site, "/blog/").url == site.base + "/atom.xml"


def test_a_page_without_any_feed_is_named(site: Site) -> None:
    site.pages["/"] = page()
    with pytest.raises(FetchError, match="no feed was found there"):
        look(site, "/")


@pytest.mark.long
def test_the_doctor_finds_where_a_lost_feed_went_and_retires_the_hopeless(database: Database, site: Site) -> None:
    gone = Site()
    site.pages["/old.xml"] = Reply(rss("one").replace(b"https://example.org/<", site.base.encode() + b"/<"))
    lost, hopeless = add(database, site.base + "/old.xml", gone.base + "/feed")
    run(database)
    del site.pages["/old.xml"]
    gone.close()
    site.pages["/"] = page(alternate("/new.xml"))
    site.pages["/new.xml"] = Reply(rss("two"))
    for day in range(10, 80, 10):
        run(database, now=MONDAY + timedelta(days=day))
    later = MONDAY + timedelta(days=90)
    repairs = asyncio.run(collect.diagnose(database, settings(), clock=lambda: later))
    assert [(r.feed_id, r.remedy.value, r.url) for r in repairs] == [
        (lost, "move", site.base + "/new.xml"),
        (hopeless, "retire", ""),
    ]
    for repair in repairs:
        collect.repair(database, repair, now=later)
    assert run(database, now=later).new == 1
    assert (feed(database, lost).url, feed(database, hopeless).state) == (site.base + "/new.xml", "retired")
    assert asyncio.run(collect.diagnose(database, settings(), clock=lambda: later)) == []


def test_the_doctor_joins_a_lost_feed_to_the_one_that_is_read_in_its_place(database: Database, site: Site) -> None:
    newsletters.keep(database, ["weekly"], now=MONDAY)
    site.pages["/old.xml"] = Reply(status=410)
    site.pages["/"] = page(alternate("/new.xml"))
    site.pages["/new.xml"] = Reply(rss("one"))
    old, new = add(database, site.base + "/old.xml", site.base + "/new.xml")
    collect.add_feed(database, site.base + "/old.xml", newsletter="weekly", topic="ai", now=MONDAY)
    run(database)
    [repair] = asyncio.run(collect.diagnose(database, settings(), clock=lambda: MONDAY))
    assert (repair.feed_id, repair.remedy.value, repair.url) == (old, "join", site.base + "/new.xml")
    collect.repair(database, repair, now=MONDAY)
    with database.read() as session:
        readers = {found.id: {(r.newsletter, r.topic) for r in readers} for found, readers in feeds.listed(session)}
    assert readers == {old: set(), new: {("daily", ""), ("weekly", "ai")}}
    assert feed(database, old).error == f"answers 410 (gone for good); {site.base}/new.xml is read instead"
    assert asyncio.run(collect.diagnose(database, settings(), clock=lambda: MONDAY)) == []


# ---------------------------------------------------------------- the command line


@pytest.fixture
def digest(tmp_path: Path, database: Database) -> Callable[..., Result]:
    """The command line, with settings for `database`."""
    settings = tmp_path / "digest.toml"
    settings.write_text(
        'secret_key = "0123456789abcdef"\n[collect]\nallow_private_addresses = true\n'
        '[newsletters.daily]\ntitle = "Daily"\nfrom = "news@example.org"\n[newsletters.daily.topics.ai]\n'
    )

    def call(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, ["--config", str(settings), *words], input=stdin)

    return call


def test_the_commands_take_a_feed_from_adding_to_removal(site: Site, digest: Any) -> None:
    site.pages["/"] = page(alternate("/feed"))
    site.pages["/feed"] = Reply(rss("two", "one"))
    added = digest("feed", "add", site.base, "--topic", "ai")
    assert (added.exit_code, added.stdout, added.stderr) == (0, "", "feed 1, Ours, is added\n")
    assert digest("feed", "add", site.base + "/feed").stderr == "feed 1, Ours, is known already\n"
    assert digest("collect").stderr == "collect: 1 feed asked, 2 new entries\n"
    assert digest("-q", "collect", "--force").stderr == ""
    [row] = json.loads(digest("feed", "list", "--json").stdout)
    assert (row["title"], row["read_by"], row["entries"]) == ("Ours", ["daily/ai"], 2)
    [row] = json.loads(digest("feed", "list", "--health", "--json").stdout)
    assert (row["health"], row["rhythm"]) == ("ok", "")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["newest"] == ["two", "one"]
    exported = digest("feed", "export").stdout
    [outline] = parse.opml(exported.encode())
    assert (outline.url, outline.title, outline.folders) == (site.base + "/feed", "Ours", ("ai",))
    assert digest("feed", "remove", "1", "--dry-run").stderr == "would say: Ours is removed\n"
    assert digest("feed", "remove", site.base + "/feed").stderr == "Ours is removed\n"
    said = "import: 1 feed for daily; by topic: ai 1"
    rehearsed = digest("feed", "import", "-", "--dry-run", stdin=exported)
    assert rehearsed.stderr == f"{said}; nothing was stored\n" and digest("feed", "list", "--json").stdout == "[]\n"
    assert digest("feed", "import", "-", stdin=exported).stderr == f"{said}\n"


def test_the_doctor_proposes_and_then_does_it(site: Site, digest: Any) -> None:
    site.pages["/old.xml"] = Reply(rss("one"))
    digest("feed", "add", site.base + "/old.xml")
    assert digest("collect").exit_code == 0
    assert digest("feed", "doctor").stderr == "no feed needs a repair that could be found\n"
    site.pages["/old.xml"] = Reply(status=410)
    site.pages["/"] = page(alternate("/new.xml"))
    site.pages["/new.xml"] = Reply(rss("two"))
    gone = digest("collect", "--force")
    assert gone.exit_code == 69 and "410 (gone for good)" in gone.stderr
    proposed = digest("feed", "doctor", "--json")
    [row] = json.loads(proposed.stdout)
    assert (row["remedy"], row["url"]) == ("move", site.base + "/new.xml")
    assert proposed.stderr == "nothing is changed yet; --apply does it\n"
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/old.xml"
    assert digest("feed", "doctor", "--apply").stderr.startswith("1 repaired")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/new.xml"
    assert digest("collect", "--force").stderr.startswith("collect: 1 feed asked, 1 new entry\n")


def test_the_doctor_takes_no_front_page_for_a_persons_feed(site: Site, digest: Any) -> None:
    site.pages["/~alice/feed.xml"] = Reply(rss("one", "two", title="Alice on engines"))
    site.pages["/"] = page(alternate("/news.xml"))
    site.pages["/news.xml"] = Reply(rss("results of the quarter", "a new office", title="Company"))
    digest("feed", "add", site.base + "/~alice/feed.xml")
    digest("collect")
    site.pages["/~alice/feed.xml"] = Reply(status=410)
    digest("collect", "--force")
    said = digest("feed", "doctor", "--apply")
    assert "0 repaired" in said.stderr and "a person decides: digest feed doctor --accept 1" in said.stderr
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/~alice/feed.xml"
    site.pages["/news.xml"] = Reply(rss("one", "two", title="Alice on engines"))
    assert digest("feed", "doctor", "--apply").stderr.startswith("1 repaired")


def test_a_feed_that_was_gone_and_is_added_again_is_said_to_be_asked(site: Site, digest: Any) -> None:
    site.pages["/feed"] = Reply(status=410)
    digest("feed", "add", site.base + "/feed", "--no-check")
    assert "is retired" in digest("collect").stderr
    site.pages["/feed"] = Reply(rss("one"))
    assert digest("feed", "add", site.base + "/feed", "--dry-run").stderr.startswith("would be asked again: Ours")
    assert digest("feed", "add", site.base + "/feed").stderr == "feed 1, Ours, is asked again\n"
    assert digest("feed", "add", site.base + "/feed").stderr == "feed 1, Ours, is known already\n"


@pytest.mark.long
def test_a_redirect_for_good_to_another_feed_is_a_question_and_brings_nothing_in(site: Site, digest: Any) -> None:
    """A domain was sold: whoever has it now says "for good", and has a feed."""
    site.pages["/~alice/feed.xml"] = Reply(rss("one", "two", title="Alice"))
    site.pages["/parked"] = Reply(
        rss("pills", "more pills", "cheap", title="Domains").replace(b"example.org", b"p.example")
    )
    digest("feed", "add", site.base + "/~alice/feed.xml")
    digest("collect")
    site.pages["/~alice/feed.xml"] = Reply(status=301, headers={"Location": "/parked"})
    for _ in range(3):
        assert "seems another feed" in digest("collect", "--force").stderr
        assert [row["url"] for row in json.loads(digest("feed", "doctor", "--json").stdout)] == [site.base + "/parked"]
    facts = json.loads(digest("feed", "show", "1", "--json").stdout)
    assert (facts["url"], facts["entries"]) == (site.base + "/~alice/feed.xml", 2)
    proposed = digest("feed", "doctor", "--apply", "--json")
    [row] = json.loads(proposed.stdout)
    assert row["score"] < 0.5 and "a person decides: digest feed doctor --accept 1" in proposed.stderr
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/~alice/feed.xml"
    assert digest("feed", "doctor", "--accept", "1").stderr.startswith("1 repaired")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/parked"
    assert digest("feed", "doctor", "--accept", "1").exit_code == 66


def test_a_feed_that_says_it_moved_is_looked_for_there_and_judged(site: Site, digest: Any) -> None:
    said = f'<itunes:new-feed-url xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">{site.base}/new</itunes:new-feed-url>'
    site.pages["/feed"] = Reply(rss("one", "two", head=said))
    site.pages["/new"] = Reply(rss("three", "one", "two"))
    digest("feed", "add", site.base + "/feed")
    digest("collect")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/feed"
    [row] = json.loads(digest("feed", "doctor", "--apply", "--json").stdout)
    assert (row["remedy"], row["url"], row["score"] >= 0.5) == ("move", site.base + "/new", True)
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["url"] == site.base + "/new"


def test_what_tells_a_feeds_entries_apart_is_shown_and_can_be_chosen(site: Site, digest: Any) -> None:
    site.pages["/feed"] = Reply(rss("one", "two"))
    digest("feed", "add", site.base + "/feed")
    digest("collect")
    facts = json.loads(digest("feed", "show", "1", "--json").stdout)
    assert facts["identity"] == "AUTO (guid)" and facts["identity_seen"][0].startswith("guid: in 2 of 2 entries")
    assert digest("feed", "set", "1", "--identity", "title+link", "--settle", "30").stderr == (
        "feed 1: identity link+title; entries settle 30 minutes\n"
    )
    facts = json.loads(digest("feed", "show", "1", "--json").stdout)
    assert (facts["identity"], facts["settle_minutes"]) == ("link+title", 30)
    assert digest("feed", "set", "1", "--identity", "AUTO", "--settle", "auto").stderr.startswith(
        "feed 1: identity AUTO"
    )
    for wrong in (["--identity", "name"], ["--settle", "soon"], ["--settle", "-1"]):
        assert digest("feed", "set", "1", *wrong).exit_code == 65


def test_a_mistake_gets_one_sentence_and_a_code(site: Site, digest: Any, tmp_path: Path) -> None:
    site.pages["/page"] = page()
    site.pages["/two"] = page(alternate("/a"), alternate("/b"))
    (tmp_path / "list").write_text("not OPML")
    for words, code, said in (
        (("feed", "add", "nonsense"), 65, "'nonsense' is not a web address"),
        (("feed", "add", site.base + "/page"), 65, "is a web page, and no feed was found there"),
        (("feed", "add", site.base + "/two"), 65, "names 2 feeds; add one of them"),
        (("feed", "add", site.base + "/page", "--topic", "no"), 65, "there is no topic 'no'"),
        (("feed", "check", site.base + "/404"), 65, "answers 404 (not found)"),
        (("feed", "check", "https://nowhere.invalid/feed"), 69, "leads to a host that is not known"),
        (("feed", "check", "http://127.0.0.1:9/feed"), 69, "cannot be reached"),
        (("feed", "show", "7"), 66, "there is no feed 7"),
        (("feed", "remove", "https://nobody.example/"), 66, "there is no feed https://nobody.example/"),
        (("feed", "import", str(tmp_path / "list")), 65, "this is not an OPML list"),
        (("feed", "import", str(tmp_path / "none")), 66, "no such file"),
        (("feed", "import", site.base + "/404"), 66, "answers 404 (not found)"),
    ):
        done = digest(*words)
        assert (done.exit_code, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr.splitlines()[0]
        assert "Traceback" not in done.stderr


def test_a_secret_is_read_from_stdin_and_never_shown(site: Site, digest: Any) -> None:
    def guarded(handler: Any) -> None:
        known = handler.headers.get("Authorization") == "Basic YWRhOmh1bnRlcjI="
        body = rss("one") if known else b""
        handler.send_response(200 if known else 401)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.pages["/feed"] = guarded
    assert "--login" in digest("feed", "add", site.base + "/feed").stderr
    assert digest("feed", "add", "--login", site.base + "/feed", stdin="ada\nhunter2\n").exit_code == 0
    assert "1 new entry" in digest("collect").stderr
    shown = "".join(
        digest("feed", *words).stdout for words in (("list", "--json"), ("show", "1", "--json"), ("export",))
    )
    assert '"secret_headers": ["Authorization"]' in shown
    assert "hunter2" not in shown
    assert "YWRhOmh1bnRlcjI" not in shown


def test_a_login_is_not_given_to_another_site_that_the_page_names(site: Site, digest: Any, database: Database) -> None:
    elsewhere = Site()
    elsewhere.pages["/feed"] = Reply(rss("one"))
    site.pages["/"] = page(alternate(elsewhere.base + "/feed"))
    assert digest("feed", "add", "--login", site.base + "/", stdin="ada\nl:ace\n").exit_code == 0
    assert digest("feed", "add", with_login(site.base) + "/").exit_code == 0
    digest("collect")
    elsewhere.close()
    assert site.logins == [LOGIN, LOGIN] and set(elsewhere.logins) == {""} and feed(database).headers == {}


SECRET = "hunter2"


@pytest.mark.thin(3)
@pytest.mark.parametrize("login", [f"ada:{SECRET}", f"ada:x/{SECRET}", f"ada:x#{SECRET}", f"ada:@{SECRET}", SECRET])
def test_a_login_in_an_address_is_never_printed(digest: Any, login: str) -> None:
    url = f"http://{login}@127.0.0.1:1/feed"
    said = ""
    for command in (
        ("feed", "add", url),
        ("feed", "add", "--no-check", url),
        ("feed", "check", url),
        ("feed", "show", url),
        ("feed", "import", url),
        ("collect", "--json"),
        ("feed", "list", "--json"),
        ("feed", "list", "--health", "--json"),
        ("feed", "export"),
        ("feed", "remove", url),
    ):
        done = digest(*command)
        assert done.exception is None or isinstance(done.exception, SystemExit), command
        said += done.stdout + done.stderr
    assert "127.0.0.1" in said and SECRET not in said


def test_a_list_with_logins_is_read_and_printed_without_them(database: Database, digest: Any, tmp_path: Path) -> None:
    (tmp_path / "list.opml").write_text(
        '<opml version="2.0"><head/><body>'
        f'<outline xmlUrl="https://ada:{SECRET}@good.example/feed" htmlUrl="https://ada:{SECRET}@good.example/"/>'
        f'<outline xmlUrl="https://ada:{SECRET}/@bad.example/feed"/><outline xmlUrl="gopher://ada:{SECRET}@x.example/"/>'
        "</body></opml>"
    )
    done = digest("feed", "import", str(tmp_path / "list.opml"), "--json")
    said = done.stdout + done.stderr + digest("feed", "export").stdout + digest("feed", "show", "1", "--json").stdout
    assert "https://good.example/feed" in said and SECRET not in said
    assert feed(database).headers["Authorization"].startswith("Basic ")


def test_checking_stores_nothing_and_names_the_trouble(site: Site, digest: Any) -> None:
    site.pages["/feed"] = Reply(rss("one", guids=False).replace(b" 2026 ", b" this year "))
    facts = json.loads(digest("feed", "check", site.base + "/feed", "--json").stdout)
    assert (facts["format"], facts["entries"], facts["items"][0]["title"]) == ("rss20", 1, "one")
    assert facts["trouble"] == [
        'has dates that cannot be read: 1 ("Mon, 02 Mar this year 07:00:00 +0000")',
        "1 of 1 entries without a possible date",
        "sends no validators: it is fetched whole each time",
    ]
    assert digest("feed", "list", "--json").stdout == "[]\n"


# ---------------------------------------------------------------- the corpus, where it is at hand


@pytest.mark.skipif(not (CORPUS / "opml" / "index.tsv").is_file(), reason="the corpus is not here")
def test_every_real_list_is_exported_as_it_was_imported(database: Database) -> None:
    names = [line.split("\t")[0] for line in (CORPUS / "opml" / "index.tsv").read_text().splitlines()[1:]]
    papers = [f"list{n}" for n in range(len(names))]
    newsletters.keep(database, papers, now=MONDAY)
    known: dict[str, tuple[str, str]] = {}
    for newsletter, name in zip(papers, names, strict=True):
        outlines = parse.opml((CORPUS / "opml" / name).read_bytes())
        report = imported(database, outlines, newsletter)
        # What is stored once for all newsletters is as the first list had it; a list that is no list of addresses
        # loses what is none, and says so.
        wanted = []
        for outline in outlines:
            if url := addresses.address(outline.url):
                title, site = known.setdefault(url, (outline.title, outline.site_url))
                wanted.append(replace(outline, url=url, title=title or url, site_url=site))
        assert len(outlines) == len(wanted) + len(report.bad), name
        assert sorted(exported(database, newsletter), key=repr) == sorted(wanted, key=repr), name


# ---------------------------------------------------------------- a database that breaks in the middle


class Breaking:
    """Lets some of the transactions of a run fail, by their numbers from 1: when they begin, or at their commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *numbers: int, late: bool = False) -> None:
        self.number = 0
        write = Database.write

        @contextmanager
        def breaking(database: Database) -> Iterator[Session]:
            self.number += 1
            broken = self.number in numbers
            if broken and not late:
                raise StorageError("the database is locked by another program")
            with write(database) as session:
                yield session
                if broken:
                    raise StorageError("the database cannot grow: the disk is full")

        monkeypatch.setattr(Database, "write", breaking)


@pytest.mark.parametrize("late", [False, True])
def test_what_could_not_be_stored_at_once_is_stored_at_the_next_try(database, site, monkeypatch, late):
    site.pages["/"] = Reply(rss("one", "two"), headers={"ETag": '"1"'})
    add(database, site.base + "/")
    with monkeypatch.context() as patched:
        Breaking(patched, 1, 3, 5, late=late)  # claims, and what was fetched
        assert run(database).new == 2
    assert sorted(titles(database)) == ["one", "two"]
    assert run(database, now=MONDAY + timedelta(days=1)).unchanged == 1


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_cannot_be_stored_is_asked_again_at_once_with_the_validators_of_before(
    database, site, monkeypatch, late
):
    site.pages["/"] = Reply(rss("one"), headers={"ETag": '"1"'})
    add(database, site.base + "/")
    run(database)
    site.pages["/"] = Reply(rss("one", "two"), headers={"ETag": '"2"'})
    later = MONDAY + timedelta(days=1)
    with monkeypatch.context() as patched, pytest.raises(StorageError):
        Breaking(patched, 3, 4, late=late)  # 1 and 2 are claims
        run(database, now=later)
    assert titles(database) == ["one"]
    with database.read() as session:
        assert (session.exec(select(Feed)).one().etag, session.exec(select(Feed)).one().claimed_at) == ('"1"', None)
    assert run(database, now=later + timedelta(seconds=1)).new == 1 and titles(database) == ["one", "two"]


def test_a_claim_that_breaks_costs_nothing_of_what_is_asked_already(database, site, monkeypatch):
    for name in ("a", "b", "c"):
        site.pages[f"/{name}"] = Reply(rss(name))
        add(database, f"{site.base}/{name}")
    with monkeypatch.context() as patched, pytest.raises(StorageError):
        Breaking(patched, 2, 3)  # 1 claims one of them, as many as there are connections
        run(database, settings(connections=1))
    assert len(titles(database)) == 1
    assert run(database, now=MONDAY + timedelta(seconds=1)).new == 2 and sorted(titles(database)) == ["a", "b", "c"]


def test_a_claim_that_nobody_hears_of_any_more_is_given_back_too(database, site, monkeypatch):
    for name in ("a", "b", "c"):
        site.pages[f"/{name}"] = Reply(rss(name))
        add(database, f"{site.base}/{name}")
    store, claims = _Run._store, []

    async def late(run: _Run, function: Any, *args: Any) -> Any:
        done = await store(run, function, *args)
        if function == run._claim:
            claims.append(done)
            if len(claims) > 1:
                await asyncio.Event().wait()  # until the run breaks
        return done

    with monkeypatch.context() as patched, pytest.raises(StorageError):
        patched.setattr(_Run, "_store", late)
        Breaking(patched, 3, 4)  # 1 and 2 claim one of them each
        run(database, settings(connections=1))
    assert run(database, now=MONDAY + timedelta(seconds=1)).new == 3


@pytest.mark.parametrize("stored", [True, False])
def test_where_the_answer_to_a_commit_is_lost_nothing_is_left_out_of_the_report(database, site, monkeypatch, stored):
    """Whether it was a claim or what came of asking, and whether it was carried out or not."""
    for name in ("a", "b", "c"):
        site.pages[f"/{name}"] = Reply(rss(f"{name}1", f"{name}2"))
        add(database, f"{site.base}/{name}")
    site.pages["/d"] = Reply(status=429, headers={"Retry-After": "3600"})
    add(database, f"{site.base}/d")
    write, tries = Database.write, Counter[str]()

    @contextmanager
    def losing(database: Database) -> Iterator[Session]:
        step = sys._getframe(2).f_code.co_name  # claims and what is stored come in any order; each is tried twice
        tries[step] += 1
        lost = tries[step] % 2 == 1
        with suppress(ZeroDivisionError), write(database) as session:
            yield session
            if lost and not stored:
                raise ZeroDivisionError
        if lost:
            raise CommitUnknown("the database was lost during a COMMIT")

    monkeypatch.setattr(Database, "write", losing)
    report = run(database, settings(connections=2))
    assert (report.asked, report.updated, report.failed, report.new, report.held) == (4, 3, 1, 6, 0)
    assert sorted(titles(database)) == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert tries.keys() == {"_claim", "_save"}
    with database.read() as session:
        assert [feed.claimed_at for feed in session.exec(select(Feed))] == [None] * 4


def test_feeds_that_cannot_be_given_back_are_asked_when_their_lease_is_over(database, site, monkeypatch):
    site.pages["/"] = Reply(rss("one"))
    add(database, site.base + "/")
    with monkeypatch.context() as patched, pytest.raises(StorageError):
        Breaking(patched, *range(2, 99))
        run(database)
    assert run(database, now=MONDAY + timedelta(minutes=5)).asked == 0
    assert run(database, now=MONDAY + timedelta(minutes=30)).new == 1
