"""The first way through a list: what is in each of its columns, before anything is decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice, zip_longest

from digest.subscribe import dates
from digest.subscribe.sheet import Record, bare
from digest.subscribe.titles import TITLES, kind, proof

MANY = 200  # values; a column with more is free text, dates or numbers
CHUNK = 2_000
MOST_COLUMNS = 300
_LONG = 60  # characters of a value that is one of few
_DATED = {name for of in ("since", "left_at", "blocked", "confirmed", "changed_at") for name in TITLES[of]} | {
    "suppressedat"
}


@dataclass
class Seen:
    """What stands in one column. `values` is complete unless `many`."""

    title: str
    values: Counter[str] = field(default_factory=Counter)
    many: bool = False
    filled: int = 0
    dated: dates.Column | None = None  # where it may hold dates

    @property
    def said(self) -> dict[str, int]:
        """The values that say something, the most frequent first."""
        return {value: count for value, count in self.values.most_common() if not dates.nothing(value)}


@dataclass
class Survey:
    """What stands in all columns of a file, also in those beyond its titles."""

    columns: list[Seen]
    rows: int = 0

    def dated(self, index: int) -> bool:
        """Whether dates stand in a column."""
        seen = self.columns[index].dated if index < len(self.columns) else None
        return seen is not None and seen.dates > 0


def look(header: list[str], width: int, records: Iterable[Record], *, dated: frozenset[int] = frozenset()) -> Survey:
    """Go through all rows; the columns of `dated`, and those whose titles may, hold dates."""
    columns = [Seen(header[i] if i < len(header) else f"column {i + 1}") for i in range(min(width, MOST_COLUMNS))]
    for index, column in enumerate(columns):
        if index in dated or bare(column.title) in _DATED or kind(column.title) or proof(column.title) == "since":
            column.dated = dates.Column(column.title)
    survey = Survey(columns)
    every = iter(records)
    while some := list(islice(every, CHUNK)):
        chunk = [record for record in some if not record.problem]
        survey.rows += len(chunk)
        stood = list(islice(zip_longest(*(record.cells for record in chunk), fillvalue=""), MOST_COLUMNS))
        columns += [Seen(f"column {i + 1}") for i in range(len(columns), len(stood))]
        for column, cells in zip(columns, stood, strict=False):
            _see(column, cells, chunk)
    return survey


def _see(column: Seen, cells: tuple[str, ...], chunk: list[Record]) -> None:
    column.filled += len(cells) - cells.count("")
    if not column.many:
        for value, count in Counter(cells).items():
            column.values[value.strip()[:_LONG]] += count
        if len(column.values) > MANY:
            column.many = True
            column.values = Counter(dict(column.values.most_common(MANY)))
    if column.dated is not None:
        for cell in set(cells) - {""}:
            if not column.dated.known(cell):
                column.dated.see(cell.strip(), chunk[cells.index(cell)].line)
