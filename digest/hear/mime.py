"""A mail in parts, whatever its bytes are: bounded in bytes, parts, depth and lines, and never an error. Pure.

Python's `email` parses by recursion and keeps all of it; of a stranger's mail a few plain parts are enough.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message

MOST_BYTES = 1_000_000  # of one mail are read; the rest is cut
MOST_PARTS = 100
DEEPEST = 10
MOST_HEADERS = 500
LONGEST_HEADER = 10_000
MOST_TEXT = 200_000  # characters of one part
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]?:(.*)", re.DOTALL)
_TYPE = re.compile(r"[A-Za-z]{1,20}/[A-Za-z0-9.+-]{1,80}")
_CONTINUES = re.compile(r"(?:boundary|charset|report-type)=|[245]\d\d[ -]", re.IGNORECASE)
_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED = frozenset(
    {
        "message/rfc822",
        "message/global",
        "message/partial",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822-header",
    }
)
_LONGEST_CHARSET = 40
# Codecs of Python's that no mail is written in. Of a megabyte of "punycode" each letter would shift all of the others.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode-escape", "unicode_escape", "raw-unicode-escape", "undefined"})
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """One leaf: its type in small letters, its text decoded. `returned` is a letter that came back, or a piece."""

    type: str
    text: str
    headers: Headers = ()  # its own; of a `returned` part, those of the letter
    returned: bool = False
    name: str = ""  # of a file

    @property
    def status(self) -> bool:
        """Is it the part of a report that machines read (RFC 3464, RFC 6533)?"""
        return self.type in _STATUS


@dataclass(frozen=True)
class Mail:
    """A mail as it is read here. `params` are those of its Content-Type."""

    headers: Headers
    type: str
    params: dict[str, str]
    parts: tuple[Part, ...]
    cut: bool = False

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


def read(raw: bytes) -> Mail:
    """Any bytes as a mail."""
    cut = len(raw) > MOST_BYTES
    data = lined(raw)
    if data.startswith((b"From ", b">From ")):  # of an mbox
        data = data.partition(b"\n")[2]
    head, body = _split(data.lstrip(b"\n"))
    headers = fields(_decoded(head, ""), unfold=True)
    kind, params = _content_type(_first(headers, "content-type"))
    parts: list[Part] = []
    _walk(headers, kind, params, body, parts, 0, within=False)
    return Mail(headers, kind, params, tuple(parts), cut)


def lined(raw: bytes) -> bytes:
    """As much of a mail as is read, its lines ended by a line feed each, whatever ended them (CR CR LF, too)."""
    return raw[:MOST_BYTES].replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def fields(text: str, *, unfold: bool = False) -> Headers:
    """The headers at the beginning of a text: names in small letters; what is no header is passed over."""
    found: list[list[str]] = []
    for line in text.split("\n")[: 4 * MOST_HEADERS]:
        if line[:1] in (" ", "\t") and found:
            if len(found[-1][1]) < LONGEST_HEADER:
                found[-1][1] += " " + line.strip()[:LONGEST_HEADER]
        elif (match := _FIELD.match(line[:LONGEST_HEADER])) and len(found) < MOST_HEADERS:
            found.append([match[1].lower(), match[2].strip()])
        elif found and _CONTINUES.match(line):  # what forgot to be indented
            found[-1][1] += " " + line[:LONGEST_HEADER].strip()
    return tuple((name, inert(_words(value)) if unfold else value) for name, value in found)


def _words(value: str) -> str:
    """A header's encoded words as text."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
        return "".join(piece if isinstance(piece, str) else _decoded(piece, charset or "") for piece, charset in pieces)
    except (ValueError, HeaderParseError, binascii.Error, MessageError):
        return value


def _first(headers: Headers, name: str) -> str:
    return next((value for key, value in headers if key == name), "")


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Headers and body. A body that begins without headers has none."""
    if data.startswith(b"\n"):
        return b"", data[1:]
    head, gap, body = data.partition(b"\n\n")
    return (head, body) if gap else (data, b"")


def _content_type(value: str) -> tuple[str, dict[str, str]]:
    message = Message()
    kind = _TYPE.match(value.strip())
    if kind and (rest := value.strip()[kind.end() :].lstrip()) and not rest.startswith(";"):
        value = f"{kind.group()}; {rest}"
    try:
        message["Content-Type"] = value[:2000] or "text/plain"
        params = {}
        for name, one in message.get_params(failobj=[])[1:20]:
            params[name.lower()] = one if isinstance(one, str) else str(one[2])
        return message.get_content_type(), params
    except (ValueError, TypeError, IndexError, LookupError, MessageError):
        return "text/plain", {}


def _walk(
    headers: Headers, kind: str, params: dict[str, str], body: bytes, into: list[Part], depth: int, *, within: bool
) -> None:
    """Put the leaves of an entity into a list. `within` a letter that came back, parts are its own and left out."""
    if len(into) >= MOST_PARTS or within:
        return
    boundary = params.get("boundary", "")
    if kind.startswith("multipart/") and boundary and depth < DEEPEST:
        preamble, pieces = _pieces(body, boundary.encode("utf-8", "replace"))
        if not pieces:  # packed as a whole, which RFC 2045 §6.4 forbids
            plain = _unpacked(body, _first(headers, "content-transfer-encoding"))
            preamble, pieces = _pieces(plain, boundary.encode("utf-8", "replace"))
        if preamble.strip() and not pieces:
            into.append(Part("text/plain", _decoded(preamble, "")[:MOST_TEXT]))
        for piece in pieces:
            head, inner = _split(piece)
            own = fields(_decoded(head, ""), unfold=True)
            inner_kind, inner_params = _content_type(_first(own, "content-type"))
            _walk(own, inner_kind, inner_params, inner, into, depth + 1, within=within)
        return
    data = _unpacked(body, _first(headers, "content-transfer-encoding"))
    if kind in _RETURNED and depth:
        head, rest = _split(data.lstrip(b"\n"))
        own = fields(_decoded(head, ""), unfold=True)
        inner_kind, inner_params = _content_type(_first(own, "content-type"))
        if inner_kind == "multipart/report" and not any(part.status for part in into):  # that somebody passed on
            _walk(own, inner_kind, inner_params, rest, into, depth + 1, within=within)
            return
        text = _decoded(data, params.get("charset", ""))
        into.append(Part(kind, text[:MOST_TEXT], own, returned=True))
        return
    text = _decoded(data, params.get("charset", "")) if kind.startswith(("text/", "message/", "multipart/")) else ""
    name = params.get("name", "") or _content_type(_first(headers, "content-disposition"))[1].get("filename", "")
    into.append(Part(kind, text[:MOST_TEXT], headers, name=name[:200]))


def _pieces(body: bytes, boundary: bytes) -> tuple[bytes, list[bytes]]:
    """What stands before the first boundary, and between each two (RFC 2046 §5.1)."""
    begin = b"--" + boundary
    preamble: list[bytes] = []
    found: list[bytes] = []
    inside: list[bytes] | None = None
    for line in body.split(b"\n"):
        if line.startswith(begin):
            rest = line[len(begin) :].strip()
            if rest in (b"", b"--"):
                if inside is not None:
                    found.append(b"\n".join(inside))
                inside = None if rest else []
                if len(found) >= MOST_PARTS:
                    return b"\n".join(preamble), found
                continue
        (preamble if inside is None and not found else inside if inside is not None else []).append(line)
    if inside is not None:
        found.append(b"\n".join(inside))
    return b"\n".join(preamble), found


def _unpacked(body: bytes, encoding: str) -> bytes:
    way = encoding.strip().lower()
    try:
        if way == "base64":
            some = re.sub(rb"[^A-Za-z0-9+/=]", b"", body).split(b"=")  # several ends: one was put behind the other
            return b"".join(base64.b64decode(data[: len(data) - (len(data) % 4 == 1)] + b"==") for data in some)
        if way == "quoted-printable":
            return quopri.decodestring(body)
    except (ValueError, binascii.Error):
        pass
    return body


def _decoded(data: bytes, charset: str) -> str:
    """Text of any bytes: as declared where that is known, else UTF-8, else each byte a character."""
    for name in (charset.strip("\"' ").lower(), "utf-8"):
        if not name or name in ("us-ascii", "ascii", "unknown-8bit") or len(name) > _LONGEST_CHARSET:
            continue
        try:
            if codecs.lookup(name).name in _NO_CHARSETS:
                continue
            return inert(data.decode(name, "strict" if name == "utf-8" else "replace"))
        except (LookupError, UnicodeError, ValueError):
            continue
    if b"\x1b$" in data:  # Japanese that does not say so
        return inert(data.decode("iso-2022-jp", "replace"))
    return inert(data.decode("latin-1"))


def inert(text: str) -> str:
    """Without what no database keeps: zeros, and halves of characters."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def lines(text: str, most: int = 2000) -> Iterator[str]:
    """The lines of a text, each cut, as many as are looked at."""
    for number, line in enumerate(text.split("\n")):
        if number >= most:
            return
        yield line[:1000].rstrip()
