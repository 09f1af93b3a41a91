"""Number letters beyond 32 bits, find a reader's in rolls, and clean up by what a day changes, not a year."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

# By default PostgreSQL cleans up once a fifth of a table has changed: of 300 million letters that are 60 million, and
# each letter is changed three times and deleted once. Cleaning goes through all indexes, so it is not done too often.
CLEANED = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000"
KNOWN = "autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 20000"
# Rows that all senders change again and again, a few of them: with room on their page a change makes no index entry.
BUSY = "fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000"
SETTINGS = {
    "outbox": f"{CLEANED}, {KNOWN}",
    "subscription": f"{CLEANED}, {KNOWN}",
    **dict.fromkeys(("relay_state", "relay_seat", "relay_hour", "domain_state", "refusal_count", "pruning"), BUSY),
    "worker": BUSY,
}
NUMBERS = {"outbox": ("id",), "mail_report": ("outbox_id",), "letter_roll": ("first_id", "last_id")}
MOST = 1 << 30  # bytes of a table that is written anew, while everybody waits; of a larger one `digest db check` tells


def upgrade() -> None:
    for name in ("first_subscription", "last_subscription"):
        op.add_column("letter_roll", sa.Column(name, sa.Integer(), nullable=True))
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return  # SQLite's numbers have 64 bits, and it cleans up by itself
    for table, settings in SETTINGS.items():
        op.execute(f"ALTER TABLE {table} SET ({settings})")
    size = sa.text(
        "SELECT sum(pg_total_relation_size(CAST(name AS regclass))) FROM unnest(CAST(:names AS text[])) AS name"
    )
    if connection.execute(size, {"names": list(NUMBERS)}).scalar_one() > MOST:
        return
    for table, columns in NUMBERS.items():
        op.execute(f"ALTER TABLE {table} " + ", ".join(f"ALTER COLUMN {name} TYPE bigint" for name in columns))
    op.execute("ALTER SEQUENCE outbox_id_seq AS bigint")


def downgrade() -> None:
    for name in ("first_subscription", "last_subscription"):
        op.drop_column("letter_roll", name)
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, settings in SETTINGS.items():
        names = ", ".join(one.split(" = ")[0] for one in settings.split(", "))
        op.execute(f"ALTER TABLE {table} RESET ({names})")
