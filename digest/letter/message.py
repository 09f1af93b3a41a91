"""A variant, encoded once and cut where letters differ; joined again for each reader."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, parseaddr, quote
from functools import lru_cache
from typing import NamedTuple

from digest.dataclass import dataclass
from digest.letter.attached import Attached
from digest.letter.dkim import Signer, relaxed_body
from digest.letter.quoted import LINE, Encoder, folded, stuffed, unstuffed
from digest.render import Marker, Marks, Rendered, shorten

_CRLF = b"\r\n"
_LEAVE_ROOM = 78 - len("List-Unsubscribe: <>,")
# Exchange's word for what RFC 3834 says ([MS-OXCMAIL] 2.2.3.2.14). All of its kinds but NDR: bounces are listened to.
_NO_ANSWERS = "DR, RN, NRN, OOF, AutoReply"
_LIST_NAME = 100  # characters of a newsletter's title that stand in List-Id
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")
_UNSAFE = re.compile(r"[\x00-\x20<>\x7f]")
_ODD = re.compile(r"=\?|[<>]")
_JOINERS = "\u200c\u200d"  # within words of Persian and Hindi, and within emoji


@dataclass(frozen=True)
class Sender:
    """Who letters come from: the same for all of one edition, or for a notice."""

    mailbox: str  # "Name <address>", the From:
    date: datetime  # of letters that were given none of their own
    reply_to: str = ""
    newsletter: str = ""  # the slug, for List-Id; "" for a notice, which belongs to no list
    number: int = 0  # of the edition
    title: str = ""  # of the newsletter, for List-Id; "": the name in the From:

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


class Said(NamedTuple):
    """What a letter says, as it is stored: in UTF-8. Without `marks` there is nothing in it to fill in."""

    subject: str
    html: bytes
    text: bytes
    marks: Marks | None = None

    @classmethod
    def of(cls, rendered: Rendered) -> Said:
        """ValueError where it is no text, but half of a character."""
        return cls(rendered.subject, rendered.html.encode(), rendered.text.encode(), rendered.marks)


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
        return unstuffed(self.wire.removesuffix(b".\r\n"))


class Own(NamedTuple):
    """What is one reader's alone in a letter, ready to be joined."""

    email: str
    name: str
    mail_from: str
    first: str  # header lines before To:, in ASCII
    more: str  # and after it
    slots: Mapping[Marker, bytes]  # their addresses, folded
    date: datetime | None = None  # None: the sender's


def address(mailbox: str) -> str:
    """The address in "Name <address>"."""
    return _parsed(mailbox)[1]


def domain(mailbox: str) -> str:
    """The domain of "Name <address>", in small letters."""
    return address(mailbox).rpartition("@")[2].lower()


def check_address(email: str) -> None:
    """ValueError where it would be more than an address, in a header or a command."""
    if _UNSAFE.search(email):
        raise ValueError("the address has a space, bracket or control character in it")


class Template:
    """One variant of an edition, or a notice, ready to be filled in for any number of readers.

    Everything that they share is encoded and cut here, once. Between the pieces stand the addresses that
    belong to one reader; each begins on a line of its own (a soft break before it and after), so that filling
    them in moves no other byte.
    """

    def __init__(
        self,
        said: Said | Rendered,
        sender: Sender,
        *,
        signers: Sequence[Signer] = (),
        encoder: Encoder | None = None,
        attached: Sequence[Attached] = (),
    ) -> None:
        """`encoder`: of the other templates that are made of much the same lines; `attached`: what its HTML shows."""
        if isinstance(said, Rendered):
            said = Said.of(said)
        self.sender = sender
        self.domain = sender.domain
        self._signers = signers
        boundary = "=_" + hashlib.sha256(b"%b\0%b" % (said.text, said.html)).hexdigest()[:32]
        self._head = _head(said, sender, boundary)
        self._tail: tuple[bytes, ...] = ()  # what follows all of that: pictures, which other templates share
        body = _Pieces(encoder or Encoder())
        if said.html:
            body.add(_part_head(boundary, "plain"))
        body.encode(said.text, said.marks)
        if said.html:
            # Of another beginning: where one is the other's, they are taken for each other (RFC 2046 §5.1.1).
            inner = f"={boundary}" if attached else boundary
            body.add((_related_head(boundary, inner) if attached else b"") + _part_head(inner, "html"))
            body.encode(said.html, said.marks)
            if attached:
                self._tail = _tail(boundary, inner, attached)
            else:
                body.add(f"\r\n--{boundary}--\r\n".encode())
        # What signers hash of the body: all of it but the pieces in between.
        self._relaxed = relaxed_body(list(map(unstuffed, body.fixed))) if signers else []
        self._hash = hashlib.sha256(self._relaxed[0]) if signers else None
        self._own_size = len(self._head) + sum(map(len, body.fixed)) - body.doubled
        self._size = self._own_size + sum(map(len, self._tail))
        self._wire_tail = (*self._tail[:-1], self._tail[-1] + b".\r\n") if self._tail else ()
        if not self._tail:
            body.add(b".\r\n")
        # As a letter has them: head, fixed, slot, fixed, slot … fixed.
        self._parts = [b""] * (2 * len(body.fixed))
        self._parts[1::2] = body.fixed
        self._markers = body.markers
        self._times = list(Counter(body.markers).items())  # how often each is asked for: with each story, as a rule

    @property
    def weight(self) -> int:
        """How many bytes of memory it takes, about; pictures are others' as well."""
        return self._own_size * (2 if self._signers else 1) + 200 * len(self._parts)

    def fill(self, recipient: Recipient, *, mail_from: str, message_id: str) -> Letter:
        """The letter of one reader. ValueError where an address or a name cannot stand in a message."""
        check_address(mail_from)
        more = ""
        if recipient.returned:
            more = returned_line(recipient.returned)
        leave = recipient.links.get(Marker.UNSUBSCRIBE)
        if leave and self.sender.newsletter:
            more += leave_line(leave, recipient.leave_by_mail)
        first = f"Message-ID: {message_id}\r\n"
        (first + more).encode("ascii")
        slots = {marker: folded(recipient.links[marker]) for marker in self._markers}
        return self.join(Own(recipient.email, recipient.name, mail_from, first, more, slots))

    def join(self, own: Own) -> Letter:
        """The same with what is the reader's own made already. ValueError where their address is no address."""
        email, name, mail_from, first, more, slots, date = own
        date = date or self.sender.date
        check_address(email)
        to = f"To: {name} <{email}>" if _PLAIN_NAME.fullmatch(name) and len(name) < 60 else ""
        if not to or len(to) >= LINE:
            to = _mailbox("To", name, email)
        head = f"{first}{_dated(date)}{to}\r\n{more}".encode() + self._head
        between = [slots[marker] for marker in self._markers]
        if self._signers:
            head = self._signed(head, between, date)
        size, dotted = len(head) - len(self._head) + self._size, False
        for marker, times in self._times:
            slot = slots[marker]
            size += times * len(slot)
            dotted = dotted or b"\n." in slot or slot.startswith(b".")
        if dotted:  # hardly ever
            between = list(map(stuffed, between))
        parts = self._parts.copy()
        parts[0] = head
        parts[2::2] = between
        return Letter(mail_from, email, (*parts, *self._wire_tail), size)

    def _signed(self, head: bytes, slots: Sequence[bytes], date: datetime) -> bytes:
        assert self._hash is not None
        body = self._hash.copy()
        for slot, fixed in zip(slots, self._relaxed[1:], strict=True):
            body.update(slot)  # an address has no space in it
            body.update(fixed)
        for part in self._tail:
            body.update(part)
        for signer in self._signers:
            head = signer.sign(head, body.digest(), date) + head
        return head


class _Pieces:
    """The body being cut: `fixed[0] slot fixed[1] slot … fixed[n]`, `markers` says what goes into each slot.

    As it goes over the wire: `doubled` dots of it are SMTP's.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.fixed = [b""]
        self.markers: list[Marker] = []
        self.doubled = 0
        self._encoder = encoder

    def add(self, text: bytes) -> None:
        self.fixed[-1] += text

    def encode(self, text: bytes, marks: Marks | None) -> None:
        """Quoted-printable, ending with a line end; a slot for each marker."""
        # One line end and no more: what follows the last one is not signed alike by everybody (RFC 6376 §3.4.3).
        if b"\r" in text:  # asked first: to look for both takes as long as all the rest for a text without
            text = text.replace(b"\r\n", b"\n")
        text = text.rstrip(b"\n") + b"\n"
        pieces, markers = marks.cut_encoded(text) if marks else ([text], [])
        for piece, marker in zip(pieces, markers, strict=False):
            before = self._quoted(piece)
            if before and not before.endswith(_CRLF):
                before += b"=\r\n"
            self.add(before)
            self.markers.append(marker)
            self.fixed.append(b"")
        self.add(self._quoted(pieces[-1]))

    def _quoted(self, piece: bytes) -> bytes:
        written, doubled = self._encoder.encode(piece)
        self.doubled += doubled
        return written


def returned_line(word: str) -> str:
    """What Postmark is to give back with what it tells."""
    return f"X-PM-Metadata-digest: {word}\r\n"


def leave_line(url: str, by_mail: str) -> str:
    """`email` would fold these long words by encoding them, which no mail client reads as an address."""
    also = f",\r\n <mailto:{by_mail}>" if by_mail else ""
    apart = "\r\n " if len(url) > _LEAVE_ROOM else " "
    return f"List-Unsubscribe:{apart}<{url}>{also}\r\n"


def _part_head(boundary: str, subtype: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii")


def _related_head(boundary: str, inner: str) -> bytes:
    return (
        f'\r\n--{boundary}\r\nContent-Type: multipart/related; type="text/html";\r\n boundary="{inner}"\r\n'
    ).encode("ascii")


def _tail(boundary: str, inner: str, attached: Sequence[Attached]) -> tuple[bytes, ...]:
    """From the end of the HTML part to the end of the message. No line of it begins with a dot."""
    between, end = f"\r\n--{inner}\r\n".encode(), f"\r\n--{inner}--\r\n\r\n--{boundary}--\r\n".encode()
    return (*(piece for one in attached for piece in (between, one.part)), end)


def _head(said: Said, sender: Sender, boundary: str) -> bytes:
    """The headers that all readers share, and the empty line after them."""
    before, after = _around_boundary(said.subject, sender, alternatives=bool(said.html))
    return before + (boundary.encode("ascii") if said.html else b"") + after


@lru_cache(maxsize=16)  # for the variants of an edition
def _around_boundary(subject: str, sender: Sender, *, alternatives: bool) -> tuple[bytes, bytes]:
    lines = [_mailbox("From", *_parsed(sender.mailbox))]
    if sender.reply_to:
        lines.append(_mailbox("Reply-To", *_parsed(sender.reply_to)))
    lines += [_text("Subject", subject), "MIME-Version: 1.0"]
    if alternatives:
        before, lines = [*lines, 'Content-Type: multipart/alternative;\r\n boundary="'], ['"']
    else:
        before, lines = lines, ["", 'Content-Type: text/plain; charset="utf-8"']
        lines.append("Content-Transfer-Encoding: quoted-printable")
    if sender.newsletter:
        # All our own ASCII, written as it must stand. RFC 2919; RFC 8058 §3.1; RFC 3834 §2.
        lines += [
            _list_id(sender.title or _parsed(sender.mailbox)[0], f"{sender.newsletter}.{sender.domain}"),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            f"Feedback-ID: {sender.number}:{sender.newsletter}:edition:{re.sub('[^a-z0-9]', '', sender.domain)[:15]}",
            "Precedence: bulk",
        ]
    else:
        lines.append("Auto-Submitted: auto-generated")  # so that no robot answers (RFC 3834 §5)
    lines.append(f"X-Auto-Response-Suppress: {_NO_ANSWERS}")
    return "\r\n".join(before).encode(), "\r\n".join([*lines, "", ""]).encode()


@lru_cache(maxsize=64)
def _dated(date: datetime) -> str:
    """The header of a letter; those that are marked at once have it in common."""
    return f"Date: {format_datetime(date)}\r\n"


def _list_id(title: str, number: str) -> str:
    """RFC 2919 §2: people read the phrase, filters go by what is in the brackets."""
    name = shorten(_clean(title), _LIST_NAME)
    return _mailbox("List-Id", name, number) if name else f"List-Id: <{number}>"


@lru_cache(maxsize=256)
def _parsed(mailbox: str) -> tuple[str, str]:
    return parseaddr(mailbox)


@lru_cache(maxsize=256)
def _text(header: str, text: str) -> str:
    """A header of running text, folded.

    Beyond ASCII all of it becomes encoded words (RFC 2047): where `email` mixes them with plain words, spaces
    between them are lost and gained.
    """
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return f"{header}: " + Header(text, charset, maxlinelen=LINE, header_name=header).encode(linesep="\r\n")


def _clean(name: str) -> str:
    """A name on one line, without what nobody sees."""
    if not name.isprintable():
        name = "".join(c if c.isprintable() or c in _JOINERS else " " for c in name)
    return " ".join(name.split())


def _mailbox(header: str, name: str, email: str) -> str:
    """`Name <address>` (RFC 5322 §3.4), the address on a line of its own where the name is long."""
    clean = _clean(name)
    if not clean:
        return f"{header}: {email}"
    # A "<" is encoded too: filters look for the first one, also within quotes.
    if clean.isascii() and not _ODD.search(clean) and len(clean) < 60:
        written = f"{header}: " + (clean if _PLAIN_NAME.fullmatch(clean) else f'"{quote(clean)}"')
    else:
        written = f"{header}: " + Header(clean, "utf-8", maxlinelen=LINE, header_name=header).encode(linesep="\r\n")
    room = LINE - len(written.rpartition("\n")[2]) - len(email)
    return f"{written} <{email}>" if room > 3 else f"{written}\r\n <{email}>"
