"""`digest migrate`: from another tool, with what it had sent, so that the first edition repeats nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, moment, myself, now, print_facts
from digest.cli.options import DryRun, Json, NewsletterName, VouchedBy, Yes

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.parse.leaving import Leaving, Left
    from digest.store import Database

READERS = ("rss2email", "miniflux", "freshrss")
LISTS = ("listmonk", "mailchimp", "buttondown", "substack", "ghost", "mailman")


def migrate(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help=f"{', '.join((*READERS, *LISTS))}.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="What it keeps, or exported.")],
    newsletter: NewsletterName = None,
    seen_until: Annotated[
        str,
        typer.Option("--seen-until", metavar="DATE", help="Its last run or campaign; else the date of the files."),
    ] = "",
    vouched_by: VouchedBy = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Move here from another tool, without sending again.

    Its feeds or its readers are taken, and what it had sent, which counts as sent here.

    Example: digest migrate rss2email ~/.config/rss2email.cfg ~/.local/share/rss2email.json --dry-run
    Example: digest migrate freshrss feeds.opml.xml
    Example: digest migrate mailchimp subscribed.csv unsubscribed.csv cleaned.csv
    """
    from digest.errors import UserError

    tool = tool.lower()
    if tool not in (*READERS, *LISTS):
        raise UserError(f"there is no way from {tool[:40]!r} here", hint="one of " + ", ".join((*READERS, *LISTS)))
    until = _until(files, seen_until)
    options: Options = context.obj
    if tool in READERS:
        _from_reader(options, tool, files, newsletter, until, dry_run=dry_run, json=json)
        return
    said = _Said(tool, vouched_by or myself(), yes=yes, dry_run=dry_run, json=json)
    _from_list(options, said, files, newsletter, until)


@dataclass(frozen=True)
class _Said:
    """What was said of a move of readers."""

    tool: str
    vouched_by: str
    yes: bool
    dry_run: bool
    json: bool


def _until(files: list[str], said: str) -> datetime:
    """Until when all that was published counts as sent: as was said, or the date of the newest file."""
    from digest.errors import NotFound, UserError

    newest = 0.0
    for file in files:
        try:
            newest = max(newest, Path(file).stat().st_mtime)
        except OSError as error:
            raise NotFound(f"cannot read {file}: {(error.strerror or 'no such file').lower()}") from None
    until = moment(said) if said else datetime.fromtimestamp(newest, UTC)
    if said and until > now():
        raise UserError(f"--seen-until {said} is yet to come: all that is published until then would be left out")
    return min(until, now())


# ---------------------------------------------------------------- feeds


def _from_reader(
    options: Options, tool: str, files: list[str], newsletter: str | None, until: datetime, *, dry_run: bool, json: bool
) -> None:
    from contextlib import nullcontext

    from digest import collect
    from digest.parse import leaving

    read = leaving.rss2email if tool == "rss2email" else leaving.reader
    found = read(_contents(files))
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        with database.rehearse() if dry_run else nullcontext(database) as into:
            report = collect.import_feeds(
                into,
                [one.outline for one in found.feeds],
                name=name,
                newsletter=settings,
                now=now(),
                # In the same transaction: a feed without what was sent of it would send it all again.
                also=lambda session, newsletter_id, ids: _keep(session, newsletter_id, ids, found, tool, until),
            )
    left = [*found.notes, *report.left]
    for words in left:
        options.say(f"  not taken: {words}")
    for bad in report.bad:
        options.say(f"  no feed address: {bad}")
    if any(one.by_date or one.hashes for one in found.feeds):
        options.say(f"what ids do not tell, dates do: published until {until:%Y-%m-%d %H:%M} UTC counts as seen")
    facts = {
        "feeds": report.read,
        "known": report.known,
        "seen": sum(len(one.ids) or len(one.links) for one in found.feeds),
        "by date": sum(one.by_date for one in found.feeds),
        "seen until": until,
        "left": left if json else len(left),
        "no address": report.bad if json else len(report.bad),
    }
    print_facts(facts, as_json=json)
    options.say("nothing was stored" if dry_run else f"{name}: the next run sends what is new since {tool}")


def _contents(files: list[str]) -> dict[str, bytes]:
    from digest.errors import BadInput
    from digest.parse.leaving import MAX_FILE

    found: dict[str, bytes] = {}
    room = MAX_FILE
    for file in files:
        try:
            with Path(file).open("rb") as stream:
                found[file] = stream.read(room + 1)
        except OSError as error:
            raise BadInput(f"cannot read {file}: {(error.strerror or 'it failed').lower()}") from None
        room -= len(found[file])
        if room < 0:
            raise BadInput(f"{file} is too large: these files may have {MAX_FILE // 1_000_000} MB together")
    return found


def _keep(
    session: Session, newsletter_id: int, ids: dict[str, int], found: Leaving, tool: str, until: datetime
) -> None:
    from digest.collect.addresses import address, without_login
    from digest.store import seen

    for one in found.feeds:
        feed_id = ids.get(without_login(address(one.outline.url))[0])
        marks = _marks(one)
        if feed_id is not None and (marks or one.by_date or one.hashes):
            when = until if one.by_date or one.hashes else None
            seen.keep(session, newsletter_id, feed_id, seen.Sent(tool, marks, when, one.by_date))


def _marks(one: Left) -> frozenset[str]:
    from digest.edition.sent import link_name
    from digest.store.seen import mark

    names = {f"id:{word}" for word in one.ids}
    names |= {link_name(word) for word in one.ids if "://" in word}
    names |= {f"url:{name}" for name in map(link_name, one.links) if name}
    return frozenset(mark(name) for name in names - {""})


# ---------------------------------------------------------------- readers


def _from_list(options: Options, said: _Said, files: list[str], newsletter: str | None, until: datetime) -> None:
    from digest.errors import Exit

    with options.open() as (config, database):
        name, _settings = config.newsletter(newsletter)
        feeds = [] if said.dry_run else _mark(database, name, said.tool, until)
    taken, refused = 0, False
    try:
        for file in files:
            try:
                _take(options, said, file, name)
            except typer.Exit as ended:
                if ended.exit_code != Exit.DATAERR:
                    raise
                refused = True  # rows that are no subscriber stand in a file; the rest was taken
            taken += 1
    except BaseException:
        if not taken and feeds:
            with options.open() as (_config, database):
                _unmark(database, name, feeds)
        raise
    if said.dry_run:
        options.say(
            f"what its feeds published until {until:%Y-%m-%d %H:%M} UTC would count as sent; nothing was stored"
        )
    elif feeds:
        options.say(f"what {len(feeds)} feeds published until {until:%Y-%m-%d %H:%M} UTC counts as sent by {said.tool}")
    else:
        options.say(f"{name} has no feed that is new: add its feeds, then give the same command before the first run")
    if refused:
        raise typer.Exit(Exit.DATAERR)


def _take(options: Options, said: _Said, file: str, newsletter: str) -> None:
    from digest import subscribe
    from digest.cli import subscriber_csv

    terms = subscribe.Terms(
        name=Path(file).name,
        now=now(),
        known_topics=(),
        secret="",
        vouched_by=said.vouched_by,
        service=said.tool,
    )
    subscriber_csv.take_in(options, file, newsletter, terms, yes=said.yes, dry_run=said.dry_run, json=said.json)


def _mark(database: Database, newsletter: str, tool: str, until: datetime) -> list[int]:
    """Count what new feeds published until a moment as sent; which feeds these are. The others we know ourselves."""
    from typing import cast

    from digest.store import newsletters, seen

    with database.write() as session:
        newsletter_id = cast(int, newsletters.find(session, newsletter).id)
        known = seen.of(session, newsletter_id)
        fresh = [feed_id for feed_id in seen.unread_feeds(session, newsletter_id) if feed_id not in known]
        for feed_id in fresh:
            seen.keep(session, newsletter_id, feed_id, seen.Sent(tool, until=until, by_date=True))
    return fresh


def _unmark(database: Database, newsletter: str, feeds: list[int]) -> None:
    from typing import cast

    from digest.store import newsletters, seen

    with database.write() as session:
        seen.forget(session, cast(int, newsletters.find(session, newsletter).id), feeds)
