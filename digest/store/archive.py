"""What everybody may read: editions that are open, and the stories they had to choose from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import values
from digest.dataclass import dataclass
from digest.models import Edition, EditionState, Newsletter, Variant
from digest.store.database import batched
from digest.store.stories import as_told, summary_of, withdrawn_of
from digest.store.story_tables import Entry, Story, VariantStory

PAGE = 60  # stories on one page, of those that an edition had no room for or that all of its readers chose from


@dataclass(frozen=True)
class OpenEdition:
    """An open edition as everybody sees it.

    `variant_id` is the variant that most readers of all topics got; None where every reader had chosen some, and
    what is shown are then all of its stories. Nobody learns from it what few readers were sent.
    """

    id: int
    number: int
    at: datetime
    subject: str
    stories: int
    variant_id: int | None


def newest(session: Session, newsletter_id: int) -> tuple[int, datetime | None]:
    """Up to which story seq open editions have gone, and when the latest was composed; (0, None) without any."""
    upto, at = session.execute(
        sa.select(sa.func.max(Edition.upto_seq), sa.func.max(Edition.composed_at)).where(*_open(newsletter_id))
    ).one()
    return upto or 0, at


def editions(session: Session, newsletter_id: int, *, before: int | None = None, limit: int = 20) -> list[OpenEdition]:
    """The open editions with a number below `before`, newest first."""
    query = select(Edition).where(*_open(newsletter_id))
    if before is not None:
        query = query.where(Edition.number < before)
    return _as_seen(session, session.exec(query.order_by(col(Edition.number).desc()).limit(limit)).all())


def edition(session: Session, newsletter_id: int, number: int) -> OpenEdition | None:
    query = select(Edition).where(*_open(newsletter_id), Edition.number == number)
    return next(iter(_as_seen(session, session.exec(query).all())), None)


def numbers(session: Session, newsletter_id: int) -> list[tuple[int, datetime]]:
    """The number of each open edition and when it was composed, newest first."""
    query = sa.select(col(Edition.number), col(Edition.composed_at)).where(*_open(newsletter_id))
    return [(row[0], row[1]) for row in session.execute(query.order_by(col(Edition.number).desc()))]


def latest(session: Session, newsletter_id: int) -> int | None:
    """The number of the newest open edition."""
    return session.execute(sa.select(sa.func.max(Edition.number)).where(*_open(newsletter_id))).scalar()


def cancelled(session: Session, newsletter_id: int, number: int) -> bool:
    """Was there such an edition, that was called back and will not come again?"""
    of = col(Edition.newsletter_id) == newsletter_id, col(Edition.number) == number
    return session.execute(sa.select(col(Edition.state)).where(*of)).scalar() == EditionState.CANCELLED


def neighbours(session: Session, newsletter_id: int, number: int) -> tuple[int | None, int | None]:
    """The numbers of the open editions before and after this one."""
    before = sa.select(sa.func.max(Edition.number)).where(*_open(newsletter_id), col(Edition.number) < number)
    after = sa.select(sa.func.min(Edition.number)).where(*_open(newsletter_id), col(Edition.number) > number)
    return session.execute(before).scalar(), session.execute(after).scalar()


@dataclass(frozen=True)
class Frozen:
    """A variant as it was mailed, and the stories there was no room for, best first.

    `rest` are those of one page, of `pages` (0 where there was room for all); `withdrawn` are title and source of
    what its publisher took back since.
    """

    key: str
    html: str
    marks: str
    rest: tuple[Left, ...] = ()
    pages: int = 0
    withdrawn: tuple[tuple[str, str], ...] = ()
    text: str = ""
    places: tuple[tuple[int, str], ...] = ()  # id and address of each story in it, so that one can be pointed to


class Left(NamedTuple):
    """As much of a story as is told where there was no room for it."""

    title: str
    url: str
    source: str


def variant_in_browser(session: Session, name: str, number: int, key: str, *, page: int = 1) -> Frozen | None:
    """What a mail's own link leads to, whatever became of the edition since; `page` of what had no room."""
    query = (
        select(Variant)
        .join(Edition, col(Edition.id) == col(Variant.edition_id))
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .where(Newsletter.name == name, Edition.number == number, Variant.key == key)
    )
    variant = session.exec(query).first()
    if variant is not None and not variant.html and not variant.text:
        kept = shown(session, variant.edition_id)  # its own is pruned: what everybody got is the nearest to it
        variant = session.get(Variant, kept) if kept else None
    return _frozen(session, variant, page) if variant else None


def frozen(session: Session, variant_id: int, *, page: int = 1) -> Frozen:
    return _frozen(session, session.get_one(Variant, variant_id), page)


def _frozen(session: Session, variant: Variant, page: int) -> Frozen:
    ids = [int(id_) for id_, _why in variant.left_out]
    if ids and session.get_one(Edition, variant.edition_id).pruned:
        ids = _still_there(session, ids)
    some = ids[(page - 1) * PAGE : page * PAGE]
    query = sa.select(col(Story.id), col(Story.title), col(Story.url), col(Story.source))
    found = {row[0]: Left(*row[1:]) for row in session.execute(query.where(col(Story.id).in_(some)))} if some else {}
    return Frozen(
        variant.key,
        variant.html,
        variant.marks,
        tuple(found[id_] for id_ in some if id_ in found),
        math.ceil(len(ids) / PAGE),
        tuple(withdrawn_of(session, variant)),
        variant.text,
        _places(session, variant),
    )


def _places(session: Session, variant: Variant) -> tuple[tuple[int, str], ...]:
    query = sa.select(col(Story.id), col(Story.url)).join(VariantStory, col(VariantStory.story_id) == col(Story.id))
    rows = session.execute(query.where(col(VariantStory.variant_id) == variant.id).order_by(col(VariantStory.position)))
    return tuple((row[0], row[1]) for row in rows)


def _still_there(session: Session, ids: list[int]) -> list[int]:
    found: set[int] = set()
    for some in batched(ids):
        found |= set(session.scalars(sa.select(col(Story.id)).where(col(Story.id).in_(some))))
    return [id_ for id_ in ids if id_ in found]


def told_in(session: Session, edition: OpenEdition, *, start: int = 0, limit: int | None = None) -> list[values.Story]:
    """The stories of an edition in its order, from `start` on."""
    place = sa.func.min(VariantStory.position).label("place")
    query = (
        sa.select(col(VariantStory.story_id), place)
        .group_by(col(VariantStory.story_id))
        .order_by(place, col(VariantStory.story_id))
    )
    if edition.variant_id is not None:
        query = query.where(col(VariantStory.variant_id) == edition.variant_id)
    else:
        query = query.join(Variant, col(Variant.id) == col(VariantStory.variant_id)).where(
            col(Variant.edition_id) == edition.id
        )
    ids = [row[0] for row in session.execute(query)]
    if edition.variant_id is None:
        ids += _muted_of(session, edition.id)
    some = ids[start:][:limit]
    told = (
        sa.select(Story, col(Entry.feed_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(col(Story.id).in_(some))
    )
    found = {row[0].id: (row[0], row[1]) for row in session.execute(told)} if some else {}
    return as_told(session, [found[id_] for id_ in some if id_ in found])


def _muted_of(session: Session, edition_id: int) -> list[int]:
    """What an edition had new and all of its readers muted: no variant carries it."""
    muted = sa.select(col(Variant.id)).where(col(Variant.edition_id) == edition_id, _has_mutes())
    if session.execute(muted.limit(1)).first() is None:
        return []
    edition = session.get_one(Edition, edition_id)
    before = select(sa.func.max(Edition.upto_seq)).where(
        Edition.newsletter_id == edition.newsletter_id, Edition.number < edition.number
    )
    carried = (
        sa.select(col(VariantStory.story_id))
        .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
        .where(col(Variant.edition_id) == edition_id)
    )
    query = (
        sa.select(col(Story.id))
        .where(
            col(Story.newsletter_id) == edition.newsletter_id,
            col(Story.seq) > (session.exec(before).one() or 0),
            col(Story.seq) <= edition.upto_seq,
            col(Story.dropped).is_(False),
            col(Story.id).not_in(carried),
        )
        .order_by(col(Story.rank).desc(), col(Story.id))
    )
    return list(session.execute(query).scalars())


def _has_mutes() -> sa.ColumnElement[bool]:
    return sa.cast(col(Variant.muted), sa.Text) != "[]"


class Headline(NamedTuple):
    """As much of a story as a feed of editions tells."""

    title: str
    url: str
    source: str
    excerpt: str
    summary: str  # as of a `values.Story`
    follows: int = 0  # the id of the story that it continues


def headlines(
    session: Session, editions: Sequence[OpenEdition], *, first: int | None = None
) -> dict[int, list[Headline]]:
    """What each edition tells, by its id and in its order: all of it, or the `first` so many."""
    found: dict[int, list[Headline]] = {}
    frozen = {edition.variant_id: edition.id for edition in editions if edition.variant_id is not None}
    query = (
        sa.select(
            *(col(c) for c in (VariantStory.variant_id, Story.title, Story.url, Story.source, Story.excerpt)),
            col(Story.reasons),
        )
        .join(Story, col(Story.id) == col(VariantStory.story_id))
        .where(col(VariantStory.variant_id).in_(frozen))
        .order_by(col(VariantStory.variant_id), col(VariantStory.position))
    )
    if first is not None:
        query = query.where(col(VariantStory.position) < first)
    for variant_id, title, url, source, excerpt, reasons in session.execute(query):
        follows = reasons.get("earlier", {}).get("story", 0)
        one = Headline(title, url, source, excerpt, summary_of(reasons), follows)
        found.setdefault(frozen[variant_id], []).append(one)
    for edition in editions:
        if edition.variant_id is None:
            told_by_all = told_in(session, edition, limit=first)
            found[edition.id] = [
                Headline(s.title, s.url, s.source, s.excerpt, s.summary, s.follows or 0) for s in told_by_all
            ]
    return found


def told_on(
    session: Session, newsletter_id: int, topic: str, *, upto: int, before: int | None = None, limit: int = 30
) -> list[values.Story]:
    """The stories on a topic with a seq of at most `upto` and below `before` that no editor dropped, newest first.

    In the order of admission: a date is the publisher's word, and a story that was back-dated would be on no page.
    """
    last = upto if before is None else min(upto, before - 1)
    rows = session.execute(
        sa.select(Story, col(Entry.feed_id))
        .join(Entry, col(Entry.id) == col(Story.entry_id))
        .where(
            col(Story.newsletter_id) == newsletter_id,
            col(Story.topic) == topic,
            col(Story.seq) <= last,
            col(Story.dropped).is_(False),
        )
        .order_by(col(Story.seq).desc())
        .limit(limit)
    )
    return as_told(session, [(row[0], row[1]) for row in rows])


def topics_told(session: Session, newsletter_id: int, topics: Sequence[str], *, upto: int) -> list[str]:
    """Those of `topics` that have a story with a seq of at most `upto`, in their order."""
    if not topics:
        return []
    asked = [
        sa.exists()
        .where(col(Story.newsletter_id) == newsletter_id, col(Story.topic) == topic, col(Story.seq) <= upto)
        .where(col(Story.dropped).is_(False))
        for topic in topics
    ]
    answers = session.execute(sa.select(*asked)).one()
    return [topic for topic, told in zip(topics, answers, strict=True) if told]


def newsletter_id(session: Session, name: str) -> int | None:
    return session.exec(select(Newsletter.id).where(Newsletter.name == name)).first()


def _open(newsletter_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return col(Edition.newsletter_id) == newsletter_id, col(Edition.state) == EditionState.OPEN


def _as_seen(session: Session, editions: Iterable[Edition]) -> list[OpenEdition]:
    seen = []
    for row in editions:
        assert row.id is not None
        if common := _common_variant(session, row.id, whole=row.slot_at is None):
            variant_id, subject, stories = common
            seen.append(OpenEdition(row.id, row.number, row.composed_at, subject, stories, variant_id))
        else:
            seen.append(_of_all_variants(session, row))
    return seen


def _common_variant(session: Session, edition_id: int, *, whole: bool) -> tuple[int, str, int] | None:
    """(id, subject, stories) of the variant in the newsletter's language that most readers of all topics got.

    An edition may have thousands of variants; the index has those with many letters first, and this is among them.
    Of a newsletter without a schedule most readers may have got the piece that came since the last run: there it is
    the `whole` one, with most stories.
    """
    fullest = [col(Variant.story_count).desc()] if whole else []
    query = (
        sa.select(col(Variant.id), col(Variant.subject), col(Variant.story_count))
        .where(col(Variant.edition_id) == edition_id, sa.cast(col(Variant.topics), sa.Text) == "[]")
        .where(col(Variant.plain).is_(False), col(Variant.language) == "")
        # What single readers mute or want more of is no part of it; where all chose a maximum, the page has what is
        # beyond it too.
        .where(sa.not_(_has_mutes()), sa.cast(col(Variant.moved), sa.Text) == "[]")
        .order_by(col(Variant.max_stories) > 0, *fullest, col(Variant.letters).desc(), col(Variant.id).desc())
        .limit(1)
    )
    found = session.execute(query).first()
    return (found[0], found[1], found[2]) if found else None


def shown(session: Session, edition_id: int) -> int | None:
    """The variant that everybody is shown of an edition: what is kept of its mails. None where none is for all."""
    found = _common_variant(session, edition_id, whole=session.get_one(Edition, edition_id).slot_at is None)
    return found[0] if found else None


def _of_all_variants(session: Session, row: Edition) -> OpenEdition:
    assert row.id is not None
    subject = (
        sa.select(col(Variant.subject))
        .where(col(Variant.edition_id) == row.id)
        .order_by(col(Variant.letters).desc(), col(Variant.id))
        .limit(1)
    )
    stories = (
        sa.select(sa.func.count(sa.distinct(col(VariantStory.story_id))))
        .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
        .where(col(Variant.edition_id) == row.id)
    )
    return OpenEdition(
        row.id,
        row.number,
        row.composed_at,
        session.execute(subject).scalar() or "",
        (session.execute(stories).scalar() or 0) + len(_muted_of(session, row.id)),
        None,
    )
