"""A reader's other address: asked for on the page of their choices, confirmed by the link in a mail to that address."""

from __future__ import annotations

from dataclasses import replace

from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import subscribe
from digest.colours import on_dark
from digest.errors import BadInput
from digest.render.speech import speech
from digest.store import people
from digest.subscribe import moves
from digest.web.preferences import HOW, PREFERENCES, back
from digest.web.readers import form_of, reader_of
from digest.web.site import Form, Site, body_of, site_of

_STATUS = {"expired": 410, "refused": 409}


def ask(request: Request, form: Form) -> Response:
    """Owe the new address a mail. What is answered does not tell whether somebody has it."""
    site = site_of(request)
    said = subscribe.Evidence(HOW, site.clock(), ip=site.client(request))
    with site.database.write() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        done = "asked" if reader.receives else ""
        try:
            if done:
                moves.ask(session, reader.id, form.get("email", [""])[0], config=site.config, evidence=said)
        except BadInput:
            done = "no-address"
    if done == "asked":
        site.mail_now()
    return back(site, reader, done)


async def asking(request: Request) -> Response:
    return await site_of(request).change(ask, request, await form_of(request))


def answer(request: Request, *, do: bool) -> Response:
    """What the link of the mail would do, or (`do`) what came of it."""
    site, token = site_of(request), request.path_params["token"]
    if do:
        said = subscribe.Evidence(f"{HOW}, confirmed by mail", site.clock(), ip=site.client(request))
        with site.database.write() as session:
            found = moves.confirm(session, token, config=site.config, evidence=said)
            language = _language(site, session, found) if found else ""
        if found is not None and found.outcome == "moved":
            found = replace(found, outcome="unchanged")  # as whoever comes again finds it
            site.mail_now()
    else:
        with site.database.read() as session:
            found = moves.about(session, token, config=site.config, now=site.clock())
            language = _language(site, session, found) if found else ""
    if found is None:
        return site.unknown(request)
    settings = site.config.newsletters[found.newsletter]
    return site.spoken(
        speech(language),
        "move.html",
        _STATUS.get(found.outcome, 200),
        settings=settings,
        title=settings.title,
        accents=(settings.accent, on_dark(settings.accent)),
        outcome=found.outcome,
        email=found.email,
        choices=site.path_of(PREFERENCES, found.subscription_id, found.newsletter),
    )


def _language(site: Site, session: Session, found: moves.Answer) -> str:
    """What they chose for their letters, or the newsletter's."""
    theirs = people.subscription_by_id(session, found.subscription_id)
    return (theirs[0].language if theirs else "") or site.config.newsletters[found.newsletter].language


async def confirming(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(answer, request, do=False)
    await body_of(request)
    return await site_of(request).change(answer, request, do=True)


ROUTES = [
    Route("/preferences/{token}/move", asking, methods=["POST"]),
    Route("/move/{token}", confirming, methods=["GET", "POST"]),
]
