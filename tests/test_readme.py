"""What the README and the pages of commands and settings say is there, is; and what is there, they say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from digest.cli import app
from digest.config import Config, Section

ROOT = Path(__file__).parent.parent
README, COMMANDS, SETTINGS = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/commands.md", "docs/settings.md")
)


def commands(command: Any, *words: str) -> Iterator[str]:
    """Every command below `command`, as it is typed: `digest feed add`."""
    below = getattr(command, "commands", {})
    if not below:
        yield " ".join(words)
    for name, one in below.items():
        if not one.hidden:
            yield from commands(one, *words, name)


def settings() -> Iterator[str]:
    models: list[type[BaseModel]] = [Config, *Section.__subclasses__()]
    for model in models:
        for name, field in model.model_fields.items():
            yield field.alias or name


@pytest.mark.parametrize("command", sorted(commands(typer.main.get_command(app), "digest")))
def test_every_command_is_shown_by_example(command):
    assert re.search(rf"{command}\b", COMMANDS), f"docs/commands.md does not show `{command}`"


def helps(command: Any) -> Iterator[str]:
    below = getattr(command, "commands", {})
    yield from [text for one in below.values() for text in helps(one)] if below else [command.help]


def test_each_example_of_the_help_is_a_line_that_can_be_typed():
    """Filled into a paragraph two would run together, and `--dry-run` be broken within."""
    for text in helps(typer.main.get_command(app)):
        assert re.search(r"\n\n\x08\n(?:Example: digest \S.*\n?)+(?:\n|$)", text), text
        assert text.count("Example: ") == len(re.findall(r"^Example: ", text, re.M)), text


def test_every_command_that_is_shown_exists():
    known = set(commands(typer.main.get_command(app), "digest"))
    groups = {" ".join(c.split()[:2]) for c in known}
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", README + COMMANDS, re.M | re.S):
        for line in block.splitlines():
            shown = re.match(r" *digest(?: -\S+)* ([a-z-]+)(?: ([a-z-]+))?", line)
            if shown:
                one, two = f"digest {shown[1]}", f"digest {shown[1]} {shown[2]}"
                assert one in known or two in known or (" --" in two and one in groups), line
                assert one in known or one in groups, line


@pytest.mark.parametrize("key", sorted(set(settings())))
def test_every_setting_is_told(key):
    assert f"`{key}`" in SETTINGS or f"`[{key}" in SETTINGS, f"docs/settings.md does not tell the setting `{key}`"


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_line_for_cron_runs_in_its_empty_environment(tmp_path):
    (line,) = re.findall(r"^\*/\d+ \* \* \* \* (.*)$", (ROOT / "crontab.example").read_text(), re.M)
    stub = tmp_path / "venv" / "bin" / "digest"
    stub.parent.mkdir(parents=True)
    stub.write_text(f'#!/bin/sh\necho "$@"\nexit $(cat {tmp_path}/code)\n')
    stub.chmod(0o755)
    for code, mailed in ((0, ""), (75, ""), (69, "-c")):
        (tmp_path / "code").write_text(str(code))
        done = subprocess.run(
            ["env", "-i", "/bin/sh", "-c", line.replace("/srv/newsletter", str(tmp_path))],
            capture_output=True,
            text=True,
        )
        assert mailed in done.stdout and bool(done.stdout) == bool(mailed) and not done.stderr
    assert (tmp_path / "digest.log").read_text().count("digest.toml run") == 3
