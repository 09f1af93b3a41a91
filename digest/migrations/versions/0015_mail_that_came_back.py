"""Keep what came back: bounces, complaints, answers, and what followed from each."""

import sqlalchemy as sa
from alembic import op

from digest.models import UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TEXTS = (
    "reason",
    "status",
    "feedback",
    "proof",
    "address",
    "domain",
    "act",
    "why",
    "sender",
    "subject",
    "text",
)


def upgrade() -> None:
    op.create_table(
        "mail_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.Column("said_at", UtcTime(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in _TEXTS),
        *(
            sa.Column(f"{table}_id", sa.Integer(), nullable=True)
            for table in ("outbox", "edition", "subscriber", "subscription")
        ),
        sa.Column("written_at", UtcTime(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("undone_at", UtcTime(), nullable=True),
        sa.Column("done_at", UtcTime(), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [f"{table}_id"],
                [f"{table}.id"],
                name=op.f(f"fk_mail_report_{table}_id_{table}"),
                ondelete="SET NULL",
            )
            for table in ("outbox", "edition", "subscriber", "subscription")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_report")),
        sa.UniqueConstraint("hash", name=op.f("uq_mail_report_hash")),
        sqlite_autoincrement=True,
    )
    for column in ("read_at", "outbox_id", "edition_id", "subscriber_id", "address"):
        op.create_index(op.f(f"ix_mail_report_{column}"), "mail_report", [column])
    for name, column, where in (("kept", "read_at", "raw IS NOT NULL"), ("unproven", "id", "proof = ''")):
        op.create_index(
            f"ix_mail_report_{name}",
            "mail_report",
            [column],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "mail_source",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mail_source")),
    )


def downgrade() -> None:
    op.drop_table("mail_source")
    op.drop_table("mail_report")
