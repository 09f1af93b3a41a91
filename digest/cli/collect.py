"""`digest collect`: ask the feeds that are due."""

from __future__ import annotations

import typer

from digest.cli.common import Options, now, print_json
from digest.cli.options import Force, Json, LogFile, LogFormat
from digest.cli.progress import heed_clock, telling
from digest.cli.record import recorded
from digest.errors import Exit


def collect(
    context: typer.Context,
    force: Force = False,
    as_json: Json = False,
    log: LogFile = None,
    log_format: LogFormat = None,
) -> None:
    """Ask the feeds that are due and store what is new.

    Example: digest collect --force
    """
    from digest import line

    options: Options = context.obj
    with (
        recorded(options, "collect", now, log, log_format) as record,
        options.open(partly=True) as (config, database),
    ):
        healed = heed_clock(options, config, database)
        with record.stored(database), telling(options, config) as tell:
            report = line.collect(database, config, clock=now, force=force, tell=tell)
            line.ask_hubs(database, config, clock=now)
            code = Exit.CONFIG if config.broken else line.collection_code(report)
            record.ends(code)
    if as_json:
        print_json(
            {
                **{name: getattr(report, name) for name in ("asked", "unchanged", "updated", "failed", "held")},
                **{name: getattr(report, name) for name in ("new", "edited")},
                "failures": [vars(failure) for failure in report.failures],
                "changes": [vars(change) for change in report.changes],
                "healed": healed,
            }
        )
    raise typer.Exit(code)
