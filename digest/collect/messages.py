"""A request and its answer, as they are before and after the wire.

httpx's own do more than one request to one place needs, and to import it takes longer than to ask a dozen feeds. Its
rules for addresses hold all the same: what is no plain address goes through it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from digest.collect.guard import is_address
from digest.collect.wire_errors import InvalidURL
from digest.parse.text import MAX_URL

_PORTS = {"http": 80, "https": 443}
# As most are written, and as they go on the wire: in small letters, with nothing to be escaped.
_PLAIN = re.compile(
    r"(https?)://([a-z0-9-]++(?:\.[a-z0-9-]++)*+)(?::([1-9][0-9]{0,4}))?+"
    r"(/(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*+)",
    re.A,
)


class Place(NamedTuple):
    """An address in the pieces that asking there takes.

    `host` is in small letters, IPv6 without brackets; `name` is the same in ASCII, as servers are told it.
    """

    scheme: str
    host: str
    port: int
    target: str
    name: str

    @property
    def netloc(self) -> str:
        """Name and port, as the Host field says them: the scheme's own port is left out."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{name}:{self.own_port}" if self.own_port else name

    @property
    def own_port(self) -> int | None:
        """The port where it is another than the scheme's."""
        return None if self.port == _PORTS[self.scheme] else self.port


def place_of(url: str) -> Place:
    """Where an http(s) address leads, its fragment left out. Raises InvalidURL."""
    plain = _PLAIN.fullmatch(url) if len(url) <= MAX_URL else None
    if plain is not None and _is_plain(plain[2], plain[4]):
        scheme, host, port, target = plain.groups()
        return Place(scheme, host, int(port) if port else _PORTS[scheme], target, host)
    from digest.collect.client import httpx

    try:
        known = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidURL(str(error)) from None
    if known.scheme not in _PORTS or not known.host:
        raise InvalidURL(f"it begins with {known.scheme[:10]!r} and names no host of the web")
    target, name = known.raw_path.decode("ascii"), known.raw_host.decode("ascii")
    return Place(known.scheme, known.host, known.port or _PORTS[known.scheme], target, name)


def _is_plain(host: str, target: str) -> bool:
    """Whether there is nothing to be resolved in these, nor to be read in another way."""
    numeric = host[-1].isdigit()  # an address, or nothing that there is
    return "/." not in target and not host.startswith("xn--") and (not numeric or is_address(host))


class Seconds(NamedTuple):
    """How long each step may take; None where who asks bounds the whole."""

    connect: float | None = None
    read: float | None = None
    write: float | None = None


UNBOUND = Seconds()


@dataclass(frozen=True)
class Request:
    """`headers` are all but Host and Content-Length, which follow from the rest where they do not say them."""

    place: Place
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""
    seconds: Seconds = UNBOUND

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields that are sent. Raises UnicodeError where they are not ASCII."""
        said = {name.lower() for name in self.headers}
        found = [] if "host" in said else [("Host", self.place.netloc)]
        if "content-length" not in said and (self.body or self.method in ("POST", "PUT", "PATCH")):
            found.append(("Content-Length", str(len(self.body))))
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in (*found, *self.headers.items())]


class Response:
    """What a server answers; its body is still to be read. Names of `headers` are in small letters."""

    def __init__(
        self,
        status: int,
        raw: Iterable[tuple[bytes, bytes]],
        chunks: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        *,
        version: str = "HTTP/1.1",
    ) -> None:
        self.status = status
        self.raw = list(raw)
        self.headers: dict[str, str] = {}
        for name, value in self.raw:  # what comes twice is one list (RFC 9110 §5.3)
            key, said = name.decode("latin-1").lower(), _text(value)
            self.headers[key] = f"{self.headers[key]}, {said}" if key in self.headers else said
        self.version = version
        self.chunks = chunks  # of the body as it came, packed where it is packed
        self.aclose = close


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def merged(fields: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Header fields, of which `more` take the place of those with the same name, however it is written."""
    if not more:
        return dict(fields)
    said = {name.lower() for name in more}
    return {name: value for name, value in fields.items() if name.lower() not in said} | dict(more)
