"""What collecting comes to: values, light enough for whoever only tells of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from digest.dataclass import dataclass

if TYPE_CHECKING:
    from digest.collect.rhythm import Health


@dataclass(frozen=True)
class Progress:
    """How far a run is. `due` may grow while it runs."""

    due: int
    done: int
    new: int
    failed: int


@dataclass(frozen=True)
class Failure:
    """A feed that could not be collected, and why: `feed` is its title or address, `reason` goes after it."""

    feed_id: int
    feed: str
    url: str
    reason: str
    failures: int  # in a row, this one included


@dataclass(frozen=True)
class Change:
    """A feed's state changed: told once."""

    feed_id: int
    feed: str
    health: Health
    words: str


@dataclass
class CollectReport:
    """What a run did, counted as it was stored."""

    asked: int = 0
    unchanged: int = 0  # 304, or the same bytes as before
    updated: int = 0
    failed: int = 0
    held: int = 0  # not asked: their host had told us to stay away
    new: int = 0  # entries
    edited: int = 0  # entries
    set_aside: int = 0  # entries that were new and could not be read
    failures: list[Failure] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(failure.reason for failure in self.failures)


@dataclass
class FullTextReport:
    """What came of the pages of one newsletter's stubs; `missing`: the extra is not there, and none was asked for."""

    wanted: int = 0
    asked: int = 0
    taken: int = 0
    refused: int = 0
    seconds: float = 0.0
    missing: bool = False


@dataclass
class PictureReport:
    """What came of the pictures of one newsletter's stories: entries that want one, requests, entries that have one."""

    wanted: int = 0
    asked: int = 0
    taken: int = 0
    none: int = 0
    seconds: float = 0.0


@dataclass
class SummaryReport:
    """What came of the summaries that a machine was asked for: `dropped` were not believed, `trouble` is the last."""

    wanted: int = 0
    asked: int = 0
    taken: int = 0
    dropped: int = 0
    failed: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    trouble: str = ""
