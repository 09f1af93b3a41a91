"""The editor's note: a little Markdown in it (emphasis, strong, code, links), as HTML and as plain text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MARKS = frozenset("*_`[<\\")
_SAFE = re.compile(r"(?:https?://[^/\s]|mailto:)", re.IGNORECASE)


def marked(text: str) -> Markup:
    """A paragraph as HTML. Markup of its own is shown, not obeyed, and a link leads to a page or an address only."""
    if _MARKS.isdisjoint(text):
        return escape(text)
    return Markup(_markdown().renderInline(text))  # noqa: S704 - it escapes what is not its own


def unmarked(text: str) -> str:
    """The same as plain text: marks are gone, and an address follows its words."""
    if _MARKS.isdisjoint(text):
        return text
    inline = _markdown().parseInline(text)[0].children or []
    return "".join(_said(inline))


def _said(tokens: list[Token]) -> list[str]:
    said: list[str] = []
    links: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "link_open":
            links.append((str(token.attrs.get("href", "")), len(said)))
        elif token.type == "link_close":
            href, start = links.pop()
            if "".join(said[start:]) != href.removeprefix("mailto:"):
                said.append(f" ({href.removeprefix('mailto:')})")
        elif token.content:
            said.append(token.content)
    return said


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("zero").enable(["emphasis", "link", "autolink", "backticks", "escape"])
    made.validateLink = lambda url: bool(_SAFE.match(url))  # type: ignore[method-assign]
    return made
