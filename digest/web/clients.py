"""What each mail client leaves out of a mail, by `clients.toml`: facts of ours with a date, nothing is asked for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DATA = tomllib.loads((Path(__file__).parent / "clients.toml").read_text(encoding="utf-8"))
AS_OF: str = _DATA["as_of"]
CLIENTS: dict[str, str] = _DATA["clients"]
_SHEET = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_INLINE = re.compile(r'\sstyle="([^"]*)"')


@dataclass(frozen=True)
class Lost:
    """Something in a mail that not every client keeps."""

    name: str
    effect: str
    times: int
    no: tuple[str, ...]  # names of clients that drop it
    partly: tuple[str, ...]


@dataclass(frozen=True)
class _Feature:
    where: str  # "sheet", "html", or "css": styles in sheets and on elements
    pattern: re.Pattern[str]
    name: str
    effect: str
    no: tuple[str, ...]
    partly: tuple[str, ...]


def lost(html: str) -> list[Lost]:
    """What of a mail is dropped somewhere: what most clients drop first."""
    sheets = "\n".join(_SHEET.findall(html))
    styles = "\n".join(f"{{{style}}}" for style in _INLINE.findall(html))
    places = {"sheet": sheets, "html": html, "css": f"{sheets}\n{styles}"}
    found = [
        Lost(one.name, one.effect, times, one.no, one.partly)
        for one in _FEATURES
        if (times := sum(1 for _ in one.pattern.finditer(places[one.where])))
    ]
    return sorted(found, key=lambda one: (-len(one.no), -len(one.partly), one.name))


def _features() -> Iterator[_Feature]:
    for row in _DATA["feature"]:
        where, words = row["where"], row["pattern"]
        if where == "property":
            words = rf"(?:^|[;{{\s])(?:{words})\s*:"
        where = where if where in ("sheet", "html") else "css"
        no, partly = (tuple(CLIENTS[client] for client in row.get(key, ())) for key in ("no", "partly"))
        yield _Feature(where, re.compile(words, re.IGNORECASE), row["name"], row["effect"], no, partly)


_FEATURES = tuple(_features())
