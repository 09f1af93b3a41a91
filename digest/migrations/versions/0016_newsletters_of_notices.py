"""Say of each notice whose it is, since each newsletter may have relays of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UNSETTLED = sa.text("settled_at IS NULL AND edition_id IS NULL")


def upgrade() -> None:
    # No foreign key: SQLite would have to copy all letters for one, and rows of newsletters are never deleted.
    op.add_column("outbox", sa.Column("newsletter_id", sa.Integer(), nullable=True))
    op.execute(
        """
        UPDATE outbox SET newsletter_id = (
            SELECT s.newsletter_id FROM notice AS n JOIN subscription AS s ON s.id = n.subscription_id
            WHERE n.id = outbox.notice_id)
        WHERE edition_id IS NULL AND settled_at IS NULL
        """
    )
    op.create_index(
        "ix_outbox_notices",
        "outbox",
        ["newsletter_id", "due_at", "id"],
        sqlite_where=_UNSETTLED,
        postgresql_where=_UNSETTLED,
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_notices", table_name="outbox")
    op.drop_column("outbox", "newsletter_id")
