"""Which feeds there are, which newsletter reads them, and what people are shown of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.errors import NotFound
from digest.models import Feed, FeedState, Newsletter, NewsletterFeed
from digest.origin import open_part, same, shown, without_login
from digest.store import tastes, undecided
from digest.store.database import batched
from digest.store.feed_tables import FeedList
from digest.store.mail_tables import MailFeed, MailReport
from digest.store.story_tables import HELD, Admission, Entry, Story, VariantStory

_FORMER = 20  # addresses kept in a feed's history
_CHUNK = 500  # values in one IN (…): SQLite binds 32,766 at most


def find(session: Session, words: str) -> Feed:
    """The feed with this number or address, an address it had before included. Raises NotFound."""
    told = shown(words)
    try:
        words, _ = without_login(words)  # which is kept apart from the address
    except ValueError:
        pass
    if words.isascii() and words.isdigit() and len(words) < 18:
        found = session.get(Feed, int(words))
    else:
        found = session.exec(select(Feed).where(Feed.url == words)).first() or next(
            (feed for feed in session.exec(select(Feed)) if any(f["url"] == words for f in feed.former_urls)), None
        )
    if found is None:
        raise NotFound(f"there is no feed {told}", hint="`digest feed list` shows number and address of each")
    return found


def ids(session: Session, urls: Iterable[str]) -> dict[str, int]:
    """The numbers of those feeds that are stored already, by their address."""
    wanted = list(dict.fromkeys(urls))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(Feed.url, Feed.id).where(col(Feed.url).in_(wanted[start : start + _CHUNK]))
        found |= {url: number or 0 for url, number in session.exec(query)}
    return found


def by_url(session: Session, urls: Iterable[str]) -> dict[str, Feed]:
    """Those feeds that are stored already, by their address."""
    wanted = list(dict.fromkeys(urls))
    found: dict[str, Feed] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(Feed).where(col(Feed.url).in_(wanted[start : start + _CHUNK]))
        found |= {feed.url: feed for feed in session.exec(query)}
    return found


def add(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store many new feeds: mappings of `Feed` columns, all but `id`."""
    if rows:
        session.connection().execute(sa.insert(Feed), list(rows))


def add_readings(session: Session, newsletter_id: int, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Let a newsletter read many feeds that it did not: mappings of `feed_id`, `topic`, `folder` and `places`."""
    if rows:
        own = {"newsletter_id": newsletter_id, "added_at": now}
        session.connection().execute(sa.insert(NewsletterFeed), [{**row, **own} for row in rows])
        undecided.begins(session, newsletter_id, (row["feed_id"] for row in rows))


def ids_read(session: Session, newsletter_id: int) -> set[int]:
    """The ids of the feeds that a newsletter reads."""
    return set(session.exec(select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter_id)))


def read(
    session: Session,
    newsletter_id: int,
    feed_id: int,
    *,
    topic: str,
    folder: str,
    now: datetime,
    places: Sequence[Mapping[str, Any]] = (),
) -> bool:
    """Let a newsletter read a feed; True when it did not before. A topic or folder given now replaces the old one.

    `places` are where it stands in a subscription list, as `NewsletterFeed` keeps them.
    """
    link = session.get(NewsletterFeed, (newsletter_id, feed_id))
    if link is None:
        link = NewsletterFeed(newsletter_id=newsletter_id, feed_id=feed_id, added_at=now)
        link.topic, link.folder, link.places = topic, folder, list(map(dict, places))
        session.add(link)
        return True
    link.topic = topic or link.topic
    link.folder = folder or link.folder
    link.places = list(map(dict, places)) or link.places
    return False


def set_topic(session: Session, newsletter_id: int, feed_id: int, topic: str) -> None:
    """Put a feed under a topic in a newsletter that reads it, or with "" under none. Raises NotFound."""
    link = session.get(NewsletterFeed, (newsletter_id, feed_id))
    if link is None:
        raise NotFound("that newsletter does not read this feed", hint="`digest feed list` shows who reads which")
    link.topic = topic


def stop_reading(session: Session, feed_id: int, *, newsletter_id: int | None = None) -> bool:
    """Take a feed from one newsletter, or from all; True when no newsletter reads it now."""
    query = sa.delete(NewsletterFeed).where(col(NewsletterFeed.feed_id) == feed_id)
    if newsletter_id is not None:
        query = query.where(col(NewsletterFeed.newsletter_id) == newsletter_id)
    session.execute(query)
    undecided.ends(session, feed_id, newsletter_id=newsletter_id)
    return session.exec(select(NewsletterFeed).where(NewsletterFeed.feed_id == feed_id)).first() is None


def lists(session: Session, newsletter_id: int) -> list[FeedList]:
    """The lists on the web that a newsletter took feeds from."""
    query = select(FeedList).where(FeedList.newsletter_id == newsletter_id).order_by(FeedList.url)
    return list(session.exec(query))


@dataclass(frozen=True)
class Reader:
    """A newsletter that reads a feed, and under which topic."""

    newsletter: str
    topic: str = ""
    folder: str = ""
    places: tuple[Mapping[str, Any], ...] = ()


def listed(session: Session, *, newsletters: Collection[str] | None = None) -> list[tuple[Feed, tuple[Reader, ...]]]:
    """All feeds in the order they were added, or those that these newsletters read, with who reads them."""
    readers: dict[int, list[Reader]] = {}
    links = select(Newsletter.name, NewsletterFeed).join(NewsletterFeed).order_by(Newsletter.name)
    for name, link in session.exec(links):
        readers.setdefault(link.feed_id, []).append(Reader(name, link.topic, link.folder, tuple(link.places)))
    query = select(Feed).order_by(col(Feed.id))
    if newsletters is not None:
        read = select(NewsletterFeed.feed_id).join(Newsletter).where(col(Newsletter.name).in_(newsletters))
        query = query.where(col(Feed.id).in_(read))
    return [(feed, tuple(readers.get(feed.id or 0, ()))) for feed in session.exec(query)]


def entry_counts(session: Session) -> dict[int, int]:
    """How many entries came of each feed."""
    rows = session.exec(select(Feed.id, Feed.entry_count).where(Feed.entry_count > 0))
    return {id_ or 0: count for id_, count in rows}


def newest_entries(session: Session, feed_id: int, *, limit: int) -> list[Entry]:
    """The entries of a feed that were stored last."""
    query = select(Entry).where(Entry.feed_id == feed_id).order_by(col(Entry.id).desc()).limit(limit)
    return list(session.exec(query))


def set_aside(session: Session, feed_id: int, *, limit: int) -> list[tuple[str, str]]:
    """The entries of a feed that were set aside, the latest first: title or address (there may be none), and why."""
    rows = session.execute(
        sa.select(col(Entry.title), col(Entry.url), col(Entry.fault))
        .where(col(Entry.feed_id) == feed_id, col(Entry.fault) != "")
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    return [(row[0] or row[1], row[2]) for row in rows]


def set_aside_counts(session: Session, *, since: datetime) -> dict[int, int]:
    """How many entries of each feed were set aside, unread, from `since` on; feeds without any are not named."""
    query = (
        select(Entry.feed_id, sa.func.count())
        .where(Entry.fault != "", Entry.seen_at >= since)
        .group_by(col(Entry.feed_id))
    )
    return dict(session.exec(query).all())


def held_counts(session: Session) -> dict[int, int]:
    """How many entries of each feed were held back, as a flood or a new feed's archive, by some newsletter."""
    held = sa.select(col(Admission.entry_id)).where(HELD).distinct().subquery()
    # An outer join, so that it begins with the few and not with all entries.
    query = sa.select(col(Entry.feed_id), sa.func.count()).select_from(held)
    query = query.outerjoin(Entry, col(Entry.id) == held.c.entry_id).group_by(col(Entry.feed_id))
    return {row[0]: row[1] for row in session.execute(query)}


def held_count(session: Session, feed_id: int) -> int:
    """The same of one feed, by looking at its own entries alone."""
    held = sa.exists().where(col(Admission.entry_id) == col(Entry.id), HELD)
    query = sa.select(sa.func.count()).select_from(Entry).where(col(Entry.feed_id) == feed_id, held)
    return int(session.execute(query).scalar_one())


def reads(session: Session, newsletter_id: int, feed_id: int) -> bool:
    return session.get(NewsletterFeed, (newsletter_id, feed_id)) is not None


def was_published(session: Session, feed_id: int) -> bool:
    """Whether a story of this feed stands in an edition."""
    query = (
        select(VariantStory.story_id)
        .join(Story, col(Story.id) == col(VariantStory.story_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(col(Entry.feed_id) == feed_id)
        .limit(1)
    )
    return session.exec(query).first() is not None


def retire(session: Session, feed: Feed) -> bool:
    """Ask a feed no more that nobody reads. It goes, with its entries and stories; True where one of these was sent:
    then it stays, retired."""
    if not was_published(session, feed.id or 0):
        session.delete(feed)
        return False
    feed.state = FeedState.RETIRED
    feed.error = "removed; its published stories stay"
    session.add(feed)
    return True


def senders(session: Session, feed_id: int) -> set[str]:
    """Who writes a feed that comes by mail: `list:` and a List-Id, or `from:` and an address. Nobody yet is empty."""
    row = session.get(MailFeed, feed_id)
    return set(row.senders) if row else set()


def set_senders(session: Session, feed_id: int, names: Iterable[str]) -> None:
    row = session.get(MailFeed, feed_id) or MailFeed(feed_id=feed_id)
    row.senders = sorted(names)
    session.add(row)
    session.flush()


def set_aside_mails(session: Session, url: str) -> int:
    """How many mails to the address of a feed were from somebody else than its sender, and are not accepted."""
    query = sa.select(sa.func.count()).select_from(MailReport)
    query = query.where(col(MailReport.address) == url, col(MailReport.act) == "aside")
    return int(session.execute(query).scalar() or 0)


def latest_moments(session: Session, feed_id: int, *, limit: int) -> list[datetime]:
    """When the latest entries of a feed were published, as far as they say so."""
    query = select(Entry.published_at).where(Entry.feed_id == feed_id, col(Entry.published_at).is_not(None))
    return [one for one in session.exec(query.order_by(col(Entry.id).desc()).limit(limit)) if one is not None]


def move(session: Session, feed_id: int, *, url: str, host: str, now: datetime) -> None:
    """Give a feed another address, and its history the old one; at once, as the next feed may want the same.

    A secret was given to one origin (scheme, host and port) and stays behind when the feed moves to another.
    """
    feed = session.exec(select(Feed).where(Feed.id == feed_id).with_for_update()).one()
    feed.former_urls = [*feed.former_urls, {"url": feed.url, "until": now.isoformat(timespec="seconds")}][-_FORMER:]
    if not same(url, feed.url):
        feed.headers, feed.ca_file = open_part(feed.headers), ""
    feed.url, feed.host, feed.answered_by, feed.moved_to = url, host, "", ""
    session.flush()


def wake(feed: Feed, *, now: datetime) -> None:
    """Ask a feed again that was retired, if it was: somebody reads it."""
    if feed.state == FeedState.RETIRED:
        feed.state, feed.next_at, feed.failures, feed.told = FeedState.ACTIVE, now, 0, ""


def hand_over(session: Session, feed_id: int, to_id: int, *, now: datetime) -> None:
    """Who read the one feed reads the other from now on, or mutes it; it is asked from now on, if it was not."""
    one, other = session.get_one(Feed, feed_id), session.get_one(Feed, to_id)
    wake(other, now=now)
    tastes.follow_source(session, feed_id, (one.url, one.site_url), (other.url, other.site_url))
    for link in session.exec(select(NewsletterFeed).where(NewsletterFeed.feed_id == feed_id)).all():
        read(session, link.newsletter_id, to_id, topic=link.topic, folder=link.folder, places=link.places, now=now)
        session.delete(link)
    undecided.ends(session, feed_id)


def added_at(session: Session, ids: Collection[int]) -> dict[int, datetime]:
    """Since when feeds have been here, by their numbers."""
    found: dict[int, datetime] = {}
    for some in batched(sorted(ids)):
        query = sa.select(col(Feed.id), col(Feed.added_at)).where(col(Feed.id).in_(some))
        found |= {row[0]: row[1] for row in session.execute(query)}
    return found
