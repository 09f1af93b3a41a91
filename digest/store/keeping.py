"""Keeping within bounds: what `[keep]` lets go of, in small steps beside whoever else is at work.

Each kind of rows is gone through in laps: every day from where it had come to, and once a week from the first row,
for what was held back before. How far a lap is stands in the database, so it is broken off at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session, select

from digest.errors import TryAgain
from digest.store import clock, pages, pruning, pruning_entries
from digest.store.database import Database, insert_into, shared_now, without_foreign_keys
from digest.store.keep_tables import Pruning
from digest.store.kept import Kind as Kind
from digest.store.kept import Terms as Terms
from digest.store.kept import day_of, due
from digest.store.pruning import Scope, Step

if TYPE_CHECKING:
    pass

_LOOKED = 40  # steps that find little are taken together, so many at most,
_MOMENT = 0.05  # and no longer than so many seconds: others wait for the lock
_PAGES = 1_000  # that SQLite gives back to the file system in a step
_FREE = 0.05  # the share of its pages that it keeps for what comes

_REWRITTEN = (Kind.MAILS, Kind.TEXTS)  # whose rows stay, and grow smaller: see `database.rewrite`

_STEPS: Mapping[Kind, Callable[[Session, Scope, int], Step]] = {
    Kind.MAILS: pruning.mails,
    Kind.LETTERS: pruning.letters,
    Kind.TEXTS: pruning_entries.texts,
    Kind.PLACES: pruning.places,
    Kind.ENTRIES: pruning_entries.entries,
    Kind.NOTICES: pruning.notices,
    Kind.REPORTS: pruning.reports,
}


@dataclass
class Pruned:
    """What was let go of, by kind: rows, about how many bytes, and what is old enough and stays, by why."""

    rows: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    young: list[str] = field(default_factory=list)  # kinds of which nothing can be old enough
    given_back: int = 0  # bytes, to the file system
    finished: bool = True  # not broken off

    def add(self, kind: Kind, step: Step) -> None:
        self.rows[kind] = self.rows.get(kind, 0) + step.rows
        self.sizes[kind] = self.sizes.get(kind, 0) + step.size


Tell = Callable[[Pruned], None]


def prune(
    database: Database,
    terms: Terms,
    *,
    clock: Callable[[], datetime],
    whole: bool = False,
    stop: Callable[[], bool] = lambda: False,
    tell: Tell = lambda _done: None,
) -> Pruned:
    """Let go of what is old, each kind once a day, for so many seconds at most; `whole`: all of it, now.

    Not by a clock that may be wrong: see `clock.lived_before`. Whoever else prunes at the same time shares the work.
    """
    began, done = clock(), Pruned()

    def over() -> bool:
        late = not whole and terms.seconds is not None and clock() - began >= timedelta(seconds=terms.seconds)
        return stop() or late

    with database.read() as session:
        kinds = [kind for kind in Kind if terms.days.get(kind)] if whole else due(session, terms, now=began)
    if not kinds:
        return done
    try:
        for kind in kinds:
            if over() or not _lap(database, terms, kind, done, now=began, whole=whole, over=over, tell=tell):
                done.finished = False
                return done
        give_back(database, done, over=over)
    except TryAgain:  # of two that waited for each other we were stopped: the next run goes on
        done.finished = False
    return done


def _lap(
    database: Database,
    terms: Terms,
    kind: Kind,
    done: Pruned,
    *,
    now: datetime,
    whole: bool,
    over: Callable[[], bool],
    tell: Tell,
) -> bool:
    """All of one kind; False where it was broken off."""
    with database.read() as session:
        before = clock.lived_before(session, days=terms.days[kind], now=shared_now(session, now))
    if before is None:
        done.young.append(kind)
        with database.write() as session:
            _save(session, _row(session, kind), Step(last=True), {}, now=now)
        return True
    scope = Scope(before, terms.rows, terms.least)
    first, last = whole, False
    with without_foreign_keys(database) if kind in _REWRITTEN else nullcontext(database) as alone:
        while not last:
            scope.held.clear()
            with alone.write() as session:
                step = _some(session, kind, scope, now=now, first=first)
            first, last = False, step.last
            done.add(kind, step)
            held = done.held.setdefault(kind, {})
            for why, number in scope.held.items():
                held[why] = held.get(why, 0) + number
            tell(done)
            if not last and over():
                return False
            database.give_way()
    return True


def _some(session: Session, kind: Kind, scope: Scope, *, now: datetime, first: bool) -> Step:
    """Some steps that are as much as one, from where the last ended; from the first row once a week, or asked."""
    row = _row(session, kind)
    # One that was begun and is not at its end goes on, else what is behind it would never be come to.
    first = first or (row.day >= row.begun and _week(row.begun) != _week(day_of(now)))
    held: dict[str, int] = {} if first else dict(row.held)
    done, until = Step(after=0 if first else row.after), time.monotonic() + _MOMENT
    for _ in range(_LOOKED):
        step = _STEPS[kind](session, scope, done.after)
        done = Step(done.rows + step.rows, done.size + step.size, step.after, step.last)
        if done.rows >= scope.most or done.last or time.monotonic() > until:
            break
    for why, number in scope.held.items():
        held[why] = held.get(why, 0) + number
    _save(session, row, done, held, now=now, first=first)
    return done


def _row(session: Session, kind: Kind) -> Pruning:
    """How far it is, locked: of two that prune at once, the other goes on from where we end."""
    mine = select(Pruning).where(Pruning.kind == kind).with_for_update()
    row = session.exec(mine).one_or_none()
    if row is None:
        new = Pruning(kind=kind).model_dump()
        session.connection().execute(insert_into(session, Pruning).on_conflict_do_nothing(), [new])
        row = session.exec(mine).one()
    return row


def _save(
    session: Session, row: Pruning, done: Step, held: Mapping[str, int], *, now: datetime, first: bool = False
) -> None:
    row.after, row.rows = done.after, row.rows + done.rows
    if first:
        row.begun = day_of(now)
    if done.last:
        row.day = day_of(now)
    row.held = dict(held)
    session.add(row)


def _week(day: str) -> tuple[int, int] | None:
    return datetime.fromisoformat(day).isocalendar()[:2] if day else None


# ---------------------------------------------------------------- the file


def give_back(database: Database, done: Pruned, *, over: Callable[[], bool] = lambda: False) -> None:
    """Give pages that are free to the file system, some at a time, where SQLite was told to be able to.

    PostgreSQL's autovacuum makes room for new rows by itself.
    """
    if database.engine.dialect.name != "sqlite":
        return
    before: int | None = None
    while not over():
        with database.read() as session:
            page, there, free = facts(session)
            if before is not None:
                done.given_back += (before - there) * page
            if not gives_back(session) or free <= max(_PAGES, _FREE * there) or before == there:
                return
        before = there
        pages.give_back(database, _PAGES)


def facts(session: Session) -> tuple[int, int, int]:
    """Of a SQLite file: bytes of a page, pages, and how many of them are free."""
    connection = session.connection()
    page, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {what}").scalar() or 0)
        for what in ("page_size", "page_count", "freelist_count")
    )
    return page, pages, free


def gives_back(session: Session) -> bool:
    """Can a SQLite file grow smaller without being written anew (auto_vacuum = INCREMENTAL)?"""
    return int(session.connection().exec_driver_sql("PRAGMA auto_vacuum").scalar() or 0) == 2
