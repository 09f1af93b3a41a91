"""OPML: subscription lists in and out (opml.org/spec2.opml), as readers write them and as people break them."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from digest.dataclass import dataclass
from digest.errors import BadInput
from digest.parse import characters
from digest.parse.pages import attributes
from digest.parse.recipes import Recipe, foreign
from digest.parse.text import http_url, plain, unescape

MAX_DEPTH = 50
MAX_FEEDS = 100_000
MAX_FIELD = 10_000  # characters of an attribute
MOST_LEFT = 200  # outlines that are told one by one

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
    recipe: Recipe | None = None  # where it is a page without a feed
    why_not: str = ""  # in words, why it cannot be taken
    filters: tuple[str, ...] = ()  # what a reader marks as read, in FreshRSS' search; written only

    @property
    def folder(self) -> str:
        return "/".join(folder.replace("/", "∕") for folder in self.folders)


@dataclass(frozen=True)
class Include:
    """Another list that a list names: its feeds belong where it stands (OPML 2.0 §inclusion)."""

    url: str
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """What a list of any format has: feeds, other lists, and what of it is not taken, each in words."""

    format: str
    outlines: tuple[Outline, ...] = ()
    includes: tuple[Include, ...] = ()
    left: tuple[str, ...] = ()


def opml(data: bytes) -> list[Outline]:
    """The feeds of a subscription list; see `opml_list`."""
    return list(opml_list(data).outlines)


def opml_list(data: bytes) -> Listed:
    """The feeds of a subscription list, in its order, and the lists it includes; a feed in two folders comes twice.

    Reads lists that are not quite well-formed (bare `&`, stray control characters, wrong case), any declared
    encoding, and several lists in one file; what of them cannot be read is told. Raises BadInput where no outline can
    be found.
    """
    from lxml import etree

    body = _utf8(data).strip()
    if not body:
        raise BadInput("the list is empty", hint="an OPML file comes from another reader's 'export'")
    # A DTD has no place in OPML; without one there are no entities to unfold.
    begun = _DOCTYPE_BEGINS.search(body)
    if begun and (whole := _DOCTYPE.match(body, begun.start())):
        body = body[: whole.start()] + body[whole.end() :]
    body = b"<lists>" + body + b"</lists>"  # of two that were put into one file a parser reads the first
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False, encoding="utf-8")
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None or not any(_name(e) == "outline" for e in root.iter()):
        raise BadInput("this is not an OPML list: there is no outline in it", hint="give an OPML file or its address")
    found = _Found()
    _walk(root, (), found)
    left = found.left[:MOST_LEFT]
    if (more := len(found.left) - MOST_LEFT) > 0:
        left.append(f"{more:,} more outlines without a feed")
    if found.commented:
        left.append(f"{found.commented:,} {'feed that is' if found.commented == 1 else 'feeds that are'} commented out")
    left += _unread(body, root, told=len(found.left))
    return Listed("opml", tuple(found.outlines), tuple(found.includes), tuple(left))


_NO_OUTLINES = re.compile(rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.S)
_BEGINS = re.compile(rb"<(?:[\w.-]{1,40}:)?(outline|opml)\b", re.I)
_ENDS = re.compile(rb"</(?:[\w.-]{1,40}:)?opml\b", re.I)
_NAMED = 3  # outlines that are no XML: so many addresses of them help to find them in the list
_ADDRESSED = re.compile(rb"\sxmlurl\s{0,20}=", re.I)


def _unread(body: bytes, root: Any, *, told: int) -> list[str]:
    """In words, what of a list a parser passed over: outlines that are no XML (values without quotes), or cut off.

    `told` is how many outlines without an address are told of already.
    """
    text = _NO_OUTLINES.sub(b" ", body)
    begun = Counter(name.lower() for name in _BEGINS.findall(text))
    outlines = [e for e in root.iter() if _name(e) == "outline"]
    read = {value.strip() for e in outlines for key, value in e.attrib.items() if key.lower() == "xmlurl"}
    addressed = sum(key.lower() == "xmlurl" for e in outlines for key in e.attrib)
    written = [_address_at(text, match.end()) for match in _ADDRESSED.finditer(text)]
    lost = max(begun[b"outline"] - len(outlines), len(written) - addressed - told)
    which = [one for one in dict.fromkeys(written) if one and one not in read][: min(lost, _NAMED)] if lost > 0 else []
    words = [f"{lost:,} {'outline that is' if lost == 1 else 'outlines that are'} no XML"] if lost > 0 else []
    if which:
        words = [f"{words[0]} ({', '.join(which)}{', …' if lost > len(which) else ''})"]
    if begun[b"opml"] > len(_ENDS.findall(text)):
        words.append("what came after the last outline: the list breaks off (it has no </opml>)")
    return words


def _address_at(text: bytes, start: int) -> str:
    """What stands behind `xmlUrl=`, in quotes or not."""
    rest = text[start : start + 500].decode("utf-8", "replace").lstrip(" \t\r\n\"'“”„")
    return html.unescape(re.split(r"[\s\"'“”<>]", rest, maxsplit=1)[0])


@dataclass
class _Found:
    outlines: list[Outline] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    commented: int = 0


def write_opml(outlines: Iterable[Outline], *, title: str, now: datetime) -> str:
    """A list that `opml` reads back as it was: folders nested, titles and addresses kept."""
    root: dict[str, object] = {}
    listed = list(outlines)
    names = _FRESHRSS if any(outline.filters or outline.recipe for outline in listed) else ""
    names += _OURS if any(outline.recipe for outline in listed) else ""
    for outline in listed:
        folder = root
        for name in outline.folders:
            folder = folder.setdefault(name, {})  # type: ignore[assignment]
        feeds = folder.setdefault("", [])
        feeds.append(outline)  # type: ignore[attr-defined]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0"{names}>\n  <head>\n'
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
                read = _attribute("\n".join(feed.filters))
                filters = f" frss:filtersActionRead={read}" if feed.filters else ""
                kind, recipe = _written(feed.recipe) if feed.recipe else ("rss", "")
                yield (
                    f'{indent}<outline type="{kind}" text={title} title={title} xmlUrl={_attribute(feed.url)}'
                    f"{site}{topics}{about}{recipe}{filters}/>\n"
                )


def _walk(element: object, folders: tuple[str, ...], found: _Found) -> None:
    for child in element:  # type: ignore[attr-defined]
        inside = folders
        if _name(child) == "outline":
            # Attribute names in any case: exports say xmlurl, xmlUrl and XMLURL.
            says = {key.lower(): value[:MAX_FIELD] for key, value in attributes(child)}
            title = plain(says.get("title", "")) or plain(says.get("text", ""))
            kind, url = says.get("type", "").lower(), (says.get("xmlurl") or "").strip()
            if not url and kind in ("rss", "atom", "feed"):
                url = (says.get("url") or "").strip()
            if says.get("iscomment", "").strip().lower() == "true":  # and so is all in it (OPML 2.0)
                found.commented += sum(_name(e) == "outline" and _has_address(e) for e in child.iter())
                continue
            if url and len(found.outlines) == MAX_FEEDS:
                raise BadInput(f"the list has more than {MAX_FEEDS:,} feeds", hint="take it in in parts")
            if url:
                found.outlines.append(_outline(child, url, title, says, folders))
            elif include := _included(child, says):
                if len(found.includes) < MAX_INCLUDES:
                    found.includes.append(Include(include, (*folders, title) if title else folders))
            elif title and len(child):
                inside = (*folders, title)
            elif kind in ("rss", "atom") and not len(child):
                called = title or plain(says.get("htmlurl", "")) or "an outline"
                found.left.append(f"{called[:100]}: it has no address of a feed (xmlUrl)")
        if len(inside) < MAX_DEPTH:
            _walk(child, inside, found)
        elif deeper := sum(_has_address(e) for e in child.iter() if e is not child):
            found.left.append(f"{deeper:,} of more than {MAX_DEPTH} folders, one in another")


def _has_address(element: Any) -> bool:
    return any(key.lower() == "xmlurl" and value.strip() for key, value in attributes(element))


def _outline(element: Any, url: str, title: str, says: dict[str, str], folders: tuple[str, ...]) -> Outline:
    topics = tuple(filter(None, (plain(t).strip("/") for t in says.get("category", "").split(","))))
    site_url, description = http_url(says.get("htmlurl", "")), plain(says.get("description", ""))
    recipe, why_not = _recipe(says.get("type", "").upper(), _of_others(element))
    return Outline(url, title, site_url, folders, topics, description, recipe, why_not)


def _included(element: Any, says: dict[str, str]) -> str:
    """The address of a list that stands for its feeds: an include, a link to OPML, a dynamic category of FreshRSS."""
    kind, url = says.get("type", "").lower(), says.get("url", "").strip()
    if kind == "include" or (kind == "link" and re.search(r"\.opml(?:[?#]|\Z)", url, re.I)):
        return url
    return _of_others(element).get("opmlurl", "").strip()


# ---------------------------------------------------------------- pages without a feed, as FreshRSS writes them

MAX_INCLUDES = 1_000
_FRESHRSS, _OURS = ' xmlns:frss="https://freshrss.org/opml"', ' xmlns:digest="urn:x-digest:opml"'
_XPATHS = {
    **{"item": "xPathItem", "title": "xPathItemTitle", "link": "xPathItemUri", "date": "xPathItemTimestamp"},
    **{"text": "xPathItemContent", "author": "xPathItemAuthor", "image": "xPathItemThumbnail"},
    **{"tags": "xPathItemCategories", "id": "xPathItemUid", "date_format": "xPathItemTimeFormat"},
}
_JSON = {part: name.replace("xPath", "json") for part, name in _XPATHS.items()}
_TYPES = {"HTML+XPATH": ("html", _XPATHS), "XML+XPATH": ("xml", _XPATHS), "JSON+DOTNOTATION": ("json", _JSON)}
_UNREAD = {
    "HTML+XPATH+JSON+DOTNOTATION": "JSON inside a page is not read",
    "JSON+XPATH": "XPath is for pages and XML",
}


def _of_others(element: Any) -> dict[str, str]:
    """The attributes of an outline that are not OPML's own, whether their prefix is declared or not."""
    named = ((re.split("[}:]", key)[-1].lower(), value) for key, value in attributes(element) if ":" in key)
    return {name: value[:MAX_FIELD] for name, value in named}


def _recipe(kind: str, says: dict[str, str]) -> tuple[Recipe | None, str]:
    """How a page is read, as we wrote it or as FreshRSS did; and why it cannot be, in words."""
    if kind in _UNREAD:
        return None, _UNREAD[kind]
    if kind not in _TYPES:
        return None, ""
    recipe = _our_own(says.get("recipe", ""))
    if recipe is None:
        form, names = _TYPES[kind]
        found = {part: says.get(name.lower(), "").strip() for part, name in names.items()}
        if form == "json":
            found["text"] = says.get("jsonitemcontenthtml", "").strip() or found["text"]
        else:
            found = {p: f"xpath:{v}" if v and p != "date_format" else v for p, v in found.items()}
        recipe = Recipe.of({**found, "kind": form})
    if recipe is None:
        return None, f"it is {plain(kind, limit=40)}, and does not say where its entries are"
    try:
        recipe.check()
    except BadInput as error:
        return None, str(error)
    return recipe, ""


def _our_own(written: str) -> Recipe | None:
    try:
        said = json.loads(written or "null")
    except (ValueError, RecursionError):
        return None
    return Recipe.of(said) if isinstance(said, dict) else None


def _written(recipe: Recipe) -> tuple[str, str]:
    """Type and attributes of an outline for a page. CSS is written as XPath too, for readers that know no CSS."""
    kind = {"html": "HTML+XPath", "xml": "XML+XPath", "json": "JSON+DotNotation"}[recipe.kind]
    said = {part: recipe.date_format if part == "date_format" else foreign(recipe, part) for part in _XPATHS}
    names = _JSON if recipe.kind == "json" else _XPATHS
    attributes = "".join(f" frss:{names[part]}={_attribute(value)}" for part, value in said.items() if value)
    own = json.dumps(recipe.stored(), ensure_ascii=False, sort_keys=True)
    return kind, attributes + ("" if recipe.kind == "json" else f" digest:recipe={_attribute(own)}")


def _name(element: object) -> str:
    tag = getattr(element, "tag", "")
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _utf8(data: bytes) -> bytes:
    """The list as UTF-8 without its XML declaration, decoded as it says, or as it can be."""
    text = characters.decode(data, (characters.xml_label(data),)).text
    text = re.sub(r"<\?xml\s[^>]{0,200}\?>|\ufeff", "", text)
    text = re.sub(r"&#(?:[xX]([0-9a-fA-F]{1,6})|(\d{1,7}));", _character, text)
    text = re.sub(r"&(?!(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});)", "&amp;", text)
    text = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#[xX][0-9a-fA-F]+);)([a-zA-Z0-9]+);", _entity, text)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", " ", text).encode()


def _character(match: re.Match[str]) -> str:
    """A character by its number, where XML has it: half an emoji (`&#55357;`) is none, and harms what reads it."""
    code = int(match[1], 16) if match[1] else int(match[2])
    known = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0xFFFF < code < 0x110000
    return match[0] if known else " "


def _entity(match: re.Match[str]) -> str:
    """HTML's named characters, which XML does not know (`&nbsp;`, `&uuml;`), as themselves."""
    return html.escape(unescape(match[0]), quote=False).replace('"', "&quot;")


def _attribute(value: str) -> str:
    """A value in quotes. Python's own `quoteattr` brings an HTTP client along, into each process that parses."""
    value = html.escape(value, quote=False).replace('"', "&quot;")
    return '"' + value.replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;") + '"'
