"""Let the letters of one moment be claimed variant by variant, so that what each says is made once."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index("edition_id", "due_at", "variant_id", "id")


def downgrade() -> None:
    _index("edition_id", "due_at", "id")


def _index(*columns: str) -> None:
    unsettled = sa.text("settled_at IS NULL")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index("ix_outbox_due", "outbox", list(columns), sqlite_where=unsettled, postgresql_where=unsettled)
