"""The operator's word on an entry, and after it everything else that chooses its topic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import lru_cache

from digest import config
from digest.config import OTHER
from digest.curate.topics import Placer, Text
from digest.curate.words import AFTER, BEFORE, unspaced
from digest.dataclass import dataclass

_LONGEST = 500  # characters of a stranger's text that a pattern is tried on


@dataclass(frozen=True, slots=True)
class Subject:
    """As much of an entry as rules and category maps look at."""

    feed_title: str
    feed_url: str
    feed_topic: str
    url: str
    author: str
    title: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an entry, and the reasons to keep with it. `muted` is the reason not to take it, or ""."""

    topic: str = OTHER
    step: str = "none"
    why: str = ""
    fit: float = 0.0  # how well it fits its topic, 0 to 1
    words: tuple[tuple[str, float], ...] = ()
    muted: str = ""
    pinned: bool = False
    boost: float = 0.0
    rules: tuple[str, ...] = field(default=())


@lru_cache(maxsize=4096)
def _pattern(words: str) -> tuple[re.Pattern[str], ...]:
    """What has to be found, one after the other: the pieces between the stars."""
    words = words.strip()
    parts = [re.escape(part) for part in words.split("*")]
    parts[0] = (BEFORE if words[:1].isalnum() and not unspaced(words[0]) else "") + parts[0]
    parts[-1] += AFTER if words[-1:].isalnum() and not unspaced(words[-1]) else ""
    return tuple(re.compile(part, re.IGNORECASE) for part in parts)


def _found(words: str, text: str) -> bool:
    # Each piece where it comes first, and never tried again: one that comes later leaves less to the next.
    at = 0
    for part in _pattern(words):
        found = part.search(text, at)
        if found is None:
            return False
        at = found.end()
    return True


def fits(words: str, *texts: str) -> bool:
    """Whether a pattern is found in one of the texts: at the bounds of words, in capitals or not, `*` for anything."""
    return any(_found(words, text[:_LONGEST]) for text in texts)


def applies(rule: config.Rule, subject: Subject) -> bool:
    """Whether all patterns of a rule fit."""
    return (
        (not rule.feed or fits(rule.feed, subject.feed_title, subject.feed_url))
        and (not rule.url or fits(rule.url, subject.url))
        and (not rule.author or fits(rule.author, subject.author))
        and (not rule.title or fits(rule.title, subject.title))
        and (not rule.category or fits(rule.category, *subject.categories))
    )


def named(rule: config.Rule, number: int) -> str:
    """A rule as people know it: its number in the settings and its patterns."""
    parts = [
        f"{name} {value!r}" for name in ("feed", "url", "author", "title", "category") if (value := getattr(rule, name))
    ]
    return f"rule {number} ({', '.join(parts)})"


def muted(rules: Iterable[config.Rule], subject: Subject) -> str:
    """The rule that mutes an entry, in words, or ""."""
    for number, rule in enumerate(rules, 1):
        if rule.mute and applies(rule, subject):
            return f"muted by {named(rule, number)}"
    return ""


def judge(subject: Subject, text: Text, *, settings: config.Newsletter, placer: Placer) -> Verdict:
    """Mute, place, pin and boost one entry. The first step that knows its topic is the reason that is kept."""
    if reason := muted(settings.rules, subject):
        return Verdict(muted=reason, step="rule", why=reason)
    pinned, boost, used = False, 0.0, []
    placed: tuple[str, str, str] | None = None
    for number, rule in enumerate(settings.rules, 1):
        if not applies(rule, subject):
            continue
        used.append(named(rule, number))
        pinned = pinned or rule.pin
        boost += rule.boost
        if rule.topic and placed is None:
            placed = rule.topic, "rule", named(rule, number)
    if placed is None and subject.feed_topic in placer.topics:
        placed = subject.feed_topic, "feed", f"all of {subject.feed_title or subject.feed_url} is about it"
    placed = placed or _by_category(subject, settings)
    if placed is not None:
        topic, step, why = placed
        return Verdict(topic, step, why, 1.0 if topic != OTHER else 0.0, (), "", pinned, boost, tuple(used))
    found = placer.place(text)
    fit = 0.0 if found.topic == OTHER else min(1.0, found.score / 2)
    return Verdict(found.topic, found.step, found.why, fit, found.words, "", pinned, boost, tuple(used))


def _by_category(subject: Subject, settings: config.Newsletter) -> tuple[str, str, str] | None:
    """The feed's own map of categories first, then the topics' own; what neither names is ignored, not guessed."""
    for feed, names in settings.feed_categories.items():
        if fits(feed, subject.feed_title, subject.feed_url):
            known = {name.casefold(): topic for name, topic in names.items()}
            for category in subject.categories:
                if topic := known.get(category.casefold()):
                    return topic, "category", f"the feed's category {category!r}"
    return next(_by_topic_categories(subject, settings.topics), None)


def _by_topic_categories(subject: Subject, topics: Mapping[str, config.Topic]) -> Iterator[tuple[str, str, str]]:
    given = {category.casefold(): category for category in subject.categories}
    for slug, topic in topics.items():
        for name in topic.categories:
            if name.casefold() in given:
                yield slug, "category", f"the category {given[name.casefold()]!r}"


def weight(subject: Subject, weights: Mapping[str, float]) -> float:
    """What the operator adds for a feed: the first pattern that fits it, else 0."""
    return next((w for feed, w in weights.items() if fits(feed, subject.feed_title, subject.feed_url)), 0.0)
