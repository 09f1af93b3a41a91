"""Which entries a newsletter has still to decide about, kept as rows: a run looks at these and at no others.

Rows are added where an entry comes, where a newsletter begins to read a feed, and where a decision is taken back; the
decision takes them away. No entry falls between two: who stores an entry refers to its feed and asks then who reads it,
and who begins to read a feed locks it and asks then what it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlmodel import Session, col

from digest.models import Feed, NewsletterFeed
from digest.store.database import batched, insert_of
from digest.store.feed_tables import Undecided
from digest.store.story_tables import Admission, Entry


def came(session: Session, entries: Iterable[int]) -> None:
    """Entries have just been stored: all that read their feeds have to decide about them."""
    connection = session.connection()
    for some in batched(sorted(entries)):
        connection.execute(_came(connection.dialect.name), {"entries": some})


# Made once: to put a statement together takes longer than to execute it, and each feed that has something new asks.
@cache
def _came(dialect: str) -> Any:
    found = sa.select(col(NewsletterFeed.newsletter_id), col(Entry.id)).where(
        col(Entry.feed_id) == col(NewsletterFeed.feed_id),
        col(Entry.id).in_(sa.bindparam("entries", expanding=True)),
        ~_decided(NewsletterFeed.newsletter_id),
    )
    return _inserting(dialect, found)


def begins(session: Session, newsletter_id: int, feeds: Iterable[int]) -> None:
    """A newsletter begins to read these feeds: all that they have waits for it, but for what it has decided about."""
    _begins(session.connection(), newsletter_id, feeds)


def _begins(connection: sa.Connection, newsletter_id: int, feeds: Iterable[int]) -> None:
    for some in batched(sorted(feeds)):
        rows = sa.select(col(Feed.id)).where(col(Feed.id).in_(some)).order_by(col(Feed.id))
        connection.execute(rows.with_for_update())
        found = sa.select(sa.literal(newsletter_id), col(Entry.id)).where(
            col(Entry.feed_id).in_(some), ~_decided(sa.literal(newsletter_id))
        )
        _add(connection, found)


def ends(session: Session, feed_id: int, *, newsletter_id: int | None = None) -> None:
    """A newsletter, or each, reads a feed no more."""
    mine = sa.delete(Undecided).where(
        col(Undecided.entry_id).in_(sa.select(col(Entry.id)).where(col(Entry.feed_id) == feed_id))
    )
    if newsletter_id is not None:
        mine = mine.where(col(Undecided.newsletter_id) == newsletter_id)
    session.execute(mine)


def decided(session: Session, newsletter_id: int, entries: Collection[int]) -> None:
    """A newsletter has decided about these."""
    for some in batched(sorted(entries)):
        ours = (col(Undecided.newsletter_id) == newsletter_id, col(Undecided.entry_id).in_(some))
        session.execute(sa.delete(Undecided).where(*ours))


def taken_back(session: Session, *which: Any) -> None:
    """Decisions (conditions on `Admission`) are taken back: their entries wait again."""
    _add(session.connection(), sa.select(col(Admission.newsletter_id), col(Admission.entry_id)).where(*which))
    session.execute(sa.delete(Admission).where(*which))


def _decided(newsletter_id: Any) -> Any:
    return (
        sa.select(col(Admission.entry_id))
        .where(col(Admission.newsletter_id) == newsletter_id, col(Admission.entry_id) == col(Entry.id))
        .exists()
    )


def _add(connection: sa.Connection, found: Any) -> None:
    connection.execute(_inserting(connection.dialect.name, found))


def _inserting(dialect: str, found: Any) -> Any:
    return insert_of(dialect, Undecided).from_select(["newsletter_id", "entry_id"], found).on_conflict_do_nothing()


# Rows that are added one by one bring this with them.


@event.listens_for(Entry, "after_insert")
def _entry_added(_mapper: Any, connection: sa.Connection, entry: Entry) -> None:
    found = sa.select(col(NewsletterFeed.newsletter_id), sa.literal(entry.id))
    _add(connection, found.where(col(NewsletterFeed.feed_id) == entry.feed_id))


@event.listens_for(NewsletterFeed, "after_insert")
def _reading_added(_mapper: Any, connection: sa.Connection, link: NewsletterFeed) -> None:
    _begins(connection, link.newsletter_id, [link.feed_id])
