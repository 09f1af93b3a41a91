"""Keep copies of the pictures that stories have, and which of them a variant brings along."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "picture_file",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("used_at", UtcTime(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_picture_file")),
    )
    op.create_index(op.f("ix_picture_file_used_at"), "picture_file", ["used_at"])
    op.create_table(
        "entry_picture",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("tried", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("url", "etag", "last_modified", "print")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("width", "height")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("ground", "hero")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("hero_width", "hero_height")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("thumb", "small")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name=op.f("fk_entry_picture_entry_id_entry"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_entry_picture")),
    )
    op.create_index(op.f("ix_entry_picture_url"), "entry_picture", ["url"])
    op.add_column("full_text", sa.Column("image_url", sa.String(), nullable=False, server_default=""))
    op.add_column("variant", sa.Column("attached", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("variant", "attached")
    op.drop_column("full_text", "image_url")
    op.drop_index(op.f("ix_entry_picture_url"), table_name="entry_picture")
    op.drop_table("entry_picture")
    op.drop_index(op.f("ix_picture_file_used_at"), table_name="picture_file")
    op.drop_table("picture_file")
