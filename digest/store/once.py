"""Requests that are done once, however often they come (draft-ietf-httpapi-idempotency-key-header).

A request is noted before its work begins, and its answer in the transaction of the work: whoever dies between has done
nothing, and is taken over from after `_LEASE`. Two processes meet in the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.store.api_tables import ApiAnswer
from digest.store.database import insert_into

KEPT = timedelta(hours=24)
_LEASE = timedelta(minutes=2)  # longer than any request may take
_STEP = 100  # old answers that one request clears away


class Different(Exception):
    """The same key came with another request."""


class UnderWay(Exception):
    """The same request is being answered at this moment."""


@dataclass(frozen=True)
class Request:
    """A request that is to be done once: of which key, by which mark of its Idempotency-Key, and a mark of it all."""

    key_id: int
    mark: str
    fingerprint: str


@dataclass(frozen=True)
class Kept:
    """An answer as it was given."""

    status: int
    headers: dict[str, str]
    body: str
    person: str = ""


def begin(session: Session, request: Request, *, now: datetime) -> Kept | int:
    """The answer that it had, or the number of the attempt that begins. Raises Different or UnderWay."""
    prune(session, now=now, limit=_STEP)
    values = {"key_id": request.key_id, "mark": request.mark, "fingerprint": request.fingerprint, "at": now}
    insert = insert_into(session, ApiAnswer).values(values | {"attempt": 1, "status": 0, "headers": {}, "body": ""})
    made = insert.values(person="").on_conflict_do_nothing().returning(col(ApiAnswer.id))
    if session.execute(made).scalar() is not None:
        return 1
    found = session.exec(select(ApiAnswer).where(*_mine(request)).with_for_update()).one_or_none()
    if found is None:  # whoever had it begun has just let it go
        raise UnderWay
    if found.fingerprint != request.fingerprint and found.at > now - KEPT:
        raise Different
    if found.at <= now - KEPT or (not found.status and abs(now - found.at) >= _LEASE):
        found.fingerprint, found.at, found.status, found.attempt = request.fingerprint, now, 0, found.attempt + 1
        session.add(found)
        return found.attempt
    if not found.status:
        raise UnderWay
    return Kept(found.status, found.headers, found.body)


def finish(session: Session, request: Request, attempt: int, answer: Kept) -> bool:
    """Keep the answer, in the transaction of what it tells; False where another has taken over: then nothing is to be
    done."""
    values = {"status": answer.status, "headers": answer.headers, "body": answer.body, "person": answer.person}
    mine = (*_mine(request), col(ApiAnswer.attempt) == attempt, col(ApiAnswer.status) == 0)
    return bool(session.connection().execute(sa.update(ApiAnswer).where(*mine).values(values)).rowcount)


def forget(session: Session, request: Request, attempt: int) -> None:
    """Nothing came of it: whoever asks again begins anew."""
    mine = (*_mine(request), col(ApiAnswer.attempt) == attempt, col(ApiAnswer.status) == 0)
    session.execute(sa.delete(ApiAnswer).where(*mine))


def forget_person(session: Session, person: str) -> None:
    session.execute(sa.delete(ApiAnswer).where(col(ApiAnswer.person) == person))


def rename_person(session: Session, old: str, new: str) -> None:
    """Whoever has another address is found by that one."""
    session.execute(sa.update(ApiAnswer).where(col(ApiAnswer.person) == old).values(person=new))


def overdue(session: Session, *, now: datetime) -> bool:
    """Is there anything that `prune` would clear away?"""
    return session.exec(select(ApiAnswer.id).where(col(ApiAnswer.at) < now - KEPT).limit(1)).first() is not None


def prune(session: Session, *, now: datetime, limit: int) -> int:
    """Clear away some of the answers that nobody may ask for any more; how many."""
    old = select(ApiAnswer.id).where(col(ApiAnswer.at) < now - KEPT).order_by(col(ApiAnswer.at)).limit(limit)
    return session.connection().execute(sa.delete(ApiAnswer).where(col(ApiAnswer.id).in_(old))).rowcount


def _mine(request: Request) -> tuple[sa.ColumnElement[bool], ...]:
    return col(ApiAnswer.key_id) == request.key_id, col(ApiAnswer.mark) == request.mark
