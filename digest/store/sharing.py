"""What passes of delivery share while they are at work: rows that are locked for a moment, read, and written back.

PostgreSQL only: a SQLite file is one machine's. Moments are seconds by the server's clock, asked under the lock.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from digest.store import runs
from digest.store.database import insert_into
from digest.store.worker_tables import DomainState, RelaySeat, RelayState

LEASE = 15.0  # seconds for which a pass has its part without asking again: so long that of one that was killed rests
_STATE = RelayState.__table__  # type: ignore[attr-defined]
_SEAT = RelaySeat.__table__  # type: ignore[attr-defined]
_DOMAIN = DomainState.__table__  # type: ignore[attr-defined]


@dataclass
class Relay:
    """`RelayState`."""

    relay: str
    next_at: float = 0.0
    most: int = 0
    most_at: float = 0.0
    per_connection: int = 0
    refuses: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seat:
    """`RelaySeat`."""

    relay: str
    holder: str
    urgent: bool
    since: float
    wish: int
    seats: int = 0
    open: int = 0
    among: int = 0
    allowance: int = 0
    until: float = 0.0


@dataclass
class Domain:
    """`DomainState`."""

    behind: str
    domain: str
    pace: dict[str, Any] = field(default_factory=dict)
    next_at: float = 0.0
    taken: int = 0
    refused: int = 0
    gone: int = 0
    ours: int = 0
    at: float = 0.0


def sane(moment: float, now: float, ahead: float) -> float:
    """A moment that no rule could have put so far ahead was written by a clock that was wrong: then it is now."""
    return moment if moment <= now + ahead else now


def locked(session: Session, relay: str) -> tuple[Relay, float]:
    """A relay's state, and the moment; others wait for the end of our transaction."""
    fresh = {"relay": relay, "next_at": 0.0, "most": 0, "most_at": 0.0, "per_connection": 0, "refuses": {}}
    connection = session.connection()
    query = sa.select(*_STATE.c).where(_STATE.c.relay == relay).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        connection.execute(insert_into(session, _STATE).values(fresh).on_conflict_do_nothing())
        row = connection.execute(query).one()
    return Relay(**row._mapping), moment(session)


def moment(session: Session) -> float:
    """Seconds by the server's clock, at this moment."""
    return float(session.connection().exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())


def keep(session: Session, state: Relay) -> None:
    session.connection().execute(sa.update(_STATE).where(_STATE.c.relay == state.relay).values(vars(state)))


def seats(session: Session, relay: str, *, but: str = "", now: float) -> list[Seat]:
    """Who has a part of a relay, but one: those whose lease is not over."""
    live = (_SEAT.c.until > now, _SEAT.c.until <= now + 2 * LEASE)
    query = sa.select(*_SEAT.c).where(_SEAT.c.relay == relay, _SEAT.c.holder != but, *live).order_by(_SEAT.c.holder)
    return [Seat(**row._mapping) for row in session.connection().execute(query)]


def sit(session: Session, seat: Seat) -> None:
    statement = insert_into(session, _SEAT).values(vars(seat))
    values = {name: statement.excluded[name] for name in vars(seat) if name not in ("relay", "holder", "since")}
    session.connection().execute(statement.on_conflict_do_update(index_elements=["relay", "holder"], set_=values))


def leave(session: Session, holder: str) -> None:
    """A pass is over; of those that were killed nothing is kept either."""
    now, connection = moment(session), session.connection()
    dead = sa.select(_SEAT.c.relay, _SEAT.c.holder).where(
        sa.or_(_SEAT.c.holder == holder, _SEAT.c.until < now - 10 * LEASE, _SEAT.c.until > now + 2 * LEASE)
    )
    gone = dead.with_for_update(skip_locked=True).cte("gone")
    mine = sa.tuple_(_SEAT.c.relay, _SEAT.c.holder).in_(sa.select(gone.c.relay, gone.c.holder))
    connection.execute(sa.delete(_SEAT).where(mine))


def domains(
    session: Session, behind: str, names: Collection[str], *, lock: bool, fresh_for: float, now: float
) -> list[Domain]:
    """What is known of these domains, or (without a lock) also of all others; what is older than that is forgotten.

    And what is of a moment to come: the clock was set back, and these moments say nothing any more.
    """
    query = sa.select(*_DOMAIN.c).where(_DOMAIN.c.behind == behind).order_by(_DOMAIN.c.domain)
    if lock:
        query = query.where(_DOMAIN.c.domain.in_(sorted(names))).with_for_update()
    found = [Domain(**row._mapping) for row in session.connection().execute(query)]
    return [row if now - fresh_for < row.at <= now + LEASE else Domain(behind, row.domain) for row in found]


def keep_domains(session: Session, rows: Sequence[Domain]) -> None:
    """In the order of names, so that no two wait for each other."""
    for row in sorted(rows, key=lambda row: (row.behind, row.domain)):
        statement = insert_into(session, _DOMAIN).values(vars(row))
        values = {name: statement.excluded[name] for name in vars(row) if name not in ("behind", "domain")}
        statement = statement.on_conflict_do_update(index_elements=["behind", "domain"], set_=values)
        session.connection().execute(statement)


def forget_domains(session: Session, *, fresh_for: float) -> None:
    """Those of which nobody heard for so long."""
    now = moment(session)
    stale = sa.or_(_DOMAIN.c.at < now - fresh_for, _DOMAIN.c.at > now + fresh_for)
    old = sa.select(_DOMAIN.c.behind, _DOMAIN.c.domain).where(stale)
    gone = old.with_for_update(skip_locked=True).cte("gone")
    which = sa.tuple_(_DOMAIN.c.behind, _DOMAIN.c.domain).in_(sa.select(gone.c.behind, gone.c.domain))
    session.connection().execute(sa.delete(_DOMAIN).where(which))


def new_holder() -> str:
    """A name for a pass of this process: of no other process, machine, or moment."""
    return f"{_place()} {runs.process(os.getpid()).partition(' ')[2]} {uuid.uuid4().hex[:8]}"


def killed(holder: str) -> bool:
    """Is it sure that the process of this pass is no more? Only of those is it that run on the same kernel as we."""
    place, number, start, _ = (*holder.split(" "), "", "", "")[:4]
    if not place or place != _place() or not number.isdigit() or not start:
        return False
    return runs.process(int(number)).partition(" ")[2] != f"{number} {start}"


@cache
def _place() -> str:
    """The kernel since it was started, and which processes can be seen: machines may bear the same name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def names_of(refuses: Mapping[str, Any], *, since: float, now: float) -> dict[str, str]:
    """What relays refused since then, by newsletter: {number: why}; not what a clock that was ahead said."""
    return {number: str(said[0]) for number, said in refuses.items() if since <= float(said[1]) <= now}
