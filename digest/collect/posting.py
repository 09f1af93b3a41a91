"""One POST to an address of the operator's, under the same guard as feeds: bounded, and without following anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from digest import __version__
from digest.collect import trouble
from digest.collect.guard import Guard, Resolve, resolve
from digest.collect.wire import Proxies, Transport, refused
from digest.errors import FetchError, Unreachable

SECONDS = 15.0  # from the name of the host to the status of the answer


class Poster:
    """Sends bodies, and says with which status they were answered. What an answer says beyond it is not read."""

    def __init__(self, *, allow_private: bool, proxy: str = "none", resolve: Resolve = resolve) -> None:
        self._guard = Guard(allow_private=allow_private, resolve=resolve)
        self._proxies = Proxies(proxy)
        self._transport = Transport()

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status. A redirect is an answer like any: nobody follows it. Raises FetchError."""
        says = {"User-Agent": f"digest/{__version__}", "Accept": "*/*", **headers}
        try:
            async with asyncio.timeout(SECONDS):
                request = httpx.Request("POST", url, headers=says, content=body)
                host, scheme = request.url.host, request.url.scheme
                port = request.url.port or {"http": 80, "https": 443}[scheme]
                proxy = self._proxies.of(scheme, host, port)
                if proxy:
                    self._guard.check_literal(host)
                addresses = [] if proxy else await self._guard.addresses(host, port)
                response = await self._transport.send(request, addresses=addresses, proxy=proxy)
                await response.aclose()
                return response.status_code
        except TimeoutError:
            raise Unreachable(url, f"does not answer within {SECONDS:.0f} seconds") from None
        except httpx.ConnectError as error:
            raise Unreachable(url, trouble.in_words(error), refused=refused(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, OSError) as error:
            raise FetchError(url, trouble.in_words(error)) from error
