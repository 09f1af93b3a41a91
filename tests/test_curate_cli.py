"""The editor at the command line: list, ask, correct, try other rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from conftest import Done

from digest import config, edition, store
from digest.demo.catcher import Catcher
from digest.models import Entry, Feed, NewsletterFeed

NOW = datetime.now(UTC)
Digest = Callable[..., Done]


@pytest.fixture
def digest(digest: Digest, tmp_path: Path) -> Digest:
    """The command line, and beside it a newsletter with two stories."""
    assert digest("init").returncode == 0
    settings = config.load(tmp_path / "digest.toml")
    (name,) = settings.newsletters
    database = store.open_database(settings.database_url)
    store.keep_newsletters(database, settings.newsletters, now=NOW)
    with database.write() as session:
        feed = Feed(url="https://ada.example/feed", title="Ada", added_at=NOW, next_at=NOW)
        session.add(feed)
        session.flush()
        paper = store.newsletter(session, name)
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


def test_what_hinders_a_test_letter_is_told(digest: Digest, inbox: Catcher) -> None:
    inbox.refuse |= {"gone@example.org": "550 5.1.1 no such mailbox", "busy@example.org": "451 4.7.1 later"}
    for to, url, code, words in (
        ("gone@example.org", inbox.url, 65, "refuses it: 550 5.1.1 no such mailbox"),
        ("busy@example.org", inbox.url, 75, "could not be sent: 451 4.7.1 later"),
        ("me@example.org", "smtp://127.0.0.1:1", 75, "no connection to 127.0.0.1:1"),
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
