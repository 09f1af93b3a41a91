"""What rises and what falls in a newsletter: words and names, topics, sources, each against its own past. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from digest.curate.following import telling
from digest.curate.stems import plain
from digest.curate.words import unspaced, words
from digest.dataclass import dataclass

MOST = 50_000  # tellings that are read, the newest
SHOWN = 10  # of each kind that rise, and that fall
EXAMPLES = 3
_RECENT = 4  # a part of the weeks, the last, is held against the rest
_FLOOR = 3.0  # added to both sides of a ratio: twice nothing is nothing
_LEAST = 5  # stories, now or as expected; below that numbers say nothing
_LEAST_RATIO = 1.5
_LEAST_SURE = 2.0  # standard deviations of a count
_LEAST_SOURCES = 2  # of a word: what one source repeats is its own affair
_ONE_NAME = 0.8  # of a word's stories in which its neighbour is the same: then both are one name


@dataclass(frozen=True)
class Told:
    """An entry that told a story: when it was decided about, and what it said."""

    at: datetime
    title: str
    source: str
    story: int
    topic: str
    url: str = ""
    rank: float = 0.0


@dataclass(frozen=True)
class Example:
    """A story as an example: its number, its title, where it leads."""

    id: int
    title: str
    url: str


@dataclass(frozen=True)
class Trend:
    """How often something is told now and was before: numbers of stories (of a source: of what it told), shares of all.

    `ratio` is what there is to what its past would give, with 3 added to both.
    """

    kind: str  # "word", "topic" or "source"
    name: str
    recent: int
    past: int
    share: float
    past_share: float
    ratio: float
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Trends:
    """What rises and what falls, the surest first: stories from `begun` on, the later (`since`) against the others."""

    begun: datetime | None
    since: datetime
    until: datetime
    recent: int = 0  # stories
    past: int = 0
    rising: tuple[Trend, ...] = ()
    falling: tuple[Trend, ...] = ()


@dataclass
class _Count:
    """Of one thing: in which stories it is, now and before, and who tells of it."""

    recent: dict[int, Told] = field(default_factory=dict)
    past: dict[int, Told] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    beside: set[str] = field(default_factory=set)  # keys of the pairs that a word is in

    def pairs(self, counts: Mapping[tuple[str, str], _Count]) -> list[_Count]:
        return [counts["word", key] for key in self.beside]

    def add(self, key: int, told: Told, name: str, *, recent: bool) -> None:
        (self.recent if recent else self.past).setdefault(key, told)
        self.sources.add(told.source)
        self.names[name] += 1


def trends(told: Iterable[Told], titles: Mapping[str, str], *, now: datetime, weeks: int) -> Trends:
    """What rises and falls among what was told in the last `weeks`; `titles` are the topics' by their slugs.

    The last quarter of the weeks, one at least, is held against those before. A story counts once, when it was first
    told; of a source all that it told counts.
    """
    begin, since = now - timedelta(weeks=weeks), now - timedelta(weeks=max(1, weeks // _RECENT))
    within = sorted((t for t in told if begin <= t.at <= now), key=lambda t: (t.at, t.story))
    counts, firsts = _counted(within, titles, since)
    recent = sum(one.at >= since for one in firsts.values())
    stories, tellings = (recent, len(firsts) - recent), Counter(one.at >= since for one in within)
    of = {"word": stories, "topic": stories, "source": (tellings[True], tellings[False])}
    found = []
    for (kind, key), count in counts.items() if stories[1] else ():
        if kind == "word" and (len(count.sources) < _LEAST_SOURCES or _within_a_name(key, count, counts)):
            continue
        if trend := _trend(kind, count, *of[kind]):
            found.append((_surplus(count, *of[kind]), trend))
    found.sort(key=lambda pair: (-abs(pair[0]), pair[1].kind, pair[1].name))
    rising, falling = ([trend for sure, trend in found if sure * sign > 0] for sign in (1, -1))
    return Trends(within[0].at if within else None, since, now, *stories, _most(rising), _most(falling))


def _counted(
    within: Iterable[Told], titles: Mapping[str, str], since: datetime
) -> tuple[dict[tuple[str, str], _Count], dict[int, Told]]:
    """By kind and key; and the first telling of each story, the earliest telling first."""
    counts: dict[tuple[str, str], _Count] = defaultdict(_Count)
    firsts: dict[int, Told] = {}
    for number, one in enumerate(within):
        counts["source", one.source].add(number, one, one.source, recent=one.at >= since)
        first = firsts.setdefault(one.story, one)
        recent = first.at >= since
        counts["topic", one.topic].add(one.story, first, titles.get(one.topic, one.topic), recent=recent)
        for key, name in _named(one.title):
            for word in key.split() if " " in key else ():
                counts["word", word].beside.add(key)
            counts["word", key].add(one.story, replace(first, source=one.source), name, recent=recent)
    return counts, firsts


def _named(title: str) -> Iterator[tuple[str, str]]:
    """The telling words of a title, and its pairs of neighbours among them, each by a key and as it stands there."""
    said = [(telling(plain(word)), _as_it_stands(word, title)) for word in words(title)]
    yield from {key: name for key, name in said if key and not key.isdigit()}.items()
    for (a, one), (b, two) in pairwise(said):
        if a and b and not unspaced(a) and not unspaced(b):
            yield f"{a} {b}", f"{one} {two}"


def _as_it_stands(word: str, title: str) -> str:
    at = title.casefold().find(word)
    return title[at : at + len(word)] if at >= 0 and len(title) == len(title.casefold()) else word


def _within_a_name(key: str, count: _Count, counts: Mapping[tuple[str, str], _Count]) -> bool:
    """Whether a word nearly always stands beside the same other, or a pair does not: then the other of them is told."""
    if " " in key:
        return not any(_always(counts["word", word], count) for word in key.split())
    return any(_always(count, pair) for pair in count.pairs(counts))


def _always(word: _Count, pair: _Count) -> bool:
    both = len(pair.recent) + len(pair.past)
    return both >= _LEAST and both >= _ONE_NAME * (len(word.recent) + len(word.past))


def _surplus(count: _Count, recent: int, past: int) -> float:
    """By how many standard deviations there is more than its past would give."""
    expected = len(count.past) * recent / past
    return (len(count.recent) - expected) / math.sqrt(expected + 1)


def _trend(kind: str, count: _Count, recent: int, past: int) -> Trend | None:
    """None where nothing rises or falls that one could be sure of."""
    now, expected = len(count.recent), len(count.past) * recent / past
    ratio = (now + _FLOOR) / (expected + _FLOOR)
    moved = ratio >= _LEAST_RATIO or ratio <= 1 / _LEAST_RATIO
    if not moved or max(now, expected) < _LEAST or abs(_surplus(count, recent, past)) < _LEAST_SURE:
        return None
    told = sorted((count.recent if ratio > 1 else count.past).values(), key=lambda t: (-t.rank, -t.story))
    examples = list({one.story: Example(one.story, one.title, one.url) for one in told}.values())[:EXAMPLES]
    name = min(count.names, key=lambda name: (-count.names[name], name))
    share, past_share = round(now / recent, 4) if recent else 0.0, round(len(count.past) / past, 4)
    return Trend(kind, name, now, len(count.past), share, past_share, round(ratio, 2), tuple(examples))


def _most(found: Iterable[Trend]) -> tuple[Trend, ...]:
    """So many of each kind."""
    kinds: Counter[str] = Counter()
    kept = []
    for trend in found:
        kinds[trend.kind] += 1
        if kinds[trend.kind] <= SHOWN:
            kept.append(trend)
    return tuple(kept)
