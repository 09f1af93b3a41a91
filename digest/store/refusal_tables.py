"""The table of how many letters of an edition were refused, by which all its senders judge it."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from digest.column_types import UtcTime


class RefusalCount(SQLModel, table=True):
    """How many of an edition's letters were taken and refused since it was opened, by all senders together."""

    __tablename__ = "refusal_count"

    edition_id: int = Field(foreign_key="edition.id", primary_key=True, ondelete="CASCADE")
    since: datetime = Field(sa_type=UtcTime, primary_key=True)  # when it was opened, or else composed
    sent: int = 0
    refused: int = 0
    gone: int = 0  # of these: no such mailbox
    content: int = 0  # and for what it says, or who sends it
    quarantined: bool = False  # so many are said to have no mailbox that nobody is barred for it
