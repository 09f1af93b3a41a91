"""Markers: what stands in a rendered mail where each reader's letter has an address of its own.

A mail is one string of our words and of strangers' words, and is rendered once for many readers. So a marker must be
what no stranger can have written: an address with a nonce in it, drawn when all texts are there. What is kept has a
hash of the whole mail in the nonce's place: nobody can write into a text the hash of that very text, whoever writes
the marker of one mail into another has another mail by that, and the same stories make the same mail.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import AnyStr, ClassVar

from digest.dataclass import dataclass

_HOME = "https://digest.invalid/"  # `.invalid` can belong to nobody (RFC 2606)


class Marker(StrEnum):
    """A link of which each reader has their own; its value names the page it leads to."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CHOICES = "choices"  # an address to write to, and no page


_NAMES = f"({'|'.join(Marker)})"
_WORDS = tuple((marker, marker.value) for marker in Marker)
_ENCODED = tuple((marker, marker.value.encode()) for marker in Marker)


@dataclass(frozen=True)
class Marks:
    """The markers of one rendering, by their nonce; it is stored with what was rendered."""

    nonce: str

    @classmethod
    def drawn(cls) -> Marks:
        """To render with: nobody knew them before."""
        return cls(secrets.token_hex(16))

    def settled(self, *texts: str) -> tuple[Marks, list[str]]:
        """The markers that a mail keeps, and its parts, which were rendered with drawn ones, with these in them."""
        cuts = [self.cut(text) for text in texts]
        kept = Marks(hashlib.sha256(repr([pieces for pieces, _ in cuts]).encode()).hexdigest()[:32])
        return kept, [kept.joined(*cut) for cut in cuts]

    def address(self, marker: Marker) -> str:
        return f"{_HOME}{self.nonce}/{marker}"

    def cut(self, text: str) -> tuple[list[str], list[Marker]]:
        """What stands around the markers in `text`, and which they are: one piece more than markers."""
        return _cut(text, f"{_HOME}{self.nonce}/", _WORDS)

    def cut_encoded(self, text: bytes) -> tuple[list[bytes], list[Marker]]:
        """The same in UTF-8."""
        return _cut(text, f"{_HOME}{self.nonce}/".encode(), _ENCODED)

    def joined(self, pieces: list[str], markers: list[Marker]) -> str:
        """What `cut` cuts."""
        between = [*map(self.address, markers), ""]
        return "".join(part for pair in zip(pieces, between, strict=True) for part in pair)


@dataclass(frozen=True)
class _FormerMarks(Marks):
    """What releases before nonces rendered: their markers were known to everybody, and strangers wrote them too.

    What counts is a whole address in the footer, after which no stranger says anything. A layout of the operator's
    own may have no such footer; there any whole address counts, so that none leads anywhere but to ourselves.
    """

    nonce: str = ""

    # By what begins with a tag: the end of what strangers say, and what an address is whole in.
    _HTML: ClassVar = (('class="pad footer"',), re.compile(rf"(?<=[\"'>]){re.escape(_HOME)}{_NAMES}(?=[\"'<#])"))
    _TEXT: ClassVar = (("\n--\n", "\n-- \n"), re.compile(rf"(?<!\S){re.escape(_HOME)}{_NAMES}(?!\S)"))

    def address(self, marker: Marker) -> str:
        return f"{_HOME}{marker}"

    def cut(self, text: str) -> tuple[list[str], list[Marker]]:
        footers, whole = self._HTML if text.startswith("<") else self._TEXT
        start = max(0, *map(text.rfind, footers))
        parts: list[str] = whole.split(text[start:])
        parts[0] = text[:start] + parts[0]
        return parts[::2], [Marker(name) for name in parts[1::2]]

    def cut_encoded(self, text: bytes) -> tuple[list[bytes], list[Marker]]:
        pieces, markers = self.cut(text.decode())
        return [piece.encode() for piece in pieces], markers


def _cut(text: AnyStr, begin: AnyStr, words: Iterable[tuple[Marker, AnyStr]]) -> tuple[list[AnyStr], list[Marker]]:
    parts: list[AnyStr] = text.split(begin)  # a pattern would have to be compiled for each nonce
    pieces = parts[:1]
    markers: list[Marker] = []
    for piece in parts[1:]:
        for marker, word in words:
            if piece.startswith(word):
                markers.append(marker)
                pieces.append(piece[len(word) :])
                break
        else:
            pieces[-1] += begin + piece
    return pieces, markers


def marks(nonce: str) -> Marks:
    """The markers of what was stored with this nonce; "" is of a release that had none."""
    return Marks(nonce) if nonce else _FormerMarks()
