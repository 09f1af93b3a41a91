"""Every pattern of the package, found in its source: what is compiled or tried by `re`, and those of its TOML files."""

from __future__ import annotations

import ast
import re
import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from house import tree

import digest

PACKAGE = Path(digest.__file__).parent
_TRIES = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
_NAMED = re.compile(rf"\.(?:compile|{'|'.join(_TRIES)})\b")
_CALLED = re.compile(rf"\bre{_NAMED.pattern}\(")


@dataclass(frozen=True)
class Found:
    """A pattern, where it stands, and how it is tried: "match", "fullmatch", or "search" for all that goes on."""

    where: str
    pattern: str | bytes
    flags: int
    how: frozenset[str]


def files() -> list[str]:
    """Those of the package that may have patterns: sources, and `boilerplate.toml`. They are not yet looked through."""
    sources = [path for path in PACKAGE.rglob("*.py") if _CALLED.search(path.read_text(encoding="utf-8"))]
    return sorted(str(path.relative_to(PACKAGE)) for path in [*sources, *PACKAGE.rglob("*.toml")])


@cache
def patterns(file: str) -> tuple[Found, ...]:
    """All patterns of a file."""
    path = PACKAGE / file
    if path.suffix == ".py":
        return tuple(_of(path))
    found = []
    for number, (kind, pattern) in enumerate(_in_toml(tomllib.loads(path.read_text(encoding="utf-8")))):
        how = {"front": "match", "line": "fullmatch", "first": "fullmatch"}.get(kind, "search")
        found.append(Found(f"{file}:{kind} {number}", pattern, 0, frozenset({how})))
    return tuple(found)


def _in_toml(value: Any, kind: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inside in value.items():
            if key == "pattern" and isinstance(inside, str):
                yield kind, inside
            else:
                yield from _in_toml(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from _in_toml(inside, kind)


def _of(path: Path) -> Iterator[Found]:
    source = path.read_text(encoding="utf-8")
    module = ".".join(("digest", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    lines = [number for number, line in enumerate(source.split("\n"), 1) if _NAMED.search(line)]
    names: dict[str, str] = {}
    tries: dict[str, set[str]] = {}
    at_once: dict[ast.AST, str] = {}  # what is done with what an expression gives, where it stands
    calls: list[tuple[ast.Call, str]] = []
    for node in _around(tree(path), lines):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:  # what a compiled pattern is called
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for call in _around(node.value, lines):
                if _re_call(call) == "compile":
                    names |= {ast.dump(call): ast.unparse(t) for t in targets}
        elif isinstance(node, ast.Attribute) and node.attr in _TRIES:
            tries.setdefault(ast.unparse(node.value), set()).add(node.attr)
            at_once[node.value] = node.attr
        elif isinstance(node, ast.Call) and (verb := _re_call(node)):
            calls.append((node, verb))
    for node, verb in calls:
        pattern = _value(node.args[0], module)
        if pattern is None:
            continue
        rest = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "flags")]
        flags = next((f for a in rest if isinstance(f := _value(a, module), re.RegexFlag)), 0)
        how = tries.get(names.get(ast.dump(node), ""), set()) if verb == "compile" else {verb}
        how = {at_once[node]} if node in at_once else how or {"search"}
        kept = frozenset(h if h in ("match", "fullmatch") else "search" for h in how)
        yield Found(f"{path.relative_to(PACKAGE)}:{node.lineno}", pattern, int(flags), kept)


def _around(node: ast.AST, lines: list[int]) -> Iterator[ast.AST]:
    """The nodes that stand on these lines, and what they are part of: each process that runs tests looks for them."""
    first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", None)
    if last is None or bisect_left(lines, first) < bisect_right(lines, last):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _around(child, lines)


def _re_call(node: ast.AST) -> str:
    """How `re` is called, "compile" included, where a node is such a call."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return ""
    ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    return node.func.attr if ours and node.func.attr in ("compile", *_TRIES) else ""


def _value(node: ast.expr, module: str) -> Any:
    """What an expression comes to among the names of its module; None where that depends on what is given."""
    import importlib

    try:
        return eval(compile(ast.Expression(node), module, "eval"), vars(importlib.import_module(module)))
    except NameError:
        return None
