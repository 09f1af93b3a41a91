"""The public archive: editions, topics and their feeds, as everybody sees them."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import json
import re
import socket
import threading
import urllib.robotparser
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from html import escape
from io import BytesIO
from typing import Any

import browser
import feedparser
import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from conftest import MONDAY, Clock, fill_once, on_sqlite
from PIL import Image
from sqlmodel import col, select
from starlette.testclient import TestClient
from test_flow import join

from digest import collect, edition, line, parse, sign
from digest.config import Config
from digest.curate import lexemes
from digest.models import (
    Edition,
    EditionState,
    Feed,
    NewsletterFeed,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    Variant,
)
from digest.store import Database, archive, edition_stories, editions, finding, keys, lasting, newsletters, rolls
from digest.store.lasting_tables import LastingId
from digest.store.story_tables import Entry, Story
from digest.web import application, cards, frozen
from digest.web import archive as archive_pages
from digest.web.shelf import Shelf
from digest.web.turns import Turns

DAILY = {"title": "Daily", "from": "Daily <news@news.example>"}


TITLES = """
Zero-day in a mail server is exploited in the wild | security
Postgres 20 plans joins by what they cost last time | databases
A transformer that reads a book in one pass | ai
Rust's borrow checker learns to wait | languages
Why our Kubernetes clusters now sleep at night | devops
Two-factor codes by text message are leaving | security
An index that a deleted row never visits | databases
The inference bill, and how we halved it | ai
Passkeys after three years, counted | security
What a vacuum does while you sleep | databases
Garbage collection without a pause to speak of | languages
Leader election, told with a pack of cards | distributed
A patch for the patch of last week | security
The query planner is not your enemy | databases
Small models for small machines | ai
Monorepos and the people who leave them | practices
""".strip().splitlines()


# By which each story says something of its own.
SAID = """
amber basalt cedar delta ember fjord granite harbour indigo juniper kelp lagoon marble nectar opal pebble quartz
""".split()  # noqa: SIM905


@pytest.fixture
def filled(database: Database, config: Config, clock: Clock) -> Database:
    """Two editions that went out, to readers with various choices, and a third that waits for its editor."""
    began = clock()
    fill_once(database, "archive", lambda: fill(database, config, clock))
    clock.now = began + timedelta(days=3)
    return database


def fill(database: Database, config: Config, clock: Clock) -> None:
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        for number, line in enumerate(TITLES):
            title, _, topic = line.partition(" | ")
            feed = Feed(
                url=f"https://f{number}.example/feed",
                host=f"f{number}.example",
                title=f"Journal {number}",
                added_at=MONDAY,
                next_at=MONDAY,
            )
            session.add(feed)
            session.flush()
            session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic=topic, added_at=MONDAY))
            session.add(
                Entry(
                    feed_id=feed.id,
                    key=f"k{number}",
                    url=f"https://f{number}.example/{number}",
                    title=title,
                    summary=f"<p>{title}: {' '.join(SAID[number * (step + 3) % len(SAID)] for step in range(12))}.</p>",
                    published_at=MONDAY - timedelta(hours=number),
                    seen_at=MONDAY,
                )
            )
    for email, *topics in (("ada@a.example",), ("bob@b.example",), ("eve@e.example", "security")):
        join(database, config, email, *topics)
    with database.write() as session:
        edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=clock())
        last = newsletters.find(session, "daily").seq
    for upto, held in ((6, False), (12, False), (last, True)):
        settings = config.newsletters["daily"].model_copy(update={"approve": held, "editor": "ed@e.example"})
        changed = config.model_copy(update={"newsletters": {"daily": settings}})
        with database.write() as session:
            paper = newsletters.find(session, "daily")
            paper.seq = upto
            session.add(paper)
            session.flush()
            assert edition.compose(session, "daily", changed, now=clock.pass_(days=1)).number


class Server:
    """The application on a real port."""

    def __init__(self, database: Database, config: Config, clock: Clock) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        settings = uvicorn.Config(
            application(database, config, clock=clock), log_level="critical", proxy_headers=False, lifespan="off"
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> httpx.Client:
        self._thread.start()
        self.client = httpx.Client(base_url=self.base, timeout=30, trust_env=False)
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def site(filled: Database, config: Config, clock: Clock) -> Iterator[httpx.Client]:
    with Server(filled, config, clock) as client:
        yield client


def key_of(database: Database, number: int, *, topics: list[str] | None = None) -> str:
    with database.read() as session:
        row = editions.row(session, "daily", number)
        variants = [v for v in editions.variants(session, row.id) if v.topics == (topics or [])]
        return variants[0].key


def apart(html: str) -> tuple[str, dict[str, Any]]:
    """A page without the data that it tells search engines, and these."""
    [data] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html)
    return html.replace(f'<script type="application/ld+json">{data}</script>', ""), json.loads(data)


def hrefs(html: str) -> list[str]:
    return re.findall(r'href="([^"]*)"', html)


def test_the_front_page_leads_to_each_newsletter_its_latest_edition_and_its_sign_up(site):
    answer = site.get("/")
    assert answer.status_code == 200
    links = hrefs(answer.text)
    assert {"/newsletters/daily", "/newsletters/daily/editions/2", "/subscribe/daily"} <= set(links)
    assert "noindex" not in answer.text


def test_the_archive_lists_what_went_out_and_not_what_is_held_or_cancelled(site, filled):
    assert re.findall(r"No\. (\d+)", site.get("/newsletters/daily").text) == ["2", "1"]
    assert site.get("/newsletters/daily/editions/2").status_code == 200
    assert site.get("/newsletters/daily/editions/3").status_code == 404
    with filled.write() as session:
        session.execute(sa.update(Edition).where(col(Edition.number) == 2).values(state=EditionState.CANCELLED))
    assert re.findall(r"No\. (\d+)", site.get("/newsletters/daily").text) == ["1"]
    gone = site.get("/newsletters/daily/editions/2")
    assert (gone.status_code, gone.headers["cache-control"]) == (410, "no-store") and "<h1" in gone.text
    assert site.get("/newsletters/daily/editions/4").status_code == 404
    for kind in ("atom", "json"):
        assert "/editions/2" not in site.get(f"/newsletters/daily/feed.{kind}").text


def test_the_keyed_link_of_a_mail_works_whatever_became_of_the_edition(site, filled):
    for number in (1, 2, 3):
        answer = site.get(f"/editions/daily/{number}/{key_of(filled, number)}")
        assert answer.status_code == 200
        assert "noindex" in answer.headers["x-robots-tag"] and answer.headers["cache-control"] == "no-store"
        assert "digest.invalid" not in answer.text
    assert site.get("/editions/daily/3/0000000000000000").status_code == 404


def test_an_edition_is_shown_as_it_was_frozen_without_anything_personal(site, filled):
    answer = site.get("/newsletters/daily/editions/2")
    with filled.read() as session:
        row = editions.row(session, "daily", 2)
        variants = editions.variants(session, row.id)
        common = next(v for v in variants if v.topics == [])
        html = common.html  # read while the session is there
        titles = [story.title for story in edition_stories.stories_of(session, row.id)]
    assert "digest.invalid" not in answer.text
    assert not [variant.key for variant in variants if variant.key in answer.text]
    assert common.story_count == len(titles)
    assert "because you subscribed" in html and "because you subscribed" not in answer.text
    text = re.sub(r"\s+", " ", answer.text)
    assert text.count('class="story"') + text.count('class="line"') == common.story_count
    assert 'rel="prev" href="/newsletters/daily/editions/1"' in answer.text and 'rel="next"' not in answer.text
    assert "noindex" not in answer.text and "x-robots-tag" not in answer.headers
    assert answer.headers["content-security-policy"].count("img-src 'self';") == 1


def test_what_its_publisher_took_back_since_is_marked(site, filled):
    assert "Withdrawn since" not in site.get("/newsletters/daily/editions/1").text
    with filled.write() as session:
        gone = session.exec(select(Story).order_by(col(Story.seq))).first()
        title, topic, entry_id = gone.title, gone.topic, gone.entry_id
        session.execute(sa.update(Entry).where(col(Entry.id) == entry_id).values(withdrawn_at=MONDAY))
    page = site.get("/newsletters/daily/editions/1").text
    assert f'Withdrawn since by its publisher: <cite dir="auto">{title}</cite>' in page
    row = site.get(f"/newsletters/daily/topics/{topic}").text.partition("<main>")[2].partition(title)[2]
    row = row.partition("</li>")[0]
    assert "withdrawn by its publisher" in row


def crowd(database: Database, stories: int) -> str:
    """The first edition's common variant with so many stories for which it had no room; its key."""
    with database.write() as session:
        row = editions.row(session, "daily", 1)
        variant = next(v for v in editions.variants(session, row.id) if v.topics == [])
        entry = session.exec(select(Entry)).first()
        told = {"newsletter_id": row.newsletter_id, "entry_id": entry.id, "source": "Journal", "topic": "other"}
        told |= {"published_at": MONDAY, "admitted_at": MONDAY}
        many = [
            Story(**told, seq=1000 + n, title=f"Left out, number {n}.", url=f"https://left.example/{n}")
            for n in range(stories)
        ]
        session.add_all(many)
        session.flush()
        variant.left_out = [[story.id, "no room"] for story in many]
        session.add(variant)
        return variant.key


@pytest.mark.parametrize("place", ["/newsletters/daily/editions/1", "/editions/daily/1/{key}"])
def test_what_had_no_room_is_told_page_by_page_and_each_story_once(site, filled, place):
    path, found = place.format(key=crowd(filled, 2 * archive.PAGE + 1)), []
    address = path
    while address:
        page = site.get(address)
        assert page.status_code == 200
        found += re.findall(r"Left out, number (\d+)\.", page.text)
        onward = re.search(r'<a rel="next" href="(\?more=\d+)#more"', page.text)
        address = path + onward[1] if onward else ""
    assert found == [str(n) for n in range(2 * archive.PAGE + 1)]
    mailed, second = site.get(path).text, site.get(path + "?more=2").text.partition("</head>")[2]
    told = [title for line in TITLES if (title := line.partition(" | ")[0].partition("'")[0]) in mailed]
    assert told and not [title for title in told if title in second], "the mail is on the first page"
    assert [site.get(f"{path}?more={n}").status_code for n in ("4", "0", "x", "999999999")] == [404, 200, 200, 404]


@pytest.mark.parametrize("place", ["/newsletters/daily/editions/1", "/editions/daily/1/{key}"])
def test_a_mail_as_a_page_has_one_main_part_for_whoever_hears_it(site, filled, place):
    page = site.get(place.format(key=key_of(filled, 1))).text
    assert page.count("<main>") == page.count("</main>") == 1
    assert "<table" in page.partition("<main>")[2].partition("</main>")[0]


def test_a_page_that_was_made_is_made_again_only_when_something_in_it_changed(site, filled, monkeypatch):
    made = []
    make = frozen._made
    monkeypatch.setattr(frozen, "_made", lambda *given: made.append(given) or make(*given))
    path = f"/editions/daily/1/{crowd(filled, 5)}"
    assert len({site.get(path).text for _ in range(3)}) == 1 and len(made) == 1
    with filled.write() as session:
        story = session.exec(select(Story).where(Story.seq == 1000)).one()
        story.title = "Left out, but corrected"
    assert "Left out, but corrected" in site.get(path).text and len(made) == 2


def test_the_shelf_keeps_the_latest_asked_for_within_its_bound():
    shelf, made = Shelf(most=100), []
    for name in ("a", "b", "a", "c", "a", "b"):
        shelf.get((name,), lambda name=name: made.append(name) or name * 40)
        assert shelf.size <= 100
    assert made == ["a", "b", "c", "b"], "b was longest not asked for when c came"
    assert shelf.get("large", lambda: "x" * 101) == "x" * 101 and shelf.size <= 100


def test_who_wants_to_leave_does_not_wait_behind_a_crowd_in_the_archive(filled, config, clock, monkeypatch):
    """All turns of the archive are taken and nobody gives one back; of those who wait too many are sent away."""
    app, held, paper_of = application(filled, config, clock=clock), threading.Event(), archive_pages.paper_of
    app.state.site = dataclasses.replace(app.state.site, _visitors=Turns(2, most=3))
    monkeypatch.setattr(archive_pages, "paper_of", lambda *given: held.wait() and paper_of(*given))

    async def visit() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://news.example") as client:
            asked = [asyncio.create_task(client.get("/newsletters/daily")) for _ in range(7)]
            try:
                first, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                assert {(one.result().status_code, one.result().headers["retry-after"]) for one in first} == {
                    (503, "5")
                }
                leave = sign.token("unsubscribe", 1, key=config.imprint("daily").key)
                assert (await client.get(f"/unsubscribe/{leave}")).status_code == 200
            finally:
                held.set()
            answers = await asyncio.gather(*asked)
            assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 2

    asyncio.run(visit())


def test_where_everybody_chose_topics_an_edition_is_all_of_its_stories(site, filled):
    with filled.write() as session:
        session.execute(sa.update(Variant).where(sa.cast(col(Variant.topics), sa.Text) == "[]").values(topics=["ai"]))
        row = editions.row(session, "daily", 2)
        told = [story.url for story in edition_stories.stories_of(session, row.id)]
    answer = site.get("/newsletters/daily/editions/2")
    assert answer.status_code == 200
    assert [href for href in hrefs(answer.text) if href in told] == told
    assert f"{len(told)} stor" in site.get("/newsletters/daily").text


def test_a_topic_page_never_runs_ahead_of_the_mail_and_leaves_out_what_was_dropped(site, filled):
    with filled.write() as session:
        stories = list(session.exec(select(Story).order_by(col(Story.seq))))
        ahead = {s.url for s in stories if s.seq > 12}
        dropped = stories[3]
        dropped.dropped = True
        session.add(dropped)
        told = {s.url for s in stories if s.seq <= 12} - {dropped.url}
        topics = {s.topic for s in stories if s.seq <= 12}
    shown: set[str] = set()
    for topic in topics:
        page = site.get(f"/newsletters/daily/topics/{topic}")
        feed = site.get(f"/newsletters/daily/topics/{topic}/feed.json").json()
        assert page.status_code == 200
        found = {href for href in hrefs(page.text) if href in told | ahead | {dropped.url}}
        assert found >= {item["url"] for item in feed["items"]} and feed["items"]
        shown |= {item["url"] for item in feed["items"]}
    assert shown == told
    assert site.get("/newsletters/daily/topics/none-such").status_code == 404
    assert site.get("/newsletters/daily/topics/mobile").status_code == 200


def test_a_long_topic_is_read_page_by_page_and_each_story_once(site, filled):
    with filled.write() as session:
        template = session.exec(select(Story)).first().model_dump(exclude={"id"})
        row = session.exec(select(Edition).where(Edition.number == 2)).one()
        row.upto_seq = 2000
        session.add(row)
        many = [
            template | {"seq": 1000 + n, "topic": "games", "url": f"https://g.example/{n}", "title": f"Game {n}"}
            for n in range(75)
        ]
        session.execute(sa.insert(Story), many)
    path, seen, pages = "/newsletters/daily/topics/games", [], 0
    while path:
        html = site.get(path).text
        pages += 1
        seen += re.findall(r"https://g\.example/(\d+)", html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        path = following[1] if following else ""
    assert pages == 3 and sorted(map(int, seen)) == list(range(75))
    for wrong in ("x", "-1", "9" * 30, "٣"):
        assert site.get("/newsletters/daily/topics/games", params={"before": wrong}).status_code == 200


@on_sqlite
def test_a_strangers_text_is_text_on_every_page_and_in_every_feed(site, filled):
    evil = '"><script>alert(1)</script>{{7*7}}\x0b\x1b & ]]>'
    with filled.write() as session:
        session.execute(
            sa.update(Story).values(title=evil, source=evil, author=evil, excerpt=evil, url="javascript:alert(1)")
        )
        session.execute(sa.update(Variant).values(subject=evil))
        topic = session.exec(select(Story.topic).where(Story.seq == 1)).one()
    for path in ("/", "/newsletters/daily", f"/newsletters/daily/topics/{topic}"):
        html, data = apart(site.get(path).text)
        assert data.keys() >= {"@context", "name"}
        assert "<script" not in html and "49" not in re.sub(r"<style.*?</style>", "", html, flags=re.S)
        assert "javascript:" not in html
    for path in (f"/newsletters/daily/topics/{topic}/feed", "/newsletters/daily/feed"):
        atom = site.get(path + ".atom").content
        assert b"<script" not in atom and not feedparser.parse(atom).bozo
        for item in site.get(path + ".json").json()["items"]:
            assert "<script" not in item["content_html"] and "javascript:" not in item["content_html"]


@on_sqlite
@pytest.mark.parametrize("what", ["feed", "topics/{topic}/feed"])
def test_feeds_are_read_by_others_and_by_ourselves(site, filled, config, what):
    with filled.read() as session:
        topic = session.exec(select(Story.topic).where(Story.seq == 1)).one()
    path = f"/newsletters/daily/{what.format(topic=topic)}"
    atom, told = site.get(path + ".atom"), site.get(path + ".json")
    assert atom.headers["content-type"].startswith("application/atom+xml")
    assert told.headers["content-type"].startswith("application/feed+json")
    theirs = feedparser.parse(atom.content)
    assert not theirs.bozo and theirs.version == "atom10"
    assert theirs.feed.id and theirs.feed.updated and theirs.feed.author == "Daily"
    (own,) = [link.href for link in theirs.feed.links if link.rel == "self"]
    assert own == f"{config.base_url}{path}.atom"
    assert len({entry.id for entry in theirs.entries}) == len(theirs.entries) > 0
    assert all(entry.title and entry.updated and entry.author and entry.link for entry in theirs.entries)
    as_json = json.loads(told.content)
    assert as_json["version"] == "https://jsonfeed.org/version/1.1" and as_json["feed_url"].endswith("feed.json")
    assert [item["id"] for item in as_json["items"]] == [entry.id for entry in theirs.entries]
    for answer in (atom, told):
        ours = parse.feed(
            answer.content, url=str(answer.url), content_type=answer.headers["content-type"], now=MONDAY + timedelta(9)
        )
        assert [e.title for e in ours.entries] == [entry.title for entry in theirs.entries]
        assert ours.title == theirs.feed.title
        assert all(e.published_at and e.url for e in ours.entries)


def ids_of(client: TestClient, topic: str) -> dict[str, list[str]]:
    """The ids of each feed's entries, and last its own."""
    found = {}
    for what in ("feed", f"topics/{topic}/feed"):
        theirs = feedparser.parse(client.get(f"/newsletters/daily/{what}.atom").content)
        assert theirs.entries
        found[what] = [*(entry.id for entry in theirs.entries), theirs.feed.id]
        told = client.get(f"/newsletters/daily/{what}.json").json()["items"]
        assert [item["id"] for item in told] == found[what][:-1]
    return found


@on_sqlite
def test_what_feeds_know_entries_by_outlives_where_the_newsletter_is_at_home(filled, configure, clock):
    with filled.read() as session:
        topic = session.exec(select(Story.topic).where(Story.seq == 1)).one()
    before = configure()
    moved = configure(base_url="https://elsewhere.example:8443/news")
    homes = {"daily": lasting.Home(before.page_of("daily"), "news.example")}
    unwritten = ids_of(TestClient(application(filled, before, clock=clock)), topic)
    assert unwritten == ids_of(TestClient(application(filled, moved, clock=clock)), topic)
    lasting.keep(filled, homes, now=clock())
    written = ids_of(TestClient(application(filled, before, clock=clock)), topic)
    lasting.keep(filled, {"daily": lasting.Home(moved.page_of("daily"), "other.example")}, now=clock())
    assert unwritten == written == ids_of(TestClient(application(filled, moved, clock=clock)), topic)
    every = [id_ for ids in written.values() for id_ in ids]
    assert len(set(every)) == len(every)
    # RFC 4151 §2.1: an authority, a date on which it was that, and what is its own.
    assert all(re.fullmatch(r"tag:news\.example,\d{4}-\d\d-\d\d:[0-9a-f-]{36}/[\w/-]+", id_) for id_ in every)


@on_sqlite
def test_what_was_published_before_the_upgrade_keeps_the_ids_that_readers_know(filled, configure, clock):
    before = configure()
    with filled.write() as session:
        paper = newsletters.find(session, "daily")
        topic, last = session.exec(select(Story.topic, Story.seq).where(Story.seq == 1)).one()
        session.add(LastingId(newsletter_id=paper.id, number=1, seq=6))  # as the migration has it
    home = f"{before.base_url}/newsletters/daily"
    story = uuid.uuid5(uuid.NAMESPACE_URL, f"{home}/stories/{last}").urn
    lasting.keep(filled, {"daily": lasting.Home(home, "news.example")}, now=clock())
    for base_url in (before.base_url, "https://elsewhere.example"):
        found = ids_of(TestClient(application(filled, configure(base_url=base_url), clock=clock)), topic)
        second, first, feed = found["feed"]
        assert (first, feed) == (f"{home}/editions/1", home) and second.startswith("tag:news.example,")
        assert found[f"topics/{topic}/feed"][-2:] == [story, f"{home}/topics/{topic}"]


@on_sqlite
def test_what_can_be_heard_is_linked_and_its_length_told_on_pages_in_feeds_and_in_the_api(filled, config, clock):
    file = {"url": "https://pod.example/7.mp3?a=1&b=2", "type": "audio/mpeg", "size_bytes": 38_123_456, "seconds": 2520}
    with filled.write() as session:
        story = session.exec(select(Story).order_by(col(Story.seq))).first()
        entry = session.get_one(Entry, story.entry_id)
        entry.enclosures = [{"url": "https://pod.example/cover.jpg", "type": "image/jpeg", "size_bytes": 9}, file]
        session.add(entry)
        topic = story.topic
        session.execute(sa.update(Variant).values(topics=["security"]))
        made = {"newsletters": (), "verbs": ["editions:read"], "expires_at": None, "now": clock()}
        token = keys.add(session, "site", **made)[1]
    client = TestClient(application(filled, config, clock=clock), headers={"Authorization": f"Bearer {token}"})
    for path in (f"/newsletters/daily/topics/{topic}", "/newsletters/daily/editions/1"):
        page = client.get(path).text
        assert page.count(">Listen</a> · 42 min") == 1 and escape(file["url"]) in page
    told = client.get("/api/v1/newsletters/daily/editions/1").json()["stories"]
    recording = {"url": file["url"], "kind": "audio", "type": "audio/mpeg", "seconds": 2520, "size_bytes": 38_123_456}
    assert [one["recording"] for one in told if one["recording"]] == [recording]
    atom = feedparser.parse(client.get(f"/newsletters/daily/topics/{topic}/feed.atom").content)
    (link,) = [link for entry in atom.entries for link in entry.links if link.rel == "enclosure"]
    assert (link.href, link.type, link.length) == (file["url"], "audio/mpeg", "38123456")
    items = client.get(f"/newsletters/daily/topics/{topic}/feed.json").json()["items"]
    (attached,) = [item["attachments"] for item in items if "attachments" in item]
    assert attached[0]["duration_in_seconds"] == 2520 and attached[0]["mime_type"] == "audio/mpeg"
    ours = parse.feed(
        client.get(f"/newsletters/daily/topics/{topic}/feed.json").content,
        url="https://digest.example/feed.json",
        content_type="application/feed+json",
        now=MONDAY + timedelta(9),
    )
    assert [e.seconds for one in ours.entries for e in one.enclosures] == [2520]


@on_sqlite
def test_a_story_without_a_date_has_no_age_wherever_it_is_told(filled, config, clock):
    with filled.write() as session:
        stories = session.exec(select(Story)).all()
        for one in stories:
            one.reasons = one.reasons | {"rank": {"undated": True}}
            session.add(one)
        topic = stories[0].topic
        session.execute(sa.update(Variant).values(topics=["security"]))  # so that the page is made of stories
        made = {"newsletters": (), "verbs": ["editions:read"], "expires_at": None, "now": clock()}
        token = keys.add(session, "site", **made)[1]
    client = TestClient(application(filled, config, clock=clock), headers={"Authorization": f"Bearer {token}"})
    for path in (f"/newsletters/daily/topics/{topic}", "/newsletters/daily/editions/1"):
        page = client.get(path).text
        assert "<li id=" in page and "<time" not in page and " ago" not in page
    feed = f"/newsletters/daily/topics/{topic}/feed"
    assert "<published>" not in client.get(feed + ".atom").text and "<updated>" in client.get(feed + ".atom").text
    assert not any("date_published" in item for item in client.get(feed + ".json").json()["items"])
    assert not any(one["dated"] for one in client.get("/api/v1/newsletters/daily/editions/1").json()["stories"])


@on_sqlite
def test_a_feed_of_ours_can_be_added_to_digest_itself(site, filled, config, clock):
    base = str(site.base_url).rstrip("/")
    found = asyncio.run(collect.look(f"{base}/newsletters/daily", config, clock=clock))
    assert found.url == f"{base}/newsletters/daily/feed.atom"  # Atom and JSON Feed are forms of one choice
    for kind in ("atom", "json"):
        theirs = asyncio.run(collect.look(f"{base}/newsletters/daily/feed.{kind}", config, clock=clock))
        assert theirs.feed is not None and [len(e.title) > 0 for e in theirs.feed.entries] == [True, True]


@on_sqlite
def test_everything_public_is_answered_with_304_to_who_has_it(site, clock):
    for path in ("/", "/newsletters/daily", "/newsletters/daily/editions/2", "/newsletters/daily/topics/security"):
        answer = site.get(path)
        assert answer.headers["cache-control"] == "public, max-age=300"
        tag = answer.headers["etag"]
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = site.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"") and again.headers["etag"] == tag
        assert site.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    for path in ("/newsletters/daily/feed.atom", "/newsletters/daily/feed.json"):
        since = site.get(path).headers["last-modified"]
        assert site.get(path, headers={"If-Modified-Since": since}).status_code == 304
        earlier = format_datetime(MONDAY, usegmt=True)
        for known in (earlier, "yesterday", ""):
            assert site.get(path, headers={"If-Modified-Since": known}).status_code == 200
        # The tag decides where both are there (RFC 9110 §13.2.2).
        assert site.get(path, headers={"If-Modified-Since": since, "If-None-Match": '"x"'}).status_code == 200


@on_sqlite
def test_a_newsletter_may_keep_its_archive_closed(filled, configure, clock):
    config = configure(newsletters={"daily": DAILY | {"archive": False}})
    with Server(filled, config, clock) as site:
        assert "/newsletters/daily" not in site.get("/").text
        for path in ("", "/editions/1", "/feed.atom", "/feed.json", "/topics/security", "/topics/security/feed.atom"):
            assert site.get("/newsletters/daily" + path).status_code == 404
        assert site.get(f"/editions/daily/1/{key_of(filled, 1)}").status_code == 200


@on_sqlite
def test_pages_speak_the_language_of_their_newsletter(filled, configure, clock):
    config = configure(newsletters={"daily": DAILY | {"language": "de", "schedule": "daily 07:00 Europe/Berlin"}})
    with Server(filled, config, clock) as site:
        html = site.get("/newsletters/daily").text
        assert '<html lang="de"' in html and "Abonnieren" in html and "kommt täglich um 07:00" in html
        assert "25.11.2026" in html


def test_a_newsletter_without_an_edition_says_so_and_has_empty_feeds(database, config, clock):
    with Server(database, config, clock) as site:
        assert "Nothing here yet" in site.get("/newsletters/daily").text
        assert site.get("/").status_code == 200
        empty = feedparser.parse(site.get("/newsletters/daily/feed.atom").content)
        assert not empty.bozo and empty.entries == [] and empty.feed.updated
        assert site.get("/newsletters/daily/feed.json").json()["items"] == []


@on_sqlite
@pytest.mark.parametrize("stripped", [True, False])
def test_below_a_path_every_link_leads_to_a_page_whether_the_proxy_takes_the_path_off_or_not(
    filled, configure, clock, stripped
):
    config = configure(base_url="https://example.org/news", newsletters={"daily": DAILY})
    with Server(filled, config, clock) as site:
        todo, seen = ["/news", "/news/"], set()
        while todo:
            path = todo.pop()
            if path in seen or path.startswith("/news/subscribe"):
                continue
            seen.add(path)
            answer = site.get(path.removeprefix("/news") if stripped else path)
            assert answer.status_code == 200, path
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            for href in hrefs(answer.text):
                address = href.removeprefix("https://example.org")
                if address.startswith("/"):
                    assert address.startswith("/news"), f"{href} on {path} leaves the path"
                    todo.append(address)
        assert {"/news/newsletters/daily/editions/2", "/news/newsletters/daily/feed.atom"} <= seen


BROWSER = """
import {chromium} from 'playwright-core'; import {readFileSync} from 'fs';
const flags=['--no-sandbox','--disable-background-networking','--disable-dev-shm-usage'];
const browser=await chromium.launch({executablePath:process.env.CHROMIUM,args:flags});
const axe=readFileSync('node_modules/axe-core/axe.min.js','utf8'); const said=[];
const tags=['wcag2a','wcag2aa','wcag21aa','wcag22aa','best-practice'];
for (const colorScheme of ['light','dark']) for (const width of [375,1280]) {
  const context=await browser.newContext({colorScheme,viewport:{width,height:800}}); const page=await context.newPage();
  let at=''; page.on('console',m=>{ if (!m.text().includes('404')) said.push(at+' '+m.text()); });
  for (const path of process.argv.slice(3)) { at=[path,colorScheme,width].join(' ');
    await page.goto(process.argv[2]+path); await page.evaluate(axe);
    const wide=await page.evaluate(()=>document.documentElement.scrollWidth-innerWidth);
    if (wide>0) said.push(at+' '+wide+' px too wide');
    const {violations}=await page.evaluate(tags=>axe.run({runOnly:tags,rules:{'target-size':{enabled:true}}}),tags);
    for (const v of violations) said.push(at+' '+v.id+' '+v.nodes[0].html.slice(0,160)); }
  await context.close(); }
console.log(JSON.stringify(said)); await browser.close();
"""


@on_sqlite
def test_a_browser_and_axe_find_nothing_wrong_with_any_page(filled, config, clock):
    with filled.write() as session:
        chosen = sa.update(Variant).where(sa.cast(col(Variant.topics), sa.Text) == "[]", col(Variant.edition_id) == 1)
        session.execute(chosen.values(topics=["ai"]))
    paper = "/newsletters/daily"
    paths = ["/", paper, f"{paper}/editions/1", f"{paper}/editions/2", f"{paper}/topics/security", "/none"]
    line.make_findable(filled)
    paths += [f"{paper}/search?q=the", f"{paper}/search?q=zebra", f"{paper}/search", "/subscribe/daily"]
    paths += [f"{own_page(filled, config)}/sent", f"{own_page(filled, config)}/sent?q=the"]
    with Server(filled, config, clock) as site:
        assert browser.run(BROWSER, str(site.base_url).rstrip("/"), *paths) == []


def own_page(database: Database, config: Config, email: str = "ada@a.example") -> str:
    """The signed page of a reader, to whom everything was sent."""
    with database.write() as session:
        person = session.exec(select(Subscriber).where(Subscriber.email == email)).one()
        reader = session.exec(select(Subscription).where(Subscription.subscriber_id == person.id)).one()
        sent = sa.update(OutboxRow).where(col(OutboxRow.subscription_id) == reader.id)
        session.execute(sent.values(state=OutboxState.SENT, settled_at=MONDAY))
        return f"/preferences/{sign.token(sign.Purpose.PREFERENCES, reader.id, key=config.imprint('daily').key)}"


ANSWERS = {
    "planner": {1: ["The query planner is not your enemy"]},
    "QUÉRY plan": {1: ["The query planner is not your enemy"]},
    "vacuum sleep": {2: ["What a vacuum does while you sleep"]},
    "jour": {2: TITLES, 1: TITLES},
    "journal 9": {2: ["What a vacuum does while you sleep"]},
    "vacuum zebra": {},
    "zero-day": {},  # of the edition that waits
    "' OR 1=1 --": {},
    '"*) NEAR (': {},
    "": {},
}


@pytest.mark.parametrize("asked", ANSWERS)
def test_what_was_sent_is_found_by_its_words_on_both_databases_alike(filled, config, clock, asked):
    line.make_findable(filled)
    site = TestClient(application(filled, config, clock=clock))
    page = site.get("/newsletters/daily/search", params={"q": asked})
    assert page.status_code == 200 and page.text.count('content="noindex"') == 1
    found = re.findall(r"<h2[^>]*><a[^>]*>([^<]*)</a>", page.text)
    if asked == "jour":  # all of both editions, the newest first
        assert len(found) == len(set(found)) == 12
    else:
        assert found == [html.escape(title) for titles in ANSWERS[asked].values() for title in titles]
        assert [int(n) for n in re.findall(r'/editions/(\d+)">No\.', page.text)] == list(ANSWERS[asked])


@pytest.mark.parametrize(
    ("title", "asked"),
    [
        ("Kubernetes渐进式交付实践", "交付"),
        ("Kubernetes渐进式交付实践", "kubernetes 渐进式"),
        ("日本語の見出し", "見"),
        ("日本語の見出し", "し"),
        ("हिन्दी समाचार", "समाचार"),
        ("Die Größe der Straße", "grosse strasse"),
        ("أخبار اليوم", "اليوم"),
        ("ÉCOLE İstanbul ﬁne", "ecole istanbul fine"),
        ("한국어 뉴스", "뉴스"),
        ("Node.js 22.1 & C++", "node 22"),
        ("Отчёт о выборах", "отчет"),
    ],
)
def test_words_of_every_script_are_found(filled, config, clock, title, asked):
    with filled.write() as session:
        session.execute(sa.update(Story).where(col(Story.seq) == 3).values(title=title))
    line.make_findable(filled)
    with filled.read() as session:
        paper = archive.newsletter_id(session, "daily")
        found = finding.stories(session, lexemes.of_question(asked), paper, upto=99)
    assert [one.story.title for one in found] == [title]


def test_long_answers_are_read_page_by_page_and_cancelled_editions_are_not_found(filled, config, clock, monkeypatch):
    line.make_findable(filled)
    monkeypatch.setattr("digest.web.search.PAGE_OF_FOUND", 5)
    site, address, found = TestClient(application(filled, config, clock=clock)), "?q=journal", list[str]()
    while address:
        page = site.get(f"/newsletters/daily/search{address}").text
        found += re.findall(r"<h2[^>]*><a[^>]*>([^<]*)</a>", page)
        onward = re.search(r'<a rel="next" href="([^"]*)"', page)
        address = html.unescape(onward[1]) if onward else ""
    assert len(found) == len(set(found)) == 12
    with filled.write() as session:
        session.execute(sa.update(Edition).where(col(Edition.number) == 2).values(state=EditionState.CANCELLED))
    page = site.get("/newsletters/daily/search?q=vacuum").text
    assert "Nothing was found." in page
    with filled.write() as session:
        session.execute(sa.delete(Story).where(col(Story.seq) == 3))
    assert "Nothing was found." in site.get("/newsletters/daily/search?q=planner").text


def test_an_edition_is_made_findable_once_it_is_open_and_what_changed_in_it_is_found_as_it_is(filled):
    assert (line.make_findable(filled), line.make_findable(filled)) == (12, 0)
    with filled.write() as session:
        session.execute(sa.update(Story).where(col(Story.seq) == 14).values(title="Zebras of the third edition"))
        session.execute(sa.update(Edition).values(state=EditionState.OPEN))
    assert line.make_findable(filled) == 4
    with filled.read() as session:
        paper = archive.newsletter_id(session, "daily")
        assert [one.number for one in finding.stories(session, ["zebra"], paper, upto=99)] == [3]
        assert finding.stories(session, ["zero"], paper, upto=12) == []
        assert len(finding.stories(session, ["zero"], paper, upto=16)) == 1


def test_a_reader_finds_what_they_were_sent_and_nothing_else(filled, config, clock):
    line.make_findable(filled)
    site = TestClient(application(filled, config, clock=clock))
    eve, ada = own_page(filled, config, "eve@e.example"), own_page(filled, config)
    shown = site.get(f"{ada}/sent").text
    assert [int(n) for n in re.findall(r"/editions/daily/(\d)/", shown)] == [3, 2, 1]  # each as it was sent to her
    for found in re.findall(r'href="(/editions/daily/[^"]*)"', shown):
        assert site.get(found).status_code == 200
    assert "What a vacuum does" in site.get(f"{ada}/sent?q=vacuum").text
    assert "Nothing was found." in site.get(f"{eve}/sent?q=vacuum").text
    assert "Two-factor codes" in site.get(f"{eve}/sent?q=codes").text
    with filled.write() as session:  # what did not reach them, they were not sent
        session.execute(sa.update(OutboxRow).values(state=OutboxState.REFUSED))
    assert (
        "Nothing was found." in site.get(f"{ada}/sent?q=vacuum").text
        and "/editions/daily/" not in site.get(f"{ada}/sent").text
    )
    assert site.get("/preferences/nobody/sent").status_code == 404


def test_what_a_reader_was_sent_long_ago_is_found_too(filled, config, clock):
    line.make_findable(filled)
    site = TestClient(application(filled, config, clock=clock))
    eve, ada = own_page(filled, config, "eve@e.example"), own_page(filled, config)
    shown = {page: site.get(page).text for page in (f"{ada}/sent", f"{ada}/sent?q=vacuum", f"{eve}/sent?q=codes")}
    with filled.write() as session:  # as `digest db prune` leaves them
        for id_ in session.scalars(sa.select(Edition.id)).all():
            rows = session.exec(select(OutboxRow).where(OutboxRow.edition_id == id_).order_by(col(OutboxRow.id))).all()
            letters = [
                rolls.Rolled(row.id, row.subscription_id, row.variant_id, rolls.STATES.index(row.state), 0, 250, 0)
                for row in rows
                if row.state in rolls.STATES
            ]
            if letters:
                session.add(rolls.roll_of(id_, letters))
        session.execute(sa.delete(OutboxRow))
    assert {page: site.get(page).text for page in shown} == shown
    assert "Nothing was found." in site.get(f"{eve}/sent?q=vacuum").text


@pytest.mark.parametrize("alone", [True, False])
def test_the_latest_edition_has_an_address_that_stays(filled, configure, clock, alone):
    papers = {"daily": DAILY} if alone else {"daily": DAILY, "other": DAILY | {"title": "Other"}}
    config = configure(newsletters=papers)
    newsletters.keep(filled, config.newsletters, now=MONDAY)
    site = TestClient(application(filled, config, clock=clock), follow_redirects=False)
    answer = site.get("/newsletters/daily/latest")
    assert (answer.status_code, answer.headers["location"]) == (302, "/newsletters/daily/editions/2")
    assert site.get("/latest").headers["location"] == ("/newsletters/daily/editions/2" if alone else "/")
    assert site.get("/newsletters/none/latest").status_code == 404


def test_who_comes_by_themselves_is_told_which_pages_there_are(site, filled):
    robots = site.get("/robots.txt").text
    assert "Sitemap: https://digest.example/sitemap.xml" in robots and "Disallow: /preferences/" in robots
    rules = urllib.robotparser.RobotFileParser()
    rules.parse(robots.splitlines())
    listed = re.findall(r"<loc>(.*?)</loc>", site.get("/sitemap.xml").text)
    assert len(listed) == len(set(listed)) >= 6
    for address in listed:
        assert rules.can_fetch("anybot", address), address
        assert site.get(address.removeprefix("https://digest.example")).status_code == 200
    assert "https://digest.example/newsletters/daily/editions/2" in listed
    assert not [address for address in listed if "editions/3" in address], "it waits for its editor"
    icon = site.get("/favicon.svg")
    assert icon.headers["content-type"] == "image/svg+xml" and "<svg" in icon.text


def test_what_is_shared_tells_what_it_is_and_has_a_picture_of_it(site, filled):
    page = site.get("/newsletters/daily/editions/2").text
    _, data = apart(page)
    told = dict(re.findall(r'<meta (?:name|property)="([^"]*)" content="([^"]*)">', page))
    assert told["og:url"] == "https://digest.example/newsletters/daily/editions/2" and told["og:type"] == "article"
    assert data["headline"] in html.unescape(told["og:title"]) and len(data["mentions"]) > 1
    assert data["mentions"][1]["name"] in html.unescape(told["description"])
    address = told["og:image"].removeprefix("https://digest.example")
    picture = site.get(address)
    assert picture.headers["content-type"] == "image/png" and len(picture.content) < 100_000
    assert Image.open(BytesIO(picture.content)).size == (1200, 630)
    assert site.get(address, headers={"If-None-Match": picture.headers["etag"]}).status_code == 304
    assert site.get(address.replace("editions/2", "editions/3")).status_code == 404


@pytest.mark.thin(4)
@pytest.mark.parametrize(
    "headline",
    [
        "Short",
        "word " * 60,
        "x" * 300,
        "渐进式交付实践" * 20,
        "أخبار اليوم",
        "हिन्दी",
        "🙂🙂🙂",
        "",
        "\u202egnp\x00\x1b",
        "Zalg" + "o\u0301" * 90,
    ],
)
def test_a_picture_is_made_of_any_headline(headline):
    for rtl in (False, True):
        made = cards.card("Daily \U0001f600", headline, "No. 1 · Monday", "#a03a12", rtl=rtl)
        assert Image.open(BytesIO(made)).size == (1200, 630)


def test_the_sign_up_form_shows_the_last_edition_where_it_is_public(filled, configure, clock):
    for open_, shown in ((True, True), (False, False)):
        config = configure(newsletters={"daily": DAILY | {"archive": open_}})
        page = TestClient(application(filled, config, clock=clock)).get("/subscribe/daily").text
        assert ("The last edition" in page and "/newsletters/daily/editions/2" in page) is shown


@pytest.mark.parametrize(
    "path",
    [
        "/newsletters/daily/search?q=%00&before=99999999999",
        "/newsletters/daily/latest%00",
        "/newsletters/daily/editions/9999999999/card.png",
        "/newsletters/daily/editions/9999999999",
        f"/newsletters/daily/editions/{'9' * 5000}",
        "/newsletters/daily%00",
        "/newsletters/daily/topics/ai%00",
        "/newsletters/daily/topics/ai%00/feed.atom",
        "/editions/daily/99999999999999999999/k",
        "/editions/daily%00/1/k",
        "/editions/daily/1/k%00",
    ],
)
def test_an_address_that_no_database_could_know_is_of_no_page(database, config, clock, path):
    status = 200 if "search" in path else 404
    assert TestClient(application(database, config, clock=clock)).get(path).status_code == status


def test_a_page_beyond_all_numbers_is_the_first(database, config, clock):
    client = TestClient(application(database, config, clock=clock))
    assert client.get("/newsletters/daily?before=999999999999999999").status_code == 200


@on_sqlite
def test_the_api_tells_editions_as_the_archive_shows_them(filled, config, clock):
    with filled.write() as session:
        made = {"newsletters": (), "verbs": ["editions:read"], "expires_at": None, "now": clock()}
        token = keys.add(session, "site", **made)[1]
    client = TestClient(application(filled, config, clock=clock), headers={"Authorization": f"Bearer {token}"})
    home = "/api/v1/newsletters/daily/editions"
    page = client.get(home, params={"limit": 1}).json()
    assert ([one["number"] for one in page["items"]], page["next"]) == ([2], 2)  # the third is held
    rest = client.get(home, params={"before": page["next"]}).json()
    assert ([one["number"] for one in rest["items"]], rest["next"]) == ([1], None)
    answer = client.get(f"{home}/2")
    shown, html = answer.json(), client.get("/newsletters/daily/editions/2").text
    assert shown["subject"] == page["items"][0]["subject"] and shown["url"].endswith("/newsletters/daily/editions/2")
    assert len(shown["stories"]) == page["items"][0]["stories"] > 3
    for story in shown["stories"]:
        assert story["title"] in shown["text"] and story["url"] in shown["html"] and story["url"] in html
    for text in (shown["html"], shown["text"]):
        assert not re.search(r"digest\.invalid|/unsubscribe|/preferences|\0|Unsubscribe|View in browser", text)
    assert client.get(f"{home}/2", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert {client.get(f"{home}/{number}").status_code for number in ("3", "4", "0", "x", "9999999999")} == {404}
    with filled.write() as session:
        session.execute(sa.update(Edition).where(col(Edition.number) == 3).values(state=EditionState.CANCELLED))
    assert client.get(f"{home}/3").status_code == 410
    daily = config.newsletters["daily"].model_copy(update={"archive": False})
    shut = config.model_copy(update={"newsletters": {"daily": daily}})
    client = TestClient(application(filled, shut, clock=clock), headers={"Authorization": f"Bearer {token}"})
    assert {client.get(path).status_code for path in (home, f"{home}/2")} == {404}
    assert client.get(home).headers["content-type"] == "application/problem+json"


def test_what_a_machine_wrote_is_said_to_be_so_wherever_it_is_shown(filled, site):
    with filled.write() as session:
        for story in session.exec(select(Story)):
            story.excerpt = "Words of a machine about this."
            story.reasons = story.reasons | {"summary": {"how": "machine", "why": "a machine wrote it"}}
            topic = story.topic
            session.add(story)
    paths = ("topics/{topic}", "topics/{topic}/feed.atom", "feed.atom")
    for path in paths:
        said = site.get(f"/newsletters/daily/{path.format(topic=topic)}").text
        assert said.count("Words of a machine about this.") == said.count("(Summary by a machine)") > 0, path
