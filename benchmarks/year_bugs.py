"""Errors put into a copy of digest on purpose, one at a time: does `readers_year` find each?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Bug:
    name: str
    file: str  # below digest/
    old: str
    new: str
    kind: str  # of the goals the one that says so


BUGS = (
    Bug(
        "while clocks are put forward, letters come an hour early",
        "schedule.py",
        "return sorted({datetime.combine(day, at, self.zone).astimezone(UTC) for at in self.times})",
        "local = [datetime.combine(day, at, self.zone) for at in self.times]\n"
        "        return sorted({one.astimezone(UTC) - (one.dst() or timedelta()) for one in local})",
        "wrong_hour",
    ),
    Bug(
        "who moves west has two letters on one day",
        "schedule.py",
        "found.append(Turn(max(coming, now), coming_or_last, reader._begin(day), made_up))",
        "found.append(Turn(max(coming, now), coming_or_last, None, made_up))",
        "wrong_hour",
    ),
    Bug(
        "who had a letter yesterday has none today",
        "schedule.py",
        "found.append(Turn(max(coming, now), coming_or_last, reader._begin(day), made_up))",
        "found.append(Turn(max(coming, now), coming_or_last, reader._begin(day) - timedelta(days=1), made_up))",
        "missing",
    ),
    Bug(
        "another zone is a day without a letter",
        "subscribe/preferences.py",
        "            setattr(subscription, name, stored)\n",
        "            setattr(subscription, name, stored)\n"
        "            if name == 'zone' and subscription.offered_at:\n"
        "                from datetime import timedelta\n"
        "                subscription.offered_at += timedelta(days=1)\n",
        "missing",
    ),
    Bug(
        "a zone of one's own is forgotten",
        "schedule.py",
        "clock = ZoneInfo(zone) if zone else",
        "clock = ZoneInfo(zone) if not zone else",
        "wrong_hour",
    ),
    Bug(
        "a day that was missed is not made up for",
        "schedule.py",
        "    if reader.days.rare:\n        # Where",
        "    if False:\n        # Where",
        "missing",
    ),
    Bug(
        "who comes back gets all they missed",
        "store/pauses.py",
        "    return sa.case((last > Subscription.read_until, last), else_=col(Subscription.read_until))",
        "    return col(Subscription.read_until)",
        "unwanted",
    ),
    Bug(
        "watermarks move to a story more than the letter had",
        "store/recipients.py",
        "read_until=upto, chosen_from={}",
        "read_until=upto + 1, chosen_from={}",
        "missing",
    ),
    Bug(
        "watermarks stay a story behind",
        "store/recipients.py",
        "read_until=upto, chosen_from={}",
        "read_until=upto - 1, chosen_from={}",
        "unwanted",
    ),
    Bug(
        "who mutes a thing is rendered it",
        "edition/variants.py",
        " and story.seq not in choices.muted",
        "",
        "unwanted",
    ),
    Bug(
        "an order takes away what it puts last",
        "edition/variants.py",
        " and story.seq not in choices.muted",
        " and story.seq not in choices.muted and dict(choices.moved).get(story.seq, 0) >= 0",
        "missing",
    ),
    Bug(
        "a topic that is renamed stays as readers chose it",
        "store/renames.py",
        "    _swap(session, Subscription, _readers(paper), old, new)\n",
        "",
        "missing",
    ),
)
SPANS = (("2026-03-25", 13), ("2026-10-21", 13))  # clocks go forward here and back there, and the other way round


@dataclass(frozen=True)
class Played:
    """What went wrong in a span, by its goal, and the first of it in words."""

    wrong: dict[str, int]
    words: str


def seek(bug: Bug) -> tuple[str, str]:
    """Play a copy that has this bug: ("found", ...), "MISSED", or "stale" where the text to change is there no more."""
    with tempfile.TemporaryDirectory(prefix="digest-bug-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "digest", folder / "digest", ignore=shutil.ignore_patterns("__pycache__"))
        for one in ("templates", "benchmarks"):
            (folder / one).symlink_to(ROOT / one)
        path = folder / "digest" / bug.file
        text = path.read_text(encoding="utf-8")
        if bug.old not in text:
            return "stale", ""
        path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
        told = []
        for begin, days in SPANS:
            played = _play(folder, begin, days)
            if played.wrong[bug.kind]:
                return "found", f"{played.words} {played.wrong}"
            told.append(f"{begin}: {played.wrong} {played.words}")
        return "MISSED", "; ".join(told)


def _play(folder: Path, begin: str, days: int) -> Played:
    words = ["--json", "--show", "1", "--begin", begin, "--days", str(days), "--readers", "40"]
    words += ["--haste", "4", "--until", "1"]
    done = subprocess.run(
        [sys.executable, str(folder / "benchmarks" / "readers_year.py"), *words],
        env=os.environ | {"PYTHONPATH": str(folder)}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = re.findall(r"^\{.*\}$", done.stdout, re.M)
    if not lines:
        raise SystemExit(done.stderr[-2000:])
    said = json.loads(lines[-1])
    return Played({goal: said[goal] for goal in said["goals"]}, done.stderr.strip()[:110])


def seek_all(only: str = "") -> int:
    """Print what became of each; 1 where one is not found by its own goal, or is stale.

    What is found says something only where the same spans are as they should be without a bug: that is played first.
    """
    for begin, days in SPANS:
        played = _play(ROOT, begin, days)
        if any(played.wrong.values()):
            print(f"unsound {days} days from {begin} on are wrong without a bug: {played.words}", flush=True)
            return 1
    missed = 0
    for bug in BUGS:
        if only in bug.name:
            how, words = seek(bug)
            missed += how != "found"
            print(f"{how:<7} {bug.kind}: {bug.name} ({bug.file}): {words}", flush=True)
    return 1 if missed else 0
