"""Under which heading an entry goes, and which words said so."""

from __future__ import annotations

import heapq
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from digest.config import OTHER, Topic
from digest.curate.keywords import Keywords, keyword_words
from digest.curate.names import own_words
from digest.curate.stems import has_stems, stem
from digest.curate.words import bigrams, singular, words
from digest.dataclass import dataclass

# A keyword in the title gives two points, in the excerpt or the address one.
KEYWORD_MARGIN = 2  # points before the second from which keywords alone decide
RIVAL = 1.25  # what each point of the second counts against the first: two topics that both fit are often confused
HALF_MOST = 1.5  # points of a keyword that is not enough alone, however often it stands: an address repeats its title
MEANING = "≈"  # stands among the words that spoke for a topic for what the entry means
LEAST_MARGIN = 0.25  # below it a guess is no better than none


@dataclass(frozen=True)
class Heading:
    """A topic as it is matched: what to call it, and its keywords.

    `vague` are those of its own name that could stand over anything ("news?"): they count beside others only.
    """

    title: str
    keywords: tuple[str, ...]
    vague: frozenset[str] = frozenset()


@cache
def default_headings() -> Mapping[str, Heading]:
    """The twelve topics of the package, in the order of the mail."""
    folder = Path(__file__).parent
    shipped = tomllib.loads((folder / "topics.toml").read_text(encoding="utf-8"))
    world = tomllib.loads((folder / "topics_world.toml").read_text(encoding="utf-8"))
    found = {}
    for slug, topic in shipped.items():
        # What two languages write alike counts once.
        known = {keyword_words(keyword): keyword for keyword in reversed([*chain(*world[slug].values())])}
        english = {keyword_words(keyword) for keyword in topic["keywords"]}
        more = [keyword for said, keyword in reversed(known.items()) if said not in english]
        found[slug] = Heading(topic["title"], (*topic["keywords"], *more))
    return found


def headings(chosen: Mapping[str, Topic]) -> dict[str, Heading]:
    """The topics of a newsletter: those of its settings, filled up from ours of the same name, or else ours.

    One that is not ours and has no keywords is known by its own title and slug; where ours have such a word under
    another topic, it is theirs who took it for a name.
    """
    ours = default_headings()
    if not chosen:
        return dict(ours)
    found: dict[str, Heading] = {}
    named: dict[tuple[str, ...], str] = {}
    for slug, topic in chosen.items():
        title = topic.title or (ours[slug].title if slug in ours else re.sub("[-_]", " ", slug).capitalize())
        own = _own(slug, topic, title)
        named |= {keyword_words(keyword): slug for keyword in own if not keyword.endswith("?")}
        base = ours[slug].keywords if topic.keywords is None and slug in ours else topic.keywords or ()
        vague = frozenset(one for one in own if one.endswith("?"))
        found[slug] = Heading(title, (*own, *base, *topic.more_keywords), vague)
    for slug in (chosen.keys() & ours.keys()) if named else ():
        if chosen[slug].keywords is None:
            more = chosen[slug].more_keywords
            kept = [one for one in found[slug].keywords if one in more or named.get(keyword_words(one), slug) == slug]
            found[slug] = replace(found[slug], keywords=tuple(kept))
    return found


def titles(chosen: Mapping[str, Topic], say: Callable[[str], str] = str) -> dict[str, str]:
    """What the topics of a newsletter are called, by slug, in the order of the mail.

    Ours go through `say`, which has them in a language; what an operator called one stays as it was written.
    """
    ours = default_headings()
    given = {slug for slug, topic in chosen.items() if topic.title}
    return {
        slug: say(heading.title) if slug in ours and slug not in given else heading.title
        for slug, heading in headings(chosen).items()
    }


def _own(slug: str, topic: Topic, title: str) -> tuple[str, ...]:
    """What a topic's name says of it where the settings have no keywords: of one of ours, the title they gave it."""
    if topic.keywords is not None:
        return ()
    if (our := default_headings().get(slug)) is None:
        return own_words(slug, title)
    known = {keyword_words(keyword) for keyword in (*our.keywords, *topic.more_keywords)}
    own = own_words("", title) if title != our.title else ()
    return tuple(one for one in own if keyword_words(one) not in known)


@dataclass(frozen=True)
class Text:
    """An entry as words: what its topic is judged by. `path` and `host` are the words of its address.

    `language` is that of title and excerpt where its words have stems, else "". `vector` is what it means (see
    `parse.meaning`), b"" where nobody asked.
    """

    title: tuple[str, ...]
    excerpt: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    language: str = ""
    vector: bytes = b""

    @classmethod
    def of(cls, title: str, excerpt: str = "", url: str = "", *, language: str = "", vector: bytes = b"") -> Text:
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        host = (parts.hostname or "").removeprefix("www.").replace("-", ".").split(".")[:-1]
        plain = _NOT_A_WORD.sub(" ", _ENDING.sub("", unquote(parts.path)))
        path = [w for w in words(plain) if len(w) > 1 and not w.isdigit()]
        spoken = (language or _guessed(f"{title} {excerpt}")).partition("-")[0].lower()
        found = spoken if has_stems(spoken) else ""
        return cls(
            tuple(words(title)), tuple(words(_ADDRESS.sub(" ", excerpt))), tuple(path), tuple(host), found, vector
        )

    @cached_property
    def features(self) -> Mapping[str, float]:
        """Words and neighbours with their counts; the title counts double, neighbours in the excerpt half."""
        title = [self._base(word) for word in self.title]
        excerpt = [self._base(word) for word in self.excerpt]
        counts: dict[str, float] = {}
        for weight, found in (
            (2.0, title),
            (1.0, bigrams(title)),
            (1.0, excerpt),
            (0.5, bigrams(excerpt)),
            (1.0, [self._base(word) for word in self.path]),
            (1.0, [f"@{word}" for word in self.host]),
            # Beginnings and ends tell of words never seen: "postgrest", "dragonflybsd".
            (1.0, [f"{word[:5]}…" for word in self.title if len(word) > 5]),
            (0.5, [f"{word[:5]}…" for word in (*self.excerpt, *self.path) if len(word) > 5]),
            (0.5, [f"…{word[-3:]}" for word in (*self.title, *self.path) if len(word) > 4]),
        ):
            for feature in found:
                counts[feature] = counts.get(feature, 0.0) + weight
        return counts

    def _base(self, word: str) -> str:
        return stem(word, self.language) if self.language else singular(word)


_NOT_A_WORD = re.compile(r"[/_\-.+%]+")


def _guessed(text: str) -> str:
    from digest.parse import language  # whose room is large, and not needed to name topics

    return language.of(text)


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
    the scale of ours: a clear case is about 1 before the second. A `train` that can tell topics without a label has
    an attribute `known` with their slugs, and perhaps `usual_cut`, the margin from which it is right 9 times of 10.
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
class Answer:
    """What speaks for which topic: all together (`first` before `second`), what was learnt, and keywords alone.

    `learnt` is `first` where enough is known of it, else ""; `keyed` is the topic that keywords alone would choose,
    `lead` their points before the next; `keywords` and `learned` are what both rest on.
    """

    first: str
    second: str
    margin: float
    learnt: str
    keyed: str
    lead: float
    keywords: Mapping[str, Sequence[tuple[str, float]]]
    learned: Mapping[str, float]

    def believed(self, cut: float) -> bool:
        """Whether what was learnt is sure enough."""
        return bool(self.learnt) and self.first == self.learnt and self.margin >= cut

    def at(self, cut: float) -> str:
        """The topic that is chosen, or "other"."""
        return self.learnt if self.believed(cut) else self.keyed or OTHER


@dataclass(frozen=True)
class Expected:
    """What is to be expected of a topic, measured on labels that were not learnt from."""

    labels: int  # that were asked about
    placed: int  # of all that were asked, put under this topic
    right: int  # of these

    @property
    def precision(self) -> float | None:
        """The share of what is put under it that belongs there; None where nothing was."""
        return self.right / self.placed if self.placed else None

    @property
    def share(self) -> float | None:
        """The share of what belongs there that is put there; None where nothing was asked."""
        return self.right / self.labels if self.labels else None


@dataclass(frozen=True)
class Placer:
    """All that is needed to place the entries of one newsletter by their text.

    `scorer` may be None (too few labels); `trained` are the topics it knows well enough; `cut` is the margin
    before the second topic from which its word is taken, `expected` what it is worth.
    """

    topics: Mapping[str, Heading]
    keywords: Keywords
    scorer: Scorer | None = None
    trained: frozenset[str] = frozenset()
    cut: float = 0.0
    expected: Mapping[str, Expected] = field(default_factory=dict)

    def answer(self, text: Text) -> Answer:
        """What was learnt and what keywords say of a text, before either is believed."""
        by_keyword = self._keywords(text)
        points = {slug: sum(weight for _word, weight in found) for slug, found in by_keyword.items()}
        learned = self.scorer.scores(text) if self.scorer else {}
        totals = {
            # Each further keyword says less that is new than the one before.
            slug: math.sqrt(points.get(slug, 0)) + learned.get(slug, 0.0)
            for slug in (*self.topics, OTHER)
        }
        first, second = heapq.nlargest(2, totals, key=totals.__getitem__)
        most = heapq.nlargest(2, points, key=points.__getitem__)
        lead = points[most[0]] - (RIVAL * points[most[1]] if most[1:] else 0.0) if most else 0.0
        return Answer(
            first=first if totals[first] > 0 else OTHER,
            second=second,
            margin=totals[first] - totals[second],
            learnt=first if first in self.trained else "",
            keyed=most[0] if lead >= KEYWORD_MARGIN else "",
            lead=lead,
            keywords=by_keyword,
            learned=learned,
        )

    def place(self, text: Text) -> Placement:
        """Choose by the words alone: a missing heading is better than a wrong one.

        What was learnt adds to the keywords and overrules them where it is sure; it never silences them.
        """
        answer = self.answer(text)
        topic, first, margin = answer.at(self.cut), answer.first, answer.margin
        before = f"{margin:.2f} before {answer.second}, where {self.cut:.2f} is clear enough"
        points = f"{answer.lead:g} keyword points before the next topic, where {KEYWORD_MARGIN} are clear enough"
        if topic == OTHER and first == OTHER:
            return Placement(OTHER, "none", "nothing in it speaks for a topic")
        if topic == OTHER:
            why = f"perhaps {first}: {before if answer.learnt else points}"
            best = first if margin >= LEAST_MARGIN else ""
            return Placement(OTHER, "none", why, margin, best, self._said(text, first, answer))
        said = self._said(text, topic, answer)
        if answer.believed(self.cut):
            return Placement(topic, "words", before, margin, topic, said)
        return Placement(topic, "keywords", points, margin if topic == first else LEAST_MARGIN, topic, said)

    def _said(self, text: Text, topic: str, answer: Answer) -> tuple[tuple[str, float], ...]:
        """The words that speak for a topic, weightiest first."""
        keywords = answer.keywords.get(topic, ())
        points = sum(weight for _word, weight in keywords)
        evidence = [(word, weight / math.sqrt(points)) for word, weight in keywords]
        if self.scorer and topic in answer.learned:
            evidence += self.scorer.evidence(text, topic)
        return tuple(sorted(evidence, key=lambda pair: -pair[1])[:8])

    def _keywords(self, text: Text) -> dict[str, list[tuple[str, float]]]:
        """Points by topic and keyword."""
        found: dict[str, dict[str, float]] = {}
        for part, weight in ((text.title, 2.0), (text.excerpt, 1.0), ((*text.path, "/", *text.host), 1.0)):
            for slug, hits in self.keywords.find(part, text.language).items():
                mine = found.setdefault(slug, {})
                for keyword in hits:
                    # What means something else elsewhere is not enough alone: "cloud?" is half a keyword.
                    if keyword.endswith("?"):
                        mine[keyword] = min(HALF_MOST, mine.get(keyword, 0.0) + weight / 2)
                    else:
                        mine[keyword] = mine.get(keyword, 0.0) + weight
        for slug, mine in list(found.items()):
            if self.topics[slug].vague.issuperset(mine):  # wherever they stand, in /news/2026 say
                del found[slug]
        return {slug: list(mine.items()) for slug, mine in found.items()}
