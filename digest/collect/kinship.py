"""Is what is found elsewhere the feed that was lost? Judged by what both have: entries, title, site. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.dataclass import dataclass
from digest.identity import page, same_guid

if TYPE_CHECKING:
    from digest.parse import ParsedFeed
    from digest.store import feed_entries

SURE = 0.5  # from this score on it is followed; below, a person is asked
_TELLING = 3  # words of a title by which an entry is known again
_LEAST = 3  # entries that should be known, before it speaks against a feed that they are not
_ANYBODYS = frozenset(("", "rss feed", "all posts", "latest news", "latest posts", "home page")).union(
    ("blog", "news", "home", "rss", "feed", "atom", "articles", "posts", "latest", "index", "updates", "journal"),
    ("podcast", "homepage", "welcome", "untitled"),
)
_PERSON = re.compile(r"/(~[^/]+|@[^/]+|(?:users?|people|author|members?|u)/[^/]+)", re.I)


@dataclass(frozen=True)
class Kinship:
    """How much two feeds share, from 0 to 1, and in words what."""

    score: float
    why: str

    @property
    def sure(self) -> bool:
        return self.score >= SURE


def judge(lost: feed_entries.Remembered, url: str, found: ParsedFeed) -> Kinship:
    """How surely the feed found at `url` is the one that was collected so far.

    Shared entries weigh most, by their share of those that should be known; then a title that is not anybody's, the
    same site, the same address. A feed of all of a site that has some of the lost one's entries is another feed.
    """
    entries, told = _entries(lost, found)
    parts = [(entries, told)] if told else []
    ours, theirs = {_plain(title) for title in lost.titles} - _ANYBODYS, _plain(found.title)
    if theirs in ours:
        parts.append((0.5, f"the title {found.title!r}"))
    if lost.site_url and _same_page(lost.site_url, found.site_url):
        parts.append((0.5 if theirs in ours or not ours or theirs in _ANYBODYS else 0.3, f"the site {found.site_url}"))
    if _same_page(lost.url, url):
        parts.append((0.5, "the address, but for its scheme"))
    person = _PERSON.search(urlsplit(lost.url).path)
    if person and person[1].casefold() not in f"{url} {found.site_url}".casefold():
        parts.append((-0.4, f"not the name of {person[1]}"))
    score = round(min(1.0, max(0.0, sum(worth for worth, _ in parts))), 2)
    return Kinship(score, "; ".join(words for _, words in parts) or "nothing that was collected")


def _entries(lost: feed_entries.Remembered, found: ParsedFeed) -> tuple[float, str]:
    guids = {marks.guid for marks in lost.marks if marks.guid}
    pages = {_page(marks.link) for marks in lost.marks if _page(marks.link).partition("/")[2]}
    titles = {_plain(marks.title) for marks in lost.marks if len(marks.title.split()) >= _TELLING}
    newest = max((marks.date for marks in lost.marks if marks.date), default=None)
    oldest = min((marks.date for marks in lost.marks if marks.date), default=None)

    def known(guid: str, url: str, title: str) -> bool:
        if _page(url) in pages or _plain(title) in titles or guid in guids:
            return True
        return bool(guid) and any(same_guid(other, guid) for other in guids if other.startswith("http"))

    shared = [entry for entry in found.entries if known(entry.guid, page(entry.url), entry.title)]
    due = [
        entry
        for entry in found.entries
        if entry.published_at is None or newest is None or oldest is None or oldest <= entry.published_at <= newest
    ]
    if shared:
        of = max(len(due), len(shared))
        share = len(shared) / of
        words = f"{len(shared)} of {of} entries"
        return (0.3 + 0.6 * share, words) if share >= 1 / 3 else (0.3 * share, f"only {words}")
    if lost.marks and len(due) >= _LEAST:
        return -0.4, f"none of {len(due)} entries that should be known"
    return 0.0, ""


def _plain(title: str) -> str:
    return " ".join(re.findall(r"\w+", title.casefold()))


def _page(url: str) -> str:
    return url.partition("://")[2].removeprefix("www.").partition("#")[0].rstrip("/").casefold()


def _same_page(one: str, two: str) -> bool:
    return bool(_page(one)) and _page(one) == _page(two)
