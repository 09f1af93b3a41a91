"""The house from its own sources: rooms by floor, the picture of the tables, how long functions are.

python tests/house.py                        prints all three
python tests/house.py --lengths [FOLDER …]   how long functions are, alone; of other packages, where folders follow
python tests/house.py --write                puts the first two into docs/architecture.md, which a test holds to them
"""

from __future__ import annotations

import ast
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "digest"
MAP = ROOT / "docs" / "architecture.md"

FLOORS = {
    "colours": 0, "errors": 0, "identity": 0, "event_loop": 0, "graphemes": 0, "lazily": 0, "means": 0,
    "origin": 0, "dataclass": 0,
    "recordings": 0, "schedule": 0, "spans": 0, "taste": 0, "untracked": 0, "versions": 0, "writers": 0,
    "config": 1, "column_types": 1, "models": 1, "values": 1,
    "store": 2, "migrations": 2,
    "parse": 3, "curate": 3, "render": 3, "sign": 3, "letter": 3,
    "collect": 4, "doctor": 4, "hear": 4, "edition": 4, "deliver": 4, "subscribe": 4,
    "alerts": 4,
    "line": 5, "meanings": 5, "observe": 5, "summaries": 5, "told": 5, "upkeep": 5, "workers": 5,
    "demo": 6, "cli": 6, "web": 6,
}  # fmt: skip
NAMES = {
    6: "doors: options, HTTP; the clock is read here",
    5: "the main job as steps, for every door, and what is told of it",
    4: "work: network and transactions",
    3: "decisions: values in, values out; no clock, network or database",
    2: "memory: every query, by name",
    1: "settings, tables, values",
    0: "the ground: nouns and small decisions",
}


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file. All files are read for most questions, and parsed once for all of them."""
    with uncollected():
        return tuple(ast.walk(tree(path)))


@cache
def tree(path: Path) -> ast.Module:
    with uncollected():
        return ast.parse(path.read_text(encoding="utf-8"))


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing of a tree is garbage: to look for some as it grows, or later, takes longer than to make it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


@cache
def imports() -> list[tuple[str, str, str]]:
    """(file, room it is in, room it imports) for every import of our own."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in nodes(path):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"digest.{alias.name}" for alias in node.names] if node.module == "digest" else [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found += [
                (str(path), room, name.split(".")[1])
                for name in names
                if name.startswith("digest.") and name.split(".")[1] in FLOORS
            ]
    return found


def rooms() -> str:
    """Each room by floor, from the doors down: what it is, what it asks, and each of its files in a line."""
    asks: dict[str, set[str]] = {room: set() for room in FLOORS}
    for _, room, other in imports():
        if room in FLOORS and room != other:
            asks[room].add(other)
    lines = []
    for floor, name in NAMES.items():
        lines += [f"### Floor {floor}, {name}", ""]
        for room in sorted(one for one, its in FLOORS.items() if its == floor):
            folder = PACKAGE / room
            home = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
            below = f" *Asks {', '.join(sorted(asks[room]))}.*" if asks[room] else " *Asks nobody.*"
            shown = f"{room}/" if folder.is_dir() else f"{room}.py"
            lines.append(f"- **`digest/{shown}`** {_says(home)}{below}")
            lines += [f"  - `{path.name}` {_says(path)}" for path in _files(folder)]
        lines.append("")
    return "\n".join(lines)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a room, but for its door and what is counted rather than named."""
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        if path.name not in ("__init__.py", "__main__.py"):
            yield path


def _says(path: Path) -> str:
    """The first sentences of a file about itself: its docstring's first paragraph."""
    words = ast.get_docstring(tree(path)) or ""
    return " ".join(words.split("\n\n")[0].split())


def tables() -> str:
    """The picture in `models`, of which row belongs to which."""
    words = ast.get_docstring(tree(PACKAGE / "models.py")) or ""
    return f"```\n{words.partition(chr(10) * 2)[2]}\n```\n"


BLOCKS = {"rooms": rooms, "tables": tables}


def written(text: str) -> str:
    """The page with its blocks made anew, each between `<!-- made by tests/house.py: NAME -->` and `<!-- end -->`."""
    for name, make in BLOCKS.items():
        begin = f"<!-- made by tests/house.py: {name} -->"
        text, times = re.subn(
            f"{re.escape(begin)}\n.*?<!-- end -->",
            lambda _, begin=begin, make=make: f"{begin}\n\n{make().strip()}\n\n<!-- end -->",
            text,
            flags=re.DOTALL,
        )
        assert times == 1, f"the page has {times} blocks {name}"
    return text


def lengths(package: Path = PACKAGE) -> list[tuple[int, str]]:
    """(lines, `file name`) of every function, the shortest first: from `def` to its last line, docstring included."""
    return sorted(
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path.relative_to(package.parent)} {node.name}")
        for path in sources(package)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def file_lengths(package: Path = PACKAGE) -> list[tuple[int, str]]:
    """(lines, file), the shortest first."""
    return sorted(
        (len(path.read_text(encoding="utf-8").splitlines()), str(path.relative_to(package.parent)))
        for path in sources(package)
    )


def sources(package: Path) -> Iterator[Path]:
    """Its files, without migrations: those are as long as what they migrate, and are never changed."""
    for path in package.rglob("*.py"):
        if "migrations" not in path.parts:
            yield path


def show_lengths(*packages: Path) -> None:
    """A line for each package, and its ten longest functions."""
    for package in packages or (PACKAGE,):
        found, files = lengths(package), file_lengths(package)
        p50, p90 = (found[len(found) * part // 100][0] for part in (50, 90))
        print(
            f"{package.name}: {len(found):,} functions without migrations, lines: "
            f"p50 {p50}, p90 {p90}, max {found[-1][0]}; longest file {files[-1][0]} ({files[-1][1]})"
        )
        for size, place in reversed(found[-10:]):
            print(f"{size:5}  {place}")


def parameters() -> list[tuple[int, str]]:
    """(parameters, place) of every public function but Typer's commands, whose options the operator types by name."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in nodes(path):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            private = node.name.startswith("_") and not node.name.endswith("__")
            command = any(ast.unparse(one.annotation) == "typer.Context" for one in named if one.annotation)
            if not private and not command:
                count = len(named) - (bool(named) and named[0].arg in ("self", "cls"))
                found.append((count, f"{path.relative_to(ROOT)} {node.name}"))
    return sorted(found)


def declared_options() -> list[tuple[str, str]]:
    """(declaration, file) of every option and argument of the commands."""
    return [
        (ast.unparse(node), path.name)
        for path in sorted((PACKAGE / "cli").glob("*.py"))
        for node in nodes(path)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Annotated"
    ]


def main() -> None:
    words = sys.argv[1:]
    if "--write" in words:
        MAP.write_text(written(MAP.read_text(encoding="utf-8")), encoding="utf-8")
    elif "--lengths" in words:
        show_lengths(*(Path(word).resolve() for word in words if word != "--lengths"))
    else:
        print(rooms(), tables(), sep="\n")
        show_lengths()


if __name__ == "__main__":
    main()
