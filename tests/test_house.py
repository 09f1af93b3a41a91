"""The layout: imports go down the line only, and the command line starts quickly."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import digest

PACKAGE = Path(digest.__file__).parent

FLOORS = {
    "colours": 0, "errors": 0, "loop": 0, "means": 0, "origin": 0, "schedule": 0, "config": 1, "models": 1, "values": 1,
    "store": 2, "migrations": 2,
    "parse": 3, "curate": 3, "render": 3, "sign": 3, "letter": 3,
    "collect": 4, "edition": 4, "deliver": 4, "subscribe": 4,
    "demo": 5, "cli": 5, "web": 5,
}  # fmt: skip
WORK = {name for name, floor in FLOORS.items() if floor == 4}


def _imports() -> list[tuple[str, str, str]]:
    """(file, room it is in, room it imports) for every import of our own."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = parts[0]
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


def test_imports_go_down_the_line_only():
    for path, room, other in _imports():
        if room in FLOORS and room != other:
            assert FLOORS[other] <= FLOORS[room], f"{path} imports digest.{other} from above"


def test_work_rooms_reach_each_other_through_rows_only():
    for path, room, other in _imports():
        assert not (room in WORK and other in WORK and room != other), f"{path} imports its neighbour digest.{other}"


def test_every_room_has_a_floor():
    rooms = {p.stem for p in PACKAGE.iterdir() if (p.suffix == ".py" or (p / "__init__.py").is_file())}
    assert rooms - {"__init__", "__main__"} == set(FLOORS)


def test_help_imports_nothing_heavy():
    code = "import sys, digest.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "sqlmodel",
        "sqlalchemy",
        "pydantic",
        "httpx",
        "feedparser",
        "premailer",
        "lxml",
        "jinja2",
        "rich",
        "babel",
    }
    assert heavy.isdisjoint(loaded)
