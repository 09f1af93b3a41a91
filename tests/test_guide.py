"""What is written for people: found where digest is installed, and true to the files that it quotes."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import Done

import digest as package
from digest.cli import machine, shipped

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IN_WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]


# ---------------------------------------------------------------- digest help


def test_help_names_the_pages_and_shows_one(digest):
    listed: Done = digest("help")
    assert listed.returncode == 0
    topics = [line.split("\t") for line in listed.stdout.splitlines()[1:]]
    assert dict(topics)["delivering"] == "Delivering" and len(topics) == len(shipped.pages())
    for topic, _ in topics:
        assert digest("help", topic).stdout == shipped.pages()[topic].read_text(encoding="utf-8")


def test_a_page_is_found_by_its_file_too(digest):
    assert digest("help", "docs/Serving.md").stdout == digest("help", "serving").stdout


def test_an_unknown_page_is_answered_with_those_that_there_are(digest):
    done = digest("help", "cron")
    assert done.returncode == 66 and "no page 'cron'" in done.stderr and "delivering" in done.stderr


def test_on_a_terminal_a_page_is_laid_out(digest, monkeypatch):
    monkeypatch.setattr("digest.cli.terminal.Inert.isatty", lambda self: True, raising=False)
    shown = digest("help", "templates").stdout
    assert "The look of the mail" in shown and "# The look of the mail" not in shown


def test_every_page_goes_into_the_wheel_under_the_name_it_has_here():
    inside = {Path(target).stem: ROOT / source for source, target in IN_WHEEL.items() if "digest/docs/" in target}
    assert inside == shipped.pages()


def test_what_the_wheel_takes_from_beside_the_package_is_in_the_source_archive_too():
    packed = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for source in IN_WHEEL:
        assert any(source == one or source.startswith(f"{one}/") for one in packed), source
        assert (ROOT / source).exists(), source


def test_the_package_says_that_it_is_typed():
    assert (Path(package.__file__).parent / "py.typed").is_file()


def test_what_is_said_to_people_names_pages_that_are_installed():
    told = [*(ROOT / "digest").rglob("*"), *(ROOT / "templates").rglob("*")]
    for path in told:
        if path.suffix in (".py", ".toml", ".html", ".txt", ".po"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"docs/\w+\.md", text), f"{path} cites a file that is not installed"
            for topic in re.findall(r"`digest help ([\w-]+)`", text):
                assert topic in shipped.pages(), f"{path} names the page {topic}"


def test_links_between_pages_lead_to_files():
    for page in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


# ---------------------------------------------------------------- digest init --cron, --systemd, --nginx


@pytest.mark.parametrize(
    ("file", "kind"), [("digest.service", "ini"), ("nginx.conf", "nginx"), ("nginx-below.conf", "nginx")]
)
def test_the_guide_quotes_the_files_that_are_printed(file, kind):
    assert f"```{kind}\n{shipped.example(file)}```" in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.fixture
def odd(digest, tmp_path) -> Path:
    """An installation in a folder whose name wants quotes of every kind."""
    folder = tmp_path / "my news 100% $x"
    assert digest("init", folder).returncode == 0
    return folder


def test_the_line_for_cron_has_the_paths_of_this_installation(digest, odd):
    done = digest("init", odd, "--cron")
    line = next(line for line in done.stdout.splitlines() if line.startswith("*/10"))
    assert "/srv/newsletter" not in done.stdout and not re.search(r"(?<!\\)%", line)
    words = shlex.split(line.removeprefix("*/10 * * * *").replace(r"\%", "%"))  # as cron hands it to the shell
    assert words[words.index("-c") + 1] == str(odd / "digest.toml") and f">>{odd / 'digest.log'}" in words
    assert Path(words[0]).parent == Path(sys.executable).parent


def test_the_unit_may_write_where_its_database_is_and_see_what_it_needs(digest, odd, tmp_path):
    done = digest("init", odd, "--systemd", DIGEST_DATABASE=str(tmp_path / "data" / "digest.db"))
    assert done.returncode == 0 and "/srv/newsletter" not in done.stdout
    quoted = str(odd).replace("%", "%%")
    assert f"WorkingDirectory={quoted}\n" in done.stdout
    assert f'ReadWritePaths="{quoted}" {tmp_path / "data"}\n' in done.stdout
    assert f'-c "{quoted.replace("$", "$$")}/digest.toml" serve' in done.stdout


@pytest.mark.parametrize(
    ("folder", "line"),
    [("/home/ada/news", "ProtectHome=read-only"), ("/tmp/news", "PrivateTmp=false")],
)
def test_the_unit_hides_nothing_that_the_service_needs(folder, line):
    place = machine.Place(("/usr/bin/digest",), Path(folder) / "digest.toml", (Path(folder),), "")
    assert f"\n{line}\n" in machine.systemd(place)


def test_nginx_is_told_the_path_of_base_url(digest):
    assert digest("init").returncode == 0
    assert "location / {" in digest("init", "--nginx").stdout
    assert (
        "location /mail/digest/ {" in digest("init", "--nginx", DIGEST_BASE_URL="https://x.example/mail/digest").stdout
    )


def test_what_is_only_printed_makes_nothing(digest, tmp_path):
    done = digest("init", tmp_path / "new", "--cron")
    assert done.returncode == 66 and "digest init" in done.stderr and not (tmp_path / "new").exists()
    assert digest("init", "--cron", "--nginx").returncode == 64
