#!/usr/bin/env python3
"""Read the dates of docs/reading.md, and many more made from CLDR, and count how many are read as they are meant.

    dates.py [--quick] [--json]

For each set: the share that is read right (to the second; a row that is no date must be none), the number that is
wrong by more than a day, and microseconds a date; beside them what feedparser and the standard library's `email.utils`
make of the same.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).parents[1] / "docs" / "reading.md"
NOW = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)  # when the table stands
GOALS = {"table_right": 0.95, "table_wrong": 0, "made_right": 0.95, "made_wrong": 0}
FORMS = ("d MMMM y HH:mm", "EEE, d MMM y HH:mm", "EEEE, d. MMMM y, HH:mm", "d MMM y HH:mm")


class Row(NamedTuple):
    """A date as it is written, in a feed of a language with some dates elsewhere; `meant` is None for no date."""

    section: str
    written: str
    language: str = ""
    elsewhere: tuple[str, ...] = ()
    meant: datetime | None = None


def table() -> list[Row]:
    """The rows of docs/reading.md."""
    found, section = [], ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            section = line[4:]
        if match := re.fullmatch(r"\| `(.+?)` \| ([\w-]*) \| (?:`(.+)`)? ?\| (.+) \|", line):
            meant = None if match[4] == "—" else datetime.fromisoformat(match[4]).replace(tzinfo=UTC)
            elsewhere = tuple(part.strip() for part in (match[3] or "").split(";") if part.strip())
            found.append(Row(section, match[1], match[2], elsewhere, meant))
    return found


def made(*, quick: bool) -> list[Row]:
    """Every month in every language whose names are known, in forms that people write."""
    from babel.dates import format_datetime

    from digest.parse.months import LANGUAGES

    found = []
    for language in LANGUAGES[:: 5 if quick else 1]:
        if language in ("fa", "th", "ga"):  # calendars of their own, and names of two words
            continue
        for month in range(1, 13):
            # Dates in Korean are Korean time.
            at = datetime(2025, month, 9, 12, 5, tzinfo=UTC)
            meant = at - timedelta(hours=9) if language == "ko" else at
            for form in FORMS:
                written = format_datetime(at, form, locale=language)
                found.append(Row("made", written, language, (), meant))
    return found


def ours(row: Row) -> datetime | None:
    from digest.parse.dates import Dates

    return Dates(NOW, row.language, lambda: (*row.elsewhere, row.written)).read(row.written)


def feedparsers(row: Row) -> datetime | None:
    from feedparser.datetimes import _parse_date

    found = _parse_date(row.written)
    return datetime(*found[:6], tzinfo=UTC) if found else None


def librarys(row: Row) -> datetime | None:
    found = parsedate_to_datetime(row.written)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def measure(rows: list[Row], read: Callable[[Row], datetime | None]) -> dict[str, float]:
    """How a reader does on rows: `right` is a share, `wrong` a number (by more than a day), `microseconds` each."""
    right = wrong = 0
    began = time.perf_counter()
    for row in rows:
        try:
            found = read(row)
        except Exception:  # what a reader makes of dates that are none
            found = None
        right += found == row.meant
        wrong += found is not None and (row.meant is None or abs(found - row.meant) > timedelta(days=1))
    took = time.perf_counter() - began
    return {"right": round(right / len(rows), 4), "wrong": wrong, "microseconds": round(took / len(rows) * 1e6, 1)}


def missed(rows: list[Row]) -> Iterator[Row]:
    return (row for row in rows if ours(row) != row.meant)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a fifth of the languages")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    sets = {"table": table(), "made": made(quick=asked.quick)}
    ours(Row("", "27 novembre 2026"))  # names of months are loaded once
    results: dict[str, Any] = {
        name: {"rows": len(rows)} | {reader.__name__: measure(rows, reader) for reader in (ours, feedparsers, librarys)}
        for name, rows in sets.items()
    }
    reached = {f"{name}_{what}": results[name]["ours"][what] for name in sets for what in ("right", "wrong")}
    ok = all(reached[k] >= v if k.endswith("right") else reached[k] <= v for k, v in GOALS.items())
    if asked.json:
        print(json.dumps({"results": results, "goals": GOALS, "ok": ok}))
        return 0 if ok else 1
    for name, found in results.items():
        print(f"{name}: {found['rows']} dates")
        for reader in ("ours", "feedparsers", "librarys"):
            of = found[reader]
            right, wrong, cost = of["right"], of["wrong"], of["microseconds"]
            print(f"  {reader:12} right {right:7.1%}   wrong by more than a day {wrong:4}   {cost} µs")
    for row in [*missed(sets["table"]), *missed(sets["made"])][:20]:
        print(f"  not as meant: {row.written!r} ({row.language or 'no language'}): {ours(row)}, not {row.meant}")
    print("goals reached" if ok else f"goals missed: {GOALS}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
