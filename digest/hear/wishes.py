"""What a person seems to ask for in a mail of their own. It is shown to the operator, and never done by guess. Pure."""

from __future__ import annotations

import re

from digest.hear.report import Report
from digest.hear.words import listed, says

_LINES = 12  # of the beginning; below are signatures and what was quoted
_WORDS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?", re.UNICODE)


def wants_to_leave(report: Report) -> bool:
    """Does a person seem to want no more letters, in one of the languages that letters are written in?"""
    own: list[str] = []
    for line in report.text.split("\n"):
        if line.startswith((">", "-- ", "-----")) or len(own) >= _LINES:
            break
        if line.strip():
            own.append(line.strip().lower())
    subject = report.subject.strip().lower()
    if any(_alone(line) for line in (*own[:3], subject)):
        return True
    said = " ".join([*own, subject]).replace("\u2019", "'")
    return says(said, "wishes", "phrases")


def _alone(line: str) -> bool:
    words = _WORDS.findall(line[:80].replace("\u2019", "'"))
    courtesies = set(listed("wishes", "courtesies"))
    rest = set(words) - courtesies
    return 0 < len(words) <= 4 and bool(rest) and rest <= set(listed("wishes", "alone"))
