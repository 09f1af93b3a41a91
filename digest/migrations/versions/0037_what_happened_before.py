"""Let stories be looked up by what may continue them."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_EDITIONS = 60  # of each newsletter, whose stories a run soon has looked up


def upgrade() -> None:
    op.create_table(
        "story_word",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletter.id"],
            name=op.f("fk_story_word_newsletter_id_newsletter"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["story_id"], ["story.id"], name=op.f("fk_story_word_story_id_story"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "word", "story_id", name=op.f("pk_story_word")),
    )
    op.create_index(op.f("ix_story_word_story_id"), "story_word", ["story_id"])
    # The words of a title are told by Python: a run does it, as for editions that have just opened.
    op.execute(
        "UPDATE edition SET findable = false WHERE state = 'open' AND number > "  # noqa: S608 (a number of ours)
        f"(SELECT edition_number FROM newsletter WHERE newsletter.id = edition.newsletter_id) - {_EDITIONS}"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_story_word_story_id"), "story_word")
    op.drop_table("story_word")
