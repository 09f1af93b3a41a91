"""Sign-ups: those that wait for their answer, how many mails they caused, and those that nobody confirmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Newsletter,
    Notice,
    Subscriber,
    Subscription,
    SubscriptionState,
    address_key,
)
from digest.store import waking
from digest.store.database import insert_into
from digest.store.signup_tables import SignupMail, SignupRefusal, SignupWait
from digest.store.suppressions import barred
from digest.values import Evidence

_SIGNUP_LOCK = 0x6469676573740002  # "digest", for pg_advisory_xact_lock


@dataclass(frozen=True)
class Load:
    """How many sign-ups were answered within the hour, or how many wait to be: of one network, and of all."""

    network: int
    all: int


@dataclass(frozen=True)
class Asked:
    """What somebody wants, as it was asked; `network` is a mark, see `SignupMail`."""

    newsletter: str
    email: str
    name: str
    choices: dict[str, Any]
    evidence: Evidence
    network: str


def answered(session: Session, *, network: str, now: datetime) -> Load:
    """Within the hour. Those that no network caused (network "") count for nobody."""
    counts = answered_by_network(session, now=now)
    return Load(counts.get(network, 0), sum(counts.values()))


def answered_by_network(session: Session, *, now: datetime) -> dict[str, int]:
    """Within the hour, by the mark of the network."""
    query = (
        select(SignupMail.network, sa.func.count())
        .where(col(SignupMail.at) > now - timedelta(hours=1), SignupMail.network != "")
        .group_by(col(SignupMail.network))
    )
    return dict(session.exec(query).all())


def waiting(session: Session, *, network: str = "") -> Load:
    """How many sign-ups wait."""
    here = sa.func.count(sa.case((col(SignupWait.network) == network, 1)))
    one, everybody = session.execute(sa.select(here, sa.func.count()).select_from(SignupWait)).one()
    return Load(one, everybody)


def mails(session: Session, address: str) -> tuple[int, datetime | None]:
    """How many mails sign-ups caused for one address (a mark), and when the last one."""
    theirs = select(sa.func.count(), sa.func.max(SignupMail.at)).where(col(SignupMail.address) == address)
    return session.exec(theirs).one()


def wait(session: Session, newsletter_id: int, asked: Asked) -> None:
    """Keep a sign-up until it may be answered."""
    session.add(
        SignupWait(
            newsletter_id=newsletter_id,
            email=asked.email,
            key=address_key(asked.email),
            name=asked.name,
            choices=asked.choices,
            how=asked.evidence.how,
            ip=asked.evidence.ip,
            network=asked.network,
            at=asked.evidence.at,
        )
    )
    waking.wake(session, waking.SIGNUPS)


def waiting_of(session: Session, email: str) -> list[Asked]:
    """What waits for an address, the oldest first."""
    theirs = col(SignupWait.key) == address_key(email)
    return [_asked(row, newsletter) for row, newsletter in session.exec(_with_newsletter().where(theirs))]


def take_waiting(session: Session, newsletters: Collection[str], *, full: Collection[str], limit: int) -> list[Asked]:
    """Those that have waited longest, of networks that are not `full`: they wait no more. The sign-up lock is ours.

    Only for these newsletters: one whose name is not known may have another by now, to which what waits is carried.
    """
    query = (
        _with_newsletter()
        .where(col(Newsletter.name).in_(newsletters), col(SignupWait.network).not_in(full))
        .limit(limit)
        # On PostgreSQL whoever is erased at this moment is left to that.
        .with_for_update(of=SignupWait, skip_locked=True)
    )
    found = []
    for row, newsletter in session.exec(query):
        found.append(_asked(row, newsletter))
        session.delete(row)
    session.flush()
    return found


def _with_newsletter() -> Any:
    query = select(SignupWait, Newsletter.name).join(Newsletter, col(Newsletter.id) == SignupWait.newsletter_id)
    return query.order_by(col(SignupWait.id))


def _asked(row: SignupWait, newsletter: str) -> Asked:
    evidence = Evidence(row.how, row.at, ip=row.ip)
    return Asked(newsletter, row.email, row.name, row.choices, evidence, row.network)


def note_refusal(session: Session, *, now: datetime) -> None:
    """One more was turned away today."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    insert = insert_into(session, SignupRefusal).values(day=day, number=1)
    more = {"number": SignupRefusal.number + 1}
    session.connection().execute(insert.on_conflict_do_update(index_elements=["day"], set_=more))


def refused(session: Session, *, since: datetime) -> int:
    """How many were turned away on the days after `since`."""
    query = select(sa.func.coalesce(sa.func.sum(SignupRefusal.number), 0)).where(col(SignupRefusal.day) > since)
    return int(session.exec(query).one())


def forget_waiting(session: Session, *, before: datetime) -> int:
    """Of sign-ups that nobody answered, and of those turned away; how many waited."""
    session.execute(sa.delete(SignupRefusal).where(col(SignupRefusal.day) < before))
    return session.connection().execute(sa.delete(SignupWait).where(col(SignupWait.at) < before)).rowcount


def lock(session: Session) -> None:
    """One sign-up at a time until the transaction ends, of all newsletters: what one counts, no other adds to.

    The first lock of any transaction that has it: before those of newsletters, people and subscriptions, which whoever
    answers a sign-up takes after it. So does who erases people by the hundred, or renames newsletters and topics.

    On SQLite the write transaction is the lock already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_SIGNUP_LOCK)))


def note_answer(session: Session, *, address: str, network: str, now: datetime) -> None:
    """A mail went to an address; or none, and the address is "": it counts for its network."""
    session.add(SignupMail(address=address, network=network, at=now))


def forget_mails(session: Session, *, address: str = "", before: datetime | None = None) -> None:
    """Of an address that was confirmed, or all that are older than `before`."""
    which = col(SignupMail.address) == address if before is None else col(SignupMail.at) < before
    session.execute(sa.delete(SignupMail).where(which))


def overdue(session: Session, *, mails: datetime, asked: datetime, now: datetime) -> bool:
    """Is there anything to forget: mails from before then, or what waits or was asked in vain before `asked`?"""
    there = (
        sa.exists().where(col(SignupMail.at) < mails),
        sa.exists().where(col(SignupWait.at) < asked),
        sa.exists().where(col(SignupRefusal.day) < asked),
        sa.exists().where(*_stale(asked, now)),
    )
    return bool(session.execute(sa.select(sa.or_(*there))).scalar_one())


def _stale(asked_before: datetime, now: datetime) -> tuple[Any, ...]:
    asked = sa.select(sa.func.max(col(Notice.created_at))).where(col(Notice.subscription_id) == Subscription.id)
    at = asked.correlate(Subscription).scalar_subquery()
    return (
        col(Subscription.state) == SubscriptionState.PENDING,
        sa.case((at > now + timedelta(days=1), col(Subscription.changed_at)), else_=at) < asked_before,
    )


def forget_unconfirmed(session: Session, *, asked_before: datetime, now: datetime) -> int:
    """Delete pending subscriptions whose last mail asked in vain before then, and people who have no other.

    A mail of days to come was dated by a clock that was wrong: since when it is pending counts then.
    Whoever was imported as pending and never asked stays. How many subscriptions there were.
    """
    stale = _stale(asked_before, now)
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


def never_asked(session: Session, newsletter: str, *, limit: int) -> list[tuple[Subscription, str]]:
    """Pending subscriptions that no mail has asked to confirm, with addresses; ours alone until the transaction ends.

    Not of who is barred, whom nobody asks.
    On PostgreSQL whoever is busy with one, to erase it perhaps, keeps it.
    """
    query = (
        select(Subscription, Subscriber.email)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .where(
            Newsletter.name == newsletter,
            col(Subscription.state) == SubscriptionState.PENDING,
            ~barred(col(Subscriber.key)).correlate(Subscriber),
            ~sa.exists().where(col(Notice.subscription_id) == col(Subscription.id)),
        )
        .order_by(col(Subscription.id))
        .limit(limit)
        .with_for_update(of=Subscription, key_share=True, skip_locked=True)
    )
    return list(session.exec(query))
