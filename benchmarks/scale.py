"""Several worker processes on one PostgreSQL: how much more they do than one, and what holds while they are killed.

    python benchmarks/scale.py [--quick] [--json] [--letters N] [--feeds N] [--workers 1,2,4]
                               [--only letters|feeds|trouble]

Letters go to `sink.c`, a server of one process that answers all and costs some microseconds a letter: its figure is
told, so that it can be seen not to be the bound. PostgreSQL is one of its own with its own settings (or that which
DIGEST_TEST_POSTGRES names). Each number of workers begins with a fresh database, and a rate is counted from the first
letter (or feed) to the last, so that the start of processes is not in it. On a machine with fewer processors than
workers, PostgreSQL and the sink need, a second worker is not worth a whole one: `processors` and `load` are told.

With trouble: workers are killed at random, and PostgreSQL is stopped and started again as if the power had gone, with
PgBouncer between where it is installed. Goals: nobody missing, nobody unexpected, and each letter that came twice is
one that the outbox has in doubt.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent.absolute()
sys.path[:0] = [str(HERE), str(HERE / "tests")]

import pooler  # noqa: E402
import postgres  # noqa: E402
import sqlalchemy as sa  # noqa: E402

KEY = "a key for the benchmark, long enough"
SIZE = 39_000
CONNECTIONS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--letters", type=int, default=40_000)
    parser.add_argument("--feeds", type=int, default=400)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--only", choices=("letters", "feeds", "trouble"))
    options = parser.parse_args()
    if options.quick:
        options.letters, options.feeds = 6_000, 120
    numbers = [int(number) for number in options.workers.split(",")]
    wanted = [options.only] if options.only else ["letters", "feeds", "trouble"]
    figures: dict[str, Any] = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory(prefix="digest-scale-") as name, postgres.server() as server:
        for number in numbers if "letters" in wanted else ():
            folder = _folder(name, f"letters{number}")
            figures[f"letters_{number}"] = letters(folder, server, number, options.letters)
            _told(options, f"letters, {number} workers", figures[f"letters_{number}"])
        for number in numbers if "feeds" in wanted else ():
            folder = _folder(name, f"feeds{number}")
            figures[f"feeds_{number}"] = feeds(folder, server, number, options.feeds)
            _told(options, f"feeds, {number} workers", figures[f"feeds_{number}"])
    if "trouble" in wanted:
        with tempfile.TemporaryDirectory(prefix="digest-scale-") as name:
            figures["trouble"] = trouble(Path(name), options.letters)
        _told(options, "trouble", figures["trouble"])
    rates = {n: figures[f"letters_{n}"]["per_second"] for n in numbers if f"letters_{n}" in figures}
    if 1 in rates and 2 in rates:
        figures["second_worker"] = round(rates[2] / rates[1] - 1, 2)
    parts = [value for value in figures.values() if isinstance(value, dict) and "missing" in value]
    good = all(not part["missing"] and not part["unflagged"] for part in parts)
    if options.json:
        print(json.dumps(figures | {"good": good}))
    sys.exit(0 if good else 1)


def _folder(name: str, what: str) -> Path:
    """For each database its own: what went out of one stands beside its settings."""
    folder = Path(name) / what
    folder.mkdir()
    return folder


def _told(options: argparse.Namespace, what: str, found: dict[str, Any]) -> None:
    if not options.json:
        print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in found.items()), flush=True)


# ---------------------------------------------------------------- a scene


def settings(folder: Path, url: str, port: int) -> Path:
    path = folder / "digest.toml"
    path.write_text(f"""
database = "{url}"
base_url = "https://news.example"
secret_key = "{KEY}"
[collect]
allow_private_addresses = true
[smtp]
url = "smtp://127.0.0.1:{port}"
connections = {CONNECTIONS}
canary = 0
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
schedule = "daily 06:00"
""")
    path.chmod(0o600)
    return path


def owe(url: str, config: Path, number: int) -> list[str]:
    """Make so many readers, and owe each a letter of one edition. Their addresses."""
    from digest import config as configuration
    from digest import subscribe
    from digest.models import Edition, Variant
    from digest.render import Marker, Marks
    from digest.schedule import Turn
    from digest.store import newsletters, open_database, recipients

    now, marks = datetime.now(UTC), Marks("a nonce of the benchmark")
    loaded = configuration.load(config)
    database = open_database(url)
    newsletters.keep(database, loaded.newsletters, now=now)
    emails = [f"reader{number}@d{number % 97}.example" for number in range(number)]
    terms = subscribe.Terms("benchmark", now, (), secret=KEY, vouched_by="benchmark")
    if emails:
        subscribe.import_csv(database, BytesIO("\n".join(["email", *emails]).encode()), terms, newsletter="daily")
        with database.write() as session:
            paper = newsletters.lock(session, "daily")
            paper.edition_number += 1
            about = {"newsletter_id": paper.id, "number": 1, "composed_at": now, "upto_seq": paper.seq}
            edition = Edition(**about, sender="Daily <news@news.example>")
            session.add(edition)
            session.flush()
            leave = marks.address(Marker.UNSUBSCRIBE)
            body = f'<p>{"word " * (SIZE // 8)}</p><a href="{leave}">Unsubscribe</a>'
            text = {
                "subject": "News",
                "html": body,
                "text": f"{'word ' * (SIZE // 16)}\n{leave}\n",
                "marks": marks.nonce,
            }
            counts = {"since_seq": 0, "story_count": 1, "more_count": 0}
            variant = Variant(edition_id=edition.id, key="all", **text, **counts)
            session.add(variant)
            session.flush()
            with recipients.laid_out(session, {("", None, ""): [Turn(now, now)]}):
                recipients.owe_letters(session, edition, {recipients.Group(0, "[]", "", False): variant.id}, now=now)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    database.close()
    return emails


class Sink:
    """`sink.c` at work."""

    def __init__(self, folder: Path) -> None:
        program = folder / "sink"
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", program, HERE / "benchmarks" / "sink.c"], check=True)
        self.file = folder / f"record-{time.monotonic_ns()}"
        self.process = subprocess.Popen([program, self.file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def taken(self) -> list[tuple[float, str]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(float(at), to) for at, _, to in (line.partition(" ") for line in lines)]

    def end(self) -> float:
        """Microseconds of the processor for each letter."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate()
        number, seconds = said.split()
        return round(float(seconds) / max(1, int(number)) * 1e6, 1)


@contextmanager
def at_work(config: Path, number: int, *words: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, until the block ends."""
    started = [begin(config, *words) for _ in range(number)]
    try:
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(90)


def begin(config: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "digest", "-c", str(config), "worker", *words]
    with (config.parent / "workers.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE)


def until(there: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if there():
            return True
        time.sleep(0.1)
    return False


def verdict(url: str, sink: Sink, emails: list[str]) -> dict[str, Any]:
    """What came against what was owed."""
    got = Counter(to for _, to in sink.taken())
    engine = sa.create_engine(url)
    query = "SELECT p.email, o.in_doubt, o.state FROM outbox o JOIN subscriber p ON p.id = o.subscriber_id"
    with engine.connect() as connection:
        rows = connection.execute(sa.text(query)).all()
    engine.dispose()
    doubtful = {email for email, in_doubt, _ in rows if in_doubt}
    return {
        "missing": len(set(emails) - got.keys()),
        "unexpected": len(got.keys() - set(emails)),
        "duplicates": sum(number - 1 for number in got.values()),
        "unflagged": sum(number > 1 and email not in doubtful for email, number in got.items()),
        "not_settled_as_sent": sum(state != "sent" for _, _, state in rows),
    }


# ---------------------------------------------------------------- what is measured


def letters(folder: Path, server: str, workers: int, number: int) -> dict[str, Any]:
    with postgres.fresh(server, f"letters{workers}") as url:
        sink = Sink(folder)
        config = settings(folder, url, sink.port)
        emails = owe(url, config, number)
        with at_work(config, workers, "--queues", "deliver"):
            until(lambda: len(sink.taken()) >= number, 600)
        moments = [at for at, _ in sink.taken()]
        cost = sink.end()
        # The middle: while all were at work.
        first, last = moments[len(moments) // 10], moments[-len(moments) // 10]
        rate = round(0.8 * len(moments) / (last - first))
        return {"per_second": rate, "sink_us": cost} | verdict(url, sink, emails)


class _Feeds(BaseHTTPRequestHandler):
    asked: list[float]

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self.send_error(404)
            return
        self.asked.append(time.monotonic())
        items = "".join(
            f"<item><title>Story {n} of {self.path}</title><link>http://{self.headers['Host']}{self.path}/{n}</link>"
            f"<description>{'words ' * 60}</description></item>"
            for n in range(20)
        )
        body = f'<rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def feeds(folder: Path, server: str, workers: int, number: int) -> dict[str, Any]:
    """Feeds of a host each, 20 entries: from the first request to the last feed that is stored."""
    from digest import collect
    from digest.store import open_database

    _Feeds.asked = []
    site = ThreadingHTTPServer(("0.0.0.0", 0), _Feeds)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    with postgres.fresh(server, f"feeds{workers}") as url:
        config = settings(folder, url, 1)
        owe(url, config, 0)
        database, now = open_database(url), datetime.now(UTC)
        for one in range(number):
            host = f"127.1.{one // 250}.{one % 250 + 1}:{site.server_port}"
            collect.add_feed(database, f"http://{host}/feed", newsletter="daily", title=f"F{one}", topic="", now=now)

        def stored() -> int:
            with database.read() as session:
                query = "SELECT count(*) FROM feed WHERE checked_at IS NOT NULL AND entry_count > 0"
                return int(session.execute(sa.text(query)).scalar_one())

        with at_work(config, workers, "--queues", "collect", "--concurrency", "2"):
            until(lambda: stored() >= number, 300)
            ended = time.monotonic()
        database_found = stored()
        database.close()
    site.shutdown()
    took = ended - min(_Feeds.asked, default=ended)
    return {"per_second": round(database_found / took, 1) if took else 0, "stored": database_found}


def trouble(folder: Path, number: int) -> dict[str, Any]:
    """Workers killed at random, and the database's power gone, in mid run."""
    rng = random.Random(1)
    server = postgres._start({})
    kills = restarts = 0
    with ExitStack() as ends:
        ends.callback(postgres._stop, server)
        direct = ends.enter_context(postgres.fresh(postgres._url(server), "trouble"))
        url = ends.enter_context(pooler.pooled(direct, size=20)) if pooler.PROGRAM else direct
        sink = Sink(folder)
        config = settings(folder, url, sink.port)
        emails = owe(direct, config, number)
        workers = [begin(config, "--queues", "deliver") for _ in range(3)]
        seen, moved = 0, time.monotonic()
        # What the killed had in hand rests for its lease, which lasts for minutes: all the rest may be done before.
        while (count := len(sink.taken())) < number * 0.9 and kills < 200 and time.monotonic() - moved < 30:
            if count > seen + number // 40:
                seen, moved = count, time.monotonic()
                victim = rng.randrange(len(workers))
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = begin(config, "--queues", "deliver")
                kills += 1
                if kills in (3, 6):
                    postgres._run(server, "pg_ctl", "-l", server / "log", "-m", "immediate", "-w", "restart")
                    restarts += 1
            time.sleep(0.01)
        # What a killed worker had marked rests for its lease; then it is sent again, as in doubt.
        engine = sa.create_engine(direct, poolclass=sa.NullPool)
        until(lambda: len({to for _, to in sink.taken()}) >= number, 15)
        for process in workers:
            process.send_signal(signal.SIGTERM)
        for process in workers:
            process.wait(90)
        # Those that lay in the hands of the dead: their leases are said to be over, and one worker does the rest.
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE outbox SET due_at = now() - interval '1 s' WHERE settled_at IS NULL")
        last = begin(config, "--queues", "deliver", "--until-idle")
        last.wait(240)
        found = verdict(direct, sink, emails)
        sink.end()
    return {"kills": kills, "restarts": restarts, "pgbouncer": pooler.PROGRAM is not None} | found


if __name__ == "__main__":
    main()
