"""Imports by their numbers: what each changed, and how that is taken back; and what an import changes of known people.

An undo touches what nobody else has touched since: a person whose history has a newer line, or whose name, tags or
fields are not as the import left them (`imports.stamp_of`), stays as they are. It goes on in steps of some thousand
people, each with its own transaction, so that a sender waits for a moment only; what was taken back is no longer noted,
and an undo that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import taste
from digest.errors import NotFound, UserError
from digest.models import Newsletter, OutboxRow, OutboxState, Subscriber, Subscription, SubscriptionState, Suppression
from digest.store import imports, recipients, renames, suppressions, tastes, witness
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.database import Database, not_by_index
from digest.store.import_tables import ImportChange, ListImport
from digest.taste import Taste
from digest.values import Evidence

STEP = 500  # people looked at together
STEPS = 10  # of these in one transaction: a fraction of a second on SQLite, where nobody else can write meanwhile
_CHOICES = {"topics", "cadence", "hour", "zone", "language", "format"}
_COLUMNS = {"format": "plain"}
People = dict[str, tuple[Subscriber, Subscription | None]]  # by key


class _Change(NamedTuple):
    """A row of `ImportChange`, without what an ORM adds: there may be a million."""

    key: str
    what: str
    stamp: int
    state: str
    paused_until: datetime | None
    read_until: int | None
    reason: str
    before: dict[str, Any] | None
    consent_to: int | None


class _Now(NamedTuple):
    """How somebody is now."""

    person_id: int
    key: str
    name: str
    tags: list[str]
    fields: dict[str, str]
    subscription_id: int | None
    state: SubscriptionState | None


WORDS = {
    "p": "people made",
    "s": "subscriptions made",
    "e": "ended",
    "c": "confirmed",
    "x": "suppressed",
    "u": "updated",
}


@dataclass(frozen=True)
class Run:
    """An import: its number, what it counted, and how many of its changes can still be taken back."""

    number: int
    newsletter: str
    name: str
    at: datetime
    vouched_by: str
    counts: Mapping[str, int]
    undone_at: datetime | None
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Undone:
    """What an undo took back, by kind; and the people who stay, since somebody changed them meanwhile."""

    counts: Mapping[str, int]
    kept: int
    kept_first: tuple[str, ...]  # keys of addresses


def listed(session: Session, *, newsletter: str = "", limit: int) -> list[Run]:
    """Imports, the newest first."""
    query = select(ListImport, Newsletter.name).join(Newsletter, col(Newsletter.id) == ListImport.newsletter_id)
    if newsletter:
        query = query.where(Newsletter.name == newsletter)
    found = session.exec(query.order_by(col(ListImport.id).desc()).limit(limit)).all()
    return [_run(run, name) for run, name in found]


def _run(run: ListImport, newsletter: str, changes: Mapping[str, int] | None = None) -> Run:
    return Run(run.id or 0, newsletter, run.name, run.at, run.vouched_by, run.counts, run.undone_at, changes or {})


def find(session: Session, number: int) -> Run:
    """One import, with its changes by kind; NotFound where there is none of this number."""
    run, newsletter = _found(session, number)
    query = sa.select(col(ImportChange.what), sa.func.count()).where(col(ImportChange.import_id) == number)
    changes: Counter[str] = Counter()
    for what, count in session.connection().execute(query.group_by(col(ImportChange.what))):
        for letter in what:
            changes[WORDS[letter]] += count
    return _run(run, newsletter, dict(changes))


def _found(session: Session, number: int) -> tuple[ListImport, str]:
    run = session.get(ListImport, number)
    if run is None:
        raise NotFound(f"there is no import {number}", hint="digest import list")
    paper = session.get_one(Newsletter, run.newsletter_id)
    return run, paper.name


# ---------------------------------------------------------------- known people, updated


def update(
    session: Session,
    paper: Newsletter,
    run: ListImport,
    names: Collection[str],
    evidence: Evidence,
    span: imports.Span = imports.ALL,
) -> int:
    """Change what `names` names of people who were here before, to what the rows say; how many it changed.

    What a row leaves empty stays; tags and fields are added. Never whether they get letters.
    """
    rows, changed, last = imports.rows, 0, ""
    known = sa.and_(span.of(rows.c.key), rows.c.outcome.not_in((imports.NEW, imports.STAYS_ERASED)))
    while some := session.connection().execute(
        sa.select(rows).where(known, rows.c.state != "", rows.c.key > last).order_by(rows.c.key).limit(STEP)
    ).all():  # fmt: skip
        last = some[-1].key
        _lock(session, paper.id or 0, [row.key for row in some])  # what they have is added to
        people = _people(session, paper.id or 0, [row.key for row in some])
        for row in some:
            person, subscription = people.get(row.key, (None, None))
            if person is not None:
                changed += _update(session, row, person, subscription, run, names, evidence)
        session.flush()
    return changed


def _people(session: Session, newsletter_id: int, keys: Collection[str]) -> People:
    on = sa.and_(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == newsletter_id)
    query = select(Subscriber, Subscription).outerjoin(Subscription, on).where(col(Subscriber.key).in_(keys))
    return {person.key: (person, subscription) for person, subscription in session.exec(query)}


def _standing(session: Session, newsletter_id: int, keys: Collection[str]) -> dict[str, _Now]:
    """How these people are now, by key."""
    on = sa.and_(col(Subscription.subscriber_id) == Subscriber.id, col(Subscription.newsletter_id) == newsletter_id)
    columns: tuple[Any, ...] = (
        *(getattr(Subscriber, name) for name in ("id", "key", "name", "tags", "fields")),
        *(Subscription.id, Subscription.state),
    )
    query = sa.select(*columns).select_from(Subscriber).outerjoin(Subscription, on)
    found = session.connection().execute(query.where(col(Subscriber.key).in_(keys)))
    return {row.key: _Now(*row) for row in found}


def _update(
    session: Session,
    row: Any,
    person: Subscriber,
    subscription: Subscription | None,
    run: ListImport,
    names: Collection[str],
    evidence: Evidence,
) -> bool:
    before: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    if "name" in names and row.name:
        wanted["name"] = row.name
    if "tags" in names and row.tags:
        here = {tag.casefold() for tag in person.tags}
        wanted["tags"] = sorted([*person.tags, *(tag for tag in row.tags if tag.casefold() not in here)])
    if "fields" in names and row.fields:
        wanted["fields"] = {**person.fields, **row.fields}
    for name, value in wanted.items():
        if getattr(person, name) != value:
            before[name] = getattr(person, name)
            setattr(person, name, value)
    chose: list[str] = []
    for name in sorted(_CHOICES & set(names)) if subscription is not None else ():
        column = _COLUMNS.get(name, name)
        value = getattr(row, column)
        if value not in (None, "", [], False) and getattr(subscription, column) != value:
            before[column] = getattr(subscription, column)
            setattr(subscription, column, value)
            chose.append(name)
    named = {name: row.taste[name] for name in taste.NAMES if name in names and name in row.taste}
    if subscription is not None and (wanted := subscription.taste | named) != subscription.taste:
        before |= {"taste": subscription.taste, "taste_key": subscription.taste_key}
        chose += [name for name, value in named.items() if subscription.taste.get(name) != value]
        tastes.put(subscription, Taste.of(wanted))
    if not before:
        return False
    if chose and subscription is not None:
        if "topics" in before:
            recipients.widen(session, subscription, before["topics"])
        session.add(
            Consent(
                subscriber_id=subscription.subscriber_id,
                newsletter_id=subscription.newsletter_id,
                at=evidence.at,
                event=ConsentEvent.CHOSE,
                how=evidence.how,
                vouched_by=evidence.vouched_by,
                detail=", ".join(chose),
            )
        )
    change = session.get(ImportChange, (person.key, run.id))
    if change is None:
        change = ImportChange(key=person.key, import_id=run.id or 0, what="")
        session.add(change)
    change.what += "u"
    change.before = before
    change.stamp = imports.stamp_of(person.name, person.tags, person.fields)
    return True


# ---------------------------------------------------------------- undo


def undo(
    database: Database,
    number: int,
    *,
    evidence: Evidence,
    topics: Mapping[str, Collection[str]] = MappingProxyType({}),
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Undone:
    """Take back what an import changed and nobody changed since. NotFound for a number that is none.

    Topics are given back under the names that they have now; `topics` are those that each newsletter has.
    """
    with database.read() as session:
        run, name = _found(session, number)
        if run.undone_at is not None:
            raise UserError(f"import {number} was taken back on {run.undone_at:%Y-%m-%d %H:%M} UTC")
    work = _Undoing(run, evidence, topics.get(name, ()), dry_run=dry_run)
    ended, total = False, 0
    while not ended:
        with database.read() if dry_run else database.write() as session:
            total = total or work.left(session)
            for _ in range(STEPS):
                ended = not work.step(session)
                if ended:
                    break
        progress(work.seen, total)
        if not (ended or dry_run):
            database.give_way()
    if not dry_run:
        with database.write() as session:
            session.get_one(ListImport, number).undone_at = evidence.at
    return Undone(dict(work.counts), work.kept, tuple(work.kept_first))


class _Undoing:
    """An undo under way, in the order of people's keys."""

    def __init__(self, run: ListImport, evidence: Evidence, topics: Collection[str], *, dry_run: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.kept_first: list[str] = []
        self.kept = self.seen = 0
        self._run, self._evidence, self._topics, self._dry_run = run, evidence, topics, dry_run
        self._last = ""

    def left(self, session: Session) -> int:
        """How many people's changes there are to look at."""
        mine = col(ImportChange.import_id) == self._run.id
        return session.exec(select(sa.func.count()).select_from(ImportChange).where(mine)).one()

    def step(self, session: Session) -> int:
        """Take back what was changed of the next people; how many there were."""
        run = self._run
        query = sa.select(*(getattr(ImportChange, name) for name in _Change._fields))
        query = query.where(col(ImportChange.import_id) == run.id, col(ImportChange.key) > self._last)
        found = session.connection().execute(query.order_by(col(ImportChange.key)).limit(STEP))
        some = [_Change(*row) for row in found]
        if not some:
            return 0
        self._last = some[-1].key
        keys = [change.key for change in some]
        if not self._dry_run:
            _lock(session, run.newsletter_id, keys)  # who is judged is to be as they were judged
        people = _standing(session, run.newsletter_id, keys)
        ours, theirs = _untouched(session, run, some, people)
        for change in ours:
            self.counts.update(WORDS[letter] for letter in change.what)
        self.seen += len(some)
        self.kept += len(theirs)
        self.kept_first += theirs[: 20 - len(self.kept_first)]
        if not self._dry_run:
            ours = _follow_names(session, run, ours, self._topics)
            _take_back(session, run, ours, people, self._evidence)
            session.expunge_all()  # else all of a transaction's people are looked through with each of its statements
        return len(some)


def _lock(session: Session, newsletter_id: int, keys: Collection[str]) -> None:
    """Let nobody change these people and their subscriptions meanwhile; in the order in which all take them."""
    query = select(Subscription.id).join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
    # SQLite would go through all of the newsletter's for each step, and an undo take their square.
    query = query.where(not_by_index(col(Subscription.newsletter_id)) == newsletter_id, col(Subscriber.key).in_(keys))
    session.exec(query.order_by(col(Subscription.id)).with_for_update(of=Subscription)).all()
    people = select(Subscriber.id).where(col(Subscriber.key).in_(keys)).order_by(col(Subscriber.key))
    session.exec(people.with_for_update(key_share=True)).all()


def _untouched(
    session: Session, run: ListImport, changes: list[_Change], people: Mapping[str, _Now]
) -> tuple[list[_Change], list[str]]:
    """Those whom nobody changed since, and the keys of the others."""
    newest = sa.select(col(Consent.subscriber_id), sa.func.max(col(Consent.id))).where(
        col(Consent.subscriber_id).in_([person.person_id for person in people.values()]),
        sa.or_(col(Consent.newsletter_id).is_(None), col(Consent.newsletter_id) == run.newsletter_id),
        ~renames.of_rename(),
    )
    lines = {row[0]: row[1] or 0 for row in session.connection().execute(newest.group_by(col(Consent.subscriber_id)))}
    stops = {
        stop.key: stop.reason
        for stop in session.exec(
            select(Suppression).where(col(Suppression.key).in_([c.key for c in changes if "x" in c.what]))
        )
    }
    after = {"e": SubscriptionState.UNSUBSCRIBED, "c": SubscriptionState.ACTIVE}
    ours, theirs = [], []
    for change in changes:
        now = people.get(change.key)
        upto = run.consent_to if change.consent_to is None else change.consent_to
        same = now is None or lines.get(now.person_id, 0) <= upto
        if "s" in change.what or "e" in change.what or "c" in change.what:
            same = same and now is not None and now.subscription_id is not None
        if "p" in change.what or "u" in change.what:
            same = same and now is not None and imports.stamp_of(now.name, now.tags, now.fields) == change.stamp
        for letter, state in after.items():
            if letter in change.what and now is not None and now.state is not None:
                same = same and now.state is state
        if "x" in change.what:
            same = same and stops.get(change.key) == change.reason
        if same:
            ours.append(change)
        else:
            theirs.append(change.key)
    return ours, theirs


def _follow_names(session: Session, run: ListImport, changes: list[_Change], known: Collection[str]) -> list[_Change]:
    """Nobody is given back a topic that was renamed since, or is no more; nor the mute of one."""
    followed = []
    for change in changes:
        before = dict(change.before or {})
        if topics := before.get("topics"):
            before["topics"] = renames.followed(session, run.newsletter_id, topics, known)
        if muted := before.get("taste", {}).get("muted_topics"):
            now = renames.followed(session, run.newsletter_id, muted, known)
            taste_now = replace(Taste.of(before["taste"]), muted_topics=tuple(now))
            before |= {"taste": taste_now.stored, "taste_key": taste_now.key}
        if "topic:" in str(before.get("taste", "")):
            taste_now = _leaning_now(session, run, Taste.of(before["taste"]), known)
            before |= {"taste": taste_now.stored, "taste_key": taste_now.key}
        followed.append(change._replace(before=before) if before else change)
    return followed


def _leaning_now(session: Session, run: ListImport, was: Taste, known: Collection[str]) -> Taste:
    def now(some: Iterable[str]) -> tuple[str, ...]:
        topics = [one.removeprefix("topic:") for one in some if one.startswith("topic:")]
        others = [one for one in some if not one.startswith("topic:")]
        there = renames.followed(session, run.newsletter_id, topics, known) if topics else []
        return taste.leanings([*others, *(f"topic:{topic}" for topic in there)], "more")

    more = now(was.more_of)
    return replace(was, more_of=more, less_of=taste.without(now(was.less_of), more))


def _take_back(
    session: Session, run: ListImport, changes: list[_Change], now: Mapping[str, _Now], evidence: Evidence
) -> None:
    """What was made goes, what was ended, confirmed or updated is as before, who was suppressed is let go."""
    made = {one.key: id_ for one in changes if "s" in one.what and (id_ := _subscription_of(one.key, now)) is not None}
    stay = [one for one in changes if one.before or (_of_state(one) and one.key not in made)]
    people = _people(session, run.newsletter_id, [one.key for one in stay])
    for change in stay:
        person, subscription = people.get(change.key, (None, None))
        if _of_state(change) and change.key not in made and subscription is not None:
            _restore(session, change, subscription, evidence)
        if change.before and person is not None:
            _give_back(session, person, subscription, change.before)
    session.flush()
    if made:
        _forget(session, run, list(made.values()), [one.key for one in changes if "p" in one.what], evidence.at)
    suppressions.lift_some(session, [one.key for one in changes if "x" in one.what])
    mine = (col(ImportChange.import_id) == run.id, col(ImportChange.key).in_([one.key for one in changes]))
    noted = sa.delete(ImportChange).where(*mine)
    session.connection().execute(noted.execution_options(synchronize_session=False))


def _subscription_of(key: str, now: Mapping[str, _Now]) -> int | None:
    return now[key].subscription_id if key in now else None


def _of_state(change: _Change) -> bool:
    """Did it end or confirm a subscription?"""
    return "e" in change.what or "c" in change.what


def _give_back(session: Session, person: Subscriber, subscription: Subscription | None, before: dict[str, Any]) -> None:
    former = subscription.topics if subscription else []
    for name, value in before.items():
        setattr(person if name in ("name", "tags", "fields") else subscription, name, value)
    if subscription is not None:
        recipients.widen(session, subscription, former)


def _restore(session: Session, change: _Change, subscription: Subscription, evidence: Evidence) -> None:
    """Put a subscription back to the state that it had, and say so in their history."""
    left = SubscriptionState.UNSUBSCRIBED
    if left in (subscription.state, change.state):
        what = "returned" if subscription.state is left else "unsubscribed"
        witness.note_subscriptions(session, what, [subscription.id or 0])
    subscription.state = SubscriptionState(change.state)
    subscription.paused_until = change.paused_until
    subscription.changed_at = evidence.at
    if "c" in change.what and change.read_until is not None:
        subscription.read_until = change.read_until
    events = {
        SubscriptionState.PENDING: ConsentEvent.PENDING,
        SubscriptionState.PAUSED: ConsentEvent.PAUSED,
        SubscriptionState.ACTIVE: ConsentEvent.SUBSCRIBED,
    }
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            newsletter_id=subscription.newsletter_id,
            at=evidence.at,
            event=events.get(subscription.state, ConsentEvent.UNSUBSCRIBED),
            how=evidence.how,
            vouched_by=evidence.vouched_by,
        )
    )


def _forget(session: Session, run: ListImport, subscriptions: list[int], made: list[str], now: datetime) -> None:
    """Remove subscriptions that an import made, and the people it made who have no other; letters stay, as nobody's."""
    connection = session.connection()
    waiting = col(OutboxRow.state).in_((OutboxState.OWED, OutboxState.CLAIMED, OutboxState.HELD))
    drop = {"state": OutboxState.DROPPED, "reply": "import undone", "settled_at": now}
    theirs = col(OutboxRow.subscription_id).in_(subscriptions)
    connection.execute(sa.update(OutboxRow).where(theirs, waiting).values(drop))
    readers = sa.select(col(Subscription.subscriber_id)).where(col(Subscription.id).in_(subscriptions))
    own = (col(Consent.newsletter_id) == run.newsletter_id, col(Consent.id) > run.consent_from)
    connection.execute(sa.delete(Consent).where(col(Consent.subscriber_id).in_(readers), *own))
    connection.execute(sa.delete(Subscription).where(col(Subscription.id).in_(subscriptions)))
    if made:
        others = sa.select(col(Subscription.subscriber_id))
        alone = (
            col(Subscriber.key).in_(made),
            ~sa.exists(others.where(col(Subscription.subscriber_id) == Subscriber.id)),
        )
        connection.execute(sa.delete(Subscriber).where(*alone))
