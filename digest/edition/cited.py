"""Who links to a story from a text of their own: witnesses that it matters, though they tell another."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from digest import config
from digest.curate import rank, urls

_Story = TypeVar("_Story", bound=Hashable)
MOST_LINKS = 50  # of one text that are looked at: a page of links says less by each
_LINK = re.compile(r'\bhref="(https?://[^"<>\s]{4,2000})"')


class Text(NamedTuple):
    """One text: the story that it tells, the family of the site that wrote it, and where it links to (`links_in`)."""

    story: Hashable
    family: str
    links: list[str]


def links_in(markup: str) -> list[str]:
    """The first addresses to which clean HTML links, normalised, each once."""
    found = dict.fromkeys(match[1] for match in _LINK.finditer(markup))
    some = (urls.normalise(html.unescape(link)) for link, _ in zip(found, range(MOST_LINKS), strict=False))
    return list(dict.fromkeys(filter(None, some)))


def witnesses(
    leads: Mapping[str, _Story], families: Callable[[_Story], Collection[str]], texts: Iterable[Text]
) -> dict[_Story, set[str]]:
    """By story, the families of sites that link to it and have no part in it, each once.

    `leads` says which story an address (normalised) is of, `families` which sites tell a story: asked of those that
    are linked to. A site's own links say nothing, nor do those to a front page: many link there for other things.
    """
    found: defaultdict[_Story, set[str]] = defaultdict(set)
    for text in texts:
        for link in text.links if text.family else ():
            if link not in leads or urls.bare(link):
                continue
            story = leads[link]
            if story == text.story or text.family in families(story):
                continue
            if text.family != urls.family(urls.site(link).partition("/")[0]):
                found[story].add(text.family)
    return dict(found)


def credit(reasons: Mapping[str, Any], sites: Iterable[str], settings: config.Curate) -> dict[str, Any]:
    """Rank and reasons of a story to which these sites link as well; those that tell it are counted as that."""
    linked_by = sorted({*reasons.get("linked_by", ()), *sites} - {*reasons["told_by"]})
    worth = {part: value for part, value in reasons["rank"].items() if part != "linked"}
    if linked_by:
        worth["linked"] = rank.linked(settings, sources=len(reasons["told_by"]), sites=len(linked_by))
    return {
        "rank": round(sum(worth.values()), 3),
        "reasons": {**reasons, "rank": worth, "linked_by": linked_by},
    }
