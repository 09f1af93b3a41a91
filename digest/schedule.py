"""When an edition is due: `daily 07:00 Europe/Berlin`, `weekdays 07:00`, `weekly mon 08:00`; and when its letters are.

A newsletter has its slots, and a reader may have their own. An edition closes at the newsletter's slot; each of its
letters goes out at the reader's, so that a letter is never more than one edition old when it comes.

Pure: values in, values out; the caller brings the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = {name[:3]: name for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}
_WORDS = re.compile(
    r"(?P<cadence>daily|weekdays|weekly\s+[a-z]+)\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Schedule:
    """Slots recurring on some weekdays (0 is Monday) at one local time."""

    days: frozenset[int]
    at: time
    zone: ZoneInfo

    def last_slot(self, now: datetime) -> datetime:
        """The latest slot at or before `now`, in UTC.

        An hour that the clocks skip counts as the hour they skip to, an hour they repeat counts once
        (PEP 495, fold=0), so a change of clocks gives neither two editions nor none.
        """
        return self._last(now)[1]

    def next_slot(self, now: datetime) -> datetime:
        """The first slot after `now`, in UTC."""
        return self._first(now + timedelta(microseconds=1))[1]

    def _last(self, now: datetime) -> tuple[date, datetime]:
        """The latest slot at or before `now`, and which day's it is."""
        today = now.astimezone(self.zone).date()
        for back in range(-1, 9):
            day = today - timedelta(days=back)
            if day.weekday() in self.days and (slot := self._slot(day)) <= now:
                return day, slot
        raise AssertionError("a week has passed without a slot")  # `days` is never empty

    def _first(self, now: datetime) -> tuple[date, datetime]:
        """The first slot at or after `now`, and which day's it is."""
        today = now.astimezone(self.zone).date()
        for ahead in range(-1, 9):
            day = today + timedelta(days=ahead)
            if day.weekday() in self.days and (slot := self._slot(day)) >= now:
                return day, slot
        raise AssertionError("a week has passed without a slot")

    def _slot(self, day: date) -> datetime:
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)

    def _begin(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


@dataclass(frozen=True)
class Turn:
    """When an edition's letters go to readers of one schedule, and to which of these readers.

    To those whose last letter was for a slot from `after` on and before `before` (None: whenever it was), and, where
    `new`, to those who had none yet. `slot` is the reader's slot that this letter is for.
    """

    due_at: datetime
    slot: datetime
    after: datetime | None = None
    before: datetime | None = None
    new: bool = True


def parse(words: str) -> Schedule:
    """Read a schedule; ValueError says what is wrong and what would be right. No zone means UTC."""
    match = _WORDS.fullmatch(words.strip())
    if match is None:
        raise ValueError(
            f"{words!r} is not a schedule; write 'daily 07:00 Europe/Berlin', 'weekdays 07:00' or 'weekly mon 08:00'"
        )
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 23 or minute > 59:
        raise ValueError(f"{match['hour']}:{match['minute']} is not a time of day")
    return Schedule(_days(cadence(match["cadence"])), time(hour, minute), ZoneInfo(zone(match["zone"] or "UTC")))


def cadence(words: str) -> str:
    """A reader's cadence in its one form: "daily", "weekdays", "weekly mon" or "" (every edition); else ValueError."""
    said = words.lower().split()
    if said in ([], ["daily"], ["weekdays"]):
        return " ".join(said)
    if said[0] != "weekly" or len(said) > 2:
        raise ValueError(f"{words!r} is not a cadence; write 'daily', 'weekdays' or 'weekly mon'")
    day = said[1] if len(said) == 2 else ""
    if day[:3] not in DAYS or not _DAY_NAMES[day[:3]].startswith(day):
        raise ValueError(f"{day!r} is not a weekday; write one of {', '.join(DAYS)}")
    return f"weekly {day[:3]}"


def zone(name: str) -> str:
    """The name of a time zone, or "" where none is chosen; ValueError where the time zone database has none such."""
    if name:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone; write e.g. Europe/Berlin") from None
    return name


def own(cadence: str, hour: int | None, zone: str, newsletter: Schedule | None) -> Schedule | None:
    """A reader's schedule, made of what they chose and, for the rest, of the newsletter's; None: whenever it comes.

    Without an hour of their own it is the newsletter's time of day, on its own clock; a newsletter without a
    schedule has none, and their day begins at midnight. A zone that is known no more is the newsletter's.
    """
    if not cadence and hour is None:
        return None
    if hour is None and newsletter is not None:
        return replace(newsletter, days=_days(cadence))
    try:
        clock = ZoneInfo(zone) if zone else newsletter.zone if newsletter else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        clock = newsletter.zone if newsletter else ZoneInfo("UTC")
    return Schedule(_days(cadence or "daily"), time(hour or 0), clock)


def turns(reader: Schedule | None, *, slot: datetime, following: datetime, now: datetime) -> list[Turn]:
    """Which readers of a schedule get the edition of the newsletter's `slot`, and when. `following` is the next slot.

    Their next slot counts, unless a fresher edition will be there by then; whoever had a letter for that day of
    theirs waits for the next one. So each gets at most one for each of their days, at their hour to the minute, and
    a day passes without one only where no edition came between two of their slots. What is late goes at once.

    Weekly readers would wait for a week where they missed their slot: because nothing ran then, because they chose
    another day, or because the newsletter comes on their day and an hour later. They get this one today.
    """
    if reader is None:
        return [Turn(now, now)]
    day, coming = reader._first(slot)
    today = slot.astimezone(reader.zone).date()
    found = []
    after = None
    if len(reader.days) == 1:
        missed, missed_slot = reader._last(slot - timedelta(microseconds=1))
        if coming >= following or missed == today:
            on, at = replace(reader, days=_days("daily"))._first(slot)
            due_at = at if on == today and at < following else now
            after = reader._begin(missed)
            found.append(Turn(max(due_at, now), missed_slot, before=after, new=missed == today))
    if coming < following:
        first = not any(turn.new for turn in found)
        coming_or_last = max(coming, reader.last_slot(now))
        found.append(Turn(max(coming, now), coming_or_last, after, reader._begin(day), first))
    return found


def turns_of_run(reader: Schedule | None, *, hour: bool, since: datetime, now: datetime) -> list[Turn]:
    """The same for a newsletter without a schedule, which sends at each run: `since` is when the last one was.

    Who chose an `hour` gets all that is new in the run that comes upon it; who only chose days, in the first run of
    such a day that has something new.
    """
    if reader is None:
        return [Turn(now, now)]
    day, slot = reader._last(now)
    today = now.astimezone(reader.zone).date()
    if (hour and slot <= since) or (not hour and today != day and len(reader.days) > 1):
        return []
    return [Turn(now, slot, before=reader._begin(day), new=hour or today == day)]


def _days(cadence: str) -> frozenset[int]:
    if cadence.startswith("weekly"):
        return frozenset([DAYS.index(cadence.split()[1])])
    return frozenset(range(5) if cadence == "weekdays" else range(7))
