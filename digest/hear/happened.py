"""What happened to a reader by mail, for whoever wants to be told: called once, in the transaction that stores it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from digest.hear.policy import Act
from digest.hear.report import Kind
from digest.models import Subscription
from digest.store import hooks


@dataclass(frozen=True)
class Happened:
    """A reader bounced, complained, or left by mail; `act` says what followed. Numbers are those of the rows."""

    report_id: int
    kind: Kind  # hard, soft, policy, complaint, unsubscribe
    act: Act
    why: str
    at: datetime
    subscriber_id: int
    subscription_id: int | None
    edition_id: int | None


def happened(session: Session, what: Happened) -> None:
    """The one place to tell others from: webhooks. What it writes is committed with the report.

    A subscription that ends by it is told where it ends, as any other is (`reports`).
    """
    event = _event(what)
    subscription = session.get(Subscription, what.subscription_id) if event and what.subscription_id else None
    if event is not None and subscription is not None:
        more = {"kind": what.kind.value, "act": what.act.value, "why": what.why}
        hooks.note_person(session, event, subscription, how=f"mail {what.report_id}", now=what.at, more=more)


def _event(what: Happened) -> hooks.Event | None:
    """What is ours to mend (policy) is no word about a reader, nor is a report that calls a letter wanted."""
    if what.kind in (Kind.HARD, Kind.SOFT):
        return hooks.Event.BOUNCED
    return hooks.Event.COMPLAINED if what.kind is Kind.COMPLAINT and what.act is Act.COMPLAINT else None
