"""Many short transactions, and who waits to write meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta

import pytest
from conftest import MONDAY, on_sqlite

from digest.store.run_tables import RunDay
from digest.store.tenure import GAP_S, LONGEST_S, MET_S, Tenure


class Watch:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def watch():
    return Watch()


def steps(tenure: Tenure, watch: Watch, number: int, *, last: float, between: float = 0.0) -> list[float]:
    """The pauses after steps that each hold the lock for so long, kept as they are told."""
    pauses = []
    for _ in range(number):
        with tenure.counted():
            watch.at += last
        watch.at += between
        pauses.append(tenure.pause_due())
        watch.at += pauses[-1]
    return pauses


def test_short_steps_have_a_pause_together_and_not_each(watch):
    pauses = steps(Tenure(watch), watch, 12, last=LONGEST_S / 4)
    assert [pause > 0 for pause in pauses] == 3 * [False, False, False, True]
    assert {pause for pause in pauses if pause} == {GAP_S}


def test_a_step_that_is_as_long_as_one_may_be_has_one_of_its_own(watch):
    assert all(steps(Tenure(watch), watch, 3, last=LONGEST_S))


def test_who_waits_is_let_in_by_other_work_as_well(watch):
    assert not any(steps(Tenure(watch), watch, 5, last=LONGEST_S, between=2 * GAP_S))
    tenure = Tenure(watch)
    assert not any(steps(tenure, watch, 20, last=LONGEST_S / 2, between=2 * GAP_S)), "nothing adds up across a pause"
    assert steps(tenure, watch, 1, last=LONGEST_S, between=GAP_S / 2) == [pytest.approx(GAP_S / 2)]


def test_where_another_had_it_there_is_a_pause_after_that_step(watch):
    tenure = Tenure(watch)
    for waited, pause in ((0.0, 0.0), (0.02, GAP_S), (0.0, 0.0)):
        with tenure.counted():
            watch.at += waited + 0.01
            tenure.waited(waited)
        assert tenure.pause_due() == pause
        watch.at += pause


@on_sqlite
def test_a_wait_for_the_lock_is_seen(database, monkeypatch):
    """Two that compose in steps would else have it in turns, and a click for seconds not at all."""
    met: list[float] = []
    monkeypatch.setattr(database._tenure, "waited", met.append)
    with database.write() as session:
        session.add(RunDay(day=MONDAY))
    other = sqlite3.connect(database.engine.url.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.05, other.rollback)
    end.start()
    with database.write() as session:
        session.add(RunDay(day=MONDAY + timedelta(days=1)))
    end.join()
    other.close()
    assert met[0] < met[1] and met[1] >= MET_S


def test_a_transaction_that_fails_counts_as_well(watch):
    tenure = Tenure(watch)
    with pytest.raises(ZeroDivisionError), tenure.counted():
        watch.at += LONGEST_S
        raise ZeroDivisionError
    assert tenure.pause_due() == GAP_S


@on_sqlite
def test_what_a_connection_of_ones_own_writes_counts(database, watch, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("digest.store.database.time.sleep", slept.append)
    database._tenure._timer = watch
    database.give_way()
    with database.pinned() as alone, alone.write() as session:
        session.add(RunDay(day=MONDAY))
        watch.at += LONGEST_S
    database.give_way()
    assert slept == [0.0, GAP_S]
