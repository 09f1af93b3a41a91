"""Keep what tells a feed's entries apart, since when each is as it is, and whether its publisher took it back."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed", sa.Column("identity", sa.String(), nullable=False, server_default=""))
    op.add_column("feed", sa.Column("evidence", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("feed", sa.Column("window", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("feed", sa.Column("settle_minutes", sa.Float(), nullable=True))
    op.add_column("entry", sa.Column("guid", sa.String(), nullable=True))
    op.add_column("entry", sa.Column("text_hash", sa.String(), nullable=False, server_default=""))
    op.add_column("entry", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("entry", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("withdrawn_at", "changed_at", "text_hash", "guid"):
        op.drop_column("entry", name)
    for name in ("settle_minutes", "window", "evidence", "identity"):
        op.drop_column("feed", name)
