"""`digest backtest`: other settings on entries already judged."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import Options, now, print_json, print_rows
from digest.cli.options import Json, NewsletterName
from digest.errors import UserError

_MOST_DAYS = 10_000


def backtest(
    context: typer.Context,
    other: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The settings to try.", exists=True, dir_okay=False)
    ],
    days: Annotated[float, typer.Option("--days", min=0.01, help="How far back.")] = 30,
    newsletter: NewsletterName = None,
    as_json: Json = False,
) -> None:
    """Print what other settings would have changed. Stored entries are judged by them; nothing is changed.

    Example: digest backtest --days 30 --config new.toml
    """
    from digest import config as settings_file
    from digest import edition

    if not days <= _MOST_DAYS:  # nor is nan
        raise UserError(f"--days {days:g} is out of reach", hint=f"take a number up to {_MOST_DAYS:,}")
    options: Options = context.obj
    tried = settings_file.load(other)
    with options.open() as (config, database), database.read() as session:
        name, _ = config.newsletter(newsletter)
        _, settings = tried.newsletter(name)
        result = edition.backtest(session, name, settings, tried.curate, since=now() - timedelta(days=days))
    columns = ("story", "was", "would_be", "title", "why")
    rows = [(d.story, d.was, d.would_be, d.title, d.why) for d in result.differences]
    if as_json:
        print_json({"entries": result.entries, "differences": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_rows(columns, rows)
        options.say(f"{len(rows)} of {result.entries} entries would differ")
