"""Histories of what is kept: days of feeds, editions and letters, and of letting go, killed and interrupted anywhere.

Rows are laid by hand, but entries come, are admitted and are let go of by the product's own code. The model knows every
letter and every article there ever was.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import edition
from digest.config import Config, from_values
from digest.models import Edition, Feed, OutboxRow, OutboxState, Subscriber, Subscription, Variant
from digest.parse import gist
from digest.store import (
    Database,
    archive,
    clock,
    edition_states,
    editions,
    feed_entries,
    feeds,
    keeping,
    newsletters,
    pruning_entries,
    reports,
    rolls,
    tallies,
    tenure,
)
from digest.store.database import open_database
from digest.store.keep_tables import LetterRoll
from digest.store.kept import Kind
from digest.store.pruning import LATEST
from digest.store.run_tables import RunDay
from digest.store.sqlite_file import engine_of
from digest.store.story_tables import Admission, Decision, Entry, Story, VariantStory

DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 23, 7, tzinfo=UTC)
TERMS = {Kind.MAILS: 4, Kind.LETTERS: 7, Kind.TEXTS: 4, Kind.PLACES: 12, Kind.ENTRIES: 12, Kind.NOTICES: 9}
DAYS = (18, 30)  # of a history
GIST = gist.pack(gist.of("", "<p>Words of it.</p>"))
ENDS = (OutboxState.SENT, OutboxState.REFUSED, OutboxState.DROPPED)
SLOW = 1  # the reader who gets a letter once a week


class Killed(BaseException):
    """The process is gone, in the middle of a statement."""


@dataclass
class Article:
    """What a publisher wrote once, and how its feed shows it by now."""

    number: int
    feed: int
    born: int  # the day
    seen: int  # the day of which its row bears witness
    guid: str
    url: str
    title: str
    date: datetime
    stories: int = 0


@dataclass
class Model:
    """All that there was."""

    articles: list[Article] = field(default_factory=list)
    letters: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # edition, subscription, day of its end
    ends: dict[int, OutboxState] = field(default_factory=dict)
    composed: dict[int, int] = field(default_factory=dict)  # the day of which its row bears witness, by edition
    shown: dict[int, list[int]] = field(default_factory=dict)  # stories of the mail for everybody, by edition


class History:
    def __init__(self, theatre: Any, seed: int) -> None:
        self.rng = random.Random(f"keep {seed}")
        self.model, self.wrong = Model(), []  # type: ignore[var-annotated]
        self.log: list[tuple[float, str]] = []
        self.config: Config = from_values(
            {
                "base_url": "https://digest.example",
                "secret_key": "a key for tests, long enough",
                "newsletters": {"daily": {"title": "Daily", "from": "Daily <news@news.example>"}},
            },
            theatre.folder / "digest.toml",
            environment=False,
        )
        made = theatre.folder / "keep-made.db"
        if not made.exists():
            open_database(f"sqlite:///{made}", create=True).close()
        path = theatre.folder / "keep.db"
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(made, path)
        self.database = Database(engine_of(path, synchronous="OFF"))
        self.people = self.rng.randint(2, 5)
        self.windows: dict[int, list[Article]] = {}
        self.day = self.runs = 0
        self.behind = 0  # days by which the clock is behind

    @property
    def now(self) -> datetime:
        return MONDAY + (self.day - self.behind) * DAY

    def _witness(self, before: Iterable[int]) -> int:
        """The day by which a row of today is judged: by a clock that is behind, as young as the rows `before` it."""
        return max([self.day - self.behind, *before])

    def say(self, words: str) -> None:
        self.log.append((float(self.day), words))

    def play(self) -> None:
        former = pruning_entries.PER_FEED, pruning_entries.GISTS, tenure.GAP_S
        pruning_entries.PER_FEED, pruning_entries.GISTS, tenure.GAP_S = 3, 2, 0
        try:
            self._begin()
            last = self.rng.randint(*DAYS)
            while self.day < last:
                self.day += 1
                self.behind = self.rng.randint(1, 40) if self.rng.random() < 0.05 else 0
                if self.behind:
                    self.say(f"the clock is {self.behind} days behind")
                self._lived()
                self._feeds()
                self._edition()
                self._settle()
                self._prune()
                self._judge()
            self.behind = 0
            self._quiet()
        finally:
            pruning_entries.PER_FEED, pruning_entries.GISTS, tenure.GAP_S = former
            self.database.close()

    # ------------------------------------------------------------ what happens

    def _begin(self) -> None:
        newsletters.keep(self.database, ["daily"], now=MONDAY)
        with self.database.write() as session:
            for number in range(1, self.people + 1):
                session.add(Subscriber(id=number, email=f"reader{number}@example.org", created_at=MONDAY))
            for number in (1, 2):
                url = f"https://site{number}.example/feed"
                session.add(Feed(id=number, url=url, added_at=MONDAY, next_at=MONDAY))
                self.windows[number] = []
            session.flush()
            for number in range(1, self.people + 1):
                made = {"subscriber_id": number, "newsletter_id": 1, "created_at": MONDAY, "changed_at": MONDAY}
                session.add(Subscription(id=number, **made))
            for number in (1, 2):
                feeds.read(session, 1, number, topic="", folder="", now=MONDAY)

    def _lived(self) -> None:
        with self.database.write() as session:
            session.merge(RunDay(day=clock.utc_day(self.now)))

    def _feeds(self) -> None:
        """New articles; and sometimes old ones again, under what they were or under other names."""
        for feed, window in self.windows.items():
            for _ in range(self.rng.choice([0, 1, 1, 2])):
                number = len(self.model.articles)
                url = f"https://site{feed}.example/{number}"
                title = f"Article {number} of how a {self.rng.choice('abcdefgh')} came to {number * 37}"
                seen = self._witness(one.seen for one in self.model.articles)
                article = Article(number, feed, self.day, seen, f"guid-{number}", url, title, self.now)
                self.model.articles.append(article)
                window.append(article)
            del window[:-4]
            shown = list(window)
            mine = [one for one in self.model.articles if one.feed == feed and one not in window]
            if mine and self.rng.random() < 0.3:
                shown += self._again(mine)
            with self.database.write() as session:
                feed_entries.save_entries(session, feed, [self._row(one) for one in shown], now=self.now)
        edition.take_in(
            self.database, "daily", self.config.newsletters["daily"], self.config.curate, now=self.now + DAY / 24
        )

    def _again(self, mine: list[Article]) -> list[Article]:
        some = self.rng.sample(mine, min(len(mine), self.rng.randint(1, 3)))
        how = self.rng.choice(["as they were", "renumbered", "moved"])
        for one in some:
            if how == "renumbered":
                one.guid = f"guid-{one.number}-{self.day}"
            elif how == "moved":
                one.url = f"https://moved{self.day}.example/{one.number}"
        self.say(f"articles {[one.number for one in some]} come again, {how}")
        return some

    @staticmethod
    def _row(one: Article) -> dict[str, Any]:
        made = {"key": one.guid, "guid": one.guid, "url": one.url, "title": one.title, "published_at": one.date}
        made |= {"twin": f"{one.url} {one.title}", "content": "<p>Words of it.</p>", "gist": GIST}
        return made | {"content_hash": f"{one.number}", "text_hash": ""}

    def _edition(self) -> None:
        with self.database.write() as session:
            paper = newsletters.lock(session, "daily")
            before = session.exec(select(sa.func.max(Edition.upto_seq))).one() or 0
            new = session.exec(select(Story).where(Story.seq > before).order_by(col(Story.seq))).all()
            if not new:
                return
            paper.edition_number += 1
            made = {"newsletter_id": 1, "number": paper.edition_number, "composed_at": self.now, "upto_seq": paper.seq}
            row = Edition(**made, sender="Daily <news@news.example>")
            session.add(row)
            session.flush()
            assert row.id is not None
            slow = self.day % 7 == 0
            for key, topics, readers in (("all", [], range(2, self.people + 1)), ("slow", ["other"], [SLOW])):
                if key == "slow" and not slow:
                    continue
                self._variant(session, row, key, topics, list(readers), new[: self.rng.randint(1, 3)])
            self.model.composed[row.id] = self._witness(self.model.composed.values())
            read = sa.update(Subscription).values(read_until=paper.seq)
            session.execute(read if slow else read.where(col(Subscription.id) != SLOW))
            for story in new:
                entry = session.get_one(Entry, story.entry_id)
                self._told(entry)

    def _told(self, entry: Entry) -> None:
        number = int(entry.title.split()[1])
        article = self.model.articles[number]
        article.stories += 1
        if article.stories > 1:
            self.wrong.append(f"an article is told twice: it came again {self.day - article.born} days later")

    def _variant(
        self, session: Session, row: Edition, key: str, topics: list[str], readers: list[int], carried: list[Story]
    ) -> None:
        made = {"edition_id": row.id, "key": key, "topics": topics, "since_seq": 0, "subject": f"{key} {row.number}"}
        made |= {"html": f"<p>{key}</p>", "text": key, "story_count": len(carried), "more_count": 0}
        variant = Variant(**made, letters=len(readers))
        session.add(variant)
        session.flush()
        assert row.id is not None and variant.id is not None
        for place, story in enumerate(carried):
            session.add(VariantStory(variant_id=variant.id, position=place, story_id=story.id or 0))
        if key == "all":
            self.model.shown[row.id] = [story.id or 0 for story in carried]
        for reader in readers:
            whose = {"subscriber_id": reader, "subscription_id": reader, "due_at": self.now, "created_at": self.now}
            letter = OutboxRow(edition_id=row.id, variant_id=variant.id, **whose)
            session.add(letter)
            session.flush()
            self.model.letters[letter.id or 0] = (row.id, reader, -1)

    def _settle(self) -> None:
        """Most letters end at once; some wait for days, some for a person."""
        with self.database.write() as session:
            for row in session.exec(select(OutboxRow).where(col(OutboxRow.settled_at).is_(None))):
                if self.rng.random() < 0.85:
                    held = self.rng.random() < 0.03
                    state = OutboxState.HELD if held else self.rng.choices(ENDS, [8, 1, 1])[0]
                    self._end(row, state)
                    session.add(row)
            if self.rng.random() < 0.2:
                for row in session.exec(select(OutboxRow).where(OutboxRow.state == OutboxState.HELD)):
                    self._end(row, OutboxState.SENT)
                    session.add(row)

        with self.database.write() as session:
            tallies.count(session, now=self.now)

    def _end(self, row: OutboxRow, state: OutboxState) -> None:
        row.state, row.settled_at, row.code = state, self.now + timedelta(minutes=self.rng.randint(1, 600)), 250
        edition_id, reader, _ = self.model.letters[row.id or 0]
        # By a clock that is behind they seem to have ended long ago: what bears witness is when their edition was made.
        self.model.letters[row.id or 0] = (edition_id, reader, self._witness([self.model.composed[edition_id]]))
        self.model.ends[row.id or 0] = state

    # ------------------------------------------------------------ letting go

    def _prune(self) -> None:
        how = self.rng.choice(["whole", "whole", "killed", "killed", "two", "stopped", "leap", "none"])
        if how == "none":
            return
        self.runs += 1
        terms = keeping.Terms(TERMS, rows=self.rng.randint(1, 6))
        now = self.now
        if how == "leap":
            now += self.rng.choice([2, 5, 7, 9, 40, 400]) * DAY
            with self.database.write() as session:
                session.merge(RunDay(day=clock.utc_day(now)))
        self.say(f"pruned: {how}, {terms.rows} rows a step")
        if how == "killed":
            self._killed(terms, now)
        elif how == "two":
            turn, turns = self.rng.randint(0, 20), iter(range(10_000))

            def other(_done: keeping.Pruned) -> None:
                if next(turns) == turn:
                    keeping.prune(self.database, terms, clock=lambda: now, whole=True)

            keeping.prune(self.database, terms, clock=lambda: now, whole=True, tell=other)
        else:
            left = iter(range(self.rng.randint(1, 9) if how == "stopped" else 10_000))
            stop = lambda: next(left, None) is None  # noqa: E731
            keeping.prune(self.database, terms, clock=lambda: now, whole=how != "stopped", stop=stop)
        if how == "leap":  # as `healing` does, once the clock is right again
            with self.database.write() as session:
                session.execute(sa.delete(RunDay).where(col(RunDay.day) > self.now))

    def _killed(self, terms: keeping.Terms, now: datetime) -> None:
        left = self.rng.randint(5, 250)

        def strike(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        sa.event.listen(self.database.engine, "before_cursor_execute", strike)
        try:
            keeping.prune(self.database, terms, clock=lambda: now, whole=True)
        except Killed:
            pass
        finally:
            sa.event.remove(self.database.engine, "before_cursor_execute", strike)

    # ------------------------------------------------------------ what must hold

    def _judge(self) -> None:
        with self.database.read() as session:
            self._letters_are_all_there(session)
            self._what_is_young_is_whole(session)
            self._nothing_is_decided_anew(session)

    def _letters_are_all_there(self, session: Session) -> None:
        numbers = session.exec(select(Edition.number)).all()
        for number in self.rng.sample(list(numbers), min(3, len(numbers))):
            (counted,) = edition_states.accounts(session, newsletters=["daily"], number=number)
            (account,) = edition_states.accounts(session, newsletters=["daily"], number=number, full=True)
            self.wrong += [f"P1 No. {number}: {words}" for words in account.wrong]
            if counted != account:
                self.wrong.append(f"P1 No. {number} was counted otherwise than it is")
        found: dict[int, tuple[int, int, OutboxState | None]] = {}
        for row in session.exec(select(OutboxRow)):
            found[row.id or 0] = (row.edition_id or 0, row.subscription_id or 0, row.state if row.settled_at else None)
        for roll in session.exec(select(LetterRoll)):
            for one in rolls.unpacked(roll.content):
                if one.id in found:
                    self.wrong.append("P1 a letter is in a roll and in the outbox")
                found[one.id] = (roll.edition_id, one.subscription, rolls.STATES[one.state])
        for id_, (edition_id, reader, _day) in self.model.letters.items():
            if found.pop(id_, None) != (edition_id, reader, self.model.ends.get(id_)):
                self.wrong.append(f"P1 the letter {id_} is not as it ended")
        if found:
            self.wrong.append("P1 there are letters that nobody wrote")
        ends = Counter(state.value for state in self.model.ends.values())
        ends["owed"] = len(self.model.letters) - ends.total()
        if +ends != Counter(editions.letter_counts(session)):
            self.wrong.append("P1 the sums of all letters are not right")
        if self.model.letters:
            id_ = self.rng.choice(sorted(self.model.letters))
            letter = reports.letter(session, id_)
            if letter is None or letter.subscription_id != self.model.letters[id_][1]:
                self.wrong.append(f"a bounce of the letter {id_} finds no reader")

    def _what_is_young_is_whole(self, session: Session) -> None:
        """Judged by the days that there really were; a step may be a day late, and never early.

        Of a day on which the clock was behind no row bears witness: what came before it does.
        """
        rows = set(session.exec(select(OutboxRow.id)))
        for id_, (_edition, _reader, day) in self.model.letters.items():
            if id_ not in rows and (id_ not in self.model.ends or self.day - day < TERMS[Kind.LETTERS]):
                self.wrong.append("a letter is rolled too early")
        for variant in session.exec(select(Variant)):
            composed = self.model.composed[variant.edition_id]
            if not variant.text and self.day - composed < TERMS[Kind.MAILS]:
                self.wrong.append("a mail is gone too early")
            if not variant.text and variant.id == archive.shown(session, variant.edition_id):
                self.wrong.append("the archive has lost its mail")
        here = {int(title.split()[1]) for title in session.exec(select(Entry.title))}
        for article in self.model.articles:
            if article.number not in here and self.day - article.seen < TERMS[Kind.ENTRIES]:
                self.wrong.append("an entry is gone too early")
        stories = set(session.exec(select(Story.id)))
        if any(not stories.issuperset(carried) for carried in self.model.shown.values()):
            self.wrong.append("a story of the archive is gone")

    def _nothing_is_decided_anew(self, session: Session) -> None:
        """Whatever an entry of it was once decided about, an article is in one story at most."""
        query = select(Entry.title).join(Admission, col(Admission.entry_id) == col(Entry.id))
        told = [title.split()[1] for title in session.exec(query.where(Admission.decision == Decision.STORY))]
        if len(told) != len(set(told)):
            self.wrong.append("an article is two stories")

    def _quiet(self) -> None:
        """Nothing more comes; everybody reads what there is, and what is old goes."""
        with self.database.write() as session:
            for row in session.exec(select(OutboxRow)):
                if row.settled_at is None or row.state is OutboxState.HELD:
                    self._end(row, OutboxState.SENT)
                    session.add(row)
            session.execute(sa.update(Subscription).values(read_until=10**6))
        for _ in range(40):
            self.day += 1
            self._lived()
        done = keeping.prune(self.database, keeping.Terms(TERMS), clock=lambda: self.now, whole=True)
        self._judge()
        with self.database.read() as session:
            latest = session.exec(select(Edition.id).order_by(col(Edition.id).desc()).limit(LATEST)).all()
            if session.exec(select(OutboxRow.id).where(col(OutboxRow.edition_id).not_in(latest))).first():
                self.wrong.append("P9 letters stay for ever")
            shown = {id_ for carried in self.model.shown.values() for id_ in carried}
            whole = {v.story_id for v in session.exec(select(VariantStory))}
            kept = sum(len(window) for window in self.windows.values()) + 2 * pruning_entries.PER_FEED + 12
            tellers = select(sa.func.count()).select_from(Admission).where(col(Admission.story_id).in_(shown | whole))
            if session.exec(select(sa.func.count()).select_from(Entry)).one() > kept + session.exec(tellers).one():
                self.wrong.append(f"P9 entries stay for ever: {done.held}")
