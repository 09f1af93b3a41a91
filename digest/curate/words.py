"""Words of a title or an excerpt, the same for topics and for stories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

# Vowel signs and tone marks, which the expressions of Python take for no part of a word.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0981-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u102b-\u103e\u17b4-\u17d3"
)
LETTER = rf"(?:[^\W_]|[{_MARKS}])"
# Names keep their marks: node.js, c++, c#, f#, .net. Hyphens and slashes part words, so "risc-v" and "ci/cd"
# are two words here and in a keyword alike.
_WORD = re.compile(
    rf"(?<!\w)\.net(?![a-z0-9_])|[^\W_]{LETTER}*(?:[.'’]{LETTER}+)*(?:\+\+|#(?![a-z0-9_]))?", re.IGNORECASE
)
# The same for ASCII in small letters.
_ASCII_WORD = re.compile(r"(?<!\w)\.net(?![a-z0-9_])|[a-z0-9]+(?:[.'][a-z0-9]+)*(?:\+\+|#(?![a-z0-9_]))?")
# An ASCII text with small letters for capitals and spaces for what is in no word, and next to none.
_KEPT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.'+#_")
_MADE_PLAIN = bytes(ord(c if c in _KEPT else " ") for c in map(str.lower, map(chr, range(128)))).ljust(256)
_ALNUM_OR_SPACE = "".join(c for c in sorted({*_KEPT, " "}) if c.isalnum() or c == " ").encode()
_BREAK = ord("\n")
_LINES_MADE_PLAIN = _MADE_PLAIN[:_BREAK] + b"\n" + _MADE_PLAIN[_BREAK + 1 :]
# Scripts written without spaces give no words; two characters at a time serve as well.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# With Greek, whose letters are signs in names: "Bε tree", "5μm".
_LATIN = "0-9a-zªµº\u00c0-\u03ff\u1e00-\u1fff"
# Stands for the `*` of a keyword while it is taken apart: a letter of every script that has spaces, and in no text.
STAR = "\ua66e"
# What French and Italian put before a vowel, and is no part of the word: "l'intelligence", "dell'anno".
_ELIDED = re.compile(
    r"(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|(?:d[ae]|ne|su|co|que)?ll|al?l|un|quest|nessun)'(?=[^\W\d_]{2})"
)


# Expressions that name these scripts take Python milliseconds to compile, each: they are, where such text is met.


@cache
def _run() -> re.Pattern[str]:
    """What is written in one script, of a word in several: "使用kubernetes部署", "وkubernetes"."""
    return re.compile(
        rf"[{UNSPACED}]+|\.net(?![a-z0-9_])|[0-9{STAR}]*[^{UNSPACED}{_LATIN}{STAR}.'+#]+[^{UNSPACED}a-z]*"
        rf"|[{_LATIN}{STAR}][{_LATIN}{STAR}.'+#]*"
    )


@cache
def _border() -> re.Pattern[str]:
    # Letters that are small or not are among the Latin ones alone: of all, the whole would take twice as long.
    return re.compile(rf"(?<=[{UNSPACED}])(?=(?i:[0-9a-z]))|(?<=(?i:[0-9a-z.%]))(?=[{UNSPACED}])")


@cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{UNSPACED}]")


def _after_article(word: str) -> str:
    elided = _ELIDED.match(word)
    return word[elided.end() :] if elided else word


def words(text: str) -> list[str]:
    """The words of `text` in order, in small letters, without accents' variants (NFKC).

    A word ends where its script does, and begins behind an elided article. Scripts without spaces give two characters
    at a time, one after the other.
    """
    if text.isascii():
        return _of_ascii(text)
    text = unicodedata.normalize("NFKC", text).lower()
    if text.isascii():
        return _of_ascii(text)
    found = []
    for word in _WORD.findall(text):
        if word.isascii():
            word = word.removesuffix("'s")
            found.append(_after_article(word) if "'" in word else word)
            continue
        plain = word.replace("’", "'").removesuffix("'s")
        if "'" in plain:
            plain = _after_article(plain)
        for run in _run().findall(plain):
            if not unspaced(run):
                found.append(run if run == ".net" else run.lstrip("'+#").rstrip(".'") or run)
            elif len(run) == 1:
                found.append(run)
            else:
                found.extend(run[i : i + 2] for i in range(len(run) - 1))
    return found


def _of_ascii(text: str) -> list[str]:
    """The same: most titles are, and an expression asked of all of them takes several times as long."""
    return _of_runs(text.encode().translate(_MADE_PLAIN).decode().split())


def of_lines(lines: Sequence[str]) -> Iterator[list[str]]:
    """The `words` of each of some lines of ASCII: to make thousands plain in one piece takes half as long."""
    plain = "\n".join(lines).encode().translate(_LINES_MADE_PLAIN)
    signs = plain.translate(None, _ALNUM_OR_SPACE).split(b"\n")  # of each line those that need a closer look
    for line, sign in zip(plain.decode().split("\n") if lines else (), signs, strict=False):
        yield _of_runs(line.split()) if sign else line.split()


def _of_runs(runs: list[str]) -> list[str]:
    if "".join(runs).isalnum():
        return runs
    found: list[str] = []
    for run in runs:
        if run.isalnum():
            found.append(run)
        else:
            said: list[str] = _ASCII_WORD.findall(run)
            found += [_after_article(word.removesuffix("'s")) if "'" in word else word for word in said]
    return found


# The bounds of a word of letters, which what is written without spaces may stand beside: "用rust写".
BEFORE, AFTER = rf"(?<![^\W{UNSPACED}])", rf"(?![^\W{UNSPACED}])"


def parted(text: str) -> str:
    """A text with a space where its script changes from one without spaces, as between "内核" and "6.9"."""
    return text if text.isascii() else _border().sub(" ", text)


def unspaced(word: str) -> bool:
    """Whether a word of `words` is of a script that is written without spaces."""
    return not word[:1].isascii() and _unspaced().match(word) is not None


def bigrams(found: Sequence[str]) -> list[str]:
    """Neighbouring words, joined by a space."""
    return [f"{a} {b}" for a, b in pairwise(found)]


def singular(word: str) -> str:
    """An English word without the "s" of its plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
