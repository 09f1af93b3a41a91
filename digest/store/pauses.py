"""Readers whose pause is over, and from where on they read again: apart, for each composition asks it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, Subscription, SubscriptionState
from digest.store import idle
from digest.store.database import Database


def end_all(database: Database, *, now: datetime) -> None:
    """As `end_pauses`, in a transaction of its own; where no pause is over, in none that waits for the lock."""
    with database.read() as session:
        over = idle.pauses(session, now=now)
    if over:
        with database.write() as session:
            end_pauses(session, now=now)


def end_pauses(session: Session, *, now: datetime) -> int:
    """Make active again whose pause is over; they get the next edition with all others. How many there were."""
    connection = session.connection()
    ended = connection.execute(
        sa.update(Subscription)
        .where(col(Subscription.state) == SubscriptionState.PAUSED, col(Subscription.paused_until) <= now)
        .values(
            state=SubscriptionState.ACTIVE,
            paused_until=None,
            changed_at=now,
            read_until=with_all_others(),
            offered_at=None,
        )
        .returning(col(Subscription.subscriber_id), col(Subscription.newsletter_id))
    ).all()
    if ended:
        from digest.store.consent_tables import Consent, ConsentEvent

        said = {"at": now, "event": ConsentEvent.RESUMED, "how": "the pause was over"}
        connection.execute(sa.insert(Consent), [row._asdict() | said for row in ended])
    return len(ended)


def with_all_others() -> Any:
    """Where the watermark of a subscription is put that comes back: at the end of the last edition, or where it is."""
    last = (
        sa.select(sa.func.coalesce(sa.func.max(Edition.upto_seq), 0))
        .where(col(Edition.newsletter_id) == Subscription.newsletter_id)
        .correlate(Subscription)
        .scalar_subquery()
    )
    return sa.case((last > Subscription.read_until, last), else_=col(Subscription.read_until))
