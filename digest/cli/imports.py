"""`digest import …`: the lists that were taken in, and taking one back; and all of an export."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli import whole
from digest.cli.common import Options, in_words, now, print_facts, print_json, print_rows
from digest.cli.options import DryRun, Json, Limit, NewsletterName

app = typer.Typer(no_args_is_help=True)

Which = Annotated[int, typer.Argument(metavar="NUMBER", help="Of the import, as `digest import list` shows it.")]
_COLUMNS = ("number", "at", "newsletter", "name", "rows", "added", "ended", "suppressed", "by", "undone")


@app.callback(invoke_without_command=True)
def import_(
    context: typer.Context,
    everything: Annotated[
        str | None, typer.Option("--all", metavar="FILE", help="Take all of an export into an empty database.")
    ] = None,
    json: Json = False,
) -> None:
    """Lists that were taken in; and all of another installation.

    Example: digest import --all digest-export.zip
    """
    whole.ask_for_one(everything, context.invoked_subcommand)
    if everything:
        whole.import_all(context.obj, everything, as_json=json)


@app.command("list")
def list_(context: typer.Context, newsletter: NewsletterName = None, limit: Limit = 20, json: Json = False) -> None:
    """List imports, the newest first.

    Example: digest import list
    """
    from digest.store import import_log

    options: Options = context.obj
    with options.open() as (config, database):
        paper = config.newsletter(newsletter)[0] if newsletter else ""
        with database.read() as session:
            runs = import_log.listed(session, newsletter=paper, limit=limit)
    counted = ("rows", "added", "ended", "suppressed")
    rows = [
        (r.number, r.at, r.newsletter, r.name, *(r.counts.get(c, 0) for c in counted), r.vouched_by, r.undone_at)
        for r in runs
    ]
    print_rows(_COLUMNS, rows, as_json=json)


@app.command()
def show(context: typer.Context, number: Which, json: Json = False) -> None:
    """Show one import: what it counted, and what of it can still be taken back.

    Example: digest import show 3
    """
    from dataclasses import asdict

    from digest.store import import_log

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        run = import_log.find(session, number)
    if json:
        print_json(asdict(run))
        return
    facts = asdict(run)
    counts, changes = facts.pop("counts"), facts.pop("changes")
    print_facts(facts | {name: count for name, count in counts.items() if name != "number"})
    options.say(f"can be taken back: {in_words(changes)}" if changes else "nothing of it can be taken back")


@app.command()
def undo(context: typer.Context, number: Which, dry_run: DryRun = False, json: Json = False) -> None:
    """Take back what an import changed, and nobody changed since.

    People it made are forgotten, and letters owed to them dropped; who it ended gets letters again; whom it
    suppressed is let go. Who changed anything since, or was changed, stays as they are, and is counted.
    Example: digest import undo 3 --dry-run
    """
    from digest import curate
    from digest.store import arrivals, import_log
    from digest.subscribe import Evidence

    options: Options = context.obj
    with options.open() as (config, database):
        topics = {name: curate.headings(paper.topics) for name, paper in config.newsletters.items()}
        said = Evidence(f"undo of import {number}", now())
        try:
            with options.progress("undo") as bar:
                done = import_log.undo(database, number, evidence=said, topics=topics, dry_run=dry_run, progress=bar)
        except KeyboardInterrupt:
            options.warn("stopped; the same command takes back the rest")
            raise typer.Exit(130) from None
        with database.read() as session:
            move = arrivals.number_in(import_log.find(session, number).name)
    print_facts({**done.counts, "kept": done.kept}, as_json=json)
    if not done.counts and not done.kept:
        options.say(f"there is nothing of import {number} to take back")
    if move is not None:
        options.say(f"it was a list of move {move}: `digest migrate undo {move}` takes back what else that brought")
    for key in done.kept_first:
        options.say(f"{key}: changed since, and stays")
    if done.kept > len(done.kept_first):
        options.say(f"… and {done.kept - len(done.kept_first)} more")
