"""The buttons of the editor's page: what each of them changes in an edition that is to come, or that is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlmodel import Session
from starlette.exceptions import HTTPException

from digest import curate, edition
from digest.config import Config
from digest.errors import UserError
from digest.store import Database, editions, newsletters


@dataclass(frozen=True)
class Edit:
    """What an editor wants changed, in which edition (None: the one to come), and what stood beside the button."""

    database: Database
    config: Config
    newsletter: str
    number: int | None
    form: Mapping[str, str]
    now: datetime


def act(verb: str, edit: Edit) -> None:
    """UserError where it cannot be done as things stand, 404 for a button that there is not."""
    if verb not in BUTTONS:
        raise HTTPException(404)
    BUTTONS[verb](edit)


def note(edit: Edit) -> None:
    edition.annotate(edit.database, edit.newsletter, edit.config, edit.form.get("note", ""), number=edit.number)


def approve(edit: Edit) -> None:
    with edit.database.latest() as session:
        edition.approve(session, edit.newsletter, edit.number or 0, now=edit.now)


def on_story(do: Callable[[Session, Edit, int], None], edit: Edit) -> None:
    """Let `do` change the story that the button stood beside, and the edition follow."""

    def change(session: Session) -> None:
        do(session, edit, _story(session, edit))

    name, config = edit.newsletter, edit.config
    if edit.number is not None:
        edition.recompose(edit.database, name, config, edit.number, change)
        return
    # What is seen may not be admitted yet: a story has its number only then. Not in an older copy: it had one.
    edit.database.require_latest()
    edition.take_in(edit.database, name, config.newsletters[name], config.curate, now=edit.now)
    with edit.database.write() as session:
        change(session)


def _story(session: Session, edit: Edit) -> int:
    """Its id; UserError where another stands in its place by now."""
    form, name = edit.form, edit.newsletter
    if edit.number is not None:
        edition.held_edition(session, name, edit.number)
    seq = int(form["seq"]) if form.get("seq", "").isdecimal() and len(form["seq"]) < 19 else 0
    paper = newsletters.find(session, name)
    story = editions.story_id_at(session, paper.id or 0, seq, title=form.get("title", ""))
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


BUTTONS: dict[str, Callable[[Edit], None]] = {
    "note": note,
    "approve": approve,
    "pin": partial(on_story, partial(_pin, pinned=True)),
    "unpin": partial(on_story, partial(_pin, pinned=False)),
    "drop": partial(on_story, partial(_drop, dropped=True)),
    "undrop": partial(on_story, partial(_drop, dropped=False)),
    "move": partial(on_story, _move),
}
