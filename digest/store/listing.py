"""Lists of people: searched, counted, and whole for an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from digest.store.suppressions import SUPPRESSED


@dataclass(frozen=True)
class Search:
    """What a list of subscribers is narrowed to; what is empty narrows nothing."""

    part: str = ""  # of the address
    state: str = ""  # of SubscriptionState, or SUPPRESSED
    topic: str = ""  # who gets it: chose it, or all
    cadence: str = ""  # in its one form, "weekly" for any day of the week, or "every edition"
    tag: str = ""
    field: str = ""  # NAME=VALUE, or NAME
    newsletter: str = ""


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
    if search.state == SUPPRESSED:
        return _listed_suppressed(session, search, after=start, limit=limit)
    keys = session.exec(
        select(Subscriber.key)
        .where(col(Subscriber.key) > start, *_about_person(search), _subscribed(search))
        .order_by(col(Subscriber.key))
        .limit(limit + 1)
    ).all()
    page = keys[:limit]
    if not page:
        return Page((), "")
    rows = session.exec(
        select(Subscriber, Subscription, Newsletter.name, Suppression)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(col(Subscriber.key) > start, col(Subscriber.key) <= page[-1])
        .where(*_about_person(search), *_about_subscription(search))
        .order_by(col(Subscriber.key), Newsletter.name)
    ).all()
    lines = tuple(
        Listed(
            p.email,
            p.name,
            SUPPRESSED if stop else s.state,
            tuple(s.topics),
            s.cadence,
            tuple(p.tags),
            name,
            s.created_at,
            _why(stop),
        )
        for p, s, name, stop in rows
    )
    return Page(lines, lines[-1].email if len(keys) > limit else "")


def _listed_suppressed(session: Session, search: Search, *, after: str, limit: int) -> Page:
    narrowed = search.topic or search.cadence or search.newsletter
    rows = session.exec(
        select(Suppression, Subscriber)
        .outerjoin(Subscriber, col(Subscriber.key) == Suppression.key)
        .where(
            col(Suppression.key) > after,
            col(Suppression.key).contains(address_key(search.part), autoescape=True),
            *([_has(Subscriber.tags, search.tag)] if search.tag else []),
            *([_has_field(search.field)] if search.field else []),
            *([_subscribed(replace(search, state=""))] if narrowed else []),
        )
        .order_by(col(Suppression.key))
        .limit(limit + 1)
    ).all()
    lines = tuple(
        Listed(
            p.email if p else stop.key,
            p.name if p else "",
            SUPPRESSED,
            (),
            "",
            tuple(p.tags) if p else (),
            "",
            stop.created_at,
            _why(stop),
        )
        for stop, p in rows[:limit]
    )
    return Page(lines, lines[-1].email if len(rows) > limit else "")


def counted(session: Session, search: Search) -> list[tuple[str, str, int]]:
    """How many the search finds: (newsletter, state, subscriptions). Suppressed addresses count as such."""
    state = sa.case((col(Suppression.key).is_not(None), SUPPRESSED), else_=col(Subscription.state))
    found = (
        select(col(Newsletter.name), sa.type_coerce(state, sa.String).label("standing"), sa.func.count())
        .select_from(Subscription)
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(*_about_person(search), *_about_subscription(replace(search, state="")))
        .group_by(col(Newsletter.name), "standing")
        .order_by(col(Newsletter.name), "standing")
    )
    return [(n, s, c) for n, s, c in session.exec(found) if search.state in ("", s)]


def _about_person(search: Search) -> list[Any]:
    conditions: list[Any] = []
    if search.part:
        conditions.append(col(Subscriber.key).contains(address_key(search.part), autoescape=True))
    if search.tag:
        conditions.append(_has(Subscriber.tags, search.tag))
    if search.field:
        conditions.append(_has_field(search.field))
    return conditions


def _about_subscription(search: Search) -> list[Any]:
    conditions: list[Any] = []
    if search.newsletter:
        paper = select(Newsletter.id).where(Newsletter.name == search.newsletter).scalar_subquery()
        conditions.append(col(Subscription.newsletter_id) == paper)
    if search.state:
        conditions.append(col(Subscription.state) == search.state)
        conditions.append(~sa.exists().where(col(Suppression.key) == Subscriber.key).correlate(Subscriber))
    if search.topic:
        conditions.append(
            sa.or_(_has(Subscription.topics, search.topic), sa.cast(Subscription.topics, sa.String) == "[]")
        )
    if search.cadence:
        wanted = "" if search.cadence == "every edition" else search.cadence
        weekly = wanted == "weekly"
        conditions.append(col(Subscription.cadence).startswith("weekly ") if weekly else Subscription.cadence == wanted)
    return conditions


def _subscribed(search: Search) -> Any:
    """That a person has a subscription such as the search wants."""
    return (
        sa.exists()
        .where(col(Subscription.subscriber_id) == Subscriber.id, *_about_subscription(search))
        .correlate(Subscriber)
    )


def _has(column: Any, word: str) -> Any:
    """That a JSON list holds `word`, in whatever case, told from its text, which is the same on both databases."""
    # SQLite knows capitals of ASCII only, and JSON writes others as numbers.
    spelt = {json.dumps(one).lower() for one in (word, word.lower(), word.upper(), word.title())}
    return sa.or_(*(sa.cast(column, sa.String).icontains(one, autoescape=True) for one in sorted(spelt)))


def _has_field(words: str) -> Any:
    """That a person has a field, told from the text of its JSON, as `_has` does."""
    name, equals, value = words.partition("=")
    wanted = json.dumps({name.strip(): value.strip()})[1:-1] if equals else f"{json.dumps(name.strip())}: "
    return sa.cast(col(Subscriber.fields), sa.String).icontains(wanted, autoescape=True)


def _why(stop: Suppression | None) -> str:
    return f"{stop.reason} {stop.status}".strip() if stop else ""


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


def roll(session: Session, newsletter: str) -> Iterator[Line]:
    """Everybody who has a subscription to `newsletter`, then the other suppressed addresses, by address."""
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
        )
        .select_from(Subscriber)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .outerjoin(Suppression, col(Suppression.key) == Subscriber.key)
        .where(col(Subscription.newsletter_id) == paper)
        .order_by(col(Subscriber.key))
    )
    stream = session.connection().execution_options(yield_per=1_000)
    for row in stream.execute(subscribed):
        yield Line(*row)
    others = (
        sa.select(col(Suppression.key), col(Suppression.reason), col(Suppression.status), col(Suppression.created_at))
        .where(
            ~sa.exists()
            .where(col(Subscriber.key) == Suppression.key)
            .where(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == paper)
            .correlate(Suppression)
        )
        .order_by(col(Suppression.key))
    )
    for key, reason, status, at in stream.execute(others):
        yield Line(key, "", "", [], "", None, "", "", "", [], {}, None, None, None, "", reason, status, at)
