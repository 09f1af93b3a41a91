"""Addresses as they stand in a stranger's text. Pure."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s<>()\[\]\\,;:\"'`@]{1,100}@[^\s<>()\[\]\\,;:\"'`@]{1,255}")


def address_in(text: str) -> str:
    """The first address that stands in a piece of text, or ""."""
    match = _ADDRESS.search(text[:2000])
    return match.group().strip(".") if match else ""


def addresses_in(text: str) -> list[str]:
    """All addresses that stand in a piece of text, as they come."""
    return [match.group().strip(".") for match in _ADDRESS.finditer(text[:2000])]


def without(text: str) -> str:
    """A text without its addresses: whoever is called spam@ or full@ says nothing by it."""
    return _ADDRESS.sub(" ", text)
