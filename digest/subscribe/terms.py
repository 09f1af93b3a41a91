"""On which terms a list is taken in: what whoever imports it has said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from digest import taste
from digest.errors import BadInput
from digest.models import SubscriptionState
from digest.subscribe.address import MAX_NAME, display_name
from digest.subscribe.titles import ACTIVE, LEFT, PENDING
from digest.values import Evidence

# What `--as` says of everybody in a list.
MEANINGS: dict[str, SubscriptionState | str] = {
    "active": ACTIVE,
    "pending": PENDING,
    "unsubscribed": LEFT,
    "suppressed": "suppressed",
}
# What `--update` may change of people who are here already: never whether they get letters.
UPDATABLE = ("name", "tags", "topics", "cadence", "hour", "zone", "language", "format", "fields", *taste.NAMES)


@dataclass(frozen=True)
class Terms:
    """On which terms a list is taken in."""

    name: str  # of the file
    now: datetime
    known_topics: Collection[str]
    secret: str  # the settings' key, see `erasure_mark`
    vouched_by: str  # who says that these people want it
    confirmed: bool = False  # whom the file calls unconfirmed has confirmed
    raw: bool = False  # no cell was quoted against spreadsheets
    mapping: Mapping[str, str] = field(default_factory=dict)  # field → title or number from 1; "" leaves a field out
    ignore: Collection[str] = ()  # titles or numbers of columns that say nothing, on purpose
    dates: str = ""  # `dates.DAY_FIRST` or `MONTH_FIRST`, where the file leaves it open
    encoding: str = ""  # else it is found out
    service: str = ""  # a key of `presets.SERVICES`, else known by its titles
    meaning: str = ""  # a key of `MEANINGS`: what a file without states says of its people
    update: Collection[str] = ()  # of UPDATABLE

    @cached_property
    def how(self) -> str:
        return display_name(f"import {self.name[: MAX_NAME // 2]}")

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.how, self.now, vouched_by=self.vouched_by)


class MeaningWanted(BadInput):
    """A list without states whose name says that its people are no readers."""
