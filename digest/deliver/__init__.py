"""Deliver: claim letters, hand them to the mail servers, settle the replies. Nobody twice, nobody lost.

`run` is one pass. `delivery` lets the others talk: `in_hand` (what is claimed; `canary`: what goes first), `domains`
and `pace` (how fast), `relays`, `smtp` and `login` (the servers), `replies` (what one reply means), `judge` (whose
trouble many are), `booking`, `ledger` and `writer` (what is written down), `content` (the letters). `maildir` keeps
letters while no server is set.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from sqlmodel import Session

from digest import event_loop
from digest.config import Config, Relay
from digest.deliver.content import Contents
from digest.deliver.content import for_one as for_one
from digest.deliver.delivery import Delivery
from digest.deliver.ledger import ALL as ALL
from digest.deliver.ledger import NOTICES as NOTICES
from digest.deliver.ledger import Ledger
from digest.deliver.ledger import Share as Share
from digest.deliver.login import Server, name_of
from digest.deliver.maildir import Maildir
from digest.deliver.relays import Route
from digest.deliver.replies import retry_delay as retry_delay
from digest.deliver.report import Progress as Progress
from digest.deliver.report import Report as Report
from digest.deliver.single import send_one as send_one
from digest.errors import RelayDown
from digest.means import fitting
from digest.store import Database, edition_states, letters, refusals, suppressions
from digest.store import relays as stored_relays


def run(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    share: Share = ALL,
    report: Report | None = None,
) -> Report:
    """Send every letter that is due, and record each reply.

    A relay is opened first, so that a wrong password stops the run with no letter touched. A letter is claimed,
    then marked as being sent in a commit of its own batch, and only then goes out: a process killed at any
    point leaves in doubt what it had marked and nothing else. `stop` is asked often; once it says so, what is
    in flight is finished and settled, and the rest stays owed. `report` is filled in as it goes, so
    that who gave it can tell the truth also of a run that breaks off.
    Raises StorageError where the database cannot be written.
    """
    report = Report() if report is None else report
    now = clock()
    with database.write() as session:
        if not share.notices_only:
            edition_states.open_held(session, now=now)
            report.late = edition_states.hold_late(session, now=now, max_lateness=config.smtp.max_lateness)
            report.dropped = edition_states.drop_cancelled(session, now=now)
        stored_relays.forget_hours(session, now=now)
        report.owed = letters.due_count(session, now=now, notices_only=share.notices_only)
    refused: list[int] = []
    servers = config.smtp.servers
    report.where = ", ".join(name_of(relay) for relay in servers) or str(config.maildir)
    if report.owed:
        ledger = Ledger(database, Contents(config), clock=clock, settings=config.smtp, share=share)
        due = ledger.left(report.owed)
        try:
            if servers:
                refused = event_loop.run(
                    lambda: _send(ledger, config, report, due, clock=clock, rng=rng, progress=progress, stop=stop)
                )
            else:
                try:
                    Maildir(config.maildir).keep(ledger, report, progress=progress, stop=stop, due=due)
                except RelayDown as error:
                    report.stopped = str(error)
        finally:
            ledger.room.close()
    with database.read() as session:
        report.left = letters.left(session, now=clock())
        report.quarantined = [
            (name, number, refusals.quarantined(session, name, number), why)
            for name, number, _, why in report.quarantined
        ]
        report.refused = max(0, report.refused)  # held by us, some may have been refused by another sender
        report.unreached = refusals.unreached(session, refused)
        report.owed = report.left.letters
        report.twice = 0
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
) -> list[int]:
    """The editions of which all that was answered was refused."""
    delivery = Delivery(ledger, config.smtp, report, clock=clock, rng=rng, progress=progress, stop=stop, due=due)
    careful = config.smtp.after_crash == "hold"
    servers = _fitting(config.smtp.servers)
    heaviest = max(relay.weight for relay in servers)
    routes = [
        Route(relay, Server.of(relay, config.smtp), delivery, careful=careful, share=relay.weight / heaviest)
        for relay in servers
    ]
    await delivery.run(routes)
    return delivery.judge.all_refused()


def end_quarantine(session: Session, edition_id: int, *, believe: bool, now: datetime) -> tuple[int, bool]:
    """Owe an edition's quarantined letters again, or `believe` the refusals; how many, and whether it goes on by it."""
    if believe:
        letters = refusals.believe(session, edition_id, reason=suppressions.BOUNCED, now=now)
    else:
        letters = refusals.release(session, edition_id, now=now)
    if not letters:
        return 0, False
    return letters, edition_states.resume_paused(session, edition_id, now=now)


def _fitting(servers: tuple[Relay, ...]) -> tuple[Relay, ...]:
    """With no more connections in all than there are files for, and one each at least."""
    wanted = sum(relay.connections for relay in servers)
    most = fitting(wanted, each=1, beside=24 + len(servers), what="sending")
    return tuple(
        relay.model_copy(update={"connections": max(1, relay.connections * most // wanted)}) for relay in servers
    )
