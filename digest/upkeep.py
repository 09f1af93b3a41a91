"""What a run does besides the line: what is over is counted, found again by its words, and let go of when it is old."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

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
    with database.write() as session:
        tallies.count(session, now=now)
        if idle.answers(session):
            from digest.store import once

            once.prune(session, now=now, limit=1_000)
        if not ran_lately(session, now=now):
            return 0
        if idle.pictures(session):
            from digest.store import pictures

            terms = config.pictures
            pictures.prune(session, now=now, days=terms.keep_days, most=round(terms.keep_mb * 1e6), limit=500)
        if idle.summaries(session):
            from digest.store import summaries

            summaries.prune(session, now=now, days=config.keep.texts_days, limit=500)
        if database.witness is not None:
            database.witness.forget(now=now)
        if not idle.unconfirmed(session):
            return 0
        from digest.subscribe import signup

        return signup.tidy(session, now=now)


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
