"""Who asks, and under which path: what a proxy tells us, where it is one of ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from digest.config import Network
from digest.web.houses import Houses

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(peer: str, forwarded: Iterable[str], proxies: Iterable[Network]) -> str:
    """The address a request came from: the last one on its way that is no proxy of ours, "" where none is known.

    `peer` is who connected, "" over a unix socket, where only a proxy on this machine can; `forwarded` are the
    X-Forwarded-For headers. Each proxy adds at the right the address it saw, so what stands to the left of the
    first stranger is the stranger's own word and counts for nothing.
    """
    ours = tuple(proxies)
    seen = _address(peer)
    if peer and (seen is None or not _within(seen, ours)):
        return str(seen or "")
    for word in reversed([word for header in forwarded for word in header.split(",")]):
        address = _address(word)
        if address is None:
            break
        seen = address
        if not _within(address, ours):
            break
    return str(seen or "")


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _address(words: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; IPv4 within IPv6 is IPv4."""
    text = words.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Proxied:
    """Sets a request's client, scheme and root path to what the visitor would call them.

    The path of `base_url` is taken off where the proxy left it on; where the proxy took it off already, the path is
    served as it came. `houses` say whose address it is.
    """

    def __init__(self, app: ASGIApp, *, proxies: Iterable[Network], houses: Houses) -> None:
        self._app = app
        self._proxies = tuple(proxies)
        self._houses = houses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._set(scope)
        await self._app(scope, receive, send)

    def _set(self, scope: MutableMapping[str, Any]) -> None:
        peer = scope["client"][0] if scope.get("client") else ""
        told = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        found = client_address(peer, (value for name, value in told if name == b"x-forwarded-for"), self._proxies)
        seen = _address(peer)
        if not peer or (seen is not None and _within(seen, self._proxies)):
            schemes = [value.strip().lower() for name, value in told if name == b"x-forwarded-proto"]
            if schemes and schemes[-1] in ("http", "https"):
                scope["scheme"] = schemes[-1]
        scope["client"] = (found, 0) if found else None
        hosts = [value for name, value in told if name == b"host"]
        house = self._houses.of(hosts[0] if len(hosts) == 1 else "", scope["path"])
        scope["house"] = house
        if scope["path"] == house.path:
            scope["path"] = house.path + "/"
        scope["root_path"] = house.path if scope["path"].startswith(house.path + "/") else ""
