"""What an edition costs with its readers' choices: variants, letters, time and memory against subscribers.

    python benchmarks/compose.py [--quick] [--json] [--database postgresql://…]

Every reader has random choices: any of 12 topics, one of 3 cadences, an hour, one of 24 zones. The edition is
composed on a Monday, when all three cadences are due, of 60 stories. The goals are minutes for 100,000 readers, a cost
that follows the variants and not the readers, and, since a writer shuts out all others on SQLite, a write lock for a
small share of that time. There are at most 3 x 4,096 variants; "file_mb" is the whole database with the edition in it.

Then what tastes cost: readers of all topics who have no taste, or a maximum (any of 100), or three mutes of which one
hits one of the 60 stories, or five mutes of their own that hit nothing, or want more and less of three things each
("orders": of 30 sources, 12 topics and 60 words, so that nearly every reader has an order of their own). Each is told
as a ratio to no taste, in time of the processor, of the lock, and in memory. What mutes come to makes variants, what
they say does not; and of orders there are `most_orders` at most, which is a goal here.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

MONDAY = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
STORIES = 60
ZONES = (
    *("Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver", "America/Chicago"),
    *("America/New_York", "America/Halifax", "America/Sao_Paulo", "Atlantic/South_Georgia", "Atlantic/Azores"),
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Istanbul", "Asia/Dubai", "Asia/Karachi"),
    *("Asia/Kolkata", "Asia/Dhaka", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney"),
    *("Pacific/Noumea", "Pacific/Auckland"),
)
CADENCES = ("daily", "weekdays", "weekly mon")
TASTES = ("none", "maximum", "hits", "misses", "orders")
MOST_ORDERS = 200  # as newsletters have it unasked
GOALS = {
    "seconds_100k": 300,
    "lock_share": 0.15,
    "peak_mb_100k": 400,
    "cpu_of_misses_to_none": 3,
    "variants_of_orders": MOST_ORDERS + 1,
}


def taste_of(kind: str, reader: int, chance: random.Random) -> Any:
    from digest.config import TOPICS
    from digest.taste import Taste, checked

    match kind:
        case "maximum":
            return checked(Taste(max_stories=chance.randint(1, 100)))
        case "hits":
            words = (f"number {chance.randint(1, STORIES)}", f"nothing {reader}", f"unheard of {reader}")
            return checked(Taste(muted_words=words))
        case "misses":
            return checked(Taste(muted_words=tuple(f"word {n} of {reader}" for n in range(5))))
        case "orders":
            source, topic = f"source:f{chance.randint(1, 30)}.example", f"topic:{chance.choice(tuple(TOPICS))}"
            word = f"word:number {chance.randint(1, STORIES)}"
            more, less = ((source, word), (topic,)) if chance.random() < 0.5 else ((topic,), (source, word))
            return checked(Taste(more_of=more, less_of=less))
        case _:
            return Taste()


def fill(url: str, readers: int, taste: str = "") -> None:
    """Readers, three days of them behind by cadence, and stories of every topic.

    With a `taste`, of TASTES, all read all topics, daily, and each has one of that kind.
    """
    import sqlalchemy as sa

    from digest.config import TOPICS
    from digest.models import Admission, Entry, Feed, Story, Subscriber, Subscription
    from digest.store import newsletters, open_database

    chance = random.Random(1)
    database = open_database(url, create=True)
    newsletters.keep(database, ["daily"], now=MONDAY - timedelta(days=1))
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        connection = session.connection()
        feeds = [
            {"id": n, "url": f"https://f{n}.example/", "title": f"Feed {n}", "added_at": MONDAY, "next_at": MONDAY}
            for n in range(1, 31)
        ]
        connection.execute(sa.insert(Feed), feeds)
        numbers = range(1, STORIES + 1)
        entries = [
            {"id": n, "feed_id": n % 30 + 1, "key": str(n), "url": f"https://f.example/{n}", "seen_at": MONDAY}
            for n in numbers
        ]
        connection.execute(sa.insert(Entry), entries)
        stories = [
            {
                "id": n,
                "newsletter_id": paper.id,
                "seq": n,
                "entry_id": n,
                "topic": tuple(TOPICS)[n % 12],
                "url": f"https://f.example/{n}",
                "title": f"Story number {n}: what ten million events a month really cost",
                "source": f"Feed {n % 30 + 1}",
                "excerpt": "Reads that never touch the leader, measured over six weeks in three regions: what it buys.",
                "language": "en",
                "reading_minutes": 4,
                "published_at": MONDAY - timedelta(hours=n),
                "admitted_at": MONDAY,
                "rank": chance.random(),
            }
            for n in numbers
        ]
        connection.execute(sa.insert(Story), stories)
        told = [
            {"newsletter_id": paper.id, "entry_id": n, "decision": "story", "story_id": n, "decided_at": MONDAY}
            for n in numbers
        ]
        connection.execute(sa.insert(Admission), told)
        paper.seq = STORIES
        session.add(paper)
    read = {"daily": STORIES * 2 // 3, "weekdays": STORIES // 2, "weekly mon": 0}
    for start in range(0, readers, 20_000):
        some = range(start + 1, min(readers, start + 20_000) + 1)
        people = [{"id": n, "email": f"reader{n}@example.org", "tags": [], "created_at": MONDAY} for n in some]
        choices = []
        for n in some:
            cadence = "daily" if taste else chance.choice(CADENCES)
            wanted = taste_of(taste, n, chance)
            choices.append(
                {
                    "taste": wanted.stored,
                    "taste_key": wanted.key,
                    "id": n,
                    "subscriber_id": n,
                    "newsletter_id": paper.id,
                    "topics": [] if taste else sorted(topic for topic in TOPICS if chance.random() < 0.5),
                    "cadence": cadence,
                    "hour": chance.randrange(24),
                    "zone": chance.choice(ZONES),
                    "read_until": 0 if taste else read[cadence],
                    "offered_at": MONDAY - timedelta(days=9),
                    "created_at": MONDAY,
                    "changed_at": MONDAY,
                }
            )
        with database.write() as session:
            session.connection().execute(sa.insert(Subscriber), people)
            session.connection().execute(sa.insert(Subscription), choices)
    database.close()


def compose(url: str) -> dict[str, Any]:
    from digest import edition
    from digest.config import from_values
    from digest.store import edition_states, open_database

    news = {"title": "The Daily", "from": "The Daily <news@news.example>", "schedule": "daily 07:00"}
    config = from_values(
        {"secret_key": "a key for the benchmark", "newsletters": {"daily": news}},
        Path("digest.toml"),
        environment=False,
    )
    database = open_database(url)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    press = edition.prepare(database, "daily", config, now=MONDAY)
    prepared = time.perf_counter() - begun
    with database.write() as session:
        done = edition.compose(session, "daily", config, now=MONDAY, press=press)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    with database.read() as session:
        (account,) = edition_states.accounts(session, newsletters=["daily"])
    if not account.adds_up or account.owed != done.letters:
        sys.exit(f"the letters do not add up: {account}")
    database.close()
    return {
        "variants": done.variants,
        "letters": done.letters,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "lock_seconds": round(seconds - prepared, 2),
        "lock_share": round((seconds - prepared) / seconds, 3),
        "cpu_ms_per_variant": round(1000 * cpu / max(1, done.variants), 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def alone(work: Any, *args: Any) -> Any:
    """Run in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="up to 3,000 subscribers in place of 1,000,000")
    options.add_argument("--subscribers", type=int, metavar="N", help="only so many")
    options.add_argument("--json", action="store_true", help="one line, with the goals")
    options.add_argument("--database", help="an empty PostgreSQL database, with --subscribers")
    chosen = options.parse_args()
    sizes = [1_000, 3_000] if chosen.quick else [1_000, 10_000, 100_000, 1_000_000]
    if chosen.subscribers:
        sizes = [chosen.subscribers]
    found = {}
    for readers in sizes:
        with tempfile.TemporaryDirectory() as folder:
            url = (chosen.database or f"sqlite:///{folder}/digest.db").replace("postgresql://", "postgresql+psycopg://")
            alone(fill, url, readers)
            found[readers] = alone(compose, url)
            if not chosen.database:
                found[readers]["file_mb"] = round(Path(folder, "digest.db").stat().st_size / 1e6)
        if not chosen.json:
            print(
                f"{readers:>9,} subscribers: " + ", ".join(f"{k} {v:,}" for k, v in found[readers].items()), flush=True
            )
    tastes = tastes_of(min(max(sizes), 10_000)) if not chosen.database else {}
    if chosen.json:
        print(json.dumps({"benchmark": "compose", "subscribers": found, "tastes": tastes, "goals": GOALS}))
        return
    for kind, one in tastes.items():
        print(f"taste {kind:>8}: " + ", ".join(f"{k} {v:,}" for k, v in one.items()), flush=True)


def tastes_of(readers: int) -> dict[str, dict[str, Any]]:
    """What each of TASTES costs, as a ratio to none of them."""
    found: dict[str, dict[str, Any]] = {}
    base: dict[str, Any] = {}
    for kind in TASTES:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/digest.db"
            alone(fill, url, readers, kind)
            one = alone(compose, url)
        base = base or one
        costs = ("cpu_seconds", "lock_seconds", "peak_mb")
        found[kind] = {"subscribers": readers, "variants": one["variants"], "cpu_seconds": one["cpu_seconds"]}
        found[kind] |= {f"{name}_to_none": round(one[name] / max(0.01, base[name]), 2) for name in costs}
    return found


if __name__ == "__main__":
    main()
