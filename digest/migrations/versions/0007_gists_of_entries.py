"""Keep what curation needs of an entry's text, made once, and why an entry was set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entry", sa.Column("gist", sa.LargeBinary(), nullable=True))
    op.add_column("entry", sa.Column("fault", sa.String(), nullable=False, server_default=""))
    op.create_index(
        "ix_entry_fault",
        "entry",
        ["feed_id"],
        sqlite_where=sa.text("fault <> ''"),
        postgresql_where=sa.text("fault <> ''"),
    )


def downgrade() -> None:
    op.drop_index("ix_entry_fault", table_name="entry")
    op.drop_column("entry", "fault")
    op.drop_column("entry", "gist")
