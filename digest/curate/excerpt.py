"""What is shown of an entry besides its title: a few words of prose, or nothing."""

from __future__ import annotations

import html
import re
import unicodedata

LEAST = 40  # characters of prose; fewer tell nothing
_WORDS_A_MINUTE = 230
_SKIP = re.compile(
    r"<(pre|table|figure|figcaption|script|style|svg|math|form|iframe|noscript|template)\b.*?(?:</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(
    r"</?(?:p|div|br|li|ul|ol|dl|dt|dd|h[1-6]|tr|td|th|blockquote|section|article|header|footer|aside|nav|hr|main|"
    r"center|details|summary|img|video|audio)\b[^<>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|</?[a-zA-Z][^<>]*>", re.DOTALL)
_HEADING = re.compile(r"<h[1-6]\b[^<>]*>.*?</h[1-6]\s*>", re.IGNORECASE | re.DOTALL)


def lines(markup: str) -> list[str]:
    """The prose of clean HTML (or plain text), a paragraph a line, without code, tables and captions."""
    text = _SKIP.sub("\n", markup)
    text = _TAG.sub("", _BLOCK.sub("\n", text))
    text = html.unescape(text)
    found = (re.sub(r"\s+", " ", _visible(line)).strip() for line in text.split("\n"))
    return [line for line in found if line]


def _visible(text: str) -> str:
    """Without control characters; zero-width space, word joiner and soft hyphen have no place in a mail either."""
    return "".join(
        c for c in text if c.isspace() or (c not in "\u00ad\u200b\u2060\ufeff" and unicodedata.category(c) != "Cc")
    )


def reading_minutes(markup: str) -> int:
    """Minutes to read the whole text at 230 words a minute; 0 where there is too little to tell."""
    count = sum(len(line.split()) for line in lines(markup))
    return 0 if count < 100 else max(1, round(count / _WORDS_A_MINUTE))


def excerpt(summary: str, content: str, *, title: str, length: int) -> str:
    """About `length` characters of plain text at most, "" rather than something that says nothing."""
    for markup in (summary, content):
        prose = " ".join(line for line in lines(markup) if line != title)
        if len(prose) >= LEAST:
            return cut(prose, length)
    return ""


def cut(text: str, length: int) -> str:
    """At most `length` characters, ended at a sentence or a word, with "…" where something is left out."""
    if len(text) <= length:
        return text
    space = text.rfind(" ", 0, length)
    return text[: space if space > 0 else length - 1].rstrip(" ,;:-–—") + "…"
