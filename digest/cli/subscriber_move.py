"""`digest subscriber move`: one person's other address."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options
from digest.cli.options import DryRun
from digest.cli.subscriber import evidence


def register(subscribers: typer.Typer) -> None:
    """Stand among the commands of `digest subscriber`."""
    subscribers.command()(move)


def move(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Their address so far.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Their address from now on.")],
    dry_run: DryRun = False,
) -> None:
    """Write to somebody at another address, because they asked. Choices, history and what they are owed go along.

    Readers can do it themselves on the page of their choices, by a mail to the new address.
    Example: digest subscriber move ada@old.example ada@new.example
    """
    from digest.subscribe import moves

    options: Options = context.obj
    with options.open() as (config, database), database.write() as session:
        moved = moves.move(session, old, new, secret=config.lasting_key, evidence=evidence())
        if dry_run:
            session.rollback()
    will = "would go" if dry_run else "go"
    options.say(f"letters to {old} {will} to {new} from now on" if moved else f"{new} is their address already")
