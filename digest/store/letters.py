"""Letters as people are shown them, and owed again at their word: counts, lists, and what is still left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
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
    Variant,
)
from digest.store import tallies
from digest.store.database import shared_now
from digest.store.outbox import UNSETTLED, waiting_at
from digest.store.suppressions import SUPPRESSED, barred, bars, not_had

_NO_SYNC = {"synchronize_session": False}
_BOX = OutboxRow.__table__  # type: ignore[attr-defined]


def any_due(session: Session, *, now: datetime, notices: bool) -> bool:
    """Is there a letter that could be claimed at this moment: a notice, or else one of an open edition?"""
    waiting = waiting_at(shared_now(session, now))
    if notices:
        query = sa.select(_BOX.c.id).where(*waiting, _BOX.c.edition_id.is_(None))
    else:  # from the editions: where many are due PostgreSQL reads letters from the oldest on, sure to find one soon
        theirs = sa.exists().where(_BOX.c.edition_id == col(Edition.id), *waiting)
        query = sa.select(col(Edition.id)).where(col(Edition.state) == EditionState.OPEN, theirs)
        query = query.order_by(col(Edition.id).desc())
    return session.execute(query.limit(1)).first() is not None


def due_count(session: Session, *, now: datetime, notices_only: bool = False) -> dict[int | None, int]:
    """How many letters could be claimed at this moment, by newsletter; None: notices of none."""
    owner = sa.func.coalesce(col(Edition.newsletter_id), _BOX.c.newsletter_id)
    query = (
        sa.select(owner, sa.func.count())
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == _BOX.c.edition_id, isouter=True)
        .where(*waiting_at(shared_now(session, now)))
        .group_by(owner)
    )
    notice = _BOX.c.edition_id.is_(None)
    query = query.where(notice if notices_only else sa.or_(notice, col(Edition.state) == EditionState.OPEN))
    return {row[0]: row[1] for row in session.execute(query)}


@dataclass(frozen=True)
class Later:
    """Letters that wait for one thing: how many, and when the last of them is due."""

    letters: int = 0
    until: datetime | None = None


@dataclass(frozen=True)
class Left:
    """What is still owed, by what it waits for."""

    due: Later = Later()  # nothing: the next run sends it
    hour: Later = Later()  # its reader's hour
    put_off: Later = Later()  # another try, since a mail server put it off
    in_hand: Later = Later()  # a sender that has it; if that one died, others may have it then
    stopped: Later = Later()  # an edition that is held or paused

    @property
    def letters(self) -> int:
        return sum(later.letters for later in (self.due, self.hour, self.put_off, self.in_hand, self.stopped))


def left(session: Session, *, edition_id: int | None = None, now: datetime) -> Left:
    """What is still owed, of one edition or in all."""
    found: dict[str, list[Later]] = {}
    for _, reason, later in _left(session, edition_id=edition_id, now=now):
        found.setdefault(reason, []).append(later)
    return Left(**{reason: _sum(parts) for reason, parts in found.items()})


def left_of_each(session: Session, *, now: datetime) -> dict[int | None, Left]:
    """What is still owed, by newsletter; None: notices of none."""
    found: dict[int | None, dict[str, Later]] = {}
    for newsletter_id, reason, later in _left(session, now=now):
        found.setdefault(newsletter_id, {})[reason] = later
    return {newsletter_id: Left(**reasons) for newsletter_id, reasons in found.items()}


def together(parts: Iterable[Left]) -> Left:
    """Of several newsletters."""
    listed = list(parts)
    return Left(**{f.name: _sum([getattr(part, f.name) for part in listed]) for f in fields(Left)})


def _sum(parts: Sequence[Later]) -> Later:
    untils = [later.until for later in parts if later.until is not None]
    return Later(sum(later.letters for later in parts), max(untils, default=None))


def _left(session: Session, *, edition_id: int | None = None, now: datetime) -> Iterator[tuple[int | None, str, Later]]:
    """By newsletter and by what they wait for."""
    now = shared_now(session, now)
    waits_for = sa.case(
        (sa.and_(_BOX.c.state.in_([OutboxState.CLAIMED, OutboxState.SENDING]), _BOX.c.due_at > now), "in_hand"),
        (col(Edition.state) != EditionState.OPEN, "stopped"),
        (_BOX.c.due_at <= now, "due"),
        (sa.and_(_BOX.c.attempts == 0, _BOX.c.edition_id.is_not(None), _BOX.c.reply == ""), "hour"),
        else_="put_off",
    )
    owner = sa.func.coalesce(col(Edition.newsletter_id), _BOX.c.newsletter_id)
    query = (
        sa.select(owner, waits_for, sa.func.count(), sa.func.max(_BOX.c.due_at))
        .join(Edition, col(Edition.id) == _BOX.c.edition_id, isouter=True)
        .where(_BOX.c.settled_at.is_(None))
        .group_by(owner, waits_for)
    )
    if edition_id is not None:
        query = query.where(_BOX.c.edition_id == edition_id)
    for newsletter_id, reason, letters, until in session.execute(query):
        yield newsletter_id, reason, Later(letters, until)


class NotHad(NamedTuple):
    """A letter that its reader did not get, and why it is left alone ("" where it is owed again)."""

    id: int
    email: str
    state: OutboxState
    code: int
    reply: str
    left_alone: str


def resend(session: Session, edition_id: int, *, status: str = "", domain: str = "", now: datetime) -> list[NotHad]:
    """Owe again what was refused of an edition, and what was dropped since an earlier refusal suppressed its reader.

    Only to who still reads and may be written to, and not what may be with them already. `status` is the enhanced
    status code or the code of the refusal: one of a mailbox that is not there (5.1.x) is also why others were dropped.
    """
    stop = sa.select(sa.func.min(Suppression.reason)).where(bars(col(Subscriber.key))).scalar_subquery()
    query = (
        sa.select(
            *(_BOX.c[name] for name in ("id", "state", "code", "reply", "in_doubt")),
            col(Subscriber.email),
            col(Subscription.state),
            stop,
        )
        .join(Subscriber, col(Subscriber.id) == _BOX.c.subscriber_id, isouter=True)
        .join(Subscription, col(Subscription.id) == _BOX.c.subscription_id, isouter=True)
        .where(_BOX.c.edition_id == edition_id, not_had())
        .order_by(_BOX.c.id)
    )
    if status:
        words = _BOX.c.reply + " "
        same = _BOX.c.code == int(status) if status.isdecimal() else words.startswith(f"{status} ", autoescape=True)
        followed = _BOX.c.state == OutboxState.DROPPED if status.startswith("5.1.") else sa.false()
        query = query.where(same | followed)
    if domain:
        query = query.where(col(Subscriber.key).endswith(f"@{domain}", autoescape=True))
    found = [
        NotHad(id_, email or "(erased)", state, code, reply, _why_not_again(in_doubt, subscription, suppressed))
        for id_, state, code, reply, in_doubt, email, subscription, suppressed in session.execute(query)
    ]
    again = [letter.id for letter in found if not letter.left_alone]
    for start in range(0, len(again), 500):
        states = (OutboxState.REFUSED, OutboxState.DROPPED)
        owe_again(session, letter_ids=again[start : start + 500], states=states, now=now)
    return found


def _why_not_again(in_doubt: bool, subscription: SubscriptionState | None, suppressed: str | None) -> str:
    if subscription is not SubscriptionState.ACTIVE:
        return "left" if subscription in (None, SubscriptionState.UNSUBSCRIBED) else subscription.value
    return "suppressed" if suppressed is not None else "in doubt" if in_doubt else ""


class Retried(NamedTuple):
    """How many letters are owed again, and of others why they are not: how many for each reason."""

    owed: int
    alone: dict[str, int]


def retry(
    session: Session,
    *,
    letter_ids: Sequence[int] = (),
    edition_id: int | None = None,
    states: Sequence[OutboxState],
    now: datetime,
) -> Retried:
    """Owe letters in `states` anew, by id or all of an edition. A refused one whose reader is suppressed stays so.

    It would only be dropped instead, and the server's words with it.
    """
    reader = sa.exists().where(col(Subscriber.id) == _BOX.c.subscriber_id, barred(col(Subscriber.key)))
    in_vain = sa.and_(_BOX.c.state == OutboxState.REFUSED, reader)
    mine = _BOX.c.edition_id == edition_id if edition_id is not None else _BOX.c.id.in_(letter_ids)
    why = sa.case((in_vain, SUPPRESSED), else_=_BOX.c.state)
    again = sa.and_(_BOX.c.state.in_(states), ~in_vain)
    query = sa.select(why, sa.func.count()).where(mine, ~again).group_by(why)
    if edition_id is not None:  # what else became of its letters is in `edition show`
        query = query.where(_BOX.c.state.in_(states))
    alone = {str(reason): number for reason, number in session.execute(query)}
    owed = owe_again(session, letter_ids=letter_ids, edition_id=edition_id, states=states, but=in_vain, now=now)
    # Of the others the row is gone, or the mail.
    if missing := len(set(letter_ids)) - owed - sum(alone.values()) if letter_ids else 0:
        alone["not there any more"] = missing
    return Retried(owed, alone)


@dataclass(frozen=True)
class Line:
    """A letter as `digest outbox list` shows it. A notice has no edition."""

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


_NEAR = 4  # times as many numbers as letters of a page: so far is looked for the next of an edition


def lines(
    session: Session,
    *,
    newsletters: Collection[str] | None = None,
    edition: int | None = None,
    state: OutboxState | None = None,
    in_doubt: bool | None = None,
    letter_id: int | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Line]:
    """Letters by id, from the one after `after`."""
    box = OutboxRow
    query = (
        sa.select(
            OutboxRow,
            col(Newsletter.name),
            col(Edition.number),
            sa.func.coalesce(col(Notice.subject), col(Variant.subject)),
            sa.func.coalesce(col(Notice.email), col(Subscriber.email), "(erased)"),
        )
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id), isouter=True)
        .join(
            Newsletter,
            col(Newsletter.id) == sa.func.coalesce(col(Edition.newsletter_id), col(OutboxRow.newsletter_id)),
            isouter=True,
        )
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id), isouter=True)
        .join(Variant, col(Variant.id) == col(OutboxRow.variant_id), isouter=True)
        .join(Notice, col(Notice.id) == col(OutboxRow.notice_id), isouter=True)
        .where(col(box.id) > after)
        .limit(limit)
    )
    if newsletters is not None:
        query = query.where(col(Newsletter.name).in_(newsletters))
    if edition is not None:
        whose = sa.select(col(Edition.id)).where(col(Edition.number) == edition)
        query = query.where(col(box.edition_id).in_(session.scalars(whose).all()))
    if state is not None:
        query = query.where(col(OutboxRow.state) == state)
        if state in (OutboxState.REFUSED, OutboxState.DROPPED, OutboxState.HELD):
            query = query.where(sa.text("outbox.settled_at IS NOT NULL AND outbox.state <> 'sent'"))
        elif state in UNSETTLED:
            query = query.where(col(OutboxRow.settled_at).is_(None))
    if in_doubt is not None:
        query = query.where(sa.text("outbox.in_doubt") if in_doubt else col(OutboxRow.in_doubt).is_(False))
    if letter_id is not None:
        query = query.where(col(OutboxRow.id) == letter_id)
    found: Sequence[Any] = ()
    if edition is None or after:  # those of an edition lie side by side
        near = col(box.id) <= after + _NEAR * limit if edition is not None else sa.true()
        found = session.execute(query.where(near).order_by(col(box.id))).all()
    if edition is not None and len(found) < limit:
        # `+ 0`: else PostgreSQL may walk through all letters there are, sure to find some of it soon.
        found = session.execute(query.order_by(col(box.id) + 0)).all()
    return [
        Line(
            id=row.id or 0,
            newsletter=name or "",
            edition=number,
            subject=subject,
            email=email,
            state=row.state,
            attempts=row.attempts,
            due_at=row.due_at,
            settled_at=row.settled_at,
            code=row.code,
            reply=row.reply,
            in_doubt=row.in_doubt,
        )
        for row, name, number, subject, email in found
    ]


def sender(session: Session, letter_id: int) -> tuple[str, datetime | None]:
    """The From: of a letter, and when it was written where it is a notice."""
    query = (
        sa.select(sa.func.coalesce(col(Notice.sender), col(Edition.sender)), col(Notice.created_at))
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id), isouter=True)
        .join(Notice, col(Notice.id) == col(OutboxRow.notice_id), isouter=True)
        .where(col(OutboxRow.id) == letter_id)
    )
    sender, written_at = session.execute(query).one()
    return sender, written_at


def owe_again(
    session: Session,
    *,
    letter_ids: Sequence[int] = (),
    edition_id: int | None = None,
    states: Sequence[OutboxState],
    but: Any = None,
    now: datetime,
) -> int:
    """Owe letters in `states` anew, by id or all of an edition, `but` those; how many. Their lifetime starts over."""
    # Of a pruned edition the mails are gone. Who prunes it waits for us, or we for them.
    mine = sa.select(col(OutboxRow.edition_id)).where(col(OutboxRow.id).in_(letter_ids or [0]))
    which = col(Edition.id) == edition_id if edition_id is not None else col(Edition.id).in_(mine)
    rows = session.execute(sa.select(col(Edition.id), col(Edition.pruned)).where(which).with_for_update())
    pruned = [id_ for id_, gone in rows if gone]
    tallies.reopen(session, editions=[edition_id] if edition_id is not None else (), letters=letter_ids)
    statement = sa.update(OutboxRow).where(col(OutboxRow.state).in_(states))
    if pruned:
        statement = statement.where(col(OutboxRow.edition_id).is_(None) | col(OutboxRow.edition_id).not_in(pruned))
    if letter_ids:
        statement = statement.where(col(OutboxRow.id).in_(letter_ids))
    if edition_id is not None:
        statement = statement.where(col(OutboxRow.edition_id) == edition_id)
    if but is not None:
        statement = statement.where(~but)
    result = session.execute(
        statement.values(state=OutboxState.OWED, due_at=shared_now(session, now), settled_at=None, tried_at=None),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
