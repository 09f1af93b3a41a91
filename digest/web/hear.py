"""Where services tell what came back: `/hear/ses`, `/hear/sendgrid`, `/hear/postmark`, `/hear/mailgun`, if set.

What is not theirs is answered 403, and counted. What is theirs is answered 200 once it is stored, and counts once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest.errors import FetchError
from digest.store import reports
from digest.web.site import PRIVATE, Site, body_of, site_of

if TYPE_CHECKING:
    from digest.hear import Incoming

MOST_BYTES = 1_000_000  # of a request of whom we do not know yet
_OF_KNOWN = 16_000_000  # of one whose head proves whose it is: Postmark's may hold the whole bounce
_CERTIFICATE, _ANSWER = 20_000, 200_000  # bytes that are fetched
_KEPT = timedelta(days=1)  # that a certificate is kept
_ASKS, _ALL_ASKS = 20, 200  # that one address, and that all of them, may cause in an hour
_TOLD = timedelta(minutes=1)  # between two writes of what was refused


@dataclass
class Ears:
    """What one process knows between requests: certificates of SNS, and how many requests were refused."""

    certificates: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)  # of those, by which a message was SNS's: strangers displace none
    asked: list[tuple[datetime, str]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def may_ask(self, client: str, now: datetime) -> bool:
        """Whoever makes up names of certificates has us ask for so many an hour, and keeps no other from asking."""
        self.asked = [one for one in self.asked if abs(now - one[0]) < timedelta(hours=1)]
        if len(self.asked) >= _ALL_ASKS or sum(who == client for _, who in self.asked) >= _ASKS:
            return False
        self.asked.append((now, client))
        return True

    def keep(self, url: str, found: bytes, now: datetime) -> None:
        if len(self.certificates) >= _ALL_ASKS:
            self.certificates = {name: kept for name, kept in self.certificates.items() if name in self.proven}
        self.certificates[url] = (now, found)


async def hear(request: Request) -> Response:
    from digest import hear as ear
    from digest.hear.signatures import Untrue

    site, service = site_of(request), request.path_params["service"]
    if service not in _configured(site):
        raise HTTPException(404)
    try:
        body = await body_of(request, most=_most(site, request))
        if service == "ses":
            mails = await _of_ses(site, body, site.client(request))
        else:
            mails = await asyncio.to_thread(_of, site, request, body)
        if mails:
            source = ear.Given(f"/hear/{service}", mails)
            await site.change(ear.read, site.database, site.config, source, clock=site.clock)
    except Untrue as untrue:
        await _refuse(site, service, str(untrue))
        return PlainTextResponse(f"refused: {untrue}\n", 403, headers=PRIVATE)
    except ear.CameBefore:
        await _refuse(site, service, "a token that came before")
        return PlainTextResponse("refused: a token that came before\n", 403, headers=PRIVATE)
    except FetchError as error:
        return PlainTextResponse(f"not now: {error}\n", 503, headers=PRIVATE | {"Retry-After": "60"})
    return PlainTextResponse("heard\n", headers=PRIVATE)


def _configured(site: Site) -> list[str]:
    here = site.config.mail.webhooks
    given = {
        "ses": here.ses_topics,
        "sendgrid": here.sendgrid_key,
        "postmark": here.postmark_secret,
        "mailgun": here.mailgun_key,
    }
    return [name for name, setting in given.items() if setting]


def _most(site: Site, request: Request) -> int:
    """How much of a request is taken: more of whom we know by its head already. Untrue."""
    from digest.hear import signatures

    secret = site.config.mail.webhooks.postmark_secret
    if request.path_params["service"] != "postmark" or secret is None:
        return MOST_BYTES
    signatures.postmark(request.headers, secret=secret.get_secret_value())
    return _OF_KNOWN


def _of(site: Site, request: Request, body: bytes) -> list[Incoming]:
    """What SendGrid, Postmark or Mailgun tell. Untrue, or 400 for what is theirs and cannot be read."""
    from digest.hear import services, signatures
    from digest.hear.notifications import parsed, table

    here, now = site.config.mail.webhooks, site.clock()
    service = request.path_params["service"]
    if service == "sendgrid":
        signatures.sendgrid(request.headers, body, key=here.sendgrid_key, now=now)
        mails = services.sendgrid(body)
    elif service == "postmark":
        mails = services.postmark(body)  # `_most` has asked for the password
    else:
        assert here.mailgun_key is not None
        data = parsed(body.decode("utf-8", "replace"))
        key = here.mailgun_key.get_secret_value()
        mails = services.mailgun(data, signatures.mailgun(table(data.get("signature")), key=key, now=now))
    if mails is None:
        raise HTTPException(400)
    return mails


async def _of_ses(site: Site, body: bytes, client: str) -> list[Incoming]:
    """What SES tells by SNS; a subscription to a topic of the settings is confirmed. Untrue, or FetchError."""
    from digest.hear import services, signatures
    from digest.hear.notifications import parsed

    message, now = parsed(body.decode("utf-8", "replace"), envelope=True), site.clock()
    signatures.sns_topic(message, topics=site.config.mail.webhooks.ses_topics, now=now)
    url = str(message["SigningCertURL"])
    certificate = await _certificate(site, url, client, now)
    await asyncio.to_thread(signatures.sns, message, certificate, now=now)
    _ears(site).proven.add(url)
    if message["Type"] == "SubscriptionConfirmation":
        there = str(message.get("SubscribeURL", ""))
        if not signatures.amazons(there, region=str(message["TopicArn"]).split(":")[3]):
            raise signatures.Untrue("a link to confirm that is not Amazon's")
        await site.ask(there, _ANSWER)
    if message["Type"] != "Notification":
        return []
    return await asyncio.to_thread(services.amazon, str(message.get("Message", "")))


def _ears(site: Site) -> Ears:
    assert isinstance(site.ears, Ears)
    return site.ears


async def _certificate(site: Site, url: str, client: str, now: datetime) -> bytes:
    """From what is kept, else fetched; one that proved itself stays good while it cannot be had anew."""
    ears = _ears(site)
    kept = ears.certificates.get(url)
    if kept is not None and abs(now - kept[0]) < _KEPT:
        return kept[1]
    async with ears.one:
        kept = ears.certificates.get(url)
        if kept is not None and abs(now - kept[0]) < _KEPT:
            return kept[1]
        known = kept[1] if kept is not None and url in ears.proven else None
        try:
            if known is None and not ears.may_ask(client, now):
                raise FetchError(url, "too many certificates were asked for")
            found = await site.ask(url, _CERTIFICATE)
        except FetchError:
            if known is None:
                raise
            found = known  # whether its days are over, it says itself
        ears.keep(url, found, now)
        return found


async def _refuse(site: Site, service: str, why: str) -> None:
    """Count it; written at once, and then by the minute, so that whoever knocks often makes us write seldom."""
    ears, now = _ears(site), site.clock()
    ears.refused[service] = ears.refused.get(service, 0) + 1
    told = ears.told.get(service)
    if told is not None and abs(now - told) < _TOLD:
        return
    ears.told[service], number = now, ears.refused.pop(service)

    def write() -> None:
        with site.database.write() as session:
            reports.count_refused(session, service, number, why=why, now=now)

    await site.change(write)


ROUTES = [Route("/hear/{service:word}", hear, methods=["POST"])]
