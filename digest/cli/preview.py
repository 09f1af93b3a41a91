"""`digest preview`: tomorrow's edition, today."""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import preview_mail, preview_serve, terminal
from digest.cli.common import Options, moment, now, print_json, print_rows
from digest.cli.options import Json, NewsletterName
from digest.errors import Exit, NotFound, StorageError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.edition import Shown
    from digest.render import Rendered
    from digest.store import Database


def preview(
    context: typer.Context,
    newsletter: NewsletterName = None,
    edition: Annotated[int | None, typer.Option(metavar="N", help="A past edition instead of the next one.")] = None,
    reader: Annotated[str | None, typer.Option("--as", metavar="EMAIL", help="As this subscriber will get it.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As of that moment, such as 2026-11-23T07:00+01:00.")
    ] = None,
    mail: Annotated[
        str,
        typer.Option(
            "--mail",
            metavar="KIND",
            help="Another mail than an edition: confirm, reminder, welcome, goodbye, already, move or moved.",
        ),
    ] = "",
    language: Annotated[str, typer.Option("--language", metavar="CODE", help="Of --mail; else the newsletter's.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    text: Annotated[bool, typer.Option("--text", help="The text part instead of the HTML.")] = False,
    eml: Annotated[bool, typer.Option("--eml", help="The whole message, as it would be sent.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether it is fit to be sent; exit 65 if not.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="In the browser, in every guise, kept up to date.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for --serve.")] = 8025,
    show: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open it in the browser; else only on a terminal.")
    ] = None,
    full_text: Annotated[
        bool, typer.Option("--full-text", help="Read the pages of stubs, and pictures, first, as a run does.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Render the edition that the next run would send. It is made of the entries collected so far; nothing is changed.

    Without --as it is the variant that most subscribers get. Text and messages go to standard output.

    Example: digest preview --check
    """
    options: Options = context.obj
    as_of = moment(at) if at else None
    _consistent(mail, edition, language)
    # Whoever reads JSON, or a pipe, is a program: a browser would open on somebody's desk, or hang where there is none.
    opens = not as_json and sys.stdout.isatty() if show is None else show
    if serve:
        wanted = preview_serve.Wanted(newsletter, edition, reader, as_of, mail, language)
        preview_serve.serve(options, wanted, port=port, opens=opens, as_json=as_json)
        return
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        options.judge(config, newsletter=name, templates=not mail, writes=False)
        if full_text and not mail:
            _read_ahead(options, config, database, name)
        shown = look(
            database, config, name, number=edition, reader=reader, at=as_of or now(), mail=mail, language=language
        )
        for words in preview_mail.halves(config.newsletters[name], mail):
            options.warn(words)
        if check:
            _check(options, shown.rendered, as_json=as_json, note=bool(mail))
            return
        if eml:
            content = preview_mail.message(config, database, name, shown, to=reader, note=bool(mail))
        else:
            content = shown.rendered.text.encode() if text else _seen(database, shown)
    path = out
    if as_json:
        made = shown.rendered
        answer = {"newsletter": name, "mail": mail, "subject": made.subject, "html": made.html, "text": made.text}
        if eml:
            answer["eml"] = content.decode("utf-8", "replace")
        if path is not None:
            _write(path, content)
            answer["path"] = str(path)
        print_json(answer)
        return
    options.say(f"subject: {shown.rendered.subject}")
    if (text or eml) and path is None:
        if text:
            print(content.decode(), end="")
        else:
            terminal.write_bytes(content)
        return
    path = path or Path(tempfile.mkdtemp(prefix="digest-preview-")) / f"{mail or 'edition'}.html"
    _write(path, content)
    print(path)
    if opens and not text and not eml and not webbrowser.open(path.absolute().as_uri()):
        options.say("no browser was found here; open that file yourself")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from None


def _read_ahead(options: Options, config: Config, database: Database, name: str) -> None:
    from digest import line
    from digest.cli.progress import telling

    with telling(options, config) as tell:
        line.read_ahead(
            database,
            config,
            name,
            clock=now,
            tell=lambda told: tell(told) if isinstance(told, line.Texts | line.Pictures) else None,
        )


def _consistent(mail: str, edition: int | None, language: str) -> None:
    from digest.errors import UserError

    if mail:
        preview_mail.check_kind(mail, language)
        if edition is not None:
            raise UserError("--mail and --edition are two things to look at", hint="take one of them away")
    elif language:
        raise UserError("--language is of --mail", hint="an edition is in the language of its reader: --as EMAIL")


def look(
    database: Database,
    config: Config,
    name: str,
    *,
    number: int | None,
    reader: str | None,
    at: datetime,
    mail: str = "",
    language: str = "",
) -> Shown:
    """The edition to come, or a past one, as a reader gets it; in a database that forgets it all. Or a `mail`."""
    from digest import edition, line, subscribe
    from digest.store import newsletters, recipients

    if mail:
        return preview_mail.look(database, config, name, kind=mail, language=language, reader=reader, at=at)
    email = subscribe.address(reader) if reader else None
    if number is not None:
        with database.read() as session:
            return edition.shown(session, name, number, email=email)
    with database.rehearse() as rehearsal:
        line.admit(rehearsal, config, name, now=at)
        edition.use_known_texts(rehearsal, name, config, now=at)
        with rehearsal.read() as session:
            choices = None
            if email is not None:
                choices = recipients.choices_of(session, newsletters.find(session, name).id or 0, email)
                if choices is None:
                    raise NotFound(
                        f"{reader} does not subscribe to {name}", hint="`digest subscriber list` shows who does"
                    )
            draft = edition.preview(session, name, config, now=at, choices=choices)
            if draft is None:
                raise NotFound(
                    "there are not enough new stories for an edition yet",
                    hint="`digest collect` asks the feeds; --edition N shows a past one",
                )
            return edition.coming(session, name, draft, at=at)


def _check(options: Options, rendered: Rendered, *, as_json: bool, note: bool) -> None:
    from digest import render

    findings = render.check(rendered, note=note)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_rows(("check", "result", "details"), [(f.check, f.level, f.words) for f in findings])
    if any(f.level == "error" for f in findings):
        raise typer.Exit(Exit.DATAERR)
    options.say("fit to be sent")


def _seen(database: Database, shown: Shown) -> bytes:
    """The HTML with its pictures in it: a file has no server."""
    from digest import edition

    return edition.seen(database, shown.rendered.html).encode()
