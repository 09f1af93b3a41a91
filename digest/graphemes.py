"""Characters as people see them, of one code point or several: where they end, how wide they stand."""

from __future__ import annotations

import re
import unicodedata

# What is wide and written without blanks: Hangul, the CJK blocks, full-width forms, emoji.
WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f"
    "\uff01-\uff60\uffe0-\uffe6\U0001f300-\U0001f64f\U0001f900-\U0001f9ff\U00020000-\U0003fffd]"
)
_MARKS = ("Mn", "Me")
# Signs in a row that are no letters, blanks or ASCII: what is heaped upon a letter is among them.
_HEAP = re.compile(r"[^\w\s\x00-\x7f]{3,}+")
_ANY_SCRIPT = 2  # marks that belong to no script, as accents: Vietnamese and scholars write two on a letter
_SIGNS = 6  # code points for a column, at most: what takes none has its bound too
_OWN_SCRIPT = 4  # of scripts that write vowels, tones and cantillation as marks


def boundary(text: str, at: int) -> bool:
    """Whether a text can be parted before `at`: a plain reading of the grapheme rules (UAX #29)."""
    if at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if unicodedata.combining(after) or unicodedata.category(after) in ("Mn", "Me", "Mc", "Cf"):
        return False
    if before == "\u200d" or "\U0001f3fb" <= after <= "\U0001f3ff" or (before == "\r" and after == "\n"):
        return False
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        flags = 0
        while flags < at and "\U0001f1e6" <= text[at - 1 - flags] <= "\U0001f1ff":
            flags += 1
        if flags % 2:
            return False
    return not "\u1160" <= after <= "\u11ff"  # a Hangul vowel or end joins the letter before


def width(text: str) -> int:
    """Columns it takes where each letter has one: two for what is wide (UAX #11), none for marks and joiners.

    A text of hardly anything else takes some all the same: no line is to hold thousands of them.
    """
    # Most texts have no other signs than these.
    if text.isascii() or text.replace("…", ".").replace("’", "'").isascii():
        return len(text)
    return max(sum(map(_width, text, f" {text}")), len(text) // _SIGNS)


def _width(character: str, before: str) -> int:
    """Of a character after another: what is joined to that stands where that does."""
    if character.isascii():
        return 1
    if before == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
        return 0
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fitting(text: str, columns: int) -> int:
    """How many characters of `text`, from its beginning, fit into so many columns."""
    if len(text) * 2 <= columns or text.isascii():
        return min(len(text), columns)
    taken = 0
    most = min(len(text), columns * _SIGNS)
    for at in range(most):
        taken += _width(text[at], text[at - 1] if at else " ")
        if taken > columns:
            return at
    return most


def clamp(text: str, columns: int) -> str:
    """At most so many columns of a text, cut at a word, with "…" where something is missing.

    Where a language writes no blanks, or a word is very long, it is cut between two characters.
    """
    text = " ".join(text.split())
    most = min(len(text), columns * _SIGNS)
    if most == len(text) and width(text) <= columns:
        return text
    taken = end = 0
    while end < most and (taken := taken + _width(text[end], text[end - 1])) < columns:
        end += 1
    space = text.rfind(" ", 0, end + 1)
    if space > 0 and width(text[:space]) > columns // 2:
        end = space
    while end > 0 and not boundary(text, end):
        end -= 1
    return text[:end].rstrip(" .,:;–—-(|•·\u200d…") + "…"


def unheaped(text: str) -> str:
    """Without the marks that are heaped upon letters until they run over the lines above and below."""
    return text if text.isascii() else _HEAP.sub(_few, text)


def _few(heap: re.Match[str]) -> str:
    kept, general, own, before = [], 0, 0, ""
    for character in heap[0]:
        same, before = character == before, character
        if unicodedata.category(character) not in _MARKS:
            general = own = 0
        elif _of_no_script(character):
            general += 1
        else:
            own += 1
        if general <= _ANY_SCRIPT and own <= _OWN_SCRIPT and not (same and general + own):
            kept.append(character)
    return "".join(kept)


def _of_no_script(mark: str) -> bool:
    return unicodedata.name(mark, "").startswith("COMBINING")
