"""What an editor says of a story's picture: none, the one that is found, or another's address, which is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from digest.cli.common import now

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.store.pictures import Found
    from digest.values import Pictured


def asked(config: Config, database: Database, name: str, story_id: int, words: str) -> Found | Literal["none", "auto"]:
    """`words` as they are understood; BadInput where they name no picture that a story can have."""
    from digest import edition

    if words == "none":
        return "none"
    if words == "auto":
        return "auto"
    database.require_latest()  # before anybody is asked
    with database.read() as session:
        wanted = edition.asked_for(session, name, story_id, words)
    return had(config, database, wanted)


def had(config: Config, database: Database, wanted: Pictured) -> Found:
    """Ask for a picture now, in no transaction; its copies are stored."""
    from digest import collect

    return collect.picture_of(database, config, wanted, clock=now)
