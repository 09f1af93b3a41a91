"""Whole lists, in and out: a million rows in two passes and a little memory.

Rows gather in a temporary table; only when the file was read to its end, and somebody agreed to what comes of it, are
people made of them, some thousand in each transaction. A kill before that leaves the list as it was; a kill within it
leaves whole steps, all under the import's number: the same file again takes the rest, an undo takes them back.
"""

from __future__ import annotations

import csv
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from digest import taste
from digest.errors import BadInput, UserError
from digest.models import SubscriptionState
from digest.store import Database, import_log, imports, listing, newsletters
from digest.store.import_tables import ListImport
from digest.store.search import Search
from digest.subscribe import charset
from digest.subscribe.address import MAX_NAME, display_name
from digest.subscribe.columns import Columns, Person, to_text
from digest.subscribe.plan import SAMPLES, Imported, Plan, Refused, SampleRow
from digest.subscribe.sheet import REFUSED, Record, Sheet, read
from digest.subscribe.survey import look
from digest.subscribe.terms import Terms

CHUNK = 5_000
SHOWN = 20  # refused rows kept for the summary; the file has all of them
HEADER = (
    *("email", "name", "state", "topics", "cadence", "hour", "zone", "language", "format"),
    *("tags", "fields", "subscribed_at", "changed_at", "paused_until", "consent"),
    *("suppressed", "suppressed_status", "suppressed_at"),
    *taste.NAMES,
)

Progress = Callable[[int, int], None]  # bytes read, rows read


Stored = Callable[[Imported, int], None]  # told what came of it so far, and of about how many rows
Agree = Callable[[Plan], Stored | None]


def import_csv(
    database: Database,
    stream: BinaryIO,
    terms: Terms,
    *,
    newsletter: str,
    agree: Agree = lambda plan: None,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress = lambda size, rows: None,
) -> Imported:
    """Take in a list as other services or we write it, from a seekable stream.

    Who left stays gone: an unsubscribe in the file ends a subscription here, and one here is not undone by
    the file. Bounced and complained addresses are suppressed. Choices of those who are here already stay, unless
    `terms.update` names them. Rows that are no subscriber are written to `rejects`, with line and reason, in a form
    that can be mended and imported. Importing the same file again changes nothing.

    The file is read twice: to see what its columns are, and to take its rows. Before anything is stored `agree` is
    given the plan, and stops the import by raising; what it returns is told after each step. Raises BadInput where it
    is no list, or a column that speaks of consent is not understood.
    """
    sheet, columns = _understood(stream, terms)
    rows = staged = 0
    refused, sample = _Refusals(None if dry_run else rejects, columns.header), _Sample()
    with database.pinned() as private, refused:
        with private.read() as session:
            imports.begin(session)
            session.commit()
        chunk: list[dict[str, object]] = []
        for record in sheet.records:
            rows += 1
            try:
                person = columns.person(record)
                chunk.append(person.row())
                sample.add(record, person)
            except BadInput as error:
                refused.add(record, str(error))
                sample.refuse(record, str(error))
            if len(chunk) == CHUNK:
                staged += _stage(private, chunk)
                progress(stream.tell(), rows)
        staged += _stage(private, chunk)
        progress(stream.tell(), rows)
        counted = replace(_summary(rows=rows, refused=refused, sheet=sheet), unread=columns.unread)
        with private.read() as session:
            paper = newsletters.find(session, newsletter)
            judged = imports.judge(session, paper)
            counted = replace(counted, duplicates=staged - sum(number for _, _, number, _ in judged))
            done = _with_outcomes(counted, judged)
            listed = imports.listed(session, paper)
            plan = Plan.of(terms, columns, sheet, done, listed, sample.rows(imports.outcomes(session, sample.keys)))
        stored = agree(plan) or (lambda done, rows: None)
        return done if dry_run else _store(private, newsletter, terms, counted, stored)


def _store(private: Database, newsletter: str, terms: Terms, counted: Imported, stored: Stored) -> Imported:
    """Make people of the rows that are laid down, in steps, each judged anew: who is judged is as they were judged."""
    evidence, tally, number, done = terms.evidence, _Tally(), 0, counted
    with private.read() as session:
        spans = list(imports.spans(session))
    for step, span in enumerate(spans):
        if step:
            private.give_way()
        with private.write() as session:
            paper = newsletters.lock(session, newsletter)
            imports.hold(session, paper, span)
            if number:
                run = session.get_one(ListImport, number)
            else:
                run = imports.begin_log(session, paper, display_name(terms.name[:MAX_NAME]), evidence)
            tally.add(imports.judge(session, paper, span))
            imports.note(session, paper, run, span)
            imports.settle(session, paper, evidence, span)
            if terms.update:
                tally.updated += import_log.update(session, paper, run, terms.update, evidence, span)
            done = replace(_with_outcomes(counted, tally.judged), updated=tally.updated, number=run.id or 0)
            imports.end_log(session, run, {k: v for k, v in vars(done).items() if isinstance(v, int) and v}, span)
        number = done.number
        stored(done, round(counted.rows * (step + 1) / len(spans)))
    return done


class _Tally:
    """What steps came to together, as `imports.judge` tells it of one."""

    def __init__(self) -> None:
        self.updated = 0
        self._judged: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, some: list[tuple[str, str, int, int]]) -> None:
        for outcome, state, number, stops in some:
            rows, before = self._judged.get((outcome, state), (0, 0))
            self._judged[outcome, state] = rows + number, before + stops

    @property
    def judged(self) -> list[tuple[str, str, int, int]]:
        return [(*what, *counts) for what, counts in self._judged.items()]


def _understood(stream: BinaryIO, terms: Terms) -> tuple[Sheet, Columns]:
    """The file, read once to see what its columns are, and at its beginning again."""
    known = charset.named(terms.encoding) if terms.encoding else None
    first = read(stream, name=terms.name, found=known)
    width = max(len(first.header), len(first.first), 1)
    mapped = frozenset(int(column) - 1 for column in terms.mapping.values() if column.isdecimal())
    dated = mapped | {i for i, title in enumerate(first.header) if title in terms.mapping.values()}
    survey = look(first.header, width, first.records, dated=dated)
    first.text.detach()  # it would close the file
    columns = Columns.find(first.header, first.first, {}, terms, survey, first.lead)
    stream.seek(0)
    return read(stream, name=terms.name, found=first.charset), columns


class _Sample:
    """Ten rows to look at: the first few of each state, and some that are refused."""

    def __init__(self) -> None:
        self._found: list[tuple[str, SampleRow]] = []
        self._kinds: Counter[str] = Counter()

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self._found if key]

    def add(self, record: Record, person: Person) -> None:
        kind = person.state or "suppressed"
        if self._kinds[kind] >= SAMPLES:
            return
        self._kinds[kind] += 1
        state = " ".join(filter(None, (person.state, person.reason)))
        row = SampleRow(record.line, person.email, state, person.name, tuple(person.tags), person.since)
        self._found.append((person.key, row))

    def refuse(self, record: Record, why: str) -> None:
        if self._kinds["refused"] < SAMPLES:
            self._kinds["refused"] += 1
            self._found.append(
                ("", SampleRow(record.line, (record.cells or [""])[0][:80], "", "", (), None, f"refused: {why}"))
            )

    def rows(self, outcomes: Mapping[str, str]) -> tuple[SampleRow, ...]:
        by_kind: dict[str, list[SampleRow]] = {}
        for key, row in self._found:
            kind, outcome = row.state.partition(" ")[0], row.outcome or outcomes.get(key, "")
            if outcome == imports.KNOWN and kind not in set(SubscriptionState):
                outcome = "no letters"  # it is no subscriber's row, but bars an address
            by_kind.setdefault(kind, []).append(replace(row, outcome=outcome))
        turns = [row for turn in zip_longest(*by_kind.values()) for row in turn if row is not None]
        return tuple(sorted(turns[:SAMPLES], key=lambda row: row.line))


def _stage(database: Database, chunk: list[dict[str, object]]) -> int:
    count = len(chunk)
    if chunk:
        with database.read() as session:  # the table is temporary: nothing is written that others can see
            imports.add_rows(session, chunk)
            session.commit()
        chunk.clear()
    return count


def _summary(*, rows: int, refused: _Refusals, sheet: Sheet) -> Imported:
    return Imported(
        rows=rows,
        refused=refused.count,
        encoding=sheet.charset.name,
        separator={"\t": "tab", "": "none"}.get(sheet.separator, sheet.separator),
        refused_first=tuple(refused.first),
    )


def _with_outcomes(counted: Imported, judged: list[tuple[str, str, int, int]]) -> Imported:
    counts: Counter[str] = Counter()
    for outcome, state, number, _stops in judged:
        match outcome, state:
            case imports.NEW, SubscriptionState.UNSUBSCRIBED:
                counts["left"] += number
            case imports.NEW, SubscriptionState.PENDING:
                counts["pending"] += number
            case imports.NEW, _:
                counts["added"] += number
            case imports.KNOWN, "":
                counts["no_letters"] += number
            case _:
                counts[outcome.replace(" ", "_")] += number
    counts["suppressed"] = sum(stops for _, _, _, stops in judged)
    found: dict[str, Any] = dict(counts)
    return replace(counted, **found)


class _Refusals:
    """Refused rows: counted, the first of them kept, all of them written to a file that is made when needed."""

    def __init__(self, path: Path | None, header: list[str]) -> None:
        self.count = 0
        self.first: list[Refused] = []
        self._path = path
        self._header = header
        self._file: TextIO | None = None

    def add(self, record: Record, reason: str) -> None:
        self.count += 1
        if record.last_line > record.line:
            reason = f"{reason} (lines {record.line} to {record.last_line})"
        if len(self.first) < SHOWN:
            self.first.append(Refused(record.line, reason))
        if self._path is None:
            return
        if self._file is None:
            self._file = _private_file(self._path)
            csv.writer(self._file, lineterminator="\n").writerow([*REFUSED, *self._header])
        cells = [str(record.line), reason, *record.cells]
        csv.writer(self._file, lineterminator="\n").writerow([to_text(cell) for cell in cells])

    def __enter__(self) -> _Refusals:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()


def _private_file(path: Path) -> TextIO:
    """A file that only its owner can read: it is full of addresses."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}", hint="name another file; nothing was changed or lost"
        ) from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, 0o600)
    return os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="")


def export_csv(
    database: Database,
    out: TextIO,
    *,
    newsletter: str,
    raw: bool = False,
    whom: Search | None = None,
    known_topics: Collection[str] | None = None,
    progress: Progress = lambda size, rows: None,
) -> int:
    """Write all that `import_csv` needs to make the same list again; the number of rows. `whom` narrows it.

    Of topics that somebody chose those are written that are among `known_topics`: an import knows no others.

    Cells that a spreadsheet would run as formulas are shown as text by a quote before them, which the import
    takes away; `raw` leaves them as they are.
    """
    shown = (lambda cell: cell) if raw else to_text
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    with database.read() as session:
        for line in listing.roll(session, newsletter, whom):
            if known_topics is not None and (line.topics or line.muted_topics):
                topics, muted = ([t for t in some if t in known_topics] for some in (line.topics, line.muted_topics))
                line = line._replace(topics=topics, muted_topics=muted)
            writer.writerow([shown(_cell(value)) for value in line])
            count += 1
            if count % CHUNK == 0:
                progress(0, count)
    progress(0, count)
    return count


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        plain = not any(mark in word for word in value for mark in ',;|"[')
        return ",".join(value) if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A file for a list of people, readable by its owner only, complete or as it was; or a device, as it is."""
    if path.exists() and not path.is_file():
        with _private_file(path) as file:
            yield file
        return
    part = path.with_name(path.name + ".part")
    try:
        with _private_file(part) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
