"""The reader's door: what is behind the links in the mail, and what everybody may read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.config import Config
from digest.errors import StorageError
from digest.store import Database
from digest.store import clock as stored_clock
from digest.store.database import head, revision
from digest.web import archive, archive_feeds, buttons, frozen, own_data, preferences, signup, unsubscribe
from digest.web.bounds import InTime
from digest.web.client import Proxied
from digest.web.site import PRIVATE, Site, TooLarge

_log = logging.getLogger("digest.web")


def _sorry(status: int, t: Callable[[str], str]) -> tuple[str, str]:
    """A heading and a sentence about what went wrong."""
    known = {
        400: (t("That cannot be read"), t("What was sent is not what our form sends. Please go back and try again.")),
        403: (t("This came from elsewhere"), t("Another site sent you here to change something. Nothing was changed.")),
        404: (t("There is no such page"), t("The address is incomplete, or what was here is gone.")),
        405: (t("That does not work here"), t("This page is for reading; there is nothing to send to it.")),
        408: (t("That took too long"), t("The request did not arrive in time. Please try again.")),
        413: (t("That is too much"), t("What was sent is larger than this page takes.")),
        500: (t("Something went wrong"), t("It is our mistake, and it was noted. Please try again later.")),
        503: (t("Not now"), t("The pages cannot be reached for the moment. Please try again in a minute.")),
    }
    return known.get(status, known[404 if status < 500 else 500])


def application(
    database: Database,
    config: Config,
    *,
    clock: Callable[[], datetime],
    mail_now: Callable[[], None] = lambda: None,
    log: Callable[[str], None] | None = None,
) -> Starlette:
    """The ASGI application over one database.

    `mail_now` is called when somebody waits for a mail that is now owed; `log` is told each request, without what
    must stay secret.
    """
    site = Site(database, config, clock, mail_now)

    def health(request: Request) -> Response:
        return PlainTextResponse("ok\n", headers=PRIVATE)

    def ready(request: Request) -> Response:
        trouble = ""
        try:
            with database.read() as session:
                found = revision(session.connection())
                trouble = stored_clock.verdict(session, now=clock())
                scene, kinds = stored_clock.Scene.of(config), ("feeds", "newsletters")
                if not trouble and (ahead := stored_clock.ahead(session, scene, now=clock(), kinds=kinds)):
                    trouble = f"nothing is due before a clock that was wrong once ({ahead}): `digest run` mends it"
            if found != head():
                trouble = f"the database is of revision {found}, and this release wants {head()}"
        except StorageError as error:
            trouble = str(error)
        return PlainTextResponse(f"{trouble or 'ok'}\n", 503 if trouble else 200, headers=PRIVATE)

    def sorry(request: Request, status: int, headers: dict[str, str] | None = None) -> Response:
        said = site.said_to(request)
        title, words = _sorry(status, said.gettext)
        answer = site.spoken(said, "sorry.html", status, title=title, words=words, home=f"{config.base_path}/")
        answer.headers.update(headers or {})
        return answer

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.scope["path"].removeprefix(request.scope["root_path"])
        if error.status_code == 404 and path.endswith("/") and path.strip("/"):
            # Ours end in none. Never a whole address: whoever asked could choose its host.
            return RedirectResponse(f"{config.base_path}/{quote(path.strip('/'))}", 308, headers=PRIVATE)
        return sorry(request, error.status_code, dict(error.headers or {}))

    def out_of_reach(request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        return sorry(request, 503, {"Retry-After": "60"})

    app = Starlette(
        routes=[
            *signup.ROUTES,
            *unsubscribe.ROUTES,
            *preferences.ROUTES,
            *buttons.ROUTES,
            *own_data.ROUTES,
            *archive.ROUTES,
            *archive_feeds.ROUTES,
            *frozen.ROUTES,
            Route("/health", health),
            Route("/ready", ready),
        ],
        middleware=[
            *([Middleware(_Logged, log=log, clock=clock)] if log else []),
            Middleware(Proxied, proxies=config.web.proxies, root=config.base_path),
            Middleware(InTime, late=sorry),
        ],
        exception_handlers={
            HTTPException: refused,
            TooLarge: lambda request, error: sorry(request, 413),
            ClientDisconnect: lambda request, error: sorry(request, 400),  # to nobody
            StorageError: out_of_reach,
            Exception: lambda request, error: sorry(request, 500),
        },
    )
    app.state.site = site
    app.router.redirect_slashes = False  # it knows nothing of a path that a proxy took off
    return app


class _Logged:
    """One line for each request. Of an address with a token in it only the first word is told."""

    def __init__(self, app: ASGIApp, *, log: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._app = app
        self._log = log
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = self._clock(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = (self._clock() - began).total_seconds()
            who = scope["client"][0] if scope.get("client") else "-"
            self._log(f"{began:%Y-%m-%dT%H:%M:%SZ} {who} {scope['method']} {_told(scope)} {status} {seconds:.3f}")


def _told(scope: Scope) -> str:
    """The path for the log; queries are not told, nor what could break a line."""
    root = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(root)
    first = path.split("/")[1] if path.startswith("/") else path
    told = path if path == "/" or first in ("newsletters", "health", "ready") else f"/{first}/…" if first else "/…"
    return "".join(c if c.isprintable() and c != " " else "?" for c in told)[:200]
