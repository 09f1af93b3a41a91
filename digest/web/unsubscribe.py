"""Unsubscribing: the page behind the link in each mail, one click from a mail program, and a way back.

GET changes nothing; a button posts.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from digest import sign, subscribe
from digest.errors import UserError
from digest.models import SubscriptionState
from digest.store import suppressions
from digest.subscribe import goodbyes
from digest.web.readers import page, reader_of
from digest.web.site import PRIVATE, body_of, site_of

_HOW = "unsubscribe page"
_UNSUBSCRIBE = sign.Purpose.UNSUBSCRIBE


def show(request: Request, *, done: bool = False) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        reader = reader_of(site, session, _UNSUBSCRIBE, request)
        stopped = reader is not None and suppressions.find(session, reader.person.email) is not None
    if reader is None:  # who was erased has left: a mail program that clicks once is not told of a failure
        return site.unknown(request, gone=200 if request.method == "POST" else 410)
    choices = site.path_of(sign.Purpose.PREFERENCES, reader.id, reader.newsletter)
    here = site.path_of(_UNSUBSCRIBE, reader.id, reader.newsletter)
    gone = reader.subscription.state is SubscriptionState.UNSUBSCRIBED
    # Who has just come back is told so; who looks again is asked again.
    template = "unsubscribed.html" if gone or (done and reader.receives) else "unsubscribe.html"
    return page(site, reader, template, choices=choices, here=here, gone=gone, stopped=stopped)


def leave(request: Request, *, one_click: bool) -> Response:
    site, how = site_of(request), "one-click (RFC 8058)" if one_click else _HOW
    with site.database.write() as session:
        reader = reader_of(site, session, _UNSUBSCRIBE, request)
        said = subscribe.Evidence(how, site.clock(), ip=site.client(request))
        mailed = reader is not None and goodbyes.leave(session, reader.id, config=site.config, evidence=said)
    if mailed:
        site.mail_now()
    return show(request)


def undo(request: Request) -> Response:
    site = site_of(request)
    with site.database.write() as session:
        reader = reader_of(site, session, _UNSUBSCRIBE, request)
        if reader is None:
            return site.unknown(request)
        try:
            said = subscribe.Evidence(f"{_HOW}, undone", site.clock(), ip=site.client(request))
            subscribe.come_back(session, reader.id, evidence=said)
        except UserError:
            pass  # suppressed, which the page says
    return RedirectResponse(f"{site.path_of(_UNSUBSCRIBE, reader.id, reader.newsletter)}/undo", 303, headers=PRIVATE)


async def leaving(request: Request) -> Response:
    token, keys = request.path_params["token"], site_of(request).config.all_keys
    if sign.read_token(_UNSUBSCRIBE, token, keys=keys) == sign.NOBODY:
        clicked = request.method != "POST" or b"One-Click" in await body_of(request)
        return PlainTextResponse(sign.NOBODYS, 200 if clicked else 400, headers=PRIVATE)
    if request.method != "POST":
        return await run_in_threadpool(show, request)
    # A mail client posts List-Unsubscribe=One-Click, urlencoded or as multipart (RFC 8058 §3.1), from wherever
    # it is; the page's button posts nothing. Both mean it.
    site, one_click = site_of(request), b"One-Click" in await body_of(request)
    if not one_click:
        site.refuse_strangers(request)
    return await site.change(leave, request, one_click=one_click)


async def undoing(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(show, request, done=True)
    await body_of(request)
    site = site_of(request)
    site.refuse_strangers(request)
    return await site.change(undo, request)


ROUTES = [
    Route("/unsubscribe/{token}", leaving, methods=["GET", "POST"]),
    Route("/unsubscribe/{token}/undo", undoing, methods=["GET", "POST"]),
]
