"""Lists of people: searched, counted, and whole for an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Newsletter,
    Subscriber,
    Subscription,
    Suppression,
    address_key,
)
from digest.store import search as whom
from digest.store.database import not_by_index
from digest.store.search import Search
from digest.store.suppressions import SUPPRESSED, at_domain, barred


@dataclass(frozen=True)
class Listed:
    """A line of the list: a person and one of their subscriptions, or a suppressed address ("" no newsletter)."""

    email: str
    name: str
    state: str
    topics: tuple[str, ...]
    cadence: str
    tags: tuple[str, ...]
    newsletter: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class Page:
    """Some lines of a list, and the address to go on after, or ""."""

    rows: tuple[Listed, ...]
    more: str


def listed(session: Session, search: Search, *, after: str = "", limit: int) -> Page:
    """Up to `limit` people in the order of their addresses, from the one after `after`, a line per subscription.

    Suppressed addresses that never were subscribers are listed under the state SUPPRESSED only.
    """
    start = address_key(after)
    if search.of_states() == (SUPPRESSED,):
        return _listed_suppressed(session, search, after=start, limit=limit)
    keys = whom.page(session, search, after=start, limit=limit + 1)
    page = keys[:limit]
    if not page:
        return Page((), "")
    rows = session.execute(
        sa.select(Subscriber, Subscription, col(Newsletter.name), _own, _of_domain)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .outerjoin(_own, col(_own.key) == Subscriber.key)
        .outerjoin(_of_domain, col(_of_domain.key) == at_domain(col(Subscriber.key)))
        .where(col(Subscriber.key) > start, col(Subscriber.key) <= page[-1])
        .where(*whom.of_person(search), *whom.of_subscription(search))
        .order_by(col(Subscriber.key), Newsletter.name)
    ).all()
    lines = tuple(
        Listed(
            p.email,
            p.name,
            SUPPRESSED if own or block else s.state,
            tuple(s.topics),
            s.cadence,
            tuple(p.tags),
            name,
            s.created_at,
            _why(own or block),
        )
        for p, s, name, own, block in rows
    )
    return Page(lines, lines[-1].email if len(keys) > limit else "")


@dataclass(frozen=True)
class Members:
    """Whom of one newsletter to read: up to `limit`, from behind the `address_key` `after` on, or the one `key`."""

    newsletter: str
    limit: int
    after: str = ""
    state: str = ""  # SUPPRESSED too
    key: str = ""


def members(session: Session, asked: Members) -> list[tuple[Subscriber, Subscription, bool]]:
    """Who has a subscription to one newsletter, by address, and whether they are barred; one more than the limit."""
    stopped = barred(col(Subscriber.key))
    paper = select(Newsletter.id).where(Newsletter.name == asked.newsletter).scalar_subquery()
    query = (
        sa.select(Subscriber, Subscription, stopped)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .where(not_by_index(col(Subscription.newsletter_id)) == paper, col(Subscriber.key) > asked.after)
        .order_by(col(Subscriber.key))
        .limit(asked.limit + 1)
    )
    if asked.key:
        query = query.where(col(Subscriber.key) == asked.key)
    if asked.state:
        query = query.where(stopped if asked.state == SUPPRESSED else ~stopped)
    if asked.state and asked.state != SUPPRESSED:
        query = query.where(col(Subscription.state) == asked.state)
    return [(person, ours, bool(stop)) for person, ours, stop in session.execute(query)]


def _listed_suppressed(session: Session, search: Search, *, after: str, limit: int) -> Page:
    """Addresses and domains that are barred, and whom a domain's block bars."""
    rest = search.without("state")
    about = whom.of_address(rest, col(Suppression.key))
    if rest.newsletter or any(c.field not in ("address", "domain") for c in rest.wanted):
        theirs = sa.exists().where(col(Subscriber.key) == Suppression.key, *whom.of_person(rest))
        about.append(theirs.where(whom.subscribed(rest)).correlate(Suppression))
    themselves: Any = sa.select(col(Suppression.key).label("key")).where(*about)
    by_domain: Any = sa.select(col(Subscriber.key)).where(
        sa.exists().where(col(Suppression.key) == at_domain(col(Subscriber.key))),
        *whom.of_person(rest),
        whom.subscribed(rest),
    )
    found = sa.union(themselves, by_domain).subquery()
    rows = session.execute(
        sa.select(found.c.key, Subscriber, _own, _of_domain)
        .select_from(found)
        .outerjoin(Subscriber, col(Subscriber.key) == found.c.key)
        .outerjoin(_own, col(_own.key) == found.c.key)
        .outerjoin(_of_domain, col(_of_domain.key) == at_domain(found.c.key))
        .where(found.c.key > after)
        .order_by(found.c.key)
        .limit(limit + 1)
    ).all()
    lines = tuple(
        Listed(
            p.email if p else key,
            p.name if p else "",
            SUPPRESSED,
            (),
            "",
            tuple(p.tags) if p else (),
            "",
            (own or block).created_at,
            _why(own or block),
        )
        for key, p, own, block in rows[:limit]
    )
    return Page(lines, lines[-1].email if len(rows) > limit else "")


def counted(session: Session, search: Search) -> list[tuple[str, str, int]]:
    """How many the search finds: (newsletter, state, subscriptions). Suppressed addresses count as such."""
    state = sa.case((barred(col(Subscriber.key)).correlate(Subscriber), SUPPRESSED), else_=col(Subscription.state))
    found = (
        select(col(Newsletter.name), sa.type_coerce(state, sa.String).label("standing"), sa.func.count())
        .select_from(Subscription)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .where(*whom.of_person(search), *whom.of_subscription(search))
        .group_by(col(Newsletter.name), "standing")
        .order_by(col(Newsletter.name), "standing")
    )
    return [(n, s, c) for n, s, c in session.exec(found)]


def _why(stop: Suppression | None) -> str:
    return f"{stop.reason} {stop.status}".strip() if stop else ""


# The suppression of an address itself, and the one of its domain.
_own: Any = sa.orm.aliased(Suppression)
_of_domain: Any = sa.orm.aliased(Suppression)


class Line(NamedTuple):
    """All that is known of a person and one newsletter, as it is exported."""

    email: str
    name: str
    state: str  # "" for a suppressed address without a subscription
    topics: list[str]
    cadence: str
    hour: int | None
    zone: str
    language: str
    format: str  # "text" or "html"
    tags: list[str]
    fields: dict[str, str]
    subscribed_at: datetime | None
    changed_at: datetime | None
    paused_until: datetime | None
    consent: str
    suppressed: str
    suppressed_status: str
    suppressed_at: datetime | None
    max_stories: int | None = None
    muted_words: list[str] = []  # noqa: RUF012 (nobody changes it)
    muted_sources: list[str] = []  # noqa: RUF012
    muted_topics: list[str] = []  # noqa: RUF012
    story_languages: list[str] = []  # noqa: RUF012
    more_of: list[str] = []  # noqa: RUF012
    less_of: list[str] = []  # noqa: RUF012


def roll(session: Session, newsletter: str, search: Search | None = None) -> Iterator[Line]:
    """Everybody who has a subscription to `newsletter`, then the other suppressed addresses, by address.

    With a `search`, only who is found by it, and no other addresses. Domains that are barred are no rows of a list.
    """
    narrowed = [] if search is None else [*whom.of_person(search), *whom.of_subscription(search)]
    paper = select(Newsletter.id).where(Newsletter.name == newsletter).scalar_subquery()
    subscribed: Any = (
        sa.select(
            *(col(c) for c in (Subscriber.email, Subscriber.name, Subscription.state, Subscription.topics)),
            *(col(c) for c in (Subscription.cadence, Subscription.hour, Subscription.zone, Subscription.language)),
            sa.case((col(Subscription.plain), "text"), else_="html"),
            *(col(c) for c in (Subscriber.tags, Subscriber.fields, Subscription.created_at, Subscription.changed_at)),
            *(col(c) for c in (Subscription.paused_until, Subscription.consent)),
            sa.func.coalesce(col(Suppression.reason), ""),
            sa.func.coalesce(col(Suppression.status), ""),
            col(Suppression.created_at),
            col(Subscription.taste),
        )
        .select_from(Subscriber)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(col(Subscription.newsletter_id) == paper, *narrowed)
        .order_by(col(Subscriber.key))
    )
    stream = session.connection().execution_options(yield_per=1_000)
    for *row, own in stream.execute(subscribed):
        yield Line(*row, **own)
    if search is not None:
        return
    others = (
        sa.select(col(Suppression.key), col(Suppression.reason), col(Suppression.status), col(Suppression.created_at))
        .where(
            ~col(Suppression.key).startswith("@"),
            ~sa.exists()
            .where(col(Subscriber.key) == Suppression.key)
            .where(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == paper)
            .correlate(Suppression),
        )
        .order_by(col(Suppression.key))
    )
    for key, reason, status, at in stream.execute(others):
        yield Line(key, "", "", [], "", None, "", "", "", [], {}, None, None, None, "", reason, status, at)
