"""PostgreSQL with so many letters that its planner chooses by sizes: what each hot path looks at, and what changes cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import large
import postgres
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from digest.models import OutboxState
from digest.store import (
    Database,
    edition_states,
    editions,
    finding,
    keeping,
    letters,
    listing,
    looking,
    open_database,
    outbox,
    reports,
    rolls,
    tallies,
    why,
)
from digest.store.kept import Kind
from digest.store.search import Search

pytestmark = pytest.mark.long

READERS, EDITIONS = 4_000, 9
BIG = ("outbox", "subscription", "subscriber", "letter_roll", "variant_story")
NOW = datetime.now(UTC).replace(microsecond=0)
LEASE = timedelta(minutes=5)
PAGE = 50


@pytest.fixture(scope="module")
def many(postgres_server: str, upgraded_postgres: str) -> Iterator[Database]:
    """Two editions in rolls, six in the outbox, and one that is owed."""
    with postgres.fresh(postgres_server, "many letters", template=upgraded_postgres) as url:
        database = open_database(url)
        large.lay(database, READERS, editions=EDITIONS, filled=range(1, EDITIONS + 1), now=NOW)
        keeping.prune(database, keeping.Terms({Kind.LETTERS: 45}), clock=lambda: NOW, whole=True)
        with large.alone(database) as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        yield database
        database.close()


def looked_at(session: Session, ask: Callable[[], Any]) -> Counter[str]:
    """How many rows of each large table are looked at while something is asked or done, by PostgreSQL's own account."""
    seen: Counter[str] = Counter()

    def note(_connection: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if statement.split()[0] not in ("SELECT", "UPDATE", "DELETE", "WITH"):
            return
        with cursor.connection.cursor() as other:
            other.execute("SAVEPOINT looking")
            other.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
            (plan,) = other.fetchone()
            other.execute("ROLLBACK TO looking")
        _count((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"], seen)

    connection = session.connection()
    sa.event.listen(connection, "before_cursor_execute", note)
    ask()
    sa.event.remove(connection, "before_cursor_execute", note)
    return seen


def _count(node: dict[str, Any], seen: Counter[str]) -> None:
    table = node.get("Relation Name", "")
    if table in BIG and "Scan" in node["Node Type"]:
        gone = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        seen[table] += (node["Actual Rows"] + gone) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        _count(below, seen)


def claim(session: Session, limit: int = PAGE) -> outbox.Claim:
    wanted = outbox.Wanted(EDITIONS, limit)
    return outbox.claim(session, wanted, now=NOW, lease=LEASE, lifetime=timedelta(days=5), hold_doubtful=True)


SOMEBODY = READERS // 2
ASKED: dict[str, Callable[[Session], Any]] = {
    "due groups": lambda s: outbox.due_sources(s, now=NOW),
    "any due": lambda s: letters.any_due(s, now=NOW, notices=False),
    "list": lambda s: letters.lines(s, limit=PAGE),
    "list of an edition": lambda s: letters.lines(s, newsletters=["daily"], edition=7, limit=PAGE),
    "list of an edition that is owed": lambda s: letters.lines(s, edition=EDITIONS, state=OutboxState.OWED, limit=PAGE),
    "list of what was sent, from the middle": lambda s: letters.lines(
        s, edition=7, state=OutboxState.SENT, after=6 * READERS + READERS // 2, limit=PAGE
    ),
    "list of refused": lambda s: letters.lines(s, state=OutboxState.REFUSED, limit=PAGE),
    "list in doubt": lambda s: letters.lines(s, in_doubt=True, limit=PAGE),
    "letter": lambda s: letters.lines(s, letter_id=5 * READERS, limit=1),
    "letter in a roll": lambda s: rolls.find(s, READERS // 2),
    "letter that bounced": lambda s: reports.letter(s, 5 * READERS),
    "why": lambda s: why.letters_about(s, 1, SOMEBODY, story_seq=7, story_id=1),
    "why, was owed": lambda s: why.was_owed(s, 1, SOMEBODY, story_seq=7),
    "reader's letters": lambda s: finding.letters(s, SOMEBODY),
    "search of a reader": lambda s: finding.stories_sent(s, ["word"], 1, SOMEBODY),
    "edition of a reader": lambda s: editions.variant_of(s, 7, "reader.number7@mail7.example"),
    "readers": lambda s: listing.listed(s, Search(), limit=PAGE),
    "readers from the middle": lambda s: listing.listed(s, Search(), after="reader.number3@mail3.example", limit=PAGE),
    "readers of a newsletter": lambda s: listing.members(s, listing.Members("daily", PAGE)),
    "stuck": lambda s: looking.stuck(s, now=NOW - timedelta(days=1)),
    "ended": lambda s: tallies.ended(s),
    "audit": lambda s: edition_states.account_of(s, 7),
}


@pytest.mark.parametrize("what", ASKED)
def test_explore(many, what):
    with many.read() as session:
        print(what, dict(looked_at(session, lambda: ASKED[what](session))))


def test_explore_claims(many):
    with many.write() as session:
        got = []
        print("claim", looked_at(session, lambda: got.append(claim(session))))
        print("mark", looked_at(session, lambda: got.append(outbox.mark(session, got[0].letters, now=NOW, lease=LEASE))))
        outcomes = [outbox.Outcome(id_, n, OutboxState.SENT, 250) for id_, n in got[1].items()]
        print("settle", looked_at(session, lambda: outbox.settle(session, outcomes, now=NOW)))
        session.rollback()
