"""More and less like this: what a reader says of one story, and where all that they said is taken back.

The links in a mail lead to a page with buttons. Who opens it has said nothing yet, be it a person, a scanner of links
or a program that fetches ahead: only what is posted counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digest import subscribe, taste
from digest.errors import BadInput
from digest.store import tastes
from digest.subscribe import leanings
from digest.subscribe.leanings import Way
from digest.web.leanings import best, choices, said_by
from digest.web.preferences import PREFERENCES, back
from digest.web.readers import Reader, form_of, page, reader_of
from digest.web.site import PRIVATE, Form, Site, site_of

HOW = "page of a story"
A_MINUTE = 30  # presses of one reader to one process
_WAYS: Mapping[str, Way] = {"more": "more", "less": "less", "neither": ""}


def show(request: Request) -> Response:
    site = site_of(request)
    with site.database.read() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        way: Way = "less" if "less" in request.query_params else "more"
        return _shown(site, session, reader, request.path_params["story"], way, request.query_params.get("done", ""))


def say(request: Request, form: Form) -> Response:
    """Keep what a button says, and lead back to the page, which tells it."""
    site, number = site_of(request), request.path_params["story"]
    about, said = (form.get(field, [""])[0] for field in ("about", "way"))
    with site.database.write() as session:
        reader = _pressing(site, session, request)
        if reader is None:
            return site.unknown(request)
        here = f"{site.path_of(PREFERENCES, reader.id, reader.newsletter)}/story/{number}"
        asked: Way = "less" if "less" in request.query_params else "more"
        query = "less&" if asked == "less" else ""
        if not reader.receives:
            return _away(here)
        if said not in _WAYS or not about:
            return _away(f"{here}?{query}done=what")
        try:
            done = _lean(site, session, reader, request, about, _WAYS[said])
        except BadInput:
            return _shown(site, session, reader, number, asked, "full")
    return _away(f"{here}?{query}done={done}")


def undo(request: Request, form: Form) -> Response:
    """More or less of something, or take it back, or all that was said: on the page of their choices."""
    site = site_of(request)
    with site.database.write() as session:
        reader = _pressing(site, session, request)
        if reader is None:
            return site.unknown(request)
        about, way = (form.get(field, [""])[0] for field in ("about", "way"))
        if not reader.receives:
            return back(site, reader, "")
        if about:
            try:
                _lean(site, session, reader, request, about, _WAYS.get(way, ""))
            except BadInput:
                return back(site, reader, "full")
        else:
            leanings.forget(session, reader.id, evidence=_evidence(site, request))
    return back(site, reader, "saved")


def _pressing(site: Site, session: Session, request: Request) -> Reader | None:
    reader = reader_of(site, session, PREFERENCES, request)
    if reader is not None:
        rate = site.rates.take(f"likes {reader.id}", limit=A_MINUTE, now=site.clock())
        if not rate.allowed:
            raise HTTPException(429, headers=rate.headers)
    return reader


def _lean(site: Site, session: Session, reader: Reader, request: Request, about: str, way: Way) -> str:
    known = reader.settings.known_topics if reader.settings else {}
    try:
        about = taste.leaning(about[: taste.SOURCE * 2])
    except ValueError as error:
        raise BadInput(str(error)) from None
    leanings.lean(session, reader.id, about, way, known_topics=known, evidence=_evidence(site, request))
    return "saved"


def _evidence(site: Site, request: Request) -> subscribe.Evidence:
    return subscribe.Evidence(HOW, site.clock(), ip=site.client(request))


def _away(there: str) -> Response:
    return RedirectResponse(there, 303, headers=PRIVATE)


def _shown(site: Site, session: Session, reader: Reader, number: int, way: Way, done: str) -> Response:
    here = site.path_of(PREFERENCES, reader.id, reader.newsletter)
    story = tastes.story_to_say(session, reader.subscription.newsletter_id, number) if reader.receives else None
    held = said_by(session, reader)
    ways = {taste.folded(one.value): one.way for one in held}
    offered = [] if story is None else choices(session, reader, story)
    offered = [replace(one, way=ways.get(taste.folded(one.value), "")) for one in offered]
    status = 422 if done == "full" else 410 if story is None and reader.receives else 200
    return page(
        site,
        reader,
        "story.html",
        status,
        here=here,
        story=story,
        number=number,
        way=way,
        done=done if done in ("saved", "full", "what") else "",
        offered=offered,
        best=best(offered, story),
        held=held,
        asks=True,
    )


async def story(request: Request) -> Response:
    if request.method != "POST":
        return await run_in_threadpool(show, request)
    return await site_of(request).change(say, request, await form_of(request))


async def likes(request: Request) -> Response:
    return await site_of(request).change(undo, request, await form_of(request))


ROUTES = [
    Route("/preferences/{token}/story/{story:number}", story, methods=["GET", "POST"]),
    Route("/preferences/{token}/likes", likes, methods=["POST"]),
]
