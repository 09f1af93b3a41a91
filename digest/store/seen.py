"""What another tool had sent before a newsletter took its feeds over: entries are held by it, once they come."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import NewsletterFeed
from digest.store.feed_tables import FeedSeen
from digest.store.story_tables import Admission, Entry


@dataclass(frozen=True)
class Sent:
    """What a tool sent of one feed, as `FeedSeen` keeps it."""

    tool: str
    marks: frozenset[str] = frozenset()
    until: datetime | None = None
    by_date: bool = False

    def has(self, names: Iterable[str], *, own_id: bool, published_at: datetime | None, first: bool) -> str:
        """Why an entry counts as sent, in words; "" where it is new.

        `names` are all that it goes by (see `marks_of`), `own_id` tells whether its feed gives it an id; `first` that
        the feed was never collected here: what has no date then was there before.
        """
        if not self.marks.isdisjoint(mark(name) for name in names):
            return f"{self.tool} had it before: marked seen"
        if self.until is None or (own_id and not self.by_date):
            return ""
        if published_at is None:
            return f"it has no date and {self.tool} had the feed before: marked seen" if first else ""
        if published_at <= self.until:
            return f"it is from before {self.until:%Y-%m-%d %H:%M}, when {self.tool} had the feed: marked seen"
        return ""


def mark(name: str) -> str:
    """What is kept of an id or a link: 64 bits tell a feed's entries apart."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def names_of(guid: str, bases: Iterable[str]) -> list[str]:
    """An id as other programs may have written it: as it is, or resolved like a link against the feed or its site."""
    found = [guid]
    if guid and "://" not in guid:
        for base in bases:
            try:
                found.append(urljoin(base, guid))
            except ValueError:
                continue
    return found


def of(session: Session, newsletter_id: int) -> dict[int, Sent]:
    """What was sent before, by feed."""
    rows = session.exec(select(FeedSeen).where(FeedSeen.newsletter_id == newsletter_id))
    return {row.feed_id: Sent(row.tool, frozenset(row.marks.split()), row.until, row.by_date) for row in rows}


def guids(session: Session, ids: Collection[int]) -> Mapping[int, str]:
    """The ids that feeds gave to these entries: "" for none."""
    found: dict[int, str] = {}
    numbers = sorted(ids)
    for start in range(0, len(numbers), 500):
        query = sa.select(col(Entry.id), col(Entry.guid)).where(col(Entry.id).in_(numbers[start : start + 500]))
        found |= {int(row[0] or 0): row[1] or "" for row in session.connection().execute(query)}
    return found


def keep(session: Session, newsletter_id: int, feed_id: int, sent: Sent) -> None:
    """Remember what was sent of a feed, besides what is remembered already."""
    row = session.get(FeedSeen, (newsletter_id, feed_id))
    if row is None:
        row = FeedSeen(newsletter_id=newsletter_id, feed_id=feed_id, tool=sent.tool)
    row.tool = sent.tool
    row.marks = " ".join(sorted(sent.marks | set((row.marks or "").split())))
    row.until = max(filter(None, (row.until, sent.until)), default=None)
    row.by_date = row.by_date or sent.by_date
    session.add(row)


def unread_feeds(session: Session, newsletter_id: int) -> list[int]:
    """The feeds of a newsletter of whose entries it has decided about none."""
    decided = (
        select(Admission.entry_id)
        .join(Entry, col(Entry.id) == col(Admission.entry_id))
        .where(Admission.newsletter_id == newsletter_id, Entry.feed_id == NewsletterFeed.feed_id)
    )
    query = select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter_id, ~decided.exists())
    return list(session.exec(query.order_by(col(NewsletterFeed.feed_id))))


def put_back(session: Session, newsletter_id: int, feed_id: int, former: Mapping[str, Any] | None) -> None:
    """What was kept of a feed, as it was before: see `arrivals.keep_seen`. None: nothing was."""
    ours = (col(FeedSeen.newsletter_id) == newsletter_id, col(FeedSeen.feed_id) == feed_id)
    session.execute(sa.delete(FeedSeen).where(*ours))
    if former is not None:
        until = datetime.fromisoformat(former["until"]) if former["until"] else None
        session.add(FeedSeen(newsletter_id=newsletter_id, feed_id=feed_id, **{**former, "until": until}))
