"""What single readers mute, and how many stories they want: kept, found by its key, and led on by new names.

Most readers have no taste of their own: each question here goes by the index of those who have one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from digest import taste, values
from digest.models import Edition, EditionState, Feed, NewsletterFeed, Subscription
from digest.store import stories
from digest.store.database import batched
from digest.store.story_tables import Story
from digest.taste import Taste

_TITLES = 500
_RECENT = 3_000  # stories whose languages tell which there are
_NO_SYNC = {"synchronize_session": False}


def put(subscription: Subscription, wanted: Taste) -> None:
    """Let this be the taste of a subscription."""
    subscription.taste, subscription.taste_key = wanted.stored, wanted.key


def by_key(session: Session, newsletter_id: int, keys: Collection[str]) -> Iterable[tuple[str, Taste]]:
    """The tastes behind `keys`, each once."""
    query = (
        sa.select(col(Subscription.taste_key), sa.func.min(sa.cast(col(Subscription.taste), sa.Text)))
        .where(col(Subscription.newsletter_id) == newsletter_id, col(Subscription.taste_key) != "")
        .group_by(col(Subscription.taste_key))
    )
    if len(keys) <= 500:
        query = query.where(col(Subscription.taste_key).in_(keys))
    for key, text in session.connection().execution_options(yield_per=1_000).execute(query):
        if key in keys:
            yield key, Taste.of(json.loads(text))


def places(session: Session, feed_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Where each of these feeds is, and was: its site, its address, and the addresses that it had."""
    found: dict[int, tuple[str, ...]] = {}
    for some in batched(sorted(set(feed_ids))):
        query = sa.select(col(Feed.id), col(Feed.url), col(Feed.site_url), col(Feed.former_urls))
        for id_, url, site, former in session.execute(query.where(col(Feed.id).in_(some))):
            addresses = (site, url, *(one["url"] for one in former))
            found[id_] = tuple(dict.fromkeys(filter(None, map(taste.place, addresses))))
    return found


def sources(session: Session, newsletter_id: int) -> dict[str, str]:
    """The sites that a newsletter reads, each with its title, in the order of the titles."""
    query = (
        sa.select(col(Feed.title), col(Feed.url), col(Feed.site_url))
        .join(NewsletterFeed, col(NewsletterFeed.feed_id) == col(Feed.id))
        .where(col(NewsletterFeed.newsletter_id) == newsletter_id)
        .order_by(col(Feed.id))
    )
    found: dict[str, str] = {}
    for title, url, site in session.execute(query):
        if place := _shown_place(url, site):
            found.setdefault(place, title or place)
    return dict(sorted(found.items(), key=lambda one: (one[1].casefold(), one[0])))


def shown_places(session: Session, feed_ids: Sequence[int]) -> list[str]:
    """Where these feeds are, in their order, each place once, as readers are shown it."""
    query = sa.select(col(Feed.id), col(Feed.url), col(Feed.site_url)).where(col(Feed.id).in_(feed_ids))
    found = {id_: _shown_place(url, site) for id_, url, site in session.execute(query)}
    return list(dict.fromkeys(place for id_ in feed_ids if (place := found.get(id_))))


def titles_of_late(session: Session, newsletter_id: int) -> list[str]:
    """The titles of a newsletter's latest stories: by these it shows which words are common there."""
    query = select(Story.title).where(Story.newsletter_id == newsletter_id)
    return list(session.exec(query.order_by(col(Story.seq).desc()).limit(_TITLES)))


def story_to_say(session: Session, newsletter_id: int, story_id: int) -> values.Story | None:
    """A story of which a reader of this newsletter may say that they want more or less of such.

    None where it is here no more, or an editor dropped it, or no edition that is out had it to choose from.
    """
    found = session.get(Story, story_id)
    if found is None or found.newsletter_id != newsletter_id or found.dropped:
        return None
    out = select(sa.func.max(Edition.upto_seq)).where(
        Edition.newsletter_id == newsletter_id, col(Edition.state).in_((EditionState.OPEN, EditionState.PAUSED))
    )
    return stories.told(session, found) if found.seq <= (session.exec(out).one() or 0) else None


def nowhere(session: Session, newsletter_id: int, muted: Iterable[str]) -> list[str]:
    """Those of these sources that no feed of a newsletter is from."""
    ids = session.exec(select(NewsletterFeed.feed_id).where(NewsletterFeed.newsletter_id == newsletter_id)).all()
    here = {place for some in places(session, ids).values() for place in some} if (wanted := list(muted)) else set()
    return [one for one in wanted if not any(taste.within(place, one) for place in here)]


def languages(session: Session, newsletter_id: int) -> list[str]:
    """The languages of a newsletter's stories of late."""
    last = session.exec(select(sa.func.max(Story.seq)).where(Story.newsletter_id == newsletter_id)).one() or 0
    query = select(Story.language).where(Story.newsletter_id == newsletter_id, Story.seq > last - _RECENT).distinct()
    return sorted({spoken for said in session.exec(query) if (spoken := taste.spoken(said))})


# ---------------------------------------------------------------- new names


def about_topic(session: Session, newsletter_id: int, topic: str) -> list[tuple[str, str, Taste]]:
    """The tastes that mute a topic, or want more or less of it, as `with_topic` gives them."""
    muting = with_topic(session, newsletter_id, topic)
    return muting + [one for one in _leaning_on(session, newsletter_id, topic) if one not in muting]


def _leaning_on(session: Session, newsletter_id: int, topic: str) -> list[tuple[str, str, Taste]]:
    said = f"topic:{topic}"
    return [one for one in _holding(session, newsletter_id, said) if said in (*one[2].more_of, *one[2].less_of)]


def with_topic(session: Session, newsletter_id: int, topic: str) -> list[tuple[str, str, Taste]]:
    """The tastes that mute a topic: (key, the choice of topics beside it as it is stored, taste)."""
    return [one for one in _holding(session, newsletter_id, topic) if topic in one[2].muted_topics]


def swap_topic(session: Session, newsletter_id: int, old: str, new: str) -> None:
    """Mute `new` in place of `old`, or nothing where that is "", or is what somebody chose by name.

    Who chose `old` and mutes it got nothing of it, and gets nothing under its new name. Who wants more of `old`, or
    less, wants that of `new`, unless they say the contrary of that by name.
    """
    for key, topics, wanted in _leaning_on(session, newsletter_id, old):
        more, less = (_renamed(some, f"topic:{old}", f"topic:{new}" if new else "")
                      for some in (wanted.more_of, wanted.less_of))  # fmt: skip
        if f"topic:{new}" in (*wanted.more_of, *wanted.less_of):
            more, less = (taste.without(some, [f"topic:{old}"]) for some in (wanted.more_of, wanted.less_of))
        _change(session, newsletter_id, key, topics, replace(wanted, more_of=more, less_of=less))
    for key, topics, wanted in with_topic(session, newsletter_id, old):
        kept = set(wanted.muted_topics) - {old}
        if new and new not in json.loads(topics):
            kept.add(new)
        _change(session, newsletter_id, key, topics, replace(wanted, muted_topics=tuple(sorted(kept))))


Places = tuple[str, str]  # the address of a feed, and that of its site or ""


def follow_source(session: Session, feed_id: int, before: Places, now: Places) -> None:
    """`follow_sources` for one feed."""
    follow_sources(session, {feed_id: (before, now)})


def follow_sources(session: Session, moved: Mapping[int, tuple[Places, Places]]) -> None:
    """Let mutes go along with feeds (by id) from where each and its site were to where they are.

    What was muted stays so. Only who muted the feed is found, not who muted one beside it at the same site.
    """
    for some in batched(moved):
        for feed_id, paper in session.connection().execute(_PAPERS, {"feeds": some}).all():
            _follow(session, paper, *moved[feed_id])


def _follow(session: Session, newsletter_id: int, before: Places, now: Places) -> None:
    old, new = set(map(taste.place, before)) - {""}, _shown_place(*now)
    if not new or new in old:
        return
    for key, topics, wanted in _holding(session, newsletter_id, ""):
        muted = wanted.muted_sources
        hit = any(taste.within(place, one) for place in old for one in muted)
        after = wanted
        if hit and not any(taste.within(new, one) for one in muted) and len(muted) < taste.SOURCES:
            after = replace(after, muted_sources=tuple(sorted({*muted, new})))
        after = _followed(after, old, new)
        if after != wanted:
            _change(session, newsletter_id, key, topics, after)


def _followed(wanted: Taste, old: Collection[str], new: str) -> Taste:
    """A taste that wants more or less of a place that was `old`, and by now also of the `new` one."""
    if f"source:{new}" in (*wanted.more_of, *wanted.less_of):
        return wanted

    def also(some: tuple[str, ...]) -> tuple[str, ...]:
        sources = [one.removeprefix("source:") for one in some if one.startswith("source:")]
        hit = any(taste.within(place, one) for place in old for one in sources)
        return taste.leanings((*some, f"source:{new}"), "more") if hit and len(some) < taste.LEANINGS else some

    more = also(wanted.more_of)
    return replace(wanted, more_of=more, less_of=wanted.less_of if more != wanted.more_of else also(wanted.less_of))


def _renamed(some: Iterable[str], old: str, new: str) -> tuple[str, ...]:
    return taste.leanings((new if one == old else one for one in some), "more")


# The newsletters of feeds in which anybody has a taste: mostly none. Made once, since it is asked for new feeds.
_PAPERS = sa.select(col(NewsletterFeed.feed_id), col(NewsletterFeed.newsletter_id)).where(
    col(NewsletterFeed.feed_id).in_(sa.bindparam("feeds", expanding=True)),
    sa.exists().where(
        col(Subscription.newsletter_id) == col(NewsletterFeed.newsletter_id), col(Subscription.taste_key) != ""
    ),
)


def _shown_place(url: str, site: str) -> str:
    """Where a feed is, as readers are shown it.

    Where it names no site, its host alone: the rest of its own address may be a secret.
    """
    return taste.place(site.partition("?")[0]) or taste.place(url).partition("/")[0]


def _holding(session: Session, newsletter_id: int, words: str) -> list[tuple[str, str, Taste]]:
    text, topics = sa.cast(col(Subscription.taste), sa.Text), sa.cast(col(Subscription.topics), sa.Text)
    query = (
        sa.select(col(Subscription.taste_key), topics, sa.func.min(text))
        .where(col(Subscription.newsletter_id) == newsletter_id, col(Subscription.taste_key) != "")
        .group_by(col(Subscription.taste_key), topics)
    )
    if words:
        query = query.where(text.contains(json.dumps(words), autoescape=True))
    return [(key, chosen, Taste.of(json.loads(said))) for key, chosen, said in session.execute(query)]


def _change(session: Session, newsletter_id: int, key: str, topics: str, wanted: Taste) -> None:
    values: dict[str, Any] = {"taste": wanted.stored, "taste_key": wanted.key}
    session.execute(
        sa.update(Subscription).where(*whose(newsletter_id, key, topics)).values(values), execution_options=_NO_SYNC
    )


def whose(newsletter_id: int, key: str, topics: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The subscriptions of a taste and a choice of topics, both as they are stored."""
    return (
        col(Subscription.newsletter_id) == newsletter_id,
        col(Subscription.taste_key) == key,
        sa.cast(col(Subscription.topics), sa.Text) == topics,
    )
