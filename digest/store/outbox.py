"""The outbox: letters owed, claimed under a lease, settled by the reply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Edition,
    Newsletter,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

UNSETTLED = (OutboxState.OWED, OutboxState.SENDING)


@dataclass(frozen=True)
class Claimed:
    """A letter that is ours to send until its lease runs out. `attempt` counts from 1."""

    id: int
    attempt: int
    edition_id: int
    variant_id: int
    subscription_id: int
    email: str
    name: str
    in_doubt: bool
    created_at: datetime


@dataclass(frozen=True)
class Claim:
    """What a claim took: letters to send, and how many were settled instead."""

    letters: tuple[Claimed, ...]
    dropped: int
    held: int


def claim(session: Session, *, now: datetime, limit: int, lease: timedelta, hold_doubtful: bool) -> Claim:
    """Take up to `limit` due letters until `now + lease`, and drop those whose reader has left meanwhile.

    One statement, so two workers never hold one letter: PostgreSQL skips locked rows, SQLite has one writer
    and leaves the clause out. A letter whose lease ran out was in the hands of someone who died: its mail may
    be with the reader already, so it is flagged `in_doubt`, and kept back if `hold_doubtful`. Message-ID and
    bytes stay the same, so a copy sent after a crash can be told for what it is (RFC 1047).
    """
    held = _hold_expired(session, now=now) if hold_doubtful else 0
    due = (
        sa.select(col(OutboxRow.id))
        .where(col(OutboxRow.state).in_(UNSETTLED), col(OutboxRow.due_at) <= now)
        .order_by(col(OutboxRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        sa.update(OutboxRow)
        .where(col(OutboxRow.id).in_(sa.select(due.c.id)))
        .values(
            state=OutboxState.SENDING,
            due_at=now + lease,
            attempts=OutboxRow.attempts + 1,
            in_doubt=sa.or_(col(OutboxRow.in_doubt), col(OutboxRow.state) == OutboxState.SENDING),
        )
        .returning(col(OutboxRow.id))
    )
    taken = list(session.scalars(statement, execution_options={"synchronize_session": False}))
    claimed = []
    query = (
        select(OutboxRow, Subscriber, Subscription, Suppression)
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id), isouter=True)
        .join(Subscription, col(Subscription.id) == col(OutboxRow.subscription_id), isouter=True)
        .join(Suppression, col(Suppression.key) == col(Subscriber.key), isouter=True)
        .where(col(OutboxRow.id).in_(taken))
        .order_by(col(OutboxRow.id))
        .execution_options(populate_existing=True)
    )
    for row, subscriber, subscription, suppression in session.exec(query):
        reason = (
            "erased"
            if subscriber is None or subscription is None
            else f"suppressed: {suppression.reason}"
            if suppression is not None
            else str(subscription.state)
            if subscription.state is not SubscriptionState.ACTIVE
            else ""
        )
        if reason:
            row.state, row.reply, row.settled_at = OutboxState.DROPPED, reason, now
            row.attempts -= 1
            session.add(row)
        else:
            assert row.id is not None and row.subscription_id is not None
            claimed.append(
                Claimed(
                    id=row.id,
                    attempt=row.attempts,
                    edition_id=row.edition_id,
                    variant_id=row.variant_id,
                    subscription_id=row.subscription_id,
                    email=subscriber.email,
                    name=subscriber.name,
                    in_doubt=row.in_doubt,
                    created_at=row.created_at,
                )
            )
    return Claim(tuple(claimed), dropped=len(taken) - len(claimed), held=held)


def settle(
    session: Session,
    letter: Claimed,
    *,
    state: OutboxState,
    now: datetime,
    code: int = 0,
    reply: str = "",
    due_at: datetime | None = None,
    in_doubt: bool | None = None,
    attempted: bool = True,
) -> bool:
    """Record what became of an attempt; False if the letter is no longer ours.

    A worker that slept past its lease finds another attempt number, and settles nothing. `attempted=False`
    takes the attempt back: the relay was to blame, not the letter.
    """
    values: dict[str, object] = {
        "state": state,
        "code": code,
        "reply": reply[:500],
        "settled_at": None if state in UNSETTLED else now,
    }
    if due_at is not None:
        values["due_at"] = due_at
    if in_doubt is not None:
        values["in_doubt"] = in_doubt
    if not attempted:
        values["attempts"] = letter.attempt - 1
    statement = (
        sa.update(OutboxRow)
        .where(
            col(OutboxRow.id) == letter.id,
            col(OutboxRow.attempts) == letter.attempt,
            col(OutboxRow.state) == OutboxState.SENDING,
        )
        .values(**values)
    )
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _hold_expired(session: Session, *, now: datetime) -> int:
    result = session.execute(
        sa.update(OutboxRow)
        .where(col(OutboxRow.state) == OutboxState.SENDING, col(OutboxRow.due_at) <= now)
        .values(
            state=OutboxState.HELD,
            in_doubt=True,
            settled_at=now,
            reply="the sender died during this letter's attempt; it may have been delivered",
        )
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def due_count(session: Session, *, now: datetime) -> int:
    """How many letters could be claimed at this moment."""
    query = select(sa.func.count()).where(col(OutboxRow.state).in_(UNSETTLED), OutboxRow.due_at <= now)
    return session.exec(query).one()


def unsettled_count(session: Session) -> int:
    """How many letters are still owed, due or not, claimed or not."""
    return session.exec(select(sa.func.count()).where(col(OutboxRow.state).in_(UNSETTLED))).one()


@dataclass(frozen=True)
class OutboxLine:
    """A letter as `digest outbox list` shows it."""

    id: int
    newsletter: str
    edition: int
    email: str
    state: OutboxState
    attempts: int
    due_at: datetime
    settled_at: datetime | None
    code: int
    reply: str
    in_doubt: bool


def outbox_lines(
    session: Session,
    *,
    newsletter: str | None = None,
    edition: int | None = None,
    state: OutboxState | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[OutboxLine]:
    """Letters by id, from the one after `after`."""
    query = (
        select(OutboxRow, Newsletter.name, Edition.number, Subscriber.email)
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id), isouter=True)
        .where(col(OutboxRow.id) > after)
        .order_by(col(OutboxRow.id))
        .limit(limit)
    )
    if newsletter is not None:
        query = query.where(Newsletter.name == newsletter)
    if edition is not None:
        query = query.where(Edition.number == edition)
    if state is not None:
        query = query.where(OutboxRow.state == state)
    return [
        OutboxLine(
            id=row.id or 0,
            newsletter=name,
            edition=number,
            email=email or "(erased)",
            state=row.state,
            attempts=row.attempts,
            due_at=row.due_at,
            settled_at=row.settled_at,
            code=row.code,
            reply=row.reply,
            in_doubt=row.in_doubt,
        )
        for row, name, number, email in session.exec(query)
    ]
