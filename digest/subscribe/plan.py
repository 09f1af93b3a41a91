"""What an import is about to do: how each column is read, and what comes of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from digest.subscribe.columns import Columns
from digest.subscribe.reading import Use
from digest.subscribe.sheet import Sheet
from digest.subscribe.terms import Terms

SAMPLES = 10
SHARE = 0.2  # of the list: a file that ends, suppresses or adds more wants a person's word
FEW = 10  # people, below which nobody is asked
VALUES = 12  # of a column, shown with what they do


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
    updated: int = 0  # of `known` and others who were here: changed by `--update`
    unread: int = 0  # cells that ought to be dates and say nothing
    number: int = field(default=0, compare=False)  # of the import, for `digest import`; 0 in a dry run
    encoding: str = ""
    separator: str = ""
    refused_first: tuple[Refused, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anybody is otherwise than before."""
        return any((self.added, self.pending, self.left, self.ended, self.confirmed, self.suppressed, self.updated))


@dataclass(frozen=True)
class PlanColumn:
    """A column: the field it is taken for ("" where it is ignored), why, and what its values do, with their number."""

    title: str
    field: str
    why: str
    values: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True)
class SampleRow:
    """A row as it was read, and what becomes of it."""

    line: int
    email: str
    state: str
    name: str
    tags: tuple[str, ...]
    since: datetime | None
    outcome: str = ""


@dataclass(frozen=True)
class Plan:
    """What an import is about to do."""

    name: str
    service: str
    encoding: str
    words: tuple[str, ...]  # of the file, that show its encoding
    separator: str
    columns: tuple[PlanColumn, ...]
    counts: Imported
    listed: int  # people on the list now
    sample: tuple[SampleRow, ...]
    unread: tuple[str, ...]  # cells that ought to be dates, the first of them

    @classmethod
    def of(
        cls, terms: Terms, columns: Columns, sheet: Sheet, counts: Imported, listed: int, sample: tuple[SampleRow, ...]
    ) -> Plan:
        reading = columns.reading
        return cls(
            name=terms.name,
            service=reading.service.title if reading.service else "",
            encoding=sheet.charset.name,
            words=sheet.charset.shown,
            separator=counts.separator,
            columns=tuple(_column(use, columns) for use in sorted(reading.uses, key=lambda use: use.index)),
            counts=counts,
            listed=listed,
            sample=sample,
            unread=tuple(columns.unread_first),
        )

    @property
    def large(self) -> tuple[str, ...]:
        """What changes more than a share of the list, in words; nothing where the list is empty."""
        if not self.listed:
            return ()
        counts, most = self.counts, max(FEW - 1, self.listed * SHARE)
        told = (("end", counts.ended), ("suppress", counts.suppressed), ("add", counts.added + counts.pending))
        return tuple(f"{verb} {number:,}" for verb, number in told if number > most)


def _column(use: Use, columns: Columns) -> PlanColumn:
    taken_for = {"left_at": "left"}.get(use.field, use.field)
    return PlanColumn(use.title, taken_for, use.why, columns.effects(use)[:VALUES])
