"""A few numbers that stand for a text, by which copies of it are found among thousands: MinHash (Broder 1997). Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from string import ascii_letters, digits
from zlib import crc32

from digest.curate.headlines import STOP_STEMS, stem
from digest.curate.names import common_words, little_words
from digest.curate.words import words

HEAD = 600  # characters that are looked at
COPIED = 0.5  # of the marks of two texts from which one is the other's copy
FINDING = 4  # marks by which copies are found: two copies share some of their least
STRANGE = 0.08  # of the shorter text's telling words, up to which they are of other things
_KEPT = 16  # marks of a text
_LEAST = 24  # words; a shorter text tells nothing by itself
_IN_WORDS = f"{ascii_letters}{digits} ".encode()  # whatever else ASCII has parts a word in two at most
TELLING = 12  # different telling words of a text that is long enough to say so


Run = tuple[str, str, str, str]
Sketch = Sequence[int]  # the least hashes of a text's runs of four words: an array, since thousands are in memory


@cache
def _common_stems() -> frozenset[str]:
    return frozenset(map(stem, common_words() | little_words()))


def of(text: str) -> Sketch:
    """The sketch of the head of a plain text; () for a short one."""
    return array("I", sorted({*_marks(runs(text))})[:_KEPT])


def runs(text: str) -> Iterator[Run]:
    """The runs of four words that the sketch of a text is made of."""
    head = text[:HEAD]
    found = head.casefold().split()  # many times as fast as `words`, and copies have the same spaces
    if len(found) < _LEAST and not _is_short(head, len(found)):
        found = words(head)  # of a script without spaces
    if len(found) < _LEAST:
        found = []
    return zip(found, found[1:], found[2:], found[3:], strict=False)


def _is_short(text: str, parts: int) -> bool:
    """Whether a text of so many parts between spaces is known to have too few words: most that was told is cut."""
    plain = text.rstrip("…")
    return plain.isascii() and parts + len(plain.encode().translate(None, _IN_WORDS)) < _LEAST


def finding(text: str) -> dict[int, Run]:
    """The marks by which copies of a text are found, with the runs that they stand for: a copy has one of these."""
    said = list(runs(text))
    by_mark = dict(zip(_marks(said), said, strict=True))
    return {mark: by_mark[mark] for mark in sorted(by_mark)[:FINDING]}


def _marks(some: Iterable[Run]) -> Iterator[int]:
    return map(crc32, map(str.encode, map(" ".join, some)))


def alike(one: Sketch, two: Sketch) -> float:
    """About how much of two texts is the same, 0 to 1; 0 where they are no copies at all."""
    common = {*one}.intersection(two)
    if not common or len(common) < COPIED * min(_KEPT, max(len(one), len(two))):
        return 0.0  # most are told apart here
    least = sorted({*one, *two})[:_KEPT]
    return len(common.intersection(least)) / len(least)


def strangers(text: str, other: str) -> bool:
    """Whether two texts are long enough to tell, and of nothing that is in the other."""
    one, two = _telling(text[:HEAD]), _telling(other[:HEAD])
    least = min(len(one), len(two))
    return least >= TELLING and len(one & two) <= least * STRANGE


@lru_cache(maxsize=256)
def _telling(text: str) -> frozenset[str]:
    return frozenset(map(stem, words(text))) - STOP_STEMS - _common_stems()
