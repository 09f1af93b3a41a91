"""Kill -9 the whole line, many times, at random moments; then hold the outbox against what the server accepted.

    python benchmarks/crash.py [--quick] [--json] [--postgres] [--kills N] [--hold-kills N] [--readers N]

With --postgres on a PostgreSQL that it starts for itself, or on the server that DIGEST_TEST_POSTGRES names.
The kills come while it collects, composes and delivers. Goals: nobody missing, nobody unexpected, each duplicate
flagged, Message-ID and bytes never changed, each story told once to each reader, the database sound, the audit
right; and with after_crash = "hold" no duplicate at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import crash
import postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 kills of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--kills", type=int, default=200, help='with after_crash = "resend"')
    parser.add_argument("--hold-kills", type=int, default=50, help='with after_crash = "hold"')
    parser.add_argument("--readers", type=int, default=400)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = {}
    good = True
    with ExitStack() as running:
        server = running.enter_context(postgres.server()) if options.postgres else ""
        for after_crash, kills in (("resend", options.kills), ("hold", options.hold_kills)):
            found = crash.run(
                kills=10 if options.quick else kills,
                readers=options.readers,
                after_crash=after_crash,
                connections=options.connections,
                seed=options.seed,
                url=running.enter_context(postgres.fresh(server, after_crash)) if server else "",
            )
            figures[after_crash] = vars(found)  # not `asdict`, which makes nonsense of a Counter
            good &= (found.missing, found.unexpected, found.unflagged, found.changed) == (0, 0, 0, 0)
            good &= (found.untold, found.told_twice) == (0, 0)
            good &= found.adds_up and found.integrity == "ok"
            good &= after_crash == "resend" or found.duplicates == 0
    if options.json:
        print(json.dumps(figures | {"good": good}))
    else:
        for after_crash, found in figures.items():
            print(f"after_crash = {after_crash}")
            for name, value in found.items():
                print(f"  {name:<16}{value}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
