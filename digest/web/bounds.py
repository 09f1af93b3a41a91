"""Bounds that the server itself does not keep: how long the head and the body of a request may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0
REQUEST_SECONDS = 60.0


class HeadInTime(H11Protocol):
    """Hangs up on who connects and does not say what they want: they hold a place that others wait for."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


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
