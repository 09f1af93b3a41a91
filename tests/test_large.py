"""PostgreSQL with so many letters that its planner chooses by sizes: what each hot path looks at, and what it costs."""

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
    pruning,
    reports,
    rolls,
    search,
    tallies,
    why,
)
from digest.store.kept import Kind
from digest.store.search import Search

pytestmark = pytest.mark.long

READERS, LETTERS, EDITIONS, OWED = 20_000, 3_000, 14, 1_000  # LETTERS: of each edition but the last
BIG = ("outbox", "subscription", "subscriber", "letter_roll")
NOW = datetime.now(UTC).replace(microsecond=0)
LEASE = timedelta(minutes=5)
PAGE = 50


@pytest.fixture(scope="module")
def many(postgres_server: str, upgraded_postgres: str) -> Iterator[Database]:
    """Letters of one edition in rolls, of one in part, of eleven in the outbox, and of one owed."""
    with postgres.fresh(postgres_server, "many letters", template=upgraded_postgres) as url:
        database = open_database(url)
        large.lay(database, READERS, [LETTERS] * (EDITIONS - 1) + [OWED], pruned=2, now=NOW)
        done: list[int] = [0]
        keeping.prune(
            database,
            keeping.Terms({Kind.LETTERS: 45}),
            clock=lambda: NOW,
            whole=True,
            tell=lambda pruned: done.append(pruned.rows[Kind.LETTERS]),
            stop=lambda: done[-1] >= LETTERS * 3 // 2,
        )
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
            other.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
            (plan,) = other.fetchone()
            other.execute("ROLLBACK TO looking")
        _count((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"], seen)

    connection = session.connection()
    connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")  # no disk that turns
    sa.event.listen(connection, "before_cursor_execute", note)
    ask()
    sa.event.remove(connection, "before_cursor_execute", note)
    return seen


def _count(node: dict[str, Any], seen: Counter[str]) -> None:
    table = node.get("Relation Name", "")
    if table in BIG and "Scan" in node["Node Type"]:
        gone = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        seen[table] += (node["Actual Rows"] + gone) * node["Actual Loops"]
    if node.get("Index Name") == "ix_outbox_due":
        seen["pages of what is due"] += node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    for below in node.get("Plans", ()):
        _count(below, seen)


def claim(session: Session, *, hold: bool, after: outbox.Place | None = None) -> outbox.Claim:
    wanted = outbox.Wanted(EDITIONS, PAGE, after=after)
    return outbox.claim(session, wanted, now=NOW, lease=LEASE, lifetime=timedelta(days=5), hold_doubtful=hold)


SOMEBODY = LETTERS // 2
MIDDLE = LETTERS * 10 + LETTERS // 2  # a letter of edition 11
ASKED: dict[str, Callable[[Session], Any]] = {
    "due groups": lambda s: outbox.due_sources(s, now=NOW),
    "whether any is due": lambda s: letters.any_due(s, now=NOW, notices=False),
    "whether a notice is due": lambda s: letters.any_due(s, now=NOW, notices=True),
    "list": lambda s: letters.lines(s, limit=PAGE),
    "list of an edition, from its middle": lambda s: letters.lines(
        s, newsletters=["daily"], edition=11, after=MIDDLE, limit=PAGE
    ),
    "list of sent": lambda s: letters.lines(s, edition=11, state=OutboxState.SENT, after=MIDDLE, limit=PAGE),
    "list of refused": lambda s: letters.lines(s, state=OutboxState.REFUSED, limit=PAGE),
    "list of held": lambda s: letters.lines(s, state=OutboxState.HELD, limit=PAGE),
    "list in doubt": lambda s: letters.lines(s, in_doubt=True, limit=PAGE),
    "letter": lambda s: letters.lines(s, letter_id=MIDDLE, limit=1),
    "letter in a roll": lambda s: rolls.find(s, LETTERS // 2),
    "letter that bounced": lambda s: reports.letter(s, MIDDLE),
    "why": lambda s: why.letters_about(s, 1, SOMEBODY, story_seq=330, story_id=330),
    "why, was owed": lambda s: why.was_owed(s, 1, SOMEBODY, story_seq=330),
    "reader's letters": lambda s: finding.letters(s, SOMEBODY),
    "search of a reader": lambda s: finding.stories_sent(s, ["word"], 1, SOMEBODY),
    "edition of a reader": lambda s: editions.variant_of(s, 11, "reader.number7@mail7.example"),
    "readers": lambda s: listing.listed(s, Search(), limit=PAGE),
    "readers, from the middle": lambda s: listing.listed(s, Search(), after="reader.number3@mail3.example", limit=PAGE),
    "readers of a newsletter": lambda s: listing.listed(s, Search(newsletter="daily"), limit=PAGE),
    "members of a newsletter": lambda s: listing.members(s, listing.Members("daily", PAGE)),
    "members by a step": lambda s: search.page(s, Search(newsletter="daily"), after="reader.number3@", limit=PAGE),
    "editions that ended": lambda s: tallies.ended(s),
    "pruning": lambda s: pruning._some_of(s, 2, PAGE),
}
# What is asked of all letters of one edition, or of all that wait, looks at each of them once, and at no others.
OF_ALL: dict[str, tuple[int, Callable[[Session], Any]]] = {
    "list of an edition, from its beginning": (LETTERS, lambda s: letters.lines(s, edition=11, limit=PAGE)),
    "list of owed": (OWED, lambda s: letters.lines(s, edition=EDITIONS, state=OutboxState.OWED, limit=PAGE)),
    "audit": (LETTERS, lambda s: edition_states.account_of(s, 11)),
    "stuck": (OWED, lambda s: looking.stuck(s, now=NOW - timedelta(days=1))),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_is_asked_often_looks_at_few_rows_of_many(many: Database, what: str) -> None:
    with many.write() as session:
        seen = looked_at(session, lambda: ASKED[what](session))
        session.rollback()
    # Rolls of an edition are some hundred times fewer than its letters, and each says whose letters it may have.
    assert seen and all(rows <= 4 * PAGE for what, rows in seen.items() if what in BIG), seen


@pytest.mark.parametrize("what", OF_ALL)
def test_what_is_asked_of_an_edition_looks_at_each_of_its_letters_once(many: Database, what: str) -> None:
    most, ask = OF_ALL[what]
    with many.read() as session:
        seen = looked_at(session, lambda: ask(session))
    assert most <= seen["outbox"] <= most + PAGE, seen


@pytest.mark.parametrize("hold", [False, True])
def test_a_sender_looks_at_the_letters_that_it_takes(many: Database, hold: bool) -> None:
    with many.write() as session:
        found: list[Any] = []
        costs = [looked_at(session, lambda: found.append(claim(session, hold=hold)))]
        costs += [
            looked_at(session, lambda: found.append(outbox.mark(session, found[0].letters, now=NOW, lease=LEASE)))
        ]
        outcomes = [outbox.Outcome(id_, attempt, OutboxState.SENT, 250) for id_, attempt in found[1].items()]
        costs += [looked_at(session, lambda: found.append(outbox.settle(session, outcomes, now=NOW)))]
        assert found[2][OutboxState.SENT] == len(outcomes) == PAGE
        assert all(rows <= 3 * PAGE for seen in costs for what, rows in seen.items() if what in BIG), costs
        session.rollback()


def test_a_claim_does_not_go_past_all_that_was_claimed_before_it(many: Database) -> None:
    with many.write() as session:
        found, pages = [claim(session, hold=False)], list[int]()
        for _ in range(8):
            last = found[-1].last
            assert last is not None
            seen = looked_at(session, lambda last=last: found.append(claim(session, hold=False, after=last)))  # type: ignore[misc]
            pages.append(seen["pages of what is due"])
        assert len({letter.id for one in found for letter in one.letters}) == 9 * PAGE
        assert max(pages) <= 6, pages  # 10 and more, and ever more, without a place
        session.rollback()
