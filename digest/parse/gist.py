"""What curation needs of an entry's own text: made once, by the process that parses it, and stored with the entry.

A stranger wrote the text, and this is most of the work on it; what is left for admission are short lines.
"""

from __future__ import annotations

import json
import re
import tomllib
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from digest.parse import seen
from digest.parse.text import MAX_URL, unescape

HEAD = 6_000  # characters of markup in which an excerpt is looked for
_VERSION = 4  # of what is stored: another is made anew
_WORDS_A_MINUTE = 230
# Of curation's own lists, read as data.
_BOILERPLATE = Path(__file__).parents[1] / "curate" / "boilerplate.toml"

_SKIP = re.compile(
    r"<(pre|table|figure|figcaption|script|style|svg|math|form|iframe|noscript|template|h[1-6]|title|button)\b"
    r"[^<>]*>.*?(?:</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(
    r"</?(?:p|div|br|li|ul|ol|dl|dt|dd|h[1-6]|tr|td|th|blockquote|section|article|header|footer|aside|nav|hr|main|"
    r"center|details|summary|img|video|audio)\b[^<>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|</?[a-zA-Z][^<>]*>", re.DOTALL)
# What is left where a feed escapes its markup twice. A comment ends before the next begins: else many that are never
# closed would each be looked through.
_INNER_TAG = re.compile(
    r"<!--(?:(?!<!--|-->).){0,400}+-->|"
    r"</?(?:p|a|br|div|span|img|em|strong|b|i|u|ul|ol|li|code|blockquote|h[1-6])\b[^<>]*>",
    re.IGNORECASE,
)
# Markup that speaks as such, in a text that is escaped twice: a tag's end, or one with attributes.
_SPEAKING_TAG = re.compile(r"</[a-z][a-z0-9]{0,9}>|<[a-z][a-z0-9]{0,9}\s[^<>]{0,600}=|<br ?/?>|<p>", re.IGNORECASE)
_TABLE = re.compile(r"<table\b[^<>]*>(?:(?!<table\b).)*?</table\s*>", re.IGNORECASE | re.DOTALL)
_TABLES = 6  # in each other; more are none of a text
_LITERAL = re.compile(r"<(code|kbd|samp|tt)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_LESS, _MORE = "\x02", "\x03"  # which are in no clean text; what `_INVISIBLE` takes is taken after them
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\ufffc\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UNSPACED = re.compile("[\u3040-\u9fff\uac00-\ud7af]")
_ENTITY = re.compile(r"&(?:#?\w{1,31});")

_ARTICLE = re.compile(
    r"Article URL:\s*(?:<[^<>]*>\s*)*?(?:<a\s[^<>]*?href=[\"']([^\"'<>]+)|(https?://[^\s<>\"']+))",
    re.IGNORECASE,
)
# Atomic, so that a tag is tried once: another attribute may hold "href=" thousands of times.
_LINK = re.compile(r"<a\s(?>[^<>]*?href=[\"']([^\"'<>]+)[\"'])(?>[^<>]*>)\s*\[link\]", re.IGNORECASE)
_LEADING = (("url:", _ARTICLE), ("[l", _LINK))  # each with what is found many times as fast


class Line(NamedTuple):
    """A paragraph. `said` is as it stands, by which what a feed repeats is known; `kept` is what is left without
    boilerplate, "" where it is nothing else."""

    said: str
    kept: str


class Gist(NamedTuple):
    """What an entry says: the lines of its summary's and content's heads, minutes to read all of it, and where its
    text says that it leads (the links an aggregator writes into it)."""

    summary: tuple[Line, ...] = ()
    content: tuple[Line, ...] = ()
    minutes: int = 0
    links: tuple[str, ...] = ()
    meaning: str = ""  # see parse.meaning; only where the settings want it


def of(summary: str, content: str) -> Gist:
    """The gist of an entry's clean HTML."""
    heads = lines_of(summary), lines_of(content)
    whole, head = (content, heads[1]) if content else (summary, heads[0])
    # Most texts are no longer than their heads.
    told = _minutes(line.said for line in head) if len(whole) <= HEAD else minutes(whole)
    return Gist(*heads, told, links(summary or content))


def pack(gist: Gist) -> bytes:
    """A gist as it is stored: a fifth of its size."""
    told: dict[str, Any] = {
        "v": _VERSION,
        "summary": _short(gist.summary),
        "content": _short(gist.content),
        "minutes": gist.minutes,
        "links": gist.links,
    }
    if gist.meaning:
        told["meaning"] = gist.meaning
    return zlib.compress(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), 3)


def unpack(stored: bytes | None) -> Gist | None:
    """What was stored; None for nothing, or the work of another release."""
    told = json.loads(zlib.decompress(stored)) if stored else {}
    if told.get("v") != _VERSION:
        return None
    return Gist(
        _long(told["summary"]), _long(told["content"]), told["minutes"], tuple(told["links"]), told.get("meaning", "")
    )


def _short(lines: tuple[Line, ...]) -> list[Any]:
    return [line.said if line.kept == line.said else list(line) for line in lines]


def _long(stored: list[Any]) -> tuple[Line, ...]:
    return tuple(Line(one, one) if isinstance(one, str) else Line(*one) for one in stored)


# ---------------------------------------------------------------- lines


@cache
def boilerplate(where: str) -> tuple[re.Pattern[str], ...]:
    """The patterns of `boilerplate.toml` that are looked for at the "front", or as a whole "line", or "first" one."""
    return tuple(re.compile(kind["pattern"]) for kind in _kinds()[where])


@cache
def _line() -> re.Pattern[str]:
    """The patterns of whole lines as one."""
    said = (kind.pattern for kind in boilerplate("line"))
    # A flag at the beginning holds for all of a pattern, and here for one of many.
    return re.compile("|".join(f"(?i:{one[4:]})" if one.startswith("(?i)") else f"(?:{one})" for one in said))


@cache
def _inline() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    """The inline patterns with their hints: plain substrings are found many times as fast as patterns."""
    return tuple((tuple(kind["hints"]), re.compile(kind["pattern"])) for kind in _kinds()["inline"])


@cache
def _hints(plain: bool) -> tuple[str, ...]:
    """All of them, or those that a text in ASCII may have."""
    return tuple(dict.fromkeys(hint for hints, _ in _inline() for hint in hints if hint.isascii() or not plain))


@cache
def _kinds() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(_BOILERPLATE.read_text(encoding="utf-8"))


def lines(markup: str) -> list[str]:
    """The prose of clean HTML (or plain text), a paragraph a line, without headings, code blocks, tables and captions.

    What is shown is what a reader of the markup sees: powers and indices stay such, what is struck out is gone, and
    code that speaks of tags keeps them.
    """
    # In markup a line's end is a space; in plain text an empty line parts paragraphs.
    marked = _TAG.search(markup) is not None
    flat = " ".join(markup.split()) if marked else re.sub(r"(?<!\n)\n(?!\n)", " ", markup)
    if marked:
        flat = _SKIP.sub("\n", _unframed(flat) if "<table" in flat else flat)
        flat = _LITERAL.sub(_literal, seen.spoken(flat)) if "<" in flat else flat
    text = unescape(_TAG.sub("", _BLOCK.sub("\n", flat)))
    # Within markup a tag may be spoken of; a text that is all escaped was to be markup.
    if _INNER_TAG.search(text) and _SPEAKING_TAG.search(text):
        text = _INNER_TAG.sub("", _BLOCK.sub(" ", text))
    if not marked and _ENTITY.search(text):
        text = unescape(text)
    text = text.replace(_LESS, "<").replace(_MORE, ">")
    return [line for said in _INVISIBLE.sub("", text).split("\n") if (line := " ".join(said.split()))]


def _unframed(flat: str) -> str:
    """Without tables, the innermost first; one that only lays out a text, with a cell in each row, leaves the text."""
    for _ in range(_TABLES):
        before = flat
        flat = _TABLE.sub(lambda found: f"\n<div{found[0][6:-8]}" if _lays_out(found[0]) else "\n", flat)
        if flat == before:
            break
    return flat


def _lays_out(table: str) -> bool:
    return "<th" not in table.replace("<thead", "") and table.count("<td") <= table.count("<tr")


def _literal(found: re.Match[str]) -> str:
    """Code in a sentence: what it says of tags is no tag."""
    said = unescape(_TAG.sub("", found[0]))
    return said.replace("<", _LESS).replace(">", _MORE).replace("&", "&amp;")


def lines_of(markup: str) -> tuple[Line, ...]:
    """The lines of the head of a text, each with what is left of it."""
    if not markup:
        return ()
    found = lines(markup[:HEAD])
    # Most texts have none of the hints: they are looked for in the whole, and then by line.
    small = "\n".join(found).lower()
    likely = [one for one in _inline() if _has(small, one[0])] if _has(small, _hints(small.isascii())) else []
    told: list[Line] = []
    begun = False
    for line in found:
        kept = _kept(line, likely)
        if not begun and any(one.fullmatch(kept) for one in boilerplate("first")):
            kept = ""
        begun = begun or kept != ""
        told.append(Line(line, kept))
    return tuple(told)


def _has(small: str, hints: Iterable[str]) -> bool:
    return any(map(small.__contains__, hints))  # with no step in Python, for it is run for every text and hint


def _kept(said: str, likely: Sequence[tuple[tuple[str, ...], re.Pattern[str]]]) -> str:
    if _is_boilerplate(said):
        return ""
    line = said
    if likely:
        small = said.lower()
        for hints, pattern in likely:
            if _has(small, hints):
                line = pattern.sub(" ", line)
    if line == said:
        return said
    line = " ".join(line.split())
    return "" if _is_boilerplate(line) else line


def _is_boilerplate(line: str) -> bool:
    return _line().fullmatch(line) is not None


def minutes(markup: str) -> int:
    """Minutes to read the whole text at 230 words a minute; 0 where there is too little to tell."""
    return _minutes(lines(markup))


def _minutes(said: Iterable[str]) -> int:
    number = count(said)
    return 0 if number < 100 else max(1, round(number / _WORDS_A_MINUTE))


def count(said: Iterable[str]) -> int:
    """How many words these lines have. Two characters of a script without spaces are about a word."""
    text = " ".join(said)
    spaced = len(text.split())
    return spaced if text.isascii() else spaced + len(_UNSPACED.findall(text)) // 2


def links(markup: str) -> tuple[str, ...]:
    """Where an aggregator's text says that it leads: "Article URL: …" (Hacker News), a link named "[link]" (Reddit)."""
    small = markup.lower()
    found = [pattern.search(markup) for hint, pattern in _LEADING if hint in small]
    told = (unescape(next(filter(None, match.groups()))) for match in found if match)
    return tuple(link for link in told if len(link) <= MAX_URL)
