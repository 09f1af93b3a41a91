"""What an edition costs with its readers' choices: variants, letters, time and memory against subscribers.

    python benchmarks/compose.py [--quick] [--json] [--database postgresql://…]
    python benchmarks/compose.py --readers 1000000 [--postgres] [--json]

Every reader has random choices: any of 12 topics, one of 3 cadences, an hour, one of 24 zones. The edition is
composed on a Monday, when all three cadences are due, of 60 stories. The goals are minutes for 100,000 readers, a cost
that follows the variants and not the readers, and, since a writer shuts out all others on SQLite, a write lock for a
small share of that time. There are at most 3 x 4,096 variants; "file_mb" is the whole database with the edition in it.

Then what tastes cost: readers of all topics who have no taste, or a maximum (any of 100), or three mutes of which one
hits one of the 60 stories, or five mutes of their own that hit nothing, or want more and less of three things each
("orders": of 30 sources, 12 topics and 60 words, so that nearly every reader has an order of their own). Each is told
as a ratio to no taste, in time of the processor, of the lock, and in memory. What mutes come to makes variants, what
they say does not; and of orders there are `most_orders` at most, which is a goal here.

With --readers (whose choices are those of the first 5,000, again and again) it is composed as a run does it, in steps,
while another process lets one reader after the other click on "unsubscribe", at moments that do not depend on the
composer. Told are the time of all, the longest transaction that writes, how long the clicks took, what the outbox takes
on the disk, and how long a claim of 500 letters takes, of the first 20 and of the last 20 of all letters; those in
between are settled by the benchmark, 50,000 at a time. With --postgres a server of its own is started, with
PostgreSQL's own settings.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests")]

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

DRAWN = 5_000  # readers whose choices are drawn, where there are very many
CLAIMS = 20  # of 500 letters, at the beginning and at the end of an edition
LARGE = {"longest_transaction_s": 1, "longest_click_s": 1, "claim_last_to_first": 1.5}


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
    from digest.models import Feed, Subscriber, Subscription
    from digest.store import newsletters, open_database
    from digest.store.story_tables import Admission, Entry, Story

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


def fill_large(url: str, readers: int) -> None:
    """The same for very many: the first are drawn, and the database copies them."""
    import sqlalchemy as sa

    from digest.models import Subscriber, Subscription
    from digest.store import open_database

    first = min(readers, DRAWN)
    fill(url, first)
    database = open_database(url)
    for start in range(first, readers, first):
        most = min(first, readers - start)
        own = {"id", "subscriber_id", "email", "key"}
        with database.write() as session:
            for table in (Subscriber.__table__, Subscription.__table__):  # type: ignore[attr-defined]
                ids = [name for name in ("id", "subscriber_id") if name in table.c]
                address = sa.literal("reader") + sa.cast(table.c.id + start, sa.String) + sa.literal("@example.org")
                words = [name for name in ("email", "key") if name in table.c]
                rest = [column.name for column in table.c if column.name not in own]
                query = sa.select(
                    *(table.c[n] + start for n in ids), *(address for _ in words), *(table.c[n] for n in rest)
                )
                query = query.where(table.c.id <= most)
                session.connection().execute(sa.insert(table).from_select([*ids, *words, *rest], query, False))
    database.close()


def settings() -> Any:
    from digest.config import from_values

    news = {"title": "The Daily", "from": "The Daily <news@news.example>", "schedule": "daily 07:00"}
    return from_values(
        {"secret_key": "a key for the benchmark", "newsletters": {"daily": news}},
        Path("digest.toml"),
        environment=False,
    )


def compose(url: str) -> dict[str, Any]:
    from digest import edition
    from digest.store import edition_states, open_database

    config = settings()
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


def in_steps(url: str) -> dict[str, Any]:
    """What `digest run` does of it, and how long its transactions are."""
    import digest.store.database as rooms
    from digest import edition
    from digest.store import open_database

    lengths: list[float] = []
    worked: list[float] = []
    write = rooms.Database.write

    @contextmanager
    def timed(self: Any) -> Iterator[Any]:
        with write(self) as session:
            session.connection()  # SQLite: here it waits for its lock
            begun, begun_cpu = time.perf_counter(), time.process_time()
            yield session
        lengths.append(time.perf_counter() - begun)
        worked.append(time.process_time() - begun_cpu)

    rooms.Database.write = timed  # type: ignore[method-assign]
    database = open_database(url)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    done = edition.take_turn(database, "daily", settings(), now=MONDAY)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    database.close()
    lengths.sort()
    return {
        "variants": done.variants,
        "letters": done.letters,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),  # of this process, without PostgreSQL's
        "transactions": len(lengths),
        "longest_transaction_s": round(lengths[-1], 3),
        "median_transaction_s": round(statistics.median(lengths), 3),
        "most_cpu_of_one_s": round(max(worked), 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def click(url: str, readers: int, over: Any, told: Any) -> None:
    """One unsubscribe after the other, as the page behind the link does it, until it is `over`; how long each took."""
    from digest import subscribe
    from digest.store import open_database
    from digest.subscribe import Evidence

    chance, waited = random.Random(2), []
    database = open_database(url)
    while not over.wait(chance.uniform(0.05, 0.6)):
        email, begun = f"reader{chance.randint(1, readers)}@example.org", time.perf_counter()
        with database.write() as session:
            subscribe.remove(session, email, newsletter="daily", evidence=Evidence("one-click", MONDAY))
        waited.append(time.perf_counter() - begun)
    database.close()
    told.put(waited)


def claims(url: str) -> dict[str, Any]:
    """Claim, mark and settle the first and the last letters; how long the claims took."""
    from digest.models import OutboxState
    from digest.store import edition_states, open_database, outbox

    database, took = open_database(url), []
    wanted, hour, now = outbox.Wanted(1, 500), timedelta(hours=1), MONDAY + timedelta(days=2)
    dropped = 0
    while True:
        if len(took) == CLAIMS:
            settle_between(database, keep=500 * CLAIMS)
        with database.write() as session:
            begun = time.perf_counter()
            found = outbox.claim(session, wanted, now=now, lease=hour, lifetime=hour * 48, hold_doubtful=False)
            took.append(time.perf_counter() - begun)
        wanted = replace(wanted, after=found.last)  # as a pass does
        dropped += found.dropped
        if not found.letters and not found.settled:
            break
        with database.write() as session:
            marks = outbox.mark(session, found.letters, now=now, lease=hour)
            sent = [outbox.Outcome(id_, attempt, OutboxState.SENT, 250, "ok") for id_, attempt in marks.items()]
            outbox.settle(session, sent, now=now)
    with database.read() as session:
        (account,) = edition_states.accounts(session, newsletters=["daily"])
    if not account.adds_up or account.still_owed:
        sys.exit(f"the letters do not add up: {account}")
    database.close()
    ms = [1000 * one for one in took[:-1]]
    return {
        "claim_first_ms": round(statistics.median(ms[:CLAIMS]), 1),
        "claim_last_ms": round(statistics.median(ms[-CLAIMS:]), 1),
        "left_before_their_letter": dropped,
    }


def settle_between(database: Any, *, keep: int) -> None:
    """Have all letters sent that nobody took yet, but for the last ones that a claim would take."""
    import sqlalchemy as sa

    from digest.models import OutboxRow

    rest = sa.select(OutboxRow.id).where(OutboxRow.settled_at.is_(None), OutboxRow.state == "owed")
    rest = rest.order_by(OutboxRow.due_at, OutboxRow.variant_id, OutboxRow.id)
    with database.read() as session:
        ids = list(session.scalars(rest))[:-keep]
    sent = sa.update(OutboxRow).where(OutboxRow.id == sa.bindparam("letter"))
    sent = sent.values(state="sent", settled_at=MONDAY, attempts=1, code=250, reply="ok")
    for start in range(0, len(ids), 50_000):
        with database.write() as session:
            session.connection().execute(sent, [{"letter": id_} for id_ in ids[start : start + 50_000]])


def outbox_mb(url: str, folder: Path, before: int) -> dict[str, int]:
    """What letters and mails take on the disk."""
    import sqlalchemy as sa

    from digest.store import open_database

    if url.startswith("sqlite"):
        return {"grown_mb": round((sum(one.stat().st_size for one in folder.iterdir()) - before) / 1e6)}
    database, found = open_database(url), {}
    with database.read() as session:
        for table in ("outbox", "variant", "subscription"):
            size = session.connection().execute(sa.text(f"SELECT pg_total_relation_size('{table}')")).scalar_one()
            found[f"{table}_mb"] = round(size / 1e6)
    database.close()
    return found


def large(url: str, folder: Path, readers: int) -> dict[str, Any]:
    """One edition of many readers, composed in steps beside clicks, and then sent."""
    alone(fill_large, url, readers)
    before = sum(one.stat().st_size for one in folder.iterdir())
    spawn = multiprocessing.get_context("spawn")
    over, told = spawn.Event(), spawn.Queue()
    clicker = spawn.Process(target=click, args=(url, readers, over, told))
    clicker.start()
    found: dict[str, Any] = alone(in_steps, url)
    over.set()
    waited = told.get()
    clicker.join()
    found |= {"clicks": len(waited), "longest_click_s": round(max(waited), 3)}
    found["median_click_s"] = round(statistics.median(waited), 3)
    found |= outbox_mb(url, folder, before)
    return found | alone(claims, url)


def many(readers: int, *, on_postgres: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="digest-compose-") as folder:
        if not on_postgres:
            return large(f"sqlite:///{folder}/digest.db", Path(folder), readers)
        import postgres

        with postgres.server() as server, postgres.fresh(server, "compose") as url:
            return large(url, Path(folder), readers)


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
    options.add_argument("--readers", type=int, metavar="N", help="one edition of so many, in steps, beside clicks")
    options.add_argument("--postgres", action="store_true", help="with --readers: on a PostgreSQL of its own")
    chosen = options.parse_args()
    if chosen.readers:
        one = many(chosen.readers, on_postgres=chosen.postgres)
        engine = "PostgreSQL" if chosen.postgres else "SQLite"
        told = {"benchmark": "compose", "engine": engine, "readers": chosen.readers, "goals": LARGE} | one
        print(json.dumps(told) if chosen.json else "\n".join(f"{k:>26} {v}" for k, v in told.items()))
        return
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
