"""What we know about a reader, for the reader: a copy of it all, and being forgotten."""

from __future__ import annotations

import json
import logging
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import subscribe
from digest.store import people
from digest.web.preferences import PREFERENCES
from digest.web.readers import form_of, page, reader_of
from digest.web.site import PRIVATE, Form, site_of

_log = logging.getLogger("digest.web")


def copy(request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        facts, lists = subscribe.everything(session, reader.person)
    text = json.dumps(facts | lists, default=_plain, ensure_ascii=False, indent=2) + "\n"
    headers = PRIVATE | {"Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(text, media_type="application/json", headers=headers)


def ask(request: Request, *, unsure: bool = False) -> Response:
    """Shall it be forgotten? `unsure` of who pressed the button without saying so."""
    site = site_of(request)
    with site.database.read() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        papers = [site.title(name) for _subscription, name in people.subscriptions_of(session, reader.person)]
    here = site.path_of(PREFERENCES, reader.id, reader.newsletter)
    return page(site, reader, "erase.html", 422 if unsure else 200, here=here, papers=papers, unsure=unsure)


def erase(request: Request, form: Form) -> Response:
    if form.get("sure", [""])[0] != "yes":
        return ask(request, unsure=True)
    site = site_of(request)
    with site.database.write() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        subscribe.erase(session, reader.person.email, secret=site.config.lasting_key, now=site.clock())
    if not site.database.checkpoint():
        _log.warning("somebody was erased while the database was read: its log keeps the bytes until it is emptied")
    return page(site, reader, "erased.html")


async def forget(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(ask, request)
    return await site_of(request).change(erase, request, await form_of(request))


def _plain(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


ROUTES = [
    Route("/preferences/{token}/data", copy),
    Route("/preferences/{token}/erase", forget, methods=["GET", "POST"]),
]
