"""The editor at the command line: list, ask, correct, try other rules."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, message_from_string, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from conftest import Done
from forked import Command

from digest import config, edition
from digest.demo.catcher import Catcher
from digest.models import Feed, NewsletterFeed
from digest.store import newsletters, open_database
from digest.store.story_tables import Entry

NOW = datetime.now(UTC)
Digest = Callable[..., Done]


@pytest.fixture
def digest(digest: Digest, tmp_path: Path) -> Digest:
    """The command line, and beside it a newsletter with two stories."""
    assert digest("init").returncode == 0
    settings = config.load(tmp_path / "digest.toml")
    (name,) = settings.newsletters
    database = open_database(settings.database_url)
    newsletters.keep(database, settings.newsletters, now=NOW)
    with database.write() as session:
        feed = Feed(url="https://ada.example/feed", title="Ada", added_at=NOW, next_at=NOW + timedelta(days=1))
        session.add(feed)
        session.flush()
        paper = newsletters.find(session, name)
        session.add(NewsletterFeed(newsletter_id=paper.id or 0, feed_id=feed.id or 0, added_at=NOW))
        for n, title in enumerate(("Postgres 19 is out", "Ten ways to boil an egg")):
            link = f"https://ada.example/{n}"
            session.add(Entry(feed_id=feed.id or 0, key=link, url=link, title=title, seen_at=NOW, published_at=NOW))
    with database.write() as session:
        edition.admit(session, name, settings.newsletters[name], settings.curate, now=NOW)
    database.close()
    return digest


def answer(done: Done) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_editor_lists_asks_and_corrects(digest: Digest) -> None:
    stories = {s["title"]: s for s in answer(digest("story", "list", "--waiting", "--json"))}
    postgres, egg = stories["Postgres 19 is out"], stories["Ten ways to boil an egg"]
    assert (postgres["topic"], egg["topic"]) == ("databases", "other")

    why = answer(digest("why", postgres["id"], "--json"))
    assert why["topic_step"] == "keywords" and why["topic_words"] == {"postgres*": 1.41}
    assert "postgres* +1.41" in digest("why", postgres["id"]).stdout
    (by_link,) = answer(digest("why", "https://ada.example/1", "--json"))
    assert by_link["id"] == egg["id"]

    assert answer(digest("story", "pin", egg["id"], "--json"))["pinned"] is True
    assert digest("story", "drop", postgres["id"]).stderr == "dropped: Postgres 19 is out\n"
    assert digest("story", "move", egg["id"], "security").returncode == 0
    shown = answer(digest("story", "show", egg["id"], "--json"))
    assert (shown["topic"], shown["pinned"]) == ("security", True)
    assert [s["title"] for s in answer(digest("story", "list", "--topic", "security", "--json"))] == [egg["title"]]
    assert digest("story", "arrange", egg["id"]).stderr == f"first now: {egg['title']}\n"
    assert digest("story", "edit", egg["id"]).returncode == 64
    assert (
        answer(digest("story", "edit", egg["id"], "--title", "Boil it", "--picture", "none", "--json"))["title"]
        == "Boil it"
    )
    assert answer(digest("story", "edit", egg["id"], "--title", "", "--json"))["title"] == egg["title"]


def test_mistakes_are_answered_in_a_sentence(digest: Digest) -> None:
    for words, code in (
        (("why", "999"), 66),
        (("why", "https://nowhere.example/"), 66),
        (("why", "1", "--subscriber", "nobody@example.org"), 66),
        (("story", "move", "1", "nonsense"), 65),
        (("topic", "show", "nonsense"), 66),
    ):
        done = digest(*words)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and done.stderr.startswith("digest: ")


def test_a_correction_is_taken_back(digest: Digest) -> None:
    (first, _) = answer(digest("story", "list", "--waiting", "--json"))
    for word, field in (("pin", "pinned"), ("drop", "dropped")):
        assert answer(digest("story", word, first["id"], "--json"))[field]
        assert not answer(digest("story", word, first["id"], "--off", "--json"))[field]


def test_the_next_edition_is_looked_at_from_all_sides(digest: Digest, tmp_path: Path) -> None:
    assert digest("preview", "--check").stderr == "fit to be sent\n"
    assert {finding["level"] for finding in answer(digest("preview", "--check", "--json"))} <= {"ok", "note", "warning"}
    mail = message_from_bytes(digest("preview", "--eml").stdout.encode(), policy=policy.default)
    assert "Postgres 19 is out" in mail["subject"] and mail["to"] == "reader@example.org"
    assert digest("preview", "--out", "next.html", "--no-open").stdout == "next.html\n"
    assert "Ten ways to boil an egg" in (tmp_path / "next.html").read_text()
    tomorrow = NOW + timedelta(days=1)
    later = digest("preview", "--eml", "--at", tomorrow.isoformat()).stdout
    assert parsedate_to_datetime(str(message_from_string(later)["date"])) == tomorrow.replace(microsecond=0)
    for words, code, said in (
        (("--at", "tomorrow"), 65, "'tomorrow' is no moment"),
        (("--as", "eve@example.org"), 66, "eve@example.org does not subscribe"),
        (("--out", "no/where.html"), 74, "cannot write no/where.html: No such file or directory"),
        (("--edition", "3"), 66, "no edition 3"),
    ):
        done = digest("preview", *words)
        assert done.returncode == code and said in done.stderr, done


def test_the_page_of_the_next_edition_is_served_to_who_knows_its_address(digest: Digest, tmp_path: Path) -> None:
    words = ["preview", "--serve", "--no-open", "--port"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = digest(*words, taken.getsockname()[1])
        assert done.returncode == 69 and "it is taken\n  another one with --port" in done.stderr
    with Command(*words, "0", cwd=tmp_path) as server:
        url = server.stdout.readline().strip()
        try:
            assert httpx.get(url).status_code == 200
            assert httpx.get(urljoin(url, "/guessed/")).status_code == 404
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) in (0, 130)


def test_an_edition_goes_when_its_editor_says_so(
    digest: Digest, inbox: Catcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "digest.toml"
    settings.write_text(re.sub("(?m)^# (approve|editor) =", r"\1 =", settings.read_text()).replace("schedule", "# "))
    monkeypatch.setenv("DIGEST_SMTP__URL", inbox.url)
    assert digest("edition", "note", "A word before.").stderr == "daily: the next edition has the note\n"
    assert digest("subscriber", "add", "me@example.org").returncode == 0
    assert digest("run").returncode == 0
    assert (
        inbox.recipients == ["editor@example.org"] and answer(digest("edition", "list", "--json"))[0]["state"] == "held"
    )
    assert "No. 1 has the note" in digest("edition", "note", "1", "Another word.").stderr
    assert digest("edition", "approve", "2").returncode == 66
    assert digest("edition", "approve", "1").returncode == 0
    assert digest("deliver").returncode == 0
    assert inbox.recipients == ["editor@example.org", "me@example.org"]
    assert b"Another word." in inbox.messages[-1].content and b"A word before." not in inbox.messages[-1].content
    assert digest("edition", "approve", "1").stderr.startswith("digest: No. 1 of daily is open, not held")
    assert digest("edition", "note", "").stderr == "daily: the next edition has no note\n"


def test_the_next_edition_goes_to_one_address(digest: Digest, inbox: Catcher, tmp_path: Path) -> None:
    done = digest("send-test", "me@example.org", "--dry-run", DIGEST_SMTP__URL=inbox.url)
    assert done.returncode == 0 and "to me@example.org" in done.stderr and not inbox.messages
    done = digest("send-test", "me@example.org", DIGEST_SMTP__URL=inbox.url)
    assert (done.returncode, inbox.recipients) == (0, ["me@example.org"]) and ": 250 " in done.stdout
    mail = message_from_bytes(inbox.messages[0].content, policy=policy.default)
    assert mail["to"] == "me@example.org" and "Postgres 19 is out" in mail["subject"]
    assert [answer(digest(noun, "list", "--json")) for noun in ("outbox", "edition", "subscriber")] == [[], [], []]
    done = digest("send-test", "me@example.org")
    (kept,) = (tmp_path / "maildir").glob("**/*.eml")
    assert done.stdout == f"{tmp_path / 'maildir'}: kept as {kept.name}\n"
    assert message_from_bytes(kept.read_bytes(), policy=policy.default)["to"] == "me@example.org"


@pytest.mark.long
def test_what_hinders_a_test_letter_is_told(digest: Digest, inbox: Catcher) -> None:
    inbox.refuse |= {"gone@example.org": "550 5.1.1 no such mailbox", "busy@example.org": "451 4.7.1 later"}
    for to, url, code, words in (
        ("gone@example.org", inbox.url, 65, "refuses it: 550 5.1.1 no such mailbox"),
        ("busy@example.org", inbox.url, 75, "could not be sent: 451 4.7.1 later"),
        ("me@example.org", "smtp://127.0.0.1:1", 69, "no connection to 127.0.0.1:1"),
        ("me@nowhere", inbox.url, 65, "me@nowhere"),
    ):
        done = digest("send-test", to, DIGEST_SMTP__URL=url)
        assert done.returncode == code and words in done.stderr, done.stderr
    assert not inbox.messages


def test_topics_are_listed_and_tried(digest: Digest) -> None:
    topics = {t["topic"]: t for t in answer(digest("topic", "list", "--json"))}
    assert "other" in topics and topics["databases"]["stories"] == 1
    assert "sqlite" in answer(digest("topic", "show", "databases", "--json"))["keywords"]
    tried = answer(digest("topic", "test", "A kernel module for SQLite", "--json"))
    assert set(tried) == {"topic", "step", "why", "best", "score", "words"}


def test_other_rules_are_tried_without_a_trace(digest: Digest, tmp_path: Path) -> None:
    settings = (tmp_path / "digest.toml").read_text()
    (name,) = config.load(tmp_path / "digest.toml").newsletters
    other = tmp_path / "new.toml"
    other.write_text(f'{settings}\n[[newsletters.{name}.rules]]\ntitle = "egg"\nmute = true\n')
    result = answer(digest("backtest", "--days", 1, "--config", other, "--json"))
    assert result["entries"] == 2
    assert [(d["title"], d["was"], d["would_be"]) for d in result["differences"]] == [
        ("Ten ways to boil an egg", "other", "muted")
    ]
