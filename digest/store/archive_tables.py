"""The tables of words by which stories that were sent are found, and the index over them that each database makes."""

from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

import digest.store.story_tables  # noqa: F401  (to which these refer)


class Lexemes(TypeDecorator[list[str]]):
    """Words without signs in them, each once and sorted, as text with a space between two."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(set(value)))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> list[str] | None:
        return None if value is None else str(value).split()


# Words are found as they are given: PostgreSQL's own parser would take them apart by its locale.
AS_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"


class ArchiveWords(SQLModel, table=True):
    """What a story that went out is found by, and the edition that it was in last."""

    __tablename__ = "archive_words"

    story_id: int = Field(foreign_key="story.id", primary_key=True, ondelete="CASCADE")
    edition_id: int = Field(foreign_key="edition.id", index=True, ondelete="CASCADE")
    words: list[str] = Field(sa_type=Lexemes, nullable=False)


class StoryWord(SQLModel, table=True):
    """A word that tells a story that went out from others: by them what may continue it finds it."""

    __tablename__ = "story_word"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    word: str = Field(primary_key=True)
    story_id: int = Field(foreign_key="story.id", primary_key=True, index=True, ondelete="CASCADE")
