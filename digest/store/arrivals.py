"""Moves from other tools by their numbers: what each brought, and how that is taken back.

A move that was broken off is taken up again by the same command: by its newsletter, tool and files it is known, and its
lists are imports whose names end in its number (`named`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.errors import NotFound, UserError
from digest.models import Edition, EditionState, Feed, Newsletter, NewsletterFeed, Variant
from digest.store import feeds, newsletters, seen
from digest.store.feed_tables import FeedSeen
from digest.store.import_tables import Arrival, ListImport
from digest.store.seen import Sent

_READING = "reading "  # in `Arrival.before`, of where a feed stood; else of what was sent of it


@dataclass(frozen=True)
class PastPage:
    """A past issue as it is kept: the mail of an edition that nobody is owed."""

    subject: str
    at: datetime
    html: str
    text: str
    marks: str


@dataclass(frozen=True)
class Moved:
    """A move, as it is shown. `imports` are the numbers of its lists that were not taken back by themselves."""

    number: int
    newsletter: str
    tool: str
    at: datetime
    imports: tuple[int, ...]
    undone_at: datetime | None


@dataclass
class TakenBack:
    """How much of what a move brought was taken back, besides its readers; `stays` tells of the rest, in words."""

    feeds: int = 0
    marks: int = 0
    editions: int = 0
    stays: tuple[str, ...] = ()


def begin(session: Session, newsletter: str, tool: str, files: Sequence[str], *, now: datetime) -> Arrival:
    """The move of these files: one that was broken off, or a new one."""
    paper = newsletters.lock(session, newsletter)
    query = select(Arrival).where(Arrival.newsletter_id == paper.id, Arrival.tool == tool)
    for one in session.exec(query.where(col(Arrival.done_at).is_(None), col(Arrival.undone_at).is_(None))):
        if one.files == list(files):
            return one
    found = Arrival(newsletter_id=paper.id or 0, tool=tool, files=list(files), at=now)
    session.add(found)
    session.flush()
    return found


def end(session: Session, number: int, *, now: datetime) -> None:
    session.get_one(Arrival, number).done_at = now


def forget(session: Session, number: int) -> None:
    """A move that came to nothing."""
    session.execute(sa.delete(Arrival).where(col(Arrival.id) == number))


def named(file: str, number: int) -> str:
    """What a list of a move is called: by it its import is known, however the move ended."""
    return f"{file} (move {number})"


def number_in(name: str) -> int | None:
    """Of which move an import of this name is."""
    words = name.rpartition(" (move ")[2].removesuffix(")")
    return int(words) if name.endswith(f" (move {words})") and words.isdigit() else None


def keep_seen(session: Session, arrival: Arrival, feed_id: int, sent: Sent) -> None:
    """Remember what was sent of a feed, and how it was before."""
    row = session.get(FeedSeen, (arrival.newsletter_id, feed_id))
    former = None
    if row is not None:
        until = row.until.isoformat() if row.until else None
        former = {"tool": row.tool, "marks": row.marks, "until": until, "by_date": row.by_date}
    arrival.before = {str(feed_id): former, **arrival.before}  # how it was before the move began, however often
    session.add(arrival)
    seen.keep(session, arrival.newsletter_id, feed_id, sent)


@dataclass(frozen=True)
class FeedsKnown:
    """The feeds that there were before a move, and which of them its newsletter read, and where."""

    stored: frozenset[int]
    read: Mapping[int, dict[str, Any]]


def feeds_known(session: Session, newsletter: str) -> FeedsKnown:
    paper = newsletters.find(session, newsletter)
    stored = session.exec(select(Feed.id)).all()
    read = session.exec(select(NewsletterFeed).where(NewsletterFeed.newsletter_id == paper.id))
    return FeedsKnown(frozenset(id_ or 0 for id_ in stored), {one.feed_id: _where(one) for one in read})


def _where(link: NewsletterFeed) -> dict[str, Any]:
    return {name: getattr(link, name) for name in ("topic", "folder", "places")}


def note_feeds(session: Session, arrival: Arrival, known: FeedsKnown, *, at: datetime) -> None:
    """That the feeds which are stored or read since, at this very moment, are those of the move.

    Where those stood that were read before is noted too, if a list of the move put them elsewhere.
    """
    reads = select(NewsletterFeed.feed_id).where(
        NewsletterFeed.newsletter_id == arrival.newsletter_id, NewsletterFeed.added_at == at
    )
    arrival.readings = sorted({*arrival.readings, *session.exec(reads)} - known.read.keys())
    stored = select(Feed.id).where(Feed.added_at == at, col(Feed.id).in_(reads))
    arrival.feeds = sorted({*arrival.feeds, *(int(id_ or 0) for id_ in session.exec(stored))} - known.stored)
    for link in session.exec(select(NewsletterFeed).where(NewsletterFeed.newsletter_id == arrival.newsletter_id)):
        former = known.read.get(link.feed_id)
        if former is not None and former != _where(link):
            arrival.before = {f"{_READING}{link.feed_id}": former, **arrival.before}
    session.add(arrival)


def add_editions(session: Session, arrival: Arrival, pages: Sequence[PastPage], *, sender: str) -> int:
    """Past issues as editions 1, 2, 3 …, which the next one follows; how many. None where there are editions already.

    Nobody is owed one, and they had no story of ours to choose from, so they change nothing of what is sent.
    """
    paper = session.get_one(Newsletter, arrival.newsletter_id)
    if paper.edition_number or not pages:
        return 0
    for number, page in enumerate(pages, 1):
        edition = Edition(
            newsletter_id=arrival.newsletter_id,
            number=number,
            composed_at=page.at,
            upto_seq=0,
            state=EditionState.OPEN,
            state_reason=f"from {arrival.tool}",
            sender=sender,
        )
        session.add(edition)
        session.flush()
        key = hashlib.sha256(f"{page.subject}\0{page.at}".encode()).hexdigest()[:16]
        session.connection().execute(sa.insert(Variant), [_variant(edition.id or 0, key, page)])
    paper.edition_number = len(pages)
    arrival.editions = list(range(1, len(pages) + 1))
    session.add_all((paper, arrival))
    return len(pages)


def _variant(edition_id: int, key: str, page: PastPage) -> dict[str, Any]:
    told = {"subject": page.subject, "html": page.html, "text": page.text, "marks": page.marks}
    none = {"since_seq": 0, "story_count": 0, "more_count": 0, "letters": 0, "left_out": [], "topics": [], "muted": []}
    return {"edition_id": edition_id, "key": key, "chosen_from": {}, "plain": False, **none, **told}


# ---------------------------------------------------------------- taking back


def find(session: Session, number: int) -> Moved:
    """A move by its number. NotFound, with those that there are."""
    found = session.get(Arrival, number)
    if found is None:
        last = session.exec(select(Arrival).order_by(col(Arrival.id).desc()).limit(5)).all()
        known = ", ".join(f"{one.id} (from {one.tool}, {one.at:%Y-%m-%d})" for one in last)
        raise NotFound(f"there is no move {number}", hint=f"there are: {known}" if known else "nothing moved here yet")
    name = session.get_one(Newsletter, found.newsletter_id).name
    runs = session.exec(select(ListImport).where(ListImport.newsletter_id == found.newsletter_id)).all()
    mine = tuple(run.id or 0 for run in runs if number_in(run.name) == number and run.undone_at is None)
    return Moved(number, name, found.tool, found.at, mine, found.undone_at)


def undo(session: Session, number: int, *, now: datetime) -> TakenBack:
    """Take back the feeds, marks and editions that a move brought. UserError where that was done.

    A feed of which a letter was made retires, as with `feed remove`; editions stay where a later one followed them.
    """
    arrival = session.get_one(Arrival, number)
    if arrival.undone_at is not None:
        raise UserError(f"move {number} was taken back on {arrival.undone_at:%Y-%m-%d %H:%M} UTC")
    done, stays = TakenBack(), list[str]()
    paper = newsletters.lock(session, session.get_one(Newsletter, arrival.newsletter_id).name)
    _undo_editions(session, arrival, paper, done, stays)
    for name, former in arrival.before.items():
        if name.startswith(_READING):
            link = session.get(NewsletterFeed, (arrival.newsletter_id, int(name.removeprefix(_READING))))
            for field, value in former.items() if link is not None else ():
                setattr(link, field, value)
            continue
        seen.put_back(session, arrival.newsletter_id, int(name), former)
        done.marks += 1
    for feed_id in arrival.readings:
        one = session.get(Feed, feed_id)
        if one is None or not feeds.reads(session, arrival.newsletter_id, feed_id):
            continue  # somebody took it away since
        done.feeds += 1
        alone = feeds.stop_reading(session, feed_id, newsletter_id=arrival.newsletter_id)
        if alone and feed_id in arrival.feeds and feeds.retire(session, one):
            stays.append(f"{one.title or one.url} is retired; its published stories stay")
    arrival.undone_at = now
    session.add(arrival)
    done.stays = tuple(stays)
    return done


def _undo_editions(session: Session, arrival: Arrival, paper: Newsletter, done: TakenBack, stays: list[str]) -> None:
    if not arrival.editions:
        return
    if paper.edition_number != max(arrival.editions):
        stays.append(f"the {len(arrival.editions)} past issues stay: No. {paper.edition_number} follows them by number")
        return
    mine = (col(Edition.newsletter_id) == paper.id, col(Edition.number).in_(arrival.editions))
    done.editions = session.connection().execute(sa.delete(Edition).where(*mine)).rowcount
    paper.edition_number = 0
    session.add(paper)
