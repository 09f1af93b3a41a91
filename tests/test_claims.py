"""A claim on PostgreSQL goes on where the last one ended: whatever happened since, it finds all that is due."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from mailing import owe, readers
from sqlmodel import Session

from digest.config import Config
from digest.models import OutboxState
from digest.store import Database, newsletters, open_database, outbox

LEASE, LIFETIME, READERS = timedelta(seconds=45), timedelta(days=5), 12


@dataclass
class Sender:
    """One pass: what it has claimed, what it has marked (each with its attempt), and where its last claim ended."""

    after: outbox.Place | None = None
    claimed: list[outbox.Claimed] = field(default_factory=list)
    marked: dict[int, int] = field(default_factory=dict)

    @property
    def ours(self) -> set[int]:
        return {one.id for one in self.claimed} | self.marked.keys()


@dataclass
class History:
    """Some senders on one edition, each of whose steps is a transaction, beside a clock that leaps."""

    database: Database
    chance: random.Random
    now: datetime = MONDAY + timedelta(hours=6)
    senders: list[Sender] = field(default_factory=lambda: [Sender() for _ in range(3)])
    taken: dict[int, int] = field(default_factory=dict)  # how often a server took each letter

    def play(self, steps: int) -> None:
        with self.database.read() as session:
            self.edition = session.execute(sa.text("SELECT max(edition_id) FROM outbox")).scalar_one()
        with self.database.write() as session:  # each at an hour of its own
            spread = "UPDATE outbox SET due_at = due_at + id % 7 * interval '2 hours' WHERE edition_id = :edition"
            session.execute(sa.text(spread), {"edition": self.edition})
        for _ in range(steps):
            sender = self.chance.choice(self.senders)
            rest = (self.give_back, self.give_back, self.leap, self.leap, self.put_off, self.die)
            self.chance.choice((*4 * (self.claim,), *2 * (self.mark, self.settle, self.wait), *rest))(sender)
        self.end()

    def end(self) -> None:
        """All senders but one die, and it does the rest: nothing waits for anybody any more."""
        one = self.senders[0]
        for other in self.senders[1:]:
            self.die(other)
        self.now = MONDAY + timedelta(days=60)  # whatever the clock said before
        for _ in range(READERS):
            self.now += timedelta(hours=3)
            self.claim(one, most=READERS)
            self.mark(one, all_=True)
            self.settle(one, all_=True)
            if not one.ours and not self.left():
                break
        with self.database.read() as session:
            doubtful = set(session.execute(sa.text("SELECT id FROM outbox WHERE in_doubt")).scalars())
        assert self.left() == 0
        assert {id_ for id_, times in self.taken.items() if times > 1} <= doubtful

    def left(self) -> int:
        with self.database.read() as session:
            query = "SELECT count(*) FROM outbox WHERE settled_at IS NULL"
            return int(session.execute(sa.text(query)).scalar_one())

    # ------------------------------------------------------------ what may happen

    def claim(self, sender: Sender, most: int = 0) -> None:
        most = most or self.chance.randint(1, 4)
        wanted = outbox.Wanted(self.edition, most, ours=sender.ours, after=sender.after)
        if self.chance.random() < 0.1:
            wanted = replace(wanted, tried_only=True, after=None)
        fails = self.chance.random() < 0.1
        try:
            with self.database.write() as session:
                found = outbox.claim(
                    session, wanted, now=self.now, lease=LEASE, lifetime=LIFETIME * 999, hold_doubtful=False
                )
                if len(found.letters) < most and not wanted.tried_only:
                    assert self.due(session, sender.ours | {one.id for one in found.letters}) == []
                if fails:
                    raise ConnectionResetError
        except ConnectionResetError:
            return  # nothing of it is stored, and nobody remembers where it ended
        others = set().union(*(other.ours for other in self.senders if other is not sender))
        mine = {one.id for one in found.letters}
        assert not mine & sender.ours
        for other in self.senders:
            if other is not sender and mine & others:  # their lease is over, by the clock of now
                other.claimed = [one for one in other.claimed if one.id not in mine]
        sender.claimed += found.letters
        sender.after = found.last or sender.after

    def due(self, session: Session, but: set[int]) -> list[int]:
        query = "SELECT id FROM outbox WHERE settled_at IS NULL AND due_at <= :now AND edition_id = :edition"
        found = session.execute(sa.text(query), {"now": self.now, "edition": self.edition}).scalars()
        return [id_ for id_ in found if id_ not in but]

    def mark(self, sender: Sender, *, all_: bool = False) -> None:
        some = sender.claimed if all_ else sender.claimed[: self.chance.randint(0, 4)]
        sender.claimed = [one for one in sender.claimed if one not in some]
        with self.database.write() as session:
            sender.marked |= outbox.mark(session, some, now=self.now, lease=LEASE) if some else {}

    def settle(self, sender: Sender, *, all_: bool = False) -> None:
        some = list(sender.marked.items())[: None if all_ else self.chance.randint(0, 4)]
        outcomes = []
        for id_, attempt in some:
            del sender.marked[id_]
            if not all_ and self.chance.random() < 0.4:
                later = self.now + timedelta(seconds=self.chance.randint(0, 600))
                outcomes.append(outbox.Outcome(id_, attempt, OutboxState.OWED, 450, "later", later))
            else:
                self.taken[id_] = self.taken.get(id_, 0) + 1
                outcomes.append(outbox.Outcome(id_, attempt, OutboxState.SENT, 250, "ok"))
        with self.database.write() as session:
            outbox.settle(session, outcomes, now=self.now)

    def give_back(self, sender: Sender) -> None:
        some, sender.claimed = sender.claimed, []
        with self.database.write() as session:
            outbox.unclaim(session, some, due_at=self.now, now=self.now)
            outbox.unmark(session, list(sender.marked.items()), now=self.now)
        sender.marked = {}

    def put_off(self, sender: Sender) -> None:
        some, sender.claimed = sender.claimed, []
        with self.database.write() as session:
            outbox.unclaim(session, some, due_at=self.now + timedelta(minutes=5), why="later", now=self.now)

    def die(self, sender: Sender) -> None:
        for id_ in sender.marked:
            if self.chance.random() < 0.5:
                self.taken[id_] = self.taken.get(id_, 0) + 1
        self.senders[self.senders.index(sender)] = Sender()

    def leap(self, _sender: Sender) -> None:
        self.now += timedelta(hours=self.chance.choice((-9, -5, -1, 1, 4, 8)))

    def wait(self, _sender: Sender) -> None:
        self.now += timedelta(seconds=self.chance.randint(1, 30))


@pytest.fixture
def database(upgraded_postgres_url: str, monkeypatch: pytest.MonkeyPatch, config: Config) -> Iterator[Database]:
    monkeypatch.setattr("digest.store.database.server_ahead", lambda session, now: timedelta())
    opened = open_database(upgraded_postgres_url)
    newsletters.keep(opened, config.newsletters, now=MONDAY)
    yield opened
    opened.close()


def play(database: Database, config: Config, seed: int, steps: int = 40) -> None:
    with database.write() as session:
        session.execute(sa.text("DELETE FROM outbox"))
    owe(database, config, *readers(READERS))
    History(database, random.Random(seed)).play(steps)


@pytest.mark.parametrize("seed", [5, 6])  # in which letters are owed anew before where a claim ended
def test_nothing_that_is_due_is_passed_by(database, config, seed):
    play(database, config, seed)


@pytest.mark.long
def test_nothing_that_is_due_is_passed_by_in_many_histories(database, config):
    for seed in range(100, 200):
        play(database, config, seed)
