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


PAGE = "https://example.org/1"


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("link", "found"),
    [
        (f"\u200b{PAGE}", PAGE),
        (f"“{PAGE}”", PAGE),
        (f'"{PAGE}"', PAGE),
        (f"&lt;{PAGE}&gt;", PAGE),
        (f"({PAGE})", PAGE),
        (f'&lt;a href="{PAGE}"&gt;read&lt;/a&gt;', PAGE),
        ("www.example.org/1", "https://www.example.org/1"),
        ("https:example.org/1", PAGE),
        ("https:/example.org/1", PAGE),
        (f" {PAGE} 2", f"{PAGE}%202"),
        ("https://web.example/2020/https://example.org/1", "https://web.example/2020/https://example.org/1"),
        ("https://example.org/a_(b)", "https://example.org/a_(b)"),
        ("1", "https://example.org/blog/1"),
        ("(1)", "https://example.org/blog/(1)"),
    ],
)
def test_a_link_is_taken_out_of_what_people_put_around_it(link: str, found: str, odd: str) -> None:
    assert rss(f"<title>T</title><link>{link}</link>{odd}").url == found
    escaped = link.replace('"', "&quot;")
    assert atom(f'<title>T</title><link href="{escaped}"/>{odd}').url == found


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "rel", ["", "alternate nofollow", " alternate ", "ALTERNATE", "canonical", "bookmark alternate"]
)
def test_a_link_leads_to_the_page_whatever_else_its_relation_says(rel: str, odd: str) -> None:
    assert atom(f'<title>T</title><link rel="{rel}" href="{PAGE}"/>{odd}').url == PAGE


@pytest.mark.parametrize(
    ("said", "author"),
    [
        ("ada@mail.example (Ada)", "Ada"),
        ("ada@studio.photography (Ada Byron)", "Ada Byron"),
        ("Ada (ada@mail.example)", "Ada"),
        ("Ada &lt;ada@mail.example&gt;", "Ada"),
        ("Ada &lt;mailto:ada@mail.example&gt;", "Ada"),
        ("ada@mail.example", "ada@mail.example"),
        ("ada@example.org (Ada)", "Ada"),
        ("Ada", "Ada"),
        ("Ada @ home", "Ada @ home"),
    ],
)
def test_a_name_beside_an_address_of_any_length_is_the_author(said: str, author: str) -> None:
    assert rss(f"<title>T</title><author>{said}</author>").author == author


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("One&lt;br&gt;two", "One two"),
        ("One &lt;br /&gt;two", "One two"),
        ("One<br/>two", "One two"),
        ("<![CDATA[<p>One</p><p>two</p>]]>", "One two"),
        ("<![CDATA[<b>O</b>ne <i>two</i>]]>", "One two"),
        ("What is &lt;br&gt; for?", "What is <br> for?"),
        ("&lt;br&gt; and others", "<br> and others"),
    ],
)
def test_a_break_in_a_title_parts_words(title: str, shown: str) -> None:
    assert rss(f"<title>{title}</title><description>d</description>").title == shown


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("&lt;p&gt;a &amp;amp; b&lt;/p&gt;", "<p>a &amp; b</p>"),
        (
            ' &lt;img src="https://example.org/p.png"&gt;a&lt;p&gt;b&lt;/p&gt;',
            '<img src="https://example.org/p.png">a<p>b</p>',
        ),
        ("&lt;p onclick='x'&gt;a&lt;/p&gt;", "<p>a</p>"),
        ("<p>&lt;b&gt;a&lt;/b&gt;</p>", "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
        ("&lt;p&gt; is a tag", "&lt;p&gt; is a tag"),
        ("a &lt; b &gt; c", "a &lt; b &gt; c"),
        ("&lt;script&gt;a&lt;/script&gt;", "&lt;script&gt;a&lt;/script&gt;"),
    ],
)
def test_a_text_that_is_all_escaped_once_more_is_read_as_meant(came: str, shown: str) -> None:
    assert text.clean_html(came, base=URL) == shown
    assert text.clean_html(shown, base=URL) == shown


A_TITLE, REST = (
    "<item><title>A</title>",
    "</description></item><item><title>B</title><description>b</description></item>",
)


@pytest.mark.parametrize(
    "items",
    [
        f"{A_TITLE}<description>a<b></item><item><title>B</title></item>",
        f"{A_TITLE}<description><![CDATA[a{REST}",
        f"{A_TITLE}<description><![CDATA[a{REST.replace('>b<', '><![CDATA[b]]><')}",
        f"{A_TITLE}<description>a<table><tr><td>{REST}",
        f"{A_TITLE}<description>a<a href='x>{REST}",
        f"{A_TITLE}<content>a</item><item><title>B</title></item>",
    ],
)
def test_what_is_never_closed_takes_no_other_entry_for_its_own_text(items: str) -> None:
    found = parse.feed(
        f"<rss version='2.0'><channel><title>F</title>{items}</channel></rss>".encode(), url=URL, now=NOW
    )
    assert [entry.title for entry in found.entries] == ["A", "B"]
    if "CDATA[a" in items:
        assert found.entries[0].summary == "a"


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


ONE = '{"id":"1","url":"https://example.org/1","title":"It is one","content_html":"<p>Say \\"hi\\", // all</p>"}'
TWO = '{"id":"2","url":"https://example.org/2","title":"Two"}'
BEGIN = '{"version":"https://jsonfeed.org/version/1.1","title":"F","items":['
PLAIN = f"{BEGIN}{ONE},{TWO}]}}"


@pytest.mark.parametrize(
    "document",
    [
        f"{BEGIN}{ONE},{TWO},]}}",
        f"{BEGIN}{ONE.replace('}', ',}')},{TWO}],}}",
        f"{BEGIN}{ONE},,{TWO}]}}",
        f"{BEGIN}{ONE}\n{TWO}]}}",
        f'{BEGIN}// one, two\n{ONE}, /* "and" */ {TWO} # end\n]}}',
        f"// made by hand\n{PLAIN}",
        f"{PLAIN};\n<!-- 0.3 s -->",
        f"{PLAIN}{PLAIN}",
        f"{PLAIN}\0\0",
        f"\ufeff\n\ufeff{PLAIN}",
        f"callback({PLAIN});",
        f")]}}'\n{PLAIN}",
        f"<br />\n<b>Notice</b>: no index in <b>x.php</b><br />\n{PLAIN}",
        PLAIN.replace('"id"', "id").replace('"title"', "title").replace('"F"', "'F'"),
        PLAIN.replace("It is", "It\\'s").replace("It\\'s", "It\\ is"),
        PLAIN.replace('"Two"', '"Two","tags":undefined,"_a":None,"_b":True,"_c":-Infinity'),
        PLAIN.replace('"id":"2"', f'"id":{"9" * 5000}'),
        PLAIN.replace('"title":"Two"}', '"title":"Two"'),
        PLAIN.replace("https://jsonfeed.org/version/1.1", "1.1"),
        PLAIN.replace('"version":"https://jsonfeed.org/version/1.1",', ""),
        PLAIN.replace("https://", "HTTPS://"),
        f'{BEGIN.replace("[", "")}{{"0":{ONE},"1":{TWO}}}}}',
    ],
)
def test_json_that_is_not_quite_json_is_read(document: str) -> None:
    found = parse.feed(document.encode(), url=URL, now=NOW)
    assert [entry.title for entry in found.entries] == ["It is one", "Two"]
    assert found.entries[0].content == '<p>Say "hi", // all</p>'
    assert (found.title, found.trouble[:1] == ()) == ("F", _is_json(document))


def _is_json(document: str) -> bool:
    try:
        json.loads(document)
    except ValueError:
        return False
    return True


def test_json_that_is_cut_short_gives_the_items_that_are_whole() -> None:
    for end in range(len(BEGIN + ONE) + 1, len(PLAIN) - 3):
        [entry] = parse.feed(PLAIN[:end].encode(), url=URL, now=NOW).entries
        assert entry.title == "It is one"
    for end in range(1, len(BEGIN + ONE) - 1, 7):
        with pytest.raises(parse.NotAFeed):
            parse.feed(PLAIN[:end].encode(), url=URL, now=NOW)


@pytest.mark.parametrize("junk", ["{", "[", '{"', "'{", "/*{", "\\{", ",:{", '"a":{', "{'\\", "]{"])
def test_any_slip_a_thousand_times_is_no_feed_and_no_crash(junk: str) -> None:
    for document in (junk * 1000, BEGIN + junk * 1000):
        with pytest.raises(parse.NotAFeed):
            parse.feed(document.encode(), url=URL, now=NOW)


def test_json_of_other_kinds_is_no_feed() -> None:
    for other in ('{"items":[{"id":1,"title":"T"}]}', '{"items":["content_html"]}', "[1]", '{"title":"T"}'):
        with pytest.raises(parse.NotAFeed, match="not a JSON Feed"):
            parse.feed(other.encode(), url=URL, now=NOW)


def test_what_has_another_type_than_it_should_is_read_as_meant() -> None:
    entry = item(title={"rendered": "A &amp; B"}, content_text=7, url=["https://example.org/1"], tags="a, b")
    assert (entry.title, entry.content, entry.url, entry.categories) == (
        "A & B",
        "7",
        "https://example.org/1",
        ("a", "b"),
    )
    file = {"url": "https://example.org/1.mp3", "size_in_bytes": "12", "duration_in_seconds": "60"}
    entry = item(id=["x"], url=None, attachments=file, title=42, tags=[1, {"name": "b"}, None])
    assert (entry.title, entry.url, entry.guid, entry.categories) == ("42", file["url"], "", ("1", "b"))
    assert [(e.size_bytes, e.seconds) for e in entry.enclosures] == [(12, 60)]
    php = {"date": "2026-03-01 10:00:00.000000", "timezone_type": 3, "timezone": "Europe/Berlin"}
    assert item(date_published=php).published_at == datetime(2026, 3, 1, 9, tzinfo=UTC)


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
