"""Months and weekdays by name, in the languages of the world: Unicode's CLDR by way of Babel."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from digest.dataclass import dataclass

_LANGUAGES = (
    "de fr es it pt nl sv da nb fi is pl cs sk sl hr sr hu ro bg ru uk be mk el tr lt lv et ca gl eu ga cy sq hy ka "
    "he ar fa hi bn ta th vi id ms ja ko zh af az kk uz sw fil nn"
)
LANGUAGES = tuple(_LANGUAGES.split())
_ENGLISH = "january february march april may june july august september october november december"
_ENGLISH_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_ACCENTS = re.compile("[\u0300-\u036f]")
_DOTS = re.compile(r"[.'’׳`´\u200c-\u200f]")
# Words beside which a date stands, for which no other language need be asked.
_IDLE_WORDS = "t z at on of the um uhr kl klo de le à a las th st nd rd am pm utc gmt ut est edt cst pst"
_CODE = re.compile(r"[a-z]{2,3}")
_IDLE = frozenset(_IDLE_WORDS.split())
# Beside CLDR: what people write, and half the feeds of a country with them.
_MORE = {
    "sept": 9,
    "juill": 7,
    "jui": 6,
    "juil": 7,
    "mrz": 3,
    "janner": 1,
    "jänner": 1,
    "feber": 2,
    "maerz": 3,
    "set": 9,
    "ener": 1,
    "augusti": 8,
    "сент": 9,
    "нояб": 11,
    "мая": 5,
}


@dataclass(frozen=True)
class Names:
    """What the words of a date name: the months (several where languages differ) and the weekdays (0 is Monday)."""

    months: tuple[int, ...] = ()
    weekdays: frozenset[int] = frozenset()


def names(words: Iterable[str], language: str) -> Names:
    """What words (small, without accents and dots) name. Of a word that is both, a second month makes a weekday."""
    words = [word for word in words if word not in _IDLE]
    own = _own(language.lower().partition("-")[0])
    if not own.keys() & set(words) and any(word in _english(_ENGLISH) and word != "mar" for word in words):
        words = [word for word in words if word in _english(_ENGLISH) or word in _english(_ENGLISH_DAYS)]
    months: list[tuple[str, tuple[int, ...]]] = []
    weekdays: set[int] = set()
    for word in words:
        if word not in _english(_ENGLISH_DAYS) and (found := _month(word, language)):
            months.append((word, found))
        else:
            weekdays |= _weekday(word)
    # The other languages are asked only where a word is not plainly English: they take a while.
    plainly = len(months) == 1 and months[0][0] in _english(_ENGLISH) and months[0][0] != "mar"
    doubtful = [] if plainly else [word for word, _ in months if _weekday(word)]
    if doubtful and (len(months) > 1 or weekdays == set()):
        # "mar., 01 déc. 2020": the other one is the month.
        weekdays |= _weekday(doubtful[0])
        if len(months) > 1:
            months.remove(next(m for m in months if m[0] == doubtful[0]))
    return Names(
        months=tuple(dict.fromkeys(n for _, found in months for n in found)),
        weekdays=frozenset(weekdays),
    )


def idle(word: str) -> bool:
    """Whether a word says nothing of the day, beside which a date may stand."""
    return word in _IDLE


def _month(word: str, language: str) -> tuple[int, ...]:
    spoken = language.lower().partition("-")[0]
    if (month := _own(spoken).get(word)) is not None:
        return (month,)
    if (known := _english(_ENGLISH).get(word)) is not None:
        return (known + 1,)
    if word.isascii() and len(word) < 3:
        return ()
    by_language = _foreign()[0].get(word) or _foreign()[0].get(_singular(word), {})
    if spoken in by_language:
        return (by_language[spoken],)
    return tuple(sorted(set(by_language.values())))


def _weekday(word: str) -> frozenset[int]:
    if (known := _english(_ENGLISH_DAYS).get(word)) is not None:
        return frozenset({known})
    if word == "mar":  # mardi, martes, martedì, marți
        return frozenset({1})
    if word.isascii() and len(word) < 2:
        return frozenset()
    days = set(_foreign()[1].get(word, {}).values())
    return frozenset(days) if len(days) == 1 else frozenset()


def _singular(word: str) -> str:
    """Hebrew and Arabic write "in" and "of" before the name, as one word with it."""
    return word[1:] if word[:1] in ("ב", "ל") else word


@cache
def _english(spelt: str) -> dict[str, int]:
    """English names and their beginnings of three letters and more: "Thur", "Sept"."""
    found = {}
    for number, name in enumerate(spelt.split()):
        for length in range(3, len(name) + 1):
            found[name[:length]] = number
    return found


@lru_cache(maxsize=8)
def _own(language: str) -> dict[str, int]:
    """The months of a language that is none of `LANGUAGES`: its "mar" may be May. Empty for others."""
    if language in LANGUAGES or language == "en" or not _CODE.fullmatch(language):
        return {}
    from babel import localedata

    months: dict[str, int] = {}
    if localedata.exists(language):
        for table, number, name in _named(language):
            if table == "months":
                months.setdefault(name, number)
    for name, number in [(name, number) for name, number in months.items() if " " in name]:
        if months.get(first := name.partition(" ")[0], number) != number:
            del months[first]  # "ten" and "ten and one"
    return months


def _named(language: str) -> Iterator[tuple[str, int, str]]:
    """The table ("months" or "days"), number and plain name of each that CLDR has for a language."""
    from babel import localedata

    data = localedata.load(language)
    for kind in ("months", "days"):
        for usage in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                told = data.get(kind, {}).get(usage, {}).get(width)
                # An alias stands for a table that is here already; with one, what differs from it.
                told = told[1] if isinstance(told, tuple) else told
                for number, name in told.items() if isinstance(told, dict) else ():
                    key = plain(name)
                    if key and not any(c.isdigit() for c in key):
                        yield kind, number, key
    localedata._cache.pop(language, None)  # a megabyte each


@cache
def _foreign() -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """Months and weekdays by name, then by language. A quarter of a second, once, where a feed is not in English."""
    months: dict[str, dict[str, int]] = {}
    days: dict[str, dict[str, int]] = {}
    for language in LANGUAGES:
        for table, number, name in _named(language):
            (months if table == "months" else days).setdefault(name, {}).setdefault(language, number)
    for name, number in _MORE.items():
        months.setdefault(plain(name), {}).setdefault("", number)
    return _cut(months, days) | months, days


def _cut(months: dict[str, dict[str, int]], days: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The first three letters of months, as many programs print them ("ноя", where CLDR says "нояб."): those that name
    one month of their language, and no weekday."""
    cut: dict[str, dict[str, set[int]]] = {}
    for name, by_language in months.items():
        for language, number in by_language.items() if len(name) > 3 and " " not in name else ():
            cut.setdefault(name[:3], {}).setdefault(language, set()).add(number)
    return {
        short: {language: min(numbers) for language, numbers in by.items() if len(numbers) == 1}
        for short, by in cut.items()
        if short not in days and short not in _IDLE
    }


def plain(name: str) -> str:
    """A name as `dates` sees words."""
    name = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", name)))
    return _DOTS.sub("", name.casefold()).replace("ı", "i").strip()
