"""What the templates are given, and what comes out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from digest.render.marks import Marker, Marks
from digest.render.words import WIDE, direction, shorten
from digest.schedule import Schedule
from digest.untracked import untracked
from digest.values import Source, Story

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Section:
    """One heading and its stories."""

    slug: str
    title: str
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class Page:
    """All that the templates are given, and nothing else."""

    title: str  # of the newsletter
    language: str  # BCP 47
    number: int
    date: datetime  # when the edition was composed, in the newsletter's own time zone
    lead: Story
    sections: tuple[Section, ...]  # without the lead
    more: int  # stories there was no room for
    topics: tuple[str, ...]  # titles of the reader's choice; empty is all
    postal_address: str
    home: str  # base URL of the web pages
    view_url: str = ""  # this variant in a browser, with the stories there was no room for; "" where there is none
    note: str = ""  # the editor's, paragraphs apart by an empty line
    theme: str = "paper"
    accent: str = "#a03a12"  # six-digit hex, on light ground
    accent_dark: str = "#f08a5d"  # the same on dark ground
    schedule: Schedule | None = None
    beginning: bool = False  # the first edition, of feeds that had nothing new: what leads is merely the newest
    by_mail: bool = False  # somebody reads what readers write
    marks: Marks | None = None  # what personal links stand for; `Templates.render` sees to them

    @cached_property
    def stories(self) -> tuple[Story, ...]:
        return (self.lead, *(story for section in self.sections for story in section.stories))

    @cached_property
    def counted(self) -> tuple[Section, ...]:
        """The index: every section with something in it."""
        return tuple(section for section in self.sections if section.stories)

    @cached_property
    def sources(self) -> int:
        """How many different sources tell these stories."""
        return len({s.source for s in self.stories} | {a.title for s in self.stories for a in s.also})

    @cached_property
    def minutes(self) -> int:
        """About how long reading the mail itself takes, at 230 words or 400 Chinese characters a minute."""
        text = " ".join(f"{s.title} {s.excerpt}" for s in self.stories)
        signs = len(WIDE.findall(text))
        words = len(_WORD.findall(WIDE.sub(" ", text) if signs else text))
        return max(1, round(words / 230 + signs / 400))

    @cached_property
    def see_also(self) -> Mapping[int, Source]:
        """By a story's id, the one most like it that the mail does not tell itself; none is pointed to twice."""
        if not any(story.related for story in self.stories):
            return {}
        told = {untracked(url) for s in self.stories for url in (s.url, *(a.url for a in s.also))}
        found = {}
        for story in self.stories:
            other = next((other for other in story.related if untracked(other.url) not in told), None)
            if other is not None:
                told.add(untracked(other.url))
                found[story.id] = other
        return found

    @property
    def dir(self) -> str:
        return direction(self.language)

    @property
    def unsubscribe_url(self) -> str:
        return self._marker(Marker.UNSUBSCRIBE)

    @property
    def preferences_url(self) -> str:
        return self._marker(Marker.PREFERENCES)

    @property
    def choices_address(self) -> str:
        """Where a reader may say by mail what they choose; "" where nobody reads mail."""
        return self._marker(Marker.CHOICES) if self.by_mail else ""

    @property
    def paragraphs(self) -> list[str]:
        """The editor's note."""
        return [" ".join(part.split()) for part in re.split(r"\n\s*\n", self.note) if part.strip()]

    @cached_property
    def preheader(self) -> str:
        """What the inbox shows after the subject, 40 to 130 characters: the next titles, as that tells the lead."""
        parts = [s.title for s in self.stories[1:4]] or [self.lead.excerpt or self.lead.title]
        if len(" · ".join(parts)) < 40:
            parts += [part for part in (self.lead.excerpt, self.lead.source, self.title) if part and part not in parts]
        return shorten(" · ".join(parts), 130)

    def _marker(self, marker: Marker) -> str:
        if self.marks is None:
            raise ValueError("this page has no markers")
        return self.marks.address(marker)

    def without(self, dropped: frozenset[int]) -> Page:
        """The page less some stories (by id, never the lead), which count as `more`."""
        sections = (
            replace(s, stories=tuple(story for story in s.stories if story.id not in dropped)) for s in self.sections
        )
        kept = tuple(section for section in sections if section.stories)
        return replace(self, sections=kept, more=self.more + len(dropped))


@dataclass(frozen=True)
class Rendered:
    """One variant, before it becomes anybody's letter. `dropped` fell to the bound on its size.

    Without `marks` there is nothing in it to fill in: it is a notice to one person.
    """

    subject: str
    html: str
    text: str
    dropped: tuple[Story, ...] = ()
    marks: Marks | None = None
