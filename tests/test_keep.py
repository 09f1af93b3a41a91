"""What is let go of after a while: sums still add up, nobody gets anything twice, and what is asked is answered."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
import releases
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from hypothesis import given, settings
from hypothesis import strategies as st
from mailing import PEOPLE, notice, owe, readers, sound
from sqlmodel import Session, col, select

from digest import edition, subscribe
from digest.config.keep import Keep
from digest.curate import urls
from digest.errors import NotFound
from digest.models import (
    Edition,
    EditionState,
    Feed,
    Notice,
    OutboxRow,
    OutboxState,
    Subscriber,
    Subscription,
    SubscriptionState,
    Variant,
)
from digest.parse import gist
from digest.store import (
    Database,
    archive,
    edition_states,
    editions,
    entries,
    feed_entries,
    feeds,
    finding,
    history,
    keeping,
    letters,
    newsletters,
    open_database,
    outbox,
    pages,
    reports,
    rolls,
    schema,
    soundness,
)
from digest.store import (
    clock as room,
)
from digest.store.keep_tables import LetterRoll, Pruning
from digest.store.kept import Kind
from digest.store.mail_tables import MailReport
from digest.store.rolls import Rolled
from digest.store.run_tables import RunDay
from digest.store.story_tables import Admission, Decision, Entry, Story, VariantStory

DAY = timedelta(days=1)
LATER = MONDAY + 400 * DAY
ALL = keeping.Terms(dict.fromkeys(Kind, 60), rows=7)  # steps are small, so that there are several


PER_FEED = 8
GISTS = 4
GIST = gist.pack(gist.of("<p>Summary</p>", "<p>Text</p>"))


@pytest.fixture(autouse=True)
def fewer_entries_per_feed(monkeypatch):
    monkeypatch.setattr("digest.store.pruning_entries.PER_FEED", PER_FEED)
    monkeypatch.setattr("digest.store.pruning_entries.GISTS", GISTS)
    monkeypatch.setattr("digest.store.tenure.GAP_S", 0)
    monkeypatch.setattr("digest.store.keeping._MOMENT", 1e9)


def lived(database: Database, first: datetime = MONDAY, *, days: int = 401) -> None:
    """Digest ran on each of these days."""
    with database.write() as session:
        days_ = [{"day": room.utc_day(first) + n * DAY} for n in range(days)]
        session.connection().execute(sa.insert(RunDay), days_)


def prune(database: Database, terms: keeping.Terms = ALL, *, now: datetime = LATER, **options) -> keeping.Pruned:
    return keeping.prune(database, terms, clock=lambda: now, whole=True, **options)


def sent(database: Database, config, *emails: str, number: int = 5) -> None:
    """So many editions, all of whose letters were taken at once."""
    owe(database, config, *(emails or PEOPLE))
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        first, variant = session.exec(select(Edition)).one(), session.exec(select(Variant)).one()
        letters_ = [one.model_dump(exclude={"id"}) for one in session.exec(select(OutboxRow))]
        for _ in range(number - 1):
            paper.edition_number += 1
            again = Edition(**first.model_dump(exclude={"id"}) | {"number": paper.edition_number})
            session.add(again)
            session.flush()
            same = Variant(**variant.model_dump(exclude={"id"}) | {"edition_id": again.id})
            session.add(same)
            session.flush()
            of_it = {"edition_id": again.id, "variant_id": same.id}
            session.connection().execute(sa.insert(OutboxRow), [one | of_it for one in letters_])
    with database.write() as session:
        taken = {"state": OutboxState.SENT, "settled_at": MONDAY + DAY / 24, "tried_at": MONDAY, "attempts": 1}
        session.execute(sa.update(OutboxRow).values(**taken, code=250, reply="2.0.0 Ok"))


def rows(session: Session, table) -> int:
    return session.exec(select(sa.func.count()).select_from(table)).one()


# ---------------------------------------------------------------- rolls


NUMBERS = st.integers(0, 2**40)


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(Rolled, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2), st.integers(-9, 10**6), NUMBERS, NUMBERS),
        min_size=1,
    )
)
def test_what_is_rolled_is_read_again_as_it_was(letters):
    assert rolls.unpacked(rolls.packed(letters)) == letters
    nobody = 1 + max(one.subscription for one in letters)
    whom = {letters[0].subscription, nobody}
    assert rolls.of_whom(rolls.packed(letters), whom) == [one for one in letters if one.subscription in whom]
    assert rolls.of_whom(rolls.packed(letters), {nobody}) == []


def test_a_letter_in_a_roll_takes_few_bytes():
    chance = random.Random(1)
    letters_ = [Rolled(10**6 + n, n + 1, 90_000 + n // 25, 0, chance.randint(0, 30), 250, 0) for n in range(5000)]
    assert len(rolls.packed(letters_)) < 5 * len(letters_)


def test_settled_editions_are_rolled_and_their_sums_still_proven(database, config):
    sent(database, config)
    lived(database)
    done = prune(database)
    assert done.rows["letters"] == 6
    with database.read() as session:
        assert rows(session, OutboxRow) == 9  # of the latest three editions
        found = edition_states.accounts(session)
        assert [(one.owed, one.sent, one.wrong) for one in found[:5]] == [(3, 3, ())] * 5
        assert editions.letter_counts(session) == {"sent": 15}
        (thorough,) = edition_states.accounts(session, newsletters=["daily"], number=1)
        assert thorough.adds_up


@pytest.mark.parametrize("harm", ["a letter lost", "a sum changed", "a roll lost", "owed once more"])
@on_sqlite
def test_the_audit_finds_whatever_is_done_to_a_roll(database, config, harm):
    sent(database, config)
    lived(database)
    prune(database)
    with database.write() as session:
        roll = session.exec(select(LetterRoll).where(LetterRoll.edition_id == 1)).one()
        match harm:
            case "a letter lost":
                roll.content = rolls.packed(rolls.unpacked(roll.content)[:-1])
            case "a sum changed":
                roll.sent, roll.refused = roll.sent - 1, roll.refused + 1
            case "a roll lost":
                session.delete(roll)
            case "owed once more":
                first = rolls.unpacked(roll.content)[0]
                whose = {"subscription_id": first.subscription, "variant_id": first.variant}
                session.add(OutboxRow(edition_id=1, subscriber_id=1, due_at=MONDAY, created_at=MONDAY, **whose))
        session.flush()
    with database.read() as session:
        (account,) = edition_states.accounts(session, newsletters=["daily"], number=1)
        assert not account.adds_up
        assert [one.number for one in edition_states.accounts(session) if not one.adds_up] == [1]


@pytest.mark.parametrize("state", [OutboxState.OWED, OutboxState.HELD, OutboxState.SENDING])
@on_sqlite
def test_an_edition_with_a_letter_that_has_not_ended_stays_whole(database, config, state):
    sent(database, config)
    lived(database)
    with database.write() as session:
        ended = None if state is not OutboxState.HELD else MONDAY
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.id) == 2).values(state=state, settled_at=ended))
    done = prune(database)
    assert done.held["mails"]["letters are owed, or held for somebody to decide"]
    with database.read() as session:
        assert session.get_one(Variant, 1).html
        assert not session.get_one(Edition, 1).pruned
        assert session.get_one(Edition, 2).pruned
        assert session.exec(select(sa.func.count()).where(OutboxRow.edition_id == 1)).one() == 3


@on_sqlite
def test_an_edition_that_is_held_or_does_not_add_up_is_left_as_it_is(database, config):
    sent(database, config)
    lived(database)
    with database.write() as session:
        session.get_one(Edition, 1).state = EditionState.HELD
        session.execute(sa.delete(OutboxRow).where(col(OutboxRow.edition_id) == 2, col(OutboxRow.subscriber_id) == 1))
    prune(database)
    with database.read() as session:
        assert rows(session, LetterRoll) == 0
        assert [one.number for one in edition_states.accounts(session) if not one.adds_up] == [2]


def test_a_bounce_that_comes_late_finds_its_letter_and_its_reader(database, config):
    sent(database, config)
    lived(database)
    with database.read() as session:
        before = {id_: reports.letter(session, id_) for id_ in range(1, 7)}
    prune(database)
    with database.read() as session:
        for id_, one in before.items():
            now = reports.letter(session, id_)
            assert replace(now, rolled=False, at=one.at) == one
            assert now.rolled
            assert abs(now.at - one.at) < timedelta(minutes=1)
        assert reports.letter(session, 99) is None
        assert reports.letter_of(session, before[2].subscription_id, ("daily", 1)).id == 2
        assert reports.letter_of(session, before[2].subscription_id, None).id > 6


def test_readers_are_told_what_they_were_sent_also_of_rolls(database, config, monkeypatch):
    sent(database, config)
    lived(database)
    with database.read() as session:
        person = session.exec(select(Subscriber).where(Subscriber.email == PEOPLE[0])).one()
        before = [(one.edition, one.subject, one.state) for one in history.posts(session, person)]
        page = finding.letters(session, 1)
        assert page.older is None
    prune(database)
    with database.read() as session:
        assert finding.letters(session, 1) == page
        assert finding.letters(session, 1, before=5, limit=3).found == page.found[1:4]
        # So many rolls are looked through for one page; who asks goes on from there.
        monkeypatch.setattr(rolls, "LOOKED", 1)
        found, older, pages = [], None, 0
        while pages == 0 or older is not None:
            some, older = finding.letters(session, 1, before=older)
            found, pages = found + some, pages + 1
        assert found == page.found and pages > 1
        person = session.get_one(Subscriber, person.id)
        posts = history.posts(session, person)
        assert sorted((one.edition, one.subject, one.state) for one in posts) == sorted(before)
    with database.write() as session:
        subscribe.erase(session, PEOPLE[0], secret="s" * 32, now=LATER)
    with database.read() as session:
        assert reports.letter(session, 1).email == ""
        assert reports.letter(session, 1).subscriber_id is None
        assert sound_in(session)


def sound_in(session: Session) -> bool:
    return all(one.adds_up for one in edition_states.accounts(session))


def test_none_of_a_pruned_edition_is_owed_again(database, config):
    sent(database, config)
    lived(database)
    with database.write() as session:
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.id) == 2).values(state=OutboxState.REFUSED, code=550))
    prune(database, keeping.Terms({Kind.MAILS: 60}))
    again = (OutboxState.REFUSED, OutboxState.HELD)
    with database.write() as session:
        assert letters.owe_again(session, letter_ids=[2], states=again, now=LATER) == 0
        assert letters.owe_again(session, edition_id=1, states=again, now=LATER) == 0
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.id) == 15).values(state=OutboxState.REFUSED))
        assert letters.owe_again(session, letter_ids=[15], states=again, now=LATER) == 1


def test_the_archive_keeps_its_mail_and_links_in_letters_lead_to_it(database, config):
    sent(database, config)
    with database.write() as session:
        known = session.get_one(Variant, 1)
        values = known.model_dump(exclude={"id"}) | {"key": "few", "topics": ["ai"], "letters": 0}
        session.add(Variant(**values | {"html": "<p>Only hers</p>", "story_count": 9}))
    lived(database)
    prune(database)
    with database.read() as session:
        ours = select(Variant).where(Variant.edition_id == 1).order_by(col(Variant.id))
        assert [bool(one.html) for one in session.exec(ours)] == [True, False]
        shown = archive.variant_in_browser(session, "daily", 1, "few")
        assert shown.html == archive.variant_in_browser(session, "daily", 1, "all").html
        assert edition.shown(session, "daily", 1).rendered.html == shown.html
        roll = session.exec(select(LetterRoll).where(LetterRoll.edition_id == 1)).one()
        (few,) = session.exec(select(Variant.id).where(Variant.key == "few"))
        roll.content = rolls.packed([one._replace(variant=few) for one in rolls.unpacked(roll.content)])
        with pytest.raises(NotFound, match="pruned"):
            edition.shown(session, "daily", 1, email=PEOPLE[0])


@on_sqlite
def test_troubles_of_a_reader_count_from_the_last_letter_that_arrived_also_of_rolls(database, config):
    sent(database, config, PEOPLE[0])
    lived(database)
    long_ago = {"source": "s", "kind": "soft", "act": "none", "proof": "verp", "subscriber_id": 1}
    with database.write() as session:
        for number, at in (("a", MONDAY - 9 * DAY), ("b", MONDAY - 8 * DAY), ("c", LATER - DAY)):
            session.add(MailReport(hash=number, read_at=at, written_at=at, **long_ago))
        session.execute(sa.delete(OutboxRow).where(col(OutboxRow.edition_id) > 2))
    with database.read() as session:
        before = reports.known(session, 1, now=LATER, arrived=5 * DAY)
    with database.write() as session:
        for number in (3, 4, 5):
            session.execute(sa.update(Variant).where(col(Variant.edition_id) == number).values(letters=0))
    prune(database)
    with database.read() as session:
        assert rows(session, OutboxRow) == 0
        after = reports.known(session, 1, now=LATER, arrived=5 * DAY)
        assert len(after.troubles) == len(before.troubles) == 1


# ---------------------------------------------------------------- clocks, kills, company


@on_sqlite
def test_a_clock_that_leaps_a_year_ahead_prunes_nothing_early(database, config):
    sent(database, config)
    lived(database, days=20)
    for days in (1, 2, 5):  # it says so for some days before somebody sees it
        leapt = MONDAY + 400 * DAY + days * DAY
        lived(database, leapt, days=1)
        assert not sum(prune(database, now=leapt).rows.values())
    with database.read() as session:
        assert rows(session, OutboxRow) == 15


def test_age_is_counted_by_days_that_were_lived(database):
    lived(database, days=30)
    with database.read() as session:

        def before(days: int, now: datetime) -> datetime | None:
            return room.lived_before(session, days=days, now=now)

        today = MONDAY + 29 * DAY
        assert before(10, today) == room.utc_day(MONDAY + 19 * DAY)
        assert before(30, today) is None
        assert before(10, today + 365 * DAY) == room.utc_day(MONDAY + 20 * DAY)  # the leap counts as a day
        assert before(10, MONDAY + 5 * DAY) is None


@on_sqlite
def test_who_works_once_a_week_grows_older_by_weeks(database):
    with database.write() as session:
        weeks = [{"day": room.utc_day(MONDAY) + n * 7 * DAY} for n in range(13)]
        session.connection().execute(sa.insert(RunDay), weeks)
    with database.read() as session:
        assert room.lived_before(session, days=60, now=MONDAY + 84 * DAY) == room.utc_day(MONDAY)


@pytest.mark.parametrize("leap", [2, 7, 40, 400])
@on_sqlite
def test_a_clock_that_leaps_ahead_makes_nothing_older_before_somebody_sees_it(database, leap):
    lived(database, days=30)
    for days in range(3):
        leapt = MONDAY + (29 + leap + days) * DAY
        lived(database, leapt, days=1)
        with database.read() as session:
            aged = room.lived_before(session, days=10, now=leapt)
            assert aged == room.utc_day(MONDAY + (19 + days + 1) * DAY)


@on_sqlite
def test_what_was_stored_by_a_clock_that_was_behind_is_as_young_as_what_came_before_it(database, config):
    """Entries, editions and mails that came today with a date of last year."""
    sent(database, config)
    told(database, PER_FEED + 10)
    notice(database, "bob@example.org")
    with database.write() as session:
        session.execute(sa.update(OutboxRow).values(state=OutboxState.SENT, settled_at=MONDAY))
        session.add(MailReport(hash="1", source="s", read_at=LATER, kind="hard", act="none"))
        session.add(MailReport(hash="2", source="s", read_at=MONDAY, kind="hard", act="none"))
        session.execute(sa.update(Entry).where(col(Entry.id) == 4).values(seen_at=LATER))
        session.execute(sa.update(Edition).where(col(Edition.id) == 1).values(composed_at=LATER))
        first = Notice(key="0", email="c@d.example", address="c@d.example", sender="a@b.example", subject="", text="")
        first.id, first.created_at = -1, LATER
        session.add(first)
    lived(database)
    done = prune(database)
    assert {kind: rows for kind, rows in done.rows.items() if rows} == {"texts": 3, "entries": 3}


class Killed(BaseException):
    pass


@on_sqlite
def test_killed_after_any_statement_it_leaves_all_sums_right_and_the_next_one_goes_on(database, config):
    sent(database, config)
    told(database, PER_FEED + 10)
    lived(database)
    left = 25
    while True:
        count = 0

        def strike(*_: object) -> None:
            nonlocal count
            count += 1
            if count > left:  # noqa: B023
                raise Killed

        sa.event.listen(database.engine, "before_cursor_execute", strike)
        try:
            done = prune(database)
        except Killed:
            done = None
        finally:
            sa.event.remove(database.engine, "before_cursor_execute", strike)
        assert sound(database)
        with database.read() as session:
            every = session.exec(select(OutboxRow.id)).all()
            rolled = [one.id for row in session.exec(select(LetterRoll)) for one in rolls.unpacked(row.content)]
            assert sorted([*every, *rolled]) == list(range(1, 16))
            assert not waiting(session)
        if done is not None:
            break
        left += 40
    assert done.finished


@on_sqlite
def test_it_is_broken_off_between_two_steps_and_goes_on_from_there(database, config):
    sent(database, config, *(f"reader{n}@example.org" for n in range(20)))
    lived(database)
    steps = []
    first = prune(database, tell=steps.append, stop=lambda: len(steps) >= 4)
    assert not first.finished
    with database.read() as session:
        between = rows(session, OutboxRow)
        assert 60 < between < 100
    assert sound(database)
    assert prune(database).rows["letters"] == between - 60


def test_two_at_once_do_it_once(database, config):
    sent(database, config)
    told(database, PER_FEED + 10)
    lived(database)

    turns = iter(range(100))

    def other(_done: keeping.Pruned) -> None:
        if next(turns) % 3 == 1:
            keeping.prune(database, replace(ALL, rows=2), clock=lambda: LATER, whole=True)

    prune(database, tell=other)
    assert sound(database)
    with database.read() as session:
        assert sum(row.letters for row in session.exec(select(LetterRoll))) == 6
        assert not waiting(session)


@on_sqlite
def test_a_day_it_is_done_once_and_a_run_with_nothing_to_do_asks_one_thing(database, config):
    sent(database, config)
    lived(database)
    assert keeping.prune(database, ALL, clock=lambda: LATER).rows
    asked = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    assert not keeping.prune(database, ALL, clock=lambda: LATER).rows
    assert len([words for words in asked if words.startswith("SELECT")]) == 1
    assert not [words for words in asked if words.startswith(("UPDATE", "DELETE", "INSERT"))]


@on_sqlite
def test_within_its_seconds_it_does_some_and_the_rest_with_later_runs(database, config):
    sent(database, config, *(f"reader{n}@example.org" for n in range(20)))
    lived(database)
    moments = iter(LATER + timedelta(seconds=n) for n in range(10**6))
    runs = 0
    while True:
        done = keeping.prune(database, replace(ALL, seconds=5), clock=lambda: next(moments))
        runs += 1
        assert sound(database)
        if done.finished:
            break
    assert runs > 2
    with database.read() as session:
        assert rows(session, OutboxRow) == 60


@on_sqlite
def test_what_takes_more_than_a_week_of_runs_comes_to_its_end(database):
    """Each week begins at the first row again, for what was held back: but not before the end was come to."""
    told(database, PER_FEED + 10)
    lived(database)
    came_to = []
    for week in range(3):
        now, left = LATER + 7 * week * DAY, iter([False])
        terms = keeping.Terms({Kind.ENTRIES: 60}, rows=2)
        keeping.prune(database, terms, clock=lambda: now, stop=lambda: next(left, True))  # noqa: B023
        with database.read() as session:
            came_to.append(session.exec(select(Pruning.after)).one())
    assert came_to == [2, 4, 6]


# ---------------------------------------------------------------- entries


def told(database: Database, number: int, *, feed_url: str = "https://feeds.example/a", start: int = 0) -> int:
    """A feed with so many entries, each a story that an edition had; all old. Its number."""
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        feed = Feed(url=feed_url, added_at=MONDAY, next_at=MONDAY)
        session.add(feed)
        session.flush()
        feeds.read(session, paper.id, feed.id, topic="", folder="", now=MONDAY)
        feed_entries.save_entries(session, feed.id, [row(start + n) for n in range(number)], now=MONDAY)
        found = session.exec(select(Entry).where(Entry.feed_id == feed.id).order_by(col(Entry.id))).all()
        for one in found:
            decide(session, paper, one)
        session.execute(sa.update(Feed).where(col(Feed.id) == feed.id).values(window=[]))
        for one in session.exec(select(Edition)):
            one.upto_seq = paper.seq
        if session.exec(select(Edition.id)).first() is None:
            session.add(
                Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=paper.seq, sender="a@b.example")
            )
        session.execute(sa.update(Subscription).values(read_until=paper.seq))
        return feed.id


def row(number: int, **other) -> dict[str, object]:
    title = f"Release {number} of the database"
    made = {"key": f"guid-{number}", "guid": f"guid-{number}", "url": f"https://site.example/{number}", "title": title}
    made |= {"twin": f"twin-{number}", "summary": f"<p>Summary {number}</p>", "content": "<p>Text</p>" * 9}
    made |= {"published_at": MONDAY - number * timedelta(hours=1), "content_hash": f"hash-{number}", "gist": GIST}
    return made | other


def decide(session: Session, paper, entry: Entry) -> None:
    paper.seq += 1
    said = {"newsletter_id": paper.id, "entry_id": entry.id, "url": entry.url, "title": entry.title, "source": "A"}
    story = Story(**said, seq=paper.seq, topic="other", published_at=MONDAY, admitted_at=MONDAY)
    session.add(story)
    session.flush()
    decision = {"decision": Decision.STORY, "story_id": story.id, "decided_at": MONDAY}
    decision["link"] = urls.normalise(entry.url)
    session.add(Admission(newsletter_id=paper.id, entry_id=entry.id, **decision))


def waiting(session: Session) -> list[entries.Waiting]:
    paper = newsletters.find(session, "daily")
    return list(entries.waiting(session, paper.id, settle=None, now=LATER))


def take_in(database: Database, config) -> edition.Admitted:
    return edition.take_in(database, "daily", config.newsletters["daily"], config.curate, now=LATER + DAY)


def test_old_entries_go_and_the_latest_of_each_feed_stay(database, config):
    told(database, PER_FEED + 10)
    lived(database)
    done = prune(database)
    assert done.rows["entries"] == 10
    with database.read() as session:
        assert rows(session, Entry) == rows(session, Story) == rows(session, Admission) == PER_FEED
        assert not any(one.summary for one in session.exec(select(Entry)) if one.id <= 10)
        assert not waiting(session)


def weight(database: Database) -> tuple[Counter[str], int]:
    """Rows by table, and bytes of the file without what is free in it."""
    with database.read() as session:
        page, there, free = keeping.facts(session)
        connection = session.connection()
        named = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        counted = {name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one() for name in named}
    return Counter(counted), page * (there - free)


@on_sqlite
def test_of_an_entry_that_is_gone_remain_four_marks_at_most_and_few_bytes(database, config):
    number, steps = 100, replace(ALL, rows=500)
    lived(database)
    told(database, PER_FEED + 10)
    prune(database, steps)
    before, small = weight(database)
    told(database, PER_FEED + number, feed_url="https://feeds.example/b", start=1000)
    assert prune(database, steps).rows["entries"] == number
    after, large = weight(database)
    grown = after - before
    marks = grown.pop("pruned_mark")
    assert 0 < marks <= 4 * number
    assert all(more <= PER_FEED for more in grown.values()), grown  # those of a feed that stay, and no other
    assert (large - small) / number < 300  # what stays of the feed is a part of it


COMES = MappingProxyType(
    {
        "as it was": {},
        "under another id": {"guid": "new", "key": "new"},
        "under another link": {"url": "https://moved.example/0"},
        "under another title": {"title": "Another title"},
        "renumbered and moved": {"guid": "new", "key": "new", "url": "https://moved.example/0", "twin": "x"},
        "with another date": {"published_at": LATER},
    }
)


@pytest.mark.thin(3)
@pytest.mark.parametrize("how", COMES)
@on_sqlite
def test_an_entry_that_comes_again_after_years_is_not_told_again(database, config, how):
    feed_id = told(database, PER_FEED + 10)
    lived(database)
    prune(database)
    with database.write() as session:
        evidence = {"alike": {"guid": [60, 60], "link": [60, 60]}, "entries": 60, "fetches": 9}
        session.execute(sa.update(Feed).values(evidence=evidence))
        feed_entries.save_entries(session, feed_id, [row(0, **COMES[how]), row(100)], now=LATER)
        assert len(waiting(session)) == 2
    done = take_in(database, config)
    assert (done.held, done.stories) == (1, 1)
    with database.read() as session:
        held = session.exec(select(Admission).where(Admission.decision == Decision.HELD)).one()
        assert "pruned" in held.reason


@on_sqlite
def test_an_entry_of_another_feed_with_a_link_that_was_told_is_not_told_again(database, config):
    told(database, PER_FEED + 10)
    lived(database)
    prune(database)
    other = told(database, 1, feed_url="https://another.example/feed", start=200)
    with database.write() as session:
        again = row(0, key="theirs", guid="theirs", title="What they say of it", published_at=LATER)
        fresh = row(500, key="fresh", guid="fresh", published_at=LATER)
        feed_entries.save_entries(session, other, [again, fresh], now=LATER)
    done = take_in(database, config)
    assert (done.held, done.stories) == (1, 1)


@on_sqlite
def test_a_new_entry_under_a_number_that_an_old_one_had_is_told(database, config):
    """A feed that counts its entries from one at each fetch gives old ids to new entries: that loses none."""
    feed_id = told(database, PER_FEED + 10)
    lived(database)
    prune(database)
    with database.write() as session:
        counts = {"guid": [10, 60], "link": [60, 0]}
        evidence = {"alike": {"guid": [60, 60], "link": [60, 60]}, "entries": 60, "fetches": 9, "kept": counts}
        session.execute(sa.update(Feed).values(evidence=evidence))
        new = row(
            0, url="https://site.example/new", title="News of today", published_at=LATER, twin="t", content_hash="n"
        )
        feed_entries.save_entries(session, feed_id, [new], now=LATER)
    assert take_in(database, config).stories == 1


def test_what_waits_for_somebody_stays_however_old(database, config):
    """Undecided, in no edition yet, not offered to a reader, in its feed now, in the archive, or an editor's word."""
    sent(database, config, number=4)
    feed_id = told(database, PER_FEED + 9)
    lived(database)
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        session.execute(sa.delete(Admission).where(col(Admission.entry_id) == 1))
        session.execute(sa.delete(Story).where(col(Story.entry_id) == 1))
        session.execute(sa.update(Story).where(col(Story.entry_id) == 2).values(seq=paper.seq + 1))
        session.get_one(Feed, feed_id).window = [3]
        session.add(
            VariantStory(
                variant_id=1, position=0, story_id=session.exec(select(Story.id).where(Story.entry_id == 4)).one()
            )
        )
        session.execute(sa.update(Story).where(col(Story.entry_id) == 5).values(topic="quiet"))
        session.execute(sa.update(Subscription).where(col(Subscription.id) == 1).values(read_until=0, topics=["quiet"]))
        session.execute(sa.update(Story).where(col(Story.entry_id) == 6).values(topic_step="moved"))
    prune(database)
    with database.read() as session:
        kept = session.exec(select(Entry.id).order_by(col(Entry.id))).all()
        assert kept[:7] == [1, 2, 3, 4, 5, 6, 10]
        assert [one.id for one in waiting(session)] == [1]
        assert session.get_one(Entry, 1).content
        assert session.get_one(Entry, 2).content
        assert not session.get_one(Entry, 4).content


def test_entries_of_one_story_go_together_or_not_at_all(database, config):
    told(database, PER_FEED + 9)
    lived(database)
    with database.write() as session:
        story = session.exec(select(Story).where(Story.entry_id == 1)).one()
        new = session.exec(sa.select(sa.func.max(Entry.id))).one()[0]
        session.execute(sa.delete(Story).where(col(Story.entry_id) == new))
        session.execute(sa.delete(Admission).where(col(Admission.entry_id) == new))
        joined = {"decision": Decision.JOINED, "story_id": story.id, "decided_at": MONDAY}
        session.add(Admission(newsletter_id=story.newsletter_id, entry_id=new, **joined))
    prune(database)
    with database.read() as session:
        assert not waiting(session)
        assert session.get(Entry, 1) is not None
        assert session.get(Entry, 2) is None


@on_sqlite
def test_the_newest_entries_stay_whole_however_old(database, config):
    told(database, PER_FEED + 10)
    lived(database)
    prune(database, replace(ALL, least=14))
    with database.read() as session:
        assert rows(session, Entry) == 14
        assert sum(bool(one.content) for one in session.exec(select(Entry))) == 14


@on_sqlite
def test_texts_go_before_their_entries(database, config):
    told(database, PER_FEED + 10)
    lived(database)
    prune(database, keeping.Terms({Kind.TEXTS: 60, Kind.ENTRIES: 0}))
    with database.read() as session:
        assert rows(session, Entry) == PER_FEED + 10
        found = session.exec(select(Entry).order_by(col(Entry.id))).all()
        assert not any(one.content or one.summary for one in found)
        assert [bool(one.gist) for one in found] == [False] * (PER_FEED + 10 - GISTS) + [True] * GISTS
        assert all(one.title for one in found)


# ---------------------------------------------------------------- the rest, and commands


def test_mails_of_no_edition_go_and_are_not_sent_again(database, config):
    notice(database, "ada@example.org")
    notice(database, "bob@example.org")
    with database.write() as session:
        ended = {"state": OutboxState.SENT, "settled_at": MONDAY}
        session.execute(sa.update(OutboxRow).where(col(OutboxRow.id) == 1).values(**ended))
    lived(database)
    assert prune(database).rows["notices"] == 1
    with database.read() as session:
        assert [one.email for one in session.exec(select(Notice))] == ["bob@example.org"]
        assert rows(session, OutboxRow) == 1
    assert not notice(database, "ada@example.org", now=LATER)


@on_sqlite
def test_who_has_not_answered_yet_keeps_what_they_were_asked(database, config):
    sent(database, config, "ada@example.org", number=1)
    notice(database, "ada@example.org", subscription_id=1)
    with database.write() as session:
        session.execute(sa.update(OutboxRow).values(state=OutboxState.SENT, settled_at=MONDAY))
        session.execute(sa.update(Subscription).values(state=SubscriptionState.PENDING))
    lived(database)
    assert not prune(database).rows["notices"]


@on_sqlite
def test_what_came_back_goes_but_for_what_waits_for_an_answer(database):
    with database.write() as session:
        for number, act in enumerate(("none", "ask", "suppress")):
            session.add(MailReport(hash=str(number), source="s", read_at=MONDAY, kind="hard", act=act))
    lived(database)
    assert prune(database).rows["reports"] == 2
    with database.read() as session:
        assert session.exec(select(MailReport.act)).one() == "ask"


@on_sqlite
def test_a_new_file_grows_smaller_and_an_old_one_once_it_is_compacted(database, config):
    with database.read() as session:
        assert keeping.gives_back(session)
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE ballast (content)")
        session.connection().exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(9000000))")
    with database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE ballast")
        before = keeping.facts(session)
    done = keeping.Pruned()
    keeping.give_back(database, done)
    with database.read() as session:
        page, there, _free = keeping.facts(session)
    assert there < before[1] / 2
    assert done.given_back == (before[1] - there) * page
    pages.compact(database)
    with database.read() as session:
        assert keeping.facts(session)[2] == 0
        assert keeping.gives_back(session)


@on_sqlite
def test_why_says_that_what_is_gone_was_pruned(database, config):
    sent(database, config, number=4)
    told(database, PER_FEED + 10)
    lived(database)
    with database.write() as session:
        (last,) = session.exec(select(Story.id).where(Story.entry_id == PER_FEED + 10))
        session.add(VariantStory(variant_id=1, position=0, story_id=last))
        left = [[id_, "no room"] for id_ in range(1, last - 1)]
        session.execute(sa.update(Variant).values(since_seq=0, left_out=left))
    prune(database)
    with database.read() as session:
        frozen = archive.variant_in_browser(session, "daily", 1, session.get_one(Variant, 1).key)
        assert (len(frozen.rest), frozen.pages) == (PER_FEED - 2, 1)  # of those that are still here
        paper = newsletters.find(session, "daily")
        assert "pruned" in edition.pruned_words(session, "https://site.example/0", paper)
        assert not edition.pruned_words(session, "https://site.example/500", paper)
        carried, other = session.get_one(Story, last), session.get_one(Story, last - 1)
        assert "in edition 1, as the lead" in edition.explain_for(session, paper, carried, PEOPLE[0], now=LATER)
        assert "pruned" in edition.explain_for(session, paper, other, PEOPLE[0], now=LATER)
        with pytest.raises(NotFound, match="no story 1") as found:
            edition.find(session, "daily", 1)
        assert "pruned" in found.value.hint


@on_sqlite
def test_a_run_prunes_after_its_letters_by_the_days_of_the_settings(database, configure):
    config = configure(keep={"letters_days": 20, "mails_days": 7, "entries_days": 0})
    sent(database, config)
    lived(database)
    done = keeping.prune(database, keeping.Terms.of(config), clock=lambda: LATER)
    assert done.rows["letters"] == 6
    assert "entries" not in done.rows


@pytest.mark.parametrize("words", [{"mails_days": 3}, {"letters_days": 1}, {"entries_days": 7}, {"reports_days": 9}])
def test_days_that_would_break_a_promise_are_refused(words):
    with pytest.raises(ValueError, match="at least, or 0 to keep all"):
        Keep(**words)


def test_the_command_says_what_would_go_and_lets_it_go(digest, at):
    assert digest("init").returncode == 0
    digest("status")
    at(LATER)
    database = open_database(f"sqlite:///{Path.cwd() / 'digest.db'}")
    told(database, PER_FEED + 10)
    lived(database)
    Path("digest.toml").write_text(Path("digest.toml").read_text() + "\n[keep]\nentries_least = 0\n")
    said = json.loads(digest("db", "prune", "--dry-run", "--json").stdout)
    assert said["kinds"]["entries"]["rows"] == 10
    assert said["dry_run"]
    with database.read() as session:
        assert rows(session, Entry) == PER_FEED + 10
    assert digest("db", "prune", "--compact").returncode == 0
    with database.read() as session:
        assert rows(session, Entry) == PER_FEED
    database.close()
    kept = json.loads(digest("status", "--json").stdout)["keep"]
    assert kept["kinds"]["entries"]["pruned"] == 10
    assert kept["bytes"] > 0
    assert "10 entries" in digest("doctor", "--offline", "--only", "database").stdout


@on_sqlite
def test_what_is_let_go_of_leaves_pages_free_and_all_else_as_it_was(database, config):
    """SQLite leaves a row that grew smaller alone on its page: then nothing would be won."""
    sent(database, config, "ada@example.org", number=4)
    text = "".join(random.Random(1).choices("abcdefghij", k=3000))
    with database.write() as session:
        session.execute(sa.update(Variant).values(html=text * 4, text=text))
    told(database, PER_FEED + 60)
    with database.write() as session:
        session.execute(sa.update(Entry).values(content=text))
        before = [one.model_dump(exclude={"content", "summary", "gist"}) for one in session.exec(select(Entry))]
        pages = keeping.facts(session)
    lived(database)
    prune(database, keeping.Terms({Kind.MAILS: 60, Kind.TEXTS: 60}))
    with database.read() as session:
        after = keeping.facts(session)
        assert after[2] > pages[2] + 50  # free: nearly all that these texts had filled
        assert [one.model_dump(exclude={"content", "summary", "gist"}) for one in session.exec(select(Entry))] == before
        assert session.connection().exec_driver_sql("PRAGMA foreign_key_check").first() is None
        assert rows(session, Admission) == rows(session, Story) == len(before)
        assert sound_in(session)


# ---------------------------------------------------------------- many letters


@on_sqlite
def test_a_reader_is_told_of_rolls_although_an_older_edition_is_not_in_one_yet(database, config, monkeypatch):
    """It is kept as long as a letter of it is held."""
    sent(database, config, number=9)
    with database.write() as session:
        held = col(OutboxRow.edition_id) == 3, col(OutboxRow.subscription_id) == 2
        session.execute(sa.update(OutboxRow).where(*held).values(state=OutboxState.HELD))
        whole = finding.letters(session, 1)
    lived(database)
    prune(database)
    with database.read() as session:
        assert rows(session, LetterRoll) == 5
        assert finding.letters(session, 1) == whole
        for looked in (1, 2, 400):
            monkeypatch.setattr(rolls, "LOOKED", looked)
            for limit in range(1, 10):
                found, older = finding.letters(session, 1, limit=limit)
                while older is not None:
                    more, older = finding.letters(session, 1, before=older, limit=limit)
                    assert len(more) <= limit
                    found = found + more
                assert found == whole.found, (looked, limit)


def test_a_large_edition_is_looked_through_once_and_not_at_each_step(database, config, monkeypatch):
    sent(database, config, *readers(40), number=5)
    lived(database)
    counted, asked = Counter[int](), Counter[str]()

    def count(session, edition_id):
        counted[edition_id] += 1
        return edition_states.account_of(session, edition_id)

    monkeypatch.setattr("digest.store.pruning.account_of", count)
    note = sa.event.listens_for(database.engine, "before_cursor_execute")
    note(lambda _connection, _cursor, statement, *_more: asked.update(["max(outbox.settled_at)" in statement]))
    assert prune(database, keeping.Terms({Kind.MAILS: 60, Kind.LETTERS: 60}, rows=7)).rows["letters"] == 80
    assert counted == {1: 1, 2: 1} and asked[True] <= 2 * 2
    # Nor is one whose letters are all in rolls: these are read whole for it, and there are years of them.
    assert not prune(database, keeping.Terms({Kind.LETTERS: 60}, rows=7)).rows["letters"]
    assert counted == {1: 1, 2: 1}


def test_letters_that_lie_far_apart_are_rolled_and_found_too(database, config, monkeypatch):
    """Welcomes come days later, and editions that are made at the same time have numbers in between."""
    monkeypatch.setattr(rolls, "SPAN", 20)
    sent(database, config, *readers(12), number=5)
    with database.write() as session:
        mine = (col(OutboxRow.edition_id) == 1, col(OutboxRow.id) >= 10)
        session.execute(sa.update(OutboxRow).where(*mine).values(id=OutboxRow.id * 1000))
        ids = list(session.scalars(sa.select(col(OutboxRow.id)).where(col(OutboxRow.edition_id) == 1)))
    lived(database)
    assert prune(database).rows["letters"] == 24
    with database.read() as session:
        spans = [row.last_id - row.first_id for row in session.exec(select(LetterRoll))]
        assert len(ids) == 12 and max(spans) < 20 < len(spans) * 7
        assert {rolls.find(session, id_).id for id_ in ids} == set(ids)
        proven = rolls.proven(session, 1, thorough=True)
        assert proven.sent == 12 and not proven.wrong


def test_of_the_rolls_of_an_edition_only_those_are_looked_through_that_may_have_a_reader(database, config, monkeypatch):
    sent(database, config, *readers(40), number=4)
    lived(database)
    prune(database)
    of_whom, read = rolls.of_whom, list[int]()
    monkeypatch.setattr(rolls, "of_whom", lambda content, whom: read.append(len(content)) or of_whom(content, whom))
    with database.write() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(LetterRoll)) == 6
        assert len(rolls.of_subscriptions(session, [20])) == len(read) == 1
        # A release that knows nothing of it writes none.
        session.execute(sa.update(LetterRoll).values(first_subscription=None, last_subscription=None))
        assert len(rolls.of_subscriptions(session, [20])) == 1 < len(read) == 7


def test_letters_may_have_numbers_beyond_32_bits(database, config, clock):
    with database.write() as session:
        soundness.set_last_number(session.connection(), sa.inspect(OutboxRow).local_table, 3 * 10**9)
    sent(database, config)
    first = 3 * 10**9 + 1
    with database.write() as session:
        assert letters.owe_again(session, letter_ids=[first], states=[OutboxState.SENT], now=clock()) == 1
        terms = {"lease": DAY, "lifetime": DAY, "hold_doubtful": False}
        (letter,) = outbox.claim(session, outbox.Wanted(1, 9), now=clock(), **terms).letters
        assert outbox.mark(session, [letter], now=clock(), lease=DAY) == {first: 2}
        done = outbox.Outcome(first, 2, OutboxState.SENT, 250)
        assert outbox.settle(session, [done], now=clock())[OutboxState.SENT] == 1
        assert letters.lines(session, letter_id=first)[0].id == first
        assert [one.id for one in letters.lines(session, edition=1, after=first)] == [first + 1, first + 2]
        session.add(MailReport(hash="1", source="s", read_at=clock(), kind="auto", act="none", outbox_id=first))
        assert reports.letter(session, first).id == first
    lived(database)
    assert prune(database).rows["letters"] == 6
    with database.read() as session:
        assert rolls.find(session, first).id == first


@pytest.mark.parametrize(
    "table",
    [
        *("relay_state", "relay_seat", "relay_hour", "domain_state", "refusal_count", "pruning", "worker"),
        *("host_lease", "rate_window"),
    ],
)
def test_what_senders_change_again_and_again_is_changed_within_its_page(kept_postgres, table):
    """PostgreSQL's HOT updates: no index has a new entry for them."""
    columns = schema.tables().tables[table].columns
    rows = {one.name: releases.invented(columns[one.name].table, 1)[one.name] for one in columns}
    changed = next(one for one in columns if not one.primary_key and not one.foreign_keys)
    engine = sa.create_engine(kept_postgres)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # whatever its foreign keys are of
        connection.execute(sa.insert(columns[changed.name].table), [rows])
        for _ in range(5):
            connection.execute(sa.update(changed.table).values({changed.name: changed}))
        stats = "pg_stat_get_xact_tuples_{}('" + table + "'::regclass)"
        asked = f"SELECT {stats.format('updated')}, {stats.format('hot_updated')}"
        assert connection.exec_driver_sql(asked).one() == (5, 5)
        said = connection.exec_driver_sql(f"SELECT reloptions FROM pg_class WHERE relname = '{table}'").scalar()
        assert "fillfactor=50" in said
        connection.rollback()
    engine.dispose()
