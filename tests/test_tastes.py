"""A reader's own taste: a maximum of stories, words, sources and topics that they mute, and languages of stories."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from people import SECRET, enrol
from sqlmodel import select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from digest import edition, sign, subscribe, taste
from digest.cli import app
from digest.curate import Sieve
from digest.errors import BadInput
from digest.models import EditionState, Feed, NewsletterFeed, Subscription, Variant
from digest.store import (
    archive,
    edition_states,
    edition_stories,
    editions,
    feeds,
    history,
    import_log,
    newsletters,
    outbox,
    people,
    recipients,
    renames,
    stories,
)
from digest.store.schema import tables as all_tables
from digest.store.story_tables import Admission, Decision, Entry, Story
from digest.subscribe import Evidence, Terms, many, moves
from digest.taste import Taste
from digest.web import application

NEWS = {"title": "The Daily", "from": "The Daily <news@news.example>", "schedule": "daily 07:00", "archive": True,
        "topics": {"ai": {}, "web": {}, "art": {}}}  # fmt: skip
TOPICS = frozenset(NEWS["topics"])
SAID = Evidence("command line", MONDAY)
ALL = {
    "max_stories": 7,
    "muted_words": ("[video]", "a, b", "Bitcoin"),
    "muted_sources": ("a.example", "b.example/blog"),
    "muted_topics": ("art",),
    "story_languages": ("de", "en"),
    "more_of": ("author:Doe, Jane | John", "topic:ai"),
    "less_of": ("source:c.example", "word:x, y"),
}


@pytest.fixture
def config(configure):
    return configure(newsletters={"daily": NEWS})


def join(database, name: str, *, now=MONDAY, **chosen) -> None:
    with database.write() as session:
        enrol(session, f"{name}@example.org", known_topics=TOPICS, now=now, **chosen)


def choose(database, name: str, **chosen) -> bool:
    with database.write() as session:
        email = f"{name}@example.org"
        return subscribe.change(
            session, email, newsletter="daily", evidence=SAID, known_topics=TOPICS, choices=chosen
        )  # fmt: skip


def tell(database, title: str, *, topic="ai", by=("a.example",), rank=1.0, language="en", excerpt="", at=MONDAY) -> int:
    """A story that these sites tell, the first of them represents it; its number."""
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        paper.seq += 1
        story = None
        for site in by:
            feed = session.exec(select(Feed).where(Feed.site_url == f"https://www.{site}/")).first()
            if feed is None:
                feed = Feed(url=f"https://feeds.example/{site}", title=site.title(), added_at=at, next_at=at)
                feed.site_url = f"https://www.{site}/"
                session.add(feed)
                session.flush()
                session.add(NewsletterFeed(newsletter_id=paper.id, feed_id=feed.id, added_at=at))
            entry = Entry(feed_id=feed.id, key=str(paper.seq), url=f"https://{site}/{paper.seq}", seen_at=at)
            session.add(entry)
            session.flush()
            if story is None:
                story = Story(
                    newsletter_id=paper.id, seq=paper.seq, entry_id=entry.id, topic=topic, url=entry.url, title=title,
                    source=feed.title, excerpt=excerpt, language=language, published_at=at, admitted_at=at, rank=rank,
                )  # fmt: skip
                session.add(story)
                session.flush()
            decision = Decision.STORY if entry.id == story.entry_id else Decision.JOINED
            told = {"newsletter_id": paper.id, "entry_id": entry.id, "story_id": story.id}
            session.add(Admission(**told, decision=decision, decided_at=at))
            session.flush()
        session.add(paper)
        return story.id


def compose(database, config, days: int = 0) -> edition.Composed:
    return edition.take_turn(database, "daily", config, now=MONDAY + timedelta(days=1 + days))


def got(database, name: str, number: int = 1) -> list[str]:
    """The titles of what somebody's letter carries, the best first; [] where they got none."""
    with database.read() as session:
        found = editions.row(session, "daily", number)
        variant = editions.variant_of(session, found.id, f"{name}@example.org") if found else None
        if variant is None:
            return []
        rows = stories.by_id(session, ids := edition_stories.story_ids(session, variant.id))
        return [rows[i].title for i in ids]


def why(database, config, story: int, name: str) -> str:
    with database.read() as session:
        paper = newsletters.find(session, "daily")
        found = session.get_one(Story, story)
        settings = config.newsletters["daily"]
        return edition.explain_for(session, paper, found, f"{name}@example.org", now=MONDAY, settings=settings)


def standing(database, name: str) -> Subscription:
    with database.read() as session:
        return subscribe.find(session, f"{name}@example.org", "daily")[1]


def kept(database, name: str) -> Taste:
    return Taste.of(standing(database, name).taste)


# ---------------------------------------------------------------- words, sites and languages


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Learn C++ now", "c++"),
        ("Die STRASSE ist lang", "Straße"),
        ("Musk’s plan", "musk"),
        ("GPT‑4 is out", "gpt-4"),
        ("It’s on", "it's on"),
        ("生成AI技術の話", "AI"),
        ("人工智能改变世界", "人工智能"),
        ("삼성이 발표했다", "삼성"),
        ("İstanbul'da", "istanbul"),
        ("IŞIK", "ışık"),
        ("ΑΘΗΝΑ σήμερα", "Αθήνα"),
        ("مُحَمَّد هنا", "محمد"),
        ("हिन्दी भाषा", "हिन्दी"),
        ("New\u00a0 York today", "new york"),
        ("cafe\u0301 noir", "café"),
        ("Go, 🚀!", "🚀"),
        ("ﬁne print", "fine"),
        ("an AI-made film", "ai"),
        ("(Bitcoin)", "bitcoin"),
        ("soft\u00adware news", "software"),
        ("xai and ai", "ai"),
    ],
)
def test_a_word_is_found_however_it_is_written(text, word):
    assert taste.says(taste.folded(text), taste.folded(word))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Vitamin C is good", "C++"),
        ("Paid content, said she", "ai"),
        ("newyork", "new york"),
        ("A café", "cafe"),
        ("हिन्दी भाषा", "हिन"),
        ("Aïda", "ai"),
        ("aaaa a.b", ".*"),
        ("5G", "5"),
        ("cafe\u0301s", "cafe"),
    ],
)
def test_a_word_is_not_found_inside_of_others(text, word):
    assert not taste.says(taste.folded(text), taste.folded(word))


def test_words_are_kept_once_in_order_and_few():
    assert taste.words(["b", " B ", "A  x", "a X", "", "\u200b"]) == ("A x", "b")
    assert taste.words(["a\x00b\ud800"]) == ("ab",)
    for wrong in (["."], ["x" * 61], ["++"], [str(n) for n in range(taste.WORDS + 1)], ["\u0301"], ["x" * 10**6]):
        with pytest.raises(ValueError, match="word"):
            taste.words(wrong)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Example.org", "example.org"),
        ("https://www.example.org/", "example.org"),
        ("http://me:pw@example.org/blog/?x=1", "example.org/blog?x=1"),
        ("müller.example", "xn--mller-kva.example"),
        ("", ""),
    ],
)
def test_a_site_has_one_form(said, kept):
    assert taste.source(said) == kept


@pytest.mark.parametrize(
    "said", ["no site", "localhost", "https://[x", "a\nb.example", "x" * 300 + ".example", "a:b.c"]
)
def test_what_is_no_site_is_refused(said):
    with pytest.raises(ValueError, match="is no source"):
        taste.source(said)


def test_languages_are_told_apart_by_their_first_part():
    assert [*map(taste.language, ("de-AT", "DEU", "en_US", "zh-Hant", "iw", "nb"))] == [
        "de",
        "de",
        "en",
        "zh",
        "he",
        "no",
    ]
    for wrong in ("German", "1", "d", "<b>"):
        with pytest.raises(ValueError, match="is no language"):
            taste.language(wrong)


def test_the_same_taste_has_one_key_and_none_has_none():
    one, other = (taste.checked(Taste(muted_words=words)) for words in (("b", "A"), ("A", "b", "a")))
    assert one == other and one.key == other.key != Taste(muted_words=("A",)).key and Taste().key == ""
    full = taste.checked(Taste(**ALL))
    assert Taste.of(json.loads(json.dumps(full.stored))) == full


# ---------------------------------------------------------------- editions


def test_a_maximum_brings_the_first_stories_and_what_is_beyond_it_never(database, config):
    join(database, "all")
    join(database, "two", max_stories=2)
    ids = [tell(database, f"Rank {rank}", rank=rank) for rank in (1, 3, 2)]
    assert (compose(database, config).variants, got(database, "two")) == (2, ["Rank 3", "Rank 2"])
    assert got(database, "all") == ["Rank 3", "Rank 2", "Rank 1"]
    assert why(database, config, ids[0], "two") == "left out of edition 1: beyond their maximum of 2"
    assert "as story 3" in why(database, config, ids[0], "all")
    with database.read() as session:
        found = edition.shown(session, "daily", 1, email="two@example.org")
        assert "1 more story on the web" in found.rendered.html and "1 more story on the web" in found.rendered.text
    tell(database, "Tomorrow")
    compose(database, config, 1)
    assert got(database, "two", 2) == ["Tomorrow"], "what was beyond it was offered"


@on_sqlite
def test_a_maximum_that_cuts_nothing_makes_no_mail_of_its_own(database, configure):
    config = configure(newsletters={"daily": NEWS | {"max_stories": 3}})
    for name, most in (("all", None), ("three", 3), ("hundred", 100), ("two", 2)):
        join(database, name, max_stories=most)
    for number in range(5):
        tell(database, f"Story {number}", rank=number)
    assert compose(database, config).variants == 2
    assert len(got(database, "hundred")) == 3 and len(got(database, "two")) == 2


@on_sqlite
def test_a_maximum_below_the_fewest_stories_of_a_letter_is_a_letter_all_the_same(database, configure):
    config = configure(newsletters={"daily": NEWS | {"min_stories": 2}})
    join(database, "one", max_stories=1)
    join(database, "mutes", muted_words=["b"])
    tell(database, "A", rank=2)
    tell(database, "B")
    compose(database, config)
    assert got(database, "one") == ["A"]
    assert got(database, "mutes") == [], "one is left, and that is too few"
    tell(database, "C", rank=3)
    compose(database, config, 1)
    assert got(database, "mutes", 2) == ["C", "A"], "it has waited"


def test_what_a_reader_mutes_is_left_out_and_why_tells_which_mute_it_was(database, config):
    wanted = {
        "word": ({"muted_words": ["BITCOIN"]}, "the word 'BITCOIN'"),
        "phrase": ({"muted_words": ["so they say"]}, "the word 'so they say'"),
        "source": ({"muted_sources": ["b.example"]}, "the source b.example"),
        "topic": ({"muted_topics": ["web"]}, "the topic web"),
        "tongue": ({"story_languages": ["en", "fr"]}, "all stories but those in en, fr"),
    }
    join(database, "all")
    for name, (chosen, _said) in wanted.items():
        join(database, name, **chosen)
    gone = tell(
        database, "Bitcoin falls", topic="web", by=["b.example"], language="de-AT", rank=2, excerpt="Well, so they SAY."
    )
    stays = tell(database, "Of bitcoins", by=["a.example", "b.example"], language="")
    assert compose(database, config).variants == 2, "what is left is the same for all who mute"
    assert sorted(got(database, "all")) == ["Bitcoin falls", "Of bitcoins"]
    for name, (_chosen, said) in wanted.items():
        assert got(database, name) == ["Of bitcoins"]
        assert why(database, config, gone, name).startswith(f"she mutes {said}")
        assert "as the lead" in why(database, config, stays, name)


def test_why_is_true_of_each_place_that_a_muted_story_can_have(database, config):
    join(database, "ada", muted_words=["x"])
    first, middle = (tell(database, title, rank=rank) for title, rank in (("X first", 1), ("Y", 2)))
    between, last = tell(database, "X between"), tell(database, "Z")
    compose(database, config)
    assert got(database, "ada") == ["Y", "Z"]
    assert why(database, config, first, "ada") == "she mutes the word 'x'"
    assert why(database, config, between, "ada") == "she mutes the word 'x': left out of edition 1"
    assert why(database, config, tell(database, "X later"), "ada") == "she mutes the word 'x'"
    choose(database, "ada", muted_words=())
    assert "does no more: her history tells" in why(database, config, between, "ada")
    assert middle and last


def test_nobody_gets_an_empty_letter_and_what_they_muted_never_comes_later(database, config):
    join(database, "all")
    join(database, "ada", muted_words=["x"])
    story = tell(database, "X alone")
    done = compose(database, config)
    assert (done.letters, got(database, "ada"), standing(database, "ada").read_until) == (1, [], 1)
    assert why(database, config, story, "ada") == "she mutes the word 'x'"
    choose(database, "ada", muted_words=())
    tell(database, "X again")
    compose(database, config, 1)
    assert got(database, "ada", 2) == ["X again"]


@on_sqlite
def test_where_all_readers_mute_all_there_is_no_edition_and_nothing_waits_for_years(database, config):
    join(database, "ada", story_languages=["de"])
    tell(database, "Only in English")
    done = compose(database, config)
    assert (done.number, done.letters) == (0, 0) and standing(database, "ada").read_until == 1
    tell(database, "Nur auf Deutsch", language="de")
    assert compose(database, config, 1).letters == 1 and got(database, "ada") == ["Nur auf Deutsch"]


def test_who_is_not_due_has_all_before_them_that_they_do_not_mute(database, config):
    join(database, "ada", cadence="weekly thu", muted_words=["x"])
    join(database, "all")
    tell(database, "X one")
    compose(database, config)
    assert standing(database, "ada").read_until == 0
    tell(database, "One more")
    choose(database, "ada", muted_words=())
    for days in (1, 2, 3):
        compose(database, config, days)
    assert sorted(got(database, "ada", 2) + got(database, "ada", 3)) == ["One more", "X one"]


@on_sqlite
def test_many_mutes_that_hit_nothing_cost_no_mail(database, config):
    with database.write() as session:
        for number in range(40):
            words = [f"nothing {number}", "story"][: 1 + number % 2]
            enrol(session, f"r{number}@example.org", known_topics=TOPICS, muted_words=words)
    for number in range(4):
        tell(database, f"Story {number}" if number == 2 else f"Tale {number}")
    done = compose(database, config)
    assert (done.variants, done.letters) == (2, 40)
    with database.read() as session:
        muted = session.scalars(sa.select(Variant.muted).order_by(Variant.letters, Variant.id)).all()
        assert sorted(muted) == [[], [3]]


def test_a_story_goes_only_where_all_of_its_sources_are_muted():
    def story(seq, *feeds):
        told = {"id": seq, "seq": seq, "topic": "ai", "url": "", "title": f"T{seq}", "source": "", "author": ""}
        more = {"excerpt": "", "language": "", "image_url": "", "reading_minutes": 0, "published_at": MONDAY}
        return stories.values.Story(**told, **more, rank=0, pinned=False, feed_id=feeds[0], feeds=feeds)

    places = {1: ("a.example", "feeds.example/a"), 2: ("b.example/blog",), 3: ("b.example/news", "old.example/feed")}
    sieve = Sieve([story(1, 1), story(2, 1, 2), story(3, 2, 3), story(4, 3)], places)

    def muted(*sources):
        return sorted(sieve.cut(Taste(muted_sources=sources)).muted)

    assert muted("a.example") == [1] and muted("a.example", "b.example") == [1, 2, 3, 4]
    assert muted("b.example/blog") == [] and muted("b.example") == [3, 4] and muted("b.exam") == []
    assert muted("old.example") == [4] and muted("a.example", "b.example/blog") == [1, 2]


def test_a_held_edition_is_made_anew_for_everybodys_taste(database, configure):
    held = NEWS | {"approve": True, "editor": "Ed <ed@news.example>"}
    config = configure(newsletters={"daily": held})
    join(database, "all")
    join(database, "ada", muted_words=["x"], max_stories=1)
    for title, rank in (("X", 3), ("Y", 2), ("Z", 1)):
        tell(database, title, rank=rank)
    compose(database, config)
    assert got(database, "ada") == ["Y"]
    edition.recompose(
        database, "daily", config, 1, lambda session: edition.drop(session, "daily", 2, dropped=True)
    )  # fmt: skip
    assert (got(database, "ada"), got(database, "all")) == (["Z"], ["X", "Z"])


def test_an_edition_that_was_held_on_its_way_stays_as_some_have_it(database, configure):
    config = configure(newsletters={"daily": NEWS | {"approve": True, "editor": "Ed <ed@news.example>"}})
    join(database, "all")
    for title, rank in (("X", 2), ("Y", 1)):
        tell(database, title, rank=rank)
    compose(database, config)
    later, lease = MONDAY + timedelta(hours=60), timedelta(minutes=10)
    with database.write() as session:
        edition.approve(session, "daily", 1, now=later)
    with database.write() as session:
        wanted = outbox.Wanted(1, 1)
        claim = outbox.claim(session, wanted, now=later, lease=lease, lifetime=later - MONDAY, hold_doubtful=False)
        marked = outbox.mark(session, claim.letters, now=later, lease=lease)
        outbox.unmark(session, marked.items(), now=later, shown=True)
        assert edition_states.set_state(session, 1, EditionState.HELD, "late")
    with pytest.raises(BadInput, match="went out to some of its readers"):
        edition.recompose(
            database, "daily", config, 1, lambda session: edition.drop(session, "daily", 2, dropped=True)
        )  # fmt: skip
    assert got(database, "all") == ["X", "Y"]
    with database.write() as session:
        edition.approve(session, "daily", 1, now=later)


def test_a_welcome_and_a_preview_heed_it_and_the_archive_does_not(database, config):
    join(database, "all")
    for title, rank in (("X", 3), ("Y", 2), ("Z", 1)):
        tell(database, title, rank=rank)
    compose(database, config)
    join(database, "ada", muted_words=["x"], max_stories=1, welcome=True, now=MONDAY + timedelta(hours=25))
    join(database, "none", muted_words=["x", "y", "z"], welcome=True, now=MONDAY + timedelta(hours=25))
    assert edition.welcome(database, "daily", config, now=MONDAY + timedelta(hours=26)) == 1
    assert got(database, "ada") == ["Y"] and not standing(database, "none").awaits_welcome
    tell(database, "X next")
    tell(database, "Y next")
    with database.read() as session:
        seen = {}
        for name in ("all", "ada", "none"):
            choices = recipients.choices_of(session, 1, f"{name}@example.org")
            draft = edition.preview(session, "daily", config, now=MONDAY + timedelta(days=2), choices=choices)
            seen[name] = [story.title for story in draft.stories] if draft else []
        assert seen == {"all": ["Y next", "X next"], "ada": ["Y next"], "none": []}
        [listed] = archive.editions(session, 1, limit=2)
        assert listed.stories == 3
        assert {story.title for story in archive.told_in(session, listed)} == {"X", "Y", "Z"}


@on_sqlite
def test_where_everybody_has_a_maximum_the_public_page_has_the_rest(database, config, clock):
    join(database, "ada", max_stories=1)
    for title, rank in (("The first", 2), ("The second", 1)):
        tell(database, title, rank=rank)
    compose(database, config)
    page = TestClient(application(database, config, clock=clock)).get("/newsletters/daily/editions/1")
    assert page.status_code == 200 and "The first" in page.text and "The second" in page.text


@on_sqlite
def test_what_all_readers_mute_is_in_the_archive_all_the_same(database, config, clock):
    join(database, "ada", muted_words=["secret"])
    join(database, "bob", muted_words=["secret"], max_stories=1)
    for title in ("An open one", "A secret one", "Another one"):
        tell(database, title)
    assert compose(database, config).variants == 2
    client = TestClient(application(database, config, clock=clock))
    page, listed = (client.get(f"/newsletters/daily{path}").text for path in ("/editions/1", ""))
    assert all(title in page for title in ("An open one", "A secret one", "Another one"))
    assert "3 stories" in listed


@pytest.mark.long
@on_sqlite
def test_readers_who_change_their_minds_get_just_what_they_want_at_the_time(database, configure):
    config = configure(newsletters={"daily": NEWS}, curate={"per_feed": 50, "per_topic": 50})
    chance = random.Random(11)
    words, sites, tongues = ("red", "green", "blue fish"), ("a.example", "b.example", "c.example"), ("en", "de", "")
    readers = {"all": Taste()}
    join(database, "all")
    for name in ("ada", "bob", "eve", "kim"):
        join(database, name)
        readers[name] = Taste()

    def some(*of):
        return tuple(sorted(chance.sample(of, chance.choice((0, 0, 1, 2)))))

    def wanted(theirs, story):
        title, topic, by, language, _rank = story
        return not (
            any(f" {word} " in f" {title} " for word in theirs.muted_words)
            or topic in theirs.muted_topics
            or set(by) <= set(theirs.muted_sources)
            or (language and theirs.story_languages and language not in theirs.story_languages)
        )

    rank = 0
    for day in range(8):
        for name in [*readers][1:]:
            if chance.random() < 0.6:
                most = chance.choice((None, None, 1, 2))
                readers[name] = Taste(most, some(*words), some(*sites), some(*TOPICS), some("en", "de"))
                choose(database, name, **vars(readers[name]))
        told = []
        for _ in range(chance.randint(1, 4)):
            rank += 1
            title = f"No {rank} of a {chance.choice(words)} and a {chance.choice((*words, 'fish', 'reddish'))} thing"
            by = chance.sample(sites, chance.choice((1, 1, 2)))
            told.append((title, chance.choice([*TOPICS]), by, chance.choice(tongues), chance.random()))
            tell(database, title, topic=told[-1][1], by=by, language=told[-1][3], rank=told[-1][4])
        compose(database, config, day)
        for name, theirs in readers.items():
            best = sorted((story for story in told if wanted(theirs, story)), key=lambda story: -story[4])
            letter = got(database, name, day + 1)
            # The lead is chosen for more than its rank.
            titles, most = [story[0] for story in best], min(theirs.max_stories or len(best), len(best))
            assert set(letter[1:]) <= set(titles[:most]) and set(letter) <= set(titles), (day, name, theirs)
            assert len(letter) == most, (day, name, theirs)


# ---------------------------------------------------------------- every door


@on_sqlite
def test_choices_are_told_kept_and_done_once(database):
    join(database, "ada")
    assert choose(database, "ada", **ALL)
    assert kept(database, "ada") == taste.checked(Taste(**ALL))
    assert not choose(database, "ada", **ALL)
    assert choose(database, "ada", muted_words=()) and kept(database, "ada").muted_sources == ALL["muted_sources"]
    with database.read() as session:
        said = [m.detail for m in history.moments(session, people.find(session, "ada@example.org"))]
        facts, parts = subscribe.everything(session, people.find(session, "ada@example.org"))
    assert "at most 7 stories" in said[1] and "words muted: [video] | a, b | Bitcoin" in said[1]
    assert said[2] == "no words muted" and facts["email"] == "ada@example.org"
    assert parts["subscriptions"][0]["max_stories"] == 7 and parts["subscriptions"][0]["story_languages"] == (
        "de",
        "en",
    )


def test_a_list_takes_it_out_and_in_again_whole(database, config):
    join(database, "ada", **ALL)
    join(database, "bob")
    out = io.StringIO()
    subscribe.export_csv(database, out, newsletter="daily", known_topics=TOPICS)
    cells = {row["email"]: row for row in csv.DictReader(io.StringIO(out.getvalue()))}
    assert cells["ada@example.org"]["max_stories"] == "7" and cells["bob@example.org"]["muted_words"] == ""
    text = out.getvalue().replace("@example.org", "@example.net").encode()
    terms = Terms("list.csv", MONDAY, TOPICS, secret=SECRET, vouched_by="test")
    assert subscribe.import_csv(database, io.BytesIO(text), terms, newsletter="daily").added == 2
    with database.read() as session:
        for name, wanted in (("ada", taste.checked(Taste(**ALL))), ("bob", Taste())):
            found = subscribe.find(session, f"{name}@example.net", "daily")[1]
            assert (Taste.of(found.taste), found.taste_key) == (wanted, wanted.key)


def test_an_import_updates_what_it_is_told_to_and_can_be_undone(database):
    join(database, "ada", max_stories=3, muted_words=["old"])
    rows = b"email,max_stories,muted_words,muted_sources\nada@example.org,9,new,c.example\n"
    terms = Terms("l.csv", MONDAY, TOPICS, secret=SECRET, vouched_by="t", update=("muted_words", "muted_sources"))
    done = subscribe.import_csv(database, io.BytesIO(rows), terms, newsletter="daily")
    assert done.updated == 1 and kept(database, "ada") == Taste(3, ("new",), ("c.example",))
    import_log.undo(database, done.number, evidence=SAID)
    found = standing(database, "ada")
    assert Taste.of(found.taste) == Taste(3, ("old",)) and found.taste_key == Taste(3, ("old",)).key


@on_sqlite
@pytest.mark.parametrize("cells", ["0,,,", "101,,,", "x,,,", ",.,,", ",,no site,", ",,,cats"])
def test_a_row_that_says_what_cannot_be_kept_is_refused(database, cells):
    rows = f"email,max_stories,muted_words,muted_sources,muted_topics\nada@example.org,{cells}\n".encode()
    terms = Terms("l.csv", MONDAY, TOPICS, secret=SECRET, vouched_by="t")
    done = subscribe.import_csv(database, io.BytesIO(rows), terms, newsletter="daily")
    assert (done.refused, done.added) == (1, 0)


@on_sqlite
def test_it_is_chosen_for_many_at_once(database):
    for name in ("ada", "bob"):
        join(database, name, muted_words=["own"])
    whom = subscribe.search(newsletter="daily")
    verb = many.choose(whom, {"max_stories": 5}, known_topics=TOPICS, evidence=SAID)
    assert many.each(database, verb) == 2 and many.each(database, verb) == 0
    assert kept(database, "bob") == Taste(5, ("own",))


def test_a_topic_that_is_called_otherwise_stays_muted_and_one_that_is_chosen_is_not_taken_away(database):
    join(database, "mutes", muted_topics=["ai"])
    join(database, "chose", topics=["web"], muted_topics=["ai"])
    join(database, "both", topics=["ai"], muted_topics=["ai"])
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        assert renames.uses(session, paper, "ai").readers == 3
        renames.rename_topic(session, paper, "ai", "web", SAID)
    assert kept(database, "mutes").muted_topics == ("web",) and kept(database, "chose") == Taste()
    assert kept(database, "both").muted_topics == ("web",), "they chose it by its old name only, and got nothing of it"
    assert standing(database, "chose").taste_key == "" and standing(database, "mutes").taste_key
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        renames.rename_topic(session, paper, "web", "", SAID)
    assert kept(database, "mutes") == Taste()
    with database.read() as session:
        said = [m.detail for m in history.moments(session, people.find(session, "mutes@example.org"))]
    assert said[1:] == ["the topic ai is called web now", "the topic web is no more"]


def test_a_source_that_moves_or_goes_into_another_stays_muted(database, config):
    join(database, "ada", muted_sources=["a.example"])
    join(database, "bob", muted_sources=["b.example"])
    tell(database, "Of a", by=["a.example"])
    tell(database, "Of b", by=["b.example"])
    with database.write() as session:
        one, other = session.exec(select(Feed).order_by(Feed.id)).all()
        feeds.move(session, one.id, url="https://new.example/feed", host="new.example", now=MONDAY)
        feeds.hand_over(session, one.id, other.id, now=MONDAY)
    compose(database, config)
    assert kept(database, "ada").muted_sources == ("a.example", "b.example") and got(database, "ada") == []
    assert kept(database, "bob").muted_sources == ("b.example",) and got(database, "bob") == ["Of a"]


@on_sqlite
def test_moving_keeps_it_and_erasing_leaves_no_word_of_it(database):
    join(database, "ada", muted_words=["very secret word"])
    with database.write() as session:
        moves.move(session, "ada@example.org", "eva@example.org", secret=SECRET, evidence=SAID)
    assert kept(database, "eva").muted_words == ("very secret word",)
    with database.write() as session:
        subscribe.erase(session, "eva@example.org", secret=SECRET, now=MONDAY)
    with database.read() as session:
        for table in all_tables().sorted_tables:
            assert "very secret" not in repr(session.execute(sa.select(table)).all())


# ---------------------------------------------------------------- the page of choices


@pytest.fixture
def client(database, config, clock):
    join(database, "ada")
    tell(database, "Of a", by=["a.example"], language="en")
    tell(database, "Von b", by=["b.example"], language="de-DE")
    return TestClient(application(database, config, clock=clock))


def page_of(database, config, name: str = "ada") -> str:
    token = sign.token(sign.Purpose.PREFERENCES, standing(database, name).id, key=config.keys[0])
    return f"/preferences/{token}"


FORM = {"max_stories": "5", "muted_words": "Bitcoin\r\n\r\n new  york \r\n<b>", "muted_topics": ["art"],
        "muted_sources": ["a.example"], "story_languages": ["de"]}  # fmt: skip


@on_sqlite
def test_the_page_keeps_what_is_chosen_and_shows_it_again(client, database, config):
    page = page_of(database, config)
    empty = client.get(page).text
    assert "<details>" in empty and 'value="a.example"' in empty and 'value="de"' in empty and "A.Example" in empty
    assert "feeds.example" not in empty, "an address of a feed may be a secret"
    answer = client.post(page, data=FORM)
    assert str(answer.url).endswith("?done=saved")
    assert kept(database, "ada") == Taste(5, ("<b>", "Bitcoin", "new york"), ("a.example",), ("art",), ("de",))
    assert "<details open>" in answer.text and answer.text.count(" checked") == 5
    assert 'value="5"' in answer.text and "&lt;b&gt;\nBitcoin\nnew york</textarea>" in answer.text
    client.post(page, data={})
    assert kept(database, "ada") == Taste()


@on_sqlite
@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("max_stories", "0", "from 1 to 100"),
        ("max_stories", "1e2", "from 1 to 100"),
        ("muted_words", "\n".join(map(str, range(51))), "At most 50 words"),
        ("muted_words", "...", "At most 50 words"),
        ("muted_sources", "no site at all", "At most 50 sites"),
        ("muted_topics", "cats", "cannot be chosen"),
        ("story_languages", "<b>", "cannot be chosen"),
    ],
)
def test_the_page_says_what_cannot_be_kept_beside_its_field(client, database, config, field, value, says):
    answer = client.post(page_of(database, config), data=FORM | {field: value})
    assert answer.status_code == 422 and f'id="wrong-{field}"' in answer.text and says in answer.text
    assert "<details open>" in answer.text and kept(database, "ada") == Taste()


@on_sqlite
def test_of_many_sources_the_page_asks_in_words(client, database, config, monkeypatch):
    monkeypatch.setattr("digest.web.preferences._FEW", 1)
    page = page_of(database, config)
    assert '<textarea id="muted_sources"' in client.get(page).text
    client.post(page, data={"muted_sources": "https://www.A.example/\nz.example"})
    assert kept(database, "ada").muted_sources == ("a.example", "z.example")


@on_sqlite
def test_the_copy_of_their_data_has_it(client, database, config):
    choose(database, "ada", muted_words=("Bitcoin",))
    assert "Bitcoin" in client.get(page_of(database, config) + "/data").text


# ---------------------------------------------------------------- the command line


SETTINGS = """
secret_key = "a key for tests, long enough"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
[newsletters.daily.topics.ai]
[newsletters.daily.topics.web]
"""


@pytest.fixture
def digest(tmp_path, upgraded_sqlite):
    (tmp_path / "digest.toml").write_text(SETTINGS)
    shutil.copy(upgraded_sqlite, tmp_path / "digest.db")

    def run(*words, code=0):
        done = CliRunner().invoke(app, ["-c", str(tmp_path), "subscriber", *map(str, words)])
        assert done.exit_code == code, done.output
        return done

    return run


def test_operators_choose_it_for_readers_and_take_it_back(digest):
    digest("add", "ada@example.org", "--max-stories", "4", "--mute", "x", "--vouched-by", "t")
    digest("set", "ada@example.org", "--mute", "Bitcoin", "--mute", "new york", "--mute-source", "https://a.example/",
           "--mute-topic", "ai", "--story-language", "de-AT")  # fmt: skip
    assert "no feed of daily is from z.example" in digest("set", "ada@example.org", "--mute-source", "z.example").stderr
    digest("set", "ada@example.org", "--mute-source", "a.example")

    def shown():
        found = json.loads(digest("show", "ada@example.org", "--json").stdout)["subscriptions"][0]
        return [found[name] for name in taste.NAMES]

    digest("set", "ada@example.org", "--more", "source:A.example", "--more", "author: Ada  L", "--less", "topic:ai")
    assert shown() == [4, ["Bitcoin", "new york"], ["a.example"], ["ai"], ["de"],
                       ["author:Ada L", "source:a.example"], ["topic:ai"]]  # fmt: skip
    digest("set", "ada@example.org", "--less", "author:ada l")
    assert shown()[5:] == [["source:a.example"], ["author:ada l"]], "what is said last holds"
    digest("set", "ada@example.org", "--more", "", "--less", "")
    digest("set", "ada@example.org", "--mute", "", "--max-stories", "")
    assert shown() == [None, [], ["a.example"], ["ai"], ["de"], [], []]
    assert json.loads(digest("list", "--topic", "ai", "--json").stdout) == []
    assert len(json.loads(digest("list", "--topic", "web", "--json").stdout)) == 1
    digest("set", "--where", "topic=web", "--max-stories", "9", "--yes")
    digest("set", "ada@example.org", "--mute-source", "", "--mute-topic", "", "--story-language", "")
    assert shown() == [9, [], [], [], [], [], []]
    for wrong in (("--max-stories", "0"), ("--max-stories", "101"), ("--max-stories", "few"), ("--mute", "..."),
                  ("--mute-source", "no site"), ("--mute-topic", "cats"), ("--story-language", "German"),
                  ("--more", "example.org"), ("--more", "topic:cats"), ("--less", "word:!!"), ("--less", "author:"),
                  ):  # fmt: skip
        done = digest("set", "ada@example.org", *wrong, code=65)
        assert "Traceback" not in done.output and done.stderr
