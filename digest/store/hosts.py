"""What servers said of themselves, by host and by address: until when they are left alone, and how fast they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from digest.dataclass import dataclass
from digest.models import Host
from digest.store.database import batched, insert_into
from digest.store.feed_claims import hold_host

REMEMBERED = timedelta(days=1)  # since a server said it last


@dataclass(frozen=True)
class Record:
    """A server that asked for something: `name` is a host in small letters, or an address."""

    name: str
    held_until: datetime | None = None
    pace_seconds: float = 0  # between two requests, 0 not known
    asked_at: datetime | None = None  # last, where it has a pace
    said: str = ""  # in words, what this was learnt from
    said_at: datetime | None = None


_HOST = Host.__table__  # type: ignore[attr-defined]
_COLUMNS = [_HOST.c[name] for name in Record.__dataclass_fields__]
_NOW: Any = sa.bindparam("now")
_FORGOTTEN: Any = sa.bindparam("forgotten")
# A hold that is over, and a pace that nobody spoke of for a day.
_OVER = (
    sa.or_(_HOST.c.held_until.is_(None), _HOST.c.held_until <= _NOW)
    & sa.or_(_HOST.c.said_at.is_(None), _HOST.c.said_at < _FORGOTTEN)
    & sa.or_(_HOST.c.asked_at.is_(None), _HOST.c.asked_at < _FORGOTTEN)
)
# Made once: it is asked with each claim of feeds.
_KNOWN = sa.select(*_COLUMNS).where(sa.not_(_OVER)).order_by(_HOST.c.name)


def records(session: Session, *, now: datetime, of: Iterable[str] | None = None) -> list[Record]:
    """What is known of servers that still holds, by name; of these alone, or of all."""
    queries = [_KNOWN] if of is None else [_KNOWN.where(_HOST.c.name.in_(some)) for some in batched(sorted(of))]
    return [Record(*row) for query in queries for row in session.execute(query, _moments(now))]


def keep(session: Session, records: Sequence[Record]) -> None:
    """Write what servers said last, but for what another run heard of them later; feeds of who is held wait as long.

    In the order of names, so that two runs do not wait for each other.
    """
    for record in sorted(records, key=lambda record: record.name):
        statement = insert_into(session, _HOST).values(asdict(record))
        ours, there = statement.excluded, _HOST.c
        heard = sa.or_(there.said_at.is_(None), ours.said_at >= there.said_at)
        values = {
            name: sa.case((heard, ours[name]), else_=there[name])
            for name in ("held_until", "pace_seconds", "said", "said_at")
        }
        asked = sa.or_(ours.asked_at.is_(None), there.asked_at > ours.asked_at)
        values["asked_at"] = sa.case((asked, there.asked_at), else_=ours.asked_at)
        session.connection().execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    for record in records:
        if record.held_until is not None:
            hold_host(session, record.name, until=record.held_until)


def forget(session: Session, *, now: datetime) -> None:
    """Forget what no longer holds, and what another run does not write just now."""
    names = sa.select(_HOST.c.name).where(_OVER).with_for_update(skip_locked=True)
    session.execute(sa.delete(_HOST).where(_HOST.c.name.in_(names)), _moments(now))


def _moments(now: datetime) -> dict[str, datetime]:
    """Those of `_OVER`."""
    return {"now": now, "forgotten": now - REMEMBERED}
