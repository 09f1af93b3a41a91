"""What is written for people: found where digest is installed, and true to the files that it quotes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import Done

import digest as package
from digest.cli import machine, shipped
from digest.config import load

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
    ("page", "file", "kind"),
    [
        ("serving", "digest.service", "ini"),
        ("serving", "nginx.conf", "nginx"),
        ("serving", "nginx-below.conf", "nginx"),
        ("serving", "Caddyfile", "caddy"),
        ("installing", "digest-run.timer", "ini"),
    ],
)
def test_the_guide_quotes_the_files_that_are_printed(page, file, kind):
    assert f"```{kind}\n{shipped.example(file)}```" in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def test_the_run_hides_from_the_machine_what_the_pages_do():
    def sandbox(name: str) -> list[str]:
        return [
            line
            for line in shipped.example(name).splitlines()
            if re.match("Protect|Private|Restrict|NoNew|System", line)
        ]

    assert sandbox("digest-run.service") == sandbox("digest.service") != []


def has(program: str) -> str:
    """Where it is, or the test is skipped."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"no {program} on this machine")
    return found


def accepted(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["/srv/newsletter", "/srv/my news 100% $x"])
def test_systemd_takes_the_units(tmp_path, folder):
    verify = has("systemd-analyze")
    command = Path(sys.executable)  # which is there, and may be run
    place = machine.Place((str(command),), Path(folder) / "digest.toml", (Path(folder),), "https://x.example")
    for name, maker in (
        ("digest.service", "systemd"), ("digest-run.service", "run-service"), ("digest-run.timer", "timer"),
    ):  # fmt: skip
        (tmp_path / name).write_text(machine.MAKERS[maker](place))
    said = accepted(verify, "verify", "--man=no", *(tmp_path / f"digest{kind}" for kind in (".service", "-run.timer")))
    assert "digest" not in said, said


@pytest.mark.parametrize("base_url", ["https://news.example.org", "https://example.org/my%20news"])
def test_caddy_takes_its_file(tmp_path, base_url):
    caddy = has("caddy")
    place = machine.Place(("/usr/bin/digest",), tmp_path / "digest.toml", (tmp_path,), base_url)
    (tmp_path / "Caddyfile").write_text(machine.caddy(place))
    adapted = accepted(caddy, "adapt", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile")
    assert "127.0.0.1:8000" in adapted and ("/my news/*" in adapted) is ("my%20news" in base_url)


def test_logrotate_takes_its_file(digest, odd, tmp_path):
    logrotate = has("logrotate")
    (odd / "digest.log").write_text("deliver: 0 sent\n")
    (tmp_path / "conf").write_text(digest("init", odd, "--logrotate").stdout)
    assert str(odd / "digest.log") in accepted(logrotate, "--debug", "--state", tmp_path / "state", tmp_path / "conf")


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
    place = machine.Place(("/usr/bin/digest",), Path(folder) / "digest.toml", (Path(folder),), "https://x.example")
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


# ---------------------------------------------------------------- digest init with answers


def test_what_init_is_told_stands_in_the_settings(digest, tmp_path):
    said = {
        "--newsletter": "weekly-ai", "--title": 'The "AI" \\ digest', "--from": "AI <ai@example.org>",
        "--reply-to": "editor@example.org", "--schedule": "weekly mon 08:00 Europe/Berlin", "--language": "de",
        "--postal-address": "Example, 10115 Berlin", "--base-url": "https://news.example.org/ai",
        "--relay": "smtps://ai@mail.example.org", "--contact": "ops@example.org", "--database": "data.db",
    }  # fmt: skip
    done = digest("init", tmp_path / "new", *(word for pair in said.items() for word in pair))
    assert done.returncode == 0, done.stderr
    config = load(tmp_path / "new" / "digest.toml")
    ((name, paper),) = config.newsletters.items()
    assert (name, paper.title, paper.sender, paper.reply_to) == (
        "weekly-ai", 'The "AI" \\ digest', "AI <ai@example.org>", "editor@example.org",
    )  # fmt: skip
    assert (paper.schedule, paper.language, paper.postal_address) == tuple(list(said.values())[4:7])
    assert (config.base_url, config.collect.contact) == ("https://news.example.org/ai", "ops@example.org")
    assert "ai@mail.example.org" in config.smtp.url.get_secret_value() and (tmp_path / "new" / "data.db").is_file()


@pytest.mark.parametrize(
    ("option", "answer", "told"),
    [
        ("--schedule", "sometimes", "is not a schedule"),
        ("--relay", "smtps://ai:secret@mail.example.org", "a password in an option"),
        ("--newsletter", "Weekly AI", "cannot be called"),
        ("--title", "\x7f", "TOML"),
    ],
)
def test_an_answer_that_is_no_good_makes_nothing(digest, tmp_path, option, answer, told):
    done = digest("init", tmp_path / "new", option, answer)
    assert done.returncode in (64, 78) and told in done.stderr and "secret@" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_answers_change_no_settings_that_are_there(digest, tmp_path):
    digest("init", tmp_path)
    before = (tmp_path / "digest.toml").read_bytes()
    done = digest("init", tmp_path, "--title", "Other")
    assert done.returncode == 64 and "is there already" in done.stderr
    assert (tmp_path / "digest.toml").read_bytes() == before
