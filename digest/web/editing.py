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
class Press:
    """A button pressed: for which newsletter and edition (None: the one to come), and what stood beside it."""

    database: Database
    config: Config
    newsletter: str
    number: int | None
    form: Mapping[str, str]
    now: datetime


def act(verb: str, press: Press) -> None:
    """UserError where it cannot be done as things stand, 404 for a button that there is not."""
    if verb not in BUTTONS:
        raise HTTPException(404)
    BUTTONS[verb](press)


def note(press: Press) -> None:
    edition.annotate(press.database, press.newsletter, press.config, press.form.get("note", ""), number=press.number)


def approve(press: Press) -> None:
    with press.database.write() as session:
        edition.approve(session, press.newsletter, press.number or 0, now=press.now)


def on_story(do: Callable[[Session, Press, int], None], press: Press) -> None:
    """Let `do` change the story that the button stood beside, and the edition follow."""

    def change(session: Session) -> None:
        do(session, press, _story(session, press))

    name, config = press.newsletter, press.config
    if press.number is not None:
        edition.recompose(press.database, name, config, press.number, change)
        return
    # What is seen may not be admitted yet: a story has its number only then.
    edition.take_in(press.database, name, config.newsletters[name], config.curate, now=press.now)
    with press.database.write() as session:
        change(session)


def _story(session: Session, press: Press) -> int:
    """Its id; UserError where another stands in its place by now."""
    form, name = press.form, press.newsletter
    if press.number is not None:
        edition.held_edition(session, name, press.number)
    seq = int(form["seq"]) if form.get("seq", "").isdecimal() and len(form["seq"]) < 19 else 0
    paper = newsletters.find(session, name)
    story = editions.story_id_at(session, paper.id or 0, seq, title=form.get("title", ""))
    if story is None:
        raise UserError("that story is no longer where it was", hint="look again, and choose it there")
    return story


def _pin(session: Session, press: Press, story: int, *, pinned: bool) -> None:
    edition.pin(session, press.newsletter, story, pinned=pinned)


def _drop(session: Session, press: Press, story: int, *, dropped: bool) -> None:
    edition.drop(session, press.newsletter, story, dropped=dropped)


def _move(session: Session, press: Press, story: int) -> None:
    topics = curate.headings(press.config.newsletters[press.newsletter].topics)
    edition.move(session, press.newsletter, story, press.form.get("topic", ""), topics=topics)


BUTTONS: dict[str, Callable[[Press], None]] = {
    "note": note,
    "approve": approve,
    "pin": partial(on_story, partial(_pin, pinned=True)),
    "unpin": partial(on_story, partial(_pin, pinned=False)),
    "drop": partial(on_story, partial(_drop, dropped=True)),
    "undrop": partial(on_story, partial(_drop, dropped=False)),
    "move": partial(on_story, _move),
}
