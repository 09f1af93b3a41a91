"""The same news told by several sources: found by its link, else by its title."""

from __future__ import annotations

import heapq
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain, islice, pairwise, product
from operator import add
from typing import NamedTuple, TypeVar

from digest.curate import headlines, sketches
from digest.curate.headlines import Marks, Title
from digest.curate.stems import Spellings
from digest.curate.tellings import Telling, Tellings
from digest.curate.urls import bare
from digest.curate.words import of_lines
from digest.dataclass import dataclass

_T = TypeVar("_T")

# Between two tellings that only their titles join. A week, and a day: who tells weekly is not punctual to the hour.
WINDOW = timedelta(days=8)
REPOSTED = timedelta(hours=1)  # within which a feed posts the same anew; later it is the next of a series
RELATED = 0.35  # cosine from which they are worth naming together
LEAST_SHARED = 2  # telling words of two titles whose writers are known
LEAST_CONTAINED = 0.4  # of the shorter title, by rarity: with less nothing else makes two alike
_COMMON = 60  # titles; a word in more of them finds no candidates, it only adds to the likeness
_NEAREST = 20  # candidates of one title that are looked at, those first that share the rarest
# A small set is taken to stand beside so many titles, in which a word has these shares: rarity means something there.
_PRIOR = 500
_STOP_SHARE = 0.03
_RARE_SHARE = 0.0005
QUIET, BUSY = 100, 1000  # tellings within the window


@dataclass(frozen=True)
class Bound:
    """How alike two titles must be to tell the same: a logistic fit on labelled pairs, rounded.

    contained  for the part of the shorter title that is in the longer, 0 to 1
    known      for the rarity (idf) of the words that they share, up to `most_known`
    shared     taken off for each word that they share, as many are little words
    telling    for each that is none
    first      for the same word at the front
    writers    taken off where both writers are known: they chose their titles alone, an aggregator's posters did not
    day        taken off for each day between them
    busy       taken off in a week of 1,000 tellings, and less below: the more is told, the likelier two are by chance
    """

    contained: float = 5.0
    known: float = 0.09
    most_known: float = 40.0
    shared: float = 0.31
    telling: float = 0.5
    first: float = 0.65
    writers: float = 2.4
    day: float = 0.5
    busy: float = 1.0
    least: float = 2.55


BOUND = Bound()
CLOSE = -0.5  # what the pairs between two groups must have over the bound on average
FAR = 4.0  # no pair counts for more than that, for or against
MOST_PAIRS = 64  # of two groups that are looked at


@dataclass(frozen=True)
class Join:
    """Two tellings joined (or only related), and why in words."""

    one: Hashable
    two: Hashable
    why: str
    alike: float = 1.0


@dataclass(frozen=True)
class Grouping:
    """Tellings by story: `groups` in order of their first members, the joins that made them, and who is related.

    What was settled and is joined by nothing new is in no group.
    """

    groups: tuple[tuple[Hashable, ...], ...]
    joins: tuple[Join, ...]
    related: tuple[Join, ...]


def group(tellings: Sequence[Telling] | Tellings, *, settled: int = 0, bound: Bound = BOUND) -> Grouping:
    """Join the tellings of the same news.

    The first `settled` of them were grouped before: they are joined by those that come after, and among
    themselves they are left alone.
    """
    if not isinstance(tellings, Tellings):
        tellings = Tellings.of(tellings)
    pairs = _Pairs(tellings, settled, bound)
    clusters = _Clusters(len(tellings), lambda i: pairs.titles[i].marks)
    joins = _by_link(pairs, clusters)
    likely, related = _likely(pairs, clusters)
    joins += _joined(pairs, clusters, likely)
    first = sorted({clusters.root(i) for i in range(settled, len(tellings))})
    groups = (tuple(tellings[i].id for i in sorted(clusters.members(root))) for root in first)
    return Grouping(tuple(groups), tuple(joins), tuple(related))


class _Clusters:
    """Union by root, with the members of each, and the different marks of their titles."""

    def __init__(self, number: int, marks: Callable[[int], Marks]) -> None:
        self._root = list(range(number))
        self._own = marks
        # Of those only that have more than one member: most stay by themselves, and thousands are in memory.
        self._members: dict[int, list[int]] = {}
        self._marks: dict[int, set[Marks]] = {}

    def root(self, i: int) -> int:
        return self._root[i]

    def members(self, i: int) -> list[int]:
        root = self._root[i]
        return self._members.get(root) or [root]

    def marks(self, i: int) -> set[Marks]:
        root = self._root[i]
        return self._marks.get(root) or {self._own(root)}

    def join(self, i: int, j: int) -> None:
        keep, gone = sorted((self._root[i], self._root[j]))
        if keep == gone:
            return
        self._marks[keep] = self.marks(keep) | self.marks(gone)
        self._marks.pop(gone, None)
        members = self._members.setdefault(keep, [keep])
        for member in self._members.pop(gone, [gone]):
            self._root[member] = keep
            members.append(member)


class _Rarity(dict[str, float]):
    """How much it tells that two titles share a word or two neighbouring ones (idf).

    Kept for those that are in several of `total` titles: what is in one, as most are, is as rare as all of these.
    """

    def __init__(self, seen: Mapping[str, int], total: int) -> None:
        self._total = total
        self._once = self._worth(1)
        super().__init__()
        self.add(seen)
        self.update((stem, self._worth(seen.get(stem, 1), _STOP_SHARE)) for stem in headlines.STOP_STEMS)

    def add(self, seen: Mapping[str, int]) -> None:
        self.update((feature, self._worth(n)) for feature, n in seen.items())

    def _worth(self, n: int, share: float = _RARE_SHARE) -> float:
        return math.log(self._total / (n + _PRIOR * share))

    def __missing__(self, _feature: str) -> float:
        return self._once


def _several(seen: Counter[_T]) -> Counter[_T]:
    return Counter({one: n for one, n in seen.items() if n > 1})


class _Titles:
    """The titles of tellings by their places. Of all there are the words; taken apart are those that are asked for."""

    def __init__(self, tellings: Tellings) -> None:
        self._tellings = tellings
        self._read: dict[int, Title] = {}
        # How words are spelled is known when those are taken that have marks.
        others = {
            i: headlines.taken(title, partial(tellings.place, i))
            for i, title in enumerate(tellings.titles)
            if not headlines.as_it_stands(title)
        }
        self._spellings = Spellings(word for one in others.values() for word in chain(one.words, one.rest))
        spelled = _Spelled(self._spellings)
        lines = of_lines([title for i, title in enumerate(tellings.titles) if i not in others])
        # The words of all in one list, and where those of each begin: a list for each would be as large again.
        self._words, self._at = list[str](), array("l", [0])
        words, at = self._words, self._at
        for i in range(len(tellings)):
            words += map(spelled.__getitem__, others[i].words if i in others else next(lines))
            at.append(len(words))
        once = {*spelled.values()}
        self._stem = {word: headlines.stem(word) for word in once}
        self._stems = [*map(self._stem.__getitem__, self._words)]
        self._tells = {word: self._stem[word] for word in headlines.informative(once)}
        single = {word for word in once if len(word) >= 6}
        both = enumerate(map(add, self._words, islice(self._words, 1, None)))
        written = {bisect_right(self._at, k) - 1 for k, word in both if word in single}
        self._as_one = {i: headlines.as_one(self.words(i), single) for i in sorted(written)}

    def __getitem__(self, i: int) -> Title:
        if (title := self._read.get(i)) is None:
            place = partial(self._tellings.place, i)
            title = headlines.read(self._tellings.titles[i], self._spellings, place=place)
            if both := self._as_one.get(i):
                title = replace(title, stems=title.stems | both, telling=title.telling | both)
            self._read[i] = title
        return title

    def words(self, i: int) -> list[str]:
        return self._words[self._at[i] : self._at[i + 1]]

    def in_order(self, i: int) -> list[str]:
        """The stems of one title, as they follow each other."""
        return self._stems[self._at[i] : self._at[i + 1]]

    def stems(self, i: int) -> set[str]:
        """Those of one title, as when it is taken apart; and so are those below."""
        found = {*self._stems[self._at[i] : self._at[i + 1]]}
        return found.union(self._as_one[i]) if i in self._as_one else found

    def shared(self, some: set[str], i: int) -> set[str]:
        """Which of these stems a title has."""
        if i in self._as_one:
            return some & self.stems(i)
        return some.intersection(self._stems[self._at[i] : self._at[i + 1]])

    def telling(self, i: int) -> set[str]:
        """The stems of what a title is about."""
        return self.told(self.stems(i), i)

    def told(self, some: set[str], i: int) -> set[str]:
        """Which of these a title is about."""
        found = some.intersection(map(self._tells.get, self._words[self._at[i] : self._at[i + 1]]))
        return found | (some & self._as_one[i]) if i in self._as_one else found

    def release(self, i: int) -> tuple[str, str] | None:
        return self[i].release if any(map(headlines.VERSION.fullmatch, self.words(i))) else None

    def equal(self, i: int, j: int) -> bool:
        return self.words(i) == self.words(j) or headlines.equal(self[i], self[j])

    def _each(self) -> Iterator[list[str]]:
        return map(self._stems.__getitem__, map(slice, self._at, islice(self._at, 1, None)))

    def seen(self) -> Counter[str]:
        """In how many titles each word is, of those that are in several."""
        found = Counter(chain.from_iterable(map(frozenset, self._each())))
        for i, both in self._as_one.items():
            found.update(both.difference(self.in_order(i)))
        return _several(found)

    def neighbours(self, wanted: set[tuple[str, str]]) -> Counter[str]:
        """The same of two neighbouring words, of some `wanted`."""
        each = map(pairwise, self._each()) if wanted else ()
        found = Counter(chain.from_iterable(map(wanted.intersection, each)))
        return Counter({f"{a} {b}": n for (a, b), n in found.items() if n > 1})


class _Spelled(dict[str, str]):
    """Words as `Spellings` has them: each is there many times, looked up once, and once in memory."""

    def __init__(self, spellings: Spellings) -> None:
        super().__init__()
        self._spellings = spellings

    def __missing__(self, word: str) -> str:
        (self[word],) = found = self._spellings.of([word])
        return found[0]


class _Pairs:
    """What is known of each telling, and how alike two of them are.

    Those that are settled may be many times as many as the others. Of each of these only what bears on the others is
    made: how often words are told, what shares a rare one, and no more of it unless it may be alike.
    """

    def __init__(self, tellings: Tellings, settled: int, bound: Bound) -> None:
        self.tellings, self.settled, self.bound = tellings, settled, bound
        self.titles = _Titles(tellings)
        self._seen = seen = self.titles.seen()
        # `fsum`, since sets come in another order in each process, and a sum must not: the same news, the same edition.
        self.idf = _Rarity(seen, len(tellings) + _PRIOR)
        self._frequent = {stem for stem, n in seen.items() if n > _COMMON}
        self._lengths: dict[int, float] = {}
        self._weights: dict[int, tuple[float, float]] = {}
        self._places: dict[int, str] = {}
        self._texts: dict[int, sketches.Sketch] = {}
        self._strictness: dict[int, float] = {}
        # Whose stems were asked for last: one is compared with many.
        self._compared = -1, set[str](), set[str](), list[str]()
        self._days = [when.timestamp() / 86_400 for when in tellings.moments]
        self._moments = sorted(self._days)

    def weight(self, i: int) -> tuple[float, float]:
        """The rarity of all words of a title; and of this, what words have that are in many titles."""
        if (found := self._weights.get(i)) is None:
            stems, rarity = self.titles.stems(i), self.idf.__getitem__
            many = math.fsum(map(rarity, stems & self._frequent))
            found = self._weights[i] = math.fsum(map(rarity, stems)) or 1.0, many
        return found

    def place(self, i: int) -> str:
        if (found := self._places.get(i)) is None:
            found = self._places[i] = self.tellings.place(i)
        return found

    def text(self, i: int) -> sketches.Sketch:
        if (found := self._texts.get(i)) is None:
            found = self._texts[i] = sketches.of(self.tellings.texts[i])
        return found

    def strict(self, i: int) -> float:
        if (found := self._strictness.get(i)) is None:
            moments, day, half = self._moments, self._days[i], WINDOW / timedelta(days=2)
            near = bisect_right(moments, day + half) - bisect_left(moments, day - half)
            found = self._strictness[i] = _strictness(near)
        return found

    def candidates(self) -> Iterator[tuple[int, list[int], set[int]]]:
        """Each telling that is not settled, with those before it that may be alike, and which of them by their text."""
        saying: dict[str, list[int]] = defaultdict(list)
        marked: dict[int, list[int]] = defaultdict(list)
        most, days = WINDOW / timedelta(days=1), self._days
        new = range(self.settled, len(days))
        # What others have, too; and of what is settled only what the others have.
        rare = {i: sorted(stem for stem in self.titles.stems(i) if 0 < self._seen[stem] <= _COMMON) for i in new}
        texts = self.tellings.texts
        marks = {i: sketches.finding(texts[i]) for i in new}
        words = set(chain.from_iterable(rare.values()))
        copied = set(chain.from_iterable(found.values() for found in marks.values()))
        earliest = min((days[i] for i in new), default=math.inf) - most
        # Those that stand before the first that any can be alike are nobody's candidates.
        first_near = next((j for j in range(self.settled) if days[j] >= earliest), self.settled)
        for j in range(first_near, self.settled):
            for stem in self.titles.shared(words, j):
                saying[stem].append(j)
            if copied and (text := texts[j]) and not copied.isdisjoint(sketches.runs(text)):
                for mark in self.text(j)[: sketches.FINDING]:
                    marked[mark].append(j)
        for i in new:
            known: dict[int, float] = defaultdict(float)
            for stem in rare[i]:
                worth = self.idf[stem]
                for j in saying[stem]:
                    known[j] += worth
            first, last = days[i] - most, days[i] + most
            by_text = {j for mark in marks[i] for j in marked[mark][-_COMMON:] if first <= days[j] <= last}
            by_title = self._may_do(i, {j: worth for j, worth in known.items() if first <= days[j] <= last})
            if len(by_title) > _NEAREST:
                by_title = heapq.nsmallest(_NEAREST, by_title, key=lambda j: (-known[j], j))
            yield i, sorted({*by_title, *by_text}), by_text
            for stem in rare[i]:
                saying[stem].append(i)
            for mark in marks[i]:
                marked[mark].append(i)

    def _may_do(self, i: int, rare: Mapping[int, float]) -> list[int]:
        """Which titles can be alike this one, that share rare words of so much with it, whatever commoner ones too."""
        weight, mine = self.weight(i)
        whole, found = LEAST_CONTAINED * weight, []
        for j, known in rare.items():
            weight, common = self.weight(j)
            if known + (mine if mine < common else common) >= min(whole, LEAST_CONTAINED * weight):
                found.append(j)
        return found

    def learn_neighbours(self, some: Iterable[int]) -> None:
        """How rare the neighbouring words of these titles are: asked for before `cosine`, and of no others."""
        seen = self._seen
        told = (pairwise(self.titles.in_order(i)) for i in some)
        self.idf.add(self.titles.neighbours({(a, b) for found in told for a, b in found if a in seen and b in seen}))

    def cosine(self, i: int, j: int) -> float:
        shared = self.titles[i].features & self.titles[j].features
        return self._squares(shared) / (self._length(i) * self._length(j))

    def _length(self, i: int) -> float:
        """As it is needed: few titles have another that is near."""
        if i not in self._lengths:
            self._lengths[i] = math.sqrt(self._squares(self.titles[i].features)) or 1.0
        return self._lengths[i]

    def _squares(self, features: Iterable[str]) -> float:
        return math.fsum(self.idf[feature] ** 2 for feature in features)

    def surplus(self, i: int, j: int) -> float:
        """By how much two titles are more alike than they must be; negative for less, inexact beyond `FAR`."""
        titles, bound = self.titles, self.bound
        if self._compared[0] != i:
            self._compared = i, titles.stems(i), titles.telling(i), titles.words(i)[:1]
        _i, stems, telling, begins = self._compared
        told = len(titles.told(telling, j))
        if not told and not titles.equal(i, j):
            return -math.inf
        shared = titles.shared(stems, j)
        known = math.fsum(map(self.idf.__getitem__, shared))
        weight, other_weight = self.weight(i)[0], self.weight(j)[0]
        said = (
            bound.contained * known / (weight if weight < other_weight else other_weight)
            + bound.known * (known if known < bound.most_known else bound.most_known)
            - bound.shared * len(shared)
            + bound.telling * told
            - bound.day * abs(self._days[i] - self._days[j])
            - bound.busy * self.strict(i)
        )
        if begins == titles.words(j)[:1]:
            said += bound.first
        if said - bound.least >= -FAR and self.place(i) and self.place(j):
            said -= bound.writers
        return said - bound.least

    def close(self, some: Sequence[int], others: Sequence[int]) -> bool:
        """Whether two groups are alike as a whole, and not by one pair of many: a chain leads anywhere."""
        if len(some) == len(others) == 1:
            return True
        found = [max(-FAR, min(FAR, self.surplus(i, j))) for i, j in islice(product(some, others), MOST_PAIRS)]
        return math.fsum(found) / len(found) >= CLOSE

    def alike(self, i: int, j: int, cosine: float) -> str:
        """Why two titles go together, in words: those that they share, the rarest first."""
        shared = sorted(self.titles[i].stems & self.titles[j].stems, key=lambda word: (-self.idf[word], word))
        return f"title {cosine:.2f} alike: {', '.join(shared[:5])}"


def _by_link(pairs: _Pairs, clusters: _Clusters) -> list[Join]:
    told = pairs.tellings
    wanted = {link for i in range(pairs.settled, len(told)) for link in told.links(i)}
    tellers: dict[str, list[int]] = defaultdict(list)
    for i in told.having(wanted):
        for link in dict.fromkeys(told.links(i)):
            tellers[link].append(i)
    joins = []
    for link, found in tellers.items():
        first = found[0]
        for i in found[1:]:
            if i < pairs.settled:
                continue
            one, title = pairs.tellings[first], pairs.titles[first]
            two, other = pairs.tellings[i], pairs.titles[i]
            # A front page, or one page that a feed links from several entries, is nobody's identity.
            tell = two.links_tell or _no_difference(one, two)
            if one.feed == two.feed and (title.words != other.words or bare(link) or not tell):
                continue
            if bare(link) and not title.informative & other.informative:
                continue
            if clusters.root(i) != clusters.root(first):
                clusters.join(first, i)
                joins.append(Join(one.id, two.id, "same link"))
    return joins


@dataclass(frozen=True)
class _Likely:
    one: int
    two: int
    alike: float
    surplus: float
    why: str  # "" where it is their titles


class _Near(NamedTuple):
    """Two tellings that are worth a closer look; `near` is whether they are by their titles."""

    one: int
    two: int
    surplus: float
    why: str
    near: bool
    copied: bool


def _likely(pairs: _Pairs, clusters: _Clusters) -> tuple[list[_Likely], list[Join]]:
    """Pairs that tell the same, as far as only these two are looked at; and those that are related."""
    found = list(_near(pairs, clusters))
    pairs.learn_neighbours({i for pair in found if pair.near for i in (pair.one, pair.two)})
    likely: list[_Likely] = []
    related: list[Join] = []
    for j, i, surplus, why, near, copied in found:
        cosine = pairs.cosine(i, j) if near else 0.0
        if surplus >= 0 and not _conflict(pairs, j, i, copied=copied):
            likely.append(_Likely(j, i, cosine, surplus, why))
        elif cosine >= RELATED:
            one, two = pairs.tellings[j], pairs.tellings[i]
            related.append(Join(one.id, two.id, why or pairs.alike(j, i, cosine), cosine))
    return likely, related


def _near(pairs: _Pairs, clusters: _Clusters) -> Iterator[_Near]:
    for i, candidates, by_text in pairs.candidates():
        root, release = clusters.root(i), pairs.titles.release(i) if candidates else None
        for j in candidates:
            if root == clusters.root(j):
                continue
            surplus = pairs.surplus(i, j)
            copied = _copied(pairs, i, j) if j in by_text else 0.0
            near, why = surplus >= -FAR, ""
            if release and headlines.same_release(pairs.titles[j], pairs.titles[i]):
                surplus, why = max(surplus, 1.0), f"one release: {' '.join(pairs.titles[j].release or ())}"
            elif copied:
                surplus, why = max(surplus, 4.0), f"text {copied:.2f} the same"
            elif not near:
                continue  # most of them
            yield _Near(j, i, surplus, why, near, bool(copied))


def _joined(pairs: _Pairs, clusters: _Clusters, likely: Sequence[_Likely]) -> list[Join]:
    """Join the likeliest first; nobody joins a group one of whose members contradicts."""
    joins = []
    apart: set[tuple[int, int, int, int]] = set()  # groups that do not go together, as long as they stay as they are
    for pair in sorted(likely, key=lambda pair: (-pair.surplus, pair.one, pair.two)):
        root, other = clusters.root(pair.one), clusters.root(pair.two)
        if root == other:
            continue
        some, others = clusters.members(root), clusters.members(other)
        key = (root, len(some), other, len(others))
        if key in apart:
            continue
        contradicts = any(headlines.conflict(a, b) for a, b in product(clusters.marks(root), clusters.marks(other)))
        if contradicts or not pairs.close(some, others):
            apart.add(key)
            continue
        if _of_other_things(pairs.tellings[pair.one], pairs.tellings[pair.two]):
            continue
        clusters.join(pair.one, pair.two)
        why = pair.why or pairs.alike(pair.one, pair.two, pair.alike)
        joins.append(Join(pairs.tellings[pair.one].id, pairs.tellings[pair.two].id, why, pair.alike))
    return joins


def _strictness(neighbours: int) -> float:
    """0 in a quiet week, 1 in a busy one, and between them by the logarithm."""
    return min(1.0, max(0.0, math.log(max(1, neighbours) / QUIET) / math.log(BUSY / QUIET)))


def _copied(pairs: _Pairs, i: int, j: int) -> float:
    """How much of two texts is the same, where it is so much that one is the other's copy; else 0.

    A feed begins several entries alike, and so does a site, unless their titles are alike as well.
    """
    text, other = pairs.text(i), pairs.text(j)
    if not text or not other or pairs.tellings[i].feed == pairs.tellings[j].feed:
        return 0.0
    if pairs.place(i) and pairs.place(i) == pairs.place(j):
        some, others = pairs.titles[i].telling, pairs.titles[j].telling
        if len(some & others) < max(2, min(len(some), len(others)) * 2 / 3):
            return 0.0
    alike = sketches.alike(text, other)
    return alike if alike >= sketches.COPIED else 0.0


def _of_other_things(one: Telling, two: Telling) -> bool:
    """Whether two long texts of different writers have nothing in common: a title that both came upon."""
    if not (one.place and two.place) or (one.author and one.author == two.author):
        return False
    return sketches.strangers(one.text, two.text)


def _conflict(pairs: _Pairs, j: int, i: int, *, copied: bool) -> bool:
    """Whether two alike titles are two stories all the same."""
    one, title, two, other = pairs.tellings[j], pairs.titles[j], pairs.tellings[i], pairs.titles[i]
    if headlines.conflict(title.marks, other.marks) or headlines.other_release(title, other):
        return True
    equal = headlines.equal(title, other)
    here, there = pairs.place(j), pairs.place(i)
    if one.feed == two.feed and equal and (not one.links_tell or abs(one.when - two.when) >= REPOSTED):
        return True  # one feed has two entries of one title: a series, or a mended one posted anew
    if (here and here == there) or (one.feed == two.feed and not (one.links or two.links)):
        # One site does not tell its own news twice: alike titles are a series. Without links the feed is the site.
        return not (equal or copied or _one_page(one, two))
    # "Weekly links" of one site is not that of another, nor this week's the last's; but where an
    # aggregator hides the site, two posts with one short title most likely point at the same thing.
    if not ((here and there) or one.feed == two.feed) or copied:
        return False
    if title.custom or other.custom:
        return True
    if headlines.same_release(title, other):
        return False
    # Two who write on one subject name it alike, and then each says something else of it.
    shared = len(title.telling & other.telling)
    each = not (title.telling <= other.telling or other.telling <= title.telling)
    return shared < LEAST_SHARED or (shared == LEAST_SHARED and (equal or each))


def _no_difference(one: Telling, two: Telling) -> bool:
    """Whether two entries of one title and link are one thing said twice at a time, as far as anybody can see."""
    return bool(one.text) and one.text == two.text and one.when == two.when


def _one_page(one: Telling, two: Telling) -> bool:
    """Whether their addresses differ in what stands behind the path only."""
    return not {link.partition("?")[0] for link in one.links}.isdisjoint(link.partition("?")[0] for link in two.links)
