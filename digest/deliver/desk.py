"""One delivery pass: claims letters ahead of the relays, hands them out, books what became of them.

Everything is decided in the event loop; the writer's thread commits what was decided. A letter goes

    claimed ── chosen for a relay ── marked (committed) ── on the wire ── answered ── settled (committed)
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from digest.config import Smtp
from digest.deliver.attempt import Attempt
from digest.deliver.content import Filler
from digest.deliver.guard import UNLIMITED, Guard
from digest.deliver.pace import Pace, finish
from digest.deliver.relays import Route
from digest.deliver.replies import Reply, Step, Verdict, about_content, no_such_mailbox, retry_delay, wants_less
from digest.deliver.report import Progress, Report
from digest.deliver.writer import Committed, Ledger, Wish, Writer
from digest.models import OutboxState
from digest.store import Claimed, Outcome, Tally

TICK = 0.05  # seconds between two looks at clocks and signals
MOST_CLAIMED = 500
MOST_PARKED = 100  # letters to a domain that asked for patience that wait at hand; more are put off


@dataclass(slots=True)
class _Waiting:
    """A claimed letter, until its relay has it."""

    filler: Filler
    until: datetime
    cleared: bool = False  # its domain's pace lets it go


@dataclass
class _Source:
    """An edition that has letters due, or the notices."""

    edition_id: int | None
    guard: Guard | None = None
    exhausted: bool = False
    tried_only: bool = False
    asked: bool = False  # for its tally


@dataclass
class _Domain:
    """Recipients who share a mail server, as far as it asked for patience."""

    pace: Pace = field(default_factory=Pace)
    parked: deque[_Waiting] = field(default_factory=deque)


class Desk:
    """`await run()` sends what is due and returns when nothing is left to do, or nothing can be done."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Smtp,
        report: Report,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
        due: int,
    ) -> None:
        self.clock = clock
        self.stopping = False
        self._settings = settings
        self._report = report
        self._rng = rng
        self._progress = progress
        self._stop = stop
        self._due = due
        self._tried = 0
        self._routes: list[Route] = []
        self._claimed: deque[_Waiting] = deque()
        self._marking: dict[int, tuple[_Waiting, Route]] = {}
        self._sources: dict[int | None, _Source] = {}
        self._fruitless: set[int | None] = set()
        self._domains: dict[str, _Domain] = {}
        self._paused: set[int] = set()
        self._looking = self._claiming = self._looked = False
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._woken = asyncio.Event()
        self._writer = Writer(ledger, committed=self._committed, failed=self._failed)

    async def run(self, routes: Sequence[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.settings.order)
        await asyncio.gather(*(route.try_first() for route in self._routes))
        if self._nowhere():
            return
        self._writer.start()
        try:
            while not self._finished():
                self._woken.clear()
                self._feed()
                tick = self._loop.call_later(TICK, self._woken.set)
                await self._woken.wait()
                tick.cancel()
                if self._failure is not None:
                    raise self._failure
            for route in self._routes:
                await route.close()
        finally:
            self._writer.close(timeout=2)

    def wake(self) -> None:
        self._woken.set()

    # ------------------------------------------------------------ what to do next

    def _feed(self) -> None:
        now, moment = self._loop.time(), self.clock()
        if not self.stopping and (self._stop() or self._nowhere() or self._spent(moment)):
            if not self._report.stopped:
                self._report.stopped, self._report.interrupted = "asked to", True
            self._wind_up()
        for route in self._routes:
            route.check()
        if not self.stopping:
            self._unpark(now)
            self._assign(now, moment)
            self._ask()
        for route in self._routes:
            route.pump()
        self._writer.kick()

    def _finished(self) -> bool:
        at_hand = self._claimed or self._marking or any(domain.parked for domain in self._domains.values())
        on_the_way = any(route.ready or route.in_flight for route in self._routes)
        if at_hand or on_the_way or self._claiming or self._looking or not self._writer.idle:
            return False
        return self.stopping or (self._looked and all(source.exhausted for source in self._sources.values()))

    def _nowhere(self) -> bool:
        """Is there no relay left to wait for?"""
        now = self._loop.time()
        if any(route.down is None or route.hopeful(now) for route in self._routes):
            return False
        self._report.stopped = "; ".join(route.down.why for route in self._routes if route.down)
        return True

    def _spent(self, moment: datetime) -> bool:
        up = [route for route in self._routes if route.down is None]
        if not up or not all(route.exhausted(moment) for route in up):
            return False
        names = " and ".join(route.name for route in up)
        self._report.stopped = f"{names} took all that the settings allow in this hour or day"
        return True

    def _wind_up(self) -> None:
        """Begin nothing more: what is not on the wire goes back."""
        self.stopping = True
        for domain in self._domains.values():
            self._claimed.extend(domain.parked)
            domain.parked.clear()
        for waiting in self._claimed:
            self._unclaimed(waiting)
            self._writer.batch.unclaimed.append(waiting.filler.claimed)
        self._claimed.clear()
        for route in self._routes:
            route.hand_back()

    def _assign(self, now: float, moment: datetime) -> None:
        """Choose a relay for claimed letters, as many as the relays will soon need, and have them marked."""
        rooms = {
            route: route.room(now, moment)
            for route in self._routes
            if route.down is None and not route.exhausted(moment)
        }
        if not rooms:
            return
        first = min(route.settings.order for route in rooms)
        rooms = {route: room for route, room in rooms.items() if route.settings.order == first and room > 0}
        while self._claimed and rooms:
            waiting = self._claimed.popleft()
            if waiting.until <= moment:
                self._unclaimed(waiting)  # the claim ran out before its turn came: it is due again, for anyone
                self._look_again()
                continue
            if (self._domains or self._settings.per_domain) and self._must_wait(waiting, now):
                continue
            route = self._pick(list(rooms))
            route.expect(now)
            rooms[route] = rooms[route] - 1 if not route.pace.interval else 0
            if rooms[route] <= 0:
                del rooms[route]
            claimed = waiting.filler.claimed
            self._marking[claimed.id] = (waiting, route)
            self._writer.batch.marks.append(claimed)

    @staticmethod
    def _pick(routes: list[Route]) -> Route:
        """Shares by weight, evenly spread (smooth weighted round robin)."""
        if len(routes) == 1:
            return routes[0]
        for route in routes:
            route.credit += route.settings.weight
        chosen = max(routes, key=lambda route: route.credit)
        chosen.credit -= sum(route.settings.weight for route in routes)
        return chosen

    def _ask(self) -> None:
        """Have more letters claimed before the relays run out of them."""
        wanted = sum(route.window for route in self._routes if route.down is None)
        if self._claiming or self._looking or len(self._claimed) >= wanted or self._crowd() >= MOST_CLAIMED:
            return
        for source in self._sources.values():
            if source.exhausted:
                continue
            room = self._room(source)
            if room == 0:
                continue
            self._claiming = True
            limit = min(max(16, 4 * wanted), MOST_CLAIMED, room)
            self._writer.batch.wish = Wish(source.edition_id, limit, source.tried_only)
            return
        if not self._looked and all(source.exhausted for source in self._sources.values()):
            self._looking = self._writer.batch.look = True

    def _room(self, source: _Source) -> int:
        """How many letters of this edition may be claimed now; none while its canary is out."""
        if source.edition_id is None:
            return UNLIMITED
        if source.guard is None:
            if not source.asked:
                source.asked = True
                self._writer.batch.tallies.append(source.edition_id)
            return 0
        source.tried_only = False
        if source.guard.settle_canary() or source.guard.room():
            return source.guard.room()
        if source.guard.out:
            return 0
        if objection := source.guard.objection():
            self._pause(source.edition_id, objection)
            return 0
        source.tried_only = True  # too few answers yet: only what was tried is tried again
        return UNLIMITED

    # ------------------------------------------------------------ what came of it

    def _committed(self, done: Committed) -> None:
        if self._failure is not None:
            return
        report = self._report
        report.sent += done.settled[OutboxState.SENT]
        report.refused += done.settled[OutboxState.REFUSED]
        report.deferred += done.settled[OutboxState.OWED]
        report.held += done.settled[OutboxState.HELD]
        report.paused += done.paused
        self._tried += done.settled.total()
        for edition_id, tally in done.tallies.items():
            self._sources[edition_id].guard = self._guard(tally)
        for route in self._routes:
            route.committed(done.batch.used[route.name])
            if done.hours is not None:
                route.quota.hours = done.hours.get(route.name, {})
        if done.batch.unmarked:
            self._look_again()
        self._take_marked(done)
        if done.batch.look:
            self._looking, self._looked = False, True
            for found in done.editions or ():
                if found in self._fruitless or found in self._paused:
                    continue
                source = self._sources.setdefault(found, _Source(found, self._guard_of(found)))
                source.exhausted = self._looked = False
        if done.claim is not None and done.batch.wish is not None:
            self._take_claimed(done, done.batch.wish)
        elif done.batch.wish is None and self._claiming and self._writer.batch.wish is None:
            self._claiming = False  # the wish was left out while the database could not be written
        if self._progress is not None and done.settled:
            self._progress(Progress(self._tried, max(self._due, self._tried), self._forecast()))
        self._woken.set()

    def _forecast(self) -> datetime | None:
        took, moment = self._loop.time() - self._began, self.clock()
        up = [route.quota for route in self._routes if route.down is None]
        if took < 1 or not up:
            return None
        return finish(
            moment,
            left=max(0, self._due - self._tried),
            per_second=self._tried / took,
            room=sum(quota.allows(moment) for quota in up),
            hourly=sum(quota.hourly for quota in up),
        )

    def _take_marked(self, done: Committed) -> None:
        for claimed in done.left_out:
            waiting, route = self._marking.pop(claimed.id)
            route.forgo()
            self._claimed.appendleft(waiting)
        for claimed in done.batch.marks:
            waiting, route = self._marking.pop(claimed.id)
            number = done.marked.get(claimed.id)
            if number is None or done.marked_until is None:
                route.forgo()
                self._unclaimed(waiting)  # in other hands, or its edition is closed
                self._writer.batch.unclaimed.append(claimed)
                continue
            # Written here, all those of a commit in one go, which costs less than each between two reads of a socket.
            try:
                letter = waiting.filler.fill()
            except ValueError as error:
                route.forgo()
                self._unwritable(claimed, number, error)
            else:
                route.give(Attempt(claimed, letter, number, done.marked_until))
        for route in self._routes:
            if self.stopping or route.down is not None:
                route.hand_back()

    def _take_claimed(self, done: Committed, wish: Wish) -> None:
        assert done.claim is not None and done.claimed_until is not None
        self._claiming = False
        source = self._sources[wish.edition_id]
        claim = done.claim
        source.exhausted = len(claim.letters) + claim.dropped < wish.limit
        if not (claim.letters or claim.dropped or claim.held):
            self._fruitless.add(wish.edition_id)
        self._report.claimed(claim)
        self._tried += claim.dropped
        if source.guard is not None:
            again = sum(letter.attempts > 0 for letter in claim.letters)
            source.guard.claimed(first=len(claim.letters) - again, again=again)
        waiting = [_Waiting(done.fillers[letter.id], done.claimed_until) for letter in claim.letters]
        self._claimed.extend(waiting)
        if self.stopping:
            self._wind_up()

    def _failed(self, error: BaseException) -> None:
        """Nothing can be recorded any more, so nothing may be sent."""
        self._failure = error
        self.stopping = True
        self._woken.set()

    # ------------------------------------------------------------ relays.Desk

    def booked(self, route: Route, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step) -> None:
        claimed = attempt.claimed
        guard = self._guard_of(claimed.edition_id)
        if verdict is Verdict.OK:
            self._writer.batch.outcomes.append(
                Outcome(claimed.id, attempt.number, OutboxState.SENT, reply.code, reply.words)
            )
            self._writer.batch.used[route.name] += 1
            if guard is not None:
                guard.sent()
        elif verdict is Verdict.REFUSED:
            self._refuse(attempt, reply, content=about_content(reply, step))
            if no_such_mailbox(reply, step):
                self._writer.batch.suppressions.append((claimed, reply.status))
        elif self._expired(claimed):
            gone = Reply(reply.code, reply.status, f"{reply.text} (given up: its lifetime is over)")
            self._refuse(attempt, gone, content=False)
        else:
            due_at = self.clock() + retry_delay(attempt.number, self._rng)
            self._writer.batch.outcomes.append(
                Outcome(claimed.id, attempt.number, OutboxState.OWED, reply.code, reply.words, due_at)
            )
            self._say(claimed, reply)
            if guard is not None:
                guard.deferred()
        self._free_domain(claimed, reply)
        self._writer.kick()

    def beyond(self, route: Route, attempt: Attempt, reply: Reply) -> None:
        now, moment = self._loop.time(), self.clock()
        others = [other for other in self._routes if other.name not in attempt.beyond]
        for other in others:
            if other.down is None and not other.exhausted(moment) and other.may_begin(attempt):
                other.expect(now)
                other.give(attempt)
                self._woken.set()
                return
        # A relay that is not to be had now may carry it later; where there is none, nobody ever will.
        self.booked(route, attempt, Verdict.DEFERRED if others else Verdict.REFUSED, reply, Step.MAIL)

    def doubtful(self, attempt: Attempt, why: str) -> None:
        claimed = attempt.claimed
        reply = Reply(0, "", f"no reply to the end of the data: {why}")
        hold = self._settings.after_crash == "hold" or self._expired(claimed)
        self._writer.batch.outcomes.append(
            Outcome(
                claimed.id,
                attempt.number,
                OutboxState.HELD if hold else OutboxState.OWED,
                reply=reply.words,
                due_at=self.clock() + retry_delay(attempt.number, self._rng),
                in_doubt=True,
            )
        )
        self._report.in_doubt += not claimed.in_doubt
        self._say(claimed, reply)
        if (guard := self._guard_of(claimed.edition_id)) is not None:
            guard.deferred()
        self._free_domain(claimed, reply)

    def returned(self, attempts: list[Attempt]) -> None:
        """Marked, not sent: another relay may have them, else they are owed as before."""
        for attempt in attempts:
            self._writer.batch.unmarked.append((attempt.claimed.id, attempt.number))
            claimed = attempt.claimed
            if (guard := self._guard_of(claimed.edition_id)) is not None:
                guard.returned(first=claimed.attempts == 0)
            self._free_domain(claimed, None)

    # ------------------------------------------------------------ particulars

    def _unwritable(self, claimed: Claimed, number: int, error: ValueError) -> None:
        """Its subject, sender or address cannot stand in a message: for a person to look at, the others go on."""
        reply = Reply(0, "", f"the letter could not be written: {error}")
        self._writer.batch.outcomes.append(Outcome(claimed.id, number, OutboxState.HELD, reply=reply.words))
        self._say(claimed, reply)
        if (guard := self._guard_of(claimed.edition_id)) is not None:
            guard.deferred()
        self._free_domain(claimed, reply)

    def _refuse(self, attempt: Attempt, reply: Reply, *, content: bool) -> None:
        claimed = attempt.claimed
        self._writer.batch.outcomes.append(
            Outcome(claimed.id, attempt.number, OutboxState.REFUSED, reply.code, reply.words)
        )
        self._say(claimed, reply)
        guard = self._guard_of(claimed.edition_id)
        if guard is not None and claimed.edition_id is not None:
            guard.refused(content=content)
            if objection := guard.objection():
                self._pause(claimed.edition_id, f"{objection}, the last with “{reply}”")

    def _look_again(self) -> None:
        """Letters are due that were in hand: what was found empty before may not be so any more."""
        self._looked = False
        self._fruitless.clear()

    def _pause(self, edition_id: int, why: str) -> None:
        if edition_id not in self._paused:
            self._paused.add(edition_id)
            self._writer.batch.pauses.append((edition_id, why))
            self._sources[edition_id].exhausted = True
            kept = [waiting for waiting in self._claimed if waiting.filler.claimed.edition_id != edition_id]
            for waiting in self._claimed:
                if waiting.filler.claimed.edition_id == edition_id:
                    self._writer.batch.unclaimed.append(waiting.filler.claimed)
            self._claimed = deque(kept)

    def _say(self, claimed: Claimed, reply: Reply) -> None:
        if len(self._report.refusals) < 5:
            self._report.refusals.append(
                f"{claimed.email}: {reply}" if reply.code else f"{claimed.email}: {reply.text}"
            )

    def _expired(self, claimed: Claimed) -> bool:
        return claimed.tried_at is not None and self.clock() - claimed.tried_at >= self._settings.lifetime

    def _guard(self, tally: Tally) -> Guard:
        return Guard(tally, canary=self._settings.canary, max_refused=self._settings.max_refused)

    def _guard_of(self, edition_id: int | None) -> Guard | None:
        if edition_id is None:
            return None
        source = self._sources.get(edition_id)
        if source is not None:
            return source.guard
        # Counting a large edition's letters takes a while: only a canary needs to know what went before.
        return None if self._settings.canary else self._guard(Tally(0, 0, 0, 0))

    def _unclaimed(self, waiting: _Waiting) -> None:
        claimed = waiting.filler.claimed
        if (guard := self._guard_of(claimed.edition_id)) is not None:
            guard.returned(first=claimed.attempts == 0)
        if waiting.cleared:
            self._free_domain(claimed, None)

    def _must_wait(self, waiting: _Waiting, now: float) -> bool:
        """Is its recipients' server to be spared? Then the letter is parked, or put off where many are."""
        if waiting.cleared:
            return False
        name = _domain_of(waiting.filler.claimed.email)
        domain = self._domains.get(name)
        if domain is None:
            if not self._settings.per_domain:
                return False
            domain = self._domains[name] = _Domain()
        if not domain.parked and domain.pace.ready(now, limit=self._settings.per_domain):
            domain.pace.begin(now)
            waiting.cleared = True
            return False
        if not domain.pace.interval or len(domain.parked) < MOST_PARKED:
            domain.parked.append(waiting)
        else:
            self._writer.batch.put_off.append(waiting.filler.claimed)
            self._unclaimed(waiting)
        return True

    def _crowd(self) -> int:
        """How many letters wait for others to their domain, which only `per_domain` holds up: they get their turn."""
        return sum(len(domain.parked) for domain in self._domains.values() if not domain.pace.interval)

    def _unpark(self, now: float) -> None:
        for domain in self._domains.values():
            while domain.parked and domain.pace.ready(now, limit=self._settings.per_domain):
                domain.pace.begin(now)
                waiting = domain.parked.popleft()
                waiting.cleared = True
                self._claimed.appendleft(waiting)

    def _free_domain(self, claimed: Claimed, reply: Reply | None) -> None:
        name = ""
        slower = reply is not None and wants_less(reply)
        if slower or self._domains:
            name = _domain_of(claimed.email)
        if slower and name not in self._domains:
            self._domains[name] = _Domain(Pace(in_flight=1))
        domain = self._domains.get(name)
        if domain is None:
            return
        domain.pace.in_flight = max(0, domain.pace.in_flight - 1)
        if slower:
            domain.pace.slow(self._loop.time())
        elif reply is not None and reply.code == 250:
            domain.pace.ease()
        if domain.parked:
            self._woken.set()  # the next one's turn
        elif not (domain.pace.interval or domain.pace.in_flight):
            del self._domains[name]


def _domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()
