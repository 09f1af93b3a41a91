"""`digest newsletter …`: whole newsletters, whose settings are in digest.toml or in files of their own beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, count, now, print_rows, uses_words
from digest.cli.many import Whom, do
from digest.cli.options import DryRun, Json, OldName, Yes
from digest.cli.subscriber import evidence
from digest.errors import NotFound, UserError

if TYPE_CHECKING:
    from digest.config import Config

app = typer.Typer(no_args_is_help=True, help="Newsletters: what there is of them, and what they are called.")


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List newsletters, also those that have left the settings, and the file in which each is defined.

    Example: digest newsletter list
    """
    from digest.store import newsletters

    options: Options = context.obj
    with options.open(partly=True) as (config, database), database.read() as session:
        rows = []
        for name in sorted(newsletters.by_name(session)):
            line, settings = newsletters.status(session, name), config.newsletters.get(name)
            broken = config.broken.get(name)
            where = str(config.files.get(name, options.path if settings or broken else ""))
            there = bool(settings or broken)
            rows.append((name, settings.title if settings else "", line.subscribers, line.last_edition, there, where))
    columns = ("newsletter", "title", "subscribers", "last_edition", "in_settings", "defined_in")
    print_rows(columns, rows, as_json=json)


@app.command()
def rename(
    context: typer.Context,
    old: OldName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its name now, as the settings have it.")],
    dry_run: DryRun = False,
) -> None:
    """Let a newsletter follow its new name in the settings. Readers, stories, editions and links of the archive.

    Start `digest serve` again afterwards: it reads the settings when it starts.
    Example: digest newsletter rename daily morning
    """
    from digest.store import newsletters, renames, signup

    options: Options = context.obj
    with options.open() as (config, database):
        if new not in config.newsletters:
            raise NotFound(f"the settings have no newsletter {new!r}", hint=_first(options, config, old, new))
        if old in config.newsletters:
            raise UserError(f"the settings still have the newsletter {old}", hint=_first(options, config, old, new))
        with database.write() as session:
            signup.lock(session)
            if old not in newsletters.by_name(session):
                called = renames.newsletter_called(session, old)
                if called == new:
                    options.say(f"{old} is {new} already: there is nothing to do")
                    return
                raise _unknown(old, called)
            before, after = (newsletters.lock(session, name) for name in sorted((old, new)))
            if before.name != old:
                before, after = after, before
            if renames.begun(session, after):
                raise UserError(
                    f"{new} has stories or editions of its own, and two newsletters do not become one",
                    hint="give the settings another name for one of them",
                )
            done = renames.rename_newsletter(session, before, after)
            if dry_run:
                session.rollback()
    will = "would be" if dry_run else "is"
    options.say(f"{old} {will} {new}: {uses_words(done)}")


def _first(options: Options, config: Config, old: str, new: str = "") -> str:
    """What is to be done in the settings before a command follows them."""
    if file := config.files.get(old):
        if not new:
            return f"take away {file} first"
        if file.stem != old:
            return f'write name = "{new}" in {file} first, this follows it'
        return f"rename {file} to {new}.toml first, this follows it"
    return f"change [newsletters.{old}] in {options.path} first" + (", this follows it" if new else "")


def _unknown(old: str, called: str | None) -> NotFound:
    if called:
        return NotFound(
            f"the newsletter {old} is called {called} now", hint=f"write {called}, or digest newsletter list"
        )
    return NotFound(f"there never was a newsletter {old!r}", hint="digest newsletter list")


@app.command()
def end(context: typer.Context, old: OldName, yes: Yes = False, dry_run: DryRun = False) -> None:
    """End all subscriptions of a newsletter that has left the settings. Their history stays, and so do its editions.

    An edition whose letters were only written in part is cancelled.

    Example: digest newsletter end daily --dry-run
    """
    from digest.store import edition_states, newsletters, renames
    from digest.subscribe import many

    options: Options = context.obj
    with options.open() as (config, database):
        if old in config.newsletters:
            raise UserError(f"the settings still have the newsletter {old}", hint=_first(options, config, old))
        with database.read() as session:
            if old not in newsletters.by_name(session):
                raise _unknown(old, renames.newsletter_called(session, old))
        whom = Whom(None, None, old, yes, dry_run)
        do(options, database, whom, partial(many.remove, evidence=evidence()), "removed")
        if dry_run:
            return
        with database.write() as session:
            number = edition_states.give_up(session, newsletters.lock(session, old).id or 0, "the newsletter ended")
        if number:
            dropped = edition_states.drop_cancelled(database, now=now())
            some = count(dropped, "letter")
            options.say(f"{old} No. {number} was written in part, and is cancelled: {some} dropped")
