"""Pictures in an edition: of which stories they are wanted, and where a mail has them from.

A mail names copies of ours alone. They are served at the newsletter's own address, or brought along in the mail where
nobody could reach that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, cast

from sqlmodel import Session

from digest import config, values
from digest.colours import contrast
from digest.curate import excerpts
from digest.curate.pictures import candidates
from digest.edition import logos
from digest.edition.full_text import likely
from digest.edition.matter import Matter
from digest.letter import Attached
from digest.letter.attached import MOST, cid
from digest.render import Page, Rendered, shown
from digest.render.words import shorten
from digest.store import Database, editions, entries, newsletters, pictures, stories
from digest.values import Picture, Shot, Story

LEADS = 3  # stories of each choice of topics that may come to lead
_ROUNDS = 3  # in which a mail is made to fit
_DARK, _LIGHT = "#1d1b16", "#ffffff"


def wanting_pictures(database: Database, name: str, settings: config.Config, *, now: datetime) -> list[values.Pictured]:
    """The entries that the next edition may show with a picture, and whose picture may be asked for now."""
    paper_settings = settings.newsletters[name]
    if paper_settings.images == "none":
        return []
    with database.read() as session:
        paper = newsletters.find(session, name)
        since = editions.composed_upto(session, cast(int, paper.id))
        if paper.seq <= since:
            return []
        new = stories.since(session, cast(int, paper.id), since=since, upto=paper.seq)
        first = LEADS if paper_settings.images == "lead" else None
        wanted = likely(new, paper_settings, settings.curate, now=now, first=first)
        found = pictures.candidates(session, wanted, now=now)
        repeated = _repeated(session, {one.feed_id for one in found})
    return [
        values.Pictured(one.entry_id, one.feed_id, urls, one.feed_url, one.headers, one.proxy, one.ca_file)
        for one in found
        if (
            urls := candidates(
                one.image_url,
                one.enclosures,
                (one.content, one.summary),
                one.page_image,
                repeated=repeated.get(one.feed_id, frozenset()),
            )
        )
    ]


def _repeated(session: Session, feed_ids: Iterable[int]) -> Mapping[int, frozenset[str]]:
    """The addresses that a feed gives to several of its last entries, by feed."""
    ids = list(feed_ids)
    found: dict[int, frozenset[str]] = {}
    for start in range(0, len(ids), 400):
        latest = entries.latest(session, ids[start : start + 400], limit=excerpts.RESIDUE_ENTRIES)
        found |= {id_: excerpts.repeated_images([url for _entry, url in some]) for id_, some in latest.items()}
    return found


def pictured(session: Session, matter: Matter, images: str) -> Matter:
    """The same with the pictures that its stories have, where `images` says that some are shown."""
    if images == "none" or not matter.stories:
        return matter
    found = pictures.of_stories(session, matter.stories)
    if not found and not any(story.picture.thumb for story in matter.stories):
        return matter
    told = (replace(story, picture=found.get(story.id, Picture())) for story in matter.stories)
    return replace(matter, stories=tuple(told))


def used(session: Session, made: Iterable[Shows], *, now: datetime) -> None:
    """What these variants show stands in a mail from now on."""
    names = {name for one in made for name in one.shows}
    pictures.keep_copies(session, logos.data(names), now=now)
    pictures.used(session, names, now=now)


def brought(database: Database, html: str) -> tuple[Attached, ...]:
    """What a mail brings along, for one that is no edition's letter."""
    names = shown.brought(html)
    data = _data(database, names)
    return tuple(Attached(name, data[name]) for name in names if name in data)


def seen(database: Database, html: str) -> str:
    """A mail with its pictures in it, to be looked at where nobody serves them."""
    return shown.embedded(html, _data(database, shown.named(html)))


def _data(database: Database, names: Sequence[str]) -> Mapping[str, bytes]:
    if not names:
        return {}
    with database.read() as session:
        stored = pictures.data(session, names)
    return logos.data(names) | stored


class Shows(Protocol):
    """As `Frozen`."""

    @property
    def shows(self) -> tuple[str, ...]: ...


def rendered(page: Page, render: Callable[[Page], Rendered], images: str, *, attached: bool) -> tuple[Page, Rendered]:
    """A page with the pictures that its mail shows, and what comes of it: at most `MOST` bytes where it brings them."""
    dressed = _dressed(page, _chosen(page.stories, images), attached)
    mail = render(dressed)
    if not attached:
        return dressed, mail
    room, brand = 0, _weight(_logos(page), _logos(page))
    for number in range(_ROUNDS):
        names = named(mail.html, dressed)
        words, brought = _encoded(mail), _weight(_sizes(dressed), names)
        if not names or words + brought <= MOST:
            return dressed, mail
        # Where a template of the operator's shows more than ours do, there is less room than was reckoned.
        room = room - (words + brought - MOST) if number else MOST - words - brand
        dressed = _dressed(page, _within(_chosen(page.stories, images), room), attached)
        mail = render(dressed)
    bare = _dressed(page, _chosen(page.stories, "none"), attached)
    return bare, render(bare)


def named(html: str, page: Page) -> tuple[str, ...]:
    """The copies that a mail shows of its stories' pictures, and its logos, by name."""
    return tuple(name for name in _sizes(page) if name in html)


def _chosen(some: Sequence[Story], images: str) -> list[Story]:
    """Stories, the lead first, without an address of a publisher's picture, and of two alike the first with it."""
    plain = [replace(story, picture=Picture(), image_url="", chosen="") for story in some]
    if images == "none":
        return plain
    used: set[str] = set()
    found = []
    for at, (story, bare) in enumerate(zip(some, plain, strict=True)):
        one = story.picture
        names = {shot.name for shot in (one.hero, one.thumb) if shot}
        if not names or names & used or (at and images == "lead"):
            found.append(bare)
            continue
        used |= names
        found.append(replace(bare, picture=one))
    return found


def _within(found: list[Story], room: int) -> list[Story]:
    """With as much of their pictures as there is room for: thumbnails become smaller, then there is none, then no hero.

    It is reckoned with a hero of the lead and thumbnails of the others, as our templates have it.
    """

    def weight() -> int:
        lead, *others = (story.picture for story in found)
        shots = (lead.hero or lead.thumb, *(other.thumb for other in others))
        return sum(_encoded_size(shot.bytes) for shot in shots if shot is not None)

    last = list(reversed(range(1, len(found))))
    for at in last:
        if weight() <= room:
            return found
        one = found[at].picture
        found[at] = replace(found[at], picture=replace(one, hero=None, thumb=one.small))
    for at in (*last, 0):
        if weight() <= room:
            return found
        found[at] = replace(found[at], picture=Picture())
    return found


def _dressed(page: Page, some: Sequence[Story], attached: bool) -> Page:
    """The page with these stories in place of its own."""
    placed = {story.id: replace(story, picture=_placed(story, page.home, attached)) for story in some}
    sections = tuple(replace(one, stories=tuple(placed[s.id] for s in one.stories)) for one in page.sections)
    return replace(page, lead=placed[page.lead.id], sections=sections)


def _placed(story: Story, home: str, attached: bool) -> Picture:
    def place(shot: Shot | None, alt: str = "") -> Shot | None:
        if shot is None:
            return None
        src = f"cid:{cid(shot.name)}" if attached else f"{home}/p/{shot.name}.jpg"
        ink = max((_DARK, _LIGHT), key=lambda colour: contrast(colour, shot.ground))
        return replace(shot, src=src, alt=alt, ink=ink)

    one = story.picture
    return Picture(place(one.hero, shorten(story.title, 150)), place(one.thumb), place(one.small))


def _sizes(page: Page) -> dict[str, int]:
    """Bytes of the logos and of the pictures that its stories have, by name."""
    shots = (shot for s in page.stories for shot in (s.picture.hero, s.picture.thumb, s.picture.small))
    return _logos(page) | {shot.name: shot.bytes for shot in shots if shot is not None}


def _logos(page: Page) -> dict[str, int]:
    return {shot.name: shot.bytes for shot in (page.identity.logo, page.identity.logo_dark) if shot is not None}


def _weight(sizes: Mapping[str, int], names: Iterable[str]) -> int:
    return sum(_encoded_size(sizes[name]) for name in names)


def _encoded_size(size: int) -> int:
    """Of a picture in a letter: lines of 76 letters for 57 bytes each, and its headers."""
    return (size // 57 + 1) * 78 + 350


def _encoded(mail: Rendered) -> int:
    """What its words come to at most in a letter: quoted-printable, headers, and addresses of the reader's own."""
    found = 8_000
    for text in (mail.html, mail.text):
        raw = text.encode()
        size = len(raw) + 2 * (sum(byte > 126 for byte in raw) + raw.count(b"="))
        found += size + size // 73 * 3 + 2 * raw.count(b"\n")
    return found
