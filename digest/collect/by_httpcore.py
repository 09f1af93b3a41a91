"""HTTP/2 and proxies, which httpcore speaks: imported where a server or the settings want one of them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import httpcore

from digest.collect import wire_errors
from digest.collect.heads import Mending
from digest.collect.messages import Place, Request, Response
from digest.collect.wire_errors import ProxyError, WireError
from digest.config.value_types import server_url


def http2(place: Place, stream: object) -> httpcore.AsyncConnectionInterface:
    """A connection of HTTP/2 on a stream that is there: anything that reads and writes as httpcore's do."""
    there = cast("httpcore.AsyncNetworkStream", stream)
    return httpcore.AsyncHTTP2Connection(origin=_origin(place), stream=there)


def by_proxy(proxy: str, place: Place, context: ssl.SSLContext | None) -> httpcore.AsyncConnectionInterface:
    """One connection through a proxy. Raises ProxyError where it is none that we can use."""
    try:
        there = server_url(proxy, settings="[collect] proxy")
    except ValueError as error:
        raise ProxyError(f"the address of the proxy {error}") from None
    if there.scheme not in ("http", "https") or not there.host:
        raise ProxyError(f"its kind, {there.scheme[:10]}, is not spoken here: give an http:// one")
    pool = httpcore.AsyncHTTPProxy(
        f"{there.scheme}://{there.place}",
        proxy_auth=(there.user.encode(), there.password.encode()) if there.user else None,
        ssl_context=context,
        http2=place.scheme == "https",
        network_backend=_ToProxy(),
    )
    return pool.create_connection(_origin(place))


async def ask(connection: httpcore.AsyncConnectionInterface, request: Request) -> Response:
    """The answer to a request. Raises WireError."""
    place, seconds = request.place, request.seconds
    scheme, name, target = (said.encode("ascii") for said in (place.scheme, place.name, place.target))
    asked = httpcore.Request(
        request.method,
        httpcore.URL(scheme=scheme, host=name, port=place.own_port, target=target),
        headers=request.fields(),
        content=request.body,
        extensions={"timeout": {step: bound for step, bound in seconds._asdict().items() if bound is not None}},
    )
    try:
        answer = await connection.handle_async_request(asked)
    except BaseException as error:
        await connection.aclose()
        raise _ours(error) from error
    version = answer.extensions.get("http_version", b"").decode("ascii", "replace")
    return Response(answer.status, answer.headers, _chunks(answer), connection.aclose, version=version)


def _origin(place: Place) -> httpcore.Origin:
    return httpcore.Origin(place.scheme.encode(), place.name.encode(), place.port)


async def _chunks(answer: httpcore.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_stream():
            yield chunk
    except Exception as error:
        raise _ours(error) from error


def _ours(error: BaseException) -> BaseException:
    """httpcore's error as ours of the same name, so that nobody above has to know both."""
    theirs = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)
    if isinstance(error, theirs):
        kind: type[WireError] = getattr(wire_errors, type(error).__name__, WireError)
        return kind(str(error))
    return error


class _ToProxy(httpcore.AsyncNetworkBackend):
    """Connects to a proxy by anyio, which knows TLS within TLS and hosts with dead addresses."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the backend protocol names it so)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Tolerant(await httpcore.AnyIOBackend().connect_tcp(host, port, timeout=timeout))


class _Tolerant(httpcore.AsyncNetworkStream):
    """A stream by a proxy, on which a head of HTTP/1.1 is mended (`heads`)."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, *, in_head: bool = True) -> None:
        self._stream = stream
        self._mending = Mending(stream) if in_head else None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await (self._mending or self._stream).read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        spoken = stream.get_extra_info("ssl_object")
        return _Tolerant(stream, in_head=spoken is None or spoken.selected_alpn_protocol() != "h2")

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
