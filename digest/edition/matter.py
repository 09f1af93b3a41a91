"""What an edition is made of, before it is rendered."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from digest.curate.following import Before
from digest.dataclass import dataclass
from digest.values import Story


@dataclass(frozen=True)
class Matter:
    """What an edition is made of: its number, the stories to choose from in the order of their admission, the note."""

    number: int
    upto: int
    stories: tuple[Story, ...]
    note: str
    at: datetime
    past: tuple[tuple[int, datetime], ...] = ()  # of editions before: up to which story, and when; the earliest first
    found: Mapping[int, Before] = field(default_factory=dict)  # what stories continue (by id), where that is not stored
    since: int = 0  # its stories came after this one
    decided: bytes = b""  # see `stories.decided`

    def span(self, since: int) -> timedelta:
        """For how long they have waited who had all stories up to this one: since the last edition that went so far."""
        after = bisect_right(self.past, since, key=lambda one: one[0])
        return max(timedelta(0), self.at - self.past[after - 1][1]) if after else timedelta(0)

    def still(self, other: Matter) -> bool:
        """Has nobody decided anything since? That another source told a story meanwhile is no reason to begin anew."""

        def decided(matter: Matter) -> list[tuple[object, ...]]:
            return [
                (
                    *(one.seq, one.topic, one.pinned, one.placed, one.bare, one.chosen, one.follows or 0),
                    (one.title, one.excerpt) if one.edited else (),
                )
                for one in matter.stories
            ]

        same = (self.number, self.upto, self.note, self.at) == (other.number, other.upto, other.note, other.at)
        return same and decided(self) == decided(other)
