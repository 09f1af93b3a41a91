"""What a title says: its words, and the marks by which two alike ones are of different stories. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from digest.curate.stems import Spellings
from digest.curate.words import bigrams, parted, words
from digest.dataclass import dataclass

_STOP = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing
    don't for from get getting got had has have having he her here his how i if in into is isn't it its just let
    let's make makes making me more most my new no not now of off on one only or our out over own really she should
    so some such than that the their them then there these they this those to too up us use used uses using very
    via vs was we were what what's when where which while who why will with without would you your
    der die das und ist ein eine von mit für auf den dem zu im nicht le la les des un une et est pour dans sur avec
    el los las en que por para con del una y
    show ask hn tell pdf video blog post
    """.split()  # noqa: SIM905
)
# What many write over texts of their own: "Hello world", "First impressions", "Weekly links", "Getting started with".
_ANYBODYS = frozenset(
    """
    hello world welcome introduction intro introducing first second third impression impressions look started start
    beginner beginners guide tutorial quick learning learn learned learnt lessons journey thoughts notes note review
    year years month months week weekly monthly daily day days later today link links roundup newsletter issue
    changelog release released status update updates news report reports progress survey
    results state retrospective recap favorite favourite best top
    reading read setup test testing part part-time moving switching joining leaving goodbye
    2019 2020 2021 2022 2023 2024 2025 2026 2027 2028 2029 2030
    """.split()  # noqa: SIM905
)
# What a season or a custom has many write at once, each their own: only a link says that two of them are one.
_CUSTOM = re.compile(
    r"\b(?:advent of|advent calendar|year in review|(?:in|a) retrospective|hacktoberfest|ludum dare|nanowrimo|"
    r"week ?notes|monthly (?:notes|links|update)|weekly (?:notes|links|update)|"
    r"(?:links|notes|reading) of the (?:week|month)|"
    r"(?:my|our) (?:uses|setup|desk|year|favou?rite)|what i(?:'ve| have)? (?:read|learn|watched|played)|"
    r"(?:best|books|albums|games|films) of (?:19|20)\d\d|20\d\d in review|goals for 20\d\d|"
    r"hello,? world|first (?:blog ?)?post|"
    r"hallo,? welt|bonjour(?: le)? monde|hola,? mundo|jahresr(?:ü|ue)ckblick|wochenr(?:ü|ue)ckblick|bilan 20\d\d)\b",
    re.IGNORECASE,
)
_MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905
_YEAR = re.compile(r"(?:19|20)\d\d")
_NOTHING: frozenset[str] = frozenset()
_COUNTED = frozenset(
    "part pt chapter day week lesson step episode ep vol volume issue no session round podcast show".split()  # noqa: SIM905
)
_MONTH = re.compile(
    r"\b(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?(?=\s+\d|\s*,|\s*$|\s+(?:report|update|status|news|issue|in)\b)",
    re.IGNORECASE,
)
_PART = re.compile(
    r"\b(?:part|pt|chapter|day|week|lesson|step)\.?\s*"
    r"(\d+|[ivx]+|one|two|three|four|five|six|seven|eight|nine|ten)\b|[(\[](\d{1,2})/\d{1,2}[)\]]",
    re.IGNORECASE,
)
# What a site counts: one may say it, and another that tells the same leave it away.
_LABEL = re.compile(
    r"(?:\b(?:episode|ep|vol|volume|issue|no|session|round|podcast|show)\.?\s*#?|#)(\d+|[ivx]+)\b", re.IGNORECASE
)
_ORDINALS = {
    name: n
    for n, names in enumerate(("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th"), 1)
    for name in names.split()
}
_WRITTEN = {
    name: str(n)
    for n, name in enumerate("one two three four five six seven eight nine ten".split(), 1)  # noqa: SIM905
} | {name: str(n) for n, name in enumerate("i ii iii iv v vi vii viii ix x".split(), 1)}  # noqa: SIM905
_NUMBER = re.compile(r"(?<![\w.])v?(\d+(?:[.,]\d+)*)(?:[a-z%]{0,3}\d*)?(?!\w)", re.IGNORECASE)
_EARLY = re.compile(r"(?<![a-z])(alpha|beta|rc|preview|nightly|milestone|snapshot)[ .-]?(\d{0,3})\b", re.IGNORECASE)
_ANSWER = re.compile(r"^\s*re\s*:|\b(?:reply|response|rebuttal|reaction|answer|follow-?up)\b", re.IGNORECASE)
_TAIL = re.compile(
    r"(?<!\s)\s*+(?:\[(?:pdf|video|audio|\d{4}|[a-z ]{3,12})\]|\((?:pdf|video|\d{4})\))\s*+$", re.IGNORECASE
)
# What a page's title says after its own: "… | Azure DevOps Blog", "… - Ars Technica".
_SITE_TAIL = re.compile(r"\s(?:[|–—·»•-]|::)\s([^|–—·»•]{2,40})$")
_SITES = frozenset(
    """
    blog blogs news magazine journal weekly daily times developers developer docs documentation wiki wikipedia
    youtube github gitlab medium reddit substack tumblr wordpress hackernoon slashdot press website
    """.split()  # noqa: SIM905
)
# What stands around the name and the version of a release: "Announcing Linux 5.7", "Linux Kernel 5.7 is out!".
_AROUND_RELEASE = frozenset(
    """
    announce announced announces announcing announcement introducing meet release released releases releasing version
    stable final lts is was has have been now just got finally here out available landed lands launched launches
    published publishes ships shipped today the a of new official officially general generally
    """.split()  # noqa: SIM905
)
_KINDS = frozenset(
    "kernel os project programming language framework desktop database browser cms linux gnu".split()  # noqa: SIM905
)
# What an article is to its subject. Two that differ in it are two, however alike their subjects.
_ARTICLES = {
    name: kind
    for kind, names in {
        "news": "announced announces announcing announcement released releases releasing launched launches unveiled",
        "notes": "changelog notes changes",
        "review": "review reviewed test",
        "impressions": "impressions impression unboxing",
        "teardown": "teardown repair repairing disassembly",
        "guide": "guide tutorial introduction intro primer started cheatsheet howto",
        "benchmark": "benchmark benchmarks benchmarking benchmarked",
        "history": "history retrospective",
        "later": "later months",
        "interview": "interview",
        "postmortem": "postmortem post-mortem",
        "survey": "survey",
    }.items()
    for name in names.split()
}
_BEFORE_NAMES = frozenset(["in", "on", "for", "with", "to", "under", "from", "using", "into"])
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


_ENDINGS = ("ing", "ed", "es", "s", "er", "ion", "e")


@lru_cache(maxsize=2_048)  # the words that titles are full of; of rare ones an answer takes less than to keep it
def stem(word: str) -> str:
    """Without the endings by which two headlines of one story differ: announces, announced, announcing."""
    if not word.endswith(_ENDINGS) or word.endswith("ss"):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


STOP_STEMS = frozenset(map(stem, _STOP))


@dataclass(frozen=True, slots=True)
class Marks:
    """What two titles of one story must not differ in."""

    parts: frozenset[str]
    labels: frozenset[str]
    months: frozenset[str]
    years: frozenset[str]
    numbers: frozenset[str]
    ordinals: frozenset[int]
    articles: frozenset[str]  # of which kinds it is: "review", "guide"
    early: frozenset[str]  # before a release: "beta1"
    answer: bool


_NO_MARKS = Marks(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING, frozenset(), _NOTHING, _NOTHING, False)


@dataclass(frozen=True)
class Title:
    """A title taken apart. `head` are its words without a last part that may be the site's name.

    What few are asked for is made when it is: thousands are read, and most are like no other.
    """

    words: tuple[str, ...]
    head: tuple[str, ...]
    stems: frozenset[str]
    telling: frozenset[str]  # the stems of what is `informative`
    text: str = ""  # what its words were taken from

    @property
    def features(self) -> frozenset[str]:
        """Its words and each two neighbouring ones, without their endings."""
        return self.stems.union(self.pairs)

    @property
    def pairs(self) -> list[str]:
        """Each two neighbouring words, without their endings."""
        return bigrams([stem(word) for word in self.words])

    @property
    def informative(self) -> frozenset[str]:
        """The words that say what it is about."""
        return informative(self.words)

    @cached_property
    def marks(self) -> Marks:
        return _marks(parted(self.text), self.words)

    @cached_property
    def release(self) -> tuple[str, str] | None:
        """A name and its version, where the title says no more than that they are there."""
        found = _release(self.words)
        return None if found is None or self.marks.parts or self.marks.labels else found

    @cached_property
    def custom(self) -> bool:
        """Whether many write under it, each their own."""
        return _CUSTOM.search(self.text) is not None


class Taken(NamedTuple):
    """A title as far as its words go, as they stand: one spelling for all (`Spellings`) is known when all are taken."""

    text: str  # without what a site puts behind a title
    words: tuple[str, ...]
    head: tuple[str, ...]  # those before a last part that may be the site's name; () where there is none
    rest: tuple[str, ...]  # those of what was left away


def as_it_stands(text: str) -> bool:
    """Whether the words of a title are those of its line, as of most: ASCII, and nothing that may be left away."""
    return (
        text.isascii()
        and "-" not in text
        and "|" not in text
        and "::" not in text
        and "\n" not in text
        and text.rstrip()[-1:] not in ("]", ")")
    )


def taken(text: str, place: Callable[[], str]) -> Taken:
    """The words of a title; `place` says which site wrote it, as far as it is known: few titles have to ask."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if text.rstrip()[-1:] in ("]", ")"):
        text = _TAIL.sub("", text)
    head: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    may_name = "|" in text or "-" in text or "::" in text or not text.isascii()  # few do, and to search takes longer
    if may_name and (tail := _SITE_TAIL.search(text)) and len(start := words(text[: tail.start()])) >= 2:
        if _names_site(tail[1], place()):
            text, rest = text[: tail.start()], tuple(words(tail[1]))
        else:
            head = tuple(start)
    return Taken(text, tuple(words(text)), head, rest)


def read(text: str, spellings: Spellings | None = None, *, place: Callable[[], str]) -> Title:
    """A title taken apart; without `spellings` it stands alone. `place` as for `taken`."""
    one = taken(text, place)
    spellings = spellings or Spellings((*one.words, *one.rest))
    found = tuple(spellings.of(one.words))
    stems = frozenset(map(stem, found))
    telling = frozenset(map(stem, informative(found)))
    return Title(found, tuple(spellings.of(one.head)) or found, stems, telling, one.text)


def informative(found: Iterable[str]) -> frozenset[str]:
    """Of the words of a title those that say what it is about."""
    return frozenset(
        word for word in found if word not in _STOP and word not in _ANYBODYS and (len(word) > 1 or word.isdigit())
    )


def as_one(found: Sequence[str], single: Container[str]) -> set[str]:
    """The stems of neighbouring words that are one word in another title: "Bash Pitfalls", "BashPitfalls".

    `single` are the words of all titles that have six letters or more.
    """
    return {stem(a + b) for a, b in pairwise(found) if a + b in single}


def equal(one: Title, two: Title) -> bool:
    """Whether two titles are one, but for the name of a site after one of them."""
    return one.words == two.words or one.head == two.words or one.words == two.head


def _names_site(tail: str, place: str) -> bool:
    said = words(tail)
    plain = "".join(said)
    return bool(said) and len(said) <= 5 and (said[-1] in _SITES or (len(plain) > 3 and plain in _plain(place)))


def _plain(place: str) -> str:
    return "".join(letter for letter in place.lower() if letter.isalnum())


def _release(found: Sequence[str]) -> tuple[str, str] | None:
    said = [word for word in found if word not in _AROUND_RELEASE]
    versions = [at for at, word in enumerate(said) if VERSION.fullmatch(word)]
    # The version stands last, behind a name of three words at most, or before it: "version 0.7 of Zig".
    if len(versions) != 1 or versions[0] not in (0, len(said) - 1) or not 2 <= len(said) <= 4:
        return None
    version = said.pop(versions[0]).removeprefix("v")
    if _YEAR.fullmatch(version) or not _STOP.isdisjoint(said):
        return None
    name = [word for word in said if word not in _KINDS] or said[:1]
    return " ".join(name), version


def same_release(one: Title, two: Title) -> bool:
    """Whether both titles say that one version of one thing is there, and no more."""
    if one.release is None or two.release is None:
        return False
    return not other_release(one, two) and agree(one.release[1], two.release[1])


def other_release(one: Title, two: Title) -> bool:
    """Whether one title says that a release is there, and the other tells of another, or of something in it."""
    for title, other in ((one, two), (two, one)):
        if title.release is None:
            continue
        name = title.release[0]
        if other.release is None:
            if any(a in _BEFORE_NAMES and b == name.partition(" ")[0] for a, b in pairwise(other.words)):
                return True
        elif not (f" {name}".endswith(f" {other.release[0]}") or f" {other.release[0]}".endswith(f" {name}")):
            return True
    return False


def conflict(a: Marks, b: Marks) -> bool:
    """Whether two titles differ in a part, a month, a year, a number, or in being an answer."""
    if a is b:
        return False
    # The first part is often announced without its number.
    if a.answer != b.answer or a.early != b.early or (a.parts != b.parts and {*a.parts} ^ {*b.parts} != {"1"}):
        return True
    if (
        _apart(a.labels, b.labels)
        or _apart(a.months, b.months)
        or _apart(a.years, b.years)
        or _apart(a.ordinals, b.ordinals)
        or _apart(a.articles, b.articles)
    ):
        return True
    if a.numbers <= b.numbers or b.numbers <= a.numbers:
        return False  # most titles have none
    left = {n for n in a.numbers if not any(agree(n, m) for m in b.numbers)}
    right = {n for n in b.numbers if not any(agree(n, m) for m in a.numbers)}
    return bool(left and right)


def _apart(some: frozenset[Hashable], others: frozenset[Hashable]) -> bool:
    return bool(some) and bool(others) and some.isdisjoint(others)


def agree(one: str, two: str) -> bool:
    """8 and 8.0 and 8.0.0 may be one version, 8.0 and 8.1 are not."""
    a, b = one.split("."), two.split(".")
    short = min(len(a), len(b))
    return a[:short] == b[:short] and all(part == "0" for part in (*a[short:], *b[short:]))


def _marks(text: str, said: Sequence[str]) -> Marks:
    """The marks of a title of these words. Most titles have none of a kind, and are not looked through for it."""
    digit = any(map(str.isdigit, text))
    parts = labels = months = numbers = years = early = _NOTHING
    if digit or not _COUNTED.isdisjoint(said):
        found = (number for pair in _PART.findall(text) for number in pair if number)
        parts = frozenset(_WRITTEN.get(number.lower(), number.lower()) for number in found)
        labels = frozenset(_WRITTEN.get(number.lower(), number.lower()) for number in _LABEL.findall(text))
    if not _MONTHS.keys().isdisjoint([word[:3] for word in said]):
        months = frozenset(str(_MONTHS[name[:3].lower()]) for name in _MONTH.findall(text))
    if digit:
        numbers = frozenset(number.replace(",", "") for number in _NUMBER.findall(text))
        years = frozenset(n for n in numbers if _YEAR.fullmatch(n))
        early = frozenset(kind.lower() + number for kind, number in _EARLY.findall(text) if number)
    ordinals = frozenset(_ORDINALS[word] for word in _ORDINALS.keys() & said)
    articles = frozenset(_ARTICLES[word] for word in _ARTICLES.keys() & said)
    marks = Marks(
        parts,
        labels,
        months,
        years,
        numbers - years - parts - labels,
        ordinals,
        articles,
        early,
        bool(_ANSWER.search(text)),
    )
    return _NO_MARKS if marks == _NO_MARKS else marks  # the same for most titles, and known at sight
