"""Keep what each import changed, so that it can be taken back, and the operator's own fields of a person."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriber", sa.Column("fields", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "list_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("vouched_by", sa.String(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("consent_from", sa.Integer(), nullable=False),
        sa.Column("consent_to", sa.Integer(), nullable=False),
        sa.Column("undone_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_list_import_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_import")),
    )
    op.create_table(
        "import_change",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("stamp", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("paused_until", UtcTime(), nullable=True),
        sa.Column("read_until", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["list_import.id"],
            name=op.f("fk_import_change_import_id_list_import"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", "import_id", name=op.f("pk_import_change")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("import_change")
    op.drop_table("list_import")
    op.drop_column("subscriber", "fields")
