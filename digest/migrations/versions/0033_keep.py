"""Keep in few bytes what is long done: letters in rolls, marks of entries that are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "letter_roll",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("letters", "sent", "refused", "dropped")),
        sa.Column("in_doubt", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_letter_roll_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "first_id", name=op.f("pk_letter_roll")),
    )
    op.create_index("ix_letter_roll_last_id", "letter_roll", ["last_id"])
    op.create_table(
        "pruned_mark",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("newsletter_id", "mark", name=op.f("pk_pruned_mark")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pruning",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("begun", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_pruning")),
    )
    op.add_column("edition", sa.Column("pruned", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("subscription", sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("subscription", "arrived_at")
    op.drop_column("edition", "pruned")
    op.drop_table("pruning")
    op.drop_table("pruned_mark")
    op.drop_index("ix_letter_roll_last_id", table_name="letter_roll")
    op.drop_table("letter_roll")
