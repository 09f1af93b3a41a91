"""`digest status`: is all well?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from digest.cli.common import CLOCK_HINT, Json, Options, in_words, left_words, now, print_json, print_rows
from digest.errors import Exit

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Left
    from digest.store.newsletters import NewsletterStatus


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show feeds, readers, stories waiting, next slot and letters. Exit 69 where a wrong clock holds them up.

    Example: digest status --json
    """
    from digest import store

    options: Options = context.obj
    moment = now()
    with options.open() as (config, database), database.read() as session:
        lines = [store.newsletter_status(session, name) for name in config.newsletters]
        slots = {name: n.slots.next_slot(moment) if n.slots else None for name, n in config.newsletters.items()}
        letters = store.letter_counts(session)
        left = store.left(session, now=moment)
        trouble = store.clock.verdict(session, now=moment)
        ahead = store.clock.ahead(session, store.clock.Scene.of(config), now=moment)
    if as_json:
        print_json(
            {
                "database": config.database_name,
                "newsletters": [asdict(line) | {"next_slot": slots[line.newsletter]} for line in lines],
                "letters": letters,
                "left": asdict(left),
                "clock": {"trouble": trouble, "ahead": ahead},
            }
        )
    else:
        _show(options, config, lines, slots, letters, left)
    if trouble:
        options.warn(f"nothing will be done: {trouble}\n  {CLOCK_HINT}")
    elif ahead:
        options.warn(
            f"a clock was wrong: what it stored lies further ahead than any rule puts it ({in_words(ahead)})\n"
            "  the next `digest run` puts it back"
        )
    if trouble or ahead:
        raise typer.Exit(Exit.UNAVAILABLE)


def _show(
    options: Options,
    config: Config,
    lines: list[NewsletterStatus],
    slots: dict[str, datetime | None],
    letters: dict[str, int],
    left: Left,
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
    options.say(f"database: {config.database_name}")
