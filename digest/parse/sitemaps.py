"""Sitemaps of news (sitemaps.org, with Google's news extension): what large publishers keep in place of a feed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from digest.parse import documents, language, text
from digest.parse.dates import Dates
from digest.parse.entries import (
    MAX_ENTRIES,
    Described,
    NotAFeed,
    Notes,
    ParsedEntry,
    ParsedFeed,
    Shown,
    Watch,
    both_ends,
    parsed_entry,
    set_aside,
    too_many,
)

INDEX = "sitemapindex"  # the format of one that only names others
MAX_NAMED = 1_000  # sitemaps of an index that are looked at
MAX_PARTS = 5  # and of these, those that are read
MAX_ROBOTS = 500_000  # bytes, as RFC 9309 §2.5 has it
MAX_LINES = 20  # sitemaps that a robots.txt names

_ROOT = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?:\s|<\?[^>]{0,2000}+>|<!--.{0,5000}?-->|<!DOCTYPE[^>\[]{0,500}+>){0,20}+"
    rb"<(?:[\w.-]{1,40}:)?(urlset|sitemapindex)[\s>]",
    re.S,
)
_SITEMAP = re.compile(r"^\s{0,20}sitemap\s{0,20}:\s{0,20}(\S{1,2000})", re.I | re.M)
_NEWS = b"schemas/sitemap-news"


def is_one(body: bytes) -> bool:
    """Whether the document is a sitemap, or an index of some."""
    return _ROOT.match(body[:20_000]) is not None


def of_robots(body: bytes) -> list[str]:
    """The sitemaps that a robots.txt names, those that speak of news first."""
    said = body[:MAX_ROBOTS].decode("utf-8", "replace").replace("\r", "\n")
    found = filter(None, (text.http_url(match[1]) for match in _SITEMAP.finditer(said)))
    return sorted(dict.fromkeys(found), key=lambda url: not _of_news(url))[:MAX_LINES]


def read(body: bytes, *, url: str, now: datetime, watch: Watch) -> ParsedFeed:
    """What `parse.feed` does for a sitemap, in UTF-8; of an index, which others are to be read (`parts`)."""
    from lxml import etree

    documents.refuse_bombs(body)
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotAFeed(f"is a sitemap that cannot be read: {text.plain(str(error), limit=120)}") from None
    if root is None:
        raise NotAFeed("is a sitemap that cannot be read")
    if _name(root) == INDEX:
        return ParsedFeed(format=INDEX, site_url=_site(url), parts=_parts(root, url, now))
    pages = [(page, news) for page in root if _name(page) == "url" and (news := _child(page, "news")) is not None]
    if not pages and (len(root) or _NEWS not in body[:20_000]):
        raise NotAFeed("is a sitemap, not a feed: none of its pages is told as news")
    spoken = language.tag(_said(_child(pages[0][1], "publication"), "language")) if pages else ""
    notes = Notes(Dates(now, spoken, lambda: (_said(news, "publication_date") for _page, news in pages)))

    def one(found: tuple[Any, Any]) -> list[ParsedEntry]:
        entry = _entry(*found, notes)
        return [entry] if entry else []

    def rough(found: tuple[Any, Any], reason: str) -> ParsedEntry:
        page, news = found
        return set_aside(
            reason, title=_said(news, "title"), url=_said(page, "loc"), identity=_said(page, "loc").encode()
        )

    entries = watch.each(both_ends(pages), one, rough)
    # They come in any order, and a feed's newest is its first.
    long_ago = datetime.min.replace(tzinfo=UTC)
    entries = tuple(sorted(entries, key=lambda entry: entry.published_at or long_ago, reverse=True))
    return ParsedFeed(
        format="sitemap of news",
        title=text.plain(_said(_child(pages[0][1], "publication"), "name"), limit=200) if pages else "",
        site_url=_site(url),
        language=spoken,
        entries=entries,
        trouble=((too_many(len(pages)),) if len(pages) > MAX_ENTRIES else ()) + notes.trouble(),
    )


def _entry(page: Any, news: Any, notes: Notes) -> ParsedEntry | None:
    link, said = text.http_url(_said(page, "loc")), _said(news, "title")
    title = text.plain(said)
    if not (link and title):
        return None
    published = notes.dates.read(_said(news, "publication_date"))
    picture = _child(page, "image")
    return parsed_entry(
        Described(
            guid="",
            url=link,
            original_url="",
            title=title,
            author="",
            summary="",
            content="",
            categories=_said(news, "keywords").split(","),
            declared=language.tag(_said(_child(news, "publication"), "language")),
            image_url=text.http_url(_said(picture, "loc")),
            enclosures=(),
            published=published or notes.dates.read(_said(page, "lastmod")),
            updated=None,
        ),
        notes,
        Shown(notes.repairs.shown(said, title, text.plain), "", ""),
    )


def _parts(root: Any, url: str, now: datetime) -> tuple[str, ...]:
    """Those of an index that may have news: by name, else the ones that changed last."""
    dates = Dates(now)
    long_ago = datetime.min.replace(tzinfo=UTC)
    found: dict[str, datetime] = {}
    for child in [child for child in root if _name(child) == "sitemap"][-MAX_NAMED:]:
        place = text.http_url(_said(child, "loc"), url)
        if place and place != url:
            found[place] = dates.read(_said(child, "lastmod")) or long_ago
    ordered = sorted(found, key=lambda place: (_of_news(place), found[place]), reverse=True)
    return tuple(ordered[:MAX_PARTS])


def _of_news(url: str) -> bool:
    parts = urlsplit(url)
    return re.search(r"news(?!letter)|nachrichten|noticias|actualite", parts.path + parts.query, re.I) is not None


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _name(element: Any) -> str:
    tag = getattr(element, "tag", "")
    return tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(tag, str) else ""


def _child(element: Any, name: str) -> Any:
    return next((child for child in element if _name(child) == name), None) if element is not None else None


def _said(element: Any, name: str) -> str:
    child = _child(element, name)
    return str(child.text or "").strip()[:10_000] if child is not None else ""
