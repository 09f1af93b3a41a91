"""Keep what readers mute and how many stories they want, and which stories a variant leaves out for it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("taste", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("subscription", sa.Column("taste_key", sa.String(), nullable=False, server_default=""))
    op.create_index(
        "ix_subscription_taste",
        "subscription",
        ["newsletter_id", "taste_key"],
        sqlite_where=sa.text("taste_key <> ''"),
        postgresql_where=sa.text("taste_key <> ''"),
    )
    op.add_column("variant", sa.Column("max_stories", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("variant", sa.Column("muted", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("variant", "muted")
    op.drop_column("variant", "max_stories")
    op.drop_index("ix_subscription_taste", table_name="subscription")
    op.drop_column("subscription", "taste_key")
    op.drop_column("subscription", "taste")
