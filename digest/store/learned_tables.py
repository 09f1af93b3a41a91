"""The table of what a newsletter's labels have taught."""

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel


class Learned(SQLModel, table=True):
    """What was learnt for a newsletter, as `digest.curate.learning.Kept` packs it. Without it all is learnt anew."""

    __tablename__ = "learned"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    packed: bytes = Field(sa_type=LargeBinary)
