"""The operator's own digest: what the week was, in one letter, once a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from digest.alerts.telling import mail
from digest.colours import on_dark
from digest.config import Config
from digest.store import Database, weekly
from digest.store.weekly import Week

if TYPE_CHECKING:
    from digest.render import Note

_WEEK = timedelta(days=7)
_LATE = timedelta(days=2)  # a letter of a week that was over longer ago is not sent any more


def owe(database: Database, config: Config, *, now: datetime) -> bool:
    """Owe the letter of the week that is over, if it is time; False where it is not, or was owed before."""
    slots = config.alerts.week
    if slots is None or not config.newsletters:
        return False
    slot = slots.last_slot(now)
    if now - slot > _LATE:
        return False
    with database.read() as session:
        week = weekly.figures(session, since=slot - _WEEK, until=slot)
    from digest.render import Templates  # once a week

    made = Templates().note(_note(config, week, slot))
    key = f"weekly:{slot.astimezone(UTC):%G-W%V}"
    with database.write() as session:
        return mail(session, config, made.subject, made.text, key=key, now=now, html=made.html)


def _note(config: Config, week: Week, slot: datetime) -> Note:
    """The letter as note templates are given it; stories and feeds are strangers' words, each of one line."""
    from digest.render import Note
    from digest.render.words import plain_line

    settings = next(iter(config.newsletters.values()))
    begun = slot - _WEEK
    words = [
        f"{week.sent:,} {'letter' if week.sent == 1 else 'letters'} went out, {week.bounced:,} came back.",
        f"{week.joined:,} joined, {week.left:,} left.",
    ]
    if week.died:
        words.append(f"Feeds that died: {'; '.join(plain_line(name, 80) for name in week.died)}.")
    best = "; ".join(f"{plain_line(title, 100)} ({number} sources)" for title, number in week.stories)
    return Note(
        title="digest",
        language="en",
        subject=f"Your newsletters from {begun:%d %B} to {slot:%d %B}",
        heading="The week",
        words=" ".join(words),
        act="The archive",
        url=config.base_url,
        after=f"Best covered: {best}." if best else "No story was told by several feeds.",
        accent=settings.accent,
        accent_dark=on_dark(settings.accent),
        home=config.base_url,
    )
