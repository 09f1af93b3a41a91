"""What a newsletter's labels teach: a scorer of words, and how sure it must be before it is believed."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from digest.config import OTHER
from digest.curate.keywords import Keywords
from digest.curate.topics import Expected, Heading, Label, Placer, Scorer, Text, Trainer
from digest.dataclass import dataclass

if TYPE_CHECKING:
    from digest.curate.semantic import Semantic

LEAST_LABELS = 20  # of a topic, before its words are trusted
_FOLDS = 3
_ASKED = 600  # labels asked about in each fold: enough for two digits of precision
# The cut that held 9 of 10 over many sites, at 20 labels a topic as at 400, and how it moves with what is asked.
_USUAL_CUT, _PER_LOGIT = 1.55, 0.6
_LIKE_ANSWERS = 1500  # as many answers as the usual cut weighs
_FARTHEST = 0.3  # from the usual cut that a measured one is believed


def train(topics: Mapping[str, Heading], labels: Sequence[Label], *, precision: float, trainer: Trainer) -> Placer:
    """Learn from the labels: a scorer over all of them, and a cut from which what it adds holds `precision`.

    The cut is measured where keywords are silent or would say something else, on labels the scorer had not seen,
    those of one site kept together, since a site's own name would give its topic away. Few answers say little: what
    is measured is drawn towards what held elsewhere.
    """
    keywords = Keywords(topics)
    counts = Counter(label.topic for label in labels)
    learnt = frozenset(slug for slug in topics if counts[slug] >= LEAST_LABELS)
    usable = [label for label in labels if label.topic in learnt or label.topic == OTHER]
    known: frozenset[str] = getattr(trainer, "known", frozenset()) & topics.keys()
    usual = _usual(precision, getattr(trainer, "usual_cut", _USUAL_CUT))
    if len(learnt) < 2:
        return Placer(topics, keywords, trainer(()), known, usual) if len(known) > 1 else Placer(topics, keywords)
    trained = learnt | known
    fold_of = _folds(usable)
    asked: list[tuple[Placer, Label]] = []
    for fold in range(_FOLDS):
        rest = [label for label in usable if fold_of(label) != fold]
        some = [label for label in usable if fold_of(label) == fold]
        placer = Placer(topics, keywords, trainer(rest), trained)
        asked += [(placer, label) for label in some[:: max(1, len(some) // _ASKED)]]
    answers = [placer.answer(label.text) for placer, label in asked]
    added = [
        (answer.margin, answer.learnt == label.topic)
        for answer, (_placer, label) in zip(answers, asked, strict=True)
        if answer.learnt and answer.learnt != answer.keyed
    ]
    cut = _cut(added, precision, usual)
    outcomes = [(answer.at(cut), label.topic) for answer, (_placer, label) in zip(answers, asked, strict=True)]
    expected = {
        slug: Expected(
            labels=sum(topic == slug for _found, topic in outcomes),
            placed=sum(found == slug for found, _topic in outcomes),
            right=sum(found == topic == slug for found, topic in outcomes),
        )
        for slug in topics
    }
    return Placer(topics, keywords, trainer(usable), trained, cut, expected)


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


def _usual(precision: float, at_nine_of_ten: float) -> float:
    """The margin that held this precision elsewhere."""
    sure = min(max(precision, 0.5), 0.999)
    return max(0.25, at_nine_of_ten + _PER_LOGIT * (math.log(sure / (1 - sure)) - math.log(9)))


def _cut(added: Sequence[tuple[float, bool]], precision: float, usual: float) -> float:
    """The margin from which on at least `precision` of what is added are right."""
    measured = usual + _FARTHEST
    right = 0
    ordered = sorted(added, reverse=True)
    for place, (margin, good) in enumerate(ordered, 1):
        right += good
        tied = place < len(ordered) and ordered[place][0] == margin
        if place >= LEAST_LABELS and not tied and right / place >= precision:
            measured = (
                margin if place < len(ordered) else min(margin, usual)
            )  # all of them held: nothing speaks for more
    measured = min(max(measured, usual - _FARTHEST), usual + _FARTHEST)
    return (len(added) * measured + _LIKE_ANSWERS * usual) / (len(added) + _LIKE_ANSWERS)


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
        idf = {f: math.log(len(documents) / n) for f, n in seen.items() if 1 < n < len(documents)}
        self._place = {feature: i for i, feature in enumerate(idf)}
        self._idf = array("f", idf.values())
        self._topics = sorted({topic for _counts, topic in documents})
        place = {topic: i for i, topic in enumerate(self._topics)}
        mass = [[0.0] * len(place) for _feature in idf]
        for counts, topic in documents:
            for at, value in self._vector(counts):
                mass[at][place[topic]] += value
        topic_mass = [sum(column) for column in zip(*mass, strict=True)] or [0.0] * len(place)
        smooth = self.ALPHA * len(mass)
        outside = [math.log(sum(topic_mass) - own + smooth) if mass else 0.0 for own in topic_mass]
        self._weights = array("f")  # of each word those of all topics, one word after the other
        for row in mass:
            whole = sum(row) + self.ALPHA
            raw = [base - math.log(whole - own) for own, base in zip(row, outside, strict=True)]
            middle = sum(raw) / len(raw)
            self._weights.extend(weight - middle for weight in raw)

    def scores(self, text: Text) -> Mapping[str, float]:
        totals = [0.0] * len(self._topics)
        for at, value in self._vector(text.features):
            start = at * len(totals)
            for i, weight in enumerate(self._weights[start : start + len(totals)]):
                totals[i] += value * weight
        return dict(zip(self._topics, totals, strict=True))

    def evidence(self, text: Text, topic: str) -> Sequence[tuple[str, float]]:
        if topic not in self._topics:
            return []
        column, width = self._topics.index(topic), len(self._topics)
        names = [feature for feature in text.features if feature in self._place]
        parts = [
            (name, value * self._weights[at * width + column])
            for name, (at, value) in zip(names, self._vector(text.features), strict=True)
        ]
        return sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])[:8]

    def _vector(self, counts: Mapping[str, float]) -> list[tuple[int, float]]:
        """The words that are known, by their places, weighted; of length 1."""
        found = [
            (at, math.log1p(n) * self._idf[at]) for f, n in counts.items() if (at := self._place.get(f)) is not None
        ]
        length = math.sqrt(sum(value * value for _at, value in found)) or 1.0
        return [(at, value / length) for at, value in found]

    def packed(self) -> tuple[list[str], bytes]:
        """Its topics, and the rest as bytes: what `unpacked` makes the same scorer of."""
        words = "\n".join(self._place).encode()
        return self._topics, b"".join((len(words).to_bytes(4), words, self._idf.tobytes(), self._weights.tobytes()))

    @classmethod
    def unpacked(cls, topics: Sequence[str], stored: bytes) -> NaiveBayes:
        """What `packed` gave back, read. ValueError where it is not that."""
        made = cls(())
        end = 4 + int.from_bytes(stored[:4])
        words = stored[4:end].decode().split("\n") if end > 4 else []
        numbers = array("f", stored[end:])
        if len(numbers) != len(words) * (1 + len(topics)):
            raise ValueError("what was learnt is not whole")
        made._topics = list(topics)
        made._place = {word: at for at, word in enumerate(words)}
        made._idf, made._weights = numbers[: len(words)], numbers[len(words) :]
        return made


@dataclass(frozen=True)
class Kept:
    """What was learnt, as it is stored from one run to the next.

    `mark` says of which topics, settings and release it was learnt, `labels` of which entries (the topic by the
    entry's id), so that whoever finds it can tell whether it is still good enough.
    """

    mark: str
    labels: Mapping[int, str]
    placer: Placer

    def packed(self) -> bytes:
        scorer = self.placer.scorer
        meant = _meant(scorer)
        words = meant.words if meant else scorer
        topics, weights = words.packed() if isinstance(words, NaiveBayes) else ([], b"")
        said: dict[str, Any] = {
            "mark": self.mark,
            "labels": self.labels,
            "trained": sorted(self.placer.trained),
            "cut": self.placer.cut,
            "expected": {slug: [e.labels, e.placed, e.right] for slug, e in self.placer.expected.items()},
            "topics": topics,
        }
        if meant:
            said["meant"] = [meant.topics, len(weights)]
            weights += meant.weights.tobytes()
        head = json.dumps(said).encode()
        return zlib.compress(len(head).to_bytes(4) + head + weights, 1)

    @classmethod
    def unpacked(cls, stored: bytes, topics: Mapping[str, Heading]) -> Kept | None:
        """What was stored, for these topics; None where it cannot be read any more, and is to be learnt anew."""
        try:
            plain = zlib.decompress(stored)
            end = 4 + int.from_bytes(plain[:4])
            said = json.loads(plain[4:end])
            meant, size = said.get("meant") or ([], len(plain))
            scorer: Scorer | None = None
            if said["topics"] or meant:
                scorer = NaiveBayes.unpacked(said["topics"], plain[end : end + size])
            if meant and scorer:
                from digest.curate.semantic import Semantic

                scorer = Semantic(scorer, meant, array("f", plain[end + size :]))
            placer = Placer(
                topics,
                Keywords(topics),
                scorer,
                frozenset(said["trained"]),
                said["cut"],
                {slug: Expected(*counts) for slug, counts in said["expected"].items()},
            )
            return cls(said["mark"], {int(id_): topic for id_, topic in said["labels"].items()}, placer)
        except (zlib.error, ValueError, KeyError, TypeError, AttributeError):
            return None

    def serves(self, mark: str, labels: Mapping[int, str]) -> bool:
        """Whether entries are to be placed by it: nobody has said much else since of the same topics and settings.

        Entries that came since say nothing else, however many: a run learns of them at its end (`fits`), so that it
        and whoever looks ahead of it place by the same. What is said of entries that were there, by a feed's topic or
        an editor, counts at once, and so does how many labels there are, since few teach little.
        """
        if self.mark != mark:
            return False
        newest = max(self.labels, default=0)
        said = sum(self.labels.get(id_) != topic for id_, topic in labels.items() if id_ <= newest)
        more = abs(len(labels) - len(self.labels))
        return max(said, more) <= STALE * max(len(self.labels), len(labels))

    def fits(self, labels: Mapping[int, str]) -> bool:
        """Whether it was learnt of labels that say nearly the same; else it is to be learnt anew.

        Which entries are the newest changes daily, and says little: learnt of the ones before, as many right are
        placed. What a topic is, and how much is known of it, changes seldom, and says much.
        """
        before, after = Counter(self.labels.values()), Counter(labels.values())
        other = sum(abs(before[topic] - after[topic]) for topic in before | after)
        left = self.labels.keys() & labels.keys()
        other += sum(self.labels[id_] != labels[id_] for id_ in left)
        return other <= STALE * max(len(self.labels), len(labels)) and len(left) >= LEFT * len(self.labels)


def _meant(scorer: Scorer | None) -> Semantic | None:
    if scorer is None or isinstance(scorer, NaiveBayes):
        return None
    from digest.curate import semantic  # nobody else waits for it

    return scorer if isinstance(scorer, semantic.Semantic) else None


STALE = 0.1  # the share of labels by which topics may grow, shrink and change before all is learnt anew
LEFT = 1 / 3  # of the labels something was learnt of must still be among the newest
_FORMAT = 4  # of what is stored, and of how words are made of a text: raised where either changes


def mark(topics: Mapping[str, Heading], *, precision: float, scorer: str) -> str:
    """What something was learnt of, but for its labels."""
    said = [_FORMAT, sys.byteorder, precision, scorer, [[slug, h.title, h.keywords] for slug, h in topics.items()]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
