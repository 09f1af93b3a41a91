"""Deliver: claim letters, hand them to the mail servers, settle the replies. Nobody twice, nobody lost.

`run` is one pass. `desk` decides what goes next, `relays` and `smtp` talk to the servers, `replies` says what
they mean, `writer` keeps the outbox true, `content` writes the letters, `maildir` keeps them while no server is set.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from digest import loop, store
from digest.config import Config, Relay
from digest.deliver.content import Contents
from digest.deliver.content import for_one as for_one
from digest.deliver.desk import Desk
from digest.deliver.login import Server, name_of
from digest.deliver.maildir import Maildir
from digest.deliver.relays import Route
from digest.deliver.replies import retry_delay as retry_delay
from digest.deliver.report import Progress as Progress
from digest.deliver.report import Report as Report
from digest.deliver.single import send_one as send_one
from digest.deliver.writer import Ledger
from digest.errors import RelayDown
from digest.means import fitting
from digest.store import Database


def run(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    notices_only: bool = False,
) -> Report:
    """Send every letter that is due, and record each reply.

    A relay is opened first, so that a wrong password stops the run with no letter touched. A letter is claimed,
    then marked as being sent in a commit of its own batch, and only then goes out: a process killed at any
    point leaves in doubt what it had marked and nothing else. `stop` is asked often; once it says so, what is
    in flight is finished and settled, and the rest stays owed. `notices_only` leaves editions to
    others, and what becomes of late ones to who tells the operator.
    Raises StorageError where the database cannot be written.
    """
    report = Report()
    now = clock()
    with database.write() as session:
        if not notices_only:
            store.open_held(session, now=now)
            report.late = store.hold_late(session, now=now, max_lateness=config.smtp.max_lateness)
            report.dropped = store.drop_cancelled(session, now=now)
        store.forget_relay_hours(session, now=now)
        due = store.due_count(session, now=now, notices_only=notices_only)
    servers = config.smtp.servers
    report.where = ", ".join(name_of(relay) for relay in servers) or str(config.maildir)
    if due:
        ledger = Ledger(
            database,
            Contents(config),
            clock=clock,
            lease=config.smtp.lease,
            hold_doubtful=config.smtp.after_crash == "hold",
            notices_only=notices_only,
            count_hours=any(relay.per_hour or relay.per_day for relay in servers),
        )
        if servers:
            loop.run(lambda: _send(ledger, config, report, due, clock=clock, rng=rng, progress=progress, stop=stop))
        else:
            try:
                Maildir(config.maildir).keep(ledger, report, progress=progress, stop=stop, due=due)
            except RelayDown as error:
                report.stopped = str(error)
    with database.read() as session:
        report.left = store.left(session, now=clock())
        report.owed = report.left.letters
    return report


async def _send(
    ledger: Ledger,
    config: Config,
    report: Report,
    due: int,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> None:
    desk = Desk(ledger, config.smtp, report, clock=clock, rng=rng, progress=progress, stop=stop, due=due)
    careful = config.smtp.after_crash == "hold"
    servers = _fitting(config.smtp.servers)
    heaviest = max(relay.weight for relay in servers)
    routes = [
        Route(relay, Server.of(relay, config.smtp), desk, careful=careful, share=relay.weight / heaviest)
        for relay in servers
    ]
    await desk.run(routes)


def _fitting(servers: tuple[Relay, ...]) -> tuple[Relay, ...]:
    """With no more connections in all than there are files for, and one each at least."""
    wanted = sum(relay.connections for relay in servers)
    most = fitting(wanted, each=1, beside=24 + len(servers), what="sending")
    return tuple(
        relay.model_copy(update={"connections": max(1, relay.connections * most // wanted)}) for relay in servers
    )
