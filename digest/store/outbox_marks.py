"""What becomes of claimed letters: marked before they go out, settled by the reply, or given back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import OutboxRow, OutboxState
from digest.store import outbox_words as words
from digest.store.database import shared_now
from digest.store.outbox_claims import Claim, Claimed

UNSETTLED = (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING)
_NO_SYNC = {"synchronize_session": False}

_BOX = OutboxRow.__table__  # type: ignore[attr-defined]
_OURS = (
    _BOX.c.id == sa.bindparam("letter"),
    _BOX.c.attempts == sa.bindparam("attempt"),
    _BOX.c.state == OutboxState.SENDING,
)


class Mark(NamedTuple):
    """A letter's attempt, from 1, its Date, and until when it is ours, by `shared_now`."""

    attempt: int
    dated_at: datetime
    until: datetime


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
    moment, ids = words.moments(session), json.dumps([letter.id for letter in letters])
    at = moment(now)
    times = (moment(now + lease), at, at)
    asked = (at, ids, *([] if found_at is None else [moment(found_at)]))
    only_looked_for = "false" if found_at is None else "state = 'owed' AND due_at <= ?"
    markable = words.MARKABLE.replace("{found}", only_looked_for)
    if session.get_bind().dialect.name == "sqlite":  # whose one writer we are
        rows = words.run(session, words.ASKED + markable + words.ALIKE, words.IDS, *asked).cursor.fetchall()
        marked = [(json.loads(alike), attempt, dated_at) for alike, attempt, dated_at in rows]
        for size, some in words.padded([(letter_id,) for alike, _, _ in marked for letter_id in alike]):
            words.run(session, words.GOING + f"WHERE id IN ({', '.join('?' * size)})", {"sqlite": ""}, *times, *some)
    else:
        rows = words.run(
            session, words.GOING + markable + "RETURNING id, attempts, dated_at", words.IDS, *times, ids
        ).cursor.fetchall()
        marked = [([letter_id], attempt, dated_at) for letter_id, attempt, dated_at in rows]
    as_moment, until = words.as_moment(session), now + lease
    found: dict[int, Mark] = {}
    for alike, attempt, dated_at in marked:
        found |= dict.fromkeys(alike, Mark(attempt, as_moment(dated_at), until))
    return found


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
    moment, ahead = words.moments(session), shared_now(session, now) - now
    for state in {outcome.state for outcome in outcomes}:
        rows = [
            (letter_id, attempt, None if due_at is None else moment(due_at + ahead), code, reply[:500], in_doubt, relay)
            for letter_id, attempt, became, code, reply, due_at, in_doubt, relay in outcomes
            if became is state
        ]
        settled_at = None if state in UNSETTLED else moment(now + ahead)
        if session.get_bind().dialect.name == "sqlite":
            for size, some in words.padded(rows):
                new = words.NEW_ROWS.format(", ".join([f"({', '.join('?' * len(rows[0]))})"] * size))
                settled[state] += words.run(
                    session, words.SETTLE, {"sqlite": new}, state.value, settled_at, *some
                ).rowcount
        else:
            new = json.dumps(rows, default=str)
            settled[state] = words.run(
                session, words.SETTLE, {"postgresql": words.NEW}, state.value, settled_at, new
            ).rowcount
    return settled


def landed(
    session: Session,
    *,
    marked: Mapping[int, tuple[int, datetime | None]],
    outcomes: Sequence[Outcome],
    given_back: Mapping[int, tuple[int, datetime | None]],
    claim: Claim | None,
) -> bool:
    """Was a transaction stored that did this to letters? Asked where its end was not heard of.

    What it settled has no way back but by hand. What it marked or gave back (by letter: the attempt, and until when it
    is ours) another may have marked since, under the same number: where no claim was written down, where our lease is
    over, or once it was given back. It is ours only while the row says that moment.
    """
    as_marked = sa.select(_BOX.c.id, _BOX.c.attempts, _BOX.c.due_at).where(_BOX.c.state == OutboxState.SENDING)
    if marked:
        letter_id = next(iter(marked))
        row = session.execute(as_marked.where(_BOX.c.id == letter_id)).first()
        return row is not None and (row.attempts, row.due_at) == marked[letter_id]
    if outcomes:
        last = outcomes[-1]
        query = sa.select(_BOX.c.state).where(_BOX.c.id == last.letter_id, _BOX.c.attempts == last.attempt)
        return session.execute(query).scalar() not in (None, OutboxState.SENDING)
    if given_back:
        rows = session.execute(as_marked.where(_BOX.c.id.in_(given_back))).all()
        return not any((row.attempts, row.due_at) == given_back[row.id] for row in rows)
    if claim is not None and claim.letters:  # of one that was not written down, nothing can be lost
        query = sa.select(_BOX.c.state).where(_BOX.c.id == claim.letters[0].id)
        return session.execute(query).scalar() == OutboxState.CLAIMED
    return False  # what else a batch does comes to the same when it is done again


def has_reader(session: Session, letter: Claimed) -> bool:
    """False where the person was erased since the claim: of them nothing may be written down any more."""
    known = col(OutboxRow.notice_id).is_not(None) | col(OutboxRow.subscriber_id).is_not(None)
    return (
        session.execute(sa.select(col(OutboxRow.id)).where(col(OutboxRow.id) == letter.id, known)).first() is not None
    )
