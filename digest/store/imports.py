"""A list of people on its way in: rows gather in a temporary table, are judged, and become people in a few statements.

The temporary table belongs to one connection (`Database.pinned`) and costs nobody a lock, so a long file is read
without holding up a sender. Only what makes people of the rows needs the write lock, and it goes in steps of `STEP`
rows (`spans`), each with its own transaction.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Newsletter, Subscriber, Subscription, SubscriptionState, Suppression, UtcTime
from digest.store import suppressions, witness
from digest.store.consent_tables import Consent, ConsentEvent, Erasure
from digest.store.database import count_rows, insert_into, not_by_index
from digest.store.editions import composed_upto
from digest.store.import_tables import ImportChange, ListImport
from digest.values import Evidence

STEP = 5_000  # rows in one transaction: a fraction of a second on SQLite, where nobody else can write meanwhile

# What becomes of a row. The first three change a subscription; a row without a state has none.
NEW, ENDED, CONFIRMED = "new", "ended", "confirmed"
KNOWN, STAYS_GONE, STAYS_SUPPRESSED, STAYS_ERASED = "known", "stays gone", "stays suppressed", "stays erased"


def _cell(name: str, kind: Any = sa.String, empty: str | None = "") -> sa.Column[Any]:
    """A column of `import_row`; `empty` is what stands in it where nothing is said (None: NULL)."""
    if empty is None:
        return sa.Column(name, kind)
    return sa.Column(name, kind, nullable=False, server_default=sa.false() if kind is sa.Boolean else empty)


_row = sa.Table(
    "import_row",
    sa.MetaData(),
    sa.Column("key", sa.String, primary_key=True),
    *map(_cell, ("email", "mark", "name", "state", "cadence", "zone", "language", "taste_key")),
    *map(_cell, ("ip", "consent", "reason", "status", "outcome")),
    *(_cell(name, sa.Integer, "0") for name in ("rank", "stamp")),
    *(_cell(name, sa.JSON, "[]") for name in ("topics", "tags")),
    *(_cell(name, sa.JSON, "{}") for name in ("taste", "fields")),
    *(_cell(name, UtcTime, None) for name in ("since", "changed_at", "paused_until", "suppressed_at")),
    _cell("hour", sa.Integer, None),
    _cell("plain", sa.Boolean),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)
rows = _row  # laid down, judged: for `import_log.update`
_CHOICES = ("topics", "cadence", "hour", "zone", "language", "plain", "taste", "taste_key")
_SUPPRESSION = ("reason", "status", "suppressed_at")


class Span(NamedTuple):
    """Rows that lie together: behind one key, up to another. "" is no end."""

    after: str = ""
    upto: str = ""

    def of(self, key: Any) -> sa.ColumnElement[bool]:
        """That a key is one of theirs."""
        ends = [key > self.after] if self.after else []
        return sa.and_(sa.true(), *ends, *([key <= self.upto] if self.upto else []))


ALL = Span()


def stamp_of(name: str, tags: Sequence[str], fields: Mapping[str, str]) -> int:
    """A number that changes with a person's name, tags and fields: whoever has another one was changed since."""
    parts = [name, *tags, *(f"{at}={fields[at]}" for at in sorted(fields))] if fields else [name, *tags]
    return zlib.crc32("\0".join(parts).encode("utf-8", "surrogatepass")) & 0x7FFFFFFF


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
    said = [name for name in rows[0] if name == "key" or any(_says(row[name]) for row in rows)]
    some = [{name: row[name] for name in said} for row in rows]
    session.connection().execute(insert.on_conflict_do_update(index_elements=["key"], set_=values), some)


def _says(value: Any) -> bool:
    """Is it anything but what stands in its column by itself? Most lists fill few columns, and each cell costs."""
    return bool(value) or (value == 0 and value is not False)


def spans(session: Session) -> Iterator[Span]:
    """All rows that are laid down, `STEP` at a time, in the order of their keys."""
    count_rows(session, _row.name)
    after = ""
    while True:
        behind = sa.select(_row.c.key).where(_row.c.key > after).order_by(_row.c.key).offset(STEP - 1).limit(1)
        upto = session.connection().execute(behind).scalar() or ""
        yield Span(after, upto)
        if not upto:
            return
        after = upto


def judge(session: Session, paper: Newsletter, span: Span = ALL) -> list[tuple[str, str, int, int]]:
    """Mark each row with what becomes of it; (outcome, state, rows, of them newly suppressed)."""
    if span == ALL:
        count_rows(session, _row.name)
    ours = span.of(_row.c.key)
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
    session.connection().execute(sa.update(_row).where(ours).values(outcome=outcome))
    newly = sa.case((sa.and_(_row.c.reason != "", ~suppressed, _row.c.outcome != STAYS_ERASED), 1), else_=0)
    counts = sa.select(_row.c.outcome, _row.c.state, sa.func.count(), sa.func.sum(newly)).where(ours)
    counts = counts.group_by(_row.c.outcome, _row.c.state)
    return [(o, s, int(n), int(stops)) for o, s, n, stops in session.connection().execute(counts)]


def outcomes(session: Session, keys: Sequence[str]) -> dict[str, str]:
    """What `judge` has marked these keys with."""
    query = sa.select(_row.c.key, _row.c.outcome).where(_row.c.key.in_(keys))
    return {row.key: row.outcome for row in session.connection().execute(query)}


def listed(session: Session, paper: Newsletter) -> int:
    """How many are on the list now: all but who left."""
    gone = SubscriptionState.UNSUBSCRIBED
    there = sa.select(sa.func.count()).select_from(Subscription)
    there = there.where(col(Subscription.newsletter_id) == paper.id, col(Subscription.state) != gone)
    return int(session.connection().execute(there).scalar_one())


def hold(session: Session, paper: Newsletter, span: Span) -> None:
    """Let none of these people change, leave or be erased until the transaction ends: they are to be as they were
    judged. On SQLite nobody else writes meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":
        theirs = sa.select(col(Subscription.id)).join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        theirs = theirs.join(_row, _row.c.key == col(Subscriber.key))
        theirs = theirs.where(span.of(_row.c.key), col(Subscription.newsletter_id) == paper.id)
        theirs = theirs.order_by(col(Subscription.id)).with_for_update(of=Subscription, key_share=True)
        session.connection().execute(sa.select(sa.func.count()).select_from(theirs.subquery())).one()


def begin_log(session: Session, paper: Newsletter, name: str, evidence: Evidence) -> ListImport:
    """A number for an import that is about to change somebody."""
    assert paper.id is not None
    run = ListImport(newsletter_id=paper.id, name=name, at=evidence.at, vouched_by=evidence.vouched_by)
    run.consent_from = run.consent_to = _last_line(session)
    session.add(run)
    session.flush()
    return run


def _last_line(session: Session) -> int:
    """The number of the newest line of anybody's history."""
    return session.connection().execute(sa.select(sa.func.max(col(Consent.id)))).scalar() or 0


def note(session: Session, paper: Newsletter, run: ListImport, span: Span) -> None:
    """Keep for each person whom it will change what that is, and how it was before."""
    new = _row.c.outcome == NEW
    stops = sa.and_(_row.c.reason != "", _row.c.outcome != STAYS_ERASED, col(Suppression.key).is_(None))
    what = (
        sa.case((sa.and_(new, col(Subscriber.id).is_(None)), "p"), else_="")
        + sa.case((new, "s"), (_row.c.outcome == ENDED, "e"), (_row.c.outcome == CONFIRMED, "c"), else_="")
        + sa.case((stops, "x"), else_="")
    )
    changes = (
        sa.select(
            _row.c.key,
            sa.literal(run.id),
            what,
            _row.c.stamp,
            sa.func.coalesce(sa.type_coerce(col(Subscription.state), sa.String), ""),
            col(Subscription.paused_until),
            col(Subscription.read_until),
            sa.case((stops, _row.c.reason), else_=""),
        )
        .select_from(_row)
        .outerjoin(Subscriber, col(Subscriber.key) == _row.c.key)
        .outerjoin(
            Subscription,
            sa.and_(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == paper.id),
        )
        .outerjoin(Suppression, col(Suppression.key) == _row.c.key)
        .where(span.of(_row.c.key), sa.or_(_row.c.outcome.in_((NEW, ENDED, CONFIRMED)), stops))
        .order_by(_row.c.key)
    )
    names = ("key", "import_id", "what", "stamp", "state", "paused_until", "read_until", "reason")
    insert = sa.insert(ImportChange).from_select(list(names), changes, include_defaults=False)
    session.connection().execute(insert)


def end_log(session: Session, run: ListImport, counts: Mapping[str, int], span: Span) -> None:
    """Up to which line people's histories are this import's, and what it has counted so far."""
    last = _last_line(session)
    mine = (span.of(col(ImportChange.key)), col(ImportChange.import_id) == run.id)
    noted = sa.update(ImportChange).where(*mine).values(consent_to=last)
    session.connection().execute(noted.execution_options(synchronize_session=False))
    values = {"consent_to": last, "counts": dict(counts)}
    kept = sa.update(ListImport).where(col(ListImport.id) == run.id).values(values)
    session.connection().execute(kept.execution_options(synchronize_session=False))


def settle(session: Session, paper: Newsletter, evidence: Evidence, span: Span = ALL) -> None:
    """Make people of the rows that `judge` marked: subscribers, subscriptions, consent, suppressions."""
    assert paper.id is not None
    ours = span.of(_row.c.key)
    connection = session.connection()
    upto = composed_upto(session, paper.id)
    at = sa.literal(evidence.at, UtcTime)
    stops = sa.select(
        _row.c.key, _row.c.reason, _row.c.status, sa.func.coalesce(_row.c.suppressed_at, _row.c.changed_at, at)
    ).where(ours, _row.c.reason != "", _row.c.outcome != STAYS_ERASED)
    _fill(session, Suppression, ("key", "reason", "status", "created_at"), stops)
    _note_stops(session, ours)
    since = sa.func.coalesce(_row.c.since, at)
    fresh = sa.and_(ours, _row.c.outcome == NEW)
    people = (
        sa.select(_row.c.email, _row.c.key, _row.c.name, _row.c.tags, _row.c.fields, since)
        .where(fresh)
        .order_by(_row.c.key)
    )
    # Who is here for another newsletter stays as they are, but is written: see `keep_subscriber`.
    columns_of_people = ("email", "key", "name", "tags", "fields", "created_at")
    _fill(session, Subscriber, columns_of_people, people, ours=col(Subscriber.name))
    if not span.after:
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
        if connection.execute(sa.select(_row.c.key).where(ours, _row.c.outcome == outcome).limit(1)).first() is None:
            continue
        whose = sa.select(col(Subscriber.id)).select_from(joined).where(ours, _row.c.outcome == outcome)
        changed: dict[str, Any] = {"state": state, "changed_at": evidence.at, "paused_until": None}
        if outcome == CONFIRMED:
            changed["read_until"] = upto
        ids = connection.scalars(
            sa.update(Subscription)
            # SQLite would walk through everybody in each step.
            .where(
                not_by_index(col(Subscription.newsletter_id)) == paper.id, col(Subscription.subscriber_id).in_(whose)
            )
            .values(changed)
            .returning(col(Subscription.id))
        )
        witness.note_subscriptions(session, "unsubscribed" if outcome == ENDED else "returned", ids.all())

    event = sa.case(
        (_row.c.state == SubscriptionState.UNSUBSCRIBED, ConsentEvent.UNSUBSCRIBED.value),
        (_row.c.state == SubscriptionState.PENDING, ConsentEvent.PENDING.value),
        else_=ConsentEvent.SUBSCRIBED.value,
    )
    left = _row.c.state == SubscriptionState.UNSUBSCRIBED
    said_at = sa.case((_row.c.outcome != NEW, at), (left, sa.func.coalesce(_row.c.changed_at, at)), else_=since)
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
        .where(ours, _row.c.outcome.in_((NEW, ENDED, CONFIRMED)))
    )
    _fill(
        session,
        Consent,
        ("subscriber_id", "newsletter_id", "at", "event", "how", "vouched_by", "ip", "detail"),
        history,
    )


def _note_stops(session: Session, ours: sa.ColumnElement[bool]) -> None:
    """Tell the witness of readers who are suppressed by this."""
    if witness.noted(session) is None:
        return
    rows = sa.select(_row.c.key, _row.c.reason, _row.c.status).join(Subscriber, col(Subscriber.key) == _row.c.key)
    rows = rows.where(ours, _row.c.reason != "", _row.c.outcome != STAYS_ERASED)
    for key, reason, status in session.connection().execute(rows).all():
        witness.note_person(session, "suppressed", key, reason=reason, status=status)


def _fill(session: Session, table: type[Any], columns: Sequence[str], rows: Any, *, ours: Any = None) -> None:
    """Insert what is not there yet; with `ours`, a column, hold on to what is there by writing it as it was."""
    insert = insert_into(session, table).from_select(list(columns), rows, include_defaults=False)
    if ours is None:
        insert = insert.on_conflict_do_nothing()
    else:
        insert = insert.on_conflict_do_update(index_elements=["key"], set_={ours.name: ours})
    session.connection().execute(insert)
