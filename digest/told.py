"""What the steps of the line tell as they go, each a value: doors put them in words, and records count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from digest.dataclass import dataclass

if TYPE_CHECKING:
    from digest import hear
    from digest.collect.report import CollectReport, FullTextReport, PictureReport, SummaryReport
    from digest.collect.report import Progress as Asking
    from digest.deliver.report import EventsTold, Report
    from digest.deliver.report import Progress as Sending
    from digest.edition.report import Admitted, Composed


@dataclass(frozen=True)
class Begins:
    """A step begins that may take long: what it tells until it ends is its progress."""

    step: str


@dataclass(frozen=True)
class Clock:
    """What the clock gives to say before work begins by it: one of these."""

    trouble: str = ""  # it cannot be right, and work goes on all the same
    idle_since: datetime | None = None  # the last day of work, longer ago than is usual
    healed: Mapping[str, int] = field(default_factory=dict)  # moments put back, by kind


@dataclass(frozen=True)
class Taken:
    """What became of the entries that waited for a newsletter."""

    newsletter: str
    admitted: Admitted


@dataclass(frozen=True)
class Texts:
    """What came of the pages of a newsletter's stubs."""

    newsletter: str
    report: FullTextReport


@dataclass(frozen=True)
class Pictures:
    """What came of the pictures of a newsletter's stories."""

    newsletter: str
    report: PictureReport


@dataclass(frozen=True)
class Summaries:
    """What came of the summaries of a newsletter's stories."""

    newsletter: str
    report: SummaryReport


@dataclass(frozen=True)
class Unfit:
    """A newsletter whose edition cannot be made, and why; its stories wait."""

    newsletter: str
    words: str


@dataclass(frozen=True)
class Deaf:
    """The mailbox of the settings cannot be read, and why; what lies in it waits."""

    words: str


@dataclass(frozen=True)
class BrokeOff:
    """Delivery ends by an error or a second Ctrl-C: what was done by then."""

    report: Report


if TYPE_CHECKING:
    Told = (
        Begins
        | Clock
        | Asking
        | CollectReport
        | Taken
        | Texts
        | Pictures
        | Summaries
        | Unfit
        | Composed
        | Sending
        | Report
        | BrokeOff
        | EventsTold
        | hear.Readings
        | Deaf
    )
    Tell = Callable[[Told], None]


def nobody(_told: Told) -> None:
    """For steps that nobody listens to."""
