"""Remember when the last letter of a counted edition went, so that who had one since is asked of few editions."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of what was counted before it is found out by and by, see `store.tallies`: no letter is looked at here.
    op.add_column("edition", sa.Column("last_at", sa.DateTime(timezone=True), nullable=True))
    unsaid = sa.text("tally IS NOT NULL AND last_at IS NULL")
    op.create_index(op.f("ix_edition_unsaid"), "edition", ["id"], sqlite_where=unsaid, postgresql_where=unsaid)


def downgrade() -> None:
    op.drop_index(op.f("ix_edition_unsaid"), "edition")
    op.drop_column("edition", "last_at")
