"""Remember what the operator was told, and what is still to be said."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "alert",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("cure", sa.String(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("told_at", moment, nullable=True),
        sa.Column("last_at", moment, nullable=True),
        sa.Column("gone_at", moment, nullable=True),
        sa.Column("well_at", moment, nullable=True),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alert")),
    )
    op.create_table(
        "alert_telling",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("word", sa.JSON(), nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("taken_until", moment, nullable=True),
        sa.Column("settled_at", moment, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", "channel", name=op.f("pk_alert_telling")),
    )
    held = sa.text("state = 'held'")
    op.create_index("ix_outbox_held", "outbox", ["id"], sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    op.drop_index("ix_outbox_held", table_name="outbox")
    op.drop_table("alert_telling")
    op.drop_table("alert")
