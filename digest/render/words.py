"""Words on a line: subjects, cuts, wrapping."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from digest import graphemes
from digest.graphemes import WIDE, clamp, unheaped
from digest.render.scripts import direction as direction

SUBJECT_LENGTH = 70
# A sentence's end as it can be seen here; `curate.excerpts` knows more of them.
_END = re.compile(r"(?<=\w{3})[.!?](?=\s+[^\W_a-z])|[。！？।]")
# LRM, RLM, ALM, embeddings, overrides and isolates: in a subject they can turn the words around them.
_BIDI = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_UNSEEN = re.compile("([\u200b-\u200d\u2060\ufeff])[\u200b-\u200d\u2060\ufeff]++")


def subject_line(text: str) -> str:
    """One clean line: no control or bidi characters, white space folded, at most 70 columns."""
    return plain_line(text, SUBJECT_LENGTH)


def plain_line(text: str, length: int) -> str:
    """A stranger's words on one line: no control or bidi characters, at most `length` columns of the others."""
    return shorten(unheaped(_one_line(text)), length)


def _one_line(text: str) -> str:
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text.translate(_BIDI))


def shorten(text: str, length: int) -> str:
    """At most `length` columns, cut at a word and within no character, with "…" where something is missing."""
    return clamp(text, length)


def bind(text: str) -> str:
    """No line with a short last word alone on it: the last two words stay together."""
    head, _, last = text.rpartition(" ")
    return f"{head}\xa0{last}" if " " in head and len(last) <= 8 else text


def wrap(text: str, width: int = 72, indent: str = "") -> str:
    """Lines of at most `width` columns for the text part; addresses are never broken, Chinese anywhere.

    A word that is longer than a line, and no address, goes on in the next.
    """
    room = width - len(indent)
    whole = " ".join(_UNSEEN.sub(r"\1", text).split())  # what nobody sees makes no line longer than mail may have
    if graphemes.width(whole) <= room:
        return indent + whole if whole else ""
    whole = " ".join(piece for word in whole.split(" ") for piece in _pieces(word, room))
    lines: list[str] = []
    line, taken = "", 0
    for word in whole.split(" "):
        length = graphemes.width(word)
        if taken + bool(line) + length <= room:
            line, taken = (f"{line} {word}", taken + 1 + length) if line else (word, length)
            continue
        if length <= room or not WIDE.search(word):
            if line:
                lines.append(line)
            line, taken = word, length
            continue
        line = f"{line} " if line else ""
        for character in word:
            # No line starts with a closing sign.
            full = graphemes.width(line + character) > room - 2
            if full and unicodedata.category(character) not in ("Pe", "Pf", "Po"):
                lines.append(line.rstrip())
                line = ""
            line += character
        taken = graphemes.width(line)
    if line:
        lines.append(line)
    return "\n".join(indent + line for line in lines)


def within(text: str, most: int) -> str:
    """The whole sentences of a text that fit into so many columns; "" where the first does not."""
    if graphemes.width(text) <= most:
        return text
    ends = (found.end() for found in _END.finditer(text) if graphemes.width(text[: found.end()]) <= most)
    return text[: max(ends, default=0)]


def _pieces(word: str, room: int) -> Iterator[str]:
    """A word as it fits into lines; marks stay with their letters."""
    while len(word) > room and "://" not in word and not WIDE.search(word):
        end = room
        while end > room // 2 and unicodedata.category(word[end]) in ("Mn", "Mc", "Me", "Cf"):
            end -= 1
        yield word[:end]
        word = word[end:]
    yield word


def tidy(text: str) -> str:
    """No trailing blanks but that of a signature's mark (RFC 3676 §4.3), at most two empty lines in a row."""
    lines = "\n".join(line if line == "-- " else line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{4,}", "\n\n\n", lines) + "\n"


def one_line(html: str) -> str:
    """Without the indentation of templates: bytes that no reader sees."""
    return re.sub(r"\n\s*", "\n", html).strip() + "\n"
