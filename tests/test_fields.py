"""Topics for any field: packaged to begin with, proposed by what feeds bring, and what is wrong with them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from digest import config
from digest.cli import answers
from digest.config import Topic
from digest.curate.barren import barren
from digest.curate.fields import as_table, field_topics, fields
from digest.curate.topics import Keywords, Placer, Text, headings
from digest.errors import UserError

INIT = (Path(answers.__file__).parent / "init.toml").read_text(encoding="utf-8")
NAMED = {"cooking", "local", "science", "politics", "games", "music", "tech"}


def written(**said: str) -> str:
    return answers.settings(INIT.replace("@secret_key@", "k" * 40), said, Path("digest.toml"))


def read(text: str) -> config.Newsletter:
    (paper,) = config.from_values(tomllib.loads(text), Path("digest.toml"), environment=False).newsletters.values()
    return paper


def test_there_are_topics_for_each_field() -> None:
    assert set(fields()) == NAMED


@pytest.mark.parametrize("field", sorted(NAMED))
def test_a_field_has_topics_with_keywords_that_all_can_match(field: str) -> None:
    topics = field_topics(field)
    assert 6 <= len(topics) <= 10
    assert [slug for slug, heading in topics.items() if not 15 <= len(heading.keywords) <= 30] == []
    paper = read(written(field=field, newsletter="mine"))
    assert list(paper.topics) == list(topics)
    assert {slug: (topic.title, topic.keywords) for slug, topic in paper.topics.items()} == {
        slug: (heading.title, heading.keywords) for slug, heading in topics.items()
    }
    assert barren(paper) == []


@pytest.mark.parametrize(
    ("field", "title", "topic"),
    [
        ("cooking", "A sourdough loaf for beginners", "baking"),
        ("local", "Mayor opens the new town hall", "council"),
        ("science", "Webb telescope finds an exoplanet", "space"),
        ("politics", "Voters head to the ballot box", "elections"),
        ("games", "A board game with dice and a dungeon master", "tabletop"),
        ("music", "The orchestra plays a symphony by Mozart", "classical"),
        ("tech", "Ransomware gang behind a data breach", "security-and-privacy"),
    ],
)
def test_a_field_s_keywords_place_what_belongs_to_it(field: str, title: str, topic: str) -> None:
    topics = field_topics(field)
    assert Placer(topics, Keywords(topics)).place(Text.of(title)).topic == topic


def test_init_writes_the_rest_of_the_settings_as_before() -> None:
    plain, with_field = written(), written(field="cooking")
    begin = plain.index("# Headings, in this order")
    assert with_field[:begin] == plain[:begin]
    ending = plain[plain.rindex("[newsletters.daily.topics.") :].partition("\n")[2]
    assert with_field.endswith(ending.lstrip("\n") or "]\n")


def test_a_field_that_is_none_is_told() -> None:
    with pytest.raises(UserError, match="there is no field 'knitting'") as told:
        written(field="knitting")
    assert "cooking, games, local" in told.value.hint


def test_whatever_stands_in_a_title_a_topic_is_read_back_as_it_was() -> None:
    title, keywords = 'A "b" \\ c\x7f#', ["c++", "*suppe", "数据库?", 'x"y', "a b " * 60]
    table = as_table("topics", "x", title, keywords, notes=["evil\n[other]\r\x00\x7f end\u2028[x]"])
    assert tomllib.loads(table) == {"topics": {"x": {"title": title, "keywords": keywords}}}
    assert headings({"x": Topic(keywords=("*suppe",))})["x"].keywords == ("*suppe",)
