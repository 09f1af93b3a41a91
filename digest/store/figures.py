"""What is stored, in figures: for who draws curves of it. No addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, EditionState, Feed, FeedState, Newsletter, OutboxRow, Subscription, SubscriptionState
from digest.store import editions, newsletters, runs
from digest.store.database import Database, shared_now
from digest.store.outbox import waiting_at

if TYPE_CHECKING:
    from digest.store.workers import Seen


@dataclass(frozen=True)
class FeedVitals:
    """What the health of a feed is judged by."""

    state: FeedState
    failures: int
    ok_at: datetime | None
    entry_at: datetime | None
    gap: timedelta | None


@dataclass(frozen=True)
class LastRun:
    """The last `digest run` that came to an end."""

    began_at: datetime
    ended_at: datetime
    exit_code: int


@dataclass(frozen=True)
class Figures:
    feeds: list[FeedVitals]
    stories_waiting: dict[str, int]  # by newsletter
    subscribers: dict[tuple[str, str], int]  # by newsletter and state
    letters: dict[str, int]  # by state, all that are stored
    totals: dict[str, int]  # of `runs.TALLIED`
    oldest_due: timedelta | None  # how long the letter waits that was due first; None: none is due
    database_bytes: int
    last_run: LastRun | None
    workers: Sequence[Seen] = field(default_factory=list)


def figures(database: Database, names: tuple[str, ...], *, now: datetime) -> Figures:
    """As of now, in one view. `names` are the newsletters of the settings."""
    with database.read() as session:
        last = runs.last_ended(session, "run")
        return Figures(
            feeds=_feeds(session),
            stories_waiting={name: newsletters.status(session, name).stories_waiting for name in names},
            subscribers=_subscribers(session),
            letters=editions.letter_counts(session),
            totals=runs.totals(session),
            oldest_due=_oldest_due(session, now=now),
            database_bytes=_size(session),
            last_run=LastRun(last.began_at, last.ended_at, last.exit_code or 0) if last and last.ended_at else None,
            workers=_workers(session, now),
        )


def _workers(session: Session, now: datetime) -> Sequence[Seen]:
    if session.get_bind().dialect.name != "postgresql":
        return []
    from digest.store import workers

    return workers.seen(session, now=now)


def _feeds(session: Session) -> list[FeedVitals]:
    columns = (col(Feed.state), col(Feed.failures), col(Feed.ok_at), col(Feed.entry_at), col(Feed.gap_seconds))
    rows = session.execute(sa.select(*columns))
    return [
        FeedVitals(state, failures, ok_at, entry_at, timedelta(seconds=gap) or None)
        for state, failures, ok_at, entry_at, gap in rows
    ]


def _subscribers(session: Session) -> dict[tuple[str, str], int]:
    query = (
        select(Newsletter.name, Subscription.state, sa.func.count())
        .join(Newsletter, col(Newsletter.id) == col(Subscription.newsletter_id))
        .group_by(col(Newsletter.name), col(Subscription.state))
    )
    found: Counter[tuple[str, str]] = Counter()
    for name, state, number in session.exec(query):
        found[name, SubscriptionState(state).value] += number
    return dict(found)


def _oldest_due(session: Session, *, now: datetime) -> timedelta | None:
    now = shared_now(session, now)
    query = (
        sa.select(sa.func.min(col(OutboxRow.due_at)))
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id), isouter=True)
        .where(*waiting_at(now), sa.or_(col(OutboxRow.edition_id).is_(None), col(Edition.state) == EditionState.OPEN))
    )
    oldest = session.execute(query).scalar()
    return None if oldest is None else max(timedelta(0), now - oldest)


def _size(session: Session) -> int:
    bind = session.get_bind()
    if bind.dialect.name == "postgresql":
        return int(session.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
    path = Path(str(session.connection().engine.url.database))
    return sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())
