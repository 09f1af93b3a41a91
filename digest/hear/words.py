"""The words by which mails that came back are understood: `words.toml`, read once."""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from pathlib import Path


@cache
def _all() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


@cache
def listed(section: str, name: str) -> tuple[str, ...]:
    """The words of one list, in their order."""
    return tuple(_all()[section][name])


def says(text: str, section: str, name: str) -> bool:
    """Does one of a list's words stand in a text of small letters?"""
    return any(word in text for word in listed(section, name))


def less(text: str, section: str, name: str) -> str:
    """A text without one list's words."""
    for words in listed(section, name):
        text = text.replace(words, "")
    return text


def small(text: str) -> str:
    """Small letters, put together as the lists have them: some programs send é in two pieces, and İ falls into two."""
    return unicodedata.normalize("NFC", text.lower()).replace("i\u0307", "i")


def bare(text: str) -> str:
    """Small letters without accents, points and the like, which people who are in a hurry leave out; ı as i."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if unicodedata.category(c) != "Mn").replace("ı", "i")


@cache
def listed_bare(section: str, name: str) -> frozenset[str]:
    """The words of one list, as `bare` has them."""
    return frozenset(bare(word) for word in listed(section, name))
