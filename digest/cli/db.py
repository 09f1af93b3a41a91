"""`digest db …`: the database as a whole: upgraded, looked through, and moved to another place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, print_facts, print_json, print_rows
from digest.cli.options import DryRun, Json
from digest.errors import NotFound

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database

app = typer.Typer(no_args_is_help=True, help="The database as a whole: upgrade it, look through it, move it.")


@app.command()
def upgrade(
    context: typer.Context,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Make none before: there is no way back then.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bring the tables up to this release, after a backup of how they were.

    Every command that works with the database does so by itself; this one does nothing else. It happens wholly or not
    at all, and the backup is kept ([keep] upgrade_backups). With --dry-run the migrations are shown, and how many rows
    the tables have that each of them goes through.

    Example: digest db upgrade --dry-run
    """
    from digest.store import open_database, upgrades
    from digest.store.database import head

    options: Options = context.obj
    config = options.load(partly=True)
    with _as_it_is(config) as (database, found):
        steps = upgrades.pending(database) if found != head() else []
    facts: dict[str, Any] = {"database": config.database_name, "revision": found, "release": head()}
    if dry_run or not steps:
        _show(options, facts, steps, as_json=as_json)
        return
    keeper = options.keeper(config)
    if no_backup:
        keeper.most = 0
    open_database(config.database_url, before=keeper).close()
    facts |= {"revision": head(), "backup": str(keeper.made) if keeper.made else None}
    if as_json:
        print_json(facts | {"migrations": [asdict(step) for step in steps]})
    else:
        print_facts(facts)
        options.say(upgrades.words(keeper, found))


def _show(options: Options, facts: dict[str, Any], steps: list[Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts | {"migrations": [asdict(step) for step in steps]})
        return
    if not steps:
        print_facts(facts)
        options.say("it is of this release: there is nothing to upgrade")
        return
    rows = [
        (step.revision, step.what, ", ".join(f"{name} {how} ({number:,} rows)" for name, how, number in step.tables))
        for step in steps
    ]
    print_rows(("revision", "what", "tables"), rows)
    options.say("nothing was changed")


@app.command()
def check(
    context: typer.Context,
    mend: Annotated[
        bool, typer.Option("--mend", help="Make indexes that are missing, and let no number be given twice.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look through the database: is it whole, of this release, and are its tables as they should be?

    It reads all of it, and changes nothing, unless --mend is said. Exit 0 where nothing is wrong, 74 where it is
    damaged or of a newer release, 65 where rows or tables are not as they should be, 69 where it is of an older release
    or a copy that is not done, 78 where it was moved.

    Example: digest db check
    """
    from digest.store import open_database, soundness

    options: Options = context.obj
    config = options.load(partly=True)
    database = open_database(config.database_url, upgrade=False)
    try:
        found = list(soundness.flaws(database))
        mended = [flaw for flaw in found if mend and soundness.mend(database, flaw)]
        if mended:
            found = list(soundness.flaws(database))
    finally:
        database.close()
    for flaw in mended:
        options.say(f"mended: {flaw.what}")
    if as_json:
        rows = [{"what": flaw.what, "cure": flaw.cure, "exit_code": int(flaw.exit_code)} for flaw in found]
        print_json({"database": config.database_name, "flaws": rows, "mended": [flaw.what for flaw in mended]})
    elif found:
        print_rows(("what", "cure"), [(flaw.what, flaw.cure) for flaw in found])
    else:
        options.say(f"the database {config.database_name} is sound")
    raise typer.Exit(next((flaw.exit_code for flaw in found if flaw.exit_code), 0))


@contextmanager
def _as_it_is(config: Config) -> Iterator[tuple[Database, str]]:
    """The database without an upgrade, and its revision. NotFound where it has no tables."""
    from digest.store import open_database
    from digest.store.database import judge_revision, revision

    database = open_database(config.database_url, upgrade=False)
    try:
        with database.read() as session:
            found = revision(session.connection())
        judge_revision(found)
        if found is None:
            raise NotFound(f"{database.name} has no tables yet", hint="digest init makes them")
        yield database, found
    finally:
        database.close()
