"""A reader's own taste: how many stories they want, of what more and less, and which none. Its one form, and its words.

Nothing here is a pattern of a stranger's: words are words, sites are addresses, and all of them are few and short.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from digest.dataclass import dataclass

MOST = 100  # stories in a letter that can be chosen
WORDS, WORD = 50, 60  # words or phrases of a reader, and characters of one
SOURCES, SOURCE = 50, 150  # all of them fit in a cell of a list
LANGUAGES = 20
LEANINGS, LEANING = 40, 80  # of what there is to be more, or less, and characters of what it is
KINDS = ("source", "topic", "author", "word")  # what a reader may want more or less of
STEPS = 2  # levels up, and down, that a story moves at most


@dataclass(frozen=True)
class Taste:
    """What a reader wants of what a newsletter offers them. Unsaid is all of it."""

    max_stories: int | None = None  # in a letter
    muted_words: tuple[str, ...] = ()  # as they were written
    muted_sources: tuple[str, ...] = ()  # see `source`
    muted_topics: tuple[str, ...] = ()  # slugs
    story_languages: tuple[str, ...] = ()  # see `language`
    # Of what they want more, and less: it moves stories and takes none away. See `leaning`.
    more_of: tuple[str, ...] = ()
    less_of: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Taste:
        """What `stored` once gave."""
        known: dict[str, Any] = {}
        for name in NAMES:
            value = stored.get(name)
            if value is not None:
                known[name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)

    @property
    def stored(self) -> dict[str, Any]:
        """As a row keeps it: what is said, and nothing else; muted topics come last, see `store.search`."""
        said = {name: getattr(self, name) for name in sorted(NAMES, key="muted_topics".__eq__)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in said.items() if v not in (None, ())}

    @property
    def key(self) -> str:
        """The same for all who want the same; "" for who wants all. No two that differ have one (SHA-256)."""
        said = self.stored
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32] if said else ""


NAMES = tuple(field.name for field in fields(Taste))


class Tasting:
    """A row whose column `taste` is what `Taste.stored` gave: what is in it, by name."""

    @property
    def max_stories(self) -> int | None:
        return _of(self).max_stories

    @property
    def muted_words(self) -> tuple[str, ...]:
        return _of(self).muted_words

    @property
    def muted_sources(self) -> tuple[str, ...]:
        return _of(self).muted_sources

    @property
    def muted_topics(self) -> tuple[str, ...]:
        return _of(self).muted_topics

    @property
    def story_languages(self) -> tuple[str, ...]:
        return _of(self).story_languages

    @property
    def more_of(self) -> tuple[str, ...]:
        return _of(self).more_of

    @property
    def less_of(self) -> tuple[str, ...]:
        return _of(self).less_of


def _of(row: Any) -> Taste:
    return Taste.of(row.taste)


def checked(taste: Taste) -> Taste:
    """The same in its one form; ValueError says what cannot be kept."""
    most = taste.max_stories
    if most is not None and not 1 <= most <= MOST:
        raise ValueError(f"{most} is no number of stories: write 1 to {MOST}, or nothing for no maximum")
    more, less = leanings(taste.more_of, "more"), leanings(taste.less_of, "less")
    if both := set(map(_same, more)) & set(map(_same, less)):
        raise ValueError(f"{min(both)!r} cannot be wanted both more and less")
    return Taste(
        most,
        words(taste.muted_words),
        _few(map(source, taste.muted_sources), SOURCES, "muted sources"),
        _few(taste.muted_topics, len(taste.muted_topics), "muted topics"),
        _few(map(language, taste.story_languages), LANGUAGES, "languages of stories"),
        more,
        less,
    )


def _few(found: Iterable[str], most: int, what: str) -> tuple[str, ...]:
    kept = tuple(sorted({one for one in found if one}))
    if len(kept) > most:
        raise ValueError(f"{len(kept)} {what} are too many: at most {most} are kept")
    return kept


# ---------------------------------------------------------------- words


def words(said: Iterable[str]) -> tuple[str, ...]:
    """Words and phrases, each once however it is written, in the order of the alphabet; what is empty is left out."""
    kept: dict[str, str] = {}
    for one in said:
        if len(one) > WORD * 10:
            raise ValueError(f"a muted word has {len(one)} characters: at most {WORD} are kept")
        plain = _plain(one)
        if not plain:
            continue
        if len(plain) > WORD:
            raise ValueError(f"the muted word {plain[:20]}… has {len(plain)} characters: at most {WORD} are kept")
        if not any(_kind(c) in (_WORD, _DENSE) or unicodedata.category(c) == "So" for c in folded(plain)):
            raise ValueError(f"{plain!r} is no word: it has neither a letter nor a number")
        kept.setdefault(folded(plain), plain)
    if len(kept) > WORDS:
        raise ValueError(f"{len(kept)} muted words are too many: at most {WORDS} are kept")
    return tuple(kept[key] for key in sorted(kept))


_JOINERS = "\u200c\u200d"
# Marks that readers leave out or writers add: soft hyphens, joiners, the dot that remains of a Turkish İ in small
# letters, variants of emoji, Arabic vowels, Hebrew points. And what is typed in several ways.
_SAME: dict[int, str | None] = dict.fromkeys((0xAD, 0x307, 0x640, 0xFE0E, 0xFE0F, 0xFEFF))
_SAME |= dict.fromkeys((*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)))
_SAME |= dict.fromkeys((*range(0x64B, 0x653), 0x670, *range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5), None)
_SAME |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-")
_SAME |= dict.fromkeys((0x2018, 0x2019, 0x201A, 0x201B, 0x2B9, 0x2BC, 0x60, 0xB4), "'")
_SAME |= {0x131: "i", 0x451: "е"}
# Capitals in Greek have no accents.
_SAME |= {
    code: base
    for code in (*range(0x386, 0x3CF), *range(0x1F00, 0x2000))
    if (base := unicodedata.normalize("NFD", chr(code))[0]) != chr(code)
}


def folded(text: str) -> str:
    """A text as it is compared: without case, and however the same letters are written; white space is one space."""
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").split())
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.translate(_SAME).split())


_OTHER, _WORD, _DENSE, _MARK = range(4)
# Scripts that part no words, and Hangul, whose words take endings: there a word is found wherever it stands.
_UNPARTED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007)),
    *((0x3021, 0x312F), (0x3130, 0x318F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA960, 0xA97F)),
    *((0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)


@lru_cache(maxsize=20_000)
def _kind(c: str) -> int:
    category = unicodedata.category(c)
    if category[0] == "M":
        return _MARK
    if not (c.isalnum() or c == "_"):
        return _OTHER
    return _DENSE if any(first <= ord(c) <= last for first, last in _UNPARTED) else _WORD


def tokens(text: str) -> set[str]:
    """The words of a `folded` text that have borders."""
    found, begun, before = set(), -1, _OTHER
    for at, c in enumerate(text):
        kind = _kind(c)
        kind = before if kind == _MARK else kind
        if kind == _WORD and begun < 0:
            begun = at
        elif kind != _WORD and begun >= 0:
            found.add(text[begun:at])
            begun = -1
        before = kind
    return found | {text[begun:]} if begun >= 0 else found


def says(text: str, word: str) -> bool:
    """Does a text have this word or phrase in it, between borders of words? Both are `folded`."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        before, after = text[at - 1 : at], text[end : end + 1]
        inside = bool(after) and (_kind(after) == _MARK or (_kind(after) == _WORD and _last(word) == _WORD))
        if not inside and not (before and _kind(word[0]) == _WORD and _last(text[:at]) == _WORD):
            return True
        at = text.find(word, at + 1)
    return False


def _last(text: str) -> int:
    """What kind the last character is, but for marks upon it."""
    for c in reversed(text):
        if _kind(c) != _MARK:
            return _kind(c)
    return _OTHER


# ---------------------------------------------------------------- more and less


def leanings(said: Iterable[str], which: str) -> tuple[str, ...]:
    """What somebody wants more of, or less, each once, in the order of the alphabet; ValueError for too many."""
    kept: dict[str, str] = {}
    for one in map(leaning, said):
        if one:
            kept.setdefault(_same(one), one)
    if len(kept) > LEANINGS:
        raise ValueError(f"to want {which} of {len(kept)} things is too much: at most {LEANINGS} are kept")
    return tuple(kept[key] for key in sorted(kept))


def leaning(said: str) -> str:
    """One thing that there is to be more or less of, in its one form; ValueError for what is none.

    "source:example.org", "topic:rust", "author:Ada Lovelace", "word:compilers"
    """
    if not said.strip():
        return ""
    kind, colon, what = said.partition(":")
    kind = kind.strip().lower()
    if not colon or kind not in KINDS:
        raise ValueError(f"{said[:40]!r} is nothing to want more or less of: write source:example.org, "
                         "topic:SLUG, author:NAME or word:WORD")  # fmt: skip
    match kind:
        case "source":
            what = source(what)
        case "word":
            what = next(iter(words([what])), "") if len(what) <= WORD else ""
        case _:
            what = _plain(what[: LEANING * 10])
    if not what or (kind != "source" and len(what) > LEANING):
        raise ValueError(f"{said[:40]!r} does not say which {kind}, in at most {LEANING} characters")
    return f"{kind}:{what}"


def without(some: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Those of some leanings that are not among others, however these are written."""
    gone = set(map(_same, others))
    return tuple(one for one in some if _same(one) not in gone)


def _same(leaning: str) -> str:
    return folded(leaning)


def _plain(said: str) -> str:
    plain = "".join(c for c in said if unicodedata.category(c)[0] != "C" or c.isspace() or c in _JOINERS)
    return " ".join(unicodedata.normalize("NFC", plain).split())


# ---------------------------------------------------------------- sources and languages


def source(said: str) -> str:
    """A site, or a part of one, as it is kept: "example.org", "example.org/blog"; ValueError for what is no address."""
    said = said.strip()
    if not said:
        return ""
    parts = None
    if len(said) <= SOURCE and not any(c.isspace() or unicodedata.category(c)[0] == "C" for c in said):
        try:
            parts = urlsplit(said if "://" in said else f"https://{said}")
            host = _host(parts.hostname or "")
            port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
        except ValueError:
            parts = None
    if parts is None or not host or "." not in f"{host}{port}".replace(":", "."):
        raise ValueError(f"{said[:40]!r} is no source: write its site, as in example.org")
    path = "" if parts.path.rstrip("/") == "" else parts.path.rstrip("/")
    return f"{host}{port}{path}" + (f"?{parts.query}" if parts.query and path else "")


def _host(name: str) -> str:
    name = name.rstrip(".").lower().removeprefix("www.")
    if name.isascii():
        return name if all(c.isalnum() or c in "-._" for c in name) else ""
    return name.encode("idna").decode()  # a UnicodeError is a ValueError


def place(address: str) -> str:
    """Where a feed or its site is, in the form of `source`; "" where that is nowhere."""
    try:
        return source(address[:SOURCE])
    except ValueError:
        return ""


def within(place: str, muted: str) -> bool:
    """Is a place the muted one, or a part of it?"""
    return place == muted or (place.startswith(muted) and place[len(muted)] in "/?")


@lru_cache(maxsize=2_000)
def language(said: str) -> str:
    """A language as stories are sorted by it: "de" of "de-AT" and of "deu"; ValueError for what is none."""
    said = said.strip().replace("_", "-").lower()
    if not said:
        return ""
    first = said.partition("-")[0]
    if not (first.isascii() and first.isalpha() and 2 <= len(first) <= 3 and len(said) <= 35):
        raise ValueError(f"{said[:40]!r} is no language: write its code, as in en or de")
    from babel.core import get_global  # which is heavy, and seldom asked

    found = str(get_global("language_aliases").get(first, first)).partition("_")[0].partition("-")[0]
    return "no" if found in ("nb", "nn") else found  # whose feeds say one or the other


def spoken(declared: str) -> str:
    """The language of a story, of what was declared for it; "" where nobody knows."""
    try:
        return language(declared)
    except ValueError:
        return ""
