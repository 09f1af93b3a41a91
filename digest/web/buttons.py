"""The buttons beside a reader's choices: pause, resume, leave all, come back, join another newsletter.

Each posts and leads back to the page of the choices, which says what was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import curate, subscribe
from digest.errors import UserError
from digest.models import SubscriptionState
from digest.subscribe import goodbyes
from digest.web.preferences import HOW, PREFERENCES, WEEKS, back, joinable
from digest.web.readers import Reader, form_of, reader_of
from digest.web.site import Form, Site, site_of


@dataclass(frozen=True)
class Press:
    """A button pressed: where, by whom, with what beside it."""

    site: Site
    session: Session
    reader: Reader
    form: Form
    said: subscribe.Evidence


# What the page says was done; "" where it cannot be done as things stand: the page says how they do.
Button = Callable[[Press], str]


def pause(press: Press) -> str:
    reader = press.reader
    if not reader.receives:
        return ""
    weeks = press.form.get("weeks", [""])[0]
    if weeks not in ("", *map(str, WEEKS)):
        raise HTTPException(400)
    until = _after(press.said.at, int(weeks), reader.zone) if weeks else None
    try:
        subscribe.pause(
            press.session, reader.person.email, newsletter=reader.newsletter, until=until, evidence=press.said
        )
    except UserError:  # they left at this moment
        return ""
    return "paused"


def resume(press: Press) -> str:
    reader = press.reader
    if not reader.receives:
        return ""
    try:
        subscribe.resume(press.session, reader.person.email, newsletter=reader.newsletter, evidence=press.said)
    except UserError:  # they left at this moment
        return ""
    return "resumed"


def leave_all(press: Press) -> str:
    said = replace(press.said, how=f"{HOW}, all newsletters")
    goodbyes.leave_all(press.session, press.reader.person, config=press.site.config, evidence=said)
    return "left"


def come_back(press: Press) -> str:
    try:
        subscribe.come_back(press.session, press.reader.id, evidence=press.said)
    except UserError:  # suppressed
        return "refused"
    return "joined"


def join(press: Press) -> str:
    """Subscribe the person to another newsletter. Their link, which came by mail, has proven the address."""
    config, reader = press.site.config, press.reader
    name = press.form.get("newsletter", [""])[0]
    settings = config.newsletters.get(name)
    pending = reader.subscription.state is SubscriptionState.PENDING
    if settings is None or pending or not joinable(press.site, reader, name):
        raise HTTPException(404)
    known = curate.headings(settings.topics)
    joining = subscribe.Joining(name, known, config.lasting_key, welcome=settings.welcome)
    try:
        subscribe.add(press.session, reader.person.email, joining, evidence=press.said, again=True)
    except UserError:  # suppressed
        return "refused"
    return "joined"


async def press(do: Button, request: Request) -> Response:
    return await site_of(request).change(_pressed, do, request, await form_of(request))


def _pressed(do: Button, request: Request, form: Form) -> Response:
    site = site_of(request)
    said = subscribe.Evidence(HOW, site.clock(), ip=site.client(request))
    with site.database.write() as session:
        reader = reader_of(site, session, PREFERENCES, request)
        if reader is None:
            return site.unknown(request)
        done = do(Press(site, session, reader, form, said))
    if done == "left" and any(paper.goodbye for paper in site.config.newsletters.values()):
        site.mail_now()
    return back(site, reader, done)


def _after(now: datetime, weeks: int, zone: ZoneInfo) -> datetime:
    """When the day begins on which letters come again: on the weekday of today."""
    day = now.astimezone(zone).date() + timedelta(weeks=weeks)
    return datetime.combine(day, time(), zone)


ROUTES = [
    Route("/preferences/{token}/pause", partial(press, pause), methods=["POST"]),
    Route("/preferences/{token}/resume", partial(press, resume), methods=["POST"]),
    Route("/preferences/{token}/leave-all", partial(press, leave_all), methods=["POST"]),
    Route("/preferences/{token}/return", partial(press, come_back), methods=["POST"]),
    Route("/preferences/{token}/join", partial(press, join), methods=["POST"]),
]
