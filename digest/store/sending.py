"""Editions as delivery sees them: opened, held, paused, resumed, cancelled, and counted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from digest.models import Edition, EditionState


def open_held(session: Session, *, now: datetime) -> list[int]:
    """Open the held editions whose moment has come; their ids."""
    statement = (
        sa.update(Edition)
        .where(col(Edition.state) == EditionState.HELD, col(Edition.open_at) <= now)
        .values(state=EditionState.OPEN, state_reason="")
        .returning(col(Edition.id))
    )
    return list(session.scalars(statement, execution_options={"synchronize_session": False}))
