"""Settings that change: who would wait for nothing is told of, and what follows a new name."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import MONDAY
from people import SECRET, enrol
from sqlmodel import select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from digest import sign, subscribe
from digest.cli import app
from digest.config import Newsletter, from_values
from digest.edition.variants import variants_of
from digest.models import Edition, Feed, NewsletterFeed, Subscriber, Subscription
from digest.store import history, import_log, newsletters, open_database, people, recipients, renames, signup
from digest.store.import_tables import ListImport
from digest.store.story_tables import Entry, Story
from digest.subscribe import Evidence
from digest.web import application

OLD = {"daily": ["ai", "web", "search"], "weekly": ["ai"]}
SAID = Evidence("command line", MONDAY)
TOPICS = {"ai": {}, "web": {}, "search": {}}


@pytest.fixture
def folder(tmp_path, upgraded_sqlite):
    """Two newsletters with readers, stories and an edition, before anything was renamed."""
    shutil.copy(upgraded_sqlite, tmp_path / "digest.db")
    database = open_database(f"sqlite:///{tmp_path / 'digest.db'}")
    newsletters.keep(database, OLD, now=MONDAY)
    with database.write() as session:
        for who, chosen in (("ada", ["ai"]), ("bob", ["ai", "web"]), ("eve", []), ("kim", ["search"])):
            enrol(session, f"{who}@example.org", known_topics=TOPICS, topics=chosen)
        enrol(session, "ada@example.org", newsletter="weekly", known_topics=["ai"], topics=["ai"])
        paper = newsletters.find(session, "daily")
        session.add(Edition(newsletter_id=paper.id, number=1, composed_at=MONDAY, upto_seq=0, sender="x@example.org"))
        paper.edition_number = 1
    database.close()
    return tmp_path


def settings(folder, **papers):
    """digest.toml with these newsletters, each with its topics."""
    lines = ['secret_key = "a key for tests, long enough"']
    for name, topics in papers.items():
        lines += [f"[newsletters.{name}]", f'title = "{name.title()}"', 'from = "News <news@news.example>"']
        lines += [f"[newsletters.{name}.topics.{topic}]" for topic in topics]
    (folder / "digest.toml").write_text("\n".join(lines))


def run(folder, *words, code=0):
    done = CliRunner().invoke(app, ["-c", str(folder), *words])
    assert done.exit_code == code, done.output
    return done


def chosen(folder, newsletter="daily"):
    database = open_database(f"sqlite:///{folder / 'digest.db'}")
    with database.read() as session:
        paper = newsletters.find(session, newsletter)
        rows = session.exec(select(Subscription).where(Subscription.newsletter_id == paper.id)).all()
        found = [row.topics for row in sorted(rows, key=lambda row: row.subscriber_id)]
    database.close()
    return found


def test_who_waits_for_a_name_that_is_gone_is_counted_with_the_cure(folder):
    settings(folder, **OLD)
    assert "no longer" not in run(folder, "status").stderr
    settings(folder, daily=["ml", "web"])
    said = run(folder, "status").stderr
    assert "2 readers of daily chose the topic ai, which the settings no longer have; 1 chose nothing else" in said
    assert "digest topic rename ai NEW -n daily" in said and "digest topic merge search INTO -n daily" in said
    assert "1 reader of weekly get nothing" in said and "digest newsletter rename weekly NEW" in said
    gone = json.loads(run(folder, "status", "--json").stdout)["gone"]
    assert {(g["newsletter"], g["topic"], g["readers"], g["only"]) for g in gone} == {
        ("daily", "ai", 2, 1), ("daily", "search", 1, 1), ("weekly", "", 1, 1),
    }  # fmt: skip
    assert "digest topic rename ai NEW" in run(folder, "-q", "run", "--dry-run").stderr


def test_a_topic_that_is_renamed_takes_its_readers_stories_and_history_along(folder):
    settings(folder, daily=["ml", "web", "search"], weekly=["ai"])
    assert (
        "would be ml in daily: 2 readers"
        in run(folder, "topic", "rename", "ai", "ml", "-n", "daily", "--dry-run").stderr
    )
    assert chosen(folder) == [["ai"], ["ai", "web"], [], ["search"]]
    run(folder, "topic", "rename", "ai", "ml", "-n", "daily")
    assert chosen(folder) == [["ml"], ["ml", "web"], [], ["search"]]
    assert chosen(folder, "weekly") == [["ai"]]
    shown = json.loads(run(folder, "subscriber", "show", "bob@example.org", "--json").stdout)
    assert shown["history"][-1]["detail"] == "the topic ai is called ml now"
    assert "no longer" not in run(folder, "status").stderr
    assert "ai is ml already" in run(folder, "topic", "rename", "ai", "ml", "-n", "daily").stderr
    other = run(folder, "topic", "rename", "ai", "search", "-n", "daily", code=66).stderr
    assert "nothing of daily is under 'ai'" in other


def test_a_topic_goes_into_one_that_is_there_only_by_merge(folder):
    settings(folder, daily=["web", "search"], weekly=["ai"])
    said = run(folder, "topic", "rename", "ai", "web", "-n", "daily", code=64).stderr
    assert "web is in use already: 1 reader, 0 stories" in said and "digest topic merge ai web -n daily" in said
    run(folder, "topic", "merge", "ai", "web", "-n", "daily")
    assert chosen(folder) == [["web"], ["web"], [], ["search"]]
    assert "still have the topic" in run(folder, "topic", "rename", "search", "web", "-n", "daily", code=64).stderr
    assert "is no topic of daily" in run(folder, "topic", "merge", "ai", "cats", "-n", "daily", code=66).stderr


def test_a_newsletter_that_is_renamed_keeps_all_and_takes_in_who_joined_its_new_name(folder):
    settings(folder, morning=["ai", "web", "search"], weekly=["ai"])
    run(folder, "subscriber", "add", "new@example.org", "-n", "morning")
    run(folder, "subscriber", "add", "ada@example.org", "-n", "morning")
    run(folder, "newsletter", "rename", "daily", "morning", "--dry-run")
    assert len(chosen(folder)) == 4
    assert "daily is morning: 5 readers" in run(folder, "newsletter", "rename", "daily", "morning").stderr
    assert chosen(folder, "morning") == [["ai"], ["ai", "web"], [], ["search"], []]
    rows = json.loads(run(folder, "newsletter", "list", "--json").stdout)
    assert [(r["newsletter"], r["subscribers"], r["last_edition"]) for r in rows] == [
        ("morning", 5, 1),
        ("weekly", 1, 0),
    ]
    assert "daily is morning already" in run(folder, "newsletter", "rename", "daily", "morning").stderr
    for words in (("rename", "daily", "weekly"), ("end", "daily")):
        assert "daily is called morning now" in run(folder, "newsletter", *words, code=66).stderr
    assert "there never was" in run(folder, "newsletter", "rename", "evening", "morning", code=66).stderr
    assert "still have" in run(folder, "newsletter", "rename", "morning", "weekly", code=64).stderr


def test_what_is_gone_for_good_is_taken_from_those_who_wait_for_it(folder):
    settings(folder, daily=["web"])
    run(folder, "topic", "drop", "ai")
    run(folder, "topic", "drop", "search")
    assert chosen(folder) == [[], ["web"], [], []]
    assert "1 person to be removed" in run(folder, "newsletter", "end", "weekly", "--dry-run").stderr
    assert "1 person: removed" in run(folder, "newsletter", "end", "weekly", "--yes").stderr
    said = run(folder, "status").stderr
    assert "no longer" not in said and "no such newsletter" not in said
    assert "still have" in run(folder, "newsletter", "end", "daily", code=64).stderr
    assert "never was" in run(folder, "newsletter", "end", "evening", code=66).stderr


def test_two_newsletters_with_editions_do_not_become_one(folder):
    settings(folder, daily=OLD["daily"])
    database = open_database(f"sqlite:///{folder / 'digest.db'}")
    with database.write() as session:
        newsletters.find(session, "weekly").edition_number = 3
    database.close()
    settings(folder, weekly=["ai"])
    assert "of its own" in run(folder, "newsletter", "rename", "daily", "weekly", code=64).stderr


def test_old_addresses_lead_on_and_the_page_tells_what_is_no_more(folder):
    settings(folder, morning=["ml", "web"], weekly=["ml"])
    run(folder, "newsletter", "rename", "daily", "morning")
    run(folder, "topic", "rename", "ai", "ml", "-n", "morning")
    config = from_values(
        {
            "database": str(folder / "digest.db"), "base_url": "https://digest.example/news", "secret_key": SECRET,
            "newsletters": {"morning": {"title": "Morning", "from": "n@news.example", "topics": {"ml": {}, "web": {}}}},
        },
        folder / "digest.toml",
        environment=False,
    )  # fmt: skip
    database = open_database(config.database_url)
    client = TestClient(application(database, config, clock=lambda: MONDAY), follow_redirects=False)

    def leads(path):
        answer = client.get(path)
        assert answer.status_code in (308, 404), path
        return answer.headers.get("location")

    root = "/news"
    assert leads("/newsletters/daily") == f"{root}/newsletters/morning"
    assert leads("/newsletters/daily/editions/1") == f"{root}/newsletters/morning/editions/1"
    assert leads("/newsletters/daily/feed.atom") == f"{root}/newsletters/morning/feed.atom"
    assert leads("/subscribe/daily") == f"{root}/subscribe/morning"
    assert leads("/editions/daily/1/key") == f"{root}/editions/morning/1/key"
    assert leads("/newsletters/daily/topics/ai") == f"{root}/newsletters/morning/topics/ai"
    assert client.get("/newsletters/morning/topics/ai").status_code == 308
    assert leads("/newsletters/morning/topics/ai/feed.json") == f"{root}/newsletters/morning/topics/ml/feed.json"
    assert leads("/newsletters/morning/topics/cats") is None and leads("/newsletters/never") is None
    assert leads("/newsletters/weekly") is None

    def page(who):
        with database.read() as session:
            _person, subscription = subscribe.find(session, f"{who}@example.org", "morning")
        token = sign.token(sign.Purpose.PREFERENCES, subscription.id, key=config.keys[0])
        return client.get(f"/preferences/{token}").text

    assert "you get all of them" in page("kim")
    assert "are no more" not in page("ada") + page("eve")
    database.close()


def test_who_chose_only_what_is_gone_gets_all_or_nothing_as_the_settings_say():
    all_, none = (
        Newsletter.model_validate({"title": "T", "from": "n@news.example", "topics": {"ai": {}}, "gone_topics": gone})
        for gone in ("all", "none")
    )
    assert all_.wanted(["gone"]) == frozenset() == none.wanted([])
    assert none.wanted(["gone"]) == {"gone"}
    assert all_.wanted(["gone", "ai"]) == {"gone", "ai"}


def test_an_export_can_be_imported_also_when_a_topic_is_gone(folder, tmp_path):
    settings(folder, daily=["ml", "web"])
    done = run(folder, "subscriber", "export")
    assert "digest topic rename ai NEW" in done.stderr
    (tmp_path / "out.csv").write_text(done.stdout)
    (tmp_path / "other").mkdir()
    settings(tmp_path / "other", daily=["ml", "web"])
    open_database(f"sqlite:///{tmp_path / 'other' / 'digest.db'}", create=True).close()
    run(tmp_path / "other", "subscriber", "import", str(tmp_path / "out.csv"))
    assert chosen(tmp_path / "other") == [[], ["web"], [], []]


@pytest.fixture
def told(database):
    """Stories and readers of `daily`, on both kinds of database."""
    newsletters.keep(database, ["daily", "fresh"], now=MONDAY)
    with database.write() as session:
        for who, topics in (("ada", ["ai", "web"]), ("bob", ["ai"]), ("kim", ["web"])):
            enrol(session, f"{who}@example.org", known_topics=TOPICS, topics=topics)
        enrol(session, "eve@example.org", newsletter="fresh")
        enrol(session, "ada@example.org", newsletter="fresh")
        subscribe.remove(session, "ada@example.org", newsletter="fresh", evidence=Evidence("web", MONDAY))
        paper = newsletters.find(session, "daily")
        feed = Feed(url="https://f.example/", added_at=MONDAY, next_at=MONDAY)
        session.add(feed)
        session.flush()
        session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, topic="ai", added_at=MONDAY))
        for seq, topic in enumerate(("ai", "web"), 1):
            entry = Entry(feed_id=feed.id, key=str(seq), seen_at=MONDAY)
            session.add(entry)
            session.flush()
            at = {"published_at": MONDAY, "admitted_at": MONDAY}
            link = {"url": f"https://f.example/{seq}", "title": "T", "source": "F"}
            session.add(Story(newsletter_id=paper.id, seq=seq, entry_id=entry.id, topic=topic, **link, **at))
    return database


def test_names_are_followed_from_one_to_the_next_and_back(told):
    def rename(old, new):
        with told.write() as session:
            paper = newsletters.lock(session, "daily")
            return renames.rename_topic(session, paper, old, new, Evidence("command line", MONDAY))

    def topics():
        with told.read() as session:
            stories = session.exec(select(Story.topic).order_by(Story.seq)).all()
            readers = session.exec(select(Subscription.topics).order_by(Subscription.id)).all()
            return stories, readers[:3], session.exec(select(NewsletterFeed.topic)).all()

    assert rename("ai", "ml") == renames.Renamed(readers=2, stories=1, feeds=1)
    assert topics() == (["ml", "web"], [["ml", "web"], ["ml"], ["web"]], ["ml"])
    rename("ml", "web")
    assert topics() == (["web", "web"], [["web"], ["web"], ["web"]], ["web"])
    with told.read() as session:
        assert [renames.topic_called(session, "daily", old) for old in ("ai", "ml", "web")] == ["web", "web", None]
    rename("web", "")
    assert topics() == (["other", "other"], [[], [], []], [""])
    with told.write() as session:
        paper = newsletters.find(session, "daily")
        for row in session.exec(select(Subscription).where(Subscription.newsletter_id == paper.id)):
            row.topics = ["web"]
    rename("web", "ai")
    with told.read() as session:
        assert [renames.topic_called(session, "daily", old) for old in ("ai", "ml", "web")] == [None, "other", "ai"]
        assert renames.lost(session, {"daily": ["ml"], "fresh": []}) == [renames.Lost("daily", "ai", 3, 3)]


def test_what_a_reader_said_of_the_new_name_counts(told):
    with told.write() as session:
        links = [subscribe.find(session, "ada@example.org", name)[1].id for name in ("daily", "fresh")]
        names = ("daily", "fresh")
        done = renames.rename_newsletter(session, *(newsletters.lock(session, name) for name in names))
        assert (done.readers, done.stories, done.feeds) == (4, 2, 1)
    with told.read() as session:
        assert list(newsletters.by_name(session)) == ["fresh"]
        assert renames.newsletter_called(session, "daily") == "fresh"
        rows = session.exec(
            select(Subscriber.key, Subscription.state).join(Subscription).order_by(Subscriber.key)
        ).all()
        assert [tuple(row) for row in rows] == [
            ("ada@example.org", "unsubscribed"), ("bob@example.org", "active"),
            ("eve@example.org", "active"), ("kim@example.org", "active"),
        ]  # fmt: skip
        said = [m.event for m in history.moments(session, people.find(session, "ada@example.org"))]
        assert said == ["subscribed", "subscribed", "unsubscribed"]
    with told.write() as session:
        assert subscribe.come_back(session, links[1], evidence=SAID), "the link in a mail of the one that is no more"
        assert subscribe.leave(session, links[0], evidence=SAID) == "fresh"
        assert {people.subscription_by_id(session, link)[0].id for link in links} == {links[0]}


def taken_in(database, newsletter, text, *update):
    terms = subscribe.Terms("l.csv", MONDAY, ("ai", "web"), secret=SECRET, vouched_by="Ada", update=update)
    return subscribe.import_csv(database, io.BytesIO(text), terms, newsletter=newsletter).number


def test_an_import_is_taken_back_under_the_names_of_now_and_a_rename_is_nobody_s_own_change(told):
    with told.write() as session:
        choices = {"muted_topics": ["ai"]}
        for who in ("ada@example.org", "kim@example.org"):
            subscribe.change(session, who, newsletter="daily", evidence=SAID, known_topics=TOPICS, choices=choices)
    text = b"email,topics,muted_topics\nada@example.org,,web\nbob@example.org,web,\nnew@example.org,web,ai\n"
    number = taken_in(told, "daily", text, "topics", "muted_topics")
    with told.write() as session:
        paper = newsletters.lock(session, "daily")
        for old, new in (("ai", "ml"), ("web", "net")):
            renames.rename_topic(session, paper, old, new, SAID)
    done = import_log.undo(told, number, evidence=SAID, topics={"daily": ["ml", "net"]})
    assert (done.kept, done.counts) == (0, {"people made": 1, "subscriptions made": 1, "updated": 2})
    with told.read() as session:
        ada, bob = (subscribe.find(session, f"{who}@example.org", "daily")[1] for who in ("ada", "bob"))
        kim = subscribe.find(session, "kim@example.org", "daily")[1]
        assert (ada.topics, ada.muted_topics, ada.taste_key) == (["ml", "net"], ("ml",), kim.taste_key)
        assert bob.topics == ["ml"]


def test_an_undo_takes_from_nobody_what_they_had_before_a_newsletter_went_into_theirs(told):
    number = taken_in(told, "fresh", b"email\nbob@example.org\nnew@example.org\n")
    with told.write() as session:
        renames.rename_newsletter(session, *(newsletters.lock(session, name) for name in ("daily", "fresh")))
    done = import_log.undo(told, number, evidence=SAID)
    assert (done.kept, done.counts) == (0, {"people made": 1, "subscriptions made": 1})
    with told.read() as session:
        _person, bob = subscribe.find(session, "bob@example.org", "fresh")
        assert (bob.state, bob.topics) == ("active", ["ai"])
        assert people.find(session, "new@example.org") is None


def test_readers_of_topics_that_are_gone_share_the_variant_of_all():
    known = {"title": "Daily", "from": "n@news.example", "topics": {"ml": {}, "web": {}}}
    values = {"secret_key": SECRET, "newsletters": {"all": known, "none": known | {"gone_topics": "none"}}}
    config = from_values(values, Path("digest.toml"), environment=False)
    groups = [recipients.Group(0, json.dumps(topics), "", plain=False) for topics in ([], ["ai"], ["ai", "web"])]
    story = SimpleNamespace(seq=1, topic="web")

    def shared(name):
        found = variants_of(groups, [story], config.newsletters[name])
        return sorted((sorted(key.topics), len(some)) for key, some in found.items())

    assert shared("all") == [([], 2), (["ai", "web"], 1)]
    assert shared("none") == [([], 1), (["ai", "web"], 1)]


def test_a_new_name_reaches_sign_ups_that_wait_and_from_where_on_a_topic_counts(told):
    with told.write() as session:
        papers = {name: newsletters.lock(session, name) for name in ("daily", "fresh")}
        for who, paper, topics in (
            ("lea", "daily", ["ai", "web"]), ("max", "fresh", ["ai", "web"]), ("sue", "daily", ["ml"])
        ):  # fmt: skip
            choices = {"topics": topics, "muted_topics": ["ai"]}
            asked = signup.Asked(paper, f"{who}@example.org", "", choices, Evidence("web", MONDAY), "")
            signup.wait(session, papers[paper].id, asked)
        session.add(ListImport(newsletter_id=papers["fresh"].id, name="list.csv", at=MONDAY))
        _person, ada = subscribe.find(session, "ada@example.org", "daily")
        ada.chosen_from = {"*": 7, "ai": 2}
        session.flush()
        renames.rename_topic(session, papers["daily"], "ai", "ml", Evidence("command line", MONDAY))
        renames.rename_newsletter(session, papers["daily"], papers["fresh"])
    with told.write() as session:
        waiting = signup.take_waiting(session, ["fresh", "daily"], full=(), limit=9)
        said = [
            (one.newsletter, one.email.partition("@")[0], one.choices["topics"], one.choices["muted_topics"])
            for one in waiting
        ]
        assert said == [
            ("fresh", "lea", ["ml", "web"], ["ml"]),
            ("fresh", "max", ["ai", "web"], ["ai"]),
            ("fresh", "sue", ["ml"], []),  # chose the new one by its name
        ]
        assert [run.newsletter for run in import_log.listed(session, limit=9)] == ["fresh"]
        assert subscribe.find(session, "ada@example.org", "fresh")[1].chosen_from == {"*": 7, "ml": 2}
