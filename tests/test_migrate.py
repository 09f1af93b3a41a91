"""Moving here from other tools: what they had sent is not sent again, and what is new is."""

from __future__ import annotations

import io
import json
import os
import random
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from conftest import MONDAY

from digest import line
from digest.config import load
from digest.errors import BadInput
from digest.parse import leaving
from digest.store import open_database

RUN = MONDAY - timedelta(days=1)  # the old tool's last run


class Site:
    """Feeds on loopback, as a test sets them."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}

    def __enter__(self) -> Site:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.pages))
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, pages: dict[str, str], *rest: object) -> None:
        self._pages = pages
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        body = self._pages.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def rss(*items: str) -> str:
    return f'<rss version="2.0"><channel><title>Gazette</title><link>http://gazette.example/</link>{"".join(items)}</channel></rss>'


def item(title: str, *, guid: str = "", link: str = "", days: float | None = None) -> str:
    when = f"<pubDate>{MONDAY - timedelta(days=days):%a, %d %b %Y %H:%M:%S} GMT</pubDate>" if days is not None else ""
    link = link or f"http://gazette.example/{title.replace(' ', '-')}"
    own = f'<guid isPermaLink="false">{guid}</guid>' if guid else ""
    words = f"<description>What {title} says, in words.</description>"
    return f"<item><title>{title}</title><link>{link}</link>{own}{when}{words}</item>"


@pytest.fixture
def home(tmp_path, digest, at, inbox, clock):
    """An installation with one reader; what it is called with runs the whole line and gives the stories in the mail."""
    at(clock())
    (tmp_path / "digest.toml").write_text(
        'database = "digest.db"\nbase_url = "https://digest.example"\nsecret_key = "a key for tests, long enough"\n'
        f'[collect]\nallow_private_addresses = true\n[smtp]\nurl = "{inbox.url}"\n'
        '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\nmin_stories = 1\n'
    )
    (tmp_path / "digest.toml").chmod(0o600)
    open_database(f"sqlite:///{tmp_path / 'digest.db'}", create=True).close()
    assert digest("subscriber", "add", "ada@example.org").returncode == 0

    def run() -> str:
        config = load(tmp_path / "digest.toml")
        database = open_database(config.database_url)
        line.run(database, config, clock=clock, rng=random.Random(1))
        database.close()
        return "\n".join(m.content.decode("utf-8", "replace") for m in inbox.messages)

    return run


def dated(path, content: str | bytes, when: datetime = RUN):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (when.timestamp(), when.timestamp()))
    return path


def sent(mail: str, *titles: str) -> list[str]:
    return [title for title in titles if title in mail]


def test_the_first_run_after_rss2email_sends_only_what_it_had_not(home, site, digest, tmp_path):
    seen = [
        item("Plain old", guid="tag:gazette,1", days=3),
        item("Tracked old", guid="https://www.gazette.example/tracked/?utm_source=rss2email", days=2.5),
        item("Relative old", guid="/relative-7", days=2),
    ]
    new = [item("Backdated news", guid="tag:gazette,8", days=20), item("Fresh news", guid="tag:gazette,9", days=0.1)]
    moved = seen[1].replace(
        "https://www.gazette.example/tracked/?utm_source=rss2email", "http://gazette.example/tracked"
    )
    site.pages["/a.xml"] = rss(new[1], new[0], moved, seen[0], seen[2])
    site.pages["/b.xml"] = rss(item("Nameless old", days=4), item("Nameless news", days=0.2))
    cfg = (
        f"[DEFAULT]\nto = x@example.org\n[feed.alpha]\nurl = {site.base}/a.xml\n[feed.beta]\nurl = {site.base}/b.xml\n"
    )
    ids = ["tag:gazette,1", "https://www.gazette.example/tracked/?utm_source=rss2email", f"{site.base}/relative-7"]
    state = {
        "version": 2,
        "feeds": [
            {"name": "alpha", "etag": None, "modified": None, "seen": {one: {"hash": "0" * 40} for one in ids}},
            {"name": "beta", "seen": {"5f646c20ebbb122fc6c79ea5ea1b83d7892cf800": {"hash": "5f"}}},
        ],
    }
    files = dated(tmp_path / "rss2email.cfg", cfg), dated(tmp_path / "rss2email.json", json.dumps(state))
    planned = digest("migrate", "rss2email", *files, "--dry-run")
    assert planned.returncode == 0 and "nothing was stored" in planned.stderr
    assert digest("feed", "list").stdout.count("http") == 0
    done = digest("migrate", "rss2email", *files, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["feeds"] == 2
    mail = home()
    olds = ("Plain old", "Tracked old", "Relative old", "Nameless old")
    assert sent(mail, *olds) == []
    assert sent(mail, "Backdated news", "Fresh news", "Nameless news") == [
        "Backdated news",
        "Fresh news",
        "Nameless news",
    ]


@pytest.mark.parametrize("tool", ["miniflux", "freshrss"])
def test_the_first_run_after_a_reader_sends_only_what_came_since(tool, home, site, digest, tmp_path):
    site.pages["/a.xml"] = rss(
        item("Fresh news", guid="n", days=0.1),
        item("Dated old", guid="d", days=2),
        item("Undated old", guid="u", link="http://gazette.example/undated?utm_medium=rss"),
    )
    outline = f'<outline text="Tech"><outline text="G" xmlUrl="{site.base}/a.xml"/></outline>'
    opml = f'<opml version="2.0"><body>{outline}</body></opml>'
    link = "https://gazette.example/undated"
    entries = {
        "miniflux": {
            "total": 1,
            "entries": [{"url": link, "status": "read", "feed": {"feed_url": f"{site.base}/a.xml"}}],
        },
        "freshrss": {"items": [{"alternate": [{"href": link}], "origin": {"streamId": f"feed/{site.base}/a.xml"}}]},
    }[tool]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("feeds.opml.xml", opml)
        archive.writestr("feed_1.json", json.dumps(entries))
    assert digest("migrate", tool, dated(tmp_path / "export.zip", packed.getvalue())).returncode == 0
    assert "Tech" in digest("feed", "export").stdout
    mail = home()
    assert sent(mail, "Fresh news", "Dated old", "Undated old") == ["Fresh news"]


@pytest.mark.parametrize(
    ("tool", "content"),
    [
        (
            "mailchimp",
            "Email Address,First Name,OPTIN_TIME,CONFIRM_TIME\n"
            "bob@example.org,Bob,2025-01-02 10:00:00,2025-01-02 10:05:00\n",
        ),
        (
            "listmonk",
            "uuid,email,name,attributes,status,created_at,updated_at\n1,bob@example.org,Bob,{},enabled,2025-01-02,2025-01-02\n",
        ),
        ("mailman", "Bob <bob@example.org>\n"),
    ],
)
def test_readers_of_a_list_manager_get_only_what_was_published_since(
    tool, content, home, site, digest, tmp_path, inbox
):
    site.pages["/a.xml"] = rss(
        item("Fresh news", guid="n", days=0.1), item("Dated old", guid="d", days=1.5), item("Undated old")
    )
    assert digest("feed", "add", f"{site.base}/a.xml").returncode == 0
    done = digest("migrate", tool, dated(tmp_path / "list.csv", content), "--yes")
    assert done.returncode == 0, done.stderr
    mail = home()
    assert "bob@example.org" in inbox.recipients
    assert sent(mail, "Fresh news", "Dated old", "Undated old") == ["Fresh news"]
    assert digest("import", "undo", "1").returncode == 0


def test_a_list_that_is_refused_marks_nothing_as_sent(home, site, digest, tmp_path):
    site.pages["/a.xml"] = rss(item("Dated old", guid="d", days=1.5))
    assert digest("feed", "add", f"{site.base}/a.xml").returncode == 0
    assert digest("migrate", "mailchimp", dated(tmp_path / "list.csv", "")).returncode != 0
    assert "Dated old" in home()


def bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("feeds.opml", b" " * (leaving.MAX_FILE + 1))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("read", "content", "words"),
    [
        (leaving.rss2email, b"", "is empty"),
        (leaving.rss2email, b'{"version": 2, "feeds": [', "is broken at line 1"),
        (leaving.rss2email, b'{"feeds": 3}', "no list of feeds"),
        (leaving.rss2email, b'{"feeds": [1, null, {"name": 3, "seen": 7}]}', "give rss2email.cfg"),
        (leaving.rss2email, b'{"a":' * 100_000, "nested too deep"),
        (leaving.rss2email, b"[feed.a]\nurl = \xff\xe4", "not in UTF-8"),
        (leaving.rss2email, b"no settings at all", "cannot be read as settings"),
        (leaving.rss2email, b"[feed.a]\nurl = http://a.example/", "rss2email.json"),
        (leaving.reader, b"", "empty"),
        (leaving.reader, b'{"entries": []}', "no list of feeds"),
        (leaving.reader, b'{"feeds": []}', "has no entries"),
        (leaving.reader, b"PK\x03\x04 and no more", "broken or locked archive"),
        (leaving.reader, "bomb", "unpacks to more than"),
    ],
)
def test_files_that_are_broken_or_hostile_get_one_sentence(read, content, words, monkeypatch):
    monkeypatch.setattr(leaving, "MAX_FILE", 100_000)
    with pytest.raises(BadInput) as refused:
        read({"file": bomb() if content == "bomb" else content})
    assert words in f"{refused.value} {refused.value.hint}"


def test_a_date_that_is_yet_to_come_and_a_tool_that_is_unknown_are_refused(home, digest, tmp_path):
    file = dated(tmp_path / "feeds.opml", "<opml/>")
    assert "yet to come" in digest("migrate", "miniflux", file, "--seen-until", "2031-01-01").stderr
    assert "one of rss2email" in digest("migrate", "pigeon", file).stderr
    assert "cannot read" in digest("migrate", "miniflux", tmp_path / "none").stderr
