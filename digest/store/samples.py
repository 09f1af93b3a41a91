"""Entries as much as their subject is looked at, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import NewsletterFeed
from digest.store.story_tables import Entry

_OPENING = 800  # characters of a text


class Opening(NamedTuple):
    """An entry with the beginning of its text, HTML that may be cut off anywhere."""

    feed_id: int
    title: str
    url: str
    categories: tuple[str, ...]
    opening: str


def openings(session: Session, newsletter_id: int, *, limit: int) -> Iterator[Opening]:
    """The newest entries of a newsletter's feeds, not those that were set aside or taken back. Read in batches."""
    summary, content = (sa.func.substr(col(getattr(Entry, name)), 1, _OPENING) for name in ("summary", "content"))
    query = (
        sa.select(
            col(Entry.feed_id),
            col(Entry.title),
            col(Entry.url),
            col(Entry.categories),
            sa.case((col(Entry.summary) != "", summary), else_=content),
        )
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Entry.feed_id))
        .where(
            col(NewsletterFeed.newsletter_id) == newsletter_id,
            col(Entry.fault) == "",
            col(Entry.withdrawn_at).is_(None),
        )
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    rows = session.connection().execute(query, execution_options={"yield_per": 500})
    for feed_id, title, url, categories, opening in rows:
        yield Opening(feed_id, title, url, tuple(map(str, categories or ())), opening or "")
