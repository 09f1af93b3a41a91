"""Keep what is not decided and what has ended apart, so that a run costs what is new at any age."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

LABELS = sa.text("topic_step IN ('moved', 'rule', 'category')")
UNHAD = sa.text("settled_at IS NOT NULL AND state <> 'sent'")
ORIGINAL = sa.text("original_url <> ''")
LIVE = sa.text("tally IS NULL")
DOUBT = sa.text("in_doubt")
HELD = sa.text("decision = 'held'")


def upgrade() -> None:
    op.create_table(
        "undecided",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletter.id"], name=op.f("fk_undecided_newsletter_id_newsletter"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name=op.f("fk_undecided_entry_id_entry"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "entry_id", name=op.f("pk_undecided")),
    )
    op.create_index(op.f("ix_undecided_entry_id"), "undecided", ["entry_id"])
    op.execute(
        "INSERT INTO undecided (newsletter_id, entry_id) "
        "SELECT r.newsletter_id, e.id FROM newsletter_feed AS r JOIN entry AS e ON e.feed_id = r.feed_id "
        "WHERE NOT EXISTS (SELECT 1 FROM admission AS a WHERE a.newsletter_id = r.newsletter_id AND a.entry_id = e.id)"
    )
    op.create_index("ix_entry_feed_id_seen_at", "entry", ["feed_id", "seen_at", "id"])
    op.create_index("ix_entry_changed_at", "entry", ["changed_at"])
    op.create_index("ix_entry_url", "entry", ["url"], postgresql_using="hash")
    op.create_index(
        "ix_entry_original_url",
        "entry",
        ["original_url"],
        postgresql_using="hash",
        sqlite_where=ORIGINAL,
        postgresql_where=ORIGINAL,
    )
    op.add_column("feed", sa.Column("entry_count", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE feed SET entry_count = (SELECT count(*) FROM entry WHERE entry.feed_id = feed.id)")
    op.create_index("ix_variant_fullest", "variant", ["edition_id", "story_count", "id"])
    op.create_index("ix_admission_held", "admission", ["entry_id"], sqlite_where=HELD, postgresql_where=HELD)
    op.create_index("ix_admission_decided_at", "admission", ["newsletter_id", "decided_at"])
    op.create_index("ix_story_label", "story", ["newsletter_id", "seq"], sqlite_where=LABELS, postgresql_where=LABELS)
    op.create_index("ix_outbox_unhad", "outbox", ["state", "id"], sqlite_where=UNHAD, postgresql_where=UNHAD)
    op.create_index("ix_outbox_doubt", "outbox", ["id"], sqlite_where=DOUBT, postgresql_where=DOUBT)
    op.add_column("edition", sa.Column("tally", sa.JSON(none_as_null=True), nullable=True))
    _count()
    op.create_index("ix_edition_upto", "edition", ["newsletter_id", "upto_seq", "number"])
    op.create_index("ix_edition_live", "edition", ["id"], sqlite_where=LIVE, postgresql_where=LIVE)


def _count() -> None:
    """The letters of editions that have all ended."""
    connection = op.get_bind()
    owed = sa.text(
        "SELECT e.id, coalesce(sum(v.letters), 0) FROM edition AS e LEFT JOIN variant AS v ON v.edition_id = e.id "
        "GROUP BY e.id"
    )
    tallies: dict[int, dict[str, int]] = {id_: {"owed": int(sum_)} for id_, sum_ in connection.execute(owed)}
    rows = connection.execute(
        sa.text(
            "SELECT edition_id, state, count(*), count(settled_at), sum(CASE WHEN in_doubt THEN 1 ELSE 0 END) "
            "FROM outbox WHERE edition_id IS NOT NULL GROUP BY edition_id, state"
        )
    )
    live = set()
    for id_, state, letters, settled, doubtful in rows:
        if settled < letters:
            live.add(id_)
        tallies[id_][state] = letters
        tallies[id_]["in_doubt"] = tallies[id_].get("in_doubt", 0) + int(doubtful or 0)
    edition = sa.table("edition", sa.column("id", sa.Integer), sa.column("tally", sa.JSON(none_as_null=True)))
    for id_, tally in tallies.items():
        if id_ not in live:
            connection.execute(sa.update(edition).where(edition.c.id == id_).values(tally=tally))
