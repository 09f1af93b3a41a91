"""Remember what newsletters and topics were called before, so that links to them lead on."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "former_name",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("old", sa.String(), nullable=False),
        sa.Column("new", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletter.id"], name="fk_former_name_newsletter_id_newsletter", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "kind", "old", name="pk_former_name"),
    )


def downgrade() -> None:
    op.drop_table("former_name")
