"""Bounds that the server itself does not keep: how long the head and the body of a request may take to come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest import versions

HEAD_SECONDS = 15.0
REQUEST_SECONDS = 60.0

_log = logging.getLogger("digest.web")


# What `heads` needs to know of uvicorn's insides.
INSIDES = {
    "uvicorn.protocols.http.h11_impl:H11Protocol": ("loop", "transport", "cycle"),
    "uvicorn.protocols.http.h11_impl:RequestResponseCycle": ("response_complete",),
}


def http_protocol() -> type[asyncio.Protocol] | Literal["h11"]:
    """What uvicorn is to speak HTTP with: with a bound on heads, or without where it is not as we know it."""
    if why := versions.misfit("uvicorn", "h11", insides=INSIDES):
        words = (
            "%s: who connects and does not say what they want in %.0f seconds is not hung up on; let the proxy do it"
        )
        _log.warning(words, why, HEAD_SECONDS)
        return "h11"
    from digest.web.heads import HeadInTime

    return HeadInTime


class InTime:
    """Ends a request whose body does not come (408), or that cannot be answered while somebody waits (503)."""

    def __init__(self, app: ASGIApp, *, late: Callable[[Request, int], Response]) -> None:
        self._app = app
        self._late = late

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = come = False

        async def heard() -> Message:
            nonlocal come
            message = await receive()
            come = not message.get("more_body", False)
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, heard, watched)
        except TimeoutError:
            if begun:
                raise
            await self._late(Request(scope), 503 if come else 408)(scope, receive, send)
