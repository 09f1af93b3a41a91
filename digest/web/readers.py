"""Readers, known by the signed links in their mail: whose a link is, and what all of their pages share."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from digest import schedule, sign
from digest.colours import ACCENT, on_dark
from digest.config import Newsletter
from digest.models import Subscriber, Subscription, SubscriptionState
from digest.render.speech import Speech, speech
from digest.web.site import Form, Site, body_of, fields_of, site_of


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
    found = site.subscription_of(purpose, request.path_params["token"], session)
    if found is None:
        return None
    subscription, name = found
    person = session.get_one(Subscriber, subscription.subscriber_id)
    return Reader(person, subscription, name, site.config.newsletters.get(name))


async def form_of(request: Request) -> Form:
    """What one of these pages posted; 403 for what another site did."""
    body = await body_of(request)
    site_of(request).refuse_strangers(request)
    return fields_of(request, body)


def page(site: Site, reader: Reader, template: str, status: int = 200, **values: object) -> Response:
    accent = reader.settings.accent if reader.settings else ACCENT
    around = {"reader": reader, "title": reader.title, "accents": (accent, on_dark(accent))}
    return site.spoken(reader.said, template, status, **around, **values)
