"""What takes more than one request: the sitemaps of an index, and the votes that a feed does not tell."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from digest.collect.addresses import host_of
from digest.collect.hosts import Held
from digest.errors import FetchError

if TYPE_CHECKING:
    from digest.parse import ParsedEntry, ParsedFeed

Ask = Callable[[str], Awaitable[tuple[bytes, "ParsedFeed"]]]  # the bytes at an address, and the feed that they are
Get = Callable[[str], Awaitable[bytes]]

MAX_ASKED = 20  # entries of one feed whose votes are asked for in one run
MAX_ANSWER = 100_000  # bytes of an answer about one entry

# Who tells the votes of what: the host of a feed, a discussion's address in an entry, where to ask, and how it is said.
HACKER_NEWS = "https://hacker-news.firebaseio.com/v0/item/{}.json"
LOBSTERS = "https://lobste.rs/s/{}.json"
DISCUSSIONS = {
    "news.ycombinator.com": (re.compile(r"https://news\.ycombinator\.com/item\?id=([0-9]{1,12})"), HACKER_NEWS),
    "lobste.rs": (re.compile(r"https://lobste\.rs/s/([a-z0-9]{1,12})"), LOBSTERS),
}


async def whole(index: ParsedFeed, url: str, ask: Ask) -> tuple[str, ParsedFeed]:
    """The entries of the documents that an index names, as one feed, and a hash of all their bytes.

    Those of its own site only, one after the other. Raises FetchError where none can be read.
    """
    from digest.parse.entries import both_ends

    digest, found, why = hashlib.sha256(), [], ""
    for place in index.parts:
        if not _of_one_site(place, url):
            why = why or f"{place} is another site's"
            continue
        try:
            body, parsed = await ask(place)
        except Held:
            raise
        except FetchError as error:
            why = f"{place} {error.reason}"
            continue
        if parsed.parts:
            why = why or f"{place} is an index, too"
            continue
        digest.update(hashlib.sha256(body).digest())
        found.append(parsed)
    if not found:
        raise FetchError(url, f"is a sitemap index, and of the sitemaps in it none has news: {why or 'it names none'}")
    entries = {entry.key: entry for feed in found for entry in feed.entries}
    first = found[0]
    return digest.hexdigest(), replace(
        first,
        site_url=index.site_url,
        entries=tuple(both_ends(list(entries.values()))),
        trouble=tuple(dict.fromkeys(words for feed in found for words in feed.trouble)),
    )


def _of_one_site(one: str, other: str) -> bool:
    here, there = (host_of(url).removeprefix("www.") for url in (one, other))
    return here == there or here.endswith(f".{there}") or there.endswith(f".{here}")


def discussion(entry: ParsedEntry, feed_host: str) -> str:
    """Where to ask for the votes of an entry of Hacker News' or Lobsters' own feed; "" for any other."""
    pattern, where = DISCUSSIONS.get(feed_host.removeprefix("www."), (None, ""))
    if pattern is None or entry.points is not None:
        return ""
    for words in (entry.guid, entry.url, entry.summary, entry.content):
        if match := pattern.search(words[:100_000]):
            return where.format(match[1])
    return ""


async def voted(parsed: ParsedFeed, wanted: dict[str, str], get: Get, *, seconds: float) -> ParsedFeed:
    """The feed with the votes of those entries (by key) that are `wanted`, each asked for where it says.

    As many as can be had in so many `seconds`.

    Who does not answer is not asked on: votes are worth having, and nothing more.
    """
    from digest.parse import popularity

    points: dict[str, int] = {}
    end = asyncio.get_running_loop().time() + seconds
    for key, place in list(wanted.items())[:MAX_ASKED]:
        try:
            async with asyncio.timeout_at(end):
                body = await get(place)
        except (FetchError, TimeoutError):
            break
        try:
            said = json.loads(body[:MAX_ANSWER])
        except (ValueError, RecursionError):
            continue
        found = popularity.number(said.get("score")) if isinstance(said, dict) else None
        if found is not None:
            points[key] = found
    entries = (replace(e, points=points[e.key]) if e.key in points else e for e in parsed.entries)
    return replace(parsed, entries=tuple(entries)) if points else parsed
