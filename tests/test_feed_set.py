"""What `digest feed set` changes of how one feed is read, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
import test_collect
from lxml import etree
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, add, feed, rss, run, settings

from digest import collect, edition, line, parse
from digest.cli import feed_add
from digest.cli.feed_reading import known_topic
from digest.collect import rows
from digest.collect.sources import Outline, topic_of
from digest.config import Curate
from digest.curate import feed_rules
from digest.curate.rules import Subject
from digest.errors import BadInput
from digest.models import Feed, FeedState, Newsletter, NewsletterFeed
from digest.store import Database, entries, why
from digest.store.story_tables import Admission, Decision, Entry, Story

site, database, digest = test_collect.site, test_collect.database, test_collect.digest
collecting = sys.modules[collect.run.__module__]


def told(digest: Any, *words: str) -> Any:
    result = digest("feed", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_title_of_ones_own_stays_whatever_the_feed_calls_itself(
    database: Database, site: Site, digest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    run(database)
    settle = collecting._Run._ask

    async def asked(self: Any, due: Any, hold: Any) -> Any:
        outcome = await settle(self, due, hold)  # while it is asked, somebody calls it otherwise
        assert (await asyncio.to_thread(digest, "feed", "set", "1", "--title", " My\tpaper ")).exit_code == 0
        return outcome

    monkeypatch.setattr(collecting._Run, "_ask", asked)
    site.pages["/feed"] = Reply(rss("two", title="Renamed"))
    run(database, now=MONDAY + timedelta(days=1))
    assert (feed(database).title, feed(database).published_title) == ("My paper", "Renamed")
    [outline] = parse.opml(digest("feed", "export").stdout.encode())
    assert outline.title == "My paper"
    line.admit(database, settings(), "daily", now=MONDAY + timedelta(days=2))
    with database.read() as session:
        assert {story.source for story in session.exec(select(Story))} == {"My paper"}
    assert digest("feed", "set", "1", "--title", "").exit_code == 0
    assert feed(database).title == "Renamed"


def test_without_topics_in_the_settings_the_packaged_ones_are_known_everywhere(
    database: Database, configure: Any
) -> None:
    daily = configure(newsletters={"daily": {"title": "Daily", "from": "news@example.org"}}).newsletters["daily"]
    assert not daily.topics
    known_topic("security", daily)
    with pytest.raises(BadInput, match="no topic 'cooking'"):
        known_topic("cooking", daily)
    outlines = [
        Outline("https://a.example/", folders=(name,)) for name in ("Security", "AI and data science", "ai", "?")
    ]
    assert [topic_of(outline, daily) for outline in outlines] == ["security", "ai", "ai", ""]


def test_a_topic_is_set_in_one_newsletter_and_taken_away(database: Database, digest: Any) -> None:
    add(database, "https://example.org/feed")
    assert digest("feed", "set", "1", "--topic", "ai").stderr.endswith("topic ai in daily\n")
    assert told(digest, "set", "1")["topics"] == ["daily/ai"]
    assert digest("feed", "set", "1", "--topic", "none-such").exit_code == 65
    assert told(digest, "set", "1")["topics"] == ["daily/ai"]
    digest("feed", "set", "1", "--topic", "")
    with database.read() as session:
        assert session.exec(select(NewsletterFeed)).one().topic == ""
    with database.write() as session:
        session.delete(session.exec(select(NewsletterFeed)).one())
    assert digest("feed", "set", "1", "--topic", "ai").exit_code == 66


@pytest.mark.parametrize(
    ("words", "weight"),
    [("2", 2.0), ("-2.5", -2.5), ("0", 0.0), ("10", 10.0), ("-10", -10.0), ("AUTO", None), ("", None)],
)
def test_a_weight_is_added_to_the_rank_in_place_of_that_of_the_settings(
    database: Database, site: Site, digest: Any, words: str, weight: float | None
) -> None:
    site.pages["/feed"] = Reply(rss("one"))
    add(database, site.base + "/feed")
    run(database)
    assert digest("feed", "set", "1", "--weight", words).exit_code == 0
    paper = settings().newsletters["daily"].model_copy(update={"feed_weights": {"Ours": 5.0}})
    with database.write() as session:
        edition.admit(session, "daily", paper, Curate(), now=MONDAY + timedelta(days=1))
    with database.read() as session:
        assert session.exec(select(Story)).one().reasons["rank"]["feed"] == (5.0 if weight is None else weight)


@pytest.mark.parametrize("words", ["11", "-10.1", "nan", "inf", "much", "1e9"])
def test_what_is_no_weight_is_refused_and_changes_nothing(database: Database, digest: Any, words: str) -> None:
    add(database, "https://example.org/feed")
    result = digest("feed", "set", "1", "--title", "Other", "--weight", words)
    assert (result.exit_code, "-10 to 10" in result.stderr) == (65, True)
    assert feed(database).title == ""


def test_rules_leave_out_what_they_say_and_tell_why(database: Database, site: Site, digest: Any) -> None:
    site.pages["/feed"] = Reply(rss("Sponsored: buy this", "Bridges", "Bridges, sponsored", "Cats"))
    add(database, site.base + "/feed")
    run(database)
    trial = digest("feed", "set", "1", "--drop", "title=sponsored", "--dry-run")
    assert "would say:   would drop 2 of 4 stored (before: 0)" in trial.stderr
    assert feed(database).drop == []
    digest("feed", "set", "1", "--drop", "title=sponsored", "--drop", "Title=sponsored")
    result = digest("feed", "set", "1", "--keep", "title=bridges")
    assert "would drop 3 of 4 stored (before: 2)" in result.stderr
    shown = told(digest, "show", "1")
    assert (shown["keep"], shown["drop"]) == (["title=bridges"], ["title=sponsored"])
    line.admit(database, settings(), "daily", now=MONDAY + timedelta(days=1))
    with database.read() as session:
        assert [story.title for story in session.exec(select(Story))] == ["Bridges"]
        reasons = {a.entry_id: a.reason for a in session.exec(select(Admission)) if a.decision == Decision.MUTED}
        assert len(reasons) == 3
        cats = session.exec(select(Entry).where(Entry.title == "Cats")).one()
        [fate] = why.entries_at(session, 1, cats.url)
        paper = settings()
        tried = edition.backtest(session, "daily", paper.newsletters["daily"], Curate(), since=MONDAY)
    assert fate.reason == "dropped by the feed's rules: none of --keep 'title=bridges' fits it"
    assert "dropped by the feed's rule --drop 'title=sponsored'" in reasons.values()
    assert tried.differences == ()
    digest("feed", "set", "1", "--keep", "", "--drop", "")
    assert (feed(database).keep, feed(database).drop) == ([], [])


@pytest.mark.parametrize(
    "rule",
    [
        "sponsored",
        "text=a",
        "title=",
        "title=*",
        "=a",
        "title=***!",
        "title=a & b=c",
        "title=a\nurl=b",
        "title=" + "a" * 400,
    ],
)
def test_what_is_no_rule_is_named(database: Database, digest: Any, rule: str) -> None:
    add(database, "https://example.org/feed")
    result = digest("feed", "set", "1", "--drop", "title=fine", "--keep", rule)
    assert (result.exit_code, result.stderr.count("the rule")) == (65, 1)
    assert feed(database).drop == []


def test_a_rule_fits_where_all_of_its_parts_do() -> None:
    subject = Subject("", "", "", "https://a.example/deals/1", "Ada & Bob", "Tom & Jerry=fun", ("News",))
    for rule, fits in (
        ("title=tom & jerry", True),
        ("author=bob & url=/deals/", True),
        ("author=bob & url=/news/", False),
        ("category=news & title=tom*fun", True),
        ("title=to", False),
    ):
        assert bool(feed_rules.dropped((), feed_rules.checked([rule]), subject)) is fits, rule
        assert bool(feed_rules.dropped(feed_rules.checked([rule]), (), subject)) is not fits, rule
    with pytest.raises(BadInput, match="51 rules"):
        feed_rules.checked([f"title=a{n}" for n in range(51)])


def test_opml_says_of_rules_what_freshrss_can_and_that_there_is_more(database: Database, digest: Any) -> None:
    add(database, "https://example.org/feed", "https://example.org/other")
    plain = digest("feed", "export")
    assert "frss" not in plain.stdout and plain.stderr == ""
    digest("feed", "set", "1", "--drop", "title=two words & author=bot", "--drop", "url=/deals/")
    exported = digest("feed", "export")
    [said] = etree.fromstring(exported.stdout.encode()).xpath("//@*[local-name() = 'filtersActionRead']")
    assert said == 'intitle:"two words" author:bot\ninurl:/deals/'
    assert len(parse.opml(exported.stdout.encode())) == 2 and exported.stderr == ""
    digest("feed", "set", "2", "--drop", "title=a*b")
    assert "1 of these have settings that OPML cannot say" in digest("feed", "export").stderr


@pytest.mark.parametrize(
    ("words", "minutes", "said"),
    [
        ("0", 0.0, "at once"),
        ("", None, "as in the settings"),
        ("auto", None, "as in the settings"),
        ("30", 30.0, "30 min"),
    ],
)
def test_to_settle_not_at_all_is_not_to_settle_as_in_the_settings(
    database: Database, digest: Any, words: str, minutes: float | None, said: str
) -> None:
    add(database, "https://example.org/feed")
    result = digest("feed", "set", "1", "--settle", words, "--identity", "")
    assert said in result.stderr and "identity AUTO" in result.stderr
    assert feed(database).settle_minutes == minutes
    assert entries.settles_at(MONDAY, MONDAY, minutes, timedelta(minutes=5)) == MONDAY + timedelta(
        minutes=5 if minutes is None else minutes
    )


def test_without_an_option_it_prints_what_is_set_and_no_secret(database: Database, digest: Any) -> None:
    add(database, "https://example.org/feed")
    digest("feed", "set", "1", "--cookie", stdin="token=SECRET\n")
    digest("feed", "set", "1", "--full-text", "--interval", "60")
    printed = told(digest, "set", "1")
    assert (printed["full_text"], printed["secret_headers"], printed["interval_minutes"]) == (True, ["Cookie"], 60)
    assert "SECRET" not in digest("feed", "set", "1").stdout
    digest("feed", "set", "1", "--no-full-text")
    assert told(digest, "set", "1")["full_text"] is False


def test_what_was_mended_of_an_answer_is_kept_with_its_feed_within_bounds(
    database: Database, site: Site, digest: Any
) -> None:
    site.pages["/feed"] = Reply(rss("one", "two").replace(b"About one", b"About \xff one"))
    add(database, site.base + "/feed")
    run(database)
    [note] = feed(database).trouble
    assert told(digest, "show", "1")["trouble"] == [note]
    assert told(digest, "list", "--health")[0]["trouble"] == [note]
    run(database, now=MONDAY + timedelta(days=1))  # the same bytes
    assert feed(database).trouble == [note]
    site.pages["/feed"] = Reply(rss("one", "two"))
    run(database, now=MONDAY + timedelta(days=2))
    assert feed(database).trouble == []
    kept = rows._bounded([f"{n} {'x' * 900}\x1b[31m" for n in range(30)])
    assert len(kept) == 9 and max(map(len, kept)) <= 200 and kept[-1] == "and 22 more of the kind"


def test_of_one_answer_the_newest_entry_comes_first(database: Database, site: Site) -> None:
    site.pages["/feed"] = Reply(rss("newest", "middle", "oldest"))
    add(database, site.base + "/feed")
    with database.write() as session:
        session.exec(select(NewsletterFeed)).one().topic = "ai"
    run(database)
    with database.read() as session:
        names = {entry.id: entry.title for entry in session.exec(select(Entry))}
        assert [names[id_] for id_, _ in entries.latest(session, [1], limit=2)[1]] == ["newest", "middle"]
        paper = session.exec(select(Newsletter)).one().id or 0
        assert [label.title for label in entries.labelled(session, paper, per_feed=2)] == ["newest", "middle"]


def everything(database: Database) -> list[Any]:
    with database.read() as session:
        return [row.model_dump() for table in (Feed, NewsletterFeed) for row in session.exec(select(table))]


@pytest.mark.parametrize(
    "slip",
    [
        ("--proxy", "socks5://x"),
        ("--ca-file", "/nowhere.pem"),
        ("--user-agent", "a\nb"),
        ("--header", "Bad Name"),
        ("--cookie",),
        ("--any-sender",),
        ("--topic", "nowhere"),
        ("--keep", "title="),
        ("--settle", "soon"),
        ("--weight", "much"),
        ("--identity", "nose"),
        ("--select-title", "h2"),
        ("--select", "a[", "--select-title", "h2"),
    ],
)
def test_a_slip_in_one_option_changes_nothing_of_what_the_others_say(
    database: Database, digest: Any, slip: tuple[str, ...]
) -> None:
    add(database, "http://paper.example/feed")
    before = everything(database)
    fine = {
        "--select": "article", "--select-title": "h1", "--interval": "60", "--title": "Paper", "--weight": "2",
        "--drop": "title=ad*", "--proxy": "http://p:1", "--topic": "ai", "--settle": "5", "--user-agent": "M/1",
    }  # fmt: skip
    if slip[0] == "--select-title":
        fine.pop("--select")
    others = [word for name, value in fine.items() if name not in slip for word in (name, value)]
    done = digest("feed", "set", "1", *others, *slip)
    assert done.exit_code != 0 and "Traceback" not in done.output
    assert everything(database) == before


def test_a_feed_is_added_with_all_that_was_said_of_it_or_not_at_all(
    database: Database, digest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any) -> None:
        raise BadInput("no")

    monkeypatch.setattr(feed_add, "apply", fails)
    monkeypatch.setattr(feed_add, "need_full_text", lambda: None)
    assert digest("feed", "add", "http://new.example/feed", "--no-check", "--full-text").exit_code == 65
    assert everything(database) == []


@pytest.mark.parametrize("change", ["recipe", "headers", "interval_minutes"])
def test_what_is_set_while_a_feed_is_asked_holds_for_the_next_asking(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    site.pages["/feed"] = Reply(rss("one"), headers={"ETag": '"a"'})
    add(database, site.base + "/feed")
    ask, asked = collecting._Run._ask, 0

    async def between(self: Any, due: Any, hold: Any) -> Any:
        nonlocal asked
        outcome, asked = await ask(self, due, hold), asked + 1
        if asked == 1:
            with database.write() as session:
                found = session.get_one(Feed, 1)
                if change == "recipe":
                    collect.read_by(found, parse.Recipe("item", kind="xml"), now=MONDAY)
                else:
                    said: Any = {change: {"headers": {"Cookie": "id=1"}, "interval_minutes": 60}[change]}
                    collect.ask_so(session, found, now=MONDAY, **said)
        return outcome

    monkeypatch.setattr(collecting._Run, "_ask", between)
    run(database, settings(host_gap_seconds=0))
    run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(seconds=1))
    assert asked == 2 and "if-none-match" not in site.asked[1][1]
    assert site.asked[1][1].get("cookie") == ("id=1" if change == "headers" else None)


def test_who_asked_for_longer_than_the_lease_settles_nothing(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/feed"] = Reply(status=500)
    add(database, site.base + "/feed")
    ask, asked = collecting._Run._ask, 0

    async def slow(self: Any, due: Any, hold: Any) -> Any:
        nonlocal asked
        outcome, asked = await ask(self, due, hold), asked + 1
        if asked == 1:  # the lease is over, another run asks, and has an answer
            site.pages["/feed"] = Reply(rss("one"))
            await asyncio.to_thread(run, database, now=MONDAY + timedelta(hours=2))
        return outcome

    monkeypatch.setattr(collecting._Run, "_ask", slow)
    run(database)
    assert (feed(database).failures, feed(database).checked_at) == (0, MONDAY + timedelta(hours=2))


def test_who_moves_to_an_address_that_nobody_read_any_more_is_asked_there(database: Database, site: Site) -> None:
    site.pages |= {"/old": Reply(status=308, headers={"Location": "/new"}), "/new": Reply(rss("one"))}
    add(database, site.base + "/old", site.base + "/new")
    with database.write() as session:
        session.get_one(Feed, 2).state = FeedState.RETIRED
    for day in range(2):
        run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(days=day))
    assert (feed(database, 1).state, feed(database, 2).state) == (FeedState.RETIRED, FeedState.ACTIVE)
    assert run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(days=3)).asked == 1


def test_a_page_that_is_two_feeds_stays_two_where_it_moves(database: Database, site: Site) -> None:
    page = b"<html><title>T</title><h2><a href='/1'>One</a></h2><h3><a href='/2'>Two</a></h3></html>"
    site.pages |= {"/old": Reply(status=301, headers={"Location": "/new"}), "/new": Reply(page)}
    for number, item in enumerate(("h2", "h3"), 1):
        url = f"{site.base}/old#{number}"
        collect.add_feed(database, url, newsletter="daily", now=MONDAY, recipe=parse.Recipe(item))
    for day in range(3):
        run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(days=day))
    assert [feed(database, number).url for number in (1, 2)] == [f"{site.base}/new#1", f"{site.base}/new#2"]
    site.pages["/new"] = Reply(status=301, headers={"Location": "/all#news"})
    site.pages["/all"] = Reply(page)
    for day in range(3, 6):
        run(database, settings(host_gap_seconds=0), now=MONDAY + timedelta(days=day))
    assert [feed(database, number).state for number in (1, 2)] == [FeedState.ACTIVE, FeedState.ACTIVE]
    with database.read() as session:
        assert sorted(entry.title for entry in session.exec(select(Entry))) == ["One", "Two"]
