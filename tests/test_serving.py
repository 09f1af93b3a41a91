"""`digest serve`: who is asking, behind which proxy, under which path, and how it starts and ends."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from conftest import MONDAY
from forked import Command
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest import sign
from digest.cli.serve import _stoppable
from digest.errors import ConfigError, StorageError
from digest.store import newsletters, open_database
from digest.web import application, courier
from digest.web.client import client_address
from digest.web.heads import HeadInTime
from digest.web.site import body_of

ROOT = Path(__file__).parent.parent
SETTINGS = """
database = "digest.db"
base_url = "{base}"
secret_key = "a key for tests, long enough"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
"""

OURS = [ipaddress.ip_network(n) for n in ("127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # a stranger's word
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the visitor wrote there itself
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),  # as a header of its own
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),  # two proxies of ours
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),  # from our own network
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["6.6.6.6, <script>"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("::1", ['"[2001:DB8::7]:4711"'], "2001:db8::7"),
        ("fd00::2", ["6.6.6.6, 2001:db8::7, fd00::9"], "2001:db8::7"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),  # a socket that speaks both
        ("2001:db8::7", ["198.51.100.1"], "2001:db8::7"),
        ("", ["198.51.100.1"], "198.51.100.1"),  # a unix socket
        ("", [], ""),
    ],
)
def test_a_visitor_is_the_last_on_the_way_who_is_no_proxy_of_ours(peer, forwarded, who):
    assert client_address(peer, forwarded, OURS) == who


@given(st.ip_addresses().filter(lambda a: not any(a in n for n in OURS)), st.lists(st.text(max_size=40)))
def test_nothing_a_visitor_writes_changes_who_they_are(visitor, words):
    told = str(getattr(visitor, "ipv4_mapped", None) or visitor)
    if not any(ipaddress.ip_address(told) in n for n in OURS):
        assert client_address(str(visitor), words, OURS) == told
        assert client_address("127.0.0.1", [*words, str(visitor)], OURS) == told


def test_proxies_that_are_no_addresses_are_refused_in_words(configure):
    assert [str(n) for n in configure(web={"proxies": ["127.0.0.1", "fd00::/8"]}).web.proxies] == [
        "127.0.0.1/32",
        "fd00::/8",
    ]
    for wrong in (["nginx"], ["10.0.0.1/8"], "127.0.0.1"):
        with pytest.raises(ConfigError, match=r"web\.proxies"):
            configure(web={"proxies": wrong})


# ---------------------------------------------------------------- what every page has


def asking(app: object, method: str, path: str, *, peer: str = "127.0.0.1", **options: object) -> httpx.Response:
    """One request, without a server."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://in.example") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


@pytest.fixture
def app(box, config, clock):
    return application(box, config, clock=clock)


def test_what_goes_wrong_is_told_in_the_look_of_the_site_and_nothing_more(app):
    def broken(request: Request) -> Response:
        raise RuntimeError("the secret is out")

    app.router.routes.append(Route("/broken", broken))
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/broken", 500)):
        answer = asking(app, method, path)
        assert answer.status_code == status
        assert "<h1>" in answer.text and "noindex" in answer.text and "secret" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert set(asking(app, "POST", "/").headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_head_is_answered_as_get_is(app):
    for path in ("/", "/newsletters/daily", "/newsletters/daily/feed.atom", "/health", "/ready"):
        assert asking(app, "HEAD", path).headers == asking(app, "GET", path).headers


@pytest.mark.parametrize("stripped", [True, False])
def test_a_shortened_or_lengthened_address_leads_to_what_was_meant_and_never_elsewhere(box, configure, clock, stripped):
    app = application(box, configure(base_url="https://example.org/news"), clock=clock)
    for asked, meant in (
        ("/newsletters/daily/", "/newsletters/daily"),
        ("/newsletters", "/"),
        ("/newsletters/daily/topics", "/newsletters/daily"),
        ("/newsletters/daily/editions/", "/newsletters/daily/editions"),
        ("/%2Fevil.example/", "/evil.example"),
        ("/%5Cevil.example/", "/%5Cevil.example"),
    ):
        answer = asking(app, "GET", asked if stripped else f"/news{asked}", headers={"Host": "evil.example"})
        assert (answer.status_code in (308, 302), answer.headers["location"]) == (True, f"/news{meant}")


def test_ready_is_who_has_a_database_of_its_own_release(app, box):
    assert asking(app, "GET", "/ready").text == "ok\n"
    with box.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    answer = asking(app, "GET", "/ready")
    assert answer.status_code == 503 and "revision 0001" in answer.text
    assert asking(app, "GET", "/health").text == "ok\n"


def test_who_serves_on_tables_of_a_newer_release_serves_until_that_one_is_in_its_place(app, box):
    with box.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    answer = asking(app, "GET", "/ready")
    assert answer.status_code == 200 and answer.text.startswith("ok\nthe database is of a newer digest (revision 9999)")
    assert asking(app, "GET", "/api/v1/health").status_code == 200


def test_a_database_that_is_gone_is_a_matter_of_minutes_and_no_crash(config, clock, tmp_path):
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=MONDAY)
    app = application(database, config, clock=clock)
    database.close()
    (tmp_path / "digest.db").write_bytes(b"this is no database, whatever it may have been before" * 100)
    for name in ("digest.db-wal", "digest.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    answer = asking(app, "GET", "/newsletters/daily")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60" and "<h1>" in answer.text
    ready = asking(app, "GET", "/ready")
    assert ready.status_code == 503 and "is not a database" in ready.text and ready.text.count("\n") == 1
    assert asking(app, "GET", "/health").status_code == 200


def test_a_request_that_never_ends_is_ended(config, clock, box, monkeypatch):
    monkeypatch.setattr("digest.web.timeouts.REQUEST_SECONDS", 0.05)
    app = application(box, config, clock=clock)

    async def read(request: Request) -> Response:
        return PlainTextResponse(await body_of(request))

    app.router.routes.append(Route("/read", read, methods=["POST"]))

    async def drip():
        yield b"a"
        await asyncio.sleep(60)

    assert asking(app, "POST", "/read", content=drip()).status_code == 408


def test_who_reads_is_answered_while_many_wait_to_write(config, clock, box):
    """As while an edition for a million is composed; each who waits held a thread and a connection once."""
    app = application(box, config, clock=clock)

    async def crowd() -> None:
        base = {"transport": httpx.ASGITransport(app=app), "base_url": "http://test"}
        async with httpx.AsyncClient(**base) as client:
            with box.write() as session:
                session.connection()  # from here on it is locked
                form = {"email": "ada@example.org"}
                asked = [asyncio.create_task(client.post("/subscribe/daily", data=form)) for _ in range(60)]
                for _ in range(20):
                    assert (await client.get("/newsletters/daily")).status_code == 200
                assert not any(task.done() for task in asked)
            assert {answer.status_code for answer in await asyncio.gather(*asked)} == {303}

    asyncio.run(crowd())


def test_who_waits_too_long_for_the_database_is_not_told_that_they_were_slow(config, clock, box, monkeypatch):
    monkeypatch.setattr("digest.web.timeouts.REQUEST_SECONDS", 0.05)
    app = application(box, config, clock=clock)

    async def slow(request: Request) -> Response:
        await body_of(request)
        await asyncio.sleep(60)
        raise AssertionError

    app.router.routes.append(Route("/slow", slow, methods=["POST"]))
    assert asking(app, "POST", "/slow", content=b"all of it").status_code == 503


def test_only_a_proxy_of_ours_is_believed_about_who_asks_and_how(box, configure, clock):
    app = application(box, configure(web={"proxies": ["10.0.0.0/8"]}), clock=clock)
    app.router.routes.append(
        Route("/who", lambda request: PlainTextResponse(f"{request.client.host} {request.url.scheme}"))
    )
    told = {"X-Forwarded-For": "6.6.6.6, 198.51.100.1", "X-Forwarded-Proto": "https"}
    assert asking(app, "GET", "/who", peer="10.1.1.1", headers=told).text == "198.51.100.1 https"
    assert asking(app, "GET", "/who", peer="203.0.113.9", headers=told).text == "203.0.113.9 http"


# ---------------------------------------------------------------- the command


Start = Callable[..., Command | subprocess.Popen[str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def place(tmp_path: Path, upgraded_sqlite: Path) -> Path:
    shutil.copy(upgraded_sqlite, tmp_path)
    return tmp_path


def anew(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """As an operator starts it."""
    command = [sys.executable, "-m", "digest", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)


@contextmanager
def serving(
    folder: Path, *options: object, base: str = "https://digest.example", start: Start = Command
) -> Iterator[Command | subprocess.Popen[str]]:
    """`digest serve` as a process."""
    (folder / "digest.toml").write_text(SETTINGS.format(base=base))
    with start("serve", *options, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def reached(address: str, *, uds: str | None = None) -> httpx.Response:
    """What is at an address, once there is somebody."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=uds), timeout=10) as client:
        for _ in range(1200):
            try:
                return client.get(address)
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError("nobody answers")


def stopped(process: Command | subprocess.Popen[str], one: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(one)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.parametrize(("one", "start"), [(signal.SIGTERM, anew), (signal.SIGINT, Command)])
def test_serve_answers_until_it_is_asked_to_stop_and_that_is_no_failure(place, one, start):
    port = free_port()
    with serving(place, "--port", port, start=start) as process:
        assert reached(f"http://127.0.0.1:{port}/ready").text == "ok\n"
        code, said = stopped(process, one)
    assert code == 0 and said == f"serving https://digest.example on http://127.0.0.1:{port}\n"


def test_who_is_told_to_stop_serves_on_while_a_load_balancer_sees_that_it_does(place):
    port = free_port()
    with serving(place, "--port", port, "--drain", 600) as process:
        assert reached(f"http://127.0.0.1:{port}/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        for _ in range(1200):
            if (ready := reached(f"http://127.0.0.1:{port}/ready")).status_code == 503:
                break
            time.sleep(0.05)
        assert (ready.status_code, ready.text) == (503, "is stopping\n")
        assert reached(f"http://127.0.0.1:{port}/").status_code == 200
        assert reached(f"http://127.0.0.1:{port}/health").status_code == 200
        code, _ = stopped(process)  # said twice: at once
    assert code == 0


def test_who_was_told_to_stop_ends_by_itself_and_is_not_told_once_more_by_its_own_clock():
    stops, now = threading.Event(), [0.0]
    server = _stoppable(30, stops, timer=lambda: now[0])(uvicorn.Config("nowhere:app"))
    ticks = []
    for said, at in [
        (None, 5.0),
        (signal.SIGINT, 5.0),
        (None, 34.9),
        (None, 35.0),
        (signal.SIGINT, 36.0),
        (None, 99.0),
    ]:
        now[0] = at
        if said:
            server.handle_exit(said, None)
        ticks.append((stops.is_set(), asyncio.run(server.on_tick(1)), server.force_exit))
    assert ticks == [(False, False, False), *2 * [(True, False, False)], (True, True, False), *2 * [(True, True, True)]]
    early = _stoppable(30, threading.Event(), timer=lambda: now[0])(uvicorn.Config("nowhere:app"))
    for _ in range(2):
        early.handle_exit(signal.SIGINT, None)
    now[0] += 31
    assert asyncio.run(early.on_tick(1)) and not early.force_exit


def test_an_address_that_is_taken_is_told_in_one_sentence(place):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        serving(place, "--port", taken.getsockname()[1]) as process,
    ):
        _, said = process.communicate(timeout=30)
    assert process.returncode == 69
    assert "it is taken" in said and "--port" in said and "Traceback" not in said


def test_serve_listens_on_a_unix_socket_and_takes_the_place_of_a_dead_one(place):
    path = place / "digest.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(place, "--unix-socket", path) as process:
        assert reached("http://digest/health", uds=str(path)).text == "ok\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with serving(place, "--unix-socket", path) as second:
            _, said = second.communicate(timeout=30)
            assert second.returncode == 69 and "it is taken" in said
        assert stopped(process)[0] == 0
    assert not path.exists()


def test_the_access_log_tells_no_token_and_no_query(place):
    port = free_port()
    token = sign.token(sign.Purpose.UNSUBSCRIBE, 1, key="a key for tests, long enough")
    with serving(place, "--port", port, "--access-log") as process:
        reached(f"http://127.0.0.1:{port}/newsletters/daily?before=7")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-Forwarded-For": "198.51.100.1"}) as client:
            client.get(f"/unsubscribe/{token}")
            client.get("/editions/daily/1/0123456789abcdef")
            client.get("/a%0Ab%1b[31m/c")
        _, said = stopped(process)
    assert token not in said and "0123456789abcdef" not in said and "before" not in said and "\x1b" not in said
    lines = said.splitlines()[1:]
    assert len(lines) == 4
    assert " 127.0.0.1 GET /newsletters/daily 200 " in lines[0]
    assert " 198.51.100.1 GET /unsubscribe/… 410 " in lines[1]


def test_a_visitor_who_leaves_in_the_middle_of_a_form_is_no_trouble(place):
    port = free_port()
    with serving(place, "--port", port) as process:
        reached(f"http://127.0.0.1:{port}/health")
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(
                b"POST /subscribe/daily HTTP/1.1\r\nHost: digest.example\r\nContent-Length: 99\r\n\r\nemail="
            )
        reached(f"http://127.0.0.1:{port}/health")
        code, said = stopped(process)
    assert (code, said.count("\n")) == (0, 1), said


@pytest.mark.long
def test_who_connects_and_asks_for_nothing_is_hung_up_on(box, config, clock, monkeypatch):
    monkeypatch.setattr("digest.web.timeouts.HEAD_SECONDS", 0.2)
    settings = uvicorn.Config(application(box, config, clock=clock), http=HeadInTime, lifespan="off", log_level="error")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            whole = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            for said, answers in ((b"", 0), (whole[:9], 0), (whole + whole[:9], 1)):
                with socket.create_connection(listener.getsockname(), timeout=30) as visitor:
                    visitor.sendall(said)
                    heard = b""
                    while part := visitor.recv(4096):
                        heard += part
                    assert heard.count(b"200 OK") == answers
        finally:
            server.should_exit = True
            thread.join()


# ---------------------------------------------------------------- behind nginx, as docs/serving.md has it


def examples() -> dict[str, str]:
    """The nginx examples of the guide, by the line of comment they begin with."""
    guide = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in guide.split("```nginx\n")[1:]]
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


@pytest.mark.long
@pytest.mark.parametrize(
    ("example", "base_path"), [("a host of its own", ""), ("below a path, which digest takes off", "/news")]
)
def test_behind_nginx_as_the_guide_has_it_every_page_is_found_and_the_visitor_is_known(place, example, base_path):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx on this machine")
    port, front = free_port(), free_port()
    configuration = place / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {place}/nginx.pid; error_log {place}/error.log;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events {}\nhttp {\naccess_log off;\n"
        + "".join(
            f"{kind}_temp_path {place}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"server {{ listen 127.0.0.1:{front};\n"
        + examples()[example].replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        + "}}\n"
    )
    with serving(place, "--port", port, "--access-log", base=f"http://127.0.0.1:{front}{base_path}") as process:
        reached(f"http://127.0.0.1:{port}/health")
        server = subprocess.Popen([nginx, "-c", str(configuration)], stderr=subprocess.PIPE)
        try:
            base = f"http://127.0.0.1:{front}"
            home = reached(f"{base}{base_path}/")
            assert home.status_code == 200 and f'href="{base_path}/newsletters/daily"' in home.text
            with httpx.Client(base_url=base, headers={"X-Forwarded-For": "6.6.6.6"}) as client:
                assert client.get(f"{base_path}/newsletters/daily").status_code == 200
                assert client.get(f"{base_path}/unsubscribe/x").status_code == 404
                assert client.post(f"{base_path}/unsubscribe/x", content=b"x" * 70_000).status_code == 413
                if base_path:
                    assert client.get("/elsewhere").status_code == 404
        finally:
            server.terminate()
            server.wait(timeout=30)
        _, said = stopped(process)
    assert "6.6.6.6" not in said and " 127.0.0.1 GET /newsletters/daily 200 " in said


def test_the_courier_asks_its_letters_to_end_and_waits_for_no_silent_mail_server(monkeypatch):
    monkeypatch.setattr(courier, "PATIENCE", 0.01)
    begun, spoken, ended = threading.Event(), threading.Event(), threading.Event()

    def send(stop: Callable[[], bool]) -> None:
        begun.set()
        spoken.wait(30)
        assert stop()
        ended.set()

    with courier.Courier(send) as one:
        one.wake()
        assert begun.wait(30)
    assert not ended.is_set()
    spoken.set()
    assert ended.wait(30)


def test_the_courier_comes_again_while_somebody_has_to_wait():
    calls, done = [], threading.Event()

    def send(stop: Callable[[], bool]) -> bool:
        calls.append(stop())
        if len(calls) == 3:
            done.set()
        return len(calls) < 3

    with courier.Courier(send, again=0) as one:
        one.wake()
        assert done.wait(30)
    assert len(calls) == 3


def test_the_courier_goes_on_after_trouble_and_tells_of_it(caplog):
    calls, done = [], threading.Event()

    def send(stop: Callable[[], bool]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise StorageError("the disk is full", hint="make room")
        done.set()

    with courier.Courier(send) as one:
        one.wake()
        while not calls or not caplog.records:
            time.sleep(0.001)
        one.wake()
        assert done.wait(30)
    assert "the disk is full" in caplog.text and "Traceback" not in caplog.text
