"""Names that the settings no longer have: who waits under them is told of, and which command ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.cli.common import Options

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store import Database
    from digest.store.renames import Lost


def lost(config: Config, database: Database) -> list[Lost]:
    """Topics that readers chose, and newsletters that they have, which the settings do not know."""
    from digest.store import idle

    with database.read() as session:
        if not idle.chosen(session, config.newsletters):
            return []
        from digest import curate
        from digest.store import renames

        known = {name: curate.headings(n.topics) for name, n in config.newsletters.items()}
        return [one for one in renames.lost(session, known) if one.newsletter not in config.broken]


def tell_lost(options: Options, config: Config, found: list[Lost]) -> None:
    """A warning for each of them, with the cure as a command."""
    for one in found:
        readers = f"{one.readers:,} {'reader' if one.readers == 1 else 'readers'}"
        if not one.topic:
            options.warn(
                f"{readers} of {one.newsletter} get nothing: the settings have no such newsletter\n"
                f"  if it has another name now: digest newsletter rename {one.newsletter} NEW\n"
                f"  if there is no more of it: digest newsletter end {one.newsletter}"
            )
            continue
        settings = config.newsletters[one.newsletter]
        get = "everything" if settings.gone_topics == "all" else "nothing"
        only = f"; {one.only:,} chose nothing else, and get {get}" if one.only else ""
        options.warn(
            f"{readers} of {one.newsletter} chose the topic {one.topic}, which the settings no longer have{only}\n"
            f"  if it has another name now: digest topic rename {one.topic} NEW -n {one.newsletter}\n"
            f"  if another topic has it now: digest topic merge {one.topic} INTO -n {one.newsletter}\n"
            f"  if there is no more of it: digest topic drop {one.topic} -n {one.newsletter}"
        )
