"""HTTP/2, and what goes through a proxy: by httpcore, which is imported when the first of these is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import h2.exceptions
import httpcore

from digest.collect.client import httpx
from digest.collect.wire import Said, Stream, Tolerant
from digest.config.value_types import server_url

MOST_BEFORE = 256 * 1024  # bytes of HTTP/2 before an answer begins


class Connection:
    """One of httpcore's, with its errors as httpx's of the same names, so that nobody above has to know both."""

    def __init__(self, connection: httpcore.AsyncConnectionInterface, beginning: _Beginning | None = None) -> None:
        self._connection = connection
        self._beginning = beginning
        self.aclose = connection.aclose

    async def ask(self, request: httpx.Request) -> Said:
        url = request.url
        assert isinstance(request.stream, httpx.AsyncByteStream)
        with _as_httpx():
            answer = await self._connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        if self._beginning is not None:
            self._beginning.over = True
        return Said(answer.status, answer.headers, _body(answer), answer.extensions)


def http2(stream: Stream, request: httpx.Request) -> Connection:
    """HTTP/2 on a connection whose server speaks it."""
    beginning = _Beginning(stream)
    network = cast("httpcore.AsyncNetworkStream", beginning)
    return Connection(httpcore.AsyncHTTP2Connection(origin=_origin(request), stream=network), beginning)


class _Beginning:
    """A stream of which no more than `MOST_BEFORE` is read until the answer has begun.

    Of frames that are no answer (interim ones, settings, pings) httpcore takes as many as there are.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = MOST_BEFORE
        self.over = False
        self.write, self.aclose, self.get_extra_info = stream.write, stream.aclose, stream.get_extra_info

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(max_bytes, timeout)
        self._left -= len(data)
        if self._left < 0 and not self.over:
            raise httpx.RemoteProtocolError("much before its answer, and no answer")
        return data


def proxied(proxy: str, request: httpx.Request, context: Any) -> Connection:
    """One connection through a proxy. Raises httpx.ProxyError where it is none that we can use."""
    try:
        there = server_url(proxy, settings="[collect] proxy")
    except ValueError as error:
        raise httpx.ProxyError(f"the address of the proxy {error}") from None
    if there.scheme not in ("http", "https") or not there.host:
        raise httpx.ProxyError(f"its kind, {there.scheme[:10]}, is not spoken here: give an http:// one")
    origin = _origin(request)
    pool = httpcore.AsyncHTTPProxy(
        f"{there.scheme}://{there.place}",
        proxy_auth=(there.user.encode(), there.password.encode()) if there.user else None,
        ssl_context=context,
        http2=origin.scheme == b"https",
        network_backend=_Backend(),
    )
    return Connection(pool.create_connection(origin))


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to a proxy: by anyio, which knows TLS within TLS and hosts with dead addresses."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the backend protocol names it so)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = Tolerant(await httpcore.AnyIOBackend().connect_tcp(host, port, timeout=timeout))
        return cast("httpcore.AsyncNetworkStream", stream)


def _origin(request: httpx.Request) -> httpcore.Origin:
    url = request.url
    return httpcore.Origin(url.raw_scheme, url.raw_host, url.port or {"http": 80, "https": 443}[url.scheme])


async def _body(answer: httpcore.Response) -> AsyncIterator[bytes]:
    with _as_httpx():
        async for chunk in answer.aiter_stream():
            yield chunk


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error
    except httpcore.ProxyError as error:
        raise httpx.ProxyError(str(error)) from error
    except (h2.exceptions.H2Error, ValueError) as error:  # which httpcore lets through: in a body, of a status
        raise httpx.RemoteProtocolError(str(error)) from error
