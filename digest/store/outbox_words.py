"""What each letter costs of SQL, in words that both databases know, and how it is said to each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from digest.models import UtcTime
from digest.store import suppressions

# The statements that every letter costs, in words that both databases know: SQLAlchemy's own handling of each row
# would take longer than all the rest of recording. `?` becomes the driver's mark.
READ = """
    SELECT o.id, o.edition_id, o.variant_id, o.notice_id, o.subscription_id,
        coalesce(n.email, p.email), coalesce(n.name, o.named, p.name), o.attempts, o.tried_at, o.in_doubt, o.created_at,
        coalesce(e.newsletter_id, o.newsletter_id), o.dated_at, s.state, coalesce(x.reason, d.reason), o.state
    FROM outbox AS o
        LEFT JOIN edition AS e ON e.id = o.edition_id
        LEFT JOIN notice AS n ON n.id = o.notice_id
        LEFT JOIN subscriber AS p ON p.id = o.subscriber_id
        LEFT JOIN subscription AS s ON s.id = o.subscription_id
        LEFT JOIN suppression AS x ON x.key = coalesce(n.address, p.key)
        LEFT JOIN suppression AS d
            ON d.key = substr(coalesce(n.address, p.key), {find}(coalesce(n.address, p.key), '@'))
    WHERE o.id IN {}
    ORDER BY o.id
"""
# Letters that are due, as a list for `READ`. SQLite's only.
DUE = """(
    SELECT id FROM outbox
    WHERE settled_at IS NULL AND due_at <= ? AND {whose} AND id NOT IN (SELECT value FROM json_each(?))
    ORDER BY {order} LIMIT ?
)"""
WHOSE = {
    "edition": "edition_id = ? AND EXISTS (SELECT 1 FROM edition WHERE id = outbox.edition_id AND state = 'open')",
    "notices": "edition_id IS NULL AND newsletter_id = ?",
    "nobody's notices": "edition_id IS NULL AND newsletter_id IS ?",
}
GOING = """
    UPDATE outbox SET state = 'sending', attempts = attempts + 1, due_at = ?, tried_at = coalesce(tried_at, ?),
        dated_at = coalesce(dated_at, ?)
"""
# On SQLite it is asked first, and then done: so nothing else is asked by what changes rows. Those that are told the
# same are one row: between two rows of an answer Python's lock is let go of, and the loop takes it.
ASKED = "SELECT json_group_array(id), attempts + 1, coalesce(dated_at, ?) FROM outbox"
ALIKE = "GROUP BY 2, 3"
MARKABLE = """
    WHERE id IN {} AND (state = 'claimed' OR {found})
        AND NOT EXISTS (SELECT 1 FROM edition WHERE edition.id = outbox.edition_id AND edition.state <> 'open')
        AND (edition_id IS NULL OR EXISTS (
            SELECT 1 FROM subscription AS s WHERE s.id = outbox.subscription_id AND s.state = 'active'))
        AND NOT EXISTS (SELECT 1 FROM suppression AS x WHERE x.key = coalesce(
            (SELECT p.key FROM subscriber AS p WHERE p.id = outbox.subscriber_id),
            (SELECT n.address FROM notice AS n WHERE n.id = outbox.notice_id)))
        AND NOT EXISTS (SELECT 1 FROM suppression AS d WHERE d.key = coalesce(
            (SELECT substr(p.key, {find}(p.key, '@')) FROM subscriber AS p WHERE p.id = outbox.subscriber_id),
            (SELECT substr(n.address, {find}(n.address, '@')) FROM notice AS n WHERE n.id = outbox.notice_id)))
"""
# One statement for a whole batch: with one for each row, the writer's thread and the loop would take turns at
# Python's lock for each. What a server says may name the reader, so nothing of it is kept of somebody erased.
SETTLE = """
    UPDATE outbox SET state = ?, settled_at = ?, due_at = coalesce(new.due_at, outbox.due_at), code = new.code,
        reply = CASE WHEN edition_id IS NOT NULL AND subscriber_id IS NULL THEN '' ELSE new.reply END,
        in_doubt = in_doubt OR new.doubtful, relay = new.relay
    FROM {} AS new
    WHERE outbox.id = new.letter AND outbox.attempts = new.attempt AND outbox.state = 'sending'
"""
# Lists as one value each, so that the text of a statement stays the same and the driver keeps it prepared.
IDS = {
    "sqlite": "(SELECT value FROM json_each(?))",
    "postgresql": "(SELECT value::bigint FROM json_array_elements_text(?::json))",
}
NEW = """(
    SELECT (value ->> 0)::bigint AS letter, (value ->> 1)::int AS attempt, (value ->> 2)::timestamptz AS due_at,
        (value ->> 3)::int AS code, value ->> 4 AS reply, (value ->> 5)::boolean AS doubtful, value ->> 6 AS relay
    FROM json_array_elements(?::json)
)"""
# But where SQLite changes rows: with a table-valued function in such a statement, or a question to other tables, it
# keeps a copy of each page that it changes, in a temporary file, to be able to undo the statement alone.
NEW_ROWS = """(
    SELECT column1 AS letter, column2 AS attempt, column3 AS due_at, column4 AS code, column5 AS reply,
        column6 AS doubtful, column7 AS relay
    FROM (VALUES {})
)"""
AT_ONCE = 128  # rows of a statement that changes them: with seven values each, what older builds of SQLite take


def padded(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, list[Any]]]:
    """Rows in parts, each as how many and their values one after the other; of few sizes, filled up with NULL.

    So there are few texts of a statement, and the driver keeps them prepared.
    """
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        size = min(1 << (len(part) - 1).bit_length(), AT_ONCE)
        values = list(chain.from_iterable(part))
        yield size, values + [None] * (len(part[0]) * (size - len(part)))


def run(session: Session, statement: str, listed: dict[str, str], *values: object) -> sa.CursorResult[Any]:
    """Run a statement as the driver takes it; `listed` is how it takes the list of it."""
    dialect = session.get_bind().dialect
    statement = statement.format(listed[dialect.name], find=suppressions.FIND[dialect.name])
    if dialect.name == "sqlite":
        # What fails halfway is rolled back with its transaction: SQLite need keep no copy of each page that it changes.
        statement = statement.replace("UPDATE", "UPDATE OR FAIL", 1)
    if dialect.paramstyle != "qmark":
        statement = statement.replace("?", "%s")
    return session.connection().exec_driver_sql(statement, values)


def as_moment(session: Session) -> Any:
    """How the driver gives a time back; most letters have theirs in common."""
    return _reads(session.get_bind().dialect)


@lru_cache(maxsize=2)
def _reads(dialect: sa.Dialect) -> Any:
    read = UtcTime().dialect_impl(dialect).result_processor(dialect, None)
    assert read is not None
    return lru_cache(maxsize=64)(read)


def moments(session: Session) -> Callable[[datetime], Any]:
    """How the driver takes a time."""
    return _stores(session.get_bind().dialect)


@lru_cache(maxsize=2)
def _stores(dialect: sa.Dialect) -> Callable[[datetime], Any]:
    as_stored = UtcTime().dialect_impl(dialect).bind_processor(dialect)
    assert as_stored is not None
    return as_stored
