"""What means something to our own code: every literal, template line and pattern of it, to be said by strangers."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from house import nodes

import digest
from digest.render import Marker, template_folder

PACKAGE = Path(digest.__file__).parent

EVERY = 1 if os.environ.get("DIGEST_TAINT") == "long" else 5  # of files, and of what stands in them: all take minutes

# What no single literal holds, or what means something to those we hand text to.
BY_HAND = (
    *(f"https://digest.invalid/{marker}" for marker in Marker),  # of the releases before nonces
    *(f"https://digest.invalid/{'0' * 32}/{marker}" for marker in Marker),
    "https://digest.invalid/",
    "{{ page.unsubscribe_url }}", "{{ 7 * 7 }}", "{% raw %}", "{% endblock %}", "{#", "#}", "{{", "}}", "{%", "%}",
    "%(title)s", "%(num)s", "%s", "%%", "{0}", "{page.home}", "{task.fields[words]}", "${7*7}", r"\1", r"\g<0>", "$1",
    "--", "\r\n.\r\n", ".", "..", "\n--\n", "--=_", "=?utf-8?q?x?=", "=3D", "=\r\n", "Bcc: eve@evil.example",
    "<!--[if mso]>", "<![endif]-->", "-->", "<![CDATA[", "]]>", "</style>", "</title>", "</body>", "</head>", "<body>",
    '<span class="yours">', "</span>", '<td class="pad footer">', '<a href="https://evil.example/">', "</a>",
    '" class="yours"', "' style='color:#abc'", ' style="color:#abc"', ' class="name" style="color:#abc"', "#more",
    "@media (prefers-color-scheme: dark) { .title, .headline, .name, .excerpt, .link, .fine { color: #1c1f23 } }",
    "p + p { color: #abc }", 'x style="position: absolute; float: left"',
    "url(https://evil.example/)", "&middot;", "&amp;middot;", "> &middot; <", "&#34;",
    "[red]", "[/red]", "[link=https://evil.example/]x[/link]", "\x1b[31m", "\x1b]8;;https://evil.example/\x07",
    "=HYPERLINK(1)", "$(reboot)", "`reboot`", "; reboot", "javascript:alert(1)", "<script>alert(1)</script>",
    "\0", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2400", "\u241f", "\ue000", "\uf8ff", "\ufffc",
    "\u202e", "\u2066", "\u200b",
)  # fmt: skip

_TEMPLATES = (".html", ".txt", ".js", ".mako")


@cache
def literals() -> tuple[str, ...]:
    """The ones by hand, then of each `EVERY`th file of Python and of all templates each `EVERY`th, in one order."""
    found = dict.fromkeys(BY_HAND)
    for path in sorted(PACKAGE.rglob("*.py"))[::EVERY]:
        found |= dict.fromkeys(_constants(path)) | dict.fromkeys(_near_patterns(path))
    for folder in (PACKAGE, template_folder()):
        for path in sorted(p for p in folder.rglob("*") if p.suffix in _TEMPLATES):
            text = path.read_text(encoding="utf-8")
            found |= dict.fromkeys(line.strip() for line in text.splitlines())
            found |= dict.fromkeys(re.findall(r"\{\{.*?\}\}|\{%.*?%\}|<[^<>{}]*>", text))
    others = [one for one in found if one.strip() and one not in BY_HAND]
    return (*BY_HAND, *others[::EVERY])


@cache
def special() -> tuple[str, ...]:
    """Those that are more than words."""
    return tuple(one for one in literals() if re.search(r"[^\w\s,.'’-]", one))


def _constants(path: Path) -> Iterator[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in nodes(path) if isinstance(node, documented) and _said(node)}
    for node in nodes(path):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            if isinstance(node.value, str):
                yield node.value
            elif isinstance(node.value, bytes):
                yield node.value.decode("latin-1")


def _said(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def _near_patterns(path: Path) -> Iterator[str]:
    """For each pattern that stands in the code, a text that it finds."""
    for node in nodes(path):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        pattern = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and isinstance(pattern, str | bytes):
            source = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
            yield matched(re._parser.parse(source))  # type: ignore[attr-defined]


def matched(parsed: Iterable[tuple[object, object]]) -> str:
    """A short text that a parsed pattern finds, but for what stands around it."""
    text = ""
    for operator, value in parsed:
        match str(operator), value:
            case "LITERAL", int(code):
                text += chr(code)
            case ("IN", [*members]):
                text += _member(members)
            case (("MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT"), [least, most, inner]):
                text += matched(inner) * max(least, min(1, most))
            case "SUBPATTERN", [*_, inner]:
                text += matched(inner)
            case "ATOMIC_GROUP", inner:
                text += matched(inner)
            case "BRANCH", [_, [first, *_]]:
                text += matched(first)
            case (("ANY" | "NOT_LITERAL"), _):
                text += "x"
    return text


def _member(members: list[tuple[object, object]]) -> str:
    operator, value = members[0]
    match str(operator), value:
        case "LITERAL", int(code):
            return chr(code)
        case "RANGE", [int(first), _]:
            return chr(first)
        case "CATEGORY", category:
            return {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " "}.get(str(category), "x")
    return "x"  # all but these
