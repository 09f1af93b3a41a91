"""Keep the words of stories that went out, so that they are found."""

import sqlalchemy as sa
from alembic import op

from digest.store.archive_tables import AS_VECTOR, Lexemes

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# External content (SQLite, "FTS5 External Content Tables" §4.4.3): the words stand in `archive_words` alone.
_SQLITE = (
    """CREATE VIRTUAL TABLE archive_index USING fts5(
        words, content='archive_words', content_rowid='story_id',
        tokenize="unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
    )""",
    """CREATE TRIGGER archive_index_insert AFTER INSERT ON archive_words BEGIN
        INSERT INTO archive_index (rowid, words) VALUES (new.story_id, new.words);
    END""",
    """CREATE TRIGGER archive_index_delete AFTER DELETE ON archive_words BEGIN
        INSERT INTO archive_index (archive_index, rowid, words) VALUES ('delete', old.story_id, old.words);
    END""",
    """CREATE TRIGGER archive_index_update AFTER UPDATE ON archive_words BEGIN
        INSERT INTO archive_index (archive_index, rowid, words) VALUES ('delete', old.story_id, old.words);
        INSERT INTO archive_index (rowid, words) VALUES (new.story_id, new.words);
    END""",
)
_UNFOUND = sa.text("NOT findable AND state = 'open'")


def upgrade() -> None:
    op.create_table(
        "archive_words",
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("words", Lexemes(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_archive_words_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["story_id"], ["story.id"], name=op.f("fk_archive_words_story_id_story"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("story_id", name=op.f("pk_archive_words")),
    )
    op.create_index(op.f("ix_archive_words_edition_id"), "archive_words", ["edition_id"])
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SQLITE:
            op.execute(statement)
    else:
        op.create_index("archive_index", "archive_words", [sa.text(AS_VECTOR)], postgresql_using="gin")
    op.add_column("edition", sa.Column("findable", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_edition_unfound", "edition", ["id"], sqlite_where=_UNFOUND, postgresql_where=_UNFOUND)


def downgrade() -> None:
    op.drop_index("ix_edition_unfound", "edition")
    op.drop_column("edition", "findable")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE archive_index")
    op.drop_table("archive_words")
