"""What readers are owed by the words of docs/subscribers.md, worked out without any code of digest.

Days, hours and clocks have their own arithmetic here, and so have the stories that a letter is to carry: `readers_year`
asks this module what it expects before it looks at what was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)
FIRST_WEEK = date(2026, 1, 5)  # of two weeks, the one that counts where no date is named
WEIGHT = 3  # of a level, in ranks
LONGEST_WAIT = {"weekly": 8, "fortnightly": 16, "monthly": 37}  # days between two letters of a cadence, at most
NEVER = datetime(1, 1, 1, tzinfo=UTC)


# ---------------------------------------------------------------- days and clocks


@lru_cache(maxsize=200_000)
def moment(day: date, hour: int, minute: int, zone: str) -> datetime:
    """When a clock on the wall shows that time of that day, in UTC.

    The first time where it comes twice; where the clock skips it, as much later as it skips.
    """
    wall, place = datetime.combine(day, time(hour, minute)), ZoneInfo(zone)
    around = [datetime.combine(day + DAY * n, time(12), UTC).astimezone(place).utcoffset() for n in (-1, 0, 1)]
    shown = {(wall - offset).replace(tzinfo=UTC) for offset in around if offset is not None}
    exact = [at for at in shown if at.astimezone(place).replace(tzinfo=None) == wall]
    return min(exact) if exact else max(shown)


def counts(cadence: str, day: date) -> bool:
    """Is this one of the days of a cadence?"""
    said = cadence.split()
    match said:
        case [] | ["daily"]:
            return True
        case ["weekdays"]:
            return day.isoweekday() <= 5
        case ["weekly", name]:
            return WEEKDAYS[day.isoweekday() - 1] == name
        case ["fortnightly", name, *since]:
            first = date.fromisoformat(since[1]) if since else FIRST_WEEK + DAY * WEEKDAYS.index(name)
            return (day.toordinal() - first.toordinal()) % 14 == 0
        case ["monthly", number]:
            last = (day + DAY).month != day.month
            return day.day == int(number) or (last and day.day < int(number))
        case ["monthly", nth, name]:
            if WEEKDAYS[day.isoweekday() - 1] != name:
                return False
            if nth == "last":
                return (day + 7 * DAY).month != day.month
            return sum((day - 7 * DAY * n).month == day.month for n in range(5)) == _NTH[nth]
    raise AssertionError(cadence)


_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4}


@dataclass(frozen=True)
class Clock:
    """Times of day on the clock of a zone, on the days of a cadence but for days of each year (month, day)."""

    cadence: str
    times: tuple[tuple[int, int], ...]
    zone: str
    holidays: frozenset[tuple[int, int]] = frozenset()

    @property
    def rare(self) -> bool:
        return self.cadence.split()[:1] not in ([], ["daily"], ["weekdays"])

    def day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()

    def begin(self, day: date) -> datetime:
        return moment(day, 0, 0, self.zone)

    def on(self, day: date) -> bool:
        return counts(self.cadence, day) and (day.month, day.day) not in self.holidays

    def _of(self, day: date) -> list[datetime]:
        return sorted({moment(day, hour, minute, self.zone) for hour, minute in self.times}) if self.on(day) else []

    def from_(self, at: datetime) -> datetime:
        """The first of its times at or after a moment."""
        day = self.day(at) - DAY
        while True:
            for one in self._of(day):
                if one >= at:
                    return one
            day += DAY

    def upto(self, at: datetime) -> datetime:
        """The last of its times at or before a moment."""
        day = self.day(at) + DAY
        while True:
            for one in reversed(self._of(day)):
                if one <= at:
                    return one
            day -= DAY

    def had(self, at: datetime) -> datetime:
        """For which time a letter of this moment counts: the last there was, as if each day had one."""
        return Clock("daily", self.times, self.zone, self.holidays).upto(at)

    def before(self, at: datetime) -> datetime:
        return self.upto(at - timedelta(microseconds=1))


# ---------------------------------------------------------------- newsletters, stories, readers


@dataclass(frozen=True)
class Tale:
    """A story."""

    seq: int
    id: int
    topic: str
    title: str
    site: str
    language: str
    rank: float
    at: datetime


@dataclass
class Paper:
    """A newsletter: its slots (None: it sends at each run), stories, and editions as (number, upto, composed)."""

    name: str
    clock: Clock | None
    topics: list[str]
    most: int
    tales: list[Tale] = field(default_factory=list)
    editions: list[tuple[int, int, datetime]] = field(default_factory=list)
    closed: list[tuple[datetime, int]] = field(default_factory=list)  # slots (or runs), and the last seq by then
    looked: datetime = NEVER  # the last slot that had its turn; of one without slots, the last run
    chance: Random = field(default_factory=Random)

    @property
    def upto(self) -> int:
        return self.editions[-1][1] if self.editions else 0

    @property
    def start(self) -> int:
        """Where the last edition began."""
        return self.editions[-2][1] if len(self.editions) > 1 else 0


@dataclass(frozen=True)
class Choices:
    topics: tuple[str, ...] = ()
    cadence: str = ""
    hour: int | None = None
    zone: str = ""
    language: str = ""
    plain: bool = False
    max_stories: int | None = None
    muted_words: tuple[str, ...] = ()
    muted_sources: tuple[str, ...] = ()
    muted_topics: tuple[str, ...] = ()
    story_languages: tuple[str, ...] = ()
    more_of: tuple[str, ...] = ()
    less_of: tuple[str, ...] = ()

    def told(self) -> str:
        return ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items() if value not in ((), "", None, False)
        )

    def level(self, tale: Tale) -> int:
        """By how many levels they have a story higher or lower than others have."""
        words = tale.title.lower().split()
        hits = {f"topic:{tale.topic}", f"source:{tale.site}", *(f"word:{word}" for word in words)}
        return max(-2, min(2, len(hits & {*self.more_of}) - len(hits & {*self.less_of})))

    def muted(self, tale: Tale) -> bool:
        words = tale.title.lower().split()
        return (
            any(word in words for word in self.muted_words)
            or tale.site in self.muted_sources
            or tale.topic in self.muted_topics
            or bool(self.story_languages and tale.language and tale.language not in self.story_languages)
        )


@dataclass
class Planned:
    """A letter that is owed: when it is due, its stories, and the run in which it is to come."""

    due: datetime
    tales: tuple[Tale, ...]
    edition: int
    welcome: bool
    choices: Choices
    made: datetime


@dataclass
class Reader:
    """One person's subscription to one newsletter, and what they had."""

    person: int
    paper: Paper
    id: int = 0
    state: str = "none"  # none, pending, active, paused, left
    paused_until: datetime | None = None
    asked: datetime = NEVER
    choices: Choices = Choices()
    since: dict[str, int] = field(
        default_factory=dict
    )  # topic: the seq up to which its stories do not count (any more)
    offered: datetime | None = None
    awaits_welcome: bool = False
    came: datetime = NEVER  # since when they are active, or were
    settled: datetime = NEVER  # since when they chose, paused, and left nothing
    planned: dict[int, Planned] = field(default_factory=dict)  # by the number of the letter
    had: set[int] = field(default_factory=set)  # seqs that came
    letters: list[tuple[datetime, Planned]] = field(default_factory=list)
    full_upto: int = 0  # beyond the maximum of a letter there were more, up to here
    editions: set[int] = field(default_factory=set)  # owed, whatever became of it
    chance: Random = field(default_factory=Random)
    diary: list[str] = field(default_factory=list)

    # ------------------------------------------------------------ what they do

    def begin_at(self, seq: int) -> None:
        self.since = {topic: max(self.since.get(topic, 0), seq) for topic in self.paper.topics}

    def forgotten(self) -> None:
        """They asked, and nobody confirmed; nothing of it is known any more."""
        self.state, self.id, self.choices, self.since = "none", 0, Choices(), {}
        self.diary.append("forgotten")

    def enter(self, state: str, now: datetime) -> None:
        """To be active is to begin with all others, and to have missed no day."""
        self.state, self.paused_until, self.settled = state, None, now
        self.diary.append(f"{now:%Y-%m-%d %H:%M} {state}, {self.choices.told()}")
        if state == "active":
            self.begin_at(self.paper.upto)
            self.offered, self.came = None, now

    def choose(self, choices: Choices, now: datetime) -> None:
        former, wanted = set(self.choices.topics), set(choices.topics)
        if former and not (wanted and wanted <= former):
            for topic in (wanted or set(self.paper.topics)) - former:
                self.since[topic] = max(self.since.get(topic, 0), self.paper.start)
        self.choices, self.settled = choices, now
        self.diary.append(f"{now:%Y-%m-%d %H:%M} chose {choices.told()}")

    def take(self, planned: Planned, now: datetime) -> None:
        self.had |= {tale.seq for tale in planned.tales}
        self.letters.append((now, planned))
        self.full_upto = max(self.full_upto, self.filled(planned))

    def filled(self, planned: Planned) -> int:
        """Up to where there may be more than a letter has: one of fewer than their maximum has it all."""
        if len(planned.tales) < min(self.paper.most, planned.choices.max_stories or self.paper.most):
            return 0
        return next(up for number, up, _at in self.paper.editions if number == planned.edition)

    # ------------------------------------------------------------ when

    @property
    def clock(self) -> Clock | None:
        """Their own; None: whenever it comes. Without an hour it is the newsletter's."""
        chosen, slots = self.choices, self.paper.clock
        if not chosen.cadence and chosen.hour is None:
            return None
        cadence = chosen.cadence or "daily"
        skipped = slots.holidays if slots and not Clock(cadence, (), "").rare else frozenset()
        if chosen.hour is None and slots:
            return Clock(cadence, slots.times[:1], slots.zone, skipped)
        zone = chosen.zone or (slots.zone if slots else "UTC")
        return Clock(cadence, ((chosen.hour or 0, 0),), zone, skipped)

    def turn(self, now: datetime) -> tuple[datetime, datetime] | None:
        """When the letter of the edition of this moment is due, and for which time of theirs; None: they get none."""
        return self._turn_of_slot(now) if self.paper.clock else self._turn_of_run(now)

    def _turn_of_slot(self, now: datetime) -> tuple[datetime, datetime] | None:
        own, slots = self.clock, self.paper.clock
        assert slots is not None
        if own is None:
            return now, now
        slot, following = slots.upto(now), slots.from_(now + timedelta(microseconds=1))
        coming = own.from_(slot)
        if late := self._late(own, slots, now) if own.rare else self._skipped(own, slots, now):
            return late
        while coming < following:  # a day of theirs that has its letter leaves the edition to the next one
            if not self.served(own.begin(own.day(coming))):
                return max(coming, now), coming
            coming = own.from_(coming + timedelta(microseconds=1))
        return None

    def _skipped(self, own: Clock, slots: Clock, now: datetime) -> tuple[datetime, datetime] | None:
        """Nothing ran at a slot whose edition would have come at an hour of theirs before this one's: what is late goes
        at once."""
        slot, following = slots.upto(now), slots.from_(now + timedelta(microseconds=1))
        missed = own.before(slot)
        begun = own.begin(own.day(missed))
        if not self._passed_over(slots, missed) or own.from_(slot) < following:
            return None
        if not (self._were_here(slots, missed) if self.offered is None else self.offered < begun):
            return None
        return None if self.had_since(begun) else (now, own.had(now))

    def _passed_over(self, slots: Clock, missed: datetime) -> bool:
        """Did nothing run for the edition that would have come at that time of theirs?"""
        return slots.upto(missed) > self.paper.looked

    def _were_here(self, slots: Clock, missed: datetime) -> bool:
        """Who had no time of theirs yet missed one only where they had come before its edition was to close."""
        return bool(self.paper.editions) and self._passed_over(slots, missed) and self.came <= slots.upto(missed)

    def had_since(self, moment: datetime) -> bool:
        """Did a letter come since, or is one to come at an hour that was theirs?"""
        return any(at >= moment for at, _planned in self.letters) or any(
            planned.due >= moment for planned in self.planned.values()
        )

    def served(self, day: datetime) -> bool:
        """Have they the letter of the day that begins there?

        A slot without anything for them is none: who moves from there to another hour of that day gets what came since.
        Who was away for some hours of it has the one of before.
        """
        return (self.offered is None or self.offered >= day) and self.had_since(day)

    def _late(self, own: Clock, slots: Clock, now: datetime) -> tuple[datetime, datetime] | None:
        """A weekly or monthly reader whose day was missed gets the next edition on the day it comes."""
        slot, following = slots.upto(now), slots.from_(now + timedelta(microseconds=1))
        missed = own.before(slot)
        today = own.day(missed) == own.day(slot)
        came = slots.upto(missed) > own.before(missed)
        if not today and not (own.from_(slot) >= following and came):
            return None
        begun = own.begin(own.day(missed))
        # What any letter since then was for, by an hour, zone or cadence of before, is nothing to them: they had one.
        none_yet = today or self._were_here(slots, missed)
        if not (none_yet if self.offered is None else self.offered < begun) or self.had_since(begun):
            return None
        hour = Clock("daily", own.times, own.zone).from_(slot)
        due = hour if own.day(hour) == own.day(slot) and hour < following else now
        return max(due, now), own.had(max(due, now))

    def _turn_of_run(self, now: datetime) -> tuple[datetime, datetime] | None:
        own = self.clock
        if own is None:
            return now, now
        slot = own.upto(now)
        if self.choices.hour is not None:
            if slot <= self.paper.looked:
                return None
        elif own.day(now) != own.day(slot):
            begun = own.begin(own.day(slot))
            were_here = bool(self.paper.editions) and self.came <= slot > self.paper.looked
            missed = were_here if self.offered is None else self.offered < begun
            late = own.rare and missed and not self.had_since(begun)
            return (now, own.had(now)) if late else None
        return None if self.served(own.begin(own.day(slot))) else (now, own.had(now))

    # ------------------------------------------------------------ what

    def unread(self, upto: int) -> list[Tale]:
        """What counts for them, muted or not."""
        wanted = self.choices.topics or self.paper.topics
        return [t for t in self.tales_upto(upto) if t.topic in wanted and t.seq > self.since.get(t.topic, 0)]

    def tales_upto(self, upto: int) -> Iterator[Tale]:
        lowest = min(self.since.values(), default=0)
        return (t for t in self.paper.tales[lowest:upto] if t.seq <= upto)

    def carried(self, offer: list[Tale], *, welcome: bool = False) -> tuple[Tale, ...]:
        """What a letter has of an offer: the best, as many as they and the newsletter want; a welcome, as for all."""
        own = 0 if welcome else WEIGHT
        left = sorted(
            (t for t in offer if not self.choices.muted(t)), key=lambda t: -t.rank - own * self.choices.level(t)
        )
        return tuple(left[: min(self.paper.most, self.choices.max_stories or self.paper.most)])

    def led(self, tales: tuple[Tale, ...], stories: Collection[int]) -> tuple[Tale, ...]:
        """What they should have of an offer with more than they want, where what they were sent is this.

        A lead is chosen for more than its rank: it may be any of the offer, in the place of the last.
        """
        if len(tales) != min(self.paper.most, self.choices.max_stories or self.paper.most):
            return tales
        others = set(stories) - {tale.id for tale in tales}
        wanted = self.choices.topics or self.paper.topics
        leads = [t for t in self.paper.tales if t.id in others and t.topic in wanted and t.seq not in self.had]
        if len(others) != 1 or not leads or self.choices.muted(leads[0]) or tales[-1].id in stories:
            return tales
        return (*tales[:-1], leads[0])

    def overdue(self, now: datetime) -> list[Tale]:
        """Stories that no letter brought, though there were days for it since they last changed anything."""
        name = (self.choices.cadence.split() or [""])[0]
        wait = DAY * LONGEST_WAIT.get(name, 5) + 5 * DAY
        if self.state != "active" or now - self.settled < wait:
            return []
        offer = self.unread(self.paper.upto)
        return [t for t in self.carried(offer) if now - t.at > wait] if offer and now - offer[0].at > wait else []
