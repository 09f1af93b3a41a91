"""How wide words stand: a sign of Chinese is two columns, a letter is one."""

from __future__ import annotations

import re

# What takes two columns of a terminal: Hangul, the CJK blocks, full-width forms, emoji (UAX #11).
WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f"
    "\uff01-\uff60\uffe0-\uffe6\U0001f300-\U0001f64f\U0001f900-\U0001f9ff\U00020000-\U0003fffd]"
)


def columns(text: str) -> int:
    """How wide it stands in a terminal: two columns for what is wide (UAX #11), as Chinese is."""
    return len(text) if text.isascii() else len(text) + len(WIDE.findall(text))


def fitting(text: str, width: int) -> int:
    """How many characters of `text`, from its beginning, fit into so many columns."""
    if len(text) * 2 <= width or text.isascii() or not WIDE.search(text, 0, width):
        return min(len(text), width)
    taken = 0
    for at, c in enumerate(text):
        taken += 2 if WIDE.match(c) else 1
        if taken > width:
            return at
    return len(text)
