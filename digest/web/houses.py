"""Which host shows which newsletters: one with a `base_url` of its own is at home there, the rest at the common one.

The Host header is only looked up among these, and nothing is ever made of it: where addresses are told, in pages,
mails and redirects, they are those of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from digest.config import Config

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class House:
    """An address at which pages are found, and the newsletters that it shows."""

    base_url: str
    newsletters: frozenset[str]

    @property
    def root(self) -> str:
        """The path of it, as addresses have it: "" or as in "/news"."""
        return urlsplit(self.base_url).path

    @property
    def path(self) -> str:
        """The same, as the path of a request comes to us."""
        return unquote(self.root)


class Houses:
    """All of them; `common` is the one of `base_url`, and what a host that nobody set up is taken for."""

    def __init__(self, config: Config) -> None:
        at: dict[tuple[str, str], tuple[str, set[str]]] = {_spot(config.base_url): (config.base_url, set())}
        for name in config.newsletters:
            base_url = config.imprint(name).base_url
            at.setdefault(_spot(base_url), (base_url, set()))[1].add(name)
        self._all = [House(base_url, frozenset(names)) for base_url, names in at.values()]
        # A host that is none of ours (an IP address, a proxy that hides the name) shows everything, as it always did.
        self.common = House(config.base_url, frozenset(config.newsletters))
        self._named: dict[str, list[House]] = {}
        for house in self._all:
            self._named.setdefault(_spot(house.base_url)[0], []).append(house)

    def of(self, host: str, path: str) -> House:
        """The house of a request, by its Host header and its path, on which a proxy may have left that of the house."""
        if len(self._all) == 1:
            return self._all[0]
        there = self._named.get(_place(host, "")) or self._by_name(host)
        fitting = [house for house in there if path == house.path or path.startswith(house.path + "/")]
        if fitting:
            return max(fitting, key=lambda house: len(house.path))
        return there[0] if len(there) == 1 else self.common

    def _by_name(self, host: str) -> list[House]:
        """What is there at another port: a proxy may listen where it likes."""
        name = _place(host, "").partition(":")[0]
        return [house for place, houses in self._named.items() if place.partition(":")[0] == name for house in houses]


def _spot(base_url: str) -> tuple[str, str]:
    """What makes an address the same as another, however it is written: host and port, and path."""
    return _place(urlsplit(base_url).netloc, base_url), urlsplit(base_url).path


def _place(netloc: str, base_url: str) -> str:
    """`host` or `host:port`, in small letters, without the port that goes without saying."""
    name, colon, port = netloc.strip().lower().rpartition(":")
    if not colon or not port.isdigit():
        name, port = netloc.strip().lower(), ""
    usual = _PORTS.get(urlsplit(base_url).scheme, "")
    said = port and (port != usual if usual else port not in _PORTS.values())
    return name.rstrip(".") + (f":{port}" if said else "")
