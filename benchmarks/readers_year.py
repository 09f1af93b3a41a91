"""A year of readers who change everything at random, over the changes of clocks in a dozen zones.

    python benchmarks/readers_year.py [--quick] [--json] [--seed N] [--days N] [--readers N] [--bugs]

A virtual clock, a real database file, and the product's own steps at each run of cron: sign-ups answered, reminders,
welcomes, editions, and letters claimed, marked and settled as sent. Readers join by the web or by the operator,
confirm, change topics, cadence, hour, zone, language, format, maximum, mutes and what they want more and less of,
pause, resume, leave, come back and move. Topics and a newsletter are renamed, and now and then nothing runs for a day.
What is owed, and at what hour it may come, `year_oracle` says of each edition, and `year_promises` of each letter and
day. Goals: a story or a day's letter twice, missing, at a wrong hour, unwanted, or to somebody who left: 0.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlmodel import Session, col, select

from benchmarks import year_bugs, year_promises
from benchmarks.year_oracle import DAY, Paper, Planned, Reader, Tale
from benchmarks.year_world import ZONES, World
from digest import line
from digest.models import OutboxRow, OutboxState, Variant
from digest.store import clock, editions, outbox
from digest.store.story_tables import VariantStory

GOALS = {"twice": 0, "missing": 0, "wrong_hour": 0, "unwanted": 0, "to_who_left": 0}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = datetime(2026, 3, 5, tzinfo=UTC)  # before clocks change in New York, Casablanca, Berlin and Sydney
HOUR = timedelta(hours=1)
SELDOM = 6  # hours between two runs where no clock is about to change
LINK = re.compile(r"/(confirm|move)/(\S+)")
LEASE = timedelta(minutes=9)
LIFETIME = timedelta(days=5)


def runs(begin: datetime, days: int) -> list[datetime]:
    """When cron runs: each hour about a change of clocks anywhere, and four times on other days."""
    zones = [ZoneInfo(name) for name in ZONES]
    noons = [begin.replace(hour=12) + DAY * number for number in range(-2, days + 2)]
    changes = {
        noon
        for noon in noons
        if any(noon.astimezone(z).utcoffset() != (noon + DAY).astimezone(z).utcoffset() for z in zones)
    }
    near = {(noon + DAY * number).date() for noon in changes for number in (0, 1, 2)}
    hours = (begin + HOUR * number for number in range(1, days * 24 + 1))
    return [at for at in hours if at.date() in near or at.hour % SELDOM == 0]


class Year(World):
    """Runs of cron, and each of their steps held against what is owed."""

    # ------------------------------------------------------------ a run

    def run(self) -> None:
        """What cron does, and each step held against what is owed."""
        now = self.now
        with self.database.write() as session:
            clock.note_day(session, now=now)
        if now.hour == 0:  # what is asked once a day here makes a year cost a third less
            line.tidy(self.database, self.config, now=now)
        if self.waiting:
            self.waiting = line.answer_signups(self.database, self.config, now=now)
        for name, paper in list(self.papers.items()):
            if not self.is_read(paper):
                continue
            if now.hour == 0:
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
                tales = reader.carried(offer, welcome=True)
                if tales and number not in reader.editions:
                    expected[reader.id] = reader, tales
        if paper.editions:
            number, upto, _at = paper.editions[-1]
            for reader, planned in self.owed(paper, number, expected, welcome=True, due={}):
                reader.begin_at(upto)
                own = reader.clock
                reader.offered = own.had(self.now) if own else None
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
        paper.looked = paper.clock.upto(now) if paper.clock else now
        paper.closed.append((paper.looked, upto))
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
            tales = reader.led(tales, stories)
            planned = Planned(due.get(subscription, self.now), tales, number, welcome, reader.choices, self.now)
            reader.planned[letter], self.by_letter[letter] = planned, reader
            self.note(reader, f"owed edition {number}, due {planned.due:%m-%d %H:%M}{' as a welcome' * welcome}")
            reader.editions.add(number)
            self.count["letters owed"] += 1
            words = f"edition {number}{' as a welcome' if welcome else ''}"
            if not tales:  # where it is their turn all the same, the hour is right, and there is nothing for them
                kind = "unwanted" if subscription in due else "wrong_hour"
                self.blame(kind, f"{words}: a letter with {stories} though none is owed", reader=reader)
            else:
                wanted = {tale.id for tale in tales}
                if lost := wanted - set(stories):
                    self.blame("missing", f"{words}: without {sorted(lost)}", len(lost), reader=reader)
                if more := set(stories) - wanted:
                    self.blame("unwanted", f"{words}: also {sorted(more)}", len(more), reader=reader)
                if at != planned.due and (at > self.now or planned.due > self.now):
                    self.blame("wrong_hour", f"{words}: due {at}, not {planned.due}", reader=reader)
            if (variant.plain, variant.language) != (reader.choices.plain, reader.choices.language):
                self.blame("unwanted", f"{words}: in another language or format", reader=reader)
            found.append((reader, planned))
        for reader, tales in missing.values():
            self.blame("missing", f"edition {number}: no letter", len(tales), reader=reader)
        return found

    def _rows(self, session: Session, paper: Paper, number: int) -> list[Any]:
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
                        self.read_notice(letter.email, outbox.notice_to_send(session, letter.notice_id).text)
            taken += [letter for letter in claim.letters if letter.id in marked]
        for letter in taken:
            if letter.notice_id is None:
                self.arrived(letter)
        self.end_of_run()

    def read_notice(self, email: str, text: str) -> None:
        self.count["notices"] += 1
        chance = self.chance_of(f"{email} {self.now}")
        for kind, token in LINK.findall(text):
            if chance.random() < 0.75:
                after = timedelta(hours=chance.choice([0, 1, 5, 30, 24 * 8]))
                self.tokens.append((self.now + after, kind, token))

    def arrived(self, letter: outbox.Claimed) -> None:
        self.count["letters"] += 1
        reader = self.by_letter.get(letter.id)
        if reader is None:
            self.blame("unwanted", f"{letter.email}: a letter of edition {letter.edition_id} that nobody expected")
            return
        planned = reader.planned.pop(letter.id, None)
        words = f"the letter with the number {letter.id}" if planned is None else f"edition {planned.edition}"
        if planned is None:
            self.blame("twice", f"{words}: came again", reader=reader)
            return
        if not self.wants(reader):
            self.blame("to_who_left", f"{words}: {reader.state}", reader=reader)
        if letter.email != self.addresses[reader.person]:
            self.blame("to_who_left", f"{words}: went to {letter.email}", reader=reader)
        if not self.ran < planned.due <= self.now:
            self.blame("wrong_hour", f"{words}: came now, and not at {planned.due}", reader=reader)
        match year_promises.hour(reader, planned, ran=self.ran, now=self.now):
            case "wrong":
                self.blame("wrong_hour", f"{words}: it is no hour of theirs", reader=reader)
            case "made up for":
                self.count["days made up for"] += 1
            case "open":
                self.count["planned before a change"] += 1
        if again := reader.had & {tale.seq for tale in planned.tales}:
            self.blame("twice", f"{words}: {sorted(again)} again", len(again), reader=reader)
        if year_promises.second_of_its_day(reader, planned):
            self.blame("twice", f"{words}: the second letter of their day", reader=reader)
        self.note(reader, f"{words} came")
        reader.take(planned, self.now)

    def wants(self, reader: Reader) -> bool:
        over = reader.paused_until is not None and reader.paused_until <= self.now
        return reader.state == "active" or (reader.state == "paused" and over)

    def end_of_run(self) -> None:
        """Nothing that was due lies about; who left has lost what they were owed."""
        for reader in self.readers:
            for letter, planned in list(reader.planned.items()):
                if planned.due <= self.now:
                    if self.wants(reader):
                        words = f"edition {planned.edition}: due {planned.due}, did not come"
                        words += f", {reader.state} {reader.paused_until}"
                        self.blame("missing", words, len(planned.tales), reader=reader)
                    del reader.planned[letter]
                    self.count["dropped"] += 1
            lacking = year_promises.outstanding(reader, ran=self.ran, now=self.now)
            if lacking is None:
                self.count["days changed in between"] += 1
            elif lacking != ():
                self.count["days judged"] += 1
            if lacking:
                words = f"lacks {[tale.seq for tale in lacking]} of {lacking[0].at:%m-%d %H:%M} and later"
                self.blame("missing", f"{words}, settled {reader.settled}", len(lacking), reader=reader)
                reader.settled = self.now

    # ------------------------------------------------------------ the year

    def play(self, times: Sequence[datetime], *, until: int | None = None) -> None:
        renaming = {len(times) // 3: lambda: self.rename_topic(self.papers["berlin"], "games", "play"),
                    len(times) // 3 + 5: lambda: self.rename_topic(self.papers["loose"], "ai", "machines"),
                    len(times) // 2: lambda: self.rename_paper("howe", "island")}  # fmt: skip
        down, outages = self.now, self.chance_of("outages")
        for number, at in enumerate(times):
            share, self.now = (at - self.now) / DAY, at
            for paper in filter(self.is_read, self.papers.values()):
                if paper.chance.random() < (3 if paper.clock else 1) * share:
                    self.publish(paper)
            self.links()
            for reader in self.readers:
                often = 1 / 8 if reader.state in ("active", "left") else 1 / 4
                if reader.chance.random() < self.haste * often * share:
                    self.act(reader)
            if number in renaming:
                renaming[number]()
            if down < at and outages.random() < 8 * share / 365:
                down = at + HOUR * outages.randrange(1, 30)
            if at < down:
                self.count["runs missed"] += 1
                continue
            self.run()
            self.ran = at
            self.count["runs"] += 1
            if at.hour == 0:
                self.look_back()
                if until is not None and sum(self.wrong.values()) >= until:
                    return

    def look_back(self) -> None:
        for reader in self.readers:
            if late := reader.overdue(self.now):
                words = f"waits for {[tale.seq for tale in late]} since {late[0].at:%Y-%m-%d}"
                self.blame("missing", words, len(late), reader=reader)
                reader.settled = self.now


def replace_since(reader: Reader, start: int) -> Reader:
    """The same, as if they had read up to there."""
    return replace(reader, since=dict.fromkeys(reader.paper.topics, start))


def simulate(
    folder: Path,
    *,
    seed: int,
    readers: int,
    begin: datetime,
    times: Sequence[datetime],
    haste: float = 1,
    until: int | None = None,
    only: int | None = None,
) -> Year:
    """Play it to its end; `folder` is empty, and gets the database. `only` one person, who does what they would."""
    year = Year(folder, seed=seed, readers=readers, begin=begin, haste=haste)
    if only is not None:
        year.readers = [reader for reader in year.readers if reader.person == only]
        year.read = {id(reader.paper) for reader in year.readers}
    try:
        year.play(times, until=until)
    finally:
        year.database.close()
    return year


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="40 readers for 33 days with four changes of clocks")
    options.add_argument("--json", action="store_true", help="one line, with the goals")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--begin", type=datetime.fromisoformat, metavar="DATE")
    options.add_argument("--haste", type=float, default=1, metavar="N", help="how many times as often they change")
    options.add_argument("--until", type=int, metavar="N", help="end the day after as many violations")
    options.add_argument("--days", type=int, metavar="N")
    options.add_argument("--readers", type=int, metavar="N")
    options.add_argument("--only", type=int, metavar="PERSON", help="the year of one of them, told from day to day")
    options.add_argument("--show", type=int, default=10, metavar="N", help="how many violations are told in words")
    options.add_argument("--bugs", action="store_true", help="put errors into copies of digest: is each found?")
    chosen = options.parse_args()
    if chosen.bugs:
        return year_bugs.seek_all()
    Year.show = chosen.show
    days = chosen.days or (33 if chosen.quick else 365)
    readers = chosen.readers or (40 if chosen.quick else 200)
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        begin = chosen.begin.replace(tzinfo=UTC) if chosen.begin else QUICK if chosen.quick else BEGIN
        times = runs(begin, days)
        year = simulate(
            Path(name), seed=chosen.seed, readers=readers, begin=begin, times=times, haste=chosen.haste,
            until=chosen.until, only=chosen.only,
        )  # fmt: skip
    if chosen.only is not None:
        for reader in year.readers:
            print("\n".join([year.name(reader), *reader.diary]), file=sys.stderr)
    figures = {"seed": chosen.seed, "days": days, "readers": readers, "subscriptions": len(year.readers)}
    figures |= {"seconds": round(time.perf_counter() - begun), "cpu_seconds": round(time.process_time() - cpu)}
    figures |= {word.replace(" ", "_"): number for word, number in sorted(year.count.items())}
    figures |= dict(year.wrong)
    if chosen.json:
        print(json.dumps({"benchmark": "readers_year", **figures, "goals": GOALS}))
    else:
        for figure, value in figures.items():
            print(f"{figure:24} {value:>9,}" + (f"   goal {GOALS[figure]}" if figure in GOALS else ""))
    return 1 if any(year.wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
