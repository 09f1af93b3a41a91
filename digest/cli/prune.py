"""`digest db prune`: let go of what is kept no longer, now and all of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_json, print_rows
from digest.cli.options import DryRun, Json
from digest.cli.progress import heed_clock, stop_between_letters

if TYPE_CHECKING:
    from digest.store.keeping import Pruned

_WHAT = {
    "mails": "mails of variants that the archive does not show",
    "letters": "letters, into rolls",
    "texts": "texts of entries",
    "places": "places of stories in variants that the archive does not show",
    "entries": "entries, and their stories",
    "notices": "mails of no edition",
    "reports": "mails that came back",
}


def prune(
    context: typer.Context,
    dry_run: DryRun = False,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="And write the database anew without its free pages, while everybody waits."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Let go of what is older than [keep] says and nobody needs.

    Each run does some of it by itself, once a day. Here it is done whole, in small steps: it may be broken off, and
    letters go out meanwhile. What is old is told by the days on which digest ran, so a wrong clock prunes nothing.
    With --compact the file is as small as can be afterwards; that takes as much room again, and nothing else may run.

    Example: digest db prune --dry-run
    """
    from digest.store import keeping, pages

    options: Options = context.obj
    with options.open(partly=True) as (config, database):
        database.require_latest()
        heed_clock(options, config, database)
        terms = keeping.Terms.of(config)
        if dry_run:
            with database.copied() as copy:
                done = keeping.prune(copy, terms, clock=now, whole=True)
        else:
            with stop_between_letters(options) as stop, _progress(options) as tell:
                done = keeping.prune(database, terms, clock=now, whole=True, stop=stop, tell=tell)
            if compact and done.finished:
                pages.compact(database)
    if as_json:
        print_json(facts(done) | {"dry_run": dry_run, "compacted": compact and done.finished and not dry_run})
        return
    print_rows(
        ("rows", "megabytes", "what"),
        [(f"{done.rows[kind]:,}", f"{done.sizes[kind] / 1e6:.1f}", _WHAT[kind]) for kind in done.rows],
    )
    for words in held_words(done.held):
        options.say(words)
    for kind in done.young:
        options.say(f"{kind}: digest has not run for as many days as they are kept")
    if dry_run:
        options.say("nothing was changed")
    elif not done.finished:
        options.say("broken off: the next run goes on, and so does this command")


@contextmanager
def _progress(options: Options) -> Iterator[Callable[[Pruned], None]]:
    """What was done so far, on a terminal."""
    if options.quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status("pruning", console=Console(stderr=True)) as shown:
        yield lambda done: shown.update("pruning: " + ", ".join(f"{n:,} {kind}" for kind, n in done.rows.items()))


def held_words(held: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What is old enough and is kept, a sentence a reason."""
    found: Counter[str] = Counter()
    for whys in held.values():
        for why, number in whys.items():
            found[why] = max(found[why], number)  # texts and entries are held back for the same reasons
    return [f"kept though old: {number:,} times, since {why}" for why, number in sorted(found.items())]


def facts(done: Pruned) -> dict[str, Any]:
    """What was let go of, for machines."""
    kinds = {
        kind: {"rows": rows, "bytes": done.sizes[kind], "held": done.held.get(kind, {})}
        for kind, rows in done.rows.items()
    }
    return {
        "kinds": kinds,
        "young": done.young,
        "given_back": done.given_back,
        "finished": done.finished,
    }


def register(app: typer.Typer) -> None:
    """Stand among the commands of `digest db`."""
    app.command()(prune)
