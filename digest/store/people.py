"""Subscribers, their subscriptions, consent and suppressions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Consent,
    ConsentEvent,
    Edition,
    EditionState,
    Erasure,
    Newsletter,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    Variant,
    address_key,
)
from digest.store.database import insert_into
from digest.store.editions import composed_upto

# What this transaction read before it had the lock may have changed meanwhile.
_AS_IT_IS = {"populate_existing": True}
BOUNCED = "no such mailbox"  # the reason of a suppression that a mail server's answer to a letter made
SUPPRESSED = "suppressed"  # the state shown for an address in `suppression`, whatever its subscription says


# ---------------------------------------------------------------- one person


def subscriber(session: Session, email: str) -> Subscriber | None:
    """The person with this address (in the form of `subscribe.address`), however its letters are cased."""
    return session.exec(select(Subscriber).where(col(Subscriber.key) == address_key(email))).one_or_none()


def keep_subscriber(session: Session, email: str, *, name: str, tags: Sequence[str], now: datetime) -> Subscriber:
    """The person's row, made where there is none; a name we have is not replaced."""
    made = {"email": email, "key": address_key(email), "name": name, "tags": list(tags), "created_at": now}
    insert = insert_into(session, Subscriber).values(made)
    # Two at once: the second one finds the row of the first. It is written so as to be ours from here on: whoever
    # deletes it meanwhile has done so before, and we make it anew.
    session.connection().execute(
        insert.on_conflict_do_update(index_elements=["key"], set_={"key": insert.excluded.key})
    )
    person = session.exec(select(Subscriber).where(col(Subscriber.key) == address_key(email)).with_for_update()).one()
    if name and not person.name:
        person.name = name
    return person


def subscription(session: Session, person: Subscriber, paper: Newsletter) -> Subscription | None:
    """A person's subscription to a newsletter, ours alone until the transaction ends."""
    return session.exec(
        select(Subscription)
        .where(Subscription.subscriber_id == person.id, Subscription.newsletter_id == paper.id)
        .with_for_update(),
        execution_options=_AS_IT_IS,
    ).one_or_none()


def suppression(session: Session, email: str) -> Suppression | None:
    return session.get(Suppression, address_key(email))


def suppress(session: Session, email: str, *, reason: str, now: datetime, status: str = "") -> None:
    """Write to this address no more; the first reason stands."""
    made = {"key": address_key(email), "reason": reason, "status": status, "created_at": now}
    session.connection().execute(insert_into(session, Suppression).values(made).on_conflict_do_nothing())


def unsuppress(session: Session, email: str, *, mark: str) -> bool:
    """Let this address be written to and subscribed again, also after an erasure; False where nothing barred it."""
    barred = suppression(session, email) or erased(session, mark)
    session.exec(sa.delete(Suppression).where(col(Suppression.key) == address_key(email)))
    session.exec(sa.delete(Erasure).where(col(Erasure.mark) == mark))
    return barred is not None


@dataclass(frozen=True)
class Stops:
    """Which suppressions: made from `since` on and before `until`, for `reason`; what else is empty narrows nothing."""

    since: datetime
    until: datetime | None = None
    reason: str = BOUNCED
    status: str = ""  # the enhanced status code that decided it
    domain: str = ""  # of the address, as `subscribe.address` has it


class Lifted(NamedTuple):
    """A suppression that was taken away. `key` is of `address_key`."""

    key: str
    reason: str
    status: str
    suppressed_at: datetime


def lift_suppressions(session: Session, which: Stops, *, how: str, now: datetime) -> list[Lifted]:
    """Let all these addresses be written to again, by address; whose they are, their history says so."""
    stop, connection = Suppression, session.connection()
    these = [col(stop.created_at) >= which.since, col(stop.reason) == which.reason]
    if which.reason == BOUNCED:
        these.append(col(stop.status) != "")  # else a person said so, in the same words
    if which.until is not None:
        these.append(col(stop.created_at) < which.until)
    if which.status:
        these.append(col(stop.status) == which.status)
    if which.domain:
        these.append(col(stop.key).endswith(f"@{which.domain}", autoescape=True))
    gone = sa.delete(stop).where(*these).returning(*map(col, (stop.key, stop.reason, stop.status, stop.created_at)))
    lifted = sorted(Lifted._make(row) for row in connection.execute(gone))
    said = {"at": now, "event": ConsentEvent.UNSUPPRESSED, "how": how}
    details = {one.key: f"{one.reason} {one.status}".strip() for one in lifted}
    for some in batched(list(details)):
        known = sa.select(col(Subscriber.id), col(Subscriber.key)).where(col(Subscriber.key).in_(some))
        rows = [said | {"subscriber_id": id_, "detail": details[key]} for id_, key in connection.execute(known)]
        if rows:
            connection.execute(sa.insert(Consent), rows)
    return lifted


def missed_editions(session: Session, keys: Sequence[str]) -> list[tuple[str, int, int]]:
    """(newsletter, number, letters) of what these addresses did not get, as it was refused or they were suppressed."""
    found: dict[tuple[str, int], int] = {}
    for some in batched(list(keys)):
        query = (
            sa.select(col(Newsletter.name), col(Edition.number), sa.func.count())
            .select_from(OutboxRow)
            .join(Edition, col(Edition.id) == OutboxRow.edition_id)
            .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
            .join(Subscriber, col(Subscriber.id) == OutboxRow.subscriber_id)
            .where(col(Subscriber.key).in_(some), col(Edition.state) != EditionState.CANCELLED, not_had())
            .group_by(col(Newsletter.name), col(Edition.number))
        )
        for name, number, letters in session.execute(query):
            found[name, number] = found.get((name, number), 0) + letters
    return sorted((name, number, letters) for (name, number), letters in found.items())


def not_had() -> Any:
    """That a letter was refused, or dropped since an earlier one of its reader was: what a resend is for."""
    dropped = (col(OutboxRow.state) == OutboxState.DROPPED) & (col(OutboxRow.reply) == f"{SUPPRESSED}: {BOUNCED}")
    return (col(OutboxRow.state) == OutboxState.REFUSED) | dropped


def batched(values: list[str]) -> Iterator[list[str]]:
    """As many at a time as one IN (…) takes."""
    for start in range(0, len(values), 500):
        yield values[start : start + 500]


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
            read_until=_with_all_others(),
            offered_at=None,
        )
        .returning(col(Subscription.subscriber_id), col(Subscription.newsletter_id))
    ).all()
    if ended:
        said = {"at": now, "event": ConsentEvent.RESUMED, "how": "the pause was over"}
        connection.execute(sa.insert(Consent), [row._asdict() | said for row in ended])
    return len(ended)


def rejoin(session: Session, returning: Subscription) -> None:
    """Put a subscription's watermark where the last edition ended: nothing twice, and the next one with all others.

    Which slots of theirs passed meanwhile does not count: they missed none.
    """
    session.flush()
    statement = sa.update(Subscription).where(col(Subscription.id) == returning.id)
    session.connection().execute(statement.values(read_until=_with_all_others(), offered_at=None))
    session.refresh(returning)


def _with_all_others() -> Any:
    last = (
        sa.select(sa.func.coalesce(sa.func.max(Edition.upto_seq), 0))
        .where(col(Edition.newsletter_id) == Subscription.newsletter_id)
        .correlate(Subscription)
        .scalar_subquery()
    )
    return sa.case((last > Subscription.read_until, last), else_=col(Subscription.read_until))


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
    person = subscriber(session, email)
    stop = suppression(session, email)
    connection = session.connection()
    notices = connection.execute(sa.delete(Notice).where(col(Notice.address) == address_key(email))).rowcount
    if person is None and stop is None and not notices:
        return None
    subscriptions = letters = dropped = 0
    if person is not None:
        # First, as a composition does, which may be about to owe them a letter.
        subscriptions = len(subscriptions_of(session, person, lock=True))
        theirs = col(OutboxRow.subscriber_id) == person.id
        waiting = col(OutboxRow.state).in_((OutboxState.OWED, OutboxState.CLAIMED, OutboxState.HELD))
        drop = {"state": OutboxState.DROPPED, "reply": "erased", "settled_at": now}
        dropped = connection.execute(sa.update(OutboxRow).where(theirs, waiting).values(drop)).rowcount
        said = col(OutboxRow.state) != OutboxState.DROPPED
        connection.execute(sa.update(OutboxRow).where(theirs, said).values(reply=""))
        letters = session.exec(select(sa.func.count()).select_from(OutboxRow).where(theirs)).one()
        session.delete(person)
        session.flush()
    if stop is not None:
        session.delete(stop)
    note = {"mark": mark, "created_at": now}
    connection.execute(insert_into(session, Erasure).values(note).on_conflict_do_nothing())
    return Erased(subscriptions, letters, dropped)


def subscription_by_id(
    session: Session, subscription_id: int, *, lock: bool = False
) -> tuple[Subscription, str] | None:
    """A subscription and the name of its newsletter, or None where it is gone; with `lock` ours alone."""
    query = select(Subscription, Newsletter.name).join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
    query = query.where(Subscription.id == subscription_id)
    if lock:
        return session.exec(query.with_for_update(of=Subscription), execution_options=_AS_IT_IS).one_or_none()
    return session.exec(query).one_or_none()


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


def lift_erasure(session: Session, mark: str) -> None:
    """Forget that somebody with this mark was erased: they have come back themselves."""
    session.exec(sa.delete(Erasure).where(col(Erasure.mark) == mark))


def subscribe_to(
    session: Session, person: Subscriber, paper: Newsletter, *, consent: str, now: datetime
) -> Subscription:
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


def erased(session: Session, mark: str) -> Erasure | None:
    """The note that somebody with this `subscribe.erasure_mark` was erased."""
    return session.get(Erasure, mark)


# ---------------------------------------------------------------- their history


@dataclass(frozen=True)
class Standing:
    """A subscription as it is shown. `state` is "suppressed" where the address is."""

    newsletter: str
    state: str
    topics: tuple[str, ...]
    cadence: str
    hour: int | None
    zone: str
    language: str
    format: str  # "text" or "html"
    paused_until: datetime | None
    consent: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Moment:
    """One line of a person's consent history. `newsletter` is "" where all are meant."""

    at: datetime
    event: str
    newsletter: str
    how: str
    vouched_by: str
    ip: str
    detail: str


@dataclass(frozen=True)
class Post:
    """One letter to a person, and what became of it. A notice is of no newsletter."""

    newsletter: str
    edition: int | None
    subject: str
    written_at: datetime
    state: str
    settled_at: datetime | None
    attempts: int
    code: int
    reply: str


def standings(session: Session, person: Subscriber) -> list[Standing]:
    return [
        Standing(
            newsletter=name,
            state=s.state,
            topics=tuple(s.topics),
            cadence=s.cadence,
            hour=s.hour,
            zone=s.zone,
            language=s.language,
            format="text" if s.plain else "html",
            paused_until=s.paused_until,
            consent=s.consent,
            created_at=s.created_at,
            changed_at=s.changed_at,
        )
        for s, name in subscriptions_of(session, person)
    ]


def moments(session: Session, person: Subscriber) -> list[Moment]:
    """A person's consent history, oldest first."""
    rows = session.exec(
        select(Consent, Newsletter.name)
        .outerjoin(Newsletter, col(Newsletter.id) == Consent.newsletter_id)
        .where(Consent.subscriber_id == person.id)
        .order_by(col(Consent.at), col(Consent.id))
    ).all()
    return [Moment(c.at, c.event, name or "", c.how, c.vouched_by, c.ip, c.detail) for c, name in rows]


def posts(session: Session, person: Subscriber) -> list[Post]:
    """The letters to a person, newest first."""
    fate = [
        col(c) for c in (OutboxRow.state, OutboxRow.settled_at, OutboxRow.attempts, OutboxRow.code, OutboxRow.reply)
    ]
    editions = (
        sa.select(col(Newsletter.name), col(Edition.number), col(Variant.subject), col(Edition.composed_at), *fate)
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == OutboxRow.edition_id)
        .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
        .join(Variant, col(Variant.id) == OutboxRow.variant_id)
        .where(col(OutboxRow.subscriber_id) == person.id)
    )
    notices = (
        sa.select(sa.literal(""), sa.null(), col(Notice.subject), col(Notice.created_at), *fate)
        .select_from(OutboxRow)
        .join(Notice, col(Notice.id) == OutboxRow.notice_id)
        .where(col(Notice.address) == person.key)
    )
    connection = session.connection()
    letters = [Post(*row) for query in (editions, notices) for row in connection.execute(query)]
    return sorted(letters, key=lambda letter: letter.written_at, reverse=True)


# ---------------------------------------------------------------- lists


@dataclass(frozen=True)
class Search:
    """What a list of subscribers is narrowed to; what is empty narrows nothing."""

    part: str = ""  # of the address
    state: str = ""  # of SubscriptionState, or SUPPRESSED
    topic: str = ""  # who gets it: chose it, or all
    cadence: str = ""  # in its one form, "weekly" for any day of the week, or "every edition"
    tag: str = ""
    newsletter: str = ""


@dataclass(frozen=True)
class Listed:
    """A line of the list: a person and one of their subscriptions, or a suppressed address ("" no newsletter)."""

    email: str
    name: str
    state: str
    topics: tuple[str, ...]
    cadence: str
    tags: tuple[str, ...]
    newsletter: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class Page:
    """Some lines of a list, and the address to go on after, or ""."""

    rows: tuple[Listed, ...]
    more: str


def listed(session: Session, search: Search, *, after: str = "", limit: int) -> Page:
    """Up to `limit` people in the order of their addresses, from the one after `after`, a line per subscription.

    Suppressed addresses that never were subscribers are listed under the state SUPPRESSED only.
    """
    start = address_key(after)
    if search.state == SUPPRESSED:
        return _listed_suppressed(session, search, after=start, limit=limit)
    keys = session.exec(
        select(Subscriber.key)
        .where(col(Subscriber.key) > start, *_about_person(search), _subscribed(search))
        .order_by(col(Subscriber.key))
        .limit(limit + 1)
    ).all()
    page = keys[:limit]
    if not page:
        return Page((), "")
    rows = session.exec(
        select(Subscriber, Subscription, Newsletter.name, Suppression)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(col(Subscriber.key) > start, col(Subscriber.key) <= page[-1])
        .where(*_about_person(search), *_about_subscription(search))
        .order_by(col(Subscriber.key), Newsletter.name)
    ).all()
    lines = tuple(
        Listed(
            p.email,
            p.name,
            SUPPRESSED if stop else s.state,
            tuple(s.topics),
            s.cadence,
            tuple(p.tags),
            name,
            s.created_at,
            _why(stop),
        )
        for p, s, name, stop in rows
    )
    return Page(lines, lines[-1].email if len(keys) > limit else "")


def _listed_suppressed(session: Session, search: Search, *, after: str, limit: int) -> Page:
    narrowed = search.topic or search.cadence or search.newsletter
    rows = session.exec(
        select(Suppression, Subscriber)
        .outerjoin(Subscriber, col(Subscriber.key) == Suppression.key)
        .where(
            col(Suppression.key) > after,
            col(Suppression.key).contains(address_key(search.part), autoescape=True),
            *([_has(Subscriber.tags, search.tag)] if search.tag else []),
            *([_subscribed(replace(search, state=""))] if narrowed else []),
        )
        .order_by(col(Suppression.key))
        .limit(limit + 1)
    ).all()
    lines = tuple(
        Listed(
            p.email if p else stop.key,
            p.name if p else "",
            SUPPRESSED,
            (),
            "",
            tuple(p.tags) if p else (),
            "",
            stop.created_at,
            _why(stop),
        )
        for stop, p in rows[:limit]
    )
    return Page(lines, lines[-1].email if len(rows) > limit else "")


def counted(session: Session, search: Search) -> list[tuple[str, str, int]]:
    """How many the search finds: (newsletter, state, subscriptions). Suppressed addresses count as such."""
    state = sa.case((col(Suppression.key).is_not(None), SUPPRESSED), else_=col(Subscription.state))
    found = (
        select(col(Newsletter.name), sa.type_coerce(state, sa.String).label("standing"), sa.func.count())
        .select_from(Subscription)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(*_about_person(search), *_about_subscription(replace(search, state="")))
        .group_by(col(Newsletter.name), "standing")
        .order_by(col(Newsletter.name), "standing")
    )
    return [(n, s, c) for n, s, c in session.exec(found) if search.state in ("", s)]


def _about_person(search: Search) -> list[Any]:
    conditions: list[Any] = []
    if search.part:
        conditions.append(col(Subscriber.key).contains(address_key(search.part), autoescape=True))
    if search.tag:
        conditions.append(_has(Subscriber.tags, search.tag))
    return conditions


def _about_subscription(search: Search) -> list[Any]:
    conditions: list[Any] = []
    if search.newsletter:
        paper = select(Newsletter.id).where(Newsletter.name == search.newsletter).scalar_subquery()
        conditions.append(col(Subscription.newsletter_id) == paper)
    if search.state:
        conditions.append(col(Subscription.state) == search.state)
        conditions.append(~sa.exists().where(col(Suppression.key) == Subscriber.key).correlate(Subscriber))
    if search.topic:
        conditions.append(
            sa.or_(_has(Subscription.topics, search.topic), sa.cast(Subscription.topics, sa.String) == "[]")
        )
    if search.cadence:
        wanted = "" if search.cadence == "every edition" else search.cadence
        weekly = wanted == "weekly"
        conditions.append(col(Subscription.cadence).startswith("weekly ") if weekly else Subscription.cadence == wanted)
    return conditions


def _subscribed(search: Search) -> Any:
    """That a person has a subscription such as the search wants."""
    return (
        sa.exists()
        .where(col(Subscription.subscriber_id) == Subscriber.id, *_about_subscription(search))
        .correlate(Subscriber)
    )


def _has(column: Any, word: str) -> Any:
    """That a JSON list holds `word`, in whatever case, told from its text, which is the same on both databases."""
    return sa.cast(column, sa.String).icontains(json.dumps(word), autoescape=True)


def _why(stop: Suppression | None) -> str:
    return f"{stop.reason} {stop.status}".strip() if stop else ""


class Line(NamedTuple):
    """All that is known of a person and one newsletter, as it is exported."""

    email: str
    name: str
    state: str  # "" for a suppressed address without a subscription
    topics: list[str]
    cadence: str
    hour: int | None
    zone: str
    language: str
    format: str  # "text" or "html"
    tags: list[str]
    subscribed_at: datetime | None
    changed_at: datetime | None
    paused_until: datetime | None
    consent: str
    suppressed: str
    suppressed_status: str
    suppressed_at: datetime | None


def roll(session: Session, newsletter: str) -> Iterator[Line]:
    """Everybody who has a subscription to `newsletter`, then the other suppressed addresses, by address."""
    paper = select(Newsletter.id).where(Newsletter.name == newsletter).scalar_subquery()
    subscribed: Any = (
        sa.select(
            *(col(c) for c in (Subscriber.email, Subscriber.name, Subscription.state, Subscription.topics)),
            *(col(c) for c in (Subscription.cadence, Subscription.hour, Subscription.zone, Subscription.language)),
            sa.case((col(Subscription.plain), "text"), else_="html"),
            *(col(c) for c in (Subscriber.tags, Subscription.created_at, Subscription.changed_at)),
            *(col(c) for c in (Subscription.paused_until, Subscription.consent)),
            sa.func.coalesce(col(Suppression.reason), ""),
            sa.func.coalesce(col(Suppression.status), ""),
            col(Suppression.created_at),
        )
        .select_from(Subscriber)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(col(Subscription.newsletter_id) == paper)
        .order_by(col(Subscriber.key))
    )
    stream = session.connection().execution_options(yield_per=1_000)
    for row in stream.execute(subscribed):
        yield Line(*row)
    others = (
        sa.select(col(Suppression.key), col(Suppression.reason), col(Suppression.status), col(Suppression.created_at))
        .where(
            ~sa.exists()
            .where(col(Subscriber.key) == Suppression.key)
            .where(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == paper)
            .correlate(Suppression)
        )
        .order_by(col(Suppression.key))
    )
    for key, reason, status, at in stream.execute(others):
        yield Line(key, "", "", [], "", None, "", "", "", [], None, None, None, "", reason, status, at)
