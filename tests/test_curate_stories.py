"""The same news once, and different news apart."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.curate import headlines, sketches, stories
from digest.curate.stories import Join, group
from digest.curate.tellings import Telling
from digest.curate.urls import normalise
from digest.curate.words import words

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def tell(n: int, title: str, url: str = "", *, feed: int | None = None, days: float = 0) -> Telling:
    key = normalise(url or f"https://site{n}.example/{n}")
    return Telling(n, title, (key,) if key else (), n if feed is None else feed, NOON + timedelta(days=days))


def together(*tellings: Telling) -> bool:
    return len(group(tellings).groups) == 1


PROSE = (
    "The ferry that has joined the two halves of the town since 1911 made its last crossing on Sunday evening, with a "
    "brass band on board and half of the council; the bridge that replaces it opens in spring, three years late."
)
OTHER = (
    "Our kitchen has seen many kettles, and none of them survived the limescale for more than two winters. So this "
    "time we measured: boiling times, noise, energy per litre, and how often the lid fell into somebody's cup."
)


def saying(n: int, title: str, text: str, *, feed: int | None = None, url: str = "") -> Telling:
    return tell(n, title, url, feed=feed)._replace(text=text)


def test_one_text_under_two_titles_is_one_story() -> None:
    assert together(saying(1, "Last ferry crosses the river", PROSE), saying(2, "An era ends on the water", PROSE))


def test_one_text_of_a_feed_is_a_template_and_not_a_story_told_twice() -> None:
    a = saying(1, "Stories of Monday", PROSE, feed=7, url="https://ada.example/monday")
    b = saying(2, "Stories of Tuesday", PROSE, feed=7, url="https://ada.example/tuesday")
    assert not together(a, b)
    assert not together(a, b._replace(feed=8))  # another feed of the same site


def test_one_title_over_texts_of_other_things_is_two_stories() -> None:
    title = "The last days of a faithful old companion"
    assert together(saying(1, title, ""), saying(2, title, ""))
    assert not together(saying(1, title, PROSE), saying(2, title, OTHER))


def test_one_address_with_other_words_behind_it_is_one_story() -> None:
    a = tell(1, "Welcome back to the old compiler - Modern compilers", "https://docs.example/welcome-back")
    assert together(a, tell(2, "Welcome back to the old compiler", "https://docs.example/welcome-back?view=2019"))


def test_a_chain_of_likenesses_joins_no_two_groups() -> None:
    link = "https://survey.example/2020"
    rivals = [
        tell(n, title, link)
        for n, title in enumerate(
            (
                "The great developer survey 2020 results are in",
                "Rust is loved by most once more",
                "What programmers earn in many countries",
                "Nobody likes their build tool",
            ),
            1,
        )
    ]
    stranger = tell(9, "Defaults survey results of a linter for developers", "https://lobste.rs/s/abc")
    assert not any({1, 9} <= set(ids) for ids in group([*rivals, stranger]).groups)


def test_one_link_is_one_story_whatever_the_titles() -> None:
    a = tell(1, "Fast seeking in a file system", "https://ada.example/blog?utm_source=rss#one")
    assert together(a, tell(2, "An encrypted history", "http://www.ada.example/blog/"))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Kafka adds tiered storage to its brokers", "Tiered storage comes to Kafka brokers"),
        ("Let's Encrypt makes certificates for 30% of domains", "Let's Encrypt makes certs for 30% of web domains"),
        ("Results of the Grand C++ Error Explosion Competition", "The Grand C++ Error Explosion Competition"),
        ("PHP 8.0.0 released", "PHP 8.0.0 release announcement"),
        ("Love letter to Clojure (Part 1)", "Love letter to Clojure"),
        ("Buying a workplace chat app for $27.7 billion", "The workplace chat app bought for $27.7 billion"),
        ("Pipelines were down across Europe today | Example DevOps Blog", "Pipelines were down across Europe today"),
        ("Linux 5.7", "Linux Kernel 5.7 is out!"),
        ("Announcing Zig 0.7.0", "Version 0.7.0 of Zig has been released"),
        ("Firefox 121 is now available", "Mozilla Firefox 121 released"),
    ],
)
def test_alike_titles_of_two_sites_are_one_story(one: str, two: str) -> None:
    assert together(tell(1, one), tell(2, two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Announcing TypeScript 3.6 for everybody", "Announcing TypeScript 3.7 for everybody"),
        ("Porting an emulator to NetBSD, part 2", "Porting an emulator to NetBSD, part 3"),
        ("Porting an emulator, second report", "Porting an emulator, third report"),
        ("Inko progress report: July 2019", "Inko progress report: August 2019"),
        ("The case against objects is wildly overstated", "My reply to: The case against objects is wildly overstated"),
        ("State of the developer survey 2024", "State of the developer survey 2025"),
        ("Bash Pitfalls", "Bash Pitfalls"),
        ("Linux 5.10", "Static calls in Linux 5.10"),
        ("Android 14", "Android Studio 14"),
        ("Firefox 120 beta 1", "Firefox 120 beta 2"),
        ("Notebook Pro, First Impressions", "Notebook Pro, Six Months In"),
        ("Tablet 13: first impressions", "Tablet 13 review after a year"),
        ("Game console OLED review", "Game console OLED teardown"),
        ("Hello, World!", "Hello World"),
        ("Advent of Code 2021 Day 3", "Advent of Code 2021, Day 3"),
        ("Getting started with Kubernetes", "Getting started with Kubernetes operators"),
        ("Moving from Heroku to Fly.io", "Moving from Fly.io to Hetzner"),
        ("The Rise and Fall of the Data Cube", "The Rise and Fall of Mobile"),
    ],
)
def test_a_series_a_reply_and_a_bare_name_are_not_one_story(one: str, two: str) -> None:
    assert not together(tell(1, one), tell(2, two))


def test_one_site_tells_its_news_once_unless_the_titles_are_equal() -> None:
    a = tell(1, "A simple way to get more value from metrics", "https://dan.example/metrics")
    b = tell(2, "A simple way to get more value from tracing", "https://dan.example/tracing")
    c = tell(3, "A simple way to get more value from metrics", "https://dan.example/again")
    assert group([a, b, c]).groups == ((1, 3), (2,))


def test_titles_join_within_a_week_and_a_day_and_links_for_ever() -> None:
    words = "Kafka adds tiered storage to its brokers"
    assert together(tell(1, words), tell(2, words, days=7.4)), "who tells weekly is not punctual"
    assert not together(tell(1, words), tell(2, words, days=8.1))
    assert together(tell(1, words, "https://ada.example/k"), tell(2, "K", "https://ada.example/k", days=80))


def test_entries_of_one_feed_with_one_link_stay_apart() -> None:
    a = tell(1, "Episode about cats", "https://pod.example/listen", feed=7)
    b = tell(2, "Episode about dogs", "https://pod.example/listen", feed=7)
    assert not together(a, b)


@pytest.mark.parametrize(
    ("one", "two", "joined"),
    [
        ({}, {}, True),
        ({"text": "Another text"}, {}, False),
        ({"text": ""}, {"text": ""}, False),
        ({"when": NOON - timedelta(hours=1)}, {}, False),
        ({"title": "The mill reopens in June"}, {}, False),
        ({"links": (normalise("https://site.example/"),)}, {"links": (normalise("https://site.example/"),)}, False),
    ],
)
def test_two_entries_between_which_nobody_sees_a_difference_are_one_story(
    one: dict[str, Any], two: dict[str, Any], joined: bool
) -> None:
    """Each entry of a feed twice, under two guids: its links seem to tell nothing, and are told once all the same."""
    known = Telling(1, "Mill reopens after the flood", (normalise("https://site.example/mill"),), 1, NOON)
    some, other = (
        known._replace(id=n, links_tell=False, **({"text": PROSE} | said)) for n, said in ((1, one), (2, two))
    )
    assert together(some, other) is joined


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Tale bridge of the museum storm", "Tale river of the storm museum"),
        ("Harbour weather for the northern islands: Monday", "Harbour weather for the northern islands: Tuesday"),
        ("Minutes of the parish council, first half", "Minutes of the parish council, second half"),
    ],
)
def test_a_series_without_links_is_not_one_story(one: str, two: str) -> None:
    some, other = (Telling(n, title, (), 1, NOON) for n, title in ((1, one), (2, two)))
    assert not together(some, other)
    assert together(some, other._replace(title=one))


def test_a_front_page_is_nobodys_identity() -> None:
    a, b = tell(1, "A new language", "https://ada.example/"), tell(2, "We are hiring", "https://ada.example")
    assert not together(a, b)


def test_a_short_title_joins_only_where_an_aggregator_hides_the_site() -> None:
    lobsters = tell(1, "Bash Pitfalls", "https://lobste.rs/s/abc")
    assert together(lobsters, tell(2, "Bash Pitfalls", "https://news.ycombinator.com/item?id=1"))
    assert not together(tell(1, "Bash Pitfalls"), tell(2, "Bash Pitfalls"))
    assert not together(lobsters, tell(2, "Bash Pitfalls", "https://lobste.rs/s/def", feed=1, days=6))


def test_nobody_joins_a_group_that_contradicts() -> None:
    a = tell(1, "Racket v7.4 released with many improvements")
    b = tell(2, "Racket released with many improvements")
    c = tell(3, "Racket v7.5 released with many improvements")
    groups = group([a, b, c]).groups
    assert not any({1, 3} <= set(ids) for ids in groups)


def test_the_reason_names_the_words_that_were_shared() -> None:
    one, two = tell(1, "Kafka adds tiered storage to its brokers"), tell(2, "Tiered storage for Kafka brokers")
    (join,) = group([one, two]).joins
    assert join.why.startswith("title 0.") and "kafka" in join.why


def test_what_was_settled_is_joined_but_not_joined_together() -> None:
    words = "Kafka adds tiered storage to its brokers"
    found = group([tell(1, words), tell(2, words), tell(3, words)], settled=2)
    assert {join.two for join in found.joins} == {3}


def test_somewhat_alike_stories_are_related_only() -> None:
    crowd = [tell(100 + n, f"Filler about subject{n} and matter{n}") for n in range(1000)]
    a = tell(1, "Postgres vacuum internals explained with pictures for beginners")
    b = tell(2, "Postgres vacuum internals and why autovacuum falls behind on large tables")
    found = group([*crowd, a, b])
    assert not any({1, 2} <= set(ids) for ids in found.groups)


def test_nothing_gives_nothing() -> None:
    assert group([]).groups == ()
    assert len(group([tell(1, ""), tell(2, "")]).groups) == 2


# ---------------------------------------------------------------- many at once


def many(count: int, *, seed: int, stories_told: int, openings: int) -> list[Telling]:
    """Made-up tellings: each of one of so many stories, in words of its own, over texts of so many openings."""
    rng = random.Random(seed)
    syllables = ["ka", "ro", "mi", "ten", "sal", "vu", "per", "do", "lin", "gra", "sto", "ne"]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(800)]
    spice = ["2025", "2026", "5.7", "5.8", "part 2", "part 3", "May", "beta 1", "review", "guide", "first", "the", "of"]
    heads = [rng.choices(vocabulary, k=7) for _ in range(stories_told)]
    texts = [" ".join(rng.choices(vocabulary, k=40)) for _ in range(openings)]
    found = []
    for n in range(count):
        title = [*rng.choice(heads), rng.choice(spice)]
        for _ in range(rng.randrange(3)):
            title[rng.randrange(len(title))] = rng.choice(vocabulary)
        text = f"{rng.choice(texts)} {' '.join(rng.choices(vocabulary, k=rng.choice((0, 10, 60))))}"
        url = f"https://{rng.choice(vocabulary)}.example/{n}" if n % 3 else ""
        one = tell(n, " ".join(title), url, feed=rng.randrange(90), days=rng.random() * 12)
        found.append(one._replace(text=text if n % 4 else ""))
    return found


def _plain_conflict(a: headlines.Marks, b: headlines.Marks) -> bool:
    if a.answer != b.answer or a.early != b.early or (a.parts != b.parts and {*a.parts} ^ {*b.parts} != {"1"}):
        return True
    for name in ("labels", "months", "years", "ordinals", "articles"):
        if getattr(a, name) and getattr(b, name) and not getattr(a, name) & getattr(b, name):
            return True
    left = {n for n in a.numbers if not any(headlines.agree(n, m) for m in b.numbers)}
    right = {n for n in b.numbers if not any(headlines.agree(n, m) for m in a.numbers)}
    return bool(left and right)


def _plain_alike(one: sketches.Sketch, two: sketches.Sketch) -> float:
    least = sorted({*one, *two})[: sketches._KEPT]
    return len({*one} & {*two} & {*least}) / len(least)


def _plain_sketch(text: str) -> sketches.Sketch:
    found = text[: sketches.HEAD].casefold().split()
    if len(found) < sketches._LEAST:
        return ()
    runs = {" ".join(found[at : at + 4]) for at in range(len(found) - 3)}
    return tuple(sorted({crc32(run.encode()) for run in runs})[: sketches._KEPT])


def _plainly_joined(pairs: Any, clusters: Any, likely: Any) -> list[Join]:
    joins = []
    for pair in sorted(likely, key=lambda pair: (-pair.surplus, pair.one, pair.two)):
        some, others = clusters.members(pair.one), clusters.members(pair.two)
        if some is others or any(
            _plain_conflict(pairs.titles[a].marks, pairs.titles[b].marks) for a, b in product(some, others)
        ):
            continue
        one, two = pairs.tellings[pair.one], pairs.tellings[pair.two]
        found = [max(-stories.FAR, min(stories.FAR, pairs.surplus(i, j))) for i, j in islice(product(some, others), 64)]
        far = len(found) > 1 and sum(found) / len(found) < stories.CLOSE
        if far or stories._of_other_things(one, two):
            continue
        clusters.join(pair.one, pair.two)
        joins.append(Join(one.id, two.id, pair.why or pairs.alike(pair.one, pair.two, pair.alike), pair.alike))
    return joins


def test_what_makes_it_fast_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = many(400, seed=1, stories_told=40, openings=25)
    fast = group(told)
    assert 40 < len(fast.groups) < 390  # some joined, some not
    monkeypatch.setattr(headlines, "conflict", _plain_conflict)
    monkeypatch.setattr(sketches, "alike", _plain_alike)
    monkeypatch.setattr(sketches, "of", _plain_sketch)
    monkeypatch.setattr(stories, "_joined", _plainly_joined)
    assert group(told) == fast


@pytest.mark.parametrize(
    ("stories_told", "openings"),
    [(4, 400), (400, 1), (1, 1)],
    ids=["told again and again", "one boilerplate", "all the same"],
)
def test_the_pairs_that_are_judged_grow_as_the_tellings_do(
    stories_told: int, openings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: Counter[str] = Counter()

    def counted(name: str, room: Any) -> None:
        real = getattr(room, name)

        def count(*given: Any, **named: Any) -> Any:
            judged[name] += 1
            return real(*given, **named)

        monkeypatch.setattr(room, name, count)

    counted("surplus", stories._Pairs)
    counted("conflict", headlines)
    counted("alike", sketches)
    monkeypatch.setattr(stories, "_COMMON", 12)  # reached by few already
    monkeypatch.setattr(stories, "_NEAREST", 6)
    few, more = 100, 200
    group(many(few, seed=2, stories_told=stories_told, openings=openings))
    before = judged.total()
    group(many(more, seed=2, stories_told=stories_told, openings=openings))
    assert judged.total() - before < 2.8 * before
    assert judged["surplus"] < 30 * (few + more)


_PIECES = st.sampled_from(
    ["cat", "node.js", "c++", "c#", ".net", "it's", "l'an", "a-b/c", "x_y", "é", "使用", *" \t\n\x1f.…'+#"]
)


@given(st.lists(_PIECES, min_size=6, max_size=60).map("".join))
def test_no_text_that_is_short_at_sight_has_words_enough(text: str) -> None:
    if sketches._is_short(text, len(text.casefold().split())):
        assert len(words(text)) < sketches._LEAST


def test_an_excerpt_that_was_cut_short_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "words", None)
    assert not list(sketches.runs("What a team of two learnt of its database, in a year of pages at night, is that…"))


def test_words_that_tell_are_known_once_for_all_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def counted(name: str) -> None:
        real = getattr(headlines, name)

        def count(*given: Any, **named: Any) -> Any:
            counts[name] += 1
            return real(*given, **named)

        monkeypatch.setattr(headlines, name, count)

    counted("informative")
    counted("read")
    when = datetime(2026, 3, 2, tzinfo=UTC)
    told = [Telling(n, f"Mica garnet m{n} beats m{n + 50}", (), n, when) for n in range(30)]
    group(told, settled=29)
    assert counts["informative"] == 1 + counts["read"]
