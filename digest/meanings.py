"""What entries mean, read before they are judged: only where `curate.scorer` is one of `parse.meaning`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from digest import edition, spans
from digest.config import Config
from digest.edition import Admitted
from digest.store import Database


def take_in(database: Database, config: Config, newsletter: str, *, now: datetime) -> Admitted:
    """As `edition.take_in`, of entries whose meaning was read before; what was not is judged by its words."""
    meanings = reader(config)
    if meanings is not None:
        unread = edition.wanting_meanings(database, newsletter, config.curate, now=now)
        with spans.span("meanings", newsletter=newsletter):
            found = meanings([one.text for one in unread])
        edition.keep_meanings(database, unread, found, config.curate)
    return edition.take_in(
        database, newsletter, config.newsletters[newsletter], config.curate, now=now, meanings=meanings
    )


def reader(config: Config) -> Callable[[Sequence[str]], list[bytes]] | None:
    """What reads the meanings of texts; None where the settings want none. ConfigError where the extra is missing."""
    if not config.curate.semantic:
        return None
    from digest.collect import meanings

    edition.scorer(config.curate.scorer)
    return lambda texts: meanings.vectors(config.curate.scorer, texts)
