"""The same news told by several sources: found by its link, else by its title."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice, product
from typing import TypeVar

from digest.curate import headlines, sketches
from digest.curate.headlines import Marks, Title
from digest.curate.stems import Spellings
from digest.curate.urls import bare, site

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

# Where people link to what others wrote: an address there says nothing about who wrote it.
AGGREGATORS = frozenset(
    """
    news.ycombinator.com lobste.rs reddit.com tildes.net lemmy.ml lemmy.world programming.dev slashdot.org
    barrapunto.com hackernoon.com/tagged echojs.com lamernews.com techmeme.com memeorandum.com x.com t.co
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Telling:
    """One entry as far as it tells whether it is the same news as another.

    `links` are normalised; `place` is the site that wrote it, "" where only an aggregator's page is known.
    `links_tell` is false where the entries of its feed have one link and are different all the same: a status page.
    `text` is what it says, or the beginning of that.
    """

    id: Hashable
    title: str
    links: tuple[str, ...]
    feed: Hashable
    when: datetime
    links_tell: bool = True
    text: str = ""
    author: str = ""

    @cached_property
    def place(self) -> str:
        for link in self.links:
            found = site(link)
            if found and found.partition("/")[0] not in AGGREGATORS:
                return found
        return ""


@dataclass(frozen=True)
class Join:
    """Two tellings joined (or only related), and why in words."""

    one: Hashable
    two: Hashable
    why: str
    alike: float = 1.0


@dataclass(frozen=True)
class Grouping:
    """Tellings by story: `groups` in order of their first members, the joins that made them, and who is related."""

    groups: tuple[tuple[Hashable, ...], ...]
    joins: tuple[Join, ...]
    related: tuple[Join, ...]


def group(tellings: Sequence[Telling], *, settled: int = 0, bound: Bound = BOUND) -> Grouping:
    """Join the tellings of the same news.

    The first `settled` of them were grouped before: they are joined by those that come after, and among
    themselves they are left alone.
    """
    pairs = _Pairs(tellings, bound)
    clusters = _Clusters([title.marks for title in pairs.titles])
    joins = _by_link(pairs, clusters, settled)
    likely, related = _likely(pairs, clusters, settled)
    joins += _joined(pairs, clusters, likely)
    groups: dict[int, list[Hashable]] = {}
    for i, telling in enumerate(tellings):
        groups.setdefault(clusters.root(i), []).append(telling.id)
    return Grouping(tuple(tuple(ids) for ids in groups.values()), tuple(joins), tuple(related))


class _Clusters:
    """Union by root, with the members of each, and the different marks of their titles."""

    def __init__(self, marks: Sequence[Marks]) -> None:
        self._root = list(range(len(marks)))
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
        return self._marks.get(root) or {self._own[root]}

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
        self._once = math.log(total / (1 + _PRIOR * _RARE_SHARE))
        stops = {stem: seen.get(stem, 1) for stem in headlines.STOP_STEMS}
        super().__init__(
            (feature, math.log(total / (n + _PRIOR * (_STOP_SHARE if feature in stops else _RARE_SHARE))))
            for feature, n in {**seen, **stops}.items()
        )

    def __missing__(self, _feature: str) -> float:
        return self._once


def _seen(titles: Sequence[Title]) -> Counter[str]:
    """In how many titles each word and each two neighbouring ones are, where they are in more than one."""
    words = _several(Counter(stem for title in titles for stem in title.stems))
    # Two neighbours that are there again are two words that are.
    pairs = Counter(pair for title in titles for pair in title.pairs(words))
    return words + _several(pairs)


def _several(seen: Counter[_T]) -> Counter[_T]:
    return Counter({one: n for one, n in seen.items() if n > 1})


class _Pairs:
    """What is known of each telling, and how alike two of them are."""

    def __init__(self, tellings: Sequence[Telling], bound: Bound) -> None:
        self.tellings, self.bound = tellings, bound
        spellings = Spellings(telling.title for telling in tellings)
        read = [headlines.read(telling.title, spellings, place=telling.place) for telling in tellings]
        self.titles = headlines.joined(read)
        self.texts = [sketches.of(telling.text) for telling in tellings]
        self._seen = seen = _seen(self.titles)
        self._words = [(title.stems, title.telling, title.words[:1]) for title in self.titles]
        # `fsum`, since sets come in another order in each process, and a sum must not: the same news, the same edition.
        self.idf = _Rarity(seen, len(tellings) + _PRIOR)
        self._lengths: dict[int, float] = {}
        self._weight = [math.fsum(map(self.idf.__getitem__, t.stems)) or 1.0 for t in self.titles]
        self._common = [  # of this, what words have that are in many titles
            math.fsum(self.idf[stem] for stem in t.stems if seen[stem] > _COMMON) for t in self.titles
        ]
        self.places = [telling.place for telling in tellings]
        self._days = [telling.when.timestamp() / 86_400 for telling in tellings]
        moments = sorted(telling.when for telling in tellings)
        self._strict = [
            _strictness(bisect_right(moments, t.when + WINDOW / 2) - bisect_left(moments, t.when - WINDOW / 2))
            for t in tellings
        ]

    def candidates(self, settled: int) -> Iterator[tuple[int, list[int], set[int]]]:
        """Each telling that is not settled, with those before it that may be alike, and which of them by their text."""
        saying: dict[str, list[int]] = defaultdict(list)
        marked: dict[int, list[int]] = defaultdict(list)
        most, days = WINDOW / timedelta(days=1), self._days
        copied = _several(Counter(mark for text in self.texts for mark in text[: sketches.FINDING]))
        for i, (title, text) in enumerate(zip(self.titles, self.texts, strict=True)):
            rare = sorted(stem for stem in title.stems if 0 < self._seen[stem] <= _COMMON)  # what others have, too
            marks = [mark for mark in text[: sketches.FINDING] if mark in copied]
            if i >= settled:
                known: dict[int, float] = defaultdict(float)
                for stem in rare:
                    worth = self.idf[stem]
                    for j in saying[stem]:
                        known[j] += worth
                first, last = days[i] - most, days[i] + most
                by_text = {j for mark in marks for j in marked[mark][-_COMMON:] if first <= days[j] <= last}
                by_title = [j for j in self._may_do(i, known) if first <= days[j] <= last]
                if len(by_title) > _NEAREST:
                    by_title = heapq.nsmallest(_NEAREST, by_title, key=lambda j: (-known[j], j))
                yield i, sorted({*by_title, *by_text}), by_text
            for stem in rare:
                saying[stem].append(i)
            for mark in marks:
                marked[mark].append(i)

    def _may_do(self, i: int, rare: Mapping[int, float]) -> list[int]:
        """Which titles can be alike this one, that share rare words of so much with it, whatever commoner ones too."""
        common, weight = self._common, self._weight
        mine, whole = common[i], LEAST_CONTAINED * weight[i]
        return [
            j
            for j, known in rare.items()
            if known + (mine if mine < common[j] else common[j]) >= min(whole, LEAST_CONTAINED * weight[j])
        ]

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
        """By how much two titles are more alike than they must be; negative for less."""
        (stems, telling, first), (others, others_telling, others_first) = self._words[i], self._words[j]
        told = len(telling & others_telling)
        if not told and not headlines.equal(self.titles[i], self.titles[j]):
            return -math.inf
        bound = self.bound
        shared = stems & others
        known = math.fsum(map(self.idf.__getitem__, shared))
        weight, other_weight = self._weight[i], self._weight[j]
        said = (
            bound.contained * known / (weight if weight < other_weight else other_weight)
            + bound.known * (known if known < bound.most_known else bound.most_known)
            - bound.shared * len(shared)
            + bound.telling * told
            - bound.day * abs(self._days[i] - self._days[j])
            - bound.busy * self._strict[i]
        )
        if first == others_first:
            said += bound.first
        if self.places[i] and self.places[j]:
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


def _by_link(pairs: _Pairs, clusters: _Clusters, settled: int) -> list[Join]:
    tellers: dict[str, list[int]] = defaultdict(list)
    for i, telling in enumerate(pairs.tellings):
        for link in dict.fromkeys(telling.links):
            tellers[link].append(i)
    joins = []
    for link, found in tellers.items():
        first = found[0]
        one, title = pairs.tellings[first], pairs.titles[first]
        for i in found[1:]:
            if i < settled:
                continue
            two, other = pairs.tellings[i], pairs.titles[i]
            # A front page, or one page that a feed links from several entries, is nobody's identity.
            if one.feed == two.feed and (title.words != other.words or bare(link) or not two.links_tell):
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


def _likely(pairs: _Pairs, clusters: _Clusters, settled: int) -> tuple[list[_Likely], list[Join]]:
    """Pairs that tell the same, as far as only these two are looked at; and those that are related."""
    likely: list[_Likely] = []
    related: list[Join] = []
    for i, candidates, by_text in pairs.candidates(settled):
        root, two, other = clusters.root(i), pairs.tellings[i], pairs.titles[i]
        for j in candidates:
            if root == clusters.root(j):
                continue
            surplus = pairs.surplus(i, j)
            copied = _copied(pairs, i, j) if j in by_text else 0.0
            title, near, why = pairs.titles[j], surplus >= -FAR, ""
            if title.release and headlines.same_release(title, other):
                surplus, why = max(surplus, 1.0), f"one release: {' '.join(title.release)}"
            elif copied:
                surplus, why = max(surplus, 4.0), f"text {copied:.2f} the same"
            elif not near:
                continue  # most of them
            cosine = pairs.cosine(i, j) if near else 0.0
            one = pairs.tellings[j]
            if surplus >= 0 and not _conflict(one, title, two, other, copied=bool(copied)):
                likely.append(_Likely(j, i, cosine, surplus, why))
            elif cosine >= RELATED:
                related.append(Join(one.id, two.id, why or pairs.alike(j, i, cosine), cosine))
    return likely, related


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
    text, other = pairs.texts[i], pairs.texts[j]
    if not text or not other or pairs.tellings[i].feed == pairs.tellings[j].feed:
        return 0.0
    if pairs.places[i] and pairs.places[i] == pairs.places[j]:
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


def _conflict(one: Telling, title: Title, two: Telling, other: Title, *, copied: bool) -> bool:
    """Whether two alike titles are two stories all the same."""
    if headlines.conflict(title.marks, other.marks) or headlines.other_release(title, other):
        return True
    equal = headlines.equal(title, other)
    here, there = one.place, two.place
    if one.feed == two.feed and equal and (not one.links_tell or abs(one.when - two.when) >= REPOSTED):
        return True  # one feed has two entries of one title: a series, or a mended one posted anew
    if here and here == there:
        # One site does not tell its own news twice: alike titles are a series.
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


def _one_page(one: Telling, two: Telling) -> bool:
    """Whether their addresses differ in what stands behind the path only."""
    return not {link.partition("?")[0] for link in one.links}.isdisjoint(link.partition("?")[0] for link in two.links)
