"""Finding feeds in a web page: what it declares (`<link rel=alternate>`), else what it links to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from digest.parse import characters
from digest.parse.text import http_url, plain

TYPES = frozenset(
    {
        "application/rss+xml",
        "application/atom+xml",
        "application/rdf+xml",
        "application/feed+json",
        "application/json",
        "application/xml",
        "text/xml",
        "text/rss+xml",
        "text/atom+xml",
    }
)
# Types that feeds share with much else: they count only where the address speaks of a feed.
_VAGUE = frozenset({"application/json", "application/xml", "text/xml"})
_LIKELY = re.compile(
    r"(^|[/._-])(feed|feeds|rss|rss2|atom|rdf|index)(\.(xml|rss|rdf|atom|json|php))?/?$|\.(rss|atom|rdf)$", re.I
)
_COMMENTS = re.compile(r"comment|kommentar|comentario|commentaire", re.I)
# Where a site keeps its feed when it does not say so: the usual generators' places.
COMMON_PATHS = ("feed", "feed.xml", "rss.xml", "atom.xml", "index.xml", "rss", "feed.json", "feeds/posts/default")
MAX_CANDIDATES = 50
MAX_PAGE = 1_000_000  # bytes that are looked through


@dataclass(frozen=True)
class Candidate:
    """A feed that a page names."""

    url: str
    title: str = ""
    type: str = ""


def feed_links(page: bytes, *, url: str, content_type: str = "") -> list[Candidate]:
    """The feeds that a web page declares, else those it links to; feeds of comments come last."""
    from lxml import etree

    text = _decoded(page[:MAX_PAGE], content_type)
    if not text.strip():
        return []
    root = etree.fromstring(text.encode(), etree.HTMLParser(encoding="utf-8", no_network=True, recover=True))
    if root is None:
        return []
    base = url
    for element in root.iter("base"):
        base = http_url(str(element.get("href") or ""), url) or url
        break
    declared = [
        c for e in root.iter("link") if (c := _declared({str(k).lower(): str(v) for k, v in e.attrib.items()}, base))
    ]
    linked = [c for e in root.iter("a") if (c := _linked(str(e.get("href") or ""), e, base))]
    found = {c.url: c for c in declared or linked}
    return sorted(found.values(), key=lambda c: bool(_COMMENTS.search(c.title + c.url)))[:MAX_CANDIDATES]


def _declared(says: dict[str, str], base: str) -> Candidate | None:
    relations = says.get("rel", "").lower().split()
    kind = says.get("type", "").lower().partition(";")[0].strip()
    href = http_url(says.get("href", ""), base)
    if not href or not ("alternate" in relations or "feed" in relations):
        return None
    if "feed" not in relations and (kind not in TYPES or (kind in _VAGUE and not _LIKELY.search(href))):
        return None
    return Candidate(href, plain(says.get("title", ""), limit=200), kind)


def _linked(href: str, link: Any, base: str) -> Candidate | None:
    url = http_url(href.removeprefix("feed:"), base)
    if not url or not _LIKELY.search(url.partition("?")[0].partition("#")[0]) or url.endswith("/index"):
        return None
    words = "".join(islice(link.itertext(), 100))[:1_000]
    if not re.search(r"rss|feed|atom|rdf", url + words, re.I):
        return None
    return Candidate(url, plain(words, limit=200))


def _decoded(page: bytes, content_type: str) -> str:
    """As its header says, or as the page itself does (a `<meta charset>`), where that can be true."""
    said = (characters.header_label(content_type), characters.page_label(page))
    return re.sub(r"^\s*<\?xml[^>]*\?>|[\x00\ud800-\udfff]", "", characters.decode(page, said).text)
