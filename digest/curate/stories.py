"""The same news told by several sources: found by its link, else by its title."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from digest.curate.stems import Spellings
from digest.curate.urls import bare, site
from digest.curate.words import bigrams, parted, words

WINDOW = timedelta(days=7)  # between two tellings that only their titles join
# Titles tell the same from this cosine on; or where so much of the shorter is in the longer, with three words
# shared that are telling. The more is told in a week, the likelier are two titles alike by chance ("Getting
# started with …"), so each bound lies between that of a quiet week and that of a busy one.
REPOSTED = timedelta(hours=1)  # within which a feed posts the same anew; later it is the next of a series
QUIET, BUSY = 40, 1000  # tellings within the window
ALIKE = (0.38, 0.50)
CONTAINED = (0.50, 0.85)
CONTAINED_IDF = 11.0
RELATED = 0.35  # cosine from which they are worth naming together
LEAST_SHARED = 2  # words
LEAST_IDF = 8.0  # of the words shared: two rare ones, or several common ones
_COMMON = 60  # titles; a word in more of them finds no candidates, it only adds to the likeness
# A small set is taken to stand beside so many titles, in which a word has these shares: rarity means something there.
_PRIOR = 500
_STOP_SHARE = 0.03
_RARE_SHARE = 0.0005

# Where people link to what others wrote: an address there says nothing about who wrote it.
AGGREGATORS = frozenset(
    """
    news.ycombinator.com lobste.rs reddit.com tildes.net lemmy.ml lemmy.world programming.dev slashdot.org
    barrapunto.com hackernoon.com/tagged echojs.com lamernews.com techmeme.com memeorandum.com x.com t.co
    """.split()  # noqa: SIM905
)
_STOP = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing
    don't for from get getting got had has have having he her here his how i if in into is isn't it its just let
    let's make makes making me more most my new no not now of off on one only or our out over own really she should
    so some such than that the their them then there these they this those to too up us use used uses using very
    via vs was we were what what's when where which while who why will with without would you your
    der die das und ist ein eine von mit für auf den dem zu im nicht le la les des un une et est pour dans sur avec
    el los las en que por para con del una y
    show ask hn tell pdf video blog post
    """.split()  # noqa: SIM905
)
_MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905
_MONTH = re.compile(
    r"\b(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?(?=\s+\d|\s*,|\s*$|\s+(?:report|update|status|news|issue|in)\b)",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:\b(?:part|pt|episode|ep|chapter|vol|volume|issue|day|week|lesson|step|no|session|round)\.?\s*|#)"
    r"(\d+|[ivx]+|one|two|three|four|five|six|seven|eight|nine|ten)\b|\((\d{1,2})/\d{1,2}\)",
    re.IGNORECASE,
)
_ORDINALS = {
    name: n
    for n, names in enumerate(("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th"), 1)
    for name in names.split()
}
_WRITTEN = {
    name: str(n)
    for n, name in enumerate("one two three four five six seven eight nine ten".split(), 1)  # noqa: SIM905
} | {name: str(n) for n, name in enumerate("i ii iii iv v vi vii viii ix x".split(), 1)}  # noqa: SIM905
_NUMBER = re.compile(r"(?<![\w.])v?(\d+(?:[.,]\d+)*)(?:[a-z%]{0,3}\d*)?(?!\w)", re.IGNORECASE)
_ANSWER = re.compile(r"^\s*re\s*:|\b(?:reply|response|rebuttal|reaction|answer|follow-?up)\b", re.IGNORECASE)
_TAIL = re.compile(
    r"(?<!\s)\s*+(?:\[(?:pdf|video|audio|\d{4}|[a-z ]{3,12})\]|\((?:pdf|video|\d{4})\))\s*+$", re.IGNORECASE
)


def _stem(word: str) -> str:
    """Without the endings by which two headlines of one story differ: announces, announced, announcing."""
    for ending in ("ing", "ed", "es", "s", "er", "ion", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


_STOP_STEMS = frozenset(map(_stem, _STOP))


@dataclass(frozen=True)
class Telling:
    """One entry as far as it tells whether it is the same news as another.

    `links` are normalised; `place` is the site that wrote it, "" where only an aggregator's page is known.
    `links_tell` is false where the entries of its feed have one link and are different all the same: a status page.
    """

    id: Hashable
    title: str
    links: tuple[str, ...]
    feed: Hashable
    when: datetime
    links_tell: bool = True

    @property
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


@dataclass(frozen=True)
class _Marks:
    """What two titles of one story must not differ in."""

    parts: frozenset[str]
    months: frozenset[int]
    years: frozenset[str]
    numbers: frozenset[str]
    ordinals: frozenset[int]
    answer: bool


@dataclass(frozen=True)
class _Title:
    words: tuple[str, ...]
    stems: frozenset[str]
    informative: frozenset[str]
    features: frozenset[str]
    marks: _Marks


def group(tellings: Sequence[Telling], *, settled: int = 0) -> Grouping:
    """Join the tellings of the same news.

    The first `settled` of them were grouped before: they are joined by those that come after, and among
    themselves they are left alone.
    """
    spellings = Spellings(telling.title for telling in tellings)
    titles = [_title(telling.title, spellings) for telling in tellings]
    clusters = _Clusters(len(tellings))
    joins: list[Join] = []
    _by_link(tellings, titles, clusters, joins, settled)
    related = _by_title(tellings, titles, clusters, joins, settled)
    groups: dict[int, list[Hashable]] = {}
    for i, telling in enumerate(tellings):
        groups.setdefault(clusters.root(i), []).append(telling.id)
    return Grouping(tuple(tuple(ids) for ids in groups.values()), tuple(joins), tuple(related))


class _Clusters:
    """Union by root, with the members of each."""

    def __init__(self, size: int) -> None:
        self._root = list(range(size))
        self._members = {i: [i] for i in range(size)}

    def root(self, i: int) -> int:
        return self._root[i]

    def members(self, i: int) -> list[int]:
        return self._members[self._root[i]]

    def join(self, i: int, j: int) -> None:
        keep, gone = sorted((self._root[i], self._root[j]))
        if keep == gone:
            return
        for member in self._members.pop(gone):
            self._root[member] = keep
            self._members[keep].append(member)


def _by_link(
    tellings: Sequence[Telling], titles: Sequence[_Title], clusters: _Clusters, joins: list[Join], settled: int
) -> None:
    tellers: dict[str, list[int]] = defaultdict(list)
    for i, telling in enumerate(tellings):
        for link in dict.fromkeys(telling.links):
            tellers[link].append(i)
    for link, found in tellers.items():
        first = found[0]
        for i in found[1:]:
            if i < settled:
                continue
            # A front page, or one page that a feed links from several entries, is nobody's identity.
            same_feed = tellings[i].feed == tellings[first].feed
            if same_feed and (titles[i].words != titles[first].words or bare(link) or not tellings[i].links_tell):
                continue
            if bare(link) and not titles[i].informative & titles[first].informative:
                continue
            if clusters.root(i) != clusters.root(first):
                clusters.join(first, i)
                joins.append(Join(tellings[first].id, tellings[i].id, "same link"))


def _by_title(
    tellings: Sequence[Telling],
    titles: Sequence[_Title],
    clusters: _Clusters,
    joins: list[Join],
    settled: int,
) -> list[Join]:
    seen = Counter(feature for title in titles for feature in title.features)
    total = len(titles)
    idf = {
        feature: math.log((total + _PRIOR) / (n + _PRIOR * (_STOP_SHARE if feature in _STOP_STEMS else _RARE_SHARE)))
        for feature, n in seen.items()
    }
    postings: dict[str, list[int]] = defaultdict(list)
    # `fsum`, since sets come in another order in each process, and a sum must not: the same news, the same edition.
    length = [math.sqrt(math.fsum(idf[f] ** 2 for f in title.features)) or 1.0 for title in titles]
    weight = [math.fsum(idf[stem] for stem in title.stems) or 1.0 for title in titles]
    moments = sorted(telling.when for telling in tellings)
    neighbours = [
        bisect_right(moments, telling.when + WINDOW / 2) - bisect_left(moments, telling.when - WINDOW / 2)
        for telling in tellings
    ]
    for i, title in enumerate(titles):
        for word in title.stems:
            postings[word].append(i)
    likely: list[tuple[float, int, int, str]] = []
    related: list[Join] = []
    for i, title in enumerate(titles[settled:], settled):
        candidates = Counter(
            j for word in title.stems if len(postings[word]) <= _COMMON for j in postings[word] if j < i
        )
        for j in sorted(candidates):
            if clusters.root(i) == clusters.root(j) or abs(tellings[i].when - tellings[j].when) > WINDOW:
                continue
            other = titles[j]
            shared = title.stems & other.stems
            known = math.fsum(idf[stem] for stem in shared)
            if len(shared) < LEAST_SHARED or known < LEAST_IDF:
                continue
            common = math.fsum(idf[f] ** 2 for f in title.features & other.features)
            cosine = common / (length[i] * length[j])
            contained = known / min(weight[i], weight[j])
            strict = _strictness(neighbours[i])
            same = cosine >= _between(ALIKE, strict) or (
                contained >= _between(CONTAINED, strict) and len(shared) >= 3 and known >= CONTAINED_IDF
            )
            why = ", ".join(sorted(shared, key=lambda word: (-idf[word], word))[:5])
            if same and not _conflict(tellings[i], title, tellings[j], other):
                likely.append((cosine, j, i, f"title {cosine:.2f} alike: {why}"))
            elif cosine >= RELATED:
                related.append(Join(tellings[j].id, tellings[i].id, f"title {cosine:.2f} alike: {why}", cosine))
    # The likeliest first, and nobody joins a group one of whose members contradicts.
    for cosine, j, i, why in sorted(likely, key=lambda found: -found[0]):
        if clusters.root(i) == clusters.root(j):
            continue
        if any(
            _marks_conflict(titles[a].marks, titles[b].marks)
            for a, b in product(clusters.members(i), clusters.members(j))
        ):
            continue
        clusters.join(j, i)
        joins.append(Join(tellings[j].id, tellings[i].id, why, cosine))
    return related


def _strictness(neighbours: int) -> float:
    """0 in a quiet week, 1 in a busy one, and between them by the logarithm."""
    return min(1.0, max(0.0, math.log(max(1, neighbours) / QUIET) / math.log(BUSY / QUIET)))


def _between(bounds: tuple[float, float], strict: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * strict


def _conflict(one: Telling, title: _Title, two: Telling, other: _Title) -> bool:
    """Whether two alike titles are two stories all the same."""
    if _marks_conflict(title.marks, other.marks):
        return True
    equal = title.words == other.words
    here, there = one.place, two.place
    if one.feed == two.feed and equal and (not one.links_tell or abs(one.when - two.when) >= REPOSTED):
        return True  # one feed has two entries of one title: a series, or a mended one posted anew
    if here and here == there:
        # One site does not tell its own news twice: alike titles are a series.
        return not equal
    # "Weekly links" of one site is not that of another, nor this week's the last's; but where an
    # aggregator hides the site, two posts with one short title most likely point at the same thing.
    apart = bool(here and there) or one.feed == two.feed
    return apart and equal and len(title.informative) <= LEAST_SHARED


def _marks_conflict(a: _Marks, b: _Marks) -> bool:
    # The first part is often announced without its number.
    if a.answer != b.answer or (a.parts != b.parts and {*a.parts} ^ {*b.parts} != {"1"}):
        return True
    if any(x and y and not x & y for x, y in ((a.months, b.months), (a.years, b.years), (a.ordinals, b.ordinals))):
        return True
    left = {n for n in a.numbers if not any(_agree(n, m) for m in b.numbers)}
    right = {n for n in b.numbers if not any(_agree(n, m) for m in a.numbers)}
    return bool(left and right)


def _agree(one: str, two: str) -> bool:
    """8 and 8.0 and 8.0.0 may be one version, 8.0 and 8.1 are not."""
    a, b = one.split("."), two.split(".")
    short = min(len(a), len(b))
    return a[:short] == b[:short] and all(part == "0" for part in (*a[short:], *b[short:]))


def _title(text: str, spellings: Spellings) -> _Title:
    text = _TAIL.sub("", unicodedata.normalize("NFKC", text))
    found = tuple(spellings.of(words(text)))
    informative = frozenset(word for word in found if word not in _STOP and (len(word) > 1 or word.isdigit()))
    stems = [_stem(word) for word in found]
    return _Title(
        found, frozenset(stems), informative, frozenset(stems) | frozenset(bigrams(stems)), _marks(parted(text))
    )


def _marks(text: str) -> _Marks:
    parts = frozenset(
        _WRITTEN.get(found.lower(), found.lower()) for pair in _PART.findall(text) for found in pair if found
    )
    months = frozenset(_MONTHS[found[:3].lower()] for found in _MONTH.findall(text))
    numbers = {found.replace(",", "") for found in _NUMBER.findall(text)}
    years = frozenset(n for n in numbers if re.fullmatch(r"(?:19|20)\d\d", n))
    ordinals = frozenset(_ORDINALS[word] for word in words(text) if word in _ORDINALS)
    return _Marks(parts, months, years, frozenset(numbers - years - parts), ordinals, bool(_ANSWER.search(text)))
