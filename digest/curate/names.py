"""What a topic's own title and slug say of it, where nobody gave it keywords."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from digest.curate.words import unspaced, words

# Parts one title into several: "Bread & Baking", "Brot und Kuchen".
_JOINED = re.compile(r"[,;:/|·•–—、，・]| (?:[-&+]|and|und|et|y|e|i|и|en|og|och|oder|or|ou) ", re.IGNORECASE)


@cache
def little_words() -> frozenset[str]:
    """Words that are never a word for a topic, and left away around one: "All about bread"."""
    return frozenset(_lists()["stop"].split())


@cache
def vague_words() -> frozenset[str]:
    """What stands over nearly anything, and is not enough alone."""
    return frozenset(word for one in _lists()["anything"].split() for word in words(one))


@cache
def common_words() -> frozenset[str]:
    """What is said of any subject, so that two texts that share it need not share theirs."""
    return frozenset(word for one in _lists()["common"].split() for word in words(one))


@cache
def _lists() -> dict[str, str]:
    lists: dict[str, str] = tomllib.loads((Path(__file__).parent / "names.toml").read_text(encoding="utf-8"))
    return lists


def own_words(slug: str, title: str) -> tuple[str, ...]:
    """Keywords made of a topic's title and slug: each part of them as it stands, without little words around it.

    What could stand over anything ("More", "News") is marked with `?`, since it is not enough alone.
    """
    found: dict[str, None] = {}
    for name in (title, re.sub(r"[-_]+", " ", slug)):
        for part in _JOINED.split(" ".join(name.replace("*", " ").split())):
            if keyword := _keyword(part):
                found[keyword] = None
    sure = {tuple(words(one)) for one in found if not one.endswith("?")}
    return tuple(one for one in found if not (one.endswith("?") and tuple(words(one)) in sure))


def _keyword(part: str) -> str:
    said = words(part)
    while said and said[0] in little_words():
        said = said[1:]
    while said and said[-1] in little_words():
        said = said[:-1]
    if not said:
        return ""
    # Words of scripts without spaces overlap, and stand as they were written.
    keyword = part.strip().lower().rstrip("?？!！.") if any(map(unspaced, said)) else " ".join(said)
    return keyword if any(map(_telling, said)) else f"{keyword}?"


def _telling(word: str) -> bool:
    plain = word.removesuffix("'s")
    if plain.isdigit() or plain in little_words() or not {plain, plain.removesuffix("s")}.isdisjoint(vague_words()):
        return False
    return len(plain) > 1 or unspaced(plain)
