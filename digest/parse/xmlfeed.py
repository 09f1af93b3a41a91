"""RSS 0.9x to 2.0, RDF and Atom: read by `quick` or else by feedparser, cleaned by us."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from digest import recordings
from digest.parse import documents, language, popularity, quick, text
from digest.parse.dates import Dates
from digest.parse.entries import (
    MAX_ENCLOSURES,
    MAX_ENTRIES,
    Described,
    Enclosure,
    NotAFeed,
    Notes,
    ParsedEntry,
    ParsedFeed,
    Shown,
    Unread,
    Watch,
    both_ends,
    first_image,
    guid_key,
    parsed_entry,
    set_aside,
    string,
    too_many,
)


def read(body: bytes, *, url: str, now: datetime, watch: Watch) -> ParsedFeed:
    """What `parse.feed` does for XML, in UTF-8."""
    body = documents.closed(body)
    # What it is sure of is well-formed, without entities of its own, and within all bounds.
    parsed = None if watch.apart else quick.read(body, url, most=MAX_ENTRIES)
    slip, mended, document, count = "", body, body, 0
    if parsed is None:
        documents.refuse_bombs(body)
        body = documents.unfolded(body)
        slip = documents.slip(body)
        mended = documents.mended(body) if slip else body
        document, count = documents.shortened(mended)
    trouble = [too_many(count)] if count > MAX_ENTRIES else []

    notes = Notes(Dates(now, elsewhere=lambda: _all_dates(document)))

    def entry_of(spoken: str) -> Callable[[dict[str, Any]], list[ParsedEntry]]:
        notes.dates.language = spoken

        def one(item: dict[str, Any]) -> list[ParsedEntry]:
            entry = _entry(item, base=url, spoken=spoken, notes=notes)
            return [entry] if entry else []

        return one

    if not watch.apart:
        if parsed is None and document is not body:
            parsed = quick.read(document, url, most=MAX_ENTRIES)
        parsed = parsed or _by_feedparser(document, url)
    if parsed is None or (slip and len(parsed.entries) < documents.entries(document)):
        parsed, entries = _apart(document, url, entry_of, watch)
    else:
        read_one = entry_of(language.tag(string(parsed.feed.get("language"))))
        entries = watch.each(both_ends(parsed.entries), read_one, _rough)
    about = parsed.feed
    if slip or parsed.complaint:
        told = slip or text.plain(parsed.complaint, limit=200)
        trouble.insert(0, f"is not well-formed: {told}")
    return ParsedFeed(
        format=parsed.version or "unknown",
        title=_plain(about.get("title_detail"), notes.repairs.of(string(about.get("title")))),
        site_url=text.http_url(string(about.get("link")), url),
        language=language.tag(string(about.get("language"))),
        entries=entries,
        ttl=_ttl(about),
        skip_hours=_skip_hours(body),
        skip_days=_skip_days(body),
        trouble=(*trouble, *notes.trouble()),
        withdrawn=_tombstones(body),
        new_url=text.http_url(string(about.get("itunes_new-feed-url")).strip()),
        hub=_linked(about, "hub", url),
        topic=_linked(about, "self", url),
        cut=slip.startswith(_CUT),
    )


_CUT = ("no element found", "unclosed token", "unclosed CDATA section", "partial character")  # as expat says it


def _apart(
    document: bytes, url: str, entry_of: Callable[[str], Callable[[dict[str, Any]], list[ParsedEntry]]], watch: Watch
) -> tuple[quick.Document, tuple[ParsedEntry, ...]]:
    """A document whose entries are read one by one: none harms another, nor takes the next for its own text."""
    head, pieces, tail = documents.parted(document)
    parsed = _by_feedparser(head + tail, url, empty=True)
    read_one = entry_of(language.tag(string(parsed.feed.get("language"))))

    def piece(part: bytes) -> list[ParsedEntry]:
        whole = head + part + tail
        found = None if watch.apart else quick.read(whole, url, most=MAX_ENTRIES)
        found = found or _by_feedparser(whole, url, empty=True)
        return [entry for item in found.entries for entry in read_one(item)]

    return parsed, watch.each(pieces, piece, _rough_piece)


def _linked(about: Mapping[str, Any], relation: str, base: str) -> str:
    """The first address that a feed gives with a relation."""
    found = (link.get("href") for link in about.get("links") or () if link.get("rel") == relation)
    return text.http_url(string(next(found, "")), base)


_DELETED = re.compile(rb"<(?:[\w.-]{1,40}:)?deleted-entry\b([^<>]{1,4000}+)>")
_REF = re.compile(rb"\sref\s{0,20}=\s{0,20}(?:\"([^\"]{1,2000}+)\"|'([^']{1,2000}+)')")


def _tombstones(body: bytes) -> frozenset[str]:
    """The ids of entries that were taken back: Atom's `at:deleted-entry ref` (RFC 6721 §3)."""
    if b"purl.org/atompub/tombstones/1.0" not in body:
        return frozenset()
    refs = (_REF.search(match[1]) for match in islice(_DELETED.finditer(body), MAX_ENTRIES))
    return frozenset(
        guid_key(text.plain(text.unescape((ref[1] or ref[2]).decode("utf-8", "replace")))) for ref in refs if ref
    )


def _by_feedparser(document: bytes, url: str, *, empty: bool = False) -> quick.Document:
    """What feedparser makes of a document; NotAFeed where it is none, unless it may be `empty`."""
    import feedparser.api  # heavy, and the process that fetches never parses

    from digest.parse import sax

    if sax.quicken():
        from digest.parse import media  # which has feedparser's insides, too

        media.keep_apart()
    # `sanitize_html` misses a good deal and costs as much as all the rest; `text` cleans below. The type that the
    # header declares would only make feedparser doubt: many hosts serve feeds as text/html.
    try:
        parsed = feedparser.api.parse(
            io.BytesIO(documents.with_short_lines(document)),
            response_headers={"content-location": url, "content-type": documents.XML},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except MemoryError:
        raise
    except Exception as error:  # its parsers raise whatever comes up; the feed is to blame
        raise Unread(f"cannot be read ({type(error).__name__} in feedparser)") from error
    if not empty and not parsed.entries and not parsed.get("version"):
        raise NotAFeed(documents.what_it_is(document))
    if not empty and not parsed.get("version") and documents.what_it_is(document) == documents.WEB_PAGE:
        raise NotAFeed(documents.WEB_PAGE)
    complaint = str(parsed.get("bozo_exception", "")) or "it is broken" if parsed.bozo else ""
    return quick.Document(str(parsed.get("version") or ""), parsed.feed, parsed.entries, complaint)


def _rough(entry: dict[str, Any], reason: str) -> ParsedEntry:
    entry = dict(entry)
    title, url = string(entry.get("title")), string(entry.get("link"))
    identity = (string(entry.get("id")) or url or title)[:10_000].encode("utf-8", "replace")
    return set_aside(reason, title=title, url=url, identity=identity)


_TITLE = re.compile(rb"<(?:[\w.-]{1,40}:)?title[^<>]{0,200}+>\s*+(?:<!\[CDATA\[)?([^<]{1,400}+)")
_LINK = re.compile(rb"<link>\s*+([^<\s]{1,2000}+)|<link[^<>]{0,400}?href=[\"']([^\"'<>]{1,2000}+)")


def _rough_piece(piece: bytes, reason: str) -> ParsedEntry:
    """As much of an entry as can be told without a parser."""
    title, link = _TITLE.search(piece, 0, 200_000), _LINK.search(piece, 0, 200_000)
    return set_aside(
        reason,
        title=title[1].decode("utf-8", "replace") if title else "",
        url=text.unescape((link[1] or link[2]).decode("utf-8", "replace")) if link else "",
        identity=piece,
    )


def _entry(entry: dict[str, Any], *, base: str, spoken: str, notes: Notes) -> ParsedEntry | None:
    # As a plain mapping: feedparser's own looks for seven names of each thing, and answers `updated` with `published`
    # where there is none. What is only `updated` (RDF's dc:date, much Atom) is the date that there is.
    entry = dict(entry)
    link = text.http_url(string(entry.get("link")), "" if _guid_for_link(entry) else base)
    guid = text.plain(string(entry.get("id")), limit=10_000)
    contents = [c for c in entry.get("content") or () if string(c.get("value"))]
    # Of several forms of the content the richest one that is a text (RFC 4287 §4.1.3).
    contents.sort(key=lambda c: ("html" in string(c.get("type")), len(string(c.get("value")))), reverse=True)
    base_of_texts = link or base
    title_detail, summary_detail = entry.get("title_detail") or {}, entry.get("summary_detail") or {}
    content_detail = contents[0] if contents else {}
    content = _html(content_detail, base_of_texts)
    summary = _html(summary_detail, base_of_texts)
    if not (summary or content):  # then what is said of its picture or film is all that it says
        summary = text.escape(text.plain(string(entry.get("media_description")), limit=10_000))
    title = (
        _plain(title_detail, entry.get("title"))
        or text.plain(string(entry.get("itunes_title")))
        or _title_of_medium(entry, summary or content)
    )
    enclosures = _enclosures(entry, base)
    if not link:
        link = text.http_url(guid) or _other_page(entry, base) or next((e.url for e in enclosures), "")
    if not (title or summary or content or link):
        return None
    declared = string((entry.get("title_detail") or {}).get("language")) or string(entry.get("language"))
    updated, mend = notes.dates.read(entry.get("updated")), notes.repairs.shown
    return parsed_entry(
        Described(
            guid=guid,
            url=link,
            original_url=text.http_url(string(entry.get("feedburner_origlink")) or _source_link(entry), base),
            title=title,
            author=text.plain(notes.repairs.of(_author(entry)), markup=True, limit=200),
            summary=summary,
            content=content,
            categories=(
                notes.repairs.of(string(tag.get("label") or tag.get("term"))) for tag in entry.get("tags") or ()
            ),
            declared=declared or spoken,
            image_url=_image(entry, enclosures, content or summary, base),
            enclosures=enclosures,
            published=notes.dates.read(entry.get("published")) or updated or notes.dates.read(entry.get("created")),
            updated=updated,
            points=popularity.number(entry.get("slash_comments") or entry.get("thr_total")),
        ),
        notes,
        Shown(
            mend(string(entry.get("title")), title, lambda value: _plain(title_detail, value)),
            mend(string(summary_detail.get("value")), summary, lambda v: _html(summary_detail, base_of_texts, v)),
            mend(string(content_detail.get("value")), content, lambda v: _html(content_detail, base_of_texts, v)),
        ),
    )


_MAILED = re.compile(
    r"\s*+[^\s@()<>]{1,100}+@[^\s@()<>]{1,200}+\s*+(?:\(([^()]{1,200}+)\)\s*+)?|([^()<>@]{1,200}+)[(<][^\s@()<>]{1,100}+@[^\s@()<>]{1,200}+[)>]\s*+"
)


def _author(entry: Mapping[str, Any]) -> str:
    """Who wrote it. feedparser takes an address of mail to end after four letters of its last part."""
    said = string(entry.get("author"))
    if "@" in said and (mailed := _MAILED.fullmatch(said)):
        return mailed[1] or mailed[2] or said
    return string((entry.get("author_detail") or {}).get("name")) or said


def _guid_for_link(entry: Mapping[str, Any]) -> bool:
    """Whether feedparser gave the guid for a link: it is one where it is a whole address, else it leads nowhere."""
    link = string(entry.get("link"))
    return (
        bool(entry.get("guidislink"))
        and link == entry.get("id")
        and all(link != string(other.get("href")) for other in entry.get("links") or ())
    )


def _html(detail: Mapping[str, Any], base: str, value: str | None = None) -> str:
    """A text construct (with another `value`) as clean HTML; relative links are of its own xml:base if it has one."""
    if not detail:
        return ""
    value = string(detail.get("value")) if value is None else value
    if detail.get("type") == "text/plain":
        return text.escape(value)
    kind = string(detail.get("type"))
    if "html" not in kind and "xml" not in kind:  # any other text is one to be read as it is (RFC 4287 §4.1.3.3)
        return text.escape(value) if kind.startswith("text/") else ""
    return text.clean_html(value, base=text.http_url(string(detail.get("base")), base) or base)


def _plain(detail: Mapping[str, Any] | None, value: Any, *, limit: int = 1_000) -> str:
    return text.plain(string(value), markup="html" in string((detail or {}).get("type")), limit=limit)


def _title_of_medium(entry: Mapping[str, Any], said: str) -> str:
    """What a film is called, where the entry has no title; a picture's title is none where there is a text."""
    media = entry.get("media_content") or ()
    pictures = all("image" in (string(m.get("medium")) or string(m.get("type"))) for m in media)
    return "" if said and pictures else text.plain(string(entry.get("media_title")))


def _source_link(entry: Mapping[str, Any]) -> str:
    """Where the text first stood, as an aggregator says it (Atom `link rel=canonical`)."""
    for link in entry.get("links") or ():
        if link.get("rel") == "canonical":
            return text.http_url(string(link.get("href")), "")
    return ""


_ALTERNATES = ("alternate", "http://www.iana.org/assignments/relation/alternate")  # RFC 4287 §4.2.7.2


def _other_page(entry: Mapping[str, Any], base: str) -> str:
    """Where an entry is, though no link says "alternate" of a page: one of another type, or content elsewhere."""
    links = [(string(link.get("rel")).lower().split(), string(link.get("href"))) for link in entry.get("links") or ()]
    said = [href for rels, href in links if not rels or any(rel in _ALTERNATES for rel in rels)]
    said += [href for rels, href in links if "canonical" in rels]
    found = [text.http_url(href, base) for href in said]
    found += [
        text.http_url(src, text.http_url(string(content.get("base")), base) or base)
        for content in entry.get("content") or ()
        if (src := string(content.get("src")))
    ]
    return next(filter(None, found), "")


def _enclosures(entry: Mapping[str, Any], base: str) -> tuple[Enclosure, ...]:
    found: dict[str, Enclosure] = {}
    media = [m for m in entry.get("media_content") or () if string(m.get("type")) or string(m.get("medium"))]
    enclosed = [link for link in entry.get("links") or () if link.get("rel") == "enclosure"]
    lasts = recordings.seconds(string(entry.get("itunes_duration")))
    for item, known in [*((link, lasts) for link in enclosed), *((medium, 0) for medium in media)]:
        url = text.http_url(string(item.get("href") or item.get("url")), base)
        if url and url not in found:
            size = string(item.get("length") or item.get("filesize")).strip()
            kind = string(item.get("type")) or string(item.get("medium"))
            found[url] = Enclosure(
                url,
                text.plain(kind, limit=100),
                int(size) if re.fullmatch("[0-9]{1,15}", size) else 0,
                recordings.seconds(string(item.get("duration"))) or known,
            )
        if len(found) >= MAX_ENCLOSURES:
            break
    return tuple(found.values())


def _image(entry: Mapping[str, Any], enclosures: Iterable[Enclosure], markup: str, base: str) -> str:
    """The picture of an entry: as declared, else an enclosed one, else the first in its text but for tracking dots."""
    declared = [m.get("url") for m in entry.get("media_thumbnail") or ()]
    declared += [m.get("url") for m in entry.get("media_content") or () if _shows(m)]
    declared.append((entry.get("image") or {}).get("href"))
    for url in declared:
        if found := text.http_url(string(url), base):
            return found
    for enclosure in enclosures:
        if enclosure.type.startswith("image"):
            return enclosure.url
    return first_image(markup)


_PICTURE = re.compile(r"\.(?:jpe?g|png|webp|gif|avif)(?:$|[?#])", re.I)


def _shows(medium: Mapping[str, Any]) -> bool:
    """Whether a `media:content` is a picture, by what it says or, where it says nothing, by its name."""
    said = string(medium.get("medium")) or string(medium.get("type"))
    return "image" in said.lower() if said else _PICTURE.search(string(medium.get("url"))) is not None


_DATE = re.compile(
    rb"<(?:[\w.-]{1,40}:)?(?:pubDate|date|published|updated|issued|modified|created)(?:\s[^<>]{0,200}+)?>\s*+"
    rb"(?:<!\[CDATA\[\s*+)?([^<\]]{4,150}+)",
    re.I,
)


def _all_dates(document: bytes) -> Iterator[str]:
    """Every date of a document, as it stands there."""
    return (text.unescape(match[1].decode("utf-8", "replace")).strip() for match in _DATE.finditer(document))


_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720, "yearly": 8760}


def _ttl(about: Mapping[str, Any]) -> timedelta | None:
    """RSS `ttl` in minutes, else `sy:updatePeriod` divided by `sy:updateFrequency` (RSS 1.0 syndication module)."""
    minutes = string(about.get("ttl")).strip()
    if re.fullmatch(r"\d{1,7}", minutes) and int(minutes):
        return timedelta(minutes=int(minutes))
    hours = _PERIODS.get(string(about.get("sy_updateperiod")).strip().lower())
    if hours is None:
        return None
    often = string(about.get("sy_updatefrequency")).strip()
    return timedelta(hours=hours) / (int(often) if re.fullmatch(r"[1-9]\d{0,3}", often) else 1)


# feedparser keeps the last of several <hour> only, so these are read from the document's head.
_SKIP = re.compile(rb"<skip(Hours|Days)\b[^<>]{0,100}+>((?:(?!</?skip).){0,2000}+)</skip", re.S | re.I)
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
