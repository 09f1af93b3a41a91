"""What `--access-log` tells of each request, without what must stay secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Asked:
    """A request that was answered. Of an address with a token in it only the first word is told."""

    at: datetime
    client: str  # "-" where nobody knows
    method: str
    path: str
    status: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ} {self.client} {self._answered}"

    @property
    def _answered(self) -> str:
        return f"{self.method} {self.path} {self.status} {self.seconds:.3f}"

    def words(self, *, client: bool) -> str:
        """Without the time; with the visitor's network address where that may be."""
        return f"{self.client} {self._answered}" if client else self._answered


class Logged:
    """Tells each request."""

    def __init__(self, app: ASGIApp, *, log: Callable[[Asked], None], clock: Callable[[], datetime]) -> None:
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
            self._log(Asked(began, who, scope["method"], _told(scope), status, seconds))


def _told(scope: Scope) -> str:
    """The path for the log; queries are not told, nor what could break a line."""
    root = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(root)
    first = path.split("/")[1] if path.startswith("/") else path
    told = path if path == "/" or first in ("newsletters", "health", "ready") else f"/{first}/…" if first else "/…"
    return "".join(c if c.isprintable() and c != " " else "?" for c in told)[:200]
