"""A list of people on its way in: rows gather in a temporary table, are judged, and become people in a few statements.

The temporary table belongs to one connection (`Database.pinned`) and costs nobody a lock, so a long file is read
without holding up a sender. Only `settle` needs the write lock, for its seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import (
    Consent,
    ConsentEvent,
    Erasure,
    Newsletter,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    UtcTime,
)
from digest.store import suppressions
from digest.store.database import count_rows, insert_into
from digest.store.editions import composed_upto
from digest.values import Evidence

# What becomes of a row. The first three change a subscription; a row without a state has none.
NEW, ENDED, CONFIRMED = "new", "ended", "confirmed"
KNOWN, STAYS_GONE, STAYS_SUPPRESSED, STAYS_ERASED = "known", "stays gone", "stays suppressed", "stays erased"

_row = sa.Table(
    "import_row",
    sa.MetaData(),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("email", sa.String, nullable=False),
    sa.Column("mark", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("topics", sa.JSON, nullable=False),
    sa.Column("cadence", sa.String, nullable=False),
    sa.Column("hour", sa.Integer),
    sa.Column("zone", sa.String, nullable=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("plain", sa.Boolean, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("since", UtcTime),
    sa.Column("changed_at", UtcTime),
    sa.Column("paused_until", UtcTime),
    sa.Column("ip", sa.String, nullable=False),
    sa.Column("consent", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("suppressed_at", UtcTime),
    sa.Column("outcome", sa.String, nullable=False, server_default=""),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)
_CHOICES = ("topics", "cadence", "hour", "zone", "language", "plain")
_SUPPRESSION = ("reason", "status", "suppressed_at")


def begin(session: Session) -> None:
    _row.create(session.connection())


def add_rows(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Lay rows down, one for each key: of several the one of highest `rank`, the earlier one where they are equal.

    A reason to suppress is kept from whichever row had one first.
    """
    insert = insert_into(session, _row)
    new, old = insert.excluded, _row.c
    higher = new.rank > old.rank
    values: dict[str, Any] = {
        name: sa.case((higher, new[name]), else_=old[name])
        for name in old.keys()  # noqa: SIM118 (a column collection)
        if name not in ("key", "outcome", *_SUPPRESSION)
    }
    values |= {name: sa.case((old.reason == "", new[name]), else_=old[name]) for name in _SUPPRESSION}
    session.connection().execute(insert.on_conflict_do_update(index_elements=["key"], set_=values), rows)


def judge(session: Session, paper: Newsletter) -> list[tuple[str, str, int, int]]:
    """Mark each row with what becomes of it; (outcome, state, rows, of them newly suppressed)."""
    count_rows(session, _row.name)
    now_state = (
        sa.select(sa.type_coerce(col(Subscription.state), sa.String))
        .join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        .where(col(Subscriber.key) == _row.c.key, col(Subscription.newsletter_id) == paper.id)
        .correlate(_row)
        .scalar_subquery()
    )
    suppressed = suppressions.barred(_row.c.key).correlate(_row)
    left, active, pending = SubscriptionState.UNSUBSCRIBED, SubscriptionState.ACTIVE, SubscriptionState.PENDING
    outcome = sa.case(
        (_row.c.mark.in_(sa.select(col(Erasure.mark))), STAYS_ERASED),
        (_row.c.state == "", KNOWN),
        (now_state.is_(None), sa.case((sa.and_(suppressed, _row.c.state != left), STAYS_SUPPRESSED), else_=NEW)),
        (_row.c.state == left, sa.case((now_state == left, KNOWN), else_=ENDED)),
        (now_state == left, STAYS_GONE),
        (sa.and_(now_state == pending, _row.c.state == active), CONFIRMED),
        else_=KNOWN,
    )
    session.connection().execute(sa.update(_row).values(outcome=outcome))
    newly = sa.case((sa.and_(_row.c.reason != "", ~suppressed, _row.c.outcome != STAYS_ERASED), 1), else_=0)
    counts = sa.select(_row.c.outcome, _row.c.state, sa.func.count(), sa.func.sum(newly)).group_by(
        _row.c.outcome, _row.c.state
    )
    return [(o, s, int(n), int(stops)) for o, s, n, stops in session.connection().execute(counts)]


def settle(session: Session, paper: Newsletter, evidence: Evidence) -> None:
    """Make people of the rows that `judge` marked: subscribers, subscriptions, consent, suppressions."""
    assert paper.id is not None
    connection = session.connection()
    upto = composed_upto(session, paper.id)
    at = sa.literal(evidence.at, UtcTime)
    stops = sa.select(
        _row.c.key, _row.c.reason, _row.c.status, sa.func.coalesce(_row.c.suppressed_at, _row.c.changed_at, at)
    ).where(_row.c.reason != "", _row.c.outcome != STAYS_ERASED)
    _fill(session, Suppression, ("key", "reason", "status", "created_at"), stops)

    since = sa.func.coalesce(_row.c.since, at)
    fresh = _row.c.outcome == NEW
    people = sa.select(_row.c.email, _row.c.key, _row.c.name, _row.c.tags, since).where(fresh).order_by(_row.c.key)
    # Who is here for another newsletter stays as they are, but is written: see `keep_subscriber`.
    _fill(session, Subscriber, ("email", "key", "name", "tags", "created_at"), people, ours=col(Subscriber.name))
    count_rows(session, str(Subscriber.__tablename__))

    joined = sa.join(_row, Subscriber, col(Subscriber.key) == _row.c.key)
    subscriptions = (
        sa.select(
            col(Subscriber.id),
            sa.literal(paper.id),
            _row.c.state,
            _row.c.paused_until,
            *(_row.c[choice] for choice in _CHOICES),
            sa.literal(upto),
            _row.c.consent,
            since,
            sa.func.coalesce(_row.c.changed_at, at),
        )
        .select_from(joined)
        .where(fresh)
    )
    columns = ("state", "paused_until", *_CHOICES, "read_until", "consent", "created_at", "changed_at")
    _fill(session, Subscription, ("subscriber_id", "newsletter_id", *columns), subscriptions)

    for outcome, state in ((ENDED, SubscriptionState.UNSUBSCRIBED), (CONFIRMED, SubscriptionState.ACTIVE)):
        if connection.execute(sa.select(_row.c.key).where(_row.c.outcome == outcome).limit(1)).first() is None:
            continue  # the statement below walks through everybody
        whose = sa.select(col(Subscriber.id)).select_from(joined).where(_row.c.outcome == outcome)
        changed: dict[str, Any] = {"state": state, "changed_at": evidence.at, "paused_until": None}
        if outcome == CONFIRMED:
            changed["read_until"] = upto
        connection.execute(
            sa.update(Subscription)
            .where(col(Subscription.newsletter_id) == paper.id, col(Subscription.subscriber_id).in_(whose))
            .values(changed)
        )

    event = sa.case(
        (_row.c.state == SubscriptionState.UNSUBSCRIBED, ConsentEvent.UNSUBSCRIBED.value),
        (_row.c.state == SubscriptionState.PENDING, ConsentEvent.PENDING.value),
        else_=ConsentEvent.SUBSCRIBED.value,
    )
    left = _row.c.state == SubscriptionState.UNSUBSCRIBED
    said_at = sa.case((~fresh, at), (left, sa.func.coalesce(_row.c.changed_at, at)), else_=since)
    history = (
        sa.select(
            col(Subscriber.id),
            sa.literal(paper.id),
            sa.type_coerce(said_at, UtcTime),
            event,
            sa.literal(evidence.how),
            sa.case((left, ""), else_=evidence.vouched_by),
            _row.c.ip,
            sa.case((_row.c.consent == evidence.how, ""), else_=_row.c.consent),
        )
        .select_from(joined)
        .where(_row.c.outcome.in_((NEW, ENDED, CONFIRMED)))
    )
    _fill(
        session,
        Consent,
        ("subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail"),
        history,
    )


def _fill(session: Session, table: type[Any], columns: Sequence[str], rows: Any, *, ours: Any = None) -> None:
    """Insert what is not there yet; with `ours`, a column, hold on to what is there by writing it as it was."""
    insert = insert_into(session, table).from_select(list(columns), rows, include_defaults=False)
    if ours is None:
        insert = insert.on_conflict_do_nothing()
    else:
        insert = insert.on_conflict_do_update(index_elements=["key"], set_={ours.name: ours})
    session.connection().execute(insert)
