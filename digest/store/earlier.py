"""What happened before: stories that went out, looked up by what may continue them, and where everybody sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, EditionState, Variant
from digest.store import archive
from digest.store.archive_tables import StoryWord
from digest.store.database import batched
from digest.store.story_tables import Admission, Entry, Story, VariantStory
from digest.values import Earlier


class Known(NamedTuple):
    """A story that went out, as far as it tells whether another continues it."""

    id: int
    title: str
    url: str
    author: str
    excerpt: str
    at: datetime


class Place(NamedTuple):
    """Where an earlier story is: the open edition whose page shows it (0: none does), and when that was."""

    title: str
    url: str
    number: int
    at: datetime


def first_since(session: Session, newsletter_id: int, since: datetime) -> int | None:
    """The id of the first story that an edition composed from `since` on had to choose from; None without any."""
    # Back from the newest: those before are never walked through, however many they are.
    before = sa.select(col(Edition.upto_seq)).where(
        col(Edition.newsletter_id) == newsletter_id, col(Edition.composed_at) < since
    )
    upto = session.execute(before.order_by(col(Edition.number).desc()).limit(1)).scalar() or 0
    query = sa.select(col(Story.id)).where(col(Story.newsletter_id) == newsletter_id, col(Story.seq) > upto)
    return session.execute(query.order_by(col(Story.seq)).limit(1)).scalar()


def seen(session: Session, newsletter_id: int, words: Collection[str], *, first: int) -> dict[str, int]:
    """How many stories from the id `first` on have each of these words; words that none has are left out."""
    found: dict[str, int] = {}
    for some in batched(sorted(words)):
        query = sa.select(col(StoryWord.word), sa.func.count()).where(*_those(newsletter_id, some, first))
        found |= {row[0]: row[1] for row in session.execute(query.group_by(col(StoryWord.word)))}
    return found


def having(session: Session, newsletter_id: int, words: Collection[str], *, first: int) -> dict[str, list[int]]:
    """The ids of the stories from `first` on that have each of these words, the latest last."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for some in batched(sorted(words)):
        query = sa.select(col(StoryWord.word), col(StoryWord.story_id)).where(*_those(newsletter_id, some, first))
        for word, story_id in session.execute(query.order_by(col(StoryWord.word), col(StoryWord.story_id))):
            found[word].append(story_id)
    return found


def _those(newsletter_id: int, words: Collection[str], first: int) -> tuple[sa.ColumnElement[bool], ...]:
    of = col(StoryWord.newsletter_id) == newsletter_id
    return of, col(StoryWord.word).in_(words), col(StoryWord.story_id) >= first


def linked(session: Session, newsletter_id: int, links: Collection[str], *, first: int) -> dict[str, int]:
    """The stories from the id `first` on that went out and are told by one of these links, normalised, by link."""
    found: dict[str, int] = {}
    sent = sa.exists().where(col(StoryWord.story_id) == col(Admission.story_id))
    for some in batched(sorted(links)):
        query = sa.select(col(Admission.link), col(Admission.story_id)).where(
            col(Admission.newsletter_id) == newsletter_id,
            col(Admission.link).in_(some),
            col(Admission.story_id) >= first,
            sent,
        )
        found |= {row[0]: row[1] for row in session.execute(query.order_by(col(Admission.story_id)))}
    return found


def known(session: Session, ids: Iterable[int]) -> dict[int, Known]:
    """These stories, but for those that an editor dropped, by id."""
    columns = (Story.id, Story.title, Story.url, Story.author, Story.excerpt, Story.admitted_at)
    found: dict[int, Known] = {}
    for some in batched(sorted(set(ids))):
        query = sa.select(*map(col, columns)).where(col(Story.id).in_(some), col(Story.dropped).is_(False))
        found |= {row[0]: Known(*row) for row in session.execute(query)}
    return found


def markup(session: Session, story_ids: Iterable[int]) -> dict[int, str]:
    """What the entries that stand for these stories say, as clean HTML, by the id of the story."""
    found: dict[int, str] = {}
    said = sa.case((col(Entry.content) != "", col(Entry.content)), else_=col(Entry.summary))
    for some in batched(sorted(story_ids)):
        query = sa.select(col(Story.id), said).join(Entry, col(Entry.id) == col(Story.entry_id))
        found |= {row[0]: row[1] for row in session.execute(query.where(col(Story.id).in_(some)))}
    return found


def places(session: Session, ids: Iterable[int]) -> dict[int, Place]:
    """Where each of these stories is, the first edition that shows it to everybody.

    What only readers of some choices had, so that no page of an open edition shows it, is at its own address. What is
    gone, dropped, or in no open edition (any more) is nowhere.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    carried: dict[int, dict[int, tuple[int, datetime]]] = defaultdict(dict)
    variants: dict[tuple[int, int], set[int]] = defaultdict(set)
    for some in batched(wanted):
        query = (
            sa.select(
                *(col(c) for c in (VariantStory.story_id, VariantStory.variant_id, Edition.id, Edition.number)),
                col(Edition.composed_at),
            )
            .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
            .join(Edition, col(Edition.id) == col(Variant.edition_id))
            .where(col(VariantStory.story_id).in_(some), col(Edition.state) == EditionState.OPEN)
        )
        for story_id, variant_id, edition_id, number, at in session.execute(query):
            carried[story_id][edition_id] = number, at
            variants[story_id, edition_id].add(variant_id)
    shown = {id_: archive.shown(session, id_) for id_ in {id_ for some in carried.values() for id_ in some}}
    found = {}
    for id_, story in known(session, carried).items():
        seen_in = [
            place
            for edition_id, place in sorted(carried[id_].items())
            if shown[edition_id] is None or shown[edition_id] in variants[id_, edition_id]
        ]
        number, at = seen_in[0] if seen_in else (0, min(at for _no, at in carried[id_].values()))
        found[id_] = Place(story.title, story.url, number, at)
    return found


def pointed(story_id: int, places: Mapping[int, Place], home: str) -> Earlier | None:
    """An earlier story as it is pointed to; `home` is the newsletter's page in the archive, "" where it has none."""
    place = places.get(story_id)
    if place is None:
        return None
    url, number = place.url, 0
    if place.number and home:
        url, number = f"{home}/editions/{place.number}#story-{story_id}", place.number
    if not url.startswith(("https://", "http://")):
        return None
    return Earlier(story_id, place.title, url, place.at, number, place.url)


def keep(session: Session, newsletter_id: int, found: Mapping[int, Mapping[str, object]]) -> None:
    """Write into these stories (ids) what they continue, and why; the editor's word stands."""
    for some in batched(sorted(found)):
        for story in session.scalars(sa.select(Story).where(col(Story.id).in_(some))):
            if story.newsletter_id == newsletter_id and "earlier" not in story.reasons:
                story.reasons = story.reasons | {"earlier": dict(found[story.id or 0])}
                session.add(story)
