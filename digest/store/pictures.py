"""Pictures of entries: whose turn it is, what was found, and the copies of ours, named by what they are.

Copies are rows and no files beside the database: so each backup, export and copy between databases has those that mails
name, in one transaction with what names them, and a second machine that only serves pages has them too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Feed
from digest.store.database import batched, insert_into, shared_now
from digest.store.feed_tables import FullText
from digest.store.picture_tables import EntryPicture, PictureFile
from digest.store.story_tables import Entry, Story
from digest.values import Picture, Shot
from digest.values import Story as Told

TRIES = 3  # the first and two more
_DIFFERENT = 6  # bits of a print
REPEATED = 3  # entries of a feed with the same picture: it is the site's
FRESH = timedelta(days=7)  # for so long an address is not asked again for another entry
FORGOTTEN = timedelta(days=60)  # after which what was found of an entry goes
# That a copy stays, however little room there is: letters that bring it along are tried for ten days at most.
KEPT = timedelta(days=14)
THUMB_SHOWN, HERO_SHOWN = 96, 520  # pixels wide
_NO_SYNC = {"synchronize_session": False}


class Candidate(NamedTuple):
    """An entry that stands for a story and whose picture was not found yet, and how its feed is asked."""

    entry_id: int
    feed_id: int
    image_url: str
    enclosures: Sequence[Mapping[str, Any]]
    summary: str
    content: str
    page_image: str
    feed_url: str
    headers: Mapping[str, str]
    proxy: str
    ca_file: str


def candidates(session: Session, story_ids: Iterable[int], *, now: datetime) -> list[Candidate]:
    """The entries of these stories, in their order, whose picture may be asked for now."""
    shared = shared_now(session, now)
    found: list[Candidate] = []
    for some in batched(story_ids):
        rows = session.execute(
            _candidates()
            .outerjoin(EntryPicture, col(EntryPicture.entry_id) == col(Entry.id))
            .where(
                col(Story.id).in_(some),
                col(Entry.withdrawn_at).is_(None),
                sa.or_(col(EntryPicture.entry_id).is_(None), _open(shared)),
            )
        )
        by_story = {row[0]: Candidate(*row[1:]) for row in rows}
        found += [by_story[id_] for id_ in some if id_ in by_story]
    return found


def candidate(session: Session, story_id: int) -> Candidate | None:
    """The entry that stands for a story, whatever was found of its pictures; None where it is pruned."""
    row = session.execute(_candidates().where(col(Story.id) == story_id)).first()
    return Candidate(*row[1:]) if row is not None else None


def _candidates() -> sa.Select[Any]:
    return (
        sa.select(
            col(Story.id),
            *(col(getattr(Entry, name)) for name in ("id", "feed_id", "image_url", "enclosures")),
            *(col(getattr(Entry, name)) for name in ("summary", "content")),
            sa.func.coalesce(col(FullText.image_url), ""),
            *(col(getattr(Feed, name)) for name in ("url", "headers", "proxy", "ca_file")),
        )
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .join(Feed, col(Feed.id) == col(Entry.feed_id))
        .outerjoin(FullText, col(FullText.entry_id) == col(Entry.id))
    )


def _open(shared: datetime) -> Any:
    return sa.and_(col(EntryPicture.thumb) == "", col(EntryPicture.tries) < TRIES, col(EntryPicture.next_at) <= shared)


def claim(session: Session, entry_id: int, *, lease: timedelta, now: datetime) -> bool:
    """Take the pictures of an entry for ourselves, which counts as a try; False where another has them.

    Who dies while asking leaves them to others when the lease is over, by `shared_now`.
    """
    shared = shared_now(session, now)
    row = EntryPicture(entry_id=entry_id, tries=1, next_at=shared + lease, asked_at=now)
    statement = insert_into(session, EntryPicture).values(row.model_dump())
    again = {"tries": col(EntryPicture.tries) + 1, "next_at": shared + lease, "asked_at": now}
    statement = statement.on_conflict_do_update(index_elements=["entry_id"], set_=again, where=_open(shared))
    return session.connection().execute(statement.returning(col(EntryPicture.entry_id))).first() is not None


def release(session: Session, entry_id: int, *, next_at: datetime) -> None:
    """Give a claimed entry back: nobody was asked."""
    free = {"tries": col(EntryPicture.tries) - 1, "next_at": next_at}
    _change(session, entry_id, free)


def refuse(
    session: Session, entry_id: int, tried: Sequence[tuple[str, str]], *, next_at: datetime | None, print_: str = ""
) -> None:
    """No picture was found; they are asked for again at `next_at`, or never. `print_`: of one that is its site's."""
    values = {"tried": _told(tried), "print": print_}
    _change(session, entry_id, values | ({"tries": TRIES} if next_at is None else {"next_at": next_at}))


class Found(NamedTuple):
    """A picture that was taken: where it is, by which marks it is asked for anew, what it is, and its copies' names."""

    url: str
    etag: str
    last_modified: str
    print: str
    width: int
    height: int
    ground: str
    hero: str
    hero_width: int
    hero_height: int
    thumb: str
    small: str


def keep(
    session: Session, entry_id: int, found: Found, tried: Sequence[tuple[str, str]], files: Mapping[str, bytes]
) -> None:
    """An entry has its picture. `files` are those of its copies that are not there yet, by their names."""
    now = session.execute(
        sa.select(col(EntryPicture.asked_at)).where(col(EntryPicture.entry_id) == entry_id)
    ).scalar_one()
    keep_files(session, found, files, now=now)
    _change(session, entry_id, found._asdict() | {"tried": _told(tried)})


def keep_files(session: Session, found: Found, files: Mapping[str, bytes], *, now: datetime) -> None:
    """Store the copies that are not there yet; the others count as used."""
    keep_copies(session, files, now=now)
    used(session, _names(found), now=now)


def keep_copies(session: Session, files: Mapping[str, bytes], *, now: datetime) -> None:
    """Store copies by their names; one that is there counts as used."""
    for name, data in files.items():
        statement = insert_into(session, PictureFile).values(name=name, data=data, size=len(data), used_at=now)
        again = statement.on_conflict_do_update(index_elements=["name"], set_={"used_at": now})
        session.connection().execute(again)


def _change(session: Session, entry_id: int, values: Mapping[str, Any]) -> None:
    statement = sa.update(EntryPicture).where(col(EntryPicture.entry_id) == entry_id).values(dict(values))
    session.execute(statement, execution_options=_NO_SYNC)


def _told(tried: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[url[:1_000], why[:200]] for url, why in tried]


def known(session: Session, url: str, *, now: datetime) -> tuple[Found, datetime] | None:
    """What came of an address when it was asked for another entry last, and when; its copies are there."""
    query = (
        sa.select(*(col(getattr(EntryPicture, name)) for name in Found._fields), col(EntryPicture.asked_at))
        .join(PictureFile, col(PictureFile.name) == col(EntryPicture.thumb))
        .where(col(EntryPicture.url) == url, col(EntryPicture.asked_at) > now - FORGOTTEN)
        .order_by(col(EntryPicture.asked_at).desc())
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        return None
    found = Found(*row[:-1])
    here = set(
        session.execute(sa.select(col(PictureFile.name)).where(col(PictureFile.name).in_(_names(found)))).scalars()
    )
    return (found, row[-1]) if here == set(_names(found)) else None


def found_of(session: Session, entry_id: int) -> Found | None:
    """The picture that was found of an entry."""
    query = sa.select(*(col(getattr(EntryPicture, name)) for name in Found._fields))
    row = session.execute(query.where(col(EntryPicture.entry_id) == entry_id, col(EntryPicture.thumb) != "")).first()
    return Found(*row) if row is not None else None


def _names(found: Found) -> list[str]:
    return [name for name in dict.fromkeys((found.hero, found.thumb, found.small)) if name]


def refused_of(session: Session, feed_id: int, *, limit: int = 30) -> dict[str, str]:
    """Addresses that were no pictures of the last entries of a feed, for good, and why."""
    rows = session.execute(
        sa.select(col(EntryPicture.tried))
        .join(Entry, col(Entry.id) == col(EntryPicture.entry_id))
        .where(col(Entry.feed_id) == feed_id, sa.or_(col(EntryPicture.thumb) != "", col(EntryPicture.tries) >= TRIES))
        .order_by(col(Entry.id).desc())
        .limit(limit)
    )
    return {url: why for (tried,) in rows for url, why in tried if why}


def repeats(session: Session, feed_id: int, entry_id: int, print_: str) -> int:
    """How many other entries of a feed have, or might have had, a picture that looks like this one."""
    others = _prints(session, [feed_id])[feed_id]
    return sum(_alike(print_, theirs) for id_, theirs in others if id_ != entry_id)


def _prints(session: Session, feed_ids: Collection[int]) -> dict[int, list[tuple[int, str]]]:
    """The entries of these feeds with what their pictures look like, as far back as that is kept."""
    found: dict[int, list[tuple[int, str]]] = {id_: [] for id_ in feed_ids}
    for some in batched(feed_ids):
        rows = session.execute(
            sa.select(col(Entry.feed_id), col(Entry.id), col(EntryPicture.print))
            .join(EntryPicture, col(EntryPicture.entry_id) == col(Entry.id))
            .where(col(Entry.feed_id).in_(some), col(EntryPicture.print) != "")
        )
        for feed_id, entry_id, print_ in rows:
            found[feed_id].append((entry_id, print_))
    return found


def _alike(one: str, other: str) -> bool:
    """Whether two prints are of the same picture: copies at other sizes differ in a few of 64 bits."""
    (bits, shape), (others, its) = (print_.split("-") for print_ in (one, other))
    return abs(int(shape) - int(its)) <= 1 and (int(bits, 16) ^ int(others, 16)).bit_count() <= _DIFFERENT


# ---------------------------------------------------------------- for mails and pages


def of_stories(session: Session, told: Sequence[Told]) -> dict[int, Picture]:
    """The pictures of these stories, without an address yet; not those that three of a feed's entries have alike.

    What an editor chose goes before what was found, and what they took away is not asked for.
    """
    chosen = {story.id: story.picture for story in told if not story.bare and story.picture.thumb}
    chosen = _here(session, chosen)
    shown = ("entry_id", "print", "ground", "hero", "hero_width", "hero_height", "thumb", "small")
    query = (
        sa.select(col(Story.id), col(Entry.feed_id), *(col(getattr(EntryPicture, name)) for name in shown))
        .join(EntryPicture, col(EntryPicture.entry_id) == col(Story.entry_id))
        .join(Entry, col(Entry.id) == col(EntryPicture.entry_id))
        .where(col(EntryPicture.thumb) != "")
    )
    ids = [story.id for story in told if not story.bare and story.id not in chosen]
    rows = [row for some in batched(ids) for row in session.execute(query.where(col(Story.id).in_(some)))]
    if not rows:
        return chosen
    prints = _prints(session, {row.feed_id for row in rows})
    here = sizes(session, {name for row in rows for name in (row.hero, row.thumb, row.small) if name})
    return chosen | {
        row.id: _picture(row, here)
        for row in rows
        if sum(_alike(row.print, theirs) for _id, theirs in prints[row.feed_id]) < REPEATED
    }


def chosen(reasons: Mapping[str, Any]) -> Picture:
    """What an editor chose for a story, by the reasons kept with it; whether its copies are there is not asked."""
    found = chosen_found(reasons)
    return _picture(found, dict.fromkeys(_names(found), 0)) if found else Picture()


def chosen_found(reasons: Mapping[str, Any]) -> Found | None:
    """The same as it was found."""
    return Found(**reasons["picture"]) if reasons.get("picture") else None


def _here(session: Session, chosen: Mapping[int, Picture]) -> dict[int, Picture]:
    """Those of which there are copies still, with the bytes of each."""
    if not chosen:
        return {}
    shots = {id_: (one.hero, one.thumb, one.small) for id_, one in chosen.items()}
    here = sizes(session, {shot.name for some in shots.values() for shot in some if shot})
    found = {
        id_: Picture(*(replace(s, bytes=here[s.name]) if s and s.name in here else None for s in some))
        for id_, some in shots.items()
    }
    return {id_: picture for id_, picture in found.items() if picture.thumb}


def _picture(row: Any, here: Mapping[str, int]) -> Picture:
    def shot(name: str, width: int, height: int) -> Shot | None:
        return Shot(name, width, height, row.ground, bytes=here[name]) if name in here else None

    wide = min(HERO_SHOWN, row.hero_width)
    hero = shot(row.hero, wide, round(wide * row.hero_height / max(1, row.hero_width)))
    return Picture(hero, *(shot(name, THUMB_SHOWN, THUMB_SHOWN) for name in (row.thumb, row.small)))


def data(session: Session, names: Collection[str]) -> dict[str, bytes]:
    """The bytes of these copies; what is not there any more is missing."""
    found: dict[str, bytes] = {}
    for some in batched(names):
        rows = session.execute(
            sa.select(col(PictureFile.name), col(PictureFile.data)).where(col(PictureFile.name).in_(some))
        )
        found |= {row[0]: bytes(row[1]) for row in rows}
    return found


def sizes(session: Session, names: Collection[str]) -> dict[str, int]:
    """Of how many bytes these copies are."""
    found: dict[str, int] = {}
    for some in batched(names):
        rows = session.execute(
            sa.select(col(PictureFile.name), col(PictureFile.size)).where(col(PictureFile.name).in_(some))
        )
        found |= {row[0]: row[1] for row in rows}
    return found


def used(session: Session, names: Collection[str], *, now: datetime) -> None:
    """These copies stand in a mail: they are kept from now on."""
    for some in batched(sorted(names)):
        statement = sa.update(PictureFile).where(col(PictureFile.name).in_(some), col(PictureFile.used_at) < now)
        session.execute(statement.values(used_at=now), execution_options=_NO_SYNC)


class Fate(NamedTuple):
    """What became of the pictures of an entry: each address with why it was not taken, "" where it was."""

    asked_at: datetime
    tried: Sequence[Sequence[str]]
    url: str
    width: int
    height: int
    tries: int
    repeated: bool  # others of its feed have the same


def fate(session: Session, entry_id: int) -> Fate | None:
    """None where no picture was asked for."""
    names = ("asked_at", "tried", "url", "width", "height", "tries", "print")
    query = sa.select(*(col(getattr(EntryPicture, name)) for name in names), col(Entry.feed_id))
    query = query.join(Entry, col(Entry.id) == col(EntryPicture.entry_id))
    row = session.execute(query.where(col(EntryPicture.entry_id) == entry_id)).first()
    if row is None:
        return None
    same = bool(row.url) and repeats(session, row.feed_id, entry_id, row.print) >= REPEATED - 1
    return Fate(row.asked_at, row.tried, row.url, row.width, row.height, row.tries, same)


# ---------------------------------------------------------------- pruning


def overdue(session: Session, *, now: datetime, days: float, most: int) -> bool:
    """Is there anything that `prune` would forget?"""
    unused = sa.exists().where(col(PictureFile.used_at) < now - max(KEPT, timedelta(days=days)))
    found = sa.exists().where(col(EntryPicture.asked_at) < now - FORGOTTEN)
    beyond = sa.select(sa.func.coalesce(sa.func.sum(col(PictureFile.size)), 0) > most).scalar_subquery()
    free = sa.exists().where(col(PictureFile.used_at) < now - KEPT)
    return bool(session.execute(sa.select(unused | found | (beyond & free))).scalar_one())


def prune(session: Session, *, now: datetime, days: float, most: int, limit: int) -> int:
    """Forget what was found long ago, copies that were used last before `days`, and the oldest beyond `most` bytes.

    How many copies went, `limit` at most. None goes that was used within `KEPT`.
    """
    session.execute(
        sa.delete(EntryPicture).where(col(EntryPicture.asked_at) < now - FORGOTTEN), execution_options=_NO_SYNC
    )
    old = sa.select(col(PictureFile.name)).where(col(PictureFile.used_at) < now - max(KEPT, timedelta(days=days)))
    names = list(session.execute(old.order_by(col(PictureFile.used_at)).limit(limit)).scalars())
    total = session.execute(sa.select(sa.func.coalesce(sa.func.sum(col(PictureFile.size)), 0))).scalar_one()
    if total > most and len(names) < limit:
        over = total - most
        rows = session.execute(
            sa.select(col(PictureFile.name), col(PictureFile.size))
            .where(col(PictureFile.used_at) < now - KEPT)
            .order_by(col(PictureFile.used_at), col(PictureFile.name))
            .limit(limit)
        )
        for name, size in rows:
            if over <= 0:
                break
            over -= size
            names.append(name)
    names = list(dict.fromkeys(names))
    for some in batched(names):
        gone = {"thumb": "", "small": "", "hero": "", "url": ""}
        session.execute(
            sa.update(EntryPicture).where(col(EntryPicture.thumb).in_(some)).values(gone | {"tries": TRIES}),
            execution_options=_NO_SYNC,
        )
        session.execute(
            sa.update(EntryPicture).where(col(EntryPicture.hero).in_(some)).values(hero=""), execution_options=_NO_SYNC
        )
        session.execute(sa.delete(PictureFile).where(col(PictureFile.name).in_(some)), execution_options=_NO_SYNC)
    return len(names)
