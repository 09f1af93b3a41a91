"""What a newsletter's labels have taught, kept from one run to the next."""

from __future__ import annotations

from sqlmodel import Session, col, select

from digest.models import Newsletter
from digest.store.database import insert_into
from digest.store.learned_tables import Learned


def of(session: Session, newsletter_id: int) -> bytes:
    """What is kept for a newsletter, b"" where there is nothing."""
    return session.exec(select(Learned.packed).where(col(Learned.newsletter_id) == newsletter_id)).first() or b""


def keep(session: Session, newsletter: Newsletter, packed: bytes) -> None:
    """Store what was learnt in the place of what was there."""
    if packed:
        row = insert_into(session, Learned).values(newsletter_id=newsletter.id, packed=packed)
        values = {"packed": row.excluded.packed}
        session.execute(row.on_conflict_do_update(index_elements=["newsletter_id"], set_=values))
