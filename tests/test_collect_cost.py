"""What a pass over feeds costs, counted: statements, transactions, processes, certificates read. Nothing is timed."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import h11
import pytest
import sqlalchemy as sa
import sqlmodel
import test_collect
from sqlmodel import select
from test_collect import MONDAY, Reply, Site, add, rss, run, settings, titles

from digest import collect
from digest.collect import wire, workers
from digest.models import Feed
from digest.store import Database, feed_entries, newsletters, open_database
from digest.store.story_tables import Entry

site, database = test_collect.site, test_collect.database
collecting = sys.modules[collect.run.__module__]


@contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """How often each statement is begun, by its first words."""
    seen: Counter[str] = Counter()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen[" ".join(re.findall(r"[A-Za-z_.]+", statement)[:3])] += 1

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", note)


@contextmanager
def written(database: Database) -> Iterator[list[list[str]]]:
    """The columns of feeds that each statement writes which writes some."""
    seen: list[list[str]] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if found := re.search(r"UPDATE feed SET (.+?)\s+WHERE", statement):
            seen.append(re.findall(r"(\w+)=", found[1]))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(database.engine, "before_cursor_execute", note)


@contextmanager
def by_mappers() -> Iterator[list[str]]:
    """Statements for which the mappers of all tables are set up, which takes as long as asking fifty feeds."""
    seen: list[str] = []

    def note(state: Any) -> None:
        seen.extend([str(state.statement)] if state.is_orm_statement else [])

    sa.event.listen(sqlmodel.Session, "do_orm_execute", note)
    yield seen
    sa.event.remove(sqlmodel.Session, "do_orm_execute", note)


def feeds(site: Site, number: int) -> list[str]:
    """Addresses of feeds with two entries each and a tag."""
    for n in range(number):
        site.pages[f"/{n}"] = Reply(rss(f"{n} one", f"{n} two"), headers={"ETag": f'"{n}"'})
    return [f"{site.base}/{n}" for n in range(number)]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes wait for others as long as there are any."""
    monkeypatch.setattr(collecting, "MOMENT", 60)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("number", [2, 9])
def test_new_feeds_are_stored_together_with_one_statement_for_each_and_one_transaction_for_all(
    database: Database, site: Site, number: int
) -> None:
    add(database, *feeds(site, number))
    with counted(database) as seen:
        assert run(database).new == 2 * number
    # Two claims, of which the second finds nothing, and what came of all; and one look at what each feed had.
    assert seen["BEGIN IMMEDIATE"] == 3
    assert sum(seen.values()) == 22 + number, seen
    with database.read() as session:
        each = [session.exec(select(Entry.title).where(Entry.feed_id == n + 1)).all() for n in range(number)]
        assert sorted(map(sorted, each)) == [[f"{n} one", f"{n} two"] for n in range(number)]
        assert {feed.entry_count for feed in session.exec(select(Feed))} == {2}
        assert all(len(feed.window) == 2 for feed in session.exec(select(Feed)))


@pytest.mark.usefixtures("patient")
def test_feeds_with_nothing_new_cost_no_statement_of_their_own_no_process_nor_certificates(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for number in (1, 9):
        add(database, *feeds(site, number)[len(seen) :])
        run(database, force=True, now=MONDAY.replace(hour=8 + number))
        with monkeypatch.context() as none, counted(database) as statements, by_mappers() as mapped:
            none.setattr(workers, "Worker", None)
            none.setattr(wire.ssl, "create_default_context", None)
            none.setattr(anyio, "Lock", None)  # what loads anyio's part for this loop
            assert run(database, force=True, now=MONDAY.replace(hour=9 + number)).unchanged == number
        seen.append(sum(statements.values()))
        assert mapped == []
    assert seen[0] == seen[1]


@pytest.mark.usefixtures("patient")
def test_of_a_feed_with_nothing_new_only_its_moments_are_written(database: Database, site: Site) -> None:
    add(database, *feeds(site, 3))
    run(database, force=True)
    site.pages["/1"] = Reply(rss("1 one", "1 two"), headers={"ETag": "another"})
    site.pages["/2"] = Reply(status=500)
    with written(database) as columns:
        assert run(database, force=True, now=MONDAY.replace(hour=9)).unchanged == 2
    times = {"checked_at", "ok_at", "next_at", "claimed_at"}
    *claims, same, other = sorted(map(set, columns), key=len)
    assert claims == [{"next_at", "claimed_at"}] * 2
    assert same == times
    assert {*times, "etag", "failures"} < other
    with database.read() as session:
        kept = session.exec(select(Feed.etag, Feed.failures, Feed.checked_at, Feed.claimed_at).order_by(Feed.id)).all()  # type: ignore[arg-type]
    assert [row[:2] for row in kept] == [('"0"', 0), ("another", 0), ('"2"', 1)]
    assert {row[2:] for row in kept} == {(MONDAY.replace(hour=9), None)}


@pytest.mark.parametrize(("wait", "most", "started"), [(60, 2, 1), (0, 2, 2), (0, 1, 1)])
def test_feeds_are_read_by_one_process_until_one_waits_long_for_it(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch, wait: int, most: int, started: int
) -> None:
    monkeypatch.setattr(workers, "WAIT", wait)
    there: list[workers.Worker] = []
    really = workers.Parsers._another
    monkeypatch.setattr(workers.Parsers, "_another", lambda self: there.append(found := really(self)) or found)
    add(database, *feeds(site, 9))
    assert run(database, settings(workers=most)).new == 18
    assert len(there) == started


@pytest.mark.usefixtures("patient")
def test_what_weighs_much_does_not_wait_for_others(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "HEAVY", 1)
    add(database, *feeds(site, 4))
    with counted(database) as seen:
        assert run(database).new == 8
    assert seen["BEGIN IMMEDIATE"] == 2 + 4


@pytest.mark.usefixtures("patient")
def test_what_waits_to_be_stored_is_looked_at_once_however_much_waits_with_it(
    database: Database, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed, weight = [], collecting._weight
    monkeypatch.setattr(collecting, "_weight", lambda outcome: weighed.append(outcome.feed.id) or weight(outcome))
    monkeypatch.setattr(collecting._Outcome, "__eq__", None)
    add(database, *feeds(site, 9))
    assert run(database).new == 18
    assert sorted(weighed) == list(range(1, 10))


@pytest.mark.usefixtures("patient")
def test_one_feed_that_fails_takes_nothing_from_those_stored_with_it(database: Database, site: Site) -> None:
    urls = feeds(site, 3)
    site.pages["/1"] = Reply(b"nothing of the kind")
    site.pages["/2"] = Reply(status=500)
    add(database, *urls)
    report = run(database)
    assert (report.new, report.failed) == (2, 2)
    assert titles(database) == ["0 two", "0 one"]


@pytest.mark.usefixtures("patient")
def test_feeds_of_one_batch_may_have_entries_with_the_same_keys(database: Database, site: Site) -> None:
    site.pages["/a"] = site.pages["/b"] = Reply(rss("One", "Two"))
    add(database, f"{site.base}/a", f"{site.base}/b")
    assert run(database).new == 4
    site.pages["/a"] = Reply(rss("One", "Two", "Three"))
    report = run(database, force=True, now=MONDAY.replace(hour=9))
    assert (report.new, report.unchanged) == (1, 1)
    with database.read() as session:
        assert [len(feed.window) for feed in session.exec(select(Feed).order_by(Feed.url))] == [3, 2]  # type: ignore[arg-type]


def test_an_entry_that_is_there_though_nobody_looked_for_it_stays_as_it_is(database: Database, site: Site) -> None:
    add(database, *feeds(site, 1))
    run(database)
    with database.write() as session:
        connection = session.connection()
        row = {"feed_id": 1, "key": "new", "twin": "", "url": "", "title": "New", "content_hash": "", "seen_at": MONDAY}
        there = connection.execute(sa.select(Entry.id, Entry.key).where(Entry.title == "0 one")).one()  # type: ignore[arg-type]
        found = feed_entries._added(connection, [row, row | {"key": there.key, "title": "Another"}])
        assert found[1, there.key] == there.id
        assert len(found) == 2
    assert titles(database) == ["0 two", "0 one", "New"]


def test_certificates_are_read_once_and_only_for_who_is_asked_by_tls(site: Site) -> None:
    transport = wire.Transport()
    assert transport._ssl == {}
    assert transport._context("") is transport._context("")


LINES = (
    *(b"HTTP/1.0 304", b"Content-Length: 12", b"content-length : 1", b"Content-Length: 1, 1", b"content-lengtH: 1x"),
    *(
        b"Content-Lengths: x",
        b"X-Length:\t7 ",
        b"A:b",
        b"\xe9: c",
        b" folded",
        b"no field",
        b"Empty:",
        b"Control: \x01",
    ),
    *(b"", b"\r"),
)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_head_with_nothing_to_mend_says_the_same_as_one_that_was_mended(
    end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard(head: bytes) -> Any:
        spoken = h11.Connection(our_role=h11.CLIENT)
        spoken.send(h11.Request(method="GET", target="/", headers=[("Host", "feeds.example")]))
        spoken.receive_data(head)
        answer = spoken.next_event()
        return answer.status_code, list(answer.headers)

    written = [end.join([b"HTTP/1.1 200 OK", *lines, b"", b""]) for lines in itertools.product(LINES, repeat=2)]
    proper = [head for head in written if wire._PROPER.fullmatch(head)]
    assert bool(proper) == (end == b"\r\n")
    monkeypatch.setattr(wire, "_PROPER", re.compile(rb"(?!)"))
    for head in proper:
        assert heard(head) == heard(wire.mended(head))


def atom(*entries: tuple[str, str], gone: str = "") -> bytes:
    """An Atom feed of entries by id and title, and the id of one that was taken back."""
    told = "".join(
        f"<entry><id>{id_}</id><title>{title}</title><updated>2026-03-01T07:00:00Z</updated></entry>"
        for id_, title in entries
    )
    deleted = f'<at:deleted-entry ref="{gone}" when="2026-03-02T07:00:00Z"/>' if gone else ""
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">'
        f"<title>Ours</title><id>x</id>{told}{deleted}</feed>"
    ).encode()


FIVE = ("One", "Two", "Three", "Four", "Five")
# What each of them has, time after time.
TROUBLE: dict[str, tuple[bytes, ...]] = {
    "the same guid for two": (atom(("a", "One"), ("a", "Two")), atom(("a", "Two"), ("a", "Three"))),
    "the same guids as another": (rss(*FIVE), rss("Six", *FIVE), rss(*FIVE[:3])),
    "some are gone, and come back": (rss(*FIVE), rss("One", "Three", "Five"), rss(*FIVE)),
    "new guids each time": tuple(atom(*((f"{turn}-{title}", title) for title in FIVE)) for turn in range(3)),
    "no guids": (rss(*FIVE, guids=False), rss("Six", *FIVE, guids=False)),
    "other titles": (atom(("a", "One"), ("b", "Two")), atom(("a", "One, corrected"), ("b", "Two"))),
    "one taken back": (
        atom(("a", "One"), ("b", "Two")),
        atom(("b", "Two"), gone="a"),
        atom(("a", "One"), ("b", "Two")),
    ),
    "guids that change places": (atom(("a", "One"), ("b", "Two")), atom(("b", "One"), ("a", "Two"))),
    "nothing in between": (rss(*FIVE), rss(), rss(*FIVE)),
    "a page in between": (rss(*FIVE), b"<!doctype html><title>Soon</title>", rss("Six", *FIVE)),
    "cut off": (rss(*FIVE)[:-200], rss(*FIVE)),
    "what is no text": (rss("A\0B", "C\x1bD").replace(b"About", b"\xff\xfe\x00"), rss("A\0B", "E\ufffeF")),
    "nothing of it": (b"\0\0\0", b"", b"{}"),
    "one as long as a book": (rss("long " * 2_000), rss("long " * 2_000, "Two")),
}


def kept(database: Database) -> dict[str, Any]:
    """All that is kept of feeds and their entries, by their addresses, without what chance gave them."""
    with database.read() as session:
        found: dict[str, Any] = {}
        stored = session.exec(select(Entry).order_by(Entry.id)).all()  # type: ignore[arg-type]
        keys = {entry.id: entry.key for entry in stored}
        for feed in session.exec(select(Feed)):
            of_it = [entry.model_dump(exclude={"id", "feed_id"}) for entry in stored if entry.feed_id == feed.id]
            own = feed.model_dump(exclude={"id", "next_at", "window"})
            found[feed.url] = (own, [keys[id_] for id_ in feed.window], of_it)
        return found


@pytest.mark.long
@pytest.mark.usefixtures("patient")
def test_of_many_feeds_stored_together_the_same_is_kept_as_of_one_at_a_time(
    site: Site, tmp_path: Path, upgraded_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "HEAVY", 10**9)
    with ExitStack() as ends:
        both = []
        for name in ("together", "alone"):
            url = shutil.copy(upgraded_sqlite, tmp_path / name)
            both.append(ends.enter_context(closing(open_database(f"sqlite:///{url}"))))
            newsletters.keep(both[-1], ["daily"], now=MONDAY)
            add(both[-1], *(f"{site.base}/{number}" for number in range(len(TROUBLE))))
        for turn in range(3):
            for number, bodies in enumerate(TROUBLE.values()):
                site.pages[f"/{number}"] = Reply(bodies[turn % len(bodies)])
            at = MONDAY.replace(hour=8 + turn)
            reports = [
                run(database, settings(connections=most, host_gap_seconds=0), now=at, force=True)
                for database, most in zip(both, (len(TROUBLE), 1), strict=True)
            ]
            assert len({(one.new, one.edited, one.failed, one.unchanged) for one in reports}) == 1
            together, alone = map(kept, both)
            for url, name in zip(sorted(alone, key=lambda url: int(url.rpartition("/")[2])), TROUBLE, strict=True):
                assert together[url] == alone[url], (name, turn)
