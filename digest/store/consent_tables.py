"""The tables of what people said, and of whom nothing is kept but that they were forgotten."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from digest.column_types import state_field as _state
from digest.column_types import time_field as _time


class ConsentEvent(StrEnum):
    SUBSCRIBED = "subscribed"
    PENDING = "pending"
    UNSUBSCRIBED = "unsubscribed"
    PAUSED = "paused"
    RESUMED = "resumed"
    CHOSE = "chose"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    TAGGED = "tagged"
    MOVED = "moved"  # to another address


class Consent(SQLModel, table=True):
    """What a person (or somebody for them) said, when, and how we know. Rows are added, never changed."""

    __tablename__ = "consent"

    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True, ondelete="CASCADE")
    newsletter_id: int | None = Field(default=None, foreign_key="newsletter.id", ondelete="CASCADE")  # None: all
    at: datetime = _time()
    event: ConsentEvent = _state(ConsentEvent)
    how: str  # "command line", "import FILE", "web", "one-click", …
    vouched_by: str = ""  # who says that the person wants it, where they did not say so themselves
    ip: str = ""  # the network address it came from
    detail: str = ""


class Erasure(SQLModel, table=True):
    """The keyed hash of an address that was erased: all we keep, so that no import brings it back."""

    __tablename__ = "erasure"

    mark: str = Field(primary_key=True)  # subscribe.erasure_mark
    created_at: datetime = _time()
