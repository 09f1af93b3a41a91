"""How one feed is asked at any address that is asked for its sake: what is secret goes to its own origin only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from digest.collect.wire import Way
from digest.dataclass import dataclass
from digest.origin import open_part, same


@dataclass(frozen=True)
class Manner:
    """What an operator set for the feed at `url`: headers, a proxy ("none": without), certificates to trust."""

    url: str
    headers: Mapping[str, str]
    proxy: str = ""
    ca_file: str = ""

    def to(self, url: str) -> tuple[Mapping[str, str], Way]:
        """The headers for an address, and the way there."""
        way = Way(self.proxy, self.ca_file, "".join(open_part(self.headers).values()))
        return (self.headers, way) if url == self.url or same(url, self.url) else ({}, elsewhere(way))


def elsewhere(way: Way) -> Way:
    """The same way, at another origin than that whose certificates are trusted."""
    return replace(way, ca_file="")
