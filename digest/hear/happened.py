"""What happened to a reader by mail, for whoever wants to be told: called once, in the transaction that stores it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from digest.hear.policy import Act
from digest.hear.report import Kind


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
    """The one place to tell others from (webhooks that go out, say). What it writes is committed with the report."""
