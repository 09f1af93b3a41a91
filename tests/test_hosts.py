"""How hosts are treated: few requests at once, each by its own word, and turns that are fair over runs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import permutations
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
import test_collect
from test_collect import MONDAY, Reply, Site, add, at_home, feed, rss, run, settings, titles

from digest import collect
from digest.collect import rate_limits, rhythm
from digest.collect.fetch import Fetcher
from digest.collect.hosts import Held, Hosts, exchange
from digest.collect.rate_limits import Said
from digest.config import Collect
from digest.errors import FetchError
from digest.models import Feed, Host
from digest.store import Database, hosts

site, database, digest = test_collect.site, test_collect.database, test_collect.digest

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def other() -> Iterator[Site]:
    other = Site()
    yield other
    other.close()


class Crowd:
    """Answers of a site that counts how many are asked for at once; the first wait until there are `wanted` of them."""

    def __init__(self, body: bytes, wanted: int = 1) -> None:
        self.going = self.most = 0
        self._body, self._wanted = body, wanted
        self._lock = threading.Lock()
        self._together = threading.Event()

    def __call__(self, handler: Any) -> None:
        with self._lock:
            self.going += 1
            self.most = max(self.most, self.going)
            if self.most >= self._wanted:
                self._together.set()
        self._together.wait(60)
        self._together.set()
        threading.Event().wait(0.01)
        with self._lock:
            self.going -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self._body)))
        handler.end_headers()
        handler.wfile.write(self._body)


class Machines:
    """A resolver: a name that begins with `a1-` is at 127.0.0.1, and so on; others are at 127.0.0.1."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return ["127.0.0.1"]


def hosts_of(database: Database) -> dict[str, hosts.Record]:
    with database.read() as session:
        return {record.name: record for record in hosts.records(session, now=MONDAY)}


# ---------------------------------------------------------------- trouble stays where it is


@pytest.mark.long
def test_a_feed_that_fails_for_weeks_costs_the_others_of_its_host_nothing(database: Database, site: Site) -> None:
    base = f"http://paper.example:{site.port}"
    site.pages |= {f"/{status}": Reply(status=status) for status in (403, 500, 502, 503)}
    site.pages["/well"] = Reply(rss("one"))
    dead = add(database, *(base + path for path in site.pages if path != "/well"))
    [well] = add(database, base + "/well")
    for week in range(0, 20, 2):
        now = MONDAY + timedelta(weeks=week)
        report = run(database, settings(host_gap_seconds=0), now=now, resolve=at_home)
        assert (report.asked, report.failed, report.held) == (5, 4, 0)
    assert min(feed(database, number).next_at for number in dead) > now + timedelta(days=5)
    assert feed(database, well).next_at < now + timedelta(hours=7)


@pytest.mark.thin(3)
@pytest.mark.parametrize(("status", "held"), [(404, 0), (410, 0), (403, 0), (500, 0), (503, 1), (429, 1)])
def test_only_what_a_server_says_of_itself_holds_its_host(
    database: Database, site: Site, status: int, held: int
) -> None:
    site.pages["/odd"] = Reply(status=status, headers={"Retry-After": "3600"})
    site.pages["/well"] = Reply(rss("one"))
    add(database, *(f"http://paper.example:{site.port}{path}" for path in ("/odd", "/well")))
    report = run(database, settings(connections=1, host_connections=1), resolve=at_home)
    assert (report.new, len(hosts_of(database))) == (1 - held, held)


def test_a_feed_that_was_asked_too_soon_has_its_turn_when_its_host_says_so() -> None:
    too_many, down = (FetchError("", "", status=status, retry_after=MINUTE) for status in (429, 503))
    rng = Random(1)
    assert [rhythm.after_failure(MONDAY, n, too_many, rng=rng) - MONDAY for n in (1, 2)] == [MINUTE] * 2
    assert rhythm.after_failure(MONDAY, 9, too_many, rng=rng) > MONDAY + timedelta(days=3)
    assert rhythm.after_failure(MONDAY, 1, down, rng=rng) > MONDAY + MINUTE * 20


def test_a_host_is_held_as_long_as_it_said_whatever_its_feed_backs_off(database: Database, site: Site) -> None:
    base = f"http://paper.example:{site.port}"
    site.pages["/dead"] = Reply(status=503, headers={"Retry-After": "120"})
    add(database, base + "/dead")
    for day in range(0, 70, 7):
        run(database, now=MONDAY + timedelta(days=day), resolve=at_home)
    last = MONDAY + timedelta(days=63)
    assert feed(database).next_at > last + timedelta(days=6)
    site.pages["/well"] = Reply(rss("one"))
    [well] = add(database, base + "/well")
    run(database, now=last + timedelta(days=7), resolve=at_home)
    assert hosts_of(database)["paper.example"].held_until in (None, last + timedelta(days=7, minutes=2))
    report = run(database, now=last + timedelta(days=7, minutes=3), resolve=at_home)
    assert titles(database) == ["one"]
    assert feed(database, well).next_at <= last + timedelta(days=7, hours=2)
    assert report.held == 0


def test_who_answered_after_a_redirect_is_the_one_that_is_held(database: Database, site: Site) -> None:
    target = f"http://target.example:{site.port}"
    site.pages["/moved"] = Reply(status=302, headers={"Location": f"{target}/limited"})
    site.pages["/limited"] = Reply(status=429, headers={"Retry-After": "3600"})
    site.pages["/own"] = Reply(rss("one"))
    base = f"http://start.example:{site.port}"
    moved, _own = add(database, base + "/moved", base + "/own")
    run(database, settings(host_connections=1, connections=1), resolve=at_home)
    records = hosts_of(database)
    assert list(records) == ["target.example"]
    (theirs,) = add(database, target + "/theirs")
    run(database, settings(host_connections=1, connections=1), now=MONDAY + timedelta(minutes=5), resolve=at_home)
    assert records["target.example"].held_until == MONDAY + HOUR
    assert titles(database) == ["one"]
    assert "/theirs" not in site.paths()
    assert feed(database, moved).next_at >= MONDAY + HOUR
    assert feed(database, theirs).checked_at is None


def test_a_held_host_is_not_asked_by_way_of_another_and_the_way_ends_there(database: Database, site: Site) -> None:
    site.pages["/moved"] = Reply(status=302, headers={"Location": f"http://target.example:{site.port}/feed"})
    with database.write() as session:
        hosts.keep(session, [hosts.Record("target.example", held_until=MONDAY + HOUR)])
    [number] = add(database, f"http://start.example:{site.port}/moved")
    report = run(database, resolve=at_home)
    assert (report.held, report.failed, site.paths()) == (1, 0, ["/moved"])
    assert (feed(database, number).next_at, feed(database, number).failures) == (MONDAY + HOUR, 0)
    # Who asks by force does not mind what was said before, but what is said now; and comes to an end.
    site.pages["/feed"] = Reply(status=429, headers={"Retry-After": "3600"})
    add(database, f"http://start.example:{site.port}/moved?again")
    site.pages["/moved?again"] = site.pages["/moved"]
    report = run(database, settings(host_connections=1), force=True, resolve=at_home)
    assert (report.asked, report.held) == (1, 1)


def test_a_run_of_a_few_feeds_asks_as_many_although_hosts_of_the_first_are_held(database: Database, site: Site) -> None:
    site.pages["/moved"] = Reply(status=302, headers={"Location": f"http://target.example:{site.port}/feed"})
    site.pages["/feed"] = Reply(rss())
    with database.write() as session:
        hosts.keep(session, [hosts.Record("target.example", held_until=MONDAY + HOUR)])
    add(database, *(f"http://start{n}.example:{site.port}/moved" for n in range(3)))
    add(database, *(f"http://open{n}.example:{site.port}/feed" for n in range(4)))
    report = run(database, resolve=at_home, batch=collect.Batch(3))
    assert (report.asked, report.held) == (3, 3)
    report = run(database, resolve=at_home, batch=collect.Batch(3))
    assert (report.asked, report.held) == (1, 0)


def test_an_address_is_held_when_two_of_its_hosts_ask_for_rest_and_none_is_served(
    database: Database, site: Site
) -> None:
    site.pages["/"] = Reply(status=429, headers={"Retry-After": "3600"})
    add(database, *(f"http://n{n}.example:{site.port}/" for n in range(9)))
    report = run(database, settings(host_connections=1), resolve=at_home)
    assert (report.failed, report.held, len(site.asked)) == (2, 7, 2)
    assert hosts_of(database)["127.0.0.1"].held_until == MONDAY + HOUR


def test_one_host_that_asks_for_rest_costs_its_neighbours_at_the_address_nothing(
    database: Database, site: Site
) -> None:
    site.pages["/limited"] = Reply(status=429, headers={"Retry-After": "3600"})
    site.pages["/"] = Reply(rss("one"))
    names = [f"http://n{n}.example:{site.port}/{'limited' if n % 2 == 0 else ''}" for n in range(8)]
    add(database, *names)
    report = run(database, settings(host_connections=1), resolve=at_home)
    assert (report.new, report.failed, report.held) == (4, 4, 0)


# ---------------------------------------------------------------- few at once


@pytest.mark.parametrize("most", [1, 2, 5])
def test_many_names_at_one_address_are_asked_a_few_at_a_time(database: Database, site: Site, most: int) -> None:
    site.pages["/feed"] = crowd = Crowd(rss("one"), most)
    add(database, *(f"http://n{n}.example:{site.port}/feed" for n in range(20)))
    assert run(database, settings(address_connections=most), resolve=at_home).new == 20
    assert crowd.most == most


def test_names_at_several_addresses_do_not_wait_for_each_other(database: Database, site: Site) -> None:
    together = threading.Barrier(3)

    def all_three(handler: Any) -> None:
        together.wait(20)
        Crowd(rss("one"))(handler)

    site.pages["/feed"] = all_three

    async def resolve(host: str, _port: int) -> list[str]:
        # The site listens at 127.0.0.1 alone: which of them is the first counts.
        return [f"127.0.0.{host[1]}", "127.0.0.1"]

    add(database, *(f"http://n{n}.example:{site.port}/feed" for n in (2, 3, 4)))
    assert run(database, settings(address_connections=1), resolve=resolve).new == 3


def test_many_names_that_lead_to_one_host_ask_it_a_few_at_a_time(database: Database, site: Site, other: Site) -> None:
    site.pages["/feed"] = crowd = Crowd(rss("one"))
    other.pages["/"] = Reply(status=301, headers={"Location": f"http://target.example:{site.port}/feed"})

    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host == "target.example" else [f"127.1.0.{host[1:].split('.')[0]}", "127.0.0.1"]

    add(database, *(f"http://n{n}.example:{other.port}/" for n in range(1, 21)))
    config = settings(host_gap_seconds=0, address_connections=9)
    assert run(database, config, resolve=resolve).new == 20
    assert crowd.most == 2


def test_hosts_that_lead_to_each_other_wait_for_nobody_in_a_circle(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    names = ["a.example", "b.example", "c.example"]
    for place, name in enumerate(names):
        following = names[(place + 1) % 3]
        site.pages[f"/{name}"] = Reply(status=302, headers={"Location": f"http://{following}:{site.port}/feed"})
    add(database, *(f"http://{name}:{site.port}/{name}?{n}" for name in names for n in range(4)))
    for name in names:
        for n in range(4):
            site.pages[f"/{name}?{n}"] = site.pages[f"/{name}"]
    config = settings(host_connections=1, address_connections=1, connections=1, host_gap_seconds=0)
    assert run(database, config, resolve=at_home).new == 12


# ---------------------------------------------------------------- fair turns


class Strict:
    """A host that serves one request in `window` and refuses the others, by a clock that the test moves."""

    def __init__(self, clock: Callable[[], datetime], *, window: timedelta, headers: dict[str, str]) -> None:
        self._clock, self._window, self._headers = clock, window, headers
        self._free_at = MONDAY - window
        self.served: list[str] = []
        self.refused = 0

    def __call__(self, handler: Any) -> None:
        now = self._clock()
        if now < self._free_at:
            self.refused += 1
            handler.send_response(429)
            for name, value in self._headers.items():
                handler.send_header(name, value)
            body = b""
        else:
            self._free_at = now + self._window
            self.served.append(handler.path)
            handler.send_response(200)
            body = rss(handler.path)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.mark.long
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "60"}, {"RateLimit": '"m";r=0;t=60'}])
def test_eight_feeds_of_a_host_that_allows_one_a_minute_all_have_their_turn_within_the_hour(
    database: Database, site: Site, headers: dict[str, str]
) -> None:
    now = MONDAY
    strict = Strict(lambda: now, window=MINUTE, headers=headers)
    paths = [f"/{n}" for n in range(8)]
    for path in paths:
        site.pages[path] = strict
    add(database, *(f"http://strict.example:{site.port}{path}" for path in paths))
    for minutes in range(0, 61, 7):
        now = MONDAY + timedelta(minutes=minutes)
        run(database, now=now, resolve=at_home)
    assert sorted(set(strict.served)) == paths
    assert strict.refused <= 2


@pytest.mark.long
def test_turns_go_round_whatever_the_numbers_of_the_feeds(database: Database, site: Site) -> None:
    now = MONDAY
    strict = Strict(lambda: now, window=MINUTE, headers={"Retry-After": "60"})
    paths = [f"/{n}" for n in range(3)]
    for path in paths:
        site.pages[path] = strict
    add(database, *(f"http://strict.example:{site.port}{path}" for path in paths))
    for turn in range(10):
        now = MONDAY + timedelta(minutes=20) * turn
        run(database, settings(max_interval_hours=0.01), now=now, resolve=at_home)
    counts = [strict.served.count(path) for path in paths]
    assert sum(counts) == 10
    assert max(counts) - min(counts) <= 1


def test_a_turn_that_is_near_is_waited_for_and_a_further_one_left_to_a_later_run() -> None:
    now = MONDAY

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def scenario() -> list[datetime]:
        collect = Collect.model_validate({"hosts": {"slow.example": {"gap_seconds": 60}}})
        hosts = Hosts(collect, clock=lambda: now, sleep=sleep)

        async def ask() -> datetime:
            try:
                async with hosts.turn("www.slow.example"):
                    return now
            except Held as held:
                return held.until

        return await asyncio.gather(*(ask() for _ in range(5)))

    turns = [moment - MONDAY for moment in asyncio.run(scenario())]
    assert turns == [MINUTE * min(n, 2) for n in range(5)]
    assert now == MONDAY + MINUTE


def test_a_way_within_one_host_is_one_turn_however_slow_the_host(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(status=302, headers={"Location": "/feed/"})
    site.pages["/feed/"] = Reply(rss("one"))
    add(database, f"http://slow.example:{site.port}/feed")
    config = settings(hosts={"slow.example": {"gap_seconds": 3600, "connections": 1}})
    assert run(database, config, resolve=at_home).new == 1
    site.asked.clear()
    assert run(database, config, now=MONDAY + MINUTE * 59, force=True, resolve=at_home).held == 1
    assert site.asked == []


def test_who_looks_by_hand_is_not_kept_waiting_for_a_pace(site: Site) -> None:
    site.pages["/"] = Reply(b'<!doctype html><link rel="alternate" type="application/rss+xml" href="/feed">')
    site.pages["/feed"] = Reply(rss("one"))
    config = settings(hosts={"slow.example": {"gap_seconds": 3600}}, host_gap_seconds=0)
    looking = collect.look(f"http://slow.example:{site.port}/", config, clock=lambda: MONDAY, resolve=at_home)
    assert asyncio.run(looking).url == f"http://slow.example:{site.port}/feed"


def test_a_clock_that_stands_still_is_not_waited_for() -> None:
    async def scenario() -> None:
        turns = Hosts(Collect(), clock=lambda: MONDAY, known=[hosts.Record("a.example", held_until=MONDAY + SECOND)])
        with pytest.raises(Held):
            async with turns.turn("a.example"):
                pass

    asyncio.run(scenario())


def test_what_a_host_said_is_remembered_for_the_next_run_and_forgotten_in_time(database: Database) -> None:
    said = hosts.Record("a.example", MONDAY + HOUR, 60.0, MONDAY, "answered 429", MONDAY)
    with database.write() as session:
        hosts.keep(session, [said, hosts.Record("b.example", MONDAY + HOUR)])
        hosts.keep(session, [replace(said, pace_seconds=90.0)])
        assert hosts.records(session, now=MONDAY)[0].pace_seconds == 90.0
        names = [[r.name for r in hosts.records(session, now=MONDAY + HOUR * n)] for n in (0, 2, 24, 25)]
        hosts.forget(session, now=MONDAY + HOUR * 25)
        assert session.get(Host, "a.example") is None
    assert names == [["a.example", "b.example"], ["a.example"], ["a.example"], []]


# ---------------------------------------------------------------- what servers say

S, M, H = SECOND, MINUTE, HOUR


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, Said()),
        (429, {}, Said()),
        (429, {"Retry-After": "60"}, Said(M)),
        (503, {"Retry-After": format_datetime(MONDAY + H, usegmt=True)}, Said(H)),
        (429, {"Retry-After": "9" * 9}, Said(timedelta(days=1))),
        (200, {"Retry-After": "60"}, Said()),
        # draft-ietf-httpapi-ratelimit-headers-11, and -08 to -10
        (200, {"RateLimit": '"default";r=50;t=30'}, Said()),
        (200, {"RateLimit": '"default";r=0;t=30'}, Said(S * 30)),
        (200, {"RateLimit": '"default"; r=2; t=60'}, Said(None, S * 30)),
        (200, {"RateLimit": '"a;r=9,";r=0;t=30, "day";r=900;t=9000'}, Said(S * 30)),
        (200, {"RateLimit": '"default";t=30;pk=:cGs=:;r=0'}, Said(S * 30)),
        (200, {"RateLimit": '"m";r=0', "RateLimit-Policy": '"m";q=1;w=60'}, Said(M, M)),
        (200, {"RateLimit-Policy": '"burst";q=1;w=60,"daily";q=1000;w=86400'}, Said(None, M)),
        (200, {"RateLimit-Policy": '"bytes";q=1;w=60;qu="content-bytes"'}, Said()),
        (200, {"RateLimit-Policy": '"daily";q=2;w=86400'}, Said()),
        (429, {"RateLimit": '"default";r=0;t=30', "Retry-After": "7"}, Said(S * 7)),
        # draft-07, and before
        (200, {"RateLimit": "limit=100, remaining=0, reset=30"}, Said(S * 30)),
        (200, {"RateLimit-Limit": "10", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, Said(S * 30)),
        (200, {"RateLimit-Limit": "1, 1;w=60, 50;w=3600", "RateLimit-Remaining": "9"}, Said(None, M)),
        # as it is found
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(MONDAY.timestamp()) + 30)}, Said(S * 30)),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{int(MONDAY.timestamp()) + 30}000"}, Said(S * 30)),
        (200, {"x-ratelimit-used": "1", "x-ratelimit-remaining": "99.0", "x-ratelimit-reset": "42"}, Said()),
        (200, {"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "42"}, Said(S * 42)),
        (200, {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "42"}, Said(S * 42)),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.5"}, Said(S * 1.5)),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, Said()),
        (200, {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "9"}, Said()),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 15}, Said(timedelta(days=1))),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, Said(S)),
    ],
)
def test_limits_are_read_in_all_their_forms(status: int, headers: dict[str, str], expected: Said) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    assert rate_limits.said(status, lower, now=MONDAY) == expected


@pytest.mark.parametrize(
    ("pace", "told", "served", "expected"),
    [
        (None, Said(), 5, M),  # it says too many, and no more
        (None, Said(M), 1, M),  # one in a minute was taken
        (None, Said(H), 60, M),
        (None, Said(H), 0, None),  # nothing was: that is a hold, and tells no pace
        (M, Said(M), 1, M * 2),
        (M, Said(M, S * 5), 1, S * 5),
        (H, Said(), 1, H),
    ],
)
def test_a_pace_is_learnt_from_refusals(
    pace: timedelta | None, told: Said, served: int, expected: timedelta | None
) -> None:
    assert rate_limits.slower(pace, told, served=served) == expected


def test_the_health_of_feeds_tells_what_their_hosts_said(database: Database, site: Site, digest: Any) -> None:
    site.pages["/moved"] = Reply(status=302, headers={"Location": f"http://target.example:{site.port}/"})
    site.pages["/"] = Reply(status=429, headers={"Retry-After": "86400"})
    site.pages["/well"] = Reply(rss("one"), headers={"RateLimit-Policy": '"m";q=2;w=60'})
    now = datetime.now(UTC)
    add(database, f"http://start.example:{site.port}/moved", f"http://well.example:{site.port}/well")
    run(database, now=now, resolve=at_home)
    rows = json.loads(digest("feed", "list", "--health", "--json").stdout)
    told = [
        (row["host"], row["host_held_until"] is not None, row["host_pace_seconds"], row["host_said"]) for row in rows
    ]
    assert sorted(told) == [
        ("target.example", True, None, "answered 429"),
        ("well.example", False, 30.0, "told its limits"),
    ]
    assert json.loads(digest("feed", "show", "1", "--json").stdout)["answered_by"] == "target.example"
    # The next run does not even ask for the way there.
    add(database, f"http://other.example:{site.port}/well")
    site.asked.clear()
    run(database, now=now + HOUR, resolve=at_home)
    assert "/moved" not in site.paths()


# ---------------------------------------------------------------- settings of one host


def test_headers_of_a_host_go_to_it_and_its_subdomains_and_nowhere_else(
    database: Database, site: Site, other: Site
) -> None:
    site.pages["/"] = Reply(rss("one"))
    site.pages["/away"] = Reply(status=302, headers={"Location": f"http://elsewhere.example:{other.port}/"})
    site.pages["/sub"] = Reply(status=302, headers={"Location": f"http://evil.mine.example:{other.port}/"})
    other.pages["/"] = Reply(rss("two"))
    other.pages["/back"] = Reply(status=302, headers={"Location": f"http://mine.example:{site.port}/"})
    mine = {"headers": {"user-agent": "Known/1", "X-Key": "s3cret"}, "connections": 1, "gap_seconds": 0}
    config = settings(hosts={"mine.example": mine})
    add(database, *(f"http://{host}:{site.port}/" for host in ("mine.example", "www.mine.example", "notmine.example")))
    run(database, config, resolve=at_home)
    assert sorted((h["host"].split(":")[0], h.get("x-key"), h["user-agent"][:5]) for _, h in site.asked) == [
        ("mine.example", "s3cret", "Known"),
        ("notmine.example", None, "diges"),
        ("www.mine.example", "s3cret", "Known"),
    ]
    site.asked.clear()
    ways = [f"mine.example:{site.port}/away", f"mine.example:{site.port}/sub", f"elsewhere.example:{other.port}/back"]
    add(database, *(f"http://{way}" for way in ways))
    run(database, config, now=MONDAY + MINUTE, resolve=at_home)
    assert [headers.get("x-key") for path, headers in site.asked if path != "/"] == ["s3cret"] * 2
    assert not any("x-key" in headers for path, headers in [*other.asked, *site.asked] if path in ("/", "/back"))
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("hosts", "wrong"),
    [
        ({"https://a.example/": {}}, "must be a host"),
        ({"a.example": {"headers": {"Bad Name": "x"}}}, "cannot be the name"),
        ({"a.example": {"headers": {"X-Key": "a\r\nb"}}}, "plain ASCII"),
        ({"a.example": {"headers": {"Host": "b.example"}}}, "follows from the request"),
        ({"a.example": {"gap": 3}}, "gap"),
    ],
)
def test_a_slip_in_the_settings_of_a_host_is_named(hosts: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        settings(hosts=hosts)


def test_the_longest_name_counts_and_the_rest_is_as_everywhere() -> None:
    collect = Collect.model_validate(
        {"hosts": {"Example.org": {"gap_seconds": 9, "connections": 7}, "api.example.org": {"gap_seconds": 0}}}
    )
    found = [collect.of_host(host) for host in ("example.org", "x.api.example.org", "anexample.org")]
    assert [(one.gap_seconds, one.connections) for one in found] == [(9, 7), (0, 2), (0.5, 2)]


def test_what_is_held_can_be_asked_from_another_thread_while_answers_come_in() -> None:
    class Busy(hosts.Record):
        """While it is looked at, a host that nobody knew answers."""

        def __getattribute__(self, name: str) -> Any:
            if name == "held_until":
                turns.heard(f"{len(turns._records)}.example", "", 429, {"retry-after": "600"})
            return super().__getattribute__(name)

    turns = Hosts(Collect(), clock=lambda: MONDAY)
    turns._records |= {name: Busy(name, MONDAY + HOUR) for name in ("a.example", "b.example")}
    assert turns.held() == ["a.example", "b.example"]
    assert {record.name for record in turns.changed()} >= {"2.example", "3.example"} and not turns.changed()


def test_a_feed_is_not_given_up_because_its_host_is_held(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(database, site.base + "/feed")
    with database.write() as session:
        ailing = session.get_one(Feed, 1)
        ailing.failures, ailing.failing_since = 9, MONDAY - 60 * 24 * HOUR
    held = False

    async def fetch(self: Any, url: str, **rest: Any) -> Any:
        raise Held("127.0.0.1", MONDAY + HOUR) if held else FetchError(url, "answers 404", status=404)

    monkeypatch.setattr(Fetcher, "fetch", fetch)

    def remedies() -> list[str]:
        found = asyncio.run(collect.diagnose(database, settings(), clock=lambda: MONDAY))
        return [one.remedy.value for one in found]

    assert remedies() == ["retire"]
    held = True
    assert remedies() == []


@pytest.mark.parametrize("field", ["retry-after", "x-ratelimit-reset", "ratelimit-reset"])
@pytest.mark.parametrize(
    ("value", "hold"),
    [
        ("3600", 3600),
        ("3600.0", 3600),
        ("3600, 60", 3600),
        ("1772442000", 7200),
        ("1772442000000", 7200),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 7200),
        ("2026-03-02T09:00:00Z", 7200),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0),
        ("2001-01-01", 0),
        ("Mon, 02 Mar 2126 09:00:00 GMT", 86400),
        ("9" * 30, 86400),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 2000, None),
    ],
)
def test_how_long_to_stay_away_is_read_in_every_form_of_every_field(field: str, value: str, hold: int | None) -> None:
    headers = {field: value, field.replace("reset", "remaining"): "0"} if "reset" in field else {field: value}
    found = rate_limits.said(429, headers, now=datetime(2026, 3, 2, 7, tzinfo=UTC)).hold
    assert (found and found.total_seconds()) == hold or (hold == 0 and not found)


# ---------------------------------------------------------------- several at a time


def test_who_wrote_before_it_heard_of_a_hold_does_not_end_it(database):
    """Two runs at once: one was told to stay away, and the other has a turn to note that it had before."""
    held = hosts.Record("a.example", MONDAY + HOUR, 60.0, None, "answered 429", MONDAY)
    later = replace(held, held_until=MONDAY + 2 * HOUR, said_at=MONDAY + SECOND)
    for writes in permutations([held, later, hosts.Record("a.example", asked_at=MONDAY + 2 * SECOND)]):
        with database.write() as session:
            session.execute(sa.text("DELETE FROM host"))
            for record in writes:
                hosts.keep(session, [record])
            assert hosts.records(session, now=MONDAY) == [replace(later, asked_at=MONDAY + 2 * SECOND)]


def test_what_another_run_was_told_holds_here_before_the_next_request(database):
    turns = Hosts(Collect(), clock=lambda: MONDAY)
    with database.write() as session:
        hosts.keep(session, [hosts.Record("a.example", MONDAY + HOUR, 0, None, "answered 429", MONDAY)])
        turns.hear(exchange(session, turns, now=MONDAY))
    with pytest.raises(Held):
        turns.check("a.example")
    # And what was told to us since is newer.
    turns.heard("a.example", "192.0.2.1", 429, {"retry-after": "7200"})
    with database.write() as session:
        turns.hear(exchange(session, turns, now=MONDAY))
        assert hosts.records(session, now=MONDAY)[0].held_until == MONDAY + 2 * HOUR == turns.held_until("a.example")
