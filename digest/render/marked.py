"""The editor's note: a little Markdown in it, as HTML and as plain text.

Paragraphs, lists, emphasis, strong words, code and links; all else is shown as it was written. What is shown is always
the whole text: nothing in it can take words of it away, or do anything.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from digest.render.words import wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_MARKS = frozenset("*_`[<\\")
_SAFE = re.compile(r"(?:https?://[^/\s]|mailto:)", re.IGNORECASE)
_LISTED = re.compile(r"^[ \t]*(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)", re.MULTILINE)
_LEAD_IN = re.compile(r"^(?:[ \t]++|(?:[-+*]|\d{1,9}[.)])(?=[ \t\n]))*+", re.MULTILINE)
_DEEP = 60  # columns before a line's words, which are 30 lists in each other: what is deeper is read as no list
_NESTED = 100  # the library leaves out what is nested deeper than this
_CLASSES = {
    "paragraph_open": "word",
    "bullet_list_open": "points",
    "ordered_list_open": "points",
    "list_item_open": "point",
}
_MOST = 10**8  # steps that brackets may take: each of them looks for its end through all of the text
_WIDTH, _INDENT = 72, "  "


def noted(text: str) -> Markup:
    """A whole note as HTML: paragraphs and lists, with the classes of the mail's styles."""
    if not _has_lists(text):
        return Markup("\n").join(Markup('<p class="word">{}</p>').format(marked(part)) for part in paragraphs(text))
    made = _markdown()
    tokens = made.parse(text)
    for token in tokens:
        if token.type in _CLASSES:
            token.attrSet("class", _CLASSES[token.type])
    return Markup(made.renderer.render(tokens, made.options, {}))  # noqa: S704 - it escapes what is not its own


def noted_text(text: str) -> str:
    """The same as plain text: points begin with a dash or their number, all of it is indented and wrapped."""
    if not _has_lists(text):
        return "\n\n".join(wrap(unmarked(part), _WIDTH, _INDENT) for part in paragraphs(text))
    return "\n".join(_lines(_markdown().parse(text))).strip("\n")


def paragraphs(text: str) -> list[str]:
    """What stands between empty lines, each on one line."""
    return [" ".join(part.split()) for part in re.split(r"\n[^\S\n]*+\n", text) if part.strip()]


def _has_lists(text: str) -> bool:
    if not _LISTED.search(text) or _slow(text):
        return False
    return all(len(found[0].expandtabs(4)) <= _DEEP for found in _LEAD_IN.finditer(text))


def _slow(text: str) -> bool:
    return (text.count("[") - text.count("\\[")) * len(text) > _MOST


def _lines(tokens: list[Token]) -> list[str]:
    """Blocks as lines, with an empty one after each that stands by itself."""
    lines: list[str] = []
    lists: list[int] = []  # the next number of each list that is open, -1 for points
    points: list[str] = []  # what each point that is open begins with
    begun = True  # the last of them has its mark already
    for token in tokens:
        if token.type.endswith("list_open"):
            lists.append(int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else -1)
        elif token.type.endswith("list_close"):
            lists.pop()
        elif token.type == "list_item_open":
            points.append(f"{lists[-1]}. " if lists[-1] >= 0 else "- ")
            lists[-1] += lists[-1] >= 0
            begun = False
        elif token.type == "list_item_close":
            mark = points.pop()
            lines += [] if begun else [_INDENT * len(lists) + mark.rstrip()]  # there was nothing in it
            begun = True
        elif token.type == "inline":
            hanging = _INDENT * max(1, len(lists)) + " " * len(points[-1] if points else "")
            words = wrap("".join(_said(token.children or [])), max(_WIDTH, len(hanging) + 20), hanging)
            if not begun:
                begun, start = True, len(hanging) - len(points[-1])
                words = words[:start] + points[-1] + words[len(hanging) :]
            lines += words.split("\n")
        apart = (token.type == "paragraph_close" and not token.hidden) or (
            token.type.endswith("list_close") and not lists
        )
        if apart and lines and lines[-1]:
            lines.append("")
    return lines


def marked(text: str) -> Markup:
    """A paragraph as HTML. Markup of its own is shown, not obeyed, and a link leads to a page or an address only."""
    if _MARKS.isdisjoint(text) or _slow(text):
        return escape(text)
    return Markup(_markdown().renderInline(text))  # noqa: S704 - it escapes what is not its own


def unmarked(text: str) -> str:
    """The same as plain text: marks are gone, and an address follows its words."""
    if _MARKS.isdisjoint(text) or _slow(text):
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
        elif token.type == "hardbreak":
            said.append(" ")
        elif token.content:
            said.append(token.content)
    return said


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """With the class of the mail's links: what a client colours by itself is unreadable in the dark."""
    tokens[at].attrSet("class", "link")
    return renderer.renderToken(tokens, at, options, env)


def _no_break(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """A backslash before a line's end: a paragraph stands on one line, whatever lines it was written in."""
    return "\n"


def _one_link(state: StateCore) -> None:
    """An address in the words of a link is a word of it: HTML knows no link in a link, and each reader mends one."""
    for block in state.tokens:
        depth, kept = 0, []
        for token in block.children or []:
            depth -= token.type == "link_close"
            if depth == 0 or token.type not in ("link_open", "link_close"):
                kept.append(token)
            depth += token.type == "link_open"
        block.children = kept if block.children else block.children


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("zero", {"maxNesting": _NESTED})
    made.enable(["emphasis", "link", "autolink", "backticks", "escape", "list"])
    made.core.ruler.push("one_link", _one_link)
    made.add_render_rule("link_open", _link)
    made.add_render_rule("hardbreak", _no_break)
    made.validateLink = lambda url: bool(_SAFE.match(url))  # type: ignore[method-assign]
    return made
