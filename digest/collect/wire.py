"""The connection below a request: to an address that was checked, or through a proxy, and tolerant of odd headers.

httpx's transport without its client: redirects, cookies and logins are decided on in `fetch`, with our own checks, and
a third of the time per request is saved. Connections are the event loop's own, which saves another third. HTTP/1.1 is
h11's, spoken without httpcore between: one request on a connection needs no pool, locks, nor anyio to make them. What
is not HTTP/1.1 straight to a server is in `by_httpcore`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol, cast
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import h11

from digest.collect.client import httpx
from digest.collect.guard import is_this_machine
from digest.dataclass import dataclass

_MUCH = 256 * 1024  # bytes of a body that wait to be read
_MAX_HEAD = 100 * 1024  # bytes of a head
_AT_ONCE = 64 * 1024  # bytes that are read
MOST_INTERIM = 30  # answers before the answer: each is a head of its own, and nobody sends more than a few
_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d\b")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# A head in which there is nothing to mend, as most are.
_PROPER = re.compile(
    rb"HTTP/1\.[01] \d{3}[^\x00-\x1f\x7f]*+\r\n"
    rb"(?:(?:Content-Length:[ \t]*+\d{1,20}"
    rb"|(?!Content-Length|Transfer-Encoding)[!#$%&'*+.^_`|~0-9A-Z-]++:[^\x00-\x1f\x7f]*+)\r\n)*+\r\n",
    re.IGNORECASE,
)
_CHUNKED = re.compile(rb"\bchunked[ \t]*+\Z", re.IGNORECASE)
_LENGTH = re.compile(rb"\d{1,20}(?:[ \t]*,[ \t]*\d{1,20})*")


class Proxies:
    """Which requests go through a proxy: as the settings say, else `http_proxy`, `https_proxy` and `no_proxy`.

    This machine itself is asked directly: for a proxy elsewhere it would be another one.
    """

    def __init__(self, setting: str) -> None:
        self._setting = "" if setting == "none" else setting
        self._environment = getproxies_environment() if not setting else {}
        self.any = bool(self._setting or self._environment)

    def of(self, scheme: str, host: str, port: int, *, own: str = "") -> str:
        """The address of the proxy for a request, or ""; `own` is what one feed has of its own."""
        if own:
            return "" if own == "none" else own
        if not self.any or is_this_machine(host) or proxy_bypass_environment(f"{host}:{port}"):
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

    A digest visits mostly distinct hosts once each: a pool gives little and httpx's own is quadratic in the
    connections it keeps.
    """

    def __init__(self) -> None:
        self._ssl: dict[str, ssl.SSLContext] = {}

    async def send(
        self, request: httpx.Request, *, addresses: Sequence[str] = (), proxy: str = "", ca_file: str = ""
    ) -> httpx.Response:
        """Ask one of `addresses`, or a proxy. `ca_file` takes the place of the system's certificates.

        Raises httpx's errors, and OSError where `ca_file` cannot be read.
        """
        context = self._context(ca_file) if request.url.scheme == "https" else None
        connection = _proxied(proxy, request, context) if proxy else await _direct(addresses, request, context)
        try:
            said = await connection.ask(request)
        except BaseException:
            await connection.aclose()
            raise
        return httpx.Response(
            said.status,
            request=request,
            headers=said.headers,
            stream=_Body(said.body, connection),
            extensions=said.extensions,
        )

    def _context(self, ca_file: str) -> ssl.SSLContext:
        if ca_file not in self._ssl:
            made = ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context(trust_env=True)
            made.set_alpn_protocols(["http/1.1", "h2"])
            self._ssl[ca_file] = made
        return self._ssl[ca_file]


def _timeout(request: httpx.Request, what: str) -> float | None:
    """Seconds for it, where a client says so: who asks without one bounds the whole."""
    times: dict[str, float | None] = request.extensions.get("timeout", {})
    return times.get(what)


async def _direct(addresses: Sequence[str], request: httpx.Request, context: ssl.SSLContext | None) -> _Connection:
    """One connection to one of the addresses of who is asked."""
    host, seconds = request.url.raw_host.decode("ascii"), _timeout(request, "connect")
    port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
    stream = await _Pinned(addresses).connect_tcp(host, port, timeout=seconds)
    if context is not None:
        stream = await stream.start_tls(context, host, timeout=seconds)
        spoken = stream.get_extra_info("ssl_object")
        if spoken is not None and spoken.selected_alpn_protocol() == "h2":
            from digest.collect import by_httpcore

            return by_httpcore.http2(stream, request)
    return _Http11(stream)


def _proxied(proxy: str, request: httpx.Request, context: ssl.SSLContext | None) -> _Connection:
    from digest.collect import by_httpcore

    return by_httpcore.proxied(proxy, request, context)


@dataclass(frozen=True)
class Said:
    """The head of an answer, its body still to come."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes]
    extensions: MutableMapping[str, Any]


class _Connection(Protocol):
    """Takes one request. Raises httpx's errors; it is closed by who asked."""

    async def ask(self, request: httpx.Request) -> Said: ...
    async def aclose(self) -> None: ...


class Stream(Protocol):
    """What bytes go through, as httpcore would have it. Raises httpx's errors, or httpcore's where it is one of its."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...  # noqa: ASYNC109
    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...  # noqa: ASYNC109
    async def aclose(self) -> None: ...
    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Stream: ...
    def get_extra_info(self, info: str) -> Any: ...


class _Http11:
    """HTTP/1.1 on one of our own connections, in the words of h11."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._spoken = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self.aclose = stream.aclose

    async def ask(self, request: httpx.Request) -> Said:
        seconds = _timeout(request, "read")
        await self._stream.write(self._in_bytes(request), _timeout(request, "write"))
        while not isinstance(head := await self._heard(seconds), h11.Response):
            # Of interim answers there may be several; after one to go on by another protocol h11 has no more.
            if not isinstance(head, h11.InformationalResponse) or head.status_code == 101:
                raise httpx.RemoteProtocolError("It goes on by another protocol.")
        extensions: dict[str, Any] = {"network_stream": self._stream}
        extensions |= {"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason}
        return Said(head.status_code, head.headers.raw_items(), self._body(seconds), extensions)

    def _in_bytes(self, request: httpx.Request) -> bytes:
        """A request with its body, which is short."""
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            parts = [head, *([h11.Data(data=request.content)] if request.content else []), h11.EndOfMessage()]
            return b"".join(self._spoken.send(part) or b"" for part in parts)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error

    async def _body(self, seconds: float | None) -> AsyncIterator[bytes]:
        while isinstance(piece := await self._heard(seconds), h11.Data):
            yield bytes(piece.data)

    async def _heard(self, seconds: float | None) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            try:
                event = self._spoken.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            data = await self._stream.read(_AT_ONCE, seconds)
            if not data and self._spoken.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
            self._spoken.receive_data(data)


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes], connection: _Connection) -> None:
        self._chunks = chunks
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield chunk

    async def aclose(self) -> None:
        await self._connection.aclose()


def refused(error: BaseException | None) -> bool:
    """Whether an error means that nothing listens there."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Pinned:
    """Connects to the given addresses, one after the other, whatever host is asked for."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None) -> Stream:  # noqa: ASYNC109
        failed: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in self._addresses[:4]:
            try:
                return Tolerant(await _connected(address, port, timeout))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                # Nothing listens there only where nothing listens at any of them.
                failed = error if failed is None or refused(failed) else failed
        raise failed or httpx.ConnectError("no address")


async def _connected(host: str, port: int, seconds: float | None) -> _Stream:
    """Raises httpx.ConnectError and ConnectTimeout."""
    try:
        async with asyncio.timeout(seconds):
            _, stream = await asyncio.get_running_loop().create_connection(_Stream, host, port)
            return stream
    except TimeoutError as error:
        raise httpx.ConnectTimeout("connect") from error
    except OSError as error:
        said = str(error) if isinstance(error, socket.gaierror) else "All connection attempts failed"
        raise httpx.ConnectError(said) from error


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

    # ------------------------------------------------------------ what httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if not self._got and not self._over:
            await self._more(timeout)
        if not self._got and self._error is not None:
            raise httpx.ReadError(str(self._error)) from self._error
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
            raise httpx.WriteTimeout("write") from error

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
                raise httpx.ConnectTimeout("TLS") from error
            if isinstance(error, ConnectionError) and self._error is None:
                # As OpenSSL calls it, and the loop does not.
                raise httpx.ConnectError(str(error)) from ssl.SSLEOFError(str(error))
            if isinstance(error, OSError):
                raise httpx.ConnectError(str(error)) from error
            raise
        self._transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _ring(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(httpx.ReadTimeout("read"))


class Tolerant:
    """A connection on which a line of the head that is no header field is left out, as browsers do.

    h11 refuses the whole answer for it. HTTP/2 passes as it is, and so does what is no head of an answer.
    """

    def __init__(self, stream: Stream, *, in_head: bool = True) -> None:
        self._stream = stream
        self._in_head = in_head
        self._got = b""
        self._interim = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if not self._in_head:
            return await self._stream.read(max_bytes, timeout)
        end = _HEAD_END.search(self._got)
        while end is None and len(self._got) < _MAX_HEAD and b"HTTP/".startswith(self._got[:5]):
            data = await self._stream.read(max_bytes, timeout)
            if not data:
                break
            seen = max(0, len(self._got) - 2)
            self._got += data
            end = _HEAD_END.search(self._got, seen)
        if end is None or not self._got.startswith(b"HTTP/"):
            end_of_head, head = 0, b""
        else:
            end_of_head = end.end()
            head = mended(self._got[:end_of_head])
        if _INTERIM.match(head):
            self._got = self._got[end_of_head:]  # the answer itself is still to come
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise httpx.RemoteProtocolError(f"more than {MOST_INTERIM} answers that are none yet")
            return head
        rest, self._got, self._in_head = self._got[end_of_head:], b"", False
        return head + rest

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Stream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        spoken = stream.get_extra_info("ssl_object")
        return Tolerant(stream, in_head=spoken is None or spoken.selected_alpn_protocol() != "h2")

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def mended(head: bytes) -> bytes:
    """The head of an answer with those lines that are header fields (RFC 9112 §5), folded ones made one.

    Of codings of the transfer "chunked" is kept, once: "identity" is none any more, and what is packed shows.
    """
    if _PROPER.fullmatch(head):
        return head
    status, *lines = re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")
    kept, coded = [status.rstrip()], False
    for line in lines:
        name, colon, value = line.rstrip(b"\r").partition(b":")
        name, value = name.rstrip(b" \t"), value.strip(b" \t")
        if not (colon and _NAME.fullmatch(name)) or _CONTROL.search(value):
            continue
        if name.lower() == b"transfer-encoding":
            coded = coded or _CHUNKED.search(value) is not None
        elif name.lower() != b"content-length" or _LENGTH.fullmatch(value):
            kept.append(name + b": " + value)
    kept += [b"Transfer-Encoding: chunked"] if coded else []
    return b"\r\n".join(kept) + b"\r\n\r\n"
