"""Addresses as they stand in a stranger's text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NONE = "\\s<>()\\[\\]\\\\,;:\"'`@：（）《》〈〉「」『』【】，。、；！？“”„«»"
_ADDRESS = re.compile(f"[^{_NONE}]{{1,100}}@[^{_NONE}]{{1,255}}")
# Where words are not set apart, they are written right up to an address of ASCII.
_GLUED = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af]")


def address_in(text: str) -> str:
    """The first address that stands in a piece of text, or ""."""
    return next((text[start:end] for start, end in _places(text[:2000])), "")


def addresses_in(text: str) -> list[str]:
    """All addresses that stand in a piece of text, as they come."""
    return [text[start:end] for start, end in _places(text[:2000])]


def without(text: str) -> str:
    """A text without its addresses: whoever is called spam@ or full@ says nothing by it."""
    pieces, at = list[str](), 0
    for start, end in _places(text):
        pieces += text[at:start], " "
        at = end
    return "".join(pieces) + text[at:]


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Where each address begins and ends."""
    for match in _ADDRESS.finditer(text):
        local, _, domain = match.group().partition("@")
        behind = _GLUED.search(domain)
        cut = domain[: behind.start()] if behind else domain
        if "." in cut and cut.isascii() and cut[-1].isalpha():
            domain = cut
        if domain.isascii():
            known = local[max((one.end() for one in _GLUED.finditer(local)), default=0) :]
            local = known if known.isascii() and known else local
        start = match.start() + len(match.group().partition("@")[0]) - len(local.lstrip("."))
        yield start, match.start() + len(match.group().partition("@")[0]) + 1 + len(domain.rstrip("."))
