"""What the settings name outside themselves is opened and judged before a run does anything."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest

from digest.cli import files
from digest.config import exposed
from digest.render import apart

PAPER = 'title = "Daily"\nfrom = "Daily <news@news.example>"\n'


@pytest.fixture
def write(digest, tmp_path):
    """Settings with these lines in `[smtp]`, `[curate]` and the newsletter, an empty database, and the command line."""

    def make(*, smtp: str = "", curate: str = "", paper: str = "", more: str = ""):
        path = tmp_path / "digest.toml"
        path.write_text(
            f'secret_key = "sixteen characters at least"\n[smtp]\n{smtp}\n[curate]\n{curate}\n[newsletters.daily]\n'
            f"{PAPER}{paper}\n{more}"
        )
        path.chmod(0o600)
        if not (tmp_path / "digest.db").exists():
            assert digest("init").returncode == 0
        return digest

    return make


def broken(tmp_path) -> dict[str, tuple[dict[str, str], str]]:
    """By name: settings, and what is said of them."""
    (tmp_path / "text").write_text("no certificate, no key")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_text("")
    (tmp_path / "tell.py").write_text("")
    (tmp_path / "wrong_scorer.py").write_text("train = 1 / 0\n")
    url = 'url = "smtps://me@mail.example"\n'
    return {
        "no ca_file": ({"smtp": url + 'ca_file = "nowhere.pem"'}, "smtp.ca_file: there is no file"),
        "ca_file is text": ({"smtp": url + 'ca_file = "text"'}, "holds no certificate"),
        "ca_file is binary": ({"smtp": url + 'ca_file = "binary"'}, "holds no certificate"),
        "ca_file is empty": ({"smtp": url + 'ca_file = "empty"'}, "holds no certificate"),
        "ca_file is a folder": ({"smtp": url + 'ca_file = "folder"'}, "is no file"),
        "ca_file is endless": ({"smtp": url + 'ca_file = "/dev/zero"'}, "is no file"),
        "no key": ({"smtp": '[[smtp.dkim]]\nselector = "s"\nkey_file = "nowhere"'}, "key_file: there is no file"),
        "key is text": ({"smtp": '[[smtp.dkim]]\nselector = "s"\nkey_file = "text"'}, "is not a private key"),
        "key is a folder": ({"smtp": '[[smtp.dkim]]\nselector = "s"\nkey_file = "folder"'}, "is no file"),
        "no token_command": ({"smtp": url + 'token_command = "nowhere --now"'}, "there is no program nowhere"),
        "a token_command that cannot be run": ({"smtp": url + f'token_command = "{tmp_path}/text"'}, "cannot be run"),
        "no scorer": ({"curate": 'scorer = "nowhere.to:train"'}, "cannot be loaded"),
        "no such model": ({"curate": 'scorer = "semantik"'}, "write semantic or semantic-multilingual, or"),
        "a scorer that is none": ({"curate": 'scorer = "os:nowhere"'}, "cannot be loaded"),
        "a scorer that is no function": ({"curate": 'scorer = "os:sep"'}, "is no function"),
        "a scorer with a mistake": ({"curate": 'scorer = "wrong_scorer:train"'}, "division by zero"),
        "no templates": ({"paper": 'templates = "nowhere"'}, "newsletters.daily.templates: cannot read the folder"),
        "templates is a file": ({"paper": 'templates = "text"'}, "newsletters.daily.templates: cannot read the folder"),
        "a wrong subject": ({"paper": 'subject = "{% if %}"'}, "the subject, line 1"),
        "an endless subject": ({"paper": 'subject = "{{ 9 ** (9 ** 9) }}"'}, "take longer"),
    }


NAMES = [
    "no ca_file", "ca_file is text", "ca_file is binary", "ca_file is empty", "ca_file is a folder",
    "ca_file is endless", "no key", "key is text", "key is a folder", "no token_command",
    "a token_command that cannot be run", "no scorer", "no such model", "a scorer that is none",
    "a scorer that is no function",
    "a scorer with a mistake", "no templates", "templates is a file", "a wrong subject", "an endless subject",
]  # fmt: skip


BY_ALL = ("no ca_file", "key is text", "no token_command", "no scorer", "no templates", "a wrong subject")


@pytest.mark.thin(4)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_what_it_should_be_stops_before_anything_is_done(write, tmp_path, monkeypatch, name):
    monkeypatch.setattr(apart, "SECONDS", 0.3)  # of the processor; ours take a tenth of that
    monkeypatch.syspath_prepend(tmp_path)
    cases = broken(tmp_path)
    assert set(cases) == set(NAMES)
    settings, said = cases[name]
    digest = write(**settings)
    commands = (["run"], ["run", "--dry-run"], ["preview", "--no-open"], ["send-test", "me@example.org"])
    one = NAMES.index(name) % len(commands)  # all ask the same: of each section of the settings, one kind by all
    for command in commands if name in BY_ALL else commands[one : one + 1]:
        done = digest(*command)
        assert (done.returncode, done.stdout) == (78, ""), (command, done)
        assert said in done.stderr and "compose: daily" not in done.stderr, done.stderr
    with sqlite3.connect(tmp_path / "digest.db") as connection:
        assert connection.execute("SELECT count(*) FROM edition").fetchone() == (0,)
    connection.close()


def test_a_folder_in_which_nothing_is_ours_is_warned_of(write, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "edtion.html").write_text("")
    done = write(paper='templates = "mine"')("run")
    assert done.returncode == 0 and "takes the place of a template of ours" in done.stderr


def test_a_maildir_that_cannot_be_is_told(write, tmp_path):
    digest = write()
    (tmp_path / "maildir").write_text("in the way")
    assert "maildir is no folder" in digest("run").stderr


def test_trouble_of_one_newsletter_does_not_stop_another(write):
    good = '[newsletters.good]\ntitle = "Good"\nfrom = "good@news.example"\n'
    done = write(paper='templates = "nowhere"', more=good)("run")
    assert done.returncode == 78 and "curate: good" in done.stderr and "compose: good" in done.stderr


def test_all_findings_are_given_to_who_asks(configure, tmp_path):
    cases = {"ca_file": "nowhere.pem", "dkim": [{"selector": "s", "key_file": "nowhere"}], "url": "smtps://h.example"}
    paper = {"title": "Daily", "from": "news@news.example", "templates": "nowhere"}
    found = files.check(configure(smtp=cases, newsletters={"daily": paper}))
    assert [one.setting for one in found] == ["smtp.ca_file", "smtp.dkim key_file", "newsletters.daily.templates"]
    assert all(one.hint for one in found) and files.check(configure()) == []


@pytest.mark.parametrize(
    ("folder_mode", "mode", "times"), [(0o755, 0o644, 1), (0o711, 0o604, 1), (0o755, 0o640, 0), (0o700, 0o644, 1)]
)
def test_settings_that_everybody_can_read_are_warned_of_once(digest, folder_mode, mode, times):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(folder_mode)
        assert digest("init", folder).stderr.count("everybody") == 0
        (folder / "digest.toml").chmod(mode)
        for words in (["status"], ["-q", "status", "--json"], ["run"]):
            assert digest("-c", folder, *words).stderr.count("everybody on this machine can read") == times


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('secret_key = "x"', True),
        ('database = "postgresql://me:x@db/digest"', True),
        ('[smtp]\nurl = "smtps://me:x@mail.example"', True),
        ('[smtp]\npassword = "x"', True),
        ('[[smtp.relays]]\npassword = "x"', True),
        ('former_secret_keys = ["x"]', True),
        ('secret_key = ""\nbase_url = "https://news.example"\n[smtp]\nurl = "smtps://me@mail.example"', False),
    ],
)
def test_a_file_without_a_secret_may_be_read_by_everybody(text, secret):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "digest.toml"
        path.write_text(text)
        path.parent.chmod(0o755)
        path.chmod(0o644)
        assert exposed(path) is secret


def test_a_test_letter_goes_out_while_no_story_waits(write, inbox, tmp_path):
    digest = write(smtp=f'url = "{inbox.url}"', paper="min_stories = 30")
    done = digest("send-test", "me@example.org")
    assert done.returncode == 0 and "this is a sample" in done.stderr, done.stderr
    assert b"sample story" in inbox.messages[0].content
    assert "has no edition 7" in digest("send-test", "me@example.org", "--edition", 7).stderr
