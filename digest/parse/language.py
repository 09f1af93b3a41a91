"""In which language a text is: as declared where that can be true, else a careful guess.

It decides `lang` and `dir` in the mail, so a wrong answer is worse than none: below a few words, "" is the answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_BEYOND_LATIN = re.compile("[\u0300-\U0010ffff]")

# The languages that a script alone tells, the most read first; which of them it is, letters tell.
_SCRIPTS = {
    "ARABIC": ("ar", "fa", "ur", "ps", "ckb"),
    "HEBREW": ("he", "yi", "iw"),
    "CYRILLIC": ("ru", "uk", "bg", "sr", "be", "mk", "kk", "mn", "ky", "tg"),
    "HANGUL": ("ko",),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "CJK": ("zh", "ja", "yue"),
    "GREEK": ("el",),
    "THAI": ("th",),
    "DEVANAGARI": ("hi", "mr", "ne", "sa"),
    "BENGALI": ("bn", "as"),
    "TAMIL": ("ta",),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy",),
}
# Those of which a text without a letter of their script is none; others are written in Latin letters as well.
_NEVER_LATIN = frozenset(language for some in _SCRIPTS.values() for language in some) - {"sr", "kk", "mn", "tg", "ky"}
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LETTERS = {"fa": "پچژگ", "ur": "ٹڈڑے", "uk": "іїєґ", "be": "ў", "sr": "ђћљњџ", "mk": "ѓќѕ"}
_MANY = 8  # little words that speak against a declaration
# The commonest little words; a text of a dozen words has some of them.
_LITTLE = {
    "en": "the of and to in is that for it with as was on are this be by from at have not you we an or your how what "
    "a i do no so if my me can will about when but has its our more just than",
    "de": "der die das und ist nicht ein eine zu den mit von für auf im dem des sich auch es wie wir oder nach bei",
    "fr": "le la les des et est une un du dans pour que qui sur pas au avec par ce plus vous nous sont cette aux",
    "es": "el la los las de y que en un una es por con para del se como más su al lo pero este sus está",
    "it": "il la di che e è un una per non con del della sono le gli dei nel più come anche alla questo si ha",
    "pt": "o a os as de e que do da em um uma para com não por mais dos das no na ao se como seu sua você",
    "nl": "de het een en van is dat op te voor met niet zijn aan er om ook als bij naar wordt deze wij maar",
    "sv": "och att det som en är på för av med den till inte har ett om vi kan från men så",
    "da": "og at det som en er på for af med den til ikke har et om vi kan fra men så der",
    "pl": "i w na z do się że nie to jest jak dla po co od przez o jego już tylko są może",
    "tr": "ve bir bu için ile de da çok daha olarak olan gibi ne ama her en kadar sonra",
    "vi": "và của là có cho không các được một trong với người này những khi để đã",
    "id": "yang dan di untuk dengan ini itu dari pada adalah tidak dalam akan juga kami bisa",
}
_SPOKEN: dict[str, list[str]] = {}  # a little word → the languages that have it
for _language, _words in _LITTLE.items():
    for _word in dict.fromkeys(_words.split()):
        _SPOKEN.setdefault(_word, []).append(_language)


def tag(declared: str) -> str:
    """A declared language as a BCP 47 tag ("en_US" → "en-US"), or "" where it cannot be one."""
    declared = declared.strip().replace("_", "-")
    if not _TAG.fullmatch(declared) or len(declared) > 35 or declared.lower() in ("und", "mul", "zxx"):
        return ""
    first, *rest = declared.split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])


def of(text: str, declared: str = "") -> str:
    """The language of `text` (BCP 47), "" where nothing tells.

    The declaration stands unless the script speaks against it, or the words do: many generators say "en-us" whatever
    is written, and who writes in two languages has one feed. Against another than English it takes many words.
    """
    declared = tag(declared)
    found = _by_script(text)
    if found:
        return declared if declared.partition("-")[0] in found else _which(text, found)
    if declared.partition("-")[0] in _NEVER_LATIN and len(_LATIN.findall(text)) >= 4:
        # An English item in an Arabic feed; of a few words in a Chinese one nobody knows better than the feed.
        runs_back = declared.partition("-")[0] in (*_SCRIPTS["ARABIC"], *_SCRIPTS["HEBREW"])
        return _by_words(text) or ("" if runs_back else declared)
    if declared.partition("-")[0] == "en":
        # What generators say whatever is written; a good many words of another language know better.
        other = _by_words(text, least=4)
        return other if other not in ("", "en") else declared
    if declared.partition("-")[0] in _LITTLE:
        other = _by_words(text, least=_MANY)
        return other if other and not _spoken_too(text, declared.partition("-")[0]) else declared
    return declared or _by_words(text)


def _by_script(text: str) -> tuple[str, ...]:
    """The languages written in the script that most letters are of; () for Latin or too few letters."""
    if text.isascii():
        return ()
    foreign = list(filter(str.isalpha, _BEYOND_LATIN.findall(text)))
    if len(foreign) < 4:
        return ()
    letters = sum(map(str.isalpha, text))
    # A Chinese text about software is half English, and says in one character what takes English three letters; one
    # Greek letter in an English text is none.
    dense = sum("\u1100" <= c <= "\ud7ff" for c in foreign)
    if (len(foreign) + 2 * dense) * 3 < letters + 2 * dense:
        return ()
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in foreign)
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > len(foreign) // 10:
        return ("ja",)
    return _SCRIPTS.get(scripts.most_common(1)[0][0], ())


def _which(text: str, languages: tuple[str, ...]) -> str:
    if "bg" in languages and "ъ" in text and not set(text.lower()) & set("ыэёіїўђћ"):
        return "bg"
    for language in languages:
        if any(c in text for c in _LETTERS.get(language, "")):
            return language
    return languages[0]


def _by_words(text: str, *, least: int = 2) -> str:
    """The language of most of its little words, where there are so many of them and few of any other's."""
    head = text[:4_000]
    small = head.lower()  # at once: but İ becomes two characters, of which one is no letter
    words = _WORD.findall(small) if len(small) == len(head) else [word.lower() for word in _WORD.findall(head)]
    if len(words) < 5:
        return ""
    scores = _scores(words)
    (best, language), (second, _) = sorted(((count, language) for language, count in scores.items()), reverse=True)[:2]
    return language if best >= least and best * 10 >= len(words) and best > second * 1.2 else ""


def _scores(words: Iterable[str]) -> dict[str, int]:
    scores = dict.fromkeys(_LITTLE, 0)
    for word in words:
        for language in _SPOKEN.get(word, ()):
            scores[language] += 1
    return scores


def _spoken_too(text: str, language: str) -> bool:
    """Whether a text has as many little words of `language` as one has by chance, or more."""
    scores = _scores(word.lower() for word in _WORD.findall(text[:4_000]))
    return scores[language] * 3 > max(scores.values())
