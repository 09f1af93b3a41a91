"""The editor's hand, on both databases: stories arranged, given other words and pictures, and all of it taken back."""

# ruff: noqa: F811
from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa
from conftest import MONDAY
from sqlmodel import select
from test_preview import ASKS, composed, config, filled, form_of, held, page, seen  # noqa: F401  (two are fixtures)

from digest import edition
from digest.errors import BadInput, NotFound
from digest.models import Edition, EditionState, OutboxRow
from digest.store import edition_stories, newsletters, why
from digest.store.story_tables import Story


def test_a_story_is_put_where_the_editor_wants_it_and_undo_puts_it_back(filled, config, clock):
    client = page(filled, config, clock)
    before = [story.title for story in seen(filled, config).stories]
    order = ",".join(str(story.seq) for story in seen(filled, config).stories)
    for old, new in ((3, 1), (0, 3), (1, 2)):
        stories = seen(filled, config).stories
        wanted = [story.title for story in stories]
        wanted.insert(new, wanted.pop(old))
        order = ",".join(str(story.seq) for story in stories)
        form = form_of(stories[old], place=str(new + 1), order=order)
        assert client.post("/secret/do/arrange", data=form).status_code == 303
        assert [story.title for story in seen(filled, config).stories] == wanted
    for _ in range(3):
        assert client.post("/secret/do/undo").status_code == 303
    assert [story.title for story in seen(filled, config).stories] == before
    assert client.post("/secret/do/undo").status_code == 409


def told(shown) -> list[object]:
    """The stories without their ids, which are nobody's in a rehearsal."""
    return [replace(story, id=0) for story in shown.stories]


@pytest.mark.thin(4)
@pytest.mark.parametrize(
    "odd", [{"order": ""}, {"order": "x,9" * 90}, {"place": "-1"}, {"place": "9" * 30}, {"order": "9" * 18 + ",1"}]
)
def test_an_odd_order_moves_at_most_the_story_that_was_named(filled, config, clock, odd):
    client = page(filled, config, clock)
    last = seen(filled, config).stories[-1]
    assert (
        client.post("/secret/do/arrange", data=form_of(last, place="1", order="1,2,3", **{}) | odd).status_code == 303
    )
    assert last.title in [story.title for story in seen(filled, config).stories]


def test_undo_takes_back_each_button_and_leaves_what_others_changed_since(filled, config, clock):
    client = page(filled, config, clock)
    lead = seen(filled, config).stories[0]
    for verb, more in (("pin", {}), ("drop", {}), ("move", {"topic": "other"}), ("edit", {"new_title": "Another"})):
        before = seen(filled, config)
        assert client.post(f"/secret/do/{verb}", data=form_of(lead, **more)).status_code == 303
        assert client.post("/secret/do/undo").status_code == 303
        assert told(seen(filled, config)) == told(before), verb
    client.post("/secret/do/note", data={"note": "One"})
    edition.annotate(filled, "daily", config, "Two")
    assert client.post("/secret/do/undo").status_code == 409 and seen(filled, config).note == "Two"
    client.post("/secret/do/drop", data=form_of(lead))
    with filled.write() as session:
        story = session.exec(select(Story).where(Story.seq == lead.seq)).one()
        edition.pin(session, "daily", story.id, pinned=True)
    assert client.post("/secret/do/undo").status_code == 409


def test_a_held_edition_is_arranged_edited_and_undone(filled, configure, clock):
    config = configure(newsletters={"daily": ASKS})
    composed(filled, config)
    client = page(filled, config, clock, number=1)
    before = held(filled, config).stories
    order = ",".join(str(story.seq) for story in before)
    assert (
        client.post("/secret/do/arrange?edition=1", data=form_of(before[2], place="1", order=order)).status_code == 303
    )
    assert client.post("/secret/do/edit?edition=1", data=form_of(before[2], new_title="Said anew")).status_code == 303
    assert held(filled, config).stories[0].title == "Said anew" and "Said anew" in held(filled, config).rendered.html
    for _ in range(2):
        assert client.post("/secret/do/undo?edition=1").status_code == 303
    assert [story.title for story in held(filled, config).stories] == [story.title for story in before]


def test_a_held_edition_follows_what_commands_do_with_its_stories(filled, configure):
    config = configure(newsletters={"daily": ASKS})
    composed(filled, config)
    first, second = held(filled, config).stories[:2]
    with filled.write() as session:
        late = session.exec(select(Story).where(Story.seq == first.seq)).one()
        later = Story(**late.model_dump(exclude={"id"}) | {"seq": 99, "title": "Of tomorrow"})
        session.add(later)
        session.flush()
        tomorrow = later.id

    def follow(story_id, do, *args, **how):
        return edition.follow(
            filled, "daily", config, [story_id], lambda session: do(session, "daily", story_id, *args, **how)
        )[1]

    assert follow(second.id, edition.reword, edition.Rewording(title="Said by hand")) == [1]
    assert follow(second.id, edition.pin, pinned=True) == [1]
    shown = held(filled, config)
    assert shown.stories[0].title == "Said by hand" and "Said by hand" in shown.rendered.text
    assert follow(first.id, edition.drop, dropped=True) == [1]
    assert first.title not in held(filled, config).rendered.text
    assert follow(first.id, edition.drop, dropped=False) == [1]
    assert first.title in held(filled, config).rendered.text
    assert follow(tomorrow, edition.drop, dropped=True) == []  # of the next edition
    before = held(filled, config)
    with filled.write() as session:
        session.execute(sa.update(OutboxRow).values(attempts=1))
    assert follow(second.id, edition.reword, edition.Rewording(title="Too late")) == []  # somebody may have it
    assert held(filled, config).rendered == before.rendered


def test_held_editions_follow_all_or_none(filled, configure, monkeypatch):
    config = configure(newsletters={"daily": ASKS})
    composed(filled, config)
    before = held(filled, config)
    lead = story_at(filled, before.stories[0].seq)
    monkeypatch.setattr("digest.edition.held.edition_states.held_over", lambda *_about: [1, 7])
    with pytest.raises(NotFound, match="no edition 7"):
        edition.follow(filled, "daily", config, [lead], lambda s: edition.drop(s, "daily", lead, dropped=True))
    assert held(filled, config).rendered == before.rendered
    with filled.read() as session:
        assert not session.get_one(Story, lead).dropped


def test_what_was_let_go_meanwhile_is_not_made_anew(filled, configure, monkeypatch):
    config = configure(newsletters={"daily": ASKS})
    composed(filled, config)
    before = held(filled, config)
    lead = story_at(filled, before.stories[0].seq)
    calls = []

    def drop(session):
        calls.append(edition.drop(session, "daily", lead, dropped=True))

    original = type(filled).write

    @contextmanager
    def write(self):
        if len(calls) == 1:  # between the look and the change
            with original(self) as other:
                edition.approve(other, "daily", 1, now=MONDAY)
        with original(self) as session:
            yield session

    with monkeypatch.context() as patched:
        patched.setattr(type(filled), "write", write)
        assert edition.follow(filled, "daily", config, [lead], drop)[1] == []
    assert held(filled, config).rendered == before.rendered
    with filled.read() as session:
        assert session.get_one(Story, lead).dropped


def test_no_command_changes_a_story_of_an_edition_that_is_being_laid_out(filled, config):
    with filled.write() as session:
        edition.admit(session, "daily", config.newsletters["daily"], config.curate, now=MONDAY)
        paper = newsletters.find(session, "daily").id
        story = session.exec(select(Story).order_by(Story.seq)).first().id
        row = Edition(
            newsletter_id=paper, number=1, upto_seq=99, state=EditionState.HELD, composed_at=MONDAY, sender="x"
        )
        row.laying_out = True
        session.add(row)
    with pytest.raises(BadInput, match="being laid out"):
        edition.follow(filled, "daily", config, [story], lambda s: edition.drop(s, "daily", story, dropped=True))
    with filled.read() as session:
        assert not session.get_one(Story, story).dropped


def story_at(database, seq):
    with database.read() as session:
        return session.exec(select(Story).where(Story.seq == seq)).one().id


def test_commands_arrange_and_edit_as_the_page_does(filled, config, clock):
    page(filled, config, clock).post("/secret/do/pin", data=form_of(seen(filled, config).stories[0]))
    with filled.write() as session:
        ids = [story.id for story in session.exec(select(Story).order_by(Story.seq))]
        edition.arrange(session, "daily", [ids[3], ids[1]])
        edition.reword(session, "daily", ids[1], edition.Rewording(title="Second"))
        with pytest.raises(BadInput, match="twice"):
            edition.arrange(session, "daily", [ids[1], ids[1]])
    found = seen(filled, config).stories
    assert [story.id for story in found[:2]] == [ids[3], ids[1]] and found[1].title == "Second"
    with filled.write() as session:
        edition.pin(session, "daily", ids[3], pinned=False)
    assert seen(filled, config).stories[0].title == "Second"


def test_what_is_pinned_is_told_until_an_edition_with_it_is_out(filled, configure, clock):
    config = configure(newsletters={"daily": ASKS})
    client = page(filled, config, clock)
    first, second = seen(filled, config).stories[:2]
    for story in (second, first):
        assert client.post("/secret/do/pin", data=form_of(story)).status_code == 303

    def pinned() -> list[int]:
        with filled.read() as session:
            return [story.seq for story in why.pinned(session, newsletters.find(session, "daily").id)]

    assert pinned() == sorted([first.seq, second.seq])
    composed(filled, config)
    assert pinned() == sorted([first.seq, second.seq])  # it is held, and can be arranged
    with filled.write() as session:
        edition.approve(session, "daily", 1, now=MONDAY)
    assert pinned() == []


def test_stories_are_found_by_their_place_of_admission_and_what_is_gone_is_not(filled, config):
    composed(filled, config)
    with filled.read() as session:
        paper = newsletters.find(session, "daily").id
        ids = {story.seq: story.id for story in session.exec(select(Story))}
        assert edition_stories.story_ids_at(session, paper, [*ids, 0, 77, 10**17]) == ids
        assert edition_stories.story_ids_at(session, paper, []) == {}


def test_what_a_run_made_meanwhile_is_said_and_nothing_is_lost(filled, configure, clock):
    """The editor writes while a run composes: what they wrote is on the page that says so, and goes nowhere else."""
    config = configure(newsletters={"daily": ASKS})
    client = page(filled, config, clock)
    lead = seen(filled, config).stories[0]
    assert client.post("/secret/do/pin", data=form_of(lead, to_come="1")).status_code == 303
    composed(filled, config)
    was = held(filled, config)
    for verb, more in (
        ("note", {"note": "*Long* thoughts"}),
        ("edit", form_of(lead, new_title="Thoughts")),
        ("arrange", form_of(lead, place="3", order="1")),
        ("drop", form_of(lead)),
        ("undo", {}),
    ):
        answer = client.post(f"/secret/do/{verb}", data=more | {"to_come": "1"})
        assert answer.status_code == 409 and "No. 1 of daily was made meanwhile" in answer.text, verb
        assert "houghts" in answer.text or verb not in ("note", "edit")
    assert held(filled, config) == was
    assert client.post("/secret/do/undo").status_code == 409  # of No. 2 nothing was changed
    with filled.read() as session:
        assert newsletters.find(session, "daily").note == ""
