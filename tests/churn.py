"""Publishers who change everything about their entries but what they are, day after day, through the real parser and
the real database; and what became of their entries: each must be stored once, and told once.

What an entry truly is stands in its author, which is no mark of identity. `lost` is what a document showed and was
never stored (or is told as another's story), `twice` what was stored or told once more than that.

Undecidable, and so decided for the harmless side, which is a second mention rather than none:

- A document of one entry whose title, date and text all change under one link, or one guid, is a new entry each time:
  "the latest" looks like a page that was wholly rewritten. (`latest only`, `all well`)
- A reissue with another guid, link, title or date and another text is a new entry; with its text it is the old one.
- What has one guid and one title is the same entry, though its date and text change: so its publisher says.
- Guid, link, date and text all made anew at each fetch under titles that stay: a forecast for each town, every day,
  looks like that too, so they are new. (Where the text stays, or there is no text and date, they are the same.)
- Without guid and date, two entries of one link and title are told apart by their text, so an edit of one is new.

Decidable only by what came before: a token in the link of an entry that was also retitled and rewritten while the feed
was first read. These patterns let one fetch pass in peace first.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import sqlalchemy as sa
from sqlmodel import Session, col

from digest import config, edition, parse
from digest.identity import Evidence, carried_by
from digest.models import Feed, NewsletterFeed
from digest.store import feed_entries, newsletters, open_database
from digest.store.story_tables import Admission, Decision, Entry, Story

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
WINDOW = 12
_SYLLABLES = ("ka", "ro", "mi", "ten", "sal", "vu", "per", "do", "lin", "gra", "sto", "ne", "bel", "har", "tu", "qui")


@dataclass(frozen=True)
class Item:
    """One entry as it stands in a document; `true` is what it is."""

    true: str
    title: str = ""
    link: str = ""
    guid: str = ""
    date: datetime | None = None
    text: str = ""


@dataclass
class Publisher:
    """A site: all its posts, the oldest first, and what it has to throw dice with."""

    name: str
    rng: random.Random
    posts: list[Item] = field(default_factory=list)
    host: str = ""
    turn: int = 30  # the day on which it changes its ways
    path: str = "/feed"
    json: bool = False
    atom: bool = False
    motto: str = ""

    def __post_init__(self) -> None:
        self.motto = " ".join(self.words(2)).capitalize()

    def post(self, day: int, *, title: str = "") -> Item:
        number = 1000 + 7 * len(self.posts)
        said = self.words(6)
        slug = "-".join(said[:4])
        at = START + timedelta(days=day, seconds=-self.rng.randrange(1, 80_000))
        item = Item(
            f"{self.name}/{number}",
            title or " ".join(said).capitalize(),
            f"https://{self.host}/{at:%Y/%m}/{slug}",
            f"{self.name}-{number}",
            at,
            " ".join(self.words(30)).capitalize() + ".",
        )
        self.posts.append(item)
        return item

    def words(self, count: int) -> list[str]:
        """Made up, so that no two sites are alike by chance."""
        return ["".join(self.rng.choices(_SYLLABLES, k=4)) for _ in range(count)]

    def token(self) -> str:
        return f"{self.rng.getrandbits(48):012x}"


Pattern = Callable[[Publisher, int], list[Item]]
PATTERNS: dict[str, Pattern] = {}


def pattern(name: str) -> Callable[[Pattern], Pattern]:
    def keep(function: Pattern) -> Pattern:
        PATTERNS[name] = function
        return function

    return keep


def _each(name: str, change: Callable[[Publisher, int, Item], Item]) -> None:
    """A pattern of one post a day, each shown as `change` makes it."""

    def show(site: Publisher, day: int) -> list[Item]:
        for before in range(-5, 0) if not site.posts else ():
            site.post(before)
        site.post(day)
        return [change(site, day, item) for item in _last(site)]

    PATTERNS[name] = show


def _last(site: Publisher, count: int = WINDOW) -> list[Item]:
    return list(reversed(site.posts[-count:]))


def _number(item: Item) -> int:
    return int(item.true.rpartition("/")[2])


def _age(item: Item, day: int) -> int:
    assert item.date is not None
    return (START + timedelta(days=day) - item.date).days


def _slug(item: Item) -> str:
    return item.link.rpartition("/")[2]


def _again(item: Item, what: str) -> str:
    """Something made of an item that stays the same each time."""
    return sha256(f"{what} {item.true}".encode()).hexdigest()[:10]


def _retitled(item: Item) -> Item:
    return replace(item, title=f"What the {' '.join(reversed(item.title.lower().split()[:4]))} did")


def _third(item: Item) -> bool:
    return _number(item) % 3 == 0


# ---------------------------------------------------------------- guids

_each("plain", lambda s, d, i: i)
_each(
    "guid scheme flips",
    lambda s, d, i: replace(i, guid=(i.guid, "tag:x,2026:" + i.guid, i.link)[d // (2 * s.turn // 3) % 3]),
)
_each("guid made anew at each fetch", lambda s, d, i: replace(i, guid=s.token()))
_each("two mirrors, two schemes by turns", lambda s, d, i: replace(i, guid=f"{'ab'[d % 2]}:{i.guid}"))
_each("guid appears later", lambda s, d, i: i if d >= s.turn else replace(i, guid=""))
_each("guid disappears", lambda s, d, i: i if d < s.turn else replace(i, guid=""))
_each("no guid", lambda s, d, i: replace(i, guid=""))
_each("one guid for all", lambda s, d, i: replace(i, guid="item"))
_each("one guid for all, one link", lambda s, d, i: replace(i, guid="item", link=f"https://{s.host}/news"))
_each("guid only, one front page", lambda s, d, i: replace(i, link=f"https://{s.host}/"))
_each("guid in another case by turns", lambda s, d, i: replace(i, guid=i.guid.upper() if d % 2 else i.guid))
_each("guid with http, then https", lambda s, d, i: replace(i, guid=("http" if d < s.turn else "https") + i.link[5:]))
_each("guid like a path", lambda s, d, i: replace(i, guid=f"-{_again(i, 'id')}", link=""))


@pattern("guids renumbered")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [replace(item, guid=str(place)) for place, item in enumerate(_last(site), 1)]


@pattern("slug in the guid, retitled next day")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    shown = []
    for item in _last(site):
        now = _retitled(item) if _age(item, day) >= 1 and _third(item) else item
        slug = "-".join(now.title.lower().split())
        shown.append(replace(now, guid=f"{_number(item)}-{slug}", link=f"https://{site.host}/{_number(item)}/{slug}"))
    return shown


@pattern("Atom ids like t3_abc, and the feed moves")
def _(site: Publisher, day: int) -> list[Item]:
    site.atom = True
    site.path = "/r/news/.rss" if day < site.turn else "/elsewhere/r/news.rss"
    site.post(day)
    return [replace(item, guid=f"t3_{_again(item, 'id')}") for item in _last(site)]


@pattern("JSON, numbers for ids, then strings")
def _(site: Publisher, day: int) -> list[Item]:
    site.json = True
    site.post(day)
    return [
        replace(item, guid=str(_number(item)) if day < site.turn else f"post-{_number(item)}") for item in _last(site)
    ]


# ---------------------------------------------------------------- links

_each("token in the link", lambda s, d, i: replace(i, guid="", link=f"{i.link}?token={s.token()}"))
_each(
    "token beside an id", lambda s, d, i: replace(i, guid="", link=f"https://{s.host}/p?id={_number(i)}&t={s.token()}")
)
_each("token in link and guid", lambda s, d, i: (lambda u: replace(i, guid=u, link=u))(f"{i.link}?sid={s.token()}"))
_each("token in the path", lambda s, d, i: replace(i, guid="", link=f"https://{s.host}/{s.token()}/{_slug(i)}"))
_each("session id", lambda s, d, i: replace(i, guid="", link=f"{i.link};jsessionid={s.token()}?a=1"))
_each("utm parameters", lambda s, d, i: replace(i, guid="", link=f"{i.link}?utm_source=rss&utm_campaign=d{d}"))
_each("fragment made anew", lambda s, d, i: replace(i, guid="", link=f"{i.link}#{s.token()}"))
_each("fragments tell them apart", lambda s, d, i: replace(i, guid="", link=f"https://{s.host}/log#v{_number(i)}"))
_each("trailing slash by turns", lambda s, d, i: replace(i, guid="", link=i.link + "/" * (d % 2)))
_each("case by turns", lambda s, d, i: replace(i, guid="", link=i.link if d % 2 else i.link.upper()))
_each("www by turns", lambda s, d, i: replace(i, guid="", link=i.link.replace("//", "//www." if d % 2 else "//")))
_each("http, then https", lambda s, d, i: replace(i, guid="", link=i.link if d >= s.turn else "http" + i.link[5:]))
_each(
    "host moves",
    lambda s, d, i: replace(i, guid="", link=i.link.replace(s.host, "new." + s.host) if d >= s.turn else i.link),
)
_each(
    "host moves, guid is the link",
    lambda s, d, i: (lambda u: replace(i, guid=u, link=u))(
        i.link.replace(s.host, "n." + s.host) if d >= s.turn else i.link
    ),
)
_each(
    "translated address",
    lambda s, d, i: replace(i, link=f"https://{s.host}/de/{_again(i, 'x')}" if d >= s.turn else i.link),
)
_each(
    "all translated, but for the dates",
    lambda s, d, i: (
        replace(i, guid="")
        if d < s.turn
        else Item(i.true, _again(i, "t"), f"https://{s.host}/de/{_again(i, 'x')}", "", i.date, _again(i, "u") * 4)
    ),
)
_each(
    "parameters in another order",
    lambda s, d, i: replace(
        i, guid="", link=f"https://{s.host}/p?{'&'.join(['a=1', f'id={_number(i)}'][:: 1 - d % 2 * 2])}"
    ),
)
_each("one link for all", lambda s, d, i: replace(i, guid="", link=f"https://{s.host}/news"))
_each("no link, no guid", lambda s, d, i: replace(i, guid="", link=""))

_each("percent signs by turns", lambda s, d, i: replace(i, guid="", link=i.link.replace("-", "%2D" if d % 2 else "-")))
_each(
    "another permalink structure, guid is the link",
    lambda s, d, i: (lambda u: replace(i, guid=u, link=u))(f"https://{s.host}/{_slug(i)}" if d >= s.turn else i.link),
)
_each(
    "another system: guid, link and text",
    lambda s, d, i: (
        i
        if d < s.turn
        else replace(
            i, guid=f"node/{_number(i)}", link=f"https://new.{s.host}/node/{_number(i)}", text=f"{i.text} More."
        )
    ),
)
_each(
    "links through a proxy by turns",
    lambda s, d, i: replace(i, guid="", link=i.link if d % 2 else f"https://proxy.example/~r/{s.token()}/{_slug(i)}"),
)
_each(
    "guid and link made anew, titles stay",
    lambda s, d, i: Item(i.true, i.title, f"https://{s.host}/{s.token()}", s.token()),
)
_each(
    "guid and link made anew, re-dated",
    lambda s, d, i: replace(i, guid=s.token(), link=f"https://{s.host}/{s.token()}", date=START + timedelta(days=d)),
)
_each(
    "token in the link, re-dated, no text",
    lambda s, d, i: replace(i, guid="", link=f"{i.link}?t={s.token()}", date=START + timedelta(days=d), text=""),
)

# ---------------------------------------------------------------- dates

_each("re-dated at each fetch", lambda s, d, i: replace(i, date=START + timedelta(days=d)))
_each("re-dated at each fetch, no guid", lambda s, d, i: replace(i, guid="", date=START + timedelta(days=d)))
_each("no dates", lambda s, d, i: replace(i, date=None))
_each("no dates, no guid", lambda s, d, i: replace(i, date=None, guid=""))
_each("title alone", lambda s, d, i: Item(i.true, i.title))
_each(
    "dates without hours",
    lambda s, d, i: replace(i, guid="", date=i.date and i.date.replace(hour=0, minute=0, second=0)),
)
_each(
    "an hour off in summer", lambda s, d, i: replace(i, guid="", date=i.date and i.date + timedelta(hours=d >= s.turn))
)

_each("dates come later", lambda s, d, i: replace(i, guid="", date=i.date if d >= s.turn else None))
_each("dates go", lambda s, d, i: replace(i, guid="", date=i.date if d < s.turn else None))


@pattern("papers: tokens, and re-dated on three days")
def _(site: Publisher, day: int) -> list[Item]:
    if day < site.turn * 5 // 3:
        site.post(day)
    moved = timedelta(days=sum(day >= turn for turn in (site.turn // 2, site.turn, site.turn * 3 // 2)))
    now = START + timedelta(days=day)
    return [
        replace(i, guid="", link=f"https://{site.host}/pdf?t={site.token()}", date=min(i.date or now, now) + moved)
        for i in _last(site)
    ]


@pattern("back-dated")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [replace(i, date=i.date and i.date - timedelta(days=_number(i) % 40)) for i in _last(site)]


# ---------------------------------------------------------------- the window


@pattern("in another order each time")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return site.rng.sample(_last(site), len(_last(site)))


@pattern("shrinks and grows")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [replace(i, guid="") for i in _last(site, (12, 3, 30)[day // 5 % 3])]


@pattern("the whole archive, now and then")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return _last(site, 100 if day % 20 == 19 else 5)


@pattern("ranked: some of the last thirty")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    last = _last(site, 30)
    return site.rng.sample(last, len(last) // 2)


@pattern("a pinned post")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [*site.posts[:1], *(i for i in _last(site) if i is not site.posts[0])]


@pattern("empty every fifth day")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [] if day % 5 == 4 else [replace(i, guid="") for i in _last(site)]


@pattern("deleted and restored")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [i for i in _last(site) if not (_third(i) and 1 <= _age(i, day) < 4 and day < 2 * site.turn - 1)]


@pattern("deleted and restored under another guid")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    shown = [i for i in _last(site) if not (_third(i) and 1 <= _age(i, day) < 4 and day < 2 * site.turn - 1)]
    return [replace(i, guid=i.guid + "-r") if _third(i) and _age(i, day) >= 4 else i for i in shown]


@pattern("each twice")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [i for item in _last(site) for i in (item, item)]


@pattern("each twice, under two guids")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [i for item in _last(site) for i in (item, replace(item, guid=item.guid + "-b"))]


@pattern("oldest first")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    return [replace(i, guid="") for i in site.posts[-WINDOW:]]


@pattern("a whole window at once, every fourth day")
def _(site: Publisher, day: int) -> list[Item]:
    for _number_of_it in range(WINDOW if day % 4 == 0 else 0):
        site.post(day)
    return [replace(i, guid="", link=f"{i.link}?t={site.token()}") for i in _last(site)]


@pattern("RSS, JSON and Atom by turns")
def _(site: Publisher, day: int) -> list[Item]:
    site.json, site.atom = day % 3 == 1, day % 3 == 2
    site.post(day)
    return _last(site)


@pattern("latest only, one guid")
def _(site: Publisher, day: int) -> list[Item]:
    return [replace(site.post(day), guid="latest")]


@pattern("latest only, one link")
def _(site: Publisher, day: int) -> list[Item]:
    return [replace(site.post(day), guid="", link=f"https://{site.host}/latest")]


# ---------------------------------------------------------------- titles and texts

_each("edited every day", lambda s, d, i: replace(i, text=f"{i.text} Read {s.rng.randrange(9000)} times."))
_each("retitled", lambda s, d, i: _retitled(i) if _third(i) and _age(i, d) >= 1 else i)
_each("retitled, no guid", lambda s, d, i: replace(_retitled(i) if _third(i) and _age(i, d) >= 1 else i, guid=""))
_each("comments counted in the title", lambda s, d, i: replace(i, guid="", title=f"{i.title} ({_age(i, d) * 3})"))
_each("untitled notes", lambda s, d, i: replace(i, title=""))
_each("untitled notes, no guid", lambda s, d, i: replace(i, title="", guid=""))

_each("marked as updated", lambda s, d, i: replace(i, guid="", title=("UPDATE: " if _age(i, d) > 1 else "") + i.title))
_each("text becomes short, guid flips", lambda s, d, i: i if d < s.turn else replace(i, guid="x" + i.guid, text=""))
_each(
    "text becomes long, link flips",
    lambda s, d, i: i if d < s.turn else replace(i, link=f"{i.link}/full", text=i.text * 3),
)
_each("guid in some only", lambda s, d, i: i if _third(i) else replace(i, guid=""))


@pattern("reissued")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    now = START + timedelta(days=day, hours=-1)
    return [
        replace(i, guid=i.guid + "-2", link=i.link + "-2", date=now) if _third(i) and _age(i, day) >= 2 else i
        for i in _last(site)
    ]


@pattern("mended within the day: title, slug and text")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day)
    shown = []
    for item in _last(site):
        if _third(item) and _age(item, day) >= 1:
            item = replace(_retitled(item), link=f"{item.link}-mended", text=f"{item.text} Mended.")
        shown.append(item)
    return shown


@pattern("a series of one title, weekly")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day, title=f"{site.motto} weekly" if day % 7 == 0 else "")
    return _last(site)


@pattern("a series of one title, weekly, no guid")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day, title=f"{site.motto} weekly" if day % 7 == 0 else "")
    return [replace(i, guid="") for i in _last(site)]


@pattern("a series of one title, daily, no guid")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day, title=f"{site.motto}, today")
    return [replace(i, guid="") for i in _last(site, 5)]


@pattern("three titles, new each day, nothing else stays")
def _(site: Publisher, day: int) -> list[Item]:
    for title in ("Morning news", "Noon news", "Evening news"):
        site.post(day, title=f"{title} {site.motto}")
    return _last(site, 3)


@pattern("numbers in titles, one link, no guid")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day, title=f"{site.motto}: build {1041 + day} failed")
    return [replace(i, guid="", link=f"https://{site.host}/builds", text="") for i in _last(site)]


@pattern("status page: one title, one link, own dates")
def _(site: Publisher, day: int) -> list[Item]:
    if day % 3 == 0:
        site.post(day, title=f"{site.motto} disrupted")
    return [replace(i, guid="", link=f"https://{site.host}/status") for i in _last(site)]


@pattern("status page: incidents that are written on")
def _(site: Publisher, day: int) -> list[Item]:
    if day % 3 == 0:
        site.post(day, title=f"{site.motto} disrupted")
    return [
        replace(i, guid="", link=f"https://{site.host}/status", text=f"{i.text} Update {min(3, _age(i, day))}.")
        for i in _last(site)
    ]


@pattern("releases, one link, no text")
def _(site: Publisher, day: int) -> list[Item]:
    site.post(day, title=f"v1.{day}.0")
    return [replace(i, guid="", text="", link=f"https://{site.host}/releases") for i in _last(site)]


@pattern("status page: how it stands is in the title")
def _(site: Publisher, day: int) -> list[Item]:
    if day % 2 == 0:
        site.post(day, title=f"{site.motto} {('down', 'slow')[day // 2 % 2]}")
    return [
        replace(
            i,
            guid="",
            link=f"https://{site.host}/status",
            title=i.title + ("", ": watched", ": solved")[min(_age(i, day), 2)],
        )
        for i in _last(site, 5)
    ]


@pattern("status page: title and date alone")
def _(site: Publisher, day: int) -> list[Item]:
    if day % 2 == 0:
        site.post(day, title=f"{site.motto} down")
    return [Item(i.true, i.title, date=i.date) for i in _last(site, 5)]


@pattern("status page: two incidents a day, days for dates")
def _(site: Publisher, day: int) -> list[Item]:
    for _number_of_it in range(2):
        site.post(day, title=f"{site.motto} down")
    midnight = {"hour": 0, "minute": 0, "second": 0}
    return [
        replace(i, guid="", link=f"https://{site.host}/status", date=i.date and i.date.replace(**midnight))
        for i in _last(site, 8)
    ]


@pattern("status page: all the same words")
def _(site: Publisher, day: int) -> list[Item]:
    if day % 3 == 0:
        site.post(day, title=f"{site.motto} disrupted")
    same = "We are looking into reports of slow answers, and tell more here."
    return [replace(i, guid="", link=f"https://{site.host}/status", text=same) for i in _last(site)]


@pattern("all well: one entry, new each day")
def _(site: Publisher, day: int) -> list[Item]:
    item = site.post(day, title=f"{site.motto} operational")
    return [replace(item, link=f"https://{site.host}/", text=f"Checked on day {day}; nothing to tell.")]


@pattern("a live page, written on under one guid")
def _(site: Publisher, day: int) -> list[Item]:
    first = site.posts[0] if site.posts else site.post(day)
    live = replace(first, title=f"Live, day {day}: {' '.join(site.words(4))}", text=site.token() * 4)
    live = replace(live, date=START + timedelta(days=day))
    site.post(day)
    return [live, *(i for i in _last(site) if i is not first)]


# ---------------------------------------------------------------- documents


def document(site: Publisher, items: Iterable[Item]) -> bytes:
    """What a site serves."""
    if site.json:
        told = [
            {
                "id": int(i.guid) if i.guid.isdigit() else i.guid,
                "url": i.link,
                "title": i.title,
                "content_text": i.text,
                "date_published": i.date.isoformat() if i.date else None,
                "authors": [{"name": i.true}],
            }
            for i in items
        ]
        about = {"version": "https://jsonfeed.org/version/1.1", "title": site.name, "items": told}
        return json.dumps(about).encode()
    if site.atom:
        return _atom(site, items)
    parts = [f'<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>{site.name}</title>']
    parts.append(f"<link>https://{site.host}/</link>")
    for i in items:
        parts.append("<item>")
        parts += [f"<title>{escape(i.title)}</title>"] if i.title else []
        parts += [f"<link>{escape(i.link)}</link>"] if i.link else []
        parts += [f"<guid>{escape(i.guid)}</guid>"] if i.guid else []
        parts += [f"<pubDate>{format_datetime(i.date)}</pubDate>"] if i.date else []
        parts.append(f"<dc:creator>{i.true}</dc:creator><description>{escape(i.text)}</description></item>")
    return "".join((*parts, "</channel></rss>")).encode()


def _atom(site: Publisher, items: Iterable[Item]) -> bytes:
    entries = "".join(
        f"<entry><id>{escape(i.guid)}</id><title>{escape(i.title)}</title><link href={quoteattr(i.link)}/>"
        f"<updated>{i.date.isoformat() if i.date else ''}</updated><author><name>{i.true}</name></author>"
        f"<content>{escape(i.text)}</content></entry>"
        for i in items
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>{site.name}</title>{entries}</feed>'.encode()


# ---------------------------------------------------------------- what became of them


@dataclass
class Fate:
    """What became of one publisher's entries."""

    shown: set[str] = field(default_factory=set)
    stored: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    own: set[str] = field(default_factory=set)  # told as stories of their own, not of another's
    identity: str = ""

    @property
    def lost(self) -> int:
        return len(self.shown - self.own)

    @property
    def twice(self) -> int:
        return sum(count - 1 for count in self.stored.values())

    @property
    def mailed_twice(self) -> int:
        return sum(count - 1 for count in self.told.values())


def simulate(folder: Path, *, days: int, names: Iterable[str] = (), seed: int = 1) -> dict[str, Fate]:
    """Let publishers publish for so many days, one fetch and one admission a day."""
    names = list(names) or list(PATTERNS)
    settings = config.Newsletter(**{"title": "Daily", "from": "Daily <news@example.org>"})
    curate = config.Curate(flood=10_000, newest_of_new_feed=10_000, new_feed_days=10_000)
    database = open_database(f"sqlite:///{folder}/churn.db", create=True)
    fates, now = {name: Fate() for name in names}, START
    with closing(database):
        newsletters.keep(database, ["daily"], now=START)
        with database.write() as session:
            sites = {name: _opened(session, number, name, seed, turn=days // 2) for number, name in enumerate(names, 1)}
        for day in range(days):
            now = START + timedelta(days=day, hours=1)
            with database.write() as session:
                for number, (name, site) in enumerate(sites.items(), 1):
                    items = PATTERNS[name](site, day)
                    fates[name].shown.update(item.true for item in items)
                    fates[name].stored.update(_fetched(session, number, site, items, now))
            with database.write() as session:
                edition.admit(session, "daily", settings, curate, now=now)
        with database.write() as session:  # what had not settled on the last day
            edition.admit(session, "daily", settings, curate, now=now + timedelta(days=1))
        with database.read() as session:
            _tell(session, names, fates)
    return fates


def _opened(session: Session, number: int, name: str, seed: int, *, turn: int) -> Publisher:
    host = f"s{number}.example"
    session.add(Feed(id=number, url=f"https://{host}/feed", site_url=f"https://{host}/", added_at=START, next_at=START))
    session.flush()
    paper = newsletters.find(session, "daily").id or 0
    session.add(NewsletterFeed(newsletter_id=paper, feed_id=number, topic="", added_at=START))
    return Publisher(f"s{number}", random.Random(f"{seed} {name}"), host=host, turn=turn)


def _fetched(session: Session, number: int, site: Publisher, items: list[Item], now: datetime) -> list[str]:
    """Who is stored anew by one fetch."""
    last = session.execute(sa.select(sa.func.coalesce(sa.func.max(Entry.id), 0))).scalar_one()
    parsed = parse.feed(document(site, items), url=f"https://{site.host}{site.path}", now=now)
    rows = [
        vars(entry) | {"categories": [], "enclosures": [asdict(e) for e in entry.enclosures]}
        for entry in reversed(parsed.entries)
    ]
    feed_entries.save_entries(session, number, rows, now=now)
    return list(session.execute(sa.select(col(Entry.author)).where(col(Entry.id) > last)).scalars())


def _tell(session: Session, names: list[str], fates: dict[str, Fate]) -> None:
    """Which stories were made, and who was taken for another's."""
    whose = {row[0]: row[1] for row in session.execute(sa.select(col(Entry.id), col(Entry.author)))}
    story = {row[0]: row[1] for row in session.execute(sa.select(col(Story.id), col(Story.entry_id)))}
    rows = session.execute(
        sa.select(col(Entry.feed_id), Admission).join(Entry, col(Entry.id) == col(Admission.entry_id))
    )
    for feed_id, admission in rows:
        fate, true = fates[names[feed_id - 1]], whose[admission.entry_id]
        if admission.decision == Decision.STORY:
            fate.told[true] += 1
        if admission.story_id is not None and whose[story[admission.story_id]] == true:
            fate.own.add(true)
    for number, name in enumerate(names, 1):
        fates[name].identity = carried_by(Evidence.of(session.get_one(Feed, number).evidence))
