"""One host, several processes: together they ask it no more often, and no more at once, than one of them would.

Time is the loop's own here: it goes on to the next moment that somebody waits for, so hours take no time, and what
each process does is the same each time.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import forked
import leasing
import pytest
import sqlalchemy as sa
import test_collect
from test_collect import MONDAY, Reply, Site, add, at_home, rss, run, settings

from digest import collect
from digest.collect import leases
from digest.collect.hosts import Held, Hosts
from digest.collect.leases import Shared
from digest.config import Collect
from digest.errors import NotFound, StorageError
from digest.store import Database, host_leases, websub
from digest.store.story_tables import Entry
from digest.store.worker_tables import HostLease
from digest.values import Pictured, Stub

site = test_collect.site

GAP, AT_ONCE = 0.5, 2
PAPER = "paper.example"


class Timeless(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while something is done, and leaps to what is waited for. No threads."""

    now = 0.0
    running: ClassVar[Timeless | None] = None

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _run_once(self) -> None:
        waiting: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        live = [one.when() for one in waiting if not one.cancelled()]
        if not self._ready and live:  # type: ignore[attr-defined]
            self.now = max(self.now, min(live))
        super()._run_once()  # type: ignore[misc]


def timeless(play: Callable[[Timeless], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Timeless) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Timeless)
        Timeless.running = loop
        try:
            runner.run(play(loop))
        finally:
            Timeless.running = None


class Server:
    """What a host sees of us: when a request came, and when it had its answer."""

    def __init__(self, loop: Timeless) -> None:
        self.loop = loop
        self.came: list[tuple[float, float, str]] = []

    async def asked(self, machine: Machine, host: str, seconds: float) -> None:
        async with machine.hosts.turn(host):
            came = self.loop.time()
            try:
                await asyncio.sleep(seconds)
            finally:
                self.came.append((came, self.loop.time(), machine.name))

    def check(self, *, gap: float = GAP, at_once: int = AT_ONCE) -> None:
        times = sorted(self.came)
        for (one, *_), (other, *_) in pairwise(times):
            assert other - one >= gap - 1e-6, times
        for came, *_ in times:
            assert sum(began <= came < ended for began, ended, _ in times) <= at_once, times


class Machine:
    """A process that asks hosts."""

    def __init__(self, name: str, database: Database, loop: Timeless, **settings: Any) -> None:
        self.name = name
        self.ahead = timedelta()
        self.loop = loop
        terms: dict[str, Any] = {"host_connections": AT_ONCE, "host_gap_seconds": GAP}
        self.hosts = Hosts(Collect(**terms | settings), clock=self.clock, shared=Shared(database))

    def clock(self) -> datetime:
        return MONDAY + timedelta(seconds=self.loop.time()) + self.ahead

    async def ask(self, server: Server, host: str = PAPER, *, times: int, seconds: float = 0.2) -> int:
        """Ask so many times, as soon as it may; how often that was not to be."""
        done = await asyncio.gather(*(server.asked(self, host, seconds) for _ in range(times)), return_exceptions=True)
        assert all(one is None or isinstance(one, Held) for one in done), done
        return sum(isinstance(one, Held) for one in done)

    def kill(self) -> None:
        """It does nothing any more, and gives nothing back."""
        held = self.hosts._leases
        assert held is not None and held._keeping is not None
        held._keeping.cancel()


@pytest.fixture(autouse=True)
def server_clock(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's clock is the loop's, whatever the machines say; a SQLite file has the one of its machine."""

    def ahead(_session: object, now: datetime) -> timedelta:
        return MONDAY + timedelta(seconds=Timeless.running.now if Timeless.running else 0) - now

    monkeypatch.setattr("digest.store.database.server_ahead", ahead)


def leased(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.connection().execute(sa.select(HostLease.name).where(HostLease.holder != "")).scalars())


@contextlib.contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that touch leases."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "host_lease" in statement:
            seen.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", note)


# ---------------------------------------------------------------- manners


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 8))])
def test_several_processes_keep_the_manners_of_one(database: Database, seed: int) -> None:
    async def play(loop: Timeless) -> None:
        rng, server = random.Random(seed), Server(loop)
        machines = [Machine(name, database, loop) for name in "abc"]

        async def work(machine: Machine) -> None:
            await asyncio.sleep(rng.uniform(0, 3))
            for _ in range(3):
                await machine.ask(server, times=rng.randint(1, 6), seconds=rng.choice((0.1, 1.0, 7.0)))
                await asyncio.sleep(rng.uniform(0, 9))
            await machine.hosts.close()

        await asyncio.gather(*map(work, machines))
        server.check()
        assert len({name for *_, name in server.came}) == 3
        assert leased(database) == []

    timeless(play)


def test_who_waits_has_its_turn_while_another_has_much_to_ask(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        busy, late = Machine("busy", database, loop), Machine("late", database, loop)
        much = asyncio.create_task(busy.ask(server, times=120))
        await asyncio.sleep(2)
        assert await late.ask(server, times=2) == 0
        assert loop.time() < 15 and not much.done()
        await late.hosts.close()
        assert await much == 0
        await busy.hosts.close()
        server.check()

    timeless(play)


def test_what_has_no_end_elsewhere_is_left_for_later_and_nobody_spins(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        one, other = Machine("one", database, loop), Machine("other", database, loop)
        hangs = asyncio.create_task(one.ask(server, times=1, seconds=600))
        await asyncio.sleep(1)
        with counted(database) as statements:
            assert await other.ask(server, times=20) == 20
        assert 70 < loop.time() < 80
        assert sum("INSERT" in one for one in statements) <= 76
        assert other.hosts.held() == [PAPER]
        with pytest.raises(Held, match="which another process asks at the moment"):
            await other.hosts.ready(PAPER)
        assert await other.ask(server, "other.example", times=3) == 0
        hangs.cancel()
        await asyncio.gather(hangs, return_exceptions=True)
        await asyncio.gather(one.hosts.close(), other.hosts.close())
        assert leased(database) == []

    timeless(play)


def test_the_gap_lies_between_two_processes_too(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        for name in ("first", "second", "third"):
            machine = Machine(name, database, loop, host_gap_seconds=2.5)
            await machine.ask(server, times=2, seconds=0)
            await machine.hosts.close()
        server.check(gap=2.5)
        assert loop.time() == pytest.approx(12.5)

    timeless(play)


def test_one_that_was_killed_is_waited_for_as_long_as_its_lease(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        dead, other = Machine("dead", database, loop), Machine("other", database, loop)
        await dead.ask(server, times=3)
        dead.kill()
        assert leased(database) == [PAPER]
        assert await other.ask(server, times=3) == 0
        server.check()
        assert loop.time() < 1.2 + host_leases.LEASE + 3
        await other.hosts.close()

    timeless(play)


def test_a_process_that_was_held_up_asks_anew(database: Database) -> None:
    """Its lease is over, and another has it: what it has not begun waits for its turn."""

    async def play(loop: Timeless) -> None:
        server = Server(loop)
        slow, other = Machine("slow", database, loop), Machine("other", database, loop)
        await slow.ask(server, times=1)
        loop.now += 60  # in which it did nothing
        assert await other.ask(server, times=1) == 0
        assert await slow.ask(server, times=1) == 0
        server.check()
        assert [name for *_, name in sorted(server.came)] == ["slow", "other", "slow"]
        await asyncio.gather(slow.hosts.close(), other.hosts.close())

    timeless(play)


@pytest.mark.parametrize("hours", [-9000, -1, 1, 9000])
def test_machines_whose_clocks_differ_keep_the_same_leases(database: Database, hours: int) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        right, wrong = Machine("right", database, loop), Machine("wrong", database, loop)
        wrong.ahead = timedelta(hours=hours)
        await asyncio.gather(*(machine.ask(server, times=12, seconds=0.4) for machine in (right, wrong)))
        await asyncio.gather(right.hosts.close(), wrong.hosts.close())
        if database.engine.dialect.name == "postgresql":
            server.check()  # a SQLite file is one machine's
        # Nobody waits for a moment that a clock made up.
        after = Machine("after", database, loop)
        began = loop.time()
        assert await after.ask(server, times=1) == 0
        assert loop.time() < began + 2 * GAP
        await after.hosts.close()

    timeless(play)


def test_a_clock_that_leapt_leaves_no_host_to_nobody(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        dead, other = Machine("dead", database, loop), Machine("other", database, loop)
        await dead.ask(server, times=1)
        dead.kill()
        with database.write() as session:
            then = (MONDAY + timedelta(days=400)).timestamp()
            session.connection().execute(sa.update(HostLease).values(until=then, next_at=then, wanted=True))
        began = loop.time()
        assert await other.ask(server, times=1) == 0
        assert loop.time() < began + 1
        await other.hosts.close()
        assert leased(database) == []

    timeless(play)


@pytest.mark.parametrize("gap", [3.5, 10])
def test_a_slow_host_is_as_slow_for_all_together(database: Database, gap: float) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        machines = [Machine(name, database, loop, host_gap_seconds=gap) for name in "ab"]
        left = await asyncio.gather(*(machine.ask(server, times=3, seconds=1) for machine in machines))
        for machine in machines:
            await machine.hosts.close()
        server.check(gap=gap)
        assert len(server.came) == 6 - sum(left) >= 4

    timeless(play)


# ---------------------------------------------------------------- what hosts said


def test_what_a_host_told_one_process_the_next_one_knows_before_it_asks(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        one, other, forced = (Machine(name, database, loop) for name in ("one", "other", "forced"))
        async with one.hosts.turn(PAPER):
            one.hosts.heard(PAPER, "", 429, {"retry-after": "3600"})
        waiting = asyncio.create_task(other.ask(server, times=2))
        await asyncio.sleep(0)
        await one.hosts.close()
        assert await waiting == 2 and server.came == []
        await other.hosts.close()
        forced.hosts._before = forced.clock() + timedelta(seconds=1)
        assert await forced.ask(server, times=1) == 0
        await forced.hosts.close()

    timeless(play)


def test_what_could_not_be_stored_is_stored_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(loop: Timeless) -> None:
        one = Machine("one", database, loop)
        async with one.hosts.turn(PAPER):
            one.hosts.heard(PAPER, "", 429, {"retry-after": "3600"})

        def full(*_: object, **__: object) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as trouble:
            trouble.setattr(host_leases, "leave", full)
            await one.hosts.close()
        assert [record.name for record in one.hosts.changed()] == [PAPER]

    timeless(play)


# ---------------------------------------------------------------- what it costs


def test_one_process_alone_writes_little_for_many_requests(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server, alone = Server(loop), Machine("alone", database, loop, host_gap_seconds=0)
        with counted(database) as statements:
            await asyncio.gather(*(alone.ask(server, f"h{n}.example", times=10, seconds=0.1) for n in range(50)))
            await alone.hosts.close()
        assert len(server.came) == 500
        assert loop.time() == pytest.approx(0.5), "nobody waited"
        assert len(statements) <= 4, statements

    timeless(play)


def test_hosts_that_are_not_asked_any_more_are_others_soon(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server, one = Server(loop), Machine("one", database, loop)
        await one.ask(server, "done.example", times=1)
        going = asyncio.create_task(one.ask(server, times=1, seconds=100))
        await asyncio.sleep(3 * leases.BEAT)
        assert leased(database) == [PAPER]
        await asyncio.sleep(30)
        assert leased(database) == [PAPER], "it is renewed as long as it is in use"
        assert await going == 0
        await one.hosts.close()

    timeless(play)


def test_what_only_tries_things_out_tells_nobody(database: Database) -> None:
    with database.rehearse() as rehearsal:
        assert Hosts(Collect(), clock=lambda: MONDAY, shared=Shared(rehearsal))._leases is None


def test_a_database_that_cannot_renew_costs_no_request(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "digest.collect")

    async def play(loop: Timeless) -> None:
        server, one = Server(loop), Machine("one", database, loop)

        def locked(*_: object, **__: object) -> dict[str, bool]:
            raise StorageError("the database is locked")

        monkeypatch.setattr(host_leases, "renew", locked)
        assert await one.ask(server, times=4, seconds=12) == 0
        assert "the database is locked" in caplog.text
        server.check()
        await one.hosts.close()

    timeless(play)


def test_leases_that_nobody_gave_back_are_no_rows_for_ever(database: Database) -> None:
    async def play(loop: Timeless) -> None:
        server = Server(loop)
        for n in range(3):
            dead = Machine("dead", database, loop)
            await dead.ask(server, f"h{n}.example", times=1)
            dead.kill()
        loop.now += 1000
        last = Machine("last", database, loop)
        await last.ask(server, times=1)
        await last.hosts.close()
        with database.read() as session:
            names = session.connection().execute(sa.select(HostLease.name)).scalars().all()
        assert list(names) == [PAPER], "its gap is still to be kept"

    timeless(play)


# ---------------------------------------------------------------- who asks strangers


def paper(site: Site) -> str:
    return f"http://{PAPER}:{site.port}"


def an_entry(database: Database, site: Site) -> tuple[int, int]:
    """The number of a feed at the paper, and of its entry."""
    [feed_id] = add(database, f"{paper(site)}/feed")
    with database.write() as session:
        entry = Entry(feed_id=feed_id, key="1", url=f"{paper(site)}/1", seen_at=MONDAY, changed_at=MONDAY)
        session.add(entry)
        session.flush()
        return feed_id, entry.id or 0


def ask_feeds(database: Database, site: Site) -> Callable[[datetime], int]:
    add(database, f"{paper(site)}/feed")
    return lambda now: run(database, settings(), now=now, resolve=at_home).new


def ask_pages(database: Database, site: Site) -> Callable[[datetime], int]:
    _, entry_id = an_entry(database, site)
    stub = Stub(entry_id, f"{paper(site)}/page", "One", "One said.", "", f"{paper(site)}/feed")

    def ask(now: datetime) -> int:
        terms = {"clock": lambda: now, "seconds": 60, "most": 9, "resolve": at_home}
        return asyncio.run(collect.read_full_texts(database, settings(), [stub], **terms)).asked

    return ask


def ask_pictures(database: Database, site: Site) -> Callable[[datetime], int]:
    feed_id, entry_id = an_entry(database, site)
    wanted = Pictured(entry_id, feed_id, (f"{paper(site)}/picture",), f"{paper(site)}/feed")

    def ask(now: datetime) -> int:
        terms = {"clock": lambda: now, "seconds": 60, "most": 9, "resolve": at_home}
        return asyncio.run(collect.read_pictures(database, settings(), [wanted], **terms)).asked

    return ask


def ask_hubs(database: Database, site: Site) -> Callable[[datetime], int]:
    [feed_id] = add(database, f"{paper(site)}/feed")
    with database.write() as session:
        websub.discovered(session, feed_id, None, f"{paper(site)}/hub", f"{paper(site)}/feed", now=MONDAY)
    config = settings(websub=True).model_copy(update={"base_url": "https://news.example"})

    def ask(now: datetime) -> int:
        reached: list[str] = []

        async def resolve(host: str, _port: int) -> list[str]:
            reached.append(host)
            return ["127.0.0.1"]

        asyncio.run(collect.ask_hubs(database, config, clock=lambda: now, resolve=resolve, rng=random.Random(1)))
        return len(reached)

    return ask


def look(database: Database, site: Site) -> Callable[[datetime], int]:
    def ask(now: datetime) -> int:
        words = f"{paper(site)}/feed"
        terms = {"clock": lambda: now, "resolve": at_home, "database": database}
        try:
            found = asyncio.run(collect.look(words, settings(), **terms))
        except Held:
            return 0
        return len(found.feed.entries) if found.feed else 0

    return ask


def read_lists(database: Database, site: Site) -> Callable[[datetime], int]:
    def ask(now: datetime) -> int:
        terms = {"clock": lambda: now, "resolve": at_home, "database": database}
        try:
            return len(asyncio.run(collect.gather(f"{paper(site)}/list", settings(), **terms)).outlines)
        except NotFound:
            return 0

    return ask


DOORS = [ask_feeds, ask_pages, ask_pictures, ask_hubs, look, read_lists]


@pytest.mark.parametrize("door", DOORS)
def test_nobody_asks_a_host_that_another_process_asks_and_nothing_is_lost(
    database: Database, site: Site, door: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LOOK", 0.001)
    monkeypatch.setattr(leases, "LOOKS", 3)
    listed = f'<opml version="2.0"><body><outline xmlUrl="{site.base}/feed"/></body></opml>'.encode()
    site.pages |= {"/feed": Reply(rss("one")), "/list": Reply(listed)}
    ask = door(database, site)
    with database.write() as session:
        assert host_leases.take(session, [PAPER], "another", now=MONDAY) == {PAPER: 0.0}
    assert ask(MONDAY) == 0
    assert [path for path in site.paths() if path != "/feed" or door is not read_lists] == []
    # The other one was killed: its lease is over a while later.
    later = MONDAY + timedelta(hours=1)
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: later - now)
    assert ask(later) == 1
    assert leased(database) == []


def test_who_makes_a_ledger_of_hosts_shares_it() -> None:
    """Each place in `digest` that asks strangers, those that come later too."""
    found = []
    for path in sorted(Path(leases.__file__).parent.parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        calls = [node for node in ast.walk(ast.parse(text if "Hosts(" in text else "")) if isinstance(node, ast.Call)]
        made = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Hosts"]
        found += [(path.name, "shared" in {word.arg for word in node.keywords}) for node in made]
    assert len(found) >= 6
    assert [name for name, shared in found if not shared] == []


@pytest.mark.long
def test_two_real_processes_ask_a_real_server_one_after_the_other(database: Database, site: Site) -> None:
    going, most, lock = 0, 0, threading.Lock()

    def slowly(handler: Any) -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        threading.Event().wait(0.03)
        with lock:
            going -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    site.pages |= {f"/{n}": slowly for n in range(12)}
    terms = {"host_connections": 1, "host_gap_seconds": 0, "allow_private_addresses": True}
    url = database.engine.url.render_as_string(hide_password=False)
    pipes, processes = [], []
    for half in (range(6), range(6, 12)):
        ours, theirs = forked.context().Pipe()
        words = (url, MONDAY, [f"{paper(site)}/{n}" for n in half], theirs, terms)
        processes.append(forked.context().Process(target=leasing.asking, args=words))
        processes[-1].start()
        pipes.append(ours)
    assert [pipe.recv() for pipe in pipes] == ["ready"] * 2
    for pipe in pipes:
        pipe.send("go")
    assert [pipe.recv() for pipe in pipes] == ["done"] * 2
    for process in processes:
        process.join()
    assert (most, len(site.asked)) == (1, 12)
    assert leased(database) == []
