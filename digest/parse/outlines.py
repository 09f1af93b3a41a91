"""OPML: subscription lists in and out (opml.org/spec2.opml), as readers write them and as people break them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from digest.errors import BadInput
from digest.parse import characters
from digest.parse.text import http_url, plain, unescape

MAX_DEPTH = 50
MAX_FEEDS = 100_000
MAX_FIELD = 10_000  # characters of an attribute

_DOCTYPE_BEGINS = re.compile(rb"<!DOCTYPE", re.I)
_DOCTYPE = re.compile(rb"<!DOCTYPE[^>\[]*+(?:\[.*?\]\s*+)?>", re.S | re.I)


@dataclass(frozen=True)
class Outline:
    """One feed of a list. `folders` are the titles around it, the outermost first.

    `url` is as it stands in the list, not yet judged; `topics` are its own categories, `description` plain text.
    """

    url: str
    title: str = ""
    site_url: str = ""
    folders: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    description: str = ""

    @property
    def folder(self) -> str:
        return "/".join(folder.replace("/", "∕") for folder in self.folders)


def opml(data: bytes) -> list[Outline]:
    """The feeds of a subscription list, in its order; one that stands in two folders comes twice.

    Reads lists that are not quite well-formed (bare `&`, stray control characters, wrong case) and any declared
    encoding. Raises BadInput where no outline can be found.
    """
    from lxml import etree

    body = _utf8(data).strip()
    if not body:
        raise BadInput("the list is empty", hint="an OPML file comes from another reader's 'export'")
    # A DTD has no place in OPML; without one there are no entities to unfold.
    begun = _DOCTYPE_BEGINS.search(body)
    if begun and (whole := _DOCTYPE.match(body, begun.start())):
        body = body[: whole.start()] + body[whole.end() :]
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False, encoding="utf-8")
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None or not any(_name(e) == "outline" for e in root.iter()):
        raise BadInput("this is not an OPML list: there is no outline in it", hint="give an OPML file or its address")
    found: list[Outline] = []
    _walk(root, (), found)
    return found


def write_opml(outlines: Iterable[Outline], *, title: str, now: datetime) -> str:
    """A list that `opml` reads back as it was: folders nested, titles and addresses kept."""
    root: dict[str, object] = {}
    for outline in outlines:
        folder = root
        for name in outline.folders:
            folder = folder.setdefault(name, {})  # type: ignore[assignment]
        feeds = folder.setdefault("", [])
        feeds.append(outline)  # type: ignore[attr-defined]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">\n  <head>\n'
        f"    <title>{html.escape(plain(title), quote=False)}</title>\n"
        f"    <dateCreated>{format_datetime(now)}</dateCreated>\n"
        f"  </head>\n  <body>\n{''.join(_lines(root, 2))}  </body>\n</opml>\n"
    )


def _lines(folder: dict[str, object], level: int) -> Iterable[str]:
    indent = "  " * level
    for name, inside in folder.items():
        if isinstance(inside, dict):
            yield f"{indent}<outline text={_attribute(name)} title={_attribute(name)}>\n"
            yield from _lines(inside, level + 1)
            yield f"{indent}</outline>\n"
        else:
            for feed in inside:  # type: ignore[attr-defined]
                title = _attribute(feed.title or feed.url)
                site = f" htmlUrl={_attribute(feed.site_url)}" if feed.site_url else ""
                topics = f" category={_attribute(','.join(feed.topics))}" if feed.topics else ""
                about = f" description={_attribute(feed.description)}" if feed.description else ""
                yield (
                    f'{indent}<outline type="rss" text={title} title={title} xmlUrl={_attribute(feed.url)}'
                    f"{site}{topics}{about}/>\n"
                )


def _walk(element: object, folders: tuple[str, ...], found: list[Outline]) -> None:
    for child in element:  # type: ignore[attr-defined]
        if len(found) >= MAX_FEEDS:
            return
        inside = folders
        if _name(child) == "outline":
            # Attribute names in any case: exports say xmlurl, xmlUrl and XMLURL.
            says = {str(key).lower(): str(value)[:MAX_FIELD] for key, value in child.attrib.items()}
            title = plain(says.get("title") or says.get("text") or "")
            url = (says.get("xmlurl") or "").strip()
            if not url and says.get("type", "").lower() in ("rss", "atom", "feed"):
                url = (says.get("url") or "").strip()
            if url:
                topics = tuple(filter(None, (plain(t).strip("/") for t in says.get("category", "").split(","))))
                site_url, description = http_url(says.get("htmlurl", "")), plain(says.get("description", ""))
                found.append(Outline(url, title, site_url, folders, topics, description))
            elif title and len(child):
                inside = (*folders, title)
        if len(inside) < MAX_DEPTH:
            _walk(child, inside, found)


def _name(element: object) -> str:
    tag = getattr(element, "tag", "")
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _utf8(data: bytes) -> bytes:
    """The list as UTF-8 without its XML declaration, decoded as it says, or as it can be."""
    text = characters.decode(data, (characters.xml_label(data),)).text
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    text = re.sub(r"&(?!(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});)", "&amp;", text)
    text = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#[xX][0-9a-fA-F]+);)([a-zA-Z0-9]+);", _entity, text)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", " ", text).encode()


def _entity(match: re.Match[str]) -> str:
    """HTML's named characters, which XML does not know (`&nbsp;`, `&uuml;`), as themselves."""
    return html.escape(unescape(match[0]), quote=False).replace('"', "&quot;")


def _attribute(value: str) -> str:
    """A value in quotes. Python's own `quoteattr` brings an HTTP client along, into each process that parses."""
    value = html.escape(value, quote=False).replace('"', "&quot;")
    return '"' + value.replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;") + '"'
