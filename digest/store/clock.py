"""Is the clock of this machine right? Days on which digest ran, the release and the database's server bear witness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.column_types import bare
from digest.models import Edition, Feed
from digest.store.database import insert_into, shared_now
from digest.store.run_tables import RunDay

TOLERANCE = timedelta(hours=1)  # clocks that differ by less are both right
# Between what two hosts on one database write at one moment: each may differ so much from its server's clock.
APART = 2 * TOLERANCE
MADE = datetime(2025, 11, 23, tzinfo=UTC)  # a year before this release: no right clock says less
LATELY = timedelta(days=40)  # since the last run, for it to bear witness to the clock
_DAY = timedelta(days=1)
_RAN = RunDay.__table__.c  # type: ignore[attr-defined]
_NO_SYNC = {"synchronize_session": False}


def verdict(session: Session, *, now: datetime) -> str:
    """Why `now` cannot be right, in words, or "". Where it may be, what lies ahead of it is what is wrong.

    One word against another decides nothing, so it takes more: the release was made later, PostgreSQL's server says
    otherwise, digest ran on each of the next two days, or all that is stored, by several runs, is of days to come.
    """
    said = f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if now < MADE:
        return f"{said}, and digest was not made then"
    server = shared_now(session, now)
    if abs(now - server) > TOLERANCE:
        return f"{said}, and the clock of the database {server:%Y-%m-%d %H:%M}"
    tomorrow = utc_day(now) + _DAY
    first, last = session.execute(sa.select(sa.func.min(_RAN.day), sa.func.max(_RAN.day))).one()
    added = session.scalars(sa.select(sa.func.min(bare(Feed.added_at)))).one()
    oldest = min(filter(None, (first, added)), default=now)
    if oldest >= tomorrow + _DAY and first != last:
        return f"{said}, and all that is stored is of later days, from {oldest:%Y-%m-%d} on"
    coming = sa.select(sa.func.count()).where(_RAN.day.in_((tomorrow, tomorrow + _DAY)))
    if session.scalars(coming).one() == 2:
        return f"{said}, and digest ran on each of the two days after that, the last time on {last:%Y-%m-%d}"
    return ""


def apart(session: Session) -> timedelta:
    """How much earlier something may seem to be than what it followed. A SQLite file is one machine's."""
    return APART if session.get_bind().dialect.name == "postgresql" else timedelta(0)


def last_run(session: Session, *, now: datetime) -> datetime | None:
    """The latest day before today on which digest ran."""
    found: datetime | None = session.scalars(sa.select(sa.func.max(_RAN.day)).where(_RAN.day < utc_day(now))).one()
    return found


def first_run(session: Session) -> datetime | None:
    """The first day that is kept on which digest ran."""
    found: datetime | None = session.scalars(sa.select(sa.func.min(_RAN.day))).one()
    return found


def ran_lately(session: Session, *, now: datetime) -> bool:
    """Do days before today bear witness that this clock did not leap? What cannot be undone waits until they do."""
    last = last_run(session, now=now)
    return last is not None and now - last <= LATELY


def utc_day(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def note_day(session: Session, *, now: datetime) -> None:
    """Digest runs today."""
    session.connection().execute(insert_into(session, RunDay).values(day=utc_day(now)).on_conflict_do_nothing())


def forget_days(session: Session, *, now: datetime) -> None:
    """Somebody says that this clock is right: what ran on days to come ran by one that was not."""
    session.execute(sa.delete(RunDay).where(col(RunDay.day) > utc_day(now)), execution_options=_NO_SYNC)
    session.execute(sa.update(Feed).where(col(Feed.added_at) > now).values(added_at=now), execution_options=_NO_SYNC)


_WEEKLY = timedelta(days=8)  # between two days of work, where somebody works once a week
_SEEN = 3  # days of work within which somebody sees that a clock is wrong


def lived_before(session: Session, *, days: int, now: datetime) -> datetime | None:
    """The moment that is `days` days ago by this clock and by the days that were lived; None where none is.

    What cannot be undone is judged by it. A day was lived on which digest ran or composed an edition. Where more than
    a week lies between two of them it counts as one day, and between the latest of them any time does: a clock that
    leaps ahead, by a year or by some days, makes nothing older.
    """
    today, begin = utc_day(now), utc_day(now) - timedelta(days=4 * 366)
    ran = session.scalars(sa.select(_RAN.day).where(_RAN.day >= begin, _RAN.day <= now))
    made = session.scalars(
        sa.select(col(Edition.composed_at)).where(col(Edition.composed_at) >= begin, col(Edition.composed_at) <= now)
    )
    lived = {utc_day(moment) for some in (ran, made) for moment in some if moment is not None} - {today}
    age, later = timedelta(0), today
    for number, day in enumerate(sorted(lived, reverse=True)):
        gap = later - day
        age += gap if number >= _SEEN and gap <= _WEEKLY else _DAY
        later = day
        if age >= timedelta(days=days):
            return min(day, now - timedelta(days=days))
    return None
