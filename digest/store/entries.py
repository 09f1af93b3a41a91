"""Entries that wait to be judged, and what curation learns from: their texts, gists and labels."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from digest.identity import Evidence, ids_tell, links_tell
from digest.models import Feed, NewsletterFeed
from digest.store.database import batched
from digest.store.feed_tables import Undecided
from digest.store.story_tables import LABELS, Admission, Entry, Story


class Waiting(NamedTuple):
    """An entry no decision was made about, without its text: an archive of thousands has to fit in memory."""

    id: int
    feed_id: int
    url: str
    original_url: str
    title: str
    author: str
    categories: list[str]
    language: str
    image_url: str
    published_at: datetime | None
    seen_at: datetime
    fault: str = ""
    points: int | None = None


class Reading(NamedTuple):
    """A feed as a newsletter reads it. `known` is false until a decision was made about one of its entries."""

    feed_id: int
    title: str
    url: str
    site_url: str
    topic: str
    folder: str
    known: bool
    ids_tell: bool = False  # an id alone tells one of its entries from another, however long ago that was there
    links_tell: bool = True  # see `identity.links_tell`
    full_text: bool = False
    weight: float | None = None  # added to its stories' rank, in place of what the settings say
    keep: Sequence[str] = ()  # rules, see `curate.feed_rules`
    drop: Sequence[str] = ()


PATIENCE = 6  # times the settling time, after which an entry is taken although it is changed again and again


def settles_at(
    changed_at: datetime | None, seen_at: datetime, own_minutes: float | None, settle: timedelta
) -> datetime | None:
    """From when on an entry is settled; None for one that always was. A feed's own minutes go before `settle`."""
    if changed_at is None:
        return None
    settle = settle if own_minutes is None else timedelta(minutes=own_minutes)
    return min(changed_at + settle, seen_at + PATIENCE * settle)


def waiting(session: Session, newsletter_id: int, *, settle: timedelta | None, now: datetime) -> Iterator[Waiting]:
    """Entries of the newsletter's feeds without a decision, feed by feed in the feed's order; some at a time are read.

    Not those that their publisher took back, nor those that have not settled yet (but for None, where these count):
    the next time has them.

    By the rows of `Undecided` and the absence of an `Admission`, never by a date or an id: entries of a feed
    subscribed to later, or stored by a transaction that committed later, are found all the same.
    """
    decided = select(Admission.entry_id).where(Admission.newsletter_id == newsletter_id, Admission.entry_id == Entry.id)
    rows = session.execute(
        sa.select(col(Entry.id))
        .select_from(Undecided)
        .join(Entry, col(Entry.id) == col(Undecided.entry_id))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Entry.feed_id))
        .where(col(Undecided.newsletter_id) == newsletter_id, col(NewsletterFeed.newsletter_id) == newsletter_id)
        .where(~decided.exists(), col(Entry.withdrawn_at).is_(None))
        .order_by(col(Entry.feed_id), col(Entry.id))
    )
    # Their numbers first: a database sorts whole rows in memory, and its driver may hold all that it was answered.
    ids = array("q", (row[0] for row in rows.yield_per(500)))
    for some in batched(ids):
        found = session.execute(
            sa.select(
                *(getattr(Entry, name) for name in Waiting._fields), col(Entry.changed_at), col(Feed.settle_minutes)
            )
            .join(Feed, col(Feed.id) == col(Entry.feed_id))
            .where(col(Entry.id).in_(some))
            .order_by(col(Entry.feed_id), col(Entry.id))
        )
        for *values_, changed_at, own_minutes in found.all():
            entry = Waiting(*values_)
            at = None if settle is None else settles_at(changed_at, entry.seen_at, own_minutes, settle)
            if at is None or at <= now:
                yield entry


def readings(session: Session, newsletter_id: int) -> dict[int, Reading]:
    """The feeds of a newsletter by id."""
    # One within the other, so that a feed without a decision costs its own entries and not all decisions.
    decided = select(Admission.entry_id).where(Admission.newsletter_id == newsletter_id, Admission.entry_id == Entry.id)
    known = select(Entry.id).where(Entry.feed_id == NewsletterFeed.feed_id, decided.exists()).exists()
    rows = session.execute(
        sa.select(
            col(Feed.id),
            col(Feed.title),
            col(Feed.url),
            col(Feed.site_url),
            col(NewsletterFeed.topic),
            col(NewsletterFeed.folder),
            known,
            *(col(getattr(Feed, name)) for name in ("identity", "evidence", "full_text", "weight", "keep", "drop")),
        )
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
        .where(col(NewsletterFeed.newsletter_id) == newsletter_id)
    )
    found = {}
    # What a feed was seen to do is ten times as large as what follows from it, which alone is asked for.
    for *values_, chosen, seen, full_text, weight, keep, drop in rows.yield_per(200):
        evidence = Evidence.of(seen)
        tell = (ids_tell(evidence, chosen), links_tell(evidence, chosen))
        found[values_[0]] = Reading._make((*values_, *tell, full_text, weight, tuple(keep or ()), tuple(drop or ())))
    return found


_LATELY = 200  # entries of a feed by which its votes are judged


def most_points(session: Session, feed_ids: Collection[int]) -> dict[int, int]:
    """The most votes that one of a feed's latest entries has, by feed; none for one with no two to compare."""
    if not feed_ids:
        return {}
    other = aliased(Entry)
    lately = (
        sa.select(col(other.id))
        .where(col(other.feed_id) == col(Feed.id), col(other.points).is_not(None))
        .order_by(col(other.id).desc())
        .limit(_LATELY)
        .correlate(Feed)
    )
    rows = session.execute(
        sa.select(col(Feed.id), sa.func.max(col(Entry.points)))
        .join(Entry, col(Entry.id).in_(lately))
        .where(col(Feed.id).in_(feed_ids))
        .group_by(col(Feed.id))
        .having(sa.func.count() > 1)
    )
    return {row[0]: row[1] for row in rows}


_LINKING = 40_000  # characters of a text in which links are looked for


class Labelled(NamedTuple):
    """An entry whose topic somebody knows: the operator, by its feed, a rule, a category or a correction."""

    entry_id: int
    title: str
    url: str
    language: str
    topic: str


def gists(session: Session, ids: Iterable[int]) -> Iterator[tuple[int, bytes | None]]:
    """What is stored of the gists of these entries, in their order."""
    for some in batched(ids):
        rows = session.execute(sa.select(col(Entry.id), col(Entry.gist)).where(col(Entry.id).in_(some)))
        found = {row[0]: row[1] for row in rows}
        yield from ((id_, found[id_]) for id_ in some if id_ in found)


def text(session: Session, entry_id: int) -> tuple[str, str]:
    """Summary and content of an entry."""
    found = session.execute(sa.select(col(Entry.summary), col(Entry.content)).where(col(Entry.id) == entry_id)).one()
    return found[0], found[1]


def linking(session: Session, ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    """The texts of those of these entries that link anywhere, the head of each."""
    told = sa.func.substr(
        sa.case((col(Entry.content) != "", col(Entry.content)), else_=col(Entry.summary)), 1, _LINKING
    )
    for some in batched(ids):
        query = sa.select(col(Entry.id), told).where(col(Entry.id).in_(some), told.contains('href="http'))
        yield from ((row[0], row[1]) for row in session.execute(query))


def keep_gists(session: Session, made: Mapping[int, bytes]) -> None:
    """Store gists of entries that had none."""
    if made:
        session.connection().execute(
            sa.update(Entry).where(col(Entry.id) == sa.bindparam("entry_id")).values(gist=sa.bindparam("made")),
            [{"entry_id": id_, "made": gist} for id_, gist in made.items()],
        )


def change_gists(session: Session, made: Mapping[int, tuple[bytes | None, bytes]]) -> None:
    """Store other gists in the place of those that were there, as far as they still are."""
    if made:
        was = sa.bindparam("was", type_=sa.LargeBinary)
        session.connection().execute(
            sa.update(Entry)
            .where(col(Entry.id) == sa.bindparam("entry_id"), col(Entry.gist).is_not_distinct_from(was))
            .values(gist=sa.bindparam("made")),
            [{"entry_id": id_, "was": was, "made": gist} for id_, (was, gist) in made.items()],
        )


def keys(session: Session, ids: Iterable[int]) -> dict[int, str]:
    """The names of entries within their feeds."""
    found: dict[int, str] = {}
    for some in batched(ids):
        rows = session.execute(sa.select(col(Entry.id), col(Entry.key)).where(col(Entry.id).in_(some)))
        found |= {row[0]: row[1] for row in rows}
    return found


def still_waiting(session: Session, newsletter_id: int, ids: Iterable[int]) -> bool:
    """Whether no decision was made about any of these entries, none was taken back, and the newsletter reads them."""
    mine = set(session.exec(select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter_id)))
    for some in batched(ids):
        # Each by its own key: joined, SQLite goes through all entries of all feeds for every few.
        there = session.execute(
            sa.select(col(Entry.feed_id)).where(col(Entry.id).in_(some), col(Entry.withdrawn_at).is_(None))
        ).all()
        decided = select(Admission.entry_id).where(
            Admission.newsletter_id == newsletter_id, col(Admission.entry_id).in_(some)
        )
        if len(there) != len(some) or not mine.issuperset(row[0] for row in there) or session.exec(decided).first():
            return False
    return True


def latest(session: Session, feed_ids: Collection[int], *, limit: int) -> dict[int, list[tuple[int, str]]]:
    """The last entries of each feed, newest first: id and address of its picture. As many feeds as IN (…) takes."""
    # What one answer brought is stored the oldest first, whatever its order in the feed. Each feed's are taken from the
    # end of an index: numbered by a window, all that it ever had would be gone through.
    other = aliased(Entry)
    lately = (
        sa.select(col(other.id))
        .where(col(other.feed_id) == col(Feed.id), col(other.fault) == "")
        .order_by(col(other.seen_at).desc(), col(other.id).desc())
        .limit(limit)
        .correlate(Feed)
    )
    query = (
        sa.select(col(Feed.id), col(Entry.id), col(Entry.image_url))
        .join(Entry, col(Entry.id).in_(lately))
        .where(col(Feed.id).in_(feed_ids))
        .order_by(col(Entry.seen_at).desc(), col(Entry.id).desc())
    )
    found: dict[int, list[tuple[int, str]]] = {feed_id: [] for feed_id in feed_ids}
    for feed_id, id_, image_url in session.execute(query):
        found[feed_id].append((id_, image_url))
    return found


class ForRules(NamedTuple):
    """As much of a stored entry as rules look at."""

    title: str
    url: str
    original_url: str
    author: str
    categories: tuple[str, ...]


def for_rules(session: Session, feed_id: int, *, limit: int) -> list[ForRules]:
    """The last entries of a feed, newest first."""
    rows = session.execute(
        sa.select(*(col(getattr(Entry, name)) for name in ForRules._fields))
        .where(col(Entry.feed_id) == feed_id, col(Entry.fault) == "")
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    return [ForRules._make((*values, tuple(map(str, categories or ())))) for *values, categories in rows]


def labelled(session: Session, newsletter_id: int, *, per_feed: int = 150, limit: int = 3000) -> list[Labelled]:
    """Entries whose topic is known, the newest `limit` of them and of one feed at most `per_feed`.

    An entry of a feed with one topic counts even where it was held; a correction goes before everything.
    """
    text = (col(Entry.id), col(Entry.title), col(Entry.url), col(Entry.language))
    other = aliased(Entry)
    latest = (
        sa.select(col(other.id))
        .where(col(other.feed_id) == col(NewsletterFeed.feed_id), col(other.fault) == "")
        .order_by(col(other.seen_at).desc(), col(other.id).desc())
        .limit(per_feed)
        .correlate(NewsletterFeed)
    )
    of_feeds = (
        sa.select(*text, col(NewsletterFeed.topic))
        .join(NewsletterFeed, col(Entry.id).in_(latest))
        .where(col(NewsletterFeed.newsletter_id) == newsletter_id, col(NewsletterFeed.topic) != "")
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    by_story = (
        sa.select(*text, col(Story.topic))
        .join(Story, col(Story.entry_id) == col(Entry.id))
        .where(col(Story.newsletter_id) == newsletter_id, LABELS)
        .order_by(col(Story.seq).desc())
        .limit(limit)
    )
    found = {row[0]: Labelled(*row) for row in session.execute(of_feeds)}
    found |= {row[0]: Labelled(*row) for row in session.execute(by_story)}
    return sorted(found.values(), key=lambda label: -label.entry_id)[:limit]


def label_counts(session: Session, newsletter_id: int) -> dict[str, int]:
    """How many entries are known to belong under each topic."""
    return dict(Counter(label.topic for label in labelled(session, newsletter_id)))
