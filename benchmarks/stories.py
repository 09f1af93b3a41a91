#!/usr/bin/env python3
"""Join the entries that tell the same story, through the product's own code.

    stories.py --predict FILE.jsonl > CLUSTERS.jsonl     lines of {"id", "cluster"}
    stories.py [--quick] [--json] [CORPUS]               score on the corpus, and time 5,000 entries
    stories.py --splits 10 [CORPUS]                      score on months and sites that were left out, one part each

A line has `id`, `title`, `url` and perhaps `feed` and `published`; `--discussion` takes `discussion_url` for `url`,
as if only an aggregator's page were known.

For `--splits` whole months, and then whole sites, are left out: each time the bound is set on the rest and the score
is of what was left out. The spread says how far the figures carry.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from digest.curate.stories import BOUND, Bound, group
from digest.curate.tellings import Telling
from digest.curate.urls import normalise, site

GOALS = {"f1_urls": 0.965, "f1_discussion": 0.88, "seconds_5000": 2.0}
LEASTS = [n / 100 for n in range(155, 366, 20)]  # bounds that are tried on the rest


def telling(row: dict[str, Any], *, discussion: bool) -> Telling:
    when = row.get("published") or "2000-01-01"
    moment = datetime.fromisoformat(when.replace("Z", "+00:00"))
    url = row.get("discussion_url" if discussion else "url") or row.get("url") or ""
    # An entry's title is plain text by the time it is stored.
    title = html.unescape(row.get("title") or "")
    # Rows of the corpus stand for entries of different feeds that happen to be named alike.
    key = normalise(url)
    return Telling(
        row["id"],
        title,
        (key,) if key else (),
        row["id"],
        moment if moment.tzinfo else moment.replace(tzinfo=UTC),
    )


def predict(rows: list[dict[str, Any]], *, discussion: bool = False, bound: Bound = BOUND) -> dict[str, int]:
    found = group([telling(row, discussion=discussion) for row in rows], bound=bound)
    return {str(id_): n for n, ids in enumerate(found.groups) for id_ in ids}


def pairwise(rows: list[dict[str, Any]], cluster: dict[str, int]) -> float:
    def pairs(counts: Counter[Any]) -> int:
        return sum(n * (n - 1) // 2 for n in counts.values())

    gold = pairs(Counter(row["group"] for row in rows))
    said = pairs(Counter(cluster[row["id"]] for row in rows))
    both = pairs(Counter((row["group"], cluster[row["id"]]) for row in rows))
    return 2 * both / max(1, gold + said)


def parted(rows: list[dict[str, Any]], number: int, by: str) -> list[list[dict[str, Any]]]:
    """Rows in so many parts that share no month, or no site; a group stands where its first row does."""
    home: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row["published"]):
        place = row["published"][:7] if by == "months" else site(normalise(row["url"]))
        home.setdefault(row["group"], place)
    size = Counter(home[row["group"]] for row in rows)
    parts: list[list[dict[str, Any]]] = [[] for _ in range(number)]
    filled = [0] * number
    whose: dict[str, int] = {}
    for place, rows_there in sorted(size.items(), key=lambda item: (-item[1], item[0])):
        least = filled.index(min(filled))
        whose[place] = least
        filled[least] += rows_there
    for row in rows:
        parts[whose[home[row["group"]]]].append(row)
    return parts


def splits(rows: list[dict[str, Any]], number: int) -> dict[str, list[float]]:
    """F1 on each part, with the bound that is best on the others."""
    found: dict[str, list[float]] = {}
    for by in ("months", "sites"):
        for discussion in (False, True):
            some = [part for part in parted(rows, number, by) if part]
            scores = []
            for least in LEASTS:
                bound = replace(BOUND, least=least)
                scores.append([pairwise(p, predict(p, discussion=discussion, bound=bound)) for p in some])
            out = []
            for at in range(len(some)):
                rest = [sum(of) - of[at] for of in scores]
                out.append(scores[rest.index(max(rest))][at])
            found[f"{'discussion' if discussion else 'urls'} by {by}"] = sorted(out)
    return found


def load(path: str | Path) -> list[dict[str, Any]]:
    with sys.stdin if str(path) == "-" else Path(path).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--predict", metavar="FILE")
    options.add_argument("--discussion", action="store_true")
    options.add_argument("--quick", action="store_true", help="no different: it takes seconds")
    options.add_argument("--splits", type=int, metavar="N")
    options.add_argument("--json", action="store_true")
    options.add_argument("corpus", nargs="?")
    given = options.parse_args()
    if given.predict:
        for id_, cluster in predict(load(given.predict), discussion=given.discussion).items():
            print(json.dumps({"id": id_, "cluster": cluster}))
        return
    folder = (
        given.corpus or os.environ.get("DIGEST_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus"
    )
    path = Path(folder) / "topics" / "stories-dev.jsonl"
    if not path.exists():
        print(f"no corpus at {path}; give its folder or DIGEST_CORPUS", file=sys.stderr)
        sys.exit(66)
    rows = load(path)
    if given.splits:
        for name, scores in splits(rows, given.splits).items():
            mean, spread = statistics.mean(scores), statistics.pstdev(scores)
            print(f"{name:22} mean {mean:.3f} ± {spread:.3f}   least {scores[0]:.3f}   most {scores[-1]:.3f}")
        return
    # One week of 5,000 entries: the corpus twice over, moved together, as a busy week has many candidates.
    start = datetime(2026, 1, 1, tzinfo=UTC)
    busy = [
        Telling((n, turn), t.title, t.links, (n, turn), start + timedelta(minutes=n))
        for turn in range(3)
        for n, t in enumerate(telling(row, discussion=False) for row in rows)
    ][:5000]
    group(busy)  # what is made once is made
    figures = {
        "f1_urls": pairwise(rows, predict(rows)),
        "f1_discussion": pairwise(rows, predict(rows, discussion=True)),
    }
    begun = time.process_time()
    group(busy)
    figures["seconds_5000"] = time.process_time() - begun
    if given.json:
        print(json.dumps({"benchmark": "stories", "figures": figures, "goals": GOALS}))
        return
    for name, value in figures.items():
        print(f"{name:16} {value:.3f}   goal {GOALS[name]}")


if __name__ == "__main__":
    main()
