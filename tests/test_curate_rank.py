"""Which stories come first, what one reader gets, and what is held back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config import Curate, Newsletter, Rule
from digest.curate import Paper, flood, leading, pick, rank, rules, series
from digest.curate.keywords import Keywords
from digest.curate.leading import never
from digest.curate.topics import Placer, Text, headings
from digest.values import Story

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def story(n: int, **values: Any) -> Story:
    given = {
        "id": n,
        "seq": n,
        "topic": "web",
        "url": f"https://site{n}.example/",
        "title": f"Story {n}",
        "source": f"Site {n}",
        "author": "",
        "excerpt": "",
        "language": "en",
        "image_url": "",
        "reading_minutes": 1,
        "published_at": NOW,
        "rank": 0.0,
        "pinned": False,
        "feed_id": n,
    }
    return Story(**given | values)


def choose(stories: list[Story], limit: int = 4, **settings: Any) -> tuple[list[int], list[str]]:
    topics = settings.pop("topics", frozenset())
    found = pick(stories, topics=topics, limit=limit, curate=Curate(**settings), now=NOW)
    return [s.id for s in found.stories], [left.why for left in found.left]


def test_the_best_rank_comes_first_and_a_pin_before_it() -> None:
    stories = [story(1, rank=1), story(2, rank=3), story(3, rank=2), story(4, pinned=True, rank=-5)]
    assert choose(stories)[0] == [4, 2, 3, 1]


def test_a_story_that_there_is_no_room_for_is_neither_compared_nor_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    keys = rank._series
    monkeypatch.setattr(rank, "_series", lambda one: asked.append(one.id) or keys(one))
    chosen, left = choose([story(n, rank=-n) for n in range(1, 401)])
    assert chosen == asked == [1, 2, 3, 4]
    assert left == ["there was room for 4 stories only, and others ranked higher"] * 396


def test_of_two_equals_the_fresher_comes_first() -> None:
    assert choose([story(1, published_at=NOW - timedelta(days=3)), story(2)])[0] == [2, 1]


def test_a_loud_feed_does_not_fill_the_mail() -> None:
    loud = [story(n, feed_id=1, source="Loud", rank=9) for n in range(10)]
    others = [story(20 + n, topic="ai") for n in range(9)]
    chosen, left = choose([*loud, *others], limit=10, per_feed=2)
    assert sum(n < 10 for n in chosen) == 2
    assert "capped: at most 2 of one feed (Loud)" in left


def test_a_newsletter_of_one_feed_and_author_is_not_cut_to_the_caps() -> None:
    stories = [story(n, feed_id=1, author="Ada") for n in range(10)]
    assert len(choose(stories, limit=10, per_feed=2, per_author=1)[0]) == 10


def test_an_author_is_capped_over_the_whole_edition_and_the_first_story_names_the_others() -> None:
    series = [story(n, author="Bot", rank=5, topic=("web", "ai", "games")[n % 3]) for n in range(5)]
    others = [story(10 + n, author=f"Ada {n}") for n in range(8)]
    chosen, left = choose([*series, story(9, author="BOT", topic="ai", rank=4), *others], limit=10, per_author=1)
    assert [n for n in chosen if n < 10] == [4]
    assert any("one author (Bot)" in why for why in left)
    found = pick([*series, *others], topics=frozenset(), limit=10, curate=Curate(per_author=1), now=NOW)
    assert [other.title for other in found.stories[0].more_by] == ["Story 3", "Story 2", "Story 1", "Story 0"]


def test_what_is_capped_names_the_story_that_names_it() -> None:
    series = [story(n, author="Bot", rank=5, title=f"Part {n}") for n in range(1, 4)]
    found = pick([*series, story(9, author="Ada")], topics=frozenset(), limit=9, curate=Curate(per_author=1), now=NOW)
    head = next(one for one in found.stories if one.more_by)
    assert len(found.left) == 2
    assert all(one.why.endswith(f"named under story {head.id}, “{head.title}”") for one in found.left)


def test_a_name_that_anybody_has_is_one_author_on_one_site_only() -> None:
    stories = [story(n, author="admin", topic=str(n)) for n in range(4)] + [story(9, author="Ada")]
    assert len(choose(stories, limit=5, per_author=1)[0]) == 5


TOWNS = ["Ulm", "Jena", "New Town", "Bonn", "Trier", "Celle", "Worms"]
TEMPLATE = (
    "{} built a feature for live agents that streams what they say to browsers in real time. Latency spiked, messages "
    "were dropped and failures said nothing; then {} moved the whole state into one broker, and here is what we learnt."
)


@pytest.mark.parametrize(
    "values",
    [
        lambda n: {"excerpt": f"In this article we will look at thing number {n}, which everybody needs."},
        lambda n: {"title": f"Day {n} of 100 days of code"},
        lambda n: {"title": f"Weather in {TOWNS[n]} today"},
        lambda n: {"title": f"Why {TOWNS[n]} and {TOWNS[-n - 1]} chose our platform for their invoices"},
        lambda n: {"title": f"{TOWNS[n]}：今日天气预报和空气质量"},
        lambda n: {"excerpt": TEMPLATE.format(TOWNS[n], TOWNS[-n - 1])},
    ],
)
def test_a_template_of_several_authors_is_a_series_too(values: Any) -> None:
    stories = [story(n, author=f"Ada {n}", topic=str(n), **values(n)) for n in range(6)]
    chosen, left = choose([*stories, story(9, author="Eve")], limit=7, per_author=2)
    assert len([n for n in chosen if n < 9]) == 2 and any("from a template" in why for why in left)


BEGINNINGS = ("Weather in", "Why", "今日天气预报和空气质量", "", "No. 7")
ENDS = ("today", "is so", "7", "", "of the day")
TEXTS = (
    "",
    TEMPLATE,
    "{}.",
    "今天的天气预报说北京和上海都会下雨而且空气质量很好{}请大家带伞{}",
    f"{'word ' * 30}{{}}{{}}",
)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=2, max_size=12))
def test_of_a_series_are_all_that_are_alike(told: list[tuple[int, int, int, int]]) -> None:
    found, before = series.Told(), []
    for n, (a, b, c, d) in enumerate(told):
        towns = TOWNS[b], TOWNS[c]
        title, text = f"{BEGINNINGS[a]} {' '.join(towns)} {ENDS[d]}", TEXTS[(a + d) % 5].format(*towns)
        one = story(n, title=title, excerpt=text)
        assert found.alike(one) == series.alike(one, before)
        found.add(one)
        before.append(one)


def test_titles_that_begin_as_many_do_are_no_series() -> None:
    titles = ["sort lists", "read files", "draw maps", "cook rice", "count sheep", "bind books"]
    stories = [
        story(n, author=f"Ada {n}", topic=str(n), title=f"How to {what} in Python") for n, what in enumerate(titles)
    ]
    stories += [story(10 + n, author=f"Bob {n}", topic=f"1{n}", title=f"{town} is dry") for n, town in enumerate(TOWNS)]
    assert len(choose([*stories, story(9, author="Eve")], limit=20, per_author=2)[0]) == 14


TEXT = "The council decided on Tuesday evening that the old bridge is to be replaced by a ferry."


def leads(*rivals: Story, **of_paper: Any) -> int:
    """Which story leads; the first has the best rank, the second the next."""
    ranked = [replace(s, rank=9.0 - at) for at, s in enumerate(rivals)]
    found = pick(ranked, topics=frozenset(), limit=9, curate=Curate(), now=NOW, paper=Paper(**of_paper))
    assert {s.id for s in found.stories} == {s.id for s in rivals}
    assert found.lead is not None
    return found.lead.id


GOOD = story(2, excerpt=TEXT, title="Old bridge is replaced by a ferry")


@pytest.mark.parametrize(
    "unfit",
    [
        {"title": "Tag: databases"},
        {"url": "https://ada.example/tags/rust/"},
        {"url": "https://ada.example/blog/category/databases"},
        {"title": "Posts tagged databases"},
        {"title": "Example Ltd. is hiring a database engineer"},
        {"title": "Senior Rust Developer (m/f/d) in Berlin"},
        {"url": "https://ada.example/careers/database-engineer"},
        {"title": "This feed has moved"},
        {"title": "We've moved to a new home"},
        {"title": "Please update your RSS subscription"},
        {"title": "Hello world!"},
        {"title": "Test post"},
        {"title": "Sponsored: buy this"},
        {"url": "http://localhost:1313/posts/one/"},
        {"url": "http://127.0.0.1:4000/one"},
        {"url": "http://192.168.1.20/one"},
        {"url": "http://blog.local/one"},
        {"title": "La saison commence \u00c3\u00a0 Lyon"},
        {"title": "Fu\ufffdball am Sonntag"},
        {"excerpt": "It\u00e2\u20ac\u2122s a good day for all of those who are here, and for those who are not."},
        {"published_at": NOW - timedelta(days=4000)},
        {"dated": False},
        {"language": "de"},
        {"excerpt": ""},
        {"topic": "other"},
    ],
)
def test_what_is_unfit_does_not_lead_whatever_its_rank(unfit: dict[str, Any]) -> None:
    assert leads(story(1, **{"excerpt": TEXT} | unfit), GOOD, language="en-GB") == 2


@pytest.mark.parametrize(
    "fit",
    [
        {"title": "How we tag a million photos"},
        {"title": "Hiring is broken, and what a bank does about it"},
        {"title": "NASA moved its launch to Friday"},
        {"title": "Why tests of flats lie"},
        {"url": "https://ada.example/posts/tags-in-databases"},
        {"title": "Loom 2.0", "url": "https://github.com/ada/loom/releases/tag/v2.0.0"},
        {"title": "Loom 2.0", "url": "https://gitlab.com/ada/loom/-/tags/v2.0.0"},
        {"title": "Ângela e os gatos, à noite"},
        {"language": ""},
        {"pinned": True, "excerpt": "", "published_at": NOW - timedelta(days=400)},
    ],
)
def test_what_is_fit_leads_by_its_rank(fit: dict[str, Any]) -> None:
    assert leads(story(1, **{"excerpt": TEXT} | fit), GOOD, language="en") == 1


@pytest.mark.parametrize(
    ("titles", "why"),
    [
        (
            "This blog is now at example.org / Wir sind umgezogen / Nous avons déménagé / "
            "Este blog se ha mudado / Ci siamo "
            "trasferiti / Блог переехал / 本站已迁移 / ブログを移転しました / Deze blog is verhuisd / "
            "انتقلنا إلى موقع جديد",
            "says that a feed or site moved",
        ),
        (
            "We are looking for a Senior Engineer / Wir suchen einen Redakteur / "
            "On recrute ! / Buscamos desarrollador "
            "backend / Vaga: Desenvolvedor Rust / Вакансия: разработчик / 诚聘Java工程师 / "
            "エンジニア募集 / Koch (w/m/d) gesucht / "
            "Backend Engineer (Remote) / Offerta di lavoro: sviluppatore / وظيفة شاغرة: مهندس",
            "is a job advert",
        ),
        (
            "Étiquette : rust / Kategorie-Archiv: Linux / Archivo de la categoría Linux / "
            "Рубрика: Linux / 标签：Linux / "
            "タグ: Linux / linux Archives - A blog / Monthly Archives: May 2026 / "
            "Tag archivi: linux / وسم: لينكس / Seite 3",
            "is a page of tags or an archive",
        ),
        (
            "Hallo Welt! / ¡Hola mundo! / Bonjour tout le monde ! / Привет, мир! / 世界，您好！ / "
            "Ohne Titel / Sans titre / "
            "Без названия / テスト / Test 123 / #linux",
            "has a title that says nothing",
        ),
        (
            "Werbung: ein Auto / Contenu sponsorisé : VPN / Publicidad: coche / "
            "На правах рекламы / [推广] VPN / 【PR】VPN / "
            "إعلان: سيارة / Save 40% on chairs / Ad: mattress",
            "is an advertisement",
        ),
        (
            "Êîäèðîâêà ñëîìàíà / ä¸\xadå›½è¶³çƒ / æ—¥æœ¬èªž / Ø§Ù„Ø¹Ø±Ø¨ÙŠØ© / ×©×œ×•× / "
            "Ä°stanbul ÅŸehir / Film: ?????? ??? ??? / "
            "Fu?ball am Sonntag in M?nchen / Å‚Ã³dÅº",
            "has broken letters",
        ),
    ],
)
def test_what_never_leads_is_known_in_many_languages(titles: str, why: str) -> None:
    said = {title: never(title, "https://ada.example/2026/one", "") for title in titles.split(" / ")}
    assert said == dict.fromkeys(said, why)


@pytest.mark.parametrize(
    "title",
    [
        "We've moved our database to another engine",
        "Nous avons déménagé nos serveurs",
        "Как мы переехали на другую базу",
        "The feed that moved a nation",
        "Angela zieht um",
        "Wir suchen das beste Brot der Stadt",
        "A maker of phones is hiring fewer engineers, report says",
        "Vacancies fall to record low",
        "求人倍率が低下",
        "Archives of a lost city found",
        "Tag der Einheit: das Land feiert",
        "Label: ein kleines Haus stirbt leise",
        "Hello world in twelve languages, explained",
        "Prueba de fuego para el gobierno",
        "30% off-grid homes in one valley",
        "Werbung im Fernsehen wird verboten",
        "Il a mangé… « à Lyon », dit-il : É\u00a0!",
        "What is ???? in a query",
        "MENÜ… ÖLPREIS: »fällt«",
        "See https://ada.example/?id=1 and https://ada.example/x?page=2",
    ],
)
def test_news_about_moves_jobs_tags_and_letters_may_lead(title: str) -> None:
    assert never(title, "https://ada.example/2026/one", "") == ""


def test_a_release_of_software_is_no_page_of_tags() -> None:
    assert leading.no_story("Loom 2.0", "https://github.com/ada/loom/releases/tag/v2.0.0") == ""
    assert leading.no_story("Loom", "https://ada.example/tag/loom") != ""


def test_a_feed_that_moved_is_no_story_and_a_site_that_moved_may_be_one() -> None:
    for url in (
        "https://ada.example/index.xml",
        "https://ada.example/feed/",
        "https://ada.example/",
        "https://a.example",
    ):
        assert "moved" in leading.no_story("This feed has moved", url)
        assert "moved" in leading.no_story("Feed Moved Permanently", url)
    assert leading.no_story("This blog has moved to a solar server", "https://ada.example/2026/solar") == ""
    assert leading.no_story("Ferries stop at noon", "https://ada.example/feed/") == ""


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f000001", "2130706433", "192.168.001.1", "[fe80::1]", "100.64.0.1", "laptop", "a.corp", "b.intranet"],
)
def test_an_address_that_readers_cannot_open_does_not_lead(host: str) -> None:
    assert "cannot open" in never("Old bridge is replaced by a ferry", f"http://{host}/one", "")
    assert never("Old bridge is replaced by a ferry", "http://93.184.216.34/one", "") == ""


def test_what_is_old_depends_on_the_newsletters_rhythm() -> None:
    old = story(1, excerpt=TEXT, published_at=NOW - timedelta(days=10))
    assert leads(old, GOOD) == 2
    assert leads(old, GOOD, rhythm=timedelta(days=7)) == 1


def test_an_edition_of_old_feeds_begins_with_the_newest() -> None:
    ages = {1: 900, 2: 400, 3: 700}
    rivals = [story(n, excerpt=TEXT, published_at=NOW - timedelta(days=days)) for n, days in ages.items()]
    assert leads(*rivals) == 2
    assert leading.beginning(rivals, Paper(), now=NOW) and not leading.beginning([*rivals, GOOD], Paper(), now=NOW)


def test_a_reader_gets_her_topics_only() -> None:
    stories = [story(1), story(2, topic="ai"), story(3, topic="other")]
    assert choose(stories, topics=frozenset({"ai"})) == ([2], [])


def test_what_does_not_fit_is_named() -> None:
    found = pick([story(n) for n in range(6)], topics=frozenset(), limit=4, curate=Curate(), now=NOW)
    assert found.more == 2 and "room for 4" in found.left[0].why
    assert found.lead is not None and found.lead.id == 5


def test_sections_follow_the_topics_order_after_the_lead() -> None:
    stories = [story(1, rank=9), story(2, topic="ai"), story(3), story(4, topic="gone")]
    found = pick(stories, topics=frozenset(), limit=9, curate=Curate(), now=NOW)
    assert [(slug, [s.id for s in some]) for slug, some in found.sections(["ai", "web"])] == [
        ("ai", [2]),
        ("web", [3]),
        ("other", [4]),
    ]


def test_nothing_to_choose_from_is_an_empty_selection() -> None:
    found = pick([], topics=frozenset(), limit=9, curate=Curate(), now=NOW)
    assert found.lead is None and found.more == 0 and found.sections([]) == ()


def test_a_rank_is_the_sum_of_parts_one_can_name() -> None:
    parts = rank.parts(Curate(), sources=2, feed=0.5, fit=1.0, excerpt="x" * 150, boost=1)
    assert parts == {"sources": 1.0, "feed": 0.5, "topic": 0.5, "excerpt": 0.5, "boost": 1, "undated": 0.0}


# ---------------------------------------------------------------- what is held


def held(dates: list[datetime | None], *, new: bool = True, **settings: Any) -> list[int]:
    arrivals = [flood.Arrival(n, date) for n, date in enumerate(dates)]
    found = flood.held(arrivals, new=new, settings=Curate(**settings), now=NOW)
    return [n for n in range(len(dates)) if n not in found]


def test_a_quiet_new_feed_shows_its_newest_entry() -> None:
    assert held([NOW - timedelta(days=900), NOW - timedelta(days=400), None]) == [1]


def test_dates_to_come_are_not_believed() -> None:
    dates = [NOW + timedelta(days=300), NOW - timedelta(days=1), NOW - timedelta(days=2), NOW - timedelta(days=3)]
    assert held(dates) == [1, 2, 3]


def test_a_known_feed_with_a_usual_number_of_entries_is_not_held() -> None:
    assert held([None] * 20, new=False) == list(range(20))
    assert held([None] * 21, new=False) == [0, 1, 2, 3, 4]


def test_a_new_feed_may_be_kept_out_of_its_first_edition() -> None:
    assert held([NOW] * 4, newest_of_new_feed=0) == []


@pytest.mark.parametrize("strange", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None])
def test_a_strange_date_is_shown_as_the_day_we_saw_it(strange: datetime | None) -> None:
    assert flood.shown_date(strange, seen_at=NOW) == NOW


# ---------------------------------------------------------------- the operator's rules

PLACER = Placer(headings({}), Keywords(headings({})))


def judged(settings: dict[str, Any], feed_topic: str = "", **subject: Any) -> rules.Verdict:
    newsletter = Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"} | settings)
    given = {"feed_title": "Ada's notes", "feed_url": "https://ada.example/feed", "feed_topic": feed_topic}
    given |= {"url": "https://ada.example/1", "author": "Ada", "title": "Kubernetes in production"}
    about = rules.Subject(**given | subject)
    return rules.judge(about, Text.of(about.title), settings=newsletter, placer=PLACER)


def test_the_first_step_that_knows_the_topic_is_the_reason() -> None:
    rule = {"rules": [Rule(author="ada", topic="ai")]}
    names = {"feed_categories": {"ada's notes": {"Ops": "systems"}}, "topics": {}}
    assert judged(rule, "web").step == "rule"
    assert judged(names, "web", categories=("ops",)).step == "feed"
    assert judged(names, categories=("nothing", "ops")).topic == "systems"
    assert judged(names, categories=("nothing",)).step == "keywords"
    assert judged({}, title="Boiling eggs").step == "none"


def test_a_topic_knows_its_categories_and_unmapped_ones_are_not_guessed() -> None:
    topics = {"topics": {"garden": {"categories": ["Roses"]}, "web": {}}}
    assert judged(topics, categories=("ROSES",)).topic == "garden"
    assert judged(topics, categories=("rose", "gardening"), title="June").topic == "other"


def test_rules_mute_pin_and_boost_and_say_which_they_were() -> None:
    settings = {
        "rules": [Rule(title="sponsored*post", mute=True), Rule(feed="ada", pin=True), Rule(url="ada.example", boost=2)]
    }
    assert judged(settings, title="A sponsored guest post").muted == "muted by rule 1 (title 'sponsored*post')"
    found = judged(settings)
    assert found.pinned and found.boost == 2 and len(found.rules) == 2 and not found.muted


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("rust", "Rust 2 is here", True),
        ("rust", "Trust me", False),
        ("c++", "Modern C++ tips", True),
        ("part * of *", "Part 2 of my series", True),
        ("*.example/ads/*", "https://ada.example/ads/1", True),
        ("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa!", False),
    ],
)
def test_patterns_are_words_and_stars(pattern: str, text: str, fits: bool) -> None:
    assert rules.fits(pattern, text) is fits


@given(st.text("ab *", min_size=1, max_size=8), st.text("ab ", max_size=12))
def test_stars_stand_for_anything_in_between(pattern: str, text: str) -> None:
    pattern = pattern.strip() or "a"
    start = r"(?<!\w)" if pattern[0].isalnum() else ""
    end = r"(?!\w)" if pattern[-1].isalnum() else ""
    plainly = start + ".*".join(map(re.escape, pattern.split("*"))) + end
    assert rules.fits(pattern, text) is bool(re.search(plainly, text))


def test_many_stars_take_no_longer_than_few() -> None:
    assert not rules.fits("a*" * 12 + "b", "a" * 500)


def test_all_patterns_of_a_rule_must_fit() -> None:
    settings = {"rules": [Rule(author="ada", title="kubernetes", mute=True)]}
    assert judged(settings).muted and not judged(settings, author="Bob").muted


def test_what_is_dated_ahead_is_no_archive_of_a_new_feed():
    """By a wrong clock, theirs or ours: it stands last, and is not called older than it is."""
    arrivals = [flood.Arrival(1, NOW + timedelta(days=400)), flood.Arrival(2, NOW)]
    assert flood.held(arrivals, new=True, settings=Curate(), now=NOW) == {}
    crowd = [*arrivals, *(flood.Arrival(n, NOW - timedelta(hours=n)) for n in (3, 4))]
    found = flood.held(crowd, new=True, settings=Curate(), now=NOW)
    assert set(found) == {1} and "only its newest 3" in found[1]
