"""Two sentences that say most of a text: whole, its own, in its order, and fit to stand alone."""

from __future__ import annotations

import pytest
from conftest import on_sqlite
from hypothesis import given
from hypothesis import strategies as st
from test_admit import NOW, Desk

from digest import config, edition
from digest.curate import central, excerpts
from digest.graphemes import width
from digest.parse import gist
from digest.render import words
from digest.store import Database, stories

MARKED = """
<p>It was a quiet week in the town by the river. However, the river is high again.</p>
<p>The council of Elmstead decided to build a new bridge over the river. This was no surprise to anybody.</p>
<p>A bridge over the river would cost the council nine million pounds (which it does not have. Fig. 3 shows the old
bridge, e.g. its pillars. He said so himself.</p>
<p>Engineers told the council that the old bridge cannot carry a bus. Why should it?</p>
<p>Shops close at noon on Saturdays. Some people like cheese with their bread.</p>
"""


def of(markup: str, *, title: str = "Bridge news", language: str = "en", summary: str = "") -> central.Central:
    return central.of(gist.of(summary, markup), title=title, language=language, length=150)


def test_the_sentences_are_those_whose_words_the_others_share() -> None:
    chosen = of(MARKED)
    assert chosen.text == (
        "The council of Elmstead decided to build a new bridge over the river. "
        "Engineers told the council that the old bridge cannot carry a bus."
    )
    assert chosen.why.startswith("sentences 3 and ")


@pytest.mark.parametrize(
    ("language", "leans"),
    [
        *(("en", one) for one in ("However, it rains.", "This is it.", "“They came.", "For example, we saw it.")),
        *(("de", one) for one in ("Diese Brücke hält.", "Trotzdem geht es.", "Er kam.")),
        *(("fr", one) for one in ("C’est fini.", "Par contre, il pleut.")),
        *(("es", "Sin embargo, llueve."), ("pt", "Além disso, chove."), ("it", "Però piove."), ("nl", "Echter niet.")),
        *(("pl", "Jednak pada."), ("ru", "Однако дождь."), ("tr", "Ancak yağıyor."), ("ar", "لكن المطر.")),
        *(
            ("he", "אבל גשם."),
            ("hi", "लेकिन बारिश।"),
            ("zh", "但是下雨。"),
            ("ja", "しかし雨だ。"),
            ("ko", "그러나 비."),
        ),
        ("", "But it rains."),
        ("zh", "However, it rains."),
    ],
)
def test_a_sentence_that_leans_on_the_one_before_is_known_by_its_first_words(language: str, leans: str) -> None:
    assert central.goes_on(leans, language)


@pytest.mark.parametrize(
    ("language", "alone"),
    [("en", "Itself a river."), ("en", "Butter is dear."), ("de", "Also"), ("en", "On it goes."), ("zh", "中国的桥。")],
)
def test_a_sentence_that_begins_otherwise_stands_by_itself(language: str, alone: str) -> None:
    assert central.goes_on(alone, language) == (alone == "Also")


def test_languages_without_spaces_have_sentences_too() -> None:
    text = "议会决定在河上建一座新的大桥供公交使用。但是没有人感到惊讶。工程师说旧的大桥不能承受公交车。"
    text += "商店星期六中午就关门了吗？天气很好适合去公园里散步。新的大桥将会花费议会九百万英镑。"
    text += "有些人喜欢奶酪和面包一起吃。"
    chosen = of(f"<p>{text}</p>", language="zh", title="大桥")
    assert chosen.text and "但是" not in chosen.text and "？" not in chosen.text
    parts = [f"{part}。" for part in chosen.text.split("。") if part]
    assert len(parts) == 2 and text.index(parts[0]) < text.index(parts[1])


def test_a_summary_of_the_publisher_and_a_short_text_are_left_as_they_are() -> None:
    own = "The town of Elmstead wants another bridge, and does not know how to pay for it at all."
    assert of(MARKED, summary=own) == central.Central("", "the first words: its publisher wrote a summary")
    assert of("<p>One bridge is here. Another bridge is there.</p>").text == ""
    assert of("").text == ""


WORDS = st.sampled_from(
    ["River", "bridge", "it", "However", "(", ")", "“", "”", ".", "?", "…", "e.g.", "桥。", "но", "\n"]
)


@given(st.lists(WORDS, max_size=120), st.sampled_from(["", "en", "zh", "ru"]))
def test_whatever_a_text_is_what_is_chosen_stands_in_it_in_order(parts: list[str], language: str) -> None:
    entry = gist.of("", " ".join(parts))
    chosen = central.of(entry, title="Rivers", language=language, length=150)
    said = " ".join(line.kept for line in entry.content)
    at = 0
    for sentence in excerpts.sentences(chosen.text):
        at = said.index(sentence, at) + len(sentence)
        assert not central.goes_on(sentence, language)
    assert width(chosen.text) <= 2 * 150 and bool(chosen.why)


@on_sqlite
def test_an_edition_shows_the_sentences_where_the_settings_want_them_and_why_says_which(database: Database) -> None:
    desk = Desk(database)
    feed = desk.old_feed("Gazette")
    desk.entry(feed, "Bridge news", content=MARKED, language="en")
    settings = config.Curate(excerpts="central")
    edition.take_in(database, "daily", desk.settings, settings, now=NOW)
    story = desk.stories()[-1]
    with database.read() as session:
        why = edition.explain(session, story)["excerpt_why"]
        [told] = [one for one in stories.since(session, 1, since=0, upto=99) if one.id == story.id]
    assert story.excerpt == of(MARKED).text and why == of(MARKED).why and told.summary == "central"
    story_id = story.id
    assert story_id is not None
    with database.write() as session:
        edition.reword(session, "daily", story_id, edition.Rewording(excerpt="By an editor."))
    with database.read() as session:
        assert stories.told(session, desk.stories()[-1]).summary == ""


def test_a_place_with_little_room_shows_as_many_of_its_sentences_as_fit() -> None:
    said = "The council decided on a bridge. It costs nine million pounds that nobody has got so far."
    assert words.within(said, 200) == said
    assert words.within(said, 60) == "The council decided on a bridge."
    assert words.within(said, 20) == ""
