"""What the pages of entries say, where feeds give stubs: whose turn it is, what was read, what robots.txt allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Feed, NewsletterFeed
from digest.store.database import batched, insert_into, shared_now
from digest.store.feed_tables import FullText, Robots
from digest.store.story_tables import Entry, Story

TRIES = 3  # the first and two more
ROBOTS_KEPT = timedelta(days=1)  # RFC 9309 §2.4: no longer
_NO_SYNC = {"synchronize_session": False}


def wished_for(session: Session, newsletter_id: int) -> bool:
    """Whether a newsletter reads a feed whose stubs are to be followed."""
    query = select(Feed.id).join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
    query = query.where(NewsletterFeed.newsletter_id == newsletter_id, col(Feed.full_text))
    return session.exec(query.limit(1)).first() is not None


class Candidate(NamedTuple):
    """An entry that stands for a story, in a feed whose stubs are to be followed, and how its feed is asked."""

    entry_id: int
    title: str
    url: str
    original_url: str
    gist: bytes | None
    feed_url: str
    headers: Mapping[str, str]
    proxy: str
    ca_file: str
    identity: str
    evidence: Mapping[str, Any]  # see `digest.identity`


def candidates(session: Session, story_ids: Iterable[int], *, now: datetime) -> list[Candidate]:
    """The entries of these stories, in their order, whose page may be read now: not read yet, nor too often tried."""
    shared = shared_now(session, now)
    found: list[Candidate] = []
    for some in batched(story_ids):
        rows = session.execute(
            sa.select(
                col(Story.id),
                *(col(getattr(Entry, name)) for name in ("id", "title", "url", "original_url", "gist")),
                *(col(getattr(Feed, name)) for name in ("url", "headers", "proxy", "ca_file", "identity", "evidence")),
            )
            .join(Entry, col(Entry.id) == col(Story.entry_id))
            .join(Feed, col(Feed.id) == col(Entry.feed_id))
            .outerjoin(FullText, col(FullText.entry_id) == col(Entry.id))
            .where(
                col(Story.id).in_(some),
                col(Feed.full_text),
                col(Entry.url) != "",
                col(Entry.withdrawn_at).is_(None),
                sa.or_(col(FullText.entry_id).is_(None), _open(shared)),
            )
        )
        by_story = {row[0]: Candidate(*row[1:]) for row in rows}
        found += [by_story[id_] for id_ in some if id_ in by_story]
    return found


def _open(shared: datetime) -> Any:
    """Of a page that was asked for: it may be asked for again."""
    return sa.and_(col(FullText.gist).is_(None), col(FullText.tries) < TRIES, col(FullText.next_at) <= shared)


def claim(session: Session, entry_id: int, *, lease: timedelta, now: datetime) -> bool:
    """Take the page of an entry for ourselves, which counts as a try; False where another has it, or it is read.

    Who dies while asking leaves it to others when the lease is over, by `shared_now`.
    """
    shared = shared_now(session, now)
    row = {"entry_id": entry_id, "tries": 1, "next_at": shared + lease, "asked_at": now}
    statement = insert_into(session, FullText).values(**row, why="", text="", link="")
    again = {"tries": col(FullText.tries) + 1, "next_at": shared + lease, "asked_at": now}
    statement = statement.on_conflict_do_update(index_elements=["entry_id"], set_=again, where=_open(shared))
    return session.connection().execute(statement.returning(col(FullText.entry_id))).first() is not None


def release(session: Session, entry_id: int, *, next_at: datetime) -> None:
    """Give a claimed page back: nobody asked for it."""
    free = {"tries": col(FullText.tries) - 1, "next_at": next_at}
    session.execute(
        sa.update(FullText).where(col(FullText.entry_id) == entry_id).values(free), execution_options=_NO_SYNC
    )


def refuse(session: Session, entry_id: int, why: str, *, next_at: datetime | None) -> None:
    """A page was not had, or is not taken; it is tried again at `next_at`, or never."""
    values: dict[str, Any] = {"why": why[:300]}
    values |= {"tries": TRIES} if next_at is None else {"next_at": next_at}
    statement = sa.update(FullText).where(col(FullText.entry_id) == entry_id, col(FullText.gist).is_(None))
    session.execute(statement.values(values), execution_options=_NO_SYNC)


class Read(Protocol):
    """As `article.Article`."""

    @property
    def text(self) -> str: ...
    @property
    def gist(self) -> bytes: ...
    @property
    def image_url(self) -> str: ...


def keep(session: Session, entry_id: int, found: Read, *, link: str) -> None:
    """A page was read and taken."""
    statement = sa.update(FullText).where(col(FullText.entry_id) == entry_id)
    values = {"text": found.text, "gist": found.gist, "link": link, "image_url": found.image_url, "why": ""}
    session.execute(statement.values(values), execution_options=_NO_SYNC)


class Taken(NamedTuple):
    """What was taken of an entry's page: `parse.gist` of it, packed, and where the page says it is."""

    entry_id: int
    gist: bytes
    link: str


def taken(session: Session, entry_ids: Iterable[int]) -> dict[int, Taken]:
    """What pages say in place of these entries, of those feeds whose stubs are followed."""
    found: dict[int, Taken] = {}
    for some in batched(entry_ids):
        rows = session.execute(
            sa.select(col(FullText.entry_id), col(FullText.gist), col(FullText.link))
            .join(Entry, col(Entry.id) == col(FullText.entry_id))
            .join(Feed, col(Feed.id) == col(Entry.feed_id))
            .where(col(FullText.entry_id).in_(some), col(FullText.gist).is_not(None), col(Feed.full_text))
        )
        found |= {row[0]: Taken(*row) for row in rows}
    return found


def lately(session: Session, feed_id: int, *, limit: int) -> list[bytes]:
    """What was taken last of a feed's pages, packed: what they repeat is the site's."""
    rows = session.execute(
        sa.select(col(FullText.gist))
        .join(Entry, col(Entry.id) == col(FullText.entry_id))
        .where(col(Entry.feed_id) == feed_id, col(FullText.gist).is_not(None))
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    return [row[0] for row in rows]


def text(session: Session, entry_id: int) -> str:
    """The text that was taken of an entry's page."""
    query = sa.select(col(FullText.text)).where(col(FullText.entry_id) == entry_id)
    return str(session.execute(query).scalar_one())


def standing(session: Session, newsletter_id: int, *, after: int) -> list[tuple[Story, int]]:
    """The stories that no edition had to choose from, whose entry's page was taken; each with the id of its feed."""
    rows = session.execute(
        sa.select(Story, col(Entry.feed_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .join(FullText, col(FullText.entry_id) == col(Entry.id))
        .where(
            col(Story.newsletter_id) == newsletter_id,
            col(Story.seq) > after,
            col(Feed.full_text),
            col(FullText.gist).is_not(None),
        )
        .order_by(col(Story.seq))
    )
    return [(row[0], row[1]) for row in rows]


class Fate(NamedTuple):
    """What became of an entry's page. `why` says why it was not taken, "" where it was (`taken`)."""

    title: str
    asked_at: datetime
    taken: bool
    why: str
    tries: int


def fates(session: Session, *, entry_id: int | None = None, feed_id: int | None = None, limit: int = 5) -> list[Fate]:
    """What became of the pages of an entry, or of a feed's latest."""
    query = sa.select(
        col(Entry.title),
        col(FullText.asked_at),
        col(FullText.gist).is_not(None),
        col(FullText.why),
        col(FullText.tries),
    ).join(Entry, col(Entry.id) == col(FullText.entry_id))
    query = (
        query.where(col(Entry.id) == entry_id) if entry_id is not None else query.where(col(Entry.feed_id) == feed_id)
    )
    return [Fate(*row) for row in session.execute(query.order_by(col(Entry.id).desc()).limit(limit))]


def counts(session: Session, feed_id: int) -> tuple[int, int]:
    """How many pages of a feed were taken, and how many were not."""
    rows = session.execute(
        sa.select(col(FullText.gist).is_not(None), sa.func.count())
        .join(Entry, col(Entry.id) == col(FullText.entry_id))
        .where(col(Entry.feed_id) == feed_id)
        .group_by(col(FullText.gist).is_not(None))
    )
    found = {bool(row[0]): row[1] for row in rows}
    return found.get(True, 0), found.get(False, 0)


# ---------------------------------------------------------------- robots.txt


def robots(session: Session, origins: Sequence[str], *, now: datetime) -> dict[str, str]:
    """The rules of these origins that were read within a day."""
    query = sa.select(col(Robots.origin), col(Robots.rules)).where(col(Robots.read_at) > now - ROBOTS_KEPT)
    return {row[0]: row[1] for row in session.execute(query.where(col(Robots.origin).in_(list(origins))))}


def keep_robots(session: Session, origin: str, rules: str, *, now: datetime) -> None:
    """Remember the rules of an origin, and forget those that nobody asks by any more."""
    session.execute(sa.delete(Robots).where(col(Robots.read_at) <= now - ROBOTS_KEPT), execution_options=_NO_SYNC)
    statement = insert_into(session, Robots).values(origin=origin, rules=rules, read_at=now)
    changed = {"rules": statement.excluded.rules, "read_at": statement.excluded.read_at}
    session.connection().execute(statement.on_conflict_do_update(index_elements=["origin"], set_=changed))
