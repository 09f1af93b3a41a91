#!/usr/bin/env python3
"""How long judging takes: 5,000 entries grouped into stories, placed, excerpted and admitted; and what import costs.

    curate.py [--quick] [--json]

Titles and texts are made up from a few thousand words, so that it runs anywhere. Seconds are of this machine; the
ratios to a plain JSON round trip of the same texts, measured in the same run, are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

GOALS = {"stories_seconds": 2.0, "place_ms": 1.0, "modules_at_start": 0}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def texts(count: int) -> list[tuple[str, str]]:
    """Titles and paragraphs whose words are as unevenly common as words are (Zipf)."""
    rng = random.Random(1)
    syllables = ["ka", "ro", "mi", "ten", "sal", "vu", "per", "do", "lin", "gra", "sto", "ne"]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(4000)]
    vocabulary[30:30] = ["postgres", "kafka", "rust", "linux", "browser", "kubernetes", "security", "game"]
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]

    def words(least: int, most: int) -> str:
        return " ".join(rng.choices(vocabulary, weights, k=rng.randint(least, most))).capitalize()

    return [(words(4, 11), "<p>" + ". ".join(words(8, 20) for _ in range(12)) + ".</p>") for _ in range(count)]


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def admission(given: list[tuple[str, str]]) -> float:
    """Seconds to admit them, from 250 feeds that are known already, on SQLite."""
    from digest import config, edition
    from digest.models import Feed, NewsletterFeed
    from digest.store import newsletters, open_database
    from digest.store.story_tables import Entry

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/digest.db", create=True)
        newsletters.keep(database, ["daily"], now=NOW)
        settings = config.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"})
        with database.write() as session:
            paper = newsletters.find(session, "daily").id or 0
            for n in range(250):
                session.add(Feed(id=n + 1, url=f"https://f{n}.example/feed", title=f"F{n}", added_at=NOW, next_at=NOW))
            session.flush()
            for n in range(250):
                topic = ("databases", "web", "")[n % 3]
                session.add(NewsletterFeed(newsletter_id=paper, feed_id=n + 1, topic=topic, added_at=NOW))
        for part in (given[:250], given[250:]):
            with database.write() as session:
                for n, (title, body) in enumerate(part):
                    url = f"https://f{n % 250}.example/{len(part)}/{n}"
                    entry = Entry(feed_id=n % 250 + 1, key=url, url=url, title=title, content=body, seen_at=NOW)
                    session.add(entry)
            with database.write() as session:
                taken = seconds(
                    lambda session=session: edition.admit(
                        session, "daily", settings, config.Curate(flood=10_000), now=NOW
                    )
                )
        database.close()
    return taken


def modules_at_start() -> int:
    """How many modules of this room are imported before a command asks for one."""
    code = "import sys, digest.cli; print(sum(name.startswith('digest.curate') for name in sys.modules))"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer entries to admit")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()

    figures: dict[str, float] = {"modules_at_start": modules_at_start()}
    from digest.curate import excerpts
    from digest.curate.keywords import Keywords
    from digest.curate.learning import NaiveBayes, train
    from digest.curate.stories import group
    from digest.curate.tellings import Telling
    from digest.curate.topics import Label, Placer, Text, headings
    from digest.parse import gist
    from digest.parse.gist import Gist

    given = texts(5000)
    plain = seconds(lambda: [json.loads(json.dumps(pair)) for pair in given])
    tellings = [
        Telling(n, title, (f"https://s{n}.example/{n}",), n, NOW - timedelta(minutes=n))
        for n, (title, _body) in enumerate(given)
    ]
    figures["stories_seconds"] = seconds(lambda: group(tellings))
    topics = headings({})
    slugs = list(topics)
    labels = [
        Label(Text.of(title, body[:320]), slugs[n % 12], f"s{n % 90}") for n, (title, body) in enumerate(given[:3000])
    ]
    placers: list[Placer] = [Placer(topics, Keywords(topics))]
    figures["train_seconds_3000"] = seconds(
        lambda: placers.append(train(topics, labels, precision=0.9, trainer=NaiveBayes))
    )
    unlearnt = seconds(lambda: [placers[0].place(Text.of(title, body[:320])) for title, body in given])
    learnt = seconds(lambda: [placers[1].place(Text.of(title, body[:320])) for title, body in given])
    prose = seconds(
        lambda: [
            excerpts.cut(excerpts.prose_of(Gist((), gist.lines_of(body)), title=title), 150) for title, body in given
        ]
    )
    figures |= {
        "place_ms": 1000 * learnt / len(given),
        "place_by_keywords_ms": 1000 * unlearnt / len(given),
        "excerpt_ms": 1000 * prose / len(given),
        "place_to_json": learnt / plain,
        "excerpt_to_json": prose / plain,
    }
    admitted = given[:1500] if asked.quick else given
    figures["admit_ms"] = 1000 * admission(admitted) / (len(admitted) - 250)
    if asked.json:
        print(json.dumps({"benchmark": "curate", "figures": figures, "goals": GOALS}))
        return
    for name, value in figures.items():
        print(f"{name:22} {value:8.3f}" + (f"   goal {GOALS[name]}" if name in GOALS else ""))


if __name__ == "__main__":
    main()
