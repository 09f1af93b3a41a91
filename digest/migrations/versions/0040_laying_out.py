"""Let the letters of a large edition be written in steps, before any of them may go out."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With the column, since SQLite adds no constraint to a table that is there. An older release, which does not know
    # the column, cannot open what is half written.
    no = sa.false().compile(dialect=op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE edition ADD COLUMN laying_out BOOLEAN DEFAULT {no} NOT NULL "
        "CONSTRAINT ck_edition_laid_out_before_open CHECK (NOT laying_out OR state <> 'open')"
    )
    op.create_index(
        op.f("ix_edition_laying_out"),
        "edition",
        ["newsletter_id"],
        sqlite_where=sa.text("laying_out"),
        postgresql_where=sa.text("laying_out"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_edition_laying_out"), "edition")
    op.drop_column("edition", "laying_out")
