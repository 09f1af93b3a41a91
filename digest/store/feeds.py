"""Feeds, their entries, and which newsletter reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import identity
from digest.errors import NotFound
from digest.identity import Evidence, Known, Marks
from digest.models import (
    Admission,
    Decision,
    Entry,
    Feed,
    FeedState,
    Newsletter,
    NewsletterFeed,
    Story,
    UtcTime,
    VariantStory,
)
from digest.origin import same, shown, without_login
from digest.store import tastes
from digest.store.database import insert_into, shared_now

_FORMER = 20  # addresses kept in a feed's history
_CHUNK = 500  # values in one IN (…): SQLite binds 32,766 at most


@dataclass(frozen=True)
class Due:
    """A feed that was claimed: what a fetch and the judgement of its answer need to know."""

    id: int
    url: str
    host: str
    answered_by: str
    title: str
    published_title: str
    site_url: str
    language: str
    added_at: datetime
    checked_at: datetime | None
    headers: dict[str, str]
    proxy: str
    ca_file: str
    interval_minutes: int
    former_urls: list[dict[str, str]]
    moved_to: str
    etag: str
    last_modified: str
    body_hash: str
    ttl_seconds: int
    skip: list[str]
    gap_seconds: int
    entry_at: datetime | None
    ok_at: datetime | None
    failing_since: datetime | None
    failures: int
    error: str
    told: str


_DUE = [getattr(Feed, name) for name in Due.__dataclass_fields__]


def count_due(session: Session, *, now: datetime, asked_before: datetime, regardless: bool = False) -> int:
    """How many feeds `claim` would give in all."""
    due = _due(now, shared_now(session, now), timedelta(0), asked_before, regardless)
    return session.exec(select(sa.func.count()).select_from(Feed).where(*due)).one()


def claim(
    session: Session,
    *,
    now: datetime,
    limit: int,
    lease: timedelta,
    asked_before: datetime,
    regardless: bool = False,
    not_of: Collection[str] = (),
    not_those: Collection[int] = (),
) -> list[Due]:
    """Take up to `limit` due feeds for ourselves until `now + lease`, those that were asked longest ago.

    Due is what was not asked since `asked_before` and, unless `regardless`, what its schedule says; `not_of` are
    hosts to leave out, `not_those` feeds. One statement, so two runs never fetch one feed (PostgreSQL skips locked
    rows, SQLite has one writer). A run that dies leaves its feeds due when the lease is over, by `shared_now`.
    """
    shared = shared_now(session, now)
    due = (
        select(Feed.id)
        .where(*_due(now, shared, lease, asked_before, regardless))
        .where(col(Feed.host).not_in(list(not_of)), col(Feed.answered_by).not_in(list(not_of)))
        .where(col(Feed.id).not_in(sa.bindparam("those", list(not_those), expanding=True, literal_execute=True)))
        .order_by(col(Feed.checked_at).nulls_first(), col(Feed.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = session.execute(
        sa.update(Feed)
        .where(col(Feed.id).in_(sa.select(due.c.id)))
        .values(next_at=shared + lease, claimed_at=shared)
        .returning(*_DUE)
        .execution_options(synchronize_session=False)
    )
    long_ago = datetime.min.replace(tzinfo=UTC)
    found = [Due(*row) for row in taken]
    return sorted(found, key=lambda feed: (feed.checked_at or long_ago, feed.id))


def _due(now: datetime, shared: datetime, lease: timedelta, asked_before: datetime, regardless: bool) -> list[Any]:
    """Schedules go by `now`, leases by the `shared` clock."""
    active = col(Feed.state) == FeedState.ACTIVE
    unasked = sa.or_(col(Feed.checked_at).is_(None), col(Feed.checked_at) < asked_before)
    if not regardless:
        clock = sa.case((col(Feed.claimed_at).is_(None), sa.literal(now, UtcTime)), else_=sa.literal(shared, UtcTime))
        return [active, unasked, col(Feed.next_at) <= clock]
    free = sa.or_(col(Feed.claimed_at).is_(None), col(Feed.claimed_at) < shared - lease)
    return [active, unasked, free]


def lock(session: Session, ids: Collection[int]) -> dict[int, str]:
    """The addresses of those feeds that are still active; they stay as they are until the transaction ends."""
    query = select(Feed.id, Feed.url).where(col(Feed.id).in_(list(ids)), Feed.state == FeedState.ACTIVE)
    return {number or 0: url for number, url in session.exec(query.order_by(col(Feed.id)).with_for_update())}


def move(session: Session, feed_id: int, *, url: str, host: str, now: datetime) -> None:
    """Give a feed another address, and its history the old one; at once, as the next feed may want the same.

    A secret was given to one origin (scheme, host and port) and stays behind when the feed moves to another.
    """
    feed = session.exec(select(Feed).where(Feed.id == feed_id).with_for_update()).one()
    feed.former_urls = [*feed.former_urls, {"url": feed.url, "until": now.isoformat(timespec="seconds")}][-_FORMER:]
    if not same(url, feed.url):
        feed.headers, feed.ca_file = {}, ""
    feed.url, feed.host, feed.answered_by, feed.moved_to = url, host, "", ""
    session.flush()


def hand_over(session: Session, feed_id: int, to_id: int, *, now: datetime) -> None:
    """Who read the one feed reads the other from now on, or mutes it."""
    one, other = session.get_one(Feed, feed_id), session.get_one(Feed, to_id)
    tastes.follow_source(session, feed_id, (one.url, one.site_url), (other.url, other.site_url))
    for link in session.exec(select(NewsletterFeed).where(NewsletterFeed.feed_id == feed_id)).all():
        read(session, link.newsletter_id, to_id, topic=link.topic, folder=link.folder, places=link.places, now=now)
        session.delete(link)


def settle(session: Session, settled: Sequence[Mapping[str, Any]]) -> None:
    """Write what came of asking: mappings of `Feed` columns with its `id`, all with the same keys. Ends the claims."""
    if not settled:
        return
    names = [name for name in settled[0] if name != "id"]
    statement = (
        sa.update(Feed)
        .where(col(Feed.id) == sa.bindparam("feed_id"))
        .values({name: sa.bindparam(f"new_{name}") for name in names} | {"claimed_at": None})
    )
    session.connection().execute(
        statement, [{"feed_id": row["id"]} | {f"new_{name}": row[name] for name in names} for row in settled]
    )


def release(session: Session, ids: Collection[int], *, next_at: datetime) -> None:
    """Give claimed feeds back unasked."""
    session.execute(
        sa.update(Feed)
        .where(col(Feed.id).in_(list(ids)), col(Feed.claimed_at).is_not(None))
        .values(next_at=next_at, claimed_at=None)
    )


def hold_host(session: Session, host: str, *, until: datetime) -> None:
    """Nothing that this host answers for is asked before `until`: it spoke of itself, not of one feed (RFC 9110).

    Feeds that another run is storing just now are left to it: two that wait for each other would stop both.
    """
    early = (
        select(Feed.id)
        .where(sa.or_(col(Feed.host) == host, col(Feed.answered_by) == host), col(Feed.next_at) < until)
        .with_for_update(skip_locked=True)
        .cte("early")
    )
    session.execute(sa.update(Feed).where(col(Feed.id).in_(sa.select(early.c.id))).values(next_at=until))


@dataclass(frozen=True)
class Saved:
    """What `save_entries` did."""

    new: int = 0
    edited: int = 0
    set_aside: int = 0  # of the new ones
    withdrawn: int = 0


def save_entries(
    session: Session,
    feed_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    tombstones: Collection[str] = (),
) -> Saved:
    """Store what a feed has now: new entries are added in the order given, edited ones updated in place.

    `rows` are mappings of `Entry` columns. Which of them is stored already `digest.identity` decides, by all that they
    share and by what the feed was seen to do; an entry known under another key stays the entry that it was. What was
    taken back (`tombstones` are guids; and what is gone from among others) is marked so, what came back is not.
    """
    feed = session.connection().execute(_WAYS, {"feed": feed_id}).one()
    evidence = Evidence.of(feed.evidence)
    marks = [_marks(row) for row in rows]
    stored = _known(session, feed_id, rows, frozenset(feed.window))
    known = [Known(one.id, _stored_marks(one), one.id in stored.window) for one in stored.entries]
    found = identity.link(marks, known, evidence, feed.identity)
    keys = _Keys(session, feed_id, stored.entries)
    new, edits, edited, back = [], [], 0, 0
    pairs: list[tuple[Marks, Marks]] = []
    present: set[int] = set()
    for row, mine, place in zip(rows, marks, found, strict=True):
        if place is not None and place >= 0:
            one, was = stored.entries[place], known[place].marks
            pairs.append((mine, was))
            present.add(one.id)
            back += one.withdrawn_at is not None
            if not _unchanged(row, one) or row["key"] != one.key:
                seen = _seen(row, one, mine, was)
                edited += seen
                own = {"key": keys.moved(row, one), "withdrawn_at": None, "changed_at": now if seen else one.changed_at}
                edits.append({**row, **own, "entry_id": one.id})
    for number, row in enumerate(rows):
        if found[number] is None:
            changed_at = _since(row, new_feed=not evidence.fetches and not stored.entries, now=now)
            own = {"feed_id": feed_id, "seen_at": now, "key": keys.new(row), "changed_at": changed_at}
            new.append({**row, **own})
    if edits:
        names: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in edits[0] if name != "entry_id"}
        session.connection().execute(
            sa.update(Entry).where(col(Entry.id) == sa.bindparam("entry_id")).values(names),
            [{("" if name == "entry_id" else "new_") + name: value for name, value in row.items()} for row in edits],
        )
    if new:
        statement = insert_into(session, Entry).on_conflict_do_nothing(index_elements=["feed_id", "key"])
        session.connection().execute(statement, new)
        present |= {one.id for one in _entries_by(session, feed_id, "key", [row["key"] for row in new])}
    evidence = identity.observed(evidence, marks, pairs, known)
    evidence.vanished[1] += back
    ids = [known[place].id for place in found if place is not None and place >= 0]
    # What was set aside unread may be one that we have, and is not gone.
    can_tell = identity.by_date(ids, [one.date for one in marks]) and not any(one.fault for one in marks)
    gone = _withdraw(
        session, feed_id, known, frozenset(present), len(new), tombstones, evidence, can_tell=can_tell, now=now
    )
    learnt = {"feed": feed_id, "new_evidence": vars(evidence), "new_window": sorted(present)}
    session.connection().execute(_LEARNT, learnt)
    return Saved(len(new), edited, sum(bool(row.get("fault")) for row in new), gone)


_RECENT = 60  # entries of a feed among which a new one is looked for, besides those with its key, link or title


class _Stored(NamedTuple):
    entries: list[Any]
    window: frozenset[int]  # ids of those that were in the feed last


def _known(session: Session, feed_id: int, rows: Sequence[Mapping[str, Any]], window: frozenset[int]) -> _Stored:
    """The entries that some of `rows` may be."""
    found = {one.id: one for one in _entries_by(session, feed_id, "key", [row["key"] for row in rows])}
    by_key = {one.key: one for one in found.values()}
    strange = [row for row in rows if not _unchanged(row, by_key.get(row["key"]))]
    if strange or not window <= found.keys():
        limit = max(_RECENT, 2 * len(rows))
        recent = session.connection().execute(_LATEST, {"feed": feed_id, "most": limit}).all()
        found |= {one.id: one for one in recent}
        if len(recent) == limit:  # there are older ones
            more = _entries_by(session, feed_id, "twin", [row["twin"] for row in strange])
            more += _entries_by(session, feed_id, "id", sorted(window - found.keys()))
            found |= {one.id: one for one in more}
    # Before this release nobody wrote down what was in a feed: whatever came last may have been.
    return _Stored(sorted(found.values(), key=lambda one: one.id), window or frozenset(found))


def _unchanged(row: Mapping[str, Any], one: Any) -> bool:
    return one is not None and all(
        getattr(one, name) == row.get(name) for name in ("content_hash", "published_at", "guid", "url", "withdrawn_at")
    )


def _marks(row: Mapping[Any, Any]) -> Marks:
    guid = row.get("guid")
    return Marks(
        row["key"],
        identity.guid_of(row["key"]) if guid is None else guid,
        identity.page(row["url"]),
        row["title"],
        row["published_at"],
        row.get("text_hash") or "",
        bool(row.get("fault")),
    )


def _stored_marks(one: Any) -> Marks:
    guid = identity.guid_of(one.key) if one.guid is None else one.guid
    return Marks(one.key, guid, identity.page(one.url), one.title, one.published_at, one.text_hash, bool(one.fault))


def _seen(row: Mapping[str, Any], one: Any, now_is: Marks, was: Marks) -> bool:
    """Whether a reader would see the difference: addresses made anew at each fetch are none."""
    if now_is.text and was.text:
        return (now_is.text, now_is.title) != (was.text, was.title)
    return bool(one.content_hash != row["content_hash"])


def _since(row: Mapping[str, Any], *, new_feed: bool, now: datetime) -> datetime | None:
    """Since when an entry that we see first is as it is: its publisher's word, else now; long since in a new feed."""
    said: list[datetime] = [moment for moment in (row["published_at"], row.get("updated_at")) if moment is not None]
    if said:
        return min(now, max(said))
    return None if new_feed else now


class _Keys:
    """The keys of a feed's entries: each is one entry's, whatever guids its publisher gives to whom."""

    def __init__(self, session: Session, feed_id: int, stored: Sequence[Any]) -> None:
        self._session, self._feed_id = session, feed_id
        self._held = {one.key for one in stored}

    def moved(self, row: Mapping[str, Any], one: Any) -> str:
        """The key of a stored entry from now on."""
        if row["key"] != one.key and row["key"] in self._held:
            return str(one.key)
        self._held.add(row["key"])  # and its former one stays held: in this transaction others may still have it
        return str(row["key"])

    def new(self, row: Mapping[str, Any]) -> str:
        """The key of a new entry: its own, or where another entry has that, one made of all that it is."""
        key, turn = str(row["key"]), 0
        while key in self._held or (turn and _entries_by(self._session, self._feed_id, "key", [key])):
            turn += 1
            parts = (row["key"], row["twin"], str(row["published_at"]), row["content_hash"], str(turn))
            key = "again:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
        self._held.add(key)
        return key


def _withdraw(
    session: Session,
    feed_id: int,
    known: Sequence[Known],
    present: frozenset[int],
    new: int,
    tombstones: Collection[str],
    evidence: Evidence,
    *,
    can_tell: bool,
    now: datetime,
) -> int:
    """Mark what was taken back; how many were. `can_tell`: what is gone from among others may be."""
    ids: set[int] = set()
    lately = [one for one in known if one.lately]
    missing = sum(one.id not in present for one in lately)
    gone = identity.gone_between(lately, present, new) if missing and can_tell else []
    evidence.vanished[0] += len(gone)
    if identity.takes_back(evidence, max(len(gone), missing - new), len(lately)):
        ids = set(gone)
    if tombstones:
        guids = sorted(tombstones)
        ids |= {one.id for name in ("guid", "key") for one in _entries_by(session, feed_id, name, guids)}
    ids -= present
    if ids:
        statement = sa.update(Entry).where(col(Entry.id).in_(sorted(ids)), col(Entry.withdrawn_at).is_(None))
        session.execute(statement.values(withdrawn_at=now))
    return len(ids)


_COLUMNS = [
    col(getattr(Entry, name))
    for name in (
        *("id", "key", "twin", "content_hash", "published_at", "url", "title"),
        *("guid", "text_hash", "fault", "changed_at", "withdrawn_at"),
    )
]


# Made once: to put a statement together takes longer than to execute it.
_OF_FEED = col(Entry.feed_id) == sa.bindparam("feed")
_BY = {
    name: sa.select(*_COLUMNS).where(_OF_FEED, col(getattr(Entry, name)).in_(sa.bindparam("values", expanding=True)))
    for name in ("id", "key", "twin", "guid")
}
_LATEST = sa.select(*_COLUMNS).where(_OF_FEED).order_by(col(Entry.id).desc()).limit(sa.bindparam("most"))
_WAYS = sa.select(col(Feed.identity), col(Feed.evidence), col(Feed.window)).where(col(Feed.id) == sa.bindparam("feed"))
_LEARNT = (
    sa.update(Feed)
    .where(col(Feed.id) == sa.bindparam("feed"))
    .values(evidence=sa.bindparam("new_evidence"), window=sa.bindparam("new_window"))
)


def _entries_by(session: Session, feed_id: int, name: str, values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(values), _CHUNK):
        asked = {"feed": feed_id, "values": list(values[start : start + _CHUNK])}
        found += session.connection().execute(_BY[name], asked)
    return found


@dataclass(frozen=True)
class Remembered:
    """What was collected of a feed, by which it is known again elsewhere. `titles` are the operator's and its own."""

    url: str
    site_url: str
    titles: tuple[str, ...]
    marks: tuple[Marks, ...]


def remembered(session: Session, feed_id: int, *, limit: int = 300) -> Remembered:
    """A feed by its latest entries."""
    feed = session.get_one(Feed, feed_id)
    query = sa.select(*_COLUMNS).where(col(Entry.feed_id) == feed_id, col(Entry.fault) == "")
    rows = session.execute(query.order_by(col(Entry.id).desc()).limit(limit))
    marks = tuple(_stored_marks(row) for row in rows)
    return Remembered(feed.url, feed.site_url, (feed.title, feed.published_title), marks)


# ---------------------------------------------------------------- which feeds there are


def find(session: Session, words: str) -> Feed:
    """The feed with this number or address, an address it had before included. Raises NotFound."""
    told = shown(words)
    try:
        words, _ = without_login(words)  # which is kept apart from the address
    except ValueError:
        pass
    if words.isascii() and words.isdigit() and len(words) < 18:
        found = session.get(Feed, int(words))
    else:
        found = session.exec(select(Feed).where(Feed.url == words)).first() or next(
            (feed for feed in session.exec(select(Feed)) if any(f["url"] == words for f in feed.former_urls)), None
        )
    if found is None:
        raise NotFound(f"there is no feed {told}", hint="`digest feed list` shows number and address of each")
    return found


def ids(session: Session, urls: Iterable[str]) -> dict[str, int]:
    """The numbers of those feeds that are stored already, by their address."""
    wanted = list(dict.fromkeys(urls))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(Feed.url, Feed.id).where(col(Feed.url).in_(wanted[start : start + _CHUNK]))
        found |= {url: number or 0 for url, number in session.exec(query)}
    return found


def by_url(session: Session, urls: Iterable[str]) -> dict[str, Feed]:
    """Those feeds that are stored already, by their address."""
    wanted = list(dict.fromkeys(urls))
    found: dict[str, Feed] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(Feed).where(col(Feed.url).in_(wanted[start : start + _CHUNK]))
        found |= {feed.url: feed for feed in session.exec(query)}
    return found


def add(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store many new feeds: mappings of `Feed` columns, all but `id`."""
    if rows:
        session.connection().execute(sa.insert(Feed), list(rows))


def add_readings(session: Session, newsletter_id: int, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Let a newsletter read many feeds that it did not: mappings of `feed_id`, `topic`, `folder` and `places`."""
    if rows:
        own = {"newsletter_id": newsletter_id, "added_at": now}
        session.connection().execute(sa.insert(NewsletterFeed), [{**row, **own} for row in rows])


def ids_read(session: Session, newsletter_id: int) -> set[int]:
    """The ids of the feeds that a newsletter reads."""
    return set(session.exec(select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter_id)))


def read(
    session: Session,
    newsletter_id: int,
    feed_id: int,
    *,
    topic: str,
    folder: str,
    now: datetime,
    places: Sequence[Mapping[str, Any]] = (),
) -> bool:
    """Let a newsletter read a feed; True when it did not before. A topic or folder given now replaces the old one.

    `places` are where it stands in a subscription list, as `NewsletterFeed` keeps them.
    """
    link = session.get(NewsletterFeed, (newsletter_id, feed_id))
    if link is None:
        link = NewsletterFeed(newsletter_id=newsletter_id, feed_id=feed_id, added_at=now)
        link.topic, link.folder, link.places = topic, folder, list(map(dict, places))
        session.add(link)
        return True
    link.topic = topic or link.topic
    link.folder = folder or link.folder
    link.places = list(map(dict, places)) or link.places
    return False


def stop_reading(session: Session, feed_id: int, *, newsletter_id: int | None = None) -> bool:
    """Take a feed from one newsletter, or from all; True when no newsletter reads it now."""
    query = sa.delete(NewsletterFeed).where(col(NewsletterFeed.feed_id) == feed_id)
    if newsletter_id is not None:
        query = query.where(col(NewsletterFeed.newsletter_id) == newsletter_id)
    session.execute(query)
    return session.exec(select(NewsletterFeed).where(NewsletterFeed.feed_id == feed_id)).first() is None


@dataclass(frozen=True)
class Reader:
    """A newsletter that reads a feed, and under which topic."""

    newsletter: str
    topic: str = ""
    folder: str = ""
    places: tuple[Mapping[str, Any], ...] = ()


def listed(session: Session, *, newsletter: str | None = None) -> list[tuple[Feed, tuple[Reader, ...]]]:
    """All feeds in the order they were added, or those that a newsletter reads, with who reads them."""
    readers: dict[int, list[Reader]] = {}
    links = select(Newsletter.name, NewsletterFeed).join(NewsletterFeed).order_by(Newsletter.name)
    for name, link in session.exec(links):
        readers.setdefault(link.feed_id, []).append(Reader(name, link.topic, link.folder, tuple(link.places)))
    query = select(Feed).order_by(col(Feed.id))
    if newsletter is not None:
        read = select(NewsletterFeed.feed_id).join(Newsletter).where(Newsletter.name == newsletter)
        query = query.where(col(Feed.id).in_(read))
    return [(feed, tuple(readers.get(feed.id or 0, ()))) for feed in session.exec(query)]


def entry_counts(session: Session) -> dict[int, int]:
    """How many entries are stored of each feed."""
    rows = session.exec(select(Entry.feed_id, sa.func.count()).group_by(col(Entry.feed_id)))
    return dict(rows.all())


def newest_entries(session: Session, feed_id: int, *, limit: int) -> list[Entry]:
    """The entries of a feed that were stored last."""
    query = select(Entry).where(Entry.feed_id == feed_id).order_by(col(Entry.id).desc()).limit(limit)
    return list(session.exec(query))


def set_aside(session: Session, feed_id: int, *, limit: int) -> list[tuple[str, str]]:
    """The entries of a feed that were set aside, the latest first: title or address (there may be none), and why."""
    rows = session.execute(
        sa.select(col(Entry.title), col(Entry.url), col(Entry.fault))
        .where(col(Entry.feed_id) == feed_id, col(Entry.fault) != "")
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    return [(row[0] or row[1], row[2]) for row in rows]


def set_aside_counts(session: Session, *, since: datetime) -> dict[int, int]:
    """How many entries of each feed were set aside, unread, from `since` on; feeds without any are not named."""
    query = (
        select(Entry.feed_id, sa.func.count())
        .where(Entry.fault != "", Entry.seen_at >= since)
        .group_by(col(Entry.feed_id))
    )
    return dict(session.exec(query).all())


def held_counts(session: Session) -> dict[int, int]:
    """How many entries of each feed were held back, as a flood or a new feed's archive, by some newsletter."""
    query = (
        select(Entry.feed_id, sa.func.count(sa.distinct(col(Entry.id))))
        .join(Admission, col(Entry.id) == col(Admission.entry_id))
        .where(col(Admission.decision) == Decision.HELD)
        .group_by(col(Entry.feed_id))
    )
    return dict(session.exec(query).all())


def reads(session: Session, newsletter_id: int, feed_id: int) -> bool:
    return session.get(NewsletterFeed, (newsletter_id, feed_id)) is not None


def was_published(session: Session, feed_id: int) -> bool:
    """Whether a story of this feed stands in an edition."""
    query = (
        select(VariantStory.story_id)
        .join(Story, col(Story.id) == col(VariantStory.story_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(col(Entry.feed_id) == feed_id)
        .limit(1)
    )
    return session.exec(query).first() is not None
