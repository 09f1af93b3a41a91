"""Keep what pages say where feeds give stubs, how single feeds are read, and what was mended of them."""

import sqlalchemy as sa
from alembic import op

from digest.column_types import Packed
from digest.models import UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed", sa.Column("full_text", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("feed", sa.Column("weight", sa.Float(), nullable=True))
    for name in ("keep", "drop", "trouble"):
        op.add_column("feed", sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "full_text",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("text", Packed(), nullable=False),
        sa.Column("gist", sa.LargeBinary(), nullable=True),
        sa.Column("link", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name=op.f("fk_full_text_entry_id_entry"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_full_text")),
    )
    op.create_index(op.f("ix_full_text_link"), "full_text", ["link"])
    op.create_table(
        "robots",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("rules", Packed(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_robots")),
    )


def downgrade() -> None:
    op.drop_table("robots")
    op.drop_index(op.f("ix_full_text_link"), table_name="full_text")
    op.drop_table("full_text")
    for name in ("trouble", "drop", "keep", "weight", "full_text"):
        op.drop_column("feed", name)
