"""Which place each story of an edition has: lead, seconds, stories told under their headings, and briefs of one line.

What is alike stands together: several items of one source, releases, papers. A note without a title of its own is
quoted: what stands for its title are its first words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from digest.curate import leading
from digest.dataclass import dataclass
from digest.graphemes import WIDE, clamp, width
from digest.values import Source, Story

Kind = Literal["story", "briefs", "releases", "papers"]

_FEW = 9  # stories, that are all told: nobody has to be led through them
_TOLD = 4  # at least, of those under headings
_SHARE = 7  # and one of so many of a large edition
_MANY = 3  # briefs of one source have its name above them instead of behind each
_DOTS = ("…", "...")
_CLOSE = tuple(",.;:!?)]»”’")
_ENDS = (".", "!", "?", "。", "！", "？")
_SHORT = 60  # characters: the title of a release is a name and a version
_LITTLE = 2  # briefs are worth no heading of their own
_IN_SHORT, _LEAST_IN_SHORT = 5, 3
_LITTLE_WORD = 3  # letters
_TITLE = 52  # columns of a title among others in a line
_NOTE = 20  # characters of a title that are no chance beginning of its text

_WORDS = re.compile(r"\w+")
_VERSION = re.compile(r"(?<![\w.])[vV]?[0-9]{1,4}(?:\.[0-9]{1,5}){1,3}(?:[-.+]?[a-zA-Z]{1,5}[-.]?[0-9]{0,4})?(?![\w.])")
_RELEASES = re.compile(
    r"/(?:-/)?(?:releases|tags)(?:/|$)|^(?:pypi\.org/project|(?:www\.)?npmjs\.com/package|crates\.io/crates"
    r"|rubygems\.org/gems|hackage\.haskell\.org/package|packagist\.org/packages|hub\.docker\.com)/"
)
_PAPERS = re.compile(
    r"^(?:[\w-]+\.)?(?:arxiv|biorxiv|medrxiv|openreview|aclanthology|ssrn|doi|eprint\.iacr|jmlr)\.(?:org|com|net)/"
    r"|^(?:dl\.acm|ieeexplore\.ieee|proceedings\.mlr|papers\.nips|link\.springer)\.\w{2,4}/|/(?:doi/)?10\.[0-9]{4,9}/"
)


@dataclass(frozen=True)
class Block:
    """What stands together under a heading: one story with `more` of the same source, or a list of one-line items."""

    kind: Kind
    stories: tuple[Story, ...]
    source: str = ""  # of `more`, or of the briefs where all are of one
    more: tuple[Story, ...] = ()


@dataclass(frozen=True)
class Band:
    """A heading and what stands under it."""

    slug: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def count(self) -> int:
        return sum(len(block.stories) + len(block.more) for block in self.blocks)


@dataclass(frozen=True)
class Places:
    """Every story after the lead in its place, once."""

    seconds: tuple[Story, ...]
    bands: tuple[Band, ...]
    briefs: tuple[Story, ...] = ()  # of several topics, in one list at the end


def in_a_line(sources: Sequence[Source], label: str, most: int) -> list[tuple[Source, str]]:
    """The first of these with as much of their titles as fits behind a label into `most` columns; one at least."""
    found: list[tuple[Source, str]] = []
    room = most - width(label)
    for source in sources:
        title = clamp(source.title, min(_TITLE, max(room, _TITLE // 2)))
        if found and width(title) + 2 > room:
            break
        found.append((source, title))
        room -= width(title) + 2
    return found


def saying(story: Story) -> str:
    """What a note says, where its title is only the beginning of that; "" for what has a title of its own."""
    if story.summary == "machine":
        return ""  # no words of whoever wrote the note
    title, said = _folded(story.title), _folded(story.excerpt)
    cut = story.title.rstrip(" ])").endswith(_DOTS)
    if len(title) < _NOTE and not cut:
        return ""
    if cut and story.excerpt.startswith("…"):
        return _joined(story.title.removesuffix("…"), story.excerpt.removeprefix("…"))  # see `excerpts.titled`
    if said and said.startswith(title):
        # A title that was given ends neither with dots, nor like a sentence, nor within a word.
        begun = cut or said == title or story.title.rstrip("\"'”») ").endswith(_ENDS) or said[len(title)].isalnum()
        return story.excerpt if begun else ""
    return story.title if len(said) >= _NOTE and title.startswith(said) else ""


def _joined(begun: str, rest: str) -> str:
    """One text of two that it was cut into; Chinese and signs that close stand with what is before them."""
    tight = WIDE.search(begun[-1:] + rest[:1]) or rest[:1] in _CLOSE
    return begun + rest if tight else f"{begun} {rest}"


def beyond(story: Story) -> str:
    """The excerpt without the words of the title, where it begins with them."""
    title, said = (" ".join(text.split()) for text in (story.title, story.excerpt))
    if len(title) < _NOTE or not said.casefold().startswith(title.casefold()) or said[len(title) :][:1].isalnum():
        return story.excerpt
    return said[len(title) :].lstrip(" .,:;–—-|")


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("….[]()\"'“”«» ").lstrip("\"'“„«( ")


def kind_of(story: Story) -> Literal["", "releases", "papers"]:
    """Of a version that came out, or of a paper, by where it is and what it is called."""
    place = story.url.partition("://")[2].partition("?")[0]
    if _RELEASES.search(place):
        return "releases"
    if _PAPERS.search(place):
        return "papers"
    # "Tool 1.2.3", with hardly a word besides: what a release is about would be more.
    if len(story.title) > _SHORT:
        return ""
    besides = _VERSION.sub("", story.title, count=1)
    return "releases" if besides != story.title and len(besides.split()) <= 3 else ""


def place(sections: Sequence[tuple[str, str, Sequence[Story]]], lead: Story, order: Sequence[int]) -> Places:
    """`sections` are (slug, title, stories); `order` has ids, the best first: where it is empty, ranks decide."""
    rest = [story for _slug, _title, stories in sections for story in stories]
    ranked = _ranked(rest, order)
    kinds = {story.id: kind for story in rest if (kind := kind_of(story))}
    if len(kinds) * 2 > len(rest):  # where most are alike, it is what the edition is about
        kinds = {}
    seconds = _seconds([s for s in ranked if s.id not in kinds], lead)
    taken = {story.id for story in seconds}
    open_ = [story for story in ranked if story.id not in taken and story.id not in kinds]
    several = len(rest) >= _FEW and len({story.source for story in (lead, *rest)}) > 1
    told = _told(open_, len(rest), several=several)
    bands = [
        Band(slug, title, tuple(_blocks([s for s in stories if s.id not in taken], told, kinds, several=several)))
        for slug, title, stories in sections
    ]
    return Places(tuple(seconds), *_gathered([band for band in bands if band.blocks]))


def in_short(rest: Sequence[Story], lead: Story, order: Sequence[int]) -> tuple[Story, ...]:
    """The best of each topic but the lead's, then the best of all, in their ranks; () where they are too few to help.

    What is in another language than the lead, and adverts and the like, come only where there is nothing else.
    None says again what stands on the same screen: the lead's title, or another of them. A note has no title to name.
    """
    said = [_telling(lead.title)]
    own: list[Story] = []
    others: list[Story] = []
    strange: list[Story] = []
    topics = {lead.topic}
    ranked = [story for story in _ranked(rest, order) if story.title and not saying(story)]
    for story in ranked:
        words = _telling(story.title)
        if any(len(words & known) * 2 > min(len(words), len(known)) for known in said if known and words):
            continue
        said.append(words)
        (strange if _strange(story, lead) else others if story.topic in topics else own).append(story)
        topics.add(story.topic)
    taken = (own + others + strange)[:_IN_SHORT]
    return tuple(story for story in ranked if story in taken) if len(taken) >= _LEAST_IN_SHORT else ()


def _telling(title: str) -> frozenset[str]:
    """The words of a title that are no little ones; of a script without spaces its signs, two at a time."""
    found: set[str] = set()
    for word in _WORDS.findall(title.casefold()):
        if WIDE.search(word):
            found.update(word[at : at + 2] for at in range(max(1, len(word) - 1)))
        elif len(word) > _LITTLE_WORD:
            found.add(word)
    return frozenset(found)


def _gathered(bands: Sequence[Band]) -> tuple[tuple[Band, ...], tuple[Story, ...]]:
    """Bands that are worth a heading, and the stories of those that have a line or two under it and nothing told."""
    small = [band for band in bands if band.count <= _LITTLE and all(b.kind != "story" for b in band.blocks)]
    if len(small) < 2:
        return tuple(bands), ()
    briefs = tuple(story for band in small for block in band.blocks for story in block.stories)
    return tuple(band for band in bands if band not in small), briefs


def _ranked(stories: Sequence[Story], order: Sequence[int]) -> list[Story]:
    places = {id_: at for at, id_ in enumerate(order)}
    return sorted(stories, key=lambda s: (places.get(s.id, len(places)), not s.pinned, -s.rank))


def _seconds(ranked: Iterable[Story], lead: Story) -> list[Story]:
    """Two or three after the lead, in its language and of as many sources as there are; a quotation is no second."""
    some = [story for story in ranked if not saying(story)]
    number = 0 if len(some) < 5 else 2 if len(some) < 12 else 3
    sources = {lead.source}
    first: list[Story] = []
    later: list[Story] = []
    strange: list[Story] = []
    for story in some:
        if _strange(story, lead):
            strange.append(story)
            continue
        (later if story.source in sources else first).append(story)
        sources.add(story.source)
        if len(first) == number:
            break
    return (first + later + strange)[:number]


def _strange(story: Story, lead: Story) -> bool:
    """Whether a story may not stand at the head: an advert and the like (see `leading.never`), or what is in another
    language than the lead, as far as both are known."""
    one, two = (language.lower().partition("-")[0] for language in (story.language, lead.language))
    unfit = not story.pinned and leading.never(story.title, story.url, story.excerpt)
    return bool(unfit) or (bool(one and two) and one != two)


def _told(ranked: Sequence[Story], count: int, *, several: bool) -> set[int]:
    """The ids of those that are told with an excerpt; of one source under one heading only one, in a large edition."""
    room = len(ranked) if count < _FEW else max(_TOLD, count // _SHARE)
    told: set[int] = set()
    known: set[tuple[str, str]] = set()
    for story in ranked:
        if len(told) == room:
            break
        by = {(story.topic, name) for name in _names(story)}
        if several and by & known:
            continue
        known |= by
        told.add(story.id)
    return told


def _names(story: Story) -> list[str]:
    return [name.casefold() for name in (story.source, story.writer) if name]


def _blocks(stories: Sequence[Story], told: set[int], kinds: Mapping[int, Kind], *, several: bool) -> Iterable[Block]:
    """What stands under one heading: the stories told, each with what else its source says, then the lists."""
    left = [story for story in stories if story.id not in told and story.id not in kinds]
    for story in stories:
        if story.id in told:
            names = set(_names(story)) if several else set()
            more = tuple(other for other in left if names.intersection(_names(other)))
            left = [other for other in left if other not in more]
            same = any(other.source == story.source for other in more)
            yield Block("story", (story,), (story.source if same else story.writer) if more else "", more)
    sources = Counter(story.source for story in left) if several else Counter()
    for source in [source for source, number in sources.items() if number >= _MANY]:
        yield Block("briefs", tuple(story for story in left if story.source == source), source)
        left = [story for story in left if story.source != source]
    if left:
        yield Block("briefs", tuple(left))
    for kind in ("releases", "papers"):
        if some := tuple(story for story in stories if kinds.get(story.id) == kind):
            yield Block(kind, some)
