"""Keywords, categories and rules that never do anything, and why: by how entries are matched, and not by entries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from digest import config
from digest.curate.keywords import Keywords, keyword_words
from digest.curate.rules import _LONGEST, fits
from digest.curate.topics import Heading, headings
from digest.curate.words import unspaced, words
from digest.dataclass import dataclass

_PATTERNS = ("feed", "url", "author", "title", "category")
# What stands in regular expressions, and hardly in a title: keywords and rules are none.
_EXPRESSION = re.compile(r"\\[bdwsBDWSAZ.]|\.[*+]|\[[^\]]{0,80}\][+*?{]|\[\^?\w-\w|\(\?|^\^|\w\{\d")


@dataclass(frozen=True)
class Barren:
    """What never does anything. `key` in `table` of the newsletter's settings is what would say it right: `value`."""

    name: str
    why: str
    table: str = ""
    key: str = ""
    value: tuple[str, ...] | str | None = None


@dataclass(frozen=True)
class Feeds:
    """The feeds that a newsletter reads: (title, address) of each, and the topics that some of them are all about."""

    places: Sequence[tuple[str, str]] = ()
    topics: Collection[str] = ()


def barren(settings: config.Newsletter, feeds: Feeds | None = None) -> list[Barren]:
    """Everything of one newsletter that can never match; of feeds only where they are known."""
    found = list(_keywords(settings.topics))
    found += shared(settings.topics)
    if feeds is not None:
        found += _empty(settings, feeds)
    found += _rules(settings.rules)
    if feeds is not None and feeds.places:
        found += _no_feed(settings, feeds)
    return found


def _without(values: Sequence[str], one: str) -> tuple[str, ...]:
    return tuple(value for value in values if value != one)


def _keywords(topics: Mapping[str, config.Topic]) -> Iterator[Barren]:
    for slug, topic in topics.items():
        for key in ("keywords", "more_keywords"):
            given = getattr(topic, key) or ()
            for keyword in dict.fromkeys(given):
                if why := _never(keyword):
                    name = f"keyword {keyword!r} of {slug}"
                    yield Barren(name, why, f"topics.{slug}", key, _without(given, keyword))
        for category in topic.categories:
            if category != category.strip() or not category:
                mended = tuple(one.strip() for one in topic.categories if one.strip())
                why = "has spaces around it, and categories are compared as a whole" if category else "is empty"
                yield Barren(f"category {category!r} of {slug}", why, f"topics.{slug}", "categories", mended)


def _never(keyword: str) -> str:
    """Why a keyword is never found, or ""."""
    if not keyword_words(keyword):
        return "has no letter or digit in it, so that no word of a title can be it"
    if _EXPRESSION.search(keyword):
        return "is written as a regular expression, and keywords are plain words; `*` for any letters is all they know"
    if re.search(r"\?\s*\*+$", keyword):
        return "has `?` before its `*`, and marks nothing there: it stands last"
    if any(unspaced(begin) and unspaced(end) for begin, end in _STAR_WITHIN.findall(keyword)):
        return "has `*` within a script without spaces, whose words are found anywhere and as they stand"
    # With a letter more of the script that is there: a word ends where that changes.
    own = re.sub(r"([^\W_]?)\*+(?=([^\W_]?))", lambda star: star[1] * 2 or star[2] or "x", keyword.removesuffix("?"))
    if not Keywords({"it": Heading("", (keyword,))}).find(words(own)):
        return "is not found even in its own words"
    return ""


_STAR_WITHIN = re.compile(r"(\S)\*+(\S)")


def shared(topics: Mapping[str, config.Topic]) -> Iterator[Barren]:
    """A keyword of two topics speaks for both alike, and so for neither."""
    whose: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for slug, heading in headings(topics).items():
        for keyword in dict.fromkeys(heading.keywords):
            if not keyword.endswith("?"):
                whose[keyword_words(keyword)].append((slug, keyword))
    for said, uses in whose.items():
        owners = list(dict.fromkeys(slug for slug, _ in uses))
        if len(owners) < 2 or not said:
            continue
        for slug, keyword in reversed(uses):
            topic = topics.get(slug)
            key = next((key for key in ("more_keywords", "keywords") if keyword in (getattr(topic, key, ()) or ())), "")
            if key:
                why = f"stands under {' and '.join(owners)} alike, so that it decides for neither"
                rest = _without(getattr(topic, key), keyword)
                yield Barren(f"keyword {keyword!r} of {slug}", why, f"topics.{slug}", key, rest)
                break


def _empty(settings: config.Newsletter, feeds: Feeds) -> Iterator[Barren]:
    """Topics that nothing leads to. With labels of feeds or editors their words are learnt, so feeds are looked at."""
    led = {rule.topic for rule in settings.rules} | set(feeds.topics)
    led |= {slug for names in settings.feed_categories.values() for slug in names.values()}
    for slug, heading in headings(settings.topics).items():
        topic = settings.topics.get(slug)
        if slug not in led and not heading.keywords and not (topic and topic.categories):
            said = tuple(words(slug.replace("-", " ").replace("_", " ")))
            why = "has no keyword, category, rule or feed that leads to it"
            yield Barren(f"topic {slug}", why, f"topics.{slug}", "keywords", (" ".join(said),))


def _rules(rules: Sequence[config.Rule]) -> Iterator[Barren]:
    for number, rule in enumerate(rules, 1):
        table = f"rules {number}"
        for key in _PATTERNS:
            pattern = getattr(rule, key)
            if pattern and (why := _unfit(key, pattern)):
                plain = " ".join(words(re.sub(r"\\.|\.[*+]", " ", pattern)))
                yield Barren(f"rule {number}, {key} {pattern!r}", why, table, key, plain)
        shadow = next((n for n, before in enumerate(rules[: number - 1], 1) if _shadows(before, rule)), None)
        if shadow is not None:
            why = f"never does anything: rule {shadow}, which stands before it, takes all that it would"
            yield Barren(f"rule {number}", why)


def _unfit(key: str, pattern: str) -> str:
    if not pattern.strip(" *"):
        return "fits everything, as if it were not there" if pattern else ""
    if _EXPRESSION.search(pattern):
        return "is written as a regular expression, and rules are plain words with `*` for anything"
    if key == "url" and re.search(r"\S\s+\S", pattern):
        return "has a space in it, and addresses have none"
    if len(pattern.replace("*", "")) > _LONGEST:
        return f"is longer than the {_LONGEST} characters that are looked at"
    return ""


def _shadows(before: config.Rule, rule: config.Rule) -> bool:
    """Does an earlier rule take all that a later one would do something to?"""
    if not all(getattr(before, key) in ("", getattr(rule, key)) for key in _PATTERNS):
        return False
    if before.mute:
        return True
    only_topic = bool(rule.topic) and not (rule.mute or rule.pin or rule.boost)
    return bool(before.topic) and only_topic


def _no_feed(settings: config.Newsletter, feeds: Feeds) -> Iterator[Barren]:
    """Patterns for feeds that fit none."""

    def fitting(pattern: str) -> bool:
        return any(fits(pattern, *place) for place in feeds.places)

    named = {f"rule {number}, feed {rule.feed!r}": rule.feed for number, rule in enumerate(settings.rules, 1)}
    named |= {f"feed_categories {feed!r}": feed for feed in settings.feed_categories}
    named |= {f"feed_weights {feed!r}": feed for feed in settings.feed_weights}
    for name, pattern in named.items():
        if pattern and not _EXPRESSION.search(pattern) and not fitting(pattern):
            yield Barren(name, "fits none of the feeds that the newsletter reads")
