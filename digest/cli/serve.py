"""`digest serve`: the pages that links in the mail lead to."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.common import Options, now


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; a proxy with TLS stands before it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the web pages, so that readers can unsubscribe with one click.

    Example: digest serve --port 8000
    """
    import uvicorn

    from digest.web import application

    options: Options = context.obj
    with options.open() as (config, database):
        options.say(f"serving {config.base_url} on http://{host}:{port}")
        uvicorn.run(application(database, config, clock=now), host=host, port=port, log_level="warning")
