"""`digest subscriber ask` and `move`: whether somebody wants letters, and where to."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from digest.cli.common import Options
from digest.cli.many import Whom, do, for_many, one
from digest.cli.options import DryRun, MaybeEmail
from digest.cli.subscriber import evidence


def register(subscribers: typer.Typer) -> None:
    """Stand among the commands of `digest subscriber`."""
    subscribers.command()(ask)
    subscribers.command()(move)


@for_many
def ask(
    context: typer.Context,
    email: MaybeEmail = None,
    *,
    whom: Whom,
) -> None:
    """Owe who has not confirmed a mail that asks them to. Nobody gets two within a day.

    Example: digest subscriber ask --where state=pending --dry-run
    """
    from digest.subscribe import asks

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(whom.newsletter)
        whom = whom.of(paper)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(asks.ask, config=config, evidence=evidence()), "asked to confirm")
            return
        with database.write() as session:
            asked = asks.ask_one(session, address, newsletter=paper, config=config, evidence=evidence())
            if whom.dry_run:
                session.rollback()
    will = "would be" if whom.dry_run else "is"
    options.say(f"{email} {will} asked to confirm {paper}" if asked else f"{email} was asked within a day")


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
