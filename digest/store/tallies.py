"""How the letters of an edition ended, counted once when the last of them has: what is asked of a year costs a day.

`Edition.tally` holds the letters by state, "owed" as they were when it was composed, and "in_doubt" of all of them.
Whoever owes a letter of an edition (again) takes its tally away first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, OutboxRow, OutboxState, Variant
from digest.store import idle
from digest.store.clock import TOLERANCE
from digest.store.database import shared_now

_NO_SYNC = {"synchronize_session": False}
_AT_A_TIME = 10  # editions that are counted in one transaction


def reopen(session: Session, *, editions: Collection[int] = (), letters: Collection[int] = ()) -> None:
    """These editions, or those of these letters, have letters that have not ended."""
    which: Any = col(Edition.id).in_(editions)
    if letters:
        which = which | col(Edition.id).in_(sa.select(col(OutboxRow.edition_id)).where(col(OutboxRow.id).in_(letters)))
    session.execute(
        sa.update(Edition).where(which, col(Edition.tally).is_not(None)).values(tally=None), execution_options=_NO_SYNC
    )


def ended(session: Session) -> list[int]:
    """Editions whose letters have all ended, none of them held for a person, and that are not counted yet."""
    waits = sa.exists().where(col(OutboxRow.edition_id) == col(Edition.id), col(OutboxRow.settled_at).is_(None))
    held = sa.select(col(OutboxRow.edition_id)).where(sa.text("outbox.state = 'held' AND edition_id IS NOT NULL"))
    query = sa.select(col(Edition.id)).where(col(Edition.tally).is_(None), ~waits, col(Edition.id).not_in(held))
    query = query.where(~col(Edition.laying_out))
    query = query.order_by(col(Edition.id))
    return list(session.scalars(query.limit(_AT_A_TIME)))


def wait(session: Session) -> bool:
    """Is there an edition for `count`?"""
    return bool(ended(session)) or session.execute(_unsaid().limit(1)).first() is not None


def _unsaid() -> Any:
    """Editions that an older release counted, without a word of when."""
    which = col(Edition.tally).is_not(None), col(Edition.last_at).is_(None)
    return sa.select(col(Edition.id)).where(*which).order_by(col(Edition.id).desc())


def count(session: Session, *, now: datetime) -> None:
    """Count the editions that have `ended`. PostgreSQL: who owes one of their letters again waits for us.

    Not those with moments that lie ahead, which are to be put back first: what is counted nobody looks through again.
    """
    ids = ended(session)
    session.execute(sa.select(col(Edition.id)).where(col(Edition.id).in_(ids)).with_for_update())
    moments = [sa.func.max(col(one)) for one in (OutboxRow.settled_at, OutboxRow.tried_at, OutboxRow.created_at)]
    for id_ in (one for one in ended(session) if one in ids):
        latest = session.execute(sa.select(*moments).where(col(OutboxRow.edition_id) == id_)).one()
        if max(filter(None, latest), default=now) > shared_now(session, now) + TOLERANCE:
            continue
        values = {"tally": of_rows(session, id_), "last_at": _last(session, id_, now)}
        session.execute(sa.update(Edition).where(col(Edition.id) == id_).values(values), execution_options=_NO_SYNC)
    for number in session.scalars(_unsaid().limit(_AT_A_TIME).with_for_update(skip_locked=True)).all():
        said = sa.update(Edition).where(col(Edition.id) == number).values(last_at=_last(session, number or 0, now))
        session.execute(said, execution_options=_NO_SYNC)


def _last(session: Session, edition_id: int, now: datetime) -> datetime:
    """When the last letter of an edition was tried first, or was to be: as `recipients` asks for it. None left: now."""
    went: Any = sa.func.max(sa.func.coalesce(col(OutboxRow.tried_at), col(OutboxRow.due_at)))
    theirs = col(OutboxRow.edition_id) == edition_id, col(OutboxRow.state) != OutboxState.DROPPED
    return session.execute(sa.select(went).where(*theirs)).scalar_one() or now


def of_rows(session: Session, edition_id: int) -> dict[str, int]:
    """The tally of an edition, as its rows and its rolls have it."""
    found, in_doubt = _counted(session, edition_id)
    owed = sa.select(sa.func.coalesce(sa.func.sum(col(Variant.letters)), 0)).where(
        col(Variant.edition_id) == edition_id
    )
    return found | {"in_doubt": in_doubt, "owed": int(session.execute(owed).scalar_one())}


def of_edition(session: Session, edition_id: int) -> dict[str, int]:
    """The letters of an edition by state, also of one that has not ended; states without any are left out."""
    tally = session.scalar(sa.select(col(Edition.tally)).where(col(Edition.id) == edition_id))
    return states(tally) if tally is not None else _counted(session, edition_id)[0]


def _counted(session: Session, edition_id: int) -> tuple[dict[str, int], int]:
    """Letters by state, and how many of all are in doubt."""
    from digest.store import rolls

    rolled = rolls.sums(session, edition_id)
    found = Counter({state.value: letters for state, letters in rolled.counts().items() if letters})
    in_doubt = rolled.in_doubt
    query = sa.select(
        col(OutboxRow.state), sa.func.count(), sa.func.count().filter(col(OutboxRow.in_doubt).is_(True))
    ).where(col(OutboxRow.edition_id) == edition_id)
    for state, letters, doubtful in session.execute(query.group_by(col(OutboxRow.state))):
        found[OutboxState(state).value] += letters
        in_doubt += doubtful
    return dict(found), in_doubt


def by_state(session: Session) -> dict[str, int]:
    """All letters by state; states without any are left out."""
    found: Counter[str] = Counter()
    for tally in session.scalars(sa.select(col(Edition.tally)).where(col(Edition.tally).is_not(None))):
        found.update(states(tally or {}))
    live: Any = sa.select(col(Edition.id)).where(col(Edition.tally).is_(None))
    for whose in (col(OutboxRow.edition_id).in_(live), col(OutboxRow.edition_id).is_(None)):
        query = sa.select(col(OutboxRow.state), sa.func.count()).where(whose).group_by(col(OutboxRow.state))
        found.update({OutboxState(state).value: number for state, number in session.execute(query)})
    if idle.rolls(session):
        from digest.store import rolls

        found.update({state.value: letters for state, letters in rolls.sums(session, live).counts().items()})
    return {state.value: found[state.value] for state in OutboxState if found[state.value]}


def states(tally: dict[str, int]) -> dict[str, int]:
    """Of a tally what is about states."""
    return {name: number for name, number in tally.items() if name not in ("owed", "in_doubt")}


def owed_since(session: Session, since: datetime) -> int:
    """How many letters the editions had that were composed from then on."""
    query = sa.select(col(Edition.id), col(Edition.tally)).where(col(Edition.composed_at) >= since)
    rows = session.execute(query).all()
    promised = sa.select(sa.func.coalesce(sa.func.sum(col(Variant.letters)), 0))
    return sum(
        tally["owed"] if tally else session.execute(promised.where(col(Variant.edition_id) == id_)).scalar_one()
        for id_, tally in rows
    )
