"""What happened next: does a story continue one that an earlier edition told? Pure.

To be of the same subject is not enough, and neither is it to be the next of a series: a link to what happened before
must lead there. So the bound is high, and most stories continue nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise, takewhile

from digest.curate import headlines, names
from digest.curate.headlines import Title
from digest.curate.stems import plain
from digest.curate.topics import headings
from digest.curate.urls import normalise, site
from digest.curate.words import unspaced, words
from digest.dataclass import dataclass

MOST_WORDS = 16  # of a title that it is known by
COMMON = 60  # earlier stories; a word that more of them have leads to none
_AMONG = 1000  # stories that the earlier ones are taken for, be they fewer or more
_SUBJECT = 3.0  # what a word is worth at most that names a subject: many stories share it
_RARE = 4.6  # from which a word tells: some ten of the earlier stories have it at most
_LEAST_RARE = 2  # rare words that two titles share
_PHRASES = 3  # things that two titles share: on one subject they share its name, of one affair also what happened
_MORE_PHRASES = 4  # where none is known for a name, or only one of two that one site tells
_SOON = 10.0  # days in which one site tells what happened next; later it is on its subject again
_LEAST_KNOWN = 12.0  # for the rarity of these
_LEAST_CONTAINED = 0.4  # of the shorter title, by rarity
_MOST_LINKS = 12  # links to other sites; a text with more is a list of links
_LITTLE_WORD = 3  # letters; shorter ones have a small letter also where others have none
_LEAST_LONG, _NEARLY = 4, 0.85  # longer words of a title, and how many of them have a capital where that is a custom
_LEAST_PARTS = 3  # of a title, and words in each
_OPENING = 3  # words that the titles of a series begin with
_HIRAGANA = re.compile("[\u3040-\u309f]")
_RUN = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
_DELIMITER = re.compile(r":\s|\s[-–—|]\s")
_MONTHS = frozenset(
    """
    january february march april may june july august september october november december
    """.split()  # noqa: SIM905
)
_SAID = """
announce announces announced announcing announcement introducing introduces introduced launch launches launched unveils
release releases released says said tells told reports reported gets deep dive
"""
_HOW = re.compile(r"\s*(?:how[ -]?to|how i|why|wie man|comment|cómo|come|как) ", re.IGNORECASE)
_WEEK = re.compile(r"\b(?:week|semaine|woche|kw|semana|settimana)\s*\d", re.IGNORECASE)  # what happens each week anew
# Of these kinds is what is written on a subject whenever somebody likes to.
_TIMELESS = frozenset(["guide", "review", "impressions", "teardown", "benchmark", "history", "survey", "notes"])


@dataclass(frozen=True)
class Telling:
    """A story as far as it tells what happened before: `links` are normalised, those of its text."""

    id: int
    title: str
    url: str
    text: str = ""  # what it says, or the beginning of that
    day: float = 0.0  # when, in days
    links: frozenset[str] = frozenset()

    @cached_property
    def read(self) -> Title:
        return headlines.read(self.title, place=lambda: self.place)

    @cached_property
    def known_by(self) -> frozenset[str]:
        """The words of its title that tell it from others, without their endings."""
        return frozenset(stem for word in self.read.informative if (stem := telling(word)))

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """The same in their order, with "" for each other word."""
        stems = map(headlines.stem, self.read.words)
        return tuple(stem if stem in self.known_by else "" for stem in stems)

    @cached_property
    def small(self) -> frozenset[str]:
        """Words that it writes in small letters somewhere: no names."""
        return _small(f"{self.title} {self.text}")

    @cached_property
    def place(self) -> str:
        return site(self.link)

    @cached_property
    def link(self) -> str:
        return normalise(self.url)


@dataclass(frozen=True)
class Before:
    """The earlier story that one continues, and why in words."""

    id: int
    why: str


def words_of(title: str, url: str) -> list[str]:
    """By which words a story is looked up by what may continue it, sorted."""
    return sorted(Telling(0, title, url).known_by)[:MOST_WORDS]


def likely(story: Telling, having: Mapping[str, Sequence[int]], linked: Mapping[str, int]) -> set[int]:
    """The earlier stories (ids) worth looking at: with two of its words, or that it links to.

    `having` are the stories with each word that few have, `linked` those behind a link.
    """
    count = Counter(id_ for word in story.known_by for id_ in having.get(word, ()))
    return {id_ for id_, words_ in count.items() if words_ >= _LEAST_RARE} | {
        linked[link] for link in story.links if link in linked
    }


def latest(story: Telling, earlier: Sequence[Telling], seen: Mapping[str, int]) -> Before | None:
    """Which of the earlier stories, the latest last, it continues: the latest that it does.

    `seen` says how many earlier stories have a word; what is in none of it is in too many.
    """
    roundup = len(story.links) > _MOST_LINKS
    for one in reversed(earlier):
        if why := _continues(story, one, seen, linked=one.link in story.links and not roundup):
            return Before(one.id, why)
    return None


def _continues(story: Telling, one: Telling, seen: Mapping[str, int], *, linked: bool) -> str:
    """Why a story continues another; "" where it does not."""
    new, old = story.read, one.read
    shared = story.known_by & one.known_by
    if not shared or new.custom or old.custom or headlines.equal(new, old) or story.link == one.link:
        return ""
    worth = {word: rarity(word, seen) for word in shared}
    said = ", ".join(sorted(shared, key=lambda word: (-worth[word], word))[:5])
    if _next_part(story, one):
        return f"the next part: {said}"
    rare = {word for word in shared if worth[word] >= _RARE}
    if not linked and (len(shared) < _PHRASES or len(rare) < _LEAST_RARE):
        return ""  # at sight: most that is looked up
    here = story.place == one.place
    if not rare or _apart(new, old) or not story.known_by - one.known_by:
        return ""
    if _one_front(story.title, one.title) or (here and _series(story.title, one.title)):
        return ""
    named = rare - story.small - one.small
    timeless = any(_HOW.match(t) for t in (story.title, one.title)) or not _TIMELESS.isdisjoint(
        new.marks.articles | old.marks.articles
    )
    if linked and not (here and (timeless or len(shared) < _LEAST_RARE or not named)):
        return f"links to it, and both say: {said}"
    if timeless or _several(story.title) or _several(one.title):
        return ""
    phrases = _phrases(story, one, shared)
    known = math.fsum(max(worth[word] for word in phrase) for phrase in phrases)
    names_ = sum(not named.isdisjoint(phrase) and any(map(_cased, phrase & named)) for phrase in phrases)
    soon = story.day - one.day <= _SOON
    if here and not soon:
        return ""
    if _all_capitals(story.title) and _all_capitals(one.title):  # there a capital makes no name
        wanted = _MORE_PHRASES + here
    else:
        wanted = _PHRASES if names_ > here else _MORE_PHRASES
    enough = len(phrases) >= wanted and len(rare) >= _LEAST_RARE
    shorter = min(_weight(story.known_by, seen), _weight(one.known_by, seen)) or 1.0
    if enough and known >= _LEAST_KNOWN and math.fsum(worth.values()) >= _LEAST_CONTAINED * shorter:
        return f"both say: {said}"
    return ""


def _phrases(story: Telling, one: Telling, shared: Collection[str]) -> list[set[str]]:
    """What two titles share, words that stand together in both as one: a name of three words is one thing.

    A name and what is said of it are two.
    """
    common = _small(story.title) | _small(one.title)
    together = {(a, b) for a, b in pairwise(one.sequence) if (a in common) == (b in common)}
    found: list[set[str]] = []
    before = ""
    for word in story.sequence:
        if word in shared and not any(word in phrase for phrase in found):
            if before and (before, word) in together:
                found[-1].add(word)
            else:
                found.append({word})
        before = word if word in shared else ""
    return found


def _all_capitals(title: str) -> bool:
    """Whether nearly all words of a title begin with a capital, as is the custom of some papers and languages."""
    long = [run for run in _RUN.findall(title) if len(run) > _LITTLE_WORD and _cased(run[0])]
    return len(long) >= _LEAST_LONG and sum(not run[0].islower() for run in long) >= _NEARLY * len(long)


def _several(title: str) -> bool:
    """Whether a title names several stories, a few words each, as that of a round-up does."""
    parts = title.split(", ")
    return len(parts) >= _LEAST_PARTS and all(len(words(part)) >= _LEAST_PARTS for part in parts)


def _small(text: str) -> frozenset[str]:
    said = {word for run in _RUN.findall(text) if run[:1].islower() for word in words(run)}
    return frozenset(headlines.stem(plain(word)) for word in said)


def _cased(word: str) -> bool:
    """Whether a word is of a script that has capitals, or a number."""
    return word.lower() != word.upper() or word.isdigit()


def rarity(word: str, seen: Mapping[str, int]) -> float:
    """How much a word tells that so many earlier stories have (idf)."""
    found = math.log(_AMONG / (seen.get(word, COMMON) + 0.5))
    return min(found, _SUBJECT) if word in _subjects() else found


def _weight(known_by: Collection[str], seen: Mapping[str, int]) -> float:
    return math.fsum(rarity(word, seen) if word in seen else _RARE for word in known_by)


def telling(word: str) -> str:
    """A word of a title without its ending; "" where it tells nothing by itself."""
    if (word.isdigit() and len(word) <= 4) or (len(word) < 3 and not unspaced(word)) or word in _little():
        return ""
    if _HIRAGANA.search(word) or (not unspaced(word) and not _cased(word) and len(word) < 4):
        return ""  # endings, particles and little words
    return headlines.stem(word)


@cache
def _little() -> frozenset[str]:
    lists = (names.little_words(), names.vague_words(), names.common_words(), _SAID.split())
    return frozenset(plain(word) for words_ in lists for word in words_)


@cache
def _subjects() -> frozenset[str]:
    """Words that stand for a subject: keywords of the headings that come with us."""
    said = (word for one in headings({}).values() for keyword in one.keywords for word in words(keyword))
    return frozenset(headlines.stem(plain(word)) for word in said)


def _next_part(story: Telling, one: Telling) -> bool:
    """Whether one writer's text is a later part of another: of the same title, but for the number."""
    parts = [{int(n) for n in title.marks.parts if n.isdigit()} for title in (story.read, one.read)]
    new, old = parts
    if len(new) != 1 or len(old) > 1 or story.place != one.place or _WEEK.search(story.title):
        return False
    smaller = min(len(story.known_by), len(one.known_by))
    alike = len(story.known_by & one.known_by) >= max(2, math.ceil(smaller * 0.6))
    return alike and max(new) == max(old, default=1) + 1


def _apart(new: Title, old: Title) -> bool:
    """Whether two titles are numbers of a series, releases of one thing or answers, which happen anew each time."""
    a, b = new.marks, old.marks
    differing = (
        (a.parts, b.parts),
        (a.labels, b.labels),
        (a.months, b.months),
        (a.years, b.years),
        (a.ordinals, b.ordinals),
    )
    if any(x != y and x and y for x, y in differing) or a.early != b.early:
        return True
    versions = [{n for n in marks.numbers if "." in n} for marks in (a, b)]
    if all(versions):
        new_ones, old_ones = (
            {n for n in some if not any(headlines.agree(n, m) for m in others)}
            for some, others in (versions, versions[::-1])
        )
        # "1.80.1 mends a fault of 1.80" tells what happened next; that the next one is out does not.
        if (new_ones and old_ones) or ((new_ones or old_ones) and "news" in a.articles & b.articles):
            return True
    if (_MONTHS & {*new.words}) != (_MONTHS & {*old.words}) and _MONTHS & {*new.words} and _MONTHS & {*old.words}:
        return True
    if (new.release and old.release) and not headlines.agree(new.release[1], old.release[1]):
        return True
    return bool(a.articles and b.articles and not a.articles & b.articles)


def _one_front(title: str, other: str) -> bool:
    """Whether two titles have one name before a colon or a dash: of a series, or of who speaks."""
    fronts = [words(_DELIMITER.split(said, maxsplit=1)[0]) for said in (title, other)]
    return fronts[0] == fronts[1] and fronts[0] != words(title)


def _series(title: str, other: str) -> bool:
    """Whether one site gives two of its titles the same opening, or the same form but for numbers."""
    if re.sub(r"\d+", "#", title.casefold()) == re.sub(r"\d+", "#", other.casefold()):
        return True
    one, two = words(title), words(other)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))) >= _OPENING
