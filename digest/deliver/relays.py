"""A relay at work: its connections, what it allows, what it is learnt to allow, and when it is left alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from typing import Protocol

from digest import config, spans
from digest.dataclass import dataclass
from digest.deliver.attempt import Attempt
from digest.deliver.login import Server, Unusable
from digest.deliver.pace import Bucket, Pace, Quota, Turns
from digest.deliver.replies import BUSY, DEFERRED, MAIL, OK, Reply, Step, Verdict, wants_less
from digest.deliver.smtp import Connection

STRIKES = 5  # failures in a row that open the circuit
PATIENCE = 30.0  # seconds for which a relay that worked in this pass is waited for
UNPROVEN_PATIENCE = 2.0  # the same, where it answered no letter yet and those that it broke off over are put off
LONGEST_PAUSE = 30.0  # seconds between two tries to reach a relay that is down
MOST_BOUNCES = 3  # how often a letter may be handed back by busy servers before it waits like a deferred one
MOST_AT_MAIL = 20  # and where no reader had been named yet
SILENCE = 10.0  # seconds after which a relay that is still being opened holds up no others
STALE = 5.0  # seconds after which a marked letter that has not begun is asked about anew: its reader may have left
FEWER = 50  # letters after which a relay that let us have no more connections is asked for one more
SUSPECTED = 16  # connections after which a limit that was learnt is put to the test again


class Dispatcher(Protocol):
    """Who hands out the letters and books what became of them."""

    clock: Callable[[], datetime]
    stopping: bool

    def booked(self, route: Route, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step) -> None:
        """A server answered for this letter; the route may be told to `refuse` or `rest`."""

    def beyond(self, route: Route, attempt: Attempt, reply: Reply) -> None:
        """A letter that this relay cannot carry: too large for it, or of an address that needs SMTPUTF8."""

    def tossed(self, route: Route, attempt: Attempt) -> bool:
        """This relay handed the letter back again and again: True where another shall have it, False where it waits."""

    def doubtful(self, attempt: Attempt, why: str) -> None:
        """The body went out and no answer came."""

    def returned(self, attempts: list[Attempt]) -> None:
        """Marked letters that this route will not send."""

    def wake(self) -> None: ...


@dataclass
class Part:
    """What we have of a relay that others use at the same time."""

    seats: int = 0  # connections
    until: float = 0.0  # by the loop; then it is nothing
    allowance: int = 0  # letters, where the settings limit an hour or a day
    counted: int = 0  # letters that hours count since it was asked for last: the answer need not know of them
    fewer: bool = False  # it let us have no more, and that was not told yet
    per_connection: int | None = None  # learnt, and not told yet
    refuses: dict[int, str] = field(default_factory=dict)  # newsletters (0: none) and why, not told yet
    news: list[int] = field(default_factory=lambda: [0, 0])  # answers since it was told last: [taken, busy]


@dataclass(frozen=True)
class Down:
    """Why a relay is left alone; `final`: until the settings change."""

    why: str
    since: float
    final: bool


class Route:
    """One relay in one pass. It is a `smtp.Handler`: connections take letters from `ready`."""

    def __init__(
        self, settings: config.Relay, server: Server, delivery: Dispatcher, *, careful: bool, share: float = 1.0
    ) -> None:
        """`careful`: mark no more than is on the wire, since after a crash a person looks at each marked letter.

        `share`: its weight against the heaviest relay's, so it opens as many fewer connections. Where all of them
        are busy, that is what decides who sends how much.
        """
        self.settings = settings
        self.server = server
        self.name = server.name
        self.ready: deque[Attempt] = deque()
        self.marking = 0  # letters on their way into `ready`
        self.in_flight = 0
        self.answered_lately = 0  # since the last commit
        self._lively = 0.0  # answers from commit to commit, where there are many
        self.down: Down | None = None
        self.proven = False  # a letter was answered in this pass
        self.bucket: Bucket | Turns = Bucket(settings.per_second)
        self.quota = Quota(settings.per_hour, settings.per_day)
        self.pace = Pace()
        self._time_to_answer = 1.5 * server.data_timeout  # half of what a letter is leased for
        self._stale = min(STALE, server.data_timeout)
        self._delivery = delivery
        self.careful = careful
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._idle: set[Connection] = set()
        self._gone = asyncio.Event()  # set whenever a connection has ended
        self._opening: set[asyncio.Task[None]] = set()
        self.opened = False  # it was reached in this pass
        self._began = self._loop.time()
        self._allowed = max(1, round(settings.connections * share))
        self._most = self._allowed  # connections, as far as it let us have them
        self._more_after = self._more_in = FEWER
        self.window = self._most  # letters in hand at a time
        self._per_connection = 0  # letters; 0: no limit known
        self._last_ended_at = 0
        self._same = 0  # how often in a row it ended at that number
        self._since_learnt = 0  # connections
        self._testing: set[Connection] = set()  # that heed no limit
        self._ends: dict[Connection, spans.End] = {}  # of their spans
        self.part: Part | None = None  # None: it is all ours
        self._leaving: set[Connection] = set()  # told to end, since others are to have their place
        self._asked_for = False  # there is something to send by it
        self._strikes = 0  # failures in a row
        self._struck: set[int | None] = set()  # letters that met them
        self._broke: set[int] = set()  # letters over which it was left alone once
        self._last: dict[Connection, int] = {}  # the letter that a connection ended with
        self._failing_since: float | None = None  # the first break since a letter was last answered
        self._uncounted = 0  # letters taken that no commit has counted yet
        self._retry_at = 0.0
        self._pause = 1.0

    # ------------------------------------------------------------ from outside

    def share(self) -> None:
        """Others use it, too: from now on we have a part, which `commons` says."""
        self.part = Part()
        self.bucket = Turns(self.settings.per_second)

    @property
    def most(self) -> int:
        """How many connections we may have at this moment."""
        if self.part is None:
            return self._most
        return min(self._most, self.part.seats) if self._loop.time() < self.part.until else 0

    @property
    def allowed(self) -> int:
        """By the settings."""
        return self._allowed

    @property
    def open(self) -> int:
        """Connections that there are, or soon will be."""
        return len(self._connections) + len(self._opening)

    @property
    def held(self) -> int:
        """Letters in hand, and those that it took and no commit has counted yet."""
        return self.marking + len(self.ready) + self.in_flight + self._uncounted

    @property
    def per_connection(self) -> int:
        return self._per_connection

    def told(self, per_connection: int, *, limited_elsewhere: bool) -> None:
        """What others learnt of it; how many connections it allows in all stands in our part of them."""
        if self.part is not None and self.part.per_connection is None and per_connection != self._per_connection:
            self._per_connection = per_connection
        if limited_elsewhere:
            self._most = self._allowed
        if not self.careful:
            self.window = max(self.window, 2 * self.most)

    def try_first(self) -> None:
        """Open one connection before any letter is touched; what is wrong stands in `down`."""
        self._asked_for = True
        if self.most:
            self._spawn()

    @property
    def waits(self) -> bool:
        """Has it no place for us yet, since others have them all?"""
        return self.part is not None and self._asked_for and not self.most and self.down is None

    def trying(self, now: float) -> bool:
        """Is it still to be heard whether it can be had at all, and worth waiting for?"""
        return self.waits or (not self.opened and self.down is None and now - self._began < SILENCE)

    @property
    def usable(self) -> bool:
        return self.opened and self.down is None

    def room(self, now: float, moment: datetime) -> int:
        """How many more letters may be marked for this relay: few more than are on the wire.

        After a crash all that is marked counts as in doubt, so it is what the connections hold, and what they
        will need until the next commit.
        """
        if not self.usable or not self.pace.ready(now):
            return 0
        held = self.marking + len(self.ready) + self.in_flight
        room = min(
            self.window - held,
            self.bucket.allows(now),
            self.quota.allows(moment) - self._uncounted - held,
        )
        if self.part is None:
            return room
        if self.quota.per_hour or self.quota.per_day:
            room = min(room, self.part.allowance - self._uncounted - held)
        return min(room, self.most - held) if self.careful or not self.most else room

    def exhausted(self, moment: datetime) -> bool:
        """Has it taken all that it may in this hour or day?"""
        return self.quota.allows(moment) <= 0

    def expect(self, now: float) -> None:
        """A letter is being marked for this relay."""
        self.marking += 1
        self.bucket.take()
        self.pace.next_at = now + self.pace.interval
        if self.pace.turns is not None:
            self.pace.turns.take()

    def give(self, attempt: Attempt) -> None:
        """The letter that was marked for us."""
        self.marking -= 1
        self.ready.append(attempt)

    def forgo(self) -> None:
        """The letter that was to be marked for us goes nowhere: another sender may have it, who counts it, too."""
        self.marking -= 1
        self.bucket.give_back()

    def committed(self, counted: int) -> None:
        """A commit is done, and has `counted` letters of ours: look ahead by as much as commits last.

        That is a letter on each connection and the one whose envelope rides with it, and what goes out while a
        letter waits for the commit under way, for its own, and for the end of one that takes twice as long. How
        much goes out is that of a lively commit: after a slow one, a narrow window would make the next one slow.
        """
        self._uncounted -= counted
        if self.part is not None:
            self.part.allowance -= counted
            self.part.counted += counted
        self._lively = max(self.answered_lately, 0.9 * self._lively)
        if not self.careful:
            self.window = min(256, 2 * self.most + int(4 * self._lively))
        self.answered_lately = 0

    def pump(self) -> None:
        """Put idle connections to work, and open more where there is work for them."""
        if self._delivery.stopping:
            return
        while self.ready and self._idle:
            self._idle.pop().start()
        now = self._loop.time()
        if self.part is not None:
            while self._too_many() and self._idle:
                self._leave(self._idle.pop())
        if self.down is not None:
            if not self.down.final and now >= self._retry_at and not self._opening and self.most:
                self._spawn()
            return
        wanted = min(self.most - len(self._connections) - len(self._opening), len(self.ready))
        if self.part is not None and self._asked_for and not self.opened:
            wanted = min(1, self.most) - len(self._opening)
        if not self._connections and not self.proven:
            wanted = min(wanted, 1 - len(self._opening))
        for _ in range(wanted):
            self._spawn()

    def check(self, *, hurry: bool) -> None:
        for connection in list(self._connections):
            connection.check(hurry=hurry)

    def hopeful(self, now: float) -> bool:
        """Not to be had at this moment, but worth waiting for."""
        if self.down is None:
            return self.opened or bool(self._opening) or self.waits
        patience = PATIENCE if self.proven else UNPROVEN_PATIENCE if self._broke else 0.0
        return not self.down.final and now - self.down.since < patience

    def hand_back(self, which: Callable[[Attempt], bool] = lambda _: True) -> None:
        """Return what was not begun, all of it or these."""
        attempts = [attempt for attempt in self.ready if which(attempt)]
        if attempts:
            self.ready = deque(attempt for attempt in self.ready if attempt not in attempts)
            self._delivery.returned(attempts)

    def refuse(self, why: str) -> None:
        """It takes no letters of ours, whoever they are for: leave it alone in this pass."""
        self._break(why, final=True)

    def rest(self, why: str) -> None:
        """It has trouble of its own: leave it alone for a while."""
        self._break(why)

    async def close(self) -> None:
        for task in self._opening:
            task.cancel()
        for connection in list(self._connections):
            connection.quit()
        try:
            async with asyncio.timeout(2):
                while self._connections:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            pass
        for connection in list(self._connections):
            connection.abort("the end")
        await asyncio.sleep(0)

    # ------------------------------------------------------------ connections

    def _spawn(self) -> None:
        task = self._loop.create_task(self._open())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        task.add_done_callback(lambda _: self._delivery.wake())

    async def _open(self) -> None:
        end = spans.begin("smtp")
        try:
            connection = await Connection.open(self.server, self)
        except BaseException as error:
            end(failed=type(error).__name__)
            if not isinstance(error, Unusable):
                raise
            if self._connections and self.down is None:
                self._fewer()  # whatever it says: those that it let in are at work
            else:
                self._break(str(error), final=error.final and not self.proven)
            return
        self._ends[connection] = end
        if connection.ended:
            self._end_span(connection)
        if self.down is not None and self.down.final:
            connection.abort("it refuses us")  # which was proved while this one was opened
            return
        if connection.ended:
            self._break(f"{self.name} ended the connection before any letter")
            return
        self._connections.add(connection)
        if self._per_connection:
            self._since_learnt += 1
            if self._since_learnt % SUSPECTED == 0:
                self._testing.add(connection)
        self.down = None
        self.opened = True
        connection.start()

    def _fewer(self) -> None:
        """It lets us have no more connections at a time; a while later one more is tried."""
        self._most = max(1, len(self._connections))
        if self.part is not None:
            self.part.fewer = True
        self._more_after = min(2 * self._more_after, 64 * FEWER)
        self._more_in = self._more_after

    def _break(self, why: str, *, final: bool = False) -> None:
        """Leave this relay alone for a while; its letters go elsewhere."""
        now = self._loop.time()
        if self._failing_since is None:
            self._failing_since = now
        self.down = Down(why, self._failing_since, final)
        self._retry_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._strikes = 0
        self._struck.clear()
        self.hand_back()
        self._delivery.wake()

    def _strike(self, why: str, letter_id: int | None) -> None:
        """Something went wrong, with a letter under way: one alone, again and again, proves nothing but itself."""
        if letter_id is not None and self._struck == {letter_id}:
            return
        self._struck.add(letter_id)
        self._strikes += 1
        if self._strikes < STRIKES:
            return
        # It may be these letters after all: they wait, so that the next try begins with others.
        broken = [attempt for attempt in self.ready if attempt.broke_off]
        odd = [attempt for attempt in broken if not self.proven or attempt.claimed.id in self._broke]
        self._broke.update(attempt.claimed.id for attempt in broken)
        self.ready = deque(attempt for attempt in self.ready if attempt not in odd)
        self._break(why)
        for attempt in odd:
            self._put_off(attempt, why)

    # ------------------------------------------------------------ smtp.Handler

    def take(self, connection: Connection) -> Attempt | None:
        if self._delivery.stopping or (self._per_connection and self._spent(connection)):
            return None
        if self.part is not None and self._too_many():
            return None
        while self.ready:
            attempt = self.ready.popleft()
            if self._loop.time() - attempt.lease.at < self._stale:
                self.in_flight += 1
                return attempt
            self._delivery.returned([attempt])
        return None

    def _spent(self, connection: Connection) -> bool:
        """Did this connection carry as many letters as the server is known to take on one?"""
        limit = self._per_connection
        return bool(limit) and connection.begun >= limit and connection not in self._testing

    def idle(self, connection: Connection) -> None:
        if self._spent(connection):
            connection.quit()
        elif self._too_many():
            self._leave(connection)
        else:
            self._idle.add(connection)

    def _too_many(self) -> bool:
        """Have we more connections than our part?"""
        return self.part is not None and len(self._connections) - len(self._leaving) > self.most

    def _leave(self, connection: Connection) -> None:
        self._leaving.add(connection)
        connection.quit()

    def may_begin(self, attempt: Attempt) -> bool:
        """Will the answer come, and be recorded, before the lease runs out and the letter is in other hands?"""
        return attempt.lease.left(self._loop.time(), self._delivery.clock()) > self._time_to_answer

    def beyond(self, connection: Connection, attempt: Attempt, reply: Reply) -> None:
        self.in_flight -= 1
        attempt.beyond += (self.name,)
        self._delivery.beyond(self, attempt, reply)

    def answered(self, connection: Connection, attempt: Attempt, verdict: Verdict, reply: Reply, step: Step) -> None:
        self.in_flight -= 1
        self.answered_lately += 1
        busy = verdict is not OK and (verdict is BUSY or (verdict is DEFERRED and wants_less(reply)))
        self.pace.answered(self._loop.time(), busy=busy)
        if self.part is not None and (busy or self.pace.interval):
            self.part.news[busy] += 1
        if verdict is BUSY:
            self._last[connection] = attempt.claimed.id
            self._learn(connection)
        elif verdict is DEFERRED and step is MAIL:
            self._strike(f"{self.name} says {reply} to MAIL", attempt.claimed.id)
        else:
            self._works(verdict)
            self._delivery.booked(self, attempt, verdict, reply, step)
            return
        # Not yet. At MAIL it is said to us, before any reader was named; and yet it may be about this one.
        if attempt.bounces < (MOST_AT_MAIL if step is MAIL else MOST_BOUNCES):
            attempt.bounces += 1
            attempt.broke_off = step is not MAIL
            self._back(attempt)
        elif self._delivery.tossed(self, attempt):
            self._break(f"{self.name} says {reply}, again and again")
        else:
            self._gave_up(attempt)
            self._delivery.booked(self, attempt, verdict, reply, step)

    def _works(self, verdict: Verdict) -> None:
        self._strikes = 0
        self._struck.clear()
        self._failing_since, self._pause = None, 1.0
        self.proven = True
        if verdict is not OK:
            return
        self._uncounted += 1
        if self._most < self._allowed:
            self._more_in -= 1
            if self._more_in <= 0:
                self._most += 1
                self._more_in = self._more_after

    def lost(self, connection: Connection, attempt: Attempt, *, in_doubt: bool, why: str) -> None:
        self.in_flight -= 1
        self.answered_lately += 1
        self._last[connection] = attempt.claimed.id
        if in_doubt:
            self._delivery.doubtful(attempt, why)
        elif attempt.bounces < MOST_BOUNCES:
            attempt.bounces += 1
            attempt.broke_off = connection.past_mail
            self._back(attempt)
        elif self._put_off(attempt, f"the connection was lost: {why}"):
            self._break(f"{self.name}: {why}, again and again")

    def _put_off(self, attempt: Attempt, why: str) -> bool:
        """A letter that leads nowhere here waits, as a deferred one; True where another relay has it now."""
        if self._delivery.tossed(self, attempt):
            return True
        self._gave_up(attempt)
        self._delivery.booked(self, attempt, DEFERRED, Reply(0, "", why), MAIL)
        return False

    def _gave_up(self, attempt: Attempt) -> None:
        """It waits: where the server is left alone over it in a moment, the next try begins with others."""
        if attempt.broke_off:
            self._broke.add(attempt.claimed.id)

    def _end_span(self, connection: Connection, why: str = "") -> None:
        if end := self._ends.pop(connection, None):
            end(letters=connection.begun, failed="lost" if why else "")

    def closed(self, connection: Connection, why: str) -> None:
        self._end_span(connection, why)
        was_idle = connection in self._idle
        self._connections.discard(connection)
        self._leaving.discard(connection)
        self._testing.discard(connection)
        self._idle.discard(connection)
        self._gone.set()
        letter_id = self._last.pop(connection, None)
        if why and not was_idle:
            self._strike(f"{self.name}: {why}", letter_id)
        self._delivery.wake()

    def _back(self, attempt: Attempt) -> None:
        """Not this letter's fault, and it was not taken: it goes on another connection."""
        if self.down is None and not self._delivery.stopping and self.may_begin(attempt):
            self.ready.append(attempt)
        else:
            self._delivery.returned([attempt])

    def _learn(self, connection: Connection) -> None:
        """Again and again the same number of letters before it would not go on: that is how many it takes.

        A server that breaks off now and then does so at any number; one with a limit never goes beyond it.
        """
        done = connection.begun - 1
        known = self._per_connection
        if self._per_connection and done > self._per_connection:
            self._per_connection = self._same = 0
        if done > 0:
            self._same = self._same + 1 if done == self._last_ended_at else 1
            self._last_ended_at = done
            if self._same >= 3:
                self._per_connection = done
        if self.part is not None and known != self._per_connection:
            self.part.per_connection = self._per_connection
