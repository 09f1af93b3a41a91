"""`digest feed …`: the sources."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_facts, print_json, print_rows
from digest.cli.feed_add import look_at
from digest.cli.feed_reading import page_facts, set_facts
from digest.cli.options import All, DryRun, Json, NewsletterName, Newsletters, WhichFeed
from digest.origin import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlmodel import Session

    from digest.collect import Found, Repair
    from digest.config import Config
    from digest.models import Feed
    from digest.store import feeds, hosts
    from digest.store.feed_tables import WebSub

app = typer.Typer(no_args_is_help=True, help="The feeds that newsletters read.")


@app.command("list")
def list_(
    context: typer.Context,
    newsletter: Newsletters = None,
    every: All = False,
    health: Annotated[
        bool, typer.Option("--health", help="Show how each and its host is doing, the worst first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the feeds.

    Example: digest feed list --health
    """
    from digest.store import feeds, hosts, websub

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database):
        names = config.chosen(newsletter, every=every)
        with database.read() as session:
            found = feeds.listed(session, newsletters=names)
            if health:
                held = feeds.held_counts(session)
                servers = {record.name: record for record in hosts.records(session, now=moment)}
                hubs = websub.all_of_them(session)
                rows = [
                    [
                        *_health_row(feed, held.get(feed.id or 0, 0), moment, hubs.get(feed.id or 0)),
                        *_host_cells(feed, servers, moment),
                    ]
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
    from digest.store import feeds, websub

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database), database.read() as session:
        found = feeds.find(session, feed)
        number = found.id or 0
        readers = next(r for f, r in feeds.listed(session) if f.id == found.id)
        hub = websub.of_feeds(session, [number]).get(number)
        row = _health_row(found, feeds.held_count(session, number), moment)
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
            "hub": websub.in_words(hub, now=moment),
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
    config = options.load()  # a look without a database, so without a lease of the host
    found = look_at(url, config, {})
    if found.feed is None or found.answer is None:
        rows = [[c.url, c.title, c.type] for c in found.choices]
        options.say(f"{shown(url)} names {len(rows)} feeds:")
        print_rows(["url", "title", "type"], rows, as_json=as_json)
        return
    entries = [
        {"title": e.title, "url": e.url, "published": e.published_at, "language": e.language, "author": e.author}
        for e in found.feed.entries
    ]
    facts = {
        "url": found.url,
        "place": found.became,
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
    from digest import collect, event_loop
    from digest.errors import NotFound

    options: Options = context.obj
    with options.open() as (config, database):
        repairs = event_loop.run(lambda: collect.diagnose(database, config, clock=now))
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


def _health_row(feed: Feed, held: int, moment: datetime, hub: WebSub | None = None) -> list[Any]:
    from datetime import timedelta

    from digest import collect
    from digest.store import websub

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
    if hub is not None:
        remarks.append(websub.in_words(hub, now=moment))
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
