"""Kill the sender again and again, at random moments of composing and delivering, then count what arrived.

Run as a script it is the child: it composes what is due and delivers what is owed, `hours` later than now.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

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
    most_in_doubt: int = 0  # that one kill left
    held: int = 0
    integrity: str = ""
    adds_up: bool = False
    in_doubt: int = 0
    killed_at: Counter[str] = field(default_factory=Counter)


def settings(folder: Path, port: int, *, after_crash: str, connections: int) -> Any:
    from digest.config import from_values

    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": KEY,
        "smtp": {
            "url": f"smtp://127.0.0.1:{port}",
            "connections": connections,
            "after_crash": after_crash,
            "max_lateness_hours": 1_000_000,
            "lifetime_hours": 240,
        },
        "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}},
    }
    return from_values(values, folder / "digest.toml")


def run(*, kills: int, readers: int, after_crash: str = "resend", connections: int = 4, seed: int = 1) -> Outcome:
    """`kills` times `kill -9`, each at a random moment after the child's work began; then a run to the end."""
    from mailserver import MailServer

    from digest import store

    rng = random.Random(seed)
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="digest-crash-") as name, MailServer() as server:
        folder = Path(name)
        config = settings(folder, server.port, after_crash=after_crash, connections=connections)
        database = store.open_database(config.database_url, create=True)
        _subscribe(database, config, readers)
        hours, reach, before = 0, 1.0, 0
        while outcome.kills < kills:
            if not _owed(database):
                _write_stories(database, outcome.editions)
                outcome.editions += 1
            hours += 2
            child = _start(folder, server.port, after_crash, connections, hours)
            began = time.monotonic()
            time.sleep(rng.uniform(0, reach))
            child.kill()
            done = child.wait()
            if done == -signal.SIGKILL:
                outcome.kills += 1
                outcome.killed_at[_phase(database)] += 1
                in_doubt = _sending(database)
                outcome.most_in_doubt = max(outcome.most_in_doubt, in_doubt)
            else:
                # Done before the kill came: next time it comes earlier.
                assert done in (0, 75), f"the child ended with {done}"
                reach = max(0.05, min(reach, time.monotonic() - began) * 0.9)
            before = len(server.taken)
        while _owed(database):
            hours += 2
            assert _start(folder, server.port, after_crash, connections, hours).wait() in (0, 75)
        assert len(server.taken) >= before
        _count(outcome, database, server, readers)
        database.close()
        with sqlite3.connect(folder / "digest.db") as connection:
            outcome.integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return outcome


def _count(outcome: Outcome, database: Any, server: Any, readers: int) -> None:
    from digest import store

    with database.read() as session:
        lines = store.outbox_lines(session, limit=1_000_000)
        accounts = store.accounts(session)
    outcome.letters = len(lines)
    outcome.accepted = len(server.taken)
    arrived: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    ids: dict[str, set[str]] = defaultdict(set)
    for taken in server.taken:
        message = message_from_bytes(taken.content)
        number = message["Feedback-ID"].split(":")[0]
        arrived[number, taken.recipient].append(taken.content)
        ids[f"{number} {taken.recipient}"].add(message["Message-ID"])
    owed = {(str(line.edition), line.email): line for line in lines}
    outcome.missing = sum(1 for key, line in owed.items() if key not in arrived and line.state.value != "held")
    outcome.unexpected = len(arrived.keys() - owed.keys())
    outcome.duplicates = sum(len(copies) - 1 for copies in arrived.values())
    outcome.unflagged = sum(1 for key, copies in arrived.items() if len(copies) > 1 and not owed[key].in_doubt)
    outcome.changed = sum(1 for copies in arrived.values() if len(set(copies)) > 1)
    outcome.changed += sum(1 for found in ids.values() if len(found) > 1)
    outcome.in_doubt = sum(line.in_doubt for line in lines)
    outcome.held = sum(line.state.value == "held" for line in lines)
    sent = sum(account.sent for account in accounts)
    outcome.adds_up = (
        all(account.adds_up and account.still_owed == 0 for account in accounts)
        and sum(account.owed for account in accounts) == outcome.letters == outcome.editions * readers
        and sent == sum(1 for line in lines if line.state.value == "sent")
        and all(key in arrived for key, line in owed.items() if line.state.value == "sent")
    )


def _start(folder: Path, port: int, after_crash: str, connections: int, hours: int) -> subprocess.Popen[str]:
    words = [str(folder), str(port), after_crash, str(connections), str(hours)]
    child = subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    return child


def _child(folder: str, port: str, after_crash: str, connections: str, hours: str) -> int:
    from digest import deliver, edition, store

    config = settings(Path(folder), int(port), after_crash=after_crash, connections=int(connections))
    database = store.open_database(config.database_url)
    print("go", flush=True)
    moment = datetime.now(UTC) + timedelta(hours=int(hours))
    with database.write() as session:
        edition.compose(session, "daily", config, now=moment)
    report = deliver.run(database, config, clock=lambda: moment, rng=random.Random(1))
    return 75 if report.owed or report.stopped else 0


def _subscribe(database: Any, config: Any, readers: int) -> None:
    from digest import store, subscribe

    store.keep_newsletters(database, config.newsletters, now=START)
    with database.write() as session:
        for number in range(readers):
            subscribe.add(
                session,
                f"reader{number}@example.org",
                newsletter="daily",
                consent="test",
                now=START,
                secret=KEY,
                known_topics=(),
            )


def _write_stories(database: Any, edition: int) -> None:
    """Something new to read, as admission would leave it."""
    from sqlmodel import select

    from digest import store
    from digest.models import Entry, Feed, Story

    with database.write() as session:
        feed = session.exec(select(Feed)).first()
        if feed is None:
            feed = Feed(url="https://example.org/feed", title="Example", added_at=START, next_at=START)
            session.add(feed)
            session.flush()
        paper = store.lock_newsletter(session, "daily")
        for number in range(3):
            entry = Entry(feed_id=feed.id, key=f"{edition}-{number}", title="News", seen_at=START, published_at=START)
            session.add(entry)
            session.flush()
            paper.seq += 1
            session.add(
                Story(
                    newsletter_id=paper.id,
                    seq=paper.seq,
                    entry_id=entry.id,
                    topic="other",
                    url=f"https://example.org/{edition}/{number}",
                    title=f"Story {number} of {edition}",
                    source="Example",
                    excerpt="Words. " * 20,
                    published_at=START,
                    admitted_at=START,
                )
            )
        session.add(paper)


def _owed(database: Any) -> bool:
    from digest import store

    with database.read() as session:
        return store.unsettled_count(session) > 0 or _uncomposed(session)


def _uncomposed(session: Any) -> bool:
    from digest import store

    paper = store.newsletter(session, "daily")
    return paper.seq > store.composed_upto(session, paper.id)


def _sending(database: Any) -> int:
    from digest import store
    from digest.models import OutboxState

    with database.read() as session:
        return len(store.outbox_lines(session, state=OutboxState.SENDING, limit=100_000))


def _phase(database: Any) -> str:
    from digest import store

    with database.read() as session:
        if _uncomposed(session):
            return "composing"
        return "delivering" if store.unsettled_count(session) else "the end"


if __name__ == "__main__":
    sys.exit(_child(*sys.argv[1:]))
