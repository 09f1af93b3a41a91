"""Sign-ups: how many mails they caused, and those that nobody confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Newsletter, Notice, SignupMail, Subscriber, Subscription, SubscriptionState

_SIGNUP_LOCK = 0x6469676573740002  # "digest", for pg_advisory_xact_lock


@dataclass(frozen=True)
class Mails:
    """How many mails sign-ups caused: for one address in all and since when, within the hour for a network and all.

    Those that no network caused (network "") count for their address alone.
    """

    address: int
    address_at: datetime | None
    network: int
    all: int


def mails(session: Session, *, address: str, network: str, now: datetime) -> Mails:
    """What `note_mail` noted of these marks."""
    lately = col(SignupMail.at) > now - timedelta(hours=1)
    theirs = select(sa.func.count(), sa.func.max(SignupMail.at)).where(col(SignupMail.address) == address)
    count, last = session.exec(theirs).one()
    here = session.exec(
        select(sa.func.count()).select_from(SignupMail).where(lately, col(SignupMail.network) == network)
    )
    everywhere = session.exec(select(sa.func.count()).select_from(SignupMail).where(lately, SignupMail.network != ""))
    return Mails(count, last, here.one(), everywhere.one())


def lock(session: Session) -> None:
    """One sign-up at a time until the transaction ends, of all newsletters: what one counts, no other adds to.

    On SQLite the write transaction is the lock already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_SIGNUP_LOCK)))


def note_mail(session: Session, *, address: str, network: str, now: datetime) -> None:
    session.add(SignupMail(address=address, network=network, at=now))


def forget_mails(session: Session, *, address: str = "", before: datetime | None = None) -> None:
    """Of an address that was confirmed, or all that are older than `before`."""
    which = col(SignupMail.address) == address if before is None else col(SignupMail.at) < before
    session.execute(sa.delete(SignupMail).where(which))


def forget_unconfirmed(session: Session, *, asked_before: datetime, now: datetime) -> int:
    """Delete pending subscriptions whose last mail asked in vain before then, and people who have no other.

    A mail of days to come was dated by a clock that was wrong: since when it is pending counts then.
    Whoever was imported as pending and never asked stays. How many subscriptions there were.
    """
    asked = sa.select(sa.func.max(col(Notice.created_at))).where(col(Notice.subscription_id) == Subscription.id)
    at = asked.correlate(Subscription).scalar_subquery()
    stale = (
        col(Subscription.state) == SubscriptionState.PENDING,
        sa.case((at > now + timedelta(days=1), col(Subscription.changed_at)), else_=at) < asked_before,
    )
    # On PostgreSQL whoever is busy with a person or a subscription keeps it, and we wait for nobody: they could be
    # waiting for us.
    found = session.exec(
        select(Subscription.id, Subscription.subscriber_id)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .where(*stale)
        .with_for_update(of=[Subscription, Subscriber], skip_locked=True)
    ).all()
    ids, people = [row[0] for row in found], [row[1] for row in found]
    forgotten = 0
    for start in range(0, len(ids), 500):
        some = slice(start, start + 500)
        # Once more, now that nobody can change it: they may have asked again while we took the lock.
        gone = sa.delete(Subscription).where(col(Subscription.id).in_(ids[some]), *stale)
        forgotten += session.connection().execute(gone).rowcount
        others = sa.exists().where(col(Subscription.subscriber_id) == col(Subscriber.id))
        session.execute(sa.delete(Subscriber).where(col(Subscriber.id).in_(people[some]), ~others))
    return forgotten


def never_asked(session: Session, newsletter: str, *, limit: int) -> list[tuple[int, str]]:
    """Pending subscriptions that no mail has asked to confirm: id and address; ours alone until the transaction ends.

    On PostgreSQL whoever is busy with one, to erase it perhaps, keeps it.
    """
    query = (
        select(Subscription.id, Subscriber.email)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .where(
            Newsletter.name == newsletter,
            col(Subscription.state) == SubscriptionState.PENDING,
            ~sa.exists().where(col(Notice.subscription_id) == col(Subscription.id)),
        )
        .order_by(col(Subscription.id))
        .limit(limit)
        .with_for_update(of=Subscription, key_share=True, skip_locked=True)
    )
    return [(int(id_ or 0), email) for id_, email in session.exec(query)]
