"""Know a database that was put back: who it is, how much has happened in it, and what it has forgotten."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    installation = op.create_table(
        "installation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tick", sa.Integer(), nullable=False),
        sa.Column("witnesses", sa.JSON(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.bulk_insert(installation, [{"id": str(uuid.uuid4()), "tick": 0, "witnesses": {}}])
    op.create_table(
        "witnessed_entry",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("newsletter_id", "mark", name=op.f("pk_witnessed_entry")),
    )


def downgrade() -> None:
    op.drop_table("witnessed_entry")
    op.drop_table("installation")
