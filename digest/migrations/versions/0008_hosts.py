"""Remember what servers said of their limits, by host and by address; ask the feed first that was asked longest ago, each in its way."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pace_seconds", sa.Float(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host")),
    )
    op.add_column("feed", sa.Column("answered_by", sa.String(), nullable=False, server_default=""))
    op.add_column("feed", sa.Column("proxy", sa.String(), nullable=False, server_default=""))
    op.add_column("feed", sa.Column("ca_file", sa.String(), nullable=False, server_default=""))
    op.add_column("feed", sa.Column("interval_minutes", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_feed_checked_at"), "feed", ["checked_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_feed_checked_at"), table_name="feed")
    for name in ("answered_by", "proxy", "ca_file", "interval_minutes"):
        op.drop_column("feed", name)
    op.drop_table("host")
