"""What a run does besides the line: what is over is counted, found again by its words, and let go of when it is old."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlmodel import Session

from digest.config import Config
from digest.errors import StorageError
from digest.store import Database, idle, kept, tallies
from digest.store.clock import lived_before, ran_lately
from digest.store.database import shared_now

_MOST_FINDABLE = 50  # steps of a run


def tidy(database: Database, config: Config, *, now: datetime) -> int:
    """Count editions whose letters have ended, and forget who did not confirm in time that they want any; how many.

    They are gone for good, so one leap of a clock may not decide that they asked long ago.
    """
    with database.read() as session:  # as a rule there is nothing, and then nobody's write is waited for
        lately = ran_lately(session, now=now)
        due = dict(_over(session, config, now=now, lately=lately))
    if lately and database.witness is not None:
        database.witness.forget(now=now)
    if not due:
        return 0
    with database.write() as session:
        done = {name: forget(session) for name, forget in due.items()}
    return done.get("signups") or 0


def _over(
    session: Session, config: Config, *, now: datetime, lately: bool
) -> Iterator[tuple[str, Callable[[Session], int | None]]]:
    """What there is to count or to forget, each with what does it."""
    if tallies.wait(session):
        yield "editions", partial(tallies.count, now=now)
    if idle.answers(session):
        from digest.store import once

        if once.overdue(session, now=now):
            yield "answers", partial(once.prune, now=now, limit=1_000)
    if not lately:
        return
    if idle.pictures(session):
        from digest.store import pictures

        days, most = config.pictures.keep_days, round(config.pictures.keep_mb * 1e6)
        if pictures.overdue(session, now=now, days=days, most=most):
            yield "pictures", partial(pictures.prune, now=now, days=days, most=most, limit=500)
    if idle.summaries(session):
        from digest.store import summaries

        if summaries.overdue(session, now=now, days=config.keep.texts_days):
            yield "summaries", partial(summaries.prune, now=now, days=config.keep.texts_days, limit=500)
    if idle.unconfirmed(session):
        from digest.subscribe import signup

        if signup.untidy(session, now=now):
            yield "signups", partial(signup.tidy, now=now)


def make_findable(database: Database) -> int:
    """Let the stories of editions that opened be found by their words, some editions at a time; how many stories.

    So many at most that a run after years without this does not take long.
    """
    done = 0
    for _step in range(_MOST_FINDABLE):
        with database.read() as session:
            if not idle.unfound(session):
                break
        from digest.curate import following, lexemes
        from digest.store import finding

        with database.write() as session:
            done += finding.keep(session, finding.unfound(session, limit=5), lexemes.of_text, following.words_of)
    return done


def prune(database: Database, config: Config, *, clock: Callable[[], datetime], stop: Callable[[], bool]) -> None:
    """Let go of what is old, each kind once a day, for some seconds; the next run goes on."""
    terms = kept.Terms.of(config)
    with database.read() as session:
        due, moment = kept.due(session, terms, now=clock()), shared_now(session, clock())
        if not due or lived_before(session, days=min(terms.days[kind] for kind in due), now=moment) is None:
            return  # all of it today, or too young for any of it
    from digest.store import keeping

    with suppress(StorageError):  # locked, say: letters are out by now, and the next run goes on
        keeping.prune(database, terms, clock=clock, stop=stop)
