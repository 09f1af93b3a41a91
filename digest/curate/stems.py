"""Words without the endings of their language, and one spelling for those that are written in several."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# English is left to `singular`: what labels taught was learnt of its words as they stand.
_SNOWBALL = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
_LEAST = 4  # letters of a word, and three of its stem: what is shorter is many things
_ENDING = 3  # letters that the shorter of two forms may have of its own
_FRONT = 3  # letters that two words of one stem begin with alike: a German stem takes "rüsten" for "rust"
_PREFIXED = ("ar",)  # where the article is a part of the word
_NOT_LATIN = ("ar", "ru")


def has_stems(language: str) -> bool:
    """Whether words of a language (its two letters) have stems here."""
    return language in _SNOWBALL


@lru_cache(maxsize=50_000)
def stem(word: str, language: str) -> str:
    """A word of `words` without its ending (snowballstem.org); itself in languages without stems."""
    if language not in _SNOWBALL or len(word) < _LEAST or not word.isalpha():
        return word
    if word.isascii() and language in _NOT_LATIN:
        return word
    import snowballstemmer  # only where a language asks for it

    # One for each word: it keeps what it works on, and threads must not share that.
    found = str(snowballstemmer.stemmer(_SNOWBALL[language]).stemWord(word))
    return found if len(found) >= _LEAST - 1 else word


def begun(word: str, language: str) -> str:
    """What words of one stem have in common at sight; "" where a word has no stem."""
    if len(word) < _LEAST:
        return ""
    return stem(word, language) if language in _PREFIXED else word[:_FRONT]


def same_stem(one: str, two: str, language: str) -> bool:
    """Whether two words are one in its forms: "suppe" and "suppen"."""
    begin = begun(one, language)
    if not begin or begin != begun(two, language):
        return False
    # Endings are short: most words are told apart at sight, and that is what keeps it cheap.
    least = max(0, min(len(one), len(two)) - _ENDING)
    apart = one[:least] != two[:least] or abs(len(one) - len(two)) > _ENDING + 1
    if apart and language not in _PREFIXED:
        return False
    return stem(one, language) == stem(two, language)


# ---------------------------------------------------------------- spellings

_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ـ": ""}
    | {"ى": "ي", "ة": "ه", "ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ"}
)
# Where a mark is no letter of its own. In Devanagari and kana it is.
_MARKED = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW")
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe"})


@lru_cache(maxsize=8_192)
def plain(word: str) -> str:
    """A word of `words` without accents, with the letters that stand for others written as those: "cafe", "strasse"."""
    if word.isascii():
        return word
    letters = unicodedata.normalize("NFD", word.translate(_LETTERS))
    kept, base = [], ""
    for c in letters:
        if unicodedata.combining(c):
            if base.startswith(_MARKED):
                continue
        else:
            base = unicodedata.name(c, "")
        kept.append(c)
    return unicodedata.normalize("NFC", "".join(kept))


class Spellings:
    """How these words are written, to know those that one of them writes out: "Mueller" for "Müller"."""

    def __init__(self, found: Iterable[str]) -> None:
        marked = (word for word in found if not word.isascii())
        self._known = {out: plain(word) for word in marked if (out := word.translate(_WRITTEN_OUT)) != word}

    def of(self, found: Iterable[str]) -> list[str]:
        """Words of `words`, each in its one spelling."""
        return [self._known.get(word) or (word if word.isascii() else plain(word)) for word in found]
