"""When an edition is due: `daily 07:00 Europe/Berlin`, `weekdays 07:00`, `weekly mon 08:00`.

Pure: values in, values out; the caller brings the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS = re.compile(
    r"(?P<cadence>daily|weekdays|weekly\s+(?P<day>[a-z]+))\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s+(?P<zone>\S+))?",
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
        local = now.astimezone(self.zone)
        for back in range(8):
            day = (local - timedelta(days=back)).date()
            if day.weekday() in self.days:
                slot = datetime.combine(day, self.at, self.zone).astimezone(UTC)
                if slot <= now:
                    return slot
        raise AssertionError("a week has passed without a slot")  # `days` is never empty

    def next_slot(self, now: datetime) -> datetime:
        """The first slot after `now`, in UTC."""
        local = now.astimezone(self.zone)
        for ahead in range(9):
            day = (local + timedelta(days=ahead)).date()
            if day.weekday() in self.days:
                slot = datetime.combine(day, self.at, self.zone).astimezone(UTC)
                if slot > now:
                    return slot
        raise AssertionError("a week has passed without a slot")


def parse(words: str) -> Schedule:
    """Read a schedule; ValueError says what is wrong and what would be right. No zone means UTC."""
    match = _WORDS.fullmatch(words.strip())
    if match is None:
        raise ValueError(
            f"{words!r} is not a schedule; write 'daily 07:00 Europe/Berlin', 'weekdays 07:00' or 'weekly mon 08:00'"
        )
    day = (match["day"] or "").lower()[:3]
    if match["day"] and day not in DAYS:
        raise ValueError(f"{match['day']!r} is not a weekday; write one of {', '.join(DAYS)}")
    cadence = match["cadence"].lower()
    days = range(7) if cadence == "daily" else range(5) if cadence == "weekdays" else [DAYS.index(day)]
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 23 or minute > 59:
        raise ValueError(f"{match['hour']}:{match['minute']} is not a time of day")
    try:
        zone = ZoneInfo(match["zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{match['zone']!r} is not a time zone; write e.g. Europe/Berlin") from None
    return Schedule(frozenset(days), time(hour, minute), zone)
