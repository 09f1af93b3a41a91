"""choices of subscribers"""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Links are signed for the number of a subscription: no other may ever have it (PostgreSQL's sequences see to it).
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table(
        "subscription", schema=None, recreate=recreate, table_kwargs={"sqlite_autoincrement": True}
    ) as batch_op:
        batch_op.add_column(sa.Column("cadence", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("hour", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("zone", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("language", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("plain", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("feed", schema=None) as batch_op:
        batch_op.add_column(sa.Column("published_title", sa.String(), server_default="", nullable=False))
    # So far a feed's own title took the place of any other when it was read.
    op.execute("UPDATE feed SET published_title = title WHERE ok_at IS NOT NULL")

    with op.batch_alter_table("newsletter_feed", schema=None) as batch_op:
        batch_op.add_column(sa.Column("places", sa.JSON(), server_default="[]", nullable=False))

    with op.batch_alter_table("variant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("language", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("plain", sa.Boolean(), server_default=sa.false(), nullable=False))

    op.create_table(
        "signup_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup_mail")),
    )
    op.create_index(op.f("ix_signup_mail_address"), "signup_mail", ["address"])
    op.create_index(op.f("ix_signup_mail_at"), "signup_mail", ["at"])

    op.create_index("ix_story_topic", "story", ["newsletter_id", "topic", "seq"])
    op.create_index("ix_variant_letters", "variant", ["edition_id", "letters"])

    # Text that is there stays as it is: what is compressed from now on is told by how it begins.
    if op.get_bind().dialect.name == "postgresql":
        for column in ("html", "text", "left_out"):
            op.alter_column(
                "variant", column, type_=sa.LargeBinary(), postgresql_using=f"convert_to({column}::text, 'UTF8')"
            )
    else:
        with op.batch_alter_table("variant", schema=None) as batch_op:
            for column in ("html", "text", "left_out"):
                batch_op.alter_column(column, type_=sa.LargeBinary(), existing_nullable=False)
