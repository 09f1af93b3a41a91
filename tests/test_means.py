"""Out of means, as real processes: few files, little memory, no room behind standard output, no UTF-8, no home."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from conftest import Done
from forked import Command, onto, speaking

from digest import collect, config, deliver, means
from digest.cli.terminal import in_words
from digest.deliver.run import _fitting
from digest.demo.site import FeedSite
from digest.store import newsletters, open_database

ROOT = Path(__file__).parent.parent
PLAIN = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DIGEST_COLLECT__ALLOW_PRIVATE_ADDRESSES": "true"}
TITLE = "Ärger mit “Quotes” – 日本…"

Run = Callable[..., subprocess.CompletedProcess[str]]
Fork = Callable[..., Done]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings, and a database with three feeds that were asked and one that has an odd name."""
    folder = tmp_path_factory.mktemp("means")
    settings = folder / "digest.toml"
    settings.write_text(
        'secret_key = "0123456789abcdef"\n[newsletters.daily]\ntitle = "Daily"\nfrom = "news@news.example"\n'
    )
    settings.chmod(0o600)
    found = config.load(settings)
    database = open_database(found.database_url, create=True)
    now = datetime.now(UTC)
    newsletters.keep(database, found.newsletters, now=now)
    collect.add_feed(database, "http://127.0.0.1:1/feed", newsletter="daily", title=TITLE, now=now)
    database.close()
    return folder


@pytest.fixture
def run(base: Path) -> Run:
    """Run the command line in a shell, behind some words that take something away."""

    def call(before: str, command: str, *, after: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        line = f"{before} exec {sys.executable} -m digest -c {base}/digest.toml {command} {after}"
        return subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=base,
            env=PLAIN | environment,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return call


@pytest.fixture
def fork(base: Path) -> Fork:
    """The same in a process that has imported everything before `first` takes something away from it.

    That a process of that kind can be started at all is shown by `run`, for each kind once.
    """

    def call(command: str, *first: Callable[[], object], **environment: str) -> Done:
        words = ("-c", f"{base}/digest.toml", *command.split())
        process = Command(*words, cwd=base, env=PLAIN | environment, first=first)
        said = process.communicate(timeout=120)
        assert process.returncode is not None
        return Done(process.returncode, *said)

    return call


def told(done: subprocess.CompletedProcess[str] | Done, *codes: int) -> str:
    """One sentence with its hint, and no traceback."""
    assert done.returncode in codes, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and done.stderr.count("digest: ") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(("limit", "command"), [(6, "status"), (14, "collect"), (16, "run"), (32, "feed list")])
def test_too_few_open_files_are_told_at_once(run: Run, limit: int, command: str) -> None:
    assert "digest needs 40 at least" in told(run(f"ulimit -n {limit};", command), 71)


def test_with_few_files_feeds_are_asked_with_few_connections(fork: Fork, base: Path) -> None:
    with FeedSite(datetime.now(UTC)) as site:
        found = config.load(base / "digest.toml")
        database = open_database(found.database_url)
        for url, title, _topic in site.urls:
            collect.add_feed(database, url, newsletter="daily", title=title, now=datetime.now(UTC))
        database.close()
        few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 64))
        done = fork("collect --force --json", few, DIGEST_COLLECT__WORKERS="1")
    failures = [one["reason"] for one in json.loads(done.stdout)["failures"]]
    assert done.returncode == 0 and not [reason for reason in failures if "files" in reason]


def test_a_soft_limit_is_raised_where_that_is_allowed(fork: Fork) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert fork("status", partial(resource.setrlimit, resource.RLIMIT_NOFILE, (16, hard))).returncode == 0


def test_connections_are_fitted_to_the_files_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(means, "files_left", lambda _wanted=0: 100)
    assert means.fitting(50, each=2, beside=40, what="x") == 30
    assert means.fitting(20, each=2, beside=40, what="x") == 20
    with pytest.raises(means.OutOfMeans, match="x needs 101 more open files, and this process may have 100"):
        means.fitting(50, each=1, beside=100, what="x")


def test_feeds_and_mail_servers_get_no_more_connections_than_there_are_files_for(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = config.load(base / "digest.toml")
    urls = [{"url": f"smtp://{name}.example", "connections": n} for name, n in (("a", 30), ("b", 10))]
    relays = deliver.Relays()
    relays.add(config.Smtp(relays=urls))
    monkeypatch.setattr(means, "files_left", lambda _wanted=0: 46)
    assert [one.settings.connections for one in _fitting(relays.found).values()] == [15, 5]
    database = open_database(found.database_url)
    seen: list[int] = []
    semaphore = asyncio.Semaphore
    monkeypatch.setattr(asyncio, "Semaphore", lambda n=1: seen.append(n) or semaphore(n))
    asyncio.run(collect.run(database, found, clock=lambda: datetime.now(UTC), force=True))
    assert max(seen) == 4 * 7  # feeds in hand for seven connections, where fifty are set
    monkeypatch.setattr(means, "files_left", lambda _wanted=0: 20)
    with pytest.raises(means.OutOfMeans, match="asking feeds needs"):
        asyncio.run(collect.run(database, found, clock=lambda: datetime.now(UTC)))
    with pytest.raises(means.OutOfMeans, match="sending needs"):
        _fitting(relays.found)
    database.close()


@pytest.mark.long
@pytest.mark.parametrize("megabytes", [60, 120])
def test_little_memory_is_told(run: Run, megabytes: int) -> None:
    told(run(f"ulimit -v {megabytes * 1000};", "run"), 71)


@pytest.mark.parametrize(
    "error",
    [
        OSError(24, "Too many open files"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        BlockingIOError(11, "Resource temporarily unavailable"),
        ImportError("x.so: failed to map segment from shared object"),
        ExceptionGroup(
            "several", [ValueError(), ExceptionGroup("deep", [OSError(23, "Too many open files in system")])]
        ),
    ],
    ids=repr,
)
def test_what_the_system_has_no_more_of_is_known_wherever_it_is_said(error: Exception) -> None:
    wrapped = ValueError("around it")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        found = in_words(one)
        assert found is not None and found.exit_code == 71 and found.hint
    assert in_words(ValueError("ours")) is None and in_words(RuntimeError("ours")) is None


@pytest.mark.parametrize("command", ["feed list --json", "subscriber export"])
def test_no_room_behind_standard_output_is_told(run: Run, fork: Fork, command: str) -> None:
    for done in (run("", "--help", after=">/dev/full"), fork(command, partial(onto, 1, "/dev/full"))):
        assert "standard output: no space left" in told(done, 74)


def test_no_room_for_talk_changes_no_exit_code(run: Run, fork: Fork) -> None:
    assert fork("status", partial(onto, 2, "/dev/full")).returncode == 0
    assert run("", "edition show 9", after="2>/dev/full").returncode == 66


@pytest.mark.long
def test_closed_streams_are_no_error_and_no_place_for_the_database(run: Run, base: Path) -> None:
    done = run("", "feed list", after=">&- 2>&- <&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert "is empty" in run("", "feed import -", after="<&-").stderr
    assert (base / "digest.db").read_bytes().startswith(b"SQLite format 3")


NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("words", "anew"),
    [("list", False), ("list --json", False), ("export", False), ("list", True)],
    ids=["a listing", "JSON", "a list of feeds", "no locale"],
)
def test_a_terminal_that_is_no_utf8_gets_what_it_can_show(run: Run, fork: Fork, words: str, anew: bool) -> None:
    done = run("", f"feed {words}", **NO_LOCALE) if anew else fork(f"feed {words}", partial(speaking, "ascii"))
    assert (done.returncode, done.stderr) == (0, "")
    if words == "list --json":
        assert json.loads(done.stdout)[0]["title"] == TITLE and done.stdout.isascii()
    elif words == "export":
        assert TITLE in done.stdout  # it says of itself that it is UTF-8
    else:
        assert r'\xc4rger mit "Quotes" - \u65e5\u672c...' in done.stdout


def test_no_home_and_nobody_of_our_name_are_no_trouble(fork: Fork) -> None:
    assert "HOME" not in PLAIN and fork("feed list").returncode == 0
    done = fork("status", DIGEST_DATABASE="~no-such-user/x.db")
    assert "whose home" in told(done, 78)


def test_no_folder_for_temporary_files_is_told(run: Run) -> None:
    error = FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
    found = in_words(error)
    assert found is not None and found.exit_code == 74 and "TMPDIR" in found.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write" in told(run("", f"init {tmp_path}/below"), 74)


def test_a_file_that_may_not_grow_is_told(fork: Fork) -> None:
    small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (8 * 1024, 8 * 1024))
    told(fork("feed add --no-check http://127.0.0.1:1/another", small), 74)


def test_settings_that_could_not_be_written_whole_are_made_anew(tmp_path: Path) -> None:
    def init(*first: Callable[[], object]) -> Done:
        process = Command("init", str(tmp_path / "new"), cwd=tmp_path, env=PLAIN, first=first)
        said = process.communicate(timeout=120)
        assert process.returncode is not None
        return Done(process.returncode, *said)

    told(init(partial(resource.setrlimit, resource.RLIMIT_FSIZE, (512, 512))), 74)
    done = init()
    assert done.returncode == 0 and "wrote" in done.stderr and (tmp_path / "new" / "digest.db").exists()
