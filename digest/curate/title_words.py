"""The words of a title that tell what it is about: those that few other titles have. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from digest import taste

_SHORT = 3  # letters; what is shorter is mostly no word for anything
_COMMON = 0.04  # of the titles that have it: such a word tells nothing
_LEAST = 25  # titles to know from what is common


def telling(title: str, others: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """Up to so many words of a title, as they stand in it, those first that fewer of the others have.

    Of two that are as rare the longer one. None where there are too few others to know by. What is written without
    spaces has none.
    """
    counts: Counter[str] = Counter()
    total = 0
    for other in others:
        total += 1
        counts.update(taste.tokens(taste.folded(other)))
    if total < _LEAST:
        return ()
    written: dict[str, str] = {}
    for word in title.split():
        for plain in taste.tokens(taste.folded(word)):
            if len(plain) > _SHORT and not plain.isdecimal() and counts[plain] <= max(1, total * _COMMON):
                written.setdefault(plain, _as_written(word, plain))
    ranked = sorted(written, key=lambda plain: (counts[plain], -len(plain)))
    return tuple(written[plain] for plain in ranked[:most])


def _as_written(word: str, plain: str) -> str:
    at = word.lower().find(plain)
    return word[at : at + len(plain)] if at >= 0 else plain
