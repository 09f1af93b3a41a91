"""How many votes or comments an entry has, as far as its feed says so."""

from __future__ import annotations

import re
from collections import deque

MOST = 10_000_000  # of which more is not believed
_TAIL = 2_000  # characters at the end of a text that are looked at

# As feeds made of Hacker News end: votes and comments, each a paragraph or a line of its own, and nothing after them.
_LINE = r"(?:<p>|<br ?/?>|\A|\n)[ \t]{0,9}%s[ \t]{0,9}:[ \t]{0,9}([0-9]{1,9})[ \t]{0,9}(?:</p>|(?=<br ?/?>|\n|\Z|<p>))"
_POINTS = re.compile(_LINE % r"[Pp]oints")
_COMMENTS = re.compile(_LINE % r"# ?[Cc]omments")
_NOTHING = re.compile(r"(?:\s|</?(?:p|br|hr|div|span)[^<>]{0,100}>){0,50}+")


def number(value: object) -> int | None:
    """A count as a feed gave it (`slash:comments`, `thr:total`), None for what is none."""
    said = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    return min(int(said), MOST) if re.fullmatch(r"[0-9]{1,15}", said, re.A) else None


def taken_out(summary: str, content: str) -> tuple[str, str, int | None]:
    """Both texts without what they end in of votes and comments, and how many there are: votes before comments.

    They change by the minute: an entry is not another one, nor edited, because of them.
    """
    if not (_may(summary) or _may(content)):
        return summary, content, None  # as nearly all
    texts, votes, comments = [], None, None
    for words in (summary, content):
        words, said = _ending(words, _COMMENTS)
        comments = said if comments is None else comments
        words, said = _ending(words, _POINTS)
        votes = said if votes is None else votes
        texts.append(words)
    return texts[0], texts[1], comments if votes is None else votes


def _may(words: str) -> bool:
    start = max(0, len(words) - _TAIL)
    return words.find("oints", start) >= 0 or words.find("omments", start) >= 0


def _ending(words: str, pattern: re.Pattern[str]) -> tuple[str, int | None]:
    start = max(0, len(words) - _TAIL)
    match = deque(pattern.finditer(words, start), maxlen=1).pop() if pattern.search(words, start) else None
    if match is None or not _NOTHING.fullmatch(words, match.end()):
        return words, None
    return words[: match.start()] + words[match.end() :], number(match[1])
