#!/usr/bin/env python3
"""Read a mailbox of many mails, and see how fast, with how much memory, and that each is read and counted once.

    python benchmarks/hear.py [--quick] [--json] [--mails N] [--only maildir,mbox,imap] [--storm]

Each place is read by a process of its own, with a hundredth of the mails and with all of them, after which it is read
again: nothing may be left. The mails are bounces of one edition that was really owed, complaints, answers of those who
are away, and people; with `--storm` all say that there is no such mailbox. IMAP is a Dovecot on loopback with a
Maildir, where one is installed. Goals: the memory of all is at most 1.15 times that of few, and no mail is read twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
GOALS = {"memory_ratio": 1.15, "read_twice": 0, "left": 0}
SAID = (  # of a hundred letters, so many say so
    (6, "failed", "5.1.1", "550 5.1.1 no such user here"),
    (34, "failed", "5.2.2", "552 5.2.2 mailbox full"),
    (20, "failed", "5.7.1", "550 5.7.1 blocked by our content filter"),
    (10, "delayed", "4.4.1", "connection timed out"),
)


def settings(folder: Path, source: str, **mail: str) -> Any:
    from digest.config import from_values

    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": "a key for the benchmark, long enough",
        "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}},
        "mail": {"address": "bounces@news.example", "source": source, **mail},
    }
    return from_values(values, folder / "digest.toml", environment=False)


def prepared(folder: Path, readers: int) -> list[tuple[int, str]]:
    """A database with an edition that each reader's server has taken: number and reader of each letter."""
    import mailing
    import sqlalchemy as sa

    from digest.store import newsletters, open_database

    config = settings(folder, "")
    database = open_database(config.database_url, create=True)
    newsletters.keep(database, config.newsletters, now=NOW)
    mailing.owe(database, config, *mailing.readers(readers))
    with database.write() as session:
        session.execute(
            sa.text("UPDATE outbox SET state = 'sent', attempts = 1, tried_at = :now, settled_at = :now"),
            {"now": NOW.strftime("%Y-%m-%d %H:%M:%S.%f")},
        )
        said = "SELECT outbox.id, email FROM outbox JOIN subscriber ON subscriber.id = subscriber_id ORDER BY outbox.id"
        letters = [(int(row[0]), str(row[1])) for row in session.execute(sa.text(said))]
    database.close()
    return letters


def mails(letters: list[tuple[int, str]], *, storm: bool) -> Iterator[bytes]:
    """One about each letter."""
    import hearing

    from digest import sign

    for n, (number, to) in enumerate(letters):
        came_from = sign.verp(
            number, key="a key for the benchmark, long enough", domain="news.example", mailbox="bounces@news.example"
        )
        letter = hearing.Sent(came_from, to, f"From: news@news.example\nTo: {to}\nSubject: News\nMessage-ID: <{n}@x>")
        at = n % 100
        if storm:
            yield hearing.bounce(letter, at=NOW)
            continue
        for share, action, status, words in SAID:
            if 0 <= at < share:
                yield hearing.bounce(letter, action=action, status=status, words=words, at=NOW)
            at -= share
        if 0 <= at < 1:
            yield hearing.complaint(letter, to=came_from)
        elif 1 <= at < 21:
            yield hearing.person(f"I am away. {n}", to=came_from, subject="Out of office", sender=to)
        elif at >= 21:
            yield hearing.person(f"What a letter, says {n}.\n\n" + "So it is. " * 50, sender=to)


def filled(place: str, folder: Path, letters: list[tuple[int, str]], *, storm: bool) -> Path:
    """The mailbox itself: a Maildir (which Dovecot reads as well), or an mbox."""
    import dovecot

    where = dovecot.maildir(folder) if place == "imap" else folder / place
    if place == "mbox":
        with where.open("wb") as file:
            for raw in mails(letters, storm=storm):
                file.write(b"From MAILER-DAEMON Mon Nov 23 07:00:00 2026\n" + raw.replace(b"\nFrom ", b"\n>From "))
                file.write(b"\n")
        return where
    for name in ("new", "cur", "tmp"):
        (where / name).mkdir(parents=True)
    for n, raw in enumerate(mails(letters, storm=storm)):
        (where / "new" / f"{1_700_000_000 + n // 10}.M{n:09}.host").write_bytes(raw)
    return where


def child(place: str, folder: Path) -> None:
    """Read all there is, and then again; figures to standard output."""
    from contextlib import closing

    from digest import hear, line
    from digest.store import open_database

    if place == "imap":
        import dovecot

        url = (folder / "url").read_text()
        config = settings(folder, url, password=dovecot.PASSWORD, ca_file=str(folder / "ca.pem"))
    else:
        config = settings(folder, str(folder / place))
    database = open_database(config.database_url)
    found, seen = [], 0
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(2):
        with closing(line.mailbox(config, config.mail.source)) as source:
            found.append(hear.read(database, config, source, clock=lambda: NOW, rooms=line.rooms()))
        if not seen:
            seen, took, cpu = found[0].read, time.perf_counter() - began, time.process_time() - cpu
    database.close()
    # Not `ru_maxrss`, which a process has of the one that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(
        json.dumps(
            {
                "read": seen,
                "seconds": took,
                "cpu": cpu,
                "copies": found[0].copies,
                "again": found[1].read,
                "peak_mb": peak,
                "acts": found[0].acts,
            }
        )
    )


@contextlib.contextmanager
def served(place: str, folder: Path) -> Iterator[None]:
    """While a Dovecot runs, where it is IMAP; its address stands in `url`."""
    import dovecot

    if place != "imap":
        yield
        return
    with dovecot.running(folder) as url:
        (folder / "url").write_text(url)
        yield


def measured(place: str, letters: list[tuple[int, str]], *, database: Path, storm: bool) -> dict[str, Any]:
    """One reading, in a folder of its own with a copy of the database."""
    with tempfile.TemporaryDirectory(prefix="hear", dir="/tmp") as name:
        folder = Path(name)
        shutil.copy(database, folder / "digest.db")
        filled(place, folder, letters, storm=storm)
        with served(place, folder):
            done = subprocess.run(
                [sys.executable, __file__, "--child", place, str(folder)], stdout=subprocess.PIPE, text=True, check=True
            )
        found: dict[str, Any] = json.loads(done.stdout)
    found["per_second"] = found["read"] / found["seconds"]
    found["left"] = len(letters) - found["read"]
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="5,000 mails")
    options.add_argument("--json", action="store_true")
    options.add_argument("--mails", type=int, default=100_000)
    options.add_argument("--only", default="maildir,mbox,imap")
    options.add_argument("--storm", action="store_true", help="all say that there is no such mailbox")
    options.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    most = 5_000 if given.quick else given.mails
    import dovecot

    places = [one for one in given.only.split(",") if one != "imap" or not dovecot.missing()]
    found: dict[str, Any] = {"goals": GOALS, "good": True}
    with tempfile.TemporaryDirectory(prefix="hear", dir="/tmp") as name:
        letters = prepared(Path(name), most)
        for place in places:
            few, all_ = (
                measured(place, letters[:number], database=Path(name) / "digest.db", storm=given.storm)
                for number in (max(100, most // 100), most)
            )
            ratio = all_["peak_mb"] / few["peak_mb"]
            twice = all_["copies"] + all_["again"]
            good = ratio <= GOALS["memory_ratio"] and not twice and not all_["left"]
            found[place] = {"few": few, "all": all_, "memory_ratio": ratio, "read_twice": twice, "good": good}
            found["good"] &= good
            if not given.json:
                print(
                    f"{place:<8} {all_['read']:,} mails, {all_['per_second']:,.0f} a second; few {few['peak_mb']:.0f}"
                    f" MB, all {all_['peak_mb']:.0f} MB: {ratio:.2f} times; {twice} read twice, {all_['left']} left",
                    flush=True,
                )
    if given.json:
        print(json.dumps(found))
    elif "imap" not in places and "imap" in given.only:
        print(f"imap     not measured: {dovecot.missing()}")
    sys.exit(0 if found["good"] else 1)


if __name__ == "__main__":
    main()
