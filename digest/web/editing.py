"""The buttons of the editor's page: what each of them changes in an edition that is to come, or that is held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

from sqlmodel import Session
from starlette.exceptions import HTTPException

from digest import curate, edition, meanings
from digest.config import Config
from digest.errors import UserError
from digest.store import Database, edition_stories, newsletters
from digest.store.pictures import Found
from digest.values import Pictured

_MOST = 200  # stories in one order


@dataclass(frozen=True)
class Done:
    """One change, as it can be taken back: a note, or how stories stood before it and after."""

    newsletter: str
    number: int  # of the edition, that was to come or held
    words: str
    note: tuple[str, str] | None = None  # before, after
    stories: tuple[edition.Standing, edition.Standing] | None = None


History = deque[Done]  # the latest last; as long as the page is served


@dataclass(frozen=True)
class Edit:
    """What an editor wants changed, in which edition (None: the one to come), and what stood beside the button.

    `to_come` is the number that the edition to come had on their page: where a run made it meanwhile, it is too late.
    """

    database: Database
    config: Config
    newsletter: str
    number: int | None
    form: Mapping[str, str]
    now: datetime
    to_come: int | None = None
    done: History = field(default_factory=lambda: deque(maxlen=50))
    picture: Callable[[Config, Database, Pictured], Found] | None = None  # asks for one, see `collect.picture_of`


def act(verb: str, edit: Edit) -> None:
    """UserError where it cannot be done as things stand, 404 for a button that there is not."""
    if verb not in BUTTONS:
        raise HTTPException(404)
    BUTTONS[verb](edit)


def note(edit: Edit) -> None:
    _annotate(edit, edit.form.get("note", ""))


def _annotate(edit: Edit, words: str) -> None:
    (number, before), name = _note(edit), edit.newsletter
    edition.annotate(edit.database, name, edit.config, words, number=edit.number, to_come=edit.to_come or number)
    if (after := _note(edit)[1]) != before:
        edit.done.append(Done(name, number, "the note", note=(before, after)))


def _note(edit: Edit) -> tuple[int, str]:
    """The edition's number, and its note."""
    with edit.database.read() as session:
        if edit.number is None:
            row = newsletters.find(session, edit.newsletter)
            return row.edition_number + 1, row.note
        return edit.number, edition.held_edition(session, edit.newsletter, edit.number).note


def approve(edit: Edit) -> None:
    with edit.database.latest() as session:
        edition.approve(session, edit.newsletter, edit.number or 0, now=edit.now)


def on_story(do: Callable[[Session, Edit, int], object], edit: Edit) -> None:
    """Let `do` change the story that the button stood beside, and the edition follow."""

    def change(session: Session) -> Iterable[int]:
        story = _story(session, edit)
        yield story
        do(session, edit, story)

    _remembered(edit, change, edit.form.get("title", ""))


def arrange(edit: Edit) -> None:
    """Put a story at a `place` (from 1) in the `order` (seqs) in which the editor sees them.

    All up to there, and up to the last that was pinned, are pinned then: else ranks would move them again.
    """

    def change(session: Session) -> Iterable[int]:
        moved = _story(session, edit)
        paper = newsletters.find(session, edit.newsletter)
        seqs = [int(word) for word in edit.form.get("order", "").split(",") if word.isdecimal() and len(word) < 19]
        ids = edition_stories.story_ids_at(session, paper.id or 0, seqs[:_MOST])
        order = [ids[seq] for seq in seqs if seq in ids and ids[seq] != moved]
        wish = edit.form.get("place", "")
        place = min(int(wish), len(order) + 1) if wish.isdecimal() and len(wish) < 9 else 1
        order.insert(max(0, place - 1), moved)
        order = list(dict.fromkeys(order))
        pinned = [at for at, one in enumerate(order, 1) if edition.find(session, edit.newsletter, one).pinned]
        first = order[: max(place, *pinned, 1)]
        yield from first
        edition.arrange(session, edit.newsletter, first)

    _remembered(edit, change, "the order of stories")


def _remembered(edit: Edit, change: Callable[[Session], Iterable[int]], words: str) -> None:
    """Make a change and remember how what it touches stood. `change` yields these stories' ids, then does it."""
    stood: list[tuple[edition.Standing, edition.Standing]] = []

    def noted(session: Session) -> None:
        steps = iter(change(session))
        ids: list[int] = []
        befores: dict[int, Mapping[str, object]] = {}
        for id_ in steps:
            ids.append(id_)
            befores |= edition.standing(session, edit.newsletter, [id_]).stories
        session.flush()
        stood[:] = [(edition.Standing(befores), edition.standing(session, edit.newsletter, ids))]

    _changed(edit, noted)
    before, after = stood[0]
    if before != after:
        edit.done.append(Done(edit.newsletter, _number(edit), words, stories=(before, after)))


def _number(edit: Edit) -> int:
    return edit.number or edit.to_come or _note(edit)[0]


def _changed(edit: Edit, change: Callable[[Session], object]) -> None:
    name, config = edit.newsletter, edit.config
    if edit.number is not None:
        edition.recompose(edit.database, name, config, edit.number, change)
        return
    # What is seen may not be admitted yet: a story has its number only then. Not in an older copy: it had one.
    edit.database.require_latest()
    meanings.take_in(edit.database, config, name, now=edit.now)
    with edit.database.write() as session:
        edition.still_to_come(session, name, edit.to_come)
        change(session)


def undo(edit: Edit) -> None:
    """Take the last change of this edition back; UserError where there is none, or where others changed it since."""
    number = _number(edit)
    at = next((at for at, one in reversed(list(enumerate(edit.done))) if _of(one, edit.newsletter, number)), None)
    if at is None:
        raise UserError("there is nothing to take back", hint="only what was changed on this page, since it is served")
    last = edit.done[at]
    if last.note is not None:
        if _note(edit) != (number, last.note[1]):
            raise UserError("the note was changed since by somebody else", hint="look again, and change it there")
        edition.annotate(edit.database, edit.newsletter, edit.config, last.note[0], number=edit.number, to_come=number)
    if last.stories is not None:
        before, after = last.stories
        _changed(edit, lambda session: edition.stand_again(session, edit.newsletter, before, after))
    del edit.done[at]


def _of(done: Done, newsletter: str, number: int) -> bool:
    return (done.newsletter, done.number) == (newsletter, number)


def undoable(done: History, newsletter: str, number: int) -> str:
    """What `undo` would take back, in words; "" for nothing."""
    return next((one.words for one in reversed(done) if _of(one, newsletter, number)), "")


def _story(session: Session, edit: Edit) -> int:
    """Its id; UserError where another stands in its place by now."""
    form, name = edit.form, edit.newsletter
    if edit.number is not None:
        edition.held_edition(session, name, edit.number)
    seq = int(form["seq"]) if form.get("seq", "").isdecimal() and len(form["seq"]) < 19 else 0
    paper = newsletters.find(session, name)
    story = edition_stories.story_id_at(session, paper.id or 0, seq, title=form.get("title", ""))
    if story is None:
        raise UserError("that story is no longer where it was", hint="look again, and choose it there")
    return story


def _pin(session: Session, edit: Edit, story: int, *, pinned: bool) -> None:
    edition.pin(session, edit.newsletter, story, pinned=pinned)


def _drop(session: Session, edit: Edit, story: int, *, dropped: bool) -> None:
    edition.drop(session, edit.newsletter, story, dropped=dropped)


def _move(session: Session, edit: Edit, story: int) -> None:
    topics = curate.headings(edit.config.newsletters[edit.newsletter].topics)
    edition.move(session, edit.newsletter, story, edit.form.get("topic", ""), topics=topics)


def reword(edit: Edit) -> None:
    """Other words, and another picture: that is asked for before, while no transaction is open."""
    form = edit.form
    picture = _picture(edit, form.get("other", "").strip() or form.get("picture", ""))
    wanted = edition.Rewording(form.get("new_title"), form.get("excerpt"), picture)

    def do(session: Session, edit: Edit, story: int) -> None:
        edition.reword(session, edit.newsletter, story, wanted)

    on_story(do, edit)


def _picture(edit: Edit, wish: str) -> Found | Literal["none", "auto"] | None:
    if wish in ("", edit.form.get("picture_was", "")):
        return None
    if wish in ("none", "auto"):
        return wish  # type: ignore[return-value]
    if edit.picture is None:
        raise HTTPException(404)
    _changed(edit, lambda session: None)  # what is seen may not be admitted yet
    with edit.database.read() as session:
        wanted = edition.asked_for(session, edit.newsletter, _story(session, edit), wish)
    return edit.picture(edit.config, edit.database, wanted)


BUTTONS: dict[str, Callable[[Edit], None]] = {
    "note": note,
    "approve": approve,
    "pin": partial(on_story, partial(_pin, pinned=True)),
    "unpin": partial(on_story, partial(_pin, pinned=False)),
    "drop": partial(on_story, partial(_drop, dropped=True)),
    "undrop": partial(on_story, partial(_drop, dropped=False)),
    "move": partial(on_story, _move),
    "edit": reword,
    "arrange": arrange,
    "undo": undo,
}
