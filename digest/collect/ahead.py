"""Pages and pictures of an edition to come, within bounds of a run: what asks for them, from where nobody awaits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from digest import event_loop
from digest.collect.bounds import Bounds
from digest.collect.full_text import read_full_texts
from digest.collect.pictures import read_pictures
from digest.collect.report import FullTextReport, PictureReport
from digest.config import Config
from digest.store import Database
from digest.values import Pictured, Stub


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
