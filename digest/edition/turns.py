"""Whose turn it is: whether an edition may be composed now, told before anything is imported that composes one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Newsletter
from digest.models import Newsletter as NewsletterRow
from digest.schedule import Schedule
from digest.store import editions, recipients


def not_now(session: Session, row: NewsletterRow, settings: Newsletter, *, now: datetime) -> str:
    """Why no edition of a newsletter is composed at this moment, in words; "" where one may be, or is half laid out."""
    assert row.id is not None
    if slots := settings.slots:
        # `slot_at` moves on when all letters are there.
        if slots.last_slot(now) > row.slot_at and editions.laying_out(session, row.id):
            return ""
        due = _due_slot(session, row, slots, now=now)
        return "" if due else f"not due before {slots.next_slot(now):%Y-%m-%d %H:%M} UTC"
    # Where readers chose hours, each of these would come to few, and what others get would be in pieces.
    last = recipients.last_composed(session, row.id)
    begun = now.replace(minute=0, second=0, microsecond=0)
    if last is None or last < begun or all(hour is None for _, hour, _ in recipients.readers_hours(session, row.id)):
        return ""
    if editions.laying_out(session, row.id):
        return ""
    return f"one edition an hour, since readers chose hours: not before {begun + timedelta(hours=1):%H:%M} UTC"


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
