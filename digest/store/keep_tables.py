"""The tables of what is kept in few bytes: letters long settled, marks of entries that are gone, how far pruning is."""

from sqlalchemy import JSON, BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel

from digest.column_types import letter_field


class LetterRoll(SQLModel, table=True):
    """Settled letters of an edition in one row, in the place of their rows in the outbox: see `store.rolls`."""

    __tablename__ = "letter_roll"
    __table_args__ = (Index("ix_letter_roll_last_id", "last_id"),)

    edition_id: int = Field(foreign_key="edition.id", primary_key=True, ondelete="CASCADE")
    first_id: int = letter_field(primary_key=True)  # of the letters' numbers
    last_id: int = letter_field()
    # The lowest and the highest number of a subscription in it; None where an older release wrote it, 0 where none is.
    first_subscription: int | None = None
    last_subscription: int | None = None
    letters: int
    sent: int
    refused: int
    dropped: int
    in_doubt: int
    content: bytes = Field(sa_type=LargeBinary)
    digest: str  # of all this, by which it is known to be what was written


class PrunedMark(SQLModel, table=True):
    """By what an entry that is gone is known again, should its feed (newsletter 0) or another bring it once more."""

    __tablename__ = "pruned_mark"
    __table_args__ = ({"sqlite_with_rowid": False},)

    newsletter_id: int = Field(primary_key=True)
    mark: int = Field(primary_key=True, sa_type=BigInteger)  # 63 bits of a hash


class Pruning(SQLModel, table=True):
    """How far the pruning of one kind of rows has come: see `store.keeping`."""

    __tablename__ = "pruning"

    kind: str = Field(primary_key=True)
    day: str = ""  # on which it was done last, as 2026-11-29
    after: int = 0  # the number of the row that was looked at last
    begun: str = ""  # the day on which it began from the first row last
    rows: int = Field(default=0, sa_type=BigInteger)  # pruned so far, in all
    held: dict[str, int] = Field(sa_type=JSON, default_factory=dict, nullable=False)  # kept since then, by why
