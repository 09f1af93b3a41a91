"""A look at a relay without a letter: connection, TLS and its certificate's end, login, and what it offers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from ssl import cert_time_to_seconds
from typing import Any

from digest.config import Relay, Smtp
from digest.dataclass import dataclass
from digest.deliver.login import Server, name_of
from digest.deliver.smtp import Connection

LEAST = 500_000  # bytes that a relay should take: an edition with its text and links, and some more


@dataclass(frozen=True)
class Seen:
    """What a relay said. `address` is where it was reached, `certificate_end` None where nothing is encrypted."""

    name: str
    address: str
    secure: bool
    certificate_end: datetime | None
    logged_in: bool
    extensions: dict[str, str]
    offers_tls: bool = False  # though it was not asked for

    @property
    def size(self) -> int:
        """Bytes of a letter, 0 where it does not say."""
        said = self.extensions.get("SIZE", "")
        return int(said) if said.isdigit() else 0


async def at(relay: Relay, settings: Smtp, *, seconds: float) -> Seen:
    """Connect as a letter would, and leave. RelayDown says what fails, ConfigError what is wrong with `ca_file`."""
    server = Server.of(relay, settings)
    server = replace(server, timeout=min(server.timeout, seconds))
    nobody = _Nobody()
    connection = await Connection.open(server, nobody)
    try:
        certificate = connection.of_transport("peercert")
        address = connection.of_transport("peername")
        ends = certificate.get("notAfter") if certificate else None
        return Seen(
            name=name_of(relay),
            address=str(address[0]) if address else "",
            secure=connection.of_transport("sslcontext") is not None,
            certificate_end=datetime.fromtimestamp(cert_time_to_seconds(ends), UTC) if ends else None,
            logged_in=bool(server.user),
            extensions=dict(connection.extensions),
            offers_tls=server.scheme == "smtp" and "STARTTLS" in connection.extensions,
        )
    finally:
        connection.quit()
        await asyncio.wait([nobody.ended], timeout=2)
        connection.abort("it was a look")


class _Nobody:
    """A `smtp.Handler` without letters."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, connection: Connection) -> Any:
        return None

    def idle(self, connection: Connection) -> None:
        pass

    def may_begin(self, attempt: Any) -> bool:
        return False

    def beyond(self, connection: Connection, attempt: Any, reply: Any) -> None:
        pass

    def answered(self, connection: Connection, attempt: Any, verdict: Any, reply: Any, step: Any) -> None:
        pass

    def lost(self, connection: Connection, attempt: Any, *, in_doubt: bool, why: str) -> None:
        pass

    def closed(self, connection: Connection, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
