"""Under which heading an entry goes, and which words said so."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from digest.config import Topic
from digest.curate.words import words

OTHER = "other"
KEYWORD_WEIGHT = 0.6
KEYWORD_CAP = 4
KEYWORD_MARGIN = 2  # points of the uncapped keyword count, while there are too few labels for anything finer


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
        self._exact: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._open: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._longest = 1
        for slug, heading in topics.items():
            for keyword in heading.keywords:
                parts = tuple(part.rstrip("*") for part in _keyword_words(keyword))
                if not all(parts):
                    continue
                self._longest = max(self._longest, len(parts))
                table = self._open if "*" in keyword else self._exact
                table.setdefault(parts, []).append((slug, keyword))
        self._open_words = {parts[0] for parts in self._open}
        self._shortest_open = min(map(len, self._open_words), default=1)

    def find(self, found: Sequence[str]) -> dict[str, list[str]]:
        """The distinct keywords among the words `found`, by topic."""
        hits: dict[str, dict[str, None]] = {}
        for start, word in enumerate(found):
            for length in range(1, self._longest + 1):
                run = tuple(found[start : start + length])
                if len(run) < length:
                    break
                last = run[-1]
                forms = [run, (*run[:-1], last[:-1])] if last.endswith("s") and len(last) > 2 else [run]
                for form in forms:
                    for slug, keyword in self._exact.get(form, ()):
                        hits.setdefault(slug, {})[keyword] = None
            for end in range(self._shortest_open, len(word) + 1):
                if word[:end] in self._open_words:
                    for slug, keyword in self._opening(found, start, word[:end]):
                        hits.setdefault(slug, {})[keyword] = None
        return {slug: list(names) for slug, names in hits.items()}

    def _opening(self, found: Sequence[str], start: int, first: str) -> Iterable[tuple[str, str]]:
        for parts, owners in self._open.items():
            run = found[start : start + len(parts)]
            if parts[0] != first or len(run) < len(parts):
                continue
            for slug, keyword in owners:
                patterns = _keyword_words(keyword)
                if all(
                    word.startswith(pattern.rstrip("*")) if pattern.endswith("*") else word == pattern
                    for word, pattern in zip(run, patterns, strict=True)
                ):
                    yield slug, keyword


@cache
def _keyword_words(keyword: str) -> tuple[str, ...]:
    """A keyword's words, each with its `*` where it has one."""
    found = []
    for part in keyword.split():
        pieces = words(part.rstrip("*"))
        if pieces and part.endswith("*"):
            pieces[-1] += "*"
        found.extend(pieces)
    return tuple(found)


@dataclass(frozen=True)
class Placement:
    """A topic (or "other"), the step that chose it, how sure, and the words that counted, weightiest first."""

    topic: str
    step: str
    score: float = 0.0
    why: str = ""
    words: tuple[tuple[str, float], ...] = ()
    runner_up: str = ""


@dataclass(frozen=True)
class Placer:
    """All that is needed to place entries of one newsletter."""

    topics: Mapping[str, Heading]
    keywords: Keywords = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keywords", Keywords(self.topics))

    def place(self, title: str, excerpt: str) -> Placement:
        """Choose by the text alone."""
        in_title = self.keywords.find(words(title))
        in_excerpt = self.keywords.find(words(excerpt))
        points = {slug: 2 * len(in_title.get(slug, ())) + len(in_excerpt.get(slug, ())) for slug in self.topics}
        best = sorted(points, key=lambda slug: -points[slug])
        if not best or not points[best[0]]:
            return Placement(OTHER, "none", why="no keyword of any topic")
        margin = points[best[0]] - (points[best[1]] if len(best) > 1 else 0)
        hits = tuple(
            (word, KEYWORD_WEIGHT * weight)
            for found, weight in ((in_title, 2.0), (in_excerpt, 1.0))
            for word in found.get(best[0], ())
        )
        second = best[1] if len(best) > 1 and points[best[1]] else ""
        score = KEYWORD_WEIGHT * margin
        if margin < KEYWORD_MARGIN:
            return Placement(OTHER, "none", score, f"{best[0]} is not clear enough before {second}", hits, best[0])
        return Placement(best[0], "keywords", score, "", hits, second)
