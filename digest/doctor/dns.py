"""Asking the DNS, by dnspython: each question once, within a time, and "nothing there" told from "no answer"."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import dns.reversename

from digest.config import name_server
from digest.errors import DigestError


class NoAnswer(DigestError):
    """The name server did not say whether there is something: it is silent, refuses, or is in trouble."""


class Lookup(Protocol):
    """What is known of names. Nothing there is an empty list; NoAnswer where nobody says so."""

    async def txt(self, name: str) -> list[str]: ...

    async def addresses(self, name: str, *, v6: bool | None = None) -> list[str]:
        """IPv4, IPv6, or with None both."""

    async def mx(self, name: str) -> list[str]:
        """Its mail servers, the first to be tried first; `""` is the null MX (RFC 7505)."""

    async def names(self, address: str) -> list[str]:
        """What an address is called (PTR)."""


@dataclass
class Resolver:
    """The system's name servers, or one that is named: `address` or `address:port`."""

    nameserver: str = ""
    seconds: float = 5.0
    _asked: dict[tuple[str, str], Awaitable[list[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not self.nameserver)
        if self.nameserver:
            host, port = name_server(self.nameserver)
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port)]
        self._resolver.lifetime = self.seconds

    @property
    def where(self) -> str:
        return self.nameserver or ", ".join(str(one) for one in self._resolver.nameservers) or "no name server"

    async def txt(self, name: str) -> list[str]:
        return [b"".join(one.strings).decode("utf-8", "replace") for one in await self._ask(name, "TXT")]

    async def addresses(self, name: str, *, v6: bool | None = None) -> list[str]:
        kinds = {None: ("A", "AAAA"), True: ("AAAA",), False: ("A",)}[v6]
        return [one.address for kind in kinds for one in await self._ask(name, kind)]

    async def mx(self, name: str) -> list[str]:
        found = sorted(await self._ask(name, "MX"), key=lambda one: one.preference)
        return [str(one.exchange).rstrip(".") for one in found]

    async def names(self, address: str) -> list[str]:
        pointer = str(dns.reversename.from_address(address))
        return [str(one.target).rstrip(".").lower() for one in await self._ask(pointer, "PTR")]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """Asked once, however many want to know."""
        key = (name.lower().rstrip("."), kind)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._answer(*key))
        return await asyncio.shield(self._asked[key])

    async def _answer(self, name: str, kind: str) -> list[Any]:
        try:
            return list(await self._resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False))
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise NoAnswer(f"{self.where} says nothing of {name} {kind} ({type(error).__name__})") from None


@dataclass
class Known:
    """Names that are at hand, for judging without a network: {(name, kind): records}. A kind is as in a zone."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()  # names of which nobody says anything
    asked: list[tuple[str, str]] = field(default_factory=list)

    def _of(self, name: str, *kinds: str) -> list[str]:
        name = name.lower().rstrip(".")
        if name in self.silent:
            raise NoAnswer(f"nobody says anything of {name}")
        self.asked += [(name, kind) for kind in kinds]
        return [one for kind in kinds for one in self.records.get((name, kind), ())]

    async def txt(self, name: str) -> list[str]:
        return self._of(name, "TXT")

    async def addresses(self, name: str, *, v6: bool | None = None) -> list[str]:
        return self._of(name, *{None: ("A", "AAAA"), True: ("AAAA",), False: ("A",)}[v6])

    async def mx(self, name: str) -> list[str]:
        return self._of(name, "MX")

    async def names(self, address: str) -> list[str]:
        return self._of(address, "PTR")


async def known_names(lookup: Lookup, address: str, *, most: int = 10) -> Sequence[str]:
    """The names of an address that lead back to it (RFC 7208 §5.5; RFC 8601 §3 calls that iprev)."""
    found = []
    for name in (await lookup.names(address))[:most]:
        back = await lookup.addresses(name, v6=":" in address)
        if any(ipaddress.ip_address(one) == ipaddress.ip_address(address) for one in back):
            found.append(name)
    return found
