"""choices of subscribers"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cadence", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("hour", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("zone", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("language", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("plain", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("variant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("language", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("plain", sa.Boolean(), server_default=sa.false(), nullable=False))

    op.create_index("ix_story_topic", "story", ["newsletter_id", "topic", "seq"])
