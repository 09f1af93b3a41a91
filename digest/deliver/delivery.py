"""One delivery pass: lets claims, domains, judge, relays and writer talk. It decides nothing that they can.

Everything is decided in the event loop; the writer's thread commits what was decided. A letter goes

    claimed ── chosen for a relay ── marked (committed) ── on the wire ── answered ── settled (committed)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime

from digest.config import Smtp
from digest.deliver.attempt import Attempt, Waiting, domain_of
from digest.deliver.booking import Book
from digest.deliver.domains import Domains, Turn
from digest.deliver.in_hand import Claims
from digest.deliver.judge import Case, Judge, Quarantine, Ruling
from digest.deliver.ledger import Committed, Ledger
from digest.deliver.pace import finish
from digest.deliver.relays import Route
from digest.deliver.replies import Blame, Reply, Step, Verdict, suspect, wants_less
from digest.deliver.report import Progress, Report
from digest.deliver.writer import Writer

TICK = 0.05  # seconds between two looks at clocks and signals


class Delivery:
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
        self._report = report
        self._progress = progress
        self._stop = stop
        self._due = due
        self._routes: list[Route] = []
        self._marking: dict[int, tuple[Waiting, Route]] = {}
        self._claims = Claims(canary=bool(settings.canary))
        self._domains = Domains(limit=settings.per_domain)
        self.judge = Judge(max_refused=settings.max_refused)
        self._tossed: set[int] = set()  # letters that a relay handed back again and again
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._woken = asyncio.Event()
        self._writer = Writer(ledger, committed=self._committed, failed=self._failed)
        self._book = Book(self._writer, self.judge, report, settings, clock=clock, rng=rng)

    async def run(self, routes: Sequence[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.settings.order)
        for route in self._routes:
            route.try_first()
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
        if not self.stopping and (self._stop() or self._nowhere(now) or self._spent(moment)):
            if not self._report.stopped:
                self._report.stopped, self._report.interrupted = "asked to", True
            self._wind_up()
        for route in self._routes:
            route.check(hurry=self.stopping)
        if not self.stopping:
            self._claims.waiting.extendleft(self._domains.unpark(now))
            self._assign(now, moment)
            self._ask()
        for route in self._routes:
            route.pump()
        self._writer.kick()

    def _at_hand(self) -> bool:
        """Are there letters that are claimed and not answered?"""
        waiting = self._claims.waiting or self._marking or self._domains.parked
        return bool(waiting) or any(route.ready or route.in_flight for route in self._routes)

    def _finished(self) -> bool:
        if self._at_hand() or self._claims.asking or self._claims.looking or not self._writer.idle:
            return False
        return self.stopping or (self._claims.looked and self._claims.exhausted)

    def _nowhere(self, now: float) -> bool:
        """Is there no relay left to wait for?"""
        if any(route.hopeful(now) for route in self._routes):
            return False
        self._report.stopped = "; ".join(route.down.why for route in self._routes if route.down)
        return True

    def _spent(self, moment: datetime) -> bool:
        up = [route for route in self._routes if route.usable]
        if not up or not all(route.exhausted(moment) for route in up):
            return False
        names = " and ".join(route.name for route in up)
        self._report.stopped = f"{names} took all that the settings allow in this hour or day"
        return True

    def _wind_up(self) -> None:
        """Begin nothing more: what is not on the wire goes back."""
        self.stopping = True
        for waiting in self._domains.take_all() + self._claims.take_all():
            self._give_back(waiting)
        for route in self._routes:
            route.hand_back()

    def _assign(self, now: float, moment: datetime) -> None:
        """Choose a relay for claimed letters, as many as the relays will soon need, and have them marked."""
        up = [route for route in self._routes if route.usable and not route.exhausted(moment)]
        if not up:
            return
        first = min(route.settings.order for route in up)
        if any(route.trying(now) for route in self._routes if route.settings.order < first):
            return
        rooms = {route: room for route in up if route.settings.order == first and (room := route.room(now, moment)) > 0}
        claims = self._claims
        while claims.waiting and rooms:
            waiting = claims.waiting.popleft()
            if waiting.lease.left(now, moment) <= 0:
                self._over(waiting)  # the claim ran out before its turn came: it is due again, for anyone
                claims.look_again()
                continue
            if not self._domains.idle and not self._has_turn(waiting, now):
                continue
            route = _pick(list(rooms))
            route.expect(now)
            rooms[route] = rooms[route] - 1 if not route.pace.interval else 0
            if rooms[route] <= 0:
                del rooms[route]
            self._marking[waiting.claimed.id] = (waiting, route)
            self._writer.batch.marks.append(waiting.claimed)

    def _has_turn(self, waiting: Waiting, now: float) -> bool:
        turn = self._domains.turn(waiting, now)
        if turn is Turn.PUT_OFF:
            self._writer.batch.put_off.append(waiting.claimed)
            self._report.put_off += 1
            self._over(waiting)
        return turn is Turn.NOW

    def _ask(self) -> None:
        """Have more letters claimed before the relays run out of them."""
        wanted = sum(route.window for route in self._routes if route.usable)
        wish = self._claims.wish(wanted, crowd=self._domains.crowd)
        if wish is not None:
            self._writer.batch.wish = wish
        elif self._claims.nothing_more and self._domains.shun_none():
            self.wake()
        elif self._claims.should_look():
            self._writer.batch.look = True

    # ------------------------------------------------------------ what came of it

    def _committed(self, done: Committed) -> None:
        if self._failure is not None:
            return
        batch, claims = done.batch, self._claims
        self._report.count(done)
        self._book.committed(done)
        for route in self._routes:
            route.committed(batch.used[route.name])
            if done.hours is not None:
                route.quota.hours = done.hours.get(route.name, {})
        for edition_id in done.refusals:
            if (doubted := self.judge.doubted(edition_id)) is not None:
                self._quarantine(doubted)
            self._ask_judge(edition_id)
        if batch.unmarked or done.pardoned:
            claims.look_again()
        self._take_marked(done)
        if batch.look:
            claims.found(done.editions or ())
        self._take_claimed(done)
        if done.full and not self.stopping:
            self._report.stopped, self._report.full = "the disk with the database has no room left", True
            self.stopping = True
        if self.stopping:
            self._wind_up()
        if self._progress is not None and done.settled:
            tried = self._report.tried
            self._progress(Progress(tried, max(self._due, tried), self._forecast()))
        self._woken.set()

    def _forecast(self) -> datetime | None:
        took, moment = self._loop.time() - self._began, self.clock()
        up = [route.quota for route in self._routes if route.down is None]
        if took < 1 or not up:
            return None
        return finish(
            moment,
            left=max(0, self._due - self._report.tried),
            per_second=self._report.tried / took,
            room=sum(quota.allows(moment) for quota in up),
            hourly=sum(quota.hourly for quota in up),
        )

    def _take_marked(self, done: Committed) -> None:
        for claimed in done.left_out:
            waiting, route = self._marking.pop(claimed.id)
            route.forgo()
            self._claims.waiting.appendleft(waiting)
        for claimed in done.batch.marks:
            waiting, route = self._marking.pop(claimed.id)
            number = done.marked.get(claimed.id)
            if number is None or done.marks_lease is None:
                # In other hands, its reader has left meanwhile, or its edition is closed: the next claim knows.
                route.forgo()
                self._give_back(waiting)
                self._claims.look_again()
                continue
            if claimed.edition_id in self._claims.stopped:  # meanwhile
                route.forgo()
                self._writer.batch.unmarked.append((claimed.id, number))
                self._over(waiting)
                continue
            # Written here, all those of a commit in one go, which costs less than each between two reads of a socket.
            try:
                letter = waiting.filler.fill()
            except ValueError as error:
                route.forgo()
                self._book.unwritable(claimed, number, error)
                self._over(waiting)
            else:
                route.give(Attempt(claimed, letter, number, done.marks_lease))
        for route in self._routes:
            if self.stopping or route.down is not None:
                route.hand_back()

    def _take_claimed(self, done: Committed) -> None:
        wish = done.batch.wish
        if wish is None or done.claim is None:
            if self._claims.asking and self._writer.batch.wish is None:
                self._claims.asking = False  # the wish was left out while the database could not be written
            return
        self._claims.take(done, wish)
        if done.canary is not None and done.canary.objection and wish.edition_id is not None:
            self._pause(wish.edition_id, self._book.last_words(wish.edition_id, done.canary.objection))

    def _failed(self, error: BaseException) -> None:
        """Nothing can be recorded any more, so nothing may be sent."""
        self._failure = error
        self.stopping = True
        self._woken.set()

    # ------------------------------------------------------------ relays.Delivery

    def booked(self, route: Route, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step) -> None:
        claimed = attempt.claimed
        if verdict is Verdict.OK:
            self.judge.taken(route.name, claimed.edition_id, claimed.email)
            self._book.sent(attempt, reply, relay=route.name)
            self._done(attempt, busy=False, taken=True)
            self._writer.kick()
            return
        case = Case(claimed.id, attempt.number, claimed.edition_id, domain_of(claimed.email), reply, step)
        if verdict is Verdict.REFUSED:
            self._refused(route, attempt, case)
        else:
            self._book.deferred(attempt, reply, relay=route.name)
            if self.judge.put_off(route.name, case) is Blame.RELAY:
                route.rest(f"{route.name} has trouble of its own: {reply}")
        self._done(attempt, busy=wants_less(reply) and not reply.status.startswith("4.3."), taken=False)
        self._writer.kick()

    def _refused(self, route: Route, attempt: Attempt, case: Case) -> None:
        ruling = self.judge.refused(route.name, case, alone=self._claims.nothing_more and not self._at_hand())
        if ruling.relay_refuses:
            # Another relay may have them now; else they wait, and are counted: what is wrong here may be theirs.
            others = [other for other in self._routes if other is not route]
            elsewhere = any(other.hopeful(self._loop.time()) for other in others)
            if elsewhere:
                self._book.returned(attempt)
            else:
                self._book.deferred(attempt, case.reply, relay=route.name)
            for witness in ruling.witnesses:
                self._book.pardon(witness, at_once=elsewhere)
            route.refuse(ruling.relay_refuses)
        else:
            self._book.refused(attempt, case.reply, ruling, relay=route.name)
        if ruling.quarantine is not None:
            self._quarantine(ruling.quarantine)
        if self.judge.shuns(case.edition_id, case.domain):
            self._domains.shun(case.domain)
        if case.edition_id is not None:
            self._ask_judge(case.edition_id)

    def beyond(self, route: Route, attempt: Attempt, reply: Reply) -> None:
        now, moment = self._loop.time(), self.clock()
        others = [other for other in self._routes if other.name not in attempt.beyond]
        for other in others:
            if other.usable and not other.exhausted(moment) and other.may_begin(attempt):
                other.expect(now)
                other.give(attempt)
                self._woken.set()
                return
        if others:
            self._book.deferred(attempt, reply)  # one that is not to be had now may carry it later
        elif suspect(reply, Step.MAIL) is Blame.EDITION:
            self._book.too_large(attempt, reply)
        else:
            self._book.refused(attempt, reply, Ruling(Blame.LETTER))
        self._done(attempt, busy=False, taken=False)

    def tossed(self, route: Route, attempt: Attempt) -> bool:
        others = [other for other in self._routes if other is not route]
        again = attempt.claimed.id in self._tossed
        self._tossed.add(attempt.claimed.id)
        if again or not any(other.hopeful(self._loop.time()) for other in others):
            return False
        self.returned([attempt])
        return True

    def doubtful(self, attempt: Attempt, why: str) -> None:
        self._book.doubtful(attempt, why)
        self._done(attempt, busy=False, taken=False)

    def returned(self, attempts: list[Attempt]) -> None:
        """Marked, not sent: another relay may have them, else they are owed as before."""
        for attempt in attempts:
            self._book.returned(attempt)
            self._done(attempt, busy=False, taken=False)

    # ------------------------------------------------------------ particulars

    def _done(self, attempt: Attempt, *, busy: bool, taken: bool) -> None:
        """A marked letter is out of our hands; perhaps the next one to its domain may go."""
        self._claims.over(attempt.claimed)
        if self._domains.idle and not busy:
            return
        name = domain_of(attempt.claimed.email)
        if busy or taken:
            free = self._domains.answered(name, self._loop.time(), busy=busy)
        else:
            free = self._domains.freed(name)
        if free:
            self._woken.set()

    def _give_back(self, waiting: Waiting) -> None:
        self._writer.batch.unclaimed.append(waiting.claimed)
        self._over(waiting)

    def _over(self, waiting: Waiting) -> None:
        """A claimed letter that was not begun is no longer at hand."""
        self._claims.over(waiting.claimed)
        if waiting.cleared:
            self._domains.freed(waiting.domain)

    def _ask_judge(self, edition_id: int) -> None:
        if edition_id not in self._claims.stopped and (objection := self.judge.objection(edition_id)):
            self._pause(edition_id, self._book.last_words(edition_id, objection))

    def _pause(self, edition_id: int, why: str) -> None:
        self._writer.batch.pauses.append((edition_id, why))
        self._stop_edition(edition_id)

    def _quarantine(self, found: Quarantine) -> None:
        self._writer.batch.quarantines.append(found)
        if not found.domain:
            self._stop_edition(found.edition_id)

    def _stop_edition(self, edition_id: int) -> None:
        parked = self._domains.take(edition_id)
        for waiting in self._claims.stop(edition_id) + parked:
            self._give_back(waiting)
        for route in self._routes:
            route.hand_back(edition_id)


def _pick(routes: list[Route]) -> Route:
    """Shares by weight, evenly spread (smooth weighted round robin)."""
    if len(routes) == 1:
        return routes[0]
    for route in routes:
        route.credit += route.settings.weight
    chosen = max(routes, key=lambda route: route.credit)
    chosen.credit -= sum(route.settings.weight for route in routes)
    return chosen
