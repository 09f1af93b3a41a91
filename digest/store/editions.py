"""Newsletters, editions and their variants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from digest.models import Newsletter
from digest.store.database import Database


def keep_newsletters(database: Database, names: Iterable[str], *, now: datetime) -> None:
    """Give each newsletter of the settings its row; one that left the settings keeps its history."""
    with database.read() as session:
        known = set(session.exec(select(Newsletter.name)))
    missing = set(names) - known
    if missing:
        with database.write() as session:
            known = set(session.exec(select(Newsletter.name)))
            session.add_all(Newsletter(name=name, slot_at=now) for name in sorted(missing - known))


def newsletter(session: Session, name: str) -> Newsletter:
    """The row of a newsletter that `keep_newsletters` has seen."""
    return session.exec(select(Newsletter).where(Newsletter.name == name)).one()


def lock_newsletter(session: Session, name: str) -> Newsletter:
    """The row, ours alone until the transaction ends: one admission and one composition at a time.

    On SQLite the write transaction is the lock already.
    """
    return session.exec(select(Newsletter).where(col(Newsletter.name) == name).with_for_update()).one()
