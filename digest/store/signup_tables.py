"""The tables of sign-ups: who waits for an answer, what was answered, and how many were turned away."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from digest.column_types import UtcTime
from digest.column_types import json_field as _json
from digest.column_types import time_field as _time


class SignupMail(SQLModel, table=True):
    """A sign-up that was answered: what its limits count. Address and network are kept as keyed hashes only.

    Where the answer was no mail, the address is "": it counts for its network all the same.
    """

    __tablename__ = "signup_mail"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(index=True)
    network: str
    at: datetime = _time(index=True)


class SignupWait(SQLModel, table=True):
    """A sign-up that has not been looked at yet: what was asked, until the mail that answers it may be written."""

    __tablename__ = "signup_wait"

    id: int | None = Field(default=None, primary_key=True)
    newsletter_id: int = Field(foreign_key="newsletter.id", index=True, ondelete="CASCADE")
    email: str
    key: str = Field(index=True)  # `address_key(email)`
    name: str = ""
    choices: dict[str, Any] = _json(default_factory=dict)  # some of `subscribe.Preferences`
    how: str
    ip: str
    network: str = Field(index=True)  # as SignupMail has it
    at: datetime = _time()


class SignupRefusal(SQLModel, table=True):
    """How many sign-ups were turned away on a day (UTC), since too many waited already."""

    __tablename__ = "signup_refusal"

    day: datetime = Field(sa_type=UtcTime, primary_key=True)
    number: int = 0
