"""Who was erased: only the keyed hash of an address is kept, so that no list brings it back."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.store import witness
from digest.store.consent_tables import Erasure
from digest.store.database import insert_into


def find(session: Session, mark: str) -> Erasure | None:
    """The note that somebody with this `subscribe.erasure_mark` was erased."""
    return session.get(Erasure, mark)


def note(session: Session, mark: str, *, now: datetime) -> None:
    """Remember that no list is to bring back an address with this mark."""
    note = insert_into(session, Erasure).values({"mark": mark, "created_at": now})
    session.connection().execute(note.on_conflict_do_nothing())


def lift(session: Session, mark: str) -> None:
    """Forget that somebody with this mark was erased: they have come back themselves."""
    if session.get(Erasure, mark) is None:
        return
    witness.note_left(session, "lifted", mark=mark)
    session.exec(sa.delete(Erasure).where(col(Erasure.mark) == mark))
