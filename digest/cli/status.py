"""`digest status`: is all well?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from digest.cli.common import Options, in_words, left_words, now, print_json, print_rows
from digest.cli.mail import tell_heard
from digest.cli.names import lost, tell_lost
from digest.cli.options import All, Json, Newsletters
from digest.dataclass import dataclass
from digest.errors import Exit, PutBack, WrongClock

if TYPE_CHECKING:
    from sqlmodel import Session

    from digest.store import Database, alerts, hooks, letters, newsletters, replica


def status(context: typer.Context, newsletter: Newsletters = None, every: All = False, as_json: Json = False) -> None:
    """Show feeds, readers, stories waiting, next slot and letters.

    Exit 69 where a database that was put back, or a wrong clock, holds it all up, or has stored what lies too far
    ahead; 78 where something is wrong with the settings of a newsletter, or a file that they name.

    Example: digest status --json
    """
    from digest.cli import files
    from digest.store import clock, editions, healing, letters, newsletters, replica

    options: Options = context.obj
    moment = now()
    with options.open(newsletter, every=every, partly=True) as (config, database), database.read() as session:
        put_back = database.witness.trouble(session) if database.witness else None  # first, see `standing`
        lines = [newsletters.status(session, name) for name in config.turn]
        papers = {name: config.newsletters[name] for name in config.turn}
        slots = {name: n.slots.next_slot(moment) if n.slots else None for name, n in papers.items()}
        wrong = dict(config.broken)
        for finding in files.check(config, writes=database.view is None):  # whoever only looks keeps no letters
            if not finding.warning and (finding.newsletter in papers or not finding.newsletter):
                wrong.setdefault(finding.newsletter, str(finding))
        each = letters.left_of_each(session, now=moment)
        numbers = {name: row.id for name, row in newsletters.by_name(session).items()}
        owed = {name: each.get(numbers[name], letters.Left()) for name in config.turn}
        standing = editions.letter_counts(session)
        left = letters.together(owed.values() if config.narrowed else each.values())
        trouble = clock.verdict(session, now=moment)
        ahead = healing.ahead(session, healing.Scene.of(config), now=moment)
        rest = _rest(session, moment)
        starving = lost(config, database)
        kept = _kept(database, session, moment)
        at_work = _workers(database, session, moment)
        copy = replica.standing(database, config.database_read_url)
    if as_json:
        print_json(
            {
                "database": config.database_name,
                "newsletters": [
                    asdict(line)
                    | {"next_slot": slots[line.newsletter], "left": asdict(owed[line.newsletter])}
                    | {"wrong": wrong.get(line.newsletter, "")}
                    for line in lines
                ],
                "wrong": wrong,
                "letters": standing,
                "left": asdict(left),
                "signups": {"waiting": rest.waiting, "turned_away": rest.turned_away},
                "clock": {"trouble": trouble, "ahead": ahead},
                "put_back": str(put_back or ""),
                "gone": [asdict(one) for one in starving],
                "webhooks": [asdict(one) for one in rest.webhooks],
                "alerts": [asdict(one) for one in rest.mute],
                "mail": {
                    "read": rest.heard,
                    "asks": rest.asks,
                    "complained": rest.complaints[0],
                    "delivered": rest.complaints[1],
                    "refused": {service: number for service, number, _why in rest.strangers},
                },
                "set_aside": {str(feed): number for feed, number in rest.aside.items()},
                "keep": kept,
                "workers": at_work,
                "replica": {"database": config.database_read_name} | asdict(copy) if copy else {},
            }
        )
    else:
        _show(options, lines, slots, owed)
        words = ", ".join(f"{number} {state}" for state, number in standing.items()) or "none yet"
        options.say(f"letters: {'; '.join([words, *left_words(left)])}")
        _tell_signups(options, rest.waiting, rest.turned_away)
        _tell_aside(options, rest.aside)
        tell_heard(options, rest.heard, rest.asks, *rest.complaints)
        _tell_refused(options, rest.strangers)
        if at_work:
            options.say(f"workers: {at_work['alive']} at work, {at_work['dead']} dead (digest worker list)")
        options.say(f"database: {config.database_name}{_size_words(kept)}")
    if copy:
        _tell_replica(options, config.database_read_name, copy)
    _tell_webhooks(options, rest.webhooks, rest.mute)
    tell_lost(options, config, [one for one in starving if not config.narrowed or one.newsletter in papers])
    for name, words in wrong.items():
        if name not in config.broken:  # of which the settings told already
            options.warn(words)
    _tell_held_up(options, put_back, trouble, ahead)
    if wrong:
        raise typer.Exit(Exit.CONFIG)
    if trouble or ahead or put_back:
        raise typer.Exit(Exit.UNAVAILABLE)


def _kept(database: Database, session: Session, moment: datetime) -> dict[str, Any]:
    """How large the database is, by how much it grew a day so far, and what was let go of by kind (bytes; rows)."""
    from digest.store import clock, disk_space, kept

    begun = clock.first_run(session)
    size, growth = disk_space.size_of(database, days=(moment - begun).days if begun else 0)
    kinds = {one.kind: {"pruned": one.rows, "day": one.day, "held": one.held} for one in kept.standings(session)}
    return {"bytes": size, "bytes_a_day": round(growth), "kinds": kinds}


def _workers(database: Database, session: Session, moment: datetime) -> dict[str, int]:
    """How many are alive and dead; none on SQLite, nor where nobody ever started one."""
    if database.engine.dialect.name != "postgresql":
        return {}
    from digest.store import workers

    found = workers.seen(session, now=moment)
    dead = sum(one.dead for one in found)
    return {"alive": len(found) - dead, "dead": dead} if found else {}


def _size_words(kept: Mapping[str, Any]) -> str:
    if kept["bytes"] is None:
        return ""
    held = max((sum(kind["held"].values()) for kind in kept["kinds"].values()), default=0)
    back = f"; {held:,} rows are kept though old, `digest doctor` says why" if held else ""
    return f", {kept['bytes'] / 1e6:,.1f} MB, {kept['bytes_a_day'] / 1e6:,.1f} MB more a day so far{back}"


def _tell_replica(options: Options, name: str, copy: replica.Standing) -> None:
    if copy.trouble:
        options.warn(f"pages are read from the database itself: the replica {name} {copy}")
    else:
        options.say(f"replica: {name} {copy}")


@dataclass
class _Rest:
    """What not every installation has anything of."""

    waiting: int = 0  # sign-ups
    turned_away: int = 0
    aside: Mapping[int, int] = field(default_factory=dict)  # entries that could not be read, by feed
    heard: dict[str, int] = field(default_factory=dict)  # mails that came back, by what followed
    asks: int = 0
    complaints: tuple[int, int] = (0, 0)
    strangers: list[tuple[str, int, str]] = field(default_factory=list)
    mute: list[alerts.Failing] = field(default_factory=list)
    webhooks: list[hooks.Standing] = field(default_factory=list)


def _rest(session: Session, moment: datetime) -> _Rest:
    """Each is asked where there is anything: to ask takes the tables, and these take time to import."""
    from digest.store import idle

    found, there, month = _Rest(), idle.in_use(session), moment - timedelta(days=30)
    if there.signups:
        from digest.store import signup

        found.waiting = signup.waiting(session).all
        found.turned_away = signup.refused(session, since=moment - timedelta(days=2))
    if there.faults:
        from digest.store import feeds

        found.aside = feeds.set_aside_counts(session, since=month)
    if there.mails:
        from digest.store import reports

        found.heard, found.asks = reports.counts(session, since=month), reports.asks(session)
        found.complaints = reports.complaints(session, since=month)
        found.strangers = reports.refused(session, since=month)
    if there.alerts:
        from digest.store import alerts

        found.mute = alerts.failing(session, now=moment)
    if there.webhooks:
        from digest.store import hooks

        found.webhooks = [one for one in hooks.listed(session) if one.failing_since or one.disabled_at]
    return found


def _show(
    options: Options,
    lines: list[newsletters.Status],
    slots: dict[str, datetime | None],
    owed: dict[str, letters.Left],
) -> None:
    columns = ("newsletter", "feeds", "failing", "subscribers", "stories_waiting", "last_edition", "next_slot", "owed")
    print_rows(
        columns,
        [
            (
                n.newsletter,
                n.feeds,
                n.failing,
                n.subscribers,
                n.stories_waiting,
                n.last_edition or "none",
                slots[n.newsletter] or "each run",
                owed[n.newsletter].letters,
            )
            for n in lines
        ],
    )


def _tell_held_up(options: Options, put_back: PutBack | None, trouble: str, ahead: Mapping[str, int]) -> None:
    """What stops all newsletters."""
    if put_back:
        options.warn(f"{put_back}\n  {put_back.hint}")
    if trouble:
        options.warn(f"nothing will be done: {trouble}\n  {WrongClock.cure}")
    elif ahead:
        options.warn(
            f"a clock was wrong: what it stored lies further ahead than any rule puts it ({in_words(ahead)})\n"
            "  the next `digest run` puts it back"
        )


def _tell_aside(options: Options, aside: Mapping[int, int]) -> None:
    """Entries that could not be read, by feed."""
    if aside:
        entries, worst = sum(aside.values()), max(aside, key=aside.__getitem__)
        options.say(
            f"set aside: {entries:,} {'entry' if entries == 1 else 'entries'} in 30 days that could not be read, "
            f"of {len(aside):,} {'feed' if len(aside) == 1 else 'feeds'}; `digest feed show {worst}` says why"
        )


def _tell_signups(options: Options, waiting: int, turned_away: int) -> None:
    if waiting or turned_away:
        options.say(
            f"sign-ups: {waiting} wait for their mail, which goes within a day; {turned_away} turned away since "
            "yesterday ([web] signups_per_network, signups_per_hour)"
        )


def _tell_refused(options: Options, strangers: Sequence[tuple[str, int, str]]) -> None:
    for service, number, why in strangers:
        options.warn(f"{number:,} requests to /hear/{service} refused, the last: {why}")


def _tell_webhooks(options: Options, troubled: Sequence[hooks.Standing], mute: Sequence[alerts.Failing]) -> None:
    """Those that are not told what happens."""
    for one in troubled:
        how = "is disabled, and what happens is not kept for it"
        if one.failing_since and not one.disabled_at:
            how = f"fails since {one.failing_since:%Y-%m-%d %H:%M} UTC"
        options.warn(f"webhook {one.id} {how}: {one.error}\n  once it is mended: digest webhook test {one.id}")
    for channel in mute:
        options.warn(
            f"alerts cannot be told by {channel.channel} since {channel.since:%Y-%m-%d %H:%M}: {channel.error}"
        )
