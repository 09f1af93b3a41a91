"""Reading what strangers publish: every format, every kind of trouble, any bytes at all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from xml.sax.saxutils import escape

import pytest
from corpus import CORPUS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest import parse
from digest.errors import BadInput
from digest.parse import NotAFeed, ParsedFeed, language, lists, pages, text

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
FEEDS = DATA / "feeds"
NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
URL = "https://example.org/blog/feed.xml"


def read(body: bytes | str, content_type: str = "") -> ParsedFeed:
    return parse.feed(body.encode() if isinstance(body, str) else body, url=URL, content_type=content_type, now=NOW)


def items(*inside: str, head: str = "", pre: str = "") -> str:
    return (
        f'{pre}<rss version="2.0"><channel><title>T</title><link>https://example.org/</link>{head}'
        + "".join(f"<item>{item}</item>" for item in inside)
        + "</channel></rss>"
    )


def one(inside: str) -> parse.ParsedEntry:
    [entry] = read(items(inside)).entries
    return entry


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("rss20.xml", "rss20", 2),
        ("atom10.xml", "atom10", 2),
        ("atom03.xml", "atom03", 1),
        ("rdf10.xml", "rss10", 1),
        ("rss091.xml", "rss091n", 1),
        ("podcast.xml", "rss20", 1),
        ("feed11.json", "jsonfeed1.1", 2),
        ("feed10.json", "jsonfeed1", 1),
    ],
)
def test_every_format_is_read_and_read_the_same_twice(name: str, kind: str, count: int) -> None:
    feed = read((FEEDS / name).read_bytes())
    assert (feed.format, len(feed.entries)) == (kind, count)
    assert all(entry.title or entry.content for entry in feed.entries)
    assert feed == read((FEEDS / name).read_bytes())


def test_an_rss_entry_is_clean_and_whole() -> None:
    feed = read((FEEDS / "rss20.xml").read_bytes())
    assert (feed.title, feed.site_url, feed.language) == ("Quorum & Co", "https://quorum.example/", "en-GB")
    assert feed.ttl == timedelta(minutes=90)
    assert (feed.skip_hours, feed.skip_days) == ({0, 1}, {6})
    lease = feed.entries[0]
    assert (lease.key, lease.title, lease.author) == ("q-2", "Leases, explained", "Ada Ng")
    assert lease.url == "https://example.org/posts/leases?utm_source=rss"
    assert lease.categories == ("Databases", "Time")
    assert lease.published_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    assert lease.content == (
        '<p>See <a href="https://example.org/clocks" rel="noopener noreferrer">clocks</a>.</p>'
        '<img src="https://example.org/i/lease.png" alt="A clock">'
    )
    assert lease.image_url == "https://quorum.example/thumb.jpg"


def test_atom_bases_languages_and_text_types_are_kept_apart() -> None:
    first, second = read((FEEDS / "atom10.xml").read_bytes()).entries
    assert first.title == "1 < 2 & 3"
    assert first.url == "https://atom.example/blog/2026/eins-zwei"
    assert 'href="https://atom.example/blog/2026/beweis"' in first.content
    assert first.categories == ("Mathematik",)
    assert (first.language, second.language) == ("de", "he")
    assert first.published_at == datetime(2026, 3, 1, 4, 30, tzinfo=UTC)


def test_json_feed_is_read_by_its_own_rules() -> None:
    feed = read((FEEDS / "feed11.json").read_bytes())
    seven, eight = feed.entries
    assert (feed.title, seven.key, seven.url, seven.author) == ("Braces", "7", "https://example.org/sept", "Zoé")
    assert seven.content == ('<p>Bonjour <a href="https://example.org/huit" rel="noopener noreferrer">huit</a></p>')
    assert seven.enclosures == (parse.Enclosure("https://json.example/7.mp3", "audio/mpeg", 99),)
    assert (eight.url, eight.content, eight.author) == ("https://ailleurs.example/8", "a &lt; b", "Max, Eve")


def test_a_podcast_episode_has_its_file_and_picture() -> None:
    [episode] = read((FEEDS / "podcast.xml").read_bytes()).entries
    assert episode.enclosures == (parse.Enclosure("https://cast.example/1.mp3", "audio/mpeg", 12345),)
    assert episode.url == "https://cast.example/1.mp3"
    assert (episode.image_url, episode.author) == ("https://cast.example/1.jpg", "Lee")


def test_a_publisher_says_how_often_to_come() -> None:
    assert read((FEEDS / "rdf10.xml").read_bytes()).ttl == timedelta(hours=6)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "windows-1251", "koi8-r"])
def test_a_declared_encoding_is_read(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding.partition("-le")[0].partition("-be")[0]}"?>' + items(
        "<title>Привет, мир</title>"
    )
    assert read(body.encode(encoding)).entries[0].title == "Привет, мир"


def test_bytes_that_are_utf8_are_read_as_such_whatever_the_header_says() -> None:
    body = items("<title>Žluťoučký kůň — 東京</title>", pre='<?xml version="1.0" encoding="iso-8859-1"?>').encode()
    assert read(body, "text/xml; charset=iso-8859-1").entries[0].title == "Žluťoučký kůň — 東京"


def test_a_header_tells_the_encoding_where_the_document_does_not() -> None:
    body = items("<title>Zürich</title>").encode("iso-8859-1")
    assert read(body, "application/rss+xml; charset=ISO-8859-1").entries[0].title == "Zürich"


# ---------------------------------------------------------------- identity


def test_identity_is_the_guid_else_the_link_else_title_and_date() -> None:
    entries = read(
        items(
            '<guid isPermaLink="false">g</guid><link>https://e.example/1</link><title>a</title>',
            "<link>https://e.example/2?utm_source=x&amp;id=3&amp;fbclid=9</link><title>b</title>",
            "<title>c</title><pubDate>Sun, 01 Mar 2026 10:00:00 GMT</pubDate>",
            "<title>c</title><pubDate>Sat, 28 Feb 2026 10:00:00 GMT</pubDate>",
        )
    ).entries
    keys = [entry.key for entry in entries]
    assert keys[:2] == ["g", "https://e.example/2?id=3"]
    assert len(set(keys)) == 4


def test_a_guid_shared_by_several_pages_identifies_none_of_them() -> None:
    entries = read(
        items(
            "<guid>same</guid><link>https://e.example/1</link><title>a</title>",
            "<guid>same</guid><link>https://e.example/2</link><title>b</title>",
            "<guid>same</guid><link>https://e.example/2</link><title>b</title>",
        )
    ).entries
    assert [entry.key for entry in entries] == ["https://e.example/1", "https://e.example/2"] or len(entries) == 2


@pytest.mark.parametrize("guids", [("", ""), ("https://e.example/1", "http://e.example/1"), ("a", "a")])
def test_an_entry_that_stands_there_with_both_schemes_is_one(guids: tuple[str, str]) -> None:
    said = "<title>a</title><description>The same words about the same matter</description>"
    first, second = (f"<guid>{guid}</guid>" if guid else "" for guid in guids)
    http, https = "<link>http://e.example/1</link>", "<link>https://e.example/1</link>"
    others = [f"<guid>{n}</guid><link>https://e.example/o{n}</link><title>o{n}</title>" for n in range(3)]
    assert len(read(items(first + https + said, second + http + said, *others)).entries) == 4
    dated = "<pubDate>Sun, 01 Mar 2026 10:00:00 GMT</pubDate>"
    assert len(read(items("<guid>a</guid>" + https + said, "<guid>b</guid>" + http + said + dated)).entries) == 2


def test_entries_of_one_page_without_guids_are_told_apart_by_title() -> None:
    page = "<link>https://e.example/</link>"
    entries = read(items(f"{page}<title>a</title>", f"{page}<title>b</title>")).entries
    assert [entry.title for entry in entries] == ["a", "b"]
    assert len({entry.key for entry in entries}) == 2


def test_entries_with_neither_title_nor_link_are_told_apart_by_text() -> None:
    entries = read(items("<description>first</description>", "<description>second</description>")).entries
    assert len({entry.key for entry in entries}) == len({entry.twin for entry in entries}) == 2


@pytest.mark.parametrize(
    "date",
    ["Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT", "soon", ""],
)
def test_an_impossible_date_is_no_date(date: str) -> None:
    assert one(f"<title>a</title><pubDate>{date}</pubDate>").published_at is None


def test_an_entry_that_says_nothing_is_none() -> None:
    assert read(items('<guid isPermaLink="false">1</guid>')).entries == ()


# ---------------------------------------------------------------- cleaning

SCRIPTS = [
    "<script>alert(1)</script>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="jav&#x09;ascript:alert(1)">x</a>',
    '<a href="javascript&colon;alert(1)">x</a>',
    '<a href="data:text/html,x">x</a>',
    "<img src=x onerror=alert(1)>",
    '<svg><a xlink:href="javascript:alert(1)"><rect/></a></svg>',
    '<form action="https://evil.example"><input name=p></form>',
    '<iframe src="https://evil.example"></iframe>',
    "<style>*{background:url(https://evil.example)}</style>",
    '<p style="position:fixed">x</p>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<base href="https://evil.example/">',
    '<meta http-equiv=refresh content="0;url=https://evil.example">',
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_script_survives(script: str) -> None:
    entry = one(
        f"<title>{escape(script)}</title><link>https://e.example/1</link><description>{escape(script)}</description>"
    )
    tags = " ".join(re.findall(r"<[^>]*>", entry.summary)).lower()
    assert not re.search(r"script|data:|\bon\w+=|style|<(form|input|iframe|svg|math|base|meta)", tags)


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "file:///etc/passwd", "ftp://e.example/", "mailto:a@b.c", "//", "http://[::1", "https://"],
)
def test_only_web_addresses_are_links(link: str) -> None:
    entry = one(f"<title>a</title><link>{escape(link)}</link><enclosure url='{escape(link)}' type='audio/mpeg'/>")
    assert entry.url == "" or entry.url.startswith("https://example.org/")
    assert all(e.url.startswith("http") for e in entry.enclosures)


@pytest.mark.parametrize(
    ("module", "most", "write"),
    [
        ("outlines", 3, lambda n: "<opml><body>" + "<outline xmlUrl='https://a.example/f'/>" * n + "</body></opml>"),
        ("lists", 3, lambda n: "https://a.example/f\n" * n),
        ("lists", 4, lambda n: "url,title\n" + "https://a.example/f,A\n" * n),
    ],
)
def test_a_list_that_is_too_long_is_refused_and_never_cut_in_silence(
    monkeypatch: pytest.MonkeyPatch, module: str, most: int, write: Callable[[int], str]
) -> None:
    monkeypatch.setattr(f"digest.parse.{module}.MAX_FEEDS", most)
    assert len(lists.read(write(3).encode()).outlines) == 3
    with pytest.raises(BadInput, match="has more than"):
        lists.read(write(4).encode())


def test_of_an_element_with_very_many_attributes_the_first_are_read() -> None:
    """lxml reads them all again for each of them."""

    class Counted(dict[str, str]):
        reads = 0

        def __getitem__(self, name: str) -> str:
            self.reads += 1
            return super().__getitem__(name)

        items = None  # type: ignore[assignment]

    attrib = Counted({f"a{n}": "b" for n in range(100_000)})
    assert len(dict(pages.attributes(SimpleNamespace(attrib=attrib)))) == attrib.reads == pages.MAX_ATTRIBUTES
    many = " ".join(f"a{n}='b'" for n in range(pages.MAX_ATTRIBUTES))
    for early in (True, False):
        said = [many, "xmlUrl='https://a.example/f'"][:: -1 if early else 1]
        assert len(lists.read(f"<opml><body><outline {' '.join(said)}/></body></opml>".encode()).outlines) == early


@pytest.mark.parametrize("login", ["ada:hunter2@", "hunter2@", "hunter2%40bank.example:@"])
@pytest.mark.parametrize(
    ("name", "own"),
    [("atom10.xml", "atom.example"), ("feed11.json", "json.example"), ("podcast.xml", "cast.example")],
)
def test_no_link_has_a_login_or_another_name_in_front_of_where_it_leads(name: str, own: str, login: str) -> None:
    body = (FEEDS / name).read_text().replace("://", f"://{login}")
    feed = read(body.encode())
    entries = [[one.url, one.original_url, one.image_url, *(e.url for e in one.enclosures)] for one in feed.entries]
    addresses = [feed.site_url, feed.new_url, *(url for urls in entries for url in urls)]
    assert any(own in url for url in addresses) and not [url for url in addresses if "hunter2" in url]
    assert text.http_url(f"https://{login}x.example/", login=True) == f"https://{login}x.example/"


def test_a_title_cannot_turn_or_hide_the_text_around_it() -> None:
    entry = one("<title>a\u202eb\u2066c\u200bd\u0081e&#x202D;f\n\tg</title>")
    assert entry.title == "abcd ef g"


def test_a_title_escaped_once_too_often_is_read_as_meant() -> None:
    assert one("<title>AT&amp;amp;T &amp;#8217;s</title>").title == "AT&T ’s"


MEDIA = 'xmlns:m="http://search.yahoo.com/mrss/"'
PICTURE = f"""<m:content {MEDIA} url="https://e.example/1.png" medium="image"><m:title>IMG_1.png</m:title>
<m:description type="plain">a cat</m:description></m:content>"""


@pytest.mark.parametrize("order", ["{text}{picture}", "{picture}{text}", "{picture}{text}{picture}"])
@pytest.mark.parametrize("text", ["<description>&lt;p&gt;The post&lt;/p&gt;</description>"])
def test_what_is_said_of_a_picture_is_not_what_the_entry_says(order: str, text: str) -> None:
    entry = one(order.format(text=text, picture=PICTURE) + "<link>https://e.example/1</link>")
    assert (entry.title, entry.summary, entry.content) == ("", "<p>The post</p>", "")
    assert entry.image_url == "https://e.example/1.png"


def test_a_picture_or_film_without_a_text_beside_it_speaks_for_its_entry() -> None:
    assert (one(PICTURE).title, one(PICTURE).summary) == ("", "a cat")
    assert one(PICTURE.replace("description", "rating")).title == "IMG_1.png"
    film = one(PICTURE.replace('"image"', '"video"') + "<description>Said beside it</description>")
    assert (film.title, film.summary) == ("IMG_1.png", "Said beside it")
    group = f"<m:group {MEDIA}><m:content url='https://e.example/v.mp4'/><m:description>Long</m:description></m:group>"
    assert one("<title>a</title>" + group).summary == "Long"


def test_a_medium_that_is_never_closed_ends_with_its_entry() -> None:
    open_ended = PICTURE.replace("</m:content>", "")
    feed = read(items(open_ended, f"<title>b</title><m:description {MEDIA}>of b</m:description>"))
    assert feed.entries[-1].summary == "of b"


def test_an_aggregator_link_keeps_where_it_leads() -> None:
    feed = read(
        items(
            "<title>a</title><link>https://proxy.example/1</link>"
            '<f:origLink xmlns:f="http://rssnamespace.org/feedburner/ext/1.0">https://real.example/1</f:origLink>'
        )
    )
    assert feed.entries[0].original_url == "https://real.example/1"


# ---------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b" \n\xef\xbb\xbf ", "is empty"),
        (b"<!doctype html><html><head><title>Parked</title></head></html>", "is a web page, not a feed"),
        (b'{"version": 1}', "is JSON, but not a JSON Feed"),
        (b'{"version": "https://jsonfeed.org/version/1", ', "is not readable JSON"),
        (b'<opml version="2.0"><body/></opml>', "is an OPML list"),
        (b"<urlset><url/></urlset>", "is a sitemap, not a feed"),
        (b"<?xml version='1.0'?><catalog><book/></catalog>", "is XML, but of no feed format"),
        (b"just words", "is not a feed: neither XML nor JSON"),
        (b"\x00\x01\x02\xff\xfe" * 50, "is not a feed: neither XML nor JSON"),
    ],
)
def test_what_is_no_feed_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(NotAFeed) as caught:
        read(body)
    assert caught.value.reason.startswith(reason)


def entities(*declared: str, use: str = "") -> str:
    return items(f"<title>{use}</title>", pre=f"<!DOCTYPE rss [{''.join(declared)}]>")


def test_entity_bombs_are_refused_before_a_parser_sees_them() -> None:
    laughs = ['<!ENTITY l0 "lol">', *(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))]
    circle = ['<!ENTITY a "&b;">', '<!ENTITY b "&a;">']
    for bomb in (
        entities(*laughs, use="&l9;"),
        entities(f'<!ENTITY a "{"a" * 20_000}">', use="&a;" * 20_000),
        entities(*circle, use="&a;"),
        entities(*laughs, use="&l9;").encode("utf-16"),
        entities(*(f'<!ENTITY a "{"a" * size}">' for size in (20_000, 1)), use="&a;" * 20_000),
        entities(*(f'<!ENTITY a "{"a" * size}">' for size in (1, 20_000)), use="&a;" * 20_000),
        entities(*laughs, use='<!ENTITY x "&l9;">'),
        entities(*laughs, use="&amp; caf&eacute; <!ENTITY x '&l9;'>"),
    ):
        with pytest.raises(NotAFeed, match="entity bomb"):
            read(bomb)


def test_an_external_entity_is_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    feed = read(entities(f'<!ENTITY x SYSTEM "{secret.as_uri()}">', use="[&x;]"))
    assert "hunter2" not in repr(feed)


def test_own_entities_within_reason_are_no_bomb() -> None:
    assert read(entities('<!ENTITY nbsp "&#160;">', use="a&nbsp;b")).entries[0].title == "a b"


@pytest.mark.parametrize("between", ["", "\n", " \n\t"])
@pytest.mark.parametrize("also", ["", " R&D", " caf&eacute;", " &other;"])
def test_own_entities_are_read_wherever_they_are_declared_and_whatever_else_is_wrong(between: str, also: str) -> None:
    declared = [
        '<!ENTITY us "Ann &amp; &who; > all">', "<!ENTITY who 'Ben'>", '<!ENTITY us "nobody">', '<!ENTITY % who "x">'
    ]  # fmt: skip
    found = read(entities(between, *(one + between for one in declared), use=f"&us; <![CDATA[&who;]]>{also}"))
    assert found.entries[0].title.startswith("Ann & Ben > all ") and "nobody" not in found.entries[0].title


def test_tags_nested_beyond_all_reason_are_refused() -> None:
    with pytest.raises(NotAFeed, match="nested more than"):
        read(items("<title>a</title>", head="<a>" * 20_000 + "</a>" * 20_000))


@pytest.mark.parametrize("aside", ["<!-- {} -->", "<title><![CDATA[ {} ]]></title>"])
def test_tags_in_comments_and_text_nest_nothing_and_hide_nothing(aside: str) -> None:
    assert read(items("<title>a</title>", head=aside.format("<item>") * 12_000)).entries[0].title == "a"
    with pytest.raises(NotAFeed, match="nested more than"):
        read(items("<title>a</title>", head=f"<a>{aside.format('</a>')}" * 12_000 + "</a>" * 12_000))


def test_a_text_nested_too_deep_keeps_its_words() -> None:
    entry = one(f"<title>a</title><description>{escape('<div>' * 2_000 + 'deep')}</description>")
    assert entry.summary == "deep"


def test_of_too_many_entries_both_ends_are_read_and_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parse.documents, parse.entries, parse.jsonfeed, parse.xmlfeed):
        monkeypatch.setattr(module, "MAX_ENTRIES", 4)
    many = [f"<title>{n}</title><description><![CDATA[<item>{n}]]></description>" for n in range(9)]
    as_json = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [{"id": str(n), "title": str(n)} for n in range(9)],
    }
    for body in (items(*many), items(*many) + "<!-- cut", json.dumps(as_json)):
        feed = read(body)
        assert [entry.title for entry in feed.entries] == ["0", "1", "7", "8"]
        assert feed.trouble[-1] == "has 9 entries, of which the first and last 2 are read"
    assert len(read(items(*many[:4])).entries) == 4
    inside = '<x:item xmlns:x="urn:x">a part</x:item>'
    assert len(read(items(*(f"<title>{n}</title>{inside}{inside}" for n in range(4)))).entries) == 4
    with pytest.raises(NotAFeed, match="one in another"):
        read(items("<item>" * 9 + "</item>" * 9))


def test_a_feed_cut_short_or_broken_gives_what_can_be_read() -> None:
    whole = items("<title>a</title>", "<title>b</title>")
    feed = read(whole[: whole.index("<title>b")])
    assert feed.entries[0].title == "a"
    assert feed.trouble
    assert read(items("<title>R&D & more</title>")).entries[0].title == "R&D & more"
    assert read(items("<title>&nbsp;caf&eacute; &#55357;&#0;&bogus;</title>")).entries[0].title == "café &bogus;"


def test_feedparser_says_the_same_when_it_is_made_quicker() -> None:
    # In a process of its own: once quickened it stays so.
    done = subprocess.run([sys.executable, "-c", SAME, str(FEEDS)], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.split()) == (0, ["6", "same"]), done.stderr


SAME = """
import sys
from pathlib import Path
from types import SimpleNamespace
import feedparser
from digest.parse import sax

documents = [path.read_bytes() for path in sorted(Path(sys.argv[1]).glob("*.xml"))]
feedparser.datetimes._date_handlers.clear()  # dates are no business of its
before = [repr(feedparser.parse(document)) for document in documents]
sax.quicken()
print(len(documents), "same" if [repr(feedparser.parse(document)) for document in documents] == before else "changed")
"""

# ---------------------------------------------------------------- any bytes at all

SEEDS = [path.read_bytes() for path in sorted(FEEDS.iterdir())]


def bounded(feed: ParsedFeed) -> None:
    for entry in feed.entries:
        assert entry.key
        assert len(entry.key) <= 500
        for link in (entry.url, entry.original_url, entry.image_url, *(e.url for e in entry.enclosures)):
            assert link == "" or link.startswith(("http://", "https://"))
        for words in (entry.title, entry.author, *entry.categories):
            assert not [c for c in words if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")], repr(words)
            assert not set(words) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff"), repr(
                words
            )
        repr(entry).encode()
        assert "\0" not in entry.content + entry.summary
    assert len({entry.key for entry in feed.entries}) == len(feed.entries)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
@example(b"<rss><channel><item><title>\xed\xa0\x80")
@example(b"\xff\xfe<\x00")
def test_any_bytes_are_a_feed_or_no_feed_and_never_a_crash(body: bytes) -> None:
    try:
        bounded(read(body))
    except NotAFeed as error:
        assert error.reason


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 3000), st.integers(0, 200), st.binary(max_size=40))
def test_a_damaged_feed_is_never_a_crash(seed: bytes, at: int, cut: int, noise: bytes) -> None:
    body = seed[:at] + noise + seed[at + cut :]
    try:
        feed = read(body)
    except NotAFeed:
        return
    bounded(feed)
    assert feed == read(body)


@given(st.text(max_size=60))
@example("https://´e.example/")
@example("")
def test_a_relative_link_with_any_base_is_absolute_or_gone(base: str) -> None:
    link = re.search(r'href="([^"]*)"', text.clean_html('<a href="x">y</a>', base=base))
    assert link is None or ":" in link[1]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("&lt;B&gt;Ferries&lt;/B&gt;::&lt;b&gt;North&lt;/b&gt; 2008", "Ferries::North 2008"),
        ("&lt;span class='x'&gt;Ferries&lt;/span&gt; stop", "Ferries stop"),
        ("When to use &lt;b&gt; and &lt;i&gt;", "When to use <b> and <i>"),
        ("Close it with &lt;/b&gt;", "Close it with </b>"),
        ("Stop using &lt;div&gt;x&lt;/div&gt;", "Stop using <div>x</div>"),
        ("&lt;b&gt;&lt;/b&gt; is empty", "<b></b> is empty"),
    ],
)
def test_a_title_that_was_escaped_twice_loses_its_emphasis_and_no_tag_that_it_speaks_of(title: str, shown: str) -> None:
    assert text.plain(title) == shown


@given(st.text(max_size=300))
def test_cleaning_cleaned_html_changes_nothing(words: str) -> None:
    clean = text.clean_html(words, base=URL)
    assert text.clean_html(clean, base=URL) == clean


@given(st.text(max_size=200))
def test_an_address_is_absolute_or_nothing(words: str) -> None:
    url = text.http_url(words, URL)
    assert url == "" or url.startswith(("http://", "https://"))
    assert text.http_url(url) == url
    assert not set(url) & set('<>"\r\n\t \0')


# ---------------------------------------------------------------- language


@pytest.mark.parametrize(
    ("words", "declared", "expected"),
    [
        ("The cache is not the truth, and that is why it is fast", "", "en"),
        ("Der Cache ist nicht die Wahrheit, und das ist gut so", "", "de"),
        ("Le cache n'est pas la vérité et c'est pour cela que les gens", "", "fr"),
        ("Кэш — это не истина, и поэтому он быстрый", "en-us", "ru"),
        ("缓存不是真相 so it is fast cache", "en", "zh"),
        ("キャッシュは真実ではない", "", "ja"),
        ("שלום עולם וברכה", "", "he"),
        ("حافظه نهان حقیقت نیست پس چه", "fa-IR", "fa-IR"),
        ("RSS 2.0", "", ""),
        ("RSS 2.0", "pt_br", "pt-BR"),
        ("Hello", "not a tag", ""),
        ("The kernel is out, and it has what you have been waiting for", "ar", "en"),  # a stranger in its feed
        ("Kernel update", "ar", ""),
        ("iPhone", "zh-CN", "zh-CN"),
        ("Novosti iz sveta", "sr", "sr"),
        ("Der Kernel ist da, und er bringt nicht nur die neuen Treiber für alte Geräte mit", "en-us", "de"),
        ("O que há de novo no Python e como usar o tempo que ele dá para a sua equipe", "en", "pt"),
        ("How to do it all in a day, and why no one can say so", "en", "en"),
        ("It feels like I am stuck in the last part of it, and that it will be two or three more days", "de-DE", "en"),
        ("Die Idee: it feels like I am stuck, und nicht nur in the last part, der und die with it", "de", "de"),
        ("It feels like the last part of it, and that is what it will be", "ca", "ca"),
        ("Der Spiegel and Die Zeit on the news of the day", "en-GB", "en-GB"),
    ],
)
def test_a_language_is_declared_or_guessed_or_left_open(words: str, declared: str, expected: str) -> None:
    assert language.of(words, declared) == expected


# ---------------------------------------------------------------- pages


def test_a_page_names_its_feeds_and_comments_come_last() -> None:
    page = b"""<!doctype html><html><head><base href="/blog/">
      <link rel="stylesheet" href="x.css"><!-- <link rel="alternate" type="application/rss+xml" href="/no"> -->
      <link rel="alternate" type="application/rss+xml" title="Comments Feed" href="comments.xml">
      <link rel='ALTERNATE home' type=application/atom+xml href="feed.atom" title="All &amp; everything">
      <link rel="alternate" hreflang="de" href="/de"><link rel="alternate" type="application/json" href="/wp-json/1">
      <link rel="alternate" type="application/rss+xml" href="javascript:alert(1)"></head></html>"""
    assert parse.feed_links(page, url="https://site.example/x") == [
        parse.Candidate("https://site.example/blog/feed.atom", "All & everything", "application/atom+xml"),
        parse.Candidate("https://site.example/blog/comments.xml", "Comments Feed", "application/rss+xml"),
    ]


def test_a_page_that_declares_none_may_link_to_one() -> None:
    page = (
        b'<p><a href="/about">About</a> <a href="/rss.xml">Subscribe</a> <a href="https://x.example/feedback">?</a></p>'
    )
    assert [c.url for c in parse.feed_links(page, url="https://site.example/")] == ["https://site.example/rss.xml"]


def test_a_base_that_is_no_address_is_passed_over() -> None:
    page = b'<base href="http://[x"><link rel="alternate" type="application/rss+xml" href="rss.xml">'
    assert [c.url for c in parse.feed_links(page, url="https://site.example/")] == ["https://site.example/rss.xml"]


def named(*links: tuple[str, str, str]) -> list[list[str]]:
    """The choices among feeds that a page declares: the addresses of each, from (form, address, title)."""
    page = "".join(f'<link rel="alternate" type="application/{f}+xml" href="{u}" title="{t}">' for f, u, t in links)
    return [
        [c.url for c in forms] for forms in parse.choices(parse.feed_links(page.encode(), url="https://s.example/"))
    ]


def test_one_feed_in_several_forms_is_one_choice_and_comments_are_none_beside_it() -> None:
    for one, other in (
        ("/feed/", "/feed/atom/"),
        ("/rss.xml", "/atom.xml"),
        ("/feeds/posts/default", "/feeds/posts/default?alt=rss"),
        ("/index.php?format=feed&amp;type=rss", "/index.php?format=feed&amp;type=atom"),
        ("/blog/rss2.xml", "http://s.example/blog/atom10.xml"),
        ("/rss/2.0", "/rss/0.92"),
    ):
        assert len(named(("rss", one, "S"), ("atom", other, "S Atom"), ("rss", "/comments/feed/", "Comments"))) == 1, (
            one
        )
    assert len(named(("rss", "https://burner.example/s", "S – RSS 2.0"), ("atom", "/atom.xml", "S – Atom 1.0"))) == 1


def test_feeds_of_different_things_stay_a_choice() -> None:
    for one, other in (("/blog/rss.xml", "/news/rss.xml"), ("/en/feed", "/de/feed/atom"), ("/rss/1.xml", "/rss/2.xml")):
        assert len(named(("rss", one, ""), ("atom", other, ""), ("rss", "/comments.xml", "Comments"))) == 3, one
    assert len(named(("rss", "/a.xml", "RSS"), ("atom", "/b.xml", "Atom"))) == 2
    assert named(("rss", "/comments/feed/", "Comments")) == [["https://s.example/comments/feed/"]]


def test_a_header_declares_feeds_as_a_page_does() -> None:
    link = (
        '</style.css>; rel=preload, <https://api.s.example/>; rel="https://api.w.org/", '
        '</a,b;c.xml>; rel="me alternate"; type="application/rss+xml"; title="a \\"b\\", c", '
        "<atom>; title*=UTF-8'de'Z%C3%BCrich; type=application/atom+xml; rel=ALTERNATE, "
        '<javascript:x>; rel=alternate; type="application/rss+xml", <https://o.example/f>; rel=feed; anchor="#x"'
    )
    assert parse.feed_links(b"", url="https://s.example/x/", link=link) == [
        parse.Candidate("https://s.example/a,b;c.xml", 'a "b", c', "application/rss+xml"),
        parse.Candidate("https://s.example/x/atom", "Zürich", "application/atom+xml"),
    ]


@pytest.mark.parametrize(
    ("content", "leads"),
    [
        ("0; url=/blog/", "https://s.example/blog/"),
        ("0;URL='blog'", "https://s.example/x/blog"),
        ("5 , url = https://o.example/", "https://o.example/"),
        ("300; url=/later", ""),
        ("0", ""),
        ("0; url=javascript:alert(1)", ""),
        ("0; url=file:///etc/passwd", ""),
    ],
)
def test_a_page_that_sends_its_visitors_on_says_where(content: str, leads: str) -> None:
    page = f'<html><head><META HTTP-EQUIV="Refresh" CONTENT="{content}"></head></html>'.encode()
    assert parse.refreshed(page, url="https://s.example/x/") == leads


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=200))
def test_any_header_is_read_without_a_crash(page: bytes, link: str) -> None:
    parse.choices(parse.feed_links(page, url=URL, link=link))
    parse.refreshed(page, url=URL)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_page_is_read_without_a_crash(page: bytes) -> None:
    parse.feed_links(page, url=URL)


# ---------------------------------------------------------------- subscription lists


def test_a_list_that_is_not_quite_well_formed_is_read() -> None:
    nets, loose = parse.opml((DATA / "subscriptions.opml").read_bytes())
    assert nets == parse.Outline(
        "https://nets.example/feed?a=1&b=2", "Nets", "https://nets.example/", ("Work & play", "AI")
    )
    assert (loose.url, loose.title, loose.topics) == ("https://loose.example/rss", "Loose", ("tech/ai", "reading"))


def test_a_list_in_windows_1251_is_read() -> None:
    body = '<?xml version="1.0" encoding="windows-1251"?><opml><body><outline text="Новости" xmlUrl="http://n.example/"/></body></opml>'
    assert parse.opml(body.encode("windows-1251"))[0].title == "Новости"


@pytest.mark.parametrize("body", [b"", b"not xml", b"<html><body>no</body></html>", b"\xff\xfe\x00"])
def test_what_is_no_list_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(BadInput):
        parse.opml(body)


NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co", "Cf", "Zl", "Zp", "Zs")), min_size=1, max_size=12
)


@given(
    st.lists(
        st.builds(
            parse.Outline,
            url=NAMES.map(lambda name: f"https://e.example/{name}"),
            title=NAMES,
            folders=st.lists(NAMES, max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_list_comes_back_as_it_was_written(outlines: list[parse.Outline]) -> None:
    again = parse.opml(parse.write_opml(outlines, title="Mine", now=NOW).encode())
    expected = [(o.url, text.plain(o.title), tuple(map(text.plain, o.folders))) for o in outlines]
    assert sorted((o.url, o.title, o.folders) for o in again) == sorted(expected)


@given(st.binary(max_size=300))
def test_any_list_is_read_or_refused_and_never_a_crash(body: bytes) -> None:
    try:
        parse.opml(b"<opml><body><outline xmlUrl='x'/>" + body)
    except BadInput:
        pass


# ---------------------------------------------------------------- the corpus, where it is at hand


@pytest.mark.skipif(not (CORPUS / "feeds" / "index.tsv").is_file(), reason="the corpus is not here")
def test_every_real_feed_is_read_whole_format_by_format() -> None:
    # Entries that stand in their feed twice, with the same guid, link and title.
    doubles = {"jasonlong-rss-feeds-feed-rauno-craft.xml": 1, "olshansk-rss-feeds-feed-paulgraham.xml": 3}
    counted: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    lines = (CORPUS / "feeds" / "index.tsv").read_text().splitlines()[1:]
    for name, _, kind, _, count, *_ in (line.split("\t") for line in lines):
        feed = read((CORPUS / "feeds" / name).read_bytes())
        bounded(feed)
        assert (feed.format, len(feed.entries)) == (kind, int(count) - doubles.get(name, 0)), name
        counted[feed.format] += len(feed.entries)
        expected[kind] += int(count)
    assert expected - counted == Counter(rss20=sum(doubles.values()))
    assert len(lines) == 257


@pytest.mark.skipif(not (CORPUS / "trouble" / "index.tsv").is_file(), reason="the corpus is not here")
def test_every_troubled_feed_is_read_safely_or_refused_in_words() -> None:
    risky = re.compile(r"script:|\bon\w+\s*=|data:|<(script|iframe|form|input|object|embed|style|base|svg)\b", re.I)
    for line in (CORPUS / "trouble" / "index.tsv").read_text().splitlines()[1:]:
        name, _, kind, *_ = line.split("\t")
        body = (CORPUS / "trouble" / name).read_bytes()
        try:
            if kind == "opml":
                parse.opml(body)
            elif kind == "autodiscovery":
                parse.feed_links(body, url=URL)
            else:
                feed = read(body)
                bounded(feed)
                markup = " ".join(e.summary + e.content for e in feed.entries)
                assert not risky.search(" ".join(re.findall(r"<[a-z][^>]*>", markup))), name
        except (NotAFeed, BadInput) as error:
            assert str(error), name


@pytest.mark.skipif(not (CORPUS / "opml" / "index.tsv").is_file(), reason="the corpus is not here")
def test_every_real_list_comes_back_without_loss() -> None:
    for line in (CORPUS / "opml" / "index.tsv").read_text().splitlines()[1:]:
        name, _, count, *_ = line.split("\t")
        outlines = parse.opml((CORPUS / "opml" / name).read_bytes())
        assert count in (str(len(outlines)), "?"), name  # "?": not well-formed, lxml counts what it can
        again = parse.opml(parse.write_opml(outlines, title="Mine", now=NOW).encode())
        named = [replace(outline, title=outline.title or outline.url) for outline in outlines]
        assert sorted(again, key=repr) == sorted(named, key=repr), name


@pytest.mark.parametrize("odd", ["", "<odd xmlns='urn:x'><title>o</title></odd>"])  # read quickly, and by feedparser
def test_how_long_an_episode_lasts_is_read_with_its_file(odd):
    document = f"""<?xml version="1.0"?><rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
    xmlns:media="http://search.yahoo.com/mrss/"><channel><title>P</title><link>https://p.example/</link>
    <item><title>One</title><guid>urn:1</guid>{odd}<itunes:duration>42:10</itunes:duration>
    <enclosure url="https://p.example/1.mp3" type="audio/mpeg" length="38000000"/>
    <media:content url="https://p.example/1.mp4" type="video/mp4" duration="61"/>
    <media:content url="https://p.example/1.jpg" medium="image"/></item></channel></rss>"""
    (entry,) = parse.feed(document.encode(), url=URL, content_type="", now=NOW).entries
    assert [(e.url[-3:], e.seconds, e.size_bytes) for e in entry.enclosures] == [
        ("mp3", 2530, 38_000_000),
        ("mp4", 61, 0),
        ("jpg", 0, 0),
    ]
