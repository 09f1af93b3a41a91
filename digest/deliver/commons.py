"""What passes on one PostgreSQL have in common while they send: each relay's connections, rate and limits, the pace of
receivers, and what the judges heard. Several processes together keep to what the settings say.

Twice a second a pass tells what it learnt and asks for its part, under the lock of the relay's row, which lasts for
some milliseconds. A part is leased: of a pass that was killed it is others' after `sharing.LEASE`. Turns of a rate are
moments that lie one behind the other for all, leased by the second, so that no row is asked for each letter.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from sqlmodel import Session

from digest.dataclass import dataclass
from digest.deliver.domains import Domains
from digest.deliver.judge import Counts, Judge
from digest.deliver.pace import CHUNK, Pace, Quota, Turns
from digest.deliver.relays import Route
from digest.errors import UserError
from digest.store import Database, relays, sharing

EVERY = 0.5  # seconds
ONE_MORE = 60.0  # seconds after which a relay that let us have no more connections is asked for one more
FRESH = 300.0  # seconds for which holds what was heard of a domain
AHEAD = 300.0  # seconds that turns may lie ahead


Leases = tuple[tuple[float, int], ...]  # in how many seconds, how many turns


@dataclass(frozen=True)
class RelayAsk:
    """What a pass tells of a relay, and what it wants."""

    relay: str
    total: int  # connections, by the settings
    rate: float
    per_hour: int
    per_day: int
    wish: int
    open: int
    turns: int
    held: int  # letters that no hour counts yet, but this pass has begun or is about to
    letters: int  # more of them that it could begin soon
    paced: int  # more turns that it could use, where the relay itself has a pace
    domain_limit: int
    fewer: bool = False
    per_connection: int | None = None
    refuses: Mapping[int, str] = field(default_factory=dict)
    news: tuple[int, int] = (0, 0)  # letters that it took, and that it put off


@dataclass(frozen=True)
class _Asked:
    """All of it: what one exchange tells and wants."""

    relays: Sequence[RelayAsk]
    domains: Sequence[tuple[str, Mapping[str, int], Mapping[str, Sequence[int]]]]  # behind which relays, wishes, news
    news: Mapping[str, Counts]  # of the judge


@dataclass(frozen=True)
class RelayPart:
    """What it gets."""

    seats: int
    turns: Leases
    allowance: int
    among: int
    limited: bool  # the relay lets us have fewer connections than the settings say
    per_connection: int
    refuses: Mapping[str, str]


Paced = tuple[float, Leases]  # seconds between two letters, and our turns


@dataclass
class Exchanged:
    """What came of asking: from `at` to `ended`, by the loop."""

    at: float
    ended: float = 0.0
    parts: dict[str, RelayPart] = field(default_factory=dict)  # by relay
    pace_of: dict[str, Paced] = field(default_factory=dict)  # of relays themselves
    paces: dict[str, dict[str, Paced]] = field(default_factory=dict)  # by relays, by domain
    heard: dict[str, Counts] = field(default_factory=dict)  # by domain


@dataclass(frozen=True)
class Who:
    """A pass."""

    holder: str
    urgent: bool
    gives_way: bool
    since: float = 0.0  # by the server's clock


def divided(seats: Sequence[sharing.Seat], total: int, *, most: int = 0) -> dict[str, int]:
    """Who gets how many of so many connections, by holder: what is urgent first, then who came first.

    One each in turn, until all wishes or all connections are given; `most` is how many holders may have any.
    """
    turn = sorted(
        (seat for seat in seats if seat.wish > 0), key=lambda seat: (not seat.urgent, seat.since, seat.holder)
    )
    given = dict.fromkeys((seat.holder for seat in seats), 0)
    turn = turn[: most or None]
    while total > 0 and (wanting := [seat for seat in turn if given[seat.holder] < seat.wish]):
        for seat in wanting[:total]:
            given[seat.holder] += 1
        total -= len(wanting[:total])
    return given


def part_of(
    state: sharing.Relay,
    others: Sequence[sharing.Seat],
    ask: RelayAsk,
    who: Who,
    *,
    quota: Quota,
    now: float,
    at: datetime,
) -> tuple[RelayPart, sharing.Seat]:
    """Decide under the lock; `state` is changed. `at` is `now` by the clock that hours are counted by. Pure."""
    total, limited = _connections(state, others, ask, now)
    mine = sharing.Seat(ask.relay, who.holder, who.urgent, who.since, ask.wish)
    common = total - 1 if who.gives_way and not who.urgent and total > 1 and not _urgent(others) else total
    given = divided([*others, mine], common, most=ask.domain_limit)
    admitted = sum(number > 0 for number in given.values())
    free = total - sum(max(seat.seats, seat.open) for seat in others)
    seats = max(0, min(given[who.holder], free))
    if ask.domain_limit and not ask.open and any(0 < seat.among < admitted for seat in others if seat.seats):
        seats = 0  # they divide what goes to a domain among fewer yet
    if ask.per_connection is not None:
        state.per_connection = ask.per_connection
    for newsletter, why in ask.refuses.items():
        state.refuses[str(newsletter)] = [why, now]
    turns: Leases = ()
    if ask.rate and ask.turns and seats and _near(state, ask.rate, now, mine, others):
        turns, state.next_at = leased(state.next_at, 1 / ask.rate, min(ask.turns, math.ceil(ask.rate * CHUNK)), now)
    allowance = 0
    if ask.per_hour or ask.per_day:
        room = quota.allows(at) - sum(seat.allowance for seat in others)
        allowance = max(ask.held, min(ask.held + ask.letters, room))
    part = RelayPart(
        seats,
        turns,
        allowance,
        max(1, admitted),
        limited,
        state.per_connection,
        sharing.names_of(state.refuses, since=who.since, now=now),
    )
    kept = sharing.Seat(
        ask.relay,
        who.holder,
        who.urgent,
        who.since,
        ask.wish,
        seats=max(seats, ask.open),
        open=ask.open,
        among=max(1, admitted),
        allowance=allowance,
        until=now + sharing.LEASE,
    )
    return part, kept


def leased(next_at: float, gap: float, letters: int, now: float) -> tuple[Leases, float]:
    """So many turns, each a gap behind the one before: ((in how many seconds, how many),), and when the next one is."""
    first = max(sharing.sane(next_at, now, AHEAD + gap), now)
    return ((first - now, letters),), first + letters * gap


def _near(state: sharing.Relay, rate: float, now: float, mine: sharing.Seat, others: Sequence[sharing.Seat]) -> bool:
    """May a turn be leased already? One that is far off would be lost with a pass that ends before it.

    So of a slow rate nobody has a turn before its last second, and who is urgent has the first. Then there is one that
    is leased and not over, and who leaves can give it back.
    """
    gap = 1 / rate
    if gap <= CHUNK:
        return True  # each waits for a second's worth of every other
    return sharing.sane(state.next_at, now, AHEAD + gap) - now <= CHUNK and (mine.urgent or not _urgent(others))


def _sums(some: Sequence[int], more: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(some, more, strict=True)]


def _urgent(others: Iterable[sharing.Seat]) -> bool:
    return any(seat.urgent and seat.wish for seat in others)


def _connections(state: sharing.Relay, others: Sequence[sharing.Seat], ask: RelayAsk, now: float) -> tuple[int, bool]:
    """How many all may have together: by the settings, and as far as the relay let us have them."""
    state.most_at = sharing.sane(state.most_at, now, 0.0)
    if ask.fewer:
        state.most, state.most_at = max(1, ask.open + sum(seat.open for seat in others)), now
    elif state.most and now - state.most_at >= ONE_MORE:
        state.most, state.most_at = state.most + 1, now
    if state.most >= ask.total:
        state.most = 0
    return (state.most or ask.total), bool(state.most)


def heard(row: sharing.Domain, taken: int, busy: int, now: float) -> None:
    """Add answers to the pace of a row, as if they had come evenly since the last ones."""
    pace = Pace.of_stored(row.pace)
    begin = min(max(row.at, now - EVERY), now) if row.at else now
    answers = taken + busy
    for number in range(1, answers + 1):  # evenly mixed
        put_off = busy * number // answers > busy * (number - 1) // answers
        pace.answered(begin + (now - begin) * number / answers, busy=put_off)
    row.pace, row.at = pace.stored(), now


def _slow(pace: Pace, told: Paced, now: float) -> None:
    """A relay's own pace, by what all heard of it."""
    interval, turns = told
    if not interval:
        pace.turns, pace.interval = None, 0.0
        return
    pace.interval = interval
    pace.turns = pace.turns or Turns(1 / interval)
    pace.turns.rate = 1 / interval
    for delay, letters in turns:
        pace.turns.lease(now + delay, letters)


def _paces(
    session: Session,
    behind: str,
    wanted: Mapping[str, int],
    news: Mapping[str, Sequence[int]],
    now: float,
    *,
    others: bool = True,
) -> dict[str, Paced]:
    """Tell what came of letters to these domains, [taken, busy] each, and lease so many turns; how all of them go."""
    found: dict[str, Paced] = {}
    names = {*wanted, *(name for name, told in news.items() if any(told))}
    if names:
        rows = {row.domain: row for row in sharing.domains(session, behind, names, lock=True, fresh_for=FRESH, now=now)}
        changed = []
        for name in names:
            row = rows.get(name) or sharing.Domain(behind, name)
            taken, busy = news.get(name, (0, 0))
            if taken or busy:
                heard(row, taken, busy, now)
            interval = row.pace.get("interval", 0.0)
            turns: Leases = ()
            if interval and wanted.get(name):
                most = max(1, math.ceil(CHUNK / interval))
                turns, row.next_at = leased(row.next_at, interval, min(wanted[name], most), now)
            if row.at:
                changed.append(row)
            found[name] = (interval, turns)  # also of what nobody knows any more: who waited for turns, waits no longer
        sharing.keep_domains(session, changed)
    if others:
        for row in sharing.domains(session, behind, (), lock=False, fresh_for=FRESH, now=now):
            if row.domain and row.domain not in found and row.pace.get("interval"):
                found[row.domain] = (row.pace["interval"], ())
    return found


def _tallies(session: Session, news: Mapping[str, Counts], now: float) -> dict[str, Counts]:
    """Add what was refused at domains; what all heard of them."""
    if not news:
        return {}
    rows = {row.domain: row for row in sharing.domains(session, "", news, lock=True, fresh_for=FRESH, now=now)}
    for name, (taken, refused, gone, ours) in news.items():
        row = rows.setdefault(name, sharing.Domain("", name))
        row.taken, row.refused, row.gone = row.taken + taken, row.refused + refused, row.gone + gone
        row.ours, row.at = row.ours + ours, now
    sharing.keep_domains(session, list(rows.values()))
    return {name: (row.taken, row.refused, row.gone, row.ours) for name, row in rows.items()}


class Dispatcher(Protocol):
    """Who hands out the letters."""

    def refused_elsewhere(self, route: Route, number: int, why: str) -> None:
        """Another pass had it proved that a relay takes nothing of a newsletter (0: of none)."""

    def failed(self, error: BaseException) -> None: ...

    def wake(self) -> None: ...


class Commons:
    """One pass's share in it. To be used from the event loop; the rows are asked in a thread."""

    def __init__(
        self,
        database: Database,
        routes: Sequence[Route],
        *,
        clock: Callable[[], datetime],
        urgent: bool,
        gives_way: bool,
    ) -> None:
        self._database = database
        self._routes = routes
        self._clock = clock
        self._who = Who(sharing.new_holder(), urgent, gives_way)
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._task: asyncio.Future[Exchanged] | None = None
        self._ended = False
        for route in routes:
            route.share()

    def hears(self, domains: Iterable[Domains], judge: Judge, dispatcher: Dispatcher) -> None:
        """Who learns from servers, and who is told what others learnt. Before the first `step`."""
        self._domains, self._judge, self._dispatcher = list(dict.fromkeys(domains)), judge, dispatcher
        for one in self._domains:
            one.shared = True

    def step(self, now: float, letters: int) -> None:
        """Ask, if it is time; so many letters wait for relays."""
        if self._task is not None or self._ended or now < self._next:
            return
        asks = [self._ask(route, now, letters) for route in self._routes]
        wants = [(domains.behind, domains.wants(now), domains.news) for domains in self._domains]
        for domains in self._domains:
            domains.news = {}
        news = self._judge.news()
        asked = _Asked(asks, wants, news)
        self._task = asyncio.ensure_future(asyncio.to_thread(self._exchange, asked))
        self._task.add_done_callback(partial(self._done, asked))

    def _done(self, asked: _Asked, task: asyncio.Future[Exchanged]) -> None:
        self._task = None
        self._next = self._loop.time() + EVERY
        if task.cancelled():
            return
        try:
            self._take(task.result(), asked.news)
        except UserError:  # the writer meets, too, what is wrong with the database
            self._untold(asked)
        except Exception as error:  # what is raised in a callback of the loop, nobody else hears
            self._dispatcher.failed(error)
        self._dispatcher.wake()

    def _untold(self, asked: _Asked) -> None:
        """It was not stored: what was to be told is told the next time. Of the judge's news nothing was let go."""
        for route, ask in zip(self._routes, asked.relays, strict=True):
            if (part := route.part) is not None:
                part.fewer |= ask.fewer
                part.per_connection = ask.per_connection if part.per_connection is None else part.per_connection
                part.refuses = {**ask.refuses, **part.refuses}
                part.news = _sums(part.news, ask.news)
        for domains, (_, _, news) in zip(self._domains, asked.domains, strict=True):
            for name, answers in news.items():
                domains.news[name] = _sums(domains.news.get(name, (0, 0)), answers)

    def _ask(self, route: Route, now: float, letters: int) -> RelayAsk:
        settings, part = route.settings, route.part
        assert part is not None and isinstance(route.bucket, Turns)
        leased = route.bucket.left(now)
        chunk = math.ceil(settings.per_second * CHUNK)
        more = max(0, min(letters + len(route.ready), chunk) - leased) if leased <= chunk // 2 else 0
        limits = [domains.limited for domains in self._domains if route.name in domains.behind and domains.limited]
        ask = RelayAsk(
            route.name,
            settings.connections,
            settings.per_second,
            settings.per_hour,
            settings.per_day,
            0 if route.down is not None and route.down.final else min(route.allowed, max(letters, route.held, 1)),
            route.open,
            more,
            route.held,
            min(letters, 2 * route.window),
            route.pace.wants(now, letters + len(route.ready)),
            min(limits, default=0),
            part.fewer,
            part.per_connection,
            dict(part.refuses),
            (part.news[0], part.news[1]),
        )
        part.fewer, part.per_connection, part.refuses, part.news = False, None, {}, [0, 0]
        part.counted = 0
        return ask

    def _take(self, found: Exchanged, news: Mapping[str, Counts]) -> None:
        """`found.at` was before the rows were asked, so that no lease is longer here than there, and `found.ended`
        after, so that no turn is sooner."""
        for route in self._routes:
            part, mine = route.part, found.parts.get(route.name)
            if part is None or mine is None:
                continue
            assert isinstance(route.bucket, Turns)
            part.seats, part.until = mine.seats, found.at + sharing.LEASE
            part.allowance = mine.allowance - part.counted
            for delay, letters in mine.turns:
                route.bucket.lease(found.ended + delay, letters)
            route.told(mine.per_connection, limited_elsewhere=mine.limited)
            _slow(route.pace, found.pace_of[route.name], found.ended)
            for domains in self._domains:
                if domains.limited and route.name in domains.behind:
                    domains.among = mine.among
            for number, why in mine.refuses.items():
                self._dispatcher.refused_elsewhere(route, int(number), why)
        for domains in self._domains:
            for name, (interval, turns) in found.paces.get(domains.behind, {}).items():
                domains.told(name, interval, [(found.ended + delay, letters) for delay, letters in turns])
        self._judge.told(news, found.heard)

    # ------------------------------------------------------------ in a thread

    def _exchange(self, asked: _Asked) -> Exchanged:
        found, clock = Exchanged(self._loop.time()), self._clock()
        with self._database.write() as session:
            if not self._who.since:
                self._who = replace(self._who, since=sharing.moment(session))
            for ask in sorted(asked.relays, key=lambda ask: ask.relay):
                state, now = sharing.locked(session, ask.relay)
                others = sharing.seats(session, ask.relay, but=self._who.holder, now=now)
                others = [seat for seat in others if not sharing.killed(seat.holder)]
                limited = ask.per_hour or ask.per_day
                hours = relays.hours(session, now=clock).get(ask.relay, {}) if limited else {}
                quota = Quota(ask.per_hour, ask.per_day, hours)
                before = deepcopy(state)
                part, seat = part_of(state, others, ask, self._who, quota=quota, now=now, at=clock)
                if state != before:
                    sharing.keep(session, state)
                sharing.sit(session, seat)
                found.parts[ask.relay] = part
                paces = _paces(session, ask.relay, {"": ask.paced}, {"": ask.news}, now, others=False)
                found.pace_of[ask.relay] = paces.get("", (0.0, ()))
            now = sharing.moment(session)
            for behind, wanted, told in sorted(asked.domains, key=lambda want: want[0]):
                found.paces[behind] = _paces(session, behind, wanted, told, now)
            found.heard |= _tallies(session, asked.news, now)
        found.ended = self._loop.time()
        return found

    async def leave(self) -> None:
        """It is over: others may have our part."""
        self._ended = True
        if self._task is not None:
            with suppress(Exception):
                await self._task
        now, unused = self._loop.time(), dict[str, float]()
        for route in self._routes:
            rate = route.settings.per_second
            if rate and 1 / rate > CHUNK and isinstance(route.bucket, Turns) and route.bucket.left(now):
                unused[route.name] = 1 / rate
        with suppress(UserError):
            await asyncio.to_thread(self._left, unused)

    def _left(self, unused: Mapping[str, float]) -> None:
        with self._database.write() as session:
            for relay, gap in sorted(unused.items()):
                state, _ = sharing.locked(session, relay)
                state.next_at -= gap
                sharing.keep(session, state)
            sharing.leave(session, self._who.holder)
            sharing.forget_domains(session, fresh_for=FRESH)
