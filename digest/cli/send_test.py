"""`digest send-test`: the next edition, now, to one address."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options, now
from digest.cli.options import DryRun, NewsletterName
from digest.errors import BadInput, TryAgain, Unavailable


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
    from digest import deliver, edition, line, subscribe
    from digest.errors import Deferred, Refused, RelayDown
    from digest.letter import Sender

    options: Options = context.obj
    to = subscribe.address(email)
    moment = now()
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        options.judge(config, newsletter=name)
        if number is not None:
            with database.read() as session:
                rendered = edition.shown(session, name, number).rendered
        else:
            with database.rehearse() as rehearsal:
                line.admit(rehearsal, config, name, now=moment)
                edition.use_full_texts(rehearsal, name, config.curate)
                with rehearsal.read() as session:
                    draft = edition.preview(session, name, config, now=moment)
            rendered = draft.rendered if draft else edition.sample(name, config, now=moment)
            if draft is None:
                options.say("there are not enough new stories for an edition yet: this is a sample")
        sender = Sender(settings.sender, moment, settings.reply_to or "", name, title=settings.title)
        brought = edition.brought(database, rendered.html)
        number = int(moment.timestamp())
        letter = deliver.for_one(config, rendered, sender=sender, to=to, number=number, attached=brought)
        options.say(f"“{rendered.subject}” to {to}, {letter.size} bytes")
        if dry_run:
            return
        try:
            print(deliver.send_one(config, letter, newsletter=name))
        except Refused as error:
            raise BadInput(f"the mail server refuses it: {error}", hint="nothing was sent") from None
        except Deferred as error:
            raise TryAgain(f"it could not be sent: {error}", hint="nothing was sent; try it again later") from None
        except RelayDown as error:
            raise Unavailable(f"it could not be sent: {error}", hint="see [smtp] in the settings") from None
