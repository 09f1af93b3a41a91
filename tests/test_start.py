"""What a start may cost, by what it imports and asks; `benchmarks/start.py` has the times."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import house
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
# Files of rooms that a run with nothing due imports: what steps come to, and whether there is anything for them.
RUN = {
    *("alerts", "collect", "collect.bounds", "collect.report", "collect.rhythm", "curate", "curate.barren"),
    "curate.keywords",
    *("curate.names", "curate.rules", "curate.stems", "curate.topics", "curate.words", "deliver", "deliver.login"),
    "deliver.papers",
    *("deliver.replies", "deliver.report", "deliver.run", "deliver.shares", "edition", "edition.report"),
    *("edition.turns", "hear"),
}
ROOMS = {"alerts", "collect", "curate", "deliver", "demo", "doctor", "edition", "hear", "letter", "parse", "render"}
# Tables of what an installation may have nothing of.
RARE = {
    *("alert_tables", "api_tables", "archive_tables", "consent_tables", "feed_tables", "import_tables", "keep_tables"),
    *("lasting_tables", "learned_tables", "mail_tables", "name_tables", "picture_tables", "refusal_tables"),
    *("signup_tables", "story_tables", "summary_tables", "witness_tables", "worker_tables"),
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


def of_rooms(modules: list[str]) -> set[str]:
    """What of our rooms of work is among these."""
    ours = {name.removeprefix("digest.") for name in modules if name.startswith("digest.")}
    return {name for name in ours if name.partition(".")[0] in ROOMS | {"subscribe", "web"}}


def compiled(modules: list[str]) -> list[str]:
    """Our files among these that have Python compile the methods of their dataclasses: see `digest.dataclass`."""
    ours = [Path(importlib.import_module(name).__file__ or "") for name in modules if name.startswith("digest.")]
    taken = re.compile(r"^from dataclasses import .*\bdataclass(?:,|$)", re.MULTILINE)
    return [path.name for path in ours if taken.search(path.read_text(encoding="utf-8"))]


def test_each_command_imports_what_it_needs_and_no_more(digest, tmp_path):
    assert digest("init").returncode == 0
    # The first command writes down what none does later, and a day's first run looks for what a wrong clock left.
    assert digest("-q", "run").returncode == 0
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=tmp_path, capture_output=True, text=True, check=True)
    shown, status, run = (line[2:].split() for line in done.stdout.splitlines() if line.startswith("> "))
    assert foreign(shown) <= {"digest", "typer", "annotated_doc", "shellingham", "typing_extensions"}
    assert foreign(status) <= BASE
    assert foreign(run) <= BASE
    assert of_rooms(status) == set()
    assert of_rooms(run) <= RUN
    assert compiled(status) == compiled(run) == []
    for modules in (status, run):
        assert "sqlalchemy.dialects.postgresql" not in modules
        assert {f"digest.store.{name}" for name in RARE}.isdisjoint(modules)


# What asking feeds takes beyond that, where none of them has anything new.
ASKING = {
    *("httpx", "h11", "idna", "certifi", "uvloop", "brotli", "zstandard"),
}
ASK = {
    *("addresses", "challenge", "client", "fetch", "gathering", "guard", "hosts", "kinship", "leases", "manner"),
    *("packing", "rate_limits", "rows", "run", "trouble", "wire"),
}


# The mappers of all tables are set up by the first statement that is written with a model's attributes.
MAPPED = """
from sqlmodel import SQLModel
print(sum(mapper.configured for mapper in SQLModel._sa_registry.mappers), "mapped", file=sys.stderr)
"""


class Unchanged(BaseHTTPRequestHandler):
    """A feed that is always as it was."""

    def do_GET(self) -> None:
        known = self.headers["If-None-Match"] == '"1"'
        body = (
            b""
            if known
            else b"<rss version='2.0'><channel><item><guid>1</guid><title>One</title></item></channel></rss>"
        )
        self.send_response(304 if known else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_asking_feeds_that_have_nothing_new_imports_no_parser(digest, tmp_path, monkeypatch):
    monkeypatch.setenv("DIGEST_COLLECT__ALLOW_PRIVATE_ADDRESSES", "true")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unchanged)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        digest("init")
        digest("feed", "add", "--no-check", f"http://127.0.0.1:{server.server_port}/")
        assert digest("-q", "collect").returncode == 0
        show = SHOW.replace('(["--help"], ["-q", "status"], ["-q", "run"])', '[["collect", "--force"]]')
        show += MAPPED
        done = subprocess.run([sys.executable, "-c", show], cwd=tmp_path, capture_output=True, text=True, check=True)
    finally:
        server.shutdown()
        server.server_close()
    assert "1 unchanged" in done.stderr and "\n0 mapped" in done.stderr
    modules = done.stdout.splitlines()[-1].removeprefix("> ").split()
    assert foreign(modules) <= BASE | ASKING
    assert of_rooms(modules) <= RUN | {f"collect.{name}" for name in ASK} | {"parse", "parse.text", "parse.seen"}
    assert compiled(modules) == []
    assert {"multiprocessing.connection", "digest.store.feeds"}.isdisjoint(modules)
    assert {f"digest.store.{name}" for name in RARE}.isdisjoint(modules)


CAREFUL = """
import atexit, gc, sys
looks = []
gc.callbacks.append(lambda when, told: looks.append(told["generation"]) if gc.get_threshold()[0] > 10_000 else None)
atexit.register(lambda: print(">", len(looks) // 2, gc.get_freeze_count(), len(gc.get_objects()), *built()))
def built():
    from digest.config import Config, Section
    sections = [Section.__subclasses__(), Config.__subclasses__()]
    return [one.__name__ for some in sections for one in some if one.__pydantic_complete__]
from digest.cli import main
sys.argv[1:] = ["-q", "status"]
main()
"""


def test_a_start_looks_for_no_garbage_and_builds_no_section_of_the_settings_by_itself(digest, tmp_path):
    assert digest("init").returncode == 0
    done = subprocess.run([sys.executable, "-c", CAREFUL], cwd=tmp_path, capture_output=True, text=True, check=True)
    looks, frozen, rest, *built = done.stdout.splitlines()[-1].removeprefix("> ").split()
    assert int(looks) == 0
    assert int(frozen) > 50 * int(rest)  # what an end would look through again
    assert set(built) == set()


def test_text_without_markup_is_cleaned_without_a_parser_of_html():
    code = (
        "import sys; from digest.parse.text import clean_html, http_url, plain\n"
        "said = [plain('AT&amp;T', markup=True), clean_html('x', base=''), http_url('https://example.org/')]\n"
        "assert said == ['AT&T', 'x', 'https://example.org/'] and 'nh3' not in sys.modules\n"
        "print(plain('<b>x</b>', markup=True), clean_html('<map><b>y</b></map>', base='https://example.org/'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["x", "<b>y</b>"]


def test_styles_are_written_inline_without_an_http_client():
    page = "<html><head><style>p { color: #123456 }</style></head><body><p>x</p></body></html>"
    code = (
        f"import sys; from digest.render.inline import inline; assert 'style=' in inline({page!r})\n"
        "print('requests' in sys.modules, 'urllib3' in sys.modules); import requests; requests.get"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Statements, as databases are asked them."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("command", "most"), [("status", 43), ("run", 91)])
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


def begun_by(*files: str) -> set[str]:
    """What these files of ours import as they are imported, and so on: not what they import where they use it."""
    found, waiting = set(), list(files)
    while waiting:
        name = waiting.pop()
        path = house.PACKAGE / f"{name.replace('.', '/')}.py"
        if name in found or not path.is_file():  # a room's list is looked at when something of it is asked for
            continue
        found.add(name)
        for node in house.tree(path).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "digest":
                place = (node.module or "").partition(".")[2]
                waiting += [place, *(f"{place}.{alias.name}".lstrip(".") for alias in node.names)]
    return found


def test_composing_imports_no_tables_of_what_it_seldom_has_to_do_with():
    begun = begun_by("edition.compose", "edition.laying_out")
    assert {"edition.variants", "render.templates", "store.story_tables"} <= begun
    seldom = RARE - {"archive_tables", "feed_tables", "keep_tables", "picture_tables", "story_tables"}
    assert begun & {f"store.{name}" for name in seldom} == set()
    assert "edition.held" not in begun, "what an editor may do, where editions wait for none"


def test_delivering_imports_no_tables_of_what_seldom_comes_back():
    begun = begun_by("deliver.run", "deliver.delivery", "deliver.ledger")
    assert {"store.outbox_marks", "store.refusals"} <= begun
    assert begun & {f"store.{name}" for name in RARE} <= {f"store.{n}_tables" for n in ("feed", "picture", "story")}


def test_a_run_with_something_new_has_python_compile_no_dataclass_of_ours():
    begun = begun_by(
        *("collect.run", "collect.workers", "parse.worker", "edition.admit", "edition.compose", "edition.laying_out"),
        *("edition.variants", "render.templates", "deliver.run", "deliver.delivery", "deliver.ledger"),
    )
    assert compiled(sorted(f"digest.{name}" for name in begun if name)) == []


BESIDE = """
import multiprocessing, sys
from digest.cli import main
if __name__ == "__main__":
    sys.argv[1:] = ["--version"]
    try:
        main()
    except SystemExit:
        pass
    words = "import sys; print('digest.cli' in sys.modules, 'typer' in sys.modules)"
    beside = multiprocessing.get_context("spawn").Process(target=exec, args=(words,))
    beside.start()
    beside.join()
"""


def test_a_process_beside_a_command_imports_nothing_of_commands(tmp_path):
    script = tmp_path / "as_installed"
    script.write_text(BESIDE, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
