#!/usr/bin/env python3
"""Read mails that came back, of a corpus with an index, and count what is understood as the index has it.

    bounces.py [--quick] [--json] [--show] [--corpus FOLDER]

The corpus is a folder `bounces` with `index.tsv` (DIGEST_CORPUS names the folder above it). By class of the index:
kinds right, and the recipient found where the index knows one (it has some from headers, and whom the report is for
among them: then as many as failed must be found; "strictly" wants all). Where the index gives no reason it only knows
whether a failure is for good (flufl.bounce tells no more): there any that is not merely a delay is a hard one. `--show`
lists what is wrong, `--quick` takes each third mail.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
GOALS = {"kinds": 0.97, "recipients": 0.99, "crashes": 0}


def corpus(given: str | None) -> Path:
    place = Path(given or os.environ.get("DIGEST_CORPUS") or ROOT.parent / "shared" / "corpus")
    return place if (place / "index.tsv").exists() else place / "bounces"


def expected(said: str) -> set[str] | None:
    """The classes that the index has for a mail; None where it has none."""
    if said in ("", "?"):
        return None
    if said.startswith("none"):
        inside = said[5:-1].partition(":")[0] if "(" in said else "none"
        return {{"complaint": "complaint", "auto-reply": "auto-reply"}.get(inside, "none")}
    return set(said.split("+"))


def classes(report: Any) -> set[str]:
    """What we say of it, in the words of the index: what is ours to mend is no hard bounce there."""
    from digest.hear.report import Kind

    names = {
        Kind.HARD: "hard", Kind.SOFT: "soft", Kind.DELAYED: "soft", Kind.POLICY: "soft",
        Kind.COMPLAINT: "complaint", Kind.VACATION: "auto-reply", Kind.CHALLENGE: "auto-reply",
    }  # fmt: skip
    return {names.get(kind, "none") for kind in report.kinds}


def read(path: Path) -> Any:
    """What a file says: of an mbox, all of its mails together."""
    from digest.hear import understand
    from digest.hear.sources import Mbox

    raw = path.read_bytes()
    mails = [mail.raw for mail in Mbox(path).mails("")] if raw.startswith(b"From ") and b"\n" in raw else [raw]
    first, *others = [understand(one) for one in mails or [raw]]
    more = tuple(one for report in others for one in report.recipients)
    return replace(first, recipients=first.recipients + more) if first.recipients else first


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    from digest.hear import policy
    from digest.hear.report import BOUNCES, Kind

    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    barred: Counter[str] = Counter()
    wrong, missed, crashes = [], [], []
    known = found = all_named = strictly = 0
    began = time.perf_counter()
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows[:: 3 if quick else 1]:
        path = folder / row["file"]
        if row["kind"].startswith("webhook") or row["kind"].startswith("mbox") or not path.is_file():
            continue
        try:
            report = read(path)
        except Exception as error:
            crashes.append(f"{row['file']}: {error!r}")
            continue
        if (meant := expected(row["expected"])) is not None:
            name = "+".join(sorted(meant))
            total[name] += 1
            lasting = meant == {"hard"} and not row["reason"] and Kind.DELAYED not in report.kinds
            if classes(report) == meant or (lasting and report.kinds <= BOUNCES):
                strictly += classes(report) == meant
                right[name] += 1
            else:
                said = [f"{one.email} {one.kind} {one.reason} {one.status}" for one in report.recipients]
                wrong.append((row["file"], name, row["reason"], row["status"], "+".join(sorted(classes(report))), said))
        for one in report.recipients if meant is not None else ():
            heard = policy.Heard(one.kind, one.reason, one.status)
            if policy.decide(heard, policy.Past(), now=NOW).act is policy.Act.SUPPRESS:
                barred["rightly" if "hard" in meant else "wrongly"] += 1
                if "hard" not in meant:
                    wrong.append((row["file"], "barred", row["reason"], row["status"], one.email, one.status))
        if (
            row["failed_recipient"]
            and "@" in row["failed_recipient"]
            and not row["failed_recipient"].startswith(("\\", "=?"))
        ):
            known += 1
            ours = {one.email.lower() for one in report.recipients} | {
                one.original.lower() for one in report.recipients
            }
            named = set(row["failed_recipient"].lower().split())
            all_named += named <= ours
            # Where it names more than failed, one is whom the report is for: read off a header as well.
            if named <= ours or (len(named) > int(row["recipients_n"] or 0) == len(named & ours)):
                found += 1
            else:
                missed.append((row["file"], row["failed_recipient"], row["recipient_from"], sorted(ours - {""})))
    taken = time.perf_counter() - began
    return {
        "by_class": {name: [right[name], total[name]] for name in sorted(total)},
        "kinds": right.total() / (total.total() or 1),
        "kinds_strictly": strictly / (total.total() or 1),
        "recipients": found / (known or 1),
        "recipients_strictly": all_named / (known or 1),
        "recipients_known": known,
        "barred_at_once": dict(barred),
        "crashes": crashes,
        "goals": GOALS,
        "milliseconds_a_mail": 1000 * taken / max(1, total.total()),
        "wrong": wrong,
        "missed": missed,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    options.add_argument("--show", action="store_true")
    options.add_argument("--corpus")
    given = options.parse_args()
    folder = corpus(given.corpus)
    if not (folder / "index.tsv").exists():
        sys.exit(f"no corpus at {folder}; --corpus or DIGEST_CORPUS names it")
    result = measure(folder, quick=given.quick)
    if given.json:
        print(json.dumps(result, ensure_ascii=False, default=str))
    else:
        for name, (good, all_) in result["by_class"].items():
            print(f"{name:<12} {good:>4} of {all_:<4} {good / all_:6.1%}")
        print(
            f"kinds        {result['kinds']:.1%} (goal {GOALS['kinds']:.0%}); {result['kinds_strictly']:.1%} strictly"
        )
        print(
            f"recipients   {result['recipients']:.1%} of {result['recipients_known']}"
            f" (goal {GOALS['recipients']:.0%}); {result['recipients_strictly']:.1%} strictly"
        )
        barred = result["barred_at_once"]
        print(f"barred       {barred.get('rightly', 0)} at once, and {barred.get('wrongly', 0)} of no hard bounce")
        print(f"crashes      {len(result['crashes'])}; {result['milliseconds_a_mail']:.1f} ms a mail")
        if given.show:
            for one in (*result["crashes"], *result["wrong"], *result["missed"]):
                print(*one, sep="  " if isinstance(one, tuple) else "")
    good = all(result[name] >= GOALS[name] for name in ("kinds", "recipients")) and not result["crashes"]
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
