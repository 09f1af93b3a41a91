"""A year without watching: troubles that come and go, copies of the database, and restores at random days.

    python benchmarks/keep_year.py [--json] [--seed N] [--days N] [--readers N] [--restores SHARE] [--bugs]

A virtual clock, a real database file with its witness, a real mail server on loopback, and the product's own steps each
day: entries admitted, an edition composed and delivered, alerts judged and told by webhook and mail. Some days a backup
is made, some days an older one is put back, before the run or in the middle of it; it must be noticed wherever anything
happened since, and is accepted. The webhook is deaf now and then, and the process that tells dies after it spoke.
Goals: a story twice to a reader, a story that never came, a trouble or its end not told, or told under two names, an
alert's mail twice or missing, a restore that nobody noticed: 0. `--bugs` leaves out what keeps these promises, one at a
time: each must be found.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlmodel import select

from digest import alerts, line
from digest.config import Config, from_values
from digest.demo.catcher import Catcher
from digest.errors import FetchError, PutBack
from digest.models import Feed
from digest.store import Database, feed_entries, feeds, newsletters, open_database, restores
from digest.store.journal import Journal
from digest.store.witness import Witness
from digest.subscribe import Evidence, Joining, people

BEGIN = datetime(2026, 1, 1, 7, 5, tzinfo=UTC)
DAY = timedelta(days=1)
GOALS = ("twice", "missing", "untold", "told_twice", "mail_twice", "mail_missing", "unnoticed")
TROUBLES = ("clock", "mailbox", "settings:daily", "disk", "certificate:mx.example:465", "feeds:failing")
LEAST = 3  # days between two turns of one trouble: what comes and goes within a day is told once by design
OPERATOR, SECRET = "ops@example.org", "a key for the benchmark, long enough"


class Ears:
    """The webhook: what it was told, by name. It may be deaf, and whoever tells may die after it spoke."""

    def __init__(self, chance: random.Random) -> None:
        self.heard: Counter[str] = Counter()
        self.deaf = False
        self.kills = 0
        self.deadly = 0.15
        self._chance = chance

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> int:
        if self.deaf:
            raise FetchError(url, "does not answer")
        self.heard[json.loads(body)["id"]] += 1
        if self._chance.random() < self.deadly:
            self.kills += 1
            raise KeyboardInterrupt
        return 204

    def call(self, command: Sequence[str], given: bytes, seconds: float) -> str:
        raise AssertionError("no command is set")


class Year:
    """An installation, the truth about it, and what went wrong."""

    def __init__(self, folder: Path, inbox: Catcher, *, seed: int, readers: int, restores: float) -> None:
        self.restores = restores
        self.chance = random.Random(seed)
        self.folder, self.inbox, self.now = folder, inbox, BEGIN
        self.ears = Ears(self.chance)
        self.config = self._settings()
        self.file = folder / "digest.db"
        open_database(f"sqlite:///{self.file}", create=True).close()
        self.readers = [f"reader{number}@example.org" for number in range(readers)]
        self.stories: list[str] = []
        self.there: dict[str, bool] = dict.fromkeys(TROUBLES, False)
        self.turned: dict[str, datetime] = dict.fromkeys(TROUBLES, BEGIN - DAY * LEAST)
        self.begun, self.over = Counter[str](), Counter[str]()
        self.copies: list[Path] = []
        self.count: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter(dict.fromkeys(GOALS, 0))
        self.told: list[str] = []
        self._found()

    def _settings(self) -> Config:
        values = {
            "secret_key": SECRET,
            "base_url": "https://digest.example",
            "smtp": {"url": self.inbox.url},
            "alerts": {"mail": OPERATOR, "webhook": "https://hooks.example/x", "feed_days": 0},
            "curate": {"newest_of_new_feed": 500, "new_feed_days": 3000, "flood": 500, "per_feed": 500},
            "newsletters": {
                "daily": {"title": "Daily", "from": "Daily <daily@news.example>", "schedule": "daily 07:00"}
            },
        }
        return from_values(values, self.folder / "digest.toml", environment=False)

    def _found(self) -> None:
        with self.database() as database:
            newsletters.keep(database, self.config.newsletters, now=self.now - DAY)
            with database.write() as session:
                paper = newsletters.find(session, "daily")
                for number in range(2):
                    feed = Feed(url=f"https://f{number}.example/feed", added_at=self.now, next_at=self.now)
                    session.add(feed)
                    session.flush()
                    feeds.read(session, paper.id or 0, feed.id or 0, topic="", folder="", now=self.now)
                for email in self.readers:
                    joining = Joining("daily", (), SECRET, welcome=False)
                    people.add(session, email, joining, evidence=Evidence("year", self.now, vouched_by="a person"))

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Opened as a process does that begins."""
        found = open_database(f"sqlite:///{self.file}")
        found.witness = Witness(Journal(self.folder / "witness"), clock=lambda: self.now, warn=self.told.append)
        try:
            yield found
        finally:
            found.close()

    def blame(self, what: str, words: str) -> None:
        self.wrong[what] += 1
        self.told.append(f"{what}: {self.now:%Y-%m-%d} {words}")

    # ------------------------------------------------------------ a day

    def day(self, *, calm: bool = False) -> None:
        self.now += DAY
        if not calm:
            self._turn()
            for _ in range(self.chance.choice((0, 1, 1, 2, 3))):
                self.stories.append(f"Tale{len(self.stories)}x")
        restored = not calm and self.copies and self.chance.random() < self.restores
        at = self.chance.choice(("before the run", "before letters", "before alerts")) if restored else ""
        with self.database() as database:
            self._publish(database)
            self._copy()
            database = self._restored(database, at == "before the run")
            self._run(database)
            self._copy()  # whose letters are owed, and go out after it
            database = self._restored(database, at == "before letters")
            if at == "before letters":
                self._run(database)
            self._deliver(database)
            database = self._restored(database, at == "before alerts")
            if at == "before alerts":
                self._run(database)
                self._deliver(database)
            self._alerts(database, calm=calm)
            database.close()

    def _turn(self) -> None:
        for key in TROUBLES:
            if self.now - self.turned[key] >= DAY * LEAST and self.chance.random() < 0.06:
                self.turned[key] = self.now
                self.there[key] = not self.there[key]
                (self.begun if self.there[key] else self.over)[key] += 1

    def end(self, key: str) -> None:
        if self.there[key]:
            self.there[key] = False
            self.over[key] += 1

    def _publish(self, database: Database) -> None:
        """Feeds have all of it still, and give it again to whoever has forgotten."""
        rows: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
        for number, title in enumerate(self.stories):
            words = random.Random(title)
            prose = " ".join("".join(words.choices("bdfgklmnprstvz", k=7)) for _ in range(25))
            rows[number % 2].append(
                dict.fromkeys(("author", "content", "image_url", "original_url", "twin"), "")
                | {"key": title, "url": f"https://f.example/{title}/{prose[:9]}", "title": f"{title} {prose[:30]}"}
                | {"summary": f"<p>{prose}</p>", "categories": [], "enclosures": [], "published_at": self.now}
                | {"content_hash": title, "language": "en", "updated_at": None}
            )
        with database.write() as session:
            for feed in session.exec(select(Feed).order_by(Feed.url)):
                number = int(feed.url.removeprefix("https://f")[0])
                feed_entries.save_entries(session, feed.id or 0, rows[number][-60:], now=self.now)
                fails = number == 0 and self.there["feeds:failing"]
                feed.failures = 9 if fails else 0
                feed.failing_since = (feed.failing_since or self.now) if fails else None
                session.add(feed)

    def _run(self, database: Database) -> None:
        line.admit(database, self.config, "daily", now=self.now)
        line.compose(database, self.config, "daily", now=self.now)

    def _deliver(self, database: Database) -> None:
        line.deliver(database, self.config, clock=lambda: self.now, rng=self.chance)

    def _alerts(self, database: Database, *, calm: bool) -> None:
        self.ears.deaf = not calm and self.chance.random() < 0.1
        self.ears.deadly = 0 if calm else 0.15
        far, near = self.now + DAY * 300, self.now + DAY
        seen = alerts.Seen(
            clock="is wrong" * self.there["clock"],
            mailbox="is shut" * self.there["mailbox"],
            database="",
            broken={"daily": "no sender"} if self.there["settings:daily"] else {},
            free=1_000_000 if self.there["disk"] else 10**12,
            certificates={"mx.example:465": near if self.there["certificate:mx.example:465"] else far},
        )
        means = alerts.Means(self.ears.post, self.ears.call)
        with suppress(KeyboardInterrupt):
            alerts.tell(database, self.config, seen, clock=lambda: self.now, means=means)
        self._deliver(database)

    # ------------------------------------------------------------ copies

    def _copy(self) -> None:
        if self.chance.random() > 0.15:
            return
        self.count["copies"] += 1
        copy = self.folder / f"copy{self.count['copies']}.db"
        with closing(sqlite3.connect(self.file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        self.copies = [*self.copies[-2:], copy]

    def _restored(self, database: Database, now: bool) -> Database:
        """The database, or an older copy in its place that was noticed and accepted."""
        if not now:
            return database
        database.close()
        with closing(sqlite3.connect(self.file)) as before:
            had = before.execute("SELECT tick FROM installation").fetchone()[0]
        for beside in self.folder.glob("digest.db*"):
            beside.unlink()
        shutil.copy(self.chance.choice(self.copies), self.file)
        self.count["restores"] += 1
        found = open_database(f"sqlite:///{self.file}")
        found.witness = Witness(Journal(self.folder / "witness"), clock=lambda: self.now, warn=self.told.append)
        with found.read() as session:
            standing = found.witness.standing(session)
        if standing.tick < had:
            self.count["older"] += 1
            try:
                found.require_latest()
                self.blame("unnoticed", "a copy was put back")
            except PutBack:
                pass
            with found.write() as session:
                heard = restores.known([found.witness.journal.read()], after=standing.tick)
                restores.accept(session, heard, standing, restores.Terms({}, self.now))
        self._publish(found)
        return found

    # ------------------------------------------------------------ what came of it

    def judge(self) -> None:
        had: dict[str, Counter[str]] = {email: Counter() for email in self.readers}
        mails: Counter[str] = Counter()
        for mail in self.inbox.messages:
            content = message_from_bytes(mail.content, policy=policy.default)
            text = content.get_body(("plain",)).get_content()  # type: ignore[union-attr]
            if mail.recipient == OPERATOR:
                mails[str(content["Subject"]) + text] += 1
            else:
                had[mail.recipient].update({title for title in self.stories if f"/{title}/" in text})
        self.count["letters"] = len(self.inbox.messages)
        for email, theirs in had.items():
            for title in self.stories:
                if theirs[title] != 1:
                    self.blame("twice" if theirs[title] else "missing", f"{title} to {email}: {theirs[title]}")
        states = Counter(tuple(name.split("/")[::2]) for name in self.ears.heard)
        for wanted, state in ((self.begun, "trouble"), (self.over, "well")):
            for key in TROUBLES:
                number = states[key, state]
                if number != wanted[key]:
                    what = "untold" if number < wanted[key] else "told_twice"
                    self.blame(what, f"{key} {state}: {number} for {wanted[key]}")
        self.count["alerts"] = sum(states.values())
        again = sum(times - 1 for times in self.ears.heard.values())
        if again > self.ears.kills:  # who died between saying and writing it down says it again
            self.blame("told_twice", f"{again} words again, and {self.ears.kills} died")
        for words, times in mails.items():
            if times > 1:
                self.blame("mail_twice", words[:60])
        if sum(mails.values()) < len(self.ears.heard):
            self.blame("mail_missing", f"{sum(mails.values())} of {len(self.ears.heard)}")


def simulate(folder: Path, *, seed: int, days: int, readers: int, restores: float = 0.08) -> Year:
    """`restores` is how often a day has one."""
    with Catcher() as inbox:
        year = Year(folder, inbox, seed=seed, readers=readers, restores=restores)
        for _ in range(days):
            year.day()
        for key in TROUBLES:
            year.end(key)
        for _ in range(4):
            year.day(calm=True)
        year.judge()
        return year


# What keeps the promises, each left out in its turn. Of letters in part of an edition `tests.simulation` has more.
BUGS = {
    "alerts that a restore forgets": "digest.store.witness.note_alerts",
    "what was told is not worked in": "digest.store.alerts.work_in",
    "editions that a restore forgets": "digest.store.restores._pass_by",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--restores", type=float, default=0.08)
    parser.add_argument("--bugs", action="store_true")
    asked = parser.parse_args()
    failed = False
    for name, place in (BUGS if asked.bugs else {"": ""}).items():
        begun = time.perf_counter()
        left_out = mock.patch(place, lambda *_, **__: None) if place else nullcontext()
        how = {"seed": asked.seed, "days": asked.days, "readers": asked.readers, "restores": asked.restores}
        with tempfile.TemporaryDirectory() as folder, left_out:
            year = simulate(Path(folder), **how)
        good = bool(sum(year.wrong.values())) == asked.bugs
        failed = failed or not good
        facts = {"bug": name, **year.wrong, **year.count, "killed": year.ears.kills, "good": good}
        facts["seconds"] = round(time.perf_counter() - begun, 1)
        print(json.dumps(facts) if asked.json else "  ".join(f"{key} {value}" for key, value in facts.items()))
        for words in year.told[:20] if not asked.bugs else ():
            print(f"  {words}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
