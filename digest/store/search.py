"""Which people: conditions on them and their subscriptions, or a list of addresses, as one query of keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Newsletter,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    address_key,
)
from digest.store.database import count_rows, insert_into, not_by_index
from digest.store.suppressions import SUPPRESSED, at_domain, barred

Value = str | tuple[datetime, datetime] | None  # words, the two ends of a day or moment, or never


@dataclass(frozen=True)
class Condition:
    """One thing that is wanted of people: `values` are any of several. `subscribe.where` reads and checks them."""

    field: str
    sign: str  # "=", "!=", "<", "<=", ">", ">=", or "~": has it as a part
    values: tuple[Value, ...]


# Whom a search goes through: subscribers, all addresses that are barred, or the addresses of a list (see `given`).
Among = Literal["people", "barred", "given"]


@dataclass(frozen=True)
class Search:
    """Whom a list of people is narrowed to. Who has several subscriptions is found by any that fits `wanted`."""

    wanted: tuple[Condition, ...] = ()
    newsletter: str = ""  # or several, with commas
    given: bool = False  # only who is on the list that `given` laid down
    among: Among = "people"

    def narrowed(self, field: str, sign: str, *values: Value) -> Search:
        return replace(self, wanted=(*self.wanted, Condition(field, sign, values)))

    def of_states(self) -> tuple[str, ...]:
        """The states that it asks for, where it asks for any."""
        return tuple(str(v) for c in self.wanted if c.field == "state" and c.sign == "=" for v in c.values)

    def without(self, field: str) -> Search:
        return replace(self, wanted=tuple(c for c in self.wanted if c.field != field))


# What is on a list, laid beside the people for as long as a connection lasts (`Database.pinned`).
_given = sa.Table(
    "given_address",
    sa.MetaData(),
    sa.Column("key", sa.String, primary_key=True),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)


def lay_down(session: Session, emails: Iterable[str]) -> None:
    """Make a list of these addresses for a `Search` that is `given`; more than once adds to it."""
    connection = session.connection()
    _given.create(connection, checkfirst=True)
    rows = [{"key": address_key(email)} for email in emails]
    if rows:
        connection.execute(insert_into(session, _given).on_conflict_do_nothing(), rows)


def look_at_list(session: Session) -> int:
    """How many addresses are on the list."""
    count_rows(session, _given.name)
    return int(session.connection().execute(sa.select(sa.func.count()).select_from(_given)).scalar_one())


def keys(search: Search) -> Any:
    """A SELECT of the keys of all who are found, in no order; its only column is `key`."""
    if search.among == "given":
        statement = sa.select(_given.c.key.label("key"))
        return statement.where(*of_address(search, _given.c.key))
    if search.among == "barred":
        key = col(Suppression.key)
        people = [sa.exists().where(col(Subscriber.key) == key, *of_person(search))] if _about_people(search) else []
        return sa.select(key.label("key")).where(~key.startswith("@"), *of_address(search, key), *people)
    return sa.select(col(Subscriber.key).label("key")).where(*of_person(search), subscribed(search))


def count(session: Session, search: Search) -> int:
    return int(
        session.connection().execute(sa.select(sa.func.count()).select_from(keys(search).subquery())).scalar_one()
    )


def page(session: Session, search: Search, *, after: str, limit: int) -> list[str]:
    """The keys of up to `limit` who are found, in their order, behind `after`."""
    found = keys(search).subquery()
    query = sa.select(found.c.key).where(found.c.key > after).order_by(found.c.key).limit(limit)
    return list(session.connection().scalars(query))


def subscriptions(session: Session, search: Search, some: Sequence[str]) -> list[tuple[Subscriber, Subscription]]:
    """Of these people who still are found, with the subscription by which they are; ours until the transaction ends."""
    query = (
        select(Subscriber, Subscription)
        .join(Subscription, col(Subscription.subscriber_id) == Subscriber.id)
        .where(col(Subscriber.key).in_(some), *of_person(search), *of_subscription(search))
        .order_by(col(Subscription.id))
        .with_for_update(of=Subscription)
    )
    return list(session.exec(query, execution_options={"populate_existing": True}))


def people(session: Session, search: Search, some: Sequence[str]) -> list[Subscriber]:
    """Of these people who still are found; ours until the transaction ends.

    In the order of their keys, as an import takes them. Letters may be owed to them meanwhile.
    """
    query = select(Subscriber).where(col(Subscriber.key).in_(some), *of_person(search), subscribed(search))
    query = query.order_by(col(Subscriber.key)).with_for_update(of=Subscriber, key_share=True)
    return list(session.exec(query, execution_options={"populate_existing": True}))


# ---------------------------------------------------------------- conditions, as SQL


def of_address(search: Search, key: Any) -> list[Any]:
    """What can be asked of an address alone, whoever has it."""
    conditions = []
    for one in search.wanted:
        match one.field:
            case "address" if one.sign == "~":
                conditions.append(sa.or_(*(key.contains(address_key(str(v)), autoescape=True) for v in one.values)))
            case "address":
                conditions.append(_any(one, key.in_([address_key(str(v)) for v in one.values])))
            case "domain":
                conditions.append(_any(one, at_domain(key).in_([f"@{v}" for v in one.values])))
            case "barred":
                conditions.append(_any(one, barred(key)))
    if search.given and search.among != "given":
        conditions.append(key.in_(sa.select(_given.c.key)))
    return conditions


def of_person(search: Search) -> list[Any]:
    tags = [c for c in search.wanted if c.field == "tag"]
    having = [_any(one, sa.or_(*(has(Subscriber.tags, str(v)) for v in one.values))) for one in tags]
    fields = [c for c in search.wanted if c.field == "field"]
    having += [_any(one, sa.or_(*(_has_field(str(v)) for v in one.values))) for one in fields]
    return [*of_address(search, col(Subscriber.key)), *having]


def of_subscription(search: Search) -> list[Any]:
    conditions: list[Any] = []
    if search.newsletter:
        names = search.newsletter.split(",")
        paper = select(Newsletter.id).where(col(Newsletter.name).in_(names))
        # SQLite would go through all who are in some state, where a few of them are looked at by key.
        conditions.append(not_by_index(col(Subscription.newsletter_id)).in_(paper))
    for one in search.wanted:
        match one.field:
            case "state":
                conditions.append(_any(one, _standing(one.values)))
            case "subscription":  # its own state, whatever bars the address
                conditions.append(_any(one, col(Subscription.state).in_(one.values)))
            case "back":  # gets letters, or will before then (None: ever); who paused for longer does not
                conditions.append(_any(one, sa.or_(*(_back(v) for v in one.values))))
            case "topic":
                whole = sa.cast(Subscription.topics, sa.String) == "[]"
                got = (sa.or_(whole, has(Subscription.topics, str(v))) & ~_mutes(str(v)) for v in one.values)
                conditions.append(_any(one, sa.or_(*got)))
            case "cadence":
                conditions.append(_any(one, sa.or_(*(_cadence(str(v)) for v in one.values))))
            case "joined":
                conditions.append(_any(one, sa.or_(*(_when(col(Subscription.created_at), one, v) for v in one.values))))
            case "delivered":
                conditions.append(_any(one, sa.or_(*(_when(_delivered(), one, v) for v in one.values))))
    return conditions


def subscribed(search: Search) -> Any:
    """That a person has a subscription such as the search wants; anybody, where it wants none."""
    if not of_subscription(search):
        return sa.true()
    mine = col(Subscription.subscriber_id) == Subscriber.id
    return sa.exists().where(mine, *of_subscription(search)).correlate(Subscriber)


def has(column: Any, word: str) -> Any:
    """That a JSON list holds `word`, in whatever case, told from its text, which is the same on both databases."""
    return _holds(column, {json.dumps(one) for one in _cases(word)})


def _mutes(topic: str) -> Any:
    """That a reader mutes a topic: the list of these is the last thing in the text of a taste."""
    words = sa.cast(Subscription.taste, sa.String)
    return words.like(f'%"muted_topics": [%{_escaped(json.dumps(topic.lower()))}%', escape="/")


def _escaped(words: str) -> str:
    return words.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _has_field(words: str) -> Any:
    """That a person has a field, told from the text of its JSON, as `has` does."""
    name, equals, value = (part.strip() for part in words.partition("="))
    if not equals:
        return _holds(Subscriber.fields, {f"{json.dumps(one)}: " for one in _cases(name)})
    pairs = {json.dumps({one: other})[1:-1] for one in _cases(name) for other in _cases(value)}
    return _holds(Subscriber.fields, pairs)


def _cases(word: str) -> set[str]:
    """SQLite knows capitals of ASCII only, and JSON writes others as numbers: so these are asked for each."""
    return {word} if word.isascii() else {word, word.lower(), word.upper(), word.title()}


def _holds(column: Any, texts: set[str]) -> Any:
    text = sa.cast(column, sa.String)
    return sa.or_(*(text.icontains(one, autoescape=True) for one in sorted({one.lower() for one in texts})))


def _about_people(search: Search) -> bool:
    return bool(search.newsletter) or any(c.field not in ("address", "domain", "barred") for c in search.wanted)


def _any(one: Condition, fits: Any) -> Any:
    return ~fits if one.sign == "!=" else fits


def _standing(states: Sequence[Value]) -> Any:
    """That a subscription is in one of these states, of which SUPPRESSED stands before its own."""
    stopped = barred(col(Subscriber.key)).correlate(Subscriber)
    own = sa.and_(col(Subscription.state).in_([s for s in states if s != SUPPRESSED]), ~stopped)
    return sa.or_(own, stopped) if SUPPRESSED in states else own


def _back(value: Value) -> Any:
    until = col(Subscription.paused_until)
    ends = until < value[0] if isinstance(value, tuple) else until.is_not(None)
    paused = sa.and_(col(Subscription.state) == SubscriptionState.PAUSED, ends)
    return sa.or_(col(Subscription.state) == SubscriptionState.ACTIVE, paused)


def _cadence(said: str) -> Any:
    if said in ("weekly", "fortnightly", "monthly"):
        return col(Subscription.cadence).startswith(f"{said} ")
    return col(Subscription.cadence) == ("" if said == "every edition" else said)


def _delivered() -> Any:
    """When a subscription's last letter was taken by a mail server; NULL is never."""
    sent = (col(OutboxRow.subscription_id) == Subscription.id, col(OutboxRow.state) == OutboxState.SENT)
    latest = sa.select(sa.func.max(OutboxRow.settled_at)).where(*sent).correlate(Subscription).scalar_subquery()
    return sa.func.coalesce(latest, col(Subscription.arrived_at))  # of rolls, which hold what is older


def _when(moment: Any, one: Condition, value: Value) -> Any:
    """A comparison of a moment with a day from its beginning to its end; never is neither before nor after."""
    if value is None:
        return moment.is_(None)
    assert isinstance(value, tuple)
    begin, end = value
    match one.sign:
        case "<":
            return moment < begin
        case "<=":
            return moment < end
        case ">":
            return moment >= end
        case ">=":
            return moment >= begin
        case _:
            return sa.func.coalesce(sa.and_(moment >= begin, moment < end), sa.false())
