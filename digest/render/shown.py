"""A mail as a page shows it, or a file: with pictures of ours from there, and with none from elsewhere. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

_NAME = "[0-9a-f]{64}"
_START = re.compile(r"<(?:img|image|source)\b", re.IGNORECASE)
_REST = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_OURS = re.compile(rf"""\ssrc="(?:cid:({_NAME})@pictures|(?:https?://[^"\s]*)?/p/({_NAME})\.(?:jpg|png))\"""")
_CID = re.compile(rf'\ssrc="cid:({_NAME})@')
_LOADS = re.compile(r"\s(?:src|srcset|href|xlink:href)\s*=", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_ALT = re.compile(r'\salt="([^"]*)"')


def brought(html: str) -> tuple[str, ...]:
    """The pictures that a mail brings along, by name."""
    return tuple(dict.fromkeys(_CID.findall(html)))


def named(html: str) -> tuple[str, ...]:
    """The pictures of ours that a mail shows, by name, wherever they come from."""
    return tuple(dict.fromkeys(found[1] or found[2] for found in _OURS.finditer(html)))


def at_home(html: str, root: str) -> str:
    """With its pictures from the site whose paths begin with `root`."""
    return _shown(html, lambda name: f"{root}/p/{name}.jpg")


def embedded(html: str, data: Mapping[str, bytes]) -> str:
    """With its pictures in it, by their names, to be looked at where nobody serves them."""
    return _shown(
        html,
        lambda name: in_itself(data[name]) if name in data else "data:,",
    )


def in_itself(data: bytes) -> str:
    """A copy of ours as an address that holds it."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _shown(html: str, place: Callable[[str], str]) -> str:
    pieces: list[str] = []
    at = 0
    for start in _START.finditer(html):
        if start.start() < at:
            continue  # in an attribute of the one before
        end = _REST.match(html, start.end())
        if end is None:
            break  # a tag without an end is none, and neither is any after it
        pieces += (html[at : start.start()], _image(html[start.start() : end.end()], place))
        at = end.end()
    return "".join((*pieces, html[at:]))


def _image(tag: str, place: Callable[[str], str]) -> str:
    """What stands in the place of a picture."""
    ours = _OURS.search(tag)
    if ours is not None:
        return f'{tag[: ours.start()]} src="{place(ours[1] or ours[2])}"{tag[ours.end() :]}'
    if not _LOADS.search(_QUOTED.sub('""', tag)):
        return tag
    # Of a publisher, in a mail of an older release or of another service: its words are what is left of it.
    alt = _ALT.search(tag)
    return f"<span>{alt[1]}</span>" if alt and alt[1].strip() else ""
