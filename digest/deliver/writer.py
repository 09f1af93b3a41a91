"""The one place that writes while letters go out: whatever came together since the last commit is the next one.

A commit for each letter would cost most of the rate; here replies that arrive during a commit share the one
after it (group commit). A thread of its own, so that nobody waits for the disk but the letters concerned.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from digest import store
from digest.deliver.content import Contents, Filler
from digest.errors import StorageError
from digest.models import EditionState, OutboxState
from digest.store import Claim, Claimed, Database, Outcome, Tally

CLAIM_LEASE = timedelta(minutes=2)  # for letters that are about to be marked
GATHER = 0.008  # seconds from the beginning of one commit to the next
PATIENCE = 30.0  # seconds of pauses between tries to write; while it is locked, each try waits for long by itself
SUPPRESSED = "no such mailbox"
PUT_OFF = "not tried yet: the mail server of its domain asked for patience"


@dataclass(frozen=True)
class Wish:
    """Letters to claim of one edition (None: notices)."""

    edition_id: int | None
    limit: int
    tried_only: bool = False


@dataclass
class Batch:
    """What one commit does, in this order."""

    outcomes: list[Outcome] = field(default_factory=list)
    suppressions: list[tuple[Claimed, str]] = field(default_factory=list)  # whom, by which status
    unmarked: list[tuple[int, int]] = field(default_factory=list)  # letter, attempt
    unclaimed: list[Claimed] = field(default_factory=list)
    put_off: list[Claimed] = field(default_factory=list)
    pauses: list[tuple[int, str]] = field(default_factory=list)  # edition, why
    used: Counter[str] = field(default_factory=Counter)  # letters taken, by relay
    marks: list[Claimed] = field(default_factory=list)
    wish: Wish | None = None
    look: bool = False  # for editions with letters due
    tallies: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(vars(self).values())


@dataclass
class Committed:
    """What a commit came to."""

    batch: Batch
    settled: Counter[OutboxState] = field(default_factory=Counter)
    marked: dict[int, int] = field(default_factory=dict)
    marked_until: datetime | None = None
    claim: Claim | None = None
    claimed_until: datetime | None = None
    fillers: dict[int, Filler] = field(default_factory=dict)  # by letter
    editions: list[int | None] | None = None
    tallies: dict[int, Tally] = field(default_factory=dict)
    hours: dict[str, dict[datetime, int]] | None = None
    paused: list[tuple[str, int, str]] = field(default_factory=list)  # newsletter, number, why
    left_out: list[Claimed] = field(default_factory=list)  # not marked, since the database was in the way


class Ledger:
    """Commits batches to the outbox."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        *,
        clock: Callable[[], datetime],
        lease: timedelta,
        hold_doubtful: bool,
        count_hours: bool = False,
        notices_only: bool = False,
    ) -> None:
        self.database = database
        self.contents = contents
        self.clock = clock
        self.lease = lease
        self.hold_doubtful = hold_doubtful
        self.count_hours = count_hours
        self.notices_only = notices_only

    def commit(self, batch: Batch) -> Committed:
        now = self.clock()
        done = Committed(batch)
        with self.database.write() as session:
            if batch.outcomes:
                done.settled = store.settle(session, batch.outcomes, now=now)
            for letter, status in batch.suppressions:
                if store.has_reader(session, letter):
                    store.suppress(session, letter.email, reason=SUPPRESSED, status=status, now=now)
            store.unmark(session, batch.unmarked, now=now)
            if batch.unclaimed:
                store.unclaim(session, batch.unclaimed, due_at=now)
            if batch.put_off:
                store.unclaim(session, batch.put_off, due_at=now + timedelta(minutes=5), why=PUT_OFF)
            for edition_id, why in batch.pauses:
                if store.set_state(session, edition_id, EditionState.PAUSED, why):
                    done.paused.append((*store.edition_named(session, edition_id), why))
            if self.count_hours:
                store.add_relay_letters(session, batch.used, now=now)
                done.hours = store.relay_hours(session, now=now)
            if batch.marks:
                done.marked_until = now + self.lease
                done.marked = store.mark(session, batch.marks, now=now, lease=self.lease)
            if batch.look:
                done.editions = store.due_editions(session, now=now)
                if self.notices_only:
                    done.editions = [edition for edition in done.editions if edition is None]
            done.tallies = {edition_id: store.tally(session, edition_id) for edition_id in batch.tallies}
            if batch.wish is not None:
                done.claimed_until = now + CLAIM_LEASE
                done.claim = store.claim(
                    session,
                    edition_id=batch.wish.edition_id,
                    now=now,
                    limit=batch.wish.limit,
                    lease=CLAIM_LEASE,
                    hold_doubtful=self.hold_doubtful,
                    tried_only=batch.wish.tried_only,
                )
                self.contents.load(session, done.claim.letters)
        if done.claim is not None:
            done.fillers = {letter.id: self.contents.filler(letter) for letter in done.claim.letters}
        return done


class Writer:
    """Runs a `Ledger` in a thread: what is in `batch` at a `kick()` is committed, once the last commit is done.

    To be used from the event loop alone. `committed` is called there after each commit, and `failed` once, when
    the database stays unwritable.
    """

    def __init__(
        self, ledger: Ledger, *, committed: Callable[[Committed], None], failed: Callable[[BaseException], None]
    ) -> None:
        self.batch = Batch()
        self._working = False
        self._started = 0.0  # the last commit
        self._later: asyncio.TimerHandle | None = None
        self._ledger = ledger
        self._committed = committed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="digest-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def kick(self) -> None:
        """Something is in `batch`. Where letters go fast, a few milliseconds more of them share the commit."""
        if self._working or not self.batch:
            return
        wait = self._started + GATHER - self._loop.time()
        if wait > 0:
            if self._later is None:
                self._later = self._loop.call_later(wait, self._kick_now)
        else:
            self._kick_now()

    def _kick_now(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self._working and self.batch:
            self._started = self._loop.time()
            self._working = True
            # Handed over whole, here and not by the thread: so nothing is added to a batch that is being read.
            batch, self.batch = self.batch, Batch()
            self._queue.put(batch)

    def close(self, timeout: float) -> None:
        """Let the thread end after the commit under way."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout)

    @property
    def idle(self) -> bool:
        return not (self._working or self.batch)

    def _landed(self, done: Committed) -> None:
        self._working = False
        self._committed(done)
        self.kick()

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            try:
                done = self._persist(batch)
            except BaseException as error:
                self._tell(self._failed, error)
                return
            self._tell(self._landed, done)

    def _tell(self, call: Callable[[Any], None], value: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, value)
        except RuntimeError:  # the loop is closed: we were stopped at once, and nobody waits for this
            pass

    def _persist(self, batch: Batch) -> Committed:
        """Commit; where the database is locked or full, keep the replies for a while and try again."""
        waited, pause = 0.0, 0.5
        left_out: list[Claimed] = []
        while True:
            try:
                done = self._ledger.commit(batch)
            except StorageError:
                if waited >= PATIENCE or self._closing.is_set():
                    raise
            else:
                done.left_out = left_out
                return done
            # New work waits for a database that takes it.
            left_out += batch.marks
            batch.marks, batch.wish = [], None
            self._closing.wait(pause)
            waited, pause = waited + pause, pause * 2
