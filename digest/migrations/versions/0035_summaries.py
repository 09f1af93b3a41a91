"""Keep what a machine wrote of texts, so that it is asked once."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "summary",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_summary")),
    )
    op.create_index(op.f("ix_summary_made_at"), "summary", ["made_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_summary_made_at"), table_name="summary")
    op.drop_table("summary")
