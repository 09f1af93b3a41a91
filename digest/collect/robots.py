"""What robots.txt lets us read (RFC 9309). Pure.

Ours, and not a library: `urllib.robotparser` takes the first rule where the longest counts and knows no `*` and `$`;
others make regular expressions of a stranger's patterns, and some dozen stars keep one of those busy for years.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes, urlsplit

AGENT = "digest"  # our product token, whatever User-Agent a feed is asked with
READ = 500 * 1024  # bytes that are read (RFC 9309 §2.5)
MOST = 2000  # rules of a group
EVERYTHING, NOTHING = "", "disallow /"
_TOKEN = re.compile(r"[a-z_-]+", re.I)


def group(body: bytes, *, agent: str = AGENT) -> str:
    """The rules for an agent, a line each (`allow PATTERN`, `disallow PATTERN`): its own groups', else those for *."""
    ours: list[str] = []
    of_all: list[str] = []
    named = False
    names: set[str] = set()
    beginning = True  # of a group: a line of agents after one of rules begins the next
    for field, value in _fields(body[:READ]):
        if field == "user-agent":
            names = names if beginning else set()
            beginning = True
            token = _TOKEN.match(value)
            names.add("*" if value.startswith("*") else token[0].lower() if token else "")
            named = named or agent in names
        elif field in ("allow", "disallow"):
            beginning = False
            if value and agent in names and len(ours) < MOST:
                ours.append(f"{field} {_normal(value)}")
            elif value and "*" in names and len(of_all) < MOST:
                of_all.append(f"{field} {_normal(value)}")
    return "\n".join(ours if named else of_all)


def allows(rules: str, url: str) -> bool:
    """Whether these rules let an address be read: the longest pattern that fits decides, `allow` before `disallow`."""
    parts = urlsplit(url)
    path = _normal((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    if path == "/robots.txt":
        return True
    best, allowed = -1, True
    for line in rules.splitlines():
        word, _, pattern = line.partition(" ")
        if len(pattern) >= best and _fits(pattern, path):
            allowed = word == "allow" or (allowed and len(pattern) == best)
            best = len(pattern)
    return allowed


def _fields(body: bytes) -> Iterator[tuple[str, str]]:
    for line in re.split(r"[\r\n]+", body.decode("utf-8-sig", "replace")):
        field, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield field.strip().lower(), value.strip()[:2000]


def _normal(path: str) -> str:
    """A path or pattern in one spelling (RFC 9309 §2.2.2): what need not be escaped is not."""
    kept = re.split(r"(%2[aAfF4])", path)  # an escaped `*`, `$` or `/` is not the sign itself
    return "".join(
        piece.upper() if at % 2 else quote(unquote_to_bytes(piece), safe="/*$?=&;:@+,!~'()-._|")
        for at, piece in enumerate(kept)
    )


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins as the pattern says: `*` is anything, `$` at its end is the end."""
    whole = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not rest:
        return not whole or at == len(path)
    last = rest.pop() if whole else ""
    for piece in rest:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not whole or (path.endswith(last) and len(path) - len(last) >= at)
