"""The connection below a request: to an address that was checked, or through a proxy, and tolerant of odd headers.

h11 on connections of the event loop's own, one for each request: redirects, cookies and logins are decided on in
`fetch`, with our own checks. HTTP/2 and proxies are in `by_httpcore`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import h11

from digest.collect.guard import is_this_machine
from digest.collect.heads import MAX_HEAD, Mending
from digest.collect.messages import Request, Response, Seconds
from digest.collect.wire_errors import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteTimeout,
    refused,
)

_MUCH = 256 * 1024  # bytes of a body that wait to be read
_AT_ONCE = 64 * 1024  # of these are read


class Proxies:
    """Which requests go through a proxy: as the settings say, else `http_proxy`, `https_proxy` and `no_proxy`.

    This machine itself is asked directly: for a proxy elsewhere it would be another one.
    """

    def __init__(self, setting: str) -> None:
        self._setting = "" if setting == "none" else setting
        self._environment: dict[str, str] = {}
        if not setting and any(name.lower().endswith("_proxy") for name in os.environ):
            from urllib.request import getproxies_environment

            self._environment = getproxies_environment()
        self.any = bool(self._setting or self._environment)

    def of(self, scheme: str, host: str, port: int, *, own: str = "") -> str:
        """The address of the proxy for a request, or ""; `own` is what one feed has of its own."""
        if own:
            return "" if own == "none" else own
        if not self.any or is_this_machine(host):
            return ""
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

        if proxy_bypass_environment(f"{host}:{port}"):
            return ""
        found = self._environment
        proxy = self._setting or found.get(scheme, "") or found.get("all", "")
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy


@dataclass(frozen=True)
class Way:
    """How one feed is asked where otherwise than the settings say: a proxy ("none": without), certificates to trust,
    and what we are called."""

    proxy: str = ""
    ca_file: str = ""
    user_agent: str = ""


class Transport:
    """One connection per request, HTTP/2 where the server offers it.

    A digest visits mostly distinct hosts once each: to keep connections gives little.
    """

    def __init__(self) -> None:
        self._ssl: dict[str, ssl.SSLContext] = {}

    async def send(
        self, request: Request, *, addresses: Sequence[str] = (), proxy: str = "", ca_file: str = ""
    ) -> Response:
        """Ask one of `addresses`, or a proxy. `ca_file` takes the place of the system's certificates.

        The answer is closed by who gets it. Raises WireError, and OSError where `ca_file` cannot be read.
        """
        place = request.place
        context = self._context(ca_file) if place.scheme == "https" else None
        if proxy:
            from digest.collect import by_httpcore

            return await by_httpcore.ask(by_httpcore.by_proxy(proxy, place, context), request)
        stream = await _to_one_of(addresses, place.port, request.seconds.connect)
        if context is not None:
            await stream.start_tls(context, place.name, request.seconds.connect)
            if stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                from digest.collect import by_httpcore

                return await by_httpcore.ask(by_httpcore.http2(place, stream), request)
        return await _Exchange(stream, request.seconds).ask(request)

    def _context(self, ca_file: str) -> ssl.SSLContext:
        """Made when a server is asked by TLS: to read all certificates takes longer than to ask a dozen feeds."""
        if ca_file not in self._ssl:
            made = ssl.create_default_context(cafile=ca_file) if ca_file else _trusting()
            made.set_alpn_protocols(["http/1.1", "h2"])
            self._ssl[ca_file] = made
        return self._ssl[ca_file]


def _trusting() -> ssl.SSLContext:
    """Who trusts whom certifi does, or what SSL_CERT_FILE or SSL_CERT_DIR name, as with httpx."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=None if file else folder)
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


class _Exchange:
    """One request and its answer in HTTP/1.1 (RFC 9112), on a connection that is for nothing else."""

    def __init__(self, stream: _Stream, seconds: Seconds) -> None:
        self._stream, self._seconds = stream, seconds
        self._reading = Mending(stream)
        self._spoken = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    async def ask(self, request: Request) -> Response:
        try:
            await self._stream.write(self._said(request), self._seconds.write)
            head = await self._event()
            while isinstance(head, h11.InformationalResponse) and head.status_code != 101:  # the answer is to come
                head = await self._event()
        except h11.LocalProtocolError as error:
            await self._stream.aclose()
            raise LocalProtocolError(str(error)) from error
        except BaseException:
            await self._stream.aclose()
            raise
        assert isinstance(head, h11.Response | h11.InformationalResponse)
        version = f"HTTP/{head.http_version.decode('ascii')}"
        return Response(head.status_code, head.headers, self._chunks(), self._stream.aclose, version=version)

    def _said(self, request: Request) -> bytes:
        asked = h11.Request(method=request.method, target=request.place.target, headers=request.fields())
        events = [asked, *([h11.Data(request.body)] if request.body else []), h11.EndOfMessage()]
        return b"".join(self._spoken.send(event) or b"" for event in events)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)

    async def _event(self) -> Any:
        """What comes next of the answer. Raises WireError."""
        while True:
            try:
                event = self._spoken.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self._reading.read(_AT_ONCE, self._seconds.read)
                if not data and self._spoken.their_state is h11.SEND_RESPONSE:
                    raise RemoteProtocolError("Server disconnected without sending a response.")
                self._spoken.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise RemoteProtocolError(str(error)) from error


async def _to_one_of(addresses: Sequence[str], port: int, seconds: float | None) -> _Stream:
    """Connected to the first of the addresses that takes it. Raises ConnectError and ConnectTimeout."""
    failed: ConnectError | ConnectTimeout | None = None
    for address in addresses[:4]:
        try:
            return await _connected(address, port, seconds)
        except (ConnectError, ConnectTimeout) as error:
            # Nothing listens there only where nothing listens at any of them.
            failed = error if failed is None or refused(failed) else failed
    raise failed or ConnectError("no address")


async def _connected(host: str, port: int, seconds: float | None) -> _Stream:
    """Raises ConnectError and ConnectTimeout."""
    try:
        async with asyncio.timeout(seconds):
            _, stream = await asyncio.get_running_loop().create_connection(_Stream, host, port)
            return stream
    except TimeoutError as error:
        raise ConnectTimeout("connect") from error
    except OSError as error:
        said = str(error) if isinstance(error, socket.gaierror) else "All connection attempts failed"
        raise ConnectError(said) from error


class _Stream(asyncio.Protocol):
    """A connection of the event loop. What is read from it waits here; when that is much, the other end waits too.

    What we say are heads and short forms, given to the loop; where the other end takes none of it, `write` waits.
    """

    _transport: asyncio.Transport
    _below: asyncio.Transport  # TLS; it is what is paused: uvloop's TLS drops at the end what it holds back

    def __init__(self) -> None:
        self._got = bytearray()
        self._over = self._paused = self._full = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's has its methods, and is none
        self._transport = self._below = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if len(self._got) > _MUCH and not self._paused and not self._below.is_closing():
            self._paused = True
            self._below.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._over = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._over, self._full, self._error = True, False, error
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------ what who asks calls, as httpcore does

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if not self._got and not self._over:
            await self._more(timeout)
        if not self._got and self._error is not None:
            raise ReadError(str(self._error)) from self._error
        data = bytes(self._got[:max_bytes])
        del self._got[:max_bytes]
        if self._paused and len(self._got) <= _MUCH:
            self._paused = False
            if not self._below.is_closing():
                self._below.resume_reading()
        return data

    async def _more(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        clock = loop.call_later(seconds, _ring, waiter) if seconds is not None else None
        try:
            await waiter
        finally:
            self._waiter = None
            if clock is not None:
                clock.cancel()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer or self._over or self._transport.is_closing():
            return  # what came before the end is still to be read, and `read` tells of the end
        self._transport.write(buffer)
        try:
            async with asyncio.timeout(timeout) if self._full else nullcontext():
                while self._full:
                    await self._more(None)
        except TimeoutError as error:
            raise WriteTimeout("write") from error

    async def aclose(self) -> None:
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> _Stream:
        loop = asyncio.get_running_loop()
        try:
            if self._got:  # in clear, and would be taken for said under TLS
                raise ssl.SSLError(1, "WRONG_VERSION_NUMBER: it speaks before TLS begins")
            if self._over:
                raise ConnectionResetError("the connection is closed")
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(self._transport, self, ssl_context, server_hostname=server_hostname)
            if secured is None:
                raise ConnectionResetError("the connection is closed")
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise ConnectTimeout("TLS") from error
            if isinstance(error, ConnectionError) and self._error is None:
                # As OpenSSL calls it, and the loop does not.
                raise ConnectError(str(error)) from ssl.SSLEOFError(str(error))
            if isinstance(error, OSError):
                raise ConnectError(str(error)) from error
            raise
        self._transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _ring(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(ReadTimeout("read"))
