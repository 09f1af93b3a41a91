"""`python -m tests.simulation`: plays histories, or one in words."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import time
from collections import Counter

from . import bugs
from .history import Verdict, play
from .plan import FAMILIES
from .world import Theatre, installed

# Among others, these long ones are played only at each so many-th seed.
RARE = {"line": 2, "pace": 5, "restores": 3, "poured": 3, "returns": 2}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this family; may be repeated")
    parser.add_argument("--seed", type=int, help="play this history alone, and tell it in words")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=0, help="how many histories of each family")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of CPU, without --count: a busy machine plays as many"
    )
    parser.add_argument("--show", type=int, default=5, help="how many violations to tell of each family")
    parser.add_argument("--until-wrong", action="store_true", help="stop at the first violation")
    parser.add_argument("--bugs", metavar="WORDS", nargs="?", const="", help="seek errors put in on purpose")
    options = parser.parse_args()
    if options.bugs is not None:
        return bugs.seek_all(options.seconds, options.bugs)
    families = options.family or list(FAMILIES)
    theatre = Theatre()
    with installed():
        if options.seed is not None:
            wrong = 0
            for family in families:
                verdict = play(theatre, options.seed, family)
                print("\n".join(verdict.words()))
                wrong += len(verdict.wrong)
            return 1 if wrong else 0
        return _many(theatre, families, options)


def _many(theatre: Theatre, families: list[str], options: argparse.Namespace) -> int:
    began, played, bad = time.perf_counter(), Counter[str](), Counter[str]()
    spent = Counter[str]()
    kinds: dict[tuple[str, str], list[int]] = {}
    seed = options.first
    while True:
        for family in families:
            if len(families) > 1 and seed % RARE.get(family, 1):
                continue
            start = time.process_time()
            verdict = play(theatre, seed, family)
            spent[family] += time.process_time() - start  # type: ignore[assignment]
            played[family] += 1
            if verdict.wrong:
                bad[family] += 1
                for words in verdict.wrong:
                    seeds = kinds.setdefault((family, kind(words)), [])
                    if seed not in seeds:
                        seeds.append(seed)
                if bad[family] <= options.show:
                    _tell(verdict)
                if options.until_wrong:
                    return 1
            if not options.count and spent.total() > options.seconds:
                break
        seed += 1
        if played.total() % 50 < len(families):
            gc.collect()
        if options.count and seed >= options.first + options.count:
            break
        if not options.count and spent.total() > options.seconds:
            break
    took = time.perf_counter() - began
    for (family, what), seeds in sorted(kinds.items()):
        print(f"{family:<14} {len(seeds):>4}  {what}: {', '.join(map(str, seeds[:6]))}")
    for family in families:
        each = spent[family] / max(1, played[family])
        print(f"{family:<14} {played[family]:>6} histories, {bad[family]:>5} wrong, {1000 * each:.0f} ms of CPU each")
    total = played.total()
    cpu = sum(spent.values())
    print(
        f"{total} histories in {took:.0f} s, {60 * total / took:.0f} a minute ({60 * total / cpu:.0f} of CPU), "
        f"{bad.total()} with a violation"
    )
    return 1 if bad else 0


def kind(words: str) -> str:
    """What a violation has in common with others: its words without names and numbers."""
    words = re.sub(r"\S+@\S+", "READER", words)
    return re.sub(r"[0-9.]+", "N", words.replace("digest-simulation", ""))[:110]


def _tell(verdict: Verdict) -> None:
    print(f"{verdict.plan.family} --seed {verdict.plan.seed}")
    for words in verdict.wrong[:3]:
        print(f"    {words}")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # A set of words must have the same order in each process, or a seed would not give the same history.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
