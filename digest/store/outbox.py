"""The outbox: letters owed, claimed under a lease, marked before they go out, settled by the reply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Edition,
    EditionState,
    Newsletter,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    UtcTime,
    address_key,
)
from digest.store.database import insert_into

UNSETTLED = (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING)
_NO_SYNC = {"synchronize_session": False}


# The two statements that every letter costs, in words that both databases know: SQLAlchemy's own handling of
# each row would take longer than all the rest of recording. `?` becomes the driver's mark.
_MARK = """
    UPDATE outbox SET state = 'sending', attempts = attempts + 1, due_at = ?, tried_at = coalesce(tried_at, ?)
    WHERE id IN ({}) AND state = 'claimed'
        AND (edition_id IS NULL OR edition_id IN (SELECT id FROM edition WHERE state = 'open'))
    RETURNING id, attempts
"""
_SETTLE = """
    UPDATE outbox SET state = ?, due_at = ?, settled_at = ?, code = ?, reply = ?, in_doubt = in_doubt OR ?
    WHERE id = ? AND attempts = ? AND state = 'sending'
"""
_BOX = OutboxRow.__table__  # type: ignore[attr-defined]
_OURS = (
    _BOX.c.id == sa.bindparam("letter"),
    _BOX.c.attempts == sa.bindparam("attempt"),
    _BOX.c.state == OutboxState.SENDING,
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that is ours until its lease runs out: of an edition, or a notice.

    `attempts` counts those before this one, `tried_at` is the first of them.
    """

    id: int
    edition_id: int | None
    variant_id: int | None
    notice_id: int | None
    subscription_id: int | None
    email: str
    name: str
    attempts: int
    tried_at: datetime | None
    in_doubt: bool


@dataclass(frozen=True)
class Claim:
    """What a claim took: letters to send, and how many were settled instead."""

    letters: tuple[Claimed, ...] = ()
    dropped: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `due_at` is when an owed letter may be tried again."""

    letter_id: int
    attempt: int
    state: OutboxState
    code: int = 0
    reply: str = ""
    due_at: datetime | None = None
    in_doubt: bool = False


def owe_notice(
    session: Session,
    *,
    to: str,
    name: str = "",
    subject: str,
    text: str,
    html: str = "",
    sender: str,
    key: str,
    subscription_id: int | None = None,
    now: datetime,
) -> bool:
    """Owe one letter that belongs to no edition; False if a notice with this `key` was owed before.

    It goes out with the next delivery pass, also to a subscription that is still pending, but never to a
    suppressed address.
    """
    values = {
        "key": key,
        "email": to,
        "address": address_key(to),
        "name": name,
        "sender": sender,
        "subject": subject,
        "text": text,
        "html": html,
        "subscription_id": subscription_id,
        "created_at": now,
    }
    made = session.execute(
        insert_into(session, Notice).values(values).on_conflict_do_nothing().returning(col(Notice.id))
    ).scalar()
    if made is None:
        return False
    session.add(OutboxRow(notice_id=made, due_at=now, created_at=now))
    session.flush()
    return True


def notice_to_send(session: Session, notice_id: int) -> Notice:
    return session.get_one(Notice, notice_id)


# ---------------------------------------------------------------- claim, mark, settle


def due_editions(session: Session, *, now: datetime) -> list[int | None]:
    """Whose letters could be claimed at this moment: None for notices, then open editions, the oldest first."""
    waiting = _waiting(now)
    editions = (
        sa.select(col(Edition.id))
        .where(col(Edition.state) == EditionState.OPEN)
        .where(sa.exists().where(col(OutboxRow.edition_id) == col(Edition.id), *waiting))
        .order_by(col(Edition.id))
    )
    notices = sa.select(sa.exists().where(col(OutboxRow.edition_id).is_(None), *waiting))
    found: list[int | None] = list(session.scalars(editions))
    return [None, *found] if session.scalar(notices) else found


def claim(
    session: Session,
    *,
    edition_id: int | None,
    now: datetime,
    limit: int,
    lease: timedelta,
    hold_doubtful: bool,
    tried_only: bool = False,
) -> Claim:
    """Take up to `limit` due letters of one edition (None: notices) until `now + lease`.

    One statement, so two workers never hold one letter: PostgreSQL skips locked rows, SQLite has one writer
    and leaves the clause out. Whose reader has left meanwhile is dropped. A letter whose lease ran out while
    it was being sent was in the hands of someone who died: its mail may be with the reader already, so it is
    flagged `in_doubt`, and kept back if `hold_doubtful`. Message-ID and bytes stay the same, so a copy sent
    after a crash can be told for what it is (RFC 1047). `tried_only` leaves alone what was never tried.
    """
    mine = _of(edition_id)
    if edition_id is not None:
        mine.append(sa.exists().where(col(Edition.id) == edition_id, col(Edition.state) == EditionState.OPEN))
    if tried_only:
        mine.append(col(OutboxRow.attempts) > 0)
    held = _hold_expired(session, mine, now=now) if hold_doubtful else 0
    due = (
        sa.select(col(OutboxRow.id))
        .where(*mine, *_waiting(now))
        .order_by(col(OutboxRow.due_at), col(OutboxRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True, of=OutboxRow)
        .cte("due")
    )
    statement = (
        sa.update(OutboxRow)
        .where(col(OutboxRow.id).in_(sa.select(due.c.id)))
        .values(
            state=OutboxState.CLAIMED,
            due_at=now + lease,
            in_doubt=sa.or_(col(OutboxRow.in_doubt), col(OutboxRow.state) == OutboxState.SENDING),
        )
        .returning(col(OutboxRow.id))
    )
    taken = list(session.scalars(statement, execution_options=_NO_SYNC))
    if not taken:
        return Claim(held=held)
    query = (
        sa.select(
            col(OutboxRow.id),
            col(OutboxRow.edition_id),
            col(OutboxRow.variant_id),
            col(OutboxRow.notice_id),
            col(OutboxRow.subscription_id),
            sa.func.coalesce(col(Notice.email), col(Subscriber.email)),
            sa.func.coalesce(col(Notice.name), col(Subscriber.name)),
            col(OutboxRow.attempts),
            col(OutboxRow.tried_at),
            col(OutboxRow.in_doubt),
            col(Subscription.state),
            col(Suppression.reason),
        )
        .select_from(OutboxRow)
        .join(Notice, col(Notice.id) == col(OutboxRow.notice_id), isouter=True)
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id), isouter=True)
        .join(Subscription, col(Subscription.id) == col(OutboxRow.subscription_id), isouter=True)
        .join(
            Suppression,
            col(Suppression.key) == sa.func.coalesce(col(Notice.address), col(Subscriber.key)),
            isouter=True,
        )
        .where(col(OutboxRow.id).in_(taken))
        .order_by(col(OutboxRow.id))
    )
    letters, left = [], []
    for *values, subscription, suppressed in session.execute(query):
        letter = Claimed(*values)
        reason = _why_not(letter, subscription, suppressed)
        if reason:
            left.append({"letter": letter.id, "why": reason})
        else:
            letters.append(letter)
    if left:
        session.connection().execute(
            sa.update(OutboxRow)
            .where(col(OutboxRow.id) == sa.bindparam("letter"))
            .values(state=OutboxState.DROPPED, settled_at=now, reply=sa.bindparam("why")),
            left,
        )
    return Claim(tuple(letters), dropped=len(left), held=held)


def _why_not(letter: Claimed, subscription: SubscriptionState | None, suppressed: str | None) -> str:
    """Why this letter must not go out any more, or "". A notice needs no subscription."""
    if letter.email is None or (letter.notice_id is None and subscription is None):
        return "erased"
    if suppressed is not None:
        return f"suppressed: {suppressed}"
    if letter.notice_id is None and subscription is not SubscriptionState.ACTIVE:
        return str(subscription)
    return ""


def mark(session: Session, letters: Sequence[Claimed], *, now: datetime, lease: timedelta) -> dict[int, int]:
    """Say that these claimed letters are about to go out, until `now + lease`: {id: attempt}, from 1.

    Committed before their bodies are on the wire, so that after a crash exactly these are in doubt. Whoever
    marks a letter has it: those that are missing from the answer were taken by another worker, or belong to
    an edition that was paused meanwhile.
    """
    if not letters:
        return {}
    statement = _MARK.format(",".join(str(int(letter.id)) for letter in letters))
    moment = _moments(session)
    found = _driver(session, statement, (moment(now + lease), moment(now)))
    return {row["id"]: row["attempts"] for row in found.mappings()}


def unclaim(session: Session, letters: Sequence[Claimed], *, due_at: datetime) -> None:
    """Give back letters that were claimed and not marked: anyone may claim them from `due_at` on."""
    session.execute(
        sa.update(OutboxRow)
        .where(col(OutboxRow.id).in_([letter.id for letter in letters]), col(OutboxRow.state) == OutboxState.CLAIMED)
        .values(state=OutboxState.OWED, due_at=due_at),
        execution_options=_NO_SYNC,
    )


def unmark(session: Session, attempts: Iterable[tuple[int, int]], *, now: datetime) -> None:
    """Give back marked letters, as (id, attempt), whose body never went out: the attempt does not count."""
    rows = [{"letter": letter_id, "attempt": attempt} for letter_id, attempt in attempts]
    if rows:
        session.connection().execute(
            sa.update(OutboxRow)
            .where(*_OURS)
            .values(
                state=OutboxState.OWED,
                due_at=now,
                attempts=OutboxRow.attempts - 1,
                tried_at=sa.case((col(OutboxRow.attempts) > 1, col(OutboxRow.tried_at)), else_=None),
            ),
            rows,
        )


def settle(session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> Counter[OutboxState]:
    """Record what became of attempts; how many letters went into each state.

    A worker that slept past its lease finds another attempt number, and settles nothing.
    """
    settled: Counter[OutboxState] = Counter()
    moment = _moments(session)
    at = moment(now)
    for state in {outcome.state for outcome in outcomes}:
        rows = [
            (
                state.value,
                at if outcome.due_at is None else moment(outcome.due_at),
                None if state in UNSETTLED else at,
                outcome.code,
                outcome.reply[:500],
                outcome.in_doubt,
                outcome.letter_id,
                outcome.attempt,
            )
            for outcome in outcomes
            if outcome.state is state
        ]
        settled[state] = _driver(session, _SETTLE, rows).rowcount
    return settled


def _driver(session: Session, statement: str, values: Any) -> sa.CursorResult[Any]:
    """Run a statement as the driver takes it, for one tuple of values or a list of them."""
    if session.get_bind().dialect.paramstyle != "qmark":
        statement = statement.replace("?", "%s")
    return session.connection().exec_driver_sql(statement, values)


def _moments(session: Session) -> Callable[[datetime], Any]:
    """How the driver takes a time."""
    return UtcTime().bind_processor(session.get_bind().dialect) or (lambda moment: moment)


def _of(edition_id: int | None) -> list[sa.ColumnElement[bool]]:
    return [col(OutboxRow.edition_id).is_(None) if edition_id is None else col(OutboxRow.edition_id) == edition_id]


def _waiting(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Owed and due, or taken by somebody whose lease ran out. `settled_at` is what the index is made of."""
    return (col(OutboxRow.settled_at).is_(None), col(OutboxRow.due_at) <= now)


def _hold_expired(session: Session, mine: list[sa.ColumnElement[bool]], *, now: datetime) -> int:
    result = session.execute(
        sa.update(OutboxRow)
        .where(*mine, *_waiting(now), col(OutboxRow.state) == OutboxState.SENDING)
        .values(
            state=OutboxState.HELD,
            in_doubt=True,
            settled_at=now,
            reply="the sender died during this letter's attempt; it may have been delivered",
        ),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- counts and lists


def due_count(session: Session, *, now: datetime) -> int:
    """How many letters could be claimed at this moment."""
    open_now = sa.select(col(Edition.id)).where(col(Edition.state) == EditionState.OPEN)
    query = select(sa.func.count()).where(
        *_waiting(now), sa.or_(col(OutboxRow.edition_id).is_(None), col(OutboxRow.edition_id).in_(open_now))
    )
    return session.exec(query).one()


def unsettled_count(session: Session) -> int:
    """How many letters are still owed, due or not, claimed or not."""
    return session.exec(select(sa.func.count()).where(col(OutboxRow.settled_at).is_(None))).one()


@dataclass(frozen=True)
class Later:
    """Letters that are not due yet: how many, and when the last of them is."""

    letters: int = 0
    until: datetime | None = None


def for_later(session: Session, *, edition_id: int | None = None, now: datetime) -> Later:
    """The letters that wait for their reader's hour, of one edition or of all that are open."""
    query = (
        select(sa.func.count(), sa.func.max(OutboxRow.due_at))
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .where(
            col(OutboxRow.settled_at).is_(None),
            OutboxRow.state == OutboxState.OWED,
            OutboxRow.attempts == 0,
            OutboxRow.due_at > now,
            Edition.state == EditionState.OPEN,
        )
    )
    if edition_id is not None:
        query = query.where(OutboxRow.edition_id == edition_id)
    return Later(*session.exec(query).one())


@dataclass(frozen=True)
class OutboxLine:
    """A letter as `digest outbox list` shows it. A notice has no edition, and its subject says what it is."""

    id: int
    newsletter: str
    edition: int | None
    subject: str
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
    in_doubt: bool | None = None,
    letter_id: int | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[OutboxLine]:
    """Letters by id, from the one after `after`."""
    query = (
        sa.select(OutboxRow, col(Newsletter.name), col(Edition.number), col(Subscriber.email), Notice)
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id), isouter=True)
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id), isouter=True)
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id), isouter=True)
        .join(Notice, col(Notice.id) == col(OutboxRow.notice_id), isouter=True)
        .where(col(OutboxRow.id) > after)
        .order_by(col(OutboxRow.id))
        .limit(limit)
    )
    if newsletter is not None:
        query = query.where(col(Newsletter.name) == newsletter)
    if edition is not None:
        query = query.where(col(Edition.number) == edition)
    if state is not None:
        query = query.where(col(OutboxRow.state) == state)
    if in_doubt is not None:
        query = query.where(col(OutboxRow.in_doubt).is_(in_doubt))
    if letter_id is not None:
        query = query.where(col(OutboxRow.id) == letter_id)
    return [
        OutboxLine(
            id=row.id or 0,
            newsletter=name or "",
            edition=number,
            subject=notice.subject if notice else "",
            email=notice.email if notice else email or "(erased)",
            state=row.state,
            attempts=row.attempts,
            due_at=row.due_at,
            settled_at=row.settled_at,
            code=row.code,
            reply=row.reply,
            in_doubt=row.in_doubt,
        )
        for row, name, number, email, notice in session.execute(query)
    ]


def letter_sender(session: Session, letter_id: int) -> str:
    """The From: of a letter."""
    query = (
        sa.select(sa.func.coalesce(col(Notice.sender), col(Edition.sender)))
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id), isouter=True)
        .join(Notice, col(Notice.id) == col(OutboxRow.notice_id), isouter=True)
        .where(col(OutboxRow.id) == letter_id)
    )
    return str(session.execute(query).scalar_one())


def owe_again(
    session: Session,
    *,
    letter_ids: Sequence[int] = (),
    edition_id: int | None = None,
    states: Sequence[OutboxState],
    now: datetime,
) -> int:
    """Owe letters in `states` anew, by id or all of an edition; how many. Their lifetime starts over."""
    statement = sa.update(OutboxRow).where(col(OutboxRow.state).in_(states))
    if letter_ids:
        statement = statement.where(col(OutboxRow.id).in_(letter_ids))
    if edition_id is not None:
        statement = statement.where(col(OutboxRow.edition_id) == edition_id)
    result = session.execute(
        statement.values(state=OutboxState.OWED, due_at=now, settled_at=None, tried_at=None), execution_options=_NO_SYNC
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
