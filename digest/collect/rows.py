"""What came of asking, as rows: the columns of a feed that it changes, and the feed's entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from digest.collect import rhythm
from digest.models import FeedState
from digest.parse.text import plain
from digest.store.feed_claims import Due
from digest.values import Saved

if TYPE_CHECKING:
    from digest.parse import ParsedEntry, ParsedFeed

# What an outcome writes of its feed; address and secrets change elsewhere, and not behind an operator's back.
SETTLED = (
    "id",
    "title",
    "published_title",
    "site_url",
    "language",
    "answered_by",
    "moved_to",
    "etag",
    "last_modified",
    "body_hash",
    "ttl_seconds",
    "skip",
    "gap_seconds",
    "entry_at",
    "ok_at",
    "failing_since",
    "failures",
    "error",
    "trouble",
    "told",
)
_ASKED = ("id", "checked_at", "ok_at", "next_at")  # what changes of a feed that has nothing new
_OF_ITSELF = ("title", "published_title", "site_url", "language", "ttl_seconds", "skip", "gap_seconds", "trouble")
MAX_TROUBLE, MAX_NOTE = 8, 200  # notes that are kept of an answer, and characters of each
NOTHING = Saved()


def changing(row: dict[str, Any], feed: Due, *, read: bool) -> dict[str, Any]:
    """The columns that an outcome changes: what a feed says of itself only where it was read.

    Mostly a feed is as it was, and only asked once more. There are no more kinds than these, so that few statements
    write many feeds.
    """
    if read:
        return row
    same = all(row[name] == getattr(feed, name) for name in SETTLED if name not in _ASKED)
    if same and row["state"] == FeedState.ACTIVE:
        return {name: row[name] for name in _ASKED}
    return {name: row[name] for name in row if name not in _OF_ITSELF}


def save(session: Session, came: Sequence[tuple[Due, ParsedFeed, datetime]]) -> dict[int, Saved]:
    """Store what feeds have that is new, and let mutes follow their sites; what was done, by feed."""
    if not came:
        return {}
    from digest.store import feed_entries

    sites = {feed.id: (feed, parsed.site_url) for feed, parsed, _ in came if parsed.site_url not in ("", feed.site_url)}
    if sites:
        from digest.store import tastes

        tastes.follow_sources(session, {n: ((f.url, f.site_url), (f.url, site)) for n, (f, site) in sites.items()})
    # Oldest first, so that the order of ids is the order of the feed's own time.
    have = [
        feed_entries.Has(feed.id, [entry_row(one) for one in reversed(parsed.entries)], at, parsed.withdrawn)
        for feed, parsed, at in came
    ]
    return dict(zip((one.feed_id for one in have), feed_entries.save_all(session, have), strict=True))


def told_of_itself(feed: Due, parsed: ParsedFeed, at: datetime, *, new: bool) -> dict[str, Any]:
    """The columns of a feed that what it says of itself and its entries change."""
    moments = [min(e.published_at, at) for e in parsed.entries if e.published_at]
    gap = rhythm.usual_gap(moments)
    newest = [*moments, *([at] if new and not moments else []), *([feed.entry_at] if feed.entry_at else [])]
    return {
        # An operator's own name for a feed stays; one that was the publisher's follows it.
        "title": (parsed.title if feed.title in ("", feed.published_title) else "") or feed.title,
        "published_title": parsed.title or feed.published_title,
        "site_url": parsed.site_url or feed.site_url,
        "language": parsed.language or feed.language,
        "ttl_seconds": min(int(parsed.ttl.total_seconds()), 10**8) if parsed.ttl else 0,
        "skip": [*(f"h{h}" for h in sorted(parsed.skip_hours)), *(f"d{d}" for d in sorted(parsed.skip_days))],
        "gap_seconds": min(int(gap.total_seconds()), 10**9) if gap else 0,
        "entry_at": max(newest, default=None),
        "trouble": _bounded(parsed.trouble),
    }


def _bounded(trouble: Sequence[str]) -> list[str]:
    """What was wrong with an answer and read anyway, as it is kept with the feed."""
    notes = [plain(note, limit=MAX_NOTE) for note in trouble[:MAX_TROUBLE]]
    left = len(trouble) - len(notes)
    return [*notes, f"and {left} more of the kind"] if left else notes


def entry_row(entry: ParsedEntry) -> dict[str, Any]:
    """The columns of an entry, all but those the database side knows."""
    return vars(entry) | {
        "categories": list(entry.categories),
        "enclosures": [asdict(enclosure) for enclosure in entry.enclosures],
    }
