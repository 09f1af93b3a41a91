"""`digest feed import` and `export`: lists of feeds, in the formats of other readers."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, now, print_json
from digest.cli.options import DryRun, Json, NewsletterName

if TYPE_CHECKING:
    from digest.collect import ImportReport, Plan
    from digest.config import Config
    from digest.models import Feed
    from digest.store import Database

MOST_TOLD = 20  # lines that are no address: a file of another kind has thousands


def register(feeds: typer.Typer) -> None:
    """Stand among the commands of `digest feed`."""
    feeds.command("import")(import_)
    feeds.command("export")(export)


def import_(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(metavar="FILE_OR_URL", help="OPML, an address a line, CSV, newsboat's urls; - reads stdin."),
    ] = None,
    newsletter: NewsletterName = None,
    form: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help="opml, text, csv or newsboat; else as it looks.")
    ] = "",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Read the lists on the web again that were imported before.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add all feeds of a list, and of the lists that it includes. Folders named like topics become topics.

    Example: digest feed import subscriptions.opml --dry-run
    Example: digest feed import ~/.newsboat/urls
    """
    from digest import collect
    from digest.store import newsletters

    options: Options = context.obj
    if refresh == bool(source):
        raise typer.BadParameter("give a list, or --refresh for those that were imported before")
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        with database.read() as session:
            newsletter_id = newsletters.find(session, name).id or 0
        plan = (
            _refreshed(database, config, newsletter_id) if refresh else _gathered(database, source or "", config, form)
        )
        with database.rehearse() if dry_run else nullcontext(database) as into:
            report = collect.import_feeds(
                into, plan.outlines, name=name, newsletter=settings, now=now(), lists=plan.lists
            )
    if as_json:
        lists = [one.url for one in plan.lists]
        left = [*plan.left, *report.left]
        print_json(vars(report) | {"format": plan.format, "lists": lists, "left": left, "became": plan.became})
    _tell(options, plan, report, name, dry_run=dry_run)
    if not (refresh or report.read or report.known):
        from digest.errors import BadInput

        raise BadInput(
            f"no feed was taken from {source if source != '-' else 'standard input'}",
            hint="give a list of addresses that begin with http:// or https://, a line each or as OPML",
        )


def _tell(options: Options, plan: Plan, report: ImportReport, name: str, *, dry_run: bool) -> None:
    for words in plan.became:
        options.say(f"  {words}")
    left = [*plan.left, *report.left]
    for words in left:
        options.say(f"  not taken: {words}")
    for bad in report.bad[:MOST_TOLD]:
        options.say(f"  no feed address: {bad}")
    if (more := len(report.bad) - MOST_TOLD) > 0:
        options.say(f"  and {more:,} more that are none")
    known = f", {report.known:,} known already" if report.known else ""
    topics = ", ".join(f"{topic} {count}" for topic, count in sorted(report.topics.items()))
    options.say(
        f"import: {report.read:,} {'feed' if report.read == 1 else 'feeds'} for {name}{known}"
        + (f"; read as {plan.format}" if plan.format != "opml" else "")
        + (f"; by topic: {topics}" if topics else "")
        + (f"; {len(plan.became)} found by their names" if plan.became else "")
        + (f"; {len(left)} not taken" if left else "")
        + (f"; {len(report.bad)} {'line was' if len(report.bad) == 1 else 'lines were'} no feed" if report.bad else "")
        + ("; nothing was stored" if dry_run else "")
    )


def _gathered(database: Database, source: str, config: Config, form: str) -> Plan:
    from digest import collect, event_loop

    on_the_web = source.lower().startswith(("http://", "https://"))
    return event_loop.run(
        lambda: collect.gather(source if on_the_web else _read(source), config, clock=now, form=form, database=database)
    )


def _refreshed(database: Database, config: Config, newsletter_id: int) -> Plan:
    from digest import collect, event_loop
    from digest.errors import NotFound

    plan = event_loop.run(lambda: collect.refresh(database, config, newsletter_id, clock=now))
    if not plan.lists and not plan.left:
        raise NotFound("no list on the web was imported", hint="digest feed import https://example.org/feeds.opml")
    return plan


def _read(source: str) -> bytes:
    from digest.errors import NotFound

    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).expanduser().read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {source}: {(error.strerror or 'no such file').lower()}") from None


def export(
    context: typer.Context,
    newsletter: NewsletterName = None,
    form: Annotated[str, typer.Option("--to", metavar="FORMAT", help="opml, csv or text.")] = "opml",
) -> None:
    """Print the feeds as a list, without their secrets.

    Example: digest feed export > subscriptions.opml
    """
    from digest import collect
    from digest.store import feeds

    options: Options = context.obj
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        title = config.newsletters[name].title if name else "digest"
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        print(collect.export_feeds(database, newsletter=name, title=title, now=now(), form=form), end="")
        with database.read() as session:
            listed = feeds.listed(session, newsletters=[name] if name else None)
            unsaid = sum(_beyond(form, feed) for feed, _ in listed)
        pages = {one.url for one in collect.exported(database, newsletter=name) if one.recipe} if form == "text" else ()
        if pages:
            options.say(
                f"{len(pages)} pages without a feed are left out: text has no room for what is selected in them"
            )
    if unsaid:
        called = form if form == "text" else form.upper()
        options.say(f"{unsaid} of these have settings that {called} cannot say; `digest feed set ID` prints them")


def _beyond(form: str, feed: Feed) -> bool:
    """Whether a feed is read in a way that such a list cannot say: OPML at least has FreshRSS' filters."""
    from digest.curate import feed_rules

    said = form == "opml" and all(map(feed_rules.as_search, feed.drop))
    return bool(feed.full_text or feed.weight is not None or feed.keep or (feed.drop and not said))
