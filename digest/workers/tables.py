"""The engine's tables, which can be dropped at any moment: made where missing, put into by our transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import sqlalchemy as sa
from sqlmodel import Session

from digest.errors import StorageError, TryAgain
from digest.store import Database, waking
from digest.store.waking import Job
from digest.store.workers import DEAD as DEAD

_LOCK = 0x6469676573740008  # "digest", for pg_advisory_xact_lock
_ALIVE = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :dead)"
# What the engine calls its own; CASCADE takes triggers and arrays of the types along.
_DROP = """
DO $$
DECLARE one record;
BEGIN
  DROP TABLE IF EXISTS procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers
    CASCADE;
  FOR one IN SELECT oid::regprocedure AS name FROM pg_proc
    WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
  LOOP EXECUTE 'DROP ROUTINE IF EXISTS ' || one.name || ' CASCADE'; END LOOP;
  FOR one IN SELECT oid::regtype AS name FROM pg_type
    WHERE typname LIKE 'procrastinate\\_%' AND typtype IN ('e', 'c') AND typnamespace = current_schema()::regnamespace
  LOOP EXECUTE 'DROP TYPE IF EXISTS ' || one.name || ' CASCADE'; END LOOP;
END $$
"""


def ensure(database: Database) -> bool:
    """Make the engine's tables where they are missing, or anew where they are of another release of it; were they made?

    TryAgain where workers with that other release are alive.
    """
    from procrastinate.schema import SchemaManager

    schema = SchemaManager.get_schema()
    mine = f"digest: {hashlib.sha256(schema.encode()).hexdigest()}"
    with database.write() as session:
        session.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        # One name of theirs is enough: what was dropped in part is made anew as a whole.
        whose = sa.text("SELECT obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")
        whole = "SELECT to_regclass('procrastinate_workers') IS NOT NULL"
        workers = session.execute(sa.text(whole)).scalar_one()
        if workers and session.execute(whose).scalar_one() == mine:
            return False
        if workers and session.execute(sa.text(_ALIVE), {"dead": DEAD}).scalar_one():
            raise TryAgain(
                "workers with another release of procrastinate are at work on this database",
                hint="stop them, or give all machines the same release; a minute after their end it goes on",
            )
        connection = session.connection()
        connection.exec_driver_sql(_DROP.replace("%", "%%"))
        connection.exec_driver_sql(schema.replace("%", "%%"))
        connection.exec_driver_sql(f"COMMENT ON TABLE procrastinate_jobs IS '{mine}'")
    return True


def waits(database: Database, queues: Collection[str]) -> bool:
    """Is there a job in one of these queues that nobody has begun?"""
    query = "SELECT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY(:queues))"
    with database.read() as session:
        return bool(session.execute(sa.text(query), {"queues": list(queues)}).scalar_one())


def defer(session: Session, job: Job) -> bool:
    """Wake somebody in this transaction, if it commits; False where one is woken already.

    In a savepoint: what is wrong with the engine undoes nothing of ours. StorageError then.
    """
    try:
        with session.begin_nested():
            return waking.insert(session, job)
    except sa.exc.DBAPIError as error:
        raise StorageError(
            f"no worker can be woken: {error.orig}".splitlines()[0],
            hint="start `digest worker`, which makes the tables of jobs; until then a run does the work",
        ) from error
