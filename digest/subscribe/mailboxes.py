"""A cell that holds an address, as lists have them: with a name, as a link, in quotes, struck out, beside a note."""

from __future__ import annotations

import re

from digest.errors import BadInput
from digest.subscribe.address import AROUND, MAX_NAME, address
from digest.subscribe.titles import ACTIVE, ASKED, NO, PAUSED, PENDING, WORDS, kind, smells, word


def mailbox(cell: str) -> tuple[str, str]:
    """The address, and the name that stands with it: `Name <address>`, `address (Name)`, `address Name`."""
    if not (cell[:1].isalnum() and cell[-1:].isalnum()) or ":" in cell or "=" in cell:
        cell = _without_stop(cell)
    if " " not in cell and "<" not in cell:  # most of them
        if cell[:1] in _STRUCK and cell.lower().startswith(_STRUCK_OUT):
            raise BadInput(f"{cell[:40]!r} is no address that we are sure of: is it a comment, or struck out?")
        return address(cell if cell.count("@") < 2 else _said_twice(cell)), ""
    if cell.endswith(")") and "<" not in cell:  # as mail programs of old have names: ada@example.org (Ada)
        plain, _, comment = cell[:-1].partition(" (")
        if "@" in comment and "@" not in plain:  # as mailing lists show theirs: Ada (ada@example.org)
            plain, comment = comment, plain
        if kind(comment) in (ASKED, "left_at", "blocked") or WORDS.get(word(comment), ACTIVE) != ACTIVE:
            raise _note(comment)
        if smells(comment):
            raise _note(comment)
        return address(plain), comment.strip()
    name, opened, rest = cell.partition("<")
    inside, closed, after = rest.partition(">")
    if not (opened and closed) or after.strip() or ">" in name or "<" in inside:
        return _beside(_said_twice(cell) if cell.count("@") > 1 else cell)
    name = name.strip().strip('"')
    name_only(name)
    return address(_said_twice(_without_stop(inside)) if inside.count("@") > 1 else _without_stop(inside)), name


# At the beginning of what somebody took out of a list, or of what is no list of addresses.
_STRUCK_OUT = ("#", "//", "~~", "-", ";", "email=", "mail=", "e-mail=")
_STRUCK = "#/~-;emEM"
_BETWEEN = re.compile(r"[\s\"'<>()\[\]|,;:?=]+")
_MARKUP = frozenset(("mailto", "a", "href", "hyperlink", ""))


def _said_twice(cell: str) -> str:
    """The address of a link that shows it again, as of a page or a formula; else the cell."""
    parts = _BETWEEN.split(cell[: MAX_NAME * 3])
    found = [part for part in parts if "@" in part]
    rest = {part.lower().strip("/") for part in parts if "@" not in part}
    return found[0] if len({one.casefold() for one in found}) == 1 and rest <= _MARKUP else cell


def _beside(cell: str) -> tuple[str, str]:
    """An address and a name in one cell and nothing between them, as in Sympa's lists; BadInput for other words."""
    words = cell.split()
    at = [index for index, one in enumerate(words) if "@" in one]
    if len(words) < 2 or at not in ([0], [len(words) - 1]):
        return address(cell), ""
    found = address(_without_stop(words.pop(at[0])))
    name = " ".join(words)
    name_only(name)
    if kind(name) == ASKED:
        raise _note(name)
    sure = len(words) <= 5 and all(one in _PARTICLES or not one[0].islower() for one in words)
    if not sure or not all(c.isalpha() or c in "'’.,-\" " for c in name) or not name.strip("\"',.- "):
        raise BadInput(f"{name[:40]!r} stands beside the address, and is no name that we are sure of")
    return found, name.strip('" ,')


_PARTICLES = frozenset(
    ("de", "del", "della", "der", "den", "di", "da", "do", "dos", "das", "du", "la", "le", "van", "von", "zu", "zur",
     "zum", "ten", "ter", "bin", "al", "el", "y", "e", "und", "and")
)  # fmt: skip


def name_only(text: str) -> None:
    """BadInput for what stands where a name may stand, and says that they get no letters.

    By whole words: who is called Sperry, Quaranta or Studs has a root of such a word in the name, and reads letters.
    """
    parts = [WORDS.get(word(one)) for one in text.split() if word(one) not in NO]
    gone = any(part not in (None, ACTIVE, PENDING, PAUSED) for part in parts)
    if gone or WORDS.get(word(text), ACTIVE) != ACTIVE or (text.islower() and smells(text)):
        raise _note(text)


def _note(text: str) -> BadInput:
    shown = text.strip()[:40]
    return BadInput(f"{shown!r} stands behind the address: put what it says into a column of its own")


def decoded(name: str) -> str:
    """A name as headers of mails have it (RFC 2047), as Mailman lists them, in plain letters."""
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(name[: MAX_NAME * 3])))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return name


_LABEL = re.compile(r"(?:to|cc|bcc|an): ?", re.IGNORECASE)


def _without_stop(cell: str) -> str:
    """Without what stands behind an address where it ended a sentence or a list, or before one that was a link."""
    found = cell.strip(AROUND)
    if found[:7].lower() == "mailto:":
        cell = found = found[7:].partition("?")[0]
    if len(found) > 2 and found[0] + found[-1] in ('""', "()", "[]", "“”", "«»"):
        cell = found = found[1:-1].strip()
    if (labelled := _LABEL.match(found)) is not None:
        cell = found = found[labelled.end() :]
    if len(found) > 2 and found[0] in "'‘":  # as Outlook shows one without a name, or a spreadsheet marks text
        cell = found = found[1:].removesuffix("'").removesuffix("’")
    return found[:-1].rstrip() if found[-1:] in (".", ",", ";") and found[-2:] not in ("..", "@.") else cell
