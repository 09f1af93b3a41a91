"""Subscribers and their subscriptions: found, kept, rejoined, erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlmodel import Session, col, select

from digest.models import (
    Newsletter,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    address_key,
)
from digest.store import erasures, hooks, mail_tables, once, suppressions, witness
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.database import insert_into
from digest.store.editions import composed_upto
from digest.store.import_tables import ImportChange
from digest.store.name_tables import FormerName
from digest.store.pauses import with_all_others
from digest.store.signup_tables import SignupWait

# What this transaction read before it had the lock may have changed meanwhile.
JOINED = "subscription"  # of `FormerName`: one that went into another, by its number
_AS_IT_IS = {"populate_existing": True}


def find(session: Session, email: str) -> Subscriber | None:
    """The person with this address (in the form of `subscribe.address`), however its letters are cased."""
    return session.exec(select(Subscriber).where(col(Subscriber.key) == address_key(email))).one_or_none()


def keep(session: Session, email: str, *, name: str, tags: Sequence[str], now: datetime) -> Subscriber:
    """The person's row, made where there is none; who is here stays as they are."""
    made = {"email": email, "key": address_key(email), "name": name, "tags": list(tags), "created_at": now}
    insert = insert_into(session, Subscriber).values(made)
    # Two at once: the second one finds the row of the first. It is written so as to be ours from here on: whoever
    # deletes it meanwhile has done so before, and we make it anew.
    session.connection().execute(
        insert.on_conflict_do_update(index_elements=["key"], set_={"key": insert.excluded.key})
    )
    return session.exec(select(Subscriber).where(col(Subscriber.key) == address_key(email)).with_for_update()).one()


@event.listens_for(Subscriber, "before_update")
def _renamed(_mapper: Any, connection: sa.Connection, person: Subscriber) -> None:
    """Whoever is called otherwise from now on, letters that are on their way to them say what they said.

    One may have been seen by a server, and comes with the same Message-ID and bytes at each attempt. That it was seen
    is not asked: it may be in hand at this moment, and those to come are the next edition's.
    """
    if not sa.inspect(person).attrs.name.history.has_changes():
        return
    before = sa.select(col(Subscriber.name)).where(col(Subscriber.id) == person.id).scalar_subquery()
    connection.execute(
        sa.update(OutboxRow)
        .where(col(OutboxRow.subscriber_id) == person.id, col(OutboxRow.state) != OutboxState.SENT)
        .where(col(OutboxRow.named).is_(None))
        .values(named=before)
    )


def former_names(session: Session, person: Subscriber) -> list[str]:
    """What a person was called before, as far as letters to them say it still."""
    named = sa.select(col(OutboxRow.named)).where(col(OutboxRow.subscriber_id) == person.id, col(OutboxRow.named) > "")
    return sorted(name for name in session.execute(named.distinct()).scalars() if name)


def subscription(session: Session, person: Subscriber, paper: Newsletter) -> Subscription | None:
    """A person's subscription to a newsletter, ours alone until the transaction ends."""
    return session.exec(
        select(Subscription)
        .where(Subscription.subscriber_id == person.id, Subscription.newsletter_id == paper.id)
        .with_for_update(),
        execution_options=_AS_IT_IS,
    ).one_or_none()


def rejoin(session: Session, returning: Subscription) -> None:
    """Put a subscription's watermark where the last edition ended: nothing twice, and the next one with all others.

    Which slots of theirs passed meanwhile does not count: they missed none.
    """
    session.flush()
    statement = sa.update(Subscription).where(col(Subscription.id) == returning.id)
    session.connection().execute(statement.values(read_until=with_all_others(), offered_at=None))
    session.refresh(returning)


@dataclass(frozen=True)
class Erased:
    """What an erasure took: letters stay as numbers without a person, those still owed are dropped."""

    subscriptions: int
    letters: int
    dropped: int


def erase(session: Session, email: str, *, mark: str, now: datetime) -> Erased | None:
    """Remove a person from every table and leave `mark`; None where nothing is known of them.

    Their letters stay, so that the sums of each edition do, but nobody's: the foreign keys become NULL. What
    the mail server said goes, for it often names the address. A letter that a worker holds is settled as any.
    """
    person = find(session, email)
    stop = suppressions.own(session, email)  # the block of a domain is about nobody
    connection = session.connection()
    notices = connection.execute(sa.delete(Notice).where(col(Notice.address) == address_key(email))).rowcount
    waits = connection.execute(sa.delete(SignupWait).where(col(SignupWait.key) == address_key(email))).rowcount
    connection.execute(sa.delete(ImportChange).where(col(ImportChange.key) == address_key(email)))
    for forget in (hooks.forget_person, once.forget_person):
        forget(session, address_key(email))
    mails = mail_tables.forget(session, address_key(email), person.id if person else None)
    if person is None and stop is None and not notices and not waits and not mails:
        return None
    subscriptions = letters = dropped = 0
    witness.note_person(session, "erased", address_key(email), mark=mark)
    if person is not None:
        # First, as a composition does, which may be about to owe them a letter.
        ours = subscriptions_of(session, person, lock=True)
        subscriptions = len(ours)
        theirs = col(OutboxRow.subscriber_id) == person.id
        waiting = col(OutboxRow.state).in_((OutboxState.OWED, OutboxState.CLAIMED, OutboxState.HELD))
        drop = {"state": OutboxState.DROPPED, "reply": "erased", "settled_at": now}
        dropped = connection.execute(sa.update(OutboxRow).where(theirs, waiting).values(drop)).rowcount
        said = sa.case((col(OutboxRow.state) == OutboxState.DROPPED, col(OutboxRow.reply)), else_="")
        connection.execute(sa.update(OutboxRow).where(theirs).values(reply=said, named=None))
        letters = session.exec(select(sa.func.count()).select_from(OutboxRow).where(theirs)).one()
        # Whoever was told of them is told that they are gone (GDPR, article 19): their address is kept until then.
        for one, _newsletter in ours:
            if one.state is not SubscriptionState.UNSUBSCRIBED:
                hooks.note_person(session, hooks.Event.LEFT, one, how="erased", state="erased", now=now)
        session.delete(person)
        session.flush()
    if stop is not None:
        session.delete(stop)
    erasures.note(session, mark, now=now)
    return Erased(subscriptions, letters, dropped)


def readdress(session: Session, person: Subscriber, email: str) -> None:
    """Give a person another address, which is nobody's; notices that they are owed go there too."""
    theirs = sa.select(col(Subscription.id)).where(col(Subscription.subscriber_id) == person.id)
    waiting = sa.select(col(OutboxRow.notice_id)).where(col(OutboxRow.state) == OutboxState.OWED)
    mine = (
        col(Notice.address) == person.key,
        col(Notice.subscription_id).in_(theirs),
        col(Notice.id).in_(waiting.where(col(OutboxRow.notice_id).is_not(None))),
    )
    session.execute(sa.update(Notice).where(*mine).values(email=email, address=address_key(email)))
    if person.key != address_key(email):
        for take_along in (hooks.rename_person, once.rename_person, mail_tables.rename_person):
            take_along(session, person.key, address_key(email))
        # What imports changed of them goes along, else nobody would find it to erase it.
        session.execute(sa.delete(ImportChange).where(col(ImportChange.key) == address_key(email)))
        session.execute(
            sa.update(ImportChange).where(col(ImportChange.key) == person.key).values(key=address_key(email)),
            execution_options={"synchronize_session": False},
        )
    person.email, person.key = email, address_key(email)
    session.add(person)
    session.flush()


def moved_from(session: Session, person: Subscriber, email: str) -> bool:
    """Did a person have this address before?"""
    said = select(Consent.detail).where(Consent.subscriber_id == person.id, Consent.event == ConsentEvent.MOVED)
    return any(address_key(detail).startswith(f"{address_key(email)} ") for detail in session.exec(said))


def subscription_by_id(
    session: Session, subscription_id: int, *, lock: bool = False
) -> tuple[Subscription, str] | None:
    """A subscription and the name of its newsletter, or None where it is gone; with `lock` ours alone.

    One that went into another when their newsletters became one is that other: links in old mail go by its number.
    """
    every = select(Subscription, Newsletter.name).join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
    query = every.with_for_update(of=Subscription) if lock else every
    options = _AS_IT_IS if lock else {}
    found = session.exec(query.where(Subscription.id == subscription_id), execution_options=options).one_or_none()
    if found is not None:
        return found
    joined = select(FormerName.new).where(FormerName.kind == JOINED, FormerName.old == str(subscription_id))
    other = session.exec(joined).first()
    if other is None:
        return None
    return session.exec(query.where(Subscription.id == int(other)), execution_options=options).one_or_none()


def subscriptions_of(session: Session, person: Subscriber, *, lock: bool = False) -> list[tuple[Subscription, str]]:
    """All subscriptions of a person, each with the name of its newsletter; with `lock` ours alone."""
    query = (
        select(Subscription, Newsletter.name)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .where(Subscription.subscriber_id == person.id)
        .order_by(Newsletter.name)
    )
    if lock:
        return list(session.exec(query.with_for_update(of=Subscription), execution_options=_AS_IT_IS))
    return list(session.exec(query))


def subscribe(session: Session, person: Subscriber, paper: Newsletter, *, consent: str, now: datetime) -> Subscription:
    """A new subscription, active, whose first edition is the next one, the same as everybody's."""
    assert paper.id is not None
    made: Subscription = session.exec(
        sa.insert(Subscription)
        .values(
            subscriber_id=person.id,
            newsletter_id=paper.id,
            topics=[],
            read_until=composed_upto(session, paper.id),
            consent=consent,
            created_at=now,
            changed_at=now,
        )
        .returning(Subscription)
    ).scalar_one()
    return made
