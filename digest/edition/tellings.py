"""A story's values, of the entries that tell it: of a new one, and of one that is known and told by more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from functools import lru_cache
from typing import Any

from digest import config, writers
from digest.curate import central, excerpts, flood, rank, rules, sketches, urls
from digest.dataclass import dataclass
from digest.edition import cited
from digest.edition.full_text import PageText
from digest.edition.judge import subject
from digest.store import entries
from digest.store.story_tables import Story


@dataclass(frozen=True, slots=True)
class Read:
    """An entry read: what it says, where it leads, and what was judged of it."""

    entry: entries.Waiting
    feed: entries.Reading
    url: str
    link: str
    prose: str
    minutes: int
    image: str
    verdict: rules.Verdict
    shown_at: datetime
    points: float | None = None  # see `rank.share`
    page: PageText | None = None  # what its page says, where its feed gives a stub
    central: central.Central | None = None  # the sentences that say most of it, where the settings want them
    links: tuple[str, ...] = field(init=False)  # by which it is known to tell what another does, normalised
    own: bool = field(init=False)  # the feed tells what its own site wrote, and does not only point at it
    family: str = field(init=False)  # of its feed

    def __post_init__(self) -> None:
        # At once, while the addresses are remembered: `urls.normalise`.
        found = (self.link, urls.normalise(self.entry.url), self.page.link if self.page else "")
        object.__setattr__(self, "links", tuple(dict.fromkeys(filter(None, found))))
        sites = {_host(self.feed.site_url or self.feed.url), _host(self.feed.url)}
        object.__setattr__(self, "own", urls.site(self.link).partition("/")[0] in sites)
        object.__setattr__(self, "family", family(self.feed))


@lru_cache(maxsize=16)  # feed by feed its entries are read
def _host(url: str) -> str:
    return urls.site(urls.normalise(url)).partition("/")[0]


@dataclass(frozen=True)
class Again:
    """A known story that is told by more."""

    story: int
    reads: tuple[tuple[Read, str], ...]
    best: Read
    told: dict[str, Any]  # its values, should this telling be the better one


def representative(read: Read) -> tuple[bool, int, datetime, int]:
    """The original site before an aggregator, the longest excerpt, the earliest."""
    return not read.own, -len(read.prose), read.shown_at, read.entry.id


def story_of(
    best: Read, reads: Sequence[Read], settings: config.Newsletter, curate_settings: config.Curate, *, now: datetime
) -> dict[str, Any]:
    """The values of a new story. Its topic is the surest of those that its entries were given."""
    surest = max(reads, key=lambda read: (_STEPS.index(read.verdict.step), read.verdict.fit, read is best))
    verdict = surest.verdict
    told = told_of(best, curate_settings)
    worth = rank.parts(
        curate_settings,
        sources=len(_voices(reads)),
        feed=_feed_weight(best, settings),
        fit=verdict.fit,
        excerpt=told["excerpt"],
        boost=sum(read.verdict.boost for read in reads),
        age_unknown=not best.feed.known and not flood.usable(best.entry.published_at, now=now),
        points=_most_points(reads),
    )
    return told | {
        "topic": verdict.topic,
        "topic_step": verdict.step,
        "admitted_at": now,
        "rank": round(sum(worth.values()), 3),
        "pinned": any(read.verdict.pinned for read in reads),
        "dropped": False,
        "reasons": {
            "topic": {
                "step": verdict.step,
                "why": verdict.why,
                "fit": round(verdict.fit, 3),
                "words": [[word, round(worth_, 2)] for word, worth_ in verdict.words],
            },
            "rules": sorted({rule for read in reads for rule in read.verdict.rules}),
            "rank": worth,
            "own": best.own,
            **_of_excerpt(best),
            "told_by": _voices(reads),
            "related": [],
        },
    }


def _voices(reads: Sequence[Read]) -> list[str]:
    """The sites that tell a story by themselves: one of those of one owner, and of those with a copy of one text."""
    found: dict[str, Read] = {}
    for read in sorted(reads, key=representative):
        owner = read.family
        if owner not in found and not any(_copy(read, other) for other in found.values()):
            found[owner] = read
    return sorted(found)


def _copy(one: Read, two: Read) -> bool:
    """Whether one text stands in two feeds: the same beginning, or most of its words with a few others before them."""
    if min(len(one.prose), len(two.prose)) < excerpts.LEAST:
        return False
    if one.prose[:120].casefold() == two.prose[:120].casefold():
        return True
    return sketches.alike(sketches.of(one.prose), sketches.of(two.prose)) >= sketches.COPIED


def _feed_weight(read: Read, settings: config.Newsletter) -> float:
    """What the operator adds for a feed: its own weight, else that of the newsletter's settings."""
    if read.feed.weight is not None:
        return read.feed.weight
    return rules.weight(subject(read.entry, read.feed, read.url), settings.feed_weights)


def _most_points(reads: Sequence[Read]) -> float | None:
    return max((read.points for read in reads if read.points is not None), default=None)


_STEPS = ("none", "keywords", "words", "category", "feed", "rule")  # the surest last


def told_of(best: Read, settings: config.Curate) -> dict[str, Any]:
    """The part of a story's values that is its representative's."""
    title, excerpt = excerpts.titled(best.entry.title, best.prose, settings.excerpt_length)
    called = best.entry.title.startswith(title.removesuffix("…"))
    if best.central is not None and best.central.text and called:
        excerpt = best.central.text
    return {
        "entry_id": best.entry.id,
        "url": best.url or best.feed.site_url or best.feed.url,
        "title": title,
        "source": writers.source(best.feed.title, best.feed.site_url or best.feed.url),
        "author": best.entry.author,
        "excerpt": excerpt,
        "language": best.entry.language,
        "image_url": best.image,
        "reading_minutes": best.minutes,
        "published_at": best.shown_at,
    }


def _of_excerpt(best: Read) -> dict[str, Any]:
    """The reasons for an excerpt: where it is from, and which sentences it is."""
    where = {"excerpt": "page" if best.page else "feed"}
    return where | (central.kept(best.central) if best.central is not None and best.entry.title else {})


def told_again(story: Story, again: Again, *, sent: bool, settings: config.Curate) -> None:
    """A known story is told by more: it gains rank and perhaps a better telling, unless it has gone out already."""
    if sent:
        return
    reads = [read for read, _why in again.reads]
    reasons = dict(story.reasons)
    worth = dict(reasons["rank"])
    told_by = sorted({*reasons["told_by"], *_voices(reads)})
    better = again.best.own and not reasons["own"]
    if better:
        edited = dict(reasons.get("edited", {}))  # by an editor, whose word stands
        for field, value in again.told.items():
            if field in edited:
                edited[field] = value  # what they get back who take it away: what its source says now
            else:
                setattr(story, field, value)
        if edited:
            reasons["edited"] = edited
        reasons.pop("summary", None)
        reasons |= {"own": True, **_of_excerpt(again.best)}
    worth_now = rank.parts(
        settings,
        sources=len(told_by),
        feed=worth["feed"],
        fit=reasons["topic"]["fit"],
        excerpt=story.excerpt,
        boost=worth["boost"] + sum(read.verdict.boost for read in reads),
        age_unknown=worth["undated"] < 0,
    )
    if not better:  # what a machine or an editor says in its place makes it no better
        worth_now["excerpt"] = worth["excerpt"]
    voted = rank.parts(settings, sources=1, feed=0, fit=0, excerpt="", boost=0, points=_most_points(reads))
    if said := [parts["points"] for parts in (worth, voted) if "points" in parts]:
        worth_now["points"] = max(said)
    story.pinned = story.pinned or any(read.verdict.pinned for read in reads)
    story.reasons = reasons | {"rank": worth_now, "told_by": told_by}
    for field, value in cited.credit(story.reasons, (), settings).items():
        setattr(story, field, value)


def family(feed: entries.Reading) -> str:
    return urls.family(_host(feed.site_url or feed.url))
