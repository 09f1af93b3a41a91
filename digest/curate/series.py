"""Which stories are of one series: made from a template, whoever signs them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import takewhile

from digest.curate import headlines, sketches
from digest.curate.words import unspaced, words
from digest.values import Story

_LEAST_SAME = 3  # words that two titles of one template begin and end with alike
_SHARE = 0.6  # of the longer title, that these are
_TELLING = 2  # of these, that say something: "How to … in …" is anybody's
_LEAST_PAIRS = 16  # of a text; fewer say too little to be a template
_NUMBER = "#"


def alike(story: Story, others: Iterable[Story]) -> int:
    """With how many of these its title differs in a name or a number in the middle only, or its text in a few words."""
    form, sketch, pairs = _form(story.title), _sketch(story.excerpt), _pairs(story.excerpt)
    marks = {*sketch}  # most have none in common, and are not looked at further
    return sum(
        _filled_in(form, _form(other.title))
        or (not marks.isdisjoint(told := _sketch(other.excerpt)) and sketches.alike(sketch, told) >= sketches.COPIED)
        or (bool(pairs) and _mostly(pairs, _pairs(other.excerpt)))
        for other in others
    )


class Told:
    """Stories, found again by what another of their series has in common with them: the rest is not compared."""

    def __init__(self) -> None:
        self._found: defaultdict[object, dict[int, Story]] = defaultdict(dict)  # each by its place
        self._number = 0

    def add(self, story: Story) -> None:
        for mark in _marks(story):
            self._found[mark][self._number] = story
        self._number += 1

    def alike(self, story: Story) -> int:
        """With how many of them, as `alike`."""
        near: dict[int, Story] = {}
        for mark in _marks(story):
            near.update(self._found.get(mark, {}))
        return alike(story, near.values()) if near else 0


def _marks(story: Story) -> Iterator[object]:
    """What two stories that are `alike` have one of in common."""
    form = _form(story.title)
    if form:
        yield "first", form[0]
        yield "last", form[-1]
    yield from _sketch(story.excerpt)
    if _pairs(story.excerpt):
        yield "pairs"


def _mostly(one: frozenset[str], two: frozenset[str]) -> bool:
    """Whether most of two texts is the same, in a script without spaces: there few runs of four pairs are whole."""
    return len(one & two) >= _SHARE * max(len(one), len(two))


def _filled_in(form: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if form[:1] != other[:1] and form[-1:] != other[-1:]:
        return False  # most end here
    least = max(_LEAST_SAME, _SHARE * max(len(form), len(other)))
    if min(len(form), len(other)) < least:
        return False
    before = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(form, other, strict=False)))
    pairs = zip(reversed(form[before:]), reversed(other[before:]), strict=False)
    after = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if before + after < least:
        return False
    same = {*form[:before], *form[len(form) - after :]} - {_NUMBER}
    return sum(headlines.stem(word) not in headlines.STOP_STEMS for word in same) >= _TELLING


@lru_cache(maxsize=4096)  # asked for each variant
def _form(title: str) -> tuple[str, ...]:
    return tuple(_NUMBER if word[0].isdigit() else word for word in words(title))


@lru_cache(maxsize=4096)
def _pairs(excerpt: str) -> frozenset[str]:
    """The pairs of signs of a text in a script without spaces; none of another, or of a short one."""
    if excerpt.isascii():
        return frozenset()
    found = frozenset(word for word in words(excerpt) if unspaced(word[0]))
    return found if len(found) >= _LEAST_PAIRS else frozenset()


@lru_cache(maxsize=4096)
def _sketch(excerpt: str) -> sketches.Sketch:
    return sketches.of(excerpt)
