"""What it costs PostgreSQL to let go of a large edition's letters beside a sender, and to drop them as a partition.

    python benchmarks/keep_letters.py --quick
    python benchmarks/keep_letters.py --letters 1000000 --json

Two editions of so many letters each: the first was settled long ago and is put into rolls, as `digest db prune` does,
while a sender claims, marks and settles letters of the second. Then the same rows lie in a table of the same columns
and indexes with a partition for each edition, and one is dropped, with a transaction open that has read the table (as a
backup has). PostgreSQL has its own settings but for the size of its buffers, and does not wait for the disk, so figures
of WAL and rows are what holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent.absolute()
sys.path[:0] = [str(HERE), str(HERE / "tests")]

import large  # noqa: E402
import postgres  # noqa: E402
import sqlalchemy as sa  # noqa: E402

from digest.models import OutboxState  # noqa: E402
from digest.store import Database, keeping, open_database, outbox  # noqa: E402
from digest.store.kept import Kind  # noqa: E402

NOW = datetime.now(UTC).replace(microsecond=0)
BATCH = 250  # letters that a sender has in hand
LEASE, LIFETIME = timedelta(minutes=5), timedelta(days=5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=1_000_000, help="of each of the two editions")
    parser.add_argument("--most", type=float, default=600, help="seconds after which rolling is broken off")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        asked.letters = 40_000
    found: dict[str, Any] = {"letters": asked.letters}
    with postgres.server() as server, postgres.fresh(server, "keep_letters") as url:
        database = open_database(url, create=True)
        large.lay(database, asked.letters, [asked.letters, 0, 0, 0, asked.letters], now=NOW)
        found["size_mb"] = mb(database, "outbox")
        found["sender_alone"] = sender(database, lambda: False, rounds=40)
        found["rolled"] = roll(database, asked.most)
        found["partition"] = partition(database)
        database.close()
    if asked.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(
            f"{name:>14}  "
            + (", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else f"{value}")
        )


def mb(database: Database, table: str) -> dict[str, float]:
    with large.alone(database) as connection:
        row = connection.exec_driver_sql(f"SELECT pg_table_size('{table}'), pg_indexes_size('{table}')").one()
    return {"rows": round(row[0] / 1e6, 1), "indexes": round(row[1] / 1e6, 1)}


def wal(database: Database) -> int:
    with large.alone(database) as connection:
        return int(
            connection.exec_driver_sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").scalar_one()
        )


def sender(database: Database, over: Any, *, rounds: int = 1_000_000) -> dict[str, Any]:
    """Claim, mark and settle letters of the second edition until it is `over`: milliseconds of each."""
    spent: dict[str, list[float]] = {"claim": [], "mark": [], "settle": []}
    wanted = outbox.Wanted(5, BATCH)
    number = 0
    while number < rounds and not over():
        number += 1
        began = time.perf_counter()
        with database.write() as session:
            claim = outbox.claim(session, wanted, now=NOW, lease=LEASE, lifetime=LIFETIME, hold_doubtful=False)
        spent["claim"].append(time.perf_counter() - began)
        if not claim.letters:
            break
        began = time.perf_counter()
        with database.write() as session:
            marks = outbox.mark(session, claim.letters, now=NOW, lease=LEASE)
        spent["mark"].append(time.perf_counter() - began)
        outcomes = [outbox.Outcome(id_, tries, OutboxState.SENT, 250, "2.0.0 Ok") for id_, tries in marks.items()]
        began = time.perf_counter()
        with database.write() as session:
            outbox.settle(session, outcomes, now=NOW)
        spent["settle"].append(time.perf_counter() - began)
        time.sleep(0.02)
    found: dict[str, Any] = {"letters": len(spent["settle"]) * BATCH}
    for what, times in spent.items():
        times.sort()
        found[f"{what}_ms"] = [round(1000 * times[int(len(times) * at)], 1) for at in (0.5, 0.95)] if times else []
    return found


def roll(database: Database, most: float) -> dict[str, Any]:
    """Put the first edition's letters into rolls beside a sender: what it costs, and what is left behind."""
    done = threading.Event()
    beside: dict[str, Any] = {}
    other = threading.Thread(target=lambda: beside.update(sender(database, done.is_set)))
    before, began, steps = wal(database), time.perf_counter(), []
    other.start()
    last = [began]

    def tell(_pruned: keeping.Pruned) -> None:
        now = time.perf_counter()
        steps.append(now - last[0])
        last[0] = now

    terms = keeping.Terms({Kind.LETTERS: 45})
    pruned = keeping.prune(
        database,
        terms,
        clock=lambda: NOW,
        whole=True,
        stop=lambda: time.perf_counter() - began > most,
        tell=tell,
    )
    took = time.perf_counter() - began
    done.set()
    other.join()
    rows = pruned.rows.get(Kind.LETTERS, 0)
    written = wal(database) - before - beside["letters"] * _sender_wal(database)
    with large.alone(database) as connection:
        time.sleep(2)  # until the server's figures are there
        dead = connection.exec_driver_sql(
            "SELECT n_dead_tup, autovacuum_count FROM pg_stat_user_tables WHERE relname = 'outbox'"
        ).one()
    left = mb(database, "outbox")
    with large.alone(database) as connection:
        began = time.perf_counter()
        connection.exec_driver_sql("VACUUM outbox")
        vacuum = time.perf_counter() - began
    steps.sort()
    return {
        "rows": rows,
        "seconds": round(took, 1),
        "per_second": round(rows / took),
        "step_ms": [round(1000 * steps[int(len(steps) * at)]) for at in (0.5, 0.95)] if steps else [],
        "finished": pruned.finished,
        "wal_bytes_a_row": round(written / max(rows, 1)),
        "dead": dead[0],
        "autovacuums": dead[1],
        "size_mb": left,
        "vacuum_s": round(vacuum, 1),
        "after_vacuum_mb": mb(database, "outbox"),
        "beside": beside,
    }


def _sender_wal(database: Database) -> int:
    """Bytes of WAL that a letter costs the sender."""
    before = wal(database)
    sent = sender(database, lambda: False, rounds=20)
    return round((wal(database) - before) / max(sent["letters"], 1))


def partition(database: Database) -> dict[str, Any]:
    """The same rows in a table with a partition for each edition, of which one is dropped."""
    with large.alone(database) as connection:
        execute = connection.exec_driver_sql
        execute("CREATE TABLE parted (LIKE outbox INCLUDING DEFAULTS) PARTITION BY RANGE (edition_id)")
        for number in (1, 5):
            execute(f"CREATE TABLE parted_{number} PARTITION OF parted FOR VALUES FROM ({number}) TO ({number + 1})")
        execute("CREATE TABLE parted_rest PARTITION OF parted DEFAULT")
        for definition in execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'outbox'").scalars().all():
            if "(id)" not in definition and "(notice_id)" not in definition:  # unique without the partition's key
                execute(definition.replace("INDEX ", "INDEX parted_").replace(" ON public.outbox", " ON parted"))
        execute("CREATE INDEX parted_id ON parted (id)")
        for number in (1, 5):
            execute(
                f"INSERT INTO parted SELECT (jsonb_populate_record(o, jsonb_build_object('edition_id', {number}))).* "
                "FROM outbox o WHERE edition_id = 5"
            )
        execute("VACUUM ANALYZE parted")
        rows = execute("SELECT count(*) FROM parted_1").scalar_one()
    waited = _refused(database)
    before, began = wal(database), time.perf_counter()
    with large.alone(database) as connection:
        connection.exec_driver_sql("DROP TABLE parted_1")
    took = time.perf_counter() - began
    return {
        "rows": rows,
        "drop_ms": round(1000 * took, 1),
        "wal_bytes": wal(database) - before,
        "beside_a_reader": waited,
    }


def _refused(database: Database) -> str:
    """What becomes of a drop, and of a claim behind it, while somebody's transaction has read the table."""
    said: list[float] = []
    with database.read() as reading:
        reading.execute(sa.text("SELECT count(*) FROM (SELECT 1 FROM parted LIMIT 1) x"))

        def drop() -> None:
            try:
                with database.write() as session:
                    session.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
                    session.execute(sa.text("DROP TABLE parted_1"))
                    session.rollback()
            except Exception:
                said.append(0)

        thread = threading.Thread(target=drop)
        thread.start()
        time.sleep(0.3)
        began = time.perf_counter()
        with database.read() as session:
            session.execute(sa.text("SELECT 1 FROM parted WHERE edition_id = 5 LIMIT 1"))
        waited = time.perf_counter() - began
        thread.join()
    return f"{'given up after 2 s' if said else 'dropped'}, others waited {waited:.1f} s"


if __name__ == "__main__":
    main()
