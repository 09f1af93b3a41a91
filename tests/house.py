"""The house from its own sources: rooms by floor, the picture of the tables, how long functions are.

python tests/house.py            prints all three
python tests/house.py --write    puts the first two into docs/architecture.md, which a test holds to them
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "digest"
MAP = ROOT / "docs" / "architecture.md"

FLOORS = {
    "colours": 0, "errors": 0, "identity": 0, "loop": 0, "means": 0, "origin": 0, "schedule": 0,
    "config": 1, "models": 1, "values": 1,
    "store": 2, "migrations": 2,
    "parse": 3, "curate": 3, "render": 3, "sign": 3, "letter": 3,
    "collect": 4, "edition": 4, "deliver": 4, "subscribe": 4,
    "demo": 5, "cli": 5, "web": 5,
}  # fmt: skip
NAMES = {
    5: "doors: options, HTTP; the clock is read here",
    4: "work: network and transactions",
    3: "decisions: values in, values out; no clock, network or database",
    2: "memory: every query, by name",
    1: "settings, tables, values",
    0: "the ground: nouns and small decisions",
}


def imports() -> list[tuple[str, str, str]]:
    """(file, room it is in, room it imports) for every import of our own."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(words.split("\n\n")[0].split())


def tables() -> str:
    """The picture in `models`, of which row belongs to which."""
    words = ast.get_docstring(ast.parse((PACKAGE / "models.py").read_text(encoding="utf-8"))) or ""
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


def lengths() -> list[tuple[int, str]]:
    """(lines, place) of every function, the shortest first: from its `def` to its last line, docstring included."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((size, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return sorted(found)


def main() -> None:
    if "--write" in sys.argv[1:]:
        MAP.write_text(written(MAP.read_text(encoding="utf-8")), encoding="utf-8")
        return
    print(rooms(), tables(), sep="\n")
    found = lengths()
    p50, p90 = (found[len(found) * part // 100][0] for part in (50, 90))
    print(f"{len(found):,} functions without migrations, lines: p50 {p50}, p90 {p90}, max {found[-1][0]}; the longest:")
    for size, place in reversed(found[-10:]):
        print(f"{size:5}  {place}")


if __name__ == "__main__":
    main()
