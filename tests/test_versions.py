"""Libraries whose insides we override, or that stand still: known releases, the plain way back, where they are met."""

from __future__ import annotations

import ast
import logging
import shutil
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import forked
import pytest

from digest import versions

PACKAGE = Path(versions.__file__).parent

LOOK = {
    "uvicorn": "digest/web/heads.py against uvicorn/protocols/http/h11_impl.py (when is `cycle` a new one, when is its "
    "`response_complete` set?) and run tests/test_serving.py",
    "h11": "digest/web/heads.py with uvicorn's (does it still begin a `cycle` when a head has come?) and run "
    "tests/test_serving.py",
    "feedparser": "digest/parse/sax.py against feedparser/mixin.py and util.py, and run tests/test_parse.py and "
    "tests/test_bounds.py",
}


def judged(library: str) -> None:
    if why := versions.unknown(library):
        pytest.fail(f"{why}: compare {LOOK[library]}; then add it to KNOWN in digest/versions.py", pytrace=False)


@pytest.mark.parametrize("library", sorted(versions.KNOWN))
def test_the_release_that_is_installed_is_one_we_know(library: str) -> None:
    judged(library)


@pytest.mark.parametrize("library", sorted(versions.KNOWN))
def test_of_a_release_that_nobody_knows_it_is_said_what_to_look_at(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(versions.KNOWN, library, ("0.1", "0.2"))
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(library)
    said = str(failed.value)
    assert said.startswith(library) and "(0.1 to 0.2): compare digest/" in said and "digest/versions.py" in said
    files = [word for word in said.replace(";", " ").split() if word.startswith(("digest/", "tests/"))]
    assert len(files) >= 3 and all((PACKAGE.parent / one.rstrip(",")).exists() for one in files)


def test_what_is_missing_inside_a_library_is_named() -> None:
    assert versions.lacking({"email.message:Message": ("walk", "_headers"), "email": ("message_from_bytes",)}) == ""
    assert versions.lacking({"email.message:Message": ("_heads",)}) == "email.message.Message has no _heads"
    assert versions.lacking({"email.message:Massage": ("walk",)}) == "email.message.Massage has no walk"
    assert versions.lacking({"emails": ("walk",)}) == "emails has no walk"
    assert versions.unknown("feedparser") == versions.misfit("feedparser", insides={}) == ""


# ---------------------------------------------------------------- uvicorn


SETTINGS = """
database = "{database}"
base_url = "https://digest.example"
secret_key = "a key for tests, long enough"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
postal_address = "1 Example Street"
"""


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that works as it did, and calls one thing within it otherwise."""
    from uvicorn.protocols.http import h11_impl

    source = Path(h11_impl.__file__).read_text(encoding="utf-8")
    assert source.count("response_complete") > 3
    changed = types.ModuleType(h11_impl.__name__)
    exec(compile(source.replace("response_complete", "response_ended"), h11_impl.__file__, "exec"), vars(changed))
    monkeypatch.setitem(sys.modules, h11_impl.__name__, changed)


@pytest.fixture
def unheard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(versions.KNOWN, "uvicorn", ("0.1",))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upgraded_sqlite: Path) -> Iterator[list[tuple[Any, str]]]:
    """`digest serve` in this process: the protocol that it speaks, and what it answers to its only visitor."""
    import httpx
    import uvicorn

    seen: list[tuple[Any, str]] = []
    run = uvicorn.Server.run

    def for_one(server: uvicorn.Server, sockets: Any) -> None:
        thread = threading.Thread(target=run, args=(server, sockets))
        thread.start()
        try:
            transport = httpx.HTTPTransport(uds=sockets[0].getsockname())  # it listens already, and lets us wait
            with httpx.Client(transport=transport, timeout=30) as visitor:
                answer = visitor.get("http://digest.example/ready")
            seen.append((server.config.http_protocol_class, answer.text))
        finally:
            server.should_exit = True
            thread.join()

    monkeypatch.setattr(uvicorn.Server, "run", for_one)
    own = shutil.copy(upgraded_sqlite, tmp_path)  # it is written to, by the real clock
    (tmp_path / "digest.toml").write_text(SETTINGS.format(database=own))
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield seen
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize(
    ("change", "why"),
    [("renamed", "RequestResponseCycle has no response_complete"), ("unheard_of", "none of the releases")],
)
def test_serve_goes_on_with_uvicorns_own_protocol_and_says_which_bound_is_not_held(
    digest: Callable[..., Any], served: list[Any], caplog: Any, request: Any, change: str, why: str
) -> None:
    request.getfixturevalue(change)
    done = digest("serve", "--unix-socket", "s")
    assert (done.returncode, [(kind.__name__, text) for kind, text in served]) == (0, [("H11Protocol", "ok\n")]), done
    [told] = [record for record in caplog.records if record.name.startswith("digest")]
    assert told.levelno == logging.WARNING
    assert why in told.getMessage() and "15 seconds is not hung up on" in told.getMessage()


def test_serve_holds_the_bound_with_a_release_that_is_known(
    digest: Callable[..., Any], served: list[Any], caplog: Any
) -> None:
    assert digest("serve", "--unix-socket", "s").returncode == 0
    assert [(kind.__name__, text) for kind, text in served] == [("HeadInTime", "ok\n")]
    assert not [record for record in caplog.records if record.name.startswith("digest")]


# ---------------------------------------------------------------- feedparser

# With a document type, so that it is feedparser who reads it.
FEED = b"<!DOCTYPE rss><rss version='2.0'><channel><item><title>T</title><author>Ada</author></item></channel></rss>"
Told = tuple[list[tuple[str, str]], list[str], set[bool]]


def read(insides: dict[str, tuple[str, ...]], known: tuple[str, ...], back: Connection) -> None:
    """In a process of its own, since what is overridden stays so: what is read of a feed, what is logged, by which."""
    from datetime import UTC, datetime

    import feedparser.api
    from feedparser.namespaces import mediarss

    from digest import parse
    from digest.parse import sax

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("digest").addHandler(handler)
    sax.INSIDES |= insides
    versions.KNOWN["feedparser"] = known
    for _ in range(2):
        found = parse.feed(FEED, url="https://f.example/feed", now=datetime(2026, 11, 23, tzinfo=UTC))
    entries = [(entry.title, entry.author) for entry in found.entries]
    media = mediarss.Namespace._start_media_content.__module__ != mediarss.__name__
    back.send((entries, lines, {sax.__name__ in feedparser.api.PREFERRED_XML_PARSERS, media}))


def asked(insides: dict[str, tuple[str, ...]], known: tuple[str, ...]) -> Told:
    here, there = forked.context().Pipe()
    process = forked.context().Process(target=read, args=(insides, known, there))
    process.start()
    there.close()
    told: Told = here.recv()
    process.join()
    return told


@pytest.mark.parametrize(
    ("insides", "known", "why"),
    [
        ({"feedparser.mixin:_FeedParserMixin": ("_sync_authors",)}, ("6.0",), "Mixin has no _sync_authors"),
        ({}, ("5.9",), "none of the releases that digest knows (5.9)"),
    ],
    ids=["another inside", "another release"],
)
def test_feeds_are_read_by_feedparser_alone_where_its_insides_are_not_as_we_know_them(
    insides: dict[str, tuple[str, ...]], known: tuple[str, ...], why: str
) -> None:
    entries, lines, ours = asked(insides, known)
    assert entries == [("T", "Ada")] and ours == {False}
    assert len(lines) == 1 and why in lines[0] and "read by its own parser" in lines[0]


def test_feeds_are_read_quickly_with_a_release_that_is_known() -> None:
    assert asked({}, versions.KNOWN["feedparser"]) == ([("T", "Ada")], [], {True})


# ---------------------------------------------------------------- each in one file


ONE_FILE = {
    "premailer": "render/inline.py",
    "uvicorn.protocols": "web/heads.py",
    "feedparser.mixin": "parse/sax.py",
    "feedparser.util": "parse/sax.py",
    "xml.sax.expatreader": "parse/sax.py",
}


def test_what_may_have_to_be_replaced_is_met_in_one_file() -> None:
    met: dict[str, set[str]] = {library: set() for library in ONE_FILE}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not any(library.partition(".")[0] in text for library in ONE_FILE):
            continue
        for name in imported(ast.parse(text)):
            for library in ONE_FILE:
                if f"{name}.".startswith(f"{library}."):
                    met[library].add(path.relative_to(PACKAGE).as_posix())
    assert met == {library: {file} for library, file in ONE_FILE.items()}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
