"""Waking workers in the transaction that makes work: a job beside the rows, or none where the rows are not stored.

Only on PostgreSQL, and only where workers have made their tables there; else, and where anything is wrong with these,
whoever looks next finds the work by its rows. Nothing of the engine is imported: a job is a row of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field

import sqlalchemy as sa
from sqlmodel import Session

from digest.dataclass import dataclass

_WAKES = "wakes"  # in `Session.info`: what is deferred right before the commit, so that nobody waits for us longer
_THERE = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
# One that waits already is locked until we commit: who would take it before, would not see our rows.
_DEFER = sa.text("""
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)
    VALUES (:queue, :name, :priority, :lock, :lock, CAST(:numbers AS jsonb))
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET priority = excluded.priority
    RETURNING xmax = 0
""")


@dataclass(frozen=True)
class Job:
    """One thing to look at: by one worker at a time, and waiting once at most."""

    name: str
    queue: str
    priority: int  # the highest is begun first
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        return "/".join(("digest", self.name, *(str(number) for _, number in sorted(self.numbers.items()))))


NOTICES = Job("notices", "mail", 100)
SIGNUPS = Job("signups", "mail", 90)
DELIVER = Job("deliver", "deliver", 30, {"share": 0})


def wake(session: Session, job: Job) -> None:
    """Have somebody woken when this transaction commits."""
    if session.get_bind().dialect.name == "postgresql":
        session.info.setdefault(_WAKES, {})[job.lock] = job


def defer_wakes(session: Session) -> None:
    """What was to be woken; called right before the commit. What is wrong with the engine undoes nothing of ours."""
    jobs = session.info.pop(_WAKES, None)
    if not jobs or not session.execute(_THERE).scalar():
        return
    with suppress(sa.exc.DBAPIError), session.begin_nested():
        for lock in sorted(jobs):
            insert(session, jobs[lock])


def insert(session: Session, job: Job) -> bool:
    """Defer a job; False where it waits already."""
    numbers = json.dumps(dict(job.numbers))
    given = {"queue": job.queue, "name": job.name, "priority": job.priority, "lock": job.lock, "numbers": numbers}
    return bool(session.execute(_DEFER, given).scalar_one())
