"""What the templates are given, and what comes out of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property

from digest.colours import PALETTES, Palette
from digest.dataclass import dataclass
from digest.graphemes import WIDE, clamp, unheaped
from digest.render import ranks
from digest.render.marked import paragraphs
from digest.render.marks import Marker, Marks
from digest.render.words import direction
from digest.schedule import Schedule
from digest.untracked import page_key
from digest.values import Shot, Source, Story

_TINTS = 12
_LONG = 20
_OTHER = "other"  # the slug of what has no topic
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Section:
    """One heading and its stories."""

    slug: str
    title: str
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class Identity:
    """By what a newsletter is known again, besides its title and accent."""

    palette: str = ""  # of `colours.PALETTES`; "" is the theme's own
    masthead: str = "standard"  # or "centred", "banner", "slim"
    tagline: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)  # of topics, by their slugs
    tints: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # their accents, on light and on dark ground
    subscribe_url: str = ""  # for who was forwarded the mail; "" where nobody can sign up
    share: bool = False  # offer to pass the edition on
    replies: bool = False  # answers go to somebody who reads them
    logo: Shot | None = None  # in the title's place
    logo_dark: Shot | None = None  # the same in dark mode
    plated: bool = False  # in dark mode it needs a light ground to stand out from


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
    short: int = 0  # stories from which on it begins with the best of them in a line each; 0: never
    beginning: bool = False  # the first edition, of feeds that had nothing new: what leads is merely the newest
    by_mail: bool = False  # somebody reads what readers write
    asks: bool = False  # offers to say of a story that there should be more or less of such
    identity: Identity = Identity()
    order: tuple[int, ...] = ()  # ids of the stories, the best first; empty where their ranks decide
    subject: str = ""  # of the mail, as it was cut; `Templates.render` fills it in
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
    def told(self) -> frozenset[str]:
        """The pages (see `page_key`) of these stories, and of who else tells them."""
        return frozenset(page_key(url) for s in self.stories for url in (s.url, *(a.url for a in s.also)))

    @cached_property
    def see_also(self) -> Mapping[int, Source]:
        """By the id of a story that is more than a line, the one most like it that the mail does not name elsewhere.

        None is pointed to twice.
        """
        if not any(story.related for story in self.stories):
            return {}
        places = self.places
        blocks = (block for band in places.bands for block in band.blocks if block.kind == "story")
        full = (self.lead, *places.seconds, *(story for block in blocks for story in block.stories))
        named = {*self.told, *(page_key(other.url) for story in full for other in story.more_by)}
        named |= {page_key(s.earlier.page or s.earlier.url) for s in self.stories if s.earlier}
        found = {}
        for story in full:
            other = next((one for one in story.related if page_key(one.url) not in named), None)
            if other is not None:
                named.add(page_key(other.url))
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

    def more_url(self, story: Story) -> str:
        """Where a reader says that they want more of such; "" where nobody asks, as of a story that is no row yet."""
        return f"{self.preferences_url}/story/{story.id}" if self.asks and story.id > 0 else ""

    def less_url(self, story: Story) -> str:
        more = self.more_url(story)
        return f"{more}?less" if more else ""

    @property
    def choices_address(self) -> str:
        """Where a reader may say by mail what they choose; "" where nobody reads mail."""
        return self._marker(Marker.CHOICES) if self.by_mail else ""

    @property
    def paragraphs(self) -> list[str]:
        """The editor's note, without its lists."""
        return paragraphs(self.note)

    @cached_property
    def places(self) -> ranks.Places:
        """Where each story after the lead stands."""
        return ranks.place([(s.slug, s.title, s.stories) for s in self.sections], self.lead, self.order)

    @cached_property
    def in_short(self) -> tuple[Story, ...]:
        """What else there is, for who reads no further: the best of each topic; () in a short mail."""
        if not self.short or len(self.stories) < self.short:
            return ()
        return ranks.in_short(self.stories[1:], self.lead, self.order)

    @property
    def unbanded(self) -> list[str]:
        """The slugs of sections that have no heading of their own: what leads to one must lead somewhere."""
        bands = {band.slug for band in self.places.bands}
        return [section.slug for section in self.counted if section.slug not in bands]

    @property
    def long(self) -> bool:
        """Are there so many stories that each has to say less?"""
        return len(self.stories) >= _LONG

    @cached_property
    def headings(self) -> Mapping[int, str]:
        """The title of each story's topic, by its id; the lead's only where it is known."""
        found = {story.id: section.title for section in self.sections for story in section.stories}
        title = self.identity.titles.get(self.lead.topic)
        return found | ({self.lead.id: title} if title else {})

    @cached_property
    def kickers(self) -> Mapping[int, str]:
        """The same of those that have a topic: of the others there is nothing to say."""
        without = {story.id for section in self.sections if section.slug == _OTHER for story in section.stories}
        return {id_: title for id_, title in self.headings.items() if id_ not in without}

    @cached_property
    def tinted(self) -> Mapping[str, int]:
        """The topics of this mail that have an accent of their own, numbered from 1: as many as a style can hold."""
        slugs = dict.fromkeys(story.topic for story in self.stories)
        return {slug: n for n, slug in enumerate([s for s in slugs if s in self.identity.tints][:_TINTS], 1)}

    @property
    def tint_colours(self) -> list[tuple[str, str]]:
        return [self.identity.tints[slug] for slug in self.tinted]

    @cached_property
    def told_by(self) -> tuple[str, ...]:
        """The names of all sources, each once, in the order of the mail."""
        names = [name for s in self.stories for name in (s.source, *(a.title for a in s.also))]
        return tuple(dict.fromkeys(name for name in names if name))

    def colours(self, own: str) -> Palette:
        """The palette of the settings, or else the theme's `own`."""
        return PALETTES[self.identity.palette or own]

    @cached_property
    def preheader(self) -> str:
        """What the inbox shows after the subject, 40 to 130 columns: what was cut off there, and the next titles."""
        parts = [s.title for s in self.stories[1:4]] or [self.lead.excerpt or self.lead.title]
        if rest := _rest(self.subject, self.lead.title):
            parts = [f"…{rest}", *(part for part in parts if part != self.lead.title)]
        if len(" · ".join(parts)) < 40:
            parts += [part for part in (self.lead.excerpt, self.lead.source, self.title) if part and part not in parts]
        return clamp(" · ".join(parts), 130)

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

    def fair(self) -> Page:
        """The page without marks heaped upon letters, in whatever strangers say."""
        return self._each(_fair)

    def pointing(self) -> Page:
        """The page with no story that points to what the mail tells itself, or to one page twice."""
        if not any(story.earlier or story.more_by for story in self.stories):
            return self
        ids = {story.id for story in self.stories}

        def once(story: Story) -> Story:
            before = story.earlier
            page = page_key(before.page or before.url) if before else ""
            if before and (before.id in ids or page in self.told):
                before, page = None, ""
            more_by = tuple(other for other in story.more_by if page_key(other.url) not in {*self.told, page})
            return replace(story, earlier=before, more_by=more_by)

        return self._each(lambda story: once(story) if story.earlier or story.more_by else story)

    def _each(self, change: Callable[[Story], Story]) -> Page:
        lead = change(self.lead)
        sections = tuple(replace(s, stories=tuple(map(change, s.stories))) for s in self.sections)
        return self if (lead, sections) == (self.lead, self.sections) else replace(self, lead=lead, sections=sections)


def _fair(story: Story) -> Story:
    others = (*story.also, *story.related, *story.more_by)
    before = story.earlier.title if story.earlier else ""
    said = (story.title, story.source, story.author, story.excerpt, before, *(other.title for other in others))
    if "".join(said).isascii():
        return story
    fair = tuple(map(unheaped, said))
    if fair == said:
        return story
    titles = iter(fair[5:])
    also, related, more_by = (
        tuple(replace(o, title=next(titles)) for o in some) for some in (story.also, story.related, story.more_by)
    )
    title, source, author, excerpt, before = fair[:5]
    return replace(
        story,
        title=title,
        source=source,
        author=author,
        excerpt=excerpt,
        earlier=story.earlier and replace(story.earlier, title=before),
        also=also,
        related=related,
        more_by=more_by,
    )


def _rest(subject: str, title: str) -> str:
    """What a subject that ends with "…" leaves out of a title."""
    title = " ".join(title.split())
    said = subject.removesuffix("…").rstrip()
    at = said.rfind(title[:12])
    if said == subject or at < 0 or not title.startswith(said[at:]):
        return ""
    return title[len(said) - at :].lstrip(" ,;:")


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
