"""Each reader's own hour, days, language and format: what they get when, and what becomes of it when they change it."""

from __future__ import annotations

import io
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from hypothesis import given, settings
from hypothesis import strategies as st
from mailing import send, sound, states
from people import enrol, preferences
from postgres import wait_until_somebody_waits
from sqlmodel import select

from digest import edition, schedule, subscribe
from digest.edition.compose import Moved
from digest.errors import BadInput, NotFound
from digest.models import Edition, Feed, OutboxRow, Subscriber, Subscription, Variant
from digest.schedule import Turn
from digest.store import (
    archive,
    edition_states,
    edition_stories,
    editions,
    history,
    import_log,
    letters,
    newsletters,
    open_database,
    pauses,
    people,
    recipients,
)
from digest.store.story_tables import Admission, Decision, Entry, Story, VariantStory
from digest.subscribe import Evidence, Preferences, Terms, many

SECRET = "a key for tests, long enough"
NEWS = {"title": "The Daily", "from": "The Daily <news@news.example>", "schedule": "daily 07:00"}
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland", "America/Havana")
CADENCES = (
    *("", "daily", "weekdays", "weekly mon", "weekly sun", "weekly thu", "fortnightly sun"),
    *("fortnightly thu from 2026-01-15", "monthly 1", "monthly 31", "monthly last sun", "monthly second thu"),
)
HOURS = st.none() | st.integers(0, 23)


def mine(turns: list[Turn], offered: datetime | None, letters: Sequence[datetime] = ()) -> Turn | None:
    """The turn of a reader, as the database finds it: there is one at most. `letters` came or are to come then."""

    def had(since: datetime) -> bool:
        return any(at >= since for at in (letters or [offered]) if at is not None)

    def missed(day: datetime, *, new: bool) -> bool:
        return (new if offered is None else offered < day) and not had(day)

    def is_mine(turn: Turn) -> bool:
        if turn.late:
            return missed(turn.day, new=turn.new)
        if turn.missed is not None and missed(turn.missed, new=True):
            return False
        if turn.spent is not None and not ((offered is None or offered >= turn.spent) and had(turn.spent)):
            return False
        if turn.day is None or (offered is not None and offered < turn.day):
            return True
        return not (turn.sure and offered is not None) and not had(turn.day)

    found = [turn for turn in turns if is_mine(turn)]
    assert len(found) <= 1
    return found[0] if found else None


# ---------------------------------------------------------------- when, by the rules alone


@dataclass
class Reader:
    cadence: str
    hour: int | None
    zone: str
    offered: datetime | None = None
    read: int = 0
    letters: list[tuple[datetime, Turn, range, datetime]] = field(default_factory=list)  # due, turn, stories, composed

    def look(self, turns: list[Turn], *, upto: int, now: datetime) -> None:
        turn = mine(turns, self.offered, [due for due, *_ in self.letters])
        if turn is not None:
            self.letters.append((turn.due_at, turn, range(self.read, upto), now))
            self.offered, self.read = turn.slot, upto


def publish(
    newsletter: schedule.Schedule, reader: Reader, begin: datetime, days: int, *, late: dict[int, timedelta], change
) -> int:
    """Run a newsletter for some days, one new story before each edition; how many stories there were."""
    story, slot, looked = 0, newsletter.next_slot(begin), begin
    while slot < begin + timedelta(days=days):
        now = slot + late.get(story, timedelta())
        slot = newsletter.last_slot(now)
        if slot > looked:
            change(reader, now)
            story += 1
            own = schedule.own(reader.cadence, reader.hour, reader.zone, newsletter)
            turns = schedule.turns(own, newsletter, now=now)
            reader.look(turns, upto=story, now=now)
            looked = slot
        slot = newsletter.next_slot(max(slot, now))
    return story


some_newsletter = st.builds(
    lambda cadence, times, zone, holidays: schedule.parse(f"{cadence} {','.join(times)} {zone}", holidays),
    st.sampled_from([c for c in CADENCES if c]),
    st.lists(st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 0, 30])), min_size=1, max_size=2),
    st.sampled_from(ZONES),
    st.sampled_from([(), (), ("03-29", "07-02", "10-25", "11-01", "2026-05-31")]),
)
beginnings = st.integers(0, 365).map(lambda day: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=1))
someone = st.builds(Reader, st.sampled_from(CADENCES), HOURS, st.sampled_from(ZONES))


@given(some_newsletter, someone, beginnings)
@settings(max_examples=60, deadline=None)
def test_a_reader_gets_each_story_once_at_their_hour_whatever_the_clocks_do(newsletter, reader, begin):
    count = publish(newsletter, reader, begin, 70, late={}, change=lambda *_: None)
    told = [story for _due, _turn, stories, _at in reader.letters for story in stories]
    assert told == list(range(reader.read)) and reader.read <= count
    zone = ZoneInfo(reader.zone) if reader.hour is not None else newsletter.zone
    days = [due.astimezone(zone).date() for due, *_ in reader.letters]
    own = schedule.own(reader.cadence, reader.hour, reader.zone, newsletter)
    assert days == sorted(days) and (own is None or len(set(days)) == len(days))
    for due, turn, _stories, now in reader.letters:
        local = due.astimezone(zone)
        assert now <= due
        if own is None:
            assert due == now
        elif own.days.rare and due == now:  # it came later on their day than their hour, or their day brought none
            assert local.date() in own.days or own.next_slot(newsletter.last_slot(now - timedelta(seconds=1))) < now
        else:
            expected = datetime.combine(local.date(), own.times[0], zone).astimezone(UTC).astimezone(zone)
            assert local == expected and turn.slot == due and own.on(local.date())
    # No day of theirs passes without a letter, but where no edition came since the last one.
    slots = [due for due, *_ in reader.letters]
    editions = [now for *_, now in reader.letters]
    for before, after, composed in zip(slots, slots[1:], editions[1:], strict=False):
        if own is not None and not own.days.rare and newsletter.days == schedule.Days():
            missed = own.next_slot(before)
            assert (
                missed >= after
                or not any(before < at <= missed for at in _slots(newsletter, before, missed))
                or (composed <= before)
            )
        if own is not None and own.days.rare:
            came = _slots(newsletter, newsletter.last_slot(before) - timedelta(seconds=1), after)
            pause = max(b - a for a, b in pairwise(came))
            assert after - before < longest(own.days) + max(pause, timedelta(days=1)) + timedelta(days=1)


def longest(days: schedule.Days) -> timedelta:
    """Between two of them."""
    return timedelta(days=35 if days.nth or days.number else 14 if days.fortnight else 7)


def _slots(newsletter: schedule.Schedule, begin: datetime, end: datetime) -> list[datetime]:
    found, slot = [], newsletter.next_slot(begin)
    while slot <= end:
        found.append(slot)
        slot = newsletter.next_slot(slot)
    return found


@pytest.mark.long
@given(some_newsletter, someone, beginnings, st.data())
@settings(max_examples=60, deadline=None)
def test_changing_choices_and_downtime_neither_repeat_nor_drop_a_story(newsletter, reader, begin, data):
    late = data.draw(
        st.dictionaries(st.integers(0, 40), st.integers(0, 24 * 9).map(lambda h: timedelta(hours=h)), max_size=3)
    )
    changes = data.draw(
        st.dictionaries(
            st.integers(0, 60), st.tuples(st.sampled_from(CADENCES), HOURS, st.sampled_from(ZONES)), max_size=4
        )
    )

    def change(reader: Reader, now: datetime) -> None:
        for day in [day for day in changes if begin + timedelta(days=day) < now]:
            reader.cadence, reader.hour, reader.zone = changes.pop(day)

    count = publish(newsletter, reader, begin, 90, late=late, change=change)
    told = [story for _due, _turn, stories, _at in reader.letters for story in stories]
    assert told == list(range(reader.read))
    slots = [turn.slot for _due, turn, *_ in reader.letters]
    assert len(set(slots)) == len(slots)
    for due, _turn, _stories, now in reader.letters:
        assert now <= due < now + schedule.LONGEST
    # Whoever goes on reading has read all but what came since their last slot.
    own = schedule.own(reader.cadence, reader.hour, reader.zone, newsletter)
    wait = timedelta(days=7) if own is None else longest(own.days)
    assert count - reader.read <= len(newsletter.times) * (wait.days + 1)


@pytest.mark.long
@given(someone, beginnings, st.lists(st.integers(1, 400), min_size=20, max_size=200))
@settings(max_examples=60, deadline=None)
def test_with_a_newsletter_that_sends_at_each_run_too(reader, begin, gaps):
    now, since, story = begin, begin, 0
    own = schedule.own(reader.cadence, reader.hour, reader.zone, None)
    for gap in gaps:
        now += timedelta(minutes=gap)
        story += 1
        turns = schedule.turns_of_run(own, hour=reader.hour is not None, since=since, now=now)
        reader.look(turns, upto=story, now=now)
        since = now
    assert [s for _due, _turn, stories, _at in reader.letters for s in stories] == list(range(reader.read))
    zone = ZoneInfo(reader.zone)
    if own is not None:
        slots = [turn.slot if reader.hour is not None else due for due, turn, *_ in reader.letters]
        assert len({slot.astimezone(zone).date() for slot in slots}) == len(slots)
        for due, turn, *_ in reader.letters:
            assert turn.slot <= due
            if reader.hour is not None:  # in the first run that came upon their hour
                assert due - turn.slot < timedelta(minutes=400)
                assert turn.slot.astimezone(zone).date() in own.days
    else:
        assert reader.read == story


@pytest.mark.parametrize(
    ("words", "one_form"),
    [
        ("", ""),
        ("Daily", "daily"),
        ("weekdays", "weekdays"),
        ("weekly  Monday", "weekly mon"),
        ("weekly thurs", "weekly thu"),
        ("Fortnightly Friday", "fortnightly fri"),
        ("fortnightly fri from 2026-12-04", "fortnightly fri from 2026-01-16"),
        ("fortnightly fri from 2026-11-27", "fortnightly fri"),
        ("monthly 07", "monthly 7"),
        ("monthly last", "monthly 31"),
        ("monthly last day", "monthly 31"),
        ("monthly 3rd", "monthly 3"),
        ("biweekly fri", "fortnightly fri"),
        ("every second week fri", "fortnightly fri"),
        ("Monthly 1st Monday", "monthly first mon"),
    ],
)
def test_a_cadence_has_one_form(words, one_form):
    assert schedule.cadence(words) == one_form


@pytest.mark.parametrize(
    "words", ["monthly", "monthly 32", "fortnightly", "weekly", "weekly someday", "weekly mondey", "daily 07:00"]
)
def test_what_is_no_cadence_is_refused(words):
    with pytest.raises(ValueError, match=r"is not a|does not say"):
        schedule.cadence(words)


# ---------------------------------------------------------------- in the database


@pytest.fixture
def config(configure, inbox):
    return configure(newsletters={"daily": NEWS}, smtp={"url": inbox.url})


def news(database, *stories: str, at: datetime = MONDAY) -> None:
    """Admit a story for each topic given."""
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        feed = session.exec(select(Feed)).first()
        if feed is None:
            feed = Feed(url="https://f.example/", title="Feed", added_at=at, next_at=at)
            session.add(feed)
            session.flush()
        for topic in stories:
            paper.seq += 1
            entry = Entry(feed_id=feed.id, key=str(paper.seq), url=f"https://s.example/{paper.seq}", seen_at=at)
            session.add(entry)
            session.flush()
            story = Story(
                newsletter_id=paper.id,
                seq=paper.seq,
                entry_id=entry.id,
                topic=topic,
                url=entry.url,
                title=f"Story {paper.seq} of {topic}, as it was told",
                source="Feed",
                excerpt="What there is to say about it, in a sentence that is long enough to stand here.",
                language="en",
                published_at=at,
                admitted_at=at,
            )
            session.add(story)
            session.flush()
            session.add(
                Admission(
                    newsletter_id=paper.id,
                    entry_id=entry.id,
                    decision=Decision.STORY,
                    story_id=story.id,
                    decided_at=at,
                )
            )
        session.add(paper)


def join(database, name: str, *, now: datetime = MONDAY, **choices) -> None:
    with database.write() as session:
        enrol(
            session,
            f"{name}@example.org",
            newsletter="daily",
            how="test",
            known_topics={"ai", "web", "games"},
            secret=SECRET,
            now=now,
            **choices,
        )


def compose(database, config, now: datetime) -> edition.Composed:
    return edition.take_turn(database, "daily", config, now=now)


def dated_letters(database) -> dict[str, list[tuple[int, datetime]]]:
    """Who was owed what, and for when: {name: [(edition, due)]}."""
    found: dict[str, list[tuple[int, datetime]]] = {}
    with database.read() as session:
        for line in letters.lines(session, limit=10_000):
            found.setdefault(line.email.split("@")[0], []).append((line.edition, line.due_at))
    return found


def test_letters_are_owed_for_each_readers_own_hour_and_days(database, config):
    tuesday = MONDAY + timedelta(days=1)
    join(database, "all")
    join(database, "evening", hour=20, zone="Europe/Berlin")
    join(database, "tokyo", hour=7, zone="Asia/Tokyo")
    join(database, "weekdays", cadence="weekdays", hour=9)
    join(database, "weekly", cadence="weekly wed")
    news(database, "ai")
    done = compose(database, config, tuesday)
    assert (done.letters, done.variants) == (4, 1)
    assert dated_letters(database) == {
        "all": [(1, tuesday)],
        "evening": [(1, tuesday.replace(hour=19))],
        "tokyo": [(1, tuesday.replace(hour=22))],
        "weekdays": [(1, tuesday.replace(hour=9))],
    }
    news(database, "ai")
    done = compose(database, config, tuesday + timedelta(days=1))
    assert (done.letters, done.variants) == (5, 2)
    assert dated_letters(database)["weekly"] == [(2, tuesday + timedelta(days=1))]
    for day in range(2, 5):  # Thursday to Saturday
        news(database, "ai")
        compose(database, config, tuesday + timedelta(days=day))
    found = dated_letters(database)
    assert [len(found[who]) for who in ("all", "weekdays", "weekly")] == [5, 4, 1]
    assert sound(database)


def test_a_planned_letter_keeps_its_hour_when_its_reader_changes_it(database, config):
    tuesday = MONDAY + timedelta(days=1)
    for name, hour in (("earlier", 18), ("later", 8)):
        join(database, name, hour=hour)
    news(database, "ai")
    compose(database, config, tuesday)
    with database.write() as session:
        for name, hour in (("earlier", 7), ("later", 20)):
            choices = {"hour": hour}
            address = f"{name}@example.org"
            said = Evidence("page", tuesday)
            subscribe.change(session, address, newsletter="daily", evidence=said, known_topics=(), choices=choices)
    news(database, "ai")
    compose(database, config, tuesday + timedelta(days=1))
    assert dated_letters(database) == {
        "earlier": [(1, tuesday.replace(hour=18)), (2, tuesday + timedelta(days=1))],
        "later": [(1, tuesday.replace(hour=8)), (2, tuesday.replace(hour=20) + timedelta(days=1))],
    }


def choose(database, name: str, *, now: datetime, **choices) -> None:
    with database.write() as session:
        address, said = f"{name}@example.org", Evidence("page", now)
        subscribe.change(session, address, newsletter="daily", evidence=said, known_topics={"web"}, choices=choices)


def test_an_hour_that_had_nothing_for_its_reader_takes_no_other_hour_of_that_day_from_them(database, config):
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    join(database, "ada", topics=["web"], hour=1)
    join(database, "all")
    news(database, "ai")
    compose(database, config, tuesday)  # had nothing for her, at 1:00 of Wednesday
    choose(database, "ada", now=tuesday + timedelta(hours=5), topics=["web"], hour=9)
    news(database, "web", at=tuesday + timedelta(hours=10))
    compose(database, config, wednesday)
    assert dated_letters(database)["ada"] == [(2, wednesday.replace(hour=9))]


@pytest.mark.long
@pytest.mark.parametrize("hour", [20, None])
def test_who_had_a_letter_on_their_rare_day_before_its_hour_did_not_miss_it(database, config, hour):
    """Welcomed at 8:00, which counts for 20:00 of the day before; and the newsletter's hour, for whom it is theirs."""
    tuesday = MONDAY + timedelta(days=1)
    join(database, "all")
    news(database, "ai")
    compose(database, config, tuesday)
    join(database, "ada", cadence="daily", hour=20, welcome=True)
    assert edition.welcome(database, "daily", config, now=tuesday + timedelta(hours=1)) == 1
    choose(database, "ada", now=tuesday + timedelta(hours=2), cadence="weekly tue", hour=hour)
    for day in range(1, 8):
        news(database, "ai", at=tuesday + timedelta(days=day, hours=-1))
        compose(database, config, tuesday + timedelta(days=day))
    later = tuesday + timedelta(days=7, hours=13 if hour else 0)
    assert [due for _number, due in dated_letters(database)["ada"]][1:] == [later]


def test_a_newsletter_of_several_times_has_an_edition_for_each(database, configure):
    config = configure(newsletters={"daily": NEWS | {"schedule": "daily 07:00,18:00", "holidays": ["11-25"]}})
    tuesday = MONDAY + timedelta(days=1)
    join(database, "all")
    join(database, "daily", cadence="daily")
    join(database, "noon", hour=12)
    join(database, "night", hour=23)
    for hour in (7, 18, 31, 42, 55):  # Wednesday is a holiday
        news(database, "ai")
        done = compose(database, config, tuesday.replace(hour=0) + timedelta(hours=hour))
        assert bool(done.number) == (hour not in (31, 42))
    thursday = tuesday + timedelta(days=2)
    assert dated_letters(database) == {
        "all": [(1, tuesday), (2, tuesday.replace(hour=18)), (3, thursday)],
        "daily": [(1, tuesday), (3, thursday)],
        "noon": [(1, tuesday.replace(hour=12)), (3, thursday.replace(hour=12))],
        "night": [(2, tuesday.replace(hour=23))],
    }
    # Two of a day are had: an hour that is named instead of one of them has no third.
    earlier = configure(newsletters={"daily": NEWS | {"schedule": "daily 07:00,08:00"}})
    news(database, "ai")
    assert compose(database, earlier, thursday.replace(hour=8)).number == 4
    later = configure(newsletters={"daily": NEWS | {"schedule": "daily 07:00,18:00"}})
    assert compose(database, later, thursday.replace(hour=18)).number == 0


def test_a_holiday_in_between_is_no_missed_day():
    paper = schedule.parse("weekdays 07:00", [f"12-{day}" for day in range(21, 32)])
    friday = schedule.own("weekly fri", 9, "", paper)
    monday, last_letter = datetime(2027, 1, 4, 7, tzinfo=UTC), datetime(2026, 12, 18, 9, tzinfo=UTC)
    holidays = schedule.parse("weekdays 07:00", [*(f"12-{day}" for day in range(21, 32)), "01-01"])
    assert mine(schedule.turns(friday, holidays, now=monday), last_letter) is None
    assert mine(schedule.turns(friday, paper, now=monday), last_letter).due_at == monday.replace(hour=9), "one came"


@pytest.mark.parametrize("moved", ["daily 09:00", "daily 10:00 Europe/Berlin", "daily 04:00 America/New_York"])
def test_a_schedule_moved_to_a_later_hour_gives_no_second_edition_that_day(database, config, configure, moved):
    tuesday = MONDAY + timedelta(days=1)
    join(database, "ada")
    news(database, "ai")
    assert compose(database, config, tuesday).number == 1
    news(database, "ai")
    later = configure(newsletters={"daily": NEWS | {"schedule": moved}})
    slots = later.newsletters["daily"].slots
    next_day = slots.next_slot(tuesday + timedelta(hours=12))
    assert next_day > tuesday + timedelta(days=1)
    done = compose(database, later, slots.next_slot(tuesday))
    assert (done.number, done.why) == (0, f"not due before {next_day:%Y-%m-%d %H:%M} UTC")
    assert compose(database, later, next_day).number == 2
    assert dated_letters(database) == {"ada": [(1, tuesday), (2, next_day)]}


def test_a_schedule_moved_to_a_later_hour_still_gives_that_days_edition(database, config, configure):
    tuesday = MONDAY + timedelta(days=1)
    join(database, "ada")
    assert compose(database, config, tuesday).number == 0  # nothing new
    news(database, "ai")
    later = configure(newsletters={"daily": NEWS | {"schedule": "daily 09:00"}})
    assert compose(database, later, tuesday.replace(hour=9)).number == 1


@pytest.mark.long
def test_random_readers_who_change_their_minds_get_each_story_once(database, config):
    chance = random.Random(7)
    names = [f"r{n}" for n in range(16)]

    def choices() -> dict:
        return {
            "topics": chance.choice([[], [], ["ai"], ["ai", "web"]]),
            "cadence": chance.choice(CADENCES),
            "hour": chance.choice([None, *range(0, 24, 5)]),
            "zone": chance.choice(["", *ZONES]),
            "language": chance.choice(["", "de"]),
            "plain": chance.random() < 0.2,
        }

    models = {}
    for name in names:
        chosen = choices()
        join(database, name, **chosen)
        models[name] = Reader(chosen["cadence"], chosen["hour"], chosen["zone"])
    plan = config.newsletters["daily"].slots
    for day in range(1, 13):
        now = MONDAY + timedelta(days=day)
        if day == 6:
            for name in names[:8]:
                chosen = choices() | {"topics": []}
                with database.write() as session:
                    _person, subscription = subscribe.find(session, f"{name}@example.org", "daily")
                    chosen["topics"] = subscription.topics
                    wish, said = preferences(**chosen), Evidence("test", now)
                    subscribe.choose_all(session, subscription.id, wish, known_topics={"ai", "web"}, evidence=said)
                model = models[name]
                model.cadence, model.hour, model.zone = chosen["cadence"], chosen["hour"], chosen["zone"]
        news(database, "ai", "web", "games")
        compose(database, config, now)
        for model in models.values():
            own = schedule.own(model.cadence, model.hour, model.zone, plan)
            turns = schedule.turns(own, plan, now=now)
            model.look(turns, upto=day * 3, now=now)
    owed = dated_letters(database)
    assert {name: [due for _number, due in owed.get(name, [])] for name in names} == {
        name: [due for due, *_ in model.letters] for name, model in models.items()
    }
    with database.read() as session:
        told = session.exec(
            select(Subscription, Story.seq, Story.topic)
            .join(OutboxRow, OutboxRow.subscription_id == Subscription.id)
            .join(VariantStory, VariantStory.variant_id == OutboxRow.variant_id)
            .join(Story, Story.id == VariantStory.story_id)
        ).all()
        counted = Counter((s.id, seq) for s, seq, _topic in told)
        assert set(counted.values()) == {1}
        for subscription in session.exec(select(Subscription)):
            wanted = {
                seq
                for seq in range(1, subscription.read_until + 1)
                if not subscription.topics or ("games", "ai", "web")[seq % 3] in subscription.topics
            }
            assert {seq for s, seq, _ in told if s.id == subscription.id} == wanted
    assert sound(database)


def test_a_letter_waits_for_its_hour_and_goes_then_or_never(database, config, inbox, clock):
    join(database, "now")
    join(database, "noon", hour=12)
    join(database, "late", hour=23)
    news(database, "ai")
    clock.pass_(days=1)
    compose(database, config, clock())
    report = send(database, config, clock)
    assert (report.sent, report.owed) == (1, 2)
    assert report.left.hour == letters.Later(2, clock().replace(hour=23))
    clock.pass_(hours=5)
    assert send(database, config, clock).sent == 1 and inbox.recipients == ["now@example.org", "noon@example.org"]
    with database.write() as session:
        subscribe.remove(session, "late@example.org", newsletter="daily", evidence=Evidence("test", clock()))
    clock.pass_(hours=11)
    report = send(database, config, clock)
    assert (report.sent, report.dropped, report.owed) == (0, 1, 0)
    assert sound(database)


def test_why_tells_of_the_hour_and_the_day_that_a_story_waits_for(database, config):
    join(database, "evening", hour=20)
    join(database, "weekly", cadence="weekly mon", hour=7, zone="UTC")
    news(database, "ai")
    now = MONDAY + timedelta(days=1)
    compose(database, config, now)
    with database.read() as session:
        paper = newsletters.find(session, "daily")
        story = session.exec(select(Story)).one()
        why = {
            who: edition.explain_for(session, paper, story, f"{who}@example.org", now=now)
            for who in ("evening", "weekly")
        }
    assert why["evening"] == "in edition 1, as the lead; that letter is for 2026-11-24 20:00 UTC"
    assert why["weekly"] == "comes with her next letter: she wants weekly mon at 7:00 UTC"


def test_whoever_comes_back_waits_for_their_own_day(database, config):
    join(database, "weekly", cadence="weekly mon")
    news(database, "ai")
    compose(database, config, MONDAY + timedelta(days=7))
    with database.write() as session:
        said, later = (Evidence("test", MONDAY + timedelta(days=days)) for days in (8, 24))
        subscribe.pause(session, "weekly@example.org", newsletter="daily", until=None, evidence=said)
        subscribe.resume(session, "weekly@example.org", newsletter="daily", evidence=later)
    news(database, "ai")
    assert compose(database, config, MONDAY + timedelta(days=25)).letters == 0  # a Friday
    assert compose(database, config, MONDAY + timedelta(days=28)).letters == 1


def test_what_nothing_ran_for_goes_at_once_to_whose_hour_it_would_have_been(database, configure):
    """Down from 18:00 to 8:00 of the next day, between two of four editions; each reader's hour is in another."""
    config = configure(newsletters={"daily": NEWS | {"schedule": "daily 07:00,18:00"}})
    tuesday, thursday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=3)
    join(database, "night", hour=20)
    join(database, "noon", hour=12)
    for at in (tuesday, tuesday.replace(hour=18), tuesday + timedelta(days=1)):
        news(database, "ai", at=at)
        compose(database, config, at)
    before = dated_letters(database)
    news(database, "ai", at=thursday)
    compose(database, config, thursday + timedelta(hours=1))
    found = {
        name: [due for _number, due in theirs[len(before[name]) :]] for name, theirs in dated_letters(database).items()
    }
    assert found == {"night": [thursday + timedelta(hours=1)], "noon": [thursday.replace(hour=12)]}


@pytest.mark.parametrize(("schedule", "hour"), [("daily 07:00", 13), ("daily 07:00", None), ("", None)])
def test_what_nothing_ran_for_goes_to_who_had_come_before_it_and_had_no_day_of_theirs_yet(
    database, configure, schedule, hour
):
    """Down on all of a Thursday; who came while nothing ran missed no edition."""
    config = configure(newsletters={"daily": NEWS | {"schedule": schedule}})
    wednesday, thursday, friday = (MONDAY + timedelta(days=days) for days in (2, 3, 4))
    join(database, "before", now=wednesday - timedelta(hours=1), cadence="weekly thu", hour=hour)
    join(database, "all")
    news(database, "ai")
    assert compose(database, config, wednesday).letters == 1
    join(database, "meanwhile", now=thursday + timedelta(hours=1), cadence="weekly thu", hour=hour)
    news(database, "ai")
    compose(database, config, friday)
    late = friday.replace(hour=hour or friday.hour)
    assert dated_letters(database) == {"all": [(1, wednesday), (2, friday)], "before": [(2, late)]}


def test_what_nothing_ran_for_goes_to_who_came_the_day_before_and_wants_weekdays(database, configure):
    config = configure(newsletters={"daily": NEWS | {"schedule": "daily 07:00"}})
    thursday, saturday = MONDAY + timedelta(days=3), MONDAY + timedelta(days=5)
    join(database, "before", now=thursday - timedelta(hours=1), cadence="weekdays", hour=6)
    news(database, "ai")
    compose(database, config, thursday)
    before = dated_letters(database)
    join(database, "after", now=thursday + timedelta(hours=1), cadence="weekdays", hour=13)
    join(database, "late", now=saturday - timedelta(hours=1), cadence="weekdays", hour=13)
    news(database, "ai")
    compose(database, config, saturday)
    assert before == {"before": [(1, (thursday + timedelta(days=1)).replace(hour=6))]}
    assert dated_letters(database) == before | {"after": [(2, saturday)]}


def test_an_edition_closed_on_a_day_that_has_its_letter_comes_on_their_next_day_and_not_with_the_next(
    database, configure
):
    """Of a weekly newsletter: who had the last edition this morning, by their days of before, wants it daily."""
    config = configure(newsletters={"daily": NEWS | {"schedule": "weekly mon 12:00"}})
    first, second, third = (MONDAY.replace(hour=12) + timedelta(days=7 * week) for week in (1, 2, 3))
    join(database, "ada", cadence="fortnightly mon", hour=5)
    news(database, "ai")
    compose(database, config, first)
    said = Evidence("page", first + timedelta(days=1))
    with database.write() as session:
        subscribe.change(
            session, "ada@example.org", newsletter="daily", evidence=said, known_topics=(),
            choices={"cadence": "daily", "hour": 21},
        )  # fmt: skip
    for at in (second, third):
        news(database, "ai")
        compose(database, config, at)
    days = [second.replace(hour=5), second.replace(hour=21) + timedelta(days=1), third.replace(hour=21)]
    assert dated_letters(database) == {"ada": list(enumerate(days, 1))}


def test_a_day_whose_letter_a_restored_database_forgot_has_had_it_without_a_schedule(database, configure):
    config = configure(newsletters={"daily": NEWS | {"schedule": ""}})
    join(database, "ada", cadence="daily")
    news(database, "ai")
    assert compose(database, config, MONDAY).letters == 1
    with database.write() as session:
        session.exec(sa.delete(OutboxRow))  # `store.restores` keeps which slot of theirs it was
    news(database, "ai")
    assert compose(database, config, MONDAY + timedelta(hours=2)).letters == 0
    assert compose(database, config, MONDAY + timedelta(days=1)).letters == 1


@pytest.mark.long
@pytest.mark.parametrize("schedule", ["daily 07:00", ""])
def test_whoever_is_away_for_an_hour_has_no_second_letter_that_day(database, configure, schedule):
    config = configure(newsletters={"daily": NEWS | {"schedule": schedule}})
    wednesday = MONDAY + timedelta(days=2)
    join(database, "ada", cadence="daily", hour=7)
    join(database, "all")
    for hours in (0, 2, 4, 24):
        if hours:
            with database.write() as session:
                said = Evidence("page", wednesday + timedelta(hours=hours - 1))
                subscribe.pause(session, "ada@example.org", newsletter="daily", until=None, evidence=said)
                subscribe.resume(session, "ada@example.org", newsletter="daily", evidence=said)
                subscribe.change(
                    session, "ada@example.org", newsletter="daily", evidence=said, known_topics=(),
                    choices={"hour": 7 + hours % 24},
                )  # fmt: skip
        news(database, "ai", at=wednesday + timedelta(hours=hours))
        compose(database, config, wednesday + timedelta(hours=hours))
    due = [at for _number, at in dated_letters(database)["ada"]]
    assert due == [wednesday, wednesday + timedelta(days=1)]


def test_a_letter_is_late_from_its_own_hour_on(database, configure, inbox, clock):
    config = configure(newsletters={"daily": NEWS}, smtp={"url": inbox.url, "max_lateness_hours": 12})
    join(database, "late", hour=23)
    news(database, "ai")
    clock.pass_(days=1)
    compose(database, config, clock())
    clock.pass_(hours=20)  # composed 20 hours ago, due 4 hours ago
    report = send(database, config, clock)
    assert (report.sent, report.late) == (1, [])
    news(database, "ai")
    clock.now = MONDAY + timedelta(days=2)
    compose(database, config, clock())
    clock.pass_(hours=16 + 13)
    assert send(database, config, clock).late == [("daily", 2)]


def test_language_and_format_are_the_readers_own_and_one_mail_serves_all_alike(database, config, inbox, clock):
    join(database, "english")
    join(database, "german", language="de")
    join(database, "german2", language="de", hour=7)
    join(database, "text", plain=True)
    join(database, "pirate")
    with database.write() as session:  # as another release may have stored it
        subscribe.find(session, "pirate@example.org", "daily")[1].language = "ko"
    news(database, "ai")
    clock.pass_(days=1)
    assert compose(database, config, clock()).variants == 3
    assert send(database, config, clock).sent == 5
    mails = {m.recipient.split("@")[0]: message_from_bytes(m.content, policy=policy.default) for m in inbox.messages}
    german = mails["german"].get_body(("html",)).get_content()
    assert 'lang="de"' in german and "Dienstag" in german
    assert "Tuesday" in mails["pirate"].get_body(("html",)).get_content()
    assert mails["text"].get_content_type() == "text/plain" and "Story 1" in mails["text"].get_content()
    assert mails["english"].get_content_type() == "multipart/alternative"
    with database.read() as session:
        found = edition.shown(session, "daily", 1, email="german@example.org")
        assert "Dienstag" in found.rendered.text
        assert edition.shown(session, "daily", 1, email="english@example.org").rendered.text != found.rendered.text
        choices = recipients.choices_of(session, 1, "german@example.org")
        assert choices.language == "de" and not choices.plain


def test_readers_of_quiet_topics_share_a_mail_however_long_they_waited(database, config):
    for day in range(1, 4):
        join(database, f"r{day}", topics=["games"], now=MONDAY + timedelta(days=day))
        join(database, f"a{day}", now=MONDAY + timedelta(days=day))
        news(database, "ai")
        assert compose(database, config, MONDAY + timedelta(days=day)).number == day
    news(database, "games")
    done = compose(database, config, MONDAY + timedelta(days=4))
    assert (done.letters, done.variants) == (6, 2)


def test_what_is_prepared_is_used_only_while_it_is_true(database, config):
    join(database, "ada")
    news(database, "ai", "web")
    now = MONDAY + timedelta(days=1)
    press = edition.prepare(database, "daily", config, now=now)
    assert press is not None and len(press.made) == 1
    with database.read() as session:
        first = session.exec(select(Story.id).order_by(Story.seq)).first()
    with database.write() as session:
        edition.drop(session, "daily", first, dropped=True)
    with database.write() as session:
        assert edition.compose(session, "daily", config, now=now, press=press).stories == 1
    assert edition.prepare(database, "daily", config, now=now) is None  # it has been looked at
    with database.read() as session:
        assert [s.seq for s in edition_stories.stories_of(session, 1)] == [2]


def test_what_comes_while_mails_are_rendered_waits_for_the_next_edition(database, config):
    join(database, "ada")
    news(database, "ai")
    now = MONDAY + timedelta(days=1)
    press = edition.prepare(database, "daily", config, now=now)
    news(database, "web")
    with database.write() as session:
        assert edition.compose(session, "daily", config, now=now, press=press).stories == 1
    assert watermark(database, "ada") == 1
    assert compose(database, config, now + timedelta(days=1)).stories == 1
    assert watermark(database, "ada") == 2


def test_mails_of_those_whose_pause_ends_are_rendered_before_the_lock_too(database, config):
    now = MONDAY + timedelta(days=1)
    join(database, "ada")
    join(database, "bob", topics=["games"])
    with database.write() as session:
        subscribe.pause(session, "bob@example.org", newsletter="daily", until=now, evidence=Evidence("test", MONDAY))
    news(database, "ai", "games")
    press = edition.prepare(database, "daily", config, now=now)
    rendered = set(press.made)
    with database.write() as session:
        assert edition.compose(session, "daily", config, now=now, press=press).letters == 2
    assert set(press.made) == rendered


def test_mails_are_not_rendered_again_while_others_wait_for_the_lock(database, config):
    join(database, "ada")
    news(database, "ai", "web")
    now = MONDAY + timedelta(days=1)
    press = edition.prepare(database, "daily", config, now=now)
    edition.annotate(database, "daily", config, "A word.")
    with pytest.raises(Moved), database.write() as session:
        edition.compose(session, "daily", config, now=now, press=press, prepared=True)
    assert compose(database, config, now).letters == 1


def test_a_held_edition_is_made_anew_for_all_its_choices(database, configure):
    config = configure(newsletters={"daily": NEWS | {"approve": True, "editor": "ed@news.example"}})
    join(database, "ada")
    join(database, "eve", language="fr", topics=["ai"], hour=9)
    join(database, "bob", plain=True)
    news(database, "ai", "ai", "web")
    assert compose(database, config, MONDAY + timedelta(days=1)).variants == 3
    edition.annotate(database, "daily", config, "From the editor.", number=1)
    with database.read() as session:
        found = editions.variants(session, 1)
        assert all("From the editor." in variant.text for variant in found)
        assert sorted((v.language, v.plain, v.story_count) for v in found) == [
            ("", False, 3),
            ("", True, 3),
            ("fr", False, 2),
        ]
    assert sound(database)


def test_two_editors_change_a_held_edition_while_it_is_rendered_and_both_are_heard(database, configure, monkeypatch):
    config = configure(newsletters={"daily": NEWS | {"approve": True, "editor": "ed@news.example"}})
    join(database, "ada")
    join(database, "bob", topics=["web"])
    news(database, "ai", "ai", "web")
    compose(database, config, MONDAY + timedelta(days=1))
    with database.read() as session:
        first = session.exec(select(Story.id).order_by(Story.seq)).first()
    module = sys.modules["digest.edition.variants"]
    render, rendered = module.drafts, []

    def meanwhile(*args):
        if len(rendered) < 2:  # whoever writes does not wait for the mails
            with database.write() as session:
                edition.drop(session, "daily", first, dropped=True)
        rendered.append(args)
        return render(*args)

    monkeypatch.setattr(module, "drafts", meanwhile)
    edition.annotate(database, "daily", config, "From the editor.", number=1)
    with database.read() as session:
        assert sorted(story.seq for story in edition_stories.stories_of(session, 1)) == [2, 3]
        assert all("From the editor." in variant.text for variant in editions.variants(session, 1))
    assert sound(database)


# ---------------------------------------------------------------- joining


def watermark(database, name: str) -> int:
    with database.read() as session:
        return subscribe.find(session, f"{name}@example.org", "daily")[1].read_until


def test_who_joins_gets_the_latest_edition_made_for_choices_like_theirs(database, config, inbox, clock):
    join(database, "ada")
    join(database, "grace")
    join(database, "web", topics=["web"])
    news(database, "ai", "web")
    clock.pass_(days=1)
    compose(database, config, clock())
    join(database, "eve", welcome=True, now=clock())
    join(database, "bob", topics=["web"], welcome=True, now=clock())
    join(database, "cyd", topics=["games"], language="de", welcome=True, now=clock())
    assert edition.welcome(database, "daily", config, now=clock()) == 2
    assert edition.welcome(database, "daily", config, now=clock()) == 0
    assert send(database, config, clock).sent == 5
    assert [carried(database, who)[:3] for who in ("eve", "bob")] == [([], "", False), (["web"], "", False)]
    assert watermark(database, "eve") == 2 and sound(database)
    with database.read() as session:
        assert len(editions.variants(session, 1)) == 2, "those there were"
    news(database, "ai")
    clock.pass_(days=1)
    assert compose(database, config, clock()).variants == 1


def carried(database, who: str, number: int = 1) -> tuple:
    """What the letter of an edition was made for, and the seqs of its stories."""
    with database.read() as session:
        variant = editions.variant_of(session, number, f"{who}@example.org")
        seqs = session.exec(
            select(Story.seq).join(VariantStory).where(VariantStory.variant_id == variant.id).order_by(Story.seq)
        ).all()
        return variant.topics, variant.language, variant.plain, list(seqs)


def test_a_welcome_is_what_they_chose_and_nothing_else_counts_as_read(database, configure, clock):
    config = configure(newsletters={"daily": NEWS | {"min_stories": 2}})
    join(database, "web", topics=["web"])
    news(database, "web", "web")
    clock.pass_(days=1)
    assert compose(database, config, clock()).number == 1
    news(database, "web", "ai", "web", "games", "ai")
    clock.pass_(days=1)
    assert compose(database, config, clock()).number == 2
    join(database, "all", welcome=True, now=clock())
    join(database, "text", topics=["ai"], language="fr", plain=True, welcome=True, now=clock())
    join(database, "few", topics=["games"], welcome=True, now=clock())
    assert edition.welcome(database, "daily", config, now=clock()) == 2
    assert carried(database, "all", 2) == ([], "", False, [3, 4, 5, 6, 7])
    assert carried(database, "text", 2) == (["ai"], "fr", True, [4, 7])
    news(database, "games")
    clock.pass_(days=1)
    compose(database, config, clock())
    assert carried(database, "few", 3)[3] == [6, 8], "one story is no welcome, and is not lost"
    assert set(dated_letters(database)) == {"web", "all", "text", "few"} and sound(database)


def test_a_welcome_waits_for_nobody_who_left_or_chose_anew(database, config, clock, monkeypatch):
    join(database, "ada")
    news(database, "ai", "web")
    clock.pass_(days=1)
    compose(database, config, clock())
    for name in ("bob", "cyd", "dan", "eve"):
        join(database, name, topics=["ai"] if name == "dan" else [], welcome=True, now=clock())
    press = sys.modules["digest.edition.welcome"].Press
    render, rendered = press.make, []

    def make(self, wanted):
        if not rendered:
            with database.write() as session:
                subscribe.remove(session, "bob@example.org", newsletter="daily", evidence=Evidence("test", clock()))
                subscribe.change(
                    session,
                    "cyd@example.org",
                    newsletter="daily",
                    evidence=Evidence("page", clock()),
                    known_topics={"web"},
                    choices={"topics": ("web",), "plain": True},
                )
                subscribe.find(session, "dan@example.org", "daily")[1].topics = ["no more"]  # which is all, by default
        rendered.append(wanted)
        return render(self, wanted)

    monkeypatch.setattr(press, "make", make)
    assert edition.welcome(database, "daily", config, now=clock()) == 3
    assert carried(database, "cyd") == (["web"], "", True, [2])
    assert carried(database, "dan")[3] == carried(database, "eve")[3] == [1, 2]
    assert set(dated_letters(database)) == {"ada", "cyd", "dan", "eve"}


def test_what_comes_once_a_month_welcomes_for_a_month(database, configure):
    config = configure(newsletters={"daily": NEWS | {"schedule": "monthly 1 07:00"}})
    first = datetime(2026, 12, 1, 7, tzinfo=UTC)
    join(database, "ada")
    news(database, "ai")
    compose(database, config, first)
    for days, came in ((29, 1), (31, 0)):
        join(database, f"after{days}", welcome=True, now=first + timedelta(days=days))
        assert edition.welcome(database, "daily", config, now=first + timedelta(days=days)) == came


@pytest.mark.long
@pytest.mark.parametrize(
    ("hour", "first"), [(5, MONDAY + timedelta(days=14, hours=-2)), (8, MONDAY + timedelta(days=7, hours=1))]
)
def test_who_joins_after_their_hour_of_the_week_and_was_welcomed_waits_for_the_next(database, config, hour, first):
    sunday = MONDAY + timedelta(days=6)
    join(database, "ada", now=sunday)
    news(database, "ai", at=sunday)
    compose(database, config, sunday)
    early = sunday + timedelta(hours=23)
    join(database, "eve", cadence="weekly mon", hour=hour, welcome=True, now=early)
    assert edition.welcome(database, "daily", config, now=early) == 1
    for day in range(8):
        news(database, "ai", at=early)
        compose(database, config, sunday + timedelta(days=1 + day))
    assert [due for _number, due in dated_letters(database)["eve"]][:2] == [early, first]


def test_who_widens_their_topics_gets_the_last_edition_s_and_no_years(database, config):
    for who, topics in (("quiet", ["games"]), ("narrow", ["ai"]), ("all", []), ("weekly", ["games"])):
        join(database, who, topics=topics, cadence="weekly mon" if who == "weekly" else "")
    for day in range(1, 5):
        news(database, "ai", "web", *(["games"] if day == 1 else []))
        compose(database, config, MONDAY + timedelta(days=day))
    now = MONDAY + timedelta(days=4, hours=1)

    def choose(who: str, *topics: str) -> None:
        with database.write() as session:
            subscribe.change(
                session,
                f"{who}@example.org",
                newsletter="daily",
                evidence=Evidence("page", now),
                known_topics={"ai", "web", "games"},
                choices={"topics": topics},
            )

    choose("quiet")
    choose("narrow", "ai", "web")
    choose("all", "web")
    choose("weekly", "games", "web")
    news(database, "ai", "web")
    compose(database, config, MONDAY + timedelta(days=5))
    assert carried(database, "quiet", 5)[3] == [8, 9, 10, 11], "those of the last edition, and the new ones"
    assert carried(database, "narrow", 5)[3] == [10, 11] and carried(database, "all", 5)[3] == [11]
    compose(database, config, MONDAY + timedelta(days=7))
    assert carried(database, "weekly", 6)[3] == [3, 9, 11], "and what they had chosen before is not lost"


@pytest.mark.long
def test_whoever_widens_topics_for_many_or_by_a_list_opens_no_years_either(database, config):
    for who in ("one", "two", "three", "four"):
        join(database, who, topics=["ai"] if who == "four" else ["games"])
    for day in range(1, 5):
        news(database, "ai", "web", *(["games"] if day == 1 else []))
        compose(database, config, MONDAY + timedelta(days=day))
    said, known = Evidence("command line", MONDAY + timedelta(days=4)), frozenset({"ai", "web", "games"})
    many.each(
        database,
        many.choose(
            subscribe.search(where=["address~one"], newsletter="daily"),
            {"topics": ("games", "web")},
            known_topics=known,
            evidence=said,
        ),
    )

    def take(line: str) -> int:
        terms = Terms(
            name="list.csv", now=said.at, known_topics=known, secret="k" * 30, vouched_by="Abe", update={"topics"}
        )
        content = f"email,topics\n{line}\n".encode()
        return subscribe.import_csv(database, io.BytesIO(content), terms, newsletter="daily").number

    take('two@example.org,"games,web"')
    number = take('three@example.org,"web"')
    import_log.undo(database, number, evidence=said)
    assert subscribe_row(database, "three").topics == ["games"]
    news(database, "games", "web")
    compose(database, config, MONDAY + timedelta(days=5))
    for who in ("one", "two"):
        assert len(carried(database, who, 5)[3]) == 3, "that of the last edition, and the new ones"


@pytest.mark.long
def test_widening_again_and_again_counts_each_topic_from_its_own_day_on(database, configure, clock):
    config = configure(newsletters={"daily": NEWS | {"approve": True, "editor": "ed@news.example"}})
    join(database, "ada", topics=["games"], cadence="monthly 1")
    join(database, "all")
    choices = {2: ("games", "web"), 4: (), 5: ("games", "ai"), 6: ()}
    for day in range(1, 9):  # each day a story of games (1, 4, …), ai (2, 5, …) and web (3, 6, …)
        news(database, "games", "ai", "web")
        compose(database, config, MONDAY + timedelta(days=day))
        if day in choices:
            with database.write() as session:
                subscribe.change(
                    session,
                    "ada@example.org",
                    newsletter="daily",
                    evidence=Evidence("page", clock()),
                    known_topics={"ai", "web", "games"},
                    choices={"topics": choices[day]},
                )
    # The first of December is day 8: games from the beginning, web from the 2nd day, all from the 4th, web anew from
    # the 6th, since they had taken it back.
    games, ai, web = range(1, 25, 3), range(11, 25, 3), range(18, 25, 3)
    expected = sorted([*games, *ai, *web])
    assert carried(database, "ada", 8)[3] == expected
    edition.annotate(database, "daily", config, "A word.", number=8)
    assert carried(database, "ada", 8)[3] == expected, "held, and made anew"
    with database.read() as session:
        paper = newsletters.find(session, "daily")
        told = {
            seq: edition.explain_for(
                session,
                paper,
                session.exec(select(Story).where(Story.seq == seq)).one(),
                "ada@example.org",
                now=clock(),
            )
            for seq in (5, 11)
        }
    assert "before she chose its topic" in told[5] and "in edition 8" in told[11]
    assert subscribe_row(database, "ada").chosen_from == {} and sound(database)


def subscribe_row(database, name: str) -> Subscription:
    with database.read() as session:
        return subscribe.find(session, f"{name}@example.org", "daily")[1]


def test_no_welcome_with_an_edition_that_is_old_held_or_had_before(database, config, clock):
    join(database, "ada")
    news(database, "ai")
    clock.pass_(days=1)
    join(database, "first", welcome=True, now=clock())  # there is none yet
    edition.welcome(database, "daily", config, now=clock())
    compose(database, config, clock())
    with database.write() as session:
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=Evidence("test", clock()))
    join(database, "ada", again=True, welcome=True, now=clock())
    edition.welcome(database, "daily", config, now=clock())
    with database.write() as session:
        edition_states.set_state(session, 1, "paused", "test")
    join(database, "bob", welcome=True, now=clock())
    edition.welcome(database, "daily", config, now=clock())
    with database.write() as session:
        edition_states.set_state(session, 1, "open", "")
    join(database, "cyd", welcome=True, now=clock() + timedelta(days=8))
    edition.welcome(database, "daily", config, now=clock() + timedelta(days=8))
    assert set(states(database)) == {"ada@example.org", "first@example.org"}


# ---------------------------------------------------------------- choosing


HOW = {"known_topics": {"ai"}, "evidence": Evidence("web", MONDAY, ip="192.0.2.7")}


def test_choosing_all_is_kept_told_and_done_once(database):
    join(database, "ada")
    chosen = Preferences(("ai",), "weekly Monday", 7, "Asia/Tokyo", "DE", plain=True)
    with database.write() as session:
        person, subscription = subscribe.find(session, "ada@example.org", "daily")
        assert subscribe.choose_all(session, subscription.id, chosen, **HOW)
    with database.write() as session:
        assert not subscribe.choose_all(session, subscription.id, chosen, **HOW)
        (standing,) = history.standings(session, person)
        moment = history.moments(session, person)[-1]
        assert (standing.cadence, standing.hour, standing.zone) == ("weekly mon", 7, "Asia/Tokyo")
        assert (standing.language, standing.format, standing.topics) == ("de", "text", ("ai",))
        assert (moment.event, moment.ip) == ("chose", "192.0.2.7")
        assert moment.detail == "topics ai, weekly mon, at 7:00, zone Asia/Tokyo, language de, as text"
        assert subscribe.choose_all(session, subscription.id, Preferences(), **HOW)
        (standing,) = history.standings(session, person)
        assert (standing.cadence, standing.hour, standing.zone, standing.format) == ("", None, "", "html")
        with pytest.raises(NotFound):
            subscribe.choose_all(session, 4711, Preferences(), **HOW)


def test_whatever_can_be_chosen_can_be_changed():
    assert subscribe.Changes.__annotations__.keys() == Preferences.__annotations__.keys()
    assert all(hasattr(Subscription, choice) for choice in Preferences.__annotations__)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"topics": ["cats"]}, "no topic 'cats'"),
        ({"cadence": "hourly"}, "not a cadence"),
        ({"hour": 24}, "not an hour"),
        ({"hour": -1}, "not an hour"),
        ({"zone": "Mars/Olympus"}, "not a time zone"),
        ({"zone": "../../etc/passwd"}, "not a time zone"),
        ({"language": "xx"}, "not a language"),
        ({"language": "en\r\nBcc: x"}, "not a language"),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_the_same_words_by_every_way_in(database, choice, words):
    join(database, "ada")
    said = set()
    with database.write() as session:
        _person, subscription = subscribe.find(session, "ada@example.org", "daily")
        for choose in (
            lambda: subscribe.choose_all(session, subscription.id, preferences(**choice), **HOW),
            lambda: subscribe.change(session, "ada@example.org", newsletter="daily", choices=choice, **HOW),
            lambda: enrol(session, "eve@example.org", known_topics={"ai"}, **choice),
        ):
            with pytest.raises(BadInput, match=words) as refused:
                choose()
            said.add((str(refused.value), refused.value.hint))
    assert len(said) == 1


def test_who_returns_keeps_what_they_do_not_choose_anew(database):
    join(database, "ada", topics=["ai"], hour=7, zone="Asia/Tokyo", plain=True)
    with database.write() as session:
        subscribe.remove(session, "ada@example.org", newsletter="daily", evidence=Evidence("test", MONDAY))
    join(database, "ada", again=True, topics=["web"], hour=0)
    with database.read() as session:
        (now,) = history.standings(session, subscribe.known(session, "ada@example.org"))
    assert (now.topics, now.hour, now.zone, now.format) == (("web",), 0, "Asia/Tokyo", "text")


def test_a_newsletter_without_a_schedule_sends_at_the_run_that_comes_upon_the_hour(database, configure):
    config = configure()
    join(database, "now")
    join(database, "noon", hour=12)
    news(database, "ai")
    assert compose(database, config, MONDAY.replace(hour=11)).letters == 1
    news(database, "ai")
    for minute in (5, 59):  # cron comes more often than they can choose
        done = compose(database, config, MONDAY.replace(hour=11, minute=minute))
        assert (done.number, "not before 12:00 UTC" in done.why) == (0, True)
    assert compose(database, config, MONDAY.replace(hour=12, minute=10)).letters == 2
    news(database, "ai")
    assert compose(database, config, MONDAY.replace(hour=13)).letters == 1
    with database.read() as session:
        counts = {
            v.since_seq: v.story_count for v in session.exec(select(Variant).join(Edition).where(Edition.number == 2))
        }
        assert counts == {0: 2, 1: 1}
        assert [e.stories for e in archive.editions(session, 1)] == [1, 2, 1], "whole, not the piece of a run"


def test_without_a_schedule_the_first_run_of_their_day_that_has_something_is_theirs(database, configure):
    config = configure()
    midnight = MONDAY.replace(hour=0) + timedelta(days=1)
    join(database, "all")
    join(database, "daily", cadence="daily")
    join(database, "weekly", cadence="weekly tue")
    join(database, "games", cadence="daily", topics=["games"])
    assert compose(database, config, midnight).letters == 0
    news(database, "ai")
    assert compose(database, config, midnight + timedelta(hours=8)).letters == 3
    news(database, "games")
    assert compose(database, config, midnight + timedelta(hours=9)).letters == 2
    assert {name: [number for number, _ in theirs] for name, theirs in dated_letters(database).items()} == {
        "all": [1, 2],
        "daily": [1],
        "weekly": [1],
        "games": [2],
    }


@pytest.mark.parametrize("word", ["leave", "choose", "erase"])
def test_a_click_and_a_composition_at_once_wait_for_each_other_on_postgres(upgraded_postgres_url, config, word):
    database = open_database(upgraded_postgres_url)
    newsletters.keep(database, config.newsletters, now=MONDAY)
    join(database, "ada", cadence="weekly tue")
    join(database, "bob")
    news(database, "ai", "web")
    with database.read() as session:
        ada = session.exec(select(Subscription.id).join(Subscriber).where(Subscriber.key == "ada@example.org")).one()

    def say(session) -> None:
        if word == "leave":
            subscribe.leave(session, ada, evidence=Evidence("link", MONDAY))
        elif word == "erase":
            subscribe.erase(session, "ada@example.org", secret=SECRET, now=MONDAY)
        else:
            chosen = preferences(topics=["ai"], cadence="weekly tue", language="fr", plain=True)
            said = Evidence("page", MONDAY)
            subscribe.choose_all(session, ada, chosen, known_topics={"ai", "web"}, evidence=said)

    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            if word == "erase":
                say(session)
            else:
                people.subscription_by_id(session, ada, lock=True)
            composing = other.submit(compose, database, config, MONDAY + timedelta(days=1))
            wait_until_somebody_waits(database)
            if word != "erase":
                say(session)
        assert composing.result().letters == (2 if word == "choose" else 1)
    assert set(dated_letters(database)) == ({"ada", "bob"} if word == "choose" else {"bob"})
    database.close()


def test_nobody_changes_between_two_looks_of_a_composition_on_postgres(upgraded_postgres_url, config, monkeypatch):
    database = open_database(upgraded_postgres_url)
    newsletters.keep(database, config.newsletters, now=MONDAY)
    join(database, "ada", cadence="weekly tue")
    join(database, "bob")
    news(database, "ai", "web")
    groups, clicks = recipients.due_groups, []

    def change() -> None:
        with database.write() as session:
            choices = {"language": "fr", "cadence": "daily"}
            subscribe.change(
                session,
                "ada@example.org",
                newsletter="daily",
                evidence=Evidence("page", MONDAY),
                known_topics=(),
                choices=choices,
            )

    def looked(session, newsletter_id):
        found = groups(session, newsletter_id)
        clicks.append(other.submit(change))
        wait_until_somebody_waits(database)
        return found

    now = MONDAY + timedelta(days=1)
    press = edition.prepare(database, "daily", config, now=now)
    monkeypatch.setattr(recipients, "due_groups", looked)
    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            assert edition.compose(session, "daily", config, now=now, press=press).letters == 2
        (click,) = clicks
        click.result()
    assert set(dated_letters(database)) == {"ada", "bob"}
    database.close()


def test_a_pause_that_two_end_at_once_ends_once_on_postgres(upgraded_postgres_url, config):
    database = open_database(upgraded_postgres_url)
    newsletters.keep(database, config.newsletters, now=MONDAY)
    join(database, "ada")
    over = MONDAY + timedelta(days=1)
    with database.write() as session:
        subscribe.pause(session, "ada@example.org", newsletter="daily", until=over, evidence=Evidence("page", MONDAY))

    def end() -> int:
        with database.write() as session:
            return pauses.end_pauses(session, now=over)

    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            assert pauses.end_pauses(session, now=over) == 1
            second = other.submit(end)
            wait_until_somebody_waits(database)
        assert second.result() == 0
    with database.read() as session:
        events = [moment.event for moment in history.moments(session, people.find(session, "ada@example.org"))]
    assert events == ["subscribed", "paused", "resumed"]
    database.close()


@pytest.mark.parametrize("slots", [schedule.parse("daily 07:00 Europe/Berlin"), None])
def test_who_had_a_letter_since_a_rare_day_missed_none_by_another_hour_zone_or_cadence(slots):
    welcomed, saturday = datetime(2026, 3, 9, 12, tzinfo=UTC), datetime(2026, 3, 14, 6, tzinfo=UTC)
    had = schedule.own("monthly 31", None, "", slots).counts_for(welcomed)

    def turn(cadence: str, hour: int | None, zone: str) -> Turn | None:
        own = schedule.own(cadence, hour, zone, slots)
        if slots:
            return mine(schedule.turns(own, slots, now=saturday), had)
        since = saturday - timedelta(hours=6)
        return mine(schedule.turns_of_run(own, hour=hour is not None, since=since, now=saturday), had)

    for zone in ("", "Pacific/Pago_Pago", "Asia/Tehran", "America/New_York"):
        assert turn("monthly 31", None, zone) is None
        assert turn("monthly 31", 21, zone) is None
        assert turn("weekly sun", None, zone) is None, "that was on the day before they were welcomed"
    late = turn("weekly fri", None, "")
    assert late is not None and late.due_at == saturday, "yesterday, and they had nothing since"
    assert late.slot > saturday - timedelta(days=1), "and it counts for today"
