from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
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
        # 2026-03-29 02:30 does not exist in Berlin, 2026-10-25 02:30 is there twice.
        ("daily 02:30 Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("daily 02:30 Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_slots(words, now, last, next_):
    plan = schedule.parse(words)
    assert plan.last_slot(at(now)) == at(last)
    assert plan.next_slot(at(now)) == at(next_)


@pytest.mark.parametrize(
    "words",
    ["", "hourly", "daily", "daily 25:00", "daily 07:60", "weekly 08:00", "weekly xyz 08:00", "daily 07:00 Mars/X"],
)
def test_what_is_no_schedule_is_refused_with_the_reason(words):
    with pytest.raises(ValueError, match=r"is not a"):
        schedule.parse(words)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))
def test_a_change_of_clocks_neither_doubles_nor_drops_a_day(now):
    plan = schedule.parse("daily 02:30 Europe/Berlin")
    last, next_ = plan.last_slot(now), plan.next_slot(now)
    assert last <= now < next_
    assert timedelta(hours=22) < next_ - last < timedelta(hours=26)
    assert plan.last_slot(next_) == next_


def test_an_hour_of_ones_own_is_of_the_first_run_that_comes_upon_it():
    reader = schedule.parse("daily 07:00")
    slot, later = at("2026-11-23T07:00"), at("2026-11-23T09:00")
    due = schedule.turns_of_run(reader, hour=True, since=slot - timedelta(minutes=1), now=slot)
    assert [(turn.due_at, turn.slot) for turn in due] == [(slot, slot)]
    assert schedule.turns_of_run(reader, hour=True, since=slot, now=later) == []
