"""Whose turn it is: whether an edition may be composed now, told before anything is imported that composes one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Config, Newsletter
from digest.models import Newsletter as NewsletterRow
from digest.schedule import Schedule
from digest.store import editions, newsletters, recipients


def not_now(session: Session, row: NewsletterRow, settings: Newsletter, *, now: datetime) -> str:
    """Why no edition of a newsletter is composed at this moment, in words; "" where one may be, or is half laid out."""
    assert row.id is not None
    half = editions.laying_out(session, row.id)
    if half and (half.composed_at <= now or not settings.slots):
        return ""  # it is brought to its end, also where the settings have another schedule by now
    if slots := settings.slots:
        due = _due_slot(session, row, slots, now=now)
        return "" if due else f"not due before {slots.next_slot(now):%Y-%m-%d %H:%M} UTC"
    # Where readers chose hours, each of these would come to few, and what others get would be in pieces.
    last = recipients.last_composed(session, row.id)
    begun = now.replace(minute=0, second=0, microsecond=0)
    if last is None or last < begun or all(hour is None for _, hour, _ in recipients.readers_hours(session, row.id)):
        return ""
    return f"one edition an hour, since readers chose hours: not before {begun + timedelta(hours=1):%H:%M} UTC"


def overdue(session: Session, config: Config, *, now: datetime) -> dict[str, datetime]:
    """Newsletters whose edition should be there, and since when: its slot passed, or it is laid out only in part."""
    rows, found = newsletters.by_name(session), {}
    for name in config.turn:
        planned, row = config.newsletters[name].slots, rows.get(name)
        if row is None:
            continue
        if half := editions.laying_out(session, row.id or 0):
            found[name] = half.slot_at or half.composed_at
        elif planned and (slot := planned.next_slot(row.slot_at)) <= now:
            found[name] = slot
    return found


def _due_slot(session: Session, row: NewsletterRow, slots: Schedule, *, now: datetime) -> datetime | None:
    """The slot whose edition is to be composed now, if any: on the newsletter's clock, as many a day as it has times.

    A schedule that was moved to a later hour has another slot on the day whose edition is with its readers already.
    """
    assert row.id is not None
    slot = slots.last_slot(now)
    if slot <= row.slot_at:
        return None
    place, begin, end = slots.day_of(slot)
    return None if editions.slots_had(session, row.id, begin, end) >= place else slot
