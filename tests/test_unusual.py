"""What is legal and seldom written, and slips that programs make again and again: feeds and lists, kind by kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from digest import parse
from digest.parse import text

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
URL = "https://example.org/blog/feed.xml"
IANA = "http://www.iana.org/assignments/relation/alternate"
ODD = ("", "<odd xmlns='urn:x'><other>o</other></odd>")  # read quickly, and by feedparser


def only(document: str) -> parse.ParsedEntry:
    [entry] = parse.feed(document.encode(), url=URL, now=NOW).entries
    return entry


def atom(inside: str) -> parse.ParsedEntry:
    return only(
        f'<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><entry><id>urn:1</id>{inside}</entry></feed>'
    )


def rss(inside: str) -> parse.ParsedEntry:
    spaces = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:media="http://search.yahoo.com/mrss/"'
    return only(f'<rss version="2.0" {spaces}><channel><title>F</title><item>{inside}</item></channel></rss>')


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("inside", "leads"),
    [
        ('<content type="text/html" src="/full.html"/>', "https://example.org/full.html"),
        ('<content type="application/pdf" src="https://cdn.example/a.pdf"/><summary>S</summary>', "https://cdn.example/a.pdf"),
        ('<content type="text/html" xml:base="https://b.example/x/" src="full.html"/>', "https://b.example/x/full.html"),
        (f'<link rel="{IANA}" href="/page"/><link rel="self" href="/self"/>', "https://example.org/page"),
        ('<link type="application/pdf" href="/a.pdf"/><link rel="edit" href="/edit"/>', "https://example.org/a.pdf"),
        ('<link href="/page"/><content type="text/html" src="/full.html"/>', "https://example.org/page"),
        ('<link rel="enclosure" href="/a.mp3"/><content type="text/html" src="/full.html"/>', "https://example.org/full.html"),
        ('<link rel="self" href="/self"/><content>here</content>', ""),
    ],
)  # fmt: skip
def test_an_entry_of_atom_leads_where_it_says_that_it_is(inside: str, leads: str, odd: str) -> None:
    """RFC 4287 §4.1.3.2 and §4.2.7.2."""
    assert atom(f"<title>T</title>{inside}{odd}").url == leads


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("text/markdown", "a *b* &lt;c&gt;"),
        ("text/x-rst", "a *b* &lt;c&gt;"),
        ("text/plain; charset=utf-8", "a *b* &lt;c&gt;"),
        ("image/svg", ""),
    ],
)
def test_any_kind_of_text_is_a_text(kind: str, shown: str, odd: str) -> None:
    """RFC 4287 §4.1.3.3."""
    assert atom(f'<title>T</title><content type="{kind}">a *b* &lt;c&gt;</content>{odd}').content == shown


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("inside", "title"),
    [
        ("<itunes:title>Its own</itunes:title>", "Its own"),
        ("<title/><itunes:title>Its own</itunes:title>", "Its own"),
        ("<itunes:title>Its own</itunes:title><title> </title>", "Its own"),
        ("<itunes:title>Its own</itunes:title><title>12: Its own</title>", "12: Its own"),
        ("<media:title>a.mp3</media:title><itunes:title>Its own</itunes:title>", "a.mp3"),
    ],
)
def test_an_episode_is_called_as_its_catalogue_calls_it(inside: str, title: str, odd: str) -> None:
    assert rss(f"<guid>1</guid>{inside}{odd}").title == title


@pytest.mark.parametrize("odd", ODD)
def test_a_link_that_says_nothing_takes_none_away(odd: str) -> None:
    assert rss(f"<title>T</title><link>https://example.org/1</link><link/>{odd}").url == "https://example.org/1"


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("www.example.com", "https://www.example.com/"),
        ("www.example.com/a?b=1", "https://www.example.com/a?b=1"),
        ("WWW.example.co.uk:81/a", "https://WWW.example.co.uk:81/a"),
        ("www.müller.example/ä", "https://www.müller.example/%C3%A4"),
        ("www.a.html", "https://example.org/blog/www.a.html"),
        ("www.a.php?b=1", "https://example.org/blog/www.a.php?b=1"),
        ("www.a/b", "https://example.org/blog/www.a/b"),
        ("wwww.example.com", "https://example.org/blog/wwww.example.com"),
        ("/www.example.com", "https://example.org/www.example.com"),
    ],
)
def test_a_host_without_its_scheme_is_no_page_of_the_feeds_own_site(link: str, found: str) -> None:
    assert text.http_url(link, URL) == found


# ---------------------------------------------------------------- JSON Feed


def item(**said: Any) -> parse.ParsedEntry:
    known = {"id": "1", "title": "T", "url": "https://example.org/1", "content_text": "plain words"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "F", "items": [known | said]}
    return only(json.dumps(feed))


@pytest.mark.parametrize(
    ("said", "author"),
    [
        ({"authors": [{"name": "Ada"}, {"name": "Bo"}]}, "Ada, Bo"),
        ({"author": {"name": "Ada"}}, "Ada"),
        ({"author": "Ada"}, "Ada"),
        ({"authors": ["Ada", {"name": "Bo"}]}, "Ada, Bo"),
        ({"authors": [], "author": {"name": "Ada"}}, "Ada"),
        ({"authors": [{"url": "https://ada.example/"}], "author": {"name": "Ada"}}, "Ada"),
        ({"authors": {"name": "Ada"}}, "Ada"),
        ({"authors": "Ada"}, "Ada"),
        ({"authors": [None, 3, ["Bo"]], "author": 7}, ""),
    ],
)
def test_who_wrote_an_item_is_told_by_either_version(said: dict[str, Any], author: str) -> None:
    assert item(**said).author == author


@pytest.mark.parametrize(
    ("markup", "content"),
    [
        ("", "plain words"),
        ("<p></p>", "plain words"),
        ("<div>&nbsp;<br></div>", "plain words"),
        ("<script>x()</script>", "plain words"),
        ("<p>in HTML</p>", "<p>in HTML</p>"),
        ('<img src="https://example.org/1.png">', '<img src="https://example.org/1.png">'),
    ],
)
def test_of_two_contents_the_one_that_says_something_is_read(markup: str, content: str) -> None:
    assert item(content_html=markup).content == content


def test_when_an_item_was_changed_is_its_date_where_there_is_no_other() -> None:
    changed = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert item(date_modified="2026-03-01T10:00:00Z").published_at == changed
    assert item(date_modified="2026-03-01T10:00:00Z", date_published="2026-02-01").published_at.month == 2  # type: ignore[union-attr]


# ---------------------------------------------------------------- lists

A, B = ('<outline type="rss" text="A" xmlUrl="https://a.example/"/>', '<outline text="B" xmlUrl="https://b.example/"/>')
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def opml(inside: str, head: str = HEAD) -> str:
    return f'{head}<opml version="2.0"><head><title>L</title></head><body>{inside}</body></opml>\n'


@pytest.mark.parametrize(
    ("written", "titles", "left"),
    [
        (opml(A + B), "A B", ""),
        (opml(A) + opml(B), "A B", ""),
        ("\ufeff" + opml(A) + "\ufeff" + opml(B), "A B", ""),
        (opml(A).replace("\n", "\r\n"), "A", ""),
        (opml('<outline text="A" title=" " xmlUrl="https://a.example/"/>'), "A", ""),
        (opml('<outline text="A &#55357;&#xD83D;&#0;&#xFFFF;" xmlUrl="https://a.example/"/>'), "A", ""),
        (opml(f"<!-- {B} -->{A}<![CDATA[{B}]]>"), "A", ""),
        (opml('<outline text="A" isComment="true" xmlUrl="https://c.example/"/>' + B), "B", "commented out"),
        (opml(f'<outline isComment="TRUE"><outline text="y">{A}</outline></outline>{B}'), "B", "commented out"),
        (opml(f'<outline text="x" isComment="false">{A}</outline>'), "A", ""),
        (opml('<outline text=C xmlUrl=https://c.example/ />' + B), "B", "no XML (https://c.example/)"),
        (opml("<outline text=“C” xmlUrl=“https://c.example/”/>" + B), "B", "no XML (https://c.example/)"),
        (opml("<outline text=C xmlUrl='https://c.example/?a=1&amp;b=2'/>" + B), "B", "(https://c.example/?a=1&b=2)"),
        (opml("<outline text=C xmlUrl=https://c.example/ />" * 5 + B), "B", "5 outlines that are no XML (https://c"),
        (opml('<outline type="rss" text="C" htmlUrl="https://c.example/"/>' + B), "B", "C: it has no address"),
        (opml('<outline type="rss" text="C" xmlUrl=""/>' + B), "B", "C: it has no address"),
        (opml(f'<outline type="rss" text="folder">{A}</outline>'), "A", ""),
        (opml(A + B)[:-30], "A", "breaks off"),
        (opml(A + B)[:-8], "A B", "breaks off"),
        ("<opml><body>" + A, "A", "breaks off"),
        (A, "A", ""),
        (opml('<outline text="f">' * 49 + A + "</outline>" * 49), "A", ""),
        (opml('<outline text="f">' * 60 + A + "</outline>" * 60 + B), "B", "1 of more than 50 folders"),
    ],
)  # fmt: skip
def test_nothing_of_a_list_is_passed_over_in_silence(written: str, titles: str, left: str) -> None:
    listed = parse.lists.read(written.encode())
    assert " ".join(outline.title for outline in listed.outlines) == titles
    assert bool(listed.left) == bool(left) and left in " ".join(listed.left)


@pytest.mark.parametrize(
    "header",
    [
        "Channel Id,Channel Url,Channel Title",
        "ID des chaînes,URL des chaînes,Titres des chaînes",
        "チャンネル ID,チャンネルの URL,チャンネルのタイトル",
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\n\n"])
def test_a_table_whose_columns_have_names_that_we_do_not_know_is_read_by_where_its_addresses_stand(header, ends):
    one, other = (f"UC{letter * 22}" for letter in "ab")
    rows = [
        f'{one},http://www.youtube.com/channel/{one},"A, or B"',
        f"{other},http://www.youtube.com/channel/{other},C",
    ]
    listed = parse.lists.read(ends.join([header, *rows, ""]).encode())
    found = [(outline.url[-24:], outline.title, outline.topics, outline.folders) for outline in listed.outlines]
    assert (listed.format, found, listed.left) == ("csv", [(one, "A, or B", (), ()), (other, "C", (), ())], ())


def test_what_a_table_says_of_a_feed_is_kept_though_a_word_of_its_address_says_it_too():
    rows = "https://a.example/politics.rss,politics,news\nhttps://a.example/news/sport.rss,sport,news\n"
    found = [(one.title, one.topics) for one in parse.lists.read(rows.encode()).outlines]
    assert found == [("politics", ("news",)), ("sport", ("news",))]
