"""The layout: imports go down the line only, and the command line starts quickly."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter

import pytest
from house import (
    FLOORS,
    MAP,
    PACKAGE,
    ROOT,
    declared_options,
    file_lengths,
    imports,
    lengths,
    parameters,
    show_lengths,
    sources,
    tables,
    tree,
    written,
)

from digest.store.schema import tables as all_tables

WORK = {name for name, floor in FLOORS.items() if floor == 4}


def test_imports_go_down_the_line_only():
    for path, room, other in imports():
        if room in FLOORS and room != other:
            assert FLOORS[other] <= FLOORS[room], f"{path} imports digest.{other} from above"


def test_work_rooms_reach_each_other_through_rows_only():
    for path, room, other in imports():
        assert not (room in WORK and other in WORK and room != other), f"{path} imports its neighbour digest.{other}"


def test_every_room_has_a_floor():
    rooms = {p.stem for p in PACKAGE.iterdir() if (p.suffix == ".py" or (p / "__init__.py").is_file())}
    assert rooms - {"__init__", "__main__"} == set(FLOORS)


def test_nothing_below_the_doors_prints_or_knows_a_terminal():
    for path in sources(PACKAGE):
        if FLOORS.get(path.relative_to(PACKAGE).with_suffix("").parts[0], FLOORS["cli"]) < FLOORS["cli"]:
            text = path.read_text(encoding="utf-8")
            found = re.search(
                r"(?<![\w.])print\(|^ *(import|from) (typer|rich)\b|sys\.std(in|out|err)", text, re.MULTILINE
            )
            assert not found, f"{path}: {found}"


# ---------------------------------------------------------------- docs/architecture.md


def test_the_map_shows_the_rooms_and_tables_that_there_are():
    text = MAP.read_text(encoding="utf-8")
    assert text == written(text), "run `python tests/house.py --write`"


def test_every_table_is_in_the_picture():
    for name in all_tables().tables:
        assert re.search(rf"(?<!\w){name}(?!\w)", tables()), name


def test_one_file_says_which_tables_there_are():
    """SQLModel itself knows only those that a process has imported: an export by it would be without the others."""
    asks = {path.name for path in sources(PACKAGE) if "SQLModel.metadata" in path.read_text(encoding="utf-8")}
    assert asks == {"models.py", "schema.py"}


def _answers() -> list[tuple[str, str, list[str]]]:
    """(question, file, names in it) of the tables of the map."""
    rows = re.finditer(r"^\| (.+?) \| `([\w/.-]+)`(.*) \|$", MAP.read_text(encoding="utf-8"), re.MULTILINE)
    return [(row[1], row[2], re.findall(r"`([\w-]+)`", row[3].partition(";")[0])) for row in rows]


@pytest.mark.parametrize(("question", "file", "names"), _answers(), ids=[answer[0] for answer in _answers()])
def test_what_the_map_says_of_a_file_is_found_in_it(question, file, names):
    path = ROOT / file
    assert path.exists(), f"{question}: {file} is not there"
    for name in names:
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", path.read_text(encoding="utf-8")), f"{file} has no {name}"


def test_the_map_answers_what_a_newcomer_asks():
    where = MAP.read_text(encoding="utf-8").partition("## Where is")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| (?!---|I want).+ \|$", where, re.MULTILINE)) >= 30


def test_what_a_room_gives_is_named():
    """`import *` would hide where a name lives."""
    starred = [
        place.name for place in PACKAGE.rglob("*.py") if re.search(r"(?m)^ *from .* import \*", place.read_text())
    ]
    assert not starred


MANY = 8


def test_no_public_function_has_more_than_eight_parameters():
    over = {place: count for count, place in parameters() if count > MANY}
    assert not over, f"what travels together is a value: {over}"


def test_an_option_of_several_commands_is_declared_once():
    times = Counter(option for option, _file in declared_options())
    assert len(times) > 50
    assert [option for option, count in times.items() if count > 1] == [], "give it a name in digest/cli/options.py"


# ---------------------------------------------------------------- lengths: these numbers only fall

LONGEST_FUNCTION = 89
LONGEST_FILE = 640  # models.py: all tables at one glance


def test_no_function_grows_beyond_the_longest_that_there_was():
    size, place = lengths()[-1]
    assert size <= LONGEST_FUNCTION, f"{place} has {size} lines"


def test_a_room_has_all_that_it_says_it_offers():
    """`lazily` reads the lines under TYPE_CHECKING; one that is written otherwise would be offered to mypy alone."""
    rooms = [path for path in PACKAGE.glob("*/__init__.py") if "lazily.offer(" in path.read_text()]
    assert len(rooms) >= 10
    for path in rooms:
        listed = {
            alias.asname or alias.name: (node.module, alias.name)
            for top in tree(path).body
            if isinstance(top, ast.If)
            for node in ast.walk(top)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        room = importlib.import_module(f"digest.{path.parent.name}")
        assert room._offers == listed, path
        for name, (place, theirs) in listed.items():
            home = importlib.import_module(place)
            assert getattr(room, name) is getattr(home, theirs)


def test_no_file_grows_beyond_the_longest_that_there_was():
    size, place = file_lengths()[-1]
    assert size <= LONGEST_FILE, f"{place} has {size} lines"


def test_lengths_are_counted_of_any_package(tmp_path, capsys):
    package = tmp_path / "other"
    (package / "migrations").mkdir(parents=True)
    (package / "migrations" / "first.py").write_text("def long():\n" + "    1\n" * 300)
    (package / "one.py").write_text("def short():\n    def inner():\n        1\n\n    return inner\n")
    show_lengths(package)
    assert capsys.readouterr().out == (
        "other: 2 functions without migrations, lines: p50 5, p90 5, max 5; longest file 5 (other/one.py)\n"
        "    5  other/one.py short\n    2  other/one.py inner\n"
    )
