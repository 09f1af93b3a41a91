"""The tables of what hangs on feeds: pages of their stubs, the lists that name them, the hubs that tell of them."""

from datetime import datetime

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

import digest.store.story_tables  # noqa: F401  (to which these refer)
from digest.column_types import Packed
from digest.models import UtcTime


class Undecided(SQLModel, table=True):
    """An entry about which a newsletter that reads its feed has not decided: what each run looks at, at any age.

    A superset: `entries.waiting` says what waits. `feed_entries` and `feeds.read` add to it, decisions take from it.
    """

    __tablename__ = "undecided"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    entry_id: int = Field(foreign_key="entry.id", primary_key=True, index=True, ondelete="CASCADE")


class FullText(SQLModel, table=True):
    """What the page of an entry says, where its feed gives a stub: read for a story that stands for an edition."""

    __tablename__ = "full_text"

    entry_id: int = Field(foreign_key="entry.id", primary_key=True, ondelete="CASCADE")
    tries: int = 0  # begun; at `full_texts.TRIES` nobody asks any more
    next_at: datetime = Field(sa_type=UtcTime)  # not asked before; also the lease of who is asking
    asked_at: datetime = Field(sa_type=UtcTime)  # last
    why: str = ""  # it was not taken, in words; "" where it was, or where somebody is asking
    text: str = Field(default="", sa_type=Packed, nullable=False)  # plain, a paragraph a line
    gist: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)  # of `text`; None: not taken
    link: str = Field(default="", index=True)  # normalised: where the page says it is, "" where the entry said so
    image_url: str = Field(default="", sa_column_kwargs={"server_default": ""})  # the picture that the page names


class Robots(SQLModel, table=True):
    """What an origin (scheme, host and port) lets us read: our part of its robots.txt (RFC 9309), for a day."""

    __tablename__ = "robots"

    origin: str = Field(primary_key=True)
    rules: str = Field(default="", sa_type=Packed, nullable=False)  # see collect.robots
    read_at: datetime = Field(sa_type=UtcTime)


class FeedList(SQLModel, table=True):
    """A list of feeds on the web that a newsletter took: what `digest feed import --refresh` reads again."""

    __tablename__ = "feed_list"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    url: str = Field(primary_key=True)
    format: str = ""  # "opml", "text", "csv" or "newsboat", "" as it is found
    folders: list[str] = Field(sa_type=JSON, default_factory=list, nullable=False)  # under which its feeds stand


class WebSub(SQLModel, table=True):
    """A hub that tells us when a feed has something new (W3C WebSub), and how we stand with it."""

    __tablename__ = "websub"

    feed_id: int = Field(primary_key=True, foreign_key="feed.id", ondelete="CASCADE")
    hub: str
    topic: str  # the feed, as its hub calls it
    token: str = Field(unique=True)  # secret: of the address at which we are told
    secret: str  # what the hub signs with
    pending: str = ""  # "subscribe" or "unsubscribe" while the hub has been asked and has not asked back
    due_at: datetime = Field(
        sa_type=UtcTime, index=True
    )  # when to ask the hub (again); also the lease of who is asking
    lease_until: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    verified_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    pinged_at: datetime | None = Field(
        default=None, sa_type=UtcTime, nullable=True
    )  # last, by somebody who knows the secret
    missed: int = 0  # times in a row that there was something new and the hub had said nothing
    failures: int = 0  # in a row
    error: str = ""  # the last one, in words


class FeedSeen(SQLModel, table=True):
    """What another tool had sent of a feed before a newsletter took it over: by it the first edition repeats nothing.

    `marks` are hashes of ids and links, see `store.seen`. What was published until `until` counts as sent, where ids
    do not tell: for all entries (`by_date`), or for those without an id of their own.
    """

    __tablename__ = "feed_seen"

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    feed_id: int = Field(foreign_key="feed.id", primary_key=True, index=True, ondelete="CASCADE")
    tool: str
    marks: str = Field(default="", sa_type=Packed, nullable=False)  # words of 16 letters, a space between
    until: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    by_date: bool = False
