"""Who was asked to confirm and has not answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Newsletter, Notice, OutboxRow, OutboxState, Subscriber, Subscription, SubscriptionState
from digest.store.suppressions import barred


def key_of(subscription_id: int) -> str:
    """The key of a subscription's only reminder."""
    return f"remind:{subscription_id}"


@dataclass(frozen=True)
class Span:
    """Between two moments."""

    after: datetime
    before: datetime


def unanswered(
    session: Session, newsletter: str, when: Span, *, beyond: int = 0, limit: int
) -> list[tuple[Subscription, str]]:
    """Pending subscriptions whose last mail was sent within this time, and which nothing reminded yet; with addresses.

    In the order of their numbers, those `beyond` one. They are ours alone until the transaction ends; who somebody
    else is busy with is left out.
    """
    asked = sa.select(sa.func.max(Notice.created_at)).where(col(Notice.subscription_id) == Subscription.id)
    at = asked.correlate(Subscription).scalar_subquery()
    theirs = sa.exists().where(col(Notice.subscription_id) == Subscription.id)
    reminded = theirs.where(col(Notice.key) == sa.literal("remind:") + sa.cast(col(Subscription.id), sa.String))
    reached = theirs.where(col(OutboxRow.notice_id) == Notice.id, col(OutboxRow.state) == OutboxState.SENT)
    query = (
        select(Subscription, Subscriber.email)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .where(Newsletter.name == newsletter, col(Subscription.state) == SubscriptionState.PENDING)
        .where(
            col(Subscription.id) > beyond,
            at > when.after,
            at <= when.before,
            ~reminded,
            reached,
            ~barred(col(Subscriber.key)).correlate(Subscriber),
        )
        .order_by(col(Subscription.id))
        .limit(limit)
        .with_for_update(of=Subscription, key_share=True, skip_locked=True)
    )
    return list(session.exec(query))


def asked_since(session: Session, subscription_id: int, moment: datetime) -> bool:
    """Was a mail about this subscription owed after that moment?"""
    query = select(Notice.id).where(Notice.subscription_id == subscription_id, col(Notice.created_at) > moment)
    return session.exec(query.limit(1)).first() is not None
