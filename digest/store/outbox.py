"""The outbox: letters owed, claimed under a lease, marked before they go out, settled by the reply.

Here they come to be owed, where they belong to no edition; `outbox_claims` and `outbox_marks` have the rest, which is
called by the name of this room all the same: `outbox.claim`, `outbox.mark`, `outbox.settle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
from digest.models import Notice, OutboxRow, Subscription, address_key
from digest.store import waking, witness
from digest.store.database import insert_into, shared_now
from digest.store.outbox_claims import Claim, Claimed, Place, Source, Wanted, claim, due_sources, waiting_at
from digest.store.outbox_marks import (
    UNSETTLED,
    Mark,
    Outcome,
    has_reader,
    landed,
    mark,
    mark_dated,
    settle,
    unclaim,
    unmark,
)

__all__ = [
    "UNSETTLED",
    "Claim",
    "Claimed",
    "Mark",
    "NewNotice",
    "Outcome",
    "Place",
    "Source",
    "Wanted",
    "claim",
    "due_sources",
    "has_reader",
    "landed",
    "mark",
    "mark_dated",
    "notice_keys",
    "notice_to_send",
    "owe_notice",
    "settle",
    "unclaim",
    "unmark",
    "waiting_at",
]


@dataclass(frozen=True)
class NewNotice:
    """A letter that belongs to no edition: whom it goes to, and what it says."""

    to: str
    sender: str  # a mailbox, as in the settings
    subject: str
    text: str
    html: str = ""
    name: str = ""  # of who gets it
    # Whose relays carry it; None: those of the newsletter of its subscription, or the common ones.
    newsletter_id: int | None = None


def owe_notice(
    session: Session, notice: NewNotice, *, key: str, subscription_id: int | None = None, now: datetime
) -> bool:
    """Owe one letter that belongs to no edition; False if a notice with this `key` was owed before.

    It goes out with the next delivery pass, also to a subscription that is still pending, but never to a
    suppressed address.
    """
    if witness.notice_went_out(session, key):
        return False
    values = {
        "key": key,
        "email": notice.to,
        "address": address_key(notice.to),
        "name": notice.name,
        "sender": notice.sender,
        "subject": notice.subject,
        "text": notice.text,
        "html": notice.html,
        "subscription_id": subscription_id,
        "created_at": now,
    }
    made = session.execute(
        insert_into(session, Notice).values(values).on_conflict_do_nothing().returning(col(Notice.id))
    ).scalar()
    if made is None:
        return False
    due_at, newsletter_id = shared_now(session, now), notice.newsletter_id
    if newsletter_id is None and subscription_id is not None:
        owner = sa.select(col(Subscription.newsletter_id)).where(col(Subscription.id) == subscription_id)
        newsletter_id = session.scalar(owner)
    session.add(OutboxRow(notice_id=made, newsletter_id=newsletter_id, due_at=due_at, created_at=now))
    session.flush()
    waking.wake(session, waking.NOTICES)
    return True


def notice_keys(session: Session, letter_ids: Sequence[int]) -> dict[int, str]:
    """What notices are for, by their letters."""
    if not letter_ids:
        return {}
    query = sa.select(col(OutboxRow.id), col(Notice.key)).join(Notice, col(Notice.id) == OutboxRow.notice_id)
    return {row[0]: row[1] for row in session.execute(query.where(col(OutboxRow.id).in_(letter_ids)))}


def notice_to_send(session: Session, notice_id: int) -> Notice:
    return session.get_one(Notice, notice_id)
