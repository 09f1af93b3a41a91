"""Under which heading an entry goes, and that it says why."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

import pytest

from digest.config import OTHER, TOPICS, Topic
from digest.curate.keywords import Keywords
from digest.curate.learning import Kept, NaiveBayes, train
from digest.curate.topics import Expected, Heading, Label, Placer, Text, default_headings, headings
from digest.curate.words import _ASCII_WORD, words


def placer() -> Placer:
    return Placer(headings({}), Keywords(headings({})))


@pytest.mark.parametrize(
    ("title", "topic"),
    [
        ("Postgres 19 learns to vacuum in parallel", "databases"),
        ("A React Native app in a weekend", "mobile"),
        ("Why Raft is hard: leader election under partitions", "distributed"),
        ("The outbox pattern in depth", "distributed"),
        ("Sharding, once and for all", "distributed"),
        ("Write skew, and how to see it", "distributed"),
        ("Retries without double effects", "distributed"),
        ("Choreographed sagas", "distributed"),
        ("CVE-2026-1234: remote code execution in a mail server", "security"),
        ("Kubernetes operators without tears", "devops"),
        ("CSS grid, explained with cats", "web"),
        ("Fine-tuning a language model on one GPU", "ai"),
        ("A RISC-V board for makers", "hardware"),
        ("C++ templates considered", "languages"),
        ("What we have been reading in July", OTHER),
        ("The university's glowing cloud", OTHER),
        ("Ten ways to boil an egg", OTHER),
        ("", OTHER),
    ],
)
def test_a_title_is_placed_by_its_keywords_or_not_at_all(title: str, topic: str) -> None:
    assert placer().place(Text.of(title)).topic == topic


def test_two_topics_with_equal_claims_give_none() -> None:
    found = placer().place(Text.of("Docker and Postgres"))
    assert found.topic == OTHER and "perhaps" in found.why


@pytest.mark.parametrize("slug", sorted(TOPICS))
def test_half_a_keyword_is_not_enough_alone_however_often_it_stands(slug: str) -> None:
    """Nor is it in its plural, nor where two of ours have the same word: an address repeats its title."""
    halves = [one.removesuffix("?") for one in default_headings()[slug].keywords if one.endswith("?")]
    found = placer()
    for said in (form for one in halves if "*" not in one for form in (one, f"{one}s")):
        text = Text.of(said, said, f"https://a.example/{said.replace(' ', '-')}")
        hits = {one for name in found.keywords.find(words(said), every=True).values() for one in name}
        if all(one.endswith("?") for one in hits):
            assert found.place(text).topic == OTHER, said


def test_two_keywords_with_one_word_count_once() -> None:
    both = Keywords({"it": Heading("", ("shar*?", "shard*", "sharding"))})
    assert both.find(["sharding"]) == {"it": ["sharding"]}
    assert both.find(["sharding"], every=True) == {"it": ["sharding", "shar*?", "shard*"]}
    assert both.find(["sharp", "shards"]) == {"it": ["shar*?", "shard*"]}


def test_what_speaks_for_another_topic_asks_for_more() -> None:
    chosen = {"garden": Heading("Garden", ("rose", "hedge")), "kitchen": Heading("Kitchen", ("oven", "broth?"))}
    found = Placer(chosen, Keywords(chosen))
    assert found.place(Text.of("A rose")).topic == "garden"
    assert found.place(Text.of("A rose and broth", "the hedge")).topic == OTHER, "three points against one"
    assert found.place(Text.of("A rose and a hedge by the oven")).topic == OTHER
    assert found.place(Text.of("A rose and a hedge with broth")).topic == "garden"


@pytest.mark.parametrize(
    "title",
    [
        "Reading on the go",
        "A handy way to fold maps",
        "Let me show you my website",
        "Tracking display of documentation",
        "We go 100 miles",
        "A mouse in the shell",
    ],
)
def test_a_word_of_daily_life_gives_no_heading(title: str) -> None:
    link = f"https://a.example/{title.lower().replace(' ', '-')}"
    assert placer().place(Text.of(title, title, link)).topic == OTHER


@pytest.mark.parametrize(
    ("title", "topic"),
    [
        ("Error values in Go", "languages"),
        ("What is new in Ruby", "languages"),
        ("Unit testing for the impatient", "practices"),
        ("A query that returns too much", "databases"),
        ("Rendering grass", "games"),
        ("The end of Windows 10", "systems"),
        ("Going cloud native", "devops"),
    ],
)
def test_a_word_that_is_sure_is_enough(title: str, topic: str) -> None:
    assert placer().place(Text.of(title)).topic == topic


def test_the_words_that_counted_are_told() -> None:
    found = placer().place(Text.of("Notes on Postgres", "How a table of SQLite differs."))
    assert found.topic == "databases" and found.step == "keywords"
    assert dict(found.words) == pytest.approx({"postgres*": 2 / 3**0.5, "sqlite": 1 / 3**0.5})
    assert sum(weight for _word, weight in found.words) == pytest.approx(found.score)


def test_the_longer_keyword_takes_its_words() -> None:
    found = Keywords(headings({})).find(["react", "native", "and", "react"])
    assert found == {"mobile": ["react native"], "web": ["react?"]}


def test_how_a_page_is_served_says_nothing_of_its_topic() -> None:
    assert Text.of("Weather", "", "https://weather.example/index.php").path == ()
    assert (
        placer().place(Text.of("Weather", "see https://weather.example/html", "http://w.example/a.html")).topic == OTHER
    )


def test_a_newsletter_chooses_its_topics_and_keeps_or_replaces_their_keywords() -> None:
    chosen = headings(
        {
            "databases": Topic(more_keywords=("vacuum",)),
            "web": Topic(title="The Web", keywords=("html",)),
            "gardening": Topic(keywords=("rose*",)),
        }
    )
    assert list(chosen) == ["databases", "web", "gardening"]
    assert "vacuum" in chosen["databases"].keywords and "postgres*" in chosen["databases"].keywords
    assert chosen["web"].title == "The Web" and chosen["web"].keywords == ("html",)
    assert chosen["gardening"].title == "Gardening"
    assert Placer(chosen, Keywords(chosen)).place(Text.of("Roses in June")).topic == "gardening"


@pytest.mark.parametrize(
    ("keyword", "titles", "others"),
    [
        ("*suppe", ["Eine Kürbissuppe", "SUPPE", "Suppe, zwei Kürbissuppes"], ["Suppen", "Supper", "sup"]),
        ("data*", ["Database", "data"], ["metadata"]),
        ("post*gres", ["postgres", "Post-Postxgres", "postgress"], ["postgre", "postgresql", "pogres", "post gres"]),
        ("a*ba", ["axba", "aba"], ["ba", "ab", "abax"]),
        ("a*a", ["abba", "aa"], ["a", "ab"]),
        ("*ferment*", ["Fermented things", "unfermentable", "ferment"], ["fermet"]),
        ("f*r*t", ["ferment", "frt", "flirt"], ["ftr", "fer"]),
        ("*.js", ["three.js in depth", "Vue.js"], ["js", "json"]),
        ("e-*", ["e-mail", "E-Bikes"], ["e", "email", "the letter e"]),
        ("*-mail", ["e-mail"], ["email"]),
        ("soup *", ["soup"], ["so"]),
        ("c++*", ["C++"], ["c"]),
        ("hot *suppe", ["Hot Kürbissuppe"], ["Hot soup", "Kürbissuppe hot"]),
        ("deep * learning", ["Deep machine learning"], ["Deep learning"]),
        ("数据库", ["使用Kubernetes管理数据库的实践", "数据库"], ["数据 仓库", "数据"]),
        ("交付", ["Kubernetes渐进式交付实践"], ["交通"]),
        ("kubernetes", ["Kubernetes渐进式交付实践", "使用Kubernetes", "Oперация: Kubernetesом", "وKubernetes"], []),
        ("猫", ["犬と猫です", "猫", "猫の日"], ["犬"]),
        ("第5版", ["教科书第5版", "是第5版本", "第5版"], ["第6版", "5版"]),
        ("c#", ["C#编程", "使用C#"], ["C 编程"]),
        (".net", ["使用.NET开发", ".NET开发"], ["net"]),
        ("вакцин*", ["Новая вакцина"], ["вакса"]),
        ("*метр", ["Термометр"], ["метрика"]),
        ("био*лог", ["биоэколог", "биолог"], ["биология"]),
        ("3д-*", ["3д-печать"], ["3 д"]),
        ("*نامه", ["روزنامه"], ["نام"]),
        ("*λογία", ["βιολογία"], ["λογικό"]),
        ("μ*chip", ["μchip", "μbiochip"], ["chip"]),
        ("हिन्दी", ["हिन्दी समाचार"], ["हिन्दू"]),
        ("선거", ["대통령선거를 앞두고"], ["선물"]),
    ],
)
def test_a_star_and_a_word_without_spaces_are_found_where_they_stand(
    keyword: str, titles: list[str], others: list[str]
) -> None:
    found = Keywords({"it": Heading("", (keyword,))})
    assert [title for title in titles if not found.find(words(title))] == []
    assert [title for title in others if found.find(words(title))] == []


def test_a_word_ends_where_its_script_does() -> None:
    assert words("Kubernetes渐进式交付") == ["kubernetes", "渐进", "进式", "式交", "交付"]
    assert words("第19版Postgres") == ["第", "19", "版", "postgres"]
    assert words("Linuxом, العربيةLinux") == ["linux", "ом", "العربية", "linux"]
    assert words("BεTrFS, 5μm") == ["bεtrfs", "5μm"], "Greek letters are signs in names"
    assert words("Don't naïve l'été café") == ["don't", "naïve", "été", "café"]


@pytest.mark.parametrize(
    ("slug", "title", "own"),
    [
        ("bread", "Bread", ("bread",)),
        ("baking", "Baking & bread", ("baking", "bread")),
        ("kita", "Schule und Kita", ("schule", "kita")),
        ("ml", "Machine learning", ("machine learning", "ml")),
        ("kitchen", "In the kitchen", ("kitchen",)),
        ("db", "数据库", ("数据库", "db")),
        ("more", "More", ("more?",)),
        ("news", "News", ("news?",)),
        ("local", "Local News!", ("local news?", "local?")),
        ("sonstiges", "Verschiedenes", ("verschiedenes?", "sonstiges?")),
        ("misc", "その他", ("その他?", "misc?")),
        ("it", "IT", ()),
        ("c", "C++", ("c++", "c?")),
        ("research", "R&D", ("r d?", "research")),
        ("dotnet", ".NET / C#", (".net", "c#", "dotnet")),
    ],
)
def test_a_topic_without_keywords_is_known_by_its_name(slug: str, title: str, own: tuple[str, ...]) -> None:
    assert headings({slug: Topic(title=title)})[slug].keywords == own
    assert headings({slug: Topic(title=title, more_keywords=("x",))})[slug].keywords == (*own, "x")
    assert headings({slug: Topic(title=title, keywords=())})[slug].keywords == ()


def test_a_name_that_could_stand_over_anything_is_never_enough_alone() -> None:
    chosen = headings({"news": Topic(title="More"), "bread": Topic()})
    found = Placer(chosen, Keywords(chosen)).place(
        Text.of("More news", "More news for you.", "https://news.example/more/news/1")
    )
    assert found.topic == OTHER
    assert Placer(chosen, Keywords(chosen)).place(Text.of("News of bread")).topic == "bread"


def test_a_name_goes_before_the_same_word_among_the_packaged_ones() -> None:
    chosen = headings({"languages": Topic(), "python": Topic()})
    assert Placer(chosen, Keywords(chosen)).place(Text.of("Python is slow")).topic == "python"
    kept = headings({"languages": Topic(more_keywords=("python",)), "python": Topic()})
    assert "python" in kept["languages"].keywords, "the operator's own word stands"


def test_a_packaged_topic_with_another_title_is_known_by_it_too() -> None:
    plain = headings({"games": Topic()})["games"].keywords
    assert headings({"games": Topic(title="Board games")})["games"].keywords == ("board games", *plain)
    assert headings({"ai": Topic(title="AI")})["ai"].keywords == default_headings()["ai"].keywords


def test_the_packages_topics_are_those_the_settings_know() -> None:
    assert [(slug, heading.title) for slug, heading in default_headings().items()] == list(TOPICS.items())
    assert len(TOPICS) == 12
    assert all(len(heading.keywords) >= 25 for heading in default_headings().values())


GARDEN = ["prune", "rose", "compost", "seed", "tomato", "hedge", "mulch", "soil"]
KITCHEN = ["braise", "butter", "oven", "stew", "onion", "broth", "knead", "saucepan"]


def labels(count: int) -> list[Label]:
    """Titles made of the words of two topics, from several sites each."""
    found = []
    for topic, vocabulary in (("garden", GARDEN), ("kitchen", KITCHEN)):
        for n in range(count):
            said = [vocabulary[(n * k + k) % len(vocabulary)] for k in (1, 3, 5)]
            found.append(Label(Text.of(" ".join(said) + f" again {n}"), topic, f"{topic}-{n % 9}.example"))
    return found


TWO = headings({"garden": Topic(), "kitchen": Topic()})


def test_what_is_labelled_teaches() -> None:
    learnt = train(TWO, labels(40), precision=0.9, trainer=NaiveBayes)
    found = learnt.place(Text.of("mulch for your tomato seed"))
    assert (found.topic, found.step) == ("garden", "words")
    assert {"mulch", "tomato", "seed"} <= {word for word, _ in found.words}


def test_a_text_without_known_words_is_not_guessed() -> None:
    learnt = train(TWO, labels(40), precision=0.9, trainer=NaiveBayes)
    assert learnt.place(Text.of("quarterly figures of a bank")).topic == OTHER


def test_fewer_than_twenty_labels_teach_nothing_yet() -> None:
    learnt = train(TWO, labels(19), precision=0.9, trainer=NaiveBayes)
    assert learnt.scorer is None
    assert learnt.place(Text.of("mulch for your tomato seed")).topic == OTHER


def test_labels_that_contradict_each_other_place_nothing() -> None:
    mixed = [Label(one.text, ("garden", "kitchen")[n // 8 % 2], one.site) for n, one in enumerate(labels(40))]
    learnt = train(TWO, mixed, precision=0.9, trainer=NaiveBayes)
    assert learnt.place(Text.of("mulch for your tomato seed")).topic == OTHER


@pytest.mark.parametrize("count", [0, 20, 40, 200])
@pytest.mark.parametrize("puzzling", [False, True])
def test_no_number_of_labels_silences_keywords(count: int, puzzling: bool) -> None:
    """Neither many labels nor labels that contradict each other take a heading that keywords alone would give."""
    topics = headings({"garden": Topic(keywords=("wheelbarrow",)), "kitchen": Topic(keywords=("oven",))})
    some = labels(count)
    if puzzling:
        some = [Label(one.text, ("garden", "kitchen")[n // 8 % 2], one.site) for n, one in enumerate(some)]
    learnt = train(topics, some, precision=0.99, trainer=NaiveBayes)
    found = learnt.place(Text.of("All about a wheelbarrow"))
    assert (found.topic, found.step, found.best) == ("garden", "keywords", "garden")
    assert found.words[0][0] == "wheelbarrow"


def test_a_handful_of_answers_does_not_move_the_cut_far() -> None:
    twenty, many = (train(TWO, labels(n), precision=0.9, trainer=NaiveBayes).cut for n in (20, 400))
    assert 1.4 < twenty < 1.7, "what held elsewhere"
    assert many < 1.6, "labels that are told apart well are believed as soon"


def test_what_is_expected_of_a_topic_is_counted_on_labels_not_learnt_from() -> None:
    learnt = train(TWO, labels(40), precision=0.9, trainer=NaiveBayes)
    expected = learnt.expected["garden"]
    assert expected.labels == 40
    assert 0 < expected.right <= expected.placed
    assert (expected.precision, expected.share) == (expected.right / expected.placed, expected.right / 40)
    nothing = Expected(0, 0, 0)
    assert (nothing.precision, nothing.share) == (None, None)


def test_what_was_learnt_is_the_same_when_it_was_kept() -> None:
    learnt = train(TWO, labels(40), precision=0.9, trainer=NaiveBayes)
    kept = Kept("mark", {1: "garden"}, learnt)
    again = Kept.unpacked(kept.packed(), TWO)
    assert again is not None
    assert (again.mark, again.labels) == (kept.mark, kept.labels)
    for text in (Text.of("mulch for your tomato seed"), Text.of("quarterly figures of a bank"), Text.of("")):
        assert again.placer.place(text) == learnt.place(text)


@pytest.mark.parametrize("harm", [lambda b: b[:-9], lambda b: b"", lambda b: b"{}", lambda b: zlib.compress(b"{}")])
def test_what_was_kept_and_cannot_be_read_is_learnt_anew(harm: Callable[[bytes], bytes]) -> None:
    stored = Kept("mark", {}, train(TWO, labels(40), precision=0.9, trainer=NaiveBayes)).packed()
    assert Kept.unpacked(harm(stored), TWO) is None


def test_what_was_kept_is_good_while_topics_are_known_by_as_many_labels() -> None:
    before = {id_: "garden" if id_ % 2 else "kitchen" for id_ in range(100)}
    kept = Kept("mark", before, Placer(TWO, Keywords(TWO)))

    def labels(*, first: int = 0, last: int = 100, **moved: str) -> dict[int, str]:
        found = {id_: "garden" if id_ % 2 else "kitchen" for id_ in range(first, last)}
        return found | {int(id_.removeprefix("id")): topic for id_, topic in moved.items()}

    assert kept.fits(labels(id100="kitchen", id5="kitchen"))
    assert kept.fits(labels(first=60, last=160))  # a day's entries took the place of the oldest
    assert not kept.fits(before | dict.fromkeys(range(24), "kitchen"))  # corrected
    # So many corrected both ways that topics have as many as before, and others.
    assert not kept.fits(labels() | {id_: "kitchen" if id_ % 2 else "garden" for id_ in range(12)})
    assert not kept.fits(labels(last=112))  # more is known
    assert not kept.fits(labels(last=85))  # less
    assert not kept.fits(before | dict.fromkeys(range(100, 120), "cellar"))  # a topic came
    assert not kept.fits(labels(first=80, last=180))  # hardly one is left


def test_what_was_kept_serves_until_something_else_is_said_of_entries_that_were_there() -> None:
    before = {id_: "garden" if id_ % 2 else "kitchen" for id_ in range(0, 200, 2)}
    kept = Kept("mark", before, Placer(TWO, Keywords(TWO)))
    newest = dict(list(before.items())[-20:])
    assert kept.serves("mark", before)
    # A busy day, of one topic nearly: the run learns of it when it has placed its entries.
    busy = newest | dict.fromkeys(range(200, 280), "garden")
    assert kept.serves("mark", busy) and not kept.fits(busy)
    assert not kept.serves("other", before)
    assert not kept.serves("mark", before | dict.fromkeys(range(0, 24, 2), "garden"))  # corrected
    assert not kept.serves("mark", newest | dict.fromkeys(range(41, 199, 2), "kitchen"))  # a feed has a topic now
    assert not kept.serves("mark", before | dict.fromkeys(range(200, 212), "garden"))  # more is known: it was little
    assert not kept.serves("mark", newest)  # less


def test_contributions_of_the_words_explain_the_score() -> None:
    scorer = NaiveBayes(labels(40))
    text = Text.of("mulch and butter")
    for topic, score in scorer.scores(text).items():
        other = next(t for t in ("garden", "kitchen") if t != topic)
        gained = sum(weight for _, weight in scorer.evidence(text, topic))
        lost = sum(weight for _, weight in scorer.evidence(text, other))
        assert score == pytest.approx(gained - lost, abs=1e-9)


def test_another_scorer_can_take_the_place_of_ours() -> None:
    class Constant:
        def scores(self, text: Text) -> dict[str, float]:
            return {"garden": 3.0, "kitchen": 0.0}

        def evidence(self, text: Text, topic: str) -> list[tuple[str, float]]:
            return [("because", 3.0)]

    gardens = [Label(one.text, "garden", one.site) for one in labels(40)]
    some = gardens + [one for one in labels(25) if one.topic == "kitchen"]
    learnt = train(TWO, some, precision=0.7, trainer=lambda _labels: Constant())
    assert learnt.place(Text.of("anything")).words == (("because", 3.0),)


def test_the_words_of_an_ascii_text_are_what_one_expression_finds_in_it():
    rng, marks = random.Random(1), [*".'+#_", *".'+#_", "'s ", ".net", " ", "-", "/", "\t", "\x1f", "\x00"]
    for _ in range(3_000):
        said = "".join(rng.choices(["a", "B", "7", "c#", "l'", "node", *marks], k=rng.randrange(1, 14)))
        elided = [word.removesuffix("'s") for word in _ASCII_WORD.findall(said.lower())]
        if not any("'" in word for word in elided):  # what an article takes away is asked elsewhere
            assert words(said) == elided, said
    assert words("C++, .NET and F#: Node.js's 5.7_beta") == ["c++", ".net", "and", "f#", "node.js", "5.7", "beta"]
