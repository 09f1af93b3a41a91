"""The outbox: letters owed, claimed under a lease, marked before they go out, settled by the reply.

When a letter is due, and when a lease is over, goes by `shared_now`, whoever asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
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
from digest.store import outbox_words as words
from digest.store import suppressions, waking, witness
from digest.store.database import insert_into, shared_now

UNSETTLED = (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING)
_NO_SYNC = {"synchronize_session": False}


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


class Place(NamedTuple):
    """Where a letter of an edition stood among those that were due."""

    due_at: datetime
    variant_id: int
    id: int


@dataclass(frozen=True)
class Claim:
    """What a claim took: letters to send, and how many were settled instead."""

    letters: tuple[Claimed, ...] = ()
    dropped: int = 0  # nobody wants them any more
    expired: int = 0  # refused, since they were put off for too long
    held: int = 0
    doubtful: int = 0  # of the held: a server may have taken them
    last: Place | None = None  # for `Wanted.after`
    unwritten: tuple[int, ...] = ()  # of the letters: of which the rows do not say that somebody has them

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
    written: bool = True  # or, on SQLite alone, only looked for: whoever marks such a letter first has it
    # Look from there on, where the last claim of the same edition ended, and at those before it only once these are all
    # taken: on PostgreSQL what was settled stands in the index until VACUUM, and each claim would go past all of it.
    after: Place | None = None


def claim(
    session: Session, wanted: Wanted, *, now: datetime, lease: timedelta, lifetime: timedelta, hold_doubtful: bool
) -> Claim:
    """Take what is `wanted` of the letters that are due until `now + lease`.

    One statement, so two workers never hold one letter: PostgreSQL skips locked rows, SQLite has one writer
    and leaves the clause out. Where it is not `written`, two may hold one, and who marks it first has it. Whose
    reader has left meanwhile is dropped. A letter whose lease ran out while it was being sent was in the hands of
    someone who died: its mail may be with the reader already, so it is flagged `in_doubt`, and kept back if
    `hold_doubtful`. Message-ID and bytes stay the same, so a copy sent after a crash can be told for what it is
    (RFC 1047). What was first tried longer than `lifetime` ago is not
    tried again: refused, or held where it is in doubt; a notice that old is of use to nobody and is dropped.
    """
    now = shared_now(session, now)
    which: _Which = "nobody's notices" if wanted.newsletter_id is None else "notices"
    if wanted.edition_id is not None:
        which = "edition"
    take = _take if wanted.written else _look
    rows, last = take(session, wanted, which, now=now, until=now + lease, hold=hold_doubtful)
    held = 0
    # Once nothing else is due: to find them among all that an edition owes would cost more than all claims together.
    if hold_doubtful and len(rows) < wanted.limit:
        found = session.connection().execute(_holding(which, wanted.tried_only), _terms(wanted, which, now))
        held = found.rowcount
    if not rows:
        return Claim(held=held, doubtful=held)
    letters, ended, unwritten = [], [], []
    as_moment = _as_moment(session)
    before = now - lifetime
    for row in rows:
        *values, tried_at, in_doubt, created_at, owner, dated_at, subscribed, barred, state = tuple[Any, ...](row)
        moments = as_moment(tried_at), bool(in_doubt), as_moment(created_at)
        letter = Claimed._make((*values, *moments, owner, as_moment(dated_at)))
        end = _end_of(letter, subscribed, barred, before=before)
        if end is None:
            letters.append(letter)
            if state == OutboxState.OWED:
                unwritten.append(letter.id)
        else:
            ended.append((letter.id, *end))
    counts = Counter(state for _, state, _ in ended)
    for letter_id, state, why in ended:
        said = sa.literal(why)
        reply = said if state is OutboxState.DROPPED else sa.func.ltrim(col(OutboxRow.reply) + sa.literal(f" ({why})"))
        session.connection().execute(
            sa.update(OutboxRow).where(col(OutboxRow.id) == letter_id).values(state=state, settled_at=now, reply=reply)
        )
    in_doubt = counts[OutboxState.HELD]
    return Claim(
        tuple(letters),
        dropped=counts[OutboxState.DROPPED],
        expired=counts[OutboxState.REFUSED],
        held=held + in_doubt,
        doubtful=held + in_doubt,
        last=last,
        unwritten=tuple(unwritten),
    )


_Which = Literal["edition", "notices", "nobody's notices"]


def _take(
    session: Session, wanted: Wanted, which: _Which, *, now: datetime, until: datetime, hold: bool
) -> tuple[Sequence[Any], Place | None]:
    """Write down that they are ours until then; they, as `READ` reads them, and where the last of them stood."""
    connection = session.connection()
    placed, taken, last = connection.dialect.name == "postgresql" and which == "edition", list[int](), wanted.after
    terms = _terms(wanted, which, now) | {"until": until}
    for after in (wanted.after, None) if wanted.after is not None and placed else (None,):
        taking = _taking(which, wanted.tried_only, hold, placed=placed, bounded=after is not None)
        place = dict(zip(_BOUND, after or (), strict=False))
        found = connection.execute(taking, terms | place | {"most": wanted.limit - len(taken)}).all()
        taken += [row[0] for row in found]
        if found and placed and not wanted.tried_only:
            last = Place(*found[0][1:])
        if len(taken) >= wanted.limit:
            break
    return _read(session, taken) if taken else (), last


def _look(
    session: Session, wanted: Wanted, which: _Which, *, now: datetime, until: datetime, hold: bool
) -> tuple[Sequence[Any], None]:
    """The same of what is owed, and nothing is written; what somebody had in hand whose lease is over is taken."""
    due = words.DUE.format(whose=words.WHOSE[which], order=", ".join(_BY_VARIANT if which == "edition" else _BY_NUMBER))
    if hold:
        due = due.replace("WHERE", "WHERE state <> 'sending' AND", 1)
    if wanted.tried_only:
        due = due.replace("WHERE", "WHERE attempts > 0 AND", 1)
    whose = wanted.newsletter_id if wanted.edition_id is None else wanted.edition_id
    moment, ours = _moments(session)(now), json.dumps(list(wanted.ours))
    rows = _driver(session, words.READ, {"sqlite": due}, moment, whose, ours, wanted.limit).cursor.fetchall()
    lapsed = [row[0] for row in rows if row[-1] != OutboxState.OWED]
    if lapsed:
        session.connection().execute(_retaking(), [{"letter": letter_id, "until": until} for letter_id in lapsed])
        rows = _read(session, [row[0] for row in rows])
    return rows, None


def _read(session: Session, letter_ids: Sequence[int]) -> Sequence[Any]:
    return _driver(session, words.READ, words.IDS, json.dumps(letter_ids)).cursor.fetchall()


def _terms(wanted: Wanted, which: _Which, now: datetime) -> dict[str, Any]:
    """What the statements below are told."""
    whose = {"edition": wanted.edition_id} if which == "edition" else {"newsletter": wanted.newsletter_id}
    return {"ours": list(wanted.ours), "now": now} | (whose if which != "nobody's notices" else {})


_BY_NUMBER = ("due_at", "id")
_BY_VARIANT = ("due_at", "variant_id", "id")  # the oldest first; those of one moment so that each mail is made once


_BOUND = ("after_due_at", "after_variant", "after_id")


@cache
def _taking(
    which: _Which, tried_only: bool, not_doubtful: bool = False, *, placed: bool = False, bounded: bool = False
) -> sa.Update:
    """`placed`: and the last place of theirs (PostgreSQL). `bounded`: of those after the place `_BOUND`."""
    only = [_BOX.c.state != OutboxState.SENDING] if not_doubtful else []
    if bounded:
        place = [_BOX.c[name] for name in _BY_VARIANT]
        bounds = [sa.bindparam(name, type_=one.type) for name, one in zip(_BOUND, place, strict=True)]
        only.append(sa.tuple_(*place) > sa.tuple_(*bounds))
    due = (
        sa.select(*(_BOX.c[name] for name in (("id", "due_at", "variant_id") if placed else ("id",))))
        .where(*_claimable(which, tried_only), *only)
        .order_by(*(_BOX.c[name] for name in (_BY_VARIANT if which == "edition" else _BY_NUMBER)))
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True, of=_BOX)
        .cte("due")
    )
    ours = sa.update(_BOX).where(_BOX.c.id.in_(sa.select(due.c.id))).values(_as_ours())
    if not placed:
        return ours.returning(_BOX.c.id)
    # Asked of those few once; a join with them would have all letters read where these are some ten thousand.
    backwards = [due.c[name].desc() for name in _BY_VARIANT]
    last = (sa.select(due.c[name]).order_by(*backwards).limit(1).scalar_subquery() for name in _BY_VARIANT)
    return ours.returning(_BOX.c.id, *(one.label(name) for name, one in zip(_BOUND, last, strict=True)))


@cache
def _retaking() -> sa.Update:
    return sa.update(_BOX).where(_BOX.c.id == sa.bindparam("letter")).values(_as_ours())


def _as_ours() -> dict[str, Any]:
    in_doubt = sa.or_(_BOX.c.in_doubt, _BOX.c.state == OutboxState.SENDING)
    return {"state": OutboxState.CLAIMED, "due_at": sa.bindparam("until"), "in_doubt": in_doubt}


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


def mark_dated(
    session: Session,
    letters: Sequence[Claimed],
    *,
    now: datetime,
    lease: timedelta,
    found_at: datetime | None = None,
) -> dict[int, Mark]:
    """The same, with the Date: of each letter, which its first attempt fixes.

    `found_at` is when the last of them was claimed without being written down (`Wanted.written`): of those whoever
    marks one first has it. Who had one in hand since has put it off beyond that moment, or ended it.
    """
    if not letters:
        return {}
    now = shared_now(session, now)
    moment, ids = _moments(session), json.dumps([letter.id for letter in letters])
    times = (moment(now + lease), moment(now), moment(now))
    asked = (moment(now), ids, *([] if found_at is None else [moment(found_at)]))
    only_looked_for = "false" if found_at is None else "state = 'owed' AND due_at <= ?"
    markable = words.MARKABLE.replace("{found}", only_looked_for)
    if session.get_bind().dialect.name == "sqlite":  # whose one writer we are
        marked = _driver(session, words.ASKED + markable, words.IDS, *asked).cursor.fetchall()
        for size, some in _padded([(row[0],) for row in marked]):
            _driver(session, words.GOING + f"WHERE id IN ({', '.join('?' * size)})", {"sqlite": ""}, *times, *some)
    else:
        marked = _driver(
            session, words.GOING + markable + "RETURNING id, attempts, dated_at", words.IDS, *times, ids
        ).cursor.fetchall()
    as_moment = _as_moment(session)
    return {letter_id: Mark(attempt, as_moment(dated_at)) for letter_id, attempt, dated_at in marked}


def unclaim(
    session: Session,
    letters: Sequence[Claimed],
    *,
    due_at: datetime,
    why: str = "",
    now: datetime | None = None,
    lease_end: datetime | None = None,
    found_at: datetime | None = None,
) -> None:
    """Give back letters that were claimed and not marked: anyone may claim them from `due_at` on.

    With `now`, `due_at` is by the same clock; without, it is by `shared_now`. With `lease_end`, by the clock of `now`
    too, only those that nobody has claimed since: a later claim ends later. `found_at` as for `mark_dated`.
    """
    state = col(OutboxRow.state)
    theirs = state == OutboxState.CLAIMED
    if found_at is not None:
        theirs = sa.or_(theirs, sa.and_(state == OutboxState.OWED, col(OutboxRow.due_at) <= found_at))
    ours = [col(OutboxRow.id).in_([letter.id for letter in letters]), theirs]
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
        if session.get_bind().dialect.name == "sqlite":
            for size, some in _padded(rows):
                new = words.NEW_ROWS.format(", ".join([f"({', '.join('?' * len(rows[0]))})"] * size))
                settled[state] += _driver(
                    session, words.SETTLE, {"sqlite": new}, state.value, settled_at, *some
                ).rowcount
        else:
            new = json.dumps(rows, default=str)
            settled[state] = _driver(
                session, words.SETTLE, {"postgresql": words.NEW}, state.value, settled_at, new
            ).rowcount
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
    if claim is not None and claim.letters:  # of one that was not written down, nothing can be lost
        query = sa.select(_BOX.c.state).where(_BOX.c.id == claim.letters[0].id)
        return session.execute(query).scalar() == OutboxState.CLAIMED
    return False  # what else a batch does comes to the same when it is done again


def _padded(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, list[Any]]]:
    """Rows in parts, each as how many and their values one after the other; of few sizes, filled up with NULL.

    So there are few texts of a statement, and the driver keeps them prepared.
    """
    for start in range(0, len(rows), words.AT_ONCE):
        part = rows[start : start + words.AT_ONCE]
        size = min(1 << (len(part) - 1).bit_length(), words.AT_ONCE)
        values = list(chain.from_iterable(part))
        yield size, values + [None] * (len(part[0]) * (size - len(part)))


def _driver(session: Session, statement: str, listed: dict[str, str], *values: object) -> sa.CursorResult[Any]:
    """Run a statement as the driver takes it; `listed` is how it takes the list of it."""
    dialect = session.get_bind().dialect
    statement = statement.format(listed[dialect.name], find=suppressions.FIND[dialect.name])
    if dialect.name == "sqlite":
        # What fails halfway is rolled back with its transaction: SQLite need keep no copy of each page that it changes.
        statement = statement.replace("UPDATE", "UPDATE OR FAIL", 1)
    if dialect.paramstyle != "qmark":
        statement = statement.replace("?", "%s")
    return session.connection().exec_driver_sql(statement, values)


def _as_moment(session: Session) -> Any:
    """How the driver gives a time back; most letters have theirs in common."""
    return _reads(session.get_bind().dialect)


@lru_cache(maxsize=2)
def _reads(dialect: sa.Dialect) -> Any:
    read = UtcTime().dialect_impl(dialect).result_processor(dialect, None)
    assert read is not None
    return lru_cache(maxsize=64)(read)


def _moments(session: Session) -> Callable[[datetime], Any]:
    """How the driver takes a time."""
    return _stores(session.get_bind().dialect)


@lru_cache(maxsize=2)
def _stores(dialect: sa.Dialect) -> Callable[[datetime], Any]:
    as_stored = UtcTime().dialect_impl(dialect).bind_processor(dialect)
    assert as_stored is not None
    return as_stored
