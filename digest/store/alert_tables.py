"""The tables of alerts: what is the matter and whether it was told, and what each channel has still to say."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from digest.models import UtcTime


class AlertRow(SQLModel, table=True):
    """A condition and how it was told: the columns of `values.Alert`."""

    __tablename__ = "alert"

    key: str = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcTime)
    title: str = ""
    words: str = ""
    cure: str = ""
    names: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)
    told_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    last_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    gone_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    well_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    turns: int = 0


class AlertTelling(SQLModel, table=True):
    """Something that a channel is to say, until it has said it."""

    __tablename__ = "alert_telling"

    name: str = Field(primary_key=True)  # of `values.AlertWord`
    channel: str = Field(primary_key=True)  # "mail", "webhook" or "command"
    word: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)
    made_at: datetime = Field(sa_type=UtcTime)
    taken_until: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # the lease of who says it
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # said, or given up
    tries: int = 0
    error: str = ""  # of the last try; "" where it was said
