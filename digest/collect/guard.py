"""Where a request may go: no private address in any spelling, and the connection goes to the address that was checked.

The check sits below the HTTP client, at each connection: redirects, odd spellings (`0x7f.1`, `2130706433`) and names
that resolve to something else the second time all pass through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from digest.errors import FetchError, Unreachable
from digest.means import lacking

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them, in its order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def is_public(address: Address) -> bool:
    """Whether the address is one of the open internet, the IPv4 address in a mapped or tunnelled one included."""
    if isinstance(address, ipaddress.IPv6Address):
        for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if inner is not None and not is_public(inner):
                return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return True
    return address.is_global and not address.is_multicast and not address.is_reserved


class Guard:
    """Names to addresses that may be asked. `allow_private` lets through loopback and private networks.

    Link-local addresses are never asked: no feed lives there, but cloud machines hand out their secrets there.
    """

    def __init__(self, *, allow_private: bool = False, resolve: Resolve = resolve) -> None:
        self.allow_private = allow_private
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host` that may be asked, at least one. Raises FetchError."""
        literal = _address(host)
        try:
            named = [str(literal)] if literal else await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            if (lack := lacking(error)) is not None:
                raise lack from error
            raise Unreachable(host, f"leads to a host that is not known, {host} ({_words(error)})") from None
        allowed = [name for name in named if self._allows(name)]
        if not allowed:
            where = ", ".join(named[:3]) if literal else f"{host} is {', '.join(named[:3])}"
            raise FetchError(host, f"leads to a private address ({where}), which is not asked")
        return allowed

    def _allows(self, name: str) -> bool:
        address = _address(name)
        if address is None or address.is_multicast:
            return False
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if (inner or address).is_link_local:
            return False
        return self.allow_private or is_public(address)


def _address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether a host as written in an address is this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


class Transport(httpx.AsyncBaseTransport):
    """One connection per request, to an address the guard let through, HTTP/2 where the server offers it.

    A digest visits mostly distinct hosts once each: a pool gives little and httpx's own is quadratic in the
    connections it keeps.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._ssl: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        addresses = await self._guard.addresses(url.host, port)
        if url.scheme == "https" and self._ssl is None:
            self._ssl = httpx.create_ssl_context()
        connection = httpcore.AsyncHTTPConnection(
            httpcore.Origin(url.raw_scheme, url.raw_host, port),
            ssl_context=self._ssl,
            http2=url.scheme == "https",
            network_backend=_Pinned(addresses),
        )
        assert isinstance(request.stream, httpx.AsyncByteStream)
        try:
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            await connection.aclose()
            raise _as_httpx(error, request) from error
        return httpx.Response(
            response.status,
            request=request,
            headers=response.headers,
            stream=_Body(response.aiter_stream(), connection, request),
            extensions=response.extensions,
        )


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, chunks: AsyncIterator[bytes], connection: httpcore.AsyncHTTPConnection, request: httpx.Request
    ) -> None:
        self._chunks = chunks
        self._connection = connection
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except Exception as error:
            raise _as_httpx(error, self._request) from error

    async def aclose(self) -> None:
        await self._connection.aclose()


def _as_httpx(error: BaseException, request: httpx.Request) -> BaseException:
    """httpcore's error as httpx's of the same name, so that nobody above has to know both."""
    if isinstance(error, httpcore.TimeoutException | httpcore.NetworkError | httpcore.ProtocolError):
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
        return kind(str(error), request=request)
    return error


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the given addresses, one after the other, whatever host is asked for."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the backend protocol names it so)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in self._addresses[:4]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError("no address")


def _words(error: Exception) -> str:
    said = getattr(error, "strerror", "") or str(error)
    return said.strip().lower() or type(error).__name__
