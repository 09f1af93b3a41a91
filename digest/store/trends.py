"""What a newsletter was told, week by week: what is kept of it, and from when on that is all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Feed
from digest.store.keep_tables import PrunedMark
from digest.store.story_tables import Admission, Entry, Story


def whole_since(session: Session, *, entries_days: int, now: datetime) -> datetime | None:
    """From when on nothing of what was told is let go of; None while all there ever was is here."""
    if not entries_days or session.execute(sa.select(col(PrunedMark.mark)).limit(1)).first() is None:
        return None
    return now - timedelta(days=entries_days)


def told(session: Session, newsletter_id: int, *, since: datetime, limit: int) -> Iterator[Any]:
    """Each entry that told a story, decided about from `since` on, the newest first; read in batches.

    Rows of `decided_at`, `title`, `source`, `story_id`, `topic`, `url` and `rank`.
    """
    source = sa.case((col(Feed.title) != "", col(Feed.title)), else_=col(Feed.url)).label("source")
    query = (
        sa.select(
            *(col(c) for c in (Admission.decided_at, Entry.title, Admission.story_id, Story.topic, Story.url)),
            col(Story.rank),
            source,
        )
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .join(Story, col(Story.id) == col(Admission.story_id))
        .where(col(Admission.newsletter_id) == newsletter_id, col(Admission.decided_at) >= since)
        .order_by(col(Admission.decided_at).desc(), col(Admission.entry_id).desc())
        .limit(limit)
    )
    yield from session.connection().execute(query, execution_options={"yield_per": 500})
