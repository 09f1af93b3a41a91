"""numbers of letters"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Bounces come to the number of a letter: no other may ever have it (PostgreSQL's sequences see to it).
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table(
            "outbox", schema=None, recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ):
            pass  # made anew as it is, its named CHECKs and its indexes with it
