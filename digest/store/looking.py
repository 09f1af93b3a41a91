"""A look at the database as a whole: is it sound, how large, how fast does it grow, and what is stuck in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, EditionState, Feed, Newsletter, OutboxRow, OutboxState
from digest.store import tallies
from digest.store.database import Database, shared_now
from digest.store.run_tables import RunDay
from digest.store.story_tables import Entry

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Size:
    """In bytes. `free` lies unused within; `log` is SQLite's WAL; `growth` is of a day, by the last week."""

    all: int
    free: int = 0
    log: int = 0
    growth: float = 0.0


def damage(session: Session) -> str:
    """What SQLite's quick check says is wrong, or "". PostgreSQL has no such question."""
    if session.get_bind().dialect.name != "sqlite":
        return ""
    said = [str(row[0]) for row in session.connection().exec_driver_sql("PRAGMA quick_check(3)")]
    return "" if said == ["ok"] else "; ".join(said)[:300]


def size(database: Database, session: Session, *, now: datetime) -> Size:
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        page, pages, unused = (
            int(connection.exec_driver_sql(f"PRAGMA {what}").scalar() or 0)
            for what in ("page_size", "page_count", "freelist_count")
        )
        log = Path(f"{database.engine.url.database}-wal")
        whole, free = page * pages, page * unused
        return Size(whole, free, log.stat().st_size if log.exists() else 0, _growth(session, whole - free, now=now))
    whole = int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar() or 0)
    dead, live = connection.execute(
        sa.text("SELECT coalesce(sum(n_dead_tup), 0), coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables")
    ).one()
    return Size(whole, int(whole * dead / max(1, dead + live)), 0, _growth(session, whole, now=now))


def _growth(session: Session, used: int, *, now: datetime) -> float:
    """By what part of entries and letters, which are most of it, came within a week."""
    some = session.execute(sa.select(sa.func.coalesce(sa.func.sum(col(Feed.entry_count)), 0))).scalar_one()
    of_feeds = col(Entry.feed_id).in_(sa.select(col(Feed.id)))  # by the index that begins with them
    lately = sa.select(sa.func.count()).select_from(Entry).where(of_feeds, col(Entry.seen_at) >= now - WEEK)
    new = session.execute(lately).scalar_one()
    more = sum(tallies.by_state(session).values())
    sent = tallies.owed_since(session, now - WEEK)
    return used * (new + sent) / (some + more) / WEEK.days if some + more else 0.0


def last_sign(session: Session, *, now: datetime) -> datetime | None:
    """The last moment at which a run is known to have done something; of the day alone, its beginning."""
    day = session.exec(select(sa.func.max(RunDay.day)).where(col(RunDay.day) <= now)).one()
    asked = session.exec(select(sa.func.max(Feed.checked_at)).where(col(Feed.checked_at) <= now)).one()
    made = session.exec(select(sa.func.max(Edition.composed_at)).where(col(Edition.composed_at) <= now)).one()
    return max(filter(None, (day, asked, made)), default=None)


def at_work(session: Session, *, now: datetime) -> int:
    """Letters that a sender has in hand, and feeds that somebody asks at this moment."""
    shared = shared_now(session, now)
    letters = select(sa.func.count()).where(
        col(OutboxRow.settled_at).is_(None),
        col(OutboxRow.state).in_((OutboxState.CLAIMED, OutboxState.SENDING)),
        col(OutboxRow.due_at) > shared,
    )
    asking = select(sa.func.count()).where(col(Feed.claimed_at) > shared - timedelta(minutes=10))
    return session.exec(letters).one() + session.exec(asking).one()


@dataclass(frozen=True)
class Stuck:
    """Letters of an edition that go nowhere by themselves: `held` and `doubtful` of them, `overdue` for a day."""

    newsletter: str
    edition: int
    held: int
    doubtful: int
    overdue: int
    stopped: bool  # the edition is held or paused


def stuck(session: Session, *, now: datetime, after: timedelta = timedelta(days=1)) -> list[Stuck]:
    """By edition. What waits for its editor until a moment that is to come is not stuck."""
    box = OutboxRow
    columns = [col(c) for c in (box.edition_id, box.state, box.due_at, box.settled_at, box.in_doubt)]
    held = sa.select(*columns).where(sa.text("outbox.state = 'held'"))
    letter = sa.select(*columns).where(col(box.settled_at).is_(None)).union_all(held).subquery().c
    owed = letter.settled_at.is_(None)
    late = sa.and_(owed, letter.due_at < now - after)
    count = sa.func.count().filter
    stopped = sa.and_(
        col(Edition.state).in_((EditionState.HELD, EditionState.PAUSED)),
        sa.or_(col(Edition.open_at).is_(None), col(Edition.open_at) < now),
        ~col(Edition.laying_out),
    )
    query = (
        sa.select(
            col(Newsletter.name),
            col(Edition.number),
            count(letter.state == OutboxState.HELD),
            count(sa.and_(letter.in_doubt, owed)),
            count(late),
            count(sa.and_(stopped, owed)),
        )
        .join(Edition, col(Edition.id) == letter.edition_id)
        .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
        .group_by(col(Newsletter.name), col(Edition.number))
        .order_by(col(Newsletter.name), col(Edition.number))
    )
    rows = [
        Stuck(name, number, held, doubtful, overdue, bool(waiting))
        for name, number, held, doubtful, overdue, waiting in session.execute(query)
    ]
    return [row for row in rows if row.held or row.doubtful or row.overdue or row.stopped]


def feeds_of_nobody(session: Session, known: Collection[str]) -> dict[str, list[str]]:
    """Addresses of feeds that no newsletter of the settings reads, by one that has read them."""
    from digest.models import NewsletterFeed

    read = (
        sa.select(col(NewsletterFeed.feed_id))
        .join(Newsletter, col(Newsletter.id) == NewsletterFeed.newsletter_id)
        .where(col(Newsletter.name).in_(list(known)))
    )
    query = (
        sa.select(sa.func.min(col(Newsletter.name)), col(Feed.url))
        .join(NewsletterFeed, col(NewsletterFeed.newsletter_id) == Newsletter.id)
        .join(Feed, col(Feed.id) == NewsletterFeed.feed_id)
        .where(col(Feed.id).not_in(read))
        .group_by(col(Feed.url))
        .order_by(col(Feed.url))
    )
    found: dict[str, list[str]] = {}
    for name, url in session.execute(query):
        found.setdefault(name, []).append(url)
    return found


def topics_of_feeds(session: Session) -> dict[str, tuple[list[tuple[str, str]], set[str]]]:
    """By newsletter: (title, address) of each feed that it reads, and the topics that feeds are all about."""
    from digest.models import NewsletterFeed

    query = (
        sa.select(col(Newsletter.name), col(Feed.title), col(Feed.url), col(NewsletterFeed.topic))
        .join(NewsletterFeed, col(NewsletterFeed.newsletter_id) == Newsletter.id)
        .join(Feed, col(Feed.id) == NewsletterFeed.feed_id)
    )
    found: dict[str, tuple[list[tuple[str, str]], set[str]]] = {}
    for name, title, url, topic in session.execute(query):
        places, topics = found.setdefault(name, ([], set()))
        places.append((title, url))
        topics.add(topic)
    return found
