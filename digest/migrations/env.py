"""Alembic's entry: runs on the connection that `store.open_database` hands in, inside its transaction.

A new revision, from the difference between `models` and the revisions so far: `python -m digest.migrations "what"`.
"""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel.sql.sqltypes import AutoString

from digest import models
from digest.store import schema


def _plain(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write columns in SQLAlchemy's own types: a revision must not change when `models` does."""
    if kind == "type" and isinstance(item, models.UtcTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.tables(),
    render_as_batch=True,
    render_item=_plain,
    compare_type=False,
)
context.run_migrations()
