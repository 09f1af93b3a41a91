"""Newsletters that come by mail, as feeds: `mail:NAME`. They are never asked; what comes to their address is stored.

The first who writes to the address is its sender from then on, by List-Id, else by From. What others write is set aside
and counted, until an operator accepts them. A mail that wants to be confirmed is shown, and never done by us.
"""

from __future__ import annotations

import re
from datetime import datetime

from sqlmodel import Session

from digest import sign
from digest.collect import rhythm
from digest.collect.report import Change
from digest.collect.rows import entry_row
from digest.collect.run import changed
from digest.collect.sources import Added
from digest.collect.workers import Parsers
from digest.config import Config
from digest.errors import BadInput, UserError
from digest.event_loop import run as run_loop
from digest.models import Feed, FeedState
from digest.parse.entries import NotAFeed
from digest.parse.mailed import Posted, senders
from digest.store import Database, feed_claims, feed_entries, feeds, newsletters
from digest.values import Followed, Mailed

PREFIX = "mail:"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")


def is_mail(words: str) -> bool:
    """Does an operator mean a newsletter that comes by mail?"""
    return words.strip().lower().startswith(PREFIX)


def add(database: Database, config: Config, words: str, *, newsletter: str, topic: str, now: datetime) -> Added:
    """Let a newsletter read what comes to the address of `mail:NAME`; twice is safe. BadInput for a bad name.

    UserError where nobody reads mail.
    """
    name = words.strip()[len(PREFIX) :]
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of a feed by mail",
            hint="up to 20 small letters, digits and hyphens, as in mail:weekly",
        )
    if not config.mail.comes_back:
        raise UserError(
            "nobody reads mail here", hint="set address and source in [mail]; `digest help hearing` says how"
        )
    url = PREFIX + name
    with database.write() as session:
        reader = newsletters.find(session, newsletter)
        feed = feeds.by_url(session, [url]).get(url)
        created = feed is None
        if feed is None:
            # Its Message-IDs tell its entries apart, whatever their titles are.
            feed = Feed(url=url, host="", title="", added_at=now, next_at=now, identity="guid")
            session.add(feed)
        elif feed.state == FeedState.RETIRED:
            feed.state, feed.error, feed.told = FeedState.ACTIVE, "", ""
        session.flush()
        assert feed.id is not None and reader.id is not None
        read = feeds.read(session, reader.id, feed.id, topic=topic, folder="", now=now)
        return Added(feed.id, url, created, read)


def address(config: Config, url: str, *, newsletter: str | None = None) -> str:
    """Where a newsletter sends its mails for this feed."""
    name = newsletter if newsletter in config.newsletters else next(iter(config.newsletters))
    domain = config.newsletters[name].sender.rpartition("@")[2].strip("> ")
    return sign.feed_address(
        url.removeprefix(PREFIX),
        key=config.lasting_key,
        domain=config.smtp.envelope_domain or domain,
        mailbox=config.mail.address,
    )


# ---------------------------------------------------------------- what comes


def read(config: Config, mails: list[Mailed]) -> list[Posted | None]:
    """Mails as entries, each read in another process, within the bounds of feeds; None for one that was too much."""

    async def all_of_them() -> list[Posted | None]:
        found: list[Posted | None] = []
        with Parsers(workers=1, seconds=config.collect.parse_seconds) as parsers:
            for mail in mails:
                try:
                    found.append(await parsers.mail(mail))
                except NotAFeed:
                    found.append(None)
        return found

    return run_loop(all_of_them)


def keep(session: Session, mail: Mailed, posted: Posted | None, now: datetime) -> Followed:
    """Store a mail as an entry of its feed, where its sender is the one that the feed has, or it has none yet."""
    url = PREFIX + mail.feed
    feed = feeds.by_url(session, [url]).get(url)
    if feed is None or feed.id is None or not feed_claims.lock(session, [feed.id]):
        return Followed("none", f"there is no feed {url} any more")
    who, known = senders(mail), feeds.senders(session, feed.id)
    ours = known & set(who[:1]) or (known & set(who) and not (who[0].startswith("list:") and _has_list(known)))
    if posted is None:
        return Followed("none" if ours or not known else "aside", "it is too much to read")
    if posted.asks and (not known or (ours and not who[0].startswith("list:"))):
        link = f": {posted.confirm}" if posted.confirm else ""
        return Followed("ask", f"{url} is to be confirmed{link}")
    if known and not ours:
        return Followed("aside", f"{who[0] if who else 'somebody'} is not the sender of {url}")
    if not who:
        return Followed("aside", "it does not say who sent it")
    if not known:
        feeds.set_senders(session, feed.id, {who[0]})
    saved = feed_entries.save_entries(session, feed.id, [entry_row(posted.entry)], now=now)
    _well(session, feed, posted, now)
    return Followed("entry", f"{'an entry' if saved.new else 'known already, or edited'} of {url}")


def _has_list(known: set[str]) -> bool:
    return any(name.startswith("list:") for name in known)


def admit(session: Session, mail: Mailed) -> str:
    """Whoever wrote this is a sender of its feed from now on; how they are called, "" where nothing says it."""
    url = PREFIX + mail.feed
    feed, who = feeds.by_url(session, [url]).get(url), senders(mail)
    if feed is None or feed.id is None or not who:
        return ""
    feeds.set_senders(session, feed.id, feeds.senders(session, feed.id) | {who[0]})
    return who[0]


def _well(session: Session, feed: Feed, posted: Posted, now: datetime) -> None:
    """What a feed that was asked would have of its answer."""
    assert feed.id is not None
    moments = feeds.latest_moments(session, feed.id, limit=20)
    gap = rhythm.usual_gap(min(moment, now) for moment in moments)
    feed.checked_at = feed.ok_at = feed.entry_at = now
    feed.failures, feed.failing_since, feed.error = 0, None, ""
    feed.gap_seconds = min(int(gap.total_seconds()), 10**9) if gap else 0
    feed.title = (posted.title if feed.title in ("", feed.published_title) else "") or feed.title
    feed.published_title = posted.title or feed.published_title
    feed.language = posted.entry.language or feed.language
    session.add(feed)


def silences(database: Database, *, now: datetime) -> list[Change]:
    """Feeds by mail that fell silent, or are heard of again, each told once, as collecting tells it of others."""
    with database.write() as session:
        return [change for due in feed_claims.by_mail(session) if (change := _told(session, due, now)) is not None]


def _told(session: Session, due: feed_claims.Due, now: datetime) -> Change | None:
    row = {name: getattr(due, name) for name in ("title", "failures", "failing_since", "ok_at", "entry_at", "error")}
    row |= {"id": due.id, "state": FeedState.ACTIVE, "gap_seconds": due.gap_seconds, "told": due.told}
    change = changed(due, row, now, [])
    if row["told"] != due.told:
        feed = session.get_one(Feed, due.id)
        feed.told = row["told"]
        session.add(feed)
    return change
