"""The witness's journal: whole records, whoever writes at once, whatever the clock and the power do."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import MONDAY
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import StorageError
from digest.store.journal import Journal, Written, compact, numbers_of, ranges

OURS = "installation-one"


def told(journal: Journal, *ticks: int, at=MONDAY, **more: object) -> None:
    journal.append([{"k": "letters", "t": tick, **more} for tick in ticks], installation=OURS, at=at)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "digest.db.witness")


def test_what_is_told_is_read_again_and_the_end_is_known_at_once(journal):
    assert journal.top() is None
    assert not list(journal.read())
    told(journal, 1, 2)
    told(Journal(journal.folder), 3)
    assert (journal.top().tick, journal.top().installation) == (3, OURS)
    assert [record["t"] for record in journal.read()] == [1, 2, 3]
    assert [record["t"] for record in journal.read(after=2)] == [3]


def test_it_is_readable_by_its_owner_alone(journal):
    told(journal, 1)
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in journal.folder.iterdir()} == {0o600}


def test_a_line_torn_by_a_power_failure_is_left_out_and_what_follows_is_not(journal):
    told(journal, 1, 2)
    (path,) = journal.files()
    whole = path.read_bytes()
    for cut in range(2, len(whole.splitlines(keepends=True)[-1])):  # with its end alone missing it is whole
        path.write_bytes(whole[:-cut])
        again = Journal(journal.folder)
        assert again.top().tick == 1
        told(again, 3)
        assert [record["t"] for record in again.read()] == [1, 3]
        assert again.top().tick == 3


def test_zeros_and_noise_at_the_end_are_no_record(journal):
    told(journal, 1)
    (path,) = journal.files()
    for noise in (bytes(5000), b"\xff\xfe{", b'{"k": "letters", "t": "9"}\n', b"[1]\n", b"9\n"):
        whole = path.read_bytes()
        path.write_bytes(whole + noise)
        assert Journal(journal.folder).top().tick == 1
        path.write_bytes(whole)


def test_a_commit_that_is_told_late_does_not_hide_a_later_one(journal):
    told(journal, 6)
    told(journal, 5)
    assert journal.top().tick == 6


def test_a_long_last_record_is_found(journal):
    told(journal, 1)
    told(journal, 2, tape="x" * 300_000)
    assert Journal(journal.folder).top().tick == 2


ROWS = st.lists(st.lists(st.integers() | st.text(st.characters(exclude_categories=[])) | st.none(), max_size=4))


@settings(max_examples=6)
@given(rows=ROWS, name=st.text())
def test_rows_that_were_text_already_make_the_same_line_byte_by_byte(tmp_path_factory, rows, name):
    """What older releases wrote and read: whatever stands in a row, surrogates, separators of lines and all."""
    journal = Journal(tmp_path_factory.mktemp("witness"))
    tape = Written(f"[{','.join(map(compact, rows))}]")
    told(journal, 1, name=name, tape=tape, last={"é": [1.5, True]})
    (path,) = journal.files()
    plain = {"k": "letters", "t": 1, "name": name, "tape": rows, "last": {"é": [1.5, True]}, "top": 1}
    line = path.read_bytes().splitlines(keepends=True)[-1]
    assert line == json.dumps(plain, separators=(",", ":")).encode() + b"\n"
    assert list(journal.read()) == [plain]
    path.write_bytes(path.read_bytes()[: -1 - len(line) // 2])  # killed while it was written
    told(journal, 2)
    assert [record["t"] for record in Journal(journal.folder).read()] == [2]


def test_a_month_has_its_file_and_a_clock_that_leaps_loses_nothing(journal):
    moments = [
        MONDAY,
        MONDAY + timedelta(days=30),
        MONDAY + timedelta(days=30_000),
        MONDAY,
        MONDAY - timedelta(days=99),
    ]
    for tick, moment in enumerate(moments, 1):
        told(journal, tick, at=moment)
        assert Journal(journal.folder).top().tick == tick
    names = [path.name for path in journal.files()]
    assert names[:2] == ["000001-2026-11.jsonl", "000002-2026-12.jsonl"]
    assert [record["t"] for record in journal.read()] == [1, 2, 3, 4, 5]


def test_old_files_go_and_the_last_two_stay(journal):
    for month in range(5):
        told(journal, month + 1, at=MONDAY + timedelta(days=31 * month))
    assert journal.forget(MONDAY + timedelta(days=31 * 2)) == 1
    assert [record["t"] for record in journal.read()] == [2, 3, 4, 5]
    assert journal.forget(MONDAY + timedelta(days=9_999)) == 2
    assert [record["t"] for record in journal.read()] == [4, 5]
    assert journal.top().tick == 5


def test_two_processes_write_at_once_and_no_record_is_torn(journal):
    children = []
    for name in "ab":
        if (child := os.fork()) == 0:
            try:
                for tick in range(100):  # over the end of a month
                    moment = MONDAY + timedelta(days=30 * (tick // 50))
                    record = {"k": "letters", "t": tick, "who": name}
                    journal.append([record], installation=OURS, at=moment, sync=False)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    for name in "ab":
        assert [record["t"] for record in journal.read() if record["who"] == name] == list(range(100))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to be had")
def test_a_full_disk_leaves_no_half_record(journal, monkeypatch):
    told(journal, 1)
    (path,) = journal.files()
    before = path.read_bytes()
    really, calls = os.write, []

    def write(file: int, content: bytes) -> int:
        calls.append(content)
        return really(file, content[:7]) if len(calls) == 1 else really(os.open("/dev/full", os.O_WRONLY), b"x")

    monkeypatch.setattr("digest.store.journal.os.write", write)
    with pytest.raises(StorageError, match="the disk is full"):
        told(journal, 2)
    monkeypatch.undo()
    assert path.read_bytes() == before
    told(journal, 3)
    assert [record["t"] for record in journal.read()] == [1, 3]


def test_one_of_another_installation_is_set_aside_and_kept(journal):
    told(journal, 1)
    first = journal.set_aside("of-other")
    told(journal, 2)
    second = journal.set_aside("of-other")
    assert first != second
    assert [record["t"] for record in Journal(first).read()] == [1]
    assert journal.top() is None


@given(st.sets(st.integers(1, 300)))
def test_numbers_as_ranges_are_the_same_numbers(numbers):
    assert list(numbers_of(ranges(numbers))) == sorted(numbers)


# ---------------------------------------------------------------- what is known without reading the folder


@pytest.fixture
def resting(journal):
    """A journal that nobody began a file of for a while, so that its folder need not be read again."""
    told(journal, 1)
    os.utime(journal.folder, (0, 0))
    assert journal.top().tick == 1
    return journal


def test_a_folder_that_rests_is_not_read_again(resting, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", None)
    for tick in (2, 3):
        told(resting, tick)
        assert resting.top().tick == tick


def test_what_another_process_writes_is_known_though_the_folder_is_not_read(resting):
    other = Journal(resting.folder)
    told(other, 2)
    assert resting.top().tick == 2
    told(other, 3, at=MONDAY + timedelta(days=31))  # a file more
    assert resting.top().tick == 3
    other.set_aside("elsewhere")
    assert resting.top() is None
    told(other, 1)
    assert resting.top().tick == 1
    told(resting, 2)
    assert [record["t"] for record in other.read()] == [1, 2]


def test_a_file_made_in_the_same_tick_of_the_clock_is_seen(journal):
    told(journal, 1)
    when = journal.folder.stat().st_mtime_ns
    assert journal.top().tick == 1
    told(Journal(journal.folder), 2, at=MONDAY + timedelta(days=31))
    os.utime(journal.folder, ns=(when, when))
    assert journal.top().tick == 2
