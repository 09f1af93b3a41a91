"""What is shown of an entry besides its title: a few words of prose, or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import urlsplit

from digest import graphemes
from digest.curate import unfit
from digest.parse import gist
from digest.parse.gist import Gist, Line

reading_minutes = gist.minutes

LEAST = 40  # columns of prose; fewer tell nothing. A sentence of twenty signs of Chinese is one
RESIDUE_ENTRIES = 20  # of a feed are looked through for what it repeats
RESIDUE_TIMES = 3  # a line in so many of them is the feed's, not the entry's
_TAIL = 60  # characters after the last sentence
TITLE = 80  # characters of prose that stand for a title
LONGEST_TITLE = 300  # columns; of eight thousand real ones the longest has 282. What is longer is a text, or mischief
_CUT_BY_LENGTH = 80  # characters of a text that a feed may have cut where it ended up
_LONGEST_WORD = 30  # characters
_ADDRESSES = 3  # in a beginning: a list of links, and no prose
_LEAST_TITLE = 8  # letters and digits, by which a title is known within a text
_ENOUGH = 2500  # characters of prose from which an excerpt is cut: no one is longer

_I = re.IGNORECASE
# Looked for where a run of spaces or dots begins, and not again within it: a text may be nothing else.
_TRUNCATED = re.compile(
    r"(?<!\s)\s*+(?:\[\s*+(?:…|\.{3})\s*+\]|\(\s*+(?:…|\.{3})\s*+\)|…|(?<!\.)\.{3,}+)"
    r"\s*+(?:(?:read more|more)\s*+)?(?:[»→]\s*+)?$",
    _I,
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:[A-Za-z]|e\.g|i\.e|vs|etc|cf|al|dr|mr|mrs|ms|st|no|inc|ltd|co|jr|sr|approx|fig|vol|pp|ed|u\.s|u\.k))\.$",
    _I,
)
_SENTENCE_END = re.compile(r"(?<![.!?。！？｡।॥؟۔])[.!?。！？｡।॥؟۔]+[\"'”’»)\]」』）]*(?=\s|$|(?<=[。！？｡」』）]))")
# What parts a title from what follows it, which may begin with a sign of its own: "-40", ".NET".
_AFTER_TITLE = re.compile(r"\A(?:[.:–—|…!?-]++(?=\s|$)|[:—|…!?\s]++)*+")
_NUMBERED = re.compile(r"\W{0,3}[0-9A-Za-z]{1,3}\.")
_ENTITY = re.compile(r"&(?:#?\w{1,31});")
_OPENERS = {"\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"} | dict.fromkeys(
    "\u202a\u202b\u202d\u202e", "\u202c"
)

_TRACKER = re.compile(
    r"(?:^|[./_-])(?:pixel|track(?:er|ing)?|beacon|count(?:er)?|stats?|spacer|blank|transparent|clear|1x1|b\.gif|"
    r"avatar|gravatar|emoji|smil(?:ey|ies)|share[-_]?(?:button|icon)|feedburner|feeds\.wordpress|doubleclick|"
    r"scorecardresearch|pheedo|mf\.gif|button|badge|icon|logo)(?:[./_?=-]|$)",
    _I,
)


def repeated_lines(texts: Iterable[Sequence[Line]]) -> frozenset[str]:
    """What stands in three or more of a feed's last entries, whatever it says: lines, sentences at the front, and what
    comes after the last one."""
    seen: Counter[str] = Counter()
    for text in texts:
        if not text:  # most entries have a summary or a content, and no other
            continue
        found = [line.said for line in text]
        whole = " ".join(found)
        seen.update({*found, *_sentences(whole[:300]), _tail(whole)} - {""})
    return frozenset(line for line, times in seen.items() if times >= RESIDUE_TIMES)


def _tail(text: str) -> str:
    """What comes after the last whole sentence, such as a site's name; "" for more than a few words."""
    ends = [end.end() for end in _SENTENCE_END.finditer(text, max(0, len(text) - 3 * _TAIL))]
    last = text[ends[-1] :].strip() if ends else ""
    return last if len(last) <= _TAIL else ""


def _sentences(text: str) -> list[str]:
    """The whole sentences of `text`, but for the shortest."""
    found = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [sentence for sentence in found if len(sentence) > 12]


def sentences(text: str) -> list[str]:
    """The whole sentences of a paragraph, as they stand in it; what comes after the last end is none."""
    found = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        said = text[start : end.end()].strip()
        # "e.g. the manual", "Fig. 3", "3. Then": no end; nor is one before a small letter.
        after = text[end.end() :].lstrip()[:1]
        if _ABBREVIATED.search(said) or _NUMBERED.fullmatch(said) or (after.islower() and text[end.end()] == " "):
            continue
        found.append(said)
        start = end.end()
    return found


def prose_of(entry: Gist, *, title: str, known: Collection[str] = ()) -> str:
    """What an entry says, without what its feed, its site or its tools add: summary first, else content.

    `known` are lines to leave out (`repeated_lines`). A summary too short to tell anything gets the text's first
    sentences after it. "" where there is no prose.
    """
    first = _prose(entry.summary, title, known)
    if graphemes.width(first) >= LEAST:
        return first
    body = _prose(entry.content, title, known)
    if first and body and not body.startswith(first[:20]) and first[-1] in ".!?。":
        body = f"{first} {body}"
    return body if graphemes.width(body) >= LEAST else ""


def _prose(lines: Sequence[Line], title: str, known: Collection[str]) -> str:
    kept = []
    length = 0
    for line in lines:
        if line.kept and line.said not in known:
            kept.append(line.kept)
            length += len(line.kept)
        if length > _ENOUGH:
            break
    text = _front(" ".join(kept), title, known)
    if (last := _tail(text)) and last in known:
        text = text.removesuffix(last).rstrip()
    shorter = _TRUNCATED.sub("", text) if "…" in text or "..." in text else text
    if shorter != text:
        text = _whole_words(shorter, text).rstrip(" ,;:-–—(“‘\"'")
        if text and not _SENTENCE_END.search(text[-3:]):
            text += "…"
    return text if _telling(text, title) else ""


def _whole_words(shorter: str, text: str) -> str:
    """A cut text without its last word, where its publisher's dots follow that at once: mostly it is half of one.

    A short text may well end so, and scripts without spaces have no words to go back to.
    """
    space = shorter.rfind(" ")
    within = shorter[-1:].isalnum() and text[len(shorter)] in ".…"
    if not within or len(shorter) < _CUT_BY_LENGTH or len(shorter) - space > _LONGEST_WORD:
        return shorter
    return shorter[:space]


def titled(title: str, prose: str, length: int) -> tuple[str, str]:
    """The title and excerpt to show. What has no title, as notes on a microblog have none, or a number for one, is
    called by its first words, and its excerpt goes on where they end. A title that is a whole text is cut."""
    if title and not (prose and unfit.NAMELESS.search(title.strip())):
        title, excerpt = cut(title, LONGEST_TITLE) if 2 * len(title) > LONGEST_TITLE else title, cut(prose, length)
        return title, "" if excerpt == title else excerpt
    title = cut(prose, TITLE)
    said = title.removesuffix("…")
    rest = prose[len(said) :].strip() if prose.startswith(said) else ""
    if len(rest) < LEAST:
        return title, ""
    return title, cut(f"…{rest}" if title != said else rest, length)


def cut_off(text: str) -> bool:
    """Whether a text ends with dots in place of the rest of it."""
    return _TRUNCATED.search(text[-200:]) is not None


def _front(text: str, title: str, known: Collection[str]) -> str:
    """Without the title and whatever else stands before the first thing said."""
    while True:
        before = text
        for pattern in gist.boilerplate("front"):
            if found := pattern.match(text):
                text = text[found.end() :]
        if end := _SENTENCE_END.search(text[:300]):
            first = text[: end.end()]
            if first in known:
                text = text[end.end() :].lstrip()
        if len(title) > 8 and text[: len(title)].casefold() == title.casefold():
            rest = text[len(title) :]
            # A title that is the beginning of a sentence is no repetition.
            if not rest or not rest[0].isalnum():
                following = _AFTER_TITLE.sub("", rest, count=1)
                if not following or not following[0].islower():
                    text = following
        if text == before:
            return text.strip()


def _telling(text: str, title: str) -> bool:
    """Whether a text is words, and more than the title, or a part of it, again."""
    start = text[:400]
    letters = sum(map(str.isalpha, start))
    return letters * 2 > len(start) and start.count("://") < _ADDRESSES and not _again(text, title)


def _again(text: str, title: str) -> bool:
    """Whether a text says hardly more than its title, wherever that stands in it; signs and capitals aside."""
    if len(text) > 2 * len(title) + 4 * LEAST:  # most texts: they say more, whatever it is
        return False
    said, known = _signs(text), _signs(title)
    if not known:
        return False
    if said in known:
        return True
    left = said.replace(known, "") if len(known) > _LEAST_TITLE else said
    return left != said and graphemes.width("".join(filter(str.isalpha, left))) < LEAST - 10


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def cut(text: str, length: int) -> str:
    """At most `length` columns, in which a sign of Chinese is two, ended at a sentence, else at a word with "…".

    Never inside a character of several code points, an entity or a bidi pair: what is opened is closed.
    """
    length = graphemes.fitting(text, length)
    if len(text) <= length:
        return _closed(text, length) if _open(text) else text
    best = 0
    for found in _SENTENCE_END.finditer(text, 0, length + 1):
        if found.end() <= length and not _ABBREVIATED.search(text[: found.end()]):
            best = found.end()
    if best >= length * 0.6:
        return _closed(text[:best], length)
    return _closed(_words(text, length - 1), length, "…")


def _words(text: str, length: int) -> str:
    """The words of `text` that fit into `length`; where one word is too long, its characters."""
    space = text.rfind(" ", 0, length + 1)
    end = space if space > length // 2 else length
    while end > 0 and not _boundary(text, end):
        end -= 1
    return text[:end].rstrip(" ,:-–—(.…")


def _closed(text: str, length: int, tail: str = "") -> str:
    """`text` with its bidi pairs closed and `tail`, made shorter where that is too long."""
    while text:
        whole = text + tail + "".join(reversed(_open(text)))
        if len(whole) <= length:
            return whole
        tail = "…"
        text = _words(text, len(text) - 1)
    return ""


def _open(text: str) -> list[str]:
    """The closing marks that `text` still owes (UAX #9, X1 to X7)."""
    owed: list[str] = []
    for c in text:
        if c in _OPENERS:
            owed.append(_OPENERS[c])
        elif owed and c == owed[-1]:
            owed.pop()
    return owed


def _boundary(text: str, at: int) -> bool:
    """Whether a text can be parted before `at`: within no character and no entity."""
    if at >= len(text):
        return True
    around = _ENTITY.finditer(text, max(0, at - 33), at + 33)
    return graphemes.boundary(text, at) and not any(found.start() < at < found.end() for found in around)


def image(url: str, *, repeated: Collection[str] = ()) -> str:
    """`url` where it is a picture of the entry itself, else "": https, no tracker, not what the feed repeats."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme != "https" or not parts.hostname or url in repeated:
        return ""
    if _TRACKER.search(f"{parts.hostname}{parts.path}"):
        return ""
    return url


def repeated_images(urls: Sequence[str]) -> frozenset[str]:
    """Pictures that a feed gives to three or more of its last entries: its logo."""
    return frozenset(url for url, times in Counter(filter(None, urls)).items() if times >= RESIDUE_TIMES)
