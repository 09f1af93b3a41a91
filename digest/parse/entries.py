"""What is read of a feed, whatever its format: the values, who an entry is, and which of them are read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from digest.dataclass import dataclass
from digest.errors import DigestError
from digest.identity import without_tracking
from digest.parse import gist, language, popularity, text
from digest.parse.dates import Dates
from digest.parse.garbled import Repairs

T = TypeVar("T")

MAX_ENTRIES = 10_000  # what is read of one document: feedparser makes some thousands a second
LEAST_TEXT = 24  # characters of an entry's text that may tell it from others
LEAST_PROOF = 3  # different guids, or pages, by which a document shows that it means them
MAX_KEY = 500  # characters; a longer identity is kept as its hash
MAX_ENCLOSURES = 20
MAX_CATEGORIES = 50
OLDEST = datetime(1980, 1, 1, tzinfo=UTC)  # earlier dates are a clock that was never set


class NotAFeed(DigestError):
    """The bytes cannot be read as a feed. `reason` completes the sentence "the feed …" or stands alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[type[NotAFeed], tuple[str]]:
        return type(self), (self.reason,)  # it travels from a worker process


class Unread(NotAFeed):
    """A library gave up on the document: one entry of it may be to blame."""


@dataclass(frozen=True)
class Enclosure:
    """A file that comes with an entry. `size_bytes` and `seconds` 0 are unknown."""

    url: str
    type: str = ""
    size_bytes: int = 0
    seconds: int = 0


class Shown(NamedTuple):
    """The texts of an entry that readers see, clean."""

    title: str
    summary: str
    content: str


@dataclass
class Notes:
    """What holds for all entries of one document: how its dates are read, and what had to be mended."""

    dates: Dates
    repairs: Repairs = field(default_factory=Repairs)

    def trouble(self) -> tuple[str, ...]:
        return (*self.dates.trouble(), *self.repairs.trouble())


@dataclass(frozen=True)
class ParsedEntry:
    """One thing in a feed, clean: texts are plain, `summary` and `content` safe HTML, links absolute http(s) or "".

    `key` is its name within the document; `digest.identity` decides which stored entry it is, by all its marks: `guid`
    (as it was given, never joined with an address), link, title, date and `text_hash` (of its words, "" for few).
    `twin` is of its link and title. `content_hash` changes when a reader would see it.
    """

    key: str
    twin: str
    url: str = ""
    original_url: str = ""
    title: str = ""
    author: str = ""
    summary: str = ""
    content: str = ""
    categories: tuple[str, ...] = ()
    language: str = ""
    image_url: str = ""
    enclosures: tuple[Enclosure, ...] = ()
    published_at: datetime | None = None
    updated_at: datetime | None = None
    content_hash: str = ""
    gist: bytes | None = None  # packed; see `parse.gist`
    fault: str = ""  # why it was set aside, unread
    guid: str = ""
    text_hash: str = ""
    points: int | None = None  # see `parse.popularity`


@dataclass(frozen=True)
class ParsedFeed:
    """A feed as it stands in one document, entries in its order (the newest first, usually).

    `ttl` is how long the publisher asks us to wait (RSS `ttl`, RDF `sy:updatePeriod`); `skip_hours` (UTC) and
    `skip_days` (0 is Monday) are when nothing will be new. `trouble` says in words what was wrong and read anyway.
    """

    format: str
    title: str = ""
    site_url: str = ""
    language: str = ""
    entries: tuple[ParsedEntry, ...] = ()
    ttl: timedelta | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()
    trouble: tuple[str, ...] = ()
    withdrawn: frozenset[str] = frozenset()  # guids of entries that the publisher took back (RFC 6721)
    new_url: str = ""  # where it says that it has moved (`itunes:new-feed-url`)
    parts: tuple[str, ...] = ()  # addresses of documents that make it up, where it only names them (a sitemap index)
    hub: str = ""  # who tells of it when it has something new (WebSub), and what it is called there
    topic: str = ""
    cut: bool = False  # it ends before its end: what it said last may be missing


class TooDear(BaseException):
    """An entry takes more time than one may. No Exception: libraries that swallow those are what takes it."""


@dataclass(frozen=True)
class Watch:
    """How the entries of a document are kept from harming each other.

    `bound` is entered for each of them, and raises TooDear in it. Where all of a document at once was too much for a
    process, it is read again one entry `apart` from the others: `at` is told which comes next, and `known` are those
    that had brought a process down, with the reason.
    """

    bound: Callable[[], AbstractContextManager[object]] = nullcontext
    apart: bool = False
    at: Callable[[int], object] = bool
    known: Mapping[int, str] = field(default_factory=dict)

    def each(
        self, items: Iterable[T], read: Callable[[T], list[ParsedEntry]], rough: Callable[[T, str], ParsedEntry]
    ) -> tuple[ParsedEntry, ...]:
        """What is read of each item; one that breaks its bound costs itself only, and stays as its `rough` form."""
        found: list[ParsedEntry] = []
        for number, item in enumerate(items):
            if number in self.known:
                found.append(rough(item, self.known[number]))
                continue
            if self.apart:
                self.at(number)
            try:
                with self.bound():
                    found += [with_gist(entry) for entry in read(item)]
            except TooDear:
                found.append(rough(item, "it takes too long to read"))
            except MemoryError:
                found.append(rough(item, "it takes too much memory to read"))
            except Exception as error:  # a fault of ours, or of a library, met by one entry
                found.append(rough(item, f"it cannot be read ({type(error).__name__}: {error})"[:300]))
        return tuple(found)


def with_gist(entry: ParsedEntry) -> ParsedEntry:
    """An entry with what curation needs of its text."""
    # As `replace` does, which takes five times as long: this is done for every entry.
    return ParsedEntry(**{**vars(entry), "gist": gist.pack(gist.of(entry.summary, entry.content))})


def set_aside(reason: str, *, title: str = "", url: str = "", identity: bytes) -> ParsedEntry:
    """An entry of which no more is known than this. Its key is its own, so that a mended one is a new entry."""
    key = "fault:" + hashlib.sha256(identity).hexdigest()[:32]
    title = text.plain(title[:1_000], limit=200)
    return ParsedEntry(key, key, url=text.http_url(url[:2_001]), title=title, content_hash=key, fault=reason)


def both_ends(entries: list[T]) -> list[T]:
    """Those entries of a list that are read: its newest are at its beginning, or at its end."""
    half = MAX_ENTRIES // 2
    return entries if len(entries) <= MAX_ENTRIES else entries[:half] + entries[-half:]


def too_many(count: int) -> str:
    """In words, what `both_ends` left of so many."""
    return f"has {count:,} entries, of which the first and last {MAX_ENTRIES // 2:,} are read"


@dataclass(frozen=True)
class Described:
    """An entry as its format gave it, cleaned: plain titles and names, clean HTML, http addresses, "" for none."""

    guid: str
    url: str
    original_url: str
    title: str
    author: str
    summary: str
    content: str
    categories: Iterable[str]
    declared: str  # its language
    image_url: str
    enclosures: tuple[Enclosure, ...]
    published: datetime | None
    updated: datetime | None
    points: int | None = None


def parsed_entry(given: Described, notes: Notes, shown: Shown | None = None) -> ParsedEntry:
    """Who an entry is, in which language, with possible dates.

    It is known by its texts as they came, garbled or not; `shown` are those that readers see.
    """
    title, summary, content, said = given.title, *popularity.taken_out(given.summary, given.content)
    now = notes.dates.now
    names: dict[str, str] = {}
    for category in given.categories:
        if len(names) >= MAX_CATEGORIES:
            break
        if name := text.plain(category, limit=100):
            names.setdefault(name.casefold(), name)
    page = without_tracking(given.url)
    published = _possible(given.published, now)
    told = title or text.words(content or summary, limit=200)
    content_hash, text_hash = _hash("content", title, page, summary, content), _text_hash(summary, content)
    twin, told_key = _hash("twin", page, told), _hash("entry", told, published.isoformat() if published else "")
    if shown:
        title, (summary, content, _) = shown.title, popularity.taken_out(shown.summary, shown.content)
    return ParsedEntry(
        key=guid_key(given.guid) if given.guid else guid_key(page) if page else told_key,
        twin=twin,
        url=given.url,
        original_url=given.original_url if given.original_url != given.url else "",
        title=title,
        author=given.author,
        summary=summary,
        content=content,
        categories=tuple(names.values()),
        language=language.of(f"{title} {text.words(summary or content, limit=600)}", given.declared),
        image_url=given.image_url,
        enclosures=given.enclosures,
        published_at=published,
        updated_at=_possible(given.updated, now),
        content_hash=content_hash,
        guid=guid_key(given.guid),
        text_hash=text_hash,
        points=given.points if said is None else said,
    )


_TAGS = re.compile(r"<[^<>]*+>")


def _text_hash(summary: str, content: str) -> str:
    """Of the words alone: addresses of pictures carry tokens. A few words ("Listen now") are nobody's own."""
    words = " ".join(_TAGS.sub(" ", f"{summary} {content}").split())
    return _hash("text", words) if len(words) >= LEAST_TEXT else ""


def known_again(parsed: ParsedFeed) -> ParsedFeed:
    """Entries under keys that are theirs alone, each once.

    Some generators give every entry the same guid, and a status page has one link and one title for all: where a key
    stands for several entries it names none, and the link does, or what else tells them apart. What stands in the
    document twice is one entry, and the first stays.
    """
    guids = {entry.guid for entry in parsed.entries if entry.guid}
    links = Counter(without_tracking(entry.url) for entry in parsed.entries)
    proven = len(guids) >= LEAST_PROOF  # a feed that has guids, and means them
    seen: set[tuple[Any, ...]] = set()
    entries = []
    for entry in parsed.entries:
        own_page = len(links) >= LEAST_PROOF and links[without_tracking(entry.url)] == 2
        names = _double(entry, proven=proven, own_page=own_page)
        if not seen.intersection(names):
            entries.append(entry)
        seen.update(names)
    sharing = Counter(entry.key for entry in entries)
    pages = Counter(without_tracking(e.url) for e in entries if sharing[e.key] > 1)
    twins = Counter(e.twin for e in entries if sharing[e.key] > 1)
    named: dict[str, ParsedEntry] = {}
    for entry in entries:
        if sharing[entry.key] > 1:
            page = without_tracking(entry.url)
            # One link for all is the site's front page: then the title must do, and else the date and the text.
            moment = _iso(entry.published_at)
            own = _hash("entry", entry.twin, moment, entry.text_hash if _vague(entry.published_at) else "")
            key = guid_key(page) if page and pages[page] == 1 else entry.twin if twins[entry.twin] == 1 else own
            entry = replace(entry, key=key)
        named.setdefault(entry.key, entry)
    return replace(parsed, entries=tuple(named.values()))


def _double(entry: ParsedEntry, *, proven: bool, own_page: bool) -> list[tuple[Any, ...]]:
    """Names that another entry of the same document has only where it is the same one.

    `proven`: the feed's guids are different ones; `own_page`: two entries have this page, and others have others.
    """
    if entry.fault:
        return [(entry.key,)]
    when = _iso(entry.published_at)
    names: list[tuple[Any, ...]] = [(entry.guid, entry.twin, when, entry.text_hash)]
    if entry.guid and proven:
        names.append((entry.guid, entry.twin))
    elif not entry.text_hash or not _vague(entry.published_at):
        names.append((entry.guid, entry.twin, when))
    if entry.url and entry.title and entry.text_hash:  # a scheme tells nothing apart
        page, guid = (name.partition("://")[2] or name for name in (without_tracking(entry.url), entry.guid))
        names.append((page, guid, entry.title, when, entry.text_hash))
    if own_page and entry.url and entry.title and not entry.guid:
        names.append((without_tracking(entry.url), entry.title, entry.content_hash))
    return names


def _vague(moment: datetime | None) -> bool:
    """Whether a date tells no two entries of one day apart."""
    return moment is None or (moment.hour, moment.minute, moment.second) == (0, 0, 0)


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _possible(moment: datetime | None, now: datetime) -> datetime | None:
    """None for what no entry was published at: years before feeds, or a day and more ahead of the clock."""
    return moment if moment is not None and OLDEST <= moment <= now + timedelta(days=1) else None


def guid_key(identity: str) -> str:
    """An identity as it is kept: a long one as its hash."""
    return identity if len(identity) <= MAX_KEY else _hash("key", identity)


def _hash(kind: str, *parts: str) -> str:
    return f"{kind}:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def string(value: Any) -> str:
    """What a feed gave, where it is text: "" for a number or a list in its place."""
    return value if isinstance(value, str) else ""


_IMG = re.compile(r"<img\b[^>]*?\bsrc=\"(https?://[^\"]+)\"[^>]*>", re.I)
_TINY = re.compile(r"\b(?:width|height)=\"[01]\"")


def first_image(markup: str) -> str:
    """The address of the first picture in clean HTML that is no tracking dot, or ""."""
    for match in _IMG.finditer(markup):
        if not _TINY.search(match[0]):
            return text.http_url(text.unescape(match[1]))
    return ""
