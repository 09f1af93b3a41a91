"""How long one variant takes to render, beside what premailer alone takes for the same page.

    python benchmarks/render.py [--quick] [--json]

The goal is 16 ms for 100 stories, once per variant, in processor time, as other work on the machine is no fault of
ours. Each story has a picture and a rank of its own: `paper` shows those of the first four, `magazine` also one beside
each story that is told. The first page of a style sheet teaches the inliner and is told apart ("first"). "fit" renders
300 stories, which do not fit, until they do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from digest.render import Page, Section, Templates, inline, templates
from digest.values import Picture, Shot, Source, Story

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
SUBJECT = "{{ newsletter.title }}: {{ lead.title }}"
GOAL_MS = 16.0


def shot(n: int, width: int, height: int) -> Shot:
    name = f"{n:064x}"
    return Shot(
        name, width, height, "#4a6076", "What is seen", f"https://digest.example/p/{name}.jpg", "#ffffff", 9_000
    )


def page(count: int) -> Page:
    stories = [
        Story(
            id=n,
            seq=n,
            topic=f"topic-{n % 8}",
            url=f"https://site{n % 30}.example/stories/{n}",
            title=f"Story number {n}: what ten million events a month really cost",
            source=f"The Source {n % 30}",
            author="",
            excerpt="Reads that never touch the leader, measured over six weeks in three regions: what leases buy.",
            language="en",
            image_url="",
            reading_minutes=4,
            published_at=NOW - timedelta(hours=n % 40),
            rank=float(count - n),
            pinned=False,
            feed_id=n % 30,
            also=(Source("Another", "https://another.example/x"),) if n % 5 == 0 else (),
            picture=Picture(shot(n, 520, 292), shot(n, 96, 96), shot(n, 96, 96)),
        )
        for n in range(count)
    ]
    sections = tuple(
        Section(f"topic-{t}", f"Topic {t}", tuple(s for s in stories[1:] if s.topic == f"topic-{t}")) for t in range(8)
    )
    return Page("The Daily", "en", 7, NOW, stories[0], sections, 0, (), "1 Example Street", "https://digest.example")


def milliseconds(do, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.process_time()
        do()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    repeat = 11 if asked.quick else 51
    hundred, three_hundred = page(100), page(300)
    engine = Templates()
    first = milliseconds(lambda: engine.render(hundred, subject=SUBJECT), 1)
    limit = templates.HTML_LIMIT
    templates.HTML_LIMIT = 10**9  # all hundred, whatever they weigh
    mine = milliseconds(lambda: engine.render(hundred, subject=SUBJECT), repeat)
    magazine = replace(hundred, theme="magazine")
    engine.render(magazine, subject=SUBJECT)
    pictured = milliseconds(lambda: engine.render(magazine, subject=SUBJECT), repeat)
    kept = templates.inline
    templates.inline = inline.premail
    theirs = milliseconds(lambda: engine.render(hundred, subject=SUBJECT), max(2, repeat // 10))
    templates.inline = kept
    templates.HTML_LIMIT = limit
    bounded = milliseconds(lambda: engine.render(three_hundred, subject=SUBJECT), repeat // 4)
    figures = {
        "render_100_ms": round(mine, 1),
        "magazine_100_ms": round(pictured, 1),
        "first_100_ms": round(first, 1),
        "premailer_100_ms": round(theirs, 1),
        "times_faster_than_premailer": round(theirs / mine, 1),
        "fit_300_ms": round(bounded, 1),
        "goals": {"render_100_ms": GOAL_MS},
        "met": mine <= GOAL_MS,
    }
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<30} {value}")


if __name__ == "__main__":
    main()
