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

MOST_BYTES = 1_000_000  # of a request
_CERTIFICATE, _ANSWER = 20_000, 200_000  # bytes that are fetched
_KEPT = timedelta(days=1)  # that a certificate is kept
_ASKS = 20  # that somebody may cause in an hour
_TOLD = timedelta(minutes=1)  # between two writes of what was refused


@dataclass
class Ears:
    """What one process knows between requests: certificates of SNS, and how many requests were refused."""

    certificates: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    asked: list[datetime] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def may_ask(self, now: datetime) -> bool:
        """Whoever makes up names of certificates has us ask for so many an hour, no more."""
        self.asked = [at for at in self.asked if abs(now - at) < timedelta(hours=1)]
        if len(self.asked) >= _ASKS:
            return False
        self.asked.append(now)
        return True


async def hear(request: Request) -> Response:
    from digest import hear as ear
    from digest.hear.signatures import Untrue

    site, service = site_of(request), request.path_params["service"]
    if service not in _configured(site):
        raise HTTPException(404)
    body = await body_of(request, most=MOST_BYTES)
    try:
        mails = await _of_ses(site, body) if service == "ses" else await asyncio.to_thread(_of, site, request, body)
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
        assert here.postmark_secret is not None
        signatures.postmark(request.headers, secret=here.postmark_secret.get_secret_value())
        mails = services.postmark(body)
    else:
        assert here.mailgun_key is not None
        data = parsed(body.decode("utf-8", "replace"))
        key = here.mailgun_key.get_secret_value()
        mails = services.mailgun(data, signatures.mailgun(table(data.get("signature")), key=key, now=now))
    if mails is None:
        raise HTTPException(400)
    return mails


async def _of_ses(site: Site, body: bytes) -> list[Incoming]:
    """What SES tells by SNS; a subscription to a topic of the settings is confirmed. Untrue, or FetchError."""
    from digest.hear import services, signatures
    from digest.hear.notifications import parsed

    message, now = parsed(body.decode("utf-8", "replace"), envelope=True), site.clock()
    signatures.sns_topic(message, topics=site.config.mail.webhooks.ses_topics, now=now)
    certificate = await _certificate(site, str(message["SigningCertURL"]), now)
    await asyncio.to_thread(signatures.sns, message, certificate, now=now)
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


async def _certificate(site: Site, url: str, now: datetime) -> bytes:
    ears = _ears(site)
    async with ears.one:
        kept = ears.certificates.get(url)
        if kept is not None and abs(now - kept[0]) < _KEPT:
            return kept[1]
        if not ears.may_ask(now):
            raise FetchError(url, "too many certificates were asked for")
        found = await site.ask(url, _CERTIFICATE)
        if len(ears.certificates) >= _ASKS:
            ears.certificates.clear()
        ears.certificates[url] = (now, found)
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
