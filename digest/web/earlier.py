"""What happened before, on pages and in feeds: earlier stories, pointed to where the archive shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmodel import Session

from digest.store import earlier
from digest.values import Earlier, Story
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.web.archive import Paper


def earlier_of(site: Site, session: Session, one: Paper, ids: Iterable[int]) -> dict[int, Earlier]:
    """These stories as they are pointed to from a newsletter's public pages, by id; those that are gone are not here.

    An edition that no page shows has none: what stands on public pages is what everybody may see.
    """
    places = earlier.places(session, (id_ for id_ in ids if id_))
    home = site.config.page_of(one.name)
    found = {id_: earlier.pointed(id_, places, home) for id_ in places}
    return {id_: before for id_, before in found.items() if before}


def with_earlier(site: Site, session: Session, one: Paper, stories: Sequence[Story]) -> list[Story]:
    """The stories, each with what it continues."""
    found = earlier_of(site, session, one, (story.follows or 0 for story in stories))
    return [replace(story, earlier=found.get(story.follows or 0)) for story in stories]
