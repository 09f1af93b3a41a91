"""Alerts: what is stored that an operator may have to hear of, how it was told, and what is still to be said.

What is to be said is a row for each channel, written with the judgement it follows from; it is taken under a lease,
said, and settled. Who dies between saying and settling says it again, under the same name.
A mail is a notice of the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, EditionState, Feed, FeedState, Newsletter, Notice, OutboxRow, OutboxState, UtcTime
from digest.origin import shown
from digest.store import witness
from digest.store.alert_tables import AlertRow, AlertTelling
from digest.store.database import insert_into, shared_now
from digest.store.mail_tables import MailReport
from digest.store.refusal_tables import RefusalCount
from digest.values import Alert, AlertWord, Watched, WatchedEdition, WatchedFeed

LEASE = timedelta(minutes=2)  # longer than a channel may take
LIFETIME = timedelta(days=3)  # after which something is not said any more
_KEPT = timedelta(days=30)
_WEEK = timedelta(days=7)
_EDITIONS = timedelta(days=30)  # how long one that waits is told of
_LOCK = 0x6469676573740007  # "digest", for pg_advisory_xact_lock


# ---------------------------------------------------------------- what is watched


def watched(session: Session, *, now: datetime) -> Watched:
    """What is stored that somebody may have to hear of."""
    failing = select(Feed).where(Feed.failures > 0, Feed.state == FeedState.ACTIVE).order_by(col(Feed.id))
    silent = select(Feed).where(Feed.told == "quiet", Feed.state == FeedState.ACTIVE).order_by(col(Feed.id))
    doubtful = sa.select(sa.func.count()).select_from(OutboxRow).where(sa.text("outbox.state = 'held'"))
    overdue, oldest = session.execute(_overdue(now)).one()
    sent, refused, complained = _shares(session, now - _WEEK)
    return Watched(
        failing=tuple(_feed(feed) for feed in session.exec(failing)),
        silent=tuple(WatchedFeed(_name(feed), feed.entry_at) for feed in session.exec(silent)),
        editions=tuple(
            WatchedEdition(name, edition.number, EditionState(edition.state).value, edition.state_reason, edition.at)
            for name, edition in _waiting(session, now)
        ),
        doubtful=int(session.execute(doubtful).scalar() or 0),
        overdue=overdue,
        oldest=oldest,
        sent=sent,
        bounced=refused,
        complained=complained,
    )


def _feed(feed: Feed) -> WatchedFeed:
    return WatchedFeed(_name(feed), feed.failing_since, feed.failures, feed.error)


def _name(feed: Feed) -> str:
    return feed.title or shown(feed.url)


def _waiting(session: Session, now: datetime) -> list[tuple[str, Any]]:
    states = (EditionState.HELD, EditionState.PAUSED)
    query: Any = (
        sa.select(
            col(Newsletter.name),
            col(Edition.number),
            col(Edition.state),
            col(Edition.state_reason),
            col(Edition.composed_at).label("at"),
        )
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        # One with `open_at` ahead opens by itself; its editor was asked.
        .where(col(Edition.state).in_(states), ~col(Edition.laying_out), col(Edition.composed_at) >= now - _EDITIONS)
        .where(sa.or_(col(Edition.state) == EditionState.PAUSED, col(Edition.open_at).is_(None)))
        .order_by(col(Edition.id))
    )
    return [(row[0], row) for row in session.execute(query)]


def _overdue(now: datetime) -> Any:
    """Letters that are due, were never tried, and that nothing but a sender keeps from going out."""
    return (
        sa.select(sa.func.count(), sa.type_coerce(sa.func.min(col(OutboxRow.due_at)), UtcTime()))
        .select_from(OutboxRow)
        .outerjoin(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .outerjoin(Notice, col(Notice.id) == col(OutboxRow.notice_id))
        .where(
            col(OutboxRow.settled_at).is_(None),
            col(OutboxRow.tried_at).is_(None),
            col(OutboxRow.state) == OutboxState.OWED,
            col(OutboxRow.due_at) <= now,
            # That an alert itself is late would be one more, and so on.
            sa.or_(col(Notice.key).is_(None), col(Notice.key).not_like("alert:%")),
            sa.or_(col(OutboxRow.edition_id).is_(None), col(Edition.state) == EditionState.OPEN),
        )
    )


def _shares(session: Session, since: datetime) -> tuple[int, int, int]:
    """Letters of the editions since then, those of them refused or come back, and readers who complained."""
    counted = (
        sa.select(sa.func.sum(col(RefusalCount.sent)), sa.func.sum(col(RefusalCount.refused)))
        .join(Edition, col(Edition.id) == col(RefusalCount.edition_id))
        .where(col(Edition.composed_at) >= since)
    )
    taken, refused = (int(number or 0) for number in session.execute(counted).one())

    def reports(*which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count(sa.distinct(col(MailReport.outbox_id)))).where(
            col(MailReport.read_at) >= since, col(MailReport.undone_at).is_(None), col(MailReport.proof) != "", *which
        )
        return int(session.execute(query).scalar() or 0)

    back = reports(col(MailReport.kind) == "hard")
    return taken + refused, refused + back, reports(col(MailReport.act) == "complaint")


# ---------------------------------------------------------------- how it was told


def lock(session: Session) -> None:
    """One judgement at a time, until the transaction ends. On SQLite the write transaction is the lock already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def standing(session: Session) -> dict[str, Alert]:
    """All alerts as they stand, by key."""
    found = {}
    for row in session.exec(select(AlertRow).order_by(col(AlertRow.since), col(AlertRow.key))):
        values = row.model_dump()
        found[row.key] = Alert(**values | {"names": tuple(row.names)})
    return found


def keep(session: Session, alerts: Mapping[str, Alert]) -> None:
    """Write down how they stand now; what is not among them is forgotten."""
    before = standing(session)
    changed = {key: _told(alert) for key, alert in alerts.items() if before.get(key) != alert}
    if gone := dict.fromkeys(before.keys() - alerts.keys()) | changed:
        witness.note_alerts(session, rows=gone)
    session.execute(sa.delete(AlertRow).where(col(AlertRow.key).not_in(list(alerts))))
    for alert in alerts.values():
        session.merge(AlertRow(**asdict(alert) | {"names": list(alert.names)}))
    session.flush()


_MOMENTS = ("since", "told_at", "last_at", "gone_at", "well_at")


def _told(alert: Alert) -> dict[str, Any]:
    """As the witness is told of it."""
    said = asdict(alert) | {"names": list(alert.names)}
    return said | {name: said[name].isoformat() if said[name] else None for name in _MOMENTS}


@dataclass
class Heard:
    """What a witness knows of alerts since a copy was made: rows by key, and tellings by (name, channel)."""

    rows: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    owed: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    said: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, record: Mapping[str, Any]) -> None:
        self.rows |= record.get("rows", {})
        self.owed |= {(word["name"], channel): word for channel, word in record.get("owed", ())}
        self.said |= {(name, channel) for name, channel in record.get("said", ())}


def work_in(session: Session, heard: Heard, *, now: datetime) -> None:
    """Let a database that was put back know what was told since, so that none of it is told again, and none missed."""
    for key, row in heard.rows.items():
        session.execute(sa.delete(AlertRow).where(col(AlertRow.key) == key))
        if row is not None:
            moments = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in _MOMENTS}
            session.add(AlertRow(**{**row, **moments}))
    for name, channel in heard.said:
        mine = (col(AlertTelling.name) == name, col(AlertTelling.channel) == channel)
        session.execute(sa.update(AlertTelling).where(*mine).values(settled_at=now, error=""))
    for (name, channel), word in heard.owed.items():
        settled = now if (name, channel) in heard.said else None
        values = {"name": name, "channel": channel, "word": word, "made_at": now, "tries": 0, "error": ""}
        insert = insert_into(session, AlertTelling).values(values | {"settled_at": settled})
        session.execute(insert.on_conflict_do_nothing())
    session.flush()


# ---------------------------------------------------------------- what is still to be said


@dataclass(frozen=True)
class Taken:
    """Something to be said by a channel now."""

    channel: str
    word: AlertWord


def owe(session: Session, word: AlertWord, channels: Sequence[str], *, now: datetime) -> None:
    """Let channels say a word, each once."""
    told = _as_said(word)
    note_owed(session, word, channels)
    for channel in channels:
        values = {"name": word.name, "channel": channel, "word": told, "made_at": now, "tries": 0, "error": ""}
        session.execute(insert_into(session, AlertTelling).values(values).on_conflict_do_nothing())


def note_owed(session: Session, word: AlertWord, channels: Sequence[str]) -> None:
    """That channels are to say a word; a mail is one of them."""
    if channels:
        witness.note_alerts(session, owed=[[channel, _as_said(word)] for channel in channels])


def _as_said(word: AlertWord) -> dict[str, Any]:
    return {**asdict(word), "since": word.since.isoformat(), "at": word.at.isoformat()}


def any_owed(session: Session) -> bool:
    return session.exec(select(AlertTelling.name).where(col(AlertTelling.settled_at).is_(None))).first() is not None


def take(session: Session, channels: Sequence[str], *, now: datetime, most: int = 100) -> list[Taken]:
    """What these channels are to say now, ours alone for `LEASE`; the oldest first."""
    now = shared_now(session, now)
    mine = sa.and_(
        col(AlertTelling.settled_at).is_(None),
        col(AlertTelling.channel).in_(list(channels)),
        # A lease of a clock that was wrong holds for nobody.
        sa.or_(
            col(AlertTelling.taken_until).is_(None),
            col(AlertTelling.taken_until) <= now,
            col(AlertTelling.taken_until) > now + LEASE,
        ),
    )
    rows = session.exec(
        select(AlertTelling)
        .where(mine)
        .order_by(col(AlertTelling.made_at), col(AlertTelling.name))
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.taken_until, row.tries = now + LEASE, row.tries + 1
    session.flush()
    return [Taken(row.channel, _word(row.word)) for row in rows]


def _word(told: Mapping[str, Any]) -> AlertWord:
    moments = {key: datetime.fromisoformat(told[key]) for key in ("since", "at")}
    return AlertWord(**{**told, **moments})


def settle(session: Session, taken: Taken, *, error: str, now: datetime) -> None:
    """It was said, or why not: then it is said by the next run, unless that is too late by now."""
    row = session.get(AlertTelling, (taken.word.name, taken.channel))
    if row is None:
        return
    row.error, row.taken_until = error, None
    if not error or taken.word.state == "test" or now - row.made_at > LIFETIME:
        row.settled_at = now
        witness.note_alerts(session, said=[[row.name, row.channel]])
    session.flush()


def prune(session: Session, *, now: datetime) -> None:
    """Forget what was said long ago, and what a channel that is no more was to say."""
    old = sa.or_(col(AlertTelling.settled_at) < now - _KEPT, col(AlertTelling.made_at) < now - _KEPT)
    session.execute(sa.delete(AlertTelling).where(old), execution_options={"synchronize_session": False})


@dataclass(frozen=True)
class Failing:
    """A channel that has something to say and cannot, since when and why; how much it could not say."""

    channel: str
    since: datetime
    error: str
    waiting: int


def failing(session: Session, *, now: datetime) -> list[Failing]:
    """Channels whose last word is not said, or was given up lately."""
    wrong = select(AlertTelling).where(
        col(AlertTelling.error) != "", col(AlertTelling.made_at) >= now - LIFETIME - _WEEK
    )
    found: dict[str, Failing] = {}
    for row in session.exec(wrong.order_by(col(AlertTelling.made_at))):
        well = select(AlertTelling.name).where(
            AlertTelling.channel == row.channel, AlertTelling.error == "", col(AlertTelling.settled_at) > row.made_at
        )
        if row.settled_at is not None and session.exec(well).first():
            continue
        first = found.get(row.channel)
        found[row.channel] = Failing(
            row.channel, first.since if first else row.made_at, row.error, (first.waiting if first else 0) + 1
        )
    return list(found.values())
