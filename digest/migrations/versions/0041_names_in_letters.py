"""Let a letter keep the name that its first attempt went to."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("named", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "named")
