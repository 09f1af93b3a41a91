"""Styles written into `style` attributes, as clients that strip `<style>` need it. premailer does the inlining.

premailer asks every rule about every element, which takes longer than all the rest for a hundred stories that are
all built alike. What a rule of ours makes of an element depends only on the tags and classes from the root down to
it, and a mail has some dozens of such paths however many stories it tells. So premailer is shown one element of
each path, once per style sheet, and its answers are written into the mail.
"""

from __future__ import annotations

import logging
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from premailer import Premailer

_SHEET = re.compile(r"<style>(.*?)</style>\s*", re.DOTALL)
_TOKEN = re.compile(
    r"<!--.*?-->|<style.*?</style>|<(/?)([a-zA-Z][\w:]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*?)(/?)>", re.DOTALL
)
_CLASS = re.compile(r"\sclass=\"([^\"]*)\"")
# A style of its own: what stands between the quotes of another attribute is a stranger's, and none.
_STYLE = re.compile(r"(?:[^\"']|\"[^\"]*\"|'[^']*')*?\sstyle=")
_VOID = frozenset({"img", "br", "hr", "meta", "link", "input", "col", "wbr"})
# A rule that asks about more than tags and classes: neighbours, places, other attributes, ids.
_ASKS_MORE = re.compile(r"[+~:\[#*]")
_SHORT_HEX = re.compile(r"#([0-9a-fA-F])([0-9a-fA-F])([0-9a-fA-F])(?![0-9a-fA-F])")
_LONG_HEX = r"#\1\1\2\2\3\3"
_ATTRIBUTE = re.compile(r"\sstyle=\"[^\"]*\"")
_KEPT_SHEETS = 32

Path = tuple[tuple[str, str], ...]  # (tag, class) from the root down

_answers: OrderedDict[str, dict[Path, str]] = OrderedDict()


def inline(html: str) -> str:
    """Write the rules of `<style>` into `style` attributes.

    A `<style data-premailer="ignore">` stays as it is: premailer 3.10 would strip `!important` inside
    `@media`, and dark mode would fail in silence. A sheet whose selectors name more than tags and classes goes
    through premailer whole.
    """
    sheets = _SHEET.findall(html)
    if not sheets:
        return html
    sheet = "\n".join(sheets)
    selectors = re.sub(r"/\*.*?(?:\*/|\Z)|\{[^}]*+", " ", sheet, flags=re.DOTALL)
    bare = _SHEET.sub("", html)
    tags = list(_walk(bare))
    # Merging the rules with a style that a template wrote itself is premailer's business.
    if _ASKS_MORE.search(selectors) or any("style=" in match[3] and _STYLE.match(match[3]) for match, _path in tags):
        return _TOKEN.sub(_long_colours, _TOKEN.sub(_put_back, premail(_TOKEN.sub(_set_aside, html))))
    known = _answers.setdefault(sheet, {})
    _answers.move_to_end(sheet)
    while len(_answers) > _KEPT_SHEETS:
        _answers.popitem(last=False)
    unknown = {path for _match, path in tags} - known.keys()
    if unknown:
        known.update(_ask(sheet, sorted(unknown)))
    pieces: list[str] = []
    at = 0
    for match, path in tags:
        end = match.end(3)
        given = known[path]
        pieces += (bare[at:end], _own_first(match[3], given) if 'th="' in given or 'ht="' in given else given)
        at = end
    return "".join((*pieces, bare[at:]))


_SIZE = re.compile(r"\s(width|height)=\"([^\"]*)\"")
_OWN = re.compile(r"\sdata-own-(width|height)=")
_NUMBER = re.compile(r"\d+%?")


def _own_first(own: str, given: str) -> str:
    """What premailer gives to an element that says its size itself: without another one, made of CSS."""
    return _SIZE.sub(lambda size: size[0] if f" {size[1]}=" not in own and _NUMBER.fullmatch(size[2]) else "", given)


def _set_aside(token: re.Match[str]) -> str:
    """A tag with its own size under another name, since premailer would put what is made of CSS in its place."""
    if token[2] is None or token[1]:
        return token[0]
    return _SIZE.sub(r' data-own-\1="\2"', token[0])


def _put_back(token: re.Match[str]) -> str:
    if token[2] is None or token[1]:
        return token[0]
    own = set(_OWN.findall(token[0]))
    kept = _SIZE.sub(lambda size: size[0] if size[1] not in own and _NUMBER.fullmatch(size[2]) else "", token[0])
    return _OWN.sub(r" \1=", kept)


def _long_colours(token: re.Match[str]) -> str:
    """A tag with six-digit colours in its style. What stands between tags is text, whatever it looks like."""
    if token[2] is None or token[1]:
        return token[0]
    return _ATTRIBUTE.sub(lambda style: _SHORT_HEX.sub(_LONG_HEX, style[0]), token[0])


def premail(html: str) -> str:
    """What premailer makes of a whole page."""
    return str(
        _premailer()(
            html,
            allow_network=False,
            remove_classes=False,
            strip_important=False,
            disable_validation=True,
            cssutils_logging_level=logging.CRITICAL,
        ).transform()
    )


@cache
def _premailer() -> Callable[..., Premailer]:
    """premailer, without the HTTP client that it has for styles elsewhere: ours are in the page, and it may not ask.

    To import `requests` takes 6 MB and a tenth of a second of each run that composes.
    """
    stands_in = "requests" not in sys.modules
    if stands_in:
        sys.modules["requests"] = ModuleType("requests")
    try:
        from premailer import Premailer
    finally:
        if stands_in:
            del sys.modules["requests"]
    return Premailer  # type: ignore[no-any-return]


def _walk(html: str) -> Iterator[tuple[re.Match[str], Path]]:
    """Every start tag in or around the body, with its path. `html` is well nested, as our templates are."""
    path: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(html):
        if match[2] is None:  # a comment (with Outlook's own tables in it), a style block
            continue
        tag = match[2].lower()
        if match[1]:
            while path and path.pop()[0] != tag:  # an unclosed tag ends with its parent, as browsers have it
                pass
            continue
        found = _CLASS.search(match[3])
        path.append((tag, found[1] if found else ""))
        yield match, tuple(path)
        if match[4] or tag in _VOID:
            path.pop()


def _ask(sheet: str, paths: list[Path]) -> dict[Path, str]:
    """The attributes that premailer gives to an element at the end of each path."""
    from lxml import html as parser

    answers = dict.fromkeys(paths, "")
    bodies = []
    asked = [path for path in paths if len(path) > 1 and path[1][0] == "body"]
    for number, path in enumerate(asked):
        inner = path[2:]
        opened = "".join(
            f'<{tag} class="{escape(name)}"{_mark(inner, i, number)}>' for i, (tag, name) in enumerate(inner)
        )
        bodies.append(opened + "".join(f"</{tag}>" for tag, _ in reversed(inner) if tag not in _VOID))
    body_class = next((path[1][1] for path in asked), "")
    root_class = next((path[0][1] for path in paths), "")
    page = premail(
        f'<html class="{escape(root_class)}"><head><style>{sheet}</style></head>'
        f'<body class="{escape(body_class)}" data-path="body">{"".join(bodies)}</body></html>'
    )
    tree = parser.document_fromstring(page)
    marked = {element.get("data-path"): element for element in tree.iter() if element.get("data-path")}
    for number, path in enumerate(asked):
        element = marked[str(number) if len(path) > 2 else "body"]
        answers[path] = "".join(
            f' {name}="{escape(_whole(value), quote=False)}"'
            for name, value in element.attrib.items()
            if name not in ("class", "data-path")
        )
    return answers


def _whole(style: str) -> str:
    """Six-digit colours, as Outlook for Windows wants them; no bytes for what only pleases the eye."""
    style = _SHORT_HEX.sub(_LONG_HEX, style.replace('"', "'"))
    return style.replace("; ", ";").replace(", ", ",")


def _mark(inner: Path, place: int, number: int) -> str:
    return f' data-path="{number}"' if place == len(inner) - 1 else ""
