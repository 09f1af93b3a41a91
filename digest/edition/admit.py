"""Admission: each entry of a newsletter's feeds is decided about once, and the decision is kept with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from sqlmodel import Session

from digest import config, curate, store
from digest.curate import flood
from digest.curate.topics import Placer
from digest.models import Decision
from digest.store.stories import Reading, Waiting


@dataclass(frozen=True)
class Admitted:
    """What became of the entries that waited."""

    stories: int = 0
    joined: int = 0
    muted: int = 0
    held: int = 0


def admit(
    session: Session, name: str, settings: config.Newsletter, curate_settings: config.Curate, *, now: datetime
) -> Admitted:
    """Decide about every entry that waits, in the caller's transaction, alone with this newsletter.

    Stories get increasing `seq`. Whoever comes second finds nothing waiting: killed half way, nothing is
    decided and the next call does it all.
    """
    newsletter = store.lock_newsletter(session, name)
    newsletter_id = cast(int, newsletter.id)
    waiting = store.waiting_entries(session, newsletter_id)
    if not waiting:
        return Admitted()
    feeds = store.readings(session, newsletter_id)
    decisions: list[dict[str, Any]] = []

    def decide(entry: Waiting, decision: Decision, reason: str, link: str = "", story_id: int | None = None) -> None:
        decisions.append(
            {
                "newsletter_id": newsletter_id,
                "entry_id": entry.id,
                "decision": decision,
                "reason": reason,
                "link": link,
                "story_id": story_id,
                "decided_at": now,
            }
        )

    fresh: list[Waiting] = []
    for feed_id, group in groupby(waiting, key=lambda entry: entry.feed_id):
        entries = list(group)
        held = flood.held(
            [flood.Arrival(entry.id, entry.published_at) for entry in entries],
            new=not feeds[feed_id].known,
            settings=curate_settings,
            now=now,
        )
        for entry in entries:
            if entry.id in held:
                decide(entry, Decision.HELD, held[entry.id])
            else:
                fresh.append(entry)

    texts = {id_: (summary, content) for id_, summary, content in store.entry_texts(session, [e.id for e in fresh])}
    placer = Placer(curate.headings(settings.topics))
    told: dict[str, int] = {}
    stories: list[dict[str, Any]] = []
    makers: list[tuple[Waiting, str, int, bool]] = []
    for entry in fresh:
        link = curate.normalise(entry.original_url or entry.url)
        identity = link or entry.title.casefold()
        seq = told.get(identity)
        if seq is not None:
            makers.append((entry, link, seq, False))
            continue
        newsletter.seq += 1
        told[identity] = newsletter.seq
        makers.append((entry, link, newsletter.seq, True))
        stories.append(
            _story(entry, feeds[entry.feed_id], *texts[entry.id], placer, curate_settings, now=now)
            | {"newsletter_id": newsletter_id, "seq": newsletter.seq}
        )
    ids = store.add_stories(session, stories)
    for entry, link, seq, first in makers:
        if first:
            decide(entry, Decision.STORY, "first to tell it", link, ids[seq])
        else:
            decide(entry, Decision.JOINED, "same link", link, ids[seq])
    session.add(newsletter)
    store.add_admissions(session, decisions)
    joined = len(makers) - len(stories)
    return Admitted(stories=len(stories), joined=joined, held=len(decisions) - len(makers))


def _story(
    entry: Waiting,
    feed: Reading,
    summary: str,
    content: str,
    placer: Placer,
    settings: config.Curate,
    *,
    now: datetime,
) -> dict[str, Any]:
    excerpt = curate.excerpt(summary, content, title=entry.title, length=settings.excerpt_length)
    placement = placer.place(entry.title, excerpt)
    topic, step = (feed.topic, "feed") if feed.topic else (placement.topic, placement.step)
    return {
        "entry_id": entry.id,
        "topic": topic,
        "topic_step": step,
        "url": entry.original_url or entry.url,
        "title": entry.title,
        "source": feed.title or feed.url,
        "author": entry.author,
        "excerpt": excerpt,
        "language": entry.language,
        "image_url": entry.image_url,
        "reading_minutes": curate.reading_minutes(content or summary),
        "published_at": flood.shown_date(entry.published_at, seen_at=entry.seen_at),
        "admitted_at": now,
        "rank": 0.0,
        "pinned": False,
        "dropped": False,
        "reasons": {"topic": {"step": step, "words": placement.words, "score": placement.score}},
    }
