"""A mail server on loopback that keeps what it is given, and misbehaves where it is told to.

`digest demo` sends to it, and so do the tests.
"""

from __future__ import annotations

import re
import socket
from asyncio import Transport
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

EVERYBODY = "*"


@dataclass(frozen=True)
class Message:
    """One message for one recipient of its envelope.

    `content` is what was between DATA and the lone dot, byte for byte, without the dots that
    transparency added (RFC 5321 §4.5.2).
    """

    sender: str
    recipient: str
    content: bytes


class Catcher:
    """Takes mail on a free port of 127.0.0.1 for as long as the `with` block lasts; offers 8BITMIME and SMTPUTF8.

    Tests script it by recipient, or by `EVERYBODY`:

        catcher.refuse["gone@example.org"] = "550 5.1.1 no such mailbox"    # the answer to RCPT
        catcher.refuse_data["ada@example.org"] = "554 5.7.1 not this one"   # the answer to the body
        catcher.drop_before_data.add("bob@example.org")    # the connection ends at RCPT
        catcher.drop_after_data.add("cyd@example.org")     # the message is kept, the connection ends unanswered

    `settings` go to aiosmtpd's Controller as they are: `tls_context=` offers STARTTLS, `ssl_context=` speaks TLS
    from the start, `authenticator=` asks for a login.
    """

    def __init__(self, **settings: Any) -> None:
        self.messages: list[Message] = []
        self.refuse: dict[str, str] = {}
        self.refuse_data: dict[str, str] = {}
        self.drop_before_data: set[str] = set()
        self.drop_after_data: set[str] = set()
        # Without a name aiosmtpd asks the resolver for ours at each connection.
        self._controller = _Controller(self, hostname="127.0.0.1", server_hostname="localhost", **settings)

    @property
    def port(self) -> int:
        return int(self._controller.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        """Who got mail, in the order of arrival."""
        return [message.recipient for message in self.messages]

    def __enter__(self) -> Catcher:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def write(self, folder: Path) -> list[Path]:
        """Write each message as it was received to `folder`, made if need be; the paths in order of arrival.

        Files are named by the recipient, `ada@example.org.eml`, then `ada@example.org-2.eml`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for message in self.messages:
            # An address may hold slashes and leading dots, and some file systems do not know "Ada" from "ada".
            stem = re.sub(r"[^a-z0-9@._+-]", "_", message.recipient.lower())[:100].lstrip(".-") or "_"
            path, copy = folder / f"{stem}.eml", 1
            while path in paths:
                copy += 1
                path = folder / f"{stem}-{copy}.eml"
            path.write_bytes(message.content)
            paths.append(path)
        return paths

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if _told(self.drop_before_data, address):
            return _hang_up(server)
        if refusal := _refusal(self.refuse, address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        for address in envelope.rcpt_tos:
            if refusal := _refusal(self.refuse_data, address):
                return refusal
        sender, content = envelope.mail_from or "", envelope.original_content or b""
        self.messages += [Message(sender, address, content) for address in envelope.rcpt_tos]
        if any(_told(self.drop_after_data, address) for address in envelope.rcpt_tos):
            return _hang_up(server)
        return "250 OK"


class _Controller(Controller):
    def _create_server(self) -> Awaitable[Any]:
        # A port named before it is bound may be somebody else's by then, and Controller refuses 0: bind here.
        listener = socket.create_server((self.hostname, 0))
        self.port = listener.getsockname()[1]
        return self.loop.create_server(self._factory_invoker, sock=listener, ssl=self.ssl_context)


def _told(addresses: set[str], address: str) -> bool:
    return address in addresses or EVERYBODY in addresses


def _refusal(replies: Mapping[str, str], address: str) -> str | None:
    return replies.get(address, replies.get(EVERYBODY))


def _hang_up(server: SMTP) -> str:
    """End the connection at once; what is returned finds nobody to read it."""
    cast(Transport, server.transport).abort()
    return "421 4.3.0 gone"
