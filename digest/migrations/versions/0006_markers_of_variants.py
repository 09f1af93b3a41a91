"""markers of variants"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # What is there was rendered with markers that everybody knows: "" says so.
    op.add_column("variant", sa.Column("marks", sa.String(), server_default="", nullable=False))
