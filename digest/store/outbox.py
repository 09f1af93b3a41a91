"""The outbox: letters owed, claimed under a lease, marked before they go out, settled by the reply.

When a letter is due, and when a lease is over, goes by `shared_now`, whoever asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import (
    Edition,
    EditionState,
    Notice,
    OutboxRow,
    OutboxState,
    Subscription,
    SubscriptionState,
    UtcTime,
    address_key,
)
from digest.store import suppressions, waking, witness
from digest.store.database import insert_into, shared_now

UNSETTLED = (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING)
_NO_SYNC = {"synchronize_session": False}


# The statements that every letter costs, in words that both databases know: SQLAlchemy's own handling of each row
# would take longer than all the rest of recording. `?` becomes the driver's mark.
_READ = """
    SELECT o.id, o.edition_id, o.variant_id, o.notice_id, o.subscription_id,
        coalesce(n.email, p.email), coalesce(n.name, o.named, p.name), o.attempts, o.tried_at, o.in_doubt, o.created_at,
        coalesce(e.newsletter_id, o.newsletter_id), o.dated_at, s.state, coalesce(x.reason, d.reason)
    FROM outbox AS o
        LEFT JOIN edition AS e ON e.id = o.edition_id
        LEFT JOIN notice AS n ON n.id = o.notice_id
        LEFT JOIN subscriber AS p ON p.id = o.subscriber_id
        LEFT JOIN subscription AS s ON s.id = o.subscription_id
        LEFT JOIN suppression AS x ON x.key = coalesce(n.address, p.key)
        LEFT JOIN suppression AS d
            ON d.key = substr(coalesce(n.address, p.key), {find}(coalesce(n.address, p.key), '@'))
    WHERE o.id IN {}
    ORDER BY o.id
"""
_MARK = """
    UPDATE outbox SET state = 'sending', attempts = attempts + 1, due_at = ?, tried_at = coalesce(tried_at, ?),
        dated_at = coalesce(dated_at, ?)
    WHERE id IN {} AND state = 'claimed'
        AND NOT EXISTS (SELECT 1 FROM edition WHERE edition.id = outbox.edition_id AND edition.state <> 'open')
        AND (edition_id IS NULL OR EXISTS (
            SELECT 1 FROM subscription AS s WHERE s.id = outbox.subscription_id AND s.state = 'active'))
        AND NOT EXISTS (SELECT 1 FROM suppression AS x WHERE x.key = coalesce(
            (SELECT p.key FROM subscriber AS p WHERE p.id = outbox.subscriber_id),
            (SELECT n.address FROM notice AS n WHERE n.id = outbox.notice_id)))
        AND NOT EXISTS (SELECT 1 FROM suppression AS d WHERE d.key = coalesce(
            (SELECT substr(p.key, {find}(p.key, '@')) FROM subscriber AS p WHERE p.id = outbox.subscriber_id),
            (SELECT substr(n.address, {find}(n.address, '@')) FROM notice AS n WHERE n.id = outbox.notice_id)))
    RETURNING id, attempts, dated_at
"""
# One statement for a whole batch: with one for each row, the writer's thread and the loop would take turns at
# Python's lock for each. What a server says may name the reader, so nothing of it is kept of somebody erased.
_SETTLE = """
    UPDATE outbox SET state = ?, settled_at = ?, due_at = coalesce(new.due_at, outbox.due_at), code = new.code,
        reply = CASE WHEN edition_id IS NOT NULL AND subscriber_id IS NULL THEN '' ELSE new.reply END,
        in_doubt = in_doubt OR new.doubtful, relay = new.relay
    FROM {} AS new
    WHERE outbox.id = new.letter AND outbox.attempts = new.attempt AND outbox.state = 'sending'
"""
# Lists as one value each, so that the text of a statement stays the same and the driver keeps it prepared.
_IDS = {
    "sqlite": "(SELECT value FROM json_each(?))",
    "postgresql": "(SELECT value::bigint FROM json_array_elements_text(?::json))",
}
_NEW = {
    "sqlite": """(
        SELECT json_extract(value, '$[0]') AS letter, json_extract(value, '$[1]') AS attempt,
            json_extract(value, '$[2]') AS due_at, json_extract(value, '$[3]') AS code,
            json_extract(value, '$[4]') AS reply, json_extract(value, '$[5]') AS doubtful,
            json_extract(value, '$[6]') AS relay
        FROM json_each(?)
    )""",
    "postgresql": """(
        SELECT (value ->> 0)::bigint AS letter, (value ->> 1)::int AS attempt, (value ->> 2)::timestamptz AS due_at,
            (value ->> 3)::int AS code, value ->> 4 AS reply, (value ->> 5)::boolean AS doubtful,
            value ->> 6 AS relay
        FROM json_array_elements(?::json)
    )""",
}
_BOX = OutboxRow.__table__  # type: ignore[attr-defined]
_OURS = (
    _BOX.c.id == sa.bindparam("letter"),
    _BOX.c.attempts == sa.bindparam("attempt"),
    _BOX.c.state == OutboxState.SENDING,
)


class Claimed(NamedTuple):
    """A letter that is ours until its lease runs out: of an edition, or a notice.

    `attempts` counts those before this one, `tried_at` is the first of them; `dated_at` is the letter's Date.
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
    created_at: datetime
    newsletter_id: int | None = None  # whose letter it is; None: of a notice that belongs to no newsletter
    dated_at: datetime | None = None

    @property
    def source(self) -> Source:
        return Source(self.edition_id, self.newsletter_id)


class Mark(NamedTuple):
    """A letter's attempt, from 1, and its Date."""

    attempt: int
    dated_at: datetime


class Source(NamedTuple):
    """Where letters are claimed: an edition, or (`edition_id` None) the notices of one newsletter, or of none."""

    edition_id: int | None
    newsletter_id: int | None


@dataclass(frozen=True)
class Claim:
    """What a claim took: letters to send, and how many were settled instead."""

    letters: tuple[Claimed, ...] = ()
    dropped: int = 0  # nobody wants them any more
    expired: int = 0  # refused, since they were put off for too long
    held: int = 0
    doubtful: int = 0  # of the held: a server may have taken them

    @property
    def settled(self) -> int:
        return self.dropped + self.expired + self.held


class Outcome(NamedTuple):
    """What became of one attempt. `due_at` is when an owed letter may be tried again."""

    letter_id: int
    attempt: int
    state: OutboxState
    code: int = 0
    reply: str = ""
    due_at: datetime | None = None
    in_doubt: bool = False
    relay: str = ""  # that answered; "" where none did


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


# ---------------------------------------------------------------- claim, mark, settle


def waiting_at(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Owed and due, or taken by somebody whose lease ran out. `settled_at` is what the index is made of."""
    return (col(OutboxRow.settled_at).is_(None), col(OutboxRow.due_at) <= now)


def due_sources(session: Session, *, now: datetime) -> list[Source]:
    """Whose letters could be claimed at this moment: notices, then open editions, the oldest first."""
    waiting = waiting_at(shared_now(session, now))
    editions = (
        sa.select(col(Edition.id), col(Edition.newsletter_id))
        .where(col(Edition.state) == EditionState.OPEN)
        .where(sa.exists().where(col(OutboxRow.edition_id) == col(Edition.id), *waiting))
        .order_by(col(Edition.id))
    )
    owner = _BOX.c.newsletter_id
    notices = sa.select(owner).where(_BOX.c.edition_id.is_(None), *waiting).distinct()
    owners = sorted(session.scalars(notices), key=lambda number: number or 0)
    found = [Source(None, number) for number in owners]
    return found + [Source(edition, newsletter) for edition, newsletter in session.execute(editions)]


@dataclass(frozen=True)
class Wanted:
    """Which due letters to claim: up to `limit` of one edition, or (None) of the notices of one newsletter."""

    edition_id: int | None
    limit: int
    tried_only: bool = False  # leave alone what was never tried
    # Leave alone these letters, which are under way: whatever a clock that was set meanwhile says of their lease, their
    # sender lives.
    ours: Collection[int] = ()
    newsletter_id: int | None = None  # of notices; None: those of no newsletter


def claim(
    session: Session, wanted: Wanted, *, now: datetime, lease: timedelta, lifetime: timedelta, hold_doubtful: bool
) -> Claim:
    """Take what is `wanted` of the letters that are due until `now + lease`.

    One statement, so two workers never hold one letter: PostgreSQL skips locked rows, SQLite has one writer
    and leaves the clause out. Whose reader has left meanwhile is dropped. A letter whose lease ran out while
    it was being sent was in the hands of someone who died: its mail may be with the reader already, so it is
    flagged `in_doubt`, and kept back if `hold_doubtful`. Message-ID and bytes stay the same, so a copy sent
    after a crash can be told for what it is (RFC 1047). What was first tried longer than `lifetime` ago is not
    tried again: refused, or held where it is in doubt; a notice that old is of use to nobody and is dropped.
    """
    connection, now = session.connection(), shared_now(session, now)
    whose: dict[str, Any] = {"ours": list(wanted.ours)}
    which: _Which = "edition"
    if wanted.edition_id is not None:
        whose["edition"] = wanted.edition_id
    elif wanted.newsletter_id is not None:
        whose["newsletter"], which = wanted.newsletter_id, "notices"
    else:
        which = "nobody's notices"
    held = 0
    taking = _taking(which, wanted.tried_only, hold_doubtful)
    taken = connection.scalars(taking, whose | {"now": now, "until": now + lease, "most": wanted.limit}).all()
    # Once nothing else is due: to find them among all that an edition owes would cost more than all claims together.
    if hold_doubtful and len(taken) < wanted.limit:
        found = connection.execute(_holding(which, wanted.tried_only), whose | {"now": now})
        held = found.rowcount
    if not taken:
        return Claim(held=held, doubtful=held)
    letters, ended = [], []
    as_moment = _as_moment(session)
    before = now - lifetime
    rows: Sequence[Any] = _driver(session, _READ, _IDS, json.dumps(taken)).cursor.fetchall()
    for row in rows:
        *values, tried_at, in_doubt, created_at, owner, dated_at, subscribed, barred = tuple[Any, ...](row)
        moments = as_moment(tried_at), bool(in_doubt), as_moment(created_at)
        letter = Claimed._make((*values, *moments, owner, as_moment(dated_at)))
        end = _end_of(letter, subscribed, barred, before=before)
        if end is None:
            letters.append(letter)
        else:
            ended.append((letter.id, *end))
    counts = Counter(state for _, state, _ in ended)
    for letter_id, state, why in ended:
        said = sa.literal(why)
        reply = said if state is OutboxState.DROPPED else sa.func.ltrim(col(OutboxRow.reply) + sa.literal(f" ({why})"))
        connection.execute(
            sa.update(OutboxRow).where(col(OutboxRow.id) == letter_id).values(state=state, settled_at=now, reply=reply)
        )
    in_doubt = counts[OutboxState.HELD]
    return Claim(
        tuple(letters),
        dropped=counts[OutboxState.DROPPED],
        expired=counts[OutboxState.REFUSED],
        held=held + in_doubt,
        doubtful=held + in_doubt,
    )


_Which = Literal["edition", "notices", "nobody's notices"]
_BY_NUMBER = ("due_at", "id")
_BY_VARIANT = ("due_at", "variant_id", "id")  # the oldest first; those of one moment so that each mail is made once


@cache
def _taking(which: _Which, tried_only: bool, not_doubtful: bool = False) -> sa.Update:
    only = [_BOX.c.state != OutboxState.SENDING] if not_doubtful else []
    due = (
        sa.select(_BOX.c.id)
        .where(*_claimable(which, tried_only), *only)
        .order_by(*(_BOX.c[name] for name in (_BY_VARIANT if which == "edition" else _BY_NUMBER)))
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True, of=_BOX)
        .cte("due")
    )
    statement = (
        sa.update(_BOX)
        .where(_BOX.c.id.in_(sa.select(due.c.id)))
        .values(
            state=OutboxState.CLAIMED,
            due_at=sa.bindparam("until"),
            in_doubt=sa.or_(_BOX.c.in_doubt, _BOX.c.state == OutboxState.SENDING),
        )
    )
    return statement.returning(_BOX.c.id)


@cache
def _holding(which: _Which, tried_only: bool) -> sa.Update:
    return (
        sa.update(_BOX)
        .where(*_claimable(which, tried_only), _BOX.c.state == OutboxState.SENDING)
        .values(
            state=OutboxState.HELD,
            in_doubt=True,
            settled_at=sa.bindparam("now"),
            reply="the sender died during this letter's attempt; it may have been delivered",
        )
    )


def _claimable(which: _Which, tried_only: bool) -> list[sa.ColumnElement[bool]]:
    """Of `:edition`, while it is open, or the notices of `:newsletter` or of none; `:now` is when."""
    ours: sa.BindParameter[Any] = sa.bindparam("ours", expanding=True)
    found = [_BOX.c.settled_at.is_(None), _BOX.c.due_at <= sa.bindparam("now"), _BOX.c.id.not_in(ours)]
    if which != "edition":
        owner: sa.BindParameter[int] = sa.bindparam("newsletter")
        found.append(_BOX.c.edition_id.is_(None))
        found.append(_BOX.c.newsletter_id.is_(None) if which == "nobody's notices" else _BOX.c.newsletter_id == owner)
    else:
        edition: sa.BindParameter[int] = sa.bindparam("edition")
        found.append(_BOX.c.edition_id == edition)
        found.append(sa.exists().where(col(Edition.id) == edition, col(Edition.state) == EditionState.OPEN))
    if tried_only:
        found.append(_BOX.c.attempts > 0)
    return found


def _end_of(
    letter: Claimed, subscription: str | None, suppressed: str | None, *, before: datetime
) -> tuple[OutboxState, str] | None:
    """How a letter that was due ends instead of going out, and why; None where it goes. A notice needs no subscription.

    `before` that moment it must have been tried for its lifetime to be over.
    """
    why = ""
    if letter.email is None or (letter.notice_id is None and subscription is None):
        why = "erased"
    elif suppressed is not None:
        why = f"suppressed: {suppressed}"
    elif letter.notice_id is None and subscription != SubscriptionState.ACTIVE:
        why = str(subscription)
    elif letter.notice_id is not None and letter.created_at <= before:
        why = "too late: nobody waits for it any more"
    if why:
        return OutboxState.DROPPED, why
    if letter.tried_at is not None and letter.tried_at <= before:
        if letter.in_doubt:
            return OutboxState.HELD, "in doubt for longer than its lifetime: it may have been delivered"
        return OutboxState.REFUSED, "given up: its lifetime is over"
    return None


def has_reader(session: Session, letter: Claimed) -> bool:
    """False where the person was erased since the claim: of them nothing may be written down any more."""
    known = col(OutboxRow.notice_id).is_not(None) | col(OutboxRow.subscriber_id).is_not(None)
    return (
        session.execute(sa.select(col(OutboxRow.id)).where(col(OutboxRow.id) == letter.id, known)).first() is not None
    )


def mark(session: Session, letters: Sequence[Claimed], *, now: datetime, lease: timedelta) -> dict[int, int]:
    """Say that these claimed letters are about to go out, until `now + lease`: {id: attempt}, from 1.

    Committed before their bodies are on the wire, so that after a crash exactly these are in doubt. Whoever
    marks a letter has it: those that are missing from the answer were taken by another worker, or belong to
    an edition that was paused meanwhile.
    """
    return {letter_id: mark.attempt for letter_id, mark in mark_dated(session, letters, now=now, lease=lease).items()}


def mark_dated(session: Session, letters: Sequence[Claimed], *, now: datetime, lease: timedelta) -> dict[int, Mark]:
    """The same, with the Date: of each letter, which its first attempt fixes."""
    if not letters:
        return {}
    now = shared_now(session, now)
    moment, ids = _moments(session), json.dumps([letter.id for letter in letters])
    values = (moment(now + lease), moment(now), moment(now), ids)
    marked: Sequence[Any] = _driver(session, _MARK, _IDS, *values).fetchall()
    as_moment = _as_moment(session)
    return {row[0]: Mark(row[1], as_moment(row[2])) for row in marked}


def unclaim(
    session: Session,
    letters: Sequence[Claimed],
    *,
    due_at: datetime,
    why: str = "",
    now: datetime | None = None,
    lease_end: datetime | None = None,
) -> None:
    """Give back letters that were claimed and not marked: anyone may claim them from `due_at` on.

    With `now`, `due_at` is by the same clock; without, it is by `shared_now`. With `lease_end`, by the clock of `now`
    too, only those that nobody has claimed since: a later claim ends later.
    """
    ours = [col(OutboxRow.id).in_([letter.id for letter in letters]), col(OutboxRow.state) == OutboxState.CLAIMED]
    if now is not None:
        ahead = shared_now(session, now) - now
        due_at += ahead
        if lease_end is not None:
            ours.append(col(OutboxRow.due_at) <= lease_end + ahead + timedelta(seconds=1))
    session.execute(
        sa.update(OutboxRow)
        .where(*ours)
        .values(state=OutboxState.OWED, due_at=due_at, **({"reply": why} if why else {})),
        execution_options=_NO_SYNC,
    )


def unmark(session: Session, attempts: Iterable[tuple[int, int]], *, now: datetime, shown: bool = False) -> None:
    """Give back marked letters, as (id, attempt), whose body never went out: the attempt does not count.

    With `shown` it went out, and was not taken: the attempt counts, and the letter stays as it was seen.
    """
    rows = [{"letter": letter_id, "attempt": attempt} for letter_id, attempt in attempts]
    if not rows:
        return
    values: dict[str, Any] = {"state": OutboxState.OWED, "due_at": shared_now(session, now)}
    if not shown:
        again = col(OutboxRow.attempts) > 1
        values["attempts"] = OutboxRow.attempts - 1
        values["tried_at"] = sa.case((again, col(OutboxRow.tried_at)), else_=None)
        values["dated_at"] = sa.case((again, col(OutboxRow.dated_at)), else_=None)
    session.connection().execute(sa.update(OutboxRow).where(*_OURS).values(values), rows)


def settle(session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> Counter[OutboxState]:
    """Record what became of attempts; how many letters went into each state.

    A worker that slept past its lease finds another attempt number, and settles nothing.
    """
    settled: Counter[OutboxState] = Counter()
    moment, ahead = _moments(session), shared_now(session, now) - now
    for state in {outcome.state for outcome in outcomes}:
        rows = [
            (
                outcome.letter_id,
                outcome.attempt,
                None if outcome.due_at is None else moment(outcome.due_at + ahead),
                outcome.code,
                outcome.reply[:500],
                outcome.in_doubt,
                outcome.relay,
            )
            for outcome in outcomes
            if outcome.state is state
        ]
        settled_at = None if state in UNSETTLED else moment(now + ahead)
        new = json.dumps(rows, default=str)
        settled[state] = _driver(session, _SETTLE, _NEW, state.value, settled_at, new).rowcount
    return settled


def landed(session: Session, *, marked: Mapping[int, int], outcomes: Sequence[Outcome], claim: Claim | None) -> bool:
    """Was a transaction stored that marked, settled or claimed these letters? Asked where its end was not heard of.

    A lease keeps all others away from what it marked and claimed, and what it settled has no way back but by hand.
    """
    if marked:
        letter_id, number = next(iter(marked.items()))
        query = sa.select(_BOX.c.id).where(_BOX.c.id == letter_id, _BOX.c.attempts == number)
        return session.execute(query).first() is not None
    if outcomes:
        last = outcomes[-1]
        query = sa.select(_BOX.c.state).where(_BOX.c.id == last.letter_id, _BOX.c.attempts == last.attempt)
        return session.execute(query).scalar() not in (None, OutboxState.SENDING)
    if claim is not None and claim.letters:
        query = sa.select(_BOX.c.state).where(_BOX.c.id == claim.letters[0].id)
        return session.execute(query).scalar() == OutboxState.CLAIMED
    return False  # what else a batch does comes to the same when it is done again


def _driver(session: Session, statement: str, listed: dict[str, str], *values: object) -> sa.CursorResult[Any]:
    """Run a statement as the driver takes it; `listed` is how it takes the list of it."""
    dialect = session.get_bind().dialect
    statement = statement.format(listed[dialect.name], find=suppressions.FIND[dialect.name])
    if dialect.paramstyle != "qmark":
        statement = statement.replace("?", "%s")
    return session.connection().exec_driver_sql(statement, values)


def _as_moment(session: Session) -> Any:
    """How the driver gives a time back; most letters have theirs in common."""
    dialect = session.get_bind().dialect
    read = UtcTime().dialect_impl(dialect).result_processor(dialect, None)
    assert read is not None
    return lru_cache(maxsize=64)(read)


def _moments(session: Session) -> Callable[[datetime], Any]:
    """How the driver takes a time."""
    dialect = session.get_bind().dialect
    as_stored = UtcTime().dialect_impl(dialect).bind_processor(dialect)
    assert as_stored is not None
    return as_stored
