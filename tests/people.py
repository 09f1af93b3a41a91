"""Readers for tests: `subscribe.add` with the settings and the evidence that no test asks about."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from conftest import MONDAY
from sqlmodel import Session

from digest import subscribe
from digest.subscribe import Evidence, Preferences

SECRET = "a key for tests, long enough"


def enrol(
    session: Session,
    email: str,
    *,
    newsletter: str = "daily",
    known_topics: Collection[str] = (),
    secret: str = SECRET,
    welcome: bool = False,
    how: str = "test",
    now: datetime = MONDAY,
    vouched_by: str = "",
    name: str = "",
    tags: Collection[str] = (),
    again: bool = False,
    **chosen: Any,
) -> subscribe.Added:
    """Subscribe somebody who `chosen` so: fields of `Preferences`."""
    return subscribe.add(
        session,
        email,
        subscribe.Joining(newsletter, known_topics, secret, welcome=welcome),
        evidence=Evidence(how, now, vouched_by=vouched_by),
        preferences=preferences(**chosen),
        name=name,
        tags=tags,
        again=again,
    )


def preferences(*, topics: Collection[str] = (), **chosen: Any) -> Preferences:
    return Preferences(topics=tuple(topics), **chosen)
