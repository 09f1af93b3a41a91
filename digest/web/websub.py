"""What hubs say to us (W3C WebSub §5.3 and §7): is it you who asked, and there is something new.

Nobody who does not know an address of these can say anything, and who knows it and not the secret says nothing that
counts. What a hub sends along is not read: its feed is due, and asked with all the care that feeds are asked with.
"""

from __future__ import annotations

import hmac
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest.collect.rhythm import MAX_BACKOFF
from digest.parse.text import plain
from digest.store import websub
from digest.store.feed_tables import WebSub
from digest.web.site import PRIVATE, Site, site_of

METHODS = ("sha1", "sha256", "sha384", "sha512")
MAX_CHALLENGE = 2_000  # characters
_LONGEST_NUMBER = 12  # digits of a lease in seconds


def verify(request: Request) -> Response:
    """A hub asks whether it was us, or says that it will not."""
    site, token, said = site_of(request), request.path_params["token"], request.query_params
    mode, topic, challenge = (said.get(f"hub.{name}", "") for name in ("mode", "topic", "challenge"))
    with site.database.write() as session:
        if mode == "denied":
            reason, until = plain(said.get("hub.reason", ""), limit=200), site.clock() + MAX_BACKOFF
            known = websub.denied(session, token, topic, reason, until=until)
            return _told("") if known else site.unknown(request)
        if not challenge or len(challenge) > MAX_CHALLENGE or mode not in ("subscribe", "unsubscribe"):
            return site.unknown(request)
        lease = _lease(said.get("hub.lease_seconds", ""))
        if not websub.verified(session, token, mode, topic, lease, now=site.clock()):
            return site.unknown(request)
    return _told(challenge)


def _lease(seconds: str) -> timedelta:
    if seconds.isascii() and seconds.isdigit() and len(seconds) <= _LONGEST_NUMBER:
        return min(timedelta(seconds=int(seconds)), websub.LONGEST_LEASE)
    return websub.LEASE


def _told(words: str, status: int = 200) -> Response:
    return PlainTextResponse(words, status, headers=PRIVATE)


def _known(site: Site, token: str) -> WebSub | None:
    with site.database.read() as session:
        one = websub.by_token(session, token)
        if one is None or one.lease_until is None or one.lease_until <= site.clock():
            return None
        session.expunge(one)
        return one


def _ping(site: Site, one: WebSub) -> Response:
    with site.database.write() as session:
        websub.pinged(session, one, now=site.clock())
    return _told("")


async def door(request: Request) -> Response:
    site = site_of(request)
    if request.method == "GET":
        return await site.change(verify, request)
    if request.method != "POST":  # HEAD, which would change something
        return site.unknown(request)
    one = await run_in_threadpool(_known, site, request.path_params["token"])
    if one is None:
        return _told("gone", 410)  # the hub need not go on
    signed = await _signed(request, one.secret, site.config.collect.max_bytes)
    if signed is None:
        return _told("too large", 413)
    # Who signs wrongly is told nothing of it (§7.1.1 of the recommendation: acknowledged, and ignored).
    return await site.change(_ping, site, one) if signed else _told("")


async def _signed(request: Request, secret: str, most: int) -> bool | None:
    """Whether what is posted is signed with the secret; None where it is too large. None of it is kept."""
    method, _, signature = request.headers.get("x-hub-signature", "").strip().partition("=")
    method = method.lower()
    digest = hmac.new(secret.encode(), digestmod=method if method in METHODS else "sha256")
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        digest.update(chunk)
    ours, theirs = digest.hexdigest().encode(), signature.strip().lower().encode("utf-8", "replace")
    return hmac.compare_digest(ours, theirs) and method in METHODS


ROUTES = [Route("/websub/{token:word}", door, methods=["GET", "POST"])]
