"""Reading a feed: RSS 0.9x to 2.0, RDF and Atom through feedparser, JSON Feed by ourselves; both cleaned alike."""

from __future__ import annotations

import codecs
import hashlib
import html
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from xml.parsers import expat

from digest.errors import DigestError
from digest.parse import language, text

MAX_ENTRIES = 100_000
MAX_DEPTH = 10_000  # nested tags of the document
MAX_KEY = 500  # characters; a longer identity is kept as its hash
MAX_ENTITY_CHARACTERS = 1_000_000  # what a document's own entities may unfold to
MAX_ENCLOSURES = 20
MAX_CATEGORIES = 50
OLDEST = datetime(1980, 1, 1, tzinfo=UTC)  # earlier dates are a clock that was never set


class NotAFeed(DigestError):
    """The bytes cannot be read as a feed. `reason` completes the sentence "the feed …" or stands alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[type[NotAFeed], tuple[str]]:
        return NotAFeed, (self.reason,)  # it travels from a worker process


@dataclass(frozen=True)
class Enclosure:
    """A file that comes with an entry. `size_bytes` 0 is unknown."""

    url: str
    type: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class ParsedEntry:
    """One thing in a feed, clean: texts are plain, `summary` and `content` safe HTML, links absolute http(s) or "".

    `key` is its identity within the feed; `twin` (of its link and title) helps to know an entry again when its
    publisher changes the guid at every fetch. `content_hash` changes when a reader would see it.
    """

    key: str
    twin: str
    url: str = ""
    original_url: str = ""
    title: str = ""
    author: str = ""
    summary: str = ""
    content: str = ""
    categories: tuple[str, ...] = ()
    language: str = ""
    image_url: str = ""
    enclosures: tuple[Enclosure, ...] = ()
    published_at: datetime | None = None
    updated_at: datetime | None = None
    content_hash: str = ""


@dataclass(frozen=True)
class ParsedFeed:
    """A feed as it stands in one document, entries in its order (the newest first, usually).

    `ttl` is how long the publisher asks us to wait (RSS `ttl`, RDF `sy:updatePeriod`); `skip_hours` (UTC) and
    `skip_days` (0 is Monday) are when nothing will be new. `trouble` says in words what was wrong and read anyway.
    """

    format: str
    title: str = ""
    site_url: str = ""
    self_url: str = ""
    language: str = ""
    entries: tuple[ParsedEntry, ...] = ()
    ttl: timedelta | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()
    trouble: tuple[str, ...] = ()


def feed(body: bytes, *, url: str, content_type: str = "", now: datetime) -> ParsedFeed:
    """Read the document that `url` answered with. Raises NotAFeed with the reason in words.

    `url` is the base of relative links, `content_type` the header as it came; dates that `now` shows to be
    impossible are left out.
    """
    body = _without_wide_characters(body)
    head = body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        raise NotAFeed("is empty")
    if head[:1] in (b"{", b"["):
        return _known_again(_json_feed(body, url=url, now=now))
    return _known_again(_xml_feed(body, url=url, content_type=content_type, now=now))


# ---------------------------------------------------------------- XML, through feedparser


def _xml_feed(body: bytes, *, url: str, content_type: str, now: datetime) -> ParsedFeed:
    import feedparser.api  # heavy, and the process that fetches never parses

    from digest.parse import sax

    sax.quicken()
    refuse_bombs(body)

    slip = _slip(body)
    document = _mended(body) if slip else body
    # `sanitize_html` misses a good deal and costs as much as all the rest; `text` cleans below. The type that the
    # header declares would only make feedparser doubt: many hosts serve feeds as text/html.
    try:
        parsed = feedparser.api.parse(
            io.BytesIO(document),
            response_headers={"content-location": url, "content-type": _type_to_believe(body, content_type)},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except MemoryError:
        raise
    except Exception as error:  # its parsers raise whatever comes up; the feed is to blame
        raise NotAFeed(f"cannot be read ({type(error).__name__} in feedparser)") from error
    if not parsed.entries and not parsed.get("version"):
        raise NotAFeed(_what_it_is(body))
    if not parsed.get("version") and _what_it_is(body) == WEB_PAGE:
        raise NotAFeed(WEB_PAGE)
    about = parsed.feed
    spoken = language.tag(str(about.get("language") or ""))
    trouble = []
    if parsed.bozo or document != body:
        trouble.append(f"is not well-formed: {slip or text.plain(str(parsed.get('bozo_exception', '')), limit=200)}")
    if len(parsed.entries) > MAX_ENTRIES:
        raise NotAFeed(f"has more than {MAX_ENTRIES:,} entries")
    entries = []
    for entry in parsed.entries:
        read = _xml_entry(entry, base=url, spoken=spoken, now=now)
        if read is not None:
            entries.append(read)
    return ParsedFeed(
        format=str(parsed.get("version") or "unknown"),
        title=_plain(about.get("title_detail"), about.get("title")),
        site_url=text.http_url(_text(about.get("link")), url),
        self_url=_link(about, "self", url),
        language=spoken,
        entries=tuple(entries),
        ttl=_ttl(about),
        skip_hours=_skip_hours(body),
        skip_days=_skip_days(body),
        trouble=tuple(trouble),
    )


def _xml_entry(entry: dict[str, Any], *, base: str, spoken: str, now: datetime) -> ParsedEntry | None:
    # As a plain mapping: feedparser's own looks for seven names of each thing, and answers `updated` with `published`
    # where there is none. What is only `updated` (RDF's dc:date, much Atom) is the date that there is.
    entry = dict(entry)
    link = text.http_url(_text(entry.get("link")), base)
    guid = text.plain(_text(entry.get("id")), limit=10_000)
    contents = [c for c in entry.get("content") or () if _text(c.get("value"))]
    # Of several forms of the content the richest one that is a text (RFC 4287 §4.1.3).
    contents.sort(key=lambda c: ("html" in _text(c.get("type")), len(_text(c.get("value")))), reverse=True)
    content = _html(contents[0], link or base) if contents else ""
    summary = _html(entry.get("summary_detail"), link or base)
    title = _plain(entry.get("title_detail"), entry.get("title"))
    enclosures = _enclosures(entry, base)
    if not link:
        link = text.http_url(guid) or next((e.url for e in enclosures), "")
    if not (title or summary or content or link):
        return None
    declared = _text((entry.get("title_detail") or {}).get("language")) or _text(entry.get("language"))
    author = _text((entry.get("author_detail") or {}).get("name")) or _text(entry.get("author"))
    return _entry(
        guid=guid,
        url=link,
        original_url=text.http_url(_text(entry.get("feedburner_origlink")) or _source_link(entry), base),
        title=title,
        author=text.plain(author, markup=True, limit=200),
        summary=summary,
        content=content,
        categories=(_text(tag.get("label") or tag.get("term")) for tag in entry.get("tags") or ()),
        declared=declared or spoken,
        image_url=_image(entry, enclosures, content or summary, base),
        enclosures=enclosures,
        published=_when(entry.get("published_parsed")) or _when(entry.get("updated_parsed")),
        updated=_when(entry.get("updated_parsed")),
        now=now,
    )


def _html(detail: Mapping[str, Any] | None, base: str) -> str:
    """A text construct as clean HTML; relative links are of its own xml:base where it has one."""
    if not detail:
        return ""
    value = _text(detail.get("value"))
    if detail.get("type") == "text/plain":
        return text.escape(value)
    if "html" not in _text(detail.get("type")) and "xml" not in _text(detail.get("type")):
        return ""
    return text.clean_html(value, base=text.http_url(_text(detail.get("base")), base) or base)


def _plain(detail: Mapping[str, Any] | None, value: Any, *, limit: int = 1_000) -> str:
    return text.plain(_text(value), markup="html" in _text((detail or {}).get("type")), limit=limit)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _link(about: Mapping[str, Any], rel: str, base: str) -> str:
    for link in about.get("links") or ():
        if link.get("rel") == rel:
            return text.http_url(_text(link.get("href")), base)
    return ""


def _source_link(entry: Mapping[str, Any]) -> str:
    """Where the text first stood, as an aggregator says it (Atom `link rel=canonical`)."""
    return _link(entry, "canonical", "")


def _enclosures(entry: Mapping[str, Any], base: str) -> tuple[Enclosure, ...]:
    found: dict[str, Enclosure] = {}
    media = [m for m in entry.get("media_content") or () if _text(m.get("type")) or _text(m.get("medium"))]
    enclosed = [link for link in entry.get("links") or () if link.get("rel") == "enclosure"]
    for item in [*enclosed, *media]:
        url = text.http_url(_text(item.get("href") or item.get("url")), base)
        if url and url not in found:
            size = _text(item.get("length") or item.get("filesize")).strip()
            kind = _text(item.get("type")) or _text(item.get("medium"))
            found[url] = Enclosure(
                url, text.plain(kind, limit=100), int(size) if re.fullmatch("[0-9]{1,15}", size) else 0
            )
        if len(found) >= MAX_ENCLOSURES:
            break
    return tuple(found.values())


_IMG = re.compile(r"<img\b[^>]*?\bsrc=\"(https?://[^\"]+)\"[^>]*>", re.I)
_TINY = re.compile(r"\b(?:width|height)=\"[01]\"")


def _image(entry: Mapping[str, Any], enclosures: Iterable[Enclosure], markup: str, base: str) -> str:
    """The picture of an entry: as declared, else an enclosed one, else the first in its text but for tracking dots."""
    declared = [m.get("url") for m in entry.get("media_thumbnail") or ()]
    declared += [m.get("url") for m in entry.get("media_content") or () if m.get("medium") == "image"]
    declared.append((entry.get("image") or {}).get("href"))
    for url in declared:
        if found := text.http_url(_text(url), base):
            return found
    for enclosure in enclosures:
        if enclosure.type.startswith("image"):
            return enclosure.url
    return _first_image(markup)


def _first_image(markup: str) -> str:
    for match in _IMG.finditer(markup):
        if not _TINY.search(match[0]):
            return text.http_url(html.unescape(match[1]))
    return ""


def _when(parsed: Any) -> datetime | None:
    """feedparser's time tuple (UTC) as a moment; None where it cannot be one."""
    if parsed is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(n) for n in parsed[:6])
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (ValueError, OverflowError, TypeError):
        return None


_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720, "yearly": 8760}


def _ttl(about: Mapping[str, Any]) -> timedelta | None:
    """RSS `ttl` in minutes, else `sy:updatePeriod` divided by `sy:updateFrequency` (RSS 1.0 syndication module)."""
    minutes = _text(about.get("ttl")).strip()
    if re.fullmatch(r"\d{1,7}", minutes) and int(minutes):
        return timedelta(minutes=int(minutes))
    hours = _PERIODS.get(_text(about.get("sy_updateperiod")).strip().lower())
    if hours is None:
        return None
    often = _text(about.get("sy_updatefrequency")).strip()
    return timedelta(hours=hours) / (int(often) if re.fullmatch(r"[1-9]\d{0,3}", often) else 1)


# feedparser keeps the last of several <hour> only, so these are read from the document's head.
_SKIP = re.compile(rb"<skip(Hours|Days)\b[^>]*>(.{0,2000}?)</skip", re.S | re.I)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _skip_hours(body: bytes) -> frozenset[int]:
    found = [
        int(h)
        for m in _SKIP.finditer(body)
        if m[1].lower() == b"hours"
        for h in re.findall(rb">\s*(\d{1,2})\s*<", m[2])
    ]
    hours = frozenset(h % 24 for h in found if h <= 24)  # RSS 0.91 counts to 24, RSS 2.0 from 0
    return hours if len(hours) < 24 else frozenset()


def _skip_days(body: bytes) -> frozenset[int]:
    named = [
        d.decode().lower()
        for m in _SKIP.finditer(body)
        if m[1].lower() == b"days"
        for d in re.findall(rb">\s*(\w{6,9})\s*<", m[2], re.A)
    ]
    days = frozenset(_DAYS.index(d) for d in named if d in _DAYS)
    return days if len(days) < 7 else frozenset()


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def _without_wide_characters(body: bytes) -> bytes:
    """UTF-16 and UTF-32, with a byte order mark or told by their first "<" (XML 1.0 appendix F), as UTF-8."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            text = body.decode(name, "replace").lstrip("\ufeff")
            # What the XML declaration says of the encoding is no longer true.
            return re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode("utf-8", "replace")
    return body


def _type_to_believe(body: bytes, content_type: str) -> str:
    """The media type to hand to feedparser: always XML, with a charset only where the bytes do not speak against it.

    Bytes beyond ASCII that decode as UTF-8 are UTF-8, whatever header or XML declaration say (RFC 3629 §3: the
    chance that other text does is tiny); feedparser would follow the header and spoil every letter.
    """
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return "application/xml; charset=utf-8"
    charset = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", content_type, re.I)
    return f"application/xml; charset={charset[1]}" if charset else "application/xml"


_SLIPS = re.compile(
    rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->|[\x00-\x08\x0b\x0c\x0e-\x1f]|&([A-Za-z][A-Za-z0-9]{1,31};|#\d{1,7};|#[xX][0-9a-fA-F]{1,6};)?",
    re.S,
)


def _slip(body: bytes) -> str:
    """What keeps a document from being well-formed, or "". Unheard-of encodings count; to mend them harms nothing."""
    try:
        expat.ParserCreate().Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError, TypeError) as error:  # the latter from codecs
        return str(error)
    return ""


def _mended(body: bytes) -> bytes:
    """A document without the slips that most often keep it from being well-formed.

    Bare ampersands, HTML's named characters, characters that XML forbids (some generators write half an emoji as
    `&#55357;`). feedparser's second, forgiving parser makes "R&D;" of "R&D", and gives up on some of these.
    """

    def mend(match: re.Match[bytes]) -> bytes:
        slip = match[0]
        if slip[:1] != b"&":
            return slip if slip[:1] == b"<" else b""
        if not match[1]:
            return b"&amp;"
        name = match[1].decode("ascii")
        if name[0] == "#":
            code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
            allowed = (
                code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0xFFFF < code < 0x110000
            )
            return slip if allowed else b""
        if name in ("amp;", "lt;", "gt;", "quot;", "apos;"):
            return slip
        meant = html.unescape(f"&{name}")
        return "".join(f"&#{ord(c)};" for c in meant).encode() if meant != f"&{name}" else b"&amp;" + match[1]

    return body if b"<!ENTITY" in body else _SLIPS.sub(mend, body)


WEB_PAGE = "is a web page, not a feed"


def _what_it_is(body: bytes) -> str:
    """Why this is no feed, as well as can be told."""
    head = body[:4000].replace(b"\0", b"").lower()
    if b"<opml" in head:
        return "is an OPML list, not a feed; `digest feed import` reads it"
    if re.search(rb"<!doctype\s+html|<html[\s>]|<head[\s>]", head):
        return WEB_PAGE
    if b"<sitemapindex" in head or b"<urlset" in head:
        return "is a sitemap, not a feed"
    if b"<?xml" in head or re.search(rb"<[a-z]+(:[a-z]+)?[\s>]", head):
        return "is XML, but of no feed format"
    return "is not a feed: neither XML nor JSON"


# ---------------------------------------------------------------- bounds


_ENTITY = re.compile(rb"<!ENTITY\s+(%\s+)?([^\s>]+)\s+(?:\"([^\"]*)\"|'([^']*)'|(SYSTEM|PUBLIC)\b)", re.I)
_REFERENCE = re.compile(rb"&([A-Za-z_][\w.-]*);")


def refuse_bombs(body: bytes) -> None:
    """Raise NotAFeed for a document that would unfold or nest beyond its bounds, before any parser sees it.

    Entities that the document declares may unfold to `MAX_ENTITY_CHARACTERS` in all, counted without unfolding
    them; external ones are never read. Tags may nest `MAX_DEPTH` deep.
    """
    if b"<!ENTITY" in body or b"<!entity" in body:
        values = {m[2]: m[3] or m[4] or b"" for m in _ENTITY.finditer(body)}
        sizes: dict[bytes, int] = {}
        total = sum(_unfolded(name, values, sizes) for name in _REFERENCE.findall(_ENTITY.sub(b"", body)))
        if total > MAX_ENTITY_CHARACTERS:
            raise NotAFeed("declares entities that would unfold without end (an entity bomb)")
    if text.deeper(body.decode("latin-1"), MAX_DEPTH):
        raise NotAFeed(f"has tags nested more than {MAX_DEPTH:,} deep")


def _unfolded(name: bytes, values: Mapping[bytes, bytes], sizes: dict[bytes, int], level: int = 0) -> int:
    """How many bytes an entity stands for; more than any bound where it contains itself."""
    if name not in values:
        return 0
    if name not in sizes:
        if level > 50:
            return MAX_ENTITY_CHARACTERS + 1
        sizes[name] = MAX_ENTITY_CHARACTERS + 1  # what it is worth inside itself
        inside = sum(_unfolded(n, values, sizes, level + 1) for n in _REFERENCE.findall(values[name]))
        sizes[name] = len(values[name]) + inside
    return sizes[name]


# ---------------------------------------------------------------- JSON Feed (jsonfeed.org/version/1.1)


def _json_feed(body: bytes, *, url: str, now: datetime) -> ParsedFeed:
    try:
        document = json.loads(body.decode("utf-8-sig"), strict=False)  # a raw line break in a text is common
    except (ValueError, RecursionError) as error:
        raise NotAFeed(f"is not readable JSON: {text.plain(str(error), limit=120)}") from None
    if not isinstance(document, dict) or "jsonfeed.org/version/" not in _text(document.get("version")):
        raise NotAFeed("is JSON, but not a JSON Feed")
    items = document.get("items")
    if not isinstance(items, list):
        items = []
    if len(items) > MAX_ENTRIES:
        raise NotAFeed(f"has more than {MAX_ENTRIES:,} entries")
    spoken = language.tag(_text(document.get("language")))
    writer = _json_author(document)
    entries = [_json_entry(i, base=url, spoken=spoken, writer=writer, now=now) for i in items if isinstance(i, dict)]
    return ParsedFeed(
        format="jsonfeed" + text.plain(_text(document["version"]).rpartition("/")[2], limit=10),
        title=text.plain(_text(document.get("title"))),
        site_url=text.http_url(_text(document.get("home_page_url")), url),
        self_url=text.http_url(_text(document.get("feed_url")), url),
        language=spoken,
        entries=tuple(entry for entry in entries if entry is not None),
    )


def _json_entry(item: Mapping[str, Any], *, base: str, spoken: str, writer: str, now: datetime) -> ParsedEntry | None:
    identity = item.get("id")
    # The specification asks for a string and for numbers to be read as one.
    guid = str(identity) if isinstance(identity, str | int | float) else ""
    link = text.http_url(_text(item.get("url")), base)
    external = text.http_url(_text(item.get("external_url")), base)
    content = text.clean_html(_text(item.get("content_html")), base=link or base)
    content = content or text.escape(_text(item.get("content_text")))
    summary = text.escape(_text(item.get("summary")))
    title = text.plain(_text(item.get("title")))
    attachments = item.get("attachments")
    enclosures = tuple(
        Enclosure(found, text.plain(_text(a.get("mime_type")), limit=100), _size(a.get("size_in_bytes")))
        for a in (attachments if isinstance(attachments, list) else [])[:MAX_ENCLOSURES]
        if isinstance(a, dict) and (found := text.http_url(_text(a.get("url")), base))
    )
    if not (title or summary or content or link or external):
        return None
    tags = item.get("tags")
    return _entry(
        guid=text.plain(guid, limit=10_000),
        url=link or external or text.http_url(guid),
        original_url=external,
        title=title,
        author=_json_author(item) or writer,
        summary=summary,
        content=content,
        categories=(_text(tag) for tag in (tags if isinstance(tags, list) else ())),
        declared=_text(item.get("language")) or spoken,
        image_url=text.http_url(_text(item.get("image")) or _text(item.get("banner_image")), base)
        or _first_image(content),
        enclosures=enclosures,
        published=_iso(item.get("date_published")),
        updated=_iso(item.get("date_modified")),
        now=now,
    )


def _json_author(thing: Mapping[str, Any]) -> str:
    """`authors` of 1.1, else the one `author` of 1.0."""
    authors = thing.get("authors")
    named = [a for a in (authors if isinstance(authors, list) else [thing.get("author")]) if isinstance(a, dict)]
    return text.plain(", ".join(filter(None, (_text(a.get("name")).strip() for a in named[:10]))), limit=200)


def _size(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**15 else 0


def _iso(value: Any) -> datetime | None:
    """RFC 3339; without a zone it counts as UTC."""
    try:
        found = datetime.fromisoformat(_text(value).strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# ---------------------------------------------------------------- both


def _entry(
    *,
    guid: str,
    url: str,
    original_url: str,
    title: str,
    author: str,
    summary: str,
    content: str,
    categories: Iterable[str],
    declared: str,
    image_url: str,
    enclosures: tuple[Enclosure, ...],
    published: datetime | None,
    updated: datetime | None,
    now: datetime,
) -> ParsedEntry:
    names: dict[str, str] = {}
    for category in categories:
        name = text.plain(category, limit=100)
        if name and len(names) < MAX_CATEGORIES:
            names.setdefault(name.casefold(), name)
    page = without_tracking(url)
    published = _possible(published, now)
    told = title or text.words(content or summary, limit=200)
    return ParsedEntry(
        key=_key(guid)
        if guid
        else _key(page)
        if page
        else _hash("entry", told, published.isoformat() if published else ""),
        twin=_hash("twin", page, told),
        url=url,
        original_url=original_url if original_url != url else "",
        title=title,
        author=author,
        summary=summary,
        content=content,
        categories=tuple(names.values()),
        language=language.of(f"{title} {text.words(summary or content, limit=600)}", declared),
        image_url=image_url,
        enclosures=enclosures,
        published_at=published,
        updated_at=_possible(updated, now),
        content_hash=_hash("content", title, page, summary, content),
    )


def _known_again(parsed: ParsedFeed) -> ParsedFeed:
    """Entries under keys that are theirs alone.

    Some generators give every entry the same guid: where a guid stands for several pages it identifies none, and
    the link does. Where two entries still have one key they are the same, and the first stays.
    """
    pages: dict[str, set[str]] = {}
    for entry in parsed.entries:
        pages.setdefault(entry.key, set()).add(entry.twin)
    shared = {key for key, twins in pages.items() if len(twins) > 1}
    how_often = Counter(without_tracking(e.url) for e in parsed.entries if e.key in shared)
    entries: dict[str, ParsedEntry] = {}
    for entry in parsed.entries:
        if entry.key in shared:
            page = without_tracking(entry.url)
            # One link for all is the site's front page: then the title must do.
            entry = replace(entry, key=_key(page) if page and how_often[page] == 1 else entry.twin)
        entries.setdefault(entry.key, entry)
    return replace(parsed, entries=tuple(entries.values()))


_TRACKING: Callable[[str], Any] = re.compile(r"utm_\w+|fbclid|gclid|mc_[ce]id|at_\w+|ref_?src|_hs\w+", re.I).fullmatch


def without_tracking(url: str) -> str:
    """The address of a page without what only counts its visitors; two links to one page become equal."""
    if "?" not in url:
        return url.partition("#")[0] if "#" in url and not url.partition("#")[2].startswith(("!", "/")) else url
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING(k)]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), parts.fragment))


def _possible(moment: datetime | None, now: datetime) -> datetime | None:
    """None for what no entry was published at: years before feeds, or a day and more ahead of the clock."""
    return moment if moment is not None and OLDEST <= moment <= now + timedelta(days=1) else None


def _key(identity: str) -> str:
    return identity if len(identity) <= MAX_KEY else _hash("key", identity)


def _hash(kind: str, *parts: str) -> str:
    return f"{kind}:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
