"""Keywords: what is one, and finding those of all topics in one walk over the words of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from digest.curate.stems import begun, has_stems, same_stem
from digest.curate.words import STAR, unspaced, words

if TYPE_CHECKING:
    from digest.curate.topics import Heading

_FRONT = 3  # letters that a keyword with a `*` at its end mostly has before it
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
        self._begun: dict[str, dict[str, list[_Found]]] = {}  # whole ones by language, where it is asked for
        # Most words are done with after one look: nothing begins or ends as they do. The lengths of what may, then.
        self._begins = _sizes((key for key in self._begin if len(key) >= _FRONT), lambda key: key[:_FRONT])
        self._begins_short = _sizes((key for key in self._begin if len(key) < _FRONT), lambda key: key[:1])
        self._ends = _sizes(self._end, lambda key: key[-1:])
        self._widths = sorted({len(key) for key in self._within})
        self._within_ascii = any(map(str.isascii, self._within))

    def _place(self, first: str) -> tuple[dict[str, list[_Found]], str]:
        begin, *between, end = first.split("*") if "*" in first else (first, "")
        if "*" not in first:
            return self._whole, first
        if begin:
            return self._begin, begin
        return (self._end, end) if end else (self._within, max(between, key=len)[:_PIECE])

    def find(self, found: Sequence[str], language: str = "", *, every: bool = False) -> dict[str, list[str]]:
        """The distinct keywords among the words `found`, by topic. A word counts for one length of keyword only.

        It counts once for a topic, unless `every` keyword is asked for that has the same words as another. In a
        `language` with stems a keyword is found in its other forms too.
        """
        others = self._others(language) if has_stems(language) else {}

        def same(pattern: str, word: str) -> bool:
            return fits(pattern, word) or same_stem(pattern, word, language)

        hits: dict[str, dict[str, None]] = {}
        start = 0
        while start < len(found):
            longest = 1
            here: list[tuple[int, str, str]] = []
            candidates = self._candidates(found[start])
            if not candidates and not others:
                start += 1
                continue
            for parts, slug, keyword in candidates:
                length = len(parts)
                if length == 1 or self._goes_on(parts, found, start, fits):
                    here.append((length, slug, keyword))
                    longest = max(longest, length)
            told = {(length, slug) for length, slug, _ in here}
            for parts, slug, keyword in others.get(begun(found[start], language), ()) if others else ():
                # What stands there as it is written says it already.
                length = len(parts)
                if (length, slug) not in told and self._goes_on(parts, found, start, same, first=0):
                    here.append((length, slug, keyword))
                    longest = max(longest, length)
            those = [(slug, keyword) for length, slug, keyword in here if length == longest]
            for slug, keyword in those if every else _once(those):
                hits.setdefault(slug, {})[keyword] = None
            start += longest
        return {slug: list(names) for slug, names in hits.items()}

    @staticmethod
    def _goes_on(
        parts: Sequence[str], found: Sequence[str], start: int, same: Callable[[str, str], bool], *, first: int = 1
    ) -> bool:
        """Whether the words of a keyword, from its `first`, are those that stand there."""
        there = found[start + first : start + len(parts)]
        return len(there) == len(parts) - first and all(map(same, parts[first:], there))

    def _others(self, language: str) -> dict[str, list[_Found]]:
        """Keywords by what a word of the same stem has in common with their first: few are looked at, and stemmed."""
        if language not in self._begun:
            table: dict[str, list[_Found]] = {}
            for word, some in self._whole.items():
                if begin := begun(word, language):
                    table.setdefault(begin, []).extend(some)
            self._begun[language] = table
        return self._begun[language]

    def _candidates(self, word: str) -> list[_Found]:
        """Keywords whose first word it may be."""
        found: list[_Found] = []
        plural = word.endswith("s")
        found += self._whole.get(word, ())
        if plural:
            found += self._whole.get(word[:-1], ())
        for size in (*self._begins_short.get(word[:1], ()), *self._begins.get(word[:_FRONT], ())):
            if size <= len(word) and (looked_up := self._begin.get(word[:size])):
                found += _fitting(looked_up, word)
        for one in ((word, word[:-1]) if plural else (word,)) if self._ends else ():
            for size in self._ends.get(one[-1:], ()):
                if size <= len(one) and (looked_up := self._end.get(one[-size:])):
                    found += _fitting(looked_up, one)
        for size in self._widths if self._within_ascii or not word.isascii() else ():
            pieces = [word[at : at + size] for at in range(len(word) - size + 1)]
            if not self._within.keys().isdisjoint(pieces):
                for piece in dict.fromkeys(pieces):
                    found += _fitting(self._within.get(piece, ()), word)
        return found


def _sizes(table: Iterable[str], part: Callable[[str], str]) -> dict[str, list[int]]:
    """How long the keys of a table are, the shortest first, by a part of them."""
    found: dict[str, list[int]] = {}
    for key in sorted(table, key=len):
        sizes = found.setdefault(part(key), [])
        if len(key) not in sizes:
            sizes.append(len(key))
    return found


def _once(hits: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """One keyword for each topic: "sharding" and "shard*" say one thing of one word, and "pixel?" as "pixels?" does."""
    found: dict[str, str] = {}
    for slug, keyword in hits:
        if slug not in found or (found[slug].endswith("?") and not keyword.endswith("?")):
            found[slug] = keyword
    yield from found.items()


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
