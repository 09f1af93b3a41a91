"""Topics for any field: packaged to begin with, proposed by what feeds bring, and what is wrong with them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Done
from saying import FIELDS, entries

from digest import config
from digest.cli import answers
from digest.config import Topic
from digest.curate.barren import barren
from digest.curate.fields import as_table, field_topics, fields
from digest.curate.keywords import Keywords
from digest.curate.lint import lint
from digest.curate.suggest import Proposals, Sample, suggest
from digest.curate.topics import Placer, Text, headings
from digest.curate.words import words
from digest.errors import UserError
from digest.models import Feed, NewsletterFeed
from digest.store import newsletters, open_database
from digest.store.story_tables import Entry

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


def proposed(field: str, number: int = 300, **how: Any) -> tuple[dict[str, str], Proposals]:
    """The subject of each title, and what is proposed."""
    made = list(entries(field, number, **how))
    return {sample.title: subject for subject, sample in made}, suggest(sample for _subject, sample in made)


@pytest.mark.thin(4)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("how", [{}, {"categories": True}, {"feeds": 3}, {"feeds": 1}], ids=str)
def test_headings_of_any_field_gather_the_stories_of_one_subject_each(field: str, how: dict[str, Any]) -> None:
    """Also where each feed has a subject of its own, and where there is but one feed."""
    subject_of, found = proposed(field, **how)
    about = [{subject_of[title] for title in heading.examples} for heading in found.headings]
    assert all(len(one) == 1 for one in about), about
    assert set().union(*about) == set(FIELDS[field]), "each subject has its heading"
    assert all(len(heading.examples) == 5 and len(set(heading.examples)) == 5 for heading in found.headings)
    assert found.placed >= 0.7 * found.entries
    for heading in found.headings:
        (subject,) = {subject_of[title] for title in heading.examples}
        own = {*words(FIELDS[field][subject]), subject, FIELDS[field][subject].lower()}
        assert all(set(words(one)) <= own for one in heading.keywords), heading.keywords


def test_headings_are_the_same_for_the_same_entries_and_no_name_is_taken_twice() -> None:
    made = [sample for _subject, sample in entries("cooking", 200)]
    first = suggest(made)
    assert suggest(made) == first
    again = suggest(made, taken=[one.slug for one in first.headings])
    assert not {one.slug for one in again.headings} & {one.slug for one in first.headings}
    assert [one.keywords for one in again.headings] == [one.keywords for one in first.headings]


def test_proposed_headings_are_settings_that_can_match() -> None:
    for field in FIELDS:
        _subjects, found = proposed(field, 150)
        tables = [
            as_table("newsletters.daily.topics", h.slug, h.title, h.keywords, notes=h.examples) for h in found.headings
        ]
        text = written()
        begin = text.index("# Headings, in this order")
        paper = read(text[:begin] + "\n".join(tables))
        assert {slug: topic.keywords for slug, topic in paper.topics.items()} == {
            h.slug: h.keywords for h in found.headings
        }
        assert barren(paper) == []


def test_a_heading_is_written_as_titles_have_it() -> None:
    _subjects, found = proposed("local", feeds=1)
    nouns = {noun for nouns in FIELDS["local"].values() for noun in nouns.split()}
    assert all(set(heading.title.split(" & ")) <= nouns for heading in found.headings), found.headings


def test_too_little_is_said_to_be_too_little() -> None:
    _subjects, few = proposed("cooking", 40)
    assert few.headings == () and few.why.startswith("40 entries with a title are too few")
    strange = [Sample(n % 3, f"alpha{n}x beta{n}y") for n in range(100)]
    assert suggest(strange).headings == () and "share too few words" in suggest(strange).why
    assert suggest([Sample(1, "  ")] * 100).entries == 0


def test_what_only_one_of_several_feeds_says_is_no_subject() -> None:
    made = [sample for _subject, sample in entries("cooking", 200)]
    made += [Sample(99, f"Parrot Megaphone Trumpet Kettle {n}") for n in range(60)]
    assert "megaphone" not in str(suggest(made).headings)


def test_no_more_entries_are_read_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digest.curate.suggest.MOST", 90)
    endless = (sample for _ in iter(int, 1) for _subject, sample in entries("law", 90))
    told: list[tuple[int, int]] = []
    assert suggest(endless, told=lambda done, total: told.append((done, total))).entries == 90
    assert told[0] == (1, 180) and told[-1] == (180, 180)


def flaws(texts: Sequence[str] = (), **settings: Any) -> list[tuple[str, str, tuple[str, ...] | str | None]]:
    paper = config.Newsletter(**{"title": "T", "from": "T <t@news.example>"} | settings)
    found, number = lint(paper, None, map(Text.of, texts))
    assert number == len(texts)
    return [(flaw.kind, flaw.what.name, flaw.what.value) for flaw in found]


def test_packaged_topics_have_nothing_to_mend() -> None:
    assert flaws() == flaws(topics={"web": {}, "ai": {}}) == []
    for field in NAMED:
        topics = {slug: {"keywords": heading.keywords} for slug, heading in field_topics(field).items()}
        assert flaws(topics=topics) == [], field


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("post*", "postgres"),
        ("*suppe", "kürbissuppe"),
        ("post*gres", "postxgres"),
        ("soups", "soup"),
        ("soup*", "soupy*"),
    ],
)
def test_keywords_of_two_topics_that_are_found_in_the_same_words_are_told(one: str, two: str) -> None:
    for topics in ({"a": [one, "x"], "b": [two, "y"]}, {"a": [two, "x"], "b": [one, "y"]}):
        (found,) = flaws(topics={slug: {"keywords": words} for slug, words in topics.items()})
        assert found[0] == "overlap" and found[2] in (("x",), ("y",))
        slug = found[1][-1]
        assert flaws(topics={s: {"keywords": found[2] if s == slug else words} for s, words in topics.items()}) == []
    assert flaws(topics={"a": {"keywords": [f"{one}?"]}, "b": {"keywords": [two]}}) == []


def test_a_keyword_of_two_topics_and_one_that_cannot_match_are_told_once() -> None:
    topics = {"a": {"keywords": ["rust", "!!!"]}, "b": {"keywords": ["Rust", "x"]}}
    assert flaws(topics=topics) == [
        ("never", "keyword '!!!' of a", ("rust",)),
        ("overlap", "keyword 'Rust' of b", ("x",)),
    ]


def test_a_keyword_that_nearly_all_entries_have_is_told_with_the_line_that_weakens_it_or_leaves_it_out() -> None:
    texts = [f"The town in {'spring' if n % 2 else 'may'} {n}" for n in range(120)]
    topics: dict[str, Any] = {"a": {"keywords": ["town", "rose"], "more_keywords": ["may", "x"]}}
    assert flaws(texts, topics=topics) == [
        ("broad", "keyword 'may' of a", ("may?", "x")),
        ("broad", "keyword 'town' of a", ("rose",)),
    ]
    assert flaws(texts[:99], topics=topics) == [], "too few to tell"
    topics["a"] = {"keywords": ["rose"], "more_keywords": ["may?", "x"]}
    assert flaws(texts, topics=topics) == [], "what is offered is not told again"
    assert ("broad", "keyword 't*' of a", ()) in flaws(texts, topics={"a": {"keywords": ["t*"]}})


def test_what_no_entry_has_is_told_a_topic_at_once_and_is_no_fault() -> None:
    texts = [f"A rose {n}" for n in range(500)]
    topics = {"a": {"keywords": [*(f"flower{n}" for n in range(20)), "!!!"]}, "b": {"more_keywords": ["tulip"]}}
    kinds = [(kind, name) for kind, name, _value in flaws(texts, topics=topics)]
    assert kinds == [
        ("never", "keyword '!!!' of a"),
        ("unseen", "keywords of a"),
        ("unseen", "more_keywords of b"),
    ]
    assert [kind for kind, *_ in flaws(texts[:499], topics=topics)] == ["never"]


@pytest.fixture
def kitchen(digest: Callable[..., Done], tmp_path: Path) -> Callable[..., Done]:
    """The command line, and entries about cooking that its newsletter has collected."""
    assert digest("init", "--field", "cooking").returncode == 0
    settings = config.load(tmp_path / "digest.toml")
    database = open_database(settings.database_url)
    now = datetime.now(UTC)
    newsletters.keep(database, settings.newsletters, now=now)
    with database.write() as session:
        paper = newsletters.find(session, "daily")
        for number in range(3):
            session.add(Feed(id=number + 1, url=f"https://{number}.example/feed", added_at=now, next_at=now))
        session.flush()
        for number in range(3):
            session.add(NewsletterFeed(newsletter_id=paper.id or 0, feed_id=number + 1, added_at=now))
        for number, (_subject, one) in enumerate(entries("cooking", 150, feeds=3)):
            link = f"https://{one.feed}.example/{number}"
            session.add(
                Entry(feed_id=one.feed + 1, key=link, url=link, title=one.title, content=one.opening, seen_at=now)
            )
        session.add(Entry(feed_id=1, key="evil", title="soup broth\n[smtp]\u202e\x1b[31m", seen_at=now))
    database.close()
    return digest


def test_an_operator_is_proposed_headings_and_puts_them_into_the_settings(
    kitchen: Callable[..., Done], tmp_path: Path
) -> None:
    done = kitchen("topic", "suggest")
    assert done.returncode == 0, done.stderr
    assert "of 151 entries would have a heading" in done.stderr
    path = tmp_path / "digest.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("# Headings, in this order")] + done.stdout, encoding="utf-8")
    topics = config.load(path).newsletters["daily"].topics
    told = json.loads(kitchen("topic", "suggest", "--json").stdout)
    assert len(topics) == 3 and [len(one["examples"]) for one in told["headings"]] == [5, 5, 5]
    assert kitchen("topic", "lint").returncode == 0
    assert not {one["slug"] for one in told["headings"]} & set(topics), "slugs that are in use are not proposed"


def test_an_operator_is_told_which_line_mends_a_keyword(kitchen: Callable[..., Done], tmp_path: Path) -> None:
    assert kitchen("topic", "lint").returncode == 0
    path = tmp_path / "digest.toml"
    with path.open("a", encoding="utf-8") as settings:
        settings.write('[newsletters.daily.topics.more-soup]\nkeywords = ["so*", "chowders", "x"]\n')
    done = kitchen("topic", "lint")
    assert done.returncode == 1 and "chowders" in done.stdout
    assert f"# in [newsletters.daily.topics.more-soup] of {path}" in done.stdout
    told = json.loads(kitchen("topic", "lint", "--json").stdout)
    assert told["entries"] == 151 and told["faults"] == len(told["found"]) > 0
    line = next(one["line"] for one in told["found"] if "chowders" in one["name"])
    assert tomllib.loads(line) == {"keywords": ["so*", "x"]}


def test_a_newsletter_without_entries_has_no_heading_proposed(digest: Callable[..., Done]) -> None:
    assert digest("init").returncode == 0
    done = digest("topic", "suggest")
    assert (done.returncode, done.stdout) == (0, "") and "0 entries with a title are too few" in done.stderr
    assert json.loads(digest("topic", "suggest", "--json").stdout)["headings"] == []
