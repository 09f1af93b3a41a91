"""`digest subscriber import` and `export`: whole lists, as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from digest.cli.common import Options, myself, now, print_facts
from digest.cli.many import Whom, found
from digest.cli.names import lost, tell_lost
from digest.cli.options import DryRun, FromFile, Json, NewsletterName, VouchedBy, Where

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.subscribe import Imported, Plan, Terms


def register(subscribers: typer.Typer) -> None:
    """Stand among the commands of `digest subscriber`."""
    subscribers.command("import")(import_)
    subscribers.command()(export)


def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A CSV file; - reads standard input.")],
    newsletter: NewsletterName = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="SERVICE", help="Whose export it is, where its titles do not say so.")
    ] = "",
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field stands: a title or a number from 1."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore-column", metavar="COLUMN", help="It says nothing, on purpose.")
    ] = None,
    as_: Annotated[
        str,
        typer.Option("--as", metavar="STATE", help="What its people are: active, pending, unsubscribed or suppressed."),
    ] = "",
    dates: Annotated[
        str, typer.Option("--dates", metavar="ORDER", help="day-first or month-first, where it can be both.")
    ] = "",
    encoding: Annotated[
        str, typer.Option("--encoding", metavar="NAME", help="As in cp1251; else it is found out.")
    ] = "",
    update: Annotated[
        str, typer.Option("--update", metavar="FIELDS", help="What of people who are here is changed: name,tags,…")
    ] = "",
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="Those whom the file calls unconfirmed have confirmed elsewhere.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Owe those who are unconfirmed a mail that asks them to confirm.")
    ] = False,
    vouched_by: VouchedBy = None,
    rejects: Annotated[
        str | None, typer.Option("--rejects", metavar="FILE", help="Where refused rows go; else FILE.rejects.csv.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The file was exported with --raw.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also where it changes much of the list.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take in a list from another service, or any CSV.

    First the plan: what each column is taken for, and what comes of the rows. A column that speaks of consent and is
    not understood stops it. All of it is stored or nothing, and `digest import undo` takes it back; who left stays
    gone; rows that are no subscriber are kept in a file, and the exit code is then 65. Who did not confirm
    elsewhere gets nothing until they do: --ask sends them a mail with a button, --confirmed says that they did.
    Example: digest subscriber import mailchimp.csv --dry-run
    """
    from digest import subscribe

    options: Options = context.obj
    said = subscribe.Terms(
        name="standard input" if file == "-" else Path(file).name,
        now=now(),
        known_topics=(),
        secret="",
        vouched_by=vouched_by or myself(),
        confirmed=confirmed,
        raw=raw,
        mapping=_mapping(map_ or [], subscribe.MAPPABLE),
        ignore=tuple(ignore or ()),
        dates=_one_of("--dates", dates, ("day-first", "month-first")),
        encoding=encoding,
        service=from_.lower(),
        meaning=_one_of("--as", as_, tuple(subscribe.MEANINGS)),
        update=tuple(_one_of("--update", f.strip(), subscribe.UPDATABLE) for f in update.split(",") if f.strip()),
    )
    how = _How(Path(rejects) if rejects else _beside(file), ask=ask, yes=yes, dry_run=dry_run, json=json)
    _take_in(options, file, newsletter, said, how)


@dataclass(frozen=True)
class _How:
    """How an import is run, and told."""

    rejects: Path
    ask: bool
    yes: bool
    dry_run: bool
    json: bool


def take_in(options: Options, file: str, newsletter: str, said: Terms, *, yes: bool, dry_run: bool, json: bool) -> None:
    """Take in a list for whoever moves here, as `digest subscriber import` does; refused rows end in typer.Exit(65)."""
    _take_in(options, file, newsletter, said, _How(_beside(file), ask=False, yes=yes, dry_run=dry_run, json=json))


def _beside(file: str) -> Path:
    return Path("subscribers.rejects.csv" if file == "-" else f"{file}.rejects.csv")


def _one_of(option: str, word: str, words: tuple[str, ...]) -> str:
    from digest.errors import UserError

    if word and word not in words:
        raise UserError(f"{option} {word}: there is no such word", hint="one of " + ", ".join(words))
    return word


def _take_in(options: Options, file: str, newsletter: str | None, said: Terms, how: _How) -> None:
    from digest import curate, subscribe
    from digest.cli import import_plan
    from digest.errors import Exit, UserError

    kept = how.rejects
    if kept.exists() and Path(file).exists() and kept.samefile(file):
        raise UserError(f"{kept} is the list itself", hint="name another file with --rejects")
    plans: list[Plan] = []
    parts: list[Imported] = []  # what is stored so far

    with options.open() as (config, database), _seekable(file) as stream:
        paper, settings = config.newsletter(newsletter)
        terms = replace(said, known_topics=curate.headings(settings.topics), secret=config.lasting_key)
        total = stream.seek(0, 2)

        def work(terms: Terms) -> Imported:
            stream.seek(0)
            with ExitStack() as bars:
                bar = bars.enter_context(options.progress("import"))
                storing: list[Callable[..., None]] = []

                def stored(done: Imported, rows: int) -> None:
                    parts[:] = [done]
                    storing[0](rows, done.rows)

                def agree(plan: Plan) -> Callable[[Imported, int], None]:
                    bars.close()  # nobody is asked under a bar
                    plans.append(plan)
                    import_plan.agree(options, plan, yes=how.yes, dry_run=how.dry_run)
                    storing.append(bars.enter_context(options.progress("store")))
                    return stored

                return subscribe.import_csv(
                    database,
                    stream,
                    terms,
                    newsletter=paper,
                    agree=agree,
                    dry_run=how.dry_run,
                    rejects=kept,
                    # Nobody has counted the rows: the bytes tell how many there will be.
                    progress=lambda size, rows: bar(rows, rows * total // max(size, 1)),
                )

        try:
            done = import_plan.asking(terms, work)
        except KeyboardInterrupt:
            options.warn(f"stopped; {_in_part(said.name, parts)}")
            raise typer.Exit(130) from None
        except Exception:
            if parts:
                options.warn(_in_part(said.name, parts))
            raise
        asked = _ask_all(database, config, paper) if how.ask and not how.dry_run else 0
    facts = import_plan.facts(done, plans[-1] if plans else None, as_json=how.json)
    print_facts(facts | ({"asked": asked} if how.ask else {}), as_json=how.json)
    _tell_refused(options, done, said.name)
    if done.number and done.changed and not how.json:
        options.say(f"digest import undo {done.number} takes it back")
    if done.refused:
        if not how.dry_run:
            options.say(f"refused rows are in {kept}: mend and import them")
        raise typer.Exit(Exit.DATAERR)


def _in_part(name: str, parts: list[Imported]) -> str:
    """What is stored of a list whose import ended before its time."""
    if not parts:
        return f"nothing of {name} was stored"
    number = parts[-1].number
    cure = f"the same command takes the rest, `digest import undo {number}` takes it back"
    return f"a part of {name} is stored, as import {number}: {cure}"


def _ask_all(database: Database, config: Config, newsletter: str) -> int:
    """Owe everybody who was imported unconfirmed a mail that asks them; how many. Some in each transaction."""
    from digest.subscribe import signup

    asked = 0
    while True:
        with database.write() as session:
            some = signup.ask_imported(session, newsletter, config=config, now=now())
        if not some:
            return asked
        asked += some


def _tell_refused(options: Options, done: Imported, name: str) -> None:
    for refusal in done.refused_first:
        options.say(f"{name}, line {refusal.line}: {refusal.reason}")
    if done.refused > len(done.refused_first):
        options.say(f"… and {done.refused - len(done.refused_first)} more")


def _mapping(pairs: list[str], fields: tuple[str, ...]) -> dict[str, str]:
    from digest.errors import UserError

    mapping = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or field not in fields:
            raise UserError(f"--map {pair}: write FIELD=COLUMN", hint="fields are: " + ", ".join(fields))
        mapping[field] = column
    return mapping


@contextmanager
def _seekable(file: str) -> Iterator[BinaryIO]:
    """The file, or a private copy of what comes down a pipe."""
    import shutil
    import sys
    import tempfile

    from digest.errors import BadInput, NotFound

    with ExitStack() as stack:
        try:
            stream: BinaryIO = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        except FileNotFoundError:
            raise NotFound(f"there is no file {file}") from None
        except OSError as error:
            raise BadInput(f"cannot read {file}: {error.strerror}") from None
        if file == "-" or not stream.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            stream = copy
        yield stream


def export(
    context: typer.Context,
    newsletter: NewsletterName = None,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", help="Else standard output.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Leave cells that a spreadsheet would run as they are.")] = False,
    where: Where = None,
    file: FromFile = None,
) -> None:
    """Write the list as CSV, or a part of it. `import` makes the same list of it again.

    Cells that begin like a formula get a quote before them, so that a spreadsheet shows them as text.
    Example: digest subscriber export --out subscribers.csv
    """
    import sys

    from digest import curate, subscribe

    options: Options = context.obj
    with options.open() as (config, opened), found(options, opened, Whom(where, file)) as (database, search):
        paper, settings = config.newsletter(newsletter)
        whom, known = search if where or file else None, curate.headings(settings.topics)
        tell_lost(options, config, [one for one in lost(config, database) if one.newsletter == paper])
        if out is None:
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
            count = subscribe.export_csv(database, sys.stdout, newsletter=paper, raw=raw, whom=whom, known_topics=known)
        else:
            with subscribe.private_file(Path(out)) as stream:
                count = subscribe.export_csv(database, stream, newsletter=paper, raw=raw, whom=whom, known_topics=known)
    options.say(f"{count:,} {'row' if count == 1 else 'rows'} of {paper}")
