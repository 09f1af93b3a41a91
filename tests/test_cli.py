"""The operator's door: what is typed in, what comes out, and how mistakes are answered."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_type_hints

import pytest
from conftest import MONDAY, Done
from forked import Command, unread
from sqlmodel import select
from typer.main import get_command

from digest.cli import app, terminal
from digest.cli.common import moment, print_rows
from digest.demo.site import FeedSite
from digest.errors import BadInput
from digest.models import Feed, OutboxRow, Subscriber
from digest.store import open_database
from digest.store.story_tables import Story

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("DIGEST_")} | {
    "DIGEST_COLLECT__ALLOW_PRIVATE_ADDRESSES": "true",
    "PYTHONPATH": str(Path(__file__).parent.parent),
    "BROWSER": "true",
}


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same as a process: for what only a process shows."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "digest", *map(str, words)],
            cwd=tmp_path,
            env=ENVIRONMENT | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def ready(digest):
    assert digest("init").returncode == 0
    return digest


@pytest.fixture
def site():
    with FeedSite(datetime.now(UTC)) as site:
        yield site


def sentence(done: Done, code: int) -> str:
    """What a mistake was answered with: one sentence and a hint, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    first, *hints = done.stderr.strip().splitlines()
    assert first.startswith("digest: ") and len(hints) <= 1
    return done.stderr


def test_a_newcomer_goes_from_nothing_to_a_mail(digest, site, tmp_path):
    digest("init")
    (tmp_path / "digest.toml").write_text(
        "\n".join(li for li in (tmp_path / "digest.toml").read_text().splitlines() if not li.startswith("schedule"))
    )
    for url, _title, _topic in site.urls[:3]:
        done = digest("feed", "add", url)
        assert done.returncode == 0, done.stderr
    assert digest("subscriber", "add", "ada@example.org", "--name", "Ada").returncode == 0
    rehearsal = digest("run", "--dry-run")
    assert rehearsal.returncode == 0 and "nothing was stored or sent" in rehearsal.stdout
    assert not (tmp_path / "maildir").exists()
    shown = digest("preview", "--text")
    assert shown.returncode != 0  # nothing is collected yet
    done = digest("run")
    assert done.returncode == 0, done.stderr
    assert "no smtp.url is set" in done.stderr and "1 sent" in done.stderr
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 1
    assert "0 sent" in digest("run").stderr
    (line,) = json.loads(digest("edition", "list", "--json").stdout)
    assert line["number"] == 1 and line["letters"] == {"sent": 1}
    assert json.loads(digest("edition", "show", 1, "--json").stdout)["stories"]
    assert json.loads(digest("outbox", "list", "--json").stdout)[0]["email"] == "ada@example.org"
    assert json.loads(digest("status", "--json").stdout)["letters"] == {"sent": 1}
    assert digest("preview", "--edition", 1, "--out", "past.html", "--no-open").returncode == 0
    assert (tmp_path / "past.html").read_text().lstrip().startswith("<!DOCTYPE html>")


def test_init_twice_changes_nothing(ready, tmp_path):
    before = (tmp_path / "digest.toml").read_bytes()
    assert stat.S_IMODE((tmp_path / "digest.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "digest.db").stat().st_mode) == 0o600
    done = ready("init")
    assert done.returncode == 0 and "left as it is" in done.stderr
    assert (tmp_path / "digest.toml").read_bytes() == before
    assert len(done.stdout.splitlines()) == 3


def test_quiet_says_nothing(ready, tmp_path):
    process = Command("-q", "run", cwd=tmp_path, env=ENVIRONMENT)
    assert (process.communicate(timeout=120), process.returncode) == (("", ""), 0)


def test_no_settings_is_told_with_the_cure(digest):
    assert "digest init" in sentence(digest("status"), 66)


def test_settings_of_someone_else_are_told(ready, tmp_path):
    (tmp_path / "digest.toml").write_text("title = [")
    assert "is not valid TOML" in sentence(ready("status"), 78)


@pytest.mark.parametrize("command", [("run",), ("preview",), ("subscriber", "list"), ("edition", "list")])
def test_a_wrong_database_path_is_told(ready, tmp_path, command):
    assert "there is no database" in sentence(ready(*command, DIGEST_DATABASE="elsewhere/x.db"), 66)
    assert not (tmp_path / "elsewhere").exists()


def test_init_puts_everything_beside_the_settings_that_are_named(digest, tmp_path):
    done = digest("-c", "news/my.toml", "init")
    assert done.returncode == 0 and "digest -c news/my.toml run" in done.stdout
    assert sorted(path.name for path in (tmp_path / "news").iterdir()) == ["digest.db", "my.toml"]
    assert [path.name for path in tmp_path.iterdir()] == ["news"]
    assert "both a folder and --config" in sentence(digest("-c", "news/my.toml", "init", "elsewhere"), 64)


def test_an_empty_file_is_no_database(ready, tmp_path):
    (tmp_path / "digest.db").write_bytes(b"")
    assert "is an empty file" in sentence(ready("subscriber", "add", "ada@example.org"), 66)
    assert (tmp_path / "digest.db").stat().st_size == 0
    assert ready("init").returncode == 0 and ready("status").returncode == 0


def test_a_database_of_a_newer_release_is_told(ready, tmp_path):
    with sqlite3.connect(tmp_path / "digest.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer digest" in sentence(ready("run"), 74)


def test_a_folder_that_cannot_be_written_is_told(digest):
    assert "cannot write" in sentence(digest("init", "/proc/nowhere"), 74)


def test_an_edition_that_is_not_there_is_told(ready):
    assert "no edition 7" in sentence(ready("edition", "show", 7), 66)
    assert "no edition 7" in sentence(ready("preview", "--edition", 7), 66)


def test_a_state_that_is_none_is_told(ready):
    assert "one of: owed" in sentence(ready("outbox", "list", "--state", "lost"), 64)


def test_a_mistyped_command_stays_typers_2(process):
    assert process("statsu").returncode == 2


def test_a_mistake_is_answered_by_the_process_too(process):
    assert "digest init" in sentence(process("status"), 66)


@pytest.mark.parametrize("noun", [[], ["feed"], ["edition"], ["story"], ["topic"], ["outbox"], ["subscriber"]])
def test_help_says_in_one_line_what_each_command_does(digest, noun):
    commands = digest(*noun, "-h").stdout.partition("Commands:\n")[2].splitlines()
    assert len(commands) >= 3
    assert [line for line in commands if not re.fullmatch(r"  [a-z-]+  +[A-Z].*\.", line) or line.endswith("..")] == []


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (
            60,
            [
                "id  title                            at                state",
                "1   A long title that wraps where    2026-11-23 07:00  owed",
                "    it must",
                "2   Kurz                             2026-11-23 07:00  sent",
            ],
        ),
        (
            20,
            [
                "id     1",
                "title  A long title that wraps where it must",
                "at     2026-11-23 07:00",
                "note   -",
                "state  owed",
                "",
            ],
        ),
    ],
)
def test_a_listing_fits_the_terminal(monkeypatch, capsys, columns, shown):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "25")
    monkeypatch.setenv("TERM", "dumb")
    rows = [
        (1, "A long title that wraps where it must", MONDAY.replace(tzinfo=None), "", "owed"),
        (2, "Kurz", MONDAY.replace(tzinfo=None), "", "sent"),
    ]
    print_rows(("id", "title", "at", "note", "state"), rows)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()][: len(shown)] == shown


def test_a_feed_that_is_none_is_told_and_not_stored(ready, site):
    broken = site.urls[-1][0]
    assert "500" in sentence(ready("feed", "add", broken), 65)
    assert json.loads(ready("feed", "list", "--json").stdout) == []


def test_a_mail_server_that_is_down_fails_the_run_and_loses_nothing(ready, site):
    ready("feed", "add", site.urls[0][0])
    ready("subscriber", "add", "ada@example.org")
    quiet = ("-q", "run")
    done = ready(*quiet, DIGEST_SMTP__URL="smtp://127.0.0.1:1", DIGEST_NEWSLETTERS__DAILY__SCHEDULE="")
    assert done.returncode == 69
    assert "no connection to 127.0.0.1:1" in done.stderr and "stays owed" in done.stderr
    assert json.loads(ready("status", "--json").stdout)["letters"] == {"owed": 1}
    assert ready("deliver").returncode == 0


def test_a_newsletter_with_a_wrong_template_does_not_stop_the_others(ready, site, tmp_path):
    (tmp_path / "edition.html").write_text("{% if %}")
    path = tmp_path / "digest.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("schedule")]
    good = '\n[newsletters.good]\ntitle = "Good"\nfrom = "Good <good@example.org>"\n'
    path.write_text("\n".join(lines).replace("[newsletters.daily]", '[newsletters.daily]\ntemplates = "."') + good)
    for name in ("daily", "good"):
        assert ready("feed", "add", "--no-check", site.urls[0][0], "-n", name).returncode == 0
        assert ready("subscriber", "add", "ada@example.org", "-n", name).returncode == 0
    done = ready("run", "--json")
    assert done.returncode == 78 and "edition.html" in done.stderr and "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    assert told["unfit"] == ["daily"] and told["deliver"]["sent"] == 1


@pytest.mark.long
def test_a_reader_that_goes_away_is_no_error(ready, tmp_path):
    process = Command("-q", "topic", "list", "--json", cwd=tmp_path, env=ENVIRONMENT, first=[partial(unread, 1)])
    assert (process.communicate(timeout=120), process.returncode) == (("", ""), 0)
    done = subprocess.run(
        f"{sys.executable} -m digest -q status | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exit_code_tells_what_a_run_did_and_not_who_read_about_it(ready, tmp_path):
    with (tmp_path / "digest.toml").open("a") as file:
        for number in range(25):  # more than Python writes at once
            file.write(f'\n[newsletters.paper{number}]\ntitle = "Paper"\nfrom = "n@example.org"\n')
    assert ready("feed", "add", "--no-check", "http://127.0.0.1:1/feed.xml", "-n", "daily").returncode == 0
    assert len(ready("-q", "run", "--force", "--json").stdout) > io.DEFAULT_BUFFER_SIZE
    words = ("-q", "run", "--force", "--json")
    process = Command(*words, cwd=tmp_path, env=ENVIRONMENT, first=[partial(unread, 1)])
    assert (process.communicate(timeout=120), process.returncode) == (("", ""), 69)


def test_interrupting_a_run_is_told_in_words(ready, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        ready("feed", "add", "--no-check", f"http://127.0.0.1:{silent.getsockname()[1]}/feed.xml")
        process = Command("run", cwd=tmp_path, env=ENVIRONMENT)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped" in said and "Traceback" not in said


def test_the_demo_shows_the_whole_line(digest, tmp_path):
    done = digest("demo", "--no-open", "--out", "mails", DIGEST_SMTP__URL="smtp://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "3 sent" in done.stderr and "answers 500" in done.stderr
    assert len(list((tmp_path / "mails").glob("*.eml"))) == 3
    assert (tmp_path / "mails" / "mail.html").is_file()
    assert done.stdout.strip().endswith("mail.html")


# What moves a cursor, sets a title, turns text around, forges a line, or is markup to what prints it.
ACTS = "\x1b[31m\x1b]0;title\x07\x9b31m\x7f\x08\r\u202e\u2066"
STRANGE = f"{ACTS}[red]odd[/red]"


def test_what_strangers_say_acts_on_no_terminal(ready, site, inbox, tmp_path, monkeypatch):
    toml = tmp_path / "digest.toml"
    toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith("schedule")))
    ready("feed", "add", site.urls[0][0])
    ready("subscriber", "add", "ada@example.org")
    inbox.refuse["ada@example.org"] = f"550 5.1.1 {ACTS.encode('utf-8', 'ignore').decode('latin-1')}[red]odd[/red]"
    monkeypatch.setenv("DIGEST_SMTP__URL", inbox.url)
    said = [ready("run"), ready("send-test", "ada@example.org")]
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    with database.write() as session:
        for kind, name in (
            (Feed, "title"),
            (Feed, "error"),
            (Story, "title"),
            (Subscriber, "name"),
            (OutboxRow, "reply"),
        ):
            for row in session.exec(select(kind)):
                setattr(row, name, STRANGE)
                session.add(row)
    database.close()
    for words in (
        "status", "feed list", "feed list --health", "feed show 1", "story list", "story show 1", "why 1", "audit",
        "edition list", "edition show 1", "outbox list", "outbox show 1", "subscriber list",
        "subscriber show ada@example.org", "collect --force",
    ):  # fmt: skip
        said += [ready(*words.split()), ready(*words.split(), "--json")]
        assert isinstance(json.loads(said[-1].stdout), list | dict)
    said += [ready("subscriber", "export"), ready("feed", "export"), ready("preview", "--edition", 1, "--text")]
    said += [ready("feed", "show", STRANGE), ready("subscriber", "show", STRANGE), ready("why", STRANGE)]
    for done in said:
        assert "Traceback" not in done.stderr
        for text in (done.stdout, done.stderr):
            assert not set(text) & set(ACTS.replace("31m", "").replace("]0;title", "").replace("[", ""))
    assert any("[red]odd[/red]" in done.stdout for done in said)


def test_markup_of_strangers_is_none_in_a_table_either(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    print_rows(("id", "title"), [(1, STRANGE)])
    shown = capsys.readouterr().out
    assert "[red]odd[/red]" in shown and not set(shown) & set("\x1b\x07\x9b\x7f\x08\r\u202e\u2066")


def test_json_says_the_same_and_does_nothing():
    said = terminal.inert_json(json.dumps(STRANGE, ensure_ascii=False))
    assert json.loads(said) == STRANGE and said == terminal.inert(said)


@pytest.mark.parametrize(
    "words", ["9999-12-31", "0001-01-01", "1979-12-31T23:59", "2201-01-01", "0001-01-01T00:00+23:59", "tomorrow", ""]
)
def test_a_moment_that_is_none_or_out_of_reach_gets_a_sentence(ready, words):
    with pytest.raises(BadInput, match=r"out of reach|is no moment"):
        moment(words)
    if words:
        sentence(ready("preview", "--at", words), 65)


NUMBERS = ("-1", "9" * 25, "nan")
CODES = {0, 1, 2, 64, 65, 66, 69, 71, 74, 75, 78, 130}  # those of the README; 70 would be a mistake of ours


def _numbers(command, path=()):
    """Every command with a number in it, each of its numbers replaced in turn."""
    for name, below in getattr(command, "commands", {}).items():
        yield from _numbers(below, (*path, name))
    if hasattr(command, "commands") or path in (("serve",), ("demo",)):
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    kinds = {name: str(kind) for name, kind in get_type_hints(command.callback).items()}
    for param in command.params:
        if not re.search(r"\b(int|float)\b", kinds.get(param.name, "")):
            continue
        for value in NUMBERS:
            given = [value if one is param else "1" for one in arguments]
            option = [f"{param.opts[0]}={value}"] if param.param_type_name == "option" else []
            needed = ["--config=digest.toml"] if path == ("backtest",) else []
            yield [*path, *needed, *option, "--", *given]


@pytest.mark.long
def test_a_number_of_any_size_gets_an_answer(ready):
    asked = list(_numbers(get_command(app)))
    assert len(asked) > 60 and {words[0] for words in asked} > {"story", "outbox", "edition", "backtest", "preview"}
    for words in asked:
        done = ready(*words)
        assert done.returncode in CODES and "Traceback" not in done.stderr, (words, done)


@pytest.mark.parametrize(
    ("login", "options", "code"),
    [
        ("me:hunter2@", "", 74),
        ("me:a:hunter2@", "?connect_timeout=2", 74),
        ("me:hunter2@", "?nonsense=hunter2", 78),
        ("", "?user=me&password=hunter2", 74),
        ("me:x@hunter2@", "", 78),
        ("me:x/hunter2@", "", 78),
        ("me:x#hunter2@", "", 78),
    ],
)
def test_a_database_that_cannot_be_had_is_told_without_its_password(ready, login, options, code):
    pytest.importorskip("psycopg")
    for words in (("status",), ("status", "--json"), ("run",)):
        done = ready(*words, DIGEST_DATABASE=f"postgresql://{login}127.0.0.1:1/digest{options}")
        assert "hunter2" not in sentence(done, code) + done.stdout


def test_a_missing_driver_is_told_with_a_cure_for_this_python(ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = sentence(ready("status", DIGEST_DATABASE="postgresql://me@127.0.0.1:1/digest"), 78)
    assert f"{sys.executable} -m pip install 'digest-newsletter[postgres]'" in said
