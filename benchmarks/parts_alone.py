"""The parts that digest is made of, used alone as a good engineer would who needs no more: an honest floor.

    python benchmarks/parts_alone.py collect PORT FEEDS CONNECTIONS FOLDER
    python benchmarks/parts_alone.py compose STORIES VARIANTS LETTERS FOLDER
    python benchmarks/parts_alone.py deliver LETTERS FOLDER
    python benchmarks/parts_alone.py all PORT FEEDS CONNECTIONS STORIES VARIANTS LETTERS FOLDER

No line of digest runs here. `whole.py` calls it at the size of its own run, and adds the bare dialogue of `send.py`, of
letters as large as ours. What each stage does, in one process and without threads:

- collect: httpx's AsyncClient, with as many connections as ours, asks each feed once; feedparser parses what it says;
  sqlite3 stores the entries, each once per feed, and commits feed by feed.
- compose: Jinja fills a template of so many stories, as HTML and as text, once for each variant, and premailer writes
  its styles into it; sqlite3 stores these, and a row for each letter, with the indexes that a sender needs to find what
  is due, what a variant has and whose it is, in one transaction.
- deliver: sqlite3 changes the row of each letter twice: to being sent, before, and to sent with the reply, after. One
  commit has the ends of `BATCH` letters and the beginnings of the next.
- all: these three one after the other in one process, on a database of its own, to tell its peak memory: with Typer,
  whose command it is, and SQLModel, which counts what is stored at last. The dialogue has no part in it.

The database is used as ours: WAL, every commit on the disk. What ours does besides has no part here, so it is above the
floor by all of this: which feeds are due and what they said before (validators, headers, hosts left in peace), bounds
of time and memory for strangers' text, cleaned HTML; admission, topics, merged and ranked stories; who gets which, and
what they have read; checks of each mail; links, headers and signatures of each reader; who may have a letter and has
not left meanwhile, what a reply means, how fast a relay may be used; the journal outside the database.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BATCH = 64  # letters that share a commit; ours has about as many over a line of 20 ms

SCHEMA = """
    CREATE TABLE entry (id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, guid TEXT NOT NULL, link TEXT NOT NULL,
        title TEXT NOT NULL, summary TEXT NOT NULL, published TEXT, UNIQUE (feed, guid));
    CREATE TABLE variant (id INTEGER PRIMARY KEY, html TEXT NOT NULL, text TEXT NOT NULL);
    CREATE TABLE outbox (id INTEGER PRIMARY KEY, variant INTEGER NOT NULL REFERENCES variant (id),
        reader INTEGER NOT NULL, email TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        due_at TEXT NOT NULL, tried_at TEXT, settled_at TEXT, code INTEGER NOT NULL DEFAULT 0,
        reply TEXT NOT NULL DEFAULT '', UNIQUE (reader));
    CREATE INDEX outbox_variant ON outbox (variant);
    CREATE INDEX outbox_due ON outbox (due_at, id) WHERE settled_at IS NULL;
"""

HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { margin: 0; padding: 0; background: #f4f4f4; color: #222222; }
table { border-collapse: collapse; }
.page { width: 600px; background: #ffffff; }
.masthead { font-family: Georgia, serif; font-size: 28px; padding: 24px; }
.topic { font-family: Arial, sans-serif; font-size: 13px; color: #666666; padding: 12px 24px; }
.story { font-family: Arial, sans-serif; font-size: 16px; line-height: 1.5; padding: 12px 24px; }
.story a { color: #1a4f8b; text-decoration: none; font-weight: bold; }
.source { font-size: 13px; color: #666666; }
.foot { font-family: Arial, sans-serif; font-size: 12px; color: #666666; padding: 24px; }
</style></head><body><table class="page" align="center" role="presentation">
<tr><td class="masthead">{{ title }}</td></tr>
{% for story in stories %}{% if loop.index0 % 10 == 0 %}<tr><td class="topic">Topic {{ loop.index0 // 10 }}</td></tr>
{% endif %}<tr><td class="story"><a href="{{ story.link }}">{{ story.title }}</a><br>{{ story.summary }}
<br><span class="source">{{ story.source }}</span></td></tr>
{% endfor %}<tr><td class="foot"><a href="https://digest.example/unsubscribe">Unsubscribe</a></td></tr>
</table></body></html>
"""

TEXT = """{{ title }}
{% for story in stories %}
{{ story.title }}
{{ story.summary }}
{{ story.link }}
{% endfor %}
Unsubscribe: https://digest.example/unsubscribe
"""


def main() -> None:
    what, *words = sys.argv[1:]
    if what == "all":
        import typer

        command = typer.Typer()
        command.command()(all_of_it)
        command(words)
    folder, numbers = Path(words[-1]), [int(word) for word in words[:-1]]
    with closing(opened(folder / "parts.db")) as database:
        print(json.dumps({"collect": collect, "compose": compose, "deliver": deliver}[what](database, *numbers)))


def opened(path: Path) -> sqlite3.Connection:
    new = not path.exists()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    if new:
        database.executescript(SCHEMA)
    return database


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    cpu = time.process_time()
    done = work()
    return {"cpu": round(time.process_time() - cpu, 3), "done": done}


def collect(database: sqlite3.Connection, port: int, feeds: int, connections: int) -> dict[str, Any]:
    import feedparser
    import httpx

    loops: dict[str, Any] = {}
    try:
        import uvloop

        loops["loop_factory"] = uvloop.new_event_loop
    except ImportError:
        pass

    def store(number: int, body: bytes) -> int:
        found = feedparser.parse(body)
        rows = [
            (number, one.get("id") or one.link, one.link, one.title, one.get("summary", ""), one.get("published"))
            for one in found.entries
        ]
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT INTO entry (feed, guid, link, title, summary, published) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            rows,
        )
        database.execute("COMMIT")
        return len(rows)

    async def ask() -> int:
        limits = httpx.Limits(max_connections=connections)
        async with httpx.AsyncClient(limits=limits, timeout=None) as client:

            async def one(number: int) -> int:
                answer = await client.get(f"http://127.0.0.1:{port}/{number}")
                return store(number, answer.raise_for_status().content)

            return sum(await asyncio.gather(*map(one, range(feeds))))

    def work() -> int:
        with asyncio.Runner(**loops) as runner:
            return runner.run(ask())

    return timed(work)


def compose(database: sqlite3.Connection, stories: int, variants: int, letters: int) -> dict[str, Any]:
    from jinja2 import Environment
    from premailer import Premailer

    environment = Environment(autoescape=True)
    html, text = environment.from_string(HTML), Environment().from_string(TEXT)

    def work() -> int:
        now = datetime.now(UTC).isoformat(" ")
        database.execute("BEGIN IMMEDIATE")
        rows = database.execute("SELECT title, link, summary, feed FROM entry ORDER BY id").fetchall()
        told = [dict(zip(("title", "link", "summary"), row, strict=False), source=f"Feed {row[3]}") for row in rows]
        for number in range(variants):
            some = [told[(number + n * variants) % len(told)] for n in range(stories)]
            made = Premailer(html.render(title="Daily", stories=some), allow_network=False).transform()
            plain = text.render(title="Daily", stories=some)
            database.execute("INSERT INTO variant (id, html, text) VALUES (?, ?, ?)", (number + 1, made, plain))
        database.executemany(
            "INSERT INTO outbox (variant, reader, email, state, due_at) VALUES (?, ?, ?, 'owed', ?)",
            # Variant by variant, as a good engineer stores what goes out together.
            (
                (variant + 1, n, f"reader{n}@example.org", now)
                for variant in range(variants)
                for n in range(variant + 1, letters + 1, variants)
            ),
        )
        database.execute("COMMIT")
        return variants

    return timed(work)


def deliver(database: sqlite3.Connection, letters: int) -> dict[str, Any]:
    mark = "UPDATE outbox SET state = 'sending', attempts = attempts + 1, due_at = ?, tried_at = ? WHERE id = ?"
    settle = "UPDATE outbox SET state = 'sent', settled_at = ?, code = 250, reply = ? WHERE id = ?"
    reply = "2.0.0 Ok: queued as 4Bc1Xy0k3Tz"

    def work() -> int:
        out: list[int] = []
        while True:
            now = datetime.now(UTC).isoformat(" ")
            database.execute("BEGIN IMMEDIATE")
            database.executemany(settle, [(now, reply, id_) for id_ in out])
            due = database.execute(
                "SELECT id, email, variant FROM outbox WHERE settled_at IS NULL AND due_at <= ? AND state = 'owed'"
                " ORDER BY due_at, id LIMIT ?",
                (now, BATCH),
            ).fetchall()
            lease = f"9999{now[4:]}"  # nobody else sends here
            out = [row[0] for row in due]
            database.executemany(mark, [(lease, now, id_) for id_ in out])
            database.execute("COMMIT")
            if not out:
                (sent,) = database.execute("SELECT count(*) FROM outbox WHERE state = 'sent'").fetchone()
                assert sent == letters, f"{sent:,} of {letters:,} rows"
                return letters

    return timed(work)


def all_of_it(port: int, feeds: int, connections: int, stories: int, variants: int, letters: int, folder: Path) -> None:
    from sqlmodel import Field, Session, SQLModel, create_engine, func, select

    class Outbox(SQLModel, table=True):
        id: int = Field(primary_key=True)
        email: str
        state: str

    path = folder / "all.db"
    with closing(opened(path)) as database:
        collect(database, port, feeds, connections)
        compose(database, stories, variants, letters)
        deliver(database, letters)
    with Session(create_engine(f"sqlite:///{path}")) as session:
        sent = session.exec(select(func.count()).select_from(Outbox).where(Outbox.state == "sent")).one()
    status = Path("/proc/self/status").read_text()
    peak = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")) / 1024
    print(json.dumps({"peak_mb": round(peak), "sent": sent}))


if __name__ == "__main__":
    main()
