"""Editions, and domains of readers, of which so many are said to have no mailbox that nobody is to be barred."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, Subscriber, Subscription, SubscriptionState, Variant
from digest.store.mail_tables import MailReport


def letters_of(session: Session, edition_id: int) -> int:
    """How many letters an edition had."""
    owed = sa.select(sa.func.sum(col(Variant.letters))).where(col(Variant.edition_id) == edition_id)
    return int(session.execute(owed).scalar() or 0)


def gone(session: Session, edition_id: int, *, most: int) -> int:
    """How many readers of an edition are said to have no mailbox; counted up to `most`, since there may be many."""
    return int(session.execute(_gone(), {"edition": edition_id, "most": most}).scalar() or 0)


@cache
def _gone() -> Any:
    said = sa.select(col(MailReport.outbox_id)).where(
        col(MailReport.edition_id) == sa.bindparam("edition"),
        col(MailReport.kind) == "hard",
        col(MailReport.act).in_(("suppress", "doubted", "")),
        col(MailReport.proof) != "",
        col(MailReport.undone_at).is_(None),
    )
    return sa.select(sa.func.count()).select_from(said.distinct().limit(sa.bindparam("most")).subquery())


def gone_by_domain(session: Session, edition_id: int) -> dict[str, set[int]]:
    """Who of an edition's readers is said to have no mailbox, plainly or not, by the domain of their address."""
    found: dict[str, set[int]] = {}
    query = select(MailReport.domain, MailReport.subscriber_id).where(
        MailReport.edition_id == edition_id,
        MailReport.kind == "hard",
        MailReport.proof != "",
        col(MailReport.undone_at).is_(None),
    )
    for domain, subscriber_id in session.exec(query):
        if subscriber_id is not None:
            found.setdefault(domain, set()).add(subscriber_id)
    return found


def readers_at(session: Session, edition_id: int, domain: str, *, most: int) -> int:
    """How many readers of an edition's newsletter have an address at a domain; counted up to `most`."""
    newsletter = sa.select(col(Edition.newsletter_id)).where(col(Edition.id) == edition_id).scalar_subquery()
    some = (
        sa.select(col(Subscription.id))
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(
            col(Subscription.newsletter_id) == newsletter,
            col(Subscription.state) == SubscriptionState.ACTIVE,
            col(Subscriber.key).endswith(f"@{domain}", autoescape=True),
        )
        .limit(most)
    )
    return int(session.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar() or 0)


def barred_of(session: Session, edition_id: int, *, domain: str = "") -> list[int]:
    """Reports for which readers of an edition were barred as having no mailbox, and not at a person's word.

    `domain`: of those with an address there only.
    """
    query = select(MailReport.id).where(
        MailReport.edition_id == edition_id,
        MailReport.kind == "hard",
        MailReport.act == "suppress",
        col(MailReport.undone_at).is_(None),
        col(MailReport.done_at).is_(None),
        *([MailReport.domain == domain] if domain else []),
    )
    return [one for one in session.exec(query) if one is not None]
