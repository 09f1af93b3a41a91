"""One request to an address, under the same guard as feeds: bounded, and without following anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from digest import __version__
from digest.collect import trouble
from digest.collect.client import httpx
from digest.collect.guard import Guard, Resolve, resolve
from digest.collect.wire import Proxies, Transport, refused
from digest.errors import FetchError, Unreachable

SECONDS = 15.0  # from the name of the host to the status of the answer
_TIMEOUT = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)}


class _Once:
    """One request to one address, under the guard."""

    def __init__(self, *, allow_private: bool, proxy: str = "none", resolve: Resolve = resolve) -> None:
        self._guard = Guard(allow_private=allow_private, resolve=resolve)
        self._proxies = Proxies(proxy)
        self._transport = Transport()

    async def _sent(self, request: httpx.Request, most: int = 0) -> tuple[int, bytes]:
        """The status, and what the answer has where it has no more than `most` bytes. Raises FetchError."""
        url = str(request.url)
        try:
            async with asyncio.timeout(SECONDS):
                host, scheme = request.url.host, request.url.scheme
                port = request.url.port or {"http": 80, "https": 443}[scheme]
                proxy = self._proxies.of(scheme, host, port)
                if proxy:
                    self._guard.check_literal(host)
                addresses = [] if proxy else await self._guard.addresses(host, port)
                response = await self._transport.send(request, addresses=addresses, proxy=proxy)
                try:
                    body = b""
                    async for chunk in response.aiter_raw() if most else _nothing():
                        body += chunk
                        if len(body) > most:
                            raise FetchError(url, f"has more than {most:,} bytes")
                finally:
                    await response.aclose()
                return response.status_code, body
        except TimeoutError:
            raise Unreachable(url, f"does not answer within {SECONDS:.0f} seconds") from None
        except httpx.ConnectError as error:
            raise Unreachable(url, trouble.in_words(error), refused=refused(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, OSError) as error:
            raise FetchError(url, trouble.in_words(error)) from error


async def _nothing() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""


class Poster(_Once):
    """Sends bodies, and says with which status they were answered. What an answer says beyond it is not read."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> int:
        """The status. A redirect is an answer like any: nobody follows it. Raises FetchError."""
        says = {"User-Agent": f"digest/{__version__}", "Accept": "*/*", **headers}
        try:
            request = httpx.Request(method, url, headers=says, content=body, extensions=_TIMEOUT)
        except httpx.InvalidURL as error:
            raise FetchError(url, trouble.in_words(error)) from error
        status, _ = await self._sent(request)
        return status


class Asker(_Once):
    """Asks as a mail program would, and says what was answered."""

    async def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status, and what came with it. A redirect is an answer like any. Raises FetchError."""
        says = {"User-Agent": f"digest/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        try:
            request = httpx.Request(method, url, headers=says, content=body)
        except httpx.InvalidURL as error:
            raise FetchError(url, trouble.in_words(error)) from error
        return await self._sent(request, most=1_000_000)


class Getter(_Once):
    """Fetches what is small, from public addresses only."""

    def __init__(self, *, proxy: str = "none", resolve: Resolve = resolve) -> None:
        super().__init__(allow_private=False, proxy=proxy, resolve=resolve)

    async def __call__(self, url: str, most: int) -> bytes:
        """What the address has, so many bytes at most. Raises FetchError for anything but 200."""
        says = {"User-Agent": f"digest/{__version__}", "Accept": "*/*"}
        try:
            request = httpx.Request("GET", url, headers=says, extensions=_TIMEOUT)
        except httpx.InvalidURL as error:
            raise FetchError(url, trouble.in_words(error)) from error
        status, body = await self._sent(request, most)
        if status != 200:
            raise FetchError(url, f"answers {status}", status=status)
        return body
