"""What a feed has now, stored: new, edited and withdrawn entries, and what is learnt of how it names them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest import identity
from digest.dataclass import dataclass
from digest.identity import Evidence, Known, Marks
from digest.models import (
    Entry,
    Feed,
)
from digest.store import undecided
from digest.store.database import insert_of

_FORMER = 20  # addresses kept in a feed's history
_CHUNK = 500  # values in one IN (…): SQLite binds 32,766 at most


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
    connection = session.connection()
    feed = connection.execute(_WAYS, {"feed": feed_id}).one()
    evidence = Evidence.of(feed.evidence)
    marks = [_marks(row) for row in rows]
    stored = _known(connection, feed_id, rows, frozenset(feed.window))
    known = [Known(one.id, _stored_marks(one), one.id in stored.window) for one in stored.entries]
    found = identity.link(marks, known, evidence, feed.identity)
    keys = _Keys(connection, feed_id, stored.entries)
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
                own["points"] = one.points if row.get("points") is None else row["points"]
                edits.append({**row, **own, "entry_id": one.id})
    for number, row in enumerate(rows):
        if found[number] is None:
            changed_at = _since(row, new_feed=not evidence.fetches and not stored.entries, now=now)
            own = {"feed_id": feed_id, "seen_at": now, "key": keys.new(row), "changed_at": changed_at}
            new.append({**row, **own})
    if edits:
        names: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in edits[0] if name != "entry_id"}
        connection.execute(
            sa.update(Entry).where(col(Entry.id) == sa.bindparam("entry_id")).values(names),
            [{("" if name == "entry_id" else "new_") + name: value for name, value in row.items()} for row in edits],
        )
    if new:
        connection.execute(_adding(connection.dialect.name), new)
        stored_now = {one.id for one in _entries_by(connection, feed_id, "key", [row["key"] for row in new], _IDS)}
        undecided.came(session, feed_id, stored_now)
        present |= stored_now
    evidence = identity.observed(evidence, marks, pairs, known)
    evidence.vanished[1] += back
    ids = [known[place].id for place in found if place is not None and place >= 0]
    # What was set aside unread may be one that we have, and is not gone.
    can_tell = identity.by_date(ids, [one.date for one in marks]) and not any(one.fault for one in marks)
    gone = _withdraw(
        connection, feed_id, known, frozenset(present), len(new), tombstones, evidence, can_tell=can_tell, now=now
    )
    learnt = {"feed": feed_id, "new_evidence": vars(evidence), "new_window": sorted(present), "more": len(new)}
    connection.execute(_LEARNT, learnt)
    return Saved(len(new), edited, sum(bool(row.get("fault")) for row in new), gone)


_RECENT = 60  # entries of a feed among which a new one is looked for, besides those with its key, link or title


class _Stored(NamedTuple):
    entries: list[Any]
    window: frozenset[int]  # ids of those that were in the feed last


def _known(
    connection: sa.Connection, feed_id: int, rows: Sequence[Mapping[str, Any]], window: frozenset[int]
) -> _Stored:
    """The entries that some of `rows` may be."""
    found = {one.id: one for one in _entries_by(connection, feed_id, "key", [row["key"] for row in rows])}
    by_key = {one.key: one for one in found.values()}
    strange = [row for row in rows if not _unchanged(row, by_key.get(row["key"]))]
    if strange or not window <= found.keys():
        limit = max(_RECENT, 2 * len(rows))
        recent = connection.execute(_LATEST, {"feed": feed_id, "most": limit}).all()
        found |= {one.id: one for one in recent}
        if len(recent) == limit:  # there are older ones
            more = _entries_by(connection, feed_id, "twin", [row["twin"] for row in strange])
            more += _entries_by(connection, feed_id, "id", sorted(window - found.keys()))
            found |= {one.id: one for one in more}
    # Before this release nobody wrote down what was in a feed: whatever came last may have been.
    return _Stored(sorted(found.values(), key=lambda one: one.id), window or frozenset(found))


def _unchanged(row: Mapping[str, Any], one: Any) -> bool:
    if one is None or row.get("points") not in (None, one.points):  # what is not said is not known to have changed
        return False
    return all(
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

    def __init__(self, connection: sa.Connection, feed_id: int, stored: Sequence[Any]) -> None:
        self._connection, self._feed_id = connection, feed_id
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
        while key in self._held or (turn and _entries_by(self._connection, self._feed_id, "key", [key])):
            turn += 1
            parts = (row["key"], row["twin"], str(row["published_at"]), row["content_hash"], str(turn))
            key = "again:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
        self._held.add(key)
        return key


def _withdraw(
    connection: sa.Connection,
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
        ids |= {one.id for name in ("guid", "key") for one in _entries_by(connection, feed_id, name, guids)}
    ids -= present
    if ids:
        statement = sa.update(Entry).where(col(Entry.id).in_(sorted(ids)), col(Entry.withdrawn_at).is_(None))
        connection.execute(statement.values(withdrawn_at=now))
    return len(ids)


_COLUMNS = [
    col(getattr(Entry, name))
    for name in (
        *("id", "key", "twin", "content_hash", "published_at", "url", "title"),
        *("guid", "text_hash", "fault", "changed_at", "withdrawn_at", "points"),
    )
]


# Made once: to put a statement together takes longer than to execute it.
_OF_FEED = col(Entry.feed_id) == sa.bindparam("feed")
_BY = {
    name: sa.select(*_COLUMNS).where(_OF_FEED, col(getattr(Entry, name)).in_(sa.bindparam("values", expanding=True)))
    for name in ("id", "key", "twin", "guid")
}
_IDS = sa.select(col(Entry.id)).where(_OF_FEED, col(Entry.key).in_(sa.bindparam("values", expanding=True)))
_LATEST = sa.select(*_COLUMNS).where(_OF_FEED).order_by(col(Entry.id).desc()).limit(sa.bindparam("most"))
_WAYS = sa.select(col(Feed.identity), col(Feed.evidence), col(Feed.window)).where(col(Feed.id) == sa.bindparam("feed"))
_LEARNT = (
    sa.update(Feed)
    .where(col(Feed.id) == sa.bindparam("feed"))
    .values(
        evidence=sa.bindparam("new_evidence"),
        window=sa.bindparam("new_window"),
        entry_count=Feed.entry_count + sa.bindparam("more"),
    )
)


@cache
def _adding(dialect: str) -> Any:
    return insert_of(dialect, Entry).on_conflict_do_nothing(index_elements=["feed_id", "key"])


def _entries_by(
    connection: sa.Connection, feed_id: int, name: str, values: Sequence[Any], query: Any = None
) -> list[Any]:
    """Entries of a feed by one of their columns; `query` asks for less of them."""
    found: list[Any] = []
    for start in range(0, len(values), _CHUNK):
        asked = {"feed": feed_id, "values": list(values[start : start + _CHUNK])}
        found += connection.execute(_BY[name] if query is None else query, asked)
    return found


def keys(session: Session, feed_id: int, names: Collection[str]) -> frozenset[str]:
    """Those of these keys that an entry of the feed has."""
    return frozenset(one.key for one in _entries_by(session.connection(), feed_id, "key", sorted(names)))


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
