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
from digest.models import Feed
from digest.store import undecided
from digest.store.database import insert_of
from digest.store.story_tables import Entry
from digest.values import Saved

_FORMER = 20  # addresses kept in a feed's history
_CHUNK = 500  # values in one IN (…): SQLite binds 32,766 at most


@dataclass(frozen=True)
class Has:
    """What a feed has at a moment.

    `rows` are mappings of `Entry` columns, in the order in which new ones are added; `tombstones` are guids of what was
    taken back.
    """

    feed_id: int
    rows: Sequence[Mapping[str, Any]]
    now: datetime
    tombstones: Collection[str] = ()


def save_entries(
    session: Session,
    feed_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    tombstones: Collection[str] = (),
) -> Saved:
    """`save_all` for one feed."""
    return save_all(session, [Has(feed_id, rows, now, tombstones)])[0]


def save_all(session: Session, feeds: Sequence[Has]) -> list[Saved]:
    """Store what feeds have, each of them once: new entries are added, edited ones updated in place.

    Which of the rows is stored already `digest.identity` decides, by all that they share and by what the feed was seen
    to do; an entry known under another key stays the entry that it was. What was taken back (tombstones; and what is
    gone from among others) is marked so, what came back is not. It is written for all feeds at once: to begin a
    statement takes longer than to store an entry.
    """
    connection = session.connection()
    ways = {row.id: row for row in connection.execute(_WAYS, {"feeds": [has.feed_id for has in feeds]})}
    judged = [_Judged(connection, has, ways[has.feed_id]) for has in feeds]
    edits = [row for one in judged for row in one.edits]
    if edits:
        names: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in edits[0] if name != "entry_id"}
        connection.execute(
            sa.update(Entry).where(col(Entry.id) == sa.bindparam("entry_id")).values(names),
            [{("" if name == "entry_id" else "new_") + name: value for name, value in row.items()} for row in edits],
        )
    new = [row for one in judged for row in one.new]
    stored = _added(connection, new) if new else {}
    undecided.came(session, stored.values())
    added: dict[int, set[int]] = {}
    for (feed_id, _), entry_id in stored.items():
        added.setdefault(feed_id, set()).add(entry_id)
    done = [one.learn(connection, added.get(one.has.feed_id, set())) for one in judged]
    connection.execute(_LEARNT, [learnt for _, learnt in done])
    return [saved for saved, _ in done]


def _added(connection: sa.Connection, new: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], int]:
    """Store new entries; their ids, by feed and key. One that is there already, seen long ago, stays as it is."""
    last = connection.execute(_LAST).scalar() or 0
    connection.execute(_adding(connection.dialect.name), new)
    found = {(row.feed_id, row.key): row.id for row in connection.execute(_SINCE, {"last": last})}
    there: dict[int, list[str]] = {}
    for row in new:
        if (row["feed_id"], row["key"]) not in found:
            there.setdefault(row["feed_id"], []).append(row["key"])
    for feed_id, named in there.items():
        found |= {(feed_id, one.key): one.id for one in _entries_by(connection, feed_id, "key", named)}
    return {place: found[place] for row in new if (place := (row["feed_id"], row["key"])) in found}


class _Judged:
    """What a feed has, beside what is stored of it: which entries are `new`, and which are edited (`edits`)."""

    def __init__(self, connection: sa.Connection, has: Has, ways: Any) -> None:
        self.has = has
        self.new: list[dict[str, Any]] = []
        self.edits: list[dict[str, Any]] = []
        self._edited = self._back = 0
        self._present: set[int] = set()
        self._pairs: list[tuple[Marks, Marks]] = []
        self._evidence = Evidence.of(ways.evidence)
        self._marks = [_marks(row) for row in has.rows]
        stored = _known(connection, has.feed_id, has.rows, frozenset(ways.window))
        self._known = [Known(one.id, _stored_marks(one), one.id in stored.window) for one in stored.entries]
        self._found = identity.link(self._marks, self._known, self._evidence, ways.identity)
        keys = _Keys(connection, has.feed_id, stored.entries)
        for row, mine, place in zip(has.rows, self._marks, self._found, strict=True):
            if place is not None and place >= 0:
                self._again(row, mine, stored.entries[place], self._known[place].marks, keys)
        new_feed = not self._evidence.fetches and not stored.entries
        for row, place in zip(has.rows, self._found, strict=True):
            if place is None:
                changed_at = _since(row, new_feed=new_feed, now=has.now)
                own = {"feed_id": has.feed_id, "seen_at": has.now, "key": keys.new(row), "changed_at": changed_at}
                self.new.append({**row, **own})

    def _again(self, row: Mapping[str, Any], mine: Marks, one: Any, was: Marks, keys: _Keys) -> None:
        """A row that is an entry which is stored."""
        self._pairs.append((mine, was))
        self._present.add(one.id)
        self._back += one.withdrawn_at is not None
        if _unchanged(row, one) and row["key"] == one.key:
            return
        seen = _seen(row, one, mine, was)
        self._edited += seen
        changed_at = self.has.now if seen else one.changed_at
        own = {"key": keys.moved(row, one), "withdrawn_at": None, "changed_at": changed_at}
        own["points"] = one.points if row.get("points") is None else row["points"]
        self.edits.append({**row, **own, "entry_id": one.id})

    def learn(self, connection: sa.Connection, added: set[int]) -> tuple[Saved, dict[str, Any]]:
        """Mark what was taken back, the new ones being stored; what was done, and what is learnt of the feed."""
        present = self._present | added
        evidence = identity.observed(self._evidence, self._marks, self._pairs, self._known)
        evidence.vanished[1] += self._back
        ids = [self._known[place].id for place in self._found if place is not None and place >= 0]
        # What was set aside unread may be one that we have, and is not gone.
        can_tell = identity.by_date(ids, [one.date for one in self._marks]) and not any(m.fault for m in self._marks)
        gone = _withdraw(
            connection, self.has, self._known, frozenset(present), len(self.new), evidence, can_tell=can_tell
        )
        learnt = {"feed": self.has.feed_id, "new_evidence": vars(evidence), "new_window": sorted(present)}
        saved = Saved(len(self.new), self._edited, sum(bool(row.get("fault")) for row in self.new), gone)
        return saved, learnt | {"more": len(self.new)}


_RECENT = 60  # entries of a feed among which a new one is looked for, besides those with its key, link or title


class _Stored(NamedTuple):
    entries: list[Any]
    window: frozenset[int]  # ids of those that were in the feed last


def _known(
    connection: sa.Connection, feed_id: int, rows: Sequence[Mapping[str, Any]], window: frozenset[int]
) -> _Stored:
    """The entries that some of `rows` may be."""
    limit = max(_RECENT, 2 * len(rows))
    recent = None if window else connection.execute(_LATEST, {"feed": feed_id, "most": limit}).all()
    if recent == []:
        return _Stored([], window)  # a feed that nothing came of
    found = {one.id: one for one in _entries_by(connection, feed_id, "key", [row["key"] for row in rows])}
    by_key = {one.key: one for one in found.values()}
    strange = [row for row in rows if not _unchanged(row, by_key.get(row["key"]))]
    if strange or not window <= found.keys():
        if recent is None:
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
    has: Has,
    known: Sequence[Known],
    present: frozenset[int],
    new: int,
    evidence: Evidence,
    *,
    can_tell: bool,
) -> int:
    """Mark what was taken back; how many were. `can_tell`: what is gone from among others may be."""
    ids: set[int] = set()
    lately = [one for one in known if one.lately]
    missing = sum(one.id not in present for one in lately)
    gone = identity.gone_between(lately, present, new) if missing and can_tell else []
    evidence.vanished[0] += len(gone)
    if identity.takes_back(evidence, max(len(gone), missing - new), len(lately)):
        ids = set(gone)
    if has.tombstones:
        guids = sorted(has.tombstones)
        ids |= {one.id for name in ("guid", "key") for one in _entries_by(connection, has.feed_id, name, guids)}
    ids -= present
    if ids:
        statement = sa.update(Entry).where(col(Entry.id).in_(sorted(ids)), col(Entry.withdrawn_at).is_(None))
        connection.execute(statement.values(withdrawn_at=has.now))
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
_LAST = sa.select(sa.func.max(col(Entry.id)))
_SINCE = sa.select(col(Entry.id), col(Entry.feed_id), col(Entry.key)).where(col(Entry.id) > sa.bindparam("last"))
_LATEST = sa.select(*_COLUMNS).where(_OF_FEED).order_by(col(Entry.id).desc()).limit(sa.bindparam("most"))
_WAYS = sa.select(col(Feed.id), col(Feed.identity), col(Feed.evidence), col(Feed.window)).where(
    col(Feed.id).in_(sa.bindparam("feeds", expanding=True))
)
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


def _entries_by(connection: sa.Connection, feed_id: int, name: str, values: Sequence[Any]) -> list[Any]:
    """Entries of a feed by one of their columns."""
    found: list[Any] = []
    for start in range(0, len(values), _CHUNK):
        asked = {"feed": feed_id, "values": list(values[start : start + _CHUNK])}
        found += connection.execute(_BY[name], asked)
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
