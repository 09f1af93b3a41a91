"""What a clock that was wrong once has stored, found and put back.

A machine that ran 400 days ahead for an hour leaves moments that others wait for: feeds asked next year, slots had
already. Nothing tells such a row from another but that no rule could have put its moment so far ahead, so each
column that somebody believes has a bound here: the latest moment that a rule could have put there, and what takes
the place of a later one. Days on which digest ran (`RunDay`) tell the rest: whether it was the clock then, or is now.

    column                        the latest a rule puts there    who believes it
    feed.next_at                  14 days: an interval, skipped   which feeds are due
    feed.checked_at, claimed_at   now                             the same, also with --force
    host.held_until               a day                           which hosts are left alone
    host.asked_at, said_at        now                             a host's next turn
    full_text.next_at             a day: a retry, a host's hold   which pages are read
    full_text.asked_at            now                             it goes with the former
    robots.read_at                now                             when robots.txt is read anew
    newsletter.slot_at            the coming slot                 whether an edition is due
    edition.slot_at               the coming slot                 one edition a day; unique, once its time comes
    edition.composed_at           now                             lateness, welcome, archive
    edition.open_at               held: 240 hours; else now       when it opens by itself, lateness, its canary
    outbox.due_at                 a reader's hour, a retry,       which letters are due, which may be
                                  or a lease                      taken over from a dead sender
    outbox.tried_at               now, once it was written        its lifetime, lateness
    subscription.offered_at       the coming slot                 whose turn it is
    subscription.paused_until     what a person chose             whose pause is over
    subscription.arrived_at       now                             which of a reader's troubles count
    relay_hour.hour               now                             limits of relays
    signup_mail.at                now                             limits of sign-ups
    webhook_event.due_at          a retry, or a lease             which events are due
    webhook_event.created_at      now                             which are given up; settled_at: which are forgotten
    webhook.failing_since         now                             which webhook is disabled
    api_answer.at                 now                             which answers are given again
    run.began_at, ended_at        now                             which are forgotten, the age of the last
    entry, story, admission, …    now                             order, freshness, what was told lately

What is only shown (`SHOWN`) stays as it was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlmodel import Session, select

from digest.column_types import bare as col
from digest.dataclass import dataclass
from digest.models import (
    Edition,
    EditionState,
    Feed,
    Host,
    Newsletter,
    NewsletterFeed,
    Notice,
    OutboxRow,
    OutboxState,
    RelayHour,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    UtcTime,
)
from digest.schedule import LONGEST, Schedule
from digest.store import idle, relays
from digest.store.clock import TOLERANCE, note_day, utc_day
from digest.store.database import Database, shared_now
from digest.store.run_tables import Run, RunDay

if TYPE_CHECKING:
    from digest.config import Config

_DAY = timedelta(days=1)
_FEED = timedelta(days=14)  # the longest interval is 7 days, and so is the longest backoff; 7 days may be skipped
_READERS_HOUR = LONGEST  # readers' hours lie before the newsletter's next slot, and before their own next day
RETRY = timedelta(hours=3)  # a letter that was put off; delivery waits for an hour and a bit at most
_APPROVAL = timedelta(hours=240)  # as `approve_hours` has it
_KEPT = timedelta(days=800)  # days of runs
_CLOCK_LOCK = 0x6469676573740003  # "digest", for pg_advisory_xact_lock
_NO_SYNC = {"synchronize_session": False}

# Moments that decide nothing: shown, told, or the word of others that is bounded where it is read.
SHOWN = {
    "edition.last_at",  # later than it was it costs a look at letters, whose moments decide
    "entry.published_at",
    "entry.updated_at",
    "entry.withdrawn_at",
    "outbox.dated_at",  # a letter that was tried has its Date: for good
    "entry_picture.next_at",  # whether one story is shown without its picture, at the worst
    "entry_picture.asked_at",
    "summary.made_at",  # when it is let go of, and a machine asked again
    "picture_file.used_at",  # which copies go last, within a bound of their size
    "consent.at",  # a history is added to, never changed
    "erasure.created_at",
    "feed_seen.until",  # the word of whoever moved here
    "arrival.at",
    "arrival.done_at",  # that there is one, not when
    "arrival.undone_at",
    "list_import.at",
    "list_import.undone_at",
    "import_change.paused_until",  # goes back to where it stood
    "refusal_count.since",  # names the opening of an edition that it counts for
    "signup_refusal.day",  # told for a day, then forgotten
    "run_day.day",  # see `verdict`
    "mail_report.read_at",  # when its words are forgotten, which is no hurry
    "mail_report.said_at",
    "mail_report.written_at",  # copied of its letter
    "mail_report.undone_at",
    "mail_report.done_at",
    "mail_source.read_at",
    "api_key.created_at",
    "api_key.used_at",
    "api_key.expires_at",  # a person's word
    "api_key.revoked_at",  # whenever it was
    "webhook.created_at",
    "webhook.ok_at",
    "webhook.disabled_at",  # whenever it was
    "alert.since",  # all of an alert's are taken for now where they lie ahead: see `alerts.judge`
    "alert.told_at",
    "alert.last_at",
    "alert.gone_at",
    "alert.well_at",
    "alert_telling.made_at",
    "alert_telling.taken_until",  # a lease that is too long holds for nobody
    "alert_telling.settled_at",
}

_ANY_SLOT = timedelta(days=400)
Healed = Mapping[str, int]  # how many rows, by kind in words


@dataclass(frozen=True)
class Scene:
    """What the bounds follow from: the schedules of newsletters by name, and how long a sender has a letter."""

    slots: Mapping[str, Schedule | None]
    lease: timedelta
    unknown: frozenset[str] = (
        frozenset()
    )  # newsletters whose settings cannot be read: none of their slots is too far ahead

    @classmethod
    def of(cls, config: Config) -> Scene:
        slots = {name: paper.slots for name, paper in config.newsletters.items()}
        lease = max([config.smtp.lease, *(config.imprint(name).smtp.lease for name in config.newsletters)])
        return cls(slots, lease, frozenset(config.broken))


class Bound(NamedTuple):
    """The latest moment that a rule could have put into a column, and what takes the place of a later one."""

    column: Any
    latest: Any
    becomes: Any


@dataclass(frozen=True)
class Rule:
    """The bounds of one table, and among which of its rows they hold."""

    kind: str
    bounds: tuple[Bound, ...]
    among: tuple[Any, ...] = ()

    @property
    def _beyond(self) -> tuple[Any, ...]:
        return (*self.among, sa.or_(*(bound.column > bound.latest for bound in self.bounds)))

    def count(self, session: Session) -> int:
        table = self.bounds[0].column.table
        return session.scalars(sa.select(sa.func.count()).select_from(table).where(*self._beyond)).one()

    def mend(self, session: Session) -> int:
        values = {
            bound.column.key: sa.case((bound.column > bound.latest, bound.becomes), else_=bound.column)
            for bound in self.bounds
        }
        statement = sa.update(self.bounds[0].column.table).where(*self._beyond).values(values)
        return session.connection().execute(statement).rowcount


# ---------------------------------------------------------------- what lies ahead, and back with it


def ahead(session: Session, scene: Scene, *, now: datetime, kinds: Collection[str] = ()) -> Healed:
    """What `heal` would put back, as far as somebody waits for it: how many rows, by kind; of some `kinds`, or all."""
    parts = _urgent(session, _bearings(session, scene, now=now))
    return _counted(session, (part for part in parts if not kinds or part.kind in kinds))


def heal(database: Database, scene: Scene, *, now: datetime) -> Healed:
    """Put back what lies further ahead than a rule could have put it; how many rows, by kind.

    To be called where a run begins, by a clock that `verdict` has nothing against. It notes the day. All tables are
    looked through on the first run of a day, and where something was found; else those that say what is due.
    Nothing is owed twice by it: what a reader was offered is kept by number, and a letter that a sender may have in
    hand stays with him for a whole lease more.
    """
    with database.read() as session:
        found_at = _bearings(session, scene, now=now)
        day = col(RunDay.day)
        known = session.execute(sa.select(day).where(day == found_at.today)).first() is not None
        found = set(_counted(session, _urgent(session, found_at)))
        if known and not found_at.leapt and not found:
            return {}
        found |= set(_counted(session, _thorough(found_at)))
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLOCK_LOCK)))
        to_come, forgotten = col(RunDay.day) > found_at.today, col(RunDay.day) < found_at.today - _KEPT
        days = to_come | forgotten if found_at.leapt else forgotten
        session.execute(sa.delete(RunDay).where(days), execution_options=_NO_SYNC)
        note_day(session, now=found_at.now)
        healed: Counter[str] = Counter()
        for part in (*_urgent(session, found_at), *_thorough(found_at)):
            if part.kind in found:
                healed[part.kind] += part.mend(session)
        return dict(+healed)


class Part(Protocol):
    """Rows of one kind that can lie ahead."""

    @property
    def kind(self) -> str: ...

    def count(self, session: Session) -> int: ...

    def mend(self, session: Session) -> int: ...


def _counted(session: Session, parts: Iterable[Part]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for part in parts:
        found[part.kind] += part.count(session)
    return dict(+found)


@dataclass(frozen=True)
class Bearings:
    """Where we are: `late` is beyond every clock that is right, `slots` the coming slot by newsletter (its id)."""

    now: datetime
    late: datetime
    day_late: datetime  # the same for what nobody waits for: a clock that was set by some hours falsifies nothing
    today: datetime
    leapt: bool  # digest ran on days to come: then nothing need be put down to a schedule that was another one before
    slots: Mapping[int, datetime]
    lease: timedelta

    def coming(self, newsletter_id: Any, *, at_least: timedelta = timedelta(0)) -> Any:
        """The latest moment that a slot of a newsletter can have, as SQL."""
        least = self.now + (timedelta(0) if self.leapt else at_least) + TOLERANCE
        latest = {id_: max(slot, least) for id_, slot in self.slots.items()}
        otherwise = sa.literal(least, UtcTime)
        return (
            sa.case(*((newsletter_id == id_, _at(slot)) for id_, slot in latest.items()), else_=otherwise)
            if latest
            else otherwise
        )


def _bearings(session: Session, scene: Scene, *, now: datetime) -> Bearings:
    now = shared_now(session, now)
    rows = session.execute(sa.select(col(Newsletter.id), col(Newsletter.name))).all()
    slots = {row.id: slots.next_slot(now) for row in rows if (slots := scene.slots.get(row.name))}
    slots |= {row.id: now + _ANY_SLOT for row in rows if row.name in scene.unknown}
    last = session.scalars(sa.select(sa.func.max(col(RunDay.day)))).one()
    leapt = last is not None and last > utc_day(now) + _DAY
    return Bearings(now, now + TOLERANCE, now + _DAY, utc_day(now), leapt, slots, scene.lease)


def _at(moment: datetime) -> Any:
    return sa.literal(moment, UtcTime)


def _urgent(session: Session, at: Bearings) -> Iterator[Part]:
    """What decides what is due: tables that are small, or have an index for it."""
    yield from _common(at)
    if idle.rare(session):
        from digest.store import healing_rare

        yield from healing_rare.urgent(at)


def _common(at: Bearings) -> Iterator[Part]:
    now, late = _at(at.now), _at(at.late)
    feed_ahead = sa.or_(col(Feed.checked_at) > late, col(Feed.claimed_at) > late)
    yield Rule(
        "feeds",
        (
            Bound(col(Feed.next_at), sa.case((feed_ahead, late), else_=_at(at.late + _FEED)), now),
            Bound(col(Feed.checked_at), late, None),
            Bound(col(Feed.claimed_at), late, None),
            Bound(col(Feed.ok_at), late, None),  # when it was is not known
            Bound(col(Feed.entry_at), late, now),
            Bound(col(Feed.failing_since), late, now),
            Bound(col(Feed.added_at), late, now),
        ),
    )
    yield Rule(
        "hosts",
        (
            Bound(col(Host.held_until), _at(at.late + _DAY), None),
            Bound(col(Host.asked_at), late, now),
            Bound(col(Host.said_at), late, now),
        ),
    )
    composed = (
        sa.select(sa.func.max(col(Edition.composed_at)))
        .where(col(Edition.newsletter_id) == col(Newsletter.id), col(Edition.composed_at) <= late)
        .correlate(col(Newsletter.id).table)
        .scalar_subquery()
    )
    # As of its last edition: the slot that came since has not been had.
    slot = sa.func.coalesce(composed, now)
    yield Rule("newsletters", (Bound(col(Newsletter.slot_at), at.coming(col(Newsletter.id)), slot),))
    yield _Editions(at)
    yield _Pauses(at)
    yield _Hours(at)
    yield _letters(at)
    yield _Tries(at)
    yield _RelayHours(at)


def _thorough(at: Bearings) -> Iterator[Part]:
    """The rest of what somebody believes, in tables that grow."""
    from digest.store.story_tables import Admission, Entry, Story

    now, late = _at(at.now), _at(at.day_late)
    settled = col(OutboxRow.settled_at).is_not(None)
    untried = sa.exists().where(
        col(OutboxRow.notice_id) == col(Notice.id), col(OutboxRow.settled_at).is_(None), col(OutboxRow.attempts) == 0
    )
    # By their indexes, which begin with whose they are.
    of_feeds = col(Entry.feed_id).in_(sa.select(col(Feed.id)))
    yield Rule("entries", (Bound(col(Entry.seen_at), late, now),), (of_feeds,))
    yield Rule("entries", (Bound(col(Entry.changed_at), late, now),))
    of_newsletters = col(Admission.newsletter_id).in_(sa.select(col(Newsletter.id)))
    # A story's moments are no later than the decisions that made it or joined it, which have an index: first.
    ahead = sa.select(col(Admission.story_id)).where(of_newsletters, col(Admission.decided_at) > late)
    moments = tuple(Bound(column, late, now) for column in (col(Story.published_at), col(Story.admitted_at)))
    yield Rule("stories", moments, (col(Story.id).in_(ahead),))
    yield Rule("decisions", (Bound(col(Admission.decided_at), late, now),), (of_newsletters,))
    offered = at.coming(col(Subscription.newsletter_id), at_least=_READERS_HOUR)
    yield Rule(
        "subscriptions",
        (
            Bound(col(Subscription.offered_at), offered, None),
            Bound(col(Subscription.arrived_at), late, None),
            Bound(col(Subscription.changed_at), late, now),
            Bound(col(Subscription.created_at), late, now),
        ),
    )
    columns = (OutboxRow.tried_at, OutboxRow.settled_at, OutboxRow.created_at)
    yield Rule("settled letters", tuple(Bound(col(column), late, now) for column in columns), (settled, _not_counted()))
    # The Message-ID of a letter that was tried stays what it was.
    yield Rule("notices", (Bound(col(Notice.created_at), late, now),), (untried,))
    yield Rule("suppressions", (Bound(col(Suppression.created_at), late, now),))
    yield Rule("readings of feeds", (Bound(col(NewsletterFeed.added_at), late, now),))
    yield Rule("runs", (Bound(col(Run.began_at), late, now), Bound(col(Run.ended_at), late, now)))
    yield Rule("subscribers", (Bound(col(Subscriber.created_at), late, now),))


def _not_counted() -> Any:
    """Letters of editions that are not counted, and notices: what was counted had nothing ahead, see `tallies`."""
    live = sa.select(col(Edition.id)).where(col(Edition.tally).is_(None))
    letters = sa.select(col(OutboxRow.id)).where(col(OutboxRow.edition_id).in_(live))
    notices = sa.select(col(OutboxRow.id)).where(col(OutboxRow.edition_id).is_(None))
    return col(OutboxRow.id).in_(letters.union_all(notices))


# ---------------------------------------------------------------- letters


_UNSETTLED = col(OutboxRow.settled_at).is_(None)
_IN_HAND = col(OutboxRow.state).in_((OutboxState.CLAIMED, OutboxState.SENDING))


def _letters(at: Bearings) -> Rule:
    now, late = _at(at.now), _at(at.late)
    lease = _at(at.now + at.lease)
    paper = sa.select(col(Edition.newsletter_id)).where(col(Edition.id) == col(OutboxRow.edition_id)).scalar_subquery()
    latest = sa.case(
        (_IN_HAND, _at(at.late + at.lease)),
        (col(OutboxRow.attempts) > 0, _at(at.late + RETRY)),
        (col(OutboxRow.edition_id).is_(None) | (col(OutboxRow.created_at) > late), late),
        else_=at.coming(paper, at_least=_READERS_HOUR),
    )
    return Rule(
        "letters",
        (
            # Who has it in hand may be alive, only his clock was set meanwhile: he keeps it for a whole lease.
            Bound(col(OutboxRow.due_at), latest, sa.case((_IN_HAND, lease), else_=now)),
            Bound(col(OutboxRow.tried_at), late, now),
            Bound(col(OutboxRow.created_at), late, now),
        ),
        (_UNSETTLED,),
    )


@dataclass(frozen=True)
class _Hours:
    """Letters that wait for a reader's hour, of an edition composed in days to come: the same hour, the next time.

    They are counted as letters.
    """

    at: Bearings
    kind: str = "letters"

    def count(self, session: Session) -> int:
        return 0

    def mend(self, session: Session) -> int:
        waiting = (
            _UNSETTLED,
            col(OutboxRow.state) == OutboxState.OWED,
            col(OutboxRow.attempts) == 0,
            col(OutboxRow.edition_id).is_not(None),
            col(OutboxRow.created_at) > self.at.late,
        )
        query = sa.select(col(OutboxRow.due_at), col(OutboxRow.created_at)).where(*waiting).distinct()
        mended = 0
        for due_at, created_at in session.execute(query).all():
            if due_at - created_at < TOLERANCE or due_at <= self.at.late:
                continue  # due at once, or soon
            again = self.at.now + (due_at - self.at.now) % _DAY
            statement = sa.update(OutboxRow).where(*waiting, col(OutboxRow.due_at) == due_at)
            statement = statement.values(due_at=again, created_at=self.at.now)
            mended += session.connection().execute(statement).rowcount
        return mended


@dataclass(frozen=True)
class _Tries:
    """Letters tried long before they were written, by a clock that was behind: their lifetime would be over."""

    at: Bearings
    kind: str = "letters"

    def _found(self, session: Session) -> list[tuple[int, datetime]]:
        tried, written = col(OutboxRow.tried_at), col(OutboxRow.created_at)
        query = sa.select(col(OutboxRow.id), tried, written).where(_UNSETTLED, tried < written)
        return [(id_, written) for id_, tried, written in session.execute(query) if written - tried > TOLERANCE]

    def count(self, session: Session) -> int:
        return len(self._found(session))

    def mend(self, session: Session) -> int:
        found = self._found(session)
        for id_, written in found:
            statement = sa.update(OutboxRow).where(col(OutboxRow.id) == id_)
            session.connection().execute(statement.values(tried_at=min(written, self.at.now)))
        return len(found)


# ---------------------------------------------------------------- rows with two moments of one clock


@dataclass(frozen=True)
class _Editions:
    """Editions of days to come. A Date: of theirs that is on a letter already stays what it was."""

    at: Bearings
    kind: str = "editions"

    def _ahead(self) -> Any:
        late, composed, opened = _at(self.at.day_late), col(Edition.composed_at), col(Edition.open_at)
        held = col(Edition.state) == EditionState.HELD
        counts = col(Edition.state).in_((EditionState.OPEN, EditionState.PAUSED))
        return sa.or_(
            col(Edition.slot_at) > self.at.coming(col(Edition.newsletter_id)),
            opened > sa.case((held, _at(self.at.day_late + _APPROVAL)), else_=late),
            (composed > late) & (~_being_sent(col(Edition.id)) | (counts & opened.is_(None))),
        )

    def count(self, session: Session) -> int:
        return session.scalars(sa.select(sa.func.count(col(Edition.id))).where(self._ahead())).one()

    def mend(self, session: Session) -> int:
        found = session.exec(select(Edition).where(self._ahead()).with_for_update()).all()
        for edition in found:
            self._mend(session, edition)
        session.flush()
        return len(found)

    def _mend(self, session: Session, edition: Edition) -> None:
        now, late = self.at.now, self.at.day_late
        later = edition.composed_at > late
        slot = self.at.slots.get(edition.newsletter_id, now) + TOLERANCE
        if edition.slot_at is not None and edition.slot_at > slot:
            edition.slot_at = None  # the slot of that day has not been had
        if edition.open_at is not None and edition.state is EditionState.HELD:
            if later or edition.open_at > late + _APPROVAL:
                span = edition.open_at - edition.composed_at
                edition.open_at = now + max(timedelta(0), min(span, _APPROVAL))
        elif edition.open_at is not None and edition.open_at > late:
            edition.open_at = now
        if later and not session.execute(sa.select(_being_sent(edition.id))).scalar_one():
            edition.composed_at = now
        elif later and edition.open_at is None and edition.state in (EditionState.OPEN, EditionState.PAUSED):
            edition.open_at = now  # lateness and canary go by it
        session.add(edition)


def _being_sent(edition_id: Any) -> Any:
    """Were letters of it tried that are tried again?"""
    return sa.exists().where(
        col(OutboxRow.edition_id) == edition_id, col(OutboxRow.settled_at).is_(None), col(OutboxRow.attempts) > 0
    )


@dataclass(frozen=True)
class _Pauses:
    """Pauses that began in days to come, or before there was a subscription: as long as the person wanted, from now."""

    at: Bearings
    kind: str = "pauses"

    def _likely(self) -> Any:
        since, made = col(Subscription.changed_at), col(Subscription.created_at)
        paused = (col(Subscription.state) == SubscriptionState.PAUSED) & col(Subscription.paused_until).is_not(None)
        return paused & ((since > self.at.day_late) | (since < made))

    def _wrong(self, since: datetime, made: datetime) -> bool:
        return since > self.at.day_late or made - since > _DAY

    def count(self, session: Session) -> int:
        moments = sa.select(col(Subscription.changed_at), col(Subscription.created_at)).where(self._likely())
        return sum(self._wrong(since, made) for since, made in session.execute(moments))

    def mend(self, session: Session) -> int:
        likely = session.exec(select(Subscription).where(self._likely()).with_for_update())
        found = [row for row in likely if self._wrong(row.changed_at, row.created_at)]
        for subscription in found:
            assert subscription.paused_until is not None
            subscription.paused_until = self.at.now + (subscription.paused_until - subscription.changed_at)
            subscription.changed_at = self.at.now
            session.add(subscription)
        session.flush()
        return len(found)


@dataclass(frozen=True)
class _RelayHours:
    """Letters that relays took in hours to come: they did take them, so they count in this one."""

    at: Bearings
    kind: str = "hours of relays"

    def count(self, session: Session) -> int:
        return session.scalars(sa.select(sa.func.count()).where(col(RelayHour.hour) > self.at.late)).one()

    def mend(self, session: Session) -> int:
        gone = sa.delete(RelayHour).where(col(RelayHour.hour) > self.at.late)
        rows = session.execute(gone.returning(col(RelayHour.relay), col(RelayHour.letters)), execution_options=_NO_SYNC)
        letters: Counter[str] = Counter()
        number = 0
        for relay, taken in rows.all():
            letters[relay] += taken
            number += 1
        relays.add_letters(session, letters, now=self.at.now)
        return number
