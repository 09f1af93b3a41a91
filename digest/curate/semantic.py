"""What entries mean, beside their words: a linear judge of vectors, from keywords alone and from labels."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from digest.curate.topics import MEANING, Heading, Label, Scorer, Text, Trainer

if TYPE_CHECKING:
    import numpy

WEIGHT = 2.0  # of a meaning beside words

PHRASES = 64  # of a topic: its title and its first keywords
_RIDGE = 5.0  # what keeps 384 numbers from learning few labels by heart
# The cut that held 9 of 10: vectors part what words leave undecided, and all margins are wider.
_USUAL_CUT = 1.75


def phrases(heading: Heading) -> list[str]:
    """What a topic is known by without labels: its title, and keywords that are whole words."""
    plain = (keyword.removesuffix("?").strip() for keyword in heading.keywords)
    return list(dict.fromkeys([heading.title, *(one for one in plain if one and "*" not in one)]))[:PHRASES]


class Meaning:
    """A trainer that has read what the keywords of each topic mean, and so knows topics without a label."""

    usual_cut = _USUAL_CUT

    def __init__(self, meant: Mapping[str, Sequence[bytes]], words: Trainer) -> None:
        self._examples = [(vector, slug) for slug, vectors in meant.items() for vector in vectors if vector]
        self._words = words
        self.known = frozenset(slug for _vector, slug in self._examples)

    def __call__(self, labels: Sequence[Label]) -> Semantic:
        examples = self._examples + [(label.text.vector, label.topic) for label in labels if label.text.vector]
        # A vector of another length than most was made by another model: it says nothing.
        usual = Counter(len(vector) for vector, _topic in examples).most_common(1)
        examples = [(vector, topic) for vector, topic in examples if len(vector) == usual[0][0]]
        topics = sorted({topic for _vector, topic in examples})
        return Semantic(self._words(labels), topics, _fitted(examples, topics))


class Semantic:
    """Scores of words, and for a text whose vector is known what its meaning adds to them."""

    def __init__(self, words: Scorer, topics: Sequence[str], weights: array[float]) -> None:
        self.words = words
        self.topics = list(topics)
        self.weights = weights  # of each topic those of a vector's numbers, and one more that is always added
        width = len(weights) // max(1, len(self.topics))
        self._matrix: Any = _numpy().array(weights, dtype="float32").reshape(-1, width) if topics else None

    def scores(self, text: Text) -> Mapping[str, float]:
        found = dict(self.words.scores(text))
        for topic, score in self._meant(text).items():
            found[topic] = found.get(topic, 0.0) + score
        return found

    def evidence(self, text: Text, topic: str) -> Sequence[tuple[str, float]]:
        found = [*self.words.evidence(text, topic), (MEANING, self._meant(text).get(topic, 0.0))]
        return sorted((part for part in found if part[1] > 0), key=lambda part: -part[1])[:8]

    def _meant(self, text: Text) -> dict[str, float]:
        # A vector of another length was made by another model: it says nothing.
        if self._matrix is None or not text.vector or len(text.vector) + 1 != self._matrix.shape[1]:
            return {}
        scores = self._matrix[:, :-1] @ _unit([text.vector])[0] + self._matrix[:, -1]
        return dict(zip(self.topics, (WEIGHT * float(score) for score in scores), strict=True))


def _fitted(examples: Sequence[tuple[bytes, str]], topics: Sequence[str]) -> array[float]:
    """Ridge regression on one topic against the rest, about the mean."""
    if not examples:
        return array("f")
    np = _numpy()
    found = _unit([vector for vector, _topic in examples])
    wanted = np.zeros((len(examples), len(topics)), dtype="float32")
    place = {topic: i for i, topic in enumerate(topics)}
    for row, (_vector, topic) in enumerate(examples):
        wanted[row, place[topic]] = 1
    middle = found.mean(0)
    found = found - middle
    square = found.T @ found + _RIDGE * np.eye(found.shape[1], dtype="float32")
    weights = np.linalg.solve(square, found.T @ (wanted - wanted.mean(0))).T
    rows = np.hstack([weights, -(weights @ middle)[:, None]])
    return array("f", rows.astype("float32").tobytes())


def _unit(vectors: Sequence[bytes]) -> numpy.ndarray[Any, Any]:
    """Vectors of length 1, one a row."""
    np = _numpy()
    found = np.frombuffer(b"".join(vectors), dtype="int8").astype("float32").reshape(len(vectors), -1)
    unit: numpy.ndarray[Any, Any] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return unit


def _numpy() -> Any:
    import numpy  # of the extra: nobody else waits for it

    return numpy
