"""Leases of hosts where the database is busy, hosts are many, and who waits is cancelled or sits before it."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import test_leases
from test_collect import MONDAY
from test_leases import PAPER, Machine, Server, Timeless, counted, leased, timeless

from digest import collect
from digest.cli.feed_add import look_at
from digest.collect.hosts import Held
from digest.config import Config
from digest.errors import Unavailable
from digest.store import Database, host_leases

server_clock = test_leases.server_clock
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


class Slow(Timeless):
    """Its database takes its time; what a thread has begun it does, whoever gave up waiting for it."""

    takes = 0.0

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def do() -> None:
            done = super(Slow, self).run_in_executor(executor, func, *args)
            if future.cancelled():
                done.exception()
            elif done.exception():
                future.set_exception(done.exception())
            else:
                future.set_result(done.result())

        self.call_later(self.takes, do)
        return future


def slowly(play: Callable[[Slow], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_leases, "Timeless", Slow)
    timeless(play)


def test_a_database_that_was_busy_for_longer_than_a_lease_lets_no_two_ask(database: Database) -> None:
    """The lease begins when it is written, and not when its moment was read."""

    async def play(loop: Timeless) -> None:
        server = Server(loop)
        slow, other = Machine("slow", database, loop), Machine("other", database, loop)
        busy = [25.0, 0.0, 0.0]

        def wait(_connection: object) -> None:
            loop.now += busy.pop(0) if busy else 0

        sa.event.listen(database.engine, "begin", wait)
        asked = asyncio.create_task(slow.ask(server, times=1, seconds=5))
        await asyncio.sleep(0.5)
        sa.event.remove(database.engine, "begin", wait)
        assert leased(database) == [PAPER]
        assert await other.ask(server, times=1) == 0
        assert await asked == 0
        server.check(at_once=1)
        await asyncio.gather(slow.hosts.close(), other.hosts.close())

    timeless(play)


@pytest.mark.parametrize("takes", [0.005, 0.4])
def test_many_hosts_are_some_statements_and_not_as_many(
    database: Database, monkeypatch: pytest.MonkeyPatch, takes: float
) -> None:
    many = 300

    async def play(loop: Slow) -> None:
        loop.takes = takes
        rng, server = random.Random(1), Server(loop)
        one = Machine("one", database, loop)
        turns = asyncio.Semaphore(64)

        async def ask(number: int) -> None:
            async with turns:
                await server.asked(one, f"h{number}.example", rng.uniform(0.02, 1.0))

        with counted(database) as statements:
            await asyncio.gather(*map(ask, range(many)))
            lasted = loop.time()
            await one.hosts.close()
        assert len(server.came) == many
        taken = sum("INSERT" in one for one in statements)
        assert taken <= min(10 * lasted + 1, many / 3), (taken, lasted)
        assert leased(database) == []

    slowly(play, monkeypatch)


def test_those_that_wait_for_many_hosts_look_together(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        hosts = [f"h{n}.example" for n in range(40)]
        with database.write() as session:
            host_leases.take(session, hosts, "another", now=MONDAY + timedelta(days=1))  # and keeps them
        server, one = Server(loop), Machine("one", database, loop)
        later = MONDAY + timedelta(days=1)
        one.ahead = later - MONDAY
        test_leases.Timeless.running = loop
        rng = random.Random(2)

        async def ask(host: str) -> None:
            await asyncio.sleep(rng.uniform(0, 3))
            await one.ask(server, host, times=1)

        keeping = 0
        with counted(database) as statements:
            going = asyncio.gather(*map(ask, hosts))
            while not going.done() and keeping < 30:
                keeping += 1
                with database.write() as session:
                    theirs = {"now": one.clock(), "back": {}}
                    host_leases.renew(session, hosts, "another", **theirs)
                await asyncio.sleep(1)
        looks = sum("INSERT" in one for one in statements)
        assert 25 < looks <= 30 + 3 * 10 + 5, looks
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going
        await one.hosts.close()

    timeless(play)


def test_who_is_cancelled_while_a_host_is_taken_leaves_it_to_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(loop: Slow) -> None:
        loop.takes = 3
        one = Machine("one", database, loop)
        asked = asyncio.create_task(one.ask(Server(loop), times=1))
        await asyncio.sleep(1)
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked
        await one.hosts.close()
        await asyncio.sleep(10)
        assert leased(database) == []

    slowly(play, monkeypatch)


def test_who_sits_and_waits_is_told_for_what_and_not_for_long(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(loop: Timeless) -> None:
        one, hand = Machine("one", database, loop), Machine("hand", database, loop)
        hand.hosts = type(hand.hosts)(
            hand.hosts._settings, clock=hand.clock, by_hand=True, shared=test_leases.Shared(database)
        )
        going = asyncio.create_task(one.ask(Server(loop), times=1, seconds=600))
        await asyncio.sleep(1)
        asked = asyncio.create_task(hand.hosts.ready(PAPER))
        await asyncio.sleep(2)
        assert [record.getMessage() for record in caplog.records] == [
            f"another process asks {PAPER} at the moment: waiting for it, 30 seconds at most"
        ]
        with pytest.raises(Held, match="which another process asks at the moment"):
            await asked
        assert 28 < loop.time() < 35 and len(caplog.records) == 1
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await asyncio.gather(one.hosts.close(), hand.hosts.close())

    caplog.set_level(logging.WARNING, "digest.collect")
    timeless(play)


def test_a_host_that_is_not_asked_now_is_no_fault_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def held(*_: object, **__: object) -> None:
        raise Held(PAPER, MONDAY, "which another process asks at the moment")

    monkeypatch.setattr(collect, "look", held)
    with pytest.raises(Unavailable, match="another process asks") as told:
        look_at(f"https://{PAPER}/", Config.model_construct(), {}, hint="--no-check adds it anyway")
    assert "nothing is wrong" in told.value.hint


# ---------------------------------------------------------------- two at once, of whom one waits for the other


def _waits(database: Database) -> bool:
    """Does somebody wait for a lock?"""
    with database.read() as session:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(session.connection().exec_driver_sql(query).scalar())


def _meanwhile(database: Database, before: str, act: Callable[[], Any]) -> tuple[list[Any], list[threading.Thread]]:
    """Once, before a statement begins that has these words: another thread acts, until it waits or is done."""
    came: list[Any] = []
    threads: list[threading.Thread] = []

    def other() -> None:
        try:
            came.append(act())
        except Exception as error:
            came.append(error)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if before in statement and not threads:
            threads.append(threading.Thread(target=other))
            threads[0].start()
            while threads[0].is_alive() and not _waits(database):
                threads[0].join(0.01)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    return came, threads


@on_postgres
def test_who_renews_and_who_takes_never_wait_for_each_other(database: Database) -> None:
    with database.write() as session:
        host_leases.take(session, ["a", "b", "z"], "one", now=MONDAY)

    def take() -> dict[str, float]:
        with database.write() as session:
            return host_leases.take(session, ["a", "b", "z"], "other", now=MONDAY)

    came, threads = _meanwhile(database, "DELETE FROM host_lease", take)
    with database.write() as session:
        back = {"z": 2.0, "a": 0.0}
        assert host_leases.renew(session, ["b"], "one", now=MONDAY, back=back) == {"b": False}
    threads[0].join()
    assert [sorted(taken) for taken in came] == [["a", "z"]]


@on_postgres
def test_who_leaves_leaves_also_what_another_looks_at_just_then(database: Database) -> None:
    with database.write() as session:
        host_leases.take(session, [PAPER], "one", now=MONDAY)
    left: list[Any] = []

    def leave() -> None:
        with database.write() as session:
            host_leases.leave(session, {PAPER: 0.0}, "one", now=MONDAY)

    with database.write() as session:
        assert host_leases.take(session, [PAPER], "other", now=MONDAY) == {}
        thread = threading.Thread(target=lambda: left.append(leave()))
        thread.start()
        while thread.is_alive() and not _waits(database):
            thread.join(0.01)
    thread.join()
    assert left == [None]
    assert leased(database) == []
