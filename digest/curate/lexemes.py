"""Words by which a text is found again: without case, accents and signs, the same for a text and for a question.

Scripts without spaces give two characters at a time (see `words`), of a text also its last one alone: who asks by one
character finds it wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata

from digest.curate.words import LETTER, UNSPACED

_WORD = re.compile(rf"[^\W_]{LETTER}*")
_RUN = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")
_MOST = 2_000  # characters of a text; an excerpt has a few hundred
_MOST_ASKED = 200
_LONGEST = 64  # characters of a word


def of_text(text: str) -> list[str]:
    """The words of a text, each once, sorted."""
    found = set[str]()
    for run in _runs(text[:_MOST]):
        found.update([run] if not _unspaced(run) else [run[i : i + 2] for i in range(len(run))])
    return sorted(found)


def of_question(text: str) -> list[str]:
    """The words of a question, each once, in their order: what is found has all of them."""
    found = dict[str, None]()
    for run in _runs(text[:_MOST_ASKED]):
        found.update(
            dict.fromkeys([run] if not _unspaced(run) else [run[i : i + 2] for i in range(max(1, len(run) - 1))])
        )
    return list(found)


def _runs(text: str) -> list[str]:
    """What is written in one script, in the order of the text."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in parts if not unicodedata.combining(sign))
    found = (run for word in _WORD.findall(unicodedata.normalize("NFC", plain)) for run in _RUN.findall(word))
    return [run if _unspaced(run) else run[:_LONGEST] for run in found]


def _unspaced(run: str) -> bool:
    return re.match(f"[{UNSPACED}]", run) is not None
