"""Keep what workers have in common: of relays, of receivers' domains, and of each other."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def _strings(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "relay_state",
        *_strings("relay"),
        *_moments("next_at"),
        *_integers("most"),
        *_moments("most_at"),
        *_integers("per_connection"),
        sa.Column("refuses", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("relay", name=op.f("pk_relay_state")),
    )
    op.create_table(
        "relay_seat",
        *_strings("relay", "holder"),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        *_moments("since"),
        *_integers("wish", "seats", "open", "among", "allowance"),
        *_moments("until"),
        sa.PrimaryKeyConstraint("relay", "holder", name=op.f("pk_relay_seat")),
    )
    op.create_table(
        "domain_state",
        *_strings("behind", "domain"),
        sa.Column("pace", sa.JSON(), nullable=False),
        *_moments("next_at"),
        *_integers("taken", "refused", "gone", "ours"),
        *_moments("at"),
        sa.PrimaryKeyConstraint("behind", "domain", name=op.f("pk_domain_state")),
    )
    op.create_table(
        "worker",
        *_strings("name", "release", "revision", "queues"),
        *_moments("began", "beat"),
        *_strings("doing"),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )


def downgrade() -> None:
    for table in ("worker", "domain_state", "relay_seat", "relay_state"):
        op.drop_table(table)
