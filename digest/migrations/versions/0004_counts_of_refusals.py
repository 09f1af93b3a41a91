"""counts of refusals"""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    table = op.create_table(
        "refusal_count",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("content", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_refusal_count_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "since", name=op.f("pk_refusal_count")),
    )
    assert table is not None
    # What this list has seen so far, so that the next edition is judged by it.
    op.execute(
        """
        INSERT INTO refusal_count (edition_id, since, sent, refused, gone, content, quarantined)
        SELECT e.id, coalesce(e.open_at, e.composed_at),
            sum(CASE WHEN o.state = 'sent' THEN 1 ELSE 0 END),
            sum(CASE WHEN o.state = 'refused' THEN 1 ELSE 0 END),
            sum(CASE WHEN o.state = 'refused' AND o.reply LIKE '5.1.%' THEN 1 ELSE 0 END), 0, false
        FROM edition AS e JOIN outbox AS o ON o.edition_id = e.id
        WHERE o.settled_at IS NOT NULL
        GROUP BY e.id, e.open_at, e.composed_at
        """
    )
