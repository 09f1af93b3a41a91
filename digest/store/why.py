"""The editor's questions: what became of a story or an entry, in whose letters it was, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, EditionState, Feed, NewsletterFeed, OutboxRow, OutboxState, Variant
from digest.store import rolls
from digest.store.database import batched
from digest.store.entries import Waiting
from digest.store.story_tables import Admission, Decision, Entry, Story, VariantStory


@dataclass(frozen=True)
class Line:
    """A story as `digest story list` shows it. `state` is pinned, dropped, in an edition, left out or waiting."""

    id: int
    topic: str
    title: str
    source: str
    sources: int
    rank: float
    published_at: datetime
    state: str


def lines(session: Session, newsletter_id: int, *, topic: str = "", waiting: bool = False, limit: int) -> list[Line]:
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
        Line(
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


def pinned(session: Session, newsletter_id: int) -> list[Story]:
    """The stories that are pinned and can still be moved: beyond what the last edition that is out had."""
    out = sa.select(sa.func.coalesce(sa.func.max(col(Edition.upto_seq)), 0)).where(
        col(Edition.newsletter_id) == newsletter_id, col(Edition.state) != EditionState.HELD
    )
    query = sa.select(Story).where(
        col(Story.newsletter_id) == newsletter_id,
        col(Story.pinned).is_(True),
        col(Story.seq) > out.scalar_subquery(),
    )
    return list(session.execute(query.order_by(col(Story.seq))).scalars())


def find(session: Session, newsletter_id: int, story_id: int) -> Story | None:
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
    withdrawn_at: datetime | None


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
            col(Entry.withdrawn_at),
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
    chosen_from: dict[str, int]
    muted: list[int]  # seqs that their mutes left out of it
    pruned: bool  # then it is perhaps known no more what it carried and left out
    moved: list[list[int]]  # [seq, level] of what stood higher or lower in it, for what they want more and less of
    left_out: str


def letters_about(
    session: Session, newsletter_id: int, subscriber_id: int, *, story_seq: int, story_id: int
) -> list[About]:
    """The letters to a person that carry a story or could have, oldest first."""
    query = (
        sa.select(
            col(Edition.number),
            col(Variant.topics),
            col(OutboxRow.state),
            col(OutboxRow.due_at),
            col(OutboxRow.settled_at),
            col(VariantStory.position),
            col(Variant.chosen_from),
            col(Variant.muted),
            col(Edition.pruned),
            col(Variant.moved),
            col(Variant.left_out),
            col(Variant.id),
        )
        .select_from(Variant)
        .join(Edition, col(Edition.id) == col(Variant.edition_id))
        .outerjoin(
            VariantStory,
            sa.and_(col(VariantStory.variant_id) == col(Variant.id), col(VariantStory.story_id) == story_id),
        )
        .where(
            col(Edition.newsletter_id) == newsletter_id,
            col(Variant.since_seq) < story_seq,
            col(Edition.upto_seq) >= story_seq,
        )
        .order_by(col(Edition.number))
    )
    here = sa.and_(col(OutboxRow.variant_id) == col(Variant.id), col(OutboxRow.subscriber_id) == subscriber_id)
    found = list(session.execute(query.join(OutboxRow, here)))
    past = {letter.variant_id: letter for letter in rolls.of_person(session, subscriber_id)}
    for some in batched(sorted(past)):
        rolled = query.outerjoin(OutboxRow, sa.false()).where(col(Variant.id).in_(some))
        for number, topics, _state, _due_at, _settled_at, *rest in session.execute(rolled):
            letter = past[rest[-1]]
            found.append((number, topics, letter.state, letter.at, letter.at, *rest))  # type: ignore[arg-type]
    found.sort(key=lambda row: int(row[0]))
    return [About._make((*letter, dict(left_out or ()).get(story_id, ""))) for *letter, left_out, _variant in found]


def was_owed(session: Session, newsletter_id: int, subscriber_id: int, *, story_seq: int) -> bool:
    """Was a person owed the edition that had a story to choose from first?"""
    first = (
        sa.select(sa.func.min(Edition.number))
        .where(col(Edition.newsletter_id) == newsletter_id, col(Edition.upto_seq) >= story_seq)
        .scalar_subquery()
    )
    query = (
        sa.select(col(OutboxRow.id))
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .where(col(Edition.newsletter_id) == newsletter_id, col(Edition.number) == first)
        .where(col(OutboxRow.subscriber_id) == subscriber_id)
    )
    if session.execute(query.limit(1)).first() is not None:
        return True
    numbers = {past.number for past in rolls.of_person(session, subscriber_id)}
    return bool(numbers) and session.execute(sa.select(first)).scalar() in numbers


class EntryFate(NamedTuple):
    """An entry and what a newsletter decided about it; no decision yet is None. The rest says how it settles."""

    entry_id: int
    title: str
    url: str
    source: str
    decision: Decision | None
    reason: str
    story_id: int | None
    seen_at: datetime
    changed_at: datetime | None
    withdrawn_at: datetime | None
    own_minutes: float | None


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
            col(Entry.seen_at),
            col(Entry.changed_at),
            col(Entry.withdrawn_at),
            col(Feed.settle_minutes),
        )
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
        .outerjoin(
            Admission,
            sa.and_(col(Admission.entry_id) == col(Entry.id), col(Admission.newsletter_id) == newsletter_id),
        )
        .where(
            col(NewsletterFeed.newsletter_id) == newsletter_id,
            col(Entry.id).in_(
                sa.select(col(Entry.id))
                .where(col(Entry.url) == url)
                .union_all(
                    sa.select(col(Entry.id)).where(sa.text("original_url <> ''"), col(Entry.original_url) == url)
                )
            ),
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
