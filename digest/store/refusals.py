"""What mail servers refused of an edition, counted for all senders; refusals not believed, and those taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.dataclass import dataclass
from digest.models import Edition, Newsletter, OutboxRow, OutboxState, Subscriber, Suppression
from digest.store import tallies, witness
from digest.store.clock import apart
from digest.store.database import insert_into, shared_now

QUARANTINED = "quarantined: "  # how the reply of a letter begins whose refusal is not believed
_NO_SYNC = {"synchronize_session": False}
_NO_MAILBOX = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")  # RFC 3463 §3.2, RFC 7505
_ENOUGH = 10  # letters of an edition, before its share of dead mailboxes says something about the list


@dataclass(slots=True)
class Refusals:
    """Answers to an edition's letters since it was opened; `gone` and `content` are among the `refused`.

    `worst` is the largest share of dead mailboxes that another edition of this newsletter had.
    """

    sent: int = 0
    refused: int = 0
    gone: int = 0  # no such mailbox
    content: int = 0  # for what it says, or who sends it
    quarantined: bool = False
    worst: float = 0.0

    def __add__(self, other: Refusals) -> Refusals:
        return Refusals(
            self.sent + other.sent,
            self.refused + other.refused,
            self.gone + other.gone,
            self.content + other.content,
            self.quarantined or other.quarantined,
            max(self.worst, other.worst),
        )

    def __neg__(self) -> Refusals:
        return Refusals(-self.sent, -self.refused, -self.gone, -self.content)


def count(session: Session, edition_id: int, more: Refusals) -> Refusals:
    """Add answers to an edition's count; what all senders together heard since it was opened."""
    connection = session.connection()
    words = _COUNT if connection.dialect.paramstyle == "qmark" else _COUNT.replace("?", "%s")
    values = (more.sent, more.refused, more.gone, more.content, edition_id)
    row: Any = connection.exec_driver_sql(words, values).one()
    sent, refused, gone, content, quarantined = row
    worst = _worst(session, edition_id) if gone >= _ENOUGH else 0.0
    return Refusals(sent, refused, gone, content, bool(quarantined), worst)


# At each commit while letters go out: in words, which cost less than SQLAlchemy's making of them.
_COUNT = """
    INSERT INTO refusal_count (edition_id, since, sent, refused, gone, content, quarantined)
    SELECT id, coalesce(open_at, composed_at), ?, ?, ?, ?, false FROM edition WHERE id = ?
    ON CONFLICT (edition_id, since) DO UPDATE SET sent = refusal_count.sent + excluded.sent,
        refused = refusal_count.refused + excluded.refused, gone = refusal_count.gone + excluded.gone,
        content = refusal_count.content + excluded.content
    RETURNING sent, refused, gone, content, quarantined
"""


def _worst(session: Session, edition_id: int) -> float:
    from digest.store.refusal_tables import RefusalCount

    here = sa.select(col(Edition.newsletter_id)).where(col(Edition.id) == edition_id).scalar_subquery()
    answered = col(RefusalCount.sent) + col(RefusalCount.refused)
    query = (
        sa.select(sa.func.max(sa.cast(col(RefusalCount.gone), sa.Float) / answered))
        .join(Edition, col(Edition.id) == col(RefusalCount.edition_id))
        .where(
            col(Edition.newsletter_id) == here,
            col(Edition.id) != edition_id,
            col(RefusalCount.quarantined).is_(False),
            answered >= 2 * _ENOUGH,
        )
    )
    return float(session.execute(query).scalar() or 0.0)


def quarantine(session: Session, edition_id: int, *, domain: str = "", reason: str, now: datetime) -> int:
    """Hold an edition's letters that were refused as "no such mailbox", and bar nobody for it; how many letters.

    All of them, or those to one `domain`. Who was suppressed for it, with this `reason` and since the edition was
    opened, may be written to again.
    """
    opened = _opened(session, edition_id)
    # By the clock of who sends, and it was opened by another's: better some too many, who are then asked for again.
    since = opened - apart(session)
    mine = [
        col(OutboxRow.edition_id) == edition_id,
        col(OutboxRow.state) == OutboxState.REFUSED,
        col(OutboxRow.settled_at) >= since,
        _says_no_mailbox(),
    ]
    if domain:
        there = sa.select(col(Subscriber.id)).where(col(Subscriber.key).endswith(f"@{domain}", autoescape=True))
        mine.append(col(OutboxRow.subscriber_id).in_(there))
    people = sa.select(col(OutboxRow.subscriber_id)).where(*mine, col(OutboxRow.subscriber_id).is_not(None))
    session.execute(
        sa.delete(Suppression).where(
            col(Suppression.key).in_(sa.select(col(Subscriber.key)).where(col(Subscriber.id).in_(people))),
            col(Suppression.reason) == reason,
            col(Suppression.created_at) >= since,
        ),
        execution_options=_NO_SYNC,
    )
    tallies.reopen(session, editions=[edition_id])
    held = session.execute(
        sa.update(OutboxRow)
        .where(*mine)
        .values(state=OutboxState.HELD, settled_at=now, reply=sa.literal(QUARANTINED) + col(OutboxRow.reply)),
        execution_options=_NO_SYNC,
    )
    if not domain:
        from digest.store.refusal_tables import RefusalCount

        session.execute(
            sa.update(RefusalCount)
            .where(col(RefusalCount.edition_id) == edition_id, col(RefusalCount.since) == opened)
            .values(quarantined=True),
            execution_options=_NO_SYNC,
        )
    return int(held.rowcount)  # type: ignore[attr-defined]


def release(session: Session, edition_id: int, *, now: datetime) -> int:
    """Owe an edition's quarantined letters again; how many."""
    result = session.execute(
        sa.update(OutboxRow)
        .where(*_quarantined(edition_id))
        .values(state=OutboxState.OWED, due_at=shared_now(session, now), settled_at=None, tried_at=None),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def believe(session: Session, edition_id: int, *, reason: str, now: datetime) -> int:
    """Take the servers at their word: quarantined letters are refused, and nobody of them is written to again."""
    people = session.execute(
        sa.select(col(Subscriber.key), col(OutboxRow.reply))
        .join(OutboxRow, col(OutboxRow.subscriber_id) == col(Subscriber.id))
        .where(*_quarantined(edition_id))
    ).all()
    rows = [
        {"key": key, "reason": reason, "status": reply.removeprefix(QUARANTINED).split(" ", 1)[0], "created_at": now}
        for key, reply in people
    ]
    if rows:
        session.connection().execute(insert_into(session, Suppression).on_conflict_do_nothing(), rows)
        for row in rows:
            witness.note_person(session, "suppressed", row["key"], reason=reason, status=row["status"])
    result = session.execute(
        sa.update(OutboxRow)
        .where(*_quarantined(edition_id))
        .values(
            state=OutboxState.REFUSED,
            settled_at=now,
            reply=sa.func.substr(col(OutboxRow.reply), len(QUARANTINED) + 1),
        ),
        execution_options=_NO_SYNC,
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def quarantined(session: Session, newsletter: str, number: int) -> int:
    """How many letters of an edition are held since their refusals are not believed."""
    query = (
        sa.select(sa.func.count())
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == col(OutboxRow.edition_id))
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .where(col(Newsletter.name) == newsletter, col(Edition.number) == number)
        .where(col(OutboxRow.state) == OutboxState.HELD, col(OutboxRow.reply).startswith(QUARANTINED))
    )
    return int(session.execute(query).scalar_one())


def pardon(session: Session, refused: Sequence[tuple[int, int, datetime]], *, now: datetime) -> int:
    """Owe letters again that this pass refused, as (id, attempt, due): it was not their fault. How many."""
    if not refused:
        return 0
    tallies.reopen(session, letters=[letter_id for letter_id, _attempt, _due in refused])
    ahead = shared_now(session, now) - now
    rows = [{"letter": letter_id, "attempt": attempt, "due": due_at + ahead} for letter_id, attempt, due_at in refused]
    box = OutboxRow.__table__  # type: ignore[attr-defined]
    pardoned = 0
    statement = (
        sa.update(box)
        .where(
            box.c.id == sa.bindparam("letter"),
            box.c.attempts == sa.bindparam("attempt"),
            box.c.state == OutboxState.REFUSED,
        )
        .values(state=OutboxState.OWED, due_at=sa.bindparam("due"), settled_at=None)
    )
    for row in rows:  # few, and each is counted
        pardoned += session.connection().execute(statement, row).rowcount
    return pardoned


def unreached(session: Session, edition_ids: Sequence[int]) -> list[tuple[str, int, int]]:
    """Of these editions, those that nobody got and nobody still gets: newsletter, number, letters."""
    mine = col(OutboxRow.edition_id) == col(Edition.id)
    query = (
        sa.select(
            col(Newsletter.name),
            col(Edition.number),
            sa.select(sa.func.count()).select_from(OutboxRow).where(mine).correlate(Edition).scalar_subquery(),
        )
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .where(
            col(Edition.id).in_(edition_ids),
            ~sa.exists().where(mine, col(OutboxRow.state) == OutboxState.SENT),
            ~sa.exists().where(mine, col(OutboxRow.settled_at).is_(None)),
        )
        .order_by(col(Newsletter.name), col(Edition.number))
    )
    return [(name, number, letters) for name, number, letters in session.execute(query)]


def _opened(session: Session, edition_id: int) -> datetime:
    edition = session.get_one(Edition, edition_id)
    return edition.open_at or edition.composed_at


def _says_no_mailbox() -> sa.ColumnElement[bool]:
    reply = col(OutboxRow.reply)
    return sa.or_(*(sa.or_(reply == status, reply.startswith(f"{status} ")) for status in _NO_MAILBOX))


def _quarantined(edition_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(OutboxRow.edition_id) == edition_id,
        col(OutboxRow.state) == OutboxState.HELD,
        col(OutboxRow.reply).startswith(QUARANTINED),
    )
