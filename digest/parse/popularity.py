"""How many votes or comments an entry has, as far as its feed says so."""

from __future__ import annotations

import re

MOST = 10_000_000  # of which more is not believed

# As feeds made of Hacker News write it: a paragraph, or a line, of its own.
_LINE = r"(?:<p>|<br ?/?>|\A|\n)[ \t]{0,9}%s[ \t]{0,9}:[ \t]{0,9}([0-9]{1,9})[ \t]{0,9}(?:</p>|(?=<br ?/?>|\n|\Z|<p>))"
_POINTS = re.compile(_LINE % r"(?:Points|Score|Votes|Upvotes)", re.I)
_COMMENTS = re.compile(_LINE % r"(?:# ?)?Comments", re.I)


def number(value: object) -> int | None:
    """A count as a feed gave it (`slash:comments`, `thr:total`), None for what is none."""
    said = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    return min(int(said), MOST) if re.fullmatch(r"[0-9]{1,15}", said, re.A) else None


def taken_out(summary: str, content: str) -> tuple[str, str, int | None]:
    """Both texts without what they say of votes and comments, and how many there are: votes before comments.

    They change by the minute: an entry is not another one, nor edited, because of them.
    """
    if ":" not in summary and ":" not in content:
        return summary, content, None
    found: list[int | None] = []
    for pattern in (_POINTS, _COMMENTS):
        match = pattern.search(summary) or pattern.search(content)
        found.append(number(match[1]) if match else None)
        if match:
            summary, content = pattern.sub("", summary, count=1), pattern.sub("", content, count=1)
    return summary, content, found[1] if found[0] is None else found[0]
