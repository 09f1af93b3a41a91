"""Lease each stranger's host to one process at a time, and count the API's requests for all `digest serve` together."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

# As 0039 says it of the other tables that all processes change again and again.
BUSY = "fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000"


def upgrade() -> None:
    op.create_table(
        "host_lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host_lease")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rate_window",
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("began", sa.Float(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_rate_window")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("host_lease", "rate_window"):
            op.execute(f"ALTER TABLE {table} SET ({BUSY})")


def downgrade() -> None:
    op.drop_table("rate_window")
    op.drop_table("host_lease")
