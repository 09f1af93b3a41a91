"""Know a database that was copied elsewhere, and one that a copy is being made into."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("installation", sa.Column("moved_to", sa.String(), server_default="", nullable=False))
    op.add_column("installation", sa.Column("copying", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("installation", "copying")
    op.drop_column("installation", "moved_to")
