"""Letters that are claimed: whose are due, and some of them taken under a lease, so that two senders never have one.

When a letter is due, and when a lease is over, goes by `shared_now`, whoever asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
from digest.models import Edition, EditionState, OutboxRow, OutboxState, SubscriptionState
from digest.store import outbox_words as words
from digest.store.database import shared_now

_BOX = OutboxRow.__table__  # type: ignore[attr-defined]
# Of an enumeration each member that is named is looked for; these are named for each letter.
_OWED, _ACTIVE = OutboxState.OWED, SubscriptionState.ACTIVE


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
    as_moment = words.as_moment(session)
    before = now - lifetime
    for row in rows:
        tried_at, in_doubt, created_at, owner, dated_at, subscribed, barred, state = row[8:]
        moments = as_moment(tried_at), bool(in_doubt), as_moment(created_at)
        letter = Claimed._make((*row[:8], *moments, owner, as_moment(dated_at)))
        end = _end_of(letter, subscribed, barred, before=before)
        if end is None:
            letters.append(letter)
            if state == _OWED:
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
    moment, ours = words.moments(session)(now), json.dumps(list(wanted.ours))
    rows = words.run(session, words.READ, {"sqlite": due}, moment, whose, ours, wanted.limit).cursor.fetchall()
    lapsed = [row[0] for row in rows if row[-1] != OutboxState.OWED]
    if lapsed:
        session.connection().execute(_retaking(), [{"letter": letter_id, "until": until} for letter_id in lapsed])
        rows = _read(session, [row[0] for row in rows])
    return rows, None


def _read(session: Session, letter_ids: Sequence[int]) -> Sequence[Any]:
    return words.run(session, words.READ, words.IDS, json.dumps(letter_ids)).cursor.fetchall()


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
    elif letter.notice_id is None and subscription != _ACTIVE:
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
