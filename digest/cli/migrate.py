"""`digest migrate`: from another tool, with what it had sent, so that the first edition repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Options, in_words, moment, myself, now, print_facts
from digest.cli.options import DryRun, Json, NewsletterName, VouchedBy, Yes

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.config import Newsletter
    from digest.parse.issues import Past
    from digest.parse.leaving import Leaving, Left
    from digest.store import Database
    from digest.store.arrivals import TakenBack
    from digest.store.import_tables import Arrival

READERS = ("rss2email", "miniflux", "freshrss")
LISTS = ("listmonk", "mailchimp", "buttondown", "substack", "ghost", "mailman")


def migrate(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help=f"{', '.join((*READERS, *LISTS))}; or undo.")],
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

    Its feeds or its readers are taken, and what it had sent, which counts as sent here; past issues become editions of
    the archive. Broken off, the same command goes on. `digest migrate undo NUMBER` takes back what a move brought.

    Example: digest migrate rss2email ~/.config/rss2email.cfg ~/.local/share/rss2email.json --dry-run
    Example: digest migrate freshrss feeds.opml.xml
    Example: digest migrate mailchimp subscribed.csv unsubscribed.csv cleaned.csv
    Example: digest migrate undo 1 --dry-run
    """
    from digest.errors import UserError

    tool = tool.lower()
    if tool == "undo":
        _undo(context.obj, files, dry_run=dry_run, json=json)
        return
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
    from digest.store import arrivals

    read = leaving.rss2email if tool == "rss2email" else leaving.reader
    found, at = read(_contents(files)), now()
    numbers: list[int] = []
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)

        def keep(session: Session, _newsletter_id: int, ids: dict[str, int]) -> None:
            """In the same transaction: a feed without what was sent of it would send it all again."""
            arrival = arrivals.begin(session, name, tool, [Path(file).name for file in files], now=at)
            arrivals.note_feeds(session, arrival, known, at=at)
            _keep(session, arrival, ids, found, until)
            arrivals.end(session, arrival.id or 0, now=at)
            numbers.append(arrival.id or 0)

        with database.rehearse() if dry_run else nullcontext(database) as into:
            with into.read() as session:
                known = arrivals.feeds_known(session, name)
            outlines = [one.outline for one in found.feeds]
            report = collect.import_feeds(into, outlines, name=name, newsletter=settings, now=at, also=keep)
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
    if not dry_run:
        _tell_undo(options, numbers[0])


def _tell_undo(options: Options, number: int) -> None:
    options.say(f"digest migrate undo {number} takes it back")


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


def _keep(session: Session, arrival: Arrival, ids: dict[str, int], found: Leaving, until: datetime) -> None:
    from digest.collect.addresses import address, without_login
    from digest.store import arrivals, seen

    for one in found.feeds:
        feed_id = ids.get(without_login(address(one.outline.url))[0])
        marks = _marks(one)
        if feed_id is not None and (marks or one.by_date or one.hashes):
            when = until if one.by_date or one.hashes else None
            arrivals.keep_seen(session, arrival, feed_id, seen.Sent(arrival.tool, marks, when, one.by_date))


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
    from digest.store import arrivals

    lists, past = _sorted_out(said.tool, files)
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        number, feeds = (0, 0) if said.dry_run else _mark(database, name, said.tool, files, until)
    refused = False
    try:
        with _unpacked(past) as inside:
            for file in [*lists, *inside]:
                refused = _take(options, said, file, name, number) or refused
    except BaseException:
        if number:
            with options.open() as (_config, database), database.write() as session:
                if not arrivals.find(session, number).imports:  # nothing of it came here
                    arrivals.undo(session, number, now=now())
                    arrivals.forget(session, number)
        raise
    if said.dry_run:
        options.say(
            f"what its feeds published until {until:%Y-%m-%d %H:%M} UTC would count as sent; nothing was stored"
        )
    elif feeds:
        options.say(f"what {feeds} feeds published until {until:%Y-%m-%d %H:%M} UTC counts as sent by {said.tool}")
    elif lists:
        options.say(f"{name} has no feed that is new: add its feeds, then give the same command before the first run")
    _archive(options, said, past, name, settings, number)
    if number:
        _tell_undo(options, number)
    if refused:
        raise typer.Exit(Exit.DATAERR)


def _take(options: Options, said: _Said, file: str, newsletter: str, number: int) -> bool:
    """Take in one list; whether rows of it were refused, which is no reason not to take the others."""
    from digest import subscribe
    from digest.cli import subscriber_csv
    from digest.errors import Exit
    from digest.store import arrivals

    name = Path(file).name
    terms = subscribe.Terms(
        name=arrivals.named(name, number) if number else name,
        now=now(),
        known_topics=(),
        secret="",
        vouched_by=said.vouched_by,
        service=said.tool,
    )
    try:
        subscriber_csv.take_in(options, file, newsletter, terms, yes=said.yes, dry_run=said.dry_run, json=said.json)
    except typer.Exit as ended:
        if ended.exit_code != Exit.DATAERR:
            raise
        return True
    return False


def _mark(database: Database, newsletter: str, tool: str, files: list[str], until: datetime) -> tuple[int, int]:
    """Begin a move: what new feeds published until a moment counts as sent; the others we know ourselves.

    Its number, and how many feeds.
    """
    from digest.store import arrivals, seen

    with database.write() as session:
        arrival = arrivals.begin(session, newsletter, tool, [Path(file).name for file in files], now=now())
        known = seen.of(session, arrival.newsletter_id)
        fresh = [feed_id for feed_id in seen.unread_feeds(session, arrival.newsletter_id) if feed_id not in known]
        for feed_id in fresh:
            arrivals.keep_seen(session, arrival, feed_id, seen.Sent(tool, until=until, by_date=True))
        return arrival.id or 0, len(arrival.before)


# ---------------------------------------------------------------- past issues


def _sorted_out(tool: str, files: list[str]) -> tuple[list[str], Past]:
    """Which files are lists of readers, and what the others say of past issues."""
    from digest.parse import issues

    lists: list[str] = []
    archives: list[str] = []
    for file in files:
        with Path(file).open("rb") as stream:
            (archives if issues.is_archive(tool, stream.read(5_000)) else lists).append(file)
    return lists, issues.read(tool, _contents(archives), now=now()) if archives else issues.Past()


@contextmanager
def _unpacked(past: Past) -> Iterator[list[str]]:
    """The lists of readers that lay in an archive, as files for a while."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="digest-migrate-") as folder:
        paths = [Path(folder) / name for name in past.lists]
        for path in paths:
            path.write_bytes(past.lists[path.name])
        yield list(map(str, paths))


def _archive(options: Options, said: _Said, past: Past, name: str, settings: Newsletter, number: int) -> None:
    """Make editions of past issues, and end the move."""
    from digest.render.past import past as page_of
    from digest.render.speech import speech
    from digest.store import arrivals
    from digest.store.import_tables import Arrival

    for words in past.notes:
        options.say(f"  not taken: {words}")
    if said.dry_run:
        if past.issues:
            options.say(f"{len(past.issues):,} past issues would become editions of the archive")
        return
    spoken, zone = speech(settings.language), settings.slots.zone if settings.slots else None
    pages = []
    for issue in past.issues:
        when = spoken.date(issue.at.astimezone(zone) if zone else issue.at)
        made = page_of(issue.title, when, issue.html, issue.text, language=settings.language)
        nonce = made.marks.nonce if made.marks else ""
        pages.append(arrivals.PastPage(issue.title, issue.at, made.html, made.text, nonce))
    with options.open() as (_config, database), database.write() as session:
        arrival = session.get_one(Arrival, number)
        before = bool(arrival.editions)
        made_now = arrivals.add_editions(session, arrival, pages, sender=settings.sender)
        arrivals.end(session, number, now=now())
    if made_now:
        options.say(f"{made_now:,} past issues are editions of the archive, No. 1 to {made_now}")
    elif pages and not before:
        options.warn(
            f"{len(pages):,} past issues were not taken: {name} has editions, and past ones would come before them"
        )


# ---------------------------------------------------------------- back


def _undo(options: Options, words: list[str], *, dry_run: bool, json: bool) -> None:
    """Take back what a move brought and nobody changed since: readers, feeds, what counts as sent, past issues."""
    from collections import Counter

    from digest import curate
    from digest.errors import UserError
    from digest.store import arrivals, import_log
    from digest.subscribe import Evidence

    if len(words) != 1 or not words[0].isdigit():
        raise UserError("say which move", hint="its number, as in `digest migrate undo 1`")
    number, counts, kept = int(words[0]), Counter[str](), 0
    with options.open() as (config, database):
        with database.read() as session:
            moved = arrivals.find(session, number)
        topics = {name: curate.headings(paper.topics) for name, paper in config.newsletters.items()}
        for one in moved.imports:
            said = Evidence(f"undo of move {number}", now())
            back = import_log.undo(database, one, evidence=said, topics=topics, dry_run=dry_run)
            counts.update(back.counts)
            kept += back.kept
        with database.write() as session:
            done: TakenBack = arrivals.undo(session, number, now=now())
            if dry_run:
                session.rollback()
    facts = {"feeds": done.feeds, "marks": done.marks, "editions": done.editions, **counts, "kept": kept}
    print_facts(facts, as_json=json)
    for line in done.stays:
        options.say(line)
    if kept:
        options.say(f"{kept} people were changed since, and stay")
    options.say(f"would be taken back: {in_words(facts)}" if dry_run else f"move {number} is taken back")
