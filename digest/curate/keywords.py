"""Keywords: what is one, and finding those of all topics in one walk over the words of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from digest.curate.words import STAR, unspaced, words

if TYPE_CHECKING:
    from digest.curate.topics import Heading

_PIECE = 2  # letters: few enough to look at each place of a word once
_Found = tuple[tuple[str, ...], str, str]  # a keyword's words, its topic, and how it is written


class Keywords:
    """Finds the keywords of all topics in one walk over the words, however many there are."""

    def __init__(self, topics: Mapping[str, Heading]) -> None:
        # By first word, or where it has a `*` by the plain part that is looked up: "post*gres" by its beginning,
        # "*suppe" by its end, "*suppe*" by two letters that stand within.
        self._whole: dict[str, list[_Found]] = {}
        self._begin: dict[str, list[_Found]] = {}
        self._end: dict[str, list[_Found]] = {}
        self._within: dict[str, list[_Found]] = {}
        for slug, heading in topics.items():
            for keyword in heading.keywords:
                if parts := keyword_words(keyword):
                    table, key = self._place(parts[0])
                    table.setdefault(key, []).append((parts, slug, keyword))
        self._begins, self._ends, self._widths = (
            sorted({len(key) for key in table}) for table in (self._begin, self._end, self._within)
        )

    def _place(self, first: str) -> tuple[dict[str, list[_Found]], str]:
        begin, *between, end = first.split("*") if "*" in first else (first, "")
        if "*" not in first:
            return self._whole, first
        if begin:
            return self._begin, begin
        return (self._end, end) if end else (self._within, max(between, key=len)[:_PIECE])

    def find(self, found: Sequence[str]) -> dict[str, list[str]]:
        """The distinct keywords among the words `found`, by topic. A word counts for one length of keyword only."""
        hits: dict[str, dict[str, None]] = {}
        start = 0
        while start < len(found):
            longest = 1
            here: list[tuple[int, str, str]] = []
            for parts, slug, keyword in self._candidates(found[start]):
                length = len(parts)
                if length == 1 or (
                    len(found) - start >= length and all(map(fits, parts[1:], found[start + 1 : start + length]))
                ):
                    here.append((length, slug, keyword))
                    longest = max(longest, length)
            for length, slug, keyword in here:
                if length == longest:
                    hits.setdefault(slug, {})[keyword] = None
            start += longest
        return {slug: list(names) for slug, names in hits.items()}

    def _candidates(self, word: str) -> Iterator[_Found]:
        yield from self._whole.get(word, ())
        if word.endswith("s"):
            yield from self._whole.get(word[:-1], ())
        for size in self._begins:
            if size > len(word):
                break
            if looked_up := self._begin.get(word[:size]):
                yield from _fitting(looked_up, word)
        if self._end:
            for one in (word, word[:-1]) if word.endswith("s") else (word,):
                for size in self._ends:
                    if size <= len(one) and (looked_up := self._end.get(one[-size:])):
                        yield from _fitting(looked_up, one)
        for size in self._widths:
            pieces = [word[at : at + size] for at in range(len(word) - size + 1)]
            if not self._within.keys().isdisjoint(pieces):
                for piece in dict.fromkeys(pieces):
                    yield from _fitting(self._within.get(piece, ()), word)


def _fitting(looked_up: Sequence[_Found], word: str) -> Iterator[_Found]:
    return (one for one in looked_up if fits(one[0][0], word))


def fits(pattern: str, word: str) -> bool:
    """Whether one word of a keyword is that word; `*` stands for anything, and for nothing."""
    if "*" not in pattern:
        return word == pattern or word == pattern + "s"
    begin, *between, end = pattern.split("*")
    if not word.startswith(begin):
        return False
    at = len(begin)
    for piece in between:
        at = word.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if len(word) - at >= len(end) and word.endswith(end):
        return True
    return bool(end) and len(word) - 1 - at >= len(end) and word.endswith(end + "s")


@cache
def keyword_words(keyword: str) -> tuple[str, ...]:
    """A keyword's words, each with its `*` where it has one; () where it can never be found.

    A `*` alone stands for one word; before the first and after the last it says nothing.
    """
    plain = re.sub(r"\*+", STAR, re.sub(r"\s\*+$", "", keyword.removesuffix("?").strip()))
    found = [word.replace(STAR, "*") for word in words(plain)]
    while found and found[0] == "*":
        del found[0]
    # Behind a hyphen ("e-*") it is the word that follows, behind what cannot go on it is nothing.
    while found and found[-1] == "*" and (found[-2:-1] == ["*"] or not found[-2][-1].isalnum() or unspaced(found[-2])):
        del found[-1]
    if len(found) == 1 and len(found[0]) == 1 and unspaced(found[0]):
        return (f"*{found[0]}*",)
    # The text has two characters there, of which one is meant.
    if found and len(found[0]) == 1 and unspaced(found[0]):
        found[0] = f"*{found[0]}"
    if len(found) > 1 and len(found[-1]) == 1 and unspaced(found[-1]):
        found[-1] += "*"
    return tuple(found)
