"""What the rows say is to be done, as jobs that wake somebody to do it. It says where to look, never what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest import edition
from digest.config import Config
from digest.models import Newsletter
from digest.store import Database, editions, feed_claims, idle, letters, newsletters, recipients
from digest.store.waking import DELIVER as DELIVER
from digest.store.waking import NOTICES as NOTICES
from digest.store.waking import SIGNUPS as SIGNUPS
from digest.store.waking import Job as Job

QUEUES = ("mail", "collect", "compose", "deliver", "upkeep")
PARTS = 4  # of all feeds: more processes than that collect no faster
SHARES = 32  # passes of delivery at a time, at most: more processes than that send no faster


LISTEN = Job("listen", "mail", 80)
COLLECT = Job("collect", "collect", 60)
NEWSLETTER = Job("newsletter", "compose", 50)
WEBHOOKS = Job("webhooks", "mail", 40)
ALERTS = Job("alerts", "upkeep", 20)
UPKEEP = Job("upkeep", "upkeep", 10)
JOBS = (NOTICES, SIGNUPS, LISTEN, COLLECT, NEWSLETTER, WEBHOOKS, DELIVER, ALERTS, UPKEEP)


def wanted(database: Database, config: Config, *, now: datetime) -> list[Job]:
    """The jobs that there is work for at this moment; there may turn out to be none, and never the other way round."""
    with database.read() as session:
        asked = [
            (NOTICES, letters.any_due(session, now=now, notices=True)),
            (SIGNUPS, idle.signups(session)),
            (LISTEN, bool(config.mail.source) or idle.old_mails(session, before=now - _kept(config))),
            (WEBHOOKS, idle.webhooks(session)),
            (ALERTS, bool(config.alerts.channels) or config.alerts.heartbeat is not None),
            (UPKEEP, True),
        ]
        # The first share also opens what was held, and holds what is late: of that no letter tells.
        sending = shares(config) if letters.any_due(session, now=now, notices=False) else 1
        pieces = [feed_claims.Part(number, PARTS) for number in range(PARTS)]
        due = [feed_claims.count_due(session, now=now, asked_before=now, part=part) for part in pieces]
        due[0] += idle.feeds_by_mail(session)
        asking = [part.number for part, feeds in zip(pieces, due, strict=True) if feeds]
        rows = newsletters.by_name(session)
        busy = [
            row.id
            for name in config.turn
            if (row := rows.get(name)) is not None and _busy(session, config, row, now=now)
        ]
    found = [job for job, there_is in asked if there_is]
    found += [replace(COLLECT, numbers={"part": number}) for number in asking]
    found += [replace(NEWSLETTER, numbers={"newsletter": number}) for number in busy if number is not None]
    found += [share_of_relays(number) for number in range(sending)]
    return sorted(found, key=lambda job: -job.priority)


def share_of_relays(number: int) -> Job:
    """To send by one of the shares, counted from 0."""
    return replace(DELIVER, numbers={"share": number})


def shares(config: Config) -> int:
    """How many passes may be at work at a time: each needs a connection of every relay.

    It depends on the settings alone, so that all workers count alike. What each may have of a relay the rows say
    (`deliver.commons`).
    """
    smtps = [config.smtp, *(config.imprint(name).smtp for name in config.turn if name not in config.broken)]
    most = [relay.connections for smtp in smtps for relay in smtp.servers]
    return max(1, min(SHARES, *most)) if most else 1


def may_compose(session: Session, config: Config, row: Newsletter, *, now: datetime) -> bool:
    """Is an edition due? Without a schedule each run composes, and workers look each minute: then one an hour."""
    settings = config.newsletters[row.name]
    if settings.slots:
        return not edition.not_now(session, row, settings, now=now)
    last = recipients.last_composed(session, row.id or 0)
    if last is None or last < now.replace(minute=0, second=0, microsecond=0):
        return True
    return editions.laying_out(session, row.id or 0) is not None


def _busy(session: Session, config: Config, row: Newsletter, *, now: datetime) -> bool:
    return any(idle.waits(session, row.name)) or may_compose(session, config, row, now=now)


def _kept(config: Config) -> timedelta:
    return timedelta(days=config.mail.keep_days)
