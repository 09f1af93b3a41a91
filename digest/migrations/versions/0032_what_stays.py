"""Keep what must stay as it is: a letter's Date:, what a newsletter was called, by what feed readers know what it told."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# What was tried before and may go out again keeps the Date: that it had.
_DATED = """
    UPDATE outbox SET dated_at = coalesce(
        (SELECT e.composed_at FROM edition AS e WHERE e.id = outbox.edition_id),
        (SELECT n.created_at FROM notice AS n WHERE n.id = outbox.notice_id))
    WHERE attempts > 0 AND state <> 'sent'
"""
# What was published is known by its address, which no migration knows.
_KNOWN = """
    INSERT INTO lasting_id (newsletter_id, tag, home, number, seq)
    SELECT id, '', '', edition_number, seq FROM newsletter WHERE edition_number > 0
"""


def upgrade() -> None:
    op.add_column("outbox", sa.Column("dated_at", UtcTime(), nullable=True))
    op.add_column("edition", sa.Column("title", sa.String(), nullable=False, server_default=""))
    op.execute(_DATED)
    op.create_table(
        "lasting_id",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_lasting_id_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_lasting_id")),
    )
    op.execute(_KNOWN)


def downgrade() -> None:
    op.drop_table("lasting_id")
    op.drop_column("edition", "title")
    op.drop_column("outbox", "dated_at")
