"""Texts that were garbled before they came: UTF-8 that somebody took for something else ("donâ€™t"), mended by ftfy."""

from __future__ import annotations

import re
from collections.abc import Callable

from digest.dataclass import dataclass
from digest.parse import text as cleaning

LONGEST = 50_000  # characters of a text that is looked through
# What UTF-8's first bytes look like in the encodings it is taken for, before something that looks like a second one.
_SUSPECT = re.compile(
    "[\xc2-\xdf\xe0-\xef\xf0ĂÄĹÐÑâГРСв][\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122\u0102-\u017f\u0402-\u045f]"
)
_SPACES = re.compile("([ÃÂ])&nbsp;")  # half a letter


@dataclass
class Repairs:
    """What was mended in one document."""

    count: int = 0
    example: str = ""

    def of(self, text: str) -> str:
        """A text as it was meant, where that is certain: what looks wrong reads right when it is decoded once more.

        It is as it came, not cleaned yet: cleaning takes away letters' halves, and what comes to light must be cleaned.
        """
        if text.isascii():
            return text
        head = text[:LONGEST]
        if "&nbsp;" in head:
            head = _SPACES.sub("\\1\xa0", head)
        garbled = _SUSPECT.search(head)
        if garbled is None:
            return text
        # Not at what else ends a line: U+0085 and U+2028 are made of, and make, letters that are mended.
        mended = "\n".join(map(_mended, head.split("\n")))
        if mended == head:
            return text
        self.count += 1
        self.example = self.example or cleaning.tidy(text[max(0, garbled.start() - 15) : garbled.start() + 15])
        return mended + text[LONGEST:]

    def shown(self, came: str, clean: str, cleaned: Callable[[str], str]) -> str:
        """What readers see of a text: the `clean` one, or where it came garbled, the mended one `cleaned`."""
        mended = self.of(came)
        return clean if mended == came else cleaned(mended)

    def trouble(self) -> list[str]:
        """In words, what an operator should know."""
        if not self.count:
            return []
        return [f'was garbled before it came: {self.count} texts are mended ("{self.example}")']


def _mended(line: str) -> str:
    if not _SUSPECT.search(line):
        return line
    from ftfy import TextFixerConfig, fix_encoding_and_explain
    from ftfy.badness import is_bad

    if not is_bad(line):
        return line
    # No guess where a byte is lost: that would not be certain.
    config = TextFixerConfig(restore_byte_a0=False, replace_lossy_sequences=False, unescape_html=False)
    mended = fix_encoding_and_explain(line, config).text
    return line if is_bad(mended) or mended.count("\ufffd") > line.count("\ufffd") else mended
