"""A few numbers that stand for a text, by which copies of it are found among thousands: MinHash (Broder 1997). Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from zlib import crc32

from digest.curate.names import common_words, little_words
from digest.curate.titles import STOP_STEMS, stem
from digest.curate.words import words

HEAD = 600  # characters that are looked at
COPIED = 0.5  # of the marks of two texts from which one is the other's copy
FINDING = 4  # marks by which copies are found: two copies share some of their least
STRANGE = 0.08  # of the shorter text's telling words, up to which they are of other things
_SHINGLE = 4  # words
_KEPT = 16  # marks of a text
_LEAST = 24  # words; a shorter text tells nothing by itself
_TELLING = 12  # different telling words of a text that is long enough to say so


@dataclass(frozen=True)
class Sketch:
    """The least hashes of a text's runs of four words, and its telling words; both empty for a short text."""

    marks: tuple[int, ...] = ()
    stems: frozenset[str] = frozenset()


_NONE = Sketch()


@cache
def _common_stems() -> frozenset[str]:
    return frozenset(map(stem, common_words() | little_words()))


def of(text: str) -> Sketch:
    """The sketch of the head of a plain text."""
    found = words(text[:HEAD])
    if len(found) < _LEAST:
        return _NONE
    runs: Sequence[str] = [" ".join(found[at : at + _SHINGLE]) for at in range(len(found) - _SHINGLE + 1)]
    marks = heapq.nsmallest(_KEPT, {crc32(run.encode()) for run in runs})
    return Sketch(tuple(marks), frozenset(map(stem, found)) - STOP_STEMS - _common_stems())


def alike(one: Sketch, two: Sketch) -> float:
    """About how much of two texts is the same, 0 to 1."""
    if not one.marks or not two.marks:
        return 0.0
    least = heapq.nsmallest(_KEPT, {*one.marks, *two.marks})
    return len({*one.marks} & {*two.marks} & {*least}) / len(least)


def strangers(one: Sketch, two: Sketch) -> bool:
    """Whether two texts are long enough to tell, and of nothing that is in the other."""
    least = min(len(one.stems), len(two.stems))
    return least >= _TELLING and len(one.stems & two.stems) <= least * STRANGE
