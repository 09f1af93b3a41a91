"""A variant, encoded once and cut where letters differ; joined again for each reader."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import quoprimime
from email.header import Header
from email.utils import format_datetime, parseaddr, quote
from typing import NamedTuple

from digest.letter.dkim import Signer
from digest.render import Marker, Marks, Rendered

LINE = 76  # encoded lines (RFC 2045 §6.7)
_CRLF = b"\r\n"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")
_UNSAFE = re.compile(r"[\x00-\x20<>\x7f]")


@dataclass(frozen=True)
class Sender:
    """Who letters come from: the same for all of one edition, or for a notice."""

    mailbox: str  # "Name <address>", the From:
    date: datetime
    reply_to: str = ""
    newsletter: str = ""  # the slug, for List-Id; "" for a notice, which belongs to no list
    number: int = 0  # of the edition

    @property
    def domain(self) -> str:
        return domain(self.mailbox)


@dataclass(slots=True)
class Recipient:
    """`links` are the reader's own addresses for the markers; the one to leave by is also in the header (RFC 8058)."""

    email: str
    name: str
    links: Mapping[Marker, str] = field(default_factory=dict)
    leave_by_mail: str = ""  # the address to leave by; "" where nobody reads mail
    returned: str = ""  # what a service that sends for us is to give back with what it tells; "" nothing


class Letter(NamedTuple):
    """An envelope (RFC 5321) and the message as it goes over the wire: CRLF, dots doubled, the end marked.

    In parts, since most of them are the same bytes in each letter: nobody need copy them together.
    """

    mail_from: str
    rcpt_to: str
    parts: tuple[bytes, ...]
    size: int  # of the message itself, in bytes (RFC 1870)

    @property
    def wire(self) -> bytes:
        return b"".join(self.parts)

    @property
    def smtputf8(self) -> bool:
        """Does the envelope need a server that announces SMTPUTF8 (RFC 6531)?"""
        return not (self.rcpt_to.isascii() and self.mail_from.isascii())

    @property
    def content(self) -> bytes:
        """The message without what SMTP adds to it."""
        return unstuffed(self.wire)


def address(mailbox: str) -> str:
    """The address in "Name <address>"."""
    return parseaddr(mailbox)[1]


def domain(mailbox: str) -> str:
    """The domain of "Name <address>", in small letters."""
    return address(mailbox).rpartition("@")[2].lower()


class Template:
    """One variant of an edition, or a notice, ready to be filled in for any number of readers.

    Everything that they share is encoded and cut here, once. Between the pieces stand the addresses that
    belong to one reader; each begins on a line of its own (a soft break before it and after), so that filling
    them in moves no other byte.
    """

    def __init__(self, rendered: Rendered, sender: Sender, *, signers: Sequence[Signer] = ()) -> None:
        self.sender = sender
        self.domain = sender.domain
        self._signers = signers
        boundary = "=_" + hashlib.sha256(f"{rendered.text}\0{rendered.html}".encode()).hexdigest()[:32]
        self._head = _head(rendered, sender, boundary)
        body = _Pieces()
        if rendered.html:
            body.add(_part_head(boundary, "plain"))
        body.encode(rendered.text, rendered.marks)
        if rendered.html:
            body.add(_part_head(boundary, "html"))
            body.encode(rendered.html, rendered.marks)
            body.add(f"\r\n--{boundary}--\r\n".encode())
        self._fixed = [stuffed(piece) for piece in body.fixed]
        self._fixed[-1] += b".\r\n"
        self._markers = body.markers
        self._own_markers = set(body.markers)
        self._size = len(self._head) + sum(map(len, body.fixed))
        # What signers hash of the body: all of it but the pieces in between.
        self._unstuffed = body.fixed
        self._hash = hashlib.sha256(self._unstuffed[0]) if signers else None

    def fill(self, recipient: Recipient, *, mail_from: str, message_id: str) -> Letter:
        """The letter of one reader. ValueError where an address or a name cannot stand in a message."""
        if _UNSAFE.search(recipient.email) or _UNSAFE.search(mail_from):
            raise ValueError("the address has a space, bracket or control character in it")
        own = [
            f"Message-ID: {message_id}\r\n".encode("ascii"),
            f"{_mailbox('To', recipient.name, recipient.email)}\r\n".encode(),
        ]
        if recipient.returned:
            own.append(f"X-PM-Metadata-digest: {recipient.returned}\r\n".encode("ascii"))
        leave = recipient.links.get(Marker.UNSUBSCRIBE)
        if leave and self.sender.newsletter:
            # `email` would fold these long words by encoding them, which no mail client reads as an address.
            by_mail = f",\r\n <mailto:{recipient.leave_by_mail}>" if recipient.leave_by_mail else ""
            own.append(f"List-Unsubscribe: <{leave}>{by_mail}\r\n".encode("ascii"))
        own.append(self._head)
        folded = {marker: _folded(recipient.links[marker]) for marker in self._own_markers}
        slots = [folded[marker] for marker in self._markers]
        head = b"".join(own)
        if self._signers:
            head = self._signed(head, slots)
        parts = [head, self._fixed[0]]
        for slot, fixed in zip(slots, self._fixed[1:], strict=True):
            parts += (stuffed(slot), fixed)
        size = len(head) - len(self._head) + self._size + sum(map(len, slots))
        return Letter(mail_from, recipient.email, tuple(parts), size)

    def _signed(self, head: bytes, slots: Sequence[bytes]) -> bytes:
        assert self._hash is not None
        body = self._hash.copy()
        for slot, fixed in zip(slots, self._unstuffed[1:], strict=True):
            body.update(slot)
            body.update(fixed)
        for signer in self._signers:
            head = signer.sign(head, body.digest(), self.sender.date) + head
        return head


class _Pieces:
    """The body being cut: `fixed[0] slot fixed[1] slot … fixed[n]`, `markers` says what goes into each slot."""

    def __init__(self) -> None:
        self.fixed = [b""]
        self.markers: list[Marker] = []

    def add(self, text: bytes) -> None:
        self.fixed[-1] += text

    def encode(self, text: str, marks: Marks | None) -> None:
        """Quoted-printable in UTF-8, ending with a line end; a slot for each marker."""
        # One line end and no more: what follows the last one is not signed alike by everybody (RFC 6376 §3.4.3).
        text = text.replace("\r\n", "\n").rstrip("\n") + "\n"
        pieces, markers = marks.cut(text) if marks else ([text], [])
        for piece, marker in zip(pieces, markers, strict=False):
            before = _quoted(piece)
            if before and not before.endswith(_CRLF):
                before += b"=\r\n"
            self.add(before)
            self.markers.append(marker)
            self.fixed.append(b"")
        self.add(_quoted(pieces[-1]))


def stuffed(piece: bytes) -> bytes:
    """Dots at the start of a line doubled (RFC 5321 §4.5.2); `piece` itself starts a line."""
    if piece.startswith(b"."):
        piece = b"." + piece
    return piece.replace(b"\r\n.", b"\r\n..")


def unstuffed(wire: bytes) -> bytes:
    """What a server makes of it: without the doubled dots and the end mark."""
    content = wire.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
    return content[1:] if content.startswith(b"..") else content


def _quoted(text: str) -> bytes:
    return quoprimime.body_encode(text.encode().decode("latin-1"), LINE, "\r\n").encode("ascii")


def _folded(url: str) -> bytes:
    """A personal address in quoted-printable: whole lines, each ended by a soft break."""
    quoted = url.replace("=", "=3D").encode("ascii")
    lines, at = [], 0
    while at < len(quoted):
        end = at + LINE - 1
        # A soft break must not stand inside =3D.
        tail = quoted[max(end - 2, at) : end]
        if end < len(quoted) and b"=" in tail:
            end -= len(tail) - tail.rindex(b"=")
        lines.append(quoted[at:end] + b"=\r\n")
        at = end
    return b"".join(lines)


def _part_head(boundary: str, subtype: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii")


def _head(rendered: Rendered, sender: Sender, boundary: str) -> bytes:
    """The headers that all readers share, and the empty line after them."""
    lines = [_mailbox("From", *parseaddr(sender.mailbox))]
    if sender.reply_to:
        lines.append(_mailbox("Reply-To", *parseaddr(sender.reply_to)))
    lines += [_text("Subject", rendered.subject), f"Date: {format_datetime(sender.date)}", "MIME-Version: 1.0"]
    if rendered.html:
        lines.append(f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"')
    else:
        lines += ['Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: quoted-printable"]
    if sender.newsletter:
        # All our own ASCII, written as it must stand. RFC 2919; RFC 8058 §3.1; RFC 3834 §2.
        lines += [
            f"List-Id: <{sender.newsletter}.{sender.domain}>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            f"Feedback-ID: {sender.number}:{sender.newsletter}:edition:{re.sub('[^a-z0-9]', '', sender.domain)[:15]}",
            "Precedence: bulk",
        ]
    else:
        lines.append("Auto-Submitted: auto-generated")  # so that no robot answers (RFC 3834 §5)
    return "\r\n".join([*lines, "", ""]).encode()


def _text(header: str, text: str) -> str:
    """A header of running text, folded.

    Beyond ASCII all of it becomes encoded words (RFC 2047): where `email` mixes them with plain words, spaces
    between them are lost and gained.
    """
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return f"{header}: " + Header(text, charset, maxlinelen=LINE, header_name=header).encode(linesep="\r\n")


def _mailbox(header: str, name: str, email: str) -> str:
    """`Name <address>` (RFC 5322 §3.4), the address on a line of its own where the name is long."""
    if not name.isprintable():
        name = "".join(c if c.isprintable() else " " for c in name)
    clean = " ".join(name.split())
    if not clean:
        return f"{header}: {email}"
    if clean.isascii() and "=?" not in clean and len(clean) < 60:
        written = f"{header}: " + (clean if _PLAIN_NAME.fullmatch(clean) else f'"{quote(clean)}"')
    else:
        written = f"{header}: " + Header(clean, "utf-8", maxlinelen=LINE, header_name=header).encode(linesep="\r\n")
    room = LINE - len(written.rpartition("\n")[2]) - len(email)
    return f"{written} <{email}>" if room > 3 else f"{written}\r\n <{email}>"
