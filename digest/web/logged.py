"""What `--access-log` tells of each request, without what must stay secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Logged:
    """One line for each request. Of an address with a token in it only the first word is told."""

    def __init__(self, app: ASGIApp, *, log: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._app = app
        self._log = log
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = self._clock(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = (self._clock() - began).total_seconds()
            who = scope["client"][0] if scope.get("client") else "-"
            self._log(f"{began:%Y-%m-%dT%H:%M:%SZ} {who} {scope['method']} {_told(scope)} {status} {seconds:.3f}")


def _told(scope: Scope) -> str:
    """The path for the log; queries are not told, nor what could break a line."""
    root = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(root)
    first = path.split("/")[1] if path.startswith("/") else path
    told = path if path == "/" or first in ("newsletters", "health", "ready") else f"/{first}/…" if first else "/…"
    return "".join(c if c.isprintable() and c != " " else "?" for c in told)[:200]
