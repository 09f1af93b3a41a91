"""What other tools keep of feeds and of what they had sent: rss2email's files, and the exports of readers. Pure."""

from __future__ import annotations

import configparser
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from digest.dataclass import dataclass
from digest.errors import BadInput
from digest.parse.archives import unpacked
from digest.parse.lists import read as read_list
from digest.parse.outlines import MAX_FEEDS, Outline

MAX_FILE = 64_000_000  # bytes, after unpacking, of all files together
MAX_MEMBERS = 2_000  # of an archive
MAX_IDS = 20_000  # of a feed; the last of them
MAX_ID = 4_000  # characters

_HASH = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Left:
    """A feed as another tool had it.

    `ids` and `links` are those of entries that it had; `by_date`: what it had, its date tells, else that tells it of
    entries without an id only, where `hashes` says that some had none.
    """

    outline: Outline
    ids: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    hashes: bool = False
    by_date: bool = False


@dataclass
class Leaving:
    """What a tool's files come to; `notes` are what is not taken, each in words."""

    feeds: list[Left] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def rss2email(files: Mapping[str, bytes]) -> Leaving:
    """rss2email's `rss2email.cfg` and `rss2email.json` (version 1, 2 or 3), in any order.

    Raises BadInput where one is not what it should be, or no feed has an address.
    """
    cfg: configparser.RawConfigParser | None = None
    data: list[Any] | None = None
    for name, content in files.items():
        text = _text(name, content)
        if text.lstrip().startswith("{"):
            data = _seen_file(name, text)
        elif cfg is None:
            cfg = _cfg(name, text)
        else:
            raise BadInput(f"{name} is a second settings file", hint="give one rss2email.cfg and one rss2email.json")
    if data is None:
        raise BadInput(
            "what rss2email had sent is not in these files",
            hint="give rss2email.json too (~/.local/share/rss2email.json)",
        )
    return _rss2email(cfg, data)


def _cfg(name: str, text: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(strict=False, interpolation=None)
    try:
        found.read_string(text)
    except (configparser.Error, ValueError):
        raise BadInput(
            f"{name} is no rss2email.cfg: it cannot be read as settings",
            hint="its lines are [sections] and key = value",
        ) from None
    if not any(section.startswith("feed.") for section in found.sections()):
        raise BadInput(f"{name} is no rss2email.cfg with feeds: there is no [feed.NAME] in it")
    return found


def _seen_file(name: str, text: str) -> list[Any]:
    data = _json(name, text)
    feeds = data.get("feeds") if isinstance(data, dict) else None
    if not isinstance(feeds, list):
        raise BadInput(f"{name} is no rss2email.json: there is no list of feeds in it")
    if len(feeds) > MAX_FEEDS:
        raise BadInput(f"{name} has more than {MAX_FEEDS:,} feeds")
    return feeds


def _rss2email(cfg: configparser.RawConfigParser | None, data: list[Any]) -> Leaving:
    found = Leaving()
    named = [section for section in cfg.sections() if section.startswith("feed.")] if cfg else []
    sections = {section.removeprefix("feed."): section for section in named}
    stored = {str(one.get("name", "")): one for one in data if isinstance(one, dict)}
    for name in dict.fromkeys([*sections, *stored]):
        one = stored.get(name, {})
        settings = dict(cfg.items(sections[name])) if cfg and name in sections else {}
        url = str(settings.get("url") or one.get("url") or "").strip()
        if not url or url == "None":
            found.notes.append(f"{name[:100]}: there is no address of it; give rss2email.cfg too")
            continue
        if cfg and name not in sections:
            found.notes.append(f"{name[:100]}: rss2email.cfg does not name it any more")
            continue
        if settings.get("active", "").strip().lower() in ("false", "no", "off", "0"):
            found.notes.append(f"{name[:100]}: it was paused")
            continue
        seen = one.get("seen")
        ids = _words(seen if isinstance(seen, dict | list) else ())
        plain = tuple(word for word in ids if not _HASH.fullmatch(word))
        by_link = settings.get("trust-link", "").strip().lower() in ("true", "yes", "on", "1")
        hashes = len(plain) < len(ids)
        title = settings.get("friendly-name", "").strip()
        title = name if title.lower() in ("", "true", "yes", "on", "1", "false", "no", "off", "0") else title
        found.feeds.append(
            Left(
                Outline(url, title=title),
                ids=ids,
                links=_distinct(plain) if by_link else (),
                hashes=hashes,
                by_date=hashes and not plain,
            )
        )
    if not found.feeds:
        why = f": {found.notes[0]}" if found.notes else ""
        raise BadInput(f"no feed with an address was found{why}", hint="give rss2email.cfg and rss2email.json")
    return found


def reader(files: Mapping[str, bytes]) -> Leaving:
    """A reader's export: a list of feeds (OPML), and entries as Miniflux and FreshRSS write them in JSON; or a ZIP.

    Raises BadInput where one is not what it should be, or there is no list.
    """
    found, outlines = Leaving(), list[Outline]()
    links: dict[str, list[str]] = {}
    ids: dict[str, list[str]] = {}
    for name, content in unpacked(files, _matters, members=MAX_MEMBERS, size=MAX_FILE):
        text = _text(name, content) if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else ""
        if text:
            _entries(name, _json(name, text), links, ids)
            continue
        listed = read_list(content)
        outlines += listed.outlines
        found.notes += listed.left
        for one in listed.includes:
            found.notes.append(f"the list {one.url[:100]} is not read: `digest feed import` reads lists in lists")
    if not outlines:
        raise BadInput("there is no list of feeds among these files", hint="give the OPML export too")
    for outline in outlines:
        its = tuple(ids.get(outline.url, ())[-MAX_IDS:])
        found.feeds.append(Left(outline, its, _distinct(links.get(outline.url, ())), by_date=True))
    return found


def _entries(name: str, data: Any, links: dict[str, list[str]], ids: dict[str, list[str]]) -> None:
    rows = data
    if isinstance(data, dict):
        rows = next((data[key] for key in ("entries", "items") if isinstance(data.get(key), list)), None)
    if not isinstance(rows, list):
        raise BadInput(f"{name} has no entries: neither Miniflux's `entries` nor FreshRSS' `items` is in it")
    for row in rows:
        if not isinstance(row, dict):
            continue
        feed, origin, alternate = row.get("feed"), row.get("origin"), row.get("alternate") or row.get("canonical")
        its = ""
        if isinstance(feed, dict):
            its = str(feed.get("feed_url") or "")
        elif isinstance(origin, dict):
            its = str(origin.get("feedUrl") or str(origin.get("streamId") or "").removeprefix("feed/"))
        first = alternate[0] if isinstance(alternate, list) and alternate else None
        link = row.get("url") or (first.get("href") if isinstance(first, dict) else "")
        if its and isinstance(link, str) and 0 < len(link) <= MAX_ID:
            links.setdefault(its, []).append(link)
        if its and isinstance(row.get("guid"), str) and 0 < len(row["guid"]) <= MAX_ID:
            ids.setdefault(its, []).append(row["guid"])


def _distinct(links: Iterable[str]) -> tuple[str, ...]:
    """Those that only one entry has: what several share tells nothing of the next."""
    return tuple(link for link, number in Counter(links).items() if number == 1)[-MAX_IDS:]


def _words(ids: Iterable[Any]) -> tuple[str, ...]:
    return tuple(word for word in ids if isinstance(word, str) and 0 < len(word) <= MAX_ID)[-MAX_IDS:]


def _text(name: str, content: bytes) -> str:
    if not content.strip():
        raise BadInput(f"{name} is empty")
    for encoding in ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{name} is not in UTF-8", hint="save it in UTF-8; these tools write it so")


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise BadInput(f"{name} is nested too deep to be what these tools write") from None
    except ValueError as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"{name} is broken{place}: it is no JSON", hint="copy or export it again") from None


def _matters(name: str) -> bool:
    return name.lower().endswith((".opml", ".xml", ".json"))
