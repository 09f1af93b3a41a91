"""`digest feed …`: the sources."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_facts, print_json, print_rows
from digest.cli.feed_reading import Change, apply, known_topic, need_full_text, page_facts, set_facts
from digest.cli.feed_set import secrets
from digest.cli.options import DryRun, Header, Json, Login, NewsletterName, WhichFeed
from digest.origin import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlmodel import Session

    from digest.collect import Found, Repair
    from digest.config import Config
    from digest.models import Feed
    from digest.parse import Candidate
    from digest.store import feeds, hosts

app = typer.Typer(no_args_is_help=True, help="The feeds that newsletters read.")


@app.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of a feed, or of a site; or mail:NAME.")],
    newsletter: NewsletterName = None,
    topic: Annotated[str, typer.Option("--topic", "-t", help="Put all its entries under this topic.")] = "",
    login: Login = False,
    header: Header = None,
    full_text: Annotated[bool, typer.Option("--full-text", help="Read the pages of entries that are stubs.")] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask the address first; it must be a feed.")] = True,
) -> None:
    """Let a newsletter read a feed. Adding it twice is safe.

    mail:NAME is a newsletter that comes by mail: the address to subscribe it with is printed.

    Secrets are asked for, or read from stdin a line each, so that no process list shows them.

    Example: digest feed add https://example.org/ --topic ai
    """
    from digest import collect
    from digest.collect import mailed

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        known_topic(topic, settings.topics)
        if mailed.is_mail(url):
            by_mail = mailed.add(database, config, url, newsletter=name, topic=topic, now=now())
            options.say(f"feed {by_mail.feed_id} is what comes to this address; subscribe to the newsletter with it:")
            print(mailed.address(config, by_mail.url, newsletter=name))
            return
        if full_text:
            need_full_text()
        headers = secrets(login, header)
        title = ""
        if check:
            url, title, headers = _choose(url, config, headers)
        added = collect.add_feed(database, url, newsletter=name, now=now(), title=title, topic=topic, headers=headers)
        if full_text:
            apply(database, str(added.feed_id), Change({"full_text": True}))
    done = "added" if added.created else "now read" if added.read else "known already"
    options.say(f"feed {added.feed_id}, {title or added.url}, is {done}")


@app.command("list")
def list_(
    context: typer.Context,
    newsletter: NewsletterName = None,
    health: Annotated[
        bool, typer.Option("--health", help="Show how each and its host is doing, the worst first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the feeds.

    Example: digest feed list --health
    """
    from digest.store import feeds, hosts

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        with database.read() as session:
            found = feeds.listed(session, newsletter=name)
            if health:
                held = feeds.held_counts(session)
                servers = {record.name: record for record in hosts.records(session, now=moment)}
                rows = [
                    [*_health_row(feed, held.get(feed.id or 0, 0), moment), *_host_cells(feed, servers, moment)]
                    for feed, _ in found
                ]
                rows.sort(key=lambda row: ("failing", "retired", "new", "quiet", "ok").index(row[2]))
                columns = [
                    "id",
                    "title",
                    "health",
                    "last_success",
                    "failing_since",
                    "last_error",
                    "rhythm",
                    "remarks",
                    "trouble",
                ]
                columns += ["host", "host_held_until", "host_pace_seconds", "host_said"]
            else:
                counts = feeds.entry_counts(session)
                rows = [
                    [feed.id, feed.title, feed.url, _read_by(readers), counts.get(feed.id or 0, 0), feed.state.value]
                    for feed, readers in found
                ]
                columns = ["id", "title", "url", "read_by", "entries", "state"]
    print_rows(columns, rows, as_json=as_json)


@app.command()
def show(context: typer.Context, feed: WhichFeed, as_json: Json = False) -> None:
    """Show one feed: how it is doing, where it was, what came last.

    Example: digest feed show 12
    """
    from digest import identity
    from digest.store import feeds

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database), database.read() as session:
        found = feeds.find(session, feed)
        number = found.id or 0
        readers = next(r for f, r in feeds.listed(session) if f.id == found.id)
        row = _health_row(found, feeds.held_counts(session).get(number, 0), moment)
        facts = {
            "id": number,
            "title": found.title,
            "url": found.url,
            "site": found.site_url,
            "read_by": _read_by(readers),
            "health": row[2],
            "last_success": found.ok_at,
            "last_asked": found.checked_at,
            "next_asked": found.next_at if found.state == "active" and found.host else None,
            "failing_since": found.failing_since,
            "failures": found.failures,
            "last_error": found.error,
            "rhythm": row[6],
            "remarks": row[7],
            "trouble": found.trouble,
            "answered_by": found.answered_by or found.host,
            **_mail_facts(session, config, found),
            **set_facts(found, readers),
            "published_title": found.published_title,
            "identity_seen": identity.in_words(identity.Evidence.of(found.evidence)),
            "former_addresses": [f"{f['url']} (until {f['until'][:10]})" for f in found.former_urls],
            **page_facts(session, found),
            "entries": feeds.entry_counts(session).get(number, 0),
            "set_aside": [f"{what or 'an entry'}: {why}" for what, why in feeds.set_aside(session, number, limit=10)],
            "newest": [entry.title or entry.url for entry in feeds.newest_entries(session, number, limit=5)],
        }
    print_facts(facts, as_json=as_json)


def _mail_facts(session: Session, config: Config, found: Feed) -> dict[str, Any]:
    """What there is to say of a feed that comes by mail alone."""
    from digest.collect import mailed
    from digest.store import feeds

    if not mailed.is_mail(found.url):
        return {}
    return {
        "address": mailed.address(config, found.url),
        "senders": sorted(feeds.senders(session, found.id or 0)),
        "mails_set_aside": feeds.set_aside_mails(session, found.url),
    }


@app.command()
def check(
    context: typer.Context, url: Annotated[str, typer.Argument(help="Any address.")], as_json: Json = False
) -> None:
    """Show what an address would give, and any trouble. Stores nothing.

    Example: digest feed check https://example.org/feed.xml
    """
    options: Options = context.obj
    config = options.load()
    found = _look(url, config, {})
    if found.feed is None or found.answer is None:
        rows = [[c.url, c.title, c.type] for c in found.choices]
        options.say(f"{shown(url)} is a page that names {len(rows)} feeds:")
        print_rows(["url", "title", "type"], rows, as_json=as_json)
        return
    entries = [
        {"title": e.title, "url": e.url, "published": e.published_at, "language": e.language, "author": e.author}
        for e in found.feed.entries
    ]
    facts = {
        "url": found.url,
        "title": found.feed.title,
        "format": found.feed.format,
        "site": found.feed.site_url,
        "language": found.feed.language,
        "moved_to": found.answer.moved_to,
        "size_bytes": len(found.answer.body),
        "conditional": bool(found.answer.etag or found.answer.last_modified),
        "entries": len(entries),
    }
    trouble = _trouble(found)
    if as_json:
        print_json(facts | {"trouble": trouble, "items": entries})
        return
    print_facts(facts | {"trouble": "; ".join(trouble)})
    print()
    print_rows(["published", "title", "url"], [[e["published"], e["title"], e["url"]] for e in entries[:20]])


@app.command()
def doctor(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Do what is sure, and ask for the rest.")] = False,
    accept: Annotated[
        list[int] | None, typer.Option("--accept", metavar="ID", help="Do what is proposed for this feed, sure or not.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for repairs of ailing feeds. A new address, the feed that the site declares or that is read, retirement.

    Each has a score: how much it shares with what was collected. Below 0.5 it is a question for a person.

    Example: digest feed doctor --apply
    """
    import asyncio

    from digest import collect
    from digest.errors import NotFound

    options: Options = context.obj
    with options.open() as (config, database):
        repairs = asyncio.run(collect.diagnose(database, config, clock=now))
        accepted = set(accept or ())
        if unknown := sorted(accepted - {repair.feed_id for repair in repairs}):
            raise NotFound(f"nothing is proposed for feed {unknown[0]}", hint="`digest feed doctor` shows what is")
        done = [r for r in repairs if r.feed_id in accepted or (apply and (r.sure or _wanted(r)))]
        for repair in done:
            collect.repair(database, repair, now=now())
    print_rows(
        ["id", "feed", "trouble", "remedy", "url", "score", "why"],
        [[r.feed_id, r.feed, r.trouble, r.remedy.value, r.url, r.score, r.why] for r in repairs],
        as_json=as_json,
    )
    unsure = [r for r in repairs if not r.sure and r not in done]
    if not repairs:
        options.say("no feed needs a repair that could be found")
    elif apply or accepted:
        options.say(f"{len(done)} repaired" + ("; `digest collect` asks them at their new addresses" if done else ""))
    else:
        options.say("nothing is changed yet; --apply does it")
    if unsure:
        numbers = " ".join(f"--accept {r.feed_id}" for r in unsure)
        options.say(f"{len(unsure)} may be another feed, so a person decides: digest feed doctor {numbers}")


def _wanted(repair: Repair) -> bool:
    """A person's answer, where one is there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    typer.echo(f"{repair.feed}: {repair.remedy.value} to {repair.url}? {repair.why}; score {repair.score:g}", err=True)
    return typer.confirm("Do it", default=False, err=True)


@app.command()
def remove(context: typer.Context, feed: WhichFeed, newsletter: NewsletterName = None, dry_run: DryRun = False) -> None:
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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add all feeds of an OPML list. Folders named like topics become topics.

    Example: digest feed import subscriptions.opml --dry-run
    """
    from digest import collect, parse

    options: Options = context.obj
    with options.open() as (config, database):
        name, settings = config.newsletter(newsletter)
        outlines = parse.opml(_read(source, config))
        with database.rehearse() if dry_run else nullcontext(database) as into:
            report = collect.import_feeds(into, outlines, name=name, newsletter=settings, now=now())
    if as_json:
        print_json(vars(report))
    for bad in report.bad:
        options.say(f"  no feed address: {bad}")
    known = f", {report.known:,} known already" if report.known else ""
    topics = ", ".join(f"{topic} {count}" for topic, count in sorted(report.topics.items()))
    options.say(
        f"import: {report.read:,} {'feed' if report.read == 1 else 'feeds'} for {name}{known}"
        + (f"; by topic: {topics}" if topics else "")
        + (f"; {len(report.bad)} lines were no feed" if report.bad else "")
        + ("; nothing was stored" if dry_run else "")
    )


@app.command()
def export(context: typer.Context, newsletter: NewsletterName = None) -> None:
    """Print the feeds as OPML, without their secrets.

    Example: digest feed export > subscriptions.opml
    """
    from digest import collect
    from digest.store import feeds

    options: Options = context.obj
    with options.open() as (config, database):
        name = config.newsletter(newsletter)[0] if newsletter else None
        title = config.newsletters[name].title if name else "digest"
        with database.read() as session:
            unsaid = [feed for feed, _ in feeds.listed(session, newsletter=name) if _beyond_opml(feed)]
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        print(collect.export_feeds(database, newsletter=name, title=title, now=now()), end="")
    if unsaid:
        options.say(f"{len(unsaid)} of these have settings that OPML cannot say; `digest feed set ID` prints them")


def _beyond_opml(feed: Feed) -> bool:
    """Whether a feed is read in a way that no attribute of OPML, nor FreshRSS' filters, can say."""
    from digest.curate import sieve

    return bool(feed.full_text or feed.weight is not None or feed.keep or not all(map(sieve.as_search, feed.drop)))


def _choose(url: str, config: Config, headers: dict[str, str]) -> tuple[str, str, dict[str, str]]:
    """Address and title of the feed at `url`, the operator's choice where a page names several, and its secrets.

    What was given for one origin is not given to another that its page names.
    """
    from digest.collect.addresses import known_address
    from digest.errors import BadInput
    from digest.origin import same, without_login

    found = _look(url, config, headers, hint="--no-check adds it anyway")
    given, login = without_login(known_address(url))
    headers = login | headers
    if found.feed is not None:
        return found.url, found.feed.title, headers if same(found.url, given) else {}
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        lines = "\n  ".join(
            f"digest feed add {shlex.quote(c.url)}{f'  # {c.title}' if c.title else ''}" for c in found.choices
        )
        raise BadInput(f"{given} names {len(found.choices)} feeds; add one of them", hint=lines)
    chosen = _ask(found.choices).url
    return _choose(chosen, config, headers if same(chosen, given) else {})


def _ask(choices: Sequence[Candidate]) -> Candidate:
    for place, choice in enumerate(choices, 1):
        typer.echo(f"  {place}  {choice.title or '(no title)'}  {choice.url}", err=True)
    number: int = typer.prompt("Which one", type=int, default=1, err=True)
    return choices[min(max(number, 1), len(choices)) - 1]


def _look(url: str, config: Config, headers: dict[str, str], *, hint: str = "") -> Found:
    import asyncio

    from digest import collect
    from digest.errors import BadInput, FetchError, Unavailable, Unreachable

    try:
        return asyncio.run(collect.look(url, config, clock=now, headers=headers))
    except FetchError as error:
        hint = "--login asks for user and password" if error.status == 401 and hint else hint
        kind = Unavailable if isinstance(error, Unreachable) else BadInput
        raise kind(f"{shown(error.url)} {error.reason}", hint=hint) from None


def _health_row(feed: Feed, held: int, moment: datetime) -> list[Any]:
    from datetime import timedelta

    from digest import collect

    gap = timedelta(seconds=feed.gap_seconds) or None
    health = collect.health(collect.Vitals(feed.state, feed.failures, feed.ok_at, feed.entry_at, gap), now=moment)
    remarks = []
    if health == collect.Health.QUIET and feed.entry_at:
        remarks.append(f"quiet since {feed.entry_at:%Y-%m-%d}, over 3 × its usual gap")
    if feed.moved_to:
        remarks.append(
            f"moved to {feed.moved_to}: followed when it redirects twice, else `digest feed doctor` looks there"
        )
    if feed.former_urls:
        remarks.append(f"moved {len(feed.former_urls)} ×, last from {feed.former_urls[-1]['url']}")
    if held:
        remarks.append(f"{held} entries held back")
    return [
        feed.id,
        feed.title or feed.url,
        health.value,
        feed.ok_at,
        feed.failing_since,
        feed.error,
        _every(gap) if gap else "",
        "; ".join(remarks),
        feed.trouble,
    ]


def _host_cells(feed: Feed, servers: Mapping[str, hosts.Record], moment: datetime) -> list[Any]:
    """Who answers for a feed, until when it is left alone, the seconds it wants between two requests, and why."""
    host = feed.answered_by or feed.host
    said = servers.get(host) or servers.get(feed.host)
    if said is None:
        return [host, None, None, ""]
    held = said.held_until if said.held_until and said.held_until > moment else None
    return [host, held, said.pace_seconds or None, said.said]


def _every(gap: timedelta) -> str:
    hours = gap.total_seconds() / 3600
    if hours < 2:
        return f"an entry every {max(1, round(hours * 60))} minutes"
    return f"an entry every {round(hours)} hours" if hours < 48 else f"an entry every {round(hours / 24)} days"


def _trouble(found: Found) -> list[str]:
    """What an operator should know of a feed before reading it."""
    assert found.feed is not None and found.answer is not None
    entries, trouble = found.feed.entries, list(found.feed.trouble)
    if not entries:
        trouble.append("has no entries")
    for lacking, what in (
        (sum(not e.title for e in entries), "without a title"),
        (sum(not e.url for e in entries), "without a link"),
        (sum(e.published_at is None for e in entries), "without a possible date"),
    ):
        if lacking:
            trouble.append(f"{lacking} of {len(entries)} entries {what}")
    if found.answer.moved_to:
        trouble.append(f"moved for good to {found.answer.moved_to}")
    if not (found.answer.etag or found.answer.last_modified):
        trouble.append("sends no validators: it is fetched whole each time")
    return trouble


def _read_by(readers: Sequence[feeds.Reader]) -> list[str]:
    return [f"{r.newsletter}/{r.topic}" if r.topic else r.newsletter for r in readers]


def _read(source: str, config: Config) -> bytes:
    import asyncio

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
