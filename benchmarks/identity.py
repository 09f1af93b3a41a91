#!/usr/bin/env python3
"""Publishers who change guids, links, dates and titles of what they published: what is lost, what comes twice.

    python benchmarks/identity.py [--quick] [--json] [--days N] [--seed N] [PATTERN …]

Each pattern is one feed, fetched once a day for 60 simulated days (10 with --quick), parsed, saved and admitted by the
product's own code, in process. Goals: entries lost 0, mailed twice 0. What is undecidable says `tests/churn.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import churn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 days")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--days", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="those whose name has this in it")
    options = parser.parse_args()
    days = options.days or (10 if options.quick else 60)
    names = [name for name in churn.PATTERNS if not options.patterns or any(p in name for p in options.patterns)]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        fates = churn.simulate(Path(folder), days=days, names=names, seed=options.seed)
    figures = {
        "patterns": len(fates),
        "days": days,
        "entries": sum(len(fate.shown) for fate in fates.values()),
        "lost": sum(fate.lost for fate in fates.values()),
        "mailed_twice": sum(fate.mailed_twice for fate in fates.values()),
        "stored_twice": sum(fate.twice for fate in fates.values()),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"{'entries':>7} {'lost':>5} {'mailed twice':>12} {'stored twice':>12}  {'pattern':<52} identity")
        for name, fate in fates.items():
            line = f"{len(fate.shown):>7} {fate.lost:>5} {fate.mailed_twice:>12} {fate.twice:>12}"
            print(f"{line}  {name:<52} {fate.identity}")
        print(", ".join(f"{name} {value}" for name, value in figures.items()))
    sys.exit(1 if figures["lost"] or figures["mailed_twice"] else 0)


if __name__ == "__main__":
    main()
