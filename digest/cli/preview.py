"""`digest preview`: tomorrow's edition, today."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import NewsletterName, Options, now
from digest.errors import NotFound, StorageError, UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.render import Rendered
    from digest.store import Database


def preview(
    context: typer.Context,
    newsletter: NewsletterName = None,
    edition: Annotated[int | None, typer.Option(metavar="N", help="A past edition instead of the next one.")] = None,
    reader: Annotated[str | None, typer.Option("--as", metavar="EMAIL", help="As this subscriber will get it.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    text: Annotated[bool, typer.Option("--text", help="The text part instead of the HTML.")] = False,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Render the edition that the next run would send from the entries collected so far. Changes nothing.

    Without --as it is the variant that most subscribers get. The text part goes to standard output.

    Example: digest preview --text
    """
    options: Options = context.obj
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        rendered = _past(database, name, edition) if edition is not None else _next(database, config, name, reader)
    options.say(f"subject: {rendered.subject}")
    body = rendered.text if text else rendered.html
    if text and out is None:
        print(body, end="")
        return
    path = out or Path(tempfile.mkdtemp(prefix="digest-preview-")) / "edition.html"
    try:
        path.write_text(body, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from None
    print(path)
    if show and not text and not webbrowser.open(path.absolute().as_uri()):
        options.say("no browser was found here; open that file yourself")


def _past(database: Database, name: str, number: int) -> Rendered:
    from digest import store
    from digest.render import Rendered

    with database.read() as session:
        found = store.edition_line(session, store.newsletter(session, name).id or 0, number)
        if found is None:
            raise NotFound(f"{name} has no edition {number}", hint="`digest edition list` shows what there is")
        variant = store.edition_variants(session, found.id)[0]
        return Rendered(variant.subject, variant.html, variant.text)


def _next(database: Database, config: Config, name: str, reader: str | None) -> Rendered:
    from digest import edition, store, subscribe

    moment = now()
    with database.rehearse() as rehearsal, rehearsal.write() as session:
        edition.admit(session, name, config.newsletters[name], config.curate, now=moment)
        choices = None
        if reader is not None:
            choices = store.choices_of(session, store.newsletter(session, name).id or 0, subscribe.address(reader))
            if choices is None:
                raise NotFound(f"{reader} does not subscribe to {name}", hint="`digest subscriber list` shows who does")
        draft = edition.preview(session, name, config, now=moment, choices=choices)
    if draft is None:
        raise UserError(
            "there are not enough new stories for an edition yet",
            hint="`digest collect` asks the feeds; --edition N shows a past one",
        )
    return draft.rendered
