"""`digest mail` and `digest bounce`: what the operator sees of mail that came back, and may do about it."""

from __future__ import annotations

import json
import mailbox
import shutil

import hearing
import pytest
from typer.testing import CliRunner

from digest.cli import app
from digest.config import load
from digest.store import newsletters, open_database

SETTINGS = """database = "digest.db"
secret_key = "a key for tests, long enough"
base_url = "https://digest.example"
[mail]
address = "bounces@news.example"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
"""
ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def digest(tmp_path, upgraded_sqlite, clock, monkeypatch, at):
    """The command line of a service that has written to Ada and Bob; `digest.letters` are what it wrote."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digest.toml").write_text(SETTINGS)
    shutil.copy(upgraded_sqlite, tmp_path)
    config = load(tmp_path / "digest.toml")
    database = open_database(config.database_url)
    newsletters.keep(database, config.newsletters, now=clock())
    letters = hearing.letters(database, config, clock, ADA, BOB)
    database.close()
    at(clock())

    def run(*words, stdin=None, code=0):
        done = CliRunner().invoke(app, ["-c", str(tmp_path), *map(str, words)], input=stdin)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    run.letters = letters
    return run


def test_a_mail_from_a_pipe_is_read_shown_and_taken_back(digest):
    raw = hearing.bounce(digest.letters[ADA])
    done = digest("mail", "read", "-", stdin=raw)
    assert done.output == ""  # a mail server would send it to somebody
    (row,) = json.loads(digest("mail", "list", "--json").stdout)
    assert (row["kind"], row["address"], row["act"], row["proof"]) == ("hard", ADA, "suppress", "verp")
    assert "no such mailbox" in digest("bounce", "show", row["id"]).stdout
    assert "Final-Recipient" in digest("mail", "show", row["id"], "--original").stdout
    assert "suppressed" in digest("subscriber", "show", ADA).stdout
    assert "1 mail would be taken back" in digest("mail", "undo", "--since", "2026-11-23", "--dry-run").stderr
    assert "1 mail taken back" in digest("mail", "undo", "--source", "stdin").stderr
    assert "0 mails taken back" in digest("mail", "undo", row["id"]).stderr
    assert json.loads(digest("subscriber", "list", "--json").stdout)[0]["state"] == "active"


def test_a_pipe_is_told_when_to_try_again(digest, tmp_path):
    assert "no mail" in digest("mail", "read", "-", stdin=b"\n", code=65).stderr
    settings = (tmp_path / "digest.toml").read_text()
    (tmp_path / "digest.toml").write_text("secret_key = 1")
    digest("mail", "read", "-", stdin=b"From: a@example.org\n\nhi", code=75)
    (tmp_path / "digest.toml").write_text(settings.replace("digest.db", "none.db"))
    digest("mail", "read", "-", stdin=b"From: a@example.org\n\nhi", code=75)


def test_who_wrote_is_listed_and_unsubscribed_at_a_word(digest):
    digest("mail", "read", "-", stdin=hearing.person("stop", sender=f"Ada <{ADA}>"))
    digest("mail", "read", "-", stdin=hearing.person("hello", sender="Eve <eve@example.org>"))
    asks = json.loads(digest("mail", "asks", "--json").stdout)
    assert [(one["sender"], one["why"]) for one in asks] == [
        ("Eve <eve@example.org>", "a person wrote"),
        (f"Ada <{ADA}>", "they seem to want to leave"),
    ]
    assert "2 people wrote" in digest("status").stderr
    assert "not a subscriber" in digest("mail", "do", asks[0]["id"], code=66).stderr
    digest("mail", "do", asks[0]["id"], "--close")
    assert "unsubscribed from 1 newsletter" in digest("mail", "do", asks[1]["id"]).stderr
    assert json.loads(digest("mail", "asks", "--json").stdout) == []
    states = {one["email"]: one["state"] for one in json.loads(digest("subscriber", "list", "--json").stdout)}
    assert states == {ADA: "unsubscribed", BOB: "active"}


def test_figures_stand_by_domain_and_edition_against_the_lines_of_large_receivers(digest):
    for who in (ADA, BOB):
        digest("mail", "read", "-", stdin=hearing.complaint(digest.letters[who]))
    for by, name in (("domain", "example.org"), ("edition", "daily No. 1")):
        done = digest("bounce", "list", "--by", by, "--json")
        (row,) = json.loads(done.stdout)
        assert (row[by], row["delivered"], row["complained"], row["complaint_rate"]) == (name, 2, 2, 1.0)
        assert "refuse letters from 0.3% on" in done.stderr
    assert "100.00%" in digest("status").stderr
    assert len(json.loads(digest("bounce", "list", "--json").stdout)) == 2


def test_a_run_reads_the_mailbox_first_and_says_so_where_it_cannot(digest, tmp_path):
    settings = (tmp_path / "digest.toml").read_text()
    (tmp_path / "digest.toml").write_text(settings.replace("[mail]", '[mail]\nsource = "back"'))
    done = digest("run", code=69)
    assert "what came back is not read: there is no mailbox at" in done.stderr
    mailbox.Maildir(tmp_path / "back").add(hearing.bounce(digest.letters[ADA]))
    done = digest("run", "--json")
    assert "mail: 1 mail read: 1 suppressed" in done.stderr
    assert json.loads(done.stdout)["heard"]["acts"] == {"suppress": 1}
    assert "mail: 0 mails read" in digest("run").stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("mail", "read"), 64, "no mailbox is named"),
        (("mail", "read", "nowhere"), 66, "no mailbox"),
        (("mail", "read", "-", "nowhere"), 64, "read alone"),
        (("mail", "show", "99"), 66, "no mail 99"),
        (("mail", "undo"), 64, "say which"),
        (("mail", "undo", "99"), 66, "no mail 99"),
        (("mail", "do", "99"), 66, "asks for nothing"),
        (("bounce", "list", "--by", "moon"), 64, "nothing to count by"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_code(digest, words, code, says):
    assert says in digest(*words, code=code).stderr
