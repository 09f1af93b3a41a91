"""Keep who writes a feed that comes by mail, and which relay took or refused a letter."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mail_feed",
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_mail_feed_feed_id_feed"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_mail_feed")),
    )
    op.add_column("outbox", sa.Column("relay", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("outbox", "relay")
    op.drop_table("mail_feed")
