"""The reader's door: what is behind the links in the mail, and what everybody may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware

from digest.collect.posting import Getter
from digest.config import Config
from digest.edition import logos
from digest.store import Database
from digest.store.replica import Replica
from digest.web import (
    api,
    archive,
    archive_feeds,
    buttons,
    crawlers,
    frozen,
    had,
    health,
    hear,
    likes,
    metrics,
    moves,
    own_data,
    pictures,
    preferences,
    search,
    signup,
    sorry,
    unsubscribe,
    websub,
)
from digest.web.client import Proxied
from digest.web.houses import Houses
from digest.web.logged import Asked, Logged
from digest.web.rates import Rates
from digest.web.site import Site
from digest.web.timeouts import InTime


def application(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    mail_now: Callable[[], None] = lambda: None,
    tell_now: Callable[[], None] = lambda: None,
    ask: Callable[[str, int], Awaitable[bytes]] | None = None,
    log: Callable[[Asked], None] | None = None,
    replica: Replica | None = None,
) -> Starlette:
    """The ASGI application over one database, and a replica of it for what is the same for everybody.

    `mail_now` is called when somebody waits for a mail that is now owed, `tell_now` when something changed of which
    webhooks may be told; `ask` fetches certificates; `log` is told each request, without what
    must stay secret.
    """
    asked = ask or Getter(proxy=config.collect.proxy.get_secret_value())
    site = Site(
        database,
        config,
        clock,
        mail_now,
        tell_now,
        Houses(config),
        rates=Rates(database),
        ask=asked,
        ears=hear.Ears(),
        replica=replica,
    )
    app = Starlette(
        routes=ROUTES,
        middleware=[
            *([Middleware(Logged, log=log, clock=clock)] if log else []),
            Middleware(Proxied, proxies=config.web.proxies, houses=site.houses),
            Middleware(InTime, late=sorry.sorry),
        ],
        exception_handlers=sorry.HANDLERS,
    )
    app.state.site = site
    for settings in config.newsletters.values():  # each process has the logos that pages of another show
        logos.on_page(settings, "")
    app.router.redirect_slashes = False  # it knows nothing of a path that a proxy took off
    return app


# Each file ends with its own.
ROUTES = [
    *signup.ROUTES,
    *unsubscribe.ROUTES,
    *preferences.ROUTES,
    *buttons.ROUTES,
    *likes.ROUTES,
    *moves.ROUTES,
    *own_data.ROUTES,
    *archive.ROUTES,
    *archive_feeds.ROUTES,
    *crawlers.ROUTES,
    *search.ROUTES,
    *had.ROUTES,
    *frozen.ROUTES,
    *pictures.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *hear.ROUTES,
    *api.ROUTES,
    *websub.ROUTES,
]
