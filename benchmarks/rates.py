#!/usr/bin/env python3
"""How often what is shown of an entry is wrong, by kind, over a folder of feeds.

    rates.py [--show N] [--newest N] [--json] [FOLDER]

Each feed is read as it would be collected, each of its newest entries as it would be admitted. What is counted is
looked for with patterns of this file, which know nothing of the product's own:

    title again   the excerpt begins with the title, or is a part of it
    boilerplate   it holds words that belong to a site or a tool: "Continue reading", "layout: post"
    broken        letters that stand for others, or for lost ones, in title or excerpt
    tag pages     the entry is a page of tags, categories or an archive
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from digest import parse
from digest.curate import excerpts, leading, urls
from digest.parse import gist

GOAL = 0.005  # of the stories, each kind
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
KINDS = ("title again", "boilerplate", "broken", "tag pages")
LENGTH = 150

_BOILERPLATE = re.compile(
    r"appeared first on|continue reading|read (?:more|the (?:rest|full))\b.{0,30}$|article url:|comments url:"
    r"|submitted by |\[link\]|\[comments\]|all rights reserved|©|^posted (?:on|by|in)\b|^published (?:on|by)\b"
    r"|\bmin(?:ute)?s? read\b"
    r"|sembra essere il primo su|proviene da \S|erschien zuerst auf|apparu en premier sur|aparece primero en"
    r"|^author\(s\)|^publication date|, volume \d+, issue \d+|(?-i:^[A-Z]{2,3} (?=[A-Z][a-z]))|\w # \w.{0,60}\w # \w"
    r"|^(?:table of contents|contents)\b|^(?:title|description|layout|published|tags|categories|date|draft|slug)\s?: "
    r"|^(?:photo|image|picture) (?:by|credit|source)|subscribe to (?:our|my|the)|sign up for (?:our|my|the)"
    r"|follow (?:us|me) on"
    r"|share (?:this|on) (?:post|article|twitter|facebook)|leave a comment|view (?:all )?comments"
    r"|powered by (?:wordpress|hugo)"
    r"|this (?:post|article) (?:was )?(?:first|originally) (?:appeared|published)"
    r"|skip to (?:main )?content|cookie policy"
    r"|^advertisement\b|javascript (?:is|must be)|your browser does not|view in browser|download (?:the )?mp3",
    re.IGNORECASE,
)
_LISTING = re.compile(
    r"(?<!/releases)/(?:tags?|categor(?:y|ies)|labels?|authors?)/[^/]+/?$|/(?:tags?|categories|archives?)/?$",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"^(?:tags?|categor(?:y|ies)|archives?|posts|search)$|^(?:tag|category|posts tagged)\b.{0,3}[: ]", re.IGNORECASE
)


def plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def broken(text: str) -> bool:
    if "\ufffd" in text:
        return True
    for run in re.findall(r"[^\x00-\x7f]{2,}", text):
        for charset in ("cp1252", "latin-1"):
            try:
                if run.encode(charset).decode("utf-8") != run:
                    return True
            except UnicodeError:
                continue
    return False


def wrong(title: str, url: str, excerpt: str) -> Iterator[str]:
    """Which kinds of wrong this is."""
    head = plain(title)
    said = plain(excerpt)
    goes_on = re.match(r"\W*[a-z]", excerpt[len(title) :])  # the title is the beginning of a sentence
    if len(head) > 8 and said and (said in head or (said.startswith(head) and not goes_on)):
        yield "title again"
    if _BOILERPLATE.search(excerpt):
        yield "boilerplate"
    if broken(title) or broken(excerpt):
        yield "broken"
    if _LISTING.search(urlsplit(url).path) or _LISTED.search(title):
        yield "tag pages"


def shown(path: Path, newest: int) -> Iterator[tuple[str, str, str]]:
    """Title, address and excerpt of each story that a feed's newest entries make."""
    try:
        found = parse.feed(path.read_bytes(), url=f"https://feeds.example/{path.name}", now=NOW)
    except parse.NotAFeed:
        return
    entries = found.entries[:newest]
    said = [(gist.unpack(entry.gist) or gist.of(entry.summary, entry.content)) for entry in entries]
    known = excerpts.repeated_lines(one.summary for one in said[: excerpts.RESIDUE_ENTRIES])
    known |= excerpts.repeated_lines(one.content for one in said[: excerpts.RESIDUE_ENTRIES])
    for entry, one in zip(entries, said, strict=True):
        prose = excerpts.prose_of(one, title=entry.title, known=known)
        url = urls.leads_to(entry.url, entry.original_url, one.links)
        if (entry.title or prose) and not entry.fault and not leading.no_story(entry.title, url):
            title, excerpt = excerpts.titled(entry.title, prose, LENGTH)
            yield title, url, excerpt


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--show", type=int, default=0, metavar="N", help="print so many of each kind")
    options.add_argument("--newest", type=int, default=20, metavar="N", help="entries of each feed")
    options.add_argument("--json", action="store_true")
    options.add_argument("folder", nargs="?")
    given = options.parse_args()
    corpus = os.environ.get("DIGEST_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus"
    folder = Path(given.folder or Path(corpus) / "feeds")
    if not folder.is_dir():
        print(f"no feeds at {folder}; give their folder or DIGEST_CORPUS", file=sys.stderr)
        sys.exit(66)
    counts: Counter[str] = Counter()
    examples: defaultdict[str, list[str]] = defaultdict(list)
    total = 0
    for path in sorted(folder.iterdir()):
        for title, url, excerpt in shown(path, given.newest):
            total += 1
            for kind in wrong(title, url, excerpt):
                counts[kind] += 1
                examples[kind].append(f"{path.name}: {title[:70]!r} {url[:70]} {excerpt[:120]!r}")
    rates = {kind: counts[kind] / max(1, total) for kind in KINDS}
    if given.json:
        print(json.dumps({"benchmark": "rates", "figures": rates, "goals": dict.fromkeys(KINDS, GOAL)}))
        return
    print(f"{total} stories of {folder}")
    for kind, rate in rates.items():
        print(f"{kind:12} {counts[kind]:5} {rate:7.2%}   goal {GOAL:.1%}")
        for example in examples[kind][: given.show]:
            print(f"    {example}")


if __name__ == "__main__":
    main()
