"""Mail that came back: each mail once, the letter it is about, what is known of its reader, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Edition,
    Newsletter,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    UtcTime,
    address_key,
)
from digest.store import hooks, people, recipients, rolls, suppressions, witness
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.database import batched, insert_into
from digest.store.mail_tables import MailReport, MailSource
from digest.values import Evidence

COMPLAINED = "complaint"  # the reason of a suppression
_TROUBLE = ("hard", "soft", "policy")
_RECEIVING = (SubscriptionState.ACTIVE, SubscriptionState.PENDING)
UNDOABLE = ("suppress", "complaint", "pause", "leave", "chose")
FORWARD = "forward:"  # what the key of a notice begins with that tells what a person wrote
ANSWER = "choices:"  # what the key of a notice begins with that answers such a mail
_UNPROVEN = 20_000  # mails that prove nothing are kept
_ONCE, _REFUSED = "once ", "refused /hear/"  # what names of sources begin with that are none
_STEP = 500  # rows that are pruned in one transaction


@dataclass(frozen=True)
class Letter:
    """A letter that somebody may speak of: whose it is, of which edition, and when a mail server took it."""

    id: int
    at: datetime
    tried: bool
    edition_id: int | None
    subscriber_id: int | None
    subscription_id: int | None
    email: str  # where it went; "" of an erased reader
    rolled: bool = False  # it has no row of its own any more


@dataclass(frozen=True)
class Known:
    """What the rows say of a reader: troubles since a letter last arrived (kind, reason, letter, when it was taken)."""

    troubles: tuple[tuple[str, str, int | None, datetime], ...]
    pauses: int
    paused_at: datetime | None
    came_back_at: datetime | None


# ---------------------------------------------------------------- each mail once


def take(session: Session, values: dict[str, Any]) -> int | None:
    """Store a mail; its number, or None where it was stored before, by whomever: then it is counted as a copy.

    On PostgreSQL who comes second waits here until the first has committed.
    """
    insert = insert_into(session, MailReport).on_conflict_do_nothing(index_elements=["hash"])
    row: int | None = (
        session.connection().execute(insert.returning(insert.table.c.id), {"copies": 0, **values}).scalar()
    )
    if row is None:
        again = sa.update(MailReport).where(col(MailReport.hash) == values["hash"])
        session.connection().execute(again.values(copies=MailReport.copies + 1))
    return row


_FINISH = sa.update(MailReport).where(col(MailReport.id) == sa.bindparam("report_id"))


def finish(session: Session, report_id: int, **values: Any) -> None:
    """Put down what followed from a mail."""
    session.connection().execute(_FINISH, {"report_id": report_id, **values})


def mark(session: Session, source: str) -> str:
    """How far a mailbox was read, "" where not at all."""
    row = session.get(MailSource, source)
    return row.mark if row else ""


def set_mark(session: Session, source: str, text: str, *, now: datetime) -> None:
    insert = insert_into(session, MailSource).values(name=source, mark=text, read_at=now)
    session.connection().execute(
        insert.on_conflict_do_update(index_elements=["name"], set_={"mark": text, "read_at": now})
    )


def spend(session: Session, word: str, *, now: datetime) -> bool:
    """Note a word that may come once; False where it came before. Forgotten after a day: by then it is too old."""
    connection = session.connection()
    old = col(MailSource.name).startswith(_ONCE, autoescape=True), col(MailSource.read_at) < now - timedelta(days=1)
    connection.execute(sa.delete(MailSource).where(*old))
    insert = insert_into(session, MailSource).values(name=f"{_ONCE}{word}"[:300], mark="", read_at=now)
    made = insert.on_conflict_do_nothing(index_elements=["name"]).returning(insert.table.c.name)
    return connection.execute(made).scalar() is not None


def count_refused(session: Session, service: str, number: int, *, why: str, now: datetime) -> None:
    """Count requests in a service's name that were not the service's."""
    name = f"{_REFUSED}{service}"
    set_mark(session, name, f"{number + int(mark(session, name).partition(' ')[0] or 0)} {why}", now=now)


def refused(session: Session, *, since: datetime) -> list[tuple[str, int, str]]:
    """(service, how many, why the last) of such requests, where the last came since then."""
    there = col(MailSource.name).startswith(_REFUSED, autoescape=True)
    rows = session.exec(select(MailSource).where(there, MailSource.read_at >= since).order_by(MailSource.name))
    told = ((row.name.removeprefix(_REFUSED), *row.mark.partition(" ")[::2]) for row in rows)
    return [(service, int(number), why) for service, number, why in told]


# ---------------------------------------------------------------- which letter


# Queries that are asked for each mail are made once: to make one takes longer than to ask it.
@cache
def _letters() -> Any:
    when = sa.func.coalesce(col(OutboxRow.settled_at), col(OutboxRow.tried_at), col(OutboxRow.created_at))
    return (
        sa.select(
            col(OutboxRow.id),
            sa.type_coerce(when, UtcTime()),
            col(OutboxRow.tried_at).is_not(None),
            col(OutboxRow.edition_id),
            sa.func.coalesce(col(OutboxRow.subscriber_id), col(Subscription.subscriber_id)),
            sa.func.coalesce(col(OutboxRow.subscription_id), col(Notice.subscription_id)),
            sa.func.coalesce(col(Subscriber.email), col(Notice.email), ""),
        )
        .select_from(OutboxRow)
        .outerjoin(Notice, col(Notice.id) == OutboxRow.notice_id)
        .outerjoin(
            Subscription, col(Subscription.id) == sa.func.coalesce(OutboxRow.subscription_id, Notice.subscription_id)
        )
        .outerjoin(
            Subscriber, col(Subscriber.id) == sa.func.coalesce(OutboxRow.subscriber_id, Subscription.subscriber_id)
        )
    )


def letter(session: Session, letter_id: int) -> Letter | None:
    """The letter of a number, or None where there is none (any more)."""
    row = session.connection().execute(_letter(), {"letter": letter_id}).one_or_none()
    if row is None:
        past = rolls.find(session, letter_id)
        return _rolled(session, past) if past else None
    return Letter(*row)


def _rolled(session: Session, past: rolls.Past) -> Letter:
    reader = rolls.reader_of(session, past.subscription_id)
    who, email = reader or (None, "")
    subscription = past.subscription_id if reader else None
    tried = past.state is not OutboxState.DROPPED
    return Letter(past.id, past.at, tried, past.edition_id, who, subscription, email, rolled=True)


@cache
def _letter() -> Any:
    return _letters().where(col(OutboxRow.id) == sa.bindparam("letter"))


def letter_of(session: Session, subscription_id: int, edition: tuple[str, int] | None) -> Letter | None:
    """The letter of an edition, by newsletter and number, to a subscription; without an edition, the latest taken."""
    query = _letters().where(col(OutboxRow.subscription_id) == subscription_id)
    if edition is not None:
        name, number = edition
        these = (
            sa.select(col(Edition.id))
            .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
            .where(col(Newsletter.name) == name, col(Edition.number) == number)
        )
        query = query.where(col(OutboxRow.edition_id).in_(these))
    row = session.connection().execute(query.order_by(col(OutboxRow.id).desc()).limit(1)).one_or_none()
    if row is None:
        past = [
            one
            for one in rolls.of_subscriptions(session, [subscription_id])
            if edition in (None, (one.newsletter, one.number))
        ]
        return _rolled(session, past[-1]) if past else None
    return Letter(*row)


def letters_to(session: Session, emails: Sequence[str], *, most: int = 200) -> list[tuple[int, datetime | None]]:
    """(number, when its notice was written) of the latest letters to some addresses."""
    keys = [address_key(one) for one in emails[:60]]
    if not keys:
        return []
    theirs = sa.select(col(Subscriber.id)).where(col(Subscriber.key).in_(keys))
    editions = (
        sa.select(col(OutboxRow.id)).where(col(OutboxRow.subscriber_id).in_(theirs)).order_by(col(OutboxRow.id).desc())
    )
    notices = (
        sa.select(col(OutboxRow.id), col(Notice.created_at))
        .join(Notice, col(Notice.id) == OutboxRow.notice_id)
        .where(col(Notice.address).in_(keys))
        .order_by(col(OutboxRow.id).desc())
    )
    connection = session.connection()
    rows = [*connection.execute(editions.limit(most)), *connection.execute(notices.limit(most))]
    return [(int(row[0]), row[1] if len(row) > 1 else None) for row in rows]


# ---------------------------------------------------------------- what is known


def known(session: Session, subscriber_id: int, *, now: datetime, arrived: timedelta) -> Known:
    """A reader's troubles since a letter arrived: one that was taken `arrived` ago, and of which nothing came back."""
    who = {"who": subscriber_id}
    success = session.execute(_arrived(), who | {"before": now - arrived}).scalar()
    rolled = sa.select(sa.type_coerce(sa.func.max(col(Subscription.arrived_at)), UtcTime()))
    before = session.execute(rolled.where(col(Subscription.subscriber_id) == subscriber_id)).scalar()
    since = success or before or datetime.min.replace(year=1980, tzinfo=now.tzinfo)
    rows = session.execute(_troubles(), who | {"since": since}).all()
    pauses = [row[5] for row in rows if row[4] == "pause"]
    troubles = tuple((row[0], row[1], row[2], row[3]) for row in rows)
    return Known(troubles, len(pauses), max(pauses, default=None), came_back(session, subscriber_id))


@cache
def _arrived() -> Any:
    troubled = sa.exists().where(
        col(MailReport.outbox_id) == OutboxRow.id,
        col(MailReport.kind).in_(_TROUBLE),
        col(MailReport.undone_at).is_(None),
    )
    return sa.select(sa.type_coerce(sa.func.max(col(OutboxRow.settled_at)), UtcTime())).where(
        col(OutboxRow.subscriber_id) == sa.bindparam("who"),
        col(OutboxRow.state) == OutboxState.SENT,
        col(OutboxRow.settled_at) < sa.bindparam("before", type_=UtcTime()),
        ~troubled,
    )


@cache
def _troubles() -> Any:
    # A letter in a roll has no row: one of an edition is each reader's.
    letter = sa.func.coalesce(col(MailReport.outbox_id), -col(MailReport.edition_id), -col(MailReport.id))
    told: tuple[Any, ...] = (MailReport.kind, MailReport.reason, letter, MailReport.written_at, MailReport.act)
    return (
        sa.select(*told, col(MailReport.read_at))
        .where(
            col(MailReport.subscriber_id) == sa.bindparam("who"),
            col(MailReport.kind).in_(("hard", "soft")),
            col(MailReport.proof) != "",
            col(MailReport.undone_at).is_(None),
            col(MailReport.written_at) > sa.bindparam("since", type_=UtcTime()),
        )
        .order_by(col(MailReport.id).desc())
        .limit(200)
    )


def came_back(session: Session, subscriber_id: int) -> datetime | None:
    """When a reader last came back, was let be written to again, or moved to another address."""
    found: datetime | None = session.execute(_returns(), {"who": subscriber_id}).scalar()
    return found


@cache
def _returns() -> Any:
    return sa.select(sa.type_coerce(sa.func.max(col(Consent.at)), UtcTime())).where(
        col(Consent.subscriber_id) == sa.bindparam("who"),
        col(Consent.event).in_((ConsentEvent.UNSUPPRESSED, ConsentEvent.SUBSCRIBED, ConsentEvent.MOVED)),
    )


# ---------------------------------------------------------------- what follows, and back


def suppress(session: Session, person: Subscriber, *, reason: str, status: str, evidence: Evidence) -> dict[str, Any]:
    """Write to a reader no more; what `undo` needs to know. Empty where it was so before."""
    if suppressions.own(session, person.email) is not None:
        return {}
    suppressions.add(session, person.email, reason=reason, status=status, now=evidence.at)
    _say(session, person.id, None, ConsentEvent.SUPPRESSED, evidence, f"{reason} {status}".strip())
    return {"suppressed": reason, "key": address_key(person.email), "at": evidence.at.isoformat()}


def leave(session: Session, subscription_id: int, *, evidence: Evidence) -> dict[str, Any]:
    """End a subscription; what `undo` needs to know. Empty where it had ended."""
    return _enter(session, subscription_id, SubscriptionState.UNSUBSCRIBED, None, evidence, "")


def pause(session: Session, subscription_id: int, *, until: datetime, why: str, evidence: Evidence) -> dict[str, Any]:
    """Send nothing until then to who gets letters now; what `undo` needs to know."""
    return _enter(session, subscription_id, SubscriptionState.PAUSED, until, evidence, f"until {until:%Y-%m-%d}: {why}")


def _enter(
    session: Session,
    subscription_id: int,
    state: SubscriptionState,
    until: datetime | None,
    evidence: Evidence,
    detail: str,
) -> dict[str, Any]:
    found = people.subscription_by_id(session, subscription_id, lock=True)
    if found is None:
        return {}
    one = found[0]
    leaving = state is SubscriptionState.UNSUBSCRIBED
    if one.state is state or (not leaving and one.state is not SubscriptionState.ACTIVE):
        return {}
    before = {
        "subscription": subscription_id,
        "state": str(one.state),
        "paused_until": one.paused_until.isoformat() if one.paused_until else None,
        "became": str(state),
    }
    one.state, one.changed_at, one.paused_until = state, evidence.at, until
    session.add(one)
    if leaving:
        witness.note_subscriptions(session, "unsubscribed", [subscription_id])
        hooks.note_person(session, hooks.Event.LEFT, one, how=evidence.how, now=evidence.at)
    else:
        witness.note_pause(session, subscription_id, until)
    event = ConsentEvent.UNSUBSCRIBED if leaving else ConsentEvent.PAUSED
    _say(session, one.subscriber_id, one.newsletter_id, event, evidence, detail)
    return before


def undo(session: Session, report: MailReport, *, evidence: Evidence) -> bool:
    """Put back what followed from a report, as far as nobody changed it since. False where there is nothing to."""
    if report.undone_at is not None or not report.before:
        return False
    before = report.before
    if "suppressed" in before and report.subscriber_id is not None:
        person = session.get(Subscriber, report.subscriber_id)
        if person is not None:
            # Of the address that it was: they may have another now, or be suppressed anew for something else.
            stop = suppressions.own(session, before.get("key") or person.email)
            at = datetime.fromisoformat(before["at"]) if "at" in before else None
            if stop is not None and stop.reason == before["suppressed"] and (at is None or stop.created_at <= at):
                session.delete(stop)
                witness.note_person(session, "lifted", person.key)
                _say(session, person.id, None, ConsentEvent.UNSUPPRESSED, evidence, stop.reason)
    if "state" in before:
        _back(session, before, evidence)
    if "choices" in before:
        _unchoose(session, before, evidence)
    report.undone_at = evidence.at
    session.add(report)
    session.flush()
    return True


_BECOMES = {
    SubscriptionState.PAUSED: ConsentEvent.PAUSED,
    SubscriptionState.UNSUBSCRIBED: ConsentEvent.UNSUBSCRIBED,
    SubscriptionState.PENDING: ConsentEvent.PENDING,
}


def _back(session: Session, before: dict[str, Any], evidence: Evidence) -> None:
    found = people.subscription_by_id(session, before["subscription"], lock=True)
    if found is None or str(found[0].state) != before["became"]:
        return  # they have said something themselves since
    one, was = found[0], found[0].state
    until = datetime.fromisoformat(before["paused_until"]) if before["paused_until"] else None
    one.state, one.changed_at, one.paused_until = SubscriptionState(before["state"]), evidence.at, until
    session.add(one)
    resumed = ConsentEvent.RESUMED if was is SubscriptionState.PAUSED else ConsentEvent.SUBSCRIBED
    _say(session, one.subscriber_id, one.newsletter_id, _BECOMES.get(one.state, resumed), evidence, "undone")
    if was is SubscriptionState.UNSUBSCRIBED or one.state is SubscriptionState.UNSUBSCRIBED:
        what = "returned" if was is SubscriptionState.UNSUBSCRIBED else "unsubscribed"
        witness.note_subscriptions(session, what, [before["subscription"]])
        event = hooks.Event.SUBSCRIBED if was is SubscriptionState.UNSUBSCRIBED else hooks.Event.LEFT
        hooks.note_person(session, event, one, how=evidence.how, now=evidence.at)
    if one.state is SubscriptionState.ACTIVE:
        people.rejoin(session, one)


def _unchoose(session: Session, before: dict[str, Any], evidence: Evidence) -> None:
    """Put back each choice that is still as the mail had it."""
    found = people.subscription_by_id(session, before["subscription"], lock=True)
    if found is None:
        return
    one, former = found[0], found[0].topics
    back = {
        name: value for name, value in before["choices"].items() if getattr(one, name) == before["chose"][name] != value
    }
    for name, value in back.items():
        setattr(one, name, value)
    if back:
        session.add(one)
        recipients.widen(session, one, former)
        detail = "undone: " + ", ".join(sorted(back))
        _say(session, one.subscriber_id, one.newsletter_id, ConsentEvent.CHOSE, evidence, detail)


def _say(
    session: Session,
    subscriber_id: int | None,
    newsletter_id: int | None,
    event: ConsentEvent,
    evidence: Evidence,
    detail: str,
) -> None:
    assert subscriber_id is not None
    said = Consent(
        subscriber_id=subscriber_id, newsletter_id=newsletter_id, event=event, detail=detail[:500], **asdict(evidence)
    )
    session.add(said)
    session.flush()


# ---------------------------------------------------------------- shown


@dataclass(frozen=True)
class Which:
    """Which mails; what is empty narrows nothing."""

    kinds: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    source: str = ""
    since: datetime | None = None
    email: str = ""
    proven: bool = False
    open: bool = False  # asks that nobody answered
    undoable: bool = False


def find(session: Session, which: Which, *, limit: int | None = None) -> list[MailReport]:
    """Mails, the newest first."""
    query = select(MailReport).order_by(col(MailReport.id).desc())
    if which.kinds:
        query = query.where(col(MailReport.kind).in_(which.kinds))
    if which.acts:
        query = query.where(col(MailReport.act).in_(which.acts))
    if which.source:
        query = query.where(MailReport.source == which.source)
    if which.since is not None:
        query = query.where(MailReport.read_at >= which.since)
    if which.email:
        query = query.where(MailReport.address == address_key(which.email))
    if which.proven:
        query = query.where(MailReport.proof != "")
    if which.open:
        query = query.where(col(MailReport.done_at).is_(None))
    if which.undoable:
        query = query.where(col(MailReport.undone_at).is_(None), col(MailReport.act).in_(UNDOABLE))
    return list(session.exec(query.limit(limit) if limit else query))


def get(session: Session, report_id: int) -> MailReport | None:
    return session.get(MailReport, report_id)


@dataclass(frozen=True)
class Figures:
    """What became of letters, by edition, relay or domain of readers. Rates are of what was taken."""

    name: str
    delivered: int
    refused: int
    hard: int
    soft: int
    policy: int
    complained: int
    left: int

    @property
    def complaint_rate(self) -> float:
        return self.complained / self.delivered if self.delivered else 0.0


def figures(session: Session, *, by: str, since: datetime) -> list[Figures]:
    """By "edition", "relay" or "domain": letters settled since then, and what came back of them. Most letters first."""
    names: dict[str, list[int]] = {}
    for name, state, number in session.connection().execute(_settled(by, since)):
        row = names.setdefault(name or "", [0] * 7)
        row[0 if state == OutboxState.SENT else 1] += number
    columns = {"hard": 2, "soft": 3, "policy": 4, "complaint": 5, "unsubscribe": 6}
    for name, kind, number in session.connection().execute(_came(by, since)):
        if kind in columns:
            names.setdefault(name or "", [0] * 7)[columns[kind]] += number
    found = [Figures(name, *row) for name, row in names.items()]
    return sorted(found, key=lambda one: (-one.delivered - one.refused, one.name))


def _domain(key: Any) -> Any:
    return sa.func.substr(suppressions.at_domain(key), 2)


def _edition_name() -> Any:
    return col(Newsletter.name) + " No. " + sa.cast(col(Edition.number), sa.String)


def _settled(by: str, since: datetime) -> Any:
    name: Any = _domain(col(Subscriber.key)) if by == "domain" else _edition_name()
    name = col(OutboxRow.relay) if by == "relay" else name
    query = sa.select(name.label("name"), col(OutboxRow.state), sa.func.count()).select_from(OutboxRow)
    if by == "domain":
        query = query.join(Subscriber, col(Subscriber.id) == OutboxRow.subscriber_id)
    elif by == "edition":
        query = query.join(Edition, col(Edition.id) == OutboxRow.edition_id)
        query = query.join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
    settled = col(OutboxRow.state).in_((OutboxState.SENT, OutboxState.REFUSED))
    return query.where(settled, col(OutboxRow.settled_at) >= since).group_by(name, col(OutboxRow.state))


def _came(by: str, since: datetime) -> Any:
    name: Any = col(MailReport.domain) if by == "domain" else _edition_name()
    name = col(OutboxRow.relay) if by == "relay" else name
    number = sa.func.count(sa.distinct(sa.func.coalesce(col(MailReport.outbox_id), -col(MailReport.id))))
    query = sa.select(name.label("name"), col(MailReport.kind), number).select_from(MailReport)
    if by == "relay":
        query = query.join(OutboxRow, col(OutboxRow.id) == MailReport.outbox_id)
    elif by == "edition":
        query = query.join(Edition, col(Edition.id) == MailReport.edition_id)
        query = query.join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
    proven = (col(MailReport.proof) != "", col(MailReport.undone_at).is_(None), col(MailReport.read_at) >= since)
    counted = sa.or_(col(MailReport.kind) != "complaint", col(MailReport.act) == "complaint")
    return query.where(*proven, counted).group_by(name, col(MailReport.kind))


def counts(session: Session, *, since: datetime) -> dict[str, int]:
    """Mails read since then, by what followed."""
    query = sa.select(col(MailReport.act), sa.func.count()).where(col(MailReport.read_at) >= since)
    return {str(act): number for act, number in session.execute(query.group_by(col(MailReport.act)))}


def complaints(session: Session, *, since: datetime) -> tuple[int, int]:
    """How many readers complained since then, and how many letters were delivered; (0, 0) where nobody did."""
    query = sa.select(sa.func.count(sa.distinct(col(MailReport.outbox_id)))).where(
        col(MailReport.act) == "complaint", col(MailReport.undone_at).is_(None), col(MailReport.read_at) >= since
    )
    complained = int(session.execute(query).scalar() or 0)
    if not complained:
        return 0, 0
    sent = sa.select(sa.func.count()).where(
        col(OutboxRow.state) == OutboxState.SENT, col(OutboxRow.settled_at) >= since
    )
    return complained, int(session.execute(sent).scalar() or 0)


def answers_since(session: Session, key: str, since: datetime) -> int:
    """How many mails of choices of one reader (by `address_key`) were answered since then."""
    mine = (col(Notice.address) == key, col(Notice.key).startswith(ANSWER), col(Notice.created_at) > since)
    return int(session.execute(sa.select(sa.func.count()).select_from(Notice).where(*mine)).scalar() or 0)


def forwarded_since(session: Session, since: datetime) -> int:
    """How many mails of people were passed on since then."""
    mine = (col(Notice.key).startswith(FORWARD), col(Notice.created_at) > since)
    return int(session.execute(sa.select(sa.func.count()).select_from(Notice).where(*mine)).scalar() or 0)


def asks(session: Session) -> int:
    """How many people wrote, and nobody has answered."""
    query = sa.select(sa.func.count()).where(col(MailReport.act) == "ask", col(MailReport.done_at).is_(None))
    return int(session.execute(query).scalar() or 0)


# ---------------------------------------------------------------- forgotten


def prune(session: Session, *, before: datetime) -> int:
    """Forget the words of mails read before then, and all of those that prove nothing; some, not all at once.

    What is about a letter of ours stays as a row: it is counted, and a copy of it is known.
    """
    kept = select(MailReport.id).where(MailReport.proof == "").order_by(col(MailReport.id).desc())
    flood = session.exec(kept.offset(_UNPROVEN).limit(1)).first()  # whoever writes to us by the thousand fills no disk
    aged = (col(MailReport.read_at) < before) & col(MailReport.raw).is_not(None)
    ids = _first(session, aged)
    if flood is not None:
        ids += _first(session, (col(MailReport.proof) == "") & (col(MailReport.id) <= flood))
    for some in batched(ids):
        mine = col(MailReport.id).in_(some)
        session.connection().execute(sa.delete(MailReport).where(mine, col(MailReport.proof) == ""))
        emptied = {"raw": None, "text": "", "subject": "", "sender": ""}
        session.connection().execute(sa.update(MailReport).where(mine).values(**emptied))
        notes = col(Notice.key).in_([f"{FORWARD}{one}" for one in some])
        session.connection().execute(sa.update(Notice).where(notes).values(text="", subject=""))
    return len(ids)


def _first(session: Session, which: Any) -> list[int]:
    found = session.exec(select(MailReport.id).where(which).order_by(col(MailReport.id)).limit(_STEP))
    return [one for one in found if one is not None]
