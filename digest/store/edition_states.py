"""Editions on their way: opened, held, paused, cancelled, counted; and the audit that proves each letter once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
from digest.models import LAYING_OUT, Edition, EditionState, Newsletter, OutboxRow, OutboxState, UtcTime, Variant
from digest.store.database import Database, shared_now

_NO_SYNC = {"synchronize_session": False}
_DROPPED_AT_A_TIME = 5_000  # letters


def open_held(session: Session, *, now: datetime) -> list[int]:
    """Open the held editions whose moment has come; their ids."""
    statement = (
        sa.update(Edition)
        .where(col(Edition.state) == EditionState.HELD, col(Edition.open_at) <= now)
        .values(state=EditionState.OPEN, state_reason="")
        .returning(col(Edition.id))
    )
    return list(session.scalars(statement, execution_options=_NO_SYNC))


def hold_late(
    session: Session, *, now: datetime, max_lateness: timedelta, own: Mapping[int, timedelta] | None = None
) -> list[tuple[str, int]]:
    """Hold open editions with letters that were due before then and that nobody tried: (newsletter, number).

    So it is after a long outage, or when a backup was restored, whose letters may have gone out long ago. An
    edition counts from its opening, so that one a person resumed is not late again at once; and one that is
    still going out is not late, however long its relays' limits make it last. `own` is what single newsletters have
    instead of `max_lateness`, by their numbers.
    """
    before: Any = now - max_lateness
    if own:
        limits = {number: sa.literal(now - lateness, UtcTime()) for number, lateness in own.items()}
        common = sa.literal(now - max_lateness, UtcTime())
        before = sa.case(limits, value=col(Edition.newsletter_id), else_=common)
    untried = sa.exists().where(
        col(OutboxRow.edition_id) == col(Edition.id),
        col(OutboxRow.settled_at).is_(None),
        col(OutboxRow.due_at) < before,
        col(OutboxRow.attempts) == 0,
    )
    going_out = sa.exists().where(col(OutboxRow.edition_id) == col(Edition.id), col(OutboxRow.tried_at) >= before)
    late = list(
        session.execute(
            sa.select(col(Edition.id), col(Newsletter.name), col(Edition.number), col(Newsletter.id))
            .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
            .where(
                col(Edition.state) == EditionState.OPEN,
                sa.func.coalesce(col(Edition.open_at), col(Edition.composed_at)) < before,
                untried,
                ~going_out,
            )
        )
    )
    for edition_id, _, _, newsletter_id in late:
        hours = round((own or {}).get(newsletter_id, max_lateness).total_seconds() / 3600)
        set_state(session, edition_id, EditionState.HELD, f"late: letters are owed for more than {hours} hours")
    return [(name, number) for _, name, number, _ in late]


def begun(session: Session, edition_id: int) -> bool:
    """Was any of its letters tried? Then somebody may have it as it is."""
    tried = (col(OutboxRow.edition_id) == edition_id, col(OutboxRow.attempts) > 0)
    return session.execute(sa.select(col(OutboxRow.id)).where(*tried).limit(1)).first() is not None


def held_over(session: Session, newsletter_id: int, seqs: Collection[int]) -> list[int]:
    """The numbers of held editions that had a story of these `seqs` to choose from, and went out to nobody yet."""
    # What has no variants is just being laid out, and may come to have any story.
    since_first = sa.func.coalesce(sa.func.min(col(Variant.since_seq)), -1)
    held = sa.select(col(Edition.id), col(Edition.number), col(Edition.upto_seq), since_first)
    held = held.outerjoin(Variant, col(Variant.edition_id) == col(Edition.id)).group_by(col(Edition.id))
    of_it = (col(Edition.newsletter_id) == newsletter_id, col(Edition.state) == EditionState.HELD)
    return sorted(
        number
        for id_, number, upto, since in session.execute(held.where(*of_it)).all()
        if any(since < seq <= upto for seq in seqs) and not begun(session, id_)
    )


def set_state(
    session: Session, edition_id: int, state: EditionState, reason: str, *, opened_at: datetime | None = None
) -> bool:
    """Move an edition to `state`, from wherever that is allowed; False where it is not.

    held → open ⇄ paused, and from each → cancelled. Resumed by a person, it counts as opened then. One that is being
    laid out may be cancelled, and nothing else.
    """
    came_from = {
        EditionState.HELD: (EditionState.OPEN,),
        EditionState.OPEN: (EditionState.HELD, EditionState.PAUSED),
        EditionState.PAUSED: (EditionState.OPEN, EditionState.HELD),
        EditionState.CANCELLED: (EditionState.HELD, EditionState.OPEN, EditionState.PAUSED),
    }[state]
    # A paused edition keeps it: letters that are under way are still counted where they began.
    changed = {} if state is EditionState.PAUSED else {"open_at": opened_at}
    result = session.execute(
        sa.update(Edition)
        .where(col(Edition.id) == edition_id, col(Edition.state).in_(came_from))
        .where(sa.true() if state is EditionState.CANCELLED else ~col(Edition.laying_out))
        .values(state=state, state_reason=reason, **changed),
        execution_options=_NO_SYNC,
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def give_up(session: Session, newsletter_id: int, reason: str) -> int | None:
    """Cancel the edition of a newsletter that is laid out only in part, for good; its number, None where none is.

    Who lays it out stops at the next step. What was written of it is dropped as of any that is cancelled.
    """
    half = col(Edition.newsletter_id) == newsletter_id, LAYING_OUT
    number = session.scalar(sa.select(col(Edition.number)).where(*half).with_for_update(key_share=True))
    values = {"state": EditionState.CANCELLED, "state_reason": reason, "laying_out": False}
    session.execute(sa.update(Edition).where(*half).values(values), execution_options=_NO_SYNC)
    return number


def resume_paused(session: Session, edition_id: int, *, now: datetime) -> bool:
    """Let a paused edition go on, as a person's word; False where it was not paused."""
    if session.get_one(Edition, edition_id).state is not EditionState.PAUSED:
        return False
    return set_state(session, edition_id, EditionState.OPEN, "", opened_at=now)


def edition_named(session: Session, edition_id: int) -> tuple[str, int]:
    """The newsletter and number of an edition."""
    query = sa.select(col(Newsletter.name), col(Edition.number)).join(
        Newsletter, col(Newsletter.id) == col(Edition.newsletter_id)
    )
    name, number = session.execute(query.where(col(Edition.id) == edition_id)).one()
    return name, number


def edition_of_only_variant(session: Session, variant_id: int) -> int | None:
    """The edition of a variant that has letters, where no other variant of it has any."""
    mine = sa.select(col(Variant.edition_id)).where(col(Variant.id) == variant_id).scalar_subquery()
    query = sa.select(col(Variant.edition_id), sa.func.count()).where(
        col(Variant.edition_id) == mine, col(Variant.letters) > 0
    )
    row = session.execute(query.group_by(col(Variant.edition_id))).one_or_none()
    return row[0] if row is not None and row[1] == 1 else None


def hold_variant(session: Session, variant_id: int, *, code: int, reply: str, now: datetime) -> int:
    """Hold the letters of a variant that nobody has begun, for a person to look at; how many."""
    result = session.execute(
        sa.update(OutboxRow)
        .where(
            col(OutboxRow.variant_id) == variant_id,
            col(OutboxRow.state).in_([OutboxState.OWED, OutboxState.CLAIMED]),
        )
        .values(state=OutboxState.HELD, settled_at=now, code=code, reply=reply),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def drop_cancelled(database: Database, *, now: datetime) -> int:
    """Drop what cancelled editions still owe; how many. What is being sent is left to its sender, or its lease.

    Some at a time, since a million of them would keep everybody else from writing for long: their state alone lets none
    of them go out. What is left when the process dies, the next delivery drops.
    """
    with database.read() as session:
        if not session.execute(_some_of_cancelled(shared_now(session, now), most=1)).all():
            return 0
    dropped = 0
    while True:
        with database.write() as session:
            some = _drop_some(session, now=shared_now(session, now))
        dropped += some
        if some < _DROPPED_AT_A_TIME:
            return dropped
        database.give_way()


def _drop_some(session: Session, *, now: datetime) -> int:
    result = session.execute(
        sa.update(OutboxRow)
        .where(col(OutboxRow.id).in_(_some_of_cancelled(now, most=_DROPPED_AT_A_TIME)))
        # Still so: on PostgreSQL a sender may have begun one since it was looked up.
        .where(col(OutboxRow.settled_at).is_(None), _not_in_hand(now))
        .values(
            state=OutboxState.DROPPED,
            settled_at=now,
            reply="the edition was cancelled",
            in_doubt=sa.or_(col(OutboxRow.in_doubt), col(OutboxRow.state) == OutboxState.SENDING),
        ),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def _some_of_cancelled(now: datetime, *, most: int) -> Any:
    cancelled = sa.select(col(Edition.id)).where(col(Edition.state) == EditionState.CANCELLED)
    theirs = (col(OutboxRow.edition_id).in_(cancelled), col(OutboxRow.settled_at).is_(None))
    return sa.select(col(OutboxRow.id)).where(*theirs, _not_in_hand(now)).limit(most)


def _not_in_hand(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(col(OutboxRow.state) != OutboxState.SENDING, col(OutboxRow.due_at) <= now)


@dataclass(frozen=True)
class Tally:
    """How an edition's letters stand, as far as its canary is concerned, whoever sends them.

    What was tried before it was opened does not count: resumed by a person, it begins with a canary anew.
    """

    letters: int
    begun: int  # tried, or claimed to be
    out: int  # in the hands of a sender
    sent: int
    refused: int


def tally(session: Session, edition_id: int, *, now: datetime) -> Tally:
    """The count; other senders wait with theirs for the end of our transaction."""
    now = shared_now(session, now)
    edition = session.execute(sa.select(Edition).where(col(Edition.id) == edition_id).with_for_update()).scalar_one()
    in_hand = sa.and_(col(OutboxRow.state).in_([OutboxState.CLAIMED, OutboxState.SENDING]), col(OutboxRow.due_at) > now)
    tried = sa.func.coalesce(col(OutboxRow.tried_at) >= (edition.open_at or edition.composed_at), sa.false())
    first = sa.and_(in_hand, col(OutboxRow.attempts) == 0)
    counts = [
        sa.func.count().filter(condition)
        for condition in (
            sa.or_(tried, first),
            in_hand,
            sa.and_(tried, col(OutboxRow.state) == OutboxState.SENT),
            sa.and_(tried, col(OutboxRow.state) == OutboxState.REFUSED),
        )
    ]
    query = sa.select(sa.func.count(), *counts).where(col(OutboxRow.edition_id) == edition_id)
    return Tally(*session.execute(query).one())


@dataclass(frozen=True)
class Account:
    """Where an edition's letters are, from the rows. `newsletter` "" holds the notices."""

    newsletter: str
    number: int
    state: str
    owed: int  # when it was composed
    sent: int
    refused: int
    dropped: int
    held: int
    still_owed: int
    in_doubt: int  # of all these: what a server may have taken without our hearing of it
    wrong: tuple[str, ...]  # what does not add up, in words

    @property
    def adds_up(self) -> bool:
        return not self.wrong


def accounts(
    session: Session, *, newsletters: Collection[str] | None = None, number: int | None = None, full: bool = False
) -> list[Account]:
    """One account for each edition, the oldest first, and one for the notices where no edition is asked for.

    What was counted when the last letter of an edition had ended is told as it was; with `full` each row is counted
    anew, each letter in its rolls is looked at, and the two are compared.
    """
    promised: Any = (
        sa.select(sa.func.coalesce(sa.func.sum(col(Variant.letters)), 0))
        .where(col(Variant.edition_id) == col(Edition.id))
        .correlate(Edition)
        .scalar_subquery()
    )
    if not full:
        promised = sa.case((col(Edition.tally).is_(None), promised))
    query = (
        sa.select(
            col(Edition.id),
            col(Newsletter.name),
            col(Edition.number),
            col(Edition.state),
            col(Edition.tally),
            promised,
        )
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .order_by(col(Newsletter.name), col(Edition.number))
    )
    if newsletters is not None:
        query = query.where(col(Newsletter.name).in_(newsletters))
    if number is not None:
        query = query.where(col(Edition.number) == number)
    found = []
    for edition_id, name, count, state, tally, letters in session.execute(query):
        if tally is not None and not full:
            found.append(_counted(name, count, state.value, tally))
        else:
            account = _account(session, edition_id, name, count, state.value, letters, thorough=full)
            found.append(account if tally is None else _compared(account, _counted(name, count, state.value, tally)))
    if newsletters is None and number is None:
        found.append(_account(session, None, "", 0, "", None))
    return found


def account_of(session: Session, edition_id: int) -> Account:
    """The account of one edition, from its rows and rolls."""
    promised = sa.select(sa.func.coalesce(sa.func.sum(Variant.letters), 0)).where(col(Variant.edition_id) == edition_id)
    return _account(session, edition_id, "", 0, "", session.execute(promised).scalar_one())


def _counted(name: str, number: int, state: str, tally: Mapping[str, int]) -> Account:
    """The account of an edition all of whose letters had ended when it was counted."""
    ends = {one: tally.get(one, 0) for one in ("sent", "refused", "dropped", "held")}
    owed, total = tally["owed"], sum(ends.values())
    wrong = () if owed == total else (f"{owed} letters were owed, {total} are in the outbox",)
    return Account(
        newsletter=name,
        number=number,
        state=state,
        owed=owed,
        **ends,
        still_owed=0,
        in_doubt=tally.get("in_doubt", 0),
        wrong=wrong,
    )


def _compared(account: Account, counted: Account) -> Account:
    """The account from the rows, which says what is otherwise than it was when it was counted."""
    if replace(account, wrong=()) == replace(counted, wrong=()):
        return account
    return replace(
        account, wrong=(*account.wrong, "its letters are not what they were when the last of them had ended")
    )


def _account(
    session: Session,
    edition_id: int | None,
    name: str,
    number: int,
    state: str,
    promised: int | None,
    *,
    thorough: bool = False,
) -> Account:
    mine = col(OutboxRow.edition_id) == edition_id if edition_id is not None else col(OutboxRow.edition_id).is_(None)
    counts: dict[OutboxState, int] = {}
    in_doubt = unfinished = overdone = 0
    query = (
        sa.select(
            col(OutboxRow.state),
            sa.func.count(),
            sa.func.count().filter(col(OutboxRow.in_doubt)),
            sa.func.count().filter(col(OutboxRow.settled_at).is_(None)),
        )
        .where(mine)
        .group_by(col(OutboxRow.state))
    )
    for letter_state, letters, doubtful, unsettled in session.execute(query):
        counts[letter_state] = letters
        in_doubt += doubtful
        if letter_state in (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING):
            unfinished += letters - unsettled
        else:
            overdone += unsettled
    from digest.store import rolls

    rolled = rolls.Sums() if edition_id is None else rolls.proven(session, edition_id, thorough=thorough)
    for end, letters in rolled.counts().items():
        counts[end] = counts.get(end, 0) + letters
    in_doubt += rolled.in_doubt
    total = sum(counts.values())
    owed = total if promised is None else promised
    still = sum(counts.get(s, 0) for s in (OutboxState.OWED, OutboxState.CLAIMED, OutboxState.SENDING))
    wrong = list(rolled.wrong)
    if owed != total:
        among = f", {rolled.letters} of them in rolls" if rolled.letters else ""
        wrong.append(f"{owed} letters were owed, {total} are in the outbox{among}")
    if unfinished:
        wrong.append(f"{unfinished} letters are marked settled and are not")
    if overdone:
        wrong.append(f"{overdone} letters are settled and not marked so")
    return Account(
        newsletter=name,
        number=number,
        state=state,
        owed=owed,
        sent=counts.get(OutboxState.SENT, 0),
        refused=counts.get(OutboxState.REFUSED, 0),
        dropped=counts.get(OutboxState.DROPPED, 0),
        held=counts.get(OutboxState.HELD, 0),
        still_owed=still,
        in_doubt=in_doubt,
        wrong=tuple(wrong),
    )
