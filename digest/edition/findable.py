"""Stories of editions that opened, made findable by their words."""

from __future__ import annotations

from digest.curate import lexemes
from digest.store import Database, finding

_MOST = 50  # steps of a run


def make_findable(database: Database) -> int:
    """Let the stories of editions that opened be found by their words, some editions at a time; how many stories.

    So many at most that a run after years without this does not take long.
    """
    done = 0
    for _step in range(_MOST):
        with database.read() as session:
            if not finding.unfound(session, limit=1):
                break
        with database.write() as session:
            done += finding.keep(session, finding.unfound(session, limit=5), lexemes.of_text)
    return done
