"""Words of a title or an excerpt, the same for topics and for stories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

# Names keep their marks: node.js, c++, c#, f#, .net. Hyphens and slashes part words, so "risc-v" and "ci/cd"
# are two words here and in a keyword alike.
_WORD = re.compile(r"(?<!\w)\.net\b|[^\W_]+(?:[.'’][^\W_]+)*(?:\+\+|#(?!\w))?", re.IGNORECASE)
# Scripts written without spaces give no words; two characters at a time serve as well.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]{2,}")


def words(text: str) -> list[str]:
    """The words of `text` in order, in small letters, without accents' variants (NFKC)."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if word.isascii():
            found.append(word.removesuffix("'s"))
            continue
        plain = word.replace("’", "'").removesuffix("'s")
        if _UNSPACED.fullmatch(plain):
            found.extend(plain[i : i + 2] for i in range(len(plain) - 1))
        else:
            found.append(plain)
    return found


def bigrams(found: Sequence[str]) -> list[str]:
    """Neighbouring words, joined by a space."""
    return [f"{a} {b}" for a, b in pairwise(found)]


def singular(word: str) -> str:
    """An English word without the "s" of its plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
