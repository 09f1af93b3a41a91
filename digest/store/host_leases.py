"""Which process asks a stranger's host: one at a time, under a lease, so that all of them together keep its manners.

A lease is for a stretch and not for a request: whoever has it keeps gap and connections in memory. Moments are by the
clock that all share (`database.shared_now`); one that lies further ahead than any rule puts it was written by a clock
that was wrong, and binds nobody.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from digest.store.database import shared_now

LEASE = 20.0  # seconds, without renewal: so long the hosts of a process that was killed rest
LONGEST_GAP = 60.0  # seconds that lie between one holder's last request and the next one's first
_DEAD = 600.0  # seconds after which a lease that nobody gave back is no row any more

# However many names there are it is one statement, which stays compiled. A transaction locks rows in the order of
# names, all that it is to change before it changes the first: so no two wait for each other.
_NAMES = {
    "sqlite": "SELECT value FROM json_each(:names)",
    "postgresql": "SELECT value FROM json_array_elements_text(CAST(:names AS json))",
}
_TAKE = """
INSERT INTO host_lease (name, holder, until, next_at, wanted)
SELECT value, :holder, :until, 0, false FROM (NAMES) AS names WHERE true ORDER BY value
ON CONFLICT (name) DO UPDATE SET
  holder = CASE WHEN FREE THEN excluded.holder ELSE host_lease.holder END,
  until = CASE WHEN FREE THEN excluded.until ELSE host_lease.until END,
  wanted = NOT FREE
WHERE FREE OR NOT host_lease.wanted
RETURNING name, holder, next_at
"""
_RENEW = "UPDATE host_lease SET until = :until WHERE name IN (OURS) RETURNING name, wanted"
_GIVE = "DELETE FROM host_lease WHERE name IN (OURS)"
_REST = "UPDATE host_lease SET holder = '', until = 0, next_at = :next_at, wanted = false WHERE name IN (OURS)"
_ALL = "SELECT name FROM host_lease WHERE holder = :holder ORDER BY name LOCKED"
_LEAVE = "DELETE FROM host_lease WHERE holder = :holder"
_FORGET = """
DELETE FROM host_lease WHERE name IN (SELECT name FROM host_lease
    WHERE (until < :dead AND next_at < :dead) OR until > :ahead OR next_at > :ahead ORDER BY name LOCKED)
"""
_WORDS = (
    ("FREE", "(host_lease.holder IN ('', :holder) OR host_lease.until <= :now OR host_lease.until > :ahead)"),
    ("OURS", "SELECT name FROM host_lease WHERE holder = :holder AND name IN (NAMES) ORDER BY name LOCKED"),
)


def new_holder() -> str:
    return uuid.uuid4().hex[:16]


def take(session: Session, names: Collection[str], holder: str, *, now: datetime) -> dict[str, float]:
    """Lease these hosts as far as nobody else has them: in how many seconds a request may begin, by name.

    Whoever has one of the others is told, once, that it is wanted.
    """
    moment = _moment(session, now)
    given = {"holder": holder, "now": moment, "until": moment + LEASE, "ahead": moment + 2 * LEASE}
    rows = _do(session, _TAKE, names=_json(names), **given)
    ours = {name: next_at for name, who, next_at in rows if who == holder}
    return {name: at - moment if moment < at <= moment + LONGEST_GAP else 0.0 for name, at in ours.items()}


def renew(
    session: Session, names: Collection[str], holder: str, *, now: datetime, back: Mapping[str, float]
) -> dict[str, bool]:
    """Have these hosts for another stretch, as far as they are still ours: whether somebody waits for it, by name.

    Others may have those of `back`, after so many seconds.
    """
    _lock(session, "OURS", holder=holder, names=_json({*names, *back}))
    _give_back(session, back, holder, now=now)
    if not names:
        return {}
    until = _moment(session, now) + LEASE
    return {name: bool(wanted) for name, wanted in _do(session, _RENEW, names=_json(names), holder=holder, until=until)}


def leave(session: Session, gaps: Mapping[str, float], holder: str, *, now: datetime) -> None:
    """Give back all that a holder has, after these seconds where there are any, and forget what others left behind."""
    _lock(session, _ALL, holder=holder)
    _give_back(session, {name: gap for name, gap in gaps.items() if gap > 0}, holder, now=now)
    moment = _moment(session, now)
    _do(session, _LEAVE, holder=holder)
    _do(session, _FORGET, dead=moment - _DEAD, ahead=moment + _DEAD)


def _give_back(session: Session, gaps: Mapping[str, float], holder: str, *, now: datetime) -> None:
    waits = {name: gap for name, gap in gaps.items() if gap > 0}
    if waits:
        # The longest for all of them: gaps are short, and one statement is enough.
        next_at = _moment(session, now) + min(max(waits.values()), LONGEST_GAP)
        _do(session, _REST, names=_json(waits), holder=holder, next_at=next_at)
    if over := gaps.keys() - waits:
        _do(session, _GIVE, names=_json(over), holder=holder)


def _lock(session: Session, rows: str, **given: Any) -> None:
    if session.get_bind().dialect.name == "postgresql":  # a SQLite file has one writer
        _do(session, rows, **given)


def _do(session: Session, statement: str, **given: Any) -> list[Any]:
    dialect = session.get_bind().dialect.name
    locked = "FOR UPDATE SKIP LOCKED" if dialect == "postgresql" and statement is _FORGET else "FOR UPDATE"
    words = statement
    for token, meaning in (*_WORDS, ("NAMES", _NAMES[dialect]), ("LOCKED", locked if dialect == "postgresql" else "")):
        words = words.replace(token, meaning)
    done = session.connection().execute(sa.text(words), given)
    return list(done) if done.returns_rows else []


def _json(names: Collection[str]) -> str:
    return json.dumps(sorted(names))


def _moment(session: Session, now: datetime) -> float:
    return shared_now(session, now).timestamp()
