"""A year of readers who change everything at random, over the changes of clocks in a dozen zones.

    python benchmarks/readers_year.py [--quick] [--json] [--seed N] [--days N] [--readers N] [--step MINUTES]

A virtual clock, a real database file, and the product's own steps at each run of cron: sign-ups answered, reminders,
welcomes, editions, and letters claimed, marked and settled as sent. Readers join by the web or by the operator, confirm,
change topics, cadence, hour, zone, language, format, maximum and mutes, pause, resume, leave, come back and move. A
topic and a newsletter are renamed once, and now and then nothing runs for a day. What is owed, and at what hour it may
come, `year_oracle` says.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlmodel import Session, col, select
from year_oracle import DAY, NEVER, Choices, Clock, Paper, Planned, Reader, Tale

from digest import line, subscribe
from digest.config import Config, from_values
from digest.errors import UserError
from digest.models import Admission, Decision, Entry, Feed, OutboxRow, OutboxState, Story, Variant, VariantStory
from digest.store import Database, clock, newsletters, open_database, outbox, renames, signup
from digest.subscribe import Evidence, Joining, Preferences, moves
from digest.subscribe import signup as signups

GOALS = {"twice": 0, "missing": 0, "wrong_hour": 0, "unwanted": 0, "to_who_left": 0}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "a key for the benchmark, long enough"
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"),
    *("Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran", "America/Havana", "Africa/Cairo", "Pacific/Chatham"),
)
CADENCES = (
    *("", "daily", "weekdays", "weekly mon", "weekly thu", "weekly sun", "fortnightly sun", "monthly 1", "monthly 31"),
    *("fortnightly wed from 2026-01-14", "monthly last sun", "monthly second sun", "monthly last fri"),
)
SITES = ("a.example", "b.example", "c.example", "d.example")
WORDS = ("copper", "meadow", "harbour", "violin", "glacier")
TOPICS = ("ai", "web", "art", "games", "law")
LANGUAGES = ("en", "de", "")
LINK = re.compile(r"/(confirm|move)/(\S+)")
LEASE = timedelta(minutes=9)
LIFETIME = timedelta(days=5)
MOST = 40


class Year:
    """The product, the readers, and what went wrong."""

    def __init__(self, folder: Path, *, seed: int, readers: int, step: timedelta, begin: datetime) -> None:
        self.chance = random.Random(seed)
        self.folder, self.step, self.now = folder, step, begin
        self.holidays = frozenset({(5, 1), (10, 25), (12, 25)})
        self.papers = {
            "berlin": Paper("berlin", Clock("daily", ((7, 0),), "Europe/Berlin", self.holidays), list(TOPICS), MOST),
            "howe": Paper("howe", Clock("daily", ((6, 30), (18, 30)), "Australia/Lord_Howe"), list(TOPICS), MOST),
            "weekly": Paper("weekly", Clock("weekly sun", ((2, 30),), "America/New_York"), list(TOPICS), MOST),
            "loose": Paper("loose", None, list(TOPICS), MOST),
        }
        self.config = self._settings()
        self.database: Database = open_database(f"sqlite:///{folder / 'digest.db'}", create=True)
        newsletters.keep(self.database, self.config.newsletters, now=self.now)
        for paper in self.papers.values():
            paper.looked = self.now
        self.addresses = [f"reader{n}@example.org" for n in range(readers)]
        self.readers = [Reader(n, self.chance.choice([*self.papers.values()])) for n in range(readers)]
        self.readers += [
            Reader(one.person, paper)
            for one in self.readers
            for paper in self.papers.values()
            if paper is not one.paper and self.chance.random() < 0.1
        ]
        self.by_letter: dict[int, Reader] = {}
        self.tokens: list[tuple[datetime, str, str]] = []  # when they follow a link, which, and its token
        self.count: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter(dict.fromkeys(GOALS, 0))
        self.told: list[str] = []
        self.idle = timedelta()
        self.ran = NEVER
        self.mailed: dict[str, datetime] = {}  # to an address: when it had its last mail of words

    def _settings(self) -> Config:
        papers = {}
        for name, paper in self.papers.items():
            papers[name] = {
                "title": name.title(), "from": f"{name} <{name}@news.example>", "max_stories": MOST,
                "topics": {topic: {} for topic in paper.topics},
            }  # fmt: skip
            if paper.clock:
                times = ",".join(f"{hour:02}:{minute:02}" for hour, minute in paper.clock.times)
                papers[name]["schedule"] = f"{paper.clock.cadence} {times} {paper.clock.zone}"
                papers[name]["holidays"] = [f"{month:02}-{day:02}" for month, day in sorted(paper.clock.holidays)]
        values = {
            "secret_key": SECRET,
            "base_url": "https://digest.example",
            "newsletters": papers,
            "curate": {"per_feed": 500, "per_topic": 500, "per_author": 500, "weight_fresh": 0},
        }
        return from_values(values, self.folder / "digest.toml", environment=False)

    def blame(self, what: str, words: str, times: int = 1) -> None:
        self.wrong[what] += times
        self.told.append(f"{what}: {self.now:%Y-%m-%d %H:%M} {words}")

    def said(self) -> Evidence:
        return Evidence("year", self.now, ip=f"192.{self.chance.randrange(9)}.{self.chance.randrange(250)}.7")

    # ------------------------------------------------------------ news

    def publish(self, paper: Paper) -> None:
        seq = len(paper.tales) + 1
        topic, site = self.chance.choice(paper.topics), self.chance.choice(SITES)
        word, language = self.chance.choice(WORDS), self.chance.choice(LANGUAGES)
        title, rank = f"Story {seq} of the {word} as it was told", self.chance.random()
        with self.database.write() as session:
            row = newsletters.lock(session, paper.name)
            row.seq = seq
            feed = session.exec(select(Feed).where(Feed.site_url == f"https://{site}/")).first()
            if feed is None:
                feed = Feed(url=f"https://{site}/feed", title=site.title(), added_at=self.now, next_at=self.now)
                feed.site_url = f"https://{site}/"
                session.add(feed)
                session.flush()
            url = f"https://{site}/{paper.name}/{seq}"
            entry = Entry(feed_id=feed.id, key=url, url=url, seen_at=self.now)
            session.add(entry)
            session.flush()
            story = Story(
                newsletter_id=row.id, seq=seq, entry_id=entry.id, topic=topic, url=url, title=title, source=feed.title,
                excerpt="What there is to say about it, in a sentence.", language=language, published_at=self.now,
                admitted_at=self.now, rank=rank,
            )  # fmt: skip
            session.add(story)
            session.flush()
            told = {"newsletter_id": row.id, "entry_id": entry.id, "story_id": story.id}
            session.add(Admission(**told, decision=Decision.STORY, decided_at=self.now))
            session.add(row)
            assert story.id is not None
            paper.tales.append(Tale(seq, story.id, topic, title, site, language, rank, self.now))
        self.count["stories"] += 1

    # ------------------------------------------------------------ what readers do

    def act(self, reader: Reader) -> None:
        """One thing that somebody in this state may do."""
        self.count["changes"] += 1
        match reader.state:
            case "none":
                self.chance.choice([self.added, self.asks])(reader)
            case "pending":
                self.chance.choice([self.asks, self.added])(reader)
            case "left":
                self.chance.choice([self.added, self.asks, self.comes_back, self.comes_back, self.chooses])(reader)
            case "paused":
                self.chance.choice([self.resumes, self.resumes, self.chooses, self.leaves, self.moves])(reader)
            case _:
                some = [self.chooses] * 12 + [self.pauses, self.leaves, self.moves, self.asks_to_move]
                self.chance.choice(some)(reader)

    def added(self, reader: Reader) -> None:
        now, paper = self.now, reader.paper
        choices = self.wish(Choices(), paper, changes=self.chance.randrange(5))
        welcome = self.chance.random() < 0.5
        joining = Joining(paper.name, frozenset(paper.topics), SECRET, welcome=welcome)
        wanted = Preferences(**vars(choices))
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.add(session, email, joining, evidence=self.said(), preferences=wanted, again=True)
            reader.id = subscribe.find(session, email, paper.name)[1].id or 0
        reader.enter("active", now)
        reader.choices = replace(reader.choices, **{name: getattr(choices, name) for name in wanted.said})
        reader.awaits_welcome |= welcome
        self.count["joined"] += 1

    def asks(self, reader: Reader) -> None:
        choices: Any = {}
        if reader.state == "none":
            choices = {"cadence": self.chance.choice(CADENCES), "topics": self.some_topics(reader.paper)}
        with self.database.write() as session:
            paper, email = reader.paper, self.addresses[reader.person]
            known = frozenset(paper.topics)
            signups.ask(session, email, newsletter=paper.name, config=self.config, evidence=self.said(),
                        known_topics=known, choices=choices)  # fmt: skip
        if reader.state == "none":
            reader.choices, reader.state, reader.asked = Choices(**choices), "pending", self.now

    def comes_back(self, reader: Reader) -> None:
        with self.database.write() as session:
            if subscribe.come_back(session, reader.id, evidence=self.said()):
                reader.enter("active", self.now)
            else:
                self.blame("unwanted", f"{self.name(reader)} cannot come back")

    def leaves(self, reader: Reader) -> None:
        with self.database.write() as session:
            subscribe.leave(session, reader.id, evidence=self.said())
        reader.enter("left", self.now)

    def pauses(self, reader: Reader) -> None:
        hours = self.chance.choice([3, 8, 30, 24 * 7, 24 * 30])
        until = self.now + timedelta(hours=hours) if self.chance.random() < 0.8 else None
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.pause(session, email, newsletter=reader.paper.name, until=until, evidence=self.said())
        reader.enter("paused", self.now)
        reader.paused_until = until

    def resumes(self, reader: Reader) -> None:
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.resume(session, email, newsletter=reader.paper.name, evidence=self.said())
        reader.enter("active", self.now)

    def moves(self, reader: Reader) -> None:
        email, new = self.addresses[reader.person], self.elsewhere(reader)
        with self.database.write() as session:
            moves.move(session, email, new, secret=SECRET, evidence=self.said())
        self.moved(reader.person, new)

    def asks_to_move(self, reader: Reader) -> None:
        with self.database.write() as session:
            moves.ask(session, reader.id, self.elsewhere(reader), config=self.config, evidence=self.said())

    def elsewhere(self, reader: Reader) -> str:
        return f"reader{reader.person}.{self.count['changes']}@example.org"

    def moved(self, person: int, email: str) -> None:
        """What nobody confirmed does not go along."""
        self.addresses[person] = email
        self.count["moved"] += 1
        for reader in self.readers:
            if reader.person == person and reader.state == "pending":
                reader.forgotten()

    def chooses(self, reader: Reader) -> None:
        """The form of their page, with all choices; or some of them, by the operator."""
        paper = reader.paper
        choices = self.wish(reader.choices, paper, changes=self.chance.choice([1, 1, 1, 2, 4]))
        known, wanted = frozenset(paper.topics), Preferences(**vars(choices))
        with self.database.write() as session:
            if self.chance.random() < 0.5:
                changed = subscribe.choose_all(session, reader.id, wanted, known_topics=known, evidence=self.said())
            else:
                some: Any = {k: v for k, v in vars(choices).items() if v != getattr(reader.choices, k)}
                email = self.addresses[reader.person]
                changed = subscribe.change(session, email, newsletter=paper.name, evidence=self.said(),
                                           known_topics=known, choices=some)  # fmt: skip
        if changed:
            reader.choose(choices, self.now)

    def some_topics(self, paper: Paper) -> tuple[str, ...]:
        chosen = self.chance.sample(paper.topics, self.chance.choice([0, 0, 1, 2, 3, 4]))
        return tuple(sorted(chosen))

    def wish(self, choices: Choices, paper: Paper, *, changes: int) -> Choices:
        some = {
            "topics": lambda: self.some_topics(paper),
            "cadence": lambda: self.chance.choice(CADENCES),
            "hour": lambda: self.chance.choice([None, 0, 1, 2, 2, 3, *range(24)]),
            "zone": lambda: self.chance.choice(["", *ZONES]),
            "language": lambda: self.chance.choice(["", "de", "fr"]),
            "plain": lambda: self.chance.random() < 0.3,
            "max_stories": lambda: self.chance.choice([None, None, 1, 3, 20]),
            "muted_words": lambda: tuple(sorted(self.chance.sample(WORDS, self.chance.choice([0, 0, 1, 2])))),
            "muted_sources": lambda: tuple(sorted(self.chance.sample(SITES, self.chance.choice([0, 0, 1])))),
            "muted_topics": lambda: tuple(sorted(self.chance.sample(paper.topics, self.chance.choice([0, 0, 1])))),
            "story_languages": lambda: self.chance.choice([(), (), ("de",), ("en",)]),
        }
        names = self.chance.choices([*some, "topics", "cadence", "hour", "hour", "zone"], k=changes)
        return replace(choices, **{name: some[name]() for name in names})

    def follow(self, kind: str, token: str) -> None:
        """Somebody clicks the link of a mail."""
        with self.database.write() as session:
            if kind == "move":
                answer = moves.confirm(session, token, config=self.config, evidence=self.said())
                if answer and answer.outcome == "moved":
                    (mine,) = [one for one in self.readers if one.id == answer.subscription_id]
                    self.moved(mine.person, answer.email)
                return
            done = signups.confirm(session, token, config=self.config, evidence=self.said())
        for reader in self.readers:
            if done and done.outcome == "confirmed" and reader.id == done.subscription_id:
                reader.enter("active", self.now)
                reader.awaits_welcome = True
                self.count["confirmed"] += 1

    # ------------------------------------------------------------ renames

    def rename_topic(self, paper: Paper, old: str, new: str) -> None:
        paper.topics[paper.topics.index(old)] = new
        self.config = self._settings()
        with self.database.write() as session:
            signup.lock(session)
            renames.rename_topic(session, newsletters.lock(session, paper.name), old, new, self.said())
        paper.tales[:] = [replace(t, topic=new) if t.topic == old else t for t in paper.tales]
        for reader in self.readers:
            if reader.paper is paper:
                reader.since = {new if topic == old else topic: seq for topic, seq in reader.since.items()}
                swapped: Any = {
                    name: tuple(sorted(new if t == old else t for t in getattr(reader.choices, name)))
                    for name in ("topics", "muted_topics")
                }
                reader.choices = replace(reader.choices, **swapped)

    def rename_paper(self, old: str, new: str) -> None:
        paper = self.papers.pop(old)
        paper.name, self.papers[new] = new, paper
        self.config = self._settings()
        newsletters.keep(self.database, self.config.newsletters, now=self.now)
        with self.database.write() as session:
            signup.lock(session)
            before, after = (newsletters.lock(session, name) for name in (old, new))
            renames.rename_newsletter(session, before, after)

    # ------------------------------------------------------------ a run

    def run(self) -> None:
        """What cron does, and each step held against what is owed."""
        now = self.now
        with self.database.write() as session:
            clock.note_day(session, now=now)
        line.tidy(self.database, now=now)
        line.answer_signups(self.database, self.config, now=now)
        for name, paper in list(self.papers.items()):
            line.remind(self.database, self.config, name, now=now)
            if any(reader.awaits_welcome for reader in self.readers if reader.paper is paper):
                self.welcome(paper)
            self.compose(paper)
        self.deliver()

    def welcome(self, paper: Paper) -> None:
        line.welcome(self.database, self.config, paper.name, now=self.now, tell=self.listen)
        since = self.now - 7 * DAY
        if paper.clock:
            since = min(since, paper.clock.upto(self.now))
        expected: dict[int, tuple[Reader, tuple[Tale, ...]]] = {}
        for reader in self.readers:
            if reader.paper is paper and reader.state == "active" and reader.awaits_welcome:
                reader.awaits_welcome = False
                if not paper.editions or paper.editions[-1][2] < since:
                    continue
                number, upto, _at = paper.editions[-1]
                offer = replace_since(reader, paper.start).unread(upto)
                tales = reader.carried(offer)
                if tales and number not in reader.editions:
                    expected[reader.id] = reader, tales
        if paper.editions:
            number, upto, _at = paper.editions[-1]
            for reader, planned in self.owed(paper, number, expected, welcome=True, due={}):
                reader.begin_at(upto)
                own = reader.clock
                reader.offered = own.upto(self.now) if own else None
                planned.due = self.now

    def compose(self, paper: Paper) -> None:
        now = self.now
        if not self.is_due(paper):
            made = line.compose(self.database, self.config, paper.name, now=now, tell=self.listen)
            if getattr(made, "number", 0):
                self.blame("wrong_hour", f"{paper.name} has an edition though none is due")
            return
        upto, hours = len(paper.tales), {}
        expected: dict[int, tuple[Reader, tuple[Tale, ...]]] = {}
        turns: dict[int, tuple[Reader, tuple[datetime, datetime], list[Tale]]] = {}
        for reader in self.readers:
            if reader.paper is not paper:
                continue
            if reader.state == "paused" and reader.paused_until is not None and reader.paused_until <= now:
                reader.enter("active", now)
            if reader.state == "active" and (turn := reader.turn(now)):
                offer = reader.unread(upto)
                turns[reader.id] = reader, turn, offer
                hours[reader.id] = turn[0]
                if tales := reader.carried(offer):
                    expected[reader.id] = reader, tales
        made = line.compose(self.database, self.config, paper.name, now=now, tell=self.listen)
        number = getattr(made, "number", 0)
        if paper.clock:
            paper.looked = paper.clock.upto(now)
        else:
            paper.looked = now
        if expected and not number:
            self.blame("missing", f"no edition of {paper.name} for {len(expected)}: {made}", len(expected))
        if number:
            paper.editions.append((number, upto, now))
            self.count["editions"] += 1
            got = {reader.id for reader, _planned in self.owed(paper, number, expected, welcome=False, due=hours)}
        else:
            got = set()
        for id_, (reader, (_due, slot), offer) in turns.items():
            if offer:  # they had it, or mute it all
                reader.begin_at(upto)
            own = reader.clock
            if own is None:
                reader.offered = now if id_ in got else reader.offered
            elif paper.clock or id_ in got:
                reader.offered = slot

    def is_due(self, paper: Paper) -> bool:
        if paper.clock:
            return paper.clock.upto(self.now) > paper.looked
        begun = self.now.replace(minute=0)
        active = [r for r in self.readers if r.paper is paper and r.state == "active"]
        hours = any(reader.choices.hour is not None for reader in active)
        return not (hours and paper.editions and paper.editions[-1][2] >= begun)

    def owed(
        self,
        paper: Paper,
        number: int,
        expected: dict[int, tuple[Reader, tuple[Tale, ...]]],
        *,
        welcome: bool,
        due: dict[int, datetime],
    ) -> list[tuple[Reader, Planned]]:
        """The letters of an edition that were owed just now, each held against what was expected."""
        with self.database.read() as session:
            rows = self._rows(session, paper, number)
        found, missing = [], dict(expected)
        readers = {reader.id: reader for reader in self.readers if reader.paper is paper}
        for letter, subscription, at, stories, variant in rows:
            if letter in self.by_letter:
                continue
            reader = readers[subscription]
            _reader, tales = missing.pop(subscription, (reader, ()))
            planned = Planned(due.get(subscription, self.now), tales, number, welcome, reader.choices)
            reader.planned[letter], self.by_letter[letter] = planned, reader
            reader.editions.add(number)
            self.count["letters owed"] += 1
            words = f"{self.name(reader)} edition {number}{' as a welcome' if welcome else ''}"
            if not tales:
                self.blame("wrong_hour", f"{words}: a letter with {stories} though none is owed, {reader.choices}")
            else:
                wanted = {tale.id for tale in tales}
                if lost := wanted - set(stories):
                    self.blame("missing", f"{words}: without {sorted(lost)}, {reader.choices}", len(lost))
                if more := set(stories) - wanted:
                    self.blame("unwanted", f"{words}: also {sorted(more)}, {reader.choices}", len(more))
                if at != planned.due and (at > self.now or planned.due > self.now):
                    self.blame("wrong_hour", f"{words}: due {at}, not {planned.due}, {reader.choices}")
            if (variant.plain, variant.language) != (reader.choices.plain, reader.choices.language):
                self.blame("unwanted", f"{words}: in another language or format")
            found.append((reader, planned))
        for reader, tales in missing.values():
            self.blame("missing", f"{self.name(reader)} edition {number}: no letter, {reader.choices}", len(tales))
        return found

    def _rows(self, session: Session, paper: Paper, number: int) -> list[Any]:
        from digest.store import editions

        edition = editions.row(session, paper.name, number)
        assert edition is not None
        variants = {one.id: one for one in session.exec(select(Variant).where(Variant.edition_id == edition.id))}
        stories: dict[int, list[int]] = {}
        query = select(VariantStory.variant_id, VariantStory.story_id)
        for variant, story in session.exec(query.where(col(VariantStory.variant_id).in_(variants))):
            stories.setdefault(variant, []).append(story)
        rows = session.exec(select(OutboxRow).where(OutboxRow.edition_id == edition.id)).all()
        return [
            (row.id, row.subscription_id, row.due_at, stories.get(row.variant_id or 0, []), variants[row.variant_id])
            for row in rows
        ]

    # ------------------------------------------------------------ letters

    def deliver(self) -> None:
        now, taken = self.now, []
        with self.database.read() as session:
            sources = outbox.due_sources(session, now=now)
        for source in sources:
            with self.database.write() as session:
                wanted = outbox.Wanted(source.edition_id, 1_000, newsletter_id=source.newsletter_id)
                claim = outbox.claim(session, wanted, now=now, lease=LEASE, lifetime=LIFETIME, hold_doubtful=False)
            with self.database.write() as session:
                marked = outbox.mark(session, claim.letters, now=now, lease=LEASE)
            with self.database.write() as session:
                done = [outbox.Outcome(*attempt, OutboxState.SENT, 250) for attempt in marked.items()]
                outbox.settle(session, done, now=now)
                for letter in claim.letters:
                    if letter.id in marked and letter.notice_id is not None:
                        self.mailed[letter.email] = now
                        self.read_notice(outbox.notice_to_send(session, letter.notice_id).text)
            taken += [letter for letter in claim.letters if letter.id in marked]
        for letter in taken:
            if letter.notice_id is None:
                self.arrived(letter)
        self.end_of_run()

    def read_notice(self, text: str) -> None:
        self.count["notices"] += 1
        for kind, token in LINK.findall(text):
            if self.chance.random() < 0.75:
                after = timedelta(hours=self.chance.choice([0, 1, 5, 30, 24 * 8]))
                self.tokens.append((self.now + after, kind, token))

    def arrived(self, letter: outbox.Claimed) -> None:
        self.count["letters"] += 1
        reader = self.by_letter.get(letter.id)
        if reader is None:
            self.blame("unwanted", f"{letter.email}: a letter of edition {letter.edition_id} that nobody expected")
            return
        planned = reader.planned.pop(letter.id, None)
        words = f"{self.name(reader)} edition {letter.edition_id}"
        if planned is None:
            self.blame("twice", f"{words}: the letter came again")
            return
        if not self.wants(reader):
            self.blame("to_who_left", f"{words}: {reader.state}")
        if letter.email != self.addresses[reader.person]:
            self.blame("to_who_left", f"{words}: went to {letter.email}")
        if not planned.due <= self.now < planned.due + max(self.step, self.late()):
            self.blame("wrong_hour", f"{words}: came now, and not at {planned.due}")
        again = reader.had & {tale.seq for tale in planned.tales}
        if again:
            self.blame("twice", f"{words}: {sorted(again)} again", len(again))
        reader.had |= {tale.seq for tale in planned.tales}
        if reader.letters and not planned.welcome and (own := reader.clock):
            at, last = reader.letters[-1]
            same = own.day(last.due) == own.day(planned.due) and last.choices == planned.choices == reader.choices
            if same and not last.welcome and reader.settled < at:
                self.blame("wrong_hour", f"{words}: the second letter of their day, {reader.choices}")
        reader.letters.append((self.now, planned))

    def late(self) -> timedelta:
        """For how long nothing has run, where this is the first run again."""
        return self.idle + self.step

    def wants(self, reader: Reader) -> bool:
        over = reader.paused_until is not None and reader.paused_until <= self.now
        return reader.state == "active" or (reader.state == "paused" and over)

    def end_of_run(self) -> None:
        """Nothing that was due lies about; who left has lost what they were owed."""
        for reader in self.readers:
            for letter, planned in list(reader.planned.items()):
                if planned.due <= self.now:
                    if self.wants(reader):
                        words = f"{self.name(reader)} edition {planned.edition}: due {planned.due}, did not come"
                        self.blame("missing", f"{words}, {reader.state} {reader.paused_until}", len(planned.tales))
                    del reader.planned[letter]
                    self.count["dropped"] += 1

    # ------------------------------------------------------------ the year

    def play(self, days: int) -> None:
        runs = days * DAY // self.step
        renaming = {runs // 3: lambda: self.rename_topic(self.papers["berlin"], "games", "play"),
                    runs // 3 + 5: lambda: self.rename_topic(self.papers["loose"], "ai", "machines"),
                    runs // 2: lambda: self.rename_paper("howe", "island")}  # fmt: skip
        down = 0
        share, begin = self.step / DAY, self.now
        for number in range(runs):
            self.now = begin + self.step * (number + 1)
            for paper in self.papers.values():
                if self.chance.random() < (3 if paper.clock else 1) * share:
                    self.publish(paper)
            self.links()
            for reader in self.readers:
                often = 1 / 8 if reader.state in ("active", "left") else 1 / 4
                if self.chance.random() < often * share:
                    self.act(reader)
            if number in renaming:
                renaming[number]()
            if down == 0 and self.chance.random() < 8 * share / 365:
                down = self.chance.randrange(1, int(30 * timedelta(hours=1) / self.step) + 2)
            if down:
                down -= 1
                self.idle += self.step
                self.count["runs missed"] += 1
                continue
            self.run()
            self.idle, self.ran = timedelta(), self.now
            self.count["runs"] += 1
            if self.now.hour == 0 and self.now.minute == 0:
                self.look_back()

    def links(self) -> None:
        """Links are clicked; before, who asked and has their answer gets their number, or was forgotten."""
        with self.database.read() as session:
            for reader in self.readers:
                if reader.state == "pending" and reader.asked <= self.ran:
                    try:
                        email = self.addresses[reader.person]
                        reader.id = subscribe.find(session, email, reader.paper.name)[1].id or 0
                    except UserError:
                        self.forgotten(reader)
        due = [one for one in self.tokens if one[0] <= self.now]
        self.tokens = [one for one in self.tokens if one[0] > self.now]
        for _at, kind, token in due:
            self.follow(kind, token)

    def forgotten(self, reader: Reader) -> None:
        """Rightly so, where nobody confirmed for a week, or the address had a mail of the kind a month ago or less."""
        words = f"{self.name(reader)}: who asked at {reader.asked} is forgotten"
        mailed = self.mailed.get(self.addresses[reader.person], NEVER)
        if self.now - reader.asked < 7 * DAY and (reader.id or self.now - mailed > 31 * DAY):
            self.blame("missing", words)
        reader.forgotten()

    def look_back(self) -> None:
        for reader in self.readers:
            if late := reader.overdue(self.now, 2 * DAY):
                words = f"{self.name(reader)}: waits for {[tale.seq for tale in late]} since {late[0].at:%Y-%m-%d}"
                self.blame("missing", f"{words}, {reader.choices}", len(late))
                reader.settled = self.now

    def listen(self, told: object) -> None:
        if isinstance(told, line.Unfit):
            raise SystemExit(told.words)

    def name(self, reader: Reader) -> str:
        return f"reader {reader.person} of {reader.paper.name}"


def replace_since(reader: Reader, start: int) -> Reader:
    """The same, as if they had read up to there."""
    return replace(reader, since=dict.fromkeys(reader.paper.topics, start))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="40 readers for 30 days with two changes of clocks")
    options.add_argument("--json", action="store_true", help="one line, with the goals")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--days", type=int, metavar="N")
    options.add_argument("--readers", type=int, metavar="N")
    options.add_argument(
        "--step", type=int, default=60, metavar="MINUTES", help="between two runs, 60 where none is said"
    )
    options.add_argument("--show", type=int, default=10, metavar="N", help="how many violations are told in words")
    chosen = options.parse_args()
    days = chosen.days or (30 if chosen.quick else 365)
    begin = BEGIN + 63 * DAY if chosen.quick else BEGIN
    readers = chosen.readers or (40 if chosen.quick else 200)
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        year = Year(Path(name), seed=chosen.seed, readers=readers, step=timedelta(minutes=chosen.step), begin=begin)
        year.play(days)
        year.database.close()
    figures = {"seed": chosen.seed, "days": days, "readers": readers, "subscriptions": len(year.readers)}
    figures |= {"seconds": round(time.perf_counter() - begun), "cpu_seconds": round(time.process_time() - cpu)}
    figures |= {word.replace(" ", "_"): number for word, number in sorted(year.count.items())}
    figures |= dict(year.wrong)
    for words in year.told[: chosen.show]:
        print(words, file=sys.stderr)
    if chosen.json:
        print(json.dumps({"benchmark": "readers_year", **figures, "goals": GOALS}))
    else:
        for figure, value in figures.items():
            print(f"{figure:14} {value:>9,}" + (f"   goal {GOALS[figure]}" if figure in GOALS else ""))
    return 1 if any(year.wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
