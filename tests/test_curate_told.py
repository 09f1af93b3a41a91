"""What was told before is read as far as it bears on what is new: with the same outcome, and at the cost of the new."""

from __future__ import annotations

import gc
import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from digest import edition
from digest.config import Curate, Newsletter
from digest.curate import headlines, sketches, stories
from digest.curate import tellings as tellings_
from digest.curate.headlines import Title
from digest.curate.stems import Spellings
from digest.curate.stories import group
from digest.curate.tellings import Telling
from digest.curate.words import of_lines, words
from digest.models import Feed, NewsletterFeed
from digest.store import Database, feed_entries, newsletters

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class _Read(list[Title]):
    """All titles, taken apart."""

    def __init__(self, tellings: list[Telling]) -> None:
        spellings = Spellings(word for telling in tellings for word in words(telling.title))
        read = [headlines.read(t.title, spellings, place=lambda t=t: t.place) for t in tellings]  # type: ignore[misc]
        single = {word for title in read for word in title.words if len(word) >= 6}
        for title in read:
            both = {headlines.stem(a + b) for a, b in pairwise(title.words) if a + b in single}
            self.append(replace(title, stems=title.stems | both, telling=title.telling | both))

    def words(self, i: int) -> tuple[str, ...]:
        return self[i].words

    def stems(self, i: int) -> frozenset[str]:
        return self[i].stems

    def shared(self, some: frozenset[str], i: int) -> frozenset[str]:
        return some & self[i].stems

    def telling(self, i: int) -> frozenset[str]:
        return self[i].telling

    def told(self, some: frozenset[str], i: int) -> frozenset[str]:
        return some & self[i].telling

    def release(self, i: int) -> tuple[str, str] | None:
        return self[i].release

    def equal(self, i: int, j: int) -> bool:
        return headlines.equal(self[i], self[j])


class _Plain(stories._Pairs):
    """The same by reading everything, and counting every word and every two neighbours of all titles."""

    def __init__(self, tellings: list[Telling], settled: int, bound: stories.Bound) -> None:
        super().__init__(tellings, settled, bound)
        self.titles = _Read(tellings)  # type: ignore[assignment]
        features = [frozenset({*title.stems, *title.pairs}) for title in self.titles]  # type: ignore[attr-defined]
        self._seen = Counter({f: n for f, n in Counter(f for some in features for f in some).items() if n > 1})
        self.idf = stories._Rarity(self._seen, len(tellings) + stories._PRIOR)

    def learn_neighbours(self, some: Any) -> None:
        """They are known."""

    def weight(self, i: int) -> tuple[float, float]:
        stems = self.titles.stems(i)
        many = (self.idf[stem] for stem in stems if self._seen[stem] > stories._COMMON)
        return math.fsum(self.idf[stem] for stem in stems) or 1.0, math.fsum(many)

    def candidates(self) -> Iterator[tuple[int, list[int], set[int]]]:
        said: dict[str, list[int]] = defaultdict(list)
        marked: dict[int, list[int]] = defaultdict(list)
        for i, telling in enumerate(self.tellings):
            near = {j for j in range(i) if abs(self._days[i] - self._days[j]) <= stories.WINDOW / timedelta(days=1)}
            rare = sorted(stem for stem in self.titles.stems(i) if 0 < self._seen[stem] <= stories._COMMON)
            marks = sketches.of(telling.text)[: sketches.FINDING]
            if i >= self.settled:
                known: dict[int, float] = defaultdict(float)
                for stem in rare:
                    for j in said[stem]:
                        known[j] += self.idf[stem]
                by_text = {j for mark in marks for j in marked[mark][-stories._COMMON :]} & near
                by_title = [j for j in self._may_do(i, known) if j in near]
                nearest = heapq.nsmallest(stories._NEAREST, by_title, key=lambda j: (-known[j], j))
                yield i, sorted({*nearest, *by_text}), by_text
            for stem in rare:
                said[stem].append(i)
            for mark in marks:
                marked[mark].append(i)


def tellings(rng: random.Random, count: int) -> list[Telling]:
    """Made up: a few stories in many words, with accents and words written as one, releases, parts, sites' names."""
    syllables = ["ka", "ro", "mi", "ten", "sal", "vu", "ü", "ö", "ß", "oe", "ue", "ss", "é"]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(rng.choice((150, 600)))]
    spice = [
        "2025",
        "5.7",
        "5.8",
        "part 2",
        "May",
        "review",
        "released",
        "| Blog",
        "- kablog",
        "(2019)",
        "[pdf]",
        "#12",
    ]
    heads = [rng.choices(vocabulary, k=rng.choice((2, 4, 7))) for _ in range(rng.choice((5, 40, 200)))]
    texts = [" ".join(rng.choices(vocabulary, k=40)) for _ in range(rng.choice((1, 25)))]
    found = []
    for n in range(count):
        title = [*rng.choice(heads), rng.choice(spice)]
        for _ in range(rng.randrange(3)):
            title[rng.randrange(len(title))] = rng.choice(vocabulary)
        if rng.random() < 0.2:
            title[0:2] = [title[0] + title[1]]
        links = [f"https://{rng.choice(vocabulary[:60])}.example/{n % 300}"] if n % 3 else []
        links += [f"https://y.example/{rng.randrange(50) or ''}"] if n % 7 == 0 else []
        text = f"{rng.choice(texts)} {' '.join(rng.choices(vocabulary, k=rng.choice((0, 10, 60))))}" if n % 4 else ""
        when = NOON + timedelta(days=rng.random() * 17)
        about = {"links_tell": n % 11 > 0, "text": text, "author": rng.choice(("", "a", "b"))}
        found.append(Telling(n, " ".join(title), tuple(links), rng.randrange(60), when, **about))
    return found


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(n, marks=pytest.mark.long) for n in range(6, 60))])
def test_what_is_new_goes_where_it_would_if_all_that_was_told_were_read(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    told = tellings(rng, rng.choice((40, 120)))
    settled = rng.choice((0, len(told) // 2, len(told) * 9 // 10))
    monkeypatch.setattr(stories, "_COMMON", rng.choice((5, 60)))  # reached by few already
    monkeypatch.setattr(stories, "_NEAREST", rng.choice((2, 20)))
    if seed % 2:
        told[:settled] = sorted(told[:settled], key=lambda one: one.when)
    found = group(told, settled=settled)
    monkeypatch.setattr(stories, "_Pairs", _Plain)
    assert group(told, settled=settled) == found
    assert found.joins or found.related or len(told) < 100


SETTINGS = Newsletter.model_validate({"title": "D", "from": "a@b.example", "postal_address": "A, 1 B Street, C"})


def _syllables(rng: random.Random, number: int) -> str:
    return "".join(rng.choice("bcdfglmnprstvz") + rng.choice("aeiou") for _ in range(number))


def test_titles_read_in_one_piece_have_the_words_that_each_has() -> None:
    rng = random.Random(1)
    signs = [
        *"aZ09 .'+#_-&:;|()[]\t\0",
        "C++",
        "F#",
        ".NET",
        "Node.js",
        "l'an",
        "Ada's",
        " - Blog",
        " | Blog",
        " [pdf]",
        "é",
    ]
    lines = ["".join(rng.choices(signs, k=rng.randint(0, 12))) for _ in range(3_000)]
    plain = [line for line in lines if headlines.as_it_stands(line)]
    assert 300 < len(plain) < len(lines)
    assert list(of_lines(plain)) == [words(line) for line in plain]
    assert list(of_lines([])) == []
    for line in plain:  # and nothing of them is left away
        one = headlines.taken(line, lambda: "blog.example")
        assert one == (line, tuple(words(line)), (), ()), line


def test_what_was_told_is_neither_taken_apart_nor_compared_unless_it_may_be_alike(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day brings as much; ten days on an admission looks as closely at as few titles, texts and addresses."""
    rng, counts = random.Random(1), Counter[str]()
    newsletters.keep(database, ["daily"], now=NOON)
    with database.write() as session:
        paper = newsletters.find(session, "daily").id
        session.add(Feed(id=1, url="https://f.example/feed", added_at=NOON, next_at=NOON))
        session.add(NewsletterFeed(newsletter_id=paper, feed_id=1, added_at=NOON))

    def counted(room: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(room, name)

        def count(*given: Any, **named: Any) -> Any:
            counts[name] += 1
            return real(*given, **named)

        monkeypatch.setattr(room, name, count)

    for room, name in (
        (headlines, "as_it_stands"),
        (headlines, "taken"),
        (headlines, "read"),
        (headlines, "_marks"),
        (stories._Pairs, "surplus"),
        (tellings_, "site"),
        (sketches, "of"),
    ):
        counted(room, name)

    def pass_day(day: int) -> Counter[str]:
        now = NOON + timedelta(days=day)
        rows = []
        for n in range(20):
            title = f"{_syllables(rng, 4)} {_syllables(rng, 4)} in {_syllables(rng, 4)} with release {day}"
            text = " ".join(_syllables(rng, 3) for _ in range(30))
            url = f"https://f.example/{day}-{n}"
            about = {"url": url, "title": title, "summary": f"<p>{text}</p>", "published_at": now}
            rows.append({"key": url, "guid": url, "twin": url, "content_hash": url, "categories": [], **about})
        with database.write() as session:
            feed_entries.save_entries(session, 1, rows, now=now)
        counts.clear()
        edition.take_in(database, "daily", SETTINGS, Curate(flood=1_000, newest_of_new_feed=1_000), now=now)
        return counts.copy()

    pass_day(0)
    young = pass_day(1)
    for day in range(2, 11):
        old = pass_day(day)
    assert old.pop("as_it_stands") >= young.pop("as_it_stands") + 150  # as many more, and their words were looked at
    assert old.total() <= 1.2 * young.total() + 20, (young, old)
    gc.collect()
    gc.disable()
    try:
        pass_day(11)
        assert not [one for one in gc.get_objects() if isinstance(one, tellings_.Tellings)]  # gone with their last use
    finally:
        gc.enable()
