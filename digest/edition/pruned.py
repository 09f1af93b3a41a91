"""Entries that come again after they were pruned: they are decided about once more, as seen long ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlmodel import Session

from digest import identity
from digest.curate import urls
from digest.store import entries, feeds, pruned

WHY = "it was here before, and was pruned since: marked seen"
_STAYS = 0.98  # the share of times that ids stay, from which on an id alone tells
Hold = Callable[[entries.Waiting, str], None]


def hold(
    session: Session,
    newsletter_id: int,
    waiting: Sequence[entries.Waiting],
    readings: Mapping[int, entries.Reading],
    told: Hold,
) -> list[entries.Waiting]:
    """What is left of the entries; `told` is given each that is known from before, and why."""
    if not waiting or not pruned.any_there(session):
        return list(waiting)
    added = feeds.added_at(session, {entry.feed_id for entry in waiting})
    keys = entries.keys(session, [entry.id for entry in waiting])
    of_feeds, links = {}, {}
    for entry in waiting:
        reading = readings[entry.feed_id]
        evidence = identity.Evidence.of(reading.evidence)
        feed, key = pruned.feed_name(entry.feed_id, added[entry.feed_id]), keys[entry.id]
        marks = [pruned.by_key_and_title(feed, key, entry.title)]
        if _ids_tell(evidence, reading.identity):
            marks.append(pruned.by_key(feed, key))
        if entry.published_at is not None and entry.title:
            marks.append(pruned.by_title_and_date(feed, entry.title, entry.published_at))
        of_feeds[entry.id] = marks
        if identity.links_tell(evidence, reading.identity):
            found = {urls.normalise(url) for url in (entry.original_url, entry.url) if url}
            links[entry.id] = [pruned.by_link(link) for link in sorted(found - {""}) if not urls.bare(link)]
    known = pruned.known(session, pruned.OF_FEEDS, [mark for marks in of_feeds.values() for mark in marks])
    linked = pruned.known(session, newsletter_id, [mark for marks in links.values() for mark in marks])
    fresh = []
    for entry in waiting:
        if known.isdisjoint(of_feeds[entry.id]) and linked.isdisjoint(links.get(entry.id, ())):
            fresh.append(entry)
        else:
            told(entry, WHY)
    return fresh


def _ids_tell(evidence: identity.Evidence, chosen: str) -> bool:
    """Whether an id alone tells an entry of this feed from others, however long ago it was there."""
    if chosen:
        return "guid" in chosen.split("+")
    having, different = evidence.alike.get("guid", (0, 0))
    return evidence.stays("guid") >= _STAYS and different >= 0.95 * having


def was_here(session: Session, newsletter_id: int, url: str) -> bool:
    """Was something with this link decided about, and pruned since?"""
    link = urls.normalise(url)
    return bool(link) and bool(pruned.known(session, newsletter_id, [pruned.by_link(link)]))
