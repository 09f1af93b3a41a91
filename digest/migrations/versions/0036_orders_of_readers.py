"""Keep which stories a variant has higher or lower than others have, for what its readers want more and less of."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("variant", sa.Column("moved", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("variant", "moved")
