"""A variant and a reader in, one message out: headers, MIME, envelope. Pure.

The same letter has the same bytes at every attempt: Date is the edition's, Message-ID and boundary are
derived, nothing is drawn at random.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from digest.render import Marker, Rendered

LINE = 76  # encoded lines (RFC 2045 §6.7)


@dataclass(frozen=True)
class Sender:
    """Who an edition comes from: the same for all its letters."""

    mailbox: str  # "Name <address>", the From:
    reply_to: str
    newsletter: str  # the slug, for List-Id
    date: datetime

    @property
    def domain(self) -> str:
        return domain(self.mailbox)


@dataclass(frozen=True)
class Recipient:
    email: str
    name: str
    unsubscribe_url: str  # https, for the button of the mail client as well (RFC 8058)


@dataclass(frozen=True)
class Letter:
    """An envelope (RFC 5321) and the message in it, CRLF line ends."""

    mail_from: str
    rcpt_to: str
    content: bytes

    @property
    def smtputf8(self) -> bool:
        """Does the envelope need a server that announces SMTPUTF8 (RFC 6531)?"""
        return not (self.rcpt_to.isascii() and self.mail_from.isascii())


def domain(mailbox: str) -> str:
    """The domain of "Name <address>", in small letters."""
    return parseaddr(mailbox)[1].rpartition("@")[2].lower()


def notice(
    rendered: Rendered,
    sender: str,
    *,
    to: str,
    name: str,
    date: datetime,
    mail_from: str,
    message_id: str,
) -> Letter:
    """A letter that belongs to no newsletter: no list headers, and marked so that no robot answers (RFC 3834 §5)."""
    message = _message(rendered, sender, "", to=to, name=name, date=date, boundary=message_id)
    head = f"Message-ID: {message_id}\r\nAuto-Submitted: auto-generated\r\n".encode("ascii")
    return Letter(mail_from, to, head + message.as_bytes())


def build(rendered: Rendered, sender: Sender, recipient: Recipient, *, mail_from: str, message_id: str) -> Letter:
    """The letter of one reader.

    Headers with a stranger's text go through `email`, which encodes them (RFC 2047) and refuses line breaks.
    """
    personal = replace(rendered, html=_personal(rendered.html, recipient), text=_personal(rendered.text, recipient))
    message = _message(
        personal,
        sender.mailbox,
        sender.reply_to,
        to=recipient.email,
        name=recipient.name,
        date=sender.date,
        boundary=message_id,
    )
    # `email` folds a long word by encoding it, which no mail client would read as an address: these headers
    # are all our own ASCII, and are written as they must stand.
    unsubscribe = f"<{recipient.unsubscribe_url}>,\r\n <mailto:{parseaddr(sender.mailbox)[1]}?subject=unsubscribe>"
    own = [
        f"Message-ID: {message_id}",
        f"List-Id: <{sender.newsletter}.{sender.domain}>",
        f"List-Unsubscribe: {unsubscribe}",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Precedence: bulk",
    ]
    head = "\r\n".join(own).encode("ascii") + b"\r\n"
    return Letter(mail_from, recipient.email, head + message.as_bytes())


def _message(
    rendered: Rendered, sender: str, reply_to: str, *, to: str, name: str, date: datetime, boundary: str
) -> EmailMessage:
    rules = policy.SMTP if to.isascii() else policy.SMTPUTF8
    message = EmailMessage(policy=rules.clone(max_line_length=LINE))
    message["From"] = _address(*parseaddr(sender))
    message["To"] = _address(name, to)
    if reply_to:
        message["Reply-To"] = _address(*parseaddr(reply_to))
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(date)
    message.set_content(rendered.text, cte="quoted-printable")
    if rendered.html:
        message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
        for part in message.iter_parts():
            del part["MIME-Version"]  # belongs to the message (RFC 2045 §4)
        message.set_boundary("=_" + hashlib.sha256(boundary.encode()).hexdigest()[:32])
    return message


def _address(name: str, email: str) -> Address:
    local, _, domain = email.rpartition("@")
    clean = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    # In parts: given whole, it would refuse a local part beyond ASCII (RFC 6532 allows it).
    return Address(clean, username=local, domain=domain)


def _personal(text: str, recipient: Recipient) -> str:
    return text.replace(Marker.UNSUBSCRIBE, recipient.unsubscribe_url)
