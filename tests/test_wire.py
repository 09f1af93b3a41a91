"""The connection below a request, with servers that do what no server should: on both event loops."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import certifi
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trustme
from test_asking import raw

from digest.collect import by_httpcore, wire

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Callable[[], Any]], Any]
LONG = 60.0  # seconds that are never waited for
SOON = 0.03  # seconds that are
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Runs a scenario on one kind of loop, on which nothing may go wrong unheard."""
    factory = asyncio.SelectorEventLoop if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    noise: list[Any] = []

    def run(scenario: Callable[[], Any]) -> Any:
        async def heard() -> Any:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
            return await scenario()

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(heard())

    with caplog.at_level(logging.WARNING):
        yield run
        gc.collect(1)
    assert not noise
    assert not caplog.messages


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    ca = trustme.CA()
    path = Path(tmp_path_factory.mktemp("ca")) / "ca.pem"
    ca.cert_pem.write_to_path(path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("feeds.example", "127.0.0.1").configure_cert(server)
    return str(path), server


@asynccontextmanager
async def serving(handler: Handler, secure: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server: its port, and whether a connection to it has ended."""
    ended = asyncio.Event()
    tasks = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handler(reader, writer)
            while await reader.read(65536):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            ended.set()
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=secure)
    try:
        yield server.sockets[0].getsockname()[1], ended
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def asked(url: str, *, ca: str = "", proxy: str = "", **seconds: float) -> httpx.Response:
    timeout = {"connect": LONG, "read": LONG, "write": LONG} | seconds
    request = httpx.Request("GET", url, extensions={"timeout": timeout})
    return await wire.Transport().send(request, addresses=[] if proxy else ["127.0.0.1"], proxy=proxy, ca_file=ca)


async def whole(url: str, **options: Any) -> bytes:
    response = await asked(url, **options)
    try:
        return b"".join([piece async for piece in response.aiter_raw()])
    finally:
        await response.aclose()


async def connected(port: int) -> wire._Stream:
    return await wire._connected("127.0.0.1", port, LONG)


def answering(*pieces: bytes) -> Handler:
    """A server that answers a request and leaves the end to who asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\r\n\r\n"):
            writer.writelines(pieces)

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


def trusting(certificates: tuple[str, ssl.SSLContext]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates[0])


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("secure", [False, True])
def test_what_is_not_read_waits_at_the_server(
    run: Run, certificates: tuple[str, ssl.SSLContext], *, secure: bool
) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def scenario() -> int:
        async with serving(endless, certificates[1] if secure else None) as (port, ended):
            stream = await connected(port)
            if secure:
                await stream.start_tls(trusting(certificates), "feeds.example", LONG)
            most = 0
            for _ in range(60):
                assert await stream.read(16384, LONG)
                for _ in range(10):
                    await asyncio.sleep(0)
                most = max(most, len(stream._got))
            await stream.aclose()
            await ended.wait()
            return most

    assert wire._MUCH < run(scenario) < 4 * wire._MUCH


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-", HEAD, HEAD + b"half"])
def test_a_server_that_falls_silent_is_given_up(run: Run, head: bytes) -> None:
    async def scenario() -> None:
        async with serving(answering(head)) as (port, ended):
            with pytest.raises(httpx.ReadTimeout):
                await whole(f"http://feeds.example:{port}/", read=SOON)
            await ended.wait()

    run(scenario)


@pytest.mark.parametrize("secure", [False, True])
def test_a_server_that_reads_nothing_is_given_up(
    run: Run, certificates: tuple[str, ssl.SSLContext], *, secure: bool
) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with serving(deaf, certificates[1] if secure else None) as (port, _):
            stream = await connected(port)
            if secure:
                await stream.start_tls(trusting(certificates), "feeds.example", LONG)
            with pytest.raises(httpx.WriteTimeout):
                for _ in range(64):
                    await stream.write(b"x" * 1_000_000, SOON)
            await stream.aclose()

    run(scenario)


def test_who_waits_to_write_goes_on_once_it_is_taken_and_hears_of_the_end(run: Run) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(20_000_000 // 65536):
            await reader.read(65536)
        reset(writer)

    async def scenario() -> None:
        async with serving(slow) as (port, _):
            stream = await connected(port)
            for _ in range(40):
                await stream.write(b"x" * 1_000_000, LONG)
            with pytest.raises(httpx.ReadError):
                await stream.read(1, LONG)
            await stream.aclose()

    run(scenario)


def test_a_connection_that_is_never_taken_is_given_up(run: Run) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    held = [socket.socket() for _ in range(4)]
    for one in held:  # more than wait there
        one.setblocking(False)
        one.connect_ex(listener.getsockname())

    async def scenario() -> None:
        with pytest.raises(httpx.ConnectTimeout):
            await asked(f"http://feeds.example:{listener.getsockname()[1]}/", connect=SOON)

    run(scenario)
    for one in [listener, *held]:
        one.close()


def test_a_handshake_that_never_ends_is_given_up(run: Run) -> None:
    async def scenario() -> None:
        async with serving(silent) as (port, ended):
            with pytest.raises(httpx.ConnectTimeout):
                await asked(f"https://feeds.example:{port}/", connect=SOON)
            await ended.wait()

    run(scenario)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200", HEAD + b"half"])
def test_a_reset_is_an_error_whenever_it_comes(run: Run, head: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(head)(reader, writer)
        await writer.drain()
        reset(writer)

    async def scenario() -> None:
        async with serving(handle) as (port, _):
            with pytest.raises(httpx.ReadError):
                await whole(f"http://feeds.example:{port}/")

    run(scenario)


def test_a_half_closed_connection_is_read_to_its_end(run: Run) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"x" * 3_000_000)  # before it is asked
        writer.write_eof()

    async def scenario() -> None:
        async with serving(handle) as (port, ended):
            assert len(await whole(f"http://feeds.example:{port}/")) == 3_000_000
            await ended.wait()

    run(scenario)


@pytest.mark.parametrize("size", [3, 3_000_000])
def test_a_body_under_tls_ends_with_its_farewell(run: Run, certificates: tuple[str, ssl.SSLContext], size: int) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(HEAD + b"x" * size)(reader, writer)
        writer.close()
        await writer.wait_closed()

    async def scenario() -> None:
        async with serving(handle, certificates[1]) as (port, ended):
            assert len(await whole(f"https://feeds.example:{port}/", ca=certificates[0])) == size
            await ended.wait()

    run(scenario)


@pytest.mark.parametrize("size", [3, 3_000_000])
def test_a_body_under_tls_ends_without_a_farewell(
    run: Run, certificates: tuple[str, ssl.SSLContext], size: int
) -> None:
    async def scenario() -> None:
        with raw(HEAD, b"x" * size, secure=certificates[1]) as (port, _):
            assert len(await whole(f"https://feeds.example:{port}/", ca=certificates[0])) == size

    run(scenario)


@pytest.mark.parametrize("said", [b"220 mail.example\r\n", HEAD + b"forged"])
def test_what_is_said_before_tls_is_never_taken_for_said_under_it(
    run: Run, certificates: tuple[str, ssl.SSLContext], said: bytes
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async def scenario() -> None:
        async with serving(handle) as (port, ended):
            stream = await connected(port)
            if not stream._got:
                await stream._more(LONG)
            with pytest.raises(httpx.ConnectError, match="WRONG_VERSION"):
                await stream.start_tls(trusting(certificates), "feeds.example", SOON)
            await ended.wait()

    run(scenario)


def test_tls_on_a_connection_that_has_ended_is_an_error_at_once(run: Run) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def scenario() -> None:
        async with serving(handle) as (port, _):
            stream = await connected(port)
            assert await stream.read(1, LONG) == b""
            with pytest.raises(httpx.ConnectError):
                await stream.start_tls(ssl.create_default_context(), "feeds.example", LONG)

    run(scenario)


def test_a_server_that_goes_on_by_another_protocol_is_given_up_though_it_was_offered(run: Run) -> None:
    said = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"

    async def scenario() -> None:
        async with serving(answering(said)) as (port, ended):
            request = httpx.Request("GET", f"http://feeds.example:{port}/", headers={"Upgrade": "h2c"})
            with pytest.raises(httpx.RemoteProtocolError):
                await wire.Transport().send(request, addresses=["127.0.0.1"])
            await ended.wait()

    run(scenario)


@pytest.mark.parametrize("status", [100, 103, 199])
def test_answers_that_are_none_yet_are_counted(run: Run, status: int) -> None:
    interim = b"HTTP/1.1 %d Wait\r\nLink: </style.css>\r\n\r\n" % status

    async def scenario() -> None:
        some = answering(*[interim] * wire.MOST_INTERIM, HEAD + b"body")

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await some(reader, writer)
            writer.close()

        async with serving(handle) as (port, _):
            assert await whole(f"http://127.0.0.1:{port}/") == b"body"
        async with serving(answering(*[interim] * (wire.MOST_INTERIM + 1))) as (port, ended):
            with pytest.raises(httpx.RemoteProtocolError, match="none yet"):
                await whole(f"http://127.0.0.1:{port}/")
            await ended.wait()

    run(scenario)


def test_who_is_cancelled_leaves_no_connection(run: Run, certificates: tuple[str, ssl.SSLContext]) -> None:
    async def scenario() -> None:
        for head, scheme in ((b"", "http"), (HEAD + b"half", "http"), (b"", "https")):
            begun = asyncio.Event()

            async def handle(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                head: bytes = head,
                begun: asyncio.Event = begun,
            ) -> None:
                await reader.read(1)
                writer.write(head)
                begun.set()

            async with serving(handle) as (port, ended):
                task = asyncio.create_task(whole(f"{scheme}://feeds.example:{port}/"))
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await ended.wait()

    run(scenario)


def test_the_address_that_was_checked_is_the_one_connected_to(
    run: Run, certificates: tuple[str, ssl.SSLContext]
) -> None:
    async def scenario() -> None:
        async with serving(answering(HEAD), certificates[1]) as (port, _):
            response = await asked(f"https://feeds.example:{port}/", ca=certificates[0])
            stream = response.extensions["network_stream"]
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            assert stream.get_extra_info("ssl_object").server_hostname == "feeds.example"
            await response.aclose()

    run(scenario)


# ---------------------------------------------------------------- HTTP/2


def two(certificates: tuple[str, ssl.SSLContext], then: Callable[..., Awaitable[None]]) -> tuple[Handler, Any]:
    """A server of HTTP/2 that does `then` when it was asked."""
    secure = certificates[1]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoken = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        spoken.initiate_connection()
        writer.write(spoken.data_to_send())
        while data := await reader.read(65536):
            for event in spoken.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    spoken.send_headers(event.stream_id or 1, [(":status", "200")])
                    await then(spoken, writer)
                    return

    return handle, secure


@pytest.fixture
def with_two(certificates: tuple[str, ssl.SSLContext]) -> Iterator[None]:
    certificates[1].set_alpn_protocols(["h2"])
    yield
    certificates[1].set_alpn_protocols(["http/1.1"])


@pytest.mark.usefixtures("with_two")
def test_many_frames_of_a_server_that_is_gone_already_are_read(
    run: Run, certificates: tuple[str, ssl.SSLContext]
) -> None:
    async def then(spoken: h2.connection.H2Connection, writer: asyncio.StreamWriter) -> None:
        for _ in range(120):
            spoken.send_data(1, b"x" * 10_000, pad_length=200)
        spoken.end_stream(1)
        writer.write(spoken.data_to_send())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scenario() -> None:
        handle, secure = two(certificates, then)
        async with serving(handle, secure) as (port, _):
            response = await asked(f"https://feeds.example:{port}/", ca=certificates[0])
            assert response.extensions["http_version"] == b"HTTP/2"
            size = 0
            async for piece in response.aiter_raw():
                size += len(piece)
                await asyncio.sleep(0)
            await response.aclose()
            assert size == 1_200_000

    run(scenario)


@pytest.mark.usefixtures("with_two")
@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0\x08\6\0\0\0\0\0" + b"pingping",
        b"\0\0\x05\x01\4\0\0\0\1\x08\x03103",  # 103 (Early Hints)
        b"\0\0\0\4\0\0\0\0\0",  # no settings
    ],
)
def test_frames_before_an_answer_are_bounded(
    run: Run, certificates: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, frame: bytes
) -> None:
    monkeypatch.setattr(by_httpcore, "MOST_BEFORE", 4_000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0\0\4\0\0\0\0\0")
        await reader.read(65536)
        for _ in range(20):
            writer.write(frame * 100)
            await writer.drain()

    async def scenario() -> None:
        async with serving(handle, certificates[1]) as (port, ended):
            with pytest.raises(httpx.RemoteProtocolError, match="no answer"):
                await asked(f"https://feeds.example:{port}/", ca=certificates[0])
            await ended.wait()

    run(scenario)


@pytest.mark.usefixtures("with_two")
@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0\x03\0\0\0\0\0\x63abc",  # data of a stream that nobody began
        b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff",  # a window that is too large
        b"\0\0\x03\x01\x05\0\0\0\x01\xff\xff\xff",  # a trailer that is not packed as it should be
    ],
)
def test_frames_that_break_the_protocol_in_a_body_are_errors_of_the_server(
    run: Run, certificates: tuple[str, ssl.SSLContext], frame: bytes
) -> None:
    async def scenario() -> None:
        begun = asyncio.Event()

        async def then(spoken: h2.connection.H2Connection, writer: asyncio.StreamWriter) -> None:
            writer.write(spoken.data_to_send())
            await begun.wait()
            writer.write(frame)

        handle, secure = two(certificates, then)
        async with serving(handle, secure) as (port, ended):
            response = await asked(f"https://feeds.example:{port}/", ca=certificates[0])
            begun.set()
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()
            await response.aclose()
            await ended.wait()

    run(scenario)


# ---------------------------------------------------------------- proxies


def tunnel(port: int, head: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Handler:
    """A proxy that leads to a port of this machine."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT feeds.example:")
        writer.write(head)
        there_reader, there = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(pipe(there_reader, writer))
        await pipe(reader, there)
        await back

    return handle


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_leads_there_in_clear_and_under_tls(
    run: Run, certificates: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: certificates[0])
    said = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 600000\r\n\r\n") + b"x" * 600_000

    async def scenario() -> None:
        async with serving(answering(said), certificates[1]) as (port, ended):
            handler = tunnel(port)
            async with serving(handler, certificates[1] if scheme == "https" else None) as (through, _):
                proxy = f"{scheme}://127.0.0.1:{through}"
                assert len(await whole(f"https://feeds.example:{port}/", ca=certificates[0], proxy=proxy)) == 600_000
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await whole(f"https://feeds.example:{port}/", proxy=proxy)
                await ended.wait()

    run(scenario)


def test_what_a_proxy_says_before_tls_is_not_taken_for_the_answer(
    run: Run, certificates: tuple[str, ssl.SSLContext]
) -> None:
    forged = HEAD + b"forged"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(HEAD)(reader, writer)
        await writer.drain()
        writer.write(forged)

    async def scenario() -> None:
        async with serving(handle) as (port, _):
            with pytest.raises(httpx.TransportError):
                await whole(
                    "https://feeds.example/", ca=certificates[0], proxy=f"http://127.0.0.1:{port}", connect=SOON
                )

    run(scenario)
