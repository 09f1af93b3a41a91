"""How many machines, addresses and gigabytes so many letters a day want: arithmetic, and no measurement.

    python benchmarks/plan.py [--letters N] [--set NAME=VALUE]... [--json]

Without `--letters` it is worked out for 1, 10 and 100 million a day. Each figure that goes in is a field of `Given` and
can be put in by `--set`; those that are guesses of ours say so, and want your own in their place. docs/scaling.md goes
through what comes out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass, fields, replace

SIZES = (1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Given:
    """What goes in. "Measure" is what your own machines say; "ask" what relays, receivers and landlords say."""

    window_hours: float = 4.0  # from the first letter of a day to the last
    letter_kb: float = 40.0  # on the wire, 1 kB = 1,000 bytes
    letters_per_second: float = 3_000.0  # of one process; half of what a sink on loopback took: benchmarks/scale.py
    second_process: float = 0.8  # what each further process adds of that; the goal of benchmarks/scale.py
    processes_per_machine: int = 4
    seconds_per_letter: float = 0.5  # from MAIL to the answer after DATA, by the relay; a guess, measure
    biggest_share: float = 0.4  # of letters that go to the one receiver with most of them; ask your list
    per_address_a_day: float = 1_000_000.0  # what it takes from one warm address of a relay; a guess, none publishes it
    first_day: float = 500.0  # letters by a cold address on its first day; a guess
    warmer_by: float = 1.5  # times as many on each day after
    spare_addresses: float = 1.25  # for those that are listed or rested
    keep_days: int = 30  # that letters stay in the outbox
    row_bytes: float = 600.0  # a letter in the outbox with its indexes; a guess, measure: pg_total_relation_size
    writes_per_letter: float = 4.0  # owed, claimed, marked, settled
    wal_bytes_per_write: float = 500.0  # a guess, measure: pg_stat_wal
    bloat: float = 1.5  # of tables between two vacuums
    writes_per_second: float = 20_000.0  # that one PostgreSQL takes in batches; a guess, measure
    machine_month: float = 60.0  # money for a machine that sends
    database_month: float = 400.0  # for the one with the database
    address_month: float = 4.0  # for an address and its part of a relay
    gigabyte_month: float = 0.12  # for stored data


@dataclass(frozen=True)
class Plan:
    """What comes out. Rates are by the window, sizes for all days that are kept."""

    letters_a_day: int
    letters_per_second: float
    processes: int
    machines: int
    connections: int  # to relays, at a time, in all
    megabits_per_second: float
    addresses: int  # of relays
    warm_up_days: int
    outbox_rows: int
    outbox_gb: float
    wal_gb_a_day: float
    writes_per_second: float
    of_one_database: float  # the share of what it takes; over 1 the design ends
    finish_hours: float  # as quick as processes and database allow
    cost_per_million: float


def plan(letters: int, given: Given) -> Plan:
    """The figures for so many letters a day, of at least one."""
    rate = letters / (given.window_hours * 3600)
    processes = _processes(rate, given)
    machines = math.ceil(processes / given.processes_per_machine)
    addresses = math.ceil(letters * given.biggest_share / given.per_address_a_day * given.spare_addresses)
    each = letters * given.biggest_share / addresses
    warm = max(0, math.ceil(math.log(each / given.first_day, given.warmer_by))) if each > given.first_day else 0
    rows = letters * given.keep_days
    outbox = rows * given.row_bytes * given.bloat / 1e9
    writes = rate * given.writes_per_letter
    month = (
        machines * given.machine_month
        + given.database_month
        + addresses * given.address_month
        + outbox * given.gigabyte_month
    )
    most = min(_together(processes, given), given.writes_per_second / given.writes_per_letter)
    return Plan(
        letters_a_day=letters,
        letters_per_second=rate,
        processes=processes,
        machines=machines,
        connections=math.ceil(rate * given.seconds_per_letter),  # Little's law
        megabits_per_second=rate * given.letter_kb * 8 / 1000,
        addresses=addresses,
        warm_up_days=warm,
        outbox_rows=rows,
        outbox_gb=outbox,
        wal_gb_a_day=letters * given.writes_per_letter * given.wal_bytes_per_write / 1e9,
        writes_per_second=writes,
        of_one_database=writes / given.writes_per_second,
        finish_hours=letters / most / 3600,
        cost_per_million=month / 30 / (letters / 1e6),
    )


def _processes(rate: float, given: Given) -> int:
    """As few as reach the rate together."""
    beyond = max(0.0, rate - given.letters_per_second)
    return 1 + math.ceil(beyond / (given.letters_per_second * given.second_process))


def _together(processes: int, given: Given) -> float:
    """Letters a second of so many."""
    return given.letters_per_second * (1 + (processes - 1) * given.second_process)


def read(words: list[str]) -> Given:
    """`Given` with NAME=VALUE put in; ValueError in a sentence for a name or value that is none."""
    kinds = {field.name: field.default for field in fields(Given)}
    given = Given()
    for word in words:
        name, _, value = word.partition("=")
        if name not in kinds:
            raise ValueError(f"{name!r} is no figure of the plan; there are: {', '.join(kinds)}")
        try:
            number = type(kinds[name])(value)
        except ValueError:
            raise ValueError(f"{word!r}: that is no number") from None
        if not (math.isfinite(number) and number > 0) or (name == "warmer_by" and number <= 1):
            raise ValueError(f"{word!r}: it has to be more than {1 if name == 'warmer_by' else 0}, and finite")
        given = replace(given, **{name: number})
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, action="append", help="a day")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if min(options.letters or [1]) < 1:
        parser.error("--letters is one or more")
    try:
        given = read(options.set)
    except ValueError as error:
        parser.error(str(error))
    plans = [plan(letters, given) for letters in options.letters or SIZES]
    if options.json:
        json.dump({"given": asdict(given), "plans": [asdict(one) for one in plans]}, sys.stdout)
        print()
        return
    for field in fields(Plan):
        print(f"{field.name:<22}" + "".join(f"{getattr(one, field.name):>18,.6g}" for one in plans))


if __name__ == "__main__":
    main()
