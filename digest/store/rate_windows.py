"""How often somebody asked in this minute, counted for all `digest serve` together: each takes some requests at a time.

A minute begins with the first request that is counted. Moments are seconds by the clock that all share.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from digest.store.database import insert_into, shared_now
from digest.store.worker_tables import RateWindow

SECONDS = 60.0
_SOON = "SET LOCAL lock_timeout = '250ms'; SET LOCAL statement_timeout = '500ms'"
_DEAD = 600.0  # seconds after which a minute is no row any more
_T = RateWindow.__table__  # type: ignore[attr-defined]


class Taken(NamedTuple):
    """So many requests are ours to answer; how many are left for all besides, and seconds until the minute ends."""

    requests: int
    left: int
    seconds: float


def take(session: Session, who: str, *, limit: int, wish: Callable[[int], int], now: datetime) -> Taken:
    """Take `wish(left)` requests of this minute, or as many as are left.

    Raises StorageError where another does not let go of the row soon (PostgreSQL).
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_SOON)
    query = sa.select(_T.c.began, _T.c.taken).where(_T.c.who == who).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        connection.execute(insert_into(session, _T).values(who=who, began=0.0, taken=0).on_conflict_do_nothing())
        row = connection.execute(query).one()
    moment = shared_now(session, now).timestamp()
    began, taken = row
    if not 0 <= moment - began < SECONDS:  # over, or begun by a clock that was wrong
        began, taken = moment, 0
    left = max(0, limit - taken)
    requests = min(left, max(0, wish(left)))
    if requests:
        values = {"began": began, "taken": taken + requests}
        connection.execute(sa.update(_T).where(_T.c.who == who).values(values))
    return Taken(requests, left - requests, began + SECONDS - moment)


def forget(session: Session, *, now: datetime) -> None:
    """Minutes that are long over."""
    moment = shared_now(session, now).timestamp()
    over = sa.or_(_T.c.began < moment - _DEAD, _T.c.began > moment + _DEAD)
    gone = sa.select(_T.c.who).where(over).with_for_update(skip_locked=True).cte("gone")
    session.connection().execute(sa.delete(_T).where(_T.c.who.in_(sa.select(gone.c.who))))
