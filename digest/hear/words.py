"""The words by which mails that came back are understood: `words.toml`, read once."""

from __future__ import annotations

import tomllib
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
