"""Webhooks: events that are owed, signed and sent, each at least once, with the outbox's own way of trying again.

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from digest.dataclass import dataclass
from digest.deliver.replies import retry_delay
from digest.deliver.report import EventsTold as Told
from digest.errors import BadInput, FetchError
from digest.store import Database, hooks
from digest.store.hooks import Claimed, Event, Outcome

LEASE = timedelta(minutes=2)  # longer than a batch may take
BATCH = 8  # events that are on their way to one webhook at a time
_AT_ONCE = 10  # webhooks
_MOST = 500  # characters of an address
_GONE = 410

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]  # the status of an answer; raises FetchError


@dataclass(frozen=True)
class Means:
    """What a pass works with: how a body is sent, by which clock and chance, until when."""

    post: Post
    clock: Callable[[], datetime]
    rng: random.Random
    stop: Callable[[], bool]
    patience: timedelta  # how long a webhook may fail before it is disabled


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signed(secret: str, message: str, body: bytes, *, at: datetime) -> dict[str, str]:
    """The header fields by which whoever has the secret knows that we sent this body at that moment."""
    seconds = str(int(at.timestamp()))
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = secret.encode()
    digest = hmac.digest(key, b".".join((message.encode(), seconds.encode(), body)), hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def checked_url(url: str, *, private: bool) -> str:
    """The address of a webhook; BadInput for what is none, holds a password, or would be told in clear.

    With `private`, which lets through addresses of one's own network, http is as well.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadInput(f"{url[:100]!r} is no web address", hint="as in https://shop.example/hooks") from None
    if not host or parts.scheme not in ("https", "http") or not url.isprintable() or " " in url or len(url) > _MOST:
        raise BadInput(f"{url[:100]!r} is no web address", hint="as in https://shop.example/hooks")
    if parts.username is not None or parts.password is not None:
        raise BadInput("the address holds a login", hint="leave it out: who gets events knows them by their signature")
    if parts.scheme == "http" and not private:
        raise BadInput(
            f"{url[:100]} would tell addresses of readers in clear",
            hint="take https; http is for a network of your own: [web] webhook_private_addresses = true",
        )
    return parts._replace(fragment="").geturl()


async def run(database: Database, means: Means) -> Told:
    """Send what is due, to all webhooks side by side: none keeps another waiting."""
    told, seats = Told(), asyncio.Semaphore(_AT_ONCE)

    async def one(webhook_id: int) -> None:
        async with seats:
            await _serve(database, webhook_id, means, told)

    def begin() -> list[int]:
        with database.read() as session:
            return hooks.due(session, now=means.clock())

    await asyncio.gather(*map(one, await asyncio.to_thread(begin)))
    with database.read() as session:
        told.waiting = hooks.waiting(session)
    return told


async def _serve(database: Database, webhook_id: int, means: Means, told: Told) -> None:
    """Send to one webhook until nothing is due, or it takes none of a batch: then it is left alone until the next
    pass."""

    def claim() -> tuple[str, str, list[Claimed]]:
        with database.write() as session:
            where = hooks.place(session, webhook_id)
            if where is None:  # removed meanwhile
                return "", "", []
            return *where, hooks.claim(session, webhook_id, now=means.clock(), lease=LEASE, limit=BATCH)

    def settle(outcomes: list[Outcome]) -> None:
        with database.write() as session:
            now = means.clock()
            hooks.settle(session, webhook_id, outcomes, now=now)
            gone = any(one.status == _GONE for one in outcomes)
            hooks.disable(session, webhook_id, now=now, failing_before=None if gone else now - means.patience)

    while not means.stop():
        url, secret, claimed = await asyncio.to_thread(claim)
        if not claimed:
            return
        outcomes = await asyncio.gather(*(_send(url, secret, one, means) for one in claimed))
        await asyncio.to_thread(settle, outcomes)
        failed = sum(bool(one.error) for one in outcomes)
        told.failed += failed
        told.sent += len(outcomes) - failed
        if failed == len(outcomes):
            return


async def _send(url: str, secret: str, event: Claimed, means: Means) -> Outcome:
    body, now, status = event.body.encode(), means.clock(), 0
    try:
        status = await means.post(url, signed(secret, event.message, body, at=now), body)
        if 200 <= status < 300:
            return Outcome(event.id, event.attempt, status)
        error = f"answers {status}" + (", which leads elsewhere and is not followed" if 300 <= status < 400 else "")
    except FetchError as trouble:
        error = str(trouble)
    now = means.clock()
    again = now + retry_delay(event.attempt, means.rng)
    if event.event == Event.TEST or status == _GONE or again - event.created_at > hooks.LIFETIME:
        return Outcome(event.id, event.attempt, status, error)
    return Outcome(event.id, event.attempt, status, error, again)
