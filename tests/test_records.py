"""What is written down of what is done: the log, and the history of runs."""

from __future__ import annotations

import json
import os
import signal
import stat
from datetime import timedelta

import pytest
from conftest import MONDAY
from sqlmodel import select

from digest import deliver, line
from digest.cli.common import Options
from digest.cli.progress import telling
from digest.cli.record import recorded
from digest.config import from_values
from digest.errors import StorageError
from digest.observe.log import Log
from digest.observe.masks import Mask, secrets_of
from digest.store import clock as clocks
from digest.store import open_database, runs
from digest.store.run_tables import Run
from digest.web.logged import Asked

SETTINGS = """
database = "digest.db"
secret_key = "a key for tests, long enough"
[smtp]
url = "smtp://ada:s3cr%2Ft@127.0.0.1:1"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
"""


@pytest.fixture
def ready(digest, tmp_path):
    digest("init")
    (tmp_path / "digest.toml").write_text(SETTINGS)
    (tmp_path / "digest.toml").chmod(0o600)
    return digest


def lines(path):
    return [json.loads(one) for one in path.read_text().splitlines()]


def newest(path, number=1):
    database = open_database(f"sqlite:///{path}/digest.db")
    with database.read() as session:
        found = runs.latest(session, limit=number)
    database.close()
    return found


# ---------------------------------------------------------------- the log


@pytest.mark.parametrize("command", ["run", "collect", "deliver"])
def test_a_log_has_what_is_said_with_time_and_run_and_the_talk_goes_on(ready, tmp_path, command):
    plain = ready(command)
    logged = ready(command, "--log", "here.log")
    assert logged.stderr == plain.stderr and logged.returncode == plain.returncode == 0
    first, *middle, last = (tmp_path / "here.log").read_text().splitlines()
    (name,) = {one.split()[1] for one in (first, *middle, last)}
    assert first.endswith(f"{name} {command} INFO {command} begins")
    assert last.endswith(f"{name} {command} INFO {command} ends, exit 0")
    assert [one.split(" INFO ")[1] for one in middle] == [" ".join(one.split()) for one in plain.stderr.splitlines()]
    assert newest(tmp_path)[0].name == name  # the same name stands in the history
    assert stat.S_IMODE((tmp_path / "here.log").stat().st_mode) == 0o600


def test_lines_of_json_hold_the_figures_of_what_is_told(ready, tmp_path):
    (tmp_path / "digest.toml").write_text(f'{SETTINGS}[log]\nfile = "logs.json"\nformat = "json"\n')
    ready("-q", "run")
    told = {one["event"]: one for one in lines(tmp_path / "logs.json")}
    assert told["collect_report"]["facts"]["asked"] == 0
    assert told["taken"]["facts"]["newsletter"] == "daily" and told["taken"]["level"] == "info"
    assert told["report"]["facts"]["sent"] == 0 and told["report"]["message"].startswith("deliver: 0 sent")
    assert told["ends"]["facts"]["exit_code"] == 0


def test_a_log_on_stderr_takes_the_place_of_the_talk(ready):
    done = ready("run", "--log-format", "json")
    assert {json.loads(one)["command"] for one in done.stderr.splitlines()} == {"run"}
    assert not ready("-q", "run", "--log", "-").stderr
    assert "no log format" in ready("run", "--log-format", "xml").stderr


@pytest.mark.parametrize("path", ["", ".", "no/such/folder/x.log", "a\0b", "pipe", "/dev/full", "digest.db/x"])
@pytest.mark.parametrize("command", ["run", "deliver"])
def test_a_log_that_cannot_be_written_stops_nothing_and_is_told_once(ready, tmp_path, path, command):
    os.mkfifo(tmp_path / "pipe")
    done = ready(command, "--log", path)
    assert done.returncode == 0 and done.stderr.count("cannot be written") == 1
    assert "deliver: 0 sent" in done.stderr


def test_a_log_tells_of_an_error_that_ends_a_command(ready, tmp_path, at):
    at(MONDAY - timedelta(days=4000))
    done = ready("run", "--log", "x.json", "--log-format", "json")
    *_, error, end = lines(tmp_path / "x.json")
    assert error["level"] == "error" and error["message"] in done.stderr
    assert end["facts"]["exit_code"] == done.returncode != 0
    (tmp_path / "digest.toml").write_text("nothing = 7")
    assert ready("run", "--log", "y.log").returncode == 78
    assert " ERROR " in (tmp_path / "y.log").read_text()


def test_a_log_that_was_moved_away_is_begun_anew(tmp_path, clock):
    log = Log("r", "run", clock, pytest.fail, pytest.fail, tmp_path / "a.log")
    log.note("info", "one")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    log.note("info", "two\n  and \x1b[31mits hint")
    assert (tmp_path / "a.log").read_text() == "2026-11-23T07:00:00.000Z r run INFO two and  [31mits hint\n"


WHO = [
    "ada@example.org", "mailto:ada@example.org", '"ada love"@example.org', "ada+x@ex-ample.org",
    "ada%40example.org", "https://x.example/leave?who=ada@example.org&x=1", "https://x.example/ada%40example.org/x",
    "550 5.1.1 <ada@example.org>: no", "{ada@example.org}", "ada=lists@example.org", "ada/b@example.org",
    "'ada'@example.org", "ada＠example.org", "ADA@EXAMPLE.ORG", "ada@[192.0.2.1]", "x:ada@localhost",
]  # fmt: skip


@pytest.mark.parametrize("words", WHO)
def test_nobody_is_named_in_a_log_unless_it_is_asked_for(words):
    assert "ada" not in Mask()(f"to {words}, it said").lower()
    assert "ada" not in json.dumps(Mask().of({words: [{"x": (words,)}]})).lower()
    assert "ada" in Mask(addresses=True)(words).lower()


@pytest.mark.parametrize("words", ["https://social.example/@ada", "a feed of @ada", "3 sent, 4 refused", "a@", "@"])
def test_what_is_no_address_stays(words):
    assert Mask()(words) in (words, words.replace("a@", "[address]"))


def test_no_secret_of_the_settings_gets_into_a_log(tmp_path):
    values = {
        "secret_key": "a key for tests, long enough",
        "former_secret_keys": ["an older key for tests"],
        "database": "postgresql://digest:dbp%40ss@db.example/digest",
        "smtp": {"relays": [{"url": "smtp://u:relay%2Fpass@mx.example:25"}, {"url": "smtp://m.example", "user": "u"}]},
        "collect": {"hosts": {"example.org": {"headers": {"X-Api-Key": "hostkey99"}}}},
        "web": {"metrics_token": "metrics-token-1234"},
        "mail": {"source": "imaps://in:mailpass@imap.example/INBOX"},
        "newsletters": {"daily": {"title": "D", "from": "d@d.example", "smtp": {"url": "smtp://o:ownpass@m.example"}}},
    }
    values["smtp"]["relays"][1]["password"] = "second pass"
    mask = Mask(secrets_of(from_values(values, tmp_path / "digest.toml", environment=False)), addresses=True)
    for secret in (
        "a key for tests, long enough", "an older key for tests", "dbp@ss", "dbp%40ss", "relay/pass", "relay%2Fpass",
        "hostkey99", "metrics-token-1234", "mailpass", "ownpass", "second pass",
    ):  # fmt: skip
        assert secret not in mask(f"it said {secret}!"), secret
    assert "pw" not in mask("asked https://user:pw-of-a-feed@feeds.example/x")


def test_refusals_name_nobody_in_the_log_and_the_operator_on_the_terminal(config, tmp_path, capsys, clock):
    options = Options()
    report = deliver.Report(refused=1, refusals=["ada@example.org: 550 5.1.1 <ada@example.org> no such user"])
    with recorded(options, "deliver", clock, str(tmp_path / "x.json"), "json") as record:
        record.knows(config)
        with telling(options, config) as tell:
            tell(report)
            tell(line.Unfit("daily", "daily: it cannot be made"))
    assert "ada@example.org" in capsys.readouterr().err
    said = (tmp_path / "x.json").read_text()
    assert "ada" not in said and "550 5.1.1" in said
    assert [(one["event"], one["level"]) for one in lines(tmp_path / "x.json")[1:-1]] == [
        ("report", "info"), ("report", "info"), ("unfit", "warning"),
    ]  # fmt: skip


def test_requests_and_letters_of_the_pages_are_logged_without_who_asked(config, tmp_path, clock, box, capsys):
    asked = Asked(MONDAY, "198.51.100.1", "GET", "/preferences/…", 200, 0.01)
    for name, addresses in (("a", False), ("b", True)):
        own = config.model_copy(update={"log": config.log.model_copy(update={"addresses": addresses})})
        with recorded(Options(), "serve", clock, str(tmp_path / name), "json") as record:
            record.knows(own)
            assert record.note_request(asked)
            record.sent(box, deliver.Report(sent=2))
            record.sent(box, deliver.Report())
        _, request, sent, end = lines(tmp_path / name)
        assert (request["event"], request["facts"]["status"]) == ("request", 200)
        assert ("198.51.100.1" in json.dumps(request)) is addresses
        assert sent["message"] == "deliver: 2 sent" and end["event"] == "ends"
    with box.read() as session:
        assert runs.totals(session)["sent"] == 4


# ---------------------------------------------------------------- the history


def test_the_history_tells_what_each_run_did(ready, tmp_path):
    ready("run")
    ready("collect")
    ready("run", "--dry-run")
    assert [(one.command, one.exit_code) for one in newest(tmp_path, 9)] == [("collect", 0), ("run", 0)]
    last, first = json.loads(ready("history", "--json").stdout)
    assert first["steps"]["deliver"]["sent"] == 0 and first["standing"] == "ended"
    assert first["newsletters"]["daily"]["stories"] == 0 and last["steps"].keys() == {"collect"}
    assert len(ready("history", "--limit", "1").stdout.splitlines()) == 2


def test_a_run_that_breaks_off_tells_why_and_what_it_did_till_then(ready, tmp_path, monkeypatch):
    def interrupted(*_given, **_named):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # asked again: at once

    monkeypatch.setattr(line, "deliver", interrupted)
    assert ready("run").returncode == 130
    (found,) = newest(tmp_path)
    assert (found.exit_code, found.trouble) == (130, "stopped") and found.steps["collect"]["asked"] == 0
    assert "broke off: stopped" in ready("history").stdout


def test_a_run_that_was_killed_did_not_end(box, clock):
    me = runs.this_process()
    with box.write() as session:
        for name, process in (
            ("a", me),
            ("b", f"{me}9"),
            ("c", "far 1 2"),
            ("d", ""),
        ):
            runs.begin(session, name=name, command="run", process=process, now=clock())
    with box.read() as session:
        standing = {one.name: runs.standing(one) for one in runs.latest(session, limit=9)}
        assert runs.last_ended(session, "run") is None
    assert standing["a"] == "under way" and standing["b"] == "did not end"
    assert standing["c"] == "did not end, or is under way on far" and "did not end" in standing["d"]


def test_sums_grow_and_runs_are_forgotten_but_not_by_a_clock_that_leapt(database, clock):
    def one(name, *, now):
        with database.write() as session:
            clocks.note_day(session, now=now)
            runs.begin(session, name=name, command="run", process="", now=now)
            runs.end(session, name, runs.Deed(0, letters={"sent": 3, "deferred": 0}), now=now)

    def known():
        with database.read() as session:
            return {run.name for run in session.exec(select(Run))}

    one("old", now=clock())
    with database.write() as session:
        assert runs.forget(session, keep=timedelta(days=90), now=clock.now + timedelta(days=400)) == 0
    one("new", now=clock.pass_(days=30))
    with database.write() as session:
        runs.forget(session, keep=timedelta(days=20), now=clock.pass_(days=1))
    assert known() == {"new"}
    with database.read() as session:
        assert runs.totals(session) == {"sent": 6, "refused": 0, "deferred": 0}


def test_a_history_that_cannot_be_written_stops_no_run(ready, monkeypatch):
    def full(*_given, **_named):
        raise StorageError("the disk is full")

    monkeypatch.setattr(runs, "begin", full)
    monkeypatch.setattr(runs, "end", full)
    done = ready("run")
    assert done.returncode == 0 and "deliver: 0 sent" in done.stderr
