"""The tables of mail that came back: what each was, what followed, and how far a mailbox was read."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import JSON, Index, LargeBinary
from sqlmodel import Field, Session, SQLModel, col

from digest.column_types import UtcTime, letter_field, only
from digest.models import Notice


class MailReport(SQLModel, table=True):
    """A mail that came back, once however often it comes; and what followed, with what it was before."""

    __tablename__ = "mail_report"
    __table_args__ = (
        Index(
            "ix_mail_report_kept",
            "read_at",
            info=only("raw IS NOT NULL"),
        ),
        Index("ix_mail_report_unproven", "id", info=only("proof = ''")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    hash: str = Field(unique=True)  # of what was written, without what servers put above it
    source: str  # where it was read
    read_at: datetime = Field(sa_type=UtcTime, index=True)
    said_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # its own Date:
    kind: str  # of `hear.Kind`: what it says of the reader of the letter, where it proves one
    reason: str = ""
    status: str = ""
    feedback: str = ""  # of a complaint
    proof: str = ""  # how it proves a letter of ours: verp, message-id, link, leave; "" not at all
    outbox_id: int | None = letter_field(
        default=None, foreign_key="outbox.id", index=True, ondelete="SET NULL", nullable=True
    )
    edition_id: int | None = Field(
        default=None, foreign_key="edition.id", index=True, ondelete="SET NULL", nullable=True
    )
    subscriber_id: int | None = Field(
        default=None, foreign_key="subscriber.id", index=True, ondelete="SET NULL", nullable=True
    )
    subscription_id: int | None = Field(default=None, foreign_key="subscription.id", ondelete="SET NULL", nullable=True)
    written_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # when the letter was taken
    address: str = Field(default="", index=True)  # `address_key` of whom it is about, or from; "" once erased
    domain: str = ""  # of the reader
    act: str  # of `hear.policy.Act`
    why: str = ""
    before: dict[str, Any] | None = Field(sa_type=JSON, default=None, nullable=True)  # what `undo` puts back
    undone_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)
    done_at: datetime | None = Field(default=None, sa_type=UtcTime, nullable=True)  # an ask that was answered
    copies: int = 0  # how often it came again
    # What strangers wrote, for as long as the settings say.
    sender: str = ""
    subject: str = ""
    text: str = ""
    raw: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)  # zlib


class MailFeed(SQLModel, table=True):
    """Who writes a feed that comes by mail."""

    __tablename__ = "mail_feed"

    feed_id: int | None = Field(default=None, primary_key=True, foreign_key="feed.id", ondelete="CASCADE")
    senders: list[str] = Field(sa_type=JSON, default_factory=list)  # "list:" and a List-Id, "from:" and an address


class MailSource(SQLModel, table=True):
    """How far a mailbox was read that keeps no flags; and of webhooks, which tokens came and what was refused."""

    __tablename__ = "mail_source"

    name: str = Field(primary_key=True)
    mark: str = ""  # as its `Source` understands it
    read_at: datetime = Field(sa_type=UtcTime)


def forget(session: Session, key: str, subscriber_id: int | None) -> int:
    """Take a person out of the mails that came back; what is counted stays."""
    theirs: Any = col(MailReport.address) == key
    if subscriber_id is not None:
        theirs = sa.or_(theirs, col(MailReport.subscriber_id) == subscriber_id)
    # What they wrote was perhaps passed on.
    notes = sa.select(sa.literal("forward:").concat(sa.cast(col(MailReport.id), sa.String))).where(theirs)
    session.connection().execute(sa.delete(Notice).where(col(Notice.key).in_(notes)))
    emptied = {
        "raw": None,
        "text": "",
        "subject": "",
        "sender": "",
        "address": "",
        "domain": "",
        "why": "",
        "before": None,
    }
    return session.connection().execute(sa.update(MailReport).where(theirs).values(**emptied)).rowcount


def rename_person(session: Session, old: str, new: str) -> None:
    """What somebody wrote from the address they had, or what is said of it, is theirs still: found, and forgotten."""
    theirs = sa.update(MailReport).where(col(MailReport.address) == old)
    session.connection().execute(theirs.values(address=new))
