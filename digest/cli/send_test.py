"""`digest send-test`: the next edition, now, to one address."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import DryRun, NewsletterName, Options, now
from digest.errors import BadInput, TryAgain, UserError


def send_test(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Where to send it.")],
    newsletter: NewsletterName = None,
    dry_run: DryRun = False,
) -> None:
    """Send what `digest preview` shows to one address, now. It touches no outbox and no subscriber.

    Its personal links lead to the start page. The mail server's answer is printed.

    Example: digest send-test you@example.org
    """
    from digest import deliver, edition, subscribe
    from digest.errors import Deferred, Refused, RelayDown
    from digest.letter import Sender

    options: Options = context.obj
    to = subscribe.address(email)
    moment = now()
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        with database.rehearse() as rehearsal:
            edition.take_in(rehearsal, name, settings, config.curate, now=moment)
            with rehearsal.read() as session:
                draft = edition.preview(session, name, config, now=moment)
        if draft is None:
            raise UserError(
                "there are not enough new stories for an edition yet", hint="`digest collect` asks the feeds"
            )
        sender = Sender(settings.sender, moment, settings.reply_to or "", name)
        letter = deliver.for_one(config, draft.rendered, sender=sender, to=to, number=int(moment.timestamp()))
        options.say(f"“{draft.rendered.subject}” to {to}, {letter.size} bytes")
        if dry_run:
            return
        try:
            print(deliver.send_one(config, letter))
        except Refused as error:
            raise BadInput(f"the mail server refuses it: {error}", hint="nothing was sent") from None
        except (Deferred, RelayDown) as error:
            raise TryAgain(f"it could not be sent: {error}", hint="see [smtp] in the settings") from None
