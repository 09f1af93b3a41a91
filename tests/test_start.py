"""What a start may cost, by what it imports and asks; `benchmarks/start.py` has the times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import typer.main
from conftest import MONDAY

from digest.cli import app
from digest.cli.nouns import NOUNS

# What `import sqlmodel` and Typer bring, and what reads settings.
BASE = {
    *("annotated_doc", "annotated_types", "cython_runtime", "digest", "dotenv", "platformdirs", "pydantic"),
    *("pydantic_core", "pydantic_settings", "shellingham", "sqlalchemy", "sqlmodel", "typer", "typing_extensions"),
    *("typing_inspection", "tzdata", "greenlet"),
}
# What the rooms of work take along until somebody has made them wait: this list only gets shorter.
LINE = {
    *("anyio", "brotli", "certifi", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna", "itsdangerous"),
    *("jinja2", "markupsafe", "nh3", "sniffio", "uvloop", "zstandard"),
}
SHOW = """
import sys
from digest.cli import main
for words in (["--help"], ["-q", "status"], ["-q", "run"]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    print("\\n>", *sorted(sys.modules))
"""


def foreign(modules: list[str]) -> set[str]:
    """The packages that are neither Python's nor made by a tool that builds them."""
    packages = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    return {name for name in packages if not name.startswith("_")}


def test_each_command_imports_what_it_needs_and_no_more(digest, tmp_path):
    assert digest("init").returncode == 0
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=tmp_path, capture_output=True, text=True, check=True)
    shown, status, run = (line[2:].split() for line in done.stdout.splitlines() if line.startswith("> "))
    assert foreign(shown) <= {"digest", "typer", "annotated_doc", "shellingham", "typing_extensions"}
    assert foreign(status) <= BASE
    rooms = {name.split(".")[1] for name in status if name.startswith("digest.")}
    assert rooms.isdisjoint({"collect", "deliver", "edition", "hear", "parse", "render", "subscribe", "web", "doctor"})
    # SQLAlchemy loads the other dialect itself, to judge what a partial index says for it; no driver and no migrations.
    assert {"alembic", "mako", "psycopg"}.isdisjoint(foreign(run))
    assert foreign(run) <= BASE | LINE


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Statements, as databases are asked them."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("command", "most"), [("status", 57), ("run", 128)])
def test_a_command_with_nothing_to_do_asks_the_database_little(digest, at, asked, command, most):
    """A counter, not a clock: each statement is compiled anew in each process, which is most of what it costs."""
    at(MONDAY)
    digest("init")
    digest("subscriber", "add", "ada@example.org")
    assert digest("-q", "run").returncode == 0
    asked.clear()
    assert digest("-q", command).returncode == 0
    assert len(asked) <= most, "\n".join(asked)


def test_the_line_about_a_command_is_what_the_command_says_of_itself():
    made = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {word: noun.help for word, noun in NOUNS.items()} == {
        word: made[word].get_short_help_str(1000) for word in NOUNS
    }
