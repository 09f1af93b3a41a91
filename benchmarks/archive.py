#!/usr/bin/env python3
"""How long the public pages take with many stories, against few: a page should not care how much there is.

    archive.py [--quick] [--json] [--database URL]

Figures are the best of 30 whole answers within the application, in milliseconds of CPU: others use the machine too.
"left_out_new" is of pages that nobody asked for before: each of the last edition's, once.
`--database` names an empty PostgreSQL database (SQLAlchemy's form) for the large one; else both are SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent))

from digest import curate, edition, subscribe
from digest.config import Config, from_values
from digest.models import Feed, Subscription, Variant
from digest.store import Database, newsletters, open_database
from digest.store.story_tables import Admission, Decision, Entry, Story
from digest.web import application

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
FEEDS, EDITIONS, FEW, LEFT_OUT = 50, 25, 1_000, 1_800
NEW = "left_out_new"
GOALS = {"slowest_ms": 15.0, "growth": 3.0}
PAGES = {
    "home": "/",
    "editions": "/newsletters/daily",
    "edition": f"/newsletters/daily/editions/{EDITIONS}",
    "left_out": f"/newsletters/daily/editions/{EDITIONS}?more=2",
    "topic": "/newsletters/daily/topics/security",
    "topic_deep": "/newsletters/daily/topics/security?before={middle}",
    "topic_atom": "/newsletters/daily/topics/security/feed.atom",
    "editions_atom": "/newsletters/daily/feed.atom",
}
WORDS = ("storage", "kernel", "team", "model", "latency", "index", "browser", "queue", "cluster", "cloud", "query")


def fill(database: Database, config: Config, stories: int) -> None:
    """Stories of a year under all topics, one in five told by several feeds, and editions of the last days."""
    rng = random.Random(7)
    topics = [*curate.headings({}), curate.OTHER]
    begin, step = NOW - timedelta(days=365), timedelta(days=365) / stories

    def words(count: int) -> str:
        return " ".join(rng.choices(WORDS, k=count)).capitalize()

    with database.write() as session:
        paper = newsletters.find(session, "daily")
        session.execute(
            sa.insert(Feed),
            [
                {
                    "url": f"https://f{n}.example/feed",
                    "host": f"f{n}.example",
                    "title": f"Journal {n}",
                    "site_url": f"https://f{n}.example/",
                    "added_at": NOW,
                    "next_at": NOW,
                }
                for n in range(FEEDS)
            ],
        )
        feeds = list(session.execute(sa.select(Feed.id)).scalars())
        for low in range(0, stories, 10_000):
            entries, told, decided = [], [], []
            for n in range(low, min(stories, low + 10_000)):
                at, title = begin + step * n, words(7)
                for k in range(rng.randint(2, 6) if n % 5 == 0 else 1):
                    id_ = n * 8 + k + 1
                    url = f"https://f{(n + k) % FEEDS}.example/{id_}"
                    entries.append(
                        {"id": id_, "feed_id": feeds[(n + k) % FEEDS], "key": str(id_), "url": url, "title": title}
                        | {"published_at": at, "seen_at": at, "content": "<p>" + words(300) + "</p>" if k == 0 else ""}
                    )
                    kind = Decision.STORY if k == 0 else Decision.JOINED
                    decided.append(
                        {"newsletter_id": paper.id, "entry_id": id_, "decision": kind, "story_id": n + 1}
                        | {"decided_at": at}
                    )
                told.append(
                    {"id": n + 1, "newsletter_id": paper.id, "seq": n + 1, "entry_id": n * 8 + 1, "title": title}
                    | {"topic": rng.choice(topics), "url": f"https://f{n % FEEDS}.example/{n * 8 + 1}"}
                    | {"source": f"Journal {n % FEEDS}", "excerpt": words(22), "reading_minutes": 4}
                    | {"published_at": at, "admitted_at": at, "rank": rng.random(), "dropped": n % 40 == 0}
                )
            session.execute(sa.insert(Entry), entries)
            session.execute(sa.insert(Story), told)
            session.execute(sa.insert(Admission), decided)
        for n in range(4):
            subscribe.add(
                session,
                f"reader{n}@example.org",
                subscribe.Joining("daily", topics, config.secret_key.get_secret_value()),
                evidence=subscribe.Evidence("benchmark", begin),
                preferences=subscribe.Preferences(topics=tuple(topics[n : n + 2] if n else ())),
            )
    for number in range(1, EDITIONS + 1):
        upto = stories - 40 * (EDITIONS - number)
        with database.write() as session:
            paper = newsletters.find(session, "daily")
            paper.seq = upto
            session.add(paper)
            session.execute(sa.update(Subscription).values(read_until=upto - 40))
        with database.write() as session:
            composed = edition.compose(session, "daily", config, now=NOW - timedelta(days=EDITIONS - number))
            assert composed.number == number, composed.why


def leave_out(database: Database, stories: int) -> None:
    """Let the last edition have had no room for so many."""
    with database.write() as session:
        last = session.execute(sa.select(sa.func.max(Variant.edition_id))).scalar_one()
        ids = session.execute(sa.select(Story.id).order_by(Story.id).limit(stories)).scalars().all()
        many = [[ids[n % len(ids)], "no room"] for n in range(stories)]
        session.execute(sa.update(Variant).where(Variant.edition_id == last).values(left_out=many))


def measure(url: str, stories: int, *, rounds: int, shown: bool) -> dict[str, float]:
    settings = {"secret_key": "a key for benchmarks", "database": url}
    papers = {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}}
    config = from_values(settings | {"newsletters": papers}, Path("digest.toml"), environment=False)
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=NOW - timedelta(days=400))
    began = time.perf_counter()
    fill(database, config, stories)
    if shown:
        print(f"{stories:,} stories filled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    leave_out(database, LEFT_OUT)
    app = application(database, config, clock=lambda: NOW)

    async def ask(client: httpx.AsyncClient, path: str) -> float:
        start = time.process_time()
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return (time.process_time() - start) * 1000

    async def visit() -> dict[str, float]:
        took: dict[str, list[float]] = {name: [] for name in PAGES}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://news.example") as client:
            for _ in range(rounds):
                for name, path in PAGES.items():
                    took[name].append(await ask(client, path.format(middle=stories // 2)))
            last = PAGES["edition"]
            took[NEW] = [await ask(client, f"{last}?more={number}") for number in range(3, LEFT_OUT // 200)]
        return {name: round(min(times), 2) for name, times in took.items()}

    try:
        return asyncio.run(visit())
    finally:
        database.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="20,000 stories for 100,000")
    options.add_argument("--json", action="store_true")
    options.add_argument("--database", metavar="URL")
    given = options.parse_args()
    many = 20_000 if given.quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        few = measure(f"sqlite:///{folder}/few.db", FEW, rounds=30, shown=not given.json)
        url = given.database or f"sqlite:///{folder}/many.db"
        found = measure(url, many, rounds=30, shown=not given.json)
    slowest = max(found.values())
    growth = round(max(found[name] / few[name] for name in few), 2)
    if given.json:
        figures = {"stories": many, "few_ms": few, "many_ms": found, "slowest_ms": slowest, "growth": growth}
        print(json.dumps(figures | {"goals": GOALS}))
        return
    for name in few:
        print(f"{name:<14} {few[name]:7.2f} ms at {FEW:,}  {found[name]:7.2f} ms at {many:,}")
    print(f"slowest {slowest:.2f} ms (goal {GOALS['slowest_ms']}), growth {growth} x (goal {GOALS['growth']})")


if __name__ == "__main__":
    main()
