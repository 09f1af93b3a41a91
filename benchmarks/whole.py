"""The whole of `digest run` in one process: feeds, variants, letters over a slow line; this digest against another.

    python benchmarks/whole.py [--quick] [--json] [--against CHECKOUT] [--feeds N] [--letters N] [--variants N]

Feeds are served on loopback, readers choose so many different sets of topics, letters go to Postfix's smtp-sink over a
line of 20 ms there and back. What is timed is `line.run` on a database with readers and feeds, and without any entry;
its stages are told by seconds, seconds of the processor (with those of the processes that parse), share, and the peak
until each ends. A CHECKOUT is a git worktree of another commit: both run in turns, each round on the same machine with
the same other work, and the ratios are medians over the rounds. Peak memory is that of the process, without those that
parse. `letter_cpu_us` is what a letter takes of the processor, and what the bare dialogue of `send.py` takes of it over
the same line, with no rows and a letter as large as ours.

`the_parts_alone_cpu` is the floor: what the same feeds, variants and letters cost who uses the parts of digest by
themselves (`parts_alone.py` says how: httpx, feedparser, Jinja, premailer, sqlite3, and that dialogue), beside ours, in
seconds of the processor; what ours does that no part does, as admission, is in the sum of ours alone.
`cpu_to_the_parts` is how many times as much ours takes in all. It is told and has no goal: nobody sends such letters,
the same for each reader, with no link of theirs, no judgement of replies, and no word of who must not get one any more.
`the_line_alone_seconds` is the floor by the clock: what that dialogue takes for as many letters over the same line and
as many connections, with no feeds, mails and rows before it. `the_line_to_the_other` is that beside all that the other
takes: `seconds_to_the_other` cannot be less, however little the rest takes.
`the_parts_alone_peak_mb` is the peak memory of a process that does all of that one after the other, but for the
dialogue, with SQLModel and Typer loaded and used as well: beside `peak_mb`, and no goal either.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent.absolute()
STORIES = 40  # in each mail
STAGES = ("collect", "admit", "full_texts", "compose", "deliver")
GOALS = {"seconds_to_the_other": 0.5, "peak_mb": 110}  # at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, one round: less than a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--feeds", type=int, default=1_000)
    parser.add_argument("--letters", type=int, default=100_000)
    parser.add_argument("--variants", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="a worktree of another commit")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        top, what, folder, *numbers = options.child
        sys.path.insert(0, top)
        print(json.dumps({"fill": fill, "run": run, "size": letter_size}[what](Path(folder), *map(int, numbers))))
        return
    if options.quick:
        options.feeds, options.letters, options.rounds = 60, 3_000, 1
    figures = compare(options)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<28}{value}")


def compare(options: argparse.Namespace) -> dict[str, Any]:
    sys.path.insert(0, str(HERE / "benchmarks"))
    from send import bare, proxy, sample, sink

    checkouts = {"ours": HERE} | ({"theirs": options.against.absolute()} if options.against else {})
    seen: dict[str, list[dict[str, Any]]] = {who: [] for who in checkouts}
    dialogue, alone_on_line, floor, peaks = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="digest-whole-") as temporary, served(options.feeds) as site:
        folder = Path(temporary)
        with sink(folder) as (fast, _), proxy(fast) as port:
            for turn in range(options.rounds):
                for who in sorted(checkouts, reverse=bool(turn % 2)):
                    here = folder / f"{who}{turn}"
                    here.mkdir()
                    top, numbers = checkouts[who], (port, options.connections)
                    child(top, "fill", here, *numbers, site, options.feeds, options.letters, options.variants)
                    found = child(top, "run", here, *numbers)
                    if (found["variants"], found["sent"]) != (options.variants, options.letters):
                        raise SystemExit(f"{who}: {found['variants']} variants and {found['sent']} letters")
                    seen[who].append(found)
                    if not options.json:
                        told = ", ".join(f"{name} {wall} s" for name, (wall, *_) in found["stages"].items())
                        print(
                            f"  round {turn + 1}: {who:<7}{found['seconds']:7.1f} s, {found['cpu']:.1f} s CPU: {told}"
                        )
                        sys.stdout.flush()
                size = child(HERE, "size", folder / f"ours{turn}", port, options.connections)["bytes"]
                (folder / "letter.eml").write_bytes((sample() * (size // 39_000 + 2))[: size - 2] + b"\r\n")
                rate, letter_cpu = bare(folder, options.connections, port, options.letters)
                dialogue.append(letter_cpu)
                alone_on_line.append(options.letters / rate)
                alone, peak = parts(folder / f"ours{turn}", site, options)
                peaks.append(peak)
                floor.append(alone | {"deliver": alone["deliver"] + dialogue[-1] * options.letters})
    middle = {who: sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2] for who, runs in seen.items()}
    figures: dict[str, Any] = {
        "feeds": options.feeds,
        "letters": options.letters,
        "variants": options.variants,
        "load_average": round(os.getloadavg()[1], 1),
        "seconds": middle["ours"]["seconds"],
        "the_line_alone_seconds": round(statistics.median(alone_on_line), 2),
        "cpu_seconds": middle["ours"]["cpu"],
        "peak_mb": max(one["peak_mb"] for one in seen["ours"]),
        "the_parts_alone_peak_mb": max(peaks),
        "stages": {
            name: {"seconds": wall, "cpu": cpu, "share": round(wall / middle["ours"]["seconds"], 3), "peak_mb": peak}
            for name, (wall, cpu, peak) in middle["ours"]["stages"].items()
        },
        "letter_cpu_us": {
            "delivered": round(middle["ours"]["stages"]["deliver"][1] / options.letters * 1e6),
            "bare_dialogue": round(statistics.median(dialogue) * 1e6),
        },
        "letter_bytes": size,
        "the_parts_alone_cpu": {
            name: {
                "parts": round(statistics.median(alone[name] for alone in floor), 2),
                "ours": round(statistics.median(one["stages"][name][1] for one in seen["ours"]), 2),
            }
            for name in floor[0]
        },
        "cpu_to_the_parts": round(
            statistics.median(one["cpu"] / sum(alone.values()) for one, alone in zip(seen["ours"], floor, strict=True)),
            2,
        ),
    }
    if options.against:
        pairs = list(zip(seen["ours"], seen["theirs"], strict=True))
        for name in ("seconds", "cpu"):
            figures[f"{name}_to_the_other"] = round(statistics.median(a[name] / b[name] for a, b in pairs), 3)
        least = [line / other["seconds"] for line, other in zip(alone_on_line, seen["theirs"], strict=True)]
        figures["the_line_to_the_other"] = round(statistics.median(least), 3)
        figures["peak_mb_of_the_other"] = max(one["peak_mb"] for one in seen["theirs"])
        figures["stages_of_the_other"] = middle["theirs"]["stages"]
    return figures | {"goals": GOALS}


def child(top: Path, what: str, folder: Path, *numbers: int) -> dict[str, Any]:
    """One step in a process of its own, with the package of that checkout."""
    return told(top, __file__, "--child", top, what, folder, *numbers)


def parts(folder: Path, site: int, options: argparse.Namespace) -> tuple[dict[str, float], int]:
    """Seconds of the processor of the parts alone by stage, and their peak in MB together, without the dialogue."""
    collect = settings(folder, 1, 1).collect.connections
    steps: dict[str, tuple[int, ...]] = {
        "collect": (site, options.feeds, collect),
        "compose": (STORIES, options.variants, options.letters),
        "deliver": (options.letters,),
    }
    script = HERE / "benchmarks" / "parts_alone.py"
    cpu = {name: told(HERE, script, name, *numbers, folder)["cpu"] for name, numbers in steps.items()}
    numbers = (site, options.feeds, collect, STORIES, options.variants, options.letters)
    return cpu, told(HERE, script, "all", *numbers, folder)["peak_mb"]


def told(top: Path, *words: object) -> dict[str, Any]:
    """What a script prints last, in a process of its own."""
    ran = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, cwd=top)
    if ran.returncode:
        raise SystemExit(f"{top}: {' '.join(map(str, words))} failed\n{ran.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


# ---------------------------------------------------------------- what is run


def settings(folder: Path, port: int, connections: int) -> Any:
    from digest.config import from_values

    daily = {"title": "Daily", "from": "The Daily <news@news.example>", "max_stories": STORIES}
    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": "a key for the benchmark, long enough",
        "collect": {"allow_private_addresses": True},
        "smtp": {"url": f"smtp://127.0.0.1:{port}", "connections": connections},
        "newsletters": {"daily": daily},
    }
    return from_values(values, folder / "digest.toml")


def fill(
    folder: Path, port: int, connections: int, site: int, feeds: int, letters: int, variants: int
) -> dict[str, Any]:
    """Readers of so many different choices in turn, who have read nothing, and feeds that were never asked."""
    import sqlalchemy as sa

    from digest import collect
    from digest.config import TOPICS
    from digest.models import Subscriber, Subscription, SubscriptionState
    from digest.store import newsletters, open_database

    config, now = settings(folder, port, connections), datetime.now(UTC)
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=now)
    outlines = [collect.sources.Outline(f"http://127.0.0.1:{site}/{n}") for n in range(feeds)]
    collect.import_feeds(database, outlines, name="daily", newsletter=config.newsletters["daily"], now=now)
    chance, choices = random.Random(1), {(): None}
    while len(choices) < variants:
        choices[tuple(sorted(chance.sample(sorted(TOPICS), chance.randint(3, 9))))] = None
    listed = [list(topics) for topics in choices]
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        for start in range(1, letters + 1, 10_000):
            numbers = range(start, min(letters + 1, start + 10_000))
            people = [
                {"id": n, "email": f"reader{n}@example.org", "name": f"Reader {n}", "tags": [], "created_at": now}
                for n in numbers
            ]
            chosen = [
                {
                    "id": n,
                    "subscriber_id": n,
                    "newsletter_id": paper.id,
                    "state": SubscriptionState.ACTIVE,
                    "topics": listed[n % len(listed)],
                    "read_until": 0,
                    "consent": "benchmark",
                    "created_at": now,
                    "changed_at": now,
                }
                for n in numbers
            ]
            session.connection().execute(sa.insert(Subscriber), people)
            session.connection().execute(sa.insert(Subscription), chosen)
    database.close()
    return {}


def run(folder: Path, port: int, connections: int) -> dict[str, Any]:
    """What `digest run` does, timed, with its stages."""
    from digest import line
    from digest.store import open_database

    config = settings(folder, port, connections)
    database = open_database(config.database_url)
    with contextlib.suppress(ImportError):  # of a release without a witness
        from digest.store.journal import Journal
        from digest.store.witness import Witness

        database.witness = Witness(Journal(folder / "witness"), clock=lambda: datetime.now(UTC))
    spent: dict[str, list[float]] = {}
    for name in STAGES:
        if hasattr(line, name):
            setattr(line, name, timed(getattr(line, name), spent.setdefault(name, [0.0, 0.0, 0.0])))
    with contextlib.suppress(ImportError):  # of a release that looked for garbage as often as Python does by itself
        from digest.cli import garbage

        garbage.start()
        garbage.work()
    wanted = {"clock": lambda: datetime.now(UTC), "rng": random.Random(1)}
    assert set(wanted) <= set(inspect.signature(line.run).parameters)
    start, cpu = time.perf_counter(), cpu_seconds()
    outcome = line.run(database, config, **wanted)
    took, used = time.perf_counter() - start, cpu_seconds() - cpu
    database.close()
    assert outcome.deliver is not None
    return {
        "seconds": round(took, 2),
        "cpu": round(used, 2),
        "peak_mb": round(peak_mb()),
        "stories": [done.stories for done in outcome.compose if hasattr(done, "stories")],
        "variants": sum(done.variants for done in outcome.compose),
        "sent": outcome.deliver.sent,
        "stages": {name: (round(wall, 2), round(cpu, 2), round(peak)) for name, (wall, cpu, peak) in spent.items()},
    }


def letter_size(folder: Path, port: int, connections: int) -> dict[str, Any]:
    """Bytes of a letter of the middle variant."""
    from sqlmodel import select

    from digest.letter import Recipient, Sender, Template
    from digest.models import Variant
    from digest.render import Marker, Marks, Rendered
    from digest.store import open_database

    database = open_database(settings(folder, port, connections).database_url)
    sender = Sender("The Daily <news@news.example>", datetime.now(UTC), newsletter="daily", number=1)
    links = dict.fromkeys(Marker, f"https://digest.example/page/{'t' * 60}")
    with database.read() as session:
        sizes = []
        for variant in session.exec(select(Variant)):
            mail = Rendered(variant.subject, variant.html, variant.text, marks=Marks(variant.marks))
            recipient = Recipient("reader@example.org", "Reader", links)
            letter = Template(mail, sender).fill(recipient, mail_from="b-x@news.example", message_id="<x@news.example>")
            sizes.append(len(letter.content))
    database.close()
    return {"bytes": sorted(sizes)[len(sizes) // 2]}


def timed(step: Any, spent: list[float]) -> Any:
    def measured(*args: Any, **options: Any) -> Any:
        start, cpu = time.perf_counter(), cpu_seconds()
        try:
            return step(*args, **options)
        finally:
            spent[0] += time.perf_counter() - start
            spent[1] += cpu_seconds() - cpu
            spent[2] = peak_mb()

    return measured


def peak_mb() -> float:
    """Of this process until now."""
    status = Path("/proc/self/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")) / 1024


def cpu_seconds() -> float:
    """Of this process and of those that it has ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


# ---------------------------------------------------------------- what it reads


@contextlib.contextmanager
def served(feeds: int) -> Iterator[int]:
    """Feeds on loopback at `/0` to `/{feeds - 1}`; the port."""
    server = subprocess.Popen([sys.executable, "-c", SITE, str(feeds)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


SITE = r"""
import asyncio, random, sys
from email.utils import formatdate
from time import time

KINDS = (
    "model training inference", "vulnerability exploit patch", "postgres database index", "raft consensus replica",
    "kubernetes deploy terraform", "css browser javascript", "rust compiler type", "linux kernel driver",
    "startup funding acquisition", "open source license", "chip gpu semiconductor", "physics study genome",
)

def feed(number):
    chance = random.Random(number)
    word = lambda: "".join(chance.choice("bcdfglmnprstvz") + chance.choice("aeiou") for _ in range(3))
    items = []
    for n in range(10):
        kind = KINDS[(number + n) % len(KINDS)]
        text = " ".join(word() for _ in range(120))
        items.append(f"<item><title>{word()} {kind} {word()} {word()}</title><link>https://f{number}.example/{n}</link>"
                     f"<guid>https://f{number}.example/{n}</guid><pubDate>{formatdate(time() - 3600 * n)}</pubDate>"
                     f"<description>{text}.</description></item>")
    return (f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed {number}</title>'
            f'<link>https://f{number}.example/</link><description>d</description>{"".join(items)}</channel></rss>').encode()

async def answer(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].strip(b"/")
        body = feed(int(path)) if path.isdigit() else b""
        status = b"200 OK" if body else b"404 Not Found"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/rss+xml\r\nConnection: close\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


if __name__ == "__main__":
    main()
