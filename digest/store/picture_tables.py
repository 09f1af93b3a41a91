"""The tables of pictures: which an entry has, and the copies of ours that mails and pages show."""

from datetime import datetime

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

import digest.store.story_tables  # noqa: F401  (to which these refer)
from digest.models import UtcTime


class EntryPicture(SQLModel, table=True):
    """The picture of an entry that may stand in an edition, and what became of each that it might have had.

    `hero`, `thumb` and `small` name a `PictureFile`, "" is none. While they are all "" there is no picture.
    """

    __tablename__ = "entry_picture"

    entry_id: int = Field(foreign_key="entry.id", primary_key=True, ondelete="CASCADE")
    tries: int = 0  # begun; at `pictures.TRIES` nobody asks any more
    next_at: datetime = Field(sa_type=UtcTime)  # not asked before; also the lease of who is asking
    asked_at: datetime = Field(sa_type=UtcTime)  # last
    tried: list[list[str]] = Field(sa_type=JSON, default_factory=list, nullable=False)  # [address, why not], "" taken
    url: str = Field(default="", index=True)  # of the one that was taken
    etag: str = ""
    last_modified: str = ""
    print: str = ""  # what it shows, alike at any size: see `parse.pictures`
    width: int = 0  # as its publisher has it
    height: int = 0
    ground: str = ""  # its colour in all, "#rrggbb"
    hero: str = ""
    hero_width: int = 0
    hero_height: int = 0
    thumb: str = ""
    small: str = ""


class PictureFile(SQLModel, table=True):
    """A JPEG of ours, named by the SHA-256 of its bytes."""

    __tablename__ = "picture_file"

    name: str = Field(primary_key=True)
    size: int  # bytes of it
    used_at: datetime = Field(sa_type=UtcTime, index=True)  # made last, or put into a mail last
    data: bytes = Field(sa_type=LargeBinary, nullable=False)  # behind what is asked without it
