"""The reader's door: pages behind the links in the mail. GET changes nothing; a button posts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from digest import sign, store, subscribe
from digest.config import Config
from digest.render import Marker
from digest.store import Database

# Nothing is loaded from anywhere, framed anywhere, or told about the token in the address.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_MAX_BODY = 64_000


def application(database: Database, config: Config, *, clock: Callable[[], datetime]) -> Starlette:
    """The ASGI application over one database."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    key = config.secret_key.get_secret_value()

    def page(name: str, status: int = 200, **values: object) -> Response:
        return HTMLResponse(pages.get_template(name).render(values), status_code=status, headers=_HEADERS)

    def title(newsletter: str) -> str:
        settings = config.newsletters.get(newsletter)
        return settings.title if settings else newsletter

    def subscription_of(request: Request) -> int | None:
        return sign.read_token(sign.Purpose.UNSUBSCRIBE, request.path_params["token"], key=key)

    def show_unsubscribe(request: Request) -> Response:
        subscription_id = subscription_of(request)
        with database.read() as session:
            found = store.subscription_by_id(session, subscription_id) if subscription_id else None
        return page("unsubscribe.html", title=title(found[1])) if found else page("unknown.html", 404)

    def unsubscribe(request: Request, *, one_click: bool) -> Response:
        subscription_id = subscription_of(request)
        how = "one-click (RFC 8058)" if one_click else "unsubscribe page"
        with database.write() as session:
            left = subscribe.leave(session, subscription_id, how=how, now=clock()) if subscription_id else None
        return page("unsubscribed.html", title=title(left)) if left else page("unknown.html", 404)

    async def unsubscribe_route(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(show_unsubscribe, request)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                return PlainTextResponse("too much\n", 413, headers=_HEADERS)
        # A mail client posts List-Unsubscribe=One-Click, urlencoded or as multipart (RFC 8058 §3.1); the page's
        # button posts nothing. Both mean it.
        return await run_in_threadpool(unsubscribe, request, one_click=b"One-Click" in body)

    def edition(request: Request) -> Response:
        asked = request.path_params
        with database.read() as session:
            found = store.variant_in_browser(session, asked["newsletter"], asked["number"], asked["key"])
            if found is None:
                return page("unknown.html", 404)
            variant, more = found
            rest = pages.get_template("more.html").render(stories=more)
            html = variant.html
        for marker in Marker:  # a frozen page is nobody's own: its personal links have no reader to serve
            html = re.sub(rf'<a\b[^>]*href="{re.escape(marker)}[^"]*"[^>]*>.*?</a>', "", html, flags=re.DOTALL)
        headers = _HEADERS | {
            "Content-Security-Policy": _HEADERS["Content-Security-Policy"] + "; img-src https:",
            "X-Robots-Tag": "noindex",
        }
        return HTMLResponse(html.replace("</body>", rest + "</body>"), headers=headers)

    def health(request: Request) -> Response:
        with database.read() as session:
            store.letter_counts(session)
        return PlainTextResponse("ok\n", headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/unsubscribe/{token}", unsubscribe_route, methods=["GET", "POST"]),
            Route("/editions/{newsletter}/{number:int}/{key}", edition),
            Route("/health", health),
        ]
    )
