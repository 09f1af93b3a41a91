"""Hubs that tell us of feeds (W3C WebSub): who is to be asked, what they verified, and when they last spoke."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import Feed, FeedState
from digest.store.feed_tables import WebSub

LEASE = timedelta(days=10)  # that we ask for
SHORTEST_LEASE = timedelta(minutes=10)  # a hub that gives less is taken to give this, and asked no more often
LONGEST_LEASE = timedelta(days=30)  # what a hub may grant; it is asked anew before
RENEWED_AFTER = 0.75  # of a lease
SILENT_AFTER = 2  # times that there was news and no word from the hub
CHANGED_AFTER = timedelta(hours=1)  # a feed that names another hub is believed so late
PING_GAP = timedelta(minutes=1)  # between two askings of a feed that its hub speaks of; hubs know at once what is new
FLOOD = timedelta(seconds=10)  # a hub's words that come sooner after the last say nothing more
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Claim:
    """A hub that is to be asked, and what for: "subscribe" (or renew) or "unsubscribe"."""

    feed_id: int
    hub: str
    topic: str
    token: str
    secret: str
    mode: str
    failures: int  # before this one
    feed_url: str
    headers: Mapping[str, str]  # of the feed's own, as `collect.manner` has them; secret
    proxy: str
    ca_file: str


def live(one: WebSub | None, now: datetime) -> bool:
    """Whether a hub can be relied on: its lease holds, and it was not silent where there was something new."""
    return one is not None and one.lease_until is not None and one.lease_until > now and one.missed < SILENT_AFTER


def of_feeds(session: Session, ids: Collection[int]) -> Mapping[int, WebSub]:
    """How we stand with the hubs of feeds."""
    found = session.exec(select(WebSub).where(col(WebSub.feed_id).in_(list(ids))))
    return {one.feed_id: one for one in found}


def all_of_them(session: Session) -> Mapping[int, WebSub]:
    """The same for all feeds that have one."""
    return {one.feed_id: one for one in session.exec(select(WebSub))}


def discovered(session: Session, feed_id: int, known: WebSub | None, hub: str, topic: str, *, now: datetime) -> None:
    """What a feed says of its hub now. Under another hub or topic it is another subscription, with a secret of its own.

    The former one ends with its lease: to what it still sends we answer that it is gone (410). One that comes and goes
    is not asked each time.
    """
    if known is not None and (known.hub, known.topic) == (hub, topic):
        return
    if known is not None:
        session.delete(known)
        session.flush()
        now = now + CHANGED_AFTER
    if hub:
        token, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session.add(WebSub(feed_id=feed_id, hub=hub, topic=topic, token=token, secret=secret, due_at=now))
        session.flush()


def any_due(session: Session, *, now: datetime, wanted: bool) -> bool:
    return session.execute(_due(now, wanted).limit(1)).first() is not None


def _due(now: datetime, wanted: bool) -> sa.Select[WebSub, Feed]:
    """Those to subscribe to, and those to leave: of feeds that are retired, or of all where none is `wanted`."""
    read = (col(Feed.state) == FeedState.ACTIVE) & sa.literal(wanted)
    held = col(WebSub.lease_until) > now
    # Who is left is left at once, and asked again for it as late as others.
    turn = sa.or_(col(WebSub.due_at) <= now, sa.not_(read) & (col(WebSub.failures) == 0))
    query = sa.select(WebSub, Feed).join(Feed, col(Feed.id) == col(WebSub.feed_id))
    return query.where(sa.or_(read, held), turn).order_by(col(WebSub.due_at), col(WebSub.feed_id))


def claim(
    session: Session, *, now: datetime, limit: int, wait: Callable[[int], timedelta], wanted: bool
) -> list[Claim]:
    """Up to `limit` hubs that are to be asked; nobody else asks them for as long as they are waited for.

    How long `wait` says of their failures in a row; who has not asked back by then has failed. It is noted before it is
    asked, since it may ask back before it answers.
    """
    found = session.execute(_due(now, wanted).limit(limit).with_for_update(skip_locked=True, of=WebSub)).all()
    claims = []
    for one, feed in found:
        mode = "subscribe" if wanted and feed.state == FeedState.ACTIVE else "unsubscribe"
        how = feed.url, dict(feed.headers), feed.proxy, feed.ca_file
        claims.append(Claim(one.feed_id, one.hub, one.topic, one.token, one.secret, mode, one.failures, *how))
        one.pending, one.due_at, one.failures = mode, now + wait(one.failures + 1), one.failures + 1
        if one.failures > 1 and not one.error:
            one.error = "was asked, and did not ask back whether it was us"
    return claims


def put_off(session: Session, claim: Claim, *, until: datetime, failures: int, error: str, unheard: bool) -> None:
    """A hub was not asked, or did not take it; where it is `unheard` whether it did, it may still ask back.

    Only while the claim is ours: a hub that asked back before it answered, or refused, has said more than its answer.
    """
    values = {"due_at": until, "failures": failures, "error": error} | ({} if unheard else {"pending": ""})
    mine = (col(WebSub.token) == claim.token, col(WebSub.pending) == claim.mode)
    statement = sa.update(WebSub).where(*mine, col(WebSub.failures) == claim.failures + 1)
    session.execute(statement.values(values), execution_options=_NO_SYNC)


def by_token(session: Session, token: str) -> WebSub | None:
    return session.exec(select(WebSub).where(WebSub.token == token)).first()


def verified(session: Session, token: str, mode: str, topic: str, lease: timedelta, *, now: datetime) -> bool:
    """Whether it was us who asked a hub for this; if so it holds from now on, once."""
    one = session.exec(select(WebSub).where(WebSub.token == token).with_for_update()).first()
    if one is None or not mode or (one.pending, one.topic) != (mode, topic):
        return False
    one.pending, one.failures, one.error = "", 0, ""
    if mode == "unsubscribe":
        one.lease_until = None
        return True
    lease = min(max(lease, SHORTEST_LEASE), LONGEST_LEASE)
    one.verified_at, one.lease_until, one.due_at = now, now + lease, now + lease * RENEWED_AFTER
    return True


def denied(session: Session, token: str, topic: str, reason: str, *, until: datetime) -> bool:
    """A hub will not tell us of a feed (any more); it is asked again later."""
    one = session.exec(select(WebSub).where(WebSub.token == token).with_for_update()).first()
    if one is None or one.topic != topic:
        return False
    one.pending, one.lease_until, one.due_at = "", None, until
    one.error = f"refused{f': {reason}' if reason else ''}"
    return True


def pinged(session: Session, one: WebSub, *, now: datetime) -> bool:
    """A hub says that its feed has something new: the feed is due. False where it said so just now."""
    if one.pinged_at is not None and timedelta(0) <= now - one.pinged_at < FLOOD:
        return False
    values = {"pinged_at": now, "missed": 0}
    mine = col(WebSub.feed_id) == one.feed_id
    session.execute(sa.update(WebSub).where(mine).values(values), execution_options=_NO_SYNC)
    feed = session.exec(select(Feed).where(Feed.id == one.feed_id).with_for_update()).first()
    # Who is being asked just now is due again afterwards: see `_settle` in `collect.run`.
    if feed is not None and feed.claimed_at is None and not feed.failures:
        feed.next_at = min(feed.next_at, max(now, feed.checked_at + PING_GAP if feed.checked_at else now))
    return True


def polled(session: Session, one: WebSub, *, news: bool, before: datetime | None) -> None:
    """A feed with a hub was asked, the time before at `before`: had it something new of which the hub was silent?"""
    trusted = one.verified_at is not None and before is not None and one.verified_at <= before
    if news and trusted and (one.pinged_at is None or (before is not None and one.pinged_at < before)):
        one.missed += 1
        session.add(one)


def in_words(one: WebSub | None, *, now: datetime) -> str:
    """How we stand with the hub of a feed, "" where it has none."""
    if one is None:
        return ""
    error = f"; the hub {one.error}" if one.error else ""
    if one.lease_until is None or one.lease_until <= now:
        return f"not subscribed at {one.hub}{error}"
    if one.missed >= SILENT_AFTER:
        return f"subscribed at {one.hub}, which is silent although there is news: asked as often as without it{error}"
    return f"told by {one.hub} until {one.lease_until:%Y-%m-%d %H:%M} UTC, asked once a day{error}"
