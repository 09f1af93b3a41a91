"""Kill the whole line again and again, at random moments of collecting, composing and delivering; count what arrived.

The child does what `digest run` does, some hours later than now.
"""

from __future__ import annotations

import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import forked  # noqa: E402

KEY = "a key for tests, long enough"
START = datetime.now(UTC)


@dataclass
class Outcome:
    """What the server saw and what the outbox says, after the last run."""

    kills: int = 0
    editions: int = 0
    letters: int = 0
    accepted: int = 0
    missing: int = 0
    unexpected: int = 0
    duplicates: int = 0
    unflagged: int = 0  # duplicates whose letter is not in doubt
    changed: int = 0  # letters that arrived under two Message-IDs, or with other bytes
    untold: int = 0  # stories that a reader was never told, in the letters that arrived
    told_twice: int = 0  # in two editions
    most_in_doubt: int = 0  # that one kill left
    most_doubled: int = 0  # letters that one kill made go out twice, at most
    doubled: int = 0  # that all kills did; one letter may be in the hands of two
    held: int = 0
    integrity: str = ""  # "ok", or what is wrong with the database itself
    adds_up: bool = False
    in_doubt: int = 0
    killed_at: Counter[str] = field(default_factory=Counter)


def settings(folder: str, database: str, port: str, after_crash: str, connections: str) -> Any:
    """Of the words that a child is started with."""
    from digest.config import from_values

    values = {
        "database": database,
        "base_url": "https://digest.example",
        "secret_key": KEY,
        "smtp": {
            "url": f"smtp://127.0.0.1:{port}",
            "connections": int(connections),
            "after_crash": after_crash,
            "max_lateness_hours": 1_000_000,
            "lifetime_hours": 240,
        },
        "collect": {"allow_private_addresses": True, "host_gap_seconds": 0, "interval_minutes": 0, "workers": 1},
        "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>", "max_stories": 500}},
    }
    return from_values(values, Path(folder) / "digest.toml")


class Site:
    """Feeds on loopback, in which new entries appear."""

    FEEDS = 3

    def __init__(self) -> None:
        self.published = 0
        self._items: list[list[str]] = [[] for _ in range(self.FEEDS)]
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.feed(int(self.path[1:])).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # whoever asked was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.urls = [f"http://127.0.0.1:{self._server.server_port}/{n}" for n in range(self.FEEDS)]

    def __enter__(self) -> Site:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def feed(self, number: int) -> str:
        items = "".join(reversed(self._items[number][-10:]))
        return f'<rss version="2.0"><channel><title>Site {number}</title>{items}</channel></rss>'

    def publish(self, moment: datetime) -> None:
        """One new story in each feed, none like any other."""
        for items in self._items:
            self.published += 1
            words = random.Random(self.published)
            prose = " ".join("".join(words.choices("bdfgklmnprstvz", k=6)) for _ in range(30))
            items.append(
                f"<item><title>Tale {self.published} {prose[:40]}</title><guid>{self.published}</guid>"
                f"<link>https://example.org/{self.published}/{prose[:6]}</link><description>{prose}</description>"
                f"<pubDate>{format_datetime(moment)}</pubDate></item>"
            )


class Child:
    """One run of the line, and what it says it is about to do."""

    def __init__(self, *words: str, moment: datetime) -> None:
        context = forked.context()
        self._says, mouth = context.Pipe(duplex=False)
        self._process = context.Process(target=_child, args=(mouth, *words), kwargs={"moment": moment})
        self._process.start()
        mouth.close()  # so that the child's death is the end of what it says

    def await_(self, words: str) -> None:
        while self._says.recv() != words:
            pass

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> tuple[int | None, str]:
        """How it ended, and what it said last that nobody had heard."""
        self._process.join()
        said = ""
        with self._says, suppress(EOFError):
            while True:
                said = self._says.recv()
        return self._process.exitcode, said


def run(
    *, kills: int, readers: int, after_crash: str = "resend", connections: int = 4, seed: int = 1, url: str = ""
) -> Outcome:
    """`kills` times `kill -9`, each at a random moment after the child's work began; then a run to the end.

    `url` names an empty PostgreSQL database; else it is SQLite, in a folder that is gone at the end.
    """
    from mailserver import MailServer

    from digest.store import open_database

    rng = random.Random(seed)
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="digest-crash-") as name, MailServer() as server, Site() as site:
        words = (name, url or "digest.db", str(server.port), after_crash, str(connections))
        server.on_body = _slowly
        config = settings(*words)
        database = open_database(config.database_url, create=True)
        _prepare(database, config, site, readers)
        hours, before = 0, 0
        # Seconds in which the kill comes, after the child has said this.
        reach = {"collecting": 1.0, "composing": 0.5, "delivering": 1.0}
        while outcome.kills < kills:
            hours += 2
            if not _owed(database, site):
                site.publish(START + timedelta(hours=hours))
            child = Child(*words, moment=START + timedelta(hours=hours))
            after = rng.choice(["collecting", "composing", "delivering", "delivering"])
            child.await_(after)
            began = time.monotonic()
            time.sleep(rng.uniform(0, reach[after]))
            child.kill()
            done, said = child.end()
            while server.at_once:  # what was in the server's hands it accepts, with nobody there to hear of it
                time.sleep(0.005)
            if done == -signal.SIGKILL:
                outcome.kills += 1
                outcome.killed_at[said or after] += 1
                _let_go(database)
                sending = _sending(database)
                outcome.most_in_doubt = max(outcome.most_in_doubt, len(sending))
                # Accepted and not settled: what this kill can make go out twice.
                accepted = {taken.recipient for taken in server.taken[before:]}
                doubled = sum(recipient in accepted for recipient in sending.values())
                outcome.most_doubled = max(outcome.most_doubled, doubled)
                outcome.doubled += doubled
            else:
                # Done before the kill came: next time it comes earlier.
                assert done in (0, 75), f"the child ended with {done}"
                reach[after] = max(0.05, min(reach[after], time.monotonic() - began) * 0.9)
            before = len(server.taken)
        while _owed(database, site):
            hours += 2
            assert Child(*words, moment=START + timedelta(hours=hours)).end()[0] in (0, 75)
        _count(outcome, database, server, site, readers)
        outcome.integrity = _integrity(database)
        database.close()
    return outcome


def _slowly(taken: Any) -> str:
    time.sleep(0.02)  # long enough that a kill finds letters between their body and their reply
    return "250 2.0.0 Ok: queued"


def _integrity(database: Any) -> str:
    import postgres

    with database.read() as session:
        if database.engine.dialect.name == "sqlite":
            return str(session.connection().exec_driver_sql("PRAGMA integrity_check").scalar())
        return "ok" if postgres.others_at_work(session) == 0 else "somebody who was killed still has a transaction open"


def _let_go(database: Any) -> None:
    """Wait until what the killed one had begun is committed or rolled back: SQLite has done so by then."""
    import postgres

    if database.engine.dialect.name == "sqlite":
        return
    for _ in range(1000):
        with database.read() as session:
            if postgres.others_at_work(session) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("PostgreSQL still works for one who was killed")


def _count(outcome: Outcome, database: Any, server: Any, site: Site, readers: int) -> None:
    from sqlmodel import col, func, select

    from digest.models import Edition
    from digest.store import edition_states, letters

    with database.read() as session:
        lines = letters.lines(session, limit=1_000_000)
        accounts = edition_states.accounts(session)
        outcome.editions = session.exec(select(func.count(col(Edition.id)))).one()
    outcome.letters = len(lines)
    outcome.accepted = len(server.taken)
    arrived: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    ids: dict[str, set[str]] = defaultdict(set)
    tales: dict[str, list[frozenset[str]]] = defaultdict(list)  # by reader, of each edition
    by_edition: dict[str, frozenset[str]] = {}
    for taken in server.taken:
        message = message_from_bytes(taken.content, policy=policy.compat32)
        number = message["Feedback-ID"].split(":")[0]
        if (number, taken.recipient) not in arrived:
            text = next(part for part in message.walk() if part.get_content_type() == "text/plain")
            by_edition[number] = frozenset(re.findall(rb"Tale (\d+)", text.get_payload(decode=True)))
            tales[taken.recipient].append(by_edition[number])
        arrived[number, taken.recipient].append(taken.content)
        ids[f"{number} {taken.recipient}"].add(message["Message-ID"])
    owed = {(str(line.edition), line.email): line for line in lines}
    outcome.missing = sum(1 for key, line in owed.items() if key not in arrived and line.state.value != "held")
    outcome.unexpected = len(arrived.keys() - owed.keys())
    outcome.duplicates = sum(len(copies) - 1 for copies in arrived.values())
    outcome.unflagged = sum(1 for key, copies in arrived.items() if len(copies) > 1 and not owed[key].in_doubt)
    outcome.changed = sum(1 for copies in arrived.values() if len(set(copies)) > 1)
    outcome.changed += sum(1 for found in ids.values() if len(found) > 1)
    for (number, reader), line in owed.items():
        if (number, reader) not in arrived and line.state.value == "held":
            tales[reader].append(by_edition[number])  # a person decides
    for told in tales.values():
        told_of = Counter(tale for edition in told for tale in edition)
        outcome.untold += site.published - len(told_of)
        outcome.told_twice += sum(count - 1 for count in told_of.values())
    outcome.in_doubt = sum(line.in_doubt for line in lines)
    outcome.held = sum(line.state.value == "held" for line in lines)
    sent = sum(account.sent for account in accounts)
    outcome.adds_up = (
        all(account.adds_up and account.still_owed == 0 for account in accounts)
        and sum(account.owed for account in accounts) == outcome.letters == outcome.editions * readers
        and sent == sum(1 for line in lines if line.state.value == "sent")
        and all(key in arrived for key, line in owed.items() if line.state.value == "sent")
    )


def _child(mouth: Connection, *words: str, moment: datetime) -> None:
    from digest import line
    from digest.store import database as store_database
    from digest.store import open_database

    config = settings(*words)
    database = open_database(config.database_url)
    # Leases go by PostgreSQL's clock, which is as late as ours.
    store_database.server_ahead = lambda session, now: timedelta()

    def tell(told: line.Told) -> None:
        if told == line.Begins("collect"):
            mouth.send("collecting")
        elif isinstance(told, line.CollectReport):
            mouth.send("composing")
        elif told == line.Begins("deliver"):
            mouth.send("delivering")

    line.heal(database, config, now=moment)
    done = line.run(database, config, clock=lambda: moment, rng=random.Random(1), force=True, tell=tell)
    assert done.deliver is not None
    sys.exit(75 if done.deliver.owed or done.deliver.stopped else 0)


def _prepare(database: Any, config: Any, site: Site, readers: int) -> None:
    from digest import collect, subscribe
    from digest.store import newsletters

    newsletters.keep(database, config.newsletters, now=START)
    for url in site.urls:
        collect.add_feed(database, url, newsletter="daily", now=START)
    with database.write() as session:
        for number in range(readers):
            said = subscribe.Evidence("test", START)
            subscribe.add(session, f"reader{number}@example.org", subscribe.Joining("daily", (), KEY), evidence=said)


def _owed(database: Any, site: Site) -> bool:
    return _phase(database, site) != "the end"


def _sending(database: Any) -> dict[int, str]:
    """Letters in doubt, and whose they are."""
    from digest.models import OutboxState
    from digest.store import letters

    with database.read() as session:
        lines = letters.lines(session, state=OutboxState.SENDING, limit=100_000)
    return {line.id: line.email for line in lines}


def _phase(database: Any, site: Site) -> str:
    from sqlmodel import func, select

    from digest.store import editions, letters, newsletters
    from digest.store.story_tables import Entry

    with database.read() as session:
        if session.exec(select(func.count()).select_from(Entry)).one() < site.published:
            return "collecting"
        paper = newsletters.find(session, "daily")
        if paper.seq < site.published:
            return "admitting"
        if editions.composed_upto(session, paper.id) < paper.seq:
            return "composing"
        return "delivering" if letters.left(session, now=datetime.now(UTC)).letters else "the end"
