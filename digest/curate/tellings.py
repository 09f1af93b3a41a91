"""What tells news: entries as far as they say whether it is the same, of which thousands are only counted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from digest.curate.urls import site

# Where people link to what others wrote: an address there says nothing about who wrote it.
AGGREGATORS = frozenset(
    """
    news.ycombinator.com lobste.rs reddit.com tildes.net lemmy.ml lemmy.world programming.dev slashdot.org
    barrapunto.com hackernoon.com/tagged echojs.com lamernews.com techmeme.com memeorandum.com x.com t.co
    """.split()  # noqa: SIM905
)


class Telling(NamedTuple):
    """One entry as far as it tells whether it is the same news as another. `id` and `feed` are whatever can be hashed.

    `links` are normalised; `place` is the site that wrote it, "" where only an aggregator's page is known.
    `links_tell` is false where the entries of its feed have one link and are different all the same: a status page.
    `text` is what it says, or the beginning of that.
    """

    id: Any
    title: str
    links: tuple[str, ...]
    feed: Any
    when: datetime
    links_tell: bool = True
    text: str = ""
    author: str = ""

    @property
    def place(self) -> str:
        return place(self.links)


def place(links: Sequence[str]) -> str:
    """The site that wrote what has these links, "" where only an aggregator's page is known."""
    for link in links:
        found = site(link)
        if found and found.partition("/")[0] not in AGGREGATORS:
            return found
    return ""


class Tellings:
    """Tellings by their places, in columns: of most no more is asked than their titles. One is made when it is wanted.

    `one` makes it, of its place and its links: it must not know them all, or they stay until garbage is looked for.
    `links` has the first link of each, "" where there is none, and `several` all of those with more.
    """

    def __init__(
        self,
        one: Callable[[int, tuple[str, ...]], Telling],
        *,
        titles: list[str],
        links: list[str],
        several: dict[int, tuple[str, ...]],
        moments: list[datetime],
        texts: list[str],
    ) -> None:
        self._one, self._made = one, dict[int, Telling]()
        self.titles, self.moments, self.texts = titles, moments, texts
        self._links, self._several = links, several

    @classmethod
    def of(cls, tellings: Sequence[Telling]) -> Tellings:
        """Those that are made already."""
        return cls(
            lambda i, _links: tellings[i],
            titles=[one.title for one in tellings],
            links=[one.links[0] if one.links else "" for one in tellings],
            several={i: one.links for i, one in enumerate(tellings) if len(one.links) > 1},
            moments=[one.when for one in tellings],
            texts=[one.text for one in tellings],
        )

    def followed_by(self, others: Tellings) -> Tellings:
        first = len(self)
        return Tellings(
            lambda i, _links: self[i] if i < first else others[i - first],
            titles=self.titles + others.titles,
            links=self._links + others._links,
            several=self._several | {first + i: links for i, links in others._several.items()},
            moments=self.moments + others.moments,
            texts=self.texts + others.texts,
        )

    def __len__(self) -> int:
        return len(self.titles)

    def __getitem__(self, i: int) -> Telling:
        return self._made[i] if i in self._made else self._made.setdefault(i, self._one(i, self.links(i)))

    def links(self, i: int) -> tuple[str, ...]:
        return self._several.get(i) or ((link,) if (link := self._links[i]) else ())

    def place(self, i: int) -> str:
        return place(self.links(i))

    def having(self, wanted: Collection[str]) -> list[int]:
        """Those with one of these links, in order."""
        found = {i for i, link in enumerate(self._links) if link in wanted} if wanted else set[int]()
        return sorted(found.union(i for i, some in self._several.items() if any(link in wanted for link in some)))
