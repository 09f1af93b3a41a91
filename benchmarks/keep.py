"""What a database weighs after so many days, before and after it was pruned.

    python benchmarks/keep.py --quick
    python benchmarks/keep.py --days 365 --readers 5000 --variants 200 --entries 500000 --json
    python benchmarks/keep.py --days 365 --readers 500 --variants 20 --entries 50000 --feeds 100 --least 300

The last is a tenth of the year before it but for the archive, which has as many stories a day: with a twentieth beside
it (250 readers, 10 variants, 25,000 entries, 50 feeds, --least 150) the whole is 10 tenths - 9 (2 twentieths - tenth).

Rows are laid as the product lays them, with texts and mails of the usual length and of words that compress as words
do, day after day, and pruned after each with the default `[keep]`, as runs would. Sizes are of the file, with nothing
free in it counted apart.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest.column_types import packed
from digest.config.keep import Keep
from digest.models import (
    Edition,
    Feed,
    Newsletter,
    NewsletterFeed,
    OutboxRow,
    Subscriber,
    Subscription,
    UtcTime,
    Variant,
)
from digest.parse import gist
from digest.store import Database, keeping, newsletters, open_database
from digest.store.keep_tables import LetterRoll, PrunedMark
from digest.store.kept import Kind
from digest.store.run_tables import RunDay
from digest.store.story_tables import Admission, Entry, Story, VariantStory

BEGIN = UtcTime().process_result_value(datetime(2026, 1, 1, 7), None)  # type: ignore[arg-type]
DAY = timedelta(days=1)
TOPICS = 60
IN_MAIL = 30
PLACES = 40  # entries that are in a feed at a time


class Words:
    """Prose of a vocabulary, whose words are as often as in prose (Zipf)."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        letters = "etaoinshrdlucmfwypvbgkqjxz"
        weights = [
            12,
            9,
            8,
            7.5,
            7,
            6.7,
            6.3,
            6,
            6,
            4,
            4,
            2.8,
            2.8,
            2.4,
            2.2,
            2.4,
            2,
            1.9,
            1,
            1.5,
            2,
            0.8,
            0.1,
            0.2,
            0.2,
            0.1,
        ]
        self._all = ["".join(chance.choices(letters, weights, k=chance.randint(2, 10))) for _ in range(8000)]
        self._often = [1 / (place + 3) for place in range(8000)]
        self._pool: list[str] = []

    def some(self, number: int) -> str:
        if len(self._pool) < number:
            self._pool = self._chance.choices(self._all, self._often, k=50_000)
        found, self._pool = self._pool[:number], self._pool[number:]
        return " ".join(found).capitalize()


BLOCK = (
    '<tr><td class="story" style="padding:0 0 22px 0;font-family:Georgia,serif;font-size:17px;line-height:25px">'
    '<a href="{url}" style="color:#1c1a17;text-decoration:none;font-weight:bold;font-size:19px">{title}</a>'
    '<div class="meta" style="color:#6b645a;font-size:13px;line-height:20px;padding:2px 0 6px 0">{source} · 4 min</div>'
    '<div class="excerpt" style="color:#3a362f">{excerpt}</div></td></tr>'
)


class World:
    """One newsletter and a day of it after the other."""

    def __init__(self, database: Database, asked: argparse.Namespace) -> None:
        self.database, self.asked = database, asked
        self.chance = random.Random(7)
        self.words = Words(self.chance)
        self.entry = self.story = self.variant = 0
        self.recent: dict[int, list[int]] = {}
        newsletters.keep(database, ["daily"], now=BEGIN)
        with database.write() as session:
            connection = session.connection()
            feeds = [
                {"id": n, "url": f"https://feed{n}.example/rss.xml", "host": f"feed{n}.example", "title": f"Feed {n}"}
                | {"added_at": BEGIN, "next_at": BEGIN}
                for n in range(1, asked.feeds + 1)
            ]
            connection.execute(sa.insert(Feed), feeds)
            read = [{"newsletter_id": 1, "feed_id": n, "added_at": BEGIN} for n in range(1, asked.feeds + 1)]
            connection.execute(sa.insert(NewsletterFeed), read)
            numbers = range(1, asked.readers + 1)
            people = [{"id": n, "email": f"reader.number{n}@mail{n % 9}.example", "created_at": BEGIN} for n in numbers]
            connection.execute(sa.insert(Subscriber), people)
            subscriptions = [
                {"id": n, "subscriber_id": n, "newsletter_id": 1, "created_at": BEGIN, "changed_at": BEGIN}
                for n in numbers
            ]
            connection.execute(sa.insert(Subscription), subscriptions)

    def day(self, number: int) -> None:
        now = BEGIN + number * DAY
        with self.database.write() as session:
            connection = session.connection()
            connection.execute(sa.insert(RunDay), [{"day": now.replace(hour=0)}])
            stories = self._stories(connection, now, self.asked.entries // self.asked.days)
            edition = {"id": number + 1, "newsletter_id": 1, "number": number + 1, "composed_at": now, "slot_at": now}
            edition |= {"upto_seq": self.story, "sender": "Daily <news@daily.example>"}
            connection.execute(sa.insert(Edition), [edition])
            self._letters(connection, number + 1, now, stories)
            connection.execute(sa.update(Subscription).values(read_until=self.story))
            connection.execute(sa.update(Newsletter).values(seq=self.story, edition_number=number + 1))
            windows = [{"feed": feed, "now": ids[-PLACES:]} for feed, ids in self.recent.items()]
            statement = sa.update(Feed).where(Feed.id == sa.bindparam("feed")).values(window=sa.bindparam("now"))  # type: ignore[arg-type]
            connection.execute(statement, windows)

    def _stories(self, connection: Any, now: datetime, number: int) -> list[dict[str, Any]]:
        entries, stories, told = [], [], []
        for _ in range(number):
            self.entry += 1
            feed = self.chance.randint(1, self.asked.feeds)
            self.recent.setdefault(feed, []).append(self.entry)
            title, url = (
                self.words.some(9),
                f"https://feed{feed}.example/{now:%Y/%m}/{self.words.some(5).replace(' ', '-')}",
            )
            content = "".join(f"<p>{self.words.some(60)}.</p>" for _ in range(4))
            summary = f"<p>{self.words.some(40)}</p>"
            entries.append(
                {"id": self.entry, "feed_id": feed, "key": f"{url}?p={self.entry}", "twin": f"{self.entry:040x}"}
                | {"url": url, "title": title, "author": "Ada Lovelace", "summary": summary, "content": content}
                | {"categories": ["news", "databases"], "language": "en", "published_at": now, "seen_at": now}
                | {"content_hash": f"{self.entry:064x}", "text_hash": f"{self.entry:032x}", "guid": url}
                | {"changed_at": now, "gist": gist.pack(gist.of(summary, content))}
            )
            if self.chance.random() < 0.25 and self.story:
                told.append(self._told(self.entry, now, "joined", url, self.story))
                continue
            self.story += 1
            stories.append(
                {"id": self.story, "newsletter_id": 1, "seq": self.story, "entry_id": self.entry, "url": url}
                | {"topic": f"topic-{self.story % TOPICS}", "topic_step": "words", "title": title}
                | {"source": f"Feed {feed}", "excerpt": self.words.some(24), "language": "en", "reading_minutes": 3}
                | {"published_at": now, "admitted_at": now, "rank": self.chance.random()}
                | {"reasons": {"topic": {"why": self.words.some(8)}, "rank": {"fresh": 0.4, "sources": 0.2}}}
            )
            told.append(self._told(self.entry, now, "story", url, self.story))
        connection.execute(sa.insert(Entry), entries)
        connection.execute(sa.insert(Story), stories)
        connection.execute(sa.insert(Admission), told)
        return stories

    @staticmethod
    def _told(entry: int, now: datetime, decision: str, url: str, story: int) -> dict[str, Any]:
        made = {"newsletter_id": 1, "entry_id": entry, "decision": decision, "reason": "same link", "story_id": story}
        return made | {"link": url.removeprefix("https://"), "decided_at": now}

    def _letters(self, connection: Any, edition: int, now: datetime, stories: list[dict[str, Any]]) -> None:
        blocks = {
            one["id"]: BLOCK.format(url=one["url"], title=one["title"], source=one["source"], excerpt=one["excerpt"])
            for one in stories
        }
        variants, carried, first = [], [], self.variant + 1
        for place in range(self.asked.variants):
            self.variant += 1
            some = stories if not place else self.chance.sample(stories, min(len(stories), 400))
            shown, left = some[:IN_MAIL], some[IN_MAIL:]
            html = "<html><body><table>" + "".join(blocks[one["id"]] for one in shown) + "</table></body></html>"
            text = "\n\n".join(f"{one['title']}\n{one['excerpt']}\n{one['url']}" for one in shown)
            letters = self.asked.readers // self.asked.variants
            letters += (self.asked.readers % self.asked.variants) if not place else 0
            variants.append(
                {"id": self.variant, "edition_id": edition, "key": f"{self.variant:032x}", "since_seq": 0}
                | {"topics": [f"topic-{place}"] if place else [], "subject": f"Daily: {shown[0]['title']}"}
                | {"html": packed(html), "text": packed(text), "story_count": len(shown), "more_count": len(left)}
                | {"left_out": [[one["id"], "no room"] for one in left], "letters": letters, "marks": "a1b2c3"}
            )
            carried += [{"variant_id": self.variant, "position": n, "story_id": s["id"]} for n, s in enumerate(shown)]
        connection.execute(sa.insert(Variant), variants)
        connection.execute(sa.insert(VariantStory), carried)
        reader = iter(range(1, self.asked.readers + 1))
        rows = [
            {"edition_id": edition, "variant_id": first + place, "subscriber_id": who, "subscription_id": who}
            | {"state": "sent", "due_at": now + DAY / 24, "attempts": 1, "created_at": now, "tried_at": now}
            | {"settled_at": now + timedelta(seconds=self.chance.randint(1, 900)), "code": 250}
            | {"reply": f"2.0.0 Ok: queued as {self.chance.getrandbits(40):010X}", "relay": "relay.example:587"}
            for place, variant in enumerate(variants)
            for _, who in zip(range(variant["letters"]), reader, strict=False)
        ]
        connection.execute(sa.insert(OutboxRow), rows)


def sizes(database: Database) -> dict[str, int]:
    """Bytes of the file, of what is free in it, and of each large table with its indexes."""
    with database.read() as session:
        page, pages, free = keeping.facts(session)
        found = {"file": page * pages, "free": page * free}
        try:
            rows = session.connection().exec_driver_sql(
                "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
                "WHERE s.aggregate = 1 GROUP BY 1 ORDER BY 2 DESC LIMIT 12"
            )
            found |= {row[0]: row[1] for row in rows}
        except sa.exc.OperationalError:  # a SQLite that was built without it
            pass
        tables = (Entry, Story, OutboxRow, LetterRoll, Variant, VariantStory, PrunedMark)
        for table in tables:
            count = session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            found[f"rows of {table.__tablename__}"] = count
    return found


def measure(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    keep = Keep()
    days = {Kind.MAILS: keep.mails_days, Kind.LETTERS: keep.letters_days, Kind.TEXTS: keep.texts_days}
    days |= {Kind.PLACES: keep.entries_days, Kind.ENTRIES: keep.entries_days}
    days |= {Kind.NOTICES: keep.notices_days, Kind.REPORTS: keep.reports_days}
    terms = keeping.Terms(days, least=keep.entries_least if asked.least is None else asked.least)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'digest.db'}", create=True)
        world, spent, worst = World(database, asked), 0.0, 0.0
        for number in range(asked.days):
            world.day(number)
            if asked.every:
                began, cpu = time.perf_counter(), time.process_time()
                keeping.prune(database, terms, clock=lambda n=number: BEGIN + n * DAY)  # type: ignore[misc]
                spent += time.process_time() - cpu
                worst = max(worst, time.perf_counter() - began)
            if (number + 1) % 30 == 0:
                yield {"days": number + 1, "prune_cpu_s": round(spent, 1), "worst_run_s": round(worst, 2)} | sizes(
                    database
                )
        yield {"days": asked.days, "prune_cpu_s": round(spent, 1), "worst_run_s": round(worst, 2)} | sizes(database)
        if not asked.every:
            began = time.perf_counter()
            done = keeping.prune(database, terms, clock=lambda: BEGIN + asked.days * DAY, whole=True)
            took = time.perf_counter() - began
            yield {"pruned": done.rows, "sizes": done.sizes, "held": done.held, "seconds": round(took, 1)} | sizes(
                database
            )
        database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--variants", type=int, default=40)
    parser.add_argument("--entries", type=int, default=41_000)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--least", type=int, help="entries_least of [keep], where it is not the default")
    parser.add_argument("--once", dest="every", action="store_false", help="prune at the end, not day by day")
    parser.add_argument("--folder", help="where the database is made")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        asked.days, asked.readers, asked.variants, asked.entries = 12, 200, 10, 3_000
    for found in measure(asked):
        if asked.json:
            print(json.dumps(found), flush=True)
        else:
            print("\n".join(f"{name:>28}  {_shown(name, value)}" for name, value in found.items()) + "\n", flush=True)


def _shown(name: str, value: Any) -> str:
    plain = not isinstance(value, int) or name.startswith(("rows of", "days"))
    return f"{value}" if plain else f"{value / 1e6:,.1f} MB"


if __name__ == "__main__":
    main()
