"""JSON Feed 1.0 and 1.1 (jsonfeed.org/version/1.1), which feedparser does not read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from digest import recordings
from digest.parse import language, text
from digest.parse.dates import Dates
from digest.parse.entries import (
    MAX_CATEGORIES,
    MAX_ENCLOSURES,
    MAX_ENTRIES,
    MAX_KEY,
    Described,
    Enclosure,
    NotAFeed,
    Notes,
    ParsedEntry,
    ParsedFeed,
    Shown,
    Watch,
    both_ends,
    first_image,
    parsed_entry,
    set_aside,
    string,
    too_many,
)


def read(body: bytes, *, url: str, now: datetime, watch: Watch) -> ParsedFeed:
    """What `parse.feed` does for JSON, in UTF-8."""
    document, slip, cut = _loaded(body)
    if not isinstance(document, dict) or not _is_feed(document):
        raise NotAFeed("is JSON, but not a JSON Feed")
    items = _several(document.get("items"))
    spoken = language.tag(string(document.get("language")))
    writer = _author(document)
    items_read = [item for item in both_ends(items) if isinstance(item, dict)]

    notes = Notes(Dates(now, spoken, lambda: (string(item.get("date_published")) for item in items_read)))

    def one(item: Mapping[str, Any]) -> list[ParsedEntry]:
        entry = _entry(item, base=url, spoken=spoken, writer=writer, notes=notes)
        return [entry] if entry else []

    entries = watch.each(items_read, one, _rough)
    return ParsedFeed(
        format="jsonfeed" + text.plain(_said(document.get("version")).rstrip("/").rpartition("/")[2], limit=10),
        title=text.plain(notes.repairs.of(_said(document.get("title")))),
        site_url=text.http_url(_said(document.get("home_page_url")), url),
        language=spoken,
        entries=entries,
        hub=_hub(document.get("hubs"), url),
        topic=text.http_url(string(document.get("feed_url")), url),
        cut=cut,
        trouble=(*slip, *((too_many(len(items)),) if len(items) > MAX_ENTRIES else ()), *notes.trouble()),
    )


def _loaded(body: bytes) -> tuple[Any, tuple[str, ...], bool]:
    """A document, in words why it is not quite JSON, and whether it is cut short. Raises NotAFeed."""
    try:
        return json.loads(body.decode("utf-8-sig"), strict=False), (), False  # a raw line break in a text is common
    except (ValueError, RecursionError) as error:
        slip = text.plain(str(error), limit=120)
    from digest.parse import slack  # what hardly any feed needs

    try:
        mended, cut = slack.strict(body.decode("utf-8-sig"))
        return json.loads(mended, strict=False, parse_int=_integer), (f"is not quite JSON: {slip}",), cut
    except (ValueError, RecursionError):
        raise NotAFeed(f"is not readable JSON: {slip}") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_KEY else digits


_OWN = ("content_html", "content_text", "date_published", "date_modified")  # names that other JSON has not


def _is_feed(document: Mapping[str, Any]) -> bool:
    """Whether a document says that it is a JSON Feed, or has its items all the same."""
    if "jsonfeed.org/version/" in string(document.get("version")).lower():
        return True
    return any(isinstance(i, dict) and any(name in i for name in _OWN) for i in _several(document.get("items"))[:10])


def _several(value: Any) -> list[Any]:
    """What should be a list: some write a list of one as that one, or number what is in it."""
    if isinstance(value, dict):
        return list(value.values()) if value and all(str(key).isdecimal() for key in value) else [value]
    return value if isinstance(value, list) else []


_INSIDE = ("rendered", "value", "text", "html", "name", "url", "href")


def _said(value: Any) -> str:
    """What a field says: a text, where one stands in an object or a list, or a number in its place."""
    if isinstance(value, list):
        value = next(iter(value), "")
    if isinstance(value, dict):
        value = next((value[name] for name in _INSIDE if isinstance(value.get(name), str)), "")
    return _identity(value)


def _hub(hubs: Any, base: str) -> str:
    """The first hub of the kind that we speak with."""
    for hub in hubs[:10] if isinstance(hubs, list) else ():
        if isinstance(hub, dict) and string(hub.get("type")).lower() == "websub":
            return text.http_url(string(hub.get("url")), base)
    return ""


def _identity(said: Any) -> str:
    """An id as text: the specification asks for a string, and for numbers to be read as one; 7 and 7.0 are one."""
    if isinstance(said, float):
        return "" if not math.isfinite(said) else str(int(said)) if said.is_integer() else repr(said)
    return "" if isinstance(said, bool) else str(said) if isinstance(said, str | int) else ""


def _entry(item: Mapping[str, Any], *, base: str, spoken: str, writer: str, notes: Notes) -> ParsedEntry | None:
    guid = _identity(item.get("id"))
    link = text.http_url(_said(item.get("url")), base)
    external = text.http_url(_said(item.get("external_url")), base)
    texts = Shown(*(_said(item.get(name)) for name in ("title", "summary", "content_html")))
    marked_up = text.clean_html(texts.content, base=link or base)
    told = text.words(marked_up, limit=200) or "<img" in marked_up
    prose = "" if told else _said(item.get("content_text"))

    def clean_content(came: str) -> str:
        return text.escape(came) if prose else text.clean_html(came, base=link or base)

    title, summary, content = text.plain(texts.title), text.escape(texts.summary), clean_content(prose or texts.content)
    enclosures = tuple(
        Enclosure(
            found,
            text.plain(string(a.get("mime_type")), limit=100),
            _size(a.get("size_in_bytes")),
            recordings.seconds(str(_size(a.get("duration_in_seconds")))),
        )
        for a in _several(item.get("attachments"))[:MAX_ENCLOSURES]
        if isinstance(a, dict) and (found := text.http_url(string(a.get("url")), base))
    )
    if not (title or summary or content or link or external):
        return None
    tags, mend = item.get("tags"), notes.repairs.shown
    tags = tags.split(",") if isinstance(tags, str) else _several(tags)
    updated = notes.dates.read(_moment(item.get("date_modified")))
    return parsed_entry(
        Described(
            guid=text.plain(guid, limit=10_000),
            url=link or external or text.http_url(guid) or next((e.url for e in enclosures), ""),
            original_url=external,
            title=title,
            author=_author(item) or writer,
            summary=summary,
            content=content,
            categories=map(_said, tags[: 2 * MAX_CATEGORIES]),
            declared=string(item.get("language")) or spoken,
            image_url=text.http_url(_said(item.get("image")) or _said(item.get("banner_image")), base)
            or first_image(content),
            enclosures=enclosures,
            published=notes.dates.read(_moment(item.get("date_published"))) or updated,
            updated=updated,
        ),
        notes,
        Shown(
            mend(texts.title, title, text.plain),
            mend(texts.summary, summary, text.escape),
            mend(prose or texts.content, content, clean_content),
        ),
    )


def _rough(item: Mapping[str, Any], reason: str) -> ParsedEntry:
    identity = repr(item.get("id"))[:10_000].encode("utf-8", "replace")
    return set_aside(reason, title=string(item.get("title")), url=string(item.get("url")), identity=identity)


def _author(thing: Mapping[str, Any]) -> str:
    """`authors` of 1.1, else the one `author` of 1.0; some write names where these have objects."""
    authors = thing.get("authors")
    for said in (authors if isinstance(authors, list) else [authors], [thing.get("author")]):
        names = (string(a.get("name") if isinstance(a, dict) else a).strip() for a in said[:10])
        if found := text.plain(", ".join(filter(None, names)), limit=200):
            return found
    return ""


def _moment(value: Any) -> Any:
    """A date as `Dates` reads it; PHP writes its own as an object."""
    return f"{_said(value.get('date'))} {_said(value.get('timezone'))}" if isinstance(value, dict) else value


def _size(value: Any) -> int:
    value = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,15}", value.strip()) else value
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**15 else 0
