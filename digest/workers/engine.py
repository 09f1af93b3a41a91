"""procrastinate, and nothing else knows it but `tables`: takes jobs from the database, has them done, and ticks."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shlex
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digest import DISTRIBUTION
from digest.errors import ConfigError, StorageError, TryAgain, UserError
from digest.store import Database, workers
from digest.store.database import head, outgrown
from digest.store.waking import DELIVER
from digest.workers import tables
from digest.workers.wanted import JOBS, QUEUES, Job
from digest.workers.work import Work

if TYPE_CHECKING:
    from procrastinate import App

TICK = "tick"  # a queue that every worker takes from
_POLL = 1.0  # seconds between two questions for jobs; LISTEN would want a session, which PgBouncer does not keep
_HEARTBEAT = 5.0  # seconds
_SOON = 0.1
_LOUD = ("procrastinate", "psycopg")  # what they log, with tracebacks, is told in a sentence: see `Worker.run`
_OURS = Path(__file__).parent.parent
_AGAIN = 5.0  # seconds until the engine is started anew, after the database was gone or its tables were dropped


@dataclass(frozen=True)
class Terms:
    """How a worker works: from which queues, how many jobs at a time, and how long its end may take, in seconds."""

    queues: Sequence[str] = QUEUES
    concurrency: int = 4
    grace: float = 60.0
    wait: bool = True  # for jobs to come; else it ends once there is none


def require(database: Database) -> None:
    """ConfigError where workers cannot be had: on SQLite, or without procrastinate."""
    if database.engine.dialect.name != "postgresql":
        raise ConfigError(
            f"workers share a PostgreSQL, and this is SQLite: {database.name}",
            hint="`digest run` by cron does the same work on one machine; `digest help scaling` says how to move",
        )
    if importlib.util.find_spec("procrastinate") is None:
        raise ConfigError(
            "workers need a package that is not installed beside digest",
            hint=f"{shlex.quote(sys.executable)} -m pip install '{DISTRIBUTION}[workers]'",
        )


class Worker:
    """One process: its jobs run in threads, each with transactions of its own."""

    def __init__(self, work: Work, terms: Terms, *, warn: Callable[[str], None], give_up: Callable[[], None]) -> None:
        """`give_up` is called where jobs did not end in time: it ends the process, or the worker waits on."""
        self._work = replace(work, stop=lambda: self._asked.is_set())
        self._terms = terms
        self._warn = warn
        self._give_up = give_up
        self._fatal: UserError | None = None
        self._asked = asyncio.Event()
        self._doing: set[str] = set()
        self._done: Counter[str] = Counter()
        name = f"{socket.gethostname()}/{os.getpid()}"
        self._self = workers.Worker(name, version(DISTRIBUTION), head(), ", ".join(terms.queues))

    def ask_to_stop(self) -> None:
        """From the event loop's own thread."""
        self._asked.set()

    async def run(self) -> None:
        """Until it is asked to stop.

        Raises what says that this worker cannot go on at all: StorageError of a release that is too old.
        """
        loop = self._loop = asyncio.get_running_loop()
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        loop.set_default_executor(ThreadPoolExecutor(max_workers=self._terms.concurrency + 2))
        await asyncio.to_thread(self._farewell)  # one of our name that was killed: in a container all have one number
        if not self._terms.wait:
            await asyncio.to_thread(tables.ensure, self._work.database)
            await asyncio.to_thread(self._look)
        while not self._asked.is_set():
            try:
                await asyncio.to_thread(tables.ensure, self._work.database)
                await self._once()
            except Exception as error:  # the database is gone, or its tables are: whatever the engine makes of it
                if not _passes(error):
                    raise
                self._warn(f"the engine stopped, and starts anew in {_AGAIN:.0f} seconds: {_cause(error)}")
            if not self._terms.wait:
                if not await asyncio.to_thread(tables.waits, self._work.database, self._terms.queues):
                    break
                await asyncio.sleep(_SOON)  # another worker may have in hand what this one waits for
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _AGAIN)
        await asyncio.to_thread(self._farewell)
        if self._fatal is not None:
            raise self._fatal

    def _farewell(self) -> None:
        with contextlib.suppress(StorageError, TryAgain), self._work.database.write() as session:
            workers.gone(session, self._self.name)

    async def _once(self) -> None:
        app = self._app()
        async with app.open_async():
            await self._forget_dead(app)  # one may hold the lock of what waits
            engines = [
                asyncio.create_task(
                    app.run_worker_async(
                        queues=queues,
                        concurrency=concurrency,
                        wait=self._terms.wait,
                        listen_notify=False,
                        fetch_job_polling_interval=_POLL,
                        update_heartbeat_interval=_HEARTBEAT,
                        stalled_worker_timeout=tables.DEAD,
                        delete_jobs="always",  # what is still to be done, the rows say
                        install_signal_handlers=False,
                    )
                )
                for queues, concurrency in self._engines()
            ]
            asked = asyncio.create_task(self._asked.wait())
            beating = asyncio.create_task(self._beat(app))
            done: asyncio.Future[Any] = asyncio.gather(*engines)
            waited: set[asyncio.Future[Any]] = {done, asked, beating}
            try:
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if self._asked.is_set():
                    for engine in engines:
                        engine.cancel()  # which it takes as a wish: what it has begun it ends
                    _, late = await asyncio.wait(engines, timeout=self._terms.grace)
                    if late:
                        self._give_up()
                        await asyncio.wait(engines)
                    with contextlib.suppress(asyncio.CancelledError):
                        await done
                    return
                if beating.done():
                    beating.result()
                await done
            finally:
                for task in (asked, beating, *engines):
                    task.cancel()
                # All of them are heard, or asyncio tells of what they met with a traceback.
                await asyncio.gather(done, *engines, beating, return_exceptions=True)

    def _engines(self) -> list[tuple[list[str], int]]:
        """Which queues are taken from by how many at a time: one pass of delivery keeps a processor busy."""
        others = [queue for queue in self._terms.queues if queue != DELIVER.queue]
        found = [([DELIVER.queue, TICK], 1)] if DELIVER.queue in self._terms.queues else []
        return [*found, ([*others, TICK], self._terms.concurrency)] if others else found

    async def _beat(self, app: App) -> None:
        """Say every few seconds that we are there, and look for those who are not any more."""
        while True:
            await asyncio.to_thread(self._say)
            if await self._forget_dead(app):
                await asyncio.to_thread(self._look)
            await asyncio.sleep(_HEARTBEAT)

    def _say(self) -> None:
        try:
            if fatal := outgrown(self._work.database):
                self._end(fatal)
                return
            with self._work.database.write() as session:
                workers.beat(session, replace(self._self, doing=", ".join(sorted(self._doing)), done=dict(self._done)))
        except (StorageError, TryAgain):
            pass  # the engine meets it, too

    def _end(self, fatal: UserError) -> None:
        self._fatal = fatal
        self._loop.call_soon_threadsafe(self._asked.set)

    def _app(self) -> App:
        from procrastinate import App, PsycopgConnector

        url = self._work.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connector = PsycopgConnector(
            conninfo=url, min_size=1, max_size=4, timeout=30, kwargs={"prepare_threshold": None}
        )
        app = App(connector=connector)
        for job in JOBS:
            app.task(name=job.name, queue=job.queue)(self._deed(job.name))

        async def tick(timestamp: int) -> None:
            await self._forget_dead(app)
            await asyncio.to_thread(self._look)

        ticking = app.task(name=TICK, queue=TICK, priority=1000, queueing_lock="digest/tick")(tick)
        app.periodic(cron="* * * * *")(ticking)
        return app

    def _deed(self, name: str) -> Callable[..., None]:
        def do(**numbers: int) -> None:
            words = " ".join((name, *map(str, numbers.values())))
            self._doing.add(words)
            try:
                self._wake(self._work.before(name, numbers))
                self._wake(self._work.do(name, numbers))
            except UserError as error:
                self._warn(_said(name, numbers, error))
            except Exception as error:  # told here, since what the engine logs of it is not shown
                self._warn(f"{words}: {_mistake(error)}")
            finally:
                self._doing.discard(words)
                self._done[name] += 1

        return do

    def _look(self) -> None:
        try:
            if fatal := outgrown(self._work.database):
                self._end(fatal)
                return
            self._wake(self._work.look())
        except UserError as error:
            self._warn(_said(TICK, {}, error))
        except Exception as error:
            self._warn(f"{TICK}: {_mistake(error)}")

    def _wake(self, jobs: Sequence[Job]) -> None:
        if jobs:
            with self._work.database.write() as session:
                for job in sorted(jobs, key=lambda job: job.lock):  # as `defer_wakes`: no two wait for each other
                    tables.defer(session, job)

    async def _forget_dead(self, app: App) -> int:
        """Jobs of workers that are no more: the rows say what of them is still to be done. How many there were."""
        from procrastinate.exceptions import ConnectorException
        from procrastinate.jobs import Status

        manager = app.job_manager
        await manager.prune_stalled_workers(tables.DEAD)
        dead = list(await manager.get_stalled_jobs(seconds_since_heartbeat=tables.DEAD))
        for job in dead:
            with contextlib.suppress(ConnectorException):  # another was quicker
                await manager.finish_job(job, Status.FAILED, delete_job=True)
        return len(dead)


def _passes(error: BaseException) -> bool:
    """Is it of the engine or of the database, so that a little later it may be over?"""
    from procrastinate.exceptions import ProcrastinateException

    return isinstance(error, ProcrastinateException | StorageError | TryAgain)


def _cause(error: BaseException) -> str:
    """The first line of what the database said; the engine's own words hide it."""
    return (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]


def _mistake(error: Exception) -> str:
    """What to say of what should not happen, and where it did; not its own words, which may tell of readers."""
    again = "\n  what was stored is kept; the rows say what is still to be done, and it is tried again"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot go on: {error.strerror.lower()}{again}"
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if Path(frame.filename).is_relative_to(_OURS)), frames[-1])
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"a mistake of ours, please tell us of it: {type(error).__name__} in {where}{again}"


def _said(name: str, numbers: Mapping[str, Any], error: UserError) -> str:
    about = " ".join((name, *map(str, numbers.values())))
    return f"{about}: {error}" + (f"\n  {error.hint}" if error.hint else "")
