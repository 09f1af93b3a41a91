"""The table of what newsletters, topics and subscriptions were called before."""

from sqlmodel import Field, SQLModel


class FormerName(SQLModel, table=True):
    """What a newsletter, one of its topics, or by its number a subscription was called before: links to it lead on."""

    __tablename__ = "former_name"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    kind: str = Field(primary_key=True)  # "newsletter", "topic" or "subscription"
    old: str = Field(primary_key=True)
    new: str = ""  # of a topic or subscription; a newsletter's is in its row
