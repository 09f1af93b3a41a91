"""Webhooks: who is told what happens, and the outbox of events.

An event is a row for each webhook that wants it, written in the transaction in which it happened; it is claimed under a
lease, sent, and settled, as letters are. What is settled keeps nothing of the person, and is cleared away after a week.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.errors import NotFound, UserError
from digest.models import Edition, EditionState, Newsletter, OutboxRow, OutboxState, Subscriber, Subscription
from digest.store.api_tables import ApiKey, Webhook, WebhookEvent
from digest.store.database import insert_into, shared_now


class Event(StrEnum):
    SUBSCRIBED = "subscribed"  # a subscription begins, or begins anew: "pending" until it is confirmed, or "active"
    CONFIRMED = "confirmed"  # whose subscription was pending gets letters from now on
    LEFT = "left"  # a subscription ended
    SENT = "sent"  # no letter of an edition is owed any more
    BOUNCED = "bounced"  # a letter came back, and proved to be ours
    COMPLAINED = "complained"  # a reader called a letter unwanted
    TEST = "test"  # by hand


OFFERED = (Event.SUBSCRIBED, Event.CONFIRMED, Event.LEFT, Event.SENT, Event.BOUNCED, Event.COMPLAINED)
LIFETIME = timedelta(days=3)  # after which an event is given up
_KEPT = timedelta(days=7)  # what is settled
_SENT = "msg_sent_"  # and the id of the edition
_LOOKED_AT = timedelta(days=60)  # how long after it was composed an edition may end
_SENT_KEPT = timedelta(days=90)  # longer than that, since the row says that it was told
_LISTENERS = "webhooks"  # of a session, read once


class _Listener(NamedTuple):
    id: int
    events: frozenset[str]
    newsletters: frozenset[str]
    after_edition: int

    def wants(self, event: Event, newsletter: str) -> bool:
        return event in self.events and (not self.newsletters or newsletter in self.newsletters)


# ---------------------------------------------------------------- the list of them


def add(
    session: Session, url: str, *, events: Sequence[str], newsletters: Sequence[str], secret: str, now: datetime
) -> Webhook:
    """A new one, told of what happens from now on. UserError for an event that there is not."""
    if strange := [event for event in events if event not in OFFERED]:
        raise UserError(f"there is no event {strange[0]!r}", hint="events are: " + ", ".join(OFFERED))
    if not events:
        raise UserError("a webhook without an event is told nothing", hint="--event one of: " + ", ".join(OFFERED))
    last = session.exec(select(sa.func.max(Edition.id))).one() or 0
    row = Webhook(
        url=url,
        secret=secret,
        events=[event.value for event in OFFERED if event in events],
        newsletters=sorted(set(newsletters)),
        created_at=now,
        after_edition=last,
    )
    session.add(row)
    session.flush()
    session.info.pop(_LISTENERS, None)
    return row


@dataclass(frozen=True)
class Standing:
    """A webhook, and how it does."""

    id: int
    url: str
    events: tuple[str, ...]
    newsletters: tuple[str, ...]
    created_at: datetime
    ok_at: datetime | None
    failing_since: datetime | None
    error: str
    disabled_at: datetime | None
    waiting: int
    given_up: int  # within the week


def listed(session: Session) -> list[Standing]:
    counts: dict[int, Counter[str]] = {}
    query = sa.select(
        col(WebhookEvent.webhook_id),
        sa.func.count().filter(col(WebhookEvent.settled_at).is_(None)),
        sa.func.count().filter(col(WebhookEvent.settled_at).is_not(None), col(WebhookEvent.error) != ""),
    ).group_by(col(WebhookEvent.webhook_id))
    for webhook, waiting, given_up in session.execute(query):
        counts[webhook] = Counter(waiting=waiting, given_up=given_up)
    return [
        Standing(
            id=row.id or 0,
            url=row.url,
            events=tuple(row.events),
            newsletters=tuple(row.newsletters),
            created_at=row.created_at,
            ok_at=row.ok_at,
            failing_since=row.failing_since,
            error=row.error,
            disabled_at=row.disabled_at,
            **{name: counts.get(row.id or 0, Counter())[name] for name in ("waiting", "given_up")},
        )
        for row in session.exec(select(Webhook).order_by(col(Webhook.id)))
    ]


def find(session: Session, webhook_id: int) -> Webhook:
    found = session.get(Webhook, webhook_id)
    if found is None:
        raise NotFound(f"there is no webhook {webhook_id}", hint="digest webhook list")
    return found


def place(session: Session, webhook_id: int) -> tuple[str, str] | None:
    """The address of a webhook and its secret; None where it is gone."""
    found = session.get(Webhook, webhook_id)
    return (found.url, found.secret) if found else None


def remove(session: Session, webhook_id: int) -> None:
    session.delete(find(session, webhook_id))
    session.info.pop(_LISTENERS, None)


# ---------------------------------------------------------------- what happens


def note(
    session: Session, event: Event, *, newsletter: str | int, data: Mapping[str, Any], person: str = "", now: datetime
) -> None:
    """Owe an event to the webhooks that want it, in this transaction. `newsletter` is its name, or the id of its row.

    `person` is the `address_key` of whom it tells, so that it goes with them.
    """
    listeners = [one for one in _listening(session) if event in one.events]
    if not listeners:
        return
    if isinstance(newsletter, int):
        newsletter = session.get_one(Newsletter, newsletter).name
    wanted = [one.id for one in listeners if one.wants(event, newsletter)]
    told = {"newsletter": newsletter, **data}
    _owe(session, wanted, event, told, message=f"msg_{secrets.token_hex(16)}", person=person, now=now)


def note_person(
    session: Session,
    event: Event,
    subscription: Subscription,
    *,
    how: str,
    now: datetime,
    state: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Owe an event about somebody's subscription; `state` where it is not its own, `more` besides."""
    if not any(event in one.events for one in _listening(session)):
        return
    person = session.get_one(Subscriber, subscription.subscriber_id)
    data = {"email": person.email, "state": state or subscription.state.value, "how": how, **(more or {})}
    note(session, event, newsletter=subscription.newsletter_id, data=data, person=person.key, now=now)


def note_sent(session: Session, *, now: datetime) -> int:
    """Owe `sent` for each edition of which no letter is owed any more, once to each webhook; how many there were."""
    done = 0
    for one in _listening(session):
        if Event.SENT in one.events:
            for edition, name in session.execute(_sent_untold(one, now)).all():
                data = {"newsletter": name, "edition": edition.number, "state": edition.state.value}
                data |= {"composed_at": _text(edition.composed_at), "letters": _letters(session, edition.id or 0)}
                _owe(session, [one.id], Event.SENT, data, message=f"{_SENT}{edition.id}", now=now)
                done += 1
    return done


def _sent_untold(one: _Listener, now: datetime) -> Any:
    """Editions that have ended, of which a webhook was not told; each is found by indexes, its letters too."""
    told = sa.exists().where(
        col(WebhookEvent.webhook_id) == one.id,
        col(WebhookEvent.message) == sa.literal(_SENT) + sa.cast(Edition.id, sa.String),
    )
    owed = sa.exists().where(col(OutboxRow.edition_id) == Edition.id)  # nobody is, of past issues that were brought
    unsettled = sa.exists().where(col(OutboxRow.edition_id) == Edition.id, col(OutboxRow.settled_at).is_(None))
    query = (
        sa.select(Edition, col(Newsletter.name))
        .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
        .where(col(Edition.id) > one.after_edition, col(Edition.composed_at) > now - _LOOKED_AT)
        .where(col(Edition.state).in_((EditionState.OPEN, EditionState.CANCELLED)), ~col(Edition.laying_out))
        .where(~told, owed, ~unsettled)
    )
    if one.newsletters:
        query = query.where(col(Newsletter.name).in_(one.newsletters))
    return query.order_by(col(Edition.id)).limit(100)


def test(session: Session, webhook_id: int, *, now: datetime) -> str:
    """Owe one webhook an event that says nothing, whatever it wants; who is disabled gets it too. Its message id."""
    message = f"msg_{secrets.token_hex(16)}"
    _owe(session, [webhook_id], Event.TEST, {"words": "a test of digest"}, message=message, now=now)
    return message


def answer_to(session: Session, webhook_id: int, message: str) -> tuple[int, str]:
    """What was answered to a message last: the status, and what was wrong, in words."""
    query = sa.select(col(WebhookEvent.status), col(WebhookEvent.error))
    query = query.where(col(WebhookEvent.webhook_id) == webhook_id, col(WebhookEvent.message) == message)
    status, error = session.execute(query).one()
    return status, error


def forget_person(session: Session, person: str) -> None:
    """What is owed about somebody is owed no more."""
    session.execute(sa.delete(WebhookEvent).where(col(WebhookEvent.person) == person))


def rename_person(session: Session, old: str, new: str) -> None:
    """Whoever has another address is found by that one."""
    session.execute(sa.update(WebhookEvent).where(col(WebhookEvent.person) == old).values(person=new))


def follow(session: Session, old: str, new: str) -> None:
    """A newsletter is called `new` now: keys of the API and webhooks for it are for it still."""
    rows: list[ApiKey | Webhook] = [*session.exec(select(ApiKey)), *session.exec(select(Webhook))]
    for row in rows:
        if old in row.newsletters:
            row.newsletters = sorted({new if name == old else name for name in row.newsletters})
            session.add(row)


def _letters(session: Session, edition_id: int) -> dict[str, int]:
    query = sa.select(col(OutboxRow.state), sa.func.count()).where(col(OutboxRow.edition_id) == edition_id)
    counts: dict[OutboxState, int] = {row[0]: row[1] for row in session.execute(query.group_by(col(OutboxRow.state)))}
    ends = (OutboxState.SENT, OutboxState.REFUSED, OutboxState.DROPPED, OutboxState.HELD)
    return {state.value: counts.get(state, 0) for state in ends}


def _listening(session: Session) -> tuple[_Listener, ...]:
    """Those that are told, read once in a transaction: a step over hundreds of people asks hundreds of times."""
    found: tuple[_Listener, ...] | None = session.info.get(_LISTENERS)
    if found is None:
        rows = session.exec(select(Webhook).where(col(Webhook.disabled_at).is_(None))).all()
        found = tuple(
            _Listener(row.id or 0, frozenset(row.events), frozenset(row.newsletters), row.after_edition) for row in rows
        )
        session.info[_LISTENERS] = found
    return found


def _owe(
    session: Session,
    webhooks: Sequence[int],
    event: Event,
    data: Mapping[str, Any],
    *,
    message: str,
    person: str = "",
    now: datetime,
) -> None:
    if not webhooks:
        return
    body = json.dumps({"type": event.value, "timestamp": _text(now), "data": data}, ensure_ascii=False)
    due_at = shared_now(session, now)
    common: dict[str, Any] = {
        "message": message,
        "event": event.value,
        "person": person,
        "body": body,
        "created_at": now,
    }
    common |= {"due_at": due_at, "attempts": 0, "status": 0, "error": ""}
    rows = [common | {"webhook_id": webhook} for webhook in webhooks]
    session.connection().execute(insert_into(session, WebhookEvent).on_conflict_do_nothing(), rows)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# ---------------------------------------------------------------- claimed and settled


class Claimed(NamedTuple):
    """An event in our hands until the lease is over."""

    id: int
    attempt: int
    message: str
    event: str
    body: str
    created_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: told (2xx), or why not, and when it may be tried again (None: never)."""

    id: int
    attempt: int
    status: int = 0
    error: str = ""
    due_at: datetime | None = None


def due(session: Session, *, now: datetime) -> list[int]:
    """The webhooks for which something could be claimed at this moment; of a disabled one, only a test."""
    moment = shared_now(session, now)
    waiting = (
        col(WebhookEvent.webhook_id) == Webhook.id,
        col(WebhookEvent.settled_at).is_(None),
        col(WebhookEvent.due_at) <= moment,
    )
    able = sa.or_(col(Webhook.disabled_at).is_(None), col(WebhookEvent.event) == Event.TEST)
    query = select(Webhook.id).where(sa.exists().where(*waiting, able).correlate(Webhook)).order_by(col(Webhook.id))
    return [int(id_ or 0) for id_ in session.exec(query)]


def claim(session: Session, webhook_id: int, *, now: datetime, lease: timedelta, limit: int) -> list[Claimed]:
    """Take up to `limit` due events of a webhook until `now + lease`, one statement as in `outbox.claim`."""
    moment = shared_now(session, now)
    table: Any = WebhookEvent.__table__  # type: ignore[attr-defined]
    disabled = sa.exists().where(col(Webhook.id) == webhook_id, col(Webhook.disabled_at).is_not(None))
    some = (
        sa.select(table.c.id)
        .where(table.c.webhook_id == webhook_id, table.c.settled_at.is_(None), table.c.due_at <= moment)
        .where(sa.or_(~disabled, table.c.event == Event.TEST.value))
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=table)
        .cte("some")
    )
    taking = (
        sa.update(table)
        .where(table.c.id.in_(sa.select(some.c.id)))
        .values(due_at=moment + lease, attempts=table.c.attempts + 1)
        .returning(*(table.c[name] for name in ("id", "attempts", "message", "event", "body", "created_at")))
    )
    return sorted(Claimed(*row) for row in session.connection().execute(taking))


def settle(session: Session, webhook_id: int, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Record what became of attempts, and how the webhook does; who slept past its lease settles nothing."""
    ahead = shared_now(session, now) - now
    for one in outcomes:
        values: dict[str, Any] = {"status": one.status, "error": one.error[:300]}
        if one.due_at is None:
            values |= {"settled_at": now, "body": "", "person": ""}
        else:
            values["due_at"] = one.due_at + ahead
        mine = (col(WebhookEvent.id) == one.id, col(WebhookEvent.attempts) == one.attempt)
        unsettled = col(WebhookEvent.settled_at).is_(None)
        session.execute(sa.update(WebhookEvent).where(*mine, unsettled).values(values))
    hook: dict[str, Any]
    if any(not one.error for one in outcomes):
        hook = {"ok_at": now, "failing_since": None, "disabled_at": None, "error": ""}
    else:
        since = sa.func.coalesce(col(Webhook.failing_since), sa.literal(now, Webhook.__table__.c.failing_since.type))  # type: ignore[attr-defined]
        hook = {"failing_since": since, "error": outcomes[-1].error[:300]}
    session.execute(sa.update(Webhook).where(col(Webhook.id) == webhook_id).values(hook))


def disable(session: Session, webhook_id: int, *, now: datetime, failing_before: datetime | None = None) -> bool:
    """Tell a webhook nothing any more; with `failing_before` only one that fails since before then."""
    which = [col(Webhook.id) == webhook_id, col(Webhook.disabled_at).is_(None)]
    if failing_before is not None:
        which.append(col(Webhook.failing_since) < failing_before)
    return bool(session.connection().execute(sa.update(Webhook).where(*which).values(disabled_at=now)).rowcount)


def waiting(session: Session) -> bool:
    """Is anything owed to a webhook that is told things?"""
    owed = (col(WebhookEvent.webhook_id) == Webhook.id, col(WebhookEvent.settled_at).is_(None))
    query = sa.select(sa.exists().where(col(Webhook.disabled_at).is_(None), *owed))
    return bool(session.execute(query).scalar())


def tidy(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Give up what is owed for too long, of disabled webhooks too, and clear away some of what was settled."""
    late = (col(WebhookEvent.settled_at).is_(None), col(WebhookEvent.created_at) < now - LIFETIME)
    words = sa.case(
        (col(WebhookEvent.error) != "", col(WebhookEvent.error)), else_="given up: it was owed for too long"
    )
    given_up = sa.update(WebhookEvent).where(*late, col(WebhookEvent.due_at) <= shared_now(session, now))
    session.execute(
        given_up.values(settled_at=now, body="", person="", error=words),
        execution_options={"synchronize_session": False},
    )
    old = select(WebhookEvent.id).where(col(WebhookEvent.settled_at) < now - _KEPT)
    # What was sent of an edition is known by its row.
    old = old.where(~sa.and_(col(WebhookEvent.event) == Event.SENT, col(WebhookEvent.created_at) > now - _SENT_KEPT))
    gone = sa.delete(WebhookEvent).where(
        col(WebhookEvent.id).in_(old.order_by(col(WebhookEvent.settled_at)).limit(limit))
    )
    return session.connection().execute(gone).rowcount
