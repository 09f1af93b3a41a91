"""`digest subscriber …`: who gets what, and who said so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, myself, now, print_facts, print_json, print_rows
from digest.cli.many import Whom, days, do, for_many, one
from digest.cli.options import (
    All,
    Cadence,
    Email,
    Fields,
    Format,
    Hour,
    Json,
    Language,
    LessOf,
    MaxStories,
    MaybeEmail,
    MoreOf,
    Mute,
    MuteSource,
    MuteTopic,
    Name,
    NewsletterName,
    Newsletters,
    StoryLanguage,
    Tags,
    Topics,
    VouchedBy,
    Where,
    Zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmodel import Session

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


def _taste(
    max_stories: str | None,
    mute: list[str] | None,
    mute_source: list[str] | None,
    mute_topic: list[str] | None,
    story_language: list[str] | None,
) -> Changes:
    """What was said of stories: how many, and which not. A list that is said takes the place of the one there was."""
    from digest.errors import BadInput

    chosen: Changes = {}
    if max_stories is not None:
        number = max_stories.strip()
        if number.lower() not in ("", "none") and not (number.isascii() and number.isdecimal() and len(number) < 5):
            raise BadInput(f"{max_stories!r} is no number of stories", hint="1 to 100, or '' for no maximum")
        chosen["max_stories"] = int(number) if number.isdecimal() else None
    if mute is not None:
        chosen["muted_words"] = tuple(filter(None, mute))
    if mute_source is not None:
        chosen["muted_sources"] = tuple(filter(None, mute_source))
    if mute_topic is not None:
        chosen["muted_topics"] = tuple(filter(None, mute_topic))
    if story_language is not None:
        chosen["story_languages"] = tuple(filter(None, story_language))
    return chosen


def _leanings(more: list[str] | None, less: list[str] | None) -> Changes:
    chosen: Changes = {}
    if more is not None:
        chosen["more_of"] = tuple(filter(None, more))
    if less is not None:
        chosen["less_of"] = tuple(filter(None, less))
    return chosen


def _warn_of(options: Options, session: Session, newsletter: str, sources: Iterable[str] | None) -> None:
    """Say which of these sites no feed of a newsletter is from: they may be misspelt."""
    from digest.store import newsletters, tastes
    from digest.taste import source

    paper = newsletters.find(session, newsletter)
    for said in tastes.nowhere(session, paper.id or 0, [source(site) for site in sources or () if site]):
        options.warn(f"no feed of {newsletter} is from {said} yet; `digest feed list` shows where they are")


def evidence() -> Evidence:
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
    max_stories: MaxStories = None,
    mute: Mute = None,
    mute_source: MuteSource = None,
    mute_topic: MuteTopic = None,
    story_language: StoryLanguage = None,
    more: MoreOf = None,
    less: LessOf = None,
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
    choices = _choices(topic, cadence, hour, zone, language, format_)
    choices |= _taste(max_stories, mute, mute_source, mute_topic, story_language) | _leanings(more, less)
    preferences = subscribe.Preferences(**choices)
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
    where: Where = None,
    newsletter: Newsletters = None,
    every: All = False,
    after: Annotated[str, typer.Option("--after", metavar="EMAIL", help="Begin behind this address.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many people at most.")] = 50,
    count: Annotated[bool, typer.Option("--count", help="Only how many there are in each state.")] = False,
    json: Json = False,
) -> None:
    """List subscribers by address, a page at a time.

    Example: digest subscriber list --where state=paused --where domain=example.org
    """
    from digest import subscribe
    from digest.store import listing

    options: Options = context.obj
    with options.open() as (config, database):
        paper = ",".join(config.chosen(newsletter, every=every) or ())
        said = {"part": search, "state": state, "topic": topic, "cadence": cadence, "tag": tag, "field": field}
        wanted = subscribe.search(**said, where=where or (), newsletter=paper, moments=days)
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
    print_facts(facts | {"fields": [f"{name}: {value}" for name, value in facts["fields"].items()]})
    for title, rows in parts.items():
        if rows:
            print(f"\n{title}")
            print_rows(list(rows[0]), [list(row.values()) for row in rows])


@app.command("set")
@for_many
def set_(
    context: typer.Context,
    email: MaybeEmail = None,
    name: Name = None,
    topic: Topics = None,
    all_topics: Annotated[bool, typer.Option("--all-topics", help="All topics, also those to come.")] = False,
    cadence: Cadence = None,
    hour: Hour = None,
    zone: Zone = None,
    language: Language = None,
    format_: Format = None,
    max_stories: MaxStories = None,
    mute: Mute = None,
    mute_source: MuteSource = None,
    mute_topic: MuteTopic = None,
    story_language: StoryLanguage = None,
    more: MoreOf = None,
    less: LessOf = None,
    tag: Tags = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take their tags away.")] = False,
    field: Fields = None,
    *,
    whom: Whom,
) -> None:
    """Change a person's name, tags, fields or choices. What is not given stays; --where and --file change many.

    Of many, fields or choices. No story comes twice or never by it: the next letter has all since the last one.
    Example: digest subscriber set ada@example.org --cadence "weekly mon" --hour 18 --zone America/New_York
    """
    from digest import curate, subscribe
    from digest.errors import UserError
    from digest.subscribe import fields, many

    options: Options = context.obj
    choices = _choices([] if all_topics else topic, cadence, hour, zone, language, format_)
    wanted, said = fields.said(field or ()), evidence()
    choices |= _taste(max_stories, mute, mute_source, mute_topic, story_language) | _leanings(more, less)
    with options.open() as (config, database):
        paper, settings = config.newsletter(whom.newsletter)
        known = curate.headings(settings.topics)
        whom = whom.of(paper)
        if one(email, whom) is None:
            if name is not None or tag is not None or no_tags or bool(choices) == bool(wanted):
                raise UserError("say what to choose, or which fields", hint="for tags: digest subscriber tag")
            choose = partial(many.choose, choices=choices, known_topics=known, evidence=said)
            describe = partial(many.describe, wanted=wanted, evidence=said)
            do(options, database, whom, describe if wanted else choose, "changed")
            return
        with database.write() as session:
            changed = subscribe.change(
                session,
                email or "",
                newsletter=paper,
                name=name,
                choices=choices,
                tags=[] if no_tags else tag,
                evidence=said,
                known_topics=known,
            )
            changed |= bool(wanted) and fields.keep(session, subscribe.known(session, email or ""), wanted, said)
            _warn_of(options, session, paper, mute_source)
            if whom.dry_run:
                session.rollback()
    options.say(f"{email}: {'would be ' * whom.dry_run}changed" if changed else f"{email}: nothing to change")


@app.command()
@for_many
def tag(
    context: typer.Context,
    email: MaybeEmail = None,
    add_: Annotated[list[str] | None, typer.Option("--add", metavar="TAG", help="Give them this tag.")] = None,
    remove_: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="Take it from them.")] = None,
    *,
    whom: Whom,
) -> None:
    """Give tags to people, or take them away. Capitals and small letters are one tag.

    Example: digest subscriber tag --where domain=example.org --add customer
    """
    from dataclasses import replace

    from digest import subscribe
    from digest.errors import UserError
    from digest.subscribe import many

    if not (add_ or remove_):
        raise UserError("say which tag", hint="--add TAG, or --remove TAG")
    options: Options = context.obj
    with options.open() as (config, database):
        whom = whom.of_any(config)
        if (address := one(email, whom)) is not None:
            with database.read() as session:
                known = subscribe.known(session, address)
            whom = replace(whom, where=[f"address={known.email}"], yes=True)
        verb = partial(many.label, add=add_ or (), remove=remove_ or (), evidence=evidence())
        do(options, database, whom, verb, "tagged")


@app.command()
@for_many
def remove(
    context: typer.Context,
    email: MaybeEmail = None,
    *,
    whom: Whom,
) -> None:
    """End subscriptions. Their history stays, so that no import brings them back; `erase` forgets a person.

    Example: digest subscriber remove --where "delivered<2024-01-01" --dry-run
    """
    from digest import subscribe
    from digest.subscribe import many

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(whom.newsletter)
        whom = whom.of(paper)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(many.remove, evidence=evidence()), "removed")
            return
        with database.write() as session:
            ended = subscribe.remove(session, address, newsletter=paper, evidence=evidence())
            if whom.dry_run:
                session.rollback()
    will = "would get" if whom.dry_run else "gets"
    options.say(f"{email} {will} no more of {paper}" if ended else f"{email} had left {paper} before")


@app.command()
@for_many
def pause(
    context: typer.Context,
    email: MaybeEmail = None,
    weeks: Annotated[
        int | None, typer.Option("--weeks", min=1, max=520, help="For so long; else until resumed.")
    ] = None,
    *,
    whom: Whom,
) -> None:
    """Send somebody nothing for a while. What comes meanwhile is not made up for.

    Example: digest subscriber pause ada@example.org --weeks 2
    """
    from datetime import timedelta

    from digest import subscribe
    from digest.subscribe import many

    options: Options = context.obj
    said = evidence()
    until = said.at + timedelta(weeks=weeks) if weeks else None
    with options.open() as (config, database):
        paper, _settings = config.newsletter(whom.newsletter)
        whom = whom.of(paper)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(many.pause, until=until, evidence=said), "paused")
            return
        with database.write() as session:
            paused = subscribe.pause(session, address, newsletter=paper, until=until, evidence=said)
            if whom.dry_run:
                session.rollback()
    span = f"until {until:%Y-%m-%d}" if until else "until resumed"
    will = "would get" if whom.dry_run else "gets"
    options.say(f"{email} {will} no {paper} {span}" if paused else f"{email} was paused already")


@app.command()
@for_many
def resume(
    context: typer.Context,
    email: MaybeEmail = None,
    *,
    whom: Whom,
) -> None:
    """End a pause: they get the next edition with all others.

    Example: digest subscriber resume ada@example.org
    """
    from digest import subscribe
    from digest.subscribe import many

    options: Options = context.obj
    with options.open() as (config, database):
        paper, _settings = config.newsletter(whom.newsletter)
        whom = whom.of(paper)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(many.resume, evidence=evidence()), "resumed")
            return
        with database.write() as session:
            resumed = subscribe.resume(session, address, newsletter=paper, evidence=evidence())
            if whom.dry_run:
                session.rollback()
    will = "would get" if whom.dry_run else "gets"
    options.say(f"{email} {will} the next {paper} again" if resumed else f"{email} was not paused")


@app.command()
@for_many
def erase(
    context: typer.Context,
    email: MaybeEmail = None,
    *,
    whom: Whom,
) -> None:
    """Forget a person. Every row of theirs goes, and a keyed hash stays, so that no import brings them back.

    The counts of editions stay as they are. Backups, exports and files of refused rows are yours to clear.
    Example: digest subscriber erase ada@example.org
    """
    from digest import subscribe
    from digest.subscribe import many

    options: Options = context.obj
    with options.open() as (config, database):
        whom = whom.of_any(config)
        if (address := one(email, whom)) is None:
            do(options, database, whom, partial(many.erase, secret=config.lasting_key, now=now()), "forgotten")
        else:
            with database.write() as session:
                gone = subscribe.erase(session, address, secret=config.lasting_key, now=now())
                if whom.dry_run:
                    session.rollback()
            will = "would be" if whom.dry_run else "is"
            letters = gone.letters if gone else 0
            options.say(
                f"{email} {will} forgotten; letters without a name from now on: {letters}"
                if gone
                else "they were erased before"
            )
        if not whom.dry_run and not database.checkpoint():
            options.warn("somebody is reading the database: run this again later, to clear the bytes from its log too")
