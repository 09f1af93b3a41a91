"""Whose turn it is: readers by their schedules and choices, and the letters they are owed of an edition."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import (
    Edition,
    EditionState,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    UtcTime,
    Variant,
    address_key,
)
from digest.schedule import Turn
from digest.store import tallies, waking
from digest.store.database import count_rows, insert_into, shared_now
from digest.store.filling import fill
from digest.store.suppressions import bars


@dataclass(frozen=True)
class VariantKey:
    """What a variant is made for: stories after `since` under these topics (none: all), in a language and a format.

    When readers want it is no part of it: it decides whether they are due, and the mail is the same. Nor is what they
    mute or want more of, but what that comes to: the stories that they would get without it, and those that move.
    """

    since: int
    topics: frozenset[str]
    language: str = ""  # "" is the newsletter's
    plain: bool = False
    chosen_from: tuple[tuple[str, int], ...] = ()  # topics that count from a later story on, see `widen`
    max_stories: int = 0  # 0 is none but the newsletter's
    muted: frozenset[int] = frozenset()  # seqs
    moved: frozenset[tuple[int, int]] = frozenset()  # (seq, level), see `curate.Cut`

    def counts(self, seq: int, topic: str) -> bool:
        """Has a story of this topic not been offered yet to whom this is made for?"""
        if seq <= self.since or not self.chosen_from:
            return seq > self.since
        return seq > counts_from(dict(self.chosen_from), topic)

    @classmethod
    def of(cls, variant: Variant) -> VariantKey:
        """What a variant was made for."""
        later = tuple(sorted(variant.chosen_from.items()))
        topics, muted = frozenset(variant.topics), frozenset(variant.muted)
        moved = frozenset((seq, level) for seq, level in variant.moved)
        return cls(variant.since_seq, topics, variant.language, variant.plain, later, variant.max_stories, muted, moved)


EVERY = "*"  # in `chosen_from`: each topic that is not named


def counts_from(chosen_from: Mapping[str, int], topic: str) -> int:
    """The seq up to which a topic told nothing to who chose it later."""
    return chosen_from.get(topic, chosen_from.get(EVERY, 0))


class Group(NamedTuple):
    """How many subscriptions have this in common, as they have stored it."""

    since: int
    topics: str
    language: str
    plain: bool
    chosen_from: str = "{}"
    taste: str = ""  # its key, see `store.tastes`
    readers: int = 0


Hours = tuple[str, int | None, str]  # cadence, hour and zone of a reader

# What a composition decided, laid beside the subscriptions for as long as it takes: one statement then owes all
# letters, however many schedules and variants there are.
_turn = sa.Table(
    "reader_turn",
    sa.MetaData(),
    sa.Column("cadence", sa.String, primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),  # -1 is none
    sa.Column("zone", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("due_at", UtcTime, nullable=False),
    sa.Column("slot", UtcTime, nullable=False),
    sa.Column("day", UtcTime),
    sa.Column("missed", UtcTime),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.Column("new", sa.Boolean, nullable=False),
    sa.Column("sure", sa.Boolean, nullable=False),
    sa.Column("known", UtcTime),
    sa.Column("spent", UtcTime),
    prefixes=["TEMPORARY"],
)
_made = sa.Table(
    "made_for",
    sa.MetaData(),
    sa.Column("since", sa.Integer),
    sa.Column("topics", sa.Text),
    sa.Column("language", sa.String),
    sa.Column("plain", sa.Boolean),
    sa.Column("chosen_from", sa.Text),
    sa.Column("taste", sa.String),
    sa.Column("variant_id", sa.Integer),  # as in `variants` of `owe`
    # PostgreSQL joins without, and has none of texts as long as some choices are.
    sa.Index("ix_made_for", "since", "topics", "language", "plain", "chosen_from", "taste").ddl_if(dialect="sqlite"),
    prefixes=["TEMPORARY"],
)
_recent = sa.Table(
    "recent_edition",
    sa.MetaData(),
    sa.Column("until", UtcTime, primary_key=True),  # no letter of it was tried later, or is to be
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
)
_some = sa.Table(
    "some_readers",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # of the subscription
    prefixes=["TEMPORARY"],
)
_due = sa.Table(
    "due_readers",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # of the subscription
    sa.Column("subscriber_id", sa.Integer, nullable=False),
    sa.Column("variant_id", sa.Integer),  # as in `variants` of `owe`
    sa.Column("due_at", UtcTime, nullable=False),
    sa.Column("slot", UtcTime, nullable=False),
    sa.Column("chosen", sa.Boolean, nullable=False),  # when they want it
    prefixes=["TEMPORARY"],
)
_NO_SYNC = {"synchronize_session": False}
_NO_END = datetime(9999, 1, 1, tzinfo=UTC)

MUTED = 0  # in place of a variant: they mute all of it
_TOGETHER = 64  # variants whose readers are owed their letters together


def lock_readers(session: Session, newsletter_id: int) -> None:
    """Let nobody of a newsletter change, leave or be erased until the transaction ends; the newsletter is locked.

    A composition, or an import, asks several times who there is, and each time PostgreSQL answers as of that moment:
    who changed in between would be told that their turn is over, and be owed nothing. On SQLite nobody else writes
    meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":
        rows = select(Subscription.id).where(Subscription.newsletter_id == newsletter_id).order_by(col(Subscription.id))
        session.exec(select(sa.func.count()).select_from(rows.with_for_update(key_share=True).subquery())).one()


def many(session: Session, newsletter_id: int, *, most: int) -> bool:
    """Has a newsletter more than `most` active subscriptions?"""
    ours = Subscription.newsletter_id == newsletter_id, Subscription.state == SubscriptionState.ACTIVE
    return session.exec(select(Subscription.id).where(*ours).offset(most).limit(1)).first() is not None


def readers_hours(session: Session, newsletter_id: int, *, unread: int | None = None) -> list[Hours]:
    """The different schedules that active subscriptions have; those that have not read up to `unread`, or all."""
    query = select(Subscription.cadence, Subscription.hour, Subscription.zone).distinct()
    theirs = [col(Subscription.read_until) < unread] if unread is not None else []
    return list(session.exec(query.where(*deliverable(newsletter_id), *theirs)))


@contextmanager
def laid_out(session: Session, newsletter_id: int, turns: Mapping[Hours, Sequence[Turn]]) -> Iterator[None]:
    """Within the block, `due_groups`, `owe` and their like know who of which schedule is due."""
    rows = [
        asdict(turn) | {"cadence": cadence, "hour": -1 if hour is None else hour, "zone": zone, "number": number}
        for (cadence, hour, zone), theirs in turns.items()
        for number, turn in enumerate(theirs)
    ]
    _lay(session, _turn, rows)
    earliest = _earliest(turn for theirs in turns.values() for turn in theirs)
    _lay(session, _recent, _going_since(session, newsletter_id, earliest))
    yield
    _recent.drop(session.connection())
    _turn.drop(session.connection())


def _earliest(turns: Iterable[Turn]) -> datetime | None:
    """The earliest moment since which somebody may have had a letter."""
    moments = (moment for turn in turns for moment in (turn.day, turn.missed, turn.spent) if moment is not None)
    return min(moments, default=None)


def _going_since(session: Session, newsletter_id: int, moment: datetime | None) -> list[dict[str, Any]]:
    """The editions that may have a letter that was tried since then, or is to be: few of a year's."""
    if moment is None:
        return []
    ended: Any = sa.select(col(Edition.id), sa.case((col(Edition.tally).is_not(None), col(Edition.last_at))))
    rows = session.execute(ended.where(col(Edition.newsletter_id) == newsletter_id)).all()
    return [{"id": id_, "until": last or _NO_END} for id_, last in rows if last is None or last >= moment]


def _lay(session: Session, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make a temporary table of these rows, which have all of its columns."""
    table.create(session.connection())
    fill(session, table, rows)
    count_rows(session, table.name)


def _owed(edition_id: int | None) -> sa.ColumnElement[bool]:
    """Is there a letter of an edition to them, whatever became of it?"""
    mine = col(OutboxRow.edition_id) == edition_id, col(OutboxRow.subscriber_id) == col(Subscription.subscriber_id)
    return sa.exists().where(*mine)


def left_to_lay(
    session: Session, edition: Edition | None, newsletter_id: int, variants: Mapping[Group, int | None], *, marks: bool
) -> array[int]:
    """Those who are due (see `laid_out`), belong to one of these groups, and are owed no letter of an edition yet.

    Their subscriptions' numbers in their order, those of a few variants together. With `marks` also those who chose
    when they want it, and get nothing.
    """
    _lay_groups(session, variants)
    wanted: list[sa.ColumnElement[bool]] = [_made.c.since.is_not(None)]
    wanted += [col(Subscription.cadence) != "", col(Subscription.hour).is_not(None)] if marks else []
    query: Any = (
        sa.select(col(Subscription.id))
        .join(_turn, sa.and_(*_has_turn(edition)))
        .outerjoin(_made, sa.and_(*_in_group()))
        .where(*deliverable(newsletter_id), sa.or_(*wanted), ~_owed(edition.id if edition else 0))
        # Readers lie by their numbers, their letters by variants: the rows of a step lie together, both of them.
        .order_by(sa.func.coalesce(_made.c.variant_id, 0) // _TOGETHER, col(Subscription.id))
    )
    connection = session.connection()
    found = array("q", (row[0] for row in connection.execute(query, execution_options={"yield_per": 1_000})))
    _made.drop(connection)
    return found


def all_groups(session: Session, newsletter_id: int) -> list[Group]:
    """What the active, unsuppressed subscriptions have in common, due or not."""
    return _grouped(session, *deliverable(newsletter_id))


def due_groups(session: Session, newsletter_id: int, *, edition: Edition | None = None) -> list[Group]:
    """What those who are due (see `laid_out`), or were before letters of `edition` were owed, have in common."""
    return _grouped(session, *deliverable(newsletter_id), *_has_turn(edition))


def groups_left(session: Session, newsletter_id: int, edition: Edition) -> list[Group]:
    """The same of those who may have something to read in an edition, and are owed no letter of it yet."""
    # Nearly all are owed one by now: by how far they have read they are passed by, and nothing else is asked of them.
    left = col(Subscription.read_until) < edition.upto_seq, ~_owed(edition.id)
    return _grouped(session, *deliverable(newsletter_id), *left, *_has_turn(edition))


def _grouped(session: Session, *conditions: sa.ColumnElement[bool]) -> list[Group]:
    same = [col(Subscription.read_until), _topics_text(), col(Subscription.language), col(Subscription.plain)]
    same += [_chosen_from_text(), col(Subscription.taste_key)]
    query: Any = sa.select(*same, sa.func.count()).where(*conditions).group_by(*same).order_by(*same)
    return [Group._make(row) for row in session.connection().execute(query)]


def _has_turn(edition: Edition | None = None) -> tuple[sa.ColumnElement[bool], ...]:
    """Whose turn it is, see `schedule.Turn`; or was, before letters of `edition` were owed.

    A slot that had nothing for them stands in `offered_at` too, and takes no later letter of that day from them. Who
    has come back has nothing there, and may have had a letter on that day before they went.
    """
    offered, day, missed = col(Subscription.offered_at), _turn.c.day, _turn.c.missed
    none_yet, but = offered.is_(None), edition.id if edition else None
    new, spent = sa.or_(_turn.c.new, col(Subscription.changed_at) <= _turn.c.known), _turn.c.spent
    makes_up = sa.and_(sa.or_(sa.and_(none_yet, new), offered < day), ~_had_since(day, but))
    missed_it = sa.and_(sa.or_(none_yet, offered < missed), ~_had_since(missed, but))
    regular = sa.and_(
        sa.or_(missed.is_(None), ~missed_it),
        sa.or_(day.is_(None), offered < day, sa.and_(sa.or_(none_yet, ~_turn.c.sure), ~_had_since(day, but))),
        sa.or_(spent.is_(None), sa.and_(sa.or_(none_yet, offered >= spent), _had_since(spent, but))),
    )
    return (
        _turn.c.cadence == Subscription.cadence,
        _turn.c.hour == sa.func.coalesce(col(Subscription.hour), -1),
        _turn.c.zone == Subscription.zone,
        sa.case((_turn.c.late, makes_up), else_=regular),
    )


def _had_since(moment: Any, but: int | None) -> sa.ColumnElement[bool]:
    """Did a letter of an edition (`but` one) go to them since, or is it to go?"""
    # Edition by edition, which are few: a reader has letters of years. As a join SQLite might go through these first.
    letter = sa.exists().where(
        col(OutboxRow.edition_id) == _recent.c.id,
        col(OutboxRow.subscriber_id) == col(Subscription.subscriber_id),
        col(OutboxRow.subscription_id) == col(Subscription.id),
        col(OutboxRow.state) != OutboxState.DROPPED,
        # Of one under way `due_at` is when its lease runs out.
        sa.func.coalesce(col(OutboxRow.tried_at), col(OutboxRow.due_at)) >= moment,
    )
    recent = sa.select(_recent.c.id).where(_recent.c.until >= moment, _recent.c.id != (but or 0))
    return recent.where(letter.correlate(Subscription, _turn, _recent)).correlate(Subscription, _turn).exists()


def owe(
    session: Session,
    newsletter_id: int,
    variants: Mapping[Group, int | None],
    *,
    edition: Edition | None,
    upto: int,
    marks: bool,
    now: datetime,
    some: Sequence[int] | None = None,
) -> int:
    """Owe a letter to each subscription that is due (see `laid_out`) and has a variant, and count it as read.

    `variants` says which one (its id) a group gets; MUTED: nothing, for they mute all that there is up to `upto`, and
    it does not come once they mute it no more; None: they have nothing to read. Who belongs to no group is left alone,
    and who is owed a letter of the edition already. With `marks` also the slot passes of those who chose one and got
    nothing in it; where the newsletter has none, a later run of their day may have something for them.

    All of a newsletter, whose readers are locked; or `some` (their subscriptions' numbers), who stay as they are until
    the transaction ends. How many letters.
    """
    connection = session.connection()
    with _at_hand(session, some) as theirs:
        if some is not None and len(variants) > len(some):
            here = (group._replace(readers=0) for group in _grouped(session, *theirs))
            variants = {group: variants[group] for group in here if group in variants}
        _lay_groups(session, variants)
        due = (
            sa.select(
                *(col(Subscription.id), col(Subscription.subscriber_id), _made.c.variant_id),
                *(_turn.c.due_at, _turn.c.slot),
                sa.or_(col(Subscription.cadence) != "", col(Subscription.hour).is_not(None)),
            )
            .select_from(Subscription)
            .join(_turn, sa.and_(*_has_turn(edition)))
            .join(_made, sa.and_(*_in_group()))
            # By their numbers, or all of a newsletter, and by no other index.
            .where(*theirs, *deliverable(newsletter_id)[0 if some is None else 1 :])
            .where(~_owed(edition.id if edition else 0))
        )
        _due.create(connection)
        connection.execute(sa.insert(_due).from_select([column.name for column in _due.c], due))
        _made.drop(connection)
    count_rows(session, _due.name)
    letters = _write_letters(session, edition, now=now) if edition else 0
    _mark(session, upto=upto, marks=marks, now=now)
    _due.drop(connection)
    return letters


@contextmanager
def _at_hand(session: Session, some: Sequence[int] | None) -> Iterator[Sequence[sa.ColumnElement[bool]]]:
    """Within the block, how to find these subscriptions, who stay as they are; None: all."""
    if some is None:
        yield ()
        return
    _lay(session, _some, [{"id": id_} for id_ in some])
    among = col(Subscription.id).in_(sa.select(_some.c.id))
    if session.get_bind().dialect.name == "postgresql":
        rows = select(Subscription.id).where(among).order_by(col(Subscription.id))
        session.exec(select(sa.func.count()).select_from(rows.with_for_update(key_share=True).subquery())).one()
    yield (among,)
    _some.drop(session.connection())


def _write_letters(session: Session, edition: Edition, *, now: datetime) -> int:
    constants: dict[str, Any] = {
        "edition_id": sa.literal(edition.id),
        "state": sa.literal(OutboxState.OWED.value),
        "attempts": sa.literal(0),
        "created_at": sa.literal(now, UtcTime),
        "code": sa.literal(0),
        "reply": sa.literal(""),
        "in_doubt": sa.literal(False),
        # What is due at once is so by the clock that claims go by; a reader's hour is by the clock on the wall.
        "due_at": sa.case((_due.c.due_at <= now, sa.literal(shared_now(session, now), UtcTime)), else_=_due.c.due_at),
        "variant_id": _due.c.variant_id,
        "subscriber_id": _due.c.subscriber_id,
        "subscription_id": _due.c.id,
    }
    # Claims come by number: letters of one variant lie together, so that its template is made once.
    letters = sa.select(*constants.values()).where(_due.c.variant_id > MUTED).order_by(_due.c.variant_id, _due.c.id)
    connection = session.connection()
    owed = connection.execute(
        sa.insert(OutboxRow).from_select(list(constants), letters, include_defaults=False),
        execution_options={"preserve_rowcount": True},
    )
    each = sa.select(_due.c.variant_id, sa.func.count().label("letters")).where(_due.c.variant_id > MUTED)
    more = each.group_by(_due.c.variant_id).subquery()
    session.execute(
        sa.update(Variant).where(col(Variant.id) == more.c.variant_id).values(letters=Variant.letters + more.c.letters),
        execution_options=_NO_SYNC,
    )
    tallies.reopen(session, editions=[edition.id or 0])
    waking.wake(session, waking.DELIVER)
    return owed.rowcount


def _mark(session: Session, *, upto: int, marks: bool, now: datetime) -> None:
    """Remember how far who was owed something has read, and which slot of theirs they had."""
    letter, mine = _due.c.variant_id > MUTED, col(Subscription.id) == _due.c.id
    slot = _due.c.chosen if marks else sa.and_(_due.c.chosen, letter)
    offered = sa.case((slot, _due.c.slot), (letter, sa.literal(now, UtcTime)), else_=col(Subscription.offered_at))
    read = sa.update(Subscription).where(mine, _due.c.variant_id.is_not(None))
    session.execute(
        read.values(read_until=upto, chosen_from={}, offered_at=offered),
        execution_options=_NO_SYNC,
    )
    if marks:
        had = sa.update(Subscription).where(mine, _due.c.variant_id.is_(None), _due.c.chosen)
        session.execute(had.values(offered_at=_due.c.slot), execution_options=_NO_SYNC)


def _lay_groups(session: Session, variants: Mapping[Group, int | None]) -> None:
    columns = ("since", "topics", "language", "plain", "chosen_from", "taste", "variant_id")
    _lay(session, _made, [dict(zip(columns, (*group[:6], id_), strict=True)) for group, id_ in variants.items()])


def _in_group() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _made.c.since == Subscription.read_until,
        _made.c.topics == _topics_text(),
        _made.c.language == Subscription.language,
        _made.c.plain == Subscription.plain,
        _made.c.chosen_from == _chosen_from_text(),
        _made.c.taste == Subscription.taste_key,
    )


@dataclass(frozen=True)
class Welcoming:
    """The edition that welcomes who comes now, and the seq of the last story that those before it had to offer."""

    edition: Edition
    start: int


def welcoming(session: Session, newsletter_id: int, *, since: datetime) -> Welcoming | None:
    """The latest edition; None where it is held, paused, cancelled, or was composed before `since`."""
    latest = session.exec(
        select(Edition).where(Edition.newsletter_id == newsletter_id).order_by(col(Edition.number).desc()).limit(1)
    ).first()
    if latest is None or latest.pruned or latest.state is not EditionState.OPEN or latest.composed_at < since:
        return None
    return Welcoming(latest, edition_before(session, newsletter_id, latest.number))


def edition_before(session: Session, newsletter_id: int, number: int) -> int:
    """The seq up to which editions with a lower number had stories to offer."""
    query = select(sa.func.max(Edition.upto_seq)).where(Edition.newsletter_id == newsletter_id, Edition.number < number)
    return session.exec(query).one() or 0


def to_welcome(session: Session, newsletter_id: int, *, limit: int, lock: bool = False) -> list[Subscription]:
    """Who has come and waits for the latest edition, the first first; with `lock` ours alone."""
    query = (
        select(Subscription)
        .where(col(Subscription.awaits_welcome), *deliverable(newsletter_id))
        .order_by(col(Subscription.id))
        .limit(limit)
    )
    if lock:
        return list(session.exec(query.with_for_update(), execution_options={"populate_existing": True}))
    return list(session.exec(query))


def owe_welcome(session: Session, subscription: Subscription, edition: Edition, variant_id: int, now: datetime) -> bool:
    """Owe an edition to who has just come, and count it as read; False where they were owed it before."""
    letter = {
        "edition_id": edition.id,
        "variant_id": variant_id,
        "subscriber_id": subscription.subscriber_id,
        "subscription_id": subscription.id,
        "due_at": shared_now(session, now),
        "created_at": now,
    }
    owed = session.connection().execute(
        insert_into(session, OutboxRow).values(letter).on_conflict_do_nothing().returning(col(OutboxRow.id))
    )
    if owed.scalar() is None:
        return False
    tallies.reopen(session, editions=[edition.id or 0])
    more = sa.update(Variant).where(col(Variant.id) == variant_id).values(letters=Variant.letters + 1)
    session.execute(more, execution_options=_NO_SYNC)
    subscription.read_until = edition.upto_seq
    return True


def had(session: Session, subscription: Subscription, edition: Edition) -> bool:
    """Was this edition owed to them?"""
    theirs = select(OutboxRow.id).where(
        OutboxRow.edition_id == edition.id, OutboxRow.subscriber_id == subscription.subscriber_id
    )
    return session.exec(theirs).first() is not None


def widen(session: Session, subscription: Subscription, former: Collection[str]) -> None:
    """Who chose topics beyond the `former` ones gets what the last edition had of these, and what comes.

    Readers of a quiet topic have read up to where it last told something, which may be years ago: they begin at the
    last edition. Who has stories of the former topics before them gets these too, and of each topic it is remembered
    from where on it counts, until their next letter.
    """
    if not former or (subscription.topics and set(subscription.topics) <= set(former)):
        return
    from digest.store.story_tables import Story

    paper = subscription.newsletter_id
    last = session.exec(select(sa.func.max(Edition.number)).where(Edition.newsletter_id == paper)).one()
    start = edition_before(session, paper, last or 0)
    before_them = select(Story.id).where(
        Story.newsletter_id == paper,
        col(Story.topic).in_(former),
        col(Story.seq) > subscription.read_until,
        col(Story.seq) <= start,
        col(Story.dropped).is_(False),
    )
    if start <= subscription.read_until:
        return
    session.add(subscription)
    if session.exec(before_them.limit(1)).first() is None:
        subscription.read_until, subscription.chosen_from = start, {}
        return
    counts = dict(subscription.chosen_from)
    if subscription.topics:
        counts |= dict.fromkeys(set(subscription.topics) - set(former), start)
    else:
        counts = {topic: counts_from(counts, topic) for topic in former} | {EVERY: start}
    subscription.chosen_from = dict(sorted(counts.items()))


def last_composed(session: Session, newsletter_id: int) -> datetime | None:
    """When the last edition was composed."""
    return session.exec(select(sa.func.max(Edition.composed_at)).where(Edition.newsletter_id == newsletter_id)).one()


def choices_of(session: Session, newsletter_id: int, email: str) -> Group | None:
    """What one subscriber's next edition is made from; None where they do not subscribe."""
    query = (
        select(Subscription)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(Subscriber.key == address_key(email), *deliverable(newsletter_id))
    )
    found = session.exec(query).first()
    if found is None:
        return None
    return group_of(found, since=found.read_until, chosen_from=found.chosen_from)


def group_of(subscription: Subscription, *, since: int, chosen_from: Mapping[str, int] | None = None) -> Group:
    """Who chose the same as this subscription, and has read up to `since`."""
    topics, later = json.dumps(subscription.topics), json.dumps(chosen_from or {})
    return Group(since, topics, subscription.language, subscription.plain, later, subscription.taste_key)


def deliverable(newsletter_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    suppressed = (
        select(Suppression.key)
        .join(Subscriber, bars(col(Subscriber.key)))
        .where(Subscriber.id == Subscription.subscriber_id)
    )
    return (
        col(Subscription.newsletter_id) == newsletter_id,
        col(Subscription.state) == SubscriptionState.ACTIVE,
        ~suppressed.exists(),
    )


def _chosen_from_text() -> sa.ColumnElement[str]:
    return sa.cast(col(Subscription.chosen_from), sa.Text)


def _topics_text() -> sa.ColumnElement[str]:
    """The choice of topics as the text it is stored as, which both databases can group by."""
    return sa.cast(col(Subscription.topics), sa.Text)
