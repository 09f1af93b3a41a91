#!/usr/bin/env python3
"""Place labelled or unlabelled entries by topic, through the product's own code.

    topics.py --train LABELLED.jsonl --predict FILE.jsonl > PREDICTED.jsonl
    topics.py [--quick] [--json] [CORPUS]        train on a part of the corpus, score on the rest
    topics.py --curve [--quick] [--json] [CORPUS]
                                                 the same with few labels a topic and with many, several seeds each
    topics.py --semantic [MODEL] [--quick] [--json] [CORPUS]
                                                 words alone and with meanings: 0, 200 and all labels a topic

A line has `id`, `title` and perhaps `excerpt` and `url`; a labelled one `topic` (null is Other). Predictions are
`{"id", "topic"|null, "score", "placed"}`: the best guess, how clear it was, and whether the product would place
it at the precision it is set to. Tags are never read.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import resource
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from digest.collect.meanings import BATCH
from digest.config import OTHER
from digest.curate import urls
from digest.curate.keywords import Keywords
from digest.curate.learning import NaiveBayes, train
from digest.curate.topics import Label, Placer, Text, headings
from digest.curate.urls import site

GOALS = {
    "macro_f1_titles": 0.61,
    "macro_f1": 0.68,
    "right_at_precision_90": 0.37,
    "train_seconds": 2.0,
    "place_ms": 1.0,
}
CURVE_GOALS = {"placed_right": 0.43, "placed_right_all": 0.48, "precision": 0.9}
PARTS = 5
SEMANTIC = (0, 200, 10**6)  # labels a topic


@functools.cache
def _text(title: str, excerpt: str, url: str) -> Text:
    return Text.of(title, excerpt, url)


def text(row: dict[str, Any], *, excerpts: bool = True) -> Text:
    """The same text of a row each time: a curve learns of it many times over, and its words are read once."""
    return _text(row["title"], (row.get("excerpt") or "") if excerpts else "", row.get("url") or "")


@functools.cache
def _site(url: str) -> str:
    return site(urls.normalise(url))


def learn(rows: list[dict[str, Any]], *, excerpts: bool = True) -> Placer:
    labels = [Label(text(r, excerpts=excerpts), r["topic"] or OTHER, _site(r["url"])) for r in rows]
    return train(headings({}), labels, precision=0.9, trainer=NaiveBayes)


def predict(
    placer: Placer, rows: list[dict[str, Any]], *, excerpts: bool = True, vectors: dict[str, bytes] | None = None
) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        said = text(row, excerpts=excerpts)
        placement = placer.place(replace(said, vector=vectors[row["id"]]) if vectors else said)
        found.append(
            {
                "id": row["id"],
                "topic": placement.best or None,
                "score": round(placement.score, 4),
                "placed": placement.topic != OTHER,
            }
        )
    return found


MANY_WRITERS = ("github.com", "medium.com", "youtube.com", "arxiv.org")
BY_POST = ("openSUSE", "react-native", "interrupt", "decentralizedthoughts", "jbranchaud")


def part(row: dict[str, Any], parts: int = PARTS) -> int:
    """Which part an entry belongs to, split as the corpus is: by site, blogs by repository, some by post."""
    key = row["source"]
    if row["stratum"] == "title":
        host = site(urls.normalise(row["url"])).partition("/")[0]
        key = row["url"] if host in MANY_WRITERS else host
    elif any(name in key for name in BY_POST):
        key = row["id"]
    return zlib.crc32(key.encode()) % parts


def part_by_entry(row: dict[str, Any], parts: int = PARTS) -> int:
    """Which part an entry belongs to, whatever site it is of: sites have been seen in training."""
    return zlib.crc32(row["id"].encode()) % parts


SPLITS = {"site": part, "entry": part_by_entry}


def measure(gold: list[dict[str, Any]], predicted: list[dict[str, Any]]) -> dict[str, float]:
    """Macro-F1 over the topics, and the largest share placed rightly while 9 of 10 placed are right."""
    guess = {p["id"]: p for p in predicted}
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    ranked = []
    placed = placed_right = 0
    for row in gold:
        want, mine = row["topic"], guess[row["id"]]
        got = mine["topic"]
        if got and got == want:
            right[got] += 1
        else:
            wrong[got or ""] += 1
            missed[want or ""] += 1
        if got:
            ranked.append((mine["score"], got == want))
        placed += mine["placed"]
        placed_right += mine["placed"] and got == want
    topics = sorted({row["topic"] for row in gold if row["topic"]})
    f1 = [2 * right[t] / max(1, 2 * right[t] + wrong[t] + missed[t]) for t in topics]
    labelled = sum(1 for row in gold if row["topic"])
    best = good = 0
    ranked.sort(key=lambda pair: -pair[0])
    for count, (score, ok) in enumerate(ranked, 1):
        good += ok
        tied = count < len(ranked) and ranked[count][0] == score
        if count >= 20 and not tied and good / count >= 0.9:
            best = good
    return {
        "macro_f1": sum(f1) / len(f1),
        "right_at_precision_90": best / labelled,
        "placed_precision": placed_right / max(1, placed),
        "placed_right": placed_right / labelled,
    }


def corpus(given: str | None) -> Path:
    folder = given or os.environ.get("DIGEST_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus"
    return Path(folder) / "topics"


def load(path: str | Path) -> list[dict[str, Any]]:
    with sys.stdin if str(path) == "-" else Path(path).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def bench(rows: list[dict[str, Any]], parts: range, split: Callable[[dict[str, Any]], int]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    spent = 0.0
    for name, excerpts in (("titles", False), ("with excerpts", True)):
        predicted = []
        gold = []
        for number in parts:
            learned = [row for row in rows if split(row) != number]
            asked = [row for row in rows if split(row) == number]
            begun = time.perf_counter()
            placer = learn(learned, excerpts=excerpts)
            figures["train_seconds"] = time.perf_counter() - begun
            figures["train_labels"] = len(learned)
            begun = time.perf_counter()
            predicted += predict(placer, asked, excerpts=excerpts)
            spent = time.perf_counter() - begun
            figures["place_ms"] = 1000 * spent / len(asked)
            gold += asked
        figures[name] = measure(gold, predicted)
        if excerpts:
            for stratum in sorted({row["stratum"] for row in gold}):
                some = [row for row in gold if row["stratum"] == stratum]
                figures[f"with excerpts, {stratum}"] = measure(some, predicted)
    return figures


CURVE = (0, 20, 50, 100, 200, 10**6)  # labels a topic


def curve(rows: list[dict[str, Any]], *, parts: range, seeds: int) -> dict[str, dict[str, float]]:
    """What is placed rightly, and at what precision, by the number of labels a topic: the mean and the least."""
    found: dict[str, dict[str, float]] = {}
    for most in CURVE:
        shares, precisions = [], []
        for seed in range(seeds if 0 < most < 10**6 else 1):
            right = placed = labelled = 0
            for number in parts:
                rest = [row for row in rows if part(row) != number]
                placer = learn(few(rest, most, seed=f"{seed} {number}"))
                for row in rows:
                    if part(row) == number:
                        topic = placer.place(text(row)).topic
                        labelled += row["topic"] is not None
                        placed += topic != OTHER
                        right += topic == row["topic"]
            shares.append(right / labelled)
            precisions.append(right / placed)
        name = "all" if most == 10**6 else str(most)
        found[name] = {
            "placed_right": sum(shares) / len(shares),
            "placed_right_least": min(shares),
            "precision": sum(precisions) / len(precisions),
            "precision_least": min(precisions),
        }
    return found


def semantic(rows: list[dict[str, Any]], model: str, *, parts: range) -> dict[str, Any]:
    """Words alone, and beside what the texts mean, by labels a topic; milliseconds a text, megabytes of all."""
    from digest.curate.semantic import Meaning, phrases
    from digest.parse import meaning

    def read(texts: list[str]) -> list[bytes]:
        batches = [tuple(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return [vector for batch in batches for vector in meaning.read(meaning.Meant(model, batch))]

    topics = headings({})
    said = [(slug, phrase) for slug, heading in topics.items() for phrase in phrases(heading)]
    meant: dict[str, list[bytes]] = {}
    for (slug, _), vector in zip(said, read([phrase for _, phrase in said]), strict=True):
        meant.setdefault(slug, []).append(vector)
    figures: dict[str, Any] = {}
    for name, excerpts in (("title", False), ("text", True)):
        begun = time.process_time()
        vectors = read([meaning.said(row["title"], (row.get("excerpt") or "") * excerpts) for row in rows])
        figures[f"ms a {name}"] = 1000 * (time.process_time() - begun) / len(rows)
    figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    vector_of = {row["id"]: vector for row, vector in zip(rows, vectors, strict=True)}
    for most in SEMANTIC:
        for name, trainer in (("words", NaiveBayes), ("meanings", Meaning(meant, NaiveBayes))):
            gold, predicted = [], []
            for number in parts:
                rest = [row for row in rows if part(row) != number]
                labels = [
                    Label(replace(text(r), vector=vector_of[r["id"]]), r["topic"] or OTHER, _site(r["url"]))
                    for r in few(rest, most, seed=f"0 {number}")
                ]
                placer = train(topics, labels, precision=0.9, trainer=trainer)
                asked = [row for row in rows if part(row) == number]
                gold += asked
                predicted += predict(placer, asked, vectors=vector_of)
            figures[f"{name}, {'all' if most == 10**6 else most} labels"] = measure(gold, predicted)
    return figures


def few(rows: list[dict[str, Any]], most: int, *, seed: str) -> list[dict[str, Any]]:
    """So many rows of each topic, drawn by the seed."""
    drawn = list(rows)
    random.Random(seed).shuffle(drawn)
    counts: Counter[str] = Counter()
    found = []
    for row in drawn:
        topic = row["topic"] or OTHER
        if counts[topic] < most:
            counts[topic] += 1
            found.append(row)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train", metavar="LABELLED")
    options.add_argument("--predict", metavar="FILE")
    options.add_argument("--quick", action="store_true", help="hold out one part of five only")
    options.add_argument("--json", action="store_true")
    options.add_argument("--curve", action="store_true", help="by the number of labels a topic")
    options.add_argument("--semantic", nargs="?", const="semantic", metavar="MODEL", help="with meanings (an extra)")
    options.add_argument("--split", choices=SPLITS, default="site", help="hold out whole sites, or single entries")
    options.add_argument("corpus", nargs="?")
    given = options.parse_args()
    if given.predict:
        placer = learn(load(given.train)) if given.train else Placer(headings({}), Keywords(headings({})))
        for line in predict(placer, load(given.predict)):
            print(json.dumps(line))
        return
    path = corpus(given.corpus) / "topics-dev.jsonl"
    if not path.exists():
        print(f"no corpus at {path}; give its folder or DIGEST_CORPUS", file=sys.stderr)
        sys.exit(66)
    if given.curve:
        by_labels = curve(load(path), parts=range(1 if given.quick else PARTS), seeds=1 if given.quick else 10)
        if given.json:
            print(json.dumps({"benchmark": "topics curve", "figures": by_labels, "goals": CURVE_GOALS}))
            return
        for name, row in by_labels.items():
            print(f"{name:>4} labels a topic", {k: round(v, 3) for k, v in row.items()})
        print("goals", CURVE_GOALS)
        return
    if given.semantic:
        figures = semantic(load(path), given.semantic, parts=range(1 if given.quick else PARTS))
        if given.json:
            print(json.dumps({"benchmark": "topics semantic", "model": given.semantic, "figures": figures}))
            return
        for name, value in figures.items():
            print(name, {k: round(v, 3) for k, v in value.items()} if isinstance(value, dict) else round(value, 1))
        return
    figures = bench(load(path), range(1 if given.quick else PARTS), SPLITS[given.split])
    if given.json:
        print(json.dumps({"benchmark": "topics", "split": given.split, "figures": figures, "goals": GOALS}))
        return
    for name, value in figures.items():
        print(name, {k: round(v, 3) for k, v in value.items()} if isinstance(value, dict) else round(value, 3))
    print("goals", GOALS)


if __name__ == "__main__":
    main()
