"""Finding feeds in a web page: what it and its header declare (`<link rel=alternate>`), else what it links to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote

from digest.dataclass import dataclass
from digest.parse import characters
from digest.parse.characters import codec
from digest.parse.text import MAX_URL, http_url, plain

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
MAX_ATTRIBUTES = 200  # of one element
MAX_PAGE = 1_000_000  # bytes that are looked through
MAX_HEADER = 20_000  # characters of a Link field
MAX_REFRESH = 10  # seconds until a page sends its visitors on; one that does it later is a page
_REFRESH = re.compile(r"\s*+(\d{1,6})(?:\.\d{0,9})?\s*+[;,]?\s*+(?:url\s*+=\s*+)(.+)", re.I | re.S)
_LINK_VALUE = re.compile(r"<([^<>]{1,2000}+)>([^<>]{0,2000}+)")
_PARAMETER = re.compile(
    r";\s*+([\w!#$&+.^`|~-]{1,40}+\*?)\s*+=\s*+(?:\"((?:[^\"\\]|\\.){0,1000}+)\"|([^\s;,\"]{1,1000}+))"
)
# Words that say in which form a feed comes, and nothing of what is in it; versions are no part of them ("RSS 2.0").
_FORM = re.compile(r"rss|atom|rdf|feeds?|xml|json|jsonfeed|php|aspx?|cgi|index|alt|format|type|output|syndication")
_VERSION = re.compile(r"(?<=rss|rdf)(?:\d{1,3}|[\W_]?\d?\.\d{1,2})|(?<=atom)(?:\d{1,3}|[\W_]?\d?\.\d{1,2})")


@dataclass(frozen=True)
class Candidate:
    """A feed that a page names."""

    url: str
    title: str = ""
    type: str = ""


def attributes(element: Any) -> Iterator[tuple[str, str]]:
    """Names as they are written and values of an element's attributes, so many of them.

    lxml goes through all of them again for each value, so that those of 100,000 would take minutes.
    """
    for name in islice(element.attrib, MAX_ATTRIBUTES):
        yield str(name), str(element.attrib[name])


def feed_links(page: bytes, *, url: str, content_type: str = "", link: str = "") -> list[Candidate]:
    """The feeds that a web page declares, else those it links to; feeds of comments come last.

    `link` is the header field of that name (RFC 8288), which counts as much as the page.
    """
    declared = [c for says in _links_of_header(link) if (c := _declared(says, url))]
    linked: list[Candidate] = []
    root = tree(page, content_type)
    if root is not None:
        start = base(root, url)
        said = ({k.lower(): v for k, v in attributes(e)} for e in root.iter("link"))
        declared += [c for says in said if (c := _declared(says, start))]
        linked = [c for e in root.iter("a") if (c := _linked(str(e.get("href") or ""), e, start))]
    found: dict[str, Candidate] = {}
    for candidate in declared or linked:
        found.setdefault(candidate.url, candidate)
    return sorted(found.values(), key=_of_comments)[:MAX_CANDIDATES]


def hub_links(link: str, *, url: str) -> tuple[str, str]:
    """Hub and own address of a feed as a `Link` header field says them (W3C WebSub §4), each "" where it does not."""
    found = {"hub": "", "self": ""}
    for says in _links_of_header(link):
        for relation in says.get("rel", "").lower().split():
            if relation in found:
                found[relation] = found[relation] or http_url(says["href"], url)
    return found["hub"], found["self"]


def choices(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """The feeds among which a person would choose, each in the forms that it comes in (RSS, Atom, JSON).

    Where a site has a feed of its entries, one of its comments is no choice.
    """
    found: list[list[Candidate]] = []
    for candidate in candidates:
        for forms in found:
            if any(_same_feed(candidate, form) for form in forms):
                forms.append(candidate)
                break
        else:
            found.append([candidate])
    entries = [forms for forms in found if not _of_comments(forms[0])]
    return entries if len(entries) == 1 else found


def refreshed(page: bytes, *, url: str, content_type: str = "") -> str:
    """Where a page sends its visitors on within `MAX_REFRESH` seconds (`<meta http-equiv=refresh>`), or ""."""
    root = tree(page, content_type)
    if root is None:
        return ""
    for element in root.iter("meta"):
        says = {k.lower(): v for k, v in attributes(element)}
        match = _REFRESH.match(says.get("content", "")[:MAX_URL])
        if says.get("http-equiv", "").strip().lower() == "refresh" and match and int(match[1]) <= MAX_REFRESH:
            return http_url(match[2].strip().strip("\"'").strip(), base(root, url))
    return ""


def _of_comments(candidate: Candidate) -> bool:
    return bool(_COMMENTS.search(candidate.title + candidate.url))


def _same_feed(one: Candidate, other: Candidate) -> bool:
    """Whether two addresses lead to one feed in two forms: they differ in the words for the form only."""
    if _of_comments(one) != _of_comments(other):
        return False
    if _without_form(one.url.partition(":")[2]) == _without_form(other.url.partition(":")[2]):
        return True
    titles = _without_form(one.title), _without_form(other.title)
    return one.type != other.type and titles[0] == titles[1] != []


def _without_form(words: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", _VERSION.sub("", words.lower())) if word and not _FORM.fullmatch(word)]


def _links_of_header(value: str) -> list[dict[str, str]]:
    """The links of a `Link` header field: each with its target as "href", and its parameters."""
    found: list[dict[str, str]] = []
    for match in _LINK_VALUE.finditer(value[:MAX_HEADER]):
        says = {"href": match[1]}
        for name, quoted, bare in _PARAMETER.findall(match[2]):
            says.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
        if "anchor" in says:
            continue  # it says so of another page
        if "title*" in says:  # RFC 8187
            charset, _, title = says["title*"].partition("'")
            says["title"] = unquote(title.rpartition("'")[2], codec(charset) or "utf-8", "replace")
        found.append(says)
    return found


def tree(page: bytes, content_type: str, *, limit: int = MAX_PAGE) -> Any:
    """The root element of a page, of which `limit` bytes are read; None for an empty one."""
    from lxml import etree

    text = _decoded(page[:limit], content_type)
    if not text.strip():
        return None
    return etree.fromstring(text.encode(), etree.HTMLParser(encoding="utf-8", no_network=True, recover=True))


def base(root: Any, url: str) -> str:
    """What the relative links of a page start from."""
    for element in root.iter("base"):
        return http_url(str(element.get("href") or ""), url) or url
    return url


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
