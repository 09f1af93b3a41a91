"""Whole lists, in and out: a million rows in one pass and a little memory.

An import is all or nothing. Rows gather in a temporary table; only when the file was read to its end does one
transaction make people of them, so a full disk, a kill or Ctrl-C leaves the list as it was.
"""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TextIO

from digest.errors import BadInput, UserError
from digest.models import SubscriptionState
from digest.store import Database, imports, listing, newsletters, recipients
from digest.store.search import Search
from digest.subscribe.columns import Columns, Terms, to_text
from digest.subscribe.sheet import Record, Sheet, read

CHUNK = 5_000
SHOWN = 20  # refused rows kept for the summary; the file has all of them
HEADER = (
    *("email", "name", "state", "topics", "cadence", "hour", "zone", "language", "format"),
    *("tags", "subscribed_at", "changed_at", "paused_until", "consent"),
    *("suppressed", "suppressed_status", "suppressed_at"),
)

Progress = Callable[[int, int], None]  # bytes read, rows read


@dataclass(frozen=True)
class Refused:
    """A row that is no subscriber, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """What became of a file's rows. `rows` is the sum of all that follows but `suppressed` and `refused_first`."""

    rows: int
    added: int = 0  # subscribed now
    pending: int = 0  # stored, but get no letter until they confirm
    left: int = 0  # stored as unsubscribed, as the file has them
    ended: int = 0  # were subscribed here, and the file says that they left
    confirmed: int = 0  # were pending here, and the file says that they confirmed
    known: int = 0  # nothing to change
    stays_gone: int = 0  # left here before: the file does not bring them back
    stays_suppressed: int = 0
    stays_erased: int = 0
    no_letters: int = 0  # rows that only say why an address gets none
    duplicates: int = 0  # further rows for the same person
    refused: int = 0
    suppressed: int = 0  # addresses that get no letters from now on
    encoding: str = ""
    separator: str = ""
    refused_first: tuple[Refused, ...] = field(default=())


def import_csv(
    database: Database,
    stream: BinaryIO,
    terms: Terms,
    *,
    newsletter: str,
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress = lambda size, rows: None,
) -> Imported:
    """Take in a list as listmonk, Mailchimp, Substack, Buttondown, Ghost, Kit or we write it, from a seekable stream.

    Who left stays gone: an unsubscribe in the file ends a subscription here, and one here is not undone by
    the file. Bounced and complained addresses are suppressed. Choices of those who are here already stay.
    Rows that are no subscriber are written to `rejects`, with line and reason, in a form that can be mended
    and imported. `mapping` is the one of `Columns.find`. Importing the same file again changes nothing.
    Raises BadInput where it is no list at all.
    """
    sheet = read(stream, name=terms.name)
    columns = Columns.find(sheet.header, sheet.first, mapping or {}, terms)
    rows = staged = 0
    refused = _Refusals(None if dry_run else rejects, columns.header)
    with database.pinned() as private, refused:
        with private.read() as session:
            imports.begin(session)
            session.commit()
        chunk: list[dict[str, object]] = []
        for record in sheet.records:
            rows += 1
            try:
                chunk.append(columns.person(record).row())
            except BadInput as error:
                refused.add(record, str(error))
            if len(chunk) == CHUNK:
                staged += _stage(private, chunk)
                progress(stream.tell(), rows)
        staged += _stage(private, chunk)
        progress(stream.tell(), rows)
        if dry_run:
            with private.read() as session:
                judged = imports.judge(session, newsletters.find(session, newsletter))
        else:
            with private.write() as session:
                paper = newsletters.lock(session, newsletter)
                recipients.lock_readers(session, paper.id or 0)  # who is judged is to be as they were judged
                judged = imports.judge(session, paper)
                imports.settle(session, paper, terms.evidence)
    return _summary(judged, rows=rows, staged=staged, refused=refused, sheet=sheet)


def _stage(database: Database, chunk: list[dict[str, object]]) -> int:
    count = len(chunk)
    if chunk:
        with database.read() as session:  # the table is temporary: nothing is written that others can see
            imports.add_rows(session, chunk)
            session.commit()
        chunk.clear()
    return count


def _summary(
    judged: list[tuple[str, str, int, int]], *, rows: int, staged: int, refused: _Refusals, sheet: Sheet
) -> Imported:
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
    return Imported(
        rows=rows,
        duplicates=staged - sum(number for _, _, number, _ in judged),
        refused=refused.count,
        suppressed=sum(stops for _, _, _, stops in judged),
        encoding=sheet.encoding,
        separator={"\t": "tab", "": "none"}.get(sheet.separator, sheet.separator),
        refused_first=tuple(refused.first),
        **counts,
    )


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
            csv.writer(self._file, lineterminator="\n").writerow(["line", "reason", *self._header])
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
            f"cannot write {path}: {error.strerror}", hint="name another file; nothing was imported or lost"
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
            if known_topics is not None and line.topics:
                line = line._replace(topics=[topic for topic in line.topics if topic in known_topics])
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
        return ",".join(value)
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
