from __future__ import annotations

import sys
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest import schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "now", "last", "next_"),
    [
        ("daily 07:00", "2026-11-23T07:00", "2026-11-23T07:00", "2026-11-24T07:00"),
        ("daily 07:00", "2026-11-23T06:59", "2026-11-22T07:00", "2026-11-23T07:00"),
        ("daily 07:00 Europe/Berlin", "2026-11-23T06:00", "2026-11-23T06:00", "2026-11-24T06:00"),
        ("weekdays 07:00", "2026-11-22T12:00", "2026-11-20T07:00", "2026-11-23T07:00"),
        ("weekly mon 08:00", "2026-11-22T12:00", "2026-11-16T08:00", "2026-11-23T08:00"),
        ("WEEKLY Monday 08:00", "2026-11-23T08:00", "2026-11-23T08:00", "2026-11-30T08:00"),
        ("daily 18:00,07:00", "2026-11-23T12:00", "2026-11-23T07:00", "2026-11-23T18:00"),
        ("weekdays 07:00, 18:00", "2026-11-22T12:00", "2026-11-20T18:00", "2026-11-23T07:00"),
        ("fortnightly mon 08:00", "2026-11-23T12:00", "2026-11-23T08:00", "2026-12-07T08:00"),
        ("fortnightly mon from 2026-12-14 08:00", "2026-11-23T12:00", "2026-11-16T08:00", "2026-11-30T08:00"),
        ("monthly 1 08:00", "2026-11-23T12:00", "2026-11-01T08:00", "2026-12-01T08:00"),
        ("monthly 31 08:00", "2026-02-27T12:00", "2026-01-31T08:00", "2026-02-28T08:00"),
        ("monthly last 08:00", "2028-02-29T12:00", "2028-02-29T08:00", "2028-03-31T08:00"),
        ("monthly last fri 08:00", "2026-11-23T12:00", "2026-10-30T08:00", "2026-11-27T08:00"),
        ("Monthly 2nd Tuesday 08:00", "2026-11-23T12:00", "2026-11-10T08:00", "2026-12-08T08:00"),
        # 2026-03-29 02:30 does not exist in Berlin, 2026-10-25 02:30 is there twice.
        ("daily 02:30 Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("daily 02:30 Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:30", "2026-10-26T01:30"),
        # On that day 02:30 and 03:30 are one moment, and 02:45 comes after 03:30.
        ("daily 02:30,03:30 Europe/Berlin", "2026-03-29T01:00", "2026-03-28T02:30", "2026-03-29T01:30"),
        ("daily 02:30,03:30 Europe/Berlin", "2026-03-29T01:30", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("daily 02:45,03:30 Europe/Berlin", "2026-03-29T01:30", "2026-03-29T01:30", "2026-03-29T01:45"),
    ],
)
def test_slots(words, now, last, next_):
    plan = schedule.parse(words)
    assert plan.last_slot(at(now)) == at(last)
    assert plan.next_slot(at(now)) == at(next_)


@pytest.mark.parametrize(
    "words",
    [
        *("", "hourly", "daily", "07:00", "daily 25:00", "daily 07:60", "weekly 08:00", "weekly xyz 08:00"),
        *("daily 07:00 Mars/X", "daily 07:00 UTC UTC", "daily 07:00 18:00:00", "daily 07:00,", "daily 07:00;18:00"),
        *("monthly 08:00", "monthly 0 08:00", "monthly 32 08:00", "monthly fifth fri 08:00", "monthly last xyz 08:00"),
        *("fortnightly mon from 2026-12-08 08:00", "fortnightly mon from soon 08:00", "fortnightly 08:00"),
        *("monthly ² 08:00", "daily ٠٧:٠٠"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(words):
    with pytest.raises(ValueError, match=r"is not a|does not say on which day"):
        schedule.parse(words)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))
def test_a_change_of_clocks_neither_doubles_nor_drops_a_day(now):
    plan = schedule.parse("daily 02:30 Europe/Berlin")
    last, next_ = plan.last_slot(now), plan.next_slot(now)
    assert last <= now < next_
    assert timedelta(hours=22) < next_ - last < timedelta(hours=26)
    assert plan.last_slot(next_) == next_


some_times = st.lists(st.times().map(lambda at: f"{at:%H:%M}"), min_size=1, max_size=3).map(",".join)
some_days = st.one_of(
    st.sampled_from(["daily", "weekdays", "weekly sun", "fortnightly sun", "fortnightly sun from 2026-01-18"]),
    st.integers(1, 31).map(lambda number: f"monthly {number}"),
    st.builds(
        lambda nth, day: f"monthly {nth} {day}", st.sampled_from([*schedule.NTH]), st.sampled_from(schedule.DAYS)
    ),
)
some_zone = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"])


@given(
    some_days,
    some_times,
    some_zone,
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([(), ("12-25", "03-29", "10-25", "02-29", "2026-07-01")]),
)
@settings(max_examples=60, deadline=None)
def test_slots_are_the_local_times_of_the_days_and_no_others(days, times, zone, now, holidays):
    plan = schedule.parse(f"{days} {times} {zone}", holidays)
    last, next_ = plan.last_slot(now), plan.next_slot(now)
    assert last <= now < next_ and plan.last_slot(next_) == next_ and plan.next_slot(last) == next_
    clock = ZoneInfo(zone)
    first, until = last.astimezone(clock).date(), next_.astimezone(clock).date()
    found = set()
    for number in range((until - first).days + 1):  # told in another way, day by day
        day = first + timedelta(days=number)
        if f"{day}" in holidays or f"{day:%m-%d}" in holidays or not plain_words(days, day):
            continue
        found |= {
            datetime.fromisoformat(f"{day} {at}").replace(tzinfo=clock).astimezone(UTC) for at in times.split(",")
        }
    assert {slot for slot in found if last <= slot <= next_} == {last, next_}


def plain_words(days: str, day: date) -> bool:
    """Is it one of the days, by a calendar on the wall?"""
    name, *rest = days.split()
    weekday = schedule.DAYS[day.weekday()]
    last = (day + timedelta(days=1)).month != day.month
    if name == "monthly" and len(rest) == 1:
        return day.day == int(rest[0]) or (last and day.day < int(rest[0]))
    if name == "monthly":
        same = [at for at in range(1, 32) if at % 7 == day.day % 7 and at <= monthrange(day.year, day.month)[1]]
        return weekday == rest[1] and same[{"last": -1}.get(rest[0], schedule.NTH[rest[0]] - 1)] == day.day
    if name == "fortnightly":
        from_ = date.fromisoformat(rest[2]) if len(rest) > 1 else date(2026, 1, 11)
        return (day - from_).days % 14 == 0
    return weekday in {"daily": schedule.DAYS, "weekdays": schedule.DAYS[:5], "weekly": ("sun",)}[name]


@given(some_days)
def test_the_one_form_of_a_cadence_is_its_own(days):
    assert schedule.cadence(schedule.cadence(days).upper()) == schedule.cadence(days)
    assert schedule.cadence("Every edition") == schedule.cadence("") == "", "as lists call it"


def test_each_second_week_goes_on_over_the_years():
    plan = schedule.parse("fortnightly wed 08:00 Europe/Berlin")
    slot, days = plan.next_slot(at("2026-01-01T00:00")), set()
    for _ in range(200):
        slot, before = plan.next_slot(slot), slot
        days.add((slot.astimezone(plan.zone).date() - before.astimezone(plan.zone).date()).days)
    assert days == {14}


def test_holidays_have_no_edition():
    plan = schedule.parse("weekdays 07:00", ["2026-12-24", "12-25", "01-01"])
    assert plan.next_slot(at("2026-12-23T08:00")) == at("2026-12-28T07:00")
    assert plan.last_slot(at("2027-01-02T08:00")) == at("2026-12-31T07:00")


@pytest.mark.parametrize("word", ["2026-02-30", "13-01", "Christmas", "", "de", "DE-", "XX", "DE-XX", "2026-1-1"])
def test_what_is_no_holiday_is_refused(word):
    with pytest.raises(ValueError, match="is not a"):
        schedule.parse("daily 07:00", [word])


def test_a_schedule_that_holidays_leave_no_day_is_refused():
    every_first = [f"{month:02}-01" for month in range(1, 13)]
    with pytest.raises(ValueError, match="has no day"):
        schedule.parse("monthly 1 07:00", every_first)
    assert schedule.parse("monthly 1 07:00", every_first[1:]).next_slot(at("2026-02-01T07:00")) == at(
        "2027-01-01T07:00"
    )


def test_holidays_of_a_place_are_known_by_a_package_that_may_be_missing(monkeypatch):
    pytest.importorskip("holidays")
    plan = schedule.parse("daily 07:00", ["DE-BY"])
    assert plan.next_slot(at("2027-01-05T08:00")) == at("2027-01-07T07:00")  # Epiphany
    assert schedule.parse("daily 07:00", ["DE"]).next_slot(at("2027-01-05T08:00")) == at("2027-01-06T07:00")
    schedule._calendar.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ValueError, match=r"pip install 'digest-newsletter\[holidays\]'"):
        schedule.parse("daily 07:00", ["DE-BY"])


def test_an_hour_of_ones_own_is_of_the_first_run_that_comes_upon_it():
    reader = schedule.parse("daily 07:00")
    slot, later = at("2026-11-23T07:00"), at("2026-11-23T09:00")
    due = schedule.turns_of_run(reader, hour=True, since=slot - timedelta(minutes=1), now=slot)
    assert [(turn.due_at, turn.slot) for turn in due] == [(slot, slot)]
    assert schedule.turns_of_run(reader, hour=True, since=slot, now=later) == []
