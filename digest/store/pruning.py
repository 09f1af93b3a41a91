"""What is kept no longer, a step at a time: each finds some rows that are old enough, and lets go of what nobody needs.

A step is one short transaction. Killed half way nothing of it has happened, two at once do the same things once, and
what a step has left behind is whole: sums add up, letters are found, entries are known again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.column_types import packed
from digest.models import (
    Edition,
    EditionState,
    Notice,
    OutboxRow,
    OutboxState,
    Subscription,
    SubscriptionState,
    UtcTime,
    Variant,
)
from digest.store import archive, rolls, witness
from digest.store.database import batched, insert_into
from digest.store.edition_states import account_of
from digest.store.keep_tables import LetterRoll
from digest.store.mail_tables import MailReport
from digest.store.pages import rewrite
from digest.store.rolls import Rolled
from digest.store.story_tables import VariantStory
from digest.store.witness_tables import WitnessedEntry

LATEST = 3  # editions of each newsletter that are kept whole, however old: readers are welcomed with the last
SHOWN = 100  # stories that are kept of an edition that has no mail for everybody
_EMPTY = packed("")
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Step:
    """What a step did: how many rows, about how many bytes, the number to go on after, and whether it was the last."""

    rows: int = 0
    size: int = 0
    after: int = 0
    last: bool = False


@dataclass
class Scope:
    """What the steps of one kind may touch: what is older than `before`, and of entries not the `least` newest."""

    before: datetime
    most: int  # rows of a step
    least: int = 0
    held: dict[str, int] = field(default_factory=dict)  # what is old enough, and kept: how many, by why
    seen: dict[Any, Any] = field(default_factory=dict)  # what one step has found out for the next

    def hold(self, why: str) -> None:
        self.held[why] = self.held.get(why, 0) + 1


def _before_young(table: Any, at: str, *, same: str = "") -> Any:
    """That no row of a smaller number (with the `same`) is too new: by a clock that was behind new rows look old."""
    one = sa.orm.aliased(table)
    first = sa.select(sa.func.min(one.id)).where(getattr(one, at) >= sa.bindparam("before"))
    if same:
        first = first.where(getattr(one, same) == getattr(table, same)).correlate(table)
    return table.id < sa.func.coalesce(first.scalar_subquery(), 1 << 62)


# ---------------------------------------------------------------- editions


# Made once, as `_before_young` is asked for each edition: to put them together takes longer than to execute them.
@cache
def _next(*, pruned: bool) -> Any:
    newer = sa.orm.aliased(Edition)
    later = (
        sa.select(sa.func.count())
        .select_from(newer)
        .where(col(newer.newsletter_id) == col(Edition.newsletter_id), col(newer.number) > col(Edition.number))
        .scalar_subquery()
    )
    query = (
        sa.select(col(Edition.id))
        .where(col(Edition.id) > sa.bindparam("after"), col(Edition.composed_at) < sa.bindparam("before"))
        .where(later >= LATEST, _before_young(Edition, "composed_at", same="newsletter_id"))
        .order_by(col(Edition.id))
        .limit(1)
    )
    return query.where(col(Edition.pruned)) if pruned else query


@cache
def _letters_of() -> tuple[Any, Any]:
    """Of an edition: a letter that has not ended, or is held; and when the last one ended."""
    mine = col(OutboxRow.edition_id) == sa.bindparam("edition")
    waits = mine & (col(OutboxRow.settled_at).is_(None) | (col(OutboxRow.state) == OutboxState.HELD))
    last = sa.select(sa.type_coerce(sa.func.max(col(OutboxRow.settled_at)), UtcTime())).where(mine)
    return sa.select(col(OutboxRow.id)).where(waits).limit(1), last


def _settled(session: Session, scope: Scope, after: int, *, pruned: bool) -> tuple[int, bool]:
    """The next edition all of whose letters ended before then; 0 for none. And whether it may be pruned."""
    connection = session.connection()
    found = connection.execute(_next(pruned=pruned), {"after": after, "before": scope.before}).scalar()
    if found is None:
        return 0, False
    # Whoever wants letters of it sent again waits for us, or we for them.
    state, laying_out, begun = session.execute(
        sa.select(*(col(one) for one in (Edition.state, Edition.laying_out, Edition.pruned)))
        .where(col(Edition.id) == found)
        .with_for_update()
    ).one()
    if laying_out or state not in (EditionState.OPEN, EditionState.CANCELLED):
        scope.hold(f"an edition is {state.value}")
        return found, False
    # To look through its letters takes seconds where they are millions. What is pruned owes none of them again.
    ended_before: set[int] = scope.seen.setdefault("ended", set())
    if begun and found in ended_before:
        return found, True
    waits, last = _letters_of()
    if connection.execute(waits, {"edition": found}).first():
        scope.hold("letters are owed, or held for somebody to decide")
        return found, False
    ended = connection.execute(last, {"edition": found}).scalar()
    may = ended is None or ended < scope.before
    if may:
        ended_before.add(found)
    return found, may


def mails(session: Session, scope: Scope, after: int) -> Step:
    """Let go of the mails of one edition, but for the one that the archive shows."""
    edition_id, may = _settled(session, scope, after, pruned=False)
    if not edition_id:
        return Step(after=after, last=True)
    if not may:
        return Step(after=edition_id)
    session.execute(
        sa.update(Edition).where(col(Edition.id) == edition_id, ~col(Edition.pruned)).values(pruned=True),
        execution_options=_NO_SYNC,
    )
    shown = archive.shown(session, edition_id)
    size = sa.func.length
    columns = [sa.type_coerce(col(c), sa.LargeBinary) for c in (Variant.html, Variant.text, Variant.left_out)]
    full = size(columns[0]) + size(columns[1])
    query = (
        sa.select(col(Variant.id), sum((size(column) for column in columns[1:]), size(columns[0])))
        .where(col(Variant.edition_id) == edition_id, full > 2 * len(_EMPTY))
        .where(col(Variant.id) != (shown or 0))
        .order_by(col(Variant.id))
        .limit(scope.most)
    )
    found = session.execute(query).all()
    emptied = {"html": "", "text": "", "left_out": []}
    for some in batched([row[0] for row in found]):
        rewrite(session, Variant, some, emptied)
    whole = len(found) < scope.most
    return Step(len(found), sum(row[1] for row in found), edition_id if whole else edition_id - 1)


def letters(session: Session, scope: Scope, after: int) -> Step:
    """Roll some letters of an edition whose mails are gone."""
    edition_id, may = _settled(session, scope, after, pruned=True)
    if not edition_id:
        return Step(after=after, last=True)
    if not may:
        return Step(after=edition_id)
    rows = _some_of(session, edition_id, scope.most)
    if not rows or any(row.state not in rolls.STATES or row.settled_at is None for row in rows):
        return Step(after=edition_id)  # none is left, or somebody owes them again at this moment
    added_up: set[int] = scope.seen.setdefault("added up", set())
    if edition_id not in added_up:
        if account_of(session, edition_id).wrong:
            scope.hold("an edition does not add up, see `digest audit`")
            return Step(after=edition_id)
        added_up.add(edition_id)
    composed_at = session.execute(sa.select(col(Edition.composed_at)).where(col(Edition.id) == edition_id)).scalar_one()
    rolled = [
        Rolled(
            row.id,
            row.subscription_id or 0,
            row.variant_id,
            rolls.STATES.index(row.state),
            int((row.settled_at - composed_at).total_seconds() // 60),
            row.code,
            int(row.in_doubt),
        )
        for row in rows
    ]
    roll = rolls.roll_of(edition_id, rolled)
    mine = _between(edition_id, roll.first_id, roll.last_id)
    _note_arrived(session, mine)
    session.add(roll)
    session.execute(sa.delete(OutboxRow).where(*mine), execution_options=_NO_SYNC)
    size = sum(_ROW + (row[-1] or 0) for row in rows) - len(roll.content)
    return Step(len(rows), size, edition_id - 1)  # and again, until none is left


def _between(edition_id: int, first: int, last: int) -> tuple[Any, ...]:
    """The letters of an edition with these numbers. By their numbers: its own index would lead through all it has."""
    box = OutboxRow
    return col(box.edition_id) + 0 == edition_id, col(box.id) >= first, col(box.id) <= last


def _some_of(session: Session, edition_id: int, most: int) -> Sequence[Any]:
    """The next letters of an edition, in the order of their numbers; locked.

    They lie side by side but for a few that came later, or were owed at the same time as another edition's. So they are
    looked for behind those that were rolled last, and only where none is there among all that the edition still has.
    """
    box = OutboxRow
    query = (
        sa.select(
            *(col(c) for c in (box.id, box.subscription_id, box.variant_id, box.state, box.settled_at, box.code)),
            col(box.in_doubt),
            sa.func.length(col(box.reply)),
        )
        .limit(most)
        .with_for_update()
    )
    # `+ 0`: else PostgreSQL may look for the lowest number by walking through all numbers that there are.
    rolled = sa.select(sa.func.max(LetterRoll.last_id)).where(col(LetterRoll.edition_id) == edition_id)
    last = session.execute(rolled).scalar()
    if last is None:
        first = sa.select(sa.func.min(col(box.id) + 0)).where(col(box.edition_id) == edition_id)
        last = (session.execute(first).scalar() or 1) - 1
    behind = query.where(*_between(edition_id, last + 1, last + rolls.SPAN)).order_by(col(box.id))
    anywhere = query.where(col(box.edition_id) == edition_id).order_by(col(box.id) + 0)
    found = session.execute(behind).all() or session.execute(anywhere).all()
    return [row for row in found if row.id < found[0].id + rolls.SPAN]


_ROW = 230  # bytes of a row of the outbox with its indexes, without its reply


def _note_arrived(session: Session, mine: Sequence[Any]) -> None:
    """Whose letter of these was taken and nothing came back of it: their later troubles count from then on."""
    troubled = sa.exists().where(
        col(MailReport.outbox_id) == OutboxRow.id,
        col(MailReport.kind).in_(("hard", "soft", "policy")),
        col(MailReport.undone_at).is_(None),
    )
    latest = (
        sa.select(col(OutboxRow.settled_at))
        .where(
            *mine,
            col(OutboxRow.subscription_id) == Subscription.id,
            col(OutboxRow.state) == OutboxState.SENT,
            ~troubled,
        )
        .correlate(Subscription)
        .limit(1)
        .scalar_subquery()
    )
    whose = sa.select(col(OutboxRow.subscription_id)).where(*mine)
    before = col(Subscription.arrived_at)
    session.execute(
        sa.update(Subscription)
        .where(col(Subscription.id).in_(whose), latest.is_not(None), before.is_(None) | (before < latest))
        .values(arrived_at=latest),
        execution_options=_NO_SYNC,
    )


def places(session: Session, scope: Scope, after: int) -> Step:
    """Forget which stories an edition carried, but for those that the archive shows of it."""
    edition_id, may = _settled(session, scope, after, pruned=True)
    if not edition_id:
        return Step(after=after, last=True)
    if not may:
        return Step(after=edition_id)
    shown = archive.shown(session, edition_id)
    others = sa.select(col(Variant.id)).where(col(Variant.edition_id) == edition_id)
    gone: list[Any] = [col(VariantStory.variant_id).in_(others)]
    if shown is not None:
        gone.append(col(VariantStory.variant_id) != shown)
    else:
        first = (
            sa.select(col(VariantStory.story_id))
            .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
            .where(col(Variant.edition_id) == edition_id)
            .group_by(col(VariantStory.story_id))
            .order_by(sa.func.min(col(VariantStory.position)), col(VariantStory.story_id))
            .limit(SHOWN)
        )
        gone.append(col(VariantStory.story_id).not_in(list(session.scalars(first))))
    number = session.execute(sa.delete(VariantStory).where(*gone), execution_options=_NO_SYNC).rowcount  # type: ignore[attr-defined]
    return Step(number, 30 * number, edition_id)


# ---------------------------------------------------------------- notices and what came back


def notices(session: Session, scope: Scope, after: int) -> Step:
    """Let go of mails of no edition that went out long ago; that they did is remembered, so none goes out twice."""
    query = (
        sa.select(
            col(Notice.id),
            col(Notice.key),
            sa.func.length(col(Notice.text)) + sa.func.length(col(Notice.html)) + sa.func.length(col(Notice.subject)),
        )
        .join(OutboxRow, col(OutboxRow.notice_id) == col(Notice.id))
        .outerjoin(Subscription, col(Subscription.id) == col(Notice.subscription_id))
        .where(col(Notice.id) > after, col(OutboxRow.settled_at) < scope.before)
        .where(col(OutboxRow.state).in_(rolls.STATES), col(Notice.created_at) < scope.before)
        .where(_before_young(Notice, "created_at"))
        # Who has not answered yet is asked no more than so many times, by what they were asked.
        .where(col(Subscription.id).is_(None) | (col(Subscription.state) != SubscriptionState.PENDING))
        .order_by(col(Notice.id))
        .limit(scope.most)
    )
    found = session.execute(query, {"before": scope.before}).all()
    marks = [{"newsletter_id": 0, "mark": witness.notice_mark(row[1]), "seq": 0} for row in found]
    if marks:
        session.connection().execute(insert_into(session, WitnessedEntry).on_conflict_do_nothing(), marks)
    for some in batched([row[0] for row in found]):
        session.execute(sa.delete(Notice).where(col(Notice.id).in_(some)), execution_options=_NO_SYNC)
    size = sum(500 + (row[2] or 0) for row in found)
    return Step(len(found), size, found[-1][0] if found else after, last=len(found) < scope.most)


def reports(session: Session, scope: Scope, after: int) -> Step:
    """Forget mails that came back long ago, but for what people wrote and nobody has answered."""
    query = (
        select(MailReport.id)
        .where(MailReport.read_at < scope.before, col(MailReport.id) > after)
        .where(_before_young(MailReport, "read_at"))
        .where((col(MailReport.act) != "ask") | col(MailReport.done_at).is_not(None))
        .order_by(col(MailReport.id))
        .limit(scope.most)
    )
    found = [id_ for id_ in session.scalars(query, {"before": scope.before}) if id_ is not None]
    for some in batched(found):
        session.execute(sa.delete(MailReport).where(col(MailReport.id).in_(some)), execution_options=_NO_SYNC)
    return Step(len(found), 400 * len(found), found[-1] if found else after, last=len(found) < scope.most)
