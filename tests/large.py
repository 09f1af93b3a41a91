"""A PostgreSQL with many letters, laid by the server itself: for what only shows at a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from digest.store import Database, finding, newsletters

_STORIES = 30  # of an edition
_EMPTY = {"INTEGER": "0", "BIGINT": "0", "BOOLEAN": "false", "JSON": "'[]'", "DOUBLE_PRECISION": "0"}


def lay(database: Database, readers: int, letters: Sequence[int], *, pruned: int = 1, now: datetime) -> None:
    """Readers of one newsletter, and editions 20 days apart, with so many `letters` each: the last's are owed.

    Each has some stories of its own. Of so many of the first the mails are `pruned`, so that their letters may be.
    """
    editions = len(letters)
    newsletters.keep(database, ["daily"], now=now)
    begin = now - timedelta(days=20 * editions)
    with database.write() as session:
        address = "'reader.number' || n || '@mail' || mod(n, 9) || '.example'"
        who = f"SELECT {address} AS a FROM generate_series(1, {readers}) n"
        person = {"email": "a", "key": "a", "created_at": "now()", "fields": "'{}'"}
        _insert(session, "subscriber", person, f"({who}) AS people")
        made = {"subscriber_id": "id", "newsletter_id": "1", "created_at": "now()", "changed_at": "now()"}
        _insert(session, "subscription", made | {"state": "'active'"}, "subscriber ORDER BY id")
        days = f"generate_series(0, {20 * editions}) n"
        _insert(session, "run_day", {"day": f"date_trunc('day', '{now}'::timestamptz) - n * interval '1 day'"}, days)
        feed = {"url": "'https://feed.example/'", "added_at": "now()", "next_at": "now()", "state": "'active'"}
        _insert(session, "feed", feed, "(SELECT 1) AS one")
        for number, of_it in enumerate(letters, 1):
            _edition(session, number, of_it, last=editions, at=begin, now=now)
        session.connection().exec_driver_sql(f"UPDATE edition SET pruned = number <= {pruned}")
        finding.keep(session, range(1, editions + 1), lambda _words: ["word"])
    with alone(database) as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _edition(session: Any, number: int, letters: int, *, last: int, at: datetime, now: datetime) -> None:
    owed = number == last
    at = now if owed else at + timedelta(days=20 * (number - 1))
    edition = {"newsletter_id": "1", "number": str(number), "composed_at": f"'{at}'", "slot_at": f"'{at}'"}
    edition |= {"upto_seq": str(_STORIES * number), "state": "'open'", "sender": "'Daily <news@daily.example>'"}
    _insert(session, "edition", edition, "(SELECT 1) AS one")
    variant = {"edition_id": str(number), "key": "'k'", "since_seq": str(_STORIES * (number - 1)), "subject": "'Daily'"}
    variant |= {"left_out": "'[]'::bytea", "letters": str(letters), "chosen_from": "'{}'"}
    _insert(session, "variant", variant, "(SELECT 1) AS one")
    some = f"generate_series({_STORIES * (number - 1) + 1}, {_STORIES * number}) AS id"
    entry = {"feed_id": "1", "key": "id", "url": "id", "seen_at": "now()", "published_at": "now()", "gist": "''"}
    _insert(session, "entry", entry, some)
    story = {
        "newsletter_id": "1",
        "seq": "id",
        "entry_id": "id",
        "published_at": "now()",
        "admitted_at": "now()",
        "reasons": "'{}'",
    }
    _insert(session, "story", story, some)
    _insert(session, "variant_story", {"variant_id": str(number), "position": "id", "story_id": "id"}, some)
    if not letters:
        return
    row = {"edition_id": str(number), "variant_id": str(number), "subscriber_id": "subscriber_id"}
    row |= {"subscription_id": "id", "due_at": f"'{at}'", "created_at": f"'{at}'", "state": "'owed'"}
    if not owed:
        row |= {"state": "'sent'", "attempts": "1", "code": "250", "tried_at": f"'{at}'", "dated_at": f"'{at}'"}
        row |= {"settled_at": f"'{at}'::timestamptz + mod(id, 900) * interval '1 s'", "relay": "'relay.example:587'"}
        row |= {"reply": "'2.0.0 Ok: queued as ' || upper(substr(md5(id::text), 1, 10))"}
    _insert(session, "outbox", row, f"subscription ORDER BY id LIMIT {letters}")


def _insert(session: Any, table: str, columns: dict[str, str], source: str) -> None:
    """Rows with these columns, and in each other one that must have a value what says nothing."""
    there = sa.inspect(session.connection()).get_columns(table)
    rest = {
        one["name"]: _EMPTY.get(type(one["type"]).__name__, "''")
        for one in there
        if not one["nullable"] and one["default"] is None and one["name"] not in columns
    }
    values = columns | rest
    names, said = ", ".join(values), ", ".join(values.values())
    session.connection().exec_driver_sql(f"INSERT INTO {table} ({names}) SELECT {said} FROM {source}")


@contextmanager
def alone(database: Database) -> Iterator[sa.Connection]:
    """A connection whose statements are each a transaction."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
