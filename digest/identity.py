"""Which entry of a feed is one that we have: decided from all that they share, and from what the feed showed before.

No single mark can be believed of every feed: guids are made anew at each fetch, links carry tokens, titles repeat,
dates move. So each mark of two entries is weighed as in the linkage of records (Fellegi and Sunter, 1969): agreement
counts by how rare the value is in this feed, disagreement by how seldom the mark was seen to change there. What many
entries share speaks for nobody, what always changes speaks against nobody. Pure: values in, values out.

What cannot be known is decided for the harmless side: rather one entry twice than one lost, where both are possible.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from digest.dataclass import dataclass

FACETS = ("guid", "link", "title", "date", "text")
CHOSEN = ("guid", "link", "title", "date")  # of which an operator's choice is made
BAR, FAR_BAR = 2.0, 5.0  # score from which two are one: of an entry that just left the feed, and of one long gone
TWICE = -1
_STAYS = 0.98  # the share of times that ids stay, from which on an id alone tells
_CAP = 400  # observations kept of a mark: what a feed did lately counts
FEW = 5  # entries of a document, below which it says little of how its feed is made
_PAIRS = 20_000  # that one shared value may bring up
# How often a mark stays and changes, before anything was seen of a feed.
_PRIOR = {"guid": (40, 0.4), "link": (30, 1.0), "title": (30, 1.5), "date": (20, 2.0), "text": (6, 2.5)}
# How likely two different entries agree by chance: in the mark as it is, and in each looser form of it.
_CHANCE = {"guid": (1e-6, 1e-5, 1e-3, 1e-3, 2e-2), "link": (1e-5, 1e-5, 1e-3, 1e-3, 2e-2), "text": (1e-4,)}
_UNPROVEN = {"guid": 0.02, "link": 0.1, "title": 0.1}  # in a feed that never showed three different ones
_TOLD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?<!\d)(?!(?:19|20)\d\d(?!\d)|(?:19|20)\d{6}(?!\d))\d{3,}")
_SESSION = re.compile(r";(?:jsessionid|sid|phpsessid)=[^/?#;]*+", re.I)


@dataclass(frozen=True)
class Marks:
    """What tells one entry from another. `link` is without what only counts visitors, `text` a hash of the words."""

    key: str
    guid: str = ""
    link: str = ""
    title: str = ""
    date: datetime | None = None
    text: str = ""
    fault: bool = False  # it was set aside unread: only its key speaks


@dataclass(frozen=True)
class Known:
    """A stored entry; `lately` where it was in the feed at the last fetch."""

    id: int
    marks: Marks
    lately: bool = True


@dataclass
class Evidence:
    """What a feed was seen to do: how often each mark and each parameter of links stayed and changed, `{name: [n, m]}`.

    `alike` is how many of the `entries` of the last document have a mark, and how many different values there are.
    `vanished` counts entries gone from between others, and those of them that came back.
    """

    fetches: int = 0
    kept: dict[str, list[int]] = field(default_factory=dict)
    params: dict[str, list[int]] = field(default_factory=dict)
    alike: dict[str, list[int]] = field(default_factory=dict)
    entries: int = 0
    vanished: list[int] = field(default_factory=lambda: [0, 0])
    repeated: list[int] = field(default_factory=lambda: [0, 0])  # new entries under a link of others, and all new ones

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Evidence:
        known = cls()
        for name, value in (stored or {}).items():
            if hasattr(known, name):
                setattr(known, name, value)
        return known

    def stays(self, facet: str) -> float:
        """The share of times that a mark stays as it was."""
        kept, changed = self.kept.get(facet, (0, 0))
        before, against = _PRIOR[facet]
        return (kept + before) / (kept + changed + before + against)

    @property
    def volatile(self) -> frozenset[str]:
        """The parameters of links that are made anew at each fetch."""
        return frozenset(name for name, (kept, changed) in self.params.items() if changed >= 3 and changed > 3 * kept)


def choice(words: str) -> str:
    """An operator's choice in its one form: "" for AUTO, else "guid", "link+title", … ValueError says what is wrong."""
    parts = [part.strip() for part in words.casefold().split("+")]
    if parts == ["auto"]:
        return ""
    if not set(parts) <= set(CHOSEN) or len(set(parts)) < len(parts):
        raise ValueError(f"is no identity: write AUTO, or some of {', '.join(CHOSEN)} joined by +, as in link+title")
    return "+".join(name for name in CHOSEN if name in parts)


def same_guid(stored: str, guid: str) -> bool:
    """Whether an id is the stored one, which former releases resolved against the feed's address like a link."""
    if stored == guid:
        return True
    if not guid or not stored.startswith(("http://", "https://")) or not stored.endswith(guid):
        return False
    try:
        return urljoin(stored.removesuffix(guid), guid) == stored
    except ValueError:
        return False


_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|mc_[ce]id|at_\w+|ref_?src|_hs\w+", re.I).fullmatch


def without_tracking(url: str) -> str:
    """The address of a page without what only counts its visitors; two links to one page become equal."""
    if "?" not in url:
        return url.partition("#")[0] if "#" in url and not url.partition("#")[2].startswith(("!", "/")) else url
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING(k)]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), parts.fragment))


def page(url: str) -> str:
    """The same with its fragment: some feeds tell their entries apart by nothing else."""
    address, mark, fragment = url.partition("#")
    return (without_tracking(address) if "?" in address else address) + mark + fragment


def guid_of(key: str) -> str:
    """The guid that an entry had when a former release stored it under `key`, or its link where it had none.

    "" where the key was made of other things.
    """
    return "" if key.startswith(("entry:", "twin:", "fault:")) else key


def link(window: Sequence[Marks], known: Sequence[Known], evidence: Evidence, chosen: str = "") -> list[int | None]:
    """For each entry of a document the place in `known` of the one that it is, None for a new one; each taken once.

    TWICE is what stands in the document a second time, under another guid perhaps. `chosen` is an operator's choice
    (see `choice`), which nothing overrules.
    """
    if chosen:
        return _chosen(window, known, evidence, chosen)
    found = _Linkage(window, known, evidence).run()
    if None not in found:
        return found
    own = [(m.link, m.title, m.date, m.text) if m.title and m.date and _path(m.link) else None for m in window]
    seen = {name for name, place in zip(own, found, strict=True) if name and place is not None}
    for number, name in enumerate(own):
        if found[number] is None and name:
            if name in seen:
                found[number] = TWICE
            seen.add(name)
    return found


def _path(url: str) -> str:
    """What of an address follows its host: a front page has nothing there."""
    return url.partition("://")[2].partition("/")[2]


def _chosen(window: Sequence[Marks], known: Sequence[Known], evidence: Evidence, chosen: str) -> list[int | None]:
    def name(marks: Marks) -> tuple[Any, ...]:
        if marks.fault:
            return ("fault", marks.key)
        forms = _forms(marks, evidence.volatile)
        loose = {"guid": marks.guid, "link": forms["link"][1] if forms["link"] else marks.link, "date": marks.date}
        loose["title"] = forms["title"][0] if forms["title"] else ""
        return tuple(loose[facet] for facet in chosen.split("+"))

    places: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, one in reversed(list(enumerate(known))):
        places[name(one.marks)].append(place)
    found: list[int | None] = []
    before: dict[tuple[Any, ...], int | None] = {}
    for marks in window:
        mine = name(marks)
        if mine not in before:
            before[mine] = places[mine].pop() if places.get(mine) else None
            found.append(before[mine])
        else:
            found.append(TWICE)
    return found


class _Linkage:
    """One document against what is stored of its feed."""

    def __init__(self, window: Sequence[Marks], known: Sequence[Known], evidence: Evidence) -> None:
        self._window, self._known = window, known
        self._found: list[int | None] = [None] * len(window)
        self._free = set(range(len(known)))
        self._evidence = evidence

    def run(self) -> list[int | None]:
        self._unchanged()
        if all(place is not None for place in self._found) or not self._free:
            return self._found
        self._narrow()
        volatile = self._evidence.volatile
        self._here = [_forms(marks, volatile) for marks in self._window]
        same = {place: number for number, place in enumerate(self._found) if place is not None}
        self._there = {
            place: self._here[same[place]] if place in same else _forms(self._known[place].marks, volatile)
            for place in self._pool
        }
        self._count()
        pairs = self._pairs()
        # Twice: what the sure ones show of this feed (all its links have changed, say) decides about the rest.
        self._settle(pairs)
        self._stays = self._learnt()
        self._settle(pairs)
        self._together()
        return self._found

    def _unchanged(self) -> None:
        by_key = {one.marks.key: place for place, one in enumerate(self._known)}
        for number, marks in enumerate(self._window):
            place = by_key.get(marks.key)
            if place is not None and (marks.fault or self._known[place].marks == marks):
                self._take(number, place)
        # One guid, link and title is one entry, so its publisher says, where no other has all three.
        here: dict[tuple[str, ...], list[int]] = defaultdict(list)
        there: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, marks in enumerate(self._window):
            if self._found[number] is None and marks.guid and not marks.fault:
                here[marks.guid, marks.link, marks.title].append(number)
        for place, one in enumerate(self._known) if here else ():
            there[one.marks.guid, one.marks.link, one.marks.title].append(place)
        for name, numbers in here.items():
            if len(numbers) == len(there[name]) == 1:
                self._take(numbers[0], there[name][0])

    def _narrow(self) -> None:
        """Where most of a document is unchanged, a new entry is compared with what has left it, or shares something."""
        left = [marks for marks, place in zip(self._window, self._found, strict=True) if place is None]
        if len(self._window) >= FEW and len(left) * 4 <= len(self._window):
            told = {value for marks in left for value in _values(marks) if value}
            self._free = {
                place
                for place in self._free
                for one in (self._known[place],)
                if one.lately or not told.isdisjoint(_values(one.marks))
            }
        self._pool = sorted(self._free | {place for place in self._found if place is not None})

    def _take(self, number: int, place: int) -> None:
        if place in self._free:
            self._found[number] = place
            self._free.discard(place)

    def _count(self) -> None:
        """How many entries have each value: what several share identifies none of them."""
        self._times: dict[tuple[str, int, str], int] = {}
        self._shared: dict[str, float] = {}
        self._proven: dict[str, bool] = {}
        for facet in FACETS:
            here, there = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
            for forms, counts in ((self._here, here), (list(self._there.values()), there)):
                for of in forms:
                    counts.update(enumerate(of[facet]))
            for level, value in here.keys() | there.keys():
                self._times[facet, level, value] = max(here[level, value], there[level, value])
            exact = [self._times[facet, level, value] for level, value in here.keys() | there.keys() if level == 0]
            told = [of[facet][0] for of in self._here if of[facet]]
            self._proven[facet] = len(exact) >= 3 or len(told) == len(set(told)) > 1
            self._shared[facet] = 1 - exact.count(1) / len(exact) if exact else 0.0
        self._stays = {facet: self._evidence.stays(facet) for facet in FACETS}

    def _pairs(self) -> list[tuple[int, int]]:
        """Those that have anything in common."""
        index: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        for place in self._free:
            if not self._known[place].marks.fault:
                for facet in FACETS:
                    for level, value in enumerate(self._there[place][facet]):
                        index[facet, level, value].append(place)
        pairs: set[tuple[int, int]] = set()
        for number, forms in enumerate(self._here):
            if self._found[number] is not None or self._window[number].fault:
                continue
            for facet in FACETS:
                for level, value in enumerate(forms[facet]):
                    places = index.get((facet, level, value), ())
                    if len(places) * self._times[facet, level, value] <= _PAIRS:
                        pairs.update((number, place) for place in places)
            guid = self._window[number].guid
            if guid and ":" not in guid:
                pairs.update((number, p) for p in self._free if same_guid(self._known[p].marks.guid, guid))
        return sorted(pairs)

    def _settle(self, pairs: Sequence[tuple[int, int]]) -> None:
        """The surest pairs first, each entry in one."""
        scored = []
        for number, place in pairs:
            if self._found[number] is None and place in self._free:
                score = self._score(number, place)
                if score >= (BAR if self._known[place].lately else FAR_BAR):
                    scored.append((-score, -self._known[place].id, number, place))
        for _score, _id, number, place in sorted(scored):
            if self._found[number] is None:
                self._take(number, place)

    def _score(self, number: int, place: int) -> float:
        """The logarithm of how much likelier two are one than not, by all their marks."""
        marks, other = self._window[number], self._known[place].marks
        twice = bool(marks.guid and _as_link(marks) and _as_link(other))  # a guid that is the link says it twice
        score = 0.0
        for facet in FACETS:
            if facet == "guid" and twice:
                continue
            here, there = self._here[number][facet], self._there[place][facet]
            if here and there:
                score += self._weight(
                    facet, here, there, resolved=facet == "guid" and same_guid(other.guid, marks.guid)
                )
        return score

    def _weight(self, facet: str, here: tuple[str, ...], there: tuple[str, ...], *, resolved: bool = False) -> float:
        stays = self._stays[facet]
        against = max(-5.5, math.log(1 - min(stays, 0.996)))
        for level, (one, two) in enumerate(zip(here, there, strict=False)):
            if not one or one != two:
                continue
            if self._times[facet, level, one] > 1:
                return 0.5 if level == 0 else against / 2
            chance = max(_chance(facet, level, one), 0.5 * self._shared[facet] ** 2)
            if not self._proven[facet]:
                chance = max(chance, _UNPROVEN.get(facet, 0.0))
            return math.log((stays if level == 0 else 0.5) / chance)
        return math.log(1 / 1e-5) if resolved else against

    def _learnt(self) -> dict[str, float]:
        """How marks stay in this feed, the pairs of this document counted in."""
        seen = Evidence(kept={facet: list(counts) for facet, counts in self._evidence.kept.items()})
        for number, place in enumerate(self._found):
            if place is not None:
                _observe(seen, self._here[number], self._there[place])
        return {facet: seen.stays(facet) for facet in FACETS}

    def _together(self) -> None:
        """All of a document changed at once, and one mark still pairs it with what it was: a move, or a translation.

        Three equal moments to the second, or pages, are no chance. Long titles are asked where neither date
        nor text speaks against them: "Morning news", "Noon news", "Evening news" are three new entries every day.
        """
        left = [n for n, place in enumerate(self._found) if place is None and not self._window[n].fault]
        free = [place for place in self._free if self._known[place].lately]
        if len(left) < 3 or len(left) * 2 < len(self._window):
            return
        for facet, level in (("link", 1), ("link", 2), ("date", 0), ("title", 0)):
            ours = _alone((n, self._here[n][facet]) for n in left).get(level, {})
            theirs = _alone((p, self._there[p][facet]) for p in free).get(level, {})
            both = [value for value in ours.keys() & theirs.keys() if self._telling(facet, value, ours, theirs)]
            if len(both) >= 3 and len(both) * 5 >= 4 * min(len(left), len(free)):
                for value in both:
                    self._take(ours[value], theirs[value])
                return

    def _telling(self, facet: str, value: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> bool:
        if facet == "date":
            return _chance(facet, 0, value) < 1e-3
        if facet == "title":
            here, there = self._here[ours[value]], self._there[theirs[value]]
            same = all(here[f] == there[f] or not (here[f] and there[f]) for f in ("date", "text"))
            return same and _chance(facet, 0, value) < 1e-3
        return True


def _values(m: Marks) -> tuple[Any, ...]:
    return m.key, m.guid, m.link, m.title, m.date, m.text


def _alone(forms: Iterable[tuple[int, tuple[str, ...]]]) -> dict[int, dict[str, int]]:
    """By level, the values that one entry only has, and whose they are."""
    times: Counter[tuple[int, str]] = Counter()
    whose: dict[int, dict[str, int]] = defaultdict(dict)
    for place, levels in forms:
        for level, value in enumerate(levels):
            times[level, value] += 1
            whose[level][value] = place
    return {level: {v: p for v, p in of.items() if v and times[level, v] == 1} for level, of in whose.items()}


def _as_link(marks: Marks) -> bool:
    return not marks.guid or _schemeless(marks.guid) == _schemeless(marks.link)


def _chance(facet: str, level: int, value: str) -> float:
    if facet == "title":
        words = len(_TOLD.findall(value)) + sum(ord(c) > 0x2E7F for c in value) // 3
        found = 2e-2 if words <= 2 else 1e-2 if words == 3 else 3e-3 if words == 4 else 5e-4 if words < 8 else 1e-4
        return found if level == 0 else min(0.2, found * 20)
    if facet == "date":
        return 5e-2 if value.endswith("T00:00:00") else 5e-3 if value.endswith(":00:00") else 1e-4
    return _CHANCE[facet][level]


# ---------------------------------------------------------------- marks, as they are and looser


def _forms(marks: Marks, volatile: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Each mark as it is, and in looser and looser forms; () where there is none."""
    title = " ".join(marks.title.casefold().split())
    return {
        "guid": _guid_forms(marks.guid),
        "link": _link_forms(marks.link, volatile),
        "title": (title, " ".join(_TOLD.findall(title))) if title else (),
        "date": (marks.date.strftime("%Y-%m-%dT%H:%M:%S"),) if marks.date else (),
        "text": (marks.text,) if marks.text else (),
    }


def _guid_forms(guid: str) -> tuple[str, ...]:
    if not guid:
        return ()
    if guid.startswith(("http://", "https://")):
        _full, loose, path, alone, number = _link_forms(guid, frozenset()) or ("", "", "", "", "")
        return guid, loose, path, alone, number
    return guid, guid.casefold().rstrip("/"), "", "", _number(guid)


def _link_forms(url: str, volatile: frozenset[str]) -> tuple[str, ...]:
    """Without scheme; without fragment and what is made anew; without host; without parameters; the numbers in it."""
    address = _SESSION.sub("", _schemeless(url)) if ";" in url else _schemeless(url)
    whole, _, fragment = address.partition("#")
    page, _, query = whole.partition("?")
    if volatile and query:
        query = "&".join(part for part in query.split("&") if part.partition("=")[0] not in volatile)
    host, _, path = page.partition("/")
    path = path.rstrip("/")
    if not path and not query and not fragment:
        return ()  # a front page is nobody's identity
    asked = f"{path}?{query}" if query else path
    loose = f"{host}/{asked}".casefold()
    full = f"{loose}#{fragment}" if fragment else loose
    alone = f"{host}/{path}".casefold() if query and len(path) >= 6 else ""
    return full, loose if asked else "", asked.casefold() if len(asked) >= 6 else "", alone, _number(asked)


def _schemeless(url: str) -> str:
    return url.partition("://")[2].removeprefix("www.") if "://" in url else url


def _number(words: str) -> str:
    return " ".join(_NUMBER.findall(words))


# ---------------------------------------------------------------- what a feed is seen to do


def observed(
    before: Evidence, window: Sequence[Marks], pairs: Sequence[tuple[Marks, Marks]], known: Sequence[Known] = ()
) -> Evidence:
    """The evidence, with one more document and what its entries were (`pairs`: now, before) among the `known`."""
    seen = Evidence(
        before.fetches + 1,
        {name: list(counts) for name, counts in before.kept.items()},
        {name: list(counts) for name, counts in before.params.items()},
        _alike(window, before.volatile),
        len(window),
        list(before.vanished),
        list(before.repeated),
    )
    if known and len(pairs) < len(window):
        old, stored = {id(now) for now, _then in pairs}, {one.marks.link for one in known}
        new = [marks.link for marks in window if id(marks) not in old]
        seen.repeated = [seen.repeated[0] + sum(one in stored for one in new), seen.repeated[1] + len(new)]
    for now, then in pairs:
        if now == then:
            for facet in FACETS:
                if getattr(now, facet):
                    seen.kept.setdefault(facet, [0, 0])[0] += 1
        else:
            _observe(seen, _forms(now, before.volatile), _forms(then, before.volatile))
        if "?" in now.link and "?" in then.link:
            _observe_params(seen, now.link, then.link)
    for counts in (*seen.kept.values(), *seen.params.values(), seen.repeated):
        while sum(counts) > _CAP:
            counts[:] = [n // 2 for n in counts]
    return seen


def _observe(seen: Evidence, now: Mapping[str, tuple[str, ...]], then: Mapping[str, tuple[str, ...]]) -> None:
    for facet in FACETS:
        if now[facet] and then[facet]:
            stayed = now[facet][0] == then[facet][0] or (facet == "guid" and same_guid(then[facet][0], now[facet][0]))
            seen.kept.setdefault(facet, [0, 0])[not stayed] += 1


def _observe_params(seen: Evidence, now: str, then: str) -> None:
    """Parameters of two links that lead to one page."""
    (page, _, query), (before, _, old) = (link.partition("#")[0].partition("?") for link in (now, then))
    if _schemeless(page) != _schemeless(before):
        return
    values = dict(part.partition("=")[::2] for part in old.split("&"))
    for part in query.split("&")[:20]:
        name, _, value = part.partition("=")
        if name in values and len(name) <= 40 and (name in seen.params or len(seen.params) < 30):
            seen.params.setdefault(name, [0, 0])[values[name] != value] += 1


_JOINED = ("link+title", "title+date", "link+title+date")
_ALIKE = {name: name.split("+") for name in (*FACETS, *_JOINED)}
_OTHERS = ("guid", "title", "date", "text")  # marks besides the link


def _alike(window: Sequence[Marks], volatile: frozenset[str]) -> dict[str, list[int]]:
    """How many entries have each mark, and how many different values there are."""
    # Links without loose forms; their spare parameters do not tell entries apart.
    links = [(_link_forms(m.link, volatile) or ("", m.link))[1] if volatile else m.link for m in window]
    own: dict[str, list[Any]] = {"link": links} | {name: [getattr(m, name) for m in window] for name in _OTHERS}
    told = {name: list(filter(any, zip(*(own[part] for part in of), strict=True))) for name, of in _ALIKE.items()}
    return {name: [len(found), len(set(found))] for name, found in told.items() if found}


def links_tell(evidence: Evidence, chosen: str = "") -> bool:
    """Whether two entries of a feed that have one link may be the same: not where many had it all along."""
    if "date" in chosen:
        return False
    having, different = evidence.alike.get("link", (0, 0))
    repeated, new = evidence.repeated
    return different >= 0.9 * having and repeated * 4 <= new


def ids_tell(evidence: Evidence, chosen: str = "") -> bool:
    """Whether an id alone tells an entry of a feed from others, however long ago it was there."""
    if chosen:
        return "guid" in chosen.split("+")
    having, different = evidence.alike.get("guid", (0, 0))
    return evidence.stays("guid") >= _STAYS and different >= 0.95 * having


def carried_by(evidence: Evidence) -> str:
    """Which marks tell the entries of a feed apart and stay: the fewest that do, "" before it is known."""
    if not evidence.entries:
        return ""
    for name in ("guid", "link", "title", *_JOINED):
        having, different = evidence.alike.get(name, (0, 0))
        enough = having >= 0.9 * evidence.entries and different >= 0.95 * having
        if enough and all(evidence.stays(part) >= 0.8 for part in name.split("+")):
            return name
    return "all marks together"


def in_words(evidence: Evidence) -> list[str]:
    """What was seen of each mark, a sentence each."""
    told = []
    for facet in FACETS:
        having, different = evidence.alike.get(facet, (0, 0))
        if not having:
            told.append(f"{facet}: none")
            continue
        kept, changed = evidence.kept.get(facet, (0, 0))
        share = f"in {having} of {evidence.entries} entries, {different} different"
        seen = f"stayed {kept} times and changed {changed} times lately" if kept + changed else "seen once so far"
        told.append(f"{facet}: {share}; {seen}")
    spare = [f"link: its parameter {name} is made anew at each fetch" for name in sorted(evidence.volatile)]
    return told + spare


# ---------------------------------------------------------------- what was withdrawn


def gone_between(before: Sequence[Known], present: frozenset[int], new: int) -> list[int]:
    """The ids of those entries of a feed's last window (`before`) that are gone, and were not pushed out by newer ones.

    A feed drops its oldest. What is gone although older entries stayed was taken away. `present` are the ids of what
    is there now, `new` counts newcomers.
    """
    order = sorted(before, key=lambda one: one.id)
    gone = []
    for rank, one in enumerate(order):
        if one.id in present:
            continue
        older = order[:rank]
        if one.marks.date is not None:
            older = [o for o in older if o.marks.date is not None and o.marks.date < one.marks.date]
        stayed = sum(o.id in present for o in older)
        # Newcomers push out the oldest; three more may stand there for ever, pinned.
        if len(older) >= (new + 3 if new else 1) and stayed and stayed * 2 > len(older):
            gone.append(one.id)
    return gone


def by_date(ids: Sequence[int], dates: Sequence[datetime | None]) -> bool:
    """Whether a document goes from the oldest to the newest, a pinned entry apart: by when each came, and its date.

    What ranks its entries is in no such order.
    """
    dated = [date for date in dates if date is not None]
    for row in (ids, dated):
        wrong = sum(one > two for one, two in pairwise(row))  # type: ignore[operator]
        if wrong > len(row) // 6:
            return False
    return True


def takes_back(evidence: Evidence, gone: int, entries: int) -> bool:
    """Whether so many entries gone from between the others of a feed's `entries` were withdrawn.

    It must be the exception: a feed that ranks, or shows now these and now those, says nothing by it.
    """
    vanished, back = evidence.vanished
    often = vanished > 3 and (back * 4 > vanished or vanished * 5 > evidence.fetches)
    return 0 < gone <= max(1, entries // 5) and not often
