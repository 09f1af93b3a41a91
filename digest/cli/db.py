"""`digest db …`: the database as a whole: upgraded, looked through, and moved to another place; see `prune`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, agree, now, print_facts, print_json, print_rows
from digest.cli.options import DryRun, Json, Yes
from digest.errors import NotFound, UserError

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database

app = typer.Typer(no_args_is_help=True, help="The database as a whole: upgrade, check, prune or move it.")


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


@app.command("copy")
def copy_command(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="A file (SQLite), or postgresql://user@host/name.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same; it is new or empty.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Move the database to another place: from SQLite to PostgreSQL, back, or to another file.

    All rows are copied as they are at one moment, in steps, and compared by counts and hashes; the witness goes along.
    Then the old database is at rest: nothing is sent from it any more. Killed at any moment, the same command goes on.
    Exit 75: letters are under way, or somebody wrote to it meanwhile, and nothing was moved; the same command later.
    Leave passwords out: PGPASSWORD, ~/.pgpass or the settings have them.

    Example: digest db copy digest.db postgresql://digest@localhost/digest
    """
    from digest.store import copies

    options: Options = context.obj
    ends = _ends(options, source, target)
    with options.progress("copy") as progress:
        done = copies.copy(ends, now=now(), dry_run=dry_run, progress=progress)
    if as_json:
        print_json(asdict(done) | {"dry_run": dry_run})
        return
    if done.done_before:
        options.say(f"{done.source} was moved to {done.target} before: there is nothing to do")
        return
    print_rows(("table", "rows"), [(name, rows) for name, rows in done.tables.items() if rows])
    if done.mended:
        options.warn(f"{done.mended:,} texts have a NUL, for which PostgreSQL has no room: there a mark stands for it")
    if dry_run:
        options.say(f"all of it can be copied to {done.target}; nothing was changed")
        return
    options.say(f"all is the same in {done.target} ({done.written:,} rows written now)")
    if done.witness:
        options.say(f"the witness is {done.witness}")
    options.say(f"next: name it as `database` in the settings, then digest db check; {done.source} is at rest")


def _ends(options: Options, source: str, target: str) -> Any:
    """Both databases, and who witnesses what is sent from each."""
    from digest.config import database_at, real_file
    from digest.store import copies

    try:
        config: Config | None = options.load(partly=True)
    except NotFound:
        if options.config:
            raise
        config = None
    login = {copies.place(config.database_url): config.database_url} if config else {}
    urls, folders = [], []
    for url in map(database_at, (source, target)):
        urls.append(login.get(copies.place(url), url))
        if config is not None:
            folders.append(config.model_copy(update={"database": url}).witness(options.path))
        elif url.startswith("sqlite"):
            folders.append(Path(f"{real_file(Path(url.removeprefix('sqlite:///')))}.witness"))
        else:
            hint = "digest -c digest.toml db copy FROM TO"
            raise UserError("there are no settings, beside which the witness of a PostgreSQL database is", hint=hint)
    return copies.Ends(urls[0], urls[1], folders[0], folders[1])


@app.command()
def unmove(context: typer.Context, yes: Yes = False) -> None:
    """Go on with a database that was moved elsewhere, after all.

    From the other one nothing may be sent then: each of the two would write to the same readers.

    Example: digest db unmove
    """
    from digest.store import copies

    options: Options = context.obj
    config = options.load(partly=True)
    with _as_it_is(config) as (database, _found):
        to = copies.moved_to(database)
        if not to:
            options.say(f"the database {config.database_name} was not moved: there is nothing to do")
            return
        if not yes:
            agree(f"Is nothing sent from {to}, and will it not be?")
        copies.unmove(database)
    options.say(f"the database {config.database_name} goes on; nothing may be sent from {to} any more")


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
