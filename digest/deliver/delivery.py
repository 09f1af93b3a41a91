"""One delivery pass: lets claims, domains, judge, relays and writer talk. It decides nothing that they can.

Everything is decided in the event loop; the writer's thread commits what was decided. A letter goes

    claimed ── chosen for a relay ── marked (committed) ── on the wire ── answered ── settled (committed)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from digest.deliver.attempt import Attempt, Waiting, domain_of
from digest.deliver.booking import Book
from digest.deliver.domains import Turn
from digest.deliver.in_hand import MOST
from digest.deliver.judge import Case, Judge, Quarantine, Ruling
from digest.deliver.lanes import Lane, lanes_of, pick
from digest.deliver.ledger import Committed, Ledger
from digest.deliver.pace import finish
from digest.deliver.papers import Key, Number
from digest.deliver.relays import Route
from digest.deliver.replies import OK, Blame, Reply, Step, Verdict, suspect, wants_less
from digest.deliver.report import Progress, Report
from digest.deliver.writer import Writer
from digest.store import Database, outbox

if TYPE_CHECKING:
    from digest.deliver.commons import Commons

TICK = 0.05  # seconds between two looks at clocks and signals


def shared(database: Database) -> bool:
    """May others send at the same time, on this machine or another? On SQLite they stay apart by its one writer."""
    return database.engine.dialect.name == "postgresql"


class Delivery:
    """`await run()` sends what is due and returns when nothing is left to do, or nothing can be done."""

    def __init__(
        self,
        ledger: Ledger,
        report: Report,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
        due: Mapping[Number, int],
    ) -> None:
        self.clock = clock
        self.stopping = False
        self._report = report
        self._progress = progress
        self._stop = stop
        self._due = due
        self._most = ledger.left(sum(due.values()))
        self._papers = ledger.papers
        self._routes: list[Route] = []
        self._lanes: dict[Number, Lane] = {}
        self._begun: list[Lane] = []  # those that are awake
        self._turn = 0  # looks so far: of lanes that want letters, who asked last goes last
        self._shared_out = 0  # how often letters got a relay: whose are looked after first, so that no lane always is
        self._marking: dict[int, tuple[Waiting, Lane, Route]] = {}
        self.judge = Judge(max_refused=self._papers.config.smtp.max_refused)
        self._tossed: set[int] = set()  # letters that a relay handed back again and again
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._woken = asyncio.Event()
        self._writer = Writer(
            ledger, committed=self._committed, failed=self.failed, more=self._more_to_come, gather=self._share_out
        )
        self._ledger = ledger
        self._commons: Commons | None = None
        self._book = Book(self._writer, self.judge, report, self._papers, clock=clock, rng=rng)

    async def run(self, routes: Mapping[Key, Route]) -> None:
        self._routes = list(routes.values())
        self._lanes = lanes_of(self._papers, routes)
        ledger = self._ledger
        if shared(ledger.database):
            from digest.deliver.commons import Commons

            self._commons = Commons(
                ledger.database, self._routes, clock=self.clock, urgent=ledger.notices_only, gives_way=ledger.gives_way
            )
            self._commons.hears((lane.domains for lane in self._lanes.values()), self.judge, self)
        for number in self._due:
            if (lane := self._lane(number)) is not None:
                self._wake(lane)
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
            if self._commons is not None:
                await self._commons.leave()

    def wake(self) -> None:
        self._woken.set()

    # ------------------------------------------------------------ whose letters

    def _lane(self, number: Number) -> Lane | None:
        """Of a newsletter. One that nobody knows goes as what belongs to none; None where no relay is theirs."""
        return self._lanes.get(number if number in self._papers.names else None)

    def _of(self, claimed: outbox.Claimed) -> Lane:
        lane = self._lane(claimed.newsletter_id)
        assert lane is not None
        return lane

    def _awake(self) -> list[Lane]:
        """Each in its turn."""
        first = self._shared_out % len(self._begun) if self._begun else 0
        return self._begun[first:] + self._begun[:first] if first else self._begun

    def _wake(self, lane: Lane) -> None:
        if not lane.awake:
            name = self._papers.name(lane.number)
            lane.heard_as = f" (for {name or 'notices'})" if self._begun else ""
            self._begun.append(lane)
            lane.wake()

    @staticmethod
    def _known_as(route: Route, lane: Lane) -> str:
        """A relay, as the judge knows it: what it says of one newsletter's sender is not said of another's."""
        return route.name + lane.heard_as if lane.heard_as else route.name

    # ------------------------------------------------------------ what to do next

    def _feed(self) -> None:
        now, moment = self._loop.time(), self.clock()
        self._turn += 1
        if self._commons is not None:
            self._commons.step(now, self._wanting())
        if not self.stopping:
            self._stop_what_cannot_go_on(now, moment)
        for route in self._routes:
            route.check(hurry=self.stopping)
        if not self.stopping:
            for lane in self._awake():
                for waiting in lane.domains.unpark(now, moment):
                    self._of(waiting.claimed).claims.waiting.appendleft(waiting)
            for lane in sorted(self._awake(), key=lambda lane: lane.asked):  # who asked last, goes last
                if lane.live:
                    self._ask(lane)
        for route in self._routes:
            route.pump()
        self._writer.kick(gathers=self._may_share_out(now, moment))

    def _wanting(self) -> int:
        """How many letters could still go: those at hand, or a claim's worth while there are more to be claimed."""
        if any(lane.live and not (lane.claims.looked and lane.claims.exhausted) for lane in self._begun):
            return min(MOST, sum(self._due.values()))
        return len(self._marking) + sum(len(lane.claims.waiting) + lane.domains.parked for lane in self._begun)

    def _at_hand(self) -> bool:
        """Are there letters that are claimed and not answered?"""
        waiting = any(lane.claims.waiting or lane.domains.parked for lane in self._lanes.values())
        return bool(waiting or self._marking) or any(route.ready or route.in_flight for route in self._routes)

    def _more_to_come(self) -> bool:
        """Are there letters to be answered yet, and does no connection wait for a commit before its next one?"""
        if self.stopping:
            return False
        for lane in self._begun:  # written out: asked for every answer
            if lane.domains.limited:  # a letter to the same domain may wait for this one
                return False
        more = False
        for route in self._routes:
            if route.careful:
                return False
            more = more or bool(route.ready) or route.in_flight > 0
        return more

    def _finished(self) -> bool:
        if self._at_hand() or not self._writer.idle:
            return False
        lanes = self._lanes.values()
        if any(lane.claims.asking or lane.claims.looking for lane in lanes):
            return False
        return self.stopping or all(lane.done for lane in lanes)

    def _stop_what_cannot_go_on(self, now: float, moment: datetime) -> None:
        """A lane without relays to wait for ends; all of it, where every lane has, or we were asked to stop."""
        asked = self._stop()
        for lane in self._awake():
            if not asked and lane.live and (why := lane.hopeless(now) or lane.spent(moment)):
                lane.stopped = why
            if lane.stopped:
                self._hand_back(lane)  # also what was still being claimed, or not marked, when it ended
        lanes = self._awake()
        ended = bool(lanes) and not any(lane.live for lane in lanes)
        if not (asked or ended):
            return
        if not self._report.stopped:
            if asked and not ended:
                self._report.stopped, self._report.interrupted = "asked to", True
            else:
                self._report.stopped = "; ".join(dict.fromkeys(lane.stopped for lane in lanes))
        self._wind_up()

    def _hand_back(self, lane: Lane) -> None:
        """What of it is claimed and has no relay yet."""
        parked = lane.domains.take(lambda waiting: self._of(waiting.claimed) is lane)
        for waiting in parked + lane.claims.take_all():
            self._give_back(waiting)

    def _wind_up(self) -> None:
        """Begin nothing more: what is not on the wire goes back."""
        self.stopping = True
        for lane in self._lanes.values():
            self._hand_back(lane)
        for route in self._routes:
            route.hand_back()

    def _may_share_out(self, now: float, moment: datetime) -> bool:
        """Is there a letter at hand, and a relay with room for one?"""
        if self.stopping:
            return False
        lanes = [lane for lane in self._begun if lane.live and lane.claims.waiting]
        return any(route.room(now, moment) > 0 for lane in lanes for route in lane.choice(now, moment))

    def _share_out(self) -> None:
        """Have letters marked, chosen right before a commit: so those that wait for one are few of a relay's window."""
        if self.stopping:
            return
        now, moment, before = self._loop.time(), self.clock(), len(self._marking)
        for lane in self._awake():
            if lane.live:
                self._assign(lane, now, moment)
        # Not at each look: where commits keep step with these, one lane would be first whenever there is room.
        self._shared_out += len(self._marking) > before

    def _assign(self, lane: Lane, now: float, moment: datetime) -> None:
        """Choose a relay for claimed letters, as many as the relays will soon need, and have them marked."""
        ways = lane.choice(now, moment)
        rooms = {route: room for route in ways if (room := route.room(now, moment)) > 0}
        open_ways = [ways[route] for route in rooms]
        claims = lane.claims
        lasting = None  # the lease of most of them
        while claims.waiting and open_ways:
            waiting = claims.waiting.popleft()
            if waiting.lease is not lasting and waiting.lease.left(now, moment) > 0:
                lasting = waiting.lease
            if waiting.lease is not lasting:
                # The claim ran out before its turn came. By the database's clock it may last a little longer, and
                # a pass that ends meanwhile would leave it in nobody's hands: so it is given back, if it is still ours.
                self._writer.batch.lapsed[waiting.lease.end].append(waiting.claimed)
                self._over(waiting)
                claims.look_again()
                continue
            if not lane.domains.idle and not self._has_turn(lane, waiting, now):
                continue
            way = pick(open_ways)
            route = way.route
            route.expect(now)
            rooms[route] = rooms[route] - 1 if not route.pace.interval else 0
            if rooms[route] <= 0:
                open_ways.remove(way)
            claimed = waiting.filler.claimed
            self._marking[claimed.id] = (waiting, lane, route)
            self._writer.batch.marks.append(claimed)

    def _has_turn(self, lane: Lane, waiting: Waiting, now: float) -> bool:
        turn = lane.domains.turn(waiting, now)
        if turn is Turn.PUT_OFF:
            self._writer.batch.put_off.append(waiting.claimed)
            self._report.put_off += 1
            self._over(waiting)
        return turn is Turn.NOW

    def _ask(self, lane: Lane) -> None:
        """Have more letters claimed before the relays run out of them."""
        if self._writer.batch.wish is not None:
            return  # another lane's, and each has its turn
        wanted = sum(route.window for route in lane.routes if route.usable)
        wish = lane.claims.wish(wanted, crowd=lane.domains.crowd)
        if wish is not None:
            self._writer.batch.wish, lane.asked = wish, self._turn
        elif lane.claims.nothing_more and lane.domains.shun_none():
            self.wake()
        elif lane.claims.should_look():
            self._writer.batch.look = True

    # ------------------------------------------------------------ what came of it

    def _committed(self, done: Committed) -> None:
        if self._failure is not None:
            return
        batch = done.batch
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
        if batch.given_back or batch.unclaimed or batch.lapsed or done.pardoned:
            for lane in self._lanes.values():
                lane.claims.look_again()
        self._take_marked(done)
        if batch.look:
            self._take_found(done.sources or ())
        self._take_claimed(done)
        if done.full and not self.stopping:
            self._report.stopped, self._report.full = done.why_full, True
            self.stopping = True
        if self.stopping:
            self._wind_up()
        if self._progress is not None and done.settled:
            tried = self._report.tried
            self._progress(Progress(tried, max(self._most, tried), self._forecast()))
        self._woken.set()

    def _forecast(self) -> datetime | None:
        took, moment = self._loop.time() - self._began, self.clock()
        up = [route.quota for route in self._routes if route.down is None]
        if took < 1 or not up:
            return None
        return finish(
            moment,
            left=max(0, self._most - self._report.tried),
            per_second=self._report.tried / took,
            room=sum(quota.allows(moment) for quota in up),
            hourly=sum(quota.hourly for quota in up),
        )

    def _take_marked(self, done: Committed) -> None:
        for claimed in done.left_out:
            waiting, lane, route = self._marking.pop(claimed.id)
            route.forgo()
            lane.claims.waiting.appendleft(waiting)
        for claimed in done.batch.marks:
            waiting, lane, route = self._marking.pop(claimed.id)
            number = done.marked.get(claimed.id)
            if number is None or done.marks_lease is None:
                # In other hands, its reader has left meanwhile, or its edition is closed: the next claim knows.
                route.forgo()
                self._give_back(waiting)
                lane.claims.look_again()
                continue
            if claimed.edition_id in lane.claims.stopped:  # meanwhile
                route.forgo()
                self._writer.batch.unmarked.append((claimed.id, number))
                self._over(waiting)
                continue
            # Written here, all those of a commit in one go, which costs less than each between two reads of a socket.
            try:
                letter = waiting.filler.fill(done.dated.get(claimed.id))
            except ValueError as error:
                route.forgo()
                self._book.unwritable(claimed, number, error)
                self._over(waiting)
            else:
                route.give(Attempt(claimed, letter, number, done.marks_lease, lane))
        for route in self._routes:
            if self.stopping or route.down is not None:
                route.hand_back()

    def _take_found(self, sources: Iterable[outbox.Source]) -> None:
        """Editions and notices with letters due, each to its lane; one that had nothing to do begins."""
        found: dict[Lane, list[outbox.Source]] = {}
        for source in sources:
            if (lane := self._lane(source.newsletter_id)) is not None:
                found.setdefault(lane, []).append(source)
                if source.edition_id is not None:
                    self.judge.max_refused[source.edition_id] = lane.smtp.max_refused
        for lane in self._lanes.values():
            begins = not lane.awake and lane in found and not self.stopping
            if begins:
                self._wake(lane)
            if begins or lane.claims.looking:
                lane.claims.found(found.get(lane, ()))

    def _take_claimed(self, done: Committed) -> None:
        wish, waits = done.batch.wish, self._writer.batch.wish
        if wish is not None and done.claim is not None:
            lane = self._lane(wish.source.newsletter_id)
            assert lane is not None
            lane.claims.take(done, wish)
            edition_id = wish.source.edition_id
            if done.canary is not None and done.canary.objection and edition_id is not None:
                self._pause(edition_id, self._book.last_words(edition_id, done.canary.objection))
        for lane in self._lanes.values():
            if lane.claims.asking and (waits is None or self._lane(waits.source.newsletter_id) is not lane):
                lane.claims.asking = False  # the wish was left out while the database could not be written

    def failed(self, error: BaseException) -> None:
        """Nothing can be recorded any more, so nothing may be sent."""
        self._failure = error
        self.stopping = True
        self._woken.set()

    # ------------------------------------------------------------ relays.Delivery

    def booked(self, route: Route, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step) -> None:
        claimed = attempt.claimed
        if verdict is OK:
            self.judge.taken(self._known_as(route, attempt.lane), claimed.edition_id, claimed.email)
            self._book.sent(attempt, reply, relay=route.name)
            self._done(attempt, busy=False, taken=True)
            self._writer.kick()
            return
        case = Case(claimed.id, attempt.number, claimed.edition_id, domain_of(claimed.email), reply, step)
        if verdict is Verdict.REFUSED:
            self._refused(route, attempt, case)
        else:
            self._book.deferred(attempt, reply, relay=route.name)
            if self.judge.put_off(self._known_as(route, attempt.lane), case) is Blame.RELAY:
                route.rest(f"{route.name} has trouble of its own: {reply}")
        self._done(attempt, busy=wants_less(reply) and not reply.status.startswith("4.3."), taken=False)
        self._writer.kick()

    def _refused(self, route: Route, attempt: Attempt, case: Case) -> None:
        lane = attempt.lane
        alone = lane.claims.nothing_more and not self._at_hand()
        ruling = self.judge.refused(self._known_as(route, lane), case, alone=alone)
        if ruling.relay_refuses:
            # Another relay may have them now; else they wait, and are counted: what is wrong here may be theirs.
            others = [other for other in lane.routes if other is not route]
            elsewhere = any(other.hopeful(self._loop.time()) for other in others)
            if elsewhere:
                self._book.returned(attempt)
            else:
                self._book.deferred(attempt, case.reply, relay=route.name)
            for witness in ruling.witnesses:
                self._book.pardon(witness, at_once=elsewhere)
            if route.part is not None:
                route.part.refuses[lane.number or 0] = ruling.relay_refuses
            self._shut(lane, route, ruling.relay_refuses)
        else:
            self._book.refused(attempt, case.reply, ruling, relay=route.name)
        if ruling.quarantine is not None:
            self._quarantine(ruling.quarantine)
        if self.judge.shuns(case.edition_id, case.domain):
            lane.domains.shun(case.domain)
        if case.edition_id is not None:
            self._ask_judge(case.edition_id)

    def refused_elsewhere(self, route: Route, number: int, why: str) -> None:
        """Another pass had it proved that a relay takes nothing of a newsletter."""
        lane, final = self._lanes.get(number or None), route.down is not None and route.down.final
        ways = lane.ways if lane is not None and lane.awake and not final else ()
        if lane is not None and any(way.route is route and not way.shut for way in ways):
            self._shut(lane, route, why)

    def _shut(self, lane: Lane, route: Route, why: str) -> None:
        """A relay takes nothing of this newsletter; others may use it all the same."""
        if not any(other is not lane and other.live and route in other.routes for other in self._lanes.values()):
            route.refuse(why)
            return
        lane.shut(route, why)
        route.hand_back(lambda attempt: attempt.lane is lane)

    def beyond(self, route: Route, attempt: Attempt, reply: Reply) -> None:
        now, moment = self._loop.time(), self.clock()
        others = [other for other in attempt.lane.routes if other.name not in attempt.beyond]
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
        others = [other for other in attempt.lane.routes if other is not route]
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
        domains = attempt.lane.domains
        attempt.lane.claims.over(attempt.claimed)
        if domains.idle and not busy:
            return
        now, name = self._loop.time(), domain_of(attempt.claimed.email)
        if domains.answered(name, now, busy=busy) if busy or taken else domains.freed(name):
            self._woken.set()

    def _give_back(self, waiting: Waiting) -> None:
        self._writer.batch.unclaimed.append(waiting.claimed)
        self._over(waiting)

    def _over(self, waiting: Waiting) -> None:
        """A claimed letter that was not begun is no longer at hand."""
        lane = self._of(waiting.claimed)
        lane.claims.over(waiting.claimed)
        if waiting.cleared:
            lane.domains.freed(waiting.domain)

    def _ask_judge(self, edition_id: int) -> None:
        stopped = any(edition_id in lane.claims.stopped for lane in self._lanes.values())
        if not stopped and (objection := self.judge.objection(edition_id)):
            self._pause(edition_id, self._book.last_words(edition_id, objection))

    def _pause(self, edition_id: int, why: str) -> None:
        self._writer.batch.pauses.append((edition_id, why))
        self._stop_edition(edition_id)

    def _quarantine(self, found: Quarantine) -> None:
        self._writer.batch.quarantines.append(found)
        if not found.domain:
            self._stop_edition(found.edition_id)

    def _stop_edition(self, edition_id: int) -> None:
        for lane in self._lanes.values():
            parked = lane.domains.take(lambda waiting: waiting.claimed.edition_id == edition_id)
            for waiting in lane.claims.stop(edition_id) + parked:
                self._give_back(waiting)
        for route in self._routes:
            route.hand_back(lambda attempt: attempt.claimed.edition_id == edition_id)

    @property
    def stopped(self) -> dict[Number, str]:
        """Newsletters of which nothing more went out, and why."""
        return {lane.number: lane.stopped for lane in self._lanes.values() if lane.stopped}
