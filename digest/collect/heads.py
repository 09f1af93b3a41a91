"""Heads of answers, mended: a line that is no header field is left out, as browsers do; h11 refuses all for it."""

from __future__ import annotations

import re
from typing import Protocol

MAX_HEAD = 100 * 1024  # bytes of a head, as h11 bounds it
_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d\b")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# A head in which there is nothing to mend, as most are.
_PROPER = re.compile(
    rb"HTTP/1\.[01] \d{3}[^\x00-\x1f\x7f]*+\r\n"
    rb"(?:(?:Content-Length:[ \t]*+\d{1,20}|(?!Content-Length)[!#$%&'*+.^_`|~0-9A-Z-]++:[^\x00-\x1f\x7f]*+)\r\n)*+\r\n",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\d{1,20}(?:[ \t]*,[ \t]*\d{1,20})*")


class Readable(Protocol):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...  # noqa: ASYNC109


class Mending:
    """What is read from a connection of HTTP/1.1, its head mended. What is no head of an answer passes as it is."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._in_head = True
        self._got = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if not self._in_head:
            return await self._stream.read(max_bytes, timeout)
        end = _HEAD_END.search(self._got)
        while end is None and len(self._got) < MAX_HEAD and b"HTTP/".startswith(self._got[:5]):
            data = await self._stream.read(max_bytes, timeout)
            if not data:
                break
            seen = max(0, len(self._got) - 2)
            self._got += data
            end = _HEAD_END.search(self._got, seen)
        if end is None or not self._got.startswith(b"HTTP/"):
            end_of_head, head = 0, b""
        else:
            end_of_head = end.end()
            head = mended(self._got[:end_of_head])
        if _INTERIM.match(head):
            self._got = self._got[end_of_head:]  # the answer itself is still to come
            return head
        rest, self._got, self._in_head = self._got[end_of_head:], b"", False
        return head + rest


def mended(head: bytes) -> bytes:
    """The head of an answer with those lines that are header fields (RFC 9112 §5), folded ones made one."""
    if _PROPER.fullmatch(head):
        return head
    status, *lines = re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")
    kept = [status.rstrip()]
    for line in lines:
        name, colon, value = line.rstrip(b"\r").partition(b":")
        name, value = name.rstrip(b" \t"), value.strip(b" \t")
        if not (colon and _NAME.fullmatch(name)) or _CONTROL.search(value):
            continue
        if name.lower() != b"content-length" or _LENGTH.fullmatch(value):
            kept.append(name + b": " + value)
    return b"\r\n".join(kept) + b"\r\n\r\n"
