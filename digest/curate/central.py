"""Two sentences that say most of a text: those whose words the others share (centroid, Radev et al. 2004). Pure.

They are the text's own, whole and in its order. Where none stands by itself the first words are shown, as ever.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache, partial
from itertools import combinations
from pathlib import Path

from digest import config
from digest.curate import excerpts, stems
from digest.curate.headlines import STOP_STEMS
from digest.curate.headlines import stem as english
from digest.curate.names import common_words, little_words
from digest.curate.words import UNSPACED, words
from digest.dataclass import dataclass
from digest.graphemes import width
from digest.parse.gist import Gist, Line

LONGER = 2  # times an excerpt's length that two sentences may take
LEAST = 6  # sentences of a text; of fewer the first say as much
MOST = 80  # that are looked at
_SHORTEST = 25  # columns
_TRIED = 8  # of the best, of which two are taken
_ALIKE = 0.5  # share of words from which two sentences say the same
_FIRST = 1.15  # what it counts more to open the text
_LATER = 0.3  # what it counts less to end the text
_OPENINGS = Path(__file__).with_name("openings.toml")

_PAIRS = {"(": ")", "[": "]", "“": "”", "«": "»", "„": "“”", "「": "」", "『": "』", "（": "）", "{": "}"}
_WEB = re.compile(r"https?://|www\.|@\w+\.\w")
_LABEL = re.compile(r"\W{0,3}[\w'-]{1,30}[:：] |[\[#*•–—-]")  # "Note: …", "[1] …"
_SIGNS = re.compile(r"[!-&(-/:-@\[-`{-~،؛؟।“”„«»…–—]")
_UNSPACED = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True)
class Central:
    """The sentences, "" where the first words are to be shown; and why."""

    text: str
    why: str


@dataclass(frozen=True)
class _Sentence:
    at: int  # its number in the text, from 1
    text: str
    words: frozenset[str]


def wanted(
    entry: Gist, title: str, language: str, settings: config.Curate, known: Collection[str] = ()
) -> Central | None:
    """What `of` says, where the settings want it."""
    if settings.excerpts != "central":
        return None
    return of(entry, title=title, language=language, length=settings.excerpt_length, known=known)


def kept(chosen: Central) -> dict[str, dict[str, str]]:
    """What is kept of it among the reasons of a story."""
    return {"summary": {"how": "central" if chosen.text else "", "why": chosen.why}}


def of(entry: Gist, *, title: str, language: str, length: int, known: Collection[str] = ()) -> Central:
    """The sentences for an excerpt of `length` columns, of an entry in a language ("" is unknown).

    `known` are lines that its feed repeats. A publisher's own summary stands; so does a text that is short.
    """
    own, text = entry.summary, entry.content
    if own and text:
        said = excerpts.prose_of(Gist(own), title=title, known=known)
        begins = " ".join(line.said for line in text)[: len(said)]
        if said and not excerpts.cut_off(said) and said[:60] not in begins:
            return Central("", "the first words: its publisher wrote a summary")
    lines = max(text, own, key=lambda some: sum(len(line.kept) for line in some))
    everything = _sentences(lines, known, language)
    if len(everything) < LEAST:
        return Central("", f"the first words: {len(everything)} whole sentences are too few to choose of")
    fit = [one for one in everything if _alone(one.text, title, language, most=LONGER * length)]
    worth = _worth(everything, fit, title, language)
    best = _best(fit, worth, LONGER * length)
    if not best:
        return Central("", "the first words: no sentence of it stands by itself")
    total = sum(worth.values()) or 1
    shares = " and ".join(f"{worth[one.at] / total:.0%}" for one in best)
    numbers = " and ".join(str(one.at) for one in best)
    return Central(
        together([one.text for one in best]),
        f"sentence{'s' * (len(best) > 1)} {numbers} of {len(everything)}, whose words most of the others share "
        f"({shares} of the weight of the {len(fit)} that stand by themselves)",
    )


def _sentences(lines: Sequence[Line], known: Collection[str], language: str) -> list[_Sentence]:
    """The whole sentences of a text: none goes on in another paragraph, and what is not ended is none."""
    found: list[_Sentence] = []
    for line in lines:
        if not line.kept or line.said in known:
            continue
        for text in excerpts.sentences(line.kept):
            if text in known:
                continue
            found.append(_Sentence(len(found) + 1, text, _telling(text, language)))
            if len(found) == MOST:
                return found
    return found


def _telling(text: str, language: str) -> frozenset[str]:
    short = language.partition("-")[0].lower()
    stem = partial(stems.stem, language=short) if stems.has_stems(short) else english
    return frozenset(map(stem, words(text))) - _little()


@cache
def _little() -> frozenset[str]:
    return STOP_STEMS | common_words() | little_words()


def _alone(text: str, title: str, language: str, *, most: int) -> bool:
    """Whether a sentence can be read without those around it, and is one."""
    wide = width(text)
    if not _SHORTEST <= wide <= most or text.rstrip("\"'”’»)」』").endswith(("?", "？", "؟")):
        return False
    first = next((letter for letter in text if letter.isalnum()), "")
    if not first or first.islower() or _WEB.search(text) or not _closed(text):
        return False
    letters = sum(letter.isalpha() or letter.isspace() for letter in text)
    if " # " in text or ".." in text or "…" in text or _LABEL.match(text):
        return False
    if letters < 0.8 * len(text) or (text.isupper() and wide > _SHORTEST):
        return False
    return not goes_on(text, language) and not says_the_same(text, title, language)


def _closed(text: str) -> bool:
    """Whether every quotation and bracket that is opened is closed."""
    if text.count('"') % 2:
        return False
    for opening, closing in _PAIRS.items():
        if text.count(opening) > sum(map(text.count, closing)):
            return False
    return text.count(")") <= text.count("(") and text.count("”") <= text.count("“") + text.count("„")


def goes_on(text: str, language: str) -> bool:
    """Whether a sentence begins as one does that leans on what was said before."""
    start = text.lstrip("\"'“„«»‘([「『（").lower().replace("’", "'")
    if "\uac00" <= start[:1] <= "\ud7af":
        return f"{start} ".startswith(tuple(f"{word} " for word in _openings()["ko"]))
    if _UNSPACED.match(start):
        return start.startswith((*_openings()["zh"], *_openings()["ja"]))
    # A text's language is declared for a whole site, which may have some in English.
    openings = {*_openings()["en"], *_openings().get(language.partition("-")[0].lower(), ())}
    plain = " ".join(_SIGNS.sub(" ", start[:60]).split()) + " "
    return plain.startswith(tuple(f"{word} " for word in openings))


@cache
def _openings() -> dict[str, tuple[str, ...]]:
    found = tomllib.loads(_OPENINGS.read_text(encoding="utf-8"))
    return {language: tuple(said) for language, said in found.items()}


def says_the_same(text: str, title: str, language: str) -> bool:
    """Whether a sentence says little besides the title."""
    said, known = _telling(text, language), _telling(title, language)
    return len(said) > 0 and len(said - known) <= len(said) * 0.25


def _worth(all_: Sequence[_Sentence], fit: Sequence[_Sentence], title: str, language: str) -> dict[int, float]:
    """What each that is fit is worth: how many sentences share its words, those of the title twice."""
    shared = Counter(word for one in all_ for word in one.words)
    named = _telling(title, language)
    weight = {word: number * (2 if word in named else 1) for word, number in shared.items() if number > 1}
    found = {}
    for one in fit:
        mean = sum(weight.get(word, 0) for word in one.words) / (len(one.words) + 4)
        found[one.at] = mean * (_FIRST if one.at == 1 else 1 - _LATER * one.at / len(all_))
    return found


def _best(fit: Sequence[_Sentence], worth: dict[int, float], most: int) -> tuple[_Sentence, ...]:
    """The two that are worth most together and fit into so many columns, else the one."""
    tried = sorted((one for one in fit if worth[one.at] > 0), key=lambda one: (-worth[one.at], one.at))[:_TRIED]
    pairs = [
        pair
        for pair in combinations(sorted(tried, key=lambda one: one.at), 2)
        if width(pair[0].text) + 1 + width(pair[1].text) <= most and not _alike(*pair)
    ]
    if pairs:
        return max(pairs, key=lambda pair: (worth[pair[0].at] + worth[pair[1].at], -pair[0].at))
    return tuple(tried[:1])


def _alike(one: _Sentence, two: _Sentence) -> bool:
    least = min(len(one.words), len(two.words))
    return one.text == two.text or (least > 0 and len(one.words & two.words) > _ALIKE * least)


def together(texts: Sequence[str]) -> str:
    """Sentences after each other; a script without spaces puts none between them."""
    tight = _UNSPACED.match(texts[0]) and texts[0][-1:] in "。！？」』）" if texts else False
    return ("" if tight else " ").join(texts)
