"""The table of what a machine wrote of texts."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from digest.models import UtcTime


class Summary(SQLModel, table=True):
    """What a machine said of a text: asked once for each text, and not again before it is let go of."""

    __tablename__ = "summary"

    mark: str = Field(primary_key=True)  # of all that it was made of: see `curate.summaries.mark`
    made_at: datetime = Field(sa_type=UtcTime, index=True)
    model: str = ""
    tokens: int = 0  # that it cost
    text: str = ""  # "" where its answer was not believed
    why: str = ""  # why not
