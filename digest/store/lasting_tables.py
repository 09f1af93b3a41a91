"""The table of how feed readers know what the archive shows."""

from sqlmodel import Field, SQLModel


class LastingId(SQLModel, table=True):
    """By what a newsletter's editions and stories are known in our feeds, wherever they are at home by then.

    What a former release published was known by its address; it goes on to be, by the address of that time.
    """

    __tablename__ = "lasting_id"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    tag: str = ""  # how each id begins (RFC 4151); "" until a command knew the settings
    home: str = ""  # the address of its page when this was written down; "" not yet, or of no use
    number: int = 0  # the last edition that is known by its address
    seq: int = 0  # and the last story
