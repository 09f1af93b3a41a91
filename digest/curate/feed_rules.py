"""A feed's own rules: which of its entries are kept and which dropped, in the patterns of the newsletters' rules.

A rule is `FIELD=PATTERN`, with ` & ` between several that must all fit: `title=sponsored*`, `author=bot & url=/deals/`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from digest.curate.rules import Subject, fits
from digest.errors import BadInput

FIELDS = ("title", "url", "author", "category")
MOST = 50  # rules of a kind
LONGEST = 300  # characters of a rule
_AND = re.compile(r" & (?=\w{1,20}=)")


class Part(NamedTuple):
    field: str
    pattern: str


def parts(rule: str) -> tuple[Part, ...]:
    """What a rule asks for. Raises BadInput, with the rule named and what would mend it."""

    def wrong(why: str) -> BadInput:
        return BadInput(
            f"the rule {rule[:100]!r} {why}", hint="e.g. 'title=sponsored' or 'author=bot & url=/deals/'; * is anything"
        )

    if len(rule) > LONGEST or not rule.isprintable():
        raise wrong(f"is no line of at most {LONGEST} characters")
    found = []
    for piece in _AND.split(rule):
        name, equals, pattern = piece.partition("=")
        name, pattern = name.strip().lower(), pattern.strip()
        if not equals:
            raise wrong("has no '=' between a field and a pattern")
        if name not in FIELDS:
            raise wrong(f"asks for {name[:40]!r}, which is none of {', '.join(FIELDS)}")
        if not any(letter.isalnum() for letter in pattern):
            raise wrong(f"has no letter or digit in its pattern for {name}, so that it would fit all or nothing")
        found.append(Part(name, pattern))
    return tuple(found)


def checked(rules: Sequence[str]) -> list[str]:
    """These rules as they are kept, each once. Raises BadInput for the first that is none."""
    told = list(dict.fromkeys(" & ".join(f"{field}={pattern}" for field, pattern in parts(rule)) for rule in rules))
    if len(told) > MOST:
        raise BadInput(f"{len(told)} rules are too many for one feed", hint=f"at most {MOST}; a * stands for anything")
    return told


def dropped(keep: Sequence[str], drop: Sequence[str], subject: Subject) -> str:
    """Why an entry is not taken, in words, or "": a rule to drop fits it, or there are rules to keep and none does."""
    for rule in drop:
        if _fits(rule, subject):
            return f"dropped by the feed's rule --drop {rule!r}"
    if keep and not any(_fits(rule, subject) for rule in keep):
        return f"dropped by the feed's rules: none of --keep {', '.join(map(repr, keep))} fits it"
    return ""


def _fits(rule: str, subject: Subject) -> bool:
    texts = {
        "title": (subject.title,),
        "url": (subject.url,),
        "author": (subject.author,),
        "category": subject.categories,
    }
    try:
        return all(fits(pattern, *texts[field]) for field, pattern in parts(rule))
    except BadInput:  # of another release, whose rules we do not know
        return False


def as_search(rule: str) -> str:
    """A rule as FreshRSS' search says it (`intitle:"two words" author:name`), "" where it cannot: it has no stars."""
    names = {"title": "intitle", "url": "inurl", "author": "author", "category": "#"}
    said = []
    for field, pattern in parts(rule):
        if "*" in pattern or '"' in pattern or (field == "category" and " " in pattern):
            return ""
        words = f'"{pattern}"' if " " in pattern else pattern
        said.append(f"#{words}" if field == "category" else f"{names[field]}:{words}")
    return " ".join(said)
