"""Whose turn it is among the feeds: claimed under a lease, settled by what came of asking."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import (
    Feed,
    FeedState,
    UtcTime,
)
from digest.store.database import shared_now

_FORMER = 20  # addresses kept in a feed's history
_CHUNK = 500  # values in one IN (…): SQLite binds 32,766 at most
# Most passes find nothing new, and ask no more than is here: the mappers of all tables are not set up for it.
_FEED = Feed.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Due:
    """A feed that was claimed: what a fetch and the judgement of its answer need to know."""

    id: int
    url: str
    host: str
    answered_by: str
    title: str
    published_title: str
    site_url: str
    language: str
    added_at: datetime
    checked_at: datetime | None
    claimed_at: datetime | None  # by this claim, which counts only as long as the row says so
    headers: dict[str, str]
    proxy: str
    ca_file: str
    interval_minutes: int
    recipe: dict[str, str]
    former_urls: list[dict[str, str]]
    moved_to: str
    etag: str
    last_modified: str
    body_hash: str
    ttl_seconds: int
    skip: list[str]
    gap_seconds: int
    entry_at: datetime | None
    ok_at: datetime | None
    failing_since: datetime | None
    failures: int
    error: str
    trouble: list[str]
    told: str


@dataclass(frozen=True)
class Part:
    """One of so many parts of all feeds, counted from 0: a host is in one part only. PostgreSQL."""

    number: int = 0
    of: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class Among:
    """Of which feeds some are claimed."""

    not_of: Collection[str] = ()  # hosts
    not_those: Collection[int] = ()  # feeds
    part: Part = WHOLE


EVERY = Among()

_DUE = [_FEED.c[name] for name in Due.__dataclass_fields__]


def count_due(
    session: Session, *, now: datetime, asked_before: datetime, regardless: bool = False, part: Part = WHOLE
) -> int:
    """How many feeds `claim` would give in all."""
    moments = _moments(now, shared_now(session, now), timedelta(0), asked_before)
    found: int = session.execute(_counting(regardless, part), moments).scalar_one()
    return found


# Made once, as what claims and settles: to put a statement together takes longer than to execute it.
@cache
def _counting(regardless: bool, part: Part) -> Any:
    return sa.select(sa.func.count()).select_from(_FEED).where(*_due(regardless), *_in(part))


def _in(part: Part) -> list[Any]:
    if part.of == 1:
        return []
    # By who answers: there it is that manners are asked for. What the server makes of a text it makes for all of us.
    host = sa.func.coalesce(sa.func.nullif(_FEED.c.answered_by, ""), _FEED.c.host)
    return [sa.func.hashtext(host).op("&")(0x7FFFFFFF) % part.of == part.number]


def claim(
    session: Session,
    *,
    now: datetime,
    limit: int,
    lease: timedelta,
    asked_before: datetime,
    regardless: bool = False,
    among: Among = EVERY,
) -> list[Due]:
    """Take up to `limit` due feeds for ourselves until `now + lease`, those that were asked longest ago.

    Due is what was not asked since `asked_before` and, unless `regardless`, what its schedule says. One statement, so
    two runs never fetch one feed (PostgreSQL skips locked rows, SQLite has one writer). A run that dies leaves its
    feeds due when the lease is over, by `shared_now`.
    """
    shared = shared_now(session, now)
    moments = _moments(now, shared, lease, asked_before)
    others = {"hosts": list(among.not_of), "those": list(among.not_those)}
    taken = session.execute(
        _claiming(regardless, among.part), moments | others | {"until": shared + lease, "most": limit}
    )
    long_ago = datetime.min.replace(tzinfo=UTC)
    found = [Due(*row) for row in taken]
    return sorted(found, key=lambda feed: (feed.checked_at or long_ago, feed.id))


@cache
def _claiming(regardless: bool, part: Part) -> Any:
    feed = _FEED.c
    hosts: Any = sa.bindparam("hosts", expanding=True)
    due = (
        sa.select(feed.id)
        .where(*_due(regardless))
        .where(*_in(part))
        .where(feed.host.not_in(hosts), feed.answered_by.not_in(hosts))
        .where(feed.id.not_in(sa.bindparam("those", expanding=True, literal_execute=True)))
        .order_by(feed.checked_at.nulls_first(), feed.id)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed: dict[str, Any] = {"next_at": sa.bindparam("until"), "claimed_at": sa.bindparam("shared")}
    return sa.update(_FEED).where(feed.id.in_(sa.select(due.c.id))).values(claimed).returning(*_DUE)


def _moments(now: datetime, shared: datetime, lease: timedelta, asked_before: datetime) -> dict[str, Any]:
    """Those of `_due`: schedules go by `now`, leases by the `shared` clock."""
    return {"now": now, "shared": shared, "over": shared - lease, "asked_before": asked_before}


def _due(regardless: bool) -> list[Any]:
    feed = _FEED.c
    active = feed.state == FeedState.ACTIVE
    asked = ~feed.url.startswith("mail:")  # what comes by mail is not asked
    unasked = sa.or_(feed.checked_at.is_(None), feed.checked_at < sa.bindparam("asked_before"))
    if not regardless:
        now, shared = sa.bindparam("now", type_=UtcTime()), sa.bindparam("shared", type_=UtcTime())
        return [active, asked, unasked, feed.next_at <= sa.case((feed.claimed_at.is_(None), now), else_=shared)]
    return [active, asked, unasked, sa.or_(feed.claimed_at.is_(None), feed.claimed_at < sa.bindparam("over"))]


def by_mail(session: Session) -> list[Due]:
    """The feeds that come by mail, and are active."""
    feed = _FEED.c
    query = sa.select(*_DUE).where(feed.url.startswith("mail:"), feed.state == FeedState.ACTIVE)
    return [Due(*row) for row in session.execute(query.order_by(feed.id))]


class Left(NamedTuple):
    """What may have changed of a feed while it was asked. Who no longer has `claimed_at` lost it to another."""

    url: str
    title: str
    claimed_at: datetime | None


def lock(session: Session, ids: Collection[int]) -> dict[int, Left]:
    """Those feeds that are still active; they stay as they are until the transaction ends."""
    feed = _FEED.c
    query = sa.select(feed.id, feed.url, feed.title, feed.claimed_at).where(
        feed.id.in_(list(ids)), feed.state == FeedState.ACTIVE
    )
    return {row[0]: Left(*row[1:]) for row in session.execute(query.order_by(feed.id).with_for_update())}


def settle(session: Session, settled: Sequence[Mapping[str, Any]]) -> None:
    """Write what came of asking: mappings of those `Feed` columns that may change, with its `id`. Ends the claims."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in settled:
        names = tuple(name for name in row if name != "id")
        alike.setdefault(names, []).append({"feed_id": row["id"]} | {f"new_{name}": row[name] for name in names})
    for names, rows in alike.items():
        session.connection().execute(_settling(names), rows)


@cache
def _settling(names: tuple[str, ...]) -> Any:
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names} | {"claimed_at": None}
    return sa.update(_FEED).where(_FEED.c.id == sa.bindparam("feed_id")).values(values)


def release(session: Session, ids: Collection[int], *, next_at: datetime) -> None:
    """Give claimed feeds back unasked."""
    session.execute(
        sa.update(Feed)
        .where(col(Feed.id).in_(list(ids)), col(Feed.claimed_at).is_not(None))
        .values(next_at=next_at, claimed_at=None)
    )


def hold_host(session: Session, host: str, *, until: datetime) -> None:
    """Nothing that this host answers for is asked before `until`: it spoke of itself, not of one feed (RFC 9110).

    Feeds that another run is storing just now are left to it: two that wait for each other would stop both.
    """
    early = (
        select(Feed.id)
        .where(sa.or_(col(Feed.host) == host, col(Feed.answered_by) == host), col(Feed.next_at) < until)
        .with_for_update(skip_locked=True)
        .cte("early")
    )
    session.execute(sa.update(Feed).where(col(Feed.id).in_(sa.select(early.c.id))).values(next_at=until))
