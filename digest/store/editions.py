"""Editions and their variants; the stories that these carry are in `edition_stories`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import LAYING_OUT, Edition, EditionState, Newsletter, OutboxRow, Subscriber, Variant, address_key
from digest.store import tallies
from digest.store.database import batched


@dataclass(frozen=True)
class Line:
    """An edition and how its letters stand, as `digest edition list` shows it."""

    id: int
    newsletter: str
    number: int
    subject: str
    composed_at: datetime
    state: EditionState
    reason: str  # why it is held, paused or cancelled
    stories: int
    variants: int
    letters: dict[str, int]


def lines(session: Session, *, newsletters: Collection[str] | None = None, limit: int = 50) -> list[Line]:
    """The newest editions first, of all newsletters or of these."""
    query = select(Edition, Newsletter.name).join(Newsletter).order_by(col(Edition.id).desc()).limit(limit)
    if newsletters is not None:
        query = query.where(col(Newsletter.name).in_(newsletters))
    return [_line(session, edition, name) for edition, name in session.exec(query)]


def line(session: Session, newsletter_id: int, number: int) -> Line | None:
    query = (
        select(Edition, Newsletter.name)
        .join(Newsletter)
        .where(Edition.newsletter_id == newsletter_id, Edition.number == number)
    )
    found = session.exec(query).first()
    return _line(session, *found) if found else None


def _line(session: Session, edition: Edition, name: str) -> Line:
    assert edition.id is not None
    first = select(Variant.id).where(Variant.edition_id == edition.id)
    first = first.order_by(col(Variant.story_count).desc(), col(Variant.id)).limit(1)
    # Without their mails, which lie between these columns: so the number first, by the index alone.
    fullest = session.exec(
        select(Variant.subject, Variant.story_count).where(col(Variant.id) == first.scalar_subquery())
    ).first()
    query = select(sa.func.count()).where(Variant.edition_id == edition.id)
    return Line(
        id=edition.id,
        newsletter=name,
        number=edition.number,
        subject=fullest[0] if fullest else "",
        composed_at=edition.composed_at,
        state=edition.state,
        reason=edition.state_reason,
        stories=fullest[1] if fullest else 0,
        variants=session.exec(query).one(),
        letters=letter_counts(session, edition_id=edition.id),
    )


def row(session: Session, name: str, number: int, *, lock: bool = False) -> Edition | None:
    """An edition by its newsletter's name and its number; with `lock` as it is now, and stays until we are done."""
    query = select(Edition).join(Newsletter).where(Newsletter.name == name, Edition.number == number)
    if lock:
        query = query.with_for_update(key_share=True, of=Edition).execution_options(populate_existing=True)
    return session.exec(query).first()


def laying_out(session: Session, newsletter_id: int) -> Edition | None:
    """The edition of a newsletter whose letters are being written, the earliest; see `edition.laying_out`."""
    query = select(Edition).where(Edition.newsletter_id == newsletter_id, LAYING_OUT)
    return session.exec(query.order_by(col(Edition.id)).limit(1)).first()


def variant_of(session: Session, edition_id: int, email: str) -> Variant | None:
    """The variant that one person was owed."""
    query = (
        select(Variant)
        .join(OutboxRow, col(OutboxRow.variant_id) == col(Variant.id))
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id))
        .where(OutboxRow.edition_id == edition_id, Subscriber.key == address_key(email))
    )
    found = session.exec(query).first()
    if found is not None:
        return found
    from digest.store import rolls

    person = session.exec(select(Subscriber.id).where(Subscriber.key == address_key(email))).first()
    past = rolls.of_person(session, person, edition_id=edition_id) if person is not None else []
    return session.get(Variant, past[0].variant_id) if past else None


def variant(session: Session, variant_id: int) -> Variant:
    return session.get_one(Variant, variant_id)


def variant_id(session: Session, edition_id: int, key: str) -> int | None:
    """The variant of an edition with this key, if it has one."""
    return session.exec(select(Variant.id).where(Variant.edition_id == edition_id, Variant.key == key)).first()


def variant_ids(session: Session, edition_id: int, keys: Collection[str]) -> dict[str, int]:
    """Those variants of an edition that have one of these keys: {key: id}."""
    query = select(Variant.key, Variant.id).where(Variant.edition_id == edition_id, col(Variant.key).in_(keys))
    return {key: id_ for key, id_ in session.exec(query) if id_ is not None}


def promised(session: Session, edition_id: int) -> tuple[int, int]:
    """How many variants an edition has, and letters that were owed of them."""
    query = select(sa.func.count(), sa.func.coalesce(sa.func.sum(Variant.letters), 0))
    variants, letters = session.exec(query.where(Variant.edition_id == edition_id)).one()
    return variants, int(letters)


def fullest_variant(session: Session, edition_id: int) -> Variant | None:
    """The variant with most stories."""
    query = select(Variant).where(Variant.edition_id == edition_id)
    return session.exec(query.order_by(col(Variant.story_count).desc(), col(Variant.id)).limit(1)).first()


def variants(session: Session, edition_id: int) -> list[Variant]:
    """The variants of an edition, the fullest first; their mails are read when they are asked for."""
    query = select(Variant).where(Variant.edition_id == edition_id)
    mails: list[Any] = [Variant.html, Variant.text, Variant.left_out]
    lazily = [defer(mail) for mail in mails]
    return list(session.exec(query.order_by(col(Variant.story_count).desc(), col(Variant.id)).options(*lazily)))


def letter_counts(session: Session, *, edition_id: int | None = None) -> dict[str, int]:
    """How many letters are in each state; states without any are left out."""
    if edition_id is None:
        return tallies.by_state(session)
    return tallies.of_edition(session, edition_id)


class Mail(NamedTuple):
    """What a variant's letters say, and who says it. `html` and `text` are `column_types.packed`."""

    variant_id: int
    subject: str
    html: bytes
    text: bytes
    plain: bool
    marks: str
    sender: str
    composed_at: datetime
    reply_to: str
    number: int
    title: str
    newsletter: str
    attached: Sequence[str]  # copies of pictures that it shows and brings along


def to_send(session: Session, variant_ids: Collection[int]) -> Iterator[Mail]:
    """What the letters of these variants say, a few hundred variants in one question."""
    for some in batched(variant_ids):
        for row in session.connection().execute(_to_send(), {"wanted": some}):
            yield Mail._make(row)


@cache
def _to_send() -> sa.Select[Any]:
    table = Variant.__table__  # type: ignore[attr-defined]
    wanted: sa.BindParameter[Any] = sa.bindparam("wanted", expanding=True)
    return (
        sa.select(
            *(table.c[name] for name in ("id", "subject")),
            *(sa.type_coerce(table.c[name], sa.LargeBinary) for name in ("html", "text")),
            *(table.c[name] for name in ("plain", "marks")),
            *(col(column) for column in (Edition.sender, Edition.composed_at, Edition.reply_to, Edition.number)),
            col(Edition.title),
            col(Newsletter.name),
            table.c.attached,
        )
        .join(Edition, col(Edition.id) == table.c.edition_id)
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .where(table.c.id.in_(wanted))
    )


def composed_upto(session: Session, newsletter_id: int) -> int:
    """The story seq up to which some edition has been composed."""
    query = select(sa.func.max(Edition.upto_seq)).where(Edition.newsletter_id == newsletter_id)
    return session.exec(query).one() or 0


def past(session: Session, newsletter_id: int, *, since: int, before: int) -> list[tuple[int, datetime]]:
    """Up to which story seq each edition went and when it was composed, the earliest first: those below number `before`
    that went further than `since`, and the last that did not."""
    ours = col(Edition.newsletter_id) == newsletter_id, col(Edition.number) < before
    query = sa.select(col(Edition.upto_seq), col(Edition.composed_at)).where(*ours)
    order = col(Edition.upto_seq), col(Edition.number)
    found = [(row[0], row[1]) for row in session.execute(query.where(col(Edition.upto_seq) > since).order_by(*order))]
    last = query.where(col(Edition.upto_seq) <= since).order_by(*(one.desc() for one in order)).limit(1)
    return [*((row[0], row[1]) for row in session.execute(last)), *found]


def slots_had(session: Session, newsletter_id: int, begin: datetime, end: datetime) -> int:
    """How many editions there are for slots from `begin` on and before `end`."""
    query = select(sa.func.count()).where(
        Edition.newsletter_id == newsletter_id, col(Edition.slot_at) >= begin, col(Edition.slot_at) < end
    )
    return session.exec(query).one()
