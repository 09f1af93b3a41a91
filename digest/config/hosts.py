"""Hosts beyond ASCII: as the network has them (A-labels, RFC 5890), and as people read them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_MARK = "xn--"
_AT_HOME = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".invalid")


def as_ascii(host: str) -> str:
    """`bücher.example` as `xn--bcher-kva.example`. ValueError, in words, where it is no name of a host."""
    if host.isascii():
        return host
    import idna  # heavy, and few need it

    try:
        # Mapped as a browser maps it (UTS 46): capitals, full-width letters and dots of other scripts.
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError(f"has a host that no name server knows as written: {host}") from None


def as_read(host: str) -> str:
    """`xn--bcher-kva.example` as `bücher.example`; what is no such name as it is."""
    if _MARK not in host.lower():
        return host
    import idna

    try:
        return idna.decode(host)
    except idna.IDNAError:
        return host


def reachable(url: str) -> bool:
    """Whether who reads a mail may have a picture from an address: https, at a name or address of the internet."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme != "https" or host.endswith(_AT_HOME):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


def address_as_read(address: str) -> str:
    """An address with its domain as people read it."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{as_read(domain)}"
