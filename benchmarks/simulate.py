"""How many histories a minute the simulation plays on one core, by family, and what it finds.

    python benchmarks/simulate.py [--quick] [--json] [--histories N] [--first SEED]

`--histories` is how many of each family; the goals are a thousand delivery histories a minute, and no violation.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOAL = 1000  # delivery histories in a minute of one core
NOT_COUNTED = ("line", "pace")  # whole lines, and long ones: as many as they cost


@dataclass
class Played:
    """What came of one family."""

    histories: int = 0
    seconds: float = 0.0  # of CPU
    letters: int = 0
    runs: int = 0
    violations: dict[int, list[str]] = field(default_factory=dict)  # by seed


def play(families: list[str], first: int, histories: int) -> dict[str, Played]:
    from tests.simulation.history import play
    from tests.simulation.world import Theatre, installed

    played = {family: Played() for family in families}
    theatre = Theatre()
    with installed():
        for family in families:  # what is made once is not measured
            for seed in range(first + histories, first + histories + min(8, 1 + histories // 10)):
                play(theatre, seed, family)
        gc.collect()
        gc.freeze()
        for seed in range(first, first + histories):
            for family, one in played.items():
                began = time.process_time()
                verdict = play(theatre, seed, family)
                one.seconds += time.process_time() - began
                one.histories += 1
                one.letters += verdict.letters
                one.runs += verdict.runs
                if verdict.wrong:
                    one.violations[seed] = verdict.wrong
            if seed % 20 == 0:
                gc.collect()
    return played


def main() -> int:
    from tests.simulation.plan import FAMILIES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 histories of each family")
    parser.add_argument("--histories", type=int, default=200, help="of each family")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    began = time.perf_counter()
    histories = 10 if options.quick else options.histories
    played = play(options.family or list(FAMILIES), options.first, histories)
    rates = {name: 60 * one.histories / one.seconds for name, one in played.items()}
    counted = [one for name, one in played.items() if name not in NOT_COUNTED]
    seconds = sum(one.seconds for one in counted)
    rate = 60 * sum(one.histories for one in counted) / seconds if seconds else 0.0
    violations = sum(len(one.violations) for one in played.values())
    result = {
        "histories": sum(one.histories for one in played.values()),
        "letters": sum(one.letters for one in played.values()),
        "runs": sum(one.runs for one in played.values()),
        "seconds": round(time.perf_counter() - began, 1),
        "delivery_histories_per_minute": round(rate),
        "violations": violations,
        "families": {
            name: {
                "histories": one.histories,
                "per_minute": round(rates[name]),
                "letters": one.letters,
                "runs": one.runs,
                "violations": one.violations,
            }
            for name, one in played.items()
        },
        "goals": {
            "delivery_histories_per_minute": {"goal": GOAL, "reached": rate >= GOAL},
            "violations": {"goal": 0, "reached": not violations},
        },
    }
    if options.as_json:
        print(json.dumps(result, indent=2))
    else:
        for name, one in played.items():
            print(f"{name:<14} {one.histories:>6} histories, {rates[name]:>5.0f} a minute, {len(one.violations)} wrong")
            for seed, words in list(one.violations.items())[:3]:
                most = Counter(words).most_common(1)[0][0]
                print(f"    python -m tests.simulation --family {name} --seed {seed}: {most}")
        print(f"deliveries: {rate:.0f} a minute of one core (goal {GOAL}); {violations} with a violation (goal 0)")
    return 0 if not violations else 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of words in the same order in each process
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONHASHSEED": "0"})
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
