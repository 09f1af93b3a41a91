"""Keep sign-ups until their mail may be written, and know who is to be welcomed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signup_wait",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_signup_wait_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup_wait")),
    )
    op.create_index(op.f("ix_signup_wait_newsletter_id"), "signup_wait", ["newsletter_id"])
    op.create_index(op.f("ix_signup_wait_key"), "signup_wait", ["key"])
    op.create_index(op.f("ix_signup_wait_network"), "signup_wait", ["network"])
    op.create_table(
        "signup_refusal",
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_signup_refusal")),
    )
    for table in ("subscription", "variant"):
        op.add_column(table, sa.Column("chosen_from", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("subscription", sa.Column("awaits_welcome", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("subscription", "awaits_welcome")
    for table in ("subscription", "variant"):
        op.drop_column(table, "chosen_from")
    op.drop_table("signup_refusal")
    op.drop_table("signup_wait")
