"""`digest feed …`: the sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Json, NewsletterName, Options, now, print_facts, print_json, print_rows

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database

app = typer.Typer(no_args_is_help=True, help="The feeds that newsletters read.")

Which = Annotated[str, typer.Argument(metavar="FEED", help="Number or address of a feed, as `feed list` shows it.")]


@app.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of a feed.")],
    newsletter: NewsletterName = None,
    topic: Annotated[str, typer.Option("--topic", "-t", help="Put all its entries under this topic.")] = "",
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask the address first; it must be a feed.")] = True,
) -> None:
    """Let a newsletter read a feed.

    Example: digest feed add https://example.org/feed.xml --topic ai
    """
    from digest import collect

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        _known_topic(topic, settings.topics)
        title = ""
        if check:
            title = _checked(url, config)
        added = collect.add_feed(database, url, newsletter=name, now=now(), title=title, topic=topic)
    done = "added" if added.created else "now read" if added.read else "known already"
    options.say(f"feed {added.feed_id}, {title or added.url}, is {done}")


@app.command("list")
def list_(context: typer.Context, newsletter: NewsletterName = None, as_json: Json = False) -> None:
    """List the feeds.

    Example: digest feed list --json
    """
    from digest import store

    options: Options = context.obj
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        with database.read() as session:
            counts = store.entry_counts(session)
            rows = [
                [
                    feed.id,
                    feed.title,
                    feed.url,
                    [f"{r.newsletter}/{r.topic}" if r.topic else r.newsletter for r in readers],
                    counts.get(feed.id or 0, 0),
                    feed.state.value,
                    feed.ok_at,
                ]
                for feed, readers in store.feeds(session, newsletter=name)
            ]
    print_rows(["id", "title", "url", "read_by", "entries", "state", "ok_at"], rows, as_json=as_json)


@app.command()
def show(context: typer.Context, feed: Which, as_json: Json = False) -> None:
    """Show one feed.

    Example: digest feed show 12
    """
    options: Options = context.obj
    with options.open() as (_config, database):
        print_facts(_facts(database, feed), as_json=as_json)


def _facts(database: Database, feed: str) -> dict[str, Any]:
    from digest import store

    with database.read() as session:
        found = store.find_feed(session, feed)
        readers = next(r for f, r in store.feeds(session) if f.id == found.id)
        newest = store.newest_entries(session, found.id or 0, limit=5)
        return {
            "id": found.id,
            "title": found.title,
            "url": found.url,
            "site": found.site_url,
            "state": found.state.value,
            "read_by": [f"{r.newsletter}/{r.topic}" if r.topic else r.newsletter for r in readers],
            "entries": store.entry_counts(session).get(found.id or 0, 0),
            "newest": [entry.title or entry.url for entry in newest],
            "added_at": found.added_at,
            "checked_at": found.checked_at,
            "ok_at": found.ok_at,
            "next_at": found.next_at,
            "failing_since": found.failing_since,
            "failures": found.failures,
            "error": found.error,
        }


@app.command()
def remove(
    context: typer.Context,
    feed: Which,
    newsletter: NewsletterName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen and change nothing.")] = False,
) -> None:
    """Stop reading a feed: in one newsletter, or in all.

    Example: digest feed remove 12
    """
    from digest import collect

    options: Options = context.obj
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        if dry_run:
            with database.rehearse() as rehearsal:
                options.say("would say: " + collect.remove_feed(rehearsal, feed, newsletter=name))
        else:
            options.say(collect.remove_feed(database, feed, newsletter=name))


@app.command("import")
def import_(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE_OR_URL", help="An OPML list; - reads stdin.")],
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Add all feeds of an OPML list; folders named like topics become topics.

    Example: digest feed import subscriptions.opml
    """
    from digest import collect, parse

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        outlines = parse.opml(_read(source, config))
        report = collect.import_feeds(database, outlines, name=name, newsletter=settings, now=now())
    if as_json:
        print_json(vars(report))
    for bad in report.bad:
        options.say(f"  no feed address: {bad}")
    known = f", {report.known:,} known already" if report.known else ""
    topics = ", ".join(f"{topic} {count}" for topic, count in sorted(report.topics.items()))
    options.say(
        f"import: {report.read:,} feeds for {name}{known}"
        + (f"; by topic: {topics}" if topics else "")
        + (f"; {len(report.bad)} lines were no feed" if report.bad else "")
    )


@app.command()
def export(context: typer.Context, newsletter: NewsletterName = None) -> None:
    """Print the feeds as OPML.

    Example: digest feed export > subscriptions.opml
    """
    from digest import collect

    options: Options = context.obj
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        title = config.newsletters[name].title if name else "digest"
        print(collect.export_feeds(database, newsletter=name, title=title, now=now()), end="")


def _checked(url: str, config: Config) -> str:
    """The title of the feed at `url`; BadInput where it is none."""
    import asyncio

    from digest import collect
    from digest.errors import BadInput, FetchError

    try:
        return asyncio.run(collect.check_feed(url, config, clock=now)).title
    except FetchError as error:
        raise BadInput(f"{error.url} {error.reason}", hint="--no-check adds it anyway") from None


def _read(source: str, config: Config) -> bytes:
    import asyncio
    import sys

    from digest import collect
    from digest.errors import NotFound

    if source == "-":
        return sys.stdin.buffer.read()
    if source.startswith(("http://", "https://")):
        return asyncio.run(collect.fetch_list(source, config, clock=now))
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {source}: {(error.strerror or 'no such file').lower()}") from None


def _known_topic(topic: str, topics: Any) -> None:
    from digest.errors import NotFound

    if topic and topic not in topics:
        known = ", ".join(topics) or "none yet"
        raise NotFound(f"there is no topic {topic!r}", hint=f"the settings know: {known}")
