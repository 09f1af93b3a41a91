"""What rises and what falls in a newsletter, against its own past."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from people import typed
from sqlmodel import Session

from digest.curate.trends import Told, Trends, trends
from digest.models import Feed
from digest.store import newsletters, open_database
from digest.store import trends as kept
from digest.store.keep_tables import PrunedMark
from digest.store.story_tables import Admission, Decision, Entry, Story

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TITLES = {"town": "Town", "sea": "Sea"}
QUIET = ["Lanterns for the harbour", "A choir looks for tenors", "Ducks return", "Chess club moves", "Kites are shown"]


def weekly(
    *titles: str, weeks: range, each: int = 1, sources: int = 3, topic: str = "town", first: int = 0
) -> Iterator[Told]:
    """Of each title so many stories in each of these weeks, counted back from now."""
    number = first
    for week in weeks:
        for title in titles:
            for _ in range(each):
                number += 1
                at = NOW - timedelta(weeks=week, days=3, minutes=number)
                yield Told(at, title, f"Journal {number % sources}", number, topic, f"https://a.example/{number}")


def background(each: int = 4) -> list[Told]:
    return list(weekly(*QUIET, weeks=range(8), each=each, first=1000))


def found(*more: Told, weeks: int = 8) -> Trends:
    return trends([*background(), *more], TITLES, now=NOW, weeks=weeks)


def names(some: Any, kind: str = "word") -> list[str]:
    return [trend.name for trend in some if trend.kind == kind]


def test_what_is_told_as_ever_neither_rises_nor_falls() -> None:
    told = found()
    assert (told.recent, told.past, told.rising, told.falling) == (40, 120, (), ())


def test_a_name_that_comes_up_rises_and_one_that_goes_falls_with_examples() -> None:
    rises = weekly("Mira Solberg opens a bridge", weeks=range(2), each=6)
    told = found(*rises, *weekly("The Tarn dispute goes on", weeks=range(2, 8), each=3, first=500))
    (name,) = [trend for trend in told.rising if trend.name == "Mira Solberg"]
    assert (name.recent, name.past, name.past_share, name.ratio) == (12, 0, 0.0, 5.0)
    assert [example.title for example in name.examples] == ["Mira Solberg opens a bridge"] * 3
    assert "Mira" not in names(told.rising)  # the name stands whole
    assert "Tarn dispute" in names(told.falling) and not {*names(told.rising)} & {*names(told.falling)}


@pytest.mark.parametrize(("recent", "past", "rises"), [(3, 0, False), (1, 0, False), (8, 0, True), (4, 3, False)])
def test_small_numbers_do_not_dance(recent: int, past: int, rises: bool) -> None:
    some = [*weekly("Solberg speaks", weeks=range(1), each=recent)]
    some += weekly("Solberg speaks", weeks=range(4, 5), each=past, first=500)
    assert bool(names(found(*some).rising)) == rises


def test_what_one_source_repeats_is_its_own_affair_and_the_source_is_what_rises() -> None:
    told = found(*weekly("Solberg speaks", weeks=range(2), each=15, sources=1))
    assert not names(told.rising) and names(told.rising, "source") == ["Journal 0"]


def test_topics_are_held_against_their_own_share_and_not_their_number() -> None:
    more = weekly("Ships", weeks=range(2), each=10, topic="sea")
    assert names(found(*more).rising, "topic") == ["Sea"]
    twice = [*weekly(*QUIET, weeks=range(2), each=4, first=5000)]  # of all there is twice as much now
    assert not found(*twice).rising


def test_a_story_that_many_tell_counts_once() -> None:
    told = [Told(NOW - timedelta(days=1), "Solberg speaks", f"J{n}", 1, "town") for n in range(30)]
    assert not names(found(*told).rising)


def test_without_a_past_nothing_is_compared() -> None:
    told = trends(weekly("Solberg speaks", weeks=range(1), each=9), TITLES, now=NOW, weeks=8)
    assert (told.recent, told.past, told.rising) == (9, 0, ())
    assert trends([], TITLES, now=NOW, weeks=8).begun is None


def fill(session: Session) -> None:
    paper = newsletters.find(session, "daily").id or 0
    for n in range(3):
        session.add(Feed(id=n + 1, url=f"https://j{n}.example/", title=f"Journal {n}", added_at=NOW, next_at=NOW))
    session.flush()
    rises = weekly("Mira Solberg opens a bridge", weeks=range(2), each=6)
    for one in [*background(2), *rises]:
        feed = int(one.source[-1]) + 1
        session.add(Entry(id=one.story, feed_id=feed, key=str(one.story), title=one.title, url=one.url, seen_at=one.at))
        session.flush()
        values = {"url": one.url, "title": one.title, "source": one.source, "topic": "web"}
        at = {"published_at": one.at, "admitted_at": one.at}
        session.add(Story(id=one.story, newsletter_id=paper, seq=one.story, entry_id=one.story, **values, **at))
        session.flush()
        said = {"decision": Decision.STORY, "story_id": one.story, "decided_at": one.at}
        session.add(Admission(newsletter_id=paper, entry_id=one.story, **said))


def test_the_command_says_it_in_words_and_as_json(
    tmp_path: Path, upgraded_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = typed(tmp_path, upgraded_sqlite)
    monkeypatch.setattr("digest.cli.topic.now", lambda: NOW)
    assert "nothing was told in these 8 weeks" in run("topic", "trends").stdout
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    with database.write() as session:
        fill(session)
    said = run("topic", "trends").stdout
    assert "daily: from 2026-01-" in said and "Rising\n  word    Mira Solberg: 12 (" in said
    assert re.search(r"before 0 \(0\.0%\): 5(\.\d+)? times as much\n {12}\d+  Mira", said)
    told = json.loads(run("topic", "trends", "--weeks", "8", "--json").stdout)
    assert told["newsletter"] == "daily" and told["rising"][0]["examples"][0]["url"].startswith("https://a.example/")
    with database.write() as session:
        assert kept.whole_since(session, entries_days=20, now=NOW) is None
        session.add(PrunedMark(newsletter_id=0, mark=1))
        session.flush()
        assert kept.whole_since(session, entries_days=20, now=NOW) == NOW - timedelta(days=20)
        assert kept.whole_since(session, entries_days=0, now=NOW) is None
    (tmp_path / "digest.toml").open("a").write("[keep]\nentries_days = 30\n")
    assert "daily: from 2026-02-" in run("topic", "trends").stdout
    # What it continues is the editor's to say.
    for words, continues in (("none", "nothing: an editor took it away"), ("1", "no edition shows any more"), ("", "")):
        run("story", "edit", "9", "--earlier", words)
        assert continues in json.loads(run("why", "9", "--json").stdout)["continues"]
    assert "is no story" in run("story", "edit", "9", "--earlier", "first", code=64).stderr
    assert "came no earlier" in run("story", "edit", "9", "--earlier", "9", code=65).stderr
    database.close()
