"""All that the simulation knows of our own internals: the stage on which histories are played.

Names of `digest` stand in this file and nowhere else in the package.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest import deliver, event_loop, line, subscribe, taste
from digest.config import Config, from_values
from digest.deliver import commons
from digest.deliver import delivery as delivery_module
from digest.deliver import ledger as ledger_module
from digest.deliver import smtp as smtp_module
from digest.deliver import writer as writer_module
from digest.errors import Exit, StorageError, TryAgain, UserError
from digest.line import delivery_code
from digest.models import (
    Edition,
    EditionState,
    Feed,
    Newsletter,
    NewsletterFeed,
    OutboxState,
    Subscriber,
    Subscription,
    Variant,
)
from digest.render import Marker
from digest.schedule import Turn
from digest.store import (
    Database,
    clock,
    edition_states,
    feed_entries,
    letters,
    newsletters,
    open_database,
    outbox,
    people,
    recipients,
    restores,
    sharing,
    tastes,
)
from digest.store import database as database_module
from digest.store import disk_space as room_module
from digest.store.journal import Journal
from digest.store.sqlite_file import engine_of
from digest.store.witness import Witness
from digest.subscribe import Evidence, leanings, moves
from digest.taste import Taste

from . import hub as hub_module
from .hub import Hub, Killed, Process, Queues, Threads
from .mail import MOVED, Key, Network, Relay

START = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SECRET = "a key for tests, long enough"
BUSY = 60.0  # seconds for which SQLite waits for another writer

_stage: Stage | None = None  # that is being played on
_TRIGGERS = """
CREATE TABLE sim_wrong (what TEXT, letter INTEGER);
CREATE TRIGGER sim_marked AFTER UPDATE OF state ON outbox
WHEN new.state = 'sending' AND old.state <> 'sending' BEGIN
    INSERT INTO sim_wrong SELECT 'begun though nobody wants it any more', new.id
        WHERE (new.notice_id IS NULL AND NOT EXISTS
            (SELECT 1 FROM subscription s WHERE s.id = new.subscription_id AND s.state = 'active'))
        OR EXISTS (SELECT 1 FROM suppression x JOIN subscriber p ON p.key = x.key WHERE p.id = new.subscriber_id)
        OR EXISTS (SELECT 1 FROM suppression x JOIN notice n ON n.address = x.key WHERE n.id = new.notice_id)
        OR EXISTS (SELECT 1 FROM suppression x JOIN subscriber p ON p.key LIKE '%' || x.key
            WHERE x.key LIKE '@%' AND p.id = new.subscriber_id)
        OR EXISTS (SELECT 1 FROM suppression x JOIN notice n ON n.address LIKE '%' || x.key
            WHERE x.key LIKE '@%' AND n.id = new.notice_id);
    INSERT INTO sim_wrong SELECT 'begun though its edition is not open', new.id
        FROM edition e WHERE e.id = new.edition_id AND e.state <> 'open';
END;
CREATE TRIGGER sim_unsent AFTER UPDATE OF state ON outbox WHEN old.state = 'sent' AND new.state <> 'sent' BEGIN
    INSERT INTO sim_wrong VALUES ('sent, and then ' || new.state, new.id);
END;
CREATE TRIGGER sim_gone AFTER DELETE ON outbox WHEN old.notice_id IS NULL BEGIN
    INSERT INTO sim_wrong VALUES ('deleted', old.id);
END;
"""


# ---------------------------------------------------------------- what a history begins with


@dataclass(frozen=True)
class Shape:
    """Lists, editions and letters owed. Made once, and copied for each history that begins with it."""

    readers: int = 12
    variants: int = 1
    newsletters: int = 1
    editions: int = 1  # of each newsletter
    notices: int = 0
    foreign: int = 0  # readers whose address is not ASCII
    line: bool = False  # nothing is composed yet: there are feeds with entries to come
    weekly: int = 0  # readers, the last ones, who want it on one day of the week
    tastes: int = 0  # from which their maximum and mutes are drawn; 0: nobody has any
    at_once: int = 0  # readers whose letters are written in one transaction; 0: as many as in earnest

    @property
    def names(self) -> list[str]:
        return [f"paper{n}" for n in range(self.newsletters)]

    @property
    def emails(self) -> list[str]:
        domains = ("alpha.example", "beta.example", "gamma.example", "alpha.example", "delta.example")
        plain = [f"reader{n}@{domains[n % len(domains)]}" for n in range(self.readers - self.foreign)]
        return plain + [f"lešer{n}@alpha.example" for n in range(self.foreign)]

    @property
    def notified(self) -> list[str]:
        return [f"asked{n}@{('beta', 'epsilon')[n % 2]}.example" for n in range(self.notices)]


TOPICS = ("one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Wish:
    """What a reader wants of the stories of all papers."""

    most: int = 0
    words: tuple[str, ...] = ()  # the names of topics, which stand in the titles too
    topics: tuple[str, ...] = ()
    feeds: tuple[int, ...] = ()  # of the two that a paper has
    language: str = ""
    more: tuple[str, ...] = ()  # topics, which move what they tell, and take nothing away
    less: tuple[str, ...] = ()

    def level(self, tale: int) -> int:
        """How much a story moves for them: 1 up, 0, or 1 down."""
        topic = TOPICS[tale % len(TOPICS)]
        return (topic in self.more) - (topic in self.less)

    def wants(self, tale: int) -> bool:
        """Whether a story with this number comes to them; see `Stage.publish`."""
        topic = TOPICS[tale % len(TOPICS)]
        if self.language not in ("", "en"):
            return False
        return topic not in (*self.words, *self.topics) and tale % 2 not in self.feeds

    def of(self, paper: str) -> Taste:
        sites = tuple(f"{paper}{feed}.example" for feed in self.feeds)
        languages = (self.language,) if self.language else ()
        more, less = (tuple(f"topic:{topic}" for topic in some) for some in (self.more, self.less))
        wish = Taste(self.most or None, (*self.words, "nothing of it"), sites, self.topics, languages, more, less)
        return taste.checked(wish) if self != Wish() else Taste()


def wish(shape: Shape, email: str) -> Wish:
    """What one of the readers wants, the same each time; the first wants all."""
    if not shape.tastes or email == shape.emails[0]:
        return Wish()
    rng = random.Random(f"{shape.tastes} {email}")
    words, topics = (tuple(rng.sample(TOPICS, rng.choice([0, 0, 1, 2]))) for _ in range(2))
    feeds = tuple(rng.sample((0, 1), rng.choice([0, 0, 0, 1])))
    most, language = rng.choice([0, 0, 1, 2, 3]), rng.choice(["", "", "", "en", "de"])
    leant = rng.sample(TOPICS, 3)
    more = rng.choice([0, 0, 1, 2])
    return Wish(most, words, topics, feeds, language, tuple(leant[:more]), tuple(leant[2:]) if more else ())


def settings(
    shape: Shape, smtp: dict[str, Any], folder: Path, own: dict[str, dict[str, Any]] | None = None, **paper: Any
) -> Config:
    """As a settings file would give them; `own` is what single newsletters say besides."""
    alone, news = own or {}, "news.example"
    papers = {
        name: {"title": name.title(), "from": f"{name.title()} <{name}@{news}>", "archive": True}
        | paper
        | alone.get(name, {})
        for name in shape.names
    }
    if shape.line:
        for one in papers.values():
            one["topics"] = {topic: {"title": topic, "keywords": [topic]} for topic in TOPICS}
    values = {
        "database": "digest.db",
        "base_url": "https://digest.example",
        "secret_key": SECRET,
        "smtp": {"hello": "sim.example"} | smtp,
        "curate": {"newest_of_new_feed": 20, "per_feed": 20, "per_topic": 50, "per_author": 50, "weight_taste": 20},
        "newsletters": papers,
    }
    return from_values(values, folder / "digest.toml", environment=False)


class Theatre:
    """The folder, the prepared databases and the engines, which many histories use one after the other."""

    def __init__(self) -> None:
        ground = Path("/dev/shm")
        where = ground if os.access(ground, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="digest-simulation-", dir=where))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "digest.db"
        self._shapes: dict[Shape, Path] = {}
        self._empty: Path | None = None
        self._engines: dict[str, sa.Engine] = {}
        self._reader: sqlite3.Connection | None = None

    def database(self, slot: str) -> Database:
        """The database as one process has it open: with an engine for each `slot`, whose statements stay compiled."""
        engine = self._engines.get(slot)
        if engine is None:
            engine = self._engines[slot] = engine_of(self.path, synchronous="OFF")
            _hook(engine)
        return Database(engine)

    def reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
            self._reader.row_factory = sqlite3.Row
        return self._reader

    def set(self, shape: Shape) -> None:
        if shape not in self._shapes:
            self._shapes[shape] = self._make(shape)
        self.place(self._shapes[shape])

    def place(self, file: Path) -> None:
        """A file as the database, which nobody has open."""
        for engine in self._engines.values():
            engine.dispose()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(file, self.path)

    def _make(self, shape: Shape) -> Path:
        path = self.folder / f"shape{len(self._shapes)}.db"
        if self._empty is None:
            self._empty = self.folder / "empty.db"
            open_database(f"sqlite:///{self._empty}", create=True).close()
        shutil.copyfile(self._empty, path)
        engine = engine_of(path, synchronous="OFF")
        database = Database(engine)
        _fill(database, shape, settings(shape, {}, self.folder))
        engine.dispose()
        with sqlite3.connect(path) as connection:
            connection.executescript(_TRIGGERS)
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path


def _fill(database: Database, shape: Shape, config: Config) -> None:
    newsletters.keep(database, config.newsletters, now=START)
    for name in shape.names:
        terms = subscribe.Terms("test", START, (), secret=SECRET, vouched_by="test")
        rows = "\n".join(["email", *shape.emails])
        subscribe.import_csv(database, BytesIO(rows.encode()), terms, newsletter=name)
    with database.write() as session:
        for days in (2, 1):  # it is no new installation
            clock.note_day(session, now=START - timedelta(days=days))
        _choose(session, shape)
        if shape.line:
            for name in shape.names:
                _feeds(session, name)
        else:
            for _ in range(shape.editions):
                for name in shape.names:
                    _owe(session, name, shape, config)
        for n, email in enumerate(shape.notified):
            sender = "Paper <paper0@news.example>"
            notice = outbox.NewNotice(to=email, sender=sender, subject=f"Please confirm {n}", text="Here.")
            outbox.owe_notice(session, notice, key=f"confirm:{email}", now=START)


def _choose(session: Any, shape: Shape) -> None:
    """Give readers different choices, as many as there shall be variants."""
    for subscription in session.scalars(sa.select(Subscription).order_by(Subscription.id)):
        subscription.topics = _topics(subscription.id % shape.variants, shape)
        if shape.tastes:
            person = session.get(Subscriber, subscription.subscriber_id)
            paper = session.get(Newsletter, subscription.newsletter_id)
            tastes.put(subscription, wish(shape, person.email).of(paper.name))
        if subscription.subscriber_id > shape.readers - shape.weekly:
            subscription.cadence = f"weekly {('wed', 'thu', 'fri')[subscription.subscriber_id % 3]}"
        session.add(subscription)
    session.flush()


def _topics(number: int, shape: Shape) -> list[str]:
    if shape.variants == 1:
        return []
    if shape.line:
        return sorted(topic for bit, topic in enumerate(TOPICS) if (number + 1) >> bit & 1)
    return [f"t{number}"]


def _owe(session: Any, name: str, shape: Shape, config: Config) -> None:
    paper = newsletters.lock(session, name)
    paper.edition_number += 1
    made = Edition(
        newsletter_id=paper.id,
        number=paper.edition_number,
        composed_at=START,
        upto_seq=paper.seq,
        sender=config.newsletters[name].sender,
    )
    session.add(made)
    session.flush()
    groups = {}
    for number in range(shape.variants):
        topics = _topics(number, shape)
        variant = Variant(
            edition_id=made.id,
            key=f"v{number}",
            since_seq=0,
            topics=topics,
            subject=f"News {paper.edition_number} of {name}",
            html=f'<p>.dot {number}</p><a href="{Marker.UNSUBSCRIBE}">Unsubscribe</a>',
            text=f".\n..\nvariant {number}\n{Marker.UNSUBSCRIBE}\n",
            story_count=1,
            more_count=0,
        )
        session.add(variant)
        session.flush()
        groups[recipients.Group(0, sa_text(topics), "", False)] = variant.id
    with recipients.laid_out(session, paper.id, {("", None, ""): [Turn(START, START)]}):
        recipients.owe(session, paper.id, groups, edition=made, upto=made.upto_seq, marks=False, now=START)


def sa_text(topics: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{topic}"' for topic in topics) + "]"


def _feeds(session: Any, name: str) -> None:
    paper = newsletters.find(session, name)
    for number in range(2):
        feed = Feed(url=f"https://{name}{number}.example/feed", title=f"Feed {number}", added_at=START, next_at=START)
        session.add(feed)
        session.flush()
        session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, added_at=START))


# ---------------------------------------------------------------- faults


@dataclass(frozen=True)
class Fault:
    """Something done to the storage, or to a process at its storage.

    `kind`: "kill before", "kill after" the commit; "locked", "full"; "eio", it failed; "eio after", it failed after it
    had happened; "deadlock", PostgreSQL took the other one; "sleep after", the machine sleeps. From commit `first` on
    for `count` commits, or from `start` to `end` in seconds.
    """

    kind: str
    first: int = 0
    count: int = 1
    start: float = -1.0
    end: float = -1.0
    seconds: float = 0.0  # of sleep

    def hits(self, commit: int, now: float) -> bool:
        if self.first:
            return self.first <= commit < self.first + self.count
        return self.start <= now < self.end

    def __str__(self) -> str:
        when = f"at commit {self.first}" if self.first else f"from {self.start:.2f} to {self.end:.2f} s"
        if self.first and self.count > 1:
            when += f" and the next {self.count - 1}"
        return f"{self.kind} {when}"


@dataclass
class Run:
    """One process of ours in a history, and what is done to it."""

    at: float
    config: Config
    name: str = "run"
    slot: str = "A"
    line: bool = False
    faults: tuple[Fault, ...] = ()
    stop_at: float = float("inf")  # SIGTERM
    offset: float = 0.0  # seconds by which its clock is ahead, beside the stage's
    data_first: bool = True
    commit_time: float = 0.001  # seconds
    process: Process = None  # type: ignore[assignment]
    report: deliver.Report = field(default_factory=deliver.Report)
    commits: int = 0
    number: int = -1  # among the runs of the plan
    frozen: float = 0.0  # seconds
    due_left: int = 0  # letters that could be claimed when it ended
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """What `digest` ends with; -9 where it was killed, 1 with a traceback."""
        error = self.process.error
        if self.process.dead:
            return -9
        if isinstance(error, KeyboardInterrupt):
            return 130
        if isinstance(error, UserError):
            return int(error.exit_code)
        return 1 if error is not None else int(delivery_code(self.report))


class Stage:
    """What one history is played on."""

    def __init__(self, theatre: Theatre, shape: Shape, relays: Sequence[Relay], hub: Hub, seed: str) -> None:
        self.theatre, self.shape, self.hub = theatre, shape, hub
        self.rng = random.Random(f"{seed} stage")
        self.network = Network(hub, relays, random.Random(f"{seed} network"))
        self.relays = list(relays)
        self.runs: list[Run] = []
        self.leaps: list[tuple[float, float]] = []  # from when on the clock of all is so many seconds ahead
        self.connections = 0
        self.log: list[tuple[float, str]] = []
        self.spare = 0  # commits that fit on a full disk
        self.kept_free = False  # the room beside the database
        self._holder: Any = None  # the connection that may write, and whose it is
        self._holding: Process | None = None
        self._by_process: dict[Process, Run] = {}
        self.shared = False  # relays, by rows
        self.written = False  # who has a letter that is claimed, as on PostgreSQL
        self.holders = 0
        self.server = False  # the database's has a clock of its own, the right one, as PostgreSQL's
        self.witness: Path | None = None  # a folder, where what goes out is told to somebody outside the database
        self.published: list[tuple[str, int]] = []
        self.accepted = 0  # copies
        self.errors: list[BaseException] = []  # of operators and readers, where they are our own mistakes
        theatre.set(shape)

    @contextmanager
    def playing(self) -> Iterator[None]:
        global _stage
        before, _stage = _stage, self
        compose, laying_out = _steps("compose"), _steps("laying_out")
        at_once = compose.AT_ONCE, laying_out._READERS, laying_out._AT_A_TIME
        if most := self.shape.at_once:
            compose.AT_ONCE, laying_out._READERS, laying_out._AT_A_TIME = most, (most, most), 1
        try:
            yield
        finally:
            _stage = before
            compose.AT_ONCE, laying_out._READERS, laying_out._AT_A_TIME = at_once

    def say(self, words: str) -> None:
        self.log.append((self.hub.now, words))

    # ------------------------------------------------------------ time

    def wall(self, run: Run | None = None) -> datetime:
        ahead = 0.0
        for since, seconds in self.leaps:
            if since <= self.hub.now:
                ahead = seconds
        if run is not None:
            ahead += run.offset
        return START + timedelta(seconds=self.hub.now + ahead)

    # ------------------------------------------------------------ processes

    def start(self, run: Run) -> Process:
        """A process that does what `digest deliver` does, or the line without asking feeds."""
        process = run.process = Process(self.hub, run.name)
        process.data_first = run.data_first
        process.buried = lambda: self._bury(process)
        self.runs.append(run)
        self._by_process[process] = run
        process.start(lambda: self._work(run), at=run.at)
        return process

    def database(self, slot: str) -> Database:
        found = self.theatre.database(slot)
        if self.witness is not None:
            found.witness = Witness(Journal(self.witness), clock=self.wall, warn=self.say)
        return found

    def _work(self, run: Run) -> Any:
        self.say(f"{run.name} begins, by its clock {self.wall(run):%Y-%m-%d %H:%M:%S}")
        run.before = self.count()
        database = self.database(run.slot)
        rng = random.Random(self.rng.random())
        healed = line.heal(database, run.config, now=self.wall(run))
        if healed:
            self.say(f"{run.name} puts back {dict(healed)}")
        if run.line:
            moment = self.wall(run)
            for name in run.config.newsletters:
                line.admit(database, run.config, name, now=moment)
                line.compose(database, run.config, name, now=moment)
        return line.deliver(
            database,
            run.config,
            clock=lambda: self.wall(run),
            rng=rng,
            stop=lambda: self.hub.now >= run.stop_at,
            report=run.report,
        )

    def ended(self, run: Run) -> None:
        """Tell what a run came to."""
        run.after = self.count()
        run.due_left = self.due(run)
        self.say(f"{run.name} ends with {run.exit_code}: {self.outcome(run)}")

    def outcome(self, run: Run) -> str:
        if run.process.dead:
            return "killed"
        if run.process.error is not None:
            return f"{type(run.process.error).__name__}: {run.process.error}"
        r = run.report
        parts = [
            f"{n} {word}"
            for word in ("sent", "refused", "deferred", "dropped", "held", "in_doubt", "owed")
            if (n := getattr(r, word))
        ]
        return "; ".join(filter(None, [", ".join(parts), r.stopped, *(f"{p[0]} {p[1]}: {p[2]}" for p in r.paused)]))

    def announced(self, run: Run) -> int:
        """How many letters the operator is told may come twice."""
        return run.report.in_doubt + run.report.twice

    def as_operator(self, action: Callable[[Any], Any]) -> None:
        """Do something to the database as another command would, now; waits for its turn to write."""

        def work() -> None:
            with self.database("O").write() as session:
                action(session)

        self.aside(work)

    def aside(self, work: Callable[[], Any]) -> None:
        """The same, of what has transactions of its own."""

        def told(process: Process) -> None:
            if not expected(process.error):
                self.errors.append(process.error)

        process = Process(self.hub, "operator")
        process.watchers.append(told)
        process.start(work)

    # ------------------------------------------------------------ what operators and readers do

    def unsubscribe(self, email: str, paper: str) -> None:
        self.say(f"{email} unsubscribes from {paper}")
        self.as_operator(lambda s: subscribe.remove(s, email, newsletter=paper, evidence=Evidence("web", self.wall())))

    def lean(self, email: str, paper: str, number: int) -> None:
        """They say of one topic that they want more of it, less, or neither."""
        topic, way = TOPICS[number % len(TOPICS)], (("more", "less", "") * 2)[number % 3]
        self.say(f"{email} says of {topic} in {paper}: {way or 'neither'}")

        def work(session: Any) -> None:
            person = people.find(session, email)
            own = person and people.subscription(session, person, newsletters.find(session, paper))
            if own is not None:
                said = Evidence("web", self.wall())
                leanings.lean(session, own.id, f"topic:{topic}", way, known_topics=TOPICS, evidence=said)

        self.as_operator(work)

    def suppress(self, email: str) -> None:
        self.say(f"{email} is suppressed by the operator")
        self.as_operator(
            lambda s: subscribe.suppress(s, email, reason="by hand", evidence=Evidence("command line", self.wall()))
        )

    def block(self, domain: str) -> None:
        self.say(f"all of {domain} is suppressed by the operator")
        said = Evidence("command line", self.wall())
        self.as_operator(lambda s: subscribe.suppress(s, f"@{domain}", reason="by hand", evidence=said))

    def move(self, email: str) -> None:
        self.say(f"{email} moves to another address")
        said = Evidence("command line", self.wall())
        self.as_operator(lambda s: moves.move(s, email, MOVED + email, secret=SECRET, evidence=said))

    def rename(self, email: str) -> None:
        self.say(f"{email} is called otherwise from now on")

        def work(session: Any) -> None:
            person = people.find(session, email)
            if person is not None:
                person.name = f"{person.name} Newname".strip()

        self.as_operator(work)

    def erase(self, email: str) -> None:
        self.say(f"{email} is erased")
        self.as_operator(lambda s: subscribe.erase(s, email, secret=SECRET, now=self.wall()))

    def come_back(self, email: str, paper: str) -> None:
        """They ask for it again, and say so to whoever is to let them."""
        self.say(f"{email} subscribes to {paper} again")

        def work(session: Any) -> None:
            said = Evidence("web", self.wall())
            subscribe.unsuppress(session, email, secret=SECRET, evidence=said)
            joining = subscribe.Joining(paper, TOPICS, SECRET)
            subscribe.add(session, email, joining, evidence=said, again=True)

        self.as_operator(work)

    def pause(self, edition_id: int) -> None:
        self.say(f"edition {edition_id} is paused by hand")
        self.as_operator(lambda s: edition_states.set_state(s, edition_id, EditionState.PAUSED, "by hand"))

    def resume(self, edition_id: int) -> None:
        self.say(f"edition {edition_id} is resumed")
        opened = self.wall()
        self.as_operator(lambda s: edition_states.set_state(s, edition_id, EditionState.OPEN, "", opened_at=opened))

    def cancel(self, edition_id: int) -> None:
        self.say(f"edition {edition_id} is cancelled")

        self.as_operator(lambda s: edition_states.set_state(s, edition_id, EditionState.CANCELLED, "by hand"))
        self.aside(lambda: edition_states.drop_cancelled(self.database("O"), now=self.wall()))

    def cure(self, *, held_letters: bool) -> None:
        """What an operator does once the trouble is over: editions go on, and what was held or quarantined is owed."""
        self.say("the operator lets go on what was paused or held")

        def work(session: Any) -> None:
            for edition_id in list(session.scalars(sa.select(Edition.id))):
                deliver.end_quarantine(session, edition_id, believe=False, now=self.wall())
            found = session.scalars(
                sa.select(Edition.id).where(Edition.state.in_([EditionState.PAUSED, EditionState.HELD]))
            )
            for edition_id in list(found):
                edition_states.set_state(session, edition_id, EditionState.OPEN, "", opened_at=self.wall())
            if held_letters:
                letters.owe_again(session, states=(OutboxState.HELD,), now=self.wall())

        self.as_operator(work)

    def owe_again_refused(self) -> None:
        self.say("the operator owes again what was refused")
        self.as_operator(lambda s: letters.owe_again(s, states=(OutboxState.REFUSED,), now=self.wall()))

    def publish(self, paper: str, number: int) -> None:
        """A new entry in a feed, as collecting it would store it."""
        moment = self.wall()
        self.published.append((paper, number))

        def work(session: Any) -> None:
            feed_id = session.scalar(sa.select(Feed.id).where(Feed.url == f"https://{paper}{number % 2}.example/feed"))
            words = random.Random(f"{paper} {number}")
            prose = " ".join("".join(words.choices("bdfgklmnprstvz", k=6)) for _ in range(20))
            topic = TOPICS[number % len(TOPICS)]
            row = {
                "key": f"k{number}", "url": f"https://example.org/{paper}/{number}/{prose[:6]}",
                "title": f"Tale {number} of {topic} {prose[:20]}", "summary": f"<p>{topic} {prose}</p>",
                "categories": [], "enclosures": [], "published_at": moment, "content_hash": str(number),
                "author": "", "content": "", "language": "en", "image_url": "", "original_url": "", "twin": "",
                "updated_at": None,
            }  # fmt: skip
            feed_entries.save_entries(session, feed_id, [row], now=moment)

        self.as_operator(work)

    # ------------------------------------------------------------ copies

    def copy(self, number: int) -> None:
        """A backup, of what is committed at this moment."""
        self.say(f"copy {number} of the database is made")
        target = self.theatre.folder / f"copy{number}.db"
        target.unlink(missing_ok=True)
        with sqlite3.connect(target) as copy:
            self.theatre.reader().backup(copy)
        copy.close()

    def pour(self, number: int) -> None:
        """A copy in the database's place while others are at work in it: as `.restore` or `pg_restore` would."""

        def work() -> None:
            copy = sqlite3.connect(self.theatre.folder / f"copy{number}.db")
            there = sqlite3.connect(self.theatre.path, isolation_level=None)
            self.take_lock(there)
            self.say(f"copy {number} is put back under whoever is at work")
            copy.backup(there)
            self.release(there)
            copy.close()
            there.close()

        self.aside(work)

    def put_back(self, number: int) -> bool:
        """A copy in the database's place, with all processes ended; is it older than what its witness saw?"""
        self.say(f"copy {number} is put back")
        self.theatre.place(self.theatre.folder / f"copy{number}.db")
        self._holder = None
        return self.was_put_back()

    def was_put_back(self) -> bool:
        """Is the database older than what its witness saw? Feeds have what they had."""
        database = self.database("O")
        assert database.witness is not None
        with database.read() as session:
            standing = database.witness.standing(session)
        for paper, number_ in list(dict.fromkeys(self.published)):  # feeds have it still
            self.publish(paper, number_)
        return standing.tick < standing.seen

    def accept(self) -> None:
        self.say("the operator goes on with it")
        self.accepted += 1

        def work(session: Any) -> None:
            witness = self.database("O").witness
            assert witness is not None
            standing = witness.standing(session)
            heard = restores.known([witness.journal.read()], after=standing.tick)
            done = restores.accept(session, heard, standing, restores.Terms({}, self.wall()))
            self.say(f"accepted: {done}")

        self.as_operator(work)

    # ------------------------------------------------------------ what the database says

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What stands in the database at this moment, read past all of our own code."""
        return self.theatre.reader().execute(query, values).fetchall()

    def count(self) -> dict[str, int]:
        return {row[0]: row[1] for row in self.rows("SELECT state, count(*) FROM outbox GROUP BY state")}

    def due(self, run: Run) -> int:
        """Letters that nobody has and that are due."""
        now = self.wall(None if self.server else run).replace(tzinfo=None).isoformat(sep=" ")
        query = (
            "SELECT count(*) FROM outbox o LEFT JOIN edition e ON e.id = o.edition_id"
            " WHERE o.state = 'owed' AND o.due_at <= ? AND (e.id IS NULL OR e.state = 'open')"
        )
        return int(self.rows(query, now)[0][0])

    def run_of(self, process: Process) -> Run | None:
        return self._by_process.get(process)

    def letters(self) -> dict[int, tuple[Key, sqlite3.Row]]:
        """{id: (what a server knows it by, its row)}"""
        found = self.rows(
            "SELECT o.*, coalesce(n.email, p.email, '') AS email, coalesce(n.subject, '') AS subject,"
            " coalesce(w.name, '') AS paper, coalesce(e.number, 0) AS number,"
            " coalesce(e.state, 'open') AS edition_state"
            " FROM outbox o LEFT JOIN notice n ON n.id = o.notice_id LEFT JOIN subscriber p ON p.id = o.subscriber_id"
            " LEFT JOIN edition e ON e.id = o.edition_id LEFT JOIN newsletter w ON w.id = e.newsletter_id"
        )
        return {
            row["id"]: ((row["paper"] or row["subject"], row["number"], row["email"].removeprefix(MOVED)), row)
            for row in found
        }

    def editions(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT id FROM edition ORDER BY id")]

    def accounts(self) -> list[Any]:
        with self.theatre.database("O").read() as session:
            return edition_states.accounts(session)

    def suppressed(self) -> dict[str, str]:
        return {row["key"]: row["reason"] for row in self.rows("SELECT * FROM suppression WHERE key NOT LIKE '@%'")}

    def wrong(self) -> list[tuple[str, int]]:
        return [(row[0], row[1]) for row in self.rows("SELECT what, letter FROM sim_wrong")]

    # ------------------------------------------------------------ the storage

    def take_lock(self, connection: Any) -> None:
        """Wait for one's turn to write, as SQLite does."""
        actor = self.hub.actor
        if actor is None:
            return
        if actor.process.dead:
            raise Killed
        run = self._by_process.get(actor.process)
        end = self.hub.now + BUSY
        while self._holder is not None or self._locked(run):
            if self.hub.now >= end:
                raise sqlite3.OperationalError("database is locked")
            actor.sleep(0.01 if self._holder is not None else 1.0)
        self._holder, self._holding = connection, actor.process

    def _bury(self, process: Process) -> None:
        """What a killed process had begun is rolled back, as the system does when it closes its files."""
        if self._holder is not None and self._holding is process:
            with suppress(sqlite3.ProgrammingError):
                self._holder.rollback()
            self._holder = None

    def _locked(self, run: Run | None) -> bool:
        return run is not None and any(
            fault.kind == "locked" and fault.hits(run.commits + 1, self.hub.now) for fault in run.faults
        )

    def room(self, what: str) -> bool:
        """In the place of the file that keeps room on the disk free: `sure`, `release` it, `close`."""
        run = None if self.hub.actor is None else self._by_process.get(self.hub.actor.process)
        full = run is not None and any(f.kind == "full" and f.hits(run.commits + 1, self.hub.now) for f in run.faults)
        before = self.kept_free
        if what == "sure":
            self.kept_free = before or not full
            return self.kept_free
        self.kept_free = False
        if before:
            self.spare = 40
        return before

    def release(self, connection: Any) -> None:
        if self._holder is connection:
            self._holder = None

    def commit(self, connection: Any, really: Callable[[Any], None]) -> None:
        actor = self.hub.actor
        if actor is None:
            really(connection)
            return
        if actor.process.dead:
            raise Killed
        run = self._by_process.get(actor.process)
        if run is None:
            really(connection)
            self.release(connection)
            return
        run.commits += 1
        fault = next((f for f in run.faults if f.hits(run.commits, self.hub.now)), None)
        kind = fault.kind if fault else ""
        took = run.commit_time * self.rng.uniform(0.2, 2)
        actor.sleep(took)
        if kind == "full" and self.spare:
            self.spare -= 1
            kind = ""
        if kind:
            self.say(f"{run.name}: {kind}, commit {run.commits}")
        if kind == "kill before":
            actor.process.kill()
            raise Killed
        if kind in ("eio", "full"):
            connection.rollback()  # as SQLite does by itself
            self.release(connection)
            raise sqlite3.OperationalError("disk I/O error" if kind == "eio" else "database or disk is full")
        if kind == "deadlock":
            connection.rollback()
            self.release(connection)
            raise TryAgain("the database stopped one of two that waited for each other, and it was us")
        really(connection)
        self.release(connection)
        if fault is not None and kind == "sleep after":
            run.frozen += fault.seconds
            actor.process.freeze(fault.seconds)
        if kind == "kill after":
            actor.process.kill()
            raise Killed
        actor.sleep(took / 2)
        if kind == "eio after":
            raise sqlite3.OperationalError("disk I/O error")


def _hook(engine: sa.Engine) -> None:
    """Let the stage have a hand in each transaction."""
    dialect: Any = engine.dialect
    commit, rollback, close = dialect.do_commit, dialect.do_rollback, dialect.do_close

    def do_commit(connection: Any) -> None:
        if _stage is None:
            commit(connection)
        else:
            _stage.commit(_bare(connection), lambda _: commit(connection))

    def do_rollback(connection: Any) -> None:
        rollback(connection)
        if _stage is not None:
            _stage.release(_bare(connection))

    def do_close(connection: Any) -> None:
        close(connection)
        if _stage is not None:
            _stage.release(_bare(connection))

    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if statement == "BEGIN IMMEDIATE" and _stage is not None:
            _stage.take_lock(cursor.connection)
        cursor.execute(statement, parameters)

    dialect.do_commit, dialect.do_rollback, dialect.do_close = do_commit, do_rollback, do_close
    dialect.do_terminate, dialect.do_execute = do_close, do_execute


def _bare(connection: Any) -> Any:
    return getattr(connection, "dbapi_connection", connection)


# ---------------------------------------------------------------- the seams


@contextmanager
def installed(*, tick: float = 0.05) -> Iterator[None]:
    """Put virtual time, threads and networks where delivery has the real ones."""

    def run(make: Callable[[], Any]) -> Any:
        if _stage is None or _stage.hub.actor is None:
            return really_run(make)
        return hub_module.run(_stage.hub.actor.process, _stage.network, make)

    def born(self: Any, *arguments: Any, **rest: Any) -> None:
        really_born(self, *arguments, **rest)
        if _stage is not None:
            _stage.connections += 1
            self._simulated = _stage.connections

    def together(database: Database) -> bool:
        return really_together(database) if _stage is None else _stage.shared

    def keep(self: Any, *arguments: Any, **rest: Any) -> None:
        really_keep(self, *arguments, **rest)
        if _stage is not None:
            self._alone = not _stage.written

    def shared_now(session: Any, now: datetime) -> datetime:
        return _stage.wall() if _stage is not None and _stage.server else really_shared(session, now)

    def moment(session: Any) -> float:
        return really_moment(session) if _stage is None else _stage.wall().timestamp()

    def give_way(self: Database) -> None:
        if _stage is None or _stage.hub.actor is None:
            really_give_way(self)
        else:
            _stage.hub.actor.sleep(0.11)

    def new_holder() -> str:
        if _stage is None:
            return really_new()
        _stage.holders += 1
        return f"pass{_stage.holders}"

    async def leave(self: commons.Commons) -> None:
        if asyncio._get_running_loop() is None:  # it was killed, and is unwound at last
            raise GeneratorExit
        await really_leave(self)

    def apart(session: Any) -> timedelta:
        return clock.APART if _stage is not None and _stage.server else really_apart(session)

    really_shared, really_apart = database_module.shared_now, clock.apart
    _everywhere("shared_now", really_shared, shared_now)
    _everywhere("apart", really_apart, apart)
    really_give_way = Database.give_way
    Database.give_way = give_way  # type: ignore[method-assign]
    really_leave = commons.Commons.leave
    really_keep = ledger_module.Ledger.__init__
    ledger_module.Ledger.__init__ = keep  # type: ignore[method-assign]
    really_together, really_moment, really_new = delivery_module.shared, sharing.moment, sharing.new_holder
    connection: Any = smtp_module.Connection
    writer, passing, room = writer_module, delivery_module, room_module.Room
    really_run, really_born, really_hash = event_loop.run, connection.__init__, connection.__hash__
    was = (writer.threading, writer.queue, passing.TICK)
    rooms = {name: getattr(room, name) for name in ("sure", "release", "close")}

    def roomy(name: str) -> Callable[[Any], bool]:
        return lambda self: rooms[name](self) if _stage is None else _stage.room(name)

    def hub() -> Hub:
        assert _stage is not None
        return _stage.hub

    event_loop.run = run
    connection.__init__ = born
    connection.__hash__ = lambda self: getattr(self, "_simulated", id(self))  # sets in the same order each time
    writer.threading, writer.queue = Threads(hub), Queues(hub)  # type: ignore[assignment]
    passing.TICK = tick
    passing.shared, sharing.moment, sharing.new_holder = together, moment, new_holder
    commons.asyncio = hub_module.Aside(hub)  # type: ignore[assignment]
    commons.Commons.leave = leave  # type: ignore[method-assign]
    for name in rooms:
        setattr(room, name, roomy(name))
    try:
        yield
    finally:
        event_loop.run, connection.__init__, connection.__hash__ = really_run, really_born, really_hash
        writer.threading, writer.queue, passing.TICK = was
        passing.shared, sharing.moment, sharing.new_holder = really_together, really_moment, really_new
        commons.asyncio = asyncio
        _everywhere("shared_now", shared_now, really_shared)
        _everywhere("apart", apart, really_apart)
        Database.give_way = really_give_way  # type: ignore[method-assign]
        ledger_module.Ledger.__init__ = really_keep  # type: ignore[method-assign]
        commons.Commons.leave = really_leave  # type: ignore[method-assign]
        for name, really in rooms.items():
            setattr(room, name, really)


def _everywhere(name: str, old: Any, new: Any) -> None:
    """Under the same name in all files that have it from another."""
    for module in [one for of, one in sys.modules.items() if of.startswith("digest.")]:
        if vars(module).get(name) is old:
            setattr(module, name, new)


def _steps(file: str) -> Any:
    """A file of the room, of which its own function of that name hides one."""
    return import_module(f"digest.edition.{file}")


def expected(error: BaseException | None) -> bool:
    """An error that is told in one sentence."""
    return error is None or isinstance(error, UserError | KeyboardInterrupt)


def storage_failed(error: BaseException | None) -> bool:
    return isinstance(error, StorageError | TryAgain)


OK, UNAVAILABLE, IOERR, TEMPFAIL = (int(code) for code in (Exit.OK, Exit.UNAVAILABLE, Exit.IOERR, Exit.TEMPFAIL))
