"""How long things are kept, and how far letting go of them is: what is asked before there is anything to let go of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlmodel import Session

from digest.dataclass import dataclass
from digest.store import clock

if TYPE_CHECKING:
    from digest.config import Config

# Asked in words: to import the table takes longer than to ask it.
_STANDINGS = sa.text("SELECT kind, day, rows, held FROM pruning").columns(held=sa.JSON)
ROWS = 500  # of a step: some ten milliseconds of SQLite's lock


class Kind(StrEnum):
    """What is let go of, in the order in which it is done."""

    MAILS = "mails"  # of variants that the archive does not show
    LETTERS = "letters"  # their rows: they go into rolls
    TEXTS = "texts"  # of entries
    PLACES = "places"  # which story stood where, in variants that the archive does not show
    ENTRIES = "entries"  # and their stories, but for those of the archive
    NOTICES = "notices"
    REPORTS = "reports"  # of mails that came back


@dataclass(frozen=True)
class Terms:
    """How long things are kept, in days by kind (0: for ever), and how many of the newest entries in any case."""

    days: Mapping[Kind, int]
    least: int = 0
    rows: int = ROWS
    seconds: float | None = None  # of a run

    @classmethod
    def of(cls, config: Config) -> Terms:
        """As the settings have it."""
        keep = config.keep
        days = {
            Kind.MAILS: keep.mails_days,
            Kind.LETTERS: keep.letters_days,
            Kind.TEXTS: keep.texts_days,
            Kind.PLACES: keep.entries_days,
            Kind.ENTRIES: keep.entries_days,
            Kind.NOTICES: keep.notices_days,
            Kind.REPORTS: keep.reports_days,
        }
        return cls(days, least=keep.entries_least, seconds=keep.prune_seconds)


def due(session: Session, terms: Terms, *, now: datetime) -> list[Kind]:
    """The kinds that were not gone through today."""
    done = {row.kind for row in session.execute(_STANDINGS) if row.day == day_of(now)}
    return [kind for kind in Kind if terms.days.get(kind) and kind not in done]


def day_of(now: datetime) -> str:
    return f"{clock.utc_day(now):%Y-%m-%d}"


@dataclass(frozen=True)
class Standing:
    """How far the pruning of a kind is, as it is shown."""

    kind: str
    day: str
    rows: int
    held: Mapping[str, int]


def standings(session: Session) -> list[Standing]:
    """Of all kinds that were ever gone through."""
    rows = {row.kind: row for row in session.execute(_STANDINGS)}
    return [Standing(kind, rows[kind].day, rows[kind].rows, dict(rows[kind].held)) for kind in Kind if kind in rows]
