"""What feedparser does to a value, done again for `parse.quick`."""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterable
from urllib.parse import urljoin

from digest.parse.text import meant
from digest.parse.vocabulary import HTML, Unsure

LONGEST_AUTHOR = 1_000  # characters


_SLASHES = re.compile("^([A-Za-z][A-Za-z0-9+-.]*://)(/*)(.*?)")
# Addresses that joining leaves as they are; most.
_WHOLE = re.compile(r"https?://[A-Za-z][A-Za-z0-9.-]*(?::[0-9]+)?/[\w/.~%+=&,@!:-]*(?:\?[\w/.~%+=&,@!:-]+)?", re.A)


def join(base: str, address: str) -> str:
    if _WHOLE.fullmatch(address):
        return address
    try:
        return urljoin(base, _SLASHES.sub(r"\1\3", meant(address)))
    except ValueError:
        return ""


def steady(base: str) -> str:
    """A base of the web that stays as it is however often it is joined with itself, as feedparser does at each tag."""
    if not base.startswith(("http://", "https://")) or join(base, base) != base:
        raise Unsure
    return base


def with_href(attributes: dict[str, str]) -> dict[str, str]:
    """The address of a link is called "url" or "uri" by some."""
    href = attributes.get("url", attributes.get("uri", attributes.get("href")))
    if href:
        attributes.pop("url", None)
        attributes.pop("uri", None)
        attributes["href"] = href
    return attributes


_ADDRESS = r"([A-Za-z0-9_.+-]++@(?:[A-Za-z0-9-]++\.)++[A-Za-z]{2,4})"
_EMAIL = re.compile(rf"{_ADDRESS}(?: \(([^()@<>&]*+)\))?")
_NAME_FIRST = re.compile(rf"([^()@<>&]*+)\({_ADDRESS}\)")


def name_and_email(author: str) -> tuple[str, str]:
    """The two of "Jane Doe", "jane@example.org", "jane@example.org (Jane Doe)" or "Jane Doe (jane@example.org)".

    Raises Unsure for other forms.
    """
    if len(author) > LONGEST_AUTHOR:
        raise Unsure
    if "@" not in author:
        return author, ""
    if match := _EMAIL.fullmatch(author):
        return (match[2] or "").strip(), match[1]
    if match := _NAME_FIRST.fullmatch(author):
        return match[1].strip(), match[2]
    raise Unsure


_CLOSED_TAG, _REFERENCE, _TAG, _ENTITY = (
    re.compile(pattern) for pattern in (r"</(\w+)>", r"&#?\w+;", r"</?(\w+)", r"&(\w+);")
)


def looks_like_html(text: str) -> bool:
    """feedparser's guess at text that should be plain: a closed tag or a reference, and nothing that is not HTML."""
    if ("<" not in text and "&" not in text) or not (_CLOSED_TAG.search(text) or _REFERENCE.search(text)):
        return False
    if any(tag.lower() not in HTML for tag in _TAG.findall(text)):
        return False
    return not any(name not in html.entities.entitydefs for name in _ENTITY.findall(text))


_C1 = re.compile("[\x80-\x9f]")
CP1252 = {code: sign for code in range(0x80, 0xA0) if (sign := bytes([code]).decode("cp1252", "ignore"))}


def mended(text: str) -> str:
    """UTF-8 that was taken for Latin-1, and signs of Windows where none are."""
    if text.isascii():
        return text
    try:
        text = text.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        pass
    return text.translate(CP1252) if _C1.search(text) else text


def unwrapped(pieces: Iterable[str]) -> list[str]:
    """XHTML without the `<div>` that Atom puts around it, where that is around all of it."""
    pieces = list(pieces)
    while len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-1]
    while len(pieces) > 1 and not pieces[0].strip():
        del pieces[0]
    if pieces and (pieces[0] == "<div>" or pieces[0].startswith("<div ")) and pieces[-1] == "</div>":
        depth = 0
        for piece in pieces[:-1]:
            if piece.startswith("</"):
                depth -= 1
                if depth == 0:
                    return pieces
            elif piece.startswith("<") and not piece.endswith("/>"):
                depth += 1
        return pieces[1:-1]
    return pieces
