"""Entries that are kept no longer: first their texts, and after some months they themselves and their stories.

What stays: what waits for somebody; what is in its feed at this moment, and the latest of each feed, by which its new
ones are known from its old ones; the stories that the archive shows, and who told them. Of what goes there remain
marks (see `pruned`), so that none is told again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, Feed, Subscription, SubscriptionState
from digest.store import pruned
from digest.store.database import batched
from digest.store.feed_tables import FullText, Undecided
from digest.store.pages import rewrite
from digest.store.pruning import Scope, Step
from digest.store.recipients import deliverable
from digest.store.story_tables import Admission, Entry, Story, VariantStory

PER_FEED = 60  # entries of a feed that are kept however old, as `feed_entries` looks for a new one among as many
GISTS = 20  # of these, that keep what curation knows of their texts: by it is found what a feed repeats in all
_NO_SYNC = {"synchronize_session": False}


class _Old(NamedTuple):
    """An entry as far as it decides about its going."""

    id: int
    feed_id: int
    key: str
    title: str
    published_at: datetime | None
    seen_at: datetime
    withdrawn_at: datetime | None
    text: int  # bytes
    gist: int

    @property
    def size(self) -> int:
        return self.text + self.gist


_TEXT = sa.func.length(col(Entry.summary)) + sa.func.length(col(Entry.content))
_GIST = sa.func.coalesce(sa.func.length(col(Entry.gist)), 0)
_COLUMNS = [
    *(col(getattr(Entry, name)) for name in ("id", "feed_id", "key", "title", "published_at", "seen_at")),
    col(Entry.withdrawn_at),
    _TEXT,
    _GIST,
]


def _latest(number: int) -> Any:
    """The entry of a feed before which there are so many later ones."""
    one = sa.orm.aliased(Entry)
    query = (
        sa.select(col(one.id))
        .where(col(one.feed_id) == Feed.id)
        .order_by(col(one.id).desc())
        .offset(number - 1)
        .limit(1)
    )
    return query.correlate(Feed).scalar_subquery()


class _FeedNow(NamedTuple):
    """A feed: its latest entries, from these numbers on, and those that are in it at this moment."""

    latest: int
    gists: int
    window: frozenset[int]


@dataclass
class _Around:
    """What is known of the feeds and newsletters of some entries."""

    session: Session
    scope: Scope

    def __post_init__(self) -> None:
        session, least = self.session, self.scope.least
        newest = sa.select(col(Entry.id)).order_by(col(Entry.id).desc()).offset(max(0, least)).limit(1)
        upto: int = session.execute(newest).scalar() or 0  # beyond it are the `least` newest
        self.upto_id = min(upto, self._before_young())
        self.feeds: dict[int, _FeedNow] = self.scope.seen.setdefault("feeds", {})
        rows = session.execute(
            sa.select(col(Edition.newsletter_id), sa.func.max(col(Edition.upto_seq))).group_by(
                col(Edition.newsletter_id)
            )
        )
        self.composed: dict[int, int] = {row[0]: row[1] for row in rows}

    def _before_young(self) -> int:
        """The last entry before the first that is too new: after it some that are new can look old by a clock."""
        if "young" not in self.scope.seen:
            feeds = sa.select(col(Feed.id))  # by which SQLite finds those of each in an index
            young = sa.select(sa.func.min(col(Entry.id))).where(col(Entry.feed_id).in_(feeds))
            found = self.session.execute(young.where(col(Entry.seen_at) >= self.scope.before)).scalar()
            self.scope.seen["young"] = (found or 1 << 62) - 1
        return int(self.scope.seen["young"])

    def batch(self, after: int, *which: Any) -> list[_Old]:
        query = sa.select(*_COLUMNS).where(col(Entry.id) > after, col(Entry.id) <= self.upto_id, *which)
        return [_Old._make(row) for row in self.session.execute(query.order_by(col(Entry.id)).limit(self.scope.most))]

    def by_id(self, ids: Iterable[int]) -> list[_Old]:
        found: list[_Old] = []
        for some in batched(sorted(ids)):
            query = sa.select(*_COLUMNS).where(col(Entry.id).in_(some))
            found += [_Old._make(row) for row in self.session.execute(query)]
        return found

    def decided(self, entries: Collection[_Old]) -> list[_Old]:
        """Those that are old enough, and that every newsletter has decided about."""
        old = [one for one in entries if one.id <= self.upto_id and one.seen_at < self.scope.before]
        waiting = self._waiting([one.id for one in old])
        self._look([one.feed_id for one in old])
        found = []
        for one in old:
            if one.id in waiting and one.withdrawn_at is None:
                self.scope.hold("entries wait for a newsletter to decide about them")
            else:
                found.append(one)
        return found

    def free(self, entries: Collection[_Old]) -> list[_Old]:
        """Those of them that their feed needs no more."""
        free = []
        for one in self.decided(entries):
            feed = self.feeds[one.feed_id]
            if one.id in feed.window:
                self.scope.hold("entries are in their feeds at this moment")
            elif one.id >= feed.latest:
                self.scope.hold(f"entries are among the latest {PER_FEED} of their feeds")
            else:
                free.append(one)
        return free

    def _waiting(self, ids: Collection[int]) -> set[int]:
        found: set[int] = set()
        decided = sa.exists().where(
            col(Admission.newsletter_id) == Undecided.newsletter_id, col(Admission.entry_id) == Undecided.entry_id
        )
        for some in batched(list(ids)):
            query = sa.select(col(Undecided.entry_id)).where(col(Undecided.entry_id).in_(some), ~decided)
            found |= set(self.session.scalars(query))
        return found

    def _look(self, feed_ids: Iterable[int]) -> None:
        for some in batched(sorted(set(feed_ids) - self.feeds.keys())):
            query = sa.select(col(Feed.id), _latest(PER_FEED), _latest(GISTS), col(Feed.window))
            for id_, latest, gists, window in self.session.execute(query.where(col(Feed.id).in_(some))):
                self.feeds[id_] = _FeedNow(latest or 0, gists or 0, frozenset(window or ()))


def texts(session: Session, scope: Scope, after: int) -> Step:
    """Let go of what entries said, once everybody has decided about them."""
    around = _Around(session, scope)
    found = around.batch(after, (_TEXT > 0) | col(Entry.gist).is_not(None))
    old = around.decided(found)
    needed = _needed(session, around, [one.id for one in old])
    # Without a gist its text is what curation would ask.
    short = [one for one in old if one.text and one.gist and one.id not in needed]
    bare = [one for one in old if one.id < around.feeds[one.feed_id].gists and one.id not in needed]
    for some in batched([one.id for one in short]):
        emptied: dict[str, Any] = {"summary": "", "content": "", "enclosures": []}
        rewrite(session, Entry, some, emptied)
    for some in batched([one.id for one in bare]):
        emptied = {"summary": "", "content": "", "enclosures": [], "gist": None}
        rewrite(session, Entry, some, emptied)
        pages = sa.update(FullText).where(col(FullText.entry_id).in_(some), col(FullText.gist).is_not(None))
        session.execute(pages.values(text=""), execution_options=_NO_SYNC)
    gone = {one.id for one in (*short, *bare)}
    size = sum(one.text for one in old if one.id in gone) + sum(one.gist for one in bare)
    return Step(len(gone), size, *_next(found, scope, after))


def _needed(session: Session, around: _Around, ids: Collection[int]) -> set[int]:
    """Entries whose stories wait for an edition, and those that an editor has taught us by."""
    found: set[int] = set()
    for some in batched(list(ids)):
        query = (
            sa.select(col(Admission.entry_id), col(Story.newsletter_id), col(Story.seq), col(Story.topic_step))
            .join(Story, col(Story.id) == col(Admission.story_id))
            .where(col(Admission.entry_id).in_(some))
        )
        for entry_id, newsletter_id, seq, step in session.execute(query):
            if seq > around.composed.get(newsletter_id, 0) or step == "moved":
                found.add(entry_id)
    return found


def _next(found: list[_Old], scope: Scope, after: int) -> tuple[int, bool]:
    """Where to go on, and whether that is the end: what comes is too new."""
    old = [one.id for one in found if one.seen_at < scope.before]
    return max(old, default=after), len(found) < scope.most or not old


# ---------------------------------------------------------------- entries and stories


def entries(session: Session, scope: Scope, after: int) -> Step:
    """Let go of entries, and of stories that nobody else tells."""
    around = _Around(session, scope)
    found = around.batch(after)
    free = {one.id: one for one in around.free(found)}
    told = _Told(session)
    told.look(free)
    # Others that tell the same stories go with them, or keep them.
    others = told.entries() - {one.id for one in found}
    free |= {one.id: one for one in around.free(around.by_id(others))}
    told.look(others & free.keys())
    kept = told.kept(around, _Readers(session, scope.seen.setdefault("readers", {})))
    gone, stories = told.going(set(free), kept)
    _note(session, [free[id_] for id_ in sorted(gone)], told)
    for some in batched(sorted(stories)):
        session.execute(sa.delete(Story).where(col(Story.id).in_(some)), execution_options=_NO_SYNC)
    for some in batched(sorted(gone)):
        session.execute(sa.delete(Entry).where(col(Entry.id).in_(some)), execution_options=_NO_SYNC)
    size = sum(800 + free[id_].size for id_ in gone) + 1000 * len(stories)
    return Step(len(gone), size, *_next(found, scope, after))


class _Decided(NamedTuple):
    entry_id: int
    newsletter_id: int
    link: str
    story_id: int | None


class _Told:
    """What was decided about entries, and the stories that they tell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.decided: set[_Decided] = set()
        self.tellers: dict[int, set[int]] = defaultdict(set)  # entries, by story

    def look(self, ids: Iterable[int]) -> None:
        """Learn of these entries, and who tells the same."""
        new: set[int] = set()
        row = [col(getattr(Admission, name)) for name in _Decided._fields]
        for some in batched(sorted(ids)):
            query = sa.select(*row).where(col(Admission.entry_id).in_(some))
            self.decided |= {_Decided._make(one) for one in self._session.execute(query)}
            # As its row says: it would go with the entry.
            stands = sa.select(col(Story.id)).where(col(Story.entry_id).in_(some))
            new |= set(self._session.scalars(stands))
        new |= {one.story_id for one in self.decided if one.story_id is not None}
        for some in batched(sorted(new - self.tellers.keys())):
            for id_ in some:
                self.tellers[id_] = set()
            told = sa.select(col(Admission.story_id), col(Admission.entry_id))
            stand = sa.select(col(Story.id), col(Story.entry_id)).where(col(Story.id).in_(some))
            for query in (told.where(col(Admission.story_id).in_(some)), stand):
                for story_id, entry_id in self._session.execute(query):
                    self.tellers[story_id].add(entry_id)

    def entries(self) -> set[int]:
        return {id_ for ids in self.tellers.values() for id_ in ids}

    def kept(self, around: _Around, readers: _Readers) -> set[int]:
        """Stories that stay: an edition shows them, somebody has not been offered them, or they are too new."""
        kept: set[int] = set()
        for some in batched(sorted(self.tellers)):
            shown = sa.select(col(VariantStory.story_id)).where(col(VariantStory.story_id).in_(some)).distinct()
            kept |= set(self._session.scalars(shown))
            names = ("id", "newsletter_id", "seq", "topic", "topic_step", "admitted_at", "dropped")
            query = sa.select(*(col(getattr(Story, name)) for name in names)).where(col(Story.id).in_(some))
            for id_, newsletter_id, seq, topic, step, admitted_at, dropped in self._session.execute(query):
                if id_ in kept:
                    continue
                if step == "moved":  # an editor's word, from which topics are learnt
                    kept.add(id_)
                    continue
                if admitted_at >= around.scope.before or seq > around.composed.get(newsletter_id, 0):
                    kept.add(id_)
                elif not dropped and seq > readers.had(newsletter_id, topic):
                    kept.add(id_)
                    around.scope.hold("stories that a reader has not been offered")
        return kept

    def going(self, free: set[int], kept: set[int]) -> tuple[set[int], set[int]]:
        """The entries and stories that go: an entry with all its stories, and a story with all who tell it."""
        of_entry: dict[int, set[int]] = defaultdict(set)
        for story_id, ids in self.tellers.items():
            for id_ in ids:
                of_entry[id_].add(story_id)
        gone, stories = set(free), self.tellers.keys() - kept
        while True:
            staying = {story for story in stories if not self.tellers[story] <= gone}
            stories = stories - staying
            held = {id_ for id_ in gone if not of_entry[id_] <= stories}
            if not held and not staying:
                return gone, stories
            gone -= held


class _Readers:
    """How far readers are, by newsletter and topic: what comes after that somebody has still to be offered."""

    def __init__(self, session: Session, known: dict[int, tuple[int | None, dict[str, int]]]) -> None:
        self._session = session
        self._known = known

    def had(self, newsletter_id: int, topic: str) -> int:
        """The seq up to which all have been offered the stories of a topic."""
        if newsletter_id not in self._known:
            self._known[newsletter_id] = self._look(newsletter_id)
        of_all, by_topic = self._known[newsletter_id]
        return min((seq for seq in (of_all, by_topic.get(topic)) if seq is not None), default=1 << 62)

    def _look(self, newsletter_id: int) -> tuple[int | None, dict[str, int]]:
        # Who paused until they say so may never do: they go on with what is kept by then.
        paused = (col(Subscription.newsletter_id) == newsletter_id) & col(Subscription.paused_until).is_not(None)
        comes = sa.and_(*deliverable(newsletter_id)) | (paused & (col(Subscription.state) == SubscriptionState.PAUSED))
        named = sa.cast(col(Subscription.topics), sa.Text)
        query = sa.select(named, sa.func.min(col(Subscription.read_until))).where(comes).group_by(named)
        of_all: int | None = None
        by_topic: dict[str, int] = {}
        for text, seq in self._session.execute(query):
            topics = json.loads(text)
            for topic in topics:
                by_topic[topic] = min(seq, by_topic.get(topic, seq))
            if not topics:
                of_all = seq
        return of_all, by_topic


def _note(session: Session, gone: list[_Old], told: _Told) -> None:
    """Remember entries that go by marks of them. What nobody had decided about is no loss, and comes as new."""
    if not gone:
        return
    decided = {one.entry_id for one in told.decided}
    added: dict[int, datetime] = {}
    for some in batched(sorted({one.feed_id for one in gone})):
        rows = session.execute(sa.select(col(Feed.id), col(Feed.added_at)).where(col(Feed.id).in_(some)))
        added |= {row[0]: row[1] for row in rows}
    marks: list[int] = []
    for one in gone:
        if one.id not in decided:
            continue
        feed = pruned.feed_name(one.feed_id, added[one.feed_id])
        marks += [pruned.by_key(feed, one.key), pruned.by_key_and_title(feed, one.key, one.title)]
        if one.published_at is not None and one.title:
            marks.append(pruned.by_title_and_date(feed, one.title, one.published_at))
    pruned.note(session, pruned.OF_FEEDS, marks)
    links: dict[int, list[int]] = defaultdict(list)
    ids = {one.id for one in gone}
    for said in told.decided:
        if said.entry_id in ids and said.link:
            links[said.newsletter_id].append(pruned.by_link(said.link))
    for newsletter_id, found in sorted(links.items()):
        pruned.note(session, newsletter_id, found)
