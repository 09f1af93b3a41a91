#!/usr/bin/env python3
"""What a start costs: `digest --help`, `digest status` and a `digest run` with nothing due, beside Python's own.

    python benchmarks/start.py [--quick] [--json] [--rounds N]

Processes in turn, fifteen rounds (five with --quick), the median of their CPU time, user and system: what others do on
the machine counts little so. The database has one newsletter, one feed that is not due, and a reader. Goals: --help at
most 8 x `python -c pass`; status at most 1.25 x and run at most 1.5 x `python -c "import sqlmodel"`.

"the parts alone" is what the parts that were chosen cost whoever uses them so, with no line of ours: SQLModel and Typer
imported, as many tables as status knows and mapped, settings in one model, a SQLite file opened and asked one thing;
garbage looked for as seldom as we do. What status takes beyond it is ours.

Beyond `import sqlmodel` status takes, of its instructions (counted by valgrind, which other work does not disturb),
some 15 of 100 for the twelve tables of `models`, made and first asked, 9 for the settings, whose validator
Pydantic makes anew in each process, 5 for Typer and what reads settings; the rest are statements, compiled anew.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PARTS = """
import gc
gc.set_threshold(200_000)
import typer, pydantic_settings, sqlmodel, sqlalchemy.orm
sqlmodel.SQLModel.model_config["defer_build"] = True
columns = {f"c{n}": int if n % 2 else str for n in range(7)}
for number in range(15):
    told = {"__annotations__": {"id": int | None} | columns, "__module__": __name__, "__qualname__": f"T{number}"}
    told["id"] = sqlmodel.Field(default=None, primary_key=True)
    type(sqlmodel.SQLModel)(f"T{number}", (sqlmodel.SQLModel,), told, table=True)
sqlalchemy.orm.configure_mappers()
class Settings(pydantic_settings.BaseSettings):
    __annotations__ = columns
    c0 = c2 = c4 = c6 = ""
    c1 = c3 = c5 = 0
Settings()
engine = sqlmodel.create_engine("sqlite:///parts.db")
with sqlmodel.Session(engine) as session:
    session.exec(sqlmodel.text("SELECT 1")).all()
app = typer.Typer()
app.command()(lambda: None)
app([], standalone_mode=False)
gc.freeze()
"""
DIGEST = [sys.executable, "-c", "from digest.cli import main; main()"]  # as the installed program does
WAYS = {
    "pass": [sys.executable, "-c", "pass"],
    "import typer": [sys.executable, "-c", "import typer"],
    "import sqlmodel": [sys.executable, "-c", "import sqlmodel"],
    "the parts alone": [sys.executable, "-c", PARTS],
    "--help": [*DIGEST, "--help"],
    "status": [*DIGEST, "-q", "status"],
    "run": [*DIGEST, "-q", "run"],
}
# What is measured, against what, and how many times that it may take.
GOALS = {
    "the parts alone": ("import sqlmodel", None),
    "--help": ("pass", 8.0),
    "status": ("import sqlmodel", 1.25),
    "run": ("import sqlmodel", 1.5),
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cpu(command: list[str], folder: Path) -> float:
    """Seconds of CPU time that a process takes, with those that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(folder: Path) -> None:
    """An installation on which nothing is due, all of whose bytecode is there."""
    for words in (
        ["init"],
        ["feed", "add", "--no-check", "http://127.0.0.1:9/feed.xml"],
        ["subscriber", "add", "ada@example.org"],
    ):
        subprocess.run([*DIGEST, *words], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    subprocess.run([*DIGEST, "-q", "run"], cwd=folder, env=ENVIRONMENT, check=False, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.rounds or (5 if options.quick else 15)):
            for way, command in WAYS.items():
                took[way].append(cpu(command, folder))
    medians = {way: statistics.median(seconds) for way, seconds in took.items()}
    ratios = {way: round(medians[way] / medians[against], 2) for way, (against, _) in GOALS.items()}
    if options.json:
        print(json.dumps({"cpu_ms": {way: round(1000 * s) for way, s in medians.items()}, "times": ratios}))
        return
    for way, seconds in medians.items():
        against, most = GOALS.get(way, ("", None))
        goal = f", goal {most:g}" if most else ""
        told = f"  {ratios[way]:5.2f} x {against}{goal}" if against else ""
        print(f"{way:<16} {1000 * seconds:6.0f} ms{told}")


if __name__ == "__main__":
    main()
