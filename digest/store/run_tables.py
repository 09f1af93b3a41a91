"""The tables of what was done: each run, the days on which there was one, and how many letters there were in all."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger
from sqlmodel import Field, SQLModel

from digest.models import UtcTime


class Run(SQLModel, table=True):
    """A run of the line or of one step of it: written where it begins, and filled in where it ends. No addresses."""

    __tablename__ = "run"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)  # which stands in the log too
    command: str
    process: str  # host, number and start of who does it: see `runs.alive`
    began_at: datetime = Field(sa_type=UtcTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    exit_code: int | None = None  # of a run that ended
    trouble: str = ""  # what broke it off, in words
    steps: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # counts, by step
    newsletters: dict[str, Any] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # counts, by name


class Tally(SQLModel, table=True):
    """How many there were since the first run: it only grows, whatever is pruned."""

    __tablename__ = "tally"

    name: str = Field(primary_key=True)
    total: int = Field(default=0, sa_type=BigInteger)


class RunDay(SQLModel, table=True):
    """A day (UTC, its beginning) on which digest ran: by these a clock that leapt, or fell behind, is known."""

    __tablename__ = "run_day"

    day: datetime = Field(sa_type=UtcTime, primary_key=True)
