"""Entries that come again after they were pruned: they are decided about once more, as seen long ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlmodel import Session

from digest.curate import urls
from digest.store import entries, feeds, pruned

WHY = "it was here before, and was pruned since: marked seen"
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
        feed, key = pruned.feed_name(entry.feed_id, added[entry.feed_id]), keys[entry.id]
        marks = [pruned.by_key_and_title(feed, key, entry.title)]
        if reading.ids_tell:
            marks.append(pruned.by_key(feed, key))
        if entry.published_at is not None and entry.title:
            marks.append(pruned.by_title_and_date(feed, entry.title, entry.published_at))
        of_feeds[entry.id] = marks
        if reading.links_tell:
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


def was_here(session: Session, newsletter_id: int, url: str) -> bool:
    """Was something with this link decided about, and pruned since?"""
    link = urls.normalise(url)
    return bool(link) and bool(pruned.known(session, newsletter_id, [pruned.by_link(link)]))
