"""`digest edition approve` and `note`: the editor's last word before an edition goes out."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options, now
from digest.cli.options import NewsletterName


def register(editions: typer.Typer) -> None:
    """Stand among the commands of `digest edition`."""
    editions.command()(approve)
    editions.command()(note)


def approve(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The number in the masthead.")],
    newsletter: NewsletterName = None,
) -> None:
    """Let an edition go that waits for its editor. The next run sends it.

    Example: digest edition approve 12
    """
    from digest import edition

    options: Options = context.obj
    with options.open() as (config, database), database.latest() as session:
        name, _ = config.newsletter(newsletter)
        edition.approve(session, name, number, now=now())
    options.say(f"No. {number} of {name} goes out with the next run")


def note(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="[N] TEXT", help="The words; a number before them names a held edition.")
    ],
    newsletter: NewsletterName = None,
) -> None:
    """Write the editor's note before the stories. It is for the next edition, or a held one; "" takes it away.

    Example: digest edition note "Three teams wrote about the same bug, so it leads."
    """
    from digest import edition

    options: Options = context.obj
    number = int(words[0]) if len(words) > 1 and words[0].isdecimal() else None
    text = " ".join(words if number is None else words[1:])
    with options.open() as (config, database):
        name, _ = config.newsletter(newsletter)
        edition.annotate(database, name, config, text, number=number)
    where = "the next edition" if number is None else f"No. {number}"
    options.say(f"{name}: {where} has {'the' if text.strip() else 'no'} note")
