"""Where a request may go: no private address in any spelling, and the connection goes to the address that was checked.

The check sits below the HTTP client, at each connection: redirects, odd spellings (`0x7f.1`, `2130706433`) and names
that resolve to something else the second time all pass through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

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

    What goes through a proxy is resolved there, and judged here only as far as it is written as an address.

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

    def check_literal(self, host: str) -> None:
        """Raise FetchError where a host is itself an address that may not be asked, or this machine by name."""
        host = host.rstrip(".")  # the root, which is the same host
        literal = _address(host)
        named = str(literal) if literal else "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else ""
        try:
            named = named or socket.inet_ntoa(socket.inet_aton(host))  # 0x0a000001, 167772161, 10.1
        except (OSError, UnicodeError):
            pass
        if named and not self._allows(named):
            raise FetchError(host, f"leads to a private address ({named}), which is not asked")

    def _allows(self, name: str) -> bool:
        address = _address(name)
        if address is None or address.is_multicast:
            return False
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if (inner or address).is_link_local:
            return False
        return self.allow_private or is_public(address)


@lru_cache(maxsize=1024)
def _address(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether a host as written in an address is this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _words(error: Exception) -> str:
    said = getattr(error, "strerror", "") or str(error)
    return said.strip().lower() or type(error).__name__
