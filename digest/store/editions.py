"""Newsletters, editions and their variants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.models import (
    Edition,
    EditionState,
    Feed,
    Newsletter,
    NewsletterFeed,
    OutboxRow,
    OutboxState,
    Story,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    UtcTime,
    Variant,
    VariantStory,
    address_key,
)
from digest.store.database import Database, insert_into


@dataclass(frozen=True)
class Choices:
    """What a group of subscriptions has in common, and so which variant they get. No topics means all."""

    since: int
    topics: frozenset[str]
    count: int = 0


def keep_newsletters(database: Database, names: Iterable[str], *, now: datetime) -> None:
    """Give each newsletter of the settings its row; one that left the settings keeps its history."""
    with database.read() as session:
        known = set(session.exec(select(Newsletter.name)))
    missing = set(names) - known
    if missing:
        with database.write() as session:
            known = set(session.exec(select(Newsletter.name)))
            session.add_all(Newsletter(name=name, slot_at=now) for name in sorted(missing - known))


def newsletter(session: Session, name: str) -> Newsletter:
    """The row of a newsletter that `keep_newsletters` has seen."""
    return session.exec(select(Newsletter).where(Newsletter.name == name)).one()


def lock_newsletter(session: Session, name: str) -> Newsletter:
    """The row, ours alone until the transaction ends: one admission and one composition at a time.

    On SQLite the write transaction is the lock already.
    """
    return session.exec(select(Newsletter).where(col(Newsletter.name) == name).with_for_update()).one()


def newsletters(session: Session) -> dict[str, Newsletter]:
    """All newsletters that ever were in the settings, by name."""
    return {row.name: row for row in session.exec(select(Newsletter))}


def due_choices(session: Session, newsletter_id: int) -> list[Choices]:
    """How many active, unsuppressed subscriptions share each (watermark, topics)."""
    query = (
        select(Subscription.read_until, _topics_text(), sa.func.count())
        .where(*_deliverable(newsletter_id))
        .group_by(col(Subscription.read_until), _topics_text())
        .order_by(col(Subscription.read_until), _topics_text())
    )
    return [Choices(since, frozenset(json.loads(topics)), count) for since, topics, count in session.exec(query)]


def owe_letters(session: Session, variant: Variant, choices: Choices, *, newsletter_id: int, now: datetime) -> int:
    """One outbox row for each subscription with these choices, and their watermark moved; how many.

    One INSERT … SELECT, in the transaction that saves the edition: either everyone is owed a letter or no one.
    """
    edition = session.get_one(Edition, variant.edition_id)
    chosen = (
        *_deliverable(newsletter_id),
        col(Subscription.read_until) == choices.since,
        _topics_text() == json.dumps(sorted(choices.topics)),
    )
    constant = sa.literal
    rows = sa.select(
        constant(edition.id).label("edition_id"),
        constant(variant.id).label("variant_id"),
        col(Subscription.subscriber_id),
        col(Subscription.id),
        constant(OutboxState.OWED.value).label("state"),
        constant(now, UtcTime).label("due_at"),
        constant(0).label("attempts"),
        constant(now, UtcTime).label("created_at"),
        constant(0).label("code"),
        constant("").label("reply"),
        constant(False).label("in_doubt"),
    ).where(*chosen)
    names = ["edition_id", "variant_id", "subscriber_id", "subscription_id", "state", "due_at", "attempts"]
    names += ["created_at", "code", "reply", "in_doubt"]
    session.execute(sa.insert(OutboxRow).from_select(names, rows))
    result = session.execute(sa.update(Subscription).where(*chosen).values(read_until=edition.upto_seq))
    variant.letters = int(result.rowcount)  # type: ignore[attr-defined]
    return variant.letters


WELCOME_FOR = timedelta(days=7)  # an older edition is no welcome


def owe_welcome(session: Session, subscription: Subscription, *, now: datetime) -> bool:
    """Owe the latest edition to who has just come, so that they need not wait for the next; False where there is none.

    It is the variant made for choices like theirs, or else the one that most readers got: nothing is rendered. Not
    an edition that is held, paused, cancelled or older than `WELCOME_FOR`, and none that they were owed before.
    """
    latest = session.exec(
        select(Edition)
        .where(Edition.newsletter_id == subscription.newsletter_id)
        .order_by(col(Edition.number).desc())
        .limit(1)
    ).first()
    if latest is None or latest.state is not EditionState.OPEN or latest.composed_at < now - WELCOME_FOR:
        return False
    alike = (
        sa.cast(col(Variant.topics), sa.Text) == json.dumps(subscription.topics),
        col(Variant.plain).is_(subscription.plain),
        col(Variant.language) == subscription.language,
    )
    variant_id = session.exec(
        select(Variant.id)
        .where(Variant.edition_id == latest.id)
        .order_by(sa.and_(*alike).desc(), *(same.desc() for same in alike[1:]))
        .order_by(col(Variant.letters).desc(), col(Variant.id))
        .limit(1)
    ).first()
    if variant_id is None:
        return False
    letter = {
        "edition_id": latest.id,
        "variant_id": variant_id,
        "subscriber_id": subscription.subscriber_id,
        "subscription_id": subscription.id,
        "due_at": now,
        "created_at": now,
    }
    owed = session.connection().execute(
        insert_into(session, OutboxRow).values(letter).on_conflict_do_nothing().returning(col(OutboxRow.id))
    )
    if owed.scalar() is None:
        return False
    more = sa.update(Variant).where(col(Variant.id) == variant_id).values(letters=Variant.letters + 1)
    session.execute(more, execution_options={"synchronize_session": False})
    subscription.read_until = latest.upto_seq
    session.add(subscription)
    return True


def _deliverable(newsletter_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    suppressed = (
        select(Suppression.key)
        .join(Subscriber, col(Subscriber.key) == col(Suppression.key))
        .where(Subscriber.id == Subscription.subscriber_id)
    )
    return (
        col(Subscription.newsletter_id) == newsletter_id,
        col(Subscription.state) == SubscriptionState.ACTIVE,
        ~suppressed.exists(),
    )


def _topics_text() -> sa.ColumnElement[str]:
    """The choice of topics as the text it is stored as, which both databases can group by."""
    return sa.cast(col(Subscription.topics), sa.Text)


@dataclass(frozen=True)
class EditionLine:
    """An edition and how its letters stand, as `digest edition list` shows it."""

    id: int
    newsletter: str
    number: int
    subject: str
    composed_at: datetime
    stories: int
    variants: int
    letters: dict[str, int]


def edition_lines(session: Session, *, newsletter: str | None = None, limit: int = 50) -> list[EditionLine]:
    """The newest editions first."""
    query = select(Edition, Newsletter.name).join(Newsletter).order_by(col(Edition.id).desc()).limit(limit)
    if newsletter is not None:
        query = query.where(Newsletter.name == newsletter)
    return [_line(session, edition, name) for edition, name in session.exec(query)]


def edition_line(session: Session, newsletter_id: int, number: int) -> EditionLine | None:
    query = (
        select(Edition, Newsletter.name)
        .join(Newsletter)
        .where(Edition.newsletter_id == newsletter_id, Edition.number == number)
    )
    found = session.exec(query).first()
    return _line(session, *found) if found else None


def _line(session: Session, edition: Edition, name: str) -> EditionLine:
    assert edition.id is not None
    variants = edition_variants(session, edition.id)
    return EditionLine(
        id=edition.id,
        newsletter=name,
        number=edition.number,
        subject=variants[0].subject if variants else "",
        composed_at=edition.composed_at,
        stories=max((v.story_count for v in variants), default=0),
        variants=len(variants),
        letters=letter_counts(session, edition_id=edition.id),
    )


def edition_row(session: Session, name: str, number: int) -> Edition | None:
    """An edition by its newsletter's name and its number."""
    query = select(Edition).join(Newsletter).where(Newsletter.name == name, Edition.number == number)
    return session.exec(query).first()


def held_editions(session: Session, newsletter_id: int) -> list[Edition]:
    """The editions that wait for their editor, the newest first."""
    query = select(Edition).where(Edition.newsletter_id == newsletter_id, Edition.state == EditionState.HELD)
    return list(session.exec(query.order_by(col(Edition.number).desc())))


def forget_stories(session: Session, variant_id: int) -> None:
    """Empty a variant, to be filled again."""
    session.execute(sa.delete(VariantStory).where(col(VariantStory.variant_id) == variant_id))


def story_id_at(session: Session, newsletter_id: int, seq: int, *, title: str) -> int | None:
    """The story admitted as number `seq`, if that is its title."""
    query = select(Story.id).where(Story.newsletter_id == newsletter_id, Story.seq == seq, Story.title == title)
    return session.exec(query).first()


def variant_of(session: Session, edition_id: int, email: str) -> int | None:
    """The variant that one person was owed."""
    query = (
        select(OutboxRow.variant_id)
        .join(Subscriber, col(Subscriber.id) == col(OutboxRow.subscriber_id))
        .where(OutboxRow.edition_id == edition_id, Subscriber.key == address_key(email))
    )
    return session.exec(query).first()


def variant_story_ids(session: Session, variant_id: int) -> list[int]:
    """Its stories in their order."""
    query = select(VariantStory.story_id).where(VariantStory.variant_id == variant_id)
    return list(session.exec(query.order_by(col(VariantStory.position))))


def edition_variants(session: Session, edition_id: int) -> list[Variant]:
    """The variants of an edition, the fullest first."""
    query = select(Variant).where(Variant.edition_id == edition_id)
    return list(session.exec(query.order_by(col(Variant.story_count).desc(), col(Variant.id))))


def edition_stories(session: Session, edition_id: int) -> list[Story]:
    """Every story that some variant of the edition carries, in the order of the fullest one."""
    query = (
        select(Story, sa.func.min(VariantStory.position))
        .join(VariantStory, col(VariantStory.story_id) == col(Story.id))
        .join(Variant, col(Variant.id) == col(VariantStory.variant_id))
        .where(Variant.edition_id == edition_id)
        .group_by(col(Story.id))
        .order_by(sa.func.min(VariantStory.position), col(Story.id))
    )
    return [story for story, _ in session.exec(query)]


def letter_counts(session: Session, *, edition_id: int | None = None) -> dict[str, int]:
    """How many letters are in each state; states without any are left out."""
    query = select(OutboxRow.state, sa.func.count()).group_by(col(OutboxRow.state))
    if edition_id is not None:
        query = query.where(OutboxRow.edition_id == edition_id)
    return {OutboxState(state).value: count for state, count in session.exec(query)}


def variant_to_send(session: Session, variant_id: int) -> tuple[Variant, Edition, Newsletter]:
    """A variant with the edition and newsletter it belongs to."""
    query = (
        select(Variant, Edition, Newsletter)
        .join(Edition, col(Edition.id) == col(Variant.edition_id))
        .join(Newsletter, col(Newsletter.id) == col(Edition.newsletter_id))
        .where(Variant.id == variant_id)
    )
    return session.exec(query).one()


def composed_upto(session: Session, newsletter_id: int) -> int:
    """The story seq up to which some edition has been composed."""
    query = select(sa.func.max(Edition.upto_seq)).where(Edition.newsletter_id == newsletter_id)
    return session.exec(query).one() or 0


@dataclass(frozen=True)
class NewsletterStatus:
    """A newsletter's figures, as `digest status` shows them."""

    newsletter: str
    feeds: int
    failing: int
    subscribers: int
    stories_waiting: int
    last_edition: int
    last_edition_at: datetime | None


def newsletter_status(session: Session, name: str) -> NewsletterStatus:
    row = newsletter(session, name)
    assert row.id is not None
    feeds = select(sa.func.count()).select_from(NewsletterFeed).where(NewsletterFeed.newsletter_id == row.id)
    failing = feeds.join(Feed, col(Feed.id) == col(NewsletterFeed.feed_id)).where(Feed.failures > 0)
    subscribers = select(sa.func.count()).select_from(Subscription).where(*_deliverable(row.id))
    waiting = (
        select(sa.func.count())
        .select_from(Story)
        .where(Story.newsletter_id == row.id, Story.seq > composed_upto(session, row.id), col(Story.dropped).is_(False))
    )
    return NewsletterStatus(
        newsletter=name,
        feeds=session.exec(feeds).one(),
        failing=session.exec(failing).one(),
        subscribers=session.exec(subscribers).one(),
        stories_waiting=session.exec(waiting).one(),
        last_edition=row.edition_number,
        last_edition_at=session.exec(
            select(sa.func.max(Edition.composed_at)).where(Edition.newsletter_id == row.id)
        ).one(),
    )


def choices_of(session: Session, newsletter_id: int, email: str) -> Choices | None:
    """What one subscriber's next edition is made from; None where they do not subscribe."""
    query = (
        select(Subscription)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(Subscriber.key == address_key(email), *_deliverable(newsletter_id))
    )
    found = session.exec(query).first()
    return Choices(found.read_until, frozenset(found.topics), 1) if found else None
