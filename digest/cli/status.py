"""`digest status`: is all well?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from digest.cli.common import Options, in_words, left_words, now, print_json, print_rows
from digest.cli.mail import tell_heard
from digest.cli.names import lost, tell_lost
from digest.cli.options import Json
from digest.errors import Exit, WrongClock

if TYPE_CHECKING:
    from digest.store import hooks, letters, newsletters


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show feeds, readers, stories waiting, next slot and letters. Exit 69 where a wrong clock holds them up.

    Example: digest status --json
    """
    from digest.store import clock, editions, feeds, healing, hooks, letters, newsletters, reports, signup

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database), database.read() as session:
        lines = [newsletters.status(session, name) for name in config.newsletters]
        slots = {name: n.slots.next_slot(moment) if n.slots else None for name, n in config.newsletters.items()}
        standing = editions.letter_counts(session)
        left = letters.left(session, now=moment)
        trouble = clock.verdict(session, now=moment)
        ahead = healing.ahead(session, healing.Scene.of(config), now=moment)
        waiting = signup.waiting(session).all
        turned_away = signup.refused(session, since=moment - timedelta(days=2))
        aside = feeds.set_aside_counts(session, since=moment - timedelta(days=30))
        heard = reports.counts(session, since=moment - timedelta(days=30))
        asks, complaints = reports.asks(session), reports.complaints(session, since=moment - timedelta(days=30))
        strangers = reports.refused(session, since=moment - timedelta(days=30))
        starving = lost(config, database)
        told = [one for one in hooks.listed(session) if one.failing_since or one.disabled_at]
    if as_json:
        print_json(
            {
                "database": config.database_name,
                "newsletters": [asdict(line) | {"next_slot": slots[line.newsletter]} for line in lines],
                "letters": standing,
                "left": asdict(left),
                "signups": {"waiting": waiting, "turned_away": turned_away},
                "clock": {"trouble": trouble, "ahead": ahead},
                "gone": [asdict(one) for one in starving],
                "webhooks": [asdict(one) for one in told],
                "mail": {
                    "read": heard,
                    "asks": asks,
                    "complained": complaints[0],
                    "delivered": complaints[1],
                    "refused": {service: number for service, number, _why in strangers},
                },
                "set_aside": {str(feed): number for feed, number in aside.items()},
            }
        )
    else:
        _show(options, lines, slots, standing, left)
        if waiting or turned_away:
            options.say(
                f"sign-ups: {waiting} wait for their mail, which goes within a day; {turned_away} turned away since "
                "yesterday ([web] signups_per_network, signups_per_hour)"
            )
        _tell_aside(options, aside)
        tell_heard(options, heard, asks, *complaints)
        for service, number, why in strangers:
            options.warn(f"{number:,} requests to /hear/{service} refused, the last: {why}")
        options.say(f"database: {config.database_name}")
    tell_lost(options, config, starving)
    _tell_webhooks(options, told)
    if trouble:
        options.warn(f"nothing will be done: {trouble}\n  {WrongClock.cure}")
    elif ahead:
        options.warn(
            f"a clock was wrong: what it stored lies further ahead than any rule puts it ({in_words(ahead)})\n"
            "  the next `digest run` puts it back"
        )
    if trouble or ahead:
        raise typer.Exit(Exit.UNAVAILABLE)


def _show(
    options: Options,
    lines: list[newsletters.Status],
    slots: dict[str, datetime | None],
    letters: dict[str, int],
    left: letters.Left,
) -> None:
    columns = ("newsletter", "feeds", "failing", "subscribers", "stories_waiting", "last_edition", "next_slot")
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
            )
            for n in lines
        ],
    )
    words = ", ".join(f"{number} {state}" for state, number in letters.items()) or "none yet"
    options.say(f"letters: {'; '.join([words, *left_words(left)])}")


def _tell_aside(options: Options, aside: Mapping[int, int]) -> None:
    """Entries that could not be read, by feed."""
    if aside:
        entries, worst = sum(aside.values()), max(aside, key=aside.__getitem__)
        options.say(
            f"set aside: {entries:,} {'entry' if entries == 1 else 'entries'} in 30 days that could not be read, "
            f"of {len(aside):,} {'feed' if len(aside) == 1 else 'feeds'}; `digest feed show {worst}` says why"
        )


def _tell_webhooks(options: Options, troubled: Sequence[hooks.Standing]) -> None:
    """Those that are not told what happens."""
    for one in troubled:
        how = "is disabled, and what happens is not kept for it"
        if one.failing_since and not one.disabled_at:
            how = f"fails since {one.failing_since:%Y-%m-%d %H:%M} UTC"
        options.warn(f"webhook {one.id} {how}: {one.error}\n  once it is mended: digest webhook test {one.id}")
