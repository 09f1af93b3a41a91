"""Rolls: letters that were settled long ago, in a few bytes each. Of each is kept what may still be asked of it.

To whom it went (the number of the subscription, which nobody else is ever given), when, how it ended, and in which
variant. So an edition's sums are proven by its rolls and what is left of it in the outbox, a bounce that comes late
finds its letter, and readers are told what they were sent. A roll is never changed.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.dataclass import dataclass
from digest.models import Edition, Newsletter, OutboxRow, OutboxState, Subscriber, Subscription, Variant
from digest.store.keep_tables import LetterRoll

STATES = (OutboxState.SENT, OutboxState.REFUSED, OutboxState.DROPPED)  # by their places in a roll
SPAN = 10_000  # between the first and the last number of a roll; those of older releases may have more
_COLUMNS = 7
_FEW = 50  # subscriptions of which each is looked for apart
LOOKED = 400  # rolls that are looked through for one reader's page; each takes about a millisecond


class Rolled(NamedTuple):
    """A letter of a roll. `minute` counts from when its edition was composed, `subscription` is 0 of nobody known."""

    id: int
    subscription: int
    variant: int
    state: int  # its place in STATES
    minute: int
    code: int
    in_doubt: int


def packed(letters: Sequence[Rolled]) -> bytes:
    """Letters as a roll keeps them: a column after the other, each as differences, which are small."""
    columns = zip(*letters, strict=True)
    numbers = array("q")
    for column in columns:
        numbers.append(column[0])
        numbers.extend(after - before for before, after in pairwise(column))
    if sys.byteorder != "little":
        numbers.byteswap()
    # Byte by byte of all numbers: most of the upper ones are the same.
    raw = numbers.tobytes()
    return zlib.compress(b"".join(raw[place::8] for place in range(8)), 9)


def unpacked(content: bytes) -> list[Rolled]:
    """What `packed` was given. ValueError or zlib.error where it was given none of it."""
    planes = zlib.decompress(content)
    size = len(planes) // 8
    raw = bytearray(len(planes))
    for place in range(8):
        raw[place::8] = planes[place * size : (place + 1) * size]
    numbers = array("q", bytes(raw))
    if sys.byteorder != "little":
        numbers.byteswap()
    count, rest = divmod(size, _COLUMNS)
    if rest or not count:
        raise ValueError("a roll of letters is torn")
    columns = (accumulate(numbers[start : start + count]) for start in range(0, size, count))
    return [Rolled._make(letter) for letter in zip(*columns, strict=True)]


def of_whom(content: bytes, subscriptions: set[int] | frozenset[int]) -> list[Rolled]:
    """The letters of a roll to these subscriptions. Their column alone is read first: nearly always they have none."""
    planes = zlib.decompress(content)
    size = len(planes) // 8
    count = size // _COLUMNS
    raw = bytearray(8 * count)
    at = count * Rolled._fields.index("subscription")
    for place in range(8):
        raw[place::8] = planes[place * size + at : place * size + at + count]
    numbers = array("q", bytes(raw))
    if sys.byteorder != "little":
        numbers.byteswap()
    if subscriptions.isdisjoint(accumulate(numbers)):
        return []
    return [letter for letter in unpacked(content) if letter.subscription in subscriptions]


def roll_of(edition_id: int, letters: Sequence[Rolled]) -> LetterRoll:
    """The row that takes the place of these letters, which are in the order of their numbers."""
    ends = Counter(STATES[letter.state] for letter in letters)
    whose = [letter.subscription for letter in letters if letter.subscription]
    row = LetterRoll(
        edition_id=edition_id,
        first_id=letters[0].id,
        last_id=letters[-1].id,
        first_subscription=min(whose, default=0),
        last_subscription=max(whose, default=0),
        letters=len(letters),
        sent=ends[OutboxState.SENT],
        refused=ends[OutboxState.REFUSED],
        dropped=ends[OutboxState.DROPPED],
        in_doubt=sum(letter.in_doubt for letter in letters),
        content=packed(letters),
        digest="",
    )
    row.digest = _digest(row)
    return row


def _digest(row: LetterRoll) -> str:
    counts = (row.edition_id, row.first_id, row.last_id, row.letters, row.sent, row.refused, row.dropped, row.in_doubt)
    return blake2b(repr(counts).encode() + bytes(row.content), digest_size=16).hexdigest()


# ---------------------------------------------------------------- sums


@dataclass(frozen=True)
class Sums:
    """The letters of an edition that are in rolls, and what is wrong with these, in words."""

    sent: int = 0
    refused: int = 0
    dropped: int = 0
    in_doubt: int = 0
    wrong: tuple[str, ...] = ()

    @property
    def letters(self) -> int:
        return self.sent + self.refused + self.dropped

    def counts(self) -> Counter[OutboxState]:
        return Counter(dict(zip(STATES, (self.sent, self.refused, self.dropped), strict=True)))


def proven(session: Session, edition_id: int, *, thorough: bool = False) -> Sums:
    """The sums of an edition's rolls, each checked to be as it was written.

    `thorough`: also each letter of them, that it ended as the sums say, that nobody had two, and that none stands in
    the outbox besides.
    """
    found, wrong, whom = Sums(), [], Counter[int]()
    for row in session.exec(select(LetterRoll).where(LetterRoll.edition_id == edition_id)):
        found = replace(
            found,
            sent=found.sent + row.sent,
            refused=found.refused + row.refused,
            dropped=found.dropped + row.dropped,
            in_doubt=found.in_doubt + row.in_doubt,
        )
        if row.digest != _digest(row) or row.letters != row.sent + row.refused + row.dropped:
            wrong.append(f"the roll of letters {row.first_id} to {row.last_id} is not as it was written")
        elif thorough:
            letters = unpacked(row.content)
            if roll_of(edition_id, letters).digest != row.digest:
                wrong.append(f"the letters {row.first_id} to {row.last_id} are not what the sums of their roll say")
            whom.update(letter.subscription for letter in letters if letter.subscription)
    if thorough and whom:
        again = sa.select(col(OutboxRow.subscription_id)).where(col(OutboxRow.edition_id) == edition_id)
        whom.update(id_ for id_ in session.scalars(again) if id_)
        if twice := sum(times > 1 for times in whom.values()):
            wrong.append(f"{twice} readers have more than one letter")
    return replace(found, wrong=tuple(wrong))


def sums(session: Session, editions: Any) -> Sums:
    """The sums of the rolls of an edition, or of those of a query, as they were written."""
    which = col(LetterRoll.edition_id)
    columns = (LetterRoll.sent, LetterRoll.refused, LetterRoll.dropped, LetterRoll.in_doubt)
    query = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))
    row = session.execute(query.where(which == editions if isinstance(editions, int) else which.in_(editions))).one()
    sent, refused, dropped, in_doubt = map(int, row)
    return Sums(sent, refused, dropped, in_doubt)


# ---------------------------------------------------------------- single letters


@dataclass(frozen=True)
class Past:
    """A letter of a roll, for people. `at` is when it was settled, to the minute."""

    id: int
    edition_id: int
    newsletter: str
    number: int
    subject: str  # "" where its variant is gone
    composed_at: datetime
    subscription_id: int
    variant_id: int
    state: OutboxState
    at: datetime
    code: int


def find(session: Session, letter_id: int) -> Past | None:
    """A letter by its number."""
    query = select(LetterRoll).where(LetterRoll.first_id <= letter_id, LetterRoll.last_id >= letter_id)
    query = query.order_by(col(LetterRoll.last_id)).limit(100)
    # Editions that were made at the same time have numbers in between: more than one roll may have room for it.
    for near in (query.where(LetterRoll.last_id < letter_id + SPAN), query):
        for row in session.exec(near):
            for letter in unpacked(row.content):
                if letter.id == letter_id:
                    return next(_told(session, [(row.edition_id, letter)]), None)
    return None


def of_subscriptions(session: Session, ids: Iterable[int], *, edition_id: int | None = None) -> list[Past]:
    """The letters to these subscriptions, the oldest edition first."""
    wanted = frozenset(ids) - {0}
    if not wanted:
        return []
    papers = sa.select(col(Subscription.newsletter_id)).where(col(Subscription.id).in_(wanted))
    editions = sa.select(col(Edition.id)).where(col(Edition.newsletter_id).in_(papers))
    query = sa.select(col(LetterRoll.edition_id), col(LetterRoll.content)).order_by(col(LetterRoll.edition_id))
    if len(wanted) <= _FEW:
        query = query.where(_may_have(wanted))
    if edition_id is None:
        query = query.where(col(LetterRoll.edition_id).in_(editions))
    else:
        query = query.where(col(LetterRoll.edition_id) == edition_id)
    found = []
    for edition, content in session.execute(query):
        found += [(edition, letter) for letter in of_whom(content, wanted)]
    return list(_told(session, found))


def _may_have(subscriptions: Iterable[int]) -> sa.ColumnElement[bool]:
    """Of a roll: that there may be a letter in it to one of these. Those of older releases do not say."""
    first, last = col(LetterRoll.first_subscription), col(LetterRoll.last_subscription)
    return sa.or_(first.is_(None), *(sa.and_(first <= id_, last >= id_) for id_ in sorted(subscriptions)))


def latest(
    session: Session,
    subscription_id: int,
    *,
    before: int | None = None,
    since: int | None = None,
    looked: int | None = None,
) -> Iterator[tuple[int, list[Past]]]:
    """Editions with rolls that may have it, the newest first: number, the reader's letters.

    Of those below the number `before`, and above `since`.

    No more than `looked` rolls are read, but for those of the first edition: a list of a million has hundreds in each.
    """
    looked = LOOKED if looked is None else looked
    paper = sa.select(col(Subscription.newsletter_id)).where(col(Subscription.id) == subscription_id)
    query = (
        sa.select(col(Edition.id), col(Edition.number), sa.func.count())
        .join(LetterRoll, sa.and_(col(LetterRoll.edition_id) == col(Edition.id), _may_have([subscription_id])))
        .where(col(Edition.newsletter_id).in_(paper))
        .group_by(col(Edition.id), col(Edition.number))
    )
    if before is not None:
        query = query.where(col(Edition.number) < before)
    if since is not None:
        query = query.where(col(Edition.number) > since)
    read = 0
    for edition_id, number, count in session.execute(query.order_by(col(Edition.number).desc()).limit(looked)).all():
        read += count
        if read > looked and read > count:
            return
        yield number, of_subscriptions(session, [subscription_id], edition_id=edition_id)


def of_person(session: Session, subscriber_id: int, *, edition_id: int | None = None) -> list[Past]:
    """The same of all that one person subscribes, or did."""
    ids = sa.select(col(Subscription.id)).where(col(Subscription.subscriber_id) == subscriber_id)
    return of_subscriptions(session, session.scalars(ids), edition_id=edition_id)


def _told(session: Session, letters: Sequence[tuple[int, Rolled]]) -> Iterator[Past]:
    ids = sorted({edition_id for edition_id, _ in letters})
    variants = sorted({letter.variant for _, letter in letters})
    editions: dict[int, Any] = {}
    subjects: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        query = (
            sa.select(col(Edition.id), col(Newsletter.name), col(Edition.number), col(Edition.composed_at))
            .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
            .where(col(Edition.id).in_(ids[start : start + 500]))
        )
        editions |= {row[0]: row[1:] for row in session.execute(query)}
    for start in range(0, len(variants), 500):
        named = sa.select(col(Variant.id), col(Variant.subject))
        rows = session.execute(named.where(col(Variant.id).in_(variants[start : start + 500])))
        subjects |= {row[0]: row[1] for row in rows}
    for edition_id, letter in letters:
        name, number, composed_at = editions[edition_id]
        yield Past(
            id=letter.id,
            edition_id=edition_id,
            newsletter=name,
            number=number,
            subject=subjects.get(letter.variant, ""),
            composed_at=composed_at,
            subscription_id=letter.subscription,
            variant_id=letter.variant,
            state=STATES[letter.state],
            at=composed_at + timedelta(minutes=letter.minute),
            code=letter.code,
        )


def reader_of(session: Session, subscription_id: int) -> tuple[int, str] | None:
    """Number and address of who has a subscription; None where they are gone."""
    query = sa.select(col(Subscriber.id), col(Subscriber.email)).join(
        Subscription, col(Subscription.subscriber_id) == Subscriber.id
    )
    row = session.execute(query.where(col(Subscription.id) == subscription_id)).first()
    return (row[0], row[1]) if row else None
