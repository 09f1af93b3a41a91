"""Give each letter a Date: of its own, fixed by its first attempt, and keep what a newsletter was called then."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0035"
down_revision = "0030"
branch_labels = None
depends_on = None

# What was tried before and may go out again keeps the Date: that it had.
_DATED = """
    UPDATE outbox SET dated_at = coalesce(
        (SELECT e.composed_at FROM edition AS e WHERE e.id = outbox.edition_id),
        (SELECT n.created_at FROM notice AS n WHERE n.id = outbox.notice_id))
    WHERE attempts > 0 AND state <> 'sent'
"""


def upgrade() -> None:
    op.add_column("outbox", sa.Column("dated_at", UtcTime(), nullable=True))
    op.add_column("edition", sa.Column("title", sa.String(), nullable=False, server_default=""))
    op.execute(_DATED)


def downgrade() -> None:
    op.drop_column("edition", "title")
    op.drop_column("outbox", "dated_at")
