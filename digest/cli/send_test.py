"""`digest send-test`: the next edition, now, to one address."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, now
from digest.cli.options import DryRun, NewsletterName
from digest.errors import BadInput, TryAgain, Unavailable

if TYPE_CHECKING:
    from digest.config import Config
    from digest.letter import Letter
    from digest.render import Rendered
    from digest.store import Database


def send_test(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Where to send it.")],
    newsletter: NewsletterName = None,
    number: Annotated[int | None, typer.Option("--edition", metavar="N", help="A past edition.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Send what `digest preview` shows to one address, now. It touches no outbox and no subscriber.

    Where no story waits, it is a sample. Its personal links lead to the start page, the server's answer is printed.

    Example: digest send-test you@example.org
    """
    from digest import edition, line, subscribe

    options: Options = context.obj
    to = subscribe.address(email)
    moment = now()
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        options.judge(config, newsletter=name)
        if number is not None:
            with database.read() as session:
                rendered = edition.shown(session, name, number).rendered
        else:
            with database.rehearse() as rehearsal:
                line.admit(rehearsal, config, name, now=moment)
                edition.use_known_texts(rehearsal, name, config, now=moment)
                with rehearsal.read() as session:
                    draft = edition.preview(session, name, config, now=moment)
            rendered = draft.rendered if draft else edition.sample(name, config, now=moment)
            if draft is None:
                options.say("there are not enough new stories for an edition yet: this is a sample")
        letter = _letter(config, database, name, rendered, to=to, at=moment)
        options.say(f"“{rendered.subject}” to {to}, {letter.size} bytes")
        if dry_run:
            return
        print(handed_over(config, name, letter))


def send(config: Config, database: Database, name: str, rendered: Rendered, *, to: str, at: datetime) -> str:
    """Send a mail to one address, now; what the server says. BadInput, TryAgain or Unavailable say why not."""
    from digest import subscribe

    return handed_over(config, name, _letter(config, database, name, rendered, to=subscribe.address(to), at=at))


def _letter(config: Config, database: Database, name: str, rendered: Rendered, *, to: str, at: datetime) -> Letter:
    from digest import deliver, edition
    from digest.letter import Sender

    settings = config.newsletters[name]
    if rendered.marks is None:  # a mail to one person, as `preview --mail` shows it: of no list
        sender = Sender(settings.sender, at)
    else:
        sender = Sender(settings.sender, at, settings.reply_to or "", name, title=settings.title)
    brought = edition.brought(database, rendered.html)
    return deliver.for_one(config, rendered, sender=sender, to=to, number=int(at.timestamp()), attached=brought)


def handed_over(config: Config, name: str, letter: Letter, *, relay: str = "") -> str:
    """Where one letter went, sent now, and what the server said; BadInput, TryAgain or Unavailable where it did not."""
    from digest import deliver
    from digest.errors import Deferred, Refused, RelayDown

    try:
        return deliver.send_one(config, letter, newsletter=name, relay=relay)
    except Refused as error:
        raise BadInput(f"the mail server refuses it: {error}", hint="nothing was sent") from None
    except Deferred as error:
        raise TryAgain(f"it could not be sent: {error}", hint="nothing was sent; try it again later") from None
    except RelayDown as error:
        raise Unavailable(f"it could not be sent: {error}", hint="see [smtp] in the settings") from None
