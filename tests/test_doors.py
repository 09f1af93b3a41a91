"""More doors in: pages by selectors, sitemaps of news, places by their names, votes, and lists of other readers."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import test_collect
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, at_home, feed, rss, run, settings, titles

from digest import collect, parse
from digest.collect import gathering, lists, places
from digest.collect.workers import Parsers
from digest.config import Curate
from digest.curate import rank
from digest.edition.admit import take_in
from digest.errors import BadInput, FetchError, NotFound
from digest.parse import NotAFeed, Outline, Recipe, popularity, sitemaps
from digest.store import Database, entries
from digest.store.feed_tables import FeedList
from digest.store.story_tables import Entry, Story

site, database, digest = test_collect.site, test_collect.database, test_collect.digest
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def article(name: str, *, day: int = 20, heading: str = "h2") -> str:
    return (
        f'<article><{heading}><a href="{name.lower()}.html">{name} &amp; Co</a></{heading}>'
        f'<time datetime="2026-02-{day:02}T10:00:00Z">{day} Feb</time><p class="lead">About <b>{name}</b>.</p>'
        f'<img src="data:image/gif;base64,xx" data-src="/{name}.png"></article>'
    )


def news_page(*articles: str) -> bytes:
    head = '<html lang="en"><head><title>Our news</title><base href="/news/"></head>'
    return f"<!doctype html>{head}<body><nav>x</nav>{''.join(articles)}</body></html>".encode()


PAGE = news_page(article("One"), article("Two", day=21))


def read(page: bytes, recipe: Recipe, *, kind: str = "text/html") -> parse.ParsedFeed:
    return parse.feed(page, url="https://x.example/all", content_type=kind, now=NOW, recipe=recipe)


# ---------------------------------------------------------------- pages by selectors


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("article"),
        Recipe("article", title="h2", link="a", date="time", text=".lead", image="img"),
        Recipe(
            "article", title="a", link="h2 a@href", date="time@datetime", text="p.lead, p.more", image="img@data-src"
        ),
        Recipe("xpath://article", *(f"xpath:descendant::{e}" for e in ("h2", "a/@href", "time/@datetime", "p")), ""),
        Recipe("body > article:nth-child(n)", date="xpath:string(.//time/@datetime)"),
    ],
)
def test_a_pages_entries_are_found_by_selectors_of_each_kind(recipe: Recipe) -> None:
    recipe.check()
    found = read(PAGE, recipe)
    assert (found.title, found.language, found.trouble) == ("Our news", "en", ())
    one, two = found.entries
    assert (one.title, one.url) == ("One & Co", "https://x.example/news/one.html")
    assert one.published_at == datetime(2026, 2, 20, 10, tzinfo=UTC)
    assert "About <b>One</b>." in one.content and two.url.endswith("two.html")
    if recipe.image or not recipe.item.startswith("xpath:"):
        assert one.image_url == "https://x.example/One.png"


def test_what_a_pages_text_says_is_cleaned_like_any_strangers() -> None:
    page = news_page(
        '<article><h2><a href="javascript:x">T\u202e</a></h2><p onclick=x>a<script>b</script></p></article>'
    )
    [entry] = read(page, Recipe("article")).entries
    assert (entry.title, entry.url, entry.content) == ("T", "", "<p>a</p>")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe("h2["), "the selector of the item, 'h2[', cannot be read"),
        (Recipe("article", title="a:nth-child("), "the selector of the title"),
        (Recipe("xpath://["), "Invalid expression"),
        (Recipe("xpath:document('file:///etc/passwd')"), "Unregistered function"),
        (Recipe("xpath:re:test(., 'a')"), "Undefined namespace prefix"),
        (Recipe("xpath:$secret"), "Undefined variable"),
        (Recipe("a::before"), "Pseudo-elements"),
        (Recipe(":not(" * 180), "cannot be read"),
        (Recipe("a" * 1_001), "more than 1,000 characters"),
        (Recipe("items[", kind="json"), "brackets"),
        (Recipe("a", kind="yaml"), "no kind of page"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused_in_words_and_costs_a_page_no_more(recipe: Recipe, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        recipe.check()
    assert said in str(caught.value)
    if recipe.kind == "html" and not recipe.title:
        with pytest.raises(NotAFeed):
            read(PAGE, recipe)


def test_a_selector_that_matches_too_much_is_a_failure_and_no_flood() -> None:
    page = news_page("<p>" * 100_000)
    with pytest.raises(NotAFeed, match=r"has 100,000 × 'p', .*the selector is too wide"):
        read(page, Recipe("p"))


def test_a_selector_that_takes_too_long_costs_its_feed_one_failure() -> None:
    page = news_page("<p><i></i></p>" * 20_000)
    dear = Recipe("xpath://*[count(//*[count(//*) > count(//i)]) > 1]")

    async def ask(page: bytes, recipe: Recipe, seconds: float) -> parse.ParsedFeed:
        with Parsers(workers=1, seconds=seconds) as parsers:
            return await parsers.parse(page, url="https://x.example/", content_type="", now=NOW, recipe=recipe)

    with pytest.raises(FetchError, match="takes longer than"):
        asyncio.run(ask(page, dear, 0.1))
    assert len(asyncio.run(ask(PAGE, Recipe("article"), 60)).entries) == 2


@pytest.mark.parametrize("body", [b"", b"\0\xff" * 99, b"<" * 5_000, b"<a>" * 50_000, b"{", b"[" * 100_000])
@pytest.mark.parametrize("kind", ["html", "xml", "json"])
def test_no_bytes_break_a_recipe(body: bytes, kind: str) -> None:
    try:
        assert not read(body, Recipe("article", kind=kind)).entries
    except NotAFeed as error:
        assert error.reason


def test_json_and_xml_are_read_by_paths_and_xpath() -> None:
    items = [
        {"t": "One", "at": "20/02/2026 10:00", "to": {"url": "/one"}, "tags": ["a", "b"], "n": 7, "html": "<p>x</p>"}
    ]
    where = {"title": "t", "link": "to.url", "date": "at", "tags": "tags", "id": "n", "text": "html"}
    for item, document in (("data.list", {"data": {"list": items}}), ("$", items), ("a[0].b", {"a": [{"b": items}]})):
        recipe = Recipe(item, **where, date_format="d/m/Y H:i", kind="json")
        recipe.check()
        [entry] = read(json.dumps(document).encode(), recipe).entries
        assert (entry.title, entry.url, entry.guid, entry.categories) == (
            "One",
            "https://x.example/one",
            "7",
            ("a", "b"),
        )
        assert (entry.published_at, entry.content) == (datetime(2026, 2, 20, 10, tzinfo=UTC), "<p>x</p>")
    rows = b"<rows><row n='1'><name>One</name><at>1772100000</at></row></rows>"
    by_xpath = Recipe("xpath://row", title="name", id="@n", date="at", date_format="U", kind="xml")
    [entry] = read(rows, by_xpath).entries
    assert (entry.title, entry.guid, entry.published_at) == ("One", "1", datetime(2026, 2, 26, 10, tzinfo=UTC))


def add_page(database: Database, url: str, recipe: Recipe) -> None:
    collect.add_feed(database, url, newsletter="daily", now=MONDAY, recipe=recipe)


def test_a_page_that_had_entries_and_has_none_has_changed_and_says_so(database: Database, site: Site) -> None:
    site.pages["/news"] = Reply(PAGE)
    add_page(database, site.base + "/news", Recipe("article"))
    assert run(database).new == 2
    for day, (page, said) in enumerate(
        (
            (news_page("<section>all new</section>"), "has nothing any more where 'article' looks for it"),
            (PAGE, ""),
            (news_page("<article> </article>"), "the page has changed"),
        ),
        1,
    ):
        site.pages["/news"] = Reply(page)
        report = run(database, now=MONDAY + timedelta(days=day))
        assert (report.new, report.failed) == (0, int(bool(said)))
        assert said in feed(database).error and bool(feed(database).error) == bool(said)
    assert len(titles(database)) == 2


def test_a_part_that_was_asked_for_and_is_nowhere_is_told_before_it_makes_new_entries_of_old_ones() -> None:
    assert len(read(PAGE, Recipe("article", title="h2", link="a")).entries) == 2
    for recipe in (Recipe("article", title="h3"), Recipe("article", title="h2", link="a.more")):
        with pytest.raises(
            NotAFeed, match=r"in none of them a (title|link) where .* looks for it: the page has changed"
        ):
            read(PAGE, recipe)


def test_an_empty_page_that_never_had_entries_is_no_failure(database: Database, site: Site) -> None:
    site.pages["/status"] = Reply(news_page("<p>all well</p>"))
    add_page(database, site.base + "/status", Recipe("article"))
    assert (run(database).failed, feed(database).error) == (0, "")


def test_a_page_is_shown_before_it_is_stored_and_its_selectors_are_kept_shown_and_changed(
    database: Database, site: Site, digest: Any
) -> None:
    site.pages["/news"] = Reply(news_page(*(article(f"N{n}", day=n + 1) for n in range(7))))
    words = ("feed", "add", site.base + "/news", "--select", "article", "--select-title", "h2")
    tried = digest(*words, "--dry-run")
    assert tried.exit_code == 0 and tried.stderr.startswith("7 entries are found, the first:\n"), tried.stderr
    rows = [line.split("\t") for line in tried.stdout.splitlines()]
    assert len(rows) == 6 and rows[1] == ["N0 & Co", site.base + "/news/n0.html", "2026-02-01T10:00:00+00:00"]
    assert tried.stderr.endswith("would be added: Our news; nothing was stored\n")
    assert digest("feed", "list", "--json").stdout == "[]\n"
    assert digest(*words).stderr.endswith("feed 1, Our news, is added\n")
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["selects"] == ["item: article", "title: h2"]
    assert run(database, force=True).new == 7
    done = digest("feed", "set", "1", "--select-text", ".lead", "--select-title", "")
    assert done.stderr == "feed 1, Our news, is read as a page: item 'article', text '.lead'\n"
    assert (feed(database).recipe, feed(database).body_hash) == (
        {"item": "article", "text": ".lead", "kind": "html"},
        "",
    )
    for bad, said in ((("--select-date", "time["), "cannot be read"), (("--select", "xpath://["), "cannot be read")):
        refused = digest("feed", "set", "1", *bad)
        assert refused.exit_code == 65 and said in refused.stderr
    assert digest("feed", "set", "1", "--select", "").stderr == "feed 1, Our news, is read as a feed\n"
    assert feed(database).recipe == {}
    assert digest("feed", "set", "1", "--select-title", "h1").exit_code == 65
    nothing = digest("feed", "add", site.base + "/news", "--select", "section")
    assert nothing.exit_code == 65 and "nothing is found" in nothing.stderr
    hint = digest("feed", "add", site.base + "/news")
    assert hint.exit_code == 65 and "--select 'article'" in hint.stderr


def test_selectors_are_tried_and_told_like_all_else_that_is_set(database: Database, digest: Any) -> None:
    add_page(database, "https://p.example/", Recipe("article"))
    tried = digest("feed", "set", "1", "--select", "section", "--weight", "2", "--dry-run")
    assert tried.exit_code == 0 and "would say: feed 1, " in tried.stderr and "item 'section'" in tried.stderr
    facts = json.loads(digest("feed", "set", "1", "--json").stdout)
    assert (facts["selects"], facts["weight"]) == (["item: article"], None)
    slip = digest("feed", "set", "1", "--select", "section", "--weight", "heavy")
    assert slip.exit_code == 65 and feed(database).recipe["item"] == "article"


def test_a_page_is_exported_with_its_rules_and_what_a_list_cannot_say_is_told(database: Database, digest: Any) -> None:
    add_page(database, "https://p.example/", Recipe("article"))
    digest("feed", "set", "1", "--drop", "title=sponsored")
    exported = digest("feed", "export")
    assert "filtersActionRead" in exported.stdout and "xmlns:digest" in exported.stdout and exported.stderr == ""
    [outline] = parse.opml(exported.stdout.encode())
    assert outline.recipe == Recipe("article")
    for form, name in (("csv", "CSV"), ("text", "text")):
        assert f"1 of these have settings that {name} cannot say" in digest("feed", "export", "--to", form).stderr


# ---------------------------------------------------------------- in lists, as FreshRSS writes them

FRESHRSS = """<opml version="2.0" xmlns:frss="https://freshrss.org/opml"><body><outline text="Pages">
<outline text="By XPath" type="HTML+XPath" xmlUrl="https://p.example/" htmlUrl="https://p.example/"
 frss:xPathItem="//article" frss:xPathItemTitle="descendant::h2" frss:xPathItemUri="descendant::a/@href"
 frss:xPathItemContent="descendant::p" frss:xPathItemTimestamp="descendant::time/@datetime"
 frss:xPathItemTimeFormat="Y-m-d\\TH:i:s\\Z" frss:xPathItemUid="descendant::a/@href"/>
<outline text="JSON" type="JSON+DotNotation" xmlUrl="https://j.example/" frss:jsonItem="data.items"
 frss:jsonItemTitle="title" frss:jsonItemUri="link"/>
<outline text="XML" type="XML+XPath" xmlUrl="https://x.example/" frss:xPathItem="//row" frss:xPathItemTitle="name"/>
<outline text="No" type="HTML+XPath+JSON+DotNotation" xmlUrl="https://n.example/" frss:xPathToJson="//script"/>
<outline text="Broken" type="HTML+XPath" xmlUrl="https://b.example/" frss:xPathItem="//["/>
<outline text="Code" type="HTML+XPath" xmlUrl="https://c.example/" frss:xPathItem="php:function('system', 'id')"/>
<outline text="None" type="HTML+XPath" xmlUrl="https://e.example/"/>
<outline text="Feed" type="rss" xmlUrl="https://f.example/"/></outline></body></opml>"""


def test_freshrss_pages_are_read_and_what_cannot_be_is_told(database: Database) -> None:
    outlines = parse.opml(FRESHRSS.encode())
    report = test_collect.imported(database, outlines)
    assert (report.created, report.bad) == (4, [])
    assert [one.split(":")[0] for one in report.left] == ["No", "Broken", "Code", "None"]
    by_xpath, json_, xml, plain = (feed(database, n).recipe for n in range(1, 5))
    assert (by_xpath["kind"], by_xpath["item"], json_["kind"], xml["kind"], plain) == (
        *("html", "xpath://article", "json", "xml"),
        {},
    )
    recipe = Recipe.of(by_xpath)
    assert recipe is not None
    [one, _two] = read(PAGE, recipe).entries
    assert (one.title, one.published_at) == ("One & Co", datetime(2026, 2, 20, 10, tzinfo=UTC))


def test_a_page_that_is_read_otherwise_already_stays_so_and_is_told(database: Database) -> None:
    add_page(database, "https://p.example/", Recipe("article"))
    outlines = parse.opml(FRESHRSS.encode())[:1]
    [told] = test_collect.imported(database, outlines).left
    assert told.startswith("By XPath: https://p.example/ is feed 1 already, and read otherwise;")
    two = [Outline("https://q.example/", "Q", recipe=Recipe(item)) for item in ("article", "section")]
    assert "read in another way already" in test_collect.imported(database, two).left[0]


@pytest.mark.parametrize("form", ["opml", "csv"])
def test_pages_and_feeds_are_exported_as_they_were_imported(database: Database, form: str) -> None:
    recipes = [None, Recipe("article"), Recipe(".a > b", title="h2 a@title", date="time", date_format="d.m.Y")]
    recipes += [Recipe('xpath://a[@x="1"]', link="xpath:@href"), Recipe("a.b", title="t", kind="json")]
    recipes.append(Recipe("xpath://r", title="xpath:n", kind="xml"))
    names = ["=SUM(1)", "'=x", '#1, the "best"', "Zürich; täglich", "'quoted", "-1"]
    outlines = [
        Outline(f"https://{n}.example/?a=1&b=2", names[n], f"https://{n}.example/", ("A/B", "C"), ("t",), "say", recipe)
        for n, recipe in enumerate(recipes)
    ]
    test_collect.imported(database, outlines)
    written = collect.export_feeds(database, newsletter="daily", title="T", now=MONDAY, form=form)
    assert list(parse.lists.read(written.encode()).outlines) == outlines
    if form == "csv":
        assert "\nhttps://0.example/?a=1&b=2,'=SUM(1)," in written


def test_css_is_exported_as_xpath_that_finds_the_same(database: Database) -> None:
    outlines = [Outline("https://p.example/", "P", recipe=Recipe("article", title="h2", date="time", link="h2 > a"))]
    written = parse.write_opml(outlines, title="T", now=MONDAY)
    foreign = parse.opml(written.replace("digest:recipe", "digest:other").encode())[0].recipe
    assert foreign is not None and foreign.item.startswith("xpath:")
    kept = [(e.title, e.url, e.published_at) for e in read(PAGE, foreign).entries]
    assert kept == [(e.title, e.url, e.published_at) for e in read(PAGE, Recipe("article")).entries]
    [seen] = read(news_page(article("One")), foreign).entries
    assert (seen.image_url, seen.content) == ("https://x.example/One.png", "<p>About <b>One</b>.</p>")
    assert 'type="HTML+XPath"' in written and "xmlns:frss=" in written
    assert "xmlns:frss" not in parse.write_opml([Outline("https://f.example/")], title="T", now=MONDAY)


# ---------------------------------------------------------------- sitemaps of news

NEWS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:n="http://www.google.com/schemas/sitemap-news/0.9"'


def sitemap(*names: str, day: int = 27, news: bool = True) -> bytes:
    pages = "".join(
        f"<url><loc>https://127.0.0.1/{name}</loc>"
        + (
            f"<n:news><n:publication><n:name>The Paper</n:name><n:language>de</n:language></n:publication>"
            f"<n:publication_date>2026-02-{day - at:02}T08:00:00+01:00</n:publication_date>"
            f"<n:title>{name} &amp; so</n:title><n:keywords>Politik, Wetter</n:keywords></n:news>"
            if news
            else "<lastmod>2026-02-02</lastmod>"
        )
        + "</url>"
        for at, name in enumerate(names)
    )
    return f'<?xml version="1.0"?><!-- made --><urlset {NEWS}>{pages}</urlset>'.encode()


def index(*urls: str) -> bytes:
    inside = "".join(
        f"<sitemap><loc>{url}</loc><lastmod>2026-02-0{n + 1}</lastmod></sitemap>" for n, url in enumerate(urls)
    )
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inside}</sitemapindex>'.encode()


def test_a_sitemap_of_news_is_a_feed() -> None:
    found = parse.feed(sitemap("b", "a"), url="https://127.0.0.1/n.xml", now=NOW)
    assert (found.title, found.language, found.site_url) == ("The Paper", "de", "https://127.0.0.1/")
    newest = found.entries[0]
    assert (newest.title, newest.url, newest.language) == ("b & so", "https://127.0.0.1/b", "de")
    assert newest.published_at == datetime(2026, 2, 27, 7, tzinfo=UTC) and newest.categories == ("Politik", "Wetter")
    assert parse.feed(sitemap(), url="https://127.0.0.1/n.xml", now=NOW).entries == ()


@pytest.mark.parametrize(
    "body",
    [
        sitemap("a", news=False),
        b"<urlset>",
        b"<urlset/>",
        b"<urlset" + b"\0" * 99,
        b"<urlset>" + b"<url>" * 20_000,
        b'<!DOCTYPE x [<!ENTITY a "b">]><urlset>&a;</urlset>',
    ],
)
def test_a_sitemap_without_news_is_no_feed_and_breaks_nothing(body: bytes) -> None:
    with pytest.raises(NotAFeed):
        parse.feed(body, url="https://127.0.0.1/n.xml", now=NOW)


def test_an_index_is_read_with_its_latest_sitemaps_of_news_and_no_more(database: Database, site: Site) -> None:
    names = [
        *(f"{site.base}/old{n}.xml" for n in range(9)),
        f"{site.base}/news.xml.gz",
        "https://other.example/news.xml",
    ]
    site.pages["/index.xml"] = Reply(index(*names), headers={"ETag": '"same"'})
    site.pages["/news.xml.gz"] = Reply(gzip.compress(sitemap("a")))
    collect.add_feed(database, site.base + "/index.xml", newsletter="daily", now=MONDAY)
    config = settings(host_gap_seconds=0, host_connections=9)
    assert run(database, config).new == 1
    assert len(site.paths()) <= 1 + sitemaps.MAX_PARTS and site.paths()[1] == "/news.xml.gz"
    assert run(database, config, now=MONDAY + timedelta(days=1)).unchanged == 1
    # The index is as it was, and what it names is not.
    site.pages["/news.xml.gz"] = Reply(gzip.compress(sitemap("b", "a")))
    assert run(database, config, now=MONDAY + timedelta(days=2)).new == 1
    site.pages["/news.xml.gz"] = Reply(index(site.base + "/index.xml"))
    assert run(database, config, now=MONDAY + timedelta(days=3)).failed == 1
    assert "is a sitemap index, and of the sitemaps in it none has news" in feed(database).error


def test_robots_txt_is_asked_for_a_sitemap_only_where_that_is_wished(site: Site) -> None:
    robots = f"User-agent: *\nDisallow: /x\nsitemap : {site.base}/pages.xml\r\nSitemap: {site.base}/sitemap-news.xml"
    site.pages |= {"/": Reply(news_page()), "/robots.txt": Reply(robots.encode())}
    site.pages |= {"/sitemap-news.xml": Reply(sitemap("a")), "/pages.xml": Reply(sitemap("x", news=False))}

    def look(**wish: Any) -> collect.Found:
        config = settings(host_gap_seconds=0)
        return asyncio.run(collect.look(site.base + "/", config, clock=lambda: NOW, wish=collect.Wish(**wish)))

    with pytest.raises(FetchError, match="no feed was found there"):
        look()
    assert "/robots.txt" not in site.paths()
    assert look(sitemap=True).url == site.base + "/sitemap-news.xml"
    site.pages["/feed"] = Reply(rss("one"))
    assert look(sitemap=True).url == site.base + "/feed"


# ---------------------------------------------------------------- places by their names

B = places.BASES
Y = B["youtube"]
CHANNEL = "UC" + "a" * 22

SURE = [
    ("r/python", "https://www.reddit.com/r/python/.rss"),
    ("/r/python+golang/", "https://www.reddit.com/r/python+golang/.rss"),
    ("u/ada", "https://www.reddit.com/user/ada/.rss"),
    ("https://old.reddit.com/r/python/top/?t=week", "https://www.reddit.com/r/python/top/.rss?t=week"),
    ("reddit.com/user/ada/", "https://www.reddit.com/user/ada/.rss"),
    ("https://www.reddit.com/r/a/comments/1x/some_thing/", "https://www.reddit.com/r/a/comments/1x/some_thing/.rss"),
    ("@ada.bsky.social", "https://bsky.app/profile/ada.bsky.social/rss"),
    ("https://bsky.app/profile/ada.example", "https://bsky.app/profile/ada.example/rss"),
    ("https://bsky.app/profile/did:plc:abc123", "https://bsky.app/profile/did:plc:abc123/rss"),
    (f"https://www.youtube.com/channel/{CHANNEL}/videos", f"{Y}/feeds/videos.xml?channel_id={CHANNEL}"),
    (CHANNEL, f"{Y}/feeds/videos.xml?channel_id={CHANNEL}"),
    ("https://m.youtube.com/playlist?list=PLabcdefghij", f"{Y}/feeds/videos.xml?playlist_id=PLabcdefghij"),
    ("youtube.com/user/ada", f"{Y}/feeds/videos.xml?user=ada"),
    ("https://github.com/o/r/releases", "https://github.com/o/r/releases.atom"),
    ("https://github.com/o/r/releases/tag/v1", "https://github.com/o/r/releases.atom"),
    ("https://github.com/o/r/tags", "https://github.com/o/r/tags.atom"),
    ("https://github.com/o/r/commits/feature/x", "https://github.com/o/r/commits/feature/x.atom"),
    ("github.com/o/r/commits", "https://github.com/o/r/commits.atom"),
    ("https://github.com/o", "https://github.com/o.atom"),
    ("https://gitlab.com/g/s/p/-/tags", "https://gitlab.com/g/s/p/-/tags?format=atom"),
    ("https://gitlab.gnome.org/g/p/-/commits/main", "https://gitlab.gnome.org/g/p/-/commits/main?format=atom"),
    ("https://codeberg.org/o/r/releases", "https://codeberg.org/o/r/releases.rss"),
    ("hn", "https://news.ycombinator.com/rss"),
    ("https://news.ycombinator.com/", "https://news.ycombinator.com/rss"),
    ("https://news.ycombinator.com/show", "https://news.ycombinator.com/showrss"),
    ("lobsters", "https://lobste.rs/rss"),
    ("https://lobste.rs/t/python", "https://lobste.rs/t/python.rss"),
    ("https://medium.com/@ada", "https://medium.com/feed/@ada"),
    ("https://medium.com/some-paper", "https://medium.com/feed/some-paper"),
    ("https://medium.com/tag/python", "https://medium.com/feed/tag/python"),
    ("https://ada.medium.com/", "https://ada.medium.com/feed"),
    ("https://ada.substack.com/", "https://ada.substack.com/feed"),
    ("ada.tumblr.com", "https://ada.tumblr.com/rss"),
    ("https://www.tumblr.com/ada", "https://ada.tumblr.com/rss"),
    ("https://ada.blogspot.com", "https://ada.blogspot.com/feeds/posts/default"),
    (
        "https://ada.blogspot.co.uk/search/label/x y".replace(" ", "%20"),
        "https://ada.blogspot.co.uk/feeds/posts/default/-/x%20y",
    ),
    ("https://ada.wordpress.com/category/news/", "https://ada.wordpress.com/category/news/feed/"),
    (
        "https://stackoverflow.com/questions/tagged/python+django",
        "https://stackoverflow.com/feeds/tag?tagnames=python+django&sort=newest",
    ),
    ("https://unix.stackexchange.com/questions/12/x", "https://unix.stackexchange.com/feeds/question/12"),
    ("https://arxiv.org/list/cs.LG/recent", "https://rss.arxiv.org/rss/cs.LG"),
    ("arxiv:cs.AI+math", "https://rss.arxiv.org/rss/cs.AI+math"),
    ("reddit:r/python", "https://www.reddit.com/r/python/.rss"),
    ("github:o/r/tags", "https://github.com/o/r/tags.atom"),
    ("o/r/releases", "https://github.com/o/r/releases.atom"),
    ("r/python/new/", "https://www.reddit.com/r/python/new/.rss"),
]


@pytest.mark.parametrize(("words", "url"), SURE)
def test_a_name_that_means_one_place_is_known_without_asking(words: str, url: str) -> None:
    [place] = places.places(words)
    assert (place.feeds[0], place.sure, bool(place.what)) == (url, True, True)
    # What it became is a feed's address, and means itself.
    assert places.places(url) == []


@pytest.mark.parametrize(
    ("words", "count"),
    [("rust-lang/rust", 3), ("https://github.com/o/r.git", 3), ("@ada", 2), ("@ada.example", 2), ("gitlab.com/g/p", 3)],
)
def test_a_name_that_may_mean_several_is_asked_about(words: str, count: int) -> None:
    assert len(places.places(words)) == count
    found = asyncio.run(collect.look(words, settings(), clock=lambda: NOW))
    assert found.feed is None and len(found.choices) == count


@pytest.mark.parametrize(
    "words",
    [
        *(
            "",
            " ",
            "nonsense",
            "a b",
            "example.org",
            "https://example.org/feed",
            "ada@example.org",
            "@",
            "@@x",
            "/",
            "//",
        ),
        *(
            "http://127.0.0.1/feed",
            "127.0.0.1/feed",
            "@ada@x/../y",
            "@ada@",
            "@ada@h o",
            "r/",
            "r/a b",
            "github:",
            "UCshort",
        ),
        *(
            "https://github.com/",
            "https://github.com/features",
            "https://gitlab.com/users/sign_in",
            "https://codeberg.org/explore/repos",
            "https://www.youtube.com/watch?v=1",
            "youtube.com",
        ),
        *("https://github.com/o/r/issues", "https://medium.com/", "https://www.reddit.com/", "https://wordpress.com/x"),
        *("https://evilgithub.com/o/r", "https://github.com.evil.example/o/r", "https://user:pw@github.com/o/r/tags"),
        *(
            "https://ada.wordpress.com/2026/01/02/post/",
            "x" * 400,
            "https://[",
            "reddit:\0",
            "hn\n",
            "github:http://x/y",
        ),
    ],
)
def test_what_is_no_known_place_stays_what_it_is(words: str) -> None:
    assert words in ("hn\n",) or places.places(words) == []


def local(site: Site) -> Mapping[str, str]:
    """All services, at one server of ours."""
    return {name: f"{site.base}/{name}" for name in places.BASES} | {
        "fediverse": site.base,
        "site": site.base + "/{host}",
    }


def at(site: Site, words: str) -> collect.Found:
    config = settings(host_gap_seconds=0)
    wish = collect.Wish(bases=local(site))
    return asyncio.run(collect.look(words, config, clock=lambda: NOW, wish=wish, resolve=at_home))


def test_a_name_is_looked_at_and_becomes_the_feed_that_is_there(site: Site) -> None:
    finger = {
        "links": [{"rel": "http://webfinger.net/rel/profile-page", "href": f"{site.base}/@ada"}, 3, {"rel": "self"}]
    }
    shop = {"results": [{"feedUrl": 7}, {"feedUrl": f"{site.base}/pod.xml"}]}
    tube = f'<link rel="alternate" type="application/rss+xml" href="/youtube/feeds/videos.xml?channel_id={CHANNEL}">'
    site.pages |= {
        "/.well-known/webfinger?resource=acct:ada@social.example": Reply(json.dumps(finger).encode()),
        "/itunes/lookup?id=12345&entity=podcast": Reply(json.dumps(shop).encode()),
        "/youtube/@ada": test_collect.page(tube),
    }
    feeds = {
        "@ada@social.example": "/@ada.rss",
        "https://podcasts.apple.com/de/podcast/some-thing/id12345?i=1": "/pod.xml",
        "https://www.youtube.com/@ada": f"/youtube/feeds/videos.xml?channel_id={CHANNEL}",
        "youtube:@ada": f"/youtube/feeds/videos.xml?channel_id={CHANNEL}",
        "r/python": "/reddit/r/python/.rss",
        "https://gitlab.com/g/p/-/releases": "/gitlab.com/g/p/-/tags?format=atom",  # the second of its addresses
    }
    site.pages |= {path: Reply(rss("one")) for path in feeds.values()}
    for words, path in feeds.items():
        found = at(site, words)
        assert found.feed is not None and (found.url, bool(found.became)) == (site.base + path, True), words


@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b'{"links": 3}', b'{"links": [[]]}', b"[" * 200_000, b"\xff"])
def test_an_answer_that_names_no_feed_is_told_in_words(site: Site, answer: bytes) -> None:
    site.pages["/.well-known/webfinger?resource=acct:ada@social.example"] = Reply(answer)
    site.pages["/itunes/lookup?id=12345&entity=podcast"] = Reply(answer)
    for words in ("@ada@social.example", "https://podcasts.apple.com/id12345"):
        with pytest.raises(FetchError) as caught:
            at(site, words)
        assert caught.value.reason


@contextmanager
def everywhere_at(site: Site) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "BASES", local(site))
        patch.setattr(places.places, "__defaults__", (local(site),))
        patch.setattr(lists.gather, "__kwdefaults__", {**lists.gather.__kwdefaults__, "bases": local(site)})
        yield


def test_adding_a_name_says_what_it_became_and_asks_where_it_is_not_clear(site: Site, digest: Any) -> None:
    site.pages["/reddit/r/python/.rss"] = Reply(rss("one"))
    with everywhere_at(site):
        added = digest("feed", "add", "r/python")
        assert (
            added.stderr
            == f"r/python is r/python at Reddit: {site.base}/reddit/r/python/.rss\nfeed 1, Ours, is added\n"
        )
        assert json.loads(digest("feed", "check", "r/python", "--json").stdout)["place"] == "r/python at Reddit"
        for words in (("o/r",), ("o/r", "--no-check")):
            unclear = digest("feed", "add", *words)
            assert unclear.exit_code == 65 and "o/r names 3 feeds; add one of them" in unclear.stderr
            assert f"digest feed add {site.base}/github/o/r/releases.atom" in unclear.stderr
        unasked = digest("feed", "add", "@ada@social.example", "--no-check")
        assert unasked.exit_code == 65 and "must be asked for" in unasked.stderr
        assert "is r/go at Reddit" in digest("feed", "add", "r/go", "--no-check").stderr


# ---------------------------------------------------------------- votes


@pytest.mark.parametrize(
    ("summary", "left", "points"),
    [
        ("<p>Article</p><p>Points: 123</p>\n<p># Comments: 45</p>", "<p>Article</p>\n", 123),
        ("A text<br>Points: 7<br/># Comments: 9", "A text", 7),
        ("<p># Comments: 45</p>", "", 45),
        ("<p>Points: 99999999</p>", "", popularity.MOST),
        ("<p>A match.</p><p>Points: 21</p><p>They won.</p>", "<p>A match.</p><p>Points: 21</p><p>They won.</p>", None),
        ("<p>Three points: 12 of them</p>", "<p>Three points: 12 of them</p>", None),
        ("<p>Points: many</p>", "<p>Points: many</p>", None),
        ("", "", None),
    ],
)
def test_votes_are_read_where_a_feed_says_them_and_are_no_text(summary: str, left: str, points: int | None) -> None:
    assert popularity.taken_out(summary, "")[::2] == (left, points)


def voted(points: dict[str, int | str], *, extra: str = "") -> bytes:
    items = "".join(
        f"<item><title>{name}</title><link>https://x.example/{name}</link><guid>{name}</guid>"
        f"<pubDate>Mon, 02 Mar 2026 06:00:00 GMT</pubDate>"
        f"<description>&lt;p&gt;Points: {count}&lt;/p&gt;</description>{extra}</item>"
        for name, count in points.items()
    )
    return f"<rss version='2.0'><channel><title>HN</title>{items}</channel></rss>".encode()


def entry_points(database: Database) -> dict[str, int | None]:
    with database.read() as session:
        return {entry.title: entry.points for entry in session.exec(select(Entry))}


def test_votes_change_without_an_entry_being_edited(database: Database, site: Site) -> None:
    collect.add_feed(database, site.base + "/hn", newsletter="daily", now=MONDAY)
    site.pages["/hn"] = Reply(voted({"one": 5, "two": 50}))
    run(database)
    site.pages["/hn"] = Reply(voted({"one": 500, "two": 60}))
    report = run(database, now=MONDAY + timedelta(hours=8))
    assert (report.edited, report.new, entry_points(database)) == (0, 0, {"one": 500, "two": 60})
    site.pages["/hn"] = Reply(voted({"one": "?", "two": 61}))
    run(database, now=MONDAY + timedelta(hours=16))
    assert entry_points(database) == {"one": 500, "two": 61}


def test_comments_that_a_feed_counts_stand_for_votes_it_does_not() -> None:
    body = rss("one").replace(b"<item>", b"<item><slash:comments>12</slash:comments>", 1)
    body = body.replace(b"<rss ", b'<rss xmlns:slash="http://purl.org/rss/1.0/modules/slash/" ')
    assert parse.feed(body, url="https://x.example/", now=NOW).entries[0].points == 12


def test_votes_are_one_part_of_a_rank_and_never_more_than_another() -> None:
    def part(points: float | None, **weights: float) -> float | None:
        return rank.parts(Curate(**weights), sources=1, feed=0, fit=0, excerpt="", boost=0, points=points).get("points")

    assert (part(None), part(0.0), part(1.0)) == (None, 0.0, 0.5)
    assert part(1.0, weight_points=100) == 0.5 and part(1.0, weight_points=100, weight_topic=0.2) == 0.2
    assert part(1.0, weight_points=100, weight_topic=0) == 0.5 and part(1.0, weight_points=0) == 0
    shares = [rank.share(points, most=1000) for points in (-5, 0, 9, 99, 1000, 10**9)]
    assert shares == sorted(shares) and (shares[0], shares[-2:]) == (0, [1, 1]) and 0.3 < shares[2] < 0.4
    assert rank.share(5, most=0) == 0


def test_a_story_has_the_votes_of_its_entry_among_those_of_its_feed(
    database: Database, site: Site, digest: Any
) -> None:
    site.pages |= {"/hn": Reply(voted({"low": 1, "high": 1000})), "/alone": Reply(voted({"alone": 3}))}
    for path in ("/hn", "/alone"):
        collect.add_feed(database, site.base + path, newsletter="daily", now=MONDAY)
    config = settings()
    run(database, config)
    take_in(database, "daily", config.newsletters["daily"], Curate(), now=MONDAY + timedelta(hours=1))
    with database.read() as session:
        parts = {story.title: story.reasons["rank"].get("points") for story in session.exec(select(Story))}
        assert parts["high"] == 0.5 and 0 < parts["low"] < 0.1 and parts["alone"] == 0
        assert entries.most_points(session, [1]) == {1: 1000}
        [number] = [story.id for story in session.exec(select(Story)) if story.title == "high"]
    assert "points 0.5" in digest("why", str(number)).stdout


HN_ITEM = '<a href="https://news.ycombinator.com/item?id={}">Comments</a>'


def test_votes_that_a_feed_does_not_tell_are_asked_for_once_if_that_is_wished(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host, (pattern, _) in gathering.DISCUSSIONS.items():
        monkeypatch.setitem(gathering.DISCUSSIONS, host, (pattern, site.base + "/item/{}.json"))
    monkeypatch.setattr(gathering, "MAX_ASKED", 2)
    items = "".join(
        f"<item><title>{n}</title><link>https://x.example/{n}</link>"
        f"<description>{HN_ITEM.format(n).replace('<', '&lt;')}</description></item>"
        for n in (1, 2, 3)
    )
    body = f"<rss version='2.0'><channel><title>HN</title>{items}</channel></rss>".encode()
    address = f"http://news.ycombinator.com:{site.port}/rss"
    site.pages |= {"/rss": Reply(body), "/item/1.json": Reply(b'{"score": 42}'), "/item/2.json": Reply(b"[")}
    collect.add_feed(database, address, newsletter="daily", now=MONDAY)
    run(database, settings(host_gap_seconds=0), resolve=at_home)
    assert site.paths() == ["/rss"]
    with database.write() as session:
        for entry in session.exec(select(Entry)):
            session.delete(entry)
    config = settings(host_gap_seconds=0, points=True)
    site.pages["/rss"] = Reply(body + b" ")
    run(database, config, resolve=at_home, now=MONDAY + timedelta(days=1))
    assert entry_points(database) == {"1": 42, "2": None, "3": None}
    assert [path for path in site.paths() if "item" in path] == ["/item/1.json", "/item/2.json"]
    site.pages["/rss"] = Reply(body + b"\n")
    run(database, config, resolve=at_home, now=MONDAY + timedelta(days=2))
    assert entry_points(database)["1"] == 42 and len([path for path in site.paths() if "item" in path]) == 2


# ---------------------------------------------------------------- lists

LISTS: list[tuple[str, str, list[tuple[str, str, tuple[str, ...]]]]] = [
    ("text", "# mine\n\nhttps://a.example/feed # hi\n@ada@b.example\nr/python\n", [("https://a.example/feed", "", ())]),
    ("text", "https://a.example/?x=1,2\nhttps://b.example/?y=3,4\n", [("https://a.example/?x=1,2", "", ())]),
    ("csv", "https://a.example/feed,Title\nhttps://b.example/,Other\n", [("https://a.example/feed", "Title", ())]),
    ("csv", "Title;Feed URL;Folder\nA;https://a.example/x;Work/AI\n", [("https://a.example/x", "A", ("Work", "AI"))]),
    ("csv", "\ufeffurl\ttitle\nhttps://a.example/\tA, b\n", [("https://a.example/", "A, b", ())]),
    ("csv", "https://a.example/,Title,ai,Work\n", [("https://a.example/", "Title", ("Work",))]),
    (
        "text",
        "; mine\n- https://a.example/feed\n// c\n2. hn\nhn\n",
        [("https://a.example/feed", "", ()), ("hn", "", ())],
    ),
    ("csv", 'title,url\n"A\nb",https://a.example/\n', [("https://a.example/", "A b", ())]),
    ("newsboat", 'https://a.example/f "tech" "~My \\"A\\"" !hidden\n', [("https://a.example/f", 'My "A"', ())]),
    ("newsboat", "https://a.example/f tech news\nhttps://b.example/\n", [("https://a.example/f", "", ())]),
    ("opml", ' \n<opml><body><outline xmlUrl="https://a.example/"/></body></opml>', [("https://a.example/", "", ())]),
]


@pytest.mark.parametrize(("form", "data", "expected"), LISTS)
def test_a_list_is_known_by_its_looks_and_read(form: str, data: str, expected: Any) -> None:
    for encoding in ("utf-8", "utf-16"):
        found = parse.lists.read(data.encode(encoding))
        assert found.format == form
        assert [(o.url, o.title, o.folders) for o in found.outlines][: len(expected)] == expected


NEWSBOAT = """https://a.example/feed "ai" "~Mine"
"query:Unread:unread = \\"yes\\""
exec:~/bin/get.sh
"filter:~/bin/f.py:https://b.example/"
file:///home/ada/feed.xml
"""


def test_newsboat_feeds_are_taken_with_tags_and_what_runs_programs_is_told(database: Database, digest: Any) -> None:
    done = digest("feed", "import", "-", "--dry-run", stdin=NEWSBOAT)
    assert done.exit_code == 0, done.stderr
    *told, last = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in told] == ["line 2", "line 3", "line 4", "line 5"]
    assert last == "import: 1 feed for daily; read as newsboat; by topic: ai 1; 4 not taken; nothing was stored"
    digest("feed", "import", "-", stdin=NEWSBOAT)
    assert (feed(database).url, feed(database).title) == ("https://a.example/feed", "Mine")


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"not a list", b'{"a": 1}', b"\0\xff\xfe" * 99, b"<html></html>", b'a,"b\nc d']
)
def test_what_is_no_list_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        parse.lists.read(data)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(BadInput):
        parse.lists.read(data, "yaml")


@pytest.mark.parametrize("form", ["text", "csv", "newsboat"])
@pytest.mark.parametrize(
    "data", [b'"' * 9_999, b",;\t|\n" * 999, b"x" * 300_000, b'url,"\n' * 99, b"a\rb\r", b"\\" * 999]
)
def test_no_bytes_break_a_reader_of_lists(data: bytes, form: str) -> None:
    try:
        parse.lists.read(data, form)
    except BadInput as error:
        assert str(error)


@pytest.mark.parametrize("form", ["opml", "csv", "text"])
def test_an_exported_list_is_taken_back(site: Site, database: Database, digest: Any, form: str) -> None:
    for name in ("a", "b"):
        collect.add_feed(database, f"https://{name}.example/", newsletter="daily", title=name, now=MONDAY, topic="ai")
    add_page(database, "https://p.example/", Recipe("article"))
    out = digest("feed", "export", "--to", form)
    assert out.exit_code == 0
    for number in ("1", "2", "3"):
        digest("feed", "remove", number)
    done = digest("feed", "import", "-", "--from", form, stdin=out.stdout)
    assert done.exit_code == 0, done.stderr
    kept = 2 if form == "text" else 3
    assert f"import: {kept} feeds for daily" in done.stderr
    assert ("1 pages without a feed are left out" in out.stderr) == (form == "text")
    assert ("by topic: ai 2" in done.stderr) == (form != "text")
    assert digest("feed", "export", "--to", "newsboat").exit_code == 65


def gather(source: str | bytes, site: Site, **options: Any) -> collect.Plan:
    config = settings(host_gap_seconds=0, host_connections=9)
    bases = local(site)
    return asyncio.run(collect.gather(source, config, clock=lambda: NOW, resolve=at_home, bases=bases, **options))


def outline(text: str, **says: str) -> str:
    return f'<outline text="{text}" {" ".join(f"{name}={json.dumps(value)}" for name, value in says.items())}/>'


def opml(*outlines: str) -> Reply:
    return Reply(f"<opml version='2.0'><body>{''.join(outlines)}</body></opml>".encode())


def test_lists_in_lists_are_read_once_each_and_not_without_end(site: Site) -> None:
    site.pages["/a.opml"] = opml(
        outline("A", xmlUrl="https://a.example/"),
        '<outline text="Work">' + outline("More", type="include", url="b.opml") + "</outline>",
        outline("Linked", type="link", url=f"{site.base}/c.opml"),
        outline("A page", type="link", url=f"{site.base}/page.html"),
        outline("Gone", type="include", url="/gone.opml"),
        outline("Mine", type="include", url="file:///etc/passwd"),
        outline("Secret", type="include", url="ftp://ada:hunter2@lists.example/a.opml"),
    )
    site.pages["/b.opml"] = opml(
        outline("B", xmlUrl="https://b.example/"), outline("Back", type="include", url="a.opml")
    )
    site.pages["/c.opml"] = opml(outline("C", type="include", url="/deep/1/0.opml"))
    for level in range(1, 9):
        deeper = outline("D", type="include", url=f"/deep/{level + 1}/0.opml")
        site.pages[f"/deep/{level}/0.opml"] = opml(outline(f"L{level}", xmlUrl=f"https://l{level}.example/"), deeper)
    plan = gather(site.base + "/a.opml", site)
    found = {one.title: one.folders for one in plan.outlines}
    assert (found["A"], found["B"]) == ((), ("Work", "More"))
    assert "L3" in found and "L6" not in found
    assert len(site.paths()) == len(set(site.paths())) and "/page.html" not in site.paths()
    told = "\n".join(plan.left)
    assert "hunter2" not in told and "lists.example/a.opml' is not on the web" in told
    assert "gone.opml answers 404" in told and "'file:///etc/passwd' is not on the web" in told and "5 deep" in told
    assert [one.url for one in plan.lists] == [site.base + "/a.opml"]
    site.asked.clear()
    site.pages["/wide.opml"] = opml(*(outline(f"C{n}", type="include", url=f"/wide/{n}.opml") for n in range(99)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "MAX_LISTS", 5)
        assert len(gather(site.base + "/wide.opml", site).left) == 99 and len(site.paths()) == 5


@pytest.mark.parametrize(
    "list_", ["root:x:0:0::/root\n" * 25, '<opml version="2.0"><body><outline text="x"/></body></opml>']
)
def test_a_list_without_a_feed_is_a_mistake_and_told_in_few_lines(digest, list_: str) -> None:
    done = digest("feed", "import", "-", stdin=list_)
    assert done.exit_code == 65 and "no feed was taken from standard input" in done.stderr
    assert len(done.stderr.splitlines()) < 26


def test_a_list_on_the_web_is_read_again_when_that_is_asked(site: Site, database: Database, digest: Any) -> None:
    none = digest("feed", "import", "--refresh")
    assert none.exit_code == 66 and "no list on the web was imported" in none.stderr
    assert digest("feed", "import").exit_code == 2 and digest("feed", "import", "x", "--refresh").exit_code == 2
    site.pages["/l.opml"] = opml(outline("A", xmlUrl="https://a.example/"))
    mine = opml(outline("AI", type="include", url=site.base + "/l.opml")).body.decode()
    digest("feed", "import", "-", "--dry-run", stdin=mine)
    with database.read() as session:
        assert not session.exec(select(FeedList)).all()
    assert "import: 1 feed for daily; by topic: ai 1" in digest("feed", "import", "-", stdin=mine).stderr
    site.pages["/l.opml"] = opml(outline("A", xmlUrl="https://a.example/"), outline("B", xmlUrl="https://b.example/"))
    again = digest("feed", "import", "--refresh")
    assert "import: 1 feed for daily, 1 known already" in again.stderr and "by topic: ai 2" in again.stderr
    # What an address of a page became once, it becomes again.
    site.pages["/l.txt"] = Reply(b"https://github.com/o/r/tags\n")
    assert "import: 1 feed for daily; read as text" in digest("feed", "import", site.base + "/l.txt").stderr
    assert "import: 0 feeds for daily, 3 known already" in digest("feed", "import", "--refresh").stderr
    del site.pages["/l.opml"]
    gone = digest("feed", "import", "--refresh")
    assert gone.exit_code == 0 and "l.opml answers 404 (not found)" in gone.stderr
    assert [feed(database, n).url for n in (1, 2)] == ["https://a.example/", "https://b.example/"]


def test_names_in_a_list_become_feeds_and_what_is_not_clear_is_told(site: Site) -> None:
    finger = {"links": [{"rel": "self", "href": f"{site.base}/users/ada"}]}
    site.pages["/.well-known/webfinger?resource=acct:ada@social.example"] = Reply(json.dumps(finger).encode())
    site.pages["/users/ada.rss"] = Reply(rss("one"))
    data = b"r/python\n@ada@social.example\n@bob@social.example\no/r\nhttps://github.com/o/r/tags\nhttps://x.example/feed\n"
    plan = gather(data, site)
    urls = [one.url.removeprefix(site.base) for one in plan.outlines]
    assert urls == ["/reddit/r/python/.rss", "/users/ada.rss", "/github/o/r/tags.atom", "https://x.example/feed"]
    assert plan.outlines[1].title == "Ours" and len(plan.became) == 3
    assert len(plan.left) == 2 and any("'o/r' may be the releases of o/r at GitHub" in words for words in plan.left)
    # An address in OPML is a feed's, by what the list says.
    inside = opml(outline("T", xmlUrl="https://github.com/o/r/tags"), outline("R", xmlUrl="r/python")).body
    assert [one.url.removeprefix(site.base) for one in gather(inside, site).outlines] == [
        "https://github.com/o/r/tags",
        "/reddit/r/python/.rss",
    ]


def test_a_list_that_cannot_be_had_or_read_is_told_in_words(site: Site) -> None:
    site.pages["/page"] = Reply(b"<!doctype html><html></html>")
    for path, said in (("/none", "answers 404"), ("/page", "this is not an OPML list")):
        with pytest.raises(NotFound, match=said):
            gather(site.base + path, site)
