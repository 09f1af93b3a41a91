"""`digest preview --mail`: what people get besides editions, in the words that the operator chose."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from digest.errors import BadInput

if TYPE_CHECKING:
    from digest.config import Config, Newsletter
    from digest.edition import Shown
    from digest.render import Reader
    from digest.store import Database


def check_kind(kind: str, language: str) -> None:
    """BadInput for a mail that there is not, or a language that is none."""
    import re

    from digest import render

    if kind not in render.MAILS:
        raise BadInput(f"there is no mail {kind[:40]!r}", hint="mails are: " + ", ".join(render.MAILS))
    if language and not re.fullmatch(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*", language):
        raise BadInput(f"{language[:40]!r} is no language", hint="write it as in --language de or de-AT")


def look(
    database: Database, config: Config, newsletter: str, *, kind: str, language: str, reader: str | None, at: datetime
) -> Shown:
    """A mail as a made-up person gets it, or as a subscriber would; the link in it is of nobody.

    ConfigError where the operator's template fails: then such mails go out in our words.
    """
    from digest import edition
    from digest.render import Templates
    from digest.subscribe import notes

    check_kind(kind, language)
    settings = config.newsletters[newsletter]
    theirs = _person(database, config, newsletter, reader) if reader else notes.SAMPLE
    note = notes.sample(kind, newsletter, config, language=language or theirs.language, reader=theirs)
    return edition.Shown(0, at, Templates(*settings.template_folders).note(note), (), (), "")


def message(config: Config, database: Database, name: str, shown: Shown, *, to: str | None, note: bool) -> bytes:
    """The whole message as `to`, or somebody made up, would get it."""
    from digest import deliver, edition, letter

    settings = config.newsletters[name]
    of_edition = () if note else (settings.reply_to or "", name, shown.number, settings.title)
    sender = letter.Sender(settings.sender, shown.at, *of_edition)
    brought = edition.brought(database, shown.rendered.html)
    made = deliver.for_one(
        config, shown.rendered, sender=sender, to=to or "reader@example.org", number=0, attached=brought
    )
    return made.content


def halves(settings: Newsletter, kind: str) -> list[str]:
    """A word about a mail of which the operator has one part only: the other says what ours says."""
    from digest.render import Templates

    files = {file for file, _language in Templates(*settings.template_folders).replaced()}
    here = files & {f"{kind}.html", f"{kind}.txt"}
    if len(here) != 1:
        return []
    other = "text" if f"{kind}.html" in here else "HTML"
    return [f"there is a {here.pop()} alone: the {other} part of the mail says what ours says"]


def _person(database: Database, config: Config, newsletter: str, email: str) -> Reader:
    from digest import subscribe
    from digest.subscribe import notes

    with database.read() as session:
        person, ours = subscribe.find(session, email, newsletter)
        return notes.reader_of(person, ours, config.newsletters[newsletter])
