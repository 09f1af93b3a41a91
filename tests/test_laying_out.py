"""A large edition is laid out in steps: killed, met by others, changed between any two, each reader has it once."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import MONDAY, fill_once
from mailing import send
from people import enrol
from sqlmodel import Session, select
from starlette.testclient import TestClient
from test_choices import NEWS, news

from digest import edition, line, subscribe, web
from digest.config import Config
from digest.edition import variants
from digest.edition.held import approve
from digest.edition.variants import Press
from digest.errors import BadInput, ConfigError
from digest.models import Edition, EditionState, OutboxRow, Subscriber, Subscription
from digest.render import Finding
from digest.render.templates import template_folder
from digest.schedule import Turn
from digest.store import (
    Database,
    alerts,
    backups,
    edition_states,
    edition_stories,
    editions,
    letters,
    newsletters,
    open_database,
    outbox,
    recipients,
    restores,
    stories,
    suppressions,
    tallies,
)
from digest.store.journal import Journal
from digest.store.story_tables import Entry, Story, VariantStory
from digest.store.witness import Witness
from digest.subscribe import Evidence

DAY = timedelta(days=1)
READERS = ("ada", "cyd", "dan", "eve", "fay", "bob", "gus")
TOPICS: dict[str, list[str]] = {"ada": ["ai"], "bob": ["web"], "gus": ["games"]}


class Died(BaseException):
    """What `kill -9` is to the database: what was committed stays, and nobody tidies up."""


@pytest.fixture
def config(configure) -> Config:
    return configure(newsletters={"daily": NEWS})


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = sys.modules.get("digest.edition.laying_out") or __import__("digest.edition.laying_out").edition.laying_out
    monkeypatch.setattr(sys.modules["digest.edition.compose"], "AT_ONCE", 3)
    monkeypatch.setattr(steps, "_READERS", (2, 2))
    monkeypatch.setattr(steps, "_AT_A_TIME", 1)


@pytest.fixture
def all_here(database: Database) -> Database:
    """Seven readers, of whom three want it at hours of their own, and a story of each topic."""
    fill_once(database, "all here", lambda: come(database))
    return database


def come(database: Database) -> None:
    for name in READERS:
        chosen: dict[str, Any] = {"topics": TOPICS.get(name, [])}
        if name in ("cyd", "fay", "gus"):
            chosen |= {"cadence": "daily", "hour": 20, "zone": "Europe/Berlin"}
        join(database, name, **chosen)
    news(database, "ai", "web")


def join(database: Database, name: str, **chosen: Any) -> None:
    with database.write() as session:
        enrol(session, f"{name}@example.org", known_topics={"ai", "web", "games"}, **chosen)


class Steps:
    """Counts the transactions of a composition, and does something after some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
        self.number, self._busy = 0, False
        write = Database.write

        def counted(database: Database) -> Any:
            return self._counted(write(database), act)

        monkeypatch.setattr(Database, "write", counted)

    def _counted(self, transaction: Any, act: Callable[[int], None]) -> Any:
        steps = self

        class Counted:
            def __enter__(self) -> Any:
                return transaction.__enter__()

            def __exit__(self, *why: Any) -> Any:
                ended = transaction.__exit__(*why)
                if why[0] is None and not steps._busy:
                    steps.number += 1
                    steps._busy = True
                    try:
                        act(steps.number)
                    finally:
                        steps._busy = False
                return ended

        return Counted()


def compose(database: Database, config: Config, *, days: float = 1) -> edition.Composed:
    return edition.take_turn(database, "daily", config, now=MONDAY + days * DAY)


def die_after(number: int) -> Callable[[int], None]:
    def act(step: int) -> None:
        if step == number:
            raise Died

    return act


def half_way(database: Database, config: Config, act: Callable[[], object] | None = None, *, at: int = 5) -> None:
    """Compose, and die when some have their letters and others have not; or `act` then, and go on."""

    def after(step: int) -> None:
        if step == at:
            with database.read() as session:
                found = session.exec(select(sa.func.count()).select_from(OutboxRow)).one()
                assert 0 < found < 7, found
            if act is None:
                raise Died
            act()

    with pytest.MonkeyPatch.context() as patched:
        Steps(patched, after)
        if act is None:
            with pytest.raises(Died):
                compose(database, config)
        else:
            compose(database, config)


def told(database: Database, number: int = 1) -> dict[str, list[int]]:
    """Who is owed an edition, with which stories (seqs)."""
    with database.read() as session:
        query = (
            select(Subscriber.email, Story.seq)
            .join(OutboxRow, OutboxRow.subscriber_id == Subscriber.id)
            .join(Edition, Edition.id == OutboxRow.edition_id)
            .join(VariantStory, VariantStory.variant_id == OutboxRow.variant_id)
            .join(Story, Story.id == VariantStory.story_id)
            .where(Edition.number == number)
        )
        found: dict[str, list[int]] = {}
        for email, seq in sorted(session.exec(query)):
            found.setdefault(email.split("@")[0], []).append(seq)
    return found


def well(database: Database) -> None:
    with database.read() as session:
        assert all(account.adds_up for account in edition_states.accounts(session, full=True))
        assert not session.exec(
            select(OutboxRow.subscriber_id, OutboxRow.edition_id)
            .group_by(OutboxRow.subscriber_id, OutboxRow.edition_id)
            .having(sa.func.count() > 1)
        ).all()


def closed(database: Database) -> None:
    """Nobody can claim a letter: not we, and no older release, which goes by the state alone."""
    with database.read() as session:
        row = session.exec(select(Edition).where(Edition.laying_out)).one()
        assert row.state is EditionState.HELD and row.id not in tallies.ended(session)
        assert row.id not in {source.edition_id for source in outbox.due_sources(session, now=MONDAY + 90 * DAY)}


ALL = {"ada": [1], "bob": [2], "cyd": [1, 2], "dan": [1, 2], "eve": [1, 2], "fay": [1, 2]}


def test_it_is_what_one_transaction_would_have_made(all_here, config, monkeypatch):
    steps = Steps(monkeypatch, lambda _step: None)
    made = compose(all_here, config)
    assert (made.number, made.letters, made.variants, made.stories) == (1, 6, 3, 2) and steps.number > 6
    assert told(all_here) == ALL
    well(all_here)
    with all_here.read() as session:
        row = session.exec(select(Edition)).one()
        assert row.state is EditionState.OPEN and not row.laying_out and not row.state_reason
        at = {one.email[:3]: one for one in session.exec(select(Subscriber))}
        gus = session.exec(select(Subscription).where(Subscription.subscriber_id == at["gus"].id)).one()
        assert gus.read_until == 0 and gus.offered_at is not None  # their hour had nothing for them
    assert compose(all_here, config).number == 0


def test_what_readers_choose_may_be_as_long_as_it_likes(database, configure, monkeypatch):
    topics = ["t" + hashlib.sha512(f"{number}".encode()).hexdigest()[:30] for number in range(300)]
    config = configure(newsletters={"daily": NEWS | {"topics": {topic: {} for topic in topics}}})
    readers = ("ann", "bob", "cyd", "dan")
    for number, name in enumerate(readers):
        with database.write() as session:
            enrol(session, f"{name}@example.org", known_topics=set(topics), topics=topics[number:])
    news(database, topics[-1])
    assert compose(database, config).letters == 4
    news(database, topics[-2])
    monkeypatch.setattr(sys.modules["digest.edition.compose"], "AT_ONCE", 300)
    assert compose(database, config, days=2).letters == 4


def test_nothing_stays_beside_the_tables_of_what_broke_off(all_here, config):
    with all_here.read() as session:
        paper = newsletters.find(session, "daily").id
        turns = {("daily", 20, "Europe/Berlin"): [Turn(MONDAY, MONDAY)]}
    for opened in (all_here.read, all_here.write):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), opened() as session, recipients.laid_out(session, paper, turns):
                assert recipients.due_groups(session, paper)
                raise ZeroDivisionError
    assert compose(all_here, config).letters == 6


def test_few_readers_are_one_transaction(all_here, config, monkeypatch):
    monkeypatch.setattr(sys.modules["digest.edition.compose"], "AT_ONCE", 7)
    steps = Steps(monkeypatch, lambda _step: None)
    assert compose(all_here, config).letters == 6
    assert steps.number == 1


@pytest.mark.long
def test_killed_after_any_step_the_next_run_goes_on(all_here, config):
    for day in range(1, 30):
        with pytest.MonkeyPatch.context() as patched:
            Steps(patched, die_after(day))
            try:
                compose(all_here, config, days=day)
                whole = True
            except Died:
                whole = False
        well(all_here)
        with all_here.read() as session:
            begun = editions.laying_out(session, 1)
        if begun:
            closed(all_here)
            assert compose(all_here, config, days=day + 0.2).number == day
        elif not whole:
            compose(all_here, config, days=day + 0.2)
        well(all_here)
        assert told(all_here, day) == {name: [one + 2 * day - 2 for one in seqs] for name, seqs in ALL.items()}
        if whole:
            break
        news(all_here, "ai", "web")
    assert whole and day > 8, "killed after each of them"


def test_killed_again_and_again_it_comes_to_an_end(all_here, config):
    for _ in range(20):
        with pytest.MonkeyPatch.context() as patched:
            Steps(patched, die_after(2))
            try:
                compose(all_here, config)
                break
            except Died:
                well(all_here)
    assert told(all_here) == ALL


@pytest.mark.parametrize("later", [-0.9, 0.01, 1, 40])
def test_whatever_the_clock_says_when_it_goes_on(all_here, config, later):
    half_way(all_here, config)
    made = compose(all_here, config, days=1 + later)
    if later < 0:  # its slot is not there yet, by this clock
        closed(all_here)
        made = compose(all_here, config)
    assert made.number == 1 and told(all_here) == ALL
    news(all_here, "ai")
    assert compose(all_here, config, days=45).number == 2
    well(all_here)


def test_two_at_once_make_one(all_here, config):
    half_way(all_here, config, lambda: compose(all_here, config))
    assert told(all_here) == ALL
    well(all_here)


def test_two_in_turns_make_one(all_here, config, monkeypatch):
    def other(_step: int) -> None:
        # Each time another begins, does two steps, and dies.
        with pytest.MonkeyPatch.context() as patched, pytest.raises((Died, StopIteration)):
            Steps(patched, die_after(2))
            compose(all_here, config)
            raise StopIteration

    Steps(monkeypatch, other)
    compose(all_here, config)
    assert told(all_here) == ALL
    well(all_here)


@pytest.mark.parametrize(("together", "first"), [(64, {"ada", "cyd"}), (1, {"cyd"})])
def test_letters_are_written_by_readers_numbers_some_variants_together(all_here, config, monkeypatch, together, first):
    """By variants alone each step writes all pages of the readers anew; by numbers alone many variants get a letter."""
    monkeypatch.setattr(recipients, "_TOGETHER", together)
    half_way(all_here, config)
    assert told(all_here).keys() == first  # beside gus, whose hour passes
    compose(all_here, config)
    assert told(all_here) == ALL


def test_a_step_lays_beside_the_readers_no_more_groups_than_they_have(all_here, config, monkeypatch):
    laid: list[int] = []
    really = recipients._lay_groups

    def lay(session: Session, variants: Any) -> None:
        laid.append(len(variants))
        really(session, variants)

    monkeypatch.setattr(sys.modules["digest.edition.laying_out"], "_READERS", (1, 1))
    monkeypatch.setattr(recipients, "_lay_groups", lay)
    compose(all_here, config)
    assert told(all_here) == ALL and set(laid[1:]) == {1}


def decided(database: Database, act: Callable[[Session, Story], object]) -> bool:
    """Is it told that somebody did this to a story?"""
    with database.write() as session:
        before = stories.decided(session, 1, since=0, upto=2)
        story = session.exec(select(Story).where(Story.seq == 2)).one()
        act(session, story)
        session.flush()
        return stories.decided(session, 1, since=0, upto=2) != before


def withdraw(session: Session, story: Story) -> None:
    session.get_one(Entry, story.entry_id).withdrawn_at = MONDAY


def rename(session: Session, story: Story) -> None:
    story.title = "Another"


@pytest.mark.parametrize(
    "act",
    [
        lambda session, story: edition.drop(session, "daily", story.id, dropped=True),
        lambda session, story: edition.pin(session, "daily", story.id, pinned=True),
        withdraw,
        rename,
    ],
)
def test_what_is_decided_between_look_and_begin_is_seen(all_here, act):
    assert decided(all_here, act) and not decided(all_here, lambda *_: None)


def test_an_editor_who_decides_between_look_and_begin_is_heard(all_here, config, monkeypatch):
    def drop(step: int) -> None:
        if step == 1:
            with all_here.write() as session:
                story = session.exec(select(Story).where(Story.seq == 2)).one()
                edition.drop(session, "daily", story.id, dropped=True)

    Steps(monkeypatch, drop)
    really, looked = sys.modules["digest.edition.laying_out"]._begin, []

    def begin(*args: Any, **options: Any) -> int:
        if not looked:
            with all_here.write() as session:
                story = session.exec(select(Story).where(Story.seq == 1)).one()
                edition.drop(session, "daily", story.id, dropped=True)
        looked.append(1)
        return really(*args, **options)

    monkeypatch.setattr(sys.modules["digest.edition.laying_out"], "_begin", begin)
    assert "nothing new" in compose(all_here, config).why and len(looked) == 1


def said() -> Evidence:
    return Evidence("page", MONDAY + DAY)


def test_what_readers_change_meanwhile_counts_from_then_on(all_here, config):
    def change() -> None:
        had = told(all_here).keys()
        left = [name for name in ("eve", "ada", "bob", "fay", "dan", "cyd") if name not in had]
        assert len(left) >= 4
        gone, paused, barred, chose = left[:4]
        outcome.update(gone=gone, paused=paused, barred=barred, chose=chose)
        with all_here.write() as session:
            subscribe.remove(session, f"{gone}@example.org", newsletter="daily", evidence=said())
            subscribe.pause(session, f"{paused}@example.org", newsletter="daily", until=None, evidence=said())
            suppressions.add(session, f"{barred}@example.org", reason="test", now=MONDAY)
            choose(session, chose, {"plain": True})
        join(all_here, "new", now=MONDAY + DAY)

    outcome: dict[str, str] = {}
    half_way(all_here, config, change)
    found = told(all_here)
    assert {outcome["gone"], outcome["paused"], outcome["barred"], "new"}.isdisjoint(found)
    assert found[outcome["chose"]] == ALL[outcome["chose"]] and len(found) == 3
    with all_here.read() as session:
        mine = editions.variant_of(session, 1, f"{outcome['chose']}@example.org")
        assert mine is not None and mine.plain
    well(all_here)
    news(all_here, "ai")
    compose(all_here, config, days=2)
    assert told(all_here, 2)["new"] == [3]


def test_who_chooses_meanwhile_has_their_own_hour_of_that_day_all_the_same(all_here, config, monkeypatch):
    compose(all_here, config)
    news(all_here, "ai", "web")

    def change(step: int) -> None:
        if step == 5:
            assert "fay" not in told(all_here, 2)
            with all_here.write() as session:
                choose(session, "fay", {"plain": True})

    Steps(monkeypatch, change)
    assert compose(all_here, config, days=2).letters == 6
    assert told(all_here, 2)["fay"] == [3, 4]
    well(all_here)


def test_who_had_their_letter_and_widens_their_topics_gets_no_second(all_here, config):
    def change() -> None:
        with all_here.write() as session:
            for name in told(all_here):
                choose(session, name, {"topics": []})

    half_way(all_here, config, change)
    assert told(all_here).keys() == ALL.keys()
    well(all_here)


def test_mails_that_are_stored_stay_as_they_were_for_whoever_shares_them(all_here, config):
    half_way(all_here, config)
    had = told(all_here)
    with all_here.write() as session:
        story = session.exec(select(Story).where(Story.seq == 2)).one()
        edition.drop(session, "daily", story.id, dropped=True)
        row = session.exec(select(Story).where(Story.seq == 1)).one()
        row.title = "A title that came later"
    compose(all_here, config)
    found = told(all_here)
    assert "bob" not in had and found == {name: seqs for name, seqs in ALL.items() if name != "bob"}
    well(all_here)


def test_a_mail_that_is_rendered_later_is_without_what_an_editor_took_out(all_here, config):
    def change() -> None:
        with all_here.write() as session:
            story = session.exec(select(Story).where(Story.seq == 2)).one()
            edition.drop(session, "daily", story.id, dropped=True)
            choose(session, "fay", {"plain": True})

    half_way(all_here, config, change)
    assert told(all_here) == ALL | {"fay": [1]}
    well(all_here)


def test_an_editor_who_decides_while_mails_are_rendered_is_heard_in_all_that_are_not_stored(
    all_here, config, monkeypatch
):
    def drop(_step: int) -> None:
        with all_here.read() as session:
            there = editions.variants(session, 1)
            story = session.exec(select(Story).where(Story.seq == 2)).one()
        if len(there) == 1 and not story.dropped:
            with all_here.write() as session:
                edition.drop(session, "daily", story.id, dropped=True)

    Steps(monkeypatch, drop)
    compose(all_here, config)
    with all_here.read() as session:
        first, *others = sorted(editions.variants(session, 1), key=lambda one: one.id)
        assert len(edition_stories.story_ids(session, first.id)) == 2
        assert others and all(edition_stories.story_ids(session, one.id) == [1] for one in others)
    assert told(all_here)["ada"] == [1] and "bob" not in told(all_here)
    well(all_here)


def drop_all(database: Database) -> None:
    with database.write() as session:
        for story in session.exec(select(Story)):
            edition.drop(session, "daily", story.id or 0, dropped=True)


def all_leave(database: Database) -> None:
    with database.write() as session:
        for name in READERS:
            subscribe.remove(session, f"{name}@example.org", newsletter="daily", evidence=said())


@pytest.mark.parametrize("act", [drop_all, all_leave])
def test_one_that_nothing_is_left_of_once_it_was_begun_is_shown_to_nobody(box, config, clock, act):
    come(box)
    begin(box, config)
    act(box)
    assert "No. 1 is cancelled: nobody was left" in compose(box, config).why
    with box.read() as session:
        row = session.exec(select(Edition)).one()
        assert (row.state, row.laying_out, told(box)) == (EditionState.CANCELLED, False, {})
    page = TestClient(web.application(box, config, clock=clock)).get("/newsletters/daily")
    assert page.status_code == 200 and "No. 1" not in page.text
    assert compose(box, config).number == 0  # its slot has passed
    join(box, "new", now=MONDAY + DAY)
    news(box, "ai")
    assert compose(box, config, days=2).number == 2 and told(box, 2)["new"] == [3]
    well(box)


@contextmanager
def wrong_late(folder: Path, configure: Callable[..., Config]) -> Iterator[Config]:
    """While this lasts a template cannot make the mails of one story, which come after those of two."""
    (folder / "t").mkdir()
    ours = (template_folder() / "edition.txt").read_text(encoding="utf-8")
    number = "page.sections | map(attribute='stories') | map('length') | sum"  # below the first
    (folder / "t" / "edition.txt").write_text(f"{ours}{{% if not {number} %}}{{{{ 1 // 0 }}}}{{% endif %}}")
    yield configure(newsletters={"daily": NEWS | {"templates": "t"}})
    (folder / "t" / "edition.txt").write_text(ours)


def nothing(*_given: Any) -> None:
    pass


def die_soon(database: Database, config: Config) -> None:
    with pytest.MonkeyPatch.context() as patched, suppress(Died, ConfigError):
        Steps(patched, die_after(1))
        compose(database, config)


def two_in_turns(database: Database, config: Config) -> None:
    def other(_step: int) -> None:
        with suppress(ConfigError):
            compose(database, config)

    with pytest.MonkeyPatch.context() as patched, suppress(ConfigError):
        Steps(patched, other)
        compose(database, config)


def take_one_out(database: Database, _config: Config) -> None:
    with database.write() as session:
        story = session.exec(select(Story).where(Story.seq == 2)).one()
        edition.drop(session, "daily", story.id or 0, dropped=True)


@pytest.mark.parametrize(
    "meanwhile",
    [nothing, *(pytest.param(one, marks=pytest.mark.long) for one in (die_soon, two_in_turns, take_one_out))],
)
def test_a_template_that_is_wrong_in_a_late_mail_is_told_and_once_mended_it_goes_on(
    all_here, configure, tmp_path, meanwhile
):
    with wrong_late(tmp_path, configure) as config:
        for _ in range(2):
            made = line.compose(all_here, config, "daily", now=MONDAY + DAY)
            assert isinstance(made, line.Unfit)
            assert "edition.txt, line" in made.words and "No. 1 is laid out in part, and goes on once" in made.words
            closed(all_here)
            assert told(all_here) == {}
            meanwhile(all_here, config)
    assert compose(all_here, config).number == 1
    taken = {"ada": [1]} if meanwhile is take_one_out else {}  # what was stored stays; bob has nothing to read
    assert told(all_here) == {name: seqs for name, seqs in ALL.items() if not taken or name != "bob"} | taken
    assert compose(all_here, config).number == 0
    well(all_here)
    news(all_here, "web")
    assert compose(all_here, config, days=2).number == 2
    assert told(all_here, 2)["bob"] == [3]  # in a later edition as ever


def test_a_template_that_is_wrong_at_once_begins_nothing(all_here, configure, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "edition.txt").write_text("{{ 1 // 0 }}")
    config = configure(newsletters={"daily": NEWS | {"templates": "t"}})
    made = line.compose(all_here, config, "daily", now=MONDAY + DAY)
    assert isinstance(made, line.Unfit) and "laid out" not in made.words
    with all_here.read() as session:
        assert not session.exec(select(Edition)).all()


def test_no_more_mails_are_in_memory_than_are_stored_at_a_time(all_here, config, monkeypatch):
    held: list[int] = []
    make = Press.make

    def made(press: Press, wanted: Any) -> Any:
        found = make(press, wanted)
        held.append(len(press.made))
        return found

    monkeypatch.setattr(Press, "make", made)
    assert compose(all_here, config).variants == len(held) == 3 and set(held) == {1}


def test_too_few_stories_for_the_first_choices_are_no_reason_to_stop(all_here, config, monkeypatch):
    drafts = variants.drafts

    def none_for_the_fullest(*given: Any) -> Any:
        for choices, draft in drafts(*given):
            yield choices, None if not choices.topics else draft

    monkeypatch.setattr(variants, "drafts", none_for_the_fullest)
    compose(all_here, config)
    assert told(all_here) == {"ada": [1], "bob": [2]}
    well(all_here)


def test_cancelled_meanwhile_it_ends_as_if_cancelled_afterwards(all_here, config):
    def cancel() -> None:
        with all_here.write() as session:
            assert edition_states.set_state(session, 1, EditionState.CANCELLED, "test")
        edition_states.drop_cancelled(all_here, now=MONDAY + DAY)

    half_way(all_here, config, cancel)
    with all_here.write() as session:
        assert session.exec(select(Edition.state)).one() is EditionState.CANCELLED
    edition_states.drop_cancelled(all_here, now=MONDAY + DAY)
    with all_here.write() as session:
        tallies.count(session, now=MONDAY + DAY)
    with all_here.read() as session:
        (account,) = edition_states.accounts(session, newsletters=["daily"])
        assert (account.owed, account.dropped, account.adds_up) == (6, 6, True)
    news(all_here, "ai")
    assert compose(all_here, config, days=2).number == 2 and set(told(all_here, 2)["dan"]) == {3}


def test_dropping_what_is_cancelled_takes_many_short_steps(all_here, config, monkeypatch):
    """Killed between two of them, none of the rest may go out, and who delivers next drops it."""
    compose(all_here, config)
    monkeypatch.setattr(edition_states, "_DROPPED_AT_A_TIME", 2)
    with all_here.write() as session:
        assert edition_states.set_state(session, 1, EditionState.CANCELLED, "test")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Died):
        Steps(patched, die_after(2))
        edition_states.drop_cancelled(all_here, now=MONDAY + DAY)
    with all_here.read() as session:
        (account,) = edition_states.accounts(session, newsletters=["daily"])
        assert (account.dropped, account.still_owed, account.adds_up) == (4, 2, True)
        assert letters.due_count(session, now=MONDAY + 9 * DAY) == {}
    assert edition_states.drop_cancelled(all_here, now=MONDAY + DAY) == 2
    assert edition_states.drop_cancelled(all_here, now=MONDAY + DAY) == 0
    well(all_here)


@pytest.mark.parametrize("opens", ["the last step", "its editor"])
def test_who_cancels_while_it_is_opened_is_heard_on_postgres(upgraded_postgres_url, configure, monkeypatch, opens):
    news_ = NEWS | ({"approve": True, "editor": "eva@news.example"} if opens == "its editor" else {})
    config = configure(newsletters={"daily": news_})
    done: list[bool] = []

    def cancel() -> None:
        with database.write() as session:
            done.append(edition_states.set_state(session, 1, EditionState.CANCELLED, "test"))

    def meanwhile(*_args: Any, **_more: Any) -> None:
        with database.write() as session:  # waits for nobody here, who would wait for us
            session.connection().execute(sa.text("SET LOCAL lock_timeout = '20ms'"))
            with suppress(sa.exc.OperationalError):
                done.append(edition_states.set_state(session, 1, EditionState.CANCELLED, "test"))
                return
            session.rollback()

    with closing(open_database(upgraded_postgres_url)) as database:
        newsletters.keep(database, ["daily"], now=MONDAY)
        come(database)
        if opens == "the last step":
            steps = sys.modules["digest.edition.laying_out"]
            monkeypatch.setattr(steps, "wait_for_editor", meanwhile)
            compose(database, config)
        else:
            compose(database, config)
            held = sys.modules["digest.edition.held"]
            really = held.held_edition

            def looked(*args: Any, **options: Any) -> Edition:
                found = really(*args, **options)
                if not done:
                    meanwhile()
                return found

            monkeypatch.setattr(held, "held_edition", looked)
            with suppress(BadInput), database.write() as session:  # who was first is heard, and the other waits
                approve(session, "daily", 1, now=MONDAY + DAY)
        if not done:
            cancel()
        with database.read() as session:
            assert session.exec(select(Edition.state)).one() is EditionState.CANCELLED


@pytest.mark.parametrize("schedule", ["weekly wed 07:00", "daily 18:00", ""])
def test_with_another_schedule_it_comes_to_its_end_all_the_same(all_here, config, configure, schedule):
    half_way(all_here, config)
    other = configure(newsletters={"daily": scheduled(schedule)})
    assert compose(all_here, other, days=1.01).number == 1
    with all_here.read() as session:
        assert editions.laying_out(session, 1) is None
    news(all_here, "ai", "web")
    assert compose(all_here, other, days=9).number == 2
    had = [(who, seq) for number in (1, 2) for who, seqs in told(all_here, number).items() for seq in seqs]
    assert len(had) == len(set(had)) and {seq for who, seq in had if who == "eve"} == {1, 2, 3, 4}
    well(all_here)


def scheduled(words: str) -> dict[str, Any]:
    return {key: value for key, value in NEWS.items() if key != "schedule"} | ({"schedule": words} if words else {})


def choose(session: Session, name: str, choices: dict[str, Any]) -> None:
    who, known = f"{name}@example.org", {"ai", "web", "games"}
    subscribe.change(session, who, newsletter="daily", evidence=said(), known_topics=known, choices=choices)


def begin(database: Database, config: Config) -> None:
    """The edition is there, and nothing in it."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Died):
        Steps(patched, die_after(1))
        compose(database, config)
    with database.read() as session:
        assert editions.laying_out(session, 1) and not session.exec(select(OutboxRow)).all()


def test_it_can_be_cancelled_before_it_has_a_letter(box, config, digest, tmp_path):
    (tmp_path / "digest.toml").write_text(
        'secret_key = "a key for tests, long enough"\n'
        '[newsletters.daily]\ntitle = "Daily"\nfrom = "Daily <news@news.example>"\n'
    )
    come(box)
    begin(box, config)
    paused = digest("edition", "pause", "1")
    assert paused.returncode == 64 and "its letters are being laid out" in paused.stderr
    assert digest("edition", "cancel", "1").returncode == 0
    compose(box, config)
    assert edition_states.drop_cancelled(box, now=MONDAY + DAY) == 6
    with box.read() as session:
        assert session.exec(select(Edition.state)).one() is EditionState.CANCELLED
    well(box)


def _papers(folder: Path, *names: str) -> None:
    lines = ['secret_key = "a key for tests, long enough"']
    for name in names:
        lines += [f"[newsletters.{name}]", 'title = "Daily"', 'from = "Daily <news@news.example>"']
    (folder / "digest.toml").write_text("\n".join(lines))


def test_of_a_newsletter_that_has_ended_nobody_waits_for_the_rest(box, config, digest, tmp_path):
    come(box)
    half_way(box, config)
    _papers(tmp_path, "other")
    assert digest("newsletter", "end", "daily", "--dry-run").returncode == 0
    closed(box)  # also where the settings have it no more
    assert "digest newsletter end daily" in digest("status").stderr
    closed(box)
    had = len(told(box))
    ended = digest("newsletter", "end", "daily", "--yes")
    assert f"No. 1 was written in part, and is cancelled: {had} letters dropped" in ended.stderr
    assert "cancelled" not in digest("newsletter", "end", "daily", "--yes").stderr
    well(box)
    with box.write() as session:
        row = session.exec(select(Edition)).one()
        assert (row.state, row.laying_out) == (EditionState.CANCELLED, False)
        tallies.count(session, now=MONDAY + 900 * DAY)
        (account,) = edition_states.accounts(session, newsletters=["daily"])
        assert (account.owed, account.dropped, account.still_owed) == (had, had, 0)
    join(box, "new", now=MONDAY + DAY)  # it is begun anew
    news(box, "ai")
    assert compose(box, config, days=2).number == 2
    assert told(box, 2).keys() == {"new"}


@pytest.mark.long
def test_a_newsletter_may_end_after_any_step(all_here, config):
    """Who lays it out stops, whoever read the settings before; nothing of it stays owed, and it can begin anew."""
    for day in range(1, 30):
        ended: list[int | None] = []

        def end(step: int, day: int = day, ended: list[int | None] = ended) -> None:
            if step == day:
                all_leave(all_here)
                with all_here.write() as session:
                    ended.append(edition_states.give_up(session, newsletters.lock(session, "daily").id or 0, "test"))
                edition_states.drop_cancelled(all_here, now=MONDAY + day * DAY)

        with pytest.MonkeyPatch.context() as patched:
            Steps(patched, end)
            compose(all_here, config, days=day)
        well(all_here)
        with all_here.read() as session:
            assert editions.laying_out(session, 1) is None
            row = session.exec(select(Edition).order_by(Edition.number.desc())).first()
            assert row is None or not ended or ended[0] is None or row.state is EditionState.CANCELLED
            owed = letters.due_count(session, now=MONDAY + 90 * DAY)
        assert not ended or owed == {} or ended == [None]  # it was open before, as it is where one ends later
        if not ended:
            break
        with all_here.write() as session:
            for one in session.exec(select(Edition)):
                edition_states.set_state(session, one.id or 0, EditionState.CANCELLED, "test")
        edition_states.drop_cancelled(all_here, now=MONDAY + day * DAY)
        for name in READERS:
            join(all_here, name, again=True, now=MONDAY + day * DAY)
        news(all_here, "ai", "web")
    assert day > 8, "after each of them"


def test_who_lays_out_what_has_ended_stops(all_here, config):
    def end() -> None:
        with all_here.write() as session:
            assert edition_states.give_up(session, 1, "test") == 1

    half_way(all_here, config, end)
    with all_here.read() as session:
        assert session.exec(select(Edition.state)).one() is EditionState.CANCELLED
    assert 0 < len(told(all_here)) < 6


def test_with_another_name_it_comes_to_its_end(box, config, configure, digest, tmp_path):
    come(box)
    half_way(box, config)
    _papers(tmp_path, "morning")
    assert digest("newsletter", "rename", "daily", "morning").returncode == 0
    closed(box)
    made = edition.take_turn(box, "morning", configure(newsletters={"morning": NEWS}), now=MONDAY + DAY)
    assert made.number == 1 and told(box) == ALL
    well(box)


@pytest.mark.parametrize("schedule", ["daily 07:00", ""])
def test_one_that_does_not_come_to_its_end_is_noticed(box, configure, schedule):
    config = configure(newsletters={"daily": scheduled(schedule)})
    come(box)
    begin(box, config)
    with box.read() as session:
        assert edition.overdue(session, config, now=MONDAY + 2 * DAY)["daily"] <= MONDAY + DAY
    compose(box, config)
    with box.read() as session:
        assert edition.overdue(session, config, now=MONDAY + DAY) == {}


def test_it_can_be_neither_opened_nor_changed_meanwhile(all_here, config):
    half_way(all_here, config)
    for state in (EditionState.OPEN, EditionState.PAUSED):
        with all_here.write() as session:
            assert not edition_states.set_state(session, 1, state, "")
    with all_here.write() as session, pytest.raises(BadInput, match="being laid out"):
        approve(session, "daily", 1, now=MONDAY)
    with pytest.raises(BadInput, match="being laid out"):
        edition.annotate(all_here, "daily", config, "A word", number=1)
    # An older release says so, and knows nothing of it.
    with pytest.raises(sa.exc.IntegrityError), all_here.write() as session:
        session.connection().execute(sa.text("UPDATE edition SET state = 'open' WHERE id = 1"))
    closed(all_here)


def test_what_looks_meanwhile_says_what_it_is(all_here, config):
    half_way(all_here, config)
    with all_here.read() as session:
        (line,) = editions.lines(session)
        assert (line.state, line.reason) == (EditionState.HELD, "its letters are being laid out")
        assert alerts.watched(session, now=MONDAY + 3 * DAY).editions == ()
    with all_here.rehearse() as rehearsal:
        assert compose(rehearsal, config).number == 1
        assert told(rehearsal) == ALL
    closed(all_here)
    compose(all_here, config)
    assert told(all_here) == ALL


def test_who_comes_meanwhile_is_welcomed_once_it_is_there(all_here, config):
    half_way(all_here, config)
    join(all_here, "new", welcome=True, now=MONDAY + DAY)
    assert edition.welcome(all_here, "daily", config, now=MONDAY + DAY) == 0
    compose(all_here, config)
    edition.welcome(all_here, "daily", config, now=MONDAY + DAY)
    assert told(all_here) == ALL | {"new": [1, 2]}
    well(all_here)


def test_too_little_for_anybody_is_counted_in_steps_too(all_here, configure):
    config = configure(newsletters={"daily": NEWS | {"min_stories": 3}})
    with pytest.MonkeyPatch.context() as patched:
        Steps(patched, die_after(1))
        with pytest.raises(Died):
            compose(all_here, config)
    assert "fewer than 3" in compose(all_here, config).why
    with all_here.read() as session:
        assert [row.offered_at is not None for row in session.exec(select(Subscription).where(Subscription.hour == 20))]
        assert not session.exec(select(Edition)).all()
    news(all_here, "ai", "web")
    assert compose(all_here, config, days=2).letters == 4


def test_a_held_edition_waits_for_its_editor_once_it_is_there(all_here, configure, inbox):
    news_ = NEWS | {"approve": True, "editor": "Eva <eva@news.example>"}
    config = configure(newsletters={"daily": news_}, smtp={"url": inbox.url})
    half_way(all_here, config)
    assert compose(all_here, config).held
    with all_here.write() as session:
        row = session.exec(select(Edition)).one()
        assert (row.state, row.state_reason) == (EditionState.HELD, "waits for the editor")
        approve(session, "daily", 1, now=MONDAY + DAY)
    well(all_here)


@pytest.mark.parametrize("rest", [restores.Rest.RESEND, restores.Rest.DROP])
def test_a_copy_made_meanwhile_goes_on_and_nobody_has_it_twice(box, configure, inbox, clock, tmp_path, rest):
    """The copy has some of the letters; all went out before it was put back."""
    config = configure(newsletters={"daily": NEWS}, smtp={"url": inbox.url})
    come(box)
    half_way(box, config)
    backups.copy_sqlite(Path(config.database), tmp_path / "copy.db")
    box.witness = Witness(Journal(tmp_path / "witness"), clock=clock)
    clock.pass_(days=2)
    compose(box, config, days=2)
    send(box, config, clock)
    first = Counter(inbox.recipients)
    assert first.keys() == {f"{name}@example.org" for name in ALL} and set(first.values()) == {1}
    box.close()
    shutil.copy(tmp_path / "copy.db", config.database)
    with closing(open_database(config.database_url)) as database:
        database.witness = Witness(box.witness.journal, clock=clock)
        with database.write() as session:
            standing = database.witness.standing(session)
            heard = restores.known([database.witness.journal.read()], after=standing.tick)
            restores.accept(session, heard, standing, restores.Terms({"": rest}, clock()))
        compose(database, config, days=2)
        send(database, config, clock)
        news(database, "ai", "web")
        clock.pass_(days=1)
        compose(database, config, days=3)
        clock.pass_(hours=20)
        send(database, config, clock)
        well(database)
        with database.read() as session:
            assert editions.laying_out(session, 1) is None
    after = Counter(inbox.recipients) - first
    assert after == dict.fromkeys(first, 1)  # the next one


def test_a_template_that_is_wrong_for_one_kind_of_mail_begins_no_edition(all_here, config, monkeypatch):
    join(all_here, "hal", plain=True, topics=["ai"])
    monkeypatch.setattr(sys.modules["digest.edition.laying_out"], "_AT_A_TIME", 2)
    freeze = Press._freeze

    def wrong(press: Press, one: Any) -> Any:
        if one.choices.plain:
            raise ConfigError("the template of plain mails is wrong")
        return freeze(press, one)

    with monkeypatch.context() as patched, pytest.raises(ConfigError):
        patched.setattr(Press, "_freeze", wrong)
        compose(all_here, config)
    with all_here.read() as session:
        assert not session.exec(select(Edition)).all()
    assert compose(all_here, config).letters == 7


def test_what_is_found_in_the_mail_that_is_looked_at_last_is_told(all_here, config, monkeypatch):
    fit = Press._fit

    def too_few(press: Press, choices: Any, draft: Any) -> Any:
        if choices.topics != {"web"}:
            return fit(press, choices, draft)
        press.findings["story 2"] = Finding("story 2", "error", "left out")
        return None

    monkeypatch.setattr(Press, "_fit", too_few)
    made = compose(all_here, config)
    assert made.letters == 5 and [finding.check for finding in made.findings] == ["story 2"]


def test_no_step_goes_through_the_letters_of_others(box, config):
    """SQLite plans for empty tables: what it does must be right for a million letters."""
    come(box)
    found: list[str] = []

    def planned(connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if not many and "some_readers" in statement and statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            driver = connection.connection.driver_connection.cursor()
            steps = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            found.extend(step for step in steps if " some_readers" not in step)

    sa.event.listen(box.engine, "before_cursor_execute", planned)
    compose(box, config)
    sa.event.remove(box.engine, "before_cursor_execute", planned)
    by_number = ("subscription USING INTEGER PRIMARY KEY", "subscription_id=?", "edition_id=? AND subscriber_id=?")
    theirs = [one for one in found if " outbox " in one or " subscription " in one]
    assert theirs and not [one for one in theirs if not any(words in one for words in by_number)]


@pytest.mark.parametrize(
    ("size", "lasted", "following"),
    [(500, 0.0, 1000), (500, 0.1, 1000), (800, 0.2, 1000), (500, 3600.0, 500), (4000, 0.5, 2000), (8000, 0.01, 10_000)],
)
def test_a_step_is_as_large_as_takes_a_moment(monkeypatch, size, lasted, following):
    steps = sys.modules["digest.edition.laying_out"]
    monkeypatch.setattr(steps, "_READERS", (500, 10_000))
    assert steps._next_size(size, lasted) == following
