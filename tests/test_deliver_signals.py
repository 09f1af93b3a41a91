"""The sender as a process: asked to stop, stopped and woken."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import postgres
import pytest
from conftest import on_sqlite
from forked import Command
from mailing import owe, readers, send, sound, tallied
from mailserver import DROP, MailServer
from sqlmodel import select

from digest import event_loop
from digest.cli.common import Options
from digest.cli.progress import stop_between_letters
from digest.models import OutboxRow
from digest.store import letters

EVERYBODY = 100


@pytest.fixture
def server():
    """Quick with the first few letters and slow with the others, so that a signal comes long before the last."""
    with MailServer() as server:
        server.on_body = lambda taken: time.sleep(0.02 if len(server.taken) < 5 else 0.3) or "250 2.0.0 Ok"
        yield server


@pytest.fixture
def box(database, config):
    owe(database, config, *readers(EVERYBODY))
    with database.write() as session:
        for row in session.exec(select(OutboxRow)):
            row.due_at = datetime(2020, 1, 1, tzinfo=UTC)
    return database


@pytest.fixture
def sender(tmp_path, server, box):
    """`digest deliver` as cron starts it, once it has sent a few letters."""
    processes = []

    def start() -> Command:
        url = box.engine.url.render_as_string(hide_password=False)
        (tmp_path / "digest.toml").write_text(
            f'database = "{url}"\nsecret_key = "a key for tests, long enough"\nbase_url = "https://digest.example"\n'
            f'[smtp]\nurl = "{server.url}"\nconnections = 2\nmax_lateness_hours = 1000000\n'
            '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\n'
        )
        process = Command("deliver", cwd=tmp_path, late=tmp_path / "late")
        processes.append(process)
        while len(server.taken) < 5:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_finishes_what_is_in_flight_and_says_what_is_left(box, server, sender, number):
    process = sender()
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75
    sent = len(server.taken)
    assert 5 <= sent < EVERYBODY and f"{EVERYBODY - sent} still owed" in said
    assert tallied(box) == {"sent": sent, "owed": EVERYBODY - sent}
    with box.read() as session:
        assert not any(line.in_doubt for line in letters.lines(session, limit=1000))


def _finish(box, configure, server, clock, *, woken: Command | None = None) -> None:
    """Another one comes, when claims have run out: now everybody has a letter, and who has two is named."""
    clock.now = datetime.now(UTC) + timedelta(hours=1)
    config = configure(smtp={"url": server.url, "max_lateness_hours": 1_000_000})
    assert send(box, config, clock).owed == 0
    if woken is not None:
        anew: list[str] = []  # what was in the server's hands while it slept is not of these
        server.on_body = lambda taken: anew.append(taken.recipient) or "250 2.0.0 Ok"
        woken.send_signal(signal.SIGCONT)
        woken.communicate(timeout=120)
        assert not anew
    assert tallied(box) == {"sent": EVERYBODY} and sound(box)
    with box.read() as session:
        doubtful = {line.email for line in letters.lines(session, limit=1000) if line.in_doubt}
    assert {reader for reader, copies in Counter(server.recipients).items() if copies > 1} <= doubtful
    assert set(server.recipients) == set(readers(EVERYBODY))


@on_sqlite
def test_asked_twice_it_stops_at_once_and_what_was_in_flight_is_in_doubt(box, configure, server, sender, clock):
    begun, never = threading.Semaphore(0), threading.Event()

    def silent(taken) -> str:
        begun.release()
        never.wait(120)
        return DROP

    process = sender()
    server.on_body = silent
    assert begun.acquire(timeout=60) and begun.acquire(timeout=60)  # each of both connections waits for an answer
    process.send_signal(signal.SIGINT)
    assert any("stopping" in line for line in process.stderr)  # two signals at once would be one
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    never.set()
    assert process.returncode == 130 and "Traceback" not in said and "Fatal" not in said
    assert "may come twice" in said
    assert tallied(box)["sending"] >= 2
    server.on_body = lambda taken: "250 2.0.0 Ok"
    _finish(box, configure, server, clock)


class Greeted(asyncio.Protocol):
    """Does something when it is connected: a loop that is written in C calls it."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._do()


class Finalizer:
    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def __del__(self) -> None:
        self._do()


async def _in_a_callback(press, _port):
    asyncio.get_running_loop().call_soon(press)
    await asyncio.sleep(60)


async def _in_a_protocol(press, port):
    await asyncio.get_running_loop().create_connection(lambda: Greeted(press), "127.0.0.1", port)
    await asyncio.sleep(60)


async def _in_a_finalizer(press, _port):
    Finalizer(press)
    await asyncio.sleep(60)


async def _in_another_task(press, _port):
    async def other() -> None:
        press()
        await asyncio.sleep(60)

    task = asyncio.create_task(other())
    await asyncio.sleep(60)
    await task


async def _as_its_last_deed(press, _port):
    press()


@pytest.mark.parametrize("gently", [False, True], ids=["work", "letters"])
@pytest.mark.parametrize(
    "at",
    [_in_a_callback, _in_a_protocol, _in_a_finalizer, _in_another_task, _as_its_last_deed],
    ids=lambda at: at.__name__,
)
def test_ctrl_c_is_heard_and_told_without_a_traceback_whatever_the_loop_is_at(at, gently, server, caplog, capfd):
    port = urlsplit(server.url).port
    ways = stop_between_letters(Options()) if gently else contextlib.nullcontext(lambda: False)
    with ways as stop:

        def press() -> None:
            if gently:
                signal.raise_signal(signal.SIGINT)
                assert stop()
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            event_loop.run(lambda: at(press, port))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not caplog.records and "Traceback" not in capfd.readouterr().err


def test_ctrl_c_that_a_finalizer_has_lost_is_heard_when_letters_are_asked_about_next(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda _lost: None)
    with pytest.raises(KeyboardInterrupt), stop_between_letters(Options()) as stop:
        for _ in range(2):
            Finalizer(lambda: signal.raise_signal(signal.SIGINT))
        stop()


def test_asked_while_it_breaks_off_it_ends_where_it_is(monkeypatch):
    codes: list[int] = []
    monkeypatch.setattr("digest.event_loop.os._exit", codes.append)

    async def stubborn() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        event_loop.run(stubborn)
    assert codes == [130]


def _stop_between_commits(process, box) -> None:
    """Stopped in the middle of one, it would keep its locks for as long as it sleeps."""
    for _ in range(500):
        process.send_signal(signal.SIGSTOP)
        while not all(_is_stopped(thread) for thread in Path(f"/proc/{process.pid}/task").iterdir()):
            time.sleep(0.001)
        if _is_free(box):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.007)
    raise AssertionError("it never let go of the database")


def _is_stopped(thread: Path) -> bool:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def _is_free(box) -> bool:
    if box.engine.dialect.name == "sqlite":
        with contextlib.closing(sqlite3.connect(box.engine.url.database, timeout=0.05)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True
    with box.read() as session:
        return postgres.others_at_work(session) == 0


def test_stopped_past_its_lease_and_woken_it_sends_nothing_that_others_have(
    box, configure, server, sender, clock, tmp_path
):
    process = sender()
    _stop_between_commits(process, box)
    (tmp_path / "late").touch()  # half an hour is the lease
    server.on_body = lambda taken: "250 2.0.0 Ok"
    _finish(box, configure, server, clock, woken=process)
