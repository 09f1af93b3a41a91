"""What happened next: which earlier story each of an edition continues, decided once, and where a reader finds it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from digest.config import Config
from digest.curate import following, urls
from digest.store import earlier, editions
from digest.values import Story

# Of clean HTML, where quotes within an attribute are written out.
_LINK = re.compile(r'<a\s(?>[^<>]*?href="(https?://[^"<>]+)")', re.IGNORECASE)
_MOST_LINKS = 40  # of a text that are looked at
_SECONDS = 86_400


def decide(
    session: Session, newsletter_id: int, stories: Sequence[Story], config: Config, *, now: datetime
) -> dict[int, following.Before]:
    """What those continue that no edition had to choose from yet, by id; what continues nothing is left out.

    Nothing is stored. Linear in these stories: earlier ones are looked up by their words and links.
    """
    upto = editions.composed_upto(session, newsletter_id)
    new = [story for story in stories if story.follows is None and story.seq > upto]
    if not new or not config.curate.earlier_days or not upto:
        return {}
    since = now - timedelta(days=config.curate.earlier_days)
    first = earlier.first_since(session, newsletter_id, since)
    if first is None or first >= min(story.id for story in new):
        return {}
    texts = earlier.markup(session, (story.id for story in new))
    tellings = [_telling(story, texts.get(story.id, "")) for story in new]
    words = {word for one in tellings for word in one.known_by}
    seen = earlier.seen(session, newsletter_id, words, first=first)
    few = {word for word, number in seen.items() if number <= following.COMMON}
    having = earlier.having(session, newsletter_id, few, first=first)
    linked = earlier.linked(session, newsletter_id, {link for one in tellings for link in one.links}, first=first)
    candidates = {one.id: following.likely(one, having, linked) - {one.id} for one in tellings}
    rows = earlier.known(session, {id_ for ids in candidates.values() for id_ in ids})
    before = {
        row.id: following.Telling(row.id, row.title, row.url, row.excerpt, row.at.timestamp() / _SECONDS)
        for row in rows.values()
    }
    found = {}
    for one in tellings:
        theirs = [before[id_] for id_ in sorted(candidates[one.id]) if id_ in before and id_ < one.id]
        if theirs and (continued := following.latest(one, theirs, seen)):
            found[one.id] = continued
    return found


def _telling(story: Story, text: str) -> following.Telling:
    links = {urls.normalise(html.unescape(link)) for link in _LINK.findall(text)[:_MOST_LINKS]}
    at = story.published_at.timestamp() / _SECONDS
    return following.Telling(story.id, story.title, story.url, story.excerpt, at, frozenset(links))


def told(
    session: Session, name: str, stories: Sequence[Story], config: Config, found: Mapping[int, following.Before]
) -> tuple[Story, ...]:
    """The stories, each with what it continues where that can be pointed to: in the public archive, else at its source.

    `found` is what was decided and is not stored yet.
    """
    follows = {story.id: found[story.id].id if story.id in found else story.follows or 0 for story in stories}
    places = earlier.places(session, (id_ for id_ in follows.values() if id_))
    if not places:
        return tuple(replace(s, follows=f) if (f := follows[s.id]) != s.follows and f else s for s in stories)
    home = config.page_of(name) if config.newsletters[name].archive and config.imprint(name).base_url else ""
    return tuple(
        replace(story, follows=follows[story.id], earlier=earlier.pointed(follows[story.id], places, home))
        if follows[story.id]
        else story
        for story in stories
    )


def keep(session: Session, newsletter_id: int, found: Mapping[int, following.Before]) -> None:
    """Store what was decided, in the transaction that composes: mail, pages and `why` say the same from then on."""
    if found:
        earlier.keep(session, newsletter_id, {id_: {"story": one.id, "why": one.why} for id_, one in found.items()})
