"""Headings that a newsletter's own entries ask for: words that keep company, and the stories they would gather."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from html import unescape
from itertools import combinations, pairwise

from digest.config import OTHER
from digest.curate.communities import communities
from digest.curate.keywords import Keywords
from digest.curate.names import common_words, little_words, vague_words
from digest.curate.topics import Heading, Placer, Text
from digest.curate.words import singular, unspaced, words
from digest.dataclass import dataclass

LEAST = 60  # entries, below which chance looks like a subject
MOST = 20_000  # entries that are looked at
_TERMS = 600  # that are compared with each other, the most frequent
_OF_ENTRY = 24  # of these in one entry
_ASKED = 50  # titles, for how a word is written
_TEXT = 1000  # characters of a text
_TITLE = 300  # characters of a title
_OPENING = 40  # words of the text that are read beside the title
_WIDEST = 0.3  # share of entries from which on a word tells nothing
_LEAST_WORDS = 3  # two that keep company are a name, not a subject
_HEADINGS, _KEYWORDS, _EXAMPLES = 12, 25, 5
_MOSTLY = 0.6  # share of a word's entries in which it has the same neighbour, to go with it
_MANNER = 0.7  # share of a feed's titles
_SURPRISE = 1.8  # times as often as by chance are two together that keep company
_SURE, _HALF = 0.7, 0.5  # share of a word's entries that go with its heading, to be a keyword or half a one


# Little words of scripts without spaces: two characters of which one is such stand at the border of two words.
_PARTICLE = re.compile("[\u3040-\u309f的了在是和与與及有为為不这這我们們你他她也就都而被把对對从從到于於之]")


@dataclass(frozen=True)
class Sample:
    """An entry as it is looked at: whose it is, and what it says. `opening` is the beginning of its text, HTML."""

    feed: int
    title: str
    categories: tuple[str, ...] = ()
    opening: str = ""

    def text(self) -> Text:
        """What its topic is judged by."""
        return Text.of(self.title[:_TITLE], self.plain_opening())

    def plain_opening(self) -> str:
        """The beginning of its text without its marks, of which the last may have been cut off."""
        return unescape(re.sub(r"<[^<>]*(?:>|$)", " ", self.opening[:_TEXT]))


@dataclass(frozen=True)
class Proposal:
    """A heading, and how many of the entries its keywords would put under it; `examples` are titles of some."""

    slug: str
    title: str
    keywords: tuple[str, ...]
    entries: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Proposals:
    """What is proposed, of how many entries, and `why` there is nothing, where there is nothing."""

    entries: int
    placed: int
    headings: tuple[Proposal, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class _Read:
    """An entry's terms: those that a keyword could be (of title and categories), and those that keep them company."""

    feed: int
    telling: tuple[str, ...]
    beside: tuple[str, ...]


def suggest(
    samples: Iterable[Sample],
    *,
    taken: Collection[str] = (),
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Proposals:
    """Propose headings for these entries, of which the first `MOST` are read; the same for the same entries.

    `taken` are slugs that are in use. `told` hears how many of how many entries are done, of two passes each.
    """
    kept: list[Sample] = []
    for sample in samples:
        if len(kept) == MOST:
            break
        if sample.title.strip():
            kept.append(sample)
    if len(kept) < LEAST:
        return Proposals(
            len(kept), 0, (), f"{len(kept):,} entries with a title are too few to tell; {LEAST} are the least"
        )
    spelt: dict[str, str] = {}
    read = []
    for number, sample in enumerate(kept, 1):
        read.append(_terms(sample, spelt))
        told(number, 2 * len(kept))
    groups = _groups(read)
    drafts = _drafts(read, groups, spelt)
    found, placed = _tried(kept, drafts, set(taken), lambda done: told(len(kept) + done, 2 * len(kept)))
    why = ""
    if not found:
        why = f"the titles of {len(kept):,} entries share too few words to tell subjects apart"
    return Proposals(len(kept), placed, found, why)


def _terms(sample: Sample, spelt: dict[str, str]) -> _Read:
    """Words and neighbours of the title, categories as they stand, and words of the beginning of the text."""
    title = words(sample.title[:_TITLE])
    found: dict[str, None] = {}
    for word in title:
        if _tells(word):
            found[_key(word, spelt)] = None
    for one, two in pairwise(title):
        if _tells(one) and _tells(two) and not unspaced(one) and not unspaced(two):
            pair = f"{one} {singular(two)}"
            found[pair] = None
            spelt.setdefault(pair, f"{one} {two}")
    for category in sample.categories[:10]:
        said = [word for word in words(category[:60]) if word not in little_words()]
        if 0 < len(said) <= 3 and any(map(_tells, said)) and not any(map(unspaced, said)):
            name = " ".join([*said[:-1], singular(said[-1])])
            found[name] = None
            spelt.setdefault(name, " ".join(said))
        elif any(map(unspaced, said)):
            found.update((_key(word, spelt), None) for word in said if _tells(word))
    opening = words(sample.plain_opening())[:_OPENING]
    beside = dict.fromkeys(_key(word, spelt) for word in opening if _tells(word))
    return _Read(sample.feed, tuple(found), tuple(term for term in beside if term not in found))


def _key(word: str, spelt: dict[str, str]) -> str:
    """Under which a word and its plural are counted together; it is spelt like the shorter of those that were seen."""
    key = singular(word)
    if key not in spelt or len(word) < len(spelt[key]):
        spelt[key] = word
    return key


def _tells(word: str) -> bool:
    if word in little_words() or word in common_words() or not {word, singular(word)}.isdisjoint(vague_words()):
        return False
    if unspaced(word):
        return len(word) > 1 and not _PARTICLE.search(word)
    return len(word) > 2 and not word[0].isdigit()


def _groups(read: Sequence[_Read]) -> list[list[str]]:
    """Terms that keep company more often than chance would have it."""
    counts: Counter[str] = Counter()
    of_feed: Counter[int] = Counter()
    feeds: dict[str, set[int]] = defaultdict(set)
    everywhere: Counter[str] = Counter()
    for one in read:
        of_feed[one.feed] += 1
        counts.update(one.telling)
        everywhere.update(one.telling)
        everywhere.update(one.beside)
        for term in one.telling:
            if len(feeds[term]) < 2:
                feeds[term].add(one.feed)
    least = max(3, len(read) // 500)

    def manner(term: str) -> bool:
        """What only one of several feeds says, and nearly always, is no subject: the name of a series, say."""
        (feed, *others) = feeds[term]
        return not others and len(of_feed) > 1 and counts[term] > _MANNER * of_feed[feed]

    fit = [
        term
        for term, number in counts.items()
        if number >= least and everywhere[term] <= _WIDEST * len(read) and not manner(term)
    ]
    fit = sorted(fit, key=lambda term: (-counts[term], term))[:_TERMS]
    place = {term: at for at, term in enumerate(fit)}
    together: Counter[tuple[int, int]] = Counter()
    for one in read:
        here = sorted([place[term] for term in (*one.telling, *one.beside) if term in place][:_OF_ENTRY])
        together.update(combinations(here, 2))
    links: dict[int, dict[int, float]] = {at: {} for at in range(len(fit))}
    for (a, b), number in together.items():
        expected = everywhere[fit[a]] * everywhere[fit[b]] / len(read)
        if number >= least and number > _SURPRISE * expected and number - expected > 3 * math.sqrt(expected):
            links[a][b] = links[b][a] = math.sqrt(number) * math.log(number / expected)
    return [[fit[at] for at in group] for group in communities(links) if len(group) > 1]


def _drafts(read: Sequence[_Read], groups: Sequence[Sequence[str]], spelt: Mapping[str, str]) -> list[Heading]:
    """Each group's title and keywords: terms that are mostly found in entries that belong to it."""
    group_of = {term: number for number, group in enumerate(groups) for term in group}
    counts = Counter(term for one in read for term in (*one.telling, *one.beside) if term in group_of)
    rare = {term: math.log(len(read) / number) for term, number in counts.items()}
    mine: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    sizes: Counter[int] = Counter()
    for one in read:
        points: dict[int, float] = defaultdict(float)
        for weight, terms in ((2.0, one.telling), (1.0, one.beside)):
            for term in terms:
                if term in group_of:
                    points[group_of[term]] += weight * rare[term]
        if points:
            best = max(points, key=lambda number: (points[number], -number))
            sizes[best] += 1
            for term in one.telling:
                if term in group_of:
                    seen[term] += 1
                    mine[term] += group_of[term] == best
    drafts: list[Heading] = []
    for number, _size in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])):
        share = {term: mine[term] / seen[term] for term in groups[number] if seen[term]}
        ranked = sorted((t for t in share if share[t] >= _HALF), key=lambda t: (-mine[t] * share[t] ** 2, t))
        ranked = _without_parts(ranked, mine)[:_KEYWORDS]
        sure = [term for term in ranked if share[term] >= _SURE]
        if len(sure) >= _LEAST_WORDS:
            names = _joined([spelt[term] for term in ranked])
            half = {spelt[term] for term in ranked if share[term] < _SURE}
            keywords = tuple(f"{name}?" if name in half else name for name in names)
            drafts.append(Heading(_title([spelt[term] for term in sure]), keywords))
    return drafts[: 2 * _HEADINGS]


def _without_parts(ranked: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """Of neighbours and their words, those that say it alone: "machine learning" where most of "machine" is that."""
    dropped: set[str] = set()
    alone = set(ranked)
    for pair in ranked:
        parts = [part for part in map(singular, pair.split()) if part in alone] if " " in pair else []
        mostly = [part for part in parts if counts[pair] >= _MOSTLY * counts[part]]
        if mostly:
            dropped.update(mostly)
        elif parts:
            dropped.add(pair)
    return [term for term in ranked if term not in dropped]


def _joined(names: Sequence[str]) -> list[str]:
    """Pairs of characters that overlap are one word: 数据 and 据库 are 数据库."""
    found = list(dict.fromkeys(names))
    for one in list(found):
        if one in found and unspaced(one):
            for two in list(found):
                at = found.index(one)
                if two != one and unspaced(two) and len(two) == 2 and found[at][-1] == two[0]:
                    found[at] = one = found[at] + two[1]
                    found.remove(two)
    return found


def _title(names: Sequence[str]) -> str:
    """Of the first two that do not repeat each other."""
    first = _joined(names)[0]
    said = set(first.split())
    second = next((name for name in _joined(names)[1:6] if said.isdisjoint(name.split())), "")
    return f"{first} & {second}" if second else first


def _slug(title: str, number: int, taken: Collection[str]) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:36].strip("-") or f"topic-{number}"
    return next(name for name in _numbered(slug) if name not in taken)


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    number = 1
    while True:
        number += 1
        yield f"{slug}-{number}"


def _tried(
    kept: Sequence[Sample], drafts: Sequence[Heading], taken: set[str], told: Callable[[int], None]
) -> tuple[tuple[Proposal, ...], int]:
    """The headings with what they would really get, placed as entries are placed. And how many get one."""
    if not drafts:
        return (), 0
    topics = {str(number): draft for number, draft in enumerate(drafts)}
    placer = Placer(topics, Keywords(topics))
    under: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for number, sample in enumerate(kept):
        placement = placer.place(sample.text())
        if placement.topic != OTHER:
            under[placement.topic].append((-placement.score, number))
        told(number + 1)
    least = max(5, len(kept) // 200)
    found: list[Proposal] = []
    used = {*taken, OTHER}
    for key in sorted(under, key=lambda key: (-len(under[key]), int(key)))[:_HEADINGS]:
        if len(under[key]) >= least:
            draft = topics[key]
            slug = _slug(draft.title, len(found) + 1, used)
            used.add(slug)
            best = [kept[number] for _score, number in sorted(under[key])]
            title = _as_written(draft.title, best[:_ASKED])
            found.append(Proposal(slug, title, draft.keywords, len(under[key]), _examples(best)))
    return tuple(found), sum(one.entries for one in found)


def _as_written(title: str, samples: Sequence[Sample]) -> str:
    """A heading with its words in capitals where titles mostly have them so: "NASA", "Brand"."""
    said = []
    for name in title.split(" & "):
        whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        forms = Counter(form for sample in samples for form in whole.findall(sample.title[:_TITLE]))
        said.append(min(forms, key=lambda form: (-forms[form], form)) if forms else name)
    written = " & ".join(said)
    return written[0].upper() + written[1:] if said[0].islower() else written


def _examples(ordered: Sequence[Sample]) -> tuple[str, ...]:
    """The clearest titles, first one of each feed."""
    found: dict[str, None] = {}
    feeds: set[int] = set()
    for once in (True, False):
        for sample in ordered:
            if len(found) == _EXAMPLES:
                break
            title = " ".join(sample.title.split())
            if title not in found and not (once and sample.feed in feeds):
                found[title] = None
                feeds.add(sample.feed)
    return tuple(found)
