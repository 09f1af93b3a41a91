"""Under which heading an entry goes, and which words said so."""

from __future__ import annotations

import heapq
import math
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from digest.config import OTHER, Topic
from digest.curate.words import bigrams, words

# A keyword in the title gives two points, in the excerpt or the address one.
KEYWORD_MARGIN = 2  # points before the second, while there are too few labels for anything finer
LEAST_LABELS = 20  # of a topic, before its words are trusted
LEAST_MARGIN = 0.25  # below it a guess is no better than none


@dataclass(frozen=True)
class Heading:
    """A topic as it is matched: what to call it, and its keywords."""

    title: str
    keywords: tuple[str, ...]


@cache
def default_headings() -> Mapping[str, Heading]:
    """The twelve topics of the package, in the order of the mail."""
    shipped = tomllib.loads((Path(__file__).parent / "topics.toml").read_text(encoding="utf-8"))
    return {slug: Heading(topic["title"], tuple(topic["keywords"])) for slug, topic in shipped.items()}


def headings(chosen: Mapping[str, Topic]) -> dict[str, Heading]:
    """The topics of a newsletter: those of its settings, filled up from ours of the same name, or else ours."""
    ours = default_headings()
    if not chosen:
        return dict(ours)
    found = {}
    for slug, topic in chosen.items():
        default = ours.get(slug, Heading(slug.replace("-", " ").replace("_", " ").capitalize(), ()))
        keywords = topic.keywords if topic.keywords is not None else default.keywords
        found[slug] = Heading(topic.title or default.title, (*keywords, *topic.more_keywords))
    return found


class Keywords:
    """Finds the keywords of all topics in one walk over the words, however many there are."""

    def __init__(self, topics: Mapping[str, Heading]) -> None:
        # By first word, longest keyword first. A first word with a `*` is kept under its stem.
        self._by_first: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        self._by_stem: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for slug, heading in topics.items():
            for keyword in heading.keywords:
                if parts := _keyword_words(keyword):
                    first = parts[0]
                    table = self._by_stem if first.endswith("*") else self._by_first
                    table.setdefault(first.rstrip("*"), []).append((parts, slug, keyword))
        self._stems = range(min(map(len, self._by_stem), default=99), max(map(len, self._by_stem), default=0) + 1)

    def find(self, found: Sequence[str]) -> dict[str, list[str]]:
        """The distinct keywords among the words `found`, by topic. A word counts for one length of keyword only."""
        hits: dict[str, dict[str, None]] = {}
        start = 0
        while start < len(found):
            longest = 1
            here: list[tuple[int, str, str]] = []
            for parts, slug, keyword in self._candidates(found[start]):
                length = len(parts)
                if length == 1 or (
                    len(found) - start >= length and all(map(_fits, parts[1:], found[start + 1 : start + length]))
                ):
                    here.append((length, slug, keyword))
                    longest = max(longest, length)
            for length, slug, keyword in here:
                if length == longest:
                    hits.setdefault(slug, {})[keyword] = None
            start += longest
        return {slug: list(names) for slug, names in hits.items()}

    def _candidates(self, word: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
        yield from self._by_first.get(word, ())
        if word.endswith("s"):
            yield from self._by_first.get(word[:-1], ())
        for end in self._stems:
            if end > len(word):
                return
            yield from self._by_stem.get(word[:end], ())


def _fits(pattern: str, word: str) -> bool:
    if pattern.endswith("*"):
        return word.startswith(pattern[:-1])
    return word == pattern or word == pattern + "s"


@cache
def _keyword_words(keyword: str) -> tuple[str, ...]:
    """A keyword's words, each with its `*` where it has one."""
    found = []
    for part in keyword.removesuffix("?").split():
        pieces = words(part.rstrip("*"))
        if pieces and part.endswith("*"):
            pieces[-1] += "*"
        found.extend(pieces)
    return tuple(found)


@dataclass(frozen=True)
class Text:
    """An entry as words: what its topic is judged by. `path` and `host` are the words of its address."""

    title: tuple[str, ...]
    excerpt: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    host: tuple[str, ...] = ()

    @classmethod
    def of(cls, title: str, excerpt: str = "", url: str = "") -> Text:
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        host = (parts.hostname or "").removeprefix("www.").replace("-", ".").split(".")[:-1]
        plain = _NOT_A_WORD.sub(" ", _ENDING.sub("", unquote(parts.path)))
        path = [w for w in words(plain) if len(w) > 1 and not w.isdigit()]
        return cls(tuple(words(title)), tuple(words(_ADDRESS.sub(" ", excerpt))), tuple(path), tuple(host))

    @cached_property
    def features(self) -> Mapping[str, float]:
        """Words and neighbours with their counts; the title counts double, neighbours in the excerpt half."""
        title = [_singular(word) for word in self.title]
        excerpt = [_singular(word) for word in self.excerpt]
        counts: dict[str, float] = {}
        for weight, found in (
            (2.0, title),
            (1.0, bigrams(title)),
            (1.0, excerpt),
            (0.5, bigrams(excerpt)),
            (1.0, [_singular(word) for word in self.path]),
            (1.0, [f"@{word}" for word in self.host]),
            # Beginnings and ends tell of words never seen: "postgrest", "dragonflybsd".
            (1.0, [f"{word[:5]}…" for word in self.title if len(word) > 5]),
            (0.5, [f"{word[:5]}…" for word in (*self.excerpt, *self.path) if len(word) > 5]),
            (0.5, [f"…{word[-3:]}" for word in (*self.title, *self.path) if len(word) > 4]),
        ):
            for feature in found:
                counts[feature] = counts.get(feature, 0.0) + weight
        return counts


_NOT_A_WORD = re.compile(r"[/_\-.+%]+")
_ADDRESS = re.compile(r"https?://\S+")
# How a page is served says nothing of what is in it.
_ENDING = re.compile(
    r"(?:/index|/url|/default)?(?:\.(?:[sx]?html?|php\d?|aspx?|jsp|cgi|xml|json))?(?:(?<!/)/++)?$", re.IGNORECASE
)


@dataclass(frozen=True)
class Label:
    """An entry whose topic is known. `site` keeps what one site writes together when precision is measured."""

    text: Text
    topic: str
    site: str = ""


class Scorer(Protocol):
    """What judges a text by more than keywords; `[curate] scorer = "package.module:train"` names another.

    `train` is called with the labels (a sequence of `Label`) and gives back a Scorer. Its scores should be on
    the scale of ours: a clear case is about 1 before the second.
    """

    def scores(self, text: Text) -> Mapping[str, float]:
        """How well the text fits each topic the scorer knows."""

    def evidence(self, text: Text, topic: str) -> Sequence[tuple[str, float]]:
        """The words that spoke for `topic` and how much, weightiest first."""


Trainer = Callable[[Sequence[Label]], Scorer]


@dataclass(frozen=True)
class Placement:
    """A topic (or "other"), the step that chose it, how clear it was, and the words that counted.

    `best` is what an entry would be placed under if it were clearer, "" where nothing speaks for anything.
    """

    topic: str
    step: str
    why: str = ""
    score: float = 0.0
    best: str = ""
    words: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Placer:
    """All that is needed to place the entries of one newsletter by their text.

    `scorer` may be None (too few labels); `trained` are the topics it knows well enough; `cut` is the margin
    before the second topic from which its word is taken.
    """

    topics: Mapping[str, Heading]
    keywords: Keywords
    scorer: Scorer | None = None
    trained: frozenset[str] = frozenset()
    cut: float = 0.0

    def place(self, text: Text) -> Placement:
        """Choose by the words alone: a missing heading is better than a wrong one."""
        by_keyword = self._keywords(text)
        points = {slug: sum(weight for _word, weight in found) for slug, found in by_keyword.items()}
        learned = self.scorer.scores(text) if self.scorer else {}
        totals = {
            # Each further keyword says less that is new than the one before.
            slug: math.sqrt(points.get(slug, 0)) + learned.get(slug, 0.0)
            for slug in (*self.topics, OTHER)
        }
        first, second = heapq.nlargest(2, totals, key=totals.__getitem__)
        margin = totals[first] - totals[second]
        if first == OTHER or totals[first] <= 0:
            return Placement(OTHER, "none", "nothing in it speaks for a topic")
        evidence = [(word, weight / math.sqrt(points[first])) for word, weight in by_keyword.get(first, ())]
        if self.scorer and first in learned:
            evidence += self.scorer.evidence(text, first)
        said = tuple(sorted(evidence, key=lambda pair: -pair[1])[:8])
        if first in self.trained:
            step, clear = "words", margin >= self.cut
            why = f"{margin:.2f} before {second}, where {self.cut:.2f} is clear enough"
        else:
            lead = points.get(first, 0) - max((p for slug, p in points.items() if slug != first), default=0)
            step, clear = "keywords", lead >= KEYWORD_MARGIN
            why = f"{lead:g} keyword points before the next topic, where {KEYWORD_MARGIN} are clear enough"
        best = first if margin >= LEAST_MARGIN else ""
        if clear:
            return Placement(first, step, why, margin, best, said)
        return Placement(OTHER, "none", f"perhaps {first}: {why}", margin, best, said)

    def _keywords(self, text: Text) -> dict[str, list[tuple[str, float]]]:
        """Points by topic and keyword."""
        found: dict[str, dict[str, float]] = {}
        for part, weight in ((text.title, 2.0), (text.excerpt, 1.0), ((*text.path, "/", *text.host), 1.0)):
            for slug, hits in self.keywords.find(part).items():
                mine = found.setdefault(slug, {})
                for keyword in hits:
                    # What means something else elsewhere is not enough alone: "cloud?" is half a keyword.
                    mine[keyword] = mine.get(keyword, 0.0) + (weight / 2 if keyword.endswith("?") else weight)
        return {slug: list(mine.items()) for slug, mine in found.items()}


def train(topics: Mapping[str, Heading], labels: Sequence[Label], *, precision: float, trainer: Trainer) -> Placer:
    """Learn from the labels: a scorer over all of them, and the smallest cut that holds `precision` on them.

    The cut is measured on labels the scorer had not seen, those of one site kept together, since a site's own
    name would give its topic away.
    """
    keywords = Keywords(topics)
    counts = Counter(label.topic for label in labels)
    trained = frozenset(slug for slug in topics if counts[slug] >= LEAST_LABELS)
    usable = [label for label in labels if label.topic in trained or label.topic == OTHER]
    if len(trained) < 2:
        return Placer(topics, keywords)
    fold_of = _folds(usable)
    tried: list[tuple[float, bool]] = []
    for fold in range(_FOLDS):
        rest = [label for label in usable if fold_of(label) != fold]
        asked = [label for label in usable if fold_of(label) == fold]
        placer = Placer(topics, keywords, trainer(rest), trained)
        for label in asked[:: max(1, len(asked) // _ASKED)]:
            placement = placer.place(label.text)
            if placement.best in trained:
                tried.append((placement.score, placement.best == label.topic))
    return Placer(topics, keywords, trainer(usable), trained, _cut(tried, precision))


_FOLDS = 3
_ASKED = 600  # labels asked about in each fold: enough for two digits of precision
_NEVER = 99.0


def _folds(labels: Sequence[Label]) -> Callable[[Label], int]:
    """Sites stay together where each topic comes from several; else a fold would lack a topic altogether."""
    sites: dict[str, set[str]] = {}
    for label in labels:
        sites.setdefault(label.topic, set()).add(label.site)
    together = all(len(found) >= 2 * _FOLDS for found in sites.values())

    def fold(label: Label) -> int:
        # crc32 and not hash(): the same labels give the same cut in every process.
        return zlib.crc32((label.site if together else " ".join(label.text.title)).encode()) % _FOLDS

    return fold


def _cut(tried: Sequence[tuple[float, bool]], precision: float) -> float:
    """The smallest margin from which on at least `precision` of 20 or more were right."""
    best = _NEVER
    right = 0
    ordered = sorted(tried, reverse=True)
    for place, (margin, good) in enumerate(ordered, 1):
        right += good
        tied = place < len(ordered) and ordered[place][0] == margin
        if place >= LEAST_LABELS and not tied and right / place >= precision:
            best = margin
    return best


class NaiveBayes:
    """Complement naive Bayes (Rennie et al. 2003, "Tackling the Poor Assumptions…", without its last step).

    Weights are centred for each word, so that a word that says nothing weighs nothing and the contributions
    of the words explain the score.
    """

    ALPHA = 0.3

    def __init__(self, labels: Sequence[Label]) -> None:
        documents = [(label.text.features, label.topic) for label in labels]
        seen = Counter(feature for counts, _topic in documents for feature in counts)
        # What was seen once cannot tell one topic from another well, and is most of the vocabulary.
        self._idf = {f: math.log(len(documents) / n) for f, n in seen.items() if 1 < n < len(documents)}
        self._topics = sorted({topic for _counts, topic in documents})
        place = {topic: i for i, topic in enumerate(self._topics)}
        mass: dict[str, list[float]] = {feature: [0.0] * len(place) for feature in self._idf}
        for counts, topic in documents:
            for feature, value in self._vector(counts).items():
                mass[feature][place[topic]] += value
        topic_mass = [sum(column) for column in zip(*mass.values(), strict=True)] or [0.0] * len(place)
        smooth = self.ALPHA * len(mass)
        outside = [math.log(sum(topic_mass) - own + smooth) if mass else 0.0 for own in topic_mass]
        self._weights: dict[str, list[float]] = {}
        for feature, row in mass.items():
            whole = sum(row) + self.ALPHA
            raw = [base - math.log(whole - own) for own, base in zip(row, outside, strict=True)]
            middle = sum(raw) / len(raw)
            self._weights[feature] = [weight - middle for weight in raw]

    def scores(self, text: Text) -> Mapping[str, float]:
        totals = [0.0] * len(self._topics)
        for feature, value in self._vector(text.features).items():
            for i, weight in enumerate(self._weights[feature]):
                totals[i] += value * weight
        return dict(zip(self._topics, totals, strict=True))

    def evidence(self, text: Text, topic: str) -> Sequence[tuple[str, float]]:
        place = self._topics.index(topic)
        vector = self._vector(text.features)
        parts = [(feature, value * self._weights[feature][place]) for feature, value in vector.items()]
        return sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])[:8]

    def _vector(self, counts: Mapping[str, float]) -> dict[str, float]:
        vector = {f: math.log1p(n) * self._idf[f] for f, n in counts.items() if f in self._idf}
        length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        return {feature: value / length for feature, value in vector.items()}


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
