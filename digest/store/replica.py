"""A read replica: a copy of the database that PostgreSQL keeps up to date, for pages that are the same for everybody.

What is one reader's own, and whatever is signed, is read where it is written: who has changed something sees it. A copy
that cannot be asked, or is too far behind, is not read; then the database itself is, as without one. Of a server that
neither answers nor refuses, one visitor waits for a moment, and the others not at all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from digest.dataclass import dataclass
from digest.errors import StorageError, UserError
from digest.store.database import Database, open_copy

MOST_BEHIND = 60.0  # seconds; a page may be kept for longer than that by whoever stands between
EVERY = 2.0  # seconds between two looks at it
AGAIN = 10.0  # the same where it could not be read: who looks waits for it
SOON = 1.0  # seconds for which who looks once lets it catch up
PATIENCE = 2.0  # seconds for an answer; of who did not give one in that time nobody waits for the next
_MARKS = 1000  # half an hour of looks; without an older one a copy counts as later than it is
_T = TypeVar("_T")

_PRIMARY = """SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0'), NULL,
    (SELECT version_num FROM alembic_version), (SELECT id FROM installation)"""
# Of one that is no copy there is nothing that was replayed.
_COPY = """SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END, '0/0'),
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
    (SELECT version_num FROM alembic_version), (SELECT id FROM installation)"""


class _Point(NamedTuple):
    """Where a server is in the log that both write."""

    at: int | None  # bytes
    age: float | None  # seconds since the last transaction that was replayed
    revision: str
    installation: str


@dataclass(frozen=True)
class Standing:
    """How a copy stands: how many seconds behind at most (None: nobody knows), and why it is not read ("": it is)."""

    behind: float | None = None
    trouble: str = ""

    def __str__(self) -> str:
        return self.trouble or ("is read" if self.behind is None else f"is {self.behind:.1f} seconds behind")


class _Server:
    """Asked where it is in a thread of its own: what it keeps waiting is that thread, whatever is wrong with it."""

    def __init__(self, database: Database, query: str) -> None:
        self._database, self._query = database, query
        self._answer: Future[_Point] | None = None
        self._hangs = False

    def point(self, patience: float) -> _Point:
        """StorageError where nothing came in so many seconds; once that was so, at once until something comes."""
        if self._answer is not None and self._answer.done():  # too late for who asked; where it is now is asked anew
            self._hangs = self._answer.exception() is not None
            self._answer = None
        if self._answer is None:
            answer: Future[_Point] = Future()
            try:
                threading.Thread(target=self._ask, args=(answer,), daemon=True, name="digest-replica").start()
            except RuntimeError as error:  # there can be no more of them at this moment
                raise StorageError(str(error)) from None
            self._answer = answer
        try:
            found = self._answer.result(0 if self._hangs else patience)
        except TimeoutError:
            self._hangs = True
            raise StorageError("it does not answer") from None
        except BaseException:
            self._answer = None
            raise
        self._answer, self._hangs = None, False
        return found

    def _ask(self, answer: Future[_Point]) -> None:
        try:
            answer.set_result(_point(self._database, self._query))
        except BaseException as error:
            answer.set_exception(error)


class Replica:
    """The copy of a database, as one process reads it. To be used from any thread."""

    def __init__(
        self,
        primary: Database,
        copy: Database,
        *,
        timer: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._copy = copy
        self._servers = _Server(primary, _PRIMARY), _Server(copy, _COPY)
        self._timer = timer
        self._patience = patience
        # (when, where the database was), as far as it is not replayed
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)
        self._had_all: float | None = None  # when the database was last where the copy is now
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._standing = Standing(trouble="was not asked yet")

    def read(self, do: Callable[[Database], _T]) -> _T | None:
        """What `do` makes of the copy; None where it is not to be read, or could not be: then ask the database."""
        if self.look().trouble:
            return None
        try:
            return do(self._copy)
        except (StorageError, sa.exc.DBAPIError) as error:
            self._stands(Standing(trouble=_does_not(error)))
        except UserError:  # TryAgain: what was read was let go of meanwhile (a conflict with recovery)
            pass
        return None

    def look(self) -> Standing:
        """How it stands, asked anew every few seconds by one of those who want to know."""
        if self._timer() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._stands(self._judged())
            finally:
                self._lock.release()
        return self._standing

    def settled(self, sleep: Callable[[float], None]) -> Standing:
        """How it stands, for who looks but once: a copy that is behind by a moment has that moment to catch up."""
        found = self._judged()
        if found.behind:
            sleep(SOON)
            found = self._judged()
        return found

    def _stands(self, standing: Standing) -> None:
        self._standing = standing
        down = standing.trouble and standing.behind is None
        self._next = self._timer() + (AGAIN if down else EVERY)

    def _judged(self) -> Standing:
        asked = self._timer()  # before: what is written while it answers, a copy need not have
        try:
            ahead = self._servers[0].point(self._patience)
        except (UserError, sa.exc.DBAPIError):
            ahead = None
        try:
            copy = self._servers[1].point(self._patience)
        except (UserError, sa.exc.DBAPIError) as error:
            return Standing(trouble=_does_not(error))
        if copy.at is None:
            return Standing(trouble="is no copy that PostgreSQL keeps up to date, but is written to itself")
        if ahead is None or ahead.at is None:
            return Standing()  # nobody else can be asked: what is there is better than nothing
        if copy.installation != ahead.installation:
            return Standing(trouble="is the copy of another database")
        if copy.revision != ahead.revision:
            return Standing(trouble=f"has tables of revision {copy.revision}, and the database of {ahead.revision}")
        behind = self._behind(asked, ahead.at, copy)
        late = behind > MOST_BEHIND
        return Standing(behind, f"is {behind:.0f} seconds behind" if late else "")

    def _behind(self, asked: float, ahead: int, copy: _Point) -> float:
        """Since when, at most, there is something that it has not replayed: by our own clock, whatever theirs say."""
        assert copy.at is not None
        self._marks.append((asked, ahead))
        while self._marks and self._marks[0][1] <= copy.at:
            self._had_all = self._marks.popleft()[0]
        if not self._marks:
            return 0.0
        if self._had_all is not None:
            return self._timer() - self._had_all
        # Nobody has seen it yet with all there was; what it replayed last says how long that is at most.
        return copy.age if copy.age is not None else 2 * MOST_BEHIND


def _point(database: Database, query: str) -> _Point:
    with database.read() as session:
        at, age, revision, installation = session.connection().exec_driver_sql(query).one()
    return _Point(None if at is None else int(at), None if age is None else float(age), revision, installation)


def _does_not(error: Exception) -> str:
    words = str(error) if isinstance(error, UserError) else str(getattr(error, "orig", error))
    return f"cannot be read: {words.splitlines()[0] if words else type(error).__name__}"


@contextmanager
def opened(primary: Database, url: str, *, timer: Callable[[], float] = time.monotonic) -> Iterator[Replica | None]:
    """The replica at `url`, None where there is none to be ("")."""
    if not url:
        yield None
        return
    # Asked where it is by connections of its own, which are given up soon: what writes waits for as long as it takes.
    ahead, copy = open_copy(primary.engine.url.render_as_string(hide_password=False)), open_copy(url)
    try:
        yield Replica(ahead, copy, timer=timer)
    finally:
        ahead.close()
        copy.close()


def standing(primary: Database, url: str, *, sleep: Callable[[float], None] = time.sleep) -> Standing | None:
    """How the replica at `url` stands at this moment; None where there is none to be."""
    with opened(primary, url) as found:
        return found.settled(sleep) if found is not None else None
