"""Entries that wait to be judged, what was decided about them, and the stories made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import values
from digest.models import (
    Admission,
    Decision,
    Edition,
    Entry,
    Feed,
    NewsletterFeed,
    OutboxRow,
    OutboxState,
    Story,
    Variant,
    VariantStory,
)

_CHUNK = 500  # ids in one IN (…): SQLite allows 32,766 variables, older builds 999


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


class Reading(NamedTuple):
    """A feed as a newsletter reads it. `known` is false until a decision was made about one of its entries."""

    feed_id: int
    title: str
    url: str
    site_url: str
    topic: str
    folder: str
    known: bool


def waiting_entries(session: Session, newsletter_id: int) -> list[Waiting]:
    """Entries of the newsletter's feeds without a decision, feed by feed in the feed's order.

    By the absence of an `Admission`, never by a date or an id: entries of a feed subscribed to later, or stored
    by a transaction that committed later, are found all the same.
    """
    decided = select(Admission.entry_id).where(Admission.newsletter_id == newsletter_id, Admission.entry_id == Entry.id)
    rows = session.execute(
        sa.select(*(getattr(Entry, name) for name in Waiting._fields))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Entry.feed_id))
        .where(col(NewsletterFeed.newsletter_id) == newsletter_id, ~decided.exists())
        .order_by(col(Entry.feed_id), col(Entry.id))
    )
    return [Waiting(*row) for row in rows]


def readings(session: Session, newsletter_id: int) -> dict[int, Reading]:
    """The feeds of a newsletter by id."""
    known = (
        select(Admission.entry_id)
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .where(Admission.newsletter_id == newsletter_id, Entry.feed_id == NewsletterFeed.feed_id)
        .exists()
    )
    rows = session.execute(
        sa.select(
            col(Feed.id),
            col(Feed.title),
            col(Feed.url),
            col(Feed.site_url),
            col(NewsletterFeed.topic),
            col(NewsletterFeed.folder),
            known,
        )
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
        .where(col(NewsletterFeed.newsletter_id) == newsletter_id)
    )
    return {row[0]: Reading(*row) for row in rows}


class Told(NamedTuple):
    """An entry that made or joined a story."""

    story_id: int
    entry_id: int
    feed_id: int
    title: str
    url: str
    link: str
    published_at: datetime | None
    seen_at: datetime


class Labelled(NamedTuple):
    """An entry whose topic somebody knows: the operator, by its feed, a rule, a category or a correction."""

    entry_id: int
    title: str
    url: str
    topic: str


def gists(session: Session, ids: Iterable[int]) -> Iterator[tuple[int, bytes | None]]:
    """What is stored of the gists of these entries, in their order."""
    for some in _chunks(ids):
        rows = session.execute(sa.select(col(Entry.id), col(Entry.gist)).where(col(Entry.id).in_(some)))
        found = {row[0]: row[1] for row in rows}
        yield from ((id_, found[id_]) for id_ in some if id_ in found)


def entry_text(session: Session, entry_id: int) -> tuple[str, str]:
    """Summary and content of an entry."""
    found = session.execute(sa.select(col(Entry.summary), col(Entry.content)).where(col(Entry.id) == entry_id)).one()
    return found[0], found[1]


def keep_gists(session: Session, made: Mapping[int, bytes]) -> None:
    """Store gists of entries that had none."""
    if made:
        session.connection().execute(
            sa.update(Entry).where(col(Entry.id) == sa.bindparam("entry_id")).values(gist=sa.bindparam("made")),
            [{"entry_id": id_, "made": gist} for id_, gist in made.items()],
        )


def still_waiting(session: Session, newsletter_id: int, ids: Iterable[int]) -> bool:
    """Whether no decision was made about any of these entries, and the newsletter reads their feeds."""
    for some in _chunks(ids):
        decided = select(Admission.entry_id).where(
            Admission.newsletter_id == newsletter_id, Admission.entry_id == Entry.id
        )
        count = session.execute(
            sa.select(sa.func.count())
            .select_from(Entry)
            .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Entry.feed_id))
            .where(col(NewsletterFeed.newsletter_id) == newsletter_id, col(Entry.id).in_(some), ~decided.exists())
        ).scalar_one()
        if count != len(some):
            return False
    return True


def latest_entries(session: Session, feed_id: int, *, limit: int) -> list[tuple[int, str]]:
    """The last entries of a feed, newest first: id and address of its picture."""
    rows = session.execute(
        sa.select(col(Entry.id), col(Entry.image_url))
        .where(col(Entry.feed_id) == feed_id, col(Entry.fault) == "")
        # What one answer brought is stored in the feed's order, which is newest first.
        .order_by(col(Entry.seen_at).desc(), col(Entry.id))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def told_lately(session: Session, newsletter_id: int, *, since: datetime, links: Iterable[str]) -> list[Told]:
    """What told the stories decided about from `since` on, and whatever had one of these links, however long ago."""
    query = (
        sa.select(
            col(Admission.story_id),
            col(Admission.entry_id),
            col(Entry.feed_id),
            col(Entry.title),
            col(Entry.url),
            col(Admission.link),
            col(Entry.published_at),
            col(Entry.seen_at),
        )
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .where(col(Admission.newsletter_id) == newsletter_id, col(Admission.story_id).is_not(None))
    )
    found = {row[1]: Told(*row) for row in session.execute(query.where(col(Admission.decided_at) >= since))}
    for some in _chunks(sorted(links)):
        found |= {row[1]: Told(*row) for row in session.execute(query.where(col(Admission.link).in_(some)))}
    return sorted(found.values(), key=lambda told: told.entry_id)


def labelled_entries(session: Session, newsletter_id: int, *, per_feed: int = 150, limit: int = 3000) -> list[Labelled]:
    """Entries whose topic is known, the newest `limit` of them and of one feed at most `per_feed`.

    An entry of a feed with one topic counts even where it was held; a correction goes before everything.
    """
    text = (col(Entry.id), col(Entry.title), col(Entry.url))
    place = sa.func.row_number().over(
        partition_by=col(Entry.feed_id), order_by=(col(Entry.seen_at).desc(), col(Entry.id))
    )
    by_feed = (
        sa.select(*text, col(NewsletterFeed.topic).label("topic"), place.label("place"))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Entry.feed_id))
        .where(
            col(NewsletterFeed.newsletter_id) == newsletter_id, col(NewsletterFeed.topic) != "", col(Entry.fault) == ""
        )
        .subquery()
    )
    by_story = (
        sa.select(*text, col(Story.topic))
        .join(Story, col(Story.entry_id) == col(Entry.id))
        .where(col(Story.newsletter_id) == newsletter_id, col(Story.topic_step).in_(LABELLING))
        .order_by(col(Story.seq).desc())
        .limit(limit)
    )
    columns = list(by_feed.c)[:-1]
    of_feeds = sa.select(*columns).where(by_feed.c.place <= per_feed).order_by(by_feed.c.id.desc()).limit(limit)
    found = {row[0]: Labelled(*row) for row in session.execute(of_feeds)}
    found |= {row[0]: Labelled(*row) for row in session.execute(by_story)}
    return sorted(found.values(), key=lambda label: -label.entry_id)[:limit]


def label_counts(session: Session, newsletter_id: int) -> dict[str, int]:
    """How many entries are known to belong under each topic."""
    return dict(Counter(label.topic for label in labelled_entries(session, newsletter_id)))


def topic_counts(session: Session, newsletter_id: int) -> dict[str, int]:
    """How many stories there are under each topic."""
    rows = session.execute(
        sa.select(col(Story.topic), sa.func.count())
        .where(col(Story.newsletter_id) == newsletter_id)
        .group_by(col(Story.topic))
    )
    return {row[0]: row[1] for row in rows}


LABELLING = ("moved", "rule", "category")  # the steps that know, as against those that guess


def stories_by_id(session: Session, ids: Iterable[int | None]) -> dict[int, Story]:
    """The rows of these stories."""
    found: dict[int, Story] = {}
    for some in _chunks(sorted(id_ for id_ in ids if id_ is not None)):
        found |= {cast(int, story.id): story for story in session.exec(select(Story).where(col(Story.id).in_(some)))}
    return found


def add_stories(session: Session, rows: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Write stories, one row of values each; the new ids by `seq`."""
    if not rows:
        return {}
    session.execute(sa.insert(Story), rows)
    newsletter_id = rows[0]["newsletter_id"]
    first = min(row["seq"] for row in rows)
    found = session.execute(
        sa.select(col(Story.seq), col(Story.id)).where(
            col(Story.newsletter_id) == newsletter_id, col(Story.seq) >= first
        )
    )
    return {row[0]: row[1] for row in found}


def add_admissions(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write decisions, one row of values each."""
    if rows:
        session.execute(sa.insert(Admission), rows)


def stories_since(session: Session, newsletter_id: int, *, since: int, upto: int) -> list[values.Story]:
    """The stories with `since < seq <= upto` that no editor dropped, in that order, with who else tells them."""
    rows = session.execute(
        sa.select(Story, col(Entry.feed_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(
            col(Story.newsletter_id) == newsletter_id,
            col(Story.seq) > since,
            col(Story.seq) <= upto,
            col(Story.dropped).is_(False),
        )
        .order_by(col(Story.seq))
    ).all()
    return as_told(session, [(row[0], row[1]) for row in rows])


def as_told(session: Session, rows: Sequence[tuple[Story, int]]) -> list[values.Story]:
    """Stories, each with the id of the feed it is told by, as values that say who else tells them."""
    tellers = _tellers(session, [story.id for story, _ in rows if story.id is not None])
    return [_value(story, feed_id=feed_id, tellers=tellers[cast(int, story.id)]) for story, feed_id in rows]


class _ToldBy(NamedTuple):
    entry_id: int
    feed_title: str
    feed_url: str
    site_url: str
    url: str

    @property
    def host(self) -> str:
        """A site with several feeds tells a story once."""
        return (urlsplit(self.site_url or self.feed_url).hostname or "").removeprefix("www.")


def _value(story: Story, *, feed_id: int, tellers: Sequence[_ToldBy]) -> values.Story:
    """A row as a value, with each site that tells it besides the one it is told by here."""
    told = {teller.host for teller in tellers if teller.entry_id == story.entry_id}
    also = []
    for teller in tellers:
        if teller.host not in told:
            told.add(teller.host)
            also.append(values.Source(teller.feed_title or teller.feed_url, teller.url))
    return values.Story(
        id=cast(int, story.id),
        seq=story.seq,
        topic=story.topic,
        url=story.url,
        title=story.title,
        source=story.source,
        author=story.author,
        excerpt=story.excerpt,
        language=story.language,
        image_url=story.image_url,
        reading_minutes=story.reading_minutes,
        published_at=story.published_at,
        rank=story.rank,
        pinned=story.pinned,
        feed_id=feed_id,
        also=tuple(also),
        related=tuple(values.Source(r["title"], r["url"]) for r in story.reasons.get("related", ())),
        dated=not story.reasons.get("rank", {}).get("undated"),
    )


def _tellers(session: Session, story_ids: Iterable[int]) -> defaultdict[int, list[_ToldBy]]:
    found: defaultdict[int, list[_ToldBy]] = defaultdict(list)
    for chunk in _chunks(story_ids):
        for story_id, *teller in session.execute(
            sa.select(
                col(Admission.story_id),
                col(Entry.id),
                col(Feed.title),
                col(Feed.url),
                col(Feed.site_url),
                col(Entry.url),
            )
            .join(Entry, col(Entry.id) == col(Admission.entry_id))
            .join(Feed, col(Feed.id) == col(Entry.feed_id))
            .where(col(Admission.story_id).in_(chunk))
            .order_by(col(Entry.id))
        ):
            found[story_id].append(_ToldBy(*teller))
    return found


_T = TypeVar("_T")


def _chunks(ids: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(ids)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


# ---------------------------------------------------------------- the editor's questions


@dataclass(frozen=True)
class StoryLine:
    """A story as `digest story list` shows it. `state` is pinned, dropped, in an edition, left out or waiting."""

    id: int
    topic: str
    title: str
    source: str
    sources: int
    rank: float
    published_at: datetime
    state: str


def story_lines(
    session: Session, newsletter_id: int, *, topic: str = "", waiting: bool = False, limit: int
) -> list[StoryLine]:
    """The stories admitted last, newest first; with `waiting` those that no edition has had to choose from."""
    sources = (
        sa.select(sa.func.count(sa.distinct(col(Entry.feed_id))))
        .join(Admission, col(Admission.entry_id) == col(Entry.id))
        .where(col(Admission.story_id) == col(Story.id))
        .scalar_subquery()
    )
    number = (
        sa.select(sa.func.min(Edition.number))
        .join(Variant, col(Variant.edition_id) == col(Edition.id))
        .join(VariantStory, col(VariantStory.variant_id) == col(Variant.id))
        .where(col(VariantStory.story_id) == col(Story.id))
        .scalar_subquery()
    )
    upto = sa.select(sa.func.coalesce(sa.func.max(Edition.upto_seq), 0)).where(
        col(Edition.newsletter_id) == newsletter_id
    )
    query = sa.select(Story, sources, number, upto.scalar_subquery()).where(col(Story.newsletter_id) == newsletter_id)
    if topic:
        query = query.where(col(Story.topic) == topic)
    if waiting:
        query = query.where(col(Story.seq) > upto.scalar_subquery(), col(Story.dropped).is_(False))
    rows = session.execute(query.order_by(col(Story.seq).desc()).limit(limit))
    return [
        StoryLine(
            id=cast(int, story.id),
            topic=story.topic,
            title=story.title,
            source=story.source,
            sources=count,
            rank=story.rank,
            published_at=story.published_at,
            state=_standing(story, edition, judged=story.seq <= upto_seq),
        )
        for story, count, edition, upto_seq in rows
    ]


def _standing(story: Story, edition: int | None, *, judged: bool) -> str:
    if story.dropped:
        return "dropped"
    if edition is not None:
        return f"in edition {edition}"
    if judged:
        return "left out"  # an edition had it to choose from; `digest why STORY --subscriber` says more
    return "pinned" if story.pinned else "waiting"


def story(session: Session, newsletter_id: int, story_id: int) -> Story | None:
    """A story of this newsletter."""
    found = session.get(Story, story_id)
    return found if found is not None and found.newsletter_id == newsletter_id else None


class Teller(NamedTuple):
    """An entry that tells a story, and why it counts as the same."""

    entry_id: int
    source: str
    title: str
    url: str
    decision: Decision
    reason: str


def tellings(session: Session, story_id: int) -> list[Teller]:
    """Who tells a story, in the order in which they were read."""
    rows = session.execute(
        sa.select(
            col(Entry.id),
            sa.case((col(Feed.title) != "", col(Feed.title)), else_=col(Feed.url)),
            col(Entry.title),
            col(Entry.url),
            col(Admission.decision),
            col(Admission.reason),
        )
        .join(Admission, col(Admission.entry_id) == col(Entry.id))
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .where(col(Admission.story_id) == story_id)
        .order_by(col(Entry.id))
    )
    return [Teller(*row) for row in rows]


def editions_with(session: Session, story_id: int) -> list[int]:
    """The numbers of the editions that carry a story."""
    return list(
        session.execute(
            sa.select(col(Edition.number))
            .distinct()
            .join(Variant, col(Variant.edition_id) == col(Edition.id))
            .join(VariantStory, col(VariantStory.variant_id) == col(Variant.id))
            .where(col(VariantStory.story_id) == story_id)
            .order_by(col(Edition.number))
        ).scalars()
    )


def left_out_of(session: Session, newsletter_id: int, *, seq: int, story_id: int) -> list[tuple[int, str]]:
    """The edition that left a story out for some of its readers (its number), and why; [] where none did."""
    edition = session.execute(
        sa.select(col(Edition.id), col(Edition.number))
        .where(col(Edition.newsletter_id) == newsletter_id, col(Edition.upto_seq) >= seq)
        .order_by(col(Edition.number))
        .limit(1)
    ).first()
    if edition is None:
        return []
    rows = session.execute(
        sa.select(col(Variant.left_out))
        .where(col(Variant.edition_id) == edition[0], col(Variant.since_seq) < seq)
        .order_by(col(Variant.letters).desc(), col(Variant.id))
        .limit(20)  # most readers have one of these
    )
    reasons = (dict(left_out or ()).get(story_id) for (left_out,) in rows)
    why = next(filter(None, reasons), None)
    return [(edition[1], str(why))] if why else []


class About(NamedTuple):
    """A letter to one person whose edition had a story to choose from; `position` is None where it left it out."""

    number: int
    topics: list[str]
    state: OutboxState
    due_at: datetime
    settled_at: datetime | None
    position: int | None
    left_out: str


def letters_about(
    session: Session, newsletter_id: int, subscriber_id: int, *, story_seq: int, story_id: int
) -> list[About]:
    """The letters to a person that carry a story or could have, oldest first."""
    rows = session.execute(
        sa.select(
            col(Edition.number),
            col(Variant.topics),
            col(OutboxRow.state),
            col(OutboxRow.due_at),
            col(OutboxRow.settled_at),
            col(VariantStory.position),
            col(Variant.left_out),
        )
        .join(Variant, col(Variant.id) == col(OutboxRow.variant_id))
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .outerjoin(
            VariantStory,
            sa.and_(col(VariantStory.variant_id) == col(Variant.id), col(VariantStory.story_id) == story_id),
        )
        .where(
            col(Edition.newsletter_id) == newsletter_id,
            col(OutboxRow.subscriber_id) == subscriber_id,
            col(Variant.since_seq) < story_seq,
            col(Edition.upto_seq) >= story_seq,
        )
        .order_by(col(Edition.number))
    )
    return [About._make((*letter, dict(left_out or ()).get(story_id, ""))) for *letter, left_out in rows]


class EntryFate(NamedTuple):
    """An entry and what a newsletter decided about it; no decision yet is None."""

    entry_id: int
    title: str
    url: str
    source: str
    decision: Decision | None
    reason: str
    story_id: int | None


def entries_at(session: Session, newsletter_id: int, url: str) -> list[EntryFate]:
    """What became of the entries of a newsletter's feeds that have this address."""
    rows = session.execute(
        sa.select(
            col(Entry.id),
            col(Entry.title),
            col(Entry.url),
            sa.case((col(Feed.title) != "", col(Feed.title)), else_=col(Feed.url)),
            col(Admission.decision),
            sa.func.coalesce(col(Admission.reason), ""),
            col(Admission.story_id),
        )
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
        .outerjoin(
            Admission,
            sa.and_(col(Admission.entry_id) == col(Entry.id), col(Admission.newsletter_id) == newsletter_id),
        )
        .where(
            col(NewsletterFeed.newsletter_id) == newsletter_id,
            sa.or_(col(Entry.url) == url, col(Entry.original_url) == url),
        )
        .order_by(col(Entry.id))
    )
    return [EntryFate(*row) for row in rows]


class Decided(NamedTuple):
    """An entry, what was decided about it, and the story it makes or joins."""

    entry: Waiting
    decision: Decision
    reason: str
    story_id: int | None
    topic: str
    topic_step: str
    pinned: bool


def decided_since(session: Session, newsletter_id: int, since: datetime) -> Iterator[Decided]:
    """The decisions made from `since` on, but for what was held; corrections by an editor included."""
    rows = session.execute(
        sa.select(
            *(getattr(Entry, name) for name in Waiting._fields),
            col(Admission.decision),
            col(Admission.reason),
            col(Admission.story_id),
            sa.func.coalesce(col(Story.topic), ""),
            sa.func.coalesce(col(Story.topic_step), ""),
            sa.func.coalesce(col(Story.pinned), sa.false()),
        )
        .join(Admission, col(Admission.entry_id) == col(Entry.id))
        .outerjoin(Story, sa.and_(col(Story.id) == col(Admission.story_id), col(Story.entry_id) == col(Entry.id)))
        .where(
            col(Admission.newsletter_id) == newsletter_id,
            col(Admission.decided_at) >= since,
            col(Admission.decision).in_((Decision.STORY, Decision.MUTED)),
        )
        .order_by(col(Entry.id))
    ).all()
    width = len(Waiting._fields)
    for row in rows:
        yield Decided(Waiting(*row[:width]), *row[width:])
