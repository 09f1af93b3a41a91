"""What happened with one person: where they stand, what they consented to, what they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import Edition, Newsletter, Notice, OutboxRow, Subscriber, Subscription, Variant
from digest.store import rolls
from digest.store.consent_tables import Consent
from digest.store.people import subscriptions_of
from digest.taste import Taste


@dataclass(frozen=True)
class Standing:
    """A subscription as it is shown. `state` is "suppressed" where the address is."""

    newsletter: str
    state: str
    topics: tuple[str, ...]
    cadence: str
    hour: int | None
    zone: str
    language: str
    format: str  # "text" or "html"
    paused_until: datetime | None
    consent: str
    created_at: datetime
    changed_at: datetime
    max_stories: int | None = None
    muted_words: tuple[str, ...] = ()
    muted_sources: tuple[str, ...] = ()
    muted_topics: tuple[str, ...] = ()
    story_languages: tuple[str, ...] = ()
    more_of: tuple[str, ...] = ()
    less_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moment:
    """One line of a person's consent history. `newsletter` is "" where all are meant."""

    at: datetime
    event: str
    newsletter: str
    how: str
    vouched_by: str
    ip: str
    detail: str


@dataclass(frozen=True)
class Post:
    """One letter to a person, and what became of it. A notice is of no newsletter."""

    newsletter: str
    edition: int | None
    subject: str
    written_at: datetime
    state: str
    settled_at: datetime | None
    attempts: int
    code: int
    reply: str


def standings(session: Session, person: Subscriber) -> list[Standing]:
    return [
        Standing(
            newsletter=name,
            state=s.state,
            topics=tuple(s.topics),
            cadence=s.cadence,
            hour=s.hour,
            zone=s.zone,
            language=s.language,
            format="text" if s.plain else "html",
            paused_until=s.paused_until,
            consent=s.consent,
            created_at=s.created_at,
            changed_at=s.changed_at,
            **vars(Taste.of(s.taste)),
        )
        for s, name in subscriptions_of(session, person)
    ]


def moments(session: Session, person: Subscriber) -> list[Moment]:
    """A person's consent history, oldest first."""
    rows = session.exec(
        select(Consent, Newsletter.name)
        .outerjoin(Newsletter, col(Newsletter.id) == Consent.newsletter_id)
        .where(Consent.subscriber_id == person.id)
        .order_by(col(Consent.at), col(Consent.id))
    ).all()
    return [Moment(c.at, c.event, name or "", c.how, c.vouched_by, c.ip, c.detail) for c, name in rows]


def posts(session: Session, person: Subscriber) -> list[Post]:
    """The letters to a person, newest first."""
    fate = [
        col(c) for c in (OutboxRow.state, OutboxRow.settled_at, OutboxRow.attempts, OutboxRow.code, OutboxRow.reply)
    ]
    editions = (
        sa.select(col(Newsletter.name), col(Edition.number), col(Variant.subject), col(Edition.composed_at), *fate)
        .select_from(OutboxRow)
        .join(Edition, col(Edition.id) == OutboxRow.edition_id)
        .join(Newsletter, col(Newsletter.id) == Edition.newsletter_id)
        .join(Variant, col(Variant.id) == OutboxRow.variant_id)
        .where(col(OutboxRow.subscriber_id) == person.id)
    )
    theirs = sa.select(col(Subscription.id)).where(col(Subscription.subscriber_id) == person.id)
    notices = (
        sa.select(sa.literal(""), sa.null(), col(Notice.subject), col(Notice.created_at), *fate)
        .select_from(OutboxRow)
        .join(Notice, col(Notice.id) == OutboxRow.notice_id)
        .where(sa.or_(col(Notice.address) == person.key, col(Notice.subscription_id).in_(theirs)))
    )
    connection = session.connection()
    letters = [Post(*row) for query in (editions, notices) for row in connection.execute(query)]
    for past in rolls.of_person(session, person.id or 0):
        # Of what is in rolls nobody wrote down how often it was tried, and what the server said.
        about = (past.newsletter, past.number, past.subject, past.composed_at)
        letters.append(Post(*about, past.state, past.at, int(past.state != "dropped"), past.code, ""))
    return sorted(letters, key=lambda letter: letter.written_at, reverse=True)
