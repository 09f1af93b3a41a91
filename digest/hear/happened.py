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

    That somebody left is told where the subscription ends. What is ours to mend, and what is no complaint, tells
    nothing of the reader.
    """
    if what.kind in (Kind.HARD, Kind.SOFT):
        event = hooks.Event.BOUNCED
    elif what.act is Act.COMPLAINT:
        event = hooks.Event.COMPLAINED
    else:
        return
    ours = session.get(Subscription, what.subscription_id) if what.subscription_id is not None else None
    if ours is not None:
        data = {"kind": what.kind.value, "act": what.act.value, "why": what.why}
        hooks.note_person(session, event, ours, how=f"mail {what.report_id}", now=what.at, more=data)
