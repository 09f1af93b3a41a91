"""One pass over all newsletters: what is due is handed to the servers, and what waits is counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import Session

from digest import event_loop
from digest.config import Config, Smtp
from digest.dataclass import dataclass
from digest.deliver.papers import Joint, Key, Papers, Relays, key_of, open_and_hold
from digest.deliver.report import Progress, Report
from digest.deliver.shares import ALL, Share
from digest.errors import ConfigError, RelayDown
from digest.means import fitting
from digest.store import Database, edition_states, letters, newsletters, suppressions

# What sends is imported where there is something to send.
if TYPE_CHECKING:
    from digest.deliver.ledger import Ledger


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
    now, relays = clock(), Relays()
    relays.add(config.smtp)
    with database.read() as session:
        names = {row.id: name for name, row in newsletters.by_name(session).items() if row.id is not None}
    left_alone, troubles = _left_alone(config, names, share, relays)
    papers = Papers(config, names, frozenset(left_alone))
    if not share.notices_only:
        report.dropped = edition_states.drop_cancelled(database, now=now)
    if not share.notices_only:
        report.late = open_and_hold(database, papers, now=now)
    with database.read() as session:
        found = letters.due_count(session, now=now, notices_only=share.notices_only)
    due = {number: letters for number, letters in found.items() if number not in left_alone}
    report.owed = sum(due.values())
    report.where = ", ".join(joint.name for joint in relays.found.values()) or str(config.maildir)
    refused: list[int] = []
    if report.owed:
        from digest.deliver.content import Contents
        from digest.deliver.ledger import Ledger

        ledger = Ledger(database, Contents(papers), papers, clock=clock, share=share)
        ledger.contents.kit(None)  # a key of no use is told before the first letter
        telling = Telling(clock, rng, progress, stop)
        try:
            refused, stopped = _hand_over(ledger, relays, report, due, telling)
        finally:
            ledger.room.close()
        troubles |= {names.get(number or 0, ""): why for number, why in stopped.items()}
    with database.read() as session:
        each = letters.left_of_each(session, now=clock())
        mine = {number: left for number, left in each.items() if share.newsletters is None or number not in left_alone}
        report.left = letters.together(mine.values())
        if refused or report.quarantined:
            from digest.store import refusals

            report.quarantined = [
                (name, number, refusals.quarantined(session, name, number), why)
                for name, number, _, why in report.quarantined
            ]
            report.unreached = refusals.unreached(session, refused)
        report.refused = max(0, report.refused)  # held by us, some may have been refused by another sender
    for number, left in mine.items():
        done = report.of(papers.name(number))
        done.left, done.due = done.left + left.letters, done.due + left.due.letters
    for name, why in troubles.items():
        if name in config.broken or (name in report.newsletters and report.of(name).left):
            report.of(name).trouble = why
    report.owed = report.left.letters
    report.twice = 0
    return report


def _left_alone(
    config: Config, names: Mapping[int, str], share: Share, relays: Relays
) -> tuple[set[int], dict[str, str]]:
    """Newsletters that are no part of this pass, and those among them with which something is the matter: what.

    The relays of the others are added to `relays`.
    """
    found, troubles = set(), {}
    for number, name in sorted(names.items(), key=lambda row: row[1]):
        if share.newsletters is not None and name not in share.newsletters:
            found.add(number)
            continue
        trouble = config.broken.get(name, "")
        imprint = config.imprint(name)
        if not trouble and imprint.smtp is not config.smtp:
            from digest.deliver.content import Kit

            try:
                relays.add(imprint.smtp)
                Kit(imprint)
            except ConfigError as error:
                trouble = str(error) + (f"\n  {error.hint}" if error.hint else "")
        if trouble:
            found.add(number)
            troubles[name] = trouble
    return found, troubles


@dataclass(frozen=True)
class Telling:
    """What a pass goes by, and who hears of it."""

    clock: Callable[[], datetime]
    rng: random.Random
    progress: Callable[[Progress], None] | None
    stop: Callable[[], bool]


def _hand_over(
    ledger: Ledger, relays: Relays, report: Report, due: Mapping[int | None, int], telling: Telling
) -> tuple[list[int], dict[int | None, str]]:
    """Letters to relays and to the Maildir: editions of which all was refused, and who is held up by what."""
    papers, most = ledger.papers, ledger.left(report.owed)
    sent = {number: letters for number, letters in due.items() if papers.smtp(number).servers}
    refused: list[int] = []
    stopped: dict[int | None, str] = {}
    if sent:
        refused, stopped = event_loop.run(lambda: _send(ledger, relays, report, sent, telling))
    if len(sent) < len(due) and not report.interrupted and not report.full:
        from digest.deliver.maildir import Maildir

        try:
            Maildir(papers.config.maildir).keep(ledger, report, progress=telling.progress, stop=telling.stop, due=most)
        except RelayDown as error:
            report.stopped = report.stopped or str(error)
            stopped |= {number: str(error) for number in due if number not in sent}
    return refused, stopped


async def _send(
    ledger: Ledger, relays: Relays, report: Report, due: Mapping[int | None, int], telling: Telling
) -> tuple[list[int], dict[int | None, str]]:
    """The editions of which all that was answered was refused, and the newsletters that are held up."""
    from digest.deliver.delivery import Delivery
    from digest.deliver.relays import Route

    papers = ledger.papers
    delivery = Delivery(
        ledger, report, clock=telling.clock, rng=telling.rng, progress=telling.progress, stop=telling.stop, due=due
    )
    smtps = [papers.smtp(number) for number in papers.numbers]
    careful = any(smtp.after_crash == "hold" for smtp in smtps)
    shares = _shares(smtps)
    routes = {
        key: Route(joint.settings, joint.server, delivery, careful=careful, share=shares.get(key, 1.0))
        for key, joint in _fitting(relays.found).items()
    }
    await delivery.run(routes)
    return delivery.judge.all_refused(), delivery.stopped


def _shares(smtps: Iterable[Smtp]) -> dict[Key, float]:
    """Each relay's weight against the heaviest beside it: the most that it is to anybody."""
    found: dict[Key, float] = {}
    for smtp in smtps:
        heaviest = max((relay.weight for relay in smtp.servers), default=1.0)
        for relay in smtp.servers:
            key = key_of(relay)
            found[key] = max(found.get(key, 0.0), relay.weight / heaviest)
    return found


def end_quarantine(session: Session, edition_id: int, *, believe: bool, now: datetime) -> tuple[int, bool]:
    """Owe an edition's quarantined letters again, or `believe` the refusals; how many, and whether it goes on by it."""
    from digest.store import refusals

    if believe:
        letters = refusals.believe(session, edition_id, reason=suppressions.BOUNCED, now=now)
    else:
        letters = refusals.release(session, edition_id, now=now)
    if not letters:
        return 0, False
    return letters, edition_states.resume_paused(session, edition_id, now=now)


def _fitting(found: Mapping[Key, Joint]) -> dict[Key, Joint]:
    """With no more connections in all than there are files for, and one each at least."""
    wanted = sum(joint.settings.connections for joint in found.values())
    most = fitting(wanted, each=1, beside=24 + len(found), what="sending")
    return {
        key: replace(
            joint,
            settings=joint.settings.model_copy(
                update={"connections": max(1, joint.settings.connections * most // wanted)}
            ),
        )
        for key, joint in found.items()
    }
