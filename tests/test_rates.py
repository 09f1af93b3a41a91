"""How often somebody may ask, whichever `digest serve` they come to."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY, Clock, on_sqlite
from starlette.testclient import TestClient
from test_api import ADA, NEWS, Asker, problem, token

from digest.store import Database, rate_windows
from digest.store.worker_tables import RateWindow
from digest.web import application, rates
from digest.web.rates import Rates

SECOND = timedelta(seconds=1)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@contextlib.contextmanager
def written_of(database: Database) -> Iterator[list[str]]:
    """What was written of the minutes."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "rate_window" in statement and statement.startswith(("INSERT", "UPDATE")):
            seen.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", note)


def admitted(several: list[Rates], requests: list[int], *, limit: int, clock: Clock, who: str = "1") -> Counter[int]:
    """How many requests each of several processes let through, of those that come to them one after the other."""
    through: Counter[int] = Counter()
    for place in requests:
        through[place] += several[place].take_of_all(who, limit=limit, now=clock()).allowed
    return through


# ---------------------------------------------------------------- all together


@on_postgres
@pytest.mark.parametrize("limit", [1, 2, 7, 120, 1000])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_all_processes_let_through_what_one_may_and_little_more(
    database: Database, clock: Clock, limit: int, processes: int
) -> None:
    several = [Rates(database) for _ in range(processes)]
    rng = random.Random(limit)
    with written_of(database) as written:
        through = admitted(several, rng.choices(range(processes), k=3 * limit), limit=limit, clock=clock)
    assert limit * 0.9 <= through.total() <= limit + processes * (limit // rates.FREE)
    assert len(written) <= 40 + 10 * processes, "and not once for each request"
    with written_of(database) as written:
        assert admitted(several, [*range(processes)] * 9, limit=limit, clock=clock).total() == 0
        assert written == [], "what is over is not asked for again"
    clock.pass_(seconds=60)
    assert admitted(several, [0] * limit, limit=limit, clock=clock).total() == limit


@on_postgres
def test_what_one_process_took_and_nobody_asked_it_for_is_a_tenth_at_most(database: Database, clock: Clock) -> None:
    several = [Rates(database) for _ in range(4)]
    few = admitted(several, [1] * 7 + [2] * 7 + [3] * 7, limit=120, clock=clock).total()
    assert few == 21
    assert 120 - 3 * 12 <= few + admitted(several, [0] * 200, limit=120, clock=clock).total() <= 120 + 4 * 6


@on_postgres
def test_who_asks_seldom_is_not_written_down(database: Database, clock: Clock) -> None:
    several = [Rates(database), Rates(database)]
    with written_of(database) as written:
        for network in range(300):
            assert admitted(several, [0, 1] * 6, limit=120, clock=clock, who=f"1 10.0.{network}.0").total() == 12
    assert written == []


@on_postgres
def test_what_is_said_of_the_rate_is_true_for_who_comes_to_one_process(database: Database, clock: Clock) -> None:
    one, other = Rates(database), Rates(database)
    said = [one.take_of_all("1", limit=40, now=clock()) for _ in range(42)]
    assert [rate.left for rate in said] == [*range(39, -1, -1), 0, 0]
    assert [rate.allowed for rate in said] == [True] * 40 + [False] * 2
    clock.pass_(seconds=20)
    late = [other.take_of_all("1", limit=40, now=clock()) for _ in range(3)]
    assert [(rate.allowed, rate.left, rate.seconds) for rate in late] == [
        (True, 39, 60),
        (True, 38, 60),
        (False, 0, 40),
    ]
    assert late[2].headers["Retry-After"] == "40"
    clock.pass_(seconds=40)
    assert other.take_of_all("1", limit=40, now=clock()).allowed


@on_postgres
def test_threads_of_one_process_ask_once_between_them(database: Database, clock: Clock) -> None:
    one = Rates(database)
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: one.take_of_all("1", limit=100, now=clock()).allowed, range(300)))
    assert sum(done) == 100


@on_postgres
@pytest.mark.parametrize("days", [-400, 400])
def test_a_minute_that_a_wrong_clock_began_keeps_nobody_out(database: Database, clock: Clock, days: int) -> None:
    then = (MONDAY + timedelta(days=days)).timestamp()
    with database.write() as session:
        session.add(RateWindow(who="1", began=then, taken=9999))
        session.add(RateWindow(who="2", began=then, taken=9999))
    one = Rates(database)
    assert [one.take_of_all("1", limit=2, now=clock()).allowed for _ in range(3)] == [True, True, False]
    with database.read() as session:
        assert session.scalars(sa.select(RateWindow.who)).all() == ["1"], "what is long over is no row"


@on_postgres
def test_machines_whose_clocks_differ_have_the_same_minute(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: MONDAY - now)
    one, other = Rates(database), Rates(database)
    through = 0
    for n in range(40):
        through += one.take_of_all("1", limit=10, now=MONDAY + n * SECOND).allowed
        through += other.take_of_all("1", limit=10, now=MONDAY + timedelta(hours=5) + n * SECOND).allowed
    assert through == 10


# ---------------------------------------------------------------- alone


@on_postgres
def test_a_database_that_does_not_let_go_stops_nobody(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    one = Rates(database)
    assert one.take_of_all("1", limit=10, now=clock()).allowed
    with database.write() as session:
        session.connection().execute(sa.select(RateWindow.__table__).with_for_update())
        assert admitted([one], [0] * 30, limit=10, clock=clock).total() == 9
        assert caplog.text.count("counted by this process alone") == 1
        with written_of(database) as written:
            assert admitted([one], [0] * 30, limit=10, clock=clock, who="another").total() == 10
            assert written == [], "it is left alone for a while"
    clock.pass_(seconds=60)
    with written_of(database) as written:
        assert admitted([one], [0], limit=10, clock=clock).total() == 1
        assert written


@on_sqlite
def test_a_file_is_one_process_s_and_is_not_written_for_a_rate(database: Database, clock: Clock) -> None:
    one = Rates(database)
    with written_of(database) as written:
        assert admitted([one], [0] * 30, limit=10, clock=clock).total() == 10
    assert written == []


def test_a_minute_is_taken_as_far_as_it_goes(database: Database) -> None:
    """Also on SQLite, though nobody asks there."""
    with database.write() as session:
        first = rate_windows.take(session, "1", limit=10, wish=lambda left: 7, now=MONDAY)
        later = rate_windows.take(session, "1", limit=10, wish=lambda left: 7, now=MONDAY + 30 * SECOND)
        assert (first, later) == ((7, 3, 60.0), (3, 0, 30.0))
        assert rate_windows.take(session, "1", limit=10, wish=lambda left: 7, now=MONDAY + 59 * SECOND).requests == 0
        assert rate_windows.take(session, "1", limit=10, wish=lambda left: 7, now=MONDAY + 60 * SECOND) == first
        rate_windows.forget(session, now=MONDAY + 600 * SECOND)
        assert session.scalars(sa.select(RateWindow.who)).all() == ["1"]
        rate_windows.forget(session, now=MONDAY + 700 * SECOND)
        assert session.scalars(sa.select(RateWindow.who)).all() == []


@on_postgres
def test_replicas_answer_429_together(database: Database, configure, clock: Clock) -> None:
    config = configure(newsletters={"daily": NEWS}, web={"api_per_minute": 4})
    made = token(database)
    several = [Asker(TestClient(application(database, config, clock=clock)), made) for _ in range(3)]
    answers = [ask("GET", ADA) for ask in several * 2]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 404, 429, 429]
    assert problem(answers[4], 429) and answers[4].headers["retry-after"] == "60"
    assert [answer.headers["ratelimit"] for answer in answers][-1] == '"key";r=0;t=60'
