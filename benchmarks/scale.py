"""Several worker processes on one PostgreSQL: how much more they do than one, and what holds while they are killed.

    python benchmarks/scale.py [--quick] [--json] [--letters N] [--feeds N] [--newsletters N] [--workers 1,2,4]
                               [--rounds N] [--share .15] [--only letters|feeds|variants|trouble|upgrade]
                               [--upgrade REVISION]

Letters go to `sink.c`, a server of one process that answers all and costs some microseconds a letter: its figure is
told, so that it can be seen not to be the bound. PostgreSQL is one of its own with its own settings (or that which
DIGEST_TEST_POSTGRES names). Each number of workers begins with a fresh database, in turns (`--rounds`), and what is
told is the median; wrong letters are those of the worst round. A rate of letters or variants is counted while all
workers are at it, one of feeds from the first to the last, so that the start of processes is not in it. On a machine
with fewer processors than workers, PostgreSQL and the sink need, a second worker is not worth a whole one: `processors`
and `load` are told. So is the processor's time that a letter costs the workers and PostgreSQL. What a worker more is
worth where processors are not the bound is measured by holding each to a part of one (`--share`, by the kernel's
control groups, where they can be written): `letters_each_of_2_beside_the_first_at_a_share`, goal .8.

Variants are those of so many newsletters with an edition due, each with readers of 24 kinds; entries are there. They
are counted from the end of one edition to the end of another, once each worker is at its second newsletter: the first
costs a process a second of the processor more, once (imports, templates, words), and that would count as twice as much
of half the work.

With trouble: workers are killed at random, and PostgreSQL is stopped and started again as if the power had gone, with
PgBouncer between where it is installed. Goals: nobody missing, nobody unexpected, and each letter that came twice is
one that the outbox has in doubt.

With an upgrade: workers of the release before (by git: the commit before the newest migration, or REVISION) send, the
database is upgraded under them, and today's take over. Goals: nothing missing, nothing twice, and the old ones end with
a sentence and 74, or go on. `pause` is the longest time in which no letter came.
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
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent.parent.absolute()
RELEASE = os.environ.get("SCALE_RELEASE", str(HERE))  # whose digest lays out what is owed; see `upgraded`
sys.path[:0] = [RELEASE, str(HERE / "tests"), str(HERE / "benchmarks")]

import pooler  # noqa: E402
import postgres  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from processes import Cost, Share, Sink, held, start  # noqa: E402

PARTS = ("letters", "feeds", "variants", "trouble", "upgrade")
KEY = "a key for the benchmark, long enough"
SIZE = 39_000
CONNECTIONS = 64
GOALS = {"letters_each_of_2_beside_the_first_at_a_share": 0.8}
TEMPLATE = "digest_scale_owed"
WRONG = ("missing", "unexpected", "duplicates", "unflagged", "not_settled_as_sent")
TOPICS, LANGUAGES, FORMATS = ("databases", "security", "ai"), ("", "de", "fr"), ("html", "text")
WORDS = """
amber basalt cedar delta ember fjord granite harbour indigo juniper kelp lagoon marble nectar opal pebble quartz river
saffron timber umber velvet willow xenon yarrow zephyr anchor beacon canyon dune estuary forest glacier hollow island
jetty knoll lantern meadow nebula orchard prairie quarry ridge summit tundra upland valley wharf
""".split()  # noqa: SIM905


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--letters", type=int, default=40_000)
    parser.add_argument("--feeds", type=int, default=400)
    parser.add_argument("--newsletters", type=int, default=24)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5, help="with each number of workers, in turns")
    parser.add_argument("--share", type=float, default=0.15, help="of a processor, for each worker")
    parser.add_argument("--upgrade", metavar="REVISION", default="")
    parser.add_argument("--owe", nargs=3, metavar=("URL", "SETTINGS", "LETTERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.owe:
        owe(options.owe[0], Path(options.owe[1]), int(options.owe[2]))
        return
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda number, _: sys.exit(128 + number))  # so that what was started is stopped
    if options.quick:
        options.letters, options.feeds, options.newsletters, options.rounds = 6_000, 120, 8, 1
    wanted = [options.only] if options.only else PARTS
    figures: dict[str, Any] = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory(prefix="digest-scale-") as name, postgres.server() as server:
        shares = [0.0, *([options.share] if Share.root() else [])]
        if "letters" in wanted:
            owed, emails = sa.make_url(server).set(database=TEMPLATE), []
            with named(server, TEMPLATE):
                url = owed.render_as_string(hide_password=False)
                emails = owe(url, settings(_folder(name, "owed"), url, 1), options.letters)
                for share in shares:
                    figures |= in_turns(
                        options, "letters", share, lambda *how: letters(_folder(name, "letters"), server, emails, *how)
                    )
        for share in shares if "feeds" in wanted else ():
            figures |= in_turns(
                options, "feeds", share, lambda *how: feeds(_folder(name, "feeds"), server, options.feeds, *how)
            )
        for share in shares if "variants" in wanted else ():
            figures |= in_turns(
                options,
                "variants",
                share,
                lambda *how: variants(_folder(name, "variants"), server, options.newsletters, *how),
            )
        if "upgrade" in wanted:
            figures["upgrade"] = upgraded(
                _folder(name, "upgrade"), server, max(20_000, options.letters), options.upgrade
            )
            _told(options, "upgrade", figures["upgrade"])
    if "trouble" in wanted:
        with tempfile.TemporaryDirectory(prefix="digest-scale-") as name:
            figures["trouble"] = trouble(Path(name), options.letters)
        _told(options, "trouble", figures["trouble"])
    parts = [value for value in figures.values() if isinstance(value, dict) and "missing" in value]
    good = all(not part["missing"] and not part["unflagged"] for part in parts)
    if options.json:
        print(json.dumps(figures | {"good": good, "goals": GOALS}))
    sys.exit(0 if good else 1)


def in_turns(options: argparse.Namespace, what: str, share: float, run: Any) -> dict[str, Any]:
    """One round after the other, each with every number of workers; of every figure the median, and of a second
    worker's worth. So what others do on this machine meanwhile is in all of them."""
    found: dict[int, list[dict[str, Any]]] = {int(number): [] for number in options.workers.split(",")}
    for _ in range(options.rounds):
        for number, rounds in found.items():
            rounds.append(run(number, share))
    suffix, words = ("_at_a_share", f" of {share} of a processor each") if share else ("", "")
    figures: dict[str, Any] = {}
    for number, rounds in found.items():
        told = {name: _middle([one[name] for one in rounds], worst=name in WRONG) for name in rounds[0]}
        figures[f"{what}_{number}{suffix}"] = told
        _told(options, f"{what}, {number} workers{words}", told)
    for number in [number for number in found if number > 1 and 1 in found]:
        pairs = zip(found[number], found[1], strict=True)
        worth = [
            round((many["per_second"] / one["per_second"] - 1) / (number - 1), 2)
            for many, one in pairs
            if one["per_second"]
        ]
        name = f"{what}_each_of_{number}_beside_the_first{suffix}"
        figures[name] = {"median": _middle(worth), "rounds": worth}
        _told(options, name, figures[name])
    return figures


def _middle(values: list[Any], *, worst: bool = False) -> Any:
    return max(values) if worst else median(values)


def _folder(name: str, what: str) -> Path:
    """For each database its own: what went out of one stands beside its settings."""
    folder = Path(name) / f"{what}-{time.monotonic_ns()}"
    folder.mkdir()
    return folder


def _told(options: argparse.Namespace, what: str, found: dict[str, Any]) -> None:
    if not options.json:
        print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in found.items()), flush=True)


# ---------------------------------------------------------------- a scene


def settings(folder: Path, url: str, port: int, *, per_second: float = 0) -> Path:
    path = folder / "digest.toml"
    path.write_text(f"""
database = "{url}"
base_url = "https://news.example"
secret_key = "{KEY}"
[collect]
allow_private_addresses = true
[smtp]
canary = 0
[[smtp.relays]]
url = "smtp://127.0.0.1:{port}"
connections = {CONNECTIONS}
per_second = {per_second}
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
            with recipients.laid_out(session, edition.newsletter_id, {("", None, ""): [Turn(now, now)]}):
                all_ = {recipients.Group(0, "[]", "", False): variant.id}
                recipients.owe(session, edition.newsletter_id, all_, edition=edition, upto=0, marks=False, now=now)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    database.close()
    return emails


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


def begin(config: Path, *words: str, release: Path = HERE, log: str = "workers.log") -> subprocess.Popen[bytes]:
    """A worker, by the digest that lies there: what stands in the folder where Python starts goes first."""
    command = [sys.executable, "-m", "digest", "-c", str(config), "worker", *words]
    with (config.parent / log).open("ab") as file:
        return start(command, stdout=file, stderr=file, cwd=release)


def until(there: Any, seconds: float, *, every: float = 0.1) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if there():
            return True
        time.sleep(every)
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


@contextmanager
def named(server: str, name: str) -> Iterator[None]:
    """A database of this name, until the block ends."""
    engine = sa.create_engine(sa.make_url(server).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
        yield
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


def letters(folder: Path, server: str, emails: list[str], workers: int, share: float) -> dict[str, Any]:
    number = len(emails)
    with postgres.fresh(server, f"letters{workers}{share}", template=TEMPLATE) as url:
        sink = Sink(folder)
        config = settings(folder, url, sink.port)
        engine = sa.create_engine(url)

        def senders() -> int:
            with engine.connect() as connection:
                return int(connection.execute(sa.text("SELECT count(*) FROM relay_seat WHERE seats > 0")).scalar_one())

        with at_work(config, workers, "--queues", "deliver") as started, held(started, share):
            until(lambda: senders() == workers, 120)
            cost, first = Cost(started, server), sink.count()
            until(lambda: sink.count() >= number * 9 // 10, 600)
            last = sink.count()
            worker_us, server_us = cost.since(last - first)
            until(lambda: sink.count() >= number, 120)
        engine.dispose()
        moments = [at for at, _ in sink.taken()]
        sink_us = sink.end()
        rate = round((last - first) / (moments[last - 1] - moments[first]))  # while all were at work
        figures = {"per_second": rate, "worker_us": worker_us, "postgres_us": server_us, "sink_us": sink_us}
        return figures | verdict(url, sink, emails)


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


def feeds(folder: Path, server: str, number: int, workers: int, share: float) -> dict[str, Any]:
    """Feeds of a host each, 20 entries: from the first request to the last feed that is stored."""
    from digest import collect
    from digest.store import open_database

    _Feeds.asked = []
    site = ThreadingHTTPServer(("0.0.0.0", 0), _Feeds)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    with postgres.fresh(server, f"feeds{workers}{share}") as url:
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

        with at_work(config, workers, "--queues", "collect", "--concurrency", "2") as started, held(started, share):
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
        while (count := sink.count()) < number * 0.9 and kills < 200 and time.monotonic() - moved < 30:
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


def _feed_with_entries(session: Any, name: str, topic: str, *, now: datetime) -> None:
    """Twelve entries that are there and undecided, on one topic of a newsletter."""
    from digest.models import Feed, NewsletterFeed
    from digest.store import newsletters, undecided
    from digest.store.story_tables import Entry

    assert undecided  # which notes each entry that is added
    host, paper = f"{topic}.{name}.example", newsletters.lock(session, name)
    times = {"added_at": now, "next_at": now + timedelta(hours=2)}
    feed = Feed(url=f"https://{host}/", host=host, title=f"{name} on {topic}", **times)
    session.add(feed)
    session.flush()
    session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic=topic, added_at=now))
    for number in range(12):
        words = " ".join(WORDS[(number * step + step) % len(WORDS)] for step in range(1, 60))
        told = {"title": f"{WORDS[number].title()} of {host} {number}", "summary": f"<p>{words}</p>"}
        entry = Entry(
            feed_id=feed.id, key=str(number), url=f"https://{host}/{number}", **told, published_at=now, seen_at=now
        )
        session.add(entry)


def variants(folder: Path, server: str, newsletters_: int, workers: int, share: float) -> dict[str, Any]:
    """Newsletters that each have an edition due, for readers of many kinds; while all are warm and have work."""
    from digest import config as configuration
    from digest import subscribe
    from digest.store import newsletters, open_database

    with postgres.fresh(server, f"variants{workers}{share}") as url:
        names = [f"n{one}" for one in range(newsletters_)]
        config = settings(folder, url, 1)
        more = (f'[newsletters.{name}]\ntitle = "{name}"\nfrom = "{name} <news@news.example>"\n' for name in names)
        config.write_text(config.read_text() + "".join(more) + "[curate]\nnewest_of_new_feed = 12\n")
        loaded, database, now = configuration.load(config), open_database(url), datetime.now(UTC)
        newsletters.keep(database, loaded.newsletters, now=now)
        with database.write() as session:
            for name, topic in product(names, TOPICS):
                _feed_with_entries(session, name, topic, now=now - timedelta(hours=1))
        terms = subscribe.Terms("benchmark", now, tuple(TOPICS), secret=KEY, vouched_by="benchmark")
        kinds = [(topics, language, form) for topics in ("", *TOPICS) for language in LANGUAGES for form in FORMATS]
        rows = [f"r{n}@r.example,{topics},{lang},{form}" for n, (topics, lang, form) in enumerate(kinds)]
        sheet = "\n".join(["email,topics,language,format", *rows]).encode()
        for name in names:
            subscribe.import_csv(database, BytesIO(sheet), terms, newsletter=name)

        def figure(query: str) -> int:
            with database.read() as session:
                return int(session.execute(sa.text(query)).scalar_one())

        def begun() -> set[tuple[int, int]]:
            with database.read() as session:
                jobs = "SELECT worker_id, id FROM procrastinate_jobs WHERE queue_name = 'compose' AND status = 'doing'"
                return {(worker, job) for worker, job in session.execute(sa.text(jobs))}

        def warm() -> bool:
            if figure("SELECT count(to_regclass('procrastinate_jobs'))"):
                seen.update(begun())
            return sum(number > 1 for number in Counter(worker for worker, _ in seen).values()) == workers

        def next_end(editions: int) -> tuple[float, int]:
            """When one more than so many editions are there, or several, and how many variants that makes."""
            until(lambda: figure(there) > editions, 300, every=0.02)
            return time.monotonic(), figure(made)

        there, made = "SELECT count(*) FROM edition", "SELECT count(*) FROM variant"
        seen: set[tuple[int, int]] = set()
        with at_work(config, workers, "--queues", "compose", "--concurrency", "1") as started, held(started, share):
            until(warm, 300, every=0.05)
            (began, first), cost = next_end(figure(there)), Cost(started, server)
            ended, number = next_end(newsletters_ - workers)  # then one of them has none left
            worker_us, server_us = cost.since(number - first)
            until(lambda: figure(there) >= newsletters_, 300)
        editions = figure("SELECT count(*) FROM edition")
        database.close()
    found = {
        "editions": editions,
        "variants": number - first,
        "per_second": round((number - first) / (ended - began), 1),
    }
    return found | {"worker_us": worker_us, "postgres_us": server_us}


# ---------------------------------------------------------------- an upgrade under load


def _release_before(folder: Path, revision: str) -> str:
    """Put the package as it was before the newest migration into a folder, by git; which commit that is."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", HERE, *words], check=True, capture_output=True).stdout

    if not revision:
        newest = max((HERE / "digest" / "migrations" / "versions").glob("[0-9]*.py"))
        revision = git("log", "-1", "--format=%h", "--", str(newest)).decode().strip() + "^1"
    packed = git("archive", revision, "digest")
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return git("rev-parse", "--short", revision).decode().strip()


def upgraded(folder: Path, server: str, number: int, revision: str) -> dict[str, Any]:
    before = folder / "before"
    before.mkdir()
    commit = _release_before(before, revision)
    heads = [
        max(p.name[:4] for p in (there / "digest/migrations/versions").glob("[0-9]*.py")) for there in (before, HERE)
    ]
    with postgres.fresh(server, "upgrade") as url, ExitStack() as ends:
        sink = Sink(folder)
        config = settings(folder, url, sink.port)
        words = [sys.executable, __file__, "--owe", url, str(config), str(number)]
        subprocess.run(words, check=True, env=os.environ | {"SCALE_RELEASE": str(before)})
        emails = [f"reader{number}@d{number % 97}.example" for number in range(number)]
        old = [begin(config, "--queues", "deliver", release=before, log="before.log") for _ in range(2)]
        until(lambda: sink.count() >= number // 5, 120)
        at = sink.count()
        done = subprocess.run(
            [sys.executable, "-m", "digest", "-c", str(config), "db", "upgrade"],
            cwd=HERE,
            capture_output=True,
            text=True,
        )
        during = sink.count() - at
        new = ends.enter_context(at_work(config, 2, "--queues", "deliver"))
        until(lambda: sink.count() >= number, 240)
        moments = [moment for moment, _ in sink.taken()]
        ended = [process.poll() for process in old]
        for process in (*old, *new):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (*old, *new):
            process.wait(90)
        found = verdict(url, sink, emails)
        sink.end()
    said = {line for line in (folder / "before.log").read_text().splitlines() if "newer digest" in line}
    return {
        "before": commit,
        "revisions": " to ".join(heads),
        "upgrade": done.returncode,
        "letters_before": at,
        "letters_during": during,
        "old_ended": ended,
        "old_said": sorted(said),
        "seconds": round(max(moments) - min(moments), 1),
        "pause": round(max(b - a for a, b in pairwise(sorted(moments))), 1),
    } | found


if __name__ == "__main__":
    main()
