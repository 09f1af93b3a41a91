"""An installation of some days' age, by the product's own steps with a virtual clock; and what a command costs there.

Each day feeds bring entries, which are admitted, composed into one edition in several variants, and sent, as far as the
rows are concerned. The last day ends at `until`, so that commands with the real clock find it as it would be.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session
from typer.testing import CliRunner

from digest import config, edition, upkeep
from digest.cli import app
from digest.models import Feed, NewsletterFeed, OutboxState, Subscriber, Subscription
from digest.parse import gist
from digest.store import Database, feed_entries, newsletters, outbox, tallies

TOPICS = ("ai", "web", "security", "hardware", "cloud", "data")
SETTINGS = """
secret_key = "a key for tests, long enough"
database = "digest.db"
base_url = "https://digest.example"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
postal_address = "Daily, 1 Example Street, 10115 Berlin, Germany"
schedule = "daily 00:00"
max_stories = 20
"""


@dataclass(frozen=True)
class Size:
    """Of one day: feeds, entries in all of them, readers, and how many choices these have in common."""

    feeds: int = 6
    entries: int = 12
    readers: int = 12
    variants: int = 4


# Earlier stories are looked up within a bound that is far above what is here. No entry is too many, or too old.
CURATE = "[curate]\nearlier_days = 4\nflood = 500\nnewest_of_new_feed = 500\n"
KEEP = "[keep]\nprune_seconds = 0\n"  # what is old stays: it is to cost nothing


def settings(folder: Path) -> Path:
    """The settings file of such an installation."""
    path = folder / "digest.toml"
    topics = "".join(f"[newsletters.daily.topics.{topic}]\n" for topic in TOPICS)
    path.write_text(SETTINGS + topics + CURATE + KEEP)
    path.chmod(0o600)
    return path


def begin(database: Database, size: Size, *, at: datetime) -> None:
    """Feeds, one topic each, and readers by their choices."""
    newsletters.keep(database, ["daily"], now=at)
    later = at + timedelta(days=10_000)
    with database.write() as session:
        paper = newsletters.find(session, "daily").id
        connection = session.connection()
        numbers = range(1, size.feeds + 1)
        feeds = [
            {"id": n, "url": f"https://f{n}.example/feed", "title": f"Feed {n}", "added_at": at, "next_at": later}
            for n in numbers
        ]
        connection.execute(sa.insert(Feed), feeds)
        reads = [
            {"newsletter_id": paper, "feed_id": n, "topic": TOPICS[n % len(TOPICS)], "added_at": at} for n in numbers
        ]
        connection.execute(sa.insert(NewsletterFeed), reads)
        people = [
            {"id": n, "email": f"reader{n}@mail{n % 97}.example.org", "tags": [], "created_at": at}
            for n in range(1, size.readers + 1)
        ]
        connection.execute(sa.insert(Subscriber), people)
        choices = [
            {
                "subscriber_id": person["id"],
                "newsletter_id": paper,
                "topics": _choice(person["id"] % size.variants),
                "offered_at": at,
                "created_at": at,
                "changed_at": at,
            }
            for person in people
        ]
        connection.execute(sa.insert(Subscription), choices)


def _choice(number: int) -> list[str]:
    """The topics of one of 63 choices, in two languages' worth: [] for the first."""
    return sorted(topic for bit, topic in enumerate(TOPICS) if number >> bit & 1)


def bring(session: Session, size: Size, *, day: int, at: datetime) -> None:
    """One day's entries of all feeds."""
    share = size.entries // size.feeds
    for feed in range(1, size.feeds + 1):
        rows = [_entry(feed, day, n, at=at) for n in range(share)]
        feed_entries.save_entries(session, feed, rows, now=at)


_WORDS = [f"{begin}{middle}{end}" for begin in ("mea", "clu", "ker", "bro", "pat", "com") for middle in "bdlmnst"
          for end in ("release", "ing", "ory", "ency", "ment", "tery")]  # fmt: skip


def _entry(feed: int, day: int, n: int, *, at: datetime) -> dict[str, Any]:
    """One in five has the text that other feeds have that day, as what agencies write."""
    name = f"{feed}-{day}-{n}"
    own = feed * 977 + day * 131 + n
    words = random.Random(f"{day}-{n}" if own % 5 == 0 else name).choices(_WORDS, k=60)
    text = f"<p>{' '.join(words)} {name}</p>"
    return {
        "key": name,
        "guid": name,
        "twin": name,
        "url": f"https://f{feed}.example/{name}",
        "title": f"{words[0].title()} n{n}f{feed} beats {words[1]} d{day}: the {words[2]} of u{own}",
        "summary": text,
        "categories": [],
        "published_at": at - timedelta(days=1),
        "content_hash": name,
        "gist": gist.pack(gist.of(text, "")),
    }


def pass_day(database: Database, settings: config.Config, size: Size, *, day: int, at: datetime) -> None:
    """What one day leaves behind."""
    with database.write() as session:
        bring(session, size, day=day, at=at)
    paper = settings.newsletters["daily"]
    edition.take_in(database, "daily", paper, settings.curate, now=at)
    edition.take_turn(database, "daily", settings, now=at)
    with database.write() as session:
        send_all(session, now=at)
        tallies.count(session, now=at)
    upkeep.make_findable(database)


def send_all(session: Session, *, now: datetime) -> None:
    """Settle every letter that is due, one in seven refused: what senders write down, without a mail server."""
    lasting = {"lease": timedelta(minutes=5), "lifetime": timedelta(days=5)}
    for source in outbox.due_sources(session, now=now):
        wanted = outbox.Wanted(source.edition_id, limit=100_000, newsletter_id=source.newsletter_id)
        claimed = outbox.claim(session, wanted, now=now, hold_doubtful=False, **lasting).letters
        marked = outbox.mark(session, claimed, now=now, lease=lasting["lease"])
        ends = [
            outbox.Outcome(id_, attempt, OutboxState.SENT if id_ % 7 else OutboxState.REFUSED, 250 if id_ % 7 else 550)
            for id_, attempt in marked.items()
        ]
        outbox.settle(session, ends, now=now)


def build(database: Database, settings: config.Config, size: Size, *, days: int, until: datetime) -> None:
    """An installation that is `days` old at `until`."""
    first = until - timedelta(days=days)
    begin(database, size, at=first)
    for day in range(days):
        pass_day(database, settings, size, day=day, at=first + timedelta(days=day + 1, minutes=-1))


_COPIED: dict[str, tuple[str, ...]] = {  # tables that grow with the days, and what numbers them or refers to numbers
    "entry": ("id",),
    "story": ("id", "entry_id", "seq"),
    "admission": ("entry_id", "story_id"),
    "edition": ("id", "number", "upto_seq"),
    "variant": ("id", "edition_id", "since_seq"),
    "variant_story": ("variant_id", "story_id"),
    "outbox": ("id", "edition_id", "variant_id"),
    "archive_words": ("story_id", "edition_id"),
    "story_word": ("story_id",),
}
_COUNTED_BY = {"entry_id": "entry", "story_id": "story", "edition_id": "edition", "variant_id": "variant"}
_NAMES = {"key", "guid", "twin", "url", "link", "content_hash"}  # others in each copy


def age(path: Path, *, days: int, times: int) -> None:
    """Let a SQLite database of so many days become one that is `times` as old, by copies of its rows.

    The copies come after, and the days before them are put back, so that the last day stays the last.
    """
    with closing(sqlite3.connect(path)) as database:
        columns = {name: _columns(database, name) for name in (*_COPIED, "newsletter", "subscription")}
        most = {name: database.execute(f"SELECT max(rowid) FROM {name}").fetchone()[0] for name in _COPIED}
        seq, number = database.execute("SELECT seq, edition_number FROM newsletter").fetchone()
        for name in _COPIED:
            moved = ", ".join(f"{at} = {_moved(at, -days * (times - 1))}" for at in columns[name] if at.endswith("_at"))
            database.execute(f"UPDATE {name} SET {moved}" if moved else "SELECT 1")
        for turn in range(1, times):
            for name, numbers in _COPIED.items():
                chosen = []
                for one in columns[name]:
                    if one in numbers:
                        by = {"seq": seq, "upto_seq": seq, "since_seq": seq, "number": number}.get(
                            one, most[_COUNTED_BY.get(one, name)]
                        )
                        chosen.append(f"{one} + {by * turn}")
                    elif one in _NAMES:
                        chosen.append(f"CASE {one} WHEN '' THEN '' ELSE {one} || '-{turn}' END")
                    else:
                        chosen.append(_moved(one, days * turn) if one.endswith("_at") else one)
                rows = f"SELECT {', '.join(chosen)} FROM {name} WHERE rowid <= {most[name]}"
                database.execute(f"INSERT INTO {name} ({', '.join(columns[name])}) {rows}")
        database.execute("UPDATE feed SET entry_count = entry_count * ?", (times,))
        database.execute("UPDATE newsletter SET seq = ?, edition_number = ?", (seq * times, number * times))
        database.execute("UPDATE subscription SET read_until = read_until + ?", (seq * (times - 1),))
        database.commit()


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def _moved(column: str, days: int) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '{days:+d} days')"


# ---------------------------------------------------------------- what it costs


@dataclass
class Cost:
    """What SQLite was asked within `counted`."""

    statements: int = 0
    steps: int = 0  # of SQLite's virtual machine, about: those of short statements are not seen
    lock: float = 0.0  # seconds for which the write lock was held
    asked: Counter[str] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)  # steps by the statement that was asked last
    last: str = ""
    scans: set[str] = field(default_factory=set)  # what EXPLAIN QUERY PLAN calls a scan, where it was asked


STEP = 20


@contextmanager
def counted(*, explain: bool = False) -> Iterator[Cost]:
    """Count what all connections that are opened within the block are asked."""
    cost, since = Cost(), dict[int, float]()

    def connected(connection: Any, _record: Any) -> None:
        def stepped() -> int:
            cost.steps += STEP
            cost.by[cost.last] += STEP
            return 0

        connection.set_progress_handler(stepped, STEP)

    def asked(connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        cost.statements += 1
        cost.last = statement
        cost.asked[statement] += 1
        if statement == "BEGIN IMMEDIATE":
            since[id(connection)] = time.perf_counter()
        elif explain and cost.asked[statement] == 1 and statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "WITH"):
            plain = connection.connection.dbapi_connection
            plan = plain.execute(f"EXPLAIN QUERY PLAN {statement}", values[0] if many else values).fetchall()
            cost.scans |= {f"{row[3]} < {statement}" for row in plan if row[3].startswith("SCAN")}

    def ended(connection: Any) -> None:
        if begun := since.pop(id(connection), None):
            cost.lock += time.perf_counter() - begun

    events = (("connect", connected), ("before_cursor_execute", asked), ("commit", ended), ("rollback", ended))
    for name, told in events:
        sa.event.listen(Engine, name, told)
    try:
        yield cost
    finally:
        for name, told in events:
            sa.event.remove(Engine, name, told)


def type_in(folder: Path, *words: str) -> str:
    """What a command prints, as an operator types it, in this process; its exit code is looked at."""
    done = CliRunner().invoke(app, ["-c", str(folder / "digest.toml"), *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout
