"""What belongs to a language's script: where it begins, its fonts, its quotation marks."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_RTL = ("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ku", "ps", "sd", "ug", "ur", "yi")
_RTL_SCRIPTS = ("adlm", "arab", "hebr", "nkoo", "syrc", "thaa")  # ISO 15924
_SCRIPT = re.compile(r"-([a-z]{4})(?![a-z])")
_SEEN = 400  # characters of a text that tell where it begins

# Of what a font lacks the next is asked, so those of a script go behind the first of a list, and before such as have
# it badly. Two are enough where they are packaged with systems: one of Apple's, one of Windows or of Android.
_SERIF = {
    "ja": "'Hiragino Mincho ProN', 'Yu Mincho'",
    "zh": "'Songti SC', SimSun",
    "zh-hant": "'Songti TC', PMingLiU",
    "ko": "AppleMyungjo, Batang",
    "ar": "'Geeza Pro', 'Noto Naskh Arabic'",
    "fa": "'Geeza Pro', 'Noto Naskh Arabic'",
    "ur": "'Noto Nastaliq Urdu', 'Geeza Pro'",
    "he": "'Arial Hebrew', David",
    "hi": "'Kohinoor Devanagari', 'Nirmala UI'",
}
_SANS = _SERIF | {
    "ja": "'Hiragino Sans', 'Yu Gothic'",
    "zh": "'PingFang SC', 'Microsoft YaHei'",
    "zh-hant": "'PingFang TC', 'Microsoft JhengHei'",
    "ko": "'Apple SD Gothic Neo', 'Malgun Gothic'",
    "ar": "'Geeza Pro', 'Noto Sans Arabic'",
}
_QUOTES = {
    "en": "“”",
    "de": "„“",
    "fr": "«»",
    "es": "«»",
    "it": "«»",
    "pt": "“”",
    "ru": "«»",
    "pl": "„”",
    "tr": "“”",
    "ar": "”“",
    "he": "””",
    "hi": "“”",
    "ja": "「」",
    "zh": "“”",
    "zh-hant": "「」",
}


def direction(language: str) -> str:
    """`rtl` for languages written from right to left, else `ltr`; the script of a tag goes before its language."""
    tag = language.lower()
    if script := _SCRIPT.search(tag):
        return "rtl" if script[1] in _RTL_SCRIPTS else "ltr"
    return "rtl" if tag.partition("-")[0] in _RTL else "ltr"


@lru_cache(maxsize=2_000)
def told_in(text: str, language: str, around: str) -> str:
    """The language of a text where it stands in one of `around`, as a tag that runs the way its letters do.

    That of the text, where it can be; else one of nobody knows what ("und", BCP 47) in the script of its first letter
    (UAX #9, P2). "" where it is not known, and the text runs as what is around it.
    """
    letters = text[:_SEEN]
    own = direction(language or around)
    if letters.isascii() and own == "ltr":
        return language
    strong = [kind for c in letters if (kind := unicodedata.bidirectional(c)) in ("L", "R", "AL")]
    # An Arabic title may well begin with an English name, and has words of both.
    mine = sum((kind != "L") == (own == "rtl") for kind in strong)
    if not strong or (mine * 4 >= len(strong) and (language or mine * 2 >= len(strong))):
        return language
    return {"L": "und-Latn", "R": "und-Hebr", "AL": "und-Arab"}[strong[0]]


def fonts(families: str, language: str) -> str:
    """A list of font families (CSS) with those of the language's script in it."""
    own = _of(_SANS if "sans-serif" in families else _SERIF, language)
    first, comma, rest = families.partition(",")
    return f"{first}, {own}{comma}{rest}" if own and own not in families else families


def quotation_marks(language: str) -> tuple[str, str]:
    """Those that begin and end what is quoted; French ones stand apart from it by a thin space that does not break."""
    marks = _of(_QUOTES, language) or _QUOTES["en"]
    apart = "\u202f" if language.lower().partition("-")[0] == "fr" else ""
    return marks[0] + apart, apart + marks[1]


def _of(table: dict[str, str], language: str) -> str:
    tag = language.lower().replace("_", "-")
    if tag.startswith("zh") and {"tw", "hk", "mo", "hant"} & set(tag.split("-")):
        tag = "zh-hant"
    return table.get(tag) or table.get(tag.partition("-")[0], "")
