"""The pages of stubs: whose are read, what of them is taken, and that they cost nobody else anything."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

import pytest
import test_collect
from people import enrol
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, add, at_home, run, settings

from digest import collect, edition, line
from digest.collect import full_text, robots
from digest.config import Config
from digest.curate import stubs
from digest.models import Feed
from digest.parse import article, gist
from digest.parse.article import NotTaken, Page, refusal
from digest.store import Database, full_texts
from digest.store.feed_tables import FullText, Robots, Undecided
from digest.store.story_tables import Entry, Story
from digest.values import Stub

site, database, digest = test_collect.site, test_collect.database, test_collect.digest

HOUR = timedelta(hours=1)
TITLE = "Council decides about bridges"
WORDS = "The council of the town met on Tuesday and decided"


def told(about: str = "bridges", paragraphs: int = 12) -> str:
    """An article of some 400 words."""
    return "".join(
        f"<p>Paragraph {n} tells what the council of the town decided on Tuesday about {about}, who spoke against it "
        f"in {n * 7} words, and how number {n} of the plans came to be forgotten in a drawer of the archive.</p>"
        for n in range(paragraphs)
    )


def page(body: str = "", title: str = TITLE, head: str = "") -> bytes:
    links = "<a href='/x'>Something else of ours</a> " * 20
    return (
        f"<!doctype html><html><head><meta charset=utf-8><title>{title}</title>{head}</head><body><nav>{links}</nav>"
        f"<article><h1>{title}</h1>{body or told()}</article><footer>All rights reserved</footer></body></html>"
    ).encode()


def rss(site: Site, *items: tuple[str, str, str]) -> bytes:
    """A feed of entries: path or address, title, description."""
    told = "".join(
        f"<item><title>{escape(title)}</title><guid>{path}</guid><description>{escape(text)}</description>"
        f"<link>{path if '://' in path else site.base + path}</link>"
        f"<pubDate>{format_datetime(MONDAY - timedelta(minutes=n))}</pubDate></item>"
        for n, (path, title, text) in enumerate(items)
    )
    return f'<rss version="2.0"><channel><title>Gazette</title>{told}</channel></rss>'.encode()


def follow(database: Database, on: bool = True) -> None:
    with database.write() as session:
        for feed in session.exec(select(Feed)):
            feed.full_text = on
            session.add(feed)


def admit(database: Database, config: Config, now: datetime = MONDAY) -> None:
    line.admit(database, config, "daily", now=now)


def pages(database: Database, config: Config, now: datetime = MONDAY) -> collect.FullTextReport:
    return line.full_texts(database, config, "daily", clock=lambda: now)


def gazette(database: Database, site: Site, *items: tuple[str, str, str], **said: Any) -> Config:
    """A feed of these entries, collected and admitted, whose stubs are to be followed."""
    site.pages["/feed"] = Reply(rss(site, *items))
    add(database, site.base + "/feed")
    follow(database)
    config = settings(**said).model_copy()
    run(database, config)
    admit(database, config, MONDAY + HOUR)
    return config


def stories(database: Database) -> list[Story]:
    with database.read() as session:
        return list(session.exec(select(Story).order_by(Story.seq)))


def row(database: Database, entry_id: int = 1) -> FullText:
    with database.read() as session:
        return session.exec(select(FullText).where(FullText.entry_id == entry_id)).one()


STUB = ("/1", TITLE, f"{WORDS} […]")


# ---------------------------------------------------------------- what comes of a page


def test_a_stub_has_excerpt_reading_time_and_rank_of_its_page_which_is_asked_for_once(
    database: Database, site: Site
) -> None:
    config = gazette(database, site, STUB)
    site.pages["/1"] = Reply(page(), headers={"Content-Type": "text/html"})
    [before] = stories(database)
    report = pages(database, config)
    assert (report.wanted, report.asked, report.taken) == (1, 1, 1)
    [story] = stories(database)
    assert before.excerpt.startswith("The council of the town met")
    assert story.excerpt.startswith("Paragraph 0 tells what the council")
    assert (before.reading_minutes, story.reading_minutes) == (0, 2)
    assert story.rank > before.rank
    with database.read() as session:
        assert edition.explain(session, story)["excerpt_from"].startswith("its page, read 2026-03-02 07:00")
    for day in range(3):
        pages(database, config, MONDAY + timedelta(hours=day))
    assert site.paths() == ["/feed", "/robots.txt", "/1"]


def test_only_stubs_that_stand_for_an_edition_are_followed(database: Database, site: Site) -> None:
    whole = "A text of the feed's own, which says all that there is to say about this and about that. " * 8
    config = gazette(database, site, STUB, ("/whole", "Another matter entirely", whole), ("/2", TITLE, WORDS))
    follow(database, on=False)
    assert pages(database, config).wanted == 0
    follow(database)
    with database.read() as session:
        wanted = edition.wanting(database, "daily", config, now=MONDAY)
        entry = session.get_one(Entry, wanted[0].entry_id)
    assert [stub.why for stub in wanted] == ["gives the beginning only, 10 words"]  # and not who tells it as well
    assert entry.title == TITLE
    with database.write() as session:
        for story in session.exec(select(Story)):
            story.dropped = True
            session.add(story)
    assert edition.wanting(database, "daily", config, now=MONDAY) == []


def test_what_comes_late_changes_no_story_that_was_sent(database: Database, site: Site) -> None:
    config = gazette(database, site, STUB)
    with database.write() as session:
        enrol(session, "ada@example.org", now=MONDAY - timedelta(days=1), secret=config.secret_key.get_secret_value())
    stub = edition.wanting(database, "daily", config, now=MONDAY)[0]
    made = line.compose(database, config, "daily", now=MONDAY + 2 * HOUR)
    assert isinstance(made, edition.Composed) and made.letters == 1
    site.pages["/1"] = Reply(page())
    [before] = stories(database)
    assert read(database, config, [stub]).taken == 1
    assert edition.use_full_texts(database, "daily", config.curate) == 0
    assert stories(database)[0].excerpt == before.excerpt
    with database.read() as session:
        assert "when an edition had the story already" in edition.explain(session, before)["excerpt_from"]


def test_a_later_telling_that_leads_where_the_page_is_tells_the_same(database: Database, site: Site) -> None:
    short = ("/r/1", TITLE, f"{WORDS} […]")
    config = gazette(database, site, short)
    site.pages["/r/1"] = Reply(status=302, headers={"Location": "/2026/bridges?from=feed"})
    site.pages["/2026/bridges?from=feed"] = Reply(page(head='<link rel="canonical" href="/2026/bridges">'))
    assert pages(database, config).taken == 1
    site.pages["/feed"] = Reply(rss(site, ("/2026/bridges", "Nothing alike in words", "Quite other words"), short))
    run(database, config, now=MONDAY + 6 * HOUR, force=True)
    site.pages["/other"] = Reply(rss(site, ("/2026/bridges", "Ratsherren einigen sich", "Quite other words")))
    add(database, site.base + "/other")
    run(database, config, now=MONDAY + 6 * HOUR, force=True)
    admit(database, config, MONDAY + 8 * HOUR)
    assert stories(database)[0].title == TITLE
    with database.read() as session:
        told_by = [t["title"] for t in edition.explain(session, stories(database)[0])["told_by"]]
    assert told_by == [TITLE, "Ratsherren einigen sich"]


def test_a_text_that_is_there_before_admission_is_what_an_entry_is_judged_by(database: Database, site: Site) -> None:
    config = gazette(database, site, STUB)
    site.pages["/1"] = Reply(page())
    assert read(database, config, edition.wanting(database, "daily", config, now=MONDAY)).taken == 1
    with database.write() as session:
        story = session.exec(select(Story)).one()
        session.add(Undecided(newsletter_id=story.newsletter_id, entry_id=story.entry_id))
        session.delete(story)
    admit(database, config, MONDAY + 2 * HOUR)
    [story] = stories(database)
    assert story.excerpt.startswith("Paragraph 0") and story.reasons["excerpt"] == "page"


# ---------------------------------------------------------------- whom we may ask, and how often


def read(database: Database, config: Config, stubs: list[Stub], **said: Any) -> collect.FullTextReport:
    said = {"clock": lambda: MONDAY, "seconds": 60, "most": 40} | said
    return asyncio.run(collect.read_full_texts(database, config, stubs, **said))


def robots_txt(body: str) -> Reply:
    return Reply(body.encode(), headers={"Content-Type": "text/plain"})


def test_robots_txt_is_heeded_after_redirects_too_and_asked_for_once_a_day(database: Database, site: Site) -> None:
    items = [(path, f"{TITLE} {path}", f"{WORDS} […]") for path in ("/open", "/closed", "/leads")]
    config = gazette(database, site, *items)
    site.pages["/robots.txt"] = robots_txt("User-agent: *\nAllow: /\nUser-agent: DIGEST\nDisallow: /*losed$\n")
    site.pages |= {"/open": Reply(page()), "/leads": Reply(status=301, headers={"Location": "/closed"})}
    report = pages(database, config)
    assert (report.taken, report.refused) == (1, 2)
    assert "/closed" not in site.paths() and site.paths().count("/robots.txt") == 1
    whys = [row(database, number).why for number in (1, 2, 3)]
    assert sum("robots.txt does not let it be read" in why for why in whys) == 2
    assert pages(database, config, MONDAY + timedelta(days=2)).asked == 0  # refused for good
    with database.read() as session:
        assert full_texts.robots(session, [site.base], now=MONDAY + timedelta(days=2)) == {}


def test_without_robots_txt_all_is_open_and_while_it_cannot_be_had_nothing(database: Database, site: Site) -> None:
    config = gazette(database, site, STUB)
    site.pages |= {"/1": Reply(page()), "/robots.txt": Reply(status=503)}
    assert pages(database, config).taken == 0
    assert "robots.txt of its host answers 503" in row(database).why
    del site.pages["/robots.txt"]
    assert pages(database, config, MONDAY + 2 * HOUR).taken == 1
    with database.read() as session:
        assert session.exec(select(Robots)).one().rules == robots.EVERYTHING


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: digest\nUser-agent: other\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow: /\nUser-agent: digest/2.0\nDisallow: /x", "/a", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.php$", "/a.php?b", True),
        ("User-agent: *\nDisallow: /*.php$", "/a.php", False),
        ("User-agent: *\nDisallow: /*?s=", "/a?s=1", False),
        ("\ufeffUSER-AGENT : *\r\nDISALLOW : /a # why", "/abc", False),
        ("User-agent: *\nDisallow: /%C3%A4", "/ä", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        ("<html>Disallow: /</html>", "/a", True),
        ("User-agent: *\nDisallow: /\n", "/robots.txt", True),
        ("User-agent: *\nAllow: /" + "*a" * 500 + "b$\nDisallow: /", "/" + "a" * 2000, False),
    ],
)
def test_robots_txt_is_read_as_rfc_9309_has_it(text: str, path: str, allowed: bool) -> None:
    assert robots.allows(robots.group(text.encode()), f"https://a.example{path}") is allowed


def test_a_page_is_tried_three_times_and_by_one_of_two_runs_and_after_a_kill_when_its_lease_is_over(
    database: Database, site: Site
) -> None:
    config = gazette(database, site, STUB)
    site.pages["/1"] = Reply(status=500)
    [stub] = edition.wanting(database, "daily", config, now=MONDAY)

    def claim(now: datetime) -> bool:
        with database.write() as session:
            return full_texts.claim(session, stub.entry_id, lease=HOUR, now=now)

    assert [claim(MONDAY), claim(MONDAY)] == [True, False]  # who had it first is killed now
    assert edition.wanting(database, "daily", config, now=MONDAY + HOUR / 2) == []
    assert pages(database, config, MONDAY + HOUR).refused == 1
    assert row(database).why == "its page answers 500 (server error)"
    assert pages(database, config, MONDAY + 1.5 * HOUR).wanted == 0
    assert pages(database, config, MONDAY + 3 * HOUR).refused == 1
    assert [pages(database, config, MONDAY + n * HOUR).wanted for n in (9, 99)] == [0, 0]
    assert site.paths().count("/1") == 2


def test_two_runs_at_once_ask_for_each_page_once_between_them(database: Database, site: Site) -> None:
    titles = ("Ferry to the island is late", "Museum opens on Sunday", "Rain is expected until spring")
    config = gazette(database, site, *((f"/{n}", title, f"{WORDS} {n} […]") for n, title in enumerate(titles)))
    site.pages |= {f"/{n}": Reply(page(title=title)) for n, title in enumerate(titles)}
    wanted = edition.wanting(database, "daily", config, now=MONDAY)

    async def both() -> list[collect.FullTextReport]:
        ask = partial(collect.read_full_texts, database, config, wanted, clock=lambda: MONDAY)
        return await asyncio.gather(ask(seconds=60, most=9), ask(seconds=60, most=9))

    reports = asyncio.run(both())
    assert sum(report.asked for report in reports) == sum(report.taken for report in reports) == 3
    assert sorted(path for path in site.paths() if path[1:].isdigit()) == ["/0", "/1", "/2"]


def test_a_page_that_many_entries_share_is_none_of_theirs(database: Database, site: Site) -> None:
    items = [(f"{site.base}/status", f"Incident {n} of the town's power", f"{WORDS} {n} […]") for n in range(3)]
    body = rss(site, *items)
    for n in range(3):
        body = body.replace(b"<guid>" + site.base.encode() + b"/status<", b"<guid>%d<" % n, 1)
    site.pages["/feed"] = Reply(body)
    add(database, site.base + "/feed")
    follow(database)
    run(database)
    admit(database, settings(), MONDAY + HOUR)
    assert len(stories(database)) == 3
    assert edition.wanting(database, "daily", settings(), now=MONDAY) == []


def test_what_is_under_way_when_time_is_up_is_a_try_and_what_had_no_turn_is_none(
    database: Database, site: Site
) -> None:
    base = f"http://paper.example:{site.port}"
    config = gazette(
        database,
        site,
        *((f"{base}/{n}", f"{TITLE} {n}", f"{WORDS} […]") for n in (1, 2)),
        hosts={"paper.example": {"connections": 1}},
    )
    reached, over = threading.Event(), threading.Event()

    def slow(_handler: Any) -> None:
        reached.set()
        over.wait(30)

    site.pages |= {"/1": slow, "/2": slow}
    wanted = edition.wanting(database, "daily", config, now=MONDAY)

    async def until_reached() -> None:
        ask = partial(collect.read_full_texts, database, config, wanted, clock=lambda: MONDAY, resolve=at_home)
        reading = asyncio.create_task(ask(seconds=60, most=9))
        await asyncio.to_thread(reached.wait, 30)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(until_reached())
    over.set()
    with database.read() as session:
        tries = sorted((one.tries, one.why) for one in session.exec(select(FullText)))
    assert tries[-1] == (1, "its page was not there in time")
    assert tries[:-1] in ([], [(0, "")])  # it waits for its turn, unless it had not come so far
    assert len(edition.wanting(database, "daily", config, now=MONDAY)) == 1


def test_without_time_or_pages_left_nobody_is_asked(database: Database, site: Site) -> None:
    config = gazette(database, site, STUB)
    wanted = edition.wanting(database, "daily", config, now=MONDAY)
    assert read(database, config, wanted, seconds=0).asked == read(database, config, wanted, most=0).asked == 0
    assert collect.Bounds(20, 40).without(collect.FullTextReport(asked=3, seconds=5)) == collect.Bounds(15, 37)
    assert site.paths() == ["/feed"]


def test_a_host_that_asks_for_rest_is_left_alone_and_that_is_no_try(database: Database, site: Site) -> None:
    base = f"http://paper.example:{site.port}"
    config = gazette(database, site, (f"{base}/1", TITLE, f"{WORDS} […]"))
    site.pages["/robots.txt"] = Reply(status=429, headers={"Retry-After": "3600"})
    wanted = edition.wanting(database, "daily", config, now=MONDAY)
    assert read(database, config, wanted, resolve=at_home).taken == 0
    site.pages["/1"] = Reply(page())
    later = MONDAY + HOUR / 2
    with database.write() as session:
        session.get_one(FullText, 1).next_at = MONDAY
    assert read(database, config, wanted, clock=lambda: later, resolve=at_home).asked == 0
    assert (row(database).tries, row(database).next_at) == (1, MONDAY + HOUR)
    assert "/1" not in site.paths()


def test_hosts_have_their_pages_in_turn() -> None:
    stubs = [Stub(n, f"https://{host}.example/{n}", "", "", "", "") for n, host in enumerate("aaabbc")]
    assert [stub.entry_id for stub in full_text._in_turn(stubs)] == [0, 3, 5, 1, 4, 2]


def test_a_feeds_secrets_go_to_its_own_origin_only(database: Database, site: Site) -> None:
    other = f"http://other.example:{site.port}/2"
    config = gazette(database, site, STUB, (other, "Ferry to the island is late", f"{WORDS} […]"))
    site.pages |= {"/1": Reply(page()), "/2": Reply(page(told("ferries"), title="Ferry to the island is late"))}
    with database.write() as session:
        feed = session.get_one(Feed, 1)
        feed.headers = {"Cookie": "paid=1"}
    wanted = edition.wanting(database, "daily", config, now=MONDAY)
    assert "paid=1" not in repr(wanted)
    assert read(database, config, wanted, resolve=at_home).taken == 2
    assert {path: headers.get("cookie") for path, headers in site.asked if path in ("/1", "/2")} == {
        "/1": "paid=1",
        "/2": None,
    }


# ---------------------------------------------------------------- what is not taken


HOSTILE: dict[str, Reply | Callable[[Any], None]] = {
    "huge": Reply(b"<!doctype html><p>" + b"word " * 700_000),
    "bomb": Reply(gzip.compress(b"<!doctype html>" + b" " * 40_000_000, 1), headers={"Content-Encoding": "gzip"}),
    "nested": Reply(b"<!doctype html><html><body>" + b"<div>" * 100_000 + b"Council decides" + b"</div>" * 100_000),
    "odd": Reply(bytes(range(256)) * 200, headers={"Content-Type": "text/html; charset=utf-7"}),
    "cut": Reply(page()[:700]),
    "pdf": Reply(b"%PDF-1.7" + b"\0" * 1000, headers={"Content-Type": "application/pdf"}),
    "private": Reply(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"}),
    "front": Reply(status=301, headers={"Location": "/"}),
    "login": Reply(status=401),
    "challenge": Reply(b"<!doctype html><title>Just a moment...</title>", headers={"cf-mitigated": "challenge"}),
}


def test_a_hostile_page_costs_its_own_entry_only(database: Database, site: Site) -> None:
    items = [(f"/{name}", f"{TITLE} {name}", f"{WORDS} […]") for name in (*HOSTILE, "good")]
    config = gazette(database, site, *items)
    config = config.model_copy(update={"curate": config.curate.model_copy(update={"newest_of_new_feed": 99})})
    with database.read() as session:
        by_path = {entry.url.rpartition("/")[2]: entry for entry in session.exec(select(Entry))}
    site.pages |= {f"/{name}": reply for name, reply in HOSTILE.items()} | {"/": Reply(page()), "/good": Reply(page())}
    wanted = [Stub(e.id or 0, e.url, e.title, WORDS, "", site.base) for e in by_path.values()]
    report = read(database, config, wanted)
    assert (report.asked, report.taken) == (len(HOSTILE) + 1, 1)
    whys = {name: row(database, entry.id or 0).why for name, entry in by_path.items()}
    assert whys.pop("good") == "" and all(whys.values())
    assert "is larger than" in whys["huge"] and "is larger than" in whys["bomb"]
    assert "private address" in whys["private"] and "front page" in whys["front"]
    assert "application/pdf" in whys["pdf"] and "challenge of Cloudflare" in whys["challenge"]


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "utf-16", "shift_jis"])
def test_a_page_in_another_encoding_than_it_declares_is_read_as_far_as_it_can_be(charset: str) -> None:
    body = page(told("Brücken"))
    found = article.read(Page(body, "https://a.example/1", f"text/html; charset={charset}", TITLE, WORDS))
    assert "Paragraph 3 tells what the council" in found.text


ARTICLE = " ".join(f"Sentence {n} is about bridges, which the council decides on again." for n in range(40))
CASES = [
    ("", {}, "too little text"),
    ("Council decides about bridges. Log in.", {}, "too little text"),
    (ARTICLE, {}, ""),
    (ARTICLE, {"links": 0.8}, "mostly links"),
    (ARTICLE[:700], {"walled": True}, "has not paid"),
    (ARTICLE[:700] + " Subscribe now to continue reading this story.", {}, "has not paid"),
    (ARTICLE[:700] + " Jetzt weiterlesen mit unserem Abo.", {}, "has not paid"),
    (ARTICLE + " Subscribe to continue reading other stories.", {}, ""),
    (ARTICLE, {"said": f"{ARTICLE} and more"}, "no more than the feed"),
    (" ".join(f"Quite other words number {n} of somebody." for n in range(40)), {}, "another page"),
    (" ".join(f"Kitten {n} sleeps in the sun." for n in range(40)), {"heading": f"{TITLE} | Gazette"}, ""),
    (f"{TITLE}. " + "We value your privacy. We and our 842 partners store cookies with consent. " * 9, {}, "consent"),
    ("Page not found. " + "Try our search or one of these sections of the site instead. " * 9, {}, "another page"),
    ("橋梁について議会が決定した内容を伝える記事である。" * 9, {"title": "橋梁について議会が決定"}, ""),
    ("まったく別の話題を扱う文章がここに続いている。" * 9, {"title": "橋梁について議会が決定"}, "another page"),
]


@pytest.mark.parametrize(("text", "said", "why"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_text_is_judged_before_it_is_taken(text: str, said: dict[str, Any], why: str) -> None:
    found = refusal(text, **({"title": TITLE, "said": ""} | said))
    assert (why in found) if why else found == ""


def test_a_page_of_headlines_is_no_article() -> None:
    links = "".join(f"<p><a href='/{n}'>{TITLE}, says paper number {n} of the town</a></p>" for n in range(60))
    with pytest.raises(NotTaken, match="mostly links"):
        article.read(Page(page(links), "https://a.example/1", "text/html", TITLE, WORDS))


def test_what_a_text_says_of_markup_stays_text() -> None:
    text = "The element <script>alert(1)</script> runs & tells.\nA second paragraph has <table> in it."
    said = gist.unpack(article.gist_of(text))
    assert said is not None
    assert [found.said for found in said.content] == text.split("\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "gives no text"),
        (f"<p>{TITLE}</p>", "gives no text besides its title"),
        ("<p>A note.</p>", "gives 2 words only"),
        ("<p>It met in the evening, and the hall was full of people who wanted to hear it.</p>", "17 words only"),
        (f"<p>{'So it went on for a while. ' * 20} and then […]</p>", "the beginning only"),
        (f"<p>{'So it went on for a while. ' * 20}</p><p>Continue reading →</p>", "the beginning only"),
        (f"<p>{'So it went on for a while. ' * 20}</p><p><a href='/'>Weiterlesen</a></p>", "the beginning only"),
        (f"<p>{'So it went on for a while. ' * 20}</p>", ""),
        (f"<p>{'So it went on. ' * 20}</p><p>{'A man may read more of it in many a book. ' * 6}</p>", ""),
    ],
)
def test_what_a_stub_is(text: str, why: str) -> None:
    found = stubs.reason(gist.of("", text), title=TITLE)
    assert (why in found) if why else found == ""


# ---------------------------------------------------------------- doors


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(article, "available", lambda: False)
    return None


def test_without_the_extra_it_is_refused_and_a_run_goes_on(
    database: Database, site: Site, digest: Any, without_extra: None
) -> None:
    config = gazette(database, site, STUB)
    heard: list[Any] = []
    report = line.full_texts(database, config, "daily", clock=lambda: MONDAY, tell=heard.append)
    assert (report.missing, report.asked, len(heard)) == (True, 0, 1)
    assert stories(database)[0].excerpt.startswith("The council")
    for words in (("feed", "set", "1", "--full-text"), ("feed", "add", site.base + "/feed", "--full-text")):
        result = digest(*words)
        assert (result.exit_code, "digest-newsletter[fulltext]" in result.stderr) == (69, True)


@pytest.mark.long
def test_a_preview_reads_pages_only_where_it_is_asked_to(database: Database, site: Site, digest: Any) -> None:
    site.pages |= {"/feed": Reply(rss(site, STUB)), "/1": Reply(page())}
    assert digest("feed", "add", site.base + "/feed", "--full-text", "--no-check").exit_code == 0
    assert digest("collect").exit_code == 0
    with database.write() as session:
        session.get_one(Entry, 1).changed_at = None
    shown = digest("preview", "--text")
    assert "The council of the town met" in shown.stdout and "/1" not in site.paths()
    for _ in range(2):
        shown = digest("preview", "--text", "--full-text")
        assert "Paragraph 0 tells what the council" in shown.stdout
    assert site.paths().count("/1") == 1
    told = digest("feed", "show", "1").stdout
    assert f"{TITLE}: excerpt and reading time are of its page" in told


def test_robots_txt_is_asked_for_the_way_its_page_is(database: Database, site: Site) -> None:
    config = gazette(database, site, ("/1", TITLE, f"{WORDS} […]"))
    with database.read() as session:
        [entry] = session.exec(select(Entry)).all()
    there = "http://pages.example"
    site.pages |= {f"{there}/1": Reply(page()), f"{there}/robots.txt": robots_txt("User-agent: *\nDisallow: /x\n")}
    manner = {"headers": {"User-Agent": "Mine/1", "X-Key": "s3cret"}, "proxy": site.base}
    stub = Stub(entry.id or 0, f"{there}/1", TITLE, WORDS, "", "http://paper.example/feed", **manner)
    del site.asked[:]
    assert read(database, config, [stub]).taken == 1
    assert site.paths() == [f"{there}/robots.txt", f"{there}/1"]
    assert {sent["user-agent"] for _, sent in site.asked} == {"Mine/1"}
    assert not any("x-key" in sent for _, sent in site.asked)


def test_a_page_is_left_alone_where_robots_txt_can_not_be_had_the_way_of_its_feed(
    database: Database, site: Site
) -> None:
    config = gazette(database, site, ("/1", TITLE, f"{WORDS} […]"))
    with database.read() as session:
        [entry] = session.exec(select(Entry)).all()
    site.pages["/1"] = Reply(page())
    stub = Stub(entry.id or 0, f"{site.base}/1", TITLE, WORDS, "", site.base, proxy="http://127.0.0.1:9")
    del site.asked[:]
    assert read(database, config, [stub]).taken == 0
    assert site.asked == []
