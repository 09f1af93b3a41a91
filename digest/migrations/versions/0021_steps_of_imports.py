"""Keep of each person whom an import changed up to which line their history is the import's: it goes in steps."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_change", sa.Column("consent_to", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_change", "consent_to")
