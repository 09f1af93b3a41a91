"""More and less of such: what readers say of stories by buttons, and the order of their own that it makes."""

from __future__ import annotations

import csv
import io
import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY, fill_once, on_sqlite
from people import SECRET
from postgres import wait_until_somebody_waits
from sqlmodel import select
from starlette.testclient import TestClient
from test_render import page as a_page
from test_render import story as a_story
from test_tastes import NEWS, SAID, TOPICS, choose, compose, got, join, kept, page_of, standing, tell, why

from digest import config as config_
from digest import curate, edition, render, sign, subscribe, taste
from digest.curate import Sieve
from digest.edition.variants import variants_of
from digest.models import Edition, EditionState, Feed, Subscription, Variant
from digest.store import editions, feeds, history, newsletters, open_database, people, recipients, renames
from digest.store.schema import tables as all_tables
from digest.store.story_tables import Story
from digest.subscribe import Terms, leanings
from digest.taste import Taste
from digest.web import application
from digest.web.likes import A_MINUTE

MORE_A = {"more_of": ["source:a.example"]}


@pytest.fixture
def config(configure):
    return configure(newsletters={"daily": NEWS})


def news(database) -> dict[str, int]:
    """Four stories of different rank: A leads, D is last; their numbers by title."""
    told = [("A", "ai", "a.example"), ("B", "ai", "b.example"), ("C", "web", "c.example"), ("D", "web", "d.example")]
    return {
        title: tell(database, f"{title} goes on", topic=topic, by=[site], rank=4.0 - n, excerpt="What it says. " * 8)
        for n, (title, topic, site) in enumerate(told)
    }


def order(database, name: str) -> str:
    return "".join(title[0] for title in got(database, name))


# ---------------------------------------------------------------- the order


def test_what_is_wanted_more_comes_first_and_what_is_wanted_less_last_and_nothing_is_missing(database, configure):
    config = configure(newsletters={"daily": NEWS}, curate={"weight_taste": 10})
    numbers = news(database)
    wanted = {
        "all": {},
        "source": {"more_of": ["source:c.example"]},
        "topic": {"more_of": ["topic:web"]},
        "less": {"less_of": ["source:a.example", "topic:ai"]},
        "word": {"more_of": ["word:d"], "less_of": ["word:a"]},
        "nothing": {"more_of": ["source:x.example", "word:unheard", "author:Nobody"], "less_of": ["topic:art"]},
        "alike": {"more_of": ["word:goes on"]},
        "mutes": {"more_of": ["source:a.example"], "muted_sources": ["a.example"]},
    }
    for name, chosen in wanted.items():
        join(database, name, **chosen)
    done = compose(database, config)
    # The lead, and then what stands under "ai" and under "web".
    assert {name: order(database, name) for name in wanted} == {
        "all": "ABCD",
        "source": "CABD",
        "topic": "CABD",
        "less": "CBAD",
        "word": "DBAC",
        "nothing": "ABCD",
        "alike": "ABCD",
        "mutes": "BCD",
    }
    assert done.variants == 6, "who wants more of what is not there, or of all that is, shares the common order"
    assert "moved it 1 level up" in why(database, config, numbers["C"], "source")
    assert "she wants more of source:c.example" in why(database, config, numbers["C"], "source")
    assert "moved it 2 levels down" in why(database, config, numbers["A"], "less")
    assert "stands as for all" in why(database, config, numbers["A"], "alike")
    choose(database, "source", more_of=())
    assert "by what she said then" in why(database, config, numbers["C"], "source")


def test_the_same_order_is_one_mail_however_it_was_said_and_levels_are_few():
    told = [a_story(n, topic="ai", title=f"Rust and Go {n}", author="Ada", feed_id=n) for n in range(1, 4)]
    sieve = Sieve(told, {n: [f"{n}.example"] for n in range(1, 4)})
    by_word, by_topic = (sieve.cut(Taste(more_of=(said,))) for said in ("word:rust", "topic:ai"))
    assert by_word is by_topic and dict(by_word.moved) == {1: 1, 2: 1, 3: 1}
    all_of_it = Taste(more_of=("author:ADA", "source:1.example", "topic:ai", "word:go", "word:rust"))
    assert dict(sieve.cut(all_of_it).moved) == {1: taste.STEPS, 2: taste.STEPS, 3: taste.STEPS}
    assert sieve.cut(Taste(more_of=("word:rust",), less_of=("word:go",))).moved == frozenset(), "one against the other"


@pytest.mark.parametrize("said", ["Ada", "Ada (mailto:ada@one.example)"])
def test_an_author_is_who_was_meant_by_a_name_with_an_address_too(said):
    told = [a_story(1, topic="ai", title="Rust", author="Ada (mailto:ada@one.example)", feed_id=1)]
    assert dict(Sieve(told, {}).cut(Taste(less_of=(f"author:{said}",))).moved) == {1: -1}


def test_any_taste_gives_each_story_once_and_what_does_not_fit_is_told():
    rng, settings, said = random.Random(7), config_.Curate(), frozenset[str]()
    for _ in range(200):
        told = [
            a_story(n, topic=rng.choice("xyz"), feed_id=rng.randrange(4), rank=rng.random(), author=rng.choice("ab"))
            for n in range(1, 20)
        ]
        moved = {one.seq: rng.randint(-2, 2) for one in told}
        found = curate.pick(told, topics=said, limit=rng.randint(1, 20), curate=settings, now=MONDAY, moved=moved)
        assert sorted([s.id for s in found.stories] + [left.story.id for left in found.left]) == list(range(1, 20))


def test_pins_stay_first_and_none_of_a_readers_wishes_moves_them(database, config):
    news(database)
    pinned = tell(database, "P is pinned", by=["p.example"], rank=-9)
    with database.write() as session:
        session.get_one(Story, pinned).pinned = True
    join(database, "ada", less_of=["word:pinned"], more_of=["source:d.example"])
    compose(database, config)
    assert order(database, "ada").startswith("P") and len(order(database, "ada")) == 5


@on_sqlite
def test_who_wants_more_of_something_gets_no_letter_less_for_the_caps(database, configure):
    """In the order that they want, caps let through one story only; in the common one two."""
    caps = {"per_feed": 1, "per_topic": 1, "weight_taste": 10}
    config = configure(newsletters={"daily": NEWS | {"min_stories": 2, "max_stories": 2}}, curate=caps)
    tell(database, "B", topic="web", by=["one.example"], rank=3)
    tell(database, "C", topic="ai", by=["two.example"], rank=2)
    tell(database, "A", topic="ai", by=["one.example"], rank=1)
    join(database, "all")
    join(database, "ada", more_of=["word:a"])
    compose(database, config)
    assert order(database, "all") == order(database, "ada") == "BC"


@on_sqlite
def test_beyond_so_many_orders_those_with_fewest_readers_get_the_common_one_and_are_told_why(database, configure):
    config = configure(newsletters={"daily": NEWS | {"most_orders": 2}}, curate={"weight_taste": 10})
    numbers = news(database)
    for name, site in [("b1", "b"), ("b2", "b"), ("c1", "c"), ("c2", "c"), ("d1", "d"), ("all", "")]:
        join(database, name, **({"more_of": [f"source:{site}.example"]} if site else {}))
    done = compose(database, config)
    assert [order(database, name) for name in ("b1", "b2", "c1", "c2", "d1", "all")] == [
        *("BACD", "BACD", "CABD", "CABD"),
        *("ABCD", "ABCD"),
    ]
    assert (done.variants, done.letters) == (3, 6)
    assert ["1 readers got the common order" in finding.words for finding in done.findings] == [True]
    assert "most_orders" in why(database, config, numbers["D"], "d1")
    with database.read() as session:
        fullest = editions.fullest_variant(session, 1)
        assert fullest.moved == [], "the common order stands for the edition"


@on_sqlite
def test_a_weight_of_nothing_makes_no_mail_of_its_own(database, configure):
    config = configure(newsletters={"daily": NEWS}, curate={"weight_taste": 0})
    news(database)
    join(database, "all")
    join(database, "ada", more_of=["source:d.example"])
    assert compose(database, config).variants == 1 and order(database, "ada") == "ABCD"


@on_sqlite
def test_how_many_orders_there_are_is_bounded_whatever_readers_say(database, configure):
    for most in (0, 3):
        settings = configure(newsletters={"daily": NEWS | {"most_orders": most}}).newsletters["daily"]
        told = [a_story(n, topic="ai") for n in range(1, 8)]
        keys = [f"key {n}" for n in range(60)]
        rng = random.Random(3)
        cuts = {key: curate.Cut(moved=frozenset({(rng.randint(1, 7), rng.choice([-2, -1, 1, 2]))})) for key in keys}
        groups = [
            recipients.Group(0, "[]", "", plain=False, taste=key, readers=1 + n % 5) for n, key in enumerate(keys)
        ]
        found = variants_of(groups, told, settings, cuts)
        assert sum(bool(key.moved) for key in found) == most and sorted(
            g for gs in found.values() for g in gs
        ) == sorted(groups)
        rng.shuffle(groups)
        assert variants_of(groups, told, settings, cuts).keys() == found.keys(), "whoever asks, and in whatever order"


def test_a_held_edition_keeps_the_order_and_the_archive_and_the_welcome_have_the_common_one(database, configure):
    config = configure(
        newsletters={"daily": NEWS | {"approve": True, "editor": "Eve <eve@news.example>"}}, curate={"weight_taste": 10}
    )
    news(database)
    join(database, "ada", more_of=["source:d.example"])
    join(database, "all")
    compose(database, config)
    edition.annotate(database, "daily", config, "Good morning", number=1)
    assert order(database, "ada") == "DABC"
    with database.write() as session:
        edition.approve(session, "daily", 1, now=MONDAY + timedelta(days=1))
    join(database, "new", more_of=["source:d.example"], welcome=True, now=MONDAY + timedelta(hours=25))
    edition.welcome(database, "daily", config, now=MONDAY + timedelta(hours=26))
    assert order(database, "new") == "ABCD"


# ---------------------------------------------------------------- kept, followed, exported, forgotten


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("source: https://www.Example.org/blog/", "source:example.org/blog"),
        ("Topic:rust", "topic:rust"),
        ("author:  Ada   Lovelace ", "author:Ada Lovelace"),
        ("word:new\u00a0york", "word:new york"),
        (" ", ""),
    ],
)
def test_what_is_wanted_more_has_one_form(said, kept):
    assert taste.leaning(said) == kept


@pytest.mark.parametrize(
    "said",
    ["x", "a:b.org", "source:no site", "word:…", "word:" + "x" * 61, "author:", "topic: ", "author:" + "x" * 81],
    ids=range(8),
)
def test_what_nobody_can_want_more_of_is_refused_in_words(said):
    with pytest.raises(ValueError, match=r".{20}"):
        taste.leaning(said)


def test_more_and_less_of_the_same_is_refused_and_so_is_too_much():
    with pytest.raises(ValueError, match="both more and less"):
        taste.checked(Taste(more_of=("author:Ada",), less_of=("author:ADA",)))
    with pytest.raises(ValueError, match="at most 40"):
        taste.checked(Taste(more_of=tuple(f"word:w{n}" for n in range(41))))


def test_a_topic_and_a_source_that_are_called_otherwise_are_followed(database):
    join(database, "ada", more_of=["topic:ai", "source:a.example"])
    join(database, "bob", more_of=["topic:ai"], less_of=["topic:web"])
    tell(database, "Of a", by=["a.example"])
    tell(database, "Of b", by=["b.example"])
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        assert renames.uses(session, paper, "ai").readers == 2
        renames.rename_topic(session, paper, "ai", "web", SAID)
        one, other = session.exec(select(Feed).order_by(Feed.id)).all()
        feeds.hand_over(session, one.id, other.id, now=MONDAY)
    assert kept(database, "ada").more_of == ("source:a.example", "source:b.example", "topic:web")
    assert standing(database, "ada").taste_key == kept(database, "ada").key
    assert kept(database, "bob") == Taste(less_of=("topic:web",)), "what they said of it by name holds"
    with database.write() as session:
        renames.rename_topic(session, newsletters.lock(session, "daily"), "web", "", SAID)
    assert kept(database, "bob") == Taste() and "source:a.example" in kept(database, "ada").more_of


@on_sqlite
def test_a_list_takes_it_out_and_in_again_and_erasing_leaves_no_word_of_it(database, config):
    join(database, "ada", more_of=["author:Doe, Jane | John", "topic:ai"], less_of=["word:secret thing"])
    listed = io.StringIO()
    subscribe.export_csv(database, listed, newsletter="daily", known_topics=TOPICS)
    before = kept(database, "ada")
    (row,) = csv.DictReader(io.StringIO(listed.getvalue()))
    assert "author:Doe" in row["more_of"] and "secret thing" in row["less_of"]
    with database.write() as session:
        facts = subscribe.everything(session, people.find(session, "ada@example.org"))
        assert "secret thing" in repr(facts)
        session.get_one(Subscription, 1).taste = {}
    terms = Terms(
        "list.csv", MONDAY, TOPICS, secret=SECRET, vouched_by="t", update=("more_of", "less_of"), confirmed=True
    )
    subscribe.import_csv(database, io.BytesIO(listed.getvalue().encode()), terms, newsletter="daily")
    assert kept(database, "ada") == before
    with database.write() as session:
        subscribe.erase(session, "ada@example.org", secret=SECRET, now=MONDAY)
    with database.read() as session:
        for table in all_tables().sorted_tables:
            assert "secret thing" not in repr(session.execute(sa.select(table)).all())


# ---------------------------------------------------------------- the words of a title


def test_the_words_that_tell_are_those_that_few_other_titles_have():
    others = [f"The latest news of the day, number {n}" for n in range(60)] + ["Kubernetes again"]
    assert curate.telling("The latest news of Kubernetes operators", others) == ("operators", "Kubernetes")
    assert curate.telling("The latest news", others) == ()
    assert curate.telling("Kubernetes operators", others[:3]) == (), "too few to know by"
    assert curate.telling("人工智能改变世界", others) == ()


# ---------------------------------------------------------------- the mail


def mail_of(config, name: str, database) -> render.Rendered:
    with database.read() as session:
        return edition.shown(session, "daily", 1, email=f"{name}@example.org").rendered


@on_sqlite
def test_links_stand_under_what_is_told_where_somebody_serves_the_pages(database, configure):
    https = {"base_url": "https://digest.example"}
    config = configure(newsletters={"daily": NEWS}, **https)
    numbers = news(database)
    join(database, "ada")
    compose(database, config)
    mail = mail_of(config, "ada", database)
    for number in numbers.values():
        assert f'/preferences/story/{number}"' in mail.html and f"/preferences/story/{number}?less" in mail.html
    shut = configure(newsletters={"daily": NEWS | {"ask_taste": False}}, **https)
    assert config.asks_taste("daily") and not shut.asks_taste("daily")
    assert not configure(newsletters={"daily": NEWS}, base_url="http://localhost:8000").asks_taste("daily")


@pytest.mark.long
@pytest.mark.parametrize("theme", ["paper", "plain", "compact", "magazine"])
def test_briefs_have_no_links_and_no_story_falls_for_a_link(theme):
    some = [
        a_story(n, topic=f"t{n % 4}", title=f"Story number {n} about something", excerpt="Words. " * 20)
        for n in range(1, 41)
    ]
    one = replace(a_page(*some), theme=theme, asks=True)
    mail = render.Templates().render(one, subject="{{ lead.title }}")
    asked = {int(n) for n in re.findall(r"/preferences/story/(\d+)\"", mail.html)}
    briefs = {s.id for band in one.places.bands for b in band.blocks if b.kind == "briefs" for s in b.stories}
    assert asked and not asked & briefs and one.lead.id in asked and {s.id for s in one.places.seconds} <= asked
    assert [f for f in render.check(mail) if f.level == "error"] == []
    # In plain text each is two lines to read past: under the first few only.
    in_text = {int(n) for n in re.findall(r"/preferences/story/(\d+)$", mail.text, re.MULTILINE)}
    assert in_text == {one.lead.id, *(s.id for s in one.places.seconds)}
    many = [
        a_story(n, topic=f"t{n % 4}", title=f"Story number {n} about something", excerpt="Words. " * 20)
        for n in range(1, 201)
    ]
    full, bare = (
        render.Templates().render(replace(a_page(*many), theme=theme, asks=asks), subject="x") for asks in (True, False)
    )
    assert len(full.dropped) == len(bare.dropped) and len(full.html) <= render.HTML_LIMIT


def test_a_mail_that_links_fill_to_the_bound_is_no_mail_that_passes_it():
    some = [a_story(n, topic=f"t{n % 4}", title=f"S{n}", excerpt="Words. ") for n in range(1, 60)]
    one = replace(a_page(*some), asks=True)

    def bytes_(excerpt: str) -> tuple[render.Rendered, int]:
        mail = render.Templates().render(replace(one, lead=replace(one.lead, excerpt=excerpt)), subject="x")
        assert mail.marks and "?less" in mail.html
        return mail, render.size(mail.html, mail.marks, one.home)

    mail, full = bytes_("x" * (render.HTML_LIMIT - bytes_("x")[1] - 200))
    assert render.HTML_LIMIT - 500 < full <= render.HTML_LIMIT
    assert next(f for f in render.check(mail) if f.check == "size").level == "ok"


@on_sqlite
def test_the_page_of_a_mail_for_everybody_has_no_such_links(database, configure, clock):
    config = configure(newsletters={"daily": NEWS}, base_url="https://digest.example")
    news(database)
    join(database, "ada")
    compose(database, config)
    with database.read() as session:
        key = session.exec(select(Variant.key)).one()
    with TestClient(application(database, config, clock=clock)) as client:
        page = client.get(f"/editions/daily/1/{key}")
    assert page.status_code == 200 and "goes" in page.text
    assert "like this" not in page.text and "/story/" not in page.text and "asks" not in page.text


# ---------------------------------------------------------------- the page of a story


@pytest.fixture
def client(database, config, clock):
    def fill() -> None:
        join(database, "ada")
        news(database)
        for n in range(30):
            tell(database, f"Common words {n}", by=["z.example"], rank=-5)
        compose(database, config)

    fill_once(database, "leanings", fill)
    return TestClient(application(database, config, clock=clock))


def about(page: str) -> list[str]:
    return re.findall(r'type="radio" name="about" value="([^"]+)"', page)


@on_sqlite
def test_a_look_changes_nothing_and_a_button_says_it_once_and_takes_it_back(client, database, config):
    page = f"{page_of(database, config)}/story/1"
    for method in ("GET", "HEAD", "OPTIONS"):
        for query in ("", "?less", "?way=more&about=topic:ai", "?done=saved"):
            client.request(method, page + query)
    assert kept(database, "ada") == Taste()
    shown = client.get(f"{page}?less").text
    assert about(shown) == ["source:a.example", "topic:ai"] and "<h1>Less like this" in shown
    assert 'value="source:a.example" checked' in shown and "Stories from A.Example (a.example)" in shown
    for _ in range(3):
        answer = client.post(f"{page}?less", data={"about": "source:a.example", "way": "less"})
        assert answer.url.path == page and "Saved." in answer.text and "Less: <span" in answer.text
    assert kept(database, "ada") == Taste(less_of=("source:a.example",))
    client.post(page, data={"about": "source:a.example", "way": "more"})
    assert kept(database, "ada") == Taste(more_of=("source:a.example",)), "what is said last holds"
    client.post(page, data={"about": "topic:ai", "way": "less"})
    client.post(page, data={"about": "source:a.example", "way": "neither"})
    assert kept(database, "ada") == Taste(less_of=("topic:ai",))
    with database.read() as session:
        said = [
            m for m in history.moments(session, people.find(session, "ada@example.org")) if m.how == "page of a story"
        ]
    assert [m.detail for m in said][:2] == ["less of source:a.example", "more of source:a.example, less of nothing"]
    assert len(said) == 4, "the same again is no line of history"


@on_sqlite
def test_their_own_page_shows_it_takes_it_back_and_a_form_that_was_open_before_does_not(client, database, config):
    page = page_of(database, config)
    assert "You have said nothing yet." in client.get(page).text
    client.post(f"{page}/likes", data={"about": "topic:web", "way": "more"})
    client.post(f"{page}/story/1", data={"about": "source:a.example", "way": "less"})
    client.post(page, data={"max_stories": "5"})
    assert kept(database, "ada") == Taste(5, more_of=("topic:web",), less_of=("source:a.example",))
    shown = client.get(page).text
    assert "More: <span" in shown and "Less: <span" in shown and "Undo all of it" in shown
    client.post(f"{page}/likes", data={"about": "topic:web"})
    assert kept(database, "ada") == Taste(5, less_of=("source:a.example",))
    assert client.post(f"{page}/likes", data={}).url.query == b"done=saved"
    assert kept(database, "ada") == Taste(5)


@on_sqlite
def test_only_their_own_link_works_and_only_of_what_an_edition_had(client, database, config):
    page, key = page_of(database, config), config.keys[0]
    other = f"/preferences/{sign.token(sign.Purpose.UNSUBSCRIBE, standing(database, 'ada').id, key=key)}"
    for wrong in (f"{other}/story/1", f"{page[:-1]}{'A' if page[-1] != 'A' else 'B'}/story/1"):
        assert client.get(wrong).status_code == 404
        assert client.post(wrong, data={"about": "topic:ai", "way": "more"}).status_code == 404
    waiting = tell(database, "Not out yet", by=["a.example"])
    with database.write() as session:
        session.get_one(Story, 2).dropped = True
    for number in (waiting, 2, 4711, 999_999_999):
        answer = client.get(f"{page}/story/{number}")
        assert answer.status_code == 410 and "kept here no longer" in answer.text and "Not out yet" not in answer.text
    with database.write() as session:
        session.get_one(Edition, 1).state = EditionState.HELD
    assert client.get(f"{page}/story/1").status_code == 410
    assert client.post(f"{page}/story/1", data={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@on_sqlite
def test_what_no_form_of_ours_says_is_kept_nowhere(client, database, config):
    topic, more = {"about": "topic:ai"}, {"way": "more"}
    forms = [{}, topic, more, {"about": "topic:cats"} | more, {"about": "<b>"} | more, {"about": "x" * 5000} | more]
    for form in (*forms, topic | {"way": "most"}):
        for path in ("story/1", "likes"):
            answer = client.post(f"{page_of(database, config)}/{path}", data=form)
            assert answer.status_code in (200, 422) and "<b>" not in answer.text
    assert kept(database, "ada") == Taste()


@on_sqlite
def test_who_has_left_or_said_enough_is_told_so(client, database, config):
    page = page_of(database, config)
    choose(database, "ada", more_of=[f"word:w{n}" for n in range(taste.LEANINGS)])
    full = client.post(f"{page}/story/1", data={"about": "topic:ai", "way": "more"})
    assert full.status_code == 422 and "as much as we can keep" in full.text
    with database.write() as session:
        subscribe.leave(session, standing(database, "ada").id, evidence=SAID)
    left = client.get(f"{page}/story/1")
    assert (
        left.status_code == 200
        and "gets no letters of The Daily any more" in left.text
        and f'href="{page}"' in left.text
    )
    answer = client.post(f"{page}/story/1", data={"about": "topic:ai", "way": "less"})
    assert answer.status_code == 200 and kept(database, "ada").less_of == ()


@pytest.mark.long
@on_sqlite
def test_buttons_are_pressed_so_often_a_minute_and_no_more(client, database, config, clock):
    page = page_of(database, config)
    for n in range(A_MINUTE):
        way = ("more", "less")[n % 2]
        assert client.post(f"{page}/story/1", data={"about": "topic:ai", "way": way}).status_code == 200
    answer = client.post(f"{page}/likes", data={})
    assert answer.status_code == 429 and "very often" in answer.text and int(answer.headers["Retry-After"]) > 0
    assert kept(database, "ada").less_of == ("topic:ai",)
    assert client.get(f"{page}/story/1").status_code == 200


@on_sqlite
def test_a_story_that_many_tell_offers_its_topic_first_and_its_author_and_words(database, config, clock):
    join(database, "ada")
    for n in range(30):
        tell(database, f"The usual things {n}", by=["z.example"], rank=-5)
    number = tell(database, "The usual Zeppelin", by=["a.example", "b.example"])
    with database.write() as session:
        session.get_one(Story, number).author = "Ada <Lovelace>"
    compose(database, config)
    client = TestClient(application(database, config, clock=clock))
    shown = client.get(f"{page_of(database, config)}/story/{number}").text
    assert about(shown) == [
        "source:a.example",
        "source:b.example",
        "topic:ai",
        "author:Ada &lt;Lovelace&gt;",
        "word:Zeppelin",
    ]
    assert 'value="topic:ai" checked' in shown


# ---------------------------------------------------------------- at once


def test_two_presses_at_once_are_both_kept(database, config):
    join(database, "ada")
    number = standing(database, "ada").id

    def press(what: str) -> bool:
        with database.write() as session:
            return leanings.lean(session, number, what, "more", known_topics=TOPICS, evidence=SAID)

    with ThreadPoolExecutor(4) as several:
        assert all(several.map(press, ["topic:ai", "topic:web", "word:rust", "author:Ada"]))
    assert kept(database, "ada").more_of == ("author:Ada", "topic:ai", "topic:web", "word:rust")


def test_a_press_and_a_composition_at_once_wait_for_each_other_on_postgres(upgraded_postgres_url, config):
    database = open_database(upgraded_postgres_url)
    newsletters.keep(database, config.newsletters, now=MONDAY)
    join(database, "ada")
    join(database, "bob")
    news(database)
    ada = standing(database, "ada").id
    with ThreadPoolExecutor(1) as other:
        with database.write() as session:
            people.subscription_by_id(session, ada, lock=True)
            composing = other.submit(compose, database, config)
            wait_until_somebody_waits(database)
            leanings.lean(session, ada, "source:d.example", "more", known_topics=TOPICS, evidence=SAID)
        assert composing.result().letters == 2
    with database.read() as session:
        sent = session.exec(sa.select(sa.func.count()).select_from(Variant)).scalar()
    assert sent == 2 and sorted(got(database, "ada")) == sorted(got(database, "bob"))
    database.close()
