"""Keywords, categories and rules that can never do anything are known by how entries are matched."""

from __future__ import annotations

import pytest

from digest import curate
from digest.config import Newsletter
from digest.curate.barren import Feeds, _never, barren
from digest.curate.keywords import Keywords
from digest.curate.topics import Heading, default_headings
from digest.curate.words import words

FEEDS = Feeds((("Ada's Blog", "https://ada.example/feed.xml"),), {"sorted"})


def told(feeds: Feeds | None = None, **settings: object) -> list[str]:
    paper = Newsletter(**{"title": "T", "from": "T <t@news.example>"} | settings)  # type: ignore[arg-type]
    return [f"{one.name}: {one.why}" for one in barren(paper, feeds)]


def test_no_keyword_of_ours_is_said_never_to_match():
    ours = [keyword for heading in default_headings().values() for keyword in heading.keywords]
    assert len(ours) > 300 and [keyword for keyword in ours if _never(keyword)] == []
    assert told() == told(FEEDS) == []


@pytest.mark.parametrize(
    "keyword",
    [
        "",
        " ",
        "*",
        "* *",
        "!!!",
        "++",
        "— —",
        "?",
        "...",
        "#",
        "*?",
        "a.*b",
        r"\bfoo\b",
        "[a-z]+",
        "(?i)x",
        "数*库",
        "cloud?*",
    ],
)
def test_a_keyword_that_cannot_match_is_told_with_the_line_without_it(keyword):
    paper = Newsletter(
        **{"title": "T", "from": "T <t@news.example>", "topics": {"a": {"keywords": ["one", keyword, "two"]}}}
    )
    (found,) = barren(paper)
    assert (found.table, found.key, found.value) == ("topics.a", "keywords", ("one", "two"))


@pytest.mark.parametrize(
    "keyword",
    ["c++", "c#", ".net", "node.js", "ci/cd", "risc-v", "cloud?", "postgres*", "l'état", "naïve*", "日本", "日本語",
     "l", "machine learning", "[video]", "f# 4.0", "no. 1", "R&D", "§ 5", "50%", "*sql", "don’t",
     "post*gres", "*suppe*", "*.js", "hot *suppe", "deep * learning", "猫", "日本*", "K8s集群", "第5版", "선거", "ข่าว"],
)  # fmt: skip
def test_a_keyword_that_can_match_is_left_alone_and_does(keyword):
    assert _never(keyword) == ""
    said = keyword.removesuffix("?").replace("*", "x")
    assert Keywords({"it": Heading("", (keyword,))}).find(words(f"About {said} today"))


def test_a_keyword_of_two_topics_decides_for_neither():
    topics = {"a": {"keywords": ["rust", "go"]}, "b": {"more_keywords": ["Rust"], "keywords": ["x"]}}
    (found,) = told(topics=topics)
    assert found.startswith("keyword 'Rust' of b") and "a and b alike" in found
    with_ours = told(topics={"ai": {}, "mine": {"keywords": ["deep learning", "llm"]}})
    assert all("of mine" in one for one in with_ours) and with_ours
    assert told(topics={"a": {"keywords": ["cloud?"]}, "b": {"keywords": ["cloud?"]}}) == []
    assert told(topics={"a": {"keywords": ["rust"]}, "b": {"keywords": ["rust lang"]}}) == []


def test_a_topic_that_nothing_leads_to_is_told_where_the_feeds_are_known():
    none: dict[str, list[str]] = {"keywords": []}
    topics = {"empty": none, "sorted": none, "ruled": none, "said": none | {"categories": ["x"]}, "mapped": none}
    topics |= {"web": {}, "named": {}}
    settings = {
        "topics": topics,
        "rules": [{"title": "x", "topic": "ruled"}],
        "feed_categories": {"Ada": {"y": "mapped"}},
    }
    assert told(FEEDS, **settings) == ["topic empty: has no keyword, category, rule or feed that leads to it"]
    assert told(**settings) == []


@pytest.mark.parametrize("category", ["", " AI", "AI "])
def test_a_category_that_none_can_be_is_told(category):
    assert len(told(topics={"a": {"keywords": ["x"], "categories": ["Fine", category]}})) == 1


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"title": r"^Ad:"}, "regular expression"),
        ({"title": r"\d+ tips"}, "regular expression"),
        ({"title": "spons.*"}, "regular expression"),
        ({"author": "[a-z]+ bot"}, "regular expression"),
        ({"title": "*"}, "fits everything"),
        ({"title": "  "}, "fits everything"),
        ({"url": "https://x.example/a b"}, "has a space"),
        ({"title": "x" * 501}, "longer than"),
        ({"feed": "Bob's Blog"}, "fits none of the feeds"),
    ],
)
def test_a_rule_that_can_do_nothing_is_told(rule, words):
    (found,) = told(FEEDS, rules=[rule | {"mute": True}])
    assert words in found


@pytest.mark.parametrize(
    "rule",
    [{"title": "sponsored*"}, {"title": "[video]"}, {"title": "what? no!"}, {"url": "ada.example/ads/*"},
     {"feed": "ada"}, {"title": "US$ 5"}, {"title": "C++ (part 2)"}, {"category": "a+"}, {"title": "*sponsored*"}],
)  # fmt: skip
def test_a_rule_that_can_match_is_left_alone(rule):
    assert told(FEEDS, rules=[rule | {"mute": True}]) == []


def test_a_rule_behind_one_that_takes_all_of_its_entries_is_told():
    def rules(*them: dict[str, object]) -> list[str]:
        return [
            one.partition(":")[0]
            for one in told(topics={"a": {"keywords": ["x"]}, "b": {"keywords": ["y"]}}, rules=them)
        ]

    mute, wide = {"title": "ad", "mute": True}, {"feed": "ada", "topic": "a"}
    assert rules(mute, {"title": "ad", "pin": True}) == ["rule 2"]
    assert rules(mute, {"title": "ad", "author": "ada", "boost": 2}) == ["rule 2"]
    assert rules(wide, {"feed": "ada", "title": "x", "topic": "b"}) == ["rule 2"]
    assert rules({"title": "ad", "author": "ada", "mute": True}, {"title": "ad", "pin": True}) == []
    assert rules(wide, {"feed": "ada", "title": "x", "topic": "b", "boost": 1}) == []
    assert rules({"title": "ad", "boost": 1}, {"title": "ad", "topic": "b"}) == []


def test_what_is_offered_in_its_place_is_never_told_again():
    paper = Newsletter(**{"title": "T", "from": "T <t@news.example>", "topics": {"new-things": {"keywords": []}}})
    (found,) = barren(paper, FEEDS)
    assert found.value == ("new things",)
    assert told(FEEDS, topics={"new-things": {"keywords": found.value}}) == []
    assert curate.OTHER not in str(found)
