"""Names that changed in the settings: whom that would starve, and everything that follows a new name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest.config import OTHER
from digest.models import (
    Edition,
    Newsletter,
    NewsletterFeed,
    OutboxRow,
    Subscriber,
    Subscription,
    SubscriptionState,
    Variant,
)
from digest.store import hooks, people, tastes, undecided
from digest.store.consent_tables import Consent, ConsentEvent
from digest.store.database import batched, insert_into
from digest.store.editions import composed_upto
from digest.store.import_tables import ImportChange, ListImport
from digest.store.name_tables import FormerName
from digest.store.signup_tables import SignupWait
from digest.store.story_tables import Story
from digest.values import Evidence

NEWSLETTER, TOPIC = "newsletter", "topic"  # kinds of `FormerName`
_OF_TOPIC = "the topic "  # so begins what a reader's history says of a name that changed; else it names choices
_HERE = (SubscriptionState.ACTIVE, SubscriptionState.PAUSED, SubscriptionState.PENDING)
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Lost:
    """A topic that readers chose, or with topic "" a newsletter that they have, which the settings no longer know."""

    newsletter: str
    topic: str
    readers: int
    only: int  # of them: who chose nothing else that is there still


def lost(session: Session, settings: Mapping[str, Collection[str]]) -> list[Lost]:
    """What readers wait for in vain; `settings` are the topics of each newsletter that there is."""
    chosen = sa.cast(col(Subscription.topics), sa.Text)
    rows = session.execute(
        sa.select(col(Newsletter.name), chosen, sa.func.count())
        .join(Newsletter, col(Newsletter.id) == Subscription.newsletter_id)
        .where(col(Subscription.state).in_(_HERE))
        .where(sa.or_(chosen != "[]", col(Newsletter.name).not_in(list(settings))))
        .group_by(col(Newsletter.name), chosen)
    ).all()
    readers: Counter[tuple[str, str]] = Counter()
    only: Counter[tuple[str, str]] = Counter()
    for name, text, number in rows:
        topics = set(json.loads(text)) if name in settings else {""}
        gone = topics - set(settings.get(name, ()))
        for topic in gone:
            readers[name, topic] += number
            only[name, topic] += number if gone == topics else 0
    return [Lost(*key, readers[key], only[key]) for key in sorted(readers)]


@dataclass(frozen=True)
class Renamed:
    """What followed a new name."""

    readers: int
    stories: int
    feeds: int

    @property
    def anything(self) -> bool:
        return bool(self.readers or self.stories or self.feeds)


def uses(session: Session, paper: Newsletter, topic: str) -> Renamed:
    """How many readers chose or mute a topic or want more or less of it, and how many stories and feeds it has."""
    chose = _chosen(session, col(Subscription.topics), _readers(paper), topic)
    readers = sum(_count(session, Subscription, *_readers(paper), _text(Subscription.topics) == text) for text in chose)
    readers += sum(
        _count(session, Subscription, *tastes.whose(paper.id or 0, key, text))
        for key, text, _wanted in tastes.about_topic(session, paper.id or 0, topic)
        if text not in chose
    )
    stories = _count(session, Story, Story.newsletter_id == paper.id, Story.topic == topic)
    feeds = _count(session, NewsletterFeed, NewsletterFeed.newsletter_id == paper.id, NewsletterFeed.topic == topic)
    return Renamed(readers, stories, feeds)


def rename_topic(session: Session, paper: Newsletter, old: str, new: str, evidence: Evidence) -> Renamed:
    """Put `new` for `old` in what readers chose, stories, feeds and editions; with "" there is no such topic any more.

    The newsletter is locked, and the sign-up lock is ours (`signup.lock`, which comes first).

    One transaction: an edition composed between would find stories under one name and readers under the other. It is
    a few statements over whole sets, however many readers there are.
    """
    before = uses(session, paper, old)
    connection = session.connection()
    theirs = col(Subscription.topics)
    chose = [[*_readers(paper), _text(theirs) == text] for text in _chosen(session, theirs, _readers(paper), old)]
    said = tastes.about_topic(session, paper.id or 0, old)
    whose_words = chose + [
        list(tastes.whose(paper.id or 0, key, text)) for key, text, _w in said if old not in json.loads(text)
    ]
    for readers in whose_words:
        detail = f"{_OF_TOPIC}{old} is called {new} now" if new else f"{_OF_TOPIC}{old} is no more"
        line = asdict(evidence) | {"event": ConsentEvent.CHOSE.value, "detail": detail}
        columns = ["subscriber_id", "newsletter_id", *line]
        values = [sa.literal(value, Consent.__table__.c[name].type) for name, value in line.items()]  # type: ignore[attr-defined]
        whose = sa.select(col(Subscription.subscriber_id), col(Subscription.newsletter_id), *values)
        whose = whose.where(*readers)
        connection.execute(sa.insert(Consent).from_select(columns, whose, include_defaults=False))
    tastes.swap_topic(session, paper.id or 0, old, new)  # before: it asks who chose `new` by that name
    _swap(session, Subscription, _readers(paper), old, new)
    _swap_counts(session, paper, old, new)
    _swap_waiting(session, paper, old, new)
    editions = sa.select(col(Edition.id)).where(col(Edition.newsletter_id) == paper.id)
    _swap(session, Variant, [col(Variant.edition_id).in_(editions)], old, new)
    for table, topic in ((Story, new or OTHER), (NewsletterFeed, new)):
        where = (col(table.newsletter_id) == paper.id, col(table.topic) == old)
        session.execute(sa.update(table).where(*where).values(topic=topic), execution_options=_NO_SYNC)
    _remember(session, paper, TOPIC, old, new or OTHER)
    return before


def _swap(session: Session, table: Any, where: Collection[Any], old: str, new: str) -> None:
    """The same for lists of topics: each different one is rewritten once, in its one form."""
    for text, topics in _chosen(session, col(table.topics), where, old).items():
        renamed = sorted({new if topic == old else topic for topic in topics} - {""})
        statement = sa.update(table).where(*where, _text(table.topics) == text).values(topics=renamed)
        session.execute(statement, execution_options=_NO_SYNC)


def _swap_counts(session: Session, paper: Newsletter, old: str, new: str) -> None:
    """The same for the stories from which on topics count; of two that become one the earlier counts."""
    since = col(Subscription.chosen_from)
    where = _readers(paper)
    query = sa.select(_text(since)).where(*where, _text(since).contains(json.dumps(old), autoescape=True)).distinct()
    for text in session.scalars(query).all():
        counts: dict[str, int] = json.loads(text)
        if old in counts:
            seq = counts.pop(old)
            if new:
                counts[new] = min(seq, counts.get(new, seq))
            statement = sa.update(Subscription).where(*where, _text(since) == text)
            session.execute(statement.values(chosen_from=dict(sorted(counts.items()))), execution_options=_NO_SYNC)


def _swap_waiting(session: Session, paper: Newsletter, old: str, new: str) -> None:
    """The same for sign-ups that wait for their answer."""
    mine = select(SignupWait).where(SignupWait.newsletter_id == paper.id)
    for waiting in session.exec(mine.with_for_update()).all():  # nobody answers one: the sign-up lock is ours
        chose_new = new in waiting.choices.get("topics", ())  # and does not mute it, see `tastes.swap_topic`
        for choice, name in (("topics", new), ("muted_topics", "" if chose_new else new)):
            topics = waiting.choices.get(choice, ())
            if old in topics:
                renamed = sorted({name if topic == old else topic for topic in topics} - {""})
                waiting.choices = waiting.choices | {choice: renamed}
                session.add(waiting)


def _chosen(session: Session, column: Any, where: Collection[Any], topic: str) -> dict[str, list[str]]:
    """The different lists of topics that have this one, by the text they are stored as."""
    text = sa.cast(column, sa.Text)
    query = sa.select(text).where(*where, text.contains(json.dumps(topic), autoescape=True)).distinct()
    return {found: json.loads(found) for found in session.scalars(query)}


def _text(column: Any) -> Any:
    return sa.cast(column, sa.Text)


def _readers(paper: Newsletter) -> list[Any]:
    return [col(Subscription.newsletter_id) == paper.id]


def _count(session: Session, table: Any, *where: Any) -> int:
    return session.exec(select(sa.func.count()).select_from(table).where(*where)).one()


def rename_newsletter(session: Session, old: Newsletter, new: Newsletter) -> Renamed:
    """Give `old` the name of `new`, which came with the settings and has no edition and no story of its own.

    Who joined `new` meanwhile is a reader of the whole from now on, and so are its feeds. Both are locked, and
    the sign-up lock is ours.
    """
    assert old.id is not None and new.id is not None
    name, former = new.name, old.name
    _join_readers(session, old, new)
    feeds = sa.select(col(NewsletterFeed.feed_id)).where(col(NewsletterFeed.newsletter_id) == old.id)
    mine = (col(NewsletterFeed.newsletter_id) == new.id, col(NewsletterFeed.feed_id).not_in(feeds))
    moved = list(session.scalars(sa.select(col(NewsletterFeed.feed_id)).where(*mine)))
    session.execute(sa.update(NewsletterFeed).where(*mine).values(newsletter_id=old.id), execution_options=_NO_SYNC)
    undecided.begins(session, old.id, moved)
    said = sa.update(Consent).where(col(Consent.newsletter_id) == new.id).values(newsletter_id=old.id)
    session.execute(said, execution_options=_NO_SYNC)
    for table in (SignupWait, ListImport, OutboxRow):  # of letters, what they are told in notices
        theirs = sa.update(table).where(col(table.newsletter_id) == new.id).values(newsletter_id=old.id)
        session.execute(theirs, execution_options=_NO_SYNC)
    was = sa.update(FormerName).where(col(FormerName.newsletter_id) == new.id).values(newsletter_id=old.id)
    session.execute(was, execution_options=_NO_SYNC)
    session.delete(new)
    session.flush()
    old.name = name
    session.flush()
    hooks.follow(session, former, name)
    _remember(session, old, NEWSLETTER, former, "")
    session.execute(sa.delete(FormerName).where(col(FormerName.kind) == NEWSLETTER, col(FormerName.old) == name))
    stories = _count(session, Story, Story.newsletter_id == old.id)
    return Renamed(
        _count(session, Subscription, *_readers(old)),
        stories,
        _count(session, NewsletterFeed, NewsletterFeed.newsletter_id == old.id),
    )


def _join_readers(session: Session, old: Newsletter, new: Newsletter) -> None:
    """Who has one of both keeps it; of who has both, what they said of the new one counts. Links of both go on."""
    assert old.id is not None
    theirs = {
        row.subscriber_id: row
        for row in session.exec(
            select(Subscription).where(
                col(Subscription.newsletter_id) == old.id,
                col(Subscription.subscriber_id).in_(
                    sa.select(col(Subscription.subscriber_id)).where(col(Subscription.newsletter_id) == new.id)
                ),
            )
        )
    }
    _let_go_of_imports(session, new, list(theirs))
    upto = composed_upto(session, old.id)
    for joined in session.exec(select(Subscription).where(col(Subscription.newsletter_id) == new.id)):
        had = theirs.get(joined.subscriber_id)
        if had is None:
            joined.newsletter_id, joined.read_until, joined.offered_at = old.id, upto, None
            continue
        if joined.state not in (SubscriptionState.PENDING, had.state):
            had.state, had.changed_at, had.consent = joined.state, joined.changed_at, joined.consent
            had.paused_until, had.read_until, had.offered_at = joined.paused_until, upto, None
            had.awaits_welcome = joined.awaits_welcome
        _remember(session, old, people.JOINED, f"{joined.id}", f"{had.id}")
        session.delete(joined)
    session.flush()


def _let_go_of_imports(session: Session, new: Newsletter, people: list[int]) -> None:
    """What lists made of `new` goes into what these people had before: an undo is not to take that from them."""
    runs = sa.select(col(ListImport.id)).where(col(ListImport.newsletter_id) == new.id)
    for some in batched(people):
        keys = sa.select(col(Subscriber.key)).where(col(Subscriber.id).in_(some))
        mine = (col(ImportChange.import_id).in_(runs), col(ImportChange.key).in_(keys))
        rest = sa.func.replace(sa.func.replace(col(ImportChange.what), "s", ""), "p", "")
        session.execute(sa.update(ImportChange).where(*mine).values(what=rest), execution_options=_NO_SYNC)
        nothing = sa.delete(ImportChange).where(*mine, col(ImportChange.what) == "")
        session.execute(nothing, execution_options=_NO_SYNC)


def of_rename() -> sa.ColumnElement[bool]:
    """That a line of somebody's history tells of a topic's new name, which is none of their doing."""
    return sa.and_(col(Consent.event) == ConsentEvent.CHOSE, col(Consent.detail).startswith(_OF_TOPIC))


def begun(session: Session, paper: Newsletter) -> bool:
    """Has a newsletter stories or editions of its own?"""
    return bool(paper.seq or paper.edition_number)


def _remember(session: Session, paper: Newsletter, kind: str, old: str, new: str) -> None:
    assert paper.id is not None
    mine = (col(FormerName.newsletter_id) == paper.id, col(FormerName.kind) == kind)
    session.execute(sa.update(FormerName).where(*mine, col(FormerName.new) == old).values(new=new))
    session.execute(sa.delete(FormerName).where(*mine, col(FormerName.old) == new))
    made = {"newsletter_id": paper.id, "kind": kind, "old": old, "new": new}
    insert = insert_into(session, FormerName).values(made)
    again = insert.on_conflict_do_update(index_elements=["newsletter_id", "kind", "old"], set_={"new": new})
    session.connection().execute(again)


def followed(session: Session, newsletter_id: int, topics: Collection[str], known: Collection[str]) -> list[str]:
    """Topics as they are called now, of which those that are no more are left out; `known` ones are as they are."""
    names = select(FormerName.old, FormerName.new).where(
        FormerName.newsletter_id == newsletter_id, FormerName.kind == TOPIC
    )
    now: dict[str, str] = {old: new for old, new in session.exec(names) if old not in known}
    return sorted({now.get(topic, topic) for topic in topics} - ({OTHER} - set(topics)))


def newsletter_called(session: Session, old: str) -> str | None:
    """How a newsletter is called now, by a name that it had."""
    query = (
        select(Newsletter.name)
        .join(FormerName, col(FormerName.newsletter_id) == Newsletter.id)
        .where(FormerName.kind == NEWSLETTER, FormerName.old == old)
    )
    return session.exec(query).first()


def topic_called(session: Session, newsletter: str, old: str) -> str | None:
    """How a topic of a newsletter is called now, by a name that it had."""
    query = (
        select(FormerName.new)
        .join(Newsletter, col(FormerName.newsletter_id) == Newsletter.id)
        .where(Newsletter.name == newsletter, FormerName.kind == TOPIC, FormerName.old == old)
    )
    return session.exec(query).first()
