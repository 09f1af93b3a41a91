"""Which stories come first, and which of them one reader gets."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from digest import config
from digest.curate import series as series_of
from digest.curate import urls
from digest.curate.leading import Paper, lead
from digest.dataclass import dataclass
from digest.graphemes import width
from digest.values import Source, Story

PAPER = Paper()
UNMOVED: Mapping[int, int] = {}


@dataclass(frozen=True)
class LeftOut:
    """A story that a reader did not get although it was hers to get, and why."""

    story: Story
    why: str


@dataclass(frozen=True)
class Selection:
    """The stories of one variant: the lead, and then the best first, which is pins and then by rank."""

    stories: tuple[Story, ...] = ()
    left: tuple[LeftOut, ...] = ()

    @property
    def more(self) -> int:
        """How many stories did not fit."""
        return len(self.left)

    @property
    def lead(self) -> Story | None:
        return self.stories[0] if self.stories else None

    def at_most(self, number: int) -> Selection:
        """Of these the first so many, at the wish of who reads them."""
        beyond = tuple(LeftOut(story, f"beyond their maximum of {number}") for story in self.stories[number:])
        return Selection(self.stories[:number], (*beyond, *self.left)) if beyond else self

    def sections(self, order: Sequence[str]) -> tuple[tuple[str, tuple[Story, ...]], ...]:
        """The stories after the lead under their topics, in the order given; what it does not name comes last."""
        places = {slug: place for place, slug in enumerate(order)}
        found: dict[str, list[Story]] = {}
        for story in self.stories[1:]:
            found.setdefault(story.topic if story.topic in places else "other", []).append(story)
        return tuple(
            (slug, tuple(found[slug])) for slug in sorted(found, key=lambda slug: places.get(slug, len(places)))
        )


def parts(
    curate: config.Curate,
    *,
    sources: int,
    feed: float,
    fit: float,
    excerpt: str,
    boost: float,
    age_unknown: bool = False,
    points: float | None = None,
) -> dict[str, float]:
    """What a story is worth but for its freshness, part by part; the rank is their sum.

    sources   how many tell it: nothing for one, half the weight for two, all of it for four and more
    feed      what the operator adds for its feed
    topic     how well it fits its topic, 0 to 1 times the weight
    excerpt   all of the weight for a full excerpt, less for a short one
    boost     what the operator's rules add
    undated   taken off what a new feed brings without a date: it may be years old, and counts as fresh
    points    how many votes it has (see `share`), where its feed says so; worth no more than any other part
    """
    others = (curate.weight_sources, curate.weight_fresh, curate.weight_topic, curate.weight_excerpt)
    most = min([curate.weight_points, *(weight for weight in others if weight)])
    said = {} if points is None else {"points": round(most * points, 3)}
    return {
        "sources": round(_told_by(curate, sources), 3),
        "feed": feed,
        "topic": round(curate.weight_topic * fit, 3),
        "excerpt": of_excerpt(curate, excerpt),
        "boost": boost,
        "undated": -curate.weight_fresh if age_unknown else 0.0,
        **said,
    }


def linked(curate: config.Curate, *, sources: int, sites: int) -> float:
    """What a story gains by other sites that link to it: as if they had told it too."""
    return round(_told_by(curate, max(1, sources) + sites) - _told_by(curate, sources), 3)


def _told_by(curate: config.Curate, sources: int) -> float:
    return curate.weight_sources * min(1.0, math.log2(max(1, sources)) / 2)


def of_excerpt(curate: config.Curate, excerpt: str) -> float:
    """The part of a rank that is its excerpt's."""
    return round(curate.weight_excerpt * min(1.0, width(excerpt) / (curate.excerpt_length * 0.6)), 3)


def share(points: int, *, most: int) -> float:
    """How an entry did among those of its feed, by orders of magnitude: 0 for no votes, 1 for the most there were."""
    return min(1.0, math.log1p(max(0, points)) / math.log1p(most)) if most > 0 else 0.0


def freshness(published_at: datetime, *, now: datetime, half_life: timedelta) -> float:
    """1 for what is new, a half after `half_life`, a third after twice that, and so on.

    Slower than halving each time: of two old stories the newer one is still ahead.
    """
    age = max(timedelta(0), now - published_at)
    return 1 / (1 + age / half_life)


def pick(
    stories: Iterable[Story],
    *,
    topics: frozenset[str],
    limit: int,
    curate: config.Curate,
    now: datetime,
    paper: Paper = PAPER,
    moved: Mapping[int, int] = UNMOVED,
) -> Selection:
    """Choose the stories of one variant, and which of them leads (see `leading`).

    `moved` are the levels by which a reader's taste raises or lowers stories, by their seqs (see `sieve.Cut`).

    `topics` are the reader's, none meaning all. Pins come first and no cap holds them. Dates only order
    here: which stories are offered at all is decided by their `seq`, before. Where `paper` comes seldom, all since the
    edition before is equally new, and age tells from there on. Of an author who is capped the first
    story names the others.
    """
    half_life, then = timedelta(hours=curate.fresh_hours), now - paper.one_piece

    def worth(story: Story) -> tuple[bool, int, float, int]:
        fresh = curate.weight_fresh * freshness(story.published_at, now=then, half_life=half_life)
        own = curate.weight_taste * moved.get(story.seq, 0)
        return story.pinned, -story.placed if story.pinned else 0, story.rank + fresh + own, story.seq

    mine = sorted((s for s in stories if not topics or s.topic in topics), key=worth, reverse=True)
    per_feed = _share(curate.per_feed, limit, {s.feed_id for s in mine})
    # A series from a template stays capped however few others write; only a paper of one author knows no cap.
    per_author = curate.per_author if len({s.author.casefold() for s in mine}) > 1 else limit
    per_topic = _share(curate.per_topic, limit, {s.topic for s in mine})
    taken: list[Story] = []
    told = series_of.Told()
    left: list[LeftOut] = []
    beyond = f"there was room for {limit} stories only, and others ranked higher"
    feeds: Counter[int] = Counter()
    series: Counter[str] = Counter()
    sections: Counter[str] = Counter()
    first: dict[str, int] = {}  # where the first story of an author stands
    more: defaultdict[int, list[Source]] = defaultdict(list)
    for number, story in enumerate(mine):
        if len(taken) >= limit:  # most stories: nothing more is asked about them
            left += [LeftOut(one, beyond) for one in mine[number:]]
            break
        author, *templates = _series(story)
        if story.pinned:
            why = ""
        elif feeds[story.feed_id] >= per_feed:
            why = f"capped: at most {per_feed} of one feed ({story.source})"
        elif author and series[author] >= per_author:
            why = f"capped: at most {per_author} of one author ({story.writer or story.source})"
        elif any(series[key] >= per_author for key in templates):
            why = f"capped: at most {per_author} of texts that begin alike, as from a template"
        elif told.alike(story) >= per_author:
            why = f"capped: at most {per_author} of texts that are alike, as from a template"
        elif sections[story.topic] >= per_topic:
            why = f"capped: at most {per_topic} of one topic ({story.topic})"
        else:
            why = ""
        if why:
            if author in first and series[author] >= per_author:
                more[first[author]].append(Source(story.title, story.url))
                heads = taken[first[author]]
                why += f"; named under story {heads.id}, “{heads.title}”"
            left.append(LeftOut(story, why))
            continue
        if author:
            first.setdefault(author, len(taken))
        taken.append(story)
        told.add(story)
        feeds[story.feed_id] += 1
        series.update(key for key in (author, *templates) if key)
        sections[story.topic] += 1
    for at, others in more.items():
        taken[at] = replace(taken[at], more_by=tuple(others))
    if taken:
        front = lead(taken, paper, now=now)
        taken = [front, *(story for story in taken if story is not front)]
    return Selection(tuple(taken), tuple(left))


_SHORT_OPENING, _SHORT_TITLE = 6, 3  # words
_DIGITS = re.compile(r"\d+")


def _series(story: Story) -> tuple[str, ...]:
    """What a story may share with others of a series: its author ("" where nobody is named), the beginning of its
    text and the form of its title, as keys."""
    return _keys(story.writer.casefold(), story.author.casefold().strip(), story.url, story.title, story.excerpt)


@lru_cache(maxsize=4096)  # asked for each variant
def _keys(writer: str, author: str, url: str, title: str, excerpt: str) -> tuple[str, ...]:
    who = writer or (
        f"{author} at {urls.site(urls.normalise(url))}" if author else ""
    )  # who is nobody is one on a site
    found = [f"author {who}" if who else ""]
    opening = excerpt.casefold().split()[:_SHORT_OPENING]
    if len(opening) == _SHORT_OPENING:
        found.append(f"opening {' '.join(opening)}")
    form = _DIGITS.sub("#", title.casefold())
    if "#" in form and len(form.split()) >= _SHORT_TITLE:
        found.append(f"title {form}")
    return tuple(found)


def _share(cap: int, limit: int, rivals: Collection[object]) -> int:
    """The cap, or an equal share where that is more: a newsletter of one feed is not cut to three stories."""
    return max(cap, -(-limit // max(1, len(rivals))))
