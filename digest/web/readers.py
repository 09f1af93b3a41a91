"""The reader's own pages, behind the signed links in the mail. GET changes nothing; a button posts."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digest import schedule, sign, subscribe
from digest.colours import on_dark
from digest.config import Newsletter
from digest.errors import UserError
from digest.models import Subscriber, Subscription, SubscriptionState
from digest.render.speech import Speech, speech
from digest.store import people, suppressions
from digest.web.site import PRIVATE, Form, Site, body_of, fields_of, site_of

_HOW = "unsubscribe page"
_ACCENT = "#a03a12"  # of a newsletter that has left the settings, as in base.html


@dataclass(frozen=True)
class Reader:
    """Who holds a link: the person, the subscription it was made for, and its newsletter as the settings have it."""

    person: Subscriber
    subscription: Subscription
    newsletter: str
    settings: Newsletter | None  # None: it has left the settings

    @property
    def id(self) -> int:
        assert self.subscription.id is not None
        return self.subscription.id

    @property
    def title(self) -> str:
        return self.settings.title if self.settings else self.newsletter

    @property
    def said(self) -> Speech:
        """The words of the pages: in the language they chose for their letters, or the newsletter's."""
        return speech(self.subscription.language or (self.settings.language if self.settings else "en"))

    @property
    def zone(self) -> ZoneInfo:
        """The clock by which days are told to them."""
        slots = self.settings.slots if self.settings else None
        own = schedule.own("daily", 0, self.subscription.zone, slots)
        assert own is not None
        return own.zone

    @property
    def receives(self) -> bool:
        return self.subscription.state in (SubscriptionState.ACTIVE, SubscriptionState.PAUSED)


def reader_of(site: Site, session: Session, purpose: sign.Purpose, request: Request) -> Reader | None:
    """Whose link this is; None for one that is not ours, or made for another purpose, or of somebody who is gone."""
    subscription_id = sign.read_token(purpose, request.path_params["token"], keys=site.keys)
    found = people.subscription_by_id(session, subscription_id) if subscription_id else None
    if found is None:
        return None
    subscription, name = found
    person = session.get_one(Subscriber, subscription.subscriber_id)
    return Reader(person, subscription, name, site.config.newsletters.get(name))


async def form_of(request: Request) -> Form:
    """What one of these pages posted; 403 for what another site did."""
    body = await body_of(request)
    site_of(request).refuse_strangers(request)
    return fields_of(body)


def page(site: Site, reader: Reader, template: str, status: int = 200, **values: object) -> Response:
    accent = reader.settings.accent if reader.settings else _ACCENT
    around = {"reader": reader, "title": reader.title, "accents": (accent, on_dark(accent))}
    return site.spoken(reader.said, template, status, **around, **values)


def path_of(site: Site, purpose: sign.Purpose, subscription_id: int) -> str:
    """The page of a subscription: `/unsubscribe/TOKEN` or `/preferences/TOKEN`."""
    return f"{site.config.base_path}/{purpose}/{sign.token(purpose, subscription_id, key=site.key)}"


def routes(site: Site) -> list[Route]:
    unsubscribe = sign.Purpose.UNSUBSCRIBE

    def show(request: Request, *, done: bool = False) -> Response:
        with site.database.read() as session:
            reader = reader_of(site, session, unsubscribe, request)
            stopped = reader is not None and suppressions.find(session, reader.person.email) is not None
        if reader is None:
            return site.unknown(request)
        choices = path_of(site, sign.Purpose.PREFERENCES, reader.id)
        here = path_of(site, unsubscribe, reader.id)
        gone = reader.subscription.state is SubscriptionState.UNSUBSCRIBED
        # Who has just come back is told so; who looks again is asked again.
        template = "unsubscribed.html" if gone or (done and reader.receives) else "unsubscribe.html"
        return page(site, reader, template, choices=choices, here=here, gone=gone, stopped=stopped)

    def leave(request: Request, *, one_click: bool) -> Response:
        how = "one-click (RFC 8058)" if one_click else _HOW
        with site.database.write() as session:
            reader = reader_of(site, session, unsubscribe, request)
            if reader is not None:
                subscribe.leave(session, reader.id, how=how, ip=site.client(request), now=site.clock())
        return show(request)

    def undo(request: Request) -> Response:
        with site.database.write() as session:
            reader = reader_of(site, session, unsubscribe, request)
            if reader is None:
                return site.unknown(request)
            try:
                how, ip = f"{_HOW}, undone", site.client(request)
                subscribe.come_back(session, reader.id, how=how, ip=ip, now=site.clock())
            except UserError:
                pass  # suppressed, which the page says
        return RedirectResponse(f"{path_of(site, unsubscribe, reader.id)}/undo", 303, headers=PRIVATE)

    async def serve(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(show, request)
        # A mail client posts List-Unsubscribe=One-Click, urlencoded or as multipart (RFC 8058 §3.1), from wherever
        # it is; the page's button posts nothing. Both mean it.
        one_click = b"One-Click" in await body_of(request)
        if not one_click:
            site.refuse_strangers(request)
        return await site.change(leave, request, one_click=one_click)

    async def serve_undo(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(show, request, done=True)
        await body_of(request)
        site.refuse_strangers(request)
        return await site.change(undo, request)

    return [
        Route("/unsubscribe/{token}", serve, methods=["GET", "POST"]),
        Route("/unsubscribe/{token}/undo", serve_undo, methods=["GET", "POST"]),
    ]
