"""Pages and pictures of an edition to come, within bounds of a run: what asks for them, from where nobody awaits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from digest import event_loop
from digest.collect.bounds import Bounds
from digest.collect.full_text import read_full_texts
from digest.collect.pictures import read_picture, read_pictures
from digest.collect.report import FullTextReport, PictureReport
from digest.config import Config
from digest.errors import BadInput, FetchError
from digest.parse.pictures import NotPicture
from digest.store import Database, pictures
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


def picture_of(
    database: Database, config: Config, wanted: Pictured, *, clock: Callable[[], datetime]
) -> pictures.Found:
    """`read_picture`, until it is done. BadInput says in a sentence why it cannot be had, or is none for a story."""
    try:
        return event_loop.run(lambda: read_picture(database, config, wanted, clock=clock))
    except (FetchError, NotPicture) as error:
        raise BadInput(f"{wanted.urls[0]} {error.reason}", hint="the story's picture is as it was") from None
