"""The tables of imports: which lists were taken in, what each changed of whom; and what moves brought."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from digest.column_types import PackedJson
from digest.models import UtcTime


class ListImport(SQLModel, table=True):
    """A list that was taken in, by its number."""

    __tablename__ = "list_import"

    id: int | None = Field(default=None, primary_key=True)
    newsletter_id: int = Field(foreign_key="newsletter.id", ondelete="CASCADE")
    name: str  # of the file
    at: datetime = Field(sa_type=UtcTime)
    vouched_by: str = ""
    counts: dict[str, int] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # rows by outcome
    consent_from: int = 0  # the numbers of its own lines in people's histories: behind this one,
    consent_to: int = 0  # and up to this one, where `ImportChange.consent_to` says none
    undone_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)


class ImportChange(SQLModel, table=True):
    """What an import changed of one person, and how it was before: kept as long as it can be taken back."""

    __tablename__ = "import_change"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # The key first, for whoever is erased; a list comes in the order of its keys.
    key: str = Field(primary_key=True)
    import_id: int = Field(primary_key=True, foreign_key="list_import.id", ondelete="CASCADE")
    what: str  # letters: person made, subscription made, ended, confirmed, x (suppressed), updated
    # Up to which line their history is the import's: a long one goes in steps. What came later, somebody changed since.
    consent_to: int | None = None
    stamp: int = 0  # of the name, tags and fields that it left, see `store.imports.stamp_of`
    state: str = ""  # as it was, where it ended or confirmed one
    paused_until: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    read_until: int | None = None
    reason: str = ""  # that it suppressed them for
    before: dict[str, Any] | None = Field(sa_type=JSON, default=None, nullable=True)  # what it updated


class Arrival(SQLModel, table=True):
    """A move from another tool: all that it brought besides readers, whose imports name it. See `store.arrivals`."""

    __tablename__ = "arrival"

    id: int | None = Field(default=None, primary_key=True)
    newsletter_id: int = Field(foreign_key="newsletter.id", ondelete="CASCADE")
    tool: str
    files: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)  # their names
    at: datetime = Field(sa_type=UtcTime)
    done_at: datetime | None = Field(
        default=None, sa_type=UtcTime, nullable=True
    )  # None: it was broken off, or goes on
    undone_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    feeds: list[int] = Field(sa_type=JSON, default_factory=list, nullable=False)  # that it stored
    readings: list[int] = Field(sa_type=JSON, default_factory=list, nullable=False)  # feeds that its newsletter took
    # By feed: what was known as sent before it said so too; None: nothing.
    before: dict[str, Any] = Field(sa_type=PackedJson, default_factory=dict, nullable=False)
    editions: list[int] = Field(sa_type=JSON, default_factory=list, nullable=False)  # their numbers
