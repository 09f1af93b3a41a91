"""Each newsletter's own way through a pass: its letters at hand, and the relays that may have them.

What holds up one lane (its relays are down, or took all they may) leaves the others alone. Relays are common to all
lanes that name them, and so are the domains of recipients behind the same relays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from digest.config import Smtp
from digest.dataclass import dataclass
from digest.deliver.domains import Domains
from digest.deliver.in_hand import Claims
from digest.deliver.papers import Key, Number, Papers, key_of
from digest.deliver.relays import Route


@dataclass
class Way:
    """A relay as one newsletter uses it."""

    route: Route
    order: int
    weight: float
    credit: float = 0.0  # for sharing by weight
    shut: str = ""  # why it takes nothing of this newsletter, though others may use it


class Lane:
    """One newsletter, or what belongs to none."""

    def __init__(self, number: Number, ways: Iterable[Way], domains: Domains, *, smtp: Smtp) -> None:
        self.number = number
        self.smtp = smtp
        self.ways = sorted(ways, key=lambda way: way.order)
        # Those that may have its letters, the relays alone too: asked all the time, and changed by `shut` alone.
        self.open = list(self.ways)
        self.routes = [way.route for way in self.ways]
        self.domains = domains
        self.claims = Claims(canary=bool(smtp.canary))
        self.awake = False  # something of it is, or was, to be sent
        self.asked = 0  # at which turn of all it had letters claimed last
        self.stopped = ""  # why nothing more of it goes out in this pass
        self.heard_as = ""  # what the judge knows it by behind the name of a relay, where it is not the first

    @property
    def live(self) -> bool:
        return self.awake and not self.stopped

    @property
    def done(self) -> bool:
        """Is nothing of it to be claimed, and no claim or look under way?"""
        if self.claims.asking or self.claims.looking:
            return False
        return not self.live or (self.claims.looked and self.claims.exhausted)

    def wake(self) -> None:
        """There is something to send: see whether its relays can be had, before any letter is touched."""
        if not self.awake:
            self.awake = True
            for way in self.ways:
                way.route.try_first()

    def hopeless(self, now: float) -> str:
        """Why there is no relay left to wait for, or ""."""
        if any(route.hopeful(now) for route in self.routes):
            return ""
        whys = [way.shut or (way.route.down.why if way.route.down else "") for way in self.ways]
        return "; ".join(why for why in whys if why)

    def spent(self, moment: datetime) -> str:
        """Why its relays take nothing more in this hour or day, or ""."""
        up = [route for route in self.routes if route.usable]
        if not up or not all(route.exhausted(moment) for route in up):
            return ""
        names = " and ".join(route.name for route in up)
        return f"{names} took all that the settings allow in this hour or day"

    def choice(self, now: float, moment: datetime) -> dict[Route, Way]:
        """The relays whose turn it is: those of the lowest order that can be had."""
        up = [way for way in self.open if way.route.usable and not way.route.exhausted(moment)]
        if not up:
            return {}
        first = min(way.order for way in up)
        if any(way.route.trying(now) for way in self.open if way.order < first):
            return {}
        return {way.route: way for way in up if way.order == first}

    def shut(self, route: Route, why: str) -> None:
        for way in self.ways:
            if way.route is route:
                way.shut = why
        self.open = [way for way in self.ways if not way.shut]
        self.routes = [way.route for way in self.open]


def lanes_of(papers: Papers, routes: Mapping[Key, Route]) -> dict[Number, Lane]:
    """A lane for each newsletter that goes by relays. Behind the same relays, domains of recipients are common."""
    behind: dict[frozenset[Key], list[Number]] = {}
    for number in papers.numbers:
        if keys := frozenset(map(key_of, papers.smtp(number).servers)):
            behind.setdefault(keys, []).append(number)
    found = {}
    for numbers in behind.values():
        limits = [smtp.per_domain for smtp in map(papers.smtp, numbers) if smtp.per_domain]
        smtps = [papers.smtp(number) for number in numbers]
        names = sorted({routes[key_of(relay)].name for smtp in smtps for relay in smtp.servers})
        domains = Domains(limit=min(limits, default=0), behind=" ".join(names))
        for number in numbers:
            smtp = papers.smtp(number)
            ways = {key_of(relay): Way(routes[key_of(relay)], relay.order, relay.weight) for relay in smtp.servers}
            found[number] = Lane(number, ways.values(), domains, smtp=smtp)
    return found


def pick(ways: list[Way]) -> Way:
    """Shares by weight, evenly spread (smooth weighted round robin)."""
    if len(ways) == 1:
        return ways[0]
    for way in ways:
        way.credit += way.weight
    chosen = max(ways, key=lambda way: way.credit)
    chosen.credit -= sum(way.weight for way in ways)
    return chosen
