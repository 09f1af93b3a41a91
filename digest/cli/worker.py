"""`digest worker`: one of many processes, on any number of machines, that do together what a run does."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from digest import event_loop
from digest.cli.common import Options, now, print_json, print_rows
from digest.cli.options import Json, LogFile, LogFormat
from digest.cli.progress import heed_clock, telling
from digest.cli.record import recorded
from digest.errors import BadInput, Exit

if TYPE_CHECKING:
    from digest.store.workers import Seen
    from digest.workers.engine import Worker

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


app = typer.Typer(help="Work with others on one PostgreSQL, until asked to stop.")


@app.callback(invoke_without_command=True)
def worker(
    context: typer.Context,
    queues: Annotated[str, typer.Option(metavar="NAME,NAME", help="Only jobs of these; else of all.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many jobs at a time.")] = 4,
    grace: Annotated[float, typer.Option(min=0, max=3600, help="Seconds that its end may take.")] = 60,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End once no job waits.")] = False,
    log: LogFile = None,
    log_format: LogFormat = None,
) -> None:
    """Work with others on one PostgreSQL, until asked to stop. `digest help scaling` tells how machines share the work.

    Queues are mail, collect, compose, deliver and upkeep. SIGTERM ends it once letters under way are answered.

    Example: digest worker --queues mail,collect,compose --concurrency 8
    """
    if context.invoked_subcommand is not None:
        return
    from digest.workers import engine, tables
    from digest.workers.wanted import QUEUES
    from digest.workers.work import Work

    options: Options = context.obj
    terms = engine.Terms(_chosen(queues, QUEUES), concurrency, grace, wait=not until_idle)
    with (
        recorded(options, "worker", now, log, log_format) as record,
        options.open(partly=True) as (config, database),
    ):
        engine.require(database)
        database.require_latest()
        broken = options.judge(config)
        heed_clock(options, config, database)
        tables.ensure(database)
        with record.stored(database), telling(options, config) as tell:
            rng = random.Random()  # noqa: S311  (jitter, not a secret)
            work = Work(database, config, clock=now, rng=rng, broken=broken, tell=tell)
            mine = engine.Worker(work, terms, warn=options.warn, give_up=lambda: _give_up(options))
            event_loop.run(lambda: _until_asked(options, mine))
            record.ends(Exit.OK)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the workers on this database: since when, of which release, when they were heard of last, what they do.

    One of which nobody heard for half a minute is dead: others go on with what it did. SQLite has none.

    Example: digest worker list --json
    """
    from digest.store import workers

    options: Options = context.obj
    moment = now()
    with options.open(partly=True) as (_, database), database.read() as session:
        found = workers.seen(session, now=moment)
    if as_json:
        print_json(
            [{**asdict(one.worker), "began": one.began, "silent": one.silent, "dead": one.dead} for one in found]
        )
        return
    rows = [
        (one.worker.name, one.began, f"{one.silent:.0f} s", one.worker.release, one.worker.queues, _does(one))
        for one in found
    ]
    print_rows(("worker", "since", "silent", "release", "queues", "does"), rows)


def _does(seen: Seen) -> str:
    return "dead" if seen.dead else seen.worker.doing or "waits"


async def _until_asked(options: Options, worker: Worker) -> None:
    loop = asyncio.get_running_loop()

    def ask() -> None:
        options.say("stopping, once what is under way is done")
        worker.ask_to_stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, ask)
    options.say("working")
    await worker.run()


def _give_up(options: Options) -> None:
    """Threads cannot be ended from outside; what they are at is safe to be broken off at any moment."""
    options.warn("not all was done in time: what was under way is broken off, and others go on with it")
    os._exit(Exit.TEMPFAIL)


def _chosen(words: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The queues that are named; all, where none is. BadInput for one that is not known."""
    names = tuple(dict.fromkeys(name for word in words.split(",") if (name := word.strip())))
    for name in names:
        if name not in known:
            raise BadInput(f"there is no queue {name!r}", hint=f"queues are {', '.join(known)}")
    return names or known
