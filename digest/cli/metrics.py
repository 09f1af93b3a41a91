"""`digest metrics`: figures for Prometheus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import Options, now, while_read


def metrics(
    context: typer.Context,
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", metavar="FILE", help="Put them there, for node_exporter's textfile collector."),
    ] = None,
) -> None:
    """Print figures for Prometheus, or put them in a file.

    The file is replaced in one step.
    Feeds by health, stories waiting, subscribers and letters by state, the last run. No addresses.

    Example: digest metrics --textfile /var/lib/node_exporter/digest.prom
    """
    from digest.observe import metrics as figures
    from digest.store import replica

    options: Options = context.obj
    if textfile is not None and textfile.suffix != ".prom":
        options.warn(f"node_exporter reads only files that end in .prom, and {textfile} does not")
    with options.open(partly=True) as (config, database):
        copy = partial(replica.standing, database, config.database_read_url)
        if textfile is not None:
            figures.write(textfile, database, config, clock=now, copy=copy)
            return
        text = figures.exposition(database, config, clock=now, copy=copy)
    with while_read():
        print(text.decode(), end="")
