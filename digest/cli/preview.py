"""`digest preview`: tomorrow's edition, today."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import preview_mail, terminal
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
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
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
    if serve:
        _serve(options, newsletter, (mail, language), edition, reader, as_of, port=port, show=show)
        return
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        options.judge(config, newsletter=name, templates=not mail)
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
        content = _message(config, database, name, shown, to=reader, note=bool(mail)) if eml else None
        if content is None and not text and not as_json:
            content = _seen(database, shown)
    if as_json:
        made = shown.rendered
        print_json({"newsletter": name, "mail": mail, "subject": made.subject, "html": made.html, "text": made.text})
        return
    options.say(f"subject: {shown.rendered.subject}")
    if content is None:
        content = shown.rendered.text.encode()
    if (text or eml) and out is None:
        if text:
            print(content.decode(), end="")
        else:
            terminal.write_bytes(content)
        return
    path = out or Path(tempfile.mkdtemp(prefix="digest-preview-")) / f"{mail or 'edition'}.html"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from None
    print(path)
    if show and not text and not eml and not webbrowser.open(path.absolute().as_uri()):
        options.say("no browser was found here; open that file yourself")


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
        edition.use_full_texts(rehearsal, name, config.curate)
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


def _message(config: Config, database: Database, name: str, shown: Shown, *, to: str | None, note: bool) -> bytes:
    from digest import deliver, edition, letter

    settings = config.newsletters[name]
    of_edition = () if note else (settings.reply_to or "", name, shown.number, settings.title)
    sender = letter.Sender(settings.sender, shown.at, *of_edition)
    brought = edition.brought(database, shown.rendered.html)
    made = deliver.for_one(
        config, shown.rendered, sender=sender, to=to or "reader@example.org", number=0, attached=brought
    )
    return made.content


def _serve(
    options: Options,
    newsletter: str | None,
    mail: tuple[str, str],
    number: int | None,
    reader: str | None,
    at: datetime | None,
    *,
    port: int,
    show: bool,
) -> None:
    import secrets
    import socket

    import uvicorn

    from digest.web.preview import Wish, application

    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        options.judge(config, newsletter=name)
        token = secrets.token_urlsafe(16)
        page = application(
            database,
            load=options.load,
            look=look,
            wish=Wish(name, number, reader or "", at.isoformat(timespec="minutes") if at else "", *mail),
            token=token,
            clock=now,
            moment=moment,
        )
        try:
            listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise StorageError(
                f"cannot listen on port {port}: {error.strerror}", hint="another one with --port, any with --port 0"
            ) from None
        with listener, tempfile.TemporaryDirectory(prefix="digest-preview-") as folder:
            # The token is in the address: no other user of this machine, and no web site, can look or post.
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/{token}/"
            print(url, flush=True)
            options.say("Ctrl-C ends it")
            if show and not webbrowser.open(_handed_over(url, Path(folder)).as_uri()):
                options.say("no browser was found here; open that address yourself")
            server = uvicorn.Server(uvicorn.Config(page, log_level="warning"))
            server.run(sockets=[listener])


def _handed_over(url: str, folder: Path) -> Path:
    """A file that only we can read and that leads to `url`: what a browser is started with, everybody can read."""
    path = folder / "open.html"
    page = (
        f'<!DOCTYPE html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={url}"><title>digest</title><a href="{url}">The preview</a>\n'
    )
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(page)
    return path
