"""Entries that were pruned, by marks of them: should they come again, they are known and not told again.

No single mark can be believed of every feed (see `digest.identity`), so there are several, and who asks says which of
them tell in this feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.store.database import batched, insert_into
from digest.store.keep_tables import PrunedMark

OF_FEEDS = 0  # in the place of a newsletter: what all have decided about


def by_key(feed: str, key: str) -> int:
    """Of an entry's name within its feed. `feed` is from `feed_name`."""
    return _mark("key", feed, key)


def by_key_and_title(feed: str, key: str, title: str) -> int:
    return _mark("key and title", feed, key, title)


def by_title_and_date(feed: str, title: str, published_at: datetime) -> int:
    return _mark("title and date", feed, title, published_at.isoformat())


def by_link(link: str) -> int:
    """Of a normalised link, whoever has it."""
    return _mark("link", link)


def feed_name(feed_id: int, added_at: datetime) -> str:
    """A feed as marks know it: its number alone is given to another once it is gone."""
    return f"{feed_id} {added_at.isoformat()}"


def _mark(*parts: str) -> int:
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # as large as both databases keep it


def note(session: Session, newsletter_id: int, marks: Iterable[int]) -> None:
    """Remember marks of entries."""
    insert = insert_into(session, PrunedMark).on_conflict_do_nothing()
    rows = [{"newsletter_id": newsletter_id, "mark": mark} for mark in sorted(set(marks))]
    if rows:
        session.connection().execute(insert, rows)


def any_there(session: Session) -> bool:
    return session.execute(sa.select(col(PrunedMark.mark)).limit(1)).first() is not None


def known(session: Session, newsletter_id: int, marks: Sequence[int]) -> frozenset[int]:
    """Those of these marks that are remembered, of a newsletter or OF_FEEDS."""
    found: set[int] = set()
    for some in batched(sorted(set(marks))):
        query = sa.select(col(PrunedMark.mark)).where(col(PrunedMark.newsletter_id) == newsletter_id)
        found |= set(session.scalars(query.where(col(PrunedMark.mark).in_(some))))
    return frozenset(found)
