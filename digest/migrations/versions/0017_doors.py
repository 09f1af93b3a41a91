"""Keep how the entries of pages are found, what votes entries have, and which lists of feeds were taken."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed", sa.Column("recipe", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("entry", sa.Column("points", sa.Integer(), nullable=True))
    op.create_table(
        "feed_list",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("folders", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_feed_list_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "url", name=op.f("pk_feed_list")),
    )


def downgrade() -> None:
    op.drop_table("feed_list")
    op.drop_column("entry", "points")
    op.drop_column("feed", "recipe")
