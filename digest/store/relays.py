"""How many letters each relay took in which hour, for what the settings allow it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import RelayHour
from digest.store.database import insert_into

_NO_SYNC = {"synchronize_session": False}


def add_letters(session: Session, letters: Mapping[str, int], *, now: datetime) -> None:
    """Count letters that relays took in this hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    insert = insert_into(session, RelayHour)
    statement = insert.on_conflict_do_update(
        index_elements=["relay", "hour"], set_={"letters": RelayHour.letters + insert.excluded.letters}
    )
    rows = [{"relay": relay, "hour": hour, "letters": number} for relay, number in letters.items() if number]
    if rows:
        session.connection().execute(statement, rows)


HOURS_KEPT = timedelta(days=2)


def hours(session: Session, *, now: datetime) -> dict[str, dict[datetime, int]]:
    """{relay: {hour: letters}} of the last day; older ones are forgotten."""
    found: dict[str, dict[datetime, int]] = {}
    query = sa.select(col(RelayHour.relay), col(RelayHour.hour), col(RelayHour.letters))
    for relay, hour, letters in session.execute(query.where(col(RelayHour.hour) > now - timedelta(hours=25))):
        found.setdefault(relay, {})[hour] = letters
    return found


def forget_hours(session: Session, *, before: datetime) -> None:
    session.execute(sa.delete(RelayHour).where(col(RelayHour.hour) < before), execution_options=_NO_SYNC)
