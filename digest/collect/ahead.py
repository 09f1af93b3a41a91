"""Pages and pictures of an edition to come, within bounds of a run: what asks for them, from where nobody awaits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from digest import event_loop
from digest.collect.full_text import FullTextReport, read_full_texts
from digest.collect.pictures import PictureReport, read_pictures
from digest.config import Config
from digest.store import Database
from digest.values import Pictured, Stub


@dataclass(frozen=True)
class Bounds:
    """How long pages or pictures may be asked for in a run, and how many, in all newsletters together."""

    seconds: float
    most: int

    @classmethod
    def of(cls, config: Config) -> Bounds:
        """Of pages."""
        return cls(config.collect.full_text_seconds, config.collect.full_text_pages)

    @classmethod
    def of_pictures(cls, config: Config) -> Bounds:
        return cls(config.pictures.seconds, config.pictures.per_run)

    def without(self, report: FullTextReport | PictureReport) -> Bounds:
        return Bounds(self.seconds - report.seconds, self.most - report.asked)


def full_texts(
    database: Database, config: Config, stubs: Sequence[Stub], *, clock: Callable[[], datetime], bounds: Bounds
) -> FullTextReport:
    """`read_full_texts`, until it is done."""
    return event_loop.run(
        lambda: read_full_texts(database, config, stubs, clock=clock, seconds=bounds.seconds, most=bounds.most)
    )


def pictures_of(
    database: Database, config: Config, wanted: Sequence[Pictured], *, clock: Callable[[], datetime], bounds: Bounds
) -> PictureReport:
    """`read_pictures`, until it is done."""
    return event_loop.run(
        lambda: read_pictures(database, config, wanted, clock=clock, seconds=bounds.seconds, most=bounds.most)
    )
