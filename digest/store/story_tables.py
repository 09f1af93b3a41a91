"""The tables of what feeds brought: entries, what newsletters decided about them, and the stories made of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from digest.column_types import json_field as _json
from digest.column_types import only
from digest.column_types import state_field as _state
from digest.column_types import time_field as _time


class Entry(SQLModel, table=True):
    """One thing in a feed, as the feed gave it, cleaned but not judged. Kept once per feed."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("feed_id", "key"),
        Index("ix_entry_fault", "feed_id", info=only("fault <> ''")),
        Index("ix_entry_url", "url", info=only(hashed=True)),  # longer than its B-trees take
        Index("ix_entry_original_url", "original_url", info=only("original_url <> ''", hashed=True)),
        Index("ix_entry_changed_at", "changed_at"),
        Index("ix_entry_feed_id_seen_at", "feed_id", "seen_at", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = Field(foreign_key="feed.id", index=True, ondelete="CASCADE")
    key: str  # its name within the feed: guid, else link, else a hash; which one it is, `digest.identity` decides
    twin: str = ""  # of link and title: by it an entry is looked up under another key
    url: str = ""
    original_url: str = ""  # where an aggregator's or proxy's link really leads (feedburner:origLink, canonical)
    title: str = ""  # plain text
    author: str = ""  # plain text
    summary: str = ""  # clean HTML
    content: str = ""  # clean HTML
    categories: list[str] = _json(default_factory=list)
    language: str = ""  # BCP 47, declared or guessed, "" unknown
    image_url: str = ""
    enclosures: list[dict[str, Any]] = _json(default_factory=list)
    published_at: datetime | None = _time(default=None, nullable=True)  # what the publisher says: decides nothing
    updated_at: datetime | None = _time(default=None, nullable=True)
    seen_at: datetime = _time()  # when we first stored it
    content_hash: str = ""
    gist: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)  # see parse.gist; None: not made yet
    # Why it was set aside, its text unread: it would have taken too long, say.
    fault: str = Field(default="", sa_column_kwargs={"server_default": ""})
    guid: str | None = Field(default=None, nullable=True)  # as it was given; None: a former release kept it as `key`
    text_hash: str = Field(default="", sa_column_kwargs={"server_default": ""})  # of its words, "" unknown or few
    changed_at: datetime | None = _time(default=None, nullable=True)  # since when it is as it is; None: long since
    withdrawn_at: datetime | None = _time(default=None, nullable=True)  # when we saw that its publisher took it back
    points: int | None = Field(default=None, nullable=True)  # votes, else comments, as its feed says; None: it does not


class Decision(StrEnum):
    STORY = "story"  # became a story
    JOINED = "joined"  # tells a story that another entry had told
    MUTED = "muted"  # a rule said no
    HELD = "held"  # a new feed's archive, or a flood: marked seen


# Queries say it in the same words.
HELD = text("decision = 'held'")


class Admission(SQLModel, table=True):
    """What a newsletter decided about an entry, and why: one row for each of its entries."""

    __tablename__ = "admission"
    __table_args__ = (
        Index("ix_admission_link", "newsletter_id", "link"),
        Index("ix_admission_held", "entry_id", info=only(HELD)),
        Index("ix_admission_decided_at", "newsletter_id", "decided_at"),
    )

    newsletter_id: int = Field(foreign_key="newsletter.id", primary_key=True, ondelete="CASCADE")
    entry_id: int = Field(foreign_key="entry.id", primary_key=True, index=True, ondelete="CASCADE")
    decision: Decision = _state(Decision)
    reason: str = ""
    link: str = ""  # the normalised link by which another entry is known to tell the same
    story_id: int | None = Field(default=None, foreign_key="story.id", index=True, ondelete="CASCADE")
    decided_at: datetime = _time()


# Stories whose topic somebody knew, as against those whose topic was guessed. Queries say it in the same words.
LABELS = text("topic_step IN ('moved', 'rule', 'category')")


class Story(SQLModel, table=True):
    """What a newsletter makes of one or more entries. `seq` is its place in the order of admission."""

    __tablename__ = "story"
    __table_args__ = (
        UniqueConstraint("newsletter_id", "seq"),
        Index("ix_story_topic", "newsletter_id", "topic", "seq"),
        # Those that say what belongs under a topic: see `entries.labelled`.
        Index("ix_story_label", "newsletter_id", "seq", info=only(LABELS)),
    )

    id: int | None = Field(default=None, primary_key=True)
    newsletter_id: int = Field(foreign_key="newsletter.id", ondelete="CASCADE")
    seq: int
    entry_id: int = Field(foreign_key="entry.id", index=True, ondelete="CASCADE")  # the one that represents it
    topic: str  # a slug of the settings, or "other"
    topic_step: str = ""  # which step chose it: moved, rule, feed, category, words, keywords, none
    url: str
    title: str
    source: str  # the feed's title
    author: str = ""
    excerpt: str = ""  # plain text
    language: str = ""
    image_url: str = ""
    reading_minutes: int = 0
    published_at: datetime = _time()  # the publisher's word, bounded by when we saw it: for show, decides nothing
    admitted_at: datetime = _time()
    rank: float = 0.0  # without its freshness, which depends on when it is asked
    pinned: bool = False
    dropped: bool = False  # an editor's word
    reasons: dict[str, Any] = _json(default_factory=dict)  # why this topic, these sources, this rank


class VariantStory(SQLModel, table=True):
    """Which stories a variant carries, in order; those beyond `max_stories` are counted only."""

    __tablename__ = "variant_story"

    variant_id: int = Field(foreign_key="variant.id", primary_key=True, ondelete="CASCADE")
    position: int = Field(primary_key=True)
    story_id: int = Field(foreign_key="story.id", index=True, ondelete="CASCADE")
