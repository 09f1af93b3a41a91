"""What a check says: one sentence, how bad it is, and the one line that mends it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

# Of the guide, by section.
PAGES = {
    "settings": "settings",
    "topics": "curating",
    "database": "restoring",
    "templates": "templates",
    "feeds": "feeds",
    "letters": "delivering",
    "relays": "delivering",
    "mailbox": "hearing",
    "summarizer": "curating",
    "links": "serving",
}


class Level(StrEnum):
    """`unknown`: it cannot be seen from here; the sentence says how to find out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Place(StrEnum):
    """Where a cure is written."""

    SHELL = "shell"
    SETTINGS = "settings"
    DNS = "dns"


@dataclass(frozen=True)
class Cure:
    """One line that works when it is typed: a command, a line of the settings `under` a table, or a line of a zone."""

    text: str
    place: Place = Place.SHELL
    under: str = ""  # the table of the settings, "" before the first
    file: str = "digest.toml"

    def __str__(self) -> str:
        if self.place is Place.SETTINGS:
            return f"in {self.file}, {f'[{self.under}]' if self.under else 'above all tables'}: {self.text}"
        return f"in the DNS zone: {self.text}" if self.place is Place.DNS else self.text


@dataclass(frozen=True)
class Finding:
    """What one check saw. `name` is the same from day to day, so that a change of `level` can be told."""

    section: str
    name: str
    level: Level
    seen: str
    cure: Cure | None = None

    @property
    def mended(self) -> Finding:
        """With a cure, if it is a fault: where no line mends it, the page of the guide that says what does."""
        if self.cure is not None or not self.is_fault:
            return self
        return replace(self, cure=Cure(f"digest help {PAGES.get(self.section, 'keeping')}"))

    @property
    def is_fault(self) -> bool:
        return self.level in (Level.WARN, Level.FAIL)
