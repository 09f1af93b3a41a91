"""`digest subscriber …`: who gets what, and who said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, moment, myself, now, print_facts, print_json, print_rows, reply_status
from digest.cli.options import (
    Cadence,
    Domain,
    DryRun,
    Email,
    Format,
    Hour,
    Json,
    Language,
    Name,
    NewsletterName,
    Status,
    Tags,
    Topics,
    VouchedBy,
    Zone,
)

if TYPE_CHECKING:
    from digest.subscribe import Changes, Evidence

app = typer.Typer(no_args_is_help=True, help="The people who get the newsletters.")

HOW = "command line"


def _choices(
    topics: list[str] | None,
    cadence: str | None,
    hour: str | None,
    zone: str | None,
    language: str | None,
    format_: str | None,
) -> Changes:
    """The choices that were said, and none of those that were not."""
    from digest.errors import BadInput

    chosen: Changes = {}
    if topics is not None:
        chosen["topics"] = tuple(topics)
    if cadence is not None:
        chosen["cadence"] = cadence
    if zone is not None:
        chosen["zone"] = zone
    if language is not None:
        chosen["language"] = language
    if hour is not None:
        if hour and not hour.removesuffix(":00").isdecimal():
            raise BadInput(f"{hour!r} is not an hour", hint="hours are 0 to 23")
        chosen["hour"] = int(hour.removesuffix(":00")) if hour else None
    if format_ is not None:
        if format_ not in ("text", "html"):
            raise BadInput(f"{format_!r} is not a format", hint="text or html")
        chosen["plain"] = format_ == "text"
    return chosen


def _evidence() -> Evidence:
    """That the operator says so, now."""
    from digest import subscribe

    return subscribe.Evidence(HOW, now())


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
    vouched_by: VouchedBy = None,
    again: Annotated[bool, typer.Option("--again", help="They left, and asked to come back.")] = False,
) -> None:
    """Subscribe somebody who asked for it. They get the latest edition as a welcome, and what comes from now on.

    Example: digest subscriber add ada@example.org --topic ai --cadence weekdays --hour 7 --zone Europe/London
    """
    from digest import curate, subscribe

    options: Options = context.obj
    preferences = subscribe.Preferences(**_choices(topic, cadence, hour, zone, language, format_))
    with options.open() as (config, database):
        paper, settings = config.newsletter(newsletter)
        known_topics = curate.headings(settings.topics)
        with database.write() as session:
            added = subscribe.add(
                session,
                email,
                subscribe.Joining(paper, known_topics, config.lasting_key, welcome=settings.welcome),
                evidence=subscribe.Evidence(HOW, now(), vouched_by=vouched_by or myself()),
                preferences=preferences,
                name=name or "",
                tags=tag or (),
                again=again,
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
    field: Annotated[str, typer.Option("--field", metavar="NAME=VALUE", help="Who has this in a field of yours.")] = "",
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
        wanted = subscribe.search(
            part=search, state=state, topic=topic, cadence=cadence, tag=tag, field=field, newsletter=paper
        )
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
                evidence=_evidence(),
                known_topics=curate.headings(settings.topics),
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
            ended = subscribe.remove(session, email, newsletter=paper, evidence=_evidence())
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
    said = _evidence()
    until = said.at + timedelta(weeks=weeks) if weeks else None
    with options.open() as (config, database):
        paper, _settings = config.newsletter(newsletter)
        with database.write() as session:
            paused = subscribe.pause(session, email, newsletter=paper, until=until, evidence=said)
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
            resumed = subscribe.resume(session, email, newsletter=paper, evidence=_evidence())
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
        done = subscribe.suppress(session, email, reason=reason, evidence=_evidence())
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
            evidence=_evidence(),
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
        done = subscribe.unsuppress(session, email, secret=secret, evidence=_evidence())
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
