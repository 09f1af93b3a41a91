"""A million subscribers in, out and taken back: time, memory, and for how long others must wait for the write lock.

    python benchmarks/subscribers.py [--quick] [--json] [--import N] [--database postgresql://…]

The goals are for SQLite, where a writer shuts out all others; PostgreSQL locks one newsletter. Another process writes a
row every twentieth of a second meanwhile, as a sender does: the longest that it had to wait is told.

Times are told as multiples of a floor measured in the same run: reading the same file with `csv` and putting
its cells into a bare SQLite table.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
GOALS = {
    "import_rows_per_cpu_second": 10_000,  # at least
    "import_times_floor": 40,
    "export_times_floor": 15,
    "longest_wait_seconds": 5,
    "undo_times_import": 1,
    "peak_mb": 150,
}


def write_list(path: Path, rows: int) -> None:
    """Addresses in no order, in a few thousand domains; one in 17 has left, some have topics and tags."""
    chance = random.Random(1)
    domains = ["example.com", "example.org", "example.net", *(f"mail{i}.example.org" for i in range(2_000))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "name", "status", "topics", "tags", "created_at"])
        for i in chance.sample(range(rows * 10), rows):
            state = "unsubscribed" if i % 17 == 0 else "subscribed"
            topics, tags = "ai" if i % 3 else "", "vip" if i % 100 == 0 else ""
            writer.writerow(
                [f"reader{i}@{chance.choice(domains)}", f"Reader {i}", state, topics, tags, "2025-01-11 10:00:00"]
            )


def floor(source: Path, folder: Path) -> float:
    begun = time.perf_counter()
    database = sqlite3.connect(folder / "floor.db")
    database.execute("CREATE TABLE person (email, name, state, topics, tags, since)")
    with source.open(newline="", encoding="utf-8") as file:
        database.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?)", csv.reader(file))
    database.commit()
    database.close()
    return time.perf_counter() - begun


def take_in(url: str, source: Path) -> dict[str, Any]:
    from digest import subscribe
    from digest.store import newsletters, open_database

    database = open_database(url, create=True)
    newsletters.keep(database, ["daily"], now=NOW)
    terms = subscribe.Terms("list.csv", NOW, {"ai"}, secret="a key for the benchmark", vouched_by="benchmark")
    begun, cpu = time.perf_counter(), time.process_time()
    with source.open("rb") as stream, sender_beside(url) as waits:
        done = subscribe.import_csv(database, stream, terms, newsletter="daily")
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    database.close()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "longest_wait": waits.longest,
        "added": done.added,
        "left": done.left,
        "peak_mb": _peak(),
    }


class Waits:
    """How long somebody waited for the write lock at most."""

    longest = 0.0


@contextmanager
def sender_beside(url: str) -> Iterator[Waits]:
    """Another process that writes a row every twentieth of a second, within the block."""
    ours, theirs = multiprocessing.Pipe()
    context, waits = multiprocessing.get_context("spawn"), Waits()
    beside = context.Process(target=_write_beside, args=(url, theirs))
    beside.start()
    try:
        ours.recv()  # it is ready
        yield waits
    finally:
        ours.send("enough")
        waits.longest = ours.recv()
        beside.join()


def _write_beside(url: str, line: Any) -> None:
    from digest.store import newsletters, open_database

    database, longest = open_database(url), 0.0
    line.send("ready")
    while not line.poll(0.05):
        begun = time.perf_counter()
        with database.write() as session:
            newsletters.find(session, "daily").note = f"waited for {longest} at most"
        longest = max(longest, time.perf_counter() - begun)
    database.close()
    line.send(longest)


def give_out(url: str, target: Path) -> dict[str, Any]:
    from digest import subscribe
    from digest.store import open_database

    database = open_database(url)
    begun = time.perf_counter()
    with target.open("w", encoding="utf-8", newline="") as out:
        rows = subscribe.export_csv(database, out, newsletter="daily")
    seconds = time.perf_counter() - begun
    database.close()
    return {"seconds": seconds, "rows": rows, "peak_mb": _peak()}


def take_back(url: str) -> dict[str, Any]:
    """The import undone, in two halves of the processor's time: where the second takes longer, it is not linear."""
    from digest.store import import_log, open_database
    from digest.values import Evidence

    database = open_database(url)
    begun, last = time.perf_counter(), time.process_time()
    steps: list[float] = []
    step = import_log._take_back

    def timed(*args: Any) -> None:
        nonlocal last
        step(*args)
        steps.append(time.process_time() - last)
        last = time.process_time()

    import_log._take_back = timed
    with sender_beside(url) as waits:
        done = import_log.undo(database, 1, evidence=Evidence("benchmark", NOW))
        seconds = time.perf_counter() - begun
    database.close()
    half = len(steps) // 2
    share = sum(steps[half:]) / max(sum(steps), 1e-9)
    made = done.counts.get("people made", 0)
    return {
        "seconds": seconds,
        "cpu": sum(steps),
        "longest_wait": waits.longest,
        "made": made,
        "later": share,
        "peak_mb": _peak(),
    }


def _peak() -> float:
    """Of this process, in MB (Linux tells kB)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def alone(work: Any, *args: Any) -> dict[str, Any]:
    """Run in a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="50,000 rows in place of 1,000,000")
    options.add_argument("--import", type=int, metavar="N", dest="rows", help="so many rows")
    options.add_argument("--json", action="store_true", help="one line, with the goals")
    options.add_argument("--database", help="an empty PostgreSQL database; else SQLite in a temporary folder")
    chosen = options.parse_args()
    rows = chosen.rows or (50_000 if chosen.quick else 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "list.csv", folder / "out.csv"
        url = (chosen.database or f"sqlite:///{folder / 'digest.db'}").replace("postgresql://", "postgresql+psycopg://")
        write_list(source, rows)
        lowest = floor(source, folder)
        taken = alone(take_in, url, source)
        given = alone(give_out, url, target)
        undone = alone(take_back, url)
    figures = {
        "rows": rows,
        "import_seconds": round(taken["seconds"], 1),
        "export_seconds": round(given["seconds"], 1),
        "floor_seconds": round(lowest, 2),
        "import_times_floor": round(taken["seconds"] / lowest, 1),
        "export_times_floor": round(given["seconds"] / lowest, 1),
        "import_rows_per_cpu_second": round(rows / taken["cpu"]),
        "longest_wait_seconds": round(max(taken["longest_wait"], undone["longest_wait"]), 2),
        "peak_mb": max(taken["peak_mb"], given["peak_mb"], undone["peak_mb"]),
        "undo_seconds": round(undone["seconds"], 1),
        "undo_cpu_ms_per_row": round(undone["cpu"] * 1000 / rows, 3),
        "undo_times_import": round(undone["seconds"] / taken["seconds"], 2),
        "undo_second_half": round(undone["later"], 2),
    }
    if undone["made"] != rows:
        sys.exit(f"not all was taken back: {undone}")
    if taken["added"] + taken["left"] != rows or given["rows"] != rows:
        sys.exit(f"rows were lost: {taken}, {given}")
    if chosen.json:
        print(json.dumps({"benchmark": "subscribers", **figures, "goals": GOALS}))
        return
    for figure, value in figures.items():
        bound = "at least" if figure == "import_rows_per_cpu_second" else "at most"
        print(f"{figure:26} {value:>12,}" + (f"   {bound} {GOALS[figure]:,}" if figure in GOALS else ""))


if __name__ == "__main__":
    main()
