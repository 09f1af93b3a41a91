"""How fast feeds are collected: side by side with rss2email, then many feeds with nothing new.

    python benchmarks/collect.py [--quick] [--json] [--r2e PATH]

Two hundred real feeds are served on loopback with 50 ms before each answer. rss2email (PyPI, installed into a virtual
environment of its own unless --r2e names one) and ours ask them in turn, from empty and again with nothing new.
rss2email writes a mail per entry into a Maildir as it goes; ours stores the entries, and mails are made later: the
comparison is of one pass over the feeds, not of the same work. `pass` is that alone (`collect.run`), without the start
of the interpreter and imports of both; `run` and `collect` are the commands `digest run` and `digest collect` beside
`r2e run`, each as a process from its start to its end. `cpu` is what a process takes of the processor.

`bare_httpx` is what the parts alone take, in the same turns: a process that imports sqlmodel, Typer and httpx, and
asks the same feeds by one client of httpx with what they said of themselves before. It knows no bounds, turns or
leases, and stores nothing; `bare_httpx_pass` is its asking alone. That is the measure of a goal that cannot be had:
one above these ratios asks for more than the parts give whoever uses them plainly. It is no hard bound: ours goes
around the client of httpx, and asks by its messages and h11.

Ours takes two cores where rss2email takes one, and waits less: on a machine with other work (`load_average`, at the
start and the end) the ratios are smaller.

Then synthetic feeds with nothing new: feeds per second, the memory of the process at a tenth of them and at all, and
what each takes of the processor, beside httpx alone: the same requests to the same server, as above.

The feeds are the corpus of the project (DIGEST_CORPUS, else ../shared/corpus beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
CORPUS = Path(os.environ.get("DIGEST_CORPUS", ROOT.parent / "shared" / "corpus"))
LATENCY_MS = 50
GOALS = {
    "nothing_new_pass_ratio": 30.0,
    "nothing_new_collect_ratio": 15.0,
    "from_empty_pass_ratio": 8.0,
    "peak_mb": 150.0,
}
SETTINGS = """
database = "digest.db"
secret_key = "0123456789abcdef"
[collect]
allow_private_addresses = true
interval_minutes = 0
[newsletters.daily]
title = "Daily"
from = "news@example.org"
"""

OURS = """
import json, os, resource, sys, time
from datetime import UTC, datetime
from digest import collect, event_loop
from digest.store import newsletters, open_database
from digest.config import Config

path, urls, limit = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
clock = lambda: datetime.now(UTC)
config = Config.model_validate({
    "secret_key": "0123456789abcdef", "collect": {"allow_private_addresses": True, "interval_minutes": 0},
    "newsletters": {"daily": {"title": "Daily", "from": "news@example.org"}},
})
new = not os.path.exists(path)
database = open_database(f"sqlite:///{path}", create=True)
if new:
    newsletters.keep(database, ["daily"], now=clock())
    outlines = [collect.sources.Outline(url) for url in urls[:limit]]
    collect.import_feeds(database, outlines, name="daily", newsletter=config.newsletters["daily"], now=clock())
collect.run  # what it imports is no part of the pass
began, cpu = time.perf_counter(), time.process_time()
report = event_loop.run(lambda: collect.run(database, config, clock=clock, force=True))
took, cpu = time.perf_counter() - began, time.process_time() - cpu
assert not report.failed, report.failures[:3]
print(json.dumps({
    "pass": took, "cpu_of_pass": cpu, "asked": report.asked, "new": report.new, "unchanged": report.unchanged,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""

THEIRS = """
import json, sys, time
import rss2email.main

began = time.perf_counter()
rss2email.main.run(["-c", sys.argv[1], "-d", sys.argv[2], "run"])
print(json.dumps({"pass": time.perf_counter() - began}))
"""

PARTS = """
import asyncio, json, os, sys, time
from digest import event_loop
from digest.collect.client import httpx
import sqlmodel, typer

urls, path = json.load(open(sys.argv[1])), sys.argv[2]
known = json.load(open(path)) if os.path.exists(path) else {}
said = {}

async def main():
    seats = asyncio.Semaphore(100)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as client:
        async def ask(url):
            async with seats:
                answer = await client.get(url, headers=known.get(url, {}))
            sent = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
            said[url] = {name: answer.headers[of] for name, of in sent.items() if of in answer.headers}
            return answer.status_code == 304
        began, cpu = time.perf_counter(), time.process_time()
        same = await asyncio.gather(*map(ask, urls))
        return {
            "pass": time.perf_counter() - began, "cpu_of_pass": time.process_time() - cpu, "unchanged": sum(same)
        }

print(json.dumps(event_loop.run(main)))
if not known:
    json.dump(said, open(path, "w"))
"""
# As the installed program does.
COMMAND = "import sys; from digest.cli import main; sys.argv = ['digest', '-q', {!r}, '--json']; main()"


def timed(*words: object, folder: Path = ROOT) -> dict[str, Any]:
    """Run a driver; its own figures, with `command`, the seconds from start to end, and `cpu`, of the processor."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, cwd=folder)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return told | {"command": took, "cpu": cpu}


@contextmanager
def served(latency_ms: int) -> Iterator[str]:
    """The corpus on loopback."""
    words = [sys.executable, CORPUS / "serve.py", "--port", "0", "--quiet", "--latency-ms", latency_ms]
    server = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[0].rstrip("/")
    finally:
        server.terminate()
        server.wait()


def rss2email_python(option: str | None) -> Path:
    """The interpreter of an environment that has rss2email; made once, in the user's cache."""
    if option:
        return Path(option).parent / "python"
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "digest-benchmarks" / "rss2email"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "rss2email==3.14"], check=True)
    return python


class Rival:
    """rss2email with a Maildir, subscribed to the feeds."""

    def __init__(self, folder: Path, python: Path, urls: list[str]) -> None:
        self._folder, self._python = folder, python
        self._config, self._data = folder / "r2e.cfg", folder / "r2e.json"
        outlines = "".join(f'<outline type="rss" text="{n}" xmlUrl="{url}"/>' for n, url in enumerate(urls))
        (folder / "list.opml").write_text(f'<opml version="1.0"><head/><body>{outlines}</body></opml>')
        self._r2e("new", "reader@example.org")
        settings = self._config.read_text().replace("email-protocol = sendmail", "email-protocol = maildir")
        maildir = folder / "maildir"
        self._config.write_text(settings.replace("maildir-path = ~/Maildir", f"maildir-path = {maildir}"))
        assert str(maildir) in self._config.read_text()
        for name in ("cur", "new", "tmp"):
            (maildir / "INBOX" / name).mkdir(parents=True)
        self._r2e("opmlimport", folder / "list.opml")

    def _r2e(self, *words: object) -> None:
        code = "import sys, rss2email.main; rss2email.main.run(sys.argv[1:])"
        call = [self._python, "-c", code, "-c", self._config, "-d", self._data, *words]
        subprocess.run([str(w) for w in call], check=True, capture_output=True)

    def run(self) -> dict[str, Any]:
        return timed(self._python, "-c", THEIRS, self._config, self._data)

    def mails(self) -> int:
        return sum(1 for path in (self._folder / "maildir").rglob("*") if path.is_file())


def side_by_side(base: str, *, feeds: int, rounds: int, python: Path) -> dict[str, Any]:
    """Both from empty, then both with nothing new, in turn."""
    names = sorted(path.name for path in (CORPUS / "feeds").iterdir() if path.name != "index.tsv")[:feeds]
    urls = [f"{base}/feeds/{quote(name)}" for name in names]
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(rounds):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            (folder / "urls.json").write_text(json.dumps(urls))
            rival = Rival(folder, python, urls)
            (folder / "digest.toml").write_text(SETTINGS)

            def note(what: str, **found: dict[str, Any]) -> None:
                for who, result in found.items():
                    for part in ("pass", "command", "cpu"):
                        times.setdefault(f"{what} {who} {part}", []).append(result.get(part, 0.0))

            ours = (sys.executable, "-c", OURS, folder / "digest.db", folder / "urls.json", feeds)
            note("from_empty", theirs=rival.run(), ours=timed(*ours))
            command(folder, "run", feeds=feeds)  # which decides about what came
            parts = (sys.executable, "-c", PARTS, folder / "urls.json", folder / "said.json")
            timed(*parts)
            theirs, our = rival.run(), timed(*ours)
            note(
                "nothing_new",
                theirs=theirs,
                ours=our,
                bare_httpx=timed(*parts),
                **{w: command(folder, w, feeds=feeds) for w in ("run", "collect")},
            )
            stored, mailed = our["unchanged"], rival.mails()
            shutil.rmtree(folder)
    middle = {name: median(found) for name, found in times.items()}
    figures: dict[str, Any] = {"feeds": feeds, "unchanged": stored, "mails": mailed}
    for what, who, part in (
        ("from_empty", "ours", "pass"),
        ("nothing_new", "ours", "pass"),
        ("nothing_new", "run", "command"),
        ("nothing_new", "collect", "command"),
        ("nothing_new", "bare_httpx", "command"),
        ("nothing_new", "bare_httpx", "pass"),
    ):
        name = part if who == "ours" else who if part == "command" else f"{who}_{part}"
        took, against = middle[f"{what} {who} {part}"], f"{what} theirs {part}"
        figures[f"{what}_{name}_s"] = round(took, 2)
        figures[f"{what}_{name}_rss2email_s"] = round(middle[against], 2)
        figures[f"{what}_{name}_ratio"] = round(middle[against] / took, 1)
        if part == "command":
            figures[f"{what}_{name}_cpu_s"] = round(middle[f"{what} {who} cpu"], 2)
    return figures | {"nothing_new_rss2email_cpu_s": round(middle["nothing_new theirs cpu"], 2)}


def command(folder: Path, word: str, *, feeds: int) -> dict[str, Any]:
    """`digest run` or `digest collect` with nothing new, as a process of its own."""
    done = timed(sys.executable, "-c", COMMAND.format(word), folder=folder)
    report = done["collect"] if word == "run" else done
    assert (report["asked"], report["unchanged"]) == (feeds, feeds), report
    return done


def many(base: str, *, feeds: int) -> dict[str, Any]:
    """Synthetic feeds with nothing new: how many a second, and whether memory grows with their number."""
    urls = [f"{base}/synthetic/{n}?items=2" for n in range(feeds)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "urls.json").write_text(json.dumps(urls))
        results = {}
        for count in (feeds // 10, feeds):
            ours = (sys.executable, "-c", OURS, folder / f"{count}.db", folder / "urls.json", count)
            timed(*ours)
            results[count] = timed(*ours)
            assert results[count]["unchanged"] == count
        for _ in range(2):
            alone = timed(sys.executable, "-c", PARTS, folder / "urls.json", folder / "said.json")
        assert alone["unchanged"] == feeds
    few, all_ = results[feeds // 10], results[feeds]
    return {
        "synthetic_feeds": feeds,
        "feeds_per_second": round(feeds / all_["pass"]),
        "peak_mb_at_a_tenth": round(few["peak_mb"]),
        "peak_mb": round(all_["peak_mb"]),
        "cpu_ms_a_feed": round(1000 * all_["cpu_of_pass"] / feeds, 2),
        "cpu_ms_a_request_of_httpx_alone": round(1000 * alone["cpu_of_pass"] / feeds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer feeds, one round: under a minute")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--r2e", help="the r2e command of an installed rss2email")
    options = parser.parse_args()
    if not (CORPUS / "serve.py").is_file():
        sys.exit(f"no corpus at {CORPUS}; DIGEST_CORPUS names it")
    python = rss2email_python(options.r2e)
    load = os.getloadavg()[0]
    with served(LATENCY_MS) as base:
        urlopen(base + "/").close()
        figures = side_by_side(
            base, feeds=60 if options.quick else 200, rounds=1 if options.quick else 3, python=python
        )
    with served(0) as base:
        figures |= many(base, feeds=500 if options.quick else 10_000)
    figures["load_average"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    figures["goals"] = GOALS
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<36} {value}")


if __name__ == "__main__":
    main()
