"""What a person seems to ask for in a mail of their own. It is shown to the operator, and never done by guess. Pure."""

from __future__ import annotations

import unicodedata

from digest.hear.report import Report
from digest.hear.words import bare, listed_bare

_LINES = 12  # of the beginning; below are signatures and what was quoted


def wants_to_leave(report: Report) -> bool:
    """Does a person seem to want no more letters, in one of the languages that letters are written in?"""
    own: list[str] = []
    for line in report.text.split("\n"):
        if line.startswith((">", "-- ", "-----")) or len(own) >= _LINES:
            break
        if line.strip():
            own.append(_plain(line))
    subject = _plain(report.subject)
    if any(_alone(line) for line in (*own[:3], subject)):
        return True
    said = " ".join([*own, subject])
    return any(phrase in said for phrase in listed_bare("wishes", "phrases"))


def _plain(line: str) -> str:
    return bare(line.strip().replace("\u2019", "'"))


def _alone(line: str) -> bool:
    """Does a line say that and no more: words of the list, or one of its pieces as a whole, and courtesies?"""
    words = _words(line[:80])
    courtesies, alone = listed_bare("wishes", "courtesies"), listed_bare("wishes", "alone")
    rest = [word for word in words if word not in courtesies]
    if not 0 < len(words) <= 4:
        return False
    return " ".join(words) in alone or (bool(rest) and (" ".join(rest) in alone or alone.issuperset(rest)))


def _words(line: str) -> list[str]:
    """Runs of letters and the marks that go with them (of Hindi, whose vowels are marks), and ' inside."""
    parts = "".join(c if c == "'" or unicodedata.category(c)[0] in "LM" else " " for c in line).split()
    return [word for part in parts if (word := part.strip("'"))]
