"""Newsletters: the row of each, its lock and its figures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.column_types import bare
from digest.dataclass import dataclass
from digest.models import Edition, Feed, Newsletter, NewsletterFeed, Subscription
from digest.store import idle
from digest.store.database import Database
from digest.store.editions import composed_upto
from digest.store.recipients import deliverable


def keep(database: Database, names: Iterable[str], *, now: datetime) -> None:
    """Give each newsletter of the settings its row; one that left the settings keeps its history."""
    with database.read() as session:
        known = set(session.scalars(sa.select(bare(Newsletter.name))))
    missing = set(names) - known
    if missing:
        with database.write() as session:
            known = set(session.exec(select(Newsletter.name)))
            session.add_all(Newsletter(name=name, slot_at=now) for name in sorted(missing - known))


def find(session: Session, name: str) -> Newsletter:
    """The row of a newsletter that `keep` has seen."""
    return session.exec(select(Newsletter).where(Newsletter.name == name)).one()


def lock(session: Session, name: str) -> Newsletter:
    """The row, ours alone until the transaction ends: one admission and one composition at a time.

    On SQLite the write transaction is the lock already. Rows that only refer to it, as a line of somebody's history
    does, need not wait: who waits for us with a subscription in hand could be waited for by us (a deadlock).
    """
    return session.exec(select(Newsletter).where(col(Newsletter.name) == name).with_for_update(key_share=True)).one()


def by_name(session: Session) -> dict[str, Newsletter]:
    """All newsletters that ever were in the settings, by name."""
    return {row.name: row for row in session.exec(select(Newsletter))}


@dataclass(frozen=True)
class Status:
    """A newsletter's figures, as `digest status` shows them."""

    newsletter: str
    feeds: int
    failing: int
    subscribers: int
    stories_waiting: int
    last_edition: int
    last_edition_at: datetime | None


def status(session: Session, name: str) -> Status:
    row = find(session, name)
    assert row.id is not None
    feeds = select(sa.func.count()).select_from(NewsletterFeed).where(NewsletterFeed.newsletter_id == row.id)
    failing = feeds.join(Feed, col(Feed.id) == col(NewsletterFeed.feed_id)).where(Feed.failures > 0)
    subscribers = select(sa.func.count()).select_from(Subscription).where(*deliverable(row.id))
    return Status(
        newsletter=name,
        feeds=session.exec(feeds).one(),
        failing=session.exec(failing).one(),
        subscribers=session.exec(subscribers).one(),
        stories_waiting=idle.stories(session, row.id, after=composed_upto(session, row.id)),
        last_edition=row.edition_number,
        last_edition_at=session.exec(
            select(sa.func.max(Edition.composed_at)).where(Edition.newsletter_id == row.id)
        ).one(),
    )
