"""What readers are owed while clocks change and they change everything: a share of `benchmarks/readers_year.py`.

And what an operator is told while copies of the database are put back: a share of `benchmarks/keep_year.py`.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import keep_year, year_bugs, year_promises
from benchmarks.readers_year import GOALS, simulate
from benchmarks.year_oracle import Choices, Clock, Paper, Planned, Reader, Tale

HOUR = timedelta(hours=1)
BERLIN = Clock("daily", ((7, 0),), "Europe/Berlin")


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=UTC)


@pytest.mark.long
def test_who_changes_everything_over_a_change_of_clocks_has_each_letter_once_and_in_its_hour(tmp_path: Path) -> None:
    begin, changing = at("2026-03-27"), at("2026-03-29")
    times = [begin + HOUR * 6 * number for number in range(1, 7)] + [changing + HOUR * number for number in range(9)]
    year = simulate(tmp_path, seed=6, readers=9, begin=begin, times=times, haste=16)
    assert (dict(year.wrong), year.told) == (GOALS, [])
    assert year.count["letters"] > 5


def reader(choices: Choices) -> Reader:
    """Of a daily newsletter in Berlin, with a story each evening, which was closed each morning."""
    paper = Paper("daily", BERLIN, ["ai"], 40)
    begin = at("2026-03-20T20:00")
    for number in range(1, 12):
        paper.tales.append(Tale(number, number, "ai", "A story", "a.example", "", 0, begin + number * 24 * HOUR))
        paper.closed.append((BERLIN.upto(begin + number * 24 * HOUR + 12 * HOUR), number))
    return Reader(1, paper, state="active", choices=choices, settled=begin)


def letter(one: Reader, due: datetime) -> Planned:
    return Planned(due, (), 1, False, one.choices, one.paper.clock.upto(due) if one.paper.clock else due)


def test_an_hour_too_early_after_clocks_went_forward_is_found() -> None:
    one = reader(Choices(hour=9, zone="Europe/Berlin"))
    for day, hour in (("2026-03-28", 8), ("2026-03-29", 7), ("2026-03-30", 7)):
        right = at(day) + hour * HOUR
        for now, word in ((right - HOUR, "wrong"), (right, "right"), (right + HOUR, "wrong")):
            assert year_promises.hour(one, letter(one, now), ran=now - HOUR, now=now) == word


def test_the_hour_of_a_half_hour_change_and_of_a_skipped_hour_is_known() -> None:
    lord_howe = Clock("daily", ((2, 0),), "Australia/Lord_Howe")  # 2:00 becomes 2:30 on 4 October
    assert [lord_howe.from_(at(day)) for day in ("2026-10-02T12:00", "2026-10-03T12:00", "2026-10-04T12:00")] == [
        at("2026-10-02T15:30"), at("2026-10-03T15:30"), at("2026-10-04T15:00"),
    ]  # fmt: skip
    havana = Clock("daily", ((0, 0),), "America/Havana")  # midnight comes twice on 1 November
    assert havana.from_(at("2026-11-01")) == at("2026-11-01T04:00")
    assert havana.from_(at("2026-11-01T04:30")) == at("2026-11-02T05:00")


def test_a_second_letter_of_a_day_is_found_and_that_of_the_next_day_is_none() -> None:
    one = reader(Choices(hour=9, zone="America/New_York"))
    first = at("2026-03-29T13:00")
    one.letters.append((first, letter(one, first)))
    assert year_promises.second_of_its_day(one, letter(one, first + 10 * HOUR))
    assert not year_promises.second_of_its_day(one, letter(one, first + 24 * HOUR))


def test_a_letter_that_comes_past_midnight_because_nothing_ran_is_that_of_the_day_before() -> None:
    one = reader(Choices(hour=23, zone="Pacific/Apia"))
    hour = at("2026-03-27T10:00")
    late = hour + 2 * HOUR  # 1:00 of the next day there
    one.letters.append((late, letter(one, late)))
    assert not year_promises.second_of_its_day(one, letter(one, hour + 24 * HOUR))
    assert year_promises.second_of_its_day(one, letter(one, hour + 23 * HOUR))


def test_a_letter_that_did_not_come_is_missed_in_its_hour_and_not_before() -> None:
    one = reader(Choices(hour=9, zone="Europe/Berlin"))
    one.had = {1, 2, 3, 4, 5, 6}  # of the 21st to the 26th
    hour = at("2026-03-28T08:00")
    assert year_promises.outstanding(one, ran=hour - 2 * HOUR, now=hour - HOUR) == ()
    lacking = year_promises.outstanding(one, ran=hour - HOUR, now=hour)
    assert lacking is not None and [tale.seq for tale in lacking] == [7]
    one.had.add(7)
    assert year_promises.outstanding(one, ran=hour - HOUR, now=hour) == []
    one.settled = hour - 2 * HOUR
    assert year_promises.outstanding(one, ran=hour - HOUR, now=hour) is None


def test_a_weekly_reader_whose_day_passed_without_a_letter_may_have_it_later_and_once() -> None:
    one = reader(Choices(cadence="weekly fri", hour=9, zone="Europe/Berlin"))
    saturday = at("2026-03-28T05:00")
    late = letter(one, saturday)
    assert year_promises.hour(one, late, ran=saturday - HOUR, now=saturday) == "made up for"
    one.letters.append((saturday, late))
    assert year_promises.hour(one, late, ran=saturday + 23 * HOUR, now=saturday + 24 * HOUR) == "wrong"


def test_a_weekly_reader_s_missed_day_may_wait_for_their_hour_of_the_day_it_comes_and_for_no_other() -> None:
    one = reader(Choices(cadence="weekly fri", hour=9, zone="Europe/Berlin"))
    friday, saturday = at("2026-03-27T05:00"), at("2026-03-28T06:00")
    hour, tales = at("2026-03-28T08:00"), tuple(one.paper.tales)
    for due, lacks in ((hour, False), (hour + HOUR, True), (hour + 24 * HOUR, True)):
        one.planned = {1: Planned(due, tales, 1, False, one.choices, saturday)}
        assert bool(year_promises.outstanding(one, ran=friday, now=saturday)) == lacks
    one.planned = {1: Planned(hour, (), 1, False, one.choices, saturday)}
    assert year_promises.outstanding(one, ran=friday, now=saturday), "and brings it"


@pytest.mark.long
def test_over_restores_each_story_comes_once_and_each_alert_and_its_end_is_told_once(tmp_path: Path) -> None:
    year = keep_year.simulate(tmp_path, seed=4, days=14, readers=2, restores=0.5)
    assert (dict(year.wrong), year.told) == (dict.fromkeys(keep_year.GOALS, 0), [])
    assert year.count["older"] >= 3 and year.count["alerts"] >= 4 and year.count["letters"] > 20


def test_errors_that_the_benchmarks_put_in_have_their_place_still():
    """Whoever changes such a line changes the error with it: else nobody knows any more that it would be found."""
    for bug in year_bugs.BUGS:
        text = (year_bugs.ROOT / "digest" / bug.file).read_text(encoding="utf-8")
        assert text.count(bug.old) == 1, bug.name
        compile(text.replace(bug.old, bug.new), bug.file, "exec")
    for place in keep_year.BUGS.values():
        module, _, function = place.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function)), place
