"""Feeds of our own: Atom (RFC 4287) and JSON Feed 1.1. Values in, bytes out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from digest.values import Recording

ATOM = "application/atom+xml"
JSON = "application/feed+json"
_NS = "http://www.w3.org/2005/Atom"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# What no XML document may hold, not even escaped (XML 1.0 §2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Item:
    """One entry. `id` stays the same for ever; `html` is clean."""

    id: str
    url: str
    title: str
    html: str
    published: datetime
    author: str
    language: str
    tags: tuple[str, ...] = ()
    dated: bool = True  # else `published` is when we saw it, which is told only where a moment must be
    recording: Recording | None = None


@dataclass(frozen=True)
class Feed:
    id: str  # stays the same for ever
    title: str
    page: str  # the address of the page that shows the same
    address: str  # its own
    author: str
    language: str
    items: tuple[Item, ...]
    updated: datetime | None = None  # None before anything was in it


def atom(feed: Feed) -> bytes:
    ET.register_namespace("", _NS)
    root = ET.Element(_tag("feed"), {_LANG: feed.language})
    _add(root, "id", feed.id)
    _add(root, "title", feed.title)
    _add(root, "updated", _moment(feed.updated or _NEVER))
    _link(root, "self", feed.address, ATOM)
    _link(root, "alternate", feed.page, "text/html")
    _add(ET.SubElement(root, _tag("author")), "name", feed.author)
    for item in feed.items:
        entry = ET.SubElement(root, _tag("entry"), {_LANG: _clean(item.language)} if item.language else {})
        _add(entry, "id", item.id)
        _add(entry, "title", item.title)
        _add(entry, "updated", _moment(item.published))
        if item.dated:
            _add(entry, "published", _moment(item.published))
        if item.url:
            _link(entry, "alternate", item.url, "text/html")
        _add(ET.SubElement(entry, _tag("author")), "name", item.author)
        if item.recording is not None:
            _enclosed(entry, item.recording)
        for tag in item.tags:
            ET.SubElement(entry, _tag("category"), {"term": _clean(tag)})
        _add(entry, "content", item.html, type="html")
    return ET.tostring(root, encoding="unicode", xml_declaration=True).encode()


def json_feed(feed: Feed) -> bytes:
    items = []
    for item in feed.items:
        one: dict[str, Any] = {
            "id": item.id,
            "title": item.title,
            "content_html": item.html,
            "authors": [{"name": item.author}],
        }
        if item.dated:
            one["date_published"] = _moment(item.published)
        if item.url:
            one["url"] = item.url
        if item.language:
            one["language"] = item.language
        if item.tags:
            one["tags"] = list(item.tags)
        if item.recording is not None:
            one["attachments"] = [_attached(item.recording)]
        items.append(one)
    whole = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.page,
        "feed_url": feed.address,
        "language": feed.language,
        "authors": [{"name": feed.author}],
        "items": items,
    }
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def _enclosed(entry: ET.Element, file: Recording) -> None:
    link = ET.SubElement(entry, _tag("link"), {"rel": "enclosure", "href": _clean(file.url)})
    if "/" in file.type:
        link.set("type", _clean(file.type))
    if file.size_bytes:
        link.set("length", str(file.size_bytes))


def _attached(file: Recording) -> dict[str, Any]:
    # A type must be there: where nobody said one, any of the kind is right.
    found: dict[str, Any] = {"url": file.url, "mime_type": file.type if "/" in file.type else f"{file.kind}/*"}
    known = {"size_in_bytes": file.size_bytes, "duration_in_seconds": file.seconds}
    return found | {name: number for name, number in known.items() if number}


def _tag(name: str) -> str:
    return f"{{{_NS}}}{name}"


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, _tag(name), attributes).text = _clean(text)


def _link(parent: ET.Element, rel: str, address: str, type_: str) -> None:
    ET.SubElement(parent, _tag("link"), {"rel": rel, "type": type_, "href": _clean(address)})


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)


def _moment(moment: datetime) -> str:
    """RFC 3339, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
