"""What is wrong with a newsletter's keywords: which never match, which match nearly all, which two topics share."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from digest import config
from digest.curate.barren import Barren, Feeds, barren, shared
from digest.curate.keywords import Keywords, keyword_words
from digest.curate.topics import Heading, Text, headings
from digest.curate.words import words
from digest.dataclass import dataclass

BROAD = 0.4  # share of entries from which on a keyword is not enough alone
_EVERYTHING = 0.7  # and from which on it says nothing
_LEAST_BROAD, _LEAST_UNSEEN = 100, 500  # entries, to say so


@dataclass(frozen=True)
class Flaw:
    """What is wrong, and in `what` the key and value that mend it.

    `kind` is "never" (it cannot match), "overlap", "broad" (`share` of the entries have it) or "unseen" (none of them
    has it: it may be for rarer days, and is no fault).
    """

    kind: str
    topic: str
    what: Barren
    share: float | None = None

    @property
    def fault(self) -> bool:
        """Whether it wants mending, as against looking at."""
        return self.kind != "unseen"


def lint(settings: config.Newsletter, feeds: Feeds | None, texts: Iterable[Text]) -> tuple[list[Flaw], int]:
    """All that is wrong with the keywords, topic by topic, and how many entries were looked at for it."""
    alike = list(shared(settings.topics))
    found = [
        Flaw("never", one.table.partition(".")[2], one)
        for one in barren(settings, feeds)
        if one.table.startswith("topics.") and one not in alike
    ]
    found += [Flaw("overlap", one.table.partition(".")[2], one) for one in alike]
    topics = headings(settings.topics)
    keywords = Keywords(topics)
    found += _overlaps(settings.topics, topics, keywords)
    counts: Counter[tuple[str, str]] = Counter()
    number = 0
    for text in texts:
        number += 1
        here: set[tuple[str, str]] = set()
        for part in (text.title, text.excerpt):
            here.update((slug, keyword) for slug, hits in keywords.find(part, every=True).items() for keyword in hits)
        counts.update(here)
    found += _broad(settings.topics, topics, counts, number)
    never = {(flaw.topic, flaw.what.name) for flaw in found}
    found += _unseen(settings.topics, counts, number, never)
    order = list(topics)
    return sorted(found, key=lambda flaw: (not flaw.fault, order.index(flaw.topic), flaw.what.name)), number


def _named(keyword: str, slug: str) -> str:
    return f"keyword {keyword!r} of {slug}"


def _place(topics: Mapping[str, config.Topic], slug: str, keyword: str) -> str:
    """The key of the settings that a keyword stands in, "" for one of ours."""
    given = topics.get(slug, config.Topic())
    return next((key for key in ("more_keywords", "keywords") if keyword in (getattr(given, key) or ())), "")


def _without(topics: Mapping[str, config.Topic], slug: str, key: str, keyword: str) -> tuple[str, ...]:
    return tuple(one for one in getattr(topics[slug], key) if one != keyword)


def _overlaps(chosen: Mapping[str, config.Topic], topics: Mapping[str, Heading], keywords: Keywords) -> Iterator[Flaw]:
    """Keywords whose own words are those of another topic too, in another spelling: "post*" and "postgres"."""
    told: set[frozenset[tuple[str, str]]] = set()
    for slug, heading in topics.items():
        for keyword in dict.fromkeys(heading.keywords):
            if keyword.endswith("?"):
                continue
            said = words(re.sub(r"(?<!\S)\*+(?!\S)", "x", keyword).replace("*", ""))
            for other, hits in keywords.find(said, every=True).items():
                for hit in hits if other != slug else ():
                    pair = frozenset({(slug, keyword), (other, hit)})
                    same = keyword_words(hit) == keyword_words(keyword)
                    if hit.endswith("?") or same or pair in told:
                        continue
                    # The narrower goes, where it is the settings' own.
                    for owner, one, rival in ((slug, keyword, other), (other, hit, slug)):
                        if key := _place(chosen, owner, one):
                            told.add(pair)
                            twin = hit if one == keyword else keyword
                            why = f"and {twin!r} of {rival} are found in the same words, and decide for neither"
                            rest = _without(chosen, owner, key, one)
                            yield Flaw("overlap", owner, Barren(_named(one, owner), why, f"topics.{owner}", key, rest))
                            break


def _broad(
    chosen: Mapping[str, config.Topic],
    topics: Mapping[str, Heading],
    counts: Mapping[tuple[str, str], int],
    number: int,
) -> Iterator[Flaw]:
    if number < _LEAST_BROAD:
        return
    wide: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (slug, keyword), count in sorted(counts.items()):
        share = count / number
        if share < (_EVERYTHING if keyword.endswith("?") else BROAD):
            continue
        key = _place(chosen, slug, keyword) or "keywords"
        now = getattr(chosen.get(slug), key, None)
        if now is None:
            now = tuple(one for one in topics[slug].keywords if not _place(chosen, slug, one))
        wide[slug, key].append(keyword)
        gone = share >= _EVERYTHING
        # Each line mends all of its list that was told before it too, so that the last can stand alone.
        marked = wide[slug, key]
        rest = tuple(
            one if one not in marked else f"{one}?"
            for one in now
            if one not in marked or counts[slug, one] < _EVERYTHING * number
        )
        does = "tells nothing" if gone else "is not enough alone, which a `?` after it says"
        why = f"is in {share:.0%} of {number:,} entries, and {does}"
        yield Flaw("broad", slug, Barren(_named(keyword, slug), why, f"topics.{slug}", key, rest), round(share, 3))


def _unseen(
    chosen: Mapping[str, config.Topic],
    counts: Mapping[tuple[str, str], int],
    number: int,
    never: set[tuple[str, str]],
) -> Iterator[Flaw]:
    """Those of the settings only, a topic's in one."""
    if number < _LEAST_UNSEEN:
        return
    for slug, topic in chosen.items():
        for key in ("keywords", "more_keywords"):
            given = getattr(topic, key) or ()
            silent = [
                one
                for one in dict.fromkeys(given)
                if not counts.get((slug, one)) and (slug, _named(one, slug)) not in never
            ]
            if silent:
                told = ", ".join(repr(one) for one in silent[:12]) + (
                    f" and {len(silent) - 12} more" if silent[12:] else ""
                )
                rest = tuple(one for one in given if one not in silent)
                why = f"none of {number:,} entries has {told}"
                yield Flaw("unseen", slug, Barren(f"{key} of {slug}", why, f"topics.{slug}", key, rest), 0.0)
