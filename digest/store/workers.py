"""Workers that are at work on this database: each says every few seconds that it is there, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from digest.store.database import insert_into
from digest.store.worker_tables import WorkerRow

DEAD = 30.0  # seconds since a worker said so last
FORGOTTEN = 3600.0  # and after which it is listed no more
_TABLE = WorkerRow.__table__  # type: ignore[attr-defined]
_NOW = sa.func.extract("epoch", sa.func.clock_timestamp())


@dataclass(frozen=True)
class Worker:
    """A process. `done` counts jobs by name since it began."""

    name: str
    release: str
    revision: str
    queues: str
    doing: str = ""
    done: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A worker as others see it: `silent` seconds since it said last that it is there."""

    worker: Worker
    began: datetime
    silent: float

    @property
    def dead(self) -> bool:
        return self.silent > DEAD


def beat(session: Session, worker: Worker) -> None:
    """Say that it is there. PostgreSQL's clock says when."""
    values = {**vars(worker), "began": _NOW, "beat": _NOW}
    kept = {name: values[name] for name in ("release", "revision", "queues", "doing", "done", "beat")}
    insert = insert_into(session, _TABLE).values(values)
    session.connection().execute(insert.on_conflict_do_update(index_elements=["name"], set_=kept))


def gone(session: Session, name: str) -> None:
    """It has ended."""
    session.connection().execute(sa.delete(_TABLE).where(_TABLE.c.name == name))


def forget(session: Session) -> None:
    """Let go of those of which nobody heard for an hour: killed machines never come back under their names."""
    old = sa.or_(_TABLE.c.beat < _NOW - FORGOTTEN, _TABLE.c.beat > _NOW + FORGOTTEN)
    session.connection().execute(sa.delete(_TABLE).where(old))


def seen(session: Session, *, now: datetime) -> Sequence[Seen]:
    """All of them, by name; none on SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    names = [_TABLE.c[name] for name in Worker.__dataclass_fields__]
    query = sa.select(_NOW - _TABLE.c.began, _NOW - _TABLE.c.beat, *names).order_by(_TABLE.c.name)
    return [
        Seen(Worker(*row), now - timedelta(seconds=float(age)), max(0.0, float(silent)))
        for age, silent, *row in session.connection().execute(query)
    ]
