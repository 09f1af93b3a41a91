"""What was sent, found by its words: the same answers by SQLite's FTS5 and by PostgreSQL's `tsvector`.

Both are given words that are taken apart already, so neither's own idea of a word decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest import values
from digest.models import UNFOUND, Edition, EditionState, OutboxRow, OutboxState, Variant
from digest.store import rolls
from digest.store.archive_tables import AS_VECTOR, ArchiveWords, StoryWord
from digest.store.database import batched, insert_into
from digest.store.stories import as_told
from digest.store.story_tables import Entry, Story, VariantStory

MOST_WORDS = 12  # of a question: what is longer is asked by its beginning
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Found:
    """A story, and the edition that it was in."""

    story: values.Story
    number: int
    at: datetime


@dataclass(frozen=True)
class Letter:
    """An edition as somebody was sent it; `key` is the one of its own page."""

    number: int
    at: datetime
    subject: str
    key: str


def unfound(session: Session, *, limit: int) -> list[int]:
    """Open editions whose stories cannot be found yet, oldest first."""
    return list(session.scalars(sa.select(col(Edition.id)).where(UNFOUND).order_by(col(Edition.id)).limit(limit)))


def keep(
    session: Session,
    edition_ids: Sequence[int],
    words: Callable[[str], list[str]],
    telling: Callable[[str, str], list[str]] = lambda _title, _url: [],
) -> int:
    """Let the stories of these editions be found by the `words` of what they say; how many stories.

    And by what continues them: by the `telling` words of their titles.
    """
    told = (
        sa.select(col(VariantStory.story_id), sa.func.max(col(Variant.edition_id)))
        .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
        .where(col(Variant.edition_id).in_(edition_ids))
        .group_by(col(VariantStory.story_id))
    )
    edition_of = {row[0]: row[1] for row in session.execute(told)}
    for some in batched(sorted(edition_of)):
        parts = sa.select(col(Story.id), col(Story.title), col(Story.source), col(Story.author), col(Story.excerpt))
        rows = [
            {"story_id": id_, "edition_id": edition_of[id_], "words": words(" ".join(said))}
            for id_, *said in session.execute(parts.where(col(Story.id).in_(some)))
        ]
        if rows:
            row = insert_into(session, ArchiveWords)
            again = {"edition_id": row.excluded.edition_id, "words": row.excluded.words}
            session.execute(row.on_conflict_do_update(index_elements=["story_id"], set_=again), rows)
        titles = sa.select(col(Story.newsletter_id), col(Story.id), col(Story.title), col(Story.url))
        known_by = [
            {"newsletter_id": paper, "word": word, "story_id": id_}
            for paper, id_, *said in session.execute(titles.where(col(Story.id).in_(some)))
            for word in telling(*said)
        ]
        if known_by:
            session.execute(insert_into(session, StoryWord).on_conflict_do_nothing(), known_by)
    done = sa.update(Edition).where(col(Edition.id).in_(edition_ids)).values(findable=True)
    session.execute(done, execution_options=_NO_SYNC)
    return len(edition_of)


def stories(
    session: Session,
    words: Sequence[str],
    newsletter_id: int,
    *,
    upto: int,
    before: int | None = None,
    limit: int = 30,
) -> list[Found]:
    """The stories of open editions that have all of these words, or words that begin so; newest first.

    Those with a seq of at most `upto` and below `before` that no editor dropped.
    """
    last = upto if before is None else min(upto, before - 1)
    return _found(session, words, newsletter_id, col(Story.seq) <= last, limit)


def stories_sent(
    session: Session,
    words: Sequence[str],
    newsletter_id: int,
    subscription_id: int,
    *,
    before: int | None = None,
    limit: int = 30,
) -> list[Found]:
    """The same of what one reader was sent, as far as it is known: by so many rolls as `rolls.latest` reads."""
    mine = sa.select(col(OutboxRow.variant_id)).where(
        col(OutboxRow.subscription_id) == subscription_id, col(OutboxRow.state) == OutboxState.SENT
    )
    past = [
        one.variant_id
        for _number, some in rolls.latest(session, subscription_id)
        for one in some
        if one.state is OutboxState.SENT
    ]
    of_mine = col(VariantStory.variant_id).in_(mine) | col(VariantStory.variant_id).in_(past)
    told = sa.exists().where(col(VariantStory.story_id) == col(Story.id), of_mine)
    return _found(session, words, newsletter_id, told if before is None else told & (col(Story.seq) < before), limit)


class Letters(NamedTuple):
    """Letters, the newest first, and below which number there may be others; None where there are no more."""

    found: list[Letter]
    older: int | None


def letters(session: Session, subscription_id: int, *, before: int | None = None, limit: int = 20) -> Letters:
    """The editions that one reader was sent and that are still known, with a number below `before`."""
    query = (
        sa.select(col(Edition.number), col(Edition.composed_at), col(Variant.subject), col(Variant.key))
        .join(Variant, col(Variant.edition_id) == col(Edition.id))
        .join(OutboxRow, col(OutboxRow.variant_id) == col(Variant.id))
        .where(col(OutboxRow.subscription_id) == subscription_id, col(OutboxRow.state) == OutboxState.SENT)
        .order_by(col(Edition.number).desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(col(Edition.number) < before)
    found = [Letter(*row) for row in session.execute(query)]
    # Others are in rolls: older ones, or younger than one that stays out of them since a letter of its edition is held.
    # So many rolls are looked through at a time: then who asks goes on from there.
    since = found[limit].number if len(found) > limit else None
    older = None
    for number, past in rolls.latest(session, subscription_id, before=before, since=since):
        older = number
        found += [_of_roll(session, one) for one in past if one.state is OutboxState.SENT]
        if sum(one.number >= number for one in found) > limit:
            break
    if older is not None and not _rolls_between(session, subscription_id, since, older):
        older = None
    found = sorted((one for one in found if one.number >= (older or 0)), key=lambda one: one.number, reverse=True)
    if len(found) > limit:
        return Letters(found[:limit], found[limit - 1].number)
    return Letters(found, older)


def _of_roll(session: Session, past: rolls.Past) -> Letter:
    key = session.execute(sa.select(col(Variant.key)).where(col(Variant.id) == past.variant_id)).scalar_one()
    return Letter(past.number, past.composed_at, past.subject, key)


def _rolls_between(session: Session, subscription_id: int, since: int | None, before: int) -> bool:
    return next(rolls.latest(session, subscription_id, before=before, since=since, looked=1), None) is not None


def _found(
    session: Session, words: Sequence[str], newsletter_id: int, which: sa.ColumnElement[bool], limit: int
) -> list[Found]:
    if not words:
        return []
    query = (
        sa.select(Story, col(Entry.feed_id), col(Edition.number), col(Edition.composed_at))
        .join(ArchiveWords, col(ArchiveWords.story_id) == col(Story.id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .join(Edition, col(Edition.id) == col(ArchiveWords.edition_id))
        .where(
            _has(session, words[:MOST_WORDS]),
            col(Story.newsletter_id) == newsletter_id,
            col(Story.dropped).is_(False),
            col(Edition.state) == EditionState.OPEN,
            which,
        )
        .order_by(col(Story.seq).desc())
        .limit(limit)
    )
    rows = session.execute(query).all()
    told = as_told(session, [(row[0], row[1]) for row in rows])
    return [Found(story, row[2], row[3]) for story, row in zip(told, rows, strict=True)]


def _has(session: Session, words: Sequence[str]) -> Any:
    """All of these words, each as it is or as a beginning; one sign alone only as it is."""
    on_postgres = session.connection().dialect.name == "postgresql"
    (quote, begins, both) = ("'", ":*", " & ") if on_postgres else ('"', "*", " AND ")
    asked = both.join(
        f"{quote}{word}{quote}" + (begins if len(word) > 1 or not word.isascii() else "") for word in words
    )
    if on_postgres:
        has = sa.text(f"{AS_VECTOR} @@ CAST(:asked AS tsquery)")
    else:
        has = sa.text("story.id IN (SELECT rowid FROM archive_index WHERE archive_index MATCH :asked)")
    return has.bindparams(asked=asked)
