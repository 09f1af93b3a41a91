"""Summaries that a machine wrote, by the mark of what each was made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.store.database import batched, insert_into
from digest.store.story_tables import Entry, Story
from digest.store.summary_tables import Summary


class Known(NamedTuple):
    """What a machine said of a text; `why` it is not believed, "" where it is."""

    text: str
    why: str
    model: str
    made_at: datetime


class Told(NamedTuple):
    """A story that stands for an edition, and its entry, of whose text a summary may be."""

    story: Story
    entry_id: int
    feed_id: int
    title: str
    language: str


def standing(session: Session, story_ids: Iterable[int]) -> list[Told]:
    """These stories, in their order."""
    found: list[Told] = []
    for some in batched(story_ids):
        rows = session.execute(
            sa.select(Story, *(col(getattr(Entry, name)) for name in ("id", "feed_id", "title", "language")))
            .join(Entry, col(Entry.id) == col(Story.entry_id))
            .where(col(Story.id).in_(some), col(Entry.withdrawn_at).is_(None))
        )
        by_id = {row[0].id: Told(*row) for row in rows}
        found += [by_id[id_] for id_ in some if id_ in by_id]
    return found


def known(session: Session, marks: Iterable[str]) -> dict[str, Known]:
    """What is known of these, by mark."""
    found: dict[str, Known] = {}
    for some in batched(marks):
        columns = (col(getattr(Summary, name)) for name in ("mark", "text", "why", "model", "made_at"))
        found |= {
            row[0]: Known(*row[1:]) for row in session.execute(sa.select(*columns).where(col(Summary.mark).in_(some)))
        }
    return found


def keep(session: Session, one: Summary) -> None:
    """Store what was said; where another run was first, its answer stays."""
    values = {name: getattr(one, name) for name in ("mark", "made_at", "model", "tokens", "text", "why")}
    session.connection().execute(
        insert_into(session, Summary).values(**values).on_conflict_do_nothing(index_elements=["mark"])
    )


def overdue(session: Session, *, now: datetime, days: int) -> bool:
    """Is there anything that `prune` would let go of?"""
    old = sa.select(col(Summary.mark)).where(col(Summary.made_at) < now - timedelta(days=days)).limit(1)
    return bool(days) and session.execute(old).first() is not None


def prune(session: Session, *, now: datetime, days: int, limit: int) -> int:
    """Let go of summaries that were made so many days ago, some at a time; 0 days: of none. How many."""
    if not days:
        return 0
    old = sa.select(col(Summary.mark)).where(col(Summary.made_at) < now - timedelta(days=days)).limit(limit)
    marks = [row[0] for row in session.execute(old)]
    session.execute(sa.delete(Summary).where(col(Summary.mark).in_(marks)), execution_options=_NO_SYNC)
    return len(marks)


_NO_SYNC = {"synchronize_session": False}
