"""Group commit: whatever came together since the last commit is the next one.

A commit for each letter would cost most of the rate; here replies that arrive during a commit share the one
after it. A thread of its own, so that nobody waits for the disk but the letters concerned.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from digest.deliver.ledger import Batch, Committed, Ledger
from digest.errors import CommitUnknown, StorageError, TryAgain
from digest.store import outbox

# Seconds from the beginning of one commit to the next. On a fast line 4 % fewer letters go out with half as long again:
# as many as may be in hand, and no more, go out between two commits.
GATHER = 0.011
PATIENT = 0.05  # the same, while few answers came and more are to come
ENOUGH = 64  # answers that are worth a commit: half as many cost a tenth more of the processor for each letter
PATIENCE = 30.0  # seconds of pauses between tries to write; while it is locked, each try waits for long by itself
FIRST_PAUSE = 0.5
TRIES = 20  # at a commit that another transaction stopped, or whose answer was lost


class Writer:
    """Runs a `Ledger` in a thread: what is in `batch` at a `kick()` is committed, once the last commit is done.

    To be used from the event loop alone. `committed` is called there after each commit, and `failed` once, when
    the database stays unwritable.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        committed: Callable[[Committed], None],
        failed: Callable[[BaseException], None],
        more: Callable[[], bool] = lambda: False,
        gather: Callable[[], object] = lambda: None,
    ) -> None:
        """`more`: will there be more answers soon, and does no connection wait for this commit?

        `gather` adds to `batch`, at the last moment before it is handed over, the letters that are to be marked.
        """
        self.batch = Batch()
        self._working = False
        self._started = 0.0  # the last commit
        self._later: asyncio.TimerHandle | None = None
        self._patient = False  # `_later` is
        self._ledger = ledger
        self._committed = committed
        self._failed = failed
        self._more = more
        self._gather = gather
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._waited, self._pause = 0.0, FIRST_PAUSE  # since something was last stored, in seconds
        self._thread = threading.Thread(target=self._work, name="digest-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def kick(self, *, gathers: bool = False) -> None:
        """Something is in `batch`, or there is something to `gather`. Where letters go fast, a few milliseconds more of
        them share the commit; where they go slowly, some tens of milliseconds, for as long as others are on their way.
        """
        if self._working:
            return
        batch = self.batch
        begins = batch.wish is not None or batch.look  # what all the rest waits for
        patient = not begins and len(batch.outcomes) < ENOUGH and self._more()
        if self._later is not None:
            if patient or not self._patient:
                return
            self._later.cancel()
            self._later = None
        elif not (batch or gathers):
            return
        wait = self._started + (PATIENT if patient else GATHER) - self._loop.time()
        if wait > 0:
            self._later, self._patient = self._loop.call_later(wait, self._kick_now), patient
        else:
            self._kick_now()

    def _kick_now(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._working:
            return
        self._gather()
        if self.batch:
            self._started = self._loop.time()
            self._working = True
            # Handed over whole, here and not by the thread: so nothing is added to a batch that is being read.
            batch, self.batch = self.batch, Batch()
            batch.at = self._started
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
        tries, full = 0, False
        left_out: list[outbox.Claimed] = []
        while True:
            if batch.marks and not self._ledger.room.sure():
                left_out, batch.marks, full = left_out + batch.marks, [], True
            try:
                done = self._ledger.commit(batch)
            except (TryAgain, CommitUnknown):
                # Two that waited for each other, or a lost answer: the same again, all of it.
                tries += 1
                if tries >= TRIES or self._closing.is_set():
                    raise
                self._closing.wait(min(0.05 * 2**tries, 2.0))
            except StorageError:
                if self._waited >= PATIENCE or self._closing.is_set():
                    raise
                # New work waits for a database that takes it; what was kept free is for what is under way.
                left_out, batch.marks, batch.wish = left_out + batch.marks, [], None
                if not self._ledger.room.release():
                    self._closing.wait(self._pause)
                    self._waited, self._pause = self._waited + self._pause, self._pause * 2
            else:
                if batch:  # of one with nothing left in it, nothing was stored
                    self._waited, self._pause = 0.0, FIRST_PAUSE
                done.left_out, done.full = left_out + done.left_out, full or done.full
                return done
