"""Keep what labels taught from one run to the next."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learned",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletter.id"], name=op.f("fk_learned_newsletter_id_newsletter"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_learned")),
    )


def downgrade() -> None:
    op.drop_table("learned")
