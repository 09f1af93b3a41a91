"""The tables by which a database that was put back is known, and goes on from where its letters were."""

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel


class Installation(SQLModel, table=True):
    """Whose database this is, and how much has happened in it: one row. See `store.witness`."""

    __tablename__ = "installation"

    id: str = Field(primary_key=True)  # a UUID
    tick: int = 0  # transactions that a witness outside the database was told of
    # Where else letters of it go out, by the folder of each witness: the last tick that it was told.
    witnesses: dict[str, Any] = Field(
        sa_type=JSON, default_factory=dict, nullable=False, sa_column_kwargs={"server_default": "{}"}
    )
    # See `store.copies`.
    moved_to: str = Field(default="", sa_column_kwargs={"server_default": ""})  # where the database is now; "": here
    copying: str = Field(default="", sa_column_kwargs={"server_default": ""})  # JSON: of what this is to be a copy


class WitnessedEntry(SQLModel, table=True):
    """What a restored database has forgotten of an entry: its story was number `seq`, 0 for one that was held.

    Of a notice (newsletter 0): that it went out.
    """

    __tablename__ = "witnessed_entry"

    newsletter_id: int = Field(primary_key=True)
    mark: str = Field(primary_key=True)  # see `witness.marks`
    seq: int
