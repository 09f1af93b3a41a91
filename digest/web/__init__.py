"""The reader's door: what is behind the links in the mail, and what everybody may read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest import store
from digest.config import Config
from digest.store import Database
from digest.web import archive, readers
from digest.web.client import Proxied
from digest.web.site import PRIVATE, Site, TooLarge


def application(database: Database, config: Config, *, clock: Callable[[], datetime]) -> Starlette:
    """The ASGI application over one database."""
    site = Site(database, config, clock)

    def health(request: Request) -> Response:
        with database.read() as session:
            store.letter_counts(session)
        return PlainTextResponse("ok\n", headers=PRIVATE)

    def too_large(request: Request, error: Exception) -> Response:
        return PlainTextResponse("too much\n", 413, headers=PRIVATE)

    return Starlette(
        routes=[*readers.routes(site), *archive.routes(site), Route("/health", health)],
        middleware=[Middleware(Proxied, proxies=config.web.proxies, root=config.base_path)],
        exception_handlers={TooLarge: too_large},
    )
