"""The tables of the API: who may ask, what was answered to whoever asks twice, and who is told of what happens."""

from datetime import datetime

from sqlalchemy import JSON, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from digest.column_types import UtcTime, only


class ApiKey(SQLModel, table=True):
    """A key of the API. Its secret is not here: who has it shows it, and we know its hash."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)  # stands in the history of whom it changes
    prefix: str = Field(unique=True)  # the beginning of the key, by which it is found and shown
    hash: str  # SHA-256 of the whole key, in hex: its secret is random, so a slow hash would protect nothing
    newsletters: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)  # names; [] is all
    verbs: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)  # of `store.keys.VERBS`
    created_at: datetime = Field(sa_type=UtcTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # to the hour
    expires_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)


class ApiAnswer(SQLModel, table=True):
    """What a request with an Idempotency-Key came to, for a day; status 0 while it is under way."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("key_id", "mark"),)

    id: int | None = Field(default=None, primary_key=True)
    key_id: int = Field(foreign_key="api_key.id", ondelete="CASCADE")
    mark: str  # of the Idempotency-Key
    fingerprint: str  # of the request
    at: datetime = Field(sa_type=UtcTime, index=True)  # when it was begun
    attempt: int = 1  # whoever takes over from one that died has the next number
    status: int = 0
    headers: dict[str, str] = Field(sa_type=JSON, default_factory=dict, nullable=False)
    body: str = Field(default="", sa_type=Text)
    person: str = Field(default="", index=True)  # `address_key` of whom it tells, so that it goes with them


class Webhook(SQLModel, table=True):
    """An address that is told what happens. Its secret signs what it is sent, so it is kept as it is."""

    __tablename__ = "webhook"

    id: int | None = Field(default=None, primary_key=True)
    url: str
    secret: str  # whsec_ and base64, as Standard Webhooks has it
    events: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)
    newsletters: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)  # names; [] is all
    created_at: datetime = Field(sa_type=UtcTime)
    after_edition: int = 0  # of editions up to this id it is told nothing: they were there before it
    ok_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # when it last took something
    failing_since: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    error: str = ""  # the last one, in words
    disabled_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)


class WebhookEvent(SQLModel, table=True):
    """Something that happened, owed to one webhook: written in the transaction in which it happened."""

    __tablename__ = "webhook_event"
    __table_args__ = (
        UniqueConstraint("webhook_id", "message"),
        Index(
            "ix_webhook_event_due",
            "webhook_id",
            "due_at",
            "id",
            info=only("settled_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhook.id", ondelete="CASCADE")
    message: str  # its name for whoever gets it twice
    event: str  # of `store.hooks.Event`
    person: str = Field(default="", index=True)  # `address_key` of whom it tells, "" of nobody
    body: str = Field(sa_type=Text)  # JSON, the same at each attempt; "" once it was told
    created_at: datetime = Field(sa_type=UtcTime)
    due_at: datetime = Field(sa_type=UtcTime)  # when it may be claimed; while claimed, when the lease runs out
    attempts: int = 0
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True, index=True)
    status: int = 0  # the last answer's
    error: str = ""  # why it was not told, in words
