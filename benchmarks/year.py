"""What each command and an idle run cost after a day, a month and a year: time, CPU, lock, bytes, as ratios to day 1.

    python benchmarks/year.py [--quick] [--json] [--days 1,30,365] [--composed N]
                              [--feeds N] [--entries N] [--readers N] [--variants N]

The first N days (--composed) are made by the product's own steps with a virtual clock: entries stored, admitted,
composed, rendered, claimed and settled, without network. The days after them are copies of their rows, later in time
and with numbers and names of their own; so that a year is there in minutes. The last day ends now, and commands are
called in this process with the real clock, each three times (with --quick once): the median is told. "lock" is for how
long SQLite's write lock was held, "steps" are of its virtual machine, "written" is what the file and its log grew by.
Feeds are never due; what looks ahead (preview, send-test, run --dry-run) has one more day's entries to work on, and is
called in processes of its own as well: "typed" is what an operator waits for, in seconds of the processor.
The first run of a day looks through more than the others, and is told by itself.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import aged
from sqlmodel import select

from digest.cli import garbage

COMMANDS = (
    *("run", "status", "audit", "audit --full", "history", "metrics", "clock", "doctor --offline"),
    *("story list", "story list --waiting", "topic list", "feed list", "feed list --health", "feed show 1"),
    *("edition list", "edition show 1", "outbox list", "outbox list --state refused", "outbox list --in-doubt"),
    *("outbox show 1", "subscriber list", "subscriber show reader1@mail1.example.org", "mail list", "newsletter list"),
    *("why https://f1.example/1-0-0", "why 1", "why 1 --subscriber reader1@mail1.example.org", "alerts list"),
)
DUE = "run, a slot is due"  # whose turn it is, is asked of all readers; nothing waits
AHEAD = ("preview --check", "send-test you@example.org --dry-run", "run --dry-run")
GOALS = {"run": 1.1, DUE: 1.2, **dict.fromkeys(AHEAD, 1.2)}  # times day 1, in CPU; of what looks ahead as it is typed
MOST_SECONDS = 0.3  # of the others, above what `history` costs, which is what any command does
FREE = ("doctor --offline", "audit --full")  # these read all there is, and are to


def build(folder: Path, size: aged.Size, *, days: int, composed: int) -> None:
    """An installation that is so old; its database is as a checkpoint leaves it."""
    from digest import config
    from digest.store import open_database

    settings = config.load(aged.settings(folder))
    database = open_database(settings.database_url, create=True)
    composed = min(days, composed)
    aged.build(database, settings, size, days=composed, until=datetime.now(UTC))
    database.checkpoint()
    database.close()
    aged.age(folder / "digest.db", days=composed, times=max(1, days // composed))


def _bring(folder: Path, size: aged.Size, *, day: int) -> None:
    from digest.store import open_database

    database = open_database(f"sqlite:///{folder / 'digest.db'}")
    with database.write() as session:
        aged.bring(session, size, day=day, at=datetime.now(UTC))
    database.close()


def _let_come_due(folder: Path) -> None:
    from digest.models import Newsletter
    from digest.store import open_database

    database = open_database(f"sqlite:///{folder / 'digest.db'}")
    with database.write() as session:
        for paper in session.exec(select(Newsletter)):
            assert paper.slot_at is not None
            paper.slot_at -= timedelta(days=1)
    database.close()


def ask(folder: Path, command: str, *, times: int) -> dict[str, float]:
    """The median of what a command costs."""
    found: dict[str, list[float]] = {}
    for _ in range(times):
        size, begun, cpu = _bytes(folder), time.perf_counter(), time.process_time()
        with aged.counted() as cost:
            aged.type_in(folder, *command.split())
        one = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "lock": cost.lock}
        one |= {"written": _bytes(folder) - size, "statements": cost.statements, "steps": cost.steps}
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def typed(folder: Path, command: str, *, times: int) -> dict[str, float]:
    """The median of the seconds of the processor that a command takes from its start to its end."""
    words = [sys.executable, "-m", "digest", "-c", str(folder / "digest.toml"), *command.split()]
    found = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"typed": statistics.median(found)}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.name in ("digest.db", "digest.db-wal"))


def measure(folder: Path, size: aged.Size, *, times: int) -> dict[str, Any]:
    """All commands at this age, each so many times."""
    costs = {"first run of a day": ask(folder, "run", times=1)}
    _bring(folder, size, day=10_000)
    ask(folder, "run", times=1)  # it decides about that day's entries, as each run does, and so learns of them
    ask(folder, "history", times=1)  # what is imported once is nobody's
    costs |= {command: ask(folder, command, times=times) for command in COMMANDS}
    _bring(folder, size, day=10_001)
    costs |= {command: ask(folder, command, times=times) | typed(folder, command, times=times) for command in AHEAD}
    ask(folder, "run", times=1)
    _let_come_due(folder)
    costs[DUE] = ask(folder, "run", times=1)
    return {"bytes": _bytes(folder), "commands": costs}


def missed(ages: dict[int, dict[str, Any]]) -> list[str]:
    """The goals that the oldest age misses, in words."""
    young, old = (ages[age]["commands"] for age in (min(ages), max(ages)))
    found = []
    for command, cost in old.items():
        what = "typed" if command in AHEAD else "cpu"
        ratio = cost[what] / young[command][what]
        if command in GOALS and ratio > GOALS[command]:
            found.append(f"{command}: {ratio:.2f} times day {min(ages)}, {GOALS[command]} is the goal")
        own = cost["cpu"] - old["history"]["cpu"]
        if command in COMMANDS and command not in (*FREE, *GOALS) and own > MOST_SECONDS:
            found.append(f"{command}: {own:.2f} s, {MOST_SECONDS} is the goal")
    return found


def tell(ages: dict[int, dict[str, Any]]) -> None:
    first = min(ages)
    for age, found in ages.items():
        print(
            f"\nday {age}: {found['bytes'] / 1e6:,.1f} MB, {found['bytes'] / ages[first]['bytes']:.1f} of day {first}"
        )
        print(
            f"{'':46}{'s':>8}{'cpu':>8}{'of day ' + str(first):>10}{'lock ms':>9}{'written':>9}{'steps':>12}{'of':>8}"
        )
        for command, cost in found["commands"].items():
            young = ages[first]["commands"][command]
            print(
                f"{command:46}{cost['seconds']:8.2f}{cost['cpu']:8.3f}{cost['cpu'] / young['cpu']:10.2f}"
                f"{cost['lock'] * 1000:9.1f}{cost['written']:9.0f}{cost['steps']:12,.0f}"
                f"{cost['steps'] / max(1, young['steps']):8.2f}"
                + (f"  typed {cost['typed']:.2f} s, {cost['typed'] / young['typed']:.2f}" if "typed" in cost else "")
            )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small installation, in less than a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--days", default="1,30,365", help="ages in days, the youngest first")
    parser.add_argument("--composed", type=int, default=1, help="of these so many by the product's own steps")
    for name, most in (("feeds", 50), ("entries", 1_400), ("readers", 5_000), ("variants", 60)):
        parser.add_argument(f"--{name}", type=int, default=most, help="of a day" if name == "entries" else "")
    options = parser.parse_args(arguments)
    size = aged.Size(options.feeds, options.entries, options.readers, options.variants)
    if options.quick:
        size = aged.Size()
    garbage.start()  # as the command does before it imports, and once it works
    garbage.work()
    ages: dict[int, dict[str, Any]] = {}
    for days in sorted(map(int, options.days.split(","))):
        with tempfile.TemporaryDirectory(prefix="digest-year-") as name:
            folder = Path(name)
            build(folder, size, days=days, composed=options.composed)
            ages[days] = measure(folder, size, times=1 if options.quick else 3)
            shutil.rmtree(folder / "digest.db.witness", ignore_errors=True)
    misses = missed(ages)
    if options.json:
        print(json.dumps({"size": vars(size), "ages": ages, "missed": misses}, indent=2))
    else:
        tell(ages)
        print("\n" + ("\n".join(misses) or "every goal is met"))
    return 1 if misses and not options.quick else 0


if __name__ == "__main__":
    raise SystemExit(main())
