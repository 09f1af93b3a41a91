"""The quick reader against feedparser, field by field: it says the same, or nothing."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import feedparser
import pytest
from corpus import CORPUS
from feedparser.html import _cp1252
from feedparser.mixin import _FeedParserMixin
from feedparser.sanitizer import _HTMLSanitizer
from hypothesis import given, settings
from hypothesis import strategies as st

from digest import parse
from digest.parse import documents, media, quick, quirks, sax, vocabulary, xmlfeed

URL = "https://site.example/blog/feed.xml"
MOST = 10_000

ENTRY = (
    *("link", "id", "guidislink", "links", "content", "title", "title_detail", "summary_detail", "media_description"),
    *("media_title", "media_content", "media_thumbnail", "image", "tags", "author", "author_detail", "language"),
    *("published", "updated", "created", "feedburner_origlink", "slash_comments", "thr_total"),
)
FEED = (
    *("title", "title_detail", "link", "language", "ttl", "sy_updateperiod", "sy_updatefrequency"),
    *("itunes_new-feed-url", "links"),
)
# Of a mapping within, what is read of it.
WITHIN = {
    "title_detail": ("type", "language"),
    "summary_detail": ("type", "value", "base"),
    "content": ("type", "value", "base"),
    "author_detail": ("name",),
    "links": ("rel", "href", "type", "length", "filesize"),
    "media_content": ("url", "type", "medium", "filesize"),
    "media_thumbnail": ("url",),
    "tags": ("term", "label"),
}


def shape(found: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """What `parse.xmlfeed` reads of an entry or a feed."""
    shaped: dict[str, Any] = {}
    for key, value in dict(found).items():
        within = WITHIN.get(key)
        if key in keys and isinstance(value, list):
            shaped[key] = [{k: dict(one).get(k) for k in within or one} for one in value]
        elif key in keys:
            shaped[key] = {k: dict(value).get(k) for k in within or value} if isinstance(value, Mapping) else value
    return shaped


def by_feedparser(document: bytes) -> Any:
    assert sax.quicken()
    media.keep_apart()
    return feedparser.api.parse(
        io.BytesIO(documents.with_short_lines(document)),
        response_headers={"content-location": URL, "content-type": documents.XML},
        sanitize_html=False,
        resolve_relative_uris=False,
    )


def differences(document: bytes) -> list[str] | None:
    """Where the two readers differ; None where the quick one leaves the document to the other."""
    ours = quick.read(document, URL, most=MOST)
    if ours is None:
        return None
    theirs = by_feedparser(document)
    pairs = [("feed", shape(theirs.feed, FEED), shape(ours.feed, FEED))]
    if (theirs.version, theirs.bozo, len(theirs.entries)) != (ours.version, False, len(ours.entries)):
        return [f"{theirs.version} {theirs.bozo} {len(theirs.entries)} is {ours.version} {len(ours.entries)}"]
    for number, (one, other) in enumerate(zip(theirs.entries, ours.entries, strict=True)):
        pairs.append((f"entry {number}", shape(one, ENTRY), shape(other, ENTRY)))
    return [
        f"{what}: {key} is {a.get(key)!r}, we say {b.get(key)!r}"
        for what, a, b in pairs
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]


SPACES = (
    'xmlns:atom="http://www.w3.org/2005/Atom" xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"'
    ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
    ' xmlns:slash="http://purl.org/rss/1.0/modules/slash/" xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"'
    ' xmlns:wfw="http://wellformedweb.org/CommentAPI/" xmlns:thr="http://purl.org/syndication/thread/1.0"'
    ' xmlns:georss="http://www.georss.org/georss" xmlns:mine="urn:mine"'
)


def rss(items: str, *, head: str = "<title>T</title><link>/</link>", version: str = "2.0") -> str:
    return f'<?xml version="1.0"?>\n<rss version="{version}" {SPACES}>\n<channel>{head}{items}</channel></rss>'


def atom(entries: str, *, head: str = "<title>T</title>", more: str = "") -> str:
    spaces = f'xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/" {more}'
    return f"<feed {spaces}>{head}{entries}</feed>"


WORDPRESS = rss(
    """
    <item>
      <title>Caf&#233; &amp;amp; more</title><link>https://site.example/a?x=1&amp;y=2</link>
      <comments>https://site.example/a#c</comments><dc:creator><![CDATA[Jane Doe]]></dc:creator>
      <dc:creator>John</dc:creator><pubDate>Sat, 28 Nov 2026 10:00:00 +0000</pubDate>
      <category><![CDATA[News]]></category><category domain="d">Tech</category><category>News</category>
      <guid isPermaLink="false">https://site.example/?p=1</guid>
      <description><![CDATA[<p>An excerpt &#8230;</p>]]></description>
      <content:encoded><![CDATA[<p>All of it. <img src="/a.png"></p>]]></content:encoded>
      <wfw:commentRss>https://site.example/a/feed/</wfw:commentRss><slash:comments>3</slash:comments>
      <site xmlns="com-wordpress:feed-additions:1">1</site><thr:total>2</thr:total><mine:a b="c">d</mine:a>
      <enclosure url="https://site.example/a.mp3" length="10" type="Audio/MPEG"/>
    </item>
    <item><description>only text &lt;b&gt;bold&lt;/b&gt;</description><guid>b</guid>
      <author>jane@site.org (Jane)</author></item>
    <item><title>&lt;b&gt;no&lt;/b&gt; tags</title><guid>https://site.example/c</guid><link/></item>
    <item><title>x</title><link> rel ative </link><dc:date>2026-11-28</dc:date><dc:language>de</dc:language></item>
    """,
    head="""<title>A &#x2013; B</title>
      <atom:link href="https://site.example/feed" rel="self" type="application/rss+xml"/>
    <link>https://site.example</link><description>d</description><language>en-GB</language><ttl>60</ttl>
    <lastBuildDate>Sat, 28 Nov 2026 10:00:00 +0000</lastBuildDate><sy:updatePeriod> hourly </sy:updatePeriod>
    <sy:updateFrequency>1</sy:updateFrequency><generator>https://wordpress.org/?v=6</generator>
    <image><url>/i.png</url><title>Not T</title><link>/</link><width>32</width></image>
    <skipHours><hour>1</hour></skipHours><cloud domain="c" port="80"/>""",
)
PODCAST = rss(
    """
    <item><title>Old</title><itunes:title>New</itunes:title><itunes:author>A</itunes:author>
      <itunes:duration>1</itunes:duration>
      <itunes:summary>Said &lt;p&gt;here&lt;/p&gt;</itunes:summary>
      <description>And &lt;i&gt;here&lt;/i&gt;</description>
      <itunes:image href="/cover.jpg"/><itunes:explicit>no</itunes:explicit><itunes:keywords>a, b,,c</itunes:keywords>
      <enclosure url="https://cdn.example/1.mp3?a=1&amp;b=2" length="99" type="audio/mpeg"/>
      <itunes:subtitle>s</itunes:subtitle><guid>urn:1</guid><source url="https://o.example/">Other</source></item>
    <item><description>a</description><itunes:summary>b</itunes:summary><title>c</title><title>d</title></item>
    """,
    head="""<title>P</title><itunes:owner><itunes:name>O</itunes:name><itunes:email>o@o.example</itunes:email>
      </itunes:owner>
    <itunes:category text="A"><itunes:category text="B"/></itunes:category><itunes:summary>S</itunes:summary>
    <description>D</description><itunes:new-feed-url>https://new.example/f</itunes:new-feed-url>
      <itunes:image href="/c.jpg"/>""",
)
PICTURES = rss(
    """
    <item><link>https://social.example/1</link><description>&lt;p&gt;Look&lt;/p&gt;</description>
      <media:content url="https://cdn.example/1.jpg" type="image/jpeg" fileSize="5" medium="image">
        <media:rating scheme="urn:simple">nonadult</media:rating>
      <media:description type="plain">A cat</media:description>
        <media:title>Cat</media:title></media:content><category>cat</category></item>
    <item><media:thumbnail url="/t.png"/><media:group><media:title>G</media:title>
      <media:content url="https://v.example/1"/>
      <media:description>said</media:description><media:keywords>x, y</media:keywords></media:group>
      <media:credit>me</media:credit></item>
    """
)
YOUTUBE = atom(
    """
    <entry><id>yt:video:1</id><yt:videoId>1</yt:videoId><title>V &amp; W</title>
      <link rel="alternate" href="https://v.example/w?v=1"/>
      <author><name>C</name><uri>https://v.example/c</uri></author><published>2026-11-28T00:00:00+00:00</published>
      <updated>2026-11-28T01:00:00+00:00</updated>
      <media:group><media:title>V</media:title>
      <media:content url="https://v.example/v/1" type="application/x-flash" width="6"/>
      <media:thumbnail url="https://i.example/1.jpg"/><media:description>What
      it is</media:description><media:community><media:starRating count="1"/></media:community></media:group></entry>
    """,
    more='xmlns:yt="http://www.youtube.com/xml/schemas/2015"',
    head='<link rel="self" href="/self"/><id>yt:channel:1</id><title>C</title><link href="https://v.example/c"/>',
)
XHTML = atom(
    """
    <entry xml:lang="de_DE"><title type="html">&lt;i&gt;x&lt;/i&gt; é</title><id>tag:1</id><link href="a/b"/>
      <link rel="edit" href="e"/>
      <link rel="enclosure" href="/f.mp3" type="audio/mpeg" length="7"/>
      <link rel="canonical" href="https://first.example/a"/>
      <content type="xhtml" xml:base="https://else.example/d/"><div xmlns="http://www.w3.org/1999/xhtml">
      <p class="A&amp;B">T &lt; U
      <br/><a href="r" title='say "no"'>r</a></p><!-- c --><p>2</p></div></content>
      <summary type="text">S &amp; T</summary>
      <category term="t" label="L" scheme="s"/><contributor><name>N</name></contributor><rights>mine</rights>
      <source><title>O</title><id>o</id><updated>2026-11-28T00:00:00Z</updated><link href="/o"/></source></entry>
    <entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b></div></title><id>tag:2</id>
      <summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div>1</div></div></summary>
      <author><name>A</name><email>a@a.org</email></author><author><name>B</name></author></entry>
    """,
    more='xml:lang="de-DE" xml:base="/base/"',
    head="""<title>T</title><subtitle>s</subtitle><link href='home'/><author><name>F</name></author><icon>i</icon>
      <generator uri='g'>G</generator>""",
)
RDF = f"""<rdf:RDF xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" {SPACES}>
  <channel rdf:about="https://site.example/"><title>R</title><link>https://site.example/</link>
      <dc:language>ja</dc:language>
    <items><rdf:Seq><rdf:li rdf:resource="a"/></rdf:Seq></items><image rdf:resource="i"/></channel>
  <image rdf:about="i"><title>i</title><url>u</url><link>l</link></image>
  <item rdf:about="https://site.example/1"><title>1</title><link>https://site.example/1</link>
      <dc:subject>s</dc:subject>
    <description>d &lt;b&gt;e&lt;/b&gt;</description><dc:date>2026-11-28T00:00:00Z</dc:date><dc:creator>c</dc:creator>
    <content:encoded>all</content:encoded></item></rdf:RDF>"""
ATOM_03 = """<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>T</title>
      <link rel="alternate" type="text/html" href="/"/>
  <entry><title mode="escaped" type="text/html">a &lt;b&gt;</title><issued>2005-01-01T00:00:00Z</issued>
  <modified>2005-01-02T00:00:00Z</modified><created>2005-01-01T00:00:00Z</created><id>x</id>
  <content type="text/html" mode="escaped">c &#146;d&#146;</content></entry></feed>"""
USUAL = {
    "wordpress": WORDPRESS,
    "podcast": PODCAST,
    "pictures": PICTURES,
    "youtube": YOUTUBE,
    "xhtml": XHTML,
    "rdf": RDF,
    "atom 0.3": ATOM_03,
    "rss 0.91": rss("<item><title>a</title><description>b &amp;amp; c</description></item>", version="0.91"),
    "no items": rss(""),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_feed_is_read_quickly_and_says_what_feedparser_says(name: str) -> None:
    assert differences(USUAL[name].encode()) == []
    marked = b"\xef\xbb\xbf" + USUAL[name].encode()
    assert differences(marked) == [], "a byte order mark changes nothing"


@pytest.mark.parametrize(
    "document",
    [
        f"<!DOCTYPE rss>{rss('')}",
        "<a/>",
        "no feed",
        "",
        rss("<item><title>a <b>bold</b></title></item>"),
        rss("<item><mine:a><title>not the entry's</title></mine:a></item>"),
        rss("<item><date>2026-11-28</date></item>"),
        rss("<item><title>cut"),
        rss("<item><description type='image/png'>aGFsbG8=</description></item>"),
        rss("<item><item><title>inner</title></item></item>"),
        rss("<item><link xml:base='ftp://a.example/'>x</link></item>"),
        rss("<mine:a>" * 300 + "</mine:a>" * 300),
        rss("").replace("http://purl.org/dc/elements/1.1/", "http://search.yahoo.com/mrss/"),
        rss("<image><mine:x/><title>x</title></image>"),
        atom("<entry><content type='xhtml'><svg xmlns='http://www.w3.org/2000/svg'/></content></entry>"),
        atom("<entry><source><content>c</content></source></entry>"),
    ],
)
def test_what_is_not_usual_is_left_to_feedparser(document: str) -> None:
    assert quick.read(document.encode(), URL, most=MOST) is None


def test_bytes_that_are_no_utf_8_and_more_entries_than_are_read_are_left_to_feedparser() -> None:
    assert quick.read(rss("<item><title>Z\xfcrich</title></item>").encode("latin-1"), URL, most=MOST) is None
    assert quick.read(rss("<item/>" * 3).encode(), URL, most=2) is None
    assert quick.read(rss("<item/>" * 2).encode(), URL, most=2) is not None


def test_a_feed_reads_the_same_with_and_without_the_quick_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_it() -> list[parse.ParsedFeed]:
        now = datetime(2026, 11, 29, tzinfo=UTC)
        return [parse.feed(document.encode(), url=URL, now=now) for document in USUAL.values()]

    quickly = all_of_it()
    monkeypatch.setattr(xmlfeed.quick, "read", lambda *_, **__: None)
    assert all_of_it() == quickly


def test_its_vocabulary_is_that_of_the_installed_feedparser() -> None:
    theirs = {uri.lower(): name for uri, name in _FeedParserMixin.namespaces.items() if uri}
    assert theirs == vocabulary.SPACES
    handlers = {name.split("_", 2)[2].lower() for name in dir(_FeedParserMixin) if re.match("_(start|end)_", name)}
    assert handlers == vocabulary.HANDLED
    assert _HTMLSanitizer.acceptable_elements == vocabulary.HTML
    assert _cp1252 == quirks.CP1252
    keys = feedparser.util.FeedParserDict.keymap
    read = {*ENTRY, *FEED}
    aliases = {key for key, real in keys.items() if read.intersection([real] if isinstance(real, str) else real)}
    assert read | aliases <= vocabulary.KEYS


PARTS = re.findall(r"<[^<>]+>|[^<>]+", "".join(USUAL.values()))
ODD = (
    *(
        "<title>",
        "</title>",
        "<item>",
        "</item>",
        "<entry>",
        "</entry>",
        "<b>",
        "&amp;",
        "&nbsp;",
        "\x00",
        "\xe9",
        "\x96",
    ),
    *("<image>", "</image>", "<content>", "</content>", "<source>", "</source>", "<author>", "</author>", "<x:y>"),
    *(
        ' xml:base="/a/"',
        ' type="xhtml"',
        ' xmlns="urn:a"',
        ' xmlns:dc="urn:b"',
        ' href="http://[::"',
        "<!-- -->",
        "<?a?>",
    ),
    *("]]>", "<![CDATA[<b>]]>", "<link/>", '<link href="x"/>', "<guid/>", "<description>a</description>", "<div>"),
    *(
        "<media:content>",
        "</media:content>",
        "<media:title>m</media:title>",
        "<dc:title>d</dc:title>",
        "\u2028",
        "\x1f",
    ),
    *(
        "<summary>s</summary>",
        '<category term="a"/>',
        "<author>a@b.example (c)</author>",
        "<id>i</id>",
        '<title type="html">',
    ),
)


@pytest.mark.long
@settings(max_examples=150)
@given(st.data())
def test_of_a_feed_that_was_changed_anywhere_it_says_the_same_or_nothing(data: st.DataObject) -> None:
    parts = re.findall(r"<[^<>]+>|[^<>]+", data.draw(st.sampled_from(list(USUAL.values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(parts) - 1))
        what = data.draw(st.sampled_from(("drop", "double", "swap", "insert", "attribute")))
        other = data.draw(st.integers(0, len(parts) - 1))
        if what == "drop":
            del parts[at]
        elif what == "double":
            parts.insert(at, parts[other])
        elif what == "swap":
            parts[at], parts[other] = parts[other], parts[at]
        elif what == "insert":
            parts.insert(at, data.draw(st.sampled_from(ODD + tuple(PARTS))))
        elif parts[at].startswith("<") and parts[at].endswith(">") and parts[at][1:2] not in "/!?":
            end = -2 if parts[at].endswith("/>") else -1
            parts[at] = (
                parts[at][:end] + data.draw(st.sampled_from([o for o in ODD if o.startswith(" ")])) + parts[at][end:]
            )
        if not parts:
            return
    assert not differences("".join(parts).encode())


@pytest.mark.skipif(not (CORPUS / "feeds").is_dir(), reason="the corpus is not here")
def test_over_all_real_and_troubled_feeds_it_differs_in_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    counted: Counter[str] = Counter()
    for path in sorted((CORPUS / "feeds").iterdir()) + sorted((CORPUS / "trouble").rglob("*")):
        if path.is_file():
            document, _ = documents.as_utf8(path.read_bytes(), "")
            found = differences(document)
            counted["fell back" if found is None else "differ" if found else "equal"] += 1
            if found:
                print(path.name, found[:3])
    with capsys.disabled():
        print(f"\nquick reader over the corpus: {dict(counted)}")
    assert not counted["differ"]
    assert counted["equal"] > 3 * counted["fell back"] / 2
