"""`digest preview --serve`: the editor's page, and what it asks of the machine: mail servers, spamd, a browser."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from digest.cli import pictures, preview_ask, preview_mail
from digest.cli.common import Options, moment, now, print_json

if TYPE_CHECKING:
    from digest.config import Config
    from digest.edition import Shown
    from digest.store import Database


@dataclass(frozen=True)
class Wanted:
    """What is shown to who asks for nothing else, as the options say it."""

    newsletter: str | None
    edition: int | None
    reader: str | None
    at: datetime | None
    mail: str
    language: str


def serve(options: Options, wanted: Wanted, *, port: int, opens: bool, as_json: bool) -> None:
    """Serve the page until it is ended; its address is the first line, or one JSON object. CannotListen: no port."""
    import secrets
    import socket

    import uvicorn

    from digest.cli.preview import look
    from digest.web.preview import Tools, Wish, application

    with options.open() as (config, database):
        name, _ = config.newsletter(wanted.newsletter)
        options.judge(config, newsletter=name, writes=False)
        token = secrets.token_urlsafe(16)
        lookup = partial(preview_ask.lookup, database=database)
        at = wanted.at.isoformat(timespec="minutes") if wanted.at else ""
        page = application(
            database,
            load=options.load,
            look=look,
            wish=Wish(name, wanted.edition, wanted.reader or "", at, wanted.mail, wanted.language),
            token=token,
            clock=now,
            moment=moment,
            tools=Tools(preview_mail.message, _send, lookup, preview_ask.spam, pictures.had),
        )
        try:
            listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            from digest.cli.serve import cannot_listen

            hint = "another one with --port, any with --port 0"
            raise cannot_listen(error, f"127.0.0.1 port {port}", hint) from None
        with listener, tempfile.TemporaryDirectory(prefix="digest-preview-") as folder:
            # The token is in the address: no other user of this machine, and no web site, can look or post.
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/{token}/"
            if as_json:
                print_json({"newsletter": name, "url": url})
            else:
                print(url)
            sys.stdout.flush()
            options.say("Ctrl-C ends it")
            if opens and not webbrowser.open(_handed_over(url, Path(folder)).as_uri()):
                options.say("no browser was found here; open that address yourself")
            server = uvicorn.Server(uvicorn.Config(page, log_level="warning"))
            server.run(sockets=[listener])


def _send(config: Config, database: Database, name: str, shown: Shown, to: str) -> str:
    """Send what is shown to one address, now; what the server says."""
    from digest.cli import send_test

    return send_test.send(config, database, name, shown.rendered, to=to, at=now())


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
