"""`digest subscriber …`: who gets what, and who said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from digest.cli.common import (
    Domain,
    DryRun,
    Json,
    NewsletterName,
    Options,
    Status,
    moment,
    now,
    print_facts,
    print_json,
    print_rows,
    reply_status,
)

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.subscribe import Imported

app = typer.Typer(no_args_is_help=True, help="The people who get the newsletters.")

HOW = "command line"

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Their address.")]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", "-t", metavar="SLUG", help="A topic they get; again for more. Else all.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word of yours about them.")]
Name = Annotated[str | None, typer.Option("--name", help="What they are called.")]
Cadence = Annotated[
    str | None,
    typer.Option("--cadence", metavar="WHEN", help="daily, weekdays or 'weekly mon'; '' for every edition."),
]
Hour = Annotated[
    str | None, typer.Option("--hour", metavar="0-23", help="On the clock of --zone; '' for when the edition comes.")
]
Zone = Annotated[
    str | None, typer.Option("--zone", metavar="ZONE", help="As in Europe/Berlin; '' for the newsletter's.")
]
Language = Annotated[
    str | None, typer.Option("--language", metavar="CODE", help="Of dates and fixed words; '' for the newsletter's.")
]
Format = Annotated[str | None, typer.Option("--format", metavar="text|html", help="Text alone, or HTML beside it.")]


def _choices(
    topics: list[str] | None,
    cadence: str | None,
    hour: str | None,
    zone: str | None,
    language: str | None,
    format_: str | None,
) -> dict[str, Any]:
    """What was said of the choices, as `subscribe` takes it."""
    from digest.errors import BadInput

    said: dict[str, Any] = {"topics": topics, "cadence": cadence, "zone": zone, "language": language}
    chosen = {choice: value for choice, value in said.items() if value is not None}
    if hour is not None:
        if hour and not hour.removesuffix(":00").isdecimal():
            raise BadInput(f"{hour!r} is not an hour", hint="hours are 0 to 23")
        chosen["hour"] = int(hour.removesuffix(":00")) if hour else None
    if format_ is not None:
        if format_ not in ("text", "html"):
            raise BadInput(f"{format_!r} is not a format", hint="text or html")
        chosen["plain"] = format_ == "text"
    return chosen


def _myself() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "the operator"


@app.command()
def add(
    context: typer.Context,
    email: Email,
    name: Name = None,
    topic: Topics = None,
    cadence: Cadence = None,
    hour: Hour = None,
    zone: Zone = None,
    language: Language = None,
    format_: Format = None,
    tag: Tags = None,
    newsletter: NewsletterName = None,
    vouched_by: Annotated[
        str | None, typer.Option("--vouched-by", metavar="WHO", help="Who says that they want it; else your login.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="They left, and asked to come back.")] = False,
) -> None:
    """Subscribe somebody who asked for it. They get the latest edition as a welcome, and what comes from now on.

    Example: digest subscriber add ada@example.org --topic ai --cadence weekdays --hour 7 --zone Europe/London
    """
    from digest import curate, subscribe

    options: Options = context.obj
    choices = _choices(topic, cadence, hour, zone, language, format_)
    with options.open() as (config, database):
        paper, settings = config.newsletter(newsletter)
        with database.write() as session:
            added = subscribe.add(
                session,
                email,
                newsletter=paper,
                name=name or "",
                tags=tag or (),
                consent=HOW,
                vouched_by=vouched_by or _myself(),
                again=again,
                welcome=settings.welcome,
                **choices,
                known_topics=curate.headings(settings.topics),
                secret=config.lasting_key,
                now=now(),
            )
    match added.outcome:
        case "added":
            options.say(f"{added.email} gets {paper} from now on")
        case "unchanged":
            options.say(f"{added.email} is subscribed to {paper} already; `digest subscriber set` changes choices")
        case _:
            options.say(f"{added.email} gets {paper} again from now on")


@app.command("list")
def list_(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", "-s", metavar="PART", help="A part of the address.")] = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="pending, active, paused, unsubscribed or suppressed.")
    ] = "",
    topic: Annotated[str, typer.Option("--topic", "-t", metavar="SLUG", help="Who gets this topic.")] = "",
    cadence: Annotated[
        str, typer.Option("--cadence", metavar="WHEN", help="daily, weekdays, weekly, 'weekly mon' or 'every edition'.")
    ] = "",
    tag: Annotated[str, typer.Option("--tag", metavar="TAG", help="Who has this tag.")] = "",
    newsletter: NewsletterName = None,
    after: Annotated[str, typer.Option("--after", metavar="EMAIL", help="Begin behind this address.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many people at most.")] = 50,
    count: Annotated[bool, typer.Option("--count", help="Only how many there are in each state.")] = False,
    json: Json = False,
) -> None:
    """List subscribers by address, a page at a time.

    Example: digest subscriber list --state paused --topic ai
    """
    from digest import subscribe
    from digest.store import listing

    options: Options = context.obj
    with options.open() as (config, database):
        paper = config.newsletter(newsletter)[0] if newsletter else ""
        wanted = subscribe.search(part=search, state=state, topic=topic, cadence=cadence, tag=tag, newsletter=paper)
        with database.read() as session:
            if count:
                print_rows(("newsletter", "state", "subscribers"), listing.counted(session, wanted), as_json=json)
                return
            page = listing.listed(session, wanted, after=after, limit=limit)
    print_rows(
        ("email", "name", "state", "topics", "cadence", "tags", "newsletter", "since", "reason"),
        [(r.email, r.name, r.state, r.topics, r.cadence, r.tags, r.newsletter, r.since, r.reason) for r in page.rows],
        as_json=json,
    )
    if page.more:
        options.say(f"more: --after {page.more}")


@app.command()
def show(context: typer.Context, email: Email, json: Json = False) -> None:
    """Show one person: choices, what they said and when, letters.

    Example: digest subscriber show ada@example.org --json
    """
    from digest import subscribe

    options: Options = context.obj
    with options.open() as (_config, database), database.read() as session:
        facts, parts = subscribe.everything(session, subscribe.known(session, email))
    if json:
        print_json(facts | parts)
        return
    print_facts(facts)
    for title, rows in parts.items():
        if rows:
            print(f"\n{title}")
            print_rows(list(rows[0]), [list(row.values()) for row in rows])


@app.command("set")
def set_(
    context: typer.Context,
    email: Email,
    name: Name = None,
    topic: Topics = None,
    all_topics: Annotated[bool, typer.Option("--all-topics", help="All topics, also those to come.")] = False,
    cadence: Cadence = None,
    hour: Hour = None,
    zone: Zone = None,
    language: Language = None,
    format_: Format = None,
    tag: Tags = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take their tags away.")] = False,
    newsletter: NewsletterName = None,
) -> None:
    """Change a person's name, tags or choices. What is not given stays.

    No story comes twice or never by it: the next letter has all since the last one.
    Example: digest subscriber set ada@example.org --cadence "weekly mon" --hour 18 --zone America/New_York
    """
    from digest import curate, subscribe

    options: Options = context.obj
    choices = _choices([] if all_topics else topic, cadence, hour, zone, language, format_)
    with options.open() as (config, database):
        paper, settings = config.newsletter(newsletter)
        with database.write() as session:
            changed = subscribe.change(
                session,
                email,
                newsletter=paper,
                name=name,
                choices=choices,
                tags=[] if no_tags else tag,
                how=HOW,
                known_topics=curate.headings(settings.topics),
                now=now(),
            )
    options.say(f"{email}: changed" if changed else f"{email}: nothing to change")


@app.command()
def remove(context: typer.Context, email: Email, newsletter: NewsletterName = None, dry_run: DryRun = False) -> None:
    """End a subscription. Its history stays, so that no import brings them back; `erase` forgets a person.

    Example: digest subscriber remove ada@example.org
    """
    from digest import subscribe

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(newsletter)
        with database.write() as session:
            ended = subscribe.remove(session, email, newsletter=paper, how=HOW, now=now())
            if dry_run:
                session.rollback()
    will = "would get" if dry_run else "gets"
    options.say(f"{email} {will} no more of {paper}" if ended else f"{email} had left {paper} before")


@app.command()
def pause(
    context: typer.Context,
    email: Email,
    weeks: Annotated[
        int | None, typer.Option("--weeks", min=1, max=520, help="For so long; else until resumed.")
    ] = None,
    newsletter: NewsletterName = None,
) -> None:
    """Send somebody nothing for a while. What comes meanwhile is not made up for.

    Example: digest subscriber pause ada@example.org --weeks 2
    """
    from datetime import timedelta

    from digest import subscribe

    options: Options = context.obj
    at = now()
    until = at + timedelta(weeks=weeks) if weeks else None
    with options.open() as (config, database):
        paper, _settings = config.newsletter(newsletter)
        with database.write() as session:
            paused = subscribe.pause(session, email, newsletter=paper, until=until, how=HOW, now=at)
    span = f"until {until:%Y-%m-%d}" if until else "until resumed"
    options.say(f"{email} gets no {paper} {span}" if paused else f"{email} was paused already")


@app.command()
def resume(context: typer.Context, email: Email, newsletter: NewsletterName = None) -> None:
    """End a pause: they get the next edition with all others.

    Example: digest subscriber resume ada@example.org
    """
    from digest import subscribe

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(newsletter)
        with database.write() as session:
            resumed = subscribe.resume(session, email, newsletter=paper, how=HOW, now=now())
    options.say(f"{email} gets the next {paper} again" if resumed else f"{email} was not paused")


@app.command()
def suppress(
    context: typer.Context,
    email: Email,
    reason: Annotated[str, typer.Option("--reason", metavar="WORDS", help="Why, for the list.")] = "by hand",
) -> None:
    """Never write to an address again, subscriber or not. `unsuppress` ends it.

    Example: digest subscriber suppress ada@example.org --reason "asked by telephone"
    """
    from digest import subscribe

    options: Options = context.obj
    with options.open() as (_config, database), database.write() as session:
        done = subscribe.suppress(session, email, reason=reason, how=HOW, now=now())
    options.say(f"{email} gets no letters any more" if done else f"{email} was suppressed already")


@app.command()
def unsuppress(
    context: typer.Context,
    email: Annotated[str | None, typer.Argument(metavar="[EMAIL]", help="Their address; else --since.")] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="All that mail servers had suppressed from then on.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="And before then; of a day, to its end.")] = "",
    status: Status = "",
    domain: Domain = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="WORDS", help="Those of this reason instead, as the list shows it.")
    ] = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let an address get letters again, because they asked. An erased person can then be added again.

    With --since it undoes what a bad day of a mail server did to many; whom a person suppressed, or who complained,
    stays so, unless --reason names it. `digest edition resend` then owes them what they missed.

    Example: digest subscriber unsuppress --since 2026-11-23T07:00 --status 5.1.1 --dry-run
    """
    from digest import subscribe
    from digest.errors import UserError
    from digest.store import suppressions

    options: Options = context.obj
    bulk = until or status or domain or reason
    if bool(email) == bool(since) or (email and (bulk or dry_run or json)):
        raise UserError("say whom", hint="an address, or --since with what else narrows it")
    if email:
        _unsuppress(options, email)
        return
    begin, end = moment(since), moment(until, end=True) if until else None
    status = reply_status(status, enhanced=True)
    with options.open() as (_config, database), database.write() as session:
        lifted = subscribe.unsuppress_all(
            session,
            since=begin,
            until=end,
            reason=reason or suppressions.BOUNCED,
            status=status,
            domain=domain,
            how=HOW,
            now=now(),
        )
        missed = suppressions.missed_editions(session, [one.key for one in lifted])
        if dry_run:
            session.rollback()
    rows = [(one.key, one.reason, one.status, one.suppressed_at) for one in lifted]
    columns = ("email", "reason", "status", "suppressed_at")
    if json:
        editions = [dict(zip(("newsletter", "number", "letters"), one, strict=True)) for one in missed]
        addresses = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"dry_run": dry_run, "lifted": len(lifted), "addresses": addresses, "missed": editions})
    else:
        print_rows(columns, rows)
    many = "1 address" if len(lifted) == 1 else f"{len(lifted):,} addresses"
    options.say(f"{many} {'would' if dry_run else 'may'} get letters again")
    for paper, number, letters in missed:
        options.say(
            f"  {letters:,} missed {paper} No. {number}: digest edition resend {number} -n {paper} --only refused"
        )


def _unsuppress(options: Options, email: str) -> None:
    from digest import subscribe

    with options.open() as (config, database), database.write() as session:
        secret = config.lasting_key
        done = subscribe.unsuppress(session, email, secret=secret, how=HOW, now=now())
    options.say(f"{email} may get letters again" if done else f"nothing barred {email}")


@app.command()
def erase(context: typer.Context, email: Email, dry_run: DryRun = False) -> None:
    """Forget a person. Every row of theirs goes, and a keyed hash stays, so that no import brings them back.

    The counts of editions stay as they are. Backups, exports and files of refused rows are yours to clear.
    Example: digest subscriber erase ada@example.org
    """
    from digest import subscribe

    options: Options = context.obj
    with options.open() as (config, database):
        with database.write() as session:
            gone = subscribe.erase(session, email, secret=config.lasting_key, now=now())
            if dry_run:
                session.rollback()
        if gone is None:
            options.say("they were erased before")
        else:
            will = "would be" if dry_run else "is"
            options.say(f"{email} {will} forgotten; letters without a name from now on: {gone.letters}")
        if not dry_run and not database.checkpoint():
            options.warn("somebody is reading the database: run this again later, to clear the bytes from its log too")


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A CSV file; - reads standard input.")],
    newsletter: NewsletterName = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field stands: a title or a number from 1."),
    ] = None,
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="Those whom the file calls unconfirmed have confirmed elsewhere.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Owe those who are unconfirmed a mail that asks them to confirm.")
    ] = False,
    vouched_by: Annotated[
        str | None, typer.Option("--vouched-by", metavar="WHO", help="Who says that they want it; else your login.")
    ] = None,
    rejects: Annotated[
        str | None, typer.Option("--rejects", metavar="FILE", help="Where refused rows go; else FILE.rejects.csv.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The file was exported with --raw.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take in a list from another service, or any CSV.

    Known are listmonk, Mailchimp, Substack, Buttondown, Ghost and Kit.
    Separator, encoding and columns are found out. All of it is stored or nothing; who left stays gone;
    rows that are no subscriber are named and kept in a file, and the exit code is then 65. Who did not confirm
    elsewhere gets nothing until they do: --ask sends them a mail with a button, --confirmed says that they did.
    Example: digest subscriber import mailchimp.csv --dry-run
    """
    from dataclasses import asdict
    from pathlib import Path

    from digest import curate, subscribe
    from digest.errors import Exit, UserError

    options: Options = context.obj
    mapping = _mapping(map_ or [], subscribe.MAPPABLE)
    name = "standard input" if file == "-" else Path(file).name
    kept = Path(rejects) if rejects else Path("subscribers.rejects.csv" if file == "-" else f"{file}.rejects.csv")
    if kept.exists() and Path(file).exists() and kept.samefile(file):
        raise UserError(f"{kept} is the list itself", hint="name another file with --rejects")
    with options.open() as (config, database), _seekable(file) as stream:
        paper, settings = config.newsletter(newsletter)
        total = stream.seek(0, 2)
        stream.seek(0)
        try:
            with options.progress("import") as bar:
                done = subscribe.import_csv(
                    database,
                    stream,
                    subscribe.Terms(
                        name=name,
                        now=now(),
                        known_topics=curate.headings(settings.topics),
                        secret=config.lasting_key,
                        vouched_by=vouched_by or _myself(),
                        confirmed=confirmed,
                        raw=raw,
                    ),
                    newsletter=paper,
                    mapping=mapping,
                    dry_run=dry_run,
                    rejects=kept,
                    # Nobody has counted the rows: the bytes tell how many there will be.
                    progress=lambda size, rows: bar(rows, rows * total // max(size, 1)),
                )
        except KeyboardInterrupt:
            options.warn(f"stopped; an import is all or nothing, and nothing of {name} was stored")
            raise typer.Exit(130) from None
        asked = _ask_all(database, config, paper) if ask and not dry_run else 0
    facts = asdict(done) | ({"asked": asked} if ask else {})
    facts.pop("refused_first")
    if json:
        facts["refused_rows"] = [asdict(r) for r in done.refused_first]
    print_facts(facts if json else {k: v for k, v in facts.items() if v}, as_json=json)
    _tell_refused(options, done, name)
    if done.refused:
        if not dry_run:
            options.say(f"refused rows are in {kept}: mend and import them")
        raise typer.Exit(Exit.DATAERR)


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
    from pathlib import Path

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


@app.command()
def export(
    context: typer.Context,
    newsletter: NewsletterName = None,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", help="Else standard output.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Leave cells that a spreadsheet would run as they are.")] = False,
) -> None:
    """Write the list as CSV. `import` makes the same list of it again.

    Cells that begin like a formula get a quote before them, so that a spreadsheet shows them as text.
    Example: digest subscriber export --out subscribers.csv
    """
    import sys
    from pathlib import Path

    from digest import subscribe

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(newsletter)
        if out is None:
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
            count = subscribe.export_csv(database, sys.stdout, newsletter=paper, raw=raw)
        else:
            with subscribe.private_file(Path(out)) as file:
                count = subscribe.export_csv(database, file, newsletter=paper, raw=raw)
    options.say(f"{count:,} {'row' if count == 1 else 'rows'} of {paper}")
