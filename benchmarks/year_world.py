"""The newsletters, stories and readers of `readers_year`, and all that readers do, each as the product's own step.

What the product is told, the readers of `year_oracle` are told as well.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import select

from benchmarks.year_oracle import DAY, NEVER, WEIGHT, Choices, Clock, Paper, Reader, Tale
from digest import line, subscribe
from digest.config import Config, from_values
from digest.errors import UserError
from digest.models import Feed
from digest.store import Database, newsletters, open_database, renames, signup
from digest.store.story_tables import Admission, Decision, Entry, Story
from digest.subscribe import Evidence, Joining, Preferences, moves
from digest.subscribe import signup as signups

GOALS = ("twice", "missing", "wrong_hour", "unwanted", "to_who_left")
SECRET = "a key for the benchmark, long enough"
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"),
    *("Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran", "America/Havana", "Africa/Cairo", "Pacific/Chatham"),
    *("Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "Europe/London", "America/Santiago"),
)
TRAVELS = 4  # of so many people one has a letter each day at an hour of theirs, in one zone after the other
CADENCES = (
    *("", "daily", "weekdays", "weekly mon", "weekly thu", "weekly sun", "fortnightly sun", "monthly 1", "monthly 31"),
    *("fortnightly wed from 2026-01-14", "monthly last sun", "monthly second sun", "monthly last fri"),
)
SITES = ("a.example", "b.example", "c.example", "d.example")
WORDS = ("copper", "meadow", "harbour", "violin", "glacier")
TOPICS = ("ai", "web", "art", "games", "law")
LANGUAGES = ("en", "de", "")
MOST = 40
DIARY = 12  # entries of a reader's that are told with what went wrong


class World:
    """The product, its readers, and what went wrong: the first of it is told as it happens."""

    show = 10
    read: set[int] | None = None  # of newsletters the ids, where the others are left out

    def __init__(self, folder: Path, *, seed: int, readers: int, begin: datetime, haste: float = 1) -> None:
        self.seed = seed
        chance = self.chance_of("readers")
        self.folder, self.now, self.haste = folder, begin, haste
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
        self.readers = [Reader(n, chance.choice([*self.papers.values()])) for n in range(readers)]
        self.readers += [
            Reader(one.person, paper)
            for one in self.readers
            for paper in self.papers.values()
            if paper is not one.paper and chance.random() < 0.1
        ]
        for one in self.readers:
            one.chance = self.chance_of(f"{one.person} {one.paper.name}")
        for paper in self.papers.values():
            paper.chance = self.chance_of(paper.name)
        self.by_letter: dict[int, Reader] = {}
        self.tokens: list[tuple[datetime, str, str]] = []  # when they follow a link, which, and its token
        self.count: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter(dict.fromkeys(GOALS, 0))
        self.told: list[str] = []
        self.ran = NEVER
        self.waiting = 0  # sign-ups that have no answer yet
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
            "curate": {"per_feed": 500, "per_topic": 500, "per_author": 500, "weight_fresh": 0, "weight_taste": WEIGHT},
        }
        return from_values(values, self.folder / "digest.toml", environment=False)

    def chance_of(self, whom: str) -> random.Random:
        """Each has their own, so that a reader alone lives the same year as among all others."""
        return random.Random(f"{self.seed} {whom}")

    def blame(self, what: str, words: str, times: int = 1, *, reader: Reader | None = None) -> None:
        self.wrong[what] += times
        if reader is not None:
            words = "\n    ".join([f"{self.name(reader)}: {words}", *reader.diary[-DIARY:]])
        self.told.append(f"{what}: {self.now:%Y-%m-%d %H:%M} {words}")
        if len(self.told) <= self.show:
            print(self.told[-1], file=sys.stderr, flush=True)

    def is_read(self, paper: Paper) -> bool:
        return self.read is None or id(paper) in self.read

    def note(self, reader: Reader, words: str) -> None:
        reader.diary.append(f"{self.now:%Y-%m-%d %H:%M} {words}")

    def said(self, reader: Reader | None = None) -> Evidence:
        chance = reader.chance if reader else self.chance_of(f"{self.now}")
        return Evidence("year", self.now, ip=f"192.{chance.randrange(9)}.{chance.randrange(250)}.7")

    # ------------------------------------------------------------ news

    def publish(self, paper: Paper) -> None:
        seq = len(paper.tales) + 1
        chance = paper.chance
        topic, site = chance.choice(paper.topics), chance.choice(SITES)
        word, language = chance.choice(WORDS), chance.choice(LANGUAGES)
        title, rank = f"Story {seq} of the {word} as it was told", chance.random()
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
                reader.chance.choice([self.added, self.asks])(reader)
            case "pending":
                reader.chance.choice([self.asks, self.added])(reader)
            case "left":
                reader.chance.choice([self.added, self.asks, self.comes_back, self.comes_back, self.chooses])(reader)
            case "paused":
                reader.chance.choice([self.resumes, self.resumes, self.chooses, self.leaves, self.moves])(reader)
            case _:
                some = [self.chooses] * 12 + [self.pauses, self.leaves, self.moves, self.asks_to_move]
                reader.chance.choice(some)(reader)

    def added(self, reader: Reader) -> None:
        now, paper = self.now, reader.paper
        choices = self.wish(Choices(), reader, changes=reader.chance.randrange(5))
        welcome = reader.chance.random() < 0.5
        joining = Joining(paper.name, frozenset(paper.topics), SECRET, welcome=welcome)
        wanted = Preferences(**vars(choices))
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.add(session, email, joining, evidence=self.said(reader), preferences=wanted, again=True)
            reader.id = subscribe.find(session, email, paper.name)[1].id or 0
        reader.enter("active", now)
        reader.choices = replace(reader.choices, **{name: getattr(choices, name) for name in wanted.said})
        self.note(reader, f"was added with {reader.choices.told()}{', to be welcomed' * welcome}")
        reader.awaits_welcome |= welcome
        self.count["joined"] += 1

    def asks(self, reader: Reader) -> None:
        choices: Any = {}
        if reader.state == "none":
            choices = {"cadence": reader.chance.choice(CADENCES), "topics": self.some_topics(reader)}
        with self.database.write() as session:
            paper, email = reader.paper, self.addresses[reader.person]
            known = frozenset(paper.topics)
            signups.ask(session, email, newsletter=paper.name, config=self.config, evidence=self.said(reader),
                        known_topics=known, choices=choices)  # fmt: skip
        self.waiting += 1
        if reader.state == "none":
            reader.choices, reader.state, reader.asked = Choices(**choices), "pending", self.now

    def comes_back(self, reader: Reader) -> None:
        with self.database.write() as session:
            if subscribe.come_back(session, reader.id, evidence=self.said(reader)):
                reader.enter("active", self.now)
            else:
                self.blame("unwanted", f"{self.name(reader)} cannot come back")

    def leaves(self, reader: Reader) -> None:
        with self.database.write() as session:
            subscribe.leave(session, reader.id, evidence=self.said(reader))
        reader.enter("left", self.now)

    def pauses(self, reader: Reader) -> None:
        hours = reader.chance.choice([3, 8, 30, 24 * 7, 24 * 30])
        until = self.now + timedelta(hours=hours) if reader.chance.random() < 0.8 else None
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.pause(session, email, newsletter=reader.paper.name, until=until, evidence=self.said(reader))
        reader.enter("paused", self.now)
        reader.paused_until = until

    def resumes(self, reader: Reader) -> None:
        with self.database.write() as session:
            email = self.addresses[reader.person]
            subscribe.resume(session, email, newsletter=reader.paper.name, evidence=self.said(reader))
        reader.enter("active", self.now)

    def moves(self, reader: Reader) -> None:
        email, new = self.addresses[reader.person], self.elsewhere(reader)
        with self.database.write() as session:
            moves.move(session, email, new, secret=SECRET, evidence=self.said(reader))
        self.moved(reader.person, new)

    def asks_to_move(self, reader: Reader) -> None:
        with self.database.write() as session:
            moves.ask(session, reader.id, self.elsewhere(reader), config=self.config, evidence=self.said(reader))

    def elsewhere(self, reader: Reader) -> str:
        return f"reader{reader.person}.{reader.chance.randrange(10**6)}@example.org"

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
        choices = self.wish(reader.choices, reader, changes=reader.chance.choice([1, 1, 1, 2, 4]))
        known, wanted = frozenset(paper.topics), Preferences(**vars(choices))
        with self.database.write() as session:
            if reader.chance.random() < 0.5:
                changed = subscribe.choose_all(
                    session, reader.id, wanted, known_topics=known, evidence=self.said(reader)
                )
            else:
                some: Any = {k: v for k, v in vars(choices).items() if v != getattr(reader.choices, k)}
                email = self.addresses[reader.person]
                changed = subscribe.change(session, email, newsletter=paper.name, evidence=self.said(reader),
                                           known_topics=known, choices=some)  # fmt: skip
        if changed:
            reader.choose(choices, self.now)

    def some_topics(self, reader: Reader) -> tuple[str, ...]:
        chosen = reader.chance.sample(reader.paper.topics, reader.chance.choice([0, 0, 1, 2, 3, 4]))
        return tuple(sorted(chosen))

    def wish(self, choices: Choices, reader: Reader, *, changes: int) -> Choices:
        chance, paper = reader.chance, reader.paper

        def drawn(*of: str) -> tuple[str, ...]:
            return tuple(sorted(chance.sample(of, chance.choice([0, 0, 1, 2]))))

        some = {
            "topics": lambda: self.some_topics(reader),
            "cadence": lambda: chance.choice(CADENCES),
            "hour": lambda: chance.choice([None, 0, 1, 2, 2, 3, *range(24)]),
            "zone": lambda: chance.choice(["", *ZONES]),
            "language": lambda: chance.choice(["", "de", "fr"]),
            "plain": lambda: chance.random() < 0.3,
            "max_stories": lambda: chance.choice([None, None, 1, 3, 20]),
            "muted_words": lambda: tuple(sorted(chance.sample(WORDS, chance.choice([0, 0, 1, 2])))),
            "muted_sources": lambda: tuple(sorted(chance.sample(SITES, chance.choice([0, 0, 1])))),
            "muted_topics": lambda: tuple(sorted(chance.sample(paper.topics, chance.choice([0, 0, 1])))),
            "story_languages": lambda: chance.choice([(), (), ("de",), ("en",)]),
            # Nobody draws both of the same.
            "more_of": lambda: drawn(*(f"topic:{topic}" for topic in paper.topics), *(f"word:{w}" for w in WORDS[:2])),
            "less_of": lambda: drawn(*(f"source:{site}" for site in SITES), *(f"word:{w}" for w in WORDS[2:])),
        }
        names = chance.choices([*some, "topics", "cadence", "hour", "hour", "zone"], k=changes)
        if reader.state == "active" and reader.person % TRAVELS == 0 and chance.random() < 0.7:
            hour = chance.randrange(24) if choices.hour is None else choices.hour
            return replace(choices, cadence="", hour=hour, zone=chance.choice(ZONES))
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
                swapped["more_of"] = tuple(sorted(f"topic:{new}" if one == f"topic:{old}" else one
                                                  for one in reader.choices.more_of))  # fmt: skip
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

    def links(self) -> None:
        """Links are clicked; before, who asked and has their answer gets their number, or was forgotten."""
        with self.database.read() as session:
            for reader in self.readers:
                if reader.state == "pending" and reader.asked <= self.ran:
                    try:
                        email = self.addresses[reader.person]
                        number = subscribe.find(session, email, reader.paper.name)[1].id or 0
                        if reader.id not in (0, number):  # they asked anew in the run that forgot them
                            reader.choices, reader.since = Choices(), {}
                        reader.id = number
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

    def listen(self, told: object) -> None:
        if isinstance(told, line.Unfit):
            raise SystemExit(told.words)

    def name(self, reader: Reader) -> str:
        return f"reader {reader.person} of {reader.paper.name}"
