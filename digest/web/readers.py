"""The reader's own pages, behind the signed links in the mail. GET changes nothing; a button posts."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import sign, store, subscribe
from digest.web.site import Site, body_of


def routes(site: Site) -> list[Route]:
    def subscription_of(request: Request) -> int | None:
        return sign.read_token(sign.Purpose.UNSUBSCRIBE, request.path_params["token"], keys=site.keys)

    def show_unsubscribe(request: Request) -> Response:
        subscription_id = subscription_of(request)
        with site.database.read() as session:
            found = store.subscription_by_id(session, subscription_id) if subscription_id else None
        return site.page("unsubscribe.html", title=site.title(found[1])) if found else site.unknown()

    def leave(request: Request, *, one_click: bool) -> Response:
        subscription_id = subscription_of(request)
        how = "one-click (RFC 8058)" if one_click else "unsubscribe page"
        with site.database.write() as session:
            left = subscribe.leave(session, subscription_id, how=how, now=site.clock()) if subscription_id else None
        return site.page("unsubscribed.html", title=site.title(left)) if left else site.unknown()

    async def unsubscribe(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(show_unsubscribe, request)
        # A mail client posts List-Unsubscribe=One-Click, urlencoded or as multipart (RFC 8058 §3.1); the page's
        # button posts nothing. Both mean it.
        return await run_in_threadpool(leave, request, one_click=b"One-Click" in await body_of(request))

    return [Route("/unsubscribe/{token}", unsubscribe, methods=["GET", "POST"])]
