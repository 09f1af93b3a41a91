"""Keep what another tool had sent of a feed before it was taken over."""

import sqlalchemy as sa
from alembic import op

from digest.column_types import Packed
from digest.models import UtcTime

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_seen",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("marks", Packed(), nullable=False),
        sa.Column("until", UtcTime(), nullable=True),
        sa.Column("by_date", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_seen_feed_id_feed"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_feed_seen_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "feed_id", name=op.f("pk_feed_seen")),
    )
    op.create_index(op.f("ix_feed_seen_feed_id"), "feed_seen", ["feed_id"])


def downgrade() -> None:
    op.drop_table("feed_seen")
