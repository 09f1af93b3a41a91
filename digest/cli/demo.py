"""`digest demo`: the whole line in one minute, on this machine alone."""

from __future__ import annotations

import contextlib
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, now
from digest.cli.run import whole_line
from digest.errors import StorageError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.demo.catcher import Message
    from digest.store import Database

# No topics: all of them.
READERS = (
    ("ada@reader.example", "Ada", ()),
    ("grace@reader.example", "Grace", ("security", "ai")),
    ("edsger@reader.example", "Edsger", ("databases", "distributed", "systems")),
)


def demo(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the mails there as .eml files, exactly as received.")
    ] = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the first mail in the browser.")] = True,
) -> None:
    """See everything work, with no set-up and no network. Sample feeds go in, real mails come out.

    A temporary database, nine sample feeds served on loopback (one of them broken), three subscribers with
    different topics, and an embedded mail server that keeps what it gets. The steps are those of `digest run`.

    Example: digest demo --no-open --out mails
    """
    from email import message_from_bytes, policy

    from digest.demo.catcher import Catcher
    from digest.demo.site import FeedSite
    from digest.store import open_database

    options: Options = context.obj
    if out is not None:
        _make(out)
    with tempfile.TemporaryDirectory(prefix="digest-demo-") as folder, FeedSite(now()) as site, Catcher() as catcher:
        config = _settings(Path(folder), catcher.url)
        database = open_database(config.database_url, create=True)
        with contextlib.closing(database):
            _fill(database, config, site.urls)
            options.say(
                f"demo: {len(site.urls)} feeds on loopback, {len(READERS)} subscribers, a mail server at {catcher.url}"
            )
            outcome = whole_line(options, config, database)
        mails = sorted(catcher.messages, key=lambda mail: [email for email, *_ in READERS].index(mail.recipient))
        if out is not None:
            catcher.write(out)
    for mail in mails:
        message = message_from_bytes(mail.content, policy=policy.default)
        options.say(f"mail: to {mail.recipient}, {len(mail.content) // 1000} kB: {message['subject']}")
    if mails:
        _open_mail(mails[0], out or Path(tempfile.mkdtemp(prefix="digest-demo-mail-")), options, show=show)
    options.say("next: digest init, and the README: five minutes to your own")
    raise typer.Exit(outcome.exit_code)


def _settings(folder: Path, smtp_url: str) -> Config:
    from digest import config

    values = {
        "secret_key": config.new_secret(),
        "base_url": "http://digest.example",
        "smtp": {"url": smtp_url},
        # All is on loopback, and each sample feed is as long as it is meant to be.
        "collect": {"allow_private_addresses": True},
        "curate": {"newest_of_new_feed": 12, "new_feed_days": 14},
        "newsletters": {
            "daily": {
                "title": "The Distributed Daily",
                "from": "The Distributed Daily <daily@digest.example>",
                "postal_address": "The Distributed Daily, 1 Example Street, 10115 Berlin, Germany",
            }
        },
    }
    # Not the environment: DIGEST_SMTP__URL of a real set-up would send these letters to a real server.
    return config.from_values(values, folder / config.FILE, environment=False)


def _fill(database: Database, config: Config, feeds: list[tuple[str, str, str | None]]) -> None:
    from digest import collect, curate, subscribe
    from digest.store import newsletters

    moment = now()
    newsletters.keep(database, config.newsletters, now=moment)
    for url, title, topic in feeds:
        collect.add_feed(database, url, newsletter="daily", title=title, topic=topic or "", now=moment)
    joining = subscribe.Joining("daily", curate.headings({}), config.lasting_key)
    for email, name, topics in READERS:
        chosen = subscribe.Preferences(topics=tuple(topics))
        with database.write() as session:
            said = subscribe.Evidence("demo", moment)
            subscribe.add(session, email, joining, evidence=said, preferences=chosen, name=name)


def _open_mail(mail: Message, folder: Path, options: Options, *, show: bool) -> None:
    """The HTML part as a file that a browser opens; its path goes to standard output."""
    from email import message_from_bytes, policy

    from digest.render.shown import embedded

    read = message_from_bytes(mail.content, policy=policy.default)
    body = read.get_body(("html",))
    if body is None:
        raise AssertionError("a letter without HTML")
    path = folder / "mail.html"
    brought = [part for part in read.walk() if part.get_content_maintype() == "image"]
    data = {str(part["Content-ID"]).strip("<>").partition("@")[0]: part.get_content() for part in brought}
    path.write_text(embedded(body.get_content(), data), encoding="utf-8")
    print(path)
    if show and not webbrowser.open(path.absolute().as_uri()):
        options.say("no browser was found here; open that file yourself")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}", hint="name another folder with --out"
        ) from None
