"""When an edition is due: `daily 07:00,18:00 Europe/Berlin`, `monthly last fri 08:00`; and when its letters are.

A newsletter has its slots, and a reader may have their own. An edition closes at the newsletter's slot; each of its
letters goes out at the reader's, so that a letter is never more than one edition old when it comes.

Pure: values in, values out; the caller brings the clock.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from digest.dataclass import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}  # of a month
LONGEST = timedelta(days=36)  # between two days of a reader's own: from one last Friday to the next, and a clock
_DAY_NAMES = {name[:3]: name for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}
_NTH_WORDS = {"1st": "first", "2nd": "second", "3rd": "third", "4th": "fourth"}
_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_WEEK = date(2026, 1, 5)  # of two weeks the one that counts where none is named, by its Monday
_FAR = 3700  # days that are looked through: so many holidays in a row are a mistake
_CADENCES = "'daily', 'weekdays', 'weekly mon', 'fortnightly mon', 'monthly 1' or 'monthly last fri'"


@dataclass(frozen=True)
class Days:
    """Which dates: some weekdays (0 is Monday) of each week or each second one, or one day of each month."""

    weekdays: frozenset[int] = frozenset(range(7))
    fortnight: date | None = None  # the Monday of a week that counts; each second one from there, both ways
    nth: int = 0  # of a month's `weekdays`: 1 to 4, or -1 for the last
    number: int = 0  # of a month's days, 1 to 31; where it has fewer, its last

    def __contains__(self, day: date) -> bool:
        length = monthrange(day.year, day.month)[1]
        if self.number:
            return day.day == min(self.number, length)
        if day.weekday() not in self.weekdays:
            return False
        if self.nth:
            return (day.day - 1) // 7 + 1 == self.nth if self.nth > 0 else day.day > length - 7
        return self.fortnight is None or (day - self.fortnight).days // 7 % 2 == 0

    @property
    def rare(self) -> bool:
        """Once a week at most: whoever missed such a day would wait for long."""
        return bool(self.number or self.nth or self.fortnight) or len(self.weekdays) == 1


@dataclass(frozen=True)
class Holidays:
    """Dates that have no edition: single ones, the same of each year (month, day), and those of places ("DE-BY")."""

    dates: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    places: tuple[str, ...] = ()

    def __contains__(self, day: date) -> bool:
        if day in self.dates or (day.month, day.day) in self.yearly:
            return True
        return any(day in _calendar(place) for place in self.places)


NONE = Holidays()


@dataclass(frozen=True)
class Schedule:
    """Slots recurring on some days at some local times, the earliest first."""

    days: Days
    times: tuple[time, ...]
    zone: ZoneInfo
    holidays: Holidays = NONE

    def last_slot(self, now: datetime) -> datetime:
        """The latest slot at or before `now`, in UTC.

        An hour that the clocks skip counts as the hour they skip to, an hour they repeat counts once
        (PEP 495, fold=0), so a change of clocks gives neither two editions nor none.
        """
        return self._last(now)[1]

    def next_slot(self, now: datetime) -> datetime:
        """The first slot after `now`, in UTC."""
        return self._first(now + timedelta(microseconds=1))[1]

    def rhythm(self, now: datetime) -> timedelta:
        """How long it is from the slot before the last to the last one."""
        last = self.last_slot(now)
        return last - self.last_slot(last - timedelta(seconds=1))

    def on(self, day: date) -> bool:
        """Has this day slots?"""
        return day in self.days and day not in self.holidays

    def day_of(self, slot: datetime) -> tuple[int, datetime, datetime]:
        """Which slot of its day it is (1 is the first), and when that day begins and ends."""
        day = slot.astimezone(self.zone).date()
        passed = [one for one in self._slots(day) if one <= slot]
        return len(passed), self._begin(day), self._begin(day + timedelta(days=1))

    def counts_for(self, now: datetime) -> datetime:
        """What a reader of this schedule who gets a letter at `now` has had: their hour that passed last, on any day.

        A rare day that is long past would not say it: by another hour, zone or cadence it could count as missed.
        """
        return replace(self, days=Days()).last_slot(now)

    def _last(self, now: datetime) -> tuple[date, datetime]:
        """The latest slot at or before `now`, and which day's it is."""
        today = now.astimezone(self.zone).date()
        for back in range(-1, _FAR):
            day = today - timedelta(days=back)
            if self.on(day) and (passed := [slot for slot in self._slots(day) if slot <= now]):
                return day, passed[-1]
        raise AssertionError("ten years have passed without a slot")  # `parse` refuses such holidays

    def _first(self, now: datetime) -> tuple[date, datetime]:
        """The first slot at or after `now`, and which day's it is."""
        today = now.astimezone(self.zone).date()
        for ahead in range(-1, _FAR):
            day = today + timedelta(days=ahead)
            if self.on(day) and (coming := [slot for slot in self._slots(day) if slot >= now]):
                return day, coming[0]
        raise AssertionError("ten years have passed without a slot")

    def _slots(self, day: date) -> list[datetime]:
        return sorted({datetime.combine(day, at, self.zone).astimezone(UTC) for at in self.times})

    def _begin(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


@dataclass(frozen=True)
class Turn:
    """When an edition's letters go to readers of one schedule, and to which of these readers.

    To those who had no letter for a day of theirs from `day` on (None: to all), but not to whom a letter makes up for
    the day that began at `missed`. A `late` one makes up for `day`: it goes to those who had no letter at all since
    then, and whose last slot was before; also to those who had none yet, where `new`, or where they were here by
    `known`, when what nothing ran for would have been made. `slot` is the reader's hour that this letter counts for.
    `sure`: a slot counts only for whom it brought a letter, so that none need be looked for. `spent`: to those alone
    who had a letter for the day of theirs that began there.
    """

    due_at: datetime
    slot: datetime
    day: datetime | None = None
    missed: datetime | None = None
    late: bool = False
    new: bool = True
    sure: bool = False
    known: datetime | None = None
    spent: datetime | None = None


def parse(words: str, holidays: Iterable[str] = ()) -> Schedule:
    """Read a schedule; ValueError says what is wrong and what would be right. No zone means UTC.

    `holidays` are dates ("2026-12-24"), days of each year ("12-25") or places ("DE", "DE-BY").
    """
    said = words.split()
    first = next((i for i, word in enumerate(said) if ":" in word), 0)
    after = next((i for i, word in enumerate(said) if i > first and ":" not in word), len(said))
    if not first or len(said) - after > 1:
        raise ValueError(
            f"{words!r} is not a schedule; write 'daily 07:00 Europe/Berlin', 'daily 07:00,18:00', 'weekdays 07:00', "
            "'weekly mon 08:00', 'fortnightly mon 08:00', 'monthly 1 08:00' or 'monthly last fri 08:00'"
        )
    chosen = days(cadence(" ".join(said[:first])))
    times = sorted({_time(one) for one in "".join(said[first:after]).split(",")})
    plan = Schedule(
        chosen, tuple(times), ZoneInfo(zone(said[after] if after < len(said) else "UTC")), skipped(holidays)
    )
    whole_cycle = (date(2000, 1, 1) + timedelta(days=number) for number in range(4 * 366))
    if plan.holidays.yearly and not any(
        day in chosen and (day.month, day.day) not in plan.holidays.yearly for day in whole_cycle
    ):
        raise ValueError(f"{words!r} has no day that is not one of its holidays")
    return plan


def _time(words: str) -> time:
    match = _TIME.fullmatch(words)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f"{words!r} is not a time of day; write one as 07:00, or several as 07:00,18:00")
    return time(int(match[1]), int(match[2]))


def skipped(holidays: Iterable[str]) -> Holidays:
    """Read holidays, see `parse`; ValueError for what is none, or cannot be known on this machine."""
    dates, yearly, places = set(), set(), []
    for words in holidays:
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", words):
                dates.add(date.fromisoformat(words))
            elif re.fullmatch(r"[0-9]{2}-[0-9]{2}", words):
                day = date.fromisoformat(f"2000-{words}")
                yearly.add((day.month, day.day))
            elif re.fullmatch(r"[A-Z]{2}(-[A-Za-z0-9]{1,4})?", words):
                _calendar(words)
                places.append(words)
            else:
                raise ValueError
        except ImportError:
            raise ValueError(
                f"{words!r} is not a date, and holidays of a place want a package: "
                "pip install 'digest-newsletter[holidays]'"
            ) from None
        except (ValueError, NotImplementedError):
            raise ValueError(
                f"{words!r} is not a holiday; write a date as 2026-12-24, a day of each year as 12-25, "
                "or a place as DE or DE-BY"
            ) from None
    return Holidays(frozenset(dates), frozenset(yearly), tuple(places))


@lru_cache(maxsize=64)
def _calendar(place: str) -> Any:
    """What says whether a date is a public holiday there, by the package `holidays`."""
    import holidays

    country, _, part = place.partition("-")
    return holidays.country_holidays(country, subdiv=part or None)


def cadence(words: str) -> str:
    """A reader's cadence in its one form, or ValueError.

    "daily", "weekdays", "weekly mon", "fortnightly mon", "fortnightly mon from 2026-01-12" (the other weeks),
    "monthly 1", "monthly last fri", or "" ("every edition").
    """
    said = words.lower().split()
    if said[:1] == ["biweekly"] or said[:3] in (["every", "second", "week"], ["every", "2", "weeks"]):
        said[: 1 if said[0] == "biweekly" else 3] = ["fortnightly"]
    if said == ["every", "edition"]:  # as lists and pages call it
        return ""
    if said in ([], ["daily"], ["weekdays"]):
        return " ".join(said)
    name, *rest = said
    if name in ("weekly", "fortnightly", "monthly") and not rest:
        raise ValueError(f"{words!r} does not say on which day; write {_CADENCES}")
    if name == "weekly" and len(rest) <= 1:
        return f"weekly {_weekday(rest[0])}"
    if name == "fortnightly" and len(rest) <= 1:
        return f"fortnightly {_weekday(rest[0])}"
    if name == "fortnightly" and len(rest) == 3 and rest[1] == "from":
        return _fortnight(_weekday(rest[0]), rest[2])
    if name == "monthly" and len(rest) <= 2:
        return f"monthly {_month_day(rest)}"
    raise ValueError(f"{words!r} is not a cadence; write {_CADENCES}")


def _weekday(word: str) -> str:
    if word[:3] not in DAYS or not _DAY_NAMES[word[:3]].startswith(word):
        raise ValueError(f"{word!r} is not a weekday; write one of {', '.join(DAYS)}")
    return word[:3]


def _fortnight(weekday: str, since: str) -> str:
    """Counted from a date on: there are two such rhythms, and each has one form."""
    try:
        first = date.fromisoformat(since)
    except ValueError:
        raise ValueError(f"{since!r} is not a date; write one as {_WEEK}") from None
    if DAYS[first.weekday()] != weekday:
        raise ValueError(f"{since} is not a {_DAY_NAMES[weekday].title()}, but a {first:%A}")
    other = (first - _WEEK).days // 7 % 2
    return f"fortnightly {weekday}" + (f" from {_WEEK + timedelta(days=7 + DAYS.index(weekday))}" if other else "")


def _month_day(said: list[str]) -> str:
    """ "1" to "31", or "first mon" to "last sun"; "last" alone is the last day."""
    word = _NTH_WORDS.get(said[0], said[0]) if said else ""
    if said in (["last"], ["last", "day"]):
        return "31"
    if len(said) == 1 and (number := re.fullmatch(r"(0?[1-9]|[12][0-9]|3[01])(st|nd|rd|th)?", said[0])):
        return str(int(number[1]))
    if len(said) == 2 and word in NTH:
        return f"{word} {_weekday(said[1])}"
    shown = " ".join(said)
    raise ValueError(f"{shown!r} is not a day of the month; write 'monthly 1', 'monthly last' or 'monthly last fri'")


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

    Without an hour of their own it is the newsletter's time of day (its first), on its own clock; a newsletter without
    a schedule has none, and their day begins at midnight. A zone that is known no more is the newsletter's. Its
    holidays are theirs where they have several days a week; who has one gets the letter on it all the same.
    """
    if not cadence and hour is None:
        return None
    chosen = days(cadence or "daily")
    skipped = newsletter.holidays if newsletter and not chosen.rare else NONE
    if hour is None and newsletter is not None:
        return Schedule(chosen, newsletter.times[:1], newsletter.zone, skipped)
    try:
        clock = ZoneInfo(zone) if zone else newsletter.zone if newsletter else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        clock = newsletter.zone if newsletter else ZoneInfo("UTC")
    return Schedule(chosen, (time(hour or 0),), clock, skipped)


def turns(reader: Schedule | None, newsletter: Schedule, *, now: datetime, since: datetime | None = None) -> list[Turn]:
    """Which readers of a schedule get the edition of the newsletter's latest slot, and when.

    Their next slot counts, unless a fresher edition will be there by then; whoever had a letter for that day of
    theirs waits for the one after it, or for the fresher edition. So each gets at most one for each of their days, at
    their hour to the minute, and a day passes without one only where no edition came between two of their slots. What
    is late goes at once.

    Weekly and monthly readers would wait for long where they missed their slot: because nothing ran then, because they
    chose another day, or because the newsletter comes on their day and an hour later. They get this one today. Who had
    any letter since that day began did not miss it, whatever hour, zone or cadence that one was for. The others get it
    at once only where nothing ran at a slot of the newsletter behind `since`, the last that had its turn, and their
    hour came after it: its edition would have been theirs. So it would of those who had no slot yet and were here then.
    """
    if reader is None:
        return [Turn(now, now)]
    slot, following = newsletter.last_slot(now), newsletter.next_slot(now)
    day, coming = reader._first(slot)
    today = slot.astimezone(reader.zone).date()
    found = []
    made_up = None
    missed, missed_slot = reader._last(slot - timedelta(microseconds=1))
    would_have = newsletter.last_slot(missed_slot)
    known = would_have if since is not None and would_have > since else None
    if reader.days.rare:
        # Where no edition came between two of their days they missed none, as when the newsletter has holidays.
        one_came = newsletter.last_slot(missed_slot) > reader.last_slot(missed_slot - timedelta(microseconds=1))
        if missed == today or (coming >= following and one_came):
            on, at = replace(reader, days=Days())._first(slot)
            due_at = at if on == today and at < following else now
            made_up = reader._begin(missed)
            due_at = max(due_at, now)
            found.append(Turn(due_at, reader.counts_for(due_at), made_up, late=True, new=missed == today, known=known))
    elif known and coming >= following:
        found.append(Turn(now, reader.counts_for(now), reader._begin(missed), late=True, new=False, known=known))
    if coming < following:
        coming_or_last = max(coming, reader.last_slot(now))
        found.append(Turn(max(coming, now), coming_or_last, reader._begin(day), made_up))
        next_day, after = reader._first(coming + timedelta(microseconds=1))
        if after < following:
            counts_for = max(after, reader.last_slot(now))
            found.append(Turn(max(after, now), counts_for, reader._begin(next_day), spent=reader._begin(day)))
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
    if (hour and slot <= since) or (not hour and today != day and not reader.days.rare):
        return []
    late = not hour and today != day
    known = slot if slot > since else None
    return [Turn(now, reader.counts_for(now), reader._begin(day), late=late, new=not late, sure=True, known=known)]


@lru_cache(maxsize=256)
def days(cadence: str) -> Days:
    """The dates of a cadence in its one form; no cadence is every day."""
    match cadence.split():
        case ["weekdays"]:
            return Days(frozenset(range(5)))
        case ["weekly", day]:
            return Days(frozenset([DAYS.index(day)]))
        case ["fortnightly", day, *other]:
            return Days(frozenset([DAYS.index(day)]), fortnight=_WEEK + timedelta(days=7 if other else 0))
        case ["monthly", number]:
            return Days(number=int(number))
        case ["monthly", nth, day]:
            return Days(frozenset([DAYS.index(day)]), nth=NTH[nth])
    return Days()
