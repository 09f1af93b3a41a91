"""Entries that were sent before: by another tool, or by us, and pruned since. They are decided about once, as seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from sqlmodel import Session

from digest.curate import urls
from digest.edition import pruned
from digest.store import entries, seen

Hold = Callable[[entries.Waiting, str], None]
Sent = Mapping[int, seen.Sent]  # by feed, see `store.seen.of`


def known(sent: Sent, feeds: Mapping[int, entries.Reading]) -> Mapping[int, entries.Reading]:
    """The feeds. One of which it is known what was sent is no new one: all of what is left is news."""
    told = {id_ for id_, one in sent.items() if one.marks or one.until}
    return {id_: feed._replace(known=True) if id_ in told else feed for id_, feed in feeds.items()} if told else feeds


def hold(
    session: Session,
    newsletter_id: int,
    waiting: Sequence[entries.Waiting],
    feeds: Mapping[int, entries.Reading],
    sent: Sent,
    told: Hold,
) -> list[entries.Waiting]:
    """What is left of the entries; `told` is given each that was sent, and why. `feeds` are as they are stored.

    What was here before and was pruned was sent, or passed over, as well.
    """
    waiting = pruned.hold(session, newsletter_id, waiting, feeds, told)
    if not sent:
        return waiting
    guids = seen.guids(session, [entry.id for entry in waiting if entry.feed_id in sent])
    fresh = []
    for entry in waiting:
        feed, guid = feeds[entry.feed_id], guids.get(entry.id, "")
        before = sent.get(entry.feed_id)
        why = "" if before is None else before.has(
            names(entry, feed, guid), own_id=bool(guid), published_at=entry.published_at, first=not feed.known
        )  # fmt: skip
        if why:
            told(entry, why)
        else:
            fresh.append(entry)
    return fresh


def link_name(url: str) -> str:
    """A link as marks are made of it: what only counts visitors is no part of it, its fragment is; "" for none."""
    key = urls.normalise(url)
    if not key or urls.bare(key):
        return ""
    return f"link:{key}#{url.partition('#')[2]}"


def names(entry: entries.Waiting, feed: entries.Reading, guid: str) -> set[str]:
    """All that an entry may be known by: its id in the forms that programs give it, its links, hashes of them.

    A link speaks where there is no id; beside one it does only as a link that was noted as such (`url:`).
    """
    found = {f"id:{name}" for name in seen.names_of(guid, (feed.url, feed.site_url))} if guid else set()
    found |= {link_name(name) for name in seen.names_of(guid, (feed.url, feed.site_url))}
    for url in {entry.url, entry.original_url} - {""}:
        name = link_name(url)
        found.add(name and f"url:{name}")
        if not guid:
            found |= {name, f"id:{url}"}
            # What rss2email makes of an entry that has neither id nor text.
            found |= {f"id:{_hashed(words)}" for words in (url, entry.title)}
    return found - {""}


def _hashed(words: str) -> str:
    return hashlib.sha1(words.encode("unicode-escape"), usedforsecurity=False).hexdigest()
